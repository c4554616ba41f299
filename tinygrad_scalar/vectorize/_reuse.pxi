# Places of results that nothing reads any more are given to later ones: see _machine.pxi.

cdef enum:  # what an order reads on the way back
    READS_X = 1
    READS_Y = 2
    READS_OUT = 4

cdef enum:  # instead of the last group that reads a group
    NOT_READ = -1
    STAYS = -2  # it is read on the way back, or when the program has run
    STAYS_ALONE = -3  # and nothing else was there before: lookups mark what they choose (`Machine.chosen`)

cdef struct Group:
    int first  # its first place as the orders are written; after the last group the end
    int shift  # how far it moves
    int last  # the last group that reads it; then, once that is known, the next of those that the same one reads last
    int dying  # the first of the groups that it is the last to read


cdef int read_on_the_way_back(int code, double number) noexcept nogil:
    """Which numbers an order needs to pass its gradient on, if none of its slopes are kept."""
    cdef int k
    if code == _ops.MULTIPLY or code == DOT or code == _ops.MAXIMUM or code == _ops.MINIMUM:
        return READS_X | READS_Y
    if code in (_ops.ADD, _ops.SUBTRACT, _ops.NEGATE):
        return 0
    if code == _ops.DIVIDE:
        return READS_Y | READS_OUT
    if code in (_ops.EXP, _ops.SQRT, _ops.TAN):
        return READS_OUT
    if code == LOOKUP or code == _ops.WHERE:
        return READS_X
    for k in range(3):
        if has_gradient_of(code, number, k):
            return READS_X
    return 0


cdef class Reuse:
    """Gives results their places, when all orders are written and each result has one of its own.

    The results of a level, a group, remain side by side, so that rows remain rows. Once the orders have run that read
    any of them, and if none does on the way back, later groups are given their places.
    """

    cdef Machine machine
    cdef int* group_of  # for each place as they are written
    cdef Group* groups
    cdef Holes holes
    cdef char* seen  # where in the tables those of lookups begin that have been visited
    cdef bint moving

    def __dealloc__(self):
        PyMem_Free(self.groups)
        forget_holes(&self.holes)

    cdef int give(self, Machine machine, int* group_of, int* first_of) except -1:
        cdef Py_ssize_t i, n = machine.n_orders, far = machine.far_from(n), near = n - far - 1
        cdef Order* order
        cdef int g = OF_INPUTS
        self.machine, self.group_of = machine, group_of
        self.make_room(first_of)
        machine.first_of = <int*>block(machine.n_groups * sizeof(int))
        self.stays(machine.cost)
        for i in range(machine.n_watched):
            self.stays(machine.watched[i])
        for i in range(n - 1, -1, -1):
            order = machine.orders + i
            if i > near:
                self.prefetch(order - AHEAD, order - AHEAD // 2)
            self.visit(order, group_of[order.out])
        memset(self.seen, 0, machine.n_tables)
        self.moving = True
        machine.n_places, machine.n_groups = machine.n_uniform + machine.n_inputs, OF_INPUTS + 1
        for i in range(n):
            order = machine.orders + i
            if i < far:
                self.prefetch(order + AHEAD, order + AHEAD // 2)
            if group_of[order.out] != g:
                self.release_after(g)
                g = group_of[order.out]
                self.move(g)
            self.visit(order, g)
            order.out += self.groups[g].shift
        machine.cost += self.groups[group_of[machine.cost]].shift
        for i in range(machine.n_watched):
            machine.watched[i] += self.groups[group_of[machine.watched[i]]].shift
        return 0

    cdef int make_room(self, int* first_of) except -1:
        cdef Py_ssize_t g, n = self.machine.n_groups
        cdef int largest = 1
        cdef Group* group
        self.groups = <Group*>block((n + 1) * sizeof(Group) + self.machine.n_tables)
        self.seen = <char*>(self.groups + n + 1)
        for g in range(n + 1):
            group = self.groups + g
            group.first = first_of[g] if g > OF_INPUTS else 0  # those before stay where they are
            group.shift, group.last, group.dying = 0, NOT_READ, NOWHERE
            if g > OF_INPUTS + 1:
                largest = max(largest, group.first - (group - 1).first)
        make_holes(&self.holes, largest, n)
        memset(self.seen, 0, self.machine.n_tables)
        return 0

    cdef inline void prefetch(self, Order* far, Order* near) noexcept:
        """Which groups the first two operands of an order are of, and those of a nearer one."""
        PREFETCH(self.group_of + far.x)
        PREFETCH(self.group_of + far.y)
        if near.sx != INDEXED:
            PREFETCH(self.groups + self.group_of[near.x])
        if near.sy != INDEXED and near.y >= 0 and near.code != LOOKUP:
            PREFETCH(self.groups + self.group_of[near.y])

    cdef inline void visit(self, Order* order, int g) noexcept:
        """Note what an order of group g reads, and for how long; or, when groups are `moving`, where that stands."""
        cdef int kept = 0
        cdef bint x_stays, y_stays
        cdef Py_ssize_t k
        cdef Dot* dot
        cdef int* term
        if order.how and not (self.moving or order.n_slopes):
            kept = read_on_the_way_back(order.code, order.number)
        x_stays, y_stays = kept & READS_X, kept & READS_Y
        if order.how == 1 and not self.moving:
            self.groups[g].last = STAYS_ALONE
        elif kept & READS_OUT:
            self.stays(order.out)
        if order.code == LOOKUP:
            self.operand(&order.x, 0, 1, g, x_stays)
            if not self.seen[order.y]:
                self.seen[order.y] = True
                for k in range(order.z):
                    if self.machine.tables[order.y + k] >= 0:
                        self.operand(self.machine.tables + order.y + k, 0, 1, g, False)
            return
        self.operand(&order.x, order.sx, order.n, g, x_stays)
        if order.y >= 0:
            self.operand(&order.y, order.sy, order.n, g, y_stays)
        if order.z >= 0:
            self.operand(&order.z, order.sz, order.n, g, False)
        dot = self.machine.dots + order.dot if order.code == DOT else NULL
        for k in range(dot.K if dot is not NULL and dot.table >= 0 else 0):
            term = self.machine.tables + dot.table + 4 * k
            self.operand(term, term[2], order.n, g, x_stays)
            self.operand(term + 1, term[3], order.n, g, y_stays)

    cdef inline void operand(self, int* at, int stride, int n, int g, bint stays) noexcept:
        """What n rows read; if they find it side by side, it is of one group."""
        cdef int i
        if stride != INDEXED:
            self.place(at, g, stays)
            return
        for i in range(n):
            self.place(self.machine.tables + at[0] + i, g, stays)

    cdef inline void place(self, int* place, int g, bint stays) noexcept:
        cdef Group* read = self.groups + self.group_of[place[0]]
        if self.moving:
            place[0] += read.shift
        elif stays:
            self.stays(place[0])
        elif read.last == NOT_READ:  # from the last order to the first
            read.last = g

    cdef inline void stays(self, int place) noexcept:
        cdef Group* group = self.groups + self.group_of[place]
        if group.last != STAYS_ALONE:
            group.last = STAYS

    cdef void move(self, int g) noexcept:
        """Give a group its places."""
        cdef Machine machine = self.machine
        cdef Group* group = self.groups + g
        cdef Group* last
        cdef int size = group[1].first - group.first
        cdef int place = taken(&self.holes, size) if group.last != STAYS_ALONE else NOWHERE
        if place < 0:
            place = <int>machine.n_places
            machine.n_places += size
        group.shift = place - group.first
        machine.first_of[machine.n_groups] = place
        machine.n_groups += 1
        if group.last >= 0:
            last = self.groups + group.last
            group.last, last.dying = last.dying, g

    cdef void release_after(self, int g) noexcept:
        """The places are free of what group g was the last to read."""
        cdef int dying = self.groups[g].dying
        cdef Group* group
        while dying >= 0:
            group = self.groups + dying
            give_back(&self.holes, group.first + group.shift, group[1].first - group.first)
            dying = group.last

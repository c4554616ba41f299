# How steps become orders: see _machine.pxi.

cdef enum:  # what an addition is, if nothing else uses what it adds
    ALONE, OF_PRODUCTS, OF_TERMS

cdef enum:
    UNPLACED = 1 << 30  # UNPLACED + k is the place of constant k before an order reads it: its place is beside those
                        # of the constants that are read with it


cdef enum:
    FEW_ROWS = 4  # fewer take less time one by one than in a loop over rows, which has to be called
    MANY_ROWS = 8  # so many whose operands stand side by side are an order of their own
    N_KINDS = 8 * N_CODES
    FEW_TO_SORT = 64
    OFTEN = 16  # how many times as many steps must meet on another level
    COST_OF_AN_ORDER = 16  # about the times that an order takes and a row more whose operand stands apart from the next
    COST_APART = 3  # row's, or whose operands are found through the tables
    COST_BY_TABLES = 4

cdef struct Sorted:
    unsigned long long key
    int row


cdef void* grown(void* memory, Py_ssize_t needed, Py_ssize_t* room, Py_ssize_t size) except NULL:
    """Memory with room for at least that many things of a size, a quarter more than before if there is too little."""
    if memory is not NULL and needed <= room[0]:
        return memory
    cdef Py_ssize_t wanted = max(needed, room[0] + room[0] // 4, 16)
    memory = PyMem_Realloc(memory, wanted * size)
    if memory is NULL:
        raise MemoryError
    room[0] = wanted
    return memory


cdef class Schedule:
    """Writes the orders of a machine."""

    cdef Machine machine
    cdef int[:, ::1] steps
    cdef double[::1] numbers
    cdef int[::1] tables
    # of the table of lookups that begins at a place in the tables: the first step that looks it up, or −1; what is found
    # out for all its lookups at once; where the machine has it, or −1
    cdef int[::1] first_lookup, of_table, written
    cdef Py_ssize_t n_slots
    cdef void* memory  # of the arrays with a number for each slot or each step, which are large
    cdef int* maker  # the step that computes a slot, or −1
    cdef char* how  # for each slot whether a gradient from the cost reaches it, as in Order
    cdef char* kind  # of each addition
    cdef char* absorbed  # the steps that are part of a chain of additions
    cdef int* terms  # how many terms the chain has that ends with an addition
    cdef int* place  # of each slot, −1 − k for parameter k if it has none
    cdef int* group_of  # for each place
    cdef int* first_of  # for each group its first place, after the last one the end
    cdef double[::1] constants
    cdef int[::1] place_of  # of each constant, −1 if it has none yet
    cdef Py_ssize_t n_constants  # how many have a place
    cdef int one  # the place of the constant 1
    cdef Py_ssize_t n_places, n_dots, n_tables, room_for_orders, room_for_dots, room_for_tables
    cdef char* bare  # whether such a chain begins with a product: then it is added to nothing
    cdef int* level  # of each slot
    cdef int* late  # the level on which it would have to be known at the latest
    cdef int* columns  # the operands' places of steps that could be rows of one order, step after step
    cdef Sorted* sorted
    cdef Sorted* other
    cdef int* rows  # the sequence of those steps, and the best one
    cdef int* best
    cdef Py_ssize_t room_for_columns, room_for_sorted, room_for_other, room_for_rows, room_for_best

    def __dealloc__(self):
        PyMem_Free(self.memory)
        PyMem_Free(self.group_of)
        PyMem_Free(self.first_of)
        PyMem_Free(self.columns)
        PyMem_Free(self.sorted)
        PyMem_Free(self.other)
        PyMem_Free(self.rows)
        PyMem_Free(self.best)

    def __init__(
        self, Machine machine, steps, numbers, tables, Py_ssize_t n_slots, constant_slots, constants, int cost, watched,
    ):
        cdef Py_ssize_t s
        self.machine, self.steps, self.numbers, self.tables = machine, steps, numbers, tables
        self.make_room(n_slots)
        for s in range(self.steps.shape[0]):
            self.maker[self.steps[s, 1]] = <int>s
        self.first_lookup, self.of_table, self.written = (np.full(len(tables), -1, np.int32) for _ in range(3))
        for s in range(self.steps.shape[0] - 1, -1, -1):
            if self.steps[s, 0] == LOOKUP:
                self.first_lookup[self.steps[s, 3]] = <int>s
        self.find_way_back(cost)
        self.find_chains(cost, watched)
        self.place_leaves(constant_slots, constants, cost, watched)
        self.write()
        machine.cost = self.settled(self.place[cost])
        machine.n_watched = len(watched)
        machine.watched = <int*>block(machine.n_watched * sizeof(int))
        for s in range(machine.n_watched):
            machine.watched[s] = self.settled(self.place[<int>watched[s]])
        PyMem_Free(self.memory)
        self.memory = NULL
        Reuse().give(machine, self.group_of, self.first_of)

    cdef int make_room(self, Py_ssize_t n_slots) except -1:
        """All arrays in one block, which can have huge pages."""
        cdef Py_ssize_t n = self.steps.shape[0], ints = 4 * n_slots + n, k
        self.n_slots = n_slots
        self.memory = block(ints * sizeof(int) + n_slots + 3 * n)
        self.maker = <int*>self.memory
        self.place, self.level, self.late = (
            self.maker + n_slots, self.maker + 2 * n_slots, self.maker + 3 * n_slots
        )
        self.terms = self.maker + 4 * n_slots
        self.how = <char*>(self.maker + ints)
        self.kind = self.how + n_slots
        self.absorbed, self.bare = self.kind + n, self.kind + 2 * n
        memset(self.terms, 0, n * sizeof(int) + n_slots + 3 * n)
        for k in range(n_slots):
            self.maker[k] = -1
        return 0

    cdef inline bint is_shared(self, Py_ssize_t s) noexcept:
        """Whether a lookup has the table of the first one whose table begins there."""
        return self.steps[self.first_lookup[self.steps[s, 3]], 4] == self.steps[s, 4]

    cdef int find_way_back(self, int cost) except -1:
        """As `cut_off` in engine/graph.py."""
        cdef Py_ssize_t s, k
        cdef int code, slot
        cdef char how
        self.how[cost] = 2
        for s in range(self.steps.shape[0] - 1, -1, -1):
            code = self.steps[s, 0]
            how = self.how[self.steps[s, 1]]
            if not how:
                continue
            if code == LOOKUP:
                if self.is_shared(s) and self.of_table[self.steps[s, 3]] > 0:
                    continue
                for k in range(self.steps[s, 4]):
                    slot = self.tables[self.steps[s, 3] + k]
                    self.how[slot] = max(self.how[slot], 1)
                if self.is_shared(s):
                    self.of_table[self.steps[s, 3]] = 1
                continue
            for k in range(3):
                if has_gradient_of(code, self.numbers[s], <int>k):
                    slot = self.steps[s, 2 + k]
                    self.how[slot] = max(self.how[slot], how)
        return 0

    cdef int find_chains(self, int cost, watched) except -1:
        """Find the additions that can be terms of a longer one, and the products in them."""
        cdef Py_ssize_t s, k, n = self.steps.shape[0]
        cdef int code, x, y, i
        cdef bint x_product, y_product
        cdef char[::1] uses = np.zeros(self.n_slots, np.int8)  # at most 2 count
        uses[cost] = 2
        for i in watched:
            uses[i] = 2
        for k in range(self.tables.shape[0]):
            uses[self.tables[k]] = 2
        for s in range(n):
            for k in range(1 if self.steps[s, 0] == LOOKUP else arity(self.steps[s, 0])):
                i = self.steps[s, 2 + k]
                uses[i] += uses[i] < 2
        for s in range(n):
            if self.steps[s, 0] != _ops.ADD or self.how[self.steps[s, 1]] == 1:
                continue
            x, y = self.steps[s, 2], self.steps[s, 3]
            x_product = uses[x] == 1 and self.maker[x] >= 0 and self.steps[self.maker[x], 0] == _ops.MULTIPLY
            y_product = uses[y] == 1 and self.maker[y] >= 0 and self.steps[self.maker[y], 0] == _ops.MULTIPLY
            if x_product and y_product:
                self.kind[s], self.terms[s], self.bare[s] = OF_PRODUCTS, 2, True
                self.absorbed[self.maker[x]] = self.absorbed[self.maker[y]] = True
                continue
            if x_product:  # what is added to stands first
                x, y = y, x
            if x_product or y_product:
                self.kind[s], self.terms[s] = OF_PRODUCTS, 1
                self.absorbed[self.maker[y]] = True
                if self.is_sum(x, uses) and self.kind[self.maker[x]] == OF_PRODUCTS:
                    self.absorbed[self.maker[x]] = True
                    self.terms[s] += self.terms[self.maker[x]]
                    self.bare[s] = self.bare[self.maker[x]]
            else:
                if not self.is_sum(x, uses) or self.kind[self.maker[x]] == OF_PRODUCTS:
                    x, y = y, x
                if self.is_sum(x, uses) and self.kind[self.maker[x]] != OF_PRODUCTS:
                    self.kind[s] = OF_TERMS
                    self.absorbed[self.maker[x]] = True
                    self.terms[s] = 1 + max(self.terms[self.maker[x]], 1)
                else:
                    x, y = self.steps[s, 2], self.steps[s, 3]
            self.steps[s, 2], self.steps[s, 3] = x, y
        return 0

    cdef inline bint is_sum(self, int slot, char[::1] uses) noexcept:
        cdef int s = self.maker[slot]
        return s >= 0 and uses[slot] == 1 and self.steps[s, 0] == _ops.ADD

    cdef int place_leaves(self, constant_slots, constants, int cost, watched) except -1:
        """Give the parameters that a step reads, the constants and the inputs their places."""
        cdef Machine machine = self.machine
        cdef Py_ssize_t s, k, n = self.steps.shape[0]
        cdef int i
        cdef char[::1] is_read = np.zeros(self.n_slots, np.int8)
        cdef const int[::1] slots = np.ascontiguousarray(constant_slots, np.int32)
        is_read[cost] = True
        for i in watched:
            is_read[i] = True
        for s in range(n):
            for k in range(1 if self.steps[s, 0] == LOOKUP else arity(self.steps[s, 0])):
                is_read[self.steps[s, 2 + k]] = True
        for k in range(machine.n_parameters):
            self.place[k] = <int>(-1 - k)
            machine.n_read += is_read[k]
        machine.read = <int*>block(machine.n_read * sizeof(int))
        for k in range(machine.n_parameters):
            if is_read[k]:
                machine.read[self.n_places] = <int>k
                self.place[k] = <int>self.n_places
                self.n_places += 1
        machine.n_constants = len(constants) + 1
        machine.constants = <double*>block(machine.n_constants * sizeof(double))
        self.constants = np.append(np.asarray(constants, np.float64), 1.0)
        self.place_of = np.full(machine.n_constants, -1, np.int32)
        for k in range(machine.n_constants - 1):
            self.place[slots[k]] = <int>(UNPLACED + k)
        for k in range(machine.n_constants):
            machine.constants[k] = 0.0
        self.n_places += machine.n_constants
        self.one = self.settled(<int>(UNPLACED + machine.n_constants - 1))
        machine.n_uniform = self.n_places
        for k in range(machine.n_inputs):
            self.place[machine.n_parameters + k] = <int>self.n_places
            self.n_places += 1
        return 0

    cdef inline int settled(self, int place) noexcept:
        """The place of a constant, found if it has none yet; any other as it is."""
        if place < UNPLACED:
            return place
        cdef int k = place - UNPLACED
        if self.place_of[k] < 0:
            self.machine.constants[self.n_constants] = self.constants[k]
            self.place_of[k] = <int>(self.machine.n_read + self.n_constants)
            self.n_constants += 1
        return self.place_of[k]

    cdef inline int placed(self, int slot) noexcept:
        """The place of a slot; UNPLACED + k for constant k without one."""
        cdef int place = self.place[slot]
        return place if place < UNPLACED or self.place_of[place - UNPLACED] < 0 else self.place_of[place - UNPLACED]

    cdef int find_levels(self) except -1:
        """Level and latest level of each slot. What is part of a chain counts as its end. Returns the highest level.

        A step's level is the earliest, or the latest where many more steps meet there: what a recurrence reads is
        computed before it for all its steps together, and what is computed from them after it.
        """
        cdef Py_ssize_t s, k, n = self.steps.shape[0]
        cdef int level, latest, highest = 0, slot, at, most = 0
        cdef int[::1] early, late
        memset(self.level, 0, self.n_slots * sizeof(int))
        for s in range(n):
            level = self.highest_operand(s) + (not self.absorbed[s])
            self.level[self.steps[s, 1]] = level
            highest = max(highest, level)
        for k in range(self.n_slots):
            self.late[k] = highest
        self.of_table[:] = highest
        early, late = np.zeros(highest + 1, np.int32), np.zeros(highest + 1, np.int32)  # how many steps are there
        for s in range(n - 1, -1, -1):
            level = self.late[self.steps[s, 1]]
            early[self.level[self.steps[s, 1]]] += not self.absorbed[s]
            late[level] += not self.absorbed[s]
            most = max(most, late[level])
            if self.steps[s, 0] == LOOKUP:
                at = self.steps[s, 3]
                if self.is_shared(s):
                    self.of_table[at] = latest = min(self.of_table[at], level - 1)
                else:
                    latest = level - 1
                for k in range(self.steps[s, 4] if s == self.first_lookup[at] or not self.is_shared(s) else 0):
                    slot = self.tables[at + k]
                    self.late[slot] = min(self.late[slot], latest)
            for k in range(1 if self.steps[s, 0] == LOOKUP else arity(self.steps[s, 0])):
                slot = self.steps[s, 2 + k]
                if self.maker[slot] >= 0 and self.absorbed[self.maker[slot]]:
                    self.late[slot] = level
                else:
                    self.late[slot] = min(self.late[slot], level - 1)
        for s in range(n if most > OFTEN else 0):
            slot = self.steps[s, 1]
            level, latest = self.highest_operand(s) + (not self.absorbed[s]), self.late[slot]
            if not self.absorbed[s] and late[latest] > OFTEN * early[self.level[slot]]:
                level = latest
            self.level[slot] = level
        return highest

    cdef inline int highest_operand(self, Py_ssize_t s) noexcept:
        """The highest level of a step's operands."""
        cdef int result = 0
        cdef Py_ssize_t k
        cdef int at
        if self.steps[s, 0] == LOOKUP:
            at = self.steps[s, 3]
            if s != self.first_lookup[at] and self.is_shared(s):
                return max(self.of_table[at], self.level[self.steps[s, 2]])
            for k in range(self.steps[s, 4]):
                result = max(result, self.level[self.tables[at + k]])
            if s == self.first_lookup[at]:
                self.of_table[at] = result
            return max(result, self.level[self.steps[s, 2]])
        for k in range(arity(self.steps[s, 0])):
            result = max(result, self.level[self.steps[s, 2 + k]])
        return result

    cdef int write(self) except -1:
        """Write the orders level by level, and of each level kind by kind."""
        cdef Machine machine = self.machine
        cdef Py_ssize_t s, k, n = self.steps.shape[0], n_kept = 0, i, j
        cdef int level, kind, highest = self.find_levels()
        cdef int[::1] kept, by_level, start
        cdef short[::1] kinds = np.empty(n, np.int16)  # of steps: those of one kind can be rows of one order
        for s in range(n):
            n_kept += not self.absorbed[s]
        self.group_of = <int*>block((self.n_places + n_kept) * sizeof(int))
        self.first_of = <int*>block((highest + OF_INPUTS + 2) * sizeof(int))
        machine.n_groups = OF_INPUTS + 1
        for k in range(self.n_places):
            self.group_of[k] = (
                OF_PARAMETERS if k < machine.n_read else OF_CONSTANTS if k < machine.n_uniform else OF_INPUTS
            )
        machine.dots = <Dot*>grown(machine.dots, 1, &self.room_for_dots, sizeof(Dot))
        memset(machine.dots, 0, sizeof(Dot))
        machine.dots[0].K, machine.dots[0].table = 1, NOWHERE
        self.n_dots = 1
        start = np.zeros(N_KINDS + 1, np.int32)
        kept = np.empty(n_kept, np.int32)
        by_level = np.empty(n_kept, np.int32)
        for s in range(n):
            kinds[s] = <short>(
                8 * (DOT if self.terms[s] else self.steps[s, 0]) + 2 * self.how[self.steps[s, 1]] + self.bare[s]
            )
            if not self.absorbed[s]:
                start[kinds[s] + 1] += 1
        for k in range(N_KINDS):
            start[k + 1] += start[k]
        for s in range(n):
            if not self.absorbed[s]:
                kind = kinds[s]
                kept[start[kind]] = <int>s
                start[kind] += 1
        start = np.zeros(highest + 2, np.int32)
        for i in range(n_kept):
            start[self.level[self.steps[kept[i], 1]] + 1] += 1
        for k in range(highest + 1):
            start[k + 1] += start[k]
        for i in range(n_kept):
            level = self.level[self.steps[kept[i], 1]]
            by_level[start[level]] = kept[i]
            start[level] += 1
        # as many orders as there can be, so that they are never moved: the system gives memory only where it is used
        machine.orders = <Order*>grown(NULL, n_kept, &self.room_for_orders, sizeof(Order))
        ask_for_huge_pages(machine.orders, n_kept * sizeof(Order))
        i = 0
        for level in range(1, highest + 1):
            self.first_of[machine.n_groups] = <int>self.n_places
            while i < start[level]:
                if i + AHEAD < n_kept:
                    s = by_level[i + AHEAD]
                    PREFETCH(&self.place[self.steps[s, 2]])
                    PREFETCH(&self.place[self.steps[s, 3]])
                kind = kinds[by_level[i]]
                j = i + 1
                while j < start[level] and kinds[by_level[j]] == kind:
                    j += 1
                self.write_alike(&by_level[i], j - i, kind // 8)
                i = j
            machine.n_groups += 1
        self.first_of[machine.n_groups] = <int>self.n_places
        machine.n_places, machine.n_tables = self.n_places, self.n_tables
        machine.n_results = self.n_places - machine.n_uniform - machine.n_inputs
        if machine.n_orders:
            machine.orders = <Order*>PyMem_Realloc(machine.orders, machine.n_orders * sizeof(Order))
        return 0

    cdef inline long long number_of(self, int s) noexcept:
        """What steps that are rows of one order have in common beside the operation: terms, or the operation's number."""
        cdef long long result
        if self.terms[s]:
            return self.terms[s]
        memcpy(&result, &self.numbers[s], sizeof(result))
        return result

    cdef int write_alike(self, int* steps, Py_ssize_t n, int code) except -1:
        """Write the orders of steps with one operation."""
        cdef Py_ssize_t i, j
        cdef long long number = self.number_of(steps[0])
        if code == LOOKUP or n < FEW_ROWS or self.how[self.steps[steps[0], 1]] == 1:
            for i in range(n):
                self.write_rows(steps + i, 1, code)
            return 0
        for i in range(n):
            if self.number_of(steps[i]) != number:
                break
        else:
            return self.write_rows(steps, n, code)
        self.make_room_to_sort(n)
        for i in range(n):
            self.sorted[i].key, self.sorted[i].row = <unsigned long long>self.number_of(steps[i]), steps[i]
        self.sort(n)
        for i in range(n):
            steps[i] = self.sorted[i].row
        i = 0
        while i < n:
            j = i + 1
            while j < n and self.number_of(steps[j]) == self.number_of(steps[i]):
                j += 1
            self.write_rows(steps + i, j - i, code)
            i = j
        return 0

    cdef int make_room_to_sort(self, Py_ssize_t n) except -1:
        self.sorted = <Sorted*>grown(self.sorted, n, &self.room_for_sorted, sizeof(Sorted))
        self.other = <Sorted*>grown(self.other, n, &self.room_for_other, sizeof(Sorted))
        self.rows = <int*>grown(self.rows, n, &self.room_for_rows, sizeof(int))
        self.best = <int*>grown(self.best, n, &self.room_for_best, sizeof(int))
        return 0

    cdef int write_rows(self, int* steps, Py_ssize_t n, int code) except -1:
        """Write the orders of steps that could be rows of one, in the sequence in which most stand side by side."""
        cdef Py_ssize_t i, j, c, C, K = self.terms[steps[0]], left = 0
        C = 0 if code == LOOKUP else 2 * K + (not self.bare[steps[0]]) if K else arity(code)
        if n == 1 and K == 0 and C:
            return self.write_single(steps[0], code, C)
        self.columns = <int*>grown(self.columns, n * C, &self.room_for_columns, sizeof(int))
        for i in range(n):
            self.read_columns(steps[i], self.columns + i * C, K, C)
        self.make_room_to_sort(n)
        if n == 1:
            self.rows[0] = 0
            return self.write_order(steps, self.rows, 1, code, K, C)
        for c in range(C):
            self.share_constants(self.columns + c, n, C)
        self.find_sequence(steps, n, code, K, C)
        i = 0
        while i < n:
            j = i + 1
            while j < n and self.continues(self.rows + i, self.rows + j, code, K, C):
                j += 1
            if self.are_enough(j - i, n, K):
                self.write_order(steps, self.rows + i, j - i, code, K, C)
            else:
                for c in range(i, j):
                    self.best[left] = self.rows[c]
                    left += 1
            i = j
        if left >= FEW_ROWS:
            return self.write_order(steps, self.best, left, code, K, C)
        for i in range(left):
            self.write_order(steps, self.best + i, 1, code, K, C)
        return 0

    cdef int write_single(self, int s, int code, Py_ssize_t C) except -1:
        """Write an order of one step, which is no chain and no lookup."""
        cdef int[3] columns
        cdef Order* order = self.next_order(s, 1, code, 0)
        self.read_columns(s, columns, 0, C)
        order.x = self.settled(columns[0])
        if C > 1:
            order.y = self.settled(columns[1])
        if C > 2:
            order.z = self.settled(columns[2])
        self.group_of[self.n_places] = <int>self.machine.n_groups
        self.place[self.steps[s, 1]] = <int>self.n_places
        self.n_places += 1
        return 0

    cdef inline int rank(self, int slot) noexcept:
        cdef int place = self.place[slot]
        return 0 if place < self.machine.n_uniform else 1 if place < UNPLACED else 2

    cdef inline void factors(self, int s, int* x, int* y) noexcept:
        """The places of a step's first two operands; of those that can be exchanged parameters come first, new
        constants last."""
        cdef int first = self.steps[s, 2], second = self.steps[s, 3]
        if commutes(self.steps[s, 0]) and self.rank(second) < self.rank(first):
            first, second = second, first
        x[0], y[0] = self.placed(first), self.placed(second)

    cdef void read_columns(self, int s, int* columns, Py_ssize_t K, Py_ssize_t C) noexcept:
        """The places of a step's operands: of a chain those of its terms in order, then of what they are added to."""
        cdef Py_ssize_t k
        cdef bint products = self.kind[s] == OF_PRODUCTS
        cdef int below
        if not K:
            if C > 1:
                self.factors(s, columns, columns + 1)
            elif C:
                columns[0] = self.placed(self.steps[s, 2])
            if C > 2:
                columns[2] = self.placed(self.steps[s, 4])
            return
        for k in range(K - 1, -1, -1):
            if products:
                self.factors(self.maker[self.steps[s, 3]], columns + 2 * k, columns + 2 * k + 1)
            else:
                columns[2 * k], columns[2 * k + 1] = self.placed(self.steps[s, 3]), self.one
            below = self.maker[self.steps[s, 2]]
            if below < 0 or not self.absorbed[below]:
                columns[2 * K] = self.placed(self.steps[s, 2])
                return
            s = below
            if self.steps[s, 0] == _ops.MULTIPLY:
                self.factors(s, columns, columns + 1)
                return
            if not self.terms[s]:
                columns[0], columns[1] = self.placed(self.steps[s, 3]), self.one
                columns[2 * K] = self.placed(self.steps[s, 2])
                return

    cdef inline bint is_constant(self, int place) noexcept:
        return place >= UNPLACED or self.machine.n_read <= place < self.machine.n_uniform

    cdef inline long long constant(self, int place) noexcept:
        """The bits of a constant."""
        cdef long long result
        memcpy(
            &result, &self.constants[place - UNPLACED] if place >= UNPLACED
            else self.machine.constants + place - self.machine.n_read, sizeof(result),
        )
        return result

    cdef void share_constants(self, int* column, Py_ssize_t n, Py_ssize_t C) noexcept:
        """If all rows have the same constant, let them read it in one place."""
        cdef Py_ssize_t i
        if not self.is_constant(column[0]):
            return
        for i in range(1, n):
            if not self.is_constant(column[i * C]) or self.constant(column[i * C]) != self.constant(column[0]):
                return
        column[0] = self.settled(column[0])
        for i in range(1, n):
            column[i * C] = column[0]

    cdef int find_sequence(self, int* steps, Py_ssize_t n, int code, Py_ssize_t K, Py_ssize_t C) noexcept:
        """Sort the rows so that they take the least time: as recorded, by x, by when they are needed, by y, or along the
        diagonals in which both go up."""
        cdef Py_ssize_t i, least = 0, found
        cdef int sequence, x, y, chosen = 0
        for i in range(n):
            self.rows[i] = <int>i
        for sequence in range(5 if C > 1 else 2):
            for i in range(n if sequence else 0):
                x = self.columns[self.rows[i] * C]
                y = self.columns[self.rows[i] * C + 1] if C > 1 else 0
                self.sorted[i].row = self.rows[i]
                if sequence == 1:
                    self.sorted[i].key = (<unsigned long long>x << 32) + <unsigned long long>y
                elif sequence == 2:  # what is needed on one level stays in the sequence by x
                    self.sorted[i].key = <unsigned long long>self.late[self.steps[steps[self.rows[i]], 1]]
                elif sequence == 3:
                    self.sorted[i].key = (<unsigned long long>y << 32) + <unsigned long long>x
                else:
                    self.sorted[i].key = (<unsigned long long>(<long long>y - x + (<long long>1 << 31)) << 32) + <unsigned long long>x
            if sequence:
                self.sort(n)
                for i in range(n):
                    self.rows[i] = self.sorted[i].row
            found = self.cost(n, code, K, C)
            if sequence == 0 or found < least:
                least, chosen = found, sequence
                memcpy(self.best, self.rows, n * sizeof(int))
            if least <= COST_OF_AN_ORDER or least * 16 < n:
                break
        if sequence != chosen:
            memcpy(self.rows, self.best, n * sizeof(int))
        return 0

    cdef void sort(self, Py_ssize_t n) noexcept:
        """Sort by key; what has the same key stays in sequence."""
        cdef Py_ssize_t i, j
        cdef Py_ssize_t[2049] start
        cdef int bits = 11 if n > 8192 else 8, size = 1 << bits, shift = 0, k
        cdef Sorted one
        cdef unsigned long long differing = 0
        if n <= FEW_TO_SORT:
            for i in range(1, n):
                one = self.sorted[i]
                j = i
                while j > 0 and self.sorted[j - 1].key > one.key:
                    self.sorted[j] = self.sorted[j - 1]
                    j -= 1
                self.sorted[j] = one
            return
        for i in range(1, n):
            differing |= self.sorted[i].key ^ self.sorted[0].key
        while shift < 64 and differing >> shift:
            if not differing >> shift & (size - 1):
                shift += bits
                continue
            memset(start, 0, (size + 1) * sizeof(start[0]))
            for i in range(n):
                start[(self.sorted[i].key >> shift & (size - 1)) + 1] += 1
            for k in range(size):
                start[k + 1] += start[k]
            for i in range(n):
                j = start[self.sorted[i].key >> shift & (size - 1)]
                start[self.sorted[i].key >> shift & (size - 1)] = j + 1
                self.other[j] = self.sorted[i]
            shift += bits
            self.sorted, self.other = self.other, self.sorted
            self.room_for_sorted, self.room_for_other = self.room_for_other, self.room_for_sorted

    cdef Py_ssize_t cost(self, Py_ssize_t n, int code, Py_ssize_t K, Py_ssize_t C) noexcept:
        """About what the rows take in this sequence."""
        cdef Py_ssize_t i = 0, j, c, result = 0, apart
        while i < n:
            j = i + 1
            while j < n and self.continues(self.rows + i, self.rows + j, code, K, C):
                j += 1
            if self.are_enough(j - i, n, K):
                apart = 0
                for c in range(min(C, 3) if j - i > 1 else 0):
                    apart += not 0 <= self.stride(self.columns[self.rows[i] * C + c], self.columns[self.rows[i + 1] * C + c]) <= 1
                result += COST_OF_AN_ORDER + (j - i) * apart * COST_APART
            else:
                result += (j - i) * COST_BY_TABLES
            i = j
        return result

    cdef inline bint are_enough(self, Py_ssize_t rows, Py_ssize_t n, Py_ssize_t K) noexcept:
        """Whether so many of n rows are an order of their own."""
        return rows >= MANY_ROWS or rows == n or (K > 1 and rows >= FEW_ROWS)

    cdef inline int stride(self, int place, int following) noexcept:
        return 1 if place >= UNPLACED and following > place else following - place

    cdef inline bint in_step(self, int place, int following, int by) noexcept:
        """Whether two places are that far apart and in one group; those of new constants can be anywhere."""
        if place >= UNPLACED or following >= UNPLACED:
            return place >= UNPLACED and following >= UNPLACED and self.stride(place, following) == by
        return following - place == by and self.group_of[place] == self.group_of[following]

    cdef inline bint can_be(self, int stride, int code, Py_ssize_t C) noexcept:
        """Whether the loops over rows can read an operand with that stride."""
        return code == DOT or stride == 1 or (stride == 0 and C > 1)

    cdef bint continues(self, int* first, int* row, int code, Py_ssize_t K, Py_ssize_t C) noexcept:
        """Whether a row is the next one of the order that begins with `first`."""
        cdef int* a = self.columns + first[0] * C
        cdef int* b = self.columns + first[1] * C
        cdef int* before = self.columns + (row - 1)[0] * C
        cdef int* after = self.columns + row[0] * C
        cdef Py_ssize_t c
        cdef int by
        for c in range(C):
            by = self.stride(a[c], b[c])
            if not self.in_step(before[c], after[c], by) or not self.can_be(by, code, C):
                return False
        return True

    cdef Order* next_order(self, int s, Py_ssize_t n, int code, Py_ssize_t K) except NULL:
        """An order for n rows, of which step s is one, without operands."""
        cdef Machine machine = self.machine
        cdef Order* order
        machine.orders = <Order*>grown(machine.orders, machine.n_orders + 1, &self.room_for_orders, sizeof(Order))
        order = machine.orders + machine.n_orders
        memset(order, 0, sizeof(Order))
        machine.n_orders += 1
        order.n, order.out, order.how = <int>n, <int>self.n_places, self.how[self.steps[s, 1]]
        order.code, order.y, order.z = <short>code, NOWHERE, NOWHERE
        if code == DOT:
            order.K = <int>K
        else:
            order.number = self.numbers[s]
        order.n_slopes = slopes_kept(code, self.numbers[s]) if order.how else 0
        order.slope = <int>machine.n_slopes
        machine.n_slopes += n * order.n_slopes
        return order

    cdef int write_order(self, int* steps, int* rows, Py_ssize_t n, int code, Py_ssize_t K, Py_ssize_t C) except -1:
        """Write an order. Operands that do not stand side by side are found through the tables."""
        cdef Machine machine = self.machine
        cdef Py_ssize_t i, c
        cdef int s = steps[rows[0]]
        cdef Order* order = self.next_order(s, n, code, K)
        for c in range(C):
            for i in range(n):
                self.columns[rows[i] * C + c] = self.settled(self.columns[rows[i] * C + c])
        if code == LOOKUP:
            self.write_lookup(order, s)
        elif K > 1:
            self.write_terms(order, rows, n, K, C)
        else:
            self.write_operand(&order.x, &order.sx, rows, n, code, 0, C)
            if C > 1:
                self.write_operand(&order.y, &order.sy, rows, n, code, 1, C)
            if C > 2:
                self.write_operand(&order.z, &order.sz, rows, n, code, 2, C)
        for i in range(n):
            self.group_of[self.n_places] = <int>machine.n_groups
            self.place[self.steps[steps[rows[i]], 1]] = <int>self.n_places
            self.n_places += 1
        return 0

    cdef int* more_tables(self, Py_ssize_t n) except NULL:
        """Room for n more numbers in the tables."""
        self.machine.tables = <int*>grown(self.machine.tables, self.n_tables + n, &self.room_for_tables, sizeof(int))
        self.n_tables += n
        return self.machine.tables + self.n_tables - n

    cdef int write_lookup(self, Order* order, int s) except -1:
        cdef Machine machine = self.machine
        cdef Py_ssize_t k
        cdef int place
        cdef int* table
        order.x = self.settled(self.place[self.steps[s, 2]])
        order.z = self.steps[s, 4]
        if self.is_shared(s) and self.written[self.steps[s, 3]] >= 0:
            order.y = self.written[self.steps[s, 3]]
            return 0
        order.y = <int>self.n_tables
        if self.is_shared(s):
            self.written[self.steps[s, 3]] = order.y
        table = self.more_tables(order.z)
        for k in range(order.z):
            place = self.settled(self.place[self.tables[self.steps[s, 3] + k]])
            if place >= 0 and place < machine.n_read:
                place = -1 - machine.read[place]
            table[k] = place
            machine.has_rows |= place < 0
        return 0

    cdef int write_operand(self, int* at, int* stride, int* rows, Py_ssize_t n, int code, Py_ssize_t c, Py_ssize_t C) except -1:
        """Where the rows find an operand: its first place and the stride, or where the tables have its places."""
        cdef int* column = self.columns + c
        cdef int* table
        cdef Py_ssize_t i
        at[0], stride[0] = column[rows[0] * C], 0
        if n == 1:
            return 0
        stride[0] = column[rows[1] * C] - at[0]
        for i in range(1, n):
            if not self.in_step(column[rows[i - 1] * C], column[rows[i] * C], stride[0]):
                break
        else:
            if self.can_be(stride[0], code, C):
                return 0
        at[0], stride[0] = <int>self.n_tables, INDEXED
        table = self.more_tables(n)
        for i in range(n):
            table[i] = column[rows[i] * C]
        return 0

    cdef int write_terms(self, Order* order, int* rows, Py_ssize_t n, Py_ssize_t K, Py_ssize_t C) except -1:
        """The operands of a chain: where the first term's are and how far they go up, or a table of all terms'."""
        cdef int* first = self.columns + rows[0] * C
        cdef Dot* dot
        cdef int* table
        cdef Py_ssize_t k
        cdef int x, y, sx, sy
        self.machine.dots = <Dot*>grown(self.machine.dots, self.n_dots + 1, &self.room_for_dots, sizeof(Dot))
        order.dot = <int>self.n_dots
        dot = self.machine.dots + self.n_dots
        self.n_dots += 1
        dot.K, dot.kx, dot.ky, dot.table = <int>K, first[2] - first[0], first[3] - first[1], NOWHERE
        dot.indexed = False
        if C > 2 * K:
            self.write_operand(&order.z, &order.sz, rows, n, DOT, 2 * K, C)
        order.x, order.y = first[0], first[1]
        if n > 1:
            order.sx, order.sy = self.columns[rows[1] * C] - first[0], self.columns[rows[1] * C + 1] - first[1]
        if self.go_up_together(order, dot, rows, n, C):
            return 0
        order.sx = order.sy = 0
        dot.table = <int>self.n_tables
        self.more_tables(4 * K)
        for k in range(K):
            self.write_operand(&x, &sx, rows, n, LOOKUP, 2 * k, C)
            self.write_operand(&y, &sy, rows, n, LOOKUP, 2 * k + 1, C)
            table = self.machine.tables + dot.table + 4 * k
            table[0], table[1], table[2], table[3] = x, y, sx, sy
            dot.indexed |= sx == INDEXED or sy == INDEXED
        return 0

    cdef bint go_up_together(self, Order* order, Dot* dot, int* rows, Py_ssize_t n, Py_ssize_t C) noexcept:
        """Whether the factors of all terms go up by the same from term to term, and by the same from row to row."""
        cdef Py_ssize_t i, k
        cdef int* row
        cdef int* before
        for i in range(n):
            row = self.columns + rows[i] * C
            for k in range(1, dot.K):
                if not self.in_step(row[2 * k - 2], row[2 * k], dot.kx) or not self.in_step(row[2 * k - 1], row[2 * k + 1], dot.ky):
                    return False
            if i > 0:
                before = self.columns + rows[i - 1] * C
                if not self.in_step(before[0], row[0], order.sx) or not self.in_step(before[1], row[1], order.sy):
                    return False
        return True

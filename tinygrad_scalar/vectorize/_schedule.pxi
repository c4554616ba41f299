# How steps become orders: see _machine.pxi.

cdef enum:  # what an addition is, if nothing else uses what it adds
    ALONE, OF_PRODUCTS, OF_TERMS

cdef enum:
    UNPLACED = 1 << 30  # UNPLACED + k is the place of constant k before an order reads it: its place is beside those
                        # of the constants that are read with it


cdef enum:
    FEW_ROWS = 4  # fewer take less time one by one than in a loop over rows, which has to be called


cdef class Schedule:
    """Writes the orders of a machine."""

    cdef Machine machine
    cdef int[:, ::1] steps
    cdef double[::1] numbers
    cdef int[::1] tables
    cdef int[::1] maker  # the step that computes a slot, or −1
    cdef char[::1] how  # for each slot whether a gradient from the cost reaches it, as in Order
    cdef char[::1] kind  # of each addition
    cdef char[::1] absorbed  # the steps that are part of a chain of additions
    cdef int[::1] terms  # how many terms the chain has that ends with an addition
    cdef int[::1] place  # of each slot, −1 − k for parameter k if it has none
    cdef double[::1] constants
    cdef Py_ssize_t n_constants  # how many have a place
    cdef int one  # the place of the constant 1
    cdef Py_ssize_t n_places, n_dots, n_tables

    def __init__(
        self, Machine machine, steps, numbers, tables, Py_ssize_t n_slots, constant_slots, constants, int cost, watched,
    ):
        cdef Py_ssize_t s
        self.machine, self.steps, self.numbers, self.tables = machine, steps, numbers, tables
        self.maker = np.full(n_slots, -1, np.int32)
        for s in range(self.steps.shape[0]):
            self.maker[self.steps[s, 1]] = <int>s
        self.find_way_back(cost)
        self.find_chains(cost, watched)
        self.place_leaves(constant_slots, constants, cost, watched)
        self.write()
        machine.cost = self.settle(cost)
        machine.n_watched = len(watched)
        machine.watched = <int*>block(machine.n_watched * sizeof(int))
        for s in range(machine.n_watched):
            machine.watched[s] = self.settle(<int>watched[s])

    cdef int find_way_back(self, int cost) except -1:
        """As `cut_off` in engine/graph.py."""
        cdef Py_ssize_t s, k
        cdef int code, slot
        cdef char how
        self.how = np.zeros(self.maker.shape[0], np.int8)
        self.how[cost] = 2
        for s in range(self.steps.shape[0] - 1, -1, -1):
            code = self.steps[s, 0]
            how = self.how[self.steps[s, 1]]
            if not how:
                continue
            if code == LOOKUP:
                for k in range(self.steps[s, 4]):
                    slot = self.tables[self.steps[s, 3] + k]
                    self.how[slot] = max(self.how[slot], 1)
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
        cdef int[::1] uses = np.zeros(self.maker.shape[0], np.int32)
        self.kind, self.absorbed = np.zeros(n, np.int8), np.zeros(n, np.int8)
        self.terms = np.zeros(n, np.int32)
        uses[cost] += 2
        for i in watched:
            uses[i] += 2
        for k in range(self.tables.shape[0]):
            uses[self.tables[k]] += 2
        for s in range(n):
            for k in range(1 if self.steps[s, 0] == LOOKUP else arity(self.steps[s, 0])):
                uses[self.steps[s, 2 + k]] += 1
        for s in range(n):
            if self.steps[s, 0] != _ops.ADD or self.how[self.steps[s, 1]] == 1:
                continue
            x, y = self.steps[s, 2], self.steps[s, 3]
            x_product = uses[x] == 1 and self.maker[x] >= 0 and self.steps[self.maker[x], 0] == _ops.MULTIPLY
            y_product = uses[y] == 1 and self.maker[y] >= 0 and self.steps[self.maker[y], 0] == _ops.MULTIPLY
            if x_product and y_product:
                self.kind[s], self.terms[s] = OF_PRODUCTS, 2
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

    cdef inline bint is_sum(self, int slot, int[::1] uses) noexcept:
        cdef int s = self.maker[slot]
        return s >= 0 and uses[slot] == 1 and self.steps[s, 0] == _ops.ADD

    cdef int place_leaves(self, constant_slots, constants, int cost, watched) except -1:
        """Give the parameters that a step reads, the constants and the inputs their places."""
        cdef Machine machine = self.machine
        cdef Py_ssize_t s, k, n = self.steps.shape[0]
        cdef int i
        cdef char[::1] is_read = np.zeros(self.maker.shape[0], np.int8)
        self.place = np.empty(self.maker.shape[0], np.int32)
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
        self.constants = np.array([*constants, 1.0])
        for k in range(machine.n_constants - 1):
            self.place[<int>constant_slots[k]] = <int>(UNPLACED + k)
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
        self.machine.constants[self.n_constants] = self.constants[place - UNPLACED]
        self.n_constants += 1
        return <int>(self.machine.n_read + self.n_constants - 1)

    cdef inline int settle(self, int slot) noexcept:
        self.place[slot] = self.settled(self.place[slot])
        return self.place[slot]

    cdef int write(self) except -1:
        """Write the orders, window by window and level by level."""
        cdef Machine machine = self.machine
        cdef Py_ssize_t s, k, n = self.steps.shape[0], n_kept = 0, first, highest, i, j
        cdef int level
        cdef int[::1] kept, those, level_of, start, by_level
        cdef Key* keys
        for s in range(n):
            n_kept += not self.absorbed[s]
            if self.terms[s] and not self.absorbed[s]:
                self.n_tables += 4 * self.terms[s]
                self.n_dots += 1
        for s in range(n):
            if self.steps[s, 0] == LOOKUP:
                self.n_tables += self.steps[s, 4]
        machine.orders = <Order*>block(n_kept * sizeof(Order))
        machine.dots = <Dot*>block(self.n_dots * sizeof(Dot))
        machine.tables = <int*>block(self.n_tables * sizeof(int))
        machine.group_of = <int*>block((self.n_places + n_kept) * sizeof(int))
        machine.first_of = <int*>block((n_kept + 2) * sizeof(int))
        machine.n_groups = 2
        machine.first_of[OF_UNIFORM], machine.first_of[OF_INPUTS] = 0, <int>machine.n_uniform
        for k in range(self.n_places):
            machine.group_of[k] = OF_UNIFORM if k < machine.n_uniform else OF_INPUTS
        self.n_dots = self.n_tables = 0
        kept = np.flatnonzero(np.asarray(self.absorbed) == 0).astype(np.int32)
        level_of = np.zeros(self.maker.shape[0], np.int32)  # of slots; those from before the window are on level 0
        start = np.zeros(WINDOW + 3, np.int32)
        by_level = np.empty(WINDOW, np.int32)
        keys = <Key*>block(WINDOW * sizeof(Key))
        try:
            for first in range(0, n_kept, WINDOW):
                those = kept[first : first + WINDOW]
                highest = self.find_levels(those, level_of, start)
                for i in range(1, highest + 2):
                    start[i] += start[i - 1]
                for i in range(those.shape[0]):
                    level = level_of[self.steps[those[i], 1]]
                    by_level[start[level]] = those[i]
                    start[level] += 1
                i = 0
                for k in range(1, highest + 1):
                    for j in range(i, start[k]):
                        self.make_key(by_level[j], keys + j - i)
                    self.write_level(keys, start[k] - i)
                    i = start[k]
                start[: highest + 3] = 0
                for i in range(those.shape[0]):
                    level_of[self.steps[those[i], 1]] = 0
        finally:
            PyMem_Free(keys)
        machine.n_places, machine.n_tables = self.n_places, self.n_tables
        return 0

    cdef int find_levels(self, int[::1] those, int[::1] level_of, int[::1] start) noexcept:
        """The level of each of those steps, and in start[level + 1] how many are on it; returns the highest."""
        cdef int level, highest = 0
        cdef Py_ssize_t i
        for i in range(those.shape[0]):
            level = self.level(those[i], level_of) + 1
            level_of[self.steps[those[i], 1]] = level
            start[level + 1] += 1
            highest = max(highest, level)
        return highest

    cdef int level(self, int s, int[::1] level_of) noexcept:
        """The highest level of a step's operands."""
        cdef int result = 0, slot
        cdef Py_ssize_t k
        if self.terms[s]:
            while True:
                slot = self.steps[s, 3]
                if self.kind[s] == OF_PRODUCTS:
                    result = max(result, self.level_of_factors(self.maker[slot], level_of))
                else:
                    result = max(result, level_of[slot])
                slot = self.steps[s, 2]
                if self.maker[slot] < 0 or not self.absorbed[self.maker[slot]]:
                    return max(result, level_of[slot])
                s = self.maker[slot]
                if self.steps[s, 0] == _ops.MULTIPLY:
                    return max(result, self.level_of_factors(s, level_of))
                if not self.terms[s]:
                    return max(result, max(level_of[self.steps[s, 2]], level_of[self.steps[s, 3]]))
        if self.steps[s, 0] == LOOKUP:
            for k in range(self.steps[s, 4]):
                result = max(result, level_of[self.tables[self.steps[s, 3] + k]])
            return max(result, level_of[self.steps[s, 2]])
        for k in range(arity(self.steps[s, 0])):
            result = max(result, level_of[self.steps[s, 2 + k]])
        return result

    cdef inline int level_of_factors(self, int s, int[::1] level_of) noexcept:
        return max(level_of[self.steps[s, 2]], level_of[self.steps[s, 3]])

    cdef inline void operands(self, int s, int* x, int* y) noexcept:
        """The slots of two operands; of those that can be exchanged parameters come first and new constants last."""
        x[0], y[0] = self.steps[s, 2], self.steps[s, 3]
        if commutes(self.steps[s, 0]) and self.rank(y[0]) < self.rank(x[0]):
            x[0], y[0] = y[0], x[0]

    cdef inline int rank(self, int slot) noexcept:
        cdef int place = self.place[slot]
        return 0 if place < self.machine.n_uniform else 1 if place < UNPLACED else 2

    cdef void chain(self, int s, int* x, int* y, int* z) noexcept:
        """The slots of a chain's terms, in order, and of what they are added to, or −1; −1 as a factor is 1."""
        cdef Py_ssize_t k
        cdef bint products = self.kind[s] == OF_PRODUCTS
        cdef int below
        for k in range(self.terms[s] - 1, -1, -1):
            if products:
                self.operands(self.maker[self.steps[s, 3]], x + k, y + k)
            else:
                x[k], y[k] = self.steps[s, 3], NOWHERE
            below = self.maker[self.steps[s, 2]]
            if below < 0 or not self.absorbed[below]:
                z[0] = self.steps[s, 2]
                return
            s = below
            if self.steps[s, 0] == _ops.MULTIPLY:
                self.operands(s, x, y)
                z[0] = NOWHERE
                return
            if not self.terms[s]:
                x[0], y[0], z[0] = self.steps[s, 3], NOWHERE, self.steps[s, 2]
                return

    cdef int make_key(self, int s, Key* key) except -1:
        cdef int code = self.steps[s, 0]
        cdef Py_ssize_t k, K = self.terms[s]
        cdef int* x
        cdef int* y
        cdef double number = self.numbers[s]
        key.step, key.kx, key.ky, key.number = s, 0, 0, 0
        key.slots[0], key.slots[1], key.slots[2] = self.steps[s, 2], NOWHERE, NOWHERE
        if K == 1:
            self.chain(s, &key.slots[0], &key.slots[1], &key.slots[2])
            code = DOT
        elif K:
            x = <int*>block(2 * K * sizeof(int))
            y = x + K
            self.chain(s, x, y, &key.slots[2])
            key.slots[0], key.slots[1] = x[0], y[0]
            for k in range(K):
                x[k] = self.settle(x[k])
                y[k] = self.settle(y[k]) if y[k] >= 0 else self.one
            if key.slots[2] >= 0:
                self.settle(key.slots[2])
            key.kx, key.ky = x[1] - x[0], y[1] - y[0]
            code = DOT
            for k in range(1, K):
                if not self.in_step(x[k - 1], x[k], key.kx) or not self.in_step(y[k - 1], y[k], key.ky):
                    code = DOT + N_CODES  # by a table
                    break
            PyMem_Free(x)
        elif code != LOOKUP:
            if arity(code) > 1:
                self.operands(s, &key.slots[0], &key.slots[1])
            if arity(code) > 2:
                key.slots[2] = self.steps[s, 4]
        if K:
            key.number = K
        else:
            memcpy(&key.number, &number, sizeof(number))
        key.kind = 4 * code + self.how[self.steps[s, 1]]
        self.read_places(key, False)
        return 0

    cdef inline void read_places(self, Key* key, bint settle) noexcept:
        cdef int k
        for k in range(3):
            if settle and key.slots[k] >= 0:
                self.settle(key.slots[k])
        key.x = self.place[key.slots[0]]
        key.y = self.place[key.slots[1]] if key.slots[1] >= 0 else self.one if key.kind // 4 % N_CODES == DOT else NOWHERE
        key.z = self.place[key.slots[2]] if key.slots[2] >= 0 else NOWHERE

    cdef inline bint in_step(self, int place, int following, int by) noexcept:
        """Whether two places are that far apart and in one group; those of new constants can be anywhere."""
        if place >= UNPLACED or following >= UNPLACED:
            return place >= UNPLACED and following >= UNPLACED
        return following - place == by and self.machine.group_of[place] == self.machine.group_of[following]

    cdef int write_level(self, Key* keys, Py_ssize_t n) except -1:
        """Write the orders of a level; what it computes is one group."""
        cdef Machine machine = self.machine
        cdef Py_ssize_t i = 0, j
        for i in range(n):
            keys[i].first, keys[i].second = keys[i].x, keys[i].y
        if n > 1:
            qsort(keys, n, sizeof(Key), by_key)
        machine.first_of[machine.n_groups] = <int>self.n_places
        i = 0
        while i < n:
            j = i + 1
            while j < n and keys[j].kind == keys[i].kind and keys[j].number == keys[i].number:
                j += 1
            self.write_alike(keys + i, j - i)
            i = j
        machine.n_groups += 1
        return 0

    cdef int write_alike(self, Key* keys, Py_ssize_t n) except -1:
        """Write the orders of steps that could be rows of one, in the sequence in which the rows are longest."""
        cdef Py_ssize_t i, j, fewest, found
        cdef int code = <int>(keys[0].kind // 4), best = 0, sequence
        cdef bint together = code != LOOKUP and keys[0].kind % 4 != 1
        if together and n > 2 and (code == DOT or arity(code) > 1) and keys[0].slots[1] >= 0:
            fewest = self.count_orders(keys, n, code)
            for sequence in range(1, 3):
                if fewest == 1:
                    break
                self.sort(keys, n, sequence)
                found = self.count_orders(keys, n, code)
                if found < fewest:
                    best, fewest = sequence, found
            if best != 2:
                self.sort(keys, n, best)
        i = 0
        while i < n:
            self.read_places(keys + i, True)
            if code >= N_CODES:
                j = i + self.write_tables(keys + i, n - i if together else 1)
                self.write_order(keys + i, j - i, code)
                i = j
                continue
            j = i + 1
            while together and j < n:
                self.read_places(keys + j, True)
                if not self.continues(keys + i, keys + j, code):
                    break
                j += 1
            if j - i < FEW_ROWS and (code != DOT or keys[i].number == 1):
                j = i + 1
            self.write_order(keys + i, j - i, code)
            i = j
        return 0

    cdef void sort(self, Key* keys, Py_ssize_t n, int sequence) noexcept:
        """By x, by y, or along the diagonals in which both go up."""
        cdef Py_ssize_t i
        for i in range(n):
            keys[i].first = keys[i].x if sequence == 0 else keys[i].y if sequence == 1 else keys[i].y - keys[i].x
            keys[i].second = keys[i].y if sequence == 0 else keys[i].x
        qsort(keys, n, sizeof(Key), by_key)

    cdef Py_ssize_t count_orders(self, Key* keys, Py_ssize_t n, int code) noexcept:
        cdef Py_ssize_t i = 0, j, count = 0
        while i < n:
            j = i + 1
            while j < n and self.continues(keys + i, keys + j, code):
                j += 1
            count += 1
            i = j
        return count

    cdef inline int stride(self, int place, int following) noexcept:
        return 1 if place >= UNPLACED and following > place else following - place

    cdef bint continues(self, Key* first, Key* key, int code) noexcept:
        """Whether a step is the next row of the order that begins with `first`."""
        cdef Key* previous = key - 1
        cdef int sx = self.stride(previous.x, key.x), sy = self.stride(previous.y, key.y)
        cdef int sz = self.stride(previous.z, key.z)
        if key.kind != first.kind or key.number != first.number:
            return False
        if previous != first and (
            sx != self.stride(first.x, first[1].x)
            or sy != self.stride(first.y, first[1].y)
            or sz != self.stride(first.z, first[1].z)
        ):
            return False
        if not self.in_step(previous.x, key.x, sx):
            return False
        if code == DOT:
            if key.kx != first.kx or key.ky != first.ky or (key.z < 0) != (first.z < 0):
                return False
            return self.in_step(previous.y, key.y, sy) and (key.z < 0 or self.in_step(previous.z, key.z, sz))
        if arity(code) == 1:
            return sx == 1
        if not 0 <= sx <= 1 or not 0 <= sy <= 1 or not self.in_step(previous.y, key.y, sy):
            return False
        if arity(code) == 2:
            return sx + sy > 0
        return 0 <= sz <= 1 and self.in_step(previous.z, key.z, sz) and sx + sy + sz > 0

    cdef int write_order(self, Key* first, Py_ssize_t n, int code) except -1:
        cdef Machine machine = self.machine
        cdef Order* order = machine.orders + machine.n_orders
        cdef Dot* dot
        cdef Py_ssize_t k
        cdef int s = first.step
        memset(order, 0, sizeof(Order))
        machine.n_orders += 1
        order.n, order.out, order.how, order.number = <int>n, <int>self.n_places, first.kind % 4, self.numbers[s]
        order.code, order.x, order.y, order.z = code % N_CODES, first.x, first.y, first.z
        if n > 1:
            order.sx, order.sy, order.sz = first[1].x - first.x, first[1].y - first.y, first[1].z - first.z
        if order.code == LOOKUP:
            order.y, order.z = <int>self.n_tables, self.steps[s, 4]
            for k in range(order.z):
                machine.tables[self.n_tables + k] = self.settle(self.tables[self.steps[s, 3] + k])
                if machine.tables[self.n_tables + k] >= 0 and machine.tables[self.n_tables + k] < machine.n_read:
                    machine.tables[self.n_tables + k] = -1 - machine.read[machine.tables[self.n_tables + k]]
                machine.has_rows |= machine.tables[self.n_tables + k] < 0
            self.n_tables += order.z
        elif order.code == DOT:
            order.dot = <int>self.n_dots
            dot = machine.dots + self.n_dots
            self.n_dots += 1
            dot.K, dot.kx, dot.ky, dot.table = <int>first.number, first.kx, first.ky, NOWHERE
            order.K = dot.K
            if code != DOT:
                dot.table = <int>self.n_tables
                self.n_tables += 4 * dot.K
        order.n_slopes = slopes_kept(order.code, order.number) if order.how else 0
        order.slope = <int>machine.n_slopes
        machine.n_slopes += n * order.n_slopes
        for k in range(n):
            machine.group_of[self.n_places] = <int>machine.n_groups
            self.place[self.steps[first[k].step, 1]] = <int>self.n_places
            self.n_places += 1
        return 0

    cdef Py_ssize_t write_tables(self, Key* keys, Py_ssize_t n) except -1:
        """The table of chains whose terms go up together: for each term its two places, and how far they go up from row
        to row. Returns how many chains."""
        cdef Py_ssize_t K = <Py_ssize_t>keys.number, k, j = 1
        cdef int* table = self.machine.tables + self.n_tables
        cdef int* before = <int*>block(4 * K * sizeof(int))
        cdef int* after = before + 2 * K
        self.factors(keys.step, before, before + K)
        for k in range(K):
            table[4 * k], table[4 * k + 1] = before[k], before[K + k]
            table[4 * k + 2] = table[4 * k + 3] = 0
        while j < n:
            self.read_places(keys + j, True)
            if (keys[j].z < 0) != (keys.z < 0) or (
                keys.z >= 0
                and not (
                    self.in_step(keys[j - 1].z, keys[j].z, keys[1].z - keys.z) and 0 <= keys[1].z - keys.z <= 1
                )
            ):
                break
            self.factors(keys[j].step, after, after + K)
            for k in range(2 * K):
                if j == 1 and not 0 <= after[k] - before[k] <= 1:
                    break
                if not self.in_step(before[k], after[k], after[k] - before[k] if j == 1 else table[self.column(k, K) + 2]):
                    break
            else:
                for k in range(2 * K):
                    table[self.column(k, K) + 2] = after[k] - before[k]
                memcpy(before, after, 2 * K * sizeof(int))
                j += 1
                continue
            break
        PyMem_Free(before)
        return j

    cdef inline Py_ssize_t column(self, Py_ssize_t k, Py_ssize_t K) noexcept:
        return 4 * k if k < K else 4 * (k - K) + 1

    cdef int factors(self, int s, int* x, int* y) except -1:
        """The places of a chain's terms."""
        cdef int z
        cdef Py_ssize_t k
        self.chain(s, x, y, &z)
        for k in range(self.terms[s]):
            x[k] = self.settle(x[k])
            y[k] = self.settle(y[k]) if y[k] >= 0 else self.one
        return 0

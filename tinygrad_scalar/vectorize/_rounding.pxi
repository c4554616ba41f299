# `rounding.Rounded` in C: a graph is computed again, every operation rounded anew, in less than its trace takes.
# rounding.py says what is computed and why, and has the same in Python, which is what runs without a compiler.

cdef enum:
    LEAF = 0  # what the numbers in `kinds` mean
    SUM = 1
    DIFFERENCE = 2
    EXACT = 3
    ROUNDED = 4
    UNCERTAIN = 5
    ABSORBED = 6  # a partial sum that belongs to a longer one


@cython.final
cdef class Rounded:
    cdef unsigned char[::1] kind
    cdef const int[::1] codes, leaves
    cdef const int[::1] code_of
    cdef const double[::1] constant_of
    cdef int[::1] first_term, first_amount, terms, received
    cdef signed char[::1] signs
    cdef unsigned char[::1] reached
    cdef double[::1] data, slopes, amounts, scratch
    cdef double epsilon, noise, slope_noise, lost, tiny, strength
    cdef unsigned long long state

    def __init__(self, tape, leaves, kinds, codes, constants, noises):
        """For each name of the tape its kind, its code in _ops.pxd and its constant; rounding.py's sizes of noise."""
        n = len(tape.codes)
        self.codes, self.leaves = tape.codes, np.asarray(leaves, np.int32)
        self.code_of, self.constant_of = np.array([*codes, 0], np.int32), np.array([*constants, 0.0])
        self.kind = np.array([*kinds, LEAF], np.uint8)[tape.codes]  # a leaf has the code −1
        self.epsilon, self.noise, self.slope_noise, self.lost, self.tiny = noises
        self.flatten(tape.starts, tape.operands)
        self.first_amount = self.places_of_amounts()
        self.data, self.received, self.reached = tape.data.copy(), np.empty(n, np.int32), np.empty(n, np.uint8)
        self.slopes, self.amounts = np.empty(len(self.terms)), np.empty(len(self.terms))
        self.scratch = np.empty(1 + np.diff(self.first_term).max(initial=2))

    cdef places_of_amounts(self):
        """Where the contributions to each node's gradient stand, which are as many as it is a term."""
        cdef Py_ssize_t i, n = self.kind.shape[0]
        cdef int[::1] first = np.zeros(n + 1, np.int32)
        for i in range(self.terms.shape[0]):
            first[self.terms[i] + 1] += 1
        for i in range(n):
            first[i + 1] += first[i]
        return first

    cdef flatten(self, const int[::1] starts, const int[::1] operands):
        """The terms of each operation; a chain of + and − whose partial sums are used nowhere else is one sum."""
        cdef Py_ssize_t n = self.kind.shape[0], i, e, x, at
        cdef unsigned char[::1] uses = np.zeros(n, np.uint8)  # 2 stands for more
        cdef int[::1] head = np.arange(n, dtype=np.int32)
        cdef signed char[::1] sign = np.ones(n, np.int8)
        cdef int[::1] first_term = np.zeros(n + 1, np.int32)
        cdef int[::1] count = first_term[1:]
        for i in range(n):
            for e in range(starts[i], starts[i + 1]):
                x = operands[e]
                if uses[x] < 2:
                    uses[x] += 1
                if self.kind[x] in (SUM, DIFFERENCE):
                    head[x] = <int>i
                    sign[x] = -1 if self.kind[i] == DIFFERENCE and e > starts[i] else 1
        for i in range(n - 1, -1, -1):
            if self.kind[i] in (SUM, DIFFERENCE) and head[i] != i:
                x = head[i]
                if uses[i] == 1 and self.kind[x] in (SUM, DIFFERENCE, ABSORBED):
                    head[i] = head[x]
                    sign[i] *= sign[x]
                    continue
            head[i] = <int>i
            sign[i] = 1
        for i in range(n):
            for e in range(starts[i], starts[i + 1]):
                x = operands[e]
                if head[x] == x:
                    count[head[i]] += 1
        for i in range(n):
            first_term[i + 1] += first_term[i]
        self.first_term = first_term
        self.terms, self.signs = np.empty(first_term[n], np.int32), np.empty(first_term[n], np.int8)
        cdef int[::1] next_term = first_term[:n].copy()
        for i in range(n):
            for e in range(starts[i], starts[i + 1]):
                x = operands[e]
                if head[x] == x:
                    at = next_term[head[i]]
                    next_term[head[i]] += 1
                    self.terms[at] = <int>x
                    self.signs[at] = -sign[i] if self.kind[i] == DIFFERENCE and e > starts[i] else sign[i]
        for i in range(n):
            if head[i] != i:
                self.kind[i] = ABSORBED

    def again(self):
        """The value, followed by the gradient."""
        cdef Py_ssize_t n = self.kind.shape[0], k, x
        results = np.zeros(1 + self.leaves.shape[0])
        cdef double[::1] result = results
        with nogil:
            k = self.bits() >> 62
            self.strength = 1.0 if k < 2 else 1.0 / 32.0 if k == 2 else 0.0  # 0: sums in another order, and no more
            self.forwards()
            self.backwards()
            result[0] = self.data[n - 1]
            for k in range(self.leaves.shape[0]):
                x = self.leaves[k]
                if x == n - 1:
                    result[1 + k] = 1.0
                elif x >= 0:
                    result[1 + k] = self.sum_of(&self.amounts[0] + self.first_amount[x], self.received[x])
        return results

    cdef void forwards(self) noexcept nogil:
        cdef Py_ssize_t i, e, first, k
        cdef double x[3]
        cdef double d[3]
        cdef int kind, code, count
        for i in range(self.kind.shape[0]):
            kind = self.kind[i]
            if kind == LEAF or kind == ABSORBED:
                continue
            first, count = self.first_term[i], <int>(self.first_term[i + 1] - self.first_term[i])
            if kind == SUM or kind == DIFFERENCE:
                for k in range(count):
                    self.slopes[first + k] = self.signs[first + k]
                    self.scratch[k] = self.signs[first + k] * self.data[self.terms[first + k]]
                self.data[i] = self.sum_of(&self.scratch[0], count)
                continue
            for k in range(count):
                x[k] = self.data[self.terms[first + k]]
                if kind == UNCERTAIN:
                    x[k] = self.moved(x[k], self.noise)
            code = self.code_of[self.codes[i]]
            if code == _ops.WHERE:
                self.data[i] = x[1] if x[0] != 0.0 else x[2]
                d[0] = 0.0
                d[1] = 1.0 if x[0] != 0.0 else 0.0
                d[2] = 1.0 - d[1]
            elif code == _ops.BINARY_ENTROPY:
                _ops.binary_entropy(x[0], x[1], x[2], &self.data[i], d)
            elif count == 2:
                _ops.binary(<Code>code, x[0], x[1], &self.data[i], d, d + 1)
            else:
                _ops.unary(<Code>code, self.constant_of[self.codes[i]], x[0], &self.data[i], d)
            if kind != EXACT:
                self.data[i] = self.moved(self.data[i], self.noise)
            if code == _ops.LOGADDEXP and isfinite(self.data[i]):  # LOG_OF_A_SUM
                self.data[i] += self.noise * self.strength * self.uniform()
            for k in range(count):
                self.slopes[first + k] = d[k]

    cdef void backwards(self) noexcept nogil:
        """Each operation's contributions to its operands' gradients; an operation that no gradient reaches has none."""
        cdef Py_ssize_t n = self.kind.shape[0], i, e, x
        cdef double upstream, amount, noise, constant
        cdef int kind
        cdef Code code
        self.received[:] = 0
        self.reached[:] = 0
        self.reached[n - 1] = 1
        for i in range(n - 1, -1, -1):
            kind = self.kind[i]
            if kind == LEAF or kind == ABSORBED or not self.reached[i]:
                continue
            upstream = 1.0
            if i < n - 1:
                upstream = self.sum_of(&self.amounts[0] + self.first_amount[i], self.received[i])
            code, constant = <Code>self.code_of[self.codes[i]], self.constant_of[self.codes[i]]
            noise = 0.0 if kind in (SUM, DIFFERENCE, EXACT) else self.slope_noise
            for e in range(self.first_term[i], self.first_term[i + 1]):
                x = self.terms[e]
                amount = self.slopes[e] * upstream
                if amount != amount and self.slopes[e] == 0.0 and _ops.piecewise(code, constant):
                    amount = 0.0
                self.amounts[self.first_amount[x] + self.received[x]] = self.moved(amount, noise)
                self.received[x] += 1
                if not (_ops.detached(code, constant) or (code == _ops.WHERE and e == self.first_term[i])):
                    self.reached[x] = 1

    cdef inline unsigned long long bits(self) noexcept nogil:
        """64 random bits: splitmix64 (Steele, Lea and Flood, Fast splittable pseudorandom number generators, 2014)."""
        cdef unsigned long long z
        self.state += 0x9E3779B97F4A7C15ULL
        z = self.state
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL
        return z ^ (z >> 31)

    cdef inline double uniform(self) noexcept nogil:
        """A number from −1 to 1."""
        return <double>(self.bits() >> 11) * 2.0**-52 - 1.0

    cdef inline double moved(self, double number, double noise) noexcept nogil:
        if noise == 0.0 or not isfinite(number):
            return number
        return number + (fabs(number) * noise + self.tiny) * self.strength * self.uniform()

    cdef double sum_of(self, double* terms, int n) noexcept nogil:
        """A sum in a random order, moved by up to what its terms can lose."""
        cdef double total = 0.0, size = 0.0, few = 0.0, noise
        cdef int k, other
        if n < 2:
            return terms[0] if n else 0.0
        for k in range(n - 1, 0 if n > 2 else n, -1):
            other = <int>(self.bits() % <unsigned long long>(k + 1))
            terms[k], terms[other] = terms[other], terms[k]
        for k in range(n):
            total += terms[k]
            size += fabs(terms[k])
        if not isfinite(size):
            return total
        if fabs(total) <= size * self.lost and self.uniform() < -0.5:
            for k in range(n):
                if fabs(terms[k]) <= size * self.lost:
                    few += terms[k]
            return few
        noise = max(self.noise, n * self.epsilon)
        return total + ((fabs(total) if n == 2 else size) * noise + self.tiny) * self.strength * self.uniform()

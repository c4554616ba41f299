# cython: language_level=3, binding=False, cdivision=True, boundscheck=False, wraparound=False, initializedcheck=False
"""The loops of group.py over all nodes, in C: each takes a few nanoseconds a node, and memory in proportion.

group.py says what is computed and why, and has the same in Python, which is what runs without a compiler.
"""

cimport cython
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Malloc, PyMem_Realloc
from libc.math cimport fabs, isfinite
from libc.stdlib cimport qsort
from libc.string cimport memcmp, memcpy, memset
from tinygrad_scalar.engine cimport _ops
from tinygrad_scalar.engine._ops cimport Code

import numpy as np

from tinygrad_scalar.engine._value import CODES as CODES

include "_rounding.pxi"

# --- step 1 -----------------------------------------------------------------------------------------------------------


def chains(
    const int[::1] codes, const int[::1] starts, const int[::1] operands, const signed char[::1] kind,
    int minus, const unsigned char[::1] closed, const unsigned char[::1] zero, roots,
):
    """The results of `chains._chains`, as a tuple; `minus` is the code of subtraction, or −2."""
    cdef Py_ssize_t n = codes.shape[0], i, e, first, x
    cdef bint lone
    absorbed_ = np.zeros(n, np.bool_)
    fold_ = np.full(n, -1, np.int8)
    starts_ = np.empty(n + 1, np.int32)
    cdef unsigned char[::1] absorbed = absorbed_.view(np.uint8)
    cdef signed char[::1] fold = fold_
    cdef int[::1] term_starts = starts_
    # the last user of each node, how many it has (at most 2 count), whether one reads it on the right, then its head
    cdef int[::1] head = np.zeros(n, np.int32)
    cdef unsigned char[::1] uses = np.zeros(n, np.uint8)
    cdef signed char[::1] sign = np.ones(n, np.int8)
    cdef int[::1] nodes_of = np.zeros(n, np.int32)  # in the chain of each head
    cdef long long total = 0
    for root in roots:
        uses[<Py_ssize_t>root] = 2
    for i in range(n):
        first = starts[i]
        for e in range(first, starts[i + 1]):
            x = operands[e]
            head[x] = <int>i
            if uses[x] < 2:
                uses[x] += 1
            sign[x] = -1 if e == first + 1 and codes[i] == minus else 1
            if (e == first + 1 and kind[i] in (1, 2, 4, 5)) or closed[codes[i]]:
                uses[x] = 2  # in a tie (a, (b, c)) shares the gradient unlike ((a, b), c): only the latter is a fold
    for i in range(n - 1, -1, -1):
        absorbed[i] = uses[i] == 1 and kind[i] >= 0 and kind[head[i]] == kind[i]
        if absorbed[i]:
            sign[i] *= sign[head[i]]
            head[i] = head[head[i]]
        else:
            sign[i] = 1
            head[i] = <int>i
        nodes_of[head[i]] += 1
    for i in range(n):
        if kind[i] >= 0 and not absorbed[i]:
            first = starts[i]
            lone = nodes_of[i] == 1 and starts[i + 1] == first + 2
            if not (lone and (codes[i] == minus or kind[i] == 0 and zero[operands[first + 1]])):
                fold[i] = kind[i]
    cdef int[::1] count = nodes_of  # from here on the terms of each head
    count[:] = 0
    for i in range(n):
        if fold[head[i]] < 0:
            continue
        for e in range(starts[i], starts[i + 1]):
            x = operands[e]
            if not absorbed[x] and not (kind[i] == 0 and zero[x]):
                count[head[i]] += 1
    for i in range(n):
        term_starts[i] = <int>total
        total += count[i]
    term_starts[n] = <int>total
    terms_, signs_ = np.empty(total, np.int32), np.empty(total, np.int8)
    cdef int[::1] terms = terms_
    cdef signed char[::1] signs = signs_
    count[:] = 0
    for i in range(n):
        if fold[head[i]] < 0:
            continue
        first = starts[i]
        for e in range(first, starts[i + 1]):
            x = operands[e]
            if not absorbed[x] and not (kind[i] == 0 and zero[x]):
                total = term_starts[head[i]] + count[head[i]]
                count[head[i]] += 1
                terms[total] = <int>x
                signs[total] = -sign[i] if e == first + 1 and codes[i] == minus else sign[i]
    return terms_, signs_, starts_, absorbed_, fold_


# --- step 2 -----------------------------------------------------------------------------------------------------------


def is_deep(
    const int[::1] codes, const int[::1] starts, const int[::1] operands, const unsigned char[::1] is_constant,
    const unsigned char[::1] is_fold, int most,
):
    """Whether a node depends on more than `most` others, one upon the other, that are no folds and no constants."""
    cdef Py_ssize_t n = codes.shape[0], i, e
    cdef int below
    cdef int[::1] depth = np.empty(n, np.int32)  # −1 for what depends on constants alone
    for i in range(n):
        below = -1 if is_constant[i] else 0
        if codes[i] >= 0:
            below = -1
            for e in range(starts[i], starts[i + 1]):
                below = max(below, depth[operands[e]])
            below += below >= 0 and not is_fold[codes[i]]
            if below > most:
                return True
        depth[i] = below
    return False


def reached(const int[::1] starts, const int[::1] operands, const unsigned char[::1] passes, long long root, choices):
    """Which nodes a gradient from `root` reaches through the edges that pass one, and the choices."""
    cdef Py_ssize_t n = starts.shape[0] - 1, i, e
    found_ = np.zeros(n, np.bool_)
    cdef unsigned char[::1] found = found_.view(np.uint8)
    cdef set tables = set()  # that were found already
    found[root] = 1
    for i in range(n - 1, -1, -1):
        if not found[i]:
            continue
        for e in range(starts[i], starts[i + 1]):
            if passes[e]:
                found[operands[e]] = 1
        if starts[i] == starts[i + 1] and choices and i in choices and id(choices[i]) not in tables:
            tables.add(id(choices[i]))
            for entry in choices[i]:
                found[<Py_ssize_t>entry] = 1
    return found_


cdef enum:
    EVERYWHERE = 0  # regions, as in branches.py
    UNKNOWN = -1
    NOT_REACHED = -2


def reached_by_both_sides(
    const int[::1] starts, const int[::1] operands, const unsigned char[::1] passes,
    const unsigned char[::1] is_condition, const unsigned char[::1] always, const unsigned char[::1] in_branch,
):
    """The results of `branches.reached_by_both_sides`."""
    cdef Py_ssize_t n = starts.shape[0] - 1, i, e
    cdef int mine, its, x
    cdef long long side
    regions = np.full(n, NOT_REACHED, np.int32)
    cdef int[::1] region = regions
    cdef Ints conditions = Ints(), within = Ints()  # of each region: 2·condition + side, and the region around it
    cdef dict known = {}
    conditions.append(-1)
    within.append(EVERYWHERE)
    for i in range(n - 1, -1, -1):
        if not (in_branch[i] or (is_condition[i] and always[i])):
            continue
        mine = EVERYWHERE if always[i] else UNKNOWN if region[i] == NOT_REACHED else region[i]
        for e in range(starts[i], starts[i + 1]):
            x = operands[e]
            if always[x] or not passes[e]:
                continue
            its = mine
            if is_condition[i] and mine != UNKNOWN:
                side = 2 * <long long>operands[starts[i]] + (e - starts[i] - 1)
                its = known.setdefault((side << 32) + mine, conditions.size)
                if its == conditions.size:
                    conditions.append(<int>side)
                    within.append(mine)
            region[x] = its if region[x] == NOT_REACHED else in_both(region[x], its, conditions.at, within.at)
    return np.flatnonzero(regions == EVERYWHERE)


cdef inline int in_both(int first, int second, const int* conditions, const int* within) noexcept:
    """A region of what is reached in one region and in another."""
    if first == second:
        return first
    if first == EVERYWHERE or second == EVERYWHERE:
        return EVERYWHERE
    if first == UNKNOWN or second == UNKNOWN:
        return max(first, second)
    return within[first] if within[first] == within[second] and conditions[first] ^ conditions[second] == 1 else first


cdef int by_size(const void* x, const void* y) noexcept nogil:
    return ((<const int*>x)[0] > (<const int*>y)[0]) - ((<const int*>x)[0] < (<const int*>y)[0])


cdef enum:
    CONSTANT = 0
    LOOKUP = -2  # in the place of an operation's code; a fold has LOOKUP - 1 - its number in FOLDED


cdef class Ints:
    """A growing array of integers."""

    cdef int* at
    cdef Py_ssize_t size, capacity

    def __dealloc__(self):
        PyMem_Free(self.at)

    cdef int* room(self, Py_ssize_t more) except NULL:
        """Where `more` integers can be appended."""
        cdef void* grown
        if self.size + more > self.capacity:
            grown = PyMem_Realloc(self.at, 2 * (self.size + more) * sizeof(int))
            if grown is NULL:
                raise MemoryError
            self.at = <int*>grown
            self.capacity = 2 * (self.size + more)
        return self.at + self.size

    cdef int append(self, int number) except -1:
        self.room(1)[0] = number
        self.size += 1
        return 0


cdef class Palette:
    """The colours, by what they stand for.

    The content of a colour is a run of integers: how a gradient reaches its nodes, the code of their operation, and
    then its operands' colours; for a fold the colours of the terms, in order, −1 − colour where one is subtracted, each
    followed by how often it occurs unless the folds are ragged; for a lookup its argument, the number of entries and
    the entries' colours.
    """

    cdef Ints contents, ends, touched
    cdef int* table  # places by hash, of colour + 1
    cdef int* count  # of each colour in a sum, added and subtracted; 0 between sums
    cdef Py_ssize_t room_in_table, room_in_count, n_leaf_colours
    cdef bint ragged

    def __cinit__(self, Py_ssize_t n_leaf_colours, bint ragged):
        cdef Py_ssize_t i
        self.contents, self.ends, self.touched = Ints(), Ints(), Ints()
        self.room_in_table = 256
        self.table = <int*>PyMem_Calloc(self.room_in_table, sizeof(int))
        if self.table is NULL:
            raise MemoryError
        for i in range(n_leaf_colours):
            self.ends.append(0)
        self.n_leaf_colours, self.ragged = n_leaf_colours, ragged

    def __dealloc__(self):
        PyMem_Free(self.table)
        PyMem_Free(self.count)

    cdef size_t place_of(self, const int* content, Py_ssize_t size) noexcept:
        cdef unsigned long long hash = 0x9E3779B97F4A7C15ULL
        cdef Py_ssize_t i
        for i in range(size):
            hash = (hash ^ <unsigned int>content[i]) * 0xBF58476D1CE4E5B9ULL
            hash ^= hash >> 29
        return hash & (self.room_in_table - 1)

    cdef const int* content_of(self, Py_ssize_t colour) noexcept:
        return self.contents.at + (self.ends.at[colour - 1] if colour else 0)

    cdef Py_ssize_t size_of(self, Py_ssize_t colour) noexcept:
        return self.ends.at[colour] - (self.ends.at[colour - 1] if colour else 0)

    cdef int find(self, const int* content, Py_ssize_t size) noexcept:
        """The colour with this content, or −1."""
        cdef size_t place = self.place_of(content, size)
        cdef int colour
        while self.table[place]:
            colour = self.table[place] - 1
            if self.size_of(colour) == size and not memcmp(self.content_of(colour), content, size * sizeof(int)):
                return colour
            place = (place + 1) & (self.room_in_table - 1)
        return -1

    cdef int add(self, Py_ssize_t size) except -1:
        """The new colour of the content that stands behind the others'."""
        cdef Py_ssize_t colour = self.ends.size
        self.contents.size += size
        self.ends.append(<int>self.contents.size)
        if 2 * (colour + 1) > self.room_in_table:
            self._grow()
        else:
            self._enter(colour)
        return <int>colour

    cdef void _enter(self, Py_ssize_t colour) noexcept:
        cdef size_t place = self.place_of(self.content_of(colour), self.size_of(colour))
        while self.table[place]:
            place = (place + 1) & (self.room_in_table - 1)
        self.table[place] = <int>(colour + 1)

    cdef int _grow(self) except -1:
        cdef int* table = <int*>PyMem_Calloc(8 * self.room_in_table, sizeof(int))
        cdef Py_ssize_t colour
        if table is NULL:
            raise MemoryError
        PyMem_Free(self.table)
        self.table = table
        self.room_in_table *= 8
        for colour in range(self.n_leaf_colours, self.ends.size):
            self._enter(colour)
        return 0

    cdef Py_ssize_t summarise(self, Py_ssize_t size, const int* colour, const int* terms,
                              const signed char* signs, Py_ssize_t n_terms) except -1:
        """Append the summary of some terms to a content of `size` integers behind the others'; its size then."""
        cdef Py_ssize_t i, k, room = 2 * self.ends.size
        cdef void* grown
        cdef int* content
        if room > self.room_in_count:
            room *= 2
            grown = PyMem_Realloc(self.count, room * sizeof(int))
            if grown is NULL:
                raise MemoryError
            self.count = <int*>grown
            memset(self.count + self.room_in_count, 0, (room - self.room_in_count) * sizeof(int))
            self.room_in_count = room
        self.touched.size = 0
        for i in range(n_terms):
            k = 2 * colour[terms[i]] + (signs is not NULL and signs[i] < 0)
            if self.count[k] == 0:
                self.touched.append(colour[terms[i]] if k % 2 == 0 else -1 - colour[terms[i]])
            self.count[k] += 1
        qsort(self.touched.at, self.touched.size, sizeof(int), by_size)
        content = self.contents.room(size + 2 * self.touched.size) + size
        for i in range(self.touched.size):
            k = self.touched.at[i]
            content[0] = <int>k
            content += 1
            k = 2 * k if k >= 0 else 2 * (-1 - k) + 1
            if not self.ragged and signs is not NULL:
                content[0] = self.count[k]
                content += 1
            self.count[k] = 0
        return content - (self.contents.at + self.contents.size)

    def keys(self, list names, tuple folded):
        """The colours that are not leaves' as group.py writes them."""
        cdef Py_ssize_t colour, i, n, k
        cdef const int* content
        cdef list found = []
        for colour in range(self.n_leaf_colours, self.ends.size):
            content, n = self.content_of(colour), self.size_of(colour)
            if content[1] >= 0:
                if n == 4:
                    key = (names[content[1]], content[2], content[3])
                elif n == 3:
                    key = (names[content[1]], content[2])
                else:
                    key = (names[content[1]], *[content[i] for i in range(2, n)])
            elif content[1] == LOOKUP:
                key = ("lookup", tuple([content[i] for i in range(4, n)]), content[3], content[2])
            elif self.ragged:
                key = (folded[LOOKUP - 1 - content[1]], tuple([content[i] for i in range(2, n)]))
            else:
                pairs = [(content[i], content[i + 1]) for i in range(2, n, 2)]
                if sum([count for _, count in pairs]) <= 4:
                    pairs = [number for number, count in pairs for _ in range(count)]
                key = (folded[LOOKUP - 1 - content[1]], tuple(pairs))
            found.append(key)
        return found


def mark_dependents(const int[::1] starts, const int[::1] operands, unsigned char[::1] varies):
    """Mark what is computed from marked nodes: `frontier._mark_dependents`."""
    cdef Py_ssize_t i, e
    for i in range(varies.shape[0]):
        for e in range(starts[i], starts[i + 1]):
            varies[i] |= varies[operands[e]]


def paint(
    const int[::1] codes, const int[::1] starts, const int[::1] operands, const unsigned char[::1] to_paint,
    const unsigned char[::1] path, fold, terms, signs, term_starts, const unsigned char[::1] commutes,
    dict lookups, int[::1] colour, int n_arguments, bint ragged, Py_ssize_t most,
):
    """Paint the nodes until there are more than `most` colours; `colour` has the leaves' and becomes that of all.

    `path` says how a gradient reaches each node, and `commutes` which operations' operands can be swapped. Returns the
    palette, for each colour whether it is batched, and for each node whether its operands are swapped.
    """
    cdef const signed char[::1] fold_of = fold
    cdef const int[::1] term = terms
    cdef const signed char[::1] sign = signs
    cdef const int[::1] first_term = term_starts
    cdef Py_ssize_t n = codes.shape[0], i, k, size, n_terms
    cdef Palette palette = Palette(2 + n_arguments, ragged)
    cdef int* content
    cdef int x, found
    cdef bint constant, any_batched
    cdef Ints batched = Ints(), entries = Ints()
    cdef dict looked_up = {}  # the colours of lookups, by table
    swapped_ = np.zeros(n, np.bool_)
    cdef unsigned char[::1] swapped = swapped_.view(np.uint8)
    batched.append(0)
    batched.append(0)
    for k in range(n_arguments):
        batched.append(1)
    for i in range(n):
        if not to_paint[i]:
            continue
        constant, any_batched = True, False
        if codes[i] < 0:
            below, argument, _ = lookups[i]
            looks_up = path[i], argument, id(below)
            if looks_up in looked_up:
                colour[i] = looked_up[looks_up]
                continue
            entries.size = 0
            for entry in below:
                entries.append(<int>entry)
            content = palette.contents.room(4)
            content[0], content[1], content[2], content[3] = path[i], LOOKUP, <int>argument, <int>len(below)
            size = palette.summarise(4, &colour[0], entries.at, NULL, entries.size)
            constant, any_batched = False, True
        elif fold_of[i] >= 0:
            n_terms = first_term[i + 1] - first_term[i]
            content = palette.contents.room(2)
            content[0], content[1] = path[i], LOOKUP - 1 - fold_of[i]
            size = 2
            if n_terms:
                size = palette.summarise(2, &colour[0], &term[first_term[i]], &sign[first_term[i]], n_terms)
            for k in range(first_term[i], first_term[i + 1]):
                x = colour[term[k]]
                constant &= x == CONSTANT
                any_batched |= batched.at[x]
        else:
            size = 2 + starts[i + 1] - starts[i]
            content = palette.contents.room(size)
            content[0], content[1] = path[i], codes[i]
            for k in range(2, size):
                x = colour[operands[starts[i] + k - 2]]
                content[k] = x
                constant &= x == CONSTANT
                any_batched |= batched.at[x]
            if commutes[codes[i]] and size == 4:
                x = batched.at[content[2]] - batched.at[content[3]]
                if x > 0 or (x == 0 and content[2] > content[3]):
                    content[2], content[3] = content[3], content[2]
                    swapped[i] = 1
        if constant:
            continue
        found = palette.find(palette.contents.at + palette.contents.size, size)
        if found < 0:
            found = palette.add(size)
            batched.append(any_batched)
            if palette.ends.size > most:
                break
        colour[i] = found
        if codes[i] < 0:
            looked_up[looks_up] = found
    are_batched = [False] * batched.size
    for i in range(batched.size):
        are_batched[i] = batched.at[i] != 0
    return palette, palette.ends.size, are_batched, swapped_


# --- step 3 -----------------------------------------------------------------------------------------------------------


def operands_of(
    const long long[:] nodes, Py_ssize_t slot, const int[::1] starts, const int[::1] operands,
    const unsigned char[::1] swapped,
):
    """The operand in `slot` of each node; `swapped` is None where operands cannot be exchanged."""
    cdef Py_ssize_t i, n = nodes.shape[0]
    found_ = np.empty(n, np.int64)
    cdef long long[::1] found = found_
    if swapped is None:
        for i in range(n):
            found[i] = operands[starts[nodes[i]] + slot]
    else:
        for i in range(n):
            found[i] = operands[starts[nodes[i]] + (swapped[nodes[i]] ^ (slot != 0))]
    return found_


cdef class Visits:
    """The nodes of each colour in the order in which they were visited first; `place` is filled in."""

    cdef const int[::1] colour
    cdef long long[::1] place, starts, sizes, nodes
    cdef object order

    def __init__(self, const int[::1] colour, long long[::1] place, Py_ssize_t n_colours):
        cdef Py_ssize_t i, k
        cdef long long[::1] starts = np.zeros(n_colours + 1, np.int64)
        self.colour, self.place, self.starts = colour, place, starts
        self.sizes = np.zeros(n_colours, np.int64)
        for i in range(colour.shape[0]):
            if colour[i] >= n_colours:
                raise ValueError(f"there are {n_colours} colours, a node has number {colour[i]}")
            starts[colour[i] + 1] += 1
        for k in range(n_colours):
            starts[k + 1] += starts[k]
        self.order = np.empty(colour.shape[0], np.int64)
        self.nodes = self.order

    def visit(self, const long long[::1] nodes):
        cdef Py_ssize_t i
        cdef long long node
        cdef int c
        for i in range(nodes.shape[0]):
            node = nodes[i]
            if self.place[node] < 0:
                c = self.colour[node]
                self.place[node] = self.sizes[c]
                self.nodes[self.starts[c] + self.sizes[c]] = node
                self.sizes[c] += 1

    def of(self, Py_ssize_t colour):
        return self.order[self.starts[colour] : self.starts[colour] + self.sizes[colour]]


# --- step 4 (distinct.py) ---------------------------------------------------------------------------------------------


def distinct_rows(const long long[::1] numbers, const long long[::1] bounds):
    """The results of `distinct.distinct_rows`."""
    cdef Py_ssize_t n = bounds.shape[0] - 1, i, e, first, length, found = 0, place, size = 16
    cdef unsigned long long code
    cdef long long other
    while size < 2 * n:
        size *= 2
    first_, number_ = np.empty(n, np.int64), np.empty(n, np.int64)
    cdef long long[::1] firsts = first_, number = number_
    cdef long long[::1] table = np.full(size, -1, np.int64)  # of the numbers of distinct rows
    for i in range(n):
        first, length = bounds[i], bounds[i + 1] - bounds[i]
        code = length
        for e in range(first, first + length):
            code = (code ^ <unsigned long long>numbers[e]) * 0x9E3779B97F4A7C15ULL
            code ^= code >> 32
        place = code & (size - 1)
        while True:
            other = table[place]
            if other < 0:
                table[place] = found
                firsts[found] = i
                number[i] = found
                found += 1
                break
            e = bounds[firsts[other]]
            if bounds[firsts[other] + 1] - e == length and (
                length == 0 or memcmp(&numbers[e], &numbers[first], length * sizeof(long long)) == 0
            ):
                number[i] = other
                break
            place = (place + 1) & (size - 1)
    return first_[:found].copy(), number_


def connected(const long long[::1] nodes, const long long[::1] bounds, Py_ssize_t n):
    """The results of `distinct.connected`."""
    cdef Py_ssize_t rows = bounds.shape[0] - 1, i, e, found = 0
    cdef long long root, other
    cdef long long[::1] parent = np.arange(n, dtype=np.int64)
    cdef long long[::1] number_of = np.full(n, -1, np.int64)
    group_ = np.empty(rows, np.int64)
    cdef long long[::1] group = group_
    for i in range(rows):
        root = root_of(parent, nodes[bounds[i]])
        for e in range(bounds[i] + 1, bounds[i + 1]):
            other = root_of(parent, nodes[e])
            if other < root:
                parent[root] = other
                root = other
            else:
                parent[other] = root
    for i in range(rows):
        root = root_of(parent, nodes[bounds[i]])
        if number_of[root] < 0:
            number_of[root] = found
            found += 1
        group[i] = number_of[root]
    return group_


cdef inline long long root_of(long long[::1] parent, long long i) noexcept nogil:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i

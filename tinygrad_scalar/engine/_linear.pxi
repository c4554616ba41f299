"""`Linear`: the part of `_value.pyx` that follows linear.py."""

cdef enum:
    INDEPENDENT = -1


@cython.final
cdef class Linear:
    # Node n_inputs + i has the edges starts[i] to starts[i + 1].

    cdef readonly Py_ssize_t n_inputs
    cdef readonly bint closed
    cdef readonly list outputs
    cdef Py_ssize_t n, edges, room_for_nodes, room_for_edges
    cdef int* starts
    cdef int* operands
    cdef double* slopes
    cdef char* unused  # whether a piecewise operation does not use the operand

    def __dealloc__(self):
        PyMem_Free(self.starts)
        PyMem_Free(self.operands)
        PyMem_Free(self.slopes)
        PyMem_Free(self.unused)

    def __init__(self, outputs, list inputs, long long start):
        global walks
        cdef unsigned long long base = walks + 1
        cdef Py_ssize_t j
        cdef PyObject* stale = NULL
        cdef list roots = []
        for output in outputs:
            if isinstance(output, Value):
                roots.append(output)
        for x in inputs:
            checked(x)
        self.n_inputs = len(inputs)
        self.closed = True
        self.make_room(256, 512)
        self.starts[0] = 0
        try:
            for j in range(self.n_inputs):
                (<Value>inputs[j]).mark = base + 1 + j
            for root in roots:
                self.read(<PyObject*>root, base, start, &stale)
            self.outputs = []
            for output in outputs:
                j = INDEPENDENT
                if isinstance(output, Value) and (<Value>output).mark > base:
                    j = (<Value>output).mark - base - 1
                self.outputs.append(j)
        finally:
            walks = base + self.n_inputs + self.n + 1  # beyond every mark
        if stale is not NULL:
            graph.require_fresh([<Value>stale])  # raises

    cdef int make_room(self, Py_ssize_t nodes, Py_ssize_t edges) except -1:
        if nodes > self.room_for_nodes:
            self.starts = <int*>enlarged(self.starts, (nodes + 1) * sizeof(int))
            self.room_for_nodes = nodes
        if edges > self.room_for_edges:
            if edges > MOST_NODES:
                raise OverflowError(f"cannot read a graph of {edges:,} operands: the limit is {MOST_NODES:,}")
            self.operands = <int*>enlarged(self.operands, edges * sizeof(int))
            self.slopes = <double*>enlarged(self.slopes, edges * sizeof(double))
            self.unused = <char*>enlarged(self.unused, edges)
            self.room_for_edges = edges
        return 0

    cdef int read(self, PyObject* node, unsigned long long base, long long start, PyObject** stale) except -1:
        """Append what is below a root; no Python code can run meanwhile.

        A node's mark is `base` when it is met and if it depends on no input; else it holds its place.
        """
        cdef PyObject** stack = room(todo, 0, 4)
        cdef Py_ssize_t on_stack = 1, j, n
        cdef PyObject* below
        stack[0] = node
        while on_stack:
            on_stack -= 1
            node = stack[on_stack]
            if on_stack >= STACK_AHEAD:
                PREFETCH(&(<Value>(<PyObject*>(<size_t>stack[on_stack - STACK_AHEAD] & ~<size_t>1))).mark)
            if not <size_t>node & 1:
                if (<Value>node).mark >= base:
                    continue
                (<Value>node).mark = base
                if (<Value>node).time < start:
                    self.closed &= (<Value>node).time < 0  # a bare number
                elif (<Value>node).left is not NULL:
                    n = arity(node)
                    stack = room(todo, on_stack, n + 1)
                    stack[on_stack] = <PyObject*>(<size_t>node | 1)
                    on_stack += 1
                    for j in range(n - 1, -1, -1):
                        stack[on_stack] = operand(node, j)
                        on_stack += 1
                continue
            node = <PyObject*>(<size_t>node ^ 1)
            n = arity(node)
            if self.edges + n > self.room_for_edges:
                self.make_room(0, 2 * self.edges + n)
            for j in range(n):
                below = operand(node, j)
                if (<Value>below).time > (<Value>node).time:
                    stale[0] = node
                if (<Value>below).mark > base and not is_detached(node, j):
                    self.operands[self.edges] = <int>((<Value>below).mark - base - 1)
                    self.slopes[self.edges] = local_grad(node, j)[0]
                    self.unused[self.edges] = (
                        self.slopes[self.edges] == 0.0 and (<Row>(<Value>node).row).piecewise
                    )
                    self.edges += 1
            if self.edges > self.starts[self.n]:
                if self.n + 1 >= self.room_for_nodes:
                    self.make_room(2 * self.n + 2, 0)
                self.n += 1
                self.starts[self.n] = <int>self.edges
                (<Value>node).mark = base + self.n_inputs + self.n
        return 0

    def used(self):
        cdef Py_ssize_t i, e
        cdef list rows = [], row
        for i in range(self.n):
            row = []
            for e in range(self.starts[i], self.starts[i + 1]):
                row.append(self.operands[e])
            rows.append(row)
        return rows

    def push(self, directions):
        cdef Py_ssize_t j
        cdef double* moved = NULL
        cdef char* reached = NULL
        require_length(directions, self.n_inputs)
        try:
            moved = <double*>needed((self.n_inputs + self.n) * sizeof(double))
            reached = <char*>needed(self.n_inputs + self.n)
            for j, direction in enumerate(directions):
                reached[j] = direction is not None
                moved[j] = direction if reached[j] else 0.0
            self.push_on(moved, reached)
            return self.of_outputs(moved, reached)
        finally:
            PyMem_Free(moved)
            PyMem_Free(reached)

    cdef void push_on(self, double* moved, char* reached) noexcept:
        cdef Py_ssize_t i, e
        cdef double amount, total
        cdef bint found
        cdef int place
        for i in range(self.n):
            total = 0.0
            found = False
            for e in range(self.starts[i], self.starts[i + 1]):
                place = self.operands[e]
                if reached[place] and not self.unused[e]:
                    amount = self.slopes[e] * moved[place]
                    total = total + amount if found else amount
                    found = True
            moved[self.n_inputs + i] = total
            reached[self.n_inputs + i] = found

    cdef list of_outputs(self, double* moved, char* reached):
        cdef list numbers = []
        cdef Py_ssize_t place
        for place in self.outputs:
            numbers.append(moved[place] if place != INDEPENDENT and reached[place] else 0.0)
        return numbers

    def pull(self, weights):
        cdef double* found = NULL
        cdef char* reached = NULL
        cdef Py_ssize_t place, j, e, i
        cdef double upstream, amount
        cdef int below
        cdef list numbers = []
        require_length(weights, len(self.outputs))
        try:
            found = <double*>needed((self.n_inputs + self.n) * sizeof(double))
            reached = <char*>needed(self.n_inputs + self.n)
            memset(reached, 0, self.n_inputs + self.n)
            for place, weight in zip(self.outputs, weights):
                if place != INDEPENDENT and weight is not None:
                    amount = weight
                    found[place] = found[place] + amount if reached[place] else amount
                    reached[place] = True
            for i in range(self.n - 1, -1, -1):
                if reached[self.n_inputs + i]:
                    upstream = found[self.n_inputs + i]
                    for e in range(self.starts[i], self.starts[i + 1]):
                        below = self.operands[e]
                        amount = self.slopes[e] * upstream
                        if amount != amount and self.unused[e]:
                            amount = 0.0
                        found[below] = found[below] + amount if reached[below] else amount
                        reached[below] = True
            for j in range(self.n_inputs):
                numbers.append(found[j] if reached[j] else 0.0)
            return numbers
        finally:
            PyMem_Free(found)
            PyMem_Free(reached)


cdef int require_length(numbers, Py_ssize_t n) except -1:
    if len(numbers) != n:
        raise ValueError(f"expected {counted(n, 'number')}, got {len(numbers):,}")
    return 0


cdef void* needed(size_t size) except NULL:
    cdef void* block = PyMem_Malloc(size)
    if block is NULL:
        raise MemoryError
    return block


cdef void* enlarged(void* block, size_t size) except NULL:
    block = PyMem_Realloc(block, size)
    if block is NULL:
        raise MemoryError
    return block

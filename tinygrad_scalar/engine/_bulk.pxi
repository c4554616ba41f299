"""Many Values at once: the part of `_value.pyx` that follows bulk.py and graph_arrays.py."""

cdef Value checked(thing):
    if not isinstance(thing, Value):
        raise TypeError(f"expected a Value, got {errors.shown(thing)}")
    return <Value>thing


def weighted_sum(w, x, b):
    cdef list weights = list(w), activations = list(x)
    cdef Py_ssize_t k
    if not 0 < len(weights) == len(activations):
        raise ValueError(
            "weighted_sum expected at least one weight, and one activation per weight; "
            f"got {len(weights)} weights and {len(activations)} activations"
        )
    total = binary_node(_MULTIPLY, checked(weights[0]), checked(activations[0]))
    for k in range(1, len(weights)):
        total = binary_node(_ADD, total, binary_node(_MULTIPLY, checked(weights[k]), checked(activations[k])))
    return binary_node(_ADD, total, checked(b))


def group_of(Value value not None):
    cdef PyObject* label = label_of(<PyObject*>value)
    return None if label is NULL else getattr(<object>label, "group", None)


def clear_gradients(values):
    for value in values:
        checked(value)._grad = 0.0


cdef int write(list values, out, bint gradients) except -1:
    cdef Py_buffer buffer
    cdef Value value
    cdef Py_ssize_t i, n = len(values)
    if traced:
        for number in values:
            tracing.forbid(checked(number), "gradient" if gradients else "data")
    PyObject_GetBuffer(out, &buffer, PyBUF_WRITABLE | PyBUF_FORMAT | PyBUF_C_CONTIGUOUS)
    try:
        require_doubles(&buffer, n)
        for i in range(n):
            value = checked(values[i])
            (<double*>buffer.buf)[i] = value._grad if gradients else value._data
    finally:
        PyBuffer_Release(&buffer)
    return 0


cdef int require_doubles(Py_buffer* buffer, Py_ssize_t n) except -1:
    if buffer.format[0] != b"d" or buffer.len != n * <Py_ssize_t>sizeof(double):
        raise TypeError(f"expected an array of {n} float64, got {buffer.len} bytes of {buffer.format.decode()!r}")
    return 0


def read_data(list values, out):
    write(values, out, False)


def read_gradients(list values, out):
    write(values, out, True)


def compute_gradients(Value root, list values, out):
    # What a gradient reaches gets the marks `base` + 1, + 2 and so on, by its place in `found`; no Python code can run
    # meanwhile. Nodes that are done get the mark of the next walk, so that the order can be kept for it, unless their
    # own gradients are wanted.
    global walks
    cdef Py_buffer buffer
    cdef Nodes order
    cdef PyObject* node
    cdef PyObject* below
    cdef double* found = NULL
    cdef double upstream
    cdef Py_ssize_t i, j, place, n = len(values), size = 1
    cdef unsigned long long base, after
    cdef bint of_leaves = True
    PyObject_GetBuffer(out, &buffer, PyBUF_WRITABLE | PyBUF_FORMAT | PyBUF_C_CONTIGUOUS)
    try:
        require_doubles(&buffer, n)
        for value in values:
            of_leaves &= checked(value).left is NULL
        if traced:
            tracing.forbid(root, "gradient")
        order = interior(root)
        for i in range(order.size):
            size += arity(order.nodes[i])
        found = <double*>PyMem_Malloc(size * sizeof(double))
        if found is NULL:
            raise MemoryError
        ask_for_huge_pages(found, size * sizeof(double))
        base, after = walks, walks + size + 1  # beyond every mark
        root.mark = base + 1
        found[0] = 1.0
        size = 1
        for i in range(order.size - 1, -1, -1):
            if i >= NODES_AHEAD:
                prefetch(order.nodes[i - NODES_AHEAD], order.nodes[i - NODES_AHEAD // 2])
            node = order.nodes[i]
            if (<Value>node).mark <= base:  # only detached operands lead here
                if of_leaves:
                    (<Value>node).mark = after
                continue
            upstream = found[(<Value>node).mark - base - 1]
            for j in range(arity(node)):
                if is_detached(node, j):
                    continue
                below = operand(node, j)
                if (<Value>below).mark <= base:
                    found[size] = 0.0
                    size += 1
                    (<Value>below).mark = base + size
                found[(<Value>below).mark - base - 1] += contribution(node, j, upstream)
            if of_leaves:
                (<Value>node).mark = after
        walks = after
        for i in range(n):
            place = <Py_ssize_t>((<Value>values[i]).mark - base) - 1  # negative if no gradient reaches it
            (<double*>buffer.buf)[i] = found[place] if place >= 0 else 0.0
        size = order.size
        if of_leaves and size:
            keep(order)
        return size
    finally:
        PyMem_Free(found)
        PyBuffer_Release(&buffer)


def recompute(Value root, long long since):
    cdef Nodes order = interior(root)
    cdef Py_ssize_t i
    for i in range(order.size):
        if i + NODES_AHEAD < order.size:
            PREFETCH(&(<Value>order.nodes[i + NODES_AHEAD]).time)
        if (<Value>order.nodes[i]).time < since and older(order.nodes[i]):
            keep(order)
            return False
    keep(order)
    root.forward()
    return True


cdef extern from "Python.h":
    PyObject* PyDict_GetItemWithError(PyObject* marks, PyObject* node) except? NULL


cdef enum:
    FEW_OPERANDS = 3  # see bulk.py


def marks_below(Value value not None, dict marks, long decisive):
    cdef list path = [], rest = [], bits = []
    cdef PyObject* node = <PyObject*>value
    cdef PyObject* found
    cdef Py_ssize_t i
    cdef long below
    while True:
        found = PyDict_GetItemWithError(<PyObject*>marks, node)
        below = 0 if found is NULL else <long><object>found
        if found is NULL and arity(node) > 0:
            for i in range(arity(node)):
                found = PyDict_GetItemWithError(<PyObject*>marks, operand(node, i))
                if found is not NULL and <long><object>found & decisive:
                    below = <long><object>found
                    break
            if below == 0 or arity(node) > FEW_OPERANDS:
                path.append(<object>node)
                rest.append(0)
                bits.append(0)
        if below & decisive:
            if path:
                marks.update(dict.fromkeys(path, below))
            return below
        while path:
            bits[-1] = <long>bits[-1] | below
            node, i = <PyObject*>path[-1], rest[-1]
            if i < arity(node):
                node, rest[-1] = operand(node, i), i + 1
                break
            below = bits.pop()
            marks[path.pop()] = below
            rest.pop()
        else:
            return below


def now():
    return clock


def tick():
    global clock
    clock += 1
    return clock


def set_data(list values, data):
    global clock, last_set
    cdef Py_buffer buffer
    cdef Value value
    cdef Py_ssize_t i, n = len(values)
    PyObject_GetBuffer(data, &buffer, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS)
    try:
        require_doubles(&buffer, n)
        for leaf in values:
            if checked(leaf).row is not NULL:
                raise errors.computed(leaf)
            if traced:
                tracing.forbid(leaf, "set")
        for i in range(n):
            clock += 1
            value = checked(values[i])
            value._data = (<double*>buffer.buf)[i]
            value.time = last_set = clock
    finally:
        PyBuffer_Release(&buffer)


cdef extern from "Python.h":
    int _PyBytes_Resize(PyObject**, Py_ssize_t) except -1

cdef enum:
    MOST_NODES = 0x7FFFFFFF  # of a tape, whose numbers of nodes have 32 bits: so many nodes take 200 GB


cdef inline Py_ssize_t doubled(Py_ssize_t size) noexcept:
    return larger(size + 1, 2 * size if 2 * size < MOST_NODES else MOST_NODES - 1)


cdef class Growing:
    """The arrays of a tape while it grows: where they end is not known before, and they are never copied."""

    cdef PyObject* blocks[4]  # bytes objects, for codes, starts, operands and data
    cdef int* codes
    cdef int* starts
    cdef int* operands
    cdef double* data
    cdef Py_ssize_t nodes, edges  # for how many there is room

    def __dealloc__(self):
        cdef Py_ssize_t k
        for k in range(4):
            Py_XDECREF(self.blocks[k])

    cdef int resize(self, Py_ssize_t nodes, Py_ssize_t edges) except -1:
        """No Python code runs meanwhile."""
        if nodes >= MOST_NODES or edges > MOST_NODES:
            raise OverflowError(f"cannot read a graph of {nodes:,} nodes: the limit is {MOST_NODES:,}")
        self.resize_one(0, nodes * <Py_ssize_t>sizeof(int))
        self.resize_one(1, (nodes + 1) * <Py_ssize_t>sizeof(int))
        self.resize_one(2, edges * <Py_ssize_t>sizeof(int))
        self.resize_one(3, nodes * <Py_ssize_t>sizeof(double))
        self.codes = <int*>PyBytes_AS_STRING(<object>self.blocks[0])
        self.starts = <int*>PyBytes_AS_STRING(<object>self.blocks[1])
        self.operands = <int*>PyBytes_AS_STRING(<object>self.blocks[2])
        self.data = <double*>PyBytes_AS_STRING(<object>self.blocks[3])
        self.nodes, self.edges = nodes, edges
        return 0

    cdef int resize_one(self, Py_ssize_t k, Py_ssize_t size) except -1:
        if self.blocks[k] is NULL or size == 0 or PyBytes_GET_SIZE(<object>self.blocks[k]) == 0:
            Py_XDECREF(self.blocks[k])  # an empty one is shared, and cannot be resized
            self.blocks[k] = NULL
            self.blocks[k] = owned(PyBytes_FromStringAndSize(NULL, size))
            return 0
        if size < 2 * SLAB_SIZE or size < PyBytes_GET_SIZE(<object>self.blocks[k]):
            return _PyBytes_Resize(&self.blocks[k], size)
        grown = PyBytes_FromStringAndSize(NULL, size)
        ask_for_huge_pages(PyBytes_AS_STRING(grown), size)
        memcpy(PyBytes_AS_STRING(grown), PyBytes_AS_STRING(<object>self.blocks[k]), PyBytes_GET_SIZE(<object>self.blocks[k]))
        Py_XDECREF(self.blocks[k])
        self.blocks[k] = owned(grown)
        return 0


cdef class Writing:
    """A tape while it is written: see graph_arrays.py."""

    cdef Growing tape
    cdef Nodes rows  # whose codes are their places
    cdef Py_ssize_t n, edges
    cdef dict powers

    def __cinit__(self):
        self.powers = {}
        self.tape, self.rows = Growing(), Nodes()
        self.n = self.edges = 0
        self.tape.resize(256, 512)
        self.tape.starts[0] = 0

    cdef int code_of(self, PyObject* row) except -1:
        cdef int code
        for code in range(self.rows.size):
            if self.rows.nodes[code] is row:
                return code
        room(self.rows, self.rows.size, 1)[self.rows.size] = row
        self.rows.size += 1
        return self.rows.size - 1

    cdef int end(self, int code, double number) except -1:
        """The index of a new node whose operands are written."""
        cdef int n = self.n
        if n == self.tape.nodes:
            self.tape.resize(doubled(n), self.tape.edges)
        self.tape.codes[n] = code
        self.tape.data[n] = number
        self.n += 1
        self.tape.starts[self.n] = <int>self.edges
        return n

    cdef int operand(self, int i) except -1:
        if self.edges == self.tape.edges:
            self.tape.resize(self.tape.nodes, doubled(self.edges))
        self.tape.operands[self.edges] = i
        self.edges += 1
        return 0

    cdef int constant(self, double number) except -1:
        return self.end(-1, number)

    cdef int one(self, Row row, int x) except -1:
        cdef double number, slope
        _ops.unary(row.code, row.number, self.tape.data[x], &number, &slope)
        self.operand(x)
        return self.end(self.code_of(<PyObject*>row), number)

    cdef int two(self, Row row, int x, int y) except -1:
        cdef double number, d_x, d_y
        _ops.binary(row.code, self.tape.data[x], self.tape.data[y], &number, &d_x, &d_y)
        self.operand(x)
        self.operand(y)
        return self.end(self.code_of(<PyObject*>row), number)

    cdef int where(self, int c, int x, int y) except -1:
        cdef double number = self.tape.data[x] if self.tape.data[c] != 0.0 else self.tape.data[y]
        self.operand(c)
        self.operand(x)
        self.operand(y)
        return self.end(self.code_of(<PyObject*>_WHERE), number)

    cdef int power(self, int x, int y) except -1:
        """The same as in graph_arrays.py."""
        cdef int found
        known = self.powers.get((x, y))
        if known is not None:
            return known
        found = self.one(_EXP, self.two(_SUBTRACT, x, y))
        self.powers[x, y] = found
        return found

    cdef int made_of(self, PyObject* node, Row row, unsigned long long base) except -1:
        """Write a node as the operations that it is made of, and return the index of the last."""
        cdef Code code = row.code
        cdef Row step = _ADD
        cdef Py_ssize_t i, n = arity(node), half = n // 2, first = 1
        cdef int found = index_of(node, 0, base), most, one, s, x, y
        cdef list differences, terms
        if code == _ops.EXP_OF_DIFFERENCE:
            return self.power(found, index_of(node, 1, base))
        if code == _ops.SHARE:
            return self.two(_DIVIDE, self.power(found, index_of(node, 1, base)), index_of(node, 2, base))
        if code == _ops.SUMEXP_BELOW:
            y = index_of(node, n - 1, base)
            terms = [self.power(index_of(node, i, base), y) for i in range(n - 1)]
            found = terms[0]
            for i in range(1, n - 1):
                found = self.two(_ADD, found, terms[i])
            return found
        if code == _ops.DOT:
            found = self.two(_MULTIPLY, found, index_of(node, half, base))
            for i in range(1, half):
                x = self.two(_MULTIPLY, index_of(node, i, base), index_of(node, half + i, base))
                found = self.two(_ADD, found, x)
            return found
        if code == _ops.NORM:
            most = self.one(_ABSOLUTE, found)
            for i in range(1, n):
                most = self.two(_MAXIMUM, most, self.one(_ABSOLUTE, index_of(node, i, base)))
            one = self.constant(1.0)
            s = self.where(self.two(_GREATER, self.constant(INFINITY), most), most, one)
            s = self.two(_MAXIMUM, s, self.constant(_ops.DBL_MIN))
            s = self.where(self.two(_GREATER, most, self.constant(0.0)), s, one)
            x = self.two(_DIVIDE, found, s)
            found = self.two(_MULTIPLY, x, x)
            for i in range(1, n):
                x = self.two(_DIVIDE, index_of(node, i, base), s)
                found = self.two(_ADD, found, self.two(_MULTIPLY, x, x))
            return self.two(_MULTIPLY, s, self.one(_SQRT, found))
        if code == _ops.MAX or code == _ops.MIN:
            if n > 2:
                found = self.two(_MAX_OF_FIRST if code == _ops.MAX else _MIN_OF_FIRST, found, index_of(node, 1, base))
                step, first = _MAX_OF_NEXT if code == _ops.MAX else _MIN_OF_NEXT, 2
            else:
                step = _MAXIMUM if code == _ops.MAX else _MINIMUM
        elif code == _ops.LARGEST_OF_LIST:
            step = _LARGEST_OF_TWO
        elif code == _ops.LOGSUMEXP:
            step = _LOGSUMEXP_OF_NEXT if n > 2 else _LOGADDEXP
        elif code == _ops.LOGSUMEXP_BELOW:
            y = index_of(node, n - 1, base)
            differences = [self.two(_SUBTRACT, index_of(node, i, base), y) for i in range(n - 1)]
            found = differences[0]
            for i in range(1, n - 1):
                found = self.two(_LOGADDEXP, found, differences[i])
            return found
        for i in range(first, n):
            found = self.two(step, found, index_of(node, i, base))
        return self.two(_DIVIDE, found, self.constant(<double>n)) if code == _ops.MEAN else found


cdef inline int index_of(PyObject* node, Py_ssize_t i, unsigned long long base) noexcept:
    """The index in the tape of operand i."""
    return <int>((<Value>operand(node, i)).mark - base - 1)


def read_graph(list roots, list sought=[], long long before=0):
    # While the graphs are recorded, a node's mark is `base` once it has been met, and `base` + 1 + its index once it is
    # in the tape; no Python code can run meanwhile.
    global walks, todo
    cdef unsigned long long base = walks + 1
    cdef Py_ssize_t i, j, n = 0, edges = 0, on_stack, n_rows = 0, n_older = 0, n_sought = len(sought)
    cdef PyObject* node
    cdef PyObject* row
    cdef PyObject* last_row = NULL
    cdef PyObject* right
    cdef PyObject** stack
    cdef PyObject** rows
    cdef Wide* wide
    cdef Writing writing = Writing()
    cdef Growing tape = writing.tape
    cdef Nodes seen_rows = writing.rows, maybe_older = Nodes()
    cdef list older = [], names = []
    cdef int code = -1
    for root in roots:
        checked(root)
    for value in sought:
        checked(value)
    found_numbers = PyBytes_FromStringAndSize(NULL, n_sought * <Py_ssize_t>sizeof(int))
    cdef int* found = <int*>PyBytes_AS_STRING(found_numbers)
    try:
        for i in range(len(roots)):
            stack = room(todo, 0, 4)
            stack[0] = <PyObject*>roots[i]
            on_stack = 1
            while on_stack:
                on_stack -= 1
                node = stack[on_stack]
                if on_stack >= STACK_AHEAD:
                    right = <PyObject*>(<size_t>stack[on_stack - STACK_AHEAD] & ~<size_t>1)
                    PREFETCH(&(<Value>right).mark)
                    PREFETCH(&(<Value>right).row)
                if not <size_t>node & 1:
                    if (<Value>node).mark >= base:
                        continue
                    if (<Value>node).left is not NULL:
                        (<Value>node).mark = base
                        right = (<Value>node).right
                        wide = NULL if right is NULL else wide_of(right)
                        if on_stack + (4 if wide is NULL else wide.n + 4) > todo.capacity:
                            stack = room(todo, on_stack, 4 if wide is NULL else wide.n + 4)
                        stack[on_stack] = <PyObject*>(<size_t>node | 1)
                        on_stack += 1
                        if wide is not NULL:
                            for j in range(wide.n - 1, -1, -1):
                                stack[on_stack] = wide.operands[j]
                                PREFETCH(&(<Value>stack[on_stack]).mark)
                                on_stack += 1
                        elif right is not NULL:
                            stack[on_stack] = right
                            PREFETCH(&(<Value>right).mark)
                            on_stack += 1
                        stack[on_stack] = (<Value>node).left
                        on_stack += 1
                        continue
                else:
                    node = <PyObject*>(<size_t>node ^ 1)
                row = (<Value>node).row
                if row is not NULL and (<Row>row).code >= _ops.SUM:
                    writing.n, writing.edges, seen_rows.size = n, edges, n_rows
                    (<Value>node).mark = base + 1 + writing.made_of(node, <Row>row, base)
                    n, edges, n_rows = writing.n, writing.edges, seen_rows.size
                    continue
                if n == tape.nodes:
                    tape.resize(doubled(n), tape.edges)
                tape.data[n] = (<Value>node)._data
                if row is NULL:
                    tape.codes[n] = -1
                    if 0 <= (<Value>node).time < before:
                        rows = room(maybe_older, n_older, 1)
                        rows[n_older] = node
                        n_older += 1
                else:
                    if row is not last_row:
                        last_row = row
                        code = 0
                        while code < n_rows and seen_rows.nodes[code] is not row:
                            code += 1
                        if code == n_rows:
                            rows = room(seen_rows, n_rows, 1)
                            rows[n_rows] = row
                            n_rows += 1
                    tape.codes[n] = code
                    right = (<Value>node).right
                    wide = NULL if right is NULL else wide_of(right)
                    if edges + (2 if wide is NULL else 1 + wide.n) > tape.edges:
                        tape.resize(tape.nodes, doubled(tape.edges + (0 if wide is NULL else wide.n)))
                    tape.operands[edges] = <int>((<Value>(<Value>node).left).mark - base - 1)
                    edges += 1
                    if wide is not NULL:
                        for j in range(wide.n):
                            tape.operands[edges] = <int>((<Value>wide.operands[j]).mark - base - 1)
                            edges += 1
                    elif right is not NULL:
                        tape.operands[edges] = <int>((<Value>right).mark - base - 1)
                        edges += 1
                n += 1
                tape.starts[n] = <int>edges
                (<Value>node).mark = base + n
        for i in range(n_sought):
            node = <PyObject*>sought[i]
            found[i] = <int>((<Value>node).mark - base - 1) if (<Value>node).mark > base else -1
        for i in range(n_sought):
            (<Value>sought[i]).mark = base
    finally:
        walks = base + n + 1  # beyond every mark
    for i in range(n_older):
        if (<Value>maybe_older.nodes[i]).mark != base:
            older.append(<object>maybe_older.nodes[i])
    if todo.capacity > CAPACITY_KEPT:
        todo = Nodes()
    tape.resize(n, edges)
    seen_rows.size = n_rows
    for named in seen_rows.as_list():
        names.append((<Row>named).operation.name)
    import numpy as np

    return graph_arrays.Tape(
        names, np.frombuffer(<object>tape.blocks[0], np.int32), np.frombuffer(<object>tape.blocks[1], np.int32),
        np.frombuffer(<object>tape.blocks[2], np.int32), np.frombuffer(<object>tape.blocks[3]),
        np.frombuffer(found_numbers, np.int32), older,
    )

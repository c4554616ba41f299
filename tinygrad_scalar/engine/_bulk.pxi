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


def clear_gradients(values):
    for value in values:
        checked(value)._grad = 0.0


cdef int write(list values, out, bint gradients) except -1:
    cdef Py_buffer buffer
    cdef Value value
    cdef Py_ssize_t i, n = len(values)
    PyObject_GetBuffer(out, &buffer, PyBUF_WRITABLE | PyBUF_FORMAT | PyBUF_C_CONTIGUOUS)
    if traced:
        for number in values:
            tracing.forbid(checked(number), "gradient" if gradients else "data")
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
    # meanwhile.
    global walks
    cdef Py_buffer buffer
    cdef Nodes order
    cdef PyObject* node
    cdef PyObject* below
    cdef double* found = NULL
    cdef double upstream
    cdef Py_ssize_t i, j, place, n = len(values), size = 1
    cdef unsigned long long base
    PyObject_GetBuffer(out, &buffer, PyBUF_WRITABLE | PyBUF_FORMAT | PyBUF_C_CONTIGUOUS)
    try:
        require_doubles(&buffer, n)
        for value in values:
            checked(value)
        if traced:
            tracing.forbid(root, "gradient")
        order = interior(root)
        for i in range(order.size):
            size += arity(order.nodes[i])
        found = <double*>PyMem_Malloc(size * sizeof(double))
        if found is NULL:
            raise MemoryError
        base = walks
        root.mark = base + 1
        found[0] = 1.0
        size = 1
        for i in range(order.size - 1, -1, -1):
            node = order.nodes[i]
            if (<Value>node).mark <= base:  # only detached operands lead here
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
        walks = base + size + 1  # beyond every mark
        for i in range(n):
            place = <Py_ssize_t>((<Value>values[i]).mark - base) - 1  # negative if no gradient reaches it
            (<double*>buffer.buf)[i] = found[place] if place >= 0 else 0.0
    finally:
        PyMem_Free(found)
        PyBuffer_Release(&buffer)


def now():
    return clock


def tick():
    global clock
    clock += 1
    return clock


def set_data(list values, data):
    global clock
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
            value.time = clock
    finally:
        PyBuffer_Release(&buffer)


cdef long long* places(Py_ssize_t n) except NULL:
    cdef void* block = PyMem_Malloc(max(n, 1) * sizeof(long long))
    if block is NULL:
        raise MemoryError
    return <long long*>block


cdef integers(long long* numbers, Py_ssize_t n):
    """The numbers as an array."""
    import numpy as np

    return np.frombuffer((<char*>numbers)[: n * sizeof(long long)], np.int64)


def read_graph(list roots):
    # While the graphs are recorded, a node's mark is `base` once it has been met, and `base` + 1 + its index once it is
    # in the tape; no Python code can run meanwhile.
    global walks
    cdef unsigned long long base = walks + 1
    cdef Nodes order = Nodes()
    cdef Py_ssize_t i, j, n, edges = 0, on_stack, n_rows = 0
    cdef PyObject* node
    cdef PyObject* row
    cdef PyObject** stack
    cdef PyObject** done
    cdef PyObject** rows
    cdef Nodes seen_rows = Nodes()
    cdef long long* codes = NULL
    cdef long long* starts = NULL
    cdef long long* operands = NULL
    for root in roots:
        checked(root)
    for i in range(len(roots)):
        stack = room(todo, 0, 2)
        stack[0] = <PyObject*>roots[i]
        on_stack = 1
        while on_stack:
            on_stack -= 1
            node = stack[on_stack]
            if <size_t>node & 1:
                node = <PyObject*>(<size_t>node ^ 1)
                done = room(order, order.size, 1)
                done[order.size] = node
                order.size += 1
                (<Value>node).mark = base + order.size
                walks = base + order.size + 1  # beyond every mark
                edges += arity(node)
            elif (<Value>node).mark < base:
                (<Value>node).mark = base
                walks = base + order.size + 1
                n = arity(node)
                stack = room(todo, on_stack, n + 1)
                stack[on_stack] = <PyObject*>(<size_t>node | 1)
                on_stack += 1
                for j in range(n - 1, -1, -1):
                    stack[on_stack] = operand(node, j)
                    on_stack += 1
    n = order.size
    try:
        codes, starts, operands = places(n), places(n + 1), places(edges)
        edges = 0
        starts[0] = 0
        for i in range(n):
            node = order.nodes[i]
            row = (<Value>node).row
            if row is NULL:
                codes[i] = -1
            else:
                j = 0
                while j < n_rows and seen_rows.nodes[j] is not row:
                    j += 1
                if j == n_rows:
                    rows = room(seen_rows, n_rows, 1)
                    rows[n_rows] = row
                    n_rows += 1
                codes[i] = j
            for j in range(arity(node)):
                operands[edges] = (<Value>operand(node, j)).mark - base - 1
                edges += 1
            starts[i + 1] = edges
        seen_rows.size = n_rows
        names = []
        for named in seen_rows.as_list():
            names.append((<Row>named).operation.name)
        return graph_arrays.Tape(
            order.as_list(), names, integers(codes, n), integers(starts, n + 1), integers(operands, edges),
        )
    finally:
        PyMem_Free(codes)
        PyMem_Free(starts)
        PyMem_Free(operands)

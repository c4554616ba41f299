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


cdef enum:
    MOST_NODES = 0x7FFFFFFF  # of a tape, whose numbers of nodes have 32 bits: so many nodes take 200 GB


cdef bytes numbers(Py_ssize_t n, size_t size):
    """Room for n numbers of some bytes each, to be filled in; no Python code runs meanwhile."""
    return PyBytes_FromStringAndSize(NULL, n * <Py_ssize_t>size)


def read_graph(list roots, list sought=[], long long before=0):
    # While the graphs are recorded, a node's mark is `base` once it has been met, and `base` + 1 + its index once it is
    # in the tape; no Python code can run meanwhile.
    global walks
    cdef unsigned long long base = walks + 1
    cdef Nodes order = Nodes()
    cdef Py_ssize_t i, j, n, edges = 0, on_stack, n_rows = 0, n_roots = len(roots), n_sought = len(sought)
    cdef PyObject* node
    cdef PyObject* row
    cdef PyObject* last_row = NULL
    cdef PyObject** stack
    cdef PyObject** done
    cdef PyObject** rows
    cdef Nodes seen_rows = Nodes()
    cdef list older = [], names = []
    cdef int code = -1
    cdef char* is_sought = NULL
    for root in roots:
        checked(root)
    for value in sought:
        checked(value)
    for i in range(n_roots):
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
                    PREFETCH(&(<Value>stack[on_stack]).mark)
                    on_stack += 1
    n = order.size
    if n >= MOST_NODES or edges > MOST_NODES:
        raise OverflowError(f"cannot read a graph of {n:,} nodes: the limit is {MOST_NODES:,}")
    code_numbers, start_numbers, operand_numbers = (
        numbers(n, sizeof(int)), numbers(n + 1, sizeof(int)), numbers(edges, sizeof(int))
    )
    data_numbers, found_numbers = numbers(n, sizeof(double)), numbers(n_sought, sizeof(int))
    cdef int* codes = <int*>PyBytes_AS_STRING(code_numbers)
    cdef int* starts = <int*>PyBytes_AS_STRING(start_numbers)
    cdef int* operands = <int*>PyBytes_AS_STRING(operand_numbers)
    cdef int* found = <int*>PyBytes_AS_STRING(found_numbers)
    cdef double* data = <double*>PyBytes_AS_STRING(data_numbers)
    try:
        is_sought = <char*>PyMem_Calloc(max(n, 1), 1)
        if is_sought is NULL:
            raise MemoryError
        for i in range(n_sought):
            node = <PyObject*>sought[i]
            found[i] = <int>((<Value>node).mark - base - 1) if (<Value>node).mark > base else -1
            if found[i] >= 0:
                is_sought[found[i]] = 1
        edges = 0
        starts[0] = 0
        for i in range(n):
            node = order.nodes[i]
            if i + NODES_AHEAD < n:
                PREFETCH(order.nodes[i + NODES_AHEAD])
            data[i] = (<Value>node)._data
            row = (<Value>node).row
            if row is NULL:
                codes[i] = -1
                if 0 <= (<Value>node).time < before and not is_sought[i]:
                    older.append(<object>node)
            else:
                if row is not last_row:  # mostly it is
                    last_row = row
                    code = 0
                    while code < n_rows and seen_rows.nodes[code] is not row:
                        code += 1
                    if code == n_rows:
                        rows = room(seen_rows, n_rows, 1)
                        rows[n_rows] = row
                        n_rows += 1
                codes[i] = code
            for j in range(arity(node)):
                operands[edges] = <int>((<Value>operand(node, j)).mark - base - 1)
                edges += 1
            starts[i + 1] = <int>edges
    finally:
        PyMem_Free(is_sought)
    seen_rows.size = n_rows
    for named in seen_rows.as_list():
        names.append((<Row>named).operation.name)
    import numpy as np

    return graph_arrays.Tape(
        names, np.frombuffer(code_numbers, np.int32), np.frombuffer(start_numbers, np.int32),
        np.frombuffer(operand_numbers, np.int32), np.frombuffer(data_numbers), np.frombuffer(found_numbers, np.int32),
        older,
    )

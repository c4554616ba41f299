"""Many Values at once, of `_value.pyx`: see bulk.py."""

cdef Value checked(thing):
    if not isinstance(thing, Value):
        raise TypeError(f"here only a Value will do, not {errors.shown(thing)}")
    return <Value>thing


def weighted_sum(w, x, b):
    """Σₖ w[k]·x[k] + b, one node for each product and each sum (000, multi-node; 003 Eq. 1a).

    >>> weighted_sum([Value(2.0), Value(3.0)], [Value(10.0), Value(1.0)], Value(0.5)).data
    23.5
    """
    cdef list weights = list(w), activations = list(x)
    cdef Py_ssize_t k
    if not 0 < len(weights) == len(activations):
        raise ValueError(f"a weighted sum takes as many weights as activations, not {len(weights)} and {len(activations)}")
    total = binary_node(_MULTIPLY, checked(weights[0]), checked(activations[0]))
    for k in range(1, len(weights)):
        total = binary_node(_ADD, total, binary_node(_MULTIPLY, checked(weights[k]), checked(activations[k])))
    return binary_node(_ADD, total, checked(b))


def clear_gradients(values):
    """Set the gradient of each to 0."""
    for value in values:
        checked(value)._grad = 0.0


cdef int write(list values, out, bint gradients) except -1:
    cdef Py_buffer buffer
    cdef Value value
    cdef Py_ssize_t i, n = len(values)
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
        raise TypeError(f"an array of {n} float64 is needed for {n} Values")
    return 0


def read_data(list values, out):
    """Write their data into `out`, of the same length."""
    write(values, out, False)


def read_gradients(list values, out):
    """Write their gradients into `out`, of the same length."""
    write(values, out, True)


def set_data(list values, data):
    """Set the data of each leaf."""
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
        for i in range(n):
            clock += 1
            value = checked(values[i])
            value._data = (<double*>buffer.buf)[i]
            value.time = clock
    finally:
        PyBuffer_Release(&buffer)

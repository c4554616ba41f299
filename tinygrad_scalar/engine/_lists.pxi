"""The operations of a list in C, bit for bit as in lists.py, which says what and why: a part of `_value.pyx`."""

from libc.math cimport INFINITY, fabs, frexp, isfinite, ldexp, sqrt as sqrt_of

cdef Row list_row(str family, Py_ssize_t n):
    cdef dict rows = OF_LISTS[family]
    row = rows.get(n)
    if row is None:
        if len(rows) >= 1024:
            rows.clear()
        row = rows[n] = Row(lists.of_list(family, n))
    return row


cdef inline double of_operand(PyObject* node, Wide* wide, Py_ssize_t i) noexcept:
    """The number of operand i; `wide` is NULL in a node with one or two."""
    if i == 0:
        return (<Value>(<Value>node).left)._data
    return (<Value>((<Value>node).right if wide is NULL else wide.operands[i - 1]))._data


cdef void compensated(double term, double* found, double* lost) noexcept:
    """Add a term ≥ 0 to found + lost."""
    cdef double new = found[0] + term
    lost[0] += (found[0] - new) + term if found[0] >= term else (term - new) + found[0]
    found[0] = new


cdef void compute_list(Value node, Code code) noexcept:
    """The number and the local gradients of a node of an operation of a list."""
    cdef PyObject* self = <PyObject*>node
    cdef Py_ssize_t i, n = arity(self), half = n // 2, at = 0
    cdef Wide* wide = NULL if node.right is NULL else wide_of(node.right)
    cdef double* first = &node.d_left
    cdef double* others = &node.d_right if wide is NULL else wide.local_grads  # of all operands but the first
    cdef double total = (<Value>node.left)._data, x, share_of_rest, rest, lost, shift
    cdef int e
    if code == _ops.SUM or code == _ops.MEAN:
        for i in range(1, n):
            total += of_operand(self, wide, i)
        share_of_rest = 1.0
        if code == _ops.MEAN:
            total /= n
            share_of_rest = 1.0 / n
        first[0] = share_of_rest
        for i in range(n - 1):
            others[i] = share_of_rest
        node._data = total
    elif code == _ops.SUMEXP_BELOW:
        total = lost = 0.0
        for i in range(n - 1):
            x = _ops.pair_of_difference(of_operand(self, wide, i), of_operand(self, wide, n - 1), &rest)
            compensated(x, &total, &lost)
            lost += rest
            (first if i == 0 else &others[i - 1])[0] = x
        node._data = total + lost if isfinite(total) else total
        others[n - 2] = -node._data
    elif code == _ops.DOT:
        total *= of_operand(self, wide, half)
        first[0] = of_operand(self, wide, half)
        others[half - 1] = (<Value>node.left)._data
        for i in range(1, half):
            others[i - 1] = of_operand(self, wide, half + i)
            others[half + i - 1] = of_operand(self, wide, i)
            total += others[half + i - 1] * others[i - 1]
        node._data = total
    elif code == _ops.NORM:
        root_of_squares(self, wide, n, &rest, &e)
        node._data = rest if e == 0 else ldexp(rest, e)
        for i in range(n):
            x = of_operand(self, wide, i)
            (first if i == 0 else &others[i - 1])[0] = (x if e == 0 else ldexp(x, -e)) / rest
    elif code == _ops.MAX or code == _ops.MIN:
        for i in range(1, n):
            x = of_operand(self, wide, i)
            total = _ops.maximum(total, x) if code == _ops.MAX else _ops.minimum(total, x)
        node._data = total
        for i in range(n):
            at += of_operand(self, wide, i) == total
        share_of_rest = 1.0 / at if at else 0.0  # none is equal to nan
        for i in range(n):
            x = of_operand(self, wide, i)
            (first if i == 0 else &others[i - 1])[0] = 1.0 if n == 1 else share_of_rest if x == total else 0.0
    elif code == _ops.LARGEST_OF_LIST:
        for i in range(n):
            total = _ops.maximum(total, of_operand(self, wide, i))
            (first if i == 0 else &others[i - 1])[0] = 0.0
        node._data = total
    elif code == _ops.LOGSUMEXP_BELOW:
        x = of_operand(self, wide, n - 1)
        log_of_sum(self, wide, n - 1, &total, &rest, &lost)
        node._data = (total - x) + (rest + lost) if isfinite(total) else total - x
        others[n - 2] = -1.0
    else:  # logsumexp
        x = log_of_sum(self, wide, n, &total, &rest, &lost)
        if n == 1 or not isfinite(total):
            node._data = total
            return
        node._data = total + rest
        shift = node._data - total
        node._data += ((total - (node._data - shift)) + (rest - shift)) + lost
        if total < 0.0 and fabs(node._data) < (2.0 * rest if x < 0.0625 else 0.03125):
            node._data = exactly(node)


cdef double log_of_sum(PyObject* self, Wide* wide, Py_ssize_t n, double* most, double* above, double* more) noexcept:
    """The largest of n operands, and log Σ exp(xᵢ − most) in two parts, with the local gradients; returns the rest."""
    cdef Py_ssize_t i, at = 0
    cdef double x, low, power, new, found = 0.0, lost = 0.0, total
    most[0] = of_operand(self, wide, 0)
    for i in range(1, n):
        most[0] = _ops.maximum(most[0], of_operand(self, wide, i))
    if n == 1 or not isfinite(most[0]):
        for i in range(n):
            x = of_operand(self, wide, i)
            local_grad(self, i)[0] = (
                1.0 if n == 1 else most[0] if most[0] != most[0] else 1.0 if x == INFINITY else 0.0
            )
        above[0] = more[0] = 0.0
        return 0.0
    while of_operand(self, wide, at) != most[0]:
        at += 1
    for i in range(n):
        if i != at:
            power = _ops.pair_of_difference(of_operand(self, wide, i), most[0], &low)
            new = found + power
            lost += ((found - new) + power if found >= power else (power - new) + found) + low
            found = new
    new = found + lost
    lost -= new - found
    above[0] = _ops.log_of_one_more(new, lost, more)
    total = _ops.one_more(new, lost, &found)
    for i in range(n):
        power = _ops.pair_of_difference(of_operand(self, wide, i), most[0], &low)
        local_grad(self, i)[0] = _ops.quotient(power, low, total, found)
    return new


cdef double exactly(Value node) noexcept:
    """log Σ exp(xᵢ) of the operands, by Python."""
    cdef double found = exact_log_of_sum([(<Value>operand)._data for operand in node.operands])
    return found


cdef void root_of_squares(PyObject* node, Wide* wide, Py_ssize_t n, double* root, int* e) noexcept:
    cdef Py_ssize_t i
    cdef double most = fabs(of_operand(node, wide, 0)), x, high, low, found = 0.0, lost = 0.0, lost_in_squares = 0.0
    for i in range(1, n):
        most = _ops.maximum(most, fabs(of_operand(node, wide, i)))
    e[0] = 0
    if most == 0.0 or not isfinite(most):
        root[0] = most
        return
    if not 1e-140 < most < 1e140:
        frexp(most, e)
    for i in range(n):
        x = of_operand(node, wide, i)
        if e[0] != 0:
            x = ldexp(x, -e[0])
        compensated(x * x, &found, &lost)
        high = 134217729.0 * x
        high -= high - x
        low = x - high
        lost_in_squares += ((high * high - x * x) + 2.0 * high * low) + low * low
    root[0] = sqrt_of(found + lost + lost_in_squares)


cdef list_node(str family, list operands):
    """The node of an operation of a list; None if something in the list is neither a Value nor a plain number."""
    return node_of_list(list_row(family, len(operands)), operands)


cdef node_of_list(Row row, list operands):
    cdef Py_ssize_t i, n = len(operands)
    cdef PyObject* thing
    cdef Wide* wide = NULL
    cdef Value number, out
    cdef size_t collected = 0
    cdef list values = operands
    for i in range(n):
        if not isinstance(operands[i], Value):
            if values is operands:
                values = list(operands)
            number = constant(operands[i])
            if number is None:
                return None
            values[i] = number
        collected |= <size_t>(<Value>values[i])._label
    if n > 2 or (n == 2 and row.piecewise):
        wide = new_wide(n - 1)
    try:
        out = <Value>STEAL(collected_node(NULL, NULL, NULL) if collected & 1 else new_node(NULL, NULL, NULL))
    except MemoryError:
        PyMem_Free(wide)
        raise
    if wide is not NULL:
        for i in range(n - 1):
            thing = <PyObject*>values[i + 1]
            Py_INCREF(thing)
            wide.operands[i] = thing
        out.right = <PyObject*>(<size_t>wide | 1)
    elif n == 2:
        out.right = owned(values[1])
    out.left = owned(values[0])
    out.row = owned(row)
    compute(out)
    if observed:
        observers.tell(out)
    return out


cdef list plain_list(values):
    """What a function of a list was given, as a list; None for what functions.py is to handle."""
    if type(values) is list:
        return <list>values
    if isinstance(values, tuple):
        return list(values)
    return None


cdef node_if_one(str family, list given):
    """The node of an operation of a list, if one is a Value and all others are numbers; otherwise None."""
    for thing in given:
        if isinstance(thing, Value):
            return list_node(family, given)
    return None


cdef of_list(str family, values):
    cdef list given = plain_list(values)
    if given is not None:
        node = node_if_one(family, given)
        if node is not None:
            return node
    return plain_functions[family](values)

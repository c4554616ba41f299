"""Derivatives that are Values: a part of `_value.pyx`. recording.py says what and why, and rows.py has the derivatives.

A walk lists the nodes. From then on everything is found by a node's place among them, because vjps that have no case
here run Python code, which can walk elsewhere.

The walk leaves out what cannot depend on `wrt`: nodes computed before each of these was, if no leaf below was set since.
A walk that found this so leaves `last_set` in the nodes as their mark, which is less than the number of any walk. So the
history of a long computation is not walked again for each derivative inside it.
"""

import math

from tinygrad_scalar.engine import activations, recorded, recording, rows

cdef object ONE = recording.ONE
cdef Row _SIGMOID_SLOPE = row_named("sigmoid slope"), _COPY = row_named("copy")
cdef Row _TANH_SLOPE = row_named("tanh slope"), _ONE_MINUS_SQUARE = row_named("one minus square")
cdef Row _SIGMOID_OF_DIFFERENCE = row_named("σ of difference"), _COSINE = row_named("cosine"), _SHARE = row_named("share")
cdef Row _ATAN2_SLOPE = row_named("atan2 slope"), _NORMAL_CDF = row_named("normal cdf")
cdef double LN2 = rows.LN2, LN10 = rows.LN10, ERF_SLOPE_AT_0 = 2.0 / math.sqrt(math.pi)
cdef double DENSITY_AT_0 = recorded.DENSITY_AT_0

cdef unsigned long long RETURNED = 1 << 61  # the mark of a derivative, until a walk meets it

cdef enum:
    NOWHERE = -1

cdef enum:
    MOST_ABOVE_A_COMPANION = 8  # as in recording.py

cdef enum:  # what is known of a node in `depends`: bits
    DEPENDS = 1
    WANTED = 2
    BY_COMPANION = 4


@cython.final
cdef class Recording:
    """The nodes between `wrt` and the roots, and what is found for each: its adjoint or its tangent."""

    cdef Nodes order  # the computed nodes below the roots, operands first
    cdef int* tops  # the place of each root
    cdef int* wanted  # the place of each of `wrt`, which come after `order` unless they are in it
    # by place: whether it depends on others of `wrt`, is one of them, and has `companion_vjps`
    cdef char* depends
    cdef int* between  # the places of the nodes that depend on others of `wrt`
    cdef Py_ssize_t n_between
    cdef int* operands  # the places of their operands, one node after the other; NOWHERE where there is no derivative
    cdef Py_ssize_t n_operands
    cdef bint all_cased  # whether each of them has a case in `vjp`
    cdef list vjps  # of those that have none
    cdef bint branched  # whether one of them joins the sides of a condition, both of which are traced
    cdef PyObject** found  # by place
    cdef Py_ssize_t n_places
    cdef unsigned long long fresh  # the mark of nodes found up to date
    cdef void* block  # the memory that all these arrays lie in
    cdef size_t size

    def __dealloc__(self):
        self.clear()
        PyMem_Free(self.block)

    cdef void clear(self) noexcept:
        cdef Py_ssize_t i, n = self.n_places
        self.n_places = 0
        for i in range(n):
            Py_XDECREF(self.found[i])

    cdef int reserve(self, Py_ssize_t n_roots, Py_ssize_t n_wanted, Py_ssize_t n_edges) except -1:
        cdef Py_ssize_t n = self.order.size, places = n + n_wanted
        cdef size_t size = places * (sizeof(PyObject*) + 1) + (n_edges + n + n_wanted + n_roots) * sizeof(int)
        if places >= MOST_NODES or n_edges >= MOST_NODES:
            raise OverflowError(f"cannot differentiate a graph of {n:,} nodes: the limit is {MOST_NODES:,}")
        if size > self.size:
            PyMem_Free(self.block)
            self.size = 0
            self.block = PyMem_Malloc(2 * size)
            if self.block is NULL:
                raise MemoryError
            self.size = 2 * size
        self.found = <PyObject**>self.block
        self.operands = <int*>(self.found + places)
        self.between = self.operands + n_edges
        self.wanted = self.between + n
        self.tops = self.wanted + n_wanted
        self.depends = <char*>(self.tops + n_roots)
        memset(self.found, 0, places * sizeof(PyObject*))
        memset(self.depends, 0, places)
        self.n_places = places
        return 0

    cdef inline int add(self, int place, PyObject* amount) except -1:
        """Add to what is found for a place; takes the reference over."""
        cdef PyObject* before = self.found[place]
        if before is NULL:
            self.found[place] = amount
            return 0
        self.found[place] = NULL
        self.found[place] = sum_of(before, amount)
        return 0

    cdef inline int pass_on(self, int place, int of, Py_ssize_t k, PyObject* u, Py_ssize_t n_vjps) except -1:
        """Add u·∂node/∂operand k for a place, of the node at another; if it has no case in `vjp`, its own vjps are number `n_vjps`."""
        cdef PyObject* node = self.order.nodes[of]
        if (<Row>(<Value>node).row).code == _ops.BINARY_ENTROPY:
            amount = entropy_vjp(<Value>node, k, <object>u, self.depends[of] & BY_COMPANION)
            if amount is not None:
                self.add(place, owned(amount))
        elif self.all_cased or has_case(node):
            self.add(place, vjp(node, k, u))
        elif is_of_list((<Row>(<Value>node).row).code):  # its vjps know its operands
            self.add(place, owned(self.vjps[n_vjps][k](<object>u, <Value>node)))
        elif self.vjps[n_vjps][k] is not None:
            self.add(place, owned(self.vjps[n_vjps][k](<object>u, <Value>node, *(<Value>node).operands)))
        return 0

    cdef list at(self, int* places, Py_ssize_t n):
        """What was found for n places, as Values that stand nowhere else, or floats."""
        cdef Py_ssize_t i
        cdef list found = []
        for i in range(n):
            if places[i] == NOWHERE or self.found[places[i]] is NULL:
                found.append(0.0)
                continue
            value = <object>self.found[places[i]]
            if isinstance(value, Value):
                if (<Value>value).mark != 0 or (<Value>value).row is NULL:  # a walk has met it
                    value = unary_node(_COPY, <Value>value)
                (<Value>value).mark = RETURNED
            else:
                value = float(value)
            found.append(value)
        return found


cdef Recording spare = None  # the last one, kept for its memory


cdef int keep_memory(Recording recording) except -1:
    global spare
    recording.clear()
    if recording.size <= CAPACITY_KEPT * sizeof(PyObject*) and recording.order.capacity <= CAPACITY_KEPT:
        spare = recording
    return 0


cdef Recording recording_of(list roots, list wrt):
    """What lies between; a StaleGraphError if a leaf was set since."""
    global spare, walks
    cdef Recording self = spare
    spare = None
    if self is None:
        self = Recording()
        self.order = Nodes()
    cdef Nodes order = self.order
    cdef unsigned long long base = walks + 1
    cdef long long oldest = clock
    cdef PyObject* node
    cdef Py_ssize_t i, n_edges, n = 0
    self.vjps = []
    self.all_cased = True
    self.branched = False
    self.fresh = last_set
    for x in wrt:
        if (<Value>x).time < oldest:
            oldest = (<Value>x).time
    try:
        n_edges = list_below(roots, order, base, oldest)
        n = order.size
        self.reserve(len(roots), len(wrt), n_edges)
        for i in range(len(wrt)):
            node = <PyObject*>wrt[i]
            if (<Value>node).mark <= base:
                n += 1
                (<Value>node).mark = base + n
            self.wanted[i] = place_of(node, base)
            self.depends[self.wanted[i]] = WANTED
        for i in range(len(roots)):
            self.tops[i] = place_of(<PyObject*>roots[i], base)
        find_between(self, base)
    finally:
        walks = base + n + 1  # beyond every mark
    if self.all_cased:
        return self
    wanted = set(wrt)
    for i in range(self.n_between):
        node = order.nodes[self.between[i]]
        if not has_case(node):
            self.branched |= (<Row>(<Value>node).row).operation is ops.COND
            self.vjps.append(recording._vjps((<Row>(<Value>node).row).operation, <Value>node, wanted))
    return self


cdef inline int place_of(PyObject* node, unsigned long long base) noexcept:
    return <int>((<Value>node).mark - base) - 1 if (<Value>node).mark > base else NOWHERE


cdef inline int dependent(int place, const char* depends) noexcept:
    return place if place != NOWHERE and depends[place] else NOWHERE


cdef int find_between(Recording self, unsigned long long base) except -1:
    cdef PyObject** nodes = self.order.nodes
    cdef PyObject* node
    cdef PyObject* below
    cdef PyObject* right
    cdef char* depends = self.depends
    cdef int* operands = self.operands
    cdef Py_ssize_t i, j, n, size = self.order.size, n_between = 0
    cdef int place
    cdef bint reached
    for i in range(size):
        if i + NODES_AHEAD < size:
            PREFETCH(&(<Value>nodes[i + NODES_AHEAD]).mark)
            PREFETCH(&(<Value>nodes[i + NODES_AHEAD]).row)
        node = nodes[i]
        right = (<Value>node).right
        if right is not NULL and wide_of(right) is NULL:  # never piecewise, so no operand of it is detached
            n = 2
            below = (<Value>node).left
            if (<Value>below).time > (<Value>node).time or (<Value>right).time > (<Value>node).time:
                graph.require_fresh([<Value>node])  # raises
            operands[0] = dependent(place_of(below, base), depends)
            operands[1] = dependent(place_of(right, base), depends)
            reached = (operands[0] & operands[1]) != NOWHERE
        else:
            n = arity(node)
            reached = False
            for j in range(n):
                below = operand(node, j)
                if (<Value>below).time > (<Value>node).time:
                    graph.require_fresh([<Value>node])  # raises
                place = dependent(place_of(below, base), depends)
                if place != NOWHERE and is_detached(node, j):
                    place = NOWHERE
                reached |= place != NOWHERE
                operands[j] = place
        if reached:
            depends[i] |= DEPENDS
            if (<Row>(<Value>node).row).code == _ops.BINARY_ENTROPY and leads_only_to(
                operand(node, 1), (<Value>node).left, base, depends
            ):
                depends[i] |= BY_COMPANION
            self.between[n_between] = <int>i
            n_between += 1
            operands += n
            self.all_cased &= has_case(node)
        elif not depends[i]:
            (<Value>node).mark = self.fresh  # and with it all below; it needs no place any longer
    self.n_between = n_between
    self.n_operands = operands - self.operands
    return 0


cdef bint leads_only_to(PyObject* companion, PyObject* node, unsigned long long base, const char* depends) noexcept:
    """The same as in recording.py."""
    cdef PyObject* above[MOST_ABOVE_A_COMPANION]
    cdef PyObject* upper
    cdef PyObject* below
    cdef PyObject* other_end = companion  # −z is the companion of 1 − σ(z)
    cdef Py_ssize_t i = 0, j, k, before, n = 1
    cdef int place
    cdef bint known, reached = False
    if (<Value>companion).row is not NULL and (<Row>(<Value>companion).row).code == _ops.NEGATE:
        other_end = (<Value>companion).left
    above[0] = node
    while i < n:
        upper = above[i]
        i += 1
        place = place_of(upper, base)
        if place != NOWHERE and depends[place] & WANTED:
            return False
        before = n
        for j in range(arity(upper)):
            below = operand(upper, j)
            known = below is companion or below is other_end
            reached |= known
            for k in range(before):
                known |= above[k] is below
            if not known:
                if n == MOST_ABOVE_A_COMPANION:
                    return False
                above[n] = below
                n += 1
    return reached


cdef Py_ssize_t list_below(list roots, Nodes order, unsigned long long base, long long oldest) except -1:
    """Fill `order`, in which node i gets the mark `base` + 1 + i; returns how many operands these nodes have.

    The walk is that of `interior`.
    """
    global todo
    cdef PyObject** stack = room(todo, 0, 64)
    cdef PyObject** done = room(order, 0, 64)
    cdef Py_ssize_t i, j, on_stack, n = 0, n_edges = 0, room_on_stack = todo.capacity - 2, room_for_done = order.capacity
    cdef PyObject* node
    cdef PyObject* ahead
    cdef PyObject* right
    cdef Wide* wide
    cdef char* frontier
    cdef unsigned long long fresh = last_set
    for i in range(len(roots)):
        node = <PyObject*>roots[i]
        frontier = <char*>node
        on_stack = 0
        while True:
            if (<Value>node).left is not NULL and (<Value>node).mark < base and (
                (<Value>node).mark != fresh or (<Value>node).time >= oldest
            ):
                if <size_t>node - <size_t>frontier > 2 * WINDOW:
                    frontier = <char*>node - 64
                if <size_t>node - <size_t>frontier < WINDOW:
                    PREFETCH(frontier)
                    PREFETCH(frontier - 64)
                    PREFETCH(frontier - 128)
                    frontier -= 192
                (<Value>node).mark = base
                right = (<Value>node).right
                if on_stack >= room_on_stack:
                    stack = room(todo, on_stack, 2)
                    room_on_stack = todo.capacity - 2
                stack[on_stack] = <PyObject*>(<size_t>node | 1)
                on_stack += 1
                n_edges += 1
                node = (<Value>node).left
                if right is not NULL:
                    PREFETCH(&(<Value>node).mark)
                    stack[on_stack] = node
                    on_stack += 1
                    wide = wide_of(right)
                    if wide is NULL:
                        n_edges += 1
                        node = right
                    else:
                        n_edges += wide.n
                        stack = room(todo, on_stack, wide.n + 2)
                        room_on_stack = todo.capacity - 2
                        for j in range(wide.n - 1):
                            stack[on_stack] = wide.operands[j]
                            on_stack += 1
                        node = wide.operands[wide.n - 1]
                continue
            if on_stack == 0:
                break
            on_stack -= 1
            node = stack[on_stack]
            if on_stack >= STACK_AHEAD:
                ahead = <PyObject*>(<size_t>stack[on_stack - STACK_AHEAD] & ~<size_t>1)
                PREFETCH(&(<Value>ahead).mark)
            while <size_t>node & 1:
                node = <PyObject*>(<size_t>node ^ 1)
                if n == room_for_done:
                    done = room(order, n, 1)
                    room_for_done = order.capacity
                done[n] = node
                n += 1
                (<Value>node).mark = base + n
                if on_stack == 0:
                    break
                on_stack -= 1
                node = stack[on_stack]
    order.size = n
    if todo.capacity > CAPACITY_KEPT:
        todo = Nodes()
    return n_edges


def gradients(root, wrt):
    cdef list values = checked_list(wrt)
    cdef Recording self = recording_of([checked(root)], values)
    cdef Py_ssize_t i, k, n, n_vjps = len(self.vjps)
    cdef int place
    cdef int* operands = self.operands + self.n_operands
    cdef PyObject* node
    cdef PyObject* u
    if self.branched:
        return recording.gradients_along(self.order.as_list(), root, values)
    if self.tops[0] != NOWHERE:
        self.found[self.tops[0]] = owned(ONE)
    for i in range(self.n_between - 1, -1, -1):
        if i >= NODES_AHEAD:
            PREFETCH(self.order.nodes[self.between[i - NODES_AHEAD]])
            PREFETCH(&(<Value>self.order.nodes[self.between[i - NODES_AHEAD]]).mark)
        place = self.between[i]
        node = self.order.nodes[place]
        (<Value>node).mark = self.fresh
        n = arity(node)
        operands -= n
        u = self.found[place]
        if (<Row>(<Value>node).row).code == _ops.MULTIPLY:
            if u is NULL:
                continue
            if operands[0] != NOWHERE:
                self.add(operands[0], product_of(u, (<Value>node).right))
            if operands[1] != NOWHERE:
                self.add(operands[1], product_of(u, (<Value>node).left))
        else:
            n_vjps -= not self.all_cased and not has_case(node)
            if u is NULL:
                continue
            for k in range(n):
                if operands[k] != NOWHERE:
                    self.pass_on(operands[k], place, k, u, n_vjps)
        if not self.depends[place] & WANTED:
            self.found[place] = NULL
            Py_DECREF(u)
    found = self.at(self.wanted, len(values))
    keep_memory(self)
    return found


def tangents(roots, wrt, directions):
    cdef list tops = checked_list(roots), values = checked_list(wrt)
    cdef Recording self = recording_of(tops, values)
    cdef Py_ssize_t i = 0, k, n, n_vjps = 0
    cdef int* operands = self.operands
    cdef PyObject* node
    cdef PyObject* before
    for _, given in zip(values, directions):
        direction = recording._direction(given)
        before = self.found[self.wanted[i]]
        self.found[self.wanted[i]] = owned(direction)
        Py_XDECREF(before)
        i += 1
        if isinstance(direction, Value) and (<Value>direction).mark == 0:
            (<Value>direction).mark = RETURNED
    for i in range(self.n_between):
        node = self.order.nodes[self.between[i]]
        (<Value>node).mark = self.fresh
        n = arity(node)
        for k in range(n):
            if operands[k] != NOWHERE and self.found[operands[k]] is not NULL:
                self.pass_on(self.between[i], self.between[i], k, self.found[operands[k]], n_vjps)
        n_vjps += not self.all_cased and not has_case(node)
        operands += n
    found = self.at(self.tops, len(tops))
    keep_memory(self)
    return found


cdef list checked_list(values):
    cdef list found = []
    for value in values:
        found.append(checked(value))
    return found


# --- rows.py's vjps, for upstream gradients that are Values or plain numbers -----------------------------------------

cdef inline bint has_case(PyObject* node) noexcept:
    cdef Code code = (<Row>(<Value>node).row).code
    return code != _ops.TABLE and (code < _ops.SUM or code >= _ops.EXP_OF_DIFFERENCE)


cdef inline bint plainly(x, y) noexcept:
    return type(x) is Value and type(y) is Value


cdef inline PyObject* watched(PyObject* node) except NULL:
    return owned(made(node)) if observed else node


cdef inline PyObject* sum_of(PyObject* x, PyObject* y) except NULL:
    """x + y; takes both references over."""
    cdef PyObject* node
    if not (is_light(x) and is_light(y)):
        return owned(STEAL(x) + STEAL(y))
    node = light_node(<PyObject*>_ADD, x, y)
    (<Value>node)._data = (<Value>x)._data + (<Value>y)._data
    (<Value>node).d_left = (<Value>node).d_right = 1.0
    return watched(node)


cdef inline PyObject* product_of(PyObject* x, PyObject* y) except NULL:
    cdef PyObject* node
    if x is <PyObject*>ONE:
        return same(y)
    if not (is_light(x) and is_light(y)):
        return owned(<object>x * <object>y)
    node = light_node(<PyObject*>_MULTIPLY, same(x), same(y))
    (<Value>node)._data = (<Value>x)._data * (<Value>y)._data
    (<Value>node).d_left = (<Value>y)._data
    (<Value>node).d_right = (<Value>x)._data
    return watched(node)


cdef inline PyObject* same(PyObject* x) noexcept:
    Py_INCREF(x)
    return x


cdef inline times(x, y): return STEAL(product_of(<PyObject*>x, <PyObject*>y))
cdef inline over(x, y): return binary_node(_DIVIDE, x, y) if plainly(x, y) else x / y
cdef inline negative(x): return unary_node(_NEGATE, <Value>x) if type(x) is Value else -x


cdef scaled(double factor, x):
    return binary_node(_MULTIPLY, factor, x) if type(x) is Value else factor * x


cdef one_plus(x):
    return binary_node(_ADD, 1.0, x)


cdef raised(Value x, double n):
    return unary_node(constant_power(n), x)


cdef where(Value condition, x, y):
    cdef Value left = <Value>x if isinstance(x, Value) else constant(x)
    cdef Value right = <Value>y if isinstance(y, Value) else constant(y)
    cdef Value node
    cdef Wide* wide
    if left is None or right is None or (
        is_collected(<PyObject*>condition) or is_collected(<PyObject*>left) or is_collected(<PyObject*>right)
    ):
        return record("where", condition, x, y)
    node = <Value>STEAL(new_node(<PyObject*>_WHERE, <PyObject*>condition, <PyObject*>left))
    wide = new_wide(2)
    wide.operands[0] = node.right
    wide.operands[1] = owned(right)
    node.right = <PyObject*>(<size_t>wide | 1)
    compute(node)
    if observed:
        observers.tell(node)
    return node


cdef larger_share(u, x, y):
    return where(
        binary_node(_GREATER, x, y), u, where(binary_node(_GREATER_EQUAL, x, y), scaled(0.5, u), 0.0)
    )


cdef inline PyObject* vjp(PyObject* v, Py_ssize_t k, PyObject* u) except NULL:
    """u·∂v/∂operand k, or, with the operand's tangent as u, its part of the tangent of v."""
    cdef Code code = (<Row>(<Value>v).row).code
    if code == _ops.MULTIPLY:
        return product_of(u, (<Value>v).right if k == 0 else (<Value>v).left)
    if code == _ops.ADD or (code == _ops.SUBTRACT and k == 0):
        return same(u)
    return owned(other_vjp(<Value>v, k, <object>u))


cdef other_vjp(Value v, Py_ssize_t k, u):
    cdef Row row = <Row>v.row
    cdef Code code = row.code
    cdef double n = row.number
    cdef Value x = <Value>v.left, y
    cdef object left, right
    cdef PyObject* second = operand(<PyObject*>v, 1) if v.right is not NULL else NULL
    if code == _ops.COPY:
        return u
    if code == _ops.SUBTRACT:
        return negative(u)
    if code == _ops.NEGATE:
        return negative(u)
    if code == _ops.CONSTANT_POWER:
        if n == 1.0:
            return u
        return times(u, binary_node(_MULTIPLY, n, x if n == 2.0 else raised(x, n - 1.0)))
    if code == _ops.TANH:
        return times(u, unary_node(_TANH_SLOPE, x))
    if code == _ops.SIGMOID:
        return times(u, unary_node(_SIGMOID_SLOPE, x))
    if code == _ops.RELU:
        return where(binary_node(_GREATER, x, 0.0), u, 0.0)
    if code == _ops.EXP:
        return times(u, v)
    if code == _ops.LOG:
        return over(u, x)
    if code == _ops.EXP_OF_DIFFERENCE or code == _ops.SHARE:
        if k == 2:
            return negative(times(u, over(v, <object>operand(<PyObject*>v, 2))))
        return times(u, v) if k == 0 else negative(times(u, v))
    if second is not NULL:
        return vjp_of_two(v, k, u, code, x, <Value>second)
    if code == _ops.LEAKY_RELU:
        return where(binary_node(_GREATER_EQUAL, x, 0.0), u, scaled(n, u))
    if code == _ops.ABSOLUTE:
        return where(binary_node(_GREATER_EQUAL, x, 0.0), u, negative(u))
    if code == _ops.EXPM1:
        return times(u, unary_node(_EXP, x))
    if code == _ops.LOG1P:
        return over(u, one_plus(x))
    if code == _ops.SQRT:
        return over(u, binary_node(_MULTIPLY, 2.0, v))
    if code == _ops.SIN:
        return times(u, unary_node(_COS, x))
    if code == _ops.COS:
        return negative(times(u, unary_node(_SIN, x)))
    if code == _ops.SOFTPLUS:
        return times(u, unary_node(_SIGMOID, x))
    if code == _ops.SIGMOID_SLOPE:
        return negative(times(u, times(v, unary_node(_TANH, binary_node(_MULTIPLY, 0.5, x)))))
    if code == _ops.TANH_SLOPE:
        return times(u, times(binary_node(_MULTIPLY, -2.0, v), unary_node(_TANH, x)))
    if code == _ops.ONE_MINUS_SQUARE:
        return times(u, binary_node(_MULTIPLY, -2.0, x))
    if code == _ops.TAN:
        return times(u, one_plus(times(v, v)))
    if code == _ops.ASIN:
        return over(u, unary_node(_SQRT, unary_node(_ONE_MINUS_SQUARE, x)))
    if code == _ops.ACOS:
        return negative(over(u, unary_node(_SQRT, unary_node(_ONE_MINUS_SQUARE, x))))
    if code == _ops.ATAN:
        return times(u, binary_node(_ATAN2_SLOPE, 1.0, x))
    if code == _ops.SINH:
        return times(u, unary_node(_COSH, x))
    if code == _ops.COSH:
        return times(u, unary_node(_SINH, x))
    if code == _ops.ASINH:
        return over(u, binary_node(_HYPOT, x, 1.0))
    if code == _ops.ACOSH:
        left = raised(binary_node(_SUBTRACT, x, 1.0), -0.5)
        return times(u, over(left, unary_node(_SQRT, binary_node(_ADD, x, 1.0))))
    if code == _ops.ATANH:
        return over(u, unary_node(_ONE_MINUS_SQUARE, x))
    if code == _ops.ERF:
        return times(u, scaled(ERF_SLOPE_AT_0, unary_node(_EXP, negative(times(x, x)))))
    if code == _ops.LOG2:
        return over(u, binary_node(_MULTIPLY, x, LN2))
    if code == _ops.LOG10:
        return over(u, binary_node(_MULTIPLY, x, LN10))
    if code == _ops.EXP2:
        return times(u, binary_node(_MULTIPLY, v, LN2))
    if code == _ops.CBRT:
        return times(u, binary_node(_DIVIDE, raised(v, -2.0), 3.0))
    if code == _ops.NORMAL_CDF:
        return times(u, density(x))
    if code == _ops.GELU:
        left = unary_node(_NORMAL_CDF, x)
        return times(u, binary_node(_ADD, left, times(x, density(x))))
    if code == _ops.SILU:
        left = unary_node(_SIGMOID, x)
        return times(u, binary_node(_ADD, left, times(x, unary_node(_SIGMOID_SLOPE, x))))
    if code == _ops.MISH:
        y = <Value>unary_node(_SOFTPLUS, x)
        left = unary_node(_TANH, y)
        right = unary_node(_TANH_SLOPE, y)
        return times(u, binary_node(_ADD, left, times(x, times(right, unary_node(_SIGMOID, x)))))
    if code == _ops.ELU:
        return elu_vjp(u, x, 1.0, 1.0)
    if code == _ops.SELU:
        return elu_vjp(u, x, activations.SCALE, activations.SCALE_ALPHA)
    if code == _ops.HARDTANH:
        left = binary_node(_GREATER, x, 1.0)
        return where(left, 0.0, where(binary_node(_GREATER, negative(x), 1.0), 0.0, u))
    if code == _ops.SOFTSIGN:
        left = unary_node(_ABSOLUTE, x)
        right = binary_node(_DIVIDE, 1.0, one_plus(left))
        right = times(right, right)
        return times(u, where(binary_node(_GREATER_EQUAL, left, math.inf), math.nan, right))
    f = row.operation.vjps[k]
    return f(u, v, *v.operands)


cdef vjp_of_two(Value v, Py_ssize_t k, u, Code code, Value x, Value y):
    cdef object h, s
    if code == _ops.DIVIDE:
        return over(u, y) if k == 0 else negative(times(u, over(v, y)))
    if code == _ops.POWER:
        if k == 0:
            return times(u, times(y, binary_node(_POWER, x, binary_node(_SUBTRACT, y, 1.0))))
        return times(u, times(v, unary_node(_LOG, where(x, x, 1.0))))
    if code == _ops.MAXIMUM:
        return larger_share(u, x, y) if k == 0 else larger_share(u, y, x)
    if code == _ops.MINIMUM:
        return larger_share(u, y, x) if k == 0 else larger_share(u, x, y)
    if code == _ops.LOGADDEXP:
        return times(u, binary_node(_SIGMOID_OF_DIFFERENCE, x if k == 0 else y, y if k == 0 else x))
    if code == _ops.SIGMOID_OF_DIFFERENCE:
        s = binary_node(_SIGMOID_OF_DIFFERENCE, y, x)
        h = binary_node(_GREATER, binary_node(_ADD, v, s), 1.5)
        u = times(u, where(h, 0.0, times(v, s)))
        return u if k == 0 else negative(u)
    if code == _ops.WHERE:
        return where(x, u, 0.0) if k == 1 else where(x, 0.0, u)
    if code == _ops.XLOGY:
        return times(u, unary_node(_LOG, y) if k == 0 else over(x, y))
    if code == _ops.HYPOT:
        return times(u, binary_node(_COSINE, x, y) if k == 0 else binary_node(_COSINE, y, x))
    if code == _ops.COSINE:
        s = binary_node(_COSINE, y, x)
        if k == 1:
            s = times(s, v)
        h = binary_node(_HYPOT, x, y)
        h = over(s, where(binary_node(_GREATER, h, 0.0), h, math.inf))
        return times(u, times(h, s)) if k == 0 else negative(times(u, h))
    if code == _ops.ATAN2:
        if k == 0:
            return times(u, binary_node(_ATAN2_SLOPE, y, x))
        return negative(times(u, binary_node(_ATAN2_SLOPE, x, y)))
    if code == _ops.ATAN2_SLOPE:
        if k == 0:
            s = binary_node(_SUBTRACT, y, x)
            h = binary_node(_HYPOT, x, y)
            s = over(s, h)
            s = times(s, over(binary_node(_ADD, y, x), h))
            return times(u, over(over(s, h), h))
        h = binary_node(_HYPOT, x, y)
        s = over(x, h)
        s = times(s, over(y, h))
        return times(u, scaled(-2.0, over(over(s, h), h)))
    f = (<Row>v.row).operation.vjps[k]
    return f(u, v, x, y)


cdef entropy_vjp(Value v, Py_ssize_t k, u, bint by_companion):
    """Of the binary cross-entropy, where None means that an operand gets nothing."""
    cdef Value a = <Value>v.left, z = <Value>operand(<PyObject*>v, 1), y = <Value>operand(<PyObject*>v, 2)
    cdef object left
    if k == (0 if by_companion else 1):
        return None
    if by_companion:
        return times(u, binary_node(_SUBTRACT, unary_node(_SIGMOID, z), y)) if k == 1 else negative(times(u, z))
    if k == 0:
        left = binary_node(_SUBTRACT, 1.0, y)
        left = over(left, binary_node(_SUBTRACT, 1.0, a))
        return times(u, binary_node(_SUBTRACT, left, over(y, a)))
    left = unary_node(_LOG, binary_node(_SUBTRACT, 1.0, a))
    return times(u, binary_node(_SUBTRACT, left, unary_node(_LOG, a)))


cdef density(Value x):
    square = times(x, x)
    bounded = where(binary_node(_GREATER, square, 1600.0), 1600.0, square)
    return scaled(DENSITY_AT_0, unary_node(_EXP, scaled(-0.5, bounded)))


cdef elu_vjp(u, Value x, double right, double left):
    positive = binary_node(_GREATER, x, 0.0)
    e = unary_node(_EXP, where(positive, 0.0, x))
    return where(positive, u if right == 1.0 else times(u, right), times(u, e if left == 1.0 else scaled(left, e)))

"""The walk over a graph and the passes along it: a part of `_value.pyx`. graph.py says in which order and why."""

@cython.final
cdef class Nodes:
    """A growing array of nodes, which does not keep them alive."""

    cdef PyObject** nodes
    cdef Py_ssize_t size
    cdef Py_ssize_t capacity
    cdef void* block  # the memory that they lie in
    # set when it holds the result of a walk
    cdef PyObject* root
    cdef long long time  # when every node was last found newer than its operands, or -1

    def __dealloc__(self):
        PyMem_Free(self.block)

    cdef list as_list(self):
        cdef Py_ssize_t i
        cdef list nodes = []
        for i in range(self.size):
            nodes.append(<object>self.nodes[i])
        return nodes


cdef enum:
    CAPACITY_KEPT = 1 << 21  # 16 MB: a graph of two million nodes has 192

cdef Nodes todo = Nodes()  # the stack of a walk; walks never nest
cdef Nodes last = Nodes()  # the last walk's result, or None while it is in use
cdef PyObject* last_root = NULL


cdef PyObject** room(Nodes array, Py_ssize_t size, Py_ssize_t more) except NULL:
    """The nodes of an array that holds `size`, after making room for `more`."""
    cdef Py_ssize_t capacity = array.capacity
    cdef size_t start, bytes
    cdef void* block
    if size + more <= capacity:
        return array.nodes
    capacity = 2 * (size + more)
    bytes = capacity * sizeof(PyObject*)
    block = PyMem_Malloc(bytes if bytes < SLAB_SIZE else bytes + SLAB_SIZE)
    if block is NULL:
        raise MemoryError
    start = <size_t>block
    if bytes >= SLAB_SIZE:
        start = aligned(start)
        ask_for_huge_pages(<void*>start, bytes)
    if size > 0:
        memcpy(<void*>start, array.nodes, size * sizeof(PyObject*))
    PyMem_Free(array.block)
    array.block = block
    array.nodes = <PyObject**>start
    array.capacity = capacity
    return array.nodes


cdef void keep(Nodes order) noexcept:
    """Keep a walk's result, for another pass over the same graph."""
    global last, last_root
    last = order
    last_root = order.root


cdef void forget() noexcept:
    """The root of the last walk is gone: keep only a little memory for the next."""
    global last, last_root
    last_root = NULL
    if last is not None:
        last.root = NULL
        if last.capacity > CAPACITY_KEPT:
            last = None


cdef void give_walks_back() noexcept:
    """Keep no memory for the next walk."""
    global last, last_root, todo
    todo = Nodes()
    if last is not None:  # else it is in use
        last, last_root = Nodes(), NULL


cdef inline bint unseen(PyObject* node) noexcept:
    return (<Value>node).left is not NULL and (<Value>node).mark != walks


cdef enum:  # how far ahead memory is prefetched: measured with benchmarks/engine.py on graphs beyond the caches
    STACK_AHEAD = 24  # entries
    NODES_AHEAD = 16
    MANY_NODES = 400_000  # here the operands of the node in the middle are prefetched too, as in irregular graphs
    WINDOW = 4096  # bytes


cdef Nodes interior(Value root):
    """The interior nodes of the graph of `root`, operands first.

    The stack holds the work left: visit a node, or (lowest bit set) add it to the order, because everything below it is
    already there. So a node is read once, when it is visited.
    """
    global walks, last, last_root, todo
    cdef Nodes order = last
    last = None
    last_root = NULL
    if order is not None and order.root == <PyObject*>root and root.mark == walks:
        return order  # nobody has walked since, and a graph never changes
    if order is None or order.capacity > CAPACITY_KEPT:
        order = Nodes()
    cdef PyObject** stack = room(todo, 0, 64)
    cdef PyObject** done = room(order, 0, 64)
    cdef Py_ssize_t on_stack = 0, n_done = 0, room_on_stack = todo.capacity - 2, room_for_done = order.capacity
    cdef PyObject* node = <PyObject*>root
    cdef PyObject* ahead
    cdef PyObject* left
    cdef PyObject* right
    cdef Wide* wide
    cdef Py_ssize_t i
    cdef bint fresh = True
    cdef char* frontier = <char*><PyObject*>root
    order.size = 0
    order.root = NULL
    if root.left is NULL:
        return order
    walks += 1
    while True:
        if <size_t>node - <size_t>frontier > 2 * WINDOW:
            frontier = <char*>node - 64
        if <size_t>node - <size_t>frontier < WINDOW:
            PREFETCH(frontier)
            PREFETCH(frontier - 64)
            PREFETCH(frontier - 128)
            frontier -= 192
        (<Value>node).mark = walks
        fresh &= (<Value>node).time == clock
        right = (<Value>node).right
        if on_stack >= room_on_stack:
            stack = room(todo, on_stack, 2)
            room_on_stack = todo.capacity - 2
        stack[on_stack] = <PyObject*>(<size_t>node | 1)
        on_stack += 1
        left = (<Value>node).left
        node = left
        if right is not NULL:
            PREFETCH(&(<Value>left).mark)
            stack[on_stack] = left
            on_stack += 1
            wide = wide_of(right)
            if wide is NULL:
                node = right
            else:
                stack = room(todo, on_stack, wide.n + 2)
                room_on_stack = todo.capacity - 2
                for i in range(wide.n):
                    stack[on_stack] = wide.operands[i]
                    on_stack += 1
                on_stack -= 1
                node = stack[on_stack]
        while not unseen(node):
            on_stack -= 1
            node = stack[on_stack]
            if on_stack >= STACK_AHEAD:
                ahead = <PyObject*>(<size_t>stack[on_stack - STACK_AHEAD] & ~<size_t>1)
                PREFETCH(&(<Value>ahead).mark)
            while <size_t>node & 1:
                if n_done == room_for_done:
                    done = room(order, n_done, 1)
                    room_for_done = order.capacity
                done[n_done] = <PyObject*>(<size_t>node ^ 1)
                n_done += 1
                if on_stack == 0:
                    order.size = n_done
                    order.root = <PyObject*>root
                    order.time = clock if fresh else -1
                    if todo.capacity > CAPACITY_KEPT:
                        todo = Nodes()
                    return order
                on_stack -= 1
                node = stack[on_stack]


cdef inline void prefetch(PyObject* ahead, PyObject* nearer) noexcept:
    """A node, and the first two operands of one that was prefetched before."""
    cdef PyObject* right = (<Value>nearer).right
    PREFETCH(&(<Value>ahead).mark)
    PREFETCH(&(<Value>ahead).row)
    PREFETCH(&(<Value>(<Value>nearer).left).mark)
    if right is not NULL and wide_of(right) is NULL:
        PREFETCH(&(<Value>right).mark)


cdef inline bint older(PyObject* node) noexcept:
    """Whether a node was computed before one of its operands was set or recomputed."""
    cdef Py_ssize_t i
    for i in range(arity(node)):
        if (<Value>operand(node, i)).time > (<Value>node).time:
            return True
    return False


cdef int require_none_older(Nodes order) except -1:
    cdef Py_ssize_t i
    for i in range(order.size):
        if older(order.nodes[i]):
            graph.require_fresh([<Value>order.nodes[i]])  # raises
    order.time = clock
    return 0


cdef inline void contribute(PyObject* operand, double amount, unsigned long long walk) noexcept:
    """Add to an operand's gradient; in a node of the graph the pass's first contribution overwrites what was there."""
    if (<Value>operand).mark == walk:
        (<Value>operand).mark = walk + 1
        (<Value>operand)._grad = 0.0 + amount
    else:
        (<Value>operand)._grad += amount


cdef inline double contribution(PyObject* node, Py_ssize_t i, double upstream) noexcept:
    """Local gradient × upstream gradient for operand i, as in ops.py."""
    cdef double slope = local_grad(node, i)[0]
    cdef double amount = slope * upstream
    return 0.0 if amount != amount and slope == 0.0 and (<Row>(<Value>node).row).piecewise else amount


cdef inline bint is_detached(PyObject* node, Py_ssize_t i) noexcept:
    cdef const char* detached = (<Row>(<Value>node).row).detached
    return detached is not NULL and detached[i]


cdef void add_gradients(Value root, double upstream, Nodes order) noexcept:
    """The chain rule, from the root down. The nodes of `order` carry the mark `walks`, before and after."""
    global walks
    cdef PyObject** nodes = order.nodes
    cdef PyObject* node
    cdef PyObject* right
    cdef Py_ssize_t i, j
    cdef unsigned long long walk = walks
    if order.size == 0:
        root._grad += upstream
        return
    contribute(<PyObject*>root, upstream, walk)
    for i in range(order.size - 1, -1, -1):
        if i >= NODES_AHEAD:
            PREFETCH(&(<Value>nodes[i - NODES_AHEAD])._grad)
            PREFETCH(&(<Value>nodes[i - NODES_AHEAD]).mark)
        node = nodes[i]
        if (<Value>node).mark == walk:  # only detached operands lead here
            (<Value>node).mark = walk + 1
            (<Value>node)._grad = 0.0
            continue
        upstream = (<Value>node)._grad
        right = (<Value>node).right
        if right is NULL:
            if (<Value>node).d_left != 0.0 or not is_detached(node, 0):
                contribute((<Value>node).left, contribution(node, 0, upstream), walk)
        elif wide_of(right) is NULL:  # never piecewise
            contribute((<Value>node).left, (<Value>node).d_left * upstream, walk)
            contribute(right, (<Value>node).d_right * upstream, walk)
        else:
            for j in range(arity(node)):
                if not is_detached(node, j):
                    contribute(operand(node, j), contribution(node, j, upstream), walk)
    walks = walk + 1

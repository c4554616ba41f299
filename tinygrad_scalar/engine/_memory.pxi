"""Where the nodes of `_value.pyx` live: slabs of 2 MB, cut into places of one node's size.

A training step makes a graph and drops it; malloc would hand its pages back to the operating system and fault them in
again in the next step, which took longer than all the arithmetic. Here some empty slabs are kept; one that has become
empty is filled from its start again, so that a graph lies in memory in the order it was made; and all but the first are
offered to the system as huge pages. Further empty slabs are given back.

PYTHONMALLOC, or Python's development mode, turns this off: a debugging allocator then sees every node.
"""

cdef extern from "Python.h":
    ctypedef struct PyObjectArenaAllocator:
        void* ctx
        void* (*alloc)(void*, size_t) noexcept
        void (*free)(void*, void*, size_t) noexcept

    void PyObject_GetArenaAllocator(PyObjectArenaAllocator*)
    void* PyObject_Malloc(size_t)
    void PyObject_Free(void*)

cdef extern from "_huge_pages.h":
    void ask_for_huge_pages(void*, size_t) noexcept
    void give_back_freed_memory() noexcept nogil

cdef enum:
    SLAB_SIZE = 1 << 21  # and alignment, so that a node's address tells its slab
    EMPTY_SLABS_KEPT = 16

cdef struct Slab:
    Slab* next  # in the list that it is in
    Slab* previous
    char* freed  # the places that were given back, each holding the address of the next
    char* unused  # the next place that was never used
    Py_ssize_t step  # from there to the one after it
    Py_ssize_t taken
    void* arena

cdef size_t PLACE = 0  # bytes of a node
cdef Py_ssize_t PLACES = 0  # in a slab
cdef PyObjectArenaAllocator arenas
cdef Slab* current = NULL  # where the next node goes
cdef Slab* with_room = NULL  # doubly linked, without the current one
cdef Slab* set_aside = NULL  # doubly linked: partial ones that are not filled while there are keepers
cdef Slab* empty = NULL  # singly linked
cdef Py_ssize_t slabs = 0
cdef Py_ssize_t empty_slabs = 0
cdef Py_ssize_t keepers = 0  # while there are any, all empty slabs are kept
cdef bint backwards = False  # whether slabs are filled from their end
cdef bint in_slabs = True


cdef void set_up_memory(size_t size, bint slabs_wanted) noexcept:
    global PLACE, PLACES, in_slabs
    PyObject_GetArenaAllocator(&arenas)
    PLACE = (size + 15) & ~<size_t>15
    PLACES = (SLAB_SIZE - sizeof(Slab)) // PLACE
    in_slabs = slabs_wanted


cdef inline void make_empty(Slab* slab) noexcept:
    slab.freed = NULL
    slab.unused = <char*>slab + SLAB_SIZE - (PLACE if backwards else PLACES * PLACE)
    slab.step = -<Py_ssize_t>PLACE if backwards else <Py_ssize_t>PLACE


cdef inline size_t aligned(size_t address) noexcept:
    return (address + SLAB_SIZE - 1) & ~<size_t>(SLAB_SIZE - 1)


cdef bint next_slab() noexcept:
    """Make a slab with room the current one; False if there is no memory."""
    global current, with_room, empty, slabs, empty_slabs
    cdef void* arena
    cdef Slab* slab
    if with_room is not NULL:
        slab = with_room
        with_room = slab.next
        if with_room is not NULL:
            with_room.previous = NULL
    elif empty is not NULL:
        slab = empty
        empty = slab.next
        empty_slabs -= 1
    else:
        arena = arenas.alloc(arenas.ctx, 2 * SLAB_SIZE)  # twice the size, to hold an aligned one
        if arena is NULL:
            return False
        slab = <Slab*>aligned(<size_t>arena)
        if slabs > 0:
            ask_for_huge_pages(slab, SLAB_SIZE)
        slabs += 1
        slab.arena = arena
        slab.taken = 0
        make_empty(slab)
    current = slab
    return True


cdef inline void* take_place() noexcept:
    cdef Slab* slab = current
    cdef char* place
    if slab is NULL or slab.taken == PLACES:
        if not in_slabs:
            return PyObject_Malloc(PLACE)
        if not next_slab():
            return NULL
        slab = current
    slab.taken += 1
    place = slab.freed
    if place is not NULL:
        slab.freed = (<char**>place)[0]
    else:
        place = slab.unused
        slab.unused += slab.step
    return place


cdef inline void give_place_back(void* place) noexcept:
    cdef Slab* slab
    if not in_slabs:
        PyObject_Free(place)
        return
    slab = <Slab*>(<size_t>place & ~<size_t>(SLAB_SIZE - 1))
    (<char**>place)[0] = slab.freed
    slab.freed = <char*>place
    slab.taken -= 1
    if slab.taken == 0 or slab.taken == PLACES - 1:
        sort_slab(slab)


cdef void sort_slab(Slab* slab) noexcept:
    """Put a slab that has just gained room, or become empty, where it belongs."""
    global with_room, set_aside, empty, slabs, empty_slabs
    if slab.taken == 0:
        make_empty(slab)
    if slab is current:
        return
    if slab.taken > 0:  # it was full, and in no list
        slab.previous = NULL
        slab.next = with_room
        if with_room is not NULL:
            with_room.previous = slab
        with_room = slab
        return
    if slab.next is not NULL:
        slab.next.previous = slab.previous
    if slab.previous is not NULL:
        slab.previous.next = slab.next
    elif slab is set_aside:
        set_aside = slab.next
    else:
        with_room = slab.next
    if keepers or empty_slabs < EMPTY_SLABS_KEPT:
        slab.next = empty
        empty = slab
        empty_slabs += 1
    else:
        slabs -= 1
        arenas.free(arenas.ctx, slab.arena, 2 * SLAB_SIZE)


def turn_memory(list dropped):
    global keepers
    if not in_slabs:
        return False
    keepers += 1  # first, so that nothing is given back
    dropped.clear()
    set_partial_slabs_aside()
    turn_empty_slabs()
    return True


def turn_memory_back():
    global keepers, set_aside, with_room
    cdef Slab* last = set_aside
    if not in_slabs:
        return
    keepers -= 1
    turn_empty_slabs()
    give_walks_back()
    if keepers == 0 and set_aside is not NULL:
        while last.next is not NULL:
            last = last.next
        last.next = with_room
        if with_room is not NULL:
            with_room.previous = last
        with_room = set_aside
        set_aside = NULL


def give_back_unused():
    if in_slabs and keepers == 0:
        sort_empty_slabs()
    give_walks_back()
    give_back_freed_memory()


cdef void set_partial_slabs_aside() noexcept:
    """What is dropped from a slab would be taken again in the same order."""
    global current, set_aside, with_room
    cdef Slab* slab = with_room
    cdef Slab* following
    with_room = NULL
    while slab is not NULL:
        following = slab.next
        put_aside(slab)
        slab = following
    if current is not NULL and 0 < current.taken:
        slab = current
        current = NULL
        if slab.taken < PLACES:
            put_aside(slab)


cdef void put_aside(Slab* slab) noexcept:
    global set_aside
    slab.previous = NULL
    slab.next = set_aside
    if set_aside is not NULL:
        set_aside.previous = slab
    set_aside = slab


cdef void turn_empty_slabs() noexcept:
    """Fill empty slabs from the other end than before; give them back unless they are kept."""
    global backwards
    backwards = not backwards
    sort_empty_slabs()


cdef void sort_empty_slabs() noexcept:
    """Let empty slabs be filled from the end where filling begins now; give them back unless they are kept."""
    global current, empty, empty_slabs, slabs
    cdef Slab* slab
    cdef Slab* following
    if current is not NULL and current.taken == 0:
        current.next = empty
        empty = current
        current = NULL
    slab = empty
    empty, empty_slabs = NULL, 0
    while slab is not NULL:
        following = slab.next
        if keepers:
            make_empty(slab)
            slab.next = empty
            empty = slab
            empty_slabs += 1
        else:
            slabs -= 1
            arenas.free(arenas.ctx, slab.arena, 2 * SLAB_SIZE)
        slab = following

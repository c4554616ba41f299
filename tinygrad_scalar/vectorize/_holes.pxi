# Free places: of values that nothing reads any more (_reuse.pxi), and of gradients that are passed on (_machine.pxi).

cdef enum:
    LARGER = 4  # at most so many times as large is a hole as what is put into it: a single number would spoil a wide one

cdef struct Hole:
    int place
    int size
    int following  # the next one as large, or the next one that is in no list

cdef struct Holes:
    int* first  # for each size the first hole as large
    Hole* all
    int n  # how many of these have been used
    int spare  # the first that is no hole now
    int largest


cdef int make_holes(Holes* holes, int largest, Py_ssize_t most) except -1:
    """No holes yet, and room for them: none will be larger than `largest`, and at most so many are given back."""
    cdef int size
    holes.first, holes.all = NULL, NULL
    holes.first = <int*>block((largest + 1) * sizeof(int))
    holes.all = <Hole*>block(most * sizeof(Hole))
    holes.n, holes.spare, holes.largest = 0, NOWHERE, largest
    for size in range(largest + 1):
        holes.first[size] = NOWHERE
    return 0


cdef void forget_holes(Holes* holes) noexcept:
    PyMem_Free(holes.first)
    PyMem_Free(holes.all)
    holes.first, holes.all = NULL, NULL


cdef void give_back(Holes* holes, int place, int size) noexcept:
    """So many places are free, from `place` on."""
    cdef int h = holes.spare
    if h >= 0:
        holes.spare = holes.all[h].following
    else:
        h = holes.n
        holes.n += 1
    holes.all[h].place, holes.all[h].size = place, size
    holes.all[h].following, holes.first[size] = holes.first[size], h


cdef int taken(Holes* holes, int size) noexcept:
    """The first of so many free places, in the smallest hole that has them; NOWHERE if there is none."""
    cdef int h, place, room
    for room in range(size, min(LARGER * size, holes.largest) + 1):
        h = holes.first[room]
        if h >= 0:
            holes.first[room] = holes.all[h].following
            place = holes.all[h].place
            holes.all[h].following, holes.spare = holes.spare, h
            if room > size:
                give_back(holes, place + size, room - size)
            return place
    return NOWHERE

# The threads that the native executors share; see _threads.pyx.

cdef enum:
    MOST_THREADS = 16

cdef struct Turn:
    # of a thread in a call
    void* job
    int thread  # 0 is the caller

# A part of a call's work. Before each piece of it that takes long it asks whether to go on: `goes_on(turn)`.
ctypedef void (*Part)(void* work, Py_ssize_t part, Turn* turn) noexcept nogil

cpdef int available(Py_ssize_t parts) except -1
cdef int run_parts(Part run, void* work, Py_ssize_t parts, int threads) except -1
cdef long forks() noexcept
cdef bint goes_on(Turn* turn) noexcept nogil
cdef bint blas_has_threads() noexcept
cdef bint hold_blas() noexcept
cdef int release_blas() noexcept

# cython: language_level=3, binding=False
"""Several threads for one large call of a native executor.

A call is cut into parts, the same ones whatever the number of threads, so that its sums are added in the same order.
The calling thread and helpers take the parts one after the other. Helpers are started when a call first has work for
them, and then wait for the next. They run C alone and never hold the GIL; what checks for signals is the caller. It
waits for no helper that has not begun, so that one which wakes up late, or never, costs nothing.

A call may use as many threads as the process has cores and NumPy's BLAS has threads, which OMP_NUM_THREADS,
OPENBLAS_NUM_THREADS and threadpoolctl limit.
"""

cimport cython
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from cpython.pythread cimport (
    NOWAIT_LOCK, PyThread_acquire_lock, PyThread_allocate_lock, PyThread_free_lock, PyThread_release_lock,
    PyThread_type_lock, WAIT_LOCK,
)
from libc.string cimport memset

import ctypes
import importlib
import os

cdef extern from *:
    """
    #include <fenv.h>
    #ifndef _WIN32
    #include <signal.h>

    /* Signals are for the threads that can handle them; but a crash is reported where it happens. */
    static void leave_signals_to_others(void) {
        sigset_t signals;
        sigfillset(&signals);
        sigdelset(&signals, SIGSEGV), sigdelset(&signals, SIGBUS), sigdelset(&signals, SIGFPE);
        sigdelset(&signals, SIGILL), sigdelset(&signals, SIGABRT);
        pthread_sigmask(SIG_BLOCK, &signals, NULL);
    }
    #else
    static void leave_signals_to_others(void) {}
    #endif
    """
    ctypedef struct fenv_t:
        pass
    int fegetenv(fenv_t*) nogil
    int fesetenv(const fenv_t*) nogil
    void leave_signals_to_others() nogil
    unsigned long PyThread_start_new_thread(void (*)(void*) noexcept nogil, void*)
    unsigned long PYTHREAD_INVALID_THREAD_ID
    int PyThread_acquire_lock_timed(PyThread_type_lock, long long microseconds, int intr_flag) nogil
    int check_signals "PyErr_CheckSignals"()  # leaves its exception for run_parts to raise

cdef struct Job:
    # the parts of a call
    Part run
    void* work
    Py_ssize_t parts, next
    int threads  # that have begun
    int running  # helpers
    bint stopped  # by a signal, whose exception is set
    bint waiting  # for `done`, which the last helper then releases
    PyThread_type_lock done
    fenv_t environment  # how the caller rounds, and whether it flushes tiny numbers to 0
    long world

cdef struct Helper:
    PyThread_type_lock wake
    bint woken  # whether `wake` was released since it last looked
    Job* job  # which it is to begin with
    Helper* next_idle

cdef enum:
    PATIENCE = 50_000  # microseconds between looks for signals while waiting
    GLANCES = 2000  # at a helper that is about to finish, before waiting for it

cdef Helper* helpers[MOST_THREADS]
cdef int n_helpers = 0
cdef Helper* idle = NULL
cdef PyThread_type_lock gate = PyThread_allocate_lock()  # for whoever reads or changes jobs and helpers
cdef long world = 0  # how many forks lie between this process and the first


def begin_again():
    """In a forked child, where the helpers do not exist and another thread may have held the gate."""
    global gate, n_helpers, idle, world, blas_holders
    gate = PyThread_allocate_lock()
    n_helpers, idle = 0, NULL
    world += 1
    if blas_holders:
        blas_holders = 0
        set_blas_threads(blas_threads)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=begin_again)


# --- how many threads -------------------------------------------------------------------------------------------------

cdef int forced = 0
cdef int (*get_blas_threads)() noexcept
cdef void (*set_blas_threads)(int) noexcept
get_blas_threads, set_blas_threads = NULL, NULL
cdef bint HAS_AFFINITY = hasattr(os, "sched_getaffinity")
cdef int blas_holders = 0, blas_threads = 1


def find_blas_threads():
    """Find how OpenBLAS, if that is NumPy's BLAS, is asked for its number of threads, and told."""
    global get_blas_threads, set_blas_threads
    cdef size_t getter, setter
    for module in ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath"):
        try:
            library = ctypes.CDLL(importlib.import_module(module).__file__)
        except (ImportError, OSError, AttributeError):
            continue
        for prefix, suffix in (("scipy_", "64_"), ("", "64_"), ("scipy_", ""), ("", "")):
            name = f"{prefix}openblas_%s_num_threads{suffix}"
            if hasattr(library, name % "get") and hasattr(library, name % "set"):
                getter, setter = (
                    ctypes.cast(getattr(library, name % verb), ctypes.c_void_p).value for verb in ("get", "set")
                )
                get_blas_threads, set_blas_threads = <int (*)() noexcept>getter, <void (*)(int) noexcept>setter
                return


def limit_of_environment():
    """OMP_NUM_THREADS, as OpenBLAS and others read it."""
    given = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return max(1, int(given)) if given.isdecimal() else MOST_THREADS


find_blas_threads()
cdef int limit = limit_of_environment()


def use_threads(n=None):
    """Let every large call have n threads; with None as many as it may. For the tests."""
    global forced
    forced = n or 0


def knows_blas():
    """Whether BLAS can be asked for its number of threads, and told. For the tests."""
    return set_blas_threads is not NULL


def blas_threads_now():
    return get_blas_threads()


cpdef int available(Py_ssize_t parts) except -1:
    """How many threads a call of so many parts may use."""
    cdef Py_ssize_t most = min(parts, MOST_THREADS)
    if forced:
        return min(most, forced)
    most = min(most, limit if get_blas_threads is NULL else blas_threads if blas_holders else get_blas_threads())
    if most > 1:
        most = min(most, len(os.sched_getaffinity(0)) if HAS_AFFINITY else os.cpu_count() or 1)
    return max(1, most)


cdef bint blas_has_threads() noexcept:
    return get_blas_threads is not NULL and get_blas_threads() > 1


cdef bint hold_blas() noexcept:
    """Let BLAS run in the threads that call it until `release_blas`; False if nobody can tell it so.

    Its own threads would compete with those of this module, and calls from several threads wait for each other.
    """
    global blas_holders, blas_threads
    if set_blas_threads is NULL:
        return False
    if blas_holders == 0:
        blas_threads = get_blas_threads()
        if blas_threads > 1:
            set_blas_threads(1)
    blas_holders += 1
    return True


cdef int release_blas() noexcept:
    global blas_holders
    blas_holders -= blas_holders > 0
    if blas_holders == 0 and blas_threads > 1:
        set_blas_threads(blas_threads)
    return 0


def hold():
    """The same for a block of Python, see blas.py."""
    return hold_blas()


def release():
    release_blas()


# --- running ----------------------------------------------------------------------------------------------------------

cdef int run_parts(Part run, void* work, Py_ssize_t parts, int threads) except -1:
    """Run all parts on at most so many threads; without the GIL, which the caller has."""
    # not on the stack, which helpers would lose if the interpreter ended here, in a daemon thread
    cdef Job* job = <Job*>PyMem_RawMalloc(sizeof(Job))
    cdef bint stopped
    if job is NULL:
        raise MemoryError
    memset(job, 0, sizeof(Job))
    job.run, job.work, job.parts = run, work, parts
    job.threads, job.world = 1, world
    if threads > 1:
        job.done = PyThread_allocate_lock()
        if job.done is not NULL:
            PyThread_acquire_lock(job.done, WAIT_LOCK)
            fegetenv(&job.environment)
            call_helpers(job, threads - 1)
    with nogil:
        take_parts(job, 0)
    if job.done is not NULL:
        if job.world == world:
            wait_for_helpers(job)
        while job.world != world and not job.stopped:
            # a signal handler has forked, and this is the child: helpers may have taken parts with them
            job.world, job.next, job.running = world, 0, 0
            with nogil:
                take_parts(job, 0)
        PyThread_free_lock(job.done)
    stopped = job.stopped
    PyMem_RawFree(job)
    return -1 if stopped else 0


cdef long forks() noexcept:
    """How many forks lie between this process and the first: where that changes in a call, helpers were lost in it."""
    return world


cdef bint goes_on(Turn* turn) noexcept nogil:
    """Whether nothing has stopped the call; the caller looks for signals."""
    cdef Job* job = <Job*>turn.job
    cdef bint stopped
    if turn.thread == 0 and not job.stopped:
        look_for_signals(job)
    PyThread_acquire_lock(gate, WAIT_LOCK)
    stopped = job.stopped
    PyThread_release_lock(gate)
    return not stopped


cdef void look_for_signals(Job* job) noexcept nogil:
    cdef bint raised
    with gil:
        raised = check_signals() < 0
    if raised:
        PyThread_acquire_lock(gate, WAIT_LOCK)
        job.stopped = True
        PyThread_release_lock(gate)


cdef void take_parts(Job* job, int thread) noexcept nogil:
    cdef Turn turn
    cdef Py_ssize_t part
    turn.job, turn.thread = job, thread
    while True:
        PyThread_acquire_lock(gate, WAIT_LOCK)
        part = job.parts if job.stopped else job.next
        job.next = part + 1
        PyThread_release_lock(gate)
        if part >= job.parts:
            return
        job.run(job.work, part, &turn)


cdef void call_helpers(Job* job, int wanted) noexcept:
    """Wake or start helpers; fewer if no more can be started."""
    global idle, n_helpers
    cdef Helper* helper
    PyThread_acquire_lock(gate, WAIT_LOCK)
    while wanted > 0:
        helper = idle
        if helper is not NULL:
            idle = helper.next_idle
        else:
            helper = new_helper() if n_helpers < MOST_THREADS else NULL
            if helper is NULL:
                break
            helpers[n_helpers] = helper
            n_helpers += 1
        helper.job = job
        if not helper.woken:
            helper.woken = True
            PyThread_release_lock(helper.wake)
        wanted -= 1
    PyThread_release_lock(gate)


cdef Helper* new_helper() noexcept:
    cdef Helper* helper = <Helper*>PyMem_RawMalloc(sizeof(Helper))
    if helper is NULL:
        return NULL
    memset(helper, 0, sizeof(Helper))
    helper.wake = PyThread_allocate_lock()
    if helper.wake is not NULL:
        PyThread_acquire_lock(helper.wake, WAIT_LOCK)
        if PyThread_start_new_thread(help_others, helper) != PYTHREAD_INVALID_THREAD_ID:
            return helper
        PyThread_free_lock(helper.wake)
    PyMem_RawFree(helper)
    return NULL


cdef void help_others(void* myself) noexcept nogil:
    """The loop of a helper thread, which lives as long as the process."""
    global idle
    cdef Helper* helper = <Helper*>myself
    cdef Job* job
    cdef int thread
    leave_signals_to_others()
    while True:
        PyThread_acquire_lock(helper.wake, WAIT_LOCK)
        PyThread_acquire_lock(gate, WAIT_LOCK)
        helper.woken = False
        job, helper.job = helper.job, NULL
        if job is NULL:  # too late, and idle again
            PyThread_release_lock(gate)
            continue
        thread = job.threads
        job.threads += 1
        job.running += 1
        PyThread_release_lock(gate)
        fesetenv(&job.environment)
        take_parts(job, thread)
        PyThread_acquire_lock(gate, WAIT_LOCK)
        job.running -= 1
        if job.running == 0 and job.waiting:
            PyThread_release_lock(job.done)
        helper.next_idle = idle
        idle = helper
        PyThread_release_lock(gate)


cdef void wait_for_helpers(Job* job) noexcept:
    """Wait for those that have begun, and let the others be idle."""
    global idle
    cdef int k
    PyThread_acquire_lock(gate, WAIT_LOCK)
    for k in range(n_helpers):
        if helpers[k].job == job:
            helpers[k].job = NULL
            helpers[k].next_idle = idle
            idle = helpers[k]
    job.waiting = job.running > 0
    PyThread_release_lock(gate)
    if job.waiting:
        with nogil:
            k = 0
            while k < GLANCES and PyThread_acquire_lock(job.done, NOWAIT_LOCK) == 0:
                k += 1
            while k == GLANCES and job.world == world and PyThread_acquire_lock_timed(job.done, PATIENCE, 0) == 0:
                if not job.stopped:
                    look_for_signals(job)
        PyThread_acquire_lock(gate, WAIT_LOCK)  # the helper has left `done` when it has left the gate
        PyThread_release_lock(gate)

"""A profiling hook that wakes Python only for calls of built-in functions with certain names: a part of `_tape.pyx`."""

cdef extern from "Python.h":
    ctypedef struct PyFrameObject:
        pass
    ctypedef struct PyMethodDef:
        const char* ml_name
    ctypedef struct PyCFunctionObject:
        PyMethodDef* m_ml
    ctypedef int (*Py_tracefunc)(PyObject*, PyFrameObject*, int, PyObject*) except -1
    enum: PyTrace_C_CALL
    bint PyCFunction_Check(PyObject*)
    void PyEval_SetProfile(Py_tracefunc, PyObject*)

cdef frozenset names_of_calls = frozenset()
cdef unsigned long long lengths_by_first[256]  # of those names, a bit for each: most calls are told apart by these


cdef int notice(PyObject* hook, PyFrameObject* frame, int event, PyObject* called) except -1:
    cdef const char* name
    if event == PyTrace_C_CALL and PyCFunction_Check(called):
        name = (<PyCFunctionObject*>called).m_ml.ml_name
        if lengths_by_first[<unsigned char>name[0]] >> min(strlen(name), 63) & 1 and name.decode() in names_of_calls:
            (<object>hook)(<object><PyObject*>frame, "c_call", <object>called)
    return 0


def set_profile(hook, names):
    """Like sys.setprofile(hook), for this thread, but only for calls of built-in functions with these names."""
    global names_of_calls
    names_of_calls = names
    memset(lengths_by_first, 0, sizeof(lengths_by_first))
    for name in names:
        encoded = name.encode()
        lengths_by_first[<unsigned char>encoded[0]] |= 1ULL << min(len(encoded), 63)
    PyEval_SetProfile(notice, <PyObject*>hook)

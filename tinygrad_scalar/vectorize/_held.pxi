# Whether places still hold the same objects, in nanoseconds each; which places: see readings.py.

cdef extern from "Python.h":
    PyObject* PyTuple_GET_ITEM(object items, Py_ssize_t i)
    PyObject* PyList_GET_ITEM(object items, Py_ssize_t i)
    PyObject* PyCell_GET(PyObject* cell)
    bint PyCell_Check(PyObject* thing)
    bint PyDict_CheckExact(PyObject* thing)
    PyObject* PyDict_GetItemWithError(PyObject* names, PyObject* name) except? NULL


cdef bint same_items(list now, list held):
    cdef Py_ssize_t i, n = len(held)
    if len(now) != n:
        return False
    for i in range(n):
        if PyList_GET_ITEM(now, i) is not PyList_GET_ITEM(held, i):
            return False
    return True


cdef bint all_held(tuple places) except -1:
    """Whether each place still holds its object. Three items of the tuple are one place: an owner, a name, the object.

    The owner is a cell, a dict (also a class's) in which the name is a key, or a list, whose copy is the object; the
    name is a slot's otherwise. Where there was nothing, the object is ABSENT.
    """
    cdef Py_ssize_t i
    cdef PyObject* owner
    cdef PyObject* name
    cdef PyObject* found
    cdef PyObject* held
    for i in range(0, len(places), 3):
        owner = PyTuple_GET_ITEM(places, i)
        name = PyTuple_GET_ITEM(places, i + 1)
        held = PyTuple_GET_ITEM(places, i + 2)
        if PyDict_CheckExact(owner):
            found = PyDict_GetItemWithError(owner, name)
        elif PyCell_Check(owner):
            found = PyCell_GET(owner)
        elif type(<object>owner) is list:
            if not same_items(<list><object>owner, <list><object>held):
                return False
            continue
        elif type(<object>owner) is MappingProxyType:
            now = (<object>owner).get(<object>name, ABSENT)
            found = <PyObject*>now
        else:
            now = getattr(<object>owner, <object>name, ABSENT)
            found = <PyObject*>now
        if found is NULL:
            found = <PyObject*>ABSENT
        if found is not held and not is_same_number(<object>found, <object>held):
            return False
    return True


def still_held(tuple places):
    return all_held(places)

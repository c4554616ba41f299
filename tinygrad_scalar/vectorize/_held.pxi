# Whether places still hold the same objects, in nanoseconds each; which places: see readings.py. And which types many
# objects have, for reach.py.

cdef extern from "Python.h":
    PyObject* PyTuple_GET_ITEM(object items, Py_ssize_t i)
    PyObject* PyList_GET_ITEM(object items, Py_ssize_t i)
    PyObject* Py_TYPE(PyObject* thing)
    PyObject* PyCell_GET(PyObject* cell)
    bint PyCell_Check(PyObject* thing)
    bint PyDict_CheckExact(PyObject* thing)
    bint PyDict_Check(PyObject* thing)
    Py_ssize_t PyDict_Size(PyObject* names)
    bint PyDict_Next(PyObject* names, Py_ssize_t* position, PyObject** key, PyObject** value)
    PyObject* PyDict_GetItemWithError(PyObject* names, PyObject* name) except? NULL


cdef inline bint is_same(PyObject* now, PyObject* held) except -1:
    return now is held or is_same_number(<object>now, <object>held)


cdef bint same_elements(object owner, list held) except -1:
    """Whether a container holds the same objects; of a dict `held` has the keys, and then the values."""
    cdef Py_ssize_t i = 0, position = 0, n = len(held)
    cdef PyObject* key = NULL
    cdef PyObject* value = NULL
    cdef list now
    if PyDict_Check(<PyObject*>owner) and not issubclass(type(owner), OrderedDict):  # that has an order of its own
        n //= 2
        if PyDict_Size(<PyObject*>owner) != n:
            return False
        while PyDict_Next(<PyObject*>owner, &position, &key, &value):
            if i == n or key is not PyList_GET_ITEM(held, i) or not is_same(value, PyList_GET_ITEM(held, n + i)):
                return False
            i += 1
        return True
    now = owner if type(owner) is list else elements_of(owner)
    if len(now) != n:
        return False
    for i in range(n):
        if i >= len(now) or not is_same(PyList_GET_ITEM(now, i), PyList_GET_ITEM(held, i)):
            return False
    return True


cdef bint all_held(tuple places) except -1:
    """Whether each place still holds its object. Three items of the tuple are one place: an owner, a name, the object.

    The owner is a cell, a dict (also a class's) in which the name is a key, or what has the name None: a container, of
    which the object has the elements, or a small array, of which it has shape, type and bytes. Otherwise the name is a
    slot's. Where there was nothing, the object is ABSENT.
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
        if name is <PyObject*>None and type(<object>held) is tuple:  # the bytes of a small array
            array = <object>owner
            if (array.shape, array.dtype, array.tobytes()) != <object>held:
                return False
            continue
        if name is <PyObject*>None:
            if not same_elements(<object>owner, <list><object>held):
                return False
            continue
        if PyDict_CheckExact(owner):
            found = PyDict_GetItemWithError(owner, name)
        elif PyCell_Check(owner):
            found = PyCell_GET(owner)
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


def same_objects(list now, list held):
    """Whether two lists hold the same objects."""
    cdef Py_ssize_t i, n = len(held)
    if len(now) != n:
        return False
    for i in range(n):
        if PyList_GET_ITEM(now, i) is not PyList_GET_ITEM(held, i):
            return False
    return True


def same_objects_in_rows(list now, list held):
    """Whether two lists of lists or tuples hold the same objects, in rows of the same types."""
    cdef Py_ssize_t i, k, n = len(held)
    cdef PyObject* row
    cdef PyObject* other
    if len(now) != n:
        return False
    for i in range(n):
        row, other = PyList_GET_ITEM(now, i), PyList_GET_ITEM(held, i)
        if Py_TYPE(row) is not Py_TYPE(other):
            return False
        if type(<object>row) is list:
            if not same_objects(<list>row, <list>other):
                return False
        elif type(<object>row) is not tuple or <tuple>row is not <tuple>other:  # a copy of a tuple is the tuple
            return False
    return True


def kinds(list things):
    """The types of the elements."""
    cdef set found = set()
    cdef PyObject* kind = NULL
    cdef Py_ssize_t i
    for i in range(len(things)):
        add_kind(found, PyList_GET_ITEM(things, i), &kind)
    return found


def kinds_in_rows(list rows):
    """The types of the elements of lists and tuples."""
    cdef set found = set()
    cdef PyObject* kind = NULL
    cdef Py_ssize_t i, k
    for i in range(len(rows)):
        row = rows[i]
        if type(row) is tuple:
            for k in range(len(<tuple>row)):
                add_kind(found, PyTuple_GET_ITEM(row, k), &kind)
        else:
            for k in range(len(<list>row)):
                add_kind(found, PyList_GET_ITEM(row, k), &kind)
    return found


cdef inline int add_kind(set found, PyObject* thing, PyObject** last) except -1:
    if Py_TYPE(thing) is not last[0]:
        last[0] = Py_TYPE(thing)
        found.add(<object>last[0])
    return 0

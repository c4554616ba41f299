# The steps of a scalar program, from the nodes of a trace: see scalar_program.py, which calls this.


def steps_of(
    const int[::1] codes, const int[::1] starts, const int[::1] operands, const int[::1] parameter,
    const int[::1] argument, const int[::1] place, offsets, code_of, number_of, lookups,
):
    """For each node its slot; the rows (code, out, x, y, z) of the steps and their numbers; and the constants' nodes.

    `offsets` are the first slots of the arguments, and the first after them; `lookups` are leaves that are steps, whose
    rows the caller completes.
    """
    cdef Py_ssize_t i, e, k, n = codes.shape[0], n_steps = len(lookups), n_constants = 0, at = 0
    cdef const long long[::1] first = np.ascontiguousarray(offsets, np.int64)
    cdef const int[::1] code = np.array([*code_of, 0], np.int32)
    cdef const double[::1] number = np.array([*number_of, 0.0])
    cdef int following = <int>first[first.shape[0] - 1]
    cdef char[::1] is_lookup = np.zeros(n if n_steps else 0, np.int8)
    for node in lookups:
        is_lookup[<Py_ssize_t>node] = True
    for i in range(n):
        if codes[i] >= 0:
            n_steps += 1
        elif parameter[i] < 0 and argument[i] < 0:
            n_constants += 1
    n_constants -= len(lookups)
    slots = np.empty(n, np.int32)
    table = np.zeros((n_steps, 5), np.int32)
    numbers = np.zeros(n_steps)
    constants = np.empty(n_constants, np.int32)
    cdef int[::1] slot = slots, constant = constants
    cdef int[:, ::1] step = table
    cdef double[::1] number_at = numbers
    n_constants = 0
    for i in range(n):
        if parameter[i] >= 0:
            slot[i] = parameter[i]
        elif argument[i] >= 0:
            slot[i] = <int>first[argument[i]] + place[i]
        else:
            slot[i] = following
            following += 1
        if codes[i] >= 0:
            step[at, 0], step[at, 1] = code[codes[i]], slot[i]
            if number[codes[i]] != 0.0:  # nan too; pages of nothing but zeros take no memory
                number_at[at] = number[codes[i]]
            k = 2
            for e in range(starts[i], starts[i + 1]):
                step[at, k] = slot[operands[e]]
                k += 1
            at += 1
        elif is_lookup.shape[0] and is_lookup[i]:
            at += 1
        elif parameter[i] < 0 and argument[i] < 0:
            constant[n_constants] = <int>i
            n_constants += 1
    return slots, table, numbers, constants


def insert_steps(table, numbers, const long long[::1] places, const int[:, ::1] added):
    """Grow `table` and `numbers` where they stand: before step places[k] comes added[k], with the number 0.

    `places` go up. Both arrays own their memory, which nobody else looks at.
    """
    cdef Py_ssize_t n = table.shape[0], k = places.shape[0], i, at, c
    for i in range(k):
        if not (places[i - 1] if i else 0) <= places[i] <= n:
            raise ValueError(f"expected places that go up, from 0 to {n}, got {np.asarray(places).tolist()}")
    if added.shape[0] != k or added.shape[1] != 5 or numbers.shape[0] != n:
        raise ValueError(f"expected {k} steps of 5 fields and {n} numbers")
    table.resize((n + k, 5), refcheck=False)
    numbers.resize(n + k, refcheck=False)
    cdef int[:, ::1] step = table
    cdef long long[::1] number = numbers.view(np.int64)
    i, at = n - 1, n + k - 1
    while k > 0:
        if i >= places[k - 1]:
            for c in range(5):
                step[at, c] = step[i, c]
            if number[at] != number[i]:  # pages of nothing but zeros take no memory
                number[at] = number[i]
            i -= 1
        else:
            k -= 1
            for c in range(5):
                step[at, c] = added[k, c]
            if number[at] != 0:
                number[at] = 0
        at -= 1

# The derivatives of each example as products of fewer numbers, put where they are returned: see each_by_products.py.

cdef extern from "_through.h":
    enum: TILE
    void lanes_of_rows(Py_ssize_t, Py_ssize_t, double*, const double*, Py_ssize_t) noexcept nogil
    void lanes_through(
        Py_ssize_t, const int*, const int*, const double*, const double*, const double*, double*
    ) noexcept nogil


cdef struct ProductPart:
    # left[e, i]·right[e, j] of each row e, for all i < p and j < q
    const double* left
    const double* right
    Py_ssize_t p, q
    bint one_right  # whether a single row of `right` stands for all
    const long long* columns  # where the products go; NULL if they go on through a matrix
    bint side_by_side
    bint first
    # tiles of TILE columns, each the sum of its terms: left[i]·right[j] times a row of `matrix`; as in through.py
    const int* i
    const int* j
    const double* matrix
    Py_ssize_t n_tiles
    const long long* bounds
    const long long* columns_of_tiles
    const char* first_of_tiles


cdef struct Products:
    ProductPart* parts
    Py_ssize_t n_parts, rows, width, n_blocks, n_chunks, between_looks
    double* out
    double* rooms  # of each thread
    Py_ssize_t room
    bint finite[MOST_CHUNKS]  # what each chunk found of the factors that do not go on


def add_products(parts, double[:, ::1] out):
    """Put the sum of several parts' products in each row of `out`, which must be 0 before.

    A part is (left, right, columns, first, through). Without `through`, left[e, i]·right[e, j] is added to row e in
    column columns[i, j], or put there if nothing was `first`; a single row of `right` stands for all of them. Else
    `through` holds the arrays of `Through`. Returns whether the factors of the former are finite. Where
    there is much to do, threads share the rows.
    """
    cdef Products* work
    cdef ProductPart* part
    cdef Py_ssize_t k, t, c, n_parts, widest = 0
    cdef int threads
    cdef double nanoseconds_of_row = 1.0
    cdef bint finite = True
    cdef const double[:, ::1] left, right, matrix
    cdef const long long[:, ::1] columns, columns_of_tiles
    cdef const int[::1] i, j
    cdef const long long[::1] bounds
    cdef const char[:, ::1] first_of_tiles
    parts = tuple(parts)  # which holds the arrays
    n_parts = len(parts)
    if out.shape[0] == 0 or out.shape[1] == 0:
        return True
    # not on the stack, which helpers would lose if the interpreter ended here, in a daemon thread
    work = <Products*>block(sizeof(Products) + n_parts * sizeof(ProductPart))
    try:
        work.parts, work.rooms = <ProductPart*>(work + 1), NULL
        work.n_parts, work.rows, work.width, work.out = 0, out.shape[0], out.shape[1], &out[0, 0]
        for left, right, places, first, through in parts:
            part = work.parts + work.n_parts
            memset(part, 0, sizeof(ProductPart))
            part.p, part.q, part.one_right, part.first = left.shape[1], right.shape[1], right.shape[0] == 1, first
            if part.p == 0 or part.q == 0:
                continue
            if left.shape[0] != work.rows or (right.shape[0] != work.rows and not part.one_right):
                raise ValueError(f"expected {work.rows} rows of both factors, got {left.shape[0]} and {right.shape[0]}")
            part.left, part.right = &left[0, 0], &right[0, 0]
            widest = max(widest, part.p + part.q)
            if through is None:
                columns = places
                if columns.shape[0] != part.p or columns.shape[1] != part.q:
                    raise ValueError(f"expected ({part.p}, {part.q}) columns, got ({columns.shape[0]}, {columns.shape[1]})")
                part.columns, part.side_by_side = &columns[0, 0], True
                for k in range(part.p):
                    for t in range(part.q):
                        require_column(columns[k, t], work.width)
                        part.side_by_side = part.side_by_side and columns[k, t] == columns[k, 0] + t
                nanoseconds_of_row += 0.5 * part.p * part.q
            else:
                i, j, matrix, bounds, columns_of_tiles, first_of_tiles = through
                part.n_tiles = columns_of_tiles.shape[0]
                if (
                    bounds.shape[0] != part.n_tiles + 1 or first_of_tiles.shape[0] != part.n_tiles
                    or j.shape[0] != i.shape[0] or matrix.shape[0] != i.shape[0] or matrix.shape[1] != TILE
                    or columns_of_tiles.shape[1] != TILE or first_of_tiles.shape[1] != TILE
                ):
                    raise ValueError("expected the arrays of Through, got others")
                for t in range(i.shape[0]):
                    if not (0 <= i[t] < part.p and 0 <= j[t] < part.q):
                        raise IndexError(f"expected terms of {part.p} × {part.q} factors, got {i[t]} and {j[t]}")
                for t in range(part.n_tiles):
                    if not 0 <= bounds[t] <= bounds[t + 1] <= i.shape[0]:
                        raise IndexError(f"expected bounds in order up to {i.shape[0]}, got {bounds[t]} and {bounds[t + 1]}")
                    for c in range(TILE):
                        require_column(max(columns_of_tiles[t, c], 0), work.width)
                part.i, part.j, part.matrix, part.bounds = &i[0], &j[0], &matrix[0, 0], &bounds[0]
                part.columns_of_tiles, part.first_of_tiles = &columns_of_tiles[0, 0], &first_of_tiles[0, 0]
                nanoseconds_of_row += 0.15 * i.shape[0] + 0.5 * (part.p + TILE * part.n_tiles)
            work.n_parts += 1
        work.n_blocks, work.n_chunks = (work.rows + LANES - 1) // LANES, 1
        while (
            2 * work.n_chunks <= min(work.n_blocks, MOST_CHUNKS)
            and 2 * work.n_chunks * CHUNK_WORK <= nanoseconds_of_row * work.rows
        ):
            work.n_chunks *= 2
        work.between_looks = max(1, <Py_ssize_t>(BETWEEN_LOOKS / (nanoseconds_of_row * LANES)))
        threads = _threads.available(work.n_chunks)
        work.room = (widest + TILE) * LANES
        work.rooms = <double*>block(threads * work.room * sizeof(double))
        _threads.run_parts(run_chunk_of_products, work, work.n_chunks, threads)
        for k in range(work.n_chunks):
            finite = finite and work.finite[k]
        return finite
    finally:
        PyMem_Free(work.rooms)
        PyMem_Free(work)


cdef int require_column(Py_ssize_t column, Py_ssize_t width) except -1:
    if not 0 <= column < width:
        raise IndexError(f"columns go from 0 to {width - 1}, got {column}")
    return 0


cdef void run_chunk_of_products(void* some, Py_ssize_t chunk, _threads.Turn* turn) noexcept nogil:
    """The rows of a chunk, in blocks of LANES: each is computed from the factors alone, and so also anew in a fork."""
    cdef Products* work = <Products*>some
    cdef Py_ssize_t first = work.n_blocks * chunk // work.n_chunks
    cdef Py_ssize_t last = work.n_blocks * (chunk + 1) // work.n_chunks, b, k
    cdef double* room = work.rooms + turn.thread * work.room
    cdef bint finite = True
    for b in range(first, last):
        if (b - first) % work.between_looks == 0 and not _threads.goes_on(turn):
            return
        for k in range(work.n_parts):
            if work.parts[k].columns is NULL:
                put_through(work, work.parts + k, b * LANES, min(<Py_ssize_t>LANES, work.rows - b * LANES), room)
            else:
                finite &= put_products(work, work.parts + k, b * LANES, min(<Py_ssize_t>LANES, work.rows - b * LANES))
    work.finite[chunk] = finite


cdef bint put_products(Products* work, ProductPart* part, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t e, i, j, k = part.q
    cdef const double* left = part.left + start * part.p
    cdef const double* right = part.right + (0 if part.one_right else start * k)
    cdef const long long* at
    cdef double* row
    cdef double d
    if not all_finite(<double*>left, n * part.p) or not all_finite(<double*>right, k if part.one_right else n * k):
        return False
    for e in range(n):
        for i in range(part.p):
            d, at, row = left[i], part.columns + i * k, work.out + (start + e) * work.width
            if not part.side_by_side:
                if part.first:
                    for j in range(k):
                        row[at[j]] = d * right[j]
                else:
                    for j in range(k):
                        row[at[j]] += d * right[j]
                continue
            row += at[0]
            if part.first:
                for j in range(k):
                    row[j] = d * right[j]
            else:
                for j in range(k):
                    row[j] += d * right[j]
        left += part.p
        right += 0 if part.one_right else k
    return True


cdef void put_through(Products* work, ProductPart* part, Py_ssize_t start, Py_ssize_t n, double* room) noexcept nogil:
    cdef double* left = room
    cdef double* right = left + part.p * LANES
    cdef double* sums = right + part.q * LANES
    cdef double* out = work.out + start * work.width
    cdef Py_ssize_t t, c, e, column
    lanes_of_rows(n, part.p, left, part.left + start * part.p, part.p)
    if part.one_right:
        lanes_of_rows(1, part.q, right, part.right, part.q)
    else:
        lanes_of_rows(n, part.q, right, part.right + start * part.q, part.q)
    for t in range(part.n_tiles):
        lanes_through(
            part.bounds[t + 1] - part.bounds[t], part.i + part.bounds[t], part.j + part.bounds[t], left, right,
            part.matrix + part.bounds[t] * TILE, sums,
        )
        for c in range(TILE):
            column = part.columns_of_tiles[t * TILE + c]
            if column < 0:
                continue
            if part.first_of_tiles[t * TILE + c]:
                for e in range(n):
                    out[e * work.width + column] = sums[c * LANES + e]
            else:
                for e in range(n):
                    out[e * work.width + column] += sums[c * LANES + e]

# A scalar program made into orders that cover many steps at once, and the machine that runs them.
#
# Orders. Steps with one operation are the rows of one order. Their operands stand side by side, or are one number for
# all; where they are not, tables have their places, and they are brought side by side while the order runs. A chain of
# additions whose partial sums, and products, are used nowhere else is one order, `DOT`: z + Σₖ xₖyₖ, one term after the
# other as the steps were. Rows are found level by level (a step's level is one more than its operands'), so that the
# sequence in which the steps were recorded does not matter; on a level they are sorted by operation and operands, and
# their results stand side by side in that order, so that rows above rows are rows again. All of it takes linear time.
#
# Places. Parameters that a step reads and constants have one number each, the same for all examples (`uniform`); the
# numbers of the arguments and the results have one for each lane. The place of a result that nothing reads any more, on
# the way back either, is another's later (_reuse.pxi). Gradients have places of their own: a result's is free again as
# soon as its order has passed it on, so that they stay in the cache. A parameter that only lookups read has no place at
# all: lookups read and add where it stands.
#
# Threads. Where there is much to do, the examples form chunks with gradients of their own, which several threads take
# (_threads.pyx), each with a machine that shares the program. Chunks depend on the work alone and their sums are added
# in order: the threads make no difference to the result.

cdef extern from "_side_by_side.h":
    void rows_negate(Py_ssize_t, double*, double*) noexcept nogil
    void rows_relu(Py_ssize_t, double*, double*) noexcept nogil
    void rows_absolute(Py_ssize_t, double*, double*) noexcept nogil
    void rows_sqrt(Py_ssize_t, double*, double*) noexcept nogil
    void rows_square(Py_ssize_t, double*, double*) noexcept nogil
    void rows_add(Py_ssize_t, double*, double*, int, double*, int) noexcept nogil
    void rows_subtract(Py_ssize_t, double*, double*, int, double*, int) noexcept nogil
    void rows_multiply(Py_ssize_t, double*, double*, int, double*, int) noexcept nogil
    void rows_divide(Py_ssize_t, double*, double*, int, double*, int) noexcept nogil
    void rows_maximum(Py_ssize_t, double*, double*, int, double*, int) noexcept nogil
    void rows_minimum(Py_ssize_t, double*, double*, int, double*, int) noexcept nogil
    void rows_greater(Py_ssize_t, double*, double*, int, double*, int) noexcept nogil
    void rows_greater_equal(Py_ssize_t, double*, double*, int, double*, int) noexcept nogil
    void rows_where(Py_ssize_t, double*, double*, int, double*, int, double*, int) noexcept nogil
    void rows_add_products(Py_ssize_t, double*, double*, int, double*, int) noexcept nogil
    void rows_multiply_add(Py_ssize_t, double*, double*, int, double*, int, double*, int) noexcept nogil
    void rows_add_to(Py_ssize_t, double*, int, double*) noexcept nogil
    void rows_subtract_from(Py_ssize_t, double*, int, double*) noexcept nogil
    void rows_add_product(Py_ssize_t, double*, int, double*, int, double*) noexcept nogil
    void rows_add_twice_product(Py_ssize_t, double*, int, double*, int, double*) noexcept nogil
    void rows_add_over(Py_ssize_t, double*, int, double*, int, double*) noexcept nogil
    void rows_add_over_twice(Py_ssize_t, double*, int, double*, int, double*) noexcept nogil
    void rows_add_product_on_path(Py_ssize_t, double*, int, double*, int, double*) noexcept nogil
    void rows_add_if_positive(Py_ssize_t, double*, int, double*, int, double*) noexcept nogil
    void rows_add_signed(Py_ssize_t, double*, int, double*, int, double*) noexcept nogil
    void rows_add_where(Py_ssize_t, double*, int, double*, int, double*) noexcept nogil
    void rows_add_unless(Py_ssize_t, double*, int, double*, int, double*) noexcept nogil
    void rows_add_one_plus_square(Py_ssize_t, double*, int, double*, int, double*) noexcept nogil
    void rows_subtract_quotient_product(Py_ssize_t, double*, int, double*, int, double*, int, double*) noexcept nogil
    void rows_add_share_of_larger(Py_ssize_t, double*, int, double*, int, double*, int, double*) noexcept nogil
    void rows_add_products_back(Py_ssize_t, double*, double*, double*, double*, double*) noexcept nogil
    void rows_dot(
        Py_ssize_t, Py_ssize_t, double*, double*, Py_ssize_t, double*, Py_ssize_t, Py_ssize_t,
        double*, Py_ssize_t, Py_ssize_t,
    ) noexcept nogil
    void rows_add_product_at(
        Py_ssize_t, double*, Py_ssize_t, double*, Py_ssize_t, double*, Py_ssize_t,
    ) noexcept nogil
    void lanes_dot(
        int, Py_ssize_t, double*, double*, int, double*, int, Py_ssize_t, double*, int, Py_ssize_t,
    ) noexcept nogil
    void lanes_dot_on(int, double*, double*, int, double*, int) noexcept nogil
    void rows_add_to_at(Py_ssize_t, double*, Py_ssize_t, double*) noexcept nogil
    void lanes_dot_back(
        int, Py_ssize_t, double*, int, Py_ssize_t, double*, int, Py_ssize_t, double*, Py_ssize_t,
    ) noexcept nogil

cdef enum:
    DOT = LOOKUP - 1
    NOWHERE = -1
    INDEXED = -(1 << 30)  # the stride of an operand whose places stand in the tables
    AHEAD = 12  # orders, so far ahead is memory prefetched for more than MANY_PLACES
    MANY_PLACES = 100_000
    AT_ONCE = 256  # rows whose operands are brought side by side together
    OF_PARAMETERS = 0  # the first groups of places, which are not results
    OF_CONSTANTS = 1
    OF_INPUTS = 2

cdef extern from *:
    """
    typedef struct { /* small: where nothing repeats there is one for nearly every operation */
        short code;
        char how; /* 0: no gradient from the cost reaches it, 1: one through lookups alone, 2: any other */
        char n_slopes;
        int n; /* rows */
        int out; /* places: those of the first row */
        int x, y, z; /* or, if a stride is INDEXED, where the tables have the places of all rows */
        int slope; /* where its local gradients are kept, if they are */
        int sx, sy, sz; /* how far an operand's place goes up from row to row */
        union {
            double number;
            struct { int dot, K; }; /* of a DOT, K terms */
        };
    } Order;
    """
    ctypedef struct Order:
        short code
        char how
        char n_slopes
        int n
        int out
        int x
        int y
        int z
        int slope
        int sx
        int sy
        int sz
        double number
        int dot
        int K

cdef struct Dot:
    int K  # terms
    int kx  # how far the places of x and y go up from term to term
    int ky
    int table  # or where the tables have for each term x, y, sx and sy, as in Order
    bint indexed  # whether any of these strides is INDEXED

cdef struct Back:
    # an order on the way back, and the places of its gradients; NOWHERE for an operand that has none
    int order
    int out
    int x
    int y
    int z
    int done  # the places of gradients that all have been passed on after it
    int n_done

cdef enum:  # in the place of a group's shift
    UNWANTED = 1 << 30  # it has no gradients
    NOT_YET = (1 << 30) + 1  # they have no places yet

cdef struct Descent:
    bint made
    Back* backs
    Py_ssize_t n
    int* tables  # the gradients' places of what is in the tables
    Py_ssize_t size  # of the places of gradients
    int cost  # the place of the cost's
    bint has_choices
    # while it is made: the group that has each place; for each result, in the sequence of the orders, the group that had
    # its place before; of each group its size, and how far its gradients' places are from its numbers'; free places
    int* group_of
    int* former
    int* size_of
    int* shift
    Holes holes

cdef inline bint commutes(int code) noexcept nogil:
    return code == _ops.MULTIPLY or code == _ops.ADD


cdef inline int arity(int code) noexcept nogil:
    return 3 if code in (_ops.WHERE, ATTACH) or is_ternary(code) else 2 if is_binary(code) else 1


cdef inline int slopes_kept(int code, double number) noexcept nogil:
    """How many local gradients are kept for the way back; the others are computed from operands and result."""
    if code in (
        _ops.ADD, _ops.SUBTRACT, _ops.MULTIPLY, _ops.DIVIDE, _ops.MAXIMUM, _ops.MINIMUM, _ops.GREATER,
        _ops.GREATER_EQUAL, _ops.NEGATE, _ops.ABSOLUTE, _ops.EXP, _ops.LOG, _ops.SQRT, _ops.TAN, _ops.RELU, _ops.WHERE,
        _ops.TIES_OF_MAX, _ops.TIES_OF_MIN, _ops.LARGEST, LOOKUP, DOT,
    ):
        return 0
    if code == _ops.CONSTANT_POWER and number == 2.0:
        return 0
    return 3 if code == ATTACH or is_ternary(code) else 2 if is_binary(code) else 1


cdef void unary_rows(int code, double number, Py_ssize_t n, double* x, double* out, double* slope) noexcept nogil:
    """out = f(x) for n numbers side by side; slope may be NULL if it is not wanted."""
    cdef Py_ssize_t i
    cdef double unwanted
    if code == _ops.TANH:
        vector_functions[VECTOR_TANH](n, x, out, slope)
    elif code == _ops.SIGMOID:
        vector_functions[VECTOR_SIGMOID](n, x, out, slope)
    elif code == _ops.RELU:
        rows_relu(n, out, x)
    elif code == _ops.EXP:
        vector_functions[VECTOR_EXP](n, x, out, NULL)
    elif code == _ops.LOG:
        vector_functions[VECTOR_LOG](n, x, out, NULL)
    elif code == _ops.NEGATE:
        rows_negate(n, out, x)
    elif code == _ops.ABSOLUTE:
        rows_absolute(n, out, x)
    elif code == _ops.SQRT:
        rows_sqrt(n, out, x)
    elif code == _ops.SOFTPLUS:
        vector_functions[VECTOR_SOFTPLUS](n, x, out, slope)
    elif code == _ops.EXPM1:
        vector_functions[VECTOR_EXPM1](n, x, out, slope)
    elif code == _ops.LOG1P:
        vector_functions[VECTOR_LOG1P](n, x, out, slope)
    elif _ops.NORMAL_CDF <= code <= _ops.SOFTSIGN:
        vector_functions[VECTOR_NORMAL_CDF + (code - _ops.NORMAL_CDF)](n, x, out, slope)
    elif code == _ops.CONSTANT_POWER and number == 2.0:
        rows_square(n, out, x)
    elif code in (_ops.SIN, _ops.COS, _ops.SINH, _ops.COSH):
        numpy_function(code, n, out, x)
        if slope is not NULL:
            numpy_function(
                _ops.COS if code == _ops.SIN else _ops.SIN if code == _ops.COS
                else _ops.COSH if code == _ops.SINH else _ops.SINH,
                n, slope, x,
            )
            if code == _ops.COS:
                for i in range(n):
                    slope[i] = -slope[i]
    elif code == _ops.TAN:
        numpy_function(code, n, out, x)
    else:
        for i in range(n):
            _ops.unary(<Code>code, number, x[i], out + i, &unwanted if slope is NULL else slope + i)


cdef inline void unary_rows_back(
    int code, double number, Py_ssize_t n, double* d, int sd, double* x, int sx, double* out, double* slope, double* u,
) noexcept nogil:
    if code == _ops.EXP:
        rows_add_product(n, d, sd, out, 1, u)
    elif code == _ops.RELU:
        rows_add_if_positive(n, d, sd, x, sx, u)
    elif code == _ops.LOG:
        rows_add_over(n, d, sd, x, sx, u)
    elif code == _ops.NEGATE:
        rows_subtract_from(n, d, sd, u)
    elif code == _ops.ABSOLUTE:
        rows_add_signed(n, d, sd, x, sx, u)
    elif code == _ops.SQRT:
        rows_add_over_twice(n, d, sd, out, 1, u)
    elif code == _ops.TAN:
        rows_add_one_plus_square(n, d, sd, out, 1, u)
    elif code == _ops.CONSTANT_POWER and number == 2.0:
        rows_add_twice_product(n, d, sd, x, sx, u)
    elif is_piecewise(code, number):
        rows_add_product_on_path(n, d, sd, slope, 1, u)
    else:
        rows_add_product(n, d, sd, slope, 1, u)


cdef void other_rows(
    int code, Py_ssize_t n, double* x, int sx, double* y, int sy, double* z, int sz, double* out, double* slope,
    Py_ssize_t kept,
) noexcept nogil:
    """out = f(x, y) or f(x, y, z) for n rows; their slopes, unless NULL, stand `kept` apart."""
    cdef Py_ssize_t i, k
    cdef double slopes[3]
    if code == _ops.MULTIPLY:
        rows_multiply(n, out, x, sx, y, sy)
    elif code == _ops.ADD:
        rows_add(n, out, x, sx, y, sy)
    elif code == _ops.SUBTRACT:
        rows_subtract(n, out, x, sx, y, sy)
    elif code == _ops.DIVIDE:
        rows_divide(n, out, x, sx, y, sy)
    elif code == _ops.MAXIMUM or code == _ops.LARGEST:
        rows_maximum(n, out, x, sx, y, sy)
    elif code == _ops.MINIMUM:
        rows_minimum(n, out, x, sx, y, sy)
    elif code == _ops.GREATER:
        rows_greater(n, out, x, sx, y, sy)
    elif code == _ops.GREATER_EQUAL:
        rows_greater_equal(n, out, x, sx, y, sy)
    elif code == _ops.WHERE:
        rows_where(n, out, x, sx, y, sy, z, sz)
    elif is_ternary(code):
        for i in range(n):
            _ops.ternary(<Code>code, x[i * sx], y[i * sy], z[i * sz], out + i, slopes)
            if slope is not NULL:
                for k in range(3):
                    slope[k * kept + i] = slopes[k]
    elif code == ATTACH:
        for i in range(n):
            out[i] = x[i * sx]
            if slope is not NULL:
                slope[i], slope[kept + i], slope[2 * kept + i] = 1.0, z[i * sz], 0.0
    else:
        for i in range(n):
            _ops.binary(<Code>code, x[i * sx], y[i * sy], out + i, slopes, slopes + 1)
            if slope is not NULL:
                slope[i] = slopes[0]
                slope[kept + i] = slopes[1]


cdef void other_rows_back(
    int code, double number, int k, Py_ssize_t n, double* d, int sd, double* x, int sx, double* y, int sy, double* out,
    double* slope, Py_ssize_t kept, double* u,
) noexcept nogil:
    """d += ∂out/∂(operand k) · u for n rows."""
    if code == _ops.MULTIPLY:
        if k == 0:
            rows_add_product(n, d, sd, y, sy, u)
        else:
            rows_add_product(n, d, sd, x, sx, u)
    elif code == _ops.ADD or (code == _ops.SUBTRACT and k == 0):
        rows_add_to(n, d, sd, u)
    elif code == _ops.SUBTRACT:
        rows_subtract_from(n, d, sd, u)
    elif code == _ops.DIVIDE:
        if k == 0:
            rows_add_over(n, d, sd, y, sy, u)
        else:
            rows_subtract_quotient_product(n, d, sd, out, 1, y, sy, u)
    elif code == _ops.MAXIMUM or code == _ops.MINIMUM:
        if (k == 0) == (code == _ops.MAXIMUM):
            rows_add_share_of_larger(n, d, sd, x, sx, y, sy, u)
        else:
            rows_add_share_of_larger(n, d, sd, y, sy, x, sx, u)
    elif code == _ops.WHERE:
        if k == 1:
            rows_add_where(n, d, sd, x, sx, u)
        else:
            rows_add_unless(n, d, sd, x, sx, u)
    elif is_piecewise(code, number):
        rows_add_product_on_path(n, d, sd, slope + k * kept, 1, u)
    else:
        rows_add_product(n, d, sd, slope + k * kept, 1, u)


cdef inline double slope_of(int code, double number, int k, double x, double y, double out, double* slope, Py_ssize_t kept) noexcept nogil:
    """∂out/∂(operand k) of one step; not for those that pass u on as it is."""
    if code == _ops.MULTIPLY:
        return y if k == 0 else x
    if code == _ops.DIVIDE:
        return 1.0 / y if k == 0 else -(out / y)
    if code == _ops.MAXIMUM:
        return _ops.share(x, y) if k == 0 else _ops.share(y, x)
    if code == _ops.MINIMUM:
        return _ops.share(y, x) if k == 0 else _ops.share(x, y)
    if code == _ops.NEGATE:
        return -1.0
    if code == _ops.EXP:
        return out
    if code == _ops.RELU:
        return 1.0 if x > 0.0 else 0.0
    if code == _ops.LOG:
        return 1.0 / x
    if code == _ops.ABSOLUTE:
        return 1.0 if x >= 0.0 else -1.0
    if code == _ops.SQRT:
        return 0.5 / out
    if code == _ops.TAN:
        return 1.0 + out * out
    if code == _ops.CONSTANT_POWER and number == 2.0:
        return 2.0 * x
    return slope[k * kept]


cdef enum:
    MOST_CHUNKS = 16
    CHUNK_WORK = 60_000  # nanoseconds that a chunk takes at least
    ADDING = 100  # more for each number that is added to the sums of others
    BETWEEN_LOOKS = 50_000  # nanoseconds between looks for signals

cdef struct Chunk:
    double total  # of the costs
    Order* missing_row
    double wanted_row

cdef struct Chunks:
    # a call's examples, for several threads
    void* machines[_threads.MOST_THREADS]  # one for each
    Call call
    bint with_inputs
    Py_ssize_t m, n_blocks, n_chunks, between_looks
    double over
    Chunk chunks[MOST_CHUNKS]
    double* areas  # of each chunk the gradients of parameters that have places, then those that lookups add to
    Py_ssize_t area


cdef void run_one_chunk(void* work, Py_ssize_t c, _threads.Turn* turn) noexcept nogil:
    cdef Chunks* chunks = <Chunks*>work
    (<Machine>chunks.machines[turn.thread]).run_chunk(chunks, c, turn)


cdef class Machine:
    """A scalar program, ready to run. `steps` has a row (code, out, x, y, z) for each step, with the codes of CODES.

    Slots 0 to n_parameters − 1 are the parameters, the next n_inputs the numbers of all arguments in order; slot
    constant_slots[k] holds constants[k]. The cost is slot `cost`; `watched` are further slots whose numbers are wanted.
    In `steps`, operands of additions may be exchanged.
    """

    cdef readonly Py_ssize_t n_orders, n_read  # orders, and parameters that have places: what cost_model.py asks for
    cdef readonly Py_ssize_t n_parameters, n_inputs, n_uniform, n_places, n_slopes
    cdef readonly Py_ssize_t few  # with fewer examples they run one after the other
    cdef Py_ssize_t n_watched, n_groups, n_results
    cdef Py_ssize_t n_tables, n_constants, first_constant
    cdef int cost
    cdef Order* orders
    cdef Dot* dots
    cdef int* tables  # places, or −1 − k for parameter k where only lookups read it
    cdef int* watched
    cdef int* read  # the parameters that have places, in order
    cdef double* constants
    cdef int* first_of  # for each group of results its first place
    cdef Descent descents[2]  # without and with the gradients of inputs and constants
    cdef double* memory  # v, d and slopes of one example or block
    cdef Py_ssize_t size
    cdef double* v
    cdef double* d
    cdef double* slopes
    cdef char* chosen  # for each place of each lane whether a lookup chose it, or what is computed from it
    cdef bint has_rows  # whether lookups choose among parameters
    cdef char* is_changed  # for each parameter whether a lookup added to its gradient, and which these are
    cdef int* changed
    cdef Py_ssize_t n_changed
    cdef Py_ssize_t lanes  # how many examples the memory holds at once: 1, 4, 8 or LANES; 0 if there is none
    cdef bint busy
    cdef public bint sums  # whether to give the sum of the costs and its gradient instead of the mean's
    cdef Order* missing_row  # a lookup of a row that its table lacks, and that row
    cdef double wanted_row
    cdef double work  # of one example, in nanoseconds
    cdef bint is_twin  # whether the program is another machine's
    cdef list twins  # machines for the same program, for other threads

    def __cinit__(
        self, steps, numbers=None, tables=None, Py_ssize_t n_slots=0, Py_ssize_t n_parameters=0,
        Py_ssize_t n_inputs=0, constant_slots=None, constants=None, int cost=0, watched=None,
    ):
        """With another machine instead of steps it becomes that one's twin, which must not outlive it."""
        self.twins = []
        if isinstance(steps, Machine):
            self.share(steps)
            return
        self.n_parameters, self.n_inputs = n_parameters, n_inputs
        Schedule(
            self, np.require(steps, np.int32, "CW").reshape(len(steps), 5), np.ascontiguousarray(numbers, np.float64),
            np.array(tables, np.int32), n_slots, constant_slots, constants, cost, watched,
        )
        self.work = self.estimated_work()
        numbers = self.n_results + self.n_inputs
        is_large = (numbers + self.n_slopes) * LANES * <Py_ssize_t>sizeof(double) > IN_MEMORY
        self.few = FEW_IN_MEMORY if is_large and 2 * self.n_orders < numbers else FEW

    cdef int share(self, Machine other) except -1:
        """Run the program of another machine, with memory of its own."""
        self.is_twin = True
        self.n_orders, self.n_read, self.n_parameters = other.n_orders, other.n_read, other.n_parameters
        self.n_inputs, self.n_uniform, self.n_places = other.n_inputs, other.n_uniform, other.n_places
        self.n_slopes, self.n_watched = other.n_slopes, other.n_watched
        self.n_groups, self.n_results = other.n_groups, other.n_results
        self.n_tables, self.n_constants, self.first_constant = other.n_tables, other.n_constants, other.first_constant
        self.cost, self.orders, self.dots, self.tables = other.cost, other.orders, other.dots, other.tables
        self.watched, self.read, self.constants = other.watched, other.read, other.constants
        self.first_of, self.has_rows = other.first_of, other.has_rows
        self.sums, self.work, self.few = other.sums, other.work, other.few
        self.descents[0], self.descents[1] = other.descents[0], other.descents[1]
        return 0

    cdef double estimated_work(self) noexcept:
        """Roughly, forwards and backwards."""
        cdef Py_ssize_t i
        cdef double n, work = 0.0
        for i in range(self.n_orders):
            n = self.orders[i].n
            if self.orders[i].code == DOT:
                work += n * self.dots[self.orders[i].dot].K
            else:
                work += n * (1.0 if slopes_kept(self.orders[i].code, self.orders[i].number) == 0 else 3.0)
        return work

    def __dealloc__(self):
        cdef int k
        PyMem_Free(self.memory)
        if self.is_twin:
            return
        PyMem_Free(self.orders)
        PyMem_Free(self.dots)
        PyMem_Free(self.tables)
        PyMem_Free(self.watched)
        PyMem_Free(self.read)
        PyMem_Free(self.constants)
        PyMem_Free(self.first_of)
        for k in range(2):
            PyMem_Free(self.descents[k].backs)
            PyMem_Free(self.descents[k].tables)

    def describe(self):
        """For tests: (code, rows, terms) of each order."""
        return [
            (self.orders[i].code, self.orders[i].n, self.dots[self.orders[i].dot].K if self.orders[i].code == DOT else 0)
            for i in range(self.n_orders)
        ]

    def census(self):
        """For cost_model.py: a list of (code, constant or None, sums); the sums are over all orders of that kind.

        They are of single steps, orders of many rows, their rows in whole vectors, rows of operands that are found
        through tables, all orders, rows whose numbers for a block of examples do not stand side by side, rows of
        operands that are the same for all examples, and all rows. For DOT rows are terms, but single steps are those
        of one term, and the rows that do not stand side by side are all its rows. More of DOT: what
        `count_passed_back` counts, the loops for one example, and terms whose places stand in tables. And of LOOKUP how
        many choose one of two rows, as those of ts.cond do.
        """
        cdef Py_ssize_t i, k, kind, terms, passed, unlike
        cdef Order* order
        cdef int place, stride
        cdef bint apart
        cdef double[:, ::1] sums = np.zeros((N_CODES, 12))
        cdef dict powers = {}
        cdef object exponent
        cdef double* of
        cdef double[::1] its
        for i in range(self.n_orders):
            order = self.orders + i
            of = &sums[order.code, 0]
            if order.code == _ops.CONSTANT_POWER:
                exponent = order.number  # one object, or a dict does not find nan again
                if exponent not in powers:
                    powers[exponent] = np.zeros(12)
                its = powers[exponent]
                of = &its[0]
            terms = order.n * (order.K if order.code == DOT else 1)
            apart = order.code == DOT
            for k in range(1 if order.code == LOOKUP else 2 if order.code == DOT else arity(order.code)):
                place, stride = order.x, order.sx
                if k == 1:
                    place, stride = order.y, order.sy
                elif k == 2:
                    place, stride = order.z, order.sz
                if order.n > 1 and stride == INDEXED:
                    of[3] += order.n
                    place = self.tables[place]
                if place < self.n_uniform:
                    of[6] += terms
                apart |= order.n > 1 and (place < self.n_uniform or stride != 1)
            if terms == 1:
                of[0] += 1
            else:
                of[1] += 1
                of[2] += terms if order.code == DOT else (order.n + 7) // 8 * 8
            of[4] += 1
            of[5] += order.n * apart
            of[7] += terms
            if order.code == LOOKUP:
                of[8] += order.z == 2
            elif order.code == DOT:
                passed, unlike = 0, 0
                self.count_passed_back(order, &passed, &unlike)
                k = order.K if self.dots[order.dot].table >= 0 else min(order.n, order.K)
                of[8] += passed
                of[9] += unlike
                of[10] += k + k * passed / terms
                of[11] += terms * (self.dots[order.dot].table >= 0 or self.is_indexed(order))
        return [
            *((code, None, of_code) for code, of_code in enumerate(np.asarray(sums).tolist()) if of_code[4]),
            *((_ops.CONSTANT_POWER, number, numbers.tolist()) for number, numbers in powers.items()),
        ]

    cdef void count_passed_back(self, Order* order, Py_ssize_t* passed, Py_ssize_t* apart) noexcept:
        """The terms of a dot, once for each factor that gets a gradient, which no argument or constant does.

        apart  those of them whose numbers for one example do not stand side by side, nor are one number
        """
        cdef Dot* dot = self.dots + order.dot
        cdef bint along_rows = dot.table >= 0 or order.n >= dot.K
        cdef Py_ssize_t k, terms = order.n if dot.table >= 0 else order.n * order.K
        cdef int side, place
        cdef int* term
        cdef int[4] of_all
        for k in range(dot.K if dot.table >= 0 else 1):
            of_all[0], of_all[1], of_all[2], of_all[3] = order.x, order.y, order.sx, order.sy
            term = self.tables + dot.table + 4 * k if dot.table >= 0 else of_all
            for side in range(2):
                place = self.tables[term[side]] if term[side + 2] == INDEXED and order.n > 1 else term[side]
                if self.n_read <= place < self.n_uniform + self.n_inputs:
                    continue
                passed[0] += terms
                if along_rows and order.n > 1:
                    apart[0] += terms * (term[2] not in (0, 1) or term[3] not in (0, 1))
                elif not along_rows:
                    apart[0] += terms * (dot.kx not in (0, 1) or dot.ky not in (0, 1))

    # --- the way back ------------------------------------------------------------------------------------------------

    cdef int make_descent(self, Descent* descent, bint with_inputs) except -1:
        """Find the orders on the way back from the cost to wanted gradients, and places for the gradients.

        No Python code runs meanwhile, so that no other thread can find it half made.
        """
        cdef char* is_back = NULL
        cdef char* tables = NULL  # of each table of lookups, where it begins: 1 or 2, whether it leads on; 3 if written
        cdef int* memory = NULL
        PyMem_Free(descent.backs)
        PyMem_Free(descent.tables)
        descent.backs, descent.tables = NULL, NULL
        try:
            is_back = <char*>block(self.n_orders)
            tables = <char*>block(self.n_tables)
            memset(tables, 0, self.n_tables)
            memory = <int*>block((self.n_places + self.n_results + 2 * self.n_groups) * sizeof(int))
            descent.group_of, descent.former = memory, memory + self.n_places
            descent.size_of = descent.former + self.n_results
            descent.shift = descent.size_of + self.n_groups
            self.find_wanted(descent, with_inputs, is_back, tables)
            self.write_descent(descent, is_back, tables)
        finally:
            PyMem_Free(is_back)
            PyMem_Free(tables)
            PyMem_Free(memory)
            forget_holes(&descent.holes)
        descent.made = True
        return 0

    cdef int find_wanted(self, Descent* descent, bint with_inputs, char* is_back, char* tables) except -1:
        """Mark what is on the way to a wanted gradient."""
        cdef Py_ssize_t i, k, r = 0, n_back = 0, far = self.far_from(self.n_orders)
        cdef int g, largest = 1
        cdef Order* order
        for k in range(self.n_places):
            descent.group_of[k] = (
                OF_PARAMETERS if k < self.n_read else OF_CONSTANTS if k < self.n_uniform
                else OF_INPUTS if k < self.n_uniform + self.n_inputs else NOWHERE
            )
        for g in range(self.n_groups):
            descent.shift[g], descent.size_of[g] = UNWANTED, 0
        descent.shift[OF_PARAMETERS] = 0
        if with_inputs:
            descent.shift[OF_CONSTANTS] = descent.shift[OF_INPUTS] = 0  # constants': for alarms
        g = OF_INPUTS
        for i in range(self.n_orders):
            order = self.orders + i
            if i < far:
                self.prefetch_shifts(descent, order + AHEAD // 2)
                PREFETCH(descent.group_of + order[AHEAD].x)
                PREFETCH(descent.group_of + order[AHEAD].y)
            if g + 1 < self.n_groups and order.out == self.first_of[g + 1]:
                g += 1
            for k in range(order.n):
                descent.former[r], descent.group_of[order.out + k] = descent.group_of[order.out + k], g
                r += 1
            descent.size_of[g] += order.n
            largest = max(largest, descent.size_of[g])
            if order.code == LOOKUP and order.how > 0:
                if not tables[order.y]:  # all that stands in it was computed before the first lookup
                    tables[order.y] = 1 + self.leads_to_wanted(descent, order)
                is_back[i] = tables[order.y] == 2
            else:
                is_back[i] = order.how > 0 and self.leads_to_wanted(descent, order)
            if is_back[i]:
                n_back += 1
                descent.shift[g] = NOT_YET
        descent.backs = <Back*>block(n_back * sizeof(Back))
        descent.tables = <int*>block(self.n_tables * sizeof(int))
        make_holes(&descent.holes, largest, self.n_groups)
        for i in range(self.n_tables):
            descent.tables[i] = NOWHERE
        return 0

    cdef inline void prefetch_shifts(self, Descent* descent, Order* order) noexcept:
        """Of the groups of its first two operands."""
        if 0 <= order.x < self.n_places:
            PREFETCH(descent.shift + descent.group_of[order.x])
        if 0 <= order.y < self.n_places:
            PREFETCH(descent.shift + descent.group_of[order.y])

    cdef int write_descent(self, Descent* descent, char* is_back, char* tables) except -1:
        cdef Py_ssize_t i, k, r = self.n_results
        cdef Order* order
        cdef int g = <int>self.n_groups - 1, former = NOWHERE
        cdef Py_ssize_t near = self.n_orders - self.far_from(self.n_orders) - 1
        descent.size, descent.n = self.n_uniform + self.n_inputs, 0
        if self.is_wanted(descent, self.cost):
            descent.cost = self.place_for(descent, self.cost)
        for i in range(self.n_orders - 1, -1, -1):
            order = self.orders + i
            if i > near:
                self.prefetch_shifts(descent, order - AHEAD // 2)
                PREFETCH(descent.group_of + order[-AHEAD].x)
                PREFETCH(descent.group_of + order[-AHEAD].y)
            if is_back[i] and descent.shift[g] != NOT_YET:
                if g != former and former != NOWHERE:
                    self.release(descent, former)
                former = g
                self.write_back(descent, i, descent.shift[g], tables)
            for k in range(order.n - 1, -1, -1):  # before it, other groups had its places
                r -= 1
                descent.group_of[order.out + k] = descent.former[r]
            g -= order.out == self.first_of[g]
        if former != NOWHERE:
            self.release(descent, former)
        return 0

    cdef void write_back(self, Descent* descent, Py_ssize_t i, int shift, char* tables) noexcept:
        """Order i on the way back; `shift` is that of its group."""
        cdef Order* order = self.orders + i
        cdef Back* back = descent.backs + descent.n
        cdef Dot* dot
        cdef Py_ssize_t k, t
        descent.n += 1
        back.order, back.out = <int>i, order.out + shift
        back.x = back.y = back.z = NOWHERE
        back.n_done = 0
        descent.has_choices |= order.how == 1
        if order.code == LOOKUP:
            for k in range(order.z if tables[order.y] != 3 else 0):
                t = self.tables[order.y + k]
                if t >= 0:
                    descent.tables[order.y + k] = self.place_for(descent, <int>t)
            tables[order.y] = 3
        elif order.code == DOT and self.dots[order.dot].table >= 0:
            dot = self.dots + order.dot
            for k in range(2 * dot.K):
                t = dot.table + 4 * (k // 2) + k % 2
                descent.tables[t] = self.places_for(descent, order.n, self.tables[t], self.tables[t + 2])
        else:
            if self.passes_to(order, 0):
                back.x = self.places_for(descent, order.n, order.x, order.sx)
            if self.passes_to(order, 1):
                back.y = self.places_for(descent, order.n, order.y, order.sy)
        if self.passes_to(order, 2):
            back.z = self.places_for(descent, order.n, order.z, order.sz)

    cdef inline bint passes_to(self, Order* order, int k) noexcept:
        """Whether a gradient goes to operand k; lookups have tables instead."""
        if order.code == DOT:
            return k < 2 or order.z >= 0
        return order.code != LOOKUP and has_gradient_of(order.code, order.number, k)

    cdef bint leads_to_wanted(self, Descent* descent, Order* order) noexcept:
        cdef Py_ssize_t k
        cdef int t
        if order.code == LOOKUP:
            for k in range(order.z):
                t = self.tables[order.y + k]
                if t < 0 or self.is_wanted(descent, t):
                    return True
            return False
        if order.code == DOT and self.dots[order.dot].table >= 0:
            for k in range(2 * self.dots[order.dot].K):
                t = self.dots[order.dot].table + 4 * (k // 2) + k % 2
                if self.are_wanted(descent, order.n, self.tables[t], self.tables[t + 2]):
                    return True
            return order.z >= 0 and self.are_wanted(descent, order.n, order.z, order.sz)
        return (
            (self.passes_to(order, 0) and self.are_wanted(descent, order.n, order.x, order.sx))
            or (self.passes_to(order, 1) and self.are_wanted(descent, order.n, order.y, order.sy))
            or (self.passes_to(order, 2) and self.are_wanted(descent, order.n, order.z, order.sz))
        )

    cdef bint are_wanted(self, Descent* descent, int n, int place, int stride) noexcept:
        """Whether the gradient of any of the n places of an operand is."""
        cdef int i
        if stride != INDEXED:
            return self.is_wanted(descent, place)
        for i in range(n):
            if self.is_wanted(descent, self.tables[place + i]):
                return True
        return False

    cdef inline bint is_wanted(self, Descent* descent, int place) noexcept:
        """Whether the gradient of a place is."""
        return descent.shift[descent.group_of[place]] != UNWANTED

    cdef inline int place_for(self, Descent* descent, int place) noexcept:
        """Where the gradient of what stands at `place` is; taken if it has no place yet."""
        cdef int g = descent.group_of[place], shift = descent.shift[g]
        if shift == UNWANTED:
            return NOWHERE
        return place + (self.take_place(descent, g) if shift == NOT_YET else shift)

    cdef int places_for(self, Descent* descent, int n, int place, int stride) noexcept:
        """The same for n rows: where the gradient of the first one is, or where the descent's tables have all."""
        cdef int i, result = NOWHERE
        if stride != INDEXED:
            return self.place_for(descent, place)
        for i in range(n):
            descent.tables[place + i] = self.place_for(descent, self.tables[place + i])
            if descent.tables[place + i] >= 0:
                result = place
        return result

    cdef void release(self, Descent* descent, int g) noexcept:
        """The last order that was written ends a group: its gradients are all passed on."""
        cdef Back* back = descent.backs + descent.n - 1
        cdef int size = descent.size_of[g]
        back.done, back.n_done = self.first_of[g] + descent.shift[g], size
        give_back(&descent.holes, back.done, size)

    cdef int take_place(self, Descent* descent, int g) noexcept:
        """Find a place for a group's gradients, and return its shift."""
        cdef int size = descent.size_of[g], place = taken(&descent.holes, size)
        if place < 0:
            place = <int>descent.size
            descent.size += size
        descent.shift[g] = place - self.first_of[g]
        return descent.shift[g]

    # --- running -----------------------------------------------------------------------------------------------------

    cdef int make_memory(self, Py_ssize_t lanes) except -1:
        """Memory for that many examples at once, all zeros."""
        cdef Py_ssize_t with_lanes = self.n_places - self.n_uniform
        cdef Py_ssize_t gradients = max(self.descents[0].size, self.descents[1].size, self.n_uniform) - self.n_uniform
        cdef Py_ssize_t apart = (self.n_uniform + 7) // 8 * 8  # what has lanes begins at a multiple of 64 bytes
        cdef Py_ssize_t marks = 0, changes = 0
        cdef Py_ssize_t numbers
        cdef double* memory
        if self.descents[0].has_choices or self.descents[1].has_choices:
            marks = self.n_places * lanes // 8 + 1
        if self.has_rows:
            changes = self.n_parameters
        numbers = 2 * apart + (with_lanes + gradients + self.n_slopes) * lanes + marks + changes + 8
        if self.lanes == lanes and self.size >= numbers:
            return 0
        self.lanes = self.size = 0
        PyMem_Free(self.memory)  # first, as both are large
        if numbers * <Py_ssize_t>sizeof(double) > IN_MEMORY:
            give_back_freed_memory()  # what was just freed too
        self.memory = memory = <double*>PyMem_Calloc(numbers, sizeof(double))
        if memory is NULL:
            raise MemoryError
        ask_for_huge_pages(memory, numbers * sizeof(double))
        self.size = numbers
        memory = <double*>((<size_t>memory + 63) & ~<size_t>63)
        self.v = memory + apart - self.n_uniform
        self.d = memory + 2 * apart + with_lanes * lanes - self.n_uniform
        self.slopes = self.d + self.n_uniform + gradients * lanes
        self.chosen = <char*>(self.slopes + self.n_slopes * lanes)
        self.changed = <int*>(<double*>self.chosen + marks)
        self.is_changed = <char*>(self.changed + changes)
        self.n_changed = 0
        memcpy(self.v + self.n_read, self.constants, self.n_constants * sizeof(double))
        self.lanes = lanes
        return 0

    cdef inline double* number(self, int place) noexcept nogil:
        """Where the numbers of a place stand."""
        return self.v + (place if place < self.n_uniform else self.n_uniform + (place - self.n_uniform) * self.lanes)

    cdef inline double* gradient(self, int place) noexcept nogil:
        """Where the gradients of a place stand; NULL for NOWHERE."""
        if place < 0:
            return NULL
        return self.d + (place if place < self.n_uniform else self.n_uniform + (place - self.n_uniform) * self.lanes)

    def run(self, parameters, tuple arrays, gradient=None, tuple input_gradients=None, watched=None, list alarms=None):
        """The mean cost of m examples. All arrays are C-contiguous float64.

        `arrays` are the arguments, each with a row for each example. `gradient` receives the gradient of the mean,
        `input_gradients`, arrays like the arguments, the gradients with respect to them, and each row of `watched` one
        example's numbers in the watched slots. Pass None for any that is not wanted. If a slot's number, or the
        gradient with respect to a leaf, is not finite, True is added to `alarms`.
        """
        cdef Call call
        cdef Py_ssize_t a, m = len(arrays[0])
        try:
            begin(&call, parameters, self.n_parameters, len(arrays))
            for a in range(call.n_arrays):
                call.rows[a] = doubles(&call, arrays[a], -1, False)
                call.widths[a] = len(arrays[a][0])
                if input_gradients is not None:
                    call.d_rows[a] = doubles(&call, input_gradients[a], m * call.widths[a], True)
            if gradient is not None:
                call.d_theta = doubles(&call, gradient, self.n_parameters, True)
            if self.n_watched:
                call.watched = doubles(&call, watched, m * self.n_watched, True)
            call.alarming = alarms is not None
            mean = self.run_call(&call, m)
            if call.alarmed:
                alarms.append(True)
            return mean
        finally:
            end(&call)

    cdef double run_call(self, Call* call, Py_ssize_t m) except? -1.0:
        cdef Py_ssize_t a, columns = 0
        cdef double mean
        cdef bint with_inputs = call.alarming
        for a in range(call.n_arrays):
            columns += call.widths[a]
            with_inputs |= call.d_rows[a] is not NULL
        if columns != self.n_inputs:
            raise ValueError(f"an example must have {self.n_inputs} numbers, got {columns}")
        if call.d_theta is not NULL and not self.descents[with_inputs].made:
            self.make_descent(&self.descents[with_inputs], with_inputs)
        if self.busy:  # a signal handler calls what it interrupted, or another thread this machine
            return Machine(self).run_call(call, m)
        self.make_memory(self.lanes_for(m))
        self.busy = True
        self.missing_row = NULL
        try:
            if self.n_chunks(call, m) == 1:
                mean = self.run_blocks(call, m, &self.descents[with_inputs])
            else:
                mean = self.run_chunks(call, m, with_inputs)
        except:
            self.lanes = 0  # gradients can be left over in the memory, so it is allocated again
            self.twins = []
            raise
        finally:
            self.busy = False
        if self.missing_row is not NULL:
            raise ValueError(f"lookup expected a row from 0 to {self.missing_row.z - 1}, got {self.wanted_row:.0f}")
        return mean

    cdef Py_ssize_t lanes_for(self, Py_ssize_t m) noexcept:
        """How many examples to run at once: as many lanes as it takes, or those that there are if they are more."""
        cdef Py_ssize_t wanted = 1 if m < self.few else 4 if m <= 4 else 8 if m <= 8 else LANES
        return max(wanted, self.lanes) if wanted > 1 else 1

    def chunks(self, Py_ssize_t m):
        """How many chunks m examples form. For the tests."""
        cdef Call call
        call.alarming = False
        return self.n_chunks(&call, m)

    cdef Py_ssize_t n_chunks(self, Call* call, Py_ssize_t m) noexcept:
        """A power of 2, so that they share out well; one where there is little to do beside the sums of another."""
        cdef Py_ssize_t chunks = 1, added = self.n_read + (self.n_parameters if self.has_rows else 0)
        while (
            not call.alarming and 2 * chunks <= min(m // LANES, MOST_CHUNKS)
            and 2 * chunks * (CHUNK_WORK + ADDING * added) <= self.work * m
        ):
            chunks *= 2
        return chunks

    cdef double run_chunks(self, Call* call, Py_ssize_t m, bint with_inputs) except? -1.0:
        cdef Py_ssize_t n_chunks = self.n_chunks(call, m), c, k, t
        cdef int threads = _threads.available(n_chunks)
        cdef Py_ssize_t area = self.n_read + (self.n_parameters if self.has_rows else 0)
        cdef double* d_theta = call.d_theta
        cdef double* added
        cdef double total = 0.0
        cdef long forks
        # not on the stack, which helpers would lose if the interpreter ended here, in a daemon thread
        cdef Chunks* chunks = <Chunks*>block(sizeof(Chunks) + n_chunks * area * sizeof(double))
        cdef Machine twin
        try:
            while len(self.twins) < threads - 1:
                self.twins.append(Machine(self))
            chunks.machines[0] = <void*>self
            for t in range(1, threads):
                twin = self.twins[t - 1]
                twin.descents[0], twin.descents[1] = self.descents[0], self.descents[1]
                twin.make_memory(LANES)
                twin.sums = self.sums
                chunks.machines[t] = <void*>twin
            chunks.call = call[0]
            if call.rows == call.usual_rows:
                chunks.call.rows, chunks.call.widths = chunks.call.usual_rows, chunks.call.usual_widths
                chunks.call.d_rows = chunks.call.rows + call.n_arrays
            chunks.with_inputs, chunks.m, chunks.over = with_inputs, m, 1.0 if self.sums else m
            chunks.n_blocks, chunks.n_chunks = (m + LANES - 1) // LANES, n_chunks
            chunks.between_looks = max(1, <Py_ssize_t>(BETWEEN_LOOKS / (self.work * LANES + 1.0)))
            chunks.areas, chunks.area = <double*>(chunks + 1), area
            forks = _threads.forks()
            _threads.run_parts(run_one_chunk, chunks, n_chunks, threads)
            if forks != _threads.forks():
                self.twins = []  # which were running when the process was forked, and are in the middle of it for good
            self.missing_row = NULL
            for c in range(n_chunks):
                total += chunks.chunks[c].total
                if self.missing_row is NULL:
                    self.missing_row, self.wanted_row = chunks.chunks[c].missing_row, chunks.chunks[c].wanted_row
            if d_theta is not NULL:
                memset(d_theta, 0, self.n_parameters * sizeof(double))
                for c in range(n_chunks):
                    added = chunks.areas + c * area
                    for k in range(self.n_read):
                        d_theta[self.read[k]] += added[k]
                    for k in range(self.n_parameters if self.has_rows else 0):
                        d_theta[k] += added[self.n_read + k]
                for k in range(self.n_parameters):
                    d_theta[k] /= chunks.over
            return total / chunks.over
        finally:
            PyMem_Free(chunks)

    cdef void run_chunk(self, Chunks* chunks, Py_ssize_t c, _threads.Turn* turn) noexcept nogil:
        cdef Call* call = &chunks.call
        cdef Descent* descent = &self.descents[chunks.with_inputs]
        cdef Py_ssize_t first = chunks.n_blocks * c // chunks.n_chunks
        cdef Py_ssize_t last = chunks.n_blocks * (c + 1) // chunks.n_chunks, b, k
        cdef double* added = chunks.areas + c * chunks.area
        cdef double* d_theta = NULL
        cdef double total = 0.0
        self.missing_row, self.wanted_row = NULL, 0.0
        for k in range(self.n_read):
            self.v[k] = call.theta[self.read[k]]
        if call.d_theta is not NULL:
            d_theta = added + self.n_read
            memset(added, 0, chunks.area * sizeof(double))
            memset(self.d, 0, self.n_uniform * sizeof(double))
        for b in range(first, last):
            if (b - first) % chunks.between_looks == 0 and not _threads.goes_on(turn):
                return
            self.run_block(
                call, descent, d_theta, b * LANES, min(<Py_ssize_t>LANES, chunks.m - b * LANES), chunks.over, &total)
        for k in range(self.n_changed):
            self.is_changed[self.changed[k]] = False
        self.n_changed = 0
        if d_theta is not NULL:
            memcpy(added, self.d, self.n_read * sizeof(double))
        chunks.chunks[c].total = total
        chunks.chunks[c].missing_row, chunks.chunks[c].wanted_row = self.missing_row, self.wanted_row

    cdef double run_blocks(self, Call* call, Py_ssize_t m, Descent* descent) except? -1.0:
        cdef Py_ssize_t start = 0, n, k
        cdef double total = 0.0, over = 1.0 if self.sums else m
        cdef double* d_theta = call.d_theta
        for k in range(self.n_read):
            self.v[k] = call.theta[self.read[k]]
        if d_theta is not NULL:
            memset(d_theta, 0, self.n_parameters * sizeof(double))
            memset(self.d, 0, self.n_uniform * sizeof(double))
        while start < m:
            PyErr_CheckSignals()
            n = min(self.lanes, m - start)
            self.run_block(call, descent, d_theta, start, n, over, &total)
            start += n
        if d_theta is not NULL:
            for k in range(self.n_changed):
                d_theta[self.changed[k]] /= over
                self.is_changed[self.changed[k]] = False
            self.n_changed = 0
            for k in range(self.n_read):
                d_theta[self.read[k]] += self.d[k] / over
        return total / over

    cdef inline void run_block(
        self, Call* call, Descent* descent, double* d_theta, Py_ssize_t start, Py_ssize_t n, double over, double* total
    ) noexcept nogil:
        """As many examples as there are lanes, or fewer; their costs are added to the total one after the other."""
        cdef Py_ssize_t lanes = self.lanes, i, k, a, width
        cdef double* lane = self.v + self.n_uniform
        cdef double* cost = self.number(self.cost)
        cdef double* its
        cdef double sum_so_far = total[0]
        for a in range(call.n_arrays):
            width = call.widths[a]
            its = call.rows[a] + start * width
            if lanes == 1:
                memcpy(lane, its, width * sizeof(double))
            else:
                for k in range(width):
                    for i in range(lanes):  # the last example fills the lanes beyond it
                        lane[k * lanes + i] = its[min(i, n - 1) * width + k]
            lane += width * lanes
        if not self.forwards(call.theta, d_theta is not NULL, call.alarming):
            call.alarmed = True
        for i in range(n):
            sum_so_far += cost[i if self.cost >= self.n_uniform else 0]
            for k in range(self.n_watched):
                call.watched[(start + i) * self.n_watched + k] = self.number(self.watched[k])[
                    i if self.watched[k] >= self.n_uniform else 0
                ]
        total[0] = sum_so_far
        if d_theta is NULL:
            return
        self.seed(descent, n)
        self.backwards(descent, d_theta, n)
        lane = self.d + self.n_uniform
        if call.alarming and not all_finite(self.d, self.n_uniform + self.n_inputs * lanes):
            call.alarmed = True
        for a in range(call.n_arrays if descent == &self.descents[1] else 0):
            width = call.widths[a]
            for k in range(width if call.d_rows[a] is not NULL else 0):
                for i in range(n):
                    call.d_rows[a][(start + i) * width + k] = lane[k * lanes + i] / over
            memset(lane, 0, width * lanes * sizeof(double))
            lane += width * lanes

    cdef void seed(self, Descent* descent, Py_ssize_t n) noexcept nogil:
        """Set the gradient of the cost with respect to itself."""
        cdef Py_ssize_t i
        if self.cost < self.n_uniform:
            self.d[self.cost] += n
        elif self.cost < self.n_uniform + self.n_inputs:
            for i in range(n if descent == &self.descents[1] else 0):
                self.gradient(self.cost)[i] += 1.0
        elif descent.n:
            for i in range(n):
                self.gradient(descent.cost)[i] = 1.0

    cdef inline int row(self, Order* order, double index) noexcept nogil:
        """Where in the tables the chosen row is; for a missing row the first, and the error is raised later."""
        if 0.0 <= index < order.z:
            return order.y + <int>index
        self.missing_row, self.wanted_row = order, index
        return order.y

    cdef inline void prefetch_number(self, int place) noexcept nogil:
        """In all lanes."""
        PREFETCH(self.number(place))
        if self.lanes > 8:
            PREFETCH(self.number(place) + 8)

    cdef inline void prefetch_gradient(self, int place) noexcept nogil:
        if place >= 0:
            PREFETCH(self.gradient(place))
            if self.lanes > 8:
                PREFETCH(self.gradient(place) + 8)

    cdef inline Py_ssize_t far_from(self, Py_ssize_t n) noexcept nogil:
        """Up to which of n orders to look ahead for what they read: where all stays in a cache that takes longer."""
        return n - AHEAD if self.n_places > MANY_PLACES else 0

    cdef bint forwards(self, double* theta, bint with_slopes, bint alarming) noexcept nogil:
        """Run all orders; if it is `alarming`, whether all numbers are finite."""
        cdef Py_ssize_t i, far = self.far_from(self.n_orders)
        cdef Order* order
        cdef bint finite = not alarming or all_finite(self.v, self.n_uniform + self.n_inputs * self.lanes)
        for i in range(self.n_orders):
            order = self.orders + i
            if self.lanes > 1:
                if i < far:
                    self.prefetch_number(order[AHEAD // 2].x)
                    self.prefetch_number(order[AHEAD // 2].y)
                self.forward_lanes(order, theta, with_slopes)
            else:
                if i < far:
                    PREFETCH(self.v + order[AHEAD].x)
                    PREFETCH(self.v + order[AHEAD].y)
                if order.n == 1:
                    self.forward_one(order, theta)
                else:
                    self.forward_rows(order, with_slopes)
            if alarming and finite:  # a later result can take the place
                finite = all_finite(self.number(order.out), order.n * self.lanes)
        return finite

    cdef inline void forward_one(self, Order* order, double* theta) noexcept nogil:
        """One step for one example."""
        cdef double* v = self.v
        cdef double* out = v + order.out
        cdef double x = v[order.x]
        cdef int code = order.code
        cdef double unwanted[3]
        cdef double* slope = self.slopes + order.slope if order.n_slopes else unwanted
        if code == _ops.MULTIPLY:
            out[0] = x * v[order.y]
        elif code == _ops.ADD:
            out[0] = x + v[order.y]
        elif code == DOT:
            if order.K == 1:
                out[0] = v[order.z] + x * v[order.y]
            else:
                self.dot_rows(order)
        elif code == _ops.SUBTRACT:
            out[0] = x - v[order.y]
        elif code == _ops.DIVIDE:
            out[0] = x / v[order.y]
        elif code == _ops.MAXIMUM or code == _ops.LARGEST:
            out[0] = _ops.maximum(x, v[order.y])
        elif code == _ops.MINIMUM:
            out[0] = _ops.minimum(x, v[order.y])
        elif code == _ops.NEGATE:
            out[0] = -x
        elif code == _ops.RELU:
            out[0] = 0.0 if x <= 0.0 else x
        elif code == _ops.CONSTANT_POWER and order.number == 2.0:
            out[0] = x * x
        elif is_binary(code):
            _ops.binary(<Code>code, x, v[order.y], out, slope, slope + 1)
        elif code == _ops.WHERE:
            out[0] = v[order.y] if x != 0.0 else v[order.z]
        elif is_ternary(code):
            _ops.ternary(<Code>code, x, v[order.y], v[order.z], out, slope)
        elif code == ATTACH:
            out[0] = x
            if order.n_slopes:
                slope[0], slope[1], slope[2] = 1.0, v[order.z], 0.0
        elif code == LOOKUP:
            out[0] = self.looked_up(order, theta, 0)
        else:
            _ops.unary(<Code>code, order.number, x, out, slope)

    cdef inline double looked_up(self, Order* order, double* theta, Py_ssize_t i) noexcept nogil:
        """What a lookup chooses in lane i."""
        cdef double* index = self.number(order.x)
        cdef int place = self.tables[self.row(order, index[i if order.x >= self.n_uniform else 0])]
        if place < 0:
            return theta[-1 - place]
        return self.number(place)[i if place >= self.n_uniform else 0]

    cdef void forward_rows(self, Order* order, bint with_slopes) noexcept nogil:
        """The rows of an order for one example."""
        cdef double* v = self.v
        cdef double* slope = self.slopes + order.slope if with_slopes and order.n_slopes else NULL
        if order.code == DOT and order.K > 1:
            self.dot_rows(order)
        elif self.is_indexed(order):
            self.forward_indexed(order, slope)
        else:
            self.rows(
                order, order.n, v + order.x, order.sx, v + order.y, order.sy, v + order.z, order.sz, v + order.out, slope
            )

    cdef inline void rows(
        self, Order* order, Py_ssize_t n, double* x, int sx, double* y, int sy, double* z, int sz, double* out,
        double* slope,
    ) noexcept nogil:
        if order.code == DOT:
            rows_multiply_add(n, out, z, sz, x, sx, y, sy)
        elif arity(order.code) == 1:
            unary_rows(order.code, order.number, n, x, out, slope)
        else:
            other_rows(order.code, n, x, sx, y, sy, z, sz, out, slope, order.n)

    cdef inline double* gathered(
        self, int place, int* stride, Py_ssize_t start, Py_ssize_t n, double* room
    ) noexcept nogil:
        """The numbers of n rows of an operand from `start` on, brought side by side if they do not stand so."""
        cdef Py_ssize_t i
        cdef int* places
        if stride[0] != INDEXED:
            return self.v + place + start * stride[0]
        stride[0] = 1
        places = self.tables + place + start
        for i in range(n):
            room[i] = self.v[places[i]]
        return room

    cdef void forward_indexed(self, Order* order, double* slope) noexcept nogil:
        """The rows of an order some of whose operands are found through the tables, for one example."""
        cdef double[3 * AT_ONCE] room
        cdef double* v = self.v
        cdef double* out = v + order.out
        cdef int* tables = self.tables
        cdef Py_ssize_t block, start, n, i
        cdef int sx = order.sx, sy = order.sy, sz = order.sz, code = order.code
        cdef double* x
        cdef double* y
        cdef double* z
        if code == _ops.MULTIPLY:
            for i in range(order.n):
                out[i] = v[self.place_of(tables, order.x, sx, i)] * v[self.place_of(tables, order.y, sy, i)]
            return
        if code == _ops.ADD:
            for i in range(order.n):
                out[i] = v[self.place_of(tables, order.x, sx, i)] + v[self.place_of(tables, order.y, sy, i)]
            return
        if code == _ops.SUBTRACT:
            for i in range(order.n):
                out[i] = v[self.place_of(tables, order.x, sx, i)] - v[self.place_of(tables, order.y, sy, i)]
            return
        if code == _ops.DIVIDE:
            for i in range(order.n):
                out[i] = v[self.place_of(tables, order.x, sx, i)] / v[self.place_of(tables, order.y, sy, i)]
            return
        if code == DOT:
            for i in range(order.n):
                out[i] = v[self.place_of(tables, order.z, sz, i)] + (
                    v[self.place_of(tables, order.x, sx, i)] * v[self.place_of(tables, order.y, sy, i)]
                )
            return
        for block in range((order.n + AT_ONCE - 1) // AT_ONCE):
            start = block * AT_ONCE
            n = min(AT_ONCE, order.n - start)
            sx, sy, sz = order.sx, order.sy, order.sz
            x = self.gathered(order.x, &sx, start, n, room)
            y = self.gathered(order.y, &sy, start, n, room + AT_ONCE)
            z = self.gathered(order.z, &sz, start, n, room + 2 * AT_ONCE)
            self.rows(order, n, x, sx, y, sy, z, sz, out + start, slope + start if slope is not NULL else NULL)

    cdef inline int place_of(self, int* tables, int place, int stride, Py_ssize_t row) noexcept nogil:
        """The place of a row's operand."""
        return tables[place + row] if stride == INDEXED else <int>(place + row * stride)

    cdef void dot_rows(self, Order* order) noexcept nogil:
        """Chains for one example."""
        cdef Dot* dot = self.dots + order.dot
        cdef double* v = self.v
        cdef double* out = v + order.out
        cdef double* z = v + order.z if order.z >= 0 else NULL
        cdef double total
        cdef int* term
        cdef Py_ssize_t k, i
        if order.sz == INDEXED or (dot.table >= 0 and order.n > 1):
            if z is not NULL:
                for i in range(order.n):
                    out[i] = v[self.place_of(self.tables, order.z, order.sz, i)]
            self.add_terms(order, dot, z is NULL)
        elif dot.table >= 0:
            term = self.tables + dot.table
            total = v[term[0]] * v[term[1]]
            if z is not NULL:
                total = z[0] + total
            for k in range(1, dot.K):
                term += 4
                total += v[term[0]] * v[term[1]]
            out[0] = total
        else:
            rows_dot(order.n, dot.K, out, z, order.sz, v + order.x, order.sx, dot.kx, v + order.y, order.sy, dot.ky)

    cdef void add_terms(self, Order* order, Dot* dot, bint replace) noexcept nogil:
        """Add term after term to all rows; replace what stands there by the first one."""
        cdef double* v = self.v
        cdef double* out = v + order.out
        cdef int* tables = self.tables
        cdef int[4] strided
        cdef int* term = strided
        cdef Py_ssize_t k, i
        if dot.table >= 0 and not dot.indexed:
            term = tables + dot.table
            if replace:
                rows_multiply(order.n, out, v + term[0], term[2], v + term[1], term[3])
            for k in range(1 if replace else 0, dot.K):
                term = tables + dot.table + 4 * k
                rows_add_products(order.n, out, v + term[0], term[2], v + term[1], term[3])
            return
        for k in range(dot.K):
            if dot.table >= 0:
                term = tables + dot.table + 4 * k
            else:
                strided[0], strided[1] = <int>(order.x + k * dot.kx), <int>(order.y + k * dot.ky)
                strided[2], strided[3] = order.sx, order.sy
            if term[2] in (0, 1) and term[3] in (0, 1):
                if replace and k == 0:
                    rows_multiply(order.n, out, v + term[0], term[2], v + term[1], term[3])
                else:
                    rows_add_products(order.n, out, v + term[0], term[2], v + term[1], term[3])
            elif replace and k == 0:
                for i in range(order.n):
                    out[i] = v[self.place_of(tables, term[0], term[2], i)] * v[self.place_of(tables, term[1], term[3], i)]
            else:
                for i in range(order.n):
                    out[i] += v[self.place_of(tables, term[0], term[2], i)] * v[self.place_of(tables, term[1], term[3], i)]

    cdef void forward_lanes(self, Order* order, double* theta, bint with_slopes) noexcept nogil:
        """The rows of an order for a block of examples."""
        cdef Py_ssize_t lanes = self.lanes, n = order.n * lanes, r, i, k
        cdef int code = order.code, x = order.x, y = order.y, z = order.z, next_x, next_y, first
        cdef double* out = self.number(order.out)
        cdef double* slope = self.slopes + order.slope * lanes if with_slopes and order.n_slopes else NULL
        cdef int* term
        if code == LOOKUP:
            for i in range(lanes):
                out[i] = self.looked_up(order, theta, i)
            return
        if order.n == 1 and is_binary(code):
            other_rows(
                code, lanes, self.number(x), x >= self.n_uniform, self.number(y), y >= self.n_uniform, NULL, 0, out, slope, n
            )
            return
        if self.has_all_lanes(order):
            if arity(code) == 1:
                unary_rows(code, order.number, n, self.number(x), out, slope)
            else:
                other_rows(code, n, self.number(x), 1, self.number(y), 1, self.number(z), 1, out, slope, n)
            return
        if code == DOT and self.dots[order.dot].table < 0 and not self.is_indexed(order):
            self.lanes_of_dots(order, out)
            return
        for r in range(order.n):
            if order.z >= 0 and (code == DOT or arity(code) == 3):
                z = self.place_of(self.tables, order.z, order.sz, r)
            if code == DOT and self.dots[order.dot].table >= 0:
                term = self.tables + self.dots[order.dot].table
                x, y = self.place_of(self.tables, term[0], term[2], r), self.place_of(self.tables, term[1], term[3], r)
                next_x = self.place_of(self.tables, term[4], term[6], r)
                next_y = self.place_of(self.tables, term[5], term[7], r)
                first = 1
                if (x >= self.n_uniform) == (next_x >= self.n_uniform) and (y >= self.n_uniform) == (next_y >= self.n_uniform):
                    first = 2  # terms in one loop
                self.one_dot(first, out, z, x, next_x - x, y, next_y - y)
                for k in range(first, order.K):
                    x = self.place_of(self.tables, term[4 * k], term[4 * k + 2], r)
                    y = self.place_of(self.tables, term[4 * k + 1], term[4 * k + 3], r)
                    lanes_dot_on(<int>lanes, out, self.number(x), x >= self.n_uniform, self.number(y), y >= self.n_uniform)
                out += lanes
                continue
            x = self.place_of(self.tables, order.x, order.sx, r)
            if code == DOT or arity(code) > 1:
                y = self.place_of(self.tables, order.y, order.sy, r)
            if code == DOT:
                self.one_dot(order.K, out, z, x, self.dots[order.dot].kx, y, self.dots[order.dot].ky)
            elif arity(code) > 1:
                other_rows(
                    code, lanes, self.number(x), x >= self.n_uniform, self.number(y), y >= self.n_uniform,
                    self.number(z), z >= self.n_uniform, out, slope, n,
                )
            elif x >= self.n_uniform:
                unary_rows(code, order.number, lanes, self.number(x), out, slope)
            else:  # the same for all examples
                unary_rows(code, order.number, 1, self.number(x), out, slope)
                for i in range(1, lanes):
                    out[i] = out[0]
                    if slope is not NULL:
                        slope[i] = slope[0]
            out += lanes
            if slope is not NULL:
                slope += lanes

    cdef inline bint has_all_lanes(self, Order* order) noexcept nogil:
        """Whether the operands of all rows and lanes stand side by side."""
        cdef int code = order.code
        cdef bint one = order.n == 1
        if code == DOT or not (order.x >= self.n_uniform and (one or order.sx == 1)):
            return False
        if arity(code) > 1 and not (order.y >= self.n_uniform and (one or order.sy == 1)):
            return False
        return arity(code) < 3 or (order.z >= self.n_uniform and (one or order.sz == 1))

    cdef inline bint is_indexed(self, Order* order) noexcept nogil:
        return order.sx == INDEXED or order.sy == INDEXED or order.sz == INDEXED

    cdef inline void lanes_of_dots(self, Order* order, double* out) noexcept nogil:
        cdef Dot* dot = self.dots + order.dot
        cdef bint x_lanes = order.x >= self.n_uniform, y_lanes = order.y >= self.n_uniform
        cdef bint z_lanes = order.z >= self.n_uniform
        cdef Py_ssize_t x_size = self.lanes if x_lanes else 1, y_size = self.lanes if y_lanes else 1
        cdef Py_ssize_t z_size = self.lanes if z_lanes else 1, r
        cdef double* x = self.number(order.x)
        cdef double* y = self.number(order.y)
        cdef double* z = self.number(order.z) if order.z >= 0 else NULL
        for r in range(order.n):
            lanes_dot(
                <int>self.lanes, order.K, out + r * self.lanes, z, z_lanes, x, x_lanes, dot.kx * x_size, y, y_lanes,
                dot.ky * y_size,
            )
            x += order.sx * x_size
            y += order.sy * y_size
            if z is not NULL:
                z += order.sz * z_size

    cdef inline void one_dot(self, Py_ssize_t K, double* out, int z, int x, int kx, int y, int ky) noexcept nogil:
        cdef bint x_lanes = x >= self.n_uniform, y_lanes = y >= self.n_uniform
        lanes_dot(
            <int>self.lanes, K, out, self.number(z) if z >= 0 else NULL, z >= self.n_uniform, self.number(x), x_lanes,
            kx * (self.lanes if x_lanes else 1), self.number(y), y_lanes, ky * (self.lanes if y_lanes else 1),
        )

    cdef void backwards(self, Descent* descent, double* d_theta, Py_ssize_t n) noexcept nogil:
        """Pass the gradient of the cost on to all that it depends on, for n examples."""
        cdef Py_ssize_t b, i, lanes = self.lanes, far = self.far_from(descent.n)
        cdef Back* back
        cdef Order* order
        cdef double* u
        for b in range(descent.n):
            back = descent.backs + b
            if b < far and lanes > 1:
                order = self.orders + back[AHEAD // 2].order
                self.prefetch_number(order.x)
                self.prefetch_number(order.y)
                self.prefetch_gradient(back[AHEAD // 2].x)
                self.prefetch_gradient(back[AHEAD // 2].y)
            elif b < far:
                order = self.orders + back[AHEAD].order
                PREFETCH(self.v + order.x)
                PREFETCH(self.v + order.y)
                PREFETCH(self.d + back[AHEAD].x)
                PREFETCH(self.d + back[AHEAD].y)
            order = self.orders + back.order
            u = self.gradient(back.out)
            if order.code == LOOKUP:
                self.lookup_back(descent, order, u, d_theta, n)
            elif order.how == 1:
                for i in range(n):
                    if self.chosen[order.out * lanes + i]:  # where not, it can be infinitely steep
                        self.chosen[order.out * lanes + i] = False
                        self.mark_operands(order, back, i)
                        self.step_back(order, back, u[i], i)
            elif order.code == DOT and (lanes > 1 or order.K > 1):
                self.dot_back(descent, order, back, u, n)
            elif lanes > 1:
                self.lanes_back(descent, order, back, u, n)
            elif order.n == 1:
                self.one_back(order, back)
            elif self.is_indexed(order):
                self.indexed_back(descent, order, back, u)
            elif order.code == DOT:
                self.dot_back(descent, order, back, u, n)
            else:
                self.rows_back(order, back, u)
            if back.n_done == 1 and lanes == 1:
                self.d[back.done] = 0.0
            elif back.n_done:
                memset(self.gradient(back.done), 0, back.n_done * lanes * sizeof(double))

    cdef void lookup_back(
        self, Descent* descent, Order* order, double* u, double* d_theta, Py_ssize_t n
    ) noexcept nogil:
        cdef Py_ssize_t i
        cdef int at, place
        cdef double* index = self.number(order.x)
        for i in range(n):
            if order.how == 1:
                if not self.chosen[order.out * self.lanes + i]:
                    continue
                self.chosen[order.out * self.lanes + i] = False
            at = self.row(order, index[i if order.x >= self.n_uniform else 0])
            place = self.tables[at]
            if place < 0:
                d_theta[-1 - place] += u[i]
                if not self.is_changed[-1 - place]:
                    self.is_changed[-1 - place] = True
                    self.changed[self.n_changed] = -1 - place
                    self.n_changed += 1
            elif descent.tables[at] >= 0:
                if descent.has_choices:
                    self.chosen[place * self.lanes + i] = True
                self.gradient(descent.tables[at])[i if place >= self.n_uniform else 0] += u[i]

    cdef inline void mark_operands(self, Order* order, Back* back, Py_ssize_t i) noexcept nogil:
        """Note that a gradient reaches the operands of a step in lane i."""
        if back.x >= 0:
            self.chosen[order.x * self.lanes + i] = True
        if back.y >= 0:
            self.chosen[order.y * self.lanes + i] = True
        if back.z >= 0:
            self.chosen[order.z * self.lanes + i] = True

    cdef inline void one_back(self, Order* order, Back* back) noexcept nogil:
        """One step, where one example runs."""
        cdef double* v = self.v
        cdef double* d = self.d
        cdef double u = d[back.out], x, y
        cdef int code = order.code
        if code == _ops.MULTIPLY:
            if back.x >= 0:
                d[back.x] += v[order.y] * u
            if back.y >= 0:
                d[back.y] += v[order.x] * u
        elif code == _ops.ADD:
            if back.x >= 0:
                d[back.x] += u
            if back.y >= 0:
                d[back.y] += u
        elif code == DOT:
            if back.z >= 0:
                d[back.z] += u
            if back.x >= 0:
                d[back.x] += v[order.y] * u
            if back.y >= 0:
                d[back.y] += v[order.x] * u
        elif code == _ops.SUBTRACT:
            if back.x >= 0:
                d[back.x] += u
            if back.y >= 0:
                d[back.y] -= u
        elif code == _ops.DIVIDE:
            if back.x >= 0:
                d[back.x] += 1.0 / v[order.y] * u
            if back.y >= 0:
                d[back.y] -= v[order.out] / v[order.y] * u
        elif code == _ops.MAXIMUM or code == _ops.MINIMUM:
            x, y = v[order.x], v[order.y]
            if code == _ops.MINIMUM:
                x, y = -x, -y
            if back.x >= 0 and x >= y:
                d[back.x] += u if x > y else 0.5 * u
            if back.y >= 0 and y >= x:
                d[back.y] += u if y > x else 0.5 * u
        elif order.n_slopes == 1 and not is_piecewise(code, order.number):
            d[back.x] += self.slopes[order.slope] * u
        else:
            self.step_back(order, back, u, 0)

    cdef inline double at(self, int place, Py_ssize_t i) noexcept nogil:
        return self.number(place)[i if place >= self.n_uniform else 0]

    cdef inline void add(self, int place, Py_ssize_t i, double amount) noexcept nogil:
        self.gradient(place)[i if place >= self.n_uniform else 0] += amount

    cdef inline void step_back(self, Order* order, Back* back, double u, Py_ssize_t i) noexcept nogil:
        """One step for the example in lane i."""
        cdef int code = order.code
        cdef Py_ssize_t lanes = self.lanes
        cdef double x, y = 0.0, out
        cdef double* slope
        if code == _ops.ADD or code == _ops.SUBTRACT:
            if back.x >= 0:
                self.add(back.x, i, u)
            if back.y >= 0:
                self.add(back.y, i, u if code == _ops.ADD else -u)
            return
        x = self.at(order.x, i)
        if code == _ops.MULTIPLY:
            if back.x >= 0:
                self.add(back.x, i, self.at(order.y, i) * u)
            if back.y >= 0:
                self.add(back.y, i, x * u)
            return
        if code == _ops.WHERE:
            if x != 0.0:
                if back.y >= 0:
                    self.add(back.y, i, u)
            elif back.z >= 0:
                self.add(back.z, i, u)
            return
        out = self.at(order.out, i)
        slope = self.slopes + order.slope * lanes + i
        if is_binary(code):
            y = self.at(order.y, i)
        if back.x >= 0:
            self.add(back.x, i, contribution_of(code, order.number, slope_of(code, order.number, 0, x, y, out, slope, lanes), u))
        if back.y >= 0:
            self.add(back.y, i, contribution_of(code, order.number, slope_of(code, order.number, 1, x, y, out, slope, lanes), u))
        if back.z >= 0:
            self.add(back.z, i, contribution_of(code, order.number, slope_of(code, order.number, 2, x, y, out, slope, lanes), u))

    cdef void rows_back(self, Order* order, Back* back, double* u) noexcept nogil:
        """The rows of an order for one example."""
        cdef double* v = self.v
        cdef double* d = self.d
        cdef double* slope = self.slopes + order.slope
        if order.code == _ops.MULTIPLY and self.can_share(order.n, back.x, order.sx, back.y, order.sy):
            rows_add_products_back(order.n, d + back.x, d + back.y, v + order.x, v + order.y, u)
            return
        if arity(order.code) == 1:
            unary_rows_back(
                order.code, order.number, order.n, d + back.x, 1, v + order.x, 1, v + order.out, slope, u
            )
            return
        if back.x >= 0:
            other_rows_back(
                order.code, order.number, 0, order.n, d + back.x, order.sx, v + order.x, order.sx, v + order.y, order.sy,
                v + order.out, slope, order.n, u,
            )
        if back.y >= 0:
            other_rows_back(
                order.code, order.number, 1, order.n, d + back.y, order.sy, v + order.x, order.sx, v + order.y, order.sy,
                v + order.out, slope, order.n, u,
            )
        if back.z >= 0:
            other_rows_back(
                order.code, order.number, 2, order.n, d + back.z, order.sz, v + order.x, order.sx, v + order.y, order.sy,
                v + order.out, slope, order.n, u,
            )

    cdef void indexed_back(self, Descent* descent, Order* order, Back* back, double* u) noexcept nogil:
        """The rows of an order some of whose operands are found through the tables, for one example."""
        cdef double[4 * AT_ONCE] room
        cdef int code = order.code
        cdef double* contributions = room + 3 * AT_ONCE
        cdef Py_ssize_t block, start, n, i
        cdef int sx, sy, sz, k, place, stride
        cdef double* x
        cdef double* y
        cdef double* out
        cdef double* slope
        cdef double* d
        cdef int* places
        if code in (_ops.MULTIPLY, _ops.ADD, _ops.SUBTRACT, _ops.DIVIDE, DOT):
            self.indexed_one_by_one(descent, order, back, u)
            return
        if order.n_slopes == 1 and arity(code) == 1 and not is_piecewise(code, order.number):
            places, slope = descent.tables + back.x, self.slopes + order.slope
            for i in range(order.n):
                if places[i] >= 0:
                    self.d[places[i]] += slope[i] * u[i]
            return
        for block in range((order.n + AT_ONCE - 1) // AT_ONCE):
            start = block * AT_ONCE
            n = min(AT_ONCE, order.n - start)
            sx, sy, sz = order.sx, order.sy, order.sz
            x = self.gathered(order.x, &sx, start, n, room)
            y = self.gathered(order.y, &sy, start, n, room + AT_ONCE)
            out, slope = self.v + order.out + start, self.slopes + order.slope + start
            for k in range(3):
                place = back.x if k == 0 else back.y if k == 1 else back.z
                stride = order.sx if k == 0 else order.sy if k == 1 else order.sz
                if place < 0:
                    continue
                d = self.d + place + start * stride
                if stride == INDEXED:
                    stride, d = 1, contributions
                    memset(d, 0, n * sizeof(double))
                if arity(code) == 1:
                    unary_rows_back(code, order.number, n, d, stride, x, sx, out, slope, u + start)
                else:
                    other_rows_back(code, order.number, k, n, d, stride, x, sx, y, sy, out, slope, order.n, u + start)
                if d == contributions:
                    places = descent.tables + place + start
                    for i in range(n):
                        if places[i] >= 0:
                            self.d[places[i]] += d[i]

    cdef void indexed_one_by_one(self, Descent* descent, Order* order, Back* back, double* u) noexcept nogil:
        """The same where the operation takes less time than to bring its operands together."""
        cdef double* v = self.v
        cdef double* d = self.d
        cdef int* tables = descent.tables
        cdef Py_ssize_t i, n = order.n
        cdef int code = order.code, place
        cdef double over
        if back.z >= 0 and code == DOT:
            for i in range(n):
                place = self.place_of(tables, back.z, order.sz, i)
                if place >= 0:
                    d[place] += u[i]
        if back.x >= 0:
            if code == _ops.ADD or code == _ops.SUBTRACT:
                for i in range(n):
                    place = self.place_of(tables, back.x, order.sx, i)
                    if place >= 0:
                        d[place] += u[i]
            else:
                for i in range(n):
                    place = self.place_of(tables, back.x, order.sx, i)
                    if place >= 0:
                        over = v[self.place_of(self.tables, order.y, order.sy, i)]
                        d[place] += (1.0 / over if code == _ops.DIVIDE else over) * u[i]
        if back.y >= 0:
            for i in range(n):
                place = self.place_of(tables, back.y, order.sy, i)
                if place < 0:
                    continue
                if code == _ops.ADD:
                    d[place] += u[i]
                elif code == _ops.SUBTRACT:
                    d[place] -= u[i]
                elif code == _ops.DIVIDE:
                    d[place] -= v[order.out + i] / v[self.place_of(self.tables, order.y, order.sy, i)] * u[i]
                else:
                    d[place] += v[self.place_of(self.tables, order.x, order.sx, i)] * u[i]

    cdef inline bint can_share(self, Py_ssize_t n, int dx, int sx, int dy, int sy) noexcept nogil:
        """Whether one loop can pass gradients on to both factors of n rows."""
        return sx == 1 and sy == 1 and dx >= 0 and dy >= 0 and (dx - dy >= n or dy - dx >= n)

    cdef void lanes_back(self, Descent* descent, Order* order, Back* back, double* u, Py_ssize_t active) noexcept nogil:
        """The rows of an order for a block of examples."""
        cdef Py_ssize_t lanes = self.lanes, n = lanes, rows = order.n, r, kept = order.n * lanes
        cdef int code = order.code, k, first, stride, place, x, y = NOWHERE
        cdef bint has_lanes
        cdef double* out
        cdef double* slope
        if order.n > 1 and self.has_all_lanes(order):
            rows, n = 1, order.n * lanes
        for k in range(3):
            first = back.x if k == 0 else back.y if k == 1 else back.z
            stride = order.sx if k == 0 else order.sy if k == 1 else order.sz
            if first < 0:
                continue
            out, slope = self.number(order.out), self.slopes + order.slope * lanes
            for r in range(rows):
                place = self.place_of(descent.tables, first, stride, r)
                if place >= 0:
                    has_lanes = place >= self.n_uniform
                    x = self.place_of(self.tables, order.x, order.sx, r)
                    if arity(code) == 1:
                        unary_rows_back(
                            code, order.number, n if has_lanes else active, self.gradient(place), has_lanes,
                            self.number(x), x >= self.n_uniform, out + r * lanes, slope + r * lanes, u + r * lanes,
                        )
                    else:
                        y = self.place_of(self.tables, order.y, order.sy, r)
                        other_rows_back(
                            code, order.number, k, n if has_lanes else active, self.gradient(place), has_lanes,
                            self.number(x), x >= self.n_uniform, self.number(y), y >= self.n_uniform, out + r * lanes,
                            slope + r * lanes, kept, u + r * lanes,
                        )

    cdef void dot_back(self, Descent* descent, Order* order, Back* back, double* u, Py_ssize_t active) noexcept nogil:
        """The rows of a dot, or the terms of one in a table."""
        cdef Dot* dot = self.dots + order.dot
        cdef Py_ssize_t r, k
        cdef int place
        cdef int* term
        cdef int* places
        if back.z >= 0:
            if self.lanes == 1 and order.sz != INDEXED:
                rows_add_to_at(order.n, self.d + back.z, order.sz, u)
            else:
                for r in range(order.n):
                    place = self.place_of(descent.tables, back.z, order.sz, r)
                    if self.lanes == 1:
                        if place >= 0:
                            self.d[place] += u[r]
                    elif place >= self.n_uniform:
                        rows_add_to(self.lanes, self.gradient(place), 1, u + r * self.lanes)
                    elif place >= 0:
                        rows_add_to(active, self.gradient(place), 0, u + r * self.lanes)
        if dot.table >= 0:
            term, places = self.tables + dot.table, descent.tables + dot.table
            for k in range(dot.K):
                if self.lanes == 1 and order.n > 1 and not dot.indexed and (places[0] < 0 or places[1] < 0):
                    if places[0] >= 0:
                        rows_add_product(order.n, self.d + places[0], term[2], self.v + term[1], term[3], u)
                    elif places[1] >= 0:
                        rows_add_product(order.n, self.d + places[1], term[3], self.v + term[0], term[2], u)
                elif self.lanes == 1 and self.can_share(order.n, places[0], term[2], places[1], term[3]):
                    rows_add_products_back(
                        order.n, self.d + places[0], self.d + places[1], self.v + term[0], self.v + term[1], u
                    )
                elif self.lanes == 1:
                    self.term_back(descent, order.n, places[0], term[2], term[1], term[3], u)
                    self.term_back(descent, order.n, places[1], term[3], term[0], term[2], u)
                else:
                    for r in range(order.n):
                        self.row_back(descent, r, places[0], term[2], term[1], term[3], u, active, 1, 0, 0)
                        self.row_back(descent, r, places[1], term[3], term[0], term[2], u, active, 1, 0, 0)
                term += 4
                places += 4
        elif self.lanes == 1 and order.K == 1 and self.can_share(order.n, back.x, order.sx, back.y, order.sy):
            rows_add_products_back(order.n, self.d + back.x, self.d + back.y, self.v + order.x, self.v + order.y, u)
        elif self.lanes == 1:
            if back.x >= 0:
                self.factors_back(order, dot, back.x, order.sx, dot.kx, order.y, order.sy, dot.ky, u)
            if back.y >= 0:
                self.factors_back(order, dot, back.y, order.sy, dot.ky, order.x, order.sx, dot.kx, u)
        elif not self.is_indexed(order):
            for r in range(order.n):
                self.factor_back(
                    order.K, back.x + <int>r * order.sx if back.x >= 0 else NOWHERE, dot.kx, order.y + <int>r * order.sy,
                    dot.ky, u + r * self.lanes, active,
                )
                self.factor_back(
                    order.K, back.y + <int>r * order.sy if back.y >= 0 else NOWHERE, dot.ky, order.x + <int>r * order.sx,
                    dot.kx, u + r * self.lanes, active,
                )
        else:
            for r in range(order.n):
                self.row_back(descent, r, back.x, order.sx, order.y, order.sy, u, active, order.K, dot.kx, dot.ky)
                self.row_back(descent, r, back.y, order.sy, order.x, order.sx, u, active, order.K, dot.ky, dot.kx)

    cdef inline void term_back(
        self, Descent* descent, Py_ssize_t n, int first, int stride, int factor, int sf, double* u
    ) noexcept nogil:
        """Pass u on to a factor of one term in n rows of one example; the other factor is at `factor`."""
        cdef Py_ssize_t i
        cdef int place
        if first < 0:
            return
        if n > 1 and stride in (0, 1) and sf in (0, 1):
            rows_add_product(n, self.d + first, stride, self.v + factor, sf, u)
            return
        for i in range(n):
            place = self.place_of(descent.tables, first, stride, i)
            if place >= 0:
                self.d[place] += self.v[self.place_of(self.tables, factor, sf, i)] * u[i]

    cdef inline void row_back(
        self, Descent* descent, Py_ssize_t r, int first, int stride, int factor, int sf, double* u, Py_ssize_t active,
        Py_ssize_t K, int kd, int kf,
    ) noexcept nogil:
        """Pass row r of u on to K factors in the lanes."""
        if first >= 0:
            self.factor_back(
                K, self.place_of(descent.tables, first, stride, r), kd, self.place_of(self.tables, factor, sf, r), kf,
                u + r * self.lanes, active,
            )

    cdef inline void factor_back(
        self, Py_ssize_t K, int place, int kd, int factor, int kf, double* u, Py_ssize_t active
    ) noexcept nogil:
        """Pass u on to K factors at `place` in the lanes, the others being at `factor`."""
        cdef bint has_lanes = place >= self.n_uniform, factor_lanes = factor >= self.n_uniform
        if place >= 0:
            lanes_dot_back(
                <int>self.lanes, K, self.gradient(place), has_lanes, kd * (self.lanes if has_lanes else 1),
                self.number(factor), factor_lanes, kf * (self.lanes if factor_lanes else 1), u, active,
            )

    cdef inline void factors_back(
        self, Order* order, Dot* dot, int place, int rd, int kd, int factor, int rf, int kf, double* u
    ) noexcept nogil:
        """The same for the rows of one example: along the rows or along the terms, whichever are more."""
        cdef Py_ssize_t i
        if order.n >= dot.K:
            for i in range(dot.K):
                rows_add_product_at(order.n, self.d + place + i * kd, rd, self.v + factor + i * kf, rf, u, 1)
        else:
            for i in range(order.n):
                rows_add_product_at(dot.K, self.d + place + i * rd, kd, self.v + factor + i * rf, kf, u + i, 0)

"""The table of rows.py and ops.py in C: what each operation computes, and its local gradients, bit for bit as there.

They say what and why; this file only follows them, and tests/engine/test_implementations.py compares every row. An operation
without a code here still works: it is then computed by its row of the table.
"""

cimport cython
from libc.math cimport (
    acos, acosh, asin, asinh, atan, atan2, atanh, ceil, copysign, cos, cosh, erf, exp, expm1, fabs, floor, hypot,
    NAN, isfinite, isinf, ldexp, log, log1p, log2, log10, pow, sin, sinh, sqrt, tan, tanh,
)

from libc.float cimport DBL_MAX, DBL_MIN

cdef extern from *:
    """
    static volatile double TWO = 2.0;  /* of a constant base, compilers make exp2(x), with other digits */
    static const double NEAR_TAIL[20] = {
        -8.473622911119317e-18, 0.2615782918651234, 0.24842860665762814, -0.052598740829980964,
        -0.057453773327409134, -0.01942012998970075, 0.0030774093566554753, 0.008798965996800696,
        0.0065860936739829444, 0.002800588838963068, 0.00011190066663200392, -0.0010605358967491893,
        -0.0011779603426076643, -0.0008156632179879958, -0.00037370016389289457, -4.4860602615426974e-05,
        0.00012496720953525557, 0.00017681121137368727, 0.00016580780838845185, 8.969818838825052e-05,
    };
    static const double FAR_TAIL[24] = {
        -7.055962049193448e-18, 0.3845965248750315, 0.051905273430003056, -0.08503844346004041, 0.09088622964934435,
        -0.07425639525043856, 0.04795086373176185, -0.024161785953851316, 0.008900845018753809,
        -0.0018956230749735286, -0.00012648519883572725, 0.00024276158743997603, -5.456912972270914e-05,
        -1.6540379254757872e-05, 1.0330731581938893e-05, 6.044336505188427e-07, -1.5527862629529315e-06,
        5.117920845932942e-08, 2.3891834407815234e-07, -1.5902145856597262e-08, -4.096562950163233e-08,
        3.3680635517757292e-09, 7.821982746854172e-09, -2.2426922630685485e-09,
    };
    static const double POWERS_OF_E[47][2] = {
        {0.6981125100681258, 4.379112262891346e-17}, {0.7091061824373984, -1.2868055655346304e-17},
        {0.7202729799554398, -3.7374088280484695e-17}, {0.7316156289466418, 8.35576468031604e-18},
        {0.7431368986687583, -9.001102395673582e-19}, {0.7548396019890073, -9.844076038651084e-18},
        {0.76672659607082, 2.5682592802096574e-17}, {0.7788007830714049, -1.0231869534531498e-17},
        {0.791065110850296, 5.426586044764942e-17}, {0.8035225736890608, -3.661886830920417e-17},
        {0.8161762130223398, 6.554697808700811e-18}, {0.8290291181804004, -2.7604408719539223e-17},
        {0.8420844271433824, -3.8967887440685524e-17}, {0.8553453273074225, 1.7204900005057594e-17},
        {0.8688150562628432, 6.146598011714697e-19}, {0.8824969025845955, -5.224526916735663e-17},
        {0.8963942066351505, -4.7460497709066285e-17}, {0.9105103613800342, -3.325048324577564e-17},
        {0.9248488132162048, 1.0614261758612887e-17}, {0.9394130628134758, -2.152447043447057e-17},
        {0.9542066659691884, -3.392457164103672e-17}, {0.9692332344763441, -4.801151707083219e-17},
        {0.9844964370054085, -4.7493026566356186e-17}, {1.0, 0.0}, {1.0157477085866857, 2.0530467874932267e-17},
        {1.0317434074991028, -8.944417741043132e-17}, {1.0479910020166328, -5.327900898877614e-17},
        {1.0644944589178593, 1.0872888143211957e-16}, {1.0812578074490395, 6.013904942011385e-17},
        {1.0982851403078258, 9.070644949793751e-17}, {1.1155806146424807, 5.298211318168963e-17},
        {1.1331484530668263, -5.370737708558031e-18}, {1.1509929446911764, 3.7613173622701076e-17},
        {1.1691184461695043, 6.945488167320411e-17}, {1.1875293827631006, 6.415816207759217e-19},
        {1.2062302494209807, 3.9295715071105525e-17}, {1.2252256118773075, 8.279379001181868e-17},
        {1.2445201077660952, -7.440512295261056e-17}, {1.2641184477534664, -1.541497933603795e-17},
        {1.2840254166877414, 8.968972781793724e-17}, {1.3042458747676378, 1.7093578107981658e-17},
        {1.3247847587288655, 9.422682377542367e-17}, {1.3456470830494105, 3.415854209639032e-17},
        {1.3668379411737963, 5.1449446596411544e-17}, {1.3883625067566268, 6.691963657219203e-17},
        {1.4102260349257107, -4.1758810273684196e-17}, {1.4324338635650782, -6.53862212642198e-17},
    };
    """
    double TWO
    const double* NEAR_TAIL
    const double* FAR_TAIL
    const double (*POWERS_OF_E)[2]


cdef enum Code:
    TABLE  # computed by the table's Python functions
    ADD, SUBTRACT, MULTIPLY, DIVIDE, POWER, MAXIMUM, MINIMUM, LOGADDEXP, GREATER, GREATER_EQUAL  # two operands
    NEGATE, ABSOLUTE, EXP, EXPM1, LOG, LOG1P, SQRT, SIN, COS, TAN, ASIN, ACOS, ATAN, SINH, COSH, TANH, ASINH, ACOSH
    ATANH, SIGMOID, RELU, SOFTPLUS, ERF, CONSTANT_POWER, LEAKY_RELU  # one operand
    WHERE, BINARY_ENTROPY  # three
    # from here on in the order of their arrival: programs in pickles hold the numbers; 62 to 64 are _tape.pyx's
    SIGMOID_SLOPE, TANH_SLOPE, ONE_MINUS_SQUARE, COPY  # one operand
    SIGMOID_OF_DIFFERENCE  # two
    ATAN2, HYPOT, XLOGY, COSINE  # two
    LOG2, LOG10, EXP2, CBRT, FLOOR, CEIL, SIGN, NORMAL_CDF, GELU, SILU, ELU, SELU, MISH, HARDTANH, SOFTSIGN  # one
    # three; x the extreme so far, y the next number, z how many so far are equal to it: scalar programs alone have these
    TIES_OF_MAX = 65
    TIES_OF_MIN, SHARED_MAX, SHARED_MIN
    ATAN2_SLOPE = 69  # two
    LARGEST  # two; without a derivative
    # three; a log-sum-exp of x, the sum so far, and y, less the largest number z: scalar programs alone have these
    SHIFTED_FIRST, SHIFTED_NEXT, SHIFTED_LAST
    # read by vectorize as what they are made of, see made_of in _bulk.pxi: no program holds these
    SUM = 1000  # of any number of operands, as all to LOGSUMEXP_BELOW: _lists.pxi
    MEAN, DOT, NORM, MAX, MIN, LOGSUMEXP, LARGEST_OF_LIST, SUMEXP_BELOW, LOGSUMEXP_BELOW
    EXP_OF_DIFFERENCE  # two
    SHARE  # three


cdef inline bint piecewise(Code code, double n) noexcept nogil:
    """Whether a slope of 0 means that the result does not depend on the operand."""
    if code == CONSTANT_POWER:
        return n == 0.0
    return code in (
        HARDTANH, FLOOR, CEIL, SIGN, RELU, LEAKY_RELU, MAXIMUM, MINIMUM, GREATER, GREATER_EQUAL, WHERE, SHARED_MAX, SHARED_MIN,
        LARGEST,
    )


cdef inline bint detached(Code code, double n) noexcept nogil:
    """Whether no gradient goes to the operands; of `where`, this holds for the condition."""
    return code in (GREATER, GREATER_EQUAL, FLOOR, CEIL, SIGN, TIES_OF_MAX, TIES_OF_MIN, LARGEST) or (
        code == CONSTANT_POWER and n == 0.0
    )


@cython.cdivision(True)
cdef inline double sigmoid(double x) noexcept nogil:
    cdef double e = exp(-fabs(x))
    return 1.0 / (1.0 + e) if x >= 0.0 else e / (1.0 + e)


@cython.cdivision(True)
cdef inline double sigmoid_slope(double x) noexcept nogil:
    cdef double e = exp(-fabs(x))
    return e / ((1.0 + e) * (1.0 + e))


@cython.cdivision(True)
cdef inline double tanh_slope(double x) noexcept nogil:
    cdef double e = exp(-2.0 * fabs(x))
    return 4.0 * e / ((1.0 + e) * (1.0 + e))


@cython.cdivision(True)
cdef inline double asinh_slope(double x) noexcept nogil:
    return 1.0 / sqrt(1.0 + x * x) if fabs(x) < 1e9 else 1.0 / fabs(x)


cdef inline double softplus(double x) noexcept nogil:
    return (0.0 if 0.0 > x else x) + log1p(exp(-fabs(x))) if x == x else x


@cython.cdivision(True)
cdef inline double erf_slope(double x) noexcept nogil:
    cdef double square = x * x
    cdef double high, low, lost
    if not square < 745.0:
        return 0.0 if square >= 745.0 else x
    high = 134217729.0 * x
    high -= high - x
    low = x - high
    lost = ((high * high - square) + 2.0 * high * low) + low * low
    return 2.0 / sqrt(3.141592653589793) * exp(-square) * (1.0 - lost)


@cython.cdivision(True)
cdef inline double power_slope(double v, double x, double y) noexcept nogil:
    if y - 1.0 + 1.0 == y or x == 0.0 or not isfinite(x):
        return y * pow(x, y - 1.0)
    return y * (v / x)


cdef inline double maximum(double x, double y) noexcept nogil:
    return x if x >= y or x != x else y


cdef inline double minimum(double x, double y) noexcept nogil:
    return x if x <= y or x != x else y


cdef inline double share(double x, double y) noexcept nogil:
    return 1.0 if x > y else 0.5 if x == y else 0.0


cdef inline double logaddexp(double x, double y) noexcept nogil:
    if x == y:
        return x + log(2.0)
    return maximum(x, y) + log1p(exp(-fabs(x - y)))


cdef inline double exp_pair(double x, double lost, double* low) noexcept nogil:
    """exp(x + lost), and in low what is lost in rounding it: exponentials.py says how, here and below."""
    cdef double k = floor(x * 1.4426950408889634 + 0.5), r = x - k * 0.6931471805598903, more = lost - k * 5.497923018708371e-14
    cdef double j = floor(r * 64.0 + 0.5), s = r - j / 64.0, t = s + more, curved, added, found
    cdef const double* power = POWERS_OF_E[<int>j + 23]
    more -= t - s
    curved = t * t * (0.5 + t * (1.0 / 6.0 + t * (1.0 / 24.0 + t * (1.0 / 120.0 + t * (1.0 / 720.0)))))
    added = power[0] * t + (power[0] * (curved + more) + power[1])
    found = power[0] + added
    low[0] = ldexp(added - (found - power[0]), <int>k)
    return ldexp(found, <int>k)


cdef inline double pair_of_difference(double x, double y, double* low) noexcept nogil:
    cdef double difference = x - y, shift, lost
    low[0] = 0.0
    if not -800.0 < difference < 800.0:
        return exp(difference)
    shift = difference - x
    lost = (x - (difference - shift)) - (y + shift)
    return exp_pair(difference, lost, low) if difference < 700.0 else exp(difference) * (1.0 + lost)


cdef inline double exp_of_difference(double x, double y) noexcept nogil:
    cdef double low
    return pair_of_difference(x, y, &low)


cdef inline double one_more(double rest, double lost, double* more) noexcept nogil:
    cdef double total = 1.0 + rest, shift = total - 1.0
    more[0] = ((1.0 - (total - shift)) + (rest - shift)) + lost
    return total


@cython.cdivision(True)
cdef inline double log_of_one_more(double rest, double lost, double* part) noexcept nogil:
    cdef double found = log1p(rest), more, low, power, total = one_more(rest, lost, &more)
    if rest < 0.0625:
        part[0] = lost / total
        return found
    power = exp_pair(found, 0.0, &low)
    part[0] = ((total - power) + (more - low)) / total
    return found


@cython.cdivision(True)
cdef inline double quotient(double power, double low, double total, double more) noexcept nogil:
    cdef double found, product, high, top, below, under, lost
    if power < 1e-280:
        return quotient(power * 2.0**600, low * 2.0**600, total, more) * 2.0**-600 if power > 0.0 else power / total
    found = power / total
    product = found * total
    high, top = 134217729.0 * found, 134217729.0 * total
    high -= high - found
    top -= top - total
    below, under = found - high, total - top
    lost = ((high * top - product) + high * under + below * top) + below * under
    return found + (((power - product) - lost) + (low - found * more)) / total


@cython.cdivision(True)
cdef inline double share_of_exp(double x, double y, double total) noexcept nogil:
    cdef double low, power = pair_of_difference(x, y, &low)
    if low == 0.0 or not (power < 1e280 and 1e-20 < total < 1e280):
        return power / total
    return quotient(power, low, total, 0.0)


cdef inline double lost_in_difference(double x, double y, double difference) noexcept nogil:
    cdef double shift = difference - x
    return (x - (difference - shift)) - (y + shift)


cdef inline double logaddexp_share(double x, double y) noexcept nogil:
    cdef double difference
    if x == y:
        return 0.5 if isfinite(x) else 1.0 if x > 0.0 else 0.0
    difference = x - y
    if not isfinite(difference):
        return sigmoid(difference)
    return sigmoid(difference) + sigmoid_slope(difference) * lost_in_difference(x, y, difference)


@cython.cdivision(True)
cdef inline void logaddexp_and_shares(double x, double y, double* v, double* d_x, double* d_y) noexcept nogil:
    """The three with the digits of each by itself, by one exponential."""
    cdef double difference = x - y, e, larger, smaller, slope
    if x == y or not isfinite(difference):
        v[0] = logaddexp(x, y)
        d_x[0] = logaddexp_share(x, y)
        d_y[0] = logaddexp_share(y, x)
        return
    e = exp(-fabs(difference))
    larger = 1.0 / (1.0 + e)
    smaller = e / (1.0 + e)
    slope = e / ((1.0 + e) * (1.0 + e))
    v[0] = maximum(x, y) + log1p(e)
    d_x[0] = (larger if x > y else smaller) + slope * lost_in_difference(x, y, difference)
    d_y[0] = (smaller if x > y else larger) + slope * lost_in_difference(y, x, -difference)


@cython.cdivision(True)
cdef inline double cbrt(double x) noexcept nogil:
    cdef double root
    if x == 0.0 or not isfinite(x):
        return x
    root = copysign(pow(fabs(x), 1.0 / 3.0), x)
    return root - (root - x / (root * root)) / 3.0


@cython.cdivision(True)
cdef inline double cosine(double x, double y) noexcept nogil:
    cdef double v = hypot(x, y)
    cdef double scale
    if 1e-290 < v and not isinf(v):
        return x / v
    if x == 0.0 and y == 0.0:
        return 0.5
    if not isfinite(x) or not isfinite(y):
        return NAN
    scale = 2.0**-600 if v > 1.0 else 2.0**600
    return (x * scale) / hypot(x * scale, y * scale)


@cython.cdivision(True)
cdef inline double atan2_slope(double x, double y) noexcept nogil:
    cdef double d = x * x + y * y
    cdef double scale
    if (1e-290 < d and not isinf(d)) or not isfinite(x) or not isfinite(y):
        return x / d
    scale = 2.0**-600 if d > 1.0 else 2.0**600
    x = x * scale
    y = y * scale
    return x / (x * x + y * y) * scale


@cython.cdivision(True)
cdef inline double normal_tail(double t, double* lost) noexcept nogil:
    cdef bint near = t < 2.0
    cdef double middle = 1.0 if near else 5.0
    cdef const double* polynomial = NEAR_TAIL if near else FAR_TAIL
    cdef int last = 19 if near else 23
    cdef double s = (t - middle) / (t + middle), p = polynomial[last], value
    cdef int i
    for i in range(last - 1, 1, -1):
        p = p * s + polynomial[i]
    p = p * s
    value = polynomial[1] + p
    lost[0] = ((polynomial[1] - value) + p) + polynomial[0]
    return value


cdef inline void halves(double x, double* high, double* low) noexcept nogil:
    high[0] = 134217729.0 * x
    high[0] -= high[0] - x
    low[0] = x - high[0]


cdef inline double lost_in_square(double x, double square) noexcept nogil:
    cdef double high, low
    halves(x, &high, &low)
    return ((high * high - square) + 2.0 * high * low) + low * low


cdef inline double lost_in_product(double x, double y, double product) noexcept nogil:
    cdef double a, b, c, d
    halves(x, &a, &b)
    halves(y, &c, &d)
    return ((a * c - product) + a * d + b * c) + b * d


cdef inline double gelu(double x) noexcept nogil:
    cdef double square, e, value, lost, product
    if not x < -0.5:
        return x * (0.5 + 0.5 * erf(x * sqrt(0.5)))
    if x < -39.0:
        return x * 0.0
    square = x * x
    e = exp(-0.5 * square)
    value = normal_tail(-x, &lost)
    product = e * value
    return -(product + (lost_in_product(e, value, product) + e * (lost - 0.5 * lost_in_square(x, square) * value)))


@cython.cdivision(True)
cdef inline double normal_cdf(double x) noexcept nogil:
    if not x < -0.5:
        return 0.5 + 0.5 * erf(x * sqrt(0.5))
    return gelu(x) / x if x >= -39.0 else 0.0


@cython.cdivision(True)
cdef inline double density(double x) noexcept nogil:
    cdef double square = x * x
    if not square < 1500.0:
        return 0.0 if square >= 1500.0 else x
    return 1.0 / sqrt(2.0 * 3.141592653589793) * exp(-0.5 * square) * (1.0 - 0.5 * lost_in_square(x, square))


@cython.cdivision(True)
cdef inline double gelu_slope(double x) noexcept nogil:
    cdef double square, factor, e, unwanted
    if not x < -0.5:
        return normal_cdf(x) + x * density(x)
    if x < -39.0:
        return 0.0 * x + 0.0
    square = x * x
    factor = (x * (1.0 / sqrt(2.0 * 3.141592653589793)) - normal_tail(-x, &unwanted) / x) * (
        1.0 - 0.5 * lost_in_square(x, square)
    )
    if square < 1400.0:
        return factor * exp(-0.5 * square)
    e = exp(-0.25 * square)
    return factor * e * e


@cython.cdivision(True)
cdef inline void silu(double x, double* v, double* d) noexcept nogil:
    cdef double e, s
    if x >= 0.0:
        e = exp(-x)
        v[0] = x / (1.0 + e)
        s = 1.0 / (1.0 + e)
        d[0] = s + x * e * s * s
    elif x > -700.0:
        e = exp(x)
        s = 1.0 + e
        v[0] = x * e / s
        v[0] = v[0] - v[0] * ((e - (s - 1.0)) / s)
        s = 1.0 / s
        d[0] = e * s * (1.0 + x * s)
    else:
        e = exp(0.5 * x)
        v[0] = x * e * e
        d[0] = (1.0 + x) * e * e


@cython.cdivision(True)
cdef inline void mish(double x, double* v, double* d) noexcept nogil:
    cdef double e, p, q, s, square, product
    if x > 0.0:
        e = exp(-x)
        square = 2.0 * e * e
        v[0] = x - x * (square / (1.0 + 2.0 * e + square)) if x < 40.0 else x
        p = 1.0 + 2.0 * e
        q = p + 2.0 * e * e
        d[0] = p / q + x * (4.0 * e * e * (1.0 + e) / (q * q))
    elif x > -700.0:
        e = exp(x)
        if x > -0.35:
            p = expm1(x)
            v[0] = copysign(x - x * (2.0 / (5.0 + p * (4.0 + p))), x)
        else:
            s = 1.0 + e
            product = x * e
            v[0] = product - (product * (e * s / (1.0 + s * s)) - lost_in_product(x, e, product))
        p = e * (e + 2.0)
        d[0] = p / (p + 2.0) + x * (4.0 * e * (1.0 + e) / ((p + 2.0) * (p + 2.0)))
    else:
        e = exp(0.5 * x)
        v[0] = x * e * e
        d[0] = (1.0 + x) * e * e


@cython.cdivision(True)
cdef inline void unary(Code code, double n, double x, double* v, double* d) noexcept nogil:
    """v = f(x) and d = f′(x); n is the operation's constant, if it has one."""
    if code == NEGATE:
        v[0] = -x
        d[0] = -1.0
    elif code == ABSOLUTE:
        v[0] = fabs(x)
        d[0] = 1.0 if x >= 0.0 else -1.0
    elif code == EXP:
        v[0] = exp(x)
        d[0] = v[0]
    elif code == EXPM1:
        v[0] = expm1(x)
        d[0] = exp(x)
    elif code == LOG:
        v[0] = log(x)
        d[0] = 1.0 / x
    elif code == LOG1P:
        v[0] = log1p(x)
        d[0] = 1.0 / (1.0 + x)
    elif code == SQRT:
        v[0] = sqrt(x)
        d[0] = 0.5 / v[0]
    elif code == SIN:
        v[0] = sin(x)
        d[0] = cos(x)
    elif code == COS:
        v[0] = cos(x)
        d[0] = -sin(x)
    elif code == TAN:
        v[0] = tan(x)
        d[0] = 1.0 + v[0] * v[0]
    elif code == ASIN:
        v[0] = asin(x)
        d[0] = 1.0 / sqrt((1.0 - x) * (1.0 + x))
    elif code == ACOS:
        v[0] = acos(x)
        d[0] = -1.0 / sqrt((1.0 - x) * (1.0 + x))
    elif code == ATAN:
        v[0] = atan(x)
        d[0] = atan2_slope(1.0, x)
    elif code == SINH:
        v[0] = sinh(x)
        d[0] = cosh(x)
    elif code == COSH:
        v[0] = cosh(x)
        d[0] = sinh(x)
    elif code == TANH:
        v[0] = tanh(x)
        d[0] = tanh_slope(x)
    elif code == ASINH:
        v[0] = asinh(x)
        d[0] = asinh_slope(x)
    elif code == ACOSH:
        v[0] = acosh(x)
        d[0] = 1.0 / (sqrt(x - 1.0) * sqrt(x + 1.0))
    elif code == ATANH:
        v[0] = atanh(x)
        d[0] = 1.0 / ((1.0 - x) * (1.0 + x))
    elif code == SIGMOID:
        v[0] = sigmoid(x)
        d[0] = sigmoid_slope(x)
    elif code == RELU:
        v[0] = 0.0 if x <= 0.0 else x
        d[0] = 1.0 if x > 0.0 else 0.0
    elif code == SOFTPLUS:
        v[0] = softplus(x)
        d[0] = sigmoid(x)
    elif code == ERF:
        v[0] = erf(x)
        d[0] = erf_slope(x)
    elif code == CONSTANT_POWER:
        v[0] = pow(x, n)
        d[0] = power_slope(v[0], x, n) if n != 0.0 else 0.0
    elif code == LEAKY_RELU:
        v[0] = n * x if x < 0.0 else x
        d[0] = 1.0 if x >= 0.0 else n
    elif code == SIGMOID_SLOPE:
        v[0] = sigmoid_slope(x)
        d[0] = -v[0] * tanh(0.5 * x)
    elif code == TANH_SLOPE:
        v[0] = tanh_slope(x)
        d[0] = -2.0 * v[0] * tanh(x)
    elif code == ONE_MINUS_SQUARE:
        v[0] = (1.0 - x) * (1.0 + x)
        d[0] = -2.0 * x
    elif code == COPY:
        v[0] = x
        d[0] = 1.0
    elif code == LOG2:
        v[0] = log2(x)
        d[0] = 1.0 / log(2.0) / x
    elif code == LOG10:
        v[0] = log10(x)
        d[0] = 1.0 / log(10.0) / x
    elif code == EXP2:
        v[0] = pow(TWO, x)
        d[0] = v[0] * log(2.0)
    elif code == CBRT:
        v[0] = cbrt(x)
        d[0] = 1.0 / (3.0 * (v[0] * v[0]))
    elif code == FLOOR:
        v[0] = floor(x)
        d[0] = 0.0
    elif code == NORMAL_CDF:
        v[0] = normal_cdf(x)
        d[0] = density(x)
    elif code == GELU:
        v[0] = gelu(x)
        d[0] = gelu_slope(x)
    elif code == SILU:
        silu(x, v, d)
    elif code == MISH:
        mish(x, v, d)
    elif code == ELU:
        v[0] = x if x > 0.0 else expm1(x)
        d[0] = 1.0 if x > 0.0 else exp(x)
    elif code == SELU:
        v[0] = 1.0507009873554805 * x if x > 0.0 else 1.7580993408473766 * expm1(x)
        d[0] = 1.0507009873554805 if x > 0.0 else 1.7580993408473766 * exp(x)
    elif code == HARDTANH:
        v[0] = 1.0 if x > 1.0 else -1.0 if x < -1.0 else x
        d[0] = 0.0 if x > 1.0 or x < -1.0 else 1.0
    elif code == SOFTSIGN:
        d[0] = 1.0 / (1.0 + fabs(x))
        v[0] = x / (1.0 + fabs(x))
        d[0] = NAN if isinf(x) else d[0] * d[0]
    elif code == CEIL:
        v[0] = ceil(x)
        d[0] = 0.0
    elif code == SIGN:
        v[0] = copysign(1.0, x) if x < 0.0 or x > 0.0 else x
        d[0] = 0.0


@cython.cdivision(True)
cdef inline void binary(Code code, double x, double y, double* v, double* d_x, double* d_y) noexcept nogil:
    """v = f(x, y) with its two partial derivatives."""
    cdef double size, scale, sine, over, product
    if code == ADD:
        v[0] = x + y
        d_x[0] = 1.0
        d_y[0] = 1.0
    elif code == SUBTRACT:
        v[0] = x - y
        d_x[0] = 1.0
        d_y[0] = -1.0
    elif code == MULTIPLY:
        v[0] = x * y
        d_x[0] = y
        d_y[0] = x
    elif code == DIVIDE:
        v[0] = x / y
        d_x[0] = 1.0 / y
        d_y[0] = -(v[0] / y)
    elif code == POWER:
        v[0] = pow(x, y)
        d_x[0] = power_slope(v[0], x, y)
        d_y[0] = v[0] * log(x if x != 0.0 else 1.0)
    elif code == MAXIMUM:
        v[0] = maximum(x, y)
        d_x[0] = share(x, y)
        d_y[0] = share(y, x)
    elif code == LARGEST:
        v[0] = maximum(x, y)
        d_x[0] = 0.0
        d_y[0] = 0.0
    elif code == MINIMUM:
        v[0] = minimum(x, y)
        d_x[0] = share(y, x)
        d_y[0] = share(x, y)
    elif code == LOGADDEXP:
        logaddexp_and_shares(x, y, v, d_x, d_y)
    elif code == ATAN2:
        v[0] = atan2(x, y)
        d_x[0] = atan2_slope(y, x)
        d_y[0] = -atan2_slope(x, y)
    elif code == HYPOT:
        v[0] = hypot(x, y)
        d_x[0] = cosine(x, y)
        d_y[0] = cosine(y, x)
    elif code == XLOGY:
        v[0] = x * log(y) if x != 0.0 or y != y else 0.0
        d_x[0] = log(y)
        d_y[0] = x / y
    elif code == COSINE:
        v[0] = cosine(x, y)
        size = hypot(x, y)
        scale = 0.25 if size > 1e290 else 2.0**600 if size < 1e-290 else 1.0
        sine = cosine(y, x)
        over = sine / hypot(x * scale, y * scale)
        d_x[0] = over * sine * scale
        d_y[0] = -over * v[0] * scale
        if size == 0.0:
            d_x[0] = d_y[0] = 0.0
    elif code == ATAN2_SLOPE:
        v[0] = atan2_slope(x, y)
        size = hypot(x, y)
        d_x[0] = ((y - x) / size) * ((y + x) / size) / size / size
        product = (x / size) * (y / size)
        d_y[0] = -2.0 * (product / size / size)
    elif code == EXP_OF_DIFFERENCE:
        v[0] = exp_of_difference(x, y)
        d_x[0] = v[0]
        d_y[0] = -v[0]
    elif code == GREATER:
        v[0] = 1.0 if x > y else 0.0
        d_x[0] = 0.0
        d_y[0] = 0.0
    elif code == GREATER_EQUAL:
        v[0] = 1.0 if x >= y else 0.0
        d_x[0] = 0.0
        d_y[0] = 0.0
    elif code == SIGMOID_OF_DIFFERENCE:
        v[0] = logaddexp_share(x, y)
        d_x[0] = v[0] * logaddexp_share(y, x) if x != y or isfinite(x) else 0.0
        d_y[0] = -d_x[0]


@cython.cdivision(True)
cdef inline void binary_entropy(double a, double z, double y, double* v, double* d) noexcept nogil:
    """The binary cross-entropy and its three partial derivatives."""
    cdef double e = exp(-fabs(z))
    cdef double wrong, on, off
    if not fabs(a - (1.0 if z >= 0.0 else e) / (1.0 + e)) <= 8.881784197001252e-16:
        v[0] = -((y * log(a) if y != 0.0 else 0.0) + ((1.0 - y) * log1p(-a) if y != 1.0 else 0.0))
        d[0] = (1.0 - y) / (1.0 - a) - y / a
        d[1] = 0.0
        d[2] = log1p(-a) - log(a)
        return
    wrong = 1.0 - y if z > 0.0 else y
    v[0] = log1p(e) + (fabs(z) * wrong if wrong != 0.0 else 0.0)
    d[2] = -z
    on = 1.0 - y if z > 0.0 else -y
    off = y if z > 0.0 else y - 1.0
    if fabs(z) > 354.0:
        d[0] = 0.0
        d[1] = on / (1.0 + e) - off * (e / (1.0 + e))
    else:
        d[0] = on * (1.0 + 1.0 / e) - off * (1.0 + e)
        d[1] = 0.0


@cython.cdivision(True)
cdef inline void ternary(Code code, double x, double y, double z, double* v, double* d) noexcept nogil:
    """v = f(x, y, z) with its three partial derivatives."""
    cdef bint of_max = code == TIES_OF_MAX or code == SHARED_MAX
    if code == BINARY_ENTROPY:
        binary_entropy(x, y, z, v, d)
        return
    if SHIFTED_FIRST <= code <= SHIFTED_LAST:
        z = -DBL_MAX if z < -DBL_MAX else DBL_MAX if z > DBL_MAX else z  # ∞ − ∞ is none
        logaddexp_and_shares(x - z if code == SHIFTED_FIRST else x, y - z, v, d, d + 1)
        d[2] = 0.0
        if code == SHIFTED_LAST:
            v[0] = z + v[0]
        return
    d[0] = d[1] = d[2] = 0.0
    if code == TIES_OF_MAX or code == TIES_OF_MIN:
        v[0] = z + 1.0 if x == y else 1.0 if (y > x if of_max else y < x) else z
        return
    v[0] = maximum(x, y) if of_max else minimum(x, y)
    if x == y:  # z counts y
        d[0] = 1.0 - 1.0 / z
        d[1] = 1.0 / z
    elif x > y or x < y:
        d[0 if (x > y) == of_max else 1] = 1.0

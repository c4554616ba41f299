# cython: language_level=3, binding=False, cdivision=True, boundscheck=False, wraparound=False, initializedcheck=False
"""Run an array program over blocks of examples that stay in cache; no Python for each statement.

block_program.py makes the instructions. What is the same in every example is computed once, before the first block or
after the last; a block runs all the others forwards and backwards, and adds to the sums over the examples. Consecutive
instructions that go row by row form a group, which runs over a few rows at a time.

Where there is much to do, the blocks form chunks, with sums of their own, which several threads take (_threads.pyx).
Chunks depend on the work alone and their sums are added in order: the threads make no difference to the result.

Matrix products call the BLAS that NumPy has loaded, small ones the loops of _blocks.h.
"""

cimport cython
from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_RawFree, PyMem_RawMalloc
from cpython.object cimport PyObject
from libc.math cimport INFINITY, fabs, isfinite
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset
from tinygrad_scalar.engine cimport _ops
from tinygrad_scalar.engine._ops cimport Code
from tinygrad_scalar.vectorize cimport _threads
from tinygrad_scalar.vectorize._vector cimport (
    VECTOR_EXP, VECTOR_LOG1P, VECTOR_SIGMOID, VECTOR_TANH, VectorFunction, vector_functions,
)

import ctypes
import importlib

import numpy as np

from tinygrad_scalar.vectorize import _vector
from tinygrad_scalar.vectorize.cost_model import examples_of_a_block

cdef extern from "_blocks.h":
    ctypedef void (*Loop1)(Py_ssize_t, double*, const double*) noexcept nogil
    ctypedef void (*Loop2)(Py_ssize_t, double*, const double*, Py_ssize_t, const double*, Py_ssize_t) noexcept nogil
    void loop_negate(Py_ssize_t, double*, const double*) noexcept nogil
    void loop_absolute(Py_ssize_t, double*, const double*) noexcept nogil
    void loop_square(Py_ssize_t, double*, const double*) noexcept nogil
    void loop_cube(Py_ssize_t, double*, const double*) noexcept nogil
    void loop_reciprocal(Py_ssize_t, double*, const double*) noexcept nogil
    void loop_sqrt(Py_ssize_t, double*, const double*) noexcept nogil
    void loop_half_power(Py_ssize_t, double*, const double*) noexcept nogil
    void loop_power(Py_ssize_t, double*, const double*, int) noexcept nogil
    void loop_relu(Py_ssize_t, double*, const double*) noexcept nogil
    void loop_positive(Py_ssize_t, double*, const double*) noexcept nogil
    void loop_sign(Py_ssize_t, double*, const double*) noexcept nogil
    void loop_slope_of_asin(Py_ssize_t, double*, const double*) noexcept nogil
    void loop_slope_of_acos(Py_ssize_t, double*, const double*) noexcept nogil
    void loop_slope_of_atan(Py_ssize_t, double*, const double*) noexcept nogil
    void loop_slope_of_asinh(Py_ssize_t, double*, const double*) noexcept nogil
    void loop_slope_of_acosh(Py_ssize_t, double*, const double*) noexcept nogil
    void loop_slope_of_atanh(Py_ssize_t, double*, const double*) noexcept nogil
    void loop_minus_absolute(Py_ssize_t, double*, const double*) noexcept nogil
    void loop_add(Py_ssize_t, double*, const double*, Py_ssize_t, const double*, Py_ssize_t) noexcept nogil
    void loop_subtract(Py_ssize_t, double*, const double*, Py_ssize_t, const double*, Py_ssize_t) noexcept nogil
    void loop_multiply(Py_ssize_t, double*, const double*, Py_ssize_t, const double*, Py_ssize_t) noexcept nogil
    void loop_divide(Py_ssize_t, double*, const double*, Py_ssize_t, const double*, Py_ssize_t) noexcept nogil
    void loop_maximum(Py_ssize_t, double*, const double*, Py_ssize_t, const double*, Py_ssize_t) noexcept nogil
    void loop_minimum(Py_ssize_t, double*, const double*, Py_ssize_t, const double*, Py_ssize_t) noexcept nogil
    void loop_greater(Py_ssize_t, double*, const double*, Py_ssize_t, const double*, Py_ssize_t) noexcept nogil
    void loop_greater_equal(Py_ssize_t, double*, const double*, Py_ssize_t, const double*, Py_ssize_t) noexcept nogil
    void loop_share(Py_ssize_t, double*, const double*, Py_ssize_t, const double*, Py_ssize_t) noexcept nogil
    void loop_other_share(Py_ssize_t, double*, const double*, Py_ssize_t, const double*, Py_ssize_t) noexcept nogil
    void loop_on_path(Py_ssize_t, double*, const double*, Py_ssize_t, const double*, Py_ssize_t) noexcept nogil
    void loop_minus_fixed(Py_ssize_t, double*, const double*, Py_ssize_t, const double*, Py_ssize_t) noexcept nogil
    void loop_one_at_infinity(Py_ssize_t, double*, const double*, Py_ssize_t, const double*, Py_ssize_t) noexcept nogil
    void loop_leaky_relu(Py_ssize_t, double*, const double*, Py_ssize_t, const double*, Py_ssize_t) noexcept nogil
    void loop_slope_of_leaky_relu(
        Py_ssize_t, double*, const double*, Py_ssize_t, const double*, Py_ssize_t) noexcept nogil
    void loop_difference_to_fold(
        Py_ssize_t, double*, const double*, Py_ssize_t, const double*, Py_ssize_t) noexcept nogil
    void loop_finish_logaddexp(
        Py_ssize_t, double*, const double*, Py_ssize_t, const double*, Py_ssize_t) noexcept nogil
    void loop_finish_share_of_logaddexp(
        Py_ssize_t, double*, const double*, Py_ssize_t, const double*, Py_ssize_t) noexcept nogil
    Py_ssize_t loop_count_others(
        Py_ssize_t, const double*, const double*, Py_ssize_t, const double*, Py_ssize_t) noexcept nogil
    void loop_entropy(
        Py_ssize_t, double*, const double*, const double*, Py_ssize_t, const double*, Py_ssize_t) noexcept nogil
    void loop_slope_of_entropy(
        Py_ssize_t, double*, const double*, const double*, Py_ssize_t, const double*, Py_ssize_t) noexcept nogil
    void loop_far_slope_of_entropy(
        Py_ssize_t, double*, const double*, const double*, Py_ssize_t, const double*, Py_ssize_t) noexcept nogil
    void loop_where(
        Py_ssize_t, double*, const double*, Py_ssize_t, const double*, Py_ssize_t, const double*, Py_ssize_t
    ) noexcept nogil
    ctypedef void (*Rows2)(
        Py_ssize_t, Py_ssize_t, double*, const double*, Py_ssize_t, Py_ssize_t, const double*, Py_ssize_t, Py_ssize_t
    ) noexcept nogil
    void rows_add(
        Py_ssize_t, Py_ssize_t, double*, const double*, Py_ssize_t, Py_ssize_t, const double*, Py_ssize_t, Py_ssize_t
    ) noexcept nogil
    void rows_subtract(
        Py_ssize_t, Py_ssize_t, double*, const double*, Py_ssize_t, Py_ssize_t, const double*, Py_ssize_t, Py_ssize_t
    ) noexcept nogil
    void rows_multiply(
        Py_ssize_t, Py_ssize_t, double*, const double*, Py_ssize_t, Py_ssize_t, const double*, Py_ssize_t, Py_ssize_t
    ) noexcept nogil
    void fold_sum(Py_ssize_t, Py_ssize_t, double*, const double*) noexcept nogil
    void fold_maximum(Py_ssize_t, Py_ssize_t, double*, const double*) noexcept nogil
    void fold_minimum(Py_ssize_t, Py_ssize_t, double*, const double*) noexcept nogil
    void loop_sums(Py_ssize_t, Py_ssize_t, double*, const double*, int) noexcept nogil
    void loop_fill(Py_ssize_t, double*, double) noexcept nogil
    void loop_add_to(Py_ssize_t, double*, const double*) noexcept nogil
    void loop_add_number_to(Py_ssize_t, double*, double) noexcept nogil
    void loop_combine(
        Py_ssize_t, double*, Py_ssize_t, const double*, Py_ssize_t, const double*, Py_ssize_t, int) noexcept nogil
    double loop_dot(Py_ssize_t, const double*, const double*) noexcept nogil
    double loop_largest(Py_ssize_t, const double*) noexcept nogil
    double loop_smallest(Py_ssize_t, const double*) noexcept nogil
    double loop_sum(Py_ssize_t, const double*) noexcept nogil
    void forget_subnormals() noexcept nogil
    int met_subnormals() noexcept nogil
    int has_tiny(Py_ssize_t, const double*) noexcept nogil
    int is_modest(Py_ssize_t, const double*) noexcept nogil
    int tiny_would_tell(Py_ssize_t, const double*) noexcept nogil
    Py_ssize_t take_tiny_one_by_one(Py_ssize_t, double*, Py_ssize_t*, double*) noexcept nogil
    Py_ssize_t take_tiny_by_eights(Py_ssize_t, double*, Py_ssize_t*, double*) noexcept nogil
    double scaled_up(double) noexcept nogil
    double scaled_down(double) noexcept nogil
    int has_tiles() noexcept nogil
    void loop_tiles(
        Py_ssize_t, Py_ssize_t, Py_ssize_t, const double*, Py_ssize_t, Py_ssize_t, const double*, double*
    ) noexcept nogil
    void loop_tiles_of_each(
        Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, const double*, Py_ssize_t, Py_ssize_t, const double*, Py_ssize_t,
        Py_ssize_t, double*) noexcept nogil
    void loop_dots(
        Py_ssize_t, Py_ssize_t, Py_ssize_t, const double*, const double*, double*, Py_ssize_t, int) noexcept nogil
    void loop_transpose(Py_ssize_t, Py_ssize_t, double*, const double*) noexcept nogil

cdef extern from "_per_example.h":
    void loop_sum_of_products(
        Py_ssize_t, Py_ssize_t, double*, const double*, Py_ssize_t, const double*, Py_ssize_t) noexcept nogil
    void loop_shares(Py_ssize_t, Py_ssize_t, int, double*, const double*, const double*) noexcept nogil

cdef extern from "_distances.h":
    void squared_distances(
        Py_ssize_t, Py_ssize_t, Py_ssize_t, const double*, Py_ssize_t, const double*, double*) noexcept nogil
    void pull_of_left(
        Py_ssize_t, Py_ssize_t, Py_ssize_t, const double*, const double*, Py_ssize_t, const double*, double, int, int,
        double*, Py_ssize_t) noexcept nogil
    void pull_of_right(
        Py_ssize_t, Py_ssize_t, Py_ssize_t, const double*, const double*, Py_ssize_t, const double*, double, int,
        double*) noexcept nogil
    int are_below(Py_ssize_t, const double*, double) noexcept nogil
    double MOST_FINITE


# --- what an instruction can be ---------------------------------------------------------------------------------------

cdef enum Kind:
    UNARY  # by a loop
    BINARY
    FUNCTION  # an elementary function, with its slope if that is wanted
    SLOPE  # the slope alone
    NUMPY  # NumPy's loop for a function, or the engine's
    NUMPY_POWER  # x to a constant power
    POWER_SLOPE
    ENGINE  # the engine's function of one or two operands, number by number; `part` 0 is the value, 1 and 2 the slopes
    WHERE
    WITH_NUMBER  # a loop of two operands, the second being the constant
    LOGADDEXP
    LOGADDEXP_SHARE
    ENTROPY  # `part` 0 is the value, 1 to 3 the slopes
    LAST_ELEMENTWISE
    GATHER
    PUT  # rows of a scatter that nothing else was added to
    ADD
    ZERO
    FOLD_SUM
    FOLD_MAXIMUM
    FOLD_MINIMUM
    SHARES
    OVER_EXAMPLES
    TIMES_EXAMPLES
    LOOKUP
    LOOKUP_SCATTER
    DISTANCES
    PULL_LEFT  # the gradient of distances with respect to their left operand
    PULL_RIGHT
    LR
    TR
    RT
    LR_BY_ROWS  # out row by row, of few rows of the right operand
    LR_TO_FEW  # few rows of out, to which each row of the right operand adds
    TR_BY_ROWS
    TR_TO_FEW
    RT_BY_LEFT  # out row by row of the left operand
    RT_BY_RIGHT

cdef struct Operation:
    Kind kind
    int code
    int part
    Loop1 loop1
    Loop2 loop2
    Rows2 rows2  # loop2 over rows of a multiple of 8 numbers, or NULL
    VectorFunction function

cdef enum:
    MOST_OPERATIONS = 192

cdef Operation operations[MOST_OPERATIONS]
OPERATIONS = {}  # the number of each operation that block_program.py can name


cdef Operation* named(name, Kind kind):
    number = len(OPERATIONS)
    assert number < MOST_OPERATIONS
    OPERATIONS[name] = number
    cdef Operation* operation = &operations[<int>number]
    operation.kind = kind
    return operation


cdef void unary(name, Loop1 loop):
    named(name, UNARY).loop1 = loop


cdef void binary(name, Loop2 loop, Kind kind=BINARY, Rows2 rows=NULL):
    cdef Operation* operation = named(name, kind)
    operation.loop2, operation.rows2 = loop, rows


cdef void function(name, VectorFunction function):
    named(name, FUNCTION).function = function
    named((name, 0), SLOPE).function = function


cdef void by_engine(name, int code, int part):
    cdef Operation* operation = named(name, ENGINE)
    operation.code, operation.part = code, part


unary("neg", loop_negate)
unary("abs", loop_absolute)
unary("**2", loop_square)
unary("**3", loop_cube)
unary("**-1", loop_reciprocal)
unary("**0.5", loop_half_power)
unary("sqrt", loop_sqrt)
unary("relu", loop_relu)
unary(("relu", 0), loop_positive)
unary(("abs", 0), loop_sign)
unary(("asin", 0), loop_slope_of_asin)
unary(("acos", 0), loop_slope_of_acos)
unary(("atan", 0), loop_slope_of_atan)
unary(("asinh", 0), loop_slope_of_asinh)
unary(("acosh", 0), loop_slope_of_acosh)
unary(("atanh", 0), loop_slope_of_atanh)
binary("+", loop_add, BINARY, rows_add)
binary("-", loop_subtract, BINARY, rows_subtract)
binary("*", loop_multiply, BINARY, rows_multiply)
binary("/", loop_divide)
binary("maximum", loop_maximum)
binary("minimum", loop_minimum)
binary("greater", loop_greater)
binary("greater_equal", loop_greater_equal)
binary(("maximum", 0), loop_share)
binary(("maximum", 1), loop_other_share)
binary(("minimum", 0), loop_other_share)
binary(("minimum", 1), loop_share)
binary("* on path", loop_on_path)
binary("minus fixed", loop_minus_fixed)
binary("1 at infinity", loop_one_at_infinity)
binary("leaky_relu", loop_leaky_relu, WITH_NUMBER)
binary(("leaky_relu", 0), loop_slope_of_leaky_relu, WITH_NUMBER)
for _name, _number in _vector.NUMBERS.items():
    function(_name, vector_functions[<int>_number])
named("sigmoid slope", SLOPE).function = vector_functions[VECTOR_SIGMOID]
named("tanh slope", SLOPE).function = vector_functions[VECTOR_TANH]
by_engine("one minus square", _ops.ONE_MINUS_SQUARE, 0)
named("where", WHERE)
named("logaddexp", LOGADDEXP)
named(("logaddexp", 0), LOGADDEXP_SHARE).part = 0
named(("logaddexp", 1), LOGADDEXP_SHARE).part = 1
named("σ of difference", LOGADDEXP_SHARE).part = 0
named("binary cross-entropy", ENTROPY).part = 0
for _part in (1, 2, 3):
    named(("binary cross-entropy", _part - 1), ENTROPY).part = _part
by_engine("erf", _ops.ERF, 0)
by_engine(("erf", 0), _ops.ERF, 1)
by_engine("**", _ops.POWER, 0)
by_engine(("**", 0), _ops.POWER, 1)
by_engine(("**", 1), _ops.POWER, 2)
by_engine("cbrt", _ops.CBRT, 0)
by_engine("floor", _ops.FLOOR, 0)
by_engine("ceil", _ops.CEIL, 0)
by_engine("sign", _ops.SIGN, 0)
by_engine("hypot", _ops.HYPOT, 0)
by_engine("atan2", _ops.ATAN2, 0)
by_engine(("atan2", 0), _ops.ATAN2, 1)
by_engine(("atan2", 1), _ops.ATAN2, 2)
by_engine("xlogy", _ops.XLOGY, 0)
by_engine("cosine", _ops.COSINE, 0)
by_engine(("cosine", 0), _ops.COSINE, 1)
by_engine(("cosine", 1), _ops.COSINE, 2)
by_engine("atan2 slope", _ops.ATAN2_SLOPE, 0)
by_engine(("atan2 slope", 0), _ops.ATAN2_SLOPE, 1)
by_engine(("atan2 slope", 1), _ops.ATAN2_SLOPE, 2)
by_engine("exp of difference", _ops.EXP_OF_DIFFERENCE, 0)
named("**n", NUMPY_POWER)
named(("**n", 0), POWER_SLOPE)
for _name, _kind in {
    "gather": GATHER, "put": PUT, "add": ADD, "zero": ZERO, "fold +": FOLD_SUM, "fold maximum": FOLD_MAXIMUM,
    "fold minimum": FOLD_MINIMUM, "shares": SHARES, "over examples": OVER_EXAMPLES, "times examples": TIMES_EXAMPLES,
    "lookup in tables": LOOKUP, "scatter by tables": LOOKUP_SCATTER, "distances": DISTANCES, "pull left": PULL_LEFT,
    "pull right": PULL_RIGHT, "LR": LR, "TR": TR, "RT": RT, "LR by rows": LR_BY_ROWS,
    "LR to few": LR_TO_FEW, "TR by rows": TR_BY_ROWS, "TR to few": TR_TO_FEW, "RT by left": RT_BY_LEFT,
    "RT by right": RT_BY_RIGHT,
}.items():
    named(_name, _kind)


# --- NumPy's loops, for functions that _vector.pyx lacks ---------------------------------------------------------------

include "_numpy_loops.pxi"


for _code, _name, _key in (
    (_ops.SIN, "sin", "sin"), (_ops.COS, "cos", "cos"), (_ops.TAN, "tan", "tan"), (_ops.ASIN, "arcsin", "asin"),
    (_ops.ACOS, "arccos", "acos"), (_ops.ATAN, "arctan", "atan"), (_ops.SINH, "sinh", "sinh"),
    (_ops.COSH, "cosh", "cosh"), (_ops.ASINH, "arcsinh", "asinh"), (_ops.ACOSH, "arccosh", "acosh"),
    (_ops.ATANH, "arctanh", "atanh"), (_ops.LOG2, "log2", "log2"), (_ops.LOG10, "log10", "log10"),
    (_ops.EXP2, "exp2", "exp2"),
):
    find_loop(_code, _name, 1)
    named(_key, NUMPY).code = _code
find_loop(_ops.CONSTANT_POWER, "power", 2)


cdef enum:
    MOST_MULTIPLIED = 64  # the power up to which products are as good as pow


cdef inline void numpy_power(Py_ssize_t n, double* out, double* x, double exponent) noexcept nogil:
    """As pow in C."""
    cdef char* arguments[3]
    cdef Py_ssize_t strides[3]
    cdef Py_ssize_t i
    cdef double slope
    if exponent == 1.0:
        if out != x:
            memcpy(out, x, n * sizeof(double))
    elif exponent == 2.0:
        loop_multiply(n, out, x, 1, x, 1)
    elif exponent == 0.5:
        loop_half_power(n, out, x)
    elif 2.0 < exponent <= MOST_MULTIPLIED and exponent == <int>exponent:
        loop_power(n, out, x, <int>exponent)
    elif -MOST_MULTIPLIED <= exponent < -1.0 and exponent == <int>exponent:
        loop_reciprocal(n, out, x)
        loop_power(n, out, out, <int>-exponent)
    elif functions[<int>_ops.CONSTANT_POWER].loop is not NULL:
        arguments[0] = <char*>x
        arguments[1] = <char*>&exponent
        arguments[2] = <char*>out
        strides[0] = strides[2] = sizeof(double)
        strides[1] = 0
        functions[<int>_ops.CONSTANT_POWER].loop(arguments, &n, strides, functions[<int>_ops.CONSTANT_POWER].data)
    else:
        for i in range(n):
            _ops.unary(_ops.CONSTANT_POWER, exponent, x[i], out + i, &slope)


# --- BLAS -------------------------------------------------------------------------------------------------------------

ctypedef void (*Gemm64)(
    int, int, int, int64_t, int64_t, int64_t, double, const double*, int64_t, const double*, int64_t, double, double*,
    int64_t,
) noexcept nogil
ctypedef void (*Gemm32)(
    int, int, int, int, int, int, double, const double*, int, const double*, int, double, double*, int) noexcept nogil

cdef Gemm64 gemm64 = NULL
cdef Gemm32 gemm32 = NULL
cdef enum:
    ROW_MAJOR = 101
    AS_IT_IS = 111
    TRANSPOSED = 112


def find_blas():
    """Find the dgemm of the BLAS that NumPy has loaded; whether there is one that works."""
    global gemm64, gemm32
    gemm64, gemm32 = NULL, NULL
    cdef size_t address
    for module in ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath"):
        try:
            library = ctypes.CDLL(importlib.import_module(module).__file__)  # with the libraries that it needs
        except (ImportError, OSError, AttributeError):
            continue
        for name in ("scipy_cblas_dgemm64_", "cblas_dgemm64_", "cblas_dgemm$NEWLAPACK$ILP64"):
            if hasattr(library, name):
                address = <size_t>ctypes.cast(getattr(library, name), ctypes.c_void_p).value
                gemm64 = <Gemm64>address
                return blas_works()
        for name in ("scipy_cblas_dgemm", "cblas_dgemm", "cblas_dgemm$NEWLAPACK"):
            if hasattr(library, name):
                address = <size_t>ctypes.cast(getattr(library, name), ctypes.c_void_p).value
                gemm32 = <Gemm32>address
                return blas_works()
        break
    return False


cdef bint blas_works():
    """Whether it multiplies two small matrices."""
    global gemm64, gemm32
    cdef double left[6]
    cdef double right[6]
    cdef double out[4]
    cdef int i
    for i in range(6):
        left[i], right[i] = i + 1.0, 6.0 - i
    out[0] = out[1] = out[2] = out[3] = 1.0
    gemm(AS_IT_IS, TRANSPOSED, 2, 2, 3, left, 3, right, 3, 1.0, out, 2)
    if (out[0], out[1], out[2], out[3]) == (29.0, 11.0, 74.0, 29.0):
        return True
    gemm64, gemm32 = NULL, NULL
    return False


cdef inline void gemm(
    int left_is, int right_is, Py_ssize_t p, Py_ssize_t q, Py_ssize_t k, double* left, Py_ssize_t left_step,
    double* right, Py_ssize_t right_step, double kept, double* out, Py_ssize_t out_step,
) noexcept nogil:
    """out (p, q) = left (p, k) @ right (k, q) + kept·out; the steps are from row to row in memory."""
    if gemm64 is not NULL:
        gemm64(ROW_MAJOR, left_is, right_is, p, q, k, 1.0, left, left_step, right, right_step, kept, out, out_step)
    else:
        gemm32(ROW_MAJOR, left_is, right_is, <int>p, <int>q, <int>k, 1.0, left, <int>left_step, right,
               <int>right_step, kept, out, <int>out_step)


MOST = MOST_ARGUMENTS  # arguments, gradients of arguments or watched arrays
HAS_BLAS = find_blas()
cdef bint HAS_GEMM = HAS_BLAS


# --- the program ------------------------------------------------------------------------------------------------------

cdef enum:
    # the memory that an operand is in
    PARAMETERS
    CONSTANT
    FIXED  # what is the same in every example
    SUM  # sums over the examples
    GRADIENT
    BLOCK  # rows of as many numbers as the block has examples
    TILE  # as many rows of these as a group runs over at a time
    ARGUMENT  # as it is given, a row for each example; the offset is the argument's number
    N_BASES

BASES = {
    "parameters": PARAMETERS, "constant": CONSTANT, "fixed": FIXED, "sum": SUM, "gradient": GRADIENT, "block": BLOCK,
    "tile": TILE, "argument": ARGUMENT,
}

cdef enum:
    MOST_ARGUMENTS = 64
    TILE_NUMBERS = 1024  # in each array of a group's tile
    SCRATCH = 1024
    MOST_CHUNKS = 16

cdef struct Operand:
    int base
    Py_ssize_t offset  # in rows
    Py_ssize_t rows
    Py_ssize_t step  # of a matrix, from row to row

cdef struct Instruction:
    Operation* operation
    Kind kind
    int n_operands
    Operand out
    Operand operands[3]
    Operand slope  # rows are 0 if it is not wanted
    Py_ssize_t rows
    Py_ssize_t p, k, q, blocks
    int64_t* table
    double number

cdef struct Group:
    Py_ssize_t first, last  # its instructions
    Py_ssize_t rows
    bint tiled

cdef struct Span:
    # numbers of the sums, or of the gradient, to which blocks add
    bint of_gradient
    Py_ssize_t start, size

cdef struct Argument:
    Py_ssize_t width
    Py_ssize_t place  # of its copy in the block; -1 if there is none

cdef struct Call:
    # the arrays of a call, held until it returns
    Py_buffer views[3 * MOST_ARGUMENTS + 4]
    int n_views
    double* theta
    double* gradient
    double* costs  # of each example, if they are wanted
    Py_ssize_t m
    double* rows[MOST_ARGUMENTS]
    double* d_rows[MOST_ARGUMENTS]
    double* watched[MOST_ARGUMENTS]
    bint backwards

cdef struct Run:
    # where a part of the program is
    double* base[N_BASES]
    double* scratch
    Call* call
    Instruction* instructions
    double* lost  # of each sum, what rounding has taken from it
    char* met_tiny  # of each instruction, whether it has met subnormal numbers
    Py_ssize_t start  # the first example of the block
    Py_ssize_t n  # numbers in a row: the examples of the block, 1 outside of blocks
    Py_ssize_t tile_rows
    bint first  # whether the sums over examples begin anew
    double missing_row  # a lookup's row that its table lacks, if any, and the table's rows
    Py_ssize_t choices

cdef struct Chunk:
    double total  # of the costs
    double missing_row
    Py_ssize_t choices

cdef struct Blocks:
    # a call's blocks, for several threads
    void* executor
    Py_ssize_t size  # the examples of a block
    Py_ssize_t n_blocks, n_chunks
    Chunk chunks[MOST_CHUNKS]
    double* areas  # the sums of chunks but the first; of one thread, for one chunk after the other
    Py_ssize_t area
    int threads
    Run runs[_threads.MOST_THREADS]
    Call call


cdef inline bint is_batched(Operand* operand) noexcept nogil:
    return operand.base == BLOCK or operand.base == TILE


cdef inline double* at(Run* run, Operand* operand, Py_ssize_t row) noexcept nogil:
    """Where a row of an operand is; in the tile, rows are counted from the tile's first."""
    if operand.base == BLOCK:
        return run.base[BLOCK] + (operand.offset + (row if operand.rows > 1 else 0)) * run.n
    if operand.base == TILE:
        return run.base[TILE] + operand.offset * run.tile_rows * run.n
    if operand.base == ARGUMENT:
        return run.call.rows[operand.offset] + run.start * operand.step
    return run.base[operand.base] + operand.offset + (row if operand.rows > 1 else 0)


cdef void* memory_of(Py_ssize_t size) except NULL:
    cdef void* memory = PyMem_Malloc(max(size, 1))
    if memory is NULL:
        raise MemoryError
    return memory


cdef double* doubles(Call* call, array, Py_ssize_t size, bint writable) except NULL:
    cdef Py_buffer* view = &call.views[call.n_views]
    PyObject_GetBuffer(array, view, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | (PyBUF_WRITABLE if writable else 0))
    call.n_views += 1
    if view.format[0] != b"d" or view.format[1] != 0 or view.len != size * <Py_ssize_t>sizeof(double):
        raise ValueError(f"expected an array of {size} float64, got {view.len} bytes of {view.format.decode()!r}")
    return <double*>view.buf


# --- element by element -----------------------------------------------------------------------------------------------

cdef inline void element_loop(
    Instruction* step, Run* run, Py_ssize_t n, double* out, double* x, Py_ssize_t sx, double* y, Py_ssize_t sy,
    double* z, Py_ssize_t sz, double* slope,
) noexcept nogil:
    """n numbers of an element-wise instruction; an operand with a step of 0 is one number."""
    cdef Operation* operation = step.operation
    cdef Py_ssize_t start, some
    if step.kind == BINARY:
        operation.loop2(n, out, x, sx, y, sy)
        return
    if step.kind == WHERE:
        loop_where(n, out, x, sx, y, sy, z, sz)
        return
    if sx == 0 and step.n_operands == 1 and n > 1:  # the same everywhere
        element_loop(step, run, 1, out, x, 1, y, sy, z, sz, slope)
        loop_fill(n - 1, out + 1, out[0])
        if slope is not NULL:
            loop_fill(n - 1, slope + 1, slope[0])
        return
    if step.kind == UNARY:
        operation.loop1(n, out, x)
    elif step.kind == FUNCTION:
        operation.function(n, x, out, slope)
    elif step.kind == WITH_NUMBER:
        operation.loop2(n, out, x, sx, &step.number, 0)
    elif step.kind == NUMPY:
        numpy_function(operation.code, n, out, x)
    elif step.kind == NUMPY_POWER:
        numpy_power(n, out, x, step.number)
    else:
        start = 0
        while start < n:
            some = min(SCRATCH, n - start)
            part_of_loop(
                step, run, some, out + start, x + sx * start, sx, y + sy * start, sy, z + sz * start, sz)
            start += some


cdef inline void part_of_loop(
    Instruction* step, Run* run, Py_ssize_t n, double* out, double* x, Py_ssize_t sx, double* y, Py_ssize_t sy,
    double* z, Py_ssize_t sz,
) noexcept nogil:
    """The same for at most SCRATCH numbers."""
    cdef Operation* operation = step.operation
    cdef Py_ssize_t i
    cdef double v
    cdef double d[3]
    cdef double* e = run.scratch
    cdef double* l = run.scratch + SCRATCH
    if step.kind == SLOPE:
        operation.function(n, x, e, l)
        memcpy(out, l, n * sizeof(double))
    elif step.kind == POWER_SLOPE:
        v = step.number
        if v - 1.0 + 1.0 == v:
            numpy_power(n, e, x, v - 1.0)
            loop_multiply(n, out, e, 1, &v, 0)
        else:
            for i in range(n):
                _ops.unary(_ops.CONSTANT_POWER, v, x[i], e, out + i)
    elif step.kind == LOGADDEXP:
        loop_difference_to_fold(n, e, x, sx, y, sy)
        vector_functions[VECTOR_EXP](n, e, e, NULL)
        vector_functions[VECTOR_LOG1P](n, e, e, NULL)
        loop_finish_logaddexp(n, e, x, sx, y, sy)
        memcpy(out, e, n * sizeof(double))
    elif step.kind == LOGADDEXP_SHARE:
        loop_difference_to_fold(n, e, x, sx, y, sy)
        vector_functions[VECTOR_EXP](n, e, e, NULL)
        if operation.part == 0:
            loop_finish_share_of_logaddexp(n, e, x, sx, y, sy)
        else:
            loop_finish_share_of_logaddexp(n, e, y, sy, x, sx)
        memcpy(out, e, n * sizeof(double))
    elif step.kind == ENTROPY:
        if sy:
            loop_minus_absolute(n, e, y)
        else:
            loop_fill(n, e, -fabs(y[0]))
        vector_functions[VECTOR_EXP](n, e, e, NULL)
        if loop_count_others(n, e, x, sx, y, sy):
            for i in range(n):
                _ops.binary_entropy(x[sx * i], y[sy * i], z[sz * i] if z is not NULL else 0.0, &v, d)
                out[i] = v if operation.part == 0 else d[operation.part - 1]
        elif operation.part == 0:
            vector_functions[VECTOR_LOG1P](n, e, e, NULL)
            loop_entropy(n, out, e, y, sy, z, sz)
        elif operation.part == 1:
            loop_slope_of_entropy(n, out, e, y, sy, z, sz)
        elif operation.part == 2:
            loop_far_slope_of_entropy(n, out, e, y, sy, z, sz)
        elif sy:
            loop_negate(n, out, y)
        else:
            loop_fill(n, out, -y[0])
    elif step.n_operands == 1:
        for i in range(n):
            _ops.unary(<Code>operation.code, step.number, x[i], &v, d)
            out[i] = v if operation.part == 0 else d[0]
    else:
        for i in range(n):
            _ops.binary(<Code>operation.code, x[sx * i], y[sy * i], &v, d, d + 1)
            out[i] = v if operation.part == 0 else d[operation.part - 1]


cdef void elementwise(Instruction* step, Run* run, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
    cdef Py_ssize_t n = run.n, rows = stop - start, r, k
    cdef double* out = at(run, &step.out, start)
    cdef double* slope = NULL
    cdef double* x[3]
    cdef Py_ssize_t by_row[3]
    cdef Py_ssize_t by_column[3]
    cdef bint flat = True
    cdef Operand* operand
    if step.slope.rows and run.call.backwards:
        slope = at(run, &step.slope, start)
    x[1] = x[2] = NULL
    by_row[1] = by_row[2] = by_column[1] = by_column[2] = 0
    for k in range(step.n_operands):
        operand = &step.operands[k]
        x[k] = at(run, operand, start)
        by_column[k] = is_batched(operand)
        by_row[k] = 0 if operand.rows == 1 else n if by_column[k] else 1
        flat = flat and by_row[k] == by_column[k] * n
    if n == 1:
        element_loop(step, run, rows, out, x[0], by_row[0], x[1], by_row[1], x[2], by_row[2], slope)
    elif flat or rows == 1:
        element_loop(
            step, run, rows * n, out, x[0], by_column[0], x[1], by_column[1], x[2], by_column[2], slope)
    elif step.operation.rows2 is not NULL and n % 8 == 0:
        step.operation.rows2(rows, n, out, x[0], by_row[0], by_column[0], x[1], by_row[1], by_column[1])
    else:
        for r in range(rows):
            element_loop(step, run, n, out, x[0], by_column[0], x[1], by_column[1], x[2], by_column[2], slope)
            out += n
            x[0] += by_row[0]
            x[1] += by_row[1]
            x[2] += by_row[2]
            if slope is not NULL:
                slope += n


# --- rows -------------------------------------------------------------------------------------------------------------

cdef void gather(Instruction* step, Run* run) noexcept nogil:
    cdef Py_ssize_t i, n = run.n, width
    cdef double* out = at(run, &step.out, 0)
    cdef double* source = at(run, &step.operands[0], 0)
    cdef bint one = step.operands[0].rows == 1
    if not is_batched(&step.out):
        n = 1
    if is_batched(&step.out) and not is_batched(&step.operands[0]):
        for i in range(step.rows):
            loop_fill(n, out + i * n, source[0 if one else step.table[i]])
    elif n == 1 and one:
        loop_fill(step.rows, out, source[0])
    elif n == 1:
        for i in range(step.rows):
            out[i] = source[step.table[i]]
    else:
        for i in range(step.rows):
            memcpy(out + i * n, source + (0 if one else step.table[i]) * n, n * sizeof(double))


cdef void scatter(Instruction* step, Run* run) noexcept nogil:
    """Put or add rows of a part at their places in out, rows[i] or i."""
    cdef Py_ssize_t i, row, n = run.n
    cdef double* out = at(run, &step.out, 0)
    cdef double* part = NULL
    cdef bint batched = is_batched(&step.out), add = step.kind == ADD, wide = False
    cdef Py_ssize_t by_row = 0
    if not batched:
        n = 1
    if step.n_operands:
        part = at(run, &step.operands[0], 0)
        wide = is_batched(&step.operands[0])
        by_row = 0 if step.operands[0].rows == 1 else n if wide else 1
    if step.table is NULL and (step.kind == ZERO or by_row == n):
        if step.kind == ZERO:
            memset(out, 0, step.rows * n * sizeof(double))
        elif add:
            loop_add_to(step.rows * n, out, part)
        else:
            memcpy(out, part, step.rows * n * sizeof(double))
        return
    if n == 1 and step.table is not NULL:
        if step.kind == ZERO:
            for i in range(step.rows):
                out[step.table[i]] = 0.0
        elif add:
            for i in range(step.rows):
                out[step.table[i]] += part[i * by_row]
        else:
            for i in range(step.rows):
                out[step.table[i]] = part[i * by_row]
        return
    for i in range(step.rows):
        row = i if step.table is NULL else step.table[i]
        if step.kind == ZERO:
            memset(out + row * n, 0, n * sizeof(double))
        elif wide:
            if add:
                loop_add_to(n, out + row * n, part + i * by_row)
            else:
                memcpy(out + row * n, part + i * by_row, n * sizeof(double))
        elif add:
            loop_add_number_to(n, out + row * n, part[i * by_row])
        else:
            loop_fill(n, out + row * n, part[i * by_row])


cdef inline double added(double total, double x, double* lost) noexcept nogil:
    """total + x; what rounding took of it joins `lost` (TwoSum: Handbook of Floating-Point Arithmetic, 4.3.2)."""
    cdef double s = total + x, back = s - total
    lost[0] += (total - (s - back)) + (x - back)
    return s


cdef double sum_of(Py_ssize_t n, double* x) noexcept nogil:
    """The sum of n numbers: of many, what rounding takes from the sums of a thousand is added at the end."""
    cdef double total = 0.0, lost = 0.0
    cdef Py_ssize_t start = 0
    if n <= SCRATCH:
        return loop_sum(n, x)
    while start < n:
        total = added(total, loop_sum(min(SCRATCH, n - start), x + start), &lost)
        start += SCRATCH
    return total + lost if isfinite(lost) else total


cdef inline double folded_number(Kind kind, Py_ssize_t n, double* x) noexcept nogil:
    cdef double total
    cdef Py_ssize_t i
    if kind == FOLD_SUM:
        return sum_of(n, x)
    if n >= 64:
        total = loop_largest(n, x) if kind == FOLD_MAXIMUM else loop_smallest(n, x)
        if total != 0.0:
            return total
    total = x[0]  # of 0 and -0, the first
    for i in range(1, n):
        total = _ops.maximum(total, x[i]) if kind == FOLD_MAXIMUM else _ops.minimum(total, x[i])
    return total


cdef void fold(Instruction* step, Run* run, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
    """p folds of k rows each; of one fold, the rows from start to stop, which join those before."""
    cdef Py_ssize_t i, n = run.n, k = step.k, first = 1
    cdef double* out = at(run, &step.out, 0)
    cdef double* x = at(run, &step.operands[0], start)
    cdef double* lost = run.lost + (step - run.instructions)
    cdef double total
    if step.p == 1:
        k = stop - start
        first = 1 if start == 0 else 0
    for i in range(step.p):
        if n == 1:
            total = folded_number(step.kind, k, x)
            if first:
                out[0], lost[0] = total, 0.0
            elif step.kind == FOLD_SUM:
                out[0] = added(out[0], total, lost)
            elif step.kind == FOLD_MAXIMUM:
                out[0] = _ops.maximum(out[0], total)
            else:
                out[0] = _ops.minimum(out[0], total)
            if step.p == 1 and stop == step.rows and isfinite(lost[0]):
                out[0] += lost[0]
        else:
            if first:
                memcpy(out, x, n * sizeof(double))
            if step.kind == FOLD_SUM:
                fold_sum(n, k - first, out, x + first * n)
            elif step.kind == FOLD_MAXIMUM:
                fold_maximum(n, k - first, out, x + first * n)
            else:
                fold_minimum(n, k - first, out, x + first * n)
        x += k * n
        out += n


cdef void shares(Instruction* step, Run* run) noexcept nogil:
    cdef Py_ssize_t i, n = run.n, k = step.k
    cdef double* x = at(run, &step.operands[0], 0)
    cdef double* folded = at(run, &step.operands[1], 0)
    cdef double* out = at(run, &step.out, 0)
    for i in range(step.p):
        loop_shares(n, k, step.number != 0.0, out + i * k * n, x + i * k * n, folded + i * n)


cdef void over_examples(Instruction* step, Run* run, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
    cdef double* out = at(run, &step.out, start)
    cdef double* x = at(run, &step.operands[0], start)
    loop_sums(stop - start, run.n, out, x, not run.first)


cdef inline Py_ssize_t chosen(Instruction* step, Run* run, Py_ssize_t i, Py_ssize_t c) noexcept nogil:
    """The row that a lookup chooses for its row i in example c; for a missing one the first, and the error follows."""
    cdef Operand* argument = &step.operands[1]
    cdef double j = run.call.rows[argument.offset][(run.start + c) * argument.step + step.table[i]]
    if not 0.0 <= j < step.k:
        run.missing_row, run.choices = j, step.k
        j = 0.0
    return step.table[step.table[step.p + i] + <Py_ssize_t>j]  # after the places stands where each lookup's table begins


cdef void lookup(Instruction* step, Run* run) noexcept nogil:
    cdef Py_ssize_t i, c, n = run.n
    cdef double* out = at(run, &step.out, 0)
    cdef double* source = at(run, &step.operands[0], 0)
    cdef bint wide = is_batched(&step.operands[0])
    for c in range(n):
        for i in range(step.p):
            out[i * n + c] = source[chosen(step, run, i, c) * (n if wide else 1) + (c if wide else 0)]


cdef void lookup_scatter(Instruction* step, Run* run) noexcept nogil:
    cdef Py_ssize_t i, c, n = run.n, by_row, by_column
    cdef double* out = at(run, &step.out, 0)
    cdef double* part = at(run, &step.operands[0], 0)
    cdef bint wide = is_batched(&step.out)
    by_column = is_batched(&step.operands[0])
    by_row = 0 if step.operands[0].rows == 1 else n if by_column else 1
    if wide or run.first:
        memset(out, 0, step.rows * (n if wide else 1) * sizeof(double))
    for c in range(n):
        for i in range(step.p):
            out[chosen(step, run, i, c) * (n if wide else 1) + (c if wide else 0)] += part[i * by_row + c * by_column]


cdef void distances(Instruction* step, Run* run) noexcept nogil:
    """Distances of left (p, k) and right (k, q), whose columns are those of all examples side by side; or a gradient."""
    cdef Py_ssize_t p = step.p, k = step.k, w = step.q * run.n, i
    cdef Py_ssize_t first = 0 if step.kind == DISTANCES else 1  # before it stands the gradient of the distances
    cdef Operand* left_operand = &step.operands[first]
    cdef double* left = at(run, left_operand, 0)
    cdef double* right = at(run, &step.operands[first + 1], 0)
    cdef double* out = at(run, &step.out, 0)
    cdef bint finite
    if step.kind == DISTANCES:
        squared_distances(p, k, w, left, left_operand.step, right, out)
        return
    finite = are_below(k * w, right, MOST_FINITE)  # so that 2 times a difference is finite too
    for i in range(p):
        finite = finite and are_below(k, left + i * left_operand.step, MOST_FINITE)
    if step.kind == PULL_LEFT:
        pull_of_left(p, k, w, at(run, &step.operands[0], 0), left, left_operand.step, right, step.number, finite,
                     not run.first, out, step.out.step)
    else:
        pull_of_right(p, k, w, at(run, &step.operands[0], 0), left, left_operand.step, right, step.number, finite, out)


# --- products ---------------------------------------------------------------------------------------------------------

# LARGE. Measured on two cores (AMD EPYC, AVX-512, OpenBLAS 0.3) for 24 shapes of products from 64 × 64 × 64 on, of all
# proportions, in turn with one thread and with two. Where both cores are free, two threads take 0.51 to 0.69 of the time
# from one million multiplications on, whatever the shape; below 0.3 million OpenBLAS uses one anyway. Where the other
# core is busy, a product waits for a time slice, 17 ms in the mean, whatever its size. At 16 million the 0.3 ms won are
# worth that if fewer than one product in 60 waits; at one million, one in 1,000. Measured anew on a Xeon (AVX-512), for
# 14 shapes: from four million on 0.53 to 0.89 where both cores are free, below two million OpenBLAS uses one thread
# anyway; beside a busy core 5 to 40 ms are lost. A core there is twice as fast, and at 16 million 0.15 ms are won.

cdef enum:
    FEW_FLOPS = 3000  # below it a call of BLAS takes longer than the loops
    MANY_FLOPS = 10000
    MODERATE = 4000000  # multiplications up to which tiles are faster than BLAS
    LARGE = 16000000  # multiplications beyond which BLAS uses threads of its own, see below

cdef bint HAS_TILES = has_tiles()


def use_for_products(bint tiles, bint blas):
    """Choose what computes products, of what there is; the loops of _blocks.h can always. For the tests."""
    global HAS_TILES, HAS_GEMM
    HAS_TILES, HAS_GEMM = tiles and has_tiles(), blas and HAS_BLAS


cdef void product(Instruction* step, Run* run) noexcept nogil:
    """LR: out (p, q) = left (p, k) @ right (k, q); TR and RT as in program.py. A row of a block has n numbers.

    Subnormal numbers slow multiplications down a hundred times. If the gradient has tiny numbers in the first block, or
    the product has met subnormal ones, then from there on the tiny ones are multiplied by themselves, scaled.
    """
    cdef Py_ssize_t index = step - run.instructions
    cdef Operand* right_operand = &step.operands[1]
    cdef bint of_each = is_batched(&step.out if step.kind == RT else &step.operands[0])
    cdef bint add = step.kind == RT and not of_each and not run.first
    cdef double* left = at(run, &step.operands[0], 0)
    cdef double* right = at(run, right_operand, 0)
    cdef double* out = at(run, &step.out, 0)
    cdef bint bare = right_operand.base == ARGUMENT and run.n > 1  # a row for each example
    cdef Operand* gradient = &step.operands[0 if step.kind == RT else 1]
    if step.n_operands == 3 and not is_factor_finite(step, run.n, left if step.kind == TR else right):
        gradient_of_chosen(step, run.n, add, left, right, at(run, &step.operands[2], 0), out)
        return
    if (bare or of_each or step.kind == LR or gradient.base in (PARAMETERS, CONSTANT, ARGUMENT)  # not to be written to
            or step.q * run.n * step.p * step.k < MANY_FLOPS):
        multiply(step, run, add, left, right, out, step.out.step)
        return
    if run.first:
        run.met_tiny[index] = has_tiny(step.blocks * step.p * step.q * run.n, left if step.kind == RT else right)
    if not run.met_tiny[index]:
        forget_subnormals()
        multiply(step, run, add, left, right, out, step.out.step)
        run.met_tiny[index] = met_subnormals()
    elif not multiplied_without_tiny(step, run, add, left, right, out):
        multiply(step, run, add, left, right, out, step.out.step)


cdef bint is_factor_finite(Instruction* step, Py_ssize_t n, double* factor) noexcept nogil:
    """Whether the factor by which RT or TR multiplies a gradient is finite: then 0 times it is 0."""
    cdef Py_ssize_t i
    if step.kind == RT:
        return are_below(step.k * step.q * n, factor, INFINITY)
    for i in range(step.p):
        if not are_below(step.k, factor + i * step.operands[0].step, INFINITY):
            return False
    return True


cdef void gradient_of_chosen(
    Instruction* step, Py_ssize_t n, bint add, double* left, double* right, double* chosen, double* out
) noexcept nogil:
    """RT or TR of those entries of the gradient (p, q) that the examples' lookups chose."""
    cdef Py_ssize_t i, t, c, q = step.q * n, s = step.operands[0].step
    cdef double total
    if step.kind == RT:
        for i in range(step.p):
            for t in range(step.k):
                total = out[i * step.out.step + t] if add else 0.0
                for c in range(q):
                    if chosen[i * q + c] != 0.0:
                        total += left[i * q + c] * right[t * q + c]
                out[i * step.out.step + t] = total
        return
    for t in range(step.k):
        for c in range(q):
            total = 0.0
            for i in range(step.p):
                if chosen[i * q + c] != 0.0:
                    total += left[i * s + t] * right[i * q + c]
            out[t * q + c] = total


cdef bint multiplied_without_tiny(
    Instruction* step, Run* run, bint add, double* left, double* right, double* out
) noexcept nogil:
    """A product whose gradient operand has tiny numbers: without them, then with them where the result tells."""
    cdef Py_ssize_t q = step.q * run.n, rows = step.blocks * step.p, found = 0, r, i, b
    cdef Py_ssize_t other_size = step.blocks * step.k * q
    cdef double* d = left if step.kind == RT else right  # (p, q) in both
    cdef double* other = right
    cdef Py_ssize_t* places
    cdef Py_ssize_t* ends
    cdef Py_ssize_t* columns
    cdef double* numbers
    cdef double* room
    if step.kind == TR:
        other, other_size = left, (rows - 1) * step.operands[0].step + step.k
    if not is_modest(other_size, other):
        return False
    numbers = <double*>PyMem_RawMalloc(
        (rows * q + (step.p + step.k) * q) * sizeof(double) + (rows * q + 8 + rows + 2 * q) * sizeof(Py_ssize_t))
    if numbers is NULL:
        return False
    room = numbers + rows * q
    places = <Py_ssize_t*>(room + (step.p + step.k) * q)
    ends = places + rows * q + 8
    columns = ends + rows
    for r in range(rows):
        if HAS_TILES:
            found += take_tiny_by_eights(q, d + r * q, places + found, numbers + found)
        else:
            found += take_tiny_one_by_one(q, d + r * q, places + found, numbers + found)
        ends[r] = found
    multiply(step, run, add, left, right, out, step.out.step)
    for b in range(step.blocks if found else 0):
        if step.kind == RT:
            add_rows_of_tiny(step, q, b, places, ends, numbers, right + b * step.k * q, out)
        else:
            add_columns_of_tiny(
                step, q, b, places, ends, numbers, left + b * step.p * step.operands[0].step, out + b * step.k * q,
                room, columns)
    i = 0
    for r in range(rows):
        while i < ends[r]:
            d[r * q + places[i]] = numbers[i]
            i += 1
    PyMem_RawFree(numbers)
    return True


cdef void add_rows_of_tiny(
    Instruction* step, Py_ssize_t q, Py_ssize_t b, Py_ssize_t* places, Py_ssize_t* ends, double* numbers, double* right,
    double* out
) noexcept nogil:
    """Add to the rows of out that tell what the tiny numbers in rows of the gradient give with the rows of right."""
    cdef Py_ssize_t r, i, j, first
    cdef double* row
    cdef double total
    for r in range(b * step.p, (b + 1) * step.p):
        first = ends[r - 1] if r else 0
        row = out + r * step.out.step
        if first < ends[r] and tiny_would_tell(step.k, row):
            for i in range(first, ends[r]):
                numbers[i] = scaled_up(numbers[i])
            for j in range(step.k):
                total = 0.0
                for i in range(first, ends[r]):
                    total += numbers[i] * right[j * q + places[i]]
                row[j] += scaled_down(total)
            for i in range(first, ends[r]):
                numbers[i] = scaled_down(numbers[i])


cdef void add_columns_of_tiny(
    Instruction* step, Py_ssize_t q, Py_ssize_t b, Py_ssize_t* places, Py_ssize_t* ends, double* numbers, double* left,
    double* out, double* parts, Py_ssize_t* columns
) noexcept nogil:
    """Add what the tiny numbers in columns of the gradient give with left: of all these columns side by side.

    There is room for p + k rows of q numbers from `parts` on, and for 2q places from `columns` on.
    """
    cdef Py_ssize_t p = step.p, k = step.k, r, i, j, c, first, n = 0
    cdef Py_ssize_t* place_of = columns + q  # of each column, among those with tiny numbers
    cdef double* sums = parts + p * q
    i = first = ends[b * p - 1] if b else 0
    if first == ends[b * p + p - 1]:
        return
    for c in range(q):
        place_of[c] = -1
    for j in range(first, ends[b * p + p - 1]):
        c = places[j]
        if place_of[c] < 0:
            place_of[c] = n
            columns[n] = c
            n += 1
    memset(parts, 0, p * n * sizeof(double))
    for r in range(p):
        while i < ends[b * p + r]:
            parts[r * n + place_of[places[i]]] = scaled_up(numbers[i])
            i += 1
    if HAS_TILES:
        loop_tiles(k, n, p, left, 1, step.operands[0].step, parts, sums)
    else:
        small_product(TR, False, p, k, n, left, step.operands[0].step, parts, sums, n)
    for j in range(k):
        for c in range(n):
            out[j * q + columns[c]] += scaled_down(sums[j * n + c])


cdef void multiply(
    Instruction* step, Run* run, bint add, double* left, double* right, double* out, Py_ssize_t out_step
) noexcept nogil:
    cdef Py_ssize_t p = step.p, k = step.k, q = step.q * run.n, b
    cdef Operand* left_operand = &step.operands[0]
    cdef Operand* right_operand = &step.operands[1]
    cdef Py_ssize_t s = left_operand.step
    cdef bint bare = right_operand.base == ARGUMENT and run.n > 1
    cdef bint of_each = is_batched(&step.out if step.kind == RT else left_operand)
    cdef bint small = not bare and p * k * q <= FEW_FLOPS or (q == 1 and p * k <= 100000) or not HAS_GEMM
    for b in range(step.blocks):
        if of_each and run.n > 1:
            product_of_each(step.kind, run.n, p, k, step.q, left, right, out)
            left += (p * q if step.kind == RT else p * k * run.n)
            right += (p * q if step.kind == TR else k * q)
            out += (p * q if step.kind == LR else k * q if step.kind == TR else p * k * run.n)
            continue
        if HAS_TILES and not bare and q >= 8 and p * k * q <= MODERATE:
            if step.kind == LR:
                loop_tiles(p, q, k, left, s, 1, right, out)
            elif step.kind == TR:
                loop_tiles(k, q, p, left, 1, s, right, out)
            else:
                loop_dots(p, k, q, left, right, out, out_step, add)
        elif bare and not HAS_GEMM:
            product_of_argument(step.kind, add, p, k, q, left, s, right, right_operand.step, out, out_step)
        elif small:
            small_product(step.kind, add, p, k, q, left, s, right, out, out_step)
        elif step.kind == LR:
            gemm(AS_IT_IS, TRANSPOSED if bare else AS_IT_IS, p, q, k, left, s, right,
                 right_operand.step if bare else q, 0.0, out, q)
        elif step.kind == TR:
            gemm(TRANSPOSED, AS_IT_IS, k, q, p, left, s, right, q, 0.0, out, q)
        else:
            gemm(AS_IT_IS, AS_IT_IS if bare else TRANSPOSED, p, k, q, left, q, right,
                 right_operand.step if bare else q, 1.0 if add else 0.0, out, out_step)
        if step.table is not NULL:
            leave_out_what_is_not_there(step, q, left, right, out, step.table + b * p * k)
        left += (p * q if step.kind == RT else p * s)
        right += (p * q if step.kind == TR else k * q)
        out += (p * q if step.kind == LR else k * q if step.kind == TR else p * out_step)


cdef inline bint may_call_blas(Instruction* step, Py_ssize_t n) noexcept nogil:
    """Whether `multiply` can call BLAS in a block of n examples."""
    cdef Py_ssize_t q = step.q * n
    return (
        HAS_GEMM and (step.kind == LR or step.kind == TR or step.kind == RT)
        and (not HAS_TILES or step.operands[1].base == ARGUMENT or q < 8 or step.p * step.k * q > MODERATE)
    )


cdef void product_of_argument(
    Kind kind, bint add, Py_ssize_t p, Py_ssize_t k, Py_ssize_t n, double* left, Py_ssize_t s, double* right,
    Py_ssize_t right_step, double* out, Py_ssize_t out_step,
) noexcept nogil:
    """LR and RT without BLAS where right is an argument as it is given, with a row for each example."""
    cdef Py_ssize_t i, c
    for i in range(p):
        if kind == RT:
            loop_combine(k, out + i * out_step, n, left + i * n, 1, right, right_step, add)
            continue
        for c in range(n):
            out[i * n + c] = loop_dot(k, left + i * s, right + c * right_step)


cdef void leave_out_what_is_not_there(
    Instruction* step, Py_ssize_t q, double* left, double* right, double* out, int64_t* there
) noexcept nogil:
    """Compute the nan of a product again from the entries of left that exist."""
    cdef Py_ssize_t rows = step.p if step.kind == LR else step.k
    cdef Py_ssize_t terms = step.k if step.kind == LR else step.p
    cdef Py_ssize_t i, j, c, s = step.operands[0].step, entry, place
    cdef double total = loop_sum(rows * q, out)
    if total == total:
        return
    for i in range(rows):
        for c in range(q):
            if out[i * q + c] == out[i * q + c]:
                continue
            total = 0.0
            for j in range(terms):
                entry = i * step.k + j if step.kind == LR else j * step.k + i
                place = i * s + j if step.kind == LR else j * s + i
                if there[entry]:
                    total += left[place] * right[j * q + c]
            out[i * q + c] = total


cdef void product_of_each(
    Kind kind, Py_ssize_t n, Py_ssize_t p, Py_ssize_t k, Py_ssize_t q, double* left, double* right, double* out
) noexcept nogil:
    """A product of the examples' own matrices, whose entries are rows of n numbers."""
    cdef Py_ssize_t i, j
    # the sizes of the result and the number of terms; how far apart entries of left and right are
    cdef Py_ssize_t rows = k if kind == TR else p, columns = k if kind == RT else q
    cdef Py_ssize_t terms = k if kind == LR else p if kind == TR else q
    cdef Py_ssize_t by_row = n if kind == TR else terms * n, by_term = k * n if kind == TR else n
    cdef Py_ssize_t by_column = q * n if kind == RT else n, right_by_term = n if kind == RT else q * n
    if HAS_TILES:
        loop_tiles_of_each(n, rows, columns, terms, left, by_row, by_term, right, by_column, right_by_term, out)
        return
    for i in range(rows):
        for j in range(columns):
            loop_sum_of_products(
                n, terms, out + (i * columns + j) * n, left + i * by_row, by_term, right + j * by_column, right_by_term)


cdef void small_product(
    Kind kind, bint add, Py_ssize_t p, Py_ssize_t k, Py_ssize_t q, double* left, Py_ssize_t s, double* right,
    double* out, Py_ssize_t out_step,
) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef double amount
    if kind == LR:
        for i in range(p):
            if q == 1:
                out[i] = loop_dot(k, left + i * s, right)
            else:
                loop_combine(q, out + i * q, k, left + i * s, 1, right, q, False)
    elif kind == TR:
        if q == 1:
            loop_combine(k, out, p, right, 1, left, s, False)
        else:
            for i in range(k):
                loop_combine(q, out + i * q, p, left + i, s, right, q, False)
    elif q <= 4:  # rows of out are long beside those of the operands
        for i in range(p):
            if q == 1:
                loop_combine(k, out + i * out_step, 1, left + i, 1, right, 0, add)
            else:
                for j in range(k):
                    amount = left[i * q] * right[j * q] + left[i * q + 1] * right[j * q + 1]
                    if q > 2:
                        amount += left[i * q + 2] * right[j * q + 2]
                    if q > 3:
                        amount += left[i * q + 3] * right[j * q + 3]
                    out[i * out_step + j] = out[i * out_step + j] + amount if add else amount
    else:
        for i in range(p):
            for j in range(k):
                amount = loop_dot(q, left + i * q, right + j * q)
                out[i * out_step + j] = out[i * out_step + j] + amount if add else amount


cdef void product_by_rows(Instruction* step, Run* run, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
    """The products that go row by row, with one operand of few rows; q is 1."""
    cdef Py_ssize_t n = run.n, i, r, rows = stop - start
    cdef Operand* left_operand = &step.operands[0]
    cdef double* left = at(run, left_operand, 0)
    cdef double* right = at(run, &step.operands[1], 0)
    cdef double* out = at(run, &step.out, 0)
    cdef Py_ssize_t s = left_operand.step, out_step = step.out.step
    cdef double amount
    if step.kind == LR_BY_ROWS:
        out = at(run, &step.out, start)
        left += start * s
        if n == 1:
            for r in range(rows):
                amount = 0.0
                for i in range(step.k):
                    amount += left[r * s + i] * right[i]
                out[r] = amount
        else:
            for r in range(rows):
                loop_combine(n, out + r * n, step.k, left + r * s, 1, right, n, False)
    elif step.kind == LR_TO_FEW:
        right = at(run, &step.operands[1], start)
        for i in range(step.p):
            if n == 1:
                amount = loop_dot(rows, left + i * s + start, right)
                out[i] = amount if start == 0 else out[i] + amount
            else:
                loop_combine(n, out + i * n, rows, left + i * s + start, 1, right, n, start != 0)
    elif step.kind == TR_BY_ROWS:
        out = at(run, &step.out, start)
        if n == 1:
            loop_combine(rows, out, step.p, right, 1, left + start, s, False)
        else:
            for r in range(rows):
                loop_combine(n, out + r * n, step.p, left + start + r, s, right, n, False)
    elif step.kind == TR_TO_FEW:
        right = at(run, &step.operands[1], start)
        for i in range(step.k):
            loop_combine(n, out + i * n, rows, left + start * s + i, s, right, n, start != 0)
    elif step.kind == RT_BY_LEFT:
        left = at(run, left_operand, start)
        out += start * out_step
        for r in range(rows):
            for i in range(step.k):
                amount = loop_dot(n, left + r * n, right + i * n) if n > 1 else left[r] * right[i]
                out[r * out_step + i] = amount if run.first else out[r * out_step + i] + amount
    else:
        right = at(run, &step.operands[1], start)
        out += start
        for i in range(step.p):
            if n == 1:
                loop_combine(rows, out + i * out_step, 1, left + i, 1, right, 0, not run.first)
            else:
                for r in range(rows):
                    amount = loop_dot(n, left + i * n, right + r * n)
                    out[i * out_step + r] = amount if run.first else out[i * out_step + r] + amount


# --- running ----------------------------------------------------------------------------------------------------------

cdef inline void run_instruction(Instruction* step, Run* run, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
    if step.kind < LAST_ELEMENTWISE:
        elementwise(step, run, start, stop)
    elif step.kind >= LR_BY_ROWS:
        product_by_rows(step, run, start, stop)
    elif step.kind >= LR:
        product(step, run)
    elif step.kind >= DISTANCES:
        distances(step, run)
    elif step.kind == OVER_EXAMPLES:
        over_examples(step, run, start, stop)
    elif step.kind == GATHER:
        gather(step, run)
    elif step.kind == PUT or step.kind == ADD or step.kind == ZERO:
        scatter(step, run)
    elif step.kind == FOLD_SUM or step.kind == FOLD_MAXIMUM or step.kind == FOLD_MINIMUM:
        fold(step, run, start, stop)
    elif step.kind == SHARES:
        shares(step, run)
    elif step.kind == LOOKUP:
        lookup(step, run)
    elif step.kind == LOOKUP_SCATTER:
        lookup_scatter(step, run)
    elif step.kind == TIMES_EXAMPLES:
        times_examples(step, run)


cdef void times_examples(Instruction* step, Run* run) noexcept nogil:
    cdef double* out = at(run, &step.out, 0)
    cdef double* x = at(run, &step.operands[0], 0)
    cdef Py_ssize_t r
    for r in range(step.rows):
        out[r] = x[r if step.operands[0].rows > 1 else 0] * <double>run.call.m


# --- how much there is to do ------------------------------------------------------------------------------------------

cdef enum:
    CHUNK_WORK = 60_000  # nanoseconds that a chunk takes at least
    ADDING = 100  # more for each number that is added to the sums of others: a few hundred times what that takes

# roughly, nanoseconds for a number of the result; of a product, for a multiplication
cdef double[<int>RT_BY_RIGHT + 1] work_of_kind
for _kind in range(<int>RT_BY_RIGHT + 1):
    work_of_kind[_kind] = 0.05 if _kind >= LR else 0.25
for _kind, _work in {
    FUNCTION: 1.0, SLOPE: 1.0, NUMPY: 5.0, NUMPY_POWER: 5.0, POWER_SLOPE: 5.0, ENGINE: 20.0, LOGADDEXP: 3.0,
    LOGADDEXP_SHARE: 3.0, ENTROPY: 3.0, SHARES: 1.0, LOOKUP: 2.0, LOOKUP_SCATTER: 2.0, PULL_LEFT: 0.5, PULL_RIGHT: 0.5,
}.items():
    work_of_kind[<int>_kind] = _work


cdef double work_of(Instruction* step) noexcept:
    """Of one example."""
    cdef double n = step.rows
    if step.kind == LOOKUP or step.kind == LOOKUP_SCATTER:
        n = step.p
    elif step.kind == FOLD_SUM or step.kind == FOLD_MAXIMUM or step.kind == FOLD_MINIMUM or step.kind == SHARES:
        n = <double>step.p * step.k
    elif step.kind >= DISTANCES:
        n = <double>step.blocks * step.p * step.k * step.q
    return n * work_of_kind[<int>step.kind]


cdef enum:
    # the parts of a program, in this order
    BEFORE_FORWARD
    BEFORE_BACKWARD
    FORWARD
    BACKWARD
    AFTER
    N_PARTS


cdef class Executor:
    """An array program, ready to run; block_program.py says what its parts are."""

    cdef Py_ssize_t n_instructions, n_groups, n_parameters, n_fixed, block_rows, tile_slots, n_arguments, n_watched
    cdef Instruction* instructions
    cdef Group* groups
    cdef Py_ssize_t parts[N_PARTS + 1]  # the first group of each part
    cdef Argument arguments[MOST_ARGUMENTS]
    cdef Operand cost
    cdef Operand watched[MOST_ARGUMENTS]
    cdef Operand input_gradients[MOST_ARGUMENTS]
    cdef Py_ssize_t n_input_gradients
    cdef bint sums, each  # instead of the mean
    cdef int64_t* tables
    cdef double* constants
    cdef double* memory  # kept for the next call; whoever runs has taken it
    cdef Py_ssize_t size  # of that memory
    cdef readonly Py_ssize_t per_block  # the most examples of a block
    cdef Py_ssize_t n_sums, n_spans, n_added
    cdef Span* spans
    cdef bint adds_to_gradient  # whether the spans are of the gradient too
    cdef double work  # of one example, in nanoseconds

    def __cinit__(
        self, instructions, numbers, tables, groups, parts, constants, arguments, cost, watched, input_gradients,
        str reduce, Py_ssize_t n_parameters, Py_ssize_t block_rows, Py_ssize_t fixed_rows, Py_ssize_t sum_rows,
        Py_ssize_t tile_slots,
    ):
        cdef Py_ssize_t i, k, n = len(instructions)
        cdef int64_t[:, ::1] fields = np.ascontiguousarray(instructions, np.int64).reshape(n, N_FIELDS)
        cdef double[::1] their_numbers = np.ascontiguousarray(numbers, np.float64)
        cdef int64_t[::1] their_tables = np.ascontiguousarray(tables, np.int64)
        cdef double[::1] their_constants = np.ascontiguousarray(constants, np.float64)
        cdef Instruction* step
        self.n_instructions, self.n_groups = n, len(groups)
        self.n_parameters, self.n_fixed, self.n_sums = n_parameters, fixed_rows, sum_rows
        self.block_rows, self.tile_slots = block_rows, tile_slots
        self.n_arguments, self.n_watched = len(arguments), len(watched)
        if max(self.n_arguments, self.n_watched, len(input_gradients)) > MOST_ARGUMENTS:
            raise ValueError(f"an executor takes at most {MOST_ARGUMENTS} arguments and as many gradients of arguments")
        self.instructions = <Instruction*>memory_of(n * sizeof(Instruction))
        self.groups = <Group*>memory_of(self.n_groups * sizeof(Group))
        self.tables = <int64_t*>memory_of(len(tables) * sizeof(int64_t))
        self.constants = <double*>memory_of(len(constants) * sizeof(double))
        if len(tables):
            memcpy(self.tables, &their_tables[0], len(tables) * sizeof(int64_t))
        if len(constants):
            memcpy(self.constants, &their_constants[0], len(constants) * sizeof(double))
        for i in range(n):
            step = self.instructions + i
            step.operation = &operations[<int>fields[i, 0]]
            step.kind = step.operation.kind
            step.n_operands = <int>fields[i, 1]
            step.rows, step.p, step.k, step.q = fields[i, 2], fields[i, 3], fields[i, 4], fields[i, 5]
            step.table = self.tables + fields[i, 6] if fields[i, 6] >= 0 else NULL
            step.number = their_numbers[i]
            step.blocks = fields[i, 7]
            set_operand(&step.out, &fields[i, 8])
            set_operand(&step.slope, &fields[i, 12])
            for k in range(3):
                set_operand(&step.operands[k], &fields[i, 16 + 4 * k])
        for i in range(self.n_groups):
            self.groups[i].first, self.groups[i].last, self.groups[i].rows, self.groups[i].tiled = groups[i]
        for i in range(N_PARTS + 1):
            self.parts[i] = parts[i]
        for i in range(self.n_arguments):
            self.arguments[i].width, self.arguments[i].place = arguments[i]
        operand_of(&self.cost, cost)
        for i in range(self.n_watched):
            operand_of(&self.watched[i], watched[i])
        self.sums, self.each = reduce == "sum", reduce == "each"
        self.n_input_gradients = len(input_gradients)
        for i in range(self.n_input_gradients):
            operand_of(&self.input_gradients[i], input_gradients[i])
        self.find_spans()
        self.work = 0.0
        for i in range(self.groups_first(FORWARD), self.groups_first(AFTER)):
            self.work += work_of(self.instructions + i)
        self.memory, self.size = NULL, 0
        self.per_block = examples_of_a_block(block_rows)

    def __dealloc__(self):
        PyMem_Free(self.instructions)
        PyMem_Free(self.groups)
        PyMem_Free(self.tables)
        PyMem_Free(self.constants)
        PyMem_Free(self.spans)
        PyMem_RawFree(self.memory)

    cdef Py_ssize_t groups_first(self, int part) noexcept:
        """The first instruction of a part."""
        cdef Py_ssize_t group = self.parts[part]
        return self.groups[group].first if group < self.n_groups else self.n_instructions

    cdef int find_spans(self) except -1:
        """Find the numbers to which the instructions of a block add."""
        cdef Py_ssize_t i, r, rows, size, step
        cdef Instruction* instruction
        cdef Span* span
        found = []
        for i in range(self.groups_first(FORWARD), self.groups_first(AFTER)):
            instruction = self.instructions + i
            if instruction.out.base != SUM and instruction.out.base != GRADIENT:
                continue
            rows, size, step = 1, instruction.rows, 0
            if instruction.kind not in (OVER_EXAMPLES, LOOKUP_SCATTER):  # a matrix
                rows, size, step = instruction.blocks * instruction.p, instruction.k, instruction.out.step
            if size == step:
                rows, size = 1, rows * size
            for r in range(rows):
                found.append([instruction.out.base == GRADIENT, instruction.out.offset + r * step, size])
        found.sort()
        self.spans = <Span*>memory_of(len(found) * sizeof(Span))
        self.n_spans = self.n_added = 0
        self.adds_to_gradient = False
        span = NULL
        for of_gradient, start, n in found:
            if span is not NULL and span.of_gradient == of_gradient and start <= span.start + span.size:
                self.n_added -= span.size
                span.size = max(span.size, <Py_ssize_t>start + n - span.start)  # joined with the one before
            else:
                span = self.spans + self.n_spans
                self.n_spans += 1
                span.of_gradient, span.start, span.size = of_gradient, start, n
            self.adds_to_gradient |= span.of_gradient
            self.n_added += span.size
        return 0

    def chunks(self, Py_ssize_t m):
        """How many chunks the blocks of m examples form. For the tests."""
        cdef Py_ssize_t size = self.block_size(m)
        return self.n_chunks(m, (m + size - 1) // size)

    cdef Py_ssize_t block_size(self, Py_ssize_t m) noexcept:
        """Blocks are of nearly equal size, their rows an odd number of cache lines apart."""
        cdef Py_ssize_t blocks, n = m
        if m > self.per_block:
            blocks = (m + self.per_block - 1) // self.per_block
            n = (m + blocks - 1) // blocks
            n = (n + 7) // 8 * 8
            if n % 16 == 0:
                n += 8
        return max(n, 1)

    cdef Py_ssize_t n_chunks(self, Py_ssize_t m, Py_ssize_t n_blocks) noexcept:
        """A power of 2, so that they share out well; one where there is little to do beside the sums of another."""
        cdef Py_ssize_t chunks = 1
        while (
            2 * chunks <= min(n_blocks, MOST_CHUNKS)
            and 2 * chunks * (CHUNK_WORK + ADDING * self.n_added) <= self.work * m
        ):
            chunks *= 2
        return chunks

    cdef Py_ssize_t largest_of_blas(self, Py_ssize_t n) noexcept:
        """How many multiplications the largest product takes that blocks of n examples leave to BLAS; 0 if none."""
        cdef Py_ssize_t i, largest = 0
        cdef Instruction* step
        for i in range(self.groups_first(FORWARD), self.groups_first(AFTER)):
            step = self.instructions + i
            if may_call_blas(step, n):
                largest = max(largest, max(step.p * step.k * step.q * n, 1))
        return largest

    def lets_blas_use_threads(self, Py_ssize_t m):
        """Whether a call with m examples does; where BLAS has only small products, that takes longer."""
        cdef Py_ssize_t n = self.block_size(m), largest = max(self.largest_of_blas(n), self.largest_of_blas(m % n))
        return self.n_chunks(m, (m + n - 1) // n) == 1 and largest > LARGE

    def run(self, parameters, tuple arrays, gradient=None, tuple input_gradients=None, tuple watched=(), costs=None):
        """The mean cost of m examples, or the sum. All arrays are C-contiguous float64.

        `arrays` are the arguments, with a row for each example. `gradient` receives the gradient of the result,
        `input_gradients`, arrays like the arguments, those with respect to them, `watched` m numbers for each watched
        array, and `costs` the cost of each example. Pass None for any that is not wanted.
        """
        cdef Call call
        cdef Py_ssize_t a, m = len(arrays[0])
        call.n_views = 0
        call.m = m
        call.backwards = gradient is not None
        call.gradient = call.costs = NULL
        if len(arrays) != self.n_arguments:
            raise ValueError(f"expected {self.n_arguments} arrays, got {len(arrays)}")
        try:
            call.theta = doubles(&call, parameters, self.n_parameters, False)
            for a in range(self.n_arguments):
                call.rows[a] = doubles(&call, arrays[a], m * self.arguments[a].width, False)
            for a in range(self.n_input_gradients):
                call.d_rows[a] = NULL
                if input_gradients is not None:
                    call.d_rows[a] = doubles(&call, input_gradients[a], m * self.input_gradients[a].rows, True)
            if costs is not None:
                call.costs = doubles(&call, costs, m, True)
            if gradient is not None:
                call.gradient = doubles(&call, gradient, self.n_parameters, True)
            for a in range(self.n_watched):
                call.watched[a] = doubles(&call, watched[a], m, True)
            return self.run_call(&call)
        finally:
            for a in range(call.n_views):
                PyBuffer_Release(&call.views[a])

    cdef double run_call(self, Call* call) except? -1.0:
        cdef Py_ssize_t m = call.m, n = self.block_size(m), size, fixed, own, t
        cdef double* memory
        cdef double* place
        cdef double mean
        cdef bint held = False
        cdef Blocks of_one_thread
        cdef Blocks* blocks = &of_one_thread
        cdef Py_ssize_t n_blocks = (m + n - 1) // n, n_chunks = self.n_chunks(m, n_blocks)
        cdef Py_ssize_t largest
        cdef int threads = 1
        cdef Run* run
        if n_chunks > 1:
            threads = _threads.available(n_chunks)
        if n_chunks > 1 or _threads.blas_has_threads():
            largest = max(self.largest_of_blas(n), self.largest_of_blas(m % n))
            if largest and (n_chunks > 1 or largest <= LARGE):
                held = _threads.hold_blas()
                threads = threads if held else 1
        try:
            if threads > 1:
                # not on the stack, which helpers would lose if the interpreter ended here, in a daemon thread
                blocks = <Blocks*>memory_of(sizeof(Blocks))
                blocks.call = call[0]
                call = &blocks.call
            blocks.executor, blocks.size, blocks.n_blocks, blocks.n_chunks = <void*>self, n, n_blocks, n_chunks
            blocks.threads = threads
            fixed = lines(self.n_fixed) + lines(self.n_sums)
            blocks.area = lines(self.n_sums) + lines(self.n_parameters if self.adds_to_gradient else 0)
            own = 2 * SCRATCH + self.tile_slots * (TILE_NUMBERS + n) + self.block_rows * n
            own = lines(own + self.n_instructions * 9 // 8 + 1)
            size = fixed + blocks.threads * own + 8
            if n_chunks > 1:
                size += blocks.area * (1 if blocks.threads == 1 else n_chunks - 1)
            memory, self.memory = self.memory, NULL
            if memory is NULL or self.size < size:
                PyMem_RawFree(memory)
                memory = <double*>PyMem_RawMalloc(size * sizeof(double))
                if memory is NULL:
                    raise MemoryError
                self.size = size
                memset(memory, 0, size * sizeof(double))
            else:
                size = self.size
            try:
                place = <double*>((<size_t>memory + 63) & ~<size_t>63)
                for t in range(blocks.threads):
                    run = &blocks.runs[t]
                    run.call, run.instructions = call, self.instructions
                    run.base[PARAMETERS], run.base[CONSTANT] = call.theta, self.constants
                    run.base[FIXED], run.base[SUM] = place, place + lines(self.n_fixed)
                    run.base[GRADIENT] = call.gradient
                    run.scratch = place + fixed + t * own
                    run.base[TILE] = run.scratch + 2 * SCRATCH
                    run.base[BLOCK] = run.base[TILE] + self.tile_slots * (TILE_NUMBERS + n)
                    run.lost = run.base[BLOCK] + self.block_rows * n
                    run.met_tiny = <char*>(run.lost + self.n_instructions)
                blocks.areas = place + fixed + blocks.threads * own
                mean = self.run_blocks(blocks, call)
            finally:
                if self.memory is NULL:
                    self.memory, self.size = memory, size
                else:
                    PyMem_RawFree(memory)
            for t in range(n_chunks):
                if blocks.chunks[t].choices:
                    raise ValueError(
                        f"lookup expected rows from 0 to {blocks.chunks[t].choices - 1}, "
                        f"got {blocks.chunks[t].missing_row:.0f}"
                    )
            return mean
        finally:
            if held:
                _threads.release_blas()
            if blocks != &of_one_thread:
                PyMem_Free(blocks)

    cdef double run_blocks(self, Blocks* blocks, Call* call) except? -1.0:
        cdef Run* run = &blocks.runs[0]
        cdef Py_ssize_t m = call.m, k, a, c
        cdef double total = 0.0, scale
        cdef double* sums = run.base[SUM]
        run.start, run.n, run.first = 0, 1, True
        memset(run.met_tiny, 0, self.n_instructions)
        self.run_part(run, BEFORE_FORWARD)
        if call.backwards:
            self.run_part(run, BEFORE_BACKWARD)
        if blocks.n_blocks == 1:
            self.run_chunk(blocks, run, 0, NULL)
        else:
            _threads.run_parts(run_one_chunk, blocks, blocks.n_chunks, blocks.threads)
        run.base[SUM], run.base[GRADIENT] = sums, call.gradient
        for c in range(blocks.n_chunks):
            total += blocks.chunks[c].total
            if c and blocks.threads > 1:
                self.add_area(blocks, run, c - 1)
        for a in range(self.n_watched):
            if not is_batched(&self.watched[a]):
                loop_fill(m, call.watched[a], at(run, &self.watched[a], 0)[0])
        if not is_batched(&self.cost):
            total = at(run, &self.cost, 0)[0]
            if call.costs is not NULL:
                loop_fill(m, call.costs, total)
        if call.backwards:
            run.n = 1
            run.first = True
            self.run_part(run, AFTER)
            scale = self.scale(m)
            for k in range(self.n_parameters if scale != 1.0 else 0):
                call.gradient[k] /= scale
        return total / self.scale(m)

    cdef void run_chunk(self, Blocks* blocks, Run* run, Py_ssize_t c, _threads.Turn* turn) noexcept nogil:
        """The blocks of one chunk, whose sums begin anew."""
        cdef Py_ssize_t first = blocks.n_blocks * c // blocks.n_chunks
        cdef Py_ssize_t last = blocks.n_blocks * (c + 1) // blocks.n_chunks, b
        cdef Chunk* chunk = &blocks.chunks[c]
        cdef double* main_sums = run.base[FIXED] + lines(self.n_fixed)
        cdef Py_ssize_t area = c - 1 if blocks.threads > 1 else 0
        run.base[SUM], run.base[GRADIENT] = main_sums, run.call.gradient
        if c:
            run.base[SUM] = blocks.areas + area * blocks.area
            run.base[GRADIENT] = run.base[SUM] + lines(self.n_sums)
        chunk.total = 0.0
        run.choices, run.first = 0, True
        memset(run.met_tiny, 0, self.n_instructions)
        for b in range(first, last):
            if turn is not NULL and not _threads.goes_on(turn):
                return
            run.start = b * blocks.size
            run.n = min(blocks.size, run.call.m - run.start)
            chunk.total += self.run_block(run)
            run.first = False
        chunk.choices, chunk.missing_row = run.choices, run.missing_row
        if c and blocks.threads == 1:
            run.base[SUM], run.base[GRADIENT] = main_sums, run.call.gradient
            self.add_area(blocks, run, 0)

    cdef void add_area(self, Blocks* blocks, Run* run, Py_ssize_t area) noexcept nogil:
        """Add the sums of a chunk to those of the first."""
        cdef double* sums = blocks.areas + area * blocks.area
        cdef double* gradient = sums + lines(self.n_sums)
        cdef Py_ssize_t i
        cdef Span* span
        for i in range(self.n_spans):
            span = self.spans + i
            if not span.of_gradient:
                loop_add_to(span.size, run.base[SUM] + span.start, sums + span.start)
            elif run.call.backwards:
                loop_add_to(span.size, run.base[GRADIENT] + span.start, gradient + span.start)

    cdef inline double scale(self, Py_ssize_t m) noexcept nogil:
        """What sums over the examples are divided by; what is the same in every example counts m times in a sum."""
        if is_batched(&self.cost):
            return 1.0 if self.sums or self.each else <double>m
        return 1.0 / m if self.sums else 1.0

    cdef double run_block(self, Run* run) noexcept nogil:
        """The sum of the costs of one block."""
        cdef Py_ssize_t a, i, k, n = run.n, width
        cdef Call* call = run.call
        cdef double* numbers
        cdef double* rows
        cdef double scale = self.scale(call.m)
        cdef double total
        for a in range(self.n_arguments):
            if self.arguments[a].place >= 0:
                width = self.arguments[a].width
                loop_transpose(n, width, run.base[BLOCK] + self.arguments[a].place * n, call.rows[a] + run.start * width)
        self.run_part(run, FORWARD)
        for a in range(self.n_watched):
            if is_batched(&self.watched[a]):
                memcpy(call.watched[a] + run.start, at(run, &self.watched[a], 0), n * sizeof(double))
        total = loop_sum(n, at(run, &self.cost, 0)) if is_batched(&self.cost) else 0.0
        if call.costs is not NULL and is_batched(&self.cost):
            memcpy(call.costs + run.start, at(run, &self.cost, 0), n * sizeof(double))
        if call.backwards:
            self.run_part(run, BACKWARD)
            for a in range(self.n_input_gradients):
                if call.d_rows[a] is not NULL:
                    width = self.input_gradients[a].rows
                    numbers = at(run, &self.input_gradients[a], 0)
                    rows = call.d_rows[a] + run.start * width
                    for k in range(width):
                        for i in range(n):
                            rows[i * width + k] = numbers[k * n + i] / scale
        return total

    cdef void run_part(self, Run* run, int part) noexcept nogil:
        cdef Py_ssize_t g, i, start, stop
        cdef Group* group
        cdef Instruction* instructions = self.instructions
        run.tile_rows = max(1, TILE_NUMBERS // run.n)
        for g in range(self.parts[part], self.parts[part + 1]):
            group = self.groups + g
            if not group.tiled:
                for i in range(group.first, group.last):
                    run_instruction(instructions + i, run, 0, group.rows)
                continue
            start = 0
            while start < group.rows:
                stop = min(start + run.tile_rows, group.rows)
                for i in range(group.first, group.last):
                    run_instruction(instructions + i, run, start, stop)
                start = stop


cdef void run_one_chunk(void* work, Py_ssize_t c, _threads.Turn* turn) noexcept nogil:
    cdef Blocks* blocks = <Blocks*>work
    (<Executor>blocks.executor).run_chunk(blocks, &blocks.runs[turn.thread], c, turn)


cdef inline Py_ssize_t lines(Py_ssize_t n) noexcept nogil:
    """The numbers of as many cache lines as n numbers need."""
    return (n + 7) // 8 * 8


cdef enum:
    N_FIELDS = 28

FIELDS = N_FIELDS  # of an instruction


cdef void set_operand(Operand* operand, int64_t* fields) noexcept:
    operand.base, operand.offset = <int>fields[0], fields[1]
    operand.rows, operand.step = fields[2], fields[3]


cdef int operand_of(Operand* operand, fields) except -1:
    operand.base, operand.offset, operand.rows, operand.step = fields
    return 0

# cython: language_level=3, binding=False, cdivision=True, boundscheck=False, wraparound=False, initializedcheck=False
"""Run a scalar program over many examples: linear arrays forwards and backwards, no Python for each operation.

The program is a list of steps; each computes slot `out` from the slots x, y and z. Slots hold the parameters, the
numbers of the arguments, the constants and the steps' results. One example runs slot by slot and keeps the local
gradients; more examples run in blocks of LANES, with LANES numbers for each slot (_lanes.h).

Where many numbers go through an elementary function, _vector.pyx or NumPy's own loop (_numpy_loops.pxi) computes it.
"""

cimport cython
from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.exc cimport PyErr_CheckSignals
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.object cimport PyObject
from libc.math cimport isfinite
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset, strlen
from tinygrad_scalar.engine cimport _ops
from tinygrad_scalar.engine._ops cimport Code
from tinygrad_scalar.vectorize cimport _threads
from tinygrad_scalar.vectorize._vector cimport (
    VECTOR_EXP, VECTOR_EXPM1, VECTOR_LOG, VECTOR_LOG1P, VECTOR_NORMAL_CDF, VECTOR_SIGMOID, VECTOR_SOFTPLUS, VECTOR_TANH,
    vector_functions,
)

from collections import OrderedDict as _OrderedDict
from types import MappingProxyType as _MappingProxyType

import numpy as np

from tinygrad_scalar.engine import _value
from tinygrad_scalar.vectorize.reach import ABSENT as _ABSENT, elements_of, is_same_number as _is_same_number

cdef object ndarray = np.ndarray, empty = np.empty
cdef object ABSENT = _ABSENT, is_same_number = _is_same_number, MappingProxyType = _MappingProxyType, OrderedDict = _OrderedDict

cdef extern from *:
    """
    #if defined(__GNUC__)
    #define PREFETCH(address) __builtin_prefetch(address)
    #else
    #define PREFETCH(address)
    #endif
    """
    void PREFETCH(void*) noexcept nogil

cdef extern from "_lanes.h":
    enum: LANES
    ctypedef void (*Loop1)(double*, const double*) noexcept nogil
    ctypedef void (*Loop2)(double*, const double*, const double*) noexcept nogil
    void lanes_add(double*, double*, double*) noexcept nogil
    void lanes_subtract(double*, double*, double*) noexcept nogil
    void lanes_multiply(double*, double*, double*) noexcept nogil
    void lanes_divide(double*, double*, double*) noexcept nogil
    void lanes_negate(double*, double*) noexcept nogil
    void lanes_relu(double*, double*) noexcept nogil
    void lanes_absolute(double*, double*) noexcept nogil
    void lanes_sqrt(double*, double*) noexcept nogil
    void lanes_where(double*, double*, double*, double*) noexcept nogil
    void lanes_share(double*, double*, double*) noexcept nogil
    void lanes_minus_absolute(double*, double*) noexcept nogil
    void lanes_minus_twice_absolute(double*, double*) noexcept nogil
    void lanes_sigmoid(double*, double*, double*) noexcept nogil
    void lanes_sigmoid_slope(double*, double*) noexcept nogil
    void lanes_tanh_slope(double*, double*) noexcept nogil
    void lanes_positive(double*, double*) noexcept nogil
    void lanes_sign(double*, double*) noexcept nogil
    void lanes_reciprocal(double*, double*) noexcept nogil
    void lanes_half_reciprocal(double*, double*) noexcept nogil
    void lanes_one_plus_square(double*, double*) noexcept nogil
    void lanes_add_to(double*, double*) noexcept nogil
    void lanes_subtract_from(double*, double*) noexcept nogil
    void lanes_add_product(double*, double*, double*) noexcept nogil
    void lanes_add_twice_product(double*, double*, double*) noexcept nogil
    void lanes_subtract_product(double*, double*, double*) noexcept nogil
    void lanes_add_over(double*, double*, double*) noexcept nogil
    void lanes_subtract_quotient_product(double*, double*, double*, double*) noexcept nogil
    void lanes_add_product_on_path(double*, double*, double*) noexcept nogil
    void lanes_add_where(double*, double*, double*) noexcept nogil
    void lanes_add_unless(double*, double*, double*) noexcept nogil

cdef extern from "../engine/_huge_pages.h":
    void ask_for_huge_pages(void*, size_t) noexcept
    void give_back_freed_memory() noexcept


include "_numpy_loops.pxi"


cdef dict NAMES = {
    _ops.EXP: "exp", _ops.EXPM1: "expm1", _ops.LOG: "log", _ops.LOG1P: "log1p", _ops.SIN: "sin", _ops.COS: "cos",
    _ops.TAN: "tan", _ops.ASIN: "arcsin", _ops.ACOS: "arccos", _ops.ATAN: "arctan", _ops.SINH: "sinh",
    _ops.COSH: "cosh", _ops.TANH: "tanh", _ops.ASINH: "arcsinh", _ops.ACOSH: "arccosh", _ops.ATANH: "arctanh",
}
for _code, _name in NAMES.items():
    find_loop(_code, _name, 1)


# --- the program -----------------------------------------------------------------------------------------------------

cdef enum:
    LOOKUP = 63  # as in pickles; slot `out` is slot tables[y + i] of the z from y on, i being the number in slot x
    ATTACH = 64  # slot `out` is slot x, but its slope in slot y is the number in slot z: see attach.py

cdef enum:  # parts of the number of ATTACH
    PASSES = 1  # whether the gradient goes to slot x too
    ON_PATH = 2  # whether a slope of 0 lets nothing through

cdef struct Instruction:
    int code
    int out
    int x
    int y
    int z
    int slope  # where its local gradients are kept, if at all
    double number

CODES = {**_value.CODES, "lookup": LOOKUP, "attach": ATTACH}


cdef inline bint is_piecewise(int code, double number) noexcept nogil:
    """As `piecewise` in _ops.pxd."""
    return <int>number & ON_PATH if code == ATTACH else _ops.piecewise(<Code>code, number)


cdef inline bint is_binary(int code) noexcept nogil:
    return (
        _ops.ADD <= code <= _ops.GREATER_EQUAL
        or _ops.SIGMOID_OF_DIFFERENCE <= code <= _ops.COSINE
        or _ops.ATAN2_SLOPE <= code <= _ops.LARGEST
    )


cdef inline bint is_ternary(int code) noexcept nogil:
    """Whether it has three operands, and a slope for each."""
    return (
        code == _ops.BINARY_ENTROPY
        or _ops.TIES_OF_MAX <= code <= _ops.SHARED_MIN
        or _ops.SHIFTED_FIRST <= code <= _ops.SHIFTED_LAST
    )


cdef inline int slopes_of(int code) noexcept nogil:
    """How many local gradients an executor keeps; the others are operands, or 1."""
    if code in (_ops.ADD, _ops.SUBTRACT, _ops.MULTIPLY, _ops.WHERE, LOOKUP, ATTACH):
        return 0
    return 3 if is_ternary(code) else 2 if is_binary(code) else 1


cdef inline int operand(Instruction* step, Py_ssize_t k) noexcept nogil:
    return step.x if k == 0 else step.y if k == 1 else step.z


cdef inline bint has_gradient_of(int code, double number, Py_ssize_t k) noexcept nogil:
    """Whether an operation has an operand k to which a gradient goes; of a lookup this is another question."""
    if code == _ops.WHERE:
        return k > 0
    if code == ATTACH:
        return k == 1 or (k == 0 and <int>number & PASSES)
    if _ops.detached(<Code>code, number):
        return False
    return k == 0 or code == _ops.BINARY_ENTROPY or (k == 1 and (is_binary(code) or is_ternary(code)))


cdef inline bint has_gradient(Instruction* step, Py_ssize_t k) noexcept nogil:
    return has_gradient_of(step.code, step.number, k)


cdef inline double contribution_of(int code, double number, double slope, double upstream) noexcept nogil:
    """slope × upstream, as `contribution` in ops.py."""
    cdef double amount = slope * upstream
    return 0.0 if amount != amount and slope == 0.0 and is_piecewise(code, number) else amount


cdef inline double contribution(Instruction* step, double slope, double upstream) noexcept nogil:
    return contribution_of(step.code, step.number, slope, upstream)


cdef enum:
    FEW = 4  # from this many examples on a block is faster
    FEW_IN_MEMORY = 6  # or from this many, if a block is larger than any cache and most orders have several rows
    IN_MEMORY = 64 << 20  # bytes
    USUAL_ARGUMENTS = 16  # memory for more is allocated in each call


cdef void* block(Py_ssize_t size) except NULL:
    cdef void* memory = PyMem_Malloc(max(size, 1))
    if memory is NULL:
        raise MemoryError
    ask_for_huge_pages(memory, size)
    return memory


cdef struct Call:
    # the arrays of a call, held until it returns
    Py_buffer* views
    int n_views
    double* theta
    double* d_theta
    double* watched
    bint alarming  # whether to look for numbers that are not finite, and whether there was one
    bint alarmed
    Py_ssize_t n_arrays
    double** rows
    double** d_rows  # NULL where not wanted, as is d_theta
    Py_ssize_t* widths
    void* memory  # of these, if the arguments are more than usual
    double* usual_rows[2 * USUAL_ARGUMENTS]
    Py_ssize_t usual_widths[USUAL_ARGUMENTS]


cdef int make_room(Call* call, Py_ssize_t n_arrays) except -1:
    """Make a call empty, with room for its arguments."""
    call.views, call.n_views, call.memory = NULL, 0, NULL
    call.d_theta = call.watched = NULL
    call.alarming = call.alarmed = False
    call.n_arrays = n_arrays
    if n_arrays <= USUAL_ARGUMENTS:
        call.rows, call.widths = call.usual_rows, call.usual_widths
    else:
        call.memory = block(3 * n_arrays * sizeof(double))
        call.rows, call.widths = <double**>call.memory, <Py_ssize_t*>call.memory + 2 * n_arrays
    call.d_rows = call.rows + n_arrays
    memset(call.d_rows, 0, n_arrays * sizeof(double*))
    return 0


cdef double* doubles(Call* call, array, Py_ssize_t size, bint writable) except NULL:
    """The numbers of an array of that size; −1 means any size."""
    cdef Py_buffer* view = &call.views[call.n_views]
    PyObject_GetBuffer(array, view, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | (PyBUF_WRITABLE if writable else 0))
    call.n_views += 1
    if view.format[0] != b"d" or view.format[1] != 0 or (size >= 0 and view.len != size * <Py_ssize_t>sizeof(double)):
        raise ValueError(f"expected an array of {f'{size} ' if size >= 0 else ''}float64, got {view.len} bytes of {view.format.decode()!r}")
    return <double*>view.buf


cdef int begin(Call* call, parameters, Py_ssize_t n_parameters, Py_ssize_t n_arrays) except -1:
    make_room(call, n_arrays)
    call.views = <Py_buffer*>block((2 * n_arrays + 3) * sizeof(Py_buffer))
    call.theta = doubles(call, parameters, n_parameters, False)
    return 0


cdef void end(Call* call) noexcept:
    cdef int i
    for i in range(call.n_views):
        PyBuffer_Release(&call.views[i])
    PyMem_Free(call.views)
    PyMem_Free(call.memory)


cdef bint all_finite(double* numbers, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        if not isfinite(numbers[i]):
            return False
    return True


include "_holes.pxi"
include "_machine.pxi"
include "_reuse.pxi"
include "_schedule.pxi"
include "_steps.pxi"


cdef class Executor:
    """A scalar program, ready to run. `steps` has a row (code, out, x, y, z) for each step, with the codes of CODES.

    Slots 0 to n_parameters − 1 are the parameters, the next n_inputs the numbers of all arguments in order; slot
    constant_slots[k] holds constants[k]; `watched` are slots whose numbers are wanted. See `Rows` for the outputs.
    """

    cdef Py_ssize_t n_steps, n_slots, n_parameters, n_inputs, n_slopes, n_watched
    cdef Instruction* steps
    cdef int* back  # the steps that a sweep goes through, the last first
    cdef char* by_choice  # for each of these whether it reaches them through lookups alone, and so not in every example
    cdef Py_ssize_t n_back
    cdef bint has_choices
    cdef char* chosen  # for each slot of each example whether a lookup chose it, or what is computed from it
    cdef bint marks_choices  # whether any sweep asks for that
    cdef int* tables
    cdef int* watched
    cdef double* memory  # v, d and slopes of one example or block
    cdef double* v
    cdef double* d
    cdef double* slopes
    cdef double* scratch
    cdef Py_ssize_t lanes  # how many examples the memory holds at once: 1 or LANES; 0 if there is none
    cdef bint is_twin  # whether the program is another executor's
    cdef Instruction* missing_row  # a lookup of a row that its table lacks, and that row
    cdef double wanted_row
    cdef Py_ssize_t n_constants
    cdef int* constant_slots
    cdef double* constants

    def __cinit__(
        self, steps, numbers=None, tables=None, Py_ssize_t n_slots=0, Py_ssize_t n_parameters=0,
        Py_ssize_t n_inputs=0, constant_slots=None, constants=None, int cost=0, watched=None,
    ):
        """With another executor instead of steps it becomes that one's twin, which must not outlive it."""
        cdef Py_ssize_t i, n
        cdef int[:, ::1] rows
        cdef double[::1] their_numbers
        if isinstance(steps, Executor):
            self.share(steps)
            return
        n = len(steps)
        rows = np.ascontiguousarray(steps, np.int32).reshape(n, 5)
        their_numbers = np.ascontiguousarray(numbers, np.float64)
        self.n_steps, self.n_slots, self.n_parameters, self.n_inputs = n, n_slots, n_parameters, n_inputs
        self.n_constants, self.n_watched = len(constants), len(watched)
        self.steps = <Instruction*>block(n * sizeof(Instruction))
        self.tables = <int*>block(len(tables) * sizeof(int))
        self.watched = <int*>block(self.n_watched * sizeof(int))
        self.constant_slots = <int*>block(self.n_constants * sizeof(int))
        self.constants = <double*>block(self.n_constants * sizeof(double))
        for i in range(len(tables)):
            self.tables[i] = tables[i]
        for i in range(self.n_watched):
            self.watched[i] = watched[i]
        for i in range(self.n_constants):
            self.constant_slots[i] = constant_slots[i]
            self.constants[i] = constants[i]
        for i in range(n):
            self.steps[i].code = rows[i, 0]
            self.steps[i].out = rows[i, 1]
            self.steps[i].x = rows[i, 2]
            self.steps[i].y = rows[i, 3]
            self.steps[i].z = rows[i, 4]
            self.steps[i].number = their_numbers[i]
            self.steps[i].slope = <int>self.n_slopes
            self.n_slopes += slopes_of(rows[i, 0])
        self.lanes = 0

    cdef int share(self, Executor other) except -1:
        """Run the program of another executor, with memory of its own."""
        self.is_twin = True
        self.n_steps, self.n_slots, self.n_parameters, self.n_inputs = (
            other.n_steps, other.n_slots, other.n_parameters, other.n_inputs)
        self.n_slopes, self.n_watched, self.n_constants = other.n_slopes, other.n_watched, other.n_constants
        self.steps, self.tables, self.watched = other.steps, other.tables, other.watched
        self.constant_slots, self.constants = other.constant_slots, other.constants
        self.marks_choices = other.marks_choices
        return 0

    def __dealloc__(self):
        PyMem_Free(self.memory)
        if self.is_twin:
            return
        PyMem_Free(self.steps)
        PyMem_Free(self.tables)
        PyMem_Free(self.watched)
        PyMem_Free(self.constant_slots)
        PyMem_Free(self.constants)

    cdef int make_memory(self, Py_ssize_t lanes) except -1:
        """Memory for that many examples at once, all zeros."""
        cdef Py_ssize_t numbers = (2 * self.n_slots + self.n_slopes + 4) * lanes + 8
        cdef double* memory
        cdef size_t start
        cdef Py_ssize_t i, k
        if self.lanes == lanes:
            return 0
        if self.marks_choices:
            numbers += self.n_slots * lanes // 8 + 1
        self.lanes = 0
        PyMem_Free(self.memory)  # first, as both are large
        self.memory = memory = <double*>PyMem_Calloc(numbers, sizeof(double))
        if memory is NULL:
            raise MemoryError
        ask_for_huge_pages(memory, numbers * sizeof(double))
        start = (<size_t>memory + 63) & ~<size_t>63
        self.v = <double*>start
        self.d = self.v + self.n_slots * lanes
        self.slopes = self.d + self.n_slots * lanes
        self.scratch = self.slopes + self.n_slopes * lanes
        self.chosen = <char*>(self.scratch + 4 * lanes)
        self.lanes = lanes
        for k in range(self.n_constants):
            for i in range(lanes):
                self.v[self.constant_slots[k] * lanes + i] = self.constants[k]
        return 0

    cdef inline int row(self, Instruction* step, double index) noexcept nogil:
        """The slot that a lookup chooses; for a missing row the first, and the error is raised later."""
        if 0.0 <= index < step.z:
            return self.tables[step.y + <int>index]
        self.missing_row, self.wanted_row = step, index
        return self.tables[step.y]

    cdef inline void choose_below(self, Instruction* step, Py_ssize_t i) noexcept nogil:
        """Note that a gradient reaches the operands of a step in lane i."""
        cdef Py_ssize_t k, lanes = self.lanes
        if step.code == LOOKUP:
            self.chosen[self.row(step, self.v[step.x * lanes + i]) * lanes + i] = 1
            return
        for k in range(3):
            if has_gradient(step, k):
                self.chosen[operand(step, k) * lanes + i] = 1

    # --- one example -------------------------------------------------------------------------------------------------

    cdef void forward_one(self) noexcept nogil:
        cdef Py_ssize_t s
        cdef Instruction* step
        cdef double* v = self.v
        cdef double* slope
        for s in range(self.n_steps):
            step = self.steps + s
            slope = self.slopes + step.slope
            if step.code == _ops.MULTIPLY:
                v[step.out] = v[step.x] * v[step.y]
            elif step.code == _ops.ADD:
                v[step.out] = v[step.x] + v[step.y]
            elif step.code == _ops.SUBTRACT:
                v[step.out] = v[step.x] - v[step.y]
            elif is_binary(step.code):
                _ops.binary(<Code>step.code, v[step.x], v[step.y], v + step.out, slope, slope + 1)
            elif step.code == _ops.WHERE:
                v[step.out] = v[step.y] if v[step.x] != 0.0 else v[step.z]
            elif is_ternary(step.code):
                _ops.ternary(<Code>step.code, v[step.x], v[step.y], v[step.z], v + step.out, slope)
            elif step.code == ATTACH:
                v[step.out] = v[step.x]
            elif step.code == LOOKUP:
                v[step.out] = v[self.row(step, v[step.x])]
            else:
                _ops.unary(<Code>step.code, step.number, v[step.x], v + step.out, slope)

    cdef void backward_one(self) noexcept nogil:
        cdef Py_ssize_t s
        cdef Instruction* step
        cdef double* v = self.v
        cdef double* d = self.d
        cdef double* slope
        cdef double upstream
        cdef int* back = self.back
        cdef char* by_choice = self.by_choice
        cdef Instruction* steps = self.steps
        cdef bint has_choices = self.has_choices
        for s in range(self.n_back):
            step = steps + back[s]
            upstream = d[step.out]
            d[step.out] = 0.0
            if has_choices and by_choice[s]:
                if not self.chosen[step.out]:
                    continue  # it can be infinitely steep
                self.chosen[step.out] = 0
                self.choose_below(step, 0)
            elif has_choices and step.code == LOOKUP:
                self.choose_below(step, 0)
            if step.code == _ops.MULTIPLY:
                d[step.x] += v[step.y] * upstream
                d[step.y] += v[step.x] * upstream
            elif step.code == _ops.ADD:
                d[step.x] += upstream
                d[step.y] += upstream
            elif step.code == _ops.SUBTRACT:
                d[step.x] += upstream
                d[step.y] -= upstream
            elif is_binary(step.code):
                slope = self.slopes + step.slope
                d[step.x] += contribution(step, slope[0], upstream)
                d[step.y] += contribution(step, slope[1], upstream)
            elif step.code == _ops.WHERE:
                d[step.y if v[step.x] != 0.0 else step.z] += upstream
            elif is_ternary(step.code):
                slope = self.slopes + step.slope
                d[step.x] += contribution(step, slope[0], upstream)
                d[step.y] += contribution(step, slope[1], upstream)
                if has_gradient(step, 2):
                    d[step.z] += contribution(step, slope[2], upstream)
            elif step.code == ATTACH:
                if has_gradient(step, 0):
                    d[step.x] += upstream
                d[step.y] += contribution(step, v[step.z], upstream)
            elif step.code == LOOKUP:
                d[self.row(step, v[step.x])] += upstream
            else:
                d[step.x] += contribution(step, self.slopes[step.slope], upstream)

    # --- a block of examples -----------------------------------------------------------------------------------------

    cdef void forward_lanes(self) noexcept nogil:
        cdef Py_ssize_t s, i, k
        cdef double slopes[3]
        cdef Instruction* step
        cdef double* v = self.v
        cdef double* x
        cdef double* y
        cdef double* out
        cdef double* slope
        cdef double* e = self.scratch
        cdef int code
        for s in range(self.n_steps):
            step = self.steps + s
            code = step.code
            out = v + step.out * LANES
            x = v + step.x * LANES
            slope = self.slopes + step.slope * LANES
            if is_binary(code):
                y = v + step.y * LANES
                if code == _ops.MULTIPLY:
                    lanes_multiply(out, x, y)
                elif code == _ops.ADD:
                    lanes_add(out, x, y)
                elif code == _ops.SUBTRACT:
                    lanes_subtract(out, x, y)
                elif code == _ops.DIVIDE:
                    lanes_divide(out, x, y)
                elif code == _ops.MAXIMUM:
                    rows_maximum(LANES, out, x, 1, y, 1)
                    lanes_share(slope, x, y)
                    lanes_share(slope + LANES, y, x)
                elif code == _ops.MINIMUM:
                    rows_minimum(LANES, out, x, 1, y, 1)
                    lanes_share(slope, y, x)
                    lanes_share(slope + LANES, x, y)
                elif code == _ops.GREATER:
                    rows_greater(LANES, out, x, 1, y, 1)
                    memset(slope, 0, 2 * LANES * sizeof(double))
                elif code == _ops.GREATER_EQUAL:
                    rows_greater_equal(LANES, out, x, 1, y, 1)
                    memset(slope, 0, 2 * LANES * sizeof(double))
                else:
                    for i in range(LANES):
                        _ops.binary(<Code>code, x[i], y[i], out + i, slope + i, slope + LANES + i)
            elif code == _ops.TANH:
                numpy_function(_ops.TANH, LANES, out, x)
                lanes_minus_twice_absolute(e, x)
                numpy_function(_ops.EXP, LANES, e, e)
                lanes_tanh_slope(slope, e)
            elif code == _ops.SIGMOID:
                lanes_minus_absolute(e, x)
                numpy_function(_ops.EXP, LANES, e, e)
                lanes_sigmoid(out, x, e)
                lanes_sigmoid_slope(slope, e)
            elif code == _ops.RELU:
                lanes_relu(out, x)
                lanes_positive(slope, x)
            elif code == _ops.NEGATE:
                lanes_negate(out, x)
            elif code == _ops.ABSOLUTE:
                lanes_absolute(out, x)
                lanes_sign(slope, x)
            elif code == _ops.EXP:
                numpy_function(_ops.EXP, LANES, out, x)
            elif code == _ops.LOG:
                numpy_function(_ops.LOG, LANES, out, x)
                lanes_reciprocal(slope, x)
            elif code == _ops.SQRT:
                lanes_sqrt(out, x)
                lanes_half_reciprocal(slope, out)
            elif code == _ops.SIN:
                numpy_function(_ops.SIN, LANES, out, x)
                numpy_function(_ops.COS, LANES, slope, x)
            elif code == _ops.COS:
                numpy_function(_ops.COS, LANES, out, x)
                numpy_function(_ops.SIN, LANES, slope, x)
            elif code == _ops.TAN:
                numpy_function(_ops.TAN, LANES, out, x)
                lanes_one_plus_square(slope, out)
            elif code == _ops.SINH:
                numpy_function(_ops.SINH, LANES, out, x)
                numpy_function(_ops.COSH, LANES, slope, x)
            elif code == _ops.COSH:
                numpy_function(_ops.COSH, LANES, out, x)
                numpy_function(_ops.SINH, LANES, slope, x)
            elif code == _ops.CONSTANT_POWER and step.number == 2.0:
                lanes_multiply(out, x, x)
            elif code == _ops.WHERE:
                lanes_where(out, x, v + step.y * LANES, v + step.z * LANES)
            elif is_ternary(code):
                for i in range(LANES):
                    _ops.ternary(<Code>code, x[i], v[step.y * LANES + i], v[step.z * LANES + i], out + i, slopes)
                    for k in range(3):
                        slope[k * LANES + i] = slopes[k]
            elif code == ATTACH:
                memcpy(out, x, LANES * sizeof(double))
            elif code == LOOKUP:
                for i in range(LANES):
                    out[i] = v[self.row(step, x[i]) * LANES + i]
            else:
                for i in range(LANES):
                    _ops.unary(<Code>code, step.number, x[i], out + i, slope + i)

    cdef void backward_lanes(self) noexcept nogil:
        cdef Py_ssize_t s, i
        cdef Instruction* step
        cdef double* v = self.v
        cdef double* d = self.d
        cdef double* x
        cdef double* y
        cdef double* dx
        cdef double* dy
        cdef double* slope
        cdef double* upstream
        cdef double kept_x[LANES]
        cdef double kept_y[LANES]
        cdef int code
        cdef int* back = self.back
        cdef Instruction* steps = self.steps
        cdef bint has_choices = self.has_choices, by_choice
        for s in range(self.n_back):
            step = steps + back[s]
            by_choice = has_choices and self.by_choice[s]
            code = step.code
            upstream = d + step.out * LANES
            x = v + step.x * LANES
            dx = d + step.x * LANES
            slope = self.slopes + step.slope * LANES
            if by_choice:
                dy = d + step.y * LANES if is_binary(code) or is_ternary(code) or code == ATTACH else dx
                memcpy(kept_x, dx, sizeof(kept_x))
                memcpy(kept_y, dy, sizeof(kept_y))
            elif has_choices and code == LOOKUP:
                for i in range(LANES):
                    self.choose_below(step, i)
            if is_binary(code):
                y = v + step.y * LANES
                dy = d + step.y * LANES
                if code == _ops.MULTIPLY:
                    lanes_add_product(dx, y, upstream)
                    lanes_add_product(dy, x, upstream)
                elif code == _ops.ADD:
                    lanes_add_to(dx, upstream)
                    lanes_add_to(dy, upstream)
                elif code == _ops.SUBTRACT:
                    lanes_add_to(dx, upstream)
                    lanes_subtract_from(dy, upstream)
                elif code == _ops.DIVIDE:
                    lanes_add_over(dx, y, upstream)
                    lanes_subtract_quotient_product(dy, v + step.out * LANES, y, upstream)
                elif is_piecewise(code, step.number):
                    lanes_add_product_on_path(dx, slope, upstream)
                    lanes_add_product_on_path(dy, slope + LANES, upstream)
                else:
                    lanes_add_product(dx, slope, upstream)
                    lanes_add_product(dy, slope + LANES, upstream)
            elif code == _ops.SHARED_MAX or code == _ops.SHARED_MIN:
                lanes_add_product_on_path(dx, slope, upstream)
                lanes_add_product_on_path(d + step.y * LANES, slope + LANES, upstream)
            elif is_ternary(code):
                lanes_add_product(dx, slope, upstream)
                lanes_add_product(d + step.y * LANES, slope + LANES, upstream)
                if has_gradient(step, 2):
                    lanes_add_product(d + step.z * LANES, slope + 2 * LANES, upstream)
            elif code == ATTACH:
                if has_gradient(step, 0):
                    lanes_add_to(dx, upstream)
                if is_piecewise(code, step.number):
                    lanes_add_product_on_path(d + step.y * LANES, v + step.z * LANES, upstream)
                else:
                    lanes_add_product(d + step.y * LANES, v + step.z * LANES, upstream)
            elif code == _ops.NEGATE:
                lanes_subtract_from(dx, upstream)
            elif code == _ops.EXP:
                lanes_add_product(dx, v + step.out * LANES, upstream)
            elif code == _ops.COS:
                lanes_subtract_product(dx, slope, upstream)
            elif code == _ops.CONSTANT_POWER and step.number == 2.0:
                lanes_add_twice_product(dx, x, upstream)
            elif code == _ops.WHERE:
                lanes_add_where(d + step.y * LANES, x, upstream)
                lanes_add_unless(d + step.z * LANES, x, upstream)
            elif is_piecewise(code, step.number):
                lanes_add_product_on_path(dx, slope, upstream)
            elif code == LOOKUP:
                for i in range(LANES):
                    d[self.row(step, x[i]) * LANES + i] += upstream[i]
            else:
                lanes_add_product(dx, slope, upstream)
            if by_choice:
                for i in range(LANES):
                    if self.chosen[step.out * LANES + i]:
                        self.chosen[step.out * LANES + i] = 0
                        self.choose_below(step, i)
                    else:  # it can be infinitely steep
                        dx[i] = kept_x[i]
                        dy[i] = kept_y[i]
            memset(upstream, 0, LANES * sizeof(double))


# --- few examples ----------------------------------------------------------------------------------------------------

cdef struct ArrayFields:  # the front of NumPy's PyArrayObject, also part of NumPy's ABI
    Py_ssize_t references
    void* type
    char* data
    int ndim
    Py_ssize_t* shape
    Py_ssize_t* strides
    PyObject* base
    PyObject* dtype
    int flags

cdef enum:
    FEW_INTEGERS = 64  # in a call, that need no array of floats
    TOO_MANY = -2
    AS_EXPECTED = 0x0001 | 0x0100  # NumPy's flags: C-contiguous and aligned

cdef object float64 = np.dtype(np.float64), int64 = np.dtype(np.int64)
cdef tuple NO_ARGUMENTS = (np.empty((1, 0)),)  # one example of a function without arguments, as in vectorized.py


cdef inline ArrayFields* array_of(dtype, array) noexcept:
    """The fields of a C-contiguous array of a type of numbers; NULL for anything else."""
    cdef ArrayFields* fields = <ArrayFields*><PyObject*>array
    if type(array) is not ndarray or fields.dtype is not <PyObject*>dtype:
        return NULL
    return fields if fields.flags & AS_EXPECTED == AS_EXPECTED else NULL


def layout_is_known():
    """Whether NumPy's arrays are laid out as this module assumes."""
    array = np.arange(6.0).reshape(2, 3)[:1]
    cdef ArrayFields* fields = <ArrayFields*><PyObject*>array
    address = array.__array_interface__["data"][0]
    if <size_t>fields.data != <size_t>address or (fields.ndim, fields.dtype is <PyObject*>float64) != (2, True):
        return False
    return (fields.shape[0], fields.shape[1], fields.flags) == (1, 3, array.flags.num)


cdef bint LAYOUT_IS_KNOWN = layout_is_known()


include "_held.pxi"


cdef class Quick:
    """A machine bound to its parameters, for calls that take a microsecond: arrays are read where they are."""

    cdef Machine machine
    cdef object parameters
    cdef Py_ssize_t most
    cdef Py_ssize_t n_arrays
    cdef object shapes
    cdef tuple places, integer
    cdef dict others
    cdef bint has_integers, wrt_inputs, has_no_arguments
    cdef bint (*held)(tuple) except -1  # called through a pointer: inlined, it would slow down all the rest

    def __init__(
        self, Machine machine, parameters, tuple shapes, Py_ssize_t most, tuple places=(), tuple integer=(),
        dict others=None, bint wrt_inputs=False,
    ):
        """For arguments that have `shapes`, of integers where `integer` says so.

        The machine, which may be None, runs at most `most` examples; `others` has what runs other numbers of examples.
        Gradients that are wanted `wrt_inputs` are a list beside the parameters'.
        """
        self.machine, self.parameters, self.shapes, self.most = machine, parameters, shapes, most
        self.n_arrays = len(shapes)
        self.integer, self.has_integers, self.others = integer, any(integer), {} if others is None else others
        self.wrt_inputs, self.has_no_arguments = wrt_inputs, shapes == ((0,),)
        self.places, self.held = places or None, all_held

    def answer(self, tuple arrays):
        """The mean cost and its gradient; None unless the arrays are float64 or int64 and of the expected shapes.

        None too if there is a row missing: the way that takes longer says whose it is.
        """
        cdef Call call
        cdef Py_ssize_t m
        cdef double[FEW_INTEGERS] floats
        cdef ArrayFields* fields = array_of(float64, self.parameters)
        if self.has_no_arguments:
            if arrays:
                return None
            arrays = NO_ARGUMENTS
        if not LAYOUT_IS_KNOWN or len(arrays) != self.n_arrays or fields is NULL or fields.ndim != 1:
            return None
        make_room(&call, self.n_arrays)
        try:
            m = self.take(&call, arrays, floats if self.has_integers else NULL)
            if m == TOO_MANY:
                arrays = self.with_floats(arrays)
                m = self.take(&call, arrays, NULL)
            if m < 0 or (self.places is not None and not self.held(self.places)):
                return None
            return self.run(&call, arrays, m, fields)
        except ValueError:
            return None
        finally:
            PyMem_Free(call.memory)

    cdef object run(self, Call* call, tuple arrays, Py_ssize_t m, ArrayFields* parameters):
        """The answer for these arrays, which are as expected."""
        cdef list inputs
        executor = self.machine if m <= self.most else self.others.get(m)
        if executor is None:
            return None
        gradient = empty(parameters.shape[0])
        if executor is not self.machine:
            return self.answer_by(executor, self.with_floats(arrays), gradient, m)
        if parameters.shape[0] != self.machine.n_parameters:
            return None
        call.theta = <double*>parameters.data
        call.d_theta = <double*>(<ArrayFields*><PyObject*>gradient).data
        if self.wrt_inputs:
            inputs = self.gradients(call, arrays, m)
            return self.machine.run_call(call, m), gradient, inputs
        return self.machine.run_call(call, m), gradient

    cdef tuple answer_by(self, executor, tuple arrays, gradient, Py_ssize_t m):
        """The same by an array program's executor, which also writes gradients of integers."""
        cdef tuple inputs
        if not self.wrt_inputs:
            return executor.run(self.parameters, arrays, gradient), gradient
        inputs = tuple([empty((m, *shape)) for shape in self.shapes])
        mean = executor.run(self.parameters, arrays, gradient, inputs)
        found = [
            None if is_integer else d for d, shape, is_integer in zip(inputs, self.shapes, self.integer) if 0 not in shape
        ]
        return mean, gradient, found

    cdef list gradients(self, Call* call, tuple arrays, Py_ssize_t m):
        """Arrays for the gradients with respect to the arguments: as `Compiled.shaped` gives them."""
        cdef Py_ssize_t a
        cdef list found = []
        for a in range(self.n_arrays):
            if call.widths[a] == 0:
                continue
            gradient = None
            if not self.integer or (<tuple>self.integer)[a] is not True:
                gradient = empty(m if not (<tuple>self.shapes)[a] else arrays[a].shape)
                call.d_rows[a] = <double*>(<ArrayFields*><PyObject*>gradient).data
            found.append(gradient)
        return found

    cdef tuple with_floats(self, tuple arrays):
        """The arrays, those of integers as floats."""
        cdef list given
        cdef Py_ssize_t a, k, size
        cdef ArrayFields* fields
        cdef int64_t* numbers
        cdef double* floats
        if not self.has_integers:
            return arrays
        given = list(arrays)
        for a in range(self.n_arrays):
            fields = array_of(int64, arrays[a])
            if fields is not NULL:
                given[a], size = empty(arrays[a].shape), arrays[a].size
                numbers = <int64_t*>fields.data
                floats = <double*>(<ArrayFields*><PyObject*>given[a]).data
                for k in range(size):
                    floats[k] = <double>numbers[k]
        return tuple(given)

    cdef Py_ssize_t take(self, Call* call, tuple arrays, double* floats) noexcept:
        """The arrays' addresses and how many examples they have; −1 unless they are as expected.

        Integers go to `floats`, if that is given; TOO_MANY if they do not fit.
        """
        cdef Py_ssize_t a, k, m = -1, used = 0, size
        cdef ArrayFields* fields
        cdef tuple shape
        cdef bint is_integer
        for a in range(self.n_arrays):
            is_integer = floats is not NULL and (<tuple>self.integer)[a] is True
            fields = array_of(int64 if is_integer else float64, arrays[a])
            shape = <tuple>(<tuple>self.shapes)[a]
            if fields is NULL or fields.ndim != 1 + len(shape):
                return -1
            if m < 0:
                m = fields.shape[0]
            if m != fields.shape[0] or not 0 < m:
                return -1
            call.widths[a] = 1
            for k in range(len(shape)):
                if fields.shape[k + 1] != <Py_ssize_t>shape[k]:
                    return -1
                call.widths[a] *= fields.shape[k + 1]
            call.rows[a] = <double*>fields.data
            if is_integer and used <= FEW_INTEGERS:
                size = m * call.widths[a]
                for k in range(size if used + size <= FEW_INTEGERS else 0):
                    floats[used + k] = <double>(<int64_t*>fields.data)[k]
                call.rows[a] = floats + used
                used += size
        return m if used <= FEW_INTEGERS else TOO_MANY


cdef class QuickValues(Quick):
    """The same for the costs alone: `others` has what runs, the machine with the cost as its one watched slot."""

    cdef object run(self, Call* call, tuple arrays, Py_ssize_t m, ArrayFields* parameters):
        executor = self.others.get(m)
        if executor is None or (executor is self.machine and parameters.shape[0] != self.machine.n_parameters):
            return None
        costs = empty(m)
        if executor is not self.machine:
            executor.run(self.parameters, self.with_floats(arrays), None, None, (), costs)
            return costs
        call.theta = <double*>parameters.data
        call.watched = <double*>(<ArrayFields*><PyObject*>costs).data
        self.machine.run_call(call, m)
        return costs


include "_rows.pxi"
include "_products.pxi"
include "_profile.pxi"

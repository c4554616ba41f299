# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
# cython: c_api_binop_methods=True, cdivision=True, warn.unused=True
"""`Value` and the walks over its graph in C: the same behaviour as value.py and graph.py, which say what and why.

Why it is fast
- A node is 96 bytes: its numbers, and counted pointers to its row of the table and its operands. The garbage collector
  does not visit it, because a graph of operations cannot have cycles. Only through the attributes of an instance of a
  subclass can a node refer to one that is computed from it: such instances, and all that is computed from them, are
  known to the collector ("collected").
- A walk marks each node it visits with the walk's number and keeps its path on its own stack.
- The numbers come from `_ops.pxd`, the table in C.

Nothing in a pass over a graph calls Python, except for operations that have no code in `_ops.pxd` and while
`detect_anomaly` watches; so passes are atomic for other threads. Docstrings are only in value.py, bulk.py and
graph_arrays.py.

No list comprehensions here: when their append runs out of memory, Cython 3.3 drops one reference too many.
"""

cimport cython
from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer,
)
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_Clear, PyErr_Occurred
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.long cimport PyLong_CheckExact
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.object cimport PyObject
from libc.string cimport memcpy, memset
from tinygrad_scalar.engine cimport _ops
from tinygrad_scalar.engine._ops cimport Code

import os
import sys

from tinygrad_scalar.engine import anomaly, bulk, errors, graph, graph_arrays, groups, lists, numpy_names, observers
from tinygrad_scalar.engine import ops, pickling, tracing, value as plain
from tinygrad_scalar.engine.exponentials import exact_log_of_sum
from tinygrad_scalar.engine.number import as_float, required
from tinygrad_scalar.screen import counted

cdef extern from "Python.h":
    enum: Py_TPFLAGS_HAVE_GC
    ctypedef int (*visitproc)(PyObject*, void*) noexcept

    ctypedef struct PyTypeObject:
        const char* tp_name
        unsigned long tp_flags
        int (*tp_is_gc)(PyObject*) noexcept
        PyObject* (*tp_new)(PyTypeObject*, PyObject*, PyObject*) noexcept
        int (*tp_traverse)(PyObject*, visitproc, void*) noexcept
        PyObject* (*tp_alloc)(PyTypeObject*, Py_ssize_t) noexcept
        void (*tp_dealloc)(PyObject*) noexcept
        void (*tp_free)(void*) noexcept
        const char* tp_doc

    void PyErr_NoMemory() noexcept
    double PyLong_AsDouble(object)  # callers check whether it raised
    Py_ssize_t Py_REFCNT(PyObject*)
    PyTypeObject* Py_TYPE(PyObject*)
    PyObject* PyObject_Init(PyObject*, PyTypeObject*)
    PyObject* _PyObject_GC_New(PyTypeObject*)
    void PyObject_GC_Del(void*)
    void PyObject_GC_Track(void*)
    void PyObject_GC_UnTrack(void*)
    void Py_DECREF(PyObject*)
    void Py_INCREF(PyObject*)
    void Py_XDECREF(PyObject*)
    void Py_XINCREF(PyObject*)

cdef extern from *:
    """
    #if defined(__GNUC__)
    #define PREFETCH(address) __builtin_prefetch(address)
    #else
    #define PREFETCH(address)
    #endif
    #define STEAL(object) (object)
    #if PY_VERSION_HEX < 0x030E0000 && !defined(Py_GIL_DISABLED) && !defined(Py_TRACE_REFS) && !defined(Py_REF_DEBUG)
    #define BEGIN(node, type) ((node)->ob_refcnt = 1, (node)->ob_type = (type))
    #else
    #define BEGIN(node, type) PyObject_Init((node), (type))
    #endif
    """
    void PREFETCH(void*) noexcept
    object STEAL(PyObject*)  # the same reference, counted by Cython from here on
    void BEGIN(PyObject*, PyTypeObject*)  # PyObject_Init for a static type

include "_memory.pxi"

cdef inline long long larger(long long x, long long y) noexcept:
    return x if x > y else y  # max and min are those of _functions.pxi here


cdef long long clock = 1  # the time of the last change to any leaf, see value.py
cdef long long last_set = 1  # the time of the last change to a leaf that was there before
cdef unsigned long long walks = 1 << 62  # the number of the last walk: they are counted from here
cdef int watching = 0  # how many detect_anomaly() blocks are open


def _set_watching(int blocks):
    global watching
    watching = blocks


anomaly.listeners.append(_set_watching)

cdef bint observed = False  # whether new nodes are to be told of
cdef dict told_of_nodes = observers.active


def _look_for_observers():
    global observed
    observed = len(told_of_nodes) > 0


observers.listeners.append(_look_for_observers)

cdef bint traced = False  # whether a function is being traced
cdef dict tracers = tracing.active


def _look_for_tracers():
    global traced
    traced = len(tracers) > 0  # without any Python code in between that another thread could interrupt


tracing.listeners.append(_look_for_tracers)


# --- the rows of the table ------------------------------------------------------------------------------------------

CODES = {  # by name or family; used by the scalar programs of `vectorize` too
    "+": _ops.ADD, "-": _ops.SUBTRACT, "*": _ops.MULTIPLY, "/": _ops.DIVIDE, "**": _ops.POWER,
    "maximum": _ops.MAXIMUM, "minimum": _ops.MINIMUM, "logaddexp": _ops.LOGADDEXP,
    "logsumexp of next": _ops.LOGADDEXP,
    "greater": _ops.GREATER, "greater_equal": _ops.GREATER_EQUAL,
    "atan2": _ops.ATAN2, "hypot": _ops.HYPOT, "xlogy": _ops.XLOGY, "cosine": _ops.COSINE,
    "log2": _ops.LOG2, "log10": _ops.LOG10, "exp2": _ops.EXP2, "cbrt": _ops.CBRT, "floor": _ops.FLOOR,
    "ceil": _ops.CEIL, "sign": _ops.SIGN, "normal cdf": _ops.NORMAL_CDF, "gelu": _ops.GELU, "silu": _ops.SILU,
    "elu": _ops.ELU, "selu": _ops.SELU, "mish": _ops.MISH, "hardtanh": _ops.HARDTANH, "softsign": _ops.SOFTSIGN,
    "neg": _ops.NEGATE, "abs": _ops.ABSOLUTE, "exp": _ops.EXP, "expm1": _ops.EXPM1, "log": _ops.LOG,
    "log1p": _ops.LOG1P, "sqrt": _ops.SQRT, "sin": _ops.SIN, "cos": _ops.COS, "tan": _ops.TAN, "asin": _ops.ASIN,
    "acos": _ops.ACOS, "atan": _ops.ATAN, "sinh": _ops.SINH, "cosh": _ops.COSH, "tanh": _ops.TANH,
    "asinh": _ops.ASINH, "acosh": _ops.ACOSH, "atanh": _ops.ATANH, "sigmoid": _ops.SIGMOID, "relu": _ops.RELU,
    "softplus": _ops.SOFTPLUS, "erf": _ops.ERF, "**n": _ops.CONSTANT_POWER, "leaky_relu": _ops.LEAKY_RELU,
    "where": _ops.WHERE, "binary cross-entropy": _ops.BINARY_ENTROPY,
    "sigmoid slope": _ops.SIGMOID_SLOPE, "tanh slope": _ops.TANH_SLOPE, "one minus square": _ops.ONE_MINUS_SQUARE,
    "σ of difference": _ops.SIGMOID_OF_DIFFERENCE, "copy": _ops.COPY, "atan2 slope": _ops.ATAN2_SLOPE,
    "max of first": _ops.MAXIMUM, "max of next": _ops.MAXIMUM,
    "min of first": _ops.MINIMUM, "min of next": _ops.MINIMUM,
    "ties of max": _ops.TIES_OF_MAX, "ties of min": _ops.TIES_OF_MIN,
    "largest of two": _ops.LARGEST, "shared max": _ops.SHARED_MAX, "shared min": _ops.SHARED_MIN,
    "shifted first": _ops.SHIFTED_FIRST, "shifted next": _ops.SHIFTED_NEXT, "shifted last": _ops.SHIFTED_LAST,
}
cdef dict OWN_CODES = {  # the same of what vectorize reads as other operations
    "sum(n)": _ops.SUM, "mean(n)": _ops.MEAN, "dot(n)": _ops.DOT, "norm(n)": _ops.NORM,
    "max(n)": _ops.MAX, "min(n)": _ops.MIN, "logsumexp(n)": _ops.LOGSUMEXP, "exp of difference": _ops.EXP_OF_DIFFERENCE,
    "largest(n)": _ops.LARGEST_OF_LIST, "sumexp_below(n)": _ops.SUMEXP_BELOW, "logsumexp_below(n)": _ops.LOGSUMEXP_BELOW,
    "share": _ops.SHARE,
}


@cython.final
cdef class Row:
    """A row of the table as nodes refer to it: its code in C, and the operation's constant if it has one."""

    cdef Code code
    cdef double number
    cdef object operation
    cdef Py_ssize_t arity
    cdef bint piecewise
    cdef bytes marks  # if it has detached operands, 1 for each of these and 0 for each other
    cdef const char* detached  # the same, or NULL

    def __cinit__(self, operation):
        name = operation.family or operation.name
        self.code = OWN_CODES.get(name) or CODES.get(name, _ops.TABLE)
        self.number = operation.constant or 0.0
        self.operation = operation
        self.arity = operation.arity
        self.piecewise = operation.piecewise
        if operation.detached:
            marks = bytearray(self.arity)
            for i in operation.detached:
                marks[i] = 1
            self.marks = bytes(marks)
            self.detached = self.marks


cdef dict ROWS = {}  # by name
cdef dict POWERS = {}, LEAKY_RELUS = {}  # by number
cdef dict OF_LISTS = {}  # for each operation of a list its rows by number of operands
for _family in lists.OF_LISTS:
    OF_LISTS[_family] = {}


cdef Row row_named(str name):
    cdef Row row = ROWS.get(name)
    if row is not None and row.code != _ops.TABLE:
        return row
    operation = ops.operation(name)
    if operation.family == "**n":
        return constant_power(operation.constant)
    if operation.family == "leaky_relu":
        return leaky_relu(operation.constant)
    if operation.family.endswith("(n)"):
        return list_row(operation.family[:-3], operation.arity)
    if row is None or row.operation is not operation:  # rows can be added and replaced while the program runs
        row = ROWS[name] = Row(operation)
    return row


cdef Row numbered(dict rows, operation, double number):
    """The row of an operation with a constant; some are kept in `rows`."""
    row = rows.get(number)
    if row is None:
        if len(rows) >= 1024:
            rows.clear()
        row = rows[number] = Row(operation(number))
    return row


cdef Row constant_power(double n):
    return numbered(POWERS, ops.constant_power, n)


cdef Row leaky_relu(double slope):
    return numbered(LEAKY_RELUS, ops.leaky_relu, slope + 0.0)  # −0 is 0, as in ops.py


cdef Row _ADD = row_named("+"), _SUBTRACT = row_named("-"), _MULTIPLY = row_named("*"), _DIVIDE = row_named("/")
cdef Row _POWER = row_named("**"), _NEGATE = row_named("neg"), _ABSOLUTE = row_named("abs"), _EXP = row_named("exp")
cdef Row _EXPM1 = row_named("expm1"), _LOG = row_named("log"), _LOG1P = row_named("log1p"), _SQRT = row_named("sqrt")
cdef Row _SIN = row_named("sin"), _COS = row_named("cos"), _TAN = row_named("tan"), _ASIN = row_named("asin")
cdef Row _ACOS = row_named("acos"), _ATAN = row_named("atan"), _SINH = row_named("sinh"), _COSH = row_named("cosh")
cdef Row _TANH = row_named("tanh"), _ASINH = row_named("asinh"), _ACOSH = row_named("acosh")
cdef Row _ATANH = row_named("atanh"), _SIGMOID = row_named("sigmoid"), _RELU = row_named("relu")
cdef Row _SOFTPLUS = row_named("softplus"), _ERF = row_named("erf"), _LOG2 = row_named("log2")
cdef Row _LOG10 = row_named("log10"), _EXP2 = row_named("exp2"), _CBRT = row_named("cbrt"), _FLOOR = row_named("floor")
cdef Row _CEIL = row_named("ceil"), _SIGN = row_named("sign"), _ATAN2 = row_named("atan2"), _HYPOT = row_named("hypot")
cdef Row _GELU = row_named("gelu"), _SILU = row_named("silu"), _ELU = row_named("elu"), _SELU = row_named("selu")
cdef Row _MISH = row_named("mish"), _HARDTANH = row_named("hardtanh"), _SOFTSIGN = row_named("softsign")
cdef Row _MAX_OF_FIRST = row_named("max of first"), _MAX_OF_NEXT = row_named("max of next")
cdef Row _LARGEST_OF_TWO = row_named("largest of two")
cdef Row _MIN_OF_FIRST = row_named("min of first"), _MIN_OF_NEXT = row_named("min of next")
cdef Row _XLOGY = row_named("xlogy"), _MAXIMUM = row_named("maximum"), _MINIMUM = row_named("minimum")
cdef Row _LOGSUMEXP_OF_NEXT = row_named("logsumexp of next")
cdef Row _LOGADDEXP = row_named("logaddexp"), _GREATER = row_named("greater"), _WHERE = row_named("where")
cdef Row _GREATER_EQUAL = row_named("greater_equal")


# --- the node -------------------------------------------------------------------------------------------------------

cdef struct Wide:
    # the operands from the second on, in a node with three or more or of a piecewise operation with two
    Py_ssize_t n
    PyObject** operands
    double* local_grads


cdef class Value:
    """Value(data, label='')\n--\n\n"""

    # Pointers are NULL where there is nothing: the row and the operands of a leaf, the label of a node without one. In
    # this order, the 32 bytes of a node that a walk reads lie in one cache line.
    cdef readonly double _data  # readable as in value.py
    cdef PyObject* _label  # with its lowest bit set if the node is collected
    cdef PyObject* left
    cdef PyObject* right  # or, with its lowest bit set, a Wide*
    cdef unsigned long long mark  # the number of the last walk that visited it
    cdef long long time
    cdef double _grad
    cdef double d_left
    cdef double d_right
    cdef PyObject* row

    __array_priority__ = -1.0

    def __init__(self, data, label=""):
        global clock, last_set
        if self.row is not NULL:
            raise errors.computed(self)
        cdef double number = number_of(data, "data")
        set_label(self, label)
        clock += 1  # made again, it makes nodes computed from it stale; new, it can stand where another stood
        self._data = number
        self._grad = 0.0
        if self.time != 0:
            last_set = clock
        self.time = clock

    # --- what a node holds ------------------------------------------------------------------------------------------

    @property
    def data(self):
        if traced:
            tracing.forbid(self, "data")
        return self._data

    @data.setter
    def data(self, data):
        global clock, last_set
        if self.row is not NULL:
            raise errors.computed(self)
        if traced:
            tracing.forbid(self, "set")
        cdef double number = number_of(data, "data")
        clock += 1
        self.time = last_set = clock
        self._data = number

    @data.deleter
    def data(self):
        raise AttributeError("property 'data' of 'Value' object has no deleter")

    @property
    def grad(self):
        if traced:
            tracing.forbid(self, "gradient")
        return self._grad

    @grad.setter
    def grad(self, grad):
        self._grad = number_of(grad, "grad")

    @grad.deleter
    def grad(self):
        raise AttributeError("property 'grad' of 'Value' object has no deleter")

    @property
    def label(self):
        cdef PyObject* label = label_of(<PyObject*>self)
        return "" if label is NULL else str(<object>label)

    @label.setter
    def label(self, label):
        set_label(self, label)

    @label.deleter
    def label(self):
        raise AttributeError("property 'label' of 'Value' object has no deleter")

    @property
    def op(self):
        return "" if self.row is NULL else (<Row>self.row).operation.name

    @property
    def operands(self):
        if self.left is NULL:
            return ()
        if self.right is NULL:
            return (<object>self.left,)
        if wide_of(self.right) is NULL:
            return (<object>self.left, <object>self.right)
        cdef Py_ssize_t i
        cdef list operands = []
        for i in range(arity(<PyObject*>self)):
            operands.append(<object>operand(<PyObject*>self, i))
        return tuple(operands)

    @property
    def local_grads(self):
        if traced:
            tracing.forbid(self, "gradient")
        if self.left is NULL:
            return ()
        if self.right is NULL:
            return (self.d_left,)
        if wide_of(self.right) is NULL:
            return (self.d_left, self.d_right)
        cdef Py_ssize_t i
        cdef list local_grads = []
        for i in range(arity(<PyObject*>self)):
            local_grads.append(local_grad(<PyObject*>self, i)[0])
        return tuple(local_grads)

    @property
    def _time(self):
        """When it was computed or, for a leaf, set: see `clock`."""
        return self.time

    @property
    def _op(self):
        """The operation, under micrograd's name for it."""
        return self.op

    @property
    def _prev(self):
        return set(self.operands)

    def __repr__(self):
        if traced:
            tracing.forbid(self, "text")
        label = f", label={self.label!r}" if self.label else ""
        return f"Value(data={self._data!r}, grad={self._grad!r}{label})"

    def __format__(self, spec):
        return format(self.data, spec) if spec else repr(self)

    # --- the operators ----------------------------------------------------------------------------------------------

    def __add__(x, y):
        return binary_node(_ADD, x, y)

    def __sub__(x, y):
        return binary_node(_SUBTRACT, x, y)

    def __mul__(x, y):
        return binary_node(_MULTIPLY, x, y)

    def __truediv__(x, y):
        return binary_node(_DIVIDE, x, y)

    def __pow__(x, y, modulo):
        cdef double exponent
        if modulo is not None:
            return NotImplemented
        if isinstance(y, Value):
            return binary_node(_POWER, x, y)
        return unary_node(constant_power(exponent), <Value>x) if is_number(y, &exponent) else NotImplemented

    def __neg__(self):
        return unary_node(_NEGATE, self)

    def __pos__(self):
        return self

    def __abs__(self):
        return unary_node(_ABSOLUTE, self)

    # --- elementary functions; NumPy finds them by these names in object arrays -------------------------------------

    def exp(self): return unary_node(_EXP, self)
    def expm1(self): return unary_node(_EXPM1, self)
    def log(self): return unary_node(_LOG, self)
    def log1p(self): return unary_node(_LOG1P, self)
    def log2(self): return unary_node(_LOG2, self)
    def log10(self): return unary_node(_LOG10, self)
    def exp2(self): return unary_node(_EXP2, self)
    def sqrt(self): return unary_node(_SQRT, self)
    def cbrt(self): return unary_node(_CBRT, self)
    def sin(self): return unary_node(_SIN, self)
    def cos(self): return unary_node(_COS, self)
    def tan(self): return unary_node(_TAN, self)
    def asin(self): return unary_node(_ASIN, self)
    arcsin = asin
    def acos(self): return unary_node(_ACOS, self)
    arccos = acos
    def atan(self): return unary_node(_ATAN, self)
    arctan = atan
    def sinh(self): return unary_node(_SINH, self)
    def cosh(self): return unary_node(_COSH, self)
    def tanh(self): return unary_node(_TANH, self)
    def asinh(self): return unary_node(_ASINH, self)
    arcsinh = asinh
    def acosh(self): return unary_node(_ACOSH, self)
    arccosh = acosh
    def atanh(self): return unary_node(_ATANH, self)
    arctanh = atanh
    def sigmoid(self): return unary_node(_SIGMOID, self)
    def relu(self): return unary_node(_RELU, self)
    def softplus(self): return unary_node(_SOFTPLUS, self)
    def gelu(self): return unary_node(_GELU, self)
    def silu(self): return unary_node(_SILU, self)
    def elu(self): return unary_node(_ELU, self)
    def selu(self): return unary_node(_SELU, self)
    def mish(self): return unary_node(_MISH, self)
    def hardtanh(self): return unary_node(_HARDTANH, self)
    def softsign(self): return unary_node(_SOFTSIGN, self)
    def erf(self): return unary_node(_ERF, self)
    def floor(self): return unary_node(_FLOOR, self)
    __floor__ = floor
    def ceil(self): return unary_node(_CEIL, self)
    __ceil__ = ceil
    def sign(self): return unary_node(_SIGN, self)
    def atan2(self, other): return method_node(_ATAN2, "atan2", self, other)
    arctan2 = atan2
    def hypot(self, other): return method_node(_HYPOT, "hypot", self, other)
    def xlogy(self, other): return method_node(_XLOGY, "xlogy", self, other)

    def clip(self, low, high):
        return method_node(_MINIMUM, "clip", method_node(_MAXIMUM, "clip", self, low), high)

    def leaky_relu(self, slope=0.01):
        cdef double number
        if not is_number(slope, &number):
            ops.leaky_relu(slope)  # raises
        return unary_node(leaky_relu(number), self)

    @staticmethod
    def _recorded(name, *operands):
        return record(name, *operands)

    # --- reading the number: order, truth, and what would lose the gradient -----------------------------------------

    def __lt__(self, other):
        cdef double number
        return self._data < number if compared(self, other, &number) else NotImplemented

    def __le__(self, other):
        cdef double number
        return self._data <= number if compared(self, other, &number) else NotImplemented

    def __gt__(self, other):
        cdef double number
        return self._data > number if compared(self, other, &number) else NotImplemented

    def __ge__(self, other):
        cdef double number
        return self._data >= number if compared(self, other, &number) else NotImplemented

    def __hash__(self):
        return <Py_hash_t>(<size_t><PyObject*>self >> 4)

    def __bool__(self):
        if traced:
            tracing.forbid(self, "truth")
        return self._data != 0.0

    def __float__(self):
        tracing.forbid(self, "float")
        raise errors.loss_of_gradient(self, "float")

    def __int__(self):
        tracing.forbid(self, "int")
        raise errors.loss_of_gradient(self, "int")

    def __round__(self, digits=None):
        tracing.forbid(self, "round")
        raise errors.loss_of_gradient(self, "round")

    _mask = property(errors.without_mask)
    conjugate = numpy_names.conjugate
    fabs = numpy_names.fabs
    deg2rad = radians = numpy_names.radians
    rad2deg = degrees = numpy_names.degrees
    rint = numpy_names.rint
    fmod = numpy_names.fmod
    __trunc__ = numpy_names.trunc

    def __mod__(x, y):
        return numpy_names.remainder(x if isinstance(x, Value) else y)

    def __floordiv__(x, y):
        return numpy_names.floor_divide(x if isinstance(x, Value) else y)

    # --- the passes over the graph ----------------------------------------------------------------------------------

    def backward(self, grad=1.0):
        cdef double upstream = number_of(grad, "the upstream gradient")
        if traced:
            tracing.forbid(self, "gradient")
        cdef Nodes order = interior(self)
        if order.time != clock:
            require_none_older(order)
        if watching:
            anomaly.require_finite_gradients(self, order.as_list(), upstream)
            order = interior(self)  # whatever ran meanwhile can have overwritten the marks
        add_gradients(self, upstream, order)
        keep(order)

    def forward(self):
        global clock
        cdef Nodes order = interior(self)
        cdef long long now = clock + 1  # see value.py
        cdef Py_ssize_t i, far = order.size - NODES_AHEAD if order.size > MANY_NODES else 0
        cdef PyObject* node
        for i in range(order.size):
            if i < far:
                prefetch(order.nodes[i + NODES_AHEAD], order.nodes[i + NODES_AHEAD // 2])
            node = order.nodes[i]
            if older(node):
                clock = larger(clock, now)
                compute(<Value>node)
                if watching:
                    anomaly.watch(<Value>node)
                (<Value>node).time = now
        order.time = clock if clock <= now else -1
        keep(order)
        return self

    def zero_grad(self):
        cdef Nodes order = interior(self)
        cdef Py_ssize_t i, j
        cdef PyObject* node
        self._grad = 0.0
        for i in range(order.size):
            node = order.nodes[i]
            (<Value>node)._grad = 0.0
            for j in range(arity(node)):
                (<Value>operand(node, j))._grad = 0.0
        keep(order)

    # --- copying and pickling, at any depth -------------------------------------------------------------------------

    def __copy__(self):
        return _restore(None, state(self), self.operands)

    def __deepcopy__(self, memo):
        for node in graph.topological_order(self):
            if id(node) not in memo:
                copies = []
                for below in node.operands:
                    copies.append(memo[id(below)])
                memo[id(node)] = _restore(None, state(node), tuple(copies))
        return memo[id(self)]

    def __reduce__(self):
        below = pickling.ancestors(self, graph.topological_order)
        return _restore, (below, state(self), self.operands)


cdef tuple state(Value node):
    tracing.forbid(node, "copy")
    op = "" if node.row is NULL else (<Row>node.row).operation.primitive or (<Row>node.row).operation.name
    cdef PyObject* label = label_of(<PyObject*>node)
    return op, node._data, node._grad, "" if label is NULL else <object>label, node.time, node.local_grads


def _restore(below, state, operands):
    """A node as it was saved; `below` only makes pickle save the nodes below it first."""
    global clock
    op, data, grad, label, time, local_grads = state
    if not isinstance(op, str):
        op = op.op  # as in pickling.py
    cdef Value out = leaf_for(operands)
    out._data = number_of(data, "data")
    set_label(out, label)
    out._grad = grad
    out.time = time
    if op:
        hold(out, row_named(op), operands)
        set_local_grads(out, local_grads)
    clock = larger(clock, out.time) + 1
    return out


# --- the life of a node ---------------------------------------------------------------------------------------------

cdef inline PyObject* new_node(PyObject* row, PyObject* left, PyObject* right) except NULL:
    """A node without its numbers; its references are counted. It is collected if one of its operands is."""
    cdef size_t collected = 0
    cdef PyObject* node
    if left is not NULL:
        collected = <size_t>(<Value>left)._label
    if right is not NULL:
        collected |= <size_t>(<Value>right)._label
    if collected & 1:
        return collected_node(row, left, right)
    node = <PyObject*>take_place()
    if node is NULL:
        raise MemoryError
    BEGIN(node, <PyTypeObject*>Value)
    Py_XINCREF(row)
    Py_XINCREF(left)
    Py_XINCREF(right)
    fill(node, row, left, right)
    return node


cdef inline bint is_light(PyObject* x) noexcept:
    """Whether it is a Value itself, of no subclass, and not collected."""
    return Py_TYPE(x) is <PyTypeObject*>Value and not is_collected(x)


cdef inline PyObject* light_node(PyObject* row, PyObject* left, PyObject* right) except NULL:
    """new_node for two light operands, whose references it takes over."""
    cdef PyObject* node = <PyObject*>take_place()
    if node is NULL:
        Py_DECREF(left)
        Py_DECREF(right)
        raise MemoryError
    BEGIN(node, <PyTypeObject*>Value)
    Py_INCREF(row)
    fill(node, row, left, right)
    return node


cdef PyObject* collected_node(PyObject* row, PyObject* left, PyObject* right) except NULL:
    cdef PyObject* node = _PyObject_GC_New(<PyTypeObject*>Value)
    if node is NULL:
        raise MemoryError
    Py_XINCREF(row)
    Py_XINCREF(left)
    Py_XINCREF(right)
    fill(node, row, left, right)
    (<Value>node)._label = <PyObject*><size_t>1
    PyObject_GC_Track(node)
    return node


cdef Value leaf_for(tuple operands):
    """A leaf, to be given these operands."""
    cdef bint collected = False
    cdef Value leaf
    for thing in operands:
        collected |= isinstance(thing, Value) and is_collected(<PyObject*>thing)
    leaf = <Value>STEAL(collected_node(NULL, NULL, NULL) if collected else new_node(NULL, NULL, NULL))
    leaf._data = leaf.d_left = leaf.d_right = 0.0
    return leaf


cdef inline void fill(PyObject* node, PyObject* row, PyObject* left, PyObject* right) noexcept:
    (<Value>node)._grad = 0.0
    (<Value>node).left = left
    (<Value>node).right = right
    (<Value>node).mark = 0
    (<Value>node).time = clock
    (<Value>node).row = row
    (<Value>node)._label = NULL


cdef PyObject* allocate(PyTypeObject* cls, Py_ssize_t items) noexcept:
    """Value's tp_alloc; a subclass has Python's own."""
    cdef void* place = take_place()
    if place is NULL:
        PyErr_NoMemory()
        return NULL
    memset(place, 0, PLACE)
    return PyObject_Init(<PyObject*>place, cls)


cdef void deallocate(PyObject* node) noexcept:
    """Value's tp_dealloc, called by that of a subclass too."""
    cdef bint has_header = is_collected(node) or Py_TYPE(node) is not <PyTypeObject*>Value
    if has_header:
        PyObject_GC_UnTrack(node)
    drop_row(node)
    Py_XDECREF(label_of(node))
    if has_header:
        PyObject_GC_Del(node)
    else:
        give_place_back(node)


cdef struct Pending:
    # nodes with operands of which the last reference is gone: a queue, linked by their marks, so that what they refer to
    # is on its way from memory while those before them are freed
    PyObject* first
    PyObject* last


cdef inline void release(PyObject* operand, Pending* pending) noexcept:
    """Drop one reference to an operand; if it was the last to a node with operands, that node waits in `pending`."""
    if Py_REFCNT(operand) != 1 or (<Value>operand).left is NULL:
        Py_DECREF(operand)
        return
    PREFETCH((<Value>operand).left)
    PREFETCH(<void*>(<size_t>(<Value>operand).right & ~<size_t>1))
    PREFETCH(&(<Value>operand).row)
    if is_collected(operand):
        PyObject_GC_UnTrack(operand)  # or gc.get_objects() could find it meanwhile
    if pending.first is NULL:
        pending.first = operand
    else:
        (<Value>pending.last).mark = <size_t>operand
    pending.last = operand


cdef inline void drop_row(PyObject* first) noexcept:
    """Clear a node's operation and operands, and free without recursion whatever only it held."""
    if (<Value>first).row is not NULL:
        drop(first)


cdef void drop(PyObject* first) noexcept:
    cdef Pending pending
    cdef PyObject* node = first
    cdef PyObject* left
    cdef PyObject* right
    cdef PyObject* row
    cdef Wide* wide
    cdef Py_ssize_t i
    pending.first = NULL
    while True:
        if node == last_root:
            forget()
        row = (<Value>node).row
        left = (<Value>node).left
        right = (<Value>node).right
        if node is first:
            (<Value>node).row = (<Value>node).left = (<Value>node).right = NULL
        elif is_light(node):
            Py_XDECREF((<Value>node)._label)
            give_place_back(node)
        else:
            (<Value>node).row = (<Value>node).left = (<Value>node).right = NULL
            Py_DECREF(node)  # the last reference
        release(left, &pending)
        if right is not NULL:
            wide = wide_of(right)
            if wide is NULL:
                release(right, &pending)
            else:
                for i in range(wide.n):
                    release(wide.operands[i], &pending)
                PyMem_Free(wide)
        Py_DECREF(row)
        node = pending.first
        if node is NULL:
            return
        pending.first = NULL if node is pending.last else <PyObject*><size_t>(<Value>node).mark


# --- what the garbage collector knows of ----------------------------------------------------------------------------

cdef inline PyObject* label_of(PyObject* node) noexcept:
    return <PyObject*>(<size_t>(<Value>node)._label & ~<size_t>1)


cdef inline int is_collected(PyObject* node) noexcept:
    """Value's tp_is_gc: whether the collector knows it, as an instance of a subclass or a node above one."""
    return <size_t>(<Value>node)._label & 1


cdef list acyclic_classes = []


def acyclic(cls):
    acyclic_classes.append(cls)
    return cls


cdef bint is_acyclic(PyTypeObject* cls) noexcept:
    for known in acyclic_classes:
        if <PyTypeObject*>known is cls:
            return True
    return False


cdef PyObject* new(PyTypeObject* cls, PyObject* arguments, PyObject* keywords) noexcept:
    """Value's tp_new, and that of its subclasses, whose memory Python allocates."""
    cdef PyObject* node = cls.tp_alloc(cls, 0)
    if node is not NULL and cls is not <PyTypeObject*>Value:
        if is_acyclic(cls):
            PyObject_GC_UnTrack(node)
        else:
            (<Value>node)._label = <PyObject*><size_t>1
    return node


cdef int traverse(PyObject* node, visitproc visit, void* argument) noexcept:
    """Value's tp_traverse. There is no tp_clear: every cycle goes through attributes, and those are cleared."""
    cdef Py_ssize_t i
    cdef int stop
    for i in range(arity(node)):
        stop = visit(operand(node, i), argument)
        if stop:
            return stop
    return 0


(<PyTypeObject*>Value).tp_flags |= Py_TPFLAGS_HAVE_GC
(<PyTypeObject*>Value).tp_is_gc = is_collected
(<PyTypeObject*>Value).tp_new = new
(<PyTypeObject*>Value).tp_traverse = traverse
set_up_memory(sizeof(Value), "PYTHONMALLOC" not in os.environ and not sys.flags.dev_mode)
(<PyTypeObject*>Value).tp_alloc = allocate
(<PyTypeObject*>Value).tp_dealloc = deallocate
(<PyTypeObject*>Value).tp_free = give_place_back
(<PyTypeObject*>Value).tp_name = b"tinygrad_scalar.Value"


# --- operands -------------------------------------------------------------------------------------------------------

cdef inline Wide* wide_of(PyObject* right) noexcept:
    return <Wide*>(<size_t>right ^ 1) if <size_t>right & 1 else NULL


cdef inline Py_ssize_t arity(PyObject* node) noexcept:
    cdef PyObject* right = (<Value>node).right
    if right is NULL:
        return (<Value>node).left is not NULL
    cdef Wide* wide = wide_of(right)
    return 2 if wide is NULL else 1 + wide.n


cdef inline PyObject* operand(PyObject* node, Py_ssize_t i) noexcept:
    if i == 0:
        return (<Value>node).left
    cdef Wide* wide = wide_of((<Value>node).right)
    return (<Value>node).right if wide is NULL else wide.operands[i - 1]


cdef inline double* local_grad(PyObject* node, Py_ssize_t i) noexcept:
    if i == 0:
        return &(<Value>node).d_left
    cdef Wide* wide = wide_of((<Value>node).right)
    return &(<Value>node).d_right if wide is NULL else &wide.local_grads[i - 1]


cdef inline PyObject* owned(object thing) noexcept:
    Py_INCREF(<PyObject*>thing)
    return <PyObject*>thing


cdef Wide* new_wide(Py_ssize_t n) except NULL:
    cdef Wide* wide = <Wide*>PyMem_Malloc(sizeof(Wide) + n * (sizeof(PyObject*) + sizeof(double)))
    if wide is NULL:
        raise MemoryError
    wide.n = n
    wide.local_grads = <double*>(wide + 1)
    wide.operands = <PyObject**>(wide.local_grads + n)
    return wide


cdef int hold(Value node, Row row, tuple operands) except -1:
    """Give a leaf the operands of the operation `row`."""
    cdef Py_ssize_t i, n = len(operands)
    cdef Wide* wide
    if n == 0 or n != row.arity:
        raise TypeError(f"{row.operation.name!r} takes {row.arity} operand{'s' * (row.arity > 1)}, got {n}")
    for thing in operands:
        if not isinstance(thing, Value):
            raise TypeError(f"an operand must be a Value, got {errors.shown(thing)}")
    if n > 2 or (n == 2 and row.piecewise):
        wide = new_wide(n - 1)
        for i in range(wide.n):
            wide.operands[i] = owned(operands[i + 1])
            wide.local_grads[i] = 0.0
        node.right = <PyObject*>(<size_t>wide | 1)
    elif n == 2:
        node.right = owned(operands[1])
    node.left = owned(operands[0])
    node.row = owned(row)
    return 0


cdef int set_local_grads(Value node, tuple local_grads) except -1:
    cdef Py_ssize_t i, n = arity(<PyObject*>node)
    if len(local_grads) != n:
        raise ValueError(f"{node.op!r} needs {n} local gradients, got {len(local_grads)}")
    for i in range(n):
        local_grad(<PyObject*>node, i)[0] = local_grads[i]
    return 0


# --- making nodes ---------------------------------------------------------------------------------------------------

cdef int is_number(thing, double* number) except -1:
    """Whether it is a plain number; if so, `number` is set."""
    if PyFloat_CheckExact(thing):
        number[0] = PyFloat_AS_DOUBLE(thing)
        return True
    if PyLong_CheckExact(thing):
        number[0] = PyLong_AsDouble(thing)
        if number[0] != -1.0 or not PyErr_Occurred():
            return True
        PyErr_Clear()  # too large: as_float says so better
    given = as_float(thing)
    if given is None:
        return False
    number[0] = given
    return True


cdef double number_of(thing, str what) except? -1.0:
    cdef double number
    return number if is_number(thing, &number) else required(thing, what)


cdef int set_label(Value node, label) except -1:
    if not isinstance(label, str):
        raise TypeError(f"a Value's label must be a str, got {errors.shown(label)}")
    cdef PyObject* old = label_of(<PyObject*>node)
    cdef size_t collected = <size_t>node._label & 1
    if type(label) is not str or (old is not NULL and type(<object>old) is not str):
        label = groups.relabelled("" if old is NULL else <object>old, label)
    node._label = <PyObject*>(<size_t>(owned(label) if label or type(label) is not str else NULL) | collected)
    Py_XDECREF(old)
    return 0


cdef int compared(Value self, thing, double* number) except -1:
    """Whether it can be compared with a Value; if so, `number` is the number to compare with."""
    if traced:
        tracing.forbid(self, "order")
        if isinstance(thing, Value):
            tracing.forbid(thing, "order")
    if isinstance(thing, Value):
        number[0] = (<Value>thing)._data
        return True
    return is_number(thing, number)


cdef Value constant(thing):
    """A leaf for a plain number in an expression, or None for anything else."""
    cdef Value out
    cdef double number
    if not is_number(thing, &number):
        return None
    out = <Value>STEAL(new_node(NULL, NULL, NULL))
    out._data = number
    out.time = -1  # see value.py
    return out


cdef binary_node(Row row, x, y):
    cdef PyObject* node
    cdef Value left, right
    if isinstance(x, Value):
        left = <Value>x
    else:
        left = constant(x)
        if left is None:
            return NotImplemented
    if isinstance(y, Value):
        right = <Value>y
    else:
        right = constant(y)
        if right is None:
            return NotImplemented
    if row.piecewise:
        return piecewise_node(row, left, right)
    node = new_node(<PyObject*>row, <PyObject*>left, <PyObject*>right)
    _ops.binary(
        row.code, left._data, right._data, &(<Value>node)._data, &(<Value>node).d_left, &(<Value>node).d_right
    )
    return made(node)


cdef method_node(Row row, str name, x, y):
    node = binary_node(row, x, y)
    if node is NotImplemented:
        raise errors.wrong_operand(name, y)
    return node


cdef piecewise_node(Row row, Value left, Value right):
    cdef Value out = <Value>STEAL(new_node(<PyObject*>row, <PyObject*>left, <PyObject*>right))
    cdef Wide* wide = new_wide(1)
    wide.operands[0] = out.right
    out.right = <PyObject*>(<size_t>wide | 1)
    _ops.binary(row.code, left._data, right._data, &out._data, &out.d_left, wide.local_grads)
    if observed:
        observers.tell(out)
    return out


cdef unary_node(Row row, Value x):
    cdef PyObject* node = new_node(<PyObject*>row, <PyObject*>x, NULL)
    _ops.unary(row.code, row.number, x._data, &(<Value>node)._data, &(<Value>node).d_left)
    return made(node)


cdef inline made(PyObject* node):
    """A new node as an operator returns it."""
    out = STEAL(node)
    if observed:
        observers.tell(out)
    return out


cdef inline bint is_of_list(Code code) noexcept:
    return _ops.SUM <= code <= _ops.LOGSUMEXP_BELOW


cdef int compute(Value node) except -1:
    """The number and the local gradients of a node, from its operands' numbers."""
    cdef Row row = <Row>node.row
    cdef PyObject* self = <PyObject*>node
    cdef double x = (<Value>node.left)._data, total
    cdef Py_ssize_t i, n = arity(self)
    cdef list numbers
    cdef bint chosen
    cdef double d[3]
    if row.code == _ops.TABLE:
        numbers = []
        for i in range(n):
            numbers.append((<Value>operand(self, i))._data)
        data = row.operation.forward(*numbers)
        local_grads = row.operation.local_grads(data, *numbers)
        set_local_grads(node, local_grads)
        node._data = data
    elif is_of_list(row.code):
        compute_list(node, row.code)
    elif n == 1:
        _ops.unary(row.code, row.number, x, &node._data, &node.d_left)
    elif n == 2:
        _ops.binary(
            row.code, x, (<Value>operand(self, 1))._data, &node._data, &node.d_left, local_grad(self, 1)
        )
    elif row.code == _ops.BINARY_ENTROPY:
        _ops.binary_entropy(x, (<Value>operand(self, 1))._data, (<Value>operand(self, 2))._data, &node._data, d)
        for i in range(3):
            local_grad(self, i)[0] = d[i]
    elif row.code == _ops.SHARE:
        total = (<Value>operand(self, 2))._data
        node._data = _ops.share_of_exp(x, (<Value>operand(self, 1))._data, total)
        node.d_left = node._data
        local_grad(self, 1)[0] = -node._data
        local_grad(self, 2)[0] = -(node._data / total)
    else:  # where
        chosen = x != 0.0
        node._data = (<Value>operand(self, 1 if chosen else 2))._data
        node.d_left = 0.0
        local_grad(self, 1)[0] = 1.0 if chosen else 0.0
        local_grad(self, 2)[0] = 0.0 if chosen else 1.0
    return 0


include "_lists.pxi"


def record(name, *operands):
    cdef Row row = row_named(name)
    cdef Value out
    cdef list values = []
    if len(operands) == row.arity == 2 and row.code != _ops.TABLE and not is_of_list(row.code):
        node = binary_node(row, operands[0], operands[1])
        if node is not NotImplemented:
            return node
    for thing in operands:
        values.append(thing if isinstance(thing, Value) else constant(number_of(thing, "data")))  # or it raises
    out = leaf_for(tuple(values))
    hold(out, row, tuple(values))
    compute(out)
    if observed:
        observers.tell(out)
    return out


include "_walk.pxi"
include "_bulk.pxi"
include "_recording.pxi"
include "_linear.pxi"


# --- docstrings: those of the plain implementation ------------------------------------------------------------------

cdef extern from "Python.h":
    ctypedef struct PyMethodDef:
        const char* ml_doc

    ctypedef struct PyGetSetDef:
        const char* doc

    ctypedef struct PyCFunctionObject:
        PyMethodDef* m_ml

    ctypedef struct PyMethodDescrObject:
        PyMethodDef* d_method

    ctypedef struct PyGetSetDescrObject:
        PyGetSetDef* d_getset

cdef list docstrings = []  # keeps alive what the structures point to


cdef const char* with_docstring(const char* signature, thing) except NULL:
    """A signature as Cython writes it, "f($self)\\n--\\n\\n", followed by the docstring of `thing`."""
    text = <bytes>signature + (thing.__doc__ or "").encode()  # none under python -OO
    docstrings.append(text)
    return text


cdef int document_all() except -1:
    cdef PyMethodDef* definition
    (<PyTypeObject*>Value).tp_doc = with_docstring((<PyTypeObject*>Value).tp_doc, plain.Value)
    for name, thing in vars(plain.Value).items():
        ours = vars(Value).get(name)
        if type(ours) is type(thing):  # of Python, with a docstring of its own
            continue
        if isinstance(thing, property):
            (<PyGetSetDescrObject*>ours).d_getset.doc = with_docstring(b"", thing)
        elif name[0] != "_" and getattr(thing, "__name__", "") == name:  # a method under its own name, not an alias
            definition = (<PyMethodDescrObject*>ours).d_method
            definition.ml_doc = with_docstring(definition.ml_doc, thing)
    for thing in (
        plain.record, graph_arrays.read_graph, bulk.weighted_sum, bulk.clear_gradients, bulk.read_data,
        bulk.read_gradients, bulk.now, bulk.tick, bulk.set_data, recording.gradients, recording.tangents,
    ):
        ours = globals()[thing.__name__]
        definition = (<PyCFunctionObject*>ours).m_ml
        definition.ml_doc = with_docstring(definition.ml_doc, thing)
    return 0


document_all()

include "_functions.pxi"

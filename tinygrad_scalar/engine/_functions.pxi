"""The functions of functions.py for Values: a part of `_value.pyx`. Whatever else they are given, functions.py handles.

In Python, each took as long as making a node, and several times as long while `vectorize` watches what is called.
"""

cdef dict plain_functions = {}  # by name


cdef inline of_one(Row row, str name, x):
    return unary_node(row, <Value>x) if isinstance(x, Value) else plain_functions[name](x)


cdef inline of_two(Row row, str name, x, y, bint swap):
    if isinstance(x, Value) or isinstance(y, Value):
        node = binary_node(row, y, x) if swap else binary_node(row, x, y)
        if node is not NotImplemented:
            return node
    return plain_functions[name](x, y)


def exp(x, /): return of_one(_EXP, "exp", x)
def expm1(x, /): return of_one(_EXPM1, "expm1", x)
def log(x, /): return of_one(_LOG, "log", x)
def log1p(x, /): return of_one(_LOG1P, "log1p", x)
def log2(x, /): return of_one(_LOG2, "log2", x)
def log10(x, /): return of_one(_LOG10, "log10", x)
def exp2(x, /): return of_one(_EXP2, "exp2", x)
def cbrt(x, /): return of_one(_CBRT, "cbrt", x)
def floor(x, /): return of_one(_FLOOR, "floor", x)
def ceil(x, /): return of_one(_CEIL, "ceil", x)
def sign(x, /): return of_one(_SIGN, "sign", x)
def sqrt(x, /): return of_one(_SQRT, "sqrt", x)
def sin(x, /): return of_one(_SIN, "sin", x)
def cos(x, /): return of_one(_COS, "cos", x)
def tan(x, /): return of_one(_TAN, "tan", x)
def asin(x, /): return of_one(_ASIN, "asin", x)
def acos(x, /): return of_one(_ACOS, "acos", x)
def atan(x, /): return of_one(_ATAN, "atan", x)
def sinh(x, /): return of_one(_SINH, "sinh", x)
def cosh(x, /): return of_one(_COSH, "cosh", x)
def tanh(x, /): return of_one(_TANH, "tanh", x)
def asinh(x, /): return of_one(_ASINH, "asinh", x)
def acosh(x, /): return of_one(_ACOSH, "acosh", x)
def atanh(x, /): return of_one(_ATANH, "atanh", x)
def sigmoid(x, /): return of_one(_SIGMOID, "sigmoid", x)
def relu(x, /): return of_one(_RELU, "relu", x)
def softplus(x, /): return of_one(_SOFTPLUS, "softplus", x)
def gelu(x, /): return of_one(_GELU, "gelu", x)
def silu(x, /): return of_one(_SILU, "silu", x)
def elu(x, /): return of_one(_ELU, "elu", x)
def selu(x, /): return of_one(_SELU, "selu", x)
def mish(x, /): return of_one(_MISH, "mish", x)
def hardtanh(x, /): return of_one(_HARDTANH, "hardtanh", x)
def softsign(x, /): return of_one(_SOFTSIGN, "softsign", x)
def erf(x, /): return of_one(_ERF, "erf", x)
def abs(x, /): return of_one(_ABSOLUTE, "abs", x)
def maximum(x, y, /): return of_two(_MAXIMUM, "maximum", x, y, False)
def minimum(x, y, /): return of_two(_MINIMUM, "minimum", x, y, False)
def logaddexp(x, y, /): return of_two(_LOGADDEXP, "logaddexp", x, y, False)
def atan2(y, x, /): return of_two(_ATAN2, "atan2", y, x, False)
def hypot(x, y, /): return of_two(_HYPOT, "hypot", x, y, False)
def xlogy(x, y, /): return of_two(_XLOGY, "xlogy", x, y, False)
def greater(x, y, /): return of_two(_GREATER, "greater", x, y, False)
def greater_equal(x, y, /): return of_two(_GREATER_EQUAL, "greater_equal", x, y, False)
def less(x, y, /): return of_two(_GREATER, "less", x, y, True)
def less_equal(x, y, /): return of_two(_GREATER_EQUAL, "less_equal", x, y, True)
def sum(values, /, *others): return plain_functions["sum"](values, *others) if others else of_list("sum", values)
def mean(values, /, *others): return plain_functions["mean"](values, *others) if others else of_list("mean", values)
def norm(values, /, *others): return plain_functions["norm"](values, *others) if others else of_list("norm", values)
def max(values, /, *others): return plain_functions["max"](values, *others) if others else of_list("max", values)
def min(values, /, *others): return plain_functions["min"](values, *others) if others else of_list("min", values)
def logsumexp(values, /, *others): return plain_functions["logsumexp"](values, *others) if others else of_list("logsumexp", values)


def softmax(values, /, *others):
    cdef list given = plain_list(values), x
    if given is not None and not others:
        most = node_if_one("largest", given)
        if most is not None:
            x = list((<Value>most).operands)
            total = list_node("sumexp_below", x + [most])
            return [node_of_list(_SHARE, [x_i, most, total]) for x_i in x]
    return plain_functions["softmax"](values, *others)


def dot(a, b, /):
    cdef list left = plain_list(a), right = plain_list(b)
    if left is not None and right is not None and len(left) == len(right):
        node = node_if_one("dot", left + right)
        if node is not None:
            return node
    return plain_functions["dot"](a, b)


cdef dict named = {}
for _function in (
    exp, expm1, log, log1p, sqrt, sin, cos, tan, asin, acos, atan, sinh, cosh, tanh, asinh, acosh, atanh, sigmoid, relu,
    softplus, gelu, silu, elu, selu, mish, hardtanh, softsign, erf, log2, log10, exp2, cbrt, floor, ceil, sign, abs, maximum, minimum, logaddexp, atan2, hypot, xlogy,
    greater, greater_equal, less, less_equal,
    sum, mean, dot, norm, max, min, logsumexp, softmax,
):
    named[_function.__name__] = _function


def in_c(function):
    """The function of that name here, with its docstring; the one given, if it is not written here."""
    if function.__name__ not in named:
        return function
    definition = (<PyCFunctionObject*>named[function.__name__]).m_ml
    definition.ml_doc = with_docstring(definition.ml_doc, function)
    plain_functions[function.__name__] = function
    named[function.__name__].__module__ = function.__module__
    return named[function.__name__]

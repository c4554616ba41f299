"""The one table of primitive operations: how each prints, what it computes, and its local derivatives.

A row makes an operation: `Value` computes with it, `forward()` recomputes with it, drawings and messages print it,
`vectorize` falls back on it. A name in functions.py makes it public; code in `_ops.pxd` makes it fast. The forward
part follows IEEE 754 and never raises: log(0) = −∞, 0/0 = nan. At kinks and edges the derivatives are JAX's: |x| has
slope 1 at 0, relu 0, a tie of maximum or minimum gives each side ½, x⁰ has slope 0 everywhere. They are written so
that no digits cancel: σ′ = σ(x)·σ(−x), not a(1 − a), whose 1 − a has lost its digits by x = 20.

The chain rule multiplies by IEEE 754 too, so 0·∞ is nan; except where an operation is piecewise and the operand is not
on the path to the result: it gets 0 (`contribution` in graph.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.engine.number import SUPERSCRIPTS, as_float

inf, nan = math.inf, math.nan


class Operation(NamedTuple):
    """One primitive operation.

    name        the name in `Value.op`
    symbol      the short sign in a picture
    text        how it prints, with `{0}`, `{1}` and so on for its operands
    expression  the same in SymPy's syntax, with operands x; x and y; or c, x and y
    forward     operands' data -> data
    local_grads data, operands' data -> (∂data/∂operand, …) in the operands' order
    slopes      how the local gradients print, one text for each operand; if empty, as ∂v/∂x
    family      for an operation with a constant, the name without it: "**n" or "leaky_relu"
    constant    that constant, such as n of x**n
    steepest    the largest slope of an activation that saturates
    piecewise   whether a slope of 0 means that the result does not depend on the operand: relu below 0, the smaller
                operand of maximum; any other 0 is a number
    """

    name: str
    symbol: str
    text: str
    expression: str
    forward: Callable[..., float]
    local_grads: Callable[..., tuple[float, ...]]
    slopes: tuple[str, ...] = ()
    family: str = ""
    constant: float | None = None
    steepest: float | None = None
    piecewise: bool = False

    @property
    def arity(self) -> int:
        """How many operands it takes; the text can name one twice.

        >>> Operation("softsign", "softsign", "{0}/(1 + |{0}|)", "", lambda x: x, lambda v, x: (1.0,)).arity
        1
        """
        return _arity(self.text)


@lru_cache(maxsize=1024)
def _arity(text: str) -> int:
    return sum(f"{{{i}}}" in text for i in range(text.count("{")))


# --- IEEE 754 results where Python's own functions raise -------------------------------------------------------------


def divide(x: float, y: float) -> float:
    try:
        return x / y
    except ZeroDivisionError:
        return nan if x == 0.0 or x != x else math.copysign(inf, x) * math.copysign(1.0, y)


def power(x: float, y: float) -> float:
    try:
        return math.pow(x, y)
    except OverflowError:
        return -inf if x < 0.0 and _is_odd(y) else inf
    except ValueError:
        if x == 0.0:  # and y < 0: a pole
            return math.copysign(inf, x) if _is_odd(y) else inf
        return nan


def _is_odd(y: float) -> bool:
    return abs(math.fmod(y, 2.0)) == 1.0  # exact; y % 2.0 rounds a small negative y up to 2


def _power_slope(v: float, x: float, y: float) -> float:
    """∂(xʸ)/∂x = y·xʸ⁻¹, computed as y·v/x where rounding y − 1 would cost digits (y = ⅓, x = 1e-10: 7 ulp)."""
    if y - 1.0 + 1.0 == y or x == 0.0 or not math.isfinite(x):
        return y * power(x, y - 1.0)
    return y * (v / x)


def exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return inf


def expm1(x: float) -> float:
    try:
        return math.expm1(x)
    except OverflowError:
        return inf


def log(x: float) -> float:
    return -inf if x == 0.0 else nan if x < 0.0 else math.log(x)


def log1p(x: float) -> float:
    return -inf if x == -1.0 else nan if x < -1.0 else math.log1p(x)


def sinh(x: float) -> float:
    try:
        return math.sinh(x)
    except OverflowError:
        return math.copysign(inf, x)


def cosh(x: float) -> float:
    try:
        return math.cosh(x)
    except OverflowError:
        return inf


def atanh(x: float) -> float:
    return math.copysign(inf, x) if abs(x) == 1.0 else nan if abs(x) > 1.0 else math.atanh(x)


def _nan_outside(function: Callable[[float], float]) -> Callable[[float], float]:
    def extended(x: float) -> float:
        try:
            return function(x)
        except ValueError:
            return nan

    return extended


sqrt, sin, cos, tan = (_nan_outside(f) for f in (math.sqrt, math.sin, math.cos, math.tan))
asin, acos, acosh = (_nan_outside(f) for f in (math.asin, math.acos, math.acosh))

# --- activations, without overflow ----------------------------------------------------------------------------------


def sigmoid(x: float) -> float:
    """σ(x) = 1/(1 + e⁻ˣ) (000 Eq. 1)."""
    e = math.exp(-abs(x))
    return 1.0 / (1.0 + e) if x >= 0.0 else e / (1.0 + e)


def _sigmoid_slope(x: float) -> float:
    e = math.exp(-abs(x))
    return e / ((1.0 + e) * (1.0 + e))  # σ′ = σ(x)·σ(−x), which is a(1 − a) with all its digits


def _tanh_slope(x: float) -> float:
    e = math.exp(-2.0 * abs(x))
    return 4.0 * e / ((1.0 + e) * (1.0 + e))  # 1/cosh²(x), which is 1 − tanh² with all its digits


def _asinh_slope(x: float) -> float:
    return 1.0 / math.sqrt(1.0 + x * x) if abs(x) < 1e9 else 1.0 / abs(x)  # beyond, 1 is lost in the sum


def relu(x: float) -> float:
    return 0.0 if x <= 0.0 else x  # in this order a nan stays a nan


def softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x))) if x == x else x


def _erf_slope(x: float) -> float:
    square = x * x
    if not square < 745.0:  # e⁻⁷⁴⁵ underflows; nan stays nan
        return 0.0 if square >= 745.0 else x
    high = 134217729.0 * x  # Dekker's split: what x·x lost in rounding, or e^(−x²) would be off by x² ulp
    high -= high - x
    low = x - high
    lost = ((high * high - square) + 2.0 * high * low) + low * low
    return 2.0 / math.sqrt(math.pi) * math.exp(-square) * (1.0 - lost)


def maximum(x: float, y: float) -> float:
    return x if x >= y or x != x else y


def minimum(x: float, y: float) -> float:
    return x if x <= y or x != x else y


def _share(x: float, y: float) -> float:
    """The slope of maximum(x, y) in x: 1, 0, or ½ in a tie."""
    return 1.0 if x > y else 0.5 if x == y else 0.0


def logaddexp(x: float, y: float) -> float:
    """log(eˣ + eʸ)."""
    if x == y:  # equal infinities have no difference
        return x + math.log(2.0)
    return maximum(x, y) + math.log1p(math.exp(-abs(x - y)))


def _logaddexp_share(x: float, y: float) -> float:
    """eˣ/(eˣ + eʸ): of +∞ always 1, as in JAX; of −∞ always 0, as JAX's nan for two of them spoils longer sums."""
    if x == y:
        return 0.5 if math.isfinite(x) else 1.0 if x > 0.0 else 0.0
    difference = x - y
    if not math.isfinite(difference):
        return sigmoid(difference)
    shift = difference - x  # what x − y lost in rounding (Knuth's two-sum), or the share would be off by |x − y| ulp
    lost = (x - (difference - shift)) - (y + shift)
    return sigmoid(difference) + _sigmoid_slope(difference) * lost


def where(condition: float, x: float, y: float) -> float:
    return x if condition != 0.0 else y


# --- the table: name, symbol, text, expression, forward, local gradients (v is the result) --------------------------

_ROWS = (
    Operation("+", "+", "{0} + {1}", "x + y", lambda x, y: x + y, lambda v, x, y: (1.0, 1.0), ("1", "1")),
    Operation("-", "−", "{0} − {1}", "x - y", lambda x, y: x - y, lambda v, x, y: (1.0, -1.0), ("1", "−1")),
    Operation("*", "×", "{0}·{1}", "x*y", lambda x, y: x * y, lambda v, x, y: (y, x), ("{1}", "{0}")),
    Operation(
        "/", "÷", "{0}/{1}", "x/y", divide, lambda v, x, y: (divide(1.0, y), -divide(v, y)),
        ("1/{1}", "−{0}/{1}²"),
    ),
    Operation(
        "**", "xʸ", "{0}^{1}", "x**y", power,
        lambda v, x, y: (_power_slope(v, x, y), v * log(x if x != 0.0 else 1.0)),
        ("{1}·{0}^({1} − 1)", "{0}^{1}·log({0})"),
    ),
    Operation("neg", "−", "−{0}", "-x", lambda x: -x, lambda v, x: (-1.0,), ("−1",)),
    Operation("abs", "|x|", "|{0}|", "Abs(x)", math.fabs, lambda v, x: (1.0 if x >= 0.0 else -1.0,), ("sign({0})",)),
    Operation("exp", "exp", "exp({0})", "exp(x)", exp, lambda v, x: (v,), ("exp({0})",)),
    Operation("expm1", "expm1", "expm1({0})", "exp(x) - 1", expm1, lambda v, x: (exp(x),), ("exp({0})",)),
    Operation("log", "log", "log({0})", "log(x)", log, lambda v, x: (divide(1.0, x),), ("1/{0}",)),
    Operation(
        "log1p", "log1p", "log1p({0})", "log(1 + x)", log1p, lambda v, x: (divide(1.0, 1.0 + x),),
        ("1/(1 + {0})",),
    ),
    Operation("sqrt", "√", "√({0})", "sqrt(x)", sqrt, lambda v, x: (divide(0.5, v),), ("1/(2·√({0}))",)),
    Operation("sin", "sin", "sin({0})", "sin(x)", sin, lambda v, x: (cos(x),), ("cos({0})",)),
    Operation("cos", "cos", "cos({0})", "cos(x)", cos, lambda v, x: (-sin(x),), ("−sin({0})",)),
    Operation("tan", "tan", "tan({0})", "tan(x)", tan, lambda v, x: (1.0 + v * v,), ("1 + tan²({0})",)),
    Operation(
        "asin", "asin", "asin({0})", "asin(x)", asin, lambda v, x: (divide(1.0, sqrt((1.0 - x) * (1.0 + x))),),
        ("1/√(1 − {0}²)",),
    ),
    Operation(
        "acos", "acos", "acos({0})", "acos(x)", acos, lambda v, x: (divide(-1.0, sqrt((1.0 - x) * (1.0 + x))),),
        ("−1/√(1 − {0}²)",),
    ),
    Operation(
        "atan", "atan", "atan({0})", "atan(x)", math.atan, lambda v, x: (1.0 / (1.0 + x * x),),
        ("1/(1 + {0}²)",),
    ),
    Operation("sinh", "sinh", "sinh({0})", "sinh(x)", sinh, lambda v, x: (cosh(x),), ("cosh({0})",)),
    Operation("cosh", "cosh", "cosh({0})", "cosh(x)", cosh, lambda v, x: (sinh(x),), ("sinh({0})",)),
    Operation(
        "tanh", "tanh", "tanh({0})", "tanh(x)", math.tanh, lambda v, x: (_tanh_slope(x),), ("1 − tanh²({0})",),
        steepest=1.0,
    ),
    Operation(
        "asinh", "asinh", "asinh({0})", "asinh(x)", math.asinh, lambda v, x: (_asinh_slope(x),),
        ("1/√(1 + {0}²)",),
    ),
    Operation(
        "acosh", "acosh", "acosh({0})", "acosh(x)", acosh,
        lambda v, x: (divide(1.0, sqrt(x - 1.0) * sqrt(x + 1.0)),),
        ("1/√({0}² − 1)",),
    ),
    Operation(
        "atanh", "atanh", "atanh({0})", "atanh(x)", atanh, lambda v, x: (divide(1.0, (1.0 - x) * (1.0 + x)),),
        ("1/(1 − {0}²)",),
    ),
    Operation(
        "sigmoid", "σ", "σ({0})", "1/(1 + exp(-x))", sigmoid, lambda v, x: (_sigmoid_slope(x),), ("σ′({0})",),
        steepest=0.25,
    ),
    Operation(
        "relu", "relu", "relu({0})", "Max(x, 0)", relu, lambda v, x: (1.0 if x > 0.0 else 0.0,), ("[{0} > 0]",),
        steepest=1.0, piecewise=True,
    ),
    Operation(
        "softplus", "softplus", "softplus({0})", "log(1 + exp(x))", softplus, lambda v, x: (sigmoid(x),),
        ("σ({0})",), steepest=1.0,
    ),
    Operation(
        "erf", "erf", "erf({0})", "erf(x)", math.erf, lambda v, x: (_erf_slope(x),), ("2/√π·exp(−{0}²)",),
        steepest=2.0 / math.sqrt(math.pi),
    ),
    Operation(
        "maximum", "max", "max({0}, {1})", "Max(x, y)", maximum, lambda v, x, y: (_share(x, y), _share(y, x)),
        ("[{0} > {1}]", "[{1} > {0}]"), piecewise=True,
    ),
    Operation(
        "minimum", "min", "min({0}, {1})", "Min(x, y)", minimum, lambda v, x, y: (_share(y, x), _share(x, y)),
        ("[{0} < {1}]", "[{1} < {0}]"), piecewise=True,
    ),
    Operation(
        "logaddexp", "log Σ exp", "log(exp({0}) + exp({1}))", "log(exp(x) + exp(y))", logaddexp,
        lambda v, x, y: (_logaddexp_share(x, y), _logaddexp_share(y, x)),
        ("σ({0} − {1})", "σ({1} − {0})"),
    ),
    Operation(
        "greater", ">", "({0} > {1})", "Piecewise((1, x > y), (0, True))",
        lambda x, y: 1.0 if x > y else 0.0, lambda v, x, y: (0.0, 0.0),
        ("0", "0"), piecewise=True,
    ),
    Operation(
        "greater_equal", "≥", "({0} ≥ {1})", "Piecewise((1, x >= y), (0, True))",
        lambda x, y: 1.0 if x >= y else 0.0, lambda v, x, y: (0.0, 0.0),
        ("0", "0"), piecewise=True,
    ),
    Operation(
        "where", "where", "where({0}, {1}, {2})", "Piecewise((x, Ne(c, 0)), (y, True))",
        where, lambda v, c, x, y: (0.0, 1.0, 0.0) if c != 0.0 else (0.0, 0.0, 1.0),
        ("0", "[{0} ≠ 0]", "[{0} = 0]"), piecewise=True,
    ),
)  # fmt: skip
OPERATIONS = {row.name: row for row in _ROWS}

# --- operations with a constant, which is part of the name, as in micrograd's "**2" -----------------------------------


def _short(number: float) -> str:
    return str(int(number)) if number.is_integer() and abs(number) < 1e16 else repr(number)


def _slope_of_constant_power(n: float) -> str:
    """n·xⁿ⁻¹."""
    if n in (0.0, 1.0):
        return _short(n)
    lower = _short(n - 1.0)
    raised = lower.translate(SUPERSCRIPTS) if lower.lstrip("-").isdecimal() else f"^({lower})"
    return f"{_short(n)}·{{0}}{'' if n == 2.0 else raised}".replace("-", "−")


@lru_cache(maxsize=1024)
def constant_power(n: float) -> Operation:
    """x**n for a plain number n: one operand, so that no derivative with respect to the constant is needed."""
    short = _short(n)
    raised = short.translate(SUPERSCRIPTS) if short.lstrip("-").isdecimal() else f"^{short}"
    return Operation(
        f"**{short}", f"( ){raised}", f"({{0}}){raised}", f"x**({short})",
        lambda x: power(x, n), lambda v, x: (_power_slope(v, x, n) if n != 0.0 else 0.0,),
        (_slope_of_constant_power(n),), "**n", n, piecewise=n == 0.0,
    )  # fmt: skip


def leaky_relu(slope: float) -> Operation:
    """x above 0, slope·x below; at 0 the slope is 1, as in JAX. A TypeError if `slope` is not a plain number."""
    number = as_float(slope)
    if number is None:
        raise TypeError(f"the slope of leaky_relu must be a plain number, got {shown(slope)}")
    return _leaky_relu(number + 0.0)  # −0 becomes 0, as in the name


@lru_cache(maxsize=1024)
def _leaky_relu(slope: float) -> Operation:
    short = _short(slope)
    return Operation(
        f"leaky_relu({short})", "leaky relu", f"leaky_relu({{0}}, {short})", f"Max(x, 0) + {short}*Min(x, 0)",
        lambda x: slope * x if x < 0.0 else x, lambda v, x: (1.0 if x >= 0.0 else slope,),
        (f"[{{0}} ≥ 0] + {short}·[{{0}} < 0]",), "leaky_relu", slope, piecewise=True,
    )  # fmt: skip


def operation(name: str) -> Operation:
    """The row of the operation that `Value.op` names.

    >>> operation("*").local_grads(6.0, 2.0, 3.0)
    (3.0, 2.0)
    >>> operation("**2").forward(5.0)
    25.0
    """
    row = OPERATIONS.get(name)
    if row is not None:
        return row
    if name.startswith("**"):
        return constant_power(float(name[2:]))
    if name.startswith("leaky_relu(") and name.endswith(")"):
        return leaky_relu(float(name[len("leaky_relu(") : -1]))
    raise ValueError(f"unknown operation {name!r}; ops.py has {', '.join(OPERATIONS)}")

"""The one table of primitive operations: how each prints, what it computes, and its local derivatives.

A row makes an operation: `Value` computes with it, `forward()` recomputes with it, drawings and messages print it,
`vectorize` falls back on it. A name in functions.py makes it public; code in `_ops.pxd` makes it fast. The forward
part follows IEEE 754 and never raises: log(0) = −∞, 0/0 = nan. At kinks and edges the derivatives are JAX's: |x| has
slope 1 at 0, relu 0, a tie of maximum or minimum gives each side ½, x⁰ has slope 0 everywhere. They are written so
that no digits cancel: σ′ = σ(x)·σ(−x), not a(1 − a), whose 1 − a has lost its digits by x = 20.

The chain rule multiplies by IEEE 754 too, so 0·∞ is nan; but what is not on the path to the result gets 0: an operand
that a piecewise operation does not use, and all that only decides which one it uses (graph.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from tinygrad_scalar.engine.elementary import (
    acos,
    acosh,
    asin,
    asinh_slope,
    atanh,
    binary_entropy,
    binary_entropy_slopes,
    cos,
    cosh,
    divide,
    erf_slope,
    exp,
    expm1,
    log,
    log1p,
    logaddexp,
    logaddexp_share,
    maximum,
    minimum,
    power,
    power_slope,
    relu,
    share,
    sigmoid,
    sigmoid_slope,
    sin,
    sinh,
    softplus,
    sqrt,
    tan,
    tanh_slope,
    where,
)
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.engine.number import SUPERSCRIPTS, as_float
from tinygrad_scalar.screen import quoted


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
    detached    the operands of a piecewise operation that only decide, and have the slope 0: to them, and to what is
                computed for them alone, no gradient goes
    companions  the operands that the one before is computed from, there only to keep its digits; where no gradient goes
                through them, readers leave them out
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
    detached: tuple[int, ...] = ()
    companions: tuple[int, ...] = ()

    @property
    def arity(self) -> int:
        """How many operands it takes; the text can name one twice.

        >>> Operation("softsign", "softsign", "{0}/(1 + |{0}|)", "", lambda x: x, lambda v, x: (1.0,)).arity
        1
        """
        return len(self.slopes) or _arity(self.text)


@lru_cache(maxsize=1024)
def _arity(text: str) -> int:
    return sum(f"{{{i}}}" in text for i in range(text.count("{")))


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
        lambda v, x, y: (power_slope(v, x, y), v * log(x if x != 0.0 else 1.0)),
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
        "tanh", "tanh", "tanh({0})", "tanh(x)", math.tanh, lambda v, x: (tanh_slope(x),), ("1 − tanh²({0})",),
        steepest=1.0,
    ),
    Operation(
        "asinh", "asinh", "asinh({0})", "asinh(x)", math.asinh, lambda v, x: (asinh_slope(x),),
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
        "sigmoid", "σ", "σ({0})", "1/(1 + exp(-x))", sigmoid, lambda v, x: (sigmoid_slope(x),), ("σ′({0})",),
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
        "erf", "erf", "erf({0})", "erf(x)", math.erf, lambda v, x: (erf_slope(x),), ("2/√π·exp(−{0}²)",),
        steepest=2.0 / math.sqrt(math.pi),
    ),
    Operation(
        "maximum", "max", "max({0}, {1})", "Max(x, y)", maximum, lambda v, x, y: (share(x, y), share(y, x)),
        ("[{0} > {1}]", "[{1} > {0}]"), piecewise=True,
    ),
    Operation(
        "minimum", "min", "min({0}, {1})", "Min(x, y)", minimum, lambda v, x, y: (share(y, x), share(x, y)),
        ("[{0} < {1}]", "[{1} < {0}]"), piecewise=True,
    ),
    Operation(
        "logaddexp", "log Σ exp", "log(exp({0}) + exp({1}))", "log(exp(x) + exp(y))", logaddexp,
        lambda v, x, y: (logaddexp_share(x, y), logaddexp_share(y, x)),
        ("σ({0} − {1})", "σ({1} − {0})"),
    ),
    Operation(
        "greater", ">", "({0} > {1})", "Piecewise((1, x > y), (0, True))",
        lambda x, y: 1.0 if x > y else 0.0, lambda v, x, y: (0.0, 0.0),
        ("0", "0"), piecewise=True, detached=(0, 1),
    ),
    Operation(
        "greater_equal", "≥", "({0} ≥ {1})", "Piecewise((1, x >= y), (0, True))",
        lambda x, y: 1.0 if x >= y else 0.0, lambda v, x, y: (0.0, 0.0),
        ("0", "0"), piecewise=True, detached=(0, 1),
    ),
    Operation(
        "where", "where", "where({0}, {1}, {2})", "Piecewise((x, Ne(c, 0)), (y, True))",
        where, lambda v, c, x, y: (0.0, 1.0, 0.0) if c != 0.0 else (0.0, 0.0, 1.0),
        ("0", "[{0} ≠ 0]", "[{0} = 0]"), piecewise=True, detached=(0,),
    ),
    Operation(  # 003 Eq. 2c; the second operand is the z of a = σ(z)
        "binary cross-entropy", "−log", "−{2}·log({0}) − (1 − {2})·log(1 − {0})",
        "-y*log(c) - (1 - y)*log(1 - c)", binary_entropy, lambda v, a, z, y: binary_entropy_slopes(a, z, y),
        ("(1 − {2})/(1 − {0}) − {2}/{0}", "0", "log(1 − {0}) − log({0})"), companions=(1,),
    ),
)  # fmt: skip
OPERATIONS = {row.name: row for row in _ROWS}
# Where `vectorize` traces both sides of ts.cond they meet in this one; the engine records only the side that is taken.
COND = OPERATIONS["where"]._replace(name="cond", symbol="cond", text="cond({0}, {1}, {2})")

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
        lambda x: power(x, n), lambda v, x: (power_slope(v, x, n) if n != 0.0 else 0.0,),
        (_slope_of_constant_power(n),), "**n", n, piecewise=n == 0.0, detached=(0,) if n == 0.0 else (),
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
    if name == COND.name:
        return COND
    if name.startswith("**"):
        return constant_power(float(name[2:]))
    if name.startswith("leaky_relu(") and name.endswith(")"):
        return leaky_relu(float(name[len("leaky_relu(") : -1]))
    raise ValueError(f"unknown operation {quoted(name)}; ops.py has {', '.join(OPERATIONS)}")

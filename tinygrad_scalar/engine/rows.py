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

from tinygrad_scalar.engine import activations, recorded
from tinygrad_scalar.engine.elementary import (
    acos,
    acosh,
    asin,
    asinh_slope,
    atan2_slope,
    atan2_slope_slopes,
    atanh,
    binary_entropy,
    binary_entropy_slopes,
    cbrt,
    ceil,
    cos,
    cosh,
    cosine,
    cosine_slopes,
    divide,
    erf_slope,
    exp,
    exp2,
    expm1,
    floor,
    hypot,
    log,
    log1p,
    log2,
    log10,
    logaddexp,
    logaddexp_share,
    logaddexp_share_slope,
    maximum,
    minimum,
    power,
    power_slope,
    relu,
    share,
    sigmoid,
    sigmoid_slope,
    sign,
    sin,
    sinh,
    softplus,
    sqrt,
    tan,
    tanh_slope,
    where,
    xlogy,
)
from tinygrad_scalar.engine.exponentials import exp_of_difference, share_of_exp
from tinygrad_scalar.engine.operation import Operation

LN2, LN10 = math.log(2.0), math.log(10.0)

# name, symbol, text, expression, forward, local gradients (v is the result)

ROWS = (
    Operation("+", "+", "{0} + {1}", "x + y", lambda x, y: x + y, lambda v, x, y: (1.0, 1.0), ("1", "1"),
        vjps=(lambda u, v, x, y: u, lambda u, v, x, y: u)),
    Operation("-", "−", "{0} − {1}", "x - y", lambda x, y: x - y, lambda v, x, y: (1.0, -1.0), ("1", "−1"),
        vjps=(lambda u, v, x, y: u, lambda u, v, x, y: -u)),
    Operation("*", "×", "{0}·{1}", "x*y", lambda x, y: x * y, lambda v, x, y: (y, x), ("{1}", "{0}"),
        vjps=(lambda u, v, x, y: u * y, lambda u, v, x, y: u * x)),
    Operation(
        "/", "÷", "{0}/{1}", "x/y", divide, lambda v, x, y: (divide(1.0, y), -divide(v, y)),
        ("1/{1}", "−{0}/{1}²"),
        vjps=(lambda u, v, x, y: u / y, lambda u, v, x, y: -(u * (v / y))),
    ),
    Operation(
        "**", "xʸ", "{0}^{1}", "x**y", power,
        lambda v, x, y: (power_slope(v, x, y), v * log(x if x != 0.0 else 1.0)),
        ("{1}·{0}^({1} − 1)", "{0}^{1}·log({0})"),
        vjps=(
            lambda u, v, x, y: u * (y * x ** (y - 1.0)),
            lambda u, v, x, y: u * (v * recorded.where(x, x, 1.0).log()),
        ),
    ),
    Operation("neg", "−", "−{0}", "-x", lambda x: -x, lambda v, x: (-1.0,), ("−1",),
        vjps=(lambda u, v, x: -u,),
    ),
    Operation("abs", "|x|", "|{0}|", "Abs(x)", math.fabs, lambda v, x: (1.0 if x >= 0.0 else -1.0,), ("sign({0})",),
        vjps=(lambda u, v, x: recorded.where(recorded.greater_equal(x, 0.0), u, -u),),
    ),
    Operation("exp", "exp", "exp({0})", "exp(x)", exp, lambda v, x: (v,), ("exp({0})",),
        vjps=(lambda u, v, x: u * v,),
    ),
    Operation("expm1", "expm1", "expm1({0})", "exp(x) - 1", expm1, lambda v, x: (exp(x),), ("exp({0})",),
        vjps=(lambda u, v, x: u * x.exp(),),
    ),
    Operation("log", "log", "log({0})", "log(x)", log, lambda v, x: (divide(1.0, x),), ("1/{0}",),
        vjps=(lambda u, v, x: u / x,),
    ),
    Operation(
        "log1p", "log1p", "log1p({0})", "log(1 + x)", log1p, lambda v, x: (divide(1.0, 1.0 + x),),
        ("1/(1 + {0})",),
        vjps=(lambda u, v, x: u / (1.0 + x),),
    ),
    Operation("log2", "log₂", "log2({0})", "log(x)/log(2)", log2, lambda v, x: (divide(1.0 / LN2, x),),
        ("1/({0}·log(2))",),
        vjps=(lambda u, v, x: u / (x * LN2),),
    ),
    Operation("log10", "log₁₀", "log10({0})", "log(x)/log(10)", log10, lambda v, x: (divide(1.0 / LN10, x),),
        ("1/({0}·log(10))",),
        vjps=(lambda u, v, x: u / (x * LN10),),
    ),
    Operation("exp2", "2ˣ", "exp2({0})", "2**x", exp2, lambda v, x: (v * LN2,), ("exp2({0})·log(2)",),
        vjps=(lambda u, v, x: u * (v * LN2),),
    ),
    Operation("sqrt", "√", "√({0})", "sqrt(x)", sqrt, lambda v, x: (divide(0.5, v),), ("1/(2·√({0}))",),
        vjps=(lambda u, v, x: u / (2.0 * v),),
    ),
    Operation(
        "cbrt", "³√", "cbrt({0})", "Piecewise((x**Rational(1, 3), x >= 0), (-(-x)**Rational(1, 3), True))", cbrt,
        lambda v, x: (divide(1.0, 3.0 * (v * v)),), ("1/(3·cbrt({0})²)",),
        vjps=(lambda u, v, x: u * (v**-2.0 / 3.0),),  # at 0, all its derivatives are infinite
    ),
    Operation("sin", "sin", "sin({0})", "sin(x)", sin, lambda v, x: (cos(x),), ("cos({0})",),
        vjps=(lambda u, v, x: u * x.cos(),),
    ),
    Operation("cos", "cos", "cos({0})", "cos(x)", cos, lambda v, x: (-sin(x),), ("−sin({0})",),
        vjps=(lambda u, v, x: -(u * x.sin()),),
    ),
    Operation("tan", "tan", "tan({0})", "tan(x)", tan, lambda v, x: (1.0 + v * v,), ("1 + tan²({0})",),
        vjps=(lambda u, v, x: u * (1.0 + v * v),),
    ),
    Operation(
        "asin", "asin", "asin({0})", "asin(x)", asin, lambda v, x: (divide(1.0, sqrt((1.0 - x) * (1.0 + x))),),
        ("1/√(1 − {0}²)",),
        vjps=(lambda u, v, x: u / recorded.one_minus_square(x).sqrt(),),
    ),
    Operation(
        "acos", "acos", "acos({0})", "acos(x)", acos, lambda v, x: (divide(-1.0, sqrt((1.0 - x) * (1.0 + x))),),
        ("−1/√(1 − {0}²)",),
        vjps=(lambda u, v, x: -(u / recorded.one_minus_square(x).sqrt()),),
    ),
    Operation(
        "atan", "atan", "atan({0})", "atan(x)", math.atan, lambda v, x: (atan2_slope(1.0, x),),
        ("1/(1 + {0}²)",),
        vjps=(lambda u, v, x: u * recorded.atan2_slope(1.0, x),),
    ),
    Operation("sinh", "sinh", "sinh({0})", "sinh(x)", sinh, lambda v, x: (cosh(x),), ("cosh({0})",),
        vjps=(lambda u, v, x: u * x.cosh(),),
    ),
    Operation("cosh", "cosh", "cosh({0})", "cosh(x)", cosh, lambda v, x: (sinh(x),), ("sinh({0})",),
        vjps=(lambda u, v, x: u * x.sinh(),),
    ),
    Operation(
        "tanh", "tanh", "tanh({0})", "tanh(x)", math.tanh, lambda v, x: (tanh_slope(x),), ("1 − tanh²({0})",),
        steepest=1.0,
        vjps=(lambda u, v, x: u * recorded.tanh_slope(x),),
    ),
    Operation(
        "asinh", "asinh", "asinh({0})", "asinh(x)", math.asinh, lambda v, x: (asinh_slope(x),),
        ("1/√(1 + {0}²)",),
        vjps=(lambda u, v, x: u / recorded.hypot(x, 1.0),),
    ),
    Operation(
        "acosh", "acosh", "acosh({0})", "acosh(x)", acosh,
        lambda v, x: (divide(1.0, sqrt(x - 1.0) * sqrt(x + 1.0)),),
        ("1/√({0}² − 1)",),
        vjps=(lambda u, v, x: u * ((x - 1.0) ** -0.5 / (x + 1.0).sqrt()),),  # likewise at 1
    ),
    Operation(
        "atanh", "atanh", "atanh({0})", "atanh(x)", atanh, lambda v, x: (divide(1.0, (1.0 - x) * (1.0 + x)),),
        ("1/(1 − {0}²)",),
        vjps=(lambda u, v, x: u / recorded.one_minus_square(x),),
    ),
    Operation(
        "sigmoid", "σ", "σ({0})", "1/(1 + exp(-x))", sigmoid, lambda v, x: (sigmoid_slope(x),), ("σ′({0})",),
        steepest=0.25,
        vjps=(lambda u, v, x: u * recorded.sigmoid_slope(x),),
    ),
    Operation(
        "relu", "relu", "relu({0})", "Max(x, 0)", relu, lambda v, x: (1.0 if x > 0.0 else 0.0,), ("[{0} > 0]",),
        steepest=1.0, piecewise=True,
        vjps=(lambda u, v, x: recorded.where(recorded.greater(x, 0.0), u, 0.0),),
    ),
    Operation(
        "softplus", "softplus", "softplus({0})", "log(1 + exp(x))", softplus, lambda v, x: (sigmoid(x),),
        ("σ({0})",), steepest=1.0,
        vjps=(lambda u, v, x: u * x.sigmoid(),),
    ),
    Operation(
        "erf", "erf", "erf({0})", "erf(x)", math.erf, lambda v, x: (erf_slope(x),), ("2/√π·exp(−{0}²)",),
        steepest=2.0 / math.sqrt(math.pi),
        vjps=(lambda u, v, x: u * (2.0 / math.sqrt(math.pi) * (-(x * x)).exp()),),
    ),
    Operation(
        "maximum", "max", "max({0}, {1})", "Max(x, y)", maximum, lambda v, x, y: (share(x, y), share(y, x)),
        ("[{0} > {1}]", "[{1} > {0}]"), piecewise=True,
        vjps=(lambda u, v, x, y: recorded.larger_share(u, x, y), lambda u, v, x, y: recorded.larger_share(u, y, x)),
    ),
    Operation(
        "minimum", "min", "min({0}, {1})", "Min(x, y)", minimum, lambda v, x, y: (share(y, x), share(x, y)),
        ("[{0} < {1}]", "[{1} < {0}]"), piecewise=True,
        vjps=(lambda u, v, x, y: recorded.larger_share(u, y, x), lambda u, v, x, y: recorded.larger_share(u, x, y)),
    ),
    Operation(
        "atan2", "atan2", "atan2({0}, {1})", "atan2(x, y)", math.atan2,
        lambda v, y, x: (atan2_slope(x, y), -atan2_slope(y, x)),
        ("{1}/({0}² + {1}²)", "−{0}/({0}² + {1}²)"),
        vjps=(
            lambda u, v, y, x: u * recorded.atan2_slope(x, y),
            lambda u, v, y, x: -(u * recorded.atan2_slope(y, x)),
        ),
    ),
    Operation(
        "hypot", "hypot", "hypot({0}, {1})", "sqrt(x**2 + y**2)", hypot, lambda v, x, y: (cosine(x, y), cosine(y, x)),
        ("{0}/hypot({0}, {1})", "{1}/hypot({0}, {1})"),
        vjps=(lambda u, v, x, y: u * recorded.cosine(x, y), lambda u, v, x, y: u * recorded.cosine(y, x)),
    ),
    Operation(
        "xlogy", "x·log", "xlogy({0}, {1})", "x*log(y)", xlogy, lambda v, x, y: (log(y), divide(x, y)),
        ("log({1})", "{0}/{1}"),
        vjps=(lambda u, v, x, y: u * y.log(), lambda u, v, x, y: u * (x / y)),
    ),
    Operation(
        "logaddexp", "log Σ exp", "log(exp({0}) + exp({1}))", "log(exp(x) + exp(y))", logaddexp,
        lambda v, x, y: (logaddexp_share(x, y), logaddexp_share(y, x)),
        ("σ({0} − {1})", "σ({1} − {0})"),
        vjps=(
            lambda u, v, x, y: u * recorded.logaddexp_share(x, y),
            lambda u, v, x, y: u * recorded.logaddexp_share(y, x),
        ),
    ),
    Operation("floor", "floor", "floor({0})", "floor(x)", floor, lambda v, x: (0.0,), ("0",),
        piecewise=True, detached=(0,), vjps=(None,),
    ),
    Operation("ceil", "ceil", "ceil({0})", "ceiling(x)", ceil, lambda v, x: (0.0,), ("0",),
        piecewise=True, detached=(0,), vjps=(None,),
    ),
    Operation("sign", "sign", "sign({0})", "sign(x)", sign, lambda v, x: (0.0,), ("0",),
        piecewise=True, detached=(0,), vjps=(None,),
    ),
    Operation(
        "greater", ">", "({0} > {1})", "Piecewise((1, x > y), (0, True))",
        lambda x, y: 1.0 if x > y else 0.0, lambda v, x, y: (0.0, 0.0),
        ("0", "0"), piecewise=True, detached=(0, 1), vjps=(None, None),
    ),
    Operation(
        "greater_equal", "≥", "({0} ≥ {1})", "Piecewise((1, x >= y), (0, True))",
        lambda x, y: 1.0 if x >= y else 0.0, lambda v, x, y: (0.0, 0.0),
        ("0", "0"), piecewise=True, detached=(0, 1), vjps=(None, None),
    ),
    Operation(
        "where", "where", "where({0}, {1}, {2})", "Piecewise((x, Ne(c, 0)), (y, True))",
        where, lambda v, c, x, y: (0.0, 1.0, 0.0) if c != 0.0 else (0.0, 0.0, 1.0),
        ("0", "[{0} ≠ 0]", "[{0} = 0]"), piecewise=True, detached=(0,),
        vjps=(None, lambda u, v, c, x, y: recorded.where(c, u, 0.0), lambda u, v, c, x, y: recorded.where(c, 0.0, u)),
    ),
    Operation(  # 003 Eq. 2c; the second operand is the z of a = σ(z)
        "binary cross-entropy", "−log", "−{2}·log({0}) − (1 − {2})·log(1 − {0})",
        "-y*log(c) - (1 - y)*log(1 - c)", binary_entropy, lambda v, a, z, y: binary_entropy_slopes(a, z, y),
        ("(1 − {2})/(1 − {0}) − {2}/{0}", "0", "log(1 − {0}) − log({0})"), companions=(1,),
        vjps=(
            lambda u, v, a, z, y: u * ((1.0 - y) / (1.0 - a) - y / a),
            None,
            lambda u, v, a, z, y: u * ((1.0 - a).log() - a.log()),
        ),
        companion_vjps=(
            None,
            lambda u, v, a, z, y: u * (z.sigmoid() - y),
            lambda u, v, a, z, y: -(u * z),
        ),
    ),
    *activations.ROWS,
    # slopes that have rows of their own, so that no digits cancel in their derivatives either
    Operation(
        "sigmoid slope", "σ′", "σ′({0})", "exp(-x)/(1 + exp(-x))**2", sigmoid_slope,
        lambda v, x: (-v * math.tanh(0.5 * x),), ("−σ′({0})·tanh({0}/2)",),
        vjps=(lambda u, v, x: -(u * (v * (0.5 * x).tanh())),),
    ),
    Operation(
        "tanh slope", "tanh′", "(1 − tanh²({0}))", "1 - tanh(x)**2", tanh_slope,
        lambda v, x: (-2.0 * v * math.tanh(x),), ("−2·tanh({0})·(1 − tanh²({0}))",),
        vjps=(lambda u, v, x: u * (-2.0 * v * x.tanh()),),
    ),
    Operation(
        "one minus square", "1 − x²", "(1 − {0}²)", "1 - x**2", lambda x: (1.0 - x) * (1.0 + x),
        lambda v, x: (-2.0 * x,), ("−2·{0}",), vjps=(lambda u, v, x: u * (-2.0 * x),),
    ),
    Operation(
        "σ of difference", "σ", "σ({0} − {1})", "1/(1 + exp(y - x))", logaddexp_share,
        lambda v, x, y: (slope := logaddexp_share_slope(v, x, y), -slope),
        ("σ′({0} − {1})", "−σ′({0} − {1})"),
        vjps=(
            lambda u, v, x, y: u * recorded.logaddexp_share_slope(v, x, y),
            lambda u, v, x, y: -(u * recorded.logaddexp_share_slope(v, x, y)),
        ),
    ),
    Operation(
        "cosine", "x/hypot", "{0}/hypot({0}, {1})", "x/sqrt(x**2 + y**2)", cosine, cosine_slopes,
        ("{1}²/hypot({0}, {1})³", "−{0}·{1}/hypot({0}, {1})³"),
        vjps=(
            lambda u, v, x, y: u * ((s := recorded.cosine(y, x)) / recorded.distance(x, y) * s),
            lambda u, v, x, y: -(u * (recorded.cosine(y, x) * v / recorded.distance(x, y))),
        ),
    ),
    Operation(
        "atan2 slope", "x/(x² + y²)", "{0}/({0}² + {1}²)", "x/(x**2 + y**2)", atan2_slope,
        atan2_slope_slopes, ("({1}² − {0}²)/({0}² + {1}²)²", "−2·{0}·{1}/({0}² + {1}²)²"),
        vjps=(
            lambda u, v, x, y: u * ((y - x) / (h := recorded.hypot(x, y)) * ((y + x) / h) / h / h),
            lambda u, v, x, y: u * (-2.0 * (x / (h := recorded.hypot(x, y)) * (y / h) / h / h)),
        ),
    ),
    Operation(  # one of a softmax, where y is the largest x
        "share", "exp/Σ", "exp({0} − {1})/{2}", "exp(c - x)/y",
        share_of_exp, lambda v, x, y, total: (v, -v, -divide(v, total)),
        ("exp({0} − {1})/{2}", "−exp({0} − {1})/{2}", "−exp({0} − {1})/{2}²"),
        vjps=(
            lambda u, v, x, y, total: u * v,
            lambda u, v, x, y, total: -(u * v),
            lambda u, v, x, y, total: -(u * (v / total)),
        ),
    ),
    Operation(  # the slopes of Σ exp(xᵢ − y)
        "exp of difference", "exp", "exp({0} − {1})", "exp(x - y)", exp_of_difference, lambda v, x, y: (v, -v),
        ("exp({0} − {1})", "−exp({0} − {1})"), vjps=(lambda u, v, x, y: u * v, lambda u, v, x, y: -(u * v)),
    ),
    Operation("copy", "=", "{0}", "x", lambda x: x, lambda v, x: (1.0,), ("1",), vjps=(lambda u, v, x: u,)),
)  # fmt: skip

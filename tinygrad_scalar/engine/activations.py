"""Activations beyond sigmoid, tanh and relu: gelu, silu, mish, elu, selu, hardtanh and softsign, with their slopes.

JAX's definitions, and its answers at kinks and infinities. Nothing overflows on the way, and no digits cancel.
"""

from __future__ import annotations

import math
from typing import Any

from tinygrad_scalar.engine import recorded
from tinygrad_scalar.engine.elementary import exp, expm1, inf, nan
from tinygrad_scalar.engine.operation import Operation

SQRT_HALF, DENSITY_AT_0 = math.sqrt(0.5), recorded.DENSITY_AT_0
SCALE, SCALE_ALPHA = 1.0507009873554805, 1.7580993408473766  # Klambauer et al. 2017, Self-Normalizing Neural Networks
SMALL = -700.0  # below, exp(x) has lost digits on the way to 0, and is the square of exp(x/2)
NONE_BELOW = -39.0  # where Φ(x) is 0

# t·exp(t²/2)·Φ(−t) as polynomials in (t − m)/(t + m): m = 1 for t from ½ to 2, m = 5 beyond. Chebyshev interpolation,
# in mpmath; the first number is what the second, the constant term, lost in rounding.
NEAR = (
    -8.473622911119317e-18, 0.2615782918651234, 0.24842860665762814, -0.052598740829980964, -0.057453773327409134,
    -0.01942012998970075, 0.0030774093566554753, 0.008798965996800696, 0.0065860936739829444, 0.002800588838963068,
    0.00011190066663200392, -0.0010605358967491893, -0.0011779603426076643, -0.0008156632179879958,
    -0.00037370016389289457, -4.4860602615426974e-05, 0.00012496720953525557, 0.00017681121137368727,
    0.00016580780838845185, 8.969818838825052e-05,
)  # fmt: skip
FAR = (
    -7.055962049193448e-18, 0.3845965248750315, 0.051905273430003056, -0.08503844346004041, 0.09088622964934435,
    -0.07425639525043856, 0.04795086373176185, -0.024161785953851316, 0.008900845018753809, -0.0018956230749735286,
    -0.00012648519883572725, 0.00024276158743997603, -5.456912972270914e-05, -1.6540379254757872e-05,
    1.0330731581938893e-05, 6.044336505188427e-07, -1.5527862629529315e-06, 5.117920845932942e-08,
    2.3891834407815234e-07, -1.5902145856597262e-08, -4.096562950163233e-08, 3.3680635517757292e-09,
    7.821982746854172e-09, -2.2426922630685485e-09,
)  # fmt: skip


def _tail(t: float) -> tuple[float, float]:
    """t·exp(t²/2)·Φ(−t) for t from ½ to 39, and what it lost in rounding."""
    middle, polynomial = (1.0, NEAR) if t < 2.0 else (5.0, FAR)
    s = (t - middle) / (t + middle)
    p = polynomial[-1]
    for coefficient in polynomial[-2:1:-1]:
        p = p * s + coefficient
    p = p * s
    value = polynomial[1] + p
    return value, ((polynomial[1] - value) + p) + polynomial[0]


def _halves(x: float) -> tuple[float, float]:
    """x as a sum of two numbers of half its length (Dekker 1971)."""
    high = 134217729.0 * x
    high -= high - x
    return high, x - high


def _lost_in_square(x: float, square: float) -> float:
    high, low = _halves(x)
    return ((high * high - square) + 2.0 * high * low) + low * low


def _lost_in_product(x: float, y: float, product: float) -> float:
    (a, b), (c, d) = _halves(x), _halves(y)
    return ((a * c - product) + a * d + b * c) + b * d


def gelu(x: float) -> float:
    """x·Φ(x) (Hendrycks and Gimpel 2016); JAX's with approximate=False."""
    if not x < -0.5:
        return x * (0.5 + 0.5 * math.erf(x * SQRT_HALF))
    if x < NONE_BELOW:
        return x * 0.0
    square = x * x
    e, (value, lost) = math.exp(-0.5 * square), _tail(-x)
    product = e * value
    return -(product + (_lost_in_product(e, value, product) + e * (lost - 0.5 * _lost_in_square(x, square) * value)))


def gelu_slope(x: float) -> float:
    """Φ(x) + x·Φ′(x)."""
    if not x < -0.5:
        return normal_cdf(x) + x * density(x)
    if x < NONE_BELOW:
        return 0.0 * x + 0.0
    square = x * x
    factor = (x * DENSITY_AT_0 - _tail(-x)[0] / x) * (1.0 - 0.5 * _lost_in_square(x, square))
    if square < 1400.0:
        return factor * math.exp(-0.5 * square)
    e = math.exp(-0.25 * square)
    return factor * e * e


def normal_cdf(x: float) -> float:
    """Φ(x), the probability that a standard normal number is less than x."""
    if not x < -0.5:
        return 0.5 + 0.5 * math.erf(x * SQRT_HALF)
    return gelu(x) / x if x >= NONE_BELOW else 0.0


def density(x: float) -> float:
    """Φ′(x) = exp(−x²/2)/√(2π)."""
    square = x * x
    if not square < 1500.0:
        return 0.0 if square >= 1500.0 else x
    return DENSITY_AT_0 * math.exp(-0.5 * square) * (1.0 - 0.5 * _lost_in_square(x, square))


def silu(x: float) -> float:
    """x·σ(x)."""
    if x >= 0.0:
        return x / (1.0 + math.exp(-x))
    if x > SMALL:
        e = math.exp(x)
        s = 1.0 + e
        value = x * e / s
        return value - value * ((e - (s - 1.0)) / s)  # what 1 + e lost in rounding
    e = math.exp(0.5 * x)
    return x * e * e


def silu_slope(x: float) -> float:
    """σ(x) + x·σ(x)·σ(−x)."""
    if x >= 0.0:
        e = math.exp(-x)
        s = 1.0 / (1.0 + e)
        return s + x * e * s * s
    if x > SMALL:
        e = math.exp(x)
        s = 1.0 / (1.0 + e)
        return e * s * (1.0 + x * s)
    e = math.exp(0.5 * x)
    return (1.0 + x) * e * e


def mish(x: float) -> float:
    """x·tanh(log(1 + eˣ)) (Misra 2019): the hyperbolic tangent of a logarithm is a fraction, 1 less a small one."""
    if x > 0.0:
        e = math.exp(-x)
        square = 2.0 * e * e
        return x - x * (square / (1.0 + 2.0 * e + square)) if x < 40.0 else x
    if x > -0.35:
        m = math.expm1(x)
        return math.copysign(x - x * (2.0 / (5.0 + m * (4.0 + m))), x)
    if x > SMALL:
        e = math.exp(x)
        s, product = 1.0 + e, x * e
        return product - (product * (e * s / (1.0 + s * s)) - _lost_in_product(x, e, product))
    e = math.exp(0.5 * x)
    return x * e * e


def mish_slope(x: float) -> float:
    if x > 0.0:
        e = math.exp(-x)
        p = 1.0 + 2.0 * e
        q = p + 2.0 * e * e
        return p / q + x * (4.0 * e * e * (1.0 + e) / (q * q))
    if x > SMALL:
        e = math.exp(x)
        n = e * (e + 2.0)
        return n / (n + 2.0) + x * (4.0 * e * (1.0 + e) / ((n + 2.0) * (n + 2.0)))
    e = math.exp(0.5 * x)
    return (1.0 + x) * e * e


def elu(x: float) -> float:
    return x if x > 0.0 else expm1(x)


def elu_slope(x: float) -> float:
    return 1.0 if x > 0.0 else exp(x)


def selu(x: float) -> float:
    return SCALE * x if x > 0.0 else SCALE_ALPHA * expm1(x)


def selu_slope(x: float) -> float:
    return SCALE if x > 0.0 else SCALE_ALPHA * exp(x)


def hardtanh(x: float) -> float:
    return 1.0 if x > 1.0 else -1.0 if x < -1.0 else x


def hardtanh_slope(x: float) -> float:
    return 0.0 if x > 1.0 or x < -1.0 else 1.0


def softsign(x: float) -> float:
    return x / (1.0 + abs(x))


def softsign_slope(x: float) -> float:
    r = 1.0 / (1.0 + abs(x))
    return r * r if abs(x) < inf else nan


def _elu_vjp(u: Any, x: Any, right: float, left: float) -> Any:
    positive = recorded.greater(x, 0.0)
    e = recorded.where(positive, 0.0, x).exp()  # where it is not used, it must not overflow
    return recorded.where(positive, u if right == 1.0 else u * right, u * (e if left == 1.0 else left * e))


def _softsign_vjp(u: Any, x: Any) -> Any:
    size = abs(x)
    slope = _square(1.0 / (1.0 + size))
    return u * recorded.where(recorded.greater_equal(size, inf), nan, slope)


def _square(x: object) -> object:
    return x * x  # type: ignore[operator]


ROWS = (
    Operation(
        "gelu", "gelu", "gelu({0})", "x*(1 + erf(x/sqrt(2)))/2", gelu, lambda v, x: (gelu_slope(x),),
        ("gelu′({0})",), steepest=1.1289041451851548,
        vjps=(lambda u, v, x: u * (recorded.normal_cdf(x) + x * recorded.density(x)),),
    ),
    Operation(
        "silu", "silu", "silu({0})", "x/(1 + exp(-x))", silu, lambda v, x: (silu_slope(x),), ("silu′({0})",),
        steepest=1.0998393201288669,
        vjps=(lambda u, v, x: u * (x.sigmoid() + x * recorded.sigmoid_slope(x)),),
    ),
    Operation(
        "mish", "mish", "mish({0})", "x*tanh(log(1 + exp(x)))", mish, lambda v, x: (mish_slope(x),), ("mish′({0})",),
        steepest=1.0884981612517279,
        vjps=(lambda u, v, x: u * ((s := x.softplus()).tanh() + x * (recorded.tanh_slope(s) * x.sigmoid())),),
    ),
    Operation(
        "elu", "elu", "elu({0})", "Piecewise((x, x > 0), (exp(x) - 1, True))", elu, lambda v, x: (elu_slope(x),),
        ("elu′({0})",), steepest=1.0,
        vjps=(lambda u, v, x: _elu_vjp(u, x, 1.0, 1.0),),
    ),
    Operation(
        "selu", "selu", "selu({0})",
        f"Piecewise(({SCALE}*x, x > 0), ({SCALE_ALPHA}*(exp(x) - 1), True))", selu, lambda v, x: (selu_slope(x),),
        ("selu′({0})",), steepest=SCALE_ALPHA,
        vjps=(lambda u, v, x: _elu_vjp(u, x, SCALE, SCALE_ALPHA),),
    ),
    Operation(
        "hardtanh", "hardtanh", "hardtanh({0})", "Max(-1, Min(1, x))", hardtanh, lambda v, x: (hardtanh_slope(x),),
        ("hardtanh′({0})",), steepest=1.0, piecewise=True,
        vjps=(
            lambda u, v, x: recorded.where(
                recorded.greater(x, 1.0), 0.0, recorded.where(recorded.greater(-x, 1.0), 0.0, u)
            ),
        ),
    ),
    Operation(
        "softsign", "softsign", "softsign({0})", "x/(1 + Abs(x))", softsign, lambda v, x: (softsign_slope(x),),
        ("softsign′({0})",), steepest=1.0,
        vjps=(lambda u, v, x: _softsign_vjp(u, x),),
    ),
    Operation(
        "normal cdf", "Φ", "Φ({0})", "(1 + erf(x/sqrt(2)))/2", normal_cdf, lambda v, x: (density(x),),
        ("exp(−{0}²/2)/√(2·π)",),
        vjps=(lambda u, v, x: u * recorded.density(x),),
    ),
)  # fmt: skip

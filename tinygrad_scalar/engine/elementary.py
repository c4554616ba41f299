"""The functions behind the table of operations, and their slopes: IEEE 754 where Python's own functions raise, and
nothing that overflows on the way to a number that a float64 can hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable

inf, nan = math.inf, math.nan
FAR = 354.0  # exp of it is the root of the largest float64


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


def power_slope(v: float, x: float, y: float) -> float:
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


def log2(x: float) -> float:
    return -inf if x == 0.0 else nan if x < 0.0 else math.log2(x)


def log10(x: float) -> float:
    return -inf if x == 0.0 else nan if x < 0.0 else math.log10(x)


def exp2(x: float) -> float:
    return power(2.0, x)  # math.exp2 came with Python 3.11


def cbrt(x: float) -> float:
    """The real cube root: libm's power, off by |log x| ulp, and one step of Newton's method; libm's own is off by 3."""
    if x == 0.0 or not math.isfinite(x):
        return x
    root = math.copysign(math.pow(abs(x), 1.0 / 3.0), x)
    return root - (root - x / (root * root)) / 3.0


def floor(x: float) -> float:
    return math.copysign(float(math.floor(x)), x) if math.isfinite(x) else x  # −0 stays −0


def ceil(x: float) -> float:
    return math.copysign(float(math.ceil(x)), x) if math.isfinite(x) else x


def sign(x: float) -> float:
    return math.copysign(1.0, x) if x < 0.0 or x > 0.0 else x


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

# --- of two numbers -------------------------------------------------------------------------------------------------

SCALE = 2.0**600  # squares of what is above 2⁻⁴⁸⁰ times this do not underflow; divided by it, none overflows


def hypot(x: float, y: float) -> float:
    """√(x² + y²), by libm as in C, which math.hypot is not."""
    try:
        return abs(complex(x, y))
    except OverflowError:  # CPython also raises it for a nan that follows an overflow
        return inf if x == x and y == y else nan


def cosine(x: float, y: float) -> float:
    """x/hypot(x, y), the slope of hypot: ½ at the origin and nan at infinity, as in JAX."""
    v = hypot(x, y)
    if 1e-290 < v < inf:
        return x / v
    if x == 0.0 and y == 0.0:
        return 0.5
    if not math.isfinite(x) or not math.isfinite(y):
        return nan
    scale = 1.0 / SCALE if v > 1.0 else SCALE
    return (x * scale) / hypot(x * scale, y * scale)


def cosine_slopes(c: float, x: float, y: float) -> tuple[float, float]:
    if x == 0.0 and y == 0.0:
        return 0.0, 0.0  # as in JAX, and as of |x|, which this is in two dimensions
    s, v = cosine(y, x), hypot(x, y)  # sine² is 1 − cosine² with all its digits
    scale = 0.25 if v > 1e290 else SCALE if v < 1e-290 else 1.0
    over = divide(s, hypot(x * scale, y * scale))
    return over * s * scale, -over * c * scale


def atan2_slope(x: float, y: float) -> float:
    """x/(x² + y²), and −x/(x² + y²) is the other one with x and y exchanged."""
    d = x * x + y * y
    if 1e-290 < d < inf or not math.isfinite(x) or not math.isfinite(y):
        return divide(x, d)
    scale = 1.0 / SCALE if d > 1.0 else SCALE
    x, y = x * scale, y * scale
    return divide(x, x * x + y * y) * scale


def atan2_slope_slopes(v: float, x: float, y: float) -> tuple[float, float]:
    """(y² − x²)/(x² + y²)² in factors, of which neither loses digits where |x| is near |y|; and −2xy/(x² + y²)²."""
    h = hypot(x, y)
    difference, product = divide(y - x, h) * divide(y + x, h), divide(x, h) * divide(y, h)
    return divide(divide(difference, h), h), -2.0 * divide(divide(product, h), h)


def xlogy(x: float, y: float) -> float:
    """x·log(y); 0 where x is 0, whatever number y is, as in JAX."""
    return x * log(y) if x != 0.0 or y != y else 0.0


# --- activations, without overflow ----------------------------------------------------------------------------------


def sigmoid(x: float) -> float:
    """σ(x) = 1/(1 + e⁻ˣ) (000 Eq. 1)."""
    e = math.exp(-abs(x))
    return 1.0 / (1.0 + e) if x >= 0.0 else e / (1.0 + e)


def sigmoid_slope(x: float) -> float:
    e = math.exp(-abs(x))
    return e / ((1.0 + e) * (1.0 + e))  # σ′ = σ(x)·σ(−x), which is a(1 − a) with all its digits


def tanh_slope(x: float) -> float:
    e = math.exp(-2.0 * abs(x))
    return 4.0 * e / ((1.0 + e) * (1.0 + e))  # 1/cosh²(x), which is 1 − tanh² with all its digits


def asinh_slope(x: float) -> float:
    return 1.0 / math.sqrt(1.0 + x * x) if abs(x) < 1e9 else 1.0 / abs(x)  # beyond, 1 is lost in the sum


def relu(x: float) -> float:
    return 0.0 if x <= 0.0 else x  # in this order a nan stays a nan


def softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x))) if x == x else x


def erf_slope(x: float) -> float:
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


def share(x: float, y: float) -> float:
    """The slope of maximum(x, y) in x: 1, 0, or ½ in a tie."""
    return 1.0 if x > y else 0.5 if x == y else 0.0


def logaddexp(x: float, y: float) -> float:
    """log(eˣ + eʸ)."""
    if x == y:  # equal infinities have no difference
        return x + math.log(2.0)
    return maximum(x, y) + math.log1p(math.exp(-abs(x - y)))


def logaddexp_share(x: float, y: float) -> float:
    """eˣ/(eˣ + eʸ): of +∞ always 1, as in JAX; of −∞ always 0, as JAX's nan for two of them spoils longer sums."""
    if x == y:
        return 0.5 if math.isfinite(x) else 1.0 if x > 0.0 else 0.0
    difference = x - y
    if not math.isfinite(difference):
        return sigmoid(difference)
    shift = difference - x  # what x − y lost in rounding (Knuth's two-sum), or the share would be off by |x − y| ulp
    lost = (x - (difference - shift)) - (y + shift)
    return sigmoid(difference) + sigmoid_slope(difference) * lost


def logaddexp_share_slope(v: float, x: float, y: float) -> float:
    """v·σ(y − x); 0 where both are +∞, of which each has the share 1."""
    return v * logaddexp_share(y, x) if x != y or math.isfinite(x) else 0.0


def binary_entropy(a: float, z: float, y: float) -> float:
    """−y·log(a) − (1 − y)·log(1 − a); where a is σ(z), computed from z, in which 1 − a has all its digits."""
    e = math.exp(-abs(z))
    if _is_sigmoid(a, z, e):  # a sum of two terms ≥ 0
        wrong = 1.0 - y if z > 0.0 else y
        return math.log1p(e) + (abs(z) * wrong if wrong != 0.0 else 0.0)
    return -((y * log(a) if y != 0.0 else 0.0) + ((1.0 - y) * log1p(-a) if y != 1.0 else 0.0))


def binary_entropy_slopes(a: float, z: float, y: float) -> tuple[float, float, float]:
    """Of a = σ(z), 1/a is 1 + e⁻ᶻ and 1/(1 − a) is 1 + eᶻ; where they are too large, z gets σ(z) − y directly."""
    e = math.exp(-abs(z))
    if not _is_sigmoid(a, z, e):
        return divide(1.0 - y, 1.0 - a) - divide(y, a), 0.0, log1p(-a) - log(a)
    on, off = (1.0 - y, y) if z > 0.0 else (-y, y - 1.0)  # what is multiplied by the larger of eᶻ and e⁻ᶻ, or of σs
    if abs(z) > FAR:
        return 0.0, on / (1.0 + e) - off * (e / (1.0 + e)), -z
    return on * (1.0 + 1.0 / e) - off * (1.0 + e), 0.0, -z


def _is_sigmoid(a: float, z: float, e: float) -> bool:
    return abs(a - (1.0 if z >= 0.0 else e) / (1.0 + e)) <= 2.0**-50  # but for rounding


def where(condition: float, x: float, y: float) -> float:
    return x if condition != 0.0 else y

"""Everyday operations such as hypot and gelu: their NumPy calls and reverse rules, with the numbers of rows.py."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable
from typing import Any

from tinygrad_scalar.engine import activations
from tinygrad_scalar.engine.activations import SCALE, SCALE_ALPHA
from tinygrad_scalar.vectorize.recorded_operations import constant, times_slopes

ACTIVATIONS = ("normal cdf", "gelu", "silu", "elu", "selu", "mish", "hardtanh", "softsign")

# As in numpy_calls.py.
CALLS = {
    **{name: f"{name}({{0}}, out={{out}})" for name in ("log2", "log10", "exp2", "cbrt", "floor", "ceil")},
    "sign": "*signed_one({0}, out={out})",
    "hypot": "hypot({0}, {1}, out={out})",
    "atan2": "arctan2({0}, {1}, out={out})",
    "xlogy": "*xlogy({0}, {1}, out={out})",
    "cosine": "*cosine({0}, {1}, out={out})",
    "atan2 slope": "*slope_of_atan2({0}, {1}, out={out})",
    "exp of difference": "*exp_of_difference({0}, {1}, out={out})",
    **{name: f"*{name.replace(' ', '_')}({{0}}, out={{out}})" for name in ACTIVATIONS},
}
SLOPES = {
    ("atan2", 0): "*slope_of_atan2({2}, {1}, out={out})",
    ("atan2", 1): "*negative(slope_of_atan2({1}, {2}, out={out}), out={out})",
    ("cosine", 0): "*slope_of_cosine({1}, {2}, cosine({2}, {1}), out={out})",
    ("cosine", 1): "*negative(slope_of_cosine({1}, {2}, {0}, out={out}), out={out})",
    ("atan2 slope", 0): "*slopes_of_atan2_slope({1}, {2}, subtract({2}, {1}), add({2}, {1}), 1.0, out={out})",
    ("atan2 slope", 1): "*slopes_of_atan2_slope({1}, {2}, {1}, {2}, -2.0, out={out})",
    **{(name, 0): f"*slope_of_{name.replace(' ', '_')}({{1}}, out={{out}})" for name in ACTIVATIONS},
}
NUMPY = ("arctan2", "cbrt", "ceil", "exp2", "floor", "log10", "log2")


def _polynomial(coefficients: tuple[float, ...]) -> str:
    """A call that sums the polynomial up, at s; the first number is what the second lost in rounding."""
    call = f"np.polynomial.polynomial.polyval(s, {list(coefficients[1:])!r})"
    return textwrap.fill(call, 100, subsequent_indent=" " * 8, break_on_hyphens=False, break_long_words=False)


HELPERS = {
    "exp_of_difference": '''
def exp_of_difference(x, y, out):
    """exp(x - y)."""
    return exp(subtract(x, y, out=out), out=out)
''',
    "signed_one": '''
def signed_one(x, out):
    """The sign of x, with that of 0."""
    return copysign(np.sign(x), x, out=out)
''',
    "xlogy": '''
def xlogy(x, y, out):
    """x log(y); 0 where x is 0 and y is a number."""
    multiply(x, log(y), out=out)
    copyto(out, 0.0, where=np.equal(x, 0.0) & np.equal(y, y))
    return out
''',
    "cosine": '''
def cosine(x, y, out=None):
    """x/hypot(x, y); 1/2 at the origin, nan at infinity."""
    size = hypot(x, y)
    out = divide(x, size, out=out)
    usual = (size > 1e-290) & (size < np.inf)
    if not usual.all():
        scale = np.where(size > 1.0, 2.0**-600, 2.0**600)
        scaled = x * scale / hypot(x * scale, y * scale)
        scaled = np.where(np.isfinite(x) & np.isfinite(y), np.where(size == 0.0, 0.5, scaled), np.nan)
        copyto(out, scaled, where=~usual)
    return out
''',
    "slope_of_cosine": '''
def slope_of_cosine(x, y, factor, out):
    """y/hypot(x, y)**2 times a factor."""
    size = hypot(x, y)
    scale = np.where(size > 1e290, 0.25, np.where(size < 1e-290, 2.0**600, 1.0))
    bottom = hypot(x * scale, y * scale)
    multiply(cosine(y, x) / np.where(bottom == 0.0, np.inf, bottom) * factor, scale, out=out)
    return out
''',
    "slope_of_atan2": '''
def slope_of_atan2(x, y, out):
    """x/(x**2 + y**2)."""
    square = x * x + y * y
    divide(x, square, out=out)
    usual = (square > 1e-290) & (square < np.inf)
    if not usual.all():
        scale = np.where(square > 1.0, 2.0**-600, 2.0**600)
        scaled_x, scaled_y = x * scale, y * scale
        scaled = scaled_x / (scaled_x * scaled_x + scaled_y * scaled_y) * scale
        copyto(out, scaled, where=~usual & np.isfinite(x) & np.isfinite(y))
    return out
''',
    "slopes_of_atan2_slope": '''
def slopes_of_atan2_slope(x, y, left, right, factor, out):
    """A factor times left right/(x**2 + y**2)**2."""
    size = hypot(x, y)
    return multiply((left / size) * (right / size) / size / size, factor, out=out)
''',
    "silu": '''
def silu(z, out):
    """z/(1 + exp(-z))."""
    e = exp(copysign(z, -1.0))
    divide(z * np.where(z < 0.0, e, 1.0), 1.0 + e, out=out)
    return far_left(z, z, out)
''',
    "slope_of_silu": '''
def slope_of_silu(z, out):
    """s + z s (1 - s) with s = sigmoid(z)."""
    e = exp(copysign(z, -1.0))
    s = 1.0 / (1.0 + e)
    multiply(np.where(z < 0.0, e, 1.0) * s, 1.0 + z * np.where(z < 0.0, 1.0, e) * s, out=out)
    return far_left(z, 1.0 + z, out)
''',
    "mish": '''
def mish(z, out):
    """z tanh(log(1 + exp(z))), which is z (n - 1)/(n + 1) with n = (1 + exp(z))**2."""
    e = exp(copysign(z, -1.0))
    right, left = 1.0 + 2.0 * e, e * (e + 2.0)
    fraction = np.where(z > 0.0, right / (right + 2.0 * e * e), left / (left + 2.0))
    multiply(z, fraction, out=out)
    return far_left(z, z, out)
''',
    "slope_of_mish": '''
def slope_of_mish(z, out):
    """The slope of z (n - 1)/(n + 1) with n = (1 + exp(z))**2."""
    e = exp(copysign(z, -1.0))
    top = np.where(z > 0.0, 1.0 + 2.0 * e, e * (e + 2.0))
    bottom = top + np.where(z > 0.0, 2.0 * e * e, 2.0)
    add(top / bottom, z * (4.0 * e * (1.0 + e) * np.where(z > 0.0, e, 1.0) / (bottom * bottom)), out=out)
    return far_left(z, 1.0 + z, out)
''',
    "far_left": '''
def far_left(z, factor, out):
    """Where exp(z) is no longer a normal number, that times the factor."""
    if not out.size or not z.item(z.argmin()) > -700.0:
        half = exp(0.5 * z)
        copyto(out, factor * half * half, where=z < -700.0)
    return out
''',
    "elu": '''
def elu(z, out):
    """z for z > 0, else exp(z) - 1."""
    expm1(z, out=out)
    copyto(out, z, where=z > 0.0)
    return out
''',
    "slope_of_elu": '''
def slope_of_elu(z, out):
    """1 for z > 0, else exp(z)."""
    exp(z, out=out)
    copyto(out, 1.0, where=z > 0.0)
    return out
''',
    "selu": f'''
def selu(z, out):
    """scale (z for z > 0, else alpha (exp(z) - 1))."""
    multiply(expm1(z), {SCALE_ALPHA}, out=out)
    copyto(out, {SCALE} * z, where=z > 0.0)
    return out
''',
    "slope_of_selu": f'''
def slope_of_selu(z, out):
    """scale (1 for z > 0, else alpha exp(z))."""
    multiply(exp(z), {SCALE_ALPHA}, out=out)
    copyto(out, {SCALE}, where=z > 0.0)
    return out
''',
    "hardtanh": '''
def hardtanh(z, out):
    """z between -1 and 1."""
    maximum(z, -1.0, out=out)
    return minimum(out, 1.0, out=out)
''',
    "slope_of_hardtanh": '''
def slope_of_hardtanh(z, out):
    """0 beyond -1 and 1, else 1."""
    return subtract(1.0, greater(absolute(z), 1.0), out=out)
''',
    "softsign": '''
def softsign(z, out):
    """z/(1 + |z|)."""
    return divide(z, 1.0 + absolute(z), out=out)
''',
    "slope_of_softsign": '''
def slope_of_softsign(z, out):
    """1/(1 + |z|)**2; nan at infinity."""
    root = 1.0 / (1.0 + absolute(z))
    return add(root * root, z - z, out=out)
''',
    "normal_cdf": '''
def normal_cdf(x, out=None):
    """The probability that a standard normal number is less than x."""
    out = multiply(add(erf(x * math.sqrt(0.5), np.empty_like(x)), 1.0), 0.5, out=out)
    if not out.size or not x.item(x.argmin()) > -0.5:
        left = np.flatnonzero(x < -0.5)
        t = -x.take(left)
        out.put(left, exp(-0.5 * t * t) * (normal_tail(t) / t))
    return out
''',
    "slope_of_normal_cdf": '''
def slope_of_normal_cdf(x, out):
    """exp(-x**2/2)/sqrt(2 pi)."""
    return multiply(exp(-0.5 * x * x), 1.0 / math.sqrt(2.0 * math.pi), out=out)
''',
    "gelu": '''
def gelu(x, out):
    """x times the probability that a standard normal number is less than x."""
    multiply(add(erf(x * math.sqrt(0.5), np.empty_like(x)), 1.0), 0.5 * x, out=out)
    if not out.size or not x.item(x.argmin()) > -0.5:
        left = np.flatnonzero((x < -0.5) & (x > -np.inf))
        t = -x.take(left)
        out.put(left, -exp(-0.5 * t * t) * normal_tail(t))
    return out
''',
    "slope_of_gelu": '''
def slope_of_gelu(x, out):
    """The slope of x times the probability that a standard normal number is less than x."""
    add(normal_cdf(x), x * (exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)), out=out)
    if not out.size or not x.item(x.argmin()) > -0.5:
        left = np.flatnonzero((x < -0.5) & (x > -np.inf))
        t = -x.take(left)
        half = exp(-0.25 * t * t)
        out.put(left, (normal_tail(t) / t - t / math.sqrt(2.0 * math.pi)) * half * half + 0.0)
    return out
''',
    "normal_tail": f'''
def normal_tail(t):
    """t exp(t**2/2) times the probability that a standard normal number is less than -t, for t from 1/2 on."""
    t = minimum(t, 40.0)
    s = (t - 1.0) / (t + 1.0)
    near = {_polynomial(activations.NEAR)}
    s = (t - 5.0) / (t + 5.0)
    far = {_polynomial(activations.FAR)}
    return np.where(t < 2.0, near, far)
''',
}  # fmt: skip


def _over(number: float) -> Callable[..., Any]:
    """The rule of a logarithm, whose slope is number/x."""
    return lambda write, d, v, x: (write("*", d, write("/", constant(number), x)),)


# As in rules.py.
RULES: dict[str, Callable[..., Any]] = {
    "log2": _over(1.0 / math.log(2.0)),
    "log10": _over(1.0 / math.log(10.0)),
    "exp2": lambda write, d, v, x: (write("*", d, write("*", v, constant(math.log(2.0)))),),
    "cbrt": lambda write, d, v, x: (
        write("*", d, write("/", constant(1.0), write("*", constant(3.0), write("*", v, v)))),
    ),
    **dict.fromkeys(("floor", "ceil", "sign"), lambda write, d, v, x: (None,)),
    "atan2": times_slopes("atan2", (1, 2), (1, 2)),
    "hypot": lambda write, d, v, x, y: (write("*", d, write("cosine", x, y)), write("*", d, write("cosine", y, x))),
    "xlogy": lambda write, d, v, x, y: (write("*", d, write("log", y)), write("*", d, write("/", x, y))),
    "exp of difference": lambda write, d, v, x, y: (share := write("*", d, v), write("neg", share)),
    "cosine": times_slopes("cosine", (1, 2), (0, 1, 2)),
    "atan2 slope": times_slopes("atan2 slope", (1, 2), (1, 2)),
    **{name: times_slopes(name, (1,)) for name in ACTIVATIONS},
}

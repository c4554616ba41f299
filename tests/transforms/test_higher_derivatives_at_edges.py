"""Second and third derivatives at kinks, poles, infinities and the ends of the range are JAX's, or better."""

import sys
from fractions import Fraction
from math import inf, nan

import pytest

import tinygrad_scalar as ts

MOST = sys.float_info.max

# function, x, its first three derivatives there
OF_ONE = [
    ("abs", 0.0, (1.0, 0.0, 0.0)),
    ("abs", -0.0, (1.0, 0.0, 0.0)),
    ("sqrt", 0.0, (inf, -inf, inf)),
    ("sqrt", -0.0, (-inf, inf, -inf)),
    ("sqrt", -1.0, (nan, nan, nan)),
    ("sqrt", inf, (0.0, -0.0, 0.0)),
    ("cbrt", 0.0, (inf, -inf, inf)),
    ("cbrt", -0.0, (inf, inf, inf)),
    ("cbrt", inf, (0.0, -0.0, 0.0)),
    ("cbrt", -inf, (0.0, 0.0, 0.0)),
    ("log", 0.0, (inf, -inf, inf)),
    ("log", -0.0, (-inf, -inf, -inf)),
    ("log", inf, (0.0, -0.0, 0.0)),
    ("log2", 0.0, (inf, -inf, inf)),
    ("log10", 0.0, (inf, -inf, inf)),
    ("log1p", -1.0, (inf, -inf, inf)),
    ("log1p", inf, (0.0, -0.0, 0.0)),
    ("exp", -inf, (0.0, 0.0, 0.0)),
    ("exp", inf, (inf, inf, inf)),
    ("exp2", -inf, (0.0, 0.0, 0.0)),
    ("expm1", -inf, (0.0, 0.0, 0.0)),
    ("relu", 0.0, (0.0, 0.0, 0.0)),
    ("relu", -0.0, (0.0, 0.0, 0.0)),
    ("relu", inf, (1.0, 0.0, 0.0)),
    ("relu", nan, (0.0, 0.0, 0.0)),
    ("sigmoid", -inf, (0.0, 0.0, 0.0)),
    ("sigmoid", inf, (0.0, -0.0, 0.0)),
    ("softplus", -inf, (0.0, 0.0, 0.0)),
    ("softplus", inf, (1.0, 0.0, -0.0)),
    ("tanh", -inf, (0.0, 0.0, 0.0)),
    ("tanh", inf, (0.0, -0.0, 0.0)),
    ("erf", 40.0, (0.0, -0.0, 0.0)),
    ("sin", -0.0, (1.0, 0.0, -1.0)),
    ("sin", inf, (nan, nan, nan)),
    ("asin", 1.0, (inf, inf, inf)),
    ("asin", -1.0, (inf, -inf, inf)),
    ("asin", 2.0, (nan, nan, nan)),
    ("acos", 1.0, (-inf, -inf, -inf)),
    ("acos", -1.0, (-inf, inf, -inf)),
    ("sinh", -inf, (inf, -inf, inf)),
    ("cosh", -inf, (-inf, inf, -inf)),
    ("floor", 1.0, (0.0, 0.0, 0.0)),
    ("ceil", 1.0, (0.0, 0.0, 0.0)),
    ("sign", 0.0, (0.0, 0.0, 0.0)),
    ("asinh", 1e200, (1e-200, -0.0, 0.0)),
    ("erf", -1e200, (0.0, 0.0, 0.0)),
    ("silu", 1e200, (1.0, 0.0, 0.0)),
    ("silu", -1e200, (-0.0, 0.0, 0.0)),
    ("mish", 1e200, (1.0, 0.0, 0.0)),
    ("mish", -1e200, (-0.0, 0.0, 0.0)),
    # nan, as the slope multiplies 0 by ∞ on the way
    ("atan", inf, (0.0, nan, nan)),
    ("asinh", inf, (0.0, nan, nan)),
    ("erf", inf, (0.0, nan, nan)),
    ("gelu", inf, (nan, nan, nan)),
    ("silu", inf, (nan, nan, nan)),
    ("mish", inf, (nan, nan, nan)),
    ("gelu", -inf, (nan, nan, nan)),
]

# where JAX has no number, because it multiplies 0 by ∞
BETTER_THAN_JAX = [
    ("acosh", 1.0, (inf, -inf, inf)),
    ("acosh", inf, (0.0, -0.0, 0.0)),
    ("atanh", 1.0, (inf, inf, inf)),
    ("atanh", -1.0, (inf, -inf, inf)),
    ("atanh", 1e200, (-0.0, 0.0, 0.0)),
    ("atan", 1e77, (1e-154, -2e-231, 5.999999999999999e-308)),
    ("atan", -1e200, (0.0, 0.0, 0.0)),
    ("atan", MOST, (0.0, -0.0, 0.0)),
    ("gelu", 1e200, (1.0, 0.0, 0.0)),
    ("gelu", -1e200, (0.0, 0.0, 0.0)),
    ("erf", MOST, (0.0, -0.0, nan)),  # 2x overflows
    ("mish", MOST, (1.0, 0.0, nan)),
    ("x**0", 0.0, (0.0, 0.0, 0.0)),
    ("x**1", 0.0, (1.0, 0.0, 0.0)),
    ("x**2", 0.0, (0.0, 2.0, 0.0)),
]

# function, (x, y), its Hessian there, by rows
OF_TWO = [
    ("maximum", (1.0, 1.0), (0.0, 0.0, 0.0, 0.0)),
    ("maximum", (inf, inf), (0.0, 0.0, 0.0, 0.0)),
    ("maximum", (0.0, inf), (0.0, 0.0, 0.0, 0.0)),
    ("minimum", (0.0, -0.0), (0.0, 0.0, 0.0, 0.0)),
    ("hypot", (0.0, 1.0), (1.0, 0.0, 0.0, 0.0)),
    ("hypot", (3.0, inf), (nan, nan, nan, nan)),
    ("atan2", (0.0, 0.0), (nan, nan, nan, nan)),
    ("atan2", (0.0, 1.0), (0.0, -1.0, -1.0, 0.0)),
    ("hypot", (0.0, 0.0), (0.0, 0.0, 0.0, 0.0)),
    ("hypot", (-0.0, 0.0), (0.0, 0.0, 0.0, 0.0)),
    ("hypot", (1e200, 1e-200), (0.0, 0.0, 0.0, 1e-200)),
    ("atan2", (1.0, 1.0), (-0.5, 0.0, 0.0, 0.5)),
    ("atan2", (-2.0, 2.0), (0.125, 0.0, 0.0, -0.125)),
    ("logaddexp", (inf, inf), (0.0, 0.0, 0.0, 0.0)),
    ("logaddexp", (0.0, 0.0), (0.25, -0.25, -0.25, 0.25)),
    ("logaddexp", (-inf, 0.0), (0.0, -0.0, 0.0, 0.0)),
    ("logaddexp", (800.0, -800.0), (0.0, 0.0, -0.0, 0.0)),
    ("divide", (0.0, 1.0), (-0.0, -1.0, -1.0, -0.0)),
    ("divide", (1.0, inf), (-0.0, -0.0, -0.0, -0.0)),
    ("multiply", (0.0, inf), (0.0, 1.0, 1.0, 0.0)),
    ("power", (0.0, 2.0), (2.0, 0.0, 0.0, 0.0)),
    ("power", (0.0, 3.0), (0.0, 0.0, 0.0, 0.0)),
    ("power", (1.0, 0.0), (0.0, 1.0, 1.0, 0.0)),
    ("xlogy", (0.0, 1.0), (0.0, 1.0, 1.0, 0.0)),
    ("xlogy", (0.0, inf), (0.0, 0.0, 0.0, 0.0)),
]

OF_TWO_BETTER_THAN_JAX = [
    ("logaddexp", (-inf, -inf), (0.0, 0.0, 0.0, 0.0)),
    ("hypot", (0.0, 1e-310), (inf, 0.0, 0.0, 0.0)),  # the slopes of 1/h overflow, but 0/h is 0
    ("atan2", (0.0, 1e-300), (0.0, -inf, -inf, 0.0)),
    ("atan2", (1e-300, 1e-300), (-inf, 0.0, 0.0, inf)),
    ("atan2", (1e200, 1e200), (0.0, 0.0, 0.0, 0.0)),
    ("atan2", (1e-160, 1e300), (0.0, 0.0, 0.0, 0.0)),
]

# where the numbers on the way overflow, though the result would not
LIMITS = [
    ("atan2", (2.0, -inf), (nan, nan, nan, nan)),  # JAX has 0 in one of the mixed ones
    ("atan2", (MOST, MOST), (0.0, nan, nan, 0.0)),  # x + y overflows
    ("power", (5e-324, 0.0), (nan, nan, nan, 554191.0206823113)),  # xʸ⁻¹ does
    ("divide", (0.0, 5e-324), (-0.0, -inf, -inf, nan)),  # 1/y does
]

OURS = {
    "abs": abs,
    "divide": lambda x, y: x / y,
    "multiply": lambda x, y: x * y,
    "power": lambda x, y: x**y,
    "x**0": lambda x: x**0,
    "x**1": lambda x: x**1,
    "x**2": lambda x: x**2,
}


def _ids(cases):
    return [f"{name} {at}" for name, at, _ in cases]


def _three_derivatives(grad, f, x):
    found = []
    for _ in range(3):
        f = grad(f)
        found.append(float(f(x)))
    return found


@pytest.mark.parametrize("name, x, derivatives", OF_ONE + BETTER_THAN_JAX, ids=_ids(OF_ONE + BETTER_THAN_JAX))
def test_three_derivatives_of_a_function(name, x, derivatives):
    f = OURS.get(name) or getattr(ts, name)
    assert repr(_three_derivatives(ts.grad, f, x)) == repr(list(derivatives))


ALL_OF_TWO = OF_TWO + OF_TWO_BETTER_THAN_JAX + LIMITS


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name, at, second", ALL_OF_TWO, ids=_ids(ALL_OF_TWO))
def test_the_hessian_of_a_function_of_two(name, at, second, compiled):
    f = OURS.get(name) or getattr(ts, name)
    hessian = ts.hessian(f, argnums=(0, 1), compiled=compiled)(*at)
    found = [number for row in hessian for number in row]
    assert found == pytest.approx(second, rel=1e-14, abs=0.0, nan_ok=True)


@pytest.mark.parametrize(
    "x, y", [(1.0, 1.0 + 2**-40), (1.0 + 2**-30, -1.0), (-3.0, 3.0 - 2**-50), (1e-100, 1.001e-100)]
)
def test_mixed_derivatives_of_atan2_have_their_digits_where_the_operands_are_nearly_equal(x, y):
    hessian = ts.hessian(ts.atan2, argnums=(0, 1))(x, y)
    X, Y = Fraction(x), Fraction(y)
    mixed = float((X - Y) * (X + Y) / (X * X + Y * Y) ** 2)
    assert [hessian[0][1], hessian[1][0]] == pytest.approx([mixed, mixed], rel=1e-14, abs=0.0)


def test_third_derivatives_of_activations_vanish_where_squares_overflow_under_vectorize_too():
    for name in ("atan", "asinh", "erf", "gelu", "silu", "mish", "normal_cdf"):
        f = getattr(ts, name, lambda x: ts.Value._recorded("normal cdf", x))
        third = ts.grad(ts.grad(ts.grad(f)), compiled=True)
        assert [third(x) for x in (1e160, -1e200, 1e300)] == [0.0, 0.0, 0.0], name


@pytest.mark.peers
def test_the_tables_hold_what_jax_answers():
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    jax.config.update("jax_enable_x64", True)
    special = {"relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid, "softplus": jax.nn.softplus}
    special |= {"erf": jax.scipy.special.erf, "xlogy": jax.scipy.special.xlogy, "atan2": jax.numpy.arctan2}
    special |= {"gelu": lambda x: jax.nn.gelu(x, approximate=False), "silu": jax.nn.silu, "mish": jax.nn.mish}
    special |= {
        "atan": jax.numpy.arctan,
        "asinh": jax.numpy.arcsinh,
        "asin": jax.numpy.arcsin,
        "acos": jax.numpy.arccos,
    }
    for name, x, derivatives in OF_ONE:
        f = special.get(name) or getattr(jax.numpy, name)
        assert _three_derivatives(jax.grad, f, x) == pytest.approx(derivatives, rel=1e-14, nan_ok=True), (name, x)
    for name, at, second in OF_TWO:
        f = special.get(name) or getattr(jax.numpy, name)
        hessian = jax.hessian(f, argnums=(0, 1))(*at)
        found = [float(number) for row in hessian for number in row]
        assert found == pytest.approx(second, rel=1e-14, nan_ok=True), (name, at)


@pytest.mark.parametrize("x", [1e160, -1e200, 1e300])
def test_the_recorded_slope_of_asinh_does_not_vanish_where_the_square_overflows(x):
    v = ts.Value(x)
    (slope,) = ts.gradient(v.asinh(), [v])
    assert slope.data == pytest.approx(1.0 / abs(x), rel=1e-15, abs=0.0)

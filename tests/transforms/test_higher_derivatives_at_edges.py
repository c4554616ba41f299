"""Second and third derivatives at kinks, poles and infinities are JAX's."""

from math import inf, nan

import pytest

import tinygrad_scalar as ts

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
]

# where JAX has no number, because it multiplies 0 by ∞
BETTER_THAN_JAX = [
    ("acosh", 1.0, (inf, -inf, inf)),
    ("acosh", inf, (0.0, -0.0, 0.0)),
    ("atanh", 1.0, (inf, inf, inf)),
    ("atanh", -1.0, (inf, -inf, inf)),
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


@pytest.mark.parametrize("name, at, second", OF_TWO, ids=_ids(OF_TWO))
def test_the_hessian_of_a_function_of_two(name, at, second):
    f = OURS.get(name) or getattr(ts, name)
    hessian = ts.hessian(f, argnums=(0, 1))(*at)
    assert [number for row in hessian for number in row] == pytest.approx(second, rel=1e-14, nan_ok=True)


@pytest.mark.peers
def test_the_tables_hold_what_jax_answers():
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    jax.config.update("jax_enable_x64", True)
    special = {"relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid, "softplus": jax.nn.softplus}
    special |= {"erf": jax.scipy.special.erf, "xlogy": jax.scipy.special.xlogy, "atan2": jax.numpy.arctan2}
    special |= {"asin": jax.numpy.arcsin, "acos": jax.numpy.arccos}
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

"""The activations' derivatives, which 003 postpones: domain, range and derivative of each, by mpmath to 50 digits."""

import math
import sys

import mpmath
import numpy as np
import pytest

import tinygrad_scalar as ts
from tinygrad_scalar.nn.activations import ACTIVATIONS

from .equations import EQUATIONS, equation

mpmath.mp.dps = 50

INF = math.inf

# g, g′, and the range of each: its lower and upper end
FORMULAS = {
    "linear": (lambda z: z, lambda z: 1, (-INF, INF), (1.0, 1.0)),
    "sigmoid": (
        lambda z: 1 / (1 + mpmath.exp(-z)),
        lambda z: 1 / (1 + mpmath.exp(-z)) * (1 - 1 / (1 + mpmath.exp(-z))),
        (0.0, 1.0),
        (0.0, 0.25),
    ),
    "tanh": (mpmath.tanh, lambda z: 1 - mpmath.tanh(z) ** 2, (-1.0, 1.0), (0.0, 1.0)),
    "relu": (lambda z: max(z, 0), lambda z: int(z > 0), (0.0, INF), (0.0, 1.0)),
    "leaky_relu": (
        lambda z: max(z, 0) + mpmath.mpf(0.01) * min(z, 0),
        lambda z: int(z >= 0) + mpmath.mpf(0.01) * int(z < 0),
        (-INF, INF),
        (0.01, 1.0),
    ),
    "softplus": (lambda z: mpmath.log(1 + mpmath.exp(z)), lambda z: 1 / (1 + mpmath.exp(-z)), (0.0, INF), (0.0, 1.0)),
}
CLOSED = [f"003 derivative of {name}" for name in FORMULAS]
EACH = pytest.mark.parametrize("name", FORMULAS)
PLACES = [*(sign * x for x in (1e-9, 1e-3, 0.1, 0.5, 1.0, 2.5, 7.0, 15.0, 30.0) for sign in (-1, 1)), 0.0]
EVERYWHERE = [*PLACES, *(sign * x for x in (40.0, 750.0, 1e4, sys.float_info.max) for sign in (-1, 1))]


def value_and_slope(name, z):
    pre_activation = ts.Value(z)
    a = ACTIVATIONS[name](pre_activation)
    a.backward()
    return a.data, pre_activation.grad


def test_every_activation_of_the_notes_has_its_row():
    assert FORMULAS.keys() <= ACTIVATIONS.keys()
    assert [e.id for e in EQUATIONS if e.id.startswith("003 derivative of ")] == CLOSED


@equation(*CLOSED)
@EACH
@pytest.mark.parametrize("z", PLACES)
def test_003_derivative_of_each_activation(name, z):
    """g and g′ against mpmath, g′ also against its definition as a limit; the slope at the kink in 0 is JAX's."""
    g, g_prime, _, _ = FORMULAS[name]
    a, slope = value_and_slope(name, z)
    exact = mpmath.mpf(z)
    assert a == pytest.approx(float(g(exact)), rel=1e-14)
    assert slope == pytest.approx(float(g_prime(exact)), rel=1e-14)
    if z or name not in ("relu", "leaky_relu"):
        assert slope == pytest.approx(float(mpmath.diff(g, exact)), rel=1e-13)


@equation(*CLOSED)
@EACH
def test_003_domain_of_each_activation_is_every_number(name):
    for z in EVERYWHERE:
        a, slope = value_and_slope(name, z)
        assert math.isfinite(a)
        assert math.isfinite(slope)


@equation(*CLOSED)
@EACH
def test_003_range_of_each_activation_and_of_its_derivative(name):
    """No value is outside the range; a finite end is reached, an infinite one approached."""
    _, _, *ranges = FORMULAS[name]
    found = np.array([value_and_slope(name, z) for z in EVERYWHERE]).T
    for numbers, (low, high) in zip(found, ranges):
        rounding = sys.float_info.epsilon
        assert low - rounding <= numbers.min() <= numbers.max() <= high + rounding
        for end, reached in ((low, numbers.min()), (high, numbers.max())):
            assert abs(reached) > 1e300 if math.isinf(end) else reached == pytest.approx(end, abs=1e-12)

"""Everyday functions are within 2 ulp of mpmath wherever a float64 can hold the result, slopes within 4."""

import math
import random

import mpmath
import pytest

from tinygrad_scalar.engine import ops

ULPS, ULPS_OF_SLOPES = 2.0, 4.0


def _positive(rng):
    """Any size, down to the subnormal numbers; half of them near 1."""
    return rng.choice([rng.uniform(0.5, 2.0), 2.0 ** rng.uniform(-1074, 1024), 5e-324, 1.7976931348623157e308])


def _any(rng):
    return rng.choice([1.0, -1.0]) * _positive(rng)


def _pair(rng):
    """Two numbers, half of them of about the same size."""
    x = _any(rng)
    return (x, x / 2.0 * rng.uniform(-2.0, 2.0)) if rng.random() < 0.5 else (x, _any(rng))


def _size(rng):
    return rng.choice([-1.0, 1.0]) * 2.0 ** rng.uniform(-300, 300)


# The exact function, and where to look. Where it has a slope of its own, that is looked at too.
SWEPT = {
    "log2": (lambda x: mpmath.log(x) / mpmath.log(2), _positive),
    "log10": (lambda x: mpmath.log(x) / mpmath.log(10), _positive),
    "exp2": (lambda x: mpmath.mpf(2) ** x, lambda rng: rng.choice([rng.uniform(-1074, 1024), rng.uniform(-1, 1)])),
    "cbrt": (lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)), _any),
    "floor": (mpmath.floor, _any),
    "ceil": (mpmath.ceil, _any),
    "sign": (mpmath.sign, _any),
    "atan2": (mpmath.atan2, _pair),
    "hypot": (lambda x, y: mpmath.sqrt(x * x + y * y), _pair),
    "xlogy": (lambda x, y: x * mpmath.log(y), lambda rng: (_any(rng), _positive(rng))),
    "cosine": (lambda x, y: x / mpmath.sqrt(x * x + y * y), lambda rng: (_size(rng), _size(rng))),
}


def _gate(rng):
    """Where gates bend, and far out to where they end."""
    return rng.choice(
        [
            rng.uniform(-3, 3),
            rng.uniform(-40, 40),
            rng.uniform(-745, 5),
            -(10.0 ** rng.uniform(-300, 2)),
            10.0 ** rng.uniform(-300, 3),
        ]
    )


def _normal_cdf(x):
    return mpmath.erfc(-x / mpmath.sqrt(2)) / 2


def _mish(x):
    return x * mpmath.tanh(mpmath.log1p(mpmath.exp(x)))


SWEPT |= {
    "gelu": (lambda x: x * _normal_cdf(x), _gate),
    "silu": (lambda x: x / (1 + mpmath.exp(-x)), _gate),
    "mish": (_mish, _gate),
    "elu": (lambda x: x if x > 0 else mpmath.expm1(x), _gate),
    "selu": (lambda x: 1.0507009873554805 * x if x > 0 else 1.7580993408473766 * mpmath.expm1(x), _gate),
    "hardtanh": (lambda x: max(-1, min(1, x)), _gate),
    "softsign": (lambda x: x / (1 + abs(x)), _gate),
}
SLOPES = {
    "elu": lambda x: [1 if x > 0 else mpmath.exp(x)],
    "softsign": lambda x: [1 / (1 + abs(x)) ** 2],
    "log2": lambda x: [1 / (x * mpmath.log(2))],
    "log10": lambda x: [1 / (x * mpmath.log(10))],
    "exp2": lambda x: [mpmath.mpf(2) ** x * mpmath.log(2)],
    "cbrt": lambda x: [1 / (3 * mpmath.cbrt(abs(x)) ** 2)],
    "atan2": lambda y, x: [x / (x * x + y * y), -y / (x * x + y * y)],
    "hypot": lambda x, y: [x / mpmath.sqrt(x * x + y * y), y / mpmath.sqrt(x * x + y * y)],
    "xlogy": lambda x, y: [mpmath.log(y), x / y],
    "cosine": lambda x, y: [y * y / mpmath.sqrt(x * x + y * y) ** 3, -x * y / mpmath.sqrt(x * x + y * y) ** 3],
}


def _ulps(number, exact):
    if abs(exact) >= mpmath.mpf(2) ** 1024 * (1 - mpmath.mpf(2) ** -54):
        return 0.0 if number == math.copysign(math.inf, exact) else math.inf
    return float(abs(mpmath.mpf(number) - exact) / math.ulp(float(exact)))


@pytest.mark.parametrize("name", SWEPT)
def test_values_and_slopes_have_their_digits_everywhere(name, thorough):
    exact, draw = SWEPT[name]
    row, rng = ops.operation(name), random.Random(name)
    for _ in range(4_000 if thorough else 300):
        drawn = draw(rng)
        point = drawn if isinstance(drawn, tuple) else (drawn,)
        with mpmath.workdps(60):
            numbers = [mpmath.mpf(x) for x in point]
            data = row.forward(*point)
            assert _ulps(data, exact(*numbers)) <= ULPS, point
            for slope, expected in zip(row.local_grads(data, *point), SLOPES.get(name, lambda *x: [])(*numbers)):
                assert _ulps(slope, expected) <= ULPS_OF_SLOPES, (point, slope)


# Slopes that change their sign: to 1e-15 of the largest term.
GATES = {
    "gelu": lambda x: (_normal_cdf(x), x * mpmath.exp(-x * x / 2) / mpmath.sqrt(2 * mpmath.pi)),
    "silu": lambda x: (1 / (1 + mpmath.exp(-x)), x * mpmath.exp(-x) / (1 + mpmath.exp(-x)) ** 2),
    "mish": lambda x: (
        mpmath.tanh(mpmath.log1p(mpmath.exp(x))),
        x * mpmath.sech(mpmath.log1p(mpmath.exp(x))) ** 2 / (1 + mpmath.exp(-x)),
    ),
}


@pytest.mark.parametrize("name", GATES)
def test_slopes_of_gates_have_the_digits_of_their_terms(name, thorough):
    row, rng = ops.operation(name), random.Random(name)
    for _ in range(4_000 if thorough else 300):
        x = rng.choice([rng.uniform(-3, 3), rng.uniform(-37, 40), 10.0 ** rng.uniform(-300, 0)])
        with mpmath.workdps(60):
            terms = GATES[name](mpmath.mpf(x))
            [slope] = row.local_grads(row.forward(x), x)
            assert abs(slope - sum(terms)) <= 1e-15 * max(map(abs, terms)), x

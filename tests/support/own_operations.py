"""Primitives for the tests: of one to four operands, piecewise, with a detached operand, with derivatives of floats."""

import math

import tinygrad_scalar as ts


@ts.primitive(derivative=lambda x: ts.sigmoid(x) * (1.0 + x * ts.sigmoid(-x)))
def swish(x):
    """x·σ(x)."""
    return x * ts.sigmoid(x)


@ts.primitive(derivative=lambda x, y: (y / (x * x + y * y), -x / (x * x + y * y)), symbol="∠", text="∠({x}, {y})")
def angle(x, y):
    return math.atan2(x, y)


@ts.primitive(derivative=lambda t, a, b: [a - b, t, 1 - t], expression="t*a + (1 - t)*b")
def blend(t, a, b):
    return t * a + (1.0 - t) * b


@ts.primitive(
    derivative=(
        lambda p, q, r, s: q * r * s,
        lambda p, q, r, s: p * r * s,
        lambda p, q, r, s: p * q * s,
        lambda p, q, r, s: p * q * r,
    )
)
def product(p, q, r, s):
    return p * q * r * s


@ts.primitive(derivative=lambda x: ts.where(ts.greater(x, 0.0), 1.0, 0.25))
def bent(x):
    return x if x > 0.0 else 0.25 * x


@ts.primitive(derivative=(lambda x, y: 2.0 * x * y, None), check=False)
def weighted(x, y):
    return x * x * y


@ts.primitive(derivative=lambda x: math.cos(x))
def of_floats(x):
    return math.sin(x)


@ts.primitive(derivative=lambda x: 1.0 if x > 0 else -1.0)
def branching(x):
    return abs(x)


@ts.primitive(derivative=lambda x: ts.sigmoid(x) * (1.0 + x * ts.sigmoid(-x)))
def gated(x):
    return x * ts.sigmoid(x)


@ts.primitive(derivative=lambda x: 1.0, check=False)
def straight(x):
    return ts.floor(3.0 * x)


@ts.primitive(derivative=lambda x: ts.where(ts.greater(abs(x), 0.5), 0.0, 1.0), check=False)
def clipped(x):
    return ts.minimum(ts.maximum(x, -0.5), 0.5)


@ts.primitive(derivative=lambda x: 3.0 * gated(x), check=False)
def nested(x):
    return 2.0 * gated(x) + 1.0


@ts.primitive(derivative=(None,), check=False)
def halted(x):
    return x * x


@ts.primitive(derivative=lambda x: x, check=False)
def unchanged(x):
    return x


@ts.primitive(derivative=lambda x: 2.0, check=False)
def constant(x):
    return 4.0


@ts.primitive(derivative=(lambda a, b: a, None), check=False)
def listed(a, b):
    return ts.sum([a, b, a * b])


@ts.primitive(derivative=lambda m, M, r: (M / r**2, m / r**2, -2.0 * m * M / r**3), text="gravity({m}, {M}, {r})")
def gravity(m, M, r):
    return m * M / r**2


@ts.primitive(derivative=lambda x: math.cos(x))
def by_math(x):
    return math.sin(x)


@ts.primitive(derivative=lambda x: ts.cos(x))
def half_by_math(x):
    return math.sin(x)


temperature = 2.0


@ts.primitive(derivative=lambda x: ts.sigmoid(x / temperature))
def warm(x):
    return temperature * ts.softplus(x / temperature)


@ts.primitive(derivative=lambda x: temperature, check=False)
def warm_slope(x):
    return x

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

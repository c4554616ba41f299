"""min over x of max over y of (x₁² + x₂²) − (y₁² + y₂²), by descent within descent (Pearlmutter and Siskind).

The gradient in x goes through the whole descent in y, which itself takes gradients; in all four nestings of the modes.
"""

from __future__ import annotations

import numpy as np

import tinygrad_scalar as ts
from benchmarks.gradbench import descent
from benchmarks.gradbench.descent import MODES, minimum, minimum_in_jax

SIZES, TRIAL = MODES, MODES[0]
START = np.array([1.0, 1.0])
PUBLISHED = 8.246324826140356e-06  # each of the four coordinates, from (1, 1)


def inputs(outer, inner):
    return outer, inner, START


def f(x, y):
    return (x[0] ** 2 + x[1] ** 2) - (y[0] ** 2 + y[1] ** 2)


def vectorized(outer, inner, start):
    outer, inner = descent.with_gradient(outer), descent.with_gradient(inner)

    def farthest(x):
        return minimum(inner(lambda y: -f(x, y)), start)

    def step():
        x = minimum(outer(lambda x: f(x, farthest(x))), start)
        return x, farthest(x)

    return step, lambda: f([ts.Value(number) for number in start], start)


def torch(outer, inner, start):
    import torch

    outer, inner, start = (
        descent.with_gradient_in_torch(outer),
        descent.with_gradient_in_torch(inner),
        torch.tensor(start),
    )

    def farthest(x):
        return minimum(inner(lambda y: -f(x, y)), start)

    def step():
        x = minimum(outer(lambda x: f(x, farthest(x))), start)
        return x, farthest(x)

    return step


def jax(outer, inner, start):
    import jax

    # JAX has no reverse mode through a loop that ends on a condition
    outer, inner, start = (
        descent.with_gradient_in_jax("forward"),
        descent.with_gradient_in_jax(inner),
        jax.numpy.asarray(start),
    )

    def farthest(x, s):
        return minimum_in_jax(inner(lambda y: -f(x, y)), s)

    @jax.jit
    def run(s):
        x = minimum_in_jax(outer(lambda x: f(x, farthest(x, s))), s)
        return x, farthest(x, s)

    return lambda: jax.block_until_ready(run(start))


def oracle(*_):
    return np.full(2, PUBLISHED), np.full(2, PUBLISHED)

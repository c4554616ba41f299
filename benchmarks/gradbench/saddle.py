"""min over x of max over y of (x₁² + x₂²) − (y₁² + y₂²), by descent within descent (Pearlmutter and Siskind).

The outer gradient is taken at the inner maximum (by the envelope theorem it is ∂f/∂x there): the derivative through the
inner descent needs derivatives that are Values, which come with the calculus.
"""

from __future__ import annotations

import numpy as np

import tinygrad_scalar as ts
from benchmarks.gradbench.descent import minimum, minimum_in_jax

SIZES, TRIAL = [(1.0, 1.0)], (1.0, 1.0)
PUBLISHED = 8.246324826140356e-06  # each of the four coordinates, from (1, 1)


def inputs(*start):
    return (np.array(start),)


def f(x, y):
    return (x[0] ** 2 + x[1] ** 2) - (y[0] ** 2 + y[1] ** 2)


def vectorized(start):
    values = [ts.Value(number) for number in (*start, *start)]
    run = ts.vectorize(lambda: f(values[:2], values[2:]), values)

    def at(x, y):
        run.parameters[:2], run.parameters[2:] = x, y
        return run()

    def farthest(x):
        def downhill(y):
            value, gradient = at(x, y)
            return -value, -gradient[2:]

        return minimum(downhill, start)

    def outer(x):
        value, gradient = at(x, farthest(x))
        return value, gradient[:2]

    def step():
        x = minimum(outer, start)
        return x, farthest(x)

    return step, lambda: f(values[:2], values[2:])


def torch(start):
    import torch

    s = torch.tensor(start)

    def differentiated(function, create_graph):
        def both(x):
            x = x if x.requires_grad else x.detach().requires_grad_()
            value = function(x)
            return value, *torch.autograd.grad(value, [x], create_graph=create_graph)

        return both

    def farthest(x):
        return minimum(differentiated(lambda y: -f(x, y), create_graph=True), s)

    def step():
        x = minimum(differentiated(lambda x: f(x, farthest(x)), create_graph=False), s).detach()
        return x, farthest(x).detach()

    return step


def jax(start):
    import jax

    def farthest(x, s):
        return minimum_in_jax(lambda y: -f(x, y), s, jax.value_and_grad)

    def forward(function):
        def pair(x):
            value = function(x)
            return value, value

        def both(x):
            gradient, value = jax.jacfwd(pair, has_aux=True)(x)
            return value, gradient

        return both

    @jax.jit
    def run(s):
        x = minimum_in_jax(lambda x: f(x, farthest(x, s)), s, forward)
        return x, farthest(x, s)

    s = jax.numpy.asarray(start)
    return lambda: jax.block_until_ready(run(s))


def oracle(start):
    return np.full(2, PUBLISHED), np.full(2, PUBLISHED)

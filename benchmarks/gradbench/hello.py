"""The square of a number."""

from __future__ import annotations

import tinygrad_scalar as ts

SIZES, TRIAL = [(3.5,)], (-2.0,)


def inputs(number):
    return (number,)


def vectorized(number):
    x = ts.Value(number)
    run = ts.vectorize(lambda: x**2, [x])
    return run, lambda: x**2


def torch(number):
    import torch

    x = torch.tensor([number], dtype=torch.float64, requires_grad=True)

    def step():
        y = x[0] ** 2
        return y.detach(), *torch.autograd.grad(y, [x])

    return step


def jax(number):
    import jax

    run = jax.jit(jax.value_and_grad(lambda x: x[0] ** 2))
    x = jax.numpy.array([number])
    return lambda: jax.block_until_ready(run(x))


def oracle(number):
    return number**2, [2 * number]

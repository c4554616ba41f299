"""log Σᵢ exp xᵢ, with the largest of the numbers taken out so that nothing overflows."""

from __future__ import annotations

import numpy as np

import tinygrad_scalar as ts

SIZES, TRIAL = [(80_000,), (1_280_000,)], (50,)


def inputs(n):
    return (np.random.default_rng(0).random(n),)


def logsumexp(x):
    largest = ts.max(x)
    return largest + ts.log(ts.sum(ts.exp(x_i - largest) for x_i in x))


def vectorized(numbers):
    x = [ts.Value(number) for number in numbers.tolist()]
    run = ts.vectorize(lambda: logsumexp(x), x)
    return run, lambda: logsumexp(x)


def torch(numbers):
    import torch

    x = torch.tensor(numbers, requires_grad=True)

    def step():
        largest = x.max()
        y = largest + torch.log(torch.exp(x - largest).sum())
        return y.detach(), *torch.autograd.grad(y, [x])

    return step


def jax(numbers):
    import jax
    from jax import numpy as jnp

    def cost(x):
        largest = x.max()
        return largest + jnp.log(jnp.exp(x - largest).sum())

    run = jax.jit(jax.value_and_grad(cost))
    x = jnp.asarray(numbers)
    return lambda: jax.block_until_ready(run(x))


def oracle(numbers):
    value = np.logaddexp.reduce(numbers)
    return value, np.exp(numbers - value)

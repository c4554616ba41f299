"""½ Σᵢ (sᵢ − Σⱼ xⱼ tᵢʲ)²: a polynomial with m coefficients fitted to the sign of t at n points in [−1, 1]."""

from __future__ import annotations

import numpy as np

import tinygrad_scalar as ts

SIZES, TRIAL = [(4_096, 128), (16_392, 128)], (20, 6)


def inputs(n, m):
    t = np.linspace(-1.0, 1.0, n)
    return t, np.sign(t), np.random.default_rng(0).random(m)


def vectorized(t, s, x):
    coefficients = [ts.Value(number) for number in x.tolist()]

    def cost(t, s):
        residual, power = s, 1.0
        for coefficient in coefficients:
            residual = residual - coefficient * power
            power = power * t
        return 0.5 * residual**2

    run = ts.vectorize(cost, coefficients, reduce="sum")
    return lambda: run(t, s), lambda: cost(ts.Value(t[1]), ts.Value(s[1]))


def torch(t, s, x):
    import torch

    t, s, x = torch.tensor(t), torch.tensor(s), torch.tensor(x, requires_grad=True)
    j = torch.arange(len(x))

    def step():
        y = 0.5 * ((s - (t[:, None] ** j) @ x) ** 2).sum()
        return y.detach(), *torch.autograd.grad(y, [x])

    return step


def jax(t, s, x):
    import jax
    from jax import numpy as jnp

    def cost(x, t, s):
        return 0.5 * ((s - (t[:, None] ** jnp.arange(len(x))) @ x) ** 2).sum()

    run = jax.jit(jax.value_and_grad(cost))
    x, t, s = map(jnp.asarray, (x, t, s))
    return lambda: jax.block_until_ready(run(x, t, s))


def oracle(t, s, x):
    V = np.vander(t, len(x), increasing=True)
    residual = s - V @ x
    return 0.5 * residual @ residual, -V.T @ residual

"""The last of n functions that s steps of Runge and Kutta's fourth order give at t = 2, from 0 at t = 0:
y₀′ = x₀, yᵢ′ = xᵢ yᵢ₋₁."""

from __future__ import annotations

import numpy as np

import tinygrad_scalar as ts

SIZES, TRIAL = [(1_000, 10), (1_000, 100)], (7, 3)
END = 2.0


def inputs(n, s):
    return np.random.default_rng(0).uniform(0.5, 1.5, n), s


def solved(x, s):
    """The Runge-Kutta solution of numbers or Values."""

    def slope(y):
        return [x[0], *(x_i * y_i for x_i, y_i in zip(x[1:], y))]

    h, y = END / s, [0.0] * len(x)
    for _ in range(s):
        k1 = slope(y)
        k2 = slope([a + h / 2 * b for a, b in zip(y, k1)])
        k3 = slope([a + h / 2 * b for a, b in zip(y, k2)])
        k4 = slope([a + h * b for a, b in zip(y, k3)])
        y = [a + h / 6 * (b + 2 * c + 2 * d + e) for a, b, c, d, e in zip(y, k1, k2, k3, k4)]
    return y


def vectorized(numbers, s):
    x = [ts.Value(number) for number in numbers.tolist()]
    run = ts.vectorize(lambda: solved(x, s)[-1], x)
    return run, lambda: solved(x, s)[-1]


def torch(numbers, s):
    import torch

    x, h = torch.tensor(numbers, requires_grad=True), END / s

    def step():
        def slope(y):
            return torch.cat([x[:1], x[1:] * y[:-1]])

        y = torch.zeros(len(numbers), dtype=torch.float64)
        for _ in range(s):
            k1 = slope(y)
            k2 = slope(y + h / 2 * k1)
            k3 = slope(y + h / 2 * k2)
            k4 = slope(y + h * k3)
            y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return y[-1].detach(), *torch.autograd.grad(y[-1], [x])

    return step


def jax(numbers, s):
    import jax
    from jax import numpy as jnp

    h = END / s

    def cost(x):
        def slope(y):
            return jnp.concatenate([x[:1], x[1:] * y[:-1]])

        def one(y, _):
            k1 = slope(y)
            k2 = slope(y + h / 2 * k1)
            k3 = slope(y + h / 2 * k2)
            k4 = slope(y + h * k3)
            return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), None

        return jax.lax.scan(one, jnp.zeros(len(x)), None, s)[0][-1]

    run = jax.jit(jax.value_and_grad(cost))
    x = jnp.asarray(numbers)
    return lambda: jax.block_until_ready(run(x))


def oracle(numbers, s):
    """A step multiplies by R(hN) and adds hφ(hN)b, N being the matrix of the equations: yᵢ = cᵢ x₀x₁⋯xᵢ, where
    cᵢ = hⁱ⁺¹ [zⁱ] Σₖ R(z)ᵏ φ(z), R(z) = 1 + z + z²/2 + z³/6 + z⁴/24 and φ(z) = (R(z) − 1)/z."""
    phi = np.array([1.0, 1 / 2, 1 / 6, 1 / 24])
    R = np.array([1.0, *phi])
    power, total = phi, phi
    for _ in range(s - 1):
        power = np.convolve(power, R)
        total = np.pad(total, (0, len(power) - len(total))) + power
    n, h = len(numbers), END / s
    value = total[n - 1] * h**n * numbers.prod() if n <= len(total) else 0.0
    return value, value / numbers

"""The log-posterior of a mixture of k Gaussians of d dimensions, given n points, with a Wishart prior (ADBench).

The inverse covariance of a component is QᵀQ, Q being lower triangular with exp q on its diagonal:
Σᵢ log Σₖ exp(αₖ + Σ qₖ − ½|Qₖ(xᵢ − μₖ)|²) − n log Σₖ exp αₖ − Σₖ(½γ²|Qₖ|² − m Σ qₖ) + constants.
"""

from __future__ import annotations

import math

import numpy as np

import tinygrad_scalar as ts

SIZES, TRIAL = [(32, 10, 1_000), (64, 5, 1_000), (64, 10, 1_000)], (3, 2, 10)
GAMMA, M = 1.0, 0


def inputs(d, k, n):
    random = np.random.default_rng(0)
    x, mu = random.normal(size=(n, d)), random.uniform(size=(k, d))
    return x, random.normal(size=k), mu, random.normal(size=(k, d)), random.normal(size=(k, d * (d - 1) // 2))


def constant(d, k, n):
    """All that does not depend on the parameters."""
    degrees = d + M + 1
    gamma = d * (d - 1) / 4 * math.log(math.pi) + sum(math.lgamma((degrees - j) / 2) for j in range(d))
    return k * (degrees * d * (math.log(GAMMA) - 0.5 * math.log(2)) - gamma) - n * d / 2 * math.log(2 * math.pi)


def logsumexp(numbers):
    largest = ts.max(numbers)
    return largest + ts.log(ts.sum(ts.exp(number - largest) for number in numbers))


def scalars(x, *arrays):
    """The cost of one point, and its parameters."""
    n, d = x.shape
    alpha = [ts.Value(number) for number in arrays[0].tolist()]
    mu, q, below = ([[ts.Value(number) for number in row] for row in array.tolist()] for array in arrays[1:])

    def prior():
        squares = sum(ts.exp(a) ** 2 for row in q for a in row) + sum(a**2 for row in below for a in row)
        return 0.5 * GAMMA**2 * squares - M * sum(a for row in q for a in row)

    def component(x, alpha, mu, q, below):
        centred = [x_i - mu_i for x_i, mu_i in zip(x, mu)]
        squares, start = 0.0, 0
        for i in range(d):
            z = ts.exp(q[i]) * centred[i]
            for j in range(i):
                z = z + below[start + j] * centred[j]
            squares, start = squares + z**2, start + i
        return alpha + sum(q) - 0.5 * squares

    def cost(x):
        terms = [component(x, *parameters) for parameters in zip(alpha, mu, q, below)]
        return logsumexp(terms) - logsumexp(alpha) - prior() / n

    return cost, [*alpha, *(value for matrix in (mu, q, below) for row in matrix for value in row)]


def vectorized(x, *arrays):
    (n, d), k = x.shape, len(arrays[0])
    cost, parameters = scalars(x, *arrays)
    run = ts.vectorize(cost, parameters, reduce="sum")
    parts = np.cumsum([k, k * d, k * d])

    def step():
        value, gradient = run(x)
        return value + constant(d, k, n), *np.split(gradient, parts)

    return step, lambda: cost([ts.Value(number) for number in x[0].tolist()])


def posterior(library, logsumexp, lower, x, alpha, mu, q, below):
    """The same over arrays; `lower` makes the matrices below the diagonals from below."""
    (n, d), k = x.shape, len(alpha)
    Q = lower(below, d) + library.exp(q)[:, :, None] * library.eye(d)
    z = library.einsum("kij,knj->kni", Q, x - mu[:, None])
    terms = alpha[:, None] + q.sum(1)[:, None] - 0.5 * (z**2).sum(2)
    prior = 0.5 * GAMMA**2 * (Q**2).sum() - M * q.sum()
    return logsumexp(terms, 0).sum() - n * logsumexp(alpha, 0) - prior + constant(d, k, n)


def torch(x, *arrays):
    import torch

    x = torch.tensor(x)
    parameters = [torch.tensor(array, requires_grad=True) for array in arrays]
    rows, columns = np.tril_indices(x.shape[1], -1)

    def lower(below, d):
        L = torch.zeros((len(below), d, d), dtype=torch.float64)
        L[:, rows, columns] = below
        return L

    def step():
        y = posterior(torch, torch.logsumexp, lower, x, *parameters)
        return y.detach(), *(g.reshape(-1) for g in torch.autograd.grad(y, parameters))

    return step


def jax(x, *arrays):
    import jax
    from jax import numpy as jnp

    rows, columns = np.tril_indices(x.shape[1], -1)

    def lower(below, d):
        return jnp.zeros((len(below), d, d)).at[:, rows, columns].set(below)

    def cost(parameters, x):
        return posterior(jnp, jax.scipy.special.logsumexp, lower, x, *parameters)

    run = jax.jit(jax.value_and_grad(cost))
    parameters, x = tuple(map(jnp.asarray, arrays)), jnp.asarray(x)

    def step():
        value, gradient = jax.block_until_ready(run(parameters, x))
        return value, *(part.ravel() for part in gradient)

    return step


def oracle(x, alpha, mu, q, below):
    """The derivatives by hand: with a component's weights w, dα = Σw − nπ, dμ = QᵀΣwz, dQ = −Σwz(x − μ)ᵀ − γ²Q."""
    (n, d), k = x.shape, len(alpha)
    rows, columns = np.tril_indices(d, -1)
    Q = np.zeros((k, d, d))
    Q[:, rows, columns], Q[:, range(d), range(d)] = below, np.exp(q)
    centred = x[None] - mu[:, None]
    z = centred @ Q.transpose(0, 2, 1)
    terms = (alpha + q.sum(1))[:, None] - 0.5 * (z**2).sum(2)
    each = np.logaddexp.reduce(terms, axis=0)
    w, share = np.exp(terms - each), np.exp(alpha - np.logaddexp.reduce(alpha))
    wz = w[:, :, None] * z
    dQ = -wz.transpose(0, 2, 1) @ centred - GAMMA**2 * Q
    value = each.sum() - n * np.logaddexp.reduce(alpha) - 0.5 * GAMMA**2 * (Q**2).sum() + M * q.sum()
    dmu = np.einsum("kij,ki->kj", Q, wz.sum(1))
    dq = dQ[:, range(d), range(d)] * np.exp(q) + w.sum(1)[:, None] + M
    return value + constant(d, k, n), w.sum(1) - n * share, dmu.ravel(), dq.ravel(), dQ[:, rows, columns].ravel()

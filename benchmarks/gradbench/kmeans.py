"""Σ of the points' squared distances to the nearest of k centroids; its gradient and the diagonal of its Hessian.

The Hessian is diagonal away from ties, so that its diagonal is the derivative of the sum of the gradient.
"""

from __future__ import annotations

import numpy as np

import tinygrad_scalar as ts

SIZES, TRIAL = [(100, 10_000, 16), (1_000, 10_000, 16)], (4, 30, 3)


def inputs(k, n, d):
    points = np.random.default_rng(0).random((n, d))
    return points, points[-k:] + 1e-3  # so that each has a nearest point, and none is at its kink


def vectorized(points, centroids):
    c = [[ts.Value(number) for number in row] for row in centroids.tolist()]
    parameters = [number for row in c for number in row]

    def cost(x):
        return ts.min([ts.sum((c_i - x_i) ** 2 for c_i, x_i in zip(c_j, x)) for c_j in c])

    def slopes(x):
        return ts.sum(ts.gradient(cost(x), parameters))

    run, run_again = (ts.vectorize(f, parameters, reduce="sum") for f in (cost, slopes))

    def step():
        value, gradient = run(points)
        _, diagonal = run_again(points)
        return value, gradient.reshape(centroids.shape), diagonal.reshape(centroids.shape)

    return step, lambda: cost([ts.Value(number) for number in points[0].tolist()])


def torch(points, centroids):
    import torch

    x, c = torch.tensor(points), torch.tensor(centroids)

    def cost(c):
        squares = (x**2).sum(1)[:, None] - 2 * x @ c.T + (c**2).sum(1)
        return squares.min(1).values.sum()

    def step():
        leaf = c.detach().requires_grad_()
        value = cost(leaf)
        (gradient,) = torch.autograd.grad(value, [leaf], create_graph=True)
        (diagonal,) = torch.autograd.grad(gradient.sum(), [leaf])  # the Hessian is diagonal
        return value.detach(), gradient.detach(), diagonal

    return step


def jax(points, centroids):
    import jax

    def cost(c, x):
        return ((x**2).sum(1)[:, None] - 2 * x @ c.T + (c**2).sum(1)).min(1).sum()

    @jax.jit
    def run(c, x):
        both = jax.value_and_grad(cost)
        (value, gradient), (_, diagonal) = jax.jvp(lambda c: both(c, x), [c], [jax.numpy.ones_like(c)])
        return value, gradient, diagonal  # the Hessian is diagonal

    c, x = jax.numpy.asarray(centroids), jax.numpy.asarray(points)
    return lambda: jax.block_until_ready(run(c, x))


def oracle(points, centroids):
    nearest = np.empty(len(points), int)
    for i in range(0, len(points), 100):
        nearest[i : i + 100] = ((points[i : i + 100, None] - centroids) ** 2).sum(2).argmin(1)
    difference, gradient = centroids[nearest] - points, np.zeros_like(centroids)
    np.add.at(gradient, nearest, 2 * difference)
    counts = np.bincount(nearest, minlength=len(centroids))
    return (difference**2).sum(), gradient, np.repeat(2.0 * counts[:, None], centroids.shape[1], 1)

"""Σ of the points' squared distances to the nearest of k centroids; its gradient and the diagonal of its Hessian.

Away from ties, the second derivative by each coordinate of centroid j is twice the number of points that are nearest to
it. That number is the derivative by an offset bⱼ = 0 added to the squared distances from centroid j.
"""

from __future__ import annotations

import numpy as np

import tinygrad_scalar as ts

SIZES, TRIAL = [(100, 10_000, 16), (1_000, 10_000, 16)], (4, 30, 3)


def inputs(k, n, d):
    points = np.random.default_rng(0).random((n, d))
    return points, points[-k:] + 1e-3  # so that each has a nearest point, and none is at its kink


def vectorized(points, centroids):
    k, d = centroids.shape
    c = [[ts.Value(number) for number in row] for row in centroids.tolist()]
    b = [ts.Value(0.0) for _ in range(k)]

    def cost(x):
        distances = [sum((c_i - x_i) ** 2 for c_i, x_i in zip(c_j, x)) + b_j for c_j, b_j in zip(c, b)]
        return ts.min(distances)

    run = ts.vectorize(cost, [value for row in c for value in row] + b, reduce="sum")

    def step():
        value, gradient = run(points)
        diagonal = np.repeat(2 * gradient[k * d :, None], d, 1)
        return value, gradient[: k * d].reshape(k, d), diagonal

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

"""The determinant of a matrix by expansion in minors along the first row, with more than n! products (cmpad)."""

from __future__ import annotations

import numpy as np

import tinygrad_scalar as ts

SIZES, TRIAL = [(9,), (10,)], (5,)


def inputs(n):
    return (np.random.default_rng(0).random((n, n)),)


def determinant(A, columns, row=0):
    if len(columns) == 1:
        return A[row][columns[0]]
    total = 0.0
    for j, column in enumerate(columns):
        term = A[row][column] * determinant(A, columns[:j] + columns[j + 1 :], row + 1)
        total = total - term if j % 2 else total + term
    return total


def vectorized(A):
    values = [[ts.Value(number) for number in row] for row in A.tolist()]

    def cost():
        return determinant(values, tuple(range(len(values))))

    run = ts.vectorize(cost, [value for row in values for value in row])
    return run, cost


def by_minors(A, library):
    """The same with the minors of a size in one array, (…, n, n)."""
    n = A.shape[-1]
    if n == 1:
        return A[..., 0, 0]
    others = np.array([[k for k in range(n) if k != j] for j in range(n)])
    minors = library.moveaxis(A[..., 1:, others], -3, -2)  # (…, row, j, column) to (…, j, row, column)
    signs = library.asarray((-1.0) ** np.arange(n))
    return (signs * A[..., 0, :] * by_minors(minors, library)).sum(-1)


def torch(A):
    import torch

    x = torch.tensor(A, requires_grad=True)

    def step():
        y = by_minors(x, torch)
        return y.detach(), torch.autograd.grad(y, [x])[0].reshape(-1)

    return step


def jax(A):
    import jax

    run = jax.jit(jax.value_and_grad(lambda x: by_minors(x.reshape(A.shape), jax.numpy)))
    x = jax.numpy.asarray(A.ravel())
    return lambda: jax.block_until_ready(run(x))


def oracle(A):
    value = np.linalg.det(A)
    return value, (value * np.linalg.inv(A).T).ravel()

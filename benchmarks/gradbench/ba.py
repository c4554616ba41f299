"""Bundle adjustment (ADBench): p observations of m points by n cameras; the errors of all and their Jacobian.

A camera has a rotation (axis times angle), a centre, a focal length, a principal point and two radial distortions. The
errors of an observation are the weighted distance in x and in y from the point's picture to the one observed, and
1 − w². Each depends on 15 numbers, those of its camera, its point and its weight: (3, 15) for each observation.
"""

from __future__ import annotations

import numpy as np

import tinygrad_scalar as ts
from benchmarks.gradbench.oracle import H

SIZES, TRIAL = [(49, 7_776, 31_843), (21, 11_315, 36_455)], (3, 7, 12)


def inputs(n, m, p):
    """For each observation: its camera, point and weight in one row of 15, and the picture observed."""
    random = np.random.default_rng(0)
    cameras = np.concatenate(
        [
            random.normal(0.0, 0.3, (n, 3)),
            random.normal(0.0, 0.1, (n, 3)),
            random.uniform(400.0, 600.0, (n, 1)),
            random.normal(0.0, 10.0, (n, 2)),
            random.normal(0.0, 0.1, (n, 2)),
        ],
        axis=1,
    )
    points = random.normal((0.0, 0.0, 6.0), 1.0, (m, 3))
    i = np.arange(p)
    rows = np.concatenate([cameras[i % n], points[i % m], random.uniform(0.5, 1.5, (p, 1))], axis=1)
    return rows, random.normal(0.0, 200.0, (p, 2))


def errors(library, row, picture):
    """The three errors, of Values, numbers or arrays."""
    rotation, centre, (focal, x0, y0, k1, k2), point, w = row[:3], row[3:6], row[6:11], row[11:14], row[14]
    X = [a - b for a, b in zip(point, centre)]
    angle = library.sqrt(rotation[0] ** 2 + rotation[1] ** 2 + rotation[2] ** 2)
    cosine, sine, axis = library.cos(angle), library.sin(angle), [r / angle for r in rotation]
    along = (axis[0] * X[0] + axis[1] * X[1] + axis[2] * X[2]) * (1.0 - cosine)
    across = [axis[i - 2] * X[i - 1] - axis[i - 1] * X[i - 2] for i in range(3)]  # axis × X
    x, y, z = (X[i] * cosine + across[i] * sine + axis[i] * along for i in range(3))
    x, y = x / z, y / z
    square = x**2 + y**2
    distortion = 1.0 + k1 * square + k2 * square**2
    x, y = x * distortion * focal + x0, y * distortion * focal + y0
    return w * (x - picture[0]), w * (y - picture[1]), 1.0 - w**2


def vectorized(rows, pictures):
    def cost(row, picture):
        return list(errors(ts, row, picture))

    run = ts.vectorize(cost, [], reduce=None, wrt_inputs=True)

    def step():
        values, _, (jacobian, _) = run(rows, pictures)
        return values, jacobian

    example = [[ts.Value(number) for number in array[0].tolist()] for array in (rows, pictures)]
    return step, lambda: sum(cost(*example))


def torch(rows, pictures):
    import torch

    pictures, start = torch.tensor(pictures).T, torch.tensor(rows)

    def step():
        leaf = start.T.clone().requires_grad_()
        e = errors(torch, leaf, pictures)
        jacobian = [torch.autograd.grad(e_i.sum(), [leaf], retain_graph=True)[0] for e_i in e]
        return torch.stack(e, 1).detach(), torch.stack(jacobian).permute(2, 0, 1)

    return step


def jax(rows, pictures):
    import jax
    from jax import numpy as jnp

    def both(row, picture):
        e = jnp.stack(errors(jnp, row, picture))
        return e, e

    def one(row, picture):
        jacobian, e = jax.jacrev(both, has_aux=True)(row, picture)
        return e, jacobian

    run = jax.jit(jax.vmap(one))
    rows, pictures = jnp.asarray(rows), jnp.asarray(pictures)
    return lambda: jax.block_until_ready(run(rows, pictures))


def oracle(rows, pictures):
    """By complex steps, of all rows at once in each of the 15 numbers."""
    jacobian = np.empty((len(rows), 3, 15))
    for j, direction in enumerate(np.eye(15)):
        values = np.stack(errors(np, (rows + 1j * H * direction).T, pictures.T), 1)
        jacobian[:, :, j] = values.imag / H
    return values.real, jacobian

"""Programs of several outputs, to which `cost_model.py` fits the times of the derivatives of each example.

They have the form of those in cost_programs.py. Some have few parameters and many outputs, so that the derivatives go
forwards as tangents; in some much depends on the parameters alone.
"""

from __future__ import annotations

import itertools
from functools import partial, reduce

import cost_programs
import numpy as np
from cost_programs import affine, dot, square_distance
from cost_values import flat, values

import tinygrad_scalar as ts


def decays(n, terms):
    """The residuals of n points on a sum of exponentials."""
    random = np.random.default_rng(n)
    a, rate = values(random, terms), values(random, terms)

    def cost(t, y):
        return [sum(a_k * ts.exp(-r_k * t_i) for a_k, r_k in zip(a, rate)) - y_i for t_i, y_i in zip(t, y)]

    return cost, [*a, *rate], [(n,), (n,)]


def orbit(steps):
    """The places of a body that goes round another, after each step."""
    v, pull, drag = values(np.random.default_rng(steps), 3)

    def cost(x):
        x, y, v_x, v_y, places = 1.0 + 0.1 * x[0], 0.1 * x[1], 0.0, 1.0 + v, []
        for _ in range(steps):
            r = (x * x + y * y + 0.1) ** -1.5 * ts.exp(pull)
            v_x, v_y = v_x - 0.05 * (r * x + drag * v_x), v_y - 0.05 * (r * y + drag * v_y)
            x, y = x + 0.05 * v_x, y + 0.05 * v_y
            places += [x, y]
        return places

    return cost, [v, pull, drag], [(2,)]


def arm(joints):
    """How far a point that moves with several bones is from where it should be; the bones hang on each other."""
    angles = values(np.random.default_rng(joints), joints, 2)

    def turned(about_x, about_z):
        (cx, sx), (cz, sz) = ((ts.cos(a), ts.sin(a)) for a in (about_x, about_z))
        return [[cz, -sz * cx, sz * sx], [sz, cz * cx, -cz * sx], [0.0, sx, cx]]

    def cost(place, weights, measured):
        bones = [turned(*angles[0])]
        for of_joint in angles[1:]:
            turn = turned(*of_joint)
            bones.append([[dot(row, column) for column in zip(*turn)] for row in bones[-1]])
        moved = [sum(w * dot(bone[i], place) for w, bone in zip(weights, bones)) for i in range(3)]
        return [a - b for a, b in zip(measured, moved)]

    return cost, flat(angles), [(3,), (joints,), (3,)]


def scaled(n, k):
    """k products with a matrix whose rows a softmax makes of the parameters."""
    W = values(np.random.default_rng(n), k, n)

    def cost(x):
        return [dot(cost_programs.softmax(row), x) for row in W]

    return cost, flat(W), [(n,)]


def layers(sizes):
    random = np.random.default_rng(sizes[0])
    Ws = [values(random, k, n) for n, k in itertools.pairwise(sizes)]
    bs = [values(random, k) for k in sizes[1:]]
    return (
        lambda x: reduce(lambda a, of: [ts.tanh(z) for z in affine(of[0], a, of[1])], zip(Ws, bs), x),
        flat(Ws, bs),
        [(sizes[0],)],
    )


def kernel(k, d):
    """The similarities to k points."""
    c = values(np.random.default_rng(k), k, d)
    return lambda x: [ts.exp(-square_distance(c_j, x)) for c_j in c], flat(c), [(d,)]


OF_LISTS = [
    *(partial(decays, n, terms) for n, terms in ((6, 1), (40, 2), (200, 3))),
    *(partial(orbit, steps) for steps in (5, 80)),
    *(partial(arm, joints) for joints in (2, 8, 20)),
    *(partial(scaled, n, k) for n, k in ((4, 2), (30, 10))),
    *(partial(layers, sizes) for sizes in ((3, 4, 2), (10, 20, 5), (4, 8, 8, 8))),
    *(partial(kernel, k, d) for k, d in ((4, 2), (25, 10))),
]
FITTED = [*cost_programs.FITTED, *OF_LISTS]

"""Hand tracking (ADBench): how far c points of a hand's skin, posed by 26 numbers, are from c measured points.

The hand has 22 bones: wrist, four for each finger, forearm. The pose is a rotation (axis times angle), a translation
and for each finger two angles of its knuckle and one of each further joint. A point moves with its bones, weighted. The
errors in x, y and z of each point, and their Jacobian: (c, 3, 26). The hand is a random one.
"""

from __future__ import annotations

import numpy as np

import tinygrad_scalar as ts
from benchmarks.gradbench.oracle import complex_step

SIZES, TRIAL = [(100,), (192,)], (4,)
FINGERS, BONES, POSE = 5, 22, 26
PARENTS = [-1, *(0 if j == 0 else 4 * finger + j for finger in range(FINGERS) for j in range(4)), 0]


def inputs(c):
    """The pose, the bones at rest and their inverses, and for each point: place at rest, weights, measured place."""
    random = np.random.default_rng(0)
    rest = np.tile(np.eye(4), (BONES, 1, 1))
    rest[:, :3, :3] = np.linalg.qr(np.eye(3) + random.normal(0.0, 0.1, (BONES, 3, 3)))[0]
    rest[:, :3, 3] = random.normal(0.0, 1.0, (BONES, 3))
    inverse = np.linalg.inv(np.stack(chained(rest, np.matmul)))
    weights = random.random((c, BONES)) * (random.random((c, BONES)) < 0.2)
    weights[:, 0] += 0.1
    weights /= weights.sum(1, keepdims=True)
    return (
        random.normal(0.0, 0.3, POSE),
        rest,
        inverse,
        random.normal(0, 2.0, (c, 3)),
        weights,
        random.normal(size=(c, 3)),
    )


def chained(relatives, product):
    """Each bone's transformation, from those relative to its parent."""
    absolutes = []
    for parent, relative in zip(PARENTS, relatives):
        absolutes.append(relative if parent < 0 else product(absolutes[parent], relative))
    return absolutes


def joint_angles(pose):
    """For each bone, the angles about x and z; None for those that keep their places."""
    angles = [None] * BONES
    for finger in range(FINGERS):
        first = 6 + 4 * finger
        for j, about in enumerate([(first, first + 1), (first + 2, None), (first + 3, None)]):
            angles[2 + 4 * finger + j] = tuple(0.0 if i is None else pose[i] for i in about)
    return angles


# --- in plain Values -------------------------------------------------------------------------------------------------


def product(A, B):
    return [[sum(a * b for a, b in zip(row, column)) for column in zip(*B)] for row in A]


def posed(pose, rest, inverse):
    """The bones' transformations, 3×4, and the hand's rotation."""
    relatives = []
    for bone, angles in zip(rest, joint_angles(pose)):
        if angles is not None:
            (cx, sx), (cz, sz) = ((ts.cos(a), ts.sin(a)) for a in angles)
            bone = product(bone, [[cz, -sz * cx, sz * sx, 0.0], [sz, cz * cx, -cz * sx, 0.0], [0.0, sx, cx, 0.0]])
            bone = [[*row[:3], old[3]] for row, old in zip(bone, rest[len(relatives)])] + [[0.0, 0.0, 0.0, 1.0]]
        relatives.append(bone)
    bones = [product(bone, back)[:3] for bone, back in zip(chained(relatives, product), inverse)]
    angle = ts.sqrt(sum(a**2 for a in pose[:3]))
    x, y, z = (a / angle for a in pose[:3])
    s, c, v = ts.sin(angle), ts.cos(angle), 1.0 - ts.cos(angle)
    rotation = [
        [x * x * v + c, x * y * v - z * s, x * z * v + y * s],
        [x * y * v + z * s, y * y * v + c, y * z * v - x * s],
        [x * z * v - y * s, y * z * v + x * s, z * z * v + c],
    ]
    return bones, rotation


def vectorized(pose, rest, inverse, places, weights, measured):
    theta = [ts.Value(number) for number in pose.tolist()]
    rest, inverse = rest.tolist(), inverse.tolist()

    def cost(place, weights, measured):
        bones, rotation = posed(theta, rest, inverse)
        homogeneous = [*place, 1.0]
        skin = [
            sum(w * sum(a * b for a, b in zip(bone[i], homogeneous)) for w, bone in zip(weights, bones))
            for i in range(3)
        ]
        moved = [sum(a * b for a, b in zip(row, skin)) + t for row, t in zip(rotation, theta[3:6])]
        return [a - b for a, b in zip(measured, moved)]

    run = ts.vectorize(cost, theta, reduce=None)
    example = [[ts.Value(a) for a in array[0].tolist()] for array in (places, weights, measured)]
    return lambda: run(places, weights, measured), lambda: sum(cost(*example))


# --- over arrays -----------------------------------------------------------------------------------------------------


def errors(library, pose, rest, inverse, places, weights, measured):
    """The errors (c, 3) with the functions of a library of arrays; pose (26,)."""
    relatives = []
    for bone, angles in zip(rest, joint_angles(pose)):
        if angles is not None:
            cx, sx, cz, sz = (f(a + 0.0 * pose[0]) for a in angles for f in (library.cos, library.sin))
            zero, one = 0.0 * cx, 0.0 * cx + 1.0
            turn = [cz, -sz * cx, sz * sx, zero, sz, cz * cx, -cz * sx, zero, zero, sx, cx, zero, zero, zero, zero, one]
            bone = bone @ library.stack(turn).reshape(4, 4)
        relatives.append(bone)
    bones = library.stack([a @ b for a, b in zip(chained(relatives, lambda a, b: a @ b), inverse)])[:, :3]
    skin = library.einsum("cb,bij,cj->ci", weights, bones[:, :, :3] + 0.0, places) + weights @ bones[:, :, 3]
    angle = library.sqrt((pose[:3] ** 2).sum())
    x, y, z = pose[:3] / angle
    s, c = library.sin(angle), library.cos(angle)
    v = 1.0 - c
    rotation = [x * x * v + c, x * y * v - z * s, x * z * v + y * s]
    rotation += [x * y * v + z * s, y * y * v + c, y * z * v - x * s]
    rotation += [x * z * v - y * s, y * z * v + x * s, z * z * v + c]
    return measured - skin @ library.stack(rotation).reshape(3, 3).T - pose[3:6]


def torch(pose, *rest):
    import torch

    pose, *rest = (torch.tensor(array) for array in (pose, *rest))

    def step():
        def function(pose):
            e = errors(torch, pose, *rest)
            return e, e

        jacobian, e = torch.func.jacfwd(function, has_aux=True)(pose)
        return e, jacobian

    return step


def jax(pose, *rest):
    import jax
    from jax import numpy as jnp

    def function(pose, *rest):
        e = errors(jnp, pose, *rest)
        return e, e

    run = jax.jit(jax.jacfwd(function, has_aux=True))
    pose, *rest = (jnp.asarray(array) for array in (pose, *rest))

    def step():
        jacobian, e = jax.block_until_ready(run(pose, *rest))
        return e, jacobian

    return step


def oracle(pose, *rest):
    value, jacobian = complex_step(lambda poses: np.stack([errors(np, pose, *rest) for pose in poses]), pose)
    return value, np.moveaxis(jacobian, 0, 2)

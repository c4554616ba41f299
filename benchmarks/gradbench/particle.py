"""The w for which a charged particle lands at the origin (Pearlmutter and Siskind).

Charges at (10, 10 − w) and (10, 0) repel a particle that starts at (0, 8) with the velocity (0.75, 0). The force is
minus the gradient of the potential Σ 1/distance. Euler's method with steps of 0.1 carries the particle until it is
below y = 0, and the last whole step's velocity to y = 0. Descent in w minimises the square of x there: a gradient
through all those gradients, in all four nestings of the modes.
"""

from __future__ import annotations

import numpy as np

import tinygrad_scalar as ts
from benchmarks.gradbench import descent
from benchmarks.gradbench.descent import MODES, minimum, minimum_in_jax

SIZES, TRIAL = MODES, MODES[0]
PUBLISHED = 0.2071918746486116  # from w = 0
DT = 0.1
START = np.array([0.0, 8.0]), np.array([0.75, 0.0])


def inputs(outer, inner):
    return outer, inner, np.array([0.0])


def potential(sqrt, place, w):
    x, y = place
    return 1.0 / sqrt((x - 10.0) ** 2 + (y - 10.0 + w) ** 2) + 1.0 / sqrt((x - 10.0) ** 2 + y**2)


def landing(slope, place, velocity):
    """The square of x where the path crosses y = 0."""
    while place[1] + DT * velocity[1] > 0.0:
        place, velocity = place + DT * velocity, velocity - DT * slope(place)
    return (place[0] - place[1] / velocity[1] * velocity[0]) ** 2


def cost(inner):
    """The cost of w, with the mode of the inner gradients."""
    inner = descent.with_gradient(inner)
    return lambda w: landing(lambda place: inner(lambda place: potential(ts.sqrt, place, w[0]))(place)[1], *START)


def vectorized(outer, inner, start):
    both = descent.with_gradient(outer)(cost(inner))
    return lambda: [minimum(both, start)[0]], lambda: cost(inner)([ts.Value(0.0)])


def torch(outer, inner, start):
    import torch

    outer, inner = descent.with_gradient_in_torch(outer), descent.with_gradient_in_torch(inner)

    def cost(w):
        return landing(
            lambda place: inner(lambda place: potential(torch.sqrt, place, w[0]))(place)[1], *map(torch.tensor, START)
        )

    return lambda: [minimum(outer(cost), torch.tensor(start))[0]]


def jax(outer, inner, start):
    import jax
    from jax import numpy as jnp

    # JAX has no reverse mode through a loop that ends on a condition
    outer, inner = descent.with_gradient_in_jax("forward"), descent.with_gradient_in_jax(inner)

    def cost(w):
        def once(state):
            place, velocity = state
            slope = inner(lambda place: potential(jnp.sqrt, place, w[0]))(place)[1]
            return place + DT * velocity, velocity - DT * slope

        state = tuple(jnp.asarray(numbers) + 0.0 * w[0] for numbers in START)
        (x, y), (vx, vy) = jax.lax.while_loop(lambda state: state[0][1] + DT * state[1][1] > 0.0, once, state)
        return (x - y / vy * vx) ** 2

    run = jax.jit(lambda w: minimum_in_jax(outer(cost), w)[0])
    return lambda: [jax.block_until_ready(run(jnp.asarray(start)))]


def oracle(*_):
    return [PUBLISHED]

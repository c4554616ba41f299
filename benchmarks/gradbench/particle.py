"""The w for which a charged particle lands at the origin (Pearlmutter and Siskind).

Charges at (10, 10 − w) and (10, 0) repel a particle that starts at (0, 8) with the velocity (0.75, 0). Euler's method
with steps of 0.1 carries it until it is below y = 0, and the last whole step's velocity to y = 0. Descent in w
minimises the square of x there. The force is minus the gradient of the potential Σ 1/distance. It stands here as its
formula: derivatives that are Values come with the calculus.
"""

from __future__ import annotations

import math

import numpy as np

import tinygrad_scalar as ts
from benchmarks.gradbench.descent import minimum, minimum_in_jax

SIZES, TRIAL = [(0.0,)], (0.0,)
PUBLISHED = 0.2071918746486116  # from w = 0
DT = 0.1
START = 0.0, 8.0, 0.75, 0.0


def inputs(w):
    return (w,)


def potential(library, x, y, w):
    return 1.0 / library.sqrt((x - 10.0) ** 2 + (y - 10.0 + w) ** 2) + 1.0 / library.sqrt((x - 10.0) ** 2 + y**2)


def force(library, x, y, w):
    a, b, c = x - 10.0, y - 10.0 + w, y
    first, second = library.sqrt(a**2 + b**2) ** 3, library.sqrt(a**2 + c**2) ** 3
    return a / first + a / second, b / first + c / second


def moved(state, acceleration):
    x, y, vx, vy = state
    return x + DT * vx, y + DT * vy, vx + DT * acceleration[0], vy + DT * acceleration[1]


def landing(state):
    """The square of x where the path crosses y = 0."""
    x, y, vx, vy = state
    return (x - y / vy * vx) ** 2


def steps_above(w):
    """How many steps it stays above y = 0."""
    state, n = START, 0
    while state[1] + DT * state[3] > 0.0:
        state, n = moved(state, force(math, *state[:2], w)), n + 1
    return n


def vectorized(start):
    w, programs = ts.Value(start), {}

    def cost(n):
        state = START
        for _ in range(n):
            state = moved(state, force(ts, *state[:2], w))
        return landing(state)

    def both(point):
        n = steps_above(point[0])
        if n not in programs:
            programs[n] = ts.vectorize(lambda: cost(n), [w])
        programs[n].parameters[0] = point[0]
        return programs[n]()

    return lambda: [minimum(both, np.array([start]))[0]], lambda: cost(steps_above(start))


def torch(start):
    import torch

    def push(state, w):
        place = torch.stack(state[:2])
        (gradient,) = torch.autograd.grad(potential(torch, *place, w[0]), [place], create_graph=True)
        return -gradient

    def both(w):
        w = w.detach().requires_grad_()
        state = tuple(torch.tensor(number, dtype=torch.float64, requires_grad=True) for number in START)
        while state[1] + DT * state[3] > 0.0:
            state = moved(state, push(state, w))
        value = landing(state)
        return value.detach(), *torch.autograd.grad(value, [w])

    return lambda: [minimum(both, torch.tensor([start], dtype=torch.float64))[0]]


def jax(start):
    import jax
    from jax import numpy as jnp

    slope = jax.grad(lambda place, w: potential(jnp, *place, w))

    def cost(w):
        def once(state):
            return moved(state, -slope(jnp.stack(state[:2]), w[0]))

        first = tuple(jnp.asarray(number) + 0.0 * w[0] for number in START)
        return landing(jax.lax.while_loop(lambda state: state[1] + DT * state[3] > 0.0, once, first))

    def forward(function):
        def pair(x):
            value = function(x)
            return value, value

        def both(x):
            gradient, value = jax.jacfwd(pair, has_aux=True)(x)
            return value, gradient

        return both

    run = jax.jit(lambda w: minimum_in_jax(cost, w, forward)[0])
    w = jnp.array([start])
    return lambda: [jax.block_until_ready(run(w))]


def oracle(start):
    return [PUBLISHED]

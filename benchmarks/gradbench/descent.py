"""The common part of `saddle` and `particle`: gradients in either mode, and the descent that uses them.

All implementations of GradBench share the descent, so that they take the same steps: the rate starts at 1e-5, doubles
after ten steps in a row that go down, and halves at one that does not.
"""

from __future__ import annotations

import itertools

import numpy as np

import tinygrad_scalar as ts

RATE, NEAR, IN_A_ROW = 1e-5, 1e-5, 10
MODES = list(itertools.product(("reverse", "forward"), repeat=2))  # of the outer and of the inner gradient


def minimum(function, x):
    """Where descent from x stops; `function` gives the value and the gradient."""
    rate, good = RATE, 0
    value, gradient = function(x)
    while (gradient @ gradient) ** 0.5 > NEAR:
        if good == IN_A_ROW:
            rate, good = 2 * rate, 0
            continue
        step = rate * gradient
        if (step @ step) ** 0.5 <= NEAR:
            break
        new_value, new_gradient = function(x - step)
        if new_value < value:
            x, value, gradient, good = x - step, new_value, new_gradient, good + 1
        else:
            rate, good = rate / 2, 0
    return x


def with_gradient(mode):
    """A function that takes f of an array and returns the function that gives f's value and gradient, in this mode."""
    return {"reverse": ts.value_and_grad, "forward": _forward}[mode]


def _forward(function):
    def both(x):
        moved = [ts.jvp(function, (x,), (direction,)) for direction in np.eye(len(x))]
        return moved[0][0], np.array([slope for _, slope in moved])

    return both


def with_gradient_in_torch(mode):
    import torch

    def reverse(function):
        def both(x):
            gradient, value = torch.func.grad_and_value(function)(x)
            return value, gradient

        return both

    def forward(function):
        def both(x):
            moved = [torch.func.jvp(function, (x,), (direction,)) for direction in torch.eye(len(x), dtype=x.dtype)]
            return moved[0][0], torch.stack([slope for _, slope in moved])

        return both

    return {"reverse": reverse, "forward": forward}[mode]


def with_gradient_in_jax(mode):
    import jax

    def forward(function):
        def pair(x):
            value = function(x)
            return value, value

        def both(x):
            gradient, value = jax.jacfwd(pair, has_aux=True)(x)
            return value, gradient

        return both

    return {"reverse": jax.value_and_grad, "forward": forward}[mode]


def minimum_in_jax(function, x):
    """The same as one loop of JAX's; `function` gives the value and the gradient. It has no reverse mode through it."""
    from jax import lax, numpy as jnp

    def going_on(state):
        _, _, gradient, rate, good = state
        length = jnp.sqrt((gradient**2).sum())
        return (length > NEAR) & ((good == IN_A_ROW) | (rate * length > NEAR))

    def once(state):
        x, value, gradient, rate, good = state
        new_value, new_gradient = function(x - rate * gradient)
        taken = (x - rate * gradient, new_value, new_gradient, rate, good + 1)
        refused = (x, value, gradient, rate / 2, 0)
        doubled = (x, value, gradient, 2 * rate, 0)
        return [
            jnp.where(good == IN_A_ROW, c, jnp.where(new_value < value, a, b))
            for a, b, c in zip(taken, refused, doubled)
        ]

    return lax.while_loop(going_on, once, [x, *function(x), jnp.asarray(RATE), jnp.asarray(0)])[0]

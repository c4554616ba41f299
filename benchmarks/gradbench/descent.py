"""The gradient descent of `saddle` and `particle`, which all implementations of GradBench share so that they take the
same steps: the rate starts at 1e-5, doubles after ten steps in a row that go down, and halves at one that does not."""

from __future__ import annotations

RATE, NEAR, IN_A_ROW = 1e-5, 1e-5, 10


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


def minimum_in_jax(function, x, differentiate):
    """The same as one loop of JAX's; `differentiate(function)` gives the value and the gradient."""
    from jax import lax, numpy as jnp

    both = differentiate(function)

    def going_on(state):
        _, _, gradient, rate, good = state
        length = jnp.sqrt((gradient**2).sum())
        return (length > NEAR) & ((good == IN_A_ROW) | (rate * length > NEAR))

    def once(state):
        x, value, gradient, rate, good = state
        new_value, new_gradient = both(x - rate * gradient)
        taken = (x - rate * gradient, new_value, new_gradient, rate, good + 1)
        refused = (x, value, gradient, rate / 2, 0)
        doubled = (x, value, gradient, 2 * rate, 0)
        return [
            jnp.where(good == IN_A_ROW, c, jnp.where(new_value < value, a, b))
            for a, b, c in zip(taken, refused, doubled)
        ]

    return lax.while_loop(going_on, once, [x, *both(x), jnp.asarray(RATE), jnp.asarray(0)])[0]

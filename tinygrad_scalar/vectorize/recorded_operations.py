"""Operations that only recorded derivatives have, such as σ′: NumPy calls and reverse rules, as rows.py has them.

They are written with products of what NumPy is quick at, so that a derivative of a derivative runs at array speed too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_scalar.engine.ops import operation
from tinygrad_scalar.vectorize.program import Array, Slope

# As in numpy_calls.py.
CALLS = {
    "sigmoid slope": "sigmoid_slope({0}, out={out})",
    "tanh slope": "tanh_slope({0}, out={out})",
    "one minus square": "*one_minus_square({0}, out={out})",
    "σ of difference": "*share_of_logaddexp({0}, {1}, out={out})",
}
HELPERS = {
    "sigmoid_slope": '''
def sigmoid_slope(z, out):
    """σ′(z), which is e/(1 + e)**2 with e = exp(-|z|)."""
    copysign(z, -1.0, out=out)
    exp(out, out=out)
    divide(out, add(out, 1.0) ** 2, out=out)
    return out
''',
    "tanh_slope": '''
def tanh_slope(z, out):
    """1 - tanh(z)**2, which is 4e/(1 + e)**2 with e = exp(-2|z|)."""
    multiply(copysign(z, -1.0, out=out), 2.0, out=out)
    exp(out, out=out)
    divide(4.0 * out, add(out, 1.0) ** 2, out=out)
    return out
''',
    "one_minus_square": '''
def one_minus_square(x, out):
    """1 - x**2 with all its digits."""
    return multiply(subtract(1.0, x), add(x, 1.0), out=out)
''',
}


def constant(number: float) -> Array:
    return Array((1,), False, values=np.array([number]))


def times_slopes(op: str, *reads: tuple[int, ...]) -> Callable[..., Any]:
    """d·∂v/∂x for each operand x; reads[i] says which of (v, *operands) the i-th slope is computed from."""
    slopes = [Slope(op, i, read) for i, read in enumerate(reads)]

    def rule(write: Callable[..., Array], d: Array, *numbers: Array) -> list[Array]:
        times = "* on path" if operation(op).piecewise else "*"
        return [write(times, d, write(slope, *(numbers[i] for i in slope.reads))) for slope in slopes]

    return rule


def _slope_of_share(write: Callable[..., Array], share: Array, other: Array) -> Array:
    """Their product; 0 where both operands are +∞, of which each has the share 1."""
    both = write("greater", write("+", share, other), constant(1.5))
    return write("where", both, constant(0.0), write("*", share, other))


# As in rules.py.
RULES: dict[str, Callable[..., Any]] = {
    "sigmoid slope": lambda write, d, v, x: (
        write("neg", write("*", d, write("*", v, write("tanh", write("*", constant(0.5), x))))),
    ),
    "tanh slope": lambda write, d, v, x: (write("*", d, write("*", constant(-2.0), write("*", v, write("tanh", x)))),),
    "one minus square": lambda write, d, v, x: (write("*", d, write("*", constant(-2.0), x)),),
    "σ of difference": lambda write, d, v, x, y: (
        share := write("*", d, _slope_of_share(write, v, write("σ of difference", y, x))),
        write("neg", share),
    ),
}

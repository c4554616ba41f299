"""What `fit` does to a gradient before the optimizer gets it: penalties on large weights, and a bound on its length."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.engine.number import as_float

if TYPE_CHECKING:
    from tinygrad_scalar.engine.bulk import Array


class GradientRule(NamedTuple):
    """g ← g + λ₁ sign θ + 2λ₂ θ, then g ← g · clip/|g| where it is longer than `clip`.

    These are the gradients of λ₁ Σ|θ| and λ₂ Σθ², over the weights alone: `penalised` is 1 for a weight, 0 for a bias.
    """

    l1: float
    l2: float
    clip: float
    penalised: Array

    def __call__(self, theta: Array, g: Array) -> Array:
        import numpy as np

        if self.l1 or self.l2:
            g = g + self.penalised * (self.l1 * np.sign(theta) + 2.0 * self.l2 * theta)
        if self.clip < math.inf:
            largest = float(np.abs(g).max())
            if 0.0 < largest < math.inf:  # |g| without overflow
                length = largest * math.sqrt(float(((g / largest) ** 2).sum()))
                g = g * (self.clip / length) if length > self.clip else g
        return g


def gradient_rule(parameters: Sequence[Value], l1: float, l2: float, clip_norm: float | None) -> GradientRule | None:
    """The rule for these parameters, or None if it would change nothing. Biases are those with a label b… ."""
    import numpy as np

    first, second = (_at_least_zero(name, number) for name, number in (("l1", l1), ("l2", l2)))
    clip = math.inf if clip_norm is None else as_float(clip_norm)
    if clip is None or not clip > 0.0:
        raise ValueError(f"clip_norm must be a number > 0, or None, got {shown(clip_norm)}")
    if not first and not second and clip == math.inf:
        return None
    penalised = np.array([0.0 if parameter.label.startswith("b") else 1.0 for parameter in parameters])
    return GradientRule(first, second, clip, penalised)


def _at_least_zero(name: str, number: float) -> float:
    value = as_float(number)
    if value is None or not 0.0 <= value < math.inf:
        raise ValueError(f"{name} must be a finite number ≥ 0, got {shown(number)}")
    return value

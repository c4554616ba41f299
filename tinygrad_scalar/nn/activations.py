"""The table of activations g in a = g(z); a new activation is a row here."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.errors import shown


def glorot(n_inputs: int, n_outputs: int) -> float:
    """√(6/(n_inputs + n_outputs)) (Glorot and Bengio 2010, Eq. 16)."""
    return math.sqrt(6.0 / (n_inputs + n_outputs))


def he(n_inputs: int, n_outputs: int) -> float:
    """√(6/n_inputs), for activations that are 0 or nearly so for half of their inputs (He et al. 2015, Eq. 10)."""
    return math.sqrt(6.0 / n_inputs)


class Activation(NamedTuple):
    """A row of ACTIVATIONS; calling it calls its function.

    function      g, from the pre-activation z to the activation a
    weight_range  (n_inputs, n_outputs) -> the r of a layer's initial weights, uniform over [−r, r], that keeps the size
                  of activations and gradients from layer to layer
    """

    function: Callable[[Value], Value]
    weight_range: Callable[[int, int], float] = glorot

    def __call__(self, z: Value) -> Value:
        return self.function(z)


def linear(z: Value) -> Value:
    """No activation: a = z."""
    return z


ACTIVATIONS: dict[str, Activation] = {
    "linear": Activation(linear),
    "sigmoid": Activation(Value.sigmoid),
    "tanh": Activation(Value.tanh),
    "relu": Activation(Value.relu, he),
    "leaky_relu": Activation(Value.leaky_relu, he),
    "softplus": Activation(Value.softplus),
}


def find_activation(name: str) -> Activation:
    """The row of that name; ValueError if there is none."""
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {shown(name)}")
    return ACTIVATIONS[name]

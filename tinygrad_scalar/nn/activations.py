"""The table of activations g in a = g(z); a new activation is a row here.

A network also takes a function of the user's own, such as one made by `ts.primitive`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tinygrad_scalar import functions
from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.errors import LONGEST_NAME, shown
from tinygrad_scalar.engine.ops import OPERATIONS
from tinygrad_scalar.primitives.primitive import Primitive, is_importable
from tinygrad_scalar.screen import printable, quoted, shortened


def glorot(n_inputs: int, n_outputs: int) -> float:
    """√(6/(n_inputs + n_outputs)) (Glorot and Bengio 2010, Eq. 16)."""
    return math.sqrt(6.0 / (n_inputs + n_outputs))


def he(n_inputs: int, n_outputs: int) -> float:
    """√(6/n_inputs), for activations that are 0 or nearly so for half of their inputs (He et al. 2015, Eq. 10)."""
    return math.sqrt(6.0 / n_inputs)


def lecun(n_inputs: int, n_outputs: int) -> float:
    """√(3/n_inputs), with which selu keeps activations at mean 0 and variance 1 (Klambauer et al. 2017)."""
    return math.sqrt(3.0 / n_inputs)


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


Named = str | Callable[[Value], Value]  # how a network is told its activation


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
    "gelu": Activation(Value.gelu, he),
    "silu": Activation(Value.silu, he),
    "elu": Activation(Value.elu, he),
    "selu": Activation(Value.selu, lecun),
    "mish": Activation(Value.mish, he),
    "hardtanh": Activation(Value.hardtanh),
    "softsign": Activation(Value.softsign),
}


def find_activation(activation: Named) -> Activation:
    """The row of that name, or one for a function; ValueError if there is none, TypeError for anything else."""
    if isinstance(activation, str) and activation in ACTIVATIONS:
        return ACTIVATIONS[activation]
    if isinstance(activation, Activation):
        return activation
    if not callable(activation):
        raise ValueError(
            f"activation must be one of {', '.join(ACTIVATIONS)}, or a function of a Value, got {shown(activation)}"
        )
    if isinstance(activation, Primitive) and len(activation.operands) != 1:
        raise ValueError(f"an activation must take one operand, got {activation!r}")
    return Activation(activation)


def named(activation: Named) -> Named:
    """The name in the table of a function that is there, such as "relu" for ts.relu; otherwise what is given."""
    find_activation(activation)
    if isinstance(activation, str):
        return str(activation)  # of np.str_ too
    name = getattr(activation, "__name__", "")
    for known, row in ACTIVATIONS.items():
        if (
            activation is row
            or activation is row.function
            or (known == name and activation is getattr(functions, known, 0))
        ):
            return known
    return activation


def of_a_function(activation: Named, z: Value) -> Value:
    """a = g(z) for the user's function g; TypeError if it returns no Value."""
    a = find_activation(activation)(z)
    if not isinstance(a, Value):
        raise TypeError(f"the activation {printed(activation)} must return a Value, got {shown(a)}")
    return a


def printed(activation: Named) -> str:
    """An activation as networks print it: a name in quotes, a function by its name."""
    if isinstance(activation, str):
        return repr(activation)
    if isinstance(activation, Activation):
        return printed(activation.function)
    return str(getattr(activation, "__qualname__", "") or shortened(activation, LONGEST_NAME))


# --- in files --------------------------------------------------------------------------------------------------------


def place_of(activation: Named) -> str:
    """How a file refers to it: the name in the table, or "module:name" of a function that can be imported.

    ValueError if it cannot.
    """
    if isinstance(activation, str):
        return activation
    function = activation.function if isinstance(activation, Activation) else activation
    if not is_importable(function):
        raise ValueError(
            f"its activation {printed(activation)} is not at the top level of a module, where loading would find it: "
            "define it there, with def"
        )
    return f"{function.__module__}:{function.__qualname__}"


def at_place(place: str, given: Sequence[Callable[..., Any]]) -> Named:
    """The activation that a file refers to: one of those `given`, or a primitive that this process has registered.

    Nothing is imported, and no other function is called by a name from a file, which can name any. ValueError if there
    is none.
    """
    function: Named
    module, colon, name = place.partition(":")
    if not colon:
        return place
    registered: list[Any] = [row.primitive for row in OPERATIONS.values() if row.primitive is not None]
    ours = [getattr(functions, known) for known in functions.__all__]
    for function in (*given, *reversed(registered), *ours):  # of two definitions the later
        if (getattr(function, "__module__", ""), getattr(function, "__qualname__", "")) == (module, name):
            return function
    for function in given:  # trained in a script, where its module was __main__
        if getattr(function, "__qualname__", "") == name:
            return function
    raise ValueError(
        f"it uses the activation {quoted(name)} of the module {quoted(module)}, which this process does not know: "
        "import that module first if it is a primitive, or pass the function, as in "
        f"load(path, activations=[{printable(name)}])"
    )

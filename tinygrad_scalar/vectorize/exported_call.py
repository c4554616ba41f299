"""What an exported program accepts: the arrays of one call, whichever library they are of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinygrad_scalar.vectorize.exported import Exported


def checked(exported: Exported, parameters: Any) -> Any:
    """The parameters, if they have the shape of run.parameters."""
    if tuple(parameters.shape) != (exported.n_parameters,):
        raise ValueError(
            f"parameters must have the shape ({exported.n_parameters},), as run.parameters has; got "
            f"{tuple(parameters.shape)}"
        )
    return parameters


def examples_in(exported: Exported, given: Sequence[tuple[tuple[int, ...], bool]]) -> int:
    """The number of examples in arguments of these shapes, given with whether their numbers are integers."""
    shapes = () if exported.has_no_arguments else exported.shapes
    if len(given) != len(shapes):
        raise TypeError(f"expected the parameters and {len(shapes)} arguments, as run has; got {len(given)}")
    m = given[0][0][0] if given and given[0][0] else 1
    for i, ((shape, is_integer), (expected, integer)) in enumerate(zip(given, shapes)):
        if shape[1:] != expected or not shape:
            raise ValueError(
                f"argument {i} must have the shape {('m', *expected)}, as in the last call of run before it was "
                f"exported; got {shape}; for another shape call run with it, and export it again".replace("'m'", "m")
            )
        if integer and not is_integer:
            raise TypeError(f"argument {i} must hold integers, as in the last call of run before it was exported")
        if shape[0] != m:
            raise ValueError(
                f"all arguments must have the same number of examples: argument 0 has {m}, but argument {i} has "
                f"{shape[0]}"
            )
    if m == 0:
        raise ValueError("expected at least one example, got none")
    return m

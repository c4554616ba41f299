"""What the ways to run a traced function have in common: types, and the guards of a trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[Any]
    Shapes = tuple[tuple[tuple[int, ...], bool], ...]  # for each argument: an example's shape, whether integers
    Guards = list[tuple[Callable[[Any], Any], Callable[[float], str]]]
    Result = tuple[float, Floats, Sequence[Floats]]


def require(array: Floats, refused: Callable[[Any], Any], message: Callable[[float], str]) -> None:
    """ValueError if a guard refuses one of the numbers."""
    wrong = refused(array)
    if np.any(wrong):
        raise ValueError(message(float(np.broadcast_to(array, np.shape(wrong))[wrong][0])))

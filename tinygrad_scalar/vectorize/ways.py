"""What the ways to run a traced function have in common: types, and the guards of a trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_scalar.engine import read_data
from tinygrad_scalar.engine.quiet import quiet

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_scalar.engine import Value

    Floats = NDArray[Any]
    Shapes = tuple[tuple[tuple[int, ...], bool], ...]  # for each argument: an example's shape, whether integers
    Guards = list[tuple[Callable[[Any], Any], Callable[[float], str]]]
    Result = tuple[Any, Floats, Sequence[Floats]]
    Quick = Callable[[tuple[Any, ...]], Any]  # what a call gives for its arguments; None if they do not fit

MOST_CHOICES = 256  # numbers of examples for which the quicker way is remembered
NOT_IN_PICKLE = (
    "a pickle holds the program that ran, here the scalar program, and its texts only if they were read before: read "
    "run.source, run.equations or run.explain() before pickling, or call ts.vectorize again"
)


def require(array: Floats, refused: Callable[[Any], Any], message: Callable[[float], str]) -> None:
    """ValueError if a guard refuses one of the numbers."""
    wrong = refused(array)
    if np.any(wrong):
        raise ValueError(message(float(np.broadcast_to(array, np.shape(wrong))[wrong][0])))


def data_of(values: list[Value]) -> Floats:
    data = np.empty(len(values))
    read_data(values, data)
    return data


def same(x: Floats, y: Floats) -> NDArray[np.bool_]:
    """Where two arrays are equal bit for bit."""
    return np.asarray(x.view(f"i{x.itemsize}") == y.view(f"i{y.itemsize}"))


def cast(numbers: Floats, dtype: Any) -> Floats:
    """Numbers as another dtype; those beyond its range become infinite, without a warning."""
    if numbers.dtype == dtype:
        return numbers
    with quiet(over="ignore"):
        return numbers.astype(dtype)


def rows_of(array: Floats, dtype: Any) -> Floats:
    """The examples as rows of numbers."""
    rows = array if array.ndim == 2 else array.reshape(len(array), -1)
    return rows if rows.dtype == dtype else cast(rows, dtype)


def all_finite(numbers: Any) -> bool:
    """Whether a number, an array or a sparse matrix holds finite numbers only; None stands for no derivatives."""
    stored = numbers.data if hasattr(numbers, "indptr") else numbers
    return stored is None or bool(np.isfinite(stored).all())


def in_words(shapes: Shapes) -> str:
    """The kinds of examples that a program is for, such as "(2,) of floats and () of integers"."""
    return " and ".join(f"{shape} of {'integers' if integer else 'floats'}" for shape, integer in shapes)

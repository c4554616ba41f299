"""The examples that `fit` trains on: checked once, then taken in batches."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from tinygrad_scalar.engine.bulk import Array


class Examples:
    """m examples: `X` and `Y` as arrays, `x[i]` and `y[i]` as lists of one example, where integers stay integers.

    `kind` is the word before X and Y in errors: ValueError for wrong shapes and lengths and for numbers that are not
    finite, TypeError for anything but numbers. `cuts` are the first rows of partitions and the number of examples.
    """

    cuts: Sequence[int] = ()

    def __init__(self, X: ArrayLike, Y: ArrayLike, kind: str = "") -> None:
        self.X, self.Y = rows_of(X, f"{kind}X"), rows_of(Y, f"{kind}Y")
        if len(self.X) != len(self.Y):
            examples = f"{len(self.X)} example{'s' * (len(self.X) != 1)}"
            raise ValueError(f"{kind}X has {examples} but {kind}Y has {len(self.Y)}")
        self.x, self.y = Rows(self.X), Rows(self.Y)

    def __len__(self) -> int:
        return len(self.X)


class Rows(Sequence[Any]):
    """The rows of an array as lists of Python numbers, each made when it is read: a list of all takes five arrays."""

    def __init__(self, array: Array) -> None:
        self._array = array

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, i: Any) -> Any:
        return self._array[i].tolist()


def rows_of(array: ArrayLike, name: str) -> Array:
    """A (m, n) or (m,) array of finite numbers."""
    import numpy as np

    from tinygrad_scalar.vectorize.real_array import real_array

    numbers = real_array(array, name)
    if numbers.ndim not in (1, 2) or numbers.size == 0:
        raise ValueError(
            f"{name} must be a non-empty array of shape (m, n) or (m,), one row per example; got shape {numbers.shape}"
        )
    if not np.isfinite(numbers).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(numbers))[0])
        raise ValueError(f"{name} must hold finite numbers, got {numbers[place]} at {name}{list(place)}")
    return numbers


def batches(m: int, batch_size: int | None, generator: random.Random) -> Iterator[Sequence[int]]:
    """The indices of each batch's examples: all m in order, or `batch_size` at a time in an order shuffled anew."""
    if batch_size is None:
        yield range(m)
        return
    shuffled = generator.sample(range(m), m)
    for start in range(0, m, batch_size):
        yield shuffled[start : start + batch_size]

"""Dask arrays larger than memory as batches for `fit`: their partitions are computed one after the other."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.engine.number import required_integer

if TYPE_CHECKING:
    from numpy.typing import NDArray


def is_dask(array: Any) -> bool:
    """Whether it is a Dask array; nobody has one who has not imported Dask."""
    arrays = sys.modules.get("dask.array")
    return arrays is not None and isinstance(array, arrays.Array)


def computed(array: Any) -> Any:
    """The numbers of a Dask array, with their mask, which np.asarray would lose; anything else itself."""
    return array.compute() if is_dask(array) else array


def require_no_table(array: Any, name: str) -> None:
    """TypeError for a DataFrame or a Series of Dask, which NumPy would load into this process."""
    if type(array).__module__.startswith("dask.dataframe") and hasattr(array, "to_dask_array"):
        raise TypeError(
            f"{name} is a Dask {type(array).__name__}: {name}.to_dask_array(lengths=True) has its partitions, "
            f"{name}.compute() its rows in this process"
        )


def require_rows(array: Any, name: str) -> None:
    """ValueError unless a Dask array has one row for each example, and chunks of known lengths."""
    if array.ndim not in (1, 2):
        raise ValueError(f"{name} must be an array of shape (m, n) or (m,), one row per example; got {array.shape}")
    if any(math.isnan(size) for axis in array.chunks for size in axis):
        raise ValueError(f"the lengths of {name}'s chunks are unknown: call {name}.compute_chunk_sizes() before")


def whole_rows(array: Any) -> Any:
    """The Dask array with each row in one chunk."""
    return array.rechunk(dict.fromkeys(range(1, array.ndim), -1))


class DaskBatches:
    """The batches (X, Y) of Dask arrays for `fit`, in their order: `batch_size` rows of one partition, or all of them.

    X has the shape (m, n) or (m,); its partitions are its chunks of rows. Y is a Dask array too, and is cut as X is. In
    each epoch, each partition is computed once, and one of them is in memory at a time. TypeError for other arrays,
    ValueError if lengths differ or are unknown.

    `ts.fit(net, ts.nn.DaskBatches(X, Y, batch_size=64), epochs=10)` trains on them. To shuffle, shuffle beforehand.
    """

    def __init__(self, X: Any, Y: Any, batch_size: int | None = None) -> None:
        for name, array in (("X", X), ("Y", Y)):
            require_no_table(array, name)
            if not is_dask(array):
                raise TypeError(f"{name} must be a Dask array, as dask.array.from_array makes one; got {shown(array)}")
            require_rows(array, name)
        if len(X) != len(Y):
            raise ValueError(f"X has {len(X)} example{'s' * (len(X) != 1)} but Y has {len(Y)}")
        self._size = None if batch_size is None else required_integer(batch_size, "batch_size")
        self._lengths = [int(n) for n in X.chunks[0] if n]
        self._X, self._Y = (array.rechunk((tuple(self._lengths), *((n,) for n in array.shape[1:]))) for array in (X, Y))

    def __len__(self) -> int:
        return sum(-(-n // (self._size or n)) for n in self._lengths)

    def __iter__(self) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        from dask.base import compute

        for p, n in enumerate(self._lengths):
            X, Y = compute(self._X.blocks[p], self._Y.blocks[p])  # together: both may come from one file
            size = self._size or n
            for start in range(0, n, size):
                yield X[start : start + size], Y[start : start + size]

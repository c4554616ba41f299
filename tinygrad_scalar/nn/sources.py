"""Where the examples of `fit` come from: arrays, partitions or batches, by what X and Y are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.nn.batches import Batches, gives_batches, is_list_of_pairs
from tinygrad_scalar.nn.cluster import examples_for
from tinygrad_scalar.nn.examples import Examples, Source

if TYPE_CHECKING:
    from distributed import Client
    from numpy.typing import ArrayLike


def source_of(
    X: Any, Y: ArrayLike | None, client: Client | None, kind: str, batch_size: int | None, passes: int
) -> Source:
    """The examples X, Y; without Y, X gives batches, of any size but `batch_size`, in each of `passes` passes."""
    if Y is not None:
        if gives_batches(X):
            raise TypeError(
                f"{kind}X must hold numbers, got {shown(X)}: what gives batches (X, Y) stands alone, without {kind}Y"
            )
        return Examples(X, Y, kind) if kind else examples_for(X, Y, client)
    if not gives_batches(X) and not is_list_of_pairs(X):
        raise TypeError(
            f"{kind}Y is missing: without it, {kind}X must be a function or an iterable that gives batches (X, Y), "
            f"got {shown(X)}"
        )
    if batch_size is not None:
        raise ValueError(f"{shown(X)} gives batches of its own size: leave out batch_size, got {batch_size}")
    if client is not None:
        raise ValueError("batches are read in this process: leave out client, or give arrays X and Y")
    return Batches(X, kind, passes)


def of_validation(given: Any) -> tuple[Any, Any]:
    """X and Y of the argument `validation`; Y is None if it gives batches."""
    if gives_batches(given):
        return given, None
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise ValueError(
            "validation must be a pair (X, Y), or a function or an iterable that gives batches (X, Y); got "
            f"{shown(given)}"
        )
    return given[0], given[1]

"""Where the examples of `fit` come from: arrays, partitions or batches, by what X and Y are."""

from __future__ import annotations

import math
import os
import warnings
from typing import TYPE_CHECKING, Any

from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.nn.batches import Batches, gives_batches, is_list_of_pairs
from tinygrad_scalar.nn.cluster import examples_for
from tinygrad_scalar.nn.examples import Examples, Source

if TYPE_CHECKING:
    from distributed import Client
    from numpy.typing import ArrayLike

    from tinygrad_scalar.nn.class_names import Classes


def source_of(
    X: Any,
    Y: ArrayLike | None,
    client: Client | None,
    kind: str,
    batch_size: int | None,
    passes: int,
    classes: Classes,
) -> Source:
    """The examples X, Y; without Y, X gives batches, of any size but `batch_size`, in each of `passes` passes.

    What is text in Y are names of the `classes`, which learn those of the examples to train on.
    """
    if Y is not None:
        if gives_batches(X):
            raise TypeError(
                f"{kind}X must hold numbers, got {shown(X)}: what gives batches (X, Y) stands alone, without {kind}Y"
            )
        if batch_size is not None:
            _warn_of_random_reading(X)
        return Examples(X, Y, kind, classes=classes) if kind else examples_for(X, Y, client, classes)
    if not gives_batches(X) and not is_list_of_pairs(X):
        raise TypeError(
            f"{kind}Y is missing: without it, {kind}X must be a function or an iterable that gives batches (X, Y), "
            f"got {shown(X)}"
        )
    if batch_size is not None:
        raise ValueError(f"{shown(X)} gives batches of its own size: leave out batch_size, got {batch_size}")
    if client is not None:
        raise ValueError("batches are read in this process: leave out client, or give arrays X and Y")
    return Batches(X, kind, passes, classes)


def _warn_of_random_reading(X: Any) -> None:
    import numpy as np

    memory = _bytes_of_memory()
    if isinstance(X, np.memmap) and X.nbytes > memory:
        warnings.warn(
            f"X is a file of {X.nbytes / 1e9:.1f} GB, and this machine has {memory / 1e9:.1f} GB of memory: to draw "
            "batches in a random order, the disk is read around every row, which can take milliseconds each. Let a "
            "function of batches read blocks in a random order and shuffle each, as in the docstring of fit",
            stacklevel=4,
        )


def _bytes_of_memory() -> float:
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):  # Windows
        return math.inf


def of_validation(given: Any, axes: int) -> tuple[Any, Any]:
    """X and Y of the argument `validation`; Y is None if it gives batches, as a list of tuples (X, Y) does.

    A list of two tuples could also be X and Y as tuples of rows: ValueError if the number of `axes` of the X that is
    trained on does not say that they are batches.
    """
    if gives_batches(given):
        return given, None
    if isinstance(given, list) and given and all(isinstance(batch, tuple) and len(batch) == 2 for batch in given):
        if len(given) == 2 and _axes_of(given[0][0]) != axes:
            raise ValueError(
                "validation is a list of two tuples, which are batches (X, Y), but the X of the first does not have "
                f"the {axes} ax{'e' if axes > 1 else 'i'}s of X: to give X and Y of all examples, give a tuple (X, Y)"
            )
        return given, None
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise ValueError(
            "validation must be a pair (X, Y), or a list of tuples, a function or an iterable that gives batches "
            f"(X, Y); got {shown(given)}"
        )
    if is_list_of_pairs(given) and any(_axes_of(first) > 1 for first, _ in given):
        raise ValueError(
            "validation must be a pair (X, Y), but its X is itself a pair of arrays: for several batches give a list "
            f"of tuples, [(X1, Y1), (X2, Y2)]; got {shown(given)}"
        )
    return given[0], given[1]


def _axes_of(array: Any) -> int:
    """The number of axes of an array, a table or a list, by its first row."""
    import numpy as np

    if hasattr(array, "shape"):
        return len(array.shape)
    return np.ndim(array[:1] if isinstance(array, (list, tuple)) else array)

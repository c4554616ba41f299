"""The examples that `fit` trains on: checked once, then taken in batches."""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from tinygrad_scalar.nn.dask_batches import computed
from tinygrad_scalar.nn.kept_program import PIECE
from tinygrad_scalar.nn.tables import array_of_table, column_names

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from tinygrad_scalar.engine.bulk import Array
    from tinygrad_scalar.nn.class_names import Classes


class Batch(NamedTuple):
    """The examples of one step: some rows of `examples`; `weights` are of all of them, or None."""

    examples: Examples
    rows: Sequence[int]
    weights: Array | None = None

    def __len__(self) -> int:
        return len(self.rows)


class Source(Protocol):
    """A supply of examples for training or validation.

    first     examples to trace the network with and to name in errors: all, or those of the first batch
    batches   an epoch, counted from 1: the batches of its steps
    everyone  every example once, after an epoch, in parts of which one is in memory
    done      the share of an epoch after so many of its batches and examples, for schedules
    """

    @property
    def first(self) -> Examples: ...
    def batches(
        self, batch_size: int | None, generator: random.Random, weights: Array | None, epoch: int
    ) -> Iterator[Batch]: ...
    def everyone(self, epoch: int) -> Iterator[Examples]: ...
    def done(self, batches: int, examples: int) -> float: ...


class Examples:
    """m examples: `X` and `Y` as arrays, `x[i]` and `y[i]` as lists of one example, where integers stay integers.

    `kind` is the word before X and Y in errors, `where` what follows them: ValueError for wrong shapes and lengths and
    for numbers that are not finite, TypeError for anything but numbers. Arrays and memory maps are not copied. `cuts`
    are the first rows of partitions and the number of examples, `columns` the names that X has for its columns. With
    `classes`, Y can be text, which they number; `labels` is then the index of each example's class.
    """

    kind = where = ""
    cuts: Sequence[int] = ()
    columns: tuple[str, ...] = ()
    labels: Array | None = None

    def __init__(
        self, X: ArrayLike, Y: ArrayLike, kind: str = "", where: str = "", classes: Classes | None = None
    ) -> None:
        x_name, y_name = f"{kind}X{where}", f"{kind}Y{where}"
        self.kind = kind
        self.X = rows_of(X, x_name)
        self.labels = None if classes is None else classes.indices_of(Y, y_name)
        self.Y = rows_of(Y, y_name, targets=True) if self.labels is None else self.labels
        self.columns = column_names(X)
        if len(self.X) != len(self.Y):
            examples = f"{len(self.X)} example{'s' * (len(self.X) != 1)}"
            raise ValueError(f"{x_name} has {examples} but {y_name} has {len(self.Y)}")
        self.x = Rows(self.X)
        if classes is not None and self.labels is not None:
            self.Y = classes.targets(self.labels, y_name, self.x)
        self.y = Rows(self.Y)

    def __len__(self) -> int:
        return len(self.X)

    @property
    def first(self) -> Examples:
        return self

    def batches(
        self, batch_size: int | None, generator: random.Random, weights: Array | None, epoch: int
    ) -> Iterator[Batch]:
        """All m in order as one batch, or `batch_size` at a time in an order shuffled anew."""
        m = len(self)
        if batch_size is None:
            yield Batch(self, range(m), weights)
            return
        shuffled = shuffled_order(m, generator)
        for start in range(0, m, batch_size):
            yield Batch(self, shuffled[start : start + batch_size], weights)

    def everyone(self, epoch: int) -> Iterator[Examples]:
        yield self

    def done(self, batches: int, examples: int) -> float:
        return examples / len(self)


def shuffled_order(m: int, generator: random.Random) -> array[int]:
    """The numbers below m in the order of `generator.sample(range(m), m)`, with 8 bytes each instead of 48."""
    order = array("q", range(m))
    generator.shuffle(order)  # sample swaps the same pairs, and draws for the last one too
    generator.randrange(1)
    order.reverse()
    return order


class Rows(Sequence[Any]):
    """The rows of an array as lists of Python numbers, each made when it is read: a list of all takes five arrays."""

    def __init__(self, numbers: Array) -> None:
        self._array = numbers

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, i: Any) -> Any:
        return self._array[i].tolist()


def rows_of(given: ArrayLike, name: str, targets: bool = False) -> Array:
    """A (m, n) or (m,) array of finite numbers; a table of one column has the shape (m,) if it holds `targets`."""
    import numpy as np

    from tinygrad_scalar.vectorize.real_array import real_array

    numbers = real_array(array_of_table(computed(given), name, targets), name)
    if numbers.ndim not in (1, 2) or numbers.size == 0:
        raise ValueError(
            f"{name} must be a non-empty array of shape (m, n) or (m,), one row per example; got shape {numbers.shape}"
        )
    for start in range(0, len(numbers), PIECE):
        finite = np.isfinite(numbers[start : start + PIECE])
        if not finite.all():
            row, *column = (int(i) for i in np.argwhere(~finite)[0])
            place = start + row, *column
            short = name.partition(" of batch ")[0]
            raise ValueError(f"{name} must hold finite numbers, got {numbers[place]} at {short}{list(place)}")
    return numbers

"""Examples that come in batches, from a function or an iterable, so that only one batch has to be in memory."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set, Sized
from inspect import signature
from itertools import chain
from typing import TYPE_CHECKING, Any

from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.nn.class_names import mixed
from tinygrad_scalar.nn.dask_batches import is_dask, whole_rows
from tinygrad_scalar.nn.examples import Batch, Examples, rows_of
from tinygrad_scalar.nn.tables import THE_NETWORKS, column_names, is_table, require_same_columns

if TYPE_CHECKING:
    from tinygrad_scalar.engine.bulk import Array
    from tinygrad_scalar.nn.class_names import Classes

    InBatches = Callable[..., Iterable[Any]] | Iterable[Any]

_AS_FUNCTION = "give a function that makes a new one each time, such as `def batches(): yield X, Y`"


def gives_batches(given: object) -> bool:
    """Whether it is a function, a generator or another iterable that cannot be an array or a table."""
    if is_table(given) or any(hasattr(given, name) for name in ("__array__", "__array_interface__", "shape")):
        return False
    if isinstance(given, (Sequence, Set, Mapping, memoryview, str, bytes)):
        return False
    return callable(given) or isinstance(given, Iterable)


def input_pieces(X: Any, names: tuple[str, ...]) -> Iterator[Array]:
    """The inputs of `predict` as arrays: one, or one for each batch or partition; of a batch (X, Y) only X.

    Tables must have columns of these names, if there are some, or all the same.
    """
    if is_dask(X):
        rows = whole_rows(X)
        for i in range(rows.numblocks[0]):
            block = rows.blocks[i].compute()
            if len(block):  # a filter can leave nothing of a partition
                yield rows_of(block, f"X of partition {i}")
    elif gives_batches(X):
        first = THE_NETWORKS if names else "batch 0"
        for i, batch in enumerate(_opened(X, **({"epoch": 1} if _takes_epoch(X) else {}))):
            rows, name = batch[0] if _is_pair(batch) else batch, f"X of batch {i}"
            columns = column_names(rows)
            require_same_columns(columns, name, names, first)
            names = names or columns
            yield rows_of(rows, name)
    else:
        require_same_columns(column_names(X), "X", names, THE_NETWORKS)
        yield rows_of(X, "X")


class Batches:
    """The batches (X, Y) that a function or an iterable gives anew for every epoch; an iterator gives them once.

    Each is checked as it comes: its examples must have the shapes of those of batch 0, which is read at once.
    """

    def __init__(self, given: Any, kind: str, passes: int, classes: Classes) -> None:
        self._given, self._kind, self._classes = given, kind, classes
        if isinstance(given, Iterator) and passes > 1:
            raise ValueError(
                f"the {kind}batches come from {shown(given)}, which gives them only once, but they are needed "
                f"{passes} times: {_AS_FUNCTION}"
            )
        if not kind and is_list_of_pairs(given):
            classes.learn((Y, f"Y of batch {i}") for i, (_, Y) in enumerate(given))
        self._of_epoch = _takes_epoch(given)
        self._begun: Iterator[Any] | None = iter(self._opened(1))
        items = list(zip(range(1), self._begun))  # reads no second one
        if not items:
            raise ValueError(f"{shown(given)} gave no {kind}batches")
        first = self._checked(items[0][1], 0, "")
        self.first = Examples(first.X.copy(), first.Y.copy(), kind)  # its arrays may be refilled before its turn
        self.first.columns, self.first.labels, self.first.where = first.columns, first.labels, first.where

    def batches(
        self, batch_size: int | None, generator: random.Random, weights: Array | None, epoch: int
    ) -> Iterator[Batch]:
        for examples in self.everyone(epoch):
            yield Batch(examples, range(len(examples)))

    def everyone(self, epoch: int) -> Iterator[Examples]:
        begun, self._begun = self._begun, None
        in_epoch = f" in epoch {epoch}"
        if begun is None or (self._of_epoch and epoch > 1):
            items = enumerate(self._opened(epoch))
            checked: Iterator[Examples] = (self._checked(batch, i, in_epoch) for i, batch in items)
        else:  # what `first` was read from goes on
            checked = chain([self.first], (self._checked(batch, i, in_epoch) for i, batch in enumerate(begun, 1)))
        none = True
        for examples in checked:
            none = False
            yield examples
        if none:
            again = "the second time" if not self._of_epoch else f"in epoch {epoch}"
            raise ValueError(f"{shown(self._given)} gave no {self._kind}batches {again}: {_AS_FUNCTION}")

    def done(self, batches: int, examples: int) -> float:
        """Known only where the iterable says how many batches there are; else the rate changes between epochs."""
        return batches / len(self._given) if isinstance(self._given, Sized) else 0.0

    def _opened(self, epoch: int) -> Iterable[Any]:
        return _opened(self._given, **({"epoch": epoch} if self._of_epoch else {}))

    def _checked(self, batch: Any, i: int, in_epoch: str) -> Examples:
        kind, where = self._kind, f" of batch {i}"
        if not _is_pair(batch):
            raise TypeError(f"{kind}batch {i}{in_epoch} must be a pair (X, Y), got {shown(batch)}")
        X, Y = batch
        examples = Examples(X, Y, kind, where + in_epoch, self._classes)
        examples.where = where
        if i > 0 or in_epoch:
            if (examples.labels is None) != (self.first.labels is None):
                parts = f"{kind}Y{where}{in_epoch}", f"{kind}Y of batch 0"
                raise mixed(*(parts if self.first.labels is None else parts[::-1]))
            require_same_columns(examples.columns, f"{kind}X{where}{in_epoch}", self.first.columns, "batch 0")
            for name in ("X", "Y"):
                array, first = getattr(examples, name), getattr(self.first, name)
                if array.shape[1:] != first.shape[1:]:
                    raise ValueError(
                        f"all batches must have examples of one shape, but {kind}{name}{where}{in_epoch} has the shape "
                        f"{array.shape} and that of batch 0 {first.shape}"
                    )
        return examples


def _takes_epoch(given: Any) -> bool:
    """Whether it is a function with a parameter named epoch, to which `partial` has not given a number."""
    if isinstance(given, Iterable):
        return False
    try:
        return "epoch" in signature(given).parameters and "epoch" not in getattr(given, "keywords", ())
    except (TypeError, ValueError):  # of a function in C
        return False


def _opened(given: Any, **epoch: int) -> Iterable[Any]:
    """What the function returns, or the iterable itself."""
    if not isinstance(given, Iterable):
        _require_callable_with(given, epoch)
    found = given if isinstance(given, Iterable) else given(**epoch)
    if not isinstance(found, Iterable):
        raise TypeError(f"{shown(given)} must give batches, as a generator does; it gave {shown(found)}")
    return found


def _require_callable_with(given: Any, epoch: dict[str, int]) -> None:
    """TypeError if a function needs other arguments than that."""
    try:
        parameters = signature(given)
    except (TypeError, ValueError):  # of a function in C
        return
    try:
        parameters.bind(**epoch)
    except TypeError:
        raise TypeError(
            f"a function that gives batches is called without arguments, or with the number of the epoch if it has a "
            f"parameter `epoch`; got {shown(given)}, whose parameters are {parameters}"
        ) from None


def _is_pair(batch: Any) -> bool:
    return isinstance(batch, (tuple, list)) and len(batch) == 2


def is_list_of_pairs(given: Any) -> bool:
    return isinstance(given, (list, tuple)) and bool(given) and all(map(_is_pair, given))

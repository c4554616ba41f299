"""Which argument of which example asked a lookup for a row that its table lacks: executors only say that one did."""

from __future__ import annotations

import functools
from collections.abc import Callable, Container, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

if TYPE_CHECKING:
    from tinygrad_scalar.vectorize.ways import Floats, Shapes

Run = TypeVar("Run", bound=Callable[..., Any])


INTEGERS_WANTED = "the index of a lookup must be an argument passed as an array of integers"


class Index(NamedTuple):
    """Number `place` of an argument, counted in order, and how many rows the smallest table has that it indexes.

    `always` says whether every example gets there: not in a branch of `ts.cond`.
    """

    argument: int
    place: int
    rows: int
    always: bool

    def missing(self, rows: Sequence[Floats]) -> tuple[Floats, list[int]]:
        """What each example asks for, and the examples that ask for a row that is not there."""
        index = rows[self.argument].reshape(len(rows[self.argument]), -1)[:, self.place]
        return index, np.flatnonzero((index < 0) | (index >= self.rows)).tolist()

    def error(self, shapes: Shapes, row: float, example: int) -> ValueError:
        """The error that says whose row is missing."""
        name = name_of(self.argument, self.place, shapes[self.argument][0])
        return ValueError(
            f"lookup expected a row from 0 to {self.rows - 1}, got {row:.0f} from {name} in example {example}"
        )


def indices_of(lookups: Mapping[int, tuple[list[int], int, int]], reached: Container[int]) -> tuple[Index, ...]:
    """The indices of a trace's lookups."""
    rows = dict[tuple[int, int, bool], int]()
    for node, (entries, argument, place) in lookups.items():
        which = argument, place, node not in reached
        rows[which] = min(len(entries), rows.get(which, len(entries)))
    return tuple(Index(argument, place, n, always) for (argument, place, always), n in rows.items())


def require_rows(indices: Sequence[Index], shapes: Shapes, rows: Sequence[Floats]) -> None:
    """ValueError if an example asks for a row that is not there; `rows` has a row for each example."""
    for index in lacking(indices, rows):
        if index.always:
            asked, missing = index.missing(rows)
            raise index.error(shapes, float(asked[missing[0]]), missing[0]) from None


def lacking(indices: Sequence[Index], rows: Sequence[Floats]) -> list[Index]:
    """The indices with which some example asks for a row that is not there."""
    if not indices or len(rows[0]) == 0:
        return []
    ends = {
        argument: [end(rows[argument].reshape(len(rows[argument]), -1), axis=0) for end in (np.min, np.max)]
        for argument in {index.argument for index in indices}
    }
    found = []
    for index in indices:
        least, most = ends[index.argument]
        if least[index.place] < 0 or most[index.place] >= index.rows:
            found.append(index)
    return found


def name_of(argument: int, place: int, shape: tuple[int, ...]) -> str:
    """A number of an argument, for an error."""
    return f"argument {argument}" + "".join(f"[{k}]" for k in np.unravel_index(place, shape) if shape)


def no_index(argument: int, place: int, arrays: Sequence[Floats]) -> str:
    """An argument that cannot index a table, as its arrays are not of integers, for an error."""
    array = arrays[argument]
    return f"{name_of(argument, place, array.shape[1:])} of an array of {array.dtype}: pass X.astype(int)"


def names_missing_rows(run: Run) -> Run:
    """For a method that runs a program: its error for a missing row says which argument and example asked for it."""

    @functools.wraps(run)
    def named(program: Any, parameters: Floats, rows: Sequence[Floats], *others: Any, **options: Any) -> Any:
        try:
            return run(program, parameters, rows, *others, **options)
        except ValueError:
            require_rows(program.indices, program.shapes, rows)
            for index in lacking(program.indices, rows):  # of branches: which examples get there?
                asked, missing = index.missing(rows)
                for i in missing:
                    try:
                        run(program, parameters, [array[i : i + 1] for array in rows], *others, **options)
                    except ValueError as error:
                        if str(error).startswith("lookup expected"):
                            raise index.error(program.shapes, float(asked[i]), i) from None
            raise

    return named  # type: ignore[return-value]

"""Derivatives with respect to the frontier (frontier.py), taken on to the parameters as soon as they are computed.

An array program gives them as products of factors, left·right (each_by_products.py). That of number f of the frontier,
times row f of its Jacobian, is a part of the derivatives with respect to the parameters: sums of
left[i]·right[j]·numbers over the entries (i, j) are all that is needed, and the products themselves are never written
down.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_scalar.vectorize.ways import Floats

    Indices = NDArray[np.int64]

TILE = 4  # as in _through.h
MOST_COLUMNS = 16  # of a matrix: with more, BLAS is faster


class Through(NamedTuple):
    """A part's way to the parameters in tiles of TILE columns, each a sum of the terms bounds[t] to bounds[t + 1].

    i, j      of each term: its factors
    source    where its row of the matrix stands: among the frontier's derivatives, 0 and 1
    columns   of each tile: its parameters, −1 for none
    first     whether nothing was added to them before
    """

    i: NDArray[np.int32]
    j: NDArray[np.int32]
    source: Indices
    bounds: Indices
    columns: Indices
    first: NDArray[np.int8]

    def with_numbers(self, numbers: Floats) -> tuple[Any, ...]:
        """As `add_products` takes it, for these derivatives, 0 and 1."""
        return self.i, self.j, numbers[self.source], self.bounds, self.columns, self.first


def ways_through(parts: Iterable[Indices], n: int, frontier: Sequence[Any], entries: int) -> list[Any] | None:
    """For the columns of each part its `Through`, or `first` where none is in the frontier; None if BLAS is faster.

    The first n columns are parameters; the rest are the frontier, whose Jacobian has so many `entries`, in matrices as
    in each_by_parts.py.
    """
    if any(some.columns.shape[1] > MOST_COLUMNS for some in frontier):
        return None
    rows = _rows_of(frontier, entries)
    written = np.zeros(n, bool)
    found: list[Any] = []
    for columns in parts:
        if (columns < n).all():
            found.append(not written[columns].any())
            written[columns] = True
        else:
            found.append(_through(columns, n, rows, entries, written))
    return found


def _rows_of(frontier: Sequence[Any], entries: int) -> dict[int, tuple[tuple[int, ...], Indices]]:
    """For each number of the frontier the parameters of its matrix, and where its row there comes from."""
    rows = {}
    for some in frontier:
        (b, p), q = some.rows.shape, some.columns.shape[1]
        source = np.full(b * p * q, entries)  # 0, where there is no entry
        source[some.places] = some.entries
        for of_rows, columns, of_source in zip(some.rows.tolist(), some.columns.tolist(), source.reshape(b, p, q)):
            for f, of_row in zip(of_rows, of_source):
                rows[f] = tuple(columns), of_row
    return rows


def _through(columns: Indices, n: int, rows: dict[int, Any], entries: int, written: NDArray[np.bool_]) -> Through:
    """The way of one part, whose entry (i, j) is the derivative with respect to number columns[i, j]."""
    terms: defaultdict[tuple[int, ...], list[tuple[int, int, Indices]]] = defaultdict(list)
    for i, its in enumerate(columns.tolist()):
        for j, column in enumerate(its):
            if column < n:
                terms[column,].append((i, j, np.array([entries + 1])))  # times 1
            elif column - n in rows:  # else it is a constant
                parameters, source = rows[column - n]
                terms[parameters].append((i, j, source))
    lefts, rights, sources, bounds, tiles, firsts = [], [], [], [0], [], []
    for parameters, of_them in terms.items():
        for start in range(0, len(parameters), TILE):
            some = parameters[start : start + TILE]
            tiles.append([*some, *[-1] * (TILE - len(some))])
            firsts.append([*(not written[p] for p in some), *[False] * (TILE - len(some))])
            written[list(some)] = True
            for i, j, source in of_them:
                lefts.append(i)
                rights.append(j)
                sources.append(np.full(TILE, entries))
                sources[-1][: len(some)] = source[start : start + TILE]
            bounds.append(len(lefts))
    return Through(
        np.array(lefts, np.int32),
        np.array(rights, np.int32),
        np.array(sources, np.int64).reshape(-1, TILE),
        np.array(bounds, np.int64),
        np.array(tiles, np.int64).reshape(-1, TILE),
        np.array(firsts, np.int8).reshape(-1, TILE),
    )


def add_through(left: Floats, right: Floats, through: tuple[Any, ...], out: Floats) -> None:
    """A part of `add_products` in NumPy."""
    i, j, matrix, bounds, columns, first = through
    for t in range(len(columns)):
        terms = slice(bounds[t], bounds[t + 1])
        sums = (left[:, i[terms]] * right[:, j[terms]]) @ matrix[terms]
        for c in np.flatnonzero(columns[t] >= 0).tolist():
            out[:, columns[t, c]] = sums[:, c] if first[t, c] else out[:, columns[t, c]] + sums[:, c]

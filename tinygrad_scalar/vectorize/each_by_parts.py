"""Runs of values and derivatives of each example: in one part, or first what depends on parameters alone.

That runs once in a call. Its results, the frontier, are further parameters of the second part. The derivatives with
respect to them, times those of the frontier, which fall into small matrices, are those of the whole. As a path of
derivative 0 would turn an infinite one into nan where the engine has no path, these runs give None if a number is not
finite.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_scalar.engine.quiet import quiet
from tinygrad_scalar.vectorize.cost_model import L2, beyond, time_of
from tinygrad_scalar.vectorize.distinct import by_key, connected
from tinygrad_scalar.vectorize.each_by_products import EachByProducts
from tinygrad_scalar.vectorize.executor import executor
from tinygrad_scalar.vectorize.through import Through, ways_through

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_scalar.vectorize.layout import Layout
    from tinygrad_scalar.vectorize.localize import Local
    from tinygrad_scalar.vectorize.ways import Floats, Guards

    Indices = NDArray[np.int64]
    Found = tuple[Floats, Any, list[Any]]  # values (m, k), Jacobian, derivatives with respect to the arguments

NO_NUMBERS = np.empty((1, 0))  # one example of no numbers
KIND = "each in two parts"  # as in times.py
SMALL = 32  # numbers of a matrix up to which BLAS is slower than a loop
FEW = 8  # with so many times fewer numbers than parameters, a frontier may stay behind them in memory


class InOnePart:
    """A way with the layout of its results."""

    def __init__(self, local: Local, layout: Layout, way: Any) -> None:
        self.local, self.layout, self.way = local._replace(trace=None), layout, way  # type: ignore[arg-type]

    @property
    def name(self) -> str:
        return str(self.way.name)

    def expected(self, m: int) -> float:
        """The time in ns for m examples."""
        return float(self.way.expected(m))

    def reasons(self, m: int) -> str:
        return str(self.way.reasons(m))

    def run(self, parameters: Floats, rows: Sequence[Floats], guards: Guards, **options: Any) -> Found | None:
        m, chosen = len(rows[0]), self.local.columns(rows)
        arrays: list[Floats | None] = self.layout.arrays(m)
        theta = parameters[self.local.direct]
        values = self.way.run(theta, rows, parameters[chosen], arrays, guards, None, **options)
        if values is None:
            return None
        with quiet(all="ignore"):
            jacobian = self.layout.jacobian(m, arrays, chosen)
            return values, jacobian, self.layout.inputs(m, arrays[-1]) if self.layout.wrt_inputs else []


class Matrices(NamedTuple):
    """Matrices of one shape (p, q) in the Jacobian of the frontier, one after the other.

    rows, columns  of each: numbers of the frontier (b, p), parameters (b, q)
    entries        which of the derivatives that are not 0 stand in `places` of all their b·p·q numbers
    parts          the rows and the columns of each matrix, as slices where they are side by side
    """

    rows: Indices
    columns: Indices
    entries: Indices
    places: Indices
    parts: list[tuple[Any, Any]]

    @property
    def by_rows(self) -> bool:
        """Whether they are too small for BLAS, or only rows."""
        p, q = self.rows.shape[1], self.columns.shape[1]
        return bool(p == 1 or p * q <= SMALL)

    def add(self, derivatives: Floats, both: Floats, n: int) -> None:
        """Add to the first n columns the derivatives through these numbers of the frontier, which follow them."""
        (b, p), q = self.rows.shape, self.columns.shape[1]
        numbers = np.zeros((b, p, q))
        numbers.reshape(-1)[self.places] = derivatives[self.entries]
        if self.by_rows:
            ADD_MATRICES(both, n, self.rows, self.columns, numbers)
            return
        of_frontier, jacobian = both[:, n:], both[:, :n]
        for (rows, columns), matrix in zip(self.parts, numbers):
            jacobian[:, columns] += of_frontier[:, rows] @ matrix


def add_matrices(both: Floats, n: int, rows: Indices, columns: Indices, numbers: Floats) -> None:
    """As in _rows.pxi."""
    of_each = np.matmul(np.moveaxis(both[:, n + rows], 1, 0), numbers)
    both[:, columns.ravel()] += np.moveaxis(of_each, 0, 1).reshape(len(both), -1)


_native = executor()
ADD_MATRICES: Any = add_matrices if _native is None else _native.add_matrices


def matrices(counts: Sequence[int], columns: Sequence[int] | Indices) -> list[Matrices]:
    """The matrices of a Jacobian whose row i has counts[i] of the columns, which follow each other.

    Rows and columns that have to do with each other make a matrix.
    """
    in_row, its_columns = np.asarray(counts, np.int64), np.asarray(columns, np.int64)
    if not its_columns.size:
        return []
    its_rows, filled = np.repeat(np.arange(in_row.size), in_row), in_row[in_row > 0]
    bounds = np.concatenate([[0], np.cumsum(filled)])
    of_entry = np.repeat(connected(its_columns, bounds, int(its_columns.max()) + 1), filled)
    by_shape: defaultdict[tuple[int, int], list[tuple[Indices, ...]]] = defaultdict(list)
    for _, entries in by_key(of_entry):
        of_row, i = np.unique(its_rows[entries], return_inverse=True)
        of_column, j = np.unique(its_columns[entries], return_inverse=True)
        by_shape[of_row.size, of_column.size].append((of_row, of_column, entries, i * of_column.size + j))
    made = []
    for (p, q), alike in by_shape.items():
        of_rows, of_columns, of_entries, of_places = zip(*alike)
        in_all = [of_one + number * p * q for number, of_one in enumerate(of_places)]
        parts = [(_as_slice(i), _as_slice(j)) for i, j in zip(of_rows, of_columns)]
        made.append(
            Matrices(np.stack(of_rows), np.stack(of_columns), np.concatenate(of_entries), np.concatenate(in_all), parts)
        )
    return made


def _as_slice(index: Indices) -> Any:
    start = int(index[0])
    return slice(start, start + index.size) if (index == np.arange(start, start + index.size)).all() else index


class InTwoParts:
    """The part of the parameters alone, and a run of the rest."""

    through: list[Any] | None = None  # how each part of the rest goes on to the parameters; pickles before had none

    def __init__(self, local: Local, layout: Layout, common: Any, rest: InOnePart, n: int) -> None:
        self.local, self.layout, self.common = local._replace(trace=None), layout, common  # type: ignore[arg-type]
        self.rest, self.n = rest, n
        self.matrices = matrices(layout.counts, layout.columns)
        way, entries = rest.way, len(layout.columns)
        if isinstance(way, EachByProducts) and way.by_example and not way.n_gathered:
            self.through = ways_through([part.columns for part in way.parts], n, self.matrices, entries)
        if self.through is not None:
            self.straight = InOnePart(rest.local, rest.layout.of_first(n), way)

    @property
    def name(self) -> str:
        return f"{self.rest.name} in two parts"

    def expected(self, m: int) -> float:
        """As in `InOnePart`."""
        return time_of(KIND, self.features(m))

    def features(self, m: int) -> dict[str, float]:
        """What the matrix products take, and the time in ns of the two parts."""
        layout = self.rest.layout
        times = m * layout.k if layout.reduce == "each" else layout.k
        if self.through is not None:
            terms = sum(len(way.i) for way in self.through if isinstance(way, Through))
            parts = self.common.expected(1) + self.straight.way.expected(m, self.n)
            return {"calls": 1.0, "parts": parts, "terms": float(times * terms)}
        found = {"calls": 1.0, "parts": self.common.expected(1) + self.rest.expected(m), "products": 0.0}
        for some in self.matrices:
            found["products"] += 1 if some.by_rows else len(some.rows)
            what = "small multiplications" if some.by_rows else "multiplications"
            found[what] = found.get(what, 0.0) + times * some.rows.size * some.columns.shape[1]
        copied = float(times * self.n if self._copies() else 0)
        found |= {"copied": copied, "copied beyond the cache": copied * beyond(L2, 8.0 * copied)}
        return found

    def _copies(self) -> bool:
        """Whether the derivatives are copied, to leave those of the frontier behind."""
        return FEW * (self.rest.layout.n - self.n) > self.n

    def reasons(self, m: int) -> str:
        once = f"{1e-6 * self.common.expected(1):.3g} ms for what depends on parameters alone"
        return f"{once}, {self.rest.reasons(m)}"

    def run(self, parameters: Floats, rows: Sequence[Floats], guards: Guards) -> Found | None:
        arrays: list[Floats | None] = self.layout.arrays(1)
        theta = parameters[self.local.direct].astype(np.float64)
        frontier = self.common.run(theta, [NO_NUMBERS], NO_NUMBERS, arrays, [], None)[0]
        derivatives = arrays[0]
        assert derivatives is not None
        if not np.isfinite(derivatives).all():
            return None
        theta = np.concatenate([parameters, frontier], dtype=np.float64)
        if self.through is not None:
            numbers = np.concatenate([derivatives[0], [0.0, 1.0]])
            through = [way.with_numbers(numbers) if isinstance(way, Through) else way for way in self.through]
            found = self.straight.run(theta, rows, guards, through=through)
            return found if found is not None and np.isfinite(found[1]).all() else None
        found = self.rest.run(theta, rows, guards)
        if found is None:
            return None
        values, jacobian, inputs = found
        shape, n = jacobian.shape[:-1], self.n
        both = jacobian.reshape(-1, jacobian.shape[-1])
        if not np.isfinite(both[:, n:]).all():
            return None
        with quiet(all="ignore"):
            for some in self.matrices:
                some.add(derivatives[0], both, n)
        of_parameters = both[:, :n]
        if self._copies():
            of_parameters = of_parameters.copy()
        return values, of_parameters.reshape(*shape, n), inputs

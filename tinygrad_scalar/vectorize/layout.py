"""Where each derivative of an example goes in the arrays or the sparse matrices that a run returns.

Slots number what an example reads: its parameters first, then the numbers of the arguments, then the parameters that it
looks up. Outputs are counted in order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_scalar.vectorize.localize import Local
    from tinygrad_scalar.vectorize.ways import Floats, Shapes

    Indices = NDArray[np.int64]

EACH, TOTAL, INPUTS = range(3)  # a row for each example, the sum over the examples, rows for the arguments


class Wanted(NamedTuple):
    """The slots of one output whose derivatives are wanted: in which of the three arrays, and where in its rows."""

    slots: NDArray[np.int32]
    where: NDArray[np.int8]
    at: Indices


class Layout:
    """The places of all derivatives.

    n         the number of parameters; reads[j] are the slots that output j depends on, in order
    reduce    "mean", "sum" or "each"
    sparse    whether matrices are SciPy's: row j of each example's block has the entries reads[j] only
    """

    def __init__(
        self,
        local: Local,
        n: int,
        shapes: Shapes,
        shape: tuple[int, ...] | None,
        reads: Sequence[Indices],
        *,
        reduce: str,
        sparse: bool,
        wrt_inputs: bool,
    ) -> None:
        self.n, self.k, self.shape, self.shapes = n, len(reads), shape or (), shapes
        self.reduce, self.sparse, self.wrt_inputs = reduce, sparse, wrt_inputs
        self.n_gathered = local.n_gathered
        self.sizes = [math.prod(shape) for shape, _ in shapes]
        self.starts = np.concatenate([[0], np.cumsum(self.sizes)]).astype(np.int64).tolist()
        self._order(local.direct, reads)

    def _order(self, direct: Indices, reads: Sequence[Indices]) -> None:
        n, p, first_gathered = self.n, len(direct), len(direct) + self.starts[-1]
        by_example = self.reduce == "each" or (self.sparse and self.n_gathered > 0)
        main = EACH if by_example else TOTAL
        argument_of = np.repeat(np.arange(len(self.sizes)), self.sizes)
        is_float = np.array([not integer for _, integer in self.shapes], bool)
        self.wanted: list[Wanted] = []
        columns = [np.empty(0, np.int64)]  # of the sparse matrix; −1 − g for what lookup g chooses
        self.counts: list[int] = []  # in each row
        self.input_entries: list[list[tuple[int, int]]] = [[] for _ in self.sizes]  # row and column of each
        dense_inputs = self.n_gathered * (not self.sparse) + self.starts[-1] * self.wrt_inputs
        of_inputs: list[tuple[int, int, int]] = []  # output, number of its entry in `wanted`, argument
        start = 0
        for j, slots in enumerate(reads):
            slots = slots.astype(np.int64)
            of_parameters, of_arguments, of_gathered = np.split(slots, np.searchsorted(slots, (p, first_gathered)))
            read = direct[of_parameters]
            after = start + len(read)
            parts = [(of_parameters, main, np.arange(start, after) if self.sparse else j * n + read)]
            if self.wrt_inputs:
                found = of_arguments[is_float[argument_of[of_arguments - p]]]
                first = j * dense_inputs + self.n_gathered * (not self.sparse) - p
                if self.sparse:
                    for number, slot in enumerate(found.tolist(), len(read)):
                        a = int(argument_of[slot - p])
                        of_inputs.append((j, number, a))
                        self.input_entries[a].append((j, slot - p - self.starts[a]))
                parts.append((found, INPUTS, first + found))
            gathered = of_gathered - first_gathered
            at = np.arange(after, after + len(gathered)) if self.sparse else j * dense_inputs + gathered
            parts.append((of_gathered, EACH if self.sparse else INPUTS, at))
            columns += [read, -1 - gathered]
            self.counts.append(len(read) + len(gathered))
            start += self.counts[-1]
            its_slots, its_where, its_at = zip(*parts)
            where = np.repeat(np.array(its_where, np.int8), [*map(len, its_slots)])
            self.wanted.append(Wanted(np.concatenate(its_slots, dtype=np.int32), where, np.concatenate(its_at)))
        self.columns = np.concatenate(columns)
        if self.sparse:
            starts = np.cumsum([0, *map(len, self.input_entries)]).tolist()
            self.input_starts = list(starts)
            for j, number, a in of_inputs:
                self.wanted[j].at[number] = starts[a]
                starts[a] += 1
        self.width_of_inputs = sum(map(len, self.input_entries)) if self.sparse else self.k * dense_inputs
        self.width = len(self.columns) if self.sparse else self.k * n
        self.main = main

    def of_first(self, n: int) -> Layout:
        """The same for the first n of the parameters."""
        found = copy(self)
        found.n, found.width = n, self.k * n
        return found

    @property
    def cleared(self) -> int:
        """How many numbers of each example are 0 before a run."""
        return self.width * (self.main == EACH) + self.width_of_inputs

    # --- after a run -------------------------------------------------------------------------------------------------

    def arrays(self, m: int) -> list[Floats | None]:
        """The three arrays for m examples; None for one that is not needed."""
        each = np.zeros((m, self.width)) if self.main == EACH else None
        total = np.zeros(self.width) if self.main == TOTAL else None
        return [each, total, np.zeros((m, self.width_of_inputs)) if self.width_of_inputs else None]

    def values(self, values: Floats) -> Floats:
        """The outputs (m, k) of all examples, reduced and in the shape in which the function returns them."""
        if self.reduce == "each":
            return values.reshape(len(values), *self.shape)
        total: Floats = values.sum(axis=0, initial=-0.0).reshape(self.shape)  # −0 alone stays −0
        return total / len(values) if self.reduce == "mean" else total

    def jacobian(self, m: int, arrays: Sequence[Floats | None], chosen: Indices) -> Any:
        """The derivatives with respect to the parameters; `chosen` are those that each example looks up."""
        each, total, inputs = arrays
        over = m if self.reduce == "mean" else 1
        if self.sparse:
            return self._sparse_jacobian(m, each, total, chosen, over)
        if each is not None:
            found: Floats = each.reshape(m, self.k, self.n)
            if inputs is not None:
                of_tables = inputs.reshape(m, self.k, -1)[:, :, : self.n_gathered]
                if self.n_gathered > m:  # the same additions in one step
                    found = np.ascontiguousarray(found)
                    places = np.arange(m * self.k).reshape(m, self.k, 1) * self.n + chosen[:, None, :]
                    np.add.at(found.reshape(-1), places.ravel(), of_tables.ravel())
                else:
                    for g in range(self.n_gathered):
                        found[np.arange(m), :, chosen[:, g]] += of_tables[:, :, g]
            return found.reshape(m, *self.shape, self.n)
        assert total is not None
        found = total.reshape(self.k, self.n)
        if inputs is not None:
            of_tables = inputs.reshape(m, self.k, -1)[:, :, : self.n_gathered]
            for j in range(self.k):
                np.add.at(found[j], chosen.ravel(), of_tables[:, j].ravel())  # one after the other, as in short calls
        return (found / over).reshape(*self.shape, self.n)

    def _sparse_jacobian(self, m: int, each: Floats | None, total: Floats | None, chosen: Indices, over: int) -> Any:
        columns = np.array(self.columns, np.int64)
        if each is None:
            assert total is not None
            return _csr(total / over, columns, self.counts, self.n)
        every = np.broadcast_to(columns, each.shape).copy()
        looked_up = np.flatnonzero(columns < 0)
        every[:, looked_up] = chosen[:, -1 - columns[looked_up]]
        if self.reduce == "each":
            made = _csr(each.ravel(), every.ravel(), np.tile(self.counts, m), self.n)
            if looked_up.size:
                made.sum_duplicates()  # two lookups can choose the same parameter
            return made
        sparse = require_scipy()
        rows = np.broadcast_to(np.repeat(np.arange(self.k), self.counts), each.shape)
        entries = (each.ravel(), (rows.ravel(), every.ravel()))
        return sparse.csr_array(sparse.coo_array(entries, shape=(self.k, self.n))) / over

    def inputs(self, m: int, inputs: Floats | None) -> list[Any]:
        """The derivatives with respect to each argument; None for one of integers."""
        over = m if self.reduce == "mean" else 1
        found: list[Any] = []
        for a, (shape, integer) in enumerate(self.shapes):
            if 0 in shape:
                continue  # it stands for no argument
            if integer:
                found.append(None)
            elif self.sparse:
                s, entries = self.input_starts[a], self.input_entries[a]
                part = inputs[:, s : s + len(entries)] if inputs is not None else np.zeros((m, 0))
                found.append(self._sparse_input(m, part / over, entries, self.sizes[a]))
            else:
                start = self.n_gathered + self.starts[a]
                every = inputs.reshape(m, self.k, -1) if inputs is not None else np.zeros((m, self.k, 0))
                part = every[:, :, start : start + self.sizes[a]] / over
                found.append(part.reshape(m, *self.shape, *shape))
        return found

    def _sparse_input(self, m: int, data: Floats, entries: Sequence[tuple[int, int]], size: int) -> Any:
        """The matrix of all values' derivatives with respect to all numbers of an argument, example after example."""
        sparse = require_scipy()
        rows = np.array([row for row, _ in entries], np.int64)
        columns = np.array([column for _, column in entries], np.int64) + size * np.arange(m)[:, None]
        if self.reduce == "each":
            every = rows + self.k * np.arange(m)[:, None]
            n_rows = self.k * m
        else:
            every, n_rows = np.broadcast_to(rows, data.shape), self.k
        coo = sparse.coo_array((data.ravel(), (every.ravel(), columns.ravel())), shape=(n_rows, size * m))
        return sparse.csr_array(coo)


def require_scipy() -> Any:
    """SciPy's sparse matrices; ImportError without SciPy."""
    try:
        from scipy import sparse  # type: ignore[import-untyped]
    except ImportError as error:
        raise ImportError('jacobian="sparse" needs SciPy: install it, or use jacobian="dense"') from error
    return sparse


def _csr(data: Floats, columns: Indices, counts: Any, n: int) -> Any:
    sparse = require_scipy()
    starts = np.concatenate([[0], np.cumsum(counts)])
    kind = np.int32 if max(data.size, n) < 2**31 else np.int64
    return sparse.csr_array((data, columns.astype(kind), starts.astype(kind)), shape=(len(counts), n))

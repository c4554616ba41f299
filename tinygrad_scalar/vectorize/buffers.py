"""The memory of a program's arrays: which are views of others, which are written in place, which share a buffer.

An array of n rows is stored as (n, m), one that is the same for all examples as (n, 1).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_scalar.vectorize.numpy_calls import may_overwrite
from tinygrad_scalar.vectorize.program import (
    Array,
    Elementwise,
    Fold,
    Gather,
    Lookup,
    LookupScatter,
    Product,
    Program,
    Scatter,
    Statement,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Indices = NDArray[np.int64]


class Buffer:
    """Rows of memory, in use from the statement `first` to the statement `last`; `arrays` share it in turn."""

    def __init__(self, array: Array) -> None:
        self.rows, self.batched = array.rows, array.batched
        self.arrays = [array]
        self.first, self.last = 1 << 60, -1

    def used(self, time: int) -> None:
        self.first, self.last = min(self.first, time), max(self.last, time)


def affine(index: Indices) -> tuple[int, int, int] | None:
    """(a, s, t) if index[i, j] = a + s·i + t·j with s and t above 0, else None; for one axis t is 0."""
    if index.ndim == 1:
        step = int(index[1] - index[0]) if len(index) > 1 else 1
        fits = step > 0 and (index == index[0] + step * np.arange(len(index))).all()
        return (int(index[0]), step, 0) if fits else None
    p, k = index.shape
    a = int(index[0, 0])
    t = int(index[0, 1]) - a if k > 1 else 1
    s = int(index[1, 0]) - a if p > 1 else k * t
    fits = s > 0 and t > 0 and (index == a + s * np.arange(p)[:, None] + t * np.arange(k)).all()
    return (a, s, t) if fits else None


def contiguous(index: Indices) -> int | None:
    """The first row if `index` is a run of rows in order, else None."""
    flat = index.ravel()
    start = int(flat[0])
    return start if (flat == np.arange(start, start + flat.size)).all() else None


class Buffers:
    """The plan of a program's memory; integer[a] says whether argument a holds integers.

    statements  those that run: the sums just before the mean over the examples are left out, and `summed` is averaged
                instead or, if `squared`, its squares
    views       arrays that are rows of another one, not copies: the Gather that would have copied them
    inside      arrays that are written where they are needed: into which other array, and as which of its rows
    buffer_of   the buffer of each array that is neither
    copied      arguments that are copied into a buffer
    all         the buffers; the gradient has its own memory
    """

    def __init__(self, program: Program, integer: Sequence[bool]) -> None:
        self.program, self.integer = program, integer
        self.statements = [*program.forward, *program.backward]
        self.readers: dict[Array, list[Statement]] = {}
        for statement in self.statements:
            for operand in dict.fromkeys(statement.operands):
                self.readers.setdefault(operand, []).append(statement)
        self.made_by = {statement.out: statement for statement in self.statements}
        self._find_what_is_summed()
        self.views: dict[Array, Gather] = {}
        self.inside: dict[Array, tuple[Array, Indices | None]] = {}
        self.copied: set[Array] = set()
        self.buffer_of: dict[Array, Buffer] = {}
        self._find_views()
        self._find_parts_in_place()
        self._give_memory()
        self._share()

    def _find_what_is_summed(self) -> None:
        """Find the array whose numbers, or squares, add up to the costs: the sums before the mean can be left out."""
        self.summed, self.squared = self.program.cost, False
        while (
            self.program.reduce != "each"
            and self.summed.batched
            and not self.readers.get(self.summed)
            and not self.squared
        ):
            made_by = self.made_by.get(self.summed)
            self.squared = isinstance(made_by, Elementwise) and (
                made_by.op == "**2" or (made_by.op == "*" and len(set(made_by.operands)) == 1)
            )
            is_sum = isinstance(made_by, Fold) and made_by.op == "+" and made_by.source.batched
            is_reordered = isinstance(made_by, Gather) and np.array_equal(
                np.sort(made_by.index.ravel()), np.arange(made_by.source.rows)
            )
            if not (self.squared or is_sum or is_reordered):
                break
            assert made_by is not None
            self.statements.remove(made_by)
            self.summed = made_by.operands[0]
            self.readers[self.summed].remove(made_by)

    def _find_views(self) -> None:
        program = self.program
        for a, argument in enumerate(program.arguments):
            gathers = [s for s in self.readers.get(argument, []) if isinstance(s, Gather)]
            others = [s for s in self.readers.get(argument, []) if not isinstance(s, (Gather, Lookup))]
            if (self.integer[a] and (gathers or others)) or any(
                s.index.ndim > 1 or contiguous(s.index) is None for s in gathers
            ):
                self.copied.add(argument)
        for statement in self.statements:
            if not isinstance(statement, Gather) or statement.source.values is not None:
                continue
            if statement.source.batched != statement.out.batched:
                continue
            if contiguous(statement.index) is not None or (
                statement.source is program.parameters
                and statement.index.ndim == 2
                and self.strided(statement.index)
                and all(isinstance(s, Product) for s in self.readers.get(statement.out, []))
            ):
                self.views[statement.out] = statement

    def strided(self, index: Indices) -> tuple[int, int, int, int] | None:
        """(a, s, p, k) if the matrix is parameters[a : a + p*s].reshape(p, s)[:, :k], else None."""
        found = affine(index)
        if found is None:
            return None
        a, s, t = found
        p, k = index.shape
        fits = t == 1 and k <= s and a + p * s <= self.program.parameters.rows
        return (a, s, p, k) if fits else None

    def _find_parts_in_place(self) -> None:
        for scatter in self.statements:
            if not isinstance(scatter, Scatter):
                continue
            free = np.ones(scatter.out.rows, bool)
            occurs = Counter(part for part, _ in scatter.parts)
            for part, index in scatter.parts:
                if occurs[part] > 1 or not self._is_written_for(part, scatter):
                    continue
                made_by = self.made_by[part]
                if index is None:
                    whole = part.rows == scatter.out.rows and free.all()
                    if whole and not isinstance(made_by, (Scatter, LookupScatter)):
                        self.inside[part] = (scatter.out, None)
                        free[:] = False
                    continue
                rows = index.ravel()
                if part.rows != rows.size or not free[rows].all():
                    continue
                shaped = rows.reshape(part.shape)
                strided = (
                    isinstance(made_by, Product)
                    and not part.batched
                    and scatter.out is self.program.gradient
                    and shaped.ndim == 2
                    and self.strided(shaped) is not None
                )
                if contiguous(rows) is not None or strided:
                    self.inside[part] = (scatter.out, shaped)
                    free[rows] = False

    def _is_written_for(self, part: Array, scatter: Scatter) -> bool:
        """Whether a part of a scatter is used nowhere else, so that it can be computed in place."""
        made_by = self.made_by.get(part)
        return (
            made_by is not None
            and not isinstance(made_by, Gather)
            and part not in self.inside
            and part.batched == scatter.out.batched
            and self.readers[part] == [scatter]
            and part not in (self.summed, *self.program.guarded)
        )

    def _owner(self, array: Array) -> Array:
        """The array in whose memory this one lives."""
        while True:
            if array in self.views:
                array = self.views[array].source
            elif array in self.inside:
                array = self.inside[array][0]
            else:
                return array

    def _give_memory(self) -> None:
        program = self.program
        given = {program.parameters, *program.arguments}
        end = len(self.statements)
        last: dict[Array, int] = {}
        for time, statement in enumerate(self.statements):
            for operand in statement.operands:
                last[self._owner(operand)] = time
        for array in (self.summed, *program.guarded, program.gradient, *program.input_gradients):
            if array is not None:
                last[self._owner(array)] = end
        for time, statement in enumerate(self.statements):
            owner = self._owner(statement.out)
            if owner in given or owner.values is not None:
                continue
            if owner not in self.buffer_of:
                over = self._taken_over(statement, time, last) if owner is statement.out else None
                if over is not None:
                    over.arrays.append(owner)
                self.buffer_of[owner] = over or Buffer(owner)
            self.buffer_of[owner].used(time)
            self.buffer_of[owner].used(last.get(owner, time))
        for argument in self.copied:
            buffer = self.buffer_of[argument] = Buffer(argument)
            buffer.used(-1)
            buffer.used(end)

    def _taken_over(self, statement: Statement, time: int, last: dict[Array, int]) -> Buffer | None:
        """The buffer of an operand that is not read afterwards, if the result can be written over it."""
        if not isinstance(statement, Elementwise) or statement.out is self.program.gradient:
            return None
        for position, operand in enumerate(statement.operands):
            owner = self._owner(operand)
            buffer = self.buffer_of.get(owner)
            if (
                buffer is not None
                and operand is owner
                and operand not in self.copied
                and may_overwrite(statement.op, position)
                and (operand.rows, operand.batched) == (statement.out.rows, statement.out.batched)
                and last[owner] == time
                and buffer.last == time
                and owner is not self.program.gradient
            ):
                return buffer
        return None

    def _share(self) -> None:
        """Merge buffers of one size that are in use at different times."""
        gradient = None if self.program.gradient is None else self.buffer_of.get(self._owner(self.program.gradient))
        # by size: the buffers in use, by when they will be free, and those that are free; the oldest is taken first
        waiting: dict[tuple[int, bool], tuple[list[Any], list[Any]]] = {}
        self.all: list[Buffer] = []
        for buffer in sorted(dict.fromkeys(self.buffer_of.values()), key=lambda buffer: buffer.first):
            if buffer is gradient:
                continue
            used, free = waiting.setdefault((buffer.rows, buffer.batched), ([], []))
            while used and used[0][0] < buffer.first:
                _, age, other = heappop(used)
                heappush(free, (age, other))
            if not free:
                heappush(used, (buffer.last, len(self.all), buffer))
                self.all.append(buffer)
                continue
            age, over = heappop(free)
            over.arrays += buffer.arrays
            over.used(buffer.last)
            for array in buffer.arrays:
                self.buffer_of[array] = over
            heappush(used, (over.last, age, over))

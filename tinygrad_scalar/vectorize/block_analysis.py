"""What the native program of an array program needs to know first: what depends on what, and which arrays are parts of
others."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_scalar.vectorize.block_memory import AFTER, BACKWARD, BEFORE_BACKWARD, BEFORE_FORWARD, FORWARD, Memory
from tinygrad_scalar.vectorize.buffers import affine, contiguous
from tinygrad_scalar.vectorize.everyday_operations import ACTIVATIONS
from tinygrad_scalar.vectorize.program import (
    Array,
    DistancesGradient,
    Elementwise,
    Gather,
    Lookup,
    LookupScatter,
    OverExamples,
    Product,
    Program,
    Scatter,
    Slope,
    Statement,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Indices = NDArray[np.int64]

SAME, EACH, SUMMED = range(3)  # what a number depends on: no example, its example, all examples

FEW = 4  # rows of an operand that a product's loop reads at once

# Slopes, and operations of the backward pass, that a forward operation of the same operand computes by the way.
BY_THE_WAY: dict[Any, str] = {
    "sigmoid": "softplus",
    **{(name, 0): name for name in ("tanh", "sigmoid", *ACTIVATIONS)},
}


class NotNativeError(Exception):
    """The program has a statement that the executor cannot run."""


class Analysis:
    """The findings about a differentiated program; NotNativeError if it cannot run block by block.

    statements  all of them, forward and backward
    slope_of    the slopes that forward operations compute by the way; `by_the_way` are the statements not needed then
    kept        the arrays that are results
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.memory = Memory(program)
        self.statements = [*program.forward, *program.backward]
        self.readers: dict[Array, list[Statement]] = {}
        for statement in self.statements:
            for operand in dict.fromkeys(statement.operands):
                self.readers.setdefault(operand, []).append(statement)
        self.made_by = {statement.out: statement for statement in self.statements}
        self.kept = {program.cost, program.gradient, *program.guarded, *program.input_gradients}
        if program.gradient is None or not program.arguments:
            raise NotNativeError
        if program.cost not in self.made_by and program.cost not in program.arguments:  # a parameter or a constant
            raise NotNativeError
        self.forward_ids = set(map(id, program.forward))
        self._find_dependence()
        self._find_bare_arguments()
        self._find_views()
        self._find_parts_in_place()
        self._find_slopes_by_the_way()

    # --- what depends on what ----------------------------------------------------------------------------------------

    def _find_dependence(self) -> None:
        program = self.program
        self.depends = {program.parameters: SAME, **dict.fromkeys(program.arguments, EACH)}
        self.of_each: set[Statement] = set()  # statements that read or make a number of each example
        for statement in self.statements:
            operands = {self.dependence(operand) for operand in statement.operands}
            if statement.out.batched or EACH in operands:
                self.of_each.add(statement)
            if isinstance(statement, (Lookup, LookupScatter)):
                operands.add(EACH)
            summing = isinstance(statement, (OverExamples, LookupScatter)) or (
                isinstance(statement, Product) and statement.form == "RT" and not statement.out.batched
            )
            summing = summing or (isinstance(statement, DistancesGradient) and statement.side == "left")
            out = statement.out
            if out.batched and SUMMED in operands:
                raise NotNativeError
            if not out.batched and EACH in operands and (not summing or SUMMED in operands):
                raise NotNativeError
            self.depends[out] = EACH if out.batched else SUMMED if operands & {EACH, SUMMED} else SAME

    def dependence(self, array: Array) -> int:
        return SAME if array.values is not None else self.depends[array]

    def part(self, statement: Statement) -> int:
        """In which part a statement runs."""
        forward = self.forward_ids.__contains__(id(statement))
        if statement in self.of_each:
            return FORWARD if forward else BACKWARD
        if isinstance(statement, LookupScatter):
            return BACKWARD
        if self.depends[statement.out] == SUMMED:
            return AFTER
        return BEFORE_FORWARD if forward else BEFORE_BACKWARD

    # --- memory ------------------------------------------------------------------------------------------------------

    def _find_bare_arguments(self) -> None:
        """Find the arguments that only BLAS reads, which takes a row for each example as well."""
        for a, argument in enumerate(self.program.arguments):
            readers = self.readers.get(argument, [])
            if argument not in self.kept and all(
                isinstance(s, Product)
                and form_of(s) in ("LR", "RT")
                and s.right is argument is not s.left
                and (s.sizes[2], s.blocks, s.of_each_example) == (1, 1, False)
                and s.there is None
                and s.chosen is None
                for s in readers
            ):
                self.memory.bare[argument] = a
            else:
                self.memory.copied.append(argument)

    def _find_views(self) -> None:
        program, memory = self.program, self.memory
        for statement in self.statements:
            if not isinstance(statement, Gather) or statement.source.values is not None:
                continue
            source, out, index = statement.source, statement.out, statement.index
            if source.batched != out.batched or source in memory.bare or out in self.kept:
                continue
            start = contiguous(index)
            if start is not None:
                memory.views[out] = (source, start)
            elif source is program.parameters and index.ndim == 2:
                strided = _strided(index, source.rows)
                readers = self.readers.get(out, [])
                if strided and all(isinstance(s, Product) and s.form != "RT" and s.left is out for s in readers):
                    memory.views[out] = (source, strided[0])
                    memory.steps[out] = strided[1]

    def _find_parts_in_place(self) -> None:
        """Find the parts of scatters that can be computed where the scatter would put them."""
        memory = self.memory
        for scatter in self.statements:
            if not isinstance(scatter, Scatter) or scatter.out in memory.inside:
                continue
            free = np.ones(scatter.out.rows, bool)
            times = Counter(part for part, _ in scatter.parts)
            for part, index in scatter.parts:
                made_by = self.made_by.get(part)
                if (
                    made_by is None
                    or (index is None and len(scatter.parts) > 1)
                    or isinstance(made_by, (Gather, Scatter))
                    or part in memory.inside
                    or part in self.kept
                    or part.batched != scatter.out.batched
                    or self.readers[part] != [scatter]
                    or times[part] > 1
                ):
                    continue
                rows = np.arange(free.size) if index is None else index.ravel()
                if part.rows != rows.size or not free[rows].all():
                    continue
                start = contiguous(rows)
                if start is None:
                    strided = _strided(rows.reshape(part.shape), scatter.out.rows) if len(part.shape) == 2 else None
                    # each example's own products stand side by side
                    if not (strided and isinstance(made_by, Product) and made_by.form == "RT" and not part.batched):
                        continue
                    start, memory.steps[part] = strided
                memory.inside[part] = (scatter.out, start)
                free[rows] = False

    def _find_slopes_by_the_way(self) -> None:
        self.slope_of: dict[Statement, Array] = {}
        self.by_the_way: set[Statement] = set()
        forward = {
            (s.op, s.sources[0]): s
            for s in self.program.forward
            if isinstance(s, Elementwise) and len(s.sources) == 1 and isinstance(s.op, str) and s.out.batched
        }
        for statement in self.program.backward:
            if not isinstance(statement, Elementwise) or not statement.out.batched:
                continue
            op = statement.op
            key = (op.op, op.operand) if isinstance(op, Slope) else op
            if key not in BY_THE_WAY:
                continue
            x = dict(zip(op.reads, statement.sources))[1] if isinstance(op, Slope) else statement.sources[0]
            maker = forward.get((BY_THE_WAY[key], x))
            if maker is not None and maker not in self.slope_of:
                self.slope_of[maker] = statement.out
                self.by_the_way.add(statement)


def form_of(s: Product) -> str | None:
    """The form of a product: row by row if one of its operands has few rows."""
    if s.form not in ("LR", "TR", "RT"):
        return None
    p, k, q = s.sizes
    if q > 1 or s.blocks > 1 or s.of_each_example or s.there is not None or s.chosen is not None:
        return s.form
    if s.form == "LR":
        return "LR by rows" if k <= FEW else "LR to few" if p <= FEW else "LR"
    if s.form == "TR":
        return "TR by rows" if p <= FEW else "TR to few" if k <= FEW else "TR"
    return "RT by left" if k <= FEW else "RT by right" if p <= FEW else "RT"


def _strided(index: Indices, rows: int) -> tuple[int, int] | None:
    """(a, s) if index[i, j] = a + s·i + j, else None."""
    found = affine(index)
    if found is None or found[2] != 1 or index.shape[1] > found[1] or found[0] + (len(index) - 1) * found[1] >= rows:
        return None
    return found[0], found[1]

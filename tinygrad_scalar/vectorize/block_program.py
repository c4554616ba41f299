"""The array program as instructions for the native executor (_blocks.pyx), which runs them over blocks of examples.

The columns of batched arrays are independent, but for sums over the examples. So statements fall into parts: what is
the same in every example is computed once, before the blocks; a block's forward and backward statements follow; what
depends on a sum over the examples comes after the last block. `block_program` gives None where that cannot be done, or
where an operation has no native form: the NumPy source then runs.
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_scalar.engine import accelerated
from tinygrad_scalar.engine.ops import operation
from tinygrad_scalar.vectorize.block_analysis import EACH, Analysis, NotNativeError, form_of
from tinygrad_scalar.vectorize.block_memory import PARTS, Groups, Instruction
from tinygrad_scalar.vectorize.distinct import ascending
from tinygrad_scalar.vectorize.product_calls import SLOPES
from tinygrad_scalar.vectorize.program import (
    ONLY_OF_ARRAYS,
    Array,
    Distances,
    DistancesGradient,
    Elementwise,
    Fold,
    Gather,
    Lookup,
    LookupScatter,
    OverExamples,
    Product,
    Program,
    Scatter,
    Shares,
    Slope,
    Statement,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Indices = NDArray[np.int64]

# Slopes whose native form reads others of (v, *operands) than all operands.
READS: dict[Any, tuple[int, ...]] = {("binary cross-entropy", 2): (1, 2)}


class BlockProgram(NamedTuple):
    """The arguments of the executor: see `Executor.__cinit__`, whose fields of an instruction these are in order."""

    instructions: Any
    numbers: Any
    tables: Any
    groups: list[tuple[int, int, int, bool]]
    parts: list[int]
    constants: Any
    arguments: list[tuple[int, int]]
    cost: tuple[int, int, int, int]
    watched: list[tuple[int, int, int, int]]
    input_gradients: list[tuple[int, int, int, int]]
    reduce: str
    n_parameters: int
    block_rows: int
    fixed_rows: int
    sum_rows: int
    tile_slots: int


def native_blocks() -> Any:
    """The native executor's module, or None if it was not built or the plain Value is in use."""
    if not accelerated:
        return None
    try:
        return importlib.import_module("tinygrad_scalar.vectorize._blocks")
    except ImportError:  # no compiler
        return None


def layout() -> int | None:
    """A number for what the executor makes of a `BlockProgram`, another one where that differs; None without one."""
    native = native_blocks()
    if native is None:
        return None
    return zlib.crc32(repr((native.OPERATIONS, native.BASES, native.FIELDS, BlockProgram._fields)).encode())


def block_program(program: Program) -> BlockProgram | None:
    """The native form of a differentiated program; None if it has none."""
    native = native_blocks()
    if native is None:
        return None
    try:
        made = _Writer(program, native).written()
    except NotNativeError:
        return None
    at_once = max(len(made.arguments), len(made.watched), len(made.input_gradients))
    return made if at_once <= native.MOST else None


@dataclass
class _Writer:
    program: Program
    native: Any
    parts: list[list[Instruction]] = field(default_factory=lambda: [[] for _ in PARTS])

    def __post_init__(self) -> None:
        self.analysis = Analysis(self.program)
        self.memory = self.analysis.memory
        self.tables: dict[bytes, int] = {}
        self.table_parts: list[Indices] = []
        self.table_size = 0

    def written(self) -> BlockProgram:
        memory, kept = self.memory, self.analysis.kept
        for statement in self.analysis.statements:
            if statement.out not in memory.views and statement not in self.analysis.by_the_way:
                self._write(statement)
        groups = Groups(self.parts, memory)
        memory.give(groups, kept)
        return self._finished(groups)

    # --- instructions ------------------------------------------------------------------------------------------------

    def _table(self, index: Indices) -> int:
        """Where a table of indices stands among all tables."""
        flat = np.ascontiguousarray(index, np.int64).ravel()
        key = flat.tobytes()
        place = self.tables.get(key)
        if place is None:
            place = self.tables[key] = self.table_size
            self.table_parts.append(flat)
            self.table_size += flat.size
        return place

    def _add(self, statement: Statement, name: Any, out: Array, operands: Sequence[Array], **fields: Any) -> None:
        number = self.native.OPERATIONS.get(name)
        if number is None:
            raise NotNativeError
        if not isinstance(statement, (Product, Distances, DistancesGradient)):  # whose operands have a shape
            operands = [self.memory.whole(operand) for operand in operands]
        self.parts[self.analysis.part(statement)].append(Instruction(number, out, tuple(operands), **fields))

    def _write(self, statement: Statement) -> None:
        write = _WRITERS.get(type(statement))
        if write is None:
            raise NotNativeError
        write(self, statement)

    def _elementwise(self, s: Elementwise) -> None:
        name, number = _named(s.op)
        key = (name, s.op.operand) if isinstance(s.op, Slope) else name
        operands: Sequence[Array] = s.sources
        if isinstance(s.op, Slope):
            numbers = dict(zip(s.op.reads, s.sources))
            wanted = READS.get(key, tuple(range(1, 1 + operation(s.op.op).arity)))
        else:
            numbers = dict(enumerate(s.sources))
            wanted = READS.get(key, tuple(range(len(s.sources))))
        if any(i not in numbers for i in wanted):
            raise NotNativeError
        operands = [numbers[i] for i in wanted]
        rows = s.out.rows
        if any(operand.rows not in (1, rows) for operand in operands):
            raise NotNativeError
        self._add(
            s,
            key,
            s.out,
            operands,
            rows=rows,
            number=number,
            slope=self.analysis.slope_of.get(s),
            aligned=tuple(operand.rows == rows for operand in operands),
            by_rows=True,
            may_overwrite=True,
        )

    def _gather(self, s: Gather) -> None:
        if s.source in self.memory.bare:
            raise NotNativeError
        self._add(s, "gather", s.out, (s.source,), rows=s.out.rows, table=self._table(s.index))

    def _fold(self, s: Fold) -> None:
        n, k = s.source.shape if len(s.source.shape) == 2 else (1, s.source.rows)
        self._require_like(s.source, s.out)
        whole = n == 1
        self._add(
            s, f"fold {s.op}", s.out, (s.source,), rows=k if whole else n, p=n, k=k, aligned=(whole,), by_rows=whole
        )

    def _shares(self, s: Shares) -> None:
        n, k = s.out.shape
        for operand in s.operands:
            self._require_like(operand, s.out)
        self._add(
            s,
            "shares",
            s.out,
            s.operands,
            rows=n,
            p=n,
            k=k,
            number=float(s.fold.even),
            aligned=(True, False),
            makes_rows=False,
            may_overwrite=True,
        )

    def _over_examples(self, s: OverExamples) -> None:
        if not s.source.batched or s.source.values is not None:
            self._add(s, "times examples", s.out, (s.source,), rows=s.out.rows)
            return
        self._add(s, "over examples", s.out, (s.source,), rows=s.out.rows, aligned=(True,), by_rows=True)

    def _scatter(self, s: Scatter) -> None:
        parts, rows = s.parts, s.out.rows
        if len(parts) > 1 and all(index is None and part.rows in (1, rows) for part, index in parts):
            total = parts[0][0]
            for part, _ in parts[1:]:
                aligned = (total.rows == rows, part.rows == rows)
                self._add(
                    s,
                    "+",
                    s.out,
                    (total, part),
                    rows=rows,
                    aligned=aligned,
                    by_rows=True,
                    may_overwrite=total is not s.out,
                )
                total = s.out
            return
        free = np.ones(rows, bool)
        inside = [part for part, _ in parts if self.memory.inside.get(part, (None,))[0] is s.out]
        for part, index in parts:
            if part in inside:
                free[slice(None) if index is None else index.ravel()] = False
        last = np.empty(rows, np.int64)  # which of a part's rows was the last to be added there
        for part, index in parts:
            if part in inside:
                continue
            targets = np.arange(rows) if index is None else index.ravel()
            if part.rows not in (1, targets.size):
                raise NotNativeError
            every = np.arange(targets.size)
            last[targets] = every
            name, is_free = "put", free[targets]
            if not is_free.all() or (last[targets] != every).any():
                self._zero(s, ascending(targets[is_free]))
                name = "add"
            table = -1 if index is None else self._table(targets)
            self._add(s, name, s.out, (part,), rows=targets.size, table=table)
            free[targets] = False
        self._zero(s, np.flatnonzero(free))

    def _zero(self, s: Scatter, index: Indices) -> None:
        if index.size:
            table = -1 if index.size == s.out.rows else self._table(index)
            self._add(s, "zero", s.out, (), rows=index.size, table=table)

    def _lookup(self, s: Lookup) -> None:
        self._add(s, "lookup in tables", s.out, (s.source, s.argument), **self._choices(s))

    def _lookup_scatter(self, s: LookupScatter) -> None:
        fields = self._choices(s.lookup)
        if s.source.rows not in (1, fields["p"]):
            raise NotNativeError
        self._add(s, "scatter by tables", s.out, (s.source, s.lookup.argument), **{**fields, "rows": s.out.rows})

    def _choices(self, s: Lookup) -> dict[str, Any]:
        if s.in_branch is not None:  # an index can be beyond the table
            raise NotNativeError
        n, k = s.which.size, s.tables.shape[1]
        table = self._table(np.concatenate([s.places.ravel(), n + n + k * s.which, s.tables.ravel()]))
        return {"rows": n, "p": n, "k": k, "table": table, "reads_argument": True}

    def _product(self, s: Product) -> None:
        p, k, q = s.sizes
        form = form_of(s)
        of_each = [self.analysis.dependence(array) == EACH for array in (s.left, s.right, s.out)]
        expected = {
            "RT": ([True, True, s.out.batched], [False, False, False]),
            "LR": ([s.left.batched, True, True], [False, False, False]),
            "TR": ([s.left.batched, True, True], [False, False, False]),
        }
        if form is None or of_each not in expected[s.form]:
            raise NotNativeError
        if not any(operand.batched for operand in s.operands):
            form = s.form
        rows = {"LR by rows": p, "LR to few": k, "TR by rows": k, "TR to few": p, "RT by left": p, "RT by right": k}
        self._add(
            s,
            form,
            s.out,
            s.operands,
            rows=rows.get(form, 1),
            p=p,
            k=k,
            q=q,
            blocks=s.blocks,
            table=-1 if s.there is None else self._table(s.there.astype(np.int64)),
            aligned=(form == "RT by left", form in ("LR to few", "TR to few", "RT by right")),
            by_rows=form in rows,
            makes_rows=form in ("LR by rows", "TR by rows"),
        )

    def _distances(self, s: Distances) -> None:
        self._require_like(s.right, s.out)
        p, k, q = s.sizes
        self._add(s, "distances", s.out, s.operands, p=p, k=k, q=q)

    def _distances_gradient(self, s: DistancesGradient) -> None:
        p, k, q = s.distances.sizes
        if not all(array.batched and array.values is None for array in (s.source, s.distances.right)):
            raise NotNativeError
        self._add(s, f"pull {s.side}", s.out, s.operands, p=p, k=k, q=q, number=SLOPES[s.distances.square])

    def _require_like(self, operand: Array, out: Array) -> None:
        if (self.analysis.dependence(operand) == EACH) != out.batched or operand.values is not None:
            raise NotNativeError

    # --- the arguments of the executor -------------------------------------------------------------------------------

    def _finished(self, groups: Groups) -> BlockProgram:
        program, memory = self.program, self.memory
        assert program.gradient is not None
        bases = self.native.BASES
        instructions = [instruction for group in groups.all for instruction in group.instructions]

        def operand(array: Array | None, *, batched_argument: bool = False) -> tuple[int, int, int, int]:
            if array is None:
                return (0, 0, 0, 0)
            if batched_argument or array in memory.bare:
                return (bases["argument"], program.arguments.index(array), array.rows, array.rows)
            base, offset = memory.place(array)
            step = memory.steps.get(array) or (array.shape[-1] if len(array.shape) > 1 else 1)
            return (bases[base], offset, array.rows, step)

        rows: list[tuple[int, ...]] = []
        for i in instructions:
            operands: list[int] = []
            for position in range(3):
                array = i.operands[position] if position < len(i.operands) else None
                operands += operand(array, batched_argument=i.reads_argument and position == 1)
            table = (i.operation, len(i.operands), i.rows, i.p, i.k, i.q, i.table, i.blocks)
            rows.append((*table, *operand(i.out), *operand(i.slope), *operands))
        bounds, first = [], 0
        for group in groups.all:
            bounds.append((first, first + len(group.instructions), group.rows, len(group.instructions) > 1))
            first += len(group.instructions)
        return BlockProgram(
            np.array(rows, np.int64),
            np.array([i.number for i in instructions], np.float64),
            np.concatenate(self.table_parts) if self.table_parts else np.empty(0, np.int64),
            bounds,
            groups.first_of_part,
            memory.constants(),
            [(a.rows, memory.place(a)[1] if a in memory.copied else -1) for a in program.arguments],
            operand(program.cost),
            [operand(array) for array in program.guarded],
            [operand(array) for array in program.input_gradients],
            program.reduce,
            program.parameters.rows,
            memory.block_rows,
            memory.fixed_rows,
            memory.sum_rows,
            memory.tile_slots,
        )


_WRITERS: dict[type, Callable[[_Writer, Any], None]] = {
    Elementwise: _Writer._elementwise,
    Gather: _Writer._gather,
    Fold: _Writer._fold,
    Shares: _Writer._shares,
    OverExamples: _Writer._over_examples,
    Scatter: _Writer._scatter,
    Lookup: _Writer._lookup,
    LookupScatter: _Writer._lookup_scatter,
    Product: _Writer._product,
    Distances: _Writer._distances,
    DistancesGradient: _Writer._distances_gradient,
}


def _named(op: str | Slope) -> tuple[str, float]:
    """The name of an operation's native form, and its constant."""
    name = op.op if isinstance(op, Slope) else op
    if name in ONLY_OF_ARRAYS:
        return name, 0.0
    row = operation(name)
    if row.family and (isinstance(op, Slope) or name not in ("**2", "**3", "**-1", "**0.5")):
        name = row.family
    return name, 0.0 if row.constant is None else row.constant

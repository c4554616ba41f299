"""The array program as a function of JAX's or PyTorch's arrays: `run.to_jax()` and `run.to_torch()`.

Its statements are run one by one in terms of a `Library`, forwards only: the derivative is the library's business, with
the rules of exported_operations.py. Inside, as everywhere in an array program, examples are columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_scalar.vectorize.assemble import assemble
from tinygrad_scalar.vectorize.branches import row_guard
from tinygrad_scalar.vectorize.buffers import contiguous
from tinygrad_scalar.vectorize.exported_reach import Reach, is_needed
from tinygrad_scalar.vectorize.group import group
from tinygrad_scalar.vectorize.localize import of_one_output
from tinygrad_scalar.vectorize.program import (
    Array,
    Distances,
    DistancesGradient,
    Elementwise,
    Fold,
    Gather,
    Lookup,
    Product,
    Program,
    Scatter,
    Statement,
    needed,
)
from tinygrad_scalar.vectorize.shifts import find_shifts
from tinygrad_scalar.vectorize.ways import require

if TYPE_CHECKING:
    from tinygrad_scalar.vectorize.exported_library import Library
    from tinygrad_scalar.vectorize.trace import Trace
    from tinygrad_scalar.vectorize.ways import Guards, Shapes

NO_ARGUMENTS = (((0,), False),)  # the shapes of a function without arguments


class Exported:
    """The forward statements of a traced function, and how to run them."""

    def __init__(self, traced: Trace, n_parameters: int, shapes: Shapes, reduce: str) -> None:
        self.shapes, self.reduce, self.n_parameters = shapes, reduce, n_parameters
        self.shape = traced.shape or ()
        self.has_no_arguments = shapes == NO_ARGUMENTS
        self.guards: Guards = [(guard.refused, guard.message) for _, guard in traced.guards]
        self.program, self.outputs = _with_outputs(traced, n_parameters, [int(np.prod(shape)) for shape, _ in shapes])
        self.statements = needed(self.program.forward, [self.outputs, *self.program.guarded])
        shifts = find_shifts(self.program).items()
        # what they shift by counts as a constant: its slope is 0 but for rounding
        self.shifted = {id(shift.shifted): shift.shifted.operands[1] for _, shift in shifts}
        self.shifted |= {id(back): shift.by for back, shift in shifts}
        self.in_order = set(_before_a_constant(self.statements))
        self.has_unreached = is_needed(self.statements, self.outputs)

    def run(self, lib: Library, parameters: Any, arguments: Sequence[Any], integers: Sequence[Any], m: int) -> Any:
        """What `run` gives as value; the arguments are columns, and integers[a] are those of argument a once more."""
        given = {self.program.parameters: parameters.reshape(-1, 1), **dict(zip(self.program.arguments, arguments))}
        passed = _Pass(self, lib, given, integers)
        if self.has_unreached:
            with lib.without_gradient():
                passed.run()
            passed = passed.with_reach()
        passed.run()
        return self._reduced(lib, passed.poisoned(passed[self.outputs]), m)

    def _reduced(self, lib: Library, outputs: Any, m: int) -> Any:
        if self.reduce == "each":
            return lib.f.broadcast_to(outputs, (self.outputs.rows, m)).T.reshape(m, *self.shape)
        total = outputs.sum(1)
        if not self.outputs.batched:
            return (total if self.reduce == "mean" else total * m).reshape(self.shape)
        return (total / m if self.reduce == "mean" else total).reshape(self.shape)


def _with_outputs(traced: Trace, n_parameters: int, sizes: Sequence[int]) -> tuple[Program, Array]:
    """The array program, and the array of everything that the function returns."""
    if len(traced.outputs) < 2:
        program = assemble(group(traced, len(sizes)), n_parameters, sizes)
        return program, program.cost
    trace = of_one_output(traced, len(sizes))
    program = assemble(group(trace, len(sizes) + 1), n_parameters, [*sizes, 1])
    last = next(statement for statement in program.forward if statement.out is program.cost)
    assert isinstance(last, Lookup), "the choice of one output"
    (places,) = last.tables
    every = Gather(Array(places.shape, last.source.batched), last.source, places)
    program.forward[program.forward.index(last)] = every
    return replace(program, arguments=program.arguments[:-1]), every.out


def _before_a_constant(statements: Sequence[Statement]) -> Iterator[int]:
    """The first sum in each (x + a) − b with constants a and b, which XLA would make x + (a − b)."""
    sums = {s.out: s for s in statements if isinstance(s, Elementwise) and s.op in ("+", "-") and _has_constant(s)}
    for statement in sums.values():
        for operand in statement.operands:
            if operand in sums:
                yield id(sums[operand])


def _has_constant(statement: Statement) -> bool:
    return any(operand.values is not None for operand in statement.operands)


class _Pass:
    """One run of the statements: the arrays made so far, each with a row for each of its rows.

    bad  for lookups and guards that could not be checked, which examples they refuse
    """

    def __init__(self, exported: Exported, lib: Library, given: dict[Array, Any], integers: Sequence[Any]) -> None:
        self.exported, self.lib, self.given, self.integers = exported, lib, given, integers
        self.made = dict(given)
        self.bad: list[Any] = []
        self.reach: Reach | None = None

    def __getitem__(self, array: Array) -> Any:
        if array not in self.made:
            assert array.values is not None, "neither made nor a constant"
            self.made[array] = self.lib.constant(array.values.reshape(-1, 1))
        return self.made[array]

    def run(self) -> None:
        for statement in self.exported.statements:
            self.made[statement.out] = RUN[type(statement)](self, statement)
        if self.reach is None:
            for array, guard in zip(self.exported.program.guarded, self.exported.guards):
                self._guard(self.lib.fixed(self[array]), *guard)

    def with_reach(self) -> _Pass:
        """The next pass, which knows which numbers an example takes and so reach the result."""
        passed = _Pass(self.exported, self.lib, self.given, self.integers)
        passed.reach = Reach(self.lib, self.exported.statements, self.exported.outputs, self)
        passed.bad = self.bad
        return passed

    def _guard(self, x: Any, refused: Callable[[Any], Any], message: Callable[[float], str]) -> None:
        numbers = self.lib.numbers(x)
        if numbers is None:
            self.bad.append(refused(x).any(0))
        else:
            require(numbers, refused, message)

    def poisoned(self, outputs: Any) -> Any:
        """The outputs, nan in examples that a guard refuses where no error can be raised."""
        for bad in self.bad:
            outputs = self.lib.f.where(bad, np.nan, outputs)
        return outputs

    # --- statements ------------------------------------------------------------------------------------------------

    def gather(self, s: Gather) -> Any:
        return self.rows(self[s.source], s.index.ravel())

    @staticmethod
    def rows(x: Any, index: Any) -> Any:
        start = contiguous(index) if index.size else None
        return x[index] if start is None else x[start : start + index.size]

    def elementwise(self, s: Elementwise) -> Any:
        assert isinstance(s.op, str), "a slope is of the backward pass"
        shifted = self.exported.shifted.get(id(s))
        operands = [self.lib.fixed(self[x]) if x is shifted else self[x] for x in s.operands]
        if self.reach is not None:
            operands = self.reach.masked(s, operands)
        result = self.lib.operation(s.op)(*operands)
        return self.lib.in_order(result) if id(s) in self.exported.in_order else result

    def product(self, s: Product) -> Any:
        p, k, q = s.sizes
        b = (s.blocks,) if s.blocks > 1 else ()
        left, right = self[s.left], self[s.right]
        if self.reach is not None:
            left, right = self.reach.factors(s, left, right)
        if s.of_each_example:
            left, right = left.reshape(*b, p, k, -1), right.reshape(*b, k, q, -1)
            block = "b" if b else ""
            columns = "m" if s.right.batched else ""
            right = right if columns else right[..., 0]
            out = self.lib.f.einsum(f"{block}pkm,{block}kq{columns}->{block}pqm", left, right)
        else:
            left, right = left.reshape(*b, p, k), right.reshape(*b, k, -1)
            out = self.lib.f.matmul(left, right)
        if s.there is not None:
            there = s.there.reshape(*b, p, k)[..., None]
            out = self.lib.if_nan(out, lambda: self._where_there(there, left, right).reshape(out.shape))
        return out.reshape(p * q * s.blocks, -1)

    def _where_there(self, there: Any, left: Any, right: Any) -> Any:
        """left @ right where left has entries that are not `there`: 0, even times inf."""
        k = left.shape[there.ndim - 2]
        there = self.lib.constant(there) != 0.0
        left = left.reshape(*there.shape[:-1], -1)
        right = right.reshape(*there.shape[:-3], 1, k, -1)
        per_column = right.shape[-1] // left.shape[-1]  # q where each example has a product of its own
        if left.shape[-1] > 1:
            left = self.lib.f.concatenate([left] * per_column, -1)
        return self.lib.f.where(there, left * right, 0.0).sum(-2)

    def distances(self, s: Distances) -> Any:
        p, k, q = s.sizes
        apart = self[s.left].reshape(p, k, 1) - self.right_of(s).reshape(1, k, -1)
        return (apart * apart).sum(1).reshape(p * q, -1)

    def pull(self, s: DistancesGradient) -> Any:
        p, k, q = s.distances.sizes
        assert s.side == "right" and q == 1, "any other is of the backward pass"
        right = self[s.distances.right].reshape(1, k, -1)
        apart = self[s.distances.left].reshape(p, k, 1) - right
        return (-2.0 * self[s.source][:, None] * apart).sum(0)

    def right_of(self, s: Distances) -> Any:
        return self[s.right] if self.reach is None else self.reach.factors(s, None, self[s.right])[1]

    def fold(self, s: Fold) -> Any:
        n, k = s.source.shape if len(s.source.shape) == 2 else (1, s.source.rows)
        x = self[s.source].reshape(n, k, -1)
        if s.op == "+":
            return x.sum(1)
        f = self.lib.f
        largest = self.lib.fixed(f.amax(x, 1) if s.op == "maximum" else f.amin(x, 1))
        if s.fixed:
            return largest
        ties = self.lib.constant(np.ones(1)) * (x == largest[:, None])
        if s.even:
            share = self.lib.fixed(ties / f.where(ties.sum(1) == 0.0, 1.0, ties.sum(1))[:, None])
            return f.where(f.isnan(largest), largest, (f.where(share == 0.0, 0.0, x) * share).sum(1))
        # from the last tie on, each takes half of what is left
        place = f.flip(f.cumsum(f.flip(ties, (1,)), 1), (1,))  # 1 for the last
        share = self.lib.fixed(ties * 0.5 ** (place - ties * (place == ties.sum(1)[:, None])))
        return f.where(f.isnan(largest), largest, (f.where(share == 0.0, 0.0, x) * share).sum(1))

    def scatter(self, s: Scatter) -> Any:
        f, m = self.lib.f, max(self[part].shape[1] for part, _ in s.parts)
        every = [np.arange(s.out.rows) if index is None else index.ravel() for _, index in s.parts]
        rows = [f.broadcast_to(self[part], (index.size, m)) for (part, _), index in zip(s.parts, every)]
        index, joined = np.concatenate(every), rows[0] if len(rows) == 1 else f.concatenate(rows, 0)
        if len(np.unique(index)) < index.size:
            return self.lib.added_up(s.out.rows, index, joined)
        if index.size < s.out.rows:
            missing = np.setdiff1d(np.arange(s.out.rows), index)
            zeros = f.broadcast_to(self.lib.constant(np.zeros((1, 1))), (missing.size, m))
            index, joined = np.concatenate([index, missing]), f.concatenate([joined, zeros], 0)
        return self.rows(joined, np.argsort(index))

    def lookup(self, s: Lookup) -> Any:
        rows = self.rows_chosen(s)
        source = self[s.source]
        return self.lib.f.take_along_axis(source, rows, 0) if s.source.batched else source[:, 0][rows]

    def rows_chosen(self, s: Lookup) -> Any:
        """The rows of the source that a lookup chooses in each example; those that do not exist are refused."""
        chosen = self.integers[self.exported.program.arguments.index(s.argument)][s.places]
        n, choices = s.which.size, s.tables.shape[1]
        if self.reach is None:
            always = chosen if s.in_branch is None else chosen[np.setdiff1d(np.arange(n), s.in_branch)]
            if always.shape[0]:
                self._guard(always, *row_guard(choices))
        chosen = self.lib.f.clip(chosen, 0, choices - 1)
        return self.lib.indices(s.tables)[s.which[:, None], chosen]


RUN: dict[type[Statement], Callable[[_Pass, Any], Any]] = {
    Gather: _Pass.gather,
    Elementwise: _Pass.elementwise,
    Product: _Pass.product,
    Distances: _Pass.distances,
    DistancesGradient: _Pass.pull,
    Fold: _Pass.fold,
    Scatter: _Pass.scatter,
    Lookup: _Pass.lookup,
}

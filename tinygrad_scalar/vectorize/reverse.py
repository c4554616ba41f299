"""The backward pass of an array program: the reverse rule of each statement (003 Eq. 10 and 11).

A rule takes d, the gradient with respect to the statement's result, and gives the gradients with respect to its
operands; those of element-wise operations are in rules.py.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_scalar.vectorize.factors import factors_of, results_of
from tinygrad_scalar.vectorize.program import (
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
    needed,
)
from tinygrad_scalar.vectorize.recorded_operations import constant
from tinygrad_scalar.vectorize.rules import EVEN, rule_of
from tinygrad_scalar.vectorize.shifts import find_shifts

ONES = {batched: Array((1,), batched, values=np.ones(1)) for batched in (False, True)}  # ∂C/∂C, in each example


Parts = dict[Array, list[tuple[Array, Any]]]


class NotByExampleError(Exception):
    """A gradient that is only written as the sum over the examples."""


# --- the pass --------------------------------------------------------------------------------------------------------


class _Backward:
    """`by_example` says whether to keep each example's gradient of an array that is the same in all of them."""

    def __init__(self, program: Program, wanted: Sequence[Array], *, by_example: bool = False) -> None:
        self.program, self.by_example = program, by_example
        self.statements: list[Statement] = []
        self.parts: Parts = defaultdict(list)
        # How often lookups chose each row, in each example, for arrays that a gradient reaches through lookups alone.
        self.chosen: Parts = defaultdict(list)
        self.always_reached: set[Array] = set()
        self.shifts = find_shifts(program)
        self.cancelled: set[Statement] = set()  # differences that contribute nothing to what they subtract
        self.counts = set(wanted)  # the wanted arrays and all that depend on one
        for statement in program.forward:
            if any(operand in self.counts for operand in statement.operands):
                self.counts.add(statement.out)

    def add(self, statement: Statement) -> Array:
        self.statements.append(statement)
        return statement.out

    def write(self, op: str | Slope, *operands: Array) -> Array:
        """An element-wise statement; multiplying by 1 needs none."""
        if op in ("*", "* on path") and operands[0] in ONES.values():
            return operands[1]
        rows = max(operand.rows for operand in operands)
        return self.add(Elementwise(Array((rows,), any(o.batched for o in operands)), op, operands))

    def contribute(self, to: Array, amount: Array | None, index: Any = None, *, chosen: Array | None = None) -> None:
        """Add to the gradient of an array: row i of `amount` to row i, or with an index to row index[i].

        `chosen` says in the same way how often these rows were chosen, if they are not always reached.
        """
        if amount is None or to not in self.counts:
            return
        self._add_to(self.parts[to], to, amount, index)
        if chosen is None:
            self.always_reached.add(to)
        else:
            self._add_to(self.chosen[to], to, chosen, index)

    def _add_to(self, parts: list[tuple[Array, Any]], to: Array, amount: Array, index: Any) -> None:
        if index is None and to.rows == 1 and amount.rows > 1:
            amount = self._added_up(amount, np.arange(amount.rows)[None])
        if index is not None and len(index) == to.rows:
            every = np.zeros(to.rows, bool)
            every[index] = True
            if (index == np.arange(to.rows)).all() or (amount.rows == 1 and every.all()):
                index = None
        if amount.batched and not to.batched and not self.by_example:
            amount = self.add(OverExamples(Array(amount.shape, False), amount))
        if index is not None and amount.batched and amount.rows == len(index):
            amount, index = self._folded(amount, index, to.rows)
        parts.append((amount, index))

    def _folded(self, amount: Array, index: Any, n: int) -> tuple[Array, Any]:
        """Rows that are added to as many rows as often as each other: the sum of each, and which rows these are."""
        rows, counts = np.unique(index, return_counts=True)
        k = int(counts[0])
        if k == 1 or (counts != k).any():
            return amount, index
        table = np.argsort(index, kind="stable").reshape(-1, k)
        return self._added_up(amount, table), None if rows.size == n else rows

    def gradient_of(self, array: Array) -> Array | None:
        return self._sum_of(self.parts, array)

    def _sum_of(self, all_parts: Parts, array: Array) -> Array | None:
        parts = all_parts.get(array)
        if parts and len(parts) == 1 and parts[0][1] is None:
            return parts[0][0]
        batched = array.batched or any(part.batched for part, _ in parts or ())
        return self.add(Scatter(Array(array.shape, batched), tuple(parts))) if parts else None

    def total_of(self, array: Array) -> Array:
        """The gradient with respect to an array, in a new array; 0 where nothing contributes."""
        return self.add(Scatter(Array(array.shape, array.batched), tuple(self.parts.get(array, ()))))

    def reverse(self, statement: Statement, d: Array) -> None:
        """Add a statement's contributions to its operands' gradients."""
        chosen = None if statement.out in self.always_reached else self._sum_of(self.chosen, statement.out)
        if isinstance(statement, Elementwise) and statement.chooses:
            self._reverse_choice(statement, d, chosen)
        elif isinstance(statement, Elementwise):
            self._reverse_elementwise(statement, d, chosen)
        elif isinstance(statement, Product):
            self._reverse_product(statement, self._full(d, statement.out), chosen)
        elif isinstance(statement, Distances):
            self._reverse_distances(statement, self._full(d, statement.out))
        elif isinstance(statement, DistancesGradient):
            self._reverse_pull(statement, d)
        elif isinstance(statement, Gather):
            self.contribute(statement.source, d, statement.index.ravel(), chosen=chosen)
        elif isinstance(statement, Fold):
            self._reverse_fold(statement, d, chosen)
        elif isinstance(statement, Scatter):
            for part, index in statement.parts:
                rows = (d, chosen) if index is None else (self._rows(d, index), chosen and self._rows(chosen, index))
                self.contribute(part, self._from_every_example(statement, part, rows[0]), chosen=rows[1])
        elif isinstance(statement, Lookup):
            if statement.source in self.counts:
                ones = self._full(chosen or ONES[True], statement.out)
                self.contribute(
                    statement.source, self._scattered(d, statement), chosen=self._scattered(ones, statement)
                )
        else:
            raise NotImplementedError(f"no reverse rule for {type(statement).__name__}")

    def _scattered(self, rows: Array, lookup: Lookup) -> Array:
        return self.add(LookupScatter(Array(lookup.source.shape, self._keeps(lookup.source)), rows, lookup))

    def _keeps(self, array: Array) -> bool:
        """Whether each example has a gradient of its own with respect to an array."""
        return array.batched or self.by_example

    def _from_every_example(self, statement: Statement, operand: Array, amount: Array) -> Array:
        """A statement's contribution to an operand; one that is the same in all examples comes from each of them."""
        if not statement.out.batched or amount.batched or self._keeps(operand):
            return amount
        return self.add(OverExamples(Array(amount.shape, False), amount))

    def _reverse_elementwise(self, statement: Elementwise, d: Array, chosen: Array | None) -> None:
        if not any(operand in self.counts for operand in statement.operands):
            return
        assert isinstance(statement.op, str), "the backward pass is not differentiated"
        contributions = list(rule_of(statement.op)(self.write, d, statement.out, *statement.operands))
        shift = None if chosen else self.shifts.get(statement)
        if shift:  # d, less as much through shift.shifted
            self.cancelled.add(shift.shifted)
            finite = d.values is not None and np.isfinite(d.values).all()
            contributions[statement.operands.index(shift.by)] = None if finite else self.write("-", d, d)
        for operand, amount in zip(statement.operands, contributions):
            if statement in self.cancelled and operand is not statement.operands[0]:
                continue
            if amount is not None and chosen and statement.op not in EVEN:
                amount = self.write("where", chosen, amount, constant(0.0))  # other rows can be infinitely steep
            if amount is not None and operand.rows == amount.rows == 1 < statement.out.rows:
                amount = self.write("*", constant(statement.out.rows), amount)  # the same in every row
            if amount is not None:
                amount = self._from_every_example(statement, operand, amount)
            self.contribute(operand, amount, chosen=chosen)

    def _reverse_choice(self, statement: Elementwise, d: Array, chosen: Array | None) -> None:
        condition, *sides = statement.operands
        nothing, taken = constant(0.0), chosen or constant(1.0)
        for operand, place in zip(sides, (1, 2)):
            amount, which = (
                self.write("where", condition, *((number, nothing) if place == 1 else (nothing, number)))
                for number in (d, taken)
            )
            if operand.rows == amount.rows == 1 < statement.out.rows:
                amount = self.write("*", constant(statement.out.rows), amount)
            self.contribute(operand, self._from_every_example(statement, operand, amount), chosen=which)

    def _reverse_fold(self, statement: Fold, d: Array, chosen: Array | None) -> None:
        source = statement.source
        if statement.fixed or source not in self.counts:
            return
        n, k = source.shape
        amount = self._repeated(d, n, k)
        if statement.op != "+":
            shares = self.add(Shares(Array(source.shape, source.batched), statement))
            amount = self.write("* on path", amount, shares)
        self.contribute(source, amount, chosen=chosen and self._repeated(chosen, n, k))

    def _reverse_product(self, statement: Product, d: Array, chosen: Array | None) -> None:
        left, right, blocks, there = statement.left, statement.right, statement.blocks, statement.there
        if self.by_example and not (right.batched and there is None and chosen is None):
            raise NotByExampleError
        of_left, of_right = Array(left.shape, self._keeps(left)), Array(right.shape, right.batched)
        rows = columns = None  # how often each row of left and each column of right was chosen
        if chosen is not None:
            p, k, q = statement.sizes
            chosen = self._full(chosen, statement.out)
            rows = self._repeated(self._added_up(chosen, np.arange(p * q).reshape(p, q)), p, k)
            columns = self._rows(self._added_up(chosen, np.arange(p * q).reshape(p, q).T), np.tile(np.arange(q), k))
        if left in self.counts:
            self.contribute(left, self.add(Product(of_left, "RT", d, right, blocks, None, chosen)), chosen=rows)
        if right in self.counts:
            self.contribute(right, self.add(Product(of_right, "TR", left, d, blocks, there, chosen)), chosen=columns)

    def _added_up(self, array: Array, table: Any) -> Array:
        """For each row of `table` the sum of these rows of an array."""
        if array.shape != table.shape or (table.ravel() != np.arange(array.rows)).any():
            array = self.add(Gather(Array(table.shape, array.batched), array, table))
        return self.add(Fold(Array((len(table),), array.batched), "+", array))

    def _reverse_distances(self, statement: Distances, d: Array) -> None:
        if self.by_example and statement.left in self.counts:
            raise NotByExampleError
        for side, operand in zip(("left", "right"), statement.operands):
            if operand in self.counts:
                out = Array(operand.shape, operand.batched)
                self.contribute(operand, self.add(DistancesGradient(out, side, d, statement)))

    def _reverse_pull(self, statement: DistancesGradient, e: Array) -> None:
        """Of outₜ = Σᵢ −2dᵢ(leftᵢₜ − rightₜ), with e for ∂C/∂out."""
        d, left, right = statement.operands
        if self.by_example and left in self.counts:
            raise NotByExampleError
        (p, k, _), e = statement.distances.sizes, self.write("*", constant(-2.0), e)
        if left in self.counts:  # Σ of e·dᵀ over the examples
            if e.rows == 1:
                amount = self.add(OverExamples(Array((p,), False), self.write("*", e, d)))
                self.contribute(left, self._rows(amount, np.repeat(np.arange(p), k)))
            else:
                self.contribute(left, self.add(Product(Array(left.shape, False), "RT", d, self._full(e, right))))
        if right in self.counts:
            total = self._added_up(d, np.arange(p)[None])
            self.contribute(right, self.write("neg", self.write("*", e, total)))
        if d in self.counts:
            e, right = (self._rows(each, np.tile(np.arange(k), p)) for each in (e, right))
            amount = self.write("*", e, self.write("-", left, right))
            self.contribute(d, self._added_up(amount, np.arange(p * k).reshape(p, k)))

    def _full(self, d: Array, out: Array) -> Array:
        """d with all its rows and examples, where one number stood for several."""
        if d.rows == out.rows and d.batched == out.batched and d.values is None:
            return d
        index = np.arange(out.rows) if d.rows == out.rows else np.zeros(out.rows, np.int64)
        return self.add(Gather(Array(out.shape, out.batched), d, index))

    def _repeated(self, d: Array, n: int, k: int) -> Array:
        return self._rows(d, np.repeat(np.arange(n), k))

    def _rows(self, d: Array, index: Any) -> Array:
        if d.rows == 1:  # the same in every row
            return d
        if d.rows == len(index) and (index == np.arange(d.rows)).all():
            return d
        return self.add(Gather(Array((len(index),), d.batched), d, index))


def differentiate(
    program: Program,
    *,
    wrt_inputs: bool | Sequence[int] = False,
    wrt_parameters: bool = True,
    by_example: bool = False,
) -> None:
    """Write the backward statements of a program: its gradient, summed over the examples, and the arguments'.

    `wrt_inputs` says whether to write those of all arguments, or which of them; without `wrt_parameters` the gradient
    is 0 and not written. With `by_example` the program has the `factors` of each example's gradient in its stead.
    """
    which = range(len(program.arguments) if wrt_inputs else 0) if isinstance(wrt_inputs, bool) else wrt_inputs
    arguments = [program.arguments[a] for a in which]
    wanted = [*([program.parameters] if wrt_parameters else []), *arguments]
    backward = _Backward(program, wanted, by_example=by_example)
    if program.cost in backward.counts:
        backward.parts[program.cost].append((ONES[program.cost.batched], None))
    for statement in reversed(program.forward):
        if statement.out in backward.counts:
            d = backward.gradient_of(statement.out)
            if d is not None:
                program.gradients[statement.out] = d
                backward.reverse(statement, d)
    for array, parts in backward.parts.items():
        if array not in program.gradients and len(parts) == 1 and parts[0][1] is None:
            program.gradients[array] = parts[0][0]
    if by_example:
        parts = backward.parts.pop(program.parameters, [])
        program.factors = factors_of(program, parts, backward.statements)
    program.gradient = backward.total_of(program.parameters)
    program.differentiated = arguments
    program.input_gradients = [*map(backward.total_of, arguments), *results_of(program)]
    program.backward = needed(backward.statements, [program.gradient, *program.input_gradients])

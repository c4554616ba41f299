"""Which numbers of an exported program an example takes, where ts.cond and lookups choose.

A side that an example does not take, or a row that nothing looks up, can be infinitely steep, and 0·∞ is nan. So a
first pass finds the choices; in the second, which is differentiated, operations on what does not reach the result
compute with other numbers, and no gradient goes there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_scalar.vectorize.program import (
    Array,
    Distances,
    DistancesGradient,
    Elementwise,
    Fold,
    Gather,
    Lookup,
    Product,
    Scatter,
    Statement,
)
from tinygrad_scalar.vectorize.rules import EVEN

if TYPE_CHECKING:
    from tinygrad_scalar.vectorize.exported_library import Library

ORDINARY = 0.5  # a number in the domain of most operations


def is_needed(statements: Sequence[Statement], outputs: Array) -> bool:
    """Whether an operation that can be infinitely steep is on sides or in rows that not every example takes."""
    always, some = {outputs}, set[Array]()
    for statement in reversed(statements):
        if statement.out in always:
            chosen = isinstance(statement, Lookup) or (isinstance(statement, Elementwise) and statement.chooses)
            (some if chosen else always).update(_reached(statement))
        elif statement.out in some:
            if isinstance(statement, (Product, Distances, DistancesGradient)):
                return True
            if isinstance(statement, Elementwise) and statement.op not in EVEN and not statement.chooses:
                return True
            some.update(_reached(statement))
    return False


def _reached(statement: Statement) -> list[Array]:
    """The operands to which a gradient goes."""
    if not isinstance(statement, Elementwise):
        return list(statement.operands)
    if statement.chooses:
        return list(statement.operands[1:])
    row = statement.row
    return [x for i, x in enumerate(statement.operands) if row is None or i not in row.detached]


class Reach:
    """For each array True, or in which rows and examples it reaches the outputs; none for what never does.

    `passed` has the arrays of the first pass.
    """

    def __init__(self, lib: Library, statements: Sequence[Statement], outputs: Array, passed: Any) -> None:
        self.lib, self.passed = lib, passed
        self.of: dict[Array, Any] = {outputs: True}
        for statement in reversed(statements):
            where = self.of.get(statement.out)
            if where is not None:
                self._pull(statement, where)

    def masked(self, statement: Elementwise, operands: list[Any]) -> list[Any]:
        """The operands with an ordinary number in place of what does not reach the outputs."""
        where = self.of.get(statement.out)
        if where is None or where is True or statement.op in EVEN or statement.chooses:
            return operands
        constant = [operand.values is not None for operand in statement.operands]
        return [x if known else self.lib.f.where(where, x, ORDINARY) for x, known in zip(operands, constant)]

    def factors(self, statement: Product | Distances, left: Any, right: Any) -> tuple[Any, Any]:
        """The factors, 0 in examples that take nothing of the product."""
        where = self.of.get(statement.out)
        if where is None or where is True:
            return left, right
        where = where.any(0)
        if statement.left.batched:
            left = self.lib.f.where(where, left, 0.0)
        return left, self.lib.f.where(where, right, 0.0) if statement.right.batched else right

    def _add(self, array: Array, where: Any) -> None:
        """Add to where an array reaches the outputs; one row, or what all examples share, does where any of it does."""
        if where is not True:
            if array.rows == 1 < where.shape[0]:
                where = where.any(0)[None]
            if not array.batched and where.shape[1] > 1:
                where = where.any(1)[:, None]
        before = self.of.get(array)
        self.of[array] = True if where is True or before is True else where if before is None else before | where

    def _pull(self, s: Statement, where: Any) -> None:
        if isinstance(s, Elementwise):
            if not s.chooses:
                for operand in _reached(s):
                    self._add(operand, where)
                return
            condition, *sides = s.operands
            holds = self.passed[condition] != 0.0
            for operand, taken in zip(sides, (holds, ~holds)):
                self._add(operand, taken if where is True else where & taken)
        elif isinstance(s, Lookup):
            self._pull_lookup(s, where)
        elif where is True:
            for operand in s.operands:
                self._add(operand, True)
        elif isinstance(s, Gather):
            self._add(s.source, self._scattered(s.source.rows, s.index.ravel(), where))
        elif isinstance(s, Scatter):
            for part, index in s.parts:
                self._add(part, where if index is None else where[index.ravel()])
        elif isinstance(s, Fold):
            n = s.out.rows
            self._add(s.source, self._rows(where[:, None], (n, s.source.rows // n)))
        elif isinstance(s, DistancesGradient):
            for operand in s.operands:
                self._add(operand, self._rows(where.any(0)[None], (operand.rows,)))
        else:
            assert isinstance(s, (Product, Distances))
            p, k, q = s.sizes
            blocks = s.blocks if isinstance(s, Product) else 1
            grid = where.reshape(blocks, p, q, -1)
            self._add(s.left, self._rows(grid.any(2)[:, :, None], (blocks, p, k)))
            self._add(s.right, self._rows(grid.any(1)[:, None], (blocks, k, q)))

    def _rows(self, where: Any, shape: tuple[int, ...]) -> Any:
        m = where.shape[-1]
        return self.lib.f.broadcast_to(where, (*shape, m)).reshape(-1, m)

    def _scattered(self, n: int, index: Any, where: Any) -> Any:
        where = self.lib.f.broadcast_to(where, (len(index), where.shape[1]))
        return self.lib.added_up(n, index, self.lib.constant(np.ones(1)) * where) > 0.0

    def _pull_lookup(self, s: Lookup, where: Any) -> None:
        rows, n = self.passed.rows_chosen(s), s.source.rows
        where = self.lib.f.broadcast_to(self.lib.constant(np.ones(1)) * where, rows.shape)
        m = rows.shape[1]
        if s.source.batched:
            place = (rows * m + self.lib.indices(np.arange(m))).reshape(-1)
            found = self.lib.added_up(n * m, place, where.reshape(-1, 1)).reshape(n, m)
        else:
            found = self.lib.added_up(n, rows.reshape(-1), where.reshape(-1, 1))
        self._add(s.source, found > 0.0)

"""Shifts that change nothing: m + log Σ exp(x − m) with m = max x, as one writes a log-sum-exp that does not overflow.

Its slope in m is 1 − Σ exp(x − m)/Σ exp(x − m) = 0. What rounding leaves of that is as large as the gradient with
respect to one of very many x, and then wrong; the passes over all x that compute it take half of the time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tinygrad_scalar.vectorize.program import Array, Elementwise, Fold, Gather, Program, Statement


class Shift(NamedTuple):
    """`shifted` subtracts `by`, and `back` adds it again."""

    by: Array
    shifted: Elementwise
    back: Elementwise


def find_shifts(program: Program) -> dict[Statement, Shift]:
    """The shifts of a program, by the statement that adds back."""
    made_by = {statement.out: statement for statement in program.forward}
    readers: dict[Array, list[Statement]] = {}
    for statement in program.forward:
        for operand in dict.fromkeys(statement.operands):
            readers.setdefault(operand, []).append(statement)
    kept = {program.cost, *program.guarded}

    def only(array: Array, reader: Statement) -> bool:
        return readers[array] == [reader] and array not in kept

    def before(statement: Statement, op: str) -> Elementwise | None:
        """What made the operand of a statement, if it is this operation and read by nothing else."""
        source = statement.operands[0]
        maker: Statement | None = made_by.get(source)
        if isinstance(maker, Gather) and _in_order(maker) and only(source, statement):
            statement, source = maker, maker.source
            maker = made_by.get(source)
        found = isinstance(maker, Elementwise) and maker.op == op and only(source, statement)
        return maker if found and isinstance(maker, Elementwise) else None

    shifts: dict[Statement, Shift] = {}
    for back in program.forward:
        if not (isinstance(back, Elementwise) and back.op == "+" and len(set(back.operands)) == 2):
            continue
        for by, log in (back.operands, back.operands[::-1]):
            largest, logarithm = made_by.get(by), made_by.get(log)
            if not (isinstance(largest, Fold) and largest.op == "maximum" and largest.out.rows == back.out.rows):
                continue
            if not (isinstance(logarithm, Elementwise) and logarithm.op == "log" and only(log, back)):
                continue
            total = made_by.get(logarithm.operands[0])
            if not (isinstance(total, Fold) and total.op == "+" and only(total.out, logarithm)):
                continue
            exponential = before(total, "exp")
            shifted = exponential and before(exponential, "-")
            if shifted and total.source.shape == largest.source.shape and _subtracts(shifted, largest, made_by):
                shifts[back] = Shift(by, shifted, back)
    return shifts


def _in_order(gather: Gather) -> bool:
    return gather.source.rows == gather.out.rows and bool((gather.index.ravel() == np.arange(gather.out.rows)).all())


def _subtracts(shifted: Elementwise, largest: Fold, made_by: dict[Array, Statement]) -> bool:
    """Whether x − y subtracts from each x the largest of its row."""
    x, y = shifted.operands
    source = made_by.get(largest.source)
    same = x is largest.source or (isinstance(source, Gather) and source.source is x and _in_order(source))
    n, k = largest.source.shape
    if n == 1:
        return same and y is largest.out
    repeated = made_by.get(y)
    return (
        same
        and isinstance(repeated, Gather)
        and repeated.source is largest.out
        and bool((repeated.index.ravel() == np.repeat(np.arange(n), k)).all())
    )

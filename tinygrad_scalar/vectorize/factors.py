"""The gradient of each example as products of fewer numbers: dW = δaᵀ, of which the array program gives δ and a."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tinygrad_scalar.vectorize.distinct import all_differ
from tinygrad_scalar.vectorize.program import Array, Factors, Gather, Product, Program, Scatter, Statement


def factors_of(program: Program, parts: Iterable[tuple[Array, Any]], statements: list[Statement]) -> list[Factors]:
    """The contributions to each example's gradient, given its parts as in reverse.py; what they need is added."""
    made_by = {statement.out: statement for statement in statements}
    results: dict[Array, Array] = {}

    def added(statement: Statement) -> Array:
        statements.append(statement)
        return statement.out

    def result(array: Array) -> Array:
        """An array that the program gives for each example: a copy, or an argument or a constant as it is."""
        if array.values is not None or array in program.arguments:
            return array
        if array not in results:
            each = array
            if not array.batched:
                each = added(Gather(Array((array.rows,), True), array, np.arange(array.rows)))
            results[array] = added(Scatter(Array((array.rows,), True), ((each, None),)))
        return results[array]

    found = []
    for amount, index in parts:
        columns = np.arange(program.parameters.rows) if index is None else index.ravel()
        is_once = bool((np.diff(columns) > 0).all()) or all_differ(columns)
        made = made_by.get(amount)
        if isinstance(made, Product) and made.form == "RT" and made.blocks == 1 and is_once:
            p, k, q = made.sizes
            if q == 1 and p * k > p + k:
                found.append(Factors(columns.reshape(p, k), result(made.left), result(made.right)))
                continue
        if not is_once:
            columns, place = np.unique(columns, return_inverse=True)
            amount = added(Scatter(Array((columns.size,), amount.batched), ((amount, place),)))
        found.append(Factors(columns[:, None], result(amount), None))
    return found


def results_of(program: Program) -> list[Array]:
    """The arrays of the factors that the program gives."""
    numbers = [number for _, left, right in program.factors for number in (left, right) if number is not None]
    return [n for n in dict.fromkeys(numbers) if n.values is None and n not in program.arguments]

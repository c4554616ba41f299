"""Primitives of the user's own in array programs: their statements replaced by what the primitives are made of.

Programs are differentiated, and printed for people, with a primitive as one operation that has its own derivative. What
runs has, in its stead, the operations that its function and its derivative record with Values. A primitive of floats
stays as it is, and its row is called for each number.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_scalar.engine.ops import operation
from tinygrad_scalar.primitives.recipe import Recipe, advice
from tinygrad_scalar.vectorize.program import Array, Elementwise, Gather, Program, Slope, Statement
from tinygrad_scalar.vectorize.recorded_operations import constant

Key = tuple[str, int | None]  # of a primitive's row, and of the operand with respect to which it is a slope


def key_of(statement: Statement) -> Key | None:
    """The primitive of a statement, or None if it is of no primitive."""
    if not isinstance(statement, Elementwise):
        return None
    name, operand = (statement.op.op, statement.op.operand) if isinstance(statement.op, Slope) else (statement.op, None)
    is_primitive = (isinstance(statement.op, Slope) or statement.row is not None) and operation(name).primitive
    return (name, operand) if is_primitive else None


def recipe_or_why(key: Key) -> Recipe | str:
    """The recipe of a primitive, or why it has none."""
    name, operand = key
    try:
        recipe: Recipe = operation(name).primitive.recipe(operand)
    except NotImplementedError as error:
        return str(error)
    return recipe


def lowered(program: Program) -> Program:
    """The program that runs, made once: with the operations that primitives are made of."""
    if program.lowered is None:
        keys = {key_of(statement) for statement in (*program.forward, *program.backward)} - {None}
        if not keys:
            return program  # which does not refer to itself: without a cycle it goes when its last user does
        program.lowered = _Lowering(program).lowered()
    return program.lowered


def called_in_python(program: Program) -> list[str]:
    """For each primitive of a program that is called for each number, a sentence that says so and why."""
    found = dict.fromkeys(filter(None, map(key_of, (*program.forward, *program.backward))))
    lines: dict[str, None] = {}
    for name, operand in found:
        why = recipe_or_why((name, operand))
        if isinstance(why, str):
            whose = operation(name).primitive.__name__
            lines[advice(whose if operand is None else f"the derivative of {whose}", why)] = None
    return list(lines)


class _Lowering:
    def __init__(self, program: Program) -> None:
        self.program = program
        self._recipes: dict[Key, Recipe | str] = {}
        self._made: dict[Any, Array] = {}  # what the primitives computed, by operation and operands

    def lowered(self) -> Program:
        program = self.program
        return replace(
            program, forward=[*self._statements(program.forward)], backward=[*self._statements(program.backward)]
        )

    def _statements(self, statements: Iterable[Statement]) -> Iterable[Statement]:
        for statement in statements:
            yield from self._replaced(statement)

    def _replaced(self, statement: Statement) -> list[Statement]:
        key = key_of(statement)
        if key is None:
            return [statement]
        assert isinstance(statement, Elementwise)
        if key not in self._recipes:
            self._recipes[key] = recipe_or_why(key)
        recipe = self._recipes[key]
        if isinstance(recipe, str):
            return [statement]
        made = self._written(statement, recipe)
        if isinstance(made[-1], Elementwise):
            made[-1].of = statement
        return [line for part in made for line in self._replaced(part)] if _has_primitives(recipe) else made

    def _written(self, statement: Elementwise, recipe: Recipe) -> list[Statement]:
        out, tape = statement.out, recipe.tape
        arrays: list[Array] = [constant(number) for number in tape.data]
        if isinstance(statement.op, Slope):  # it reads operands by their places, of which 0 is the result
            operands = {i - 1: array for i, array in zip(statement.op.reads, statement.sources) if i > 0}
        else:
            operands = dict(enumerate(statement.sources))
        is_fixed = [True] * len(arrays)
        for i, node in enumerate(recipe.operands):
            if node >= 0:
                arrays[node], is_fixed[node] = operands[i], False
        statements: list[Statement] = []
        for node, code in enumerate(tape.codes.tolist()):
            nodes = tape.operands[tape.starts[node] : tape.starts[node + 1]].tolist()
            if code < 0 or all(is_fixed[i] for i in nodes):
                continue
            is_fixed[node] = False
            below = [arrays[i] for i in nodes]
            op = tape.names[code]
            key = (op, *(id(array) if array.values is None else array.values.tobytes() for array in below))
            if node == recipe.result:
                arrays[node] = out
            elif key in self._made:
                arrays[node] = self._made[key]
                continue
            else:
                rows = max(array.rows for array in below)
                shape = out.shape if rows == out.rows else (rows,)
                arrays[node] = Array(shape, any(array.batched for array in below))
            self._made[key] = arrays[node]
            statements.append(Elementwise(arrays[node], op, tuple(below)))
        if arrays[recipe.result] is not out:  # an operand as it is, or a number
            source = arrays[recipe.result]
            index = np.arange(out.rows) if source.rows == out.rows else np.zeros(out.rows, np.int64)
            statements.append(Gather(out, source, index))
        return statements


def _has_primitives(recipe: Recipe) -> bool:
    return any(operation(name).primitive is not None for name in recipe.tape.names)

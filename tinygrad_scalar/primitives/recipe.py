"""What a primitive is made of: the operations that its function, or a part of its derivative, records with Values.

A recipe holds for any numbers: it is compared with the function of floats, at `points`. What takes only floats, looks
at its operands, refuses some of them or gives something else for Values than for floats has no recipe.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tinygrad_scalar.engine import Tape, Value, read_graph, tracing
from tinygrad_scalar.engine.graph_arrays import without_copies
from tinygrad_scalar.primitives.derivative import WRITE_IT, Watch, number_of, obstacle
from tinygrad_scalar.primitives.points import points

ENOUGH = 4  # points at which a recipe is compared
CLOSE = 1e-9  # relative: functions of floats may round otherwise, such as those of math
OUTSIDE = (ArithmeticError, ValueError, TypeError)  # what functions of floats raise outside of their domain


class Recipe(NamedTuple):
    """A tape that computes node `result` from `operands`, its nodes for these; −1 for one that it does not read."""

    tape: Tape
    operands: list[int]
    result: int

    @property
    def constant(self) -> float | None:
        """The number that it always is, or None."""
        is_constant = self.tape.codes[self.result] < 0 and self.result not in self.operands
        return float(self.tape.data[self.result]) if is_constant else None


def recipe_of(
    compute: Callable[[Sequence[Any]], Any], of_numbers: Callable[[Sequence[float]], float], operands: Sequence[str]
) -> Recipe:
    """The recipe of what `compute` makes of operands; NotImplementedError that says why if there is none."""
    if why := obstacle(lambda values: [compute(values)], operands, refusing=True):
        raise NotImplementedError(why)
    values = [Value(number, name) for number, name in zip(next(points(len(operands))), operands)]
    with tracing.followed_by(Watch(values, refusing=True)):
        found = compute(values)
    root = found if isinstance(found, Value) else Value(_float(found))
    compared = 0
    for point in points(len(operands)):
        try:
            expected = of_numbers(point)
        except OUTSIDE:
            continue
        for value, number in zip(values, point):
            value.data = number
        root.forward()
        if not _is_close(root.data, expected):
            raise NotImplementedError(
                f"it gives something else for Values than for numbers: {root.data!r} and {expected!r} at "
                f"{', '.join(map(repr, point))}"
            )
        compared += 1
        if compared == ENOUGH:
            break
    if not compared:
        raise NotImplementedError("it is finite at none of the numbers tried, so that it could not be compared")
    tape = without_copies(read_graph([root], [root, *values]))
    result, *places = tape.found.tolist()
    return Recipe(tape, places, result)


def _float(found: Any) -> float:
    number = number_of(found)
    assert number is not None, "obstacle() has seen to it"
    return number


def _is_close(a: float, b: float) -> bool:
    return a == b or (a != a and b != b) or math.isclose(a, b, rel_tol=CLOSE)


def advice(name: str, why: str) -> str:
    """What to say of a primitive that has no recipe."""
    what_to_do = ". Written with functions of Values, such as ts.exp and ts.where, it would run at array speed"
    return f"{name} is called in Python for each number, because {why.removesuffix(f'. {WRITE_IT}')}{what_to_do}"

"""The nodes above some leaves, computed for many nudges at once: each nudge has its place in the arrays, its lane.

`+`, `−` and `×`, which networks are made of, take whole arrays; other rows of ops.py are called lane by lane. Both give
the numbers that the engine gives, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tinygrad_scalar.engine import Value, lists, ops
from tinygrad_scalar.engine.graph import kept
from tinygrad_scalar.engine.quiet import quiet

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[tuple[int], np.dtype[np.float64]]

# Functions of the table that compute with arrays as they do with numbers.
_OF_ARRAYS = {
    function
    for row in (ops.OPERATIONS[name] for name in ("+", "-", "*", "neg"))
    for function in (row.forward, row.local_grads)
} | set(lists.ALSO_OF_ARRAYS)


class Lanes:
    """The nodes `above` the `leaves`, in topological order; the last one is the root."""

    def __init__(self, leaves: Sequence[Value], above: Sequence[Value]) -> None:
        self._numbers: list[Any] = []
        self._program: list[tuple[int, ops.Operation, tuple[int, ...]]] = []
        places: dict[Value, int] = {}
        for value in (*leaves, *(value for node in above for value in (*node.operands, node))):
            if value not in places:
                places[value] = len(self._numbers)
                self._numbers.append(value.data)
        for node in above:
            operands = tuple(places[operand] for operand in node.operands)
            self._program.append((places[node], ops.operation(node.op), operands))
        self._kept = {places[node] for node in kept(above)}

    def computed(self, nudged: Sequence[Array]) -> list[Any]:
        """Every number, given those of the leaves; nan where a user's own operation raises."""
        numbers = [*nudged, *self._numbers[len(nudged) :]]
        with quiet(all="ignore"):
            for i, row, operands in self._program:
                given = [numbers[j] for j in operands]
                numbers[i] = row.forward(*given) if row.forward in _OF_ARRAYS else _each(row.forward, given, 1)[0]
        return numbers

    def root(self, nudged: Sequence[Array]) -> Array:
        """The root for each nudge."""
        found: Array = self.computed(nudged)[self._program[-1][0]]
        return found

    def rounding(self, nudged: Sequence[Array]) -> Array:
        """Σₙ |∂root/∂n|·ulp(n) for each nudge: how far the root can be off."""
        import numpy as np

        numbers = self.computed(nudged)
        slopes: list[Any] = [0.0] * len(numbers)
        slopes[self._program[-1][0]] = np.ones(len(nudged[0]))
        total = np.zeros(len(nudged[0]))
        with quiet(all="ignore"):
            for i, row, operands in reversed(self._program):
                slope = slopes[i]
                reached = slope != 0.0
                if i not in self._kept:
                    total += np.where(reached, abs(slope) * _ulp(numbers[i]), 0.0)
                given = [numbers[i], *(numbers[j] for j in operands)]
                plain = row.local_grads in _OF_ARRAYS
                local_grads = row.local_grads(*given) if plain else _each(row.local_grads, given, len(operands))
                for j, local_grad in zip(operands, local_grads):
                    if isinstance(numbers[j], np.ndarray):  # else it is above none of the leaves
                        on_path = reached & (local_grad != 0.0) if row.piecewise else reached
                        slopes[j] = slopes[j] + np.where(on_path, local_grad * slope, 0.0)
        return np.where(np.isnan(total), math.inf, total)


def _ulp(numbers: Array) -> Array:
    import numpy as np

    return np.where(np.isfinite(numbers), np.spacing(abs(numbers)), abs(numbers))


def _each(function: Callable[..., Any], arguments: Sequence[Any], n: int) -> list[Array]:
    """The `n` results of a function of plain numbers for each lane."""
    import numpy as np

    lanes = next(len(numbers) for numbers in arguments if isinstance(numbers, np.ndarray))
    found = np.empty((n, lanes))
    columns = [numbers.tolist() if isinstance(numbers, np.ndarray) else [numbers] * lanes for numbers in arguments]
    for lane, numbers in enumerate(zip(*columns)):
        try:
            found[:, lane] = function(*numbers)
        except (ArithmeticError, ValueError, TypeError):
            found[:, lane] = math.nan
    return list(found)

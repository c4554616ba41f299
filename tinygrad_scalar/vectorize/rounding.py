"""How far rounding alone can move the numbers of a graph: it is computed again, with every operation rounded anew.

Two programs for one formula add its terms in different orders and round differently. After a cancellation, as in
|x|² − 2xy + |y|², that is all that is left of the result, so no tolerance relative to the result can tell rounding from
a difference. Monte Carlo arithmetic can (D. S. Parker, Monte Carlo Arithmetic, 1997): each operation's result is moved
at random by a few units in its last place, each sum is added up in a random order, and the range of what comes out is
the range of what rounding can do, also beyond first order, at kinks and where a root's operand can become negative.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_scalar.engine import Tape
from tinygrad_scalar.engine.graph import contribution
from tinygrad_scalar.engine.graph_arrays import cut_off
from tinygrad_scalar.engine.ops import STEPS, Operation, operation
from tinygrad_scalar.engine.quiet import quiet
from tinygrad_scalar.vectorize.group import native

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Indices = NDArray[np.int32]

EPSILON = 2.0**-52
NOISE = 32 * EPSILON  # by how much an operation's result is moved: some functions of NumPy are off by 4 units
SLOPE_NOISE = 2048 * EPSILON  # the array programs' 1 − tanh² loses ten bits before it is computed in another way
LOST = 2048 * EPSILON  # a sum smaller than this part of its terms can be nothing but their rounding errors
TINY = 32 * 5e-324  # the same among the subnormal numbers, which have no digits to spare
MARGIN = 4  # how many times the range that was found is the range that is possible
DECISIVE = 1e9
ROUNDINGS = 24

SUMS = ("+", "-")
EXACT = (
    "neg", "abs", "relu", "hardtanh", "floor", "ceil", "sign", "maximum", "minimum",
    "greater", "greater_equal", "where", *(name for name in STEPS if name != "logsumexp of next"),
)  # fmt: skip
ROUNDED = ("*", "/", "sqrt", "leaky_relu")  # at most by a unit; all others are also as uncertain as their operands
KINDS = {"+": 1, "-": 2, **dict.fromkeys(EXACT, 3), **dict.fromkeys(ROUNDED, 4)}  # in _rounding.pxi
UNCERTAIN = 5
# The array programs add up exp(x − M), M the largest x, to a number from 1 on; its logarithm can be off by a unit of 1.
LOG_OF_A_SUM = "logaddexp"


def rounded(tape: Tape, leaves: Sequence[int] | Indices) -> Any:
    """A `Rounded`, in C if it has code for every operation."""
    loops = native()
    rows = [operation(name) for name in tape.names]
    names = [row.family or row.name for row in rows]
    if loops is None or not all(name in loops.CODES for name in names):
        return Rounded(tape, leaves)
    kinds = [KINDS.get(name, UNCERTAIN) for name in names]
    codes, constants = [loops.CODES[name] for name in names], [row.constant or 0.0 for row in rows]
    return loops.Rounded(tape, leaves, kinds, codes, constants, (EPSILON, NOISE, SLOPE_NOISE, LOST, TINY))


class Rounded:
    """The value and the gradient of a graph, computed again and again with other roundings. In C: _rounding.pxi."""

    def __init__(self, tape: Tape, leaves: Sequence[int] | Indices) -> None:
        """For the last node of a tape, and its gradient with respect to the nodes `leaves`; −1 for one it lacks."""
        self._data, self._root, self._leaves = tape.data, len(tape.codes) - 1, leaves
        self._steps = _steps(tape)
        self._cut = cut_off(tape, self._root)
        self._random = random.Random(0)

    def again(self) -> Floats:
        """The value, followed by the gradient."""
        self._strength = self._random.choice((1.0, 1.0, 1.0 / 32.0, 0.0))  # 0: sums in another order, and no more
        data: list[float] = self._data.tolist()
        slopes = {}
        for i, row, operands, signs in self._steps:
            numbers = [data[k] for k in operands]
            if row is None:
                data[i] = self._sum([sign * number for sign, number in zip(signs, numbers)])
                continue
            if row.name not in EXACT and (row.family or row.name) not in ROUNDED:
                numbers = [self._moved(number, NOISE) for number in numbers]
            data[i] = row.forward(*numbers)
            if row.name not in EXACT:
                data[i] = self._moved(data[i], NOISE)
            if row.name == LOG_OF_A_SUM and math.isfinite(data[i]):
                data[i] += NOISE * self._uniform()
            slopes[i] = row.local_grads(data[i], *numbers)
        contributions: dict[int, list[float]] = {self._root: [1.0]}
        for i, row, operands, signs in reversed(self._steps):
            if i not in contributions or i in self._cut:
                continue
            upstream = self._sum(contributions.pop(i))
            noise = SLOPE_NOISE if row is not None and row.name not in EXACT else 0.0
            for k, slope in zip(operands, signs if row is None else slopes[i]):
                amount = slope * upstream if row is None else contribution(row.name, slope, upstream)
                contributions.setdefault(k, []).append(self._moved(amount, noise))
        return np.array([data[self._root], *(self._sum(contributions.get(leaf, [])) for leaf in self._leaves)])

    def _uniform(self) -> float:
        return self._strength * self._random.uniform(-1.0, 1.0)

    def _moved(self, number: float, noise: float) -> float:
        if not noise or not math.isfinite(number):
            return number
        return number + (abs(number) * noise + TINY) * self._uniform()

    def _sum(self, terms: list[float]) -> float:
        """A sum in a random order, moved by up to what n terms can lose: n·ε·Σ|terms|; two lose a unit of the sum.

        Terms of which only rounding errors are left often cancel exactly, and 0 is a pole of what is divided by it.
        """
        if len(terms) < 2:
            return terms[0] if terms else 0.0
        self._random.shuffle(terms)
        total, size = sum(terms), sum(map(abs, terms))
        if not math.isfinite(size):
            return total
        if abs(total) <= size * LOST and self._random.random() < 0.25:
            return sum(term for term in terms if abs(term) <= size * LOST)
        moved = abs(total) if len(terms) == 2 else size
        return total + (moved * max(NOISE, len(terms) * EPSILON) + TINY) * self._uniform()


def _steps(tape: Tape) -> list[tuple[int, Operation | None, list[int], list[float]]]:
    """The operations in order; a chain of + and − whose partial sums are used nowhere else is one sum, without a row.

    A step is the node's index, its row, its operands' indices, and for a sum their signs.
    """
    rows = [operation(name) for name in tape.names]
    codes, starts, operands = tape.codes.tolist(), tape.starts.tolist(), tape.operands.tolist()
    uses = np.bincount(tape.operands, minlength=len(codes)).tolist()
    is_sum = [code >= 0 and rows[code].name in SUMS for code in codes]
    absorbed = [False] * len(codes)
    for i in range(len(codes)):
        if is_sum[i]:
            for k in operands[starts[i] : starts[i + 1]]:
                absorbed[k] = is_sum[k] and uses[k] == 1
    steps: list[tuple[int, Operation | None, list[int], list[float]]] = []
    for i, code in enumerate(codes):
        if code < 0 or absorbed[i]:
            continue
        if not is_sum[i]:
            steps.append((i, rows[code], operands[starts[i] : starts[i + 1]], []))
            continue
        terms, signs, todo = [], [], [(i, 1.0)]
        while todo:
            k, sign = todo.pop()
            if k == i or absorbed[k]:
                left, right = operands[starts[k] : starts[k + 1]]
                todo += [(right, -sign if rows[codes[k]].name == "-" else sign), (left, sign)]
            else:
                terms.append(k)
                signs.append(sign)
        steps.append((i, None, terms, signs))
    return steps


class Range:
    """The numbers that were seen in each place of several arrays, and how far they are apart."""

    def __init__(self, numbers: Floats) -> None:
        self.low, self.high = np.full(numbers.shape, math.inf), np.full(numbers.shape, -math.inf)
        self._smallest = np.full(numbers.shape, math.inf)  # of those that are not 0, without the sign
        self._kinds = [np.zeros(numbers.shape, bool) for _ in range(4)]  # which of nan, ∞, −∞ and finite were seen
        self.add(numbers)

    def add(self, numbers: Floats) -> None:
        kinds = _kinds(numbers)
        np.minimum(self.low, numbers, out=self.low, where=kinds[-1])
        np.maximum(self.high, numbers, out=self.high, where=kinds[-1])
        np.minimum(self._smallest, np.abs(numbers), out=self._smallest, where=kinds[-1] & (numbers != 0.0))
        for seen, kind in zip(self._kinds, kinds):
            seen |= kind

    def holds(self, numbers: Floats) -> Any:
        """Where numbers are no further from what was seen than MARGIN times the distance of what was seen.

        What is now finite and now not has a pole nearby: there nan, ∞ and −∞ are one. And where rounding decides over
        the order of magnitude, as in 1/(x − x)⁴, no number tells anything.
        """
        *not_finite, finite = _kinds(numbers)
        *seen_not_finite, seen_finite = self._kinds
        with quiet(all="ignore"):
            margin = MARGIN * (self.high - self.low)
            near = (self.low - margin <= numbers) & (numbers <= self.high + margin)
            near |= np.maximum(abs(self.low), abs(self.high)) > DECISIVE * self._smallest
            near &= finite
        for seen, kind in zip(seen_not_finite, not_finite):
            near |= kind & seen
        return near | (~finite & seen_finite & np.logical_or.reduce(seen_not_finite))


def _kinds(numbers: Floats) -> list[Any]:
    return [np.isnan(numbers), numbers == math.inf, numbers == -math.inf, np.isfinite(numbers)]

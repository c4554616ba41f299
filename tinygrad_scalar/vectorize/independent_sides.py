"""Whether the sides of ts.cond change nothing outside of them: what they compute is the same in any order."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_scalar.engine.errors import TraceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_scalar.vectorize.trace import Trace

MOST_SHOWN = 5  # changes made by sides
COLUMNS = 5  # that tell a computation


def require_independent_sides(traced: Trace, apart: Trace) -> None:
    """TraceError unless the function does the same if its sides run in the other order and change nothing outside.

    The engine runs one side, and a trace both: what one changes would be found by examples that take the other.
    """
    if not _are_the_same(traced, apart):
        lines = "".join(f"\n  {line}" for line in dict.fromkeys(apart.undone[:MOST_SHOWN]))
        raise TraceError(
            "a side of ts.cond must not change anything outside of it that is used later, since vectorize runs both "
            "sides for all examples. Let each side return what it computes, as in "
            f"s = ts.cond(c, lambda: 2 * s, lambda: s){lines}"
        )


def _are_the_same(one: Trace, other: Trace) -> bool:
    """Whether two traces have the same computations, in whichever order."""
    if one.nodes != other.nodes:
        return False
    return _are_equal(one, other, _by_hash) or _are_equal(one, other, _in_order)


def _are_equal(one: Trace, other: Trace, order: Callable[[Trace], NDArray[np.int64]]) -> bool:
    """Whether they are in that order; all columns of one alone are in memory."""
    orders = order(one), order(other)
    columns = ((_column(one, k)[orders[0]], _column(other, k)[orders[1]]) for k in range(COLUMNS))
    return all(np.array_equal(ours, theirs) for ours, theirs in columns)


def _by_hash(traced: Trace) -> NDArray[np.int64]:
    """An order for equal computations, which some of the hashes of others can upset."""
    hashes = np.zeros(traced.nodes, np.uint64)
    for k in range(COLUMNS):
        hashes = (hashes ^ _column(traced, k).view(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        hashes ^= hashes >> np.uint64(29)
    return np.argsort(hashes)


def _in_order(traced: Trace) -> NDArray[np.int64]:
    return np.lexsort([*map(partial(_column, traced), range(COLUMNS))])


def _column(traced: Trace, k: int) -> NDArray[np.int64]:
    """Of each node its operation for k = 0, its number for 1, and its operands' numbers, as bits."""
    tape = traced.tape
    numbers: NDArray[np.int64] = np.where(np.isnan(traced.data), np.nan, traced.data).view(np.int64)
    if k == 1:
        return numbers
    column = np.zeros(traced.nodes, np.int64)
    if k == 0:
        names = np.array([*(zlib.crc32(name.encode()) for name in tape.names), 0], np.int64)  # the last one for leaves
        return names[tape.codes]
    has = np.flatnonzero(np.diff(tape.starts) > k - 2)
    column[has] = numbers[tape.operands[tape.starts[has] + k - 2]]
    return column

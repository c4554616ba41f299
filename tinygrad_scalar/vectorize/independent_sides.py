"""Whether the sides of ts.cond change nothing outside of them: what they compute is the same in any order."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_scalar.engine.errors import TraceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_scalar.vectorize.trace import Trace

MOST_SHOWN = 5  # changes made by sides


def require_independent_sides(traced: Trace, apart: Trace) -> None:
    """TraceError unless the function does the same if its sides run in the other order and change nothing outside.

    The engine runs one side, and a trace both: what one changes would be found by examples that take the other.
    """
    if not np.array_equal(_computations(traced), _computations(apart)):
        lines = "".join(f"\n  {line}" for line in dict.fromkeys(apart.undone[:MOST_SHOWN]))
        raise TraceError(
            "a side of ts.cond must not change anything outside of it that is used later, since vectorize runs both "
            "sides for all examples. Let each side return what it computes, as in "
            f"s = ts.cond(c, lambda: 2 * s, lambda: s){lines}"
        )


def _computations(traced: Trace) -> NDArray[np.int64]:
    """A row for each node: its operation, its number and its operands', as bits; in an order of their own."""
    tape = traced.tape
    data = np.where(np.isnan(traced.data), np.nan, traced.data)
    names = np.array([zlib.crc32(name.encode()) for name in tape.names], np.int64)
    rows = np.zeros((len(data), 5), np.int64)
    computed = tape.codes >= 0
    rows[computed, 0] = names[tape.codes[computed]]
    rows[:, 1] = data.view(np.int64)
    arity = np.diff(tape.starts)
    for k in range(3):
        has = np.flatnonzero(arity > k)
        rows[has, 2 + k] = data.view(np.int64)[tape.operands[tape.starts[has] + k]]
    return rows[np.lexsort(rows.T)]

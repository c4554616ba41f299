"""Whether the sides of ts.cond change nothing outside of them: what they compute is the same in any order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinygrad_scalar.engine.errors import TraceError

if TYPE_CHECKING:
    from tinygrad_scalar.vectorize.trace import Trace

MOST_SHOWN = 5  # changes made by sides


def require_independent_sides(traced: Trace, apart: Trace) -> None:
    """TraceError unless the function does the same if its sides run in the other order and change nothing outside.

    The engine runs one side, and a trace both: what one changes would be found by examples that take the other.
    """
    ours, theirs = ([*(node for node, _ in its.guards), its.reached] for its in (traced, apart))
    if traced.difference(apart) or ours != theirs:
        lines = "".join(f"\n  {side} changed {what}" for side, what in dict.fromkeys(apart.undone[:MOST_SHOWN]))
        raise TraceError(
            "a side of ts.cond must not change anything outside of it that is used later, since vectorize runs both "
            "sides for all examples. Let each side return what it computes, as in "
            f"s = ts.cond(c, lambda: 2 * s, lambda: s){lines}"
        )

"""Whether the sides of ts.cond change nothing outside of them: what they compute is the same in any order."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, product
from typing import TYPE_CHECKING, Any

from tinygrad_scalar.engine.errors import TraceError
from tinygrad_scalar.vectorize.branches import Branches, Where
from tinygrad_scalar.vectorize.trace import Trace, trace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_scalar.engine import Value

MOST_SHOWN = 5  # changes made by sides
LARGE = 10_000  # nodes of a graph that is dropped before the next run
ALL_WAYS = 5  # conditions through which each way is tried
WAYS, NODES = 32, 500_000  # ways through more, and nodes in all of them; two at least
NODES_OF_A_SIDE = 100  # that take as long as to look at what a side can change
SIDES = ("then", "otherwise")


def require_independent_sides(
    traced: Trace, cost: Callable[..., Any], parameters: Sequence[Value], examples: Sequence[NDArray[Any]], i: int
) -> None:
    """TraceError unless the function does the same if its sides run in the other order and change nothing outside,
    or less: see effects.py.

    The engine runs one side, and a trace both: what one changes would be found by examples that take the other.
    """

    def require_same(branches: Branches) -> list[Where]:
        fingerprint = b""
        if traced.nodes > LARGE:
            traced.roots.clear()
            fingerprint = traced.fingerprint()
            traced.drop_arrays()
        try:
            apart = trace(cost, parameters, examples, i, branches=branches)
        except TraceError:
            raise
        except Exception as error:  # it did not find what a side has put somewhere
            if branches.undone:
                raise _change_that_is_used(branches.undone) from error
            raise
        if apart.nodes > LARGE:
            apart.roots.clear()
        _require_same(traced, apart, fingerprint)
        return apart.changed

    changed: dict[Where, None] = {}
    for keeps in ("", "first"):
        found = require_same(Branches(apart=True, keeps=keeps))
        if not found:
            return
        changed |= dict.fromkeys(found)
    if len(changed) == 1:
        return
    known, conditions = 0, dict.fromkeys(side[:-1] for side in changed)
    while known < (known := len(conditions)):  # what a side finds changed can make it change something, too
        for taken in _ways_through([*conditions], traced.nodes):
            found = require_same(Branches(apart=True, keeps="taken", taken=taken))
            conditions |= dict.fromkeys(side[:-1] for side in found)


def _ways_through(conditions: Sequence[Where], nodes: int) -> Iterator[dict[Where, str]]:
    """Which side an example takes of each condition."""
    n, draw = len(conditions), random.Random(0)
    others = product(SIDES, repeat=n) if n <= ALL_WAYS else (draw.choices(SIDES, k=n) for _ in range(WAYS))
    found = dict.fromkeys([*((side,) * n for side in SIDES), *map(tuple, others)])
    for sides in islice(found, max(len(SIDES), NODES // (nodes + NODES_OF_A_SIDE * n))):
        yield dict(zip(conditions, sides))


def _require_same(traced: Trace, apart: Trace, fingerprint: bytes) -> None:
    """Compare with a trace, or with the fingerprint of its arrays, which it then gets from the other one."""
    ours, theirs = ([*(node for node, _ in its.guards), its.reached] for its in (traced, apart))
    if not fingerprint:
        differs = bool(traced.difference(apart))
    else:
        differs = not traced.is_named_like(apart) or apart.fingerprint() != fingerprint
    if differs or ours != theirs:
        raise _change_that_is_used(apart.undone)
    if fingerprint:
        traced.tape, traced.leaves = apart.tape, apart.leaves


def _change_that_is_used(undone: Sequence[tuple[str, str]]) -> TraceError:
    lines = "".join(f"\n  {side} changed {what}" for side, what in dict.fromkeys(undone[:MOST_SHOWN]))
    return TraceError(
        "a side of ts.cond must not change anything outside of it that is used later, since vectorize runs both "
        "sides for all examples. Let each side return what it computes, as in "
        f"s = ts.cond(c, lambda: 2 * s, lambda: s){lines}"
    )

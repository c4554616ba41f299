"""Pickling a graph of any depth without recursion, with every shared node still shared afterwards.

pickle saves an object's parts before the object, so a chain of a million nodes would be a million calls deep. A node
therefore hands over, before its own parts, the list of all nodes below it, operands first: when pickle comes to a node,
its operands are already in pickle's memo and are saved as references. The list stands between two markers. Pickling
these tells the nodes in between that they are being listed and need not list their own ancestors.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_scalar.engine.ops import OPERATIONS


class _Listing(threading.local):
    """The listing in progress in this thread: its first marker and the ids of its nodes."""

    begin = 0
    nodes: frozenset[int] = frozenset()


_listing = _Listing()


class _Begin:
    def __init__(self, nodes: Sequence[Any]) -> None:
        self.nodes = frozenset(map(id, nodes))

    def __reduce__(self) -> tuple[Any, ...]:
        _listing.begin, _listing.nodes = id(self), self.nodes
        return bool, ()

    def __del__(self) -> None:  # a pickling that failed half-way never reaches its _End
        if _listing.begin == id(self):
            _listing.begin, _listing.nodes = 0, frozenset()


class _End:
    def __reduce__(self) -> tuple[Any, ...]:
        _listing.begin, _listing.nodes = 0, frozenset()
        return bool, ()


def ancestors(node: Any, topological_order: Callable[[Any], Sequence[Any]]) -> list[Any] | None:
    """The nodes below a node, with which its pickle begins; None if the node is itself being listed."""
    if id(node) in _listing.nodes:
        return None
    *below, _ = topological_order(node)
    return [_Begin(below), *below, _End()] if below else None


def saved(op: str) -> Any:
    """How a pickle refers to an operation: by its name, or by the function of `ts.primitive`, which pickle imports."""
    row = OPERATIONS.get(op)
    return op if row is None or row.primitive is None else row.primitive


def restored(state: tuple[Any, ...]) -> tuple[Any, ...]:
    """The state of a node with the name that its operation has in this process."""
    return state if isinstance(state[0], str) else (state[0].op, *state[1:])

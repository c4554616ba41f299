"""Who is told of every new node: `detect_anomaly` and `group`, while a block of theirs is open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# One entry for each open block. There is no lock, for which a signal handler or a forked child could wait for ever:
# each change is one operation of a dict.
active: dict[object, Callable[[Any], None]] = {}
listeners: list[Callable[[], None]] = []  # called at every change: the compiled Value keeps a flag


@contextmanager
def told(observer: Callable[[Any], None]) -> Iterator[None]:
    """Within this block `observer` is called with every new node, once however many blocks are open."""
    block = object()
    try:
        active[block] = observer
        _call_listeners()
        yield
    finally:
        active.pop(block, None)
        _call_listeners()


def tell(node: Any) -> None:
    """Call the observers with a new node."""
    for observer in dict.fromkeys(tuple(active.values())):
        observer(node)


def _call_listeners() -> None:
    for listener in listeners:
        listener()

"""While a function is traced, each number is a placeholder for every example: the code must not look at it.

`Value` asks here before it shows a number; vectorize/trace.py does the tracing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from tinygrad_scalar.engine.node import Node


class Tracer(Protocol):
    """Follows a function while it is traced."""

    def forbid(self, value: Any, use: str) -> None:
        """Raise TraceError if `value` depends on a traced number; `use` is a key of errors.WAYS_OUT."""
        ...

    def traces(self, value: Any) -> bool:
        """Whether `value` depends on a traced number."""
        ...

    def lookup(self, table: Any, index: Any) -> Any:
        """Row `index` of `table`, where `index` is traced."""
        ...

    def guard(self, value: Any, refused: Callable[[Any], Any], message: Callable[[float], str]) -> None:
        """Raise a ValueError with `message` in every run in which the value of an example is `refused`."""
        ...


active: Tracer | None = None
listeners: list[Callable[[bool], None]] = []  # called at every change: the compiled Value keeps a flag
_turn = threading.RLock()  # one thread traces at a time; a traced function can itself vectorize another


@contextmanager
def followed_by(tracer: Tracer) -> Iterator[None]:
    """Within this block `tracer` is the active one; other threads wait before they trace."""
    global active
    with _turn:
        before = active
        active = tracer
        _call_listeners()
        try:
            yield
        finally:
            active = before
            _call_listeners()


def _call_listeners() -> None:
    for listener in listeners:
        listener(active is not None)


def forbid(value: Node, use: str) -> None:
    if active is not None:
        active.forbid(value, use)

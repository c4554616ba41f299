"""While a function is traced, its numbers stand for every example at once: nothing may be decided by looking at one.

`Value` asks here before it shows a number; vectorize/trace.py is who traces.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from tinygrad_scalar.engine.node import Node


class Tracer(Protocol):
    """What follows a function while it is traced."""

    def forbid(self, value: Any, use: str) -> None:
        """Raise TraceError if `value` depends on what is traced; `use` is a key of errors.WAYS_OUT."""
        ...

    def traces(self, value: Any) -> bool:
        """Whether `value` depends on what is traced."""
        ...

    def lookup(self, table: Any, index: Any) -> Any:
        """Row `index` of `table`, `index` being traced."""
        ...

    def guard(self, value: Any, refused: Callable[[Any], Any], message: Callable[[float], str]) -> None:
        """Have `message` raised as a ValueError whenever the value of an example is `refused`."""
        ...


active: Tracer | None = None
listeners: list[Callable[[bool], None]] = []  # told of every change of it: the compiled Value keeps a flag of its own
_turn = threading.RLock()  # one thread traces at a time; a traced function may itself vectorize another


@contextmanager
def followed_by(tracer: Tracer) -> Iterator[None]:
    """Within this block `tracer` is asked; other threads wait with their own."""
    global active
    with _turn:
        before = active
        active = tracer
        _tell()
        try:
            yield
        finally:
            active = before
            _tell()


def _tell() -> None:
    for listener in listeners:
        listener(active is not None)


def forbid(value: Node, use: str) -> None:
    if active is not None:
        active.forbid(value, use)

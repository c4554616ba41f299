"""While a function is traced, each number is a placeholder for every example: the code must not look at it.

`Value` asks here before it shows a number; vectorize/trace.py does the tracing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
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

    def cond(self, condition: Any, then: Any, otherwise: Any) -> Any:
        """The result of `then` or of `otherwise`, functions or values, by each example's own condition."""
        ...

    def guard(self, value: Any, refused: Callable[[Any], Any], message: Callable[[float], str]) -> None:
        """Raise a ValueError with `message` in every run in which the value of an example is `refused`."""
        ...


class LastCall(list[Any]):
    """What a network's last call computed: no part of the network, nor of its copies and pickles."""


# A set in the order of arrival: several at once if threads trace at the same time, or if a traced function itself
# vectorizes another. There is no lock, for which a signal handler or a forked child could wait for ever: each change is
# one operation of a dict. No tracer waits for another: each knows its placeholders, whichever thread reads them.
active: dict[Tracer, int] = {}  # with the thread of each
listeners: list[Callable[[], None]] = []  # called at every change: the compiled Value keeps a flag


@contextmanager
def followed_by(tracer: Tracer) -> Iterator[None]:
    """Within this block `tracer` is active."""
    try:
        try:
            active[tracer] = get_ident()
            _call_listeners()
            yield
        finally:
            active.pop(tracer, None)
            _call_listeners()
    finally:  # once more, should the first attempt have been interrupted: nothing could be read any longer
        active.pop(tracer, None)
        _call_listeners()


def _call_listeners() -> None:
    for listener in listeners:
        listener()


def _forget_other_threads() -> None:
    """In a forked child: what they traced is never finished."""
    for tracer, thread in list(active.items()):
        if thread != get_ident():
            del active[tracer]
    _call_listeners()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)


def forbid(value: Node, use: str) -> None:
    """Raise TraceError if `value` depends on a traced number, which would be lost by this `use` of it."""
    for tracer in tuple(active):
        tracer.forbid(value, use)


def tracer_of(value: Node) -> Tracer | None:
    """The tracer that traces `value`, or None."""
    for tracer in tuple(active):
        if tracer.traces(value):
            return tracer
    return None

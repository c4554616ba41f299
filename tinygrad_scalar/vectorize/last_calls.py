"""Networks keep what their last call computed. A traced graph is large and of no use to anybody: they give it back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tinygrad_scalar.engine.tracing import LastCall


@contextmanager
def last_calls_kept(networks: Sequence[dict[str, Any]]) -> Iterator[Callable[[], None]]:
    """After this block networks, given by their attributes, hold the last call from before.

    What it gives puts them back already within the block.
    """
    before = [(own, dict(own)) for own in networks]

    def put_back() -> None:
        for own, held in before:
            own.update({name: held[name] for name, now in own.items() if isinstance(now, LastCall) and name in held})

    try:
        yield put_back
    finally:
        put_back()

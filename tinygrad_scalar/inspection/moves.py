"""A stepper's moves in words, the same for the terminal program and for %step: `next layer`, `back 3`, `to z`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tinygrad_scalar.engine.number import required_integer
from tinygrad_scalar.inspection.stepper import Stepper


def move(stepper: Stepper, verb: str, words: str = "") -> None:
    """Do what a verb of MOVES says; ValueError or TypeError if the words do not fit it, and then nothing is done.

    >>> from tinygrad_scalar import Value, step
    >>> z = Value(2.0, "w") * Value(3.0, "a")
    >>> z.label = "z"
    >>> s = step(z)
    >>> move(s, "next", "2"); move(s, "back"); move(s, "to", "z")
    >>> s.position
    2
    """
    MOVES[verb](stepper, words)


def _next(stepper: Stepper, words: str) -> None:
    stepper.next(words if words in ("value", "layer") else _steps(words))


def _to(stepper: Stepper, words: str) -> None:
    if not words:
        raise ValueError("expected a name or the number of a step, such as to w")
    stepper.to(int(words) if _is_number(words) else words)


MOVES: Mapping[str, Callable[[Stepper, str], object]] = {
    "next": _next,
    "back": lambda stepper, words: stepper.back(_steps(words)),
    "to": _to,
    "watch": lambda stepper, words: stepper.watch(*words.split()),
    "reset": lambda stepper, words: stepper.reset(),
}


def _steps(words: str) -> int:
    return required_integer(int(words) if _is_number(words) else words or 1, "the number of steps", least=0)


def _is_number(words: str) -> bool:
    return words.isdecimal() and words.isascii()

"""What a function to vectorize returns: one Value, or Values and numbers in nested lists, tuples or arrays."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.engine.number import as_float

EXPECTED = "the function to vectorize must return one Value, the cost of an example, or a list of Values"


class Outputs(NamedTuple):
    """The returned Values in order, and the shape in which they were nested: None for one Value."""

    values: list[Value]
    shape: tuple[int, ...] | None


def outputs_of(returned: Any) -> Outputs:
    """The outputs in what a function returned; a number among them is a constant.

    >>> outputs = outputs_of([[Value(1.0), 2.0, Value(3.0)], [0, Value(4.0), 0]])
    >>> outputs.shape, [value.data for value in outputs.values]
    ((2, 3), [1.0, 2.0, 3.0, 0.0, 4.0, 0.0])
    """
    if isinstance(returned, np.ndarray) and returned.ndim == 0:
        returned = returned[()]
    if isinstance(returned, Value):
        return Outputs([returned], None)
    if not _is_nested(returned):
        raise TypeError(f"{EXPECTED}, got {in_words(returned)}")
    shape = _shape(returned)
    if 0 in shape:
        raise ValueError(f"{EXPECTED}, got an empty one, {shown(returned)}")
    return Outputs(list(_values(returned, shape, "")), shape)


def in_words(part: Any) -> str:
    """What a function returned, in an error: while it is traced, a Value has no number to show.

    >>> in_words(Value(1.0)), in_words([Value(1.0), 2.0]), in_words("a"), in_words({})
    ('a Value', 'a list of 2', "'a' (str)", 'a dict')
    """
    if _is_nested(part) and getattr(part, "shape", None) != ():
        return f"a {'list' if isinstance(part, list) else type(part).__name__} of {len(part)}"
    if isinstance(part, Value):
        return "a Value"
    is_plain = part is None or isinstance(part, (str, bytes)) or as_float(part) is not None
    return shown(part) if is_plain else f"a {type(part).__name__}"


def _is_nested(part: Any) -> bool:
    return isinstance(part, (list, tuple, np.ndarray))


def _shape(nested: Any) -> tuple[int, ...]:
    """The shape that the first element of each list suggests."""
    shape = []
    while _is_nested(nested):
        shape.append(len(nested))
        if len(nested) == 0:
            break
        nested = nested[0]
    return tuple(shape)


def _values(part: Any, shape: tuple[int, ...], place: str) -> Iterator[Value]:
    """The Values of nested lists in order; ValueError unless they have that shape."""
    if not shape:
        number = None if isinstance(part, Value) or _is_nested(part) else as_float(part)
        if not isinstance(part, Value) and number is None:
            kind = "one Value" if _is_nested(part) else "a Value or a number"
            raise TypeError(f"{EXPECTED}: expected {kind} at [{place}], got {in_words(part)}")
        yield part if isinstance(part, Value) else Value(number)  # type: ignore[arg-type]
        return
    if not _is_nested(part) or len(part) != shape[0]:
        of = f" at [{place}]" if place else ""
        raise ValueError(
            f"{EXPECTED}, or lists of equal length: expected a list of {shape[0]}{of}, got {in_words(part)}"
        )
    for k, element in enumerate(part):
        yield from _values(element, shape[1:], f"{place}, {k}".lstrip(", "))


def called(cost: Callable[..., Any], arguments: Sequence[Any]) -> Outputs:
    """What `cost` returns; an exception from it gets a note about its arguments."""
    try:
        returned = cost(*arguments)
    except Exception as error:
        if sys.version_info >= (3, 11):
            given = ", ".join(map(_kind, arguments)) or "no arguments"
            error.add_note(f"vectorize called the function with {given}")
        raise
    return outputs_of(returned)


def _kind(argument: Any) -> str:
    """An argument in words: a Value, or lists and how many they hold.

    >>> _kind([[1, 2], [3, 4], [5, 6]])
    'a list of 3 lists of 2 Values'
    """
    if not isinstance(argument, list):
        return "a Value"
    kinds = f"a list of {len(argument)}"
    while isinstance(argument := argument[0], list):
        kinds += f" lists of {len(argument)}"
    return f"{kinds} Value{'' if kinds.endswith(' 1') else 's'}"

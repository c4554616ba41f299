"""What NumPy calls by name on the elements of an object array, beside the elementary functions: docs/numpy.md.

np.var, np.vdot and np.linalg.norm take conjugates; np.radians and np.degrees call these methods. What rounds is
refused, as round(v) is: its slope is 0, and what is left without it seldom what was meant.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from tinygrad_scalar.engine import errors

Value = TypeVar("Value")  # that of either implementation


def conjugate(self: Value) -> Value:
    """This Value: a real number is its own conjugate."""
    return self


def fabs(self: Any) -> Any:
    """|x|, where x is this Value."""
    return abs(self)


def radians(self: Any) -> Any:
    """x·π/180, where x is this Value."""
    return self * (math.pi / 180.0)


def degrees(self: Any) -> Any:
    """x·180/π, where x is this Value."""
    return self * (180.0 / math.pi)


def _refused(name: str, instead: str) -> Callable[..., NoReturn]:
    def method(self: Any, *others: Any) -> NoReturn:
        raise TypeError(f"{errors.label_of(self)} has no {name}: use {instead}")

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"Refused: use {instead}."
    return method


rint = _refused("rint", "(x + 0.5).floor() to keep a Value, whose slope is 0, or x.data for the plain number")
trunc = _refused("trunc", "x.floor() or x.ceil() to keep a Value, whose slope is 0, or x.data for the plain number")
fmod = _refused("fmod", "x - y*(x/y).floor(), which has the sign of y")
remainder = _refused("%", "x - y*(x/y).floor()")
floor_divide = _refused("//", "(x/y).floor()")

METHODS = (conjugate, fabs, rint, fmod, trunc)
ANGLES = (radians, degrees)
REMAINDERS = (remainder, floor_divide)

"""Plain numbers: an int, a float or a NumPy scalar, kept as a float64; tables of superscripts and subscripts."""

from __future__ import annotations

import math
import operator
import sys
from typing import TYPE_CHECKING, Any

from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.engine.quiet import quiet

if TYPE_CHECKING:
    import numpy as np

    Number = int | float | np.floating[Any] | np.integer[Any] | np.bool_

SUPERSCRIPTS = str.maketrans("0123456789()-−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁽⁾⁻⁻")
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def as_float(number: object) -> float | None:
    """The number as a float64, or None if it is not an int, a float or a NumPy scalar."""
    if type(number) is float:
        return number
    try:
        return float(number) if isinstance(number, (int, float)) else _of_numpy_scalar(number)
    except OverflowError:
        raise ValueError(f"{shown(number)} is beyond the largest float64, about 1.8e308") from None
    except (MemoryError, RecursionError):
        raise
    except Exception as error:
        raise TypeError(f"{shown(number)} has no float: its __float__ raised {type(error).__name__}") from error


def _of_numpy_scalar(number: Any) -> float | None:
    numpy = sys.modules.get("numpy")  # a NumPy scalar cannot have come without it
    if numpy is None or not isinstance(number, (numpy.floating, numpy.integer, numpy.bool_)):
        return None
    if isinstance(number, numpy.timedelta64):  # an integer to NumPy, but it has a unit
        return None
    with quiet(over="ignore"):
        value = float(number)
    if math.isinf(value) and not numpy.isinf(number):
        raise OverflowError
    return value


def required(number: object, what: str) -> float:
    """The number as a float64; a TypeError that begins with `what`, such as "grad", if it is not one."""
    value = as_float(number)
    if value is None:
        raise TypeError(f"{what} must be an int, a float or a NumPy scalar, got {shown(number)}")
    return value


def required_integer(number: Any, what: str, least: int = 1) -> int:
    """The number as an int; a ValueError that begins with `what` unless it is an integer ≥ `least`."""
    if isinstance(number, bool) or not hasattr(type(number), "__index__") or operator.index(number) < least:
        wanted = "a positive integer" if least == 1 else f"an integer ≥ {least}"
        raise ValueError(f"{what} must be {wanted}, got {shown(number)}")
    if operator.index(number) > sys.maxsize:
        raise ValueError(f"{what} must be at most {sys.maxsize}, got {shown(number)}")
    return operator.index(number)


def required_flag(flag: object, what: str) -> bool:
    """True or False; a TypeError that begins with `what` for anything else: "no" would count as true."""
    numpy = sys.modules.get("numpy")
    if not isinstance(flag, bool) and (numpy is None or not isinstance(flag, numpy.bool_)):
        raise TypeError(f"{what} must be True or False, got {shown(flag)}")
    return bool(flag)

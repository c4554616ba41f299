"""What counts as an array of numbers: the one gate for examples and parameters that are given as array-likes."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.engine.quiet import quiet

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

PLAIN = {float, int, bool}
_WITHOUT_MASK = PLAIN | {str}
LARGEST = int(np.iinfo(np.int64).max)


def real_array(given: ArrayLike, name: str) -> NDArray[Any]:
    """`given` as an array of integers (of at most int64) or of floats (of at most float64); never a copy of an array.

    TypeError if it holds anything else or hides elements under a mask; ValueError if its rows differ in length or a
    number is too large. `name` begins the message.
    """
    require_unmasked(given, name)
    try:
        numbers = np.asarray(given)
    except ValueError:
        raise ValueError(f"the rows of {name} must all have the same length") from None
    kind = numbers.dtype.kind
    if kind not in "biuf":
        if large := [number for number in numbers.flat if type(number) is int and abs(number) > LARGEST]:
            raise ValueError(_too_large(large, name))
        raise TypeError(f"{name} must hold numbers, got {shown(given)}{_advice(given, numbers)}")
    if kind == "u" and numbers.itemsize == 8 and (numbers > LARGEST).any():
        raise ValueError(_too_large([], name))
    if kind == "f" and numbers.itemsize > 8:
        with quiet(over="ignore"):
            rounded = numbers.astype(np.float64)
        if (np.isinf(rounded) & ~np.isinf(numbers)).any():
            raise ValueError(f"{name} has numbers beyond the largest float64, about 1.8e308")
        return rounded
    return numbers


def require_unmasked(given: Any, name: str, filler: str = "number") -> None:
    """TypeError if it hides elements under a mask (numpy.ma), also in the rows of a list."""
    if type(given) is not np.ndarray and "numpy.ma" in sys.modules and _hides(given):
        raise TypeError(
            f"{name} has masked elements, which are no {filler}s: fill them, with .filled({filler}), or leave out "
            "their examples"
        )


def _too_large(integers: list[int], name: str) -> str:
    for integer in integers:
        try:
            float(integer)
        except OverflowError:
            return f"{name} has a number beyond the largest float64, about 1.8e308: {shown(integer)}"
    return f"{name} has integers beyond {LARGEST}, the largest int64: convert it with .astype(float)"


def _hides(given: Any) -> bool:
    """Whether an element is masked, also in rows that are masked arrays; NumPy would read what the mask hides."""
    if isinstance(given, np.ma.MaskedArray):
        return bool(np.ma.is_masked(given))
    if not isinstance(given, Sequence) or isinstance(given, (str, bytes, range, memoryview)):
        return False
    return not _WITHOUT_MASK.issuperset(map(type, given)) and any(_hides(part) for part in given)


def _advice(given: Any, numbers: NDArray[Any]) -> str:
    if hasattr(given, "toarray"):
        return ": convert a sparse array with .toarray()"
    if any(isinstance(number, Value) for number in numbers.flat):
        return ": take the number of each Value, its .data"
    if any(isinstance(number, Mapping) for number in numbers.flat):
        return ": make a table of dicts, for example with pandas.DataFrame(rows), or a list of each one's numbers"
    if numbers.size and all(number is None for number in numbers.flat):
        return ": fill what is missing, or leave out its examples"
    if numbers.dtype.kind == "O" and numbers.ndim:
        how = ".astype(float)" if hasattr(given, "astype") else "np.array(…, float)"
        return f": fill missing cells and convert it, for example with {how}"
    if isinstance(given, (set, frozenset)):
        return ": a set has no order, give a list"
    if numbers.dtype.kind == "O" and hasattr(given, "__iter__"):
        return ": convert it to a list or an array"
    return ""


def examples_of(array: ArrayLike, argument: int) -> NDArray[Any]:
    numbers = real_array(array, f"argument {argument}")
    if numbers.ndim == 0 or len(numbers) == 0:
        raise ValueError(f"argument {argument} must have one or more examples, on axis 0; got shape {numbers.shape}")
    if numbers.size == 0:
        raise ValueError(
            f"each example of argument {argument} must hold at least one number; got shape {numbers.shape}"
        )
    return numbers

"""Which numbers a function can be differentiated by, what it can return, and what it can return beside that."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.engine.number import as_float
from tinygrad_scalar.transforms.structure import (
    FLOAT,
    VALUE,
    Array,
    Leaf,
    Opaque,
    Place,
    Scalar,
    in_words,
    ndarray,
    number_at,
)


def differentiable(item: Any, place: Place | str) -> tuple[Leaf, Sequence[Any]]:
    """A float, a Value or an array of them; a TypeError for anything else, also for integers."""
    if isinstance(item, Value):
        return VALUE, (item,)
    if isinstance(item, float):
        return (FLOAT if type(item) is float else Scalar(type(item))), (float(item),)
    numpy = sys.modules.get("numpy")
    if numpy and isinstance(item, numpy.floating):
        return Scalar(type(item)), (as_float(item),)
    if numpy and isinstance(item, numpy.ndarray):
        _require_plain_array(item, place)
        if item.dtype == object:
            elements = [_element(item[index], Place(place, index)) for index in numpy.ndindex(item.shape)]
            return Array(item.shape, item.dtype, item.size), elements
        if numpy.issubdtype(item.dtype, numpy.floating):
            return Array(item.shape, item.dtype, item.size), item.astype(float).ravel().tolist()
        if numpy.issubdtype(item.dtype, numpy.integer) or item.dtype == bool:
            raise TypeError(
                f"{place} must be an array of floats to be differentiated by, got dtype {item.dtype}: "
                "use .astype(float), or choose other arguments with argnums"
            )
    elif as_float(item) is not None:
        instead = f": write {float(item)!r}" if isinstance(item, int) and not isinstance(item, bool) else ""
        raise TypeError(
            f"{place} must be a float to be differentiated by, got {shown(item)}"
            f"{instead or ': make it a float'}, or choose other arguments with argnums"
        )
    raise TypeError(
        f"{place} must be a float, a Value, an array of these, or a list, tuple or dict of them, got {in_words(item)}"
    )


def _element(item: Any, place: Place) -> Any:
    leaf, numbers = differentiable(item, place)
    if isinstance(leaf, Array):
        raise TypeError(f"{place} must be a float or a Value, got {in_words(item)}")
    return numbers[0]


def returned(item: Any, place: Place | str) -> tuple[Leaf, Sequence[Any]]:
    """A Value, an array of Values, or numbers, which are constants; a TypeError for anything else."""
    if isinstance(item, Value):
        return FLOAT, (item,)
    if isinstance(item, ndarray()):
        import numpy as np

        _require_plain_array(item, place)
        return Array(item.shape, np.dtype(float), item.size), [
            number_at(element, "", place) for element in item.ravel().tolist()
        ]
    number = as_float(item)
    if number is None:
        raise TypeError(
            f"{place} must be a Value, an array of Values, or a list, tuple or dict of them, got {in_words(item)}"
        )
    return FLOAT, (number,)


def anything(item: Any, place: Place | str) -> tuple[Leaf, Sequence[Any]]:
    """A Value or an array of Values, or of these and numbers; all else stays as it is."""
    if isinstance(item, Value):
        return FLOAT, (item,)
    if isinstance(item, ndarray()) and item.dtype == object and item.size:
        elements = item.ravel().tolist()
        values = [isinstance(element, Value) for element in elements]
        if any(values) and all(
            is_value or as_float(element) is not None for element, is_value in zip(elements, values)
        ):
            import numpy as np

            return Array(item.shape, np.dtype(float), item.size), elements
    return Opaque(item), ()


def _require_plain_array(array: Any, place: Place | str) -> None:
    """Refuse a matrix, a masked array and the like: a function would get something else in its place."""
    import numpy as np

    if type(array) is not np.ndarray:
        raise TypeError(f"{place} must be a plain array, got a {type(array).__name__}: use np.asarray, or .filled()")

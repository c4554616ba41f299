"""What an optimizer remembers, as JSON and arrays: its attributes except the parameters, there and back."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.engine.quiet import quiet
from tinygrad_scalar.nn.optim import Optimizer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_scalar.engine.bulk import Array

    Arrays = dict[str, NDArray[Any]]

ARRAY = "array"  # {"array": "float64"} stands for one in JSON


def state_of(optimizer: Optimizer) -> tuple[dict[str, Any], Arrays]:
    """Its attributes as JSON can hold them, and the arrays among them, copied.

    TypeError if one is neither a number, a text, None, a list of such, nor an array of float64 or int64.
    """
    import numpy as np

    name = type(optimizer).__name__
    slots = [base.__name__ for base in type(optimizer).__mro__ if vars(base).get("__slots__")]
    if slots:
        raise TypeError(f"a checkpoint cannot hold the state of {name}: it has __slots__; use plain attributes")
    texts: dict[str, Any] = {}
    arrays: Arrays = {}
    for attribute, part in vars(optimizer).items():
        if attribute == "parameters":
            continue
        if isinstance(part, np.ndarray) and part.dtype in (np.float64, np.int64):
            if any(np.may_share_memory(part, other) for other in arrays.values()):
                raise TypeError(f"a checkpoint cannot hold the state of {name}: two arrays of it share their memory")
            texts[attribute], arrays[attribute] = {ARRAY: str(part.dtype)}, part
        else:
            texts[attribute] = _as_json(part, f"a checkpoint cannot hold the state of {name}: its {attribute}")
    return texts, {attribute: np.array(part, order="C") for attribute, part in arrays.items()}


def restored(optimizer: Optimizer, texts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """The attributes that `state_of` told apart, for `vars(optimizer)`; ValueError if they do not fit the optimizer."""
    found = {}
    for attribute, part in texts.items():
        if attribute == "parameters" or callable(getattr(type(optimizer), attribute, None)):
            raise ValueError(f"its optimizer has the state {shown(attribute)}, which is no number")
        found[attribute] = arrays[attribute].copy() if attribute in arrays else _from_json(part)
    missing = [attribute for attribute in vars(optimizer) if attribute not in found and attribute != "parameters"]
    if missing:
        raise ValueError(f"its optimizer has no {missing[0]}")
    return found


def require_step(optimizer: Optimizer, state: Mapping[str, Any], parameters: Array) -> None:
    """ValueError unless an optimizer in this state can take a step from these parameters; `optimizer` takes none."""
    import numpy as np

    if type(optimizer).step is not Optimizer.step:
        return  # it need not use what it is given
    twin = copy.copy(optimizer)
    vars(twin).update(copy.deepcopy(dict(state)))
    try:
        with quiet(all="ignore"):
            stepped = twin.stepped(parameters.copy(), np.zeros(len(parameters)))
        fits = np.shape(stepped) == np.shape(parameters)
    except Exception as error:  # whatever a strange state leads to
        raise ValueError(f"its optimizer's state takes no step: {error}") from None
    if not fits:
        raise ValueError(f"its optimizer's state makes a step of the shape {np.shape(stepped)}")


def _as_json(part: Any, what: str) -> Any:
    """The part as JSON gives it back, a tuple as {"tuple": list}."""
    import numpy as np

    if isinstance(part, np.generic):
        part = part.item()
    if isinstance(part, tuple) and type(part) is tuple:
        return {"tuple": [_as_json(inner, what) for inner in part]}
    if type(part) is list:
        return [_as_json(inner, what) for inner in part]
    if part is None or type(part) in (bool, int, float, str):
        try:
            json.dumps(part)
        except ValueError as error:
            raise TypeError(f"{what} is too long ({error})") from None
        return part
    raise TypeError(
        f"{what} is {shown(part)}; it must be a number, a text, None, a list of such, or an array of float64 or int64"
    )


def _from_json(part: Any) -> Any:
    if isinstance(part, list):
        return [_from_json(inner) for inner in part]
    if not isinstance(part, dict):
        return part
    if list(part) != ["tuple"] or not isinstance(part["tuple"], list):
        raise ValueError(f"its optimizer has the state {shown(part)}, which is no number")
    return tuple(_from_json(inner) for inner in part["tuple"])

"""What a function read while it was traced, and whether it still stands there: else the next call traces anew.

That is about variables, globals, attributes and entries of dicts to which something else is assigned. The user's own
are looked at in every call. What stands inside the library's networks, in lists and in large dicts is looked at when a
Value was made or set since, which is what it takes to put a new Value there. Numbers there and in arrays are not looked
at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from operator import is_
from types import BuiltinFunctionType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any

from tinygrad_scalar.vectorize.reach import ABSENT, Elements, Entry, Numbers, Place, Slot, Table, is_same_number
from tinygrad_scalar.vectorize.scalar_program import executor

SMALL = 64  # entries of a dict
CODE = (
    BuiltinFunctionType,
    FunctionType,
    MethodType,
    ModuleType,
    type,
    property,
    staticmethod,
    classmethod,
)  # rarely replaced: not looked at in each call


class Readings:
    """The places that stayed the same while the function was traced: its own caches and counts did not.

    quick  those that every call looks at, as triples, see `still_held`
    """

    def __init__(self, places: Iterable[Place] = (), inside: Iterable[Place] = ()) -> None:
        ours = list(filter(_is_looked_at, places))
        outside = [triple for place in ours if not _is_beyond(place) for triple in _triples(place)]
        self.quick = _flat([triple for triple in outside if not issubclass(type(triple[2]), CODE)])
        beyond = [
            triple
            for place in (*filter(_is_beyond, ours), *filter(_is_looked_at, inside))
            for triple in _triples(place)
        ]
        native = executor() if outside or beyond else None
        held = still_held if native is None else native.still_held
        self.quick_held: Callable[[], bool] = partial(held, self.quick)
        self.all_held: Callable[[], bool] = partial(held, _flat([*outside, *beyond]))


def _is_looked_at(place: Place) -> bool:
    if isinstance(place, (Numbers, Table)):
        return False
    if isinstance(place, Elements) and _is_beyond(place) and place.is_of_numbers():
        return False
    return place.unchanged()


def _is_beyond(place: Place) -> bool:
    """Whether it is a list, or a dict too large to be looked at in each call."""
    return isinstance(place, Elements) and not (type(place.container) is dict and len(place.container) <= SMALL)


def _triples(place: Place) -> Iterator[tuple[Any, Any, Any]]:
    if isinstance(place, (Slot, Entry)):
        yield place.owner if isinstance(place, Slot) else place.names, place.name, place.held
    elif isinstance(place, Elements) and type(place.container) is list:
        yield place.container, None, place.held
    elif isinstance(place, Elements) and type(place.container) is dict:
        yield from ((place.container, key, held) for key, held in place.container.items() if type(key) is str)


def _flat(triples: Iterable[tuple[Any, Any, Any]]) -> tuple[Any, ...]:
    return tuple(chain.from_iterable(triples))


def still_held(places: tuple[Any, ...]) -> bool:
    """Whether each place, three items of the tuple, still holds its object; in C: _held.pxi."""
    return all(_held(*places[i : i + 3]) for i in range(0, len(places), 3))


def _held(owner: Any, name: Any, held: Any) -> bool:
    if type(owner) is list:
        return len(owner) == len(held) and all(map(is_, owner, held))
    is_dict = type(owner) in (dict, MappingProxyType)
    now = owner.get(name, ABSENT) if is_dict else getattr(owner, name, ABSENT)
    return now is held or is_same_number(now, held)


NOTHING = Readings()

"""What a function read while it was traced, and whether it is still the same; if not, the next call traces anew.

That is about variables, globals and attributes to which something else is assigned, functions too, and about small
lists, dicts and arrays of which something is replaced, added or removed. They are looked at in every call; large ones,
and the weights of the library's networks, when a Value was made or set since, which is what it takes to put a new Value
there. Numbers in large ones are looked at only where somebody asks: `fit` does, at its beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain, islice
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple

from tinygrad_scalar.engine import Value
from tinygrad_scalar.vectorize.attributes import ABSENT, attribute_of
from tinygrad_scalar.vectorize.executor import executor
from tinygrad_scalar.vectorize.held_places import (
    PLAIN,
    Elements,
    Entry,
    Numbers,
    Place,
    Slot,
    State,
    Table,
    elements_of,
    is_same_number,
    kinds_of,
)
from tinygrad_scalar.vectorize.states import BYTES

SMALL = 128  # elements of a container; a dict has two for each entry


class Hashed(NamedTuple):
    """An array and the hash of its numbers: a copy could be large."""

    array: Any
    held: int

    def unchanged(self) -> bool:
        return hash_of(self.array) == self.held


class Bytes(NamedTuple):
    """A small array and its numbers."""

    array: Any
    held: tuple[Any, ...]

    def unchanged(self) -> bool:
        return bytes_of(self.array) == self.held


def bytes_of(array: Any) -> tuple[Any, ...]:
    return array.shape, array.dtype, array.tobytes()


def hash_of(array: Any) -> int:
    return hash((array.shape, array.dtype, array.tobytes()))


class Readings:
    """The places that stayed the same while the function was traced: its own caches and counts did not.

    quick     those that every call looks at, as triples, see `still_held`
    networks  the attributes of the library's networks among them
    """

    def __init__(
        self, places: Iterable[Place] = (), inside: Iterable[Place] = (), networks: Sequence[dict[str, Any]] = ()
    ) -> None:
        self.networks = networks
        parts = [part for place in places for part in _in_small_parts(place)]
        outside = list(filter(_is_looked_at, parts))
        quick, beyond = list(filter(_is_quick, outside)), [place for place in outside if not _is_quick(place)]
        self.quick = flat(quick)
        held = still_held_in_c()
        self.quick_held: Callable[[], bool] = partial(held, self.quick)
        self.all_held: Callable[[], bool] = partial(held, flat([*quick, *beyond, *filter(_is_looked_at, inside)]))
        numbers = [part for part in parts if _holds_numbers(part) and part.unchanged()]
        self._numbers = [Hashed(p.array, hash_of(p.array)) if isinstance(p, Numbers) else p for p in numbers]

    def numbers_held(self) -> bool:
        """Whether the numbers in lists and arrays are the same, too."""
        return all(place.unchanged() for place in self._numbers)


def _in_small_parts(place: Place) -> Sequence[Place | Bytes]:
    """The place itself, or, if it holds few numbers, parts that every call can look at."""
    if isinstance(place, Numbers) and place.held.size <= SMALL:
        return [Bytes(place.array, bytes_of(place.held))]
    if isinstance(place, Table) and len(place.held) <= SMALL:
        numbers = iter(place.held)
        return [Elements(row, [*islice(numbers, length)]) for row, length in zip(place.rows, place.lengths)]
    return [place]


def _is_looked_at(place: Place | Bytes) -> bool:
    return not _holds_numbers(place) and place.unchanged()


def _holds_numbers(place: Place | Bytes) -> bool:
    """Whether it holds many numbers or texts."""
    if isinstance(place, State):
        return isinstance(place.thing, BYTES) and len(place.thing) > SMALL
    if isinstance(place, Elements):
        return len(place.held) > SMALL and PLAIN.issuperset(kinds_of(place.held))
    return isinstance(place, (Numbers, Table))


def _is_quick(place: Place | Bytes) -> bool:
    """Whether every call looks at it: not if it is large, a list of weights, or a module, which nobody replaces."""
    if isinstance(place, Bytes):
        return True
    if isinstance(place, (Elements, State)):
        return len(place.held) <= SMALL and not _is_of_weights(place)
    return not issubclass(type(place.held), ModuleType)


def _is_of_weights(place: Elements | State) -> bool:
    kinds = kinds_of(place.held)
    return type(place[0]) is list and bool(kinds) and all(issubclass(kind, Value) for kind in kinds)


def flat(places: Iterable[Place | Bytes]) -> tuple[Any, ...]:
    """Three items for each place: its owner, a name or None, and what it held."""
    return tuple(chain.from_iterable(_triple(place) for place in places if not isinstance(place, (Numbers, Table))))


def _triple(place: Entry | Slot | Elements | State | Bytes) -> tuple[Any, Any, Any]:
    if isinstance(place, (Elements, State, Bytes)):
        return place[0], None, place.held
    return place[0], place.name, place.held


def still_held_in_c() -> Callable[[tuple[Any, ...]], bool]:
    """The same as `still_held`, compiled if it can be."""
    native = executor()
    found: Callable[[tuple[Any, ...]], bool] = still_held if native is None else native.still_held
    return found


def still_held(places: tuple[Any, ...]) -> bool:
    """Whether each place, three items of the tuple, still holds its object; in C: _held.pxi."""
    return all(_held(*places[i : i + 3]) for i in range(0, len(places), 3))


def _held(owner: Any, name: Any, held: Any) -> bool:
    if type(held) is tuple and name is None:
        return bytes_of(owner) == held
    if name is None:
        elements = elements_of(owner)
        return len(elements) == len(held) and all(x is y or is_same_number(x, y) for x, y in zip(elements, held))
    is_dict = type(owner) in (dict, MappingProxyType)
    now = owner.get(name, ABSENT) if is_dict else attribute_of(owner, name)
    return now is held or is_same_number(now, held)


NOTHING = Readings()

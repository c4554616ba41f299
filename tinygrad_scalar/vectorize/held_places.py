"""Where a function finds numbers and objects, what stood there, and whether it still does."""

from __future__ import annotations

from collections import OrderedDict, deque
from itertools import chain, zip_longest
from operator import is_
from typing import Any, NamedTuple

from tinygrad_scalar.engine import Value
from tinygrad_scalar.vectorize.attributes import ABSENT, attribute_of
from tinygrad_scalar.vectorize.executor import executor
from tinygrad_scalar.vectorize.states import state_of

PLAIN = frozenset({int, float, bool, complex, str, bytes, type(None)})
NUMBERS = PLAIN | {Value}  # what a long list mostly holds
CONTAINERS: tuple[type[Any], ...] = (list, tuple, dict, set, frozenset, deque)


class Entry(NamedTuple):
    """A name in a module's globals, or an attribute in the __dict__ of an object or a class, and what it held."""

    names: Any
    name: str
    held: object

    def unchanged(self) -> bool:
        return self.names.get(self.name, ABSENT) is self.held

    def has_new_number(self) -> bool:
        return type(self.held) in PLAIN


class Slot(NamedTuple):
    """A variable of an enclosing function, or an attribute without a __dict__."""

    owner: Any
    name: str
    held: object

    def unchanged(self) -> bool:
        return attribute_of(self.owner, self.name) is self.held

    def has_new_number(self) -> bool:
        return type(self.held) in PLAIN


class Elements(NamedTuple):
    """A list, or another container whose elements can be replaced."""

    container: Any
    held: list[Any]

    def unchanged(self) -> bool:
        now = self.container if type(self.container) is list else elements_of(self.container)
        return _same_objects(now, self.held)

    def has_new_number(self) -> bool:
        now = elements_of(self.container)
        return any(type(new) in PLAIN for new, old in zip_longest(now, self.held) if new is not old)


class Table(NamedTuple):
    """The lists of plain numbers in a container, which are looked at together because there can be many."""

    container: Any
    rows: list[Any]
    lengths: list[int]
    held: list[Any]

    def unchanged(self) -> bool:
        return [*map(len, self.rows)] == self.lengths and _same_objects([*chain.from_iterable(self.rows)], self.held)

    def has_new_number(self) -> bool:
        return True


class Numbers(NamedTuple):
    """An array."""

    array: Any
    held: Any

    def unchanged(self) -> bool:
        array, held = self.array, self.held
        return array.shape == held.shape and array.dtype == held.dtype and bool(array.tobytes() == held.tobytes())

    def has_new_number(self) -> bool:
        return True


class State(NamedTuple):
    """The state of a thing that no attribute shows: see states.py."""

    thing: Any
    held: list[Any]

    def unchanged(self) -> bool:
        now = elements_of(self.thing)
        return len(now) == len(self.held) and all(map(_is_same, now, self.held))

    def has_new_number(self) -> bool:
        return True


Place = Entry | Slot | Elements | Table | Numbers | State


def elements_of(container: Any) -> list[Any]:
    """The elements of a container, even if iterating over its class gives others; the state of what has one."""
    kind = type(container)
    if kind not in CONTAINERS:
        bases = [base for base in CONTAINERS if issubclass(kind, base)]
        if not bases:
            return state_of(container) or []
        kind = bases[0]
    if kind is dict and issubclass(type(container), OrderedDict):  # its order is its own
        keys = [*OrderedDict.__iter__(container)]
        return [*keys, *(dict.__getitem__(container, key) for key in keys)]
    if kind is dict:
        return [*dict.__iter__(container), *dict.values(container)]
    return [*kind.__iter__(container)]


def kinds_of(things: list[Any]) -> set[type]:
    """The types of the elements."""
    native = executor()
    found: set[type] = set(map(type, things)) if native is None else native.kinds(things)
    return found


def kinds_in_rows(rows: list[Any]) -> set[type]:
    """The types of the elements of lists and tuples."""
    native = executor()
    found: set[type] = set(map(type, chain.from_iterable(rows))) if native is None else native.kinds_in_rows(rows)
    return found


def _same_objects(now: list[Any], held: list[Any]) -> bool:
    native = executor()
    if native is not None:
        return bool(native.same_objects(now, held))
    return len(now) == len(held) and all(map(is_, now, held))


def _is_same(now: object, held: object) -> bool:
    return now is held or is_same_number(now, held)


def is_same_number(now: object, held: object) -> bool:
    """Whether two plain numbers, or texts, are the same; −0 and 0 are not, nor are 1 and 1.0."""
    return type(now) is type(held) and type(now) in PLAIN and repr(now) == repr(held)

"""What a side of ts.cond changes outside of it is undone, as if the side had not run.

An example finds only what its own side changed, but a trace runs both. So the function is traced twice: once with what
both sides changed, and once without. If both give the same graph, no change is ever read, such as the activations that
a layer keeps for its user to look at. Otherwise there would be no one program for all examples.
"""

from __future__ import annotations

import dis
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from types import CellType, CodeType, FunctionType
from typing import Any

from tinygrad_scalar.vectorize.reach import ABSENT, Elements, Entry, Numbers, Place, Reach, Slot

FILLED_BY: dict[type[Any], Callable[..., Any]] = {list: list.extend, set: set.update, deque: deque.extend}
MOST_ELEMENTS = 1_000_000  # in all sides of a trace together: thousands of sides may share large lists


class Surroundings(Reach):
    """Everything that a side can read or assign to."""

    def __init__(self, side: Callable[[], Any]) -> None:
        self._names_of_cells: dict[int, str] = {}
        super().__init__(side)

    def _visit_function(self, function: FunctionType) -> None:
        cells = zip(function.__code__.co_freevars, function.__closure__ or ())
        self._names_of_cells |= {id(cell): name for name, cell in cells}
        super()._visit_function(function)
        for code in _all_within(function.__code__):
            attributes, variables = _assigned_in(code)
            self.attributes |= attributes
            for name in variables:
                self._place(Entry(function.__globals__, name, function.__globals__.get(name, ABSENT)))

    def undo(self) -> list[str]:
        """Put back what was changed; what that is, in words."""
        changed = [place for place in self.places if not place.unchanged()]
        return [self._in_words(place) for place in changed if _put_back(place)]

    def _in_words(self, place: Place) -> str:
        if isinstance(place, Entry) or (isinstance(place, Slot) and not isinstance(place.owner, CellType)):
            return place.name
        if isinstance(place, Slot):
            return self._names_of_cells.get(id(place.owner), "a variable")
        thing = place.container if isinstance(place, Elements) else getattr(place, "array", None)
        its = [
            self._in_words(other) for other in self.places if isinstance(other, (Entry, Slot)) and other.held is thing
        ]
        return f"the {type(thing).__name__} {its[0]}" if its else f"a {type(thing).__name__}"

    def size(self) -> int:
        return sum(len(place.held) if isinstance(place, Elements) else 1 for place in self.places)


@lru_cache(maxsize=1024)
def _assigned_in(code: CodeType) -> tuple[frozenset[str], frozenset[str]]:
    """The names of the attributes and of the global variables that a function's code assigns to."""
    steps = [(step.opname.partition("_"), step.argval) for step in dis.get_instructions(code)]
    to = {
        kind: frozenset(name for (does, _, what), name in steps if does in ("STORE", "DELETE") and what == kind)
        for kind in ("ATTR", "GLOBAL")
    }
    return to["ATTR"], to["GLOBAL"]


def _all_within(code: CodeType) -> list[CodeType]:
    found = [code]
    for outer in found:
        found += [constant for constant in outer.co_consts if isinstance(constant, CodeType)]
    return found


def _put_back(place: Place) -> bool:
    """Whether that could be done."""
    if isinstance(place, Elements):
        _refill(place.container, place.held)
    elif isinstance(place, Numbers) and place.array.shape == place.held.shape and place.array.flags.writeable:
        place.array[...] = place.held
    elif isinstance(place, Entry) and type(place.names) is dict:
        place.names.update({place.name: place.held})
        if place.held is ABSENT:
            del place.names[place.name]
    elif isinstance(place, Slot) and place.held is ABSENT:
        object.__delattr__(place.owner, place.name)
    elif isinstance(place, Slot):
        object.__setattr__(place.owner, place.name, place.held)
    else:
        return False
    return True


def _refill(container: Any, elements: list[Any]) -> None:
    """Without the methods that a class of the user's may have."""
    if isinstance(container, dict):
        half = len(elements) // 2
        dict.clear(container)
        dict.update(container, zip(elements[:half], elements[half:]))
        return
    kind: Any = next(kind for kind in FILLED_BY if isinstance(container, kind))
    kind.clear(container)
    FILLED_BY[kind](container, elements)

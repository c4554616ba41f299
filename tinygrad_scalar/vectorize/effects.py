"""What a side of ts.cond changes outside of it is undone, as if the side had not run.

An example finds only what its own side changed, but a trace runs both. So the function is traced twice: once with what
both sides changed, and once without. If both give the same graph, no change is ever read, such as the activations that
a layer keeps for its user to look at. Otherwise there would be no one program for all examples. As what is changed
twice, such as a list that is reversed, can be as before, it is then traced with the first changes alone; and if more
than one side changes something, with the changes of the sides that an example takes: for each way through a few
conditions, and for some of many (independent_sides.py). What cannot be put back is refused (states.py).
"""

from __future__ import annotations

import dis
from collections import OrderedDict, deque
from collections.abc import Callable, Container, Sequence
from functools import lru_cache
from itertools import chain, islice
from types import CellType, CodeType, FunctionType, MemberDescriptorType, ModuleType
from typing import Any

from tinygrad_scalar.engine import Value
from tinygrad_scalar.vectorize.attributes import ABSENT, attribute_of, own_attributes
from tinygrad_scalar.vectorize.held_places import (
    CONTAINERS,
    NUMBERS,
    Elements,
    Entry,
    Numbers,
    Place,
    Slot,
    State,
    Table,
    elements_of,
    kinds_of,
)
from tinygrad_scalar.vectorize.reach import Reach, is_of_a_library_class
from tinygrad_scalar.vectorize.readings import flat, still_held_in_c
from tinygrad_scalar.vectorize.states import is_generator, put_back, state_of

FILLED_BY: dict[type[Any], Callable[..., Any]] = {list: list.extend, set: set.update, deque: deque.extend}
BY_NAME = {"globals", "vars", "setattr", "delattr", "__dict__", "exec", "eval"}  # these change what no name tells
MOST_ELEMENTS = 20_000_000  # in all sides of a trace together: thousands of sides may share large lists


class UndoError(Exception):
    """A change that cannot be undone; its message names what was changed."""


class Surroundings(Reach):
    """Everything that a side can read or assign to.

    The sides of a loop have the same code, and reach the same but for some Values, numbers and lists of these in their
    variables: `follow` goes from one to the next.
    """

    def __init__(self, side: Callable[[], Any]) -> None:
        self._names_of_cells: dict[int, str] = {}
        self._side = side
        self._contents = _contents_of(side)
        self._varying = [*map(_can_vary, self._contents)]
        self._mappings: list[Any] = []
        self._things: list[Any] = []
        self._classes: set[type] = set()
        self._sets_labels = False
        self._by_name: dict[int, dict[str, Any]] = {}
        super().__init__(side)
        if self._by_name:
            modules = [own_attributes(thing) for thing in self._things if issubclass(type(thing), ModuleType)]
            self._by_name |= {id(own): own for own in modules}
            self.places += [Elements(own, elements_of(own)) for own in self._by_name.values()]
        if self._sets_labels:
            self._look_at_labels()
        self._kinds = [*map(type, self._things)]
        self._sizes = [*map(len, self._mappings)]
        self._arrays = [place for place in self.places if isinstance(place, (Numbers, Table))]
        self._still_held, self._held = still_held_in_c(), flat([*self.places, *self.inside])
        self._size = sum(map(_size, self.places)) + len(self._contents)
        self._look_at_variables()

    def _visit(self, thing: Any) -> None:
        is_number = _is_number(type(thing))
        if not is_number and issubclass(type(thing), Value) and id(thing) not in self._seen:
            self._seen[id(thing)] = thing
            self._things.append(thing)
            own = own_attributes(thing)
            self.places.append(Elements(own, elements_of(own)))
            self._watch_classes(thing)
        elif not is_number:
            if is_generator(thing) and id(thing) not in self._seen:
                self.places.append(State(thing, state_of(thing) or []))
            super()._visit(thing)

    def _visit_function(self, function: FunctionType) -> None:
        cells = zip(function.__code__.co_freevars, function.__closure__ or ())
        self._names_of_cells |= {id(cell): name for name, cell in cells}
        self._mappings.append(function.__globals__)
        super()._visit_function(function)
        for code in _all_within(function.__code__):
            attributes, variables = _assigned_in(code)
            self.attributes |= attributes
            self._sets_labels |= "label" in attributes or "setattr" in code.co_names
            if not BY_NAME.isdisjoint(code.co_names):
                self._by_name[id(function.__globals__)] = function.__globals__
            for name in variables:
                self._place(Entry(function.__globals__, name, function.__globals__.get(name, ABSENT)))

    def _place_variable(self, function: FunctionType, place: Slot) -> None:
        if function is not self._side or place.name == "__kwdefaults__":
            self._place(place)
        else:
            held: Any = place.held if place.name == "__defaults__" else [place.held]
            self._todo += [thing for thing in held if not _can_vary(thing)]

    def _own(self, thing: Any) -> None:
        super()._own(thing)
        kind, own = type(thing), own_attributes(thing)
        self._mappings.append(own)
        self._things.append(thing)
        self._watch_classes(thing)
        is_the_users = kind is FunctionType or not is_of_a_library_class(kind) or _is_namespace(kind)
        if thing is not self._side and is_the_users and not any(own is known for known in self.networks):
            self.places.append(Elements(own, elements_of(own)))  # also what it gets a name for
        for base in kind.__mro__:
            if not is_of_a_library_class(base):
                slots = [name for name, held in vars(base).items() if type(held) is MemberDescriptorType]
                self.places += [Slot(thing, name, attribute_of(thing, name)) for name in slots]

    def _watch_classes(self, thing: Any) -> None:
        for kind in (*(thing.__mro__ if issubclass(type(thing), type) else ()), *type(thing).__mro__):
            if kind not in self._classes and not is_of_a_library_class(kind):
                self._classes.add(kind)
                self.places.append(State(kind, elements_of(kind)))

    def _place_in_classes(self, owner: Any, base: type, name: str) -> None:
        self._todo.append(vars(base)[name])  # where it stands is watched with all of its class

    def _look_at_labels(self) -> None:
        """Watch the labels of all Values that can be reached."""
        reached = [*self._contents, *self.objects, *(place.held for place in self.places)]
        reached += chain.from_iterable(elements_of(some) for some in reached if type(some) in CONTAINERS)
        values = {id(value): value for value in reached if issubclass(type(value), Value)}
        self.places += [Slot(value, "label", value.label) for value in values.values()]

    def _look_at_variables(self) -> None:
        """Note what the variables of the side hold: a triple for each, see `still_held`."""
        held: list[Any] = []
        self._size_of_lists = 0
        if type(self._side) is FunctionType:
            side, own = self._side, self._side.__dict__
            held += (side, "__code__", side.__code__, side, "__defaults__", side.__defaults__)
            held += (own, None, elements_of(own) if own else [])
        for cell, content in zip(_cells_of(self._side), self._contents):
            held += (cell, "cell_contents", content)
        for content, varies in zip(self._contents, self._varying):
            if varies and type(content) in (list, dict):
                held += (content, None, elements_of(content))
                self._size_of_lists += len(content)
        self._variables = tuple(held)

    def follow(self, side: FunctionType) -> bool:
        """Become the surroundings of another side of the same code; False if it reaches something else."""
        contents = _contents_of(side)
        if len(contents) != len(self._contents) or side.__kwdefaults__ or side.__dict__ or self._sets_labels:
            return False
        if side.__globals__ is not self._side.__globals__ or [*map(type, self._things)] != self._kinds:
            return False
        for held, varies, now in zip(self._contents, self._varying, contents):
            if not (type(now) in NUMBERS or _can_vary(now) if varies else now is held):
                return False
        if [*map(len, self._mappings)] != self._sizes or not self._is_held():
            return False
        self._side, self._contents = side, contents
        self._look_at_variables()
        return True

    def _is_held(self) -> bool:
        return self._still_held(self._held) and (not self._arrays or all(place.unchanged() for place in self._arrays))

    def are_as_before(self) -> bool:
        return self._still_held(self._variables) and self._is_held()

    def undo(self, known: Container[str] | None = None) -> list[str]:
        """Put back what was changed, unless something is not among what is `known`; what that is, in words.

        UndoError with the words if something cannot be put back.
        """
        if cells := _cells_of(self._side):
            self._names_of_cells |= zip(map(id, cells), self._side.__code__.co_freevars)
        triples = zip(*(self._variables[k::3] for k in range(3)))
        places: list[Place] = [Slot(*triple) if triple[1] else Elements(triple[0], triple[2]) for triple in triples]
        places += self.places
        changed = [place for place in places if not place.unchanged()]
        named = [self._in_words(place, places) for place in changed]
        if known is not None and not all(words in known for words in named):
            return named
        if stays := [words for words, place in zip(named, changed) if not _put_back(place)]:
            raise UndoError(stays[0])
        return named

    def _in_words(self, place: Place, places: Sequence[Place]) -> str:
        if isinstance(place, Entry) or (isinstance(place, Slot) and not isinstance(place.owner, CellType)):
            return place.name
        if isinstance(place, Slot):
            return self._names_of_cells.get(id(place.owner), "a variable")
        thing: Any = place[0]
        if id(thing) in self._by_name:
            return ", ".join(map(str, _changed_names(thing, place.held)))
        if isinstance(place, State) and issubclass(type(thing), type):
            return ", ".join(_changed_names({**vars(thing)}, place.held))
        if isinstance(place, Elements) and any(thing is own_attributes(owner) for owner in (self._side, *self._things)):
            return ", ".join(_changed_names(thing, place.held))
        named = [
            self._in_words(other, places)
            for other in places
            if isinstance(other, (Entry, Slot)) and other.held is thing
        ]
        return f"the {type(thing).__name__} {named[0]}" if named else f"a {type(thing).__name__}"

    def size(self) -> int:
        return self._size + self._size_of_lists


def _changed_names(own: dict[str, Any], held: list[Any]) -> list[str]:
    before = dict(zip(held, held[len(held) // 2 :]))
    return [name for name in {**before, **own} if own.get(name, ABSENT) is not before.get(name, ABSENT)]


def _size(place: Place) -> int:
    return len(place.held) if isinstance(place, (Elements, State)) else 1


def _cells_of(side: Any) -> tuple[CellType, ...]:
    return (side.__closure__ or ()) if type(side) is FunctionType else ()


def _contents_of(side: Any) -> list[Any]:
    """The contents of the variables that a function has from those around it, then its defaults."""
    if type(side) is not FunctionType:
        return []
    cells, defaults = side.__closure__ or (), side.__defaults__ or ()
    try:
        return [*(cell.cell_contents for cell in cells), *defaults]
    except ValueError:  # one is empty
        return [*(attribute_of(cell, "cell_contents") for cell in cells), *defaults]


def _can_vary(thing: Any) -> bool:
    """Whether nothing more can be reached from a variable's content than Values and numbers."""
    kind = type(thing)
    if kind in (list, tuple, dict):
        return all(map(_is_number, kinds_of(thing if kind is list else elements_of(thing))))
    return _is_number(kind)


def _is_namespace(kind: type[Any]) -> bool:
    """Whether the attributes are the user's, though the class is a library's."""
    return (kind.__module__, kind.__name__) in (("types", "SimpleNamespace"), ("argparse", "Namespace"))


def _is_number(kind: type[Any]) -> bool:
    return kind in NUMBERS or (issubclass(kind, Value) and kind.__dictoffset__ == 0)  # a user's own has attributes


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
    if isinstance(place, State):
        return put_back(place.thing, place.held)
    if isinstance(place, Elements):
        _refill(place.container, place.held)
    elif isinstance(place, Numbers) and place.array.shape == place.held.shape and place.array.flags.writeable:
        place.array[...] = place.held
    elif isinstance(place, Entry) and type(place.names) is dict:
        place.names.update({place.name: place.held})
        if place.held is ABSENT:
            del place.names[place.name]
    elif isinstance(place, Table):
        numbers = iter(place.held)
        for row, length in zip(place.rows, place.lengths):
            row[:] = islice(numbers, length)
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
        of_entries: Any = OrderedDict if isinstance(container, OrderedDict) else dict
        held = dict(zip(elements, elements[len(elements) // 2 :]))
        now = elements_of(container)
        if [key for key in now[: len(now) // 2] if key in held] != [*held]:  # they stand in another order
            of_entries.clear(container)
        for key in [key for key in dict.__iter__(container) if key not in held]:
            of_entries.__delitem__(container, key)
        for key, value in held.items():
            if dict.get(container, key, ABSENT) is not value:
                of_entries.__setitem__(container, key, value)
        return
    kind: Any = next(kind for kind in FILLED_BY if isinstance(container, kind))
    kind.clear(container)
    FILLED_BY[kind](container, elements)

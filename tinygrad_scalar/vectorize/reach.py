"""What a function can read besides its arguments: closures, globals, defaults, attributes, lists and arrays, found by
following the names in its code. None of the users' code runs for that: not what a class defines for attributes, for
iteration, or as its `__class__`.

A traced program holds the numbers that were there when it was traced. `Reach` remembers where they stood, so that a
number that changes from run to run is noticed, and finds the random generators among them.
"""

from __future__ import annotations

import sys
import sysconfig
import threading
import weakref
from collections import ChainMap, UserDict, UserList, defaultdict, deque
from contextvars import ContextVar
from functools import lru_cache, partial
from itertools import chain
from operator import attrgetter, methodcaller
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, MethodType, MethodWrapperType, ModuleType
from typing import Any, cast

import numpy as np

from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.errors import PACKAGE
from tinygrad_scalar.engine.tracing import LastCall
from tinygrad_scalar.primitives.primitive import Primitive
from tinygrad_scalar.vectorize.attributes import ABSENT, attribute_of, own_attributes
from tinygrad_scalar.vectorize.code_names import imported, names_in, with_nested
from tinygrad_scalar.vectorize.held_places import (
    CONTAINERS,
    NUMBERS,
    PLAIN,
    Elements,
    Entry,
    Numbers,
    Place,
    Slot,
    State,
    Table,
    elements_of,
    is_same_number as is_same_number,
    kinds_in_rows,
    kinds_of,
)
from tinygrad_scalar.vectorize.states import has_state, held_within, is_iterator, state_of

MOST_OBJECTS = 100_000  # what lies beyond is not followed: a function that reads so much has a large table of data
LIBRARIES = tuple({PACKAGE, *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))})
ROWS = frozenset({list, tuple})
WRAPPERS = (UserDict, UserList, ChainMap)  # of containers, in attributes that only library code names
# Names by which code finds what its own names do not tell, and kinds of objects that hold what no name tells.
DYNAMIC = {"__dict__", "__getattribute__", "__import__", "eval", "exec", "getattr", "globals", "locals", "vars"}
DYNAMIC |= {"attrgetter", "getmembers", "import_module", "methodcaller", "modules"}
OPAQUE = (weakref.ref, ContextVar, threading.local, attrgetter, methodcaller, type(lru_cache(len)))
UNREAD = {"__dict__", "__weakref__", "__doc__", "__module__", "__init__", "__new__", "__del__", "__repr__"}


class Reach:
    """Everything that `function` can read.

    codes       the code that it can run, as far as it is not a library's
    places      where it finds numbers and objects, with what stands there now
    networks    the attributes of the library's networks; `inside` has them one by one, and `places` does not
    generators  NumPy's random generators
    iterators   what gives something else each time: iterators, open files; of those `unknown` nothing tells how far
                they are
    is_complete whether that is all: not if it looks up names that it computes, or reads caches or weak references
    attributes  the names of attributes that its code reads; `found` are those that some object or module has
    objects     what was followed, and what it can call of libraries: can_draw.py looks at them
    """

    def __init__(self, function: Any) -> None:
        self.codes: set[CodeType] = set()
        self.places: list[Place] = []
        self.inside: list[Entry] = []
        self.networks: list[dict[str, Any]] = []
        self.generators: list[Any] = []
        self.iterators: list[Any] = []
        self.unknown: list[Any] = []
        self.is_complete = True
        self.attributes: set[str] = set()
        self.found: set[str] = set()
        self.objects: list[Any] = []
        self._owners: list[tuple[Any, set[str]]] = []  # objects, and the names already looked up in them
        self.in_classes: dict[tuple[type, str], Entry] = {}  # classes, and the names already looked up in them
        self._seen: dict[int, object] = {}
        self._todo: deque[Any] = deque([function])
        self._follow()
        self.objects += self._seen.values()
        del self._owners, self._todo, self._seen

    def runs_in(self, frame: FrameType | None) -> bool:
        """Whether some of the function's code is being executed in `frame` or below it."""
        while frame is not None and frame.f_code not in self.codes:
            frame = frame.f_back
        return frame is not None

    def unchanged(self) -> bool:
        """Whether all that it can read still stands where it stood."""
        return all(place.unchanged() for place in chain(self.places, self.inside))

    def numbers_changed(self) -> bool:
        """Whether a plain number changed, such as a count of the function's calls."""
        return any(place.has_new_number() for place in self.places if not place.unchanged())

    def _follow(self) -> None:
        known = -1
        while len(self._seen) < MOST_OBJECTS:
            if self._todo:
                self._visit(self._todo.popleft())
                continue
            if known == (known := len(self.attributes) + len(self._owners)):
                return
            for owner, looked_up in self._owners:
                new = self.attributes - looked_up
                looked_up |= new
                self._look_up(owner, new)
        self.is_complete = False

    def _visit(self, thing: Any) -> None:
        kind = type(thing)
        if kind in NUMBERS or issubclass(kind, np.generic) or id(thing) in self._seen:
            return
        if issubclass(kind, Value):
            self.objects.append(thing)
            return
        self._seen[id(thing)] = thing
        if issubclass(kind, OPAQUE):
            self.is_complete = False
        if kind in CONTAINERS:  # first, because there can be many
            self._visit_container(thing)
        elif issubclass(kind, FunctionType):
            self._visit_function(thing)
        elif issubclass(kind, MethodType):
            self._todo += [thing.__self__, thing.__func__]
        elif issubclass(kind, partial):
            self._todo += [thing.func, thing.args, thing.keywords]
        elif issubclass(kind, (staticmethod, classmethod)):
            self._todo.append(thing.__func__)
        elif issubclass(kind, Primitive):
            self._todo += [thing.function, thing.derivative]
        elif "__wrapped__" in own_attributes(thing):  # functools.cache's keep their function there
            self._todo.append(own_attributes(thing)["__wrapped__"])
            self._own(thing)
        elif issubclass(kind, property):
            self._todo.append(thing.fget)
        elif issubclass(kind, CONTAINERS):
            self._visit_container(thing)
            self._own(thing)
            if issubclass(kind, defaultdict):
                self._todo.append(thing.default_factory)
        elif issubclass(kind, np.ndarray):
            self.places.append(Numbers(thing, thing.copy()))
            if thing.dtype == object:
                self._todo += thing.ravel().tolist()
        elif _is_numpy_generator(thing):
            self.generators.append(thing)
        elif issubclass(kind, (BuiltinFunctionType, MethodWrapperType)):
            self._todo.append(thing.__self__ if not isinstance(thing.__self__, ModuleType) else None)
        elif has_state(thing):
            self._visit_state(thing)
        elif issubclass(kind, memoryview):
            self._todo.append(attribute_of(thing, "obj"))
        else:
            if issubclass(kind, WRAPPERS):
                self._todo += own_attributes(thing).values()
            if is_iterator(thing):
                self.iterators.append(thing)
                self.is_complete = False
                self._todo += own_attributes(thing).values()
            if _is_network_of_a_library(kind):
                own = own_attributes(thing)
                inside = [Entry(own, name, held) for name, held in own.items() if not isinstance(held, LastCall)]
                self.networks.append(own)
                self.inside += inside
                self._todo += [entry.held for entry in inside if type(entry.held) not in NUMBERS]
            self._own(thing)

    def _visit_container(self, container: Any) -> None:
        elements = elements_of(container)
        if not issubclass(type(container), (tuple, frozenset)):
            self.places.append(Elements(container, elements))
        kinds = kinds_of(elements)
        if NUMBERS.issuperset(kinds):
            return
        if ROWS.issuperset(kinds) and PLAIN.issuperset(kinds_in_rows(elements)):
            if list in kinds:  # nothing in a tuple changes
                rows = [row for row in elements if type(row) is list]
                self.places.append(Table(container, rows, [*map(len, rows)], [*chain.from_iterable(rows)]))
        else:
            self._todo += [element for element in elements if type(element) not in NUMBERS]

    def _visit_state(self, thing: Any) -> None:
        state = state_of(thing)
        if is_iterator(thing):
            self.iterators.append(thing)
            self.is_complete = False
        if state is None:
            self.unknown.append(thing)
        else:
            self.places.append(State(thing, state))
        self._todo += held_within(thing)
        if own_attributes(thing):
            self._own(thing)

    def _own(self, thing: Any) -> None:
        self._owners.append((thing, set()))
        if not issubclass(type(thing), (type, ModuleType)):
            for base in type(thing).__mro__:
                if not is_of_a_library_class(base):  # d[k], len(d), with d: these name no attribute
                    self.attributes |= {name for name in vars(base) if name.startswith("__")} - UNREAD

    def _visit_function(self, function: FunctionType) -> None:
        for cell in function.__closure__ or ():
            self._place_variable(function, Slot(cell, "cell_contents", attribute_of(cell, "cell_contents")))
        if is_of_a_library(function.__code__):
            return
        self.places.append(Slot(function, "__code__", function.__code__))  # IPython's autoreload gives it another
        for name in ("__defaults__", "__kwdefaults__"):
            if getattr(function, name) is not None:
                self._place_variable(function, Slot(function, name, getattr(function, name)))
        self._own(function)
        for code in with_nested(function.__code__):
            self.codes.add(code)
            self.attributes |= names_in(code).attributes
            self.is_complete &= DYNAMIC.isdisjoint(names_in(code).attributes | names_in(code).variables)
            self._todo += [sys.modules.get(name) for name in imported(code, function.__globals__)]
            for name in names_in(code).variables:
                if name in function.__globals__:
                    self._place(Entry(function.__globals__, name, function.__globals__[name]))
                else:
                    self._todo.append(cast(Any, function).__builtins__.get(name))

    def _place_variable(self, function: FunctionType, place: Slot) -> None:
        self._place(place)

    def _place(self, place: Entry | Slot) -> None:
        self.places.append(place)
        self._todo.append(place.held)

    def _look_up(self, owner: Any, names: set[str]) -> None:
        """Those of the names that are attributes of the owner."""
        is_class, is_module = issubclass(type(owner), type), issubclass(type(owner), ModuleType)
        if is_class and is_of_a_library_class(owner):
            return
        own = {} if is_class else own_attributes(owner)
        self.found |= names & own.keys()
        for name in names & own.keys():
            if is_module and _is_function_of_a_library(own[name]):
                self.objects.append(own[name])
                self._todo.append(getattr(own[name], "__self__", None))  # numpy.random's have a generator
            elif name.startswith("_") and is_of_a_library_class(type(owner)):
                held = own[name]  # its own affair, such as the programs of a vectorized function
                self._todo += elements_of(held) if type(held) in CONTAINERS else [held]
            else:
                self._place(Entry(own, name, own[name]))
        if is_module:
            return
        for base in (*owner.__mro__, *type(owner).__mro__) if is_class else type(owner).__mro__:
            for name in names & vars(base).keys():
                self._look_at_attribute(owner, base, name)

    def _look_at_attribute(self, owner: Any, base: type, name: str) -> None:
        """An attribute that a class gives its objects: a method, a property, a slot or what all objects share."""
        held = vars(base)[name]
        self.found.add(name)
        method = held.fget if isinstance(held, property) else held
        if isinstance(method, FunctionType) and is_of_a_library(method.__code__):
            if id(method) not in self._seen:
                self._seen[id(method)] = method
                for code in with_nested(method.__code__):
                    self.attributes |= names_in(code).attributes  # a network of ours keeps its weights where these say
        elif type(held).__name__ == "member_descriptor":
            if base.__module__ != "builtins" and not isinstance(owner, type):
                self._place(Slot(owner, name, getattr(owner, name, ABSENT)))
        elif not is_of_a_library_class(base):
            self._place_in_classes(owner, base, name)
            own = own_attributes(owner)
            if type(held) in PLAIN and not isinstance(owner, type) and name not in own:
                self._place(Entry(own, name, ABSENT))  # the object can get its own

    def _place_in_classes(self, owner: Any, base: type, name: str) -> None:
        """An attribute of a class, and its place in the derived classes, which can get their own."""
        is_class = issubclass(type(owner), type) and base in owner.__mro__
        order = owner.__mro__ if is_class else type(owner).__mro__
        for kind in order[: order.index(base) + 1]:
            if (kind, name) not in self.in_classes and not is_of_a_library_class(kind):
                entry = self.in_classes[kind, name] = Entry(vars(kind), name, vars(kind).get(name, ABSENT))
                self._place(entry)


def is_of_a_library(code: CodeType) -> bool:
    return _is_in_a_library(code.co_filename)


@lru_cache(maxsize=1024)
def _is_in_a_library(file: str) -> bool:
    return file.startswith((*LIBRARIES, "<frozen")) or "site-packages" in file or "dist-packages" in file


def _is_function_of_a_library(thing: Any) -> bool:
    return callable(thing) and not (isinstance(thing, FunctionType) and not is_of_a_library(thing.__code__))


def is_of_a_library_class(kind: type) -> bool:
    module = sys.modules.get(kind.__module__)
    return kind.__module__ == "builtins" or _is_in_a_library(str(getattr(module, "__file__", "")))


def _is_network_of_a_library(kind: type) -> bool:
    return any(
        type(vars(base).get("parameters")) is FunctionType and is_of_a_library_class(base) for base in kind.__mro__
    )


def _is_numpy_generator(thing: Any) -> bool:
    return type(thing).__module__.startswith("numpy.random") and not isinstance(thing, type)

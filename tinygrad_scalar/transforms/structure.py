"""What a function to differentiate takes and returns: numbers in lists, tuples, dicts and arrays, in any nesting.

`take_apart` makes a flat list of the numbers and a `Structure`, which puts numbers together again in the same way. The
parts of a structure stand in preorder, so nothing here recurses, however deep the nesting.
"""

from __future__ import annotations

import sys
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.engine.number import as_float


class Place(NamedTuple):
    """Where a part stands: the way there from the whole, such as argument 0['w'][2]."""

    above: Place | str
    key: Any

    def __str__(self) -> str:
        keys, place = [], self
        while isinstance(place, Place):
            keys.append(f"[{place.key!r}]")
            place = place.above  # type: ignore[assignment]
        if len(keys) > 20:
            keys[10:-10] = ["…"]
        return str(place) + "".join(reversed(keys))


class Scalar(NamedTuple):
    """One number: a Value, or a float of the given type, such as numpy.float32."""

    type: Callable[[float], Any]
    shape: tuple[int, ...] = ()
    size: int = 1

    def build(self, numbers: Sequence[Any]) -> Any:
        [number] = numbers
        return number if isinstance(number, Value) else self.type(number)


FLOAT, VALUE = Scalar(float), Scalar(Value)


class Array(NamedTuple):
    """A NumPy array of floats, or of objects: of Values and floats."""

    shape: tuple[int, ...]
    dtype: Any
    size: int

    def build(self, numbers: Sequence[Any]) -> Any:
        """An array of floats, or one of objects where a number is a Value: then all are."""
        import numpy as np

        dtype = self.dtype
        if dtype.kind != "O" and any(isinstance(number, Value) for number in numbers):
            dtype = np.dtype(object)
            numbers = [number if isinstance(number, Value) else Value(number) for number in numbers]
        array = np.empty(self.size, dtype)
        array[:] = numbers
        return array.reshape(self.shape)


class Opaque(NamedTuple):
    """Anything else, in what a function returns beside its value."""

    thing: Any
    shape: tuple[int, ...] = ()
    size: int = 0

    def build(self, numbers: Sequence[Any]) -> Any:
        return self.thing


class Container(NamedTuple):
    """A list, tuple, dict or None with `size` parts; a dict has their keys. A flat one has only numbers of one type."""

    type: type
    size: int
    keys: tuple[Any, ...]
    build: Callable[[list[Any]], Any]
    flat: bool = False

    def __str__(self) -> str:
        if self.keys and len(self.keys) < 10:
            return f"a {self.type.__name__} with the keys {', '.join(map(repr, self.keys))}"
        return "None" if self.type is type(None) else f"a {self.type.__name__} of {self.size}"


Leaf = Scalar | Array | Opaque


class Structure:
    """How numbers are nested. `parts` are in preorder: a container, then what is in it."""

    def __init__(self, parts: Sequence[Leaf | Container]) -> None:
        self.parts = parts
        self.leaves = [part for part in parts if not isinstance(part, Container)]
        self.plain = {*map(id, self.leaves)} <= {id(FLOAT), id(VALUE)}  # for which the numbers are as they should be
        self.size = len(self.leaves) if self.plain else sum([leaf.size for leaf in self.leaves])

    def build(self, numbers: Sequence[Any]) -> Any:
        """The numbers, one for each number of the structure, nested as it is."""
        if self.plain:
            return self.build_of(numbers)
        items, start = [], 0
        for leaf in self.leaves:
            items.append(leaf.build(numbers[start : start + leaf.size]))
            start += leaf.size
        return self.build_of(items)

    def build_of(self, items: Sequence[Any]) -> Any:
        """The items, one for each leaf of the structure, nested as it is."""
        remaining = list(items)
        if len(self.parts) == 1 + len(remaining):  # a list of numbers
            return self.parts[0].build(remaining)
        built: list[Any] = []
        for part in reversed(self.parts):
            if isinstance(part, Container):
                inside = [built.pop() for _ in range(part.size)]
                built.append(part.build(inside))
            else:
                built.append(remaining.pop())
        return built[0]

    def numbers_of(self, tree: Any, name: str, model: str) -> list[Any]:
        """The numbers of something that must have this structure, such as tangents; errors call it `name`.

        A TypeError if it is nested otherwise than `model` or holds something else than numbers.
        """
        numbers: list[Any] = []
        todo: list[tuple[Any, Place | str]] = [(tree, "")]
        parts = iter(self.parts)
        for part in parts:
            item, place = todo.pop()
            found = container_of(item)
            if isinstance(part, Container):
                fits = found is not None and _alike(found, part)
                expected = str(part)
            elif part.shape:
                fits = isinstance(item, ndarray()) and item.shape == part.shape
                expected = f"an array of shape {part.shape}"
            else:
                fits = found is None and not getattr(item, "shape", ())
                expected = "a number"
            if not fits:
                where = f" at {place}" if place else ""
                raise TypeError(
                    f"{name} must have the structure of {model}: expected {expected}{where}, got {in_words(item)}"
                )
            if not isinstance(part, Container):
                elements = item.ravel().tolist() if isinstance(item, ndarray()) else [item]
                numbers.extend([number_at(element, name, place) for element in elements])
                continue
            inside = [item[key] for key in part.keys] if part.keys else list(item or ())
            if part.flat and {*map(type, inside)} <= {float, Value}:
                numbers.extend(inside)
                next(islice(parts, part.size, part.size), None)  # goes on behind these
            else:
                keys = part.keys or range(part.size)
                todo.extend([(inside[i], Place(place, keys[i])) for i in range(part.size - 1, -1, -1)])
        return numbers


def number_at(item: Any, name: str, place: Place | str) -> Any:
    """A Value, or a plain number as a float; a TypeError for anything else."""
    number = item if isinstance(item, Value) else as_float(item)
    if number is None:
        raise TypeError(f"{name}{place} must be a float or a Value, got {shown(item)}")
    return number


def _alike(found: Container, part: Container) -> bool:
    both_dicts = issubclass(found.type, dict) and issubclass(part.type, dict)
    same = found.type is part.type or both_dicts
    return same and found.size == part.size and set(found.keys) == set(part.keys)


def take_apart(
    tree: Any, name: str, leaf: Callable[[Any, Place | str], tuple[Leaf, Sequence[Any]]]
) -> tuple[Structure, list[Any]]:
    """The structure of `tree`, which errors call `name`, and its numbers; `leaf` says what is no container."""
    parts: list[Leaf | Container] = []
    numbers: list[Any] = []
    within: set[int] = set()  # the containers around the present one
    todo: list[tuple[Any, Place | str, bool]] = [(tree, name, False)]
    while todo:
        item, place, done = todo.pop()
        if done:
            within.discard(id(item))
            continue
        container = container_of(item)
        if container is None:
            part, found = leaf(item, place)
            parts.append(part)
            numbers.extend(found)
            continue
        keys = container.keys or range(container.size)
        inside = list(item.values() if isinstance(item, dict) else item or ())
        if container.size and {*map(type, inside)} in ({float}, {Value}):
            part, _ = leaf(inside[0], Place(place, keys[0]))
            if isinstance(part, Scalar):  # all are alike
                parts.append(container._replace(flat=True))
                parts.extend([part] * container.size)
                numbers.extend(inside)
                continue
        parts.append(container)
        if container.size:
            if id(item) in within:
                raise ValueError(f"{place} contains itself")
            within.add(id(item))
            todo.append((item, place, True))
            todo.extend([(inside[i], Place(place, keys[i]), False) for i in range(container.size - 1, -1, -1)])
    return Structure(parts), numbers


def container_of(item: Any) -> Container | None:
    """How to make a list, a tuple, a namedtuple, a dict or None with other parts; None of anything else."""
    kind: Any = type(item)
    if kind is float:  # most often
        return None
    if kind is list:
        return Container(list, len(item), (), list)
    if isinstance(item, tuple):
        if kind is tuple:
            return Container(tuple, len(item), (), tuple)
        if hasattr(item, "_fields") and hasattr(item, "_make"):
            return Container(kind, len(item), (), kind._make)
    if isinstance(item, dict) and kind in (dict, OrderedDict, defaultdict):
        keys = tuple(item)
        empty: Callable[[], Any] = partial(defaultdict, item.default_factory) if isinstance(item, defaultdict) else kind

        def build(values: list[Any]) -> Any:
            made = empty()
            made.update(zip(keys, values))
            return made

        return Container(kind, len(keys), keys, build)
    if item is None:
        return Container(kind, 0, (), lambda inside: None)
    return None


def ndarray() -> Any:
    """NumPy's array type; if nobody has imported NumPy there is no array, and this is ()."""
    numpy = sys.modules.get("numpy")
    return numpy.ndarray if numpy else ()


def in_words(thing: Any) -> str:
    """A thing in an error: what kind of container it is, or the thing itself.

    >>> in_words([1.0, 2.0]), in_words({"w": 1.0}), in_words(2.5)
    ('a list of 2', "a dict with the keys 'w'", '2.5 (float)')
    """
    if container := container_of(thing):
        return str(container)
    if isinstance(thing, ndarray()):
        return f"an array of shape {thing.shape} and dtype {thing.dtype}"
    return shown(thing)


def nested(structures: Sequence[Structure], entries: Callable[[tuple[range, ...]], Any]) -> Any:
    """Structures within structures, as in a Jacobian: in place of each leaf of the first stands the second, and so on.

    In place of the leaves of the last stand numbers or arrays, whose shape is that of all leaves above. `entries` gives
    their numbers for ranges of numbers of each structure.
    """
    *outer, inner = structures
    return _nested(outer, inner, entries, (), ())


def filled(structure: Structure, numbers: Any) -> Any:
    """A vector's numbers, nested as the structure is; an array gets their memory."""
    if len(structure.parts) == 1 and isinstance(array := structure.parts[0], Array) and array.dtype.kind == "f":
        return numbers.astype(array.dtype, copy=False).reshape(array.shape)
    return structure.build(numbers.tolist())


def nested_arrays(structures: Sequence[Structure], numbers: Any) -> Any:
    """`nested`, of an array of floats: with the numbers in the same order, the last structure's one after another."""
    if all(structure.plain for structure in structures):
        return _filled_plain(structures, numbers.reshape([structure.size for structure in structures]).tolist())
    if all(len(structure.parts) == 1 for structure in structures):
        block = _block([structure.leaves[0] for structure in structures])
        return filled(Structure([block]), numbers.ravel())
    array = numbers.reshape([structure.size for structure in structures])

    def entries(ranges: tuple[range, ...]) -> list[float]:
        found: list[float] = array[tuple([slice(r.start, r.stop) for r in ranges])].ravel().tolist()
        return found

    return nested(structures, entries)


def _filled_plain(structures: Sequence[Structure], numbers: Any) -> Any:  # as deep as there are structures
    first, *rest = structures
    if not rest:
        return first.build_of(numbers if isinstance(numbers, list) else [numbers])
    return first.build_of([_filled_plain(rest, part) for part in numbers])


def _nested(
    outer: Sequence[Structure],
    inner: Structure,
    entries: Callable[..., Any],
    ranges: tuple[range, ...],
    above: tuple[Leaf, ...],
) -> Any:  # as deep as there are structures: three, for a Hessian
    if outer:
        first, *rest = outer
        items = [_nested(rest, inner, entries, (*ranges, numbers), (*above, leaf)) for leaf, numbers in _ranges(first)]
        return first.build_of(items)
    return inner.build_of(
        [_block((*above, leaf)).build(entries((*ranges, numbers))) for leaf, numbers in _ranges(inner)]
    )


def _ranges(structure: Structure) -> Iterator[tuple[Leaf, range]]:
    """Each leaf with the places of its numbers."""
    start = 0
    for leaf in structure.leaves:
        yield leaf, range(start, start + leaf.size)
        start += leaf.size


def _block(leaves: Sequence[Leaf]) -> Leaf:
    """The leaf that has the shapes of all, and the last one's type: what is differentiated by comes last."""
    last = leaves[-1]
    arrays = [leaf for leaf in leaves if isinstance(leaf, Array)]
    if not arrays:
        return last
    shape: tuple[int, ...] = ()
    size = 1
    for leaf in leaves:
        shape += leaf.shape
        size *= leaf.size
    return Array(shape, last.dtype if isinstance(last, Array) else arrays[0].dtype, size)

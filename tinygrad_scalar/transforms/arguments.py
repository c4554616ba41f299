"""The arguments of a compiled transformation: their floats as a row of numbers, and a key for all else about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.transforms.call import Argnums, Call, places_of
from tinygrad_scalar.transforms.kinds import differentiable
from tinygrad_scalar.transforms.structure import (
    Array,
    Container,
    Leaf,
    Opaque,
    Place,
    Scalar,
    Structure,
    in_words,
    take_apart,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FLOAT64 = np.dtype(np.float64)
FIXED = (int, str, bytes, np.integer, np.bool_)  # what can be part of a key, as it cannot change
FLOATS_ONLY = {float}


class Row:
    """Numbers of arguments in order, with a key that says how they are nested."""

    def __init__(self) -> None:
        self.key: list[Any] = []
        self._parts: list[Any] = []  # lists and arrays of numbers

    def add(
        self,
        argument: Any,
        verb: str,
        place: int | str,
        leaf: Callable[[Any, Place | str], tuple[Leaf, Sequence[Any]]],
    ) -> None:
        """Add an argument; the kinds that are met most have a short way."""
        kind = type(argument)
        if kind is np.ndarray and argument.dtype is FLOAT64:
            self.key.append(argument.shape)
            self._parts.append(argument.ravel())
        elif kind is float:
            self.key.append(float)
            self._parts.append([argument])
        elif kind is list and {*map(type, argument)} == FLOATS_ONLY:
            self.key.append((list, len(argument)))
            self._parts.append(argument)
        else:
            structure, numbers = take_apart(argument, name_of(verb, place), leaf)
            self.key.append(("other", *key_of(structure)))
            self._parts.append(numbers)

    def numbers(self) -> Floats:
        """One row, as a matrix."""
        parts = self._parts
        if len(parts) == 1:
            return np.asarray(parts[0], FLOAT64).reshape(1, -1)
        if all(type(part) is list for part in parts):
            return np.array([[number for part in parts for number in part]], FLOAT64)
        return np.concatenate([np.asarray(part, FLOAT64) for part in parts]).reshape(1, -1)


def key_of(structure: Structure) -> tuple[Any, ...]:
    """Equal for structures that are alike, with the same things beside the numbers."""
    return tuple([_key_of_part(part) for part in structure.parts])


def _key_of_part(part: Leaf | Container) -> Any:
    if isinstance(part, Container):
        return part.type, part.size, part.keys, tuple(map(type, part.keys))
    if isinstance(part, Array):
        return part.shape, part.dtype.str
    if isinstance(part, Scalar):
        return part.type
    thing = part.thing
    if isinstance(thing, np.ndarray):
        return np.ndarray, thing.shape, thing.dtype.str, thing.tobytes()
    return type(thing), repr(thing) if isinstance(thing, float) else thing  # nan is not equal to itself


class Arguments:
    """How the arguments of a function are nested."""

    def __init__(self, verb: str, args: Sequence[Any], kwargs: Mapping[str, Any], argnums: Argnums) -> None:
        self._verb, self._argnums, self._n = verb, argnums, len(args)
        self._structures: list[tuple[int | str, Structure]] = []
        by = places_of(verb, argnums, len(args))
        for place in by:
            self._structures.append((place, take_apart(args[place], name_of(verb, place), float_only)[0]))
        for name, argument in beside(args, kwargs, by):
            self._structures.append((name, take_apart(argument, name_of(verb, name), float_or_fixed)[0]))

    def call(self, f: Callable[..., Any], has_aux: bool, values: Sequence[Value]) -> Call:
        """Call the function with Values in place of the floats: those to differentiate by, and then the others."""
        arguments: list[Any] = [None] * self._n
        keywords = {}
        start = 0
        for place, structure in self._structures:
            built = structure.build(values[start : start + structure.size])
            start += structure.size
            if isinstance(place, str):
                keywords[place] = built
            else:
                arguments[place] = built
        return Call(self._verb, arguments, self._argnums, has_aux).run(f, keywords)


def name_of(verb: str, place: int | str) -> str:
    return f"{verb}: argument {place}"


def beside(args: Sequence[Any], kwargs: Mapping[str, Any], by: Sequence[int]) -> list[tuple[int | str, Any]]:
    """The arguments that are not differentiated by, each with its place or keyword."""
    given: list[tuple[int | str, Any]] = [(place, args[place]) for place in range(len(args)) if place not in by]
    given.extend(kwargs.items())
    return given


def float_only(item: Any, place: Place | str) -> tuple[Leaf, Sequence[Any]]:
    """A float or an array of floats; a TypeError for anything else."""
    leaf, numbers = differentiable(item, place)
    for number in numbers:
        if isinstance(number, Value):
            raise TypeError(
                f"{place} must be made of floats with compiled=True, got {in_words(number)}: give it its .data, "
                "or leave out compiled, so that the derivatives are Values too"
            )
    return leaf, numbers


def float_or_fixed(item: Any, place: Place | str) -> tuple[Leaf, Sequence[Any]]:
    """A float or an array of floats; or an integer, a text or an array of integers, which are a part of the key."""
    if isinstance(item, FIXED):
        return Opaque(item), ()
    if type(item) is np.ndarray and item.dtype.kind in "biu":
        return Opaque(item.copy()), ()
    if isinstance(item, (float, np.floating, np.ndarray, Value)):
        return float_only(item, place)
    raise TypeError(
        f"{place} must be a float, an integer, a text, an array of numbers, or a list, tuple or dict of them with "
        f"compiled=True, got {shown(item)}: let the function read it from outside, or leave out compiled"
    )

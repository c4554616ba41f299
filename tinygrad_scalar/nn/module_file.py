"""The bytes of a custom network: safetensors with all its numbers, and how its parts hold them as JSON.

A part is a Module, with its attributes; a Value, by its place in the array "values"; an array; a function, by its name;
or what JSON holds. A file makes nothing but these: its classes are those that this process has or is given.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, cast

from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.nn import array_file
from tinygrad_scalar.nn.activations import Activation, Named, at_place, place_of
from tinygrad_scalar.nn.array_file import Header, begins_of, read_array, read_json, require_keys
from tinygrad_scalar.nn.class_names import class_names_of_file
from tinygrad_scalar.nn.kept_program import CLASS_NAMES, INPUT_NAMES, Keeping
from tinygrad_scalar.nn.mlp import Module
from tinygrad_scalar.nn.tables import columns_of_file
from tinygrad_scalar.primitives.primitive import is_importable
from tinygrad_scalar.screen import printable, quoted

KEY = "tinygrad_scalar_module"
_FORMAT = 1


class UnknownNameError(ValueError):
    """The file is right, but its class or function is not known here."""


def to_bytes(net: Module, metadata: dict[str, Any]) -> tuple[bytes, list[type], list[Callable[..., Any]]]:
    """The bytes of a file, and the classes and functions that reading it needs.

    ValueError if a part of the network cannot be in one, TypeError if the metadata cannot.
    """
    import numpy as np

    writer = _Writer()
    root = writer.written(net, type(net).__name__)
    labels = [value.label for value in writer.values]
    if any("\n" in label for label in labels):
        raise ValueError("a label of its Values has two lines")
    text = "\n".join(labels).encode()
    arrays = {
        "values": np.array([value.data for value in writer.values], np.float64),
        "labels": np.frombuffer(text + b"\n" * (-len(text) % 8), np.int64),
        **writer.arrays,
    }
    entries = array_file.entries_of(arrays)
    description = {"format": _FORMAT, "net": root, "metadata": metadata, "arrays": entries}
    try:
        content = array_file.to_bytes(KEY, json.dumps(description), arrays)
    except (TypeError, RecursionError) as error:
        raise TypeError(f"metadata must be a dict that JSON can hold: {error}") from None
    return content, writer.classes, writer.functions


def read(
    file: BinaryIO, header: Header, classes: Sequence[type], functions: Sequence[Callable[..., Any]]
) -> tuple[Module, dict[str, Any]]:
    """The network and the metadata; ValueError, with the reason, if the file is not what `to_bytes` makes."""
    found = read_json(header.description, "its description of the network")
    require_keys(found, ("format", "net", "metadata", "arrays"), "its description of the network")
    if type(found["format"]) is not int or found["format"] != _FORMAT:
        raise ValueError(f"its format must be {_FORMAT}, got {shown(found['format'])}")
    if not isinstance(found["metadata"], dict):
        raise ValueError(f"its metadata must be a JSON object, got {shown(found['metadata'])}")
    kinds = array_file.kinds_of(found["arrays"])
    for name, dtype in (("values", "F64"), ("labels", "I64")):
        if name not in kinds or kinds[name].dtype != dtype or len(kinds[name].shape) != 1:
            raise ValueError(f"it needs the array {name!r}, of {dtype} and one axis")
    begins = begins_of(header, kinds)
    data = file.read()
    arrays = {name: read_array(data, begins[name], kind) for name, kind in kinds.items()}
    labels = arrays.pop("labels").tobytes().decode().split("\n")
    numbers = arrays.pop("values").tolist()
    padding = labels[len(numbers) :]
    if len(labels) < len(numbers) or any(padding) or len(padding) > 8:
        raise ValueError("its labels are not as many as its values")
    reader = _Reader([Value(*pair) for pair in zip(numbers, labels)], arrays, classes, functions)
    try:
        net = reader.read(found["net"])
    except RecursionError:
        raise ValueError("its network is nested too deeply") from None
    if not isinstance(net, Module):
        raise ValueError(f"its network must be a Module, got {shown(net)}")
    reader.require_all_read()
    return net, found["metadata"]


class _Writer:
    """Parts as JSON, with the Values and arrays in the order in which they are met."""

    def __init__(self) -> None:
        self.values: dict[Value, int] = {}
        self.arrays: dict[str, Any] = {}
        self.classes: list[type] = []
        self.functions: list[Callable[..., Any]] = []
        self._objects: dict[int, int] = {}

    def written(self, part: Any, where: str) -> Any:
        import numpy as np

        if part is None or type(part) in (bool, int, float, str):
            return part
        if type(part) is list:
            fresh = [value for value in part if isinstance(value, Value) and value not in self.values]
            if len(part) > 1 and len(dict.fromkeys(fresh)) == len(part):
                return {"values": [min([self._place(value, where) for value in part]), len(part)]}
            return [self.written(inner, f"{where}[{i}]") for i, inner in enumerate(part)]
        if type(part) is tuple:
            return {"tuple": [self.written(inner, f"{where}[{i}]") for i, inner in enumerate(part)]}
        if type(part) is dict and all(isinstance(key, str) for key in part):
            return {"dict": {key: self.written(inner, f"{where}[{key!r}]") for key, inner in part.items()}}
        if isinstance(part, Value):
            return {"value": self._place(part, where)}
        if isinstance(part, np.ndarray) and part.dtype in (np.float64, np.int64):
            name = f"array {len(self.arrays)}"
            self.arrays[name] = np.array(part, order="C")
            return {"array": name}
        if isinstance(part, Module):
            return self._object(part, where)
        if isinstance(part, Activation) or (callable(part) and not isinstance(part, type)):
            self.functions.append(part.function if isinstance(part, Activation) else part)
            return {"function": place_of(cast(Named, part))}
        raise ValueError(f"{where} is {shown(part)}, which a file cannot hold")

    def _place(self, value: Value, where: str) -> int:
        if value.op:
            raise ValueError(f"{where} is computed (operation {value.op!r}), and loading would make it a leaf")
        return self.values.setdefault(value, len(self.values))

    def _object(self, part: Module, where: str) -> dict[str, Any]:
        if id(part) in self._objects:
            return {"again": self._objects[id(part)]}
        self._objects[id(part)] = len(self._objects)
        kind = type(part)
        self.classes.append(kind)
        if not is_importable(kind):
            raise ValueError(
                f"its class {kind.__qualname__} is not at the top level of a module, where loading would find it"
            )
        if kind.__getstate__ is not Keeping.__getstate__:
            raise ValueError(f"{kind.__name__} has its own __getstate__, and a file holds its attributes")
        if any(vars(base).get("__slots__") for base in kind.__mro__):
            raise ValueError(f"{kind.__name__} has __slots__, and a file holds its attributes")
        state = {name: self.written(inner, f"{where}.{name}") for name, inner in part.__getstate__().items()}
        return {"object": f"{kind.__module__}:{kind.__qualname__}", "state": state}


class _Reader:
    """The parts that JSON describes; every Value and every array is one of those given."""

    def __init__(
        self,
        values: list[Value],
        arrays: dict[str, Any],
        classes: Sequence[type],
        functions: Sequence[Callable[..., Any]],
    ) -> None:
        self._values, self._arrays, self._classes, self._functions = values, arrays, classes, functions
        self._met = 0
        self._objects: list[Module] = []
        self._readers: dict[str, Callable[[Any], Any]] = {
            "values": self._several,
            "tuple": lambda parts: tuple(map(self.read, _list(parts))),
            "dict": lambda parts: {key: self.read(part) for key, part in _dict(parts).items()},
            "value": self._value,
            "array": self._array,
            "again": lambda i: self._objects[_index(i, len(self._objects))],
            "function": self._function,
        }

    def read(self, part: Any) -> Any:
        if isinstance(part, list):
            return [self.read(inner) for inner in part]
        if not isinstance(part, dict):
            return part
        if len(part) == 1 and next(iter(part)) in self._readers:
            ((kind, what),) = part.items()
            return self._readers[kind](what)
        require_keys(part, ("object", "state"), "a part of its network")
        return self._object(_text(part["object"]), _dict(part["state"]))

    def require_all_read(self) -> None:
        if self._met != len(self._values) or self._arrays:
            raise ValueError("its network does not hold all of its numbers")

    def _value(self, i: Any) -> Value:
        value = self._values[_index(i, min(self._met + 1, len(self._values)))]
        self._met = max(self._met, i + 1)
        return value

    def _several(self, span: Any) -> list[Value]:
        start, number = span if array_file.are_integers(span) and len(span) == 2 else (-1, 0)
        if start != self._met or not 1 < number <= len(self._values) - start:
            raise ValueError(f"its network has the values {shown(span)}, which are not the next ones")
        self._met = start + number
        return self._values[start : self._met]

    def _array(self, name: Any) -> Any:
        if _text(name) not in self._arrays:
            raise ValueError(f"its network has the array {shown(name)} twice, or has no such array")
        return self._arrays.pop(name).copy()

    def _function(self, place: Any) -> Any:
        try:
            return at_place(_text(place), self._functions)
        except ValueError as error:
            raise UnknownNameError(str(error)) from None

    def _object(self, place: str, state: dict[str, Any]) -> Module:
        kind = _class_at(place, self._classes)
        try:
            made: Module = object.__new__(kind)
        except TypeError as error:  # an abstract class
            raise ValueError(str(error)) from None
        self._objects.append(made)
        for name, part in state.items():
            of_class = getattr(kind, name, None)
            if name.startswith("__") or callable(of_class) or isinstance(of_class, property):
                raise ValueError(f"its network sets {shown(name)} of {kind.__name__}, which is no attribute")
            vars(made)[name] = self.read(part)
        if CLASS_NAMES in vars(made):
            vars(made)[CLASS_NAMES] = class_names_of_file(vars(made)[CLASS_NAMES])
        if INPUT_NAMES in vars(made):
            vars(made)[INPUT_NAMES] = columns_of_file(vars(made)[INPUT_NAMES])
        return made


def _class_at(place: str, given: Sequence[type]) -> type[Module]:
    """The class that a file refers to: one of those `given`, or a Module that this process has defined or imported."""
    module, _, name = place.partition(":")
    for kind in (*given, *_subclasses(Module)):
        if issubclass(kind, Module) and (kind.__module__, kind.__qualname__) == (module, name):
            return kind
    for kind in given:  # saved by a script, where its module was __main__
        if issubclass(kind, Module) and kind.__qualname__ == name:
            return kind
    raise UnknownNameError(
        f"it uses the class {quoted(name)} of the module {quoted(module)}, which this process does not know: import "
        f"that module first, or pass the class, as in load(path, classes=[{printable(name)}])"
    )


def _subclasses(kind: type) -> Iterator[type]:
    derived: type
    for derived in reversed(kind.__subclasses__()):  # of two definitions the later
        yield derived
        yield from _subclasses(derived)


def _list(found: Any) -> list[Any]:
    _require(list, found)
    return list(found)


def _dict(found: Any) -> dict[str, Any]:
    _require(dict, found)
    return dict(found)


def _text(found: Any) -> str:
    _require(str, found)
    return str(found)


def _require(kind: type, found: Any) -> None:
    if type(found) is not kind:
        raise ValueError(f"its network must have a {kind.__name__} where it has {shown(found)}")


def _index(found: Any, below: int) -> int:
    if type(found) is not int or not 0 <= found < below:
        raise ValueError(f"its network refers to {shown(found)}, where there are {below}")
    return found

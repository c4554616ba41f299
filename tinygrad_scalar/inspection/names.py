"""The names of the values of a graph, and how a name in the notes' form prints.

Names follow the notes (000, multi-node; 001, backpropagation): `w(1)[0,2]` is the weight from neuron 2 of layer 0 to
neuron 0 of layer 1, printed w⁽¹⁾₀₂.
"""

from __future__ import annotations

import re
import sys
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from types import FunctionType
from typing import Any, NamedTuple

from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.engine.graph import leaves, topological_order
from tinygrad_scalar.engine.number import SUBSCRIPTS, SUPERSCRIPTS

SMALL = 1_000  # items of a container that is looked into
MOST = 100_000  # items that are looked at for the names of one graph
MOST_IN_VAIN = 50_000  # the same of containers that hold nothing of interest, each counted as 100 more
LONGEST = 80  # characters of a key in a name

__all__ = ["Symbol", "caller_variables", "distinct", "leaves", "names", "symbol", "topological_order"]


# --- what values are called ------------------------------------------------------------------------------------------


def caller_variables(depth: int = 1) -> dict[str, object]:
    """The variables that the caller of the calling function sees; its locals hide globals of the same name."""
    frame = sys._getframe(depth + 1)
    seen = {**frame.f_globals, **frame.f_locals}
    return {name: value for name, value in seen.items() if name.isidentifier()}  # pytest adds others


def names(root: Value, variables: Mapping[str, object]) -> dict[Value, str]:
    """The names of the values of the graph of `root`: their labels, or else the variables that hold them.

    A Value in a list, tuple or dict of `variables` is called `x[0]` or `x['k']`; an attribute of an object whose class
    is defined beside them, `n.w`. Containers of more than 1,000 items are not looked into. Nameless values have no
    entry.

    >>> x = [Value(1.0), Value(2.0, "second")]
    >>> y = x[0] * x[1] + 1
    >>> list(names(y, {"x": x, "y": y}).values())
    ['x[0]', 'second', 'y']
    """
    return names_of(topological_order(root), variables)


def names_of(nodes: Sequence[Value], variables: Mapping[str, object]) -> dict[Value, str]:
    """The same for the nodes of a graph."""
    held: dict[Value, str] = {}
    wanted = {node for node in nodes if not node.label}
    for path, value in _held(variables):
        if value in wanted:
            wanted.discard(value)
            held[value] = path[0] + "".join(map(_place, path[1:]))
        if not wanted:
            break
    return {node: name for node in nodes if (name := str(node.label or held.get(node, "")))}


def distinct(called: Mapping[Value, str]) -> dict[Value, str]:
    """The same names, with ⟨0⟩, ⟨1⟩, … after a name shared by several values, such as those of several examples.

    >>> x, y, z = Value(1.0), Value(2.0), Value(3.0)
    >>> list(distinct({x: "a(1)[0]", y: "a(1)[0]", z: "C"}).values())
    ['a(1)[0]⟨0⟩', 'a(1)[0]⟨1⟩', 'C']
    """
    counts = Counter(called.values())
    places: Counter[str] = Counter()
    found = {}
    for node, name in called.items():
        found[node] = f"{name}⟨{places[name]}⟩" if counts[name] > 1 else name
        places[name] += 1
    return found


def _held(variables: Mapping[str, object]) -> Iterator[tuple[tuple[Any, ...], Value]]:
    """The Values among `variables`, bare ones before those in containers, each with the variable and the keys to it.

    A user's objects are looked at without running any of their code, which can be slow, fail or load something.
    """
    if not isinstance(variables, Mapping) or not all(isinstance(name, str) for name in variables):
        raise TypeError(f"names must be a dict such as {{'w': w, 'b': b}}, got {shown(variables)}")
    home = {"__main__", str(variables.get("__name__"))}
    ours = (name for name in variables if not name.startswith("_") and name not in ("In", "Out"))  # not IPython's own
    todo: deque[tuple[tuple[Any, ...], object]] = deque(((name,), variables[name]) for name in ours)
    opened: dict[int, object] = {}  # a container can contain itself
    left, left_in_vain = MOST, MOST_IN_VAIN
    while todo:
        path, item = todo.popleft()
        if issubclass(type(item), Value):
            yield path, item  # type: ignore[misc]
        elif id(item) not in opened and left > 0 and left_in_vain > 0:
            if type(item) in (list, tuple) and not _is_worth_opening(item, home):  # type: ignore[arg-type]
                left_in_vain -= 100 + min(len(item), SMALL)  # type: ignore[arg-type]
                continue
            opened[id(item)] = item
            parts = _parts(item, home)
            left -= len(parts)
            todo.extend(((*path, key), part) for key, part in parts if _may_hold(part, home))


def _is_worth_opening(items: Sequence[object], home: set[str]) -> bool:
    """Whether a list or tuple is small, and one of its items may hold a Value; quick where all are numbers."""
    if len(items) > SMALL:
        return False
    kinds = {*map(type, items)}
    return not kinds <= _NUMBERS and any(_may_hold(item, home) for item in items)


_NUMBERS = {float, int, bool, str, type(None)}


def _may_hold(item: object, home: set[str]) -> bool:
    return issubclass(type(item), (Value, list, tuple, dict)) or _is_at_home(item, home)


def _is_at_home(item: object, home: set[str]) -> bool:
    """Whether the class of an object is defined where the variables are."""
    module = type(item).__dict__.get("__module__")
    return isinstance(module, str) and module in home and not issubclass(type(item), (type, FunctionType))


class _Attribute(str):
    """The name of an attribute, where others are keys of a container."""


def _place(key: object) -> str:
    if type(key) is _Attribute:
        return f".{key}"
    try:
        text = repr(key)
    except Exception:
        text = f"<{type(key).__name__}>"
    return f"[{text if len(text) <= LONGEST else text[: LONGEST // 2] + '…' + text[-LONGEST // 4 :]}]"


def _parts(item: object, home: set[str]) -> Sequence[tuple[object, object]]:
    """The items of a small container or NumPy array of objects, or the attributes of an object at home."""
    numpy = sys.modules.get("numpy")
    if numpy and type(item) is numpy.ndarray and item.dtype.kind == "O" and item.size <= SMALL:  # type: ignore[attr-defined]
        item = item.tolist()  # type: ignore[attr-defined]
    found: Sequence[tuple[object, object]] = ()
    if issubclass(type(item), dict):
        found = [*islice(dict.items(item), SMALL + 1)]  # type: ignore[arg-type]
    elif issubclass(type(item), list):
        found = [*enumerate(islice(list.__iter__(item), SMALL + 1))]  # type: ignore[arg-type]
    elif issubclass(type(item), tuple):
        found = [*enumerate(islice(tuple.__iter__(item), SMALL + 1))]  # type: ignore[arg-type]
    elif _is_at_home(item, home):
        found = [(_Attribute(key), part) for key, part in _attributes(item).items()]
    return found if len(found) <= SMALL else ()


def _attributes(item: object) -> dict[str, object]:
    """What an object's own __dict__ holds."""
    try:
        return dict(object.__getattribute__(item, "__dict__"))
    except Exception:  # it has none, or one that its class computes
        return {}


# --- how a name is printed -------------------------------------------------------------------------------------------

_NAME = re.compile(r"(?P<letter>\w+?)(?:\((?P<layer>\d+)\))?(?:\[(?P<indices>\d+(?:,\d+)*)\])?(?:⟨(?P<example>\d+)⟩)?")


class Symbol(NamedTuple):
    """The parts of a name in the notes' form: `w(1)[0,2]` is ("w", "1", ("0", "2")); absent parts are empty.

    example  which of several values with this name it is, as in a(1)[0]⟨2⟩
    """

    letter: str
    layer: str
    indices: tuple[str, ...]
    example: str = ""

    @property
    def subscript(self) -> str:
        """The indices as the notes write them, jk; with a comma where 1,12 and 11,2 would look alike."""
        return ("" if all(len(i) == 1 for i in self.indices) else ",").join(self.indices)

    @property
    def unicode(self) -> str:
        raised = f"({self.layer})".translate(SUPERSCRIPTS) if self.layer else ""
        example = f"⟨{self.example}⟩" if self.example else ""
        return f"{self.letter}{raised}{self.subscript.translate(SUBSCRIPTS)}{example}"

    @property
    def latex(self) -> str:
        letter = self.letter if len(self.letter) == 1 else rf"\mathrm{{{self.letter}}}".replace("_", r"\_")
        layer = f"({self.layer})" if self.layer else ""
        example = rf"\langle {self.example} \rangle" if self.example else ""
        raised = f"^{{{layer}{example}}}" if layer or example else ""
        lowered = f"_{{{self.subscript}}}" if self.indices else ""
        return f"{letter}{raised}{lowered}"


def symbol(name: str) -> Symbol | None:
    """The parts of a name in the notes' form, or None for a name of another form.

    >>> symbol("w(1)[0,2]").unicode, symbol("w(1)[0,2]").latex
    ('w⁽¹⁾₀₂', 'w^{(1)}_{02}')
    >>> symbol("a(2)[11]").unicode, symbol("C").latex
    ('a⁽²⁾₁₁', 'C')
    >>> symbol("my value") is None
    True
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    indices = match["indices"]
    return Symbol(
        match["letter"], match["layer"] or "", tuple(indices.split(",")) if indices else (), match["example"] or ""
    )

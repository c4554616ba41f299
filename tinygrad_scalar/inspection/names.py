"""The names of the values of a graph, and how a name in the notes' form prints.

Names follow the notes (000, multi-node; 001, backpropagation): `w(1)[0,2]` is the weight from neuron 2 of layer 0 to
neuron 0 of layer 1, printed w⁽¹⁾₀₂.
"""

from __future__ import annotations

import re
import sys
from collections import Counter, deque
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from types import FunctionType
from typing import NamedTuple

from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.engine.graph import leaves, topological_order
from tinygrad_scalar.engine.number import SUBSCRIPTS, SUPERSCRIPTS

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
    is defined beside them, `n.w`. Nameless values have no entry.

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
    for name, value in _held(variables):
        if value in wanted:
            held.setdefault(value, name)
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


def _held(variables: Mapping[str, object]) -> Iterator[tuple[str, Value]]:
    """The Values among `variables`, bare ones before those in containers."""
    if not isinstance(variables, Mapping) or not all(isinstance(name, str) for name in variables):
        raise TypeError(f"names must be a dict such as {{'w': w, 'b': b}}, got {shown(variables)}")
    home = {"__main__", variables.get("__name__")}
    ours = (name for name in variables if not name.startswith("_") and name not in ("In", "Out"))  # not IPython's own
    todo = deque((name, variables[name]) for name in ours)
    opened: dict[int, object] = {}  # a container can contain itself
    while todo:
        name, item = todo.popleft()
        if isinstance(item, Value):
            yield name, item
        elif id(item) not in opened:
            opened[id(item)] = item
            todo.extend((f"{name}{place}", part) for place, part in _parts(item, home) if _may_hold(part, home))


def _may_hold(item: object, home: Container[object]) -> bool:
    return isinstance(item, (Value, list, tuple, dict)) or type(item).__module__ in home


def _parts(item: object, home: Container[object]) -> Iterable[tuple[str, object]]:
    """The items of a container or a NumPy array of objects, or the attributes of an object of a class from `home`."""
    if getattr(getattr(item, "dtype", None), "kind", "") == "O" and hasattr(item, "tolist"):
        item = item.tolist()  # pyright: ignore[reportAttributeAccessIssue]
    if isinstance(item, dict):
        return ((f"[{key!r}]", part) for key, part in item.items())
    if isinstance(item, (list, tuple)):
        return ((f"[{i}]", part) for i, part in enumerate(item))
    if type(item).__module__ in home and not isinstance(item, (type, FunctionType)) and hasattr(item, "__dict__"):
        return ((f".{key}", part) for key, part in vars(item).items())
    return ()


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

"""Reading a graph: its nodes in topological order, its leaves, what its values are called, and how a name is printed.

Whatever reads graphs (drawings, explanations, tables) does so through this file and through what a Value shows:
data, grad, label, op, operands, local_grads.

Names follow the notes (000, multi-node; 001, backpropagation): `w(1)[0,2]` is the weight from neuron 2 of layer 0 to
neuron 0 of layer 1, printed w⁽¹⁾₀₂.
"""

from __future__ import annotations

import re
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tinygrad_scalar.errors import shown
from tinygrad_scalar.value import Value
from tinygrad_scalar.walk import topological_order

__all__ = ["Symbol", "caller_variables", "leaves", "names", "symbol", "topological_order"]


def leaves(root: Value) -> list[Value]:
    """The values that the graph of `root` starts from, in topological order.

    >>> x, w = Value(2.0, "x"), Value(3.0, "w")
    >>> [leaf.label for leaf in leaves(w * x + x)]
    ['w', 'x']
    """
    return [node for node in topological_order(root) if not node.operands]


# --- what values are called ------------------------------------------------------------------------------------------


def caller_variables(depth: int = 1) -> dict[str, object]:
    """The variables that the caller of the calling function sees; its locals hide globals of the same name."""
    frame = sys._getframe(depth + 1)
    seen = {**frame.f_globals, **frame.f_locals}
    return {name: thing for name, thing in seen.items() if name.isidentifier()}  # pytest keeps some of its own there


def names(root: Value, variables: Mapping[str, object]) -> dict[Value, str]:
    """What the values of the graph of `root` are called: by their label, or else by a variable that holds them.

    A Value in a list, tuple or dict of `variables` is called `x[0]` or `x['k']`. Nameless values have no entry.

    >>> x = [Value(1.0), Value(2.0, "second")]
    >>> y = x[0] * x[1] + 1
    >>> list(names(y, {"x": x, "y": y}).values())
    ['x[0]', 'second', 'y']
    """
    nodes = topological_order(root)
    held: dict[Value, str] = {}
    wanted = {node for node in nodes if not node.label}
    for name, value in _held(variables):
        if value in wanted:
            held.setdefault(value, name)
    return {node: name for node in nodes if (name := str(node.label or held.get(node, "")))}


def _held(variables: Mapping[str, object]) -> Iterator[tuple[str, Value]]:
    """The Values among `variables`, bare ones before those inside containers."""
    if not isinstance(variables, Mapping) or not all(isinstance(name, str) for name in variables):
        raise TypeError(f"names are given as {{'w': w, 'b': b}}, not as {shown(variables)}")
    containers: deque[tuple[str, list[object] | tuple[object, ...] | dict[object, object]]] = deque()
    for name, thing in variables.items():
        if name.startswith("_") or name in ("In", "Out"):  # what IPython keeps of every cell
            continue
        if isinstance(thing, Value):
            yield name, thing
        elif isinstance(thing, (list, tuple, dict)):
            containers.append((name, thing))
        elif getattr(getattr(thing, "dtype", None), "kind", "") == "O" and hasattr(thing, "tolist"):
            containers.append((name, thing.tolist()))  # a NumPy array of Values
    opened: set[int] = set()
    while containers:
        name, container = containers.popleft()
        if id(container) in opened:  # a container may contain itself
            continue
        opened.add(id(container))
        items = container.items() if isinstance(container, dict) else enumerate(container)
        for key, thing in items:
            if isinstance(thing, Value):
                yield f"{name}[{key!r}]", thing
            elif isinstance(thing, (list, tuple, dict)):
                containers.append((f"{name}[{key!r}]", thing))


# --- how a name is printed -------------------------------------------------------------------------------------------

_NAME = re.compile(r"(?P<letter>\w+?)(?:\((?P<layer>\d+)\))?(?:\[(?P<indices>\d+(?:,\d+)*)\])?")
_RAISED = str.maketrans("0123456789()", "⁰¹²³⁴⁵⁶⁷⁸⁹⁽⁾")
_LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


class Symbol(NamedTuple):
    """A name in the notes' form taken apart: `w(1)[0,2]` is ("w", "1", ("0", "2")); absent parts are empty."""

    letter: str
    layer: str
    indices: tuple[str, ...]

    @property
    def subscript(self) -> str:
        """The indices as the notes write them, jk; with a comma where 1,12 and 11,2 would look alike."""
        return ("" if all(len(i) == 1 for i in self.indices) else ",").join(self.indices)

    @property
    def unicode(self) -> str:
        raised = f"({self.layer})".translate(_RAISED) if self.layer else ""
        return f"{self.letter}{raised}{self.subscript.translate(_LOWERED)}"

    @property
    def latex(self) -> str:
        letter = self.letter if len(self.letter) == 1 else rf"\mathrm{{{self.letter}}}".replace("_", r"\_")
        raised = f"^{{({self.layer})}}" if self.layer else ""
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
    return Symbol(match["letter"], match["layer"] or "", tuple(indices.split(",")) if indices else ())

"""`draw`: a computation graph as a picture (SVG, PNG), laid out by Graphviz.

A value is a box with its name, data and gradient; an operation is a small dark box before the value it makes. The kind
of a value shows in the shape of its box, in a word, and in the colour. Boxes have their own light background, so that
the picture is readable on a dark page too.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Container, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tinygrad_scalar.atomic_write import write_atomically
from tinygrad_scalar.charts.text import xml_text
from tinygrad_scalar.engine import Value, ops
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.engine.graph import require_fresh, shown_operands, topological_order
from tinygrad_scalar.inspection.kinds import kinds
from tinygrad_scalar.inspection.layout import fitted
from tinygrad_scalar.inspection.names import caller_variables, names_of
from tinygrad_scalar.inspection.notation import leaf_names, unicode_of, written
from tinygrad_scalar.inspection.stepper import Stepper
from tinygrad_scalar.viz.graphviz_in_browser import rendered
from tinygrad_scalar.viz.marks import DIGITS, Marks

if TYPE_CHECKING:
    from graphviz import Digraph

DIRECTIONS = ("LR", "TB", "RL", "BT")
LARGEST = 3000  # values in a picture that is still readable
LONGEST = 40  # characters of a name
PAGE = 640  # points: the width of a notebook's page
PATIENCE = 120  # seconds for Graphviz


class Look(NamedTuple):
    """How one kind of value is drawn: its word, the colours of its line and background, its box in Graphviz's terms."""

    word: str
    line: str
    fill: str
    box: dict[str, str]


LOOKS = {
    "constant": Look("", "#71717a", "#f4f4f5", {"shape": "box", "style": "filled,dashed"}),
    "leaf": Look("leaf", "#475569", "#e8edf4", {"shape": "box", "style": "filled"}),
    "input": Look("input", "#0b63a5", "#e3f1fd", {"shape": "note", "style": "filled"}),
    "parameter": Look("parameter", "#9a5b00", "#fdeecb", {"shape": "box", "style": "filled", "peripheries": "2"}),
    "value": Look("", "#52525b", "#ffffff", {"shape": "box", "style": "filled,rounded"}),
    "output": Look("output", "#1a6b32", "#ddf3e1", {"shape": "box", "style": "filled,rounded", "penwidth": "3"}),
}


class Drawing:
    """A picture of a graph: `.svg` (text), `.png` (bytes), `.source` (DOT), `.save(path)`. Jupyter displays it."""

    def __init__(self, dot: Callable[[], Digraph], size: int) -> None:
        self._dot = cache(dot)
        self._size = size

    @property
    def source(self) -> str:
        """The graph in Graphviz's language, DOT."""
        return str(self._dot().source)

    @property
    def svg(self) -> str:
        """The picture as SVG text."""
        return self._render("svg").decode()

    @property
    def png(self) -> bytes:
        """The picture as PNG, 144 dots per inch."""
        return self._render("png", "-Gdpi=144")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture atomically, as .svg, .png, .dot or .html by the suffix of `path`.

        >>> import os, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     draw(Value(1.0) + Value(2.0)).save(os.path.join(folder, "sum.svg"))
        ...     os.listdir(folder)
        ['sum.svg']
        """
        contents: dict[str, Callable[[], bytes]] = {
            ".svg": lambda: self.svg.encode(),
            ".png": lambda: self.png,
            ".dot": lambda: self.source.encode(),
            ".html": lambda: _PAGE.format(svg=self.svg[self.svg.index("<svg") :]).encode(),
        }
        suffix = Path(path).suffix.lower()
        if suffix not in contents:
            raise ValueError(f"a drawing's file must end in one of {', '.join(contents)}; got {shown(str(path))}")
        write_atomically(path, contents[suffix]())

    def _repr_svg_(self) -> str:
        """The picture, at most as wide as a notebook's page."""

        def scaled(size: re.Match[str]) -> str:
            width, height = float(size[1]), float(size[2])
            scale = min(1.0, PAGE / width)
            return f'width="{scale * width:.0f}pt" height="{scale * height:.0f}pt"'

        return re.sub(r'width="([\d.]+)pt" height="([\d.]+)pt"', scaled, self.svg, count=1)

    def __repr__(self) -> str:
        return f"<Drawing of {self._size} values; .save('graph.svg') writes it>"

    def _render(self, format_: str, *options: str) -> bytes:
        if self._size > LARGEST:
            raise ValueError(
                f"this graph has {self._size:,} values, too many for a readable picture (at most {LARGEST:,}): "
                "draw a part of it, or save it as .dot for another program"
            )
        if sys.platform == "emscripten":
            return rendered(self.source, format_)
        command = [_dot_program(), f"-T{format_}", *options]
        try:
            run = subprocess.run(
                command, input=self.source.encode(), capture_output=True, timeout=PATIENCE, check=False
            )
        except subprocess.TimeoutExpired:
            raise RuntimeError(
                f"Graphviz did not finish the layout of this graph of {self._size:,} values in {PATIENCE} s: "
                "draw a part of it, or save it as .dot for another program"
            ) from None
        if run.returncode or not run.stdout:
            raise RuntimeError(f"{command[0]} could not draw the graph: {run.stderr.decode(errors='replace').strip()}")
        return run.stdout


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Computation graph</title>
<style>:root {{ color-scheme: light dark }} body {{ margin: 1rem }} svg {{ max-width: 100%; height: auto }}</style>
{svg}
</html>
"""


def draw(root: Value | Stepper, *, direction: str = "LR", names: Mapping[str, object] | None = None) -> Drawing:
    """The computation graph of `root` as a picture; that of a stepper (`step`) marks the last step.

    direction  from the leaves to the root: "LR" (to the right), "TB" (down), "RL" or "BT"
    names      names for values without a label, such as {"w": w, "b": b}; None: the variables of the calling code

    Where the graph has weights (a leaf called w), the notes' letters tell its leaves apart: w and b are parameters;
    a, x and y are inputs. A stepper brings its own names; in a graph of more than 60 values only those around its step
    are drawn. A graph of more than 3,000 values has no picture, only `.source`, written when it is asked for. Raises
    StaleGraphError if a leaf was set since the graph was computed.

    >>> w, x = Value(0.5), Value(2.0)
    >>> y = w * x
    >>> draw(y)
    <Drawing of 3 values; .save('graph.svg') writes it>
    """
    if not isinstance(root, (Value, Stepper)):
        raise TypeError(f"draw expects a stepper or the Value at the root of a graph, got {shown(root)}")
    if direction not in DIRECTIONS:
        raise ValueError(f"direction must be one of {', '.join(DIRECTIONS)}, got {shown(direction)}")
    if isinstance(root, Stepper):
        marks = Marks(root)
        unknown = getattr(root.notation, "unknown", {})  # pickles written before have none
        picture = _dot(root.nodes, root.notation.called, unknown, direction, marks)
        return Drawing(lambda: picture, len(marks.nodes))
    nodes = topological_order(root)
    require_fresh(nodes)
    called = names_of(nodes, caller_variables() if names is None else names)
    unknown = leaf_names(nodes, called)
    called.update(unknown)

    def dot() -> Digraph:
        require_fresh(nodes)
        return _dot(nodes, called, unknown, direction)

    drawing = Drawing(dot, len(nodes))
    if len(nodes) <= LARGEST:
        drawing.source  # noqa: B018 the numbers of now
    return drawing


def _dot(
    nodes: Sequence[Value],
    called: Mapping[Value, str],
    unknown: Container[Value],
    direction: str,
    marks: Marks | None = None,
) -> Digraph:
    """The picture; the letters of `unknown` leaves are not the user's, and tell nothing about their kind."""
    from graphviz import Digraph

    dot = Digraph("computation graph", graph_attr={**_GRAPH, "rankdir": direction}, node_attr=_NODE, edge_attr=_EDGE)
    numbers = {node: i for i, node in enumerate(nodes)}
    found = kinds(nodes, {node: name for node, name in called.items() if node not in unknown})
    drawn = set(marks.nodes if marks else nodes)
    for node, i in numbers.items():
        if node not in drawn:
            continue
        name, look = called.get(node, ""), LOOKS[found[node]]
        tooltip = f"{found[node]} {_escaped(name)}: data = {node.data!r}, grad = {node.grad!r}"
        box = {"color": look.line, "fillcolor": look.fill, **look.box, **(marks.box(node) if marks else {})}
        dot.node(f"v{i}", _label(node, name, look, marks), tooltip=tooltip, **box)
        if not drawn.isdisjoint(node.operands):
            row = ops.operation(node.op)
            names = [_escaped(called.get(operand) or written(operand.data, DIGITS)) for operand in node.operands]
            order = (
                {} if (row.family or row.name) in _IN_ANY_ORDER else {"ordering": "in"}
            )  # operands from top to bottom
            dot.node(f"o{i}", _escaped(row.symbol), tooltip=row.text.format(*names), **_OPERATION, **order)
            way = marks.edge(node) if marks else {}
            dot.edge(f"o{i}", f"v{i}", arrowhead="none", **{**way, **({"arrowtail": "none"} if way else {})})
            for place, operand in shown_operands(node):
                if operand not in drawn:
                    dot.node(f"c{i}_{place}", "…", tooltip=_escaped(names[place]), **_CUT_OFF)
                dot.edge(f"v{numbers[operand]}" if operand in drawn else f"c{i}_{place}", f"o{i}", **way)
    return dot


_IN_ANY_ORDER = ("+", "*", "sum(n)", "total(n)", "mean(n)", "norm(n)", "max(n)", "min(n)", "logsumexp(n)")
_FONT = "Helvetica"
# nslimit: without it a leaf used all over a long graph takes minutes to place, for a picture hardly better
_GRAPH = {
    "bgcolor": "transparent", "ranksep": "0.3", "nodesep": "0.18", "pad": "0.1", "nslimit": "1", "nslimit1": "1",
}  # fmt: skip
_NODE = {"fontname": _FONT, "fontsize": "11", "fontcolor": "#18181b", "margin": "0.07,0.03", "height": "0.3"}
_EDGE = {"color": "#85858f", "arrowsize": "0.6", "penwidth": "1.1"}
_OPERATION = {
    "shape": "box", "style": "filled,rounded", "fillcolor": "#3f3f46", "color": "#a1a1aa", "fontcolor": "#ffffff",
    "fontsize": "12", "width": "0.32", "height": "0.32", "margin": "0.07,0.02",
}  # fmt: skip
_CUT_OFF = {"shape": "plaintext", "fontcolor": "#71717a", "width": "0.2", "height": "0.2", "margin": "0"}


def _label(node: Value, name: str, look: Look, marks: Marks | None) -> str:
    """The box's content, in Graphviz's HTML: name and kind, data, grad."""
    rows = []
    shown_name = fitted(unicode_of(name), LONGEST)
    bold = f"<b>{_escaped(shown_name)}</b>" if shown_name else ""
    word = f'<font point-size="9" color="{look.line}"><i>{look.word}</i></font>' if look.word else ""
    if bold or word:
        rows.append(f'<tr><td colspan="2">{bold} {word}</td></tr>')
    data, grad = (marks.data(node), marks.grad(node)) if marks else (written(node.data, DIGITS), "grad")
    width = ' width="48"' if marks else ""  # so that from step to step the boxes stay where they are
    for what, number in (("data", data), (grad, written(node.grad, DIGITS))):
        left = f'<td align="left"{width}><font color="#52525b">{what}</font></td>'
        rows.append(f'<tr>{left}<td align="right"{width}>{number}</td></tr>')
    return f'<<table border="0" cellborder="0" cellspacing="0" cellpadding="2">{"".join(rows)}</table>>'


def _escaped(text: str) -> str:
    """Text for Graphviz, for which a single backslash begins an escape."""
    return xml_text(text).replace("\\", "\\\\")


def _dot_program() -> str:
    """The system's dot if there is one, else the one of the graphviz-pure package."""
    found = (
        shutil.which("dot")
        or shutil.which("graphviz-pure")
        or shutil.which("graphviz-pure", path=sysconfig.get_path("scripts"))
    )
    if found is None:
        raise RuntimeError("Graphviz not found: pip install graphviz-pure, or install your system's graphviz")
    return found

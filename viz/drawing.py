"""`draw`: a computation graph as a picture (SVG, PNG), laid out by Graphviz.

A value is a box with its name, data and gradient; an operation is a small dark box before the value it makes. What is
too large for that is folded: see `folding.py`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinygrad_scalar.atomic_write import write_atomically
from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.engine.graph import is_bare_number, require_fresh, topological_order
from tinygrad_scalar.engine.number import required_flag, required_integer
from tinygrad_scalar.inspection.named_graph import NamedGraph
from tinygrad_scalar.inspection.names import caller_variables, names_of
from tinygrad_scalar.inspection.notation import leaf_names
from tinygrad_scalar.inspection.stepper import Stepper
from tinygrad_scalar.inspection.structure import structure_of, without_parts
from tinygrad_scalar.viz.dot import dot_of
from tinygrad_scalar.viz.folding import SMALL, Choice, Graph, Wish, choose
from tinygrad_scalar.viz.graphviz_in_browser import rendered
from tinygrad_scalar.viz.marks import Marks
from tinygrad_scalar.viz.view import LEVELS, View

if TYPE_CHECKING:
    from graphviz import Digraph

DIRECTIONS = ("LR", "TB", "RL", "BT")
LARGEST = 3000  # boxes in a picture that is still readable
PAGE = 640  # points: the width of a notebook's page
PATIENCE = 120  # seconds for Graphviz
DOTS, PIXELS = 144, 16e6  # of a PNG: dots per inch, and at most so many pixels


class Drawing:
    """A picture of a graph: `.svg` (text), `.png` (bytes), `.source` (DOT), `.save(path)`. Jupyter displays it."""

    _fewer_boxes: int | None = None  # than values; pickles written before have none

    def __init__(self, dot: Callable[[], Digraph], size: int, n_boxes: int | None = None) -> None:
        self._dot = cache(dot)
        self._size = size
        self._fewer_boxes = n_boxes

    @property
    def _n_boxes(self) -> int:
        return self._size if self._fewer_boxes is None else self._fewer_boxes

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update({"_n_boxes": state["_size"], **state})  # before there was folding each value had a box

    @property
    def source(self) -> str:
        """The graph in Graphviz's language, DOT."""
        return str(self._dot().source)

    @cached_property
    def svg(self) -> str:
        """The picture as SVG text."""
        return self._render("svg").decode()

    @cached_property
    def png(self) -> bytes:
        """The picture as PNG, 144 dots per inch; a huge one has fewer, so that it has at most 16 million pixels."""
        dots = DOTS
        if self._n_boxes > SMALL:  # of a small one it is quicker not to look how large it is
            size = re.search(_SIZE, self.svg)
            area = float(size[1]) * float(size[2]) if size else 0.0  # points²
            dots = min(DOTS, 72 * (PIXELS / area) ** 0.5) if area else DOTS
        return self._render("png", f"-Gdpi={dots:.4g}")

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

        return re.sub(_SIZE, scaled, self.svg, count=1)

    def __repr__(self) -> str:
        boxes = f" in {self._n_boxes} boxes" if self._n_boxes != self._size else ""
        return f"<Drawing of {self._size} values{boxes}; .save('graph.svg') writes it>"

    def _render(self, format_: str, *options: str) -> bytes:
        if self._n_boxes > LARGEST:
            raise ValueError(
                f"this graph has {self._n_boxes:,} values, too many for a readable picture (at most {LARGEST:,}): "
                f"{_INSTEAD}"
            )
        if sys.platform == "emscripten":
            return rendered(self.source, format_)
        program = _dot_program()
        command = [program, f"-T{format_}", *options]
        try:
            run = subprocess.run(
                command, input=self.source.encode(), capture_output=True, timeout=PATIENCE, check=False
            )
        except subprocess.TimeoutExpired:
            raise RuntimeError(
                f"Graphviz did not finish the layout of this graph of {self._n_boxes:,} values in {PATIENCE} s: "
                f"{_INSTEAD}"
            ) from None
        if run.returncode or not run.stdout:
            raise RuntimeError(f"{program} could not draw the graph: {run.stderr.decode(errors='replace').strip()}")
        return run.stdout


_SIZE = r'width="([\d.]+)pt" height="([\d.]+)pt"'
_INSTEAD = "leave out fold=None, draw a part of it (around=, depth=, wrt=), or save it as .dot for another program"
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Computation graph</title>
<style>:root {{ color-scheme: light dark }} body {{ margin: 1rem }} svg {{ max-width: 100%; height: auto }}</style>
{svg}
</html>
"""


def draw(
    root: Value | Stepper,
    *,
    direction: str = "LR",
    names: Mapping[str, object] | None = None,
    fold: str | None = "auto",
    around: Value | str | None = None,
    depth: int | None = None,
    wrt: Value | str | None = None,
    hide_constants: bool = False,
) -> Drawing:
    """The computation graph of `root` as a picture; that of a stepper (`step`) marks the last step.

    direction       from the leaves to the root: "LR" (to the right), "TB" (down), "RL" or "BT"
    names           names for values without a label, such as {"w": w, "b": b}; None: the variables of the calling code
    fold            what is one box: "sum" a sum of many terms, "neuron" a neuron too, "layer" a layer or a `ts.group`
                    too; None nothing; "auto" as little as leaves the text readable on a page of 900 pixels
    around, depth   only what is within `depth` operations of this value (the root, if only `depth` is given)
    wrt             only what depends on this value, with the leaves beside it: what its gradient is made of
    hide_constants  numbers in a formula, such as the 1 of 1 − x, stand in the box of their operation

    Values are given as such or by their names. A graph of up to 30 values is drawn whole; of one that is too large
    even folded, what is nearest to the root. What the picture leaves out or folds, a line in it says. A long way from
    `wrt` is all drawn, however wide; direction="TB" keeps it narrow.

    Where the graph has weights (a leaf called w), the notes' letters tell its leaves apart: w and b are parameters;
    a, x and y are inputs. A stepper brings its own names, and is not folded; in a graph of more than 60 values only
    those around its step are drawn. More than 3,000 boxes make no picture, only `.source`, written when it is asked
    for. Raises StaleGraphError if a leaf was set since the graph was computed, ValueError if `around` neither
    depends on `wrt` nor is an operand of what does.

    >>> w, x = Value(0.5), Value(2.0)
    >>> y = w * x
    >>> draw(y)
    <Drawing of 3 values; .save('graph.svg') writes it>
    >>> from tinygrad_scalar import MLP
    >>> draw(MLP(4, [8, 3], seed=0)([0.1, 0.2, 0.3, 0.4])[0], fold="layer")
    <Drawing of 142 values in 6 boxes; .save('graph.svg') writes it>
    """
    if not isinstance(root, (Value, Stepper)):
        raise TypeError(f"draw expects a stepper or the Value at the root of a graph, got {shown(root)}")
    if direction not in DIRECTIONS:
        raise ValueError(f"direction must be one of {', '.join(DIRECTIONS)}, got {shown(direction)}")
    if not (fold is None or isinstance(fold, str)) or fold not in ("auto", *LEVELS):
        raise ValueError(f'fold must be "auto", "sum", "neuron", "layer" or None, got {shown(fold)}')
    if depth is not None:
        depth = required_integer(depth, "depth")
    hide_constants = required_flag(hide_constants, "hide_constants")
    if isinstance(root, Stepper):
        if fold != "auto" or hide_constants or any(option is not None for option in (around, depth, wrt)):
            raise TypeError(
                "the picture of a stepper shows what is around its step: it takes no fold, around, depth, "
                "wrt or hide_constants; draw its root for these"
            )
        return _of_stepper(root, direction)
    variables = caller_variables() if names is None else names
    nodes = topological_order(root)
    require_fresh(nodes)
    called = names_of(nodes, variables)
    places = {node: i for i, node in enumerate(nodes)} if around is not None or wrt is not None else {}
    about = [None if value is None else places[_found(root, variables, value)] for value in (around, wrt)]
    structure = structure_of(nodes, called)
    called.update(leaf_names(nodes, called))
    graph = Graph(structure, [called.get(node, "") for node in nodes])
    hidden = {i for i, node in enumerate(nodes) if hide_constants and is_bare_number(node) and node not in called}
    choice = choose(graph, Wish(fold, about[0], depth, about[1], hidden, direction))

    def dot() -> Digraph:
        require_fresh(nodes)
        return dot_of(graph, choice, direction)

    drawing = Drawing(dot, len(nodes), len(choice.boxes))
    if len(choice.boxes) <= LARGEST:
        drawing.source  # noqa: B018 the numbers of now
    return drawing


def _of_stepper(stepper: Stepper, direction: str) -> Drawing:
    marks = Marks(stepper)
    unknown = getattr(stepper.notation, "unknown", {})  # pickles written before have none
    nodes, called = stepper.nodes, stepper.notation.called
    structure = without_parts(nodes, {node: name for node, name in called.items() if node not in unknown})
    view = View(structure)
    boxes = {view.box(i) for i, node in enumerate(nodes) if node in set(marks.nodes)}
    picture = dot_of(Graph(structure, [called.get(node, "") for node in nodes]), Choice(view, boxes), direction, marks)
    return Drawing(lambda: picture, len(marks.nodes))


def _found(root: Value, variables: Mapping[str, object], value: Value | str) -> Value:
    """The value of the graph that is asked for, as such or by its name."""
    if value is root:
        return root
    return NamedGraph(root, "draw", variables).find(value)


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

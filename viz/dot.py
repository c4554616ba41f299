"""The boxes of a picture as a graph in Graphviz's language, DOT."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tinygrad_scalar.engine import Value, ops
from tinygrad_scalar.engine.graph import shown_operands
from tinygrad_scalar.inspection.notation import written
from tinygrad_scalar.inspection.structure import Part
from tinygrad_scalar.viz import boxes as style
from tinygrad_scalar.viz.boxes import FOLDED, LOOKS, escaped
from tinygrad_scalar.viz.extent import ranks_of
from tinygrad_scalar.viz.folding import Choice, Graph
from tinygrad_scalar.viz.marks import DIGITS, Marks
from tinygrad_scalar.viz.view import Box

if TYPE_CHECKING:
    from graphviz import Digraph

_IN_ANY_ORDER = ("+", "*", "sum(n)", "mean(n)", "norm(n)", "max(n)", "min(n)", "logsumexp(n)", "largest(n)")
_INFIX = ("+", "-", "*", "/")
_ONE_BY_ONE = 3  # operands that are cut off: more are one


def dot_of(graph: Graph, choice: Choice, direction: str, marks: Marks | None = None) -> Digraph:
    """The picture of a choice of boxes; with `marks` of a stepper at its step."""
    from graphviz import Digraph

    attributes = {**style.GRAPH, "rankdir": direction}
    if choice.says:
        attributes |= {"label": style.note(choice.says), "labelloc": "b", "labeljust": "l", "ranksep": "0.22"}
    dot = Digraph("computation graph", graph_attr=attributes, node_attr=style.NODE, edge_attr=style.EDGE)
    _Writer(graph, choice, marks, dot).write()
    return dot


class _Writer:
    def __init__(self, graph: Graph, choice: Choice, marks: Marks | None, dot: Digraph) -> None:
        self.graph, self.view, self.boxes, self.marks, self.dot = graph, choice.view, choice.boxes, marks, dot
        self.structure = graph.structure
        self.frames: dict[Part, Digraph] = {}
        self.edges: list[tuple[str, str, dict[str, str]]] = []

    def write(self) -> None:
        for box in sorted(self.boxes, key=lambda box: (box.place, box.title)):
            into = self.frame(self.view.around(box))
            if box.value is not None:
                self.value(box, box.value, into)
            elif box.part is not None:
                self.part(box, box.part, into)
            else:
                self.leaves(box, into)
        self.inputs_in_columns()
        for frame in self.frames.values():
            frame.body.reverse()  # in which Graphviz puts the neurons of a layer in order, most of the time
        for part in reversed(self.frames):  # inner frames before those around them
            outer = next((p for p in _outwards(part) if p in self.frames), None)
            (self.frames[outer] if outer else self.dot).subgraph(self.frames[part])
        self.used_elsewhere()
        for tail, head, attributes in self.edges:
            self.dot.edge(tail, head, **attributes)

    def edge(self, tail: str, head: str, **attributes: str) -> None:
        if self.view.level is None:
            self.dot.edge(tail, head, **attributes)
        else:
            self.edges.append((tail, head, attributes))  # after the frames

    def node(self, i: int) -> Value:
        return self.structure.nodes[i]

    # --- the boxes ---------------------------------------------------------------------------------------------------

    def value(self, box: Box, i: int, into: Digraph) -> None:
        node, name, kind, marks = self.node(i), self.graph.names[i], self.structure.kinds[i], self.marks
        look = LOOKS[kind]
        tooltip = style.tooltip(f"{kind} {name}: data = {node.data!r}, grad = {node.grad!r}")
        attributes = {"color": look.line, "fillcolor": look.fill, **look.box, **(marks.box(node) if marks else {})}
        into.node(box.title, style.value_label(node, name, look, marks), tooltip=tooltip, **attributes)
        if not any(self.view.box(operand) in self.boxes for operand in box.operands if operand not in self.view.hidden):
            if box.operands and not marks and not all(operand in self.view.hidden for operand in box.operands):
                self.cut_off(box.title, box.title, box.operands)
                return
            if not box.operands or marks:
                return
        operation = f"o{i}"
        sign, text, order = self.operation(box, node)
        into.node(operation, escaped(sign), tooltip=text, **style.OPERATION, **order)
        way = marks.edge(node) if marks else {}
        self.edge(operation, box.title, arrowhead="none", **{**way, **({"arrowtail": "none"} if way else {})})
        self.arrows(operation, box, way)

    def operation(self, box: Box, node: Value) -> tuple[str, str, dict[str, str]]:
        """The sign of the operation that makes a value, its tooltip, and the order of its operands."""
        row = ops.operation(node.op)
        if box.part:
            sum_ = node.op == "+" or row.family == "sum(n)"
            sign = "Σ" if sum_ else row.symbol
            return sign, style.tooltip(f"{sign} of {len(box.operands):,} terms"), {}
        operands = [self.structure.operands[box.place][place] for place in range(len(node.operands))]
        names = [self.graph.names[o] or written(self.node(o).data, DIGITS) for o in operands]
        order = {} if (row.family or row.name) in _IN_ANY_ORDER else {"ordering": "in"}  # from top to bottom
        sign = row.symbol
        hidden = {
            place: written(self.node(o).data, DIGITS) for place, o in enumerate(operands) if o in self.view.hidden
        }
        if hidden and row.name in _INFIX:
            sign = f"{hidden.get(0, '')} {row.symbol} {hidden.get(1, '')}".strip()
        elif hidden:
            sign = row.text.format(*[hidden.get(place, "·") for place in range(len(operands))])
        return sign, style.tooltip(row.text.format(*names)), order

    def part(self, box: Box, part: Part, into: Digraph) -> None:
        values = [self.node(i) for i in part.outputs]
        look, lines = FOLDED[part.kind], self.formula(part)
        footer = f"{part.size:,} values"
        if part.kind == "neuron":
            footer = f"{part.shape[0]:,} input{'s' * (part.shape[0] > 1)}, {footer}"
        label = style.folded_label(part.name, look, lines, values, footer)
        tooltip = style.tooltip(f"{part.kind} {part.name}: {footer}")
        into.node(box.title, label, tooltip=tooltip, color=look.line, fillcolor=look.fill, **look.box)
        self.arrows(box.title, box, {})

    def formula(self, part: Part) -> list[str]:
        """What a part computes, and its shape."""
        if part.kind == "named":
            return [f"{part.shape[1]:,} in → {part.shape[0]:,} out"]
        output = part.outputs[-1]
        home = self.structure.home[output]
        activation = "" if home and home.kind == "sum" else _activation(self.node(output))
        if part.kind == "neuron":
            weighted = "Σ wₖaₖ" if part.shape[0] > 1 else "w·a"
            return [f"{activation}({weighted} + b)" if activation else f"{weighted} + b"]
        return [f"{activation}(W·a + b)" if activation else "W·a + b", f"W: {part.shape[0]:,} × {part.shape[1]:,}"]

    def leaves(self, box: Box, into: Digraph) -> None:
        kind = self.structure.kinds[box.leaves[0]]
        look = FOLDED[f"{kind}s"]
        ends = [style.shown(self.graph.names[i]) for i in (box.leaves[0], box.leaves[-1])]
        name = f"{ends[0]} … {ends[1]}" if ends[0] != ends[1] else ends[0]
        footer = f"{len(box.leaves):,} {look.word}"
        label = style.folded_label(name, look._replace(word=""), [], [self.node(i) for i in box.leaves], footer)
        into.node(box.title, label, tooltip=style.tooltip(footer), color=look.line, fillcolor=look.fill, **look.box)

    # --- between the boxes -------------------------------------------------------------------------------------------

    def arrows(self, to: str, box: Box, way: dict[str, str]) -> None:
        """The arrows to an operation or a folded part; what is not in the picture is cut off."""
        missing = [i for i in box.operands if i not in self.view.hidden and self.view.box(i) not in self.boxes]
        places = {} if box.value is None or box.part else self.places(box)
        if len(missing) > _ONE_BY_ONE or not places:
            if missing:
                self.cut_off(to, box.title, missing)
            missing, gone = [], set(missing)
        else:
            gone = set()
        drawn = set()
        for n, i in enumerate(box.operands):
            if i in self.view.hidden or i in gone:
                continue
            if i in missing:
                title = f"c{box.place}_{places[n]}"
                self.dot.node(title, "…", tooltip=self.tooltip(i), **style.CUT_OFF)
                self.edge(title, to, **way)
                continue
            operand = self.view.box(i)
            if operand.value is not None or operand not in drawn:
                drawn.add(operand)
                self.edge(operand.title, to, **way)

    def places(self, box: Box) -> dict[int, int]:
        return {n: place for n, (place, _) in enumerate(shown_operands(self.node(box.place)))}

    def cut_off(self, to: str, title: str, missing: Sequence[int]) -> None:
        """One arrow for all operands that are not in the picture."""
        text = "…" if len(missing) == 1 or to == title else f"{len(missing):,} more …"
        self.dot.node(f"c_{title}", text, tooltip=self.tooltip(missing[0]), **style.CUT_OFF)
        self.edge(f"c_{title}", to)

    def used_elsewhere(self) -> None:
        """An arrow out of the picture from boxes that nothing in it is computed from, beside the root."""
        if self.marks:
            return
        used = {below for box in self.boxes for below in self.view.below(box)}
        for box in sorted(self.boxes - used - {self.view.root}, key=lambda box: box.place):
            self.dot.node(f"u_{box.title}", "…", tooltip="used outside of the picture", **style.CUT_OFF)
            self.edge(box.title, f"u_{box.title}")

    def tooltip(self, i: int) -> str:
        return style.tooltip(self.graph.names[i] or written(self.node(i).data, DIGITS))

    # --- frames and columns ------------------------------------------------------------------------------------------

    def frame(self, around: list[Part]) -> Digraph:
        """The innermost of the frames around a box, made with those around it."""
        from graphviz import Digraph

        for part in reversed(around):
            if part not in self.frames:
                shape = f" ({part.shape[0]:,} × {part.shape[1]:,})" if part.kind == "layer" else ""
                name = style.shown(part.name) + shape
                attributes: dict[str, Any] = {"label": escaped(name), "tooltip": style.tooltip(name), **style.CLUSTER}
                self.frames[part] = Digraph(f"cluster_{len(self.frames)}", graph_attr=attributes)
        return self.frames[around[0]] if around else self.dot

    def inputs_in_columns(self) -> None:
        """Inputs of one name that are used at the same depth stand in a column, in order."""
        from graphviz import Digraph

        columns: dict[tuple[str, int], list[str]] = {}
        ranks = ranks_of(self.view, self.boxes) if self.view.level is not None else {}
        for box in sorted(ranks, key=lambda box: box.place):
            if box.value is not None and self.structure.kinds[box.value] == "input" and not self.view.around(box):
                key = self.graph.names[box.value].split("[")[0], ranks[box]
                columns.setdefault(key, []).append(box.title)
        for titles in columns.values():
            column = Digraph(graph_attr={"rank": "same"})
            for one, other in pairwise(titles):
                column.edge(one, other, style="invis")
            if len(titles) > 1:
                self.dot.subgraph(column)


def _outwards(part: Part) -> list[Part]:
    found = []
    outer = part.inside
    while outer:
        found.append(outer)
        outer = outer.inside
    return found


def _activation(node: Value) -> str:
    """The sign of the activation that makes a value, or "" if it is none."""
    return ops.operation(node.op).symbol if len(node.operands) == 1 else ""

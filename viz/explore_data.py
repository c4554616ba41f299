"""A graph as the data of the explorer's page: columns of numbers, names, the rows of its operations, its parts."""

from __future__ import annotations

import base64
import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

from tinygrad_scalar.engine.anomaly import line_of
from tinygrad_scalar.engine.graph import pass_order
from tinygrad_scalar.engine.operation import Operation
from tinygrad_scalar.engine.ops import operation
from tinygrad_scalar.inspection.explain import Explanation
from tinygrad_scalar.inspection.kinds import kinds
from tinygrad_scalar.inspection.named_graph import NamedGraph
from tinygrad_scalar.inspection.names import symbol
from tinygrad_scalar.inspection.paths import Paths
from tinygrad_scalar.inspection.structure import Part, structure_of

KINDS = ("constant", "leaf", "input", "parameter", "value", "output")
READABLE = 45  # boxes that are on show at the beginning, if folding can do that
ROW = 4  # leaves of one letter in a group, in a graph with more than READABLE values
EXPLAINED = 200  # values of a graph of which the page has what `explain` says
MOST_EXPLAINED = 40  # names
MOST_SLOPES = 2_000  # operands of an operation whose slopes are written out


def explored(graph: NamedGraph) -> dict[str, Any]:
    """The data of the page of a graph, as JSON can hold it; viz/explorer/graph.js reads the columns.

    >>> from tinygrad_scalar import Value
    >>> data = explored(NamedGraph(Value(2.0, "w") * Value(3.0, "x"), "explore", {}))
    >>> data["title"], data["n"], data["called"]
    ('w·x', 3, ['w', 'x', ''])
    """
    nodes, index, notation = graph.nodes, graph.index, graph.notation
    ops = list(dict.fromkeys(node.op for node in nodes if node.op))
    codes = {"": -1, **{name: code for code, name in enumerate(ops)}}
    known = {node: name for node, name in notation.called.items() if node not in notation.unknown}
    kind = kinds(nodes, known)
    called = [notation.name(node) if node in notation.called else "" for node in nodes]
    starts = [0]
    for node in nodes:
        starts.append(starts[-1] + len(node.operands))
    found: dict[str, Any] = {
        "title": notation.name(graph.root),
        "n": len(nodes),
        "code": _column([codes[node.op] for node in nodes], "<i2"),
        "starts": _column(starts, "<i4"),
        "operands": _column([index[operand] for node in nodes for operand in node.operands], "<i4"),
        "data": _column([node.data for node in nodes], "<f8"),
        "kind": _column([KINDS.index(kind[node]) for node in nodes], "u1"),
        "order": _column([index[node] for node in pass_order(graph.root)], "<i4"),
        "operations": [_row(operation(name)) for name in ops],
        "called": called,
        "plain": {index[node]: name for node, name in notation.called.items() if name != called[index[node]]},
        "letter": notation.letter,
        "local": {
            index[n]: [*map(_in_json, n.local_grads)] for n in nodes if n.op and operation(n.op).primitive is not None
        },
        "lines": {i: str(line) for i, node in enumerate(nodes) if (line := line_of(node)) is not None},
        "explain": _explanations(graph) if len(nodes) <= EXPLAINED else {},
        **_parts(graph, known),
    }
    return {name: value for name, value in found.items() if value != {}}


def _row(row: Operation) -> dict[str, Any]:
    """What the page knows about an operation; what does not apply is left out."""
    found: dict[str, Any] = {"name": row.name, "key": row.family or row.name, "symbol": row.symbol, "text": row.text}
    if row.constant is not None:
        found["constant"] = _in_json(row.constant)
    if 0 < len(row.slopes) <= MOST_SLOPES:
        found["slopes"] = [*row.slopes]
    if row.piecewise:
        found["piecewise"] = True
    for name, places in (("detached", row.detached), ("companions", row.companions)):
        if places:
            found[name] = [*places]
    return found


def _explanations(graph: NamedGraph) -> dict[int, str]:
    """What `explain` says about the first of the named values."""
    named = [node for node in graph.nodes if node in graph.notation.called and node is not graph.root]
    found = {}
    for node in named[:MOST_EXPLAINED]:
        paths = Paths(graph, node)
        with contextlib.suppress(ValueError):
            equations, likewise = paths.equations()
            found[graph.index[node]] = Explanation(graph.root, equations, likewise, graph.notation, paths).text
    return found


# --- groups ----------------------------------------------------------------------------------------------------------


def _parts(graph: NamedGraph, known: dict[Any, str]) -> dict[str, Any]:
    """The groups that the page folds, the innermost group of each node, and which are folded at the beginning."""
    structure = structure_of(graph.nodes, known)
    parts = [part for part in _each(structure.parts) if part.size > 1]
    for part in _rows_of_leaves(graph, known, structure.home):
        parts.append(part)
        for i in part.own:
            structure.home[i] = part
    if not parts:
        return {}
    number: dict[int | None, int] = {id(part): i for i, part in enumerate(parts)}
    group = []
    for home in structure.home:
        while home is not None and id(home) not in number:
            home = home.inside
        group.append(-1 if home is None else number[id(home)])
    described = [
        {
            "name": _name(part),
            "kind": part.kind,
            "parent": -1 if part.inside is None else number[id(part.inside)],
            "detail": _shape(part),
        }
        for part in parts
    ]
    return {"groups": described, "group": _column(group, "<i4"), "folded": _folded(parts, len(graph.nodes))}


def _rows_of_leaves(graph: NamedGraph, known: dict[Any, str], home: Sequence[Part | None]) -> list[Part]:
    """Leaves of one letter and layer that are in no part, such as an image's pixels or the weights of a cost."""
    if len(graph.nodes) <= READABLE:
        return []
    alike: dict[tuple[str, str], list[int]] = {}
    for i, node in enumerate(graph.nodes):
        if not node.op and home[i] is None and node in known and (name := symbol(known[node])):
            alike.setdefault((name.letter, name.layer), []).append(i)
    return [
        Part("leaves", f"{letter}({layer})" if layer else letter, (len(places),), own=places, size=len(places))
        for (letter, layer), places in alike.items()
        if len(places) >= ROW
    ]


def _each(parts: Sequence[Part]) -> Iterator[Part]:
    """All parts, outer ones before inner ones."""
    todo = [*reversed(parts)]
    while todo:
        part = todo.pop()
        yield part
        todo.extend(reversed(part.parts))


def _name(part: Part) -> str:
    in_notes = symbol(part.name)
    name = in_notes.unicode if in_notes else part.name
    if part.kind == "sum":
        return f"Σ {name}".strip()
    return f"neuron {name}" if part.kind == "neuron" and not name.startswith("neuron") else name or part.kind


def _shape(part: Part) -> str:
    if part.kind == "leaves":
        return ""
    if part.kind == "sum":
        return f"{part.shape[0]} terms"
    sizes = [f"{size:,}" for size in part.shape]
    if len(sizes) == 2:
        return f"{sizes[1]} → {sizes[0]}"
    return f"{sizes[0]} input{'s' * (sizes[0] != '1')}" if sizes else ""


def _folded(parts: Sequence[Part], n: int) -> list[int]:
    """The groups to fold so that the picture is readable: first sums, then neurons, then layers and named groups."""
    on_show, folded = n, []
    for kind in ("sum", "neuron", "leaves", "layer", "named"):
        if on_show <= READABLE:
            break
        of_kind = [i for i, part in enumerate(parts) if part.kind == kind]
        folded += of_kind
        inside = {id(part) for i, part in enumerate(parts) if i in set(folded)}
        on_show = n - sum(part.size - 1 for part in parts if id(part) in inside and not _is_within(part, inside))
    return folded


def _is_within(part: Part, folded: set[int]) -> bool:
    outer = part.inside
    while outer is not None:
        if id(outer) in folded:
            return True
        outer = outer.inside
    return False


def _in_json(number: float) -> float | str:
    """A number; for one that JSON does not have, its name in JavaScript."""
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def _column(numbers: Sequence[float], kind: str) -> str:
    """Numbers as base64 of a little-endian array."""
    import numpy as np

    return base64.b64encode(np.asarray(numbers, kind).tobytes()).decode()

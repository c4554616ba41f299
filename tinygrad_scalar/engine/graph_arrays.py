"""`Tape`: the graphs of any number of roots as arrays, for `vectorize`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tinygrad_scalar.engine import ops
from tinygrad_scalar.engine.bulk import read_data
from tinygrad_scalar.engine.graph import topological_order
from tinygrad_scalar.engine.node import Node

if TYPE_CHECKING:
    import numpy as np

    Integers = np.ndarray[tuple[int], np.dtype[np.int32]]
    Floats = np.ndarray[tuple[int], np.dtype[np.float64]]


class Tape(NamedTuple):
    """Graphs as arrays: node i applies operation `names[codes[i]]` to the nodes `operands[starts[i]:starts[i+1]]`.

    Operands come before the nodes computed from them; a leaf has the code −1 and no operands.

    data   each node's number
    found  for each Value that was looked for its node, or −1
    older  the other leaves that were made or last set before a given time
    """

    names: list[str]
    codes: Integers
    starts: Integers
    operands: Integers
    data: Floats
    found: Integers
    older: list[Any]


def cut_off(tape: Tape, root: int, chosen: Mapping[int, Sequence[int]] | None = None) -> set[int]:
    """The nodes that no gradient from `root` reaches, as in graph.py; if there are no detached operands, an empty set.

    `chosen` are the nodes among which a leaf chooses, which passes its gradient on to them.
    """
    if not any(ops.operation(name).detached for name in tape.names):
        return set()
    return unreached(tape, root, chosen or {})


def unreached(tape: Tape, root: int, chosen: Mapping[int, Sequence[int]]) -> set[int]:
    """The same without that shortcut. With no `chosen`, also what `root` depends on through such choices alone."""
    import numpy as np

    detached = {code: found for code, name in enumerate(tape.names) if (found := ops.operation(name).detached)}
    codes, starts, operands = tape.codes, tape.starts, tape.operands
    source = np.repeat(np.arange(len(codes)), np.diff(starts))  # of each edge
    passes = np.ones(len(operands), bool)
    for code, places in detached.items():
        passes &= ~((codes[source] == code) & np.isin(np.arange(len(operands)) - starts[source], places))
    below = operands[passes].tolist()
    first = np.searchsorted(source[passes], np.arange(len(codes) + 1)).tolist()
    every_choice = [entry for entries in chosen.values() for entry in entries]
    ways = np.bincount([*below, *every_choice, root], minlength=len(codes))  # to each node from those above it
    todo = np.flatnonzero(ways == 0).tolist()
    cut = set(todo)
    while todo:  # what only such nodes lead to
        i = todo.pop()
        for operand in (*below[first[i] : first[i + 1]], *chosen.get(i, ())):
            ways[operand] -= 1
            if ways[operand] == 0:
                cut.add(operand)
                todo.append(operand)
    return {i for i in cut if codes[i] >= 0}


def read_graph(roots: Sequence[Node], sought: Sequence[Node] = (), before: int = 0) -> Tape:
    """The graphs of all `roots` in one tape, the graph of each in topological order.

    `sought` are Values to look for among the nodes, and `before` is the time for `Tape.older`.

    >>> from tinygrad_scalar import Value
    >>> x = Value(2.0)
    >>> tape = read_graph([x * x + x], [x])
    >>> tape.names, tape.codes.tolist(), tape.starts.tolist(), tape.operands.tolist(), tape.found.tolist()
    (['*', '+'], [-1, 0, 1], [0, 0, 2, 4], [0, 0, 1, 0], [0])
    """
    import numpy as np

    order: dict[Node, int] = {}
    for root in roots:
        if root not in order:
            for node in topological_order(root):
                order.setdefault(node, len(order))
    names: dict[str, int] = {"": -1}
    codes, starts, operands = [], [0], []
    for node in order:
        codes.append(names.setdefault(node.op, len(names) - 1))
        operands.extend([order[operand] for operand in node.operands])
        starts.append(len(operands))
    nodes: list[Any] = [*order]
    data = np.empty(len(nodes))
    read_data(nodes, data)
    looked_for = set(sought)
    return Tape(
        list(names)[1:],
        np.array(codes, np.int32),
        np.array(starts, np.int32),
        np.array(operands, np.int32),
        data,
        np.array([order.get(node, -1) for node in sought], np.int32),
        [node for node in order if not node.op and 0 <= node._time < before and node not in looked_for],
    )

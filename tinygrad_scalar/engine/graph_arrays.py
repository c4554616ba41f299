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


def without_copies(tape: Tape) -> Tape:
    """The same graphs in which what is computed from a copy is computed from what was copied."""
    import numpy as np

    if "copy" not in tape.names:
        return tape
    copies = tape.codes == tape.names.index("copy")
    copied = np.arange(len(tape.codes))
    for i in np.flatnonzero(copies):
        copied[i] = copied[tape.operands[tape.starts[i]]]
    place = (np.cumsum(~copies) - 1)[copied].astype(np.int32)  # each node's among those that are left
    n_operands = np.diff(tape.starts)
    return tape._replace(
        codes=tape.codes[~copies],
        starts=np.concatenate([[0], np.cumsum(n_operands[~copies])]).astype(np.int32),
        operands=place[tape.operands[np.repeat(~copies, n_operands)]],
        data=tape.data[~copies],
        found=np.where(tape.found < 0, tape.found, place[tape.found]),
    )


def may_cut_off(tape: Tape) -> bool:
    """Whether the graphs have detached operands, so that there can be nodes that no gradient reaches."""
    return any(ops.operation(name).detached for name in tape.names)


def cut_off(tape: Tape, root: int) -> set[int]:
    """The operations that no gradient from `root` reaches, as in graph.py."""
    import numpy as np

    if not may_cut_off(tape):
        return set()
    found = reached(tape.starts, tape.operands, passing(tape), root, {})
    return set(np.flatnonzero(~found & (tape.codes >= 0)).tolist())


def passing(tape: Tape) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """For each edge whether it passes a gradient on: not to a detached operand."""
    import numpy as np

    passes = np.ones(len(tape.operands), bool)
    for code, name in enumerate(tape.names):
        for place in ops.operation(name).detached:
            passes[tape.starts[:-1][tape.codes == code] + place] = False
    return passes


def reached(
    starts: Integers, operands: Integers, passes: Any, root: int, choices: Mapping[int, Sequence[int]]
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """The nodes that a gradient from `root` reaches along the edges that pass it on.

    `choices` are the nodes among which a leaf chooses, which passes its gradient on to them.
    """
    import numpy as np

    first, below, passes = starts.tolist(), operands.tolist(), passes.tolist()
    found = [False] * (len(first) - 1)
    found[root] = True
    for i in range(len(found) - 1, -1, -1):  # every node after all that are computed from it
        if found[i]:
            for edge in range(first[i], first[i + 1]):
                if passes[edge]:
                    found[below[edge]] = True
            for entry in choices.get(i, ()):
                found[entry] = True
    return np.array(found, bool)


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

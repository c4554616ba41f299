"""Primitives of the user's own in scalar programs: their nodes replaced by what the primitives are made of.

The executor differentiates its own operations, but a primitive has a derivative of its own. So its function's result,
to which no gradient goes, gets the slopes attached one by one: attach(v, x, slope) is v, and passes slope·u on to x.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_scalar.engine.ops import Operation, operation
from tinygrad_scalar.primitives.recipe import Recipe, advice
from tinygrad_scalar.vectorize.lookup_tables import shared

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_scalar.engine import Tape
    from tinygrad_scalar.vectorize.trace import Trace

# Names of the operation on a tape, by its number: the sum of PASSES (1), if a gradient goes to v as well, and ON_PATH
# (2), if a slope of 0 lets nothing through; see _tape.pyx.
ATTACH = ("attach", "attach to sum", "attach on path", "attach to sum on path")

OTHERWISE = {"cond": "lookup", "max of next": "shared max", "min of next": "shared min"}  # names of codes that differ
SHIFTED = ("shifted first", "shifted next", "shifted last")  # on tapes alone too: see shifted_chains.py


class Node(NamedTuple):
    """A node of a primitive; operands ≥ 0 are nodes before it, −1 − k is operand k of the primitive."""

    op: str
    operands: tuple[int, ...]
    number: float = 0.0


def code_and_number(name: str, codes: dict[str, int]) -> tuple[int, float]:
    """The executor's code of an operation on a tape, −1 if there is none, and its constant."""
    if name in ATTACH:
        return codes["attach"], float(ATTACH.index(name))
    if name in SHIFTED:
        return codes[name], 0.0
    row = operation(name)
    return codes.get(OTHERWISE.get(row.name) or row.family or row.name, -1), row.constant or 0.0


def without_recipe(row: Operation) -> str:
    """Why the scalar program cannot have a primitive, or ""."""
    try:
        _nodes_of(row)
    except NotImplementedError as error:
        return str(error)
    return ""


def attached(trace: Trace) -> Trace:
    """The trace without primitives; those without a recipe stay."""
    rows = [operation(name) for name in trace.tape.names]
    made = {}
    for code, row in enumerate(rows):
        if row.primitive is not None:
            try:
                made[code] = _nodes_of(row)
            except NotImplementedError:
                return trace
    return _replaced(trace, made) if made else trace


def _nodes_of(row: Operation) -> list[Node]:
    """What a primitive is made of; NotImplementedError, which says why, if it has no recipe."""
    nodes: list[Node] = []
    known: dict[Node, int] = {}
    given = [-1 - k for k in range(row.arity)]
    v = _add_recipe(row, None, given, nodes, known)
    flags = 2 * row.piecewise
    slopes = [(x, _add_recipe(row, i, given, nodes, known)) for i, x in enumerate(given) if i not in row.detached]
    if not slopes:
        slopes = [(_add(Node("", (), 0.0), nodes, known),) * 2]
    for x, slope in slopes:
        nodes.append(Node(ATTACH[flags], (v, x, slope)))
        v, flags = len(nodes) - 1, flags | 1
    return nodes


def _add(node: Node, nodes: list[Node], known: dict[Node, int]) -> int:
    place = known.setdefault(node, len(nodes))
    if place == len(nodes):
        nodes.append(node)
    return place


def _add_recipe(row: Operation, operand: int | None, given: Sequence[int], nodes: list[Node], known: Any) -> int:
    """Add the nodes of a function, or of its slope in an operand; returns where its result is."""
    try:
        recipe: Recipe = row.primitive.recipe(operand)
    except NotImplementedError as error:
        name = row.primitive.__name__
        raise NotImplementedError(
            advice(name if operand is None else f"the derivative of {name}", str(error))
        ) from None
    tape = recipe.tape
    place = {node: given[i] for i, node in enumerate(recipe.operands) if node >= 0}
    for node, code in enumerate(tape.codes.tolist()):
        if node in place:
            continue
        if code < 0:
            place[node] = _add(Node("", (), float(tape.data[node])), nodes, known)
            continue
        operands = tuple(place[i] for i in tape.operands[tape.starts[node] : tape.starts[node + 1]].tolist())
        below = operation(tape.names[code])
        if below.primitive is not None:
            place[node] = _add_recipe(below, None, operands, nodes, known)
        else:
            place[node] = _add(Node(below.name, operands), nodes, known)
    return place[recipe.result]


def _replaced(trace: Trace, made: dict[int, list[Node]]) -> Trace:
    """The trace in which each node of an operation is replaced by what that is made of, the last of which is it."""
    tape = trace.tape
    size_of = np.ones(len(tape.names) + 1, np.int64)  # the last one for leaves, whose code is −1
    for code, nodes in made.items():
        size_of[code] = len(nodes)
    sizes = size_of[tape.codes]
    last = np.cumsum(sizes) - 1  # where a node is now
    first, total = last - sizes + 1, int(sizes.sum())
    names = {name: code for code, name in enumerate(tape.names)}
    codes, data = np.full(total, -1, np.int32), np.zeros(total)
    codes[last], data[last] = tape.codes, tape.data
    n_operands = np.zeros(total, np.int64)
    n_operands[last] = np.diff(tape.starts)
    for code, nodes in made.items():
        for at, node in enumerate(nodes):
            where = first[tape.codes == code] + at
            codes[where] = names.setdefault(node.op, len(names)) if node.op else -1
            data[where], n_operands[where] = node.number, len(node.operands)
    starts = np.concatenate([[0], np.cumsum(n_operands)]).astype(np.int32)
    operands = np.empty(starts[-1], np.int32)
    stays = np.isin(tape.codes, list(made), invert=True)
    source = np.repeat(np.arange(len(sizes)), np.diff(tape.starts))  # of each edge
    kept = stays[source]
    slot = np.arange(len(source)) - tape.starts[source]
    operands[(starts[last[source]] + slot)[kept]] = last[tape.operands[kept]]
    for code, nodes in made.items():
        found = np.flatnonzero(tape.codes == code)
        for at, node in enumerate(nodes):
            for k, operand in enumerate(node.operands):
                below = (
                    first[found] + operand if operand >= 0 else last[tape.operands[tape.starts[found] - 1 - operand]]
                )
                operands[starts[first[found] + at] + k] = below

    now = tape._replace(names=list(names), codes=codes, starts=starts, operands=operands, data=data)
    return renumbered(trace, last, now)


def renumbered(trace: Trace, last: NDArray[Any], tape: Tape) -> Trace:
    """The trace with another tape, in which node i is last[i]."""

    @shared
    def now(nodes: list[int]) -> list[int]:
        return last[np.asarray(nodes, np.int64)].tolist()  # type: ignore[no-any-return]

    return replace(
        trace,
        tape=tape,
        cost=int(last[trace.cost]),
        leaves=trace.leaves._replace(nodes=last[trace.leaves.nodes].astype(np.int32)),
        lookups={int(last[i]): (now(entries), a, at) for i, (entries, a, at) in trace.lookups.items()},
        guards=[(int(last[i]), guard) for i, guard in trace.guards],
        reached={int(last[i]): int(last[index]) for i, index in trace.reached.items()},
        outputs=now(trace.outputs),
    )

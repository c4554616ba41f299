"""Walking a graph without recursion, at any depth: its topological order, and whether its numbers are up to date.

A walk marks the interior nodes it has been to, so two threads must not walk graphs that share interior nodes at the
same time; leaves may be shared.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tinygrad_scalar.errors import StaleGraphError

if TYPE_CHECKING:
    from tinygrad_scalar.value import Value


def interior(root: Value) -> list[Value]:
    """The nodes below and with `root` that have operands, operands first."""
    order: list[Value] = []
    if root._left is None:
        return order
    seen = object()
    root._mark = seen
    node = root
    path: list[Value] = []
    push, pop, append = path.append, path.pop, order.append
    while True:
        left = node._left
        if left._left is not None and left._mark is not seen:
            left._mark = seen
            push(node)
            node = left
            continue
        right = node._right
        if right is None and node._wide:
            right = next((o for o, _ in node._wide if o._left is not None and o._mark is not seen), None)
        if right is not None and right._left is not None and right._mark is not seen:
            right._mark = seen
            push(node)
            node = right
            continue
        append(node)  # everything below it is in the order by now
        if not path:
            return order
        node = pop()


def topological_order(root: Value) -> list[Value]:
    """Every node of the graph of `root` once, operands before what is computed from them, `root` last.

    >>> from tinygrad_scalar import Value
    >>> x = Value(2.0, "x")
    >>> [node.op or node.label for node in topological_order((x * x).exp())]
    ['x', '*', 'exp']
    """
    order = []
    leaves = set()
    for node in interior(root):
        for operand in node.operands:
            if not operand._op and operand not in leaves:
                leaves.add(operand)
                order.append(operand)
        order.append(node)
    return order or [root]


def require_fresh(nodes: Iterable[Value], now: int | None = None) -> None:
    """Raise StaleGraphError if an operand of one of `nodes` was set or recomputed after the node was.

    With `now`, the time of the last change to any leaf, nodes computed since then are known to be fresh at a glance.
    """
    for node in nodes:
        if node._time is not now:
            for operand in node.operands:
                if operand._time > node._time:
                    leaves = (below for below in topological_order(operand) if not below.op)
                    leaf = max(leaves, key=lambda below: below._time)
                    raise StaleGraphError(
                        f"{leaf.label or repr(leaf)} was set to {leaf.data!r}, which has not reached "
                        f"{node.label or repr(node)} (operation {node.op!r}): call forward(), or build the graph again"
                    )

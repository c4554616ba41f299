"""Walking a graph without recursion, at any depth: its topological order, and whether its numbers are up to date."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from tinygrad_scalar.engine import errors

if TYPE_CHECKING:
    from tinygrad_scalar.engine.value import Value


def topological_order(root: Value) -> list[Value]:
    """Every node of the graph of `root` once, operands (left before right) before what is computed from them.

    >>> from tinygrad_scalar import Value
    >>> x = Value(2.0, "x")
    >>> [node.op or node.label for node in topological_order((x * x).exp())]
    ['x', '*', 'exp']
    """
    if not hasattr(root, "operands"):
        raise TypeError(f"topological_order takes a Value, not {errors.shown(root)}")
    return _after_operands(root, lambda node: reversed(node.operands))


def interior(root: Value) -> list[Value]:
    """The nodes with operands below and with `root`, operands (right before left) before what is computed from them.

    The passes of the plain Value go along this order. Right before left, because sums grow to the right: so a pass
    meets the nodes in about the order of their making, which is that of their places in memory. A walk marks the nodes
    it has been to, so two threads must not walk graphs that share interior nodes at the same time.
    """
    order: list[Value] = []
    if root._left is None:
        return order
    seen = object()
    root._mark = seen
    node = root
    path: list[Value] = []
    push, pop, append = path.append, path.pop, order.append
    while True:
        right = node._right
        if right is None and node._wide:
            wide = reversed(node._wide)
            right = next((o for o, _ in wide if o._left is not None and o._mark is not seen), None)
        if right is not None and right._left is not None and right._mark is not seen:
            right._mark = seen
            push(node)
            node = right
            continue
        left = node._left
        if left._left is not None and left._mark is not seen:
            left._mark = seen
            push(node)
            node = left
            continue
        append(node)  # everything below it is in the order by now
        if not path:
            return order
        node = pop()


def require_fresh(nodes: Iterable[Value], now: int | None = None) -> None:
    """Raise StaleGraphError if an operand of one of `nodes` was set or recomputed after the node was.

    With `now`, the time of the last change to any leaf, nodes computed since then are known to be fresh at a glance.
    """
    for node in nodes:
        if node._time is not now:
            for operand in node.operands:
                if operand._time > node._time:
                    leaves = (below for below in topological_order(operand) if not below.op)
                    raise errors.stale(max(leaves, key=lambda below: below._time), node)


def pass_order(root: Value) -> list[Value]:
    """The computed nodes in the order of the passes, as `interior`, for a reader of graphs: of both implementations."""
    return [node for node in _after_operands(root, lambda node: node.operands) if node.op]


def _after_operands(root: Value, pushed: Callable[[Value], Iterable[Value]]) -> list[Value]:
    """Every node once, after its operands; of those `pushed` on the stack the last comes first."""
    order: list[Value] = []
    seen: set[Value] = set()
    todo: list[tuple[Value, bool]] = [(root, False)]
    while todo:
        node, operands_done = todo.pop()
        if operands_done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            if not node.op:
                order.append(node)
                continue
            todo.append((node, True))
            todo.extend([(operand, False) for operand in pushed(node)])
    return order

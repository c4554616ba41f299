"""Reading a graph without recursion, at any depth: its topological order, its leaves, whether its numbers are up to
date, and the one reverse sweep that carries numbers from the root to every node, as `backward()` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from tinygrad_scalar.engine import errors, ops
from tinygrad_scalar.engine.node import AnyNode


def topological_order(root: AnyNode) -> list[AnyNode]:
    """Every node of the graph of `root` once: operands, left before right, before the nodes computed from them.

    >>> from tinygrad_scalar import Value
    >>> x = Value(2.0, "x")
    >>> [node.op or node.label for node in topological_order((x * x).exp())]
    ['x', '*', 'exp']
    """
    if not hasattr(root, "operands"):
        raise TypeError(f"topological_order expected a Value, got {errors.shown(root)}")
    return _after_operands(root, lambda node: reversed(node.operands))


def leaves(root: AnyNode) -> list[AnyNode]:
    """The values that the graph of `root` starts from, in topological order.

    >>> from tinygrad_scalar import Value
    >>> x, w = Value(2.0, "x"), Value(3.0, "w")
    >>> [leaf.label for leaf in leaves(w * x + x)]
    ['w', 'x']
    """
    if not hasattr(root, "operands"):
        raise TypeError(f"leaves expected a Value, got {errors.shown(root)}")
    return [node for node in topological_order(root) if not node.operands]


def is_bare_number(leaf: AnyNode) -> bool:
    """Whether nobody made this leaf, so nobody can set it: a number in a formula, such as the 2 of 2.0 * x."""
    return leaf._time < 0


def interior(root: Any) -> list[Any]:
    """The interior nodes of the graph of `root`: operands, right before left, before the nodes computed from them.

    This is the order of the plain Value's passes. Right before left, because sums grow to the right: a pass then visits
    nodes in roughly the order in which they were made and lie in memory. A walk marks the nodes it visits, so two
    threads must not walk graphs that share interior nodes at the same time.
    """
    order: list[Any] = []
    if root._left is None:
        return order
    seen = object()
    root._mark = seen
    node = root
    path: list[Any] = []
    rest: dict[Any, Iterator[Any]] = {}  # of a node with many operands those not yet visited
    push, pop, append = path.append, path.pop, order.append
    while True:
        right = node._right
        if right is None and node._wide:
            if node not in rest:
                rest[node] = reversed(node._wide)
            right = next((o for o, _ in rest[node] if o._left is not None and o._mark is not seen), None)
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
        append(node)  # everything below it is already in the order
        if not path:
            return order
        node = pop()


def require_fresh(nodes: Iterable[AnyNode], now: int | None = None) -> None:
    """Raise StaleGraphError if an operand of one of `nodes` was set or recomputed after the node was.

    With `now`, the time of the last change to any leaf, nodes computed since then need no second look.
    """
    for node in nodes:
        if node._time is not now:
            for operand in node.operands:
                if operand._time > node._time:
                    raise errors.stale(max(leaves(operand), key=lambda leaf: leaf._time), node)


def pass_order(
    root: AnyNode, followed: Callable[[AnyNode], Iterable[AnyNode]] = lambda node: node.operands
) -> list[AnyNode]:
    """The computed nodes in the order of `backward()` and `forward()`, operands first: right before left.

    `followed` gives the operands of a node to which the walk goes on.
    """
    return [node for node in _after_operands(root, followed) if node.op]


def shown_operands(node: AnyNode) -> list[tuple[int, AnyNode]]:
    """The operands that a reader shows, each with its place: all but companions without a gradient."""
    companions = ops.operation(node.op).companions if node.op else ()
    return [(i, operand) for i, operand in enumerate(node.operands) if i not in companions or node.local_grads[i]]


def kept(nodes: Sequence[AnyNode]) -> set[AnyNode]:
    """The nodes, of these in topological order, whose rounding does not matter, because a companion keeps their digits.

    They are the operands before a companion, and what is used for kept nodes alone, such as σ in 1 − σ.
    """
    found = {node.operands[i - 1] for node in nodes if node.op for i in ops.operation(node.op).companions}
    used: tuple[set[AnyNode], set[AnyNode]] = set(), set()  # for nodes that are not kept, and that are
    for node in reversed(nodes) if found else ():
        if node in used[True] and node not in used[False]:
            found.add(node)
        used[node in found].update(node.operands)
    return found


def contribution(op: str, local_grad: float, upstream: float) -> float:
    """The chain rule's local gradient × upstream gradient, through the operation that `Value.op` names.

    An operand that a piecewise operation does not use gets 0 whatever the upstream gradient, as from `where` in JAX.

    >>> from math import inf
    >>> contribution("relu", 0.0, inf), contribution("*", 0.0, inf)
    (0.0, nan)
    """
    amount = local_grad * upstream
    return 0.0 if amount != amount and local_grad == 0.0 and ops.operation(op).piecewise else amount


def cut_off(order: Sequence[AnyNode], names: Iterable[str] | None = None) -> set[AnyNode]:
    """The computed nodes that lead to the last one only through detached operands, such as a condition.

    Their gradient is 0, and so is what they pass on, however steep they are. `order` is that of `pass_order`; `names`
    are those of the operations that can have detached operands, if known.

    >>> from tinygrad_scalar import Value, where
    >>> x = Value(0.0)
    >>> [node.op for node in cut_off(pass_order(where(x.sqrt(), x, -x)))]
    ['sqrt']
    """
    names = {node.op for node in order} if names is None else names
    detached = {name: operands for name in names if (operands := ops.operation(name).detached)}
    cut: set[AnyNode] = set()
    if detached:
        reached = {order[-1]}
        for node in reversed(order):
            if node not in reached:
                cut.add(node)
            elif node.op in detached:
                reached.update(o for i, o in enumerate(node.operands) if i not in detached[node.op])
            else:
                reached.update(node.operands)
    return cut


def zeroed(order: list[Any]) -> list[Any]:
    """Set the gradients of plain nodes to 0; returns those that pass a gradient on, in order."""
    flat = set()  # the operations that can have detached operands
    for node in order:
        node._grad = 0.0
        if node._right is None and (node._wide or node._d_left == 0.0):
            flat.add(node._op)
    cut = cut_off(order, flat)
    return [node for node in order if node not in cut] if cut else order


def swept(root: AnyNode, weight: Callable[[AnyNode, float], float] | None = None) -> dict[AnyNode, float]:
    """Σ over the paths from `root` to each node of the product of `weight(node, local gradient)` along the path.

    Without `weight` these are the gradients, bit for bit those of `root.backward()`: the chain rule, 000 Eq. 3 and 8.

    >>> from tinygrad_scalar import Value
    >>> x = Value(3.0)
    >>> swept(x * x - x)[x], swept(x * x - x, lambda node, local_grad: abs(local_grad))[x]
    (5.0, 7.0)
    """
    found = {root: 1.0}
    order = pass_order(root)
    cut = cut_off(order)
    for node in reversed(order):
        upstream, slopes = found[node], node.local_grads
        if node in cut:
            slopes = (0.0,) * len(slopes)
        elif weight:
            slopes = tuple([weight(node, local_grad) for local_grad in slopes])
        for operand, slope in zip(node.operands, slopes):
            amount = slope * upstream
            if amount != amount:
                amount = contribution(node.op, slope, upstream)
            found[operand] = found.get(operand, 0.0) + amount
    return found


def _after_operands(root: AnyNode, pushed: Callable[[AnyNode], Iterable[AnyNode]]) -> list[AnyNode]:
    """Every node once, after its operands; the operands that `pushed` gives last come first."""
    order: list[AnyNode] = []
    seen: set[AnyNode] = set()
    todo: list[tuple[AnyNode, bool]] = [(root, False)]
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

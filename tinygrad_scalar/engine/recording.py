"""Derivatives that are Values: the chain rule, recorded as it is applied, so that it can be differentiated again.

`gradients` goes from the root down, as `backward()` does (000 Eq. 3 and 8), and `tangents` from the leaves up. Both
multiply by the functions `vjps` of the table's rows, and only along the paths between the two ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_scalar.engine import ops, recorded, value as _value
from tinygrad_scalar.engine.graph import pass_order, require_fresh
from tinygrad_scalar.engine.number import as_float
from tinygrad_scalar.screen import quoted

Vjps = Sequence[Callable[..., Any] | None]


class _One(float):
    """The number 1 at the root of a derivative; multiplied with a Value it is that Value."""

    def __mul__(self, other: Any) -> Any:
        return other


ONE = _One(1.0)
MOST_ABOVE_A_COMPANION = 8  # a = 1 − 1/(1 + exp(−z)) has 5 nodes above z


def gradients(root: Any, wrt: Sequence[Any]) -> list[Any]:
    """∂root/∂x for each x of `wrt`: a Value, or a plain number where it depends on nothing. No `.grad` changes.

    Raises StaleGraphError as `backward()` does.

    >>> from tinygrad_scalar.engine import Value, gradients
    >>> x = Value(3.0)
    >>> [slope] = gradients(x * x * x, [x])
    >>> [curvature] = gradients(slope, [x])
    >>> slope.data, curvature.data
    (27.0, 18.0)
    """
    return gradients_along(_order([root], wrt), root, wrt)


def gradients_along(order: Sequence[Any], root: Any, wrt: Sequence[Any]) -> list[Any]:
    """The same, where `order` has the computed nodes below the root, operands first."""
    found: dict[Any, Any] = {root: ONE}
    reached = _reached(order, root)
    for node, given, vjps in reversed(_between(order, set(wrt))):
        upstream, when = found.get(node), reached.get(node)
        if upstream is None:
            continue
        for operand, vjp in zip(node.operands, vjps):
            if vjp is not None:
                amount = vjp(upstream, node, *given)
                if when is not reached.get(operand):
                    amount = _chosen(when, amount)
                found[operand] = found[operand] + amount if operand in found else amount
    return _apart([_chosen(reached.get(x), found[x]) if x in found else 0.0 for x in wrt], order)


def _reached(order: Sequence[Any], root: Any) -> dict[Any, Any]:
    """For each node that only some examples get to, a Value that is not 0 for these; nothing if no sides were traced.

    What a gradient is worth on a side that an example does not take, 0·∞ perhaps, must not leave that side.
    """
    if not any(node.op == ops.COND.name for node in order):
        return {}
    reached: dict[Any, Any] = {root: None}  # None: by all
    # by the condition: the examples for which it holds, and those for which it does not
    sides: dict[Any, tuple[Any, Any]] = {}
    whole: dict[Any, tuple[Any, Any]] = {}  # for each side, the other one, and the examples of both
    for node in reversed(order):
        if node not in reached:
            continue
        when, row = reached[node], ops.operation(node.op)
        both = (when, when, when)
        if row is ops.COND:
            condition = node.operands[0]
            if (when, condition) not in sides:
                holds, fails = recorded.where(condition, 1.0, 0.0), recorded.where(condition, 0.0, 1.0)
                if when is not None:
                    holds, fails = recorded.where(when, holds, 0.0), recorded.where(when, fails, 0.0)
                sides[when, condition] = holds, fails
                whole[holds], whole[fails] = (fails, when), (holds, when)
            both = (None, *sides[when, condition])
        for i, operand in enumerate(node.operands):
            if i not in row.detached:
                here = both[min(i, 2)]
                if operand in reached:
                    here = _either(reached[operand], here, whole)
                reached[operand] = here
    return reached


def _either(x: Any, y: Any, whole: dict[Any, tuple[Any, Any]]) -> Any:
    """The examples in one or the other of two sides."""
    if x is y or x is None or y is None:
        return x if x is y else None
    return whole[x][1] if x in whole and whole[x][0] is y else recorded.where(x, 1.0, y)


def _chosen(when: Any, amount: Any) -> Any:
    return amount if when is None else recorded.cond(when, amount, 0.0)


def tangents(roots: Sequence[Any], wrt: Sequence[Any], directions: Sequence[Any]) -> list[Any]:
    """The derivative of each root along `directions`, which has a Value or a number for each x of `wrt`.

    This is forward mode: Σ ∂root/∂x · direction, in one pass for any number of roots.

    >>> from tinygrad_scalar.engine import Value, tangents
    >>> x, y = Value(3.0), Value(2.0)
    >>> [moved] = tangents([x * y], [x, y], [1.0, 10.0])
    >>> moved.data
    32.0
    """
    order = _order(roots, wrt)
    moved = {x: _direction(direction) for x, direction in zip(wrt, directions)}
    for node, given, vjps in _between(order, set(wrt)):
        total = moved.get(node)
        for operand, vjp in zip(node.operands, vjps):
            if vjp is not None and operand in moved:
                amount = vjp(moved[operand], node, *given)
                total = amount if total is None else total + amount
        if total is not None:
            moved[node] = total
    return _apart([moved.get(root, 0.0) for root in roots], order, directions)


def _direction(given: Any) -> Any:
    number = as_float(given)
    return given if number is None else ONE if number == 1.0 else number


def _order(roots: Sequence[Any], wrt: Sequence[Any]) -> list[Any]:
    """The computed nodes below the roots, operands first; a StaleGraphError if a leaf was set since.

    Without those that were computed before each of `wrt` and are known to be up to date, as all below them is: they do
    not depend on `wrt`, and so a derivative inside a long computation does not walk all that came before. What is up to
    date now is marked with the time of the last change to a leaf.
    """
    oldest, fresh = min([x._time for x in wrt], default=_value._clock), _value._last_set

    def followed(node: Any) -> list[Any]:
        return [operand for operand in node.operands if operand._time >= oldest or operand._mark != fresh]

    order: dict[Any, None] = {}
    for root in roots:
        if root not in order:
            order.update(dict.fromkeys(pass_order(root, followed)))
    require_fresh(order)
    for node in order:
        node._mark = fresh
    return list(order)


def _between(order: Sequence[Any], wanted: set[Any]) -> list[tuple[Any, Sequence[Any], Vjps]]:
    """The nodes of `order` that depend on `wanted`, each with a vjp for every operand on the way there, else None.

    In between stand the operands that the vjps are given: none for operations of a list, whose vjps know them.
    """
    depends = set(wanted)
    found: list[tuple[Any, Sequence[Any], Vjps]] = []
    for node in order:
        row = ops.operation(node.op)
        moving = [operand in depends and i not in row.detached for i, operand in enumerate(node.operands)]
        if any(moving):
            depends.add(node)
            vjps = _vjps(row, node, wanted)
            given = () if row.vjps_of_list else node.operands
            found.append((node, given, tuple([vjp if moves else None for vjp, moves in zip(vjps, moving)])))
    return found


def _vjps(row: ops.Operation, node: Any, wanted: set[Any]) -> Vjps:
    if row.vjps_of_list:
        return row.vjps_of_list(node, node.operands)
    if not row.vjps:
        raise NotImplementedError(
            f"the derivative of {quoted(row.name)} cannot be recorded, because its row in the table of operations has "
            "no vjps; backward() gives its gradient as a number"
        )
    if any(_leads_only_to(node.operands[i], node.operands[i - 1], wanted) for i in row.companions):
        return row.companion_vjps
    return row.vjps


def _leads_only_to(companion: Any, node: Any, wanted: set[Any]) -> bool:
    """Whether `node` depends on `wanted` through its companion alone, as a = σ(z) does on all that z depends on."""
    ends = {companion, *(companion.operands if companion.op == "neg" else ())}  # −z is the companion of 1 − σ(z)
    above, reached = [node], False
    for upper in above:
        if upper in wanted or len(above) > MOST_ABOVE_A_COMPANION:
            return False
        reached = reached or not ends.isdisjoint(upper.operands)
        above += [operand for operand in upper.operands if operand not in ends and operand not in above]
    return reached


def _apart(found: Sequence[Any], order: Sequence[Any], given: Sequence[Any] = ()) -> list[Any]:
    """The same with copies of Values that stand elsewhere too, so that each can be given its own label."""
    taken = {operand for node in order for operand in (node, *node.operands)}.union(given)
    apart = []
    for value in found:
        if isinstance(value, float):
            value = float(value)
        elif value in taken or not value.op:
            value = value._recorded("copy", value)
        taken.add(value)
        apart.append(value)
    return apart

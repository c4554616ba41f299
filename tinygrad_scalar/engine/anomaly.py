"""`detect_anomaly`: find the operation that makes the first nan or infinity."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from threading import get_ident

from tinygrad_scalar.engine import observers, ops
from tinygrad_scalar.engine.errors import AnomalyError, SourceLine, label_of, user_line
from tinygrad_scalar.engine.graph import contribution, cut_off
from tinygrad_scalar.engine.node import Node
from tinygrad_scalar.engine.number import SUBSCRIPTS
from tinygrad_scalar.engine.operation import places

watching = 0  # how many detect_anomaly() blocks are open
listeners: list[Callable[[int], None]] = []  # called with every new count: the compiled Value keeps a copy
_origins: dict[int, SourceLine] = {}  # the user's line that made each node of an open block, by the node's id
_not_watched: set[int] = set()  # threads whose operations only have their lines noted


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """Within this block the operation that makes the first nan or infinity raises AnomalyError.

    The error names the operation, its operands and the source line. Gradients are watched too: `backward()` then
    raises at the first contribution that is not finite, before it has changed anything. Slow: for debugging only.
    The block watches all threads.

    What `vectorize` derives is watched too, and `fit` with it, at the speed of arrays until a number is not finite; the
    engine then goes through the examples and raises.

    >>> from tinygrad_scalar import Value
    >>> with detect_anomaly():
    ...     Value(0.0, "a").log()
    Traceback (most recent call last):
        ...
    tinygrad_scalar.AnomalyError: log(a) = -inf, where a = 0.0, at ...
    """
    _count(+1)
    try:
        with observers.told(watch):
            yield
    finally:
        _count(-1)
        if not watching:
            _origins.clear()


def _count(change: int) -> None:
    global watching
    watching += change
    for listener in listeners:
        listener(watching)


def _names(node: Node) -> list[str]:
    """The names of the operands of a node, or their numbers."""
    return [
        label_of(operand, f"x{i}".translate(SUBSCRIPTS) if operand.op else repr(operand.data))
        for i, operand in enumerate(node.operands)
    ]


def _equation(node: Node) -> str:
    """The node as an equation: the operation, its operands and their numbers."""
    names, operands, text = _names(node), node.operands, ops.operation(node.op).text
    numbers = [f"{names[i]} = {operands[i].data!r}" for i in places(text) if operands[i].label or operands[i].op]
    equation = f"{text.format(*names)} = {node.data!r}"
    return f"{equation}, where {', '.join(dict.fromkeys(numbers))}" if numbers else equation


@contextmanager
def not_watched() -> Iterator[None]:
    """Within this block the numbers of this thread's operations do not count, only their lines are noted.

    For a function called with placeholders, as `vectorize` does.
    """
    thread = get_ident()
    if thread in _not_watched:
        yield
        return
    try:
        _not_watched.add(thread)
        yield
    finally:
        try:
            _not_watched.discard(thread)
        finally:  # once more, should the first attempt have been interrupted
            _not_watched.discard(thread)


def watch(node: Node, line: SourceLine | None = None) -> None:
    """Note the line that made `node`, by default the user's current one, and raise if its number is not finite."""
    line = line or user_line()
    if get_ident() not in _not_watched and not math.isfinite(node.data):
        raise AnomalyError(f"{_equation(node)}, at {line}")
    _origins[id(node)] = line


def line_of(node: Node) -> SourceLine | None:
    """The line that made `node` within the open block, if it was."""
    return _origins.get(id(node))


def require_finite_gradients(
    root: Node, order: list[Node], upstream: float, wanted: Container[Node] | None = None
) -> None:
    """Compute all gradients without setting them, and raise at the first contribution that is not finite.

    With `wanted`, only the gradients of these nodes count; root is one of them.
    """
    grads = {root: upstream}
    cut = cut_off(order)
    for node in reversed(order):
        if node not in grads or node in cut:
            continue
        for i, (operand, local_grad) in enumerate(zip(node.operands, node.local_grads)):
            if wanted is not None and operand not in wanted:
                continue
            amount = contribution(node.op, local_grad, grads[node])
            grads[operand] = grads.get(operand, 0.0) + amount
            if not math.isfinite(grads[operand]):
                raise AnomalyError(
                    f"backward through {_equation(node)}: local gradient {local_grad!r} × upstream gradient "
                    f"{grads[node]!r} = {amount!r}, so the gradient of {_names(node)[i]} becomes "
                    f"{grads[operand]!r}, at {line_of(node) or user_line()}"
                )

"""`detect_anomaly`: find the operation that makes the first nan or infinity."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tinygrad_scalar.engine import ops
from tinygrad_scalar.engine.errors import AnomalyError, SourceLine, user_line
from tinygrad_scalar.engine.node import Node

watching = 0  # how many detect_anomaly() blocks are open
listeners: list[Callable[[int], None]] = []  # called with every new count: the compiled Value keeps a copy
_origins: dict[int, SourceLine] = {}  # the user's line that made each node of an open block, by the node's id


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """Within this block the operation that makes the first nan or infinity raises AnomalyError.

    The error names the operation, its operands and the source line. Gradients are watched too: `backward()` then
    raises at the first contribution that is not finite, before it has changed anything. Slow: for debugging only.
    The block watches all threads.

    >>> from tinygrad_scalar import Value
    >>> with detect_anomaly():
    ...     Value(0.0, "a").log()
    Traceback (most recent call last):
        ...
    tinygrad_scalar.AnomalyError: log(a) = -inf, where a = 0.0, at ...
    """
    _count(+1)
    try:
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
        operand.label or (f"x{'₀₁₂'[i]}" if operand.op else repr(operand.data))
        for i, operand in enumerate(node.operands)
    ]


def _equation(node: Node) -> str:
    """The node as an equation: the operation, its operands and their numbers."""
    names = _names(node)
    numbers = [
        f"{name} = {operand.data!r}" for name, operand in zip(names, node.operands) if operand.label or operand.op
    ]
    equation = f"{ops.operation(node.op).text.format(*names)} = {node.data!r}"
    return f"{equation}, where {', '.join(dict.fromkeys(numbers))}" if numbers else equation


def watch(node: Node) -> None:
    line = user_line()
    if not math.isfinite(node.data):
        raise AnomalyError(f"{_equation(node)}, at {line}")
    _origins[id(node)] = line


def require_finite_gradients(root: Node, order: list[Node], upstream: float) -> None:
    """Compute all gradients without setting them, and raise at the first contribution that is not finite."""
    grads = {root: upstream}
    for node in reversed(order):
        for i, (operand, local_grad) in enumerate(zip(node.operands, node.local_grads)):
            contribution = ops.contribution(node.op, local_grad, grads[node])
            grads[operand] = grads.get(operand, 0.0) + contribution
            if not math.isfinite(grads[operand]):
                raise AnomalyError(
                    f"backward through {_equation(node)}: local gradient {local_grad!r} × upstream gradient "
                    f"{grads[node]!r} = {contribution!r}, so the gradient of {_names(node)[i]} becomes "
                    f"{grads[operand]!r}, at {_origins.get(id(node)) or user_line()}"
                )

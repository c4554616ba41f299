"""`Linear`: what graphs say to first order, as numbers: the local gradients between inputs and outputs.

`pull` is reverse mode, as `backward()` has it, and `push` forward mode. They record nothing and change no `.grad`: they
are for derivatives that come back as floats, and as many as are needed go over one reading of the graphs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_scalar.engine import ops, value as _value
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.engine.graph import require_fresh
from tinygrad_scalar.engine.value import Value
from tinygrad_scalar.screen import counted


class Linear:
    """The local gradients between `inputs` and `outputs`, whose graphs are read down to nodes older than `start`.

    n_inputs  how many inputs there are: nodes 0 to n_inputs − 1
    outputs   the node of each output, or −1 if it is a number or depends on no input
    closed    whether the outputs depend on no Value older than `start`; bare numbers do not count

    Raises StaleGraphError if a leaf was set after a node was computed from it.

    >>> x, y = Value(3.0), Value(2.0)
    >>> linear = Linear([x * y, x + y], [x, y], 0)
    >>> linear.push([1.0, 10.0]), linear.pull([1.0, 10.0]), linear.closed
    ([32.0, 11.0], [12.0, 13.0], True)
    """

    def __init__(self, outputs: Sequence[Any], inputs: list[Value], start: int) -> None:
        for x in inputs:
            if not isinstance(x, Value):
                raise TypeError(f"expected a Value, got {shown(x)}")
        self.n_inputs = len(inputs)
        self.closed = True
        self._used: list[list[int]] = []
        self._edges: list[tuple[list[int], list[float], bool]] = []
        place: dict[Any, int] = {x: j for j, x in enumerate(inputs)}
        order: list[Any] = []
        todo: list[Any] = [output for output in outputs if isinstance(output, Value)]
        met = set(inputs)
        while todo:
            node = todo.pop()
            if node is None:
                order.append(todo.pop())
            elif node not in met:
                met.add(node)
                if node._time < start:
                    self.closed &= node._time < 0
                elif node.op:
                    todo += [node, None, *node.operands]
        require_fresh(order, _value._clock)
        for node in order:
            place[node] = self._add(node, [place.get(operand, -1) for operand in node.operands])
        self.outputs = [place.get(output, -1) if isinstance(output, Value) else -1 for output in outputs]

    def _add(self, node: Value, places: list[int]) -> int:
        """The place of a node whose operands have `places`, or −1 if it depends on none of the inputs."""
        row = ops.operation(node.op)
        edges = [
            (place, slope)
            for i, (place, slope) in enumerate(zip(places, node.local_grads))
            if place >= 0 and i not in row.detached
        ]
        if not edges:
            return -1
        places = [place for place, _ in edges]
        self._used.append(places)
        self._edges.append((places, [slope for _, slope in edges], row.piecewise))
        return self.n_inputs + len(self._edges) - 1

    def used(self) -> list[list[int]]:
        """For each computed node that depends on an input, operands first, the operands that do.

        Also those that a piecewise operation happens not to use, but none that only decides.
        """
        return self._used

    def push(self, directions: Sequence[float | None]) -> list[float]:
        """For each output Σ ∂output/∂input · direction; None is no direction: 0 even where a slope is infinite."""
        _require_length(directions, self.n_inputs)
        moved = list(directions)
        for places, slopes, piecewise in self._edges:
            total = None
            for place, slope in zip(places, slopes):
                amount = moved[place]
                if amount is not None and not (piecewise and slope == 0.0):
                    total = slope * amount if total is None else total + slope * amount
            moved.append(total)
        return [_number(moved[place]) if place >= 0 else 0.0 for place in self.outputs]

    def pull(self, weights: Sequence[float | None]) -> list[float]:
        """For each input Σ weight · ∂output/∂input; None is no weight."""
        _require_length(weights, len(self.outputs))
        found: list[float | None] = [None] * (self.n_inputs + len(self._edges))
        for place, weight in zip(self.outputs, weights):
            if place >= 0 and weight is not None:
                before = found[place]
                found[place] = weight if before is None else before + weight
        for i in range(len(self._edges) - 1, -1, -1):
            upstream = found[self.n_inputs + i]
            if upstream is not None:
                places, slopes, piecewise = self._edges[i]
                for place, slope in zip(places, slopes):
                    amount = slope * upstream
                    if amount != amount and piecewise and slope == 0.0:  # as in graph.contribution
                        amount = 0.0
                    before = found[place]
                    found[place] = amount if before is None else before + amount
        return [_number(amount) for amount in found[: self.n_inputs]]


def _require_length(numbers: Sequence[Any], n: int) -> None:
    if len(numbers) != n:
        raise ValueError(f"expected {counted(n, 'number')}, got {len(numbers):,}")


def _number(amount: float | None) -> float:
    return 0.0 if amount is None else amount

"""The numbers of a derivative: what a graph says to first order, as its local gradients, and passes over these.

`pull` is reverse mode, as `backward()` has it, and `push` forward mode. Both record nothing: they are for derivatives
that come back as floats.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_scalar.engine import Value, now, ops
from tinygrad_scalar.engine.graph import require_fresh


class Linear:
    """The local gradients between inputs and outputs. The inputs are nodes 0 to n − 1; their operands precede the rest.

    n_inputs  how many inputs there are
    edges     for each computed node the operands that depend on an input, and ∂node/∂operand
    used      the same operands, also those that a piecewise operation happens not to use; none that only decide
    outputs   the node of each output, or −1 if it depends on no input
    """

    def __init__(self, outputs: Sequence[Any], inputs: Sequence[Value], start: int) -> None:
        """Of nodes computed since the time `start`; StaleGraphError if a leaf was set since they were computed."""
        self.n_inputs = len(inputs)
        self.edges: list[tuple[list[int], list[float]]] = []
        self.used: list[list[int]] = []
        place: dict[Any, int] = {x: j for j, x in enumerate(inputs)}
        computed: list[Any] = []
        todo = [output for output in reversed(outputs) if isinstance(output, Value)]
        while todo:
            node = todo[-1]
            if node in place:
                todo.pop()
                continue
            operands = node.operands if node._time >= start else ()
            waiting = [operand for operand in operands if operand not in place]
            if waiting:
                todo += reversed(waiting)
            else:
                place[node] = self._add(node, [place[operand] for operand in operands])
                if operands:
                    computed.append(node)
        require_fresh(computed, now())
        self.outputs = [place[output] if isinstance(output, Value) else -1 for output in outputs]

    def _add(self, node: Any, places: list[int]) -> int:
        """The place of a node whose operands have `places`, or −1 if none of them depends on an input."""
        if max(places, default=-1) < 0:
            return -1
        row = ops.operation(node.op)
        slopes = node.local_grads
        if row.detached:
            slopes = [slope for i, slope in enumerate(slopes) if i not in row.detached]
            places = [place for i, place in enumerate(places) if i not in row.detached]
        if min(places, default=-1) < 0:
            slopes = [slope for slope, place in zip(slopes, places) if place >= 0]
            places = [place for place in places if place >= 0]
            if not places:
                return -1
        self.used.append(places)
        if row.piecewise and 0.0 in slopes:  # as in graph.contribution
            places = [place for slope, place in zip(slopes, places) if slope != 0.0]
            slopes = [slope for slope in slopes if slope != 0.0]
        self.edges.append((places, list(slopes)))
        return self.n_inputs + len(self.edges) - 1

    def push(self, directions: Sequence[float | None]) -> list[float]:
        """For each output Σ ∂output/∂input · direction; None is no direction: 0 even where a slope is infinite."""
        moved = list(directions)
        for places, slopes in self.edges:
            total = None
            for place, slope in zip(places, slopes):
                amount = moved[place]
                if amount is not None:
                    total = slope * amount if total is None else total + slope * amount
            moved.append(total)
        return [_number(moved[place]) if place >= 0 else 0.0 for place in self.outputs]

    def pull(self, weights: Sequence[float | None]) -> list[float]:
        """For each input Σ weight · ∂output/∂input."""
        found: list[float | None] = [None] * (self.n_inputs + len(self.edges))
        for place, weight in zip(self.outputs, weights):
            if place >= 0 and weight is not None:
                before = found[place]
                found[place] = weight if before is None else before + weight
        for i in range(len(self.edges) - 1, -1, -1):
            upstream = found[self.n_inputs + i]
            if upstream is not None:
                for place, slope in zip(*self.edges[i]):
                    before = found[place]
                    found[place] = slope * upstream if before is None else before + slope * upstream
        return [_number(amount) for amount in found[: self.n_inputs]]

    def matrix(self) -> list[list[float]]:
        """∂output/∂input, a row for each output: forward mode if there are at least as many outputs as inputs."""
        n, m = self.n_inputs, len(self.outputs)
        if m >= n:
            columns = [self.push(_one(j, n)) for j in range(n)]
            return [[column[i] for column in columns] for i in range(m)]
        return [self.pull(_one(i, m)) for i in range(m)]


def _number(amount: float | None) -> float:
    return 0.0 if amount is None else amount


def _one(place: int, size: int) -> list[float | None]:
    return [1.0 if i == place else None for i in range(size)]

"""The marks in a picture of a stepper: its last step, values not computed yet, running sums of gradients."""

from __future__ import annotations

from collections.abc import Sequence

from tinygrad_scalar.engine import Value
from tinygrad_scalar.inspection.notation import written
from tinygrad_scalar.inspection.step import Step
from tinygrad_scalar.inspection.stepper import Stepper

READABLE = 60  # values; a larger graph is drawn only around the step
MARKED = "#c2255c"  # the colour of the step
DIGITS = ".4g"  # of the numbers in a picture


class Marks:
    """The marks of a stepper at its current step; `nodes` are the values to draw.

    >>> from tinygrad_scalar.inspection.stepper import step
    >>> x = Value(3.0, "x")
    >>> marks = Marks(step(x * x))
    >>> marks.data(x), marks.data(marks.nodes[-1])
    ('3', '·')
    """

    def __init__(self, stepper: Stepper) -> None:
        self._stepper = stepper
        self.step = stepper.current
        self.nodes = _around(self.step, stepper.nodes) if len(stepper.nodes) > READABLE else stepper.nodes

    def data(self, node: Value) -> str:
        """The value's number, or a dot if it has not been computed yet."""
        return written(node.data, DIGITS) if self._stepper.progress(node).computed else "·"

    def grad(self, node: Value) -> str:
        """The heading of a gradient: how many of its contributions are summed so far."""
        progress = self._stepper.progress(node)
        return "grad" if progress.complete else f"grad {progress.done}/{progress.of}"

    def box(self, node: Value) -> dict[str, str]:
        """Attributes of a value's box, in Graphviz's terms."""
        if self.step and node is self.step.node:
            return {"color": MARKED, "penwidth": "4"}
        if not self._stepper.progress(node).computed:
            return {"color": "#d4d4d8", "fontcolor": "#a1a1aa", "fillcolor": "#fafafa"}
        if self.step and any(node is contribution.operand for contribution in self.step.contributions):
            return {"color": MARKED, "penwidth": "2.5"}
        return {}

    def edge(self, node: Value) -> dict[str, str]:
        """Attributes of the edges between a value and its operands: the direction of the step."""
        if self.step is None or node is not self.step.node or (self.step.phase == "backward" and not self._passes):
            return {}
        way = {"dir": "back"} if self.step.phase == "backward" else {}
        return {"color": MARKED, "penwidth": "2.5", **way}

    @property
    def _passes(self) -> bool:
        return bool(self.step and self.step.contributions)


def _around(step: Step | None, nodes: Sequence[Value]) -> Sequence[Value]:
    """The step's value, its operands and theirs, and what is computed from it; at the start those of the root.

    Beside them the leaves that any of these is computed from, so that few operations lack an operand.
    """
    center = step.node if step else nodes[-1]
    near = {center, *center.operands, *(below for operand in center.operands for below in operand.operands)}
    near.update(node for node in nodes if center in node.operands)
    near.update(
        operand for node in [*near] if not near.isdisjoint(node.operands) for operand in node.operands if not operand.op
    )
    return [node for node in nodes if node in near]

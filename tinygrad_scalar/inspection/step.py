"""One application of the chain rule, and how it prints."""

from __future__ import annotations

from typing import Any, NamedTuple

from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.ops import operation
from tinygrad_scalar.inspection.brackets import SINGLE
from tinygrad_scalar.inspection.layout import WIDTH, broken
from tinygrad_scalar.inspection.named_graph import NamedGraph
from tinygrad_scalar.inspection.notation import number, written
from tinygrad_scalar.screen import for_stdout


class Contribution(NamedTuple):
    """The part of an operand's gradient that one step adds: amount = local_grad × upstream.

    It is contribution `done` of `of`. `complete` is true for the last; until then the gradient is a running sum.
    """

    operand: Value
    upstream: float
    local_grad: float
    amount: float
    grad_before: float
    grad_after: float
    done: int
    of: int

    @property
    def complete(self) -> bool:
        return self.done == self.of


DONE = "done: every gradient is complete, as after backward()"
NO_STEP_LEFT = "no step is left: this is still the last; back() or reset() goes back"


class Step:
    """One step. `phase` is "forward" or "backward", `node` the value that is computed or passed through.

    `again` is true if `next` was to go on from here, but this is the last step.
    """

    again = False  # of steps in older pickles

    def __init__(
        self, phase: str, node: Value, position: int, contributions: tuple[Contribution, ...], graph: NamedGraph
    ) -> None:
        self.phase, self.node, self.position, self.root = phase, node, position, graph.root
        self.contributions = contributions
        self.data = node.data
        self._graph, self._notation = graph, graph.notation

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "_of" in state:  # its name in older pickles
            state["_graph"] = state.pop("_of")
        self.__dict__.update(state)

    @property
    def equation(self) -> str:
        """The step in symbols, on one line."""
        notation = self._notation
        name = notation.name(self.node)
        if self.phase == "forward":
            made = notation.made(self.node).text
            return f"{name} = {made}" if made != name else f"compute {name}"
        if not self.contributions:
            return f"{notation.derivative(self.root, self.root).text} = 1"
        derivatives = [notation.derivative(self.root, c.operand).text for _, c in self._of_interest]
        return f"{', '.join(dict.fromkeys(derivatives))} from {notation.derivative(self.root, self.node).text}"

    def __str__(self) -> str:
        return for_stdout("\n".join([*self._lines(), *([NO_STEP_LEFT] if self.again else [])]))

    def _lines(self) -> list[str]:
        notation, node, root = self._notation, self.node, self.root
        name, made = notation.name(node), notation.made(node).text
        if self.phase == "forward":
            pad = " " * len(name)
            first = _indented(f"{name} = ", made) if made != name else []
            lead = f"{pad} = " if first else f"{name} = "
            return [*first, *_indented(lead, f"{notation.numbers(node).text} = {written(self.data)}")]
        upstream = notation.derivative(root, node).text
        if not self.contributions:
            return [f"{upstream} = 1: a nudge of {name} moves {name} by as much"]
        lines = _indented(f"{name} = ", made) if made != name else [f"through {name}"]
        for i, c in self._of_interest:
            of_operand = notation.derivative(root, c.operand).text
            pad = " " * len(of_operand)
            local_grad = notation.derivative(node, c.operand, self._part(i, c)).text
            lines += [
                *_indented(f"{of_operand} += ", f"{local_grad} · {upstream}"),
                *_indented(f"{pad}  = ", f"{notation.slope(node, i).bracketed().text} · {upstream}"),
                f"{pad}  = {_factor(c.local_grad)} · {_factor(c.upstream)} = {written(c.amount)}",
                *_indented(f"{pad}    ", self._sum(c)),
            ]
        return lines

    @property
    def _of_interest(self) -> list[tuple[int, Contribution]]:
        """The contributions and their places, without those to bare numbers if there are others."""
        places = [*range(len(self.node.operands))]
        if len(self.contributions) < len(places):
            places = [i for i in places if i not in operation(self.node.op).companions]
        placed = list(zip(places, self.contributions))
        return [(i, c) for i, c in placed if c.operand.op or c.operand in self._notation.called] or placed

    def _part(self, i: int, c: Contribution) -> str:
        """The part of ∂node/∂operand that the local gradient of operand i is; "" for the whole."""
        if c.of == 1 or self._graph.is_only_way(c.operand, self.node):
            return ""
        return f"operand {i + 1}" if self.node.operands.count(c.operand) > 1 else "direct"

    @property
    def sums(self) -> list[str]:
        """Each operand's gradient as a running sum, in words."""
        return [self._sum(c) for _, c in self._of_interest]

    def _sum(self, c: Contribution) -> str:
        name = self._notation.named(c.operand).bracketed(SINGLE).text
        total = f"{written(c.grad_before)} + {_factor(c.amount)} = {written(c.grad_after)}"
        state = "complete" if c.complete else f"so far: {c.done} of {c.of} contributions"
        return f"{name}.grad: {total}, {state}"

    @property
    def latex(self) -> str:
        """The step as LaTeX: symbols, then numbers."""
        notation, node, root = self._notation, self.node, self.root
        if self.phase == "forward":
            rights = [notation.made(node).latex, notation.numbers(node).latex, number(self.data).latex]
            return " = ".join(dict.fromkeys([notation.named(node).latex, *rights]))
        upstream = notation.derivative(root, node).latex
        if not self.contributions:
            return f"{upstream} = 1"
        lines = [
            rf"{notation.derivative(root, c.operand).latex} &\mathrel{{+}}= "
            rf"{notation.derivative(node, c.operand, self._part(i, c)).latex} "
            rf"\cdot {upstream} = {notation.slope(node, i).bracketed().latex} \cdot {upstream} "
            rf"= {number(c.local_grad).latex} \cdot {number(c.upstream).bracketed().latex} "
            rf"= {number(c.amount).latex}"
            for i, c in self._of_interest
        ]
        return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"

    def _repr_latex_(self) -> str:
        if self.again:
            return rf"$$\begin{{gathered}} {self.latex} \\ \text{{{NO_STEP_LEFT}}} \end{{gathered}}$$"
        return f"$${self.latex}$$"

    @property
    def where(self) -> str:
        """Which step it is of how many."""
        n, at = self._computed, self.position
        phase = f"forward {at} of {n}" if at <= n else f"backward {at - n - 1} of {n}"
        return f"{phase} (step {at} of {2 * n + 1})"

    @property
    def _computed(self) -> int:
        return sum(bool(node.op) for node in self._graph.nodes)

    def __repr__(self) -> str:
        """What a prompt shows: where it is, the step, and at the end that it is the last."""
        lines = [self.where, *(f"  {line}" for line in str(self).splitlines())]
        done = [DONE] if self.position == 2 * self._computed + 1 else []
        return for_stdout("\n".join([*lines, *done]))


def _factor(value: float) -> str:
    """A number as a factor of a product."""
    return number(value).bracketed().text


def _indented(lead: str, formula: str) -> list[str]:
    """The lines of a formula after its lead, with room for the two spaces that a stepper prints before each."""
    return broken(lead, formula, WIDTH - 2)

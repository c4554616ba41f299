"""One application of the chain rule, and how it prints."""

from __future__ import annotations

from typing import NamedTuple

from tinygrad_scalar.engine import Value
from tinygrad_scalar.inspection import latex
from tinygrad_scalar.inspection.brackets import factor, together
from tinygrad_scalar.inspection.layout import WIDTH, broken
from tinygrad_scalar.inspection.named_graph import NamedGraph
from tinygrad_scalar.inspection.notation import written


class Contribution(NamedTuple):
    """What one step adds to one operand's gradient: amount = local_grad × upstream.

    `complete` says whether it was the last: until then the operand's gradient is a running sum.
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


class Step:
    """One step. `phase` is "forward" or "backward", `node` the value that is computed or passed through."""

    def __init__(
        self, phase: str, node: Value, position: int, contributions: tuple[Contribution, ...], of: NamedGraph
    ) -> None:
        self.phase, self.node, self.position, self.root = phase, node, position, of.root
        self.contributions = contributions
        self.data = node.data
        self._of, self._notation = of, of.notation

    @property
    def equation(self) -> str:
        """What is done, in symbols, on one line."""
        of = self._notation
        name = of.name(self.node)
        if self.phase == "forward":
            made = of.made(self.node)
            return f"{name} = {made}" if made != name else f"compute {name}"
        if not self.contributions:
            return f"{of.derivative(self.root, self.root)} = 1"
        derivatives = [of.derivative(self.root, contribution.operand) for _, contribution in self._of_interest]
        return f"{', '.join(dict.fromkeys(derivatives))} from {of.derivative(self.root, self.node)}"

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> list[str]:
        of, node, root = self._notation, self.node, self.root
        name = of.name(node)
        if self.phase == "forward":
            made, pad = of.made(node), " " * len(name)
            first = [f"{name} = {made}"] if made != name else []
            lead = f"{pad} = " if first else f"{name} = "
            return [*first, *_indented(lead, f"{of.numbers(node)} = {written(self.data)}")]
        upstream = of.derivative(root, node)
        if not self.contributions:
            return [f"{upstream} = 1: a nudge of {name} moves {name} by as much"]
        lines = [f"{name} = {of.made(node)}" if of.made(node) != name else f"through {name}"]
        for i, c in self._of_interest:
            of_operand = of.derivative(root, c.operand)
            pad = " " * len(of_operand)
            lines += [
                *_indented(f"{of_operand} += ", f"{of.derivative(node, c.operand, self._part(i))} · {upstream}"),
                *_indented(f"{pad}  = ", f"{factor(of.slope(node, i))} · {upstream}"),
                f"{pad}  = {factor(written(c.local_grad))} · {factor(written(c.upstream))} = {written(c.amount)}",
                *_indented(f"{pad}    ", self._sum(c)),
            ]
        return lines

    @property
    def _of_interest(self) -> list[tuple[int, Contribution]]:
        """The contributions and their places, without those to bare numbers if there are others."""
        placed = list(enumerate(self.contributions))
        return [(i, c) for i, c in placed if c.operand.op or c.operand in self._notation.called] or placed

    def _part(self, i: int) -> str:
        """Which part of ∂node/∂operand the local gradient of operand i is, "" if it is the whole."""
        c = self.contributions[i]
        if c.of == 1 or self._of.is_only_way(c.operand, self.node):
            return ""
        return f"operand {i + 1}" if self.node.operands.count(c.operand) > 1 else "direct"

    @property
    def sums(self) -> list[str]:
        """Each operand's gradient as a running sum, in words."""
        return [self._sum(c) for _, c in self._of_interest]

    def _sum(self, c: Contribution) -> str:
        name = together(self._notation.name(c.operand))
        total = f"{written(c.grad_before)} + {factor(written(c.amount))} = {written(c.grad_after)}"
        state = "complete" if c.complete else f"so far: {c.done} of {c.of} contributions"
        return f"{name}.grad: {total}, {state}"

    @property
    def latex(self) -> str:
        """The step as LaTeX: symbols, then numbers."""
        of, node, root = self._notation, self.node, self.root
        if self.phase == "forward":
            rights = [of.latex_made(node), of.latex_numbers(node), latex.number(self.data)]
            return " = ".join(dict.fromkeys([of.latex(node), *rights]))
        upstream = of.latex_derivative(root, node)
        if not self.contributions:
            return f"{upstream} = 1"
        lines = [
            rf"{of.latex_derivative(root, c.operand)} &\mathrel{{+}}= "
            rf"{of.latex_derivative(node, c.operand, self._part(i))} "
            rf"\cdot {upstream} = {latex.factor(of.latex_slope(node, i))} \cdot {upstream} "
            rf"= {latex.number(c.local_grad)} \cdot {latex.factor(latex.number(c.upstream))} "
            rf"= {latex.number(c.amount)}"
            for i, c in self._of_interest
        ]
        return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"

    def _repr_latex_(self) -> str:
        return f"$${self.latex}$$"

    def __repr__(self) -> str:
        return f"<Step {self.position}, {self.phase}: {self.equation}>"


def _indented(lead: str, formula: str) -> list[str]:
    """The lines of a formula after its lead, as wide as what a stepper prints with two spaces before it may be."""
    return broken(lead, formula, WIDTH - 2)

"""The array program in the notation of 003: `run.equations`, LaTeX with the shapes beside it.

A layer's equations are written as there: Z = WA + b, A = g(Z), δ = dA ⊙ g′(Z), dW = 1/m δAᵀ, db = 1/m Σ δ, dA = Wᵀδ,
with the layer as a superscript [l]. 003's mistakes are corrected: the sum of db runs over the examples, which are the
columns, and dW is δAᵀ in both places. Anything else is written out, with a name if it is used more than once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tinygrad_scalar.inspection.brackets import SINGLE, SUM, with_brackets
from tinygrad_scalar.inspection.latex import filled as latex_of
from tinygrad_scalar.vectorize.naming import is_of_layer
from tinygrad_scalar.vectorize.program import Array, Elementwise, Gather, Product, Program, Scatter, Shares
from tinygrad_scalar.vectorize.right_sides import RightSides, guarded, symbol, text_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Equation(NamedTuple):
    """One equation, its shape as LaTeX, and its number in the notes, or ""."""

    latex: str
    shape: str
    number: str


class Equations(str):
    """The equations as one LaTeX `aligned` environment; `each` is a tuple of them. Jupyter typesets them."""

    each: tuple[Equation, ...]

    def __new__(cls, each: Sequence[Equation]) -> Equations:
        rows = [
            rf"{latex.replace('=', '&=', 1)} && {shape}" + (rf" && \text{{({number})}}" if number else "")
            for latex, shape, number in each
        ]
        made = super().__new__(cls, "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}")
        made.each = tuple(each)
        return made

    def __getnewargs__(self) -> tuple[tuple[Equation, ...]]:  # type: ignore[override]
        return (self.each,)

    def _repr_latex_(self) -> str:
        return f"$${self}$$"


TIES = {  # by whether a fold shares evenly
    False: r"\text{in a tie, the last one takes } \frac{1}{2} \text{, the one before it } \frac{1}{4} "
    r"\text{, and so on; the first takes what is left}",
    True: r"\text{in a tie of } k \text{, each takes } \frac{1}{k}",
}


class _Writer(RightSides):
    """`cost` is what to call it."""

    def __init__(self, program: Program, labels: Sequence[str], cost: str = "C") -> None:
        super().__init__(program, labels)
        self.cost = cost

    def _of_the_gradient(self) -> list[Equation]:
        """A line for each part of the gradient that has no name in the notes."""
        program = self.program
        assert program.gradient is not None
        made_by = self.made_by.get(program.gradient)
        parts: Sequence[tuple[Array, NDArray[np.int64] | None]] = [(program.gradient, None)]
        if isinstance(made_by, Scatter):
            parts = made_by.parts
        lines = []
        there = np.zeros(program.parameters.rows, bool)
        for part, index in sorted(parts, key=lambda one: not self._has_a_line(one[0])):
            rows = np.arange(there.size) if index is None else index.ravel()
            if not self._has_a_line(part):
                theta = f"d{self.rows_of(program.parameters, rows)}"
                before = f"{theta} + " if there[rows].any() else ""
                right = f"{before}{self._factor}{self._last(part)}"
                lines.append(Equation(f"{theta} = {right}", rf"{rows.size} \times 1", ""))
            there[rows] = True
        return lines

    def _of_the_inputs(self) -> list[Equation]:
        """The gradients of the cost with respect to the arguments; dA is that of the summed losses."""
        lines = []
        for argument, gradient in zip(self.program.differentiated, self.program.input_gradients):
            left = rf"\frac{{\partial {self.cost}}}{{\partial {symbol(argument.name)}}}"
            lines.append(Equation(f"{left} = {self._factor}{self._last(gradient)}", self.shape(argument), ""))
        return lines

    def _is_result(self, array: Array) -> bool:
        """Whether an array is a gradient that is returned and has no letter in the notes."""
        results = (self.program.gradient, *self.program.input_gradients)
        return array in results and not is_of_layer(array.name[1:])

    def _last(self, array: Array) -> str:
        """An array as the last factor: its name, or its right side if it has no equation of its own."""
        made_by = self.made_by.get(array)
        written_out = made_by and (self._is_result(array) or not self.named(array))
        last = self.as_factor(made_by, last=True) if made_by and written_out else self.written(array)
        return guarded(last) if self._factor else last

    @property
    def _factor(self) -> str:
        factors = {("mean", True): r"\frac{1}{m} ", ("sum", False): r"m\, "}
        return factors.get((self.program.reduce, self.program.cost.batched), "")

    def _has_a_line(self, part: Array) -> bool:
        return re.fullmatch(r"d[Wb]\d+", part.name) is not None

    def shape(self, array: Array) -> str:
        rows, columns = array.shape if len(array.shape) == 2 else (array.rows, 1)
        if self.program.reduce == "each":
            return rf"{rows} \times {columns}"
        of_each = "m" if columns == 1 else f"{columns}m"  # a batched matrix has one block of columns per example
        return rf"{rows} \times {of_each if array.batched else columns}"

    def equations(self) -> list[Equation]:
        found, program = list[Equation](), self.program
        for statement in program.forward:
            out = statement.out
            if out is program.cost or not self.named(out) or isinstance(statement, Gather):
                continue
            if isinstance(statement, Elementwise) and re.fullmatch(r"A\d+", out.name):
                layer = f"[{out.name[1:]}]"
                right = rf"g^{{{layer}}}\left({symbol('Z' + out.name[1:])}\right),\quad {_definition(layer, statement)}"
                found.append(Equation(f"{symbol(out.name)} = {right}", self.shape(out), "1b"))
            else:
                number = "1a" if re.fullmatch(r"Z\d+", out.name) else ""
                found.append(Equation(f"{symbol(out.name)} = {self.right_side(statement)}", self.shape(out), number))
        made_by = self.made_by.get(program.cost)
        cost = self.written(program.cost) if made_by is None else self.right_side(made_by)
        if isinstance(made_by, Elementwise) and self.binds(made_by) == SUM:
            cost = rf"\left({cost}\right)"
        if program.reduce != "each":
            cost = guarded(cost)
        if program.reduce == "each":
            found.append(Equation(f"{self.cost} = {cost}", r"1 \times 1", ""))
        else:
            over = r"\sum_{i=1}^{m} " if program.cost.batched else ""
            number = "2" if program.reduce == "mean" else ""
            found.append(Equation(f"{self.cost} = {self._factor}{over}{cost}", r"1 \times 1", number))
        for statement in program.backward:
            out = statement.out
            if self._is_result(out) or not self.named(out) or isinstance(statement, Gather):
                continue
            right, number = self.right_side(statement), ""
            if re.fullmatch(r"d[Wb]\d+", out.name):
                right = self.as_factor(statement, last=True)
                right = self._factor + (guarded(right) if self._factor else right)
                number = "11b" if out.name[1] == "W" else "11c"
            elif out.name.startswith("delta"):
                number = "11a"
            elif re.fullmatch(r"dA\d+", out.name) and isinstance(statement, Product):
                number = "11d"
            found.append(Equation(f"{symbol(out.name)} = {right}", self.shape(out), number))
        for i in range(1, len(found)):
            if (found[i - 1].number, found[i].number) == ("11c", "11b"):  # the notes have the weights first
                found[i - 1], found[i] = found[i], found[i - 1]
        kinds = {s.fold.even for s in program.backward if isinstance(s, Shares)}
        ties = [Equation(TIES[even], "", "") for even in sorted(kinds)]
        return found + self._of_the_gradient() + self._of_the_inputs() + ties


def _definition(layer: str, activation: Elementwise) -> str:
    """A layer's g: σ, or g(z) = z² where the function has no name."""
    text = text_of(activation)
    if text.endswith("({0})"):
        return f"g^{{{layer}}} = {latex_of(text.removesuffix('({0})'), [])}"
    return rf"g^{{{layer}}}(z) = {latex_of(with_brackets(text, [SINGLE]), ['z'])}"


def equations(program: Program, labels: Sequence[str], cost: str = "C") -> Equations:
    """The equations of a program whose arrays have names; `labels` are the parameters', `cost` is what to call it.

    With reduce "each" they are those of one example.
    """
    return Equations(_Writer(program, labels, cost).equations())

"""How values, derivatives and numbers are written: in Unicode for a terminal, in LaTeX for a page.

A value is called by its name (graph.names), in the notes' letters where it has that form. An unnamed constant is its
number; what else has no name is written out if that is short, as w·a, or else called v₁, v₂, … in the order of
computation. Both scripts are made from the same texts, those of ops.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property

from tinygrad_scalar.engine import Value, ops
from tinygrad_scalar.inspection import latex
from tinygrad_scalar.inspection.brackets import bracketed, condition, filled, together
from tinygrad_scalar.inspection.layout import fitted
from tinygrad_scalar.inspection.names import symbol

SHORT = 12  # characters; a longer expression is called vₙ
LONGEST = 24  # of a name; the rest of it is cut off
LETTERS = "vutsrqponmlkjihgfedcbazyxw"  # of what has no name: the first that is no name, nor one with an index
_LETTER = re.compile(r"\w(?:\[[\d,]+\]|[₀-₉]*)")  # v, v[2] or v₂
_FLAT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉", "01234567890123456789", "()[]⁽⁾ \t\n")
_LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
# Where the derivative is a convention, which the text of the slope does not say (ops.py).
_AT_A_KINK: dict[str, Callable[..., bool]] = {
    "maximum": lambda x, y: x == y,
    "minimum": lambda x, y: x == y,
    "abs": lambda x: x == 0.0,
}


def written(number: float) -> str:
    """A number with six digits.

    >>> written(-0.25), written(2 / 3)
    ('−0.25', '0.666667')
    """
    return f"{number:.6g}".replace("-", "−")


def _places(names: Iterable[str]) -> dict[str, int]:
    """Of the names that print alike, which of them each is.

    >>> _places(["x[0]", "x₀", "y", "y"])
    {'x[0]': 0, 'x₀': 1}
    """
    different = dict.fromkeys(names)
    are_short = max(map(len, different), default=0) <= LONGEST
    if are_short and len({name.translate(_FLAT) for name in different}) == len(different):
        return {}  # which spares a large network the making of all its names
    alike: dict[str, list[str]] = {}
    for name in different:
        alike.setdefault(fitted(unicode_of(name), LONGEST), []).append(name)
    return {name: i for names in alike.values() if len(names) > 1 for i, name in enumerate(names)}


class Notation:
    """The names of the values of a graph, given in topological order; `called` are those that graph.names found.

    A computed value without a name has a number: v₁, v₂, …, or another letter where some name looks like that. Names
    that would look alike (x[0] and x₀, or two that are too long) are told apart by ⟨0⟩, ⟨1⟩, ….
    """

    def __init__(self, nodes: Sequence[Value], called: Mapping[Value, str]) -> None:
        self.called = called
        self._place = _places(called.values())
        self._number: dict[Value, int] = {}
        for node in nodes:
            if node.op and node not in called:
                self._number[node] = len(self._number) + 1

    @cached_property
    def _letter(self) -> str:
        taken = {name[0] for name in self.called.values() if _LETTER.fullmatch(name)}
        return next((letter for letter in LETTERS if letter not in taken), "v")

    def name(self, node: Value) -> str:
        """A value's name in Unicode."""
        if node in self.called:
            called = self.called[node]
            return fitted(unicode_of(called), LONGEST) + (f"⟨{self._place[called]}⟩" if called in self._place else "")
        if not node.op:
            return written(node.data)
        return self.made(node) if self._is_short(node) else f"{self._letter}{self._number[node]}".translate(_LOWERED)

    def _is_short(self, node: Value) -> bool:
        """Whether a computed value without a name is written out."""
        return (
            all(operand in self.called or not operand.op for operand in node.operands) and len(self.made(node)) <= SHORT
        )

    def operand(self, node: Value) -> str:
        """A value's name as it stands in a formula: a label that reads like a formula of its own in parentheses."""
        return together(self.name(node)) if node in self.called else self.name(node)

    def latex_operand(self, node: Value) -> str:
        is_formula = node in self.called and self.operand(node) != self.name(node)
        return rf"\left({self.latex(node)}\right)" if is_formula else self.latex(node)

    def plain(self, node: Value) -> str:
        """A value's name as it is typed, w(1)[0,2]; of one without a name what it is called in a text."""
        return self.called.get(node) or self.name(node)

    def latex(self, node: Value) -> str:
        """A value's name in LaTeX."""
        if node in self.called:
            called = self.called[node]
            in_notes = symbol(called)
            name = in_notes.latex if in_notes else latex.name(fitted(called, LONGEST))
            return rf"{{{name}}}^{{\langle {self._place[called]} \rangle}}" if called in self._place else name
        if not node.op:
            return latex.number(node.data)
        return self.latex_made(node) if self._is_short(node) else f"{self._letter}_{{{self._number[node]}}}"

    def made(self, node: Value) -> str:
        """What a value is computed from, as w·a."""
        return filled(ops.operation(node.op).text, self._names(node))

    def numbers(self, node: Value) -> str:
        """The same with the operands' numbers."""
        return filled(ops.operation(node.op).text, [written(operand.data) for operand in node.operands])

    def slope(self, node: Value, i: int) -> str:
        """∂node/∂its operand i, as the operation has it; at a kink, where it is a convention, the number."""
        text = self._slope_text(node, i)
        return condition(filled(text, self._names(node))) if text else self.derivative(node, node.operands[i])

    def derivative(self, of: Value, by: Value, part: str = "") -> str:
        """∂of/∂by; `part` says which part of it is meant, as "direct".

        >>> w, x = Value(2.0, "w(1)[0,1]"), Value(3.0)
        >>> y = w * x
        >>> of = Notation([w, x, y], {w: w.label, y: "y"})
        >>> of.derivative(y, w), of.derivative(y, w, "direct")
        ('∂y/∂w⁽¹⁾₀₁', '∂y/∂w⁽¹⁾₀₁ (direct)')
        """
        whole = f"∂{together(self.name(of))}/∂{together(self.name(by))}"
        return f"{whole} ({part})" if part else whole

    def latex_derivative(self, of: Value, by: Value, part: str = "") -> str:
        above, below = (
            f"({self.latex(value)})" if together(self.name(value)) != self.name(value) else self.latex(value)
            for value in (of, by)
        )
        whole = rf"\frac{{\partial {above}}}{{\partial {below}}}"
        return rf"\left.{whole}\right|_{{{latex.name(part)}}}" if part else whole

    def latex_made(self, node: Value) -> str:
        return self._in_latex(ops.operation(node.op).text, node)

    def latex_numbers(self, node: Value) -> str:
        numbers = [operand.data for operand in node.operands]
        template = bracketed(ops.operation(node.op).text, [written(number) for number in numbers])
        return latex.filled(template, [latex.number(number) for number in numbers])

    def latex_slope(self, node: Value, i: int) -> str:
        text = self._slope_text(node, i)
        return condition(self._in_latex(text, node)) if text else self.latex_derivative(node, node.operands[i])

    def _in_latex(self, template: str, node: Value) -> str:
        operands = [self.latex_operand(operand) for operand in node.operands]
        return latex.filled(bracketed(template, self._names(node)), operands)

    def _names(self, node: Value) -> list[str]:
        return [self.operand(operand) for operand in node.operands]

    @staticmethod
    def _slope_text(node: Value, i: int) -> str:
        slopes = ops.operation(node.op).slopes
        return written(node.local_grads[i]) if is_at_a_kink(node) else slopes[i] if slopes else ""


def is_at_a_kink(node: Value) -> bool:
    """Whether the derivative of a value is a convention, which the text of the slope does not say.

    >>> is_at_a_kink(abs(Value(0.0))), is_at_a_kink(abs(Value(1.0)))
    (True, False)
    """
    return node.op in _AT_A_KINK and _AT_A_KINK[node.op](*(operand.data for operand in node.operands))


def unicode_of(name: str) -> str:
    """A name in the notes' form as they print it; another as it is."""
    in_notes = symbol(name)
    return in_notes.unicode if in_notes else name

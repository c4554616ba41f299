"""How values, derivatives and numbers are written: in Unicode for a terminal, in LaTeX for a page.

A value is called by its name (graph.names), in the notes' letters where it has that form. An unnamed constant is its
number; what else has no name is written out if that is short, as w·a, or else called v₁, v₂, … in the order of
computation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tinygrad_scalar import graph, ops
from tinygrad_scalar.value import Value

if TYPE_CHECKING:
    import sympy

SHORT = 12  # characters; a longer expression is called vₙ
_LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def written(number: float) -> str:
    """A number with six digits.

    >>> written(-0.25), written(2 / 3)
    ('−0.25', '0.666667')
    """
    return f"{number:.6g}".replace("-", "−")


def factor(text: str) -> str:
    """A text as a factor of a product: in parentheses if it is a sum or begins with a minus.

    >>> factor("a − y"), factor("w"), factor("σ(a − y)")
    ('(a − y)', 'w', 'σ(a − y)')
    """
    depth = 0
    for i, sign in enumerate(text):
        depth += (sign in "([|") - (sign in ")]")
        if depth == 0 and (text[i : i + 3] in (" + ", " − ", " > ", " ≥ ") or (i == 0 and sign == "−")):
            return f"({text})"
    return text


class Notation:
    """The names of the values of a graph, given in topological order; `called` are those that graph.names found."""

    def __init__(self, nodes: Sequence[Value], called: Mapping[Value, str]) -> None:
        self.called = called
        self._number: dict[Value, int] = {}
        for node in nodes:
            if node.op and node not in called:
                self._number[node] = len(self._number) + 1

    def name(self, node: Value) -> str:
        """A value's name in Unicode."""
        if node in self.called:
            return unicode_of(self.called[node])
        if not node.op:
            return written(node.data)
        if all(operand in self.called or not operand.op for operand in node.operands):
            text = self.made(node)
            if len(text) <= SHORT:
                return text
        return f"v{self._number[node]}".translate(_LOWERED)

    def latex(self, node: Value) -> str:
        """A value's name in LaTeX."""
        if node in self.called:
            symbol = graph.symbol(self.called[node])
            return symbol.latex if symbol else rf"\mathrm{{{self.called[node]}}}".replace("_", r"\_")
        if not node.op:
            return f"{node.data:.6g}"
        return f"v_{{{self._number[node]}}}" if self._is_numbered(node) else rf"\left({self.latex_made(node)}\right)"

    def _is_numbered(self, node: Value) -> bool:
        return self.name(node).startswith("v") and self.name(node) != self.made(node)

    def made(self, node: Value) -> str:
        """What a value is computed from, as w·a."""
        return filled(ops.operation(node.op).text, [self.name(operand) for operand in node.operands])

    def numbers(self, node: Value) -> str:
        """The same with the operands' numbers."""
        return filled(ops.operation(node.op).text, [written(operand.data) for operand in node.operands])

    def slope(self, node: Value, i: int) -> str:
        """∂node/∂its operand i, as the operation has it."""
        return filled(ops.operation(node.op).slopes[i], [self.name(operand) for operand in node.operands])

    def derivative(self, of: Value, by: Value) -> str:
        """∂of/∂by.

        >>> w, x = Value(2.0, "w(1)[0,1]"), Value(3.0)
        >>> y = w * x
        >>> Notation([w, x, y], {w: w.label, y: "y"}).derivative(y, w)
        '∂y/∂w⁽¹⁾₀₁'
        """
        return f"∂{together(self.name(of))}/∂{together(self.name(by))}"

    def latex_derivative(self, of: Value, by: Value) -> str:
        return rf"\frac{{\partial {self.latex(of)}}}{{\partial {self.latex(by)}}}"

    def latex_made(self, node: Value) -> str:
        return latex_text(expression(node.op, [symbol_of(self.latex(operand)) for operand in node.operands]))

    def latex_slope(self, node: Value, i: int) -> str:
        return latex_text(slope(node.op, i, [symbol_of(self.latex(operand)) for operand in node.operands]))


def unicode_of(name: str) -> str:
    """A name in the notes' form as they print it; another as it is."""
    symbol = graph.symbol(name)
    return symbol.unicode if symbol else name


def filled(template: str, operands: Sequence[str]) -> str:
    """An operation's text with its operands, in parentheses where they need them.

    >>> filled("{0}·{1}", ["a − y", "w"]), filled("{0} + {1}", ["a·b", "−1"])
    ('(a − y)·w', 'a·b + (−1)')
    """
    texts = [text if f"({{{i}}})" in template else factor(text) for i, text in enumerate(operands)]
    return template.format(*texts)


def together(text: str) -> str:
    return f"({text})" if any(sign in text for sign in " ·/") else text


# --- SymPy: the symbols of operations, loaded when they are first asked for -------------------------------------------


def symbol_of(latex: str) -> sympy.Symbol:
    """A real symbol that prints as `latex`."""
    import sympy

    return sympy.Symbol(latex, real=True)


def expression(op: str, operands: Sequence[Any]) -> sympy.Expr:
    """What an operation computes, in SymPy; σ stays σ.

    >>> x, y = symbol_of("x"), symbol_of("y")
    >>> expression("*", [x, y]), expression("sigmoid", [x]).diff(x)
    (x*y, Derivative(σ(x), x))
    """
    import sympy

    if op == "sigmoid":
        return sympy.Function("σ")(operands[0])
    row = ops.operation(op)
    names = ("c", "x", "y") if row.arity == 3 else ("x", "y")
    return sympy.sympify(row.expression, locals=dict(zip(names, operands)))


def slope(op: str, i: int, operands: Sequence[sympy.Symbol]) -> sympy.Expr:
    """The derivative of an operation with respect to operand i."""
    import sympy

    stand_ins = sympy.symbols(f"operand:{len(operands)}", real=True)  # the same value may stand in both places
    derived = expression(op, stand_ins).diff(stand_ins[i])
    return derived.subs(dict(zip(stand_ins, operands)))


def latex_text(expression: sympy.Expr) -> str:
    """An expression as LaTeX, with σ′(z) for a derivative of σ."""
    import sympy
    from sympy.printing.latex import LatexPrinter

    class Printer(LatexPrinter):  # type: ignore[misc]
        def _print_Function(self, expr: Any, exp: Any = None) -> str:  # noqa: N802
            if expr.func.__name__ == "σ":
                raised = f"^{{{exp}}}" if exp is not None else ""
                return rf"\sigma{raised}\left({self._print(expr.args[0])}\right)"
            return str(super()._print_Function(expr, exp))

        def _print_Derivative(self, expr: Any) -> str:  # noqa: N802
            return rf"\sigma'\left({self._print(expr.args[1][0])}\right)"

        def _print_Subs(self, expr: Any) -> str:  # noqa: N802
            return rf"\sigma'\left({self._print(expr.args[2][0])}\right)"

    return str(Printer({"mul_symbol": "dot", "order": "none"}).doprint(sympy.sympify(expression)))

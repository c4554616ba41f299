"""How values, derivatives and numbers are written: in Unicode for a terminal, in LaTeX for a page.

A value is called by its name (graph.names), in the notes' letters where it has that form. An unnamed constant is its
number; what else has no name is written out if that is short, as w·a, or else called v₁, v₂, … in the order of
computation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tinygrad_scalar import graph, ops
from tinygrad_scalar.value import Value

if TYPE_CHECKING:
    import sympy

SHORT = 12  # characters; a longer expression is called vₙ
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def written(number: float) -> str:
    """A number with six digits.

    >>> written(-0.25), written(2 / 3)
    ('−0.25', '0.666667')
    """
    return f"{number:.6g}".replace("-", "−")


def factor(text: str) -> str:
    """A text as a factor of a product: in parentheses if it is a sum or begins with a minus.

    >>> factor("a − y"), factor("w"), factor("σ(a − y)"), factor("|a − y|"), factor("|a| − y")
    ('(a − y)', 'w', 'σ(a − y)', '|a − y|', '(|a| − y)')
    """
    depth, between_bars = 0, False
    for i, sign in enumerate(text):
        depth += (sign in "([") - (sign in ")]")
        between_bars ^= sign == "|"
        if (
            depth == 0
            and not between_bars
            and (text[i : i + 3] in (" + ", " − ", " > ", " ≥ ") or (i == 0 and sign == "−"))
        ):
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

    def plain(self, node: Value) -> str:
        """A value's name as it is typed, w(1)[0,2]; of one without a name what it is called in a text."""
        return self.called.get(node) or self.name(node)

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
        slopes = ops.operation(node.op).slopes
        if not slopes:
            return self.derivative(node, node.operands[i])
        return filled(slopes[i], [self.name(operand) for operand in node.operands])

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
        symbols = self._symbols(node)
        return latex_text(expression(node.op, list(symbols)), symbols)

    def latex_slope(self, node: Value, i: int) -> str:
        symbols = self._symbols(node)
        return latex_text(slope(node.op, i, list(symbols)), symbols)

    def _symbols(self, node: Value) -> dict[Any, str]:
        """A symbol of SymPy for each operand, and the LaTeX of its name."""
        import sympy

        return {sympy.Dummy(self.name(operand), real=True): self.latex(operand) for operand in node.operands}


def unicode_of(name: str) -> str:
    """A name in the notes' form as they print it; another as it is."""
    symbol = graph.symbol(name)
    return symbol.unicode if symbol else name


def filled(template: str, operands: Sequence[str]) -> str:
    """An operation's text with its operands, in parentheses where they need them.

    >>> filled("{0}·{1}", ["a − y", "w"]), filled("{0} + {1}", ["a·b", "−1"]), filled("{0}/{1}", ["a·b", "c·d"])
    ('(a − y)·w', 'a·b + (−1)', 'a·b/(c·d)')
    """
    texts = []
    for i, text in enumerate(operands):
        alone, binds_closely = rf"\(\{{{i}\}}\)", rf"[/^]\{{{i}\}}|\{{{i}\}}[\^²⁻]"
        if re.search(binds_closely, template):
            text = together(text)
        elif not re.search(alone, template):
            text = factor(text)
        texts.append(text)
    return template.format(*texts)


def together(text: str) -> str:
    """A text in parentheses if it is not one name, number or call."""
    return f"({text})" if factor(text) != text or any(sign in text for sign in " ·/") else text


# --- SymPy: the symbols of operations, loaded when they are first asked for -------------------------------------------


@lru_cache(maxsize=1)
def _functions() -> dict[str, Any]:
    """The activations as functions of SymPy whose derivatives print with a prime (000 Eq. 5)."""
    import sympy

    def function(name: str, latex: str, derivative: Any) -> Any:
        def printed(self: Any, printer: Any, exp: Any = None) -> str:
            power = f"^{{{exp}}}" if exp is not None else ""
            return rf"{latex}{power}\left({printer._print(self.args[0])}\right)"

        slope = {"fdiff": lambda self, argindex=1: derivative(self.args[0])} if derivative else {}
        return type(name, (sympy.Function,), {**slope, "_latex": printed, "is_real": True})

    return {
        "sigmoid": function("σ", r"\sigma", function("σ′", r"\sigma'", None)),
        "relu": function("relu", r"\mathrm{relu}", function("relu′", r"\mathrm{relu}'", None)),
        "softplus": function("softplus", r"\mathrm{softplus}", lambda x: _functions()["sigmoid"](x)),
    }


def expression(op: str, operands: Sequence[Any]) -> sympy.Expr:
    """What an operation computes, in SymPy; σ stays σ.

    >>> import sympy
    >>> x, y = sympy.symbols("x y")
    >>> expression("*", [x, y]), expression("sigmoid", [x]), expression("**2", [x - y])
    (x*y, σ(x), (x - y)**2)
    """
    import sympy

    functions = _functions()
    if op in functions:
        return functions[op](*operands)
    row = ops.operation(op)
    names = ("c", "x", "y") if row.arity == 3 else ("x", "y")
    return sympy.sympify(row.expression, locals=dict(zip(names, operands)))


def slope(op: str, i: int, operands: Sequence[Any]) -> sympy.Expr:
    """The derivative of an operation with respect to operand i; at kinks in the words of ops.py, as [x > y].

    >>> import sympy
    >>> x, y = sympy.symbols("x y")
    >>> slope("sigmoid", 0, [x]), slope("*", 1, [x, y]), slope("maximum", 0, [x, y])
    (σ′(x), x, [x > y])
    """
    slopes = ops.operation(op).slopes
    text = slopes[i] if slopes else ""
    if op == "relu":
        return _functions()["relu"](*operands).fdiff()
    if "[" in text or "sign" in text:
        return _at_a_kink(op, i)(*operands)
    derived, stand_ins = _general_slope(op, i)
    return derived.xreplace(dict(zip(stand_ins, operands)))


@lru_cache(maxsize=1024)
def _at_a_kink(op: str, i: int) -> Any:
    """A function of SymPy that prints as the slope's text in ops.py, as [x > y]; of numbers it is the slope."""
    import sympy

    row = ops.operation(op)
    template = row.slopes[i]
    template = f"({template})" if factor(template) != template else template
    latex = template
    for sign, command in (("[", r"\left["), ("]", r"\right]"), ("≥", r"\geq"), ("≠", r"\neq"), ("·", r" \cdot ")):
        latex = latex.replace(sign, command)
    latex = latex.replace("sign", r"\mathrm{sign}")

    def fill(text: str, function: Any, printer: Any) -> str:
        for i, argument in enumerate(function.args):
            text = text.replace(f"{{{i}}}", printer._print(argument))
        return text

    def in_text(self: Any, printer: Any) -> str:
        return fill(template, self, printer)

    def in_latex(self: Any, printer: Any, exp: Any = None) -> str:
        return fill(latex, self, printer) + (f"^{{{exp}}}" if exp else "")

    def number(cls: Any, *operands: Any) -> Any:
        if not all(operand.is_number for operand in operands):
            return None
        x = [float(operand) for operand in operands]
        return sympy.Float(row.local_grads(row.forward(*x), *x)[i])

    methods = {"_sympystr": in_text, "_latex": in_latex, "eval": classmethod(number), "is_real": True}
    return type("slope", (sympy.Function,), methods)


@lru_cache(maxsize=1024)
def _general_slope(op: str, i: int) -> tuple[Any, tuple[Any, ...]]:
    import sympy

    stand_ins = sympy.symbols(f"operand:{ops.operation(op).arity}", real=True)
    return expression(op, stand_ins).diff(stand_ins[i]), stand_ins


def unicode_text(expression: Any) -> str:
    """An expression of SymPy as a person writes it.

    >>> import sympy
    >>> a, y = sympy.symbols("a y")
    >>> unicode_text(sympy.factor_terms(2 * (a - y))), unicode_text(a**2 * y), unicode_text(y - a)
    ('2(a − y)', 'a²·y', 'y − a')
    """
    text = _printers()[0]({"full_prec": False}).doprint(expression)
    text = re.sub(r"\*\*(\d+)", lambda match: match[1].translate(_RAISED), text)
    text = text.replace("**", "^").replace("*", "·").replace("-", "−")
    return re.sub(r"(?<![\w.⁾₀-₉])(\d+)·\(", r"\1(", text)


def latex_text(expression: Any, names: Mapping[Any, str]) -> str:
    """An expression as LaTeX, its symbols as `names` say."""
    return str(_printers()[1]({"symbol_names": dict(names), "mul_symbol": "dot"}).doprint(expression))


@lru_cache(maxsize=1)
def _printers() -> tuple[Any, Any]:
    """SymPy's printers of text and LaTeX, but σ(z) − y where they have −y + σ(z)."""
    from sympy.printing.latex import LatexPrinter
    from sympy.printing.str import StrPrinter

    def positive_first(self: Any, expression: Any, order: Any = None) -> list[Any]:
        return sorted(expression.as_ordered_terms(), key=lambda term: bool(term.could_extract_minus_sign()))

    ordered = {"_as_ordered_terms": positive_first}
    return type("Text", (StrPrinter,), ordered), type("Latex", (LatexPrinter,), ordered)

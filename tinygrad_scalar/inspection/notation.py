"""How values, derivatives and numbers are written: in Unicode for a terminal, in LaTeX for a page.

A value is called by its name (graph.names), in the notes' letters where it has that form. An unnamed constant is its
number; what else has no name is written out if that is short, as w·a, or else called v₁, v₂, … in the order of
computation. Both scripts are made from the same texts, those of ops.py.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, lru_cache

from tinygrad_scalar.engine import ops
from tinygrad_scalar.engine.value import Value
from tinygrad_scalar.inspection import names as graph
from tinygrad_scalar.inspection.layout import fitted

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


def latex_number(number: float) -> str:
    r"""The same in LaTeX.

    >>> latex_number(-0.25), latex_number(1.5e-7), latex_number(float("inf"))
    ('-0.25', '1.5 \\cdot 10^{-7}', '\\infty')
    """
    if math.isinf(number):
        return r"\infty" if number > 0 else r"-\infty"
    digits, _, exponent = f"{number:.6g}".partition("e")
    if number != number:
        return r"\mathrm{nan}"
    return rf"{digits} \cdot 10^{{{int(exponent)}}}" if exponent else digits


# --- brackets ---------------------------------------------------------------------------------------------------------

_SUM = re.compile(r" [+−><≥≤=≠] ")
_OPPOSITE = {">": "≤", "≥": "<", r"\geq": "<"}
_OPERATOR = re.compile(r"[ ·/^+*=<>-]|[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]")


def _outside(text: str) -> str:
    """What of a text stands outside of brackets and bars; of what is within them only the brackets are left."""
    left, depth, between_bars = [], 0, False
    for sign in text:
        between_bars ^= sign == "|"
        depth -= sign in ")]⁾"
        if depth == 0 and not between_bars:
            left.append(sign)
        depth += sign in "([⁽"
    return "".join(left)


def factor(text: str) -> str:
    """A text as a factor of a product: in parentheses if it is a sum or begins with a minus.

    >>> factor("a − y"), factor("w"), factor("σ(a − y)"), factor("|a − y|"), factor("|a| − y")
    ('(a − y)', 'w', 'σ(a − y)', '|a − y|', '(|a| − y)')
    """
    return f"({text})" if text.startswith("−") or _SUM.search(_outside(text)) else text


def together(text: str) -> str:
    """A text in parentheses if it is not one name, number or call.

    >>> together("w⁽¹⁾₀₀"), together("w·a"), together("max(x, 1)"), together("(x > y)"), together("x²")
    ('w⁽¹⁾₀₀', '(w·a)', 'max(x, 1)', '(x > y)', '(x²)')
    """
    is_number = re.fullmatch(r"\d+(\.\d+)?(e[+−]\d+)?", text)
    return text if is_number or (factor(text) == text and not _OPERATOR.search(_outside(text))) else f"({text})"


def bracketed(template: str, operands: Sequence[str]) -> str:
    """An operation's text, with parentheses around the places of those operands that need them.

    >>> bracketed("{0}·{1}", ["a − y", "w"]), bracketed("({0})²", ["x"]), bracketed("max({0}, {1})", ["a − y", "−1"])
    ('({0})·{1}', '{0}²', 'max({0}, {1})')
    """
    for i, operand in enumerate(operands):
        place = f"{{{i}}}"
        template = re.sub(rf"(?<![\w′√²])\({re.escape(place)}\)", place, template)
        if re.search(rf"[/^]\{{{i}\}}|\{{{i}\}}[\^⁰¹²³⁴⁵⁶⁷⁸⁹⁻]", template):
            needs = together(operand) != operand
        else:
            is_alone = re.search(rf"(?:[(|]|, )\{{{i}\}}[),|]", template)
            needs = not is_alone and factor(operand) != operand
        if needs:
            template = template.replace(place, f"({place})")
    return template


def filled(template: str, operands: Sequence[str]) -> str:
    """An operation's text with its operands, in parentheses where they need them.

    >>> filled("{0}·{1}", ["a − y", "w"]), filled("{0} + {1}", ["a·b", "−1"]), filled("{0}/{1}", ["a·b", "c·d"])
    ('(a − y)·w', 'a·b + (−1)', 'a·b/(c·d)')
    """
    return bracketed_once(bracketed(template, operands).format(*operands), operands)


def bracketed_once(text: str, operands: Iterable[str]) -> str:
    """A text in which an operand that has parentheses of its own has no others around them.

    >>> bracketed_once("exp((a b))·(a b)", ["(a b)"]), bracketed_once("exp((a)·(b))", ["(a)·(b)"])
    ('exp(a b)·(a b)', 'exp((a)·(b))')
    """
    for operand in operands:
        if operand.startswith("(") and together(operand) == operand:
            text = text.replace(f"({operand})", operand)
    return text


def condition(text: str) -> str:
    """A text in which a comparison itself is the condition, which is a number for the engine.

    >>> condition("[(x > 0) ≠ 0]"), condition("[(x > 0) = 0]"), condition("[c ≠ 0]"), condition("where((x > 0), x, y)")
    ('[x > 0]', '[x ≤ 0]', '[c ≠ 0]', 'where(x > 0, x, y)')
    """
    for opening in reversed(
        [match.end() for match in re.finditer(r"(?:\[|where\}?\()\(", text)]
    ):  # the inner ones first
        end = _closing(text, opening)
        comparison, after = text[opening:end], text[end + 1 :]
        rest = re.sub(r"^ (?:≠|\\neq|=) 0(?=\])", "", after)
        sides = re.split(r" (>|≥|\\geq) ", _hidden(comparison))
        if len(sides) != 3 or (rest == after and not after.startswith(", ")):
            continue
        if after.startswith(" = 0]"):
            place = len(sides[0]) + 1
            comparison = f"{comparison[:place]}{_OPPOSITE[sides[1]]}{comparison[place + len(sides[1]) :]}"
        text = f"{text[: opening - 1]}{comparison}{rest}"
    return text


def _hidden(text: str) -> str:
    """A text whose signs within brackets are blanks of no meaning."""
    hidden, depth = [], 0
    for sign in text:
        depth -= sign in ")]"
        hidden.append("·" if depth else sign)
        depth += sign in "(["
    return "".join(hidden)


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


# --- the names of a graph ---------------------------------------------------------------------------------------------


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
            symbol = graph.symbol(called)
            latex = symbol.latex if symbol else latex_name(fitted(called, LONGEST))
            return rf"{{{latex}}}^{{\langle {self._place[called]} \rangle}}" if called in self._place else latex
        if not node.op:
            return latex_number(node.data)
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
        return rf"\left.{whole}\right|_{{{latex_name(part)}}}" if part else whole

    def latex_made(self, node: Value) -> str:
        return self._in_latex(ops.operation(node.op).text, node)

    def latex_numbers(self, node: Value) -> str:
        numbers = [operand.data for operand in node.operands]
        template = bracketed(ops.operation(node.op).text, [written(number) for number in numbers])
        return latex_filled(template, [latex_number(number) for number in numbers])

    def latex_slope(self, node: Value, i: int) -> str:
        text = self._slope_text(node, i)
        return condition(self._in_latex(text, node)) if text else self.latex_derivative(node, node.operands[i])

    def _in_latex(self, template: str, node: Value) -> str:
        operands = [self.latex_operand(operand) for operand in node.operands]
        return latex_filled(bracketed(template, self._names(node)), operands)

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
    symbol = graph.symbol(name)
    return symbol.unicode if symbol else name


# --- LaTeX from the texts of ops.py -----------------------------------------------------------------------------------

_COMMANDS = {"exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "max", "min"}
_SIGNS = {
    "·": r" \cdot ", "−": "-", "σ": r"\sigma", "′": "'", "π": r"\pi", "Σ": r"\Sigma", "≥": r"\geq", "≤": r"\leq",
    "≠": r"\neq",
}  # fmt: skip
_ESCAPED = {sign: rf"\{sign}" for sign in "$%#&_{} "} | {"\\": r"\backslash ", "^": r"\wedge ", "~": r"\sim "}
_DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_PLACES = [chr(0xE000 + i) for i in range(3)]  # of the operands, while LaTeX's own braces are put in


def latex_name(name: str) -> str:
    r"""A name that is not in the notes' form, upright, with LaTeX's own signs taken as they are.

    >>> latex_name("my value_1"), latex_name("50 %")
    ('\\mathrm{my\\ value\\_1}', '\\mathrm{50\\ \\%}')
    """
    return rf"\mathrm{{{''.join(_ESCAPED.get(sign, sign) for sign in name)}}}"


def latex_operand(text: str) -> str:
    """A text of LaTeX as a factor of a product."""
    depth = 0
    for i, sign in enumerate(text):
        depth += (sign in "([{") - (sign in ")]}")
        if depth == 0 and (text[i : i + 3] in (" + ", " - ") or (i == 0 and sign == "-")):
            return rf"\left({text}\right)"
    return text


def latex_filled(template: str, operands: Sequence[str]) -> str:
    r"""An operation's text in LaTeX, with its operands.

    >>> latex_filled("{0}/{1}", ["a", "b"]), latex_filled("1/√(1 − {0}²)", ["x"])
    ('\\frac{a}{b}', '1/\\sqrt{1 - x^{2}}')
    """
    text = _latex_template(template)
    for place, operand in zip(_PLACES, operands):
        text = text.replace(place, operand)
    return text


@lru_cache(maxsize=1024)
def _latex_template(text: str) -> str:
    for i, place in enumerate(_PLACES):
        text = text.replace(f"{{{i}}}", place)
    text = re.sub(rf"^(\(?[{''.join(_PLACES)}]\)?)/(\(?[{''.join(_PLACES)}]\)?)$", r"\\frac{\1}{\2}", text)
    for opening, command in (("√(", r"\sqrt{"), ("^(", "^{")):
        while (start := text.find(opening)) >= 0:
            end = _closing(text, start + len(opening))
            text = f"{text[:start]}{command}{text[start + len(opening) : end]}}}{text[end + 1 :]}"
    text = re.sub(r"√(.)", r"\\sqrt{\1}", text)
    text = re.sub(r"\^(−?[\d.]+|[\ue000-\ue002])", r"^{\1}", text)
    text = re.sub(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+", lambda run: f"^{{{run[0].translate(_DIGITS)}}}", text)
    text = re.sub(r"(?<!\\)\b[A-Za-z]\w+", _function, text)
    for sign, command in _SIGNS.items():
        text = text.replace(sign, command)
    return text


def _closing(text: str, start: int) -> int:
    """Where the bracket closes that was opened before `start`."""
    depth = 1
    for i in range(start, len(text)):
        depth += (text[i] == "(") - (text[i] == ")")
        if depth == 0:
            return i
    return len(text)


def _function(match: re.Match[str]) -> str:
    name = match[0]
    return rf"\{name}" if name in _COMMANDS else rf"\mathrm{{{name}}}".replace("_", r"\_")

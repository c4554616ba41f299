"""How values, derivatives and numbers are written: in Unicode for a terminal, in LaTeX for a page.

A value prints by its name (names.py), in the notes' letters if it has their form. A computed value without a name is
written out if that is short, such as w·a, or else called v₁, v₂, … in the order of computation; a leaf without one is
called a, or a₁, a₂, …; a bare number of a formula is its number. Both scripts come from the same texts, those of
ops.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property

from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.graph import is_bare_number
from tinygrad_scalar.engine.number import SUBSCRIPTS, SUPERSCRIPTS
from tinygrad_scalar.engine.ops import operation
from tinygrad_scalar.inspection import latex
from tinygrad_scalar.inspection.brackets import PRODUCT, SINGLE, Formula, condition, formula, of_operands
from tinygrad_scalar.inspection.layout import fitted
from tinygrad_scalar.inspection.names import symbol
from tinygrad_scalar.screen import printable

SHORT = 12  # characters; a longer expression is called vₙ
LONGEST = 24  # characters of a name; the rest is cut off
LETTERS = "vutsrqponmlkjihgfedcbazyxw"  # for values without a name: the first that no name looks like
OF_LEAVES, OF_NUMBERS = "axpqrstu", "ckdmn"  # the same for leaves, and for bare numbers that a reader is asked about
_LETTER = re.compile(r"\w(?:\[[\d,]+\]|[₀-₉]*)")  # v, v[2] or v₂
_FLAT = str.maketrans("", "", "()[]⁽⁾ \t\n") | {  # names that differ otherwise do not print alike
    small: sign for table in (SUPERSCRIPTS, SUBSCRIPTS) for sign, small in table.items() if chr(sign).isdigit()
}
# Where a derivative is a convention that the text of the slope in ops.py does not show. Others print as that text.
_AT_A_KINK: dict[str, Callable[..., bool]] = {
    "maximum": lambda x, y: x == y,
    "minimum": lambda x, y: x == y,
    "abs": lambda x: x == 0.0,
    "max(n)": lambda *x: x.count(max(x)) > 1,
    "min(n)": lambda *x: x.count(min(x)) > 1,
}


def written(number: float, digits: str = ".6g") -> str:
    """A number for people: with six digits, and a minus sign as wide as a digit; 1/−0 is −∞, so −0 keeps its sign.

    >>> written(-0.25), written(2 / 3), written(1 / 3, ".2g"), written(-0.0)
    ('−0.25', '0.666667', '0.33', '−0')
    """
    return f"{number:{digits}}".replace("-", "−")


def number(value: float) -> Formula:
    """A number as a formula; with a minus it binds like a sum."""
    return formula(written(value), latex.number(value))


def _places(names: Iterable[str]) -> dict[str, int]:
    """For each name that prints like another, its place among those that do.

    >>> _places(["x[0]", "x₀", "y", "y"])
    {'x[0]': 0, 'x₀': 1}
    """
    different = dict.fromkeys(names)
    are_short = max(map(len, different), default=0) <= LONGEST
    are_plain = are_short and all(map(str.isprintable, different))
    if are_plain and len({name.translate(_FLAT) for name in different}) == len(different):
        return {}  # quick for a large network: its names need not be printed to see this
    alike: dict[str, list[str]] = {}
    for name in different:
        alike.setdefault(fitted(unicode_of(name), LONGEST), []).append(name)
    return {name: i for names in alike.values() if len(names) > 1 for i, name in enumerate(names)}


def leaf_names(nodes: Iterable[Value], called: Mapping[Value, str]) -> dict[Value, str]:
    """Names for the leaves that have none, except bare numbers: a if there is one, or else a[1], a[2], ….

    It is another letter where one of the names `called` begins with that letter alone.

    >>> list(leaf_names([Value(1.0), Value(2.0)], {Value(3.0): "a(1)[0]"}).values())
    ['x[1]', 'x[2]']
    """
    return _numbered([n for n in nodes if not n.op and n not in called and not is_bare_number(n)], OF_LEAVES, called)


def _numbered(
    leaves: Sequence[Value], letters: str, called: Mapping[Value, str], without: str = ""
) -> dict[Value, str]:
    if not leaves:
        return {}
    taken = {without, *(match[0] for match in map(re.compile(r"[^\W\d_₀-₉]+").match, called.values()) if match)}
    letter = next((letter for letter in f"{letters}{LETTERS}" if letter not in taken), "θ")
    return {leaf: f"{letter}[{i}]" if len(leaves) > 1 else letter for i, leaf in enumerate(leaves, 1)}


class Notation:
    """The names of the values of a graph, given in topological order.

    called   the names that names.py found, and those of `leaf_names`
    unknown  the leaves that have their name from here, not from the user

    A computed value without a name is written out if that is short, such as w·a, or else numbered: v₁, v₂, …, or
    another letter where a name looks like that. Names that would print alike (x[0] and x₀, or two that are too long)
    are told apart by ⟨0⟩, ⟨1⟩, ….
    """

    def __init__(self, nodes: Sequence[Value], called: Mapping[Value, str]) -> None:
        self.unknown = leaf_names(nodes, called)
        self.called = {**called, **self.unknown}
        self._numbers = [node for node in nodes if not node.op and node not in self.called]
        self._place = _places(self.called.values())
        self._number: dict[Value, int] = {}
        for node in nodes:
            if node.op and node not in called:
                self._number[node] = len(self._number) + 1

    @cached_property
    def letter(self) -> str:
        """The letter of values without a name: v of v₁, v₂, …."""
        taken = {name[0] for name in self.called.values() if _LETTER.fullmatch(name)}
        return next((letter for letter in LETTERS if letter not in taken), "v")

    def name_number(self, leaf: Value) -> None:
        """Call a bare number c, or c₁, c₂, …, because a reader is asked about it: ∂C/∂2 could be about any 2."""
        if leaf not in self.called:
            self.unknown[leaf] = self.called[leaf] = self._names_of_numbers[leaf]

    @cached_property
    def _names_of_numbers(self) -> dict[Value, str]:
        return _numbered(self._numbers, OF_NUMBERS, self.called, self.letter)

    def stand_ins(self, text: str) -> list[Value]:
        """The values whose names in a text are not the user's, such as v₁ and v₂, as they come.

        >>> x = Value(2.0)
        >>> Notation([x], {}).stand_ins("2a") == [x]
        True
        """
        leaves = {self.name(leaf): leaf for leaf in self.unknown}
        numbered = list(self._number)
        meant: dict[str, Value] = {}
        for name, letter, i in re.findall(r"(?<![^\W\d])(([^\W\d_])([₀-₉]*))(?!\w)", text):
            if name in leaves:
                meant[name] = leaves[name]
            elif letter == self.letter and i and 0 < (k := int(i.translate(_FLAT))) <= len(numbered):
                meant[name] = numbered[k - 1]
        return [value for name, value in meant.items() if self.name(value) == name]  # w·a is not called v₁ anywhere

    def _numbered_name(self, i: int) -> Formula:
        return Formula(f"{self.letter}{i}".translate(SUBSCRIPTS), f"{self.letter}_{{{i}}}", SINGLE)

    def named(self, node: Value) -> Formula:
        """A value's name."""
        if node in self.called:
            name = self.called[node]
            in_notes = symbol(name)
            text = fitted(in_notes.unicode if in_notes else name, LONGEST)
            in_latex = in_notes.latex if in_notes else latex.name(fitted(name, LONGEST))
            if name in self._place:
                place = self._place[name]
                text, in_latex = f"{text}⟨{place}⟩", rf"{{{in_latex}}}^{{\langle {place} \rangle}}"
            return formula(text, in_latex)
        if not node.op:
            return number(node.data)
        if all(operand in self.called or not operand.op for operand in node.operands):
            made = self.made(node)
            if len(made.text) <= SHORT:
                return made
        return self._numbered_name(self._number[node])

    def name(self, node: Value) -> str:
        """A value's name in Unicode."""
        return self.named(node).text

    def plain(self, node: Value) -> str:
        """A value's name as it is typed, such as w(1)[0,2]; without one, the same as `name`."""
        return self.called.get(node) or self.name(node)

    def operand(self, node: Value) -> Formula:
        """A value's name inside a formula: a label that reads like a formula is in parentheses."""
        return self.named(node).bracketed(SINGLE) if node in self.called else self.named(node)

    def made(self, node: Value) -> Formula:
        """The operation that computes a value, such as w·a."""
        return of_operands(operation(node.op).text, node.operands, self.operand)

    def numbers(self, node: Value) -> Formula:
        """The operation with its operands' numbers."""
        return of_operands(operation(node.op).text, node.operands, lambda operand: number(operand.data))

    def slope(self, node: Value, i: int) -> Formula:
        """∂node/∂its operand i in the symbols of ops.py; at a kink, where it is a convention, the number."""
        if is_at_a_kink(node):
            return number(node.local_grads[i])
        slopes = operation(node.op).slopes
        if not slopes:
            return self.derivative(node, node.operands[i])
        found = of_operands(slopes[i], node.operands, self.operand)
        return formula(condition(found.text), condition(found.latex))

    def derivative(self, node: Value, by: Value, part: str = "") -> Formula:
        """∂node/∂by; `part` names a part of it, such as "direct".

        >>> w, x = Value(2.0, "w(1)[0,1]"), Value(3.0)
        >>> y = w * x
        >>> notation = Notation([w, x, y], {w: w.label, y: "y"})
        >>> notation.derivative(y, w).text, notation.derivative(y, w, "direct").text
        ('∂y/∂w⁽¹⁾₀₁', '∂y/∂w⁽¹⁾₀₁ (direct)')
        """
        above, below = self.named(node), self.named(by)
        text = f"∂{above.bracketed(SINGLE).text}/∂{below.bracketed(SINGLE).text}"
        over, under = (f"({name.latex})" if name.binds < SINGLE else name.latex for name in (above, below))
        in_latex = rf"\frac{{\partial {over}}}{{\partial {under}}}"
        if part:
            text, in_latex = f"{text} ({part})", rf"\left.{in_latex}\right|_{{{latex.name(part)}}}"
        return Formula(text, in_latex, PRODUCT)


def is_at_a_kink(node: Value) -> bool:
    """Whether a derivative of `node` is a convention that the text of the slope does not show.

    >>> is_at_a_kink(abs(Value(0.0))), is_at_a_kink(abs(Value(1.0)))
    (True, False)
    """
    at_a_kink = _AT_A_KINK.get(operation(node.op).family or node.op) if node.op else None
    return at_a_kink is not None and at_a_kink(*(operand.data for operand in node.operands))


def unicode_of(name: str) -> str:
    """A name in the notes' form as the notes print it; any other name as it is, with control characters escaped."""
    in_notes = symbol(name)
    return in_notes.unicode if in_notes else printable(name)

"""Formulas as text and LaTeX, with parentheses where a person would write them.

A Formula carries how tightly its outermost operation binds, and `filled` puts formulas into a text of ops.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

from tinygrad_scalar.engine.operation import places
from tinygrad_scalar.inspection import latex
from tinygrad_scalar.inspection.latex import closing

T = TypeVar("T")
SUM, PRODUCT, SINGLE = range(3)  # how tightly a formula binds; a single one is a name, a number or a call
_SUM = re.compile(r" [+−><≥≤=≠] ")
_OPERATOR = re.compile(r"[ ·/^+*=<>-]|[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]")
_NUMBER = re.compile(r"\d+(\.\d+)?(e[+−]\d+)?")
_BEFORE_A_SUM = re.compile(r"([(\[|]|, | [><≥≤=≠] )$")
_AFTER_A_SUM = re.compile(r"[)\]|,]| [><≥≤=≠] ")
_OPPOSITE = {">": "≤", "≥": "<", r"\geq": "<"}


class Formula(NamedTuple):
    """A formula in both scripts, and how tightly it binds: SUM, PRODUCT or SINGLE."""

    text: str
    latex: str
    binds: int

    def bracketed(self, at_least: int = PRODUCT) -> Formula:
        """The formula, in parentheses if it binds less tightly than `at_least`; the default suits factors of a product.

        >>> formula("a − y", "a - y").bracketed().text, formula("w·a", "w a").bracketed().text
        ('(a − y)', 'w·a')
        """
        if self.binds >= at_least:
            return self
        return Formula(f"({self.text})", rf"\left({self.latex}\right)", SINGLE)


def formula(text: str, latex: str) -> Formula:
    """A formula known only by how it prints.

    >>> [formula(text, "").binds for text in ("a − y", "−1", "w·a", "x²", "w⁽¹⁾₀₀", "1.5", "max(x, 1)", "|a − y|")]
    [0, 0, 1, 1, 2, 2, 2, 2]
    """
    outside = _outside(text)
    if _NUMBER.fullmatch(text) or not (text.startswith("−") or _OPERATOR.search(outside)):
        return Formula(text, latex, SINGLE)
    return Formula(text, latex, SUM if text.startswith("−") or _SUM.search(outside) else PRODUCT)


def single(text: str) -> str:
    """A text in parentheses unless it is a single name, number or call.

    >>> single("w⁽¹⁾₀₀"), single("w·a"), single("max(x, 1)"), single("(x > y)"), single("x²")
    ('w⁽¹⁾₀₀', '(w·a)', 'max(x, 1)', '(x > y)', '(x²)')
    """
    return formula(text, "").bracketed(SINGLE).text


def _outside(text: str) -> str:
    """The part of a text outside brackets and bars; the brackets themselves stay."""
    left, depth, between_bars = [], 0, False
    for sign in text:
        between_bars ^= sign == "|"
        depth -= sign in ")]⁾"
        if depth == 0 and not between_bars:
            left.append(sign)
        depth += sign in "([⁽"
    return "".join(left)


def filled(template: str, operands: Sequence[Formula]) -> Formula:
    """A text of ops.py filled with its operands, in parentheses where they need them.

    >>> a, b, total = formula("a", "a"), formula("b·c", r"b \\cdot c"), formula("a − y", "a - y")
    >>> filled("{0}·{1}", [total, a]).text, filled("{0}/{1}", [a, b]).text, filled("max({0}, {1})", [total, a]).text
    ('(a − y)·a', 'a/(b·c)', 'max(a − y, a)')
    >>> filled("({0})²", [total]).latex, filled("({0})²", [a]).latex
    ('(a - y)^{2}', 'a^{2}')
    """
    template = with_brackets(template, [operand.binds for operand in operands])
    texts = [operand.text for operand in operands]
    text = bracketed_once(template.format(*texts), texts)
    return formula(text, latex.filled(template, [operand.latex for operand in operands]))


def of_operands(template: str, operands: Sequence[T], write: Callable[[T], Formula]) -> Formula:
    """The same for a text that can name a few of many operands, each of which `write` writes.

    >>> of_operands("{0} + {1} + … + {41}", range(42), lambda i: formula(f"x{i}", f"x_{i}")).text
    'x0 + x1 + … + x41'
    """
    template, named = renumbered(template)
    return filled(template, [write(operands[i]) for i in named])


@lru_cache(maxsize=1024)
def renumbered(template: str) -> tuple[str, tuple[int, ...]]:
    """The text with the operands that it names numbered from 0, and which these are.

    >>> renumbered("{0}·{12} + {1}·{13}")
    ('{0}·{2} + {1}·{3}', (0, 1, 12, 13))
    """
    named = places(template)
    return re.sub(r"\{(\d+)\}", lambda match: f"{{{named.index(int(match[1]))}}}", template), named


def with_brackets(template: str, binds: Sequence[int]) -> str:
    """A text of ops.py with parentheses around operands that need them; `binds` says how tightly each binds.

    >>> with_brackets("{0}·{1}", [SUM, SINGLE]), with_brackets("({0})²", [SINGLE]), with_brackets("[{0} > 0]", [SUM])
    ('({0})·{1}', '{0}²', '[{0} > 0]')
    """

    def place(match: re.Match[str]) -> str:
        before, after = match.string[: match.start()], match.string[match.end() :]
        if before.endswith(("/", "^")) or re.match("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻^]", after):
            needed = SINGLE
        else:
            needed = SUM if _BEFORE_A_SUM.search(before) and _AFTER_A_SUM.match(after) else PRODUCT
        return match[0] if binds[int(match[1])] >= needed else f"({match[0]})"

    template = re.sub(r"(?<![\w′√²])\((\{\d\})\)", r"\1", template)
    return re.sub(r"\{(\d)\}", place, template)


def bracketed_once(text: str, operands: Iterable[str]) -> str:
    """The text without a second pair of parentheses around operands that have their own.

    >>> bracketed_once("exp((a b))·(a b)", ["(a b)"]), bracketed_once("exp((a)·(b))", ["(a)·(b)"])
    ('exp(a b)·(a b)', 'exp((a)·(b))')
    """
    for operand in operands:
        if operand.startswith("(") and single(operand) == operand:
            text = text.replace(f"({operand})", operand)
    return text


def condition(text: str) -> str:
    """A text of ops.py with a comparison as the condition itself: the engine's "is not 0" is left out.

    >>> condition("[(x > 0) ≠ 0]"), condition("[(x > 0) = 0]"), condition("[c ≠ 0]"), condition("where((x > 0), x, y)")
    ('[x > 0]', '[x ≤ 0]', '[c ≠ 0]', 'where(x > 0, x, y)')
    """
    openings = [match.end() for match in re.finditer(r"(?:\[|where\}?\()\(", text)]
    for opening in reversed(openings):  # the inner ones first
        end = closing(text, opening)
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
    """The text with everything inside brackets masked; its length stays the same."""
    hidden, depth = [], 0
    for sign in text:
        depth -= sign in ")]"
        hidden.append("·" if depth else sign)
        depth += sign in "(["
    return "".join(hidden)

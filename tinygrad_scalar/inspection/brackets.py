"""Where parentheses go: an operation's text of ops.py with its operands filled in, as a person writes it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

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
    """A text whose signs within brackets are blanks of no meaning."""
    hidden, depth = [], 0
    for sign in text:
        depth -= sign in ")]"
        hidden.append("·" if depth else sign)
        depth += sign in "(["
    return "".join(hidden)


def closing(text: str, start: int) -> int:
    """Where the bracket closes that was opened before `start`."""
    depth = 1
    for i in range(start, len(text)):
        depth += (text[i] == "(") - (text[i] == ")")
        if depth == 0:
            return i
    return len(text)

r"""LaTeX for every reader of graphs: the texts of ops.py, names and numbers.

`x/y` is \frac{x}{y}, `σ′(x)` is \sigma'(x), and a name that is not in the notes' form is upright.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import lru_cache

from tinygrad_scalar.engine.number import SUPERSCRIPTS

_COMMANDS = {word: rf"\{word}" for word in ("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "max", "min")}
_COMMANDS |= {f"a{word}": rf"\arc{word}" for word in ("sin", "cos", "tan")}
_COMMANDS |= {f"a{word}": rf"\operatorname{{ar{word}}}" for word in ("sinh", "cosh", "tanh")}
_SIGNS = {
    "·": r" \cdot ", "−": "-", "σ": r"\sigma", "′": "'", "π": r"\pi", "Σ": r"\Sigma", "≥": r"\geq", "≤": r"\leq",
    "≠": r"\neq", "%": r"\%",
}  # fmt: skip
_ESCAPED = {sign: rf"\{sign}" for sign in "$%#&_{} "} | {"\\": r"\backslash ", "^": r"\wedge ", "~": r"\sim "}
_LEVEL = {raised: sign for sign, raised in SUPERSCRIPTS.items()}
_PLACES = [chr(0xE000 + i) for i in range(10)]  # placeholders for operands while LaTeX's own braces are put in


def number(value: float) -> str:
    r"""A number with six digits.

    >>> number(-0.25), number(1.5e-7), number(float("inf"))
    ('-0.25', '1.5 \\cdot 10^{-7}', '\\infty')
    """
    if math.isinf(value):
        return r"\infty" if value > 0 else r"-\infty"
    digits, _, exponent = f"{value:.6g}".partition("e")
    if value != value:
        return r"\mathrm{nan}"
    return rf"{digits} \cdot 10^{{{int(exponent)}}}" if exponent else digits


def name(text: str) -> str:
    r"""A name outside the notes' notation: set upright, with LaTeX's special characters escaped.

    >>> name("my value_1"), name("50 %")
    ('\\mathrm{my\\ value\\_1}', '\\mathrm{50\\ \\%}')
    """
    return rf"\mathrm{{{''.join(_ESCAPED.get(sign, sign) for sign in text)}}}"


def filled(template: str, operands: Sequence[str]) -> str:
    r"""An operation's text in LaTeX, with its operands.

    >>> filled("{0}/{1}", ["a", "b"]), filled("1/√(1 − {0}²)", ["x"]), filled("{0}^-1.5", ["x"])
    ('\\frac{a}{b}', '1/\\sqrt{1 - x^{2}}', 'x^{-1.5}')
    >>> filled("{0}²", ["a^{(0)}"])
    '\\left(a^{(0)}\\right)^{2}'
    """
    text = _template(template)
    for place, operand in zip(_PLACES, operands):
        if _is_raised(operand):  # TeX refuses a second superscript
            text = text.replace(f"{place}^", rf"\left({operand}\right)^")
        text = text.replace(place, operand)
    return text


def _is_raised(operand: str) -> bool:
    """Whether LaTeX has a superscript outside brackets and braces."""
    depth = 0
    for sign in operand:
        if sign == "^" and depth == 0:
            return True
        depth += (sign in "({") - (sign in ")}")
    return False


@lru_cache(maxsize=1024)
def _template(text: str) -> str:
    for i, place in enumerate(_PLACES):
        text = text.replace(f"{{{i}}}", place)
    text = re.sub(rf"^(\(?[{''.join(_PLACES)}]\)?)/(\(?[{''.join(_PLACES)}]\)?)$", r"\\frac{\1}{\2}", text)
    for opening, command in (("√(", r"\sqrt{"), ("^(", "^{")):
        while (start := text.find(opening)) >= 0:
            end = closing(text, start + len(opening))
            text = f"{text[:start]}{command}{text[start + len(opening) : end]}}}{text[end + 1 :]}"
    text = re.sub(r"√(.)", r"\\sqrt{\1}", text)
    text = re.sub(r"\^([−-]?[\d.]+(?:e[+−-]?\d+)?|[\ue000-\ue009])", r"^{\1}", text)
    text = re.sub(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+", lambda run: f"^{{{run[0].translate(_LEVEL)}}}", text)
    text = re.sub(r"(?<!\\)\b[A-Za-z]\w+", _function, text)
    for sign, command in _SIGNS.items():
        text = text.replace(sign, command)
    return text


def closing(text: str, start: int) -> int:
    """The position of the parenthesis that closes the one opened before `start`."""
    depth = 1
    for i in range(start, len(text)):
        depth += (text[i] == "(") - (text[i] == ")")
        if depth == 0:
            return i
    return len(text)


def _function(match: re.Match[str]) -> str:
    word = match[0]
    return _COMMANDS.get(word) or rf"\mathrm{{{word}}}".replace("_", r"\_")

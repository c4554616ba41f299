"""Slips in a text expression: what may have been meant.

Signs pasted from a page are read as what they mean. Notation that the language lacks gets a corrected text, which is
only suggested, never computed with.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator

LONGEST = 400  # characters of a text that is worth correcting
PASTED = str.maketrans({
    **dict.fromkeys("−–‐‑", "-"), **dict.fromkeys("·⋅∙×∗", "*"), **dict.fromkeys("÷∕", "/"), "≤": "<=", "≥": ">=",
    "\xa0": " ", "（": "(", "）": ")", "，": ",", "＝": "=", "＋": "+", "；": ";",
    **dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789")),
})  # fmt: skip
TIMES = "\u2062"  # INVISIBLE TIMES: between the operands of 2w while a text is corrected
RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"
_OTHER_NAMES = {
    "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arcsinh": "asinh", "arccosh": "acosh",
    "arctanh": "atanh", "arctan2": "atan2", "tg": "tan", "σ": "sigmoid", "pow": "", "sgn": "sign",
}  # fmt: skip
CONSTANTS = {"pi": math.pi, "π": math.pi, "e": math.e, "tau": math.tau}


def corrections(text: str, numbers: Collection[str], functions: Collection[str]) -> Iterator[str]:
    """Texts that may have been meant; the caller takes the first that can be read.

    >>> next(corrections("2w^2 + sin x", {"w", "x"}, {"sin"}))
    '2*w**2 + sin(x)'
    """
    if len(text) > LONGEST:
        return
    own = {*numbers, *re.findall(r"([^\W\d]\w*)\s*=", text)}
    names = {*own, *CONSTANTS}
    if any(name in names for name in re.findall(r"([^\W\d]\w*)\s*\[", text)):
        return  # w[0] is no product
    text = _symbols(text)
    call = "|".join(sorted(map(re.escape, functions), key=len, reverse=True))
    text = re.sub(r"\b([^\W\d]\w*)\.(?=[^\W\d])", lambda found: found[0] if found[1] in names else "", text)  # np.exp
    text = re.sub(rf"([^\W\d]\w*|\([^()]*\))\.({call})\(\)", r"\2(\1)", text)  # x.exp()
    text = re.sub(r"[^\W\d]\w*(?=\s*\()", lambda found: _function(found[0], names, functions), text)
    text = re.sub(
        r"[^\W\d]\w*(?=\s+\w)",  # ln x
        lambda found: found[0] if found[0] in names else _function(found[0], names, functions),
        text,
    )
    text = re.sub(rf"\b({call})\*\*(\d+)\s*(\([^()]*\)|[^\W\d]\w*)", r"\1(\3)**\2", text)  # sin**2(x)
    operand = r"((?:\d[\d.]*\s*\*?\s*)?[^\W\d]\w*|\d[\d.]*)(?!\s*\()((?:\*\*-?[\w.]+)*)"
    text = re.sub(rf"\b({call})\s+{operand}", r"\1(\2\3)", text)  # sin x, sin x**2
    text = re.sub(rf"\b({call})\(\(([^()]*)\)\)", r"\1(\2)", text)
    text = re.sub(r"(?<![\w.])(\d+\.?\d*|\.\d+)(?=[^\W\d_])(?![eE][+-]?\d)", rf"\1{TIMES}", text)
    if re.search(rf"(?:/|\*\*)\s*-?[\d.]+{TIMES}", text):
        return  # 1/2w and e^2w can mean two things
    text = re.sub(r"[^\W\d]\w*", lambda found: _split(found[0], own, functions), text)
    for gap in ("*", ", "):
        yield _balanced(_joined(text, gap, names))
    yield _balanced(re.sub(r"(\d),(\d)", r"\1.\2", text.replace(TIMES, "*")))  # a decimal comma


def _symbols(text: str) -> str:
    """Signs of mathematics as the language writes them."""
    text = text.replace("^", "**").replace("⁻", "-").replace("==", "=")
    text = re.sub(
        rf"[{RAISED}-]*[{RAISED}]+",
        lambda found: "**" + found[0].translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")),
        text,
    )
    text = re.sub(r"(?<![\w.])[½¼¾]", lambda found: {"½": "0.5", "¼": "0.25", "¾": "0.75"}[found[0]], text)
    text = re.sub(r"\|([^|]+)\|", r"abs(\1)", text)
    text = re.sub(r"√\s*(\w+(?:\*\*\d+)?)", r"sqrt(\1)", text).replace("√", "sqrt")
    return re.sub(r"[\[{]", "(", re.sub(r"[\]}]", ")", text))


def _function(name: str, names: Collection[str], functions: Collection[str]) -> str:
    """The function that a called name stands for; a number before a parenthesis is multiplied."""
    if name in functions:
        return name
    if name in names:
        return f"{name}*"
    if name.lower() in functions:
        return name.lower()
    return _OTHER_NAMES.get(name.lower(), "") or name


def _split(name: str, names: Collection[str], functions: Collection[str]) -> str:
    """An unknown name as a product of known ones: w0x0 as w0*x0."""
    if name in names or name in functions or name in CONSTANTS:
        return name
    for function in functions:
        if name.startswith(function) and name[len(function) :] in names:
            return f"{function}({name[len(function) :]})"
    known = "|".join(sorted(map(re.escape, {*names, "π", "pi"}), key=len, reverse=True))
    parts = re.findall(known, name)
    whole = "".join(parts) == name
    return "*".join(parts) if whole else name


def _joined(text: str, gap: str, names: Collection[str]) -> str:
    """The text with `gap` where two operands stand side by side, as in 2w, (a)(b) and w x."""
    text = text.replace(TIMES, gap)
    text = re.sub(r"(?<![\w.])(\d+\.?\d*|\.\d+)\s*(?=[^\W\d_]|\()(?![eE][+-]?\d)", rf"\1{gap}", text)
    text = re.sub(r"\)\s*(?=[\w(])", f"){gap}", text)
    return re.sub(r"(?<=\w)[ \t]+(?=[\w(])", gap, text)


def _balanced(text: str) -> str:
    """The text with the parentheses that are missing at its end, or without those that are too many there."""
    more = text.count("(") - text.count(")")
    if more >= 0:
        return text + ")" * more
    return text[:more] if text.endswith(")" * -more) else text

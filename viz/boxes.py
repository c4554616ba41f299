"""The boxes of a picture, in Graphviz's terms: a value, a part that is folded, an operation, what is cut off.

The kind of a box shows in its shape, in a word, and in its colour. Boxes have their own light background, so that the
picture is readable on a dark page too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from tinygrad_scalar.charts.text import xml_text
from tinygrad_scalar.engine import Value
from tinygrad_scalar.inspection.layout import fitted
from tinygrad_scalar.inspection.notation import unicode_of, written
from tinygrad_scalar.viz.marks import DIGITS, Marks

LONGEST = 40  # characters of a name
_IN_FONTS = str.maketrans("⟨⟩", "‹›")  # graphviz-pure draws with a font that lacks the first two
ALARM = "#b91c1c"  # the colour of a number that is not finite


class Look(NamedTuple):
    """How one kind of box is drawn: its word, the colours of its line and background, its shape in Graphviz's terms."""

    word: str
    line: str
    fill: str
    box: dict[str, str]


LOOKS = {
    "constant": Look("", "#71717a", "#f4f4f5", {"shape": "box", "style": "filled,dashed"}),
    "leaf": Look("leaf", "#475569", "#e8edf4", {"shape": "box", "style": "filled"}),
    "input": Look("input", "#0b63a5", "#e3f1fd", {"shape": "note", "style": "filled"}),
    "parameter": Look("parameter", "#9a5b00", "#fdeecb", {"shape": "box", "style": "filled", "peripheries": "2"}),
    "value": Look("", "#52525b", "#ffffff", {"shape": "box", "style": "filled,rounded"}),
    "output": Look("output", "#1a6b32", "#ddf3e1", {"shape": "box", "style": "filled,rounded", "penwidth": "3"}),
}
_STACK = {"shape": "box3d", "margin": "0.1,0.09"}  # several in one
FOLDED = {  # parts, and several leaves in one box, by their kind
    "neuron": Look("neuron", "#6d28d9", "#f3effe", {"shape": "box", "style": "filled,rounded", "peripheries": "2"}),
    "layer": Look("layer", "#6d28d9", "#f3effe", {"style": "filled", **_STACK}),
    "named": Look("group", "#6d28d9", "#f3effe", {"shape": "component", "style": "filled", "margin": "0.12,0.05"}),
    **{
        f"{kind}s": look._replace(word=word, box={"style": look.box["style"], **_STACK})
        for (kind, look), word in zip(LOOKS.items(), ("constants", "leaves", "inputs", "parameters"))
    },
}
FONT = "Helvetica"
# nslimit: without it a leaf used all over a long graph takes minutes to place, for a picture hardly better
GRAPH = {
    "bgcolor": "transparent", "ranksep": "0.3", "nodesep": "0.18", "pad": "0.1", "nslimit": "1", "nslimit1": "1",
}  # fmt: skip
NODE = {"fontname": FONT, "fontsize": "11", "fontcolor": "#18181b", "margin": "0.07,0.03", "height": "0.3"}
EDGE = {"color": "#85858f", "arrowsize": "0.6", "penwidth": "1.1"}
OPERATION = {
    "shape": "box", "style": "filled,rounded", "fillcolor": "#3f3f46", "color": "#a1a1aa", "fontcolor": "#ffffff",
    "fontsize": "12", "width": "0.32", "height": "0.32", "margin": "0.07,0.02",
}  # fmt: skip
CUT_OFF = {
    "shape": "plaintext", "fontcolor": "#71717a", "fontsize": "10", "width": "0.2", "height": "0.2", "margin": "0",
}  # fmt: skip
CLUSTER = {
    "style": "rounded,filled", "fillcolor": "#fafafa", "color": "#a1a1aa", "fontname": FONT, "fontsize": "11",
    "fontcolor": "#4c1d95", "margin": "9", "penwidth": "1.1", "labelloc": "t", "labeljust": "l",
}  # fmt: skip


def escaped(text: str) -> str:
    """Text for a label in Graphviz, for which a single backslash begins an escape."""
    return xml_text(text).replace("\\", "\\\\")


def tooltip(text: str) -> str:
    """Text for a tooltip, in which Graphviz looks for escapes twice."""
    return escaped(text).replace("\\", "\\\\")


def shown(name: str) -> str:
    """A name as the picture shows it: in the notes' notation, at most 40 columns."""
    return fitted(unicode_of(name), LONGEST).translate(_IN_FONTS)


def value_label(node: Value, name: str, look: Look, marks: Marks | None = None) -> str:
    """A value's box: name and kind, data, grad."""
    data, grad = (marks.data(node), marks.grad(node)) if marks else (written(node.data, DIGITS), "grad")
    width = ' width="48" height="19"' if marks else ""  # so that from step to step the boxes stay where they are
    rows = [_numbers(what, text, width) for what, text in (("data", data), (grad, written(node.grad, DIGITS)))]
    alarm = (data != "·" and not math.isfinite(node.data)) or not math.isfinite(node.grad)
    return _table([*_header(name, look, alarm), *rows])


def folded_label(name: str, look: Look, lines: Sequence[str], values: Sequence[Value], footer: str) -> str:
    """The box of a part: name and kind, lines of text, the range of the data and gradients of `values`, a footer."""
    data, grad = [node.data for node in values], [node.grad for node in values]
    rows = [f'<tr><td colspan="2">{escaped(line)}</td></tr>' for line in lines]
    rows += [_numbers(what, range_of(numbers)) for what, numbers in (("data", data), ("grad", grad)) if numbers]
    rows.append(f'<tr><td colspan="2"><font point-size="9" color="#52525b">{escaped(footer)}</font></td></tr>')
    return _table([*_header(name, look, not all(map(math.isfinite, data + grad))), *rows])


def note(text: str) -> str:
    """A line about the picture, on a background of its own."""
    return (
        '<<table border="0" cellborder="0" cellpadding="4" bgcolor="#f4f4f5" style="rounded"><tr>'
        f'<td><font face="{FONT}" point-size="10" color="#3f3f46">{escaped(text)}</font></td></tr></table>>'
    )


def _header(name: str, look: Look, alarm: bool) -> list[str]:
    parts = [(f'<font color="{ALARM}">‼</font>', "‼", 11)] if alarm else []
    if shown(name).strip():
        parts.append((f"<b>{escaped(shown(name))}</b>", shown(name), 11))
    if look.word and look.word not in name:
        parts.append((f'<font point-size="9" color="{look.line}"><i>{look.word}</i></font>', look.word, 9))
    return [f'<tr><td colspan="2">{_in_place(parts)}</td></tr>'] if parts else []


def _numbers(what: str, text: str, width: str = "") -> str:
    left = f'<td align="left"{width}><font color="#52525b">{what}</font></td>'
    content = f'<font color="{ALARM}">{text}</font>' if "nan" in text or "inf" in text else text
    return f'<tr>{left}<td align="right"{width}>{_in_place([(content, text, 11)], "right")}</td></tr>'


def _in_place(parts: Sequence[tuple[str, str, int]], align: str = "center") -> str:
    """Pieces of HTML side by side, each with its text and its size in points.

    Without Pango, as in graphviz-pure, Graphviz takes each byte of a sign outside of ASCII to be as wide as a space: a
    name such as a⁽²⁾₁ would stand to the left of the middle, and a number with a minus to the left of its column. Such
    pieces are put into cells as wide as they really are.
    """
    if all(text.isascii() for _, text, _ in parts):
        return " ".join(content for content, _, _ in parts)
    widths = [round(size * (width_of(text) + 0.278 * (i > 0))) for i, (_, text, size) in enumerate(parts)]
    cells = "".join(
        f'<td fixedsize="true" width="{width}" height="14">{" " * (i > 0)}{content}<br align="left"/></td>'
        for i, (width, (content, _, _)) in enumerate(zip(widths, parts))
    )
    table = '<table border="0" cellborder="0" cellspacing="0" cellpadding="0" fixedsize="true"'
    return f'{table} align="{align}" width="{sum(widths)}" height="14"><tr>{cells}</tr></table>'


def width_of(text: str) -> float:
    """The width of a text in Helvetica, in ems."""
    return sum(map(_width, text))


def _width(sign: str) -> float:
    return _WIDTHS.get(sign, 0.556 if len(sign.encode(errors="replace")) < 3 else 0.75)


# Of Helvetica's signs, in ems, those of w, m and the narrow letters bold.
_WIDTHS = {
    **dict.fromkeys("⁰¹²³⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉⁽⁾₍₎⁺⁻", 0.333),
    **dict.fromkeys("−×÷∞≥≠+", 0.584),
    **dict.fromkeys("…→", 1.0),
    **dict.fromkeys(" .,'ijl|", 0.278),
    **dict.fromkeys("()[]ft·‹›", 0.333),
    **dict.fromkeys("wW", 0.778),
    **dict.fromkeys("mM", 0.889),
    **dict.fromkeys("CDHNRU", 0.722),
}


def range_of(numbers: Sequence[float]) -> str:
    """The smallest and the largest of the numbers; nan if there is one."""
    if any(map(math.isnan, numbers)):
        return "nan"
    ends = [written(number, ".2g") for number in (min(numbers), max(numbers))]
    return written(numbers[0], DIGITS) if len(numbers) == 1 else ends[0] if ends[0] == ends[1] else " … ".join(ends)


def _table(rows: Sequence[str]) -> str:
    """Rows in Graphviz's HTML."""
    return f'<<table border="0" cellborder="0" cellspacing="0" cellpadding="2">{"".join(rows)}</table>>'

"""Tables of names and numbers that fit 80 columns, as text and as HTML."""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Sequence

from tinygrad_scalar.screen import for_stdout, left, printable, right, width

WIDTH = 80  # characters
LONGEST = 24  # of a cell
Cells = Sequence[Sequence[str]]  # the first row is the head


def fitted(text: str, columns: int) -> str:
    """A text on one line; if it is too wide, without its middle, because names differ at their ends.

    >>> fitted("a long name", 6)
    'a l…me'
    """
    text = " ".join(printable(text).split())
    if len(text) <= columns and width(text) <= columns:
        return text
    end = columns // 3
    return f"{_cut(text, columns - 1 - end)}…{_cut(text[::-1], end)[::-1]}"


def _cut(text: str, columns: int) -> str:
    """The beginning of a text that fits."""
    text = text[:columns]
    while width(text) > columns:
        text = text[:-1]
    return text


def aligned(cells: Cells) -> list[str]:
    """The lines of a table: the first and last columns aligned left, those between them right.

    >>> aligned([["leaf", "data", ""], ["w", "0.5", "largest"]])
    ['leaf  data', 'w      0.5  largest']
    """
    rows = [[for_stdout(fitted(cell, LONGEST)) for cell in row] for row in cells]
    widths = [max(map(width, column)) for column in zip(*rows)]
    widths[0] = min(widths[0], WIDTH - sum(widths[1:]) - 2 * (len(widths) - 1))
    lines = []
    for first, *middle, last in rows:
        numbers = "".join(f"  {right(cell, columns)}" for cell, columns in zip(middle, widths[1:]))
        lines.append(f"{left(fitted(first, widths[0]), widths[0])}{numbers}  {last}".rstrip())
    return lines


def wrapped(sentence: str) -> list[str]:
    """The lines of a sentence."""
    return textwrap.wrap(sentence, WIDTH, subsequent_indent="  ")


def broken(lead: str, formula: str, width: int = WIDTH) -> list[str]:
    """The lines of a formula after its lead, broken before + and · where it is too wide.

    >>> print(*broken("v = ", "a · " * 19 + "b"), sep="\\n")
    v = a · a · a · a · a · a · a · a · a · a · a · a · a · a · a · a · a · a · a
          · b
    """
    lines, indent = [lead], " " * min(len(lead) + 2, width // 2)
    for i, piece in enumerate(re.split(r"(?<= )(?=[+·=] )|(?<=, )", formula)):
        if i and len(lines[-1]) + len(piece.rstrip()) > width:
            lines.append(indent)
        lines[-1] += piece
        while len(lines[-1].rstrip()) > width:  # without a space to break at
            at = max(lines[-1].rfind("·", len(indent) + 1, width), lines[-1].rfind(" ", len(indent) + 1, width))
            at = at if at > len(indent) else width
            lines[-1:] = [lines[-1][:at], indent + lines[-1][at:].lstrip()]
    return [line.rstrip() for line in lines]


def as_html(heading: str, cells: Cells, notes: Sequence[str]) -> str:
    """The table as HTML, aligned as in text, with its heading above and its sentences below."""
    head, *body = cells
    rows = "".join(map(_html_row, body))
    above, *below = (f"<p>{html.escape(text)}</p>\n" if text else "" for text in (heading, *notes))
    return (
        f"{above}<table>\n<thead>\n{_html_row(head, 'th')}</thead>\n<tbody>\n{rows}</tbody>\n</table>\n{''.join(below)}"
    )


def _html_row(row: Sequence[str], tag: str = "td") -> str:
    sides = ["left", *["right"] * (len(row) - 2), "left"]
    columns = (f'<{tag} style="text-align: {side}">{html.escape(cell)}</{tag}>' for side, cell in zip(sides, row))
    return f"<tr>{''.join(columns)}</tr>\n"

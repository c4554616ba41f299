"""Tables of names and numbers that fit 80 columns, as text and as HTML."""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Sequence
from itertools import pairwise

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


_PLACES = re.compile(r"(?<= )(?=[+−·=] )|(?<=, )|(?P<tight>(?<=\S)(?=·\S))|(?P<space>(?<=[^\s+−·=,] )(?=\S))")


def broken(lead: str, formula: str, width: int = WIDTH) -> list[str]:
    """The lines of a formula after its lead, broken where it is too wide: outside brackets as long as that is possible.

    Of the places at one depth, those before + − · = and after a comma come first.

    >>> print(*broken("v = ", "a · " * 19 + "b"), sep="\\n")
    v = a · a · a · a · a · a · a · a · a · a · a · a · a · a · a · a · a · a · a
          · b
    >>> print(*broken("v = ", "(a + b)·(c + d·(e + f))", 18), sep="\\n")
    v = (a + b)
          ·(c
          + d·(e + f))
    """
    lines, indent, depths = [lead], " " * min(len(lead) + 2, width // 2), _depths(formula)
    places = {0: (-1, 0)}  # the depth of each, and how good it is
    for match in _PLACES.finditer(formula):
        kind = 2 if match["space"] is not None else 1 if match["tight"] is not None else 0
        places[match.start()] = depths[match.start()], kind
    todo = [(0, len(formula))]  # pieces, the next one last
    while todo:
        start, end = todo.pop()
        piece = formula[start:end]
        if start and len(lines[-1]) + len(piece.rstrip()) > width and lines[-1] != indent:
            lines.append(indent)
        inside = [place for place in places if start < place < end]
        if len(lines[-1]) + len(piece.rstrip()) <= width or not inside:
            lines[-1] += piece
            while len(lines[-1].rstrip()) > width:  # without a place to break at
                lines[-1:] = [lines[-1][:width], indent + lines[-1][width:].lstrip()]
            continue
        best = min(places[place] for place in inside)
        at = [start, *(place for place in inside if places[place] == best), end]
        todo += reversed(list(pairwise(at)))
    return [line.rstrip() for line in lines]


def _depths(formula: str) -> list[int]:
    """How many brackets and bars are open before each sign.

    >>> _depths("|a|(b)")
    [0, 1, 1, 0, 1, 1]
    """
    depths, depth, before, opens = [], 0, " ", False
    for sign in formula:
        depths.append(depth)
        is_after_a_value = before.isalnum() or before in ")]⟩⁾′" or (before == "|" and not opens)
        opens = sign in "([⟨⁽" or (sign == "|" and not is_after_a_value)
        depth = depth + 1 if opens else max(depth - 1, 0) if sign in ")]⟩⁾|" else depth
        before = sign
    return depths


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

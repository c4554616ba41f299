"""Decimal commas and thousands separators: the numbers of a table rewritten as Python writes them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from tinygrad_scalar.datasets import Table, is_missing, is_number
from tinygrad_scalar.screen import quoted


def _pattern(point: str, mark: str) -> re.Pattern[str]:
    """Numbers with this decimal sign, and this mark or a space between thousands."""
    spaces = " \u00a0\u202f"
    whole = rf"(?:\d+|[1-9]\d{{0,2}}(?:[{mark}]\d{{3}})+|[1-9]\d{{0,2}}(?:[{spaces}]\d{{3}})+)"
    return re.compile(rf"[+-]?(?:{whole}(?:[{point}]\d*)?|[{point}]\d+)(?:[eE][+-]?\d+)?", re.ASCII)


_PATTERNS = {".": _pattern(".", ","), ",": _pattern(",", ".")}


def plain_number(cell: str, point: str) -> str | None:
    """The number as Python writes it; None if the text is no finite number with this decimal sign.

    >>> plain_number("1.234,5", ","), plain_number("1,234.5", "."), plain_number("1,5", ".")
    ('1234.5', '1234.5', None)
    """
    if point == "." and is_number(cell):
        return cell
    if not _PATTERNS[point].fullmatch(cell):
        return None
    for mark in " \u00a0\u202f" + (",." if point == "." else ".,")[0]:
        cell = cell.replace(mark, "")
    number = cell.replace(",", ".")
    return number if is_number(number) else None


class Columns(NamedTuple):
    """A table whose numbers are written with points, and the decimal sign that it had: "," if any column had it."""

    table: Table
    point: str


def with_decimal_points(table: Table, columns: Iterable[str], point: str | None = None) -> Columns:
    """`table` with the numbers of `columns` as Python writes them: 1234.5 for 1.234,5 and for 1,234.5.

    A column in which more than half of the cells are numbers has the decimal sign that makes most of them numbers. One
    that can be read both ways, such as 1,234 and 5,678, is read as the other columns are. ValueError if they do not
    decide and there is no `point`, "." or ",".
    """
    signs: dict[str, str] = {}  # of the columns to rewrite; "" for whole numbers
    unclear: dict[str, tuple[int, str]] = {}
    known: set[str] = set()
    for name in columns:
        cells = [(line, cell) for line, cell in zip(table.lines, _cells(table, name)) if not is_missing(cell)]
        if all(is_number(cell) for _, cell in cells) and any(plain_number(cell, ",") is None for _, cell in cells):
            known.add(".")
            continue
        counts = {sign: sum(plain_number(cell, sign) is not None for _, cell in cells) for sign in ".,"}
        if max(counts.values()) * 2 <= len(cells):
            continue  # text
        if counts["."] != counts[","]:
            signs[name] = max(counts, key=lambda sign: counts[sign])
            known.add(signs[name])
        elif marked := [(line, cell) for line, cell in cells if plain_number(cell, ".") != plain_number(cell, ",")]:
            unclear[name] = marked[0]
        else:
            signs[name] = ""
    for name, (line, cell) in unclear.items():
        choices = {point} if point else known or ({"."} if "," not in cell else {".", ","})
        if len(choices) > 1:
            a, b = (plain_number(cell, sign) for sign in ".,")
            raise ValueError(
                f"{table.name}, line {line}: {quoted(cell)} in column {quoted(name)} can be {a} or {b}; "
                "--decimal . or --decimal , says which sign is the decimal one"
            )
        (signs[name],) = choices
    rows = [list(row) for row in table.rows]
    for name, sign in signs.items():
        position = table.position(name)
        for row in rows:
            number = plain_number(row[position], sign or ".")
            row[position] = row[position] if number is None else number
    return Columns(table._replace(rows=rows), "," if "," in signs.values() else ".")


def _cells(table: Table, name: str) -> list[str]:
    position = table.position(name)
    return [row[position] for row in table.rows]

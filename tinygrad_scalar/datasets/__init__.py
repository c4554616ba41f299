"""Tables of data: a CSV reader whose errors name line and column, and the iris data set."""

from __future__ import annotations

import csv
import io
import math
import os
import re
import reprlib
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from importlib.resources import files
from typing import NamedTuple

from tinygrad_scalar.atomic_write import required_path
from tinygrad_scalar.datasets.csv_text import decoded, delimiter_of
from tinygrad_scalar.screen import quoted


class _Cells(NamedTuple):
    name: str
    columns: list[str]
    rows: list[list[str]]
    lines: list[int]
    delimiter: str = ","
    encoding: str = "UTF-8"


class Table(_Cells):
    """A CSV file: its column names, its cells as text, the line of the file where each row begins, and its form."""

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {column: i for i, column in reversed(list(enumerate(self.columns)))}

    def position(self, column: str) -> int:
        """The index of the column, from 0; ValueError if there is no such column."""
        position = self._positions.get(column)
        if position is None or self.columns[position : position + 1] != [column]:  # unknown, or `columns` was changed
            if column not in self.columns:
                few = ", ".join(quoted(known)[1:-1] for known in self.columns[:MOST]) + (
                    ", …" if len(self.columns) > MOST else ""
                )
                raise ValueError(f"{self.name} has no column {quoted(column)}; its columns are {few}")
            position = self.columns.index(column)
        return position

    def column(self, name: str) -> list[str]:
        """The cells of one column; ValueError for a missing column or value."""
        position = self.position(name)
        cells = [row[position] for row in self.rows]
        for line, cell in zip(self.lines, cells):
            if is_missing(cell):
                raise ValueError(
                    f"{self.name}, line {line}: the value of column {quoted(name)} is missing ({quoted(cell)})"
                )
        return cells

    def numbers(self, name: str) -> list[float]:
        """The cells of one column as numbers; ValueError for a cell that is not a finite number."""
        cells = self.column(name)
        for line, cell in zip(self.lines, cells):
            if not is_number(cell):
                text = reprlib.repr(cell)
                raise ValueError(f"{self.name}, line {line}: {text} in column {quoted(name)} is not a finite number")
        return [float(cell) for cell in cells]

    def select(self, rows: Sequence[int]) -> Table:
        """The table with these rows, counted from 0, in this order."""
        return self._replace(rows=[self.rows[i] for i in rows], lines=[self.lines[i] for i in rows])


MOST = 20  # columns that an error names
MISSING = frozenset(("", "?", "na", "n/a", "nan", "null", "none", "-"))
LONGEST_MISSING = max(map(len, MISSING))


def is_missing(cell: str) -> bool:
    """Whether the text stands for a missing value: "", "NA", "?" and the like."""
    return len(cell) <= LONGEST_MISSING and cell.lower() in MISSING


def is_number(cell: str) -> bool:
    """Whether the text is a finite decimal number.

    >>> [is_number(cell) for cell in ("1.5", "-2e3", "1_000", "inf", "setosa")]
    [True, True, False, False, False]
    """
    try:
        return math.isfinite(float(cell)) and "_" not in cell
    except ValueError:
        return False


def read_csv(path: str | os.PathLike[str], *, encoding: str | None = None) -> Table:
    """Read a CSV file with a header line and commas, semicolons, tabs or bars between the cells.

    Its encoding is found: UTF-8, UTF-16, or Windows-1252, which includes Latin-1; `encoding` overrides that.

    Raises OSError if the file cannot be read; ValueError, naming the line, if it is not such a table.
    """
    return parse_csv(required_path(path).read_bytes(), str(path), encoding=encoding)


def parse_csv(content: bytes, name: str, *, encoding: str | None = None) -> Table:
    """The table in the bytes of a CSV file; errors call it `name`. As `read_csv`."""
    text, its_encoding = decoded(content, name, encoding)
    delimiter = delimiter_of(text)
    text = re.sub(r"\Asep=.(?=\r?\n)", "", text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    rows: list[list[str]] = []
    lines: list[int] = []
    line = 1
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if cells not in ([], [""]):  # a blank line
                rows.append(cells)
                lines.append(line)
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{name}, line {reader.line_num}: {error}") from None
    if len(rows) < 2:
        raise ValueError(f"{name} has no rows below its header line")
    table = Table(name, rows[0], rows[1:], lines[1:], delimiter, its_encoding)
    _check(table, header_line=lines[0])
    return table


def _check(table: Table, header_line: int) -> None:
    name, columns = table.name, table.columns
    if all(is_number(column) for column in columns):
        raise ValueError(
            f"{name}, line {header_line} must name the columns, but holds numbers ({quoted(columns[0])[1:-1]}, …)"
        )
    counts = Counter(columns)
    for column in columns:
        if not column:
            raise ValueError(
                f"{name}, line {header_line}: column {columns.index(column) + 1} has no name; give it one, or delete it"
            )
        if counts[column] > 1:
            raise ValueError(f"{name}, line {header_line}: two columns are named {quoted(column)}; rename one")
    for line, row in zip(table.lines, table.rows):
        if len(row) != len(columns):
            cells = f"{len(row)} cell{'s' * (len(row) != 1)}"
            header = f"{len(columns)} column{'s' * (len(columns) != 1)}"
            raise ValueError(f"{name}, line {line} has {cells}, but the header names {header}")


def iris() -> Table:
    """Fisher's 150 irises (1936): four measurements in centimetres and the species.

    Source and licence: README.md in this folder.

    >>> table = iris()
    >>> len(table.rows), table.columns[-1], sorted(set(table.column("species")))
    (150, 'species', ['setosa', 'versicolor', 'virginica'])
    """
    path = files("tinygrad_scalar.datasets") / "iris.csv"
    return read_csv(str(path))

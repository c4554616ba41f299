"""Which kind of input each column of a training table is, and the refusal of one that is neither."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from shlex import quote

from tinygrad_scalar.cli.columns import CategoryColumn, Column, NumberColumn, Scale, cells_of
from tinygrad_scalar.datasets import Table, is_missing, is_number
from tinygrad_scalar.screen import quoted

_MOST = 5  # columns that a message names
_WITH_NUMBER = re.compile(r"[^\w\s]?\s?[+-]?\d")  # $1200, 12 km, 5%
FEWEST_ROWS = 20  # from which on a text that hardly ever repeats is refused
_DATE = re.compile(
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([T ]\d{1,2}:\d\d.*)?|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d\d)([T ]\d{1,2}:\d\d.*)?"
    r"|\d{1,2}:\d\d(:\d\d(\.\d+)?)?|\d{1,2}\.?[- ]?[A-Za-z]{3,9}\.?,?[- ]\d{2,4}|[A-Za-z]{3,9}\.? \d{1,2},? \d{4}"
)


def column_of(
    table: Table, name: str, training_rows: Sequence[int], *, categorical: bool = False, missing: str | None = None
) -> Column:
    """How a column becomes inputs: as its cells are numbers or text, unless it is told to be `categorical`.

    ValueError for a missing cell if `missing` is None, and for text among numbers.
    """
    if missing is None:
        table.column(name)  # raises for a missing cell
    cells = cells_of(table, name)
    known = [cells[row] for row in training_rows if not is_missing(cells[row])]
    if not known:
        raise ValueError(
            f"{table.name}: column {quoted(name)} has no value in the rows to train on; leave it out: "
            f"--ignore {option([name])}"
        )
    is_numeric = not categorical and holds_numbers(table, name)
    lacking = len(known) < len(training_rows)
    if is_numeric:
        rows = [row for row in training_rows if not is_missing(cells[row])]
        return NumberColumn(name, scale_of(table, name, rows), lacking and missing == "category")
    counts = Counter(known)
    categories = sorted(counts, key=lambda category: (-counts[category], category))
    return CategoryColumn(name, categories + [""] * (lacking and missing == "category"))


def holds_numbers(table: Table, name: str) -> bool:
    """Whether the cells that are there are numbers; ValueError, naming the first that is not, if only most are."""
    present = [(line, cell) for line, cell in zip(table.lines, cells_of(table, name)) if not is_missing(cell)]
    wrong = [(line, cell) for line, cell in present if not is_number(cell)]
    if wrong and len(wrong) * 2 < len(present):
        line, cell = wrong[0]
        raise ValueError(
            f"{table.name}, line {line}: {quoted(cell)} in column {quoted(name)} is not a finite number, but "
            f"{len(present) - len(wrong):,} of its {len(present):,} cells are: correct it, or "
            f"--categorical {option([name])} makes them categories, or leave the column out: --ignore {option([name])}"
        )
    return not wrong


def require_categories(table: Table, columns: Sequence[str]) -> None:
    """ValueError that names all columns of text that hold dates, else all with a text of their own in most rows."""
    dates: dict[str, str] = {}
    texts: dict[str, tuple[int, int, str]] = {}
    for name in columns:
        present = [cell for cell in cells_of(table, name) if not is_missing(cell)]
        if not present or all(map(is_number, present)):
            continue
        if sum(_DATE.fullmatch(cell) is not None for cell in present) * 2 > len(present):
            dates[name] = next(cell for cell in present if _DATE.fullmatch(cell))
        elif len(present) >= FEWEST_ROWS and len(set(present)) * 2 > len(present) and not holds_numbers(table, name):
            texts[name] = (len(set(present)), len(present), next(cell for cell in present if not is_number(cell)))
    if dates:
        examples = ", ".join(f"{quoted(name)} ({quoted(cell)}, …)" for name, cell in list(dates.items())[:_MOST])
        raise ValueError(
            f"{table.name} has dates or times, which are neither numbers nor categories: {examples}; replace them by "
            "numbers (year, month, weekday, days since the first), "
            f"or leave them out: --ignore {option(dates)}"
        )
    if texts:
        examples = ", ".join(
            f"{distinct:,} in the {rows:,} cells of {quoted(name)} ({quoted(cell)}, …)"
            for name, (distinct, rows, cell) in list(texts.items())[:_MOST]
        )
        hint = ""
        if all(_WITH_NUMBER.match(cell) for _, _, cell in texts.values()):
            hint = "if they are to be numbers, take away what stands beside them; "
        raise ValueError(
            f"{table.name} has too many different texts to learn from: {examples}; {hint}leave them out: "
            f"--ignore {option(texts)}; or keep them all: --categorical {option(texts)}"
        )


def scale_of(table: Table, column: str, rows: Sequence[int]) -> Scale:
    """The scale of these rows' numbers in a column."""
    cells = cells_of(table, column)
    numbers = table.select([row for row, cell in enumerate(cells) if not is_missing(cell)]).numbers(column)
    try:
        return Scale.of([float(cells[row]) for row in rows])
    except OverflowError:
        raise ValueError(
            f"{table.name}: column {quoted(column)} has numbers as large as {max(map(abs, numbers))!r}, which cannot "
            "be standardised; rescale the column"
        ) from None


def option(columns: Iterable[str]) -> str:
    """The names of columns as an argument of an option in a shell, which `column_names` reads."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(columns)  # quotes the signs of the line's end in names
    return quote(text.getvalue().removesuffix("\r\n"))


def column_names(text: str) -> list[str]:
    """The columns that an option names, divided by commas; a name that has commas stands in double quotes.

    >>> column_names('id, "length, cm"')
    ['id', 'length, cm']
    """
    rows = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True)
    return [name.strip() for row in rows for name in row]

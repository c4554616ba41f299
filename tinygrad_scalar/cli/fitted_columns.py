"""Which kind of input each column of a training table is, and the refusal of one that is neither."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from shlex import quote as option  # a column's name as an argument in a shell

from tinygrad_scalar.cli.columns import CategoryColumn, Column, NumberColumn, Scale, cells_of
from tinygrad_scalar.datasets import Table, is_missing, is_number
from tinygrad_scalar.screen import quoted

FEWEST_ROWS = 20  # from which on a text that hardly ever repeats is refused
_DATE = re.compile(
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([T ]\d{1,2}:\d\d.*)?|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d\d)([T ]\d{1,2}:\d\d.*)?"
    r"|\d{1,2}:\d\d(:\d\d(\.\d+)?)?|\d{1,2}\.?[- ]?[A-Za-z]{3,9}\.?,?[- ]\d{2,4}|[A-Za-z]{3,9}\.? \d{1,2},? \d{4}"
)


def column_of(
    table: Table, name: str, training_rows: Sequence[int], *, categorical: bool = False, missing: str | None = None
) -> Column:
    """How a column becomes inputs: as its cells are numbers or text, unless it is told to be `categorical`.

    ValueError for a missing cell if `missing` is None, a number with text around, dates, and text that hardly repeats.
    """
    if missing is None:
        table.column(name)  # raises for a missing cell
    cells = cells_of(table, name)
    present = [(line, cell) for line, cell in zip(table.lines, cells) if not is_missing(cell)]
    known = [cells[row] for row in training_rows if not is_missing(cells[row])]
    if not known:
        raise ValueError(
            f"{table.name}: column {quoted(name)} has no value in the rows to train on; leave it out: {ignoring(name)}"
        )
    is_numeric = not categorical and holds_numbers(table, name)
    lacking = len(known) < len(training_rows)
    if is_numeric:
        rows = [row for row in training_rows if not is_missing(cells[row])]
        return NumberColumn(name, scale_of(table, name, rows), lacking and missing == "category")
    if not categorical:
        _require_categories(table, name, present)
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
            f"--categorical {option(name)} makes them categories, or leave the column out: {ignoring(name)}"
        )
    return not wrong


def _require_categories(table: Table, name: str, present: Sequence[tuple[int, str]]) -> None:
    """ValueError if a column of text holds dates, or a text of its own in most rows."""
    dates = [(line, cell) for line, cell in present if _DATE.fullmatch(cell)]
    if len(dates) * 2 > len(present):
        line, cell = dates[0]
        raise ValueError(
            f"{table.name}, line {line}: column {quoted(name)} holds dates or times such as {quoted(cell)}, which are "
            "neither numbers nor categories: replace it by numbers (year, month, weekday, days since the first), "
            f"or leave it out: {ignoring(name)}"
        )
    distinct = len({cell for _, cell in present})
    if len(present) >= FEWEST_ROWS and distinct * 2 > len(present):
        raise ValueError(
            f"{table.name}: column {quoted(name)} holds {distinct:,} different texts in {len(present):,} rows (such as "
            f"{quoted(present[0][1])}), too many to learn from: leave it out: {ignoring(name)}; or keep it: "
            f"--categorical {option(name)}"
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


def ignoring(name: str) -> str:
    """The option that leaves a column out."""
    return f"--ignore {option(name)}"

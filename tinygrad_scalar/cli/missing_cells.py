"""Missing cells: how many a table has and where, and the rows without them."""

from __future__ import annotations

from collections.abc import Sequence

from tinygrad_scalar.datasets import Table, is_missing
from tinygrad_scalar.screen import counted, quoted

WAYS = ("drop", "mean", "category")  # of --missing
_MOST = 5  # columns that the message names


def missing_rows(table: Table, columns: Sequence[str]) -> dict[str, list[int]]:
    """{column: rows (from 0) whose cell is missing}, of the columns that have such rows."""
    positions = {name: table.position(name) for name in columns}
    rows = {
        name: [i for i, row in enumerate(table.rows) if is_missing(row[position])]
        for name, position in positions.items()
    }
    return {name: found for name, found in rows.items() if found}


def missing_text(missing: dict[str, list[int]]) -> str:
    """Such as "868 missing cells (687 in 'Cabin', 177 in 'Age', 4 in 'Embarked')"."""
    most = sorted(missing, key=lambda name: -len(missing[name]))
    places = [f"{len(missing[name]):,} in {quoted(name)}" for name in most[:_MOST]]
    if len(most) > _MOST:
        places.append(counted(len(most) - _MOST, "more column"))
    return f"{counted(sum(map(len, missing.values())), 'missing cell')} ({', '.join(places)})"


def require_complete(table: Table, columns: Sequence[str], target: str) -> None:
    """ValueError that counts the missing cells of these columns, names the columns and says what to do."""
    missing = missing_rows(table, columns)
    if not missing:
        return
    row, name = min((rows[0], name) for name, rows in missing.items())
    cell = table.rows[row][table.position(name)]
    dropped = len(set().union(*missing.values()))
    advice = f"--missing drop leaves out {counted(dropped, 'row')}"
    if set(missing) - {target}:
        advice += (
            ", mean takes the column's mean (of text, its most frequent), category makes missing a category of its own"
        )
    raise ValueError(
        f"{table.name}, line {table.lines[row]}: the value of column {quoted(name)} is missing ({quoted(cell)}); the "
        f"table has {missing_text(missing)}: {advice}; --ignore COLUMN leaves a column out"
    )


def without_missing(table: Table, columns: Sequence[str]) -> Table:
    """The rows that have a value in each of these columns; ValueError if there is none."""
    missing = missing_rows(table, columns)
    dropped = set().union(*missing.values()) if missing else set()
    kept = [row for row in range(len(table.rows)) if row not in dropped]
    if not kept:
        raise ValueError(
            f"{table.name}: every row has a missing cell, {missing_text(missing)}, so --missing drop leaves none: "
            "use --missing mean or category, or leave columns out with --ignore"
        )
    return table.select(kept) if dropped else table

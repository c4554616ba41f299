"""The rows of a table to train on, and those to hold out."""

from __future__ import annotations

import random

from tinygrad_scalar.datasets import Table, is_number
from tinygrad_scalar.screen import counted, quoted


def split(table: Table, target: str, test_fraction: float, seed: int = 0) -> tuple[list[int], list[int]]:
    """The rows (counted from 0) to train on and those to hold out, drawn by `seed`.

    Where the target is text, every class is split in the same proportion. ValueError unless both parts get a row.

    >>> from tinygrad_scalar.datasets import iris
    >>> training, held_out = split(iris(), "species", 1 / 3)
    >>> len(training), len(held_out)
    (100, 50)
    """
    if not 0.0 < test_fraction < 1.0:
        raise ValueError(f"the test fraction must be above 0 and below 1, got {test_fraction!r}")
    cells = table.column(target)
    groups: dict[str, list[int]] = {}
    for row, cell in enumerate(cells):
        groups.setdefault("" if is_number(cell) else cell, []).append(row)
    generator = random.Random(seed)
    training: list[int] = []
    held_out: list[int] = []
    rest = 0.0  # the rounding error carries over to the next class, so that the sizes of the parts come out right
    for rows in groups.values():
        generator.shuffle(rows)
        wanted = test_fraction * len(rows) + rest
        count = min(max(round(wanted), 0), len(rows) - 1)
        rest = max(-0.5, min(wanted - count, 0.5))
        held_out += rows[:count]
        training += rows[count:]
    if len(set(cells)) == len(cells) > 1 and list(groups) != [""]:
        raise ValueError(_nothing_repeats(table, target, test_fraction))
    if not held_out:
        raise ValueError(
            f"a test fraction of {test_fraction!r} holds out none of {table.name}'s {counted(len(cells), 'row')}: "
            "use a larger fraction or more rows (at least one row, or one of each class, stays for training)"
        )
    return sorted(training), sorted(held_out)


def _nothing_repeats(table: Table, target: str, test_fraction: float) -> str:
    """The error for a target of text that is different in every row."""
    cells = table.column(target)
    message = (
        f"{quoted(target)} is text that differs from row to row: {len(cells):,} different values in {len(cells):,} "
        f"rows of {table.name}. A class is learned from several rows (a test fraction of {test_fraction!r} holds out "
        "none): choose a --target that repeats"
    )
    texts = [(line, cell) for line, cell in zip(table.lines, cells) if not is_number(cell)]
    if len(texts) > len(cells) / 2:
        return message
    line, cell = texts[0]
    return f"{message}, or, if it should hold numbers, correct line {line}: {quoted(cell)}"

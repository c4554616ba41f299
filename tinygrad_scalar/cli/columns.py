"""How the columns of a table become a network's inputs: a number standardised, a category one input for each value.

Numbers are standardised, (x − mean)/deviation, with the mean and deviation of the training rows alone. A category is
one-hot: 1 in the input of its own text, 0 in the others; one that the training rows do not have is 0 in all of them.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinygrad_scalar.datasets import Table, is_missing
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.screen import counted, quoted

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass
class Scale:
    """x ↦ (x − mean)/deviation, and back."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Scale:
        """The scale that gives `numbers` mean 0 and deviation 1; equal numbers all become 0."""
        return cls(statistics.fmean(numbers), statistics.pstdev(numbers) or 1.0)

    @classmethod
    def of_fields(cls, fields: Any) -> Scale:
        """The scale with these fields; ValueError unless they are finite numbers and the deviation is positive."""
        if not isinstance(fields, dict) or sorted(fields) != ["deviation", "mean"]:
            raise ValueError(f"a scale must have a mean and a deviation, got {shown(fields)}")
        mean, deviation = fields["mean"], fields["deviation"]
        if not _is_finite(mean) or not _is_finite(deviation) or deviation <= 0.0:
            raise ValueError(f"a scale's mean must be a finite number and its deviation a positive one, got {fields}")
        return cls(mean, deviation)

    def apply(self, x: float) -> float:
        return (x - self.mean) / self.deviation

    def undo(self, x: float) -> float:
        return x * self.deviation + self.mean


def _is_finite(number: Any) -> bool:
    return isinstance(number, float) and math.isfinite(number)


@dataclass
class NumberColumn:
    """A column of numbers: its scale, and whether a second input says that the cell is missing."""

    name: str
    scale: Scale
    flagged: bool = False

    @property
    def width(self) -> int:
        return 1 + self.flagged

    def inputs(self, table: Table, missing: str | None, unknown: str) -> NDArray[Any]:
        """The inputs of every row, shape (m, width); a missing cell is the mean unless `missing` is None."""
        import numpy as np

        lacking = np.array([is_missing(cell) for cell in cells_of(table, self.name)], bool)
        rows = np.arange(len(table.rows)) if missing is None else np.flatnonzero(~lacking)
        result = np.zeros((len(table.rows), self.width))
        result[rows, 0] = standardised(table.select(rows.tolist()), self.name, self.scale)
        if self.flagged:
            result[:, 1] = lacking
        return result


@dataclass
class CategoryColumn:
    """A column of categories, the most frequent of the training rows first; "" is that of missing cells."""

    name: str
    categories: list[str]

    @property
    def width(self) -> int:
        return len(self.categories)

    def inputs(self, table: Table, missing: str | None, unknown: str) -> NDArray[Any]:
        """The inputs of every row, shape (m, width); ValueError for an unknown category, unless `unknown` is "other".

        A missing cell is the category "" if there is one and `missing` is "category", else the most frequent one.
        """
        import numpy as np

        result = np.zeros((len(table.rows), self.width))
        index = {category: i for i, category in enumerate(self.categories)}
        most_frequent = next(category for category in self.categories if category)
        strange = []
        for row, cell in enumerate(table.column(self.name) if missing is None else cells_of(table, self.name)):
            if is_missing(cell):
                cell = "" if missing == "category" and "" in index else most_frequent
            if (place := index.get(cell)) is None:
                strange.append(row)
            else:
                result[row, place] = 1.0
        if strange and unknown == "error":
            row = strange[0]
            more = f" (nor are those of {counted(len(strange) - 1, 'other row')})" if len(strange) > 1 else ""
            raise ValueError(
                f"{table.name}, line {table.lines[row]}: {quoted(cells_of(table, self.name)[row])} in column "
                f"{quoted(self.name)} is none of the {len(index):,} "
                f"categories that the model was trained on{more}; --unknown other predicts as for none of them"
            )
        return result


Column = NumberColumn | CategoryColumn


def cells_of(table: Table, name: str) -> list[str]:
    """The cells of a column, the missing ones too."""
    position = table.position(name)
    return [row[position] for row in table.rows]


def standardised(table: Table, column: str, scale: Scale) -> list[float]:
    """The numbers of a column, standardised; ValueError, naming the line, where the result is beyond float64."""
    numbers = table.numbers(column)
    results = [scale.apply(number) for number in numbers]
    for line, number, result in zip(table.lines, numbers, results):
        if not math.isfinite(result):
            raise ValueError(
                f"{table.name}, line {line}: {number!r} in column {quoted(column)} is too far from the mean of the "
                f"training rows, {scale.mean:.4g} ± {scale.deviation:.4g}, to be standardised"
            )
    return results

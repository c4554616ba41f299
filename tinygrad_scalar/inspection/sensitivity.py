"""`sensitivity`: which weights contributed the most (002, Intuition): the leaves of a graph, ranked by their gradient.

For every leaf θ of the graph of C: the gradient ∂C/∂θ, how far C moves for a small nudge of θ (002, Computing Relevant
Derivatives), and the contribution θ·∂C/∂θ, how far it would move, to first order, if θ were removed.
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tinygrad_scalar.atomic_write import write_atomically
from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.inspection.layout import WIDTH, aligned, as_html, fitted
from tinygrad_scalar.inspection.named_graph import NamedGraph
from tinygrad_scalar.inspection.names import caller_variables
from tinygrad_scalar.inspection.notation import unicode_of, written
from tinygrad_scalar.screen import for_stdout

COLUMNS = ("gradient", "contribution")  # the columns to sort by
LINES = 20  # rows of a printed table: as many as fit a screen
BAR = 15  # characters of the longest bar


class Row(NamedTuple):
    """A leaf θ: its name, its data, ∂C/∂θ, and the contribution θ·∂C/∂θ."""

    name: str
    data: float
    gradient: float
    contribution: float


class Sensitivity:
    """The result of `sensitivity`: `.rows`, one for each leaf, the largest |gradient| first. Prints as a table.

    Iterating gives the rows, len() their number. nan comes first, and values that are not finite are marked. Jupyter
    shows the table as HTML.
    """

    def __init__(self, name: str, data: float, rows: Sequence[Row], leaves: str, column: str = "gradient") -> None:
        self.name, self.data, self._given, self._leaves, self._column = name, data, rows, leaves, column
        self.rows = tuple(sorted(rows, key=lambda row: _largest_first(getattr(row, column))))

    def by(self, column: str) -> Sensitivity:
        """The same, sorted by |gradient| or by |contribution|; a ValueError for any other column.

        >>> w, x = Value(3.0, "w"), Value(4.0, "x")
        >>> [row.name for row in sensitivity(w * x + x).by("contribution")]
        ['x', 'w']
        """
        if column not in COLUMNS:
            raise ValueError(f"the column must be {' or '.join(COLUMNS)}, got {shown(column)}")
        return Sensitivity(self.name, self.data, self._given, self._leaves, column)

    def to_csv(self, path: str | os.PathLike[str] | None = None) -> str | None:
        """All rows as CSV, with every digit: returned as text, or written to the file `path` atomically.

        OSError if the file cannot be written.

        >>> print(sensitivity(Value(3.0, "w") * 2).to_csv(), end="")
        name,data,gradient,contribution
        w,3.0,2.0,6.0
        """
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([Row._fields, *self.rows])
        if path is None:
            return text.getvalue()
        write_atomically(path, text.getvalue().encode())
        return None

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        return for_stdout("\n".join([fitted(self._heading, WIDTH), *aligned(self._cells()), *self._rest]))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return as_html(self._heading, self._cells(), self._rest)

    @property
    def _heading(self) -> str:
        known = "" if self._symbol == self.name else f"{self._symbol} = "
        return f"{known}{self.name} = {written(self.data + 0.0, '.4g')}: its {self._leaves} by |{self._column}|"

    @property
    def _symbol(self) -> str:
        """The root's name in the columns' heads, which have room for five letters."""
        return self.name if len(self.name) <= 5 and not set(self.name) & set(" ·/()") else "C"

    @property
    def _rest(self) -> list[str]:
        return [f"… and {len(self) - LINES:,} more"] if len(self) > LINES else []

    def _cells(self) -> list[list[str]]:
        """The table's cells: the head, then the first rows, each with its bar."""
        sizes = [abs(getattr(row, self._column)) for row in self.rows]
        largest = max((size for size in sizes if math.isfinite(size)), default=0.0)
        cells = [["leaf θ", "data", f"∂{self._symbol}/∂θ", f"θ·∂{self._symbol}/∂θ", ""]]
        for row, size in zip(self.rows[:LINES], sizes):
            numbers = [written(value + 0.0, ".4g") for value in row[1:]]  # no −0 in tables
            cells.append([unicode_of(row.name), *numbers, _bar(size, largest)])
        return cells


def _largest_first(number: float) -> tuple[bool, float]:
    return (number == number, -abs(number))


def _bar(size: float, largest: float) -> str:
    """A size as a bar, relative to the largest finite one."""
    if not math.isfinite(size):
        return f"← {size}"
    return "▇" * round(BAR * (size / largest)) or "▏" if size else ""  # BAR * size could overflow


def leaf_rows(graph: NamedGraph) -> dict[Value, Row]:
    """A row for each leaf."""
    gradients = graph.gradients
    return {
        leaf: Row(graph.notation.plain(leaf), leaf.data, gradients[leaf], leaf.data * gradients[leaf])
        for leaf in graph.leaves
    }


def sensitivity(root: Value, *leaves: Value | str, names: Mapping[str, object] | None = None) -> Sensitivity:
    """How much each leaf θ of the graph of `root`, C, matters, ranked by |∂C/∂θ|, or with .by("contribution").

    leaves  the leaves to rank, or their names, such as *net.parameters(); by default all with a name; if none has
            one, all but the bare numbers of a formula, such as the 2 of 2 * x
    names   names for values without a label, such as {"w": w}; None: the variables of the calling code

    ∂C/∂θ says which weights to turn (002); −θ·∂C/∂θ is the first-order estimate of C(θ = 0) − C, the change in C
    if θ were pruned (Molchanov et al. 2017, arXiv:1611.06440). No .grad is read or changed. TypeError or ValueError if
    `root` is not a computed Value, or one of `leaves` is neither a leaf of its graph nor the name of one;
    StaleGraphError if the graph is stale.

    >>> w, a, b = Value(0.5, "w(1)[0,0]"), Value(4.0, "a(0)[0]"), Value(-1.0, "b(1)[0]")
    >>> z = w * a + b
    >>> print(sensitivity(z))  # doctest: +NORMALIZE_WHITESPACE
    z = 1: its 3 leaves by |gradient|
    leaf θ         data        ∂z/∂θ      θ·∂z/∂θ
    w⁽¹⁾₀₀          0.5            4            2  ▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇
    b⁽¹⁾₀            −1            1           −1  ▇▇▇▇
    a⁽⁰⁾₀             4          0.5            2  ▇▇
    """
    graph = NamedGraph(root, "sensitivity", caller_variables() if names is None else names)
    chosen = graph.chosen(leaves)
    rows = leaf_rows(graph)
    counted = f"{len(chosen):,} chosen leaves (of {len(graph.leaves):,})" if chosen else graph.leaves_counted
    ranked = [rows[leaf] for leaf in chosen or graph.named_leaves]
    return Sensitivity(graph.notation.name(root), root.data, ranked, counted)

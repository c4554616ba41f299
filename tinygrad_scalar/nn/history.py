"""`History`: the costs of a training run, as a curve and in a line."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tinygrad_scalar.atomic_write import write_atomically
from tinygrad_scalar.charts.lines import line_chart
from tinygrad_scalar.charts.text import xml_text
from tinygrad_scalar.screen import for_stdout

if TYPE_CHECKING:
    from tinygrad_scalar.charts.plot import Plot


@dataclass
class History:
    """The course of training: entry e of each list belongs to epoch e + 1. Jupyter shows it as a curve.

    cost             mean loss over the epoch's training examples, each as it was before its batch's step
    validation_cost  mean loss over the validation examples after the epoch; empty if there were none
    metrics          {name: list}: the metrics after each epoch
    best_epoch       the epoch, from 1, to whose parameters early stopping went back; None without it
    stopped          why training ended before its last epoch: "early" (a callback or early stopping), "interrupted"
                     (Ctrl-C), or "" if it did not
    """

    cost: list[float] = field(default_factory=list)
    validation_cost: list[float] = field(default_factory=list)
    metrics: dict[str, list[float]] = field(default_factory=dict)
    best_epoch: int | None = None
    stopped: str = ""

    def __repr__(self) -> str:
        if not self.cost:
            return "History(no epochs)"
        parts = [f"{len(self.cost)} epochs", f"cost {self.cost[0]:.4g} → {self.cost[-1]:.4g}"]
        curves = {"validation": self.validation_cost, **self.metrics}
        parts += [f"{name} {course[0]:.4g} → {course[-1]:.4g}" for name, course in curves.items() if course]
        parts += [f"best epoch {self.best_epoch}"] * (self.best_epoch is not None)
        parts += [self.stopped if self.stopped == "interrupted" else "stopped early"] * bool(self.stopped)
        return for_stdout(f"History({', '.join(parts)})")

    @property
    def columns(self) -> dict[str, list[float]]:
        """All numbers by name, one list each: epoch, cost, validation_cost and the metrics, where there are any."""
        columns = {"epoch": [float(i + 1) for i in range(len(self.cost))], "cost": self.cost}
        return {
            **columns,
            **({"validation_cost": self.validation_cost} if self.validation_cost else {}),
            **self.metrics,
        }

    def end_epoch(self, cost: float, validation_cost: float | None, metrics: Mapping[str, float]) -> None:
        """Add an epoch's numbers; validation_cost is None without validation."""
        self.cost.append(cost)
        if validation_cost is not None:
            self.validation_cost.append(validation_cost)
        for name, number in metrics.items():
            self.metrics.setdefault(name, []).append(number)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the columns as a CSV file, one row an epoch, atomically and with all digits.

        >>> import tempfile, pathlib
        >>> file = pathlib.Path(tempfile.mkdtemp(), "history.csv")
        >>> History([1.0, 0.5], metrics={"accuracy": [0.25, 0.75]}).to_csv(file)
        >>> print(file.read_text())
        epoch,cost,accuracy
        1,1.0,0.25
        2,0.5,0.75
        <BLANKLINE>
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        columns = self.columns
        writer.writerow(columns)
        writer.writerows([int(epoch), *numbers] for epoch, *numbers in zip(*columns.values()))
        write_atomically(path, text.getvalue().encode())

    def plot(self, *, log: bool = False, title: str = "Cost") -> Plot:
        """The cost over the epochs, and the validation cost if there was one, as an SVG picture.

        With `log` the cost's axis is logarithmic. A cost that cannot be drawn (nan, infinite; with `log`, 0 or less)
        leaves a gap, and the picture says how many there are. ValueError if none can be drawn.

        >>> History(cost=[1.0, 0.5, 0.25]).plot(log=True).svg[:4]
        '<svg'
        """
        if not self.cost:
            raise ValueError("the history has no epochs to plot")
        curves = {"training": self.cost, **({"validation": self.validation_cost} if self.validation_cost else {})}
        costs = [cost for curve in curves.values() for cost in curve if math.isfinite(cost)]
        if not costs:
            raise ValueError("cannot plot the history: none of its costs is finite")
        if log and max(costs) <= 0.0:
            raise ValueError("a logarithmic axis needs a positive cost, and none is; plot(log=False) has a linear one")
        return line_chart(title, "epoch", curves, log)

    def _repr_svg_(self) -> str | None:
        return self.plot().svg if any(map(math.isfinite, [*self.cost, *self.validation_cost])) and self.cost else None

    def _repr_html_(self) -> str:
        """The curve, and a line of the last epoch's numbers."""
        return f"{self._repr_svg_() or ''}<p>{xml_text(repr(self))}</p>"

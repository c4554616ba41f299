"""`History`: the costs of a training run, as a curve and in a line."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tinygrad_scalar.charts.lines import line_chart
from tinygrad_scalar.screen import for_stdout

if TYPE_CHECKING:
    from tinygrad_scalar.charts.plot import Plot


@dataclass
class History:
    """The course of training: entry e of each list belongs to epoch e. Jupyter shows it as a curve.

    cost             mean loss over the epoch's training examples, each as it was before its batch's step
    validation_cost  mean loss over the validation examples after the epoch; empty if there were none
    """

    cost: list[float] = field(default_factory=list)
    validation_cost: list[float] = field(default_factory=list)

    def __repr__(self) -> str:
        if not self.cost:
            return "History(no epochs)"
        return for_stdout(f"History({len(self.cost)} epochs, cost {self.cost[0]:.4g} → {self.cost[-1]:.4g})")

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

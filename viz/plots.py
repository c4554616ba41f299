"""`plot_cost`: the cost over the epochs of a training run, as an SVG line chart."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tinygrad_scalar.atomic_write import write_atomically
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.inspection.notation import written
from tinygrad_scalar.nn.training import History
from tinygrad_scalar.viz.text import xml_text

WIDTH, HEIGHT = 640, 360  # of the picture, in pixels
LEFT, RIGHT, TOP, BOTTOM = 70, 24, 40, 48  # margins around the plot


class Plot:
    """An SVG picture: `.svg` is its text, `.save(path)` writes it. Jupyter displays it."""

    def __init__(self, svg: str) -> None:
        self.svg = svg

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture atomically to a file whose name ends in .svg."""
        if not str(path).lower().endswith(".svg"):
            raise ValueError(f"a plot's file must end in .svg, got {shown(str(path))}")
        write_atomically(path, self.svg.encode())

    def _repr_svg_(self) -> str:
        return self.svg


def plot_cost(history: History, title: str = "Cost") -> Plot:
    """The cost over the epochs, and the validation cost if there was one.

    >>> plot_cost(History(cost=[1.0, 0.5, 0.25])).svg[:4]
    '<svg'
    """
    if not history.cost:
        raise ValueError("the history has no epochs to plot")
    if not all(map(math.isfinite, [*history.cost, *history.validation_cost])):
        raise ValueError("cannot plot the history: some of its costs are not finite")
    curves = [("training", history.cost, "")]
    if history.validation_cost:
        curves.append(("validation", history.validation_cost, "6 4"))
    highest = max(max(costs) for _, costs, _ in curves)
    lowest = min(0.0, *(min(costs) for _, costs, _ in curves))
    ticks = _ticks(lowest, highest)
    frame = _Frame(len(history.cost), lowest, max(highest, ticks[-1]))
    parts = [f'<text class="title" x="{LEFT}" y="24">{xml_text(title)}</text>', *frame.axes(ticks)]
    for i, (name, costs, dashes) in enumerate(curves):
        legend = WIDTH - RIGHT - 110 * (len(curves) - i)
        parts += frame.curve(costs, i, dashes)
        parts.append(
            f'<path class="curve{i}" stroke-dasharray="{dashes}" d="M{legend} 20h24"/>'
            f'<text x="{legend + 30}" y="24">{name}</text>'
        )
    return Plot(_PAGE.format(title=xml_text(title), content="\n".join(parts)))


class _Frame(NamedTuple):
    """The plot's area: `epochs` from left to right, costs from `lowest` up to `top`."""

    epochs: int
    lowest: float
    top: float

    def x(self, epoch: float) -> float:
        return LEFT + (epoch - 1.0) / max(1, self.epochs - 1) * (WIDTH - LEFT - RIGHT)

    def y(self, cost: float) -> float:
        half = self.lowest / 2  # halves, for costs near the largest float
        share = (cost / 2 - half) / ((self.top / 2 - half) or 1.0)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def axes(self, cost_ticks: Sequence[float]) -> Iterator[str]:
        """A grid line and a number for each tick."""
        for tick in cost_ticks:
            yield f'<path class="grid" d="M{LEFT} {self.y(tick):.1f}H{WIDTH - RIGHT}"/>'
            yield f'<text x="{LEFT - 8}" y="{self.y(tick) + 4:.1f}" text-anchor="end">{written(tick, ".12g")}</text>'
        for tick in _ticks(1.0, float(self.epochs)):
            if tick >= 1.0 and tick.is_integer():
                yield f'<text x="{self.x(tick):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{tick:g}</text>'
        yield f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">epoch</text>'

    def curve(self, costs: Sequence[float], i: int, dashes: str) -> Iterator[str]:
        """The i-th curve; one epoch is a dot."""
        points = " ".join(f"{self.x(epoch):.1f},{self.y(cost):.1f}" for epoch, cost in enumerate(costs, start=1))
        yield f'<polyline class="curve{i}" stroke-dasharray="{dashes}" points="{points}"/>'
        if len(costs) == 1:
            yield f'<circle class="dot{i}" cx="{self.x(1):.1f}" cy="{self.y(costs[0]):.1f}" r="3"/>'


def _ticks(lowest: float, highest: float) -> Sequence[float]:
    """Four to nine round numbers (1, 2 or 5 times a power of ten apart) from `lowest` to `highest`."""
    eighth = (highest / 8 - lowest / 8) or abs(highest) / 8 or 0.125
    magnitude = 10.0 ** math.floor(math.log10(max(eighth, sys.float_info.min)))
    step = next(
        factor * magnitude for factor in (1.0, 2.0, 5.0, 10.0) if factor == 10.0 or factor * magnitude >= eighth
    )
    first, last = math.ceil(lowest / step - 1e-9), math.floor(highest / step + 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, max(last, first) + 1)]


_PAGE = f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" \
role="img" aria-label="{{title}}" font-family="Helvetica, Arial, sans-serif" font-size="12">
<title>{{title}}</title>
<style>
  rect {{{{ fill: #ffffff }}}} text {{{{ fill: #3f3f46 }}}} .title {{{{ font-size: 15px; font-weight: bold }}}}
  .grid {{{{ stroke: #e4e4e7 }}}} polyline, path {{{{ fill: none; stroke-width: 1 }}}}
  .curve0 {{{{ stroke: #0b63a5; stroke-width: 2 }}}} .curve1 {{{{ stroke: #9a5b00; stroke-width: 2 }}}}
  .dot0 {{{{ fill: #0b63a5 }}}} .dot1 {{{{ fill: #9a5b00 }}}}
  @media (prefers-color-scheme: dark) {{{{
    rect {{{{ fill: #18181b }}}} text {{{{ fill: #d4d4d8 }}}} .grid {{{{ stroke: #3f3f46 }}}}
    .curve0 {{{{ stroke: #5cb3f5 }}}} .curve1 {{{{ stroke: #e0a44a }}}}
    .dot0 {{{{ fill: #5cb3f5 }}}} .dot1 {{{{ fill: #e0a44a }}}}
  }}}}
</style>
<rect width="100%" height="100%"/>
{{content}}
</svg>
"""

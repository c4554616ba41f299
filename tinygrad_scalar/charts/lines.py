"""`line_chart`: curves over counted steps, such as costs over epochs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from tinygrad_scalar.charts.axis import Axis, beyond, round_numbers, tick_text
from tinygrad_scalar.charts.plot import HEIGHT, WIDTH, Plot, plot_of
from tinygrad_scalar.charts.text import heading, xml_text

LEFT, RIGHT, TOP, BOTTOM = 70, 24, 40, 48  # margins around the curves, in pixels
DASHES = ("", "6 4", "2 3", "9 3 2 3")  # of the curves, so that they differ by more than colour
COLUMNS = 1000  # more points than this are drawn as the highest and the lowest of each column


def line_chart(title: str, x_label: str, curves: Mapping[str, Sequence[float]], log: bool = False) -> Plot:
    """Up to four curves by their names; entry i of each stands at x = i + 1. At least one number must be finite.

    Numbers that are not finite (with `log`, not positive) leave a gap; beside the curve's name stands how many.

    >>> line_chart("Cost", "epoch", {"training": [1.0, 0.5, 0.25]}).svg.count("<polyline")
    1
    """
    shown = [number for numbers in curves.values() for number in numbers if _can_stand(number, log)]
    lowest, highest = min(shown), max(shown)
    if not log:
        lowest = min(0.0, lowest)
        highest = max(highest, round_numbers(lowest, highest)[-1])
    y = Axis(lowest, highest, HEIGHT - BOTTOM, TOP, log)
    x = Axis(1.0, float(max(map(len, curves.values()))), LEFT, WIDTH - RIGHT)
    labels = [_label(name, numbers, log) for name, numbers in curves.items()]
    legend = WIDTH - RIGHT - sum(map(_label_width, labels))
    parts = [heading(title, LEFT, legend - LEFT - 12), *_grid(x, y, x_label)]
    for i, (label, numbers) in enumerate(zip(labels, curves.values())):
        parts += _curve(numbers, i, x, y)
        parts.append(
            f'<path class="curve{i}" stroke-dasharray="{DASHES[i]}" d="M{legend} 20h24"/>'
            f'<text x="{legend + 30}" y="24">{label}</text>'
        )
        legend += _label_width(label)
    return plot_of(title, parts, left=beyond(y, LEFT))


def _can_stand(number: float, log: bool) -> bool:
    return math.isfinite(number) and (not log or number > 0.0)


def _label(name: str, numbers: Sequence[float], log: bool) -> str:
    missing = sum(not _can_stand(number, log) for number in numbers)
    return xml_text(name) + (f", ⚠ {missing} not shown" if missing else "")


def _label_width(label: str) -> int:
    return 40 + 7 * len(label)


def _grid(x: Axis, y: Axis, x_label: str) -> Iterator[str]:
    """A line and a number for each tick of y, a number for each whole tick of x."""
    for tick in y.ticks():
        yield f'<path class="grid" d="M{LEFT} {y.at(tick):.1f}H{WIDTH - RIGHT}"/>'
        yield f'<text x="{LEFT - 8}" y="{y.at(tick) + 4:.1f}" text-anchor="end">{tick_text(tick)}</text>'
    for tick in x.ticks():
        if tick >= 1.0 and tick.is_integer():
            yield f'<text x="{x.at(tick):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{tick:g}</text>'
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield f'<text x="{middle}" y="{HEIGHT - 10}" text-anchor="middle">{xml_text(x_label)}</text>'


def _curve(numbers: Sequence[float], i: int, x: Axis, y: Axis) -> Iterator[str]:
    """The i-th curve: a line for each run of numbers that can stand, a dot for one that stands alone."""
    for run in _runs(numbers, y.log):
        points = [(x.at(place), y.at(number)) for place, number in run]
        text = " ".join(f"{across:.1f},{up:.1f}" for across, up in points)
        yield f'<polyline class="curve{i}" stroke-dasharray="{DASHES[i]}" points="{text}"/>'
        if len(points) == 1:
            yield f'<circle class="dot{i}" cx="{points[0][0]:.1f}" cy="{points[0][1]:.1f}" r="3"/>'


def _runs(numbers: Sequence[float], log: bool) -> Iterator[list[tuple[float, float]]]:
    """(x, y) of the numbers between gaps; of many, those that stand out in their column."""
    run: list[tuple[float, float]] = []
    width = -(-len(numbers) // COLUMNS)
    for first in range(0, len(numbers), width):
        column = list(enumerate(numbers[first : first + width], first + 1))
        if width > 1 and all(_can_stand(number, log) for _, number in column):
            column = sorted({min(column, key=lambda point: point[1]), max(column, key=lambda point: point[1])})
        for place, number in column:
            if _can_stand(number, log):
                run.append((float(place), number))
            elif run:
                yield run
                run = []
    if run:
        yield run

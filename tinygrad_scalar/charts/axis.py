"""`Axis`: where a number stands on a linear or logarithmic axis, and round numbers to mark it with."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from tinygrad_scalar.charts.text import WIDTH
from tinygrad_scalar.inspection.notation import written


class Axis(NamedTuple):
    """Numbers from `lowest` to `highest` between the pixels `start` and `end`; with `log`, both must be positive.

    >>> axis = Axis(1.0, 1000.0, 0, 300, log=True)
    >>> [round(axis.at(tick), 6) for tick in axis.ticks()]
    [0.0, 100.0, 200.0, 300.0]
    """

    lowest: float
    highest: float
    start: float
    end: float
    log: bool = False

    def at(self, number: float) -> float:
        """The pixel at which a number stands; the middle if the axis has a single number."""
        low, high, number = (math.log(n) for n in (self.lowest, self.highest, number)) if self.log else (
            self.lowest / 2, self.highest / 2, number / 2  # halves, for numbers near the largest float
        )  # fmt: skip
        share = (number - low) / ((high - low) or 1.0)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> Sequence[float]:
        """Round numbers on the axis, from the lowest to the highest."""
        return _powers(self.lowest, self.highest) if self.log else round_numbers(self.lowest, self.highest)


def tick_text(tick: float) -> str:
    """A tick's number as a picture shows it."""
    return written(tick, ".12g")


def beyond(axis: Axis, margin: float) -> int:
    """How many pixels the numbers beside an upright axis take beyond its margin."""
    longest = max(len(tick_text(tick)) for tick in axis.ticks())
    return max(0, math.ceil(longest * WIDTH + 12 - margin))


def across(axis: Axis, written_as: str = ".12g") -> Iterator[tuple[float, str]]:
    """The ticks of a level axis, each with its text; where texts would touch, every second is left out, or more."""
    texts = [(tick, written(tick, written_as)) for tick in axis.ticks()]
    room = max((len(text) for _, text in texts), default=0) * WIDTH * 0.85 + 8
    places = [axis.at(tick) for tick, _ in texts]
    nearest = min((abs(b - a) for a, b in pairwise(places)), default=room)
    yield from texts[:: max(1, math.ceil(room / max(nearest, 1.0)))]


def round_numbers(lowest: float, highest: float) -> Sequence[float]:
    """Four to nine round numbers (1, 2 or 5 times a power of ten apart) from `lowest` to `highest`."""
    eighth = (highest / 8 - lowest / 8) or abs(highest) / 8 or 0.125
    magnitude = 10.0 ** math.floor(math.log10(max(eighth, sys.float_info.min)))
    step = next(
        factor * magnitude for factor in (1.0, 2.0, 5.0, 10.0) if factor == 10.0 or factor * magnitude >= eighth
    )
    first, last = math.ceil(lowest / step - 1e-9), math.floor(highest / step + 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, max(last, first) + 1)]


def _powers(lowest: float, highest: float) -> Sequence[float]:
    """At most nine powers of ten in the range; where there are fewer than three, their doubles and fives as well."""
    first, last = math.floor(math.log10(lowest)), math.ceil(math.log10(highest))
    apart = -(-(last - first + 1) // 9)
    powers = [float(f"1e{k}") for k in range(first, last + 1, apart)]
    for factors in ((1,), (1, 2, 5)):
        ticks = _within(lowest, highest, [factor * power for power in powers for factor in factors])
        if len(ticks) >= 3:
            return ticks
    return _within(lowest, highest, round_numbers(lowest, highest)) or [lowest]


def _within(lowest: float, highest: float, ticks: Sequence[float]) -> list[float]:
    """The ticks from the lowest number to the highest, by nine digits; near the largest float some are infinite."""
    inside = [tick for tick in ticks if lowest <= tick * (1 + 1e-9) and tick <= highest * (1 + 1e-9)]
    return [float(f"{tick:.12g}") for tick in inside if 0.0 < tick < math.inf]

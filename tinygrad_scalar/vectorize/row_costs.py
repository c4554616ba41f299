"""How long the scalar program should take for the values and derivatives of each example, as `_rows.pxi` runs it.

The times are in times.py. How much slower an operation is than a simple one is what it is in the scalar program.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_scalar.vectorize.cost_model import ALONE, FEW, L2, LANES, beyond, kind_of, time_of
from tinygrad_scalar.vectorize.times import NS

if TYPE_CHECKING:
    from tinygrad_scalar.vectorize.scalar_program import ScalarProgram


KIND = "each by scalars"  # as in times.py


class RowCosts:
    """The work of a program for one example: its steps, those `passed` in all sweeps, and the derivatives it places.

    With `forwards` the sweeps are those of tangents.
    """

    def __init__(
        self, kinds: Sequence[tuple[str, int]], passed: int, derivatives: int, *, forwards: bool = False
    ) -> None:
        self.passed, self.derivatives = passed, derivatives
        self.sweeps = "tangents" if forwards else "passed"
        self.steps = sum(n for _, n in kinds)
        self.few, self.many = (sum(_slower(name, prefix) * n for name, n in kinds) for prefix in (ALONE, ""))

    def features(self, m: int) -> dict[str, float]:
        """How often a call for m examples does something of each kind."""
        prefix, slower, runs = (ALONE, self.few, m) if m < FEW else ("", self.many, LANES * -(-m // LANES))
        placed = float(m * self.derivatives)
        return {
            "calls": 1.0,
            f"{prefix}steps": float(runs * self.steps),
            f"{prefix}slower": runs * slower,
            f"{prefix}{self.sweeps}": float(runs * self.passed),
            f"{prefix}derivatives": placed,
            "beyond the cache": placed * beyond(L2, 8.0 * placed),
        }

    def __call__(self, m: int) -> float:
        """The time in ns for m examples."""
        return time_of(KIND, self.features(m))

    def reasons(self, m: int) -> str:
        return f"{self.passed:,} operations in all sweeps, {self.derivatives:,} derivatives of an example"


def kinds_of(program: ScalarProgram, codes: dict[str, int]) -> list[tuple[str, int]]:
    """The operations of a program's steps, and how many steps have each."""
    names = {code: name for name, code in codes.items()}
    kinds: list[tuple[str, int]] = []
    for code, n in enumerate(np.bincount(program.steps[:, 0]).tolist()):
        if n and names[code] == "**n":
            powers, counts = np.unique(program.numbers[program.steps[:, 0] == code], return_counts=True)
            kinds += [(f"**{power:g}", count) for power, count in zip(powers.tolist(), counts.tolist())]
        elif n:
            kinds.append((names[code], n))
    return kinds


def _slower(name: str, prefix: str) -> float:
    times, kind = NS["scalar"], "looked up" if name == "lookup" else kind_of(name)
    quick = times[f"{prefix}quick"]
    return max(0.0, times.get(f"{prefix}{kind}", quick) - quick)

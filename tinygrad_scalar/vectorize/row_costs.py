"""How long the scalar program should take for the values and derivatives of each example, as `_rows.pxi` runs it.

The times are in times.py.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_scalar.vectorize.cost_model import ALONE, FEW, LANES, cleared, kind_of, time_of

if TYPE_CHECKING:
    from tinygrad_scalar.vectorize.scalar_program import ScalarProgram


KIND = "each by scalars"  # as in times.py


class RowCosts:
    """The work of a program for one example: its steps, those `passed` in all sweeps, and the derivatives it places.

    With `forwards` the sweeps are those of tangents. Calls for up to `short` examples are those of `QuickRows`.
    Of each example `n_cleared` numbers are 0 before derivatives are placed among them.
    """

    def __init__(
        self,
        kinds: Sequence[tuple[str, int]],
        passed: int,
        derivatives: int,
        *,
        forwards: bool,
        short: float,
        n_cleared: int,
        reduces: bool,
    ) -> None:
        self.passed, self.derivatives, self.short, self.cleared = passed, derivatives, short, n_cleared
        self.reduces = reduces  # what all examples give to their sum or mean
        self.sweeps = "tangents" if forwards else "passed"
        self.steps = defaultdict[str, int](int)
        for name, n in kinds:
            self.steps["looked up" if name == "lookup" else kind_of(name)] += n

    def features(self, m: int) -> dict[str, float]:
        """How often a call for m examples does something of each kind."""
        prefix, runs = (ALONE, m) if m < FEW else ("", LANES * -(-m // LANES))
        placed = float(m * self.derivatives)
        found = {
            "short calls" if m <= self.short else "calls": 1.0,
            "reductions": float(self.reduces and 1 < m <= self.short),
            f"{prefix}{self.sweeps}": float(runs * self.passed),
            f"{prefix}derivatives": placed,
            **cleared(float(m * self.cleared)),
        }
        return found | {f"{prefix}{kind}": float(runs * n) for kind, n in self.steps.items()}

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

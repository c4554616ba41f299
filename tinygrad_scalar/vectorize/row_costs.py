"""How long the scalar program should take for the values and derivatives of each example, as `_rows.pxi` runs it.

The times are in ns, fitted to measurements of twelve programs. How much slower an operation is than a simple one comes
from times.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tinygrad_scalar.vectorize.cost_model import ALONE, FEW, L2, LANES, beyond, kind_of
from tinygrad_scalar.vectorize.times import NS

if TYPE_CHECKING:
    from tinygrad_scalar.vectorize.scalar_program import ScalarProgram


class Times(NamedTuple):
    """Of a call, a step, a slower one as in times.py, one in a sweep, a derivative, and more beyond the cache."""

    call: float
    step: float
    slower: float
    passed: float
    derivative: float
    beyond: float


ALONE_NS = Times(18_000.0, 1.8, 0.6, 6.3, 1.2, 2.4)
BLOCK_NS = Times(18_000.0, 0.8, 2.5, 1.2, 1.6, 2.4)


class RowCosts:
    """The work of a program for one example: its steps, those `passed` in all sweeps, and the derivatives it places."""

    def __init__(self, program: ScalarProgram, codes: dict[str, int], passed: int, derivatives: int) -> None:
        self.passed, self.derivatives = passed, derivatives
        names = {code: name for name, code in codes.items()}
        steps, numbers = np.unique(np.column_stack([program.steps[:, 0], program.numbers]), axis=0, return_counts=True)
        kinds = [(_name(names, int(code), number), n) for (code, number), n in zip(steps.tolist(), numbers.tolist())]
        self.few, self.many = (
            times.step * len(program.steps)
            + times.slower * sum(_slower(name, prefix) * n for name, n in kinds)
            + times.passed * passed
            for times, prefix in ((ALONE_NS, ALONE), (BLOCK_NS, ""))
        )

    def __call__(self, m: int) -> float:
        """The time in ns for m examples."""
        times, steps = (ALONE_NS, m * self.few) if m < FEW else (BLOCK_NS, LANES * -(-m // LANES) * self.many)
        placed = m * self.derivatives
        of_each = times.derivative + times.beyond * beyond(L2, 8.0 * placed)
        return float(times.call + steps + placed * of_each)

    def reasons(self, m: int) -> str:
        return f"{self.passed:,} operations in all sweeps, {self.derivatives:,} derivatives of an example"


def _name(names: dict[int, str], code: int, number: float) -> str:
    return f"**{number:g}" if names[code] == "**n" else names[code]


def _slower(name: str, prefix: str) -> float:
    times, kind = NS["scalar"], "looked up" if name == "lookup" else kind_of(name)
    quick = times[f"{prefix}quick"]
    return max(0.0, times.get(f"{prefix}{kind}", quick) - quick)

"""How long each way to run a program takes, to choose between them: what it does, times what one of that takes.

The times are those that `python benchmarks/cost_model.py` measured and fitted. They are not measured again where the
package runs, so that a program of the same shapes and the same number of examples chooses alike in every run and on
every machine.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tinygrad_scalar.vectorize.program import (
    ONLY_OF_ARRAYS,
    Distances,
    DistancesGradient,
    Elementwise,
    Fold,
    Gather,
    Lookup,
    LookupScatter,
    Product,
    Scatter,
    Shares,
    Slope,
)
from tinygrad_scalar.vectorize.times import NS

if TYPE_CHECKING:
    from tinygrad_scalar.vectorize.program import Program, Statement
    from tinygrad_scalar.vectorize.scalar_program import ScalarProgram

LANES = 16  # examples that the scalar program runs at once
FEW = 4  # with fewer examples it runs one after the other
CACHE = 1 << 20  # bytes of arrays that stay in the cache from one statement to the next

# Operations by how long they take. Any other power is one of "powers".
KINDS = {
    "quick": ("+", "-", "*", "neg", "**2"),
    "comparisons": ("maximum", "minimum", "greater", "greater_equal", "where", "relu", "leaky_relu", "abs"),
    "quotients": ("/", "sqrt", "**0.5"),
    "exponentials": ("exp", "expm1", "log", "log1p", "sigmoid", "tanh", "softplus", "binary cross-entropy"),
    "arctangents": ("asin", "acos", "atan"),
    "erf": ("erf",),
    "small powers": ("**-1", "**3"),
    "real powers": ("**",),
}
KIND = {name: kind for kind, names in KINDS.items() for name in names} | dict.fromkeys(ONLY_OF_ARRAYS, "quick")
AGAIN = ("statement", "product")  # what is done once in a block too
FEW_AT_ONCE, OF_A_BLOCK, BEYOND = (
    "alone ",
    " of a block",
    "beyond the cache",
)  # kinds that depend on the number of examples
THROUGH_MEMORY = ("quick", "comparisons", "quotients", "gathered", "scattered")


class Counts(NamedTuple):
    """How often a program does something of each kind: once in a call, and for each example.

    bytes  of the arrays that it makes for each example
    block  how many examples it runs at once, where it runs in blocks: its statements once for each
    """

    fixed: dict[str, float]
    each: dict[str, float]
    bytes: float = 0.0
    block: int = 0


def kind_of(op: str | Slope) -> str:
    """How long an operation takes; the slope of an exponential takes as long as a quotient."""
    name = op.op if isinstance(op, Slope) else op
    kind = KIND.get(name)
    if kind is None:
        if not name.startswith("**"):
            return "slow"
        kind = "powers" if float(name[2:]).is_integer() else "real powers"
    return "quotients" if kind == "exponentials" and isinstance(op, Slope) else kind


def array_counts(program: Program) -> Counts:
    """What the array program does."""
    fixed, each = defaultdict[str, float](float, call=1.0), defaultdict[str, float](float)
    size = 0.0
    for statement in (*program.forward, *program.backward):
        of_each = statement.out.batched or any(operand.batched for operand in statement.operands)
        fixed["product" if isinstance(statement, Product) else "statement"] += 1
        for what, number in _work(statement).items():
            (each if of_each else fixed)[what] += number
        size += 8.0 * statement.out.rows if statement.out.batched else 0.0
    return Counts(dict(fixed), dict(each), size)


def _work(s: Statement) -> dict[str, float]:
    if isinstance(s, Product):
        p, k, q = s.sizes
        products = float(s.blocks * p * k * q)
        if s.of_each_example:
            return {"example's products": products, "example's blocks": float(s.blocks)}
        return {"products": products, "rows of products": float(s.left.rows + s.right.rows + s.out.rows)}
    if isinstance(s, (Distances, DistancesGradient)):
        p, k, q = (s if isinstance(s, Distances) else s.distances).sizes
        return {"distances": float(p * k * q)}
    if isinstance(s, Elementwise):
        return {kind_of(s.op): float(s.out.rows)}
    if isinstance(s, (Gather, Lookup)):
        return {"gathered": float(s.out.rows)}
    if isinstance(s, (Scatter, LookupScatter)):
        return {"scattered": float(sum(operand.rows for operand in s.operands))}
    if isinstance(s, (Fold, Shares)):
        return {"folded": float(s.operands[0].rows)}
    return {"quick": float(s.operands[0].rows)}


def scalar_counts(program: ScalarProgram, codes: dict[str, int], orders: int, read: int) -> Counts:
    """What the scalar program does, whose operations have these codes, in `orders`; it reads `read` parameters."""
    each = defaultdict[str, float](float, orders=float(orders))
    found = np.bincount(program.steps[:, 0], minlength=1 + max(codes.values()))
    for name, code in codes.items():
        if not found[code]:
            continue
        if name == "**n":
            exponents, numbers = np.unique(program.numbers[program.steps[:, 0] == code], return_counts=True)
            for exponent, number in zip(exponents.tolist(), numbers.tolist()):
                each[kind_of(f"**{exponent:g}")] += number
        else:
            each["looked up" if name == "lookup" else kind_of(name)] += float(found[code])
    return Counts({"call": 1.0, "parameters": float(program.n_parameters), "parameters read": float(read)}, dict(each))


def features(kind: str, counts: Counts, m: int) -> dict[str, float]:
    """How often a call for m examples does something of each kind."""
    times, prefix = m, ""
    if kind == "scalar":
        times, prefix = (m, FEW_AT_ONCE) if m < FEW else (LANES * -(-m // LANES), "")
    found = defaultdict(float, counts.fixed)
    for what, number in counts.each.items():
        found[prefix + what] += number * times
    if kind == "blocks":
        for what in AGAIN:
            found[what + OF_A_BLOCK] = counts.fixed.get(what, 0.0) * _blocks(counts, m)
    if kind == "NumPy":
        found[BEYOND] = _rows(counts) * m * _beyond(counts.bytes * m)
    return found


def _blocks(counts: Counts, m: int) -> int:
    return -(-m // counts.block) if counts.block else 1


def _rows(counts: Counts) -> float:
    return sum(counts.each.get(what, 0.0) for what in THROUGH_MEMORY)


def _beyond(size: float) -> float:
    """The part of the arrays that the cache does not hold."""
    return max(0.0, 1.0 - CACHE / size) if size else 0.0


class Estimate:
    """The time of a way: for the call, for each example, each of a few, and each block."""

    def __init__(self, kind: str, counts: Counts) -> None:
        self.kind, self.counts = kind, counts
        self.call = self._sum(counts.fixed)
        self.each = self._sum(counts.each)
        self.few = self._sum({FEW_AT_ONCE + what: number for what, number in counts.each.items()})
        self.of_a_block = self._sum({what + OF_A_BLOCK: counts.fixed.get(what, 0.0) for what in AGAIN})
        self.beyond = self._sum({BEYOND: _rows(counts)})

    def _sum(self, found: dict[str, float]) -> float:
        times = NS[self.kind]
        return sum(times.get(what, 0.0) * number for what, number in found.items())

    def __call__(self, m: int) -> float:
        """The time in ns for m examples."""
        if self.kind == "scalar":
            return self.call + (self.few * m if m < FEW else self.each * (LANES * -(-m // LANES)))
        if self.kind == "blocks":
            return self.call + self.of_a_block * _blocks(self.counts, m) + self.each * m
        return self.call + m * (self.each + self.beyond * _beyond(self.counts.bytes * m))

    def reasons(self, m: int) -> str:
        """What takes most of that, such as "0.08 ms for 85 statement, 0.004 ms for 1,000 quick"."""
        times = NS[self.kind]
        found = features(self.kind, self.counts, m).items()
        parts = sorted((times.get(what, 0.0) * number, what, number) for what, number in found)
        return ", ".join(f"{1e-6 * ns:.3g} ms for {number:,.0f} {what}" for ns, what, number in parts[:-4:-1] if ns)

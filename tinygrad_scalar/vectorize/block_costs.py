"""The work of the native executor of array programs (_blocks.pyx), counted for cost_model.py."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tinygrad_scalar.vectorize.block_memory import BACKWARD, FORWARD
from tinygrad_scalar.vectorize.cost_model import KIND, L1, L2, VECTOR, beyond, fresh, kind_of

if TYPE_CHECKING:
    from tinygrad_scalar.vectorize.block_program import BlockProgram

TILE_NUMBERS = 1024  # of an array, that a group of instructions runs over at a time
FEW_FLOPS = 3_000  # a smaller product takes loops instead of BLAS
MODERATE = 4_000_000  # a larger one takes BLAS instead of tiles
MANY_TERMS = 100_000  # a larger matrix takes BLAS even times a vector

# Where an instruction is no element-wise operation: what its rows count as.
ROWS = {
    "gather": "gathered",
    "put": "scattered",
    "add": "scattered",
    "zero": "scattered",
    "lookup in tables": "looked up",
    "scatter by tables": "looked up",
    "shares": "shares",
    "over examples": "summed",
    "times examples": "quick",
}
SINGLE = {"gathered": "single gathered", "scattered": "single scattered"}  # numbers of one example, not rows
BY_ROWS = ("LR by rows", "LR to few", "TR by rows", "TR to few", "RT by left", "RT by right")


class Form(NamedTuple):
    """One product, or the distances of points: sizes, whether each example has its own, and as it was given."""

    name: str
    p: int
    k: int
    q: int
    of_each: bool
    bare: bool


class Part(NamedTuple):
    """Instructions that run together, once for each block or once in a call.

    tiled    how many instructions run over so many rows, a tile at a time; `others` run once
    loops    loops over the numbers of one row, where rows do not follow each other
    numbers  rows of each kind; `apart` those in such loops
    moved    rows that are read or written
    """

    others: int
    tiled: dict[int, int]
    loops: float
    numbers: dict[str, float]
    apart: dict[str, float]
    products: dict[Form, int]
    moved: float

    def add(self, found: dict[str, float], n: int, times: int) -> None:
        """Add what it does `times` times for n examples."""
        tile = max(1, TILE_NUMBERS // n)
        runs = self.others + sum(count * -(-rows // tile) for rows, count in self.tiled.items())
        found["instructions"] += runs * times
        if n > 1:
            found["rows apart"] += self.loops * times
        padded = n if n == 1 else -(-n // VECTOR) * VECTOR
        for what, number in self.numbers.items():
            found[what] += number * n * times
        for what, number in self.apart.items():
            found[SINGLE.get(what, what) if n == 1 else what] += number * padded * times
        for form, count in self.products.items():
            for what, number in _product(form, n).items():
                found[what] += number * count * times


class BlockCounts(NamedTuple):
    """The work of a program: outside of blocks, and in each block of at most `per_block` examples, of `rows` rows.

    Arguments of integers become floats in each call.
    """

    once: Part
    block: Part
    parameters: int
    integers: int
    rows: int
    per_block: int

    def features(self, m: int) -> dict[str, float]:
        blocks = -(-m // self.per_block)
        n = -(-m // blocks)
        found = defaultdict[str, float](float, calls=1.0, blocks=float(blocks))
        found["arguments of integers"] = float(self.integers)
        found["parameters"] = float(self.parameters if m > 1 else 0)  # divided by m
        found["fresh parameters"] = fresh(self.parameters)
        self.once.add(found, 1, 1)
        self.block.add(found, n, blocks)
        found["moved once beyond the cache"] = self.once.moved * beyond(L2 // 2, 8.0 * self.once.moved)
        size = 8.0 * self.rows * n
        found["beyond L1"] = self.block.moved * m * beyond(L1, size)
        found["beyond the cache"] = self.block.moved * m * beyond(L2, size)
        return found


def block_counts(program: BlockProgram, per_block: int, integers: int, native: Any) -> BlockCounts:
    """The counts of a program, with so many arguments of integers, for the executor of the module `native`."""
    names = {number: name for name, number in native.OPERATIONS.items()}
    bases = native.BASES
    batched = (bases["block"], bases["tile"])
    tiled = [0] * len(program.instructions)  # the rows of each instruction that goes by tiles
    for first, last, rows, goes_by_tiles in program.groups:
        if goes_by_tiles:
            tiled[first:last] = [rows] * (last - first)
    starts = [program.groups[g][0] if g < len(program.groups) else len(tiled) for g in program.parts]
    once, block = _Counted(), _Counted()
    instructions, numbers = program.instructions.tolist(), program.numbers.tolist()
    for i, (fields, number) in enumerate(zip(instructions, numbers)):
        part = block if starts[FORWARD] <= i < starts[BACKWARD + 1] else once
        part.count(names[fields[0]], fields, number, tiled[i], batched, bases["argument"])
        if names[fields[0]] == "scatter by tables":
            once.numbers["quick"] += fields[2]  # the table's gradients are 0 at first
    for width, place in program.arguments:
        block.numbers["copied"] += width if place >= 0 else 0
    for _, _, width, _ in program.input_gradients:
        block.numbers["copied"] += width
    return BlockCounts(once.part(), block.part(), program.n_parameters, integers, program.block_rows, per_block)


class _Counted:
    def __init__(self) -> None:
        self.others, self.tiled, self.loops, self.moved = 0, Counter[int](), 0.0, 0.0
        self.numbers, self.apart = defaultdict[str, float](float), defaultdict[str, float](float)
        self.products = Counter[Form]()

    def part(self) -> Part:
        return Part(
            self.others,
            dict(self.tiled),
            self.loops,
            dict(self.numbers),
            dict(self.apart),
            dict(self.products),
            self.moved,
        )

    def count(
        self, name: Any, fields: Sequence[int], number: float, tiled: int, batched: Sequence[int], argument: int
    ) -> None:
        """Count an instruction, whose fields are as in `Executor.__cinit__`."""
        _, n_operands, rows, p, k, q, table, blocks, *places = fields
        out, slope, operands = places[:4], places[4:8], [places[8 + 4 * i : 12 + 4 * i] for i in range(n_operands)]
        if tiled:
            self.tiled[tiled] += 1
        else:
            self.others += 1
        self.moved += out[2] + sum(operand[2] for operand in operands if operand[0] in batched)
        if k and name not in ROWS and not str(name).startswith("fold"):
            of_each = (out if name == "RT" else operands[0])[0] in batched
            bare = len(operands) > 1 and operands[1][0] == argument
            self.products[Form(name, p, k, q, of_each, bare)] += blocks
            return
        if str(name).startswith("fold"):
            self.numbers["folded"] += rows if p == 1 else p * k
            return
        if name in ROWS:
            together = table < 0 and name in ("put", "add", "zero", "times examples")
            if name in ("lookup in tables", "scatter by tables"):
                self.numbers[ROWS[name]] += p
                return
            self.loops += 0 if together else rows
            (self.numbers if together else self.apart)[ROWS[name]] += p * k if name == "shares" else rows
            return
        kind = _kind(name, number)
        passes = 2 if name == "logaddexp" else 1  # an exponential and a logarithm
        flat = rows == 1 or all(operand[2] == rows and operand[0] in batched for operand in operands)
        self.loops += 0 if flat else rows
        (self.numbers if flat else self.apart)[kind] += passes * rows
        if slope[2]:
            self.numbers["slopes"] += rows


def _kind(name: Any, number: float) -> str:
    """How long an element-wise instruction takes, as `kind_of`; a slope that is computed alone is (name, operand)."""
    if not isinstance(name, tuple):
        if name == "logaddexp":
            return "exponentials"
        return kind_of(f"**{number:g}" if name == "**n" else name)
    name, _ = name
    if name == "**n":
        return kind_of(f"**{number:g}")
    if name == "logaddexp":
        return "exponentials"
    return {"arctangents": "quotients", "slow": "quotients"}.get(KIND.get(name, "slow"), KIND.get(name, "slow"))


def _product(form: Form, n: int) -> dict[str, float]:
    """The work of a product for n examples at once."""
    p, k, q = form.p, form.k, form.q
    w = q * n
    padded = w if n == 1 else -(-w // VECTOR) * VECTOR
    if form.name == "distances":
        return {"distances": float(p * k * padded), "entries of distances": float(p * k)}
    if form.name.startswith("pull"):
        return {"gradients of distances": float(p * k * padded), "entries of distances": float(p * k)}
    if form.name in BY_ROWS:
        loops = float(p * k if form.name.startswith("RT") and n > 1 else min(p, k) if n == 1 else p)
        return {"products by rows": float(p * k * padded), "loops of products": loops}
    if form.of_each and n > 1:
        ends = p * q if form.name == "LR" else k * q if form.name == "TR" else p * k
        return {"example's products": float(p * k * padded), "example's entries": float(ends)}
    moved = float(p * k + (p + k) * w)
    if not form.bare and w >= VECTOR and p * k * w <= MODERATE:
        if form.name == "RT":
            return {"products by dots": float(p * k * padded), "dots": float(p * k), "moved for products": moved}
        return {"products by tiles": float(p * k * padded), "moved for products": moved}
    if w == 1 and p * k <= MANY_TERMS:
        return {"products with a vector": float(p * k), "loops of products": float(min(p, k))}
    if not form.bare and p * k * w <= FEW_FLOPS:
        return {"small products": float(p * k * w), "entries of small products": float(p * k)}
    return {"BLAS": 1.0, "products by BLAS": float(p * k * w), "moved for BLAS": moved}

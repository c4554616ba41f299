"""How long each way to run a program takes, to choose between them: what it does, times what one of that takes.

The times are those that `python benchmarks/cost_model.py` measured and fitted. They are not measured again where the
package runs, so that a program of the same shapes and the same number of examples chooses alike in every run and on
every machine. What is counted follows the executors: block_costs.py has it for _blocks.pyx. Times are those of one
thread: how many a large call may use makes no difference to the choice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from tinygrad_scalar.engine.ops import STEPS
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

WORDS = {  # for people
    "alone quick": "simple operations",
    "beyond the cache": "numbers beyond the cache",
    "copied": "copied numbers",
    "dots": "sums of products",
    "dots of a block": "sums of products",
    "chosen": "conditions",
    "folded": "terms of folds",
    "gathered": "gathered numbers",
    "long exponentials": "exponentials",
    "looked up": "lookups",
    "moved for BLAS": "numbers moved for BLAS",
    "moved for products": "numbers moved for products",
    "orders": "instructions",
    "quick": "simple operations",
    "scattered": "scattered numbers",
    "single gathered": "gathered numbers",
    "single scattered": "scattered numbers",
    "slow": "slow operations",
    "shifted": "steps of log-sum-exps",
    "terms apart passed back": "terms passed back",
    "terms of a block": "terms of sums",
    "terms of a block in tables": "terms of sums in tables",
    "terms of a block passed back": "terms passed back",
    "variable powers": "powers",
    "ties": "steps of extremes of lists",
    "vectorized alone": "exponentials",
}
LANES, FEWER_LANES = 16, 8  # examples that the scalar program runs at once: 16, or 8 or 4 if there are no more
FEW = 4  # with fewer examples it runs one after the other, or with a few more if a block is large: see _machine.pxi
VECTOR = 8  # numbers that a loop takes at once
L1, L2 = 40 << 10, 1 << 20  # bytes of arrays that stay in a cache from one operation to the next
MOST_KEPT = 32 << 20  # bytes of an array whose memory glibc may keep for the next one
FRESH = 1 << 14  # numbers of an array from which on it gets memory of its own

# Operations by how long they take. Any other power is one of "powers".
KINDS = {
    "quick": ("+", "-", "*", "neg", "**2", "copy"),
    "comparisons": (
        "maximum",
        "minimum",
        *(name for name in STEPS if name != "logsumexp of next"),
        "greater",
        "greater_equal",
        "where",
        "relu",
        "leaky_relu",
        "abs",
        "hardtanh",
    ),
    "quotients": ("/", "sqrt", "**0.5", "softsign"),
    "exponentials": (
        "exp",
        "expm1",
        "log",
        "log1p",
        "sigmoid",
        "tanh",
        "silu",
        "elu",
        "selu",
        "tan",
        "sinh",
        "cosh",
        "exp of difference",
    ),
    "long exponentials": (
        "softplus",
        "mish",
        "gelu",
        "normal cdf",
        "binary cross-entropy",
        "acosh",
        "sign",
        "floor",
        "ceil",
        "one minus square",
        "xlogy",
    ),
    "vectorized alone": (  # in the scalar program calls of the C library
        "sigmoid slope",
        "tanh slope",
        "σ of difference",
        "exp2",
        "log2",
        "log10",
        "asinh",
        "atanh",
    ),
    "arctangents": ("asin", "acos", "atan"),
    "erf": ("erf",),
    "ties": ("ties of max", "ties of min", "shared max", "shared min"),  # of ts.max and ts.min of a list
    "shifted": ("shifted first", "shifted last"),  # steps of a log-sum-exp
    "reciprocals": ("**-1",),
    "cubes": ("**3",),
    "variable powers": ("**",),
    "hypotenuses": ("hypot", "cosine", "atan2 slope"),
}
KIND = {name: kind for kind, names in KINDS.items() for name in names} | dict.fromkeys(ONLY_OF_ARRAYS, "quick")
EXPONENTIALS = ("exponentials", "long exponentials", "vectorized alone")
OF_STEPS = {*KINDS, "slow", "powers", "real powers", "terms of a block"}  # one for each step of each example in a block
ALONE = "alone "  # before what the scalar program does one by one
# What an array program in which nothing repeats should be, for each step of the scalar program.
STATEMENTS, ROWS_OF_A_BLOCK = 2.8, 0.55
BLOCK_NUMBERS = 1 << 16  # of all rows of an array program's block: half a megabyte
FEWEST, MOST = 24, 264  # examples of a block
MANY_ROWS, LINE = 1 << 18, 8  # rows of which FEWEST examples take much memory: then a cache line of each has to do
WRITING = 90_000.0  # ns for a step, where the times were measured
PAYS_AFTER, MOST_WRITING = 40_000, 450e6  # calls, ns
LEAST_REPEATED = 4  # nodes of an array, on average: with fewer, the scalar program has no more to do
SOON = 5  # calls in as much time as the writing takes: then it matters little whether an estimate is right
THROUGH_MEMORY = ("quick", "comparisons", "quotients", "gathered", "scattered")


class Counts(Protocol):
    """The work of a program, in counts of each kind."""

    def features(self, m: int) -> dict[str, float]:
        """How often a call for m examples does something of each kind."""
        ...


class Estimate:
    """The time that a way should take, or that a `part` of what is counted should."""

    def __init__(self, kind: str, counts: Counts, part: float = 1.0) -> None:
        self.kind, self.counts, self.part = kind, counts, part

    def __call__(self, m: int) -> float:
        """The time in ns for m examples."""
        return self.part * time_of(self.kind, self.counts.features(m))

    def reasons(self, m: int) -> str:
        """The largest parts of that, such as "0.08 ms for 85 statements, 0.004 ms for 1,000 simple operations"."""
        times = NS[self.kind]
        found = self.counts.features(m).items()
        parts = sorted((times.get(what, 0.0) * number, what, number) for what, number in found)
        return ", ".join(f"{1e-6 * ns:.3g} ms for {_counted(number, what)}" for ns, what, number in parts[:-4:-1] if ns)


def _counted(number: float, what: str) -> str:
    words = WORDS.get(what, what.removeprefix(ALONE))
    return f"{number:,.0f} {words.removesuffix('s') if round(number) == 1 else words}"


def time_of(kind: str, features: dict[str, float]) -> float:
    """The time in ns of what is counted."""
    times = NS[kind]
    return sum(times.get(what, 0.0) * number for what, number in features.items())


def kind_of(op: str | Slope) -> str:
    """How long an operation takes; the slope of an exponential takes as long as a quotient."""
    name = op.op if isinstance(op, Slope) else op
    kind = KIND.get(name)
    if kind is None:
        if not name.startswith("**"):
            return "slow"
        kind = "powers" if float(name[2:]).is_integer() else "real powers"
    return "quotients" if kind in EXPONENTIALS and isinstance(op, Slope) else kind


def beyond(cache: int, size: float) -> float:
    """The part of `size` bytes that a cache does not hold."""
    return max(0.0, 1.0 - cache / size) if size else 0.0


def fresh(parameters: int) -> float:
    """The parameters whose gradients get memory from the system in each call, as large arrays do."""
    return float(max(0, parameters - FRESH))


def cleared(numbers: float) -> dict[str, float]:
    """The work of setting so many numbers to 0, among which derivatives are placed."""
    return {
        "cleared": numbers,
        "cleared beyond the cache": numbers * beyond(L2, 8.0 * numbers),
        "fresh": numbers if 8.0 * numbers > MOST_KEPT else 0.0,
    }


# --- the array program in NumPy --------------------------------------------------------------------------------------


class ArrayCounts(NamedTuple):
    """The work of the array program in NumPy: once in a call, and for each example, which makes arrays of `bytes`."""

    fixed: dict[str, float]
    each: dict[str, float]
    bytes: float = 0.0

    def features(self, m: int) -> dict[str, float]:
        found = defaultdict(float, self.fixed)
        for what, number in self.each.items():
            found[what] += number * m
        rows = sum(self.each.get(what, 0.0) for what in THROUGH_MEMORY)
        found["beyond the cache"] = rows * m * beyond(L2, self.bytes * m)
        return found


def array_counts(program: Program) -> ArrayCounts:
    fixed, each = defaultdict[str, float](float, calls=1.0), defaultdict[str, float](float)
    size = 0.0
    for statement in (*program.forward, *program.backward):
        of_each = statement.out.batched or any(operand.batched for operand in statement.operands)
        fixed["products called" if isinstance(statement, Product) else "statements"] += 1
        for what, number in _work(statement).items():
            (each if of_each else fixed)[what] += number
        size += 8.0 * statement.out.rows if statement.out.batched else 0.0
    return ArrayCounts(dict(fixed), dict(each), size)


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


# --- the scalar program ----------------------------------------------------------------------------------------------


class ScalarCounts(NamedTuple):
    """The work of the scalar program: once in a call, for each of a few examples, for each block of examples, and for
    each lane of a block.

    numbers  that a lane holds: they are gone through forwards and backwards
    few      with fewer examples it runs one after the other
    """

    fixed: dict[str, float]
    alone: dict[str, float]
    block: dict[str, float]
    lane: dict[str, float]
    numbers: float
    few: int = FEW

    def features(self, m: int) -> dict[str, float]:
        lanes = 1 if m < self.few else FEW if m <= FEW else FEWER_LANES if m <= FEWER_LANES else LANES
        times = -(-m // lanes)
        found = defaultdict(float, self.fixed)
        for what, number in (self.alone if lanes == 1 else self.block).items():
            found[what] += number * times
        for what, number in self.lane.items() if lanes > 1 else ():
            found[what] += number * times * lanes
        numbers = self.numbers * lanes
        found["beyond L1"] = numbers * times * beyond(L1, 8.0 * numbers)
        found["beyond the cache"] = numbers * times * beyond(L2, 8.0 * numbers)
        return found


def scalar_counts(machine: Any, codes: dict[str, int]) -> ScalarCounts:
    """The counts of the executor's machine, whose operations have these codes."""
    alone, block, lane = (defaultdict[str, float](float) for _ in range(3))
    names = {code: name for name, code in codes.items()} | {codes["lookup"] - 1: "dot"}
    for code, constant, sums in machine.census():
        single, many, padded, indexed, orders, apart, shared, rows, passed, unlike, loops, found = sums
        name = names[code]
        alone["gathered"] += indexed
        if name == "dot":
            alone[ALONE + "quick"] += 2.0 * single
            alone["dots"] += many
            alone["terms of dots"] += padded
            alone["terms passed back"] += passed - unlike
            alone["terms apart passed back"] += unlike
            alone["loops of dots"] += loops
            block["dots of a block"] += apart
            block["terms of a block in tables"] += found
            lane["terms of a block"] += rows
            lane["terms of a block passed back"] += passed
            lane["shared factors"] += shared
            continue
        if name == "lookup":
            alone[ALONE + "chosen"] += passed
            alone[ALONE + "looked up"] += single - passed
            lane["chosen"] += passed
            lane["looked up"] += rows - passed
            block["orders"] += orders
            continue
        kind = kind_of(name if constant is None else f"**{constant:g}")
        alone[ALONE + kind] += single
        alone["orders"] += many
        alone[kind] += padded
        block["orders"] += orders
        block["rows apart"] += apart
        block["found rows"] += indexed
        lane["shared"] += shared
        lane[kind] += rows
    lane["examples' numbers"] = float(machine.n_inputs)
    alone["examples"] = block["blocks"] = 1.0
    fixed = {"calls": 1.0, "parameters": float(machine.n_parameters), "parameters read": float(machine.n_read)}
    fixed["fresh parameters"] = fresh(machine.n_parameters)
    numbers = float(machine.n_places - machine.n_uniform + machine.n_slopes)
    return ScalarCounts(fixed, dict(alone), dict(block), dict(lane), numbers, machine.few)


def examples_of_a_block(rows: float) -> int:
    """How many examples an array program whose block has so many rows takes at once, at most.

    >>> [examples_of_a_block(rows) for rows in (10, 1_000, 100_000, 1_000_000)]
    [264, 65, 24, 8]
    """
    return LINE if rows > MANY_ROWS else max(FEWEST, min(MOST, int(BLOCK_NUMBERS // max(rows, 1))))


def statements_worth_writing(ns: float) -> int:
    """How many statements of an array program are worth their time to write where a call takes `ns` without it.

    A power of two, so that few numbers of examples differ in it.

    >>> statements_worth_writing(1e5), statements_worth_writing(2e8), statements_worth_writing(1e12)
    (4, 4096, 4096)
    """
    most = int(min(MOST_WRITING, SOON * ns) / WRITING)
    return 1 << (most.bit_length() - 1) if most else 0


def most_colours(nodes: int, worth: int = 0) -> int:
    """Up to how many arrays a graph of so many nodes is regular, or repeats enough if it is `worth` writing as many."""
    return max(1000, nodes // 256, min(worth, nodes // LEAST_REPEATED))


def pays_to_write_arrays(counts: ScalarCounts, m: int, colours: Callable[[int], int | None]) -> bool:
    """Whether the array program of a function in which little repeats would soon make up for its writing.

    Every step is then a statement of its own, or nearly all are terms of sums of products, as if a network stood beside
    what does not repeat: then `colours` gives how many kinds of nodes there are, or None if more than it is asked for.
    The same for every call of m examples, however often the program was called before, and with what.
    """
    ns, most = NS["blocks"], MOST_WRITING / WRITING
    steps = {what: number for what, number in counts.lane.items() if what in OF_STEPS}
    n = statements = sum(steps.values())
    if m < FEW:
        return False
    if n > most:
        apart = n - steps.get("terms of a block", 0.0)
        found = colours(int(most)) if LEAST_REPEATED * apart <= min(n, LEAST_REPEATED * most) else None
        if found is None:
            return False
        n, statements = apart, float(found)
    per_block = examples_of_a_block(1.0 + ROWS_OF_A_BLOCK * n)
    arrays = -(-m // per_block) * STATEMENTS * statements * ns["instructions"]
    arrays += m * (STATEMENTS - 1.0) * n * ns["quick"]
    for what, number in steps.items():
        arrays += m * number * ns.get(what, ns["quick"])
    return (Estimate("scalar", counts)(m) - arrays) * PAYS_AFTER >= statements * WRITING

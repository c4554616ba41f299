"""`check_gradients`: the derivative of every leaf beside the limit of its difference quotients (001).

    ∂f/∂a = lim h→0 (f(a + h) − f(a))/h                                            (001, partial derivative)

Both are computed on the side, and nothing changes.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from tinygrad_scalar.engine import Value
from tinygrad_scalar.inspection.brackets import single
from tinygrad_scalar.inspection.finite_differences import SAFETY, Limit, NudgedGraph
from tinygrad_scalar.inspection.layout import aligned, as_html, wrapped
from tinygrad_scalar.inspection.names import caller_variables
from tinygrad_scalar.inspection.notation import written
from tinygrad_scalar.screen import for_stdout

LINES = 20  # rows of a shortened table: the worst
MOST_LEAVES = 200  # with more leaves than this the table is shortened


class Verdict(str):
    """How a derivative and its difference compare, as one sentence such as "kink: slope 0 on the left, …".

    word    the first part: agrees, both are 0, kink, jump, edge, inconclusive, undecided, disagrees or not finite
    short   the part that a table cell shows
    detail  the rest of the sentence
    """

    word: str
    short: str
    detail: str

    def __new__(cls, word: str, detail: str = "", extent: str = "") -> Verdict:
        short = f"{word} {extent}" if extent else word
        made = super().__new__(cls, f"{short}: {detail}" if detail else short)
        made.word, made.short, made.detail = word, short, detail
        return made

    @classmethod
    def read(cls, sentence: str) -> Verdict:
        """The Verdict of a sentence, which older pickles hold as a plain str."""
        if isinstance(sentence, Verdict):
            return sentence
        short, _, detail = sentence.partition(": ")
        word, to, digits = short.partition(" to ")
        return cls(word, detail, to.lstrip() + digits)


class CheckedLeaf(NamedTuple):
    """A row of a GradientCheck: ∂C/∂leaf by the engine and by differences, and how they compare."""

    name: str
    derivative: float
    difference: float
    error: float
    verdict: Verdict
    ok: bool


class _Comparison:
    """The derivative `d` of one leaf beside the limits of its differences, and what rounding can do to each."""

    def __init__(self, graph: NudgedGraph, leaf: Value) -> None:
        self.graph, self.name, self.root = graph, graph.notation.name(leaf), graph.root.data
        self.f, self.d, self.path_sum = graph.along(leaf), graph.gradients[leaf], graph.path_sums[leaf]
        self.rounding = len(self.f) * sys.float_info.epsilon * self.path_sum  # of the chain rule itself

    @cached_property
    def central(self) -> Limit:
        central = self.f.limit(1, 1, thorough=False)
        return central if self.agrees(central) and central.error <= 1e-6 * abs(self.d) else self.f.limit(1, 1)

    @cached_property
    def left(self) -> Limit:
        return self.f.limit(1, 0)

    @cached_property
    def right(self) -> Limit:
        return self.f.limit(0, 1)

    @property
    def off(self) -> float:
        return abs(self.central.value - self.d)

    @cached_property
    def rises(self) -> list[float]:
        """The absolute one-sided slopes, with the step of the central difference."""
        h = self.central.h
        return [abs(self.f(self.f.a + side) - self.root) / h for side in (h, -h)] if h else []

    @property
    def scale(self) -> float:
        """The size that the error is relative to."""
        return max(self.path_sum if math.isfinite(self.path_sum) else abs(self.d), *self.rises, 0.0)

    def agrees(self, limit: Limit) -> bool:
        return abs(limit.value - self.d) <= SAFETY * limit.error + self.rounding and limit.error < math.inf

    def compared(self, verdict: Verdict, difference: float, off: float, ok: bool, scale: float = 0.0) -> CheckedLeaf:
        """A row whose error is relative to the derivative, the difference or `scale`, whichever is largest."""
        scale = max(abs(self.d), abs(difference), scale)
        return CheckedLeaf(self.name, self.d, difference, off / scale if off else 0.0, verdict, ok)

    def inconclusive(self, verdict: Verdict, difference: float = math.nan) -> CheckedLeaf:
        return CheckedLeaf(self.name, self.d, difference, math.nan, verdict, True)


def judged(graph: NudgedGraph, leaf: Value) -> CheckedLeaf:
    """How the derivative of a leaf and its difference quotients compare: the first judgement that applies."""
    comparison = _Comparison(graph, leaf)
    for judgement in _JUDGEMENTS:
        if row := judgement(comparison):
            return row
    return _disagreement(comparison)


def _not_finite(c: _Comparison) -> CheckedLeaf | None:
    for what, number in ((f"{c.graph.notation.name(c.graph.root)} itself", c.root), ("the derivative", c.d)):
        if not math.isfinite(number):
            verdict = Verdict("not finite", f"{what} is {written(number)}")
            return CheckedLeaf(c.name, c.d, math.nan, math.inf, verdict, False)
    return None


def _rounding_of_the_chain_rule(c: _Comparison) -> CheckedLeaf | None:
    if math.isinf(c.rounding):
        if not c.off + c.central.error <= 1e-3 * abs(c.d):
            verdict = "the terms of the derivative overflow, so its rounding error is unbounded"
            return c.inconclusive(Verdict("inconclusive", verdict), c.central.value)
    elif c.rises and c.rounding > c.off > max(SAFETY * c.central.error, 1e-3 * max(abs(c.d), *c.rises)):
        verdict = f"the terms of the derivative cancel, leaving up to ±{written(c.rounding, '.1g')} of rounding error"
        return c.inconclusive(Verdict("inconclusive", verdict), c.central.value)
    return None


def _agreement(c: _Comparison) -> CheckedLeaf | None:
    error = max(c.off, c.central.error)
    if c.d == 0.0 == c.central.value:
        largest = max(c.graph.path_sums[leaf] for leaf in c.graph.leaves)
        if error <= 1e-3 * max(largest, sys.float_info.min):
            return c.compared(Verdict("both are 0"), 0.0, 0.0, True)
    if c.agrees(c.central) and error <= 1e-3 * c.scale:
        size = max(abs(c.d), abs(c.central.value))
        share = error / size if size else 1.0
        digits = min(math.floor(-math.log10(share)) if share else 16, 16)
        extent = f"to {digits} digits" if digits > 1 else "within rounding"
        return c.compared(Verdict("agrees", extent=extent), c.central.value, error, True, c.scale)
    return None


def _too_coarse(c: _Comparison) -> CheckedLeaf | None:
    if not c.f.is_coarse or c.agrees(c.central):
        return None
    place = f"floats around {written(c.f.a, '.3g')} are {written(math.ulp(c.f.a), '.2g')} apart"
    return c.inconclusive(Verdict("inconclusive", f"{place}, too far for a nudge"))


def _jump(c: _Comparison) -> CheckedLeaf | None:
    jumping = [side for side, sign in (("left", -1), ("right", 1)) if c.f.jumps(sign)]
    if not jumping:
        return None
    sides = " and ".join(f"on the {side}" for side in jumping)
    return c.inconclusive(Verdict("jump", f"the function jumps {sides}, and the derivative is a convention"))


def _kink(c: _Comparison) -> CheckedLeaf | None:
    low, high = sorted((c.left.value, c.right.value))
    tolerance = SAFETY * (c.left.error + c.right.error) + c.rounding
    if not high - low > max(tolerance, 1e-3 * c.off):
        return None
    outside = max(low - tolerance - c.d, c.d - high - tolerance, 0.0)
    slopes = f"slope {written(c.left.value + 0.0)} on the left, {written(c.right.value + 0.0)} on the right"
    place = "not between them" if outside else "between them"
    return c.compared(Verdict("kink", f"{slopes}; the derivative is {place}"), c.central.value, outside, not outside)


def _hidden(c: _Comparison) -> CheckedLeaf | None:
    if not c.agrees(c.central):
        return None
    verdict = Verdict("inconclusive", f"rounding hides everything below ±{written(c.central.error, '.1g')}")
    return c.inconclusive(verdict, c.central.value)


def _edge(c: _Comparison) -> CheckedLeaf | None:
    for limit, side, other in ((c.right, "right", c.left), (c.left, "left", c.right)):
        if not other.h and c.agrees(limit):
            verdict = Verdict("edge", f"agrees on the {side}; on the other side the function is not finite")
            return c.compared(verdict, limit.value, 0.0, True)
    return None


_JUDGEMENTS = (_not_finite, _rounding_of_the_chain_rule, _agreement, _too_coarse, _jump, _kink, _hidden, _edge)


def _disagreement(c: _Comparison) -> CheckedLeaf:
    """The row of a leaf that no other judgement applies to."""
    if not c.central.h:
        verdict = Verdict("not finite", "there are no finite values nearby to compare with")
        return c.compared(verdict, math.nan, math.inf, False, 1.0)
    off = f"off by {written(c.off, '.2g')}"
    if not c.f.settles(c.d, c.central.h):
        verdict = Verdict("undecided", f"{off}, but rounding hides what the function does at finer steps")
    else:
        allowed = written(SAFETY * c.central.error + c.rounding, ".1g")
        verdict = Verdict("disagrees", f"{off}, where ±{allowed} is allowed; an operation's local gradient is wrong")
    return c.compared(verdict, c.central.value, c.off, False, c.scale)


class GradientCheck:
    """The result of `check_gradients`: prints as a table, is true if `.ok`.

    rows       for each leaf: name, derivative (the engine's), difference (central), error, verdict, ok
    ok         whether every row is ok; an inconclusive one (a jump, rounding) is, with an error of nan
    max_error  the largest error, including the difference's own, relative to the largest of derivative, difference,
               the derivative's terms (Σ over paths |∏ local gradients|) and one-sided slopes at the step taken; 0 at a
               kink and at an edge of the domain where the derivative is right
    """

    def __init__(self, root: str, rows: Sequence[CheckedLeaf]) -> None:
        self.root, self.rows = root, tuple(rows)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.root = state["root"]
        self.rows = tuple(row._replace(verdict=Verdict.read(row.verdict)) for row in state["rows"])

    @property
    def ok(self) -> bool:
        return all(row.ok for row in self.rows)

    @property
    def max_error(self) -> float:
        return max((row.error for row in self.rows if row.error == row.error), default=0.0)

    def __bool__(self) -> bool:
        return self.ok

    def _table(self) -> tuple[list[list[str]], list[str]]:
        """The cells, headings first, and the sentences below them."""
        shown_rows = self.rows
        if len(self.rows) > MOST_LEAVES:
            shown_rows = tuple(sorted(self.rows, key=lambda row: (row.ok, row.error == row.error, -row.error))[:LINES])
        cells = [["leaf θ", f"∂{single(self.root)}/∂θ", "difference", "error", "verdict"]]
        for row in shown_rows:
            numbers = [written(row.derivative + 0.0), written(row.difference + 0.0), written(row.error, ".1g")]
            cells.append([row.name, *numbers, row.verdict.short])
        notes = [f"{row.name}: {row.verdict}" for row in shown_rows if row.verdict.detail]
        if len(notes) > LINES:
            notes[LINES:] = [f"… and {len(notes) - LINES:,} more"]
        if len(shown_rows) < len(self.rows):
            notes.insert(0, f"… the worst {LINES} of {len(self.rows):,} leaves")
        wrong = sum(not row.ok for row in self.rows)
        most = f"the largest error is {written(self.max_error, '.1g')}"
        inconclusive = sum(row.ok and row.error != row.error for row in self.rows)
        if wrong:
            summary = f"{wrong:,} of {len(self.rows):,} do not agree"
        elif inconclusive:
            summary = f"inconclusive for {inconclusive:,} of {len(self.rows):,}"
            summary += f"; the others agree, {most}" if inconclusive < len(self.rows) else ""
        else:
            agree = f"all {len(self.rows):,} derivatives agree" if len(self.rows) > 1 else "the derivative agrees"
            summary = f"{agree}; {most}"
        return cells, [*notes, summary]

    def __str__(self) -> str:
        cells, notes = self._table()
        return for_stdout("\n".join([*aligned(cells), *(line for note in notes for line in wrapped(note))]))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return as_html("", *self._table())


def check_gradients(root: Value, *leaves: Value | str, names: Mapping[str, object] | None = None) -> GradientCheck:
    """Compare the derivatives of `root` with difference quotients: for all leaves of its graph, or for those given.

    leaves  leaves of the graph of `root`, or their names
    names   names for values without a label, such as {"w": w}; None: the variables of the calling code

    A derivative agrees if it is within float64 rounding and the estimated error of the best difference. At a
    kink (relu at 0) any slope between the left and the right one is right; nan and inf never are. Each leaf takes about
    ten evaluations of the nodes above it. Nothing in the graph changes. TypeError or ValueError if `root` is not a
    computed Value, or one of `leaves` is neither a leaf of its graph nor the name of one; StaleGraphError if the graph
    is stale.

    >>> w, a, b = Value(0.5, "w"), Value(2.0, "a"), Value(-1.0, "b")
    >>> C = (w * a + b).relu() + w**2
    >>> check = check_gradients(C, "w")
    >>> check.ok
    True
    >>> print(check.rows[0].verdict)
    kink: slope 1 on the left, 3 on the right; the derivative is between them
    >>> print(check_gradients((w * a).sigmoid(), w).ok)
    True
    """
    graph = NudgedGraph(root, "check_gradients", caller_variables() if names is None else names)
    return GradientCheck(
        graph.notation.name(root), [judged(graph, leaf) for leaf in graph.chosen(leaves) or graph.leaves]
    )

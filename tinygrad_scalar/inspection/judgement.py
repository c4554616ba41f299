"""How the derivative of one leaf and its difference quotients compare, as a sentence.

The quotients decide where they have digits enough. Where rounding or a kink hides what they would show, the operations
above the leaf are asked one by one, each as a function of its own operands: by the chain rule the derivative is right
if all local gradients are.
"""

from __future__ import annotations

import math
import sys
from functools import cached_property
from typing import NamedTuple

from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.ops import operation
from tinygrad_scalar.inspection.finite_differences import SAFETY, Along, Limit, NudgedGraph
from tinygrad_scalar.inspection.notation import written


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

    def __init__(self, f: Along, d: float, path_sum: float, largest: float) -> None:
        self.f, self.d, self.path_sum, self.largest = f, d, path_sum, largest
        self.rounding = len(f) * sys.float_info.epsilon * path_sum  # of the chain rule itself

    @cached_property
    def central(self) -> Limit:
        central = self.f.limit(1, 1, thorough=False)
        size = self.largest if self.d == 0.0 == central.value else abs(self.d)
        return central if self.agrees(central) and central.error <= 1e-6 * size else self.f.limit(1, 1)

    @cached_property
    def left(self) -> Limit:
        return self.f.limit(1, 0)

    @cached_property
    def right(self) -> Limit:
        return self.f.limit(0, 1)

    @property
    def off(self) -> float:
        return abs(self.central.value - self.d)

    @property
    def error(self) -> float:
        return max(self.off, self.central.error)

    @cached_property
    def rises(self) -> list[float]:
        """The absolute one-sided slopes, with the step of the central difference."""
        return self._rises(self.central.h) if self.central.h else []

    def _rises(self, h: float) -> list[float]:
        return [abs(self.f(self.f.a + side) - self.f(self.f.a)) / h for side in (h, -h)]

    @cached_property
    def scale(self) -> float:
        """The size of the terms that the error is relative to: of the chain rule, or of f around a where that is 0."""
        coarse = [rise for rise in self._rises(self.f.steps()[0]) if math.isfinite(rise)]
        return max(self.path_sum if math.isfinite(self.path_sum) else abs(self.d), *self.rises, *coarse, 0.0)

    @property
    def is_sharp(self) -> bool:
        """Whether the quotients alone show the derivative to four digits."""
        if self.d == 0.0 == self.central.value:
            is_fine = self.central.h < 1e-8 * max(abs(self.f.a), 1.0)  # so that f(a ± h) can be f(a), rounded
            return self.central.error <= 1e-6 * self.largest and not is_fine
        return self.agrees(self.central) and self.error <= 1e-4 * abs(self.d)

    def agrees(self, limit: Limit) -> bool:
        return abs(limit.value - self.d) <= SAFETY * limit.error + self.rounding and limit.error < math.inf

    def compared(self, verdict: Verdict, difference: float, off: float, ok: bool, scale: float = 0.0) -> CheckedLeaf:
        """A row whose error is relative to the derivative, the difference or `scale`, whichever is largest."""
        scale = max(abs(self.d), abs(difference), scale)
        return CheckedLeaf("", self.d, difference, off / scale if off and scale else off, verdict, ok)

    def inconclusive(self, verdict: Verdict, difference: float = math.nan) -> CheckedLeaf:
        return CheckedLeaf("", self.d, difference, math.nan, verdict, True)


def judged(graph: NudgedGraph, f: Along) -> CheckedLeaf:
    """How the derivative of a leaf, along which `f` goes, and its difference quotients compare."""
    root, d = graph.root, graph.gradients[f.leaf]
    name = graph.notation.name(f.leaf)
    for what, number in ((f"{graph.notation.name(root)} itself", root.data), ("the derivative", d)):
        if not math.isfinite(number):
            verdict = Verdict("not finite", f"{what} is {written(number)}")
            return CheckedLeaf(name, d, math.nan, math.inf, verdict, False)
    c = _Comparison(f, d, graph.path_sums[f.leaf], graph.largest_path_sum)
    row = _by_quotients(c)
    if row is None:
        row = _unexplained(c, graph)
    elif row.ok and not c.is_sharp and (wrong := _wrong_operation(graph, f, 1e-4 * abs(d))) is not None:
        row = _wrong(c, wrong)
    elif row.verdict.word == "kink" and _rough_operation(graph, f) is None:
        row = _bent(c, graph)
    return row._replace(name=name)


# --- by quotients ----------------------------------------------------------------------------------------------------


def _by_quotients(c: _Comparison) -> CheckedLeaf | None:
    """The first judgement that applies; None if the quotients disagree with the derivative."""
    for judgement in (_rounding_of_the_chain_rule, _agreement, _too_coarse, _jump, _kink, _hidden, _edge, _no_values):
        if row := judgement(c):
            return row
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
    if c.d == 0.0 == c.central.value and (c.scale == 0.0 or c.central.error <= 1e-3 * max(c.scale, c.largest)):
        return c.compared(Verdict("both are 0"), 0.0, 0.0, True)
    if c.agrees(c.central) and c.error <= 1e-3 * c.scale:
        size = max(abs(c.d), abs(c.central.value))
        digits = 16
        if c.error:
            share = c.error / size if c.error < size else 1.0
            digits = min(math.floor(-math.log10(share or sys.float_info.min)), 16)
        extent = f"to {digits} digits" if digits > 1 else "within rounding"
        return c.compared(Verdict("agrees", extent=extent), c.central.value, c.error, True, c.scale)
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


def _no_values(c: _Comparison) -> CheckedLeaf | None:
    if c.central.h:
        return None
    verdict = Verdict("not finite", "there are no finite values nearby to compare with")
    return c.compared(verdict, math.nan, math.inf, False, 1.0)


# --- by operations ---------------------------------------------------------------------------------------------------


def _unexplained(c: _Comparison, graph: NudgedGraph) -> CheckedLeaf:
    """The row of a leaf whose quotients and derivative disagree."""
    if (wrong := _wrong_operation(graph, c.f, 0.0)) is not None:
        return _wrong(c, wrong)
    if (rough := _rough_operation(graph, c.f)) is not None:
        why = f"the slope that {rough.op} has by convention at its kink is not the function's"
        return _wrong(c, rough, why)
    off = f"off by {written(c.off, '.2g')}"
    verdict = f"{off}, but every operation's local gradient agrees, so this must be what rounding hides"
    return c.inconclusive(Verdict("undecided", verdict), c.central.value)


def _bent(c: _Comparison, graph: NudgedGraph) -> CheckedLeaf:
    """The row of a leaf whose quotients show a kink, although no operation has one."""
    if (wrong := _wrong_operation(graph, c.f, 0.0)) is not None:
        return _wrong(c, wrong)
    verdict = "the function bends too sharply for a nudge, but every operation's local gradient agrees"
    return c.inconclusive(Verdict("inconclusive", verdict), c.central.value)


def _wrong(c: _Comparison, node: Value, why: str = "") -> CheckedLeaf:
    allowed = SAFETY * c.central.error + c.rounding
    off = f"off by {written(c.off, '.2g')}, where ±{written(allowed, '.1g')} is allowed; " if c.off > allowed else ""
    given = operation(node.op).primitive is not None
    why = why or f"the derivative that {node.op} was given is not its own" if given else why
    verdict = Verdict("disagrees", f"{off}{why or f'the local gradient of {node.op} is wrong'}")
    return c.compared(verdict, c.central.value, c.off, False, c.scale)


def _wrong_operation(graph: NudgedGraph, f: Along, least: float) -> Value | None:
    """A node above the leaf whose wrong local gradient changes ∂root/∂leaf by more than `least`, or None."""
    below: dict[Value, float] = {f.leaf: 1.0}  # ∂node/∂leaf
    for node in f.above:
        reached = dict.fromkeys(operand for operand in node.operands if operand in below)
        for operand in reached:
            around = abs(graph.gradients[node] * below[operand])
            if around and around * _slope(graph, node, operand).off > least:
                return node
        pairs = zip(node.operands, node.local_grads)
        below[node] = sum(local_grad * below[operand] for operand, local_grad in pairs if operand in reached)
    return None


def _rough_operation(graph: NudgedGraph, f: Along) -> Value | None:
    """A node above the leaf whose operation has a kink, an edge or a jump where it is, or None."""
    reached = {f.leaf, *f.above}
    for node in f.above:
        if any(_slope(graph, node, operand).is_rough for operand in node.operands if operand in reached):
            return node
    return None


class _Slope(NamedTuple):
    """A local gradient: how far it is off, 0 if that cannot be said, and whether it is that of a kink, edge or jump."""

    off: float
    is_rough: bool


def _slope(graph: NudgedGraph, node: Value, operand: Value) -> _Slope:
    """How ∂node/∂operand compares with the quotients of the one operation, each judged once for a graph."""
    known: dict[tuple[Value, Value], _Slope] = graph.slopes
    if (node, operand) not in known:
        d = sum(g for other, g in zip(node.operands, node.local_grads) if other is operand)
        plainly = bool(operation(node.op).companions) or is_plainly(d, node, operand)  # those only move together
        f = Along(operand, [node])
        known[node, operand] = _Slope(0.0, False) if plainly else _judged_slope(_Comparison(f, d, abs(d), abs(d)))
    return known[node, operand]


def _judged_slope(c: _Comparison) -> _Slope:
    if not all(map(math.isfinite, (c.d, c.f.a, c.f(c.f.a)))):
        return _Slope(0.0, False)
    row = _by_quotients(c)
    if row is None:
        return _Slope(c.off, False)
    return _Slope(
        row.error if not row.ok and row.error < math.inf else 0.0, row.verdict.word in ("kink", "edge", "jump")
    )


def is_plainly(d: float, node: Value, operand: Value) -> bool:
    """Whether two quotients, extrapolated once, already give the slope `d`, and show no kink."""
    forward, a = operation(node.op).forward, operand.data
    quotients, bends = [], []
    for h in (abs(a) / 512.0 or 1.0 / 512.0, abs(a) / 1024.0 or 1.0 / 1024.0):
        low, high = a - h, a + h
        try:
            of_low, of_high = (
                forward(*[x if other is operand else other.data for other in node.operands]) for x in (low, high)
            )
            quotients.append((of_high - of_low) / (high - low))
            bends.append(abs((of_high - node.data) - (node.data - of_low)) / h)  # the right slope minus the left one
        except (ArithmeticError, ValueError, TypeError):
            return False
    coarse, fine = quotients
    if bends[1] > 0.75 * bends[0] and bends[1] > 1e-6 * abs(d):  # it falls with h where there is no kink
        return False
    limit = (4.0 * fine - coarse) / 3.0
    return coarse == fine == d or (abs(limit - d) <= 1e-6 * abs(d) and abs(fine - coarse) <= 1e-3 * abs(d))

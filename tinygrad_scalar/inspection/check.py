"""Every leaf's derivative beside the limit of its difference quotients (001)."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tinygrad_scalar.engine import Value
from tinygrad_scalar.inspection.brackets import together
from tinygrad_scalar.inspection.finite_differences import SAFETY, Limit, NudgedGraph
from tinygrad_scalar.inspection.layout import aligned, as_html, number, wrapped
from tinygrad_scalar.inspection.names import caller_variables

LINES = 20  # rows of a table that is cut short: the worst
MOST_LEAVES = 200  # with more leaves than this it is


class CheckedLeaf(NamedTuple):
    """A row of a GradientCheck: ∂C/∂leaf by the engine and by differences, and how they compare."""

    name: str
    derivative: float
    difference: float
    error: float
    verdict: str
    ok: bool


def judged(of: NudgedGraph, leaf: Value) -> CheckedLeaf:
    f, d, size = of.along(leaf), of.gradients[leaf], of.path_sums[leaf]
    name = of.notation.name(leaf)

    def checked(difference: float, off: float, verdict: str, ok: bool, scale: float = 0.0) -> CheckedLeaf:
        scale = max(abs(d), abs(difference), scale)
        return CheckedLeaf(name, d, difference, off / scale if off else 0.0, verdict, ok)

    for what, found in ((f"{of.notation.name(of.root)} itself", of.root.data), ("the derivative", d)):
        if not math.isfinite(found):
            return CheckedLeaf(name, d, math.nan, math.inf, f"not finite: {what} is {number(found)}", False)

    allowed = len(f) * sys.float_info.epsilon * size  # the rounding of the chain rule itself

    def agrees(limit: Limit) -> bool:
        return abs(limit.value - d) <= SAFETY * limit.error + allowed and limit.error < math.inf

    central = f.limit(1, 1, thorough=False)
    if not (agrees(central) and central.error <= 1e-6 * abs(d)):
        central = f.limit(1, 1)
    off = abs(central.value - d)
    if math.isinf(allowed) and not off + central.error <= 1e-3 * abs(d):
        verdict = "untold: the terms of the derivative overflow, and may leave rounding of any size"
        return CheckedLeaf(name, d, central.value, math.nan, verdict, True)
    scale = size if math.isfinite(size) else abs(d)
    if central.h:
        rises = [abs(f(f.a + h) - of.root.data) / central.h for h in (central.h, -central.h)]
        scale = max(scale, *rises)
        if allowed > off > max(SAFETY * central.error, 1e-3 * max(abs(d), *rises)):
            verdict = f"untold: the terms of the derivative cancel, and may leave ±{number(allowed, '.1g')} of rounding"
            return CheckedLeaf(name, d, central.value, math.nan, verdict, True)
    error = max(off, central.error)
    largest = max(of.path_sums[node] for node in of.leaves)
    if d == 0.0 == central.value and error <= 1e-3 * max(largest, sys.float_info.min):
        return checked(0.0, 0.0, "both are 0", True)
    if agrees(central) and error <= 1e-3 * scale:
        share = error / max(abs(d), abs(central.value))
        digits = min(math.floor(-math.log10(share)) if share else 16, 16)
        verdict = f"agrees to {digits} digits" if digits > 1 else "agrees within rounding"
        return checked(central.value, error, verdict, True, scale)

    # From here on: not smooth, too rough to tell, or wrong.
    if f.is_coarse and not agrees(central):
        verdict = f"untold: around {number(f.a, '.3g')} the numbers are {number(math.ulp(f.a), '.2g')} apart"
        return CheckedLeaf(name, d, math.nan, math.nan, f"{verdict}, too far for a nudge", True)
    left, right = f.limit(1, 0), f.limit(0, 1)
    tolerance = SAFETY * (left.error + right.error) + allowed
    jumping = [side for side, sign in (("left", -1), ("right", 1)) if f.jumps(sign)]
    if jumping:
        verdict = f"jump: {' and '.join(jumping)} of here the function is elsewhere, the derivative a convention"
        return CheckedLeaf(name, d, math.nan, math.nan, verdict, True)
    if abs(left.value - right.value) > max(tolerance, 1e-3 * off):
        low, high = sorted((left.value, right.value))
        outside = max(low - tolerance - d, d - high - tolerance, 0.0)
        place = "not between them" if outside else "between them"
        slopes = f"slope {number(left.value)} on the left, {number(right.value)} on the right"
        return checked(central.value, outside, f"kink: {slopes}; the derivative is {place}", not outside)
    if agrees(central):
        verdict = f"untold: rounding hides all below ±{number(central.error, '.1g')}"
        return CheckedLeaf(name, d, central.value, math.nan, verdict, True)
    for limit, side, other in ((right, "right", left), (left, "left", right)):
        if not other.h and agrees(limit):
            verdict = f"edge: agrees on the {side}, the function is not finite on the other side"
            return checked(limit.value, 0.0, verdict, True)
    if not central.h:
        return checked(math.nan, math.inf, "not finite: no values around here to compare with", False, 1.0)
    if not f.settles(d, central.h):
        verdict = (
            f"undecided: off by {number(off, '.2g')}, but rounding hides how the function runs between finer steps"
        )
        return checked(central.value, off, verdict, False, scale)
    verdict = (
        f"disagrees: off by {number(off, '.2g')}, where ±{number(SAFETY * central.error + allowed, '.1g')} is allowed"
    )
    return checked(central.value, off, f"{verdict}; an operation's local gradient is wrong", False, scale)


# --- every leaf ------------------------------------------------------------------------------------------------------


class GradientCheck:
    """What `check_gradients` returns: prints as a table, is true if it is `.ok`.

    rows       for each leaf: name, derivative (the engine's), difference (central), error, verdict, ok
    ok         whether every row is; also a row that no difference can tell (a jump, rounding), whose error is nan
    max_error  the largest error, with the difference's own, relative to the largest of both derivatives, the terms that
               the derivative is a sum of (Σ over paths |∏ local gradients|) and the one-sided slopes at the step that
               was taken; 0 at a kink and at an edge of the domain where the derivative is right
    """

    def __init__(self, root: str, rows: Sequence[CheckedLeaf]) -> None:
        self.root, self.rows = root, tuple(rows)

    @property
    def ok(self) -> bool:
        return all(row.ok for row in self.rows)

    @property
    def max_error(self) -> float:
        return max((row.error for row in self.rows if row.error == row.error), default=0.0)

    def __bool__(self) -> bool:
        return self.ok

    def _table(self) -> tuple[list[list[str]], list[str]]:
        """The cells, those of the head first, and the sentences below them."""
        shown_rows = self.rows
        if len(self.rows) > MOST_LEAVES:
            shown_rows = tuple(sorted(self.rows, key=lambda row: (row.ok, row.error == row.error, -row.error))[:LINES])
        cells = [["leaf θ", f"∂{together(self.root)}/∂θ", "difference", "error", "verdict"]]
        for row in shown_rows:
            numbers = [number(row.derivative), number(row.difference), number(row.error, ".1g")]
            cells.append([row.name, *numbers, row.verdict.partition(":")[0]])
        notes = [f"{row.name}: {row.verdict}" for row in shown_rows if ":" in row.verdict]
        if len(notes) > LINES:
            notes[LINES:] = [f"… and {len(notes) - LINES:,} more"]
        if len(shown_rows) < len(self.rows):
            notes.insert(0, f"… the worst {LINES} of {len(self.rows):,} leaves")
        wrong = sum(not row.ok for row in self.rows)
        most = f"the largest error is {number(self.max_error, '.1g')}"
        untold = sum(row.ok and row.error != row.error for row in self.rows)
        if wrong:
            told = f"{wrong:,} of {len(self.rows):,} do not agree"
        elif untold:
            told = f"no difference can tell {untold:,} of {len(self.rows):,}"
            told += f"; the others agree, {most}" if untold < len(self.rows) else ""
        else:
            agree = f"all {len(self.rows):,} derivatives agree" if len(self.rows) > 1 else "the derivative agrees"
            told = f"{agree}; {most}"
        notes.append(told)
        return cells, notes

    def __str__(self) -> str:
        cells, notes = self._table()
        return "\n".join([*aligned(cells), *(line for note in notes for line in wrapped(note))])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return as_html("", *self._table())


def check_gradients(root: Value, *leaves: Value | str, names: Mapping[str, object] | None = None) -> GradientCheck:
    """Compare the derivatives of `root` with difference quotients: for all leaves of its graph, or for those given.

    leaves  leaves of the graph of `root`, or their names
    names   names for values without a label, as {"w": w}; None: the variables of the calling code

    A derivative agrees if it is within the rounding of float64 and the
    estimated error of the best difference. At a kink (relu at 0) any slope between the left and the right one is right;
    nan and inf are never. Each evaluation costs what is above the leaf, about ten are needed for one. Nothing in the
    graph changes. TypeError or ValueError if `root` is no computed Value, or for what is not a leaf of it or not a
    name of one; StaleGraphError if a leaf was set since.

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
    of = NudgedGraph(root, "check_gradients", caller_variables() if names is None else names)
    return GradientCheck(of.notation.name(root), [judged(of, leaf) for leaf in of.chosen(leaves) or of.leaves])

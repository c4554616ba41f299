"""The derivative as a limit (001): nudge a leaf by a tiny h, see how far the root moves, compare with the engine.

    ∂f/∂a = lim h→0 (f(a + h) − f(a))/h                                            (001, partial derivative)

In float64 the error of that quotient falls with h, then rises again: f(a + h) − f(a) keeps only the digits in which
the two differ, and rounding's share is divided by h. `nudge` shows it for one leaf, `check_gradients` tests every leaf.

Both compute on the side and change nothing.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.engine.number import required
from tinygrad_scalar.engine.value import Value
from tinygrad_scalar.inspection import names as graph
from tinygrad_scalar.inspection.finite_differences import SAFETY, Along, Limit, NudgedGraph
from tinygrad_scalar.inspection.layout import aligned, as_html, fitted, number, wrapped
from tinygrad_scalar.inspection.notation import together, unicode_of

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


def _judged(of: NudgedGraph, leaf: Value) -> CheckedLeaf:
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
    of = NudgedGraph(root, "check_gradients", graph.caller_variables() if names is None else names)
    return GradientCheck(of.notation.name(root), [_judged(of, leaf) for leaf in of.chosen(leaves) or of.leaves])


# --- one leaf --------------------------------------------------------------------------------------------------------


class Quotient(NamedTuple):
    """A row of a Nudge: f(a + h), (f(a + h) − f(a))/h, and how far that is from the derivative."""

    h: float
    value: float
    quotient: float
    error: float


class Nudge:
    """What `nudge` returns: prints as the limit and a table of its quotients, shows as a table in Jupyter.

    derivative          the engine's, ∂root/∂leaf
    h                   the step asked for
    forward_difference  (f(a + h) − f(a))/h at that step
    error               how far that is from the derivative
    central_difference  (f(a + h) − f(a − h))/2h at `best_h`, the step of the smallest estimated error (nan, 0 if none)
    rows                for h and for 1e-1 to 1e-15, falling: h, value f(a + h), quotient, error
    verdict             how derivative and differences compare, as in `check_gradients`
    """

    def __init__(self, of: NudgedGraph, leaf: Value, h: float) -> None:
        f = of.along(leaf)
        self.h, self.derivative = h, of.gradients[leaf]
        root_name, leaf_name = (of.notation.called.get(value, "") for value in (of.root, leaf))
        self.root, self.leaf = _short(root_name, "f", leaf_name), _short(leaf_name, "a", root_name)
        names = {self.root, self.leaf, *map(unicode_of, of.notation.called.values())}
        self._h = next((letter for letter in "hεδη" if letter not in names), "Δ")
        steps = {h, *(float(f"1e-{k}") for k in range(1, 16))}
        self.rows = tuple(self._row(f, step) for step in sorted(steps, reverse=True))
        asked = next(row for row in self.rows if row.h == h)
        self.forward_difference, self.error = asked.quotient, asked.error
        self.central_difference, self.best_h, _ = f.limit(1, 1, 0)
        self.verdict = _judged(of, leaf).verdict

    def _row(self, f: Along, h: float) -> Quotient:
        value = f(f.a + h)
        quotient = (value - f(f.a)) / h
        return Quotient(h, value, quotient, abs(quotient - self.derivative))

    def _table(self) -> tuple[list[list[str]], list[str]]:
        C, w, h = self.root, self.leaf, self._h
        errors = [row.error for row in self.rows if math.isfinite(row.error)]
        best = (
            next((row for row in reversed(self.rows) if row.error == min(errors) < max(errors)), None)
            if errors
            else None
        )
        cells = [[h, f"{C}({w} + {h})", "quotient", "error", ""]]
        for row in self.rows:
            mark = "← smallest error" if row is best and not self._is_straight else f"← {h}" if row.h == self.h else ""
            numbers = [number(row.value, ".12g"), number(row.quotient, ".12g"), number(row.error, ".1e")]
            cells.append([number(row.h, ".4g"), *numbers, mark])
        notes = []
        if best and self.rows[-1].error > best.error and self.verdict.startswith("agrees"):
            lost = f"of {C}({w} + {h}) − {C}({w}) rounding leaves few digits, and / {h} enlarges what it lost"
            rises = f"Below {h} = {number(best.h, '.4g')} the error rises"
            straight = f"From {w} to {w} + 0.1 the function is a straight line: each {h} gives its slope"
            straight += ". The error is rounding"
            notes.append(f"{straight if self._is_straight else rises}: {lost}.")
        if self.best_h:
            central = f"({C}({w} + {h}) − {C}({w} − {h}))/2{h} = {number(self.central_difference, '.12g')}"
            notes.append(f"central difference: {central} at its best {h} = {number(self.best_h, '.2g')}")
        notes.append(f"verdict: {self.verdict}")
        return cells, notes

    @property
    def _is_straight(self) -> bool:
        """Whether the coarse steps find the slope, too, but for rounding."""
        coarse = [row.error for row in self.rows if row.h >= 1e-3]
        return max(coarse, default=math.inf) <= 1e-10 * abs(self.derivative)

    @property
    def _limit(self) -> str:
        C, w, h = self.root, self.leaf, self._h
        left, quotient = f"∂{together(C)}/∂{together(w)}", f"({C}({w} + {h}) − {C}({w}))/{h}"
        value = number(self.derivative, ".12g")
        if self.verdict.startswith(("kink", "jump")):
            return f"{left} = {value} by convention: {quotient} has no limit as {h} → 0"
        return f"{left} = lim {h}→0 {quotient} = {value}"

    def __str__(self) -> str:
        cells, notes = self._table()
        below = [line for note in notes for line in wrapped(note)]
        return "\n".join([*wrapped(self._limit), *aligned(cells), *below])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return as_html(self._limit, *self._table())


def nudge(root: Value, leaf: Value | str, h: float = 1e-6, *, names: Mapping[str, object] | None = None) -> Nudge:
    """The derivative as a limit: how a tiny nudge h in `leaf` changes `root` (001, partial derivative).

    leaf   a leaf of the graph of `root`, or its name
    h      the step, a positive number
    names  names for values without a label, as {"w": w}; None: the variables of the calling code

    Nothing in the graph changes. TypeError or ValueError if `root` is no computed Value, `leaf` is not one of its
    leaves or a name that none or two have, or h is not positive and finite; StaleGraphError if a leaf was set since.

    >>> w, a, y = Value(0.6, "w"), Value(1.5, "a"), Value(1.0, "y")
    >>> n = nudge((w * a - y) ** 2, w)
    >>> round(n.derivative, 12), round(n.forward_difference, 5), round(n.central_difference, 9)
    (-0.3, -0.3, -0.3)
    >>> print(n)
    ∂f/∂w = lim h→0 (f(w + h) − f(w))/h = −0.3
    h        f(w + h)...
    """
    of = NudgedGraph(root, "nudge", graph.caller_variables() if names is None else names)
    step = required(h, "nudge takes as h")
    if not 0.0 < step < math.inf:
        raise ValueError(f"the nudge h is a positive finite number, as 1e-6, not {shown(h)}")
    return Nudge(of, of.leaf(leaf), step)


def _short(name: str, otherwise: str, taken: str) -> str:
    """A name as it prints in a formula; the notes' f or a for one without, if the other is not called that."""
    return fitted(unicode_of(name), 10) or (otherwise if otherwise != taken else "x" if otherwise == "a" else "C")

"""The derivative as a limit (001): nudge a leaf by a tiny h, see how far the root moves, compare with the engine.

    ∂f/∂a = lim h→0 (f(a + h) − f(a))/h                                            (001, partial derivative)

In float64 the error of that quotient falls with h, then rises again: f(a + h) − f(a) keeps only the digits in which
the two differ, and rounding's share is divided by h. `nudge` shows it for one leaf, `check_gradients` tests every leaf.

Both compute on the side and change nothing. The difference they compare with is extrapolated to h = 0 from a scan over
h = 2⁻ᵏ, at the step of the smallest estimated error (Ridders 1982, Adv. Eng. Softw. 4(2), 75-76). What rounding can do
to f(x) is bounded to first order by Σₙ |∂f/∂n|·ulp(n) over the nodes n above the leaf (Linnainmaa 1976, BIT 16).
"""

from __future__ import annotations

import html
import math
import sys
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from tinygrad_scalar import graph, ops
from tinygrad_scalar.errors import shown
from tinygrad_scalar.notation import Notation, together, unicode_of
from tinygrad_scalar.number import required
from tinygrad_scalar.sensitivity import gradients, name_of, required_graph
from tinygrad_scalar.stepper import find
from tinygrad_scalar.value import Value
from tinygrad_scalar.walk import pass_order

LINES = 20  # rows of a table that is cut short: the worst
MOST_LEAVES = 200  # with more leaves than this it is
SAFETY = 10.0  # times the estimated error: what a difference may be off by
EXTRAPOLATIONS = 4  # the last has an error of h¹⁰, and rounding is at most doubled
WIDTH = 80


class _Graph:
    """A graph and who uses each of its nodes; its gradients and the sizes of the terms they are sums of."""

    def __init__(self, root: Value, asked: str) -> None:
        self.root = root
        self.nodes = required_graph(root, asked)
        self.called = graph.names(root, {})
        self.notation = Notation(self.nodes, self.called)
        self.gradients = gradients(root)
        self.sizes = _path_sums(root)
        self.largest = max(self.sizes[node] for node in self.nodes if not node.operands)
        self._place = {node: i for i, node in enumerate(self.nodes)}
        self._users: dict[Value, list[Value]] = {node: [] for node in self.nodes}
        for node in self.nodes:
            for operand in node.operands:
                self._users[operand].append(node)

    def leaf(self, target: Value | str) -> Value:
        """The leaf that is meant: itself, or by its label."""
        node = find(self.root, target, self._place, self.called)
        if node.operands:
            raise ValueError(f"{node.label or repr(node)} was computed ({node.op!r}): only a leaf can be nudged")
        return node

    def along(self, leaf: Value) -> _Along:
        """The root as a function of `leaf`."""
        above: set[Value] = set()
        todo = [leaf]
        while todo:
            fresh = [user for user in self._users[todo.pop()] if user not in above]
            above.update(fresh)
            todo.extend(fresh)
        return _Along(leaf, sorted(above, key=self._place.__getitem__))


def _path_sums(root: Value) -> dict[Value, float]:
    """Σ over paths |∏ local gradients|: the size of the terms which add up to each node's gradient."""
    sums = {root: 1.0}
    for node in reversed(pass_order(root)):
        for operand, local_grad in zip(node.operands, node.local_grads):
            sums[operand] = sums.get(operand, 0.0) + abs(local_grad) * sums[node]
    return sums


class _Along:
    """The root as a function f of one leaf, at `a`: only the nodes above the leaf are computed."""

    def __init__(self, leaf: Value, above: Sequence[Value]) -> None:
        self.a = leaf.data
        self._numbers = [leaf.data]
        self._program: list[tuple[int, ops.Operation, tuple[int, ...]]] = []
        places = {leaf: 0}
        for node in above:
            for value in (*node.operands, node):
                if value not in places:
                    places[value] = len(self._numbers)
                    self._numbers.append(value.data)
            operands = tuple(places[operand] for operand in node.operands)
            self._program.append((places[node], ops.operation(node.op), operands))

    def __len__(self) -> int:
        return len(self._program)

    def _at(self, x: float) -> list[float]:
        numbers = self._numbers.copy()
        numbers[0] = x
        for i, row, operands in self._program:
            numbers[i] = row.forward(*[numbers[j] for j in operands])
        return numbers

    def __call__(self, x: float) -> float:
        """f(x); nan where an operation of the user's own raises."""
        try:
            return self._at(x)[-1]
        except (ArithmeticError, ValueError):
            return math.nan

    def rounding(self, x: float) -> float:
        """Σₙ |∂f/∂n|·ulp(n) at x: how far f(x) may be off."""
        numbers = self._at(x)
        slopes = [0.0] * len(numbers)
        slopes[-1] = 1.0
        total = 0.0
        for i, row, operands in reversed(self._program):
            if slopes[i] == 0.0:
                continue
            total += abs(slopes[i]) * math.ulp(numbers[i])
            for j, local_grad in zip(operands, row.local_grads(numbers[i], *[numbers[j] for j in operands])):
                slopes[j] += local_grad * slopes[i]
        return total if total == total else math.inf

    def steps(self) -> list[float]:
        """Powers of two from 1/32 of |a| or of 1 downwards; then, if |a| is tiny, from 1/32 of it, after a 0."""

        def down_from(size: float, n: int) -> list[float]:
            exponent = math.frexp(size)[1] - 5
            return [math.ldexp(1.0, exponent - k) for k in range(n)]

        tiny = [0.0, *down_from(self.a, 25)] if 0.0 < abs(self.a) < 1e-6 else []
        return down_from(max(abs(self.a), 1.0), 50) + tiny

    def limit(self, left: int, right: int, extrapolations: int = EXTRAPOLATIONS, *, thorough: bool = True) -> _Limit:
        """The limit of (f(a + right·h) − f(a − left·h))/((left + right)·h): central for 1, 1, one-sided with a 0.

        The error of the quotient is a series in h² or in h, whose terms are removed one by one (Richardson). If not
        `thorough`, rounding is estimated at a alone, and nine digits are enough.
        """
        order = left + right
        middle, at_a = self(self.a), self.rounding(self.a)
        best, coarser, bend_of_2h = _Limit(math.nan, 0.0, math.inf), list[float](), math.inf
        for h in self.steps():
            low, high = self.a - left * h, self.a + right * h
            f_low, f_high = self(low) if left else middle, self(high) if right else middle
            quotient = (f_high - f_low) / (high - low) if high > low else math.nan
            if not math.isfinite(quotient):
                coarser, bend_of_2h = [], math.inf
                continue
            # The right slope minus the left one, f″(a)·h: where it does not fall with h, there is a kink at this scale.
            bend = abs((f_high - middle) - (middle - f_low)) / h if left and right else 0.0
            kink, bend_of_2h = (bend if bend > 0.75 * bend_of_2h else 0.0), bend
            row = [quotient]
            estimates = [(abs(quotient - coarser[0]), quotient)] if coarser else []
            for j, of_2h in enumerate(coarser[:extrapolations]):
                row.append(row[j] + (row[j] - of_2h) / (2.0 ** (order * (j + 1)) - 1.0))
                estimates.append((max(abs(row[-1] - row[j]), abs(row[-1] - of_2h)), row[-1]))
            coarser = row
            error, value = min(estimates, default=(math.inf, math.nan))
            error += kink + 2.0 * at_a / (high - low)
            if error < best.error or _contradicts(value, error, best):
                if thorough:
                    error += (self.rounding(low) + self.rounding(high)) / (high - low)
                if error < best.error or _contradicts(value, error, best):
                    best = _Limit(value, h, error)
            if not thorough and best.error <= 1e-9 * abs(best.value):
                break
        return best

    def settles(self, d: float, h: float) -> bool:
        """Whether f has the digits to tell that its slope is not d, also at steps finer than the best one, h."""
        if self.rounding(self.a) + abs(d) * math.ulp(self.a) > 0.01 * abs(self(self.a)):
            return False
        finer = min(h / 64.0, 1.0 / 32.0)
        low, high = self.a - finer, self.a + finer
        rounding = self.rounding(self.a) + self.rounding(low) + self.rounding(high)
        return abs(self(high) - self(low) - d * (high - low)) > SAFETY * rounding

    def jumps(self, side: int) -> bool:
        """Whether f(a + side·h) stays away from f(a) as h → 0: it does not shrink as h is divided by 1024."""
        h = max(2.0**-60, 8.0 * math.ulp(self.a))
        x = self.a + side * h
        near, further = (abs(self(point) - self(self.a)) for point in (x, self.a + side * 1024.0 * h))
        return near > 0.5 * further and near > SAFETY * (self.rounding(x) + self.rounding(self.a))


class _Limit(NamedTuple):
    """The value of a limit, the step it was found at (0 for none), and its estimated error."""

    value: float
    h: float
    error: float


def _contradicts(value: float, error: float, coarser: _Limit) -> bool:
    """Whether an estimate cannot be the same number as one from a larger h: then f is smooth only from here on."""
    return abs(value - coarser.value) > SAFETY * (error + coarser.error)


class CheckedLeaf(NamedTuple):
    """A row of a GradientCheck: ∂C/∂leaf by the engine and by differences, and how they compare."""

    name: str
    derivative: float
    difference: float
    error: float
    verdict: str
    ok: bool


def _judged(of: _Graph, leaf: Value) -> CheckedLeaf:
    f, d, size = of.along(leaf), of.gradients[leaf], of.sizes[leaf]
    name = unicode_of(name_of(leaf, of.notation))

    def checked(difference: float, off: float, verdict: str, ok: bool, scale: float = 0.0) -> CheckedLeaf:
        scale = max(abs(d), abs(difference), scale)
        return CheckedLeaf(name, d, difference, off / scale if off else 0.0, verdict, ok)

    for what, number in ((f"{of.notation.name(of.root)} itself", of.root.data), ("the derivative", d)):
        if not math.isfinite(number):
            return CheckedLeaf(name, d, math.nan, math.inf, f"not finite: {what} is {_number(number)}", False)

    allowed = len(f) * sys.float_info.epsilon * size  # the rounding of the chain rule itself

    def agrees(limit: _Limit) -> bool:
        return abs(limit.value - d) <= SAFETY * limit.error + allowed and limit.error < math.inf

    central = f.limit(1, 1, thorough=False)
    if not (agrees(central) and central.error <= 1e-6 * abs(d)):
        central = f.limit(1, 1)
    off = abs(central.value - d)
    scale = size
    if central.h:
        scale = max(size, *(abs(f(f.a + h) - of.root.data) / central.h for h in (central.h, -central.h)))
    error = max(off, central.error)
    if d == 0.0 == central.value and error <= 1e-3 * max(of.largest, sys.float_info.min):
        return checked(0.0, 0.0, "both are 0", True)
    if agrees(central) and error <= 1e-3 * scale:
        digits = math.floor(-math.log10(error / scale)) if error else 16
        return checked(central.value, off, f"agrees to {min(digits, 16)} digits", True, scale)

    # From here on: not smooth, too rough to tell, or wrong.
    left, right = f.limit(1, 0), f.limit(0, 1)
    tolerance = SAFETY * (left.error + right.error) + allowed
    jumping = [side for side, sign in (("left", -1), ("right", 1)) if f.jumps(sign)]
    if jumping:
        verdict = f"jump: {' and '.join(jumping)} of here the function is elsewhere, the derivative a convention"
        return CheckedLeaf(name, d, math.nan, 0.0, verdict, True)
    if abs(left.value - right.value) > max(tolerance, 1e-3 * off):
        low, high = sorted((left.value, right.value))
        outside = max(low - tolerance - d, d - high - tolerance, 0.0)
        place = "not between them" if outside else "between them"
        slopes = f"slope {_number(left.value)} on the left, {_number(right.value)} on the right"
        return checked(central.value, outside, f"kink: {slopes}; the derivative is {place}", not outside)
    if agrees(central):
        return checked(
            central.value, 0.0, f"agrees: but rounding hides all below ±{_number(central.error, '.1g')}", True
        )
    for limit, side, other in ((right, "right", left), (left, "left", right)):
        if not other.h and agrees(limit):
            verdict = f"edge: agrees on the {side}, the function is not finite on the other side"
            return checked(limit.value, 0.0, verdict, True)
    if not central.h:
        return checked(math.nan, math.inf, "not finite: no values around here to compare with", False, 1.0)
    if not f.settles(d, central.h):
        verdict = (
            f"undecided: off by {_number(off, '.2g')}, but rounding hides how the function runs between finer steps"
        )
        return checked(central.value, off, verdict, False, scale)
    verdict = (
        f"disagrees: off by {_number(off, '.2g')}, where ±{_number(SAFETY * central.error + allowed, '.1g')} is allowed"
    )
    return checked(central.value, off, f"{verdict}; an operation's local gradient is wrong", False, scale)


# --- every leaf ------------------------------------------------------------------------------------------------------


class GradientCheck:
    """What `check_gradients` returns: prints as a table, is true if it is `.ok`.

    rows       for each leaf: name, derivative (the engine's), difference (central), error, verdict, ok
    ok         whether every row is
    max_error  the largest error, relative to the largest of both derivatives, the terms that the derivative is a sum of
               (Σ over paths |∏ local gradients|) and the one-sided slopes at the step that was taken; 0 where no
               central difference can tell (kink, jump, edge, rounding) and the derivative is right
    """

    def __init__(self, root: str, rows: Sequence[CheckedLeaf]) -> None:
        self.root, self.rows = root, tuple(rows)

    @property
    def ok(self) -> bool:
        return all(row.ok for row in self.rows)

    @property
    def max_error(self) -> float:
        return max(row.error for row in self.rows)

    def __bool__(self) -> bool:
        return self.ok

    def _table(self) -> tuple[list[list[str]], list[str]]:
        """The cells, those of the head first, and the sentences below them."""
        shown_rows = self.rows
        if len(self.rows) > MOST_LEAVES:
            shown_rows = tuple(sorted(self.rows, key=lambda row: (row.ok, -row.error))[:LINES])
        cells = [["leaf θ", f"∂{together(self.root)}/∂θ", "difference", "error", "verdict"]]
        for row in shown_rows:
            numbers = [_number(row.derivative), _number(row.difference), _number(row.error, ".1g")]
            cells.append([row.name, *numbers, row.verdict.partition(":")[0]])
        notes = [f"{row.name}: {row.verdict}" for row in shown_rows if ":" in row.verdict]
        if len(notes) > LINES:
            notes[LINES:] = [f"… and {len(notes) - LINES:,} more"]
        if len(shown_rows) < len(self.rows):
            notes.insert(0, f"… the worst {LINES} of {len(self.rows):,} leaves")
        wrong = sum(not row.ok for row in self.rows)
        most = f"the largest error is {_number(self.max_error, '.1g')}"
        agree = f"all {len(self.rows):,} derivatives agree" if len(self.rows) > 1 else "the derivative agrees"
        notes.append(f"{wrong:,} of {len(self.rows):,} do not agree" if wrong else f"{agree}; {most}")
        return cells, notes

    def __str__(self) -> str:
        cells, notes = self._table()
        return "\n".join([*_aligned(cells), *(line for note in notes for line in _wrapped(note))])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return _html(*self._table())


def check_gradients(root: Value, *leaves: Value | str) -> GradientCheck:
    """Compare the derivatives of `root` with difference quotients: for all leaves of its graph, or for those given.

    A leaf is given as itself or by its label. A derivative agrees if it is within the rounding of float64 and the
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
    of = _Graph(root, "check_gradients")
    chosen = [of.leaf(leaf) for leaf in leaves] or [node for node in of.nodes if not node.operands]
    return GradientCheck(of.notation.name(root), [_judged(of, leaf) for leaf in dict.fromkeys(chosen)])


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

    def __init__(self, of: _Graph, leaf: Value, h: float) -> None:
        f = of.along(leaf)
        self.h, self.derivative = h, of.gradients[leaf]
        self.root, self.leaf = _short(of.root.label, "f", leaf.label), _short(leaf.label, "a", of.root.label)
        steps = {h, *(float(f"1e-{k}") for k in range(1, 16))}
        self.rows = tuple(self._row(f, step) for step in sorted(steps, reverse=True))
        asked = next(row for row in self.rows if row.h == h)
        self.forward_difference, self.error = asked.quotient, asked.error
        self.central_difference, self.best_h, _ = f.limit(1, 1, 0)
        self.verdict = _judged(of, leaf).verdict

    def _row(self, f: _Along, h: float) -> Quotient:
        value = f(f.a + h)
        quotient = (value - f(f.a)) / h
        return Quotient(h, value, quotient, abs(quotient - self.derivative))

    def _table(self) -> tuple[list[list[str]], list[str]]:
        C, w = self.root, self.leaf
        best = min(self.rows, key=lambda row: row.error if row.error == row.error else math.inf)
        cells = [["h", f"{C}({w} + h)", "quotient", "error", ""]]
        for row in self.rows:
            mark = "← smallest error" if row is best else "← h" if row.h == self.h else ""
            numbers = [_number(row.value, ".12g"), _number(row.quotient, ".12g"), _number(row.error, ".1e")]
            cells.append([_number(row.h, ".4g"), *numbers, mark])
        notes = []
        if self.rows[-1].error > best.error:
            rises = f"Below h = {_number(best.h, '.4g')} the error rises"
            lost = f"of {C}({w} + h) − {C}({w}) rounding leaves few digits, and / h enlarges what it lost"
            notes.append(f"{rises}: {lost}.")
        if self.best_h:
            central = f"({C}({w} + h) − {C}({w} − h))/2h = {_number(self.central_difference, '.12g')}"
            notes.append(f"central difference: {central} at its best h = {_number(self.best_h, '.2g')}")
        notes.append(f"verdict: {self.verdict}")
        return cells, notes

    @property
    def _limit(self) -> str:
        C, w = self.root, self.leaf
        left = f"∂{together(C)}/∂{together(w)}"
        return f"{left} = lim h→0 ({C}({w} + h) − {C}({w}))/h = {_number(self.derivative, '.12g')}"

    def __str__(self) -> str:
        cells, notes = self._table()
        below = [line for note in notes for line in _wrapped(note)]
        return "\n".join([*_wrapped(self._limit), *_aligned(cells), *below])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        cells, notes = self._table()
        return f"<p>{html.escape(self._limit)}</p>\n{_html(cells, notes)}"


def nudge(root: Value, leaf: Value | str, h: float = 1e-6) -> Nudge:
    """The derivative as a limit: how a tiny nudge h in `leaf` changes `root` (001, partial derivative).

    leaf  a leaf of the graph of `root`, or its label
    h     the step, a positive number

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
    of = _Graph(root, "nudge")
    step = required(h, "nudge takes as h")
    if not 0.0 < step < math.inf:
        raise ValueError(f"the nudge h is a positive finite number, as 1e-6, not {shown(h)}")
    return Nudge(of, of.leaf(leaf), step)


# --- how both print --------------------------------------------------------------------------------------------------


def _number(number: float, digits: str = ".6g") -> str:
    return f"{number + 0.0:{digits}}".replace("-", "−")  # −0 is written 0


def _fitted(text: str, width: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1] + "…"


def _short(label: str, otherwise: str, taken: str) -> str:
    """A label as it prints in a formula; the notes' f or a for one without, if the other is not called that."""
    return _fitted(unicode_of(label), 10) or (otherwise if otherwise != taken else "x" if otherwise == "a" else "C")


def _aligned(cells: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table: the first and the last column left, numbers right."""
    rows = [[_fitted(cell, 19) for cell in row] for row in cells]
    widths = [max(map(len, column)) for column in zip(*rows)]
    widths[0] = min(widths[0], WIDTH - sum(widths[1:]) - 2 * (len(widths) - 1))
    lines = []
    for first, *middle, last in rows:
        numbers = "".join(f"  {cell:>{width}}" for cell, width in zip(middle, widths[1:]))
        lines.append(f"{_fitted(first, widths[0]):<{widths[0]}}{numbers}  {last}".rstrip())
    return lines


def _wrapped(sentence: str) -> list[str]:
    return textwrap.wrap(sentence, WIDTH, subsequent_indent="  ")


def _html(cells: Sequence[Sequence[str]], notes: Sequence[str]) -> str:
    head, *body = ([html.escape(cell) for cell in row] for row in cells)
    rows = "".join(f"<tr><td>{'</td><td>'.join(row)}</td></tr>\n" for row in body)
    below = "".join(f"<p>{html.escape(note)}</p>\n" for note in notes)
    heading = f"<thead><tr><th>{'</th><th>'.join(head)}</th></tr></thead>"
    return f"<table>\n{heading}\n<tbody>\n{rows}</tbody>\n</table>\n{below}"

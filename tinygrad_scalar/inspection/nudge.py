"""`nudge`: the derivative as a limit (001). Nudge a leaf by a tiny h and see how far the root moves.

    ∂f/∂a = lim h→0 (f(a + h) − f(a))/h                                            (001, partial derivative)

In float64 the error of that quotient falls with h, then rises again: f(a + h) − f(a) keeps only the digits in which
the two differ, and rounding's share is divided by h. `nudge` shows this for one leaf and changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.engine.number import required
from tinygrad_scalar.inspection.brackets import single
from tinygrad_scalar.inspection.finite_differences import Along, NudgedGraph
from tinygrad_scalar.inspection.judgement import Verdict, judged
from tinygrad_scalar.inspection.layout import aligned, as_html, fitted, wrapped
from tinygrad_scalar.inspection.names import caller_variables
from tinygrad_scalar.inspection.notation import unicode_of, written
from tinygrad_scalar.screen import for_stdout


class Quotient(NamedTuple):
    """A row of a Nudge: f(a + h), (f(a + h) − f(a))/h, and how far that is from the derivative."""

    h: float
    value: float
    quotient: float
    error: float


class Nudge:
    """The result of `nudge`: prints as the limit and a table of its quotients, shows as a table in Jupyter.

    derivative          the engine's, ∂root/∂leaf
    h                   the step asked for
    forward_difference  (f(a + h) − f(a))/h at that step
    error               how far that is from the derivative
    central_difference  (f(a + h) − f(a − h))/2h at `best_h`, the step with the least estimated error (nan, 0 if none)
    rows                for h and for 1e-1 to 1e-15, descending: h, value f(a + h), quotient, error
    verdict             how derivative and differences compare, as in `check_gradients`
    """

    def __init__(self, graph: NudgedGraph, leaf: Value, h: float) -> None:
        f = graph.along(leaf)
        self.h, self.derivative = h, graph.gradients[leaf]
        root_name, leaf_name = (graph.notation.called.get(value, "") for value in (graph.root, leaf))
        self.root, self.leaf = _short(root_name, "f", leaf_name), _short(leaf_name, "a", root_name)
        names = {self.root, self.leaf, *map(unicode_of, graph.notation.called.values())}
        self._h = next((letter for letter in "hεδη" if letter not in names), "Δ")
        steps = {h, *(float(f"1e-{k}") for k in range(1, 16))}
        self.rows = tuple(self._row(f, step) for step in sorted(steps, reverse=True))
        asked = next(row for row in self.rows if row.h == h)
        self.forward_difference, self.error = asked.quotient, asked.error
        self.central_difference, self.best_h, _ = f.limit(1, 1, 0)
        self.verdict = judged(graph, f).verdict

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, verdict=Verdict.read(state["verdict"]))

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
            numbers = [written(row.value + 0.0, ".12g"), written(row.quotient + 0.0, ".12g"), written(row.error, ".1e")]
            cells.append([written(row.h, ".4g"), *numbers, mark])
        notes = []
        if best and self.rows[-1].error > best.error and self.verdict.word == "agrees":
            lost = f"rounding leaves few digits of {C}({w} + {h}) − {C}({w}), and dividing by {h} enlarges the error"
            rises = f"Below {h} = {written(best.h, '.4g')} the error rises"
            straight = f"From {w} to {w} + 0.1 the function is a straight line: each {h} gives its slope"
            straight += ". The error is rounding"
            notes.append(f"{straight if self._is_straight else rises}: {lost}.")
        if self.best_h:
            central = f"({C}({w} + {h}) − {C}({w} − {h}))/2{h} = {written(self.central_difference + 0.0, '.12g')}"
            notes.append(f"central difference: {central} at its best {h} = {written(self.best_h, '.2g')}")
        notes.append(f"verdict: {self.verdict}")
        return cells, notes

    @property
    def _is_straight(self) -> bool:
        """Whether the coarse steps find the slope as well, up to rounding."""
        coarse = [row.error for row in self.rows if row.h >= 1e-3]
        return max(coarse, default=math.inf) <= 1e-10 * abs(self.derivative)

    @property
    def _limit(self) -> str:
        C, w, h = self.root, self.leaf, self._h
        left, quotient = f"∂{single(C)}/∂{single(w)}", f"({C}({w} + {h}) − {C}({w}))/{h}"
        value = written(self.derivative + 0.0, ".12g")
        if self.verdict.word in ("kink", "jump"):
            return f"{left} = {value} by convention: {quotient} has no limit as {h} → 0"
        return f"{left} = lim {h}→0 {quotient} = {value}"

    def __str__(self) -> str:
        cells, notes = self._table()
        below = [line for note in notes for line in wrapped(note)]
        return for_stdout("\n".join([*wrapped(self._limit), *aligned(cells), *below]))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return as_html(self._limit, *self._table())


def nudge(root: Value, leaf: Value | str, h: float = 1e-6, *, names: Mapping[str, object] | None = None) -> Nudge:
    """The derivative as a limit: how a tiny nudge h of `leaf` changes `root` (001, partial derivative).

    leaf   a leaf of the graph of `root`, or its name
    h      the step, a positive number
    names  names for values without a label, such as {"w": w}; None: the variables of the calling code

    Nothing in the graph changes. TypeError or ValueError if `root` is not a computed Value, `leaf` is neither one of
    its leaves nor the name of one, or h is not positive and finite; StaleGraphError if the graph is stale.

    >>> w, a, y = Value(0.6, "w"), Value(1.5, "a"), Value(1.0, "y")
    >>> n = nudge((w * a - y) ** 2, w)
    >>> round(n.derivative, 12), round(n.forward_difference, 5), round(n.central_difference, 9)
    (-0.3, -0.3, -0.3)
    >>> print(n)
    ∂f/∂w = lim h→0 (f(w + h) − f(w))/h = −0.3
    h        f(w + h)...
    """
    graph = NudgedGraph(root, "nudge", caller_variables() if names is None else names)
    step = required(h, "h")
    if not 0.0 < step < math.inf:
        raise ValueError(f"the nudge h must be a positive finite number, such as 1e-6, got {shown(h)}")
    return Nudge(graph, graph.leaf(leaf), step)


def _short(name: str, otherwise: str, taken: str) -> str:
    """A name as it prints in a formula; for a value without one, the notes' f or a unless the other is called that."""
    return fitted(unicode_of(name), 10) or (otherwise if otherwise != taken else "x" if otherwise == "a" else "C")

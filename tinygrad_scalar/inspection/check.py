"""`check_gradients`: the derivative of every leaf beside the limit of its difference quotients (001).

    ∂f/∂a = lim h→0 (f(a + h) − f(a))/h                                            (001, partial derivative)

Both are computed on the side, and nothing changes.
"""

from __future__ import annotations

import random
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tinygrad_scalar.engine import Value
from tinygrad_scalar.inspection.brackets import single
from tinygrad_scalar.inspection.finite_differences import NudgedGraph
from tinygrad_scalar.inspection.judgement import CheckedLeaf as CheckedLeaf, Verdict as Verdict, judged
from tinygrad_scalar.inspection.layout import aligned, as_html, wrapped
from tinygrad_scalar.inspection.names import caller_variables
from tinygrad_scalar.inspection.notation import written
from tinygrad_scalar.screen import for_stdout

LINES = 20  # rows of a shortened table: the worst
MOST_LEAVES = 200  # with more leaves than this the table is shortened
SAMPLE = 1_000  # leaves that are checked if none are given and the graph has more
PATIENCE = 2.0  # seconds until a progress bar appears


class GradientCheck:
    """The result of `check_gradients`: prints as a table, is true if `.ok`.

    rows       for each leaf: name, derivative (the engine's), difference (central), error, verdict, ok
    of         how many leaves `rows` are all or a sample of
    ok         whether every row is ok; an inconclusive one (a jump, rounding) is, with an error of nan
    max_error  the largest error, including the difference's own, relative to the largest of derivative, difference,
               the derivative's terms (Σ over paths |∏ local gradients|) and one-sided slopes at the step taken; 0 at a
               kink and at an edge of the domain where the derivative is right
    """

    def __init__(self, root: str, rows: Sequence[CheckedLeaf], of: int = 0) -> None:
        self.root, self.rows = root, tuple(rows)
        self.of = of or len(self.rows)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.root = state["root"]
        self.rows = tuple(row._replace(verdict=Verdict.read(row.verdict)) for row in state["rows"])
        self.of = state.get("of", len(self.rows))

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
        if len(self.rows) < self.of:
            how = "give leaves, such as *ts.leaves(C), to check those"
            notes.append(f"a sample: {len(self.rows):,} of {self.of:,} leaves; {how}")
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

    leaves  leaves of the graph of `root`, or their names. None: all but the bare numbers of a formula, such as the 2
            of 2 * x; of more than a thousand, always the same thousand, chosen at random
    names   names for values without a label, such as {"w": w}; None: the variables of the calling code

    A derivative agrees if it is within float64 rounding and the estimated error of the best difference. At a
    kink (relu at 0) any slope between the left and the right one is right; nan and inf never are. Where rounding leaves
    the difference too few digits, each operation above the leaf is checked by itself. After two seconds a progress bar
    appears in a terminal or notebook. Nothing in the graph changes. TypeError or ValueError if `root` is not a computed
    Value, or one of `leaves` is neither a leaf of its graph nor the name of one; StaleGraphError if the graph is stale.

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
    candidates = graph.chosen(leaves) or graph.variables or graph.leaves
    checked = candidates
    if not leaves and len(candidates) > SAMPLE:
        places = random.Random(0).sample(range(len(candidates)), SAMPLE)
        checked = [candidates[i] for i in sorted(places)]
    progress = _Progress(len(checked))
    graph.after_each_pass = progress.tick
    rows = [judged(graph, f) for f in progress.counted(graph.along_each(checked))]
    return GradientCheck(graph.notation.name(root), rows, len(candidates))


class _Progress:
    """A progress bar on stderr once the check has taken two seconds; none in a pipe or file."""

    def __init__(self, total: int) -> None:
        self._total, self._done = total, 0
        self._bar: Any = None
        self._next = time.monotonic() + PATIENCE

    def counted(self, leaves: Iterable[Any]) -> Iterator[Any]:
        """The leaves, each counted when the next one is asked for."""
        try:
            for leaf in leaves:
                yield leaf
                self._done += 1
                self.tick()
        finally:
            if self._bar is not None:
                self._bar.close()

    def tick(self) -> None:
        """Show how far it is, at most ten times a second; in a large graph a single leaf takes long."""
        if time.monotonic() < self._next or not _is_watched():
            return
        if self._bar is None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # in Jupyter without ipywidgets the bar is text
                from tqdm.auto import tqdm
            self._bar = tqdm(total=self._total, desc="checking", unit="leaf", leave=False)
        self._bar.n = self._done
        self._bar.refresh()
        self._next = time.monotonic() + 0.1


def _is_watched() -> bool:
    return (sys.stderr is not None and sys.stderr.isatty()) or "ipykernel" in sys.modules

"""What `diagnose` found, told in one paragraph: a sentence for each kind of trouble that is there."""

from __future__ import annotations

import math
import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from tinygrad_scalar.inspection import names as graph
from tinygrad_scalar.inspection.layout import WIDTH
from tinygrad_scalar.inspection.notation import unicode_of, written
from tinygrad_scalar.inspection.sensitivity import Row

SHOWN = 3  # examples that a sentence gives
# What a leaf's .grad is when it is not what the graph gives.
CAUSES = {
    "times": "{times} times what this graph gives, as backward() was called {times} times without zero_grad()",
    "sum": "the sum of what this graph gives and of an older gradient, or another graph's, without zero_grad() between",
    "other": "not what this graph gives now but older, or another graph's: backward() was not called since its numbers "
    "changed, or zero_grad() was forgotten",
}


class BadNode(NamedTuple):
    """A node that is nan or inf: its name, data and operation ("" for a leaf), and why, in words."""

    name: str
    data: float
    op: str
    why: str


class BadGradient(NamedTuple):
    """A gradient that is nan or inf: whose, and through what it became so, as "b = log(a)", from which factors."""

    name: str
    gradient: float
    through: str
    local_grad: float
    upstream: float


class Saturated(NamedTuple):
    """An activation where it is flat: name, equation, slope, and whether a vanishing gradient passes through it.

    `dead`: its slope is 0, and nowhere in the graph (for no example) has an activation of this name another.
    """

    name: str
    equation: str
    slope: float
    blocks: bool
    dead: bool


class Forgotten(NamedTuple):
    """A leaf whose .grad, `held`, is not this graph's gradient: why, a key of CAUSES, and how many times that."""

    name: str
    held: float
    gradient: float
    cause: str
    times: int


class Diagnosis(NamedTuple):
    """What `diagnose` returns: prints as a paragraph; `.text` is that in one line, `.ok` whether nothing is wrong.

    first_bad             the first node, operands before results, that is nan or inf; or None
    bad_gradient          the first gradient of the backward pass that is; or None
    vanishing, exploding  the leaves with such a gradient as Rows (name, data, gradient, contribution), worst first
    saturated             every flat activation; that is not wrong as long as no gradient vanishes through it
    forgotten             the leaves that zero_grad() forgot
    leaves                all the leaves that were looked at, as Rows; `leaves_told` says how many, and of how many
    backward_called       whether any .grad is not 0
    """

    name: str
    data: float
    first_bad: BadNode | None
    bad_gradient: BadGradient | None
    vanishing: tuple[Row, ...]
    exploding: tuple[Row, ...]
    saturated: tuple[Saturated, ...]
    forgotten: tuple[Forgotten, ...]
    leaves: tuple[Row, ...]
    leaves_told: str
    backward_called: bool

    @property
    def ok(self) -> bool:
        return not (self.first_bad or self.bad_gradient or self.vanishing or self.exploding or self.forgotten)

    @property
    def text(self) -> str:
        return " ".join(" ".join(tell(self) for tell in _SENTENCES).split())

    def __str__(self) -> str:
        return textwrap.fill(self.text, WIDTH, break_on_hyphens=False)

    def __repr__(self) -> str:
        return str(self)

    def _repr_markdown_(self) -> str:
        return re.sub(r"([\\`*_{}\[\]<>#|$~])", r"\\\1", self.text)


# --- telling ----------------------------------------------------------------------------------------------------------


def _tell_first_bad(d: Diagnosis) -> str:
    if (bad := d.first_bad) is None:
        return ""
    above = "" if d.name == unicode_of(bad.name) else f"; above it {d.name} = {written(d.data)}"
    return f"The first number that is nan or inf: {bad.why}{above}."


def _tell_bad_gradient(d: Diagnosis) -> str:
    if (bad := d.bad_gradient) is None:
        return ""
    reached = sum(not math.isfinite(row.gradient) for row in d.leaves)
    local_grad, upstream, product = map(written, (bad.local_grad, bad.upstream, bad.local_grad * bad.upstream))
    return (
        f"Going backward, the gradient of {unicode_of(bad.name)} becomes {written(bad.gradient)} "
        f"through {bad.through}: local gradient {local_grad} × upstream gradient {upstream} = {product}; "
        f"nan or inf reaches {reached} of {len(d.leaves)} leaves."
    )


def _layers(names: Iterable[str], of: Iterable[str] = ()) -> str:
    """How many of the names are in each layer, and of how many, where they are a network's."""
    counts, totals = (Counter(s.layer for s in map(graph.symbol, some) if s and s.layer) for some in (names, of))
    layers = sorted(counts, key=int)
    if len(layers) > SHOWN:
        return f" (in {len(layers)} layers from {layers[0]} to {layers[-1]})"
    told = [f"{counts[n]}{f' of {totals[n]}' if totals else ''} in layer {n}" for n in layers]
    return f" ({', '.join(told)})" if told else ""


def _some(texts: Iterable[str]) -> str:
    counts = Counter(texts)
    few = list(counts.items())[:SHOWN]
    more = counts.total() - sum(count for _, count in few)
    told = ", ".join(f"{text} ({count} times)" if count > 1 else text for text, count in few)
    return f"{told} and {more:,} more" if more else told


def _tell_sizes(d: Diagnosis, rows: Sequence[Row], verb: str) -> str:
    layers = _layers((row.name for row in rows), [row.name for row in d.leaves])
    examples = _some(f"{unicode_of(row.name)} ({written(row.gradient)})" for row in rows)
    return f"{len(rows)} of {len(d.leaves)} gradients {verb}{layers}: {examples}"


def _tell_vanishing(d: Diagnosis) -> str:
    if not d.vanishing:
        return ""
    flat = sorted((node for node in d.saturated if node.blocks), key=lambda node: not node.dead)
    slopes = _some(f"{node.equation} with slope {written(node.slope)}{' (dead)' * node.dead}" for node in flat)
    through = f"{len(flat)} flat activation{'s' * (len(flat) > 1)}{_layers(node.name for node in flat)}: {slopes}"
    return (
        f"{_tell_sizes(d, d.vanishing, 'vanish')}; through {through if flat else 'small factors, no flat activation'}."
    )


def _tell_exploding(d: Diagnosis) -> str:
    return f"{_tell_sizes(d, d.exploding, 'explode')}." if d.exploding else ""


def _tell_forgotten(d: Diagnosis) -> str:
    if not d.forgotten:
        return ""
    cause = CAUSES[d.forgotten[0].cause].format(times=d.forgotten[0].times)
    rows = _some(
        f"{unicode_of(row.name)}.grad = {written(row.held)}, not {written(row.gradient)}" for row in d.forgotten
    )
    leaves = "leaf" if len(d.forgotten) == 1 else "leaves"
    return f"The .grad of {len(d.forgotten):,} {leaves} is {cause}: {rows}."


def _tell_well(d: Diagnosis) -> str:
    if not d.ok:
        return ""
    *_, most = ranked = sorted(d.leaves, key=lambda row: abs(row.gradient))
    least, largest = (f"{written(abs(row.gradient))} ({unicode_of(row.name)})" for row in (ranked[0], most))
    which = f"the gradient of its {d.leaves_told}" if len(ranked) == 1 else f"the gradients of its {d.leaves_told}"
    if abs(ranked[0].gradient) == abs(most.gradient):
        sizes = (
            f"{which} is {largest}" if len(ranked) == 1 else f"{which} are all {written(abs(most.gradient))} in size"
        )
    else:
        sizes = f"{which} are from {least} to {largest} in size"
    still = sum(row.gradient == 0.0 for row in d.leaves) if most.gradient else 0
    flat = f"{len(d.saturated)} flat activation{'s' * (len(d.saturated) > 1)}, through which nothing vanishes"
    return (
        f"All is well with {d.name} = {written(d.data)}: every number is finite, and {sizes}."
        + (
            f" {still} of them {'are' if still > 1 else 'is'} 0, because a factor on every path to it is."
            if still
            else ""
        )
        + (f" There {'are' if len(d.saturated) > 1 else 'is'} {flat}." if d.saturated else "")
    )


def _tell_backward(d: Diagnosis) -> str:
    called = "Every .grad is 0 or what this graph gives." if d.ok else ""
    return called if d.backward_called else "backward() has not been called yet: every .grad is 0."


_SENTENCES: tuple[Callable[[Diagnosis], str], ...] = (
    _tell_first_bad, _tell_bad_gradient, _tell_vanishing, _tell_exploding, _tell_forgotten, _tell_well, _tell_backward,
)  # fmt: skip

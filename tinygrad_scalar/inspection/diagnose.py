"""`diagnose`: one paragraph on what is wrong with a graph and its gradients: nan, inf, vanishing, exploding, forgotten.

A gradient is a sum over paths of products of local gradients (000 Eq. 3 and 8), so it vanishes where the factors are
small and explodes where they are large (Bengio, Simard and Frasconi 1994, doi:10.1109/72.279181).
"""

from __future__ import annotations

import math
import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.graph import contribution, pass_order, swept
from tinygrad_scalar.engine.ops import operation
from tinygrad_scalar.inspection.layout import WIDTH
from tinygrad_scalar.inspection.named_graph import NamedGraph
from tinygrad_scalar.inspection.names import caller_variables, symbol
from tinygrad_scalar.inspection.notation import Notation, unicode_of, written
from tinygrad_scalar.inspection.sensitivity import Row, leaf_rows
from tinygrad_scalar.screen import for_stdout, printable

VANISHING = 1e-6  # at a learning rate of 1, such a gradient takes a million steps to move a weight by 1
EXPLODING = 1e6  # at a learning rate of 0.001, such a gradient moves a weight by a thousand in one step
SMALL, LARGE = 1e-3, 1e3  # a leaf beyond these is not a weight but a quantity in its own units, as in physics
SATURATED = 1e-3  # of an activation's steepest slope: gradients that pass through shrink a thousandfold
ROUNDING = 1e-9  # gradients that differ only by rounding agree to about 1e-12; an added gradient is far more
MOST_TIMES = 1000  # a gradient too large by more than this is a coincidence, not a count of backward() calls
SHOWN = 3  # examples in a sentence
# How a leaf's .grad can differ from the graph's gradient.
CAUSES = {
    "times": "{times} times this graph's gradient: backward() was called {times} times without zero_grad()",
    "sum": "the sum of this graph's gradient and an older one, or another graph's: zero_grad() was not called in "
    "between",
    "other": "an older gradient, or another graph's: backward() has not been called since the numbers changed, or "
    "zero_grad() was forgotten",
}


class BadNode(NamedTuple):
    """A node that is nan or inf: its name, data and operation ("" for a leaf), and the reason in words."""

    name: str
    data: float
    op: str
    why: str


class BadGradient(NamedTuple):
    """A gradient that is nan or inf: whose, the operation that made it so, such as "b = log(a)", and its factors."""

    name: str
    gradient: float
    through: str
    local_grad: float
    upstream: float


class Saturated(NamedTuple):
    """A flat activation: name, equation, slope, and whether a vanishing gradient passes through it.

    `dead`: the slope of every activation of this name in the graph (for every example) is 0.
    """

    name: str
    equation: str
    slope: float
    blocks: bool
    dead: bool


class Forgotten(NamedTuple):
    """A leaf whose .grad, `held`, is not this graph's gradient; `cause` is a key of CAUSES, with its {times}."""

    name: str
    held: float
    gradient: float
    cause: str
    times: int


class Diagnosis(NamedTuple):
    """The result of `diagnose`: prints as a paragraph; `.text` is the same on one line, `.ok` whether all is well.

    first_bad             the first node, operands before results, that is nan or inf; or None
    bad_gradient          the first gradient of the backward pass that is; or None
    vanishing, exploding  the leaves with such a gradient as Rows (name, data, gradient, contribution), worst first
    saturated             every flat activation, harmless unless a gradient vanishes through it
    forgotten             the leaves whose gradient zero_grad() should have cleared
    leaves                the leaves examined, as Rows; `leaves_told` says how many, and of how many in all
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
        return printable(" ".join(" ".join(tell(self) for tell in _SENTENCES).split()))

    def __str__(self) -> str:
        return for_stdout(textwrap.fill(self.text, WIDTH, break_on_hyphens=False))

    def __repr__(self) -> str:
        return str(self)

    def _repr_markdown_(self) -> str:
        return re.sub(r"([\\`*_{}\[\]<>#|$~])", r"\\\1", self.text)


def diagnose(root: Value, names: Mapping[str, object] | None = None) -> Diagnosis:
    """Find what is wrong with the graph of `root` and its gradients, and which operation causes it.

    names  names for values without a label, such as {"w": w}; None: the variables of the calling code

    Gradients are computed on the side; .grad is only read, to see what backward() and zero_grad() did. Leaves without
    a name are left out unless none has one. A relu is dead if its slope is 0 for every example, so diagnose a cost over
    many. TypeError or ValueError if `root` is not a computed Value, StaleGraphError if the graph is stale.

    >>> a = Value(0.0)
    >>> b = a.log()
    >>> print(diagnose(b))
    The first number that is nan or inf: b = log(a) = −inf because a = 0. Going
    backward, the gradient of a becomes inf through b = log(a): local gradient inf ×
    upstream gradient 1 = inf; nan or inf reaches 1 of 1 leaves. backward() has not
    been called yet: every .grad is 0.
    """
    graph = NamedGraph(root, "diagnose", caller_variables() if names is None else names)
    nodes, notation = graph.nodes, Notation(graph.nodes, graph.names)  # with the same names for all examples
    gradients, sizes, reaches = graph.gradients, _sizes(graph), _reaches(root)
    rows, leaves = leaf_rows(graph), graph.named_leaves
    ranked = sorted(leaves, key=lambda leaf: abs(gradients[leaf]))
    largest = max((abs(gradients[leaf]) for leaf in leaves if math.isfinite(gradients[leaf])), default=0.0)
    unit = {leaf: _unit(leaf, root) for leaf in leaves}
    vanishing = [leaf for leaf in ranked if _vanishes(sizes[leaf] * max(1.0, unit[leaf]), reaches[leaf], largest)]
    exploding = [leaf for leaf in ranked if EXPLODING <= abs(gradients[leaf]) * min(1.0, unit[leaf]) < math.inf]
    return Diagnosis(
        name=notation.name(root),
        data=root.data,
        first_bad=next((_bad_node(node, notation) for node in nodes if not math.isfinite(node.data)), None),
        bad_gradient=_bad_gradient(graph, notation, set(leaves)),
        vanishing=tuple(rows[leaf] for leaf in vanishing),
        exploding=tuple(rows[leaf] for leaf in reversed(exploding)),
        saturated=tuple(_saturated(nodes, vanishing, notation)),
        forgotten=tuple(_forgotten(graph, rows, sizes)),
        leaves=tuple(rows[leaf] for leaf in leaves),
        leaves_told=graph.leaves_counted,
        backward_called=any(value.grad != 0.0 for value in (root, *rows)),
    )


# --- finding ---------------------------------------------------------------------------------------------------------


def _sizes(graph: NamedGraph) -> dict[Value, float]:
    """Σ |contributions| to each gradient, which, unlike the gradient, is not small where they cancel."""
    found = dict.fromkeys(graph.nodes, 0.0)
    for node in graph.nodes:
        if node not in graph.cut_off:
            upstream = graph.gradients[node]
            for operand, local_grad in zip(node.operands, node.local_grads):
                found[operand] += abs(contribution(node.op, local_grad, upstream))
    return found


def _reaches(root: Value) -> dict[Value, float]:
    """Σ over paths |∏ local gradients|, with a slope of 1 for every activation."""
    return swept(root, lambda node, local_grad: 1.0 if operation(node.op).steepest else abs(local_grad))


def _bad_gradient(graph: NamedGraph, notation: Notation, leaves: set[Value]) -> BadGradient | None:
    """The first contribution of a backward pass that makes a gradient nan or inf, ignoring bare numbers."""
    if all(math.isfinite(gradient) for gradient in graph.gradients.values()):
        return None
    found = {graph.root: 1.0}
    for node in reversed(pass_order(graph.root)):
        upstream = found.setdefault(node, 0.0)
        if node in graph.cut_off:
            continue
        for operand, local_grad in zip(node.operands, node.local_grads):
            gradient = found.get(operand, 0.0) + contribution(node.op, local_grad, upstream)
            found[operand] = gradient
            if not math.isfinite(gradient) and (operand.op or operand in leaves):
                through = _equation(node, notation)
                return BadGradient(notation.plain(operand), gradient, through, local_grad, upstream)
    return None


def _equation(node: Value, notation: Notation) -> str:
    """The node as "b = log(a)"; as "log(a)" if that is its name; a leaf by its name."""
    name = notation.name(node)
    made = notation.made(node).text if node.op else name
    return name if made == name else f"{name} = {made}"


def _bad_node(node: Value, notation: Notation) -> BadNode:
    equation = f"{_equation(node, notation)} = {written(node.data)}"
    operands = dict.fromkeys(operand for operand in node.operands if operand.op or operand in notation.called)
    because = ", ".join(f"{_equation(operand, notation)} = {written(operand.data)}" for operand in operands)
    leaf = f"the leaf {equation}, from the start"
    why = f"{equation} because {because}" if because else equation if node.op else leaf
    return BadNode(notation.plain(node), node.data, node.op, why)


def _vanishes(size: float, reach: float, largest: float) -> bool:
    """Whether a gradient is tiny beside the largest, or tiny because activations are flat.

    A gradient that is 0 because another factor is 0 (a weight's input) has no reach; near a minimum all are tiny.
    """
    return reach > 0.0 and size <= VANISHING * min(1.0, max(largest, reach))


def _unit(leaf: Value, root: Value) -> float:
    """The factor from a gradient to that of relative changes, θ/C · ∂C/∂θ, if the leaf is in its own units; else 1."""
    size, root_size = abs(leaf.data), abs(root.data)
    is_own = 0.0 < size <= SMALL or LARGE <= size < math.inf
    return size / root_size if is_own and 0.0 < root_size < math.inf else 1.0


def _saturated(nodes: Sequence[Value], vanishing: Iterable[Value], notation: Notation) -> Iterable[Saturated]:
    above = set(vanishing)
    steepest = {node: steepest for node in nodes if node.op and (steepest := operation(node.op).steepest)}
    alive = {notation.plain(node) for node in steepest if node.local_grads[0] != 0.0}
    for node in nodes:
        if above and any(operand in above for operand in node.operands):
            above.add(node)
        if node in steepest and abs(slope := node.local_grads[0]) <= SATURATED * steepest[node]:
            name = notation.plain(node)
            yield Saturated(name, _equation(node, notation), slope, node in above, name not in alive)


def _forgotten(graph: NamedGraph, rows: Mapping[Value, Row], sizes: Mapping[Value, float]) -> Iterable[Forgotten]:
    root = graph.root
    upstream = root.grad if root.grad and math.isfinite(root.grad) else 1.0  # backward(2.0) doubles every gradient

    def holds(value: Value, times: int) -> bool:
        held, given = value.grad, times * upstream * graph.gradients[value]
        if not math.isfinite(held) or not math.isfinite(given):
            return held == given or (held != held and given != given)
        return abs(held - given) <= ROUNDING * abs(times * upstream) * sizes[value]

    wrong = [leaf for leaf in rows if leaf.grad != 0.0 and not holds(leaf, 1)]
    wrong = [leaf for leaf in wrong if leaf in graph.names] or wrong  # bare numbers only if there are no others
    given = upstream * rows[wrong[0]].gradient if wrong else 0.0
    ratio = wrong[0].grad / given if given else 0.0
    times = round(ratio) if 1.5 < ratio < MOST_TIMES and all(holds(leaf, round(ratio)) for leaf in wrong) else 0
    # backward() leaves this graph's gradients in all computed values, and adds to those of the leaves.
    was_called = root.grad and all(holds(node, 1) for node in graph.nodes if node.operands and node is not root)
    cause = "times" if times else "sum" if was_called else "other"
    return [Forgotten(rows[leaf].name, leaf.grad, rows[leaf].gradient, cause, times) for leaf in wrong]


# --- wording ----------------------------------------------------------------------------------------------------------


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


def _layers(names: Iterable[str], all_names: Iterable[str] = ()) -> str:
    """How many of the names are in each layer of a network, and out of how many."""
    counts, totals = (Counter(s.layer for s in map(symbol, some) if s and s.layer) for some in (names, all_names))
    layers = sorted(counts, key=int)
    if len(layers) > SHOWN:
        return f" (in {len(layers)} layers from {layers[0]} to {layers[-1]})"
    numbers = [f"{counts[n]}{f' of {totals[n]}' if totals else ''} in layer {n}" for n in layers]
    return f" ({', '.join(numbers)})" if numbers else ""


def _some(texts: Iterable[str]) -> str:
    counts = Counter(texts)
    few = list(counts.items())[:SHOWN]
    more = counts.total() - sum(count for _, count in few)
    examples = ", ".join(f"{text} ({count} times)" if count > 1 else text for text, count in few)
    return f"{examples} and {more:,} more" if more else examples


def _tell_sizes(d: Diagnosis, rows: Sequence[Row], verb: str) -> str:
    layers = _layers((row.name for row in rows), [row.name for row in d.leaves])
    examples = _some(f"{unicode_of(row.name)} ({written(row.gradient)})" for row in rows)
    return f"{len(rows)} of {len(d.leaves)} gradients {verb}{layers}: {examples}"


def _tell_vanishing(d: Diagnosis) -> str:
    if not d.vanishing:
        return ""
    flat = sorted((node for node in d.saturated if node.blocks), key=lambda node: not node.dead)
    slopes = _some(f"{node.equation} with slope {written(node.slope)}{' (dead)' * node.dead}" for node in flat)
    activations = f"{len(flat)} flat activation{'s' * (len(flat) > 1)}{_layers(node.name for node in flat)}: {slopes}"
    through = activations if flat else "small factors, not flat activations"
    return f"{_tell_sizes(d, d.vanishing, 'vanish')}; through {through}."


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
        sizes = f"{which} range from {least} to {largest} in size"
    still = sum(row.gradient == 0.0 for row in d.leaves) if most.gradient else 0
    flat = f"{len(d.saturated)} flat activation{'s' * (len(d.saturated) > 1)}, through which nothing vanishes"
    return (
        f"All is well with {d.name} = {written(d.data)}: every number is finite, and {sizes}."
        + (
            f" {still} of them {'are' if still > 1 else 'is'} 0, because every path there has a factor of 0."
            if still
            else ""
        )
        + (f" There {'are' if len(d.saturated) > 1 else 'is'} {flat}." if d.saturated else "")
    )


def _tell_backward(d: Diagnosis) -> str:
    called = "Every .grad is 0 or this graph's gradient." if d.ok else ""
    return called if d.backward_called else "backward() has not been called yet: every .grad is 0."


_SENTENCES: tuple[Callable[[Diagnosis], str], ...] = (
    _tell_first_bad, _tell_bad_gradient, _tell_vanishing, _tell_exploding, _tell_forgotten, _tell_well, _tell_backward,
)  # fmt: skip

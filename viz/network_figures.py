"""`network`: a network as the notes' figures show it: its neurons and weights (000), or its blocks (003)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from tinygrad_scalar.charts.plot import Plot, plot_of
from tinygrad_scalar.charts.text import xml_text
from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.inspection.names import symbol
from tinygrad_scalar.inspection.notation import unicode_of, written
from tinygrad_scalar.nn.mlp import MLP, Layer, Neuron
from tinygrad_scalar.viz.block_figures import BLOCKS, Network

FIGURES = ("neurons", *BLOCKS)
MANY = 10  # neurons in a column; of more, the first and the last few are drawn
FEW_WEIGHTS = 16  # between two columns, which have their names written at them
RADIUS, ROW, COLUMN, WIDE_COLUMN, TOP = 20, 72, 150, 250, 90  # pixels
THINNEST, THICKEST = 0.8, 7.0  # lines, in pixels


def network(net: MLP | Layer | Neuron, figure: str = "neurons", *, by: str = "weights", title: str = "") -> Plot:
    """The picture of a network, as an SVG for light and dark pages.

    figure  "neurons": circles and lines (000, both figures), with the numbers of the last call if there was one; or the
            blocks of 003: "forward" (figure 1), "output" (the last layer with its derivatives, figure 2), "backward"
            (both ways with the caches Z and A, figure 3), "training" (the whole loop of four blocks, figure 4)
    by      what the width of the lines between neurons is: the size of "weights" or of "gradients" ∂C/∂w, relative to
            the largest; where it is negative, the line is dashed

    Small networks have the names of their weights, such as w⁽¹⁾ⱼₖ, from neuron k to neuron j. TypeError if net is no
    Neuron, Layer or MLP; ValueError for another figure, or if all gradients that are asked for are 0.

    >>> from tinygrad_scalar import MLP
    >>> network(MLP(3, [4, 2], seed=0)).svg.count("<circle")
    9
    """
    if not isinstance(net, (MLP, Layer, Neuron)):
        raise TypeError(f"network takes a Neuron, a Layer or an MLP, got {shown(net)}")
    if figure not in FIGURES:
        raise ValueError(f"figure must be one of {', '.join(FIGURES)}, got {shown(figure)}")
    if by not in ("weights", "gradients"):
        raise ValueError(f'by must be "weights" or "gradients", got {shown(by)}')
    neurons = _neurons(net)
    sizes = [len(neurons[0][0].w), *map(len, neurons)]
    if figure != "neurons":
        return BLOCKS[figure](Network(sizes, [str(_activation(layer[0])) for layer in neurons], title))
    activations = net.a if isinstance(net, MLP) else []
    return _Neurons(
        neurons, sizes, activations, by, title or f"A network of {'-'.join(map(str, sizes))} neurons"
    ).plot()


def _neurons(net: MLP | Layer | Neuron) -> list[list[Neuron]]:
    """The neurons of each layer."""
    if isinstance(net, Neuron):
        return [[net]]
    return [layer.neurons for layer in (net.layers if isinstance(net, MLP) else [net])]


def _activation(neuron: Neuron) -> object:
    return neuron.activation if isinstance(neuron.activation, str) else "g"


_HALO = 'class="point" style="paint-order:stroke;stroke-width:4"'  # the page's colour around text on lines


class _Node(NamedTuple):
    """A neuron or an input at its place; `i` is its number in its column."""

    i: int
    x: float
    y: float


class _Neurons:
    def __init__(
        self,
        neurons: Sequence[Sequence[Neuron]],
        sizes: Sequence[int],
        activations: Sequence[Sequence[Value]],
        by: str,
        title: str,
    ) -> None:
        self.neurons, self.sizes, self.activations, self.by, self.title = neurons, sizes, activations, by, title
        self.amounts = [[[self.amount(w) for w in neuron.w] for neuron in layer] for layer in neurons]
        every = [abs(a) for layer in self.amounts for row in layer for a in row]
        if by == "gradients" and not any(every):
            raise ValueError("all gradients of net are 0: call C.backward() of a cost that depends on it first")
        self.largest = max((a for a in every if a < math.inf), default=0.0)
        self.n_wrong = sum(not math.isfinite(a) for a in every)
        self.rows = max(min(size, MANY) for size in sizes)
        few = max(n * m for n, m in pairwise(sizes)) <= FEW_WEIGHTS
        self.column = WIDE_COLUMN if few else COLUMN
        self.named = few

    def amount(self, w: Value) -> float:
        return w.data if self.by == "weights" else w.grad

    def plot(self) -> Plot:
        columns = [self.nodes(c, size) for c, size in enumerate(self.sizes)]
        middle = TOP + (self.rows - 1) * ROW / 2
        cost = _Node(0, 60 + len(columns) * self.column - 40, middle)
        parts = [f'<text class="title" x="16" y="26">{xml_text(self.title)}</text>']
        for c, (before, after) in enumerate(pairwise(columns)):
            parts += [self.line(c, k, j) for j in after for k in before]
        parts += [_thin(node, cost) for node in columns[-1]]
        if self.named:
            for c, (before, after) in enumerate(pairwise(columns)):
                parts += [self.name(c, k, j) for j in after for k in before]
        for c, nodes in enumerate(columns):
            parts += [part for node in nodes for part in self.circle(c, node)]
            parts += self.heading(c, nodes)
        parts += _cost(cost)
        height = TOP + (self.rows - 1) * ROW + 100
        parts += self.legend(height)
        return plot_of(self.title, parts, max(int(cost.x) + 60, 520), height)

    def nodes(self, c: int, size: int) -> list[_Node]:
        """The neurons of a column that are drawn, around its middle."""
        places = [*range(size)] if size <= MANY else [*range(MANY - 4), *range(size - 3, size)]
        n_rows = len(places) + (size > MANY)
        first = TOP + (self.rows - n_rows) * ROW / 2
        rows = [row for row in range(n_rows) if not (size > MANY and row == MANY - 4)]
        return [_Node(i, 60 + c * self.column, first + row * ROW) for i, row in zip(places, rows)]

    def line(self, c: int, k: _Node, j: _Node) -> str:
        """The weight from neuron k to neuron j: its width is its size, a dash its sign."""
        amount = self.amounts[c][j.i][k.i]
        ends = f"M{_edge(k, j)}L{_edge(j, k)}"
        w = self.neurons[c][j.i].w[k.i]
        tooltip = f"<title>{xml_text(f'{unicode_of(w.label)} = {w.data!r}, gradient {w.grad!r}')}</title>"
        if not math.isfinite(amount):
            return f'<path class="curve3" d="{ends}" style="stroke-width:3;stroke-dasharray:1 4">{tooltip}</path>'
        share = abs(amount) / self.largest if self.largest else 0.0
        style = f"stroke-width:{THINNEST + (THICKEST - THINNEST) * share:.2f}"
        dash = ";stroke-dasharray:7 4" if amount < 0 else ""
        return f'<path class="curve{1 if amount < 0 else 0}" d="{ends}" style="{style}{dash}">{tooltip}</path>'

    def name(self, c: int, k: _Node, j: _Node) -> str:
        """A weight's name on its line: for each neuron j at another distance, so that names do not meet."""
        n = self.sizes[c + 1]
        t = 0.5 if n == 1 else 0.22 + 0.56 * j.i / (n - 1)
        x, y = k.x + (j.x - k.x) * t, k.y + (j.y - k.y) * t
        turned = f'transform="rotate({math.degrees(math.atan2(j.y - k.y, j.x - k.x)):.1f} {x:.1f} {y:.1f})"'
        name = xml_text(self.letter("w", c, (j.i, k.i)))
        return f'<text {_HALO} x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle" font-size="11" {turned}>{name}</text>'

    def letter(self, letter: str, c: int, indices: tuple[int, ...]) -> str:
        """A name as in the notes; without indices where each layer is one neuron (000, the first figure)."""
        found = symbol(self.neurons[c][0].b.label)
        layer = found.layer if found and found.layer else str(c + 1)
        return self.at_layer(letter, int(layer), indices)

    def at_layer(self, letter: str, layer: int, indices: tuple[int, ...]) -> str:
        places = "" if all(size == 1 for size in self.sizes) else f"[{','.join(map(str, indices))}]"
        return unicode_of(f"{letter}({layer}){places}")

    def circle(self, c: int, node: _Node) -> Iterator[str]:
        """A neuron with its name, and its activation in the last call below it."""
        found = symbol(self.neurons[max(c - 1, 0)][0].b.label)
        layer = int(found.layer) - (c == 0) if found and found.layer else c
        yield f'<circle class="ring" cx="{node.x:.0f}" cy="{node.y:.0f}" r="{RADIUS}"/>'
        name = self.at_layer("a", layer, (node.i,))
        yield f'<text x="{node.x:.0f}" y="{node.y + 4:.0f}" text-anchor="middle">{xml_text(name)}</text>'
        if self.activations:
            number = written(self.activations[c][node.i].data, ".3g")
            below = f'x="{node.x:.0f}" y="{node.y + RADIUS + 13:.0f}" font-size="11"'
            yield f'<text {_HALO} {below} text-anchor="middle">{number}</text>'

    def heading(self, c: int, nodes: Sequence[_Node]) -> Iterator[str]:
        size = self.sizes[c]
        word = f"input{'s' * (size > 1)}" if c == 0 else str(_activation(self.neurons[c - 1][0]))
        text = f"{size:,} {word}" if c == 0 else f"layer {c}: {word}"
        yield f'<text x="{nodes[0].x:.0f}" y="50" text-anchor="middle">{xml_text(text)}</text>'
        if size > MANY:
            y = (nodes[MANY - 5].y + nodes[MANY - 4].y) / 2
            place = f'x="{nodes[0].x:.0f}" y="{y + 4:.0f}"'
            yield f'<text {_HALO} {place} text-anchor="middle">⋮ {size - len(nodes):,} more</text>'

    def legend(self, height: int) -> Iterator[str]:
        """What the lines mean."""
        what = "w" if self.by == "weights" else "∂C/∂w"
        y = height - 18
        yield f'<path class="curve0" d="M16 {y - 4}H52" style="stroke-width:4"/>'
        yield f'<text x="58" y="{y}">{what} &gt; 0</text>'
        yield f'<path class="curve1" d="M126 {y - 4}H162" style="stroke-width:4;stroke-dasharray:7 4"/>'
        yield f'<text x="168" y="{y}">{what} &lt; 0</text>'
        yield f'<text x="236" y="{y}">width: |{what}|, at most {written(self.largest, ".3g")}</text>'
        if self.n_wrong:
            yield f'<text class="bad" x="400" y="{y}">⚠ {self.n_wrong} not finite</text>'


def _edge(start: _Node, end: _Node) -> str:
    """The point of the circle around `start` that is nearest to `end`."""
    length = math.hypot(end.x - start.x, end.y - start.y)
    x, y = (RADIUS * (b - a) / length for a, b in ((start.x, end.x), (start.y, end.y)))
    return f"{start.x + x:.1f} {start.y + y:.1f}"


def _thin(node: _Node, cost: _Node) -> str:
    return f'<path class="curve7" d="M{_edge(node, cost)}L{_edge(cost, node)}" style="stroke-width:1"/>'


def _cost(cost: _Node) -> Iterator[str]:
    """The cost C, which compares the last activations with y."""
    x, y = cost.x, cost.y
    yield f'<path class="ring" d="M{x - 16:.0f} {y - 16:.0f}h32v32h-32z"/>'
    yield f'<text x="{x:.0f}" y="{y + 4:.0f}" text-anchor="middle">C</text>'
    yield f'<path class="curve7" d="M{x:.0f} {y + 44:.0f}V{y + 17:.0f}" style="stroke-width:1"/>'
    yield f'<text x="{x:.0f}" y="{y + 58:.0f}" text-anchor="middle">y</text>'

"""The blocks of a network, as in the figures of 003: forward, the output layer, both ways with caches, training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from tinygrad_scalar.charts.plot import Plot, plot_of
from tinygrad_scalar.charts.text import xml_text

WIDTH, HEIGHT, GAP, LEFT, TOP = 142, 56, 52, 70, 64  # of a block, between blocks, and the margins, in pixels
MANY = 4  # layers; of more, the first two and the last are drawn


class Network(NamedTuple):
    """What the figures show of a network: the sizes of its columns, from the inputs on, and its activations."""

    sizes: Sequence[int]
    activations: Sequence[str]
    title: str

    @property
    def layers(self) -> list[int | None]:
        """The layers that are drawn, 1 to L; None stands for those that are not."""
        last = len(self.activations)
        return [*range(1, last + 1)] if last <= MANY else [1, 2, None, last]

    def shape(self, letter: str, layer: int) -> str:
        n, before = self.sizes[layer], self.sizes[layer - 1]
        return {"W": f"{n} × {before}", "b": f"{n} × 1"}.get(letter, f"{n} × m")

    def g(self, layer: int, of: str) -> str:
        name = {"sigmoid": "σ", "linear": ""}.get(self.activations[layer - 1], self.activations[layer - 1])
        return f"{name}({of})" if name else of


def forward(net: Network) -> Plot:
    """Figure 1: the way of the input through the layers: a weighted sum, then an activation (003 Eq. 1)."""
    parts, x = list(_label(20, TOP + 32, "A[0]", net.shape("A", 0))), LEFT
    for layer in net.layers:
        parts += _arrow(x - 12 if x == LEFT else x - GAP, TOP + HEIGHT / 2, x)
        if layer is None:
            parts += _text(x + 20, TOP + HEIGHT / 2 + 4, "…")
            x += 40 + GAP
            continue
        z = f"Z[{layer}] = W[{layer}]A[{layer - 1}] + b[{layer}]"
        parts += _block(x, TOP, [f"layer {layer}", z, f"A[{layer}] = {net.g(layer, f'Z[{layer}]')}"], 170, 84)
        parts += _text(x + 85, TOP + 104, f"W[{layer}]: {net.shape('W', layer)}")
        parts += _text(x + 170 + GAP / 2, TOP + HEIGHT / 2 - 8, f"A[{layer}]")
        x += 170 + GAP
    parts += _arrow(x - GAP, TOP + HEIGHT / 2, x)
    parts += _text(x + 16, TOP + HEIGHT / 2 + 4, "ŷ")
    return _figure(net.title or "Forward through the layers", parts, x + 40, TOP + 130)


def output(net: Network) -> Plot:
    """Figure 2: the output layer over m examples, and the derivative of each step (003 Eq. 4)."""
    last = len(net.activations)
    steps = [
        (f"Z[{last}] = W[{last}]A[{last - 1}] + b[{last}]", f"Z[{last}]", f"∂Z[{last}]/∂W[{last}]"),
        (f"A[{last}] = {net.g(last, f'Z[{last}]')}", f"A[{last}]", f"∂A[{last}]/∂Z[{last}]"),
        (f"C(A[{last}], Y)", "C", f"∂C/∂A[{last}]"),
    ]
    parts, x = list(_label(20, TOP + 24, f"A[{last - 1}]", net.shape("A", last - 1))), LEFT + 20
    for i, (formula, result, derivative) in enumerate(steps):
        parts += _arrow(x - 30 if i == 0 else x - GAP, TOP + HEIGHT / 2, x)
        parts += _block(x, TOP, [formula], 176, HEIGHT)
        parts += _text(x + 88, TOP + HEIGHT + 20, derivative, "back")
        shape = "1 × 1" if result == "C" else net.shape("A", last)
        parts += _text(x + 176 + GAP / 2, TOP + HEIGHT / 2 - 8, result)
        parts += _text(x + 88, TOP - 10, shape)
        x += 176 + GAP
    chain = f"∂C/∂W[{last}] = ∂C/∂A[{last}] · ∂A[{last}]/∂Z[{last}] · ∂Z[{last}]/∂W[{last}]"
    parts += _arrow(x - GAP, TOP + HEIGHT / 2, x - 8)
    parts += _text((LEFT + x) / 2, TOP + HEIGHT + 52, chain, "back")
    return _figure(net.title or "The output layer", parts, x + 20, TOP + HEIGHT + 76)


def backward(net: Network) -> Plot:
    """Figure 3: forward with the caches Z and A, and back with ∂C/∂A from layer to layer (003 Eq. 8 to 11)."""
    low, parts, x = TOP + 150, list(_label(20, TOP + 24, "A[0]", net.shape("A", 0))), LEFT
    for layer in net.layers:
        parts += _arrow(x - 12 if x == LEFT else x - GAP, TOP + HEIGHT / 2, x)
        if layer is None:
            parts += [*_text(x + 20, TOP + HEIGHT / 2 + 4, "…"), *_text(x + 20, low + HEIGHT / 2 + 4, "…")]
            parts += _arrow(x + 40 + GAP, low + HEIGHT / 2, x + 40, "back")
            x += 40 + GAP
            continue
        parts += _block(x, TOP, [f"forward {layer}", f"W[{layer}], b[{layer}]"], WIDTH, HEIGHT)
        parts += _arrow(x + WIDTH / 2, TOP + HEIGHT, None, "cache", down_to=TOP + 86)
        parts += _block(x + 16, TOP + 86, [f"cache Z[{layer}], A[{layer - 1}]"], WIDTH - 32, 34, "cache")
        parts += _arrow(x + WIDTH / 2, TOP + 120, None, "cache", down_to=low)
        parts += _block(x, low, [f"backward {layer}", f"dZ[{layer}] = dA[{layer}] ⊙ g′"], WIDTH, HEIGHT, "back")
        parts += _arrow(x + WIDTH / 2, low + HEIGHT, None, "back", down_to=low + HEIGHT + 30)
        parts += _text(x + WIDTH / 2, low + HEIGHT + 46, f"dW[{layer}], db[{layer}]", "back")
        parts += _text(x + WIDTH + GAP / 2, TOP + HEIGHT / 2 - 8, f"A[{layer}]")
        parts += _arrow(x + WIDTH + GAP, low + HEIGHT / 2, x + WIDTH, "back")
        parts += _text(x + WIDTH + GAP / 2, low + HEIGHT / 2 - 8, f"dA[{layer}]", "back")
        x += WIDTH + GAP
    parts += _arrow(x - GAP, TOP + HEIGHT / 2, x)
    parts += _block(x, TOP, ["cost", "C(A, Y)"], 76, low + HEIGHT - TOP)
    return _figure(net.title or "Forward and backward", parts, x + 100, low + HEIGHT + 66)


def training(net: Network) -> Plot:
    """Figure 4: the training loop: feed forward, cost, back propagation, gradient descent (003, training; 002)."""
    last = len(net.activations)
    names, side, high = [f"W[1] … W[{last}]", f"b[1] … b[{last}]"], 190, 74
    right, low = LEFT + side + 190, TOP + high + 96
    parts = [
        *_label(14, TOP + 24, "X = A[0]", net.shape("A", 0)),
        *_arrow(LEFT + 10, TOP + high / 2, LEFT + 30),
        *_block(LEFT + 30, TOP, ["1 feed forward", "Z = W A + b,  A = g(Z)"], side, high),
        *_arrow(LEFT + 30 + side, TOP + high / 2, right),
        *_text((LEFT + 30 + side + right) / 2, TOP + high / 2 - 10, f"A[{last}] = ŷ"),
        *_block(right, TOP, ["2 cost", "C = 1/m Σ loss(ŷ, y)"], side, high),
        *_arrow(right + side / 2, TOP + high, None, "back", down_to=low),
        *_text(right + side / 2 + 40, (TOP + high + low) / 2 + 4, f"dA[{last}]", "back"),
        *_block(right, low, ["3 back propagation", "dW[l], db[l] for l = L … 1"], side, high, "back"),
        *_arrow(right, low + high / 2, LEFT + 30 + side, "back"),
        *_text((LEFT + 30 + side + right) / 2, low + high / 2 - 10, "dW, db", "back"),
        *_block(LEFT + 30, low, ["4 gradient descent", "W ← W − η dW,  b ← b − η db"], side, high),
        *_arrow(LEFT + 30 + side / 2, low, None, down_to=TOP + high),
        *_text(LEFT + 30 + side / 2 - 56, (TOP + high + low) / 2 - 4, names[0]),
        *_text(LEFT + 30 + side / 2 - 56, (TOP + high + low) / 2 + 14, names[1]),
        *_arrow(LEFT + 30 + side, TOP + high - 12, None, "cache", to=(right, low + 12)),
        *_text((LEFT + 30 + side + right) / 2 + 6, (TOP + high + low) / 2 - 4, "caches Z, A", "cache"),
    ]
    return _figure(net.title or "Training", parts, right + side + 24, low + high + 24)


BLOCKS: dict[str, Callable[[Network], Plot]] = {
    "forward": forward, "output": output, "backward": backward, "training": training,
}  # fmt: skip
# of blocks, arrows and text: forward, back and cached differ by dashes and words, not only by colour
_LINES = {"": ("curve0", ""), "back": ("curve1", ";stroke-dasharray:7 4"), "cache": ("curve4", ";stroke-dasharray:2 3")}
_HEADS = {"": "dot0", "back": "dot1", "cache": "dot4"}


def _figure(title: str, parts: Sequence[str], width: float, height: float) -> Plot:
    heading = f'<text class="title" x="16" y="26">{xml_text(title)}</text>'
    return plot_of(title, [heading, *parts], int(width), int(height))


def _block(x: float, y: float, lines: Sequence[str], width: float, height: float, kind: str = "") -> Iterator[str]:
    line, dash = _LINES[kind]
    outline = f"M{x:.0f} {y:.0f}h{width:.0f}v{height:.0f}h{-width:.0f}z"
    yield f'<path class="{line}" d="{outline}" style="stroke-width:1.6{dash}"/>'
    first = y + height / 2 + 4 - 9 * (len(lines) - 1)
    for i, text in enumerate(lines):
        yield from _text(x + width / 2, first + 18 * i, text)


def _arrow(
    x: float,
    y: float,
    end: float | None,
    kind: str = "",
    *,
    down_to: float | None = None,
    to: tuple[float, float] | None = None,
) -> Iterator[str]:
    """An arrow to the place `end` on the same height, down or up, or to any point."""
    x2, y2 = to or (x if end is None else end, y if down_to is None else down_to)
    line, dash = _LINES[kind]
    length = max(((x2 - x) ** 2 + (y2 - y) ** 2) ** 0.5, 1e-9)
    ux, uy = (x2 - x) / length, (y2 - y) / length
    yield f'<path class="{line}" d="M{x:.1f} {y:.1f}L{x2:.1f} {y2:.1f}" style="stroke-width:1.4{dash}"/>'
    corners = " ".join(f"{x2 - 8 * ux + s * 4 * uy:.1f},{y2 - 8 * uy - s * 4 * ux:.1f}" for s in (1, -1))
    yield f'<polygon class="{_HEADS[kind]}" points="{x2:.1f},{y2:.1f} {corners}"/>'


def _label(x: float, y: float, name: str, shape: str) -> Iterator[str]:
    yield from _text(x + 16, y, name)
    yield from _text(x + 16, y + 16, shape)


def _text(x: float, y: float, text: str, kind: str = "") -> Iterator[str]:
    """Text in the middle of x; what stands in brackets is raised, as in A[1]."""
    pieces = []
    for i, part in enumerate(text.replace("]", "[").split("[")):
        if i % 2:
            pieces.append(f'<tspan dy="-4" font-size="9">[{xml_text(part)}]</tspan><tspan dy="4">\u200b</tspan>')
        else:
            pieces.append(xml_text(part))
    slanted = ' font-style="italic"' if kind else ""
    halo = ' class="point" style="paint-order:stroke;stroke-width:4"' if len(pieces) == 1 else ""  # text on a line
    yield f'<text{halo} x="{x:.1f}" y="{y:.1f}" text-anchor="middle"{slanted}>{"".join(pieces)}</text>'

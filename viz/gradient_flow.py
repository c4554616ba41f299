"""`plot_gradient_flow`: how large the gradients are in each layer, from the first to the last."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from tinygrad_scalar.charts.axis import Axis, across
from tinygrad_scalar.charts.plot import WIDTH, Plot, plot_of
from tinygrad_scalar.charts.text import heading
from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.inspection.notation import written

LEFT, RIGHT, TOP, ROW = 96, 120, 56, 34  # margins, and the height of a layer's row, in pixels


class _Layer(Protocol):
    def parameters(self) -> list[Value]: ...


class _Layered(Protocol):
    """A network in layers, such as an MLP."""

    layers: Sequence[_Layer]


def plot_gradient_flow(net: _Layered, *, title: str = "Gradient flow") -> Plot:
    """The sizes |∂C/∂w| of each layer's parameters, on a logarithmic axis: a bar to their mean, a mark at the largest.

    Reads the .grad of `net.layers[l].parameters()`, so call C.backward() first, after net.zero_grad(). Gradients that
    vanish on the way back show as bars that shrink from the last layer, below, to the first, above. A layer whose
    gradients are all 0, or not finite, says so. TypeError if net has no layers; ValueError if all gradients are 0.

    >>> from tinygrad_scalar import MLP
    >>> net = MLP(2, [3, 3, 1], seed=0)
    >>> ((net([0.5, -1.0]) - 1.0) ** 2).backward()
    >>> plot_gradient_flow(net).svg.count('area0 bar"')
    3
    """
    layers = getattr(net, "layers", None)
    layers = list(layers) if isinstance(layers, Iterable) else []
    if not layers or not all(callable(getattr(layer, "parameters", None)) for layer in layers):
        raise TypeError(
            f"plot_gradient_flow takes a network with layers that have parameters(), such as an MLP, got {shown(net)}"
        )
    sizes = [[abs(parameter.grad) for parameter in layer.parameters()] for layer in layers]
    every = [size for layer in sizes for size in layer]
    if not any(every):
        raise ValueError("all gradients of net are 0: call C.backward() of a cost that depends on it first")
    drawn = [size for size in [*every, *map(_mean, sizes)] if 0.0 < size < math.inf]
    lowest = min((mean for mean in map(_mean, sizes) if mean in drawn), default=1.0)
    highest = max(drawn, default=1.0)
    axis = Axis(
        _power_below(lowest),
        max(highest, min(10 * _power_below(lowest), sys.float_info.max)),
        LEFT,
        WIDTH - RIGHT,
        log=True,
    )
    height = TOP + ROW * len(sizes) + 44
    parts = [
        heading(title, 12, WIDTH - 24),
        *_grid(axis, height),
        *(part for i, layer in enumerate(sizes) for part in _row(i, layer, axis)),
    ]
    return plot_of(title, parts, WIDTH, height)


def _mean(sizes: Sequence[float]) -> float:
    largest = max(sizes, default=0.0)
    if not largest or not all(map(math.isfinite, sizes)):
        return math.nan if largest else 0.0
    return largest * min(1.0, math.fsum(size / largest for size in sizes) / len(sizes))  # neither over- nor underflow


def _power_below(number: float) -> float:
    return max(10.0 ** math.floor(math.log10(number)), 5e-324)


def _grid(axis: Axis, height: int) -> Iterator[str]:
    for tick, text in across(axis, ".3g"):
        yield f'<path class="grid" d="M{axis.at(tick):.1f} {TOP - 8}V{height - 40}"/>'
        yield f'<text x="{axis.at(tick):.1f}" y="{height - 24}" text-anchor="middle">{text}</text>'
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield f'<text x="{middle}" y="{height - 6}" text-anchor="middle">|∂C/∂w|: mean (bar) and largest (mark)</text>'


def _row(i: int, sizes: Sequence[float], axis: Axis) -> Iterator[str]:
    """The i-th layer: its name, its bar, and its mean as a number."""
    y = TOP + ROW * i
    yield f'<text x="12" y="{y + 16}">layer {i + 1}</text>'
    mean, largest = _mean(sizes), max(sizes, default=0.0)
    if not all(map(math.isfinite, sizes)):
        bad = sum(not math.isfinite(size) for size in sizes)
        yield f'<text class="bad bar" x="{LEFT + 6}" y="{y + 16}">⚠ {bad} of {len(sizes)} not finite</text>'
    elif not largest:
        yield f'<text class="bad bar" x="{LEFT + 6}" y="{y + 16}">⚠ all 0: nothing reaches this layer</text>'
    else:
        end, mark = axis.at(max(mean, axis.lowest)), axis.at(max(largest, axis.lowest))
        yield f'<path class="area0 bar" d="M{LEFT} {y + 2}H{end:.1f}V{y + 20}H{LEFT}z"/>'
        yield f'<path class="curve1" d="M{mark:.1f} {y}V{y + 22}"/>'
        yield f'<text x="{max(end, mark) + 8:.1f}" y="{y + 16}">{written(mean, ".3g")}</text>'

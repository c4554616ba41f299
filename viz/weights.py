"""`plot_weights`: the histogram of a network's weights at several moments of its training, one below the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tinygrad_scalar.charts.axis import Axis, across
from tinygrad_scalar.charts.plot import WIDTH, Plot, plot_of
from tinygrad_scalar.charts.text import fitted, heading, xml_text
from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.errors import shown

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

BINS = 60
LARGEST = 1e300  # of a weight: bins between larger ones have no finite width
EQUAL = 1e-12  # of the weights' size: closer ones are drawn as equal
MOST = 12  # moments in a picture
LEFT, RIGHT, TOP, ROW, RISE = 84, 24, 64, 40, 54  # margins, a moment's row, and its highest bin, in pixels


def plot_weights(moments: Mapping[Any, ArrayLike | Sequence[Value]], *, title: str = "Weights") -> Plot:
    """A histogram for each entry of `moments`, from top to bottom: {epoch: the parameters at that time}.

    The parameters are numbers or Values; all histograms share their bins. Of more than twelve entries, twelve are
    drawn, the first and the last among them. ValueError if an entry is empty, or holds a number that is not finite or
    beyond 1e300.

    >>> import tinygrad_scalar as ts
    >>> net, moments = ts.MLP(1, [8, 1], "tanh", "linear", seed=0), {}
    >>> for epoch in (0, 10, 20):
    ...     moments[epoch] = [parameter.data for parameter in net.parameters()]
    ...     history = ts.fit(net, [0.0, 1.0, 2.0], [1.0, 3.0, 5.0], epochs=10, progress=False)
    >>> plot_weights(moments).svg.count('class="ridge')
    3
    """
    import numpy as np

    if not isinstance(moments, Mapping) or not moments:
        raise TypeError(f"plot_weights takes a dict such as {{0: parameters, 10: parameters}}, got {shown(moments)}")
    chosen = sorted({round(i * (len(moments) - 1) / (MOST - 1)) for i in range(MOST)}) if len(moments) > MOST else None
    entries = [entry for i, entry in enumerate(moments.items()) if chosen is None or i in chosen]
    numbers = {name: _numbers(name, parameters) for name, parameters in entries}
    low = min(float(array.min()) for array in numbers.values())
    high = max(float(array.max()) for array in numbers.values())
    size = max(abs(low), abs(high))
    pad = 0.05 * (high - low) if high - low > max(EQUAL * size, 1 / LARGEST) else 0.05 * max(size, 1.0)
    axis = Axis(low - pad, high + pad, LEFT, WIDTH - RIGHT)
    counts = {name: np.histogram(array, BINS, (axis.lowest, axis.highest))[0] for name, array in numbers.items()}
    tallest = max(int(count.max()) for count in counts.values())
    height = TOP + ROW * len(counts) + 44
    parts = [heading(title, 12, WIDTH - RIGHT - 12 - (0 if chosen is None else 130)), *_grid(axis, height)]
    if chosen is not None:
        parts.append(f'<text x="{WIDTH - RIGHT}" y="24" text-anchor="end">{MOST} of {len(moments)} are drawn</text>')
    for i, (name, count) in enumerate(counts.items()):
        base = TOP + ROW * (i + 1)
        parts.append(f'<path class="ridge area0" fill-opacity="0.55" d="{_outline(count, tallest, base, axis)}"/>')
        parts.append(f'<text x="12" y="{base - 4}">{xml_text(fitted(str(name), LEFT - 20))}</text>')
    return plot_of(title, parts, WIDTH, height)


def _numbers(name: Any, parameters: ArrayLike | Sequence[Value]) -> NDArray[Any]:
    """The numbers of one moment as a flat array."""
    import numpy as np

    from tinygrad_scalar.vectorize.real_array import real_array

    given: Any = parameters
    if isinstance(given, Sequence) and all(isinstance(parameter, Value) for parameter in given):
        given = [parameter.data for parameter in given]
    array: NDArray[Any] = real_array(given, f"moments[{name!r}]").ravel()
    wrong = array[~(np.abs(array) <= LARGEST)]
    if not array.size or wrong.size:
        got = str(wrong[0]) if wrong.size else "an empty list"
        raise ValueError(f"moments[{name!r}] must hold finite numbers up to {LARGEST:g}, got {got}")
    return array


def _grid(axis: Axis, height: int) -> Iterator[str]:
    for tick, text in across(axis):
        yield f'<path class="grid" d="M{axis.at(tick):.1f} {TOP - 20}V{height - 40}"/>'
        yield f'<text x="{axis.at(tick):.1f}" y="{height - 24}" text-anchor="middle">{text}</text>'
    yield f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{height - 6}" text-anchor="middle">parameter</text>'


def _outline(counts: NDArray[Any], tallest: int, base: int, axis: Axis) -> str:
    """The histogram as one closed line of steps on the line `base`."""
    bin_width = (axis.end - axis.start) / BINS
    steps = [f"V{base - RISE * count / tallest:.1f}h{bin_width:.2f}" for count in counts.tolist()]
    return f"M{axis.start:g} {base}{''.join(steps)}V{base}z"

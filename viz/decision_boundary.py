"""`plot_decision_boundary`: what a classifier of two inputs answers over the plane, with the examples on top."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

from tinygrad_scalar.charts.axis import Axis, across, beyond, tick_text
from tinygrad_scalar.charts.plot import COLOURS, Plot, plot_of
from tinygrad_scalar.charts.text import fitted, heading, xml_text
from tinygrad_scalar.engine.errors import TraceError, shown
from tinygrad_scalar.engine.number import required
from tinygrad_scalar.inspection.notation import written
from tinygrad_scalar.nn.class_names import activation_of, boundary_of, indices_among, texts_of
from tinygrad_scalar.nn.examples import Examples
from tinygrad_scalar.vectorize import vectorize

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from tinygrad_scalar.nn.trainers import Network

SIZE, LEFT, TOP, BOTTOM = 440, 56, 40, 48  # the square of the plane and the margins around it, in pixels
CELLS = 88  # of the plane in each direction
LEVELS = 5  # of shading on each side of the boundary: the darker, the surer
MOST = 2000  # examples that are drawn
# a sign for each class, about the origin: classes differ by more than colour
SIGNS = [
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z", "M-3.6-3.6h7.2v7.2h-7.2z", "M0-5L4.8 3.8h-9.6z", "M0-5.2L4.6 0 0 5.2-4.6 0z",
    "M0 5L4.8-3.8h-9.6z", "M-1.6-5h3.2v3.4h3.4v3.2h-3.4v3.4h-3.2v-3.4h-3.4v-3.2h3.4z", "M-5-2.5h10v5h-10z",
    "M-2.5-5h5v10h-5z",
]  # fmt: skip


def plot_decision_boundary(
    net: Network, X: ArrayLike, y: ArrayLike, *, boundary: float | None = None, title: str = "Decision boundary"
) -> Plot:
    """The classes that `net` gives to points of the plane, and the examples X of shape (m, 2) with their classes y.

    A network with one output tells two classes apart, which y (shape (m,)) calls 0 and 1, or −1 and 1: the second where
    the output is above `boundary`. That is 0.5 for an output in sigmoid and 0 for one in tanh or for classes −1 and 1;
    for a linear output it must be given, 0 if the network was trained with logits, 0.5 if with squared errors. A
    network with k outputs gives class i, 0 to k − 1, where output i is the largest. For a network with `class_names`, y
    can hold them. Examples that it puts into
    another class than theirs are counted in the picture.

    ValueError if X, y and net do not fit together.

    >>> from tinygrad_scalar import MLP
    >>> net = MLP(2, [4, 1], "tanh", seed=0)
    >>> plot_decision_boundary(net, [[0.0, 1.0], [1.0, 0.0]], [-1, 1]).svg.startswith("<svg")
    True
    """
    import numpy as np

    texts = texts_of(y, "y")
    known: tuple[str, ...] = getattr(net, "class_names", None) or ()
    named = texts is not None and bool(known)
    examples = Examples(X, indices_among(texts, known, "y") if named else y)
    points, labels = examples.X, examples.Y
    if points.ndim != 2 or points.size != 2 * len(points):
        raise ValueError(f"X must have the shape (m, 2), two inputs for each example, got {points.shape}")
    if labels.ndim != 1:
        raise ValueError(f"y must have the shape (m,), one class for each example, got {labels.shape}")
    if not callable(net) or not callable(getattr(net, "parameters", None)):
        raise TypeError(f"net must be callable with an example and have parameters(), as an MLP does; got {shown(net)}")
    net(points[0].tolist())  # a network of other inputs says so itself
    if boundary is not None:
        boundary = required(boundary, "boundary")
        if not math.isfinite(boundary):
            raise ValueError(f"boundary must be finite, got {boundary!r}")
    low, high = _frame(points)
    across, up = (low[i] + (np.arange(CELLS) + 0.5) / CELLS * (high[i] - low[i]) for i in (0, 1))
    grid = np.stack(np.meshgrid(across, up[::-1]), axis=-1).reshape(-1, 2)
    outputs, at_examples = _outputs(net, grid), _outputs(net, points)
    if outputs.shape[1] == 1:
        names = _two_classes(labels)
        if boundary is None:
            boundary = boundary_of(activation_of(net)) if named else _boundary(net, names)
        limit = boundary
        shades, answers = _sides(outputs[:, 0] - limit), (at_examples[:, 0] > limit).astype(int)
    else:
        names = list(range(outputs.shape[1]))
        _require_classes(labels, names)
        shades, answers = _winners(outputs), at_examples.argmax(axis=1)
    titles = list(known) if named else [f"class {written(float(name), 'g')}" for name in names]
    classes = np.array([names.index(int(label)) for label in labels])
    x, y_axis = Axis(low[0], high[0], LEFT, LEFT + SIZE), Axis(low[1], high[1], TOP + SIZE, TOP)
    parts = [
        heading(title, LEFT, SIZE + 110),
        *_plane(shades.reshape(CELLS, CELLS)),
        *_ticks(x, y_axis),
        *_examples(points, classes, answers, x, y_axis),
        *_legend(titles, int((answers != classes).sum()), len(labels)),
    ]
    return plot_of(title, parts, LEFT + SIZE + 130, TOP + SIZE + BOTTOM, beyond(y_axis, LEFT))


def _frame(points: NDArray[Any]) -> tuple[list[float], list[float]]:
    """The corners of the plane: around all examples, with a tenth as a margin."""
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.1 * (high - low)
    margin[margin == 0.0] = 1.0
    return (low - margin).tolist(), (high + margin).tolist()


def _outputs(net: Network, points: NDArray[Any]) -> NDArray[Any]:
    """The network's outputs at each point, shape (m, k); by the engine where vectorize cannot follow the network."""
    import numpy as np

    try:
        values = vectorize(net, net.parameters()).values(points)
    except TraceError:
        found = [net(point) for point in points.tolist()]
        values = np.array([[a.data for a in (out if isinstance(out, list) else [out])] for out in found])
    values = values.reshape(len(points), -1)
    if not np.isfinite(values).all():
        where = int(np.argwhere(~np.isfinite(values))[0][0])
        raise ValueError(
            f"net gives {values[where].tolist()} at x = {points[where].tolist()}: there is no class to draw"
        )
    return values


def _two_classes(labels: NDArray[Any]) -> list[int]:
    for names in ([0, 1], [-1, 1]):
        if set(labels.tolist()) <= set(names) and (names[0] == 0 or -1 in labels):
            return names
    wrong = next(label for label in labels.tolist() if label not in (0, 1))
    raise ValueError(f"net has one output, so that y must hold the classes 0 and 1, or −1 and 1; got {shown(wrong)}")


def _require_classes(labels: NDArray[Any], names: list[int]) -> None:
    if len(names) > len(COLOURS):
        raise ValueError(
            f"at most {len(COLOURS)} classes can be told apart in the picture, net has {len(names)} outputs"
        )
    wrong = [label for label in labels.tolist() if label not in names]
    if wrong:
        raise ValueError(
            f"net has {len(names)} outputs, so that y must hold classes from 0 to {names[-1]}; got {wrong[0]}"
        )


def _boundary(net: Network, names: list[int]) -> float:
    """The output between two classes, as far as the network's last activation tells."""
    layers = getattr(net, "layers", None)
    activation = layers[-1].neurons[0].activation if layers else None
    if activation == "tanh" or names == [-1, 1]:
        return 0.0
    if activation == "sigmoid":
        return 0.5
    raise ValueError(
        "cannot tell which output of net lies between the classes 0 and 1: pass boundary=0 if it was trained with "
        "logits, boundary=0.5 if with squared errors"
    )


def _sides(above: NDArray[Any]) -> NDArray[Any]:
    """2·level + side for each cell: how far its output is from the boundary, and on which side."""
    import numpy as np

    furthest = float(np.abs(above).max()) or 1.0
    level = np.minimum((np.abs(above) / furthest * LEVELS).astype(int), LEVELS - 1)
    shades: NDArray[Any] = level * len(COLOURS) + (above > 0.0)
    return shades


def _winners(outputs: NDArray[Any]) -> NDArray[Any]:
    """Class and level of each cell: how far its largest output is above the second largest."""
    import numpy as np

    ordered = np.sort(outputs, axis=1)
    lead = ordered[:, -1] - ordered[:, -2]
    level = np.minimum((lead / (float(lead.max()) or 1.0) * LEVELS).astype(int), LEVELS - 1)
    shades: NDArray[Any] = level * len(COLOURS) + outputs.argmax(axis=1)
    return shades


def _plane(shades: NDArray[Any]) -> Iterator[str]:
    """The cells, equal neighbours in a row as one strip."""
    strips: dict[int, list[str]] = {}
    cell = SIZE / CELLS
    for row, line in enumerate(shades.tolist()):
        column = 0
        for shade, run in groupby(line):
            count = len(list(run))
            strips.setdefault(shade, []).append(
                f"M{LEFT + column * cell:g} {TOP + row * cell:g}h{count * cell:g}v{cell:g}h{-count * cell:g}z"
            )
            column += count
    for shade, paths in sorted(strips.items()):
        level, i = divmod(shade, len(COLOURS))
        opacity = 0.12 + 0.5 * level / (LEVELS - 1)
        yield f'<path class="area{i}" shape-rendering="crispEdges" fill-opacity="{opacity:.2f}" d="{"".join(paths)}"/>'


def _ticks(x: Axis, y: Axis) -> Iterator[str]:
    for tick, text in across(x):
        yield f'<text x="{x.at(tick):.1f}" y="{TOP + SIZE + 18}" text-anchor="middle">{text}</text>'
    for tick in y.ticks():
        yield f'<text x="{LEFT - 8}" y="{y.at(tick) + 4:.1f}" text-anchor="end">{tick_text(tick)}</text>'
    yield f'<text x="{LEFT + SIZE / 2}" y="{TOP + SIZE + 38}" text-anchor="middle">x₁</text>'
    yield f'<text x="{LEFT - 8}" y="{TOP - 10}" text-anchor="end">x₂</text>'


def _examples(points: NDArray[Any], classes: NDArray[Any], answers: NDArray[Any], x: Axis, y: Axis) -> Iterator[str]:
    """A sign for each example, with a ring around those that are answered wrongly."""
    step = math.ceil(len(points) / MOST)
    for point, i, answer in zip(points[::step].tolist(), classes[::step].tolist(), answers[::step].tolist()):
        place = f"translate({x.at(point[0]):.1f} {y.at(point[1]):.1f})"
        if answer != i:
            yield f'<circle class="ring" r="8" transform="{place}"/>'
        yield f'<path class="point dot{i}" d="{SIGNS[i]}" transform="{place}"/>'


def _legend(names: list[str], wrong: int, m: int) -> Iterator[str]:
    left = LEFT + SIZE + 16
    for i, name in enumerate(names):
        yield f'<path class="point dot{i}" d="{SIGNS[i]}" transform="translate({left + 6} {TOP + 10 + 22 * i})"/>'
        yield f'<text x="{left + 18}" y="{TOP + 14 + 22 * i}">{xml_text(fitted(name, 106))}</text>'
    below = TOP + 22 * len(names)
    yield f'<circle class="ring" r="8" cx="{left + 6}" cy="{below + 12}"/>'
    yield f'<text x="{left + 18}" y="{below + 16}">{wrong} of {m} wrong</text>'
    if m > MOST:
        yield f'<text x="{left}" y="{below + 38}">every {math.ceil(m / MOST)}th is drawn</text>'

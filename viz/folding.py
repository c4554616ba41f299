"""Which boxes a picture has: how far a graph is folded, and which part of it is shown, so that it stays readable.

On a page of 900 pixels, a picture of at most 810 points has all text at 10 pixels or more.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from tinygrad_scalar.inspection.structure import Structure
from tinygrad_scalar.viz.boxes import shown
from tinygrad_scalar.viz.extent import extent
from tinygrad_scalar.viz.view import LEVELS, Box, View

SMALL = 30  # values that are drawn one by one, however wide
WIDEST, HIGHEST, MOST = 810.0, 1300.0, 100  # points, points and boxes of a picture that is easy to read
FEW = 6  # operands of one operation that are followed in the neighbourhood of a value
DEEPEST = 40  # operations around a value
NEAR = 2  # operations around a value, if nobody says how many


class Graph(NamedTuple):
    """A graph as pictures need it: its structure, and of each value its name, "" for none."""

    structure: Structure
    names: Sequence[str]


class Wish(NamedTuple):
    """What is to be seen: see `draw`. Values are given as their places in the graph."""

    fold: str | None = "auto"
    around: int | None = None
    depth: int | None = None
    wrt: int | None = None
    hidden: Collection[int] = ()
    direction: str = "LR"

    @property
    def is_for_all(self) -> bool:
        return self.around is self.depth is self.wrt is None


class Choice(NamedTuple):
    """The boxes of a picture, and a line that says what they leave out, or ""."""

    view: View
    boxes: set[Box]
    says: str = ""


def choose(graph: Graph, wish: Wish) -> Choice:
    """The boxes of the picture that is wished for; for fold="auto" of the least folded one that is easy to read."""
    view, boxes = _readable(graph, wish) if wish.fold == "auto" else _selected(graph, wish, wish.fold)
    if wish.around is not None and wish.wrt is not None:
        _require_related(graph, wish, view, boxes)
    return Choice(view, boxes, _says(graph, wish, view, boxes))


def _require_related(graph: Graph, wish: Wish, view: View, boxes: set[Box]) -> None:
    centre = _centre(view, wish)
    if centre in view.depending_on(wish.wrt) or any(centre in view.below(box) for box in boxes):  # type: ignore[arg-type]
        return
    around, wrt = (shown(graph.names[i]) or "the value" for i in (wish.around, wish.wrt))  # type: ignore[index]
    raise ValueError(
        f"{around} (around) does not depend on {wrt} (wrt) and is no operand of what does: their picture would be one "
        f"box; draw around a value between {wrt} and the root, or leave out one of the two"
    )


def _readable(graph: Graph, wish: Wish) -> tuple[View, set[Box]]:
    deepest = _depth_of_groups(graph.structure)
    if len(graph.names) <= SMALL and wish.is_for_all and not deepest:
        return _selected(graph, wish, None)
    view, boxes = _view(graph, wish, None), set[Box]()
    ways = [(level, deepest) for level in LEVELS] + [("layer", frames) for frames in reversed(range(deepest))]
    for level, frames in ways:
        view, boxes = _selected(graph, wish, level, MOST, frames)
        if _fits(graph, wish, view, boxes):
            return view, boxes
    return (view, boxes) if wish.wrt is not None and boxes else _neighbourhood(graph, wish)


def _neighbourhood(graph: Graph, wish: Wish) -> tuple[View, set[Box]]:
    """As much around the value, or at the root, as is easy to read, and at least one operation."""
    view = latest = _view(graph, wish, "layer")
    boxes: set[Box] = set()
    for depth in range(1, (wish.depth or DEEPEST) + 1):
        near = _drawn(graph, wish, latest, latest.near(_centre(latest, wish), depth, FEW))
        if boxes and (len(near) == len(boxes) or not _fits(graph, wish, latest, near)):
            break
        view, boxes = latest, near
        latest = _view(graph, wish, "layer")  # which has not put leaves together yet
    return view, boxes


def _view(graph: Graph, wish: Wish, level: str | None, frames: int = 0) -> View:
    return View(graph.structure, level, [i for i in (wish.around, wish.wrt) if i is not None], wish.hidden, frames)


def _depth_of_groups(structure: Structure) -> int:
    """How many groups are around a value, at most."""
    depth = 0
    groups = [part for part in structure.parts if part.kind == "named"]
    while groups:
        groups = [inner for group in groups for inner in group.parts if inner.kind == "named"]
        depth += 1
    return depth


def _centre(view: View, wish: Wish) -> Box:
    return view.root if wish.around is None else view.box(wish.around)


def _selected(
    graph: Graph, wish: Wish, level: str | None, most: int | None = None, frames: int = 0
) -> tuple[View, set[Box]]:
    """All boxes of a view that are wished for; none if there would be more than `most`, beside leaves."""
    view = _view(graph, wish, level, frames)
    if wish.around is not None or wish.depth is not None:
        boxes = view.near(_centre(view, wish), NEAR if wish.depth is None else wish.depth)
    elif wish.wrt is not None:
        boxes = view.depending_on(wish.wrt)
    else:
        boxes = view.everything(most)
    return view, _drawn(graph, wish, view, boxes)


def _drawn(graph: Graph, wish: Wish, view: View, boxes: set[Box]) -> set[Box]:
    """Of these boxes those that depend on `wrt`, with alike leaves in one."""
    if wish.wrt is not None:
        boxes = (boxes & view.depending_on(wish.wrt)) | {_centre(view, wish)}
    if view.level is None:
        return boxes
    kinds, names = graph.structure.kinds, graph.names
    return view.put_together(boxes, lambda i: f"{kinds[i]} {names[i].split('[')[0]}", {wish.around, wish.wrt})


def _fits(graph: Graph, wish: Wish, view: View, boxes: set[Box]) -> bool:
    if not 0 < len(boxes) <= MOST:
        return False
    width, height = extent(view, boxes, graph.names)
    if wish.direction in ("TB", "BT"):
        width, height = height, width
    return width <= WIDEST and height <= HIGHEST


def _says(graph: Graph, wish: Wish, view: View, boxes: set[Box]) -> str:
    """What the picture leaves out."""
    n = len(graph.names)
    n_drawn = sum(box.part.size if box.part else len(box.leaves) or 1 for box in boxes)
    n_hidden = sum(view.folded(i) is None for i in wish.hidden)
    kinds = {box.part.kind for box in boxes if box.part}
    words = [word for kind, word in _WORDS.items() if kind in kinds]
    folded = f"; folded: {', '.join(words)}" if words else ""
    if n_drawn + n_hidden == n:
        return f"{n:,} values{folded}" if words or any(box.leaves for box in boxes) else ""

    def name(i: int | None) -> str:
        return shown(graph.names[-1 if i is None else i]) or ("the root" if i is None else "the value")

    which = f"between {name(wish.wrt)} and {name(None)}" if wish.wrt is not None else f"nearest to {name(wish.around)}"
    return f"{n_drawn:,} of {n:,} values: those {which}{folded}"


_WORDS = {"named": "groups", "layer": "layers", "neuron": "neurons", "sum": "long sums"}

"""How large a picture will be, before Graphviz lays it out."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tinygrad_scalar.inspection.structure import Structure
from tinygrad_scalar.viz.boxes import FOLDED, LOOKS, range_of, shown, width_of
from tinygrad_scalar.viz.view import Box, View

_OPERATION, _BETWEEN, _BESIDE, _ROW, _CUT_OFF, _FRAME = 28.0, 15.8, 13.0, 17.0, 42.0, 8.0


def extent(view: View, boxes: Collection[Box], names: Sequence[str]) -> tuple[float, float]:
    """About how many points it takes from the leaves to the root, and across.

    An operation comes before the value that it makes. A leaf stands just before its first use.
    """
    widest: dict[int, float] = {}
    across: dict[int, float] = {}

    def stand(rank: int, along: float, rows: int) -> None:
        widest[rank] = max(widest.get(rank, 0.0), along)
        across[rank] = across.get(rank, 0.0) + rows * _ROW + _BESIDE

    ranks = ranks_of(view, boxes)
    for box, rank in ranks.items():
        rows = 2 + (box.value is None or bool(names[box.value])) + (3 if box.part and box.part.kind != "sum" else 0)
        stand(rank, _width(view.structure, box, names), rows)
        if box.operands and box.value is not None:
            stand(rank - 1, _OPERATION, 1)
    is_cut = any(other not in boxes for box in boxes for other in view.below(box))
    n_clusters = len({part for box in boxes for part in view.around(box)})
    along = sum(widest.values()) + (len(widest) - 1) * _BETWEEN + _CUT_OFF * is_cut + _FRAME * n_clusters
    return along, max(across.values(), default=0.0)


def ranks_of(view: View, boxes: Collection[Box]) -> dict[Box, int]:
    """In which column each box stands, as Graphviz puts them: the longest way to it."""
    ranks: dict[Box, int] = {}
    leaves: dict[Box, int] = {}
    for box in in_order(view, boxes):
        if not box.operands:
            continue
        below = [other for other in view.below(box) if other in boxes]
        first = 1 + max((ranks[other] for other in below if other in ranks), default=0)
        ranks[box] = first + (box.value is not None)
        for other in below:
            if not other.operands:
                leaves[other] = min(leaves.get(other, first - 1), first - 1)
    return {**dict.fromkeys(boxes, 0), **leaves, **ranks}


def in_order(view: View, boxes: Collection[Box]) -> list[Box]:
    """The boxes, each after those that it is computed from."""
    order: list[Box] = []
    entered: set[Box] = set()
    for start in sorted(boxes, key=lambda box: box.place):
        todo = [(start, False)]
        while todo:
            box, left = todo.pop()
            if left:
                order.append(box)
            elif box not in entered:
                entered.add(box)
                todo.append((box, True))
                todo.extend((below, False) for below in view.below(box) if below in boxes)
    return order


def _width(structure: Structure, box: Box, names: Sequence[str]) -> float:
    """Of a box, in points."""
    if box.value is not None:
        kind = structure.kinds[box.value]
        word, double = LOOKS[kind].word, kind == "parameter"
        shown_values, title, around = [box.value], shown(names[box.value]), 18
    elif box.part is not None:
        word, double = FOLDED[box.part.kind].word, box.part.kind == "neuron"
        shown_values, title, around = box.part.outputs, shown(box.part.name), 19
    else:
        word, double = "", False
        shown_values, title, around = (
            box.leaves,
            " … ".join(shown(names[i]) for i in (box.leaves[0], box.leaves[-1])),
            20,
        )
    nodes = [structure.nodes[i] for i in shown_values]
    numbers = [range_of([node.data for node in nodes]), range_of([node.grad for node in nodes])]
    rows = [26 + 11 * max(map(width_of, numbers)), 11.5 * width_of(title) + 9 * width_of(word) + 3]
    rows.append(82.0 if double and box.part else 0.0)  # the line that says what a neuron computes
    return max(rows) + around + 8 * double

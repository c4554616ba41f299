"""`View`: the boxes of a picture and what each is computed from, with the parts of the graph that are folded.

Boxes are made as they are asked for, so a small picture of a large graph is quick.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field

from tinygrad_scalar.engine.graph import shown_operands
from tinygrad_scalar.inspection.structure import Part, Structure

LEVELS: dict[str | None, tuple[str, ...]] = {  # the kinds of parts that are one box
    None: (),
    "sum": ("sum",),
    "neuron": ("sum", "neuron"),
    "layer": ("sum", "neuron", "layer", "named"),
}
ALIKE = 6  # leaves of one name and use that are drawn one by one
ALIKE_OF_PARTS = 1  # the same of parameters that only folded parts use


@dataclass(eq=False)
class Box:
    """A box of a picture.

    title     its name in the DOT source: v3 for value 3, f8 for the part that value 8 comes out of
    value     the value that it shows, given as its place in the graph, or None
    part      the part that it stands for; a sum belongs to the box of the value that it is
    operands  the values that it is computed from, in order
    leaves    of a box that stands for several leaves, these
    """

    title: str
    value: int | None = None
    part: Part | None = None
    operands: list[int] = field(default_factory=list)
    leaves: list[int] = field(default_factory=list)

    @property
    def place(self) -> int:
        """Where it stands in topological order."""
        return int(self.title[1:])


class View:
    """The boxes of a graph in which parts of some kinds are folded.

    level   a key of LEVELS
    opened  values that are to be seen: the parts around them are not folded
    frames  how many of the groups around a value, from the outside in, are not folded
    hidden  leaves that have no box
    """

    def __init__(
        self,
        structure: Structure,
        level: str | None = None,
        opened: Iterable[int] = (),
        hidden: Container[int] = (),
        frames: int = 0,
    ) -> None:
        self.structure, self.level, self.hidden, self.frames = structure, level, hidden, frames
        self._open: set[Part] = set()
        for i in opened:
            part = structure.home[i]
            while part:
                if part.kind != "sum" or i not in part.outputs:
                    self._open.add(part)
                part = part.inside
        self._folded_in: dict[Part, Part | None] = {}
        self._boxes: dict[object, Box] = {}
        self._consumers: list[list[int]] | None = None

    def folded(self, i: int) -> Part | None:
        """The outermost folded part that value i belongs to, or None."""
        home = self.structure.home[i]
        if home is None:
            return None
        if home not in self._folded_in:
            around, part = [], home
            while part:
                around.append(part)
                part = part.inside  # type: ignore[assignment]
            groups = [part for part in reversed(around) if part.kind == "named"]
            still = self._open.union(groups[: self.frames])
            found = [part for part in around if part.kind in LEVELS[self.level] and part not in still]
            self._folded_in[home] = found[-1] if found else None
        return self._folded_in[home]

    def box(self, i: int) -> Box:
        """The box in which value i is."""
        part = self.folded(i)
        key = i if part is None else part
        if key not in self._boxes:
            self._boxes[key] = self._new_box(i, part)
        return self._boxes[key]

    def _new_box(self, i: int, part: Part | None) -> Box:
        node = self.structure.nodes[i]
        if part is None:
            places = [place for place, _ in shown_operands(node)]
            return Box(f"v{i}", i, None, [self.structure.operands[i][place] for place in places])
        if part.kind == "sum":
            top = part.outputs[-1]
            return Box(f"v{top}", top, part, list(self._terms(part)))
        return Box(f"f{part.outputs[-1]}", None, part, part.inputs)

    def _terms(self, part: Part) -> Iterator[int]:
        """The terms of a sum from left to right, each as often as it is added."""
        additions = set(part.own)
        todo = [part.outputs[-1]]
        while todo:
            i = todo.pop()
            if i in additions:
                todo.extend(reversed(self.structure.operands[i]))
            else:
                yield i

    def below(self, box: Box) -> list[Box]:
        """The boxes that a box is computed from, each once."""
        return [*dict.fromkeys(self.box(i) for i in box.operands if i not in self.hidden)]

    def above(self, box: Box) -> list[Box]:
        """The boxes that are computed from a box, each once."""
        if self._consumers is None:
            self._consumers = [[] for _ in self.structure.nodes]
            for i, operands in enumerate(self.structure.operands):
                for operand in operands:
                    self._consumers[operand].append(i)
        values = box.part.outputs if box.part else [box.value] if box.value is not None else box.leaves
        found = dict.fromkeys(self.box(i) for value in values for i in self._consumers[value])
        found.pop(box, None)
        return [*found]

    # --- which boxes are in the picture ------------------------------------------------------------------------------

    @property
    def root(self) -> Box:
        return self.box(len(self.structure.nodes) - 1)

    def everything(self, most: int | None = None) -> set[Box]:
        """All boxes; none if there are more than `most` that are no leaves."""
        found, todo, computed = {self.root}, [self.root], 0
        while todo:
            box = todo.pop()
            computed += bool(box.operands)
            if most is not None and computed > most:
                return set()
            for operand in self.below(box):
                if operand not in found:
                    found.add(operand)
                    todo.append(operand)
        return found

    def near(self, box: Box, depth: int, most: int | None = None) -> set[Box]:
        """The boxes within `depth` operations of a box, either way; `most` at each operation, if given."""
        found = {box}
        for step in (self.below,) if box is self.root else (self.below, self.above):
            latest = {box}
            for _ in range(depth):
                latest = {other for one in latest for other in step(one)[:most]} - found
                if not latest:
                    break
                found |= latest
        return found

    def around(self, box: Box) -> list[Part]:
        """The parts that a box is in, and which are shown as frames: layers and groups, from the inside out."""
        if box.leaves:
            return []
        kinds = ("named",) if self.level is None else ("layer", "named")
        part = box.part.inside if box.part else self.structure.home[box.value]  # type: ignore[index]
        found = []
        while part:
            if part.kind in kinds:
                found.append(part)
            part = part.inside
        return found

    def depending_on(self, i: int) -> set[Box]:
        """The boxes on the ways from value i to the root, and the leaves beside them."""
        depends = [False] * len(self.structure.nodes)
        depends[i] = True
        for j, operands in enumerate(self.structure.operands):
            if any(depends[operand] for operand in operands):
                depends[j] = True
        found = {self.box(j) for j, does in enumerate(depends) if does}
        leaves = {below for box in found if not box.part for below in self.below(box) if not below.operands}
        return found | leaves

    # --- leaves that are alike ---------------------------------------------------------------------------------------

    def put_together(self, boxes: set[Box], alike: Callable[[int], str], apart: Container[int | None]) -> set[Box]:
        """The same with one box for many leaves that are `alike` and that the same boxes are computed from."""
        consumers: dict[Box, list[Box]] = {}
        for box in sorted(boxes, key=lambda box: box.place):
            for operand in self.below(box):
                if operand in boxes and operand.value is not None and not operand.operands:
                    consumers.setdefault(operand, []).append(box)
        groups: dict[tuple[str, frozenset[Box]], list[Box]] = {}
        for leaf, above in consumers.items():
            if leaf.value not in apart:
                groups.setdefault((alike(leaf.value), frozenset(above)), []).append(leaf)  # type: ignore[arg-type]
        for (_, above), group in groups.items():  # type: ignore[assignment]
            of_parts = all(box.value is None for box in above) and self._kind(group[0]) != "input"
            if len(group) > (ALIKE_OF_PARTS if of_parts else ALIKE):
                together = Box(f"m{group[0].place}", leaves=[box.value for box in group if box.value is not None])
                for box in group:
                    self._boxes[box.value] = together
                boxes = boxes.difference(group) | {together}
        return boxes

    def _kind(self, leaf: Box) -> str:
        return "" if leaf.value is None else self.structure.kinds[leaf.value]

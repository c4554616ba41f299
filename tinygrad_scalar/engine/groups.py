"""`group`: the values made within a block have a name in common, by which pictures fold them.

A node has no room of its own for its group: it is kept with the label, which is then a `Grouped` instead of a str. So a
graph without groups costs nothing, and the group stays with the node in copies and pickles, whatever recomputes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from tinygrad_scalar.engine import observers
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.engine.quiet import without_collector


class Group:
    """One run through a `group` block: its name and the group around it, or None."""

    __slots__ = ("name", "outer")

    def __init__(self, name: str, outer: Group | None) -> None:
        self.name, self.outer = name, outer

    def __reduce__(self) -> tuple[Any, ...]:
        return Group, (self.name, self.outer)

    def __repr__(self) -> str:
        return f"Group({self.name!r})"


class Grouped(str):
    """The label of a node in a group."""

    __slots__ = ("group",)

    group: Group

    def __new__(cls, label: str, group: Group) -> Grouped:
        self = super().__new__(cls, label)
        self.group = group
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Grouped, (str(self), self.group)


_innermost: ContextVar[Grouped | None] = ContextVar("_innermost", default=None)  # what its nodes have for a label


@contextmanager
def group(name: str) -> Iterator[None]:
    """Within this block every new value belongs to the group `name`; also a decorator: `@group("attention")`.

    `draw` and the other readers that fold graphs can show a group as one box, with its name and how many values it
    stands for. Blocks can be nested; each run through a block is a group of its own. Values made by other threads do
    not belong to it, nor do leaves: a reader counts those that only the group uses. Raises TypeError if `name` is not a
    str, ValueError if it is empty.

    >>> from tinygrad_scalar.engine import Value, group_of
    >>> x = Value(2.0, "x")
    >>> with group("square"):
    ...     y = x * x
    >>> group_of(y), group_of(x), group_of(y + 1)
    (Group('square'), None, None)
    """
    if not isinstance(name, str):
        raise TypeError(f"a group's name must be a str, got {shown(name)}")
    if not name.strip():
        raise ValueError(f"a group's name must not be empty, got {name!r}")
    around = _innermost.get()
    entering = Grouped("", Group(str.__str__(name), around.group if around is not None else None))
    entered = without_collector(_innermost.set, entering)
    try:
        with observers.told(_join):
            yield
    finally:
        with suppress(ValueError):  # of a generator that is closed elsewhere than where it was begun
            without_collector(_innermost.reset, entered)


def _join(node: Any) -> None:
    innermost = _innermost.get()
    if innermost is not None:
        node.label = innermost


def relabelled(old: str, label: str) -> str:
    """`label` as a node keeps it that had the label `old`: its group stays."""
    if type(label) is Grouped:
        return label
    label = str.__str__(label)  # of a subclass of str, which could refer back to the node, a plain copy
    return Grouped(label, old.group) if type(old) is Grouped else label

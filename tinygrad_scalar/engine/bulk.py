"""Many Values at once: the recurring work of a training step, one call each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from tinygrad_scalar.engine import errors, graph, tracing, value as _value
from tinygrad_scalar.engine.node import AnyNode
from tinygrad_scalar.engine.value import Value
from tinygrad_scalar.screen import counted

FEW_OPERANDS = 3  # which are looked at as quickly as a mark

Function = TypeVar("Function", bound=Callable[..., Any])

if TYPE_CHECKING:
    import numpy as np

    from tinygrad_scalar.engine.groups import Group

    Array = np.ndarray[tuple[int], np.dtype[np.float64]]


def weighted_sum(w: Sequence[Value], x: Sequence[Value], b: Value) -> Value:
    """Σₖ w[k]·x[k] + b, one node for each product and each sum (000, multi-node; 003 Eq. 1a).

    >>> weighted_sum([Value(2.0), Value(3.0)], [Value(10.0), Value(1.0)], Value(0.5)).data
    23.5
    """
    if not 0 < len(w) == len(x):
        raise ValueError(
            "weighted_sum expected at least one weight, and one activation per weight; "
            f"got {counted(len(w), 'weight')} and {counted(len(x), 'activation')}"
        )
    total = w[0] * x[0]
    for w_k, x_k in zip(w[1:], x[1:]):
        total = total + w_k * x_k
    return total + b


def clear_gradients(values: Iterable[Value]) -> None:
    """Set the gradient of each value to 0."""
    for value in values:
        value.grad = 0.0


def read_data(values: Sequence[Value], out: Array) -> None:
    """Write the values' data into `out`, of the same length."""
    out[:] = [value.data for value in values]


def read_gradients(values: Sequence[Value], out: Array) -> None:
    """Write the values' gradients into `out`, of the same length."""
    out[:] = [value.grad for value in values]


def compute_gradients(root: Value, values: Sequence[Value], out: Array) -> int:
    """Write ∂root/∂value for each of the values into `out`, as `root.backward()` computes it; every .grad stays.

    Returns how many operations the root was computed with.
    """
    if tracing.active:
        tracing.forbid(root, "gradient")
    found = graph.swept(root)
    out[:] = [found.get(value, 0.0) for value in values]
    return sum(1 for value in found if value.operands)


def recompute(root: Value, since: int) -> bool:
    """`root.forward()`, unless that would change a node from before the time `since`; returns whether it was done."""
    for node in graph.interior(root):
        if node._time < since and any(operand._time > node._time for operand in node.operands):
            return False
    root.forward()
    return True


def marks_below(value: Value, marks: dict[Value, int], decisive: int) -> int:
    """The bits of the nodes in `marks` that a Value was computed from, or those of one that has the `decisive` bit.

    What is found on the way is added to `marks`, so that no node is searched twice, unless that takes no search.

    >>> x, w = Value(1.0), Value(2.0)
    >>> marks = {x: 2, w: 1}
    >>> marks_below(w**2 + 1.0, marks, 2), marks_below((w * x) ** 2, marks, 2) & 2
    (1, 2)
    """
    path, rest, bits, node = list[Value](), list[Iterator[Value]](), list[int](), value
    while True:
        below = marks.get(node, 0)
        if node not in marks and node.operands:
            below = next((marks[operand] for operand in node.operands if marks.get(operand, 0) & decisive), 0)
            if not below or len(node.operands) > FEW_OPERANDS:
                path.append(node)
                rest.append(iter(node.operands))
                bits.append(0)
        if below & decisive:
            marks.update(dict.fromkeys(path, below))
            return below
        while path:
            bits[-1] |= below
            if (following := next(rest[-1], None)) is not None:
                node = following
                break
            below = marks[path.pop()] = bits.pop()
            rest.pop()
        else:
            return below


def turn_memory(dropped: list[Value]) -> bool:
    """Empty the list, and let nodes lie elsewhere than those that go with it, but in their memory, which is kept.

    The order in which nodes lie is turned as well, until `turn_memory_back`: whoever goes by their places, as a set
    does, finds another. The plain Value leaves all to Python, and the list as it is. Returns whether it was emptied.
    """
    return False


def turn_memory_back() -> None:
    """Undo `turn_memory`, and give back the memory that is empty."""


def give_back_unused() -> None:
    """Give back the memory of nodes and large arrays that are gone, some of which is kept in case that it is wanted."""


def in_c(function: Function) -> Function:
    """A function of functions.py, or the same compiled, which calls `function` where an operand is no Value."""
    return function


def acyclic(cls: type[AnyNode]) -> type[AnyNode]:
    """A decorator for a subclass whose instances have no attributes, and which itself is there for good.

    No graph of them can be part of a cycle, so the compiled Value does not trouble the garbage collector with it.
    """
    return cls


def group_of(value: Value) -> Group | None:
    """The innermost `group` that a Value was made in, or None; a leaf was made in none."""
    return getattr(value._label, "group", None)


def now() -> int:
    """The time of the last change to any leaf: an integer that grows."""
    return _value._clock


def tick() -> int:
    """Advance the time and return it: leaves made from now on are newer than all earlier ones."""
    _value._clock += 1
    return _value._clock


def set_data(values: Sequence[Value], data: Array) -> None:
    """Set the data of each leaf."""
    for value in values:
        if value.op:
            raise errors.computed(value)
    for value, number in zip(values, data.tolist()):
        value.data = number

"""Many Values at once: what a training step does again and again, in one call each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from tinygrad_scalar.engine import errors
from tinygrad_scalar.engine import value as _value
from tinygrad_scalar.engine.graph import topological_order
from tinygrad_scalar.engine.implementation import accelerated
from tinygrad_scalar.engine.value import Value

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[tuple[int], np.dtype[np.float64]]
    Integers = np.ndarray[tuple[int], np.dtype[np.int64]]


def weighted_sum(w: Sequence[Value], x: Sequence[Value], b: Value) -> Value:
    """Σₖ w[k]·x[k] + b, one node for each product and each sum (000, multi-node; 003 Eq. 1a).

    >>> weighted_sum([Value(2.0), Value(3.0)], [Value(10.0), Value(1.0)], Value(0.5)).data
    23.5
    """
    if not 0 < len(w) == len(x):
        raise ValueError(f"a weighted sum takes as many weights as activations, not {len(w)} and {len(x)}")
    total = w[0] * x[0]
    for w_k, x_k in zip(w[1:], x[1:]):
        total = total + w_k * x_k
    return total + b


def clear_gradients(values: Iterable[Value]) -> None:
    """Set the gradient of each to 0."""
    for value in values:
        value.grad = 0.0


def read_data(values: Sequence[Value], out: Array) -> None:
    """Write their data into `out`, of the same length."""
    out[:] = [value.data for value in values]


def read_gradients(values: Sequence[Value], out: Array) -> None:
    """Write their gradients into `out`, of the same length."""
    out[:] = [value.grad for value in values]


def now() -> int:
    """The time of the last change to any leaf: an integer that grows."""
    return _value._clock


def tick() -> int:
    """Let time pass, and give it: leaves made from now on are younger than those before."""
    _value._clock += 1
    return _value._clock


def set_data(values: Sequence[Value], data: Array) -> None:
    """Set the data of each leaf."""
    for value in values:
        if value.op:
            raise errors.computed(value)
    for value, number in zip(values, data.tolist()):
        value.data = number


class Tape(NamedTuple):
    """Graphs in arrays: node i applies operation `names[codes[i]]` to the nodes `operands[starts[i]:starts[i+1]]`.

    Operands come before what is computed from them; a leaf has the code −1 and no operands.
    """

    nodes: list[Value]
    names: list[str]
    codes: Integers
    starts: Integers
    operands: Integers


def read_graph(roots: Sequence[Value]) -> Tape:
    """The graphs of all `roots` in one tape, the graph of each in topological order.

    >>> x = Value(2.0)
    >>> tape = read_graph([x * x + x])
    >>> tape.names, tape.codes.tolist(), tape.starts.tolist(), tape.operands.tolist()
    (['*', '+'], [-1, 0, 1], [0, 0, 2, 4], [0, 0, 1, 0])
    """
    import numpy as np

    order: dict[Value, int] = {}
    for root in roots:
        if root not in order:
            for node in topological_order(root):
                order.setdefault(node, len(order))
    names: dict[str, int] = {"": -1}
    codes, starts, operands = [], [0], []
    for node in order:
        codes.append(names.setdefault(node.op, len(names) - 1))
        operands.extend([order[operand] for operand in node.operands])
        starts.append(len(operands))
    return Tape(
        list(order),
        list(names)[1:],
        np.array(codes, np.int64),
        np.array(starts, np.int64),
        np.array(operands, np.int64),
    )


if accelerated and not TYPE_CHECKING:
    from tinygrad_scalar.engine._value import (  # noqa: F401
        clear_gradients,
        now,
        read_data,
        read_gradients,
        set_data,
        tick,
        weighted_sum,
    )
    from tinygrad_scalar.engine._value import read_graph as _read_graph

    def read_graph(roots: Sequence[Value]) -> Tape:
        import numpy as np

        nodes, names, *arrays = _read_graph(list(roots))
        return Tape(nodes, names, *(np.frombuffer(array, np.int64) for array in arrays))

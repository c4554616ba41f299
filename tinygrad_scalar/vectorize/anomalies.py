"""Array programs within `detect_anomaly()`: they run as always, and raise an alarm if a number may not be finite.

The engine then goes through the examples of the alarm, and raises what it raises without vectorize: the operation, its
operands and the line of the function. Only the gradients that were asked for count: not those of the arguments, which
could as well be plain numbers. An alarm can be false, since the arrays' way to a finite number can lead over infinity:
σ(−1000) = 1/(1 + ∞).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_scalar.engine import Value, anomaly
from tinygrad_scalar.engine.errors import AnomalyError
from tinygrad_scalar.engine.graph import pass_order, topological_order
from tinygrad_scalar.engine.ops import operation
from tinygrad_scalar.screen import counted
from tinygrad_scalar.vectorize.compiled import Compiled, data_of, same
from tinygrad_scalar.vectorize.trace import called, example_arguments, flat

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_scalar.vectorize.ways import Result

    Floats = NDArray[Any]

PIECE = 32  # examples that the engine goes through after an alarm


def run_watched(
    program: Compiled,
    cost: Callable[..., Value] | None,
    values: list[Value],
    parameters: Floats,
    rows: Sequence[Floats],
    *,
    backwards: bool,
    wrt_inputs: bool,
) -> Result:
    """The result of the program; AnomalyError if a number is not finite in the engine, or in the mean."""
    result, alarmed = program.alarmed(parameters, rows, backwards)
    if not alarmed:
        return result
    m = len(rows[0])
    if cost is not None:
        for arguments in _examples_of_alarms(program, parameters, rows, backwards):
            C = _graph(cost, values, parameters, arguments)
            if backwards:
                leaves = [*values, *flat(arguments)] if wrt_inputs else values
                anomaly.require_finite_gradients(C, pass_order(C), 1.0 / m, _depending_on(leaves, C))
    value, gradient, inputs = result
    if not math.isfinite(value):
        raise _not_finite(f"the mean cost of {counted(m, 'example')} became {value!r}", parameters, cost)
    if not all(np.isfinite(array).all() for array in (gradient, *(inputs if wrt_inputs else ()))):
        raise _not_finite(
            f"the gradient of the mean cost of {counted(m, 'example')} became infinite or nan", parameters, cost
        )
    return result


def _not_finite(what: str, parameters: Floats, cost: Callable[..., Value] | None) -> AnomalyError:
    if cost is None:
        return AnomalyError(f"{what}: call vectorize anew to find the operation, a pickle has not the function")
    return AnomalyError(
        f"{what}, although every number of each example is finite: their sum, or a number on the way, is beyond the "
        f"range of {parameters.dtype}"
    )


def _examples_of_alarms(
    program: Compiled, parameters: Floats, rows: Sequence[Floats], backwards: bool
) -> Iterator[list[Any]]:
    """The examples of each piece that raises an alarm, as arguments of the function."""
    for start in range(0, len(rows[0]), PIECE):
        piece = [array[start : start + PIECE] for array in rows]
        if program.alarmed(parameters, piece, backwards)[1]:
            examples = [array.reshape(-1, *shape) for array, (shape, _) in zip(piece, program.shapes)]
            for i in range(len(piece[0])):
                yield example_arguments(examples, i)


def _graph(cost: Callable[..., Value], values: list[Value], parameters: Floats, arguments: list[Any]) -> Any:
    """The engine's graph of an example; AnomalyError if a number in it is not finite."""
    if same(data_of(values).astype(parameters.dtype), parameters).all():
        return called(cost, arguments)
    return _recomputed(cost, values, parameters, arguments)


def _depending_on(leaves: Iterable[Value], C: Any) -> set[Any]:
    """The nodes of the graph of C that depend on one of the leaves, and C."""
    wanted = set(leaves)
    depending = {C}
    for node in topological_order(C):
        if getattr(node, "original", node) in wanted or not depending.isdisjoint(node.operands):
            depending.add(node)
    return depending


class _Recomputed:
    """A node of `original`'s kind with other numbers."""

    def __init__(self, original: Value, data: float, operands: tuple[_Recomputed, ...]) -> None:
        self.original = original
        self.op, self.label, self.data, self.operands = original.op, original.label, data, operands
        self.local_grads: tuple[float, ...] = ()
        if self.op:
            numbers = [operand.data for operand in operands]
            self.data = operation(self.op).forward(*numbers)
            self.local_grads = operation(self.op).local_grads(self.data, *numbers)


def _recomputed(cost: Callable[..., Value], values: list[Value], parameters: Floats, arguments: list[Any]) -> Any:
    """The graph of an example with `parameters`, which the Values do not have; nobody is to see them change."""
    with anomaly.not_watched():
        C = called(cost, arguments)
    numbers = dict(zip(values, parameters.tolist()))
    made: dict[Value, Any] = {}
    for node in topological_order(C):
        made[node] = again = _Recomputed(
            node, numbers.get(node, node.data), tuple(made[operand] for operand in node.operands)
        )
        if again.op:
            anomaly.watch(made[node], anomaly.line_of(node))
    return made[C]

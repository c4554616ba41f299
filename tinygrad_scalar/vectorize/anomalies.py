"""Array programs within `detect_anomaly()`: they run as always, and raise an alarm if a number may not be finite.

The engine then goes through the examples of the alarm, and raises what it raises without vectorize: the operation, its
operands and the line of the function. Only the gradients that were asked for count: not those of the arguments, which
could as well be plain numbers. An alarm can be false, since the arrays' way to a finite number can lead over infinity:
σ(−1000) = 1/(1 + ∞).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tinygrad_scalar.engine import Value, anomaly
from tinygrad_scalar.engine.errors import AnomalyError
from tinygrad_scalar.engine.graph import pass_order, topological_order
from tinygrad_scalar.engine.ops import operation
from tinygrad_scalar.screen import counted
from tinygrad_scalar.vectorize.compiled import Compiled
from tinygrad_scalar.vectorize.each_example import EachExample
from tinygrad_scalar.vectorize.outputs import called
from tinygrad_scalar.vectorize.trace import example_arguments, flat
from tinygrad_scalar.vectorize.ways import all_finite, cast, data_of, same

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[Any]

PIECE = 32  # examples that the engine goes through after an alarm


def run_watched(
    program: Compiled | EachExample,
    cost: Callable[..., Any] | None,
    values: list[Value],
    parameters: Floats,
    rows: Sequence[Floats],
    *,
    backwards: bool,
    wrt_inputs: bool,
) -> Any:
    """The result of the program; AnomalyError if a number is not finite in the engine, or in what the program gives."""
    result, alarmed = program.alarmed(parameters, rows, backwards)
    if not alarmed:
        return result
    m = len(rows[0])
    if cost is not None:
        upstream = 1.0 / m if program.reduce == "mean" else 1.0
        for arguments in _examples_of_alarms(program, parameters, rows, backwards):
            for C in _graphs(cost, values, parameters, arguments):
                if backwards:
                    leaves = [*values, *flat(arguments)] if wrt_inputs else values
                    anomaly.require_finite_gradients(C, pass_order(C), upstream, _depending_on(leaves, C))
    value, gradient, inputs = result
    of = "cost" if program.reduce == "each" else f"{program.reduce} cost"
    given = f"the {of} of {counted(m, 'example')}"
    if not all_finite(value):
        shown = f"{value!r}" if isinstance(value, float) else "infinite or nan"
        raise _not_finite(f"{given} became {shown}", parameters, cost)
    if not all(all_finite(array) for array in (gradient, *(inputs if wrt_inputs else ()))):
        raise _not_finite(f"the gradient of {given} became infinite or nan", parameters, cost)
    return result


def _not_finite(what: str, parameters: Floats, cost: Callable[..., Any] | None) -> AnomalyError:
    if cost is None:
        return AnomalyError(f"{what}: call vectorize anew to find the operation, a pickle has not the function")
    return AnomalyError(
        f"{what}, although every number of each example is finite: their sum, or a number on the way, is beyond the "
        f"range of {parameters.dtype}"
    )


def _examples_of_alarms(
    program: Compiled | EachExample, parameters: Floats, rows: Sequence[Floats], backwards: bool
) -> Iterator[list[Any]]:
    """The examples of each piece that raises an alarm, as arguments of the function."""
    for start in range(0, len(rows[0]), PIECE):
        piece = [array[start : start + PIECE] for array in rows]
        if program.alarmed(parameters, piece, backwards)[1]:
            examples = [array.reshape(len(array), *shape) for array, (shape, _) in zip(piece, program.shapes)]
            for i in range(len(piece[0])):
                yield example_arguments(examples, i)


def _graphs(cost: Callable[..., Any], values: list[Value], parameters: Floats, arguments: list[Any]) -> list[Any]:
    """The engine's graphs of an example's outputs; AnomalyError if a number in them is not finite."""
    if same(cast(data_of(values), parameters.dtype), parameters).all():
        return list(called(cost, arguments).values)
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


def _recomputed(cost: Callable[..., Any], values: list[Value], parameters: Floats, arguments: list[Any]) -> list[Any]:
    """The graphs of an example with `parameters`, which the Values do not have; nobody is to see them change."""
    with anomaly.not_watched():
        outputs = called(cost, arguments).values
    numbers = dict(zip(values, parameters.tolist()))
    made: dict[Value, Any] = {}
    for node in (node for output in outputs for node in topological_order(output)):
        if node in made:
            continue
        made[node] = again = _Recomputed(
            node, numbers.get(node, node.data), tuple(made[operand] for operand in node.operands)
        )
        if again.op:
            anomaly.watch(made[node], anomaly.line_of(node))
    return [made[output] for output in outputs]

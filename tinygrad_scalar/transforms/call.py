"""One call of a function to be differentiated: with which Values it is called, and what its derivatives come back as.

The function gets a Value of its own for each number: a new leaf for a float, a copy for a Value. A derivative taken
inside another one therefore sees only its own variables, while the outer one sees through the copies.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from tinygrad_scalar.engine import Linear, Value, anomaly, gradients, record, tangents, tick, tracing
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.transforms.kinds import anything, differentiable, returned
from tinygrad_scalar.transforms.structure import (
    Container,
    Leaf,
    Structure,
    in_words,
    ndarray,
    take_apart,
)

Argnums = int | tuple[int, ...]

FOR_SEVERAL_OUTPUTS = {"hessian": "leave out sparse", "hvp": "use jvp of jacobian(f)"}


class Call:
    """What a function returned, and the Values that it was called with.

    verb      the transformation, such as "grad", for errors
    structure of what is differentiated by: of one argument, or of a tuple of several
    given     the numbers in it, as the caller gave them
    inputs    the Values that the function got for them
    returns   the structure of what the function returned
    outputs   the Values and constants in it
    aux       what it returned beside them
    """

    def __init__(
        self,
        verb: str,
        arguments: Sequence[Any],
        argnums: Argnums,
        has_aux: bool,
    ) -> None:
        self.verb, self.has_aux = verb, has_aux
        self._arguments = arguments
        self._places = places_of(verb, argnums, len(arguments))
        taken = [take_apart(arguments[place], f"{verb}: argument {place}", differentiable) for place in self._places]
        self._parts = [structure for structure, _ in taken]
        self.structure = self._parts[0] if isinstance(argnums, int) else _tuple_of(self._parts)
        self.given = [number for _, numbers in taken for number in numbers]

    def run(self, f: Callable[..., Any], keywords: Mapping[str, Any] | None = None) -> Call:
        """Call the function; returns itself."""
        self.start = tick()  # all that the function computes is newer
        self.inputs = [record("copy", x) if isinstance(x, Value) else Value(x) for x in self.given]
        passed, start = list(self._arguments), 0
        for place, structure in zip(self._places, self._parts):
            passed[place] = structure.build(self.inputs[start : start + structure.size])
            start += structure.size
        result = f(*passed, **(keywords or {}))
        self.aux = None
        if self.has_aux:
            if not isinstance(result, tuple) or len(result) != 2:
                raise TypeError(
                    f"{self.verb} with has_aux=True expects the function to return a pair, (value, aux), "
                    f"got {in_words(result)}"
                )
            result, self.aux = result
        if result is None:
            raise TypeError(f"{self.verb}: the function returned None: a return is missing")
        self.returns, self.outputs = take_apart(result, f"{self.verb}: what the function returned", returned)
        if self.inputs and self.outputs and not any(isinstance(output, Value) for output in self.outputs):
            raise TypeError(
                f"{self.verb}: the function returned {in_words(result)}, which does not depend on its argument: it was "
                "lost on the way, through .data, float(), or a function of math where ts.exp or x.exp() would keep it"
            )
        return self

    @property
    def output(self) -> Any:
        """The one Value that the function returned; a TypeError if it returned several."""
        if len(self.returns.parts) != 1 or len(self.outputs) != 1 or self.returns.leaves[0].shape:
            several = in_words(self.returns.build(self.outputs))
            pair = ", or has_aux=True for the first of a pair" if several == "a tuple of 2" else ""
            instead = FOR_SEVERAL_OUTPUTS.get(self.verb, "use jacobian")
            raise TypeError(f"{self.verb} expects a function that returns one Value, got {several}: {instead}{pair}")
        return self.outputs[0]

    @cached_property
    def of_values(self) -> bool:
        """Whether a Value is among the numbers to differentiate by."""
        return any(isinstance(x, Value) for x in self.given)

    @cached_property
    def linear(self) -> Linear:
        """The local gradients between the inputs and the outputs."""
        return Linear(self.outputs, self.inputs, self.start)

    def linear_of(self, outputs: Sequence[Any]) -> Linear:
        """The same for these outputs, which can be the slopes."""
        return self.linear if outputs is self.outputs else Linear(outputs, self.inputs, self.start)

    @cached_property
    def closed(self) -> bool:
        """Whether the outputs depend on no Value but the inputs, and these are floats: then so are all derivatives.

        Not while numbers are watched or must not be read: then derivatives are recorded, for the engine to look after.
        """
        watched = tracing.active or anomaly.watching
        return not self.of_values and not watched and self.linear.closed

    @property
    def slopes(self) -> list[Any]:
        """The gradient of the one output, recorded."""
        return self.slopes_of(self.output)

    def slopes_of(self, output: Any) -> list[Any]:
        """The gradient of an output, recorded: a Value or a number for each input."""
        return gradients(output, self.inputs) if isinstance(output, Value) else [0.0] * len(self.inputs)

    def moved(self, outputs: Sequence[Any], directions: Sequence[Any]) -> list[Any]:
        """The derivative of each output along the directions, one for each input: forward mode."""
        if self.closed and not any(isinstance(direction, Value) for direction in directions):
            return self.linear_of(outputs).push(directions)
        roots = [output for output in outputs if isinstance(output, Value)]
        found = iter(tangents(roots, self.inputs, directions))
        return [next(found) if isinstance(output, Value) else 0.0 for output in outputs]

    def by_input(self, numbers: Sequence[Any]) -> Any:
        """One number for each input, as a gradient is returned: with the argument's structure and types."""
        return self.structure.build(self.settled(numbers, [isinstance(x, Value) for x in self.given]))

    @property
    def value(self) -> Any:
        """What the function returned."""
        if self.closed:
            return self.returns.build([output.data if isinstance(output, Value) else output for output in self.outputs])
        return self.by_output(self.outputs)

    def by_output(self, numbers: Sequence[Any]) -> Any:
        """One number for each output, with the structure of what the function returned."""
        return self.returns.build(self.settled(numbers, [self.of_values] * len(numbers)))

    def settled(self, numbers: Sequence[Any], as_values: Sequence[bool]) -> list[Any]:
        """Each number as a Value or as a float, as it is wanted; as a Value also if it depends on one from outside."""
        outside = depend(numbers, self.start) if not all(as_values) else [True] * len(numbers)
        return [
            (number if isinstance(number, Value) else Value(number))
            if wanted or depends
            else (number.data if isinstance(number, Value) else float(number))
            for number, wanted, depends in zip(numbers, as_values, outside)
        ]

    def with_aux(self, *results: Any) -> Any:
        """The results, and the aux behind them if there is one; its Values are floats if floats were given."""
        if self.has_aux and not self.of_values:
            structure, numbers = take_apart(self.aux, "aux", anything)
            results = *results, structure.build(self.settled(numbers, [False] * len(numbers)))
        elif self.has_aux:
            results = *results, self.aux
        return results[0] if len(results) == 1 else results


def depend(numbers: Sequence[Any], start: int) -> list[bool]:
    """For each number whether it depends on a Value from before the time `start`, other than the numbers of formulas.

    Nothing older is walked through.
    """
    values = [number for number in numbers if isinstance(number, Value)]
    if not values or (not tracing.active and Linear(values, [], start).closed):
        return [False] * len(numbers)
    known: dict[Any, bool] = {}
    todo = values
    while todo:
        node = todo[-1]
        if node in known:
            todo.pop()
        elif node._time < start:
            known[node] = node._time >= 0
        else:
            operands = node.operands
            if tracing.active and not operands:  # a placeholder made meanwhile, by ts.lookup
                known[node] = tracing.tracer_of(node) is not None
                continue
            waiting = [operand for operand in operands if operand not in known]
            if waiting:
                todo += waiting
            else:
                known[node] = True in [known[operand] for operand in operands]
    return [known.get(number, False) for number in numbers]


def _tuple_of(structures: Sequence[Structure]) -> Structure:
    whole: list[Leaf | Container] = [Container(tuple, len(structures), (), tuple)]
    for structure in structures:
        whole += structure.parts
    return Structure(whole)


def require_function(verb: str, f: Any) -> None:
    if not callable(f):
        instead = ": give it the function, not what it returned" if isinstance(f, (Value, float)) else ""
        raise TypeError(f"{verb} expects a function, got {shown(f)}{instead}")


def is_compiled(verb: str, f: Any, compiled: Any) -> bool:
    """Whether `compiled` asks for a program of `f`, which must then be a function."""
    if type(compiled) is not bool:
        raise TypeError(f"{verb}: compiled must be True or False, got {shown(compiled)}")
    require_function(verb, f)
    return compiled


def required_argnums(verb: str, argnums: Any) -> int | tuple[int, ...]:
    """An integer or a sequence of different integers."""
    several = isinstance(argnums, Sequence) and not isinstance(argnums, str)
    numbers: list[Any] = list(argnums) if several else [argnums]
    for number in numbers:
        if isinstance(number, (bool, ndarray())) or not hasattr(type(number), "__index__"):
            raise TypeError(f"{verb}: argnums must be an integer or a sequence of integers, got {shown(argnums)}")
    found = tuple([operator.index(number) for number in numbers])
    if not found or len(set(found)) < len(found):
        raise ValueError(f"{verb}: argnums must name at least one argument, and each once, got {shown(argnums)}")
    return found if several else found[0]


def places_of(verb: str, argnums: Argnums, n: int) -> list[int]:
    """The places of the arguments to differentiate by, counted from 0."""
    places = [argnums] if isinstance(argnums, int) else list(argnums)
    for place in places:
        if not -n <= place < n:
            given = f"{n} of them" if n else "none"
            raise ValueError(f"{verb}: argnums must name an argument given by position, got {place} with {given}")
    places = [place % n for place in places]
    if len(set(places)) < len(places):
        raise ValueError(f"{verb}: argnums must name each argument once, got {shown(argnums)}")
    return places

"""Transformations with `compiled=True`: what they compute is recorded once, and then runs as a program of `vectorize`.

Each program is for arguments of one kind: nested alike, with the same shapes, integers and texts. Their floats are its
one example.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MethodType
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.transforms.arguments import (
    FLOAT64,
    FLOATS_ONLY,
    Arguments,
    Row,
    beside,
    float_only,
    float_or_fixed,
    key_of,
)
from tinygrad_scalar.transforms.call import Argnums, Call, places_of
from tinygrad_scalar.transforms.kinds import anything
from tinygrad_scalar.transforms.structure import Leaf, Opaque, Place, Structure, filled, nested_arrays, take_apart
from tinygrad_scalar.vectorize import vectorize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_scalar.vectorize.vectorized import Vectorized

    Floats = NDArray[np.float64]

Record = Callable[[Call, Sequence[Value]], Any]

PROGRAMS_KEPT = 16  # of a function, for as many kinds of arguments
FIRST = (0, -1, (0,), (-1,))  # argnums for a function of one argument
FUNCTIONS_KEPT = 16  # of those given to jvp, vjp and hvp


class ReturnsOtherwiseError(Exception):
    """The function returns something of another structure than when it was first called."""


class Program:
    """A program for arguments of one kind.

    run        what `vectorize` returned, a function of rows of numbers
    structure  of what is differentiated by; `returns` that of what the function returned
    """

    def __init__(self, run: Vectorized, structure: Structure, call: Call) -> None:
        self.run, self.structure, self.returns, self._has_aux = run, structure, call.returns, call.has_aux
        self._aux = _aux_of(call)[0]
        self.n_outputs = len(call.outputs)

    def with_aux(self, numbers: Floats, *results: Any) -> Any:
        """The results, and behind them the aux made of these numbers if there is one."""
        if self._has_aux:
            results = *results, self._aux.build(numbers.tolist())
        return results[0] if len(results) == 1 else results


class Programs:
    """The programs of one function for one transformation.

    record  gives the Values to compute, for a call with Values and for the Values of the row of directions; with
            `options` for vectorize that is a list of them, else one
    """

    def __init__(
        self,
        verb: str,
        f: Callable[..., Any],
        argnums: Argnums,
        has_aux: bool,
        record: Record,
        **options: Any,
    ) -> None:
        self.f = f
        self._verb, self._argnums, self._has_aux = verb, argnums, has_aux
        self._record, self._options = record, options
        self._programs: dict[Any, Program] = {}
        self._places: dict[int, list[int]] = {}

    def run(
        self, finish: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], *directions: Floats
    ) -> Any:
        """finish(program, rows) with the program for these arguments, which is traced if there is none."""
        key, rows = self._taken(args, kwargs)
        if not rows[0].size:
            raise ValueError(f"{self._verb} with compiled=True needs a number to differentiate by, got none")
        rows[1:1] = directions
        program = self._programs.get(key)
        for _ in range(2):
            if program is None:
                program = self._programs[key] = self._traced(args, kwargs, rows, bool(directions))
                if len(self._programs) > PROGRAMS_KEPT:
                    self._programs.pop(next(iter(self._programs)), None)
            try:
                return finish(program, rows)
            except ReturnsOtherwiseError:
                self._programs.pop(key, None)
                program = None
        raise TypeError(
            f"{self._verb} with compiled=True: the function returns something of another structure each time"
        )

    def _taken(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, list[Floats]]:
        """The key of the arguments, and their numbers as rows."""
        if len(args) == 1 and not kwargs and self._argnums in FIRST:  # most often
            kind, argument = type(args[0]), args[0]
            if kind is np.ndarray and argument.dtype is FLOAT64:
                return argument.shape, [argument.reshape(1, -1)]
            if kind is list and {*map(type, argument)} == FLOATS_ONLY:
                return (list, len(argument)), [np.array([argument])]
        verb, by, others = self._verb, Row(), Row()
        places = self._places.get(len(args))
        if places is None:
            places = self._places[len(args)] = places_of(verb, self._argnums, len(args))
        for place in places:
            by.add(args[place], verb, place, float_only)
        rows = [by.numbers()]
        for name, argument in beside(args, kwargs, places):
            others.key.append(name)
            others.add(argument, verb, name, float_or_fixed)
        if others.key:
            row = others.numbers()
            if row.size:
                rows.append(row)
        return (*by.key, None, *others.key), rows

    def _traced(self, args: Sequence[Any], kwargs: Mapping[str, Any], rows: list[Floats], directed: bool) -> Program:
        f, record, has_aux = self.f, self._record, self._has_aux
        arguments = Arguments(self._verb, args, kwargs, self._argnums)
        numbers = [number for row in [rows[0], *rows[1 + directed :]] for number in row[0].tolist()]
        first = arguments.call(f, has_aux, [*map(Value, numbers)])
        expected = _kind_of(first)

        def recorded(*values: Sequence[Value]) -> Any:
            by, *rest = values
            directions = rest.pop(0) if directed else ()
            call = arguments.call(f, has_aux, [*by, *(rest[0] if rest else ())])
            if _kind_of(call) != expected:
                raise ReturnsOtherwiseError
            return record(call, directions)

        structure = Call(self._verb, args, self._argnums, has_aux).structure
        return Program(vectorize(recorded, [], wrt_inputs=True, **self._options), structure, first)


def slopes(verb: str, f: Callable[..., Any], argnums: Argnums, has_aux: bool) -> Callable[..., Any]:
    """The function that gives for arguments the program, the value, the gradient as a vector and the numbers of aux."""
    if has_aux:
        programs = Programs(verb, f, argnums, has_aux, _value_slopes_and_aux, reduce=None)
    else:
        programs = Programs(verb, f, argnums, has_aux, _value)
    finish = _recorded_slopes if has_aux else _slopes
    return lambda args, kwargs: programs.run(finish, args, kwargs)


def _value(call: Call, _: Sequence[Value]) -> Any:
    return call.output


def _value_slopes_and_aux(call: Call, _: Sequence[Value]) -> list[Any]:
    return [call.output, *call.slopes, *_aux_of(call)[1]]


def _slopes(program: Program, rows: Sequence[Floats]) -> tuple[Program, float, Floats, Any]:
    value, _, gradients = program.run(*rows)
    return program, value, gradients[0][0], ()


def _recorded_slopes(program: Program, rows: Sequence[Floats]) -> tuple[Program, float, Floats, Any]:
    value, slopes, aux = np.split(program.run.values(*rows)[0], [1, 1 + program.structure.size])
    return program, float(value[0]), slopes, aux


def matrix(
    verb: str, f: Callable[..., Any], argnums: Argnums, has_aux: bool, *, second: bool, sparse: bool
) -> Callable[..., Any]:
    """The function of a Jacobian or, if `second`, of a Hessian."""
    record = _outputs_and_aux if not second else _slopes_and_aux if sparse else _slopes_of_each_and_aux
    programs = Programs(verb, f, argnums, has_aux, record, reduce=None, jacobian="sparse" if sparse else "dense")

    def finish(program: Program, rows: Sequence[Floats]) -> Any:
        n, m = program.structure.size, program.n_outputs
        values, _, jacobians = program.run(*rows)
        height = m * n if second else m
        aux = values[0, height:]
        if sparse:
            return program.with_aux(aux, jacobians[0][:height])
        structures = [program.returns, program.structure, program.structure][: 3 if second else 2]
        return program.with_aux(aux, nested_arrays(structures, jacobians[0][0, :height]))

    return lambda *args, **kwargs: programs.run(finish, args, kwargs)


def _outputs_and_aux(call: Call, _: Sequence[Value]) -> list[Any]:
    return [*call.outputs, *_aux_of(call)[1]]


def _slopes_and_aux(call: Call, _: Sequence[Value]) -> list[Any]:
    return [*call.slopes, *_aux_of(call)[1]]


def _slopes_of_each_and_aux(call: Call, _: Sequence[Value]) -> list[Any]:
    return [*(slope for output in call.outputs for slope in call.slopes_of(output)), *_aux_of(call)[1]]


def compiled_jvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool) -> Any:
    argnums = tuple(range(len(primals)))
    programs = _kept("jvp", f, argnums, has_aux, _outputs_tangents_and_aux, reduce=None)
    return programs.run(_moved, primals, {}, _directions("jvp", primals, tuple(tangents), "jvp: tangents", "primals"))


def _outputs_tangents_and_aux(call: Call, directions: Sequence[Value]) -> list[Any]:
    return [*call.outputs, *call.moved(call.outputs, directions), *_aux_of(call)[1]]


def _moved(program: Program, rows: Sequence[Floats]) -> Any:
    m = program.n_outputs
    value, derivative, aux = np.split(program.run.values(*rows)[0], [m, 2 * m])
    return program.with_aux(aux, filled(program.returns, value), filled(program.returns, derivative))


def compiled_hvp(f: Callable[..., Any], x: Any, v: Any, has_aux: bool) -> Any:
    directions = _directions("hvp", (x,), v, "hvp: v", "x")
    if has_aux:
        return _kept("hvp", f, 0, True, _product_and_aux, reduce=None).run(_recorded_product, (x,), {}, directions)
    return _kept("hvp", f, 0, False, _slope_along).run(_product, (x,), {}, directions)


def _slope_along(call: Call, directions: Sequence[Value]) -> Value:
    """The gradient times the directions, whose gradient is the product with the Hessian."""
    return _weighted(call.slopes, directions)


def _product_and_aux(call: Call, directions: Sequence[Value]) -> list[Any]:
    return [*call.moved(call.slopes, directions), *_aux_of(call)[1]]


def _product(program: Program, rows: Sequence[Floats]) -> Any:
    return filled(program.structure, program.run(*rows)[2][0][0])


def _recorded_product(program: Program, rows: Sequence[Floats]) -> Any:
    product, aux = np.split(program.run.values(*rows)[0], [program.structure.size])
    return program.with_aux(aux, filled(program.structure, product))


def compiled_vjp(f: Callable[..., Any], primals: Sequence[Any], has_aux: bool) -> Any:
    argnums = tuple(range(len(primals)))
    values = _kept("vjp", f, argnums, has_aux, _outputs_and_aux, reduce=None)
    weighted = _kept("vjp", f, argnums, has_aux, _weighted_outputs)

    def evaluated(program: Program, rows: Sequence[Floats]) -> Any:
        value, aux = np.split(program.run.values(*rows)[0], [program.n_outputs])
        returns, copies = program.returns, program.structure.build(rows[0][0].tolist())

        def pullback(weights: Any) -> Any:
            numbers = returns.numbers_of(weights, "pullback: the weights", "what the function returned")
            return weighted.run(_product, copies, {}, _row(numbers, "pullback: the weights"))

        return program.with_aux(aux, filled(returns, value), pullback)

    return values.run(evaluated, primals, {})


def _weighted_outputs(call: Call, weights: Sequence[Value]) -> Value:
    return _weighted(call.outputs, weights)


def _weighted(numbers: Sequence[Any], weights: Sequence[Value]) -> Value:
    """Σ weight · number; the sum of no terms is a Value too."""
    total = Value(0.0)
    for number, weight in zip(numbers, weights):
        total = total + weight * number
    return total


def _directions(verb: str, args: Sequence[Any], tree: Any, name: str, model: str) -> Floats:
    """The numbers of `tree`, which must be nested as the arguments to differentiate by, as a row."""
    trees = tree if verb == "jvp" else (tree,)
    ours, others = Row(), Row()
    try:
        for place, (argument, along) in enumerate(zip(args, trees)):
            ours.add(argument, verb, place, float_only)
            others.add(along, verb, place, float_only)
        if ours.key == others.key:
            return others.numbers()
    except TypeError:  # an integer, which is a number here
        pass
    argnums = tuple(range(len(args))) if verb == "jvp" else 0
    return _row(Call(verb, args, argnums, False).structure.numbers_of(tree, name, model), name)


def _row(numbers: Sequence[Any], name: str) -> Floats:
    for number in numbers:
        if isinstance(number, Value):
            raise TypeError(f"{name} must be numbers with compiled=True, got {shown(number)}: give the Value's .data")
    return np.array([numbers], np.float64)


_functions: dict[Any, Programs] = {}


def _kept(
    verb: str, f: Callable[..., Any], argnums: Argnums, has_aux: bool, record: Record, **options: Any
) -> Programs:
    """The programs of a function that a transformation is given with each call: the last few functions' are kept."""
    same = (id(f.__self__), id(f.__func__)) if isinstance(f, MethodType) else id(f)
    key = (same, verb, argnums, record)
    programs = _functions.pop(key, None)  # it is put behind the others
    if programs is None:
        programs = Programs(verb, f, argnums, has_aux, record, **options)  # has f, so that its id stays its own
    _functions[key] = programs
    while len(_functions) > FUNCTIONS_KEPT:
        _functions.pop(next(iter(_functions)), None)
    return programs


def _kind_of(call: Call) -> tuple[Any, ...]:
    return key_of(call.returns), key_of(_aux_of(call)[0])


def _aux_of(call: Call) -> tuple[Structure, Sequence[Any]]:
    return take_apart(call.aux, f"{call.verb}: aux", _value_or_fixed)


def _value_or_fixed(item: Any, place: Place | str) -> tuple[Leaf, Sequence[Any]]:
    leaf, numbers = anything(item, place)
    if isinstance(leaf, Opaque) and not isinstance(item, (int, float, str, bytes, np.generic)):
        raise TypeError(
            f"{place} must be made of Values, numbers and texts with compiled=True, got {shown(item)}: return it from "
            "another function, or leave out compiled"
        )
    return leaf, numbers

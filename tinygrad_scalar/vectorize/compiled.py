"""A traced function made ready to run: as an array program in NumPy, as a scalar program in C, or as either.

Matrices are best in NumPy. If little repeats, or there are few numbers, the scalar program is faster: it runs no Python
for each operation. For each m, the one expected to be faster runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_scalar.engine import give_back_unused
from tinygrad_scalar.vectorize.array_way import ArrayWay
from tinygrad_scalar.vectorize.cached_property import cached_property
from tinygrad_scalar.vectorize.cost_model import FEW, FEWER_LANES, LANES, pays_to_write_arrays
from tinygrad_scalar.vectorize.costs import Costs, CostsByScalars, costs_of
from tinygrad_scalar.vectorize.each_example import EachExample
from tinygrad_scalar.vectorize.equations import Equations
from tinygrad_scalar.vectorize.executor import executor
from tinygrad_scalar.vectorize.group import group, native
from tinygrad_scalar.vectorize.missing_rows import Index, indices_of, names_missing_rows
from tinygrad_scalar.vectorize.readings import NOTHING, Readings
from tinygrad_scalar.vectorize.repeat import MANY, Witness, repeated_trace
from tinygrad_scalar.vectorize.scalar_program import no_scalar_program, runs_as_scalars, scalar_program
from tinygrad_scalar.vectorize.scalar_way import ScalarWay
from tinygrad_scalar.vectorize.texts import instead_of_source
from tinygrad_scalar.vectorize.trace import Trace, trace
from tinygrad_scalar.vectorize.unwritten import Unwritten
from tinygrad_scalar.vectorize.ways import MOST_CHOICES, NOT_IN_PICKLE, data_of, same

if TYPE_CHECKING:
    from tinygrad_scalar.engine import Value
    from tinygrad_scalar.vectorize.exported import Exported
    from tinygrad_scalar.vectorize.ways import Floats, Guards, Quick, Result, Shapes

MOST_QUICK = 1 << 20  # examples


class Compiled:
    """A function compiled for arguments of given shapes.

    suspicious  whether a number of the example that was traced is not finite
    has_branches  whether the function met ts.cond
    witnesses   what the engine gave for some examples, until the program has been compared with it
    irregular   whether the array program is only written to be read: little repeats, or way="scalar" was asked for
    rarely      whether it also runs where that pays for the time to write it: for many examples
    """

    suspicious = irregular = rarely = has_array_way = has_branches = False
    witnesses: Sequence[Witness] = ()
    indices: Sequence[Index] = ()  # of its lookups
    reduce = "mean"
    _unwritten: Unwritten | None = None
    _counted: tuple[int | None, ...] = ()
    _was_read = False  # the source of a program that runs as a scalar one: then pickles have it
    read = NOTHING  # pickles written before have none of these
    _costs: Costs | None = None
    _write_costs: Callable[[], Costs] | None = None

    def __init__(
        self,
        shapes: Shapes,
        scalars: ScalarWay | None,
        guards: Guards,
        captured: list[Value],
        read: Readings,
        unwritten: Unwritten,
    ) -> None:
        self.shapes, self.scalars, self.guards = shapes, scalars, guards
        self._captured, self._constants, self.read = captured, data_of(captured), read
        self.arrays: ArrayWay | None = None
        self._explanation, self._equations = "", Equations(())
        self._chosen, self._natively = dict[int, ArrayWay | ScalarWay](), dict[int, Any]()  # and its executors
        self._unwritten = unwritten

    def __getstate__(self) -> dict[str, Any]:
        if self._was_read:
            self.write_arrays()
        state = {
            **self.__dict__,
            "_chosen": {},
            "_natively": {},
            "_captured": [],
            "_unwritten": None,
            "_write_costs": None,
        }
        if self.arrays is not None:
            state |= {"_explanation": self.explanation, "_equations": self.equations}
        for name in ("read", "_most_by_scalars"):
            state.pop(name, None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({"_natively": {}, **state})  # pickles written before have none

    def is_current(self) -> bool:
        """Whether what counts as constant still stands where it did, and captured Values have the same numbers."""
        return self.read.all_held() and bool(same(data_of(self._captured), self._constants).all())

    def write_arrays(self) -> ArrayWay:
        """The array program, written when first needed."""
        if self.arrays is None:
            self.arrays = self._to_write().arrays
        return self.arrays

    def _to_write(self) -> Unwritten:
        if self._unwritten is None:
            raise ValueError(NOT_IN_PICKLE)
        return self._unwritten

    @property
    def traced(self) -> Trace:
        """The graph that it was compiled from."""
        return self._to_write().traced

    def exported(self) -> Exported:
        """The program for another library."""
        return self._to_write().exported()

    @property
    def source(self) -> str:
        if self.arrays is not None:
            return self.arrays.source
        if why := self._to_write().left_out:
            return instead_of_source(why)
        self._was_read = True
        return self._to_write().written.text

    @property
    def explanation(self) -> str:
        if not self._explanation:
            self._explanation = self._to_write().explanation()
        return self._explanation

    @property
    def equations(self) -> Equations:
        if not self._equations.each:
            self._equations = self._to_write().equations()
        return self._equations

    def lacks_arrays(self, m: int) -> bool:
        """Whether the program should be compiled anew for m examples, with an array program."""
        return self.irregular and not self.rarely and self.pays_to_write_arrays(m)

    def pays_to_write_arrays(self, m: int) -> bool:
        if self.scalars is None or not self.has_array_way:
            return False
        return pays_to_write_arrays(self.scalars.counts, m, self._colours)

    def _colours(self, most: int) -> int | None:
        """As `Unwritten.colours`, counted once; copies have what was counted."""
        if not self._counted and self._unwritten is not None:
            self._counted = (self._unwritten.colours(most),)
        return self._counted[0] if self._counted else None

    def _candidates(self, m: int) -> list[ArrayWay | ScalarWay]:
        """The ways to choose from. That an array program was written to be read does not count."""
        runs = not self.irregular or (self.rarely and self.pays_to_write_arrays(m))
        return [way for way in (self.scalars, self.arrays if runs else None) if way is not None]

    def chosen(self, m: int) -> str:
        """Which way runs m examples, and why, as text."""
        way, ways = self._way(m), self._candidates(m)
        times = {way.name: f"{1e-6 * way.expected(m):.3g} ms ({way.expected.reasons(m)})" for way in ways}
        examples = "1 example" if m == 1 else f"{m:,} examples"
        text = f"{examples}: the {way.name} runs, and should take about {times[way.name]}"
        return text + "".join(f"; the {other.name} {times[other.name]}" for other in ways if other is not way)

    def _way(self, m: int) -> ArrayWay | ScalarWay:
        """The way that runs m examples."""
        if self.scalars is not None and m <= self._most_by_scalars:
            return self.scalars
        way = self._chosen.get(m)
        if way is None:
            way = min(self._candidates(m), key=lambda way: way.expected(m))
            if len(self._chosen) == MOST_CHOICES:  # the oldest goes: batches may be of ever new sizes
                oldest = next(iter(self._chosen))
                self._chosen.pop(oldest, None)
                self._natively.pop(oldest, None)
            self._chosen[m] = way
            native = way.native if isinstance(way, ArrayWay) else way.executor
            if native is not None:
                self._natively[m] = native
        return way

    @cached_property
    def _most_by_scalars(self) -> int:
        """Up to how many examples the scalar program is the faster one."""
        scalars = self.scalars
        if scalars is None:
            return 0

        def is_faster(m: int) -> bool:
            if self.lacks_arrays(m):
                return False
            expected = scalars.expected(m)
            return all(expected <= other.expected(m) for other in self._candidates(m) if other is not scalars)

        most, beyond = 0, MOST_QUICK
        wider = (FEW + 1, FEWER_LANES + 1, *range(LANES + 1, 4 * LANES + 2, LANES))  # where more lanes or blocks begin
        for m in sorted({1, 2, 3, FEW, scalars.counts.few, *wider}):
            if not is_faster(m):
                return most
            most = m
        while beyond - most > 1:
            m = min(2 * most + 1, (most + beyond) // 2)
            most, beyond = (m, beyond) if is_faster(m) else (most, m)
        return most

    def quick(self, parameters: Floats, wrt_inputs: bool) -> Quick | None:
        """A function that runs a call without Python, or returns None if its arrays do not fit; None if it has none.

        It gives the mean cost and its gradient, and where that was wanted the list of those of the arguments.
        """
        native = executor()
        if native is None or self.guards:
            return None
        if self.scalars is None and (self.arrays is None or not self.arrays.native):
            return None
        shapes = tuple(shape for shape, _ in self.shapes)
        integer = tuple(is_integer for _, is_integer in self.shapes)
        machine = None if self.scalars is None else self.scalars.executor
        answer: Quick = native.Quick(
            machine, parameters, shapes, self._most_by_scalars, self.read.quick, integer, self._natively, wrt_inputs
        ).answer
        return answer

    def quick_values(self, parameters: Floats) -> Quick | None:
        """The same for `each`, once that has run."""
        costs = self._costs
        return None if costs is None else costs.quick(parameters, self.shapes, self.guards, self.read.quick)

    @names_missing_rows
    def run(self, parameters: Floats, rows: Sequence[Floats], backwards: bool) -> Result:
        """The mean cost; with `backwards` its gradient, with respect to the arguments too where that was wanted."""
        return self._way(len(rows[0])).run(parameters, rows, backwards, self.guards)

    @names_missing_rows
    def each(self, parameters: Floats, rows: Sequence[Floats]) -> Floats:
        """The cost of each example, by a program of its own that is written when first needed."""
        if self._costs is None:
            if self._write_costs is not None:
                self._costs = self._write_costs()
            elif self.scalars is not None:
                self._costs = Costs([CostsByScalars(self.scalars.program)])
            else:
                raise ValueError("run.values is not in this pickle: call it once before pickling, or vectorize anew")
        costs: Floats = self._costs(parameters, rows, self.guards)
        return costs

    def shaped(self, inputs: Sequence[Floats]) -> list[Any]:
        """The gradients with respect to the arguments in their shapes; None for those of integers."""
        return [
            None if integer else d.reshape(len(d), *shape)
            for d, (shape, integer) in zip(inputs, self.shapes)
            if 0 not in shape
        ]

    @names_missing_rows
    def alarmed(self, parameters: Floats, rows: Sequence[Floats], backwards: bool) -> tuple[Result, bool]:
        """The same, and whether a number on the way there may not have been finite."""
        alarms: list[bool] = []
        result = self._way(len(rows[0])).run(parameters, rows, backwards, self.guards, alarms)
        value, gradient, inputs = result
        # without `backwards`, gradient stands for the parameters
        numbers: list[Any] = [value, *rows, gradient, *inputs]
        return result, self.suspicious or bool(alarms) or not all(np.isfinite(array).all() for array in numbers)

    def by_every_way(self, parameters: Floats, rows: Sequence[Floats]) -> Iterator[tuple[float, Floats]]:
        for way in (self.arrays, self.scalars):
            if way is not None:
                value, gradient, _ = way.run(parameters, rows, True, self.guards)
                yield value, gradient


def compiled(
    cost: Callable[..., Value],
    parameters: list[Value],
    examples: Sequence[Floats],
    shapes: Shapes,
    wrt_inputs: bool,
    check: bool = False,
    reduce: str = "mean",
    sparse: bool = False,
    way: str = "auto",
    dtype: Any = np.float64,
) -> Compiled | EachExample:
    """Trace a function and make its programs; if hardly anything repeats, the array program is made on request."""
    if check:
        traced, read, witnesses = repeated_trace(cost, parameters, examples)
    else:
        traced, read, witnesses = trace(cost, parameters, examples), NOTHING, list[Witness]()
        traced.roots.clear()
    options: dict[str, Any] = {"wrt_inputs": wrt_inputs, "reduce": reduce, "sparse": sparse, "way": way, "dtype": dtype}
    suspicious = not bool(np.isfinite(traced.data).all())
    _forget_numbers(traced)
    made = _programs_of(traced, read, parameters, shapes, len(examples[0]), **options)
    made.witnesses, made.suspicious = witnesses, suspicious
    if traced.nodes > MANY:
        give_back_unused()  # before it runs
    return made


def _forget_numbers(traced: Trace) -> None:
    """Keep no numbers but those of constants; the zeros in place of others take no memory, as none is ever written."""
    loops = native()
    if loops is None:
        return
    tape, varies = traced.tape, np.zeros(traced.nodes, bool)
    varies[traced.leaves.nodes] = varies[list(traced.lookups)] = True
    loops.mark_dependents(tape.starts, tape.operands, varies.view(np.uint8))
    constants, data = np.flatnonzero(~varies), np.zeros(traced.nodes)
    data[constants] = tape.data[constants]
    traced.tape = tape._replace(data=data)


def _programs_of(
    traced: Trace,
    read: Readings,
    parameters: list[Value],
    shapes: Shapes,
    m: int,
    *,
    wrt_inputs: bool,
    reduce: str,
    sparse: bool,
    way: str,
    dtype: Any,
) -> Compiled | EachExample:
    labels = [value.label for value in parameters]
    if traced.shape is not None or reduce == "each":
        options = {"reduce": reduce, "sparse": sparse, "wrt_inputs": wrt_inputs, "read": read, "way": way}
        return EachExample(traced, len(parameters), shapes, labels, m=m, **options)  # type: ignore[arg-type]
    if sparse:
        raise TypeError(
            'jacobian="sparse" is for a function that returns a list, or for reduce=None: the function returned one '
            f"Value, and the gradient of the {reduce} is a vector"
        )
    sizes = [int(np.prod(shape)) for shape, _ in shapes]
    native = executor() if way != "arrays" else None
    has_scalars = native is not None and runs_as_scalars(traced, native.CODES)
    if way == "scalar" and not has_scalars:
        raise no_scalar_program(traced)
    grouping = None if way == "scalar" else group(traced, len(sizes), if_regular=has_scalars)
    irregular = grouping is None or (has_scalars and grouping.irregular)
    unwritten = Unwritten(traced, None if irregular else grouping, labels, shapes, wrt_inputs, reduce, dtype)
    del grouping  # its memory is wanted
    arrays = None if irregular else unwritten.arrays  # and so is what it takes to write these
    if traced.nodes > MANY:
        give_back_unused()
    scalars = None
    if native is not None and has_scalars:
        write: Any = partial(scalar_program, traced, len(parameters), sizes, native.CODES)
        scalars = ScalarWay(write, sums=reduce == "sum", wrt_inputs=wrt_inputs)
    guards = [(guard.refused, guard.message) for _, guard in traced.guards]
    made = Compiled(
        shapes,
        scalars,
        guards,
        traced.captured,
        read,
        unwritten,
    )
    made.arrays, made.irregular, made.reduce = arrays, irregular, reduce
    made.indices = indices_of(traced.lookups, traced.reached)
    made._write_costs = lambda: costs_of(traced, len(parameters), shapes, dtype)
    made.has_branches = traced.has_branches
    made.has_array_way = way == "auto" and dtype == np.float64
    made.rarely = irregular and made.pays_to_write_arrays(m)
    if made.rarely:
        made.write_arrays()
    return made


def watched(
    cost: Callable[..., Value],
    parameters: list[Value],
    examples: Sequence[Floats],
    shapes: Shapes,
    wrt_inputs: bool,
    reduce: str = "mean",
    sparse: bool = False,
    way: str = "auto",
    dtype: Any = np.float64,
) -> Compiled | EachExample:
    """The same for `Compiled.alarmed`."""
    made = compiled(cost, parameters, examples, shapes, wrt_inputs, reduce=reduce, sparse=sparse, way=way, dtype=dtype)
    if made.arrays is not None:
        made.arrays.sound_alarms()
    return made

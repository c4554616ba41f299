"""A traced function that gives more than the mean of one number: something for each example, or several outputs.

The scalar program runs each example forwards once and backwards once for each output, or a tangent forwards for each
leaf where these are fewer. Where there is no compiler an array program does: every example stands there once for each
output, as if the parameters and the number of the output were arguments, so that its derivatives are its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_scalar.vectorize.array_way import ArrayWay
from tinygrad_scalar.vectorize.assemble import assemble
from tinygrad_scalar.vectorize.costs import Costs, costs_of
from tinygrad_scalar.vectorize.equations import Equations
from tinygrad_scalar.vectorize.group import group
from tinygrad_scalar.vectorize.layout import Layout
from tinygrad_scalar.vectorize.localize import (
    in_one_argument,
    leaves_of_outputs,
    localized,
    of_one_output,
    with_parameters_as_argument,
)
from tinygrad_scalar.vectorize.naming import argument_name
from tinygrad_scalar.vectorize.readings import NOTHING, Readings
from tinygrad_scalar.vectorize.reverse import differentiate
from tinygrad_scalar.vectorize.scalar_program import (
    ScalarProgram,
    executor,
    no_scalar_program,
    scalar_program,
    slots_of_outputs,
)
from tinygrad_scalar.vectorize.texts import TextsOfOutputs
from tinygrad_scalar.vectorize.ways import NOT_IN_PICKLE, all_finite, data_of, require, same

if TYPE_CHECKING:
    from tinygrad_scalar.vectorize.localize import Indices, Local
    from tinygrad_scalar.vectorize.trace import Trace
    from tinygrad_scalar.vectorize.ways import Floats, Guards, Shapes

PIECE = 4096  # examples, counted once for each output, that the array program runs at a time


class EachByScalars:
    """The scalar program in the native executor, with a sweep for each output."""

    def __init__(self, program: ScalarProgram, outputs: list[int]) -> None:
        self.program, self.outputs = program, outputs
        self.wanted: Sequence[Any] = ()
        self._build()

    def __getstate__(self) -> dict[str, Any]:
        return {"program": self.program, "outputs": self.outputs, "wanted": self.wanted}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._build()
        self.want(self.wanted)

    def _build(self) -> None:
        native = executor()
        if native is None:
            raise ImportError(
                "this pickle needs the compiled executor: reinstall tinygrad_scalar with a C compiler, or unset "
                "TINYGRAD_SCALAR_PURE"
            )
        self.executor = native.Rows(*self.program)
        self.reads = self.executor.set_outputs(self.outputs)

    def want(self, wanted: Sequence[Any]) -> None:
        """Say where each output's derivatives go, as a `Layout` has it."""
        self.wanted = wanted
        for j, places in enumerate(wanted):
            self.executor.want(j, *places)
        self.forwards = self.executor.choose_direction()

    def run(
        self,
        theta: Floats,
        rows: Sequence[Floats],
        gathered: Floats,
        arrays: Sequence[Floats | None],
        guards: Guards,
        alarms: list[bool] | None,
    ) -> Floats:
        """The outputs (m, k); the arrays of the layout receive the derivatives."""
        m = len(rows[0])
        columns = np.concatenate([*rows, gathered], axis=1, dtype=np.float64)
        values = np.empty((m, len(self.outputs)))
        watched = np.empty((m, len(guards))) if guards else None
        native = EachByScalars.__new__(EachByScalars) if self.executor.is_running else self
        if native is not self:  # a signal handler calls what it interrupted
            native.__setstate__(self.__getstate__())
        native.executor.run_rows(theta.astype(np.float64), columns, values, *arrays, watched, alarms)
        if watched is not None:
            for k, guard in enumerate(guards):
                require(watched[:, k], *guard)
        return values


class EachByArrays:
    """The array program; `arguments` are the numbers of the arguments that the program has beyond the function's."""

    def __init__(self, local: Local, sizes: Sequence[int], integer: Sequence[bool], *, wrt_inputs: bool) -> None:
        sizes, integer = list(sizes), list(integer)
        floats = [a for a, is_integer in enumerate(integer) if wrt_inputs and not is_integer]
        self.k, self.n_direct, self.n_gathered = len(local.trace.outputs), len(local.direct), len(local.gathered)
        self.n_columns = sum(sizes)
        self.starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64).tolist()
        self.wanted: Sequence[Any] = ()
        self.notes = []  # about the arguments beyond the function's
        trace = local.trace
        for size, what in ((self.n_gathered, "the parameters that lookups choose"), (self.n_direct, "the parameters")):
            if size:
                if what == "the parameters":
                    trace = with_parameters_as_argument(trace, len(sizes))
                self.notes.append(f"{argument_name(len(sizes))} holds {what}")
                floats.append(len(sizes))
                sizes.append(size)
                integer.append(False)
        if self.k > 1:
            trace = of_one_output(trace, len(sizes))
            self.notes.append(f"{argument_name(len(sizes))} says which of the {self.k} outputs is wanted")
            sizes.append(1)
            integer.append(True)
        self.floats = floats
        self.program = assemble(group(trace, len(sizes)), 0, sizes)
        self.program.reduce = "each"
        differentiate(self.program, wrt_inputs=floats)
        self.way = ArrayWay(self.program, integer)
        self.reads: list[list[int]] = []
        self._find_reads(local)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "program": None}

    def _find_reads(self, local: Local) -> None:
        trace = local.trace
        parameter, argument, place = trace.parameter, trace.argument, trace.place
        starts = [*self.starts, self.starts[-1] + self.n_gathered]
        for leaves in leaves_of_outputs(trace):
            slots = [
                int(parameter[i]) if parameter[i] >= 0 else self.n_direct + starts[argument[i]] + int(place[i])
                for i in leaves
                if parameter[i] >= 0 or argument[i] >= 0
            ]
            self.reads.append(sorted(slots))

    @property
    def source(self) -> str:
        """The program with a line about its arguments."""
        about = [f"# Each example stands here once for each output: {'; '.join(self.notes)}."] if self.notes else []
        return "\n".join([*about, self.way.source])

    def want(self, wanted: Sequence[Any]) -> None:
        self.wanted = wanted

    def sound_alarms(self) -> None:
        """As in `ArrayWay`."""
        self.way.sound_alarms()

    def run(
        self,
        theta: Floats,
        rows: Sequence[Floats],
        gathered: Floats,
        arrays: Sequence[Floats | None],
        guards: Guards,
        alarms: list[bool] | None,
    ) -> Floats:
        """As in `EachByScalars`."""
        m, k = len(rows[0]), self.k
        values = np.empty((m, k), theta.dtype)
        examples = max(1, PIECE // k)
        for start in range(0, m, examples):
            piece = slice(start, min(m, start + examples))
            n = piece.stop - start
            given = [*(array[piece] for array in rows)]
            given += [gathered[piece].astype(theta.dtype)] if self.n_gathered else []
            given += [np.broadcast_to(theta, (n, theta.size))] if self.n_direct else []
            given = [np.repeat(array, k, axis=0) for array in given]
            given += [np.tile(np.arange(k), n).reshape(-1, 1)] if k > 1 else []
            backwards = any(array is not None for array in arrays)
            costs, _, found = self.way.run(np.empty(0, theta.dtype), given, backwards, guards, alarms)
            values[piece] = np.reshape(costs, (n, k))
            if backwards:
                self._place(dict(zip(self.floats, found)), arrays, piece)
        return values

    def _place(self, found: dict[int, Floats], arrays: Sequence[Floats | None], piece: slice) -> None:
        """Put the derivatives of a piece of the examples where they go."""
        beyond = len(self.starts) - 1  # the first argument beyond the function's
        for j, (slots, where, at) in enumerate(self.wanted):
            for slot, to, place in zip(slots, where, at):
                if slot < self.n_direct:
                    a, column = beyond + (self.n_gathered > 0), slot
                elif slot - self.n_direct >= self.n_columns:
                    a, column = beyond, slot - self.n_direct - self.n_columns
                else:
                    a = int(np.searchsorted(self.starts, slot - self.n_direct, side="right")) - 1
                    column = slot - self.n_direct - self.starts[a]
                target, numbers = arrays[to], found[a][j :: self.k, column]
                assert target is not None
                if target.ndim == 1:
                    target[place] += numbers.sum()
                else:
                    target[piece, place] = numbers


class EachExample:
    """As `Compiled`, for values and derivatives that are not the mean of one cost and its gradient.

    reduce     "mean", "sum" or "each"
    sparse     whether Jacobians are SciPy's sparse matrices
    """

    suspicious = has_branches = False
    read = NOTHING  # in a pickle
    _to_write: TextsOfOutputs | None = None

    def __init__(
        self,
        traced: Trace,
        n_parameters: int,
        shapes: Shapes,
        labels: Sequence[str],
        *,
        reduce: str,
        sparse: bool,
        wrt_inputs: bool,
        read: Readings,
        way: str = "auto",
    ) -> None:
        self.shapes, self.reduce, self.wrt_inputs, self.read = shapes, reduce, wrt_inputs, read
        self.captured, self._constants = traced.captured, data_of(traced.captured)
        sizes = [int(np.prod(shape)) for shape, _ in shapes]
        self.local = localized(traced, len(sizes))
        self.guards: Guards = [(guard.refused, guard.message) for _, guard in traced.guards]
        self.has_branches = traced.has_branches
        self.suspicious = not bool(np.isfinite(traced.data).all())
        self.scalars = self._by_scalars(sizes) if way != "arrays" else None
        if self.scalars is None and way == "scalar":
            raise no_scalar_program(traced)
        self._make_arrays: Callable[[], EachByArrays] | None = partial(
            EachByArrays, self.local, sizes, [integer for _, integer in shapes], wrt_inputs=wrt_inputs
        )
        self._to_write = TextsOfOutputs(traced, shapes, labels, reduce, wrt_inputs=wrt_inputs)
        self._write_costs = None if traced.shape else lambda: costs_of(traced, n_parameters, shapes)
        self._costs: Costs | None = None
        self._texts: tuple[str, Equations] | None = None
        self.arrays: EachByArrays | None = None
        self.way: EachByScalars | EachByArrays = self.scalars or self.write_arrays()
        self.layout = Layout(
            self.local,
            n_parameters,
            shapes,
            traced.shape,
            self.way.reads,
            reduce=reduce,
            sparse=sparse,
            wrt_inputs=wrt_inputs,
        )
        self.way.want(self.layout.wanted)

    def _by_scalars(self, sizes: Sequence[int]) -> EachByScalars | None:
        native = executor()
        if native is None:
            return None
        every = [*sizes, len(self.local.gathered)]
        merged = in_one_argument(self.local.trace, every)
        program = scalar_program(merged, len(self.local.direct), [sum(every)], native.CODES)
        slots = slots_of_outputs(merged, len(self.local.direct), [sum(every)])
        return None if program is None else EachByScalars(program, slots)

    def __getstate__(self) -> dict[str, Any]:
        if self.arrays is not None:
            self._write_for_people()
        state = {**self.__dict__, "_make_arrays": None, "_to_write": None, "_write_costs": None, "captured": []}
        state["local"] = self.local._replace(trace=None)  # type: ignore[arg-type]
        state.pop("read", None)
        return state

    def is_current(self) -> bool:
        """As `Compiled.is_current`."""
        return self.read.all_held() and bool(same(data_of(self.captured), self._constants).all())

    def quick(self, parameters: Floats) -> None:
        """There is no shorter way."""

    # --- running -----------------------------------------------------------------------------------------------------

    def run(self, parameters: Floats, rows: Sequence[Floats], backwards: bool, alarms: list[bool] | None = None) -> Any:
        """The values, and with `backwards` the Jacobian and the list of those with respect to the arguments."""
        values, arrays, chosen = self._run(self.way, parameters, rows, backwards, alarms)
        if not backwards:
            return self._cast(self.layout.values(values), parameters), parameters, ()
        return self._finished(parameters, values, arrays, chosen)

    def _run(
        self,
        way: EachByScalars | EachByArrays,
        parameters: Floats,
        rows: Sequence[Floats],
        backwards: bool,
        alarms: list[bool] | None,
    ) -> tuple[Floats, list[Floats | None], Indices]:
        chosen = self.local.columns(rows)
        arrays: list[Floats | None] = self.layout.arrays(len(rows[0])) if backwards else [None, None, None]
        values = way.run(parameters[self.local.direct], rows, parameters[chosen], arrays, self.guards, alarms)
        return values, arrays, chosen

    def _finished(
        self, parameters: Floats, values: Floats, arrays: Sequence[Floats | None], chosen: Indices
    ) -> tuple[Any, Any, list[Any]]:
        m = len(values)
        with np.errstate(all="ignore"):  # IEEE 754, as in the arithmetic of Values; and float32 has less range
            jacobian = self.layout.jacobian(m, arrays, chosen)
            inputs = self.layout.inputs(m, arrays[-1]) if self.wrt_inputs else []
            return (
                self._cast(self.layout.values(values), parameters),
                self._cast(jacobian, parameters),
                [None if d is None else self._cast(d, parameters) for d in inputs],
            )

    @staticmethod
    def _cast(numbers: Any, parameters: Floats) -> Any:
        return numbers if numbers.dtype == parameters.dtype else numbers.astype(parameters.dtype)

    def each(self, parameters: Floats, rows: Sequence[Floats]) -> Floats:
        """The values of every example."""
        if self._costs is None and self._write_costs is not None:
            self._costs = self._write_costs()
        if self._costs is not None:
            costs: Floats = self._costs(parameters, rows, self.guards)
            return costs
        values = self._run(self.way, parameters, rows, False, None)[0]
        each: Floats = self._cast(values.reshape(len(values), *self.layout.shape), parameters)
        return each

    def alarmed(self, parameters: Floats, rows: Sequence[Floats], backwards: bool) -> tuple[Any, bool]:
        """As `Compiled.alarmed`."""
        alarms: list[bool] = []
        result = value, jacobian, inputs = self.run(parameters, rows, backwards, alarms)
        return result, self.suspicious or bool(alarms) or not all(map(all_finite, [value, *rows, jacobian, *inputs]))

    def by_every_way(self, parameters: Floats, rows: Sequence[Floats]) -> Iterator[tuple[Floats, list[Any]]]:
        """For one example the outputs, and matrices of their derivatives, those of the arguments too, by each way."""
        for way in (way for way in (self.arrays, self.scalars) if way is not None):
            values, jacobian, inputs = self._finished(parameters, *self._run(way, parameters, rows, True, None))
            parts = [part for part in (jacobian, *inputs) if part is not None]
            k = self.layout.k
            yield values.ravel(), [part if self.layout.sparse else part.reshape(k, part.size // k) for part in parts]

    def shaped(self, inputs: list[Any]) -> list[Any]:
        """They have their shape already."""
        return inputs

    # --- for people --------------------------------------------------------------------------------------------------

    def chosen(self, m: int) -> str:
        """As `Compiled.chosen`: the scalar program runs if there is one."""
        how = "array program runs, where each stands once for each output"
        if self.scalars is not None:
            further = "with a tangent for each leaf" if self.scalars.forwards else "and backwards from each output"
            how = f"scalar program runs forwards, {further}"
        return f"{m:,} example{'s'[: m != 1]}: the {how}"

    def write_arrays(self) -> EachByArrays:
        """The array program, written when first needed."""
        if self.arrays is None:
            if self._make_arrays is None:
                raise ValueError(NOT_IN_PICKLE)
            self.arrays = self._make_arrays()
        return self.arrays

    @property
    def source(self) -> str:
        return self.write_arrays().source

    @property
    def explanation(self) -> str:
        return self._write_for_people()[0]

    @property
    def equations(self) -> Equations:
        return self._write_for_people()[1]

    def _write_for_people(self) -> tuple[str, Equations]:
        if self._texts is None:
            if self._to_write is None:
                raise ValueError(NOT_IN_PICKLE)
            self._texts = self._to_write.explanation(), self._to_write.equations()
        return self._texts

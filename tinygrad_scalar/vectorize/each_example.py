"""A traced function that gives more than the mean of one number: something for each example, or several outputs.

The scalar program runs each example forwards once and backwards once for each output, or a tangent forwards for each
leaf where these are fewer. An array program (`each_by_products.py`) can be quicker, and so can what depends on
parameters alone by itself (`frontier.py`, `each_by_parts.py`). Where there is neither, `each_by_arrays.py` runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_scalar.engine.quiet import quiet
from tinygrad_scalar.vectorize.cached_property import cached_property
from tinygrad_scalar.vectorize.cost_model import FEW, most_colours, statements_worth_writing
from tinygrad_scalar.vectorize.costs import Costs, costs_of
from tinygrad_scalar.vectorize.each_by_arrays import EachByArrays
from tinygrad_scalar.vectorize.each_by_outputs import EachByOutputs, apart
from tinygrad_scalar.vectorize.each_by_parts import InOnePart, InTwoParts
from tinygrad_scalar.vectorize.each_by_products import EachByProducts, IrregularError
from tinygrad_scalar.vectorize.each_by_scalars import EachByScalars, by_scalars
from tinygrad_scalar.vectorize.equations import Equations
from tinygrad_scalar.vectorize.executor import executor
from tinygrad_scalar.vectorize.frontier import split
from tinygrad_scalar.vectorize.layout import Layout
from tinygrad_scalar.vectorize.localize import localized
from tinygrad_scalar.vectorize.missing_rows import Index, indices_of, names_missing_rows
from tinygrad_scalar.vectorize.readings import NOTHING, Readings
from tinygrad_scalar.vectorize.reverse import NotByExampleError
from tinygrad_scalar.vectorize.scalar_program import no_scalar_program
from tinygrad_scalar.vectorize.texts import TextsOfOutputs, instead_of_source
from tinygrad_scalar.vectorize.ways import MOST_CHOICES, NOT_IN_PICKLE, all_finite, data_of, same

if TYPE_CHECKING:
    from tinygrad_scalar.vectorize.exported import Exported
    from tinygrad_scalar.vectorize.localize import Indices
    from tinygrad_scalar.vectorize.repeat import Witness
    from tinygrad_scalar.vectorize.trace import Trace
    from tinygrad_scalar.vectorize.ways import Floats, Guards, Quick, Shapes


class EachExample:
    """As `Compiled`, for values and derivatives that are not the mean of one cost and its gradient.

    reduce     "mean", "sum" or "each"
    sparse     whether Jacobians are SciPy's sparse matrices
    """

    suspicious = has_branches = is_irregular = False
    read = NOTHING  # in a pickle
    indices: Sequence[Index] = ()  # of its lookups
    witnesses: Sequence[Witness] = ()  # as in `Compiled`
    _worth = 0  # how many statements of an array program were worth it to write
    _to_write: TextsOfOutputs | None = None
    quicker: InOnePart | InTwoParts | None = None  # pickles written before have none
    in_parts: InOnePart | InTwoParts | None = None  # the scalar program in two parts, where `quicker` is of arrays
    _whole: EachByProducts | EachByArrays | None = None

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
        m: int = 1,
    ) -> None:
        self.shapes, self.reduce, self.wrt_inputs, self.read = shapes, reduce, wrt_inputs, read
        self.captured, self._constants = traced.captured, data_of(traced.captured)
        sizes = [int(np.prod(shape)) for shape, _ in shapes]
        self.local = localized(traced, len(sizes))
        self.guards: Guards = [(guard.refused, guard.message) for _, guard in traced.guards]
        self.has_branches = traced.has_branches
        self.indices = indices_of(traced.lookups, traced.reached)
        self.scalars = by_scalars(self.local, sizes) if way != "arrays" else None
        if self.scalars is None and way == "scalar":
            raise no_scalar_program(traced)
        self._make_arrays: Callable[[], EachByArrays] | None = partial(
            EachByArrays, self.local, sizes, [integer for _, integer in shapes], wrt_inputs=wrt_inputs
        )
        self._to_write = TextsOfOutputs(traced, shapes, labels, reduce, wrt_inputs=wrt_inputs)
        self._write_costs = None if traced.shape else lambda: costs_of(traced, n_parameters, shapes)
        self._costs: Costs | None = None
        self.arrays: EachByArrays | None = None
        self._quickest: dict[int, InOnePart | InTwoParts | None] = {}
        self.way: EachByScalars | EachByArrays = self.scalars or self.write_arrays()
        options = {"reduce": reduce, "sparse": sparse, "wrt_inputs": wrt_inputs}
        self.layout = Layout(self.local, n_parameters, shapes, traced.shape, self.way.reads, **options)  # type: ignore[arg-type]
        self.way.want(self.layout.wanted)
        if self.scalars is not None:
            self.scalars.n_cleared = self.layout.cleared
        in_branch = any(lookup.in_branch for lookup in self.local.gathered)
        if self.scalars is not None and not (sparse or self.guards or in_branch):
            self.scalars.short = 1.0 if reduce != "each" and self.local.gathered else math.inf
            self.scalars.reduces = reduce != "each"
        self._worth = self._worth_writing(m)
        if not sparse:
            ways = self._quicker(traced, n_parameters, way, has_scalars=self.scalars is not None)
            self.quicker, self.in_parts, *_ = *ways, None, None

    def _quicker(self, traced: Trace, n: int, way: str, *, has_scalars: bool) -> list[InOnePart | InTwoParts]:
        """Other ways, for finite numbers."""
        shapes, wrt_inputs, reduce = self.shapes, self.wrt_inputs, self.reduce
        sizes, shape, k = [int(np.prod(shape)) for shape, _ in shapes], traced.shape, len(traced.outputs)
        parts = split(traced, n)
        local = self.local if parts is None else localized(parts.rest, len(sizes))
        by_example = reduce == "each"
        of_examples: Any = None
        if way != "scalar":
            integer = [is_integer for _, is_integer in shapes]
            options: dict[str, Any] = {"wrt_inputs": wrt_inputs, "if_regular": has_scalars, "worth": self._worth}
            traces = None if by_example else apart(local.trace)
            try:
                if traces is None:
                    of_examples = EachByProducts(local, sizes, integer, by_example=by_example, **options)
                else:
                    of_examples = EachByOutputs(local, traces, sizes, integer, **options)
            except NotByExampleError as error:
                self.is_irregular = isinstance(error, IrregularError)
        in_parts = by_scalars(local, sizes) if parts is not None and has_scalars else None
        n_all = n if parts is None else n + parts.n_frontier
        ways: list[InOnePart | InTwoParts] = []
        for one in (of_examples, in_parts):
            if one is not None:
                reads = getattr(one, "reads", [np.empty(0, np.int64)] * k)
                layout = Layout(local, n_all, shapes, shape, reads, reduce=reduce, sparse=False, wrt_inputs=wrt_inputs)
                one.n_cleared = layout.cleared
                if isinstance(one, EachByScalars):
                    one.want(layout.wanted)
                ways.append(InOnePart(local, layout, one))
        if parts is None or not ways:
            return ways
        local = localized(parts.common, 0)
        common: Any = by_scalars(local, [0]) if has_scalars else None
        common = common or EachByArrays(local, [0], [False], wrt_inputs=False)
        layout = Layout(
            local, n, (((0,), False),), parts.common.shape, common.reads, reduce="each", sparse=True, wrt_inputs=False
        )
        common.want(layout.wanted)
        return [InTwoParts(local, layout, common, rest, n) for rest in ways if isinstance(rest, InOnePart)]

    def __getstate__(self) -> dict[str, Any]:
        if self._to_write is not None and (self.arrays is not None or self._products() is not None):
            self.__dict__.update(explanation=self.explanation, equations=self.equations)  # a copy cannot write them
            self._shown()
        state = {**self.__dict__, "_make_arrays": None, "_to_write": None, "_write_costs": None, "captured": []}
        state["local"] = self.local._replace(trace=None)  # type: ignore[arg-type]
        state.pop("read", None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({**state, "_quickest": {}})

    def is_current(self) -> bool:
        """As `Compiled.is_current`."""
        return self.read.all_held() and bool(same(data_of(self.captured), self._constants).all())

    def quick(self, parameters: Floats, wrt_inputs: bool) -> Quick | None:
        """As `Compiled.quick`, for numbers of examples that the scalar program runs."""
        return self._quick_rows(parameters, self._quickest, wrt_inputs=wrt_inputs)

    def quick_values(self, parameters: Floats) -> Quick | None:
        """As `Compiled.quick_values`."""
        if self._costs is not None:
            return self._costs.quick(parameters, self.shapes, self.guards, self.read.quick)
        return self._quick_rows(parameters, {}, backwards=False)

    def _quick_rows(
        self, parameters: Floats, chosen: dict[int, Any], *, wrt_inputs: bool = False, backwards: bool = True
    ) -> Quick | None:
        if self.scalars is None or not self.scalars.short:
            return None
        quick: Any = executor().QuickRows(
            self.scalars.executor,
            parameters,
            tuple(shape for shape, _ in self.shapes),
            chosen,
            self.read.quick,
            tuple(is_integer for _, is_integer in self.shapes),
            wrt_inputs,
            np.ascontiguousarray(self.local.direct, np.int64),
            self.layout.shape,
            self.reduce == "each" or not backwards,
            backwards,
            *self.local.tables(self.layout.sizes),
            self._reduced,
        )
        answer: Quick = quick.answer
        return answer

    def _reduced(self, values: Floats, sums: Floats, m: int, inputs: Sequence[Any] | None = None) -> tuple[Any, ...]:
        """The mean or the sum over m examples, from sums of derivatives."""
        over = m if self.reduce == "mean" else 1
        with quiet(all="ignore"):
            found = self.layout.values(values.reshape(m, -1)), sums / over
            return found if inputs is None else (*found, [None if d is None else d / over for d in inputs])

    # --- running -----------------------------------------------------------------------------------------------------

    @names_missing_rows
    def run(self, parameters: Floats, rows: Sequence[Floats], backwards: bool, alarms: list[bool] | None = None) -> Any:
        """The values, and with `backwards` the Jacobian and the list of those with respect to the arguments."""
        if backwards and alarms is None and (quicker := self._quicker_for(len(rows[0]))) is not None:
            found = quicker.run(parameters, rows, self.guards)
            if found is not None:
                return self._as_returned(parameters, *found)
        values, arrays, chosen = self._run(self.way, parameters, rows, backwards, alarms)
        if not backwards:
            return self._cast(self.layout.values(values), parameters), parameters, ()
        return self._finished(parameters, values, arrays, chosen)

    def _worth_writing(self, m: int) -> int:
        return statements_worth_writing(self.scalars.expected(m)) if self.scalars is not None and m >= FEW else 0

    def lacks_arrays(self, m: int) -> bool:
        """As `Compiled.lacks_arrays`."""
        return self.is_irregular and self._worth_writing(m) > max(most_colours(0), self._worth)

    def _quicker_for(self, m: int) -> InOnePart | InTwoParts | None:
        """The other way, where it is expected to be quicker for m examples."""
        scalars = self.scalars
        if scalars is None:
            return self.quicker
        if m not in self._quickest:
            if len(self._quickest) == MOST_CHOICES:  # batches may be of ever new sizes
                self._quickest.clear()
            products, others = self._products(), self._others()
            if products is not None and not products.is_worth(self._worth_writing(m)):
                others = others[1:]
            best: Any = min([scalars, *others], key=lambda way: way.expected(m)) if others else scalars
            self._quickest[m] = None if best is scalars else best
        return self._quickest[m]

    def _others(self) -> list[InOnePart | InTwoParts]:
        return [way for way in (self.quicker, self.in_parts) if way is not None]

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
        with quiet(all="ignore"):  # IEEE 754, as in the arithmetic of Values; and float32 has less range
            jacobian = self.layout.jacobian(m, arrays, chosen)
            inputs = self.layout.inputs(m, arrays[-1]) if self.wrt_inputs else []
        return self._as_returned(parameters, values, jacobian, inputs)

    def _as_returned(
        self, parameters: Floats, values: Floats, jacobian: Any, inputs: Sequence[Any]
    ) -> tuple[Any, Any, list[Any]]:
        with quiet(all="ignore"):
            return (
                self._cast(self.layout.values(values), parameters),
                self._cast(jacobian, parameters),
                [None if d is None else self._cast(d, parameters) for d in inputs],
            )

    @staticmethod
    def _cast(numbers: Any, parameters: Floats) -> Any:
        return numbers if numbers.dtype == parameters.dtype else numbers.astype(parameters.dtype)

    @names_missing_rows
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
        ways = [way for way in (self.arrays, self.scalars) if way is not None]
        every = [self._finished(parameters, *self._run(way, parameters, rows, True, None)) for way in ways]
        for other in self._others():
            if (found := other.run(parameters, rows, self.guards)) is not None:
                every.append(self._as_returned(parameters, *found))
        for values, jacobian, inputs in every:
            parts = [part for part in (jacobian, *inputs) if part is not None]
            k = self.layout.k
            yield values.ravel(), [part if self.layout.sparse else part.reshape(k, part.size // k) for part in parts]

    def shaped(self, inputs: list[Any]) -> list[Any]:
        """They have their shape already."""
        return inputs

    def exported(self) -> Exported:
        """As `Compiled.exported`."""
        if self._to_write is None:
            raise ValueError(NOT_IN_PICKLE)
        return self._to_write.exported()

    # --- for people --------------------------------------------------------------------------------------------------

    def chosen(self, m: int) -> str:
        """As `Compiled.chosen`."""
        examples = f"{m:,} example{'s'[: m != 1]}"
        quicker = self.quicker
        if self.scalars is None:
            how = "array program runs, where each stands once for each output"
            return f"{examples}: the {how if quicker is None else f'{quicker.name} runs'}"
        if quicker is None:
            further = "with a tangent for each leaf" if self.scalars.forwards else "and backwards from each output"
            return f"{examples}: the scalar program runs forwards, {further}"
        way = self._quicker_for(m) or self.scalars
        ways = [way, *(other for other in (self.scalars, *self._others()) if other is not way)]
        times = [f"{1e-6 * one.expected(m):.3g} ms ({one.reasons(m)})" for one in ways]
        text = f"{examples}: the {way.name} runs, and should take about {times[0]}"
        return text + "".join(f"; the {other.name} {time}" for other, time in zip(ways[1:], times[1:]))

    def write_arrays(self) -> EachByArrays:
        """The array program, written when first needed."""
        if self.arrays is None:
            if self._make_arrays is None:
                raise ValueError(NOT_IN_PICKLE)
            self.arrays = self._make_arrays()
        return self.arrays

    @property
    def source(self) -> str:
        is_written = self.arrays is not None or self._products() is not None
        if not is_written and self._to_write is not None and self._to_write.left_out:
            return instead_of_source(self._to_write.left_out)
        return self._shown().source

    def _shown(self) -> EachByProducts | EachByArrays:
        """The whole array program for people, also where it runs in several parts."""
        products = self._products()
        if products is None:
            return self.write_arrays()
        if isinstance(products, EachByProducts) and not isinstance(self.quicker, InTwoParts):
            return products
        if self._whole is None:
            if self.local.trace is None:
                raise ValueError(NOT_IN_PICKLE)
            integer, by_example = [is_integer for _, is_integer in self.shapes], self.reduce == "each"
            options = {"wrt_inputs": self.wrt_inputs, "by_example": by_example, "if_regular": False}
            sizes = [int(np.prod(shape)) for shape, _ in self.shapes]
            try:
                self._whole = EachByProducts(self.local, sizes, integer, **options)
            except NotByExampleError:
                self._whole = self.write_arrays()
        return self._whole

    def _products(self) -> EachByProducts | EachByOutputs | None:
        quicker = self.quicker.rest if isinstance(self.quicker, InTwoParts) else self.quicker
        return quicker.way if quicker is not None and not isinstance(quicker.way, EachByScalars) else None

    @cached_property
    def explanation(self) -> str:
        return self._texts().explanation()

    @cached_property
    def equations(self) -> Equations:
        return self._texts().equations()

    def _texts(self) -> TextsOfOutputs:
        if self._to_write is None:
            raise ValueError(NOT_IN_PICKLE)
        return self._to_write

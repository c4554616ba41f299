"""The cost of each example, forwards only: `run.values` of a function that returns one Value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_scalar.vectorize.array_way import ArrayWay, as_it_runs
from tinygrad_scalar.vectorize.assemble import assemble
from tinygrad_scalar.vectorize.cost_model import Estimate
from tinygrad_scalar.vectorize.executor import executor
from tinygrad_scalar.vectorize.group import group
from tinygrad_scalar.vectorize.reverse import differentiate
from tinygrad_scalar.vectorize.scalar_program import ScalarProgram, scalar_program
from tinygrad_scalar.vectorize.scalar_way import ScalarWay
from tinygrad_scalar.vectorize.ways import MOST_CHOICES, cast, require

if TYPE_CHECKING:
    from tinygrad_scalar.vectorize.trace import Trace
    from tinygrad_scalar.vectorize.ways import Floats, Guards, Quick, Shapes

FORWARDS = 0.45  # the part of a scalar program's time that the forward pass takes


class CostsByScalars(ScalarWay):
    """The scalar program, in which the cost is one more watched slot."""

    def __init__(self, program: ScalarProgram) -> None:
        program = program._replace(watched=[*program.watched, program.cost])
        super().__init__(lambda: program)

    def _build(self) -> None:
        super()._build()
        self.expected = Estimate(self.kind, self.counts, FORWARDS)

    def costs(self, parameters: Floats, rows: Sequence[Floats], guards: Guards) -> Floats:
        watched = np.empty((len(rows[0]), len(guards) + 1))
        theta = np.ascontiguousarray(parameters, np.float64)
        self.executor.run(theta, tuple(map(as_it_runs, rows)), None, None, watched)
        for k, guard in enumerate(guards):
            require(watched[:, k], *guard)
        return cast(watched[:, -1], parameters.dtype)


class CostsByArrays(ArrayWay):
    """An array program that returns all costs."""

    def costs(self, parameters: Floats, rows: Sequence[Floats], guards: Guards) -> Any:
        return self.run(parameters, rows, False, guards)[0]


class Costs:
    """The ways to compute the costs of a traced function, of which the faster one runs."""

    def __init__(self, ways: Sequence[CostsByScalars | CostsByArrays]) -> None:
        self.ways = ways
        self._forget()

    def _forget(self) -> None:
        self._chosen: dict[int, CostsByScalars | CostsByArrays] = {}
        self._natively: dict[int, Any] = {}  # the executors of these

    def __getstate__(self) -> dict[str, Any]:
        return {"ways": self.ways}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def __call__(self, parameters: Floats, rows: Sequence[Floats], guards: Guards) -> Any:
        m = len(rows[0])
        way = self._chosen.get(m)
        if way is None:
            if len(self._chosen) == MOST_CHOICES:
                self._chosen.clear()
                self._natively.clear()
            way = self._chosen[m] = min(self.ways, key=lambda way: way.expected(m))
            self._natively[m] = way.native if isinstance(way, CostsByArrays) else way.executor
        return way.costs(parameters, rows, guards)

    def quick(self, parameters: Floats, shapes: Shapes, guards: Guards, places: Any) -> Quick | None:
        """As `Compiled.quick`, for numbers of examples for which a way was chosen."""
        native = executor()
        if native is None or guards:
            return None
        machines = [way.executor for way in self.ways if isinstance(way, CostsByScalars)]
        answer: Quick = native.QuickValues(
            *(machines or [None]),
            parameters,
            tuple(shape for shape, _ in shapes),
            -1,
            places,
            tuple(is_integer for _, is_integer in shapes),
            self._natively,
        ).answer
        return answer


def costs_of(traced: Trace, n_parameters: int, shapes: Shapes, dtype: Any = np.float64) -> Costs:
    """The ways for a trace with arguments of these shapes."""
    sizes = [int(np.prod(shape)) for shape, _ in shapes]
    native = executor()
    steps = None if native is None else scalar_program(traced, n_parameters, sizes, native.CODES)
    ways: list[CostsByScalars | CostsByArrays] = [] if steps is None else [CostsByScalars(steps)]
    grouping = group(traced, len(sizes), if_regular=steps is not None)
    if steps is None or not (grouping.irregular or "cond" in traced.tape.names):
        program = assemble(grouping, n_parameters, sizes)
        program.reduce = "each"
        differentiate(program, wrt_parameters=False)
        ways.append(CostsByArrays(program, [integer for _, integer in shapes], dtype))
    return Costs(ways)

"""Values and derivatives of each example by the scalar program: forwards once, then a sweep for each output or leaf."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_scalar.vectorize.cached_property import cached_property
from tinygrad_scalar.vectorize.executor import executor
from tinygrad_scalar.vectorize.localize import in_one_argument
from tinygrad_scalar.vectorize.row_costs import RowCosts, kinds_of
from tinygrad_scalar.vectorize.scalar_program import ScalarProgram, runs_as_scalars, scalar_program, slots_of_outputs
from tinygrad_scalar.vectorize.ways import require

if TYPE_CHECKING:
    from tinygrad_scalar.vectorize.localize import Local
    from tinygrad_scalar.vectorize.ways import Floats, Guards


class EachByScalars:
    """The scalar program in the native executor, with a sweep for each output."""

    name = "scalar program"
    # up to how many examples `QuickRows` runs it, and what `RowCosts` says; pickles written before have none
    short, n_cleared, reduces = 0.0, 0, False

    def __init__(self, write: Callable[[], ScalarProgram], outputs: list[int]) -> None:
        """`write` gives the program, each time anew, as in scalar_way.py."""
        self._write, self.outputs = write, outputs
        self.wanted: Sequence[Any] = ()
        self._build()

    @property
    def program(self) -> ScalarProgram:
        return self._write()

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: getattr(self, name) for name in ("outputs", "wanted", "short", "n_cleared", "reduces")}
        return {"program": self.program, **kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        program = state["program"]
        self.__dict__.update({**state, "_write": lambda: program})
        del self.__dict__["program"]
        self._build()
        self.want(self.wanted)

    def _build(self) -> None:
        native = executor()
        if native is None:
            raise ImportError(
                "this pickle needs the compiled executor: reinstall tinygrad_scalar with a C compiler, or unset "
                "TINYGRAD_SCALAR_PURE"
            )
        program = self.program
        self.executor = native.Rows(*program)
        self._kinds = kinds_of(program, native.CODES)
        self.reads = self.executor.set_outputs(self.outputs)

    def want(self, wanted: Sequence[Any]) -> None:
        """Say where each output's derivatives go, as a `Layout` has it."""
        self.wanted = wanted
        for j, places in enumerate(wanted):
            self.executor.want(j, *places)
        self.forwards = self.executor.choose_direction()

    @cached_property
    def expected(self) -> RowCosts:
        """The time in ns for m examples."""
        derivatives = sum(len(places.slots) for places in self.wanted)
        passed = self.executor.n_passed
        options: dict[str, Any] = {name: getattr(self, name) for name in ("forwards", "short", "n_cleared", "reduces")}
        return RowCosts(self._kinds, passed, derivatives, **options)

    def reasons(self, m: int) -> str:
        return self.expected.reasons(m)

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
        self.executor.run_rows(theta.astype(np.float64), columns, values, *arrays, watched, alarms)
        if watched is not None:
            for k, guard in enumerate(guards):
                require(watched[:, k], *guard)
        return values


def by_scalars(local: Local, sizes: Sequence[int]) -> EachByScalars | None:
    native = executor()
    if native is None:
        return None
    every = [*sizes, local.n_gathered]
    merged = in_one_argument(local.trace, every)
    if not runs_as_scalars(merged, native.CODES):
        return None
    write: Any = partial(_program, local, every)
    return EachByScalars(write, slots_of_outputs(merged, len(local.direct), [sum(every)]))


def _program(local: Local, sizes: Sequence[int]) -> ScalarProgram | None:
    merged = in_one_argument(local.trace, sizes)
    return scalar_program(merged, len(local.direct), [sum(sizes)], executor().CODES)

"""The scalar program in the native executor, ready to run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_scalar.vectorize.cost_model import Estimate, scalar_counts
from tinygrad_scalar.vectorize.executor import executor
from tinygrad_scalar.vectorize.scalar_program import ScalarProgram
from tinygrad_scalar.vectorize.ways import cast, require

if TYPE_CHECKING:
    from tinygrad_scalar.vectorize.ways import Floats, Guards, Result


class ScalarWay:
    """The scalar program in the native executor."""

    name, kind = "scalar program", "scalar"  # for people; as in times.py
    sums = False  # whether it gives the sum of the costs and its gradient instead of the mean's
    wrt_inputs = True  # pickles written before do not say

    def __init__(self, write: Callable[[], ScalarProgram], *, sums: bool = False, wrt_inputs: bool = True) -> None:
        """`write` gives the program, each time anew: the executor has what it needs, and the steps are many."""
        self._write, self.sums, self.wrt_inputs = write, sums, wrt_inputs
        self._build()

    @property
    def program(self) -> ScalarProgram:
        return self._write()

    def _build(self) -> None:
        native = executor()
        if native is None:
            raise ImportError(
                "this pickle needs the compiled executor: reinstall tinygrad_scalar with a C compiler, or unset "
                "TINYGRAD_SCALAR_PURE"
            )
        self.executor = native.Machine(*self.program)
        self.executor.sums = self.sums
        self.counts = scalar_counts(self.executor, native.CODES)
        self.expected = Estimate(self.kind, self.counts)

    def __getstate__(self) -> dict[str, Any]:
        return {"program": self.program, "sums": self.sums, "wrt_inputs": self.wrt_inputs}

    def __setstate__(self, state: dict[str, Any]) -> None:
        program = state["program"]
        self.__dict__.update({**state, "_write": lambda: program})
        del self.__dict__["program"]
        self._build()

    def run(
        self,
        parameters: Floats,
        rows: Sequence[Floats],
        backwards: bool,
        guards: Guards,
        alarms: list[bool] | None = None,
    ) -> Result:
        m = len(rows[0])
        arrays = tuple(np.require(array, np.float64, ["C", "A"]) for array in rows)
        gradient = np.empty(parameters.size) if backwards else None
        wanted = backwards and (self.wrt_inputs or alarms is not None)
        inputs = tuple(np.empty_like(array) for array in arrays) if wanted else ()
        watched = np.empty((m, len(guards))) if guards else None
        theta = np.ascontiguousarray(parameters, np.float64)
        value = self.executor.run(theta, arrays, gradient, inputs or None, watched, alarms)
        if watched is not None:
            for k, guard in enumerate(guards):
                require(watched[:, k], *guard)
        if gradient is None:
            return value, parameters, inputs
        return value, cast(gradient, parameters.dtype), inputs

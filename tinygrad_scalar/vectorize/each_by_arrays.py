"""Each example's derivatives by an array program in which it stands once for each output.

The parameters, and the number of the output, are arguments in it, so that an example's derivatives are its own. That is
for where there is no compiler and `each_by_products.py` has no program, or numbers that are not finite.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_scalar.vectorize.array_way import ArrayWay
from tinygrad_scalar.vectorize.assemble import assemble
from tinygrad_scalar.vectorize.group import group
from tinygrad_scalar.vectorize.localize import leaves_of_outputs, of_one_output, with_parameters_as_argument
from tinygrad_scalar.vectorize.naming import argument_name
from tinygrad_scalar.vectorize.reverse import differentiate

if TYPE_CHECKING:
    from tinygrad_scalar.vectorize.localize import Local
    from tinygrad_scalar.vectorize.ways import Floats, Guards

PIECE = 4096  # examples, counted once for each output, that the array program runs at a time


class EachByArrays:
    """The array program; `arguments` are the numbers of the arguments that the program has beyond the function's."""

    name = "array program"

    def __init__(self, local: Local, sizes: Sequence[int], integer: Sequence[bool], *, wrt_inputs: bool) -> None:
        sizes, integer = list(sizes), list(integer)
        floats = [a for a, is_integer in enumerate(integer) if wrt_inputs and not is_integer]
        self.k, self.n_direct, self.n_gathered = len(local.trace.outputs), len(local.direct), local.n_gathered
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
        self.reads: list[Any] = []
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
            self.reads.append(np.array(sorted(slots), np.int64))

    @property
    def source(self) -> str:
        """The program with a line about its arguments."""
        about = [f"# Each example stands here once for each output: {'; '.join(self.notes)}."] if self.notes else []
        return "\n".join([*about, self.way.source])

    def want(self, wanted: Sequence[Any]) -> None:
        self.wanted = wanted

    def expected(self, m: int) -> float:
        """The time in ns for m examples."""
        return self.way.expected(m * self.k)

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

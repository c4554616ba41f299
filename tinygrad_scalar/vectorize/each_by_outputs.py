"""An array program for each of several outputs that have little in common, each with only what its output needs.

A cost and the sum of its gradients are such outputs: `each_by_products.py` would compute all of both for each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_scalar.engine.graph_arrays import reached
from tinygrad_scalar.vectorize.each_by_products import EachByProducts
from tinygrad_scalar.vectorize.frontier import kept
from tinygrad_scalar.vectorize.group import native

if TYPE_CHECKING:
    from tinygrad_scalar.vectorize.localize import Local
    from tinygrad_scalar.vectorize.trace import Trace
    from tinygrad_scalar.vectorize.ways import Floats, Guards

MOST_OUTPUTS = 8
MOST_SHARED = 1.5  # nodes of all outputs' graphs, for each of the whole
LEAST_NODES = 4_000  # for each program more: with fewer, to write it would take as long as to trace them


def apart(trace: Trace) -> list[Trace] | None:
    """The traces of the single outputs; None if they have much in common, or are many or small."""
    tape, outputs = trace.tape, trace.outputs
    if not 1 < len(outputs) <= MOST_OUTPUTS or trace.guards or trace.reached:
        return None
    if trace.nodes < LEAST_NODES * (len(outputs) - 1):
        return None
    loops = native()
    find = reached if loops is None else loops.reached
    choices = {i: entries for i, (entries, _, _) in trace.lookups.items()}
    every = np.ones(len(tape.operands), np.uint8)
    needed = [find(tape.starts, tape.operands, every, output, choices) for output in outputs]
    if sum(int(nodes.sum()) for nodes in needed) > MOST_SHARED * trace.nodes:
        return None
    inner = tape.codes >= 0
    return [
        kept(replace(trace, outputs=[output], cost=output, shape=(1,)), nodes, inner & nodes)
        for output, nodes in zip(outputs, needed)
    ]


class EachByOutputs:
    """As `EachByProducts`, for sums of derivatives."""

    name = "array program"
    by_example = False

    def __init__(
        self,
        local: Local,
        traces: Sequence[Trace],
        sizes: Sequence[int],
        integer: Sequence[bool],
        *,
        wrt_inputs: bool,
        if_regular: bool,
        worth: int = 0,
    ) -> None:
        self.programs = [
            EachByProducts(
                local._replace(trace=trace),
                sizes,
                integer,
                wrt_inputs=wrt_inputs,
                by_example=False,
                if_regular=if_regular,
                worth=worth,
            )
            for trace in traces
        ]

    def is_worth(self, statements: int) -> bool:
        return all(program.is_worth(statements) for program in self.programs)

    def expected(self, m: int) -> float:
        """The time in ns for m examples."""
        return sum(program.expected(m) for program in self.programs)

    def reasons(self, m: int) -> str:
        longest = max(self.programs, key=lambda program: program.expected(m))
        return f"most of it for one output, {longest.reasons(m)}"

    def run(
        self,
        theta: Floats,
        rows: Sequence[Floats],
        gathered: Floats,
        arrays: Sequence[Floats | None],
        guards: Guards,
        alarms: None = None,
    ) -> Floats | None:
        """As in `EachByProducts`."""
        _, total, inputs = arrays
        m, k = len(rows[0]), len(self.programs)
        assert total is not None
        of_outputs: Any = total.reshape(k, -1)
        of_inputs: Any = None if inputs is None else inputs.reshape(m, k, -1)
        values = np.empty((m, k))
        for j, program in enumerate(self.programs):
            its = None, of_outputs[j], None if of_inputs is None else of_inputs[:, j : j + 1]
            found = program.run(theta, rows, gathered, its, guards)
            if found is None:
                return None
            values[:, j] = found[:, 0]
        return values

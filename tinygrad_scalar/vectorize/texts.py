"""What `explain()` and `equations` say of a function with several outputs, or of each example by itself.

They are written for a reader: each output has its own value and gradient, although the program that runs computes all
outputs together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_scalar.vectorize.array_way import ArrayWay
from tinygrad_scalar.vectorize.assemble import assemble
from tinygrad_scalar.vectorize.cached_property import cached_property
from tinygrad_scalar.vectorize.equations import Equation, Equations, equations
from tinygrad_scalar.vectorize.explanation import explanation
from tinygrad_scalar.vectorize.group import group
from tinygrad_scalar.vectorize.localize import of_one_output
from tinygrad_scalar.vectorize.reverse import differentiate

if TYPE_CHECKING:
    from tinygrad_scalar.vectorize.exported import Exported
    from tinygrad_scalar.vectorize.program import Program
    from tinygrad_scalar.vectorize.trace import Trace
    from tinygrad_scalar.vectorize.ways import Shapes

MOST_LISTED = 10_000  # arrays in a text
MOST_OUTPUTS = 10  # of which there are equations


def too_many(nodes: int, arrays: int) -> str:
    """Why there are no texts of a program with more arrays than anybody reads, or ""."""
    if arrays <= MOST_LISTED:
        return ""
    return f"{nodes:,} scalars of one example become {arrays:,} arrays, too many to list"


def instead_of_source(why: str) -> str:
    """What stands for a source that is left out."""
    return f'# {why}: way="arrays" writes them all, and runs them\n'


class TextsOfOutputs:
    """The texts of a trace; `labels` are the parameters'."""

    def __init__(self, traced: Trace, shapes: Shapes, labels: Sequence[str], reduce: str, *, wrt_inputs: bool) -> None:
        self._traced, self._shapes, self._labels = traced, shapes, labels
        self._reduce, self._wrt_inputs = reduce, wrt_inputs

    def exported(self) -> Exported:
        from tinygrad_scalar.vectorize.exported import Exported

        return Exported(self._traced, len(self._labels), self._shapes, self._reduce)

    @cached_property
    def left_out(self) -> str:
        """Why there is no source, or ""."""
        return too_many(self._traced.nodes, group(self._traced, len(self._shapes)).n_colours)

    def _program(self, trace: Trace, shapes: Shapes) -> Program | str:
        """The array program with names, or why there is none."""
        grouping = group(trace, len(shapes))
        if why := too_many(trace.nodes, grouping.n_colours):
            return why
        program = assemble(grouping, len(self._labels), [int(np.prod(shape)) for shape, _ in shapes])
        program.reduce = self._reduce
        differentiate(program, wrt_inputs=self._wrt_inputs)
        return ArrayWay(program, [integer for _, integer in shapes]).written.named

    def explanation(self) -> str:
        """A line for each array of all outputs."""
        trace, shapes = self._traced, self._shapes
        if len(trace.outputs) > 1:  # the last line would be the choice of one of them
            trace, shapes = of_one_output(trace, len(shapes)), (*shapes, ((), True))
        program = self._program(trace, shapes)
        if isinstance(program, str):
            return program
        if trace is not self._traced:
            program.forward = program.forward[:-1]
        return explanation(self._traced.nodes, self._traced.captured, program, self._labels)

    def equations(self) -> Equations:
        """Each output's equations, after a line with its place in what the function returns."""
        found, outputs = list[Equation](), self._traced.outputs
        for j, output in enumerate(outputs[:MOST_OUTPUTS]):
            one = replace(self._traced, cost=output, outputs=[output], shape=None, guards=[])
            program = self._program(one, self._shapes)
            if isinstance(program, str):
                return Equations([Equation(rf"C = \text{{{program}}}", r"1 \times 1", "")])
            if self._traced.shape is None:
                return equations(program, self._labels)
            place = ", ".join(map(str, np.unravel_index(j, self._traced.shape)))
            found.append(Equation(rf"\text{{output }} [{place}]", "", ""))
            found += equations(program, self._labels, f"C_{{{place}}}").each
        if len(outputs) > MOST_OUTPUTS:
            found.append(Equation(rf"\text{{and {len(outputs) - MOST_OUTPUTS:,} more outputs}}", "", ""))
        return Equations(found)

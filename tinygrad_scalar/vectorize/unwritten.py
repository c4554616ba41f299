"""A traced function's array program and its texts, which are written when they are first needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_scalar.vectorize.array_way import ArrayWay
from tinygrad_scalar.vectorize.assemble import assemble
from tinygrad_scalar.vectorize.cached_property import cached_property
from tinygrad_scalar.vectorize.equations import Equation, Equations, equations
from tinygrad_scalar.vectorize.explanation import explanation
from tinygrad_scalar.vectorize.group import Grouping, group
from tinygrad_scalar.vectorize.numpy_source import NumpySource
from tinygrad_scalar.vectorize.reverse import differentiate
from tinygrad_scalar.vectorize.texts import too_many

if TYPE_CHECKING:
    from tinygrad_scalar.vectorize.exported import Exported
    from tinygrad_scalar.vectorize.program import Program
    from tinygrad_scalar.vectorize.trace import Trace
    from tinygrad_scalar.vectorize.ways import Shapes


class Unwritten:
    """A trace, and what is written of it."""

    def __init__(
        self,
        traced: Trace,
        grouping: Grouping | None,
        labels: list[str],
        shapes: Shapes,
        wrt_inputs: bool,
        reduce: str,
        dtype: Any,
    ) -> None:
        self.traced, self._labels, self._shapes = traced, labels, shapes
        self._wrt_inputs, self._reduce, self._dtype = wrt_inputs, reduce, dtype
        if grouping is not None:
            self.grouping = grouping

    @cached_property
    def grouping(self) -> Grouping:
        return group(self.traced, len(self._shapes))

    @cached_property
    def n_colours(self) -> int:
        return self.grouping.n_colours

    def colours(self, most: int) -> int | None:
        """How many colours there are; None if they are more than `most`, or have few nodes each."""
        found = group(self.traced, len(self._shapes), if_regular=True, worth=most)
        return None if found.irregular else found.n_colours

    @cached_property
    def arrays(self) -> ArrayWay:
        return ArrayWay(self._program, self._integer, self._dtype, self.__dict__.get("written"))

    @cached_property
    def written(self) -> NumpySource:
        """The NumPy source, without what it takes to run the program in another way."""
        arrays: ArrayWay | None = self.__dict__.get("arrays")
        return NumpySource(self._program, self._integer) if arrays is None else arrays.written

    @property
    def _integer(self) -> list[bool]:
        return [integer for _, integer in self._shapes]

    @cached_property
    def _program(self) -> Program:
        sizes = [int(np.prod(shape)) for shape, _ in self._shapes]
        grouping = self.grouping
        self.n_colours = grouping.n_colours
        self.__dict__.pop("grouping", None)  # it is as large as the graph, and of no further use
        program = assemble(grouping, len(self._labels), sizes)
        program.reduce = self._reduce
        differentiate(program, wrt_inputs=self._wrt_inputs)
        return program

    def exported(self) -> Exported:
        from tinygrad_scalar.vectorize.exported import Exported

        return Exported(self.traced, len(self._labels), self._shapes, self._reduce)

    @property
    def left_out(self) -> str:
        """Why there are no texts, or ""."""
        return too_many(self.traced.nodes, self.n_colours)

    def explanation(self) -> str:
        if self.left_out:
            return self.left_out
        named = self.written.named
        return explanation(self.traced.nodes, self.traced.captured, named, self._labels)

    def equations(self) -> Equations:
        if self.left_out:
            return Equations([Equation(rf"C = \text{{{self.left_out}}}", r"1 \times 1", "")])
        return equations(self.written.named, self._labels)

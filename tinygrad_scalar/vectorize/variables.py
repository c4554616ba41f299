"""The variables of a program's source: the buffers of its arrays, views of them, tables of numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_scalar.vectorize.buffers import Buffers, contiguous
from tinygrad_scalar.vectorize.program import Array, Program

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH = 110


class Variables:
    """The expressions for a program's arrays; no variable gets a name that is `taken`.

    names   the variable of each array that has a buffer
    views   the variables that hold views, and their expressions, one for each that was asked for
    tables  the tables of numbers by their names
    """

    def __init__(self, program: Program, buffers: Buffers, taken: Iterable[str]) -> None:
        self.program, self.buffers = program, buffers
        self._variables: dict[str, str] = {}  # by the expression that each holds
        self._taken = {argument.name for argument in program.arguments} | set(taken)
        self._numbered: dict[str, int] = {}
        self.views: list[tuple[str, str]] = []
        self.tables: dict[str, NDArray[Any]] = {}
        self._table_names: dict[tuple[Any, ...], str] = {}  # by their numbers
        self.names = self._name_buffers()

    def _name_buffers(self) -> dict[Array, str]:
        """A variable for each array that has a buffer; arrays of one name and one buffer share it."""
        names: dict[Array, str] = {}
        for buffer in dict.fromkeys(self.buffers.buffer_of.values()):
            mine: dict[str, str] = {}
            for array in buffer.arrays:
                if array.name not in mine:
                    mine[array.name] = self._free_name(array.name)
                names[array] = mine[array.name]
        return names

    def _free_name(self, wanted: str) -> str:
        name, i = wanted, self._numbered.get(wanted, 1)
        while name in self._taken:
            i += 1
            name = f"{wanted}_{i}"
        self._taken.add(name)
        self._numbered[wanted] = i  # all names with smaller numbers are taken
        return name

    def variable(self, wanted: str, expression: str) -> str:
        """The variable of prepare() that holds an expression, made once."""
        if expression not in self._variables:
            self._variables[expression] = self._free_name(wanted)
            self.views.append((self._variables[expression], expression))
        return self._variables[expression]

    def leave_out_unread(self, passes: str) -> None:
        """Drop the views that the lines of the passes do not read: a call can need fewer than all operands."""
        read, kept = set(re.findall(r"\w+", passes)), []
        for name, expression in reversed(self.views):
            if name in read:
                read.update(re.findall(r"\w+", expression))
                kept.append((name, expression))
        self.views = kept[::-1]

    def table(self, values: NDArray[Any], wanted: str = "index") -> str:
        """A variable of the source that holds numbers."""
        key = (values.dtype.kind, values.shape, values.tobytes())
        if key not in self._table_names:
            self._table_names[key] = self._free_name(wanted)
            self.tables[self._table_names[key]] = values
        return self._table_names[key]

    def _constant(self, array: Array) -> str:
        values = array.values
        assert values is not None
        distinct = np.unique(values.view(np.int64))  # by their bits, to tell 0 from −0
        if distinct.size == 1 and np.isfinite(values.flat[0]):
            return repr(float(values.flat[0]))
        return self.variable("c", f"{self.table(values.ravel(), 'constants')}.astype(dtype).reshape(-1, 1)")

    def is_bare(self, array: Array) -> bool:
        """Whether an array is an argument that is read as it is passed in."""
        return array in self.program.arguments and array not in self.buffers.copied

    def _vector(self, array: Array) -> str | None:
        """The name of the array's flat vector if it is the parameters or their gradient."""
        program = self.program
        return "parameters" if array is program.parameters else "gradient" if array is program.gradient else None

    def _within(self, array: Array) -> tuple[Array, NDArray[np.int64]] | None:
        """The array of which this one is a part, and which of its rows."""
        view = self.buffers.views.get(array)
        if view is not None:
            return view.source, view.index
        inside = self.buffers.inside.get(array)
        if inside is None:
            return None
        whole, index = inside
        return whole, np.arange(whole.rows) if index is None else index

    def flat(self, array: Array) -> str:
        """The expression for an array as (rows, m), or (rows, 1) where it is not batched."""
        if array.values is not None:
            return self._constant(array)
        if self.is_bare(array):
            return array.name
        if vector := self._vector(array):
            return self.variable("theta" if vector == "parameters" else "dtheta", f"{vector}.reshape(-1, 1)")
        within = self._within(array)
        if within is None:
            return self.names[array]
        whole, index = within
        start = contiguous(index)
        assert start is not None, "a strided view is used as a matrix only"
        if array.rows == whole.rows:
            return self.flat(whole)
        rows = f"[{start}:{start + array.rows}]"
        if vector := self._vector(whole):
            return self.variable(array.name, f"{vector}{rows}.reshape(-1, 1)")
        return (
            f"{self.flat(whole)}{rows}" if self.is_bare(whole) else self.variable(array.name, self.flat(whole) + rows)
        )

    def reshaped(self, array: Array, wanted: str, axes: tuple[int, ...]) -> str:
        """The expression for a batched array with these axes before the last; a variable if prepare() can make it."""
        expression = f"{self.flat(array)}.reshape({', '.join(map(str, axes))}, -1)"
        owner = array
        while within := self._within(owner):
            owner = within[0]
        return expression if self.is_bare(owner) else self.variable(wanted, expression)

    def matrix(self, array: Array, shape: tuple[int, ...]) -> str:
        """The expression for an array as matrices of `shape`; a batched array's columns stand side by side."""
        within = self._within(array)
        vector = self._vector(within[0]) if within else self._vector(array)
        if vector and within:
            start = contiguous(within[1])
            if start is not None:
                return self.variable(array.name, f"{vector}[{start}:{start + array.rows}].reshape{shape}")
            strided = self.buffers.strided(within[1].reshape(shape))
            assert strided is not None
            a, s, p, k = strided
            return self.variable(array.name, f"{vector}[{a}:{a + p * s}].reshape({p}, {s})[:, :{k}]")
        if vector:
            return self.variable("matrix", f"{vector}.reshape{shape}")
        if array.values is not None:
            numbers = np.broadcast_to(array.values.reshape(-1), (math.prod(shape),)).reshape(shape)
            return self.variable("M", f"{self.table(numbers, 'matrix')}.astype(dtype)")
        flat = self.flat(array)
        if array.batched:
            if len(shape) == 2 and shape[1] == 1:
                return flat
            return self.reshaped(array, f"{array.name}_m", shape[:-1])
        return self.variable(f"{array.name}_m", f"{flat}.reshape{shape}")


def definition(name: str, values: NDArray[Any]) -> str:
    """The lines that define a table of numbers.

    >>> definition("index", np.array([2, 0]))
    'index = np.array([2, 0])'
    """
    text = repr(values.tolist())
    line = f"{name} = np.array({text})"
    if len(line) > WIDTH:
        lines, room = list[list[str]](), 0
        for number in text.split(" "):
            if len(number) > room:
                lines.append([])
                room = WIDTH - 10
            lines[-1].append(number)
            room -= len(number) + 1
        numbers = "\n    ".join(map(" ".join, lines))
        line = f"{name} = np.array(\n    {numbers}\n)  # fmt: skip"
    return re.sub(r"\b(inf|nan)\b", r"np.\1", line)

"""The array program, ready to run: in the native executor where it can (block_program.py), else as NumPy source."""

from __future__ import annotations

import linecache
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_scalar.engine.quiet import quiet
from tinygrad_scalar.vectorize.block_costs import block_counts
from tinygrad_scalar.vectorize.block_program import BlockProgram, block_program, layout, native_blocks
from tinygrad_scalar.vectorize.cached_property import cached_property
from tinygrad_scalar.vectorize.cost_model import ArrayCounts, Counts, Estimate, array_counts
from tinygrad_scalar.vectorize.made_of import lowered
from tinygrad_scalar.vectorize.numpy_source import NumpySource
from tinygrad_scalar.vectorize.ways import require

if TYPE_CHECKING:
    from tinygrad_scalar.vectorize.program import Program
    from tinygrad_scalar.vectorize.ways import Floats, Guards, Result

BUFFERS_KEPT = 4  # for as many different m, and at most twice the memory of the largest


class ArrayWay:
    """The array program for the native executor, and as NumPy source, with its buffers for the last few m.

    The executor runs float64; float32, and numbers that are watched (`alarms`), are left to NumPy.
    """

    _program: Program | None = None  # pickles have only the source
    blocks: Any = None  # pickles written before have none
    _integer: Sequence[bool] = ()

    name = "array program"
    kind: str  # as in times.py

    def __init__(
        self, program: Program, integer: Sequence[bool], dtype: Any = np.float64, written: NumpySource | None = None
    ) -> None:
        self._program, self._integer = program, integer
        if written is not None:
            self.written = written
        runs = lowered(program)
        self.blocks = block_program(runs) if dtype == np.float64 else None
        self.counts = array_counts(runs)
        self._build()

    def _build(self) -> None:
        self._ready: dict[int, tuple[Any, Any]] = {}
        self._parameters: Floats | None = None
        native = native_blocks()
        counts: Counts = self.counts
        self.native: Any = None
        self.kind = "NumPy"
        if native is not None and self.blocks is not None:
            self.native, self.kind = native.Executor(*self.blocks), "blocks"
            counts = block_counts(self.blocks, self.native.per_block, sum(self._integer), native)
        self.expected = Estimate(self.kind, counts)

    @cached_property
    def written(self) -> NumpySource:
        """The NumPy source, written when it is first run or read, which also names the program's arrays."""
        assert self._program is not None
        return NumpySource(self._program, self._integer)

    @cached_property
    def source(self) -> str:
        return self.written.text

    @cached_property
    def _prepare(self) -> Callable[..., Any]:
        filename = f"<vectorized {id(self):x}>"
        weakref.finalize(self, linecache.cache.pop, filename, None).atexit = False
        if self._program is not None:
            return self.written.prepare(filename)
        names: dict[str, Any] = {}
        exec(compile(self.source, filename, "exec"), names)
        linecache.cache[filename] = (len(self.source), None, self.source.splitlines(keepends=True), filename)
        prepare: Callable[..., Any] = names["prepare"]
        return prepare

    def __getstate__(self) -> dict[str, Any]:
        # plain, with the numbers of its instructions, which another version of the executor can read differently
        blocks = None if self.blocks is None else (layout(), tuple(self.blocks))
        return {"source": self.source, "counts": self.counts, "blocks": blocks, "_integer": [*self._integer]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        costs = state.pop("_costs", None)  # as in pickles written before: ns in a call and for each example
        if costs is not None:
            state["counts"] = ArrayCounts({"statements": len(costs)}, {"quick": sum(each for _, each in costs)})
        made_for, fields = state.pop("blocks", None) or (None, ())
        self.__dict__.update(state)
        self.blocks = BlockProgram(*fields) if made_for is not None and made_for == layout() else None
        self._build()

    def _taken(self, m: int, parameters: Floats) -> tuple[Any, Any]:
        """The forward and the backward pass for m examples; nobody else has their buffers before they are kept again.

        So several threads can run the program at the same time, and a signal handler the one that it interrupted.
        """
        if self._parameters is not parameters:
            self._parameters = parameters
            self._ready.clear()
        return self._ready.pop(m, None) or self._prepare(m, parameters)

    def _keep(self, m: int, passes: tuple[Any, Any]) -> None:
        self._ready.pop(m, None)
        self._ready[m] = passes  # the most recently used is the last
        sizes = list(self._ready)
        while len(sizes) > BUFFERS_KEPT or sum(sizes) > 2 * max(sizes):
            self._ready.pop(sizes.pop(0), None)

    def sound_alarms(self) -> None:
        """Let NumPy know of numbers that are not finite where it cannot: BLAS has threads, and rows are in Python."""
        names = self._prepare.__globals__
        for name in {"matmul", "vdot", "by_its_row"} & names.keys():
            names[name] = _with_alarm(names[name])

    def run(
        self,
        parameters: Floats,
        rows: Sequence[Floats],
        backwards: bool,
        guards: Guards,
        alarms: list[bool] | None = None,
    ) -> Result:
        if self.native is not None and parameters.dtype == np.float64 and alarms is None:
            return self._run_native(parameters, rows, backwards, guards)
        return self.run_source(parameters, rows, backwards, guards, alarms)

    def run_source(
        self,
        parameters: Floats,
        rows: Sequence[Floats],
        backwards: bool,
        guards: Guards,
        alarms: list[bool] | None = None,
    ) -> Result:
        m = len(rows[0])
        forward, backward = passes = self._taken(m, parameters)
        states: dict[str, Any] = {"all": "ignore"}  # IEEE 754, as in the arithmetic of Values
        if alarms is not None:
            states = dict.fromkeys(("divide", "over", "invalid"), "call")
            states |= {"under": "ignore", "call": lambda kind, flag: alarms.append(True)}
        with quiet(**states):
            value = forward(*rows)
            if guards:
                value, *guarded = value
                for array, guard in zip(guarded, guards):
                    require(array, *guard)
            results = backward(*rows) if backwards else parameters
        self._keep(m, passes)
        value = value if type(value) is np.ndarray else float(value)  # an array of all costs
        if type(results) is tuple:
            return value, results[0], results[1:]
        return value, results, ()

    def _run_native(self, parameters: Floats, rows: Sequence[Floats], backwards: bool, guards: Guards) -> Result:
        assert self.native is not None
        m = len(rows[0])
        arrays = tuple(map(as_it_runs, rows))
        gradient = np.empty(parameters.size) if backwards else None
        widths = [rows for _, _, rows, _ in self.blocks.input_gradients] if backwards else []
        inputs = tuple(np.empty((m, width)) for width in widths)
        watched = tuple(np.empty(m) for _ in guards)
        costs = np.empty(m) if self.blocks.reduce == "each" else None
        theta = np.ascontiguousarray(parameters)
        value = self.native.run(theta, arrays, gradient, inputs or None, watched, costs)
        value = value if costs is None else costs
        for array, guard in zip(watched, guards):
            require(array, *guard)
        return value, parameters if gradient is None else gradient, inputs


def as_it_runs(array: Floats) -> Floats:
    """The array, or a copy, as float64 row after row."""
    flags = array.flags
    if array.dtype == np.float64 and flags.c_contiguous and flags.aligned:
        return array
    return np.require(array, np.float64, ["C", "A"])


def _with_alarm(function: Callable[..., Floats]) -> Callable[..., Floats]:
    """A function of arrays that raises NumPy's flag for invalid operations if its result is not finite."""

    def alarming(*arguments: Any, **options: Any) -> Floats:
        result = function(*arguments, **options)
        if not np.isfinite(result).all():
            np.subtract(np.inf, np.inf)
        return result

    return alarming

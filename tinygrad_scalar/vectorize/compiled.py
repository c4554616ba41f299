"""A traced function made ready to run: as an array program in NumPy, as a scalar program in C, or as either.

Matrices are best in NumPy. If little repeats, or there are few numbers, the scalar program is faster: it runs no Python
for each operation. For each m, the one expected to be faster runs.
"""

from __future__ import annotations

import linecache
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_scalar.engine import read_data
from tinygrad_scalar.vectorize.assemble import assemble
from tinygrad_scalar.vectorize.equations import Equations, equations
from tinygrad_scalar.vectorize.explanation import explanation
from tinygrad_scalar.vectorize.group import group
from tinygrad_scalar.vectorize.numpy_source import NumpySource
from tinygrad_scalar.vectorize.program import Elementwise, Product, Program, Statement
from tinygrad_scalar.vectorize.readings import NOTHING, Readings
from tinygrad_scalar.vectorize.repeat import repeated_trace
from tinygrad_scalar.vectorize.reverse import differentiate
from tinygrad_scalar.vectorize.scalar_program import ScalarProgram, executor, scalar_program
from tinygrad_scalar.vectorize.trace import trace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_scalar.engine import Value

    Floats = NDArray[Any]
    Shapes = tuple[tuple[tuple[int, ...], bool], ...]  # for each argument: an example's shape, whether integers
    Guards = list[tuple[Callable[[Any], Any], Callable[[float], str]]]
    Result = tuple[float, Floats, Sequence[Floats]]

BUFFERS_KEPT = 4  # for as many different m, and at most twice the memory of the largest
MOST_CHOICES = 256  # numbers of examples for which the faster way is remembered


class ArrayWay:
    """The NumPy source, with its buffers for the last few m."""

    def __init__(self, program: Program, integer: Sequence[bool]) -> None:
        self.source = NumpySource(program, integer).text
        self._costs = [_cost_of(statement) for statement in (*program.forward, *program.backward)]
        self._build()

    def _build(self) -> None:
        filename = f"<vectorized {id(self):x}>"
        namespace: dict[str, Any] = {}
        exec(compile(self.source, filename, "exec"), namespace)
        linecache.cache[filename] = (len(self.source), None, self.source.splitlines(keepends=True), filename)
        weakref.finalize(self, linecache.cache.pop, filename, None).atexit = False
        self._prepare = namespace["prepare"]
        self._call, self._work = sum(call for call, _ in self._costs), sum(work for _, work in self._costs)
        self._ready: dict[int, tuple[Any, Any]] = {}
        self._parameters: Floats | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"source": self.source, "_costs": self._costs}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._build()

    def expected(self, m: int) -> float:
        """A rough estimate of the time in ns for m examples."""
        return self._call + self._work * m

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
        m = len(rows[0])
        forward, backward = passes = self._taken(m, parameters)
        states: dict[str, Any] = {"all": "ignore"}  # IEEE 754, as in the arithmetic of Values
        if alarms is not None:
            states = dict.fromkeys(("divide", "over", "invalid"), "call")
            states |= {"under": "ignore", "call": lambda kind, flag: alarms.append(True)}
        with np.errstate(**states):
            value = forward(*rows)
            if guards:
                value, *guarded = value
                for array, guard in zip(guarded, guards):
                    _require(array, *guard)
            results = backward(*rows) if backwards else parameters
        self._keep(m, passes)
        if type(results) is tuple:
            return float(value), results[0], results[1:]
        return float(value), results, ()


def _with_alarm(function: Callable[..., Floats]) -> Callable[..., Floats]:
    """A function of arrays that raises NumPy's flag for invalid operations if its result is not finite."""

    def alarming(*arguments: Any, **options: Any) -> Floats:
        result = function(*arguments, **options)
        if not np.isfinite(result).all():
            np.subtract(np.inf, np.inf)
        return result

    return alarming


def _cost_of(statement: Statement) -> tuple[float, float]:
    """A rough estimate of a statement's time in ns, for the call and for each example, as measured on one machine."""
    if isinstance(statement, Product):
        p = statement.out.shape[0] if statement.form == "RT" else statement.left.shape[0]
        matrix, other = {
            "LR": (statement.left, statement.out),
            "TR": (statement.left, statement.right),
            "RT": (statement.out, statement.left),
        }[statement.form]
        call, work = 800.0, 0.1 * matrix.rows * (other.rows // p)
    else:
        slow = isinstance(statement, Elementwise) and statement.op not in (
            "+",
            "-",
            "*",
            "* on path",
            "neg",
            "minus fixed",
        )
        call, work = 600.0, (1.5 if slow else 0.4) * statement.out.rows
    if statement.out.batched or any(operand.batched for operand in statement.operands):
        return call, work
    return call + work, 0.0


class ScalarWay:
    """The scalar program in the native executor."""

    def __init__(self, program: ScalarProgram) -> None:
        self.program = program
        self._build()

    def _build(self) -> None:
        native = executor()
        if native is None:
            raise ImportError(
                "this pickle needs the compiled executor: reinstall tinygrad_scalar with a C compiler, or unset "
                "TINYGRAD_SCALAR_PURE"
            )
        self.executor = native.Executor(*self.program)

    def __getstate__(self) -> dict[str, Any]:
        return {"program": self.program}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._build()

    def expected(self, m: int) -> float:
        """A rough estimate of the time in ns for m examples."""
        n = len(self.program.steps)
        if m < 4:
            return 1500.0 + 7.0 * n * m
        return 1500.0 + (1.2 if n < 2000 else 3.5) * n * 16 * -(-m // 16)

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
        inputs = tuple(np.empty_like(array) for array in arrays) if backwards else ()
        watched = np.empty((m, len(guards))) if guards else None
        theta = np.ascontiguousarray(parameters, np.float64)
        value = self.executor.run(theta, arrays, gradient, inputs or None, watched, alarms)
        if watched is not None:
            for k, guard in enumerate(guards):
                _require(watched[:, k], *guard)
        if gradient is None:
            return value, parameters, inputs
        if parameters.dtype != np.float64:
            with np.errstate(all="ignore"):  # float32 has less range
                gradient = gradient.astype(parameters.dtype)
        return value, gradient, inputs


def _require(array: Floats, refused: Callable[[Any], Any], message: Callable[[float], str]) -> None:
    wrong = refused(array)
    if np.any(wrong):
        raise ValueError(message(float(np.broadcast_to(array, np.shape(wrong))[wrong][0])))


def data_of(values: list[Value]) -> Floats:
    data = np.empty(len(values))
    read_data(values, data)
    return data


def same(x: Floats, y: Floats) -> NDArray[np.bool_]:
    """Where two arrays are equal bit for bit."""
    return np.asarray(x.view(f"i{x.itemsize}") == y.view(f"i{y.itemsize}"))


class Compiled:
    """A function compiled for arguments of given shapes.

    suspicious  whether a number of the example that was traced is not finite
    """

    suspicious = False
    _write_texts: Callable[[], tuple[str, Equations]] | None = None
    read = NOTHING  # pickles written before have none

    def __init__(
        self,
        shapes: Shapes,
        scalars: ScalarWay | None,
        guards: Guards,
        captured: list[Value],
        read: Readings,
        write_arrays: Callable[[], tuple[ArrayWay, Callable[[], tuple[str, Equations]]]],
    ) -> None:
        self.shapes, self.scalars, self.guards = shapes, scalars, guards
        self._captured, self._constants, self.read = captured, data_of(captured), read
        self.arrays: ArrayWay | None = None
        self._explanation, self._equations = "", Equations(())
        self._chosen: dict[int, ArrayWay | ScalarWay] = {}
        self._write_arrays: Callable[[], tuple[ArrayWay, Callable[[], tuple[str, Equations]]]] | None = write_arrays

    def __getstate__(self) -> dict[str, Any]:
        if self.arrays is not None:
            self._write_for_people()
        state = {**self.__dict__, "_write_arrays": None, "_write_texts": None, "_chosen": {}, "_captured": []}
        state.pop("read", None)
        return state

    def is_current(self) -> bool:
        """Whether what counts as constant still stands where it did, and captured Values have the same numbers."""
        return self.read.all_held() and bool(same(data_of(self._captured), self._constants).all())

    def write_arrays(self) -> ArrayWay:
        """The array program, written when first needed."""
        if self.arrays is None:
            if self._write_arrays is None:
                raise ValueError(
                    "source, equations and explain() are not in this pickle: it holds the scalar program that ran"
                )
            arrays, self._write_texts = self._write_arrays()
            self.arrays = arrays
            self._write_arrays = None
        return self.arrays

    def _write_for_people(self) -> None:
        """Write explanation and equations, when first needed."""
        self.write_arrays()
        write = self._write_texts
        if write is not None:
            self._explanation, self._equations = write()
            self._write_texts = None

    @property
    def source(self) -> str:
        return self.write_arrays().source

    @property
    def explanation(self) -> str:
        self._write_for_people()
        return self._explanation

    @property
    def equations(self) -> Equations:
        self._write_for_people()
        return self._equations

    def _way(self, m: int) -> ArrayWay | ScalarWay:
        """The way expected to be faster for m examples."""
        way = self._chosen.get(m)
        if way is None:
            ways = [way for way in (self.arrays, self.scalars) if way is not None]
            way = min(ways, key=lambda way: way.expected(m))
            if len(self._chosen) == MOST_CHOICES:  # the oldest goes: batches may be of ever new sizes
                self._chosen.pop(next(iter(self._chosen)), None)
            self._chosen[m] = way
        return way

    def quick(self, parameters: Floats) -> Callable[[tuple[Any, ...]], tuple[float, Floats] | None] | None:
        """A function that runs few examples, or returns None if their arrays do not fit; None if there is none."""
        native = executor()
        if native is None or self.scalars is None or self.guards or any(integer for _, integer in self.shapes):
            return None
        most, beyond = 0, 1 << 20
        while beyond - most > 1:  # the scalar program is faster for up to `most` examples
            m = min(2 * most + 1, (most + beyond) // 2)
            most, beyond = (m, beyond) if self._way(m) is self.scalars else (most, m)
        if most == 0:
            return None
        shapes = tuple(shape for shape, _ in self.shapes)
        answer: Callable[[tuple[Any, ...]], tuple[float, Floats] | None]
        answer = native.Quick(self.scalars.executor, parameters, shapes, most, self.read.quick).answer
        return answer

    def run(self, parameters: Floats, rows: Sequence[Floats], backwards: bool) -> Result:
        """The mean cost; with `backwards` its gradient, with respect to the arguments too where that was wanted."""
        return self._way(len(rows[0])).run(parameters, rows, backwards, self.guards)

    def alarmed(self, parameters: Floats, rows: Sequence[Floats], backwards: bool) -> tuple[Result, bool]:
        """The same, and whether a number on the way there may not have been finite."""
        alarms: list[bool] = []
        result = self._way(len(rows[0])).run(parameters, rows, backwards, self.guards, alarms)
        value, gradient, inputs = result
        numbers: list[Any] = [
            value,
            *rows,
            gradient,
            *inputs,
        ]  # without `backwards`, gradient stands for the parameters
        return result, self.suspicious or bool(alarms) or not all(np.isfinite(array).all() for array in numbers)

    def by_every_way(self, parameters: Floats, rows: Sequence[Floats]) -> Iterator[tuple[float, Floats]]:
        for way in (self.arrays, self.scalars):
            if way is not None:
                value, gradient, _ = way.run(parameters, rows, True, self.guards)
                yield value, gradient


def compiled(
    cost: Callable[..., Value],
    parameters: list[Value],
    examples: Sequence[Floats],
    shapes: Shapes,
    wrt_inputs: bool,
    check: bool = False,
) -> Compiled:
    """Trace a function and make its programs; if hardly anything repeats, the array program is made on request."""
    traced, read = repeated_trace(cost, parameters, examples) if check else (trace(cost, parameters, examples), NOTHING)
    sizes = [int(np.prod(shape)) for shape, _ in shapes]
    native = executor()
    steps = None if native is None else scalar_program(traced, len(parameters), sizes, native.CODES)
    grouping = group(traced, len(sizes), if_regular=steps is not None)
    on_request = steps is not None and grouping.irregular
    labels = [value.label for value in parameters]

    def write_arrays() -> tuple[ArrayWay, Callable[[], tuple[str, Equations]]]:
        finished = group(traced, len(sizes)) if on_request else grouping
        program = assemble(finished, len(parameters), sizes)
        differentiate(program, wrt_inputs=wrt_inputs)
        way = ArrayWay(program, [integer for _, integer in shapes])
        n, captured = len(traced.tape.nodes), traced.captured
        return way, lambda: (explanation(n, captured, program, labels), equations(program, labels))

    guards = [(guard.refused, guard.message) for _, guard in traced.guards]
    made = Compiled(shapes, None if steps is None else ScalarWay(steps), guards, traced.captured, read, write_arrays)
    made.suspicious = not bool(np.isfinite(traced.data).all())
    if not on_request:
        made.write_arrays()
    return made


def watched(
    cost: Callable[..., Value], parameters: list[Value], examples: Sequence[Floats], shapes: Shapes, wrt_inputs: bool
) -> Compiled:
    """The same for `Compiled.alarmed`."""
    made = compiled(cost, parameters, examples, shapes, wrt_inputs)
    if made.arrays is not None:
        made.arrays.sound_alarms()
    return made

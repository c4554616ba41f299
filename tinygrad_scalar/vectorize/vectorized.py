"""The callable that users hold: arrays of examples in, the mean cost and its gradient out."""

from __future__ import annotations

import linecache
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_scalar.bulk import read_data, read_gradients, read_graph, set_data
from tinygrad_scalar.errors import TraceError, shown
from tinygrad_scalar.value import Value
from tinygrad_scalar.vectorize.explanation import explanation
from tinygrad_scalar.vectorize.numpy_source import NumpySource
from tinygrad_scalar.vectorize.regroup import regroup
from tinygrad_scalar.vectorize.reverse import differentiate
from tinygrad_scalar.vectorize.trace import Guard, Trace, called, example_arguments, trace

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[Any]
    Shapes = tuple[tuple[tuple[int, ...], bool], ...]  # of each argument: an example's shape, whether of integers

DTYPES = ("float64", "float32")
BUFFERS_KEPT = 4  # for that many different m


class Vectorized:
    """What `vectorize` returns: call it with arrays of examples. See there.

    parameters  the array that it works on, in the order of `params`; read and written in place
    """

    def __init__(
        self, cost: Callable[..., Value], params: Iterable[Value], dtype: str, wrt_inputs: bool, check: bool
    ) -> None:
        if not callable(cost):
            raise TypeError(f"vectorize takes a function of one example, not {shown(cost)}")
        if isinstance(params, Value) or not isinstance(params, Iterable):
            raise TypeError(f"params are a list of Values, as net.parameters(), not {shown(params)}")
        values = list(params)
        for value in values:
            if not isinstance(value, Value) or value.op:
                raise TypeError(f"a parameter is a Value that is a leaf, not {shown(value)}")
        if not values or len(set(values)) < len(values):
            raise ValueError("params are one Value or more, each of them once")
        if str(dtype) not in DTYPES:
            raise ValueError(f"dtype is one of {', '.join(DTYPES)}, not {shown(dtype)}")
        self._cost: Callable[..., Value] | None = cost
        self._values = values
        self._wrt_inputs, self._check = wrt_inputs, check
        self.parameters: Array = np.empty(len(values), np.float64)
        read_data(values, self.parameters)
        self.parameters = self.parameters.astype(dtype)
        self._programs: dict[Shapes, _Compiled] = {}
        self._last: _Compiled | None = None

    # --- running -----------------------------------------------------------------------------------------------------

    def __call__(self, *arrays: ArrayLike) -> tuple[Any, ...]:
        """The mean cost over the examples and its gradient; with wrt_inputs also a list of the arguments' gradients."""
        compiled, columns = self._prepared(arrays)
        with np.errstate(all="ignore"):  # IEEE 754, as in the arithmetic of Values
            value = compiled.forward(columns)
            gradient, *inputs = compiled.backward(columns)
        if not self._wrt_inputs:
            return value, gradient
        return (
            value,
            gradient,
            [None if integer else d.reshape(-1, *shape) for d, (shape, integer) in zip(inputs, compiled.shapes)],
        )

    def value(self, *arrays: ArrayLike) -> float:
        """The mean cost over the examples, without the gradient."""
        compiled, columns = self._prepared(arrays)
        with np.errstate(all="ignore"):
            return compiled.forward(columns)

    def write_back(self) -> None:
        """Put `parameters` into the Values."""
        if not self._values:
            raise ValueError("this step came out of a pickle, which holds no Values: read its `parameters`")
        set_data(self._values, self.parameters.astype(np.float64))

    def _prepared(self, arrays: Sequence[ArrayLike]) -> tuple[_Compiled, list[Array]]:
        examples = [_examples(array, i) for i, array in enumerate(arrays)]
        if not examples:
            raise TypeError("a step is called with an array of examples for each argument of the function")
        m = len(examples[0])
        for i, array in enumerate(examples):
            if len(array) != m:
                raise ValueError(f"argument 0 has {m} examples, but argument {i} has {len(array)}")
        key = tuple((array.shape[1:], array.dtype.kind != "f") for array in examples)
        compiled = self._programs.get(key)
        if compiled is None:
            compiled = self._programs[key] = self._compile(key, examples)
        self._last = compiled
        compiled.use(m, self.parameters)
        dtype = self.parameters.dtype
        return compiled, [
            array.reshape(m, -1) if array.dtype.kind != "f" else array.reshape(m, -1).astype(dtype, copy=False)
            for array in examples
        ]

    # --- compiling ---------------------------------------------------------------------------------------------------

    def _compile(self, key: Shapes, examples: Sequence[Array]) -> _Compiled:
        if self._cost is None:
            known = ", ".join(str(tuple(shape for shape, _ in shapes)) for shapes in self._programs)
            raise ValueError(
                f"this step came out of a pickle without its function, so it takes examples of the shapes {known} only"
            )
        traced = trace(self._cost, self._values, examples)
        program = regroup(traced, len(self._values), [int(np.prod(shape)) for shape, _ in key])
        differentiate(program, wrt_inputs=self._wrt_inputs)
        source = NumpySource(program, [integer for _, integer in key])
        compiled = _Compiled(key, source.text, explanation(traced, program), [guard for _, guard in traced.guards])
        if self._check:
            self._compare(compiled, traced, examples)
        return compiled

    def _compare(self, compiled: _Compiled, traced: Trace, examples: Sequence[Array]) -> None:
        """Raise TraceError unless program and engine agree on two examples, the last and one in the middle."""
        assert self._cost is not None
        m = len(examples[0])
        parameters = np.empty(len(self._values))
        read_data(self._values, parameters)
        for i in dict.fromkeys((m - 1, m // 2)):
            one = [array[i : i + 1] for array in examples]
            value, gradient, sizes = _by_the_engine(self._cost, self._values, one)
            compiled.use(1, parameters)
            columns = [array.reshape(1, -1) for array in one]
            with np.errstate(all="ignore"):
                ours = compiled.forward(columns)
                our_gradient = compiled.backward(columns)[0]
            if not np.allclose(ours, value, rtol=1e-9, atol=1e-9, equal_nan=True):
                raise _mismatch(f"cost {ours!r}", repr(value), i)
            wrong = ~np.isclose(our_gradient, gradient, rtol=1e-9, atol=1e-9 * np.abs(gradient).max(), equal_nan=True)
            if wrong.any():
                wrong &= ~(np.abs(our_gradient - gradient) <= 1e-9 * sizes())
            if wrong.any():
                k = int(wrong.argmax())
                name = self._values[k].label or f"params[{k}]"
                raise _mismatch(f"gradient {our_gradient[k]!r} with respect to {name}", repr(gradient[k]), i)
        compiled.forget()

    # --- reading -----------------------------------------------------------------------------------------------------

    def _current(self) -> _Compiled:
        if self._last is None:
            raise ValueError("there is no program before the first call, which tells the shapes: call the step first")
        return self._last

    @property
    def source(self) -> str:
        """The NumPy program of the last call's shapes, as a person would write it."""
        return self._current().source

    def explain(self) -> str:
        """Which scalars became which array, a line for each, as text."""
        return self._current().explanation

    def __repr__(self) -> str:
        return f"Vectorized({self.parameters.size} parameters, {self.parameters.dtype})"

    # --- pickling: parameters and source travel, the function and the Values do not ----------------------------------

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cost": None, "_values": []}


class _Compiled:
    """A program for arguments of certain shapes, and its buffers for the last few m."""

    def __init__(self, shapes: Shapes, source: str, explanation: str, guards: Sequence[Guard]) -> None:
        self.shapes, self.source, self.explanation = shapes, source, explanation
        self._guards = [(guard.refused, guard.message) for guard in guards]
        self._build()

    def _build(self) -> None:
        filename = f"<vectorized {id(self):x}>"
        namespace: dict[str, Any] = {}
        exec(compile(self.source, filename, "exec"), namespace)
        linecache.cache[filename] = (len(self.source), None, self.source.splitlines(keepends=True), filename)
        self._prepare = namespace["prepare"]
        self.forget()

    def forget(self) -> None:
        """Drop the buffers."""
        self._ready: dict[tuple[int, int], tuple[Any, Any, Array]] = {}

    def use(self, m: int, parameters: Array) -> None:
        """Make the buffers for m examples and these parameters, unless they are there."""
        key = (m, id(parameters))
        ready = self._ready.pop(key, None)
        if ready is None:
            if len(self._ready) >= BUFFERS_KEPT:
                self._ready.pop(next(iter(self._ready)))
            ready = (*self._prepare(m, parameters), parameters)
        self._ready[key] = ready
        self._forward, self._backward, _ = ready

    def forward(self, columns: Sequence[Array]) -> float:
        if not self._guards:
            return float(self._forward(*columns))
        value, *guarded = self._forward(*columns)
        for array, (refused, message) in zip(guarded, self._guards):
            wrong = refused(array)
            if np.any(wrong):
                raise ValueError(message(float(np.broadcast_to(array, wrong.shape)[wrong][0])))
        return float(value)

    def backward(self, columns: Sequence[Array]) -> tuple[Array, ...]:
        results = self._backward(*columns)
        return results if isinstance(results, tuple) else (results,)

    def __getstate__(self) -> dict[str, Any]:
        return {
            key: thing
            for key, thing in self.__dict__.items()
            if key not in ("_prepare", "_ready", "_forward", "_backward")
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._build()


def _examples(array: ArrayLike, argument: int) -> Array:
    try:
        numbers = np.asarray(array)
    except ValueError:
        raise ValueError(f"the examples of argument {argument} do not all have the same shape") from None
    if numbers.dtype.kind not in "biuf":
        raise TypeError(f"argument {argument} is to be an array of numbers, not {shown(array)}")
    if numbers.ndim == 0 or numbers.size == 0:
        raise ValueError(
            f"argument {argument} has the shape {numbers.shape}; the first axis counts the examples, one or more"
        )
    return numbers


def _mismatch(ours: str, theirs: str, i: int) -> TraceError:
    return TraceError(
        f"the array program gives the {ours} for example {i}, where the function itself gives {theirs}: a function to "
        "vectorize may depend on its arguments and the parameters only, the same way for every example; not on random "
        "numbers, on a count of its calls or on what it reads elsewhere"
    )


def _by_the_engine(
    cost: Callable[..., Value], values: Sequence[Value], one: Sequence[Array]
) -> tuple[float, Array, Callable[[], Array]]:
    """Cost and gradient of one example by the engine, and the sizes of the gradient's terms; leaves no trace."""
    C = called(cost, example_arguments(one, 0))
    tape = read_graph([C])
    leaves = [node for node, code in zip(tape.nodes, tape.codes.tolist()) if code < 0]
    kept = {leaf: leaf.grad for leaf in [*leaves, *values]}
    for leaf in kept:
        leaf.grad = 0.0
    C.backward()
    gradient = np.empty(len(values))
    read_gradients(list(values), gradient)
    for leaf, grad in kept.items():
        leaf.grad = grad

    def sizes() -> Array:
        """Σ over paths |∏ local gradients|: what the gradient's rounding errors are relative to."""
        size = dict.fromkeys(tape.nodes, 0.0)
        size[C] = 1.0
        for node in reversed(tape.nodes):
            for operand, local_grad in zip(node.operands, node.local_grads):
                size[operand] += abs(local_grad) * size[node]
        return np.array([size.get(value, 0.0) for value in values])

    return C.data, gradient, sizes

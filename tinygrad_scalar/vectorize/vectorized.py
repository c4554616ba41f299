"""The function that the user calls: arrays of examples in, their mean cost and its gradient out."""

from __future__ import annotations

import copy
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_scalar.engine import Value, anomaly, now, set_data, tracing
from tinygrad_scalar.engine.errors import label_of, shown
from tinygrad_scalar.vectorize.anomalies import run_watched
from tinygrad_scalar.vectorize.compiled import Compiled, compiled, watched
from tinygrad_scalar.vectorize.distinct import ascending
from tinygrad_scalar.vectorize.each_example import EachExample
from tinygrad_scalar.vectorize.executor import executor
from tinygrad_scalar.vectorize.exports import Exports
from tinygrad_scalar.vectorize.first_call import require_agreement
from tinygrad_scalar.vectorize.layout import require_scipy
from tinygrad_scalar.vectorize.real_array import examples_of, real_array
from tinygrad_scalar.vectorize.ways import cast, data_of, in_words, rows_of, same

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from tinygrad_scalar.vectorize.equations import Equations
    from tinygrad_scalar.vectorize.ways import Quick, Shapes

    Floats = NDArray[Any]

DTYPES = ("float64", "float32")
PROGRAMS_KEPT = 16  # for as many shapes of examples
WAYS = ("auto", "arrays", "scalar")
REDUCTIONS = {"mean": "mean", "sum": "sum", None: "each"}
JACOBIANS = ("dense", "sparse")
NO_ARGUMENTS = np.empty((1, 0))  # one example of a function without arguments
KIND = attrgetter("__class__", "shape", "dtype")  # equal for arguments that can be treated alike


class Vectorized(Exports):
    """The result of `vectorize`, described there: call it with arrays of examples.

    Several threads can call it at the same time, and a signal handler or a finalizer can call what it interrupted.
    Nothing waits while the function or a program runs: a call whose parameters were set from elsewhere meanwhile starts
    again. Only to read the Values do threads take turns.
    """

    # of the last call: arguments of the same kind take a shortcut to its program
    _known: tuple[tuple[Any, ...], Compiled | EachExample | None, list[Any] | None]
    _quick: Quick | None
    _quick_values: tuple[Compiled | EachExample | None, Quick | None]  # and the program that it runs

    _reduce, _sparse, _way = "mean", False, "auto"  # as in pickles written before there was a choice

    def __init__(
        self,
        cost: Callable[..., Any],
        params: Iterable[Value],
        dtype: str,
        wrt_inputs: bool,
        check: bool,
        reduce: str | None = "mean",
        jacobian: str = "dense",
        way: str = "auto",
    ) -> None:
        if not callable(cost):
            raise TypeError(f"vectorize expects a function of one example, got {shown(cost)}")
        if isinstance(params, Value) or not isinstance(params, Iterable):
            raise TypeError(f"params must be a list of Values, such as net.parameters(), got {shown(params)}")
        values = list(params)
        for value in values:
            if not isinstance(value, Value) or value.op:
                raise TypeError(f"params must be leaves, Values made by Value(…) and not computed; got {shown(value)}")
        if not values and not wrt_inputs:
            raise ValueError("params must hold at least one Value unless wrt_inputs=True, got none")
        if ascending(np.fromiter(map(id, values), np.int64)).size < len(values):
            raise ValueError("params must be different Values, got the same one twice")
        for name, given in (("wrt_inputs", wrt_inputs), ("check", check)):
            if not isinstance(given, (bool, np.bool_)):
                raise TypeError(f"{name} must be True or False, got {shown(given)}")
        name = np.dtype(dtype).name if isinstance(dtype, type) and issubclass(dtype, np.floating) else dtype
        if not isinstance(name, (str, np.dtype)) or str(name) not in DTYPES:
            raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {shown(dtype)}")
        if not (reduce is None or isinstance(reduce, str)) or reduce not in REDUCTIONS:
            raise ValueError(f'reduce must be "mean", "sum" or None, for each example by itself; got {shown(reduce)}')
        if not isinstance(jacobian, str) or jacobian not in JACOBIANS:
            raise ValueError(f'jacobian must be "dense" or "sparse", got {shown(jacobian)}')
        if jacobian == "sparse":
            require_scipy()
        if not isinstance(way, str) or way not in WAYS:
            raise ValueError(f'way must be "auto", "arrays" or "scalar", got {shown(way)}')
        if way == "scalar" and executor() is None:
            raise ValueError(
                'way="scalar" needs the compiled executor, which is not there: reinstall tinygrad_scalar with a C '
                'compiler, or unset TINYGRAD_SCALAR_PURE; "auto" and "arrays" work without it'
            )
        self._way, self._reduce, self._sparse = way, REDUCTIONS[reduce], jacobian == "sparse"
        self._cost: Callable[..., Any] | None = cost
        self._values = values
        self._wrt_inputs, self._check = bool(wrt_inputs), bool(check)
        self._seen, self._data = now(), data_of(values)  # when the Values were last read, and their numbers then
        self._parameters: Floats = cast(self._data, str(name)).copy()
        self._programs: dict[Shapes, Compiled | EachExample] = {}
        self._watched: dict[Shapes, Compiled | EachExample] = {}  # those for detect_anomaly()
        self._last: Compiled | EachExample | None = None
        self._examples = 1  # of the last call
        self._forget()
        self._share()

    def _share(self) -> None:
        self._turn = threading.RLock()
        self._version = object()  # another one whenever `parameters` or the programs follow the Values
        self._underway = self._data  # the numbers that are being read into `parameters`, or were the last time
        _all.add(self)

    @property
    def parameters(self) -> Floats:
        """The array that the program works on, in the order of `params`; read it or write to it in place."""
        if now() != self._seen:
            self._follow()
        return self._parameters

    @parameters.setter
    def parameters(self, numbers: ArrayLike) -> None:
        given = real_array(numbers, "parameters")
        if given.shape != self._parameters.shape:
            raise ValueError(f"parameters must have the shape {self._parameters.shape}, got {given.shape}")
        self._look_at_values()
        self._parameters[:] = cast(given, self._parameters.dtype)

    def write_back(self) -> None:
        """Put `parameters` into the Values."""
        if not self._values:
            raise ValueError("this is a copy or was unpickled, without Values to write to: read `parameters` instead")
        data = data_of(self._values)
        kept = ~same(data, self._data) & self._untouched()  # Values that were set directly keep their numbers
        self._parameters[kept] = cast(data, self._parameters.dtype)[kept]
        set_data(self._values, self._parameters.astype(np.float64))
        self._look_at_values()

    # --- the Values, which can change too ----------------------------------------------------------------------------

    def _look_at_values(self) -> None:
        if self._values:
            self._seen, self._data = now(), data_of(self._values)

    def _untouched(self) -> NDArray[np.bool_]:
        """Which parameters still equal the numbers last read from the Values."""
        return same(self._parameters, cast(self._data, self._parameters.dtype))

    def _follow(self) -> object:
        """Read Values that were set since the last call; returns the version of `parameters` and programs.

        ValueError if their `parameters` were changed too. Whatever interrupts this, the next one finishes it: numbers
        that are already in `parameters` are no conflict.
        """
        if self._cost is None:  # a copy, which has no Values
            return self._version
        if self._values:
            tracing.forbid(self._values[0], "run")
        with self._turn:
            version: object = None
            while self._version is not version:  # else an interruption of this turn has followed them further
                version = self._version
                time, data = now(), data_of(self._values)
                changed = ~same(data, self._data)
                torn = self._torn(data, changed)
                if self._version is not version:
                    continue
                if torn.any():
                    raise self._two_numbers(data, int(torn.argmax()))
                programs = [*self._programs.items(), *self._watched.items()]
                outdated = [shapes for shapes, program in programs if not program.is_current()]
                if outdated or changed.any():
                    self._version, self._underway = (version := object()), data
                for shapes in outdated:
                    self._programs.pop(shapes, None)
                    self._watched.pop(shapes, None)
                if outdated or anomaly.watching:
                    self._forget()
                self._parameters[changed] = cast(data, self._parameters.dtype)[changed]
                self._data, self._seen = data, -1 if anomaly.watching else time
            return version

    def _torn(self, data: Floats, changed: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Where a parameter has a new number here and its Value has another new one, in `data`."""
        torn = changed
        for numbers in (self._data, self._underway, data):
            torn = torn & ~same(self._parameters, cast(numbers, self._parameters.dtype))
        return torn

    def _two_numbers(self, data: Floats, i: int) -> ValueError:
        return ValueError(
            f"{label_of(self._values[i], f'params[{i}]')} was set to {float(data[i])!r}, but run.parameters[{i}] "
            f"to {float(self._parameters[i])!r}: call run.write_back() to use run's numbers, or set "
            "run.parameters = [p.data for p in params] to use the Values'"
        )

    def numbers_held(self) -> bool:
        """Whether lists and arrays that the function read hold the numbers that are constants of the programs."""
        return all(program.read.numbers_held() for program in list(self._programs.values()))

    # --- running -----------------------------------------------------------------------------------------------------

    def __call__(self, *arrays: ArrayLike) -> tuple[Any, ...]:
        """The mean cost over the examples and its gradient; with wrt_inputs also a list of the arguments' gradients.

        The gradient with respect to an argument has the argument's shape; for an argument of integers it is None.
        `vectorize` says what is given with another `reduce`, and for a function that returns a list.
        """
        if now() != self._seen:
            self._follow()
        if self._quick is not None and (result := self._quick(arrays)) is not None:
            return result  # type: ignore[no-any-return]
        program, (value, gradient, inputs) = self._run(arrays, backwards=True)
        return (value, gradient, program.shaped(inputs)) if self._wrt_inputs else (value, gradient)

    def value(self, *arrays: ArrayLike) -> Any:
        """The mean cost over the examples, without the gradient; with reduce="sum" their sum."""
        if self._reduce != "each":
            return self._run(arrays, backwards=False)[1][0]
        mean = self.values(*arrays).mean(axis=0)
        return mean if mean.ndim else float(mean)

    def values(self, *arrays: ArrayLike) -> Floats:
        """What the function returns for each example, without derivatives: an array of shape (m,), or (m, k) for lists.

        >>> from tinygrad_scalar import vectorize
        >>> w = Value(3.0)
        >>> vectorize(lambda x: w * x, [w]).values([1.0, 2.0]).tolist()
        [3.0, 6.0]
        """
        if now() != self._seen:
            self._follow()
        known, quick = self._quick_values
        if quick is not None and known is self._known[1] and (found := quick(arrays)) is not None:
            return found  # type: ignore[no-any-return]
        program, values = self._run(arrays, backwards=False, each=True)
        if known is not program and self._parameters.dtype == np.float64:
            self._quick_values = program, program.quick_values(self._parameters)
        return values  # type: ignore[no-any-return]

    def _run(
        self, arrays: Sequence[ArrayLike], *, backwards: bool, each: bool = False
    ) -> tuple[Compiled | EachExample, Any]:
        """The program for the arrays, and its result for one version of the parameters; `each` example's if wanted."""
        is_traced_anew = False  # at most once in a call, should what the function reads change all the time
        while True:
            version = self._version
            if now() != self._seen:
                version = self._follow()
            program, rows = self._prepared(arrays)
            if not is_traced_anew and not program.read.quick_held():
                is_traced_anew = True
                self._follow()
                self._forget()
                continue
            if anomaly.watching:
                program = self._watched_program(program, rows)
                options = {"backwards": backwards, "wrt_inputs": self._wrt_inputs}
                result = run_watched(program, self._cost, self._values, self._parameters, rows, **options)
            else:
                result = None if each else program.run(self._parameters, rows, backwards)
            self._examples = len(rows[0])
            if each:
                result = program.each(self._parameters, rows)
            if self._version is version:
                return program, result

    def _prepared(self, arrays: Sequence[ArrayLike]) -> tuple[Compiled | EachExample, list[Floats]]:
        """The program for arguments of these shapes, and the arguments with a row for each example."""
        kinds: tuple[Any, ...] = ()
        with suppress(AttributeError):  # unless all of them are arrays
            kinds = tuple(map(KIND, arrays))
        known, before, dtypes = self._known
        if before is not None and kinds and kinds == known:
            given: list[Floats] = list(arrays)  # type: ignore[arg-type]
            return before, [rows_of(array, dtype) for array, dtype in zip(given, dtypes)] if dtypes else given
        examples = [examples_of(array, i) for i, array in enumerate(arrays)] or [NO_ARGUMENTS]
        m = len(examples[0])
        for i, array in enumerate(examples):
            if len(array) != m:
                raise ValueError(
                    f"all arguments must have the same number of examples: argument 0 has {m}, but argument {i} has "
                    f"{len(array)}"
                )
        shapes = tuple([(array.shape[1:], array.dtype.kind != "f") for array in examples])
        program = self._programs.get(shapes)
        if program is None or (self._cost is not None and program.lacks_arrays(m)):
            program = self._programs[shapes] = self._compile(shapes, examples)
            if len(self._programs) > PROGRAMS_KEPT:
                self._programs.pop(next(iter(self._programs)), None)
            self._seen = -1  # a Value that it captured can have been set meanwhile
        dtypes = [np.dtype(np.int64) if integer else self._parameters.dtype for _, integer in shapes]
        rows = [rows_of(array, dtype) for array, dtype in zip(examples, dtypes)]
        as_they_are = all(row is array for row, array in zip(rows, arrays))
        if program is not self._known[1] and self._parameters.dtype == np.float64:
            self._quick = program.quick(self._parameters, self._wrt_inputs)
        self._last = program
        if all(type(array) is np.ndarray and array.dtype != np.uint64 for array in arrays):
            self._known = kinds, program, None if as_they_are else dtypes
        else:  # these have to be examined each time
            self._known = (), program, None
        return program, rows

    def _forget(self) -> None:
        """Treat the next call as the first."""
        self._known, self._quick, self._quick_values = ((), None, None), None, (None, None)

    # --- compiling ---------------------------------------------------------------------------------------------------

    def _compile(self, shapes: Shapes, examples: Sequence[Floats]) -> Compiled | EachExample:
        if self._cost is None:
            known = " or ".join(map(in_words, self._programs)) or "none, as that was before the first call"
            raise ValueError(
                "this was copied or unpickled without the function, so it cannot trace examples of new shapes: "
                f"expected {known}; got {in_words(shapes)}"
            )
        options = self._wrt_inputs, self._check, self._reduce, self._sparse, self._way, self._parameters.dtype
        program = compiled(self._cost, self._values, examples, shapes, *options)
        if self._check:
            require_agreement(program, self._cost, self._values, examples)
        return program

    def _watched_program(self, program: Compiled | EachExample, rows: Sequence[Floats]) -> Compiled | EachExample:
        """The program that also raises alarms; the one that there is if the function is not there to be traced."""
        if self._cost is None:
            return program
        if program.shapes not in self._watched:
            examples = [array.reshape(len(array), *shape) for array, (shape, _) in zip(rows, program.shapes)]
            options = self._wrt_inputs, self._reduce, self._sparse, self._way, self._parameters.dtype
            self._watched[program.shapes] = watched(self._cost, self._values, examples, program.shapes, *options)
        return self._watched[program.shapes]

    # --- reading -----------------------------------------------------------------------------------------------------

    def _current(self) -> Compiled | EachExample:
        if self._last is None:
            raise ValueError("there is no program before the first call, which gives the shapes: call run(X, …) first")
        return self._last

    @property
    def source(self) -> str:
        """The NumPy program for the last call's shapes, as a person would write it.

        A scalar program of more than 10,000 different statements is left out, which a comment says.
        """
        return self._current().source

    @property
    def equations(self) -> Equations:
        """The program for the last call's shapes as LaTeX in the notation of 003; Jupyter typesets it."""
        return self._current().equations

    def explain(self) -> str:
        """Which scalars became which array, a line for each, and which way ran the last call and why, as text."""
        program = self._current()
        return f"{program.explanation}\n{program.chosen(self._examples)}"

    def __repr__(self) -> str:
        return f"Vectorized({self._parameters.size} parameters, {self._parameters.dtype})"

    # --- pickling: parameters and programs travel, the function and the Values do not ---------------------------------

    def __copy__(self) -> Vectorized:
        return copy.deepcopy(self)  # with parameters and memory of its own

    def __getstate__(self) -> dict[str, Any]:
        state = {**self.__dict__, "_cost": None, "_values": [], "_watched": {}}
        for name in ("_turn", "_version", "_underway", "_known", "_quick", "_quick_values"):
            del state[name]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({"_watched": {}, "_examples": 1, **state})  # pickles from before lack it
        self._forget()
        self._share()


_all: weakref.WeakSet[Vectorized] = weakref.WeakSet()


def _free_turns() -> None:
    """In a forked child: no other thread is left that could end its turn."""
    for vectorized in _all:
        if vectorized._turn.acquire(blocking=False):
            vectorized._turn.release()
        else:
            vectorized._turn = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free_turns)

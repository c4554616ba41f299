"""Does a function compute the same each time? What it drew, counted or read from a clock would be frozen into the
program, however rarely it matters: so its sources are watched, not only its results.

- Draws from `random`, the operating system's randomness, clocks and files are seen as the function makes them, through
  Python's profiling hook, which only sees this thread. A draw from a generator that the function seeds itself finds the
  same state the next time and is no harm.
- A clock is no harm where what it says is only printed, logged or put where nobody reads it (clocks.py).
- NumPy's generators do not call the hook: their states are compared before and after; those of all generators in the
  process, if the function can reach some that cannot be found by following its names.
- The graphs of all runs must be equal, bit for bit in their constants. Where something that the function reads changes
  from run to run, such as a count of its calls, many runs are compared.

A function that plainly computes (can_draw.py) and changes nothing that it can read runs only once.
"""

from __future__ import annotations

import gc
import io
import itertools
import linecache
import pathlib
import pickle
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_scalar.engine import (
    anomaly,
    compute_gradients,
    give_back_unused,
    read_data,
    recompute,
    set_data,
    turn_memory,
    turn_memory_back,
)
from tinygrad_scalar.engine.errors import SourceLine, TraceError
from tinygrad_scalar.vectorize.can_draw import can_draw, makes_sets, repeats
from tinygrad_scalar.vectorize.clocks import is_only_shown
from tinygrad_scalar.vectorize.executor import executor
from tinygrad_scalar.vectorize.independent_sides import require_independent_sides
from tinygrad_scalar.vectorize.last_calls import last_calls_kept
from tinygrad_scalar.vectorize.reach import Reach, is_of_a_library
from tinygrad_scalar.vectorize.readings import Readings
from tinygrad_scalar.vectorize.trace import trace

if TYPE_CHECKING:
    from types import CodeType, FrameType

    from numpy.typing import NDArray

    from tinygrad_scalar.engine import Value
    from tinygrad_scalar.vectorize.trace import Trace

RUNS = 64  # of a function that reads something that changes from run to run
MORE = 3  # runs that are watched: `random.gauss` draws in every other one
MANY = 10_000  # nodes of a graph that is dropped before the next run, and whose memory goes back to the system
NODES = 2_000_000  # in all runs together: a large graph is built less often
REST = 0.02  # seconds in which a thread that draws all the time will have drawn
STATES_KEPT = 1000  # of the generator that a line draws from
CLOCKS = {"now", "utcnow", "today", *vars(time)} - {"sleep", "mktime", "asctime", "strptime"}
SYSTEM, ADDRESSES = {"urandom", "getrandom", "generate_time_safe", "UuidCreate"}, {"id", "hash"}
FILES = {"open", "input", "read", "readline", "readlines", "readinto"}
RANDOM, SEEDS = {"random", "getrandbits"}, {"seed", "setstate"}
NAMES = frozenset(CLOCKS | SYSTEM | ADDRESSES | FILES | RANDOM | SEEDS)

READERS = (*np.__path__, pathlib.__file__)  # these read files for the user
WAY_OUT = (
    "the program would use the first one for ever. "
    "Pass random numbers, such as a dropout mask, as an argument: see ts.fit"
)
OF_CLOCKS = "; to time the function, read the clock outside it, or only print, log or list what the clock says"


class Draw(NamedTuple):
    """A call that gives something else each time, unless its generator is in the same state as before."""

    what: str
    line: SourceLine
    clock_read_by: CodeType | None


class Watcher:
    """Notes the draws of one run of a function, as a profiling hook."""

    def __init__(self, reach: Reach) -> None:
        self.draws: dict[Draw, list[object]] = {}  # and the state of the generator each time
        self.saw_addresses = False
        self._drawn: dict[int, random.Random] = {}  # the generators whose first state is noted: it decides what follows
        self._of_clocks: dict[CodeType, tuple[set[int], dict[str, Any]]] = {}  # in which lines, with which globals
        self._reach = reach
        self._thread = threading.get_ident()

    def __call__(self, frame: FrameType, event: str, called: Any) -> None:
        if event != "c_call":
            return
        name = getattr(called, "__name__", "")
        if name in ADDRESSES and not is_of_a_library(frame.f_code):
            self.saw_addresses = True
        owner = getattr(called, "__self__", None)
        state: object = object()  # never the same again
        if isinstance(owner, random.Random):
            if name in SEEDS:
                self._drawn.pop(id(owner), None)
            if name not in RANDOM or id(owner) in self._drawn:
                return
            self._drawn[id(owner)] = owner
            state = owner.getstate()
        elif name not in SYSTEM and not ((name in CLOCKS or name in FILES) and _is_read_by_the_user(owner, frame)):
            return
        if threading.get_ident() == self._thread or self._reach.runs_in(frame):
            owned = owner if isinstance(owner, (type, ModuleType)) else type(owner)
            by = frame.f_code if name in CLOCKS else None
            states = self.draws.setdefault(Draw(f"{owned.__name__.lstrip('_')}.{name}()", _line(frame), by), [])
            if by is not None:
                lines, _ = self._of_clocks.setdefault(by, (set(), frame.f_globals))
                lines.add(frame.f_lineno)
            if len(states) < STATES_KEPT:
                states.append(state)

    def forget_what_is_only_shown(self) -> None:
        """Leave out readings of clocks that only get printed, logged or put where nobody reads them."""
        read = self._of_clocks.items()
        shown = {code for code, (lines, names) in read if is_only_shown(code, lines, names, self._reach)}
        self.draws = {draw: states for draw, states in self.draws.items() if draw.clock_read_by not in shown}


def _is_read_by_the_user(owner: object, frame: FrameType) -> bool:
    """Whether it is a clock or a file, and not read by a library for itself, say for a warning or a log."""
    file = frame.f_code.co_filename
    if is_of_a_library(frame.f_code) and not file.startswith(READERS):
        return False
    if isinstance(owner, ModuleType):
        return owner.__name__ in ("time", "io", "_io", "builtins")
    return isinstance(owner, io.IOBase) or (isinstance(owner, type) and issubclass(owner, date))


def _line(frame: FrameType) -> SourceLine:
    """The user's line that made the call."""
    while frame.f_back is not None and is_of_a_library(frame.f_code):
        frame = frame.f_back
    filename, number = frame.f_code.co_filename, frame.f_lineno
    return SourceLine(filename, number, linecache.getline(filename, number, frame.f_globals).strip())


@contextmanager
def _watched(reach: Reach) -> Iterator[Watcher]:
    """Within this block the draws of this thread, and of those that run the function's code, are noted."""
    watcher = Watcher(reach)
    before, before_in_threads = sys.getprofile(), threading.getprofile()
    if before is not None and not isinstance(before, Watcher):  # somebody profiles: leave it alone
        yield watcher
        return
    if not can_draw(reach):
        yield watcher
        return
    threading.setprofile(watcher)
    _set_hook(watcher)
    try:
        yield watcher
    finally:
        _set_hook(before)
        threading.setprofile(before_in_threads)


def _set_hook(watcher: Watcher | None) -> None:
    """Install a watcher, in C if possible: Python would call it for every event, of which few matter."""
    native = executor()
    if watcher is None or native is None:
        sys.setprofile(watcher)
    else:
        native.set_profile(watcher, NAMES)


class Witness(NamedTuple):
    """What the engine gave for an example: the cost and the gradient, and the numbers of the parameters then."""

    example: int
    parameters: NDArray[np.float64]
    results: NDArray[np.float64]


class Repeated(NamedTuple):
    """The trace of a function after several runs, what it read, and what the engine made of the runs' examples."""

    trace: Trace
    read: Readings
    witnesses: list[Witness]


def repeated_trace(cost: Callable[..., Any], parameters: Sequence[Value], examples: Sequence[NDArray[Any]]) -> Repeated:
    """The trace of `cost` after several runs; TraceError if they differ, or it drew what will.

    The runs take two examples in turn, so that their graphs are witnesses of both. One run is enough if the function
    plainly computes and left all that it reads as it was; its graph is computed anew with the other example.
    """
    before = Reach(cost)
    with last_calls_kept(before.networks) as put_back:
        return _repeated(before, put_back, cost, parameters, examples)


def _repeated(
    before: Reach,
    put_back: Callable[[], None],
    cost: Callable[..., Any],
    parameters: Sequence[Value],
    examples: Sequence[NDArray[Any]],
) -> Repeated:
    last = len(examples[0]) - 1
    i = last // 2
    plain = repeats(before)
    first = trace(cost, parameters, examples, i)  # which can make what later runs use
    witnesses = {i: _witness(first, i, parameters)} if _has_witnesses(first) else {}
    plain = plain and before.unchanged()
    if plain and (first.has_branches or _witnessed(last, first, witnesses, parameters, examples)):
        with _dropped_if_large(first):
            if first.has_branches:  # else no run follows
                require_independent_sides(first, cost, parameters, examples, i)
            first.roots.clear()
        return Repeated(first, Readings(before.places, before.inside, before.networks), _of_costs(first, witnesses))
    with _dropped_if_large(first):
        found = _compared(first, witnesses, cost, parameters, examples, itertools.cycle((last, i)))
        put_back()  # while the memory of what is dropped goes back to the system
        return found


def _witnessed(
    j: int, first: Trace, witnesses: dict[int, Witness], parameters: Sequence[Value], examples: Sequence[NDArray[Any]]
) -> bool:
    """Compute the graph anew with example j, for a witness; False if a Value that is not its own would change."""
    if j in witnesses or not _has_witnesses(first):
        return True
    with anomaly.not_watched():
        numbers = np.concatenate([array[j].ravel() for array in examples], dtype=np.float64)
        set_data(list(itertools.chain(*first.example)), numbers)
        if not recompute(first.roots[-1], first.start):
            return False
    witnesses[j] = _witness(first, j, parameters, first.roots[-1].data)
    return True


@contextmanager
def _dropped_if_large(first: Trace) -> Iterator[None]:
    """Drop the first run's graph, unless the next could get its nodes' addresses: a function may go by these."""
    if first.nodes <= MANY:
        yield
        return
    turn_memory(first.roots)
    give_back_unused()
    try:
        yield
    finally:
        turn_memory_back()


def _compared(
    first: Trace,
    witnesses: dict[int, Witness],
    cost: Callable[..., Any],
    parameters: Sequence[Value],
    examples: Sequence[NDArray[Any]],
    runs_on: Iterator[int],
) -> Repeated:
    """What further runs of the function give, compared with the first."""
    j = next(runs_on)
    reach = Reach(cost)
    if not reach.is_complete:
        reach.generators += _generators_beside(reach.generators)
    traced, seen, moved = _observed(cost, parameters, examples, j, reach)
    draws_elsewhere = False
    if seen.draws or moved:
        others = [_observed(cost, parameters, examples, next(runs_on), reach) for _ in range(MORE)]
        _require_the_same_draws([seen.draws, *(other.draws for _, other, _ in others)])
        draws_elsewhere = any(other.draws.keys() != seen.draws.keys() for _, other, _ in others)
        moved = moved.intersection(*(states for _, _, states in others))
        own = [reach.generators[i] for i in sorted(moved) if i < len(reach.generators)]
        if own and (reach.is_complete or (own := _at_rest(own))):
            kind = type(own[0]).__name__
            raise TraceError(f"the function drew from a numpy.random.{kind} while vectorize traced it: {WAY_OUT}")
    changing = any([moved, draws_elsewhere, seen.saw_addresses, reach.iterators, reach.numbers_changed()])
    changing = changing or bool(first.difference(traced))
    first.drop_arrays()  # its graph stays, if it is small
    by_address = makes_sets(reach) and traced.nodes <= MANY  # if not, `turn_memory` has seen to it
    runs = max(4, min(RUNS, NODES // traced.nodes)) if changing else 4 if by_address else 2
    traces = [first, traced]  # all are kept, or a small one would get the addresses of an earlier one
    for _ in range(runs - 2):
        i = next(runs_on)
        traces.append(trace(cost, parameters, examples, i))
        if difference := traced.difference(traces[-1]):
            raise TraceError(f"the function is not the same each time that it runs: {difference}; {WAY_OUT}")
        witnesses[i] = _witness(traces[-1], i, parameters)
    if not changing and j not in witnesses:
        witnesses[j] = _witness(traced, j, parameters)
    if traced.has_branches:
        require_independent_sides(traced, cost, parameters, examples, j)
    traced.roots.clear()
    return Repeated(traced, Readings(reach.places, reach.inside, reach.networks), _of_costs(traced, witnesses))


def _of_costs(traced: Trace, witnesses: dict[int, Witness]) -> list[Witness]:
    return [*witnesses.values()] if _has_witnesses(traced) else []


def _has_witnesses(traced: Trace) -> bool:
    """Whether the engine can tell what a cost and its gradient should be from the graph alone.

    What was looked up has no number in a trace, and the engine records only one side of a condition.
    """
    return traced.shape is None and not traced.lookups and not traced.has_branches


def _witness(traced: Trace, i: int, parameters: Sequence[Value], cost: float | None = None) -> Witness:
    """What the engine gives for example i; its cost is the traced number, unless it was computed anew."""
    numbers, results = np.empty(len(parameters)), np.empty(1 + len(parameters))
    read_data(list(parameters), numbers)
    results[0] = traced.data[traced.cost] if cost is None else cost
    compute_gradients(traced.roots[-1], list(parameters), results[1:])
    return Witness(i, numbers, results)


def _require_the_same_draws(runs: Sequence[dict[Draw, list[object]]]) -> None:
    for draw in [draw for run in runs for draw in run]:
        states = [run[draw] for run in runs if draw in run]
        if any(other != states[0] for other in states):
            way_out = WAY_OUT + OF_CLOCKS * (draw.clock_read_by is not None)
            raise TraceError(f"{draw.line}: the function called {draw.what} while vectorize traced it: {way_out}")


def _observed(
    cost: Callable[..., Any], parameters: Sequence[Value], examples: Sequence[NDArray[Any]], i: int, reach: Reach
) -> tuple[Trace, Watcher, set[int]]:
    """A trace of example i, what was seen of it, and which generators are in another state afterwards."""
    of_modules = [sys.modules[name].random.__self__ for name in ("random", "numpy.random") if name in sys.modules]
    generators = [*reach.generators, *of_modules]
    before = list(map(_state, generators))
    with _watched(reach) as watcher:
        traced = trace(cost, parameters, examples, i)
    watcher.forget_what_is_only_shown()
    return traced, watcher, {i for i, generator in enumerate(generators) if _state(generator) != before[i]}


def _generators_beside(known: list[Any]) -> list[Any]:
    """NumPy's random generators in this process, but for those known and that of numpy.random.

    The collector tells of them all, except those that existed when somebody called gc.freeze().
    """
    if "numpy.random" not in sys.modules:
        return []
    kinds = (np.random.Generator, np.random.RandomState, np.random.BitGenerator)
    of_numpy: Any = getattr(np.random.random, "__self__", None)
    but = {id(generator) for generator in (*known, of_numpy, getattr(of_numpy, "_bit_generator", None))}
    return [thing for thing in gc.get_objects() if issubclass(type(thing), kinds) and id(thing) not in but]


def _at_rest(generators: list[Any]) -> list[Any]:
    """Those that no other thread draws from meanwhile."""
    before = list(map(_state, generators))
    time.sleep(REST)
    return [generator for generator, state in zip(generators, before) if _state(generator) == state]


def _state(generator: Any) -> object:
    if isinstance(generator, random.Random):
        return generator.getstate()
    if hasattr(generator, "get_state"):
        return pickle.dumps(generator.get_state(legacy=False))  # with the second of a pair of normal numbers
    bits = generator if hasattr(generator, "state") else generator.bit_generator
    return pickle.dumps(bits.state)

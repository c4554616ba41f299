"""Run the scalar function once and record one example's graph.

The function gets an `Argument` for every number of an example and computes with Values as usual. The recorded graph
then holds for every example, provided nothing branched on a traced number: `Value` asks tracing.py, which asks the
`Recorder` here.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_scalar.engine import Tape, Value, acyclic, anomaly, errors, read_data, read_graph, tick, tracing
from tinygrad_scalar.engine.errors import label_of, shown
from tinygrad_scalar.engine.graph import leaves, topological_order
from tinygrad_scalar.vectorize.reach import Reach

if TYPE_CHECKING:
    from numpy.typing import NDArray


@acyclic
class Argument(Value):
    """A number of the example."""

    __slots__ = ()

    __hash__ = Value.__hash__

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Value) and tracing.active:
            tracing.forbid(self, "equality")
        return self is other

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __index__(self) -> int:
        tracing.forbid(self, "index")
        raise errors.loss_of_gradient(self, "operator.index")


class Choice(NamedTuple):
    """A Value chosen from `entries` by an integer argument: number `place` of argument `argument`, counted in order."""

    entries: tuple[Value, ...]
    argument: int
    place: int


class Guard(NamedTuple):
    """A Value whose number must not be `refused`; `message` says what is wrong with a number that is."""

    value: Value
    refused: Callable[[Any], Any]
    message: Callable[[float], str]


class Recorder:
    """The tracer of one call: which leaves are traced, the lookups and guards that it met, which numbers were read.

    arguments     the call's arguments: for each the number of the array and its place in there, counted in order
    placeholders  these and what the call looked up: their numbers mean nothing, whichever thread reads them
    parameters    these have numbers, which other threads read as they like; only the function itself must not
    read          captured Values whose numbers the function read: what it makes of them is a constant until they change
    """

    def __init__(
        self,
        cost: Callable[..., Any],
        arguments: Sequence[Any],
        integer: Sequence[bool],
        parameters: Sequence[Value],
    ) -> None:
        self.start = tick()
        self.arguments = {value: (a, k) for a, nested in enumerate(arguments) for k, value in enumerate(flat(nested))}
        self.placeholders = set(self.arguments)
        self.parameters = dict(zip(parameters, range(len(parameters))))
        self.lookups: dict[Value, Choice] = {}
        self.guards: list[Guard] = []
        self.read: dict[Value, None] = {}
        self._cost, self._integer = cost, integer
        self._thread = threading.get_ident()

    def traces(self, value: Value) -> bool:
        below = topological_order(value) if value.op else (value,)
        if not self.placeholders.isdisjoint(below):
            return True
        return not self.parameters.keys().isdisjoint(below) and self._runs_here()

    def _runs_here(self) -> bool:
        """Whether this thread runs the traced function: the one that traces, or a helper that runs some of its code."""
        return threading.get_ident() == self._thread or self._reach.runs_in(sys._getframe(1))

    @cached_property
    def _reach(self) -> Reach:
        return Reach(self._cost)

    def forbid(self, value: Value, use: str) -> None:
        if self.traces(value):
            raise errors.set_while_traced(value) if use == "set" else errors.traced(value, use)
        if self._runs_here():
            if use == "set" and 0 <= value._time < self.start:
                raise errors.set_while_traced(value)
            self.read[value] = None

    def captured(self) -> list[Value]:
        """The Values from before the call that decide what was read."""
        decisive = {leaf: None for value in self.read for leaf in (*leaves(value), value)}
        return [value for value in decisive if 0 <= value._time < self.start]

    def guard(self, value: Value, refused: Callable[[Any], Any], message: Callable[[float], str]) -> None:
        self.guards.append(Guard(value, refused, message))

    def lookup(self, table: Any, index: Value) -> Any:
        argument, place = self.arguments.get(index, (-1, -1))
        if argument < 0 or not self._integer[argument]:
            raise errors.TraceError(
                f"{errors.user_line()}: the index of a lookup must be an argument passed as an array of integers, "
                f"got {label_of(index, 'a computed value')}"
            )
        return self._chosen(list(table), argument, place)

    def _chosen(self, rows: list[Any], argument: int, place: int) -> Any:
        """A placeholder for one of the rows: a Value, or Values in a container like theirs."""
        first = rows[0]
        if isinstance(first, dict):
            if any(not isinstance(row, dict) or row.keys() != first.keys() for row in rows):
                raise self._unlike("must have the same keys")
            return {key: self._chosen([row[key] for row in rows], argument, place) for key in first}
        if isinstance(first, (list, tuple, np.ndarray)):
            if any(not hasattr(row, "__len__") or len(row) != len(first) for row in rows):
                raise self._unlike("must have the same length")
            chosen = [self._chosen([row[k] for row in rows], argument, place) for k in range(len(first))]
            return np.array(chosen, object) if isinstance(first, np.ndarray) else type(first)(chosen)
        entries = tuple(entry if isinstance(entry, Value) else Value(entry) for entry in rows)
        looked_up = Value(1.0)  # any number will do
        self.lookups[looked_up] = Choice(entries, argument, place)
        self.placeholders.add(looked_up)
        return looked_up

    @staticmethod
    def _unlike(rows: str) -> errors.TraceError:
        return errors.TraceError(f"{errors.user_line()}: all rows of a table that an argument indexes {rows}")


@dataclass
class Trace:
    """One example's graph.

    tape        the graphs of all tables for lookups, of the guarded values and of the cost, in that order
    cost        the index of the cost in the tape
    parameter   for each node its index among the parameters, or −1
    argument    for each node the argument that it belongs to, or −1; `place` says which of its numbers it is
    lookups     for each looked-up Value's node the entries' nodes, and the argument and place of the index
    captured    Values from before the call that it computed with, or read: they count as constants until they are set
    """

    tape: Tape
    cost: int
    data: NDArray[np.float64]
    parameter: NDArray[np.int64]
    argument: NDArray[np.int64]
    place: NDArray[np.int64]
    lookups: dict[int, tuple[list[int], int, int]]
    guards: list[tuple[int, Guard]]
    captured: list[Value] = field(default_factory=list)

    def difference(self, other: Trace) -> str:
        """What `other`, a trace of the same function for the same shapes, has otherwise, in words; "" if nothing."""
        if len(self.tape.nodes) != len(other.tape.nodes):
            return f"it made a graph of {len(self.tape.nodes)} nodes, and then one of {len(other.tape.nodes)}"
        ours, others = self._structure(), other._structure()
        named_alike = self.tape.names == other.tape.names and self.lookups == other.lookups
        if not named_alike or not all(map(np.array_equal, ours, others)):
            return "it made one graph, and then another of as many nodes"
        fixed = (self.tape.codes < 0) & (self.parameter < 0) & (self.argument < 0)
        fixed[list(self.lookups)] = False
        changed = fixed & (self.data.view(np.int64) != other.data.view(np.int64))
        changed &= ~(np.isnan(self.data) & np.isnan(other.data))  # of either sign: Python varies it
        if changed.any():
            i = int(changed.argmax())
            return f"it used the number {float(self.data[i])!r}, and then {float(other.data[i])!r}"
        return ""

    def _structure(self) -> tuple[Any, ...]:
        tape = self.tape
        return tape.codes, tape.starts, tape.operands, self.parameter, self.argument, self.place


def example_arguments(examples: Sequence[NDArray[Any]], i: int) -> list[Any]:
    """Example i as the function gets it: for each array a Value, a list of Values or lists of lists."""
    return [_nested(array[i].tolist(), _name(a)) for a, array in enumerate(examples)]


def _name(argument: int) -> str:
    return "xyzuvst"[argument] if argument < 7 else f"x{argument}"


def _nested(part: Any, label: str) -> Any:
    if isinstance(part, list):
        return [_nested(element, f"{label}[{k}]") for k, element in enumerate(part)]
    return Argument(float(part), label)


def flat(nested: Any) -> Iterator[Value]:
    """The Values of nested lists in order."""
    if isinstance(nested, list):
        for part in nested:
            yield from flat(part)
    else:
        yield nested


def called(cost: Callable[..., Any], arguments: Sequence[Any]) -> Value:
    """The Value that `cost` returns; an exception from it gets a note about its arguments."""
    try:
        C = cost(*arguments)
    except Exception as error:
        if sys.version_info >= (3, 11):
            error.add_note(f"vectorize called the function with {', '.join(map(_kind, arguments))}")
        raise
    if not isinstance(C, Value):
        raise TypeError(f"the function to vectorize must return one Value, the cost of an example, got {shown(C)}")
    return C


def _kind(argument: Any) -> str:
    """An argument in words: a Value, or lists and how many they hold.

    >>> _kind([[1, 2], [3, 4], [5, 6]])
    'a list of 3 lists of 2 Values'
    """
    if not isinstance(argument, list):
        return "a Value"
    kinds = f"a list of {len(argument)}"
    while isinstance(argument := argument[0], list):
        kinds += f" lists of {len(argument)}"
    return f"{kinds} Value{'' if kinds.endswith(' 1') else 's'}"


def trace(cost: Callable[..., Any], parameters: Sequence[Value], examples: Sequence[NDArray[Any]]) -> Trace:
    """The graph that `cost` makes of the first example."""
    arguments = example_arguments(examples, 0)
    recorder = Recorder(cost, arguments, [array.dtype.kind in "bui" for array in examples], parameters)
    with tracing.followed_by(recorder), anomaly.not_watched():
        C = called(cost, arguments)
    tables = [entry for lookup in recorder.lookups.values() for entry in lookup.entries]
    roots = [*tables, *(guard.value for guard in recorder.guards), C]
    tape = read_graph(roots)
    n = len(tape.nodes)
    index = {C: n - 1}
    if len(roots) > 1:
        wanted = set(roots)
        index = {node: i for i, node in enumerate(tape.nodes) if node in wanted}
    parameter, argument, place = (np.full(n, -1, np.int64) for _ in range(3))
    lookups = {}
    captured = dict.fromkeys(recorder.captured())
    leaf = np.flatnonzero(tape.codes < 0)
    parameter[leaf] = [recorder.parameters.get(tape.nodes[i], -1) for i in leaf.tolist()]
    for i in leaf[parameter[leaf] < 0].tolist():
        node = tape.nodes[i]
        if node in recorder.arguments:  # not those of another call, which a function can have kept
            argument[i], place[i] = recorder.arguments[node]
        elif node in recorder.lookups:
            lookup = recorder.lookups[node]
            lookups[i] = ([index[entry] for entry in lookup.entries], lookup.argument, lookup.place)
        elif 0 <= node._time < recorder.start:
            captured[node] = None
    data = np.empty(n)
    read_data(tape.nodes, data)
    guards = [(index[guard.value], guard) for guard in recorder.guards]
    return Trace(tape, index[C], data, parameter, argument, place, lookups, guards, list(captured))

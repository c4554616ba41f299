"""Run the scalar function once and record one example's graph.

The function gets an `Argument` for every number of an example and computes with Values as usual. The recorded graph
then holds for every example, provided nothing branched on a traced number: `Value` asks tracing.py, which asks the
`Recorder` here.
"""

from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_scalar.engine import Tape, Value, acyclic, anomaly, errors, marks_below, read_graph, tick, tracing
from tinygrad_scalar.engine.errors import label_of
from tinygrad_scalar.engine.graph import leaves
from tinygrad_scalar.engine.graph_arrays import without_copies
from tinygrad_scalar.vectorize.branches import Branches, Where, accepted_by, row_guard
from tinygrad_scalar.vectorize.cached_property import cached_property
from tinygrad_scalar.vectorize.leaves import Leaves, leaves_of
from tinygrad_scalar.vectorize.lookup_tables import Entries, Tables, distinct_tables
from tinygrad_scalar.vectorize.missing_rows import INTEGERS_WANTED, no_index
from tinygrad_scalar.vectorize.outputs import called
from tinygrad_scalar.vectorize.reach import Reach

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Indices = NDArray[np.int32]
    Floats = NDArray[np.float64]

MOST_LABELS = 1000  # numbers of an argument that get a label each
PARAMETER, PLACEHOLDER = 1, 2  # kinds of leaves


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


class IntegerArgument(Argument):
    """A number of an array of integers: a set or a dict of integers would never have it."""

    __slots__ = ()

    def __hash__(self) -> int:
        if tracing.active and not sys._getframe(1).f_code.co_filename.startswith(errors.PACKAGE):
            tracing.forbid(self, "hash")
        return Value.__hash__(self)


class Choice(NamedTuple):
    """A Value chosen from `entries` by an integer argument: number `place` of argument `argument`, counted in order.

    In a branch of `ts.cond`, `reached` is that integer in the examples that get there, and 0 in the others.
    """

    entries: Entries
    argument: int
    place: int
    reached: Value | None = None


class Guard(NamedTuple):
    """Which numbers of a Value are `refused`; `message` says what is wrong with one that is."""

    refused: Callable[[Any], Any]
    message: Callable[[float], str]


class Recorder:
    """The tracer of one call: which leaves are traced, the lookups and guards that it met, which numbers were read.

    arguments   for each argument of the call its numbers in order: they mean nothing, whichever thread reads them, and
                neither does what the call looked up
    parameters  these have numbers, which other threads read as they like; only the function itself must not
    read        captured Values whose numbers the function read: what it makes of them is a constant until they change
    """

    def __init__(
        self,
        cost: Callable[..., Any],
        arguments: Sequence[Sequence[Value]],
        examples: Sequence[NDArray[Any]],
        parameters: Sequence[Value],
        branches: Branches,
    ) -> None:
        self.start = tick()
        self.arguments, self.parameters = arguments, parameters
        self.lookups: dict[Value, Choice] = branches.lookups
        self._tables = Tables()
        self.guards: list[tuple[Value, Guard]] = branches.guards
        self.read: dict[Value, None] = {}
        self._cost, self._examples = cost, examples
        self.branches = branches
        self._marks = dict.fromkeys(chain(*arguments), PLACEHOLDER)
        self._thread = threading.get_ident()

    @cached_property
    def _place_of(self) -> dict[Value, tuple[int, int]]:
        """The argument to which each of the arguments' numbers belongs, and its place there."""
        return {value: (a, k) for a, numbers in enumerate(self.arguments) for k, value in enumerate(numbers)}

    @cached_property
    def _marks_of_all(self) -> dict[Value, int]:
        """The leaves that a Value was computed from: PARAMETER, PLACEHOLDER, both or neither (0)."""
        self._marks.update(dict.fromkeys(self.parameters, PARAMETER))
        return self._marks

    def traces(self, value: Value) -> bool:
        below = marks_below(value, self._marks_of_all, PLACEHOLDER)
        return below >= PLACEHOLDER or (below == PARAMETER and self._runs_here())

    def forget_marks(self) -> None:
        """Nobody asks any more."""
        self._marks.clear()

    def _runs_here(self) -> bool:
        """Whether this thread runs the traced function: the one that traces, or a helper that runs some of its code."""
        return threading.get_ident() == self._thread or self._reach.runs_in(sys._getframe(1))

    @cached_property
    def _reach(self) -> Reach:
        return Reach(self._cost)

    def forbid(self, value: Value, use: str) -> None:
        if self.traces(value):
            self._label(value)
            raise errors.set_while_traced(value) if use == "set" else errors.traced(value, use)
        if self._runs_here():
            within = self.branches.within
            if use == "set" and 0 <= value._time < (self.start if within is None else within.start):
                raise errors.set_while_traced(value)
            self.read[value] = None

    def _label(self, value: Value) -> None:
        """Give a number of a long argument, which has no label yet, the one that errors show."""
        if value in self._place_of and not value.label:
            argument, place = self._place_of[value]
            index = np.unravel_index(place, self._examples[argument].shape[1:])
            value.label = _name(argument) + "".join(f"[{k}]" for k in index)

    def captured(self) -> list[Value]:
        """The Values from before the call that decide what was read."""
        decisive = {leaf: None for value in self.read for leaf in (*leaves(value), value)}
        return [value for value in decisive if 0 <= value._time < self.start]

    def guard(self, value: Value, refused: Callable[[Any], Any], message: Callable[[float], str]) -> None:
        if self.branches.within:
            value = self.branches.where_reached(value, accepted_by(refused))
        self.guards.append((value, Guard(refused, message)))

    def cond(self, condition: Value, then: Any, otherwise: Any) -> Any:
        return self.branches.joined(condition, then, otherwise)

    def lookup(self, table: Any, index: Value) -> Any:
        argument, place = self._place_of.get(index, (-1, -1))
        if argument < 0 or self._examples[argument].dtype.kind not in "bui":
            given = no_index(argument, place, self._examples) if argument >= 0 else label_of(index, "a computed value")
            raise errors.TraceError(f"{errors.user_line()}: {INTEGERS_WANTED}, got {given}")
        row = self._tables.row_of(table)
        if not self.branches.within:
            return row(partial(self._chosen, argument, place))
        self.guard(index, *row_guard(len(table)))
        return row(partial(self._chosen, argument, place, reached=self.branches.where_reached(index, 0.0)))

    def _chosen(self, argument: int, place: int, entries: Entries, reached: Value | None = None) -> Value:
        """A placeholder for one of the entries."""
        looked_up = Value(1.0)  # any number will do
        self.lookups[looked_up] = Choice(entries, argument, place, reached)
        self._marks[looked_up] = PLACEHOLDER
        return looked_up

    def tables(self) -> list[Value]:
        """The entries of all lookups, in order, and where these are reached."""
        found, seen = list[Value](), set[int]()
        for lookup in self.lookups.values():
            if id(lookup.entries) not in seen:
                seen.add(id(lookup.entries))
                found += lookup.entries
            found += () if lookup.reached is None else (lookup.reached,)
        return found


@dataclass
class Trace:
    """One example's graph.

    tape        the graphs of all tables for lookups, of the guarded values and of the outputs, in that order
    cost        the index of the cost in the tape, or of the first output
    leaves      which nodes are parameters and numbers of arguments
    lookups     for each looked-up Value's node the entries' nodes, and the argument and place of the index
    captured    Values from before the call that it computed with, or read: they count as constants until they are set
    roots       the Values whose graphs are in the tape: while they are here, no other Value gets a node's address
    reached     for lookups in branches of `ts.cond` the node of the index where they are reached, and 0 elsewhere
    outputs     the indices of what the function returned, in order; `shape` is how it was nested, None for one Value
    has_branches  whether it met ts.cond: both sides are here, even where their results are the same node
    undone      what its sides changed outside of them, if that was undone, and which sides did: see `Branches`
    example     the Values of each argument; `start` is the time before the function ran
    """

    tape: Tape
    cost: int
    leaves: Leaves
    lookups: dict[int, tuple[list[int], int, int]]
    guards: list[tuple[int, Guard]]
    captured: list[Value]
    roots: list[Value]
    reached: dict[int, int] = field(default_factory=dict)
    outputs: list[int] = field(default_factory=list)
    shape: tuple[int, ...] | None = None
    has_branches: bool = False
    undone: list[tuple[str, str]] = field(default_factory=list)
    changed: list[Where] = field(default_factory=list)
    example: Sequence[Sequence[Value]] = ()
    start: int = 0

    @property
    def data(self) -> Floats:
        return self.tape.data

    @property
    def parameter(self) -> Indices:
        """For each node its index among the parameters, or −1."""
        return self.leaves.parameter(self.nodes)

    @property
    def argument(self) -> Indices:
        """For each node the argument that it belongs to, or −1; `place` says which of its numbers it is."""
        return self.leaves.arguments(self.nodes)

    @property
    def place(self) -> Indices:
        return self.leaves.places(self.nodes)

    @property
    def nodes(self) -> int:
        """How many nodes the graph has."""
        return len(self.tape.codes)

    def difference(self, other: Trace) -> str:
        """What `other`, a trace of the same function for the same shapes, has otherwise, in words; "" if nothing."""
        if self.nodes != other.nodes:
            return f"it made a graph of {self.nodes} nodes, and then one of {other.nodes}"
        if not self.is_named_like(other) or not all(map(np.array_equal, self._structure(), other._structure())):
            return "it made one graph, and then another of as many nodes"
        fixed = self._fixed()
        changed = fixed & (self.data.view(np.int64) != other.data.view(np.int64))
        changed &= ~(np.isnan(self.data) & np.isnan(other.data))  # of either sign: Python varies it
        if changed.any():
            i = int(changed.argmax())
            return f"it used the number {float(self.data[i])!r}, and then {float(other.data[i])!r}"
        return ""

    def is_named_like(self, other: Trace) -> bool:
        """Whether all that stands beside the arrays is the same."""
        ours, others = ((t.tape.names, t.lookups, t.outputs, t.shape) for t in (self, other))
        return ours == others

    def fingerprint(self) -> bytes:
        """Equal where the arrays have no difference: to compare with a trace whose arrays have been dropped."""
        numbers = self.data[self._fixed()]
        numbers[np.isnan(numbers)] = np.nan
        digest = hashlib.blake2b(digest_size=16)
        for array in (*self._structure(), numbers):
            digest.update(array.size.to_bytes(8, "big") + array.dtype.str.encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.digest()

    def drop_arrays(self) -> None:
        nothing = np.empty(0, np.int32)
        self.tape = self.tape._replace(codes=nothing, starts=nothing, operands=nothing, data=np.empty(0))
        self.leaves = Leaves(nothing, nothing, nothing)

    def _fixed(self) -> NDArray[np.bool_]:
        """Which nodes are constants."""
        fixed: NDArray[np.bool_] = (self.tape.codes < 0) & (self.parameter < 0) & (self.argument < 0)
        fixed[list(self.lookups)] = False
        return fixed

    def _structure(self) -> tuple[Any, ...]:
        tape = self.tape
        return tape.codes, tape.starts, tape.operands, *self.leaves


def example_arguments(examples: Sequence[NDArray[Any]], i: int) -> list[Any]:
    """Example i as the function gets it: for each array a Value, a list of Values or lists of lists.

    An array without numbers stands for no argument: it only says how many examples there are.
    """
    return [_nested(numbers, array.shape[1:]) for array, numbers in zip(examples, _numbers(examples, i)) if numbers]


def _numbers(examples: Sequence[NDArray[Any]], i: int) -> list[list[Value]]:
    """The numbers of example i, in order for each array."""
    return [_labelled(array[i], _name(a)) for a, array in enumerate(examples)]


def _name(argument: int) -> str:
    return "xyzuvst"[argument] if argument < 7 else f"x{argument}"


def _labelled(numbers: NDArray[Any], name: str) -> list[Value]:
    """A Value for each number, with its name if there are not too many."""
    kind = Argument if numbers.dtype.kind == "f" else IntegerArgument
    floats = numbers.astype(np.float64).ravel().tolist()
    if len(floats) > MOST_LABELS:
        return list(map(kind, floats))
    indices = ("".join(f"[{k}]" for k in index) for index in np.ndindex(numbers.shape))
    return [kind(number, name + index) for number, index in zip(floats, indices)]


def _nested(numbers: list[Value], shape: tuple[int, ...]) -> Any:
    """Numbers in order as lists of lists of that shape, or the one number as it is."""
    if not shape:
        return numbers[0]
    rows: list[Any] = [*numbers]
    for size in shape[:0:-1]:
        rows = [rows[k : k + size] for k in range(0, len(rows), size)]
    return rows


def flat(nested: Any) -> Iterator[Value]:
    """The Values of nested lists in order."""
    if isinstance(nested, list):
        for part in nested:
            yield from flat(part)
    else:
        yield nested


def trace(
    cost: Callable[..., Any],
    parameters: Sequence[Value],
    examples: Sequence[NDArray[Any]],
    i: int = 0,
    *,
    branches: Branches | None = None,
) -> Trace:
    """The graph that `cost` makes of example i."""
    numbers = _numbers(examples, i)
    arguments = [_nested(its, array.shape[1:]) for array, its in zip(examples, numbers) if its]
    recorder = Recorder(cost, numbers, examples, parameters, branches or Branches())
    with tracing.followed_by(recorder), anomaly.not_watched():
        outputs, shape = called(cost, arguments)
    recorder.forget_marks()  # before there are arrays
    in_order = recorder.lookups.values()
    tables, which = distinct_tables([lookup.entries for lookup in in_order])
    where_reached = [lookup.reached for lookup in in_order if lookup.reached is not None]
    kinds: list[Sequence[Value]] = [
        [*chain(*tables)], where_reached, [value for value, _ in recorder.guards], outputs, parameters, *numbers,
        [*recorder.lookups],
    ]  # fmt: skip
    roots = [*recorder.tables(), *kinds[2], *outputs]
    tape = without_copies(read_graph(roots, [*chain(*kinds)], recorder.start))
    if tracing.active:  # by a function that vectorizes this one
        for value in tape.older:
            tracing.forbid(value, "data")
    of_tables, of_reached, of_guards, of_outputs, of_parameters, *of_arguments, of_lookups = np.split(
        tape.found, np.cumsum([*map(len, kinds)])[:-1]
    )
    lookups, reached = {}, dict[int, int]()
    in_tables, in_reached = iter(of_tables.tolist()), iter(of_reached.tolist())
    entries = [[*islice(in_tables, len(table))] for table in tables]
    for lookup, number, node in zip(in_order, which, of_lookups.tolist()):
        if lookup.reached is not None:
            reached[node] = next(in_reached)
        if node >= 0:
            lookups[node] = (entries[number], lookup.argument, lookup.place)
    guards = [(node, guard) for node, (_, guard) in zip(of_guards.tolist(), recorder.guards)]
    captured = dict.fromkeys([*recorder.captured(), *tape.older])
    places = of_outputs.tolist()
    tape = tape._replace(found=np.empty(0, np.int32))
    found = leaves_of(of_parameters, of_arguments)
    return Trace(
        tape, places[0], found, lookups, guards, list(captured), roots, reached, places, shape,
        recorder.branches.met, recorder.branches.undone, recorder.branches.changed, numbers, recorder.start,
    )  # fmt: skip

"""A trace seen from one example: parameters that a lookup chooses become numbers of one more argument.

Of 100,000 points an example then reads only its own, and its derivatives are those with respect to what it reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_scalar.engine.ops import operation
from tinygrad_scalar.vectorize.leaves import Leaves

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_scalar.vectorize.trace import Trace
    from tinygrad_scalar.vectorize.ways import Floats

    Indices = NDArray[np.int64]


class Gathered(NamedTuple):
    """Numbers of the added argument: the parameters table[i], where i are numbers of an argument, at `places` in it.

    `slots` says which numbers of the added argument they are, and `in_branch` whether only some examples look them up;
    i can be anything in the others.
    """

    table: Indices
    argument: int
    places: slice | Indices
    slots: slice | Indices
    in_branch: bool


class Local(NamedTuple):
    """A trace in which `direct` are the parameters, by their former indices, and `gathered` the added argument."""

    trace: Trace
    direct: Indices
    gathered: list[Gathered]
    n_gathered: int  # numbers of the added argument

    def columns(self, rows: Sequence[Floats]) -> Indices:
        """For each example the parameters that it looks up."""
        columns = np.empty((len(rows[0]), self.n_gathered), np.int64)
        for table, argument, places, slots, in_branch in self.gathered:
            chosen = rows[argument][:, places]
            if in_branch:  # a guard looks after it
                chosen = np.clip(chosen, 0, table.size - 1)
            missing = (chosen < 0) | (chosen >= table.size)
            if missing.any():
                row = chosen.flat[missing.argmax()]
                raise ValueError(f"lookup expected a row from 0 to {table.size - 1}, got {row:.0f}")
            columns[:, slots] = table[chosen.astype(np.int64, copy=False)]
        return columns

    def tables(self, sizes: Sequence[int]) -> tuple[Indices, Indices]:
        """The tables of `gathered` one after the other, and for each its start, its length, and the column of the row.

        Columns are those of all arguments side by side, of which argument a has sizes[a].
        """
        tables, columns = [lookup.table for lookup in self.gathered], np.cumsum([0, *sizes])
        found = np.empty((self.n_gathered, 3), np.int64)
        for start, lookup in zip(np.cumsum([0, *map(len, tables)]), self.gathered):
            places = np.arange(sizes[lookup.argument])[lookup.places]
            found[lookup.slots, :2] = start, len(lookup.table)
            found[lookup.slots, 2] = columns[lookup.argument] + places
        return np.concatenate([np.empty(0, np.int64), *tables]), found


def localized(trace: Trace, n_arguments: int) -> Local:
    """The trace with its lookups among parameters turned into numbers of argument `n_arguments`."""
    tape = trace.tape
    lookups = {}
    parameter, argument, place = trace.parameter.copy(), trace.argument.copy(), trace.place.copy()
    tables: dict[int, Indices] = {}  # by the list of entries that lookups share
    alike: dict[tuple[int, int, bool], tuple[list[int], list[int]]] = {}  # places and slots of one table and argument
    n_gathered = 0
    for i, (entries, index, at) in trace.lookups.items():
        if id(entries) not in tables:
            tables[id(entries)] = parameter[entries].astype(np.int64)
        if (tables[id(entries)] >= 0).all():
            places, slots = alike.setdefault((id(entries), index, i in trace.reached), ([], []))
            places.append(at)
            slots.append(n_gathered)
            argument[i], place[i] = n_arguments, n_gathered
            n_gathered += 1
        else:
            lookups[i] = entries, index, at
    gathered = [
        Gathered(tables[entries], index, _in_steps(places), _in_steps(slots), in_branch)
        for (entries, index, in_branch), (places, slots) in alike.items()
    ]
    read = np.zeros(len(tape.codes), bool)
    read[tape.operands] = True
    read[
        [*trace.outputs, *(i for i, _ in trace.guards), *(e for entries, _, _ in lookups.values() for e in entries)]
    ] = 1
    parameter[(parameter >= 0) & ~read] = -1  # a constant that nothing reads
    leaf = np.flatnonzero(parameter >= 0)
    direct, parameter[leaf] = np.unique(parameter[leaf], return_inverse=True)
    return Local(
        replace(trace, leaves=Leaves.of(parameter, argument, place), lookups=lookups), direct, gathered, n_gathered
    )  # fmt: skip


def _in_steps(numbers: list[int]) -> slice | Indices:
    """Indices as a slice if they go up in equal steps, which NumPy reads in place."""
    steps = np.diff(numbers)
    step = int(steps[0]) if len(steps) else 1
    return slice(numbers[0], numbers[-1] + 1, step) if step > 0 and (steps == step).all() else np.array(numbers)


def in_one_argument(trace: Trace, sizes: Sequence[int]) -> Trace:
    """The trace with the numbers of all arguments, of which argument a has sizes[a], in a single one."""
    start = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    given = trace.argument >= 0
    argument, place = np.where(given, np.int32(0), np.int32(-1)), trace.place.copy()
    place[given] += start[trace.argument[given]]
    lookups = {i: (entries, 0, int(start[a]) + at) for i, (entries, a, at) in trace.lookups.items()}
    return replace(trace, leaves=Leaves.of(trace.parameter, argument, place), lookups=lookups)


def with_parameters_as_argument(trace: Trace, number: int) -> Trace:
    """The trace with the parameters as argument `number`, so that each example has derivatives of its own."""
    given = trace.parameter >= 0
    return replace(
        trace,
        leaves=Leaves.of(
            np.full_like(trace.parameter, -1),
            np.where(given, number, trace.argument),
            np.where(given, trace.parameter, trace.place),
        ),
    )


def of_one_output(trace: Trace, number: int) -> Trace:
    """The trace whose cost is the output that the one number of argument `number`, an integer, chooses."""
    tape, n = trace.tape, len(trace.tape.codes)
    longer = tape._replace(
        codes=np.append(tape.codes, np.int32(-1)),
        starts=np.append(tape.starts, tape.starts[-1]),
        data=np.append(tape.data, 1.0),
    )
    parameter, argument, place = (np.append(array, -1) for array in (trace.parameter, trace.argument, trace.place))
    lookups = {**trace.lookups, n: (trace.outputs, number, 0)}
    return replace(
        trace,
        tape=longer,
        cost=n,
        leaves=Leaves.of(parameter, argument, place),
        lookups=lookups,
    )


def leaves_of_outputs(trace: Trace) -> list[list[int]]:
    """For each output the leaves that a gradient from it reaches, as `Rows.set_outputs` finds them."""
    tape = trace.tape
    detached = [set(operation(name).detached) for name in tape.names]
    codes, starts, operands = tape.codes.tolist(), tape.starts.tolist(), tape.operands.tolist()
    every = []
    for output in trace.outputs:
        seen: set[Any] = set()
        todo = [output]
        while todo:
            i = todo.pop()
            if i in seen:
                continue
            seen.add(i)
            if i in trace.lookups:
                todo += trace.lookups[i][0]
            elif codes[i] >= 0:
                of_i = operands[starts[i] : starts[i + 1]]
                todo += [operand for slot, operand in enumerate(of_i) if slot not in detached[codes[i]]]
        every.append(sorted(i for i in seen if codes[i] < 0 and i not in trace.lookups))
    return every

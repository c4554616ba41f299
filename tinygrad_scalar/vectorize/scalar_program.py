"""The scalar graph as a list of steps for the native executor (`_tape.pyx`), for programs in which little repeats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tinygrad_scalar.engine.ops import operation
from tinygrad_scalar.vectorize.attach import attached, code_and_number, without_recipe
from tinygrad_scalar.vectorize.executor import executor
from tinygrad_scalar.vectorize.shifted_chains import shifted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_scalar.vectorize.trace import Trace


class ScalarProgram(NamedTuple):
    """The arguments of `_tape.Machine`; see there."""

    steps: NDArray[np.int32]
    numbers: NDArray[np.float64]
    tables: list[int]
    n_slots: int
    n_parameters: int
    n_inputs: int
    constant_slots: NDArray[np.int32]
    constants: NDArray[np.float64]
    cost: int
    watched: list[int]


def runs_as_scalars(trace: Trace, codes: dict[str, int]) -> bool:
    """Whether the executor has code for all operations of a trace."""
    return _has_codes(attached(trace), codes)


def _has_codes(trace: Trace, codes: dict[str, int]) -> bool:
    without = [code for code, name in enumerate(trace.tape.names) if code_and_number(name, codes)[0] < 0]
    return not without or not np.isin(trace.tape.codes, without).any()


def scalar_program(
    trace: Trace, n_parameters: int, sizes: Sequence[int], codes: dict[str, int]
) -> ScalarProgram | None:
    """The steps of a trace; None if the executor has no code for one of its operations."""
    trace = attached(trace)
    if not _has_codes(trace, codes):
        return None
    trace = shifted(trace)
    tape = trace.tape
    found = [code_and_number(name, codes) for name in tape.names]
    code_of, number_of = [code for code, _ in found], [number for _, number in found]
    offsets = n_parameters + np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    arrays = tape.codes, tape.starts, tape.operands, trace.parameter, trace.argument, trace.place
    slot, table, numbers, constant = executor().steps_of(
        *(np.ascontiguousarray(array, np.int32) for array in arrays), offsets, code_of, number_of, trace.lookups
    )
    constant_slots, constants = slot[constant], trace.data[constant]
    n_slots = int(slot.max(initial=offsets[-1] - 1) + 1)
    tables: list[int] = []
    starts: dict[int, int] = {}  # of those that lookups share
    has_branches = "cond" in tape.names
    step_of = np.cumsum(_are_steps(trace)) - 1 if trace.lookups or has_branches else np.empty(0, np.int64)
    for i, (entries, argument, place) in trace.lookups.items():
        index = slot[trace.reached[i]] if i in trace.reached else offsets[argument] + place
        start = starts.setdefault(id(entries), len(tables))
        tables += slot[entries].tolist() if start == len(tables) else ()
        table[step_of[i]] = codes["lookup"], slot[i], index, start, len(entries)
    if has_branches:  # its condition, 1 or 0, looks up a side
        for i in step_of[tape.codes == tape.names.index("cond")].tolist():
            _, then, otherwise = table[i, 2:].tolist()
            table[i, 3:] = len(tables), 2
            tables += [otherwise, then]
    if not {"max of next", "min of next"}.isdisjoint(tape.names):
        _add_ties(table, numbers, codes, n_slots)
        constant_slots, constants = np.append(constant_slots, np.int32(n_slots)), np.append(constants, 1.0)
        n_slots = int(table[:, 1].max()) + 1
    return ScalarProgram(
        table,
        numbers,
        tables,
        n_slots,
        n_parameters,
        int(offsets[-1] - n_parameters),
        constant_slots,
        constants,
        int(slot[trace.cost]),
        [int(slot[i]) for i, _ in trace.guards],
    )


def _add_ties(table: NDArray[np.int32], numbers: NDArray[np.float64], codes: dict[str, int], one: int) -> None:
    """Add steps that count ties before each that shares a gradient among them.

    The slot `one` holds 1, how many ties there are when an extreme is that of one number; the counts follow it.
    """
    is_max, is_min = table[:, 0] == codes["shared max"], table[:, 0] == codes["shared min"]
    sharing = np.flatnonzero(is_max | is_min)
    made_by = np.full(one, -1, np.int32)
    made_by[table[:, 1]] = np.arange(len(table))
    maker = made_by[table[sharing, 2]]  # of the extreme so far
    of_two = ~(is_max | is_min)[maker]  # the first two of a list
    firsts, first_use = np.unique(maker[of_two], return_index=True)
    counted = np.concatenate([firsts, sharing])  # the steps before each of which another counts ties
    of_max = is_max[np.concatenate([sharing[of_two][first_use], sharing])]
    count = np.full(len(table), one, np.int32)  # for each step the slot with the number of its ties
    count[counted] = one + 1 + np.arange(counted.size)
    counting = np.empty((counted.size, 5), np.int32)
    counting[:, 0] = np.where(of_max, codes["ties of max"], codes["ties of min"])
    counting[:, 1], counting[:, 2:4] = count[counted], table[counted, 2:4]
    counting[:, 4] = np.concatenate([np.full(firsts.size, one), count[maker]])  # how many there were before
    table[sharing, 4] = count[sharing]
    order = np.argsort(counted, kind="stable")
    executor().insert_steps(table, numbers, counted[order], counting[order])


def _are_steps(trace: Trace) -> NDArray[np.bool_]:
    """For each node whether it is computed or looked up."""
    found = trace.tape.codes >= 0
    found[list(trace.lookups)] = True
    return found


def slots_of_outputs(trace: Trace, n_parameters: int, sizes: Sequence[int]) -> list[int]:
    """The slots of a trace's outputs in its scalar program."""
    offsets = n_parameters + np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    trace = shifted(attached(trace))
    slots: list[int] = _slots(trace, offsets)[trace.outputs].tolist()
    return slots


def no_scalar_program(trace: Trace) -> ValueError:
    """The error where a scalar program is wanted and there is none."""
    codes = executor().CODES
    rows = [operation(name) for name in trace.tape.names]
    if reasons := [why for row in rows if row.primitive is not None and (why := without_recipe(row))]:
        return ValueError(f'way="scalar" runs no Python: use "auto" or "arrays". {". ".join(reasons)}')
    without = [row.name for row in rows if row.primitive is None and code_and_number(row.name, codes)[0] < 0]
    return ValueError(
        f'way="scalar" needs every operation in the compiled executor, which lacks {", ".join(without)}: use "auto" or '
        '"arrays"'
    )


def _slots(trace: Trace, offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """The slot of each node: the parameters first, the arguments from `offsets` on, then all others."""
    of_argument = trace.argument >= 0
    slot = np.where(trace.parameter >= 0, trace.parameter, -1)
    slot[of_argument] = offsets[trace.argument[of_argument]] + trace.place[of_argument]
    others = np.flatnonzero(slot < 0)
    slot[others] = offsets[-1] + np.arange(others.size)
    return slot

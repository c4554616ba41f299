"""The scalar graph as it is, for the native executor (`_tape.pyx`): what does not repeat runs in this form."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_scalar.engine import accelerated
from tinygrad_scalar.engine.ops import operation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_scalar.vectorize.trace import Trace

MOST_ARGUMENTS = 16


class ScalarProgram(NamedTuple):
    """What a `Tape` is made from, see there."""

    steps: NDArray[np.int32]
    numbers: NDArray[np.float64]
    tables: list[int]
    n_slots: int
    n_parameters: int
    n_inputs: int
    constant_slots: list[int]
    constants: list[float]
    cost: int
    watched: list[int]


def executor() -> Any:
    """The native executor's module, or None where it was not built or the plain Value is in use."""
    if not accelerated:
        return None
    try:
        return importlib.import_module("tinygrad_scalar.vectorize._tape")
    except ImportError:
        return None


def scalar_program(
    trace: Trace, n_parameters: int, sizes: Sequence[int], codes: dict[str, int]
) -> ScalarProgram | None:
    """The steps of a trace; None if there is an operation that the executor does not know."""
    tape = trace.tape
    code_of, number_of = [], []
    for name in tape.names:
        row = operation(name)
        code = codes.get(row.family or name)
        if code is None:
            return None
        code_of.append(code)
        number_of.append(row.constant or 0.0)
    if len(sizes) > MOST_ARGUMENTS:
        return None
    offsets = n_parameters + np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    leaf = tape.codes < 0
    of_argument = trace.argument >= 0
    slot = np.where(trace.parameter >= 0, trace.parameter, -1)
    slot[of_argument] = offsets[trace.argument[of_argument]] + trace.place[of_argument]
    others = np.flatnonzero(slot < 0)
    slot[others] = offsets[-1] + np.arange(others.size)
    looked_up = np.zeros(len(leaf), bool)
    looked_up[list(trace.lookups)] = True
    constant = np.flatnonzero(leaf & (trace.parameter < 0) & ~of_argument & ~looked_up)
    steps = np.flatnonzero(~leaf | looked_up)
    table = np.zeros((len(leaf), 5), np.int32)
    table[:, 1] = slot
    arity = np.diff(tape.starts)
    for k in range(3):
        has = np.flatnonzero(arity > k)
        table[has, 2 + k] = slot[tape.operands[tape.starts[has] + k]]
    numbers = np.zeros(len(leaf))
    table[~leaf, 0] = np.array(code_of, np.int32)[tape.codes[~leaf]] if code_of else 0
    numbers[~leaf] = np.array(number_of)[tape.codes[~leaf]] if code_of else 0.0
    tables: list[int] = []
    for i, (entries, argument, place) in trace.lookups.items():
        table[i] = codes["lookup"], slot[i], offsets[argument] + place, len(tables), len(entries)
        tables += slot[entries].tolist()
    return ScalarProgram(
        table[steps],
        numbers[steps],
        tables,
        int(offsets[-1] + others.size),
        n_parameters,
        int(offsets[-1] - n_parameters),
        slot[constant].tolist(),
        trace.data[constant].tolist(),
        int(slot[trace.cost]),
        [int(slot[i]) for i, _ in trace.guards],
    )

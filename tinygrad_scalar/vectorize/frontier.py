"""The part of a trace that depends on parameters alone, split off: it is the same in all examples.

The numbers of it that the rest reads are the frontier. The rest is a function of them, as of more parameters, and its
derivatives times the frontier's are those of the whole (`each_by_parts.py`).
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_scalar.vectorize.distinct import connected
from tinygrad_scalar.vectorize.group import native
from tinygrad_scalar.vectorize.leaves import Leaves
from tinygrad_scalar.vectorize.lookup_tables import distinct_tables, shared

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_scalar.vectorize.trace import Trace

    Indices = NDArray[np.int64]

MOST_MULTIPLIED = 4  # numbers in the frontier's matrices for each operation split off: else the way back is shorter
MOST_PASSED = 2_000_000  # operations in all passes through the part of the parameters, forwards or backwards


class Split(NamedTuple):
    """Two traces: the outputs of `common`, which has no arguments, are the last parameters of `rest`."""

    common: Trace
    rest: Trace
    n_frontier: int


def split(trace: Trace, n: int) -> Split | None:
    """The two parts of a trace with n parameters; None if that saves nothing."""
    tape = trace.tape
    inner = tape.codes >= 0
    if "cond" in tape.names or not _begins(trace):
        return None
    varies = trace.argument >= 0
    varies[list(trace.lookups)] = True
    loops = native()
    mark = _mark_dependents if loops is None else loops.mark_dependents
    starts, operands = (np.ascontiguousarray(array, np.int32) for array in (tape.starts, tape.operands))
    mark(starts, operands, varies.view(np.uint8))
    for i in reversed(_later_steps(trace)):  # an extreme shares equally among its ties: it is in one part, or the other
        if varies[i]:
            varies[tape.operands[tape.starts[i]]] = True
    common = inner & ~varies
    frontier = common & _read(trace, ~common)
    numbers = _by_matrix(trace, common, np.flatnonzero(frontier))
    if not numbers.size:
        return None
    needed = common.copy()
    needed[tape.operands[_edges_of(trace, common)]] = True
    first = kept(trace, needed, common)
    places = np.cumsum(needed) - 1
    first = replace(
        first, outputs=places[numbers].tolist(), cost=int(places[numbers[0]]), guards=[], lookups={}, reached={}
    )
    first = replace(first, shape=(numbers.size,))
    parameter = trace.parameter.copy()
    parameter[numbers] = n + np.arange(numbers.size)
    rest = kept(
        replace(trace, leaves=Leaves.of(parameter, trace.argument, trace.place)), ~common | frontier, inner & ~common
    )
    return Split(first, rest, numbers.size)


def _mark_dependents(starts: NDArray[Any], operands: NDArray[Any], varies: NDArray[np.uint8]) -> None:
    """Mark what is computed from marked nodes. In C: `mark_dependents` in _group.pyx."""
    for i in range(len(varies)):
        varies[i] |= varies[operands[starts[i] : starts[i + 1]]].any()


def _later_steps(trace: Trace) -> list[int]:
    """The steps of ts.max and ts.min of a list but the first: their first operand is the extreme so far."""
    later = [code for code, name in enumerate(trace.tape.names) if name in ("max of next", "min of next")]
    steps: list[int] = np.flatnonzero(np.isin(trace.tape.codes, later)).tolist()
    return steps


def _begins(trace: Trace) -> bool:
    """Whether an operation has no operand but parameters and constants."""
    tape = trace.tape
    fixed = (tape.codes < 0) & (trace.argument < 0)
    fixed[list(trace.lookups)] = False
    inner = np.flatnonzero(tape.codes >= 0)
    return bool(inner.size and np.logical_and.reduceat(fixed[tape.operands], tape.starts[inner]).any())


def _edges_of(trace: Trace, nodes: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which edges lead into the nodes."""
    return np.repeat(nodes, np.diff(trace.tape.starts))


def _read(trace: Trace, readers: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which nodes are read by these nodes, by lookups, by guards, or returned."""
    read = np.zeros(len(readers), bool)
    read[trace.tape.operands[_edges_of(trace, readers)]] = True
    others: list[int] = [*trace.outputs, trace.cost, *(i for i, _ in trace.guards), *trace.reached.values()]
    others += chain(*distinct_tables(table for table, _, _ in trace.lookups.values())[0])
    read[others] = True
    return read


def _by_matrix(trace: Trace, common: NDArray[np.bool_], frontier: Indices) -> Indices:
    """The frontier, with the numbers together that have to do with the same parameters: these make a matrix.

    Empty unless derivatives are sooner multiplied by these matrices than taken back through the operations.
    """
    tape, nodes = trace.tape, np.flatnonzero(common)
    if not frontier.size:
        return frontier
    edges = _edges_of(trace, common)
    owner, read = np.repeat(np.arange(len(common)), np.diff(tape.starts))[edges], tape.operands[edges].astype(np.int64)
    matters = (common | (trace.parameter >= 0))[read]
    owner, read = owner[matters], read[matters]
    owners = np.concatenate([nodes, owner])  # each node has itself in its row too
    bounds = np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=len(common))[nodes])])
    rows = np.concatenate([nodes, read])[np.argsort(owners, kind="stable")]
    group = np.full(len(common), -1)
    group[nodes] = connected(rows, bounds, len(common))
    group[read] = group[owner]  # the parameters'
    n = int(group.max()) + 1
    operations, parameters, results = (
        np.bincount(group[some & (group >= 0)], minlength=n)
        for some in (common, trace.parameter >= 0, np.isin(np.arange(len(common)), frontier))
    )
    if (results * parameters).sum() > MOST_MULTIPLIED * nodes.size or (results * operations).sum() > MOST_PASSED:
        return frontier[:0]
    return frontier[np.argsort(group[frontier], kind="stable")]


def kept(trace: Trace, kept: NDArray[np.bool_], inner: NDArray[np.bool_]) -> Trace:
    """The trace with these nodes only, of which those that are not `inner` are leaves."""
    tape = trace.tape
    places = np.cumsum(kept) - 1
    arity = np.where(inner, np.diff(tape.starts), 0)[kept]
    operands = places[tape.operands[_edges_of(trace, inner)]].astype(tape.operands.dtype)
    codes = np.where(inner, tape.codes, -1)[kept].astype(tape.codes.dtype)
    names, codes[codes >= 0] = _used(tape.names, codes[codes >= 0])
    shorter = tape._replace(
        names=names,
        codes=codes,
        starts=np.concatenate([[0], np.cumsum(arity)]).astype(tape.starts.dtype),
        operands=operands,
        data=tape.data[kept],
    )

    def place(i: int) -> int:
        return int(places[i]) if kept[i] else 0

    places_of = shared(lambda entries: [*map(place, entries)])
    return replace(
        trace,
        tape=shorter,
        cost=place(trace.cost),
        leaves=Leaves.of(trace.parameter[kept], trace.argument[kept], trace.place[kept]),
        lookups={place(i): (places_of(entries), a, at) for i, (entries, a, at) in trace.lookups.items() if kept[i]},
        guards=[(place(i), guard) for i, guard in trace.guards],
        reached={place(i): place(x) for i, x in trace.reached.items() if kept[i]},
        outputs=[place(i) for i in trace.outputs],
    )


def _used(names: list[str], codes: NDArray[Any]) -> tuple[list[str], NDArray[Any]]:
    which, places = np.unique(codes, return_inverse=True)
    return [names[i] for i in which.tolist()], places

"""Lists of which scalar programs take log Σ exp, a chain of logaddexp: of numbers less their largest.

A share σ(x − y) of a partial sum y = log Σ exp(xⱼ) is off by what y lost in rounding, |y| ulp: by all where the xⱼ are
large. Less the largest of them, m, they are of the size of their differences, and m + log Σ exp(xⱼ − m) has the digits
that the engine's one node has. No gradient goes to m, whose slope is 0. Array programs do the same (assemble.py).
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_scalar.vectorize.attach import renumbered
from tinygrad_scalar.vectorize.chains import FOLDED, Sums
from tinygrad_scalar.vectorize.group import native

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_scalar.vectorize.trace import Trace

MOST = float(np.finfo(np.float64).max)
STEP = "logsumexp of next"


def shifted(trace: Trace) -> Trace:
    """The trace with the chains of its lists shifted."""
    tape = trace.tape
    if STEP not in tape.names:
        return trace
    entries = {id(table): table for table, _, _ in trace.lookups.values()}
    roots = [
        *(i for i, _ in trace.guards),
        *trace.outputs,
        trace.cost,
        *trace.reached.values(),
        *chain(*entries.values()),
    ]
    sums = Sums(trace, roots, native())
    heads = np.flatnonzero(sums.fold == FOLDED.index("logsumexp"))
    counts = np.diff(sums.starts)[heads].astype(np.int64)
    return _with_shifts(trace, sums, heads, counts) if heads.size else trace


def _with_shifts(trace: Trace, sums: Sums, heads: Any, counts: Any) -> Trace:
    tape, n = trace.tape, trace.nodes
    source = np.repeat(np.arange(n, dtype=np.int32), np.diff(tape.starts))  # of each edge
    gone = np.asarray(sums.absorbed, bool) & (tape.codes == tape.names.index(STEP))
    is_head = np.zeros(n, bool)
    is_head[heads] = True
    kept = ~(gone | is_head)
    size = (~gone).astype(np.int32)
    size[heads] = 3 * counts + 1
    last = np.cumsum(size, dtype=np.int32) + np.int32(1)  # after two constants; what is gone has no place
    del size
    total = int(last[-1]) + 1
    names = {name: code for code, name in enumerate(tape.names)}
    largest, minimum, minus, plus, step = (
        names.setdefault(name, len(names)) for name in ("largest of two", "minimum", "-", "+", STEP)
    )
    codes, data, arity = np.full(total, -1, np.int32), np.zeros(total), np.zeros(total + 1, np.int32)
    codes[last[kept]], data[last[kept]] = tape.codes[kept], tape.data[kept]
    data[:2] = -MOST, MOST
    arity[1:][last[kept]] = np.diff(tape.starts)[kept]
    arity[1:][_places(last[heads] - 3 * counts, 3 * counts + 1)] = 2
    starts = np.cumsum(arity, dtype=np.int32)
    del arity
    operands = np.empty(starts[-1], np.int32)
    of_kept = kept[source]
    first_edges = (starts[last] - tape.starts[:-1])[source[of_kept]]
    operands[first_edges + np.flatnonzero(of_kept)] = last[tape.operands[of_kept]]
    del source, of_kept, first_edges

    def write(nodes: Any, code: int, x: Any, y: Any) -> None:
        codes[nodes], operands[starts[nodes]], operands[starts[nodes] + 1] = code, x, y

    base = (last[heads] - 3 * counts).astype(np.int32)  # of each chain the first of its nodes
    terms = last[sums.terms[_places(sums.starts[heads], counts)]]
    at = _places(base, counts)
    write(at, largest, at - 1, terms)
    operands[starts[base]] = 0
    shift = base + counts  # the largest, but finite
    write(shift, minimum, shift - 1, 1)
    at = _places(shift + 1, counts)  # the differences
    write(at, minus, terms, np.repeat(shift, counts))
    write(
        _places(shift + counts + 1, counts - 1),
        step,
        _places(shift + counts, counts - 1),
        _places(shift + 2, counts - 1),
    )
    operands[starts[shift + counts + 1]] = shift + 1
    write(last[heads], plus, shift, last[heads] - 1)
    now = tape._replace(names=list(names), codes=codes, starts=starts, operands=operands, data=data)
    return renumbered(trace, last, now)


def _places(starts: Any, counts: Any) -> NDArray[np.int32]:
    """counts[i] numbers from starts[i] on, for each i."""
    ends = np.cumsum(counts)
    return np.repeat((starts - (ends - counts)).astype(np.int32), counts) + np.arange(ends[-1], dtype=np.int32)

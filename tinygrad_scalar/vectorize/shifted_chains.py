"""Lists of which scalar programs take log Σ exp, a chain of logaddexp: of numbers less their largest.

A share σ(x − y) of a partial sum y = log Σ exp(xⱼ) is off by what y lost in rounding, |y| ulp: by all where the xⱼ are
large. Less the largest of them, m, they are of the size of their differences, and m + log Σ exp(xⱼ − m) has the digits
that the engine's one node has. No gradient goes to m, whose slope is 0. Array programs do the same (assemble.py).

The first step of a chain is s = logaddexp(x − m, y − m), each next one logaddexp(s, y − m), and the last adds m.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_scalar.vectorize.attach import SHIFTED, renumbered
from tinygrad_scalar.vectorize.chains import FOLDED, Sums
from tinygrad_scalar.vectorize.group import native

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_scalar.vectorize.trace import Trace

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
    counts = np.diff(sums.starts).astype(np.int64)
    heads = np.flatnonzero((sums.fold == FOLDED.index("logsumexp")) & (counts > 2))  # two are as good as they are
    return _with_shifts(trace, sums, heads, counts[heads] - 1) if heads.size else trace


def _with_shifts(trace: Trace, sums: Sums, heads: Any, steps: Any) -> Trace:
    """In the place of each head come `steps` nodes that find the largest, and as many that sum; it is the last."""
    tape, n = trace.tape, trace.nodes
    source = np.repeat(np.arange(n, dtype=np.int32), np.diff(tape.starts))  # of each edge
    gone = np.asarray(sums.absorbed, bool) & (tape.codes == tape.names.index(STEP))
    is_head = np.zeros(n, bool)
    is_head[heads] = True
    kept = ~(gone | is_head)
    size = (~gone).astype(np.int32)
    size[heads] = 2 * steps
    last = np.cumsum(size, dtype=np.int32) - np.int32(1)  # what is gone has no place
    del size
    total = int(last[-1]) + 1
    names = {name: code for code, name in enumerate(tape.names)}
    largest, first_step, next_step, last_step = (
        names.setdefault(name, len(names)) for name in ("largest of two", *SHIFTED)
    )
    base = (last[heads] - 2 * steps + 1).astype(np.int32)  # of each chain the first of its nodes
    to_largest, to_sum = _places(base, steps), _places(base + steps, steps)
    codes, data, arity = np.full(total, -1, np.int32), np.zeros(total), np.zeros(total + 1, np.int32)
    codes[last[kept]], data[last[kept]] = tape.codes[kept], tape.data[kept]
    arity[1:][last[kept]] = np.diff(tape.starts)[kept]
    arity[1:][to_largest], arity[1:][to_sum] = 2, 3
    starts = np.cumsum(arity, dtype=np.int32)
    del arity
    operands = np.empty(starts[-1], np.int32)
    of_kept = kept[source]
    first_edges = (starts[last] - tape.starts[:-1])[source[of_kept]]
    operands[first_edges + np.flatnonzero(of_kept)] = last[tape.operands[of_kept]]
    del source, of_kept, first_edges
    others = last[sums.terms[_places(sums.starts[heads] + 1, steps)]]
    for nodes, begin in ((to_largest, base), (to_sum, base + steps)):
        operands[starts[nodes]], operands[starts[nodes] + 1] = nodes - 1, others
        operands[starts[begin]] = last[sums.terms[sums.starts[heads]]]
    operands[starts[to_sum] + 2] = np.repeat(base + steps - 1, steps)
    codes[to_largest], codes[to_sum] = largest, next_step
    codes[base + steps], codes[last[heads]] = first_step, last_step
    now = tape._replace(names=list(names), codes=codes, starts=starts, operands=operands, data=data)
    return renumbered(trace, last, now)


def _places(starts: Any, counts: Any) -> NDArray[np.int32]:
    """counts[i] numbers from starts[i] on, for each i."""
    ends = np.cumsum(counts)
    return np.repeat((starts - (ends - counts)).astype(np.int32), counts) + np.arange(ends[-1], dtype=np.int32)

"""Chains become one operation of many terms: step 1 of how vectorize finds the matrices (`__init__.py`).

Chains of additions and subtractions whose partial sums are used nowhere else become one sum; likewise chains of
maximum, minimum and logaddexp, and the steps that ts.max, ts.min and ts.logsumexp of a list are read as.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_scalar.engine.ops import STEPS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_scalar.vectorize.trace import Trace

    Indices = NDArray[Any]  # of 32 or 64 bits

FOLDED = ("+", "maximum", "minimum", "logaddexp", "max", "min", "largest", "logsumexp")  # the last four of a list
ROUNDED = [FOLDED.index("+"), FOLDED.index("logaddexp")]
EXTREMES = {name: name.split()[0] for name in STEPS}


class Sums:
    """For each node that heads a chain, its terms and their signs.

    fold      for each node that heads a chain, the operation of FOLDED that it folds with; for any other node −1
    absorbed  the nodes inside a chain
    The terms of node i are terms[starts[i] : starts[i + 1]], each with its sign.
    """

    def __init__(self, trace: Trace, roots: Sequence[int], loops: Any) -> None:
        tape = trace.tape
        constant = (tape.codes < 0) & (trace.parameter < 0) & (trace.argument < 0)
        kind = self._kinds(trace, constant)
        minus = tape.names.index("-") if "-" in tape.names else -2
        zero = constant & (trace.data == 0.0)  # 0 + x, with which sum() begins
        zero[list(trace.lookups)] = False
        chains = _chains if loops is None else loops.chains
        closed = _codes(tape.names, ("max of first", "min of first"))
        found = chains(tape.codes, tape.starts, tape.operands, kind, minus, closed, zero.view(np.uint8), roots)
        self.terms, self.signs, self.starts, self.absorbed, self.fold = found

    @staticmethod
    def _kinds(trace: Trace, constant: NDArray[np.bool_]) -> NDArray[np.int8]:
        """For each node the index of its operation in FOLDED, a difference counting as a sum; −1 for any other."""
        tape = trace.tape
        names = [EXTREMES.get(name, name) for name in tape.names]
        of_code = [FOLDED.index(name) if name in FOLDED else 0 if name == "-" else -1 for name in names]
        kind = np.array([*of_code, -1], np.int8)[tape.codes]  # the last one for leaves, whose code is −1
        # Adding a large constant can be a way to round: then the order matters. Nothing is rounded in an extreme, and
        # the steps of a list's must stay together: it shares equally among all that tie.
        large = constant & (np.abs(trace.data) > 2.0**32)
        if large.any():
            source = np.repeat(np.arange(len(kind)), np.diff(tape.starts))  # of each edge
            rounding = source[large[tape.operands]]
            kind[rounding[np.isin(kind[rounding], ROUNDED)]] = -1
        return kind


def _codes(names: Sequence[str], wanted: Sequence[str]) -> NDArray[np.uint8]:
    """For each code of operation, and at the end for that of leaves, whether its name is wanted."""
    return np.array([*(name in wanted for name in names), False], np.uint8)


def _chains(
    codes: Indices,
    starts: Indices,
    operands: Indices,
    kind: Any,
    minus: int,
    closed: Any,
    zero: Any,
    roots: Sequence[int],
) -> tuple[Any, ...]:
    """What `Sums` holds, from each node's kind. In C: _group.pyx.

    `minus` is the code of subtraction; `closed` says of which codes the operands are in no chain with them.
    """
    n = len(codes)
    source = np.repeat(np.arange(n), np.diff(starts))  # of each edge
    slot = np.arange(len(operands)) - starts[source]
    subtracts = codes == minus
    uses = np.bincount(operands, minlength=n)
    uses[list(roots)] += 1
    user = np.zeros(n, np.int64)
    user[operands] = source
    absorbed = (uses == 1) & (kind >= 0) & (kind[user] == kind)
    # In a tie (a, (b, c)) shares the gradient unlike ((a, b), c), and only the latter is a fold.
    from_right = np.zeros(n, bool)
    from_right[operands[slot == 1]] = True
    absorbed &= ~(from_right & np.isin(kind[user], [1, 2, 4, 5]))
    absorbed &= closed[codes[user]] == 0
    edge_sign = np.where((slot == 1) & subtracts[source], -1, 1).astype(np.int8)
    sign = np.ones(n, np.int8)
    sign[operands] = edge_sign  # of an absorbed node, in its only user
    head, sign = _heads(np.where(absorbed, user, np.arange(n)), np.where(absorbed, sign, np.int8(1)))
    heads = (kind >= 0) & ~absorbed
    with_zero = np.zeros(n, bool)
    with_zero[source[zero.view(bool)[operands] & (kind[source] == 0) & (slot == 1)]] = True
    lone = (np.bincount(head, minlength=n) == 1) & (np.diff(starts) == 2)
    heads &= ~(lone & (subtracts | with_zero))  # element-wise: x − y, and x + 0, which makes 0 of −0; sum() has 0 + x
    inside = heads[head[source]] & (kind[source] >= 0) & ~absorbed[operands]
    inside &= ~(zero.view(bool)[operands] & (kind[source] == 0))
    terms, owner = operands[inside], head[source[inside]]
    signs = (edge_sign * sign[source])[inside]
    order = np.argsort(owner, kind="stable")
    first = np.searchsorted(owner[order], np.arange(n + 1)).astype(np.int32)
    return terms[order], signs[order], first, absorbed, np.where(heads, kind, np.int8(-1))


def _heads(head: Indices, sign: NDArray[np.int8]) -> tuple[Indices, NDArray[np.int8]]:
    """The end of each chain of heads, and the product of the signs on the way there."""
    while True:  # each iteration halves the distance to the end
        further = head[head]
        if (further == head).all():
            return head, sign
        sign = sign * sign[head]
        head = further

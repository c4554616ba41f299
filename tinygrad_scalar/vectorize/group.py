"""The rows of arrays to be, found in a scalar graph: steps 1 to 3 of DESIGN, *How vectorize finds the matrices*.

1. Chains of additions whose partial sums nobody else uses become one sum of many terms; so do chains of maximum,
   minimum and logaddexp.
2. Colour the nodes from the leaves up: all parameters alike, all numbers of an argument, all constants; any other node
   by its operation and its operands' colours. Nodes of one colour become the rows of one array: all of a layer's z.
3. Order the rows from the cost downwards, by first use.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_scalar.vectorize.trace import Trace

    Indices = NDArray[np.int64]

FOLDED = ("+", "maximum", "minimum", "logaddexp")
CONSTANT, PARAMETER = 0, 1  # colours; those of the arguments follow


class _Sums:
    """Step 1: for each node that heads a chain, its terms and their signs."""

    def __init__(self, trace: Trace, roots: Sequence[int]) -> None:
        tape = trace.tape
        n = len(tape.codes)
        arity = np.diff(tape.starts)
        source = np.repeat(np.arange(n), arity)  # of each edge
        slot = np.arange(len(tape.operands)) - tape.starts[source]
        uses = np.bincount(tape.operands, minlength=n)
        uses[list(roots)] += 1
        kind = np.full(n, -1)
        for code, name in enumerate(tape.names):
            name = "+" if name == "-" else name
            if name in FOLDED:
                kind[tape.codes == code] = FOLDED.index(name)
        # Adding a large constant may be meant to round: then the order counts.
        large = (tape.codes < 0) & (trace.parameter < 0) & (trace.argument < 0) & (np.abs(trace.data) > 2.0**32)
        kind[source[large[tape.operands]]] = -1
        user = np.zeros(n, np.int64)
        user[tape.operands] = source
        absorbed = (uses == 1) & (kind >= 0) & (kind[user] == kind)
        # Where a tie shares the gradient, only ((a, b), c) is a fold from the left.
        from_right = np.zeros(n, bool)
        from_right[tape.operands[slot == 1]] = True
        absorbed &= ~(from_right & ((kind == 1) | (kind == 2)))
        sign = np.ones(n)
        minus = np.zeros(len(tape.operands), bool)
        if "-" in tape.names:
            minus = (slot == 1) & (tape.codes == tape.names.index("-"))[source]
        edge_sign = np.where(minus, -1.0, 1.0)
        sign[tape.operands] = edge_sign  # of an absorbed node, in its only user
        head = np.where(absorbed, user, np.arange(n))
        sign = np.where(absorbed, sign, 1.0)
        while True:  # at every turn the distance to the head halves
            further = head[head]
            if (further == head).all():
                break
            sign = sign * sign[head]
            head = further
        # A lone subtraction is element-wise.
        heads = (kind >= 0) & ~absorbed
        alone = heads & (np.bincount(head, minlength=n) == 1)
        if "-" in tape.names:
            heads &= ~(alone & (tape.codes == tape.names.index("-")))
        inside = heads[head[source]] & (kind[source] >= 0) & ~absorbed[tape.operands]
        zero = (tape.codes < 0) & (trace.data == 0.0) & (trace.parameter < 0) & (trace.argument < 0)
        zero[list(trace.lookups)] = False
        inside &= ~(zero[tape.operands] & (kind[source] == 0))  # 0 + x, as sum() begins
        terms, owner = tape.operands[inside], head[source[inside]]
        signs = (edge_sign * sign[source])[inside]
        order = np.argsort(owner, kind="stable")
        self.terms, self.signs = terms[order], signs[order]
        self.starts = np.searchsorted(owner[order], np.arange(n + 1))
        self.absorbed = absorbed
        self.fold = np.where(heads, kind, -1)


class Grouping:
    """Steps 2 and 3: every node's colour and its place among those of its colour."""

    def __init__(self, trace: Trace, n_arguments: int, *, ragged: bool) -> None:
        self.trace = trace
        self.roots = [*(i for i, _ in trace.guards), trace.cost]
        self.roots += sorted({entry for entries, _, _ in trace.lookups.values() for entry in entries})
        self.sums = _Sums(trace, self.roots)
        self._paint(n_arguments, ragged)

    @property
    def irregular(self) -> bool:
        """Whether hardly anything repeats: almost every colour has few nodes."""
        return len(self.keys) > 1000 and len(self.keys) * 4 > len(self.colour)

    # --- step 2 ------------------------------------------------------------------------------------------------------

    def _paint(self, n_arguments: int, ragged: bool) -> None:
        trace, sums = self.trace, self.sums
        tape = trace.tape
        n = len(tape.codes)
        self.keys: list[Any] = [("constant",), ("parameter",), *(("argument", a) for a in range(n_arguments))]
        self.batched = [False, False, *([True] * n_arguments)]
        colours: dict[Any, int] = {}
        colour = np.where(trace.parameter >= 0, PARAMETER, np.where(trace.argument >= 0, 2 + trace.argument, CONSTANT))
        c = colour.tolist()
        codes, starts, operands = tape.codes.tolist(), tape.starts.tolist(), tape.operands.tolist()
        fold, absorbed = sums.fold.tolist(), sums.absorbed.tolist()
        terms, signs, term_starts = sums.terms.tolist(), sums.signs.tolist(), sums.starts.tolist()
        names = tape.names
        commutes = [name == "*" for name in names]
        batched = self.batched
        all_added = bool((sums.signs > 0.0).all())
        swapped = np.zeros(n, bool)
        for i in range(n):
            code = codes[i]
            if code < 0:
                if i not in trace.lookups:
                    continue
                entries, argument, _ = trace.lookups[i]
                below = [c[entry] for entry in entries]
                key: Any = ("lookup", tuple(sorted(set(below))), len(entries), argument)
                below = [2 + argument]  # different in every example
            elif absorbed[i]:
                continue
            elif fold[i] >= 0:
                s, e = term_starts[i], term_starts[i + 1]
                below = [c[t] for t in terms[s:e]]
                if below.count(CONSTANT) == e - s:
                    continue
                signed = below if all_added else [b if sign > 0.0 else -1 - b for b, sign in zip(below, signs[s:e])]
                if ragged:
                    summary = tuple(sorted(set(signed)))
                elif e - s <= 4:
                    summary = tuple(sorted(signed))
                else:
                    summary = tuple(sorted(Counter(signed).items()))
                key = (FOLDED[fold[i]], summary)
            else:
                below = [c[j] for j in operands[starts[i] : starts[i + 1]]]
                if below.count(CONSTANT) == len(below):
                    continue
                if commutes[code] and (batched[below[0]], below[0]) > (batched[below[1]], below[1]):
                    below.reverse()
                    swapped[i] = True
                key = (names[code], *below)
            found = colours.get(key)
            if found is None:
                found = colours[key] = len(self.keys)
                self.keys.append(key)
                batched.append(True in [batched[b] for b in below])
            c[i] = found
        self.colour = np.array(c)
        self.swapped = swapped

    # --- step 3 ------------------------------------------------------------------------------------------------------

    def operands_of(self, nodes: Indices, slot: int) -> Indices:
        """The operand in `slot` of each of the nodes of a fixed number of operands, in the colour's order."""
        tape = self.trace.tape
        if tape.names[tape.codes[nodes[0]]] == "*":
            return tape.operands[tape.starts[nodes] + (self.swapped[nodes] ^ bool(slot))]
        return tape.operands[tape.starts[nodes] + slot]

    def terms_of(self, nodes: Indices) -> tuple[Indices, Indices, NDArray[np.float64]]:
        """The terms of sums: the place in `nodes` of the sum that each belongs to, the terms and their signs."""
        starts, ends = self.sums.starts[nodes], self.sums.starts[nodes + 1]
        counts = ends - starts
        owner = np.repeat(np.arange(len(nodes)), counts)
        at = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(starts, counts)
        return owner, self.sums.terms[at], self.sums.signs[at]

    def entries_of(self, nodes: Indices) -> Indices:
        """The table of a group of lookups: entry j of lookup i is node [i, j]."""
        return np.array([self.trace.lookups[i][0] for i in nodes.tolist()])

    def order(self) -> None:
        """Step 3."""
        trace = self.trace
        self.place = np.where(trace.parameter >= 0, trace.parameter, trace.place)
        self.nodes: list[Indices] = [np.empty(0, np.int64) for _ in self.keys]
        self.constants = np.zeros(0)
        constant = np.flatnonzero(self.colour == CONSTANT)
        if constant.size:
            bits, self.place[constant] = np.unique(trace.data[constant].view(np.int64), return_inverse=True)
            self.constants = bits.view(np.float64)  # by their bits, because 0 is not −0
        roots = [*(i for i, _ in trace.guards), trace.cost]
        self._visit(np.array(roots))
        for colour in range(len(self.keys) - 1, -1, -1):
            nodes = self.nodes[colour]
            if nodes.size == 0:
                continue
            kind = self.keys[colour][0]
            if kind == "lookup":
                self._visit(self.entries_of(nodes).ravel())
            elif kind in FOLDED and self.sums.fold[nodes[0]] >= 0:
                self._visit(self.terms_of(nodes)[1])
            else:
                for slot in range(len(self.keys[colour]) - 1):
                    self._visit(self.operands_of(nodes, slot))

    def _visit(self, nodes: Indices) -> None:
        new = nodes[self.place[nodes] < 0]
        if new.size == 0:
            return
        unique, first = np.unique(new, return_index=True)
        unique = unique[np.argsort(first)]
        colours = self.colour[unique]
        for colour in np.unique(colours):
            of_colour = unique[colours == colour]
            before = self.nodes[colour]
            self.place[of_colour] = np.arange(before.size, before.size + of_colour.size)
            self.nodes[colour] = np.concatenate([before, of_colour])


def grouped(trace: Trace, n_arguments: int) -> Grouping:
    """The colours of a trace. Sums of different lengths get one colour where that makes many fewer of them."""
    exact = Grouping(trace, n_arguments, ragged=False)
    if len(exact.keys) <= 64 or exact.irregular:
        return exact
    coarse = Grouping(trace, n_arguments, ragged=True)
    return coarse if len(coarse.keys) < len(exact.keys) / 2 else exact

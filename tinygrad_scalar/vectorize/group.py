"""Which scalars become the rows of one array: steps 1 to 3 of how vectorize finds the matrices (`__init__.py`).

1. Chains of additions and subtractions whose partial sums are used nowhere else become one sum of many terms; likewise
   chains of maximum, minimum and logaddexp.
2. Colour the nodes from the leaves up: all parameters share a colour; so do all numbers of one argument, and all
   constants; any other node's colour is its operation and its operands' colours, and whether a gradient reaches it.
   Nodes of one colour become the rows of one array: all of a layer's z, or all sums over a convolution's windows.
3. Order the rows from the cost down, by first use.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_scalar.engine.graph_arrays import cut_off, unreached

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_scalar.vectorize.trace import Trace

    Indices = NDArray[np.int64]

FOLDED = ("+", "maximum", "minimum", "logaddexp")
CONSTANT, PARAMETER = 0, 1  # colours; those of the arguments follow


class _Sums:
    """Step 1: for each node that heads a chain, its terms and their signs.

    fold      for each node that heads a chain, the operation of FOLDED that it folds with; for any other node −1
    absorbed  the nodes inside a chain
    The terms of node i are terms[starts[i] : starts[i + 1]], each with its sign.
    """

    def __init__(self, trace: Trace, roots: Sequence[int]) -> None:
        tape = trace.tape
        n = len(tape.codes)
        source = np.repeat(np.arange(n), np.diff(tape.starts))  # of each edge
        slot = np.arange(len(tape.operands)) - tape.starts[source]
        minus = np.zeros(n, bool)
        if "-" in tape.names:
            minus = tape.codes == tape.names.index("-")
        kind = self._kinds(trace, source)
        uses = np.bincount(tape.operands, minlength=n)
        uses[list(roots)] += 1
        user = np.zeros(n, np.int64)
        user[tape.operands] = source
        absorbed = (uses == 1) & (kind >= 0) & (kind[user] == kind)
        # In a tie (a, (b, c)) shares the gradient unlike ((a, b), c), and only the latter is a fold.
        from_right = np.zeros(n, bool)
        from_right[tape.operands[slot == 1]] = True
        absorbed &= ~(from_right & ((kind == 1) | (kind == 2)))
        edge_sign = np.where((slot == 1) & minus[source], -1.0, 1.0)
        sign = np.ones(n)
        sign[tape.operands] = edge_sign  # of an absorbed node, in its only user
        head, sign = _heads(np.where(absorbed, user, np.arange(n)), np.where(absorbed, sign, 1.0))
        heads = (kind >= 0) & ~absorbed
        heads &= ~(minus & (np.bincount(head, minlength=n) == 1))  # a lone subtraction is element-wise
        inside = heads[head[source]] & (kind[source] >= 0) & ~absorbed[tape.operands]
        zero = (tape.codes < 0) & (trace.data == 0.0) & (trace.parameter < 0) & (trace.argument < 0)
        zero[list(trace.lookups)] = False
        inside &= ~(zero[tape.operands] & (kind[source] == 0))  # 0 + x, with which sum() begins
        terms, owner = tape.operands[inside], head[source[inside]]
        signs = (edge_sign * sign[source])[inside]
        order = np.argsort(owner, kind="stable")
        self.terms, self.signs = terms[order], signs[order]
        self.starts = np.searchsorted(owner[order], np.arange(n + 1))
        self.absorbed = absorbed
        self.fold = np.where(heads, kind, -1)

    @staticmethod
    def _kinds(trace: Trace, source: Indices) -> Indices:
        """For each node the index of its operation in FOLDED, a difference counting as a sum; −1 for any other."""
        tape = trace.tape
        kind = np.full(len(tape.codes), -1)
        for code, name in enumerate(tape.names):
            name = "+" if name == "-" else name
            if name in FOLDED:
                kind[tape.codes == code] = FOLDED.index(name)
        # Adding a large constant can be a way to round: then the order matters.
        large = (tape.codes < 0) & (trace.parameter < 0) & (trace.argument < 0) & (np.abs(trace.data) > 2.0**32)
        kind[source[large[tape.operands]]] = -1
        return kind


def _heads(head: Indices, sign: NDArray[np.float64]) -> tuple[Indices, NDArray[np.float64]]:
    """The end of each chain of heads, and the product of the signs on the way there."""
    while True:  # each iteration halves the distance to the end
        further = head[head]
        if (further == head).all():
            return head, sign
        sign = sign * sign[head]
        head = further


class Grouping:
    """Steps 2 and 3: every node's colour and its place among the nodes of that colour.

    keys     what a colour stands for: an operation and its operands' colours, an argument, …
    batched  whether a colour's numbers differ between the examples
    """

    def __init__(self, trace: Trace, n_arguments: int, *, ragged: bool, if_regular: bool = False) -> None:
        self.trace = trace
        self.roots = [*(i for i, _ in trace.guards), trace.cost]
        self.roots += sorted({entry for entries, _, _ in trace.lookups.values() for entry in entries})
        self.sums = _Sums(trace, self.roots)
        self._paint(n_arguments, ragged, if_regular)

    @property
    def irregular(self) -> bool:
        """Whether hardly anything repeats: almost every colour has few nodes."""
        return len(self.keys) > self._most_colours

    @property
    def differs_in_lengths(self) -> bool:
        """Whether some colours are sums that differ only in how many terms of each colour they have."""
        sums = [(key[0], _colours_in(key[1])) for key in self.keys if key[0] in FOLDED and type(key[1]) is tuple]
        return len(set(sums)) < len(sums)

    # --- step 2 ------------------------------------------------------------------------------------------------------

    def _paint(self, n_arguments: int, ragged: bool, if_regular: bool) -> None:
        trace, sums = self.trace, self.sums
        tape = trace.tape
        self._most_colours = max(1000, len(tape.codes) // 4)
        self.keys: list[Any] = [("constant",), ("parameter",), *(("argument", a) for a in range(n_arguments))]
        self.batched = batched = [False, False, *([True] * n_arguments)]
        choices = {i: entries for i, (entries, _, _) in trace.lookups.items()}
        cut = cut_off(tape, trace.cost, choices)
        by_choice = unreached(tape, trace.cost, {}) - cut if choices else set()
        reached: dict[Any, int] = {}  # the colours of what the gradient reaches in every example
        chosen: dict[Any, int] = {}  # and of what it reaches through lookups alone
        others: dict[Any, int] = {}
        colour = np.where(trace.parameter >= 0, PARAMETER, np.where(trace.argument >= 0, 2 + trace.argument, CONSTANT))
        c = colour.tolist()
        codes, starts, operands = tape.codes.tolist(), tape.starts.tolist(), tape.operands.tolist()
        fold = sums.fold.tolist()
        terms, signs, term_starts = sums.terms.tolist(), sums.signs.tolist(), sums.starts.tolist()
        commutes = [name == "*" for name in tape.names]
        all_added = bool((sums.signs > 0.0).all())
        colour_of, is_batched = c.__getitem__, batched.__getitem__  # with map, twice as fast as a comprehension
        names, swapped = tape.names, []
        to_paint = (tape.codes >= 0) & ~sums.absorbed
        to_paint[list(trace.lookups)] = True
        for i in np.flatnonzero(to_paint).tolist():
            code = codes[i]
            if code < 0:
                entries, argument, _ = trace.lookups[i]
                key: Any = ("lookup", tuple(sorted({c[entry] for entry in entries})), len(entries), argument)
                below = [2 + argument]  # different in every example
            elif fold[i] >= 0:
                s, e = term_starts[i], term_starts[i + 1]
                below = list(map(colour_of, terms[s:e]))
                signed = below if all_added else [b if sign > 0.0 else -1 - b for b, sign in zip(below, signs[s:e])]
                key = (FOLDED[fold[i]], _summary(signed, ragged))
            else:
                below = list(map(colour_of, operands[starts[i] : starts[i + 1]]))
                if commutes[code]:
                    x, y = below
                    if batched[x] > batched[y] or (x > y and batched[x] == batched[y]):
                        below = [y, x]
                        swapped.append(i)
                key = (names[code], *below)
            colours = others if i in cut else chosen if i in by_choice else reached
            found = colours.get(key)
            if found is None:
                if code >= 0 and below.count(CONSTANT) == len(below):
                    continue  # a constant itself
                found = colours[key] = len(self.keys)
                self.keys.append(key)
                batched.append(True in map(is_batched, below))
                if if_regular and self.irregular:
                    break
            c[i] = found
        self.swapped = np.zeros(len(codes), bool)  # products whose operands are swapped
        self.swapped[swapped] = True
        self.colour = np.array(c)

    # --- step 3 ------------------------------------------------------------------------------------------------------

    def operands_of(self, nodes: Indices, slot: int) -> Indices:
        """The operand in `slot` of each of some nodes of one colour, in the colour's order."""
        tape = self.trace.tape
        if tape.names[tape.codes[nodes[0]]] == "*":
            return tape.operands[tape.starts[nodes] + (self.swapped[nodes] ^ bool(slot))].astype(np.int64)
        return tape.operands[tape.starts[nodes] + slot].astype(np.int64)

    def terms_of(self, nodes: Indices) -> tuple[Indices, Indices, NDArray[np.float64]]:
        """The terms of sums: for each the place of its sum in `nodes`, the term and its sign."""
        starts, ends = self.sums.starts[nodes], self.sums.starts[nodes + 1]
        counts = ends - starts
        owner = np.repeat(np.arange(len(nodes)), counts)
        at = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(starts, counts)
        return owner, self.sums.terms[at], self.sums.signs[at]

    def entries_of(self, nodes: Indices) -> Indices:
        """The table that lookups of one colour choose from: entry j of lookup i is node [i, j]."""
        return np.array([self.trace.lookups[i][0] for i in nodes.tolist()])

    def order(self, read_by: Callable[[Indices], Iterable[Indices]] | None = None) -> None:
        """Step 3: `nodes`, for each colour its nodes in order, and `place`, for each node its row there, or −1.

        `read_by` says what sums of one colour read, in order: not the products that are part of a matrix product.
        """
        trace = self.trace
        self.place = np.where(trace.parameter >= 0, trace.parameter, trace.place)
        self.nodes: list[Indices] = [np.empty(0, np.int64) for _ in self.keys]
        self.constants = np.zeros(0)
        constant = np.flatnonzero(self.colour == CONSTANT)
        if constant.size:
            bits, self.place[constant] = np.unique(trace.data[constant].view(np.int64), return_inverse=True)
            self.constants = bits.view(np.float64)  # by their bits, to tell 0 from −0
        roots = [*(i for i, _ in trace.guards), trace.cost]
        self._visit(np.array(roots))
        for colour in range(len(self.keys) - 1, -1, -1):
            nodes = self.nodes[colour]
            if nodes.size == 0:
                continue
            kind = self.keys[colour][0]
            if kind == "lookup":
                self._visit(self.entries_of(nodes).ravel())
            elif kind == "+" and read_by is not None and self.sums.fold[nodes[0]] >= 0:
                for read in read_by(nodes):
                    self._visit(read.ravel())
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
            mine = unique[colours == colour]
            before = self.nodes[colour]
            self.place[mine] = np.arange(before.size, before.size + mine.size)
            self.nodes[colour] = np.concatenate([before, mine])


def _colours_in(summary: tuple[Any, ...]) -> frozenset[int]:
    """The colours of the terms that a summary is of."""
    return frozenset(term if type(term) is int else term[0] for term in summary)


def _summary(colours: list[int], ragged: bool) -> tuple[Any, ...]:
    """The part of a sum's colour that its terms' colours give: how often each occurs or, if `ragged`, only which."""
    if ragged:
        return tuple(sorted(set(colours)))
    return tuple(sorted(colours if len(colours) <= 4 else Counter(colours).items()))


def group(trace: Trace, n_arguments: int, *, if_regular: bool = False) -> Grouping:
    """The groups of a trace's nodes. Sums of different lengths get one colour where that leaves far fewer colours.

    With `if_regular`, those of a graph that turns out to be irregular are left unfinished.
    """
    exact = Grouping(trace, n_arguments, ragged=False, if_regular=if_regular)
    if exact.irregular or not exact.differs_in_lengths:
        return exact
    return Grouping(trace, n_arguments, ragged=True)

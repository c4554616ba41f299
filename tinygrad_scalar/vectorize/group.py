"""Which scalars become the rows of one array: steps 1 to 3 of how vectorize finds the matrices (`__init__.py`).

1. Chains of additions become one sum: chains.py.
2. Colour the nodes from the leaves up: all parameters share a colour; so do all numbers of one argument, and all
   constants; any other node's colour is its operation and its operands' colours, and whether a gradient reaches it.
   Nodes of one colour become the rows of one array: all of a layer's z, or all sums over a convolution's windows.
3. Order the rows from the cost down, by first use.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_scalar.engine import accelerated
from tinygrad_scalar.engine.graph_arrays import may_cut_off, passing, reached
from tinygrad_scalar.vectorize.branches import paths_with_branches, reached_by_both_sides
from tinygrad_scalar.vectorize.cached_property import cached_property
from tinygrad_scalar.vectorize.chains import EXTREMES, FOLDED, Sums
from tinygrad_scalar.vectorize.cost_model import most_colours
from tinygrad_scalar.vectorize.lookup_tables import distinct_tables

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_scalar.vectorize.trace import Trace

    Indices = NDArray[Any]  # of 32 or 64 bits

CONSTANT, PARAMETER = 0, 1  # colours; those of the arguments follow
TERMS = {*FOLDED, *EXTREMES, "-"}  # operations that can be parts of folds
PER_LEVEL = 8  # nodes in the beginning of what is clearly irregular, for each on which the next ones depend


def native() -> Any:
    """The loops over all nodes in C, or None where they were not built."""
    if not accelerated:
        return None
    try:
        return importlib.import_module("tinygrad_scalar.vectorize._group")
    except ImportError:
        return None


def _with_equal_differences_once(trace: Trace) -> Trace:
    """The trace where a difference that was computed several times, as in (x − c)·(x − c), is one node.

    Only what is no term of a sum: that would keep chains from being merged. Only differences: their gradients are 1 and
    −1, so that it makes no difference, even with infinities, whether what comes from above is added up before or after.
    """
    tape = trace.tape
    if "-" not in tape.names:
        return trace
    n = len(tape.codes)
    sums = np.array([*(name in (*FOLDED, "-") for name in tape.names), False])[tape.codes]  # the last one for leaves
    found = tape.codes == tape.names.index("-")
    found[tape.operands[np.repeat(sums, np.diff(tape.starts))]] = False
    nodes = np.flatnonzero(found)
    first, second = (tape.operands[tape.starts[nodes] + slot].astype(np.int64) for slot in (0, 1))
    _, earliest, which = np.unique(first * n + second, return_index=True, return_inverse=True)
    if earliest.size == nodes.size:
        return trace
    same = np.arange(n, dtype=tape.operands.dtype)
    same[nodes] = nodes[earliest[which]]
    return replace(trace, tape=tape._replace(operands=same[tape.operands]))


class Grouping:
    """Steps 2 and 3: every node's colour and its place among the nodes of that colour.

    keys     what a colour stands for: an operation and its operands' colours, an argument, …
    batched  whether a colour's numbers differ between the examples
    has_distances, has_products  whether Σ (a − b)² may become distances of points, and Σ ab matrix products: not all of
                                 them have gradients of each example
    """

    has_distances = has_products = True
    _make_keys: Callable[[], list[Any]]

    def __init__(
        self, trace: Trace, n_arguments: int, *, ragged: bool, if_regular: bool = False, worth: int = 0
    ) -> None:
        trace = self.trace = _with_equal_differences_once(trace)
        self.roots = [*(i for i, _ in trace.guards), trace.cost]
        self.roots += sorted({*chain(*distinct_tables(table for table, _, _ in trace.lookups.values())[0])})
        self._n_arguments, self._most_colours = n_arguments, most_colours(trace.nodes, worth)
        if if_regular and self._is_deep():
            self.n_colours = self._most_colours + 1
            return
        self.sums = Sums(trace, self.roots, native())
        self._paint(ragged, self._most_colours if if_regular else trace.nodes + n_arguments + 2)

    @property
    def irregular(self) -> bool:
        """Whether hardly anything repeats: almost every colour has few nodes, or sums have terms of many colours."""
        return self.n_colours > self._most_colours or self._n_parts > self._most_colours

    @property
    def _n_parts(self) -> int:
        """In how many parts the terms of all sums are added, by their colours, each a statement of its own."""
        return sum(len(_colours_in(key[1])) for key in self.keys if _is_of_terms(key))

    @property
    def differs_in_lengths(self) -> bool:
        """Whether some colours are sums that differ only in how many terms of each colour they have."""
        sums = [(key[0], _colours_in(key[1])) for key in self.keys if _is_of_terms(key)]
        return len(set(sums)) < len(sums)

    @cached_property
    def keys(self) -> list[Any]:
        return self._make_keys()

    def _is_deep(self) -> bool:
        """Whether the first nodes tell that it is irregular: each of more than `_most_colours` is computed from the one
        before it, so that all have colours of their own."""
        trace, loops = self.trace, native()
        if loops is None:
            return False
        tape, n = trace.tape, min(trace.nodes, PER_LEVEL * self._most_colours)
        leaves = trace.leaves.nodes
        is_constant = tape.codes[:n] < 0
        is_constant[leaves[leaves < n]] = False
        is_constant[[i for i in trace.lookups if i < n]] = False
        is_fold = np.array([name in TERMS for name in tape.names], np.uint8)
        deep: bool = loops.is_deep(
            tape.codes[:n], tape.starts, tape.operands, is_constant.view(np.uint8), is_fold, self._most_colours
        )
        return deep

    # --- step 2 ------------------------------------------------------------------------------------------------------

    def join_lengths(self) -> None:
        """Give sums that differ only in how many terms of each colour they have one colour."""
        self.__dict__.pop("keys", None)
        self._paint(True, self.trace.nodes + self._n_arguments + 2)

    def _paint(self, ragged: bool, most: int) -> None:
        """Colour the nodes, until there are more than `most` colours."""
        trace, sums, n_arguments = self.trace, self.sums, self._n_arguments
        tape = trace.tape
        of_leaves: list[Any] = [("constant",), ("parameter",), *(("argument", a) for a in range(n_arguments))]
        colour = np.where(trace.parameter >= 0, PARAMETER, np.where(trace.argument >= 0, 2 + trace.argument, CONSTANT))
        self.colour = colour.astype(np.int32)
        to_paint = (tape.codes >= 0) & ~sums.absorbed
        to_paint[list(trace.lookups)] = True
        commutes = np.array([name == "*" for name in tape.names], np.uint8)
        arrays: tuple[Any, ...] = (
            tape.codes,
            tape.starts,
            tape.operands,
            to_paint.view(np.uint8),
            self._paths(),
            sums.fold,
            sums.terms,
        )
        rest: tuple[Any, ...] = sums.signs, sums.starts, commutes, trace.lookups, self.colour, n_arguments, ragged, most
        loops = native()
        if loops is None:
            keys, self.batched, self.swapped = _painted(tape.names, *arrays, *rest)
            self.n_colours = len(of_leaves) + len(keys)
            self._make_keys = lambda: [*of_leaves, *keys]
        else:
            palette, self.n_colours, self.batched, self.swapped = loops.paint(*arrays, *rest)
            self._make_keys = lambda: [*of_leaves, *palette.keys(tape.names, FOLDED)]

    def _paths(self) -> NDArray[np.uint8]:
        """For each operation 2 if no gradient reaches it, 1 if only through lookups, 0 otherwise."""
        trace, path = self.trace, np.zeros(self.trace.nodes, np.uint8)
        choices = {i: entries for i, (entries, _, _) in trace.lookups.items()}
        self.in_branch = self.by_choice = np.zeros(trace.nodes, bool)
        if not choices and not may_cut_off(trace.tape):
            return path
        passes = passing(trace.tape).view(np.uint8)
        loops = native()
        find = reached if loops is None else loops.reached
        if "cond" in trace.tape.names:
            find_both = reached_by_both_sides if loops is None else loops.reached_by_both_sides
            path, self.in_branch = paths_with_branches(trace.tape, trace.cost, passes, choices, find, find_both)
            self.by_choice = path == 1
            return path
        always = find(trace.tape.starts, trace.tape.operands, passes, trace.cost, {})
        path[~always] = 2
        if choices:
            by_choice = find(trace.tape.starts, trace.tape.operands, passes, trace.cost, choices)
            path[by_choice & ~always] = 1
            self.by_choice = path == 1
        path[trace.tape.codes < 0] = 0
        return path

    # --- step 3 ------------------------------------------------------------------------------------------------------

    def operands_of(self, nodes: Indices, slot: int) -> Indices:
        """The operand in `slot` of each of some nodes of one colour, in the colour's order."""
        tape = self.trace.tape
        commutes = tape.names[tape.codes[nodes[0]]] == "*"
        loops = native()
        if loops is not None:
            swapped = self.swapped.view(np.uint8) if commutes else None
            found: Indices = loops.operands_of(nodes, slot, tape.starts, tape.operands, swapped)
        else:
            slots = self.swapped[nodes] ^ bool(slot) if commutes else slot
            found = tape.operands[tape.starts[nodes] + slots].astype(np.int64)
        return found

    def terms_of(self, nodes: Indices) -> tuple[Indices, Indices, NDArray[np.int8]]:
        """The terms of sums: for each the place of its sum in `nodes`, the term and its sign."""
        starts, ends = self.sums.starts[nodes], self.sums.starts[nodes + 1]
        counts = ends - starts
        owner = np.repeat(np.arange(len(nodes)), counts)
        at = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(starts, counts)
        return owner, self.sums.terms[at].astype(np.int64), self.sums.signs[at]

    def tables_of(self, nodes: Indices) -> tuple[Indices, Indices]:
        """The tables that lookups of one colour choose from, a row for each, and for each lookup its table."""
        tables, which = distinct_tables(self.trace.lookups[i][0] for i in nodes.tolist())
        return np.array(tables), np.array(which)

    def order(self, read_by: Callable[[Indices], Iterable[Indices]] | None = None) -> None:
        """Step 3: `nodes`, for each colour its nodes in order, and `place`, for each node its row there, or −1.

        `read_by` says what sums of one colour read, in order: not the products that are part of a matrix product.
        """
        trace = self.trace
        self.place = np.where(trace.parameter >= 0, trace.parameter, trace.place).astype(np.int64)
        self.constants = np.zeros(0)
        constant = np.flatnonzero((self.colour == CONSTANT) & ~self.sums.absorbed)
        if constant.size:
            bits, self.place[constant] = np.unique(trace.data[constant].view(np.int64), return_inverse=True)
            self.constants = bits.view(np.float64)  # by their bits, to tell 0 from −0
        loops = native()
        visits = (_Visits if loops is None else loops.Visits)(self.colour, self.place, self.n_colours)
        visits.visit(np.array([*(i for i, _ in trace.guards), trace.cost]))
        for colour in range(self.n_colours - 1, -1, -1):
            nodes = visits.of(colour)
            if nodes.size == 0:
                continue
            kind = self.keys[colour][0]
            if kind == "lookup":
                visits.visit(self.tables_of(nodes)[0].ravel())
            elif kind == "+" and read_by is not None and self.sums.fold[nodes[0]] >= 0:
                for read in read_by(nodes):
                    visits.visit(np.ascontiguousarray(read.ravel(), np.int64))
            elif kind in FOLDED and self.sums.fold[nodes[0]] >= 0:
                visits.visit(self.terms_of(nodes)[1])
            else:
                for slot in range(len(self.keys[colour]) - 1):
                    visits.visit(self.operands_of(nodes, slot))
        self.nodes: list[Indices] = [visits.of(colour) for colour in range(self.n_colours)]


def _painted(
    names: list[str],
    codes: Indices,
    starts: Indices,
    operands: Indices,
    to_paint: Any,
    path: Any,
    fold: Any,
    terms: Indices,
    signs: Any,
    term_starts: Indices,
    commutes: Any,
    lookups: dict[int, tuple[list[int], int, int]],
    colour: Indices,
    n_arguments: int,
    ragged: bool,
    most: int,
) -> tuple[list[Any], list[bool], NDArray[np.bool_]]:
    """Paint the nodes: `colour`, which has the leaves' colours, becomes that of all. In C: `paint` in _group.pyx.

    The keys of the new colours, for each colour whether it is batched, and which products' operands are swapped.
    """
    keys: list[Any] = []
    batched = [False, False, *([True] * n_arguments)]
    colours: tuple[dict[Any, int], ...] = ({}, {}, {})  # by how a gradient reaches them
    swapped = np.zeros(len(codes), bool)
    c = colour.tolist()
    looked_up: dict[Any, Any] = {}  # the colours of lookups, by table
    for i in np.flatnonzero(to_paint).tolist():
        code = int(codes[i])
        if code < 0:
            entries, argument, _ = lookups[i]
            key: Any = looked_up.get((id(entries), argument))
            if key is None:
                key = ("lookup", tuple(sorted({c[entry] for entry in entries})), len(entries), argument)
                looked_up[id(entries), argument] = key
            below = [2 + argument]  # different in every example
        elif fold[i] >= 0:
            s, e = term_starts[i], term_starts[i + 1]
            below = [c[term] for term in terms[s:e].tolist()]
            signed = [b if sign > 0 else -1 - b for b, sign in zip(below, signs[s:e].tolist())]
            key = (FOLDED[fold[i]], _summary(signed, ragged))
        else:
            below = [c[operand] for operand in operands[starts[i] : starts[i + 1]].tolist()]
            if commutes[code]:
                x, y = below
                if batched[x] > batched[y] or (x > y and batched[x] == batched[y]):
                    below = [y, x]
                    swapped[i] = True
            key = (names[code], *below)
        if code >= 0 and below.count(CONSTANT) == len(below):
            continue  # a constant itself
        found = colours[path[i]].get(key)
        if found is None:
            found = colours[path[i]][key] = len(batched)
            keys.append(key)
            batched.append(any(batched[b] for b in below))
            if len(batched) > most:
                break
        c[i] = found
    colour[:] = c
    return keys, batched, swapped


class _Visits:
    """The nodes of each colour in the order in which they were visited first; `place` is filled in. In C: _group.pyx"""

    def __init__(self, colour: Indices, place: Indices, n_colours: int) -> None:
        self._colour, self._place = colour, place
        self._nodes: list[Indices] = [np.empty(0, np.int64) for _ in range(n_colours)]

    def visit(self, nodes: Indices) -> None:
        new = nodes[self._place[nodes] < 0]
        unique, first = np.unique(new, return_index=True)
        unique = unique[np.argsort(first)]
        colours = self._colour[unique]
        for colour in np.unique(colours):
            mine = unique[colours == colour]
            before = self._nodes[colour]
            self._place[mine] = np.arange(before.size, before.size + mine.size)
            self._nodes[colour] = np.concatenate([before, mine])

    def of(self, colour: int) -> Indices:
        return self._nodes[colour]


def _is_of_terms(key: Any) -> bool:
    """Whether a colour is of sums, or other folds, whose terms it tells."""
    return key[0] in FOLDED and type(key[1]) is tuple


def _colours_in(summary: tuple[Any, ...]) -> frozenset[int]:
    """The colours of the terms that a summary is of."""
    return frozenset(term if type(term) is int else term[0] for term in summary)


def _summary(colours: list[int], ragged: bool) -> tuple[Any, ...]:
    """The part of a sum's colour that its terms' colours give: how often each occurs or, if `ragged`, only which."""
    if ragged:
        return tuple(sorted(set(colours)))
    return tuple(sorted(colours if len(colours) <= 4 else Counter(colours).items()))


def group(trace: Trace, n_arguments: int, *, if_regular: bool = False, worth: int = 0) -> Grouping:
    """The groups of a trace's nodes. Sums of different lengths get one colour where that leaves far fewer colours.

    With `if_regular`, those of a graph that turns out to be irregular are left unfinished; `worth` is the number of
    colours that would be worth it to write, should they be more than what counts as regular.
    """
    found = Grouping(trace, n_arguments, ragged=False, if_regular=if_regular, worth=worth)
    if not found.irregular and found.differs_in_lengths:
        found.join_lengths()
    return found

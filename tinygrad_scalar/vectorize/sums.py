"""How sums are computed, and in which order rows are stored: part of step 4 of how vectorize finds the matrices.

A sum's products that are part of a matrix product come first. The other terms of one colour and sign are gathered: as
(sums, terms) where each sum has as many of them, else each with the number of its sum.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_scalar.vectorize.distinct import all_differ, ascending, by_key, numbered
from tinygrad_scalar.vectorize.products import NOWHERE, Blocks, Pull, distances, matrix_products, pulls, square_of
from tinygrad_scalar.vectorize.program import Distances, Product

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_scalar.vectorize.group import Grouping

    Indices = NDArray[np.int64]

MOST_LENGTHS = 2  # of sums that are gathered by their length
MOST_ORDERS = 8  # that are tried: each takes as long as to look at all operands


class Part:
    """Terms of one sign in some sums, whose numbers, `sums`, ascend; `colours` are those of the nodes that it reads."""

    sign: float
    sums: Indices

    def reads(self) -> Iterator[Indices]:
        """The nodes that it reads, in the order in which they are best stored."""
        raise NotImplementedError

    def rearrange(self, number: Indices) -> None:
        """Let sum i have the number number[i] instead."""
        sums = number[self.sums]
        order = np.argsort(sums, kind="stable")
        self.sums = sums[order]
        self._reorder(order)

    def _reorder(self, order: Indices) -> None:
        raise NotImplementedError


class TermsPart(Part):
    """Terms of one colour: the row i of `terms` is part of the sum sums[i]."""

    def __init__(self, colour: int, sign: float, sums: Indices, terms: Indices) -> None:
        self.colour, self.sign, self.sums, self.terms = colour, sign, sums, terms

    def reads(self) -> Iterator[Indices]:
        yield self.terms

    def _reorder(self, order: Indices) -> None:
        self.terms = self.terms[order]


class MatrixPart(Part):
    """Products that are one matrix product, or squared differences as distances."""

    def __init__(self, kind: type[Product | Distances], op: str, sign: float, blocks: Blocks) -> None:
        self.kind, self.op, self.sign, self.blocks, self.sums = kind, op, sign, blocks, blocks.sums

    def reads(self) -> Iterator[Indices]:
        yield self.blocks.left[self.blocks.left != NOWHERE]
        yield self.blocks.right

    def _reorder(self, order: Indices) -> None:
        self.blocks = self.blocks._replace(sums=self.sums, places=self.blocks.places[order])


class PullPart(Part):
    """Terms that are the derivative of squared distances."""

    def __init__(self, sign: float, pull: Pull) -> None:
        self.sign, self.pull, self.sums, self.table = -sign if pull.is_less else sign, pull, pull.sums, pull.table

    def reads(self) -> Iterator[Indices]:
        yield self.pull.left
        yield self.pull.right
        yield self.pull.d

    def _reorder(self, order: Indices) -> None:
        self.table = self.table[order]


def parts_of(g: Grouping, nodes: Indices) -> list[Part]:
    """The parts of sums of one colour: matrix products first, so that the rest is added to them in place."""
    owner, terms, signs = g.terms_of(nodes)
    alone = _lone_terms(g, terms, signs) if nodes.size == 1 else []
    if alone:
        return alone
    distinct, kind = numbered(g.colour[terms])
    parts: list[Part] = []
    left = np.ones(len(terms), bool)
    # In a branch of ts.cond each term is kept apart: those of examples that do not get there can be nan.
    kinds = [] if g.in_branch[nodes].any() else distinct.tolist()
    is_square = np.array([square_of(g, c) != NOWHERE for c in kinds], bool)
    is_product = np.array([g.keys[c][0] == "*" for c in kinds], bool) & ~is_square
    # What a lookup did not choose has no part in the gradient: that of distances does not know about it.
    by_choice = bool(g.by_choice[nodes].any())
    has_distances = g.has_distances and not by_choice
    is_square &= has_distances
    is_product &= g.has_products
    is_signed_product = is_product | np.array([g.keys[c][0] == "neg" for c in kinds], bool)
    if has_distances:
        for sign in (1.0, -1.0) if is_signed_product.any() else ():
            chosen = np.flatnonzero(is_signed_product[kind] & (signs == sign))
            for which, pull in pulls(g, owner[chosen], terms[chosen]) if chosen.size else ():
                parts.append(PullPart(sign, pull))
                left[chosen[which]] = False
    find_products = partial(matrix_products, plain=by_choice)
    for form, some, find in ((Distances, is_square, distances), (Product, is_product, find_products)):
        for sign in (1.0, -1.0) if some.any() else ():
            chosen = np.flatnonzero(some[kind] & (signs == sign) & left)
            for which, blocks in find(g, owner[chosen], terms[chosen]) if chosen.size else ():
                op = g.keys[int(distinct[kind[chosen[which[0]]]])][0]
                parts.append(MatrixPart(form, op, sign, blocks))
                left[chosen[which]] = False
    owner, terms = owner[left], terms[left]
    for both, mine in by_key((kind * 2 + (signs < 0))[left]):
        of_sum, its = owner[mine], terms[mine]
        colour, sign = int(distinct[both // 2]), -1.0 if both % 2 else 1.0
        counts = np.bincount(of_sum, minlength=nodes.size)
        lengths = ascending(counts[counts > 0]).tolist()
        if len(lengths) > MOST_LENGTHS:
            parts.append(TermsPart(colour, sign, of_sum, its[:, None]))
            continue
        for length in lengths:
            equal = its[counts[of_sum] == length].reshape(-1, length)
            parts.append(TermsPart(colour, sign, np.flatnonzero(counts == length), equal))
    return parts


def _lone_terms(g: Grouping, terms: Indices, signs: NDArray[np.int8]) -> list[Part]:
    """The parts of one sum whose terms have nothing in common; none if some have."""
    if not all_differ(g.colour[terms] * 2 + (signs < 0)):
        return []
    kinds = zip(g.colour[terms].tolist(), signs.tolist())
    first = np.zeros(1, np.int64)
    return [TermsPart(colour, float(sign), first, terms[k : k + 1, None]) for k, (colour, sign) in enumerate(kinds)]


def better_order(rows: Sequence[Indices], fixed: bool) -> Indices | None:
    """An order of nodes in which fewer operands must be gathered than as they are, or None.

    rows   for each operand the places of its rows: rows[i] are read by node i; it counts if no row is read twice
    fixed  whether something reads the nodes as they are, and would have to gather them
    """
    if all(map(_is_run, rows)):
        return None
    rows = [places for places in rows if all_differ(places.ravel())]
    best, least, tried = None, sum(not _is_run(places) for places in rows), set[bytes]()
    for places in rows:
        order = np.argsort(places.reshape(len(places), -1)[:, 0], kind="stable")
        if len(tried) == MOST_ORDERS:
            break
        if (key := order.tobytes()) not in tried:
            tried.add(key)
            gathers = fixed + sum(not _is_run(places[order]) for places in rows)
            if gathers < least:
                best, least = order, gathers
    return best


def _is_run(places: Indices) -> bool:
    """Whether these are consecutive rows in order: a view of them is enough."""
    if places.size == 1:
        return True
    flat = places.ravel()
    if flat[-1] - flat[0] != flat.size - 1 or flat[1] - flat[0] != 1:
        return False
    return bool((flat == np.arange(flat[0], flat[0] + flat.size)).all())

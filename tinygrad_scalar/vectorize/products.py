"""Which sums of products are matrix products: part of step 4 of how vectorize finds the matrices (`__init__.py`).

Each sum is Σₜ l[t]·r[t]. The sums that share the factors l, its left row, have different right rows: the columns of a
matrix. Where left rows meet the same rows of such matrices, they are rows of one matrix: a block. Blocks of equal shape
are one batched product: attention's heads, a mixture's components, the channels of a grouped convolution. In a
triangular product the left rows have different lengths; what is missing is 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_scalar.vectorize.group import Grouping

    Indices = NDArray[np.int64]

LEAST_FULL = 1 / 3  # of a block's left factors: more zeros would cost more than they save
LEAST_SUMS = 4  # of a batched product
NOWHERE = -1  # where a block has no left factor


class Blocks(NamedTuple):
    """Matrices of nodes left[b] (p, k) and right[b] (k, q), and for each of the sums `sums`, which ascend, its place.

    places  b·p·q + i·q + j
    """

    left: Indices
    right: Indices
    sums: Indices
    places: Indices


def matrix_products(g: Grouping, owner: Indices, terms: Indices, *, plain: bool) -> list[tuple[Indices, Blocks]]:
    """Matrix products among products of one sign, each with which of the terms it has; term t is of sum owner[t].

    `plain` is for one matrix each, the same for all examples.
    """
    found: list[tuple[Indices, Blocks]] = []
    colours = g.colour[terms]
    by_factors: dict[tuple[bool, ...], list[int]] = {}  # colours, by whether their factors differ between examples
    for colour in dict.fromkeys(colours.tolist()):
        by_factors.setdefault(tuple(g.batched[factor] for factor in g.keys[colour][1:]), []).append(colour)
    for (of_each_example, _), alike in by_factors.items():
        some = np.flatnonzero(np.isin(colours, alike))
        if np.bincount(owner[some]).max() == 1:
            continue  # a lone product is element-wise
        if plain and of_each_example:
            continue
        ways = [_grids] if plain else [_grids, _blocks]
        lengths = [np.bincount(owner[colours == colour]) for colour in alike]
        if any(np.unique(length[length > 0]).size > 1 for length in lengths):
            ways.reverse()
        for way in ways:
            for which, product in way(g, owner, terms, some, of_each_example):
                found.append((which, product))
                some = np.setdiff1d(some, which, assume_unique=True)
            if not some.size:
                break
    return found


def square_of(g: Grouping, colour: int) -> int:
    """The colour of the differences of which the nodes of a colour are the squares, or NOWHERE."""
    kind, *below = g.keys[colour]
    difference = below[0] if kind in ("**2", "*") and len(set(below)) == 1 else NOWHERE
    return difference if difference >= 0 and g.keys[difference][0] == "-" else NOWHERE


def distances(g: Grouping, owner: Indices, terms: Indices) -> list[tuple[Indices, Blocks]]:
    """Squared distances among squared differences, as in `matrix_products`: left − right for each pair of factors."""

    def factors(squares: Indices) -> tuple[Indices, Indices]:
        differences = g.operands_of(squares, 0)
        x, y = (g.operands_of(differences, slot) for slot in (0, 1))
        same = g.batched[int(g.colour[y[0]])]
        return (x, y) if same else (y, x)

    def is_distance(colour: int) -> bool:
        factors_batched = {g.batched[c] for c in g.keys[square_of(g, colour)][1:]}
        nodes = terms[g.colour[terms] == colour]
        x, y = (g.operands_of(nodes, slot) for slot in (0, len(g.keys[colour]) - 2))
        return factors_batched == {False, True} and bool((x == y).all())

    colours = g.colour[terms]
    some = np.flatnonzero(np.isin(colours, [c for c in np.unique(colours).tolist() if is_distance(c)]))
    found = _grids(g, owner, terms, some, False, factors)
    return [(which, product) for which, product in found if product.left.shape[1] > 1]


def _grids(
    g: Grouping,
    owner: Indices,
    terms: Indices,
    some: Indices,
    of_each_example: bool,
    factors: Callable[[Indices], tuple[Indices, Indices]] | None = None,
) -> Iterable[tuple[Indices, Blocks]]:
    """Products of one colour, equally many in each of several sums, that are one matrix product."""
    colours = g.colour[terms[some]]
    for colour in dict.fromkeys(colours.tolist()):
        mine = some[colours == colour]
        left, right = factors(terms[mine]) if factors else (g.operands_of(terms[mine], slot) for slot in (0, 1))
        counts = np.bincount(owner[mine])[owner[mine]]
        for count in np.unique(counts[counts > 1]).tolist():
            equal = counts == count
            product = _grid(left[equal].reshape(-1, count), right[equal].reshape(-1, count))
            if product is not None and (
                not of_each_example or _repays_copies(product.left.shape[1], product.right.shape[2])
            ):
                yield mine[equal], product._replace(sums=owner[mine[equal]][::count])


def _repays_copies(p: int, q: int) -> bool:
    """Whether a product for each example, for which BLAS needs copies, is faster than gathering all factors."""
    return p * q >= 2 * (p + q)


def _blocks(
    g: Grouping, owner: Indices, terms: Indices, some: Indices, of_each_example: bool
) -> Iterable[tuple[Indices, Blocks]]:
    """Batched products, whose factors may have several colours."""
    left, right = np.empty(len(some), np.int64), np.empty(len(some), np.int64)
    colours = g.colour[terms[some]]
    for colour in dict.fromkeys(colours.tolist()):
        mine = colours == colour
        left[mine], right[mine] = (g.operands_of(terms[some[mine]], slot) for slot in (0, 1))
    for product in blocks(owner[some], left, right, of_each_example=of_each_example):
        which = some[np.isin(owner[some], product.sums)]
        if 4 * len(which) >= len(some):  # else there would be many small products
            yield which, product


def _grid(left: Indices, right: Indices) -> Blocks | None:
    """Sums as one block, if each pair of a distinct left and a distinct right row occurs exactly once."""
    left_first, left_id = _distinct_rows(left)
    right_first, right_id = _distinct_rows(right)
    p, q = len(left_first), len(right_first)
    if p * q != len(left):
        return None
    places = left_id * q + right_id
    if np.bincount(places, minlength=p * q).max() > 1:
        return None
    return Blocks(left[left_first][None], right[right_first].T[None], np.arange(len(left)), places)


def _distinct_rows(rows: Indices) -> tuple[Indices, Indices]:
    """Where each distinct row first occurs, in that order, and for each row which of them it is."""
    numbers: dict[bytes, int] = {}
    ids = np.empty(len(rows), np.int64)
    first: list[int] = []
    contiguous = np.ascontiguousarray(rows)
    for i in range(len(rows)):
        key = contiguous[i].tobytes()
        number = numbers.setdefault(key, len(numbers))
        if number == len(first):
            first.append(i)
        ids[i] = number
    return np.array(first, np.int64), ids


def blocks(sums: Indices, left: Indices, right: Indices, *, of_each_example: bool) -> list[Blocks]:
    """The batched products of sums; term t is left[t]·right[t] and belongs to sums[t], which ascend.

    `of_each_example` says whether left factors differ between examples too.
    """
    bounds = np.flatnonzero(np.diff(sums, prepend=-1, append=-1))
    uses: dict[bytes, list[int]] = {}  # of each left row: the sums that it is part of
    for s, (start, end) in enumerate(pairwise(bounds)):
        uses.setdefault(left[start:end].tobytes(), []).append(s)
    rows = [_LeftRow(left, right, bounds, its_sums) for its_sums in uses.values()]
    numbers: dict[bytes, int] = {}  # of the rows of the right matrices
    for row in rows:
        row.columns = [numbers.setdefault(column.tobytes(), len(numbers)) for column in row.matrix]
    if sum(len(row.columns) for row in rows) == len(numbers) and all(row.matrix.shape[1] == 1 for row in rows):
        return []  # nothing is used twice
    by_shape: dict[tuple[int, int, int], list[_Block]] = {}
    for some in _connected(rows, len(numbers)):
        block = _Block(some)
        if block.is_worthwhile(of_each_example):
            by_shape.setdefault(block.shape, []).append(block)
    distinct = sums[bounds[:-1]]
    found = []
    for (p, _, q), alike in by_shape.items():
        if len(alike) * p * q < LEAST_SUMS:
            continue
        places = [b * p * q + place for b, block in enumerate(alike) for place in block.places]
        its = distinct[[s for block in alike for s in block.sums]]
        matrices = np.array([block.left for block in alike]), np.array([block.right for block in alike])
        ascending = np.argsort(its)
        found.append(Blocks(*matrices, its[ascending], np.array(places)[ascending]))
    return found


class _LeftRow:
    """The left factors of some sums, and their right factors as the columns of a matrix, each once."""

    columns: Sequence[int]  # for each left factor the number of its row of `matrix`

    def __init__(self, left: Indices, right: Indices, bounds: Indices, sums: list[int]) -> None:
        self.left = left[bounds[sums[0]] : bounds[sums[0] + 1]]
        rows = [right[bounds[s] : bounds[s + 1]] for s in sums]
        if len(sums) > 1:
            ordered, number = np.unique(np.array(rows), axis=0, return_inverse=True)
            self.matrix, self.column_of = np.ascontiguousarray(ordered.T), number.ravel()
        else:
            self.matrix, self.column_of = rows[0][:, None], np.zeros(1, np.int64)
        self.sums = sums


def _connected(rows: list[_LeftRow], n: int) -> Iterable[list[_LeftRow]]:
    """The left rows in groups that have no column in common with another group."""
    parent = list(range(n))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = i = parent[parent[i]]
        return i

    for row in rows:
        first = root(row.columns[0])
        for column in row.columns[1:]:
            parent[root(column)] = first
    groups: dict[int, list[_LeftRow]] = {}
    for row in rows:
        groups.setdefault(root(row.columns[0]), []).append(row)
    return groups.values()


class _Block:
    """One matrix product: of left rows that share the rows of the right matrix."""

    def __init__(self, rows: list[_LeftRow]) -> None:
        factors = {c: factor for row in rows for c, factor in zip(row.columns, row.matrix)}
        columns = sorted(factors, key=lambda c: int(factors[c][0]))
        place = {c: i for i, c in enumerate(columns)}
        self.right = np.array([factors[c] for c in columns])
        q = self.right.shape[1]
        self.left = np.full((len(rows), len(columns)), NOWHERE)
        for i, row in enumerate(rows):
            self.left[i, [place[c] for c in row.columns]] = row.left
        self.n_terms = sum(len(row.left) for row in rows)
        self.sums = [s for row in rows for s in row.sums]
        self.places = [i * q + int(j) for i, row in enumerate(rows) for j in row.column_of]

    @property
    def shape(self) -> tuple[int, int, int]:
        return (*self.left.shape, self.right.shape[1])

    def is_worthwhile(self, of_each_example: bool) -> bool:
        """Whether this is faster than gathering all factors, multiplying them and adding them up."""
        p, k, q = self.shape
        there = int((self.left != NOWHERE).sum())
        if there < self.n_terms or there < LEAST_FULL * p * k or k == 1:  # one factor is there twice, or few are
            return False
        return there == p * k and _repays_copies(p, q) if of_each_example else p * q > 1

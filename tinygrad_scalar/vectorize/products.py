"""Which sums of products are matrix products: part of step 4 of how vectorize finds the matrices (`__init__.py`).

Each sum is Σₜ l[t]·r[t]. The sums that share the factors l, its left row, have different right rows: the columns of a
matrix. Where left rows meet the same rows of such matrices, they are rows of one matrix: a block. Blocks of equal shape
are one batched product: attention's heads, a mixture's components, the channels of a grouped convolution. In a
triangular product the left rows have different lengths; what is missing is 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_scalar.vectorize.distinct import ascending, by_key, connected, distinct_rows, equal_rows, numbered, ragged
from tinygrad_scalar.vectorize.group import CONSTANT

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
    colours, inverse = numbered(g.colour[terms])
    by_factors: dict[tuple[bool, ...], list[int]] = {}  # colours, by whether their factors differ between examples
    for number, colour in enumerate(colours.tolist()):
        by_factors.setdefault(tuple(g.batched[factor] for factor in g.keys[colour][1:]), []).append(number)
    kinds = np.empty(len(colours), np.int64)
    for kind, alike in enumerate(by_factors.values()):
        kinds[alike] = kind
    factors = list(by_factors)
    for kind, some in by_key(kinds[inverse]):
        of_each_example = factors[kind][0]
        if np.bincount(owner[some]).max() == 1:
            continue  # a lone product is element-wise
        if plain and of_each_example:
            continue
        ways = [_grids] if plain else [_grids, _blocks]
        if _differ_in_length(owner[some], inverse[some]):
            ways.reverse()
        for way in ways:
            for which, product in way(g, owner, terms, some, of_each_example):
                found.append((which, product))
                left = np.zeros(len(terms), bool)
                left[some] = True
                left[which] = False
                some = np.flatnonzero(left)
            if not some.size:
                break
    return found


def _differ_in_length(owner: Indices, colours: Indices) -> bool:
    """Whether of one colour some sums have more terms than others."""
    for _, mine in by_key(colours):
        lengths = np.diff(np.flatnonzero(np.diff(owner[mine], prepend=-1, append=-1)))
        if (lengths != lengths[0]).any():
            return True
    return False


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

    def is_distance(colour: int, nodes: Indices) -> bool:
        factors_batched = {g.batched[c] for c in g.keys[square_of(g, colour)][1:]}
        x, y = (g.operands_of(nodes, slot) for slot in (0, len(g.keys[colour]) - 2))
        return factors_batched == {False, True} and bool((x == y).all())

    squared = [mine for colour, mine in by_key(g.colour[terms]) if is_distance(colour, terms[mine])]
    some = np.sort(np.concatenate(squared)) if squared else np.empty(0, np.int64)
    found = _grids(g, owner, terms, some, False, factors)
    return [(which, product) for which, product in found if product.left.shape[1] > 1]


class Pull(NamedTuple):
    """Nodes d (p), left (p, k) and right (k), of which sums have the terms dᵢ·2(leftᵢₜ − rightₜ), or less that.

    sums   the sums, which ascend
    table  for each of them the t of its terms, of which it has those of every i
    """

    d: Indices
    left: Indices
    right: Indices
    sums: Indices
    table: Indices
    is_less: bool


def pulls(g: Grouping, owner: Indices, terms: Indices) -> list[tuple[Indices, Pull]]:
    """Derivatives of squared distances among products and what is less a product, as in `matrix_products`.

    d differs between the examples, as what a minimum gives each distance does.
    """
    found: list[tuple[Indices, Pull]] = []
    for colour, which in by_key(g.colour[terms]):
        nodes, is_negative = terms[which], g.keys[colour][0] == "neg"
        if is_negative:
            nodes, colour = g.operands_of(nodes, 0), g.keys[colour][1]
        kind, *factors = g.keys[colour]
        if kind != "*":
            continue
        twice = [slot for slot in (0, 1) if _is_twice_a_difference(g, factors[slot]) and g.batched[factors[1 - slot]]]
        if len(twice) != 1:
            continue
        scaled = g.operands_of(nodes, twice[0])
        if (g.trace.data[g.operands_of(scaled, 0)] != 2.0).any():
            continue
        differences = g.operands_of(scaled, 1)
        x, y = (g.operands_of(differences, slot) for slot in (0, 1))
        is_swapped = bool(g.batched[int(g.colour[x[0]])])
        pull = _pull(owner[which], g.operands_of(nodes, 1 - twice[0]), *((y, x) if is_swapped else (x, y)))
        if pull is not None:
            found.append((which, pull._replace(is_less=is_swapped != is_negative)))
    return found


def _is_twice_a_difference(g: Grouping, colour: int) -> bool:
    """Whether nodes are a number times a difference of which one side is the same in all examples."""
    kind, *below = g.keys[colour]
    if kind != "*" or below[0] != CONSTANT or g.keys[below[1]][0] != "-":
        return False
    return {g.batched[side] for side in g.keys[below[1]][1:]} == {False, True}


def _pull(owner: Indices, d: Indices, left: Indices, right: Indices) -> Pull | None:
    """Terms as the derivative of distances, if each pair of a distinct d and a distinct right occurs exactly once."""
    (d_first, i), (right_first, t) = (equal_rows(nodes[:, None]) for nodes in (d, right))
    p, k = len(d_first), len(right_first)
    if p < 2 or p * k != len(d) or np.bincount(i * k + t, minlength=p * k).max() > 1:
        return None
    sum_of = owner[right_first]
    if (sum_of[t] != owner).any():
        return None
    sums, number = np.unique(sum_of, return_inverse=True)
    if (np.bincount(number) * len(sums) != k).any():
        return None
    table = np.argsort(number, kind="stable").reshape(len(sums), -1)
    matrix = np.empty((p, k), np.int64)
    matrix[i, t] = left
    return Pull(d[d_first], matrix, right[right_first], sums, table, False)


def _grids(
    g: Grouping,
    owner: Indices,
    terms: Indices,
    some: Indices,
    of_each_example: bool,
    factors: Callable[[Indices], tuple[Indices, Indices]] | None = None,
) -> Iterable[tuple[Indices, Blocks]]:
    """Products of one colour, equally many in each of several sums, that are one matrix product."""
    for _, which in by_key(g.colour[terms[some]]):
        mine = some[which]
        left, right = factors(terms[mine]) if factors else (g.operands_of(terms[mine], slot) for slot in (0, 1))
        counts = np.bincount(owner[mine])[owner[mine]]
        for count, equal in by_key(counts):
            if count == 1:
                continue
            product = _grid(left[equal].reshape(-1, count), right[equal].reshape(-1, count))
            if product is not None and (
                not of_each_example or _repays_copies(product.left.shape[1], product.right.shape[2])
            ):
                yield mine[equal], product._replace(sums=owner[mine[equal]][::count])


def _repays_copies(p: Any, q: Any) -> Any:
    """Whether a product for each example, for which BLAS needs copies, is faster than gathering all factors."""
    return p * q >= 2 * (p + q)


def _blocks(
    g: Grouping, owner: Indices, terms: Indices, some: Indices, of_each_example: bool
) -> Iterable[tuple[Indices, Blocks]]:
    """Batched products, whose factors may have several colours."""
    left, right = np.empty(len(some), np.int64), np.empty(len(some), np.int64)
    for _, mine in by_key(g.colour[terms[some]]):
        left[mine], right[mine] = (g.operands_of(terms[some[mine]], slot) for slot in (0, 1))
    its = owner[some]
    for product in blocks(its, left, right, of_each_example=of_each_example):
        covered = np.zeros(its[-1] + 1, bool)
        covered[product.sums] = True
        which = some[covered[its]]
        if 4 * len(which) >= len(some):  # else there would be many small products
            yield which, product


def _grid(left: Indices, right: Indices) -> Blocks | None:
    """Sums as one block, if each pair of a distinct left and a distinct right row occurs exactly once."""
    left_first, left_id = equal_rows(left)
    right_first, right_id = equal_rows(right)
    p, q = len(left_first), len(right_first)
    if p * q != len(left):
        return None
    places = left_id * q + right_id
    if np.bincount(places, minlength=p * q).max() > 1:
        return None
    return Blocks(left[left_first][None], right[right_first].T[None], np.arange(len(left)), places)


def blocks(sums: Indices, left: Indices, right: Indices, *, of_each_example: bool) -> list[Blocks]:
    """The batched products of sums; term t is left[t]·right[t] and belongs to sums[t], which ascend.

    `of_each_example` says whether left factors differ between examples too.
    """
    bounds = np.flatnonzero(np.diff(sums, prepend=-1, append=-1))
    left_first, left_row = distinct_rows(left, bounds)  # of each sum
    _, right_row = distinct_rows(right, bounds)
    k, n_left = np.diff(bounds)[left_first], len(left_first)

    # The columns of each left row: the right rows that it meets, in the order of their first factors.
    order = np.lexsort((right_row, right[bounds[:-1]], left_row))
    new_left = np.diff(left_row[order], prepend=-1) != 0
    new = new_left | (np.diff(right_row[order], prepend=-1) != 0)
    column_sums = order[new]  # a sum that has the column
    first_column = np.flatnonzero(new_left[new])
    q = np.diff(first_column, append=len(column_sums))
    column = np.empty_like(order)
    column[order] = np.cumsum(new) - 1 - first_column[left_row[order]]

    # Each left factor has a row of right factors, one in each column. Equal ones are one row of a right matrix.
    factors, of_left, at = ragged(k)
    entries, row, its_column = ragged(q[of_left])
    numbers = right[bounds[column_sums[first_column[of_left[row]] + its_column]] + at[row]]
    first, matrix_row = distinct_rows(numbers, entries)
    if len(first) == len(of_left) and (q == 1).all():
        return []  # nothing is used twice
    block = connected(matrix_row, factors, len(first))  # of each left row
    block_of_row = np.empty(len(first), np.int64)
    block_of_row[matrix_row] = block[of_left]

    n_blocks = int(block.max()) + 1
    p, n_rows = np.bincount(block, minlength=n_blocks), np.bincount(block_of_row, minlength=n_blocks)
    columns = np.empty(n_blocks, np.int64)
    columns[block] = q
    n_terms = np.bincount(block[of_left], minlength=n_blocks)
    there = np.bincount(block[ascending(of_left * len(first) + matrix_row) // len(first)], minlength=n_blocks)
    found = []
    _, shape = equal_rows(np.column_stack([p, n_rows, columns]))
    shape[~_is_worthwhile(p, n_rows, columns, there, n_terms, of_each_example)] = NOWHERE
    place_in_block = _places(block, np.arange(n_left))
    row_in_block = _places(block_of_row, numbers[entries[first]])
    distinct = sums[bounds[:-1]]
    for which, alike in by_key(shape):
        size = int(p[alike[0]]), int(n_rows[alike[0]]), int(columns[alike[0]])
        if which == NOWHERE or len(alike) * size[0] * size[2] < LEAST_SUMS:
            continue
        number = np.full(n_blocks, NOWHERE)
        number[alike] = np.arange(len(alike))
        lefts = np.full((len(alike), *size[:2]), NOWHERE)
        some = np.flatnonzero(number[block[of_left]] != NOWHERE)
        its = of_left[some]
        lefts[number[block[its]], place_in_block[its], row_in_block[matrix_row[some]]] = left[
            bounds[left_first[its]] + at[some]
        ]
        rights = np.empty((len(alike), *size[1:]), np.int64)
        rows = np.flatnonzero(number[block_of_row] != NOWHERE)
        rights[number[block_of_row[rows]], row_in_block[rows]] = numbers[
            entries[first[rows], None] + np.arange(size[2])
        ]
        its_sums = np.flatnonzero(number[block[left_row]] != NOWHERE)
        of_sum = left_row[its_sums]
        places = (number[block[of_sum]] * size[0] + place_in_block[of_sum]) * size[2] + column[its_sums]
        found.append(Blocks(lefts, rights, distinct[its_sums], places))
    return found


def _places(group: Indices, order: Indices) -> Indices:
    """For each element its place among those of its group, in ascending order of `order`."""
    sorted_ = np.lexsort((order, group))
    place = np.empty_like(sorted_)
    counts = np.bincount(group)
    place[sorted_] = np.arange(len(group)) - np.repeat(np.cumsum(counts) - counts, counts)
    return place


def _is_worthwhile(p: Any, k: Any, q: Any, there: Any, n_terms: Any, of_each_example: bool) -> Any:
    """Whether blocks (p, k, q) are faster than gathering all factors, multiplying them and adding them up.

    `there` is how many of a block's left factors there are; of as many terms, if none is there twice.
    """
    full = (there == n_terms) & (there >= LEAST_FULL * p * k) & (k > 1)
    return full & ((there == p * k) & _repays_copies(p, q) if of_each_example else p * q > 1)

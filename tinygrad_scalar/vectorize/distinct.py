"""Equal rows among many, rows that have something in common, and what has the same key: in linear time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_scalar.vectorize.group import native

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Indices = NDArray[np.int64]


def by_key(keys: NDArray[Any]) -> Iterator[tuple[int, Indices]]:
    """Each key with the places where it stands, which ascend; the keys in the order in which they first occur."""
    distinct, number = numbered(keys)
    if distinct.size < 2:
        for key in distinct.tolist():
            yield key, np.arange(keys.size)
        return
    # NumPy sorts 16 bits in linear time
    order = np.argsort(number.astype(np.uint16) if distinct.size < 1 << 16 else number, kind="stable")
    bounds = np.zeros(distinct.size + 1, np.int64)
    np.cumsum(np.bincount(number), out=bounds[1:])
    for k in np.argsort(order[bounds[:-1]]).tolist():
        yield int(distinct[k]), order[bounds[k] : bounds[k + 1]]


def numbered(keys: NDArray[Any]) -> tuple[NDArray[Any], Indices]:
    """The distinct keys, which ascend, and for each key which of them it is."""
    if keys.size == 0 or (keys == keys[0]).all():
        return keys[:1], np.zeros(keys.size, np.int64)
    least = int(keys.min())
    span = int(keys.max()) - least + 1
    if span > 4 * keys.size:
        distinct, number = np.unique(keys, return_inverse=True)
        return distinct, number
    there = np.zeros(span, bool)
    there[keys - least] = True
    number = np.cumsum(there) - 1
    return np.flatnonzero(there) + least, number[keys - least]


def ascending(numbers: NDArray[Any]) -> NDArray[Any]:
    """The distinct numbers, which ascend: np.unique, which takes 70 times as long on a million in NumPy 2.4."""
    in_order = np.sort(numbers, axis=None)
    return np.concatenate([in_order[:1], in_order[1:][in_order[1:] != in_order[:-1]]])


def all_differ(numbers: NDArray[Any]) -> bool:
    """Whether no number is there twice."""
    least = int(numbers.min())
    span = int(numbers.max()) - least + 1
    if span > 4 * numbers.size:
        return ascending(numbers).size == numbers.size
    there = np.zeros(span, bool)
    there[numbers - least] = True
    return int(there.sum()) == numbers.size


def distinct_rows(numbers: Indices, bounds: Indices) -> tuple[Indices, Indices]:
    """Where each distinct row first occurs, in that order, and for each row which of them it is.

    Row i is numbers[bounds[i] : bounds[i + 1]]. In C: _group.pyx.
    """
    loops = native()
    numbers = np.ascontiguousarray(numbers, np.int64).ravel()
    if loops is not None:
        found: tuple[Indices, Indices] = loops.distinct_rows(numbers, bounds)
        return found
    known: dict[bytes, int] = {}
    number = np.empty(len(bounds) - 1, np.int64)
    first: list[int] = []
    ends = bounds.tolist()
    for i in range(len(number)):
        number[i] = known.setdefault(numbers[ends[i] : ends[i + 1]].tobytes(), len(known))
        if number[i] == len(first):
            first.append(i)
    return np.array(first, np.int64), number


def equal_rows(matrix: Indices) -> tuple[Indices, Indices]:
    """The same for the rows of a matrix."""
    rows, length = matrix.shape
    return distinct_rows(matrix, np.arange(rows + 1) * length)


def connected(nodes: Indices, bounds: Indices, n: int) -> Indices:
    """For each row the number of its group: rows of different groups have none of the n nodes in common.

    Row i is nodes[bounds[i] : bounds[i + 1]], and not empty. In C: _group.pyx.
    """
    loops = native()
    if loops is not None:
        groups: Indices = loops.connected(nodes, bounds, n)
        return groups
    parent = list(range(n))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = i = parent[parent[i]]
        return i

    rows = [nodes[start:end].tolist() for start, end in pairwise(bounds)]
    for row in rows:
        first = root(row[0])
        for node in row[1:]:
            parent[root(node)] = first
    numbers: dict[int, int] = {}
    return np.array([numbers.setdefault(root(row[0]), len(numbers)) for row in rows], np.int64)


def ragged(lengths: Indices) -> tuple[Indices, Indices, Indices]:
    """For rows of these lengths, one after the other: their bounds, and for each entry its row and its place there."""
    bounds = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=bounds[1:])
    row = np.repeat(np.arange(len(lengths)), lengths)
    return bounds, row, np.arange(bounds[-1]) - bounds[row]

"""Sparse Jacobians and Hessians: which entries there are is read from the graph, and few passes compute them all.

Two columns that share no row can be computed in one forward pass: the rows say which entry belongs to which. Columns
are coloured greedily so that those of one colour share no row (Curtis, Powell and Reid 1974; Gebremedhin, Manne and
Pothen 2005), or rows so that those of one colour share no column, for reverse passes. A few long rows, which would give
every column a colour of its own, are computed by reverse passes of their own; and the other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from typing import Any

from tinygrad_scalar.engine import Linear
from tinygrad_scalar.transforms.call import Call, depend

Pattern = list[list[int]]
Pass = Callable[[Sequence[float | None]], list[float]]


def sparse_matrix(call: Call, outputs: Sequence[Any], *, symmetric: bool = False) -> Any:
    """∂output/∂input as a SciPy CSR array, a row for each output."""
    try:
        from scipy.sparse import csr_array  # type: ignore[import-untyped]
    except ImportError as error:
        raise ImportError(f"{call.verb} with sparse=True needs SciPy: pip install scipy") from error
    import numpy as np

    _require_floats(call, outputs)
    linear = call.linear_of(outputs)
    rows = pattern(linear)
    found = entries(linear, rows, symmetric=symmetric)
    starts = np.cumsum([0, *map(len, rows)])
    columns = np.array([j for row in rows for j in row], np.int64)
    data = np.array([number for row in found for number in row], float)
    return csr_array((data, columns, starts), shape=(len(outputs), len(call.inputs)))


def _require_floats(call: Call, outputs: Sequence[Any]) -> None:
    """Refuse derivatives that depend on Values from outside."""
    if call.closed:
        return
    if call.of_values:
        raise TypeError(
            f"{call.verb} with sparse=True returns a matrix of floats, which would lose the gradients of the Values in "
            "its argument: give it their .data, or leave out sparse"
        )
    if any(depend(outputs, call.start)):
        raise TypeError(
            f"{call.verb} with sparse=True returns a matrix of floats, but it depends on Values from outside of the "
            "function, whose gradients would be lost: use their .data in the function, or leave out sparse"
        )


_Set = frozenset[int] | int  # as an int, a bit for each element: one operation joins two, however large
MOST_INPUTS_AS_BITS = 10_000  # with more, sets start small, because n ints of n bits would not fit in memory
MOST_IN_A_SMALL_SET = 32


def pattern(linear: Linear) -> Pattern:
    """For each output the inputs that it depends on, in order."""
    used = linear.used()
    small = linear.n_inputs > MOST_INPUTS_AS_BITS
    known: list[Any] = [frozenset((j,)) if small else 1 << j for j in range(linear.n_inputs)]
    nothing: Any = frozenset() if small else 0
    last_use = [0] * (linear.n_inputs + len(used))
    for i, places in enumerate(used):
        for place in places:
            last_use[place] = i
    for place in linear.outputs:
        if place >= 0:
            last_use[place] = len(used)
    for i, places in enumerate(used):
        found = known[places[0]]
        if small:
            found = _joined(found, [known[place] for place in places[1:]])
        else:
            for place in places[1:]:
                found |= known[place]
        known.append(found)
        for place in places:
            if last_use[place] == i:
                known[place] = nothing  # its memory
    return [_elements(known[place]) if place >= 0 else [] for place in linear.outputs]


def _joined(first: _Set, others: Sequence[_Set]) -> _Set:
    """The union of some sets."""
    if isinstance(first, frozenset) and int not in map(type, others):
        union = first.union(*others)  # type: ignore[arg-type]
        return union if len(union) <= MOST_IN_A_SMALL_SET else _bits(union)
    small: set[int] = set()
    large = 0
    for each in (first, *others):
        if isinstance(each, int):
            large |= each
        else:
            small |= each
    return large | _bits(small)


def _bits(places: Set[int]) -> int:
    """A set as an int.

    >>> bin(_bits({3, 5}))
    '0b101000'
    """
    found = bytearray(max(places, default=-1) // 8 + 1)
    for place in places:
        found[place >> 3] |= 1 << (place & 7)
    return int.from_bytes(found, "little")


def _elements(found: _Set) -> list[int]:
    """The elements of a set, in order.

    >>> _elements(0b101000), _elements(frozenset({5, 3}))
    ([3, 5], [3, 5])
    """
    if isinstance(found, frozenset):
        return sorted(found)
    if not found:
        return []
    first = (found & -found).bit_length() - 1
    text = bin(found >> first)[:1:-1]
    elements, place = [], 0
    while place >= 0:
        elements.append(first + place)
        place = text.find("1", place + 1)
    return elements


def entries(linear: Linear, rows: Pattern, *, symmetric: bool = False) -> list[list[float]]:
    """The derivative at each entry of the pattern, in the direction that seems to need fewer passes."""
    if symmetric:
        return _by_rows(rows, rows, linear.push, linear.push, symmetric=True)
    columns = transposed(rows, linear.n_inputs)
    if _passes(rows)[0] <= _passes(columns)[0]:
        return _by_rows(rows, columns, linear.push, linear.pull)
    found: list[list[float]] = [[] for _ in rows]
    for column, numbers in zip(columns, _by_rows(columns, rows, linear.pull, linear.push)):
        for i, number in zip(column, numbers):
            found[i].append(number)
    return found


def _by_rows(rows: Pattern, columns: Pattern, push: Pass, pull: Pass, *, symmetric: bool = False) -> list[list[float]]:
    """The entries of each row: of long rows by a pull each, and of the rest by a push for each colour of columns.

    In a symmetric matrix the long rows are the long columns too.
    """
    n_long = _passes(rows)[1]
    long = sorted(range(len(rows)), key=lambda i: -len(rows[i]))[:n_long]
    alone = {i: pull([1.0 if k == i else None for k in range(len(rows))]) for i in long}
    known = alone if symmetric else {}
    short = [[] if i in alone else [j for j in row if j not in known] for i, row in enumerate(rows)]
    colours = coloured(short, len(columns))
    moved = [push([1.0 if colour == c else None for colour in colours]) for c in range(max(colours, default=-1) + 1)]
    return [
        [alone[i][j] for j in row] if i in alone else [known[j][i] if j in known else moved[colours[j]][i] for j in row]
        for i, row in enumerate(rows)
    ]


def _passes(rows: Pattern) -> tuple[int, int]:
    """The least number of passes if some of the longest rows are computed alone, and how many of them.

    Columns need at least as many colours as the longest of the other rows has entries.
    """
    lengths = [*sorted(map(len, rows), reverse=True), 0]
    return min((n + length, n) for n, length in enumerate(lengths))


def coloured(rows: Pattern, n_columns: int) -> list[int]:
    """A colour for each column, 0, 1 and so on, so that no row has an entry in two of one colour; −1 for an empty one.

    >>> coloured([[0, 1], [1, 2], [2, 3]], 4)
    [0, 1, 0, 1]
    """
    columns = transposed(rows, n_columns)
    orders = [range(n_columns), sorted(range(n_columns), key=lambda j: -len(columns[j]))]
    longest = max(map(len, rows), default=0)
    best: list[int] = []
    for order in orders:
        colours = [-1] * n_columns
        taken = [0] * len(rows)  # for each row a bit for each colour in it
        for j in order:
            if columns[j]:
                near = 0
                for i in columns[j]:
                    near |= taken[i]
                free = ~near & (near + 1)  # the lowest bit that is 0
                colours[j] = free.bit_length() - 1
                for i in columns[j]:
                    taken[i] |= free
        if not best or max(colours, default=0) < max(best, default=0):
            best = colours
        if max(best, default=-1) + 1 <= longest:  # fewer there cannot be
            break
    return best


def transposed(rows: Pattern, size: int) -> Pattern:
    """For each of `size` columns the rows that have an entry there, in order."""
    columns: Pattern = [[] for _ in range(size)]
    for i, row in enumerate(rows):
        for j in row:
            columns[j].append(i)
    return columns

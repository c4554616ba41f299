"""The check of a shape's first call: on two of its examples, or more if it branches, program and engine must agree.

A difference is refused if it is more than rounding can explain (rounding.py). Where rounding leaves no digit of a
result, because terms of 1e17 cancel to about 1, every number that rounding can give is accepted: the engine's is no
better than the program's. The engine's gradients are computed beside the graph: no `.data` and no `.grad` changes, not
even for a moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_scalar.engine import Value, compute_gradients, give_back_unused, read_graph
from tinygrad_scalar.engine.errors import TraceError, label_of
from tinygrad_scalar.engine.graph import leaves as leaves_of
from tinygrad_scalar.engine.quiet import quiet
from tinygrad_scalar.vectorize.compiled import Compiled
from tinygrad_scalar.vectorize.distinct import ascending
from tinygrad_scalar.vectorize.each_example import EachExample
from tinygrad_scalar.vectorize.last_calls import last_calls_kept
from tinygrad_scalar.vectorize.missing_rows import lacking, require_rows
from tinygrad_scalar.vectorize.outputs import called
from tinygrad_scalar.vectorize.repeat import MANY, Witness
from tinygrad_scalar.vectorize.rounding import ROUNDINGS, Range, rounded
from tinygrad_scalar.vectorize.trace import example_arguments, flat
from tinygrad_scalar.vectorize.ways import data_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[Any]

EXAMPLES_OF_BRANCHES = 8  # each takes one side of every condition, and what the other side does is seen by others
NODES_OF_BRANCHES = 200_000  # in all of these; of larger graphs as many examples as of others
MOST_DERIVATIVES = 1 << 20  # of all outputs by all leaves; of more, only those of the leaves that an output reads
MOST_PASSED = 1 << 23  # operations that checked outputs are computed with, summed over them
FEW_OUTPUTS = 4  # are checked however many these are
AT_ONCE = 1 << 16  # entries that are compared together: what takes a few bytes for each is small
GOLDEN = (5**0.5 - 1) / 2
TOLERANCE = 1e-9  # relative: where no terms cancel, programs differ by far less


def require_agreement(
    program: Compiled | EachExample, cost: Callable[..., Any], values: list[Value], examples: Sequence[Floats]
) -> None:
    """Raise TraceError unless `program` and the engine agree on two of the examples; if they branch, on more."""
    require_rows(program.indices, program.shapes, examples)
    if lacking(program.indices, examples):
        rows = [array.reshape(len(array), -1) for array in examples]
        program.run(data_of(values), rows, False)  # raises if an example gets there
    last = len(examples[0]) - 1
    checked: tuple[int, ...] = (last, (last + 1) // 2)
    nodes = program.local.trace.nodes if isinstance(program, EachExample) else program.traced.nodes
    if program.has_branches:
        n = max(2, min(EXAMPLES_OF_BRANCHES, NODES_OF_BRANCHES // nodes))
        checked = tuple(k * last // (n - 1) for k in range(n))
    with last_calls_kept(program.read.networks) as put_back:
        witnesses, program.witnesses = program.witnesses, ()
        if isinstance(program, EachExample):
            witnesses = () if program.wrt_inputs else witnesses  # which know no gradients of arguments
            for witness in witnesses:
                _compare_with_witness(program, cost, values, examples, witness)
            for i in [] if witnesses else dict.fromkeys(checked):
                _compare_outputs(program, cost, values, examples, i, put_back)
        else:
            for witness in witnesses:
                _compare(program, values, examples, witness, partial(_again, program, cost, values, examples, witness))
            for i in [] if witnesses else dict.fromkeys(checked):
                _compare_one(program, cost, values, examples, i)
                put_back()
    if nodes > MANY:
        give_back_unused()


def _compare_one(
    program: Compiled, cost: Callable[..., Any], values: list[Value], examples: Sequence[Floats], i: int
) -> None:
    """Compare with what the engine gives for an example; its graph goes before that of the next is made."""
    [C] = called(cost, example_arguments(examples, i)).values
    witness = Witness(i, data_of(values), _results(C, values))
    _compare(program, values, examples, witness, partial(_roundings, C, values))


def _compare(
    program: Compiled,
    values: list[Value],
    examples: Sequence[Floats],
    witness: Witness,
    roundings: Callable[[], Any],
) -> None:
    """Compare with what a witness tells, or with what `roundings` of its graph can give."""
    i, parameters, theirs = witness
    rows = _rows_of(examples, i)
    rounding: tuple[Any, Range] | None = None
    for value, gradient in program.by_every_way(parameters, rows):
        ours = np.concatenate([[value], gradient])
        wrong = ~_agree(ours, theirs)
        if wrong.any():
            rounding = rounding or (roundings(), Range(theirs))
            wrong = _more_than_rounding(ours, wrong, *rounding)
        if wrong.any():
            raise _mismatch(ours, theirs, int(wrong.argmax()), values, i)


def _compare_outputs(
    program: EachExample,
    cost: Callable[..., Any],
    values: list[Value],
    examples: Sequence[Floats],
    i: int,
    put_back: Callable[[], None],
) -> None:
    """Compare all outputs of an example, and the derivatives of all unless that would take long: then of some.

    The engine's graph goes before the programs run.
    """
    arguments = example_arguments(examples, i)
    leaves = values
    if program.wrt_inputs:
        floats = [array.dtype.kind == "f" for array in examples if array.size]
        leaves = [*values, *(value for nested, wanted in zip(arguments, floats) if wanted for value in flat(nested))]
    theirs, checked = _of_the_engine(called(cost, arguments).values, leaves)
    put_back()
    if program.local.trace.nodes > MANY:
        give_back_unused()  # the graph's memory is wanted
    ways = program.by_every_way(data_of(values), _rows_of(examples, i))
    _compare_entries(ways, theirs, checked, leaves, i, lambda: called(cost, arguments).values)


def _compare_with_witness(
    program: EachExample, cost: Callable[..., Any], values: list[Value], examples: Sequence[Floats], witness: Witness
) -> None:
    """The same for one output, from what a witness tells."""
    i, parameters, results = witness
    theirs, checked = _Entries.of(results[:1], [results[None, 1:]]), np.ones(1, bool)
    ways = program.by_every_way(parameters, _rows_of(examples, i))
    _compare_entries(ways, theirs, checked, values, i, lambda: called(cost, example_arguments(examples, i)).values)


def _compare_entries(
    ways: Iterable[tuple[Floats, Sequence[Any]]],
    theirs: _Entries,
    checked: Floats,
    leaves: list[Value],
    i: int,
    again: Callable[[], Sequence[Value]],
) -> None:
    """Compare what each way gives for example i with the engine's entries; `again` computes the outputs anew."""
    outputs: list[Value] = []
    for numbers, parts in ways:
        ours = _Entries.of(numbers, parts).of_outputs(checked)
        for j in _differing_rows(ours, theirs):
            columns = np.union1d(ours.columns_of(j), theirs.columns_of(j))
            mine, right = ours.row(j, columns), theirs.row(j, columns)
            its = [leaves[k - 1] for k in columns[1:].tolist()]
            outputs = outputs or list(again())
            wrong = _more_than_rounding(mine, ~_agree(mine, right), _roundings(outputs[j], its), Range(right))
            if wrong.any():
                raise _mismatch(mine, right, int(wrong.argmax()), its, i)


class _Entries(NamedTuple):
    """A matrix with a row for each output, its value first, by the entries that can differ from 0, row by row."""

    rows: Floats
    columns: Floats
    numbers: Floats

    @staticmethod
    def of(values: Floats, parts: Sequence[Any]) -> _Entries:
        """The outputs' values and their derivatives, in matrices (k, …) side by side: arrays or SciPy's."""
        found: list[tuple[Floats, Floats, Floats]] = []
        found.append((np.arange(len(values), dtype=np.int32), np.zeros(len(values), np.int32), values))
        start = 1
        for part in parts:
            if isinstance(part, np.ndarray):
                rows, columns = (places.astype(np.int32) for places in np.nonzero(part))
                found.append((rows, columns + start, part[rows, columns]))
            else:
                entries = part.tocoo()
                found.append((entries.row.astype(np.int32), entries.col.astype(np.int32) + start, entries.data))
            start += part.shape[1]
        rows, columns, numbers = map(np.concatenate, zip(*found))
        order = np.argsort(rows, kind="stable")
        return _Entries(rows[order], columns[order], numbers[order])

    def of_outputs(self, chosen: Floats) -> _Entries:
        """Without the derivatives of the outputs that are not chosen."""
        if chosen.all():
            return self
        kept = chosen[self.rows] | (self.columns == 0)
        return _Entries(self.rows[kept], self.columns[kept], self.numbers[kept])

    def _of(self, j: int) -> slice:
        return slice(*np.searchsorted(self.rows, (j, j + 1)).tolist())

    def columns_of(self, j: int) -> Floats:
        return self.columns[self._of(j)]

    def row(self, j: int, columns: Floats) -> Floats:
        """The entries of row j in these columns, among which are all that it has."""
        row = np.zeros(len(columns))
        row[np.searchsorted(columns, self.columns_of(j))] = self.numbers[self._of(j)]
        return row


def _of_the_engine(outputs: Sequence[Value], wanted: list[Value]) -> tuple[_Entries, Floats]:
    """The engine's entries, and for each output whether its derivatives are among them.

    They are while MOST_PASSED allows it, of outputs that are spread over the list, the last one first.
    """
    k, n = len(outputs), len(wanted)
    column = None if k * n <= MOST_DERIVATIVES else {leaf: 1 + i for i, leaf in enumerate(wanted)}
    every, passed = np.arange(1 + n, dtype=np.int32), 0
    columns, numbers = [every[:1]] * k, [np.empty(0)] * k
    checked = np.zeros(k, bool)
    for count, j in enumerate(_spread(k)):
        C, checked[j] = outputs[j], count < FEW_OUTPUTS or passed < MOST_PASSED
        its = wanted if checked[j] else []
        if checked[j] and column is not None:
            its = [leaf for leaf in leaves_of(C) if leaf in column]
            columns[j] = np.array([0, *map(column.__getitem__, its)], np.int32)
        elif checked[j]:
            columns[j] = every
        numbers[j] = np.empty(1 + len(its))
        numbers[j][0] = C.data
        passed += compute_gradients(C, its, numbers[j][1:]) if checked[j] else 0
    rows = np.repeat(np.arange(k, dtype=np.int32), [*map(len, columns)])
    return _Entries(rows, np.concatenate(columns), np.concatenate(numbers)), checked


def _spread(k: int) -> list[int]:
    """The numbers from k − 1 down to 0, so ordered that the first ones are spread over all, however many they are."""
    order: list[int] = (k - 1 - np.argsort(np.arange(k) * GOLDEN % 1.0)).tolist()
    return order


def _differing_rows(ours: _Entries, theirs: _Entries) -> list[int]:
    width = 1 + max(int(ours.columns.max()), int(theirs.columns.max()))
    k = 1 + int(theirs.rows.max())
    if k * width <= 2 * MOST_DERIVATIVES:
        dense = np.zeros((2, k, width))
        for matrix, entries in zip(dense, (ours, theirs)):
            matrix[entries.rows, entries.columns] = entries.numbers
        at_once = 1 + AT_ONCE // width
        return [
            start + j
            for start in range(0, k, at_once)
            for j in np.flatnonzero(~_agree(*dense[:, start : start + at_once]).all(axis=1)).tolist()
        ]
    places = [entries.rows.astype(np.int64) * width + entries.columns for entries in (ours, theirs)]
    every = ascending(np.concatenate(places))
    numbers = np.zeros((2, every.size))
    for row, place, entries in zip(numbers, places, (ours, theirs)):
        row[np.searchsorted(every, place)] = entries.numbers
    found: list[int] = np.unique(every[~_agree(*numbers)] // width).tolist()
    return found


def _rows_of(examples: Sequence[Floats], i: int) -> list[Floats]:
    """Example i as the only row of an array for each argument."""
    kinds = [np.float64 if array.dtype.kind == "f" else np.int64 for array in examples]
    return [array[i].reshape(1, array[i].size).astype(kind, copy=False) for array, kind in zip(examples, kinds)]


def _results(C: Value, values: list[Value]) -> Floats:
    """The cost and its gradient from the engine."""
    results = np.empty(1 + len(values))
    results[0] = C.data
    compute_gradients(C, values, results[1:])
    return results


def _agree(ours: Floats, theirs: Floats) -> Any:
    """Where two numbers are equal or close: np.isclose, which takes as long as a small program."""
    with quiet(all="ignore"):
        close = np.abs(ours - theirs) < TOLERANCE * np.abs(theirs)
    return close | (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))


def _again(
    program: Compiled, cost: Callable[..., Any], values: list[Value], examples: Sequence[Floats], witness: Witness
) -> Any:
    """The roundings of a witness's graph, from the program's trace, which is the same but for the leaves' numbers."""
    traced = program.traced
    if traced.cost < traced.nodes - 1:
        [C] = called(cost, example_arguments(examples, witness.example)).values
        return _roundings(C, values)
    data, leaves = traced.data.copy(), np.full(len(values), -1, np.int32)
    nodes = np.flatnonzero(traced.parameter >= 0)
    leaves[traced.parameter[nodes]] = nodes
    data[nodes] = witness.parameters[traced.parameter[nodes]]
    for a, array in enumerate(examples):
        nodes = np.flatnonzero(traced.argument == a)
        data[nodes] = array[witness.example].ravel()[traced.place[nodes]]
    return rounded(traced.tape._replace(data=data), leaves)


def _roundings(C: Value, values: list[Value]) -> Any:
    tape = read_graph([C], values)
    return rounded(tape, tape.found)


def _more_than_rounding(ours: Floats, wrong: Floats, roundings: Any, found: Range) -> Any:
    """Where `ours` is outside of what rounding can give."""
    for _ in range(ROUNDINGS):
        wrong = wrong & ~found.holds(ours)
        if not wrong.any():
            break
        found.add(roundings.again())
    return wrong & ~found.holds(ours)


def _mismatch(ours: Floats, theirs: Floats, k: int, values: list[Value], i: int) -> TraceError:
    what = "cost" if k == 0 else "gradient"
    wrt = "" if k == 0 else f" with respect to {label_of(values[k - 1], f'params[{k - 1}]')}"
    return TraceError(
        f"the array program gives the {what} {float(ours[k])!r}{wrt} for example {i}, but the function itself gives "
        f"{float(theirs[k])!r}: a function to vectorize must depend only on its arguments and the parameters, in the "
        "same way for every example; not on random numbers, on how often it was called or on data from elsewhere"
    )

"""The derivatives of each example by an array program whose matrix products have all examples side by side.

An example's gradient with respect to a matrix of weights is a product of a column and a row, dW = δaᵀ. The program
gives δ and a; their products go straight to where the derivatives are returned. With several outputs its cost is
Σ sⱼ·outputⱼ, and s, one more argument, chooses one of them: an example stands there once for each.

Where something is not finite, 0·∞ is nan, which an output that is not chosen may not bring in: other ways take over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_scalar.engine.quiet import quiet
from tinygrad_scalar.vectorize.array_way import ArrayWay
from tinygrad_scalar.vectorize.assemble import assemble
from tinygrad_scalar.vectorize.cost_model import cleared, most_colours, time_of
from tinygrad_scalar.vectorize.executor import executor
from tinygrad_scalar.vectorize.group import group
from tinygrad_scalar.vectorize.leaves import Leaves
from tinygrad_scalar.vectorize.naming import argument_name
from tinygrad_scalar.vectorize.program import Array, Program
from tinygrad_scalar.vectorize.reverse import NotByExampleError, differentiate
from tinygrad_scalar.vectorize.through import add_through

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_scalar.vectorize.localize import Local
    from tinygrad_scalar.vectorize.trace import Trace
    from tinygrad_scalar.vectorize.ways import Floats, Guards

    Indices = NDArray[np.int64]

PIECE = 4096  # examples, counted once for each output, that run at a time
MOST_OUTPUTS = 1024  # each example stands there once for each, with a number for each
MOST_LISTED = 20
KIND = "each by products"  # as in times.py


class Part(NamedTuple):
    """As `Factors`, with numbers in place of arrays: of a result, ~ of an argument, or the constants themselves."""

    columns: Indices
    left: Any
    right: Any
    first: bool  # whether nothing was added to these columns before


def weighted(trace: Trace, number: int) -> Trace:
    """The trace whose cost is the sum of all outputs, each times a number of argument `number`."""
    tape, outputs = trace.tape, trace.outputs
    k, n = len(outputs), len(trace.tape.codes)
    names = [*tape.names, *(name for name in ("*", "+") if name not in tape.names)]
    times, plus = names.index("*"), names.index("+")
    weights, products, sums = np.arange(n, n + k), np.arange(n + k, n + 2 * k), np.arange(n + 2 * k, n + 3 * k - 1)
    pairs = [np.column_stack([weights, outputs])]
    if k > 1:
        pairs.append(np.column_stack([[products[0], *sums[:-1]], products[1:]]))
    operands = np.concatenate([tape.operands, np.concatenate(pairs).ravel()]).astype(tape.operands.dtype)
    codes = np.concatenate([tape.codes, np.full(k, -1), np.full(k, times), np.full(k - 1, plus)])
    ends = tape.starts[-1] + np.concatenate([np.zeros(k), 2 * np.arange(1, 2 * k)])
    longer = tape._replace(
        names=names,
        codes=codes.astype(tape.codes.dtype),
        starts=np.concatenate([tape.starts, ends]).astype(tape.starts.dtype),
        operands=operands,
        data=np.concatenate([tape.data, np.ones(3 * k - 1)]),
    )
    none = np.full(3 * k - 1, -1)
    argument, place = none.copy(), none.copy()
    argument[:k], place[:k] = number, np.arange(k)
    return replace(
        trace,
        tape=longer,
        cost=int(n + 3 * k - 2),
        leaves=Leaves.of(*map(np.append, (trace.parameter, trace.argument, trace.place), (none, argument, place))),
    )


class IrregularError(NotByExampleError):
    """Little repeats: the program is not worth writing."""


class EachByProducts:
    """The array program; it gives the derivatives of each example, or with `by_example` false their sums.

    NotByExampleError where there is no such program or there are too many outputs. With `if_regular` IrregularError if
    little repeats in it, unless it is `worth` writing as many statements.
    """

    name = "array program"
    n_nodes = n_colours = n_cleared = 0  # pickles written before have none
    _theta: Floats | None = None

    def __init__(
        self,
        local: Local,
        sizes: Sequence[int],
        integer: Sequence[bool],
        *,
        wrt_inputs: bool,
        by_example: bool,
        if_regular: bool,
        worth: int = 0,
    ) -> None:
        self.by_example, self.k, self.n_gathered = by_example, len(local.trace.outputs), local.n_gathered
        if self.k > MOST_OUTPUTS:
            raise NotByExampleError
        self.direct = local.direct
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64).tolist()
        sizes, integer, trace = list(sizes), list(integer), local.trace
        floats = [a for a, is_integer in enumerate(integer) if wrt_inputs and not is_integer]
        # where the gradients of the arguments go, in a row of an output's
        self.places = [self.n_gathered + starts[a] for a in floats]
        self.notes: list[str] = []  # about the arguments beyond the function's
        if self.n_gathered:
            self.notes.append(f"{argument_name(len(sizes))} holds the parameters that lookups choose")
            self._add_argument(self.n_gathered, floats, sizes, integer)
            self.places.append(0)
        if self.k > 1:
            self.notes.append(f"{argument_name(len(sizes))} is 1 for the output that is wanted, 0 for the others")
            trace = weighted(trace, len(sizes))
            self._add_argument(self.k, floats, sizes, integer)
        elif trace.outputs[0] != trace.cost:
            trace = replace(trace, cost=trace.outputs[0])
        self.n_columns = self.n_gathered + starts[-1] * wrt_inputs
        program = self._write(trace, sizes, floats, if_regular=if_regular, worth=worth)
        self.way = ArrayWay(program, integer)
        self.parts = self._parts(program)

    def _write(self, trace: Trace, sizes: Sequence[int], floats: Sequence[int], **options: Any) -> Program:
        """The program; without matrix products if one of them has no gradient of each example."""
        for has_products in (True, False):
            grouping = group(trace, len(sizes), **options)
            if options["if_regular"] and grouping.irregular:
                raise IrregularError
            self.n_nodes, self.n_colours = trace.nodes, grouping.n_colours
            grouping.has_distances, grouping.has_products = not self.by_example, has_products
            program = assemble(grouping, len(self.direct), sizes)
            program.reduce = "each"
            self.is_same_for_all = not program.cost.batched  # its gradient is then that of one example
            try:
                differentiate(program, wrt_inputs=floats, by_example=self.by_example)
            except NotByExampleError:
                if not has_products:
                    raise
            else:
                break
        return program

    @staticmethod
    def _add_argument(size: int, floats: list[int], sizes: list[int], integer: list[bool]) -> None:
        floats.append(len(sizes))
        sizes.append(size)
        integer.append(False)

    def _parts(self, program: Program) -> list[Part]:
        written = np.zeros(len(self.direct), bool)
        found = []

        def number(array: Array | None) -> Any:
            if array is None:
                return np.ones((1, 1))
            if array.values is not None:
                return np.asarray(array.values, float).reshape(1, -1)
            if array in program.arguments:
                return ~program.arguments.index(array)
            return program.input_gradients.index(array)

        for columns, left, right in program.factors:
            first = not written[columns].any()
            written[columns] = True
            found.append(Part(np.ascontiguousarray(self.direct[columns], np.int64), number(left), number(right), first))
        return found

    def is_worth(self, statements: int) -> bool:
        """Whether it would have been written if so many statements were worth it."""
        return self.n_colours <= most_colours(self.n_nodes, statements)

    @property
    def source(self) -> str:
        """The program with lines about its arguments and results."""
        notes = list(self.notes)
        used = self.direct
        if used.size and used[-1] != used.size - 1:
            notes.append(f"parameters holds {used.size} of the function's parameters: {_listed(used)}")
        for part in self.parts:
            left, right = ("1" if isinstance(x, np.ndarray) else _name_of(x) for x in (part.left, part.right))
            named = f"{left} times {right}" if right != "1" else left
            notes.append(f"each example's derivatives with respect to {_span_of(part.columns)} are {named}")
        return "\n".join([*(f"# {note[0].upper()}{note[1:]}." for note in notes), self.way.source])

    def features(self, m: int, n: float = np.inf) -> dict[str, float]:
        """How often a call for m examples does something of each kind; of its program, the time in ns.

        Derivatives count that are written: those with respect to the first n parameters.
        """
        placed = {"arrays placed": float(len(self.places)), "placed": float(m * self.k * self.n_columns)}
        placed |= cleared(float(m * self.n_cleared))
        if not self.by_example:
            return {"calls": 1.0, "runs": float(self.k), "program": self.k * self.way.expected(m), **placed}
        runs = -(-m // max(1, PIECE // self.k))
        parts = [part.columns for part in self.parts if (part.columns < n).all()]
        written = float(m * self.k * sum(columns.size for columns in parts))
        return {
            "calls": 1.0,
            "runs": float(runs),
            "products": float(runs * len(self.parts)),
            "derivatives": written,
            "rows of derivatives": float(m * self.k * sum(map(len, parts))),
            "program": self.way.expected(m * self.k),
            "lookups": float(self.n_gathered),
            "looked up": float(m * self.k * self.n_gathered),
            **placed,
        }

    def expected(self, m: int, n: float = np.inf) -> float:
        """The time in ns for m examples, as in `features`."""
        return time_of(KIND, self.features(m, n))

    def reasons(self, m: int) -> str:
        return self.way.expected.reasons(m * (self.k if self.by_example else 1))

    def run(
        self,
        theta: Floats,
        rows: Sequence[Floats],
        gathered: Floats,
        arrays: Sequence[Floats | None],
        guards: Guards,
        alarms: None = None,
        through: Sequence[Any] | None = None,
    ) -> Floats | None:
        """The outputs (m, k); the arrays of the layout receive the derivatives. None if a number is not finite.

        With `through` those of the frontier go on to the parameters: for each part what `add_products` takes.
        """
        each, total, inputs = arrays
        m, k = len(rows[0]), self.k
        values = np.empty((m, k))
        theta = self._as_it_runs(theta)
        given = [*rows, gathered.astype(np.float64, copy=False)] if self.n_gathered else list(rows)
        if total is not None:
            chosen = total.reshape(k, -1)
            weights = np.zeros((m, k))
            for j in range(k):
                weights[:, j] = 1.0
                found = self._run(theta, [*given, weights] if k > 1 else given, guards)
                weights[:, j] = 0.0
                if found is None:
                    return None
                costs, gradient, results = found
                chosen[j, self.direct] = gradient * m if self.is_same_for_all else gradient
                values[...] = results[len(self.places)] if k > 1 else np.reshape(costs, (m, 1))
                self._place(results, None if inputs is None else inputs.reshape(m, k, -1)[:, j])
            return values
        assert each is not None
        each = each.reshape(m * k, -1)
        examples = max(1, PIECE // k)
        for start in range(0, m, examples):
            piece = slice(start, min(m, start + examples))
            n = piece.stop - start
            some = [array[piece] for array in given]
            if k > 1:
                some = [np.repeat(array, k, axis=0) for array in some]
                some.append(np.broadcast_to(np.eye(k), (n, k, k)).reshape(n * k, k))
            found = self._run(theta, some, guards)
            if found is None:
                return None
            costs, _, results = found
            values[piece] = results[len(self.places)][::k] if k > 1 else np.reshape(costs, (n, 1))
            rows_of = slice(start * k, piece.stop * k)
            self._place(results, None if inputs is None else inputs.reshape(m * k, -1)[rows_of])
            rows_of_each = each[rows_of]
            parts = []
            for i, (columns, x, y, first) in enumerate(self.parts):
                left, right = _numbers(x, some, results), _numbers(y, some, results)
                if left.shape != (n * k, len(columns)):  # a constant, or one number for all
                    left = np.ascontiguousarray(np.broadcast_to(left, (n * k, len(columns))))
                further = None if through is None else through[i]
                if type(further) is bool:
                    first, further = further, None
                parts.append((left, right, columns, first, further))
            if not ADD_PRODUCTS(parts, rows_of_each):
                return None
        return values

    def _run(
        self, theta: Floats, given: Sequence[Floats], guards: Guards
    ) -> tuple[Any, Floats, Sequence[Floats]] | None:
        costs, gradient, results = self.way.run(theta, given, True, guards)
        if self.way.kind == "NumPy":
            results = [np.ascontiguousarray(array) for array in results]
        numbers = results[: len(self.places)] if self.by_example else [gradient, *results[: len(self.places)]]
        if not all(np.isfinite(array).all() for array in numbers):
            return None
        return costs, gradient, results

    def _as_it_runs(self, theta: Floats) -> Floats:
        """The parameters; NumPy's program keeps its buffers for one array of them."""
        if self.way.kind != "NumPy":
            return np.ascontiguousarray(theta, np.float64)
        if self._theta is None:
            self._theta = np.empty(theta.size)
        self._theta[:] = theta
        return self._theta

    def _place(self, results: Sequence[Floats], inputs: Floats | None) -> None:
        """Put the derivatives with respect to arguments where they go."""
        for place, numbers in zip(self.places, results):
            if inputs is not None:  # else the argument has no numbers
                inputs[:, place : place + numbers.shape[1]] = numbers


def _span_of(columns: Indices) -> str:
    first, last = columns.min(), columns.max()
    return f"parameter {first}" if first == last else f"parameters {first} to {last}"


def _listed(numbers: Indices) -> str:
    shown = ", ".join(map(str, numbers[:MOST_LISTED].tolist()))
    return f"{shown}, ..." if numbers.size > MOST_LISTED else shown


def _name_of(number: int) -> str:
    return f"argument {~number}" if number < 0 else f"result {number} after the gradient"


def _numbers(which: Any, given: Sequence[Floats], results: Sequence[Floats]) -> Floats:
    """The numbers of a factor, a row for each example, or for all of them."""
    if type(which) is int:
        return results[which] if which >= 0 else np.ascontiguousarray(given[~which], np.float64)
    numbers: Floats = which
    return numbers


def add_products(parts: Sequence[tuple[Any, ...]], out: Floats) -> bool:
    """As in _products.pxi."""
    finite = True
    with quiet(all="ignore"):
        for left, right, columns, first, through in parts:
            if through is not None:
                add_through(left, right, through, out)
                continue
            finite = finite and bool(np.isfinite(left).all() and np.isfinite(right).all())
            flat = (left[:, :, np.newaxis] * right[:, np.newaxis]).reshape(len(out), -1)
            place = columns.ravel()
            start = int(place[0]) if place.size else 0
            where: Any = place
            if (place == np.arange(start, start + place.size)).all():
                where = slice(start, start + place.size)
            if first:
                out[:, where] = flat
            else:
                out[:, where] += flat
    return finite


_native = executor()
ADD_PRODUCTS: Any = add_products if _native is None else _native.add_products

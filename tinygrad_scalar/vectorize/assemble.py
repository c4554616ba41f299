"""Write the array program of grouped scalars: step 4 of how vectorize finds the matrices (`__init__.py`).

A sum of products whose factors' rows form a grid is a matrix product: of a layer's weights and activations, or of a
convolution's kernels and windows. Everything else is element-wise, a gather or a sum over an axis.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_scalar.vectorize.chains import FOLDED
from tinygrad_scalar.vectorize.distinct import ascending, by_key, numbered
from tinygrad_scalar.vectorize.group import CONSTANT, Grouping
from tinygrad_scalar.vectorize.lookup_tables import distinct_tables
from tinygrad_scalar.vectorize.products import NOWHERE
from tinygrad_scalar.vectorize.program import (
    Array,
    Distances,
    DistancesGradient,
    Elementwise,
    Fold,
    Gather,
    Lookup,
    Product,
    Program,
    Scatter,
    Statement,
)
from tinygrad_scalar.vectorize.sums import MatrixPart, Part, PullPart, TermsPart, better_order, parts_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Indices = NDArray[np.int64]


class _Writer:
    """Step 4: the statements of a grouping."""

    def __init__(self, grouping: Grouping, n_parameters: int, sizes: Sequence[int]) -> None:
        self.g = grouping
        self.statements: list[Statement] = []
        self.parameters = Array((n_parameters,), False, "parameters")
        self.arguments = [Array((size,), True, f"argument {a}") for a, size in enumerate(sizes)]
        self._parts: dict[int, list[Part]] = {}  # of the sums of each colour
        grouping.order(self.plan)
        self._fixed = self._read_in_order()
        self.constants = Array((len(grouping.constants),), False, "constants", grouping.constants)
        self.arrays: list[Array | None] = [self.constants, self.parameters, *self.arguments]
        self._gathers: dict[tuple[int, bytes, tuple[int, ...]], Array] = {}

    # --- operands ----------------------------------------------------------------------------------------------------

    def array_of(self, colour: int) -> Array:
        array = self.arrays[colour]
        assert array is not None
        return array

    def gathered(self, source: Array, index: Indices) -> Array:
        """The rows `index` of an array, in the shape of `index`; the array itself if these are all of them in order."""
        if source.shape == index.shape and (index.ravel() == np.arange(source.rows)).all():
            return source
        if source.values is not None:
            return Array(index.shape, False, values=source.values[index])
        key = (id(source), index.tobytes(), index.shape)
        known = self._gathers.get(key)
        if known is None:
            known = self._gathers[key] = self.add(Gather(Array(index.shape, source.batched), source, index))
        return known

    def operand(self, nodes: Indices) -> Array:
        """The array whose rows are `nodes`, all of one colour; with one row if they are all the same node."""
        places = self.g.place[nodes]
        if places.size > 1 and (places == places[0]).all():
            places = places[:1]
        return self.gathered(self.array_of(int(self.g.colour[nodes[0]])), places)

    def add(self, statement: Statement) -> Array:
        self.statements.append(statement)
        return statement.out

    def elementwise(self, op: str, *operands: Array, chooses: bool = False) -> Array:
        rows = max((operand.shape for operand in operands), key=lambda shape: int(np.prod(shape)))
        shape = (int(np.prod(rows)),)
        return self.add(Elementwise(Array(shape, any(o.batched for o in operands)), op, operands, chooses))

    # --- the nodes of one colour -------------------------------------------------------------------------------------

    def write(self) -> None:
        g = self.g
        for colour in range(len(self.arrays), len(g.keys)):
            nodes = g.nodes[colour]
            if nodes.size == 0:
                self.arrays.append(None)
                continue
            kind = g.keys[colour][0]
            nodes = self._rearranged(colour, nodes)
            if kind == "lookup":
                array = self._lookup(nodes)
            elif kind in FOLDED and g.sums.fold[nodes[0]] >= 0:
                array = self._sum(nodes, self._parts[colour]) if kind == "+" else self._fold(kind, nodes)
            else:
                slots = [self.operand(g.operands_of(nodes, slot)) for slot in range(len(g.keys[colour]) - 1)]
                op = "where" if kind == "cond" else kind
                array = self._full(self.elementwise(op, *slots, chooses=kind == "cond"), nodes.size)
            self.arrays.append(array)

    # --- the order of the rows ---------------------------------------------------------------------------------------

    def _read_in_order(self) -> set[int]:
        """The colours that a matrix product or a lookup reads, whose nodes are in the order that suits it."""
        g = self.g
        found: set[int] = set()
        for parts in self._parts.values():
            for part in parts:
                if isinstance(part, (MatrixPart, PullPart)):
                    for read in part.reads():
                        found.update(numbered(g.colour[read.ravel()])[0].tolist())
        for table in distinct_tables(table for table, _, _ in g.trace.lookups.values())[0]:
            found.update(g.colour[table].tolist())
        return found

    def _rearranged(self, colour: int, nodes: Indices) -> Indices:
        """The nodes of a colour in the order in which fewest of their operands must be gathered."""
        g = self.g
        order = better_order(self._places_read(colour, nodes), colour in self._fixed) if nodes.size > 1 else None
        if order is None:
            return nodes
        number = np.empty_like(order)
        number[order] = np.arange(order.size)
        for part in self._parts.get(colour, ()):
            part.rearrange(number)
        g.place[nodes] = number
        g.nodes[colour] = nodes[order]
        return nodes[order]

    def _places_read(self, colour: int, nodes: Indices) -> list[Indices]:
        """Where the operands of the nodes of one colour stand, for each operand that differs between the examples."""
        g = self.g
        kind, *below = g.keys[colour]
        if kind == "lookup":
            return []
        if kind not in FOLDED or g.sums.fold[nodes[0]] < 0:
            slots = [slot for slot, of in enumerate(below) if g.batched[of]]
            places = [g.place[g.operands_of(nodes, slot)] for slot in slots]
        elif kind == "+":
            places = [self._places_of(part) for part in self._parts[colour] if part.sums.size == nodes.size]
        else:
            owner, terms, _ = g.terms_of(nodes)
            one_colour = (g.colour[terms] == g.colour[terms[0]]).all() and terms.size % nodes.size == 0
            equal = one_colour and (owner == np.repeat(np.arange(nodes.size), terms.size // nodes.size)).all()
            places = [g.place[terms].reshape(nodes.size, -1)] if equal else []
        return [of for of in places if of.size]

    def _places_of(self, part: Part) -> Indices:
        if isinstance(part, MatrixPart):
            return part.blocks.places
        if isinstance(part, PullPart):
            return part.table
        assert isinstance(part, TermsPart)
        return self.g.place[part.terms] if self.g.batched[part.colour] else np.empty(0, np.int64)

    def _full(self, array: Array, rows: int) -> Array:
        """The array with that many rows, its one row repeated if need be."""
        return array if array.rows == rows else self.gathered(array, np.zeros(rows, np.int64))

    # --- sums --------------------------------------------------------------------------------------------------------

    def plan(self, nodes: Indices) -> Iterator[Indices]:
        """Decide how sums of one colour are computed; the nodes that this reads."""
        parts = self._parts[int(self.g.colour[nodes[0]])] = parts_of(self.g, nodes)
        for part in parts:
            yield from part.reads()

    def _sum(self, nodes: Indices, parts: Sequence[Part]) -> Array:
        total: Array | None = None
        pieces: list[tuple[Array, Indices]] = []
        constant = np.zeros(nodes.size)
        for part in parts:
            if isinstance(part, TermsPart) and part.colour == CONSTANT:
                np.add.at(constant, part.sums, part.sign * self.g.trace.data[part.terms].sum(axis=1))
                continue
            array = self._part(part)
            if part.sums.size != nodes.size or (part.sums != np.arange(nodes.size)).any():
                signed = array if part.sign > 0 else self.elementwise("neg", array)
                pieces.append((self._full(signed, len(part.sums)), part.sums))
            elif total is None:
                total = array if part.sign > 0 else self.elementwise("neg", array)
            else:
                total = self.elementwise("+" if part.sign > 0 else "-", total, array)
        if pieces:
            joined = self._joined(pieces, nodes.size)
            total = joined if total is None else self.elementwise("+", total, joined)
        assert total is not None
        if constant.any():
            values = constant[:1] if (constant == constant[0]).all() else constant
            total = self.elementwise("+", total, Array(values.shape, False, values=values))
        return self._full(total, nodes.size)

    def _part(self, part: Part) -> Array:
        g = self.g
        if isinstance(part, TermsPart):
            if part.terms.shape[1] == 1:
                return self.operand(part.terms[:, 0])
            gathered = self.gathered(self.array_of(part.colour), g.place[part.terms])
            return self.add(Fold(Array((len(part.terms),), gathered.batched), "+", gathered))
        if isinstance(part, PullPart):
            return self._pull(part)
        assert isinstance(part, MatrixPart)
        left, right, _, places = part.blocks
        (b, p, k), q = left.shape, right.shape[2]
        several = (b,) if b > 1 else ()
        matrix = self.matrix_of(left.reshape(*several, p, k))
        operand = self.matrix_of(right.reshape(*several, k, q) if b > 1 or q > 1 else right.ravel())
        out = Array((*several, p, q) if b > 1 or q > 1 else (p,), operand.batched)
        if part.kind is Distances:
            product = self.add(Distances(out, matrix, operand, part.op))
        else:
            there = None if (left != NOWHERE).all() else (left != NOWHERE).reshape(matrix.shape)
            product = self.add(Product(out, "LR", matrix, operand, b, there))
        return product if _is_in_order(places, product.rows) else self.gathered(product, places)

    def _pull(self, part: PullPart) -> Array:
        """Σ dᵢ·2(leftᵢₜ − rightₜ), the gradient of distances by what is the right operand here, but for its sign."""
        pull, n = part.pull, len(part.sums)
        d, left, right = (self.matrix_of(nodes) for nodes in (pull.d, pull.left, pull.right))
        distances = Distances(Array(d.shape, right.batched), left, right)
        out = self.add(DistancesGradient(Array(right.shape, True), "right", d, distances))
        rows = self.gathered(out, part.table if part.table.shape[1] > 1 else part.table.ravel())
        total = self.add(Fold(Array((n,), True), "+", rows)) if part.table.shape[1] > 1 else rows
        return self.elementwise("neg", total)

    def _joined(self, pieces: Sequence[tuple[Array, Indices]], *shape: int) -> Array:
        """An array put together from pieces; row i of a piece is added to row index[i]."""
        batched = any(piece.batched for piece, _ in pieces)
        return self.add(Scatter(Array(shape, batched), tuple(pieces)))

    def _fold(self, kind: str, nodes: Indices) -> Array:
        g = self.g
        pieces = []
        owner, terms, _ = g.terms_of(nodes)
        counts = np.bincount(owner, minlength=nodes.size)
        for count in ascending(counts).tolist():
            rows = np.flatnonzero(counts == count)
            its = terms[counts[owner] == count].reshape(-1, count)
            pieces.append((self._folded(kind, its), rows))
        return pieces[0][0] if len(pieces) == 1 else self._joined(pieces, nodes.size)

    def _folded(self, kind: str, terms: Indices) -> Array:
        """Each row of `terms` folded into one number; two terms are folded element by element."""
        colours = self.g.colour[terms]
        one_colour = bool((colours == colours[0, 0]).all())
        even, fixed = kind in ("max", "min"), kind == "largest"
        kind = f"{kind}imum" if even else "maximum" if fixed else kind
        if (not fixed and terms.shape[1] < 3) or (kind == "logaddexp" and not one_colour):
            folded = self._mixed(terms[:, 0])
            op = "logaddexp" if kind == "logsumexp" else kind  # a part of a list
            for k in range(1, terms.shape[1]):
                folded = self.elementwise(op, folded, self._mixed(terms[:, k]))
            return self._full(folded, len(terms))
        places = np.arange(terms.size) if not one_colour else self.g.place[terms.ravel()]
        source = self._mixed(terms.ravel()) if not one_colour else self.array_of(int(colours[0, 0]))
        x = self.gathered(source, places.reshape(terms.shape))
        if kind not in ("logaddexp", "logsumexp"):
            return self.add(Fold(Array((len(terms),), x.batched), kind, x, fixed, even))
        # log Σₖ exp(xₖ) = M + log Σₖ exp(xₖ − M), where M is the largest; M's slope cancels. Where M is infinite, 1 for
        # the sum makes the slopes those of logaddexp in ops.py: 1 for each +∞, 0 for all else.
        n, k = terms.shape
        largest = self.add(Fold(Array((n,), x.batched), "maximum", x, fixed=True))
        spread = self.gathered(largest, np.repeat(np.arange(n), k)) if n > 1 else largest
        e = self.add(Elementwise(Array((n, k), x.batched), "exp", (self._minus(x, spread),)))
        total = self.elementwise("1 at infinity", self.add(Fold(Array((n,), x.batched), "+", e)), largest)
        return self.elementwise("+", self.elementwise("log", total), largest)

    def _minus(self, x: Array, y: Array) -> Array:
        return self.add(Elementwise(Array(x.shape, x.batched), "minus fixed", (x, y)))

    def matrix_of(self, nodes: Indices) -> Array:
        """Nodes, of any colours, as an array of their shape; 0 for each that is NOWHERE."""
        there = nodes.ravel() != NOWHERE
        colours = np.where(there, self.g.colour[nodes.ravel()], -1)
        if (colours == colours[0]).all():
            return self.gathered(self.array_of(int(colours[0])), self.g.place[nodes])
        pieces = []
        for colour, rows in by_key(colours):
            if colour < 0:
                continue
            its = self.gathered(self.array_of(colour), self.g.place[nodes.ravel()[rows]])
            pieces.append((its, rows))
        return self._joined(pieces, *nodes.shape)

    def _mixed(self, nodes: Indices) -> Array:
        """The array whose rows are `nodes`, of any colours."""
        colours = self.g.colour[nodes]
        if (colours == colours[0]).all():
            return self.operand(nodes)
        pieces = []
        for _, rows in by_key(colours):
            pieces.append((self._full(self.operand(nodes[rows]), rows.size), rows))
        return self._joined(pieces, nodes.size)

    # --- lookups -----------------------------------------------------------------------------------------------------

    def _lookup(self, nodes: Indices) -> Array:
        g = self.g
        entries, which = g.tables_of(nodes)
        argument = g.keys[int(g.colour[nodes[0]])][3]
        places = np.array([g.trace.lookups[i][2] for i in nodes.tolist()])
        in_branch = np.array([k for k, i in enumerate(nodes.tolist()) if i in g.trace.reached], np.int64)
        colours = ascending(g.colour[entries])
        if len(colours) == 1:
            source, table = self.array_of(int(colours[0])), g.place[entries]
        else:
            unique, table = np.unique(entries, return_inverse=True)
            source, table = self._mixed(unique), table.reshape(entries.shape)
        out = Array((nodes.size,), True)
        some = in_branch if in_branch.size else None
        return self.add(Lookup(out, source, table, which, self.arguments[argument], places, some))


def _is_in_order(places: Indices, rows: int) -> bool:
    return len(places) == rows and bool((places == np.arange(rows)).all())


def assemble(grouping: Grouping, n_parameters: int, sizes: Sequence[int]) -> Program:
    """The array program that computes the cost of a trace; argument a has sizes[a] numbers."""
    trace = grouping.trace
    writer = _Writer(grouping, n_parameters, sizes)
    writer.write()
    cost = writer.operand(np.array([trace.cost]))
    guarded = [writer.operand(np.array([i])) for i, _ in trace.guards]
    return Program(writer.parameters, writer.arguments, cost, writer.statements, guarded)

"""The array program: the grouped scalar graph as a short list of statements over arrays.

An `Array` has one row for each Value that it stands for; a *batched* one has a column for each of the m examples (003:
examples are columns), any other is the same for all. `shape` is how the rows are arranged; their number is its product.
Every statement makes one array.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tinygrad_scalar.engine.ops import Operation, operation

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    Indices = NDArray[np.int64]


@dataclass(eq=False)
class Array:
    """An array of the program, compared by identity. `name` is given when the program is printed."""

    shape: tuple[int, ...]
    batched: bool
    name: str = ""
    values: NDArray[np.float64] | None = None  # of constants

    @property
    def rows(self) -> int:
        return math.prod(self.shape)


@dataclass(eq=False)
class Statement:
    """out = a function of the operands, given by the class."""

    out: Array

    @property
    def operands(self) -> tuple[Array, ...]:
        raise NotImplementedError


@dataclass(eq=False)
class Gather(Statement):
    """Row i of out is row index[i] of the source; index has the shape of out."""

    source: Array
    index: Indices

    @property
    def operands(self) -> tuple[Array, ...]:
        return (self.source,)


class Slope(NamedTuple):
    """∂v/∂x, where v is the result of an operation of ops.py and x its operand number `operand`.

    `reads` says which of (v, *operands) the slope is computed from, in this order: σ′ from v and x, 1/(1 + x²) from x.
    """

    op: str
    operand: int
    reads: tuple[int, ...]


@dataclass(eq=False)
class Elementwise(Statement):
    """An operation row by row; an operand of one row is used for every row.

    `op` names one of ops.py or of ONLY_OF_ARRAYS, or is a slope.
    """

    op: str | Slope
    sources: tuple[Array, ...]
    chooses: bool = False  # a "where" from which a gradient only goes to the operand that an example takes
    of: Elementwise | None = None  # the statement of a primitive for which it is the last one: see made_of.py

    @property
    def operands(self) -> tuple[Array, ...]:
        return self.sources

    @property
    def row(self) -> Operation | None:
        """The row of the operation in ops.py, if it has one."""
        return None if isinstance(self.op, Slope) or self.op in ONLY_OF_ARRAYS else operation(self.op)

    @property
    def is_of_companion(self) -> bool:
        """Whether it is the slope in an operand that only keeps another one's digits."""
        return isinstance(self.op, Slope) and self.op.operand in operation(self.op.op).companions


# Operations that only arrays have, and how they print as in ops.py.
# "minus fixed"    x − y where y, the largest of several x, counts as a constant; +∞ is 0 above itself, −∞ is −∞
# "1 at infinity"  x, or 1 where y, which counts as a constant, is infinite
# "* on path"      d·slope, or 0 where a piecewise operation has the slope 0, even if d is infinite or nan
ONLY_OF_ARRAYS = {"minus fixed": "{0} − {1}", "1 at infinity": "{0}", "* on path": "{0}·{1}"}


@dataclass(eq=False)
class Product(Statement):
    """A matrix product of one of three forms; the columns of a batched operand's examples stand side by side.

    "LR"   out (p, q) = left (p, k) @ right (k, q)
    "TR"   out (k, q) = left (p, k).T @ right (p, q)
    "RT"   out (p, k) = left (p, q) @ right (k, q).T, summed over the examples too, unless out is batched

    With several `blocks`, each array has them as its first axis, and there is a product for each. `there` says which
    entries of left exist; any other is 0 and adds nothing, not even where right is infinite or nan. In a gradient of
    what lookups choose from, `chosen` says in the same way which entries of (p, q) were chosen in an example, and how
    often.
    """

    form: str
    left: Array
    right: Array
    blocks: int = 1
    there: NDArray[np.bool_] | None = None
    chosen: Array | None = None

    @property
    def sizes(self) -> tuple[int, int, int]:
        """p, k and q."""
        p, k = (self.out if self.form == "RT" else self.left).shape[-2:]
        return p, k, (self.right.rows // k if self.form != "TR" else self.right.rows // p) // self.blocks

    @property
    def of_each_example(self) -> bool:
        """Whether neither factor is the same in all examples, so that each example has a product of its own."""
        return self.out.batched if self.form == "RT" else self.left.batched

    @property
    def operands(self) -> tuple[Array, ...]:
        return (self.left, self.right) if self.chosen is None else (self.left, self.right, self.chosen)


@dataclass(eq=False)
class Distances(Statement):
    """Squared distances between the rows of left (p, k) and the columns of right (k, q).

    out[i, j] = Σₜ (left[i, t] − right[t, j])², where left is the same in all examples; a square is x**2 or x·x
    """

    left: Array
    right: Array
    square: str = "**2"  # or "*"

    @property
    def operands(self) -> tuple[Array, ...]:
        return (self.left, self.right)

    @property
    def sizes(self) -> tuple[int, int, int]:
        """p, k and q."""
        p, k = self.left.shape
        return p, k, self.right.rows // k


@dataclass(eq=False)
class DistancesGradient(Statement):
    """The gradient of Σ d·distances with respect to their left or right operand, where d is the source.

    "left"   out[i, t] = Σⱼ 2·d[i, j]·(left[i, t] − right[t, j]), summed over the examples too
    "right"  out[t, j] = Σᵢ −2·d[i, j]·(left[i, t] − right[t, j])

    With differences beyond 9e307, d·(2·x), for x**2, is not d·x + d·x, for x·x.
    """

    side: str
    source: Array
    distances: Distances

    @property
    def operands(self) -> tuple[Array, ...]:
        return (self.source, *self.distances.operands)


@dataclass(eq=False)
class Fold(Statement):
    """Row i of out folds row i of the operand of shape (n, k) by "+", "maximum" or "minimum", from left to right.

    `fixed` is a result that counts as a constant. With `even`, all ties share the gradient equally, as in ts.max of a
    list; else two at a time, as in a chain of maximum.
    """

    op: str
    source: Array
    fixed: bool = False
    even: bool = False

    @property
    def operands(self) -> tuple[Array, ...]:
        return (self.source,)


@dataclass(eq=False)
class Shares(Statement):
    """The slope of a fold by "maximum" or "minimum" in each of its terms; out has the shape (n, k)."""

    fold: Fold

    @property
    def operands(self) -> tuple[Array, ...]:
        return (self.fold.source, self.fold.out)


@dataclass(eq=False)
class OverExamples(Statement):
    """The sum of the operand over the examples."""

    source: Array

    @property
    def operands(self) -> tuple[Array, ...]:
        return (self.source,)


@dataclass(eq=False)
class Scatter(Statement):
    """Adds up parts: each adds its row i to row index[i] of out, or, with no index, to row i."""

    parts: tuple[tuple[Array, Indices | None], ...]

    @property
    def operands(self) -> tuple[Array, ...]:
        return tuple(part for part, _ in self.parts)


@dataclass(eq=False)
class Lookup(Statement):
    """Row i of out is row tables[which[i], j] of the source, where j is row places[i] of the argument, in each example.

    Many lookups share a table, as those of all words of a text do.
    """

    source: Array
    tables: Indices
    which: Indices
    argument: Array
    places: Indices
    in_branch: Indices | None = None  # rows that ts.cond looks up in some examples; in others j can be any number

    @property
    def operands(self) -> tuple[Array, ...]:
        return (self.source,)


@dataclass(eq=False)
class LookupScatter(Statement):
    """The reverse of a lookup: adds row i of the source to row tables[which[i], j] of out, in each example."""

    source: Array
    lookup: Lookup

    @property
    def operands(self) -> tuple[Array, ...]:
        return (self.source,)


class Factors(NamedTuple):
    """A contribution to each example's gradient: left[i]·right[j] to the parameter columns[i, j]; right may be 1."""

    columns: Indices
    left: Array
    right: Array | None


@dataclass
class Program:
    """The statements that compute the cost, and, once reverse.py has run, its gradients.

    parameters  the vector of all parameters; `arguments` hold each argument's numbers as rows
    cost        one row; `guarded` are the arrays that the guards of the trace watch
    gradient    ∂cost/∂parameters, summed over the examples; `input_gradients` those of the `differentiated` arguments,
                and after them the arrays of the factors
    factors     in its stead, the contributions to the gradient of each example, whose arrays are among the results
    reduce      what the program gives: the "mean" or the "sum" of the costs and its gradient, or "each" cost
    """

    parameters: Array
    arguments: list[Array]
    cost: Array
    forward: list[Statement]
    guarded: list[Array] = field(default_factory=list)
    backward: list[Statement] = field(default_factory=list)
    gradient: Array | None = None
    input_gradients: list[Array] = field(default_factory=list)
    differentiated: list[Array] = field(default_factory=list)
    factors: list[Factors] = field(default_factory=list)
    reduce: str = "mean"
    gradients: dict[Array, Array] = field(default_factory=dict)  # of each array that has one
    lowered: Program | None = None  # what runs, once it is made: see made_of.py


def needed(statements: Sequence[Statement], wanted: Sequence[Array]) -> list[Statement]:
    """The statements whose results are among `wanted` or are read, directly or indirectly, by one that is needed."""
    read = set(wanted)
    found = []
    for statement in reversed(statements):
        if statement.out in read:
            read.update(statement.operands)
            found.append(statement)
    return found[::-1]

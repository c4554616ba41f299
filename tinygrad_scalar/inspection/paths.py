"""The chain rule between named values: the paths from one value to the root, and the derivative along each edge.

The numbers are the engine's local gradients; the symbols between two names are derived in derivation.py. Where they
would be too long, values in between get the names v₁, v₂, … that `step` has for them.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, partial
from heapq import heapify, heappop, heappush
from typing import Any, NamedTuple, TypeVar

from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.graph import contribution, shown_operands
from tinygrad_scalar.engine.ops import operation
from tinygrad_scalar.inspection.brackets import Formula
from tinygrad_scalar.inspection.derivation import Derivation, Written
from tinygrad_scalar.inspection.named_graph import NamedGraph
from tinygrad_scalar.inspection.names import symbol
from tinygrad_scalar.inspection.notation import number

MOST_TERMS = 4  # terms of a sum that are written out
MOST_FACTORS = 40  # factors written out in a product; also in all terms of a sum that go on to the root
MOST_OF_A_LAYER = 3  # values that have an equation of their own
MOST_OF_A_CHAIN = 8  # the same where each layer has one value
SHORT = 5  # values in a formula that needs no name of its own
SUMS, PRODUCTS, COMPARISONS = ("+", "-", "neg"), ("*", "/"), ("greater", "greater_equal")
T = TypeVar("T")


class Factor:
    """∂of/∂by: its number `value`, and its symbols `text`, `latex` and `expression`, derived when first read.

    `part` is "direct" if this is only the part of ∂of/∂by that passes through no other named value.
    """

    def __init__(self, of: Value, by: Value, value: float, write: Callable[[], Written], part: str = "") -> None:
        self.of, self.by, self.value, self._write, self.part = of, by, value, write, part

    @cached_property
    def _written(self) -> Written:
        return self._write()

    def __getstate__(self) -> dict[str, Any]:  # a pickle cannot hold SymPy's classes; they are derived again
        return {name: value for name, value in vars(self).items() if name != "_written"}

    @property
    def formula(self) -> Formula:
        return self._written.formula

    @property
    def text(self) -> str:
        return self.formula.text

    @property
    def latex(self) -> str:
        return self.formula.latex

    @property
    def expression(self) -> Any:
        return self._written.expression


class Equation(NamedTuple):
    """∂root/∂by as a sum of products; a lone product is a sum of one."""

    by: Value
    products: tuple[tuple[Factor, ...], ...]
    value: float


class Paths:
    """The values between `by` and the root, and the derivatives between those that have names.

    numbered  values without a name that are called v₁, v₂, …
    """

    numbered: frozenset[Value] = frozenset()  # pickles written before have none

    def __init__(self, graph: NamedGraph, by: Value) -> None:
        self._graph, self.by = graph, by
        self.root, self.nodes, self.index, self.notation = graph.root, graph.nodes, graph.index, graph.notation
        self.users: dict[Value, list[Value]] = {by: []}  # of each value that depends on `by`, in the order made
        beside = {name for name in {node.op for node in self.nodes} if name and operation(name).companions}
        for node in self.nodes[self.index[by] + 1 :]:
            if node.op:
                operands = [operand for _, operand in shown_operands(node)] if node.op in beside else node.operands
                below = [operand for operand in dict.fromkeys(operands) if operand in self.users]
                if below:
                    self.users[node] = []
                    for operand in below:
                        self.users[operand].append(node)
        self.named = {node for node in self.users if node in self.notation.called} | {self.root, by}
        self._reached: dict[Value, list[Value]] = {}
        self._edges: dict[Value, list[Factor]] = {}
        self._straight_ways: dict[Value, tuple[Value, float] | None] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "derivation"}

    @cached_property
    def derivation(self) -> Derivation:
        symbols = self.numbered.union(self.notation.called)
        return Derivation(self.notation, self.index, self.named, symbols, self._constants)

    @cached_property
    def _constants(self) -> set[Value]:
        """The numbers without a name, and the values computed from them alone."""
        called, users, found = self.notation.called, self.users, set[Value]()
        for node in self.nodes:
            if node not in called and node not in users and found.issuperset(node.operands):
                found.add(node)
        return found

    def equations(self) -> tuple[list[Equation], list[list[Value]]]:
        """The equation of `by`, then those of the values that it leads to and that are used more than once.

        In each layer only some have an equation; the others, whose equations look alike, are returned beside them.
        """
        while True:
            equations, likewise, shown = self._equations()
            new = set[Value]().union(*(self._hard_to_write(edge.of, edge.by) for edge in shown))
            if not new:
                return equations, likewise
            self.numbered = self.numbered | new
            self.named |= new.intersection(self.users)
            self._reached, self._edges, self._straight_ways = {}, {}, {}
            del self.derivation

    def _equations(self) -> tuple[list[Equation], list[list[Value]], list[Factor]]:
        """The equations, the values without one, and the edges that are written out."""
        gradients, shown = self._graph.gradients, list[Factor]()
        equations: list[Equation] = []
        likewise: dict[Any, list[Value]] = {}
        written_out: Counter[Any] = Counter()
        todo, seen = deque([self.by]), {self.by}
        while todo:
            value = todo.popleft()
            called = self.notation.called.get(value, "")
            name = symbol(called)
            layer = (name.letter, name.indices and name.layer) if name else re.sub(r"\d+", "", called)
            if written_out[layer] == (MOST_OF_A_LAYER if name and name.indices else MOST_OF_A_CHAIN):
                likewise.setdefault(layer, []).append(value)
                continue
            written_out[layer] += 1
            products = self._products(value, seen)
            shown += [edge for product in few(products) for edge in product]
            finished = tuple(tuple(self._finished(product, gradients)) for product in products)
            equations.append(Equation(value, finished, gradients[value]))
            for product in products:
                last = product[-1].of
                if last is not self.root and last not in seen:
                    seen.add(last)
                    todo.append(last)
        return equations, list(likewise.values()), shown

    def _products(self, value: Value, ends: set[Value]) -> list[list[Factor]]:
        """The terms of ∂root/∂value, each followed while values are used once, at most to one of the `ends`.

        If that is long, each stops at the first value that another term reaches too.
        """
        edges = self.edges(value)
        if len(edges) > 1 and sum(len(self._way(edge.of, ends)) for edge in edges[:MOST_FACTORS]) > MOST_FACTORS:
            ends = ends | self._shared([edge.of for edge in edges])
        return [[edge, *self._onwards(edge.of, ends)] for edge in edges]

    def _onwards(self, value: Value, ends: set[Value]) -> list[Factor]:
        return [self.edges(by)[0] for by in self._way(value, ends)[:-1]]

    def _way(self, value: Value, ends: set[Value]) -> list[Value]:
        """The values from this one on, while each is used once, up to the root or one of the `ends`."""
        way = [value]
        while value is not self.root and value not in ends and len(following := self.reached(value)) == 1:
            (value,) = following
            way.append(value)
        return way

    def _shared(self, values: Sequence[Value]) -> set[Value]:
        """The values where the paths from these values meet."""
        passed: set[Value] = set()
        shared: set[Value] = set()
        for value in values:
            for on_the_way in self._way(value, passed):
                (shared if on_the_way in passed else passed).add(on_the_way)
        return shared

    def _finished(self, product: list[Factor], values: Mapping[Value, float]) -> Iterable[Factor]:
        """The product with ∂root/∂(the value where it stopped) as its last factor."""
        yield from product
        last = product[-1].of
        if last is not self.root:
            yield Factor(self.root, last, values[last], partial(self._derivative, self.root, last))

    # --- the derivatives between one name and the next ----------------------------------------------------------------

    def reached(self, by: Value) -> list[Value]:
        """The named values that `by` reaches without passing another name, in topological order."""
        if by not in self._reached:
            straight = self._straight(by)
            numbers = {} if straight else self._numbers_above(by)
            self._reached[by] = [straight[0]] if straight else [n for n in numbers if n in self.named and n is not by]
        return self._reached[by]

    def edges(self, by: Value) -> list[Factor]:
        """∂end/∂by for each named value `end` that `by` reaches without passing another name."""
        if by is self.root:
            return [Factor(by, by, 1.0, lambda: Written(number(1.0), 1))]
        if by not in self._edges:
            straight, reached = self._straight(by), self.reached(by)
            numbers = dict([straight]) if straight else self._numbers_above(by)
            above = self._above(reached)
            self._edges[by] = [
                Factor(end, by, numbers[end], partial(self._write, end, by), "direct" if end in above else "")
                for end in reached
            ]
        return self._edges[by]

    def _straight(self, by: Value) -> tuple[Value, float] | None:
        """The next named value and its derivative, 1 or −1, if only sums lead there, in which `by` stands once.

        A term of a long sum is one step away from it, not as many steps as there are terms.
        """
        way, found = [by], None
        while way[-1] not in self._straight_ways:
            users = self.users[way[-1]]
            if len(users) != 1 or users[0].op not in SUMS or users[0].operands.count(way[-1]) != 1:
                self._straight_ways[way[-1]] = None
            elif users[0] in self.named:
                self._straight_ways[way[-1]] = users[0], _share(users[0], way[-1])
            else:
                way.append(users[0])
        found = self._straight_ways[way.pop()]
        for value in reversed(way):
            (user,) = self.users[value]
            found = found and (found[0], found[1] * _share(user, value))
            self._straight_ways[value] = found
        return found

    def _numbers_above(self, by: Value) -> dict[Value, float]:
        """∂node/∂by for `by` and what it reaches without passing a name, in topological order."""
        numbers: dict[Value, float] = {by: 1.0}
        waiting = [self.index[user] for user in self.users[by]]
        heapify(waiting)
        while waiting:
            node = self.nodes[heappop(waiting)]
            if node in numbers:
                continue
            numbers[node] = sum(
                contribution(node.op, local_grad, numbers[operand])
                for operand, local_grad in zip(node.operands, node.local_grads)
                if self.derivation.leads_on(operand, by, numbers)
            )
            if node not in self.named:
                for user in self.users[node]:
                    heappush(waiting, self.index[user])
        return numbers

    def _above(self, values: Sequence[Value]) -> set[Value]:
        """The values computed from these, up to the last of these."""
        last = max((self.index[value] for value in values), default=0)
        found: set[Value] = set()
        todo = list(values) if len(values) > 1 else []
        while todo:
            above = [user for user in self.users[todo.pop()] if user not in found and self.index[user] <= last]
            found.update(above)
            todo += above
        return found

    def _write(self, end: Value, by: Value, numbers: Mapping[Value, float] | None = None) -> Written:
        return self.derivation.write(end, by, numbers or self._numbers_above(by))

    def _derivative(self, end: Value, by: Value) -> Written:
        return self.derivation.derivative(end, by)

    # --- names for values in between ----------------------------------------------------------------------------------

    def _hard_to_write(self, end: Value, by: Value) -> set[Value]:
        """If ∂end/∂by is too long to write out, the values in it that are to be written as names.

        The sums, and the products in them, are among these only if the others are not enough.
        """
        if by is self.root or self._straight(by):
            return set()
        derivation, numbers = self.derivation, self._numbers_above(by)
        if not derivation.is_long(end, by, numbers):
            return set()
        found = {operand for node in derivation.between(end, by, numbers) for operand in node.operands if operand.op}
        unnamed = [node for node in found - derivation.symbols if node not in self._constants]
        unnamed.sort(key=self.index.__getitem__)
        sizes: dict[Value, int] = {}  # of those that stay without a name
        for node in unnamed:
            operands = [sizes.get(x, 1 if x in found else derivation.size(x)) for x in node.operands]
            is_term, size = node not in self._outside_sums, 1 + sum(operands)
            if self._is_linear(node):
                stays = is_term or size <= SHORT
            else:
                stays = size <= SHORT and (node.op in COMPARISONS or (is_term and node.op in PRODUCTS))
            if stays:
                sizes[node] = size
        if len(sizes) < len(unnamed):
            return set(unnamed).difference(sizes)
        return {node for node in unnamed if node.op not in SUMS or node in self._outside_sums}

    def _is_linear(self, node: Value) -> bool:
        """Whether an operation adds, or multiplies by a number without a name."""
        return node.op in SUMS or (node.op in PRODUCTS and not self._constants.isdisjoint(node.operands[-1:]))

    @cached_property
    def _outside_sums(self) -> set[Value]:
        """The operands of operations other than sums."""
        return {operand for node in self.nodes if node.op not in SUMS for operand in node.operands}


def _share(node: Value, operand: Value) -> float:
    return node.local_grads[node.operands.index(operand)]


def few(terms: Sequence[T]) -> Sequence[T]:
    """The terms of a sum that are written out: all, or the first two and the last."""
    return terms if len(terms) <= MOST_TERMS else [*terms[:2], terms[-1]]

"""The chain rule between named values: the paths from one value to the root, and the derivative along each edge.

The numbers are the engine's local gradients; SymPy derives the symbols between two names.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, partial
from heapq import heapify, heappop, heappush
from typing import Any, NamedTuple

from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.ops import contribution
from tinygrad_scalar.inspection.brackets import SINGLE, Formula, formula
from tinygrad_scalar.inspection.named_graph import NamedGraph
from tinygrad_scalar.inspection.names import symbol
from tinygrad_scalar.inspection.notation import is_at_a_kink, number
from tinygrad_scalar.inspection.symbolic import (
    constant,
    constant_slope,
    expression,
    is_writable,
    latex_text,
    slope,
    unicode_text,
)

MOST_FACTORS = 40  # factors written out in a product; also in all terms of a sum that go on to the root
LARGEST = 200  # values in a formula that is written out
MOST_OF_A_LAYER = 3  # values that have an equation of their own
MOST_OF_A_CHAIN = 8  # the same where each layer has one value


class Written(NamedTuple):
    """A derivative's symbols as they print, and as a SymPy expression."""

    formula: Formula
    expression: Any


class Factor:
    """∂of/∂by: its number `value`, and its symbols `text`, `latex` and `expression`, derived when first read.

    `part` is "direct" if this is only the part of ∂of/∂by that passes through no other named value.
    """

    def __init__(self, of: Value, by: Value, value: float, write: Callable[[], Written], part: str = "") -> None:
        self.of, self.by, self.value, self._write, self.part = of, by, value, write, part

    @cached_property
    def _written(self) -> Written:
        return self._write()

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
    """The values between `by` and the root, and the derivatives between those that have names."""

    def __init__(self, graph: NamedGraph, by: Value) -> None:
        self._graph, self.by = graph, by
        self.root, self.nodes, self.index, self.notation = graph.root, graph.nodes, graph.index, graph.notation
        self.users: dict[Value, list[Value]] = {by: []}  # of each value that depends on `by`, in the order made
        for node in self.nodes[self.index[by] + 1 :]:
            if node.op:
                below = [operand for operand in dict.fromkeys(node.operands) if operand in self.users]
                if below:
                    self.users[node] = []
                    for operand in below:
                        self.users[operand].append(node)
        self.named = {node for node in self.users if node in self.notation.called} | {self.root, by}
        self._constants = self._made_of_numbers()
        self._latex: dict[Any, str] = {}
        self._expressions: dict[Value, Any] = {}
        self._sizes: dict[Value, int] = {}
        self._reached: dict[Value, list[Value]] = {}
        self._edges: dict[Value, list[Factor]] = {}

    def _made_of_numbers(self) -> set[Value]:
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
        gradients = self._graph.gradients
        equations: list[Equation] = []
        likewise: dict[Any, list[Value]] = {}
        written_out: Counter[Any] = Counter()
        todo, seen = deque([self.by]), {self.by}
        while todo:
            value = todo.popleft()
            name = symbol(self.notation.called.get(value, ""))
            layer = (name.letter, name.indices and name.layer) if name else value
            if written_out[layer] == (MOST_OF_A_LAYER if name and name.indices else MOST_OF_A_CHAIN):
                likewise.setdefault(layer, []).append(value)
                continue
            written_out[layer] += 1
            products = self._products(value, seen)
            finished = tuple(tuple(self._finished(product, gradients)) for product in products)
            equations.append(Equation(value, finished, gradients[value]))
            for product in products:
                last = product[-1].of
                if last is not self.root and last not in seen:
                    seen.add(last)
                    todo.append(last)
        return equations, list(likewise.values())

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
            numbers = self._numbers_above(by)
            self._reached[by] = [node for node in numbers if node in self.named and node is not by]
        return self._reached[by]

    def edges(self, by: Value) -> list[Factor]:
        """∂end/∂by for each named value `end` that `by` reaches without passing another name."""
        if by is self.root:
            return [Factor(by, by, 1.0, lambda: Written(number(1.0), 1))]
        if by not in self._edges:
            numbers, reached = self._numbers_above(by), self.reached(by)
            above = self._above(reached)
            self._edges[by] = [
                Factor(end, by, numbers[end], partial(self._write, end, by, numbers), "direct" if end in above else "")
                for end in reached
            ]
        return self._edges[by]

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
                if self._leads_on(operand, by, numbers)
            )
            if node not in self.named:
                for user in self.users[node]:
                    heappush(waiting, self.index[user])
        return numbers

    def _leads_on(self, operand: Value, by: Value, numbers: Mapping[Value, float]) -> bool:
        return operand in numbers and (operand is by or operand not in self.named)

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

    def _write(self, end: Value, by: Value, numbers: Mapping[Value, float]) -> Written:
        """∂end/∂by in symbols, or the derivative itself if there are too many."""
        import sympy

        try:
            derived = self._derived(end, by, numbers)
        except (ArithmeticError, TypeError, ValueError):  # SymPy compares neither nan nor complex numbers
            derived = None
        if derived is None:
            return self._derivative(end, by)
        derived = _whole(sympy.factor_terms(_whole(sympy.sympify(derived))))  # 0.5·2 is 1.0 after it
        is_undefined = derived.is_number and not math.isfinite(numbers[end])  # 0·log(x) where log(x) is −∞
        if is_undefined or not is_writable(derived):
            return self._derivative(end, by)
        return Written(formula(unicode_text(derived), latex_text(derived, self._latex)), derived)

    def _derivative(self, end: Value, by: Value) -> Written:
        """∂end/∂by as a symbol."""
        import sympy

        derivative = self.notation.derivative(end, by)
        return Written(derivative, sympy.Symbol(derivative.text, real=True))

    def _derived(self, end: Value, by: Value, numbers: Mapping[Value, float]) -> Any:
        """∂end/∂by by SymPy, operation by operation; None if it is too long to write out."""
        between, todo = {end}, [end]
        while todo:
            for operand in todo.pop().operands:
                if operand is not by and operand not in between and self._leads_on(operand, by, numbers):
                    between.add(operand)
                    todo.append(operand)
        symbols: dict[Value, Any] = {by: 1}
        sizes: dict[Value, int] = {by: 1}
        for node in sorted(between, key=self.index.__getitem__):
            symbols[node], sizes[node] = 0, 0
            for i, operand in enumerate(node.operands):
                if operand in symbols and self._leads_on(operand, by, numbers):
                    if constant_slope(node.op, i) is None:
                        sizes[node] += 1 + sum(map(self._size, node.operands))
                    sizes[node] += sizes[operand]
                    if sizes[node] > LARGEST:
                        return None
                    symbols[node] = symbols[node] + self._slope(node, i) * symbols[operand]
        return symbols[end]

    def _slope(self, node: Value, i: int) -> Any:
        import sympy

        same_everywhere = constant_slope(node.op, i)
        if same_everywhere is not None:
            return same_everywhere
        if is_at_a_kink(node):
            return sympy.Float(node.local_grads[i])
        found = slope(node.op, i, [self._expression(operand) for operand in node.operands])
        if found is None:
            written = self._derivative(node, node.operands[i])
            found = written.expression
            self._latex[found] = written.formula.latex
        return found

    def _size(self, value: Value) -> int:
        """How many values it takes to write out a value, each counted as often as it is written; 1 if too many."""
        if value not in self._sizes:
            todo, size = [value], 0
            while todo and size <= LARGEST:
                size += 1
                todo += self._below(todo.pop())
            self._sizes[value] = size if size <= LARGEST else 1
        return self._sizes[value]

    def _below(self, node: Value) -> Sequence[Value]:
        """The operands with which a value is written out: none if it has a name or is made of plain numbers."""
        return [] if node in self._constants or node in self.notation.called else node.operands

    def _expression(self, value: Value) -> Any:
        """A value in SymPy: a symbol if it has a name, a number if it is one, or else its operation, written out.

        If that is too long, the symbol vₙ.
        """
        todo = [value]
        while todo:
            node = todo[-1]
            if node not in self._expressions:
                below = self._below(node)
                is_too_large = below and self._size(node) == 1
                below = [] if is_too_large else below
                missing = [operand for operand in below if operand not in self._expressions]
                if missing:
                    todo += missing
                    continue
                self._expressions[node] = self._symbol(node) if is_too_large else self._made(node, below)
            todo.pop()
        return self._expressions[value]

    def _made(self, node: Value, below: Sequence[Value]) -> Any:
        if node in self.notation.called or (not node.op and node not in self._constants):
            return self._symbol(node)
        if node in self._constants:  # the engine's number: SymPy's has other digits, 9^9^9 too many
            return constant(node.data)
        return expression(node.op, [self._expressions[operand] for operand in below])

    def _symbol(self, node: Value) -> Any:
        import sympy

        name = self.notation.named(node).bracketed(SINGLE)
        found = sympy.Symbol(name.text, real=True)
        self._latex[found] = name.latex
        return found


def _is_short(number: float) -> bool:
    """Whether a number is written without a point and without an exponent."""
    return number.is_integer() and abs(number) < 1e9


def _whole(expression: Any) -> Any:
    """A SymPy expression with 2 for 2.0."""
    import sympy

    numbers = [number for number in expression.atoms(sympy.Float) if _is_short(float(number))]
    return expression.xreplace({number: sympy.Integer(int(float(number))) for number in numbers})

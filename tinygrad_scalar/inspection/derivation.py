"""∂end/∂by in symbols, for two values with names: by SymPy, operation by operation, in terms of the names around them.

Where SymPy finds no real number (a constant is nan or infinite, a root is complex), the operation's own derivative
stays in the formula, such as x·∂v₁/∂x.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence, Set
from typing import Any, NamedTuple

from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.graph import topological_order
from tinygrad_scalar.inspection.brackets import SINGLE, Formula, formula
from tinygrad_scalar.inspection.notation import Notation, is_at_a_kink
from tinygrad_scalar.inspection.symbolic import (
    attempt,
    constant,
    constant_slope,
    expression,
    latex_text,
    real,
    slope,
    spelled_out,
    unicode_text,
    with_numbers,
)
from tinygrad_scalar.inspection.to_sympy import expression_of

LARGEST = 90  # values in a formula that is written out


class Written(NamedTuple):
    """A derivative's symbols as they print, and as a SymPy expression."""

    formula: Formula
    expression: Any


class Derivation:
    """Derivatives in symbols.

    index      the place of each value of the graph
    named      values where a derivative stops, because the chain rule goes on from there
    symbols    values that are written as their names
    constants  numbers without a name, and what is computed from them alone
    """

    def __init__(
        self,
        notation: Notation,
        index: Mapping[Value, int],
        named: Container[Value],
        symbols: Set[Value],
        constants: Set[Value],
    ) -> None:
        self.notation, self.index, self.named = notation, index, named
        self.symbols, self.constants = symbols, constants
        self._latex: dict[Any, str] = {}  # of each symbol
        self._numbers: dict[Any, float] = {}  # the same
        self._expressions: dict[Value, Any] = {}
        self._sizes: dict[Value, int] = {}

    def write(self, end: Value, by: Value, numbers: Mapping[Value, float]) -> Written:
        """∂end/∂by in symbols, or the derivative itself if that is too long or does not give its number.

        numbers  ∂node/∂by for each value that `by` reaches without passing a name
        """
        derived = None if self.is_long(end, by, numbers) else real(lambda: _tidy(self._derived(end, by, numbers)))
        written = None
        if derived is not None and self._gives(derived, numbers[end]):
            written = attempt(lambda: Written(self._printed(derived), derived))
        return written or self.derivative(end, by)

    def derivative(self, end: Value, by: Value) -> Written:
        """∂end/∂by as a symbol."""
        import sympy

        derivative = self.notation.derivative(end, by)
        return Written(derivative, sympy.Symbol(derivative.text, real=True))

    def operation(self, node: Value) -> Formula:
        """The operation that computes a value, in terms of the names below it."""
        found = None
        if sum(map(self.size, node.operands)) <= LARGEST:
            found = real(lambda: expression(node.op, [self._expression(operand) for operand in node.operands]))
        written = None if found is None else attempt(lambda: self._printed(found))
        return written or self.notation.made(node)

    def in_names(self, expression: Any) -> Any:
        """An expression made here, in terms of the named values alone, which are symbols without assumptions.

        What has no name is written out, and a derivative for which there is no formula is its number.
        """
        import sympy

        called = self.notation.called
        symbols = {node: sympy.Symbol(name) for node, name in called.items()}
        replaced = {symbol: sympy.Float(x) for symbol, x in self._numbers.items()}
        for node, symbol in self._expressions.items():
            if symbol.is_Symbol and symbol in replaced:
                replaced[symbol] = expression_of(topological_order(node), symbols)
        extreme = [symbol for symbol in expression.free_symbols if symbol not in replaced]
        replaced |= {symbol: sympy.Float(symbol.name) for symbol in extreme}
        return spelled_out(expression).xreplace(replaced)

    def _printed(self, expression: Any) -> Formula:
        return formula(unicode_text(expression), latex_text(expression, self._latex))

    def leads_on(self, operand: Value, by: Value, numbers: Container[Value]) -> bool:
        """Whether a path from `by` goes through `operand` without stopping there."""
        return operand in numbers and (operand is by or operand not in self.named)

    def between(self, end: Value, by: Value, numbers: Container[Value]) -> list[Value]:
        """The values on the paths from `by` to `end`, with `end`, in topological order."""
        found, todo = {end}, [end]
        while todo:
            for operand in todo.pop().operands:
                if operand is not by and operand not in found and self.leads_on(operand, by, numbers):
                    found.add(operand)
                    todo.append(operand)
        return sorted(found, key=self.index.__getitem__)

    def is_long(self, end: Value, by: Value, numbers: Container[Value]) -> bool:
        """Whether it takes more than the LARGEST number of values to write out ∂end/∂by."""
        sizes: dict[Value, int] = {by: 0}
        for node in self.between(end, by, numbers):
            sizes[node] = 0
            for i, operand in enumerate(node.operands):
                if operand in sizes and self.leads_on(operand, by, numbers):
                    if constant_slope(node.op, i) is None:
                        sizes[node] += 1 + sum(map(self.size, node.operands))
                    sizes[node] += sizes[operand]
            if sizes[node] > LARGEST:
                return True
        return False

    def _derived(self, end: Value, by: Value, numbers: Container[Value]) -> Any:
        derived: dict[Value, Any] = {by: 1}
        for node in self.between(end, by, numbers):
            derived[node] = 0
            for i, operand in enumerate(node.operands):
                if operand in derived and self.leads_on(operand, by, numbers):
                    derived[node] = derived[node] + self._slope(node, i) * derived[operand]
        return derived[end]

    def _slope(self, node: Value, i: int) -> Any:
        import sympy

        same_everywhere = constant_slope(node.op, i)
        if same_everywhere is not None:
            return same_everywhere
        if is_at_a_kink(node):
            return sympy.Float(node.local_grads[i])
        operands = [self._expression(operand) for operand in node.operands]
        found = real(lambda: slope(node.op, i, operands))
        if found is None:
            written = self.derivative(node, node.operands[i])
            found = written.expression
            self._latex[found], self._numbers[found] = written.formula.latex, node.local_grads[i]
        return found

    def _gives(self, derived: Any, number: float) -> bool:
        """Whether a formula can have this number: 0·log(x) is 0, but nan where log(x) is −∞."""
        if derived.is_Number:
            return math.isclose(float(derived), number, rel_tol=1e-6)
        if math.isfinite(number):
            return True
        return not derived.is_number and real(lambda: with_numbers(derived, self._numbers)) is None

    def size(self, value: Value) -> int:
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
        return [] if node in self.constants or node in self.symbols else node.operands

    def _expression(self, value: Value) -> Any:
        """A value in SymPy: a symbol if it has a name, a number if it is one, or else its operation, written out.

        If that is too long or not real, the symbol vₙ.
        """
        todo = [value]
        while todo:
            node = todo[-1]
            if node not in self._expressions:
                below = self._below(node)
                is_too_large = below and self.size(node) == 1
                below = [] if is_too_large else below
                missing = [operand for operand in below if operand not in self._expressions]
                if missing:
                    todo += missing
                    continue
                self._expressions[node] = self._symbol(node) if is_too_large else self._made(node, below)
            todo.pop()
        return self._expressions[value]

    def _made(self, node: Value, below: Sequence[Value]) -> Any:
        if node in self.symbols or (not node.op and node not in self.constants):
            return self._symbol(node)
        if node in self.constants:  # the engine's number: SymPy's has other digits, 9^9^9 too many
            return constant(node.data)
        found = real(lambda: expression(node.op, [self._expressions[operand] for operand in below]))
        return self._symbol(node) if found is None else found

    def _symbol(self, node: Value) -> Any:
        import sympy

        name = self.notation.named(node).bracketed(SINGLE)
        found = sympy.Symbol(name.text, real=True)
        self._latex[found], self._numbers[found] = name.latex, node.data
        return found


def _tidy(derived: Any) -> Any:
    """A SymPy expression with common factors in front, and with 2 for 2.0."""
    import sympy

    return _whole(sympy.factor_terms(_whole(sympy.sympify(derived))))  # 0.5·2 is 1.0 after it


def _whole(expression: Any) -> Any:
    import sympy

    numbers = [number for number in expression.atoms(sympy.Float) if _is_short(float(number))]
    return expression.xreplace({number: sympy.Integer(int(float(number))) for number in numbers})


def _is_short(number: float) -> bool:
    """Whether a number is written without a point and without an exponent."""
    return number.is_integer() and abs(number) < 1e9

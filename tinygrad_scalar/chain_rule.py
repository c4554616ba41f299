"""Why a gradient is the number that it is: the chain rule between the values that have names, as the notes write it.

    ∂C/∂w = ∂z/∂w · ∂a/∂z · ∂C/∂a = a⁽⁰⁾ · σ′(z) · 2(a − y) = 0.8 · 0.23 · 1.28 = 0.236          (000 Eq. 3)

Along a path on which every value is used once, the factors stand side by side (001's long products). Where a value is
used several times, its own derivative is the sum over its users j (000 and 001, multi-node)

    ∂C/∂aₖ = Σⱼ ∂zⱼ/∂aₖ · ∂aⱼ/∂zⱼ · ∂C/∂aⱼ

and has a line of its own; so no path is written out twice. The numbers are the engine's local gradients; SymPy
derives the symbols of what lies between two names.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from heapq import heapify, heappop, heappush
from math import prod
from typing import Any, NamedTuple

from tinygrad_scalar import graph
from tinygrad_scalar.notation import Notation, factor, is_at_a_kink, latex_number, latex_operand, written
from tinygrad_scalar.reading import NamedGraph
from tinygrad_scalar.symbolic import expression, latex_text, slope, unicode_text
from tinygrad_scalar.table import WIDTH, broken
from tinygrad_scalar.value import Value

MOST_TERMS = 4  # of a sum that are written out
LARGEST = 200  # values in a formula that is written out
MOST_OF_A_LAYER = 3  # values that have an equation of their own
SUM = r"\sum_j"


class Factor(NamedTuple):
    """∂of/∂by: its symbols as text, as LaTeX and as an expression of SymPy, and its number.

    `is_direct`: it is the part of ∂of/∂by that goes past all other named values, which is not the whole of it.
    """

    of: Value
    by: Value
    text: str
    latex: str
    expression: Any
    value: float
    is_direct: bool = False


class Equation(NamedTuple):
    """∂root/∂by as a sum of products; a lone product is a sum of one."""

    by: Value
    products: tuple[tuple[Factor, ...], ...]
    value: float


class Explanation:
    """What `explain` returns: prints as text, shows as LaTeX in Jupyter.

    text, latex  the equations: derivatives, then symbols, then numbers
    value        ∂root/∂wrt
    factors      of the first equation, where it is one product: their values multiply to `value`
    equations    all of them: that of `wrt` first, then those of values that are used several times
    likewise     values whose equations are like one that is there, as those of a layer's other neurons
    """

    def __init__(
        self, root: Value, equations: Sequence[Equation], likewise: Sequence[Sequence[Value]], notation: Notation
    ) -> None:
        self.root, self.equations, self.likewise = root, tuple(equations), tuple(likewise)
        self._notation = notation

    @property
    def value(self) -> float:
        return self.equations[0].value

    @property
    def factors(self) -> tuple[Factor, ...]:
        products = self.equations[0].products
        return products[0] if len(products) == 1 else ()

    @cached_property
    def text(self) -> str:
        lines = [line for equation in self.equations for line in self._lines(equation)]
        for values in self.likewise:
            names = _sum([self._notation.derivative(self.root, value) for value in values], ", ")
            lines += broken("likewise ", names)
        return "\n".join(lines)

    def _lines(self, equation: Equation) -> list[str]:
        of = self._notation
        left = of.derivative(self.root, equation.by)
        pad = " " * len(left)
        products = equation.products
        derivatives = [" · ".join(self._derivative(f) for f in product) for product in products]
        symbols = [" · ".join(factor(f.text) for f in product) for product in products]
        numbers = [" · ".join(factor(written(f.value)) for f in product) for product in products]
        general = _over_j(derivatives, "ⱼ")
        if len(products) == 1 == len(products[0]):  # one factor stands alone, without parentheses
            symbols, numbers = [products[0][0].text], []
        sums = [[general] if general else _few(derivatives), _few(symbols), _few(numbers)]
        sums = [terms for i, terms in enumerate(sums) if terms not in ([], [left], *sums[:i])]
        lines = [line for i, terms in enumerate(sums) for line in _row(left if i == 0 else pad, terms)]
        number = written(equation.value)
        if not lines:
            return [f"{left} = {number}"]
        if sums[-1] == [number]:
            return lines
        fits = len(lines[-1]) + len(f" = {number}") <= WIDTH and " = " in lines[-1]  # and is no sum over several lines
        return [*lines[:-1], f"{lines[-1]} = {number}"] if fits else [*lines, f"{pad} = {number}"]

    def _derivative(self, f: Factor) -> str:
        return f"{self._notation.derivative(f.of, f.by)}{' (direct)' if f.is_direct else ''}"

    def _latex_derivative(self, f: Factor) -> str:
        latex = self._notation.latex_derivative(f.of, f.by)
        return rf"\left.{latex}\right|_{{\mathrm{{direct}}}}" if f.is_direct else latex

    @cached_property
    def latex(self) -> str:
        of = self._notation
        rows: list[str] = []
        for equation in self.equations:
            products = equation.products
            derivatives = [" ".join(self._latex_derivative(f) for f in product) for product in products]
            symbols = [r" \cdot ".join(latex_operand(f.latex) for f in product) for product in products]
            numbers = [r" \cdot ".join(latex_operand(latex_number(f.value)) for f in product) for product in products]
            if len(products) == 1 == len(products[0]):
                symbols = [products[0][0].latex]
            left, number = of.latex_derivative(self.root, equation.by), latex_number(equation.value)
            is_wide = len(_sum([" · ".join(f.text for f in product) for product in products])) > WIDTH
            break_up = r" \\ &\quad + " if is_wide else " + "
            rights = [_over_j(derivatives, "j") or _sum(derivatives), _sum(symbols, break_up), _sum(numbers), number]
            rights = [right for right in dict.fromkeys(rights) if right != left]
            if len(rights) > 1:  # the number beside what it is the value of
                rights[-2:] = [" = ".join(rights[-2:])]
            if rows:
                rows[-1] += r" \\[1ex]"  # a gap between one equation and the next
            rows += [f"{left if i == 0 else ''} &= {right}".lstrip() for i, right in enumerate(rights)]
        lines = [row if row.endswith("[1ex]") else rf"{row} \\" for row in rows[:-1]]
        return "\n".join([r"\begin{aligned}", *lines, rows[-1], r"\end{aligned}"])

    def _repr_latex_(self) -> str:
        return f"$${self.latex}$$"

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__


def explain(root: Value, wrt: Value | str, *, names: Mapping[str, object] | None = None) -> Explanation:
    """∂root/∂wrt by the chain rule, in the names of the values between them.

    wrt    a Value of the graph of `root`, or its name
    names  names for values without a label, as {"w": w}; None: the variables of the calling code

    The gradients in the Values are neither read nor changed. TypeError or ValueError for what is not in the graph, or
    a name that is not or twice; StaleGraphError if a leaf was set since.

    >>> w, a0, y = Value(0.5, "w"), Value(2.0, "a(0)"), Value(0.0, "y")
    >>> a = w * a0
    >>> C = (a - y) ** 2
    >>> print(explain(C, w))
    ∂C/∂w = ∂a/∂w · ∂C/∂a
          = a⁽⁰⁾ · 2(a − y)
          = 2 · 2 = 4
    """
    of = NamedGraph(root, "explain", graph.caller_variables() if names is None else names)
    equations, likewise = _Paths(of, of.find(wrt)).equations()
    return Explanation(root, equations, likewise, of.notation)


class _Paths:
    """The values between `by` and the root, and the derivatives between those that have names."""

    def __init__(self, of: NamedGraph, by: Value) -> None:
        self.root, self.by, self.nodes, self.index, self.notation = of.root, by, of.nodes, of.index, of.notation
        self.users: dict[Value, list[Value]] = {by: []}  # of each value that depends on `by`, in the order of making
        for node in self.nodes[self.index[by] + 1 :]:
            if node.op:
                below = [operand for operand in dict.fromkeys(node.operands) if operand in self.users]
                if below:
                    self.users[node] = []
                    for operand in below:
                        self.users[operand].append(node)
        self.named = {node for node in self.users if node in self.notation.called} | {self.root, by}
        self._latex: dict[Any, str] = {}
        self._expressions: dict[Value, Any] = {}
        self._sizes: dict[Value, int] = {}
        self._edges: dict[Value, list[Factor]] = {}

    def equations(self) -> tuple[list[Equation], list[list[Value]]]:
        """That of `by`, then those of the values that it leads to and that are used more than once, some of each layer.

        And the others of each layer, whose equations are like theirs.
        """
        gradients = self._gradients()
        equations: list[Equation] = []
        likewise: dict[Any, list[Value]] = {}
        written_out: Counter[Any] = Counter()
        todo, seen = deque([self.by]), {self.by}
        while todo:
            value = todo.popleft()
            symbol = graph.symbol(self.notation.called.get(value, ""))
            layer = (symbol.letter, symbol.layer) if symbol and symbol.indices else value
            if written_out[layer] == MOST_OF_A_LAYER:
                likewise.setdefault(layer, []).append(value)
                continue
            written_out[layer] += 1
            products = [self._product(edge) for edge in self.edges(value)]
            finished = tuple(tuple(self._finished(product, gradients)) for product in products)
            equations.append(Equation(value, finished, sum(prod(f.value for f in product) for product in finished)))
            for product in products:
                last = product[-1].of
                if last is not self.root and last not in seen:
                    seen.add(last)
                    todo.append(last)
        return equations, list(likewise.values())

    def _gradients(self) -> dict[Value, float]:
        """∂root/∂ each value between, as backward() has it."""
        gradients = dict.fromkeys(self.users, 0.0)
        gradients[self.root] = 1.0
        for node in reversed(self.users):
            if node is not self.by:
                for operand, local_grad in zip(node.operands, node.local_grads):
                    if operand in gradients:
                        gradients[operand] += local_grad * gradients[node]
        return gradients

    def _product(self, edge: Factor) -> list[Factor]:
        """Factors from a value on, as far as every value is used once."""
        product = [edge]
        while edge.of is not self.root:
            edges = self.edges(edge.of)
            if len(edges) != 1:
                break
            edge = edges[0]
            product.append(edge)
        return product

    def _finished(self, product: list[Factor], values: Mapping[Value, float]) -> Iterable[Factor]:
        """The product with ∂root/∂(the value where it stopped) as its last factor."""
        import sympy

        yield from product
        last = product[-1].of
        if last is not self.root:
            text = self.notation.derivative(self.root, last)
            latex = self.notation.latex_derivative(self.root, last)
            yield Factor(self.root, last, text, latex, sympy.Symbol(text, real=True), values[last])

    # --- the derivatives between one name and the next ----------------------------------------------------------------

    def edges(self, by: Value) -> list[Factor]:
        """∂of/∂by for each named value `of` that `by` reaches without passing another name."""
        if by in self._edges:
            return self._edges[by]
        if by is self.root:
            return [Factor(by, by, "1", "1", 1, 1.0)]
        symbols: dict[Value, Any] = {by: 1}  # None for what is too large to be written out
        sizes: dict[Value, int] = {by: 1}
        numbers: dict[Value, float] = {by: 1.0}
        waiting = [self.index[user] for user in self.users[by]]
        heapify(waiting)
        found = []
        while waiting:
            node = self.nodes[heappop(waiting)]
            if node in numbers:
                continue
            symbol: Any = 0
            number, size = 0.0, 0
            for i, (operand, local_grad) in enumerate(zip(node.operands, node.local_grads)):
                if operand in numbers and (operand is by or operand not in self.named):
                    slope_size = 0 if node.op in ("+", "-") else 1 + sum(map(self._size, node.operands))
                    size += sizes[operand] + slope_size
                    if size > LARGEST:
                        symbol = None
                    if symbol is not None:
                        symbol = symbol + self._slope(node, i) * symbols[operand]
                    number += local_grad * numbers[operand]
            symbols[node], numbers[node], sizes[node] = symbol, number, size
            if node in self.named:
                found.append(self._factor(node, by, symbol, number))
            else:
                for user in self.users[node]:
                    heappush(waiting, self.index[user])
        further = self._above([factor.of for factor in found])
        self._edges[by] = [factor._replace(is_direct=factor.of in further) for factor in found]
        return self._edges[by]

    def _above(self, values: Sequence[Value]) -> set[Value]:
        """What is computed from the values, up to the last of them."""
        last = max((self.index[value] for value in values), default=0)
        found: set[Value] = set()
        todo = list(values) if len(values) > 1 else []
        while todo:
            above = [user for user in self.users[todo.pop()] if user not in found and self.index[user] <= last]
            found.update(above)
            todo += above
        return found

    def _factor(self, of: Value, by: Value, symbol: Any, number: float) -> Factor:
        import sympy

        if symbol is None:  # what lies between is too much to be written out
            text, latex = self.notation.derivative(of, by), self.notation.latex_derivative(of, by)
            return Factor(of, by, text, latex, sympy.Symbol(text, real=True), number)
        symbol = sympy.sympify(symbol)
        floats = symbol.atoms(sympy.Float)
        whole = {number: sympy.Integer(int(number)) for number in floats if float(number).is_integer()}
        symbol = sympy.factor_terms(symbol.xreplace(whole))
        return Factor(of, by, unicode_text(symbol), latex_text(symbol, self._latex), symbol, number)

    def _slope(self, node: Value, i: int) -> Any:
        import sympy

        if node.op == "+":
            return 1
        if node.op == "-":
            return 1 - 2 * i
        if is_at_a_kink(node):
            return sympy.Float(node.local_grads[i])
        return slope(node.op, i, [self._expression(operand) for operand in node.operands])

    def _size(self, value: Value) -> int:
        """How many values are written out for a value, each as often as it is written; 1 if they are too many."""
        if value not in self._sizes:
            todo, size = [value], 0
            while todo and size <= LARGEST:
                size += 1
                todo += self._below(todo.pop())
            self._sizes[value] = size if size <= LARGEST else 1
        return self._sizes[value]

    def _below(self, node: Value) -> Sequence[Value]:
        """What a value is written out with: nothing if it has a name."""
        return [] if not node.op or node in self.notation.called else node.operands

    def _expression(self, value: Value) -> Any:
        """What a value is in SymPy: a symbol where it has a name, a number where it is one, else what it is made of.

        Of what is made of too much, its number vₙ.
        """
        todo = [value]
        while todo:
            node = todo[-1]
            if node not in self._expressions:
                is_too_large = self._size(node) == 1 and node.op
                below = [] if is_too_large else self._below(node)
                missing = [operand for operand in below if operand not in self._expressions]
                if missing:
                    todo += missing
                    continue
                self._expressions[node] = self._symbol(node) if is_too_large else self._made(node, below)
            todo.pop()
        return self._expressions[value]

    def _made(self, node: Value, below: Sequence[Value]) -> Any:
        import sympy

        if below:
            return expression(node.op, [self._expressions[operand] for operand in below])
        if node not in self.notation.called:
            number = node.data
            return sympy.Integer(int(number)) if number.is_integer() and abs(number) < 1e9 else sympy.Float(number, 6)
        return self._symbol(node)

    def _symbol(self, node: Value) -> Any:
        import sympy

        symbol = sympy.Symbol(self.notation.name(node), real=True)
        self._latex[symbol] = self.notation.latex(node)
        return symbol


def _few(terms: Sequence[str]) -> list[str]:
    """The terms of a sum, or the first two and the last."""
    return [*terms[:2], "…", terms[-1]] if len(terms) > MOST_TERMS else list(terms)


def _sum(terms: Sequence[str], plus: str = " + ") -> str:
    return plus.join(_few(terms)) or "0"


def _row(left: str, terms: Sequence[str]) -> list[str]:
    """left = the sum of the terms; each term on a line of its own where one line is too narrow for all."""
    if len(f"{left} = {_sum(terms)}") <= WIDTH:
        return [f"{left} = {_sum(terms)}"]
    leads = [f"{left} = ", *[" " * len(left) + " + "] * (len(terms) - 1)]
    return [line for lead, term in zip(leads, terms) for line in broken(lead, term)]


def _over_j(terms: Sequence[str], letter: str) -> str | None:
    """Terms that are alike but for one index, as a sum over that index; None if they are not.

    >>> _over_j(["∂z₀/∂a · ∂C/∂z₀", "∂z₁/∂a · ∂C/∂z₁"], "ⱼ")
    'Σⱼ ∂zⱼ/∂a · ∂C/∂zⱼ'
    """
    if len(terms) < 2:
        return None
    index = r"(?<=_\{)\d+(?=\})" if letter == "j" else r"[₀-₉]+"
    parts = [re.split(f"({index})", term) for term in terms]
    if any(len(part) != len(parts[0]) for part in parts):
        return None
    differing = [i for i, column in enumerate(zip(*parts)) if len(set(column)) > 1]
    if not differing or any(i % 2 == 0 for i in differing):
        return None
    if any(len({part[i] for i in differing}) > 1 for part in parts):
        return None
    general = "".join(letter if i in differing else text for i, text in enumerate(parts[0]))
    return f"{'Σⱼ' if letter == 'ⱼ' else SUM} {general}"

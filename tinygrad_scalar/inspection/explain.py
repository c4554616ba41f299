"""Why a gradient is the number that it is: the chain rule between the values that have names, as the notes write it.

    ∂C/∂w = ∂z/∂w · ∂a/∂z · ∂C/∂a = a⁽⁰⁾ · σ′(z) · 2(a − y) = 0.8 · 0.23 · 1.28 = 0.236          (000 Eq. 3)

Along a path on which every value is used once, the factors stand side by side (001's long products). Where a value is
used several times, its own derivative is the sum over its users j (000 and 001, multi-node)

    ∂C/∂aₖ = Σⱼ ∂zⱼ/∂aₖ · ∂aⱼ/∂zⱼ · ∂C/∂aⱼ

and has a line of its own; so has, where a sum would be long, a value that several of its terms lead to. The numbers are
the engine's local gradients; SymPy derives the symbols of what lies between two names.
"""

from __future__ import annotations

import math
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, partial
from heapq import heapify, heappop, heappush
from typing import Any, NamedTuple, TypeVar

from tinygrad_scalar.engine.value import Value
from tinygrad_scalar.inspection import names as graph
from tinygrad_scalar.inspection.layout import WIDTH, broken, wrapped
from tinygrad_scalar.inspection.named_graph import NamedGraph
from tinygrad_scalar.inspection.notation import Notation, factor, is_at_a_kink, latex_number, latex_operand, written
from tinygrad_scalar.inspection.symbolic import constant, expression, is_writable, latex_text, slope, unicode_text

MOST_TERMS = 4  # of a sum that are written out
MOST_FACTORS = 40  # of a product that are written out; and in the terms of a sum, if each of them goes on to the root
LARGEST = 200  # values in a formula that is written out
MOST_OF_A_LAYER = 3  # values that have an equation of their own
MOST_OF_A_CHAIN = 8  # the same where each layer has one value
SUM, TIMES = r"\sum_j", r" \cdot "
TOO_LONG = "(what lies between is too much to be written out, or not real: give labels to values on the way)"
T = TypeVar("T")


class Written(NamedTuple):
    """Symbols as text, as LaTeX and as an expression of SymPy."""

    text: str
    latex: str
    expression: Any


class Factor:
    """∂of/∂by: its number `value`, and its symbols `text`, `latex` and `expression`, made when they are first read.

    `part` is "direct" where it is the part of ∂of/∂by that goes past all other named values, and not the whole of it.
    """

    def __init__(self, of: Value, by: Value, value: float, write: Callable[[], Written], part: str = "") -> None:
        self.of, self.by, self.value, self._write, self.part = of, by, value, write, part

    @cached_property
    def _written(self) -> Written:
        return self._write()

    @property
    def text(self) -> str:
        return self._written.text

    @property
    def latex(self) -> str:
        return self._written.latex

    @property
    def expression(self) -> Any:
        return self._written.expression


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
        derivatives = [_product(product, lambda f: of.derivative(f.of, f.by, f.part)) for product in products]
        symbols = _few(products, lambda product: _product(product, lambda f: factor(f.text)))
        numbers = _few(products, lambda product: _product(product, lambda f: factor(written(f.value))))
        general = _over_j(derivatives, "ⱼ")
        if len(products) == 1 == len(products[0]):  # one factor stands alone, without parentheses
            symbols, numbers = [products[0][0].text], []
        sums = [[general] if general else _few(derivatives, str), symbols, numbers]
        sums = [terms for i, terms in enumerate(sums) if terms not in ([], [left], *sums[:i])]
        lines = [line for i, terms in enumerate(sums) for line in _row(left if i == 0 else pad, terms)]
        number = written(equation.value)
        if not lines:
            is_long = equation.by is not self.root and math.isfinite(equation.value)
            return [f"{left} = {number}", *(wrapped(TOO_LONG) if is_long else [])]
        if sums[-1] == [number]:
            return lines
        fits = len(lines[-1]) + len(f" = {number}") <= WIDTH and " = " in lines[-1]  # and is no sum over several lines
        return [*lines[:-1], f"{lines[-1]} = {number}"] if fits else [*lines, f"{pad} = {number}"]

    @cached_property
    def latex(self) -> str:
        of = self._notation
        rows: list[str] = []
        for equation in self.equations:
            products = equation.products
            derivatives = [
                _product(product, lambda f: of.latex_derivative(f.of, f.by, f.part), " ") for product in products
            ]
            symbols = _few(products, lambda product: _product(product, lambda f: latex_operand(f.latex), TIMES))
            numbers = _few(
                products, lambda product: _product(product, lambda f: latex_operand(latex_number(f.value)), TIMES)
            )
            if len(products) == 1 == len(products[0]):
                symbols, numbers = [products[0][0].latex], []
            left, number = of.latex_derivative(self.root, equation.by), latex_number(equation.value)
            is_wide = sum(map(len, _few(products, lambda product: _product(product, lambda f: f.text)))) > WIDTH
            break_up = r" \\ &\quad + " if is_wide else " + "
            rights = [_over_j(derivatives, "j") or _sum(derivatives)]
            rights += [break_up.join(symbols), " + ".join(numbers), number]
            rights = [right for right in dict.fromkeys(rights) if right not in ("", left)]
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
        self._constants = self._made_of_numbers()
        self._latex: dict[Any, str] = {}
        self._expressions: dict[Value, Any] = {}
        self._sizes: dict[Value, int] = {}
        self._reached: dict[Value, list[Value]] = {}
        self._edges: dict[Value, list[Factor]] = {}

    def _made_of_numbers(self) -> set[Value]:
        """The numbers without a name, and what is computed from them alone."""
        called, users, found = self.notation.called, self.users, set[Value]()
        for node in self.nodes:
            if node not in called and node not in users and found.issuperset(node.operands):
                found.add(node)
        return found

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
            layer = (symbol.letter, symbol.indices and symbol.layer) if symbol else value
            if written_out[layer] == (MOST_OF_A_LAYER if symbol and symbol.indices else MOST_OF_A_CHAIN):
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

    def _products(self, value: Value, ends: set[Value]) -> list[list[Factor]]:
        """The terms of ∂root/∂value, each as far as every value is used once, and at most to one of the `ends`.

        If that is long, only as far as to where other terms come, too.
        """
        edges = self.edges(value)
        if len(edges) > 1 and sum(len(self._way(edge.of, ends)) for edge in edges[:MOST_FACTORS]) > MOST_FACTORS:
            ends = ends | self._shared([edge.of for edge in edges])
        return [[edge, *self._onwards(edge.of, ends)] for edge in edges]

    def _onwards(self, value: Value, ends: set[Value]) -> list[Factor]:
        return [self.edges(by)[0] for by in self._way(value, ends)[:-1]]

    def _way(self, value: Value, ends: set[Value]) -> list[Value]:
        """The values from this one on, as far as each is used once, up to the root or one of the ends."""
        way = [value]
        while value is not self.root and value not in ends and len(following := self.reached(value)) == 1:
            (value,) = following
            way.append(value)
        return way

    def _shared(self, values: Sequence[Value]) -> set[Value]:
        """Where the ways from these values meet."""
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
        """∂of/∂by for each named value `of` that `by` reaches without passing another name."""
        if by is self.root:
            return [Factor(by, by, 1.0, lambda: Written("1", "1", 1))]
        if by not in self._edges:
            numbers = self._numbers_above(by)
            reached = self.reached(by)
            further = self._above(reached)
            self._edges[by] = [
                Factor(of, by, numbers[of], partial(self._write, of, by, numbers), "direct" if of in further else "")
                for of in reached
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
                local_grad * numbers[operand]
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
        """What is computed from the values, up to the last of them."""
        last = max((self.index[value] for value in values), default=0)
        found: set[Value] = set()
        todo = list(values) if len(values) > 1 else []
        while todo:
            above = [user for user in self.users[todo.pop()] if user not in found and self.index[user] <= last]
            found.update(above)
            todo += above
        return found

    def _write(self, of: Value, by: Value, numbers: Mapping[Value, float]) -> Written:
        """The symbols of ∂of/∂by; the derivative itself where they are too many."""
        import sympy

        symbol = self._derived(of, by, numbers)
        if symbol is None:
            return self._derivative(of, by)
        symbol = _whole(sympy.factor_terms(_whole(sympy.sympify(symbol))))  # 0.5·2 is 1.0 after it
        is_undefined = symbol.is_number and not math.isfinite(numbers[of])  # 0·log(x) where log(x) is −∞
        if is_undefined or not is_writable(symbol):
            return self._derivative(of, by)
        return Written(unicode_text(symbol), latex_text(symbol, self._latex), symbol)

    def _derivative(self, of: Value, by: Value) -> Written:
        """∂of/∂by as a symbol."""
        import sympy

        text = self.notation.derivative(of, by)
        return Written(text, self.notation.latex_derivative(of, by), sympy.Symbol(text, real=True))

    def _derived(self, of: Value, by: Value, numbers: Mapping[Value, float]) -> Any:
        """∂of/∂by by SymPy, operation for operation; None if too much would have to be written out."""
        between, todo = {of}, [of]
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
                    slope_size = 0 if node.op in ("+", "-") else 1 + sum(map(self._size, node.operands))
                    sizes[node] += sizes[operand] + slope_size
                    if sizes[node] > LARGEST:
                        return None
                    symbols[node] = symbols[node] + self._slope(node, i) * symbols[operand]
        return symbols[of]

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
        """What a value is written out with: nothing if it has a name or is made of plain numbers."""
        return [] if node in self._constants or node in self.notation.called else node.operands

    def _expression(self, value: Value) -> Any:
        """What a value is in SymPy: a symbol where it has a name, a number where it is one, else what it is made of.

        Of what is made of too much, its number vₙ.
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
        if node in self._constants:  # the engine's number: SymPy's would have other digits, and 9^9^9 too many
            return constant(node.data)
        if node in self.notation.called:
            return self._symbol(node)
        return expression(node.op, [self._expressions[operand] for operand in below])

    def _symbol(self, node: Value) -> Any:
        import sympy

        symbol = sympy.Symbol(self.notation.operand(node), real=True)
        self._latex[symbol] = self.notation.latex_operand(node)
        return symbol


def _is_short(number: float) -> bool:
    """Whether a number is written without a point and without an exponent."""
    return number.is_integer() and abs(number) < 1e9


def _whole(expression: Any) -> Any:
    """An expression of SymPy in which 2.0 is 2."""
    import sympy

    numbers = [number for number in expression.atoms(sympy.Float) if _is_short(float(number))]
    return expression.xreplace({number: sympy.Integer(int(float(number))) for number in numbers})


def _few(terms: Sequence[T], write: Callable[[T], str]) -> list[str]:
    """The terms of a sum, or the first two and the last."""
    few = [write(term) for term in (terms if len(terms) <= MOST_TERMS else [*terms[:2], terms[-1]])]
    return few if len(terms) <= MOST_TERMS else [*few[:2], "…", few[2]]


def _product(product: Sequence[Factor], write: Callable[[Factor], str], times: str = " · ") -> str:
    """The factors of a product; of very many the first and the last."""
    if len(product) <= MOST_FACTORS:
        return times.join(map(write, product))
    few = MOST_FACTORS // 4
    return times.join([*map(write, product[:few]), "…", *map(write, product[-few:])])


def _sum(terms: Sequence[str], plus: str = " + ") -> str:
    return plus.join(_few(terms, str)) or "0"


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

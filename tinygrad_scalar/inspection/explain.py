"""`explain`: why a gradient is what it is, by the chain rule between named values, as the notes write it.

    ∂C/∂w = ∂z/∂w · ∂a/∂z · ∂C/∂a = a⁽⁰⁾ · σ′(z) · 2(a − y) = 0.8 · 0.23 · 1.28 = 0.236          (000 Eq. 3)

Along a path on which every value is used once, the factors stand side by side (001's long products). Where a value is
used several times, its own derivative is the sum over its users j (000 and 001, multi-node)

    ∂C/∂aₖ = Σⱼ ∂zⱼ/∂aₖ · ∂aⱼ/∂zⱼ · ∂C/∂aⱼ

and gets a line of its own, as does any value shared by several terms of a long sum. The numbers are the engine's local
gradients; SymPy derives the symbols between two names.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from operator import attrgetter
from typing import Any, TypeVar

from tinygrad_scalar.engine import Value
from tinygrad_scalar.inspection.definitions import Definitions
from tinygrad_scalar.inspection.layout import WIDTH, broken, wrapped
from tinygrad_scalar.inspection.named_graph import NamedGraph
from tinygrad_scalar.inspection.names import caller_variables
from tinygrad_scalar.inspection.notation import Notation, number, written
from tinygrad_scalar.inspection.paths import MOST_FACTORS, MOST_TERMS, Equation, Factor, Paths, few
from tinygrad_scalar.screen import for_stdout

SUM, TIMES = r"\sum_j", r" \cdot "
NO_FORMULA = (
    "(no formula: worked out by hand, it would not give this number, because a part of it is infinite, undefined, "
    "complex such as √(−1), or lost in rounding)"
)
T = TypeVar("T")


class Explanation:
    """The result of `explain`: prints as text, shows as LaTeX in Jupyter.

    text, latex  the equations: derivatives, then symbols, then numbers; below them, what v₁, v₂, … are
    value        ∂root/∂wrt
    factors      of the first equation, if it is one product: their values multiply to `value`
    sympy        the first equation as a SymPy expression
    equations    all of them: that of `wrt` first, then those of values that are used several times
    likewise     values whose equations look like one of these, such as those of a layer's other neurons
    """

    def __init__(
        self,
        root: Value,
        equations: Sequence[Equation],
        likewise: Sequence[Sequence[Value]],
        notation: Notation,
        paths: Paths,
    ) -> None:
        self.root, self.equations, self.likewise = root, tuple(equations), tuple(likewise)
        self._notation, self._paths = notation, paths

    _paths: Paths | None = None  # pickles written before have none

    @property
    def value(self) -> float:
        return self.equations[0].value

    @property
    def factors(self) -> tuple[Factor, ...]:
        products = self.equations[0].products
        return products[0] if len(products) == 1 else ()

    @property
    def sympy(self) -> Any:
        """∂root/∂wrt as a SymPy expression of the named values: the sum of the products of factors.

        Its symbols have the values' names and no assumptions, as those of `to_sympy`; with the values' numbers it is
        `value`. A derivative for which there is no formula is its number.
        """
        import sympy

        if self._paths is None:
            raise ValueError("this explanation was pickled before there was a form in SymPy: explain again")
        found = sympy.Integer(0)
        for product in self.equations[0].products:
            found += sympy.Mul(*(self._in_sympy(factor) for factor in product))
        return self._paths.derivation.in_names(found)

    def _in_sympy(self, factor: Factor) -> Any:
        import sympy

        derivative = self._notation.derivative(factor.of, factor.by).text
        has_formula = factor.expression != sympy.Symbol(derivative, real=True)
        return factor.expression if has_formula else sympy.Float(factor.value)

    @cached_property
    def text(self) -> str:
        return "\n".join([*self._above, *(self._definitions.lines if self._definitions else ())])

    @cached_property
    def _above(self) -> list[str]:
        lines = [line for equation in self.equations for line in self._lines(equation)]
        for values in self.likewise:
            names = _sum([self._notation.derivative(self.root, value).text for value in values], ", ")
            lines += broken("likewise ", names)
        return lines

    @cached_property
    def _definitions(self) -> Definitions | None:
        return Definitions(" ".join(self._above), self._notation, self._paths) if self._paths else None

    def _sides(self, equation: Equation, script: str) -> tuple[list[str], list[str], list[str]]:
        """The terms of an equation in derivatives, in symbols and in numbers; `script` is "text" or "latex"."""
        write, derivative, products = attrgetter(script), self._notation.derivative, equation.products
        apart, times = (" ", TIMES) if script == "latex" else (" · ", " · ")
        derivatives = [_product(p, lambda f: write(derivative(f.of, f.by, f.part)), apart) for p in products]
        if len(products) == 1 == len(products[0]):  # one factor stands alone, without parentheses
            return derivatives, [write(products[0][0].formula)], []
        symbols = _few(products, lambda p: _product(p, lambda f: write(f.formula.bracketed()), times))
        numbers = _few(products, lambda p: _product(p, lambda f: write(number(f.value).bracketed()), times))
        return derivatives, symbols, numbers

    def _lines(self, equation: Equation) -> list[str]:
        left, value = self._notation.derivative(self.root, equation.by).text, written(equation.value)
        pad = " " * len(left)
        derivatives, symbols, numbers = self._sides(equation, "text")
        general = _over_j(derivatives, "ⱼ")
        sums = [[general] if general else _few(derivatives, str), symbols, numbers]
        sums = [terms for i, terms in enumerate(sums) if terms not in ([], [left], *sums[:i])]
        lines = [line for i, terms in enumerate(sums) for line in _row(left if i == 0 else pad, terms)]
        if not lines:
            has_none = equation.by is not self.root and math.isfinite(equation.value)
            return [f"{left} = {value}", *(wrapped(NO_FORMULA) if has_none else [])]
        if sums[-1] == [value]:
            return lines
        fits = len(lines[-1]) + len(f" = {value}") <= WIDTH and " = " in lines[-1]  # and is not a multi-line sum
        return [*lines[:-1], f"{lines[-1]} = {value}"] if fits else [*lines, f"{pad} = {value}"]

    @cached_property
    def latex(self) -> str:
        rows: list[str] = []
        for equation in self.equations:
            left, value = self._notation.derivative(self.root, equation.by).latex, number(equation.value).latex
            derivatives, symbols, numbers = self._sides(equation, "latex")
            texts = _few(equation.products, lambda product: _product(product, lambda f: f.text))
            break_up = r" \\ &\quad + " if sum(map(len, texts)) > WIDTH else " + "
            rights = [_over_j(derivatives, "j") or _sum(derivatives)]
            rights += [break_up.join(symbols), " + ".join(numbers), value]
            rights = [right for right in dict.fromkeys(rights) if right not in ("", left)]
            if len(rights) > 1:  # the value beside the numbers that give it
                rights[-2:] = [" = ".join(rights[-2:])]
            if rows:
                rows[-1] += r" \\[1ex]"  # a gap between one equation and the next
            rows += [f"{left if i == 0 else ''} &= {right}".lstrip() for i, right in enumerate(rights)]
        if self._definitions and self._definitions.rows:
            rows[-1] += r" \\[1ex]"
            rows += self._definitions.rows
        lines = [row if row.endswith("[1ex]") else rf"{row} \\" for row in rows[:-1]]
        return "\n".join([r"\begin{aligned}", *lines, rows[-1], r"\end{aligned}"])

    def _repr_latex_(self) -> str:
        return f"$${self.latex}$$"

    def __str__(self) -> str:
        return for_stdout(self.text)

    __repr__ = __str__


def explain(root: Value, wrt: Value | str, *, names: Mapping[str, object] | None = None) -> Explanation:
    """∂root/∂wrt by the chain rule, in terms of the named values in between.

    wrt    a Value of the graph of `root`, or its name
    names  names for values without a label, such as {"w": w}; None: the variables of the calling code

    No .grad is read or changed. TypeError or ValueError if `wrt` is not in the graph or its name is not unique;
    StaleGraphError if the graph is stale.

    >>> w, a0, y = Value(0.5, "w"), Value(2.0, "a(0)"), Value(0.0, "y")
    >>> a = w * a0
    >>> C = (a - y) ** 2
    >>> print(explain(C, w))
    ∂C/∂w = ∂a/∂w · ∂C/∂a
          = a⁽⁰⁾ · 2(a − y)
          = 2 · 2 = 4
    """
    graph = NamedGraph(root, "explain", caller_variables() if names is None else names)
    paths = Paths(graph, graph.asked_for(wrt))
    equations, likewise = paths.equations()
    return Explanation(root, equations, likewise, graph.notation, paths)


def _few(terms: Sequence[T], write: Callable[[T], str]) -> list[str]:
    """The terms of a sum, or the first two and the last."""
    written = list(map(write, few(terms)))
    return written if len(terms) <= MOST_TERMS else [*written[:2], "…", written[2]]


def _product(product: Sequence[Factor], write: Callable[[Factor], str], times: str = " · ") -> str:
    """A product written out; of very many factors, the first few and the last few."""
    if len(product) <= MOST_FACTORS:
        return times.join(map(write, product))
    some = MOST_FACTORS // 4
    return times.join([*map(write, product[:some]), "…", *map(write, product[-some:])])


def _sum(terms: Sequence[str], plus: str = " + ") -> str:
    return plus.join(_few(terms, str)) or "0"


def _row(left: str, terms: Sequence[str]) -> list[str]:
    """left = the sum of the terms, on one line if that fits, else each term on its own."""
    if len(f"{left} = {_sum(terms)}") <= WIDTH:
        return [f"{left} = {_sum(terms)}"]
    leads = [f"{left} = ", *[" " * len(left) + " + "] * (len(terms) - 1)]
    return [line for lead, term in zip(leads, terms) for line in broken(lead, term)]


def _over_j(terms: Sequence[str], letter: str) -> str | None:
    """Terms that differ only in one index, as a sum over that index; else None.

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

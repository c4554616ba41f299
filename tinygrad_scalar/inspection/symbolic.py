"""Operations and their derivatives in SymPy, and how SymPy expressions print.

SymPy is imported when a symbol is first needed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from tinygrad_scalar.engine.number import SUPERSCRIPTS
from tinygrad_scalar.engine.ops import OPERATIONS, Operation, operation
from tinygrad_scalar.inspection import latex
from tinygrad_scalar.inspection.brackets import (
    PRODUCT,
    SINGLE,
    SUM,
    bracketed_once,
    condition,
    formula,
    renumbered,
    with_brackets,
)
from tinygrad_scalar.inspection.notation import written

if TYPE_CHECKING:
    import sympy

T = TypeVar("T")
_NAMES = 0xF0000  # Unicode's private characters, 65,534 of them


LARGEST_INTEGER = 100  # SymPy works out powers of integers to the last digit
SMALLEST = 1e-100  # and products of small numbers, which float64 rounds to 0


@lru_cache(maxsize=1)
def _extreme_number() -> Any:
    """The class of a number that SymPy must not calculate with: (2·x)¹⁰⁰⁰ stays as it is."""
    import sympy

    return type("ExtremeNumber", (sympy.Symbol,), {})


def constant(number: float) -> Any:
    """A number in SymPy, with all its digits; a very large or small one as a symbol.

    >>> constant(2.0), constant(0.5) == 0.5, constant(-1e9)
    (2, True, -1000000000.0)
    """
    import sympy

    if LARGEST_INTEGER < abs(number) < math.inf or 0.0 < abs(number) < SMALLEST:
        symbol = _extreme_number()(repr(abs(number)), positive=True)
        return symbol if number > 0.0 else -symbol
    return sympy.Integer(int(number)) if number.is_integer() else sympy.Float(number, precision=53)


MOST_PIECES = 4  # of a condition that is taken apart


def pieces(function: Any, below: Sequence[int]) -> int:
    """Into how many pieces an expression falls, given those of its parts; MOST_PIECES + 1 stands for more too."""
    import sympy

    return min(sum(below) if function is sympy.Piecewise else math.prod(below), MOST_PIECES + 1)


def without_pieces(condition: Any) -> Any:
    """A condition with no Piecewise in it, which SymPy cannot differentiate; its own way fails without symbols.

    It is as long as the condition has pieces, and these multiply.
    """
    import sympy

    folded = sympy.piecewise_fold(condition)
    if not isinstance(folded, sympy.Piecewise):
        return folded
    pieces: Any = folded.args
    found: Any = sympy.false
    for value, where in reversed(pieces):
        found = sympy.ITE(where, value, found)
    return found


# Operations of a list, which have no expression with fixed names for their operands.
OF_LISTS: dict[str, Callable[[Any, Sequence[Any]], Any]] = {
    "sum(n)": lambda sympy, x: sympy.Add(*x),
    "mean(n)": lambda sympy, x: sympy.Add(*x) / len(x),
    "dot(n)": lambda sympy, x: sympy.Add(*[a * b for a, b in zip(x, x[len(x) // 2 :])]),
    "norm(n)": lambda sympy, x: sympy.sqrt(sympy.Add(*[number**2 for number in x])),
    "max(n)": lambda sympy, x: sympy.Max(*x),
    "min(n)": lambda sympy, x: sympy.Min(*x),
    "largest(n)": lambda sympy, x: sympy.Max(*x),
    "sumexp_below(n)": lambda sympy, x: sympy.Add(*(sympy.exp(x_i - x[-1]) for x_i in x[:-1])),
    "logsumexp_below(n)": lambda sympy, x: sympy.log(sympy.Add(*(sympy.exp(x_i - x[-1]) for x_i in x[:-1]))),
    "logsumexp(n)": lambda sympy, x: sympy.log(sympy.Add(*map(sympy.exp, x))),
}


def attempt(make: Callable[[], T]) -> T | None:
    """What `make` returns, or None where SymPy fails: even its printers do, at a constant part that is nan."""
    try:
        return make()
    except Exception:  # which error it raises for nan, infinity and complex numbers depends on its version
        return None


def real(make: Callable[[], Any]) -> Any | None:
    """The expression that `make` returns; None if a person would not write it, or if SymPy fails.

    No number in it is complex, infinite, undefined or extreme.

    >>> import sympy
    >>> real(lambda: sympy.log(2)), real(lambda: sympy.log(-2)), real(lambda: sympy.Max(sympy.nan, sympy.I))
    (log(2), None, None)
    """
    import sympy

    def is_real(found: Any) -> bool:
        if found.has(sympy.I, sympy.zoo, sympy.nan, sympy.oo, -sympy.oo, sympy.AccumBounds):
            return False
        return all(number == 0 or 1e-300 < abs(number) < 1e300 for number in found.atoms(sympy.Number))

    found = attempt(lambda: sympy.sympify(make()))
    return found if found is not None and attempt(lambda: is_real(found)) else None


def with_numbers(expression: Any, numbers: Mapping[Any, float]) -> Any:
    """An expression worked out for the numbers of its symbols."""
    import sympy

    extreme = {symbol: float(symbol.name) for symbol in expression.atoms(_extreme_number())}
    return expression.xreplace({symbol: sympy.Float(x) for symbol, x in {**numbers, **extreme}.items()}).evalf()


@lru_cache(maxsize=1024)
def _named(name: str) -> Any:
    """A function of SymPy that prints as `name` in the texts of ops.py, such as σ or σ′."""
    import sympy

    def in_latex(self: Any, printer: Any, exp: Any = None) -> str:
        power = f"^{{{exp}}}" if exp is not None else ""
        return rf"{latex.filled(name, [])}{power}\left({printer._print(self.args[0])}\right)"

    return type(name, (sympy.Function,), {"_latex": in_latex, "is_real": True, "is_private": True})


def spelled_out(expression: Any) -> Any:
    """An expression with the activations that SymPy lacks in terms of what it has: σ(z) as 1/(1 + exp(−z))."""
    import sympy

    rows = {_function_name(row.text): row for row in OPERATIONS.values() if row.expression and row.arity == 1}

    def function(name: str, z: Any) -> Any:
        x = sympy.Symbol("x")
        if name in rows:
            return parsed(rows[name], [z])
        return parsed(rows[name.removesuffix("′")], [x]).diff(x).xreplace({x: z})

    return expression.replace(
        lambda part: hasattr(part, "is_private"), lambda part: function(part.func.__name__, part.args[0])
    )


def _function_name(text: str) -> str:
    """σ of "σ({0})", a text of ops.py; "" for any other text."""
    match = re.fullmatch(r"([^\W\d]\w*′?)\(\{0\}\)", text)
    return match[1] if match else ""


def _keeps_its_name(row: Operation) -> bool:
    """Whether SymPy lacks this activation or slope: it stays σ(z), and its derivative is σ′(z) (000 Eq. 5)."""
    import sympy

    name = _function_name(row.text)
    return (row.steepest is not None or name.endswith("′")) and not hasattr(sympy, row.name) and name != ""


@lru_cache(maxsize=1024)
def _is_text(row: Operation) -> bool:
    """Whether an operation prints as its text in ops.py, because SymPy has no form that a person would write."""
    import sympy
    from sympy.core.function import AppliedUndef

    if row.family in OF_LISTS:
        return False
    return not row.expression or bool(sympy.sympify(row.expression).has(sympy.Piecewise, AppliedUndef))


def parsed(row: Operation, operands: Sequence[Any]) -> Any:
    """The expression of a row for operands of SymPy, as SymPy simplifies it."""
    import sympy

    names = dict(zip("xy" if row.arity < 3 else "cxy", operands))
    return sympy.sympify(row.expression, locals=names)  # pyright: ignore[reportCallIssue]


def expression(op: str, operands: Sequence[Any]) -> sympy.Expr:
    """An operation in SymPy; σ stays σ.

    >>> import sympy
    >>> x, y = sympy.symbols("x y")
    >>> expression("*", [x, y]), expression("sigmoid", [x]), expression("**2", [x - y])
    (x*y, σ(x), (x - y)**2)
    """

    row = operation(op)
    if _keeps_its_name(row):
        return _named(_function_name(row.text))(*operands)
    if row.family == "**n" and row.constant is not None:  # with sympify (2·x)¹⁰⁰⁰ would get 301 digits
        return operands[0] ** constant(row.constant)
    if row.family in OF_LISTS:
        import sympy

        return OF_LISTS[row.family](sympy, operands)
    if _is_text(row):
        return _of_a_text(row.text, row.forward)(*operands)
    return parsed(row, operands)


def slope(op: str, i: int, operands: Sequence[Any]) -> sympy.Expr | None:
    """The derivative of an operation with respect to operand i; None where its row in ops.py has no symbols for it.

    At kinks it is the text of ops.py, such as [x > y].

    >>> import sympy
    >>> x, y = sympy.symbols("x y")
    >>> slope("sigmoid", 0, [x]), slope("*", 1, [x, y]), slope("maximum", 0, [x, y])
    (σ′(x), x, [x > y])
    """
    import sympy

    row = operation(op)
    number, text = constant_slope(op, i), row.slopes[i] if row.slopes else ""
    if number is not None:
        return sympy.Integer(number)
    if _keeps_its_name(row):
        if not text or "[" in text:
            return _named(f"{_function_name(row.text)}′")(*operands)
        return _named(_function_name(text))(*operands) if _function_name(text) else _slope_text(row, i)(*operands)
    if text and (_is_text(row) or "[" in text or "sign" in text):
        return _slope_text(row, i)(*operands)
    if _is_text(row):
        return None
    derived, stand_ins = _general_slope(row, i)
    return derived.xreplace(dict(zip(stand_ins, operands)))


def constant_slope(op: str, i: int) -> int | None:
    """The derivative with respect to operand i of an operation whose row in ops.py has 1, −1 or 0 for it.

    >>> constant_slope("-", 1), constant_slope("*", 1)
    (-1, None)
    """
    slopes = operation(op).slopes
    return {"1": 1, "−1": -1, "0": 0}.get(slopes[i]) if slopes else None


@lru_cache(maxsize=1024)
def _of_a_text(template: str, number: Callable[..., float]) -> Any:
    """A function of SymPy that prints as a text of ops.py, such as [x > y]; of numbers it is a number."""
    import sympy
    from sympy.printing.precedence import PRECEDENCE

    short, named = renumbered(template)
    shown = formula(short, "").bracketed()

    def in_text(self: Any, printer: Any) -> str:
        operands = [self.args[i] for i in named]
        text = with_brackets(shown.text, list(map(_binds, operands)))
        return condition(text.format(*map(printer._print, operands)))

    def in_latex(self: Any, printer: Any, exp: Any = None) -> str:
        operands = [self.args[i] for i in named]
        text = with_brackets(shown.text, list(map(_binds, operands)))
        text = condition(latex.filled(text, list(map(printer._print, operands)))).replace("≤", r"\leq")
        if exp is None:
            return text
        return f"{text}^{{{exp}}}" if shown.binds == SINGLE else rf"\left({text}\right)^{{{exp}}}"

    def of_numbers(cls: Any, *operands: Any) -> Any:
        numbers = [operand.evalf() for operand in operands if operand.is_number]
        if len(numbers) == len(operands) and all(found.is_Number for found in numbers):  # σ(0) is none
            return sympy.Float(number(*map(float, numbers)))
        return None

    name = template.replace("[", "~")  # by which SymPy orders terms and factors: conditions last
    methods = {
        "_sympystr": in_text, "_latex": in_latex, "eval": classmethod(of_numbers), "is_real": True,
        "precedence": PRECEDENCE["Atom" if shown.binds == SINGLE else "Mul"],
    }  # fmt: skip
    return type(name, (sympy.Function,), methods)


def _binds(expression: Any) -> int:
    """How tightly a SymPy expression binds, as in brackets.py."""
    from sympy.printing.precedence import PRECEDENCE, precedence

    level = precedence(expression)
    return SUM if level <= PRECEDENCE["Add"] else PRODUCT if level <= PRECEDENCE["Pow"] else SINGLE


@lru_cache(maxsize=1024)
def _slope_text(row: Operation, i: int) -> Any:
    return _of_a_text(row.slopes[i], lambda *x: row.local_grads(row.forward(*x), *x)[i])


@lru_cache(maxsize=1024)
def _general_slope(row: Operation, i: int) -> tuple[Any, tuple[Any, ...]]:
    import sympy

    stand_ins = sympy.symbols(f"operand:{row.arity}", real=True)
    if (row.name, i) == ("**", 0):
        x, y = stand_ins
        return y * x ** (y - 1), stand_ins  # SymPy's y·xʸ/x is 0/0 at x = 0
    return expression(row.name, stand_ins).diff(stand_ins[i]), stand_ins


def unicode_text(expression: Any) -> str:
    """A SymPy expression as a person would write it.

    >>> import sympy
    >>> a, y = sympy.symbols("a y")
    >>> unicode_text(sympy.factor_terms(2 * (a - y))), unicode_text(a**2 * y), unicode_text(0.5 * sympy.Abs(a) ** 1.5)
    ('2(a − y)', 'a²·y', '0.5·|a|^1.5')
    >>> unicode_text(1 - sympy.tanh(a) ** 2), unicode_text(y / sympy.cos(a) ** 2)
    ('1 − tanh²(a)', 'y/cos²(a)')
    """
    printer = _printers()[0]({"full_prec": False})
    text = printer.doprint(expression)
    text = re.sub(r"\*\*(\d+)(?![\d.e])", lambda match: match[1].translate(SUPERSCRIPTS), text)
    text = text.replace("**", "^").replace("*", "·").replace("-", "−").replace("sqrt(", "√(")
    text = re.sub(r"(?<![\w.⁾₀-₉])(\d+)·\(", r"\1(", text)
    return bracketed_once(text.translate({_NAMES + i: name for i, name in enumerate(printer.names)}), printer.names)


def latex_text(expression: Any, names: Mapping[Any, str]) -> str:
    """An expression as LaTeX, its symbols written as in `names`."""
    settings = {"symbol_names": dict(names), "mul_symbol": "dot", "inv_trig_style": "full"}
    text = str(_printers()[1](settings).doprint(expression))
    return re.sub(r"(?<![\w.}^])(\d+) \\cdot \\left\(", r"\1\\left(", text)  # 2(a − y), as in 000 Eq. 4


@lru_cache(maxsize=1)
def _printers() -> tuple[Any, Any]:
    """SymPy's printers of text and LaTeX, but with σ(z) − y for −y + σ(z), and six digits per number."""
    from sympy.functions.elementary.hyperbolic import HyperbolicFunction
    from sympy.functions.elementary.trigonometric import TrigonometricFunction
    from sympy.printing.latex import LatexPrinter
    from sympy.printing.str import StrPrinter

    def positive_first(self: Any, expression: Any, order: Any = None) -> list[Any]:
        return sorted(expression.as_ordered_terms(), key=lambda term: bool(term.could_extract_minus_sign()))

    def name(self: Any, symbol: Any) -> str:
        """A character that stands for the name until the rest is written: * and - in a name are not operations."""
        self.names = (*self.names, symbol.name)
        return chr(_NAMES + len(self.names) - 1)

    def call(name: str) -> Callable[[Any, Any], str]:
        return lambda self, function: f"{name}({', '.join(map(self._print, function.args))})"

    def power(self: Any, expression: Any, rational: bool = False) -> str:
        base, exponent = expression.as_base_exp()
        if isinstance(base, (HyperbolicFunction, TrigonometricFunction)) and exponent.is_Integer and exponent > 1:
            return str(self._print(base)).replace("(", f"**{exponent}(", 1)  # tanh²(x)
        return str(StrPrinter._print_Pow(self, expression, rational))

    ordered = {"_as_ordered_terms": positive_first}
    text = {
        "_print_Float": lambda self, number: f"{float(number):.6g}",
        "_print_Pow": power,
        "_print_Symbol": name,
        "_print_ExtremeNumber": lambda self, symbol: name(self, type(symbol)(written(float(symbol.name)))),
        "_print_Integer": lambda self, number: written(float(number)).replace("−", "-"),
        "_print_Exp1": lambda self, number: "exp(1)",
        "_print_Abs": lambda self, function: f"|{self._print(function.args[0])}|",
        "_print_Pi": lambda self, number: "π",
        "_print_Max": call("max"), "_print_Min": call("min"),
    }  # fmt: skip
    in_latex = {
        "_print_Float": lambda self, number: latex.number(float(number)),
        "_print_Integer": lambda self, number: latex.number(float(number)),
        "_print_ExtremeNumber": lambda self, symbol: latex.number(float(symbol.name)),
    }
    in_text = ordered | text | {"names": ()}
    return type("Text", (StrPrinter,), in_text), type("Latex", (LatexPrinter,), ordered | in_latex)

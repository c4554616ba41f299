"""What SymPy's functions are in operations of Values, for `from_sympy`."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from functools import lru_cache, reduce
from typing import Any

from tinygrad_scalar import functions, lists
from tinygrad_scalar.engine import Value, record
from tinygrad_scalar.engine.ops import OPERATIONS, Operation
from tinygrad_scalar.inspection.symbolic import MOST_PIECES, parsed, pieces, without_pieces

EXACT = 2**53  # integers up to this are float64s
HAVE_FORMS = ("log", "maximum", "minimum")  # operations of which SymPy's function is more general
DIGITS = 40  # of a number that is then rounded
MOST_SHOWN = 100  # characters of an expression in an error


class Part:
    """A part of an expression: its own parts `below`, and what it became.

    constant  the number in SymPy, if it is one; `made` the Value, or that number rounded
    """

    __slots__ = ("below", "constant", "depth", "expression", "form", "made", "pieces")

    def __init__(self, expression: Any, below: Sequence[Part], form: Callable[[Part], Any] | None) -> None:
        self.expression, self.below, self.form = expression, below, form
        self.depth: int = 1 + max([part.depth for part in below], default=-1)
        self.pieces: int = pieces(expression.func, [part.pieces for part in below])
        self.constant: Any = None
        self.made: Any = None

    @property
    def is_of_constants(self) -> bool:
        return all(part.constant is not None for part in self.below)

    @property
    def operands(self) -> list[Any]:
        """What the parts below became; at least one of them a Value."""
        found = [part.made for part in self.below]
        if not any(isinstance(operand, Value) for operand in found):
            found[0] = Value(found[0])
        return found

    def is_a(self, function: Any) -> bool:
        return self.expression.func is function

    def is_number(self, number: Any) -> bool:
        return self.constant is not None and bool(self.constant == number)


Form = Callable[[Part], Any]


def is_no_function(expression: Any) -> bool:
    """Whether an expression with parts is not a function of their numbers."""
    import sympy

    unevaluated = sympy.Integral, sympy.Sum, sympy.Product, sympy.Derivative, sympy.Limit, sympy.Subs
    return isinstance(expression, (*unevaluated, sympy.Lambda))


def forms() -> dict[Any, Form]:
    """For each function of SymPy, and for the name and number of operands of an undefined one, what makes its Value."""
    found: dict[Any, Form] = dict(_fixed())
    for row in OPERATIONS.values():
        found[row.name, row.arity] = _operation(row.name, tuple(range(row.arity)))
        function, places = _function(row)
        if function is not None and row.name not in HAVE_FORMS:
            found[function] = _operation(row.name, places)
    return found


@lru_cache(maxsize=1024)
def _function(row: Operation) -> tuple[Any, tuple[int, ...]]:
    """The function that a row's expression applies to its operands and nothing else, and in which order."""
    import sympy

    if not row.expression or row.arity > 3:
        return None, ()
    operands, applied = _stand_ins(row.arity), _applied(row)
    if not isinstance(applied, sympy.Function) or sorted(applied.args, key=str) != sorted(operands, key=str):
        return None, ()
    return applied.func, tuple(applied.args.index(operand) for operand in operands)


def _operation(name: str, places: tuple[int, ...]) -> Form:
    """The operation `name`, whose operand i is operand places[i] of SymPy's function."""

    def form(part: Part) -> Any:
        operands = part.operands
        return record(name, *(operands[i] for i in places))

    return form


@lru_cache(maxsize=1)
def _fixed() -> dict[Any, Form]:
    """The forms that do not follow from the table of operations."""
    import sympy
    from sympy.functions.elementary.piecewise import ExprCondPair

    def of_one(make: Callable[[Any], Any]) -> Form:
        return lambda part: make(part.operands[0])

    def of_two(make: Callable[[Any, Any], Any]) -> Form:
        return lambda part: make(*part.operands)

    return {
        sympy.Add: _sum,
        sympy.Mul: _product,
        sympy.Pow: _power,
        sympy.log: _logarithm,
        sympy.Max: lambda part: lists.max(part.operands),
        sympy.Min: lambda part: lists.min(part.operands),
        sympy.Piecewise: _piecewise,
        ExprCondPair: lambda part: None,
        sympy.ITE: lambda part: functions.where(*part.operands),
        sympy.Abs: of_one(abs),
        sympy.cot: of_one(lambda x: 1.0 / functions.tan(x)),
        sympy.sec: of_one(lambda x: 1.0 / functions.cos(x)),
        sympy.csc: of_one(lambda x: 1.0 / functions.sin(x)),
        sympy.coth: of_one(lambda x: 1.0 / functions.tanh(x)),
        sympy.sech: of_one(lambda x: 1.0 / functions.cosh(x)),
        sympy.csch: of_one(lambda x: 1.0 / functions.sinh(x)),
        sympy.acot: of_one(lambda x: functions.atan(1.0 / x)),
        sympy.asec: of_one(lambda x: functions.acos(1.0 / x)),
        sympy.acsc: of_one(lambda x: functions.asin(1.0 / x)),
        sympy.acoth: of_one(lambda x: functions.atanh(1.0 / x)),
        sympy.asech: of_one(lambda x: functions.acosh(1.0 / x)),
        sympy.acsch: of_one(lambda x: functions.asinh(1.0 / x)),
        sympy.sinc: of_one(lambda x: functions.where(x, functions.sin(x) / functions.where(x, x, 1.0), 1.0)),
        sympy.erfc: of_one(lambda x: 2.0 * record("normal cdf", -math.sqrt(2.0) * x)),
        sympy.sign: of_one(lambda x: functions.greater(x, 0.0) - functions.greater(0.0, x)),
        sympy.frac: of_one(lambda x: x - functions.floor(x)),
        sympy.Mod: of_two(_remainder),
        sympy.KroneckerDelta: lambda part: _equal(*part.operands[:2]),
        **{function: of_one(lambda x: x) for function in (sympy.re, sympy.conjugate, sympy.UnevaluatedExpr)},
        sympy.im: lambda part: 0.0,
        sympy.Heaviside: lambda part: _step(*part.operands),
        sympy.StrictGreaterThan: of_two(functions.greater),
        sympy.GreaterThan: of_two(functions.greater_equal),
        sympy.StrictLessThan: of_two(functions.less),
        sympy.LessThan: of_two(functions.less_equal),
        sympy.Equality: of_two(_equal),
        sympy.Unequality: of_two(lambda x, y: 1.0 - _equal(x, y)),
        sympy.And: lambda part: reduce(operator.mul, part.operands),
        sympy.Or: lambda part: lists.max(part.operands),
        sympy.Not: of_one(lambda condition: 1.0 - condition),
        sympy.Xor: lambda part: reduce(lambda a, b: 1.0 - _equal(a, b), part.operands),
        sympy.Implies: of_two(functions.less_equal),
        sympy.Equivalent: lambda part: reduce(operator.mul, [_equal(part.operands[0], x) for x in part.operands[1:]]),
    }


def _equal(x: Any, y: Any) -> Any:
    return functions.greater_equal(x, y) * functions.less_equal(x, y)


def _remainder(x: Any, y: Any) -> Any:
    """x − y·⌊x/y⌋, which has the sign of y, also where x/y was rounded up to an integer."""
    found = x - y * functions.floor(x / y)
    return functions.where(functions.less(found * y, 0.0), found + y, found)


def _step(x: Any, at_zero: Any = 0.5) -> Any:
    return functions.where(functions.greater(x, 0.0), 1.0, functions.where(functions.less(x, 0.0), 0.0, at_zero))


def _piecewise(part: Part) -> Any:
    for row, function in _rows_of(type(part.expression)):
        operands: dict[Any, Part] = {}
        if _is_of_form(part, function, operands):
            return record(row.name, *(operands[operand].made for operand in _stand_ins(row.arity)))
    found: Any = float("nan")  # where no condition holds
    for pair in reversed(part.below):
        result, condition = pair.below
        if condition.made == 1.0 and not isinstance(condition.made, Value):  # otherwise
            found = result.made
            continue
        found = functions.where(_condition(condition), result.made, found)
    return found


def _rows_of(function: Any) -> list[tuple[Operation, Any]]:
    """The rows whose expression is made by a function of SymPy, each with its expression."""
    return [(row, _applied(row)) for row in OPERATIONS.values() if row.expression and _applied(row).func is function]


@lru_cache(maxsize=1024)
def _applied(row: Operation) -> Any:
    return parsed(row, _stand_ins(row.arity))


def _stand_ins(n: int) -> Any:
    import sympy

    return sympy.symbols(f"operand:{n}")


def _is_of_form(part: Part, form: Any, operands: dict[Any, Part]) -> bool:
    """Whether a part is `form` for some operands, which are found."""
    if form.is_Symbol:
        return operands.setdefault(form, part) is part
    if not form.args:
        return bool(part.expression == form)
    alike = part.is_a(form.func) and len(part.below) == len(form.args)
    if alike and all(_is_of_form(below, its, operands) for below, its in zip(part.below, form.args)):
        return True
    n = math.prod(operands[side].pieces for side in form.args if side in operands)
    if not form.is_Relational or not 1 < n <= MOST_PIECES:
        return False
    sides = [operands[side].expression if side in operands else side for side in form.args]
    return bool(part.expression == without_pieces(form.func(*sides, evaluate=False)))  # as in `to_sympy`


def _condition(part: Part) -> Any:
    import sympy

    if part.is_a(sympy.Unequality) and part.below[1].is_number(0):
        return part.below[0].made  # `where` takes any number but 0 for true
    return part.made


def _sum(part: Part) -> Any:
    """Terms, constants rounded together, and differences for what has the factor −1; exp(x) − 1 is expm1(x)."""
    import sympy

    constants = [term.constant for term in part.below if term.constant is not None]
    varying = [term for term in part.below if term.constant is None]
    constant = rounded(sympy.Add(*constants)) if constants else 0.0
    if len(varying) == 1 and varying[0].is_a(sympy.exp) and constant == -1.0:
        return functions.expm1(varying[0].below[0].made)
    if not varying:
        return reduce(operator.add, part.operands)
    added = [term.made for term in varying if not _is_negative(term)]
    added += [constant] if constants else []
    taken = [_scaled(1, term.below[1:]) for term in varying if _is_negative(term)]
    total = lists.sum(added) if len(added) > 2 else reduce(operator.add, added) if added else None
    for term in taken:
        total = -term if total is None else total - term
    return total


def _is_negative(term: Part) -> bool:
    """Whether a term is −1 times something."""
    import sympy

    return term.is_a(sympy.Mul) and term.below[0].is_number(-1) and len(term.below) > 1


def _product(part: Part) -> Any:
    import sympy

    constants = [factor.constant for factor in part.below if factor.constant is not None]
    varying = [factor for factor in part.below if factor.constant is None]
    if not varying:
        return reduce(operator.mul, part.operands)
    return _scaled(sympy.Mul(*constants), varying)


def _scaled(coefficient: Any, factors: Sequence[Part]) -> Any:
    """Factors times a number; negative powers, and a fraction's denominator, divide."""
    import sympy

    coefficient = sympy.Mul(coefficient, *(factor.constant for factor in factors if factor.constant is not None))
    above, below = list[Any](), list[Any]()
    if coefficient.is_Rational and abs(coefficient.p) <= EXACT and coefficient.q <= EXACT:
        number, denominator = float(coefficient.p), float(coefficient.q)
    else:
        number, denominator = rounded(coefficient), 1.0
    for factor in factors:
        if factor.constant is not None:
            continue
        divisor = _divisor(factor)
        if divisor is None:
            above.append(factor.made)
        else:
            below.append(divisor)
    is_opposite = number == -1.0 and bool(above)
    if not above or abs(number) != 1.0:
        above = [number, *above]
    if denominator != 1.0:
        below = [denominator, *below]
    result = reduce(operator.mul, above)
    if below:
        result = result / reduce(operator.mul, below)
    return -result if is_opposite else result


def _divisor(factor: Part) -> Any:
    """What to divide by instead of multiplying by this factor, or None."""
    import sympy

    if not factor.is_a(sympy.Pow) or factor.below[1].constant is None or _of_sigmoid(factor) is not None:
        return None
    exponent = factor.below[1].constant
    return _raised(factor.below[0].made, -exponent) if exponent.is_negative else None


def _power(part: Part) -> Any:
    import sympy

    base, exponent = part.below
    if exponent.constant is not None and base.constant is None:
        z = _of_sigmoid(part)
        return functions.sigmoid(z) if z is not None else _raised(base.made, exponent.constant)
    if base.is_number(sympy.E):
        return functions.exp(exponent.made)
    return operator.pow(*part.operands)


def _raised(base: Any, exponent: Any) -> Any:
    """base to the power of a constant."""
    import sympy

    if exponent == 1:
        return base
    if exponent == -1:
        return 1.0 / base
    if abs(exponent) == sympy.Rational(1, 2):
        root = functions.sqrt(base)
        return root if exponent > 0 else 1.0 / root
    return base ** rounded(exponent)


def _of_sigmoid(part: Part) -> Any:
    """z where a power is 1/(1 + exp(−z)), or None."""
    import sympy

    base, exponent = part.below
    if not (exponent.is_number(-1) and base.is_a(sympy.Add)):
        return None
    term = _beside_one(base)
    if term is None or not term.is_a(sympy.exp):
        return None
    (opposite,) = term.below
    return _scaled(1, opposite.below[1:]) if _is_negative(opposite) else -opposite.made


def _beside_one(part: Part) -> Part | None:
    """The other term of a sum of 1 and one more, or None."""
    if len(part.below) != 2:
        return None
    first, second = part.below
    return second if first.is_number(1) else first if second.is_number(1) else None


def _logarithm(part: Part) -> Any:
    """log(1 + x) and log(exp(x) + exp(y)) without losing digits; in another base, a quotient."""
    import sympy

    if len(part.below) == 2:
        return functions.log(part.operands[0]) / functions.log(part.operands[1])
    (of,) = part.below
    if of.is_a(sympy.Add) and of.constant is None:
        term = _beside_one(of)
        if term is not None:
            return functions.softplus(term.below[0].made) if term.is_a(sympy.exp) else functions.log1p(term.made)
        if len(of.below) == 2 and all(term.is_a(sympy.exp) for term in of.below):
            return functions.logaddexp(*(term.below[0].made for term in of.below))
    return functions.log(part.operands[0])


def rounded(constant: Any) -> float:
    """A SymPy number as the nearest float64; ValueError if it is not a real one."""
    import sympy

    number = constant
    if not number.is_Number:
        try:
            number = constant.evalf(DIGITS)
        except (TypeError, ValueError, ArithmeticError):
            number = sympy.I
    if number.is_Rational:
        try:
            return int(number.p) / int(number.q)
        except OverflowError:
            return float("inf") if number.p > 0 else float("-inf")
    if number.is_Number and number is not sympy.zoo:
        return float(number)
    raise ValueError(f"from_sympy cannot express {text_of(constant)}: it is not a real number")


def name_of(part: Any) -> str:
    return str(getattr(part.func, "__name__", part.func))


def text_of(part: Any) -> str:
    """A part in an error, shortened."""
    try:
        text = str(part)
    except RecursionError:
        return f"a {name_of(part)} of thousands of operations"
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"

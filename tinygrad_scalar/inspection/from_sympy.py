"""`from_sympy`: a SymPy expression as a graph of Values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.engine.number import as_float
from tinygrad_scalar.inspection.sympy_forms import (
    Part,
    forms,
    is_no_function,
    name_of,
    rounded,
    text_of,
)
from tinygrad_scalar.screen import quoted

DEEPEST = 50  # levels of an expression of numbers that SymPy works out to many digits, recursively


def from_sympy(expression: Any, values: Mapping[Any, Any]) -> Value:
    """A SymPy expression of real numbers as a graph of Values.

    values  for each symbol, or its name, a Value or a number; for entries such as x[0] or M[0, 1] too

    Equal parts become one node. Numbers such as π, √2 and ⅓ are rounded once, to the nearest float64. Quotients, roots
    and powers become /, sqrt and **; and 1/(1 + exp(−x)), log(1 + x), log(1 + exp(x)), exp(x) − 1 and
    log(exp(x) + exp(y)) the operations that keep their digits. Piecewise becomes `where`; conditions are 1 or 0. Where
    SymPy has a complex number, such as for √x at x < 0, the Value is nan.

    ValueError if a symbol has no value, or if a part cannot be expressed (an integral, an unknown function, an
    imaginary number), which the error names; TypeError for what is not a scalar expression. `to_sympy` is the way back.

    >>> import sympy
    >>> w, x = sympy.symbols("w x")
    >>> a = Value(0.5, "w")
    >>> C = from_sympy(sympy.sqrt(2) * sympy.tanh(w * x) / 3, {w: a, "x": 2.0})
    >>> C.backward()
    >>> round(C.data, 4), round(a.grad, 4)
    (0.359, 0.396)
    """
    import sympy

    if isinstance(expression, str) or not isinstance(expression, sympy.Basic):
        number = None if isinstance(expression, (str, Value)) else as_float(expression)
        if number is None:
            raise TypeError(f"from_sympy expected a SymPy expression, got {shown(expression)}")
        expression = sympy.sympify(number)
    if not isinstance(expression, (sympy.Expr, sympy.logic.boolalg.Boolean)) or getattr(expression, "is_Matrix", False):
        raise TypeError(
            f"from_sympy expected a SymPy expression of one number, got {shown(expression)}; convert the entries of a "
            "matrix or a list one by one"
        )
    reader = _Reader(*_given(values))
    return reader.read(expression)


def _given(values: Mapping[Any, Any]) -> tuple[dict[Any, Any], dict[str, Any]]:
    """The Values by symbol and by name."""
    if not isinstance(values, Mapping):
        raise TypeError(f"values must be a dict such as {{x: Value(2.0)}}, got {shown(values)}")
    by_symbol: dict[Any, Any] = {}
    by_name: dict[str, Any] = {}
    for key, value in values.items():
        if not isinstance(key, str) and not is_variable(key):
            raise TypeError(f"the keys of values must be symbols or their names, got {shown(key)}")
        number = value if isinstance(value, Value) else as_float(value)
        if number is None:
            raise TypeError(f"the value of {quoted(str(key))} must be a Value or a number, got {shown(value)}")
        if isinstance(key, str):
            by_name[name_of_variable(key)] = number
        else:
            by_symbol[key] = number
    return by_symbol, by_name


class _Reader:
    """Makes the Values of one expression, each part after its own parts.

    A part has a number, the same for equal ones; SymPy's own comparison would go through all of an expression.
    """

    def __init__(self, by_symbol: Mapping[Any, Any], by_name: Mapping[str, Any]) -> None:
        self._by_symbol, self._by_name = by_symbol, by_name
        self._number: dict[int, int] = {}  # by the id of the part
        self._known: dict[tuple[Any, ...], int] = {}  # by the function and the numbers of its parts
        self._parts: list[Part] = []
        self._forms = forms()

    def read(self, expression: Any) -> Value:
        self._enter(expression)
        self._require_values()
        for part in self._parts:
            self._find(part)
        found = self._parts[self._number[id(expression)]].made
        return found if isinstance(found, Value) else Value(found)

    def _enter(self, expression: Any) -> None:
        todo = [expression]
        while todo:
            part = todo[-1]
            if id(part) not in self._number:
                form = self._form(part)
                below = part.args if form is not None else ()
                missing = [operand for operand in below if id(operand) not in self._number]
                if missing:
                    todo += missing
                    continue
                numbers = [self._number[id(operand)] for operand in below]
                key = (part.func, *numbers) if numbers else (part,)
                i = self._number[id(part)] = self._known.setdefault(key, len(self._parts))
                if i == len(self._parts):
                    self._parts.append(Part(part, [self._parts[k] for k in numbers], form))
            todo.pop()

    def _form(self, part: Any) -> Callable[[Part], Any] | None:
        """How a part is made of its own parts; None if it has none that count."""
        import sympy

        if not part.args or is_variable(part):
            return None
        form: Callable[[Part], Any] | None = self._forms.get(part.func)
        if form is None and isinstance(part, sympy.core.function.AppliedUndef):
            form = self._forms.get((part.func.__name__, len(part.args)))
        if form is None and (is_no_function(part) or not part.is_number):
            hint = "; its doit() may be without it" if is_no_function(part) else ""
            raise ValueError(
                f"from_sympy cannot express {text_of(part)}: there is no operation for {name_of(part)}{hint}"
            )
        return form

    def _require_values(self) -> None:
        variables = [part.expression for part in self._parts if is_variable(part.expression)]
        missing = [str(s) for s in variables if s not in self._by_symbol and name_of_variable(s) not in self._by_name]
        if missing:
            given = sorted([str(s) for s in self._by_symbol] + list(self._by_name))
            raise ValueError(
                f"from_sympy needs a value for {_listed(sorted(set(missing)))}; got {_listed(given) or 'none'}"
            )

    def _find(self, part: Part) -> None:
        """The number or the Value of a part."""
        import sympy

        expression = part.expression
        if is_variable(expression):
            found = self._by_symbol.get(expression)
            part.made = self._by_name[name_of_variable(expression)] if found is None else found
        elif part.form is None and isinstance(expression, sympy.logic.boolalg.BooleanAtom):
            part.made = float(bool(expression))
        elif part.form is None and expression.is_number and not is_no_function(expression):
            part.constant = expression
        elif part.form is None:
            raise ValueError(f"from_sympy cannot express {text_of(expression)}: there is no operation for it")
        elif part.is_of_constants and isinstance(expression, sympy.Expr) and part.depth <= DEEPEST:
            part.constant = expression
        else:
            part.made = part.form(part)
            return
        if part.constant is not None:
            part.made = rounded(part.constant)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def is_variable(expression: Any) -> bool:
    """Whether an expression is a symbol, or an entry of an indexed symbol or of a matrix, such as x[0] or M[0, 1]."""
    import sympy

    return isinstance(expression, (sympy.Symbol, sympy.Indexed, sympy.matrices.expressions.matexpr.MatrixElement))


def name_of_variable(variable: Any) -> str:
    """What the caller can call a variable: its name, without spaces between indices."""
    return str(getattr(variable, "name", variable)).replace(", ", ",")

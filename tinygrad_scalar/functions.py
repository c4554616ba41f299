"""Functions of Values and of plain numbers: `ts.exp(v)` is a Value where v is one, a float where v is a number.

Named as NumPy and PyTorch name them. On NumPy object arrays use NumPy's own functions: `np.tanh(array_of_values)`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, overload

from tinygrad_scalar.engine import Value, ops, record, tracing
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.engine.number import as_float

if TYPE_CHECKING:
    from tinygrad_scalar.engine.number import Number

    Scalar = Value | Number

UNARY = (
    "abs", "exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh",
    "tanh", "asinh", "acosh", "atanh", "sigmoid", "relu", "softplus", "erf",
)  # fmt: skip
BINARY = ("maximum", "minimum", "logaddexp", "greater", "greater_equal", "less", "less_equal")
__all__ = [*UNARY, *BINARY, "leaky_relu", "lookup", "where"]


class _Unary(Protocol):
    @overload
    def __call__(self, x: Value, /) -> Value: ...
    @overload
    def __call__(self, x: Number, /) -> float: ...


class _Binary(Protocol):
    @overload
    def __call__(self, x: Value, y: Scalar, /) -> Value: ...
    @overload
    def __call__(self, x: Number, y: Value, /) -> Value: ...
    @overload
    def __call__(self, x: Number, y: Number, /) -> float: ...


def _apply(name: str, *operands: Scalar, called: str = "") -> Any:
    numbers = [None if isinstance(operand, Value) else as_float(operand) for operand in operands]
    for operand, number in zip(operands, numbers):
        if number is None and not isinstance(operand, Value):
            raise TypeError(f"{called or name} takes Values and numbers, not {shown(operand)}")
    return record(name, *operands) if None in numbers else ops.operation(name).forward(*numbers)


def _unary(name: str) -> _Unary:
    method = getattr(Value, "__abs__" if name == "abs" else name)

    def function(x: Scalar, /) -> Any:
        return method(x) if isinstance(x, Value) else _apply(name, x)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{ops.operation(name).expression}, for a Value or a number x."
    return function


def _binary(name: str, doc: str, *, operation: str = "", swap: bool = False) -> _Binary:
    row = operation or name

    def function(x: Scalar, y: Scalar, /) -> Any:
        if swap:
            x, y = y, x
        if isinstance(x, Value) and isinstance(y, Value):
            return record(row, x, y)
        return _apply(row, x, y, called=name)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


exp = _unary("exp")
expm1 = _unary("expm1")
log = _unary("log")
log1p = _unary("log1p")
sqrt = _unary("sqrt")
sin = _unary("sin")
cos = _unary("cos")
tan = _unary("tan")
asin = _unary("asin")
acos = _unary("acos")
atan = _unary("atan")
sinh = _unary("sinh")
cosh = _unary("cosh")
tanh = _unary("tanh")
asinh = _unary("asinh")
acosh = _unary("acosh")
atanh = _unary("atanh")
sigmoid = _unary("sigmoid")
relu = _unary("relu")
softplus = _unary("softplus")
erf = _unary("erf")
abs = _unary("abs")

maximum = _binary("maximum", "The larger of x and y; in a tie each gets half of the gradient.")
minimum = _binary("minimum", "The smaller of x and y; in a tie each gets half of the gradient.")
logaddexp = _binary("logaddexp", "log(exp(x) + exp(y)) without overflow.")
greater = _binary("greater", "1 where x > y, else 0; a condition for `where`. Its gradient is 0.")
greater_equal = _binary("greater_equal", "1 where x ≥ y, else 0; a condition for `where`. Its gradient is 0.")
less = _binary("less", "1 where x < y, else 0: greater(y, x).", operation="greater", swap=True)
less_equal = _binary("less_equal", "1 where x ≤ y, else 0: greater_equal(y, x).", operation="greater_equal", swap=True)


@overload
def leaky_relu(x: Value, slope: float = 0.01) -> Value: ...
@overload
def leaky_relu(x: Number, slope: float = 0.01) -> float: ...
def leaky_relu(x: Scalar, slope: float = 0.01) -> Any:
    """x above 0, slope·x below; slope is a plain number.

    >>> leaky_relu(-2.0, slope=0.1)
    -0.2
    """
    return x.leaky_relu(slope) if isinstance(x, Value) else _apply(ops.leaky_relu(slope).name, x)


def where(condition: Scalar | bool, x: Scalar, y: Scalar) -> Any:
    """x where the condition holds (is not 0), else y; the gradient goes to the one chosen.

    Unlike Python's `x if v > 0 else y`, which is decided once, `where(greater(v, 0), x, y)` is decided anew by
    `forward()`.

    >>> v = Value(-3.0)
    >>> where(greater(v, 0), v, v * v).data
    9.0
    """
    if isinstance(condition, Value) and isinstance(x, Value) and isinstance(y, Value):
        return record("where", condition, x, y)
    return _apply("where", condition, x, y)


def lookup(table: Sequence[Any], i: Scalar) -> Any:
    """Row `i` of `table`, a list of rows (of Values, of numbers, or of lists of them); i is counted from 0.

    As `table[i]`, but i may also be a Value that holds a whole number, and in a function that `vectorize` traces an
    argument that is an array of integers: then each example chooses a row of its own.

    >>> embedding = [[Value(0.5), Value(-1.0)], [Value(2.0), Value(0.25)]]
    >>> lookup(embedding, 1)[0].data
    2.0
    """
    if not hasattr(table, "__len__") or not hasattr(table, "__getitem__") or len(table) == 0:
        raise TypeError(f"lookup takes a list of rows, not {shown(table)}")
    if isinstance(i, Value) and tracing.active is not None and tracing.active.traces(i):
        return tracing.active.lookup(table, i)
    row = _row(i)
    if not 0 <= row < len(table):
        raise ValueError(f"row {row} is not one of the {len(table)} rows 0 to {len(table) - 1}")
    return table[row]


def _row(i: Scalar) -> int:
    if isinstance(i, Value) and i.data.is_integer():
        return int(i.data)
    try:
        return operator.index(i)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"lookup takes the row as a whole number, not {shown(i)}") from None


def guard(number: Scalar, refused: Callable[[Any], Any], message: Callable[[float], str]) -> None:
    """Raise a ValueError with `message(number)` if `refused(number)`.

    While `vectorize` traces, the number of every example is looked at when the array program runs: `refused` is then
    asked about a whole array.
    """
    if isinstance(number, Value) and tracing.active is not None and tracing.active.traces(number):
        tracing.active.guard(number, refused, message)
        return
    data = number.data if isinstance(number, Value) else float(number)
    if refused(data):
        raise ValueError(message(data))

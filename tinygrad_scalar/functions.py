"""Functions of Values and of plain numbers: `ts.exp(v)` is a Value if v is one, and a float if v is a number.

The names are NumPy's and PyTorch's. One line here turns an operation of ops.py into a function. On NumPy object
arrays use NumPy's own functions: `np.tanh(array_of_values)`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from tinygrad_scalar.engine import Value, in_c, ops, record, tracing
from tinygrad_scalar.engine.errors import shown, wrong_operand
from tinygrad_scalar.engine.number import as_float
from tinygrad_scalar.screen import quoted

if TYPE_CHECKING:
    from tinygrad_scalar.engine.number import Number

    Scalar = Value | Number
    Row = TypeVar("Row")


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
    """A Value if any operand is one, else a number; errors name the function `called`, or else `name`."""
    numbers = [None if isinstance(operand, Value) else as_float(operand) for operand in operands]
    for operand, number in zip(operands, numbers):
        if number is None and not isinstance(operand, Value):
            raise wrong_operand(called or name, operand)
    return record(name, *operands) if None in numbers else ops.operation(name).forward(*numbers)


def _unary(name: str, doc: str = "") -> _Unary:
    """The function of a one-operand operation."""
    method = getattr(Value, "__abs__" if name == "abs" else name, partial(record, name))

    def function(x: Scalar, /) -> Any:
        return method(x) if isinstance(x, Value) else _apply(name, x)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc or f"{ops.operation(name).expression}, for a Value or a number x."
    return in_c(function)


def _binary(name: str, doc: str = "", *, operation: str = "", swap: bool = False) -> _Binary:
    """The function `name` of two operands; `operation` is the operation's name if it differs."""
    row = operation or name

    def function(x: Scalar, y: Scalar, /) -> Any:
        if swap:
            x, y = y, x
        if isinstance(x, Value) and isinstance(y, Value):
            return record(row, x, y)
        return _apply(row, x, y, called=name)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc or f"{ops.operation(row).expression}, for Values or numbers x and y."
    return in_c(function)


exp = _unary("exp")
expm1 = _unary("expm1")
log = _unary("log")
log1p = _unary("log1p")
log2 = _unary("log2")
log10 = _unary("log10")
exp2 = _unary("exp2")
sqrt = _unary("sqrt")
cbrt = _unary("cbrt", "The real cube root of a Value or a number x, also of a negative one.")
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
gelu = _unary("gelu", "x·Φ(x), where Φ is the normal distribution: exactly, as JAX's gelu with approximate=False.")
silu = _unary("silu", "x·σ(x), also called swish, for a Value or a number x.")
elu = _unary("elu", "x above 0, exp(x) − 1 below, for a Value or a number x; its slope at 0 is 1.")
selu = _unary(
    "selu", "1.0507·x above 0, 1.7581·(exp(x) − 1) below, for a Value or a number x; its slope at 0 is 1.7581."
)
mish = _unary("mish", "x·tanh(softplus(x)), for a Value or a number x.")
hardtanh = _unary(
    "hardtanh", "x from −1 to 1, and flat outside: −1 below, 1 above. At −1 and 1 its slope is 1, as in JAX."
)
softsign = _unary("softsign", "x/(1 + |x|), for a Value or a number x.")
erf = _unary("erf")
abs = _unary("abs")
floor = _unary(
    "floor", "The largest integer ≤ x, for a Value or a number x. Between its jumps it is flat: its gradient is 0."
)
ceil = _unary(
    "ceil", "The smallest integer ≥ x, for a Value or a number x. Between its jumps it is flat: its gradient is 0."
)
sign = _unary("sign", "1 for x > 0, −1 for x < 0, 0 for 0, for a Value or a number x. Its gradient is 0.")

maximum = _binary("maximum", "The larger of x and y; in a tie each gets half the gradient.")
minimum = _binary("minimum", "The smaller of x and y; in a tie each gets half the gradient.")
logaddexp = _binary("logaddexp", "log(exp(x) + exp(y)) without overflow.")
atan2 = _binary(
    "atan2",
    "The angle of the point (x, y), from −π to π, which is atan(y/x) for x > 0; the ordinate comes first, as in C. "
    "At the origin its slopes are nan.",
)
hypot = _binary(
    "hypot", "√(x² + y²), without overflow. At the origin, where it has a kink, both slopes are ½, as in JAX."
)
xlogy = _binary("xlogy", "x·log(y), but 0 where x is 0, whatever number y is: a term of an entropy.")
greater = _binary("greater", "1 where x > y, else 0; a condition for `where`. Its gradient is 0.")
greater_equal = _binary("greater_equal", "1 where x ≥ y, else 0; a condition for `where`. Its gradient is 0.")
less = _binary("less", "1 where x < y, else 0: greater(y, x).", operation="greater", swap=True)
less_equal = _binary("less_equal", "1 where x ≤ y, else 0: greater_equal(y, x).", operation="greater_equal", swap=True)


@overload
def leaky_relu(x: Value, slope: float = 0.01) -> Value: ...
@overload
def leaky_relu(x: Number, slope: float = 0.01) -> float: ...
def leaky_relu(x: Scalar, slope: float = 0.01) -> Any:
    """x above 0, slope·x below; `slope` is a plain number.

    >>> leaky_relu(-2.0, slope=0.1)
    -0.2
    """
    return x.leaky_relu(slope) if isinstance(x, Value) else _apply(ops.leaky_relu(slope).name, x)


@overload
def clip(x: Value, low: Scalar, high: Scalar) -> Value: ...
@overload
def clip(x: Number, low: Value, high: Scalar) -> Value: ...
@overload
def clip(x: Number, low: Number, high: Value) -> Value: ...
@overload
def clip(x: Number, low: Number, high: Number) -> float: ...
def clip(x: Scalar, low: Scalar, high: Scalar) -> Any:
    """x, but at least `low` and at most `high`: minimum(maximum(x, low), high).

    Its slope is 1 between them and 0 outside, where it is flat; at an end x and that end get half the gradient each,
    as in JAX. Where low > high the result is high.

    >>> x = Value(3.0)
    >>> y = clip(x, -1, 1)
    >>> y.backward()
    >>> y.data, x.grad
    (1.0, 0.0)
    """
    return _of_clip("minimum", _of_clip("maximum", x, low), high)


def _of_clip(name: str, x: Scalar, y: Scalar) -> Any:
    if isinstance(x, Value) and isinstance(y, Value):
        return record(name, x, y)
    return _apply(name, x, y, called="clip")


@overload
def where(condition: Value, x: Scalar, y: Scalar) -> Value: ...
@overload
def where(condition: Number, x: Value, y: Scalar) -> Value: ...
@overload
def where(condition: Number, x: Number, y: Value) -> Value: ...
@overload
def where(condition: Number, x: Number, y: Number) -> float: ...
def where(condition: Scalar, x: Scalar, y: Scalar) -> Any:
    """x where the condition holds (is not 0), else y; the gradient goes to the one chosen.

    Python's `x if v > 0 else y` is decided once; `where(greater(v, 0), x, y)` is decided again by each `forward()`.

    >>> v = Value(-3.0)
    >>> where(greater(v, 0), v, v * v).data
    9.0
    """
    if isinstance(condition, Value) and isinstance(x, Value) and isinstance(y, Value):
        return record("where", condition, x, y)
    return _apply("where", condition, x, y)


def cond(condition: Scalar, then: Any, otherwise: Any) -> Any:
    """The result of `then` if the condition holds (is not 0), else of `otherwise`; the other one is not run.

    `then` and `otherwise` are functions without arguments, or values. Both must give the same: a Value, or lists of
    equally many Values. Like Python's `if`, it is decided once and only the side taken is recorded; but in a function
    that `vectorize` traces each example takes its own side. Unlike `where`, no nan and no refusal comes from the other
    side: not from log(x) of a negative x, nor from its infinite slope at 0. To trace it `vectorize` runs both sides:
    they must end for any number, raise nothing (1/0) and change nothing outside of them that is used later. What they
    print is printed while the function is traced, and not in later calls.

    >>> x = Value(0.0)
    >>> y = cond(greater(x, 0), lambda: log(x), lambda: 2 * x)
    >>> y.backward()
    >>> y.data, x.grad
    (0.0, 2.0)
    """
    if isinstance(condition, Value) and tracing.active and (tracer := tracing.tracer_of(condition)):
        return tracer.cond(condition, then, otherwise)
    number = condition.data if isinstance(condition, Value) else as_float(condition)
    if number is None:
        raise TypeError(f"cond expected a Value or a number as the condition, got {shown(condition)}")
    side = then if number != 0.0 else otherwise
    taken = side() if callable(side) else side
    return _as_values(taken) if isinstance(condition, Value) else taken


def _as_values(taken: Any) -> Any:
    """The same with Values for numbers, also in lists, tuples, dicts and arrays."""
    if isinstance(taken, Value):
        return taken
    if isinstance(taken, dict):
        return {key: _as_values(value) for key, value in taken.items()}
    if isinstance(taken, (list, tuple)):
        values = list(map(_as_values, taken))
        return type(taken)(*values) if hasattr(taken, "_fields") else type(taken)(values)
    if getattr(taken, "shape", ()) and hasattr(taken, "flat"):  # an array
        array = taken.astype(object)
        for i, number in enumerate(taken.flat):
            array.flat[i] = _as_values(number)
        return array
    number = as_float(taken)
    if number is None:
        raise TypeError(f"a side of cond must return a Value, a number, or lists of them, got {shown(taken)}")
    return Value(number)


def lookup(table: Sequence[Row], i: Scalar) -> Row:
    """Row `i` of `table`, a list of rows (Values, numbers, or lists of them), counted from 0.

    Like `table[i]`, but i can also be a Value that holds an integer. In a function that `vectorize` traces it can be
    an argument given as an array of integers: then each example chooses its own row.

    >>> embedding = [[Value(0.5), Value(-1.0)], [Value(2.0), Value(0.25)]]
    >>> lookup(embedding, 1)[0].data
    2.0
    """
    if not hasattr(table, "__len__") or not hasattr(table, "__getitem__") or len(table) == 0:
        raise TypeError(f"lookup expected a non-empty list of rows, got {shown(table)}")
    if isinstance(i, Value) and tracing.active and (tracer := tracing.tracer_of(i)):
        traced: Row = tracer.lookup(table, i)  # the rows' Values instead of their numbers
        return traced
    row = _row(i)
    if not 0 <= row < len(table):
        raise ValueError(f"lookup expected a row from 0 to {len(table) - 1}, got {quoted(row)}")
    return table[row]


def _row(i: Scalar) -> int:
    """`i` as an int."""
    if isinstance(i, Value) and i.data.is_integer():
        return int(i.data)
    try:
        return operator.index(i)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"lookup expected an integer as the row index, got {shown(i)}") from None


__all__ = [name for name, thing in globals().items() if name[0] != "_" and getattr(thing, "__module__", "") == __name__]


def guard(number: Scalar, refused: Callable[[Any], Any], message: Callable[[float], str]) -> None:
    """Raise a ValueError with `message(number)` if `refused(number)`.

    While `vectorize` traces, this is postponed until the array program runs: `refused` then gets the numbers of all
    examples as an array.
    """
    if isinstance(number, Value) and tracing.active and (tracer := tracing.tracer_of(number)):
        tracer.guard(number, refused, message)
        return
    data = number.data if isinstance(number, Value) else float(number)
    if refused(data):
        raise ValueError(message(data))

"""The table of operations, by name: rows.py, lists.py, and here the operations with a constant, such as x**2."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

from tinygrad_scalar.engine import lists, recorded
from tinygrad_scalar.engine.elementary import power, power_slope
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.engine.number import SUPERSCRIPTS, as_float
from tinygrad_scalar.engine.operation import Operation as Operation
from tinygrad_scalar.engine.rows import ROWS
from tinygrad_scalar.screen import quoted

Method = TypeVar("Method", bound=Callable[..., Any])

OPERATIONS = {row.name: row for row in ROWS}
# Where `vectorize` traces both sides of ts.cond they meet in this one; the engine records only the side that is taken.
COND = OPERATIONS["where"]._replace(
    name="cond", symbol="cond", text="cond({0}, {1}, {2})",
    vjps=(None, lambda u, v, c, x, y: recorded.cond(c, u, 0.0), lambda u, v, c, x, y: recorded.cond(c, 0.0, u)),
)  # fmt: skip
# What `vectorize` reads ts.max and ts.min as: the extreme of the first two of a list, then that of it and each of the
# others. Unlike in a chain of maximum, all ties share the gradient equally, which no step by itself can do.
STEPS = {
    f"{family} of {which}": OPERATIONS[step]._replace(name=f"{family} of {which}")
    for family, step in (("max", "maximum"), ("min", "minimum"))
    for which in ("first", "next")
}
STEPS["largest of two"] = STEPS["max of first"]._replace(  # a step of what a softmax subtracts
    name="largest of two", local_grads=lambda v, x, y: (0.0, 0.0), slopes=("0", "0"), detached=(0, 1), vjps=(None, None)
)
# What it reads ts.logsumexp of three or more as: a chain that, unlike one of logaddexp, subtracts the largest first.
STEPS["logsumexp of next"] = OPERATIONS["logaddexp"]._replace(name="logsumexp of next")

# --- operations with a constant, which is part of the name, as in micrograd's "**2" -----------------------------------


def _short(number: float) -> str:
    return str(int(number)) if number.is_integer() and abs(number) < 1e16 else repr(number)


def _slope_of_constant_power(n: float) -> str:
    """n·xⁿ⁻¹."""
    if n in (0.0, 1.0):
        return _short(n)
    lower = _short(n - 1.0)
    raised = lower.translate(SUPERSCRIPTS) if lower.lstrip("-").isdecimal() else f"^({lower})"
    return f"{_short(n)}·{{0}}{'' if n == 2.0 else raised}".replace("-", "−")


def _vjp_of_constant_power(n: float) -> Callable[..., Any] | None:
    if n == 0.0:
        return None
    if n == 1.0:
        return lambda u, v, x: u
    return lambda u, v, x: u * (n * x if n == 2.0 else n * x ** (n - 1.0))


@lru_cache(maxsize=1024)
def constant_power(n: float) -> Operation:
    """x**n for a plain number n: one operand, so that no derivative with respect to the constant is needed."""
    short = _short(n)
    raised = short.translate(SUPERSCRIPTS) if short.lstrip("-").isdecimal() else f"^{short}"
    return Operation(
        f"**{short}", f"( ){raised}", f"({{0}}){raised}", f"x**({short})",
        lambda x: power(x, n), lambda v, x: (power_slope(v, x, n) if n != 0.0 else 0.0,),
        (_slope_of_constant_power(n),), "**n", n, piecewise=n == 0.0, detached=(0,) if n == 0.0 else (),
        vjps=(_vjp_of_constant_power(n),),
    )  # fmt: skip


def leaky_relu(slope: float) -> Operation:
    """x above 0, slope·x below; at 0 the slope is 1, as in JAX. A TypeError if `slope` is not a plain number."""
    number = as_float(slope)
    if number is None:
        raise TypeError(f"the slope of leaky_relu must be a plain number, got {shown(slope)}")
    return _leaky_relu(number + 0.0)  # −0 becomes 0, as in the name


@lru_cache(maxsize=1024)
def _leaky_relu(slope: float) -> Operation:
    short = _short(slope)
    return Operation(
        f"leaky_relu({short})", "leaky relu", f"leaky_relu({{0}}, {short})", f"Max(x, 0) + {short}*Min(x, 0)",
        lambda x: slope * x if x < 0.0 else x, lambda v, x: (1.0 if x >= 0.0 else slope,),
        (f"[{{0}} ≥ 0] + {short}·[{{0}} < 0]",), "leaky_relu", slope, piecewise=True,
        vjps=(lambda u, v, x: recorded.where(recorded.greater_equal(x, 0.0), u, slope * u),),
    )  # fmt: skip


def operation(name: str) -> Operation:
    """The row of the operation that `Value.op` names.

    >>> operation("*").local_grads(6.0, 2.0, 3.0)
    (3.0, 2.0)
    >>> operation("**2").forward(5.0)
    25.0
    """
    row = OPERATIONS.get(name)
    if row is not None:
        return row
    if name == COND.name:
        return COND
    if name in STEPS:
        return STEPS[name]
    if name.startswith("**"):
        return constant_power(float(name[2:]))
    if name.startswith("leaky_relu(") and name.endswith(")"):
        return leaky_relu(float(name[len("leaky_relu(") : -1]))
    if (row := lists.named(name)) is not None:
        return row
    raise ValueError(f"unknown operation {quoted(name)}; ops.py has {', '.join(OPERATIONS)}")


def described(method: Method, row: Operation) -> Method:
    """A method of Value that applies `row`, with its name and docstring."""
    method.__name__ = method.__qualname__ = row.name
    method.__doc__ = f"{row.expression}, where x is this Value{' and y the other operand' * (row.arity - 1)}."
    return method

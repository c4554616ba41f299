"""Functions of a list of Values or plain numbers: one node each, however long the list is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from tinygrad_scalar.engine import Value, in_c, ops, record
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.engine.number import as_float

if TYPE_CHECKING:
    from tinygrad_scalar.engine.number import Number

    Scalar = Value | Number


@in_c
def sum(values: Iterable[Scalar], /, *others: NoReturn) -> Any:
    """The sum of a list of Values or numbers, one node, added from left to right; 0.0 of an empty list.

    >>> sum([Value(1.0), 2.0, Value(0.5)]).data
    3.5
    """
    numbers = _listed("sum", values, others)
    return _of_list("sum", numbers) if numbers else 0.0


@in_c
def mean(values: Iterable[Scalar], /, *others: NoReturn) -> Any:
    """The mean of a list of Values or numbers, one node: their sum divided by their number.

    >>> mean([Value(1.0), 2.0, Value(6.0)]).data
    3.0
    """
    return _of_list("mean", _some("mean", values, others))


@in_c
def dot(a: Iterable[Scalar], b: Iterable[Scalar], /) -> Any:
    """Σ aᵢ·bᵢ of two lists of Values or numbers, one node, added from left to right.

    >>> w, x = [Value(2.0), Value(3.0)], [Value(10.0), Value(1.0)]
    >>> z = dot(w, x)
    >>> z.backward()
    >>> z.data, w[0].grad, x[1].grad
    (23.0, 10.0, 3.0)
    """
    left, right = _some("dot", a), _some("dot", b)
    if len(left) != len(right):
        raise ValueError(f"dot expected two lists of equal length, got {len(left)} and {len(right)} numbers")
    return _of_list("dot", left + right)


@in_c
def norm(values: Iterable[Scalar], /, *others: NoReturn) -> Any:
    """√Σ xᵢ², the Euclidean length of a list of Values or numbers, one node, without overflow on the way.

    Its gradient is x/‖x‖; at the zero vector, which has none, it is nan, as in JAX: `detect_anomaly` says where one
    arises, and `sum` of the squares has a gradient there.

    >>> norm([Value(3.0), Value(4.0)]).data
    5.0
    """
    return _of_list("norm", _some("norm", values, others))


@in_c
def max(values: Iterable[Scalar], /, *others: NoReturn) -> Any:
    """The largest of a list of Values or numbers, one node.

    The largest one gets the gradient; in a tie each of the k largest gets 1/k of it, as in JAX.

    >>> v = [Value(1.0), Value(3.0), Value(2.0)]
    >>> max(v).backward()
    >>> [x.grad for x in v]
    [0.0, 1.0, 0.0]
    """
    return _of_list("max", _some("max", values, others))


@in_c
def min(values: Iterable[Scalar], /, *others: NoReturn) -> Any:
    """The smallest of a list of Values or numbers, one node; in a tie of k each gets 1/k of the gradient."""
    return _of_list("min", _some("min", values, others))


@in_c
def logsumexp(values: Iterable[Scalar], /, *others: NoReturn) -> Any:
    """log Σ exp(xᵢ) of a list of Values or numbers, one node, without overflow; its gradient is their softmax.

    It is within 1 ulp, also where the sum is near 1, as that of probabilities is.
    Where it is infinite the gradient is that of a chain of `logaddexp`: 1 for each +∞, 0 for all else.

    >>> round(logsumexp([Value(1000.0), Value(1000.0)]).data, 6)
    1000.693147
    """
    return _of_list("logsumexp", _some("logsumexp", values, others))


@in_c
def softmax(values: Iterable[Scalar], /, *others: NoReturn) -> list[Any]:
    """exp(xᵢ)/Σ exp(xⱼ) for each of a list of Values or numbers, without overflow; within 2 ulp.

    A program of `vectorize` computes exp(xᵢ − max x)/Σ in plain float64, which is off by some |xᵢ − max x| ulp.

    >>> [p.data for p in softmax([Value(1000.0), Value(1000.0)])]
    [0.5, 0.5]
    """
    numbers = _some("softmax", values, others)
    most = _of_list("largest", numbers)  # no gradient goes there: all that would go there adds up to 0
    if not isinstance(most, Value):
        total = _of_list("sumexp_below", [*numbers, most])
        return [ops.operation("share").forward(x, most, total) for x in numbers]
    x = most.operands  # the same with a Value for each plain number
    total = _of_list("sumexp_below", [*x, most])
    return [record("share", x_i, most, total) for x_i in x]


def log_softmax(values: Iterable[Scalar], /, *others: NoReturn) -> list[Any]:
    """xᵢ − log Σ exp(xⱼ) for each of a list of Values or numbers, within 2 ulp, also where both are large.

    >>> [p.data for p in log_softmax([Value(1000.0), Value(0.0)])]
    [0.0, -1000.0]
    """
    numbers = _some("log_softmax", values, others)
    most = _of_list("largest", numbers)
    total = _of_list("logsumexp_below", [*numbers, most])
    return [(x - most) - total for x in numbers]  # x − most ≤ 0, as is −total: nothing cancels


def _of_list(family: str, numbers: list[Any]) -> Any:
    """A node if one of them is a Value, else a number."""
    for number in numbers:
        if isinstance(number, Value):
            return record(f"{family}({len(numbers)})", *numbers)
    return ops.operation(f"{family}({len(numbers)})").forward(*numbers)


def _some(name: str, values: Iterable[Scalar], others: Sequence[Any] = ()) -> list[Any]:
    """The same as `_listed`; a ValueError if the list is empty."""
    numbers = _listed(name, values, others)
    if not numbers:
        raise ValueError(f"{name} expected at least one Value or number, got an empty list")
    return numbers


def _listed(name: str, values: Iterable[Scalar], others: Sequence[Any] = ()) -> list[Any]:
    """The Values and numbers of a list; `others` are arguments behind it, which are refused."""
    if others:
        raise TypeError(f"ts.{name} takes one list, got {1 + len(others)} arguments: write ts.{name}([a, b])")
    if isinstance(values, Value) or not hasattr(values, "__iter__") or getattr(values, "shape", True) == ():
        raise TypeError(f"{name} expected a list of Values or numbers, got {shown(values)}")
    listed = []
    for value in values:
        # type() first: while vectorize watches which functions are called, a call of isinstance takes 0.2 µs
        number = value if type(value) is Value or isinstance(value, Value) else as_float(value)
        if number is None:
            raise TypeError(f"{name} expected a list of Values or numbers, got one with {shown(value)} in it")
        listed.append(number)
    return listed

"""The operations of a list: Σ and its kin, one node however many operands there are.

Their number is part of the name, as a power's exponent is: `sum(3)` adds three. What many operands print as is cut
short by an ellipsis. `vectorize` reads such a node as what it is made of: a chain of +, products, a chain of maximum
(`expanded` in graph_arrays.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from typing import Any, overload

from tinygrad_scalar.engine import recorded
from tinygrad_scalar.engine.elementary import divide, maximum, minimum
from tinygrad_scalar.engine.exponentials import (
    exact_log_of_sum,
    exp_of_difference,
    log_of_one_more,
    one_more,
    pair_of_difference,
    quotient,
    rest_of_powers,
    sum_exp_below,
)
from tinygrad_scalar.engine.operation import Operation

Floats = tuple[float, ...]
MOST_SHOWN = 5  # operands, or products of dot, that are all printed; of more, the first two and the last


# --- what they compute ------------------------------------------------------------------------------------------------


def total(*x: float) -> float:
    """Added from left to right, as a chain of + is."""
    return _summed(x)


def _summed(terms: Iterable[float]) -> float:
    first, *rest = terms
    for term in rest:  # not sum(): since Python 3.12 it rounds in another way
        first = first + term
    return first


def total_slopes(v: float, *x: float) -> Floats:
    return (1.0,) * len(x)


def mean(*x: float) -> float:
    return _summed(x) / len(x)


def mean_slopes(v: float, *x: float) -> Floats:
    return (1.0 / len(x),) * len(x)


def dot(*x: float) -> float:
    """Σ aᵢ·bᵢ, where x is all of a and then all of b."""
    half = len(x) // 2
    return _summed(a * b for a, b in zip(x[:half], x[half:]))


def dot_slopes(v: float, *x: float) -> Floats:
    half = len(x) // 2
    return x[half:] + x[:half]


def _compensated(terms: Iterable[float]) -> float:
    """A sum of terms ≥ 0 with the digits that adding them one by one would lose (Neumaier)."""
    found = lost = 0.0
    for term in terms:
        new = found + term
        lost += (found - new) + term if found >= term else (term - new) + found
        found = new
    return found + lost


def _root_of_squares(x: Sequence[float]) -> tuple[float, int]:
    """r and e, with which the norm is r·2ᵉ: squares that would overflow or underflow are those of scaled numbers."""
    most = largest(*map(abs, x))
    if most == 0.0 or not math.isfinite(most):
        return most, 0
    e = 0 if 1e-140 < most < 1e140 else math.frexp(most)[1]
    numbers = x if e == 0 else [math.ldexp(number, -e) for number in x]
    squares = [number * number for number in numbers]
    lost = 0.0
    for number, square in zip(numbers, squares):
        lost += _lost_in_square(number, square)
    return math.sqrt(_compensated(squares) + lost), e


def _lost_in_square(x: float, square: float) -> float:
    """x² − square, exactly, by Dekker's split."""
    high = 134217729.0 * x
    high -= high - x
    low = x - high
    return ((high * high - square) + 2.0 * high * low) + low * low


def norm(*x: float) -> float:
    root, e = _root_of_squares(x)
    try:
        return math.ldexp(root, e)
    except OverflowError:
        return math.inf


def norm_slopes(v: float, *x: float) -> Floats:
    """xᵢ/v; of the zero vector nan, as in JAX."""
    root, e = _root_of_squares(x)
    return tuple([divide(number if e == 0 else math.ldexp(number, -e), root) for number in x])


def largest(*x: float) -> float:
    found = x[0]
    for number in x[1:]:
        found = maximum(found, number)
    return found


def smallest(*x: float) -> float:
    found = x[0]
    for number in x[1:]:
        found = minimum(found, number)
    return found


def extreme_slopes(v: float, *x: float) -> Floats:
    """1/k for each of the k operands that are equal to the largest or smallest, as in JAX; 0 where that is nan."""
    if len(x) == 1:
        return (1.0,)
    ties = [number == v for number in x]
    k = ties.count(True)
    return tuple([1.0 / k if is_tie else 0.0 for is_tie in ties])


def log_sum_exp(*x: float) -> float:
    """log Σ exp(xᵢ), without overflow, and with its digits where the largest and the rest cancel."""
    most = largest(*x)
    if len(x) == 1 or not math.isfinite(most):
        return most
    rest, lost = rest_of_powers(x, most)
    above, more = log_of_one_more(rest, lost)
    found = most + above
    shift = found - most
    found += ((most - (found - shift)) + (above - shift)) + more
    if most < 0.0 and abs(found) < (2.0 * above if rest < 0.0625 else 0.03125):
        return exact_log_of_sum(x)
    return found


def log_sum_exp_slopes(v: float, *x: float) -> Floats:
    """exp(xᵢ)/Σ exp(xⱼ); of infinities those of a chain of logaddexp: of +∞ 1, of −∞ 0."""
    most = largest(*x)
    if len(x) == 1:
        return (1.0,)
    if not math.isfinite(most):
        return tuple([most if most != most else 1.0 if number == math.inf else 0.0 for number in x])
    total = one_more(*rest_of_powers(x, most))
    return tuple([quotient(*pair_of_difference(number, most), *total) for number in x])


def log_sum_exp_below(*x: float) -> float:
    """log Σ exp(xᵢ − y), where y comes last and is the largest x: there log_sum_exp(…) − y has lost its digits."""
    *numbers, y = x
    most = largest(*numbers)
    if not math.isfinite(most):
        return most - y
    found, more = log_of_one_more(*rest_of_powers(numbers, most))
    return (most - y) + (found + more)


def log_sum_exp_below_slopes(v: float, *x: float) -> Floats:
    return (*log_sum_exp_slopes(v, *x[:-1]), -1.0)


def sum_exp_slopes(v: float, *x: float) -> Floats:
    return (*[exp_of_difference(number, x[-1]) for number in x[:-1]], -v)


def no_slopes(v: float, *x: float) -> Floats:
    return (0.0,) * len(x)


# --- their derivatives as Values: functions of the result v and the operands x that give, for each operand, (u, v) ->
# u·∂v/∂operand. What these have in common is recorded once.

Vjps = Sequence[Callable[[Any, Any], Any] | None]


def _recorded_total(v: Any, x: Sequence[Any]) -> Vjps:
    return [lambda u, v: u] * len(x)


def _recorded_mean(v: Any, x: Sequence[Any]) -> Vjps:
    share = 1.0 / len(x)
    return [lambda u, v: u * share] * len(x)


def _recorded_dot(v: Any, x: Sequence[Any]) -> Vjps:
    half = len(x) // 2
    return [partial(_times, factor) for factor in (*x[half:], *x[:half])]


def _times(factor: Any, u: Any, v: Any) -> Any:
    return u * factor


def _recorded_norm(v: Any, x: Sequence[Any]) -> Vjps:
    return [partial(_times_quotient, number) for number in x]


def _times_quotient(number: Any, u: Any, v: Any) -> Any:
    return u * (number / v)


def _recorded_max(v: Any, x: Sequence[Any]) -> Vjps:
    return _recorded_shares(v, x, lambda number: recorded.greater_equal(number, v))


def _recorded_min(v: Any, x: Sequence[Any]) -> Vjps:
    return _recorded_shares(v, x, lambda number: recorded.greater_equal(v, number))


def _recorded_shares(v: Any, x: Sequence[Any], is_extreme: Callable[[Any], Any]) -> Vjps:
    """u/k for each of the k numbers that are extreme, 0 for all others."""
    if len(x) == 1:
        return _recorded_total(v, x)
    ties = [is_extreme(number) for number in x]
    share = 1.0 / v._recorded(f"sum({len(x)})", *ties)
    shared: dict[Any, Any] = {}  # u·share, once for all numbers

    def vjp(tie: Any, u: Any, v: Any) -> Any:
        if u not in shared:
            shared[u] = u * share
        return recorded.where(tie, shared[u], 0.0)

    return [partial(vjp, tie) for tie in ties]


def _recorded_sum_exp(v: Any, x: Sequence[Any]) -> Vjps:
    *numbers, y = x
    powers = [number._recorded("exp of difference", number, y) for number in numbers]
    return [*[partial(_times, power) for power in powers], lambda u, v: -(u * v)]


def _recorded_softmax(v: Any, x: Sequence[Any]) -> Vjps:
    if len(x) == 1:
        return _recorded_total(v, x)
    infinite = recorded.greater_equal(abs(v), math.inf)
    at_infinity = [recorded.greater_equal(number, math.inf) for number in x]
    near = v._recorded("floor", v)  # no gradient goes to it, and exp(xᵢ − near) is at most e
    total = v._recorded(f"sumexp_below({len(x) + 1})", *x, near)
    shares = [number._recorded("share", number, near, total) for number in x]
    return [partial(_times, recorded.where(infinite, at, share)) for at, share in zip(at_infinity, shares)]


def _recorded_below(v: Any, x: Sequence[Any]) -> Vjps:
    *numbers, y = x
    total = v._recorded(f"sumexp_below({len(x)})", *x)
    return [*[partial(_times, number._recorded("share", number, y, total)) for number in numbers], lambda u, v: -u]


# --- how they print ---------------------------------------------------------------------------------------------------


class _Texts(Sequence[str]):
    """A text for each operand, made when it is read: there can be a million."""

    def __init__(self, n: int, text: Callable[[int], str]) -> None:
        self._n, self._text = n, text

    def __len__(self) -> int:
        return self._n

    @overload
    def __getitem__(self, i: int) -> str: ...
    @overload
    def __getitem__(self, i: slice) -> list[str]: ...
    def __getitem__(self, i: int | slice) -> str | list[str]:
        if isinstance(i, slice):
            return [self._text(k) for k in range(self._n)[i]]
        return self._text(range(self._n)[i])


def _listed(n: int, term: Callable[[int], str], between: str = ", ") -> str:
    if n <= MOST_SHOWN:
        return between.join(map(term, range(n)))
    return between.join([term(0), term(1), "…", term(n - 1)])


def _operand(i: int) -> str:
    return f"{{{i}}}"


def _sum(n: int) -> Operation:
    text = _listed(n, _operand, " + ") if n > 1 else "sum({0})"
    return Operation("", "Σ", text, "", total, total_slopes, _Texts(n, lambda i: "1"), vjps_of_list=_recorded_total)


def _mean(n: int) -> Operation:
    text = f"({_listed(n, _operand, ' + ')})/{n}" if n > 1 else "mean({0})"
    return Operation(
        "", "mean", text, "", mean, mean_slopes, _Texts(n, lambda i: f"1/{n}"), vjps_of_list=_recorded_mean
    )


def _dot(n: int) -> Operation:
    half = n // 2
    return Operation(
        "", "a·b", _listed(half, lambda i: f"{{{i}}}·{{{half + i}}}", " + "), "",
        dot, dot_slopes, _Texts(n, lambda i: _operand((i + half) % n)),
        vjps_of_list=_recorded_dot,
    )  # fmt: skip


def _norm(n: int) -> Operation:
    text = f"√({_listed(n, lambda i: f'{{{i}}}²', ' + ')})"
    return Operation(
        "", "‖x‖", text, "", norm, norm_slopes, _Texts(n, lambda i: f"{{{i}}}/{text}"), vjps_of_list=_recorded_norm
    )


def _max(n: int) -> Operation:
    text = f"max({_listed(n, _operand)})"
    slopes = _Texts(n, lambda i: f"[{{{i}}} = {text}]")
    return Operation("", "max", text, "", largest, extreme_slopes, slopes, piecewise=True, vjps_of_list=_recorded_max)


def _largest(n: int) -> Operation:
    """The same as a constant: what a softmax subtracts, as its derivative in that is 0 altogether."""
    return _max(n)._replace(
        local_grads=no_slopes, slopes=_Texts(n, lambda i: "0"), detached=range(n), vjps_of_list=lambda v, x: [None] * n
    )


def _min(n: int) -> Operation:
    text = f"min({_listed(n, _operand)})"
    slopes = _Texts(n, lambda i: f"[{{{i}}} = {text}]")
    return Operation("", "min", text, "", smallest, extreme_slopes, slopes, piecewise=True, vjps_of_list=_recorded_min)


def _logsumexp(n: int) -> Operation:
    powers = _listed(n, lambda i: f"exp({{{i}}})", " + ")
    slopes = _Texts(n, lambda i: f"exp({{{i}}})/({powers})")
    return Operation(
        "", "log Σ exp", f"log({powers})", "", log_sum_exp, log_sum_exp_slopes, slopes, vjps_of_list=_recorded_softmax
    )


def _sumexp_below(n: int) -> Operation:
    text = _listed(n - 1, lambda i: f"exp({{{i}}} − {{{n - 1}}})", " + ")
    slopes = _Texts(n, lambda i: f"−({text})" if i == n - 1 else f"exp({{{i}}} − {{{n - 1}}})")
    return Operation("", "Σ exp", text, "", sum_exp_below, sum_exp_slopes, slopes, vjps_of_list=_recorded_sum_exp)


def _logsumexp_below(n: int) -> Operation:
    powers = _listed(n - 1, lambda i: f"exp({{{i}}} − {{{n - 1}}})", " + ")
    slopes = _Texts(n, lambda i: "−1" if i == n - 1 else f"exp({{{i}}} − {{{n - 1}}})/({powers})")
    return Operation(
        "", "log Σ exp", f"log({powers})", "", log_sum_exp_below, log_sum_exp_below_slopes, slopes,
        vjps_of_list=_recorded_below,
    )  # fmt: skip


ALSO_OF_ARRAYS = (total, total_slopes, mean, mean_slopes, dot, dot_slopes)  # they compute with arrays as with numbers
OF_LISTS: dict[str, Callable[[int], Operation]] = {
    "sum": _sum, "mean": _mean, "dot": _dot, "norm": _norm, "max": _max, "min": _min, "largest": _largest,
    "logsumexp": _logsumexp, "sumexp_below": _sumexp_below, "logsumexp_below": _logsumexp_below,
}  # fmt: skip


@lru_cache(maxsize=1024)
def of_list(family: str, n: int) -> Operation:
    """The operation `family` of n operands.

    >>> of_list("sum", 3).text, of_list("max", 7).text, of_list("dot", 4).text
    ('{0} + {1} + {2}', 'max({0}, {1}, …, {6})', '{0}·{2} + {1}·{3}')
    """
    if n < 1 or (family == "dot" and n % 2) or (family in ("sumexp_below", "logsumexp_below") and n < 2):
        raise ValueError(f"{family} has no form with {n} operands")
    return OF_LISTS[family](n)._replace(name=f"{family}({n})", family=f"{family}(n)", constant=float(n))


def named(name: str) -> Operation | None:
    """The operation of that name, if it is one of a list.

    >>> named("sum(3)").forward(1.0, 2.0, 4.0), named("sigmoid")
    (7.0, None)
    """
    family, _, rest = name.partition("(")
    n = rest[:-1]
    if family in OF_LISTS and rest.endswith(")") and n.isdecimal() and n.isascii() and int(n) > 0:
        return of_list(family, int(n))
    return None

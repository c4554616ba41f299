"""Functions of Values for the derivatives in rows.py, which stand below Value: where, >, ≥ and what is made of them.

An upstream gradient u can also be a plain number.
"""

from __future__ import annotations

from typing import Any


def where(condition: Any, x: Any, y: Any) -> Any:
    return condition._recorded("where", condition, x, y)


def cond(condition: Any, x: Any, y: Any) -> Any:
    return condition._recorded("cond", condition, x, y)


def greater(x: Any, y: Any) -> Any:
    return x._recorded("greater", x, y)


def greater_equal(x: Any, y: Any) -> Any:
    return x._recorded("greater_equal", x, y)


def larger_share(u: Any, x: Any, y: Any) -> Any:
    """u where x > y, half of it where they are equal, else 0: what x gets of the gradient of max(x, y)."""
    return where(greater(x, y), u, where(greater_equal(x, y), 0.5 * u, 0.0))


def logaddexp_share(x: Any, y: Any) -> Any:
    """σ(x − y), what x gets of the gradient of log(exp(x) + exp(y))."""
    return x._recorded("σ of difference", x, y)


def sigmoid_slope(x: Any) -> Any:
    return x._recorded("sigmoid slope", x)


def tanh_slope(x: Any) -> Any:
    return x._recorded("tanh slope", x)


def one_minus_square(x: Any) -> Any:
    return x._recorded("one minus square", x)


def hypot(x: Any, y: Any) -> Any:
    return x._recorded("hypot", x, y)


def cosine(x: Any, y: Any) -> Any:
    """x/hypot(x, y)."""
    return x._recorded("cosine", x, y)


def normal_cdf(x: Any) -> Any:
    return x._recorded("normal cdf", x)

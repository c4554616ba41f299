"""Functions of Values for the derivatives in rows.py, which stand below Value: where, >, ≥ and what is made of them.

An upstream gradient u can also be a plain number.
"""

from __future__ import annotations

import math
from typing import Any

DENSITY_AT_0 = 1.0 / math.sqrt(2.0 * math.pi)


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


def logaddexp_share_slope(share: Any, x: Any, y: Any) -> Any:
    """σ(x − y)·σ(y − x); 0 where both are +∞, of which each has the share 1."""
    other = logaddexp_share(y, x)
    return where(greater(share + other, 1.5), 0.0, share * other)


def sigmoid_slope(x: Any) -> Any:
    return x._recorded("sigmoid slope", x)


def tanh_slope(x: Any) -> Any:
    return x._recorded("tanh slope", x)


def one_minus_square(x: Any) -> Any:
    return x._recorded("one minus square", x)


def hypot(x: Any, y: Any) -> Any:
    return x._recorded("hypot", x, y)


def distance(x: Any, y: Any) -> Any:
    """hypot(x, y) to divide by: ∞ instead of 0, so that slopes at the origin are 0."""
    h = hypot(x, y)
    return where(greater(h, 0.0), h, math.inf)


def atan2_slope(x: Any, y: Any) -> Any:
    """x/(x² + y²); x can also be a plain number."""
    return y._recorded("atan2 slope", x, y)


def cosine(x: Any, y: Any) -> Any:
    """x/hypot(x, y)."""
    return x._recorded("cosine", x, y)


def normal_cdf(x: Any) -> Any:
    return x._recorded("normal cdf", x)


def density(x: Any) -> Any:
    """exp(−x²/2)/√(2π), with an exponent that is bounded, so that all derivatives vanish where x² overflows."""
    square = x * x
    bounded = where(greater(square, 1600.0), 1600.0, square)
    return DENSITY_AT_0 * (-0.5 * bounded).exp()

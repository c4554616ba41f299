"""`Operation`: what one row of the table of operations holds. The rows are in rows.py and ops.py."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple


class Operation(NamedTuple):
    """One primitive operation.

    name        the name in `Value.op`
    symbol      the short sign in a picture
    text        how it prints, with `{0}`, `{1}` and so on for its operands
    expression  the same in SymPy's syntax, with operands x; x and y; or c, x and y
    forward     operands' data -> data
    local_grads data, operands' data -> (∂data/∂operand, …) in the operands' order
    slopes      how the local gradients print, one text for each operand; if empty, as ∂v/∂x
    family      for an operation with a constant, the name without it: "**n" or "leaky_relu"
    constant    that constant, such as n of x**n
    steepest    the largest slope of an activation that saturates
    piecewise   whether a slope of 0 means that the result does not depend on the operand: relu below 0, the smaller
                operand of maximum; any other 0 is a number
    detached    the operands of a piecewise operation that only decide, and have the slope 0: to them, and to what is
                computed for them alone, no gradient goes
    companions  the operands that the one before is computed from, there only to keep its digits; where no gradient goes
                through them, readers leave them out
    vjps        for each operand (u, data, operands) -> u·∂data/∂operand, all Values: how derivatives are recorded; None
                for a detached operand. Linear in u, so that forward mode takes the operand's tangent for u. A piecewise
                operation gives where(…, u, 0), never u·0, which is nan if u is infinite
    companion_vjps  those for which the gradient goes to the companion instead of the operand before it
    vjps_of_list  instead of vjps, for an operation of a list: (data, operands) -> for each operand (u, data) -> …
    primitive   the user's function that it was made from, by which pickles refer to it
    """

    name: str
    symbol: str
    text: str
    expression: str
    forward: Callable[..., float]
    local_grads: Callable[..., tuple[float, ...]]
    slopes: Sequence[str] = ()
    family: str = ""
    constant: float | None = None
    steepest: float | None = None
    piecewise: bool = False
    detached: Sequence[int] = ()
    companions: tuple[int, ...] = ()
    vjps: tuple[Callable[..., Any] | None, ...] = ()
    companion_vjps: tuple[Callable[..., Any] | None, ...] = ()
    vjps_of_list: Callable[[Any, Sequence[Any]], Sequence[Callable[..., Any] | None]] | None = None
    primitive: Any = None

    @property
    def arity(self) -> int:
        """How many operands it takes; the text can name one twice.

        >>> Operation("softsign", "softsign", "{0}/(1 + |{0}|)", "", lambda x: x, lambda v, x: (1.0,)).arity
        1
        """
        return len(self.slopes) or _arity(self.text)


@lru_cache(maxsize=1024)
def places(text: str) -> tuple[int, ...]:
    """The operands that a text names.

    >>> places("{0} + {1} + … + {41}")
    (0, 1, 41)
    """
    return tuple(sorted(map(int, set(re.findall(r"\{(\d+)\}", text)))))


@lru_cache(maxsize=1024)
def _arity(text: str) -> int:
    return sum(f"{{{i}}}" in text for i in range(text.count("{")))

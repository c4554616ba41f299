"""`gradient`: the gradients of a graph as Values, to be differentiated, drawn, explained and vectorized again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import overload

from tinygrad_scalar.engine import Value, gradients, tick
from tinygrad_scalar.engine.errors import shown


@overload
def gradient(C: Value, wrt: Value) -> Value: ...
@overload
def gradient(C: Value, wrt: Iterable[Value]) -> list[Value]: ...
def gradient(C: Value, wrt: Value | Iterable[Value]) -> Value | list[Value]:
    """∂C/∂x for each Value x of `wrt`, as Values: a list of them, or one if `wrt` is one Value.

    They are computed from the same leaves as C, so that they can be differentiated again, drawn, explained and
    recomputed by `forward()`. No `.grad` changes. `wrt` can hold computed Values too, such as z or a. Where C does not
    depend on x, its gradient is a Value of 0.

    A TypeError if C or one of `wrt` is not a Value; a StaleGraphError if a leaf was set after C was computed. The
    formula is the chain rule, 000 Eq. 3 and 8, summed over paths as in 000's multi-node section.

    >>> x = Value(2.0, "x")
    >>> slope = gradient(x**3, x)
    >>> curvature = gradient(slope, x)
    >>> slope.data, curvature.data, x.grad
    (12.0, 12.0, 0.0)
    """
    if not isinstance(C, Value):
        instead = ": use grad(f)" if callable(C) else ": use jacobian" if isinstance(C, (list, tuple)) else ""
        raise TypeError(f"gradient expected a Value to differentiate, got {shown(C)}{instead}")
    if not isinstance(wrt, (Value, Iterable)):
        instead = ": give its .parameters()" if hasattr(wrt, "parameters") else ""
        raise TypeError(f"gradient expected a Value or a list of Values to differentiate by, got {shown(wrt)}{instead}")
    if isinstance(wrt, Mapping):
        raise TypeError(
            f"gradient expected a Value or a list of Values, got {shown(wrt)}: use list(….values()), or grad"
        )
    values = [wrt] if isinstance(wrt, Value) else list(wrt)
    for value in values:
        if not isinstance(value, Value):
            flat = ": make it one flat list" if isinstance(value, Iterable) and not isinstance(value, str) else ""
            raise TypeError(f"gradient can differentiate only by Values, got {shown(value)}{flat}")
    tick()  # the next walk, from what is computed after this one, leaves out what came before
    found = [Value(slope) if isinstance(slope, float) else slope for slope in gradients(C, values)]
    return found[0] if isinstance(wrt, Value) else found

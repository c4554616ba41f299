"""The trial of a derivative: at numbers where the function is finite it must agree with the nudge (001).

Kinks, edges of the domain and rounding are judged as `check_gradients` does, so that they are no false alarms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tinygrad_scalar.engine import Value, record
from tinygrad_scalar.engine.ops import Operation, operation
from tinygrad_scalar.inspection.finite_differences import NudgedGraph
from tinygrad_scalar.inspection.judgement import is_plainly, judged
from tinygrad_scalar.inspection.notation import written
from tinygrad_scalar.primitives.points import NUMBERS, points
from tinygrad_scalar.primitives.spelling import OF_A_ROW

ENOUGH = 16  # points where the function is finite
OUTSIDE = (ArithmeticError, ValueError)  # what functions raise outside of their domain


def usable_points(row: Operation) -> list[tuple[float, ...]]:
    """Points at which the function and its derivative are finite.

    ValueError if there are none; a TypeError that the function always raises comes through.
    """
    found: list[tuple[float, ...]] = []
    finite = 0
    failed: Exception | None = None
    for point in points(row.arity):
        try:
            data = row.forward(*point)
            if not math.isfinite(data):
                continue
        except OUTSIDE as error:
            failed = failed if isinstance(failed, TypeError) else error
            continue
        except TypeError as error:  # (−0.37)**0.5 is complex
            failed = error
            continue
        finite += 1
        try:
            slopes = row.local_grads(data, *point)
        except OUTSIDE:
            continue
        if all(map(math.isfinite, slopes)):
            found.append(point)
        if len(found) == ENOUGH:
            break
    if found:
        return found
    if isinstance(failed, TypeError) and not finite:
        raise failed
    what = "its derivative is" if finite else "it is"
    why = f" (it raised {type(failed).__name__}: {failed})" if failed is not None and not finite else ""
    raise ValueError(
        f"{row.primitive.__name__} cannot be compared with the nudge: {what} finite at none of the numbers tried, "
        f"which go up to ±{written(max(NUMBERS))}{why}; check=False registers it as it is"
    )


def require_agreement(row: Operation, operands: Sequence[str]) -> list[tuple[float, ...]]:
    """ValueError if a derivative is not the limit of the function's difference quotients; the points compared at."""
    tried = usable_points(row)
    for point in tried:
        leaves = [Value(number, name) for number, name in zip(point, operands)]
        root = record(row.name, *leaves)
        graph = None
        for leaf, slope, name in zip(leaves, root.local_grads, operands):
            if is_plainly(slope, root, leaf):
                continue
            graph = graph or NudgedGraph(root, "primitive", {})
            found = judged(graph, graph.along(leaf))
            if not found.ok and not _is_noise(root, leaf, slope):
                what = f"the derivative of {row.primitive.__name__}"
                what += f" with respect to {name}" if len(operands) > 1 else ""
                at = ", ".join(f"{name} = {written(number)}" for name, number in zip(operands, point))
                raise ValueError(
                    f"{what} disagrees with the nudge: at {at} it is {written(slope)}, but difference quotients tend "
                    f"to {written(found.difference)}. Correct it, or if it is meant to differ, as in a "
                    "straight-through estimator, pass check=False"
                )
    return tried


def _is_noise(root: Value, leaf: Value, slope: float) -> bool:
    """Whether the function is rougher than float64, such as one in float32, and `slope` is right as far as one sees."""
    import struct

    forward, a = operation(root.op).forward, leaf.data

    def f(x: float) -> float:
        return forward(*[x if operand is leaf else operand.data for operand in root.operands])

    try:
        near = [f(a + k * abs(a) * 2.0**-20) for k in range(-8, 9)]
        quotients = [(f(a + h) - f(a - h)) / (2.0 * h) for h in (abs(a) / 16.0, abs(a) / 32.0)]
        in_float32 = all(struct.unpack("f", struct.pack("f", number))[0] == number for number in near)
    except (*OUTSIDE, TypeError):
        return False
    noise = max(abs(left - 2.0 * middle + right) for left, middle, right in zip(near, near[1:], near[2:]))
    if in_float32:
        noise = max(noise, abs(root.data) * 2.0**-23)
    if noise <= 64.0 * math.ulp(root.data):
        return False
    coarse, fine = quotients
    allowed = 320.0 * noise / abs(a) + 0.1 * abs(fine - coarse) + 1e-3 * abs(slope)
    return abs((4.0 * fine - coarse) / 3.0 - slope) <= allowed


def require_expression(row: Operation, tried: Sequence[tuple[float, ...]]) -> None:
    """ValueError if the expression is another function."""
    import sympy

    symbols = sympy.symbols(" ".join(OF_A_ROW[row.arity]), seq=True)
    called = dict(zip(OF_A_ROW[row.arity], symbols))
    try:
        found: Any = sympy.sympify(row.expression, locals=called)  # pyright: ignore[reportCallIssue]
    except (TypeError, ValueError) as error:
        syntax = "expression must be in SymPy's syntax, such as 'x*exp(-x)'"
        raise ValueError(f"{syntax}, got {row.expression}: {error}") from None
    for point in tried:
        try:
            number = complex(found.evalf(subs=dict(zip(symbols, point))))
        except (TypeError, AttributeError):  # it is no expression for a number, such as x > 0
            number = complex(math.nan)
        wanted = row.forward(*point)
        if not abs(number - wanted) <= 1e-6 * max(abs(wanted), abs(number)):
            name = row.primitive.__name__
            raise ValueError(
                f"the expression {row.expression} is not {name}: at {', '.join(map(written, point))} it is "
                f"{written(number.real)}, but {name} is {written(wanted)}"
            )

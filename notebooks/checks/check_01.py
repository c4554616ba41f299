"""The checks of the exercises in notebook 01."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import tinygrad_scalar as ts
from tinygrad_scalar.notebooks.checks.answers import as_number


def exercise_1(slope: Any) -> None:
    number = as_number(slope)
    if slope is ...:
        print("Not answered yet: put your number in place of the dots, and run both cells again.")
    elif math.isnan(number):
        print(f"Not yet: the answer is a number, not {slope!r}.")
    elif math.isclose(number, 25.0, abs_tol=1e-3):
        print("Right: 3·(−3)² − 2 = 25.")
    elif math.isclose(number, -21.0, abs_tol=1e-3):
        print("Not yet: −21 is f(−3) itself, how high the curve is there. How steep is it?")
    else:
        print(f"Not yet: you have {slope}. The slope of x³ is 3x², also where x is negative.")


def exercise_2(central: Any) -> None:
    def one_sided(f: Callable[[float], float], a: float, h: float) -> float:
        return (f(a + h) - f(a)) / h

    def cube(x: float) -> float:
        return x**3

    try:
        found, of_cube = central(math.exp, 0.0, 1e-3), central(cube, 2.0, 1e-3)
    except Exception as error:
        print(f"Not yet: central raises {type(error).__name__}: {error}.")
    else:
        if found is None or found is ...:
            print("Not answered yet: let central return the slope.")
        elif math.isnan(as_number(found)):
            print(f"Not yet: the slope is a number, not {found!r}.")
        elif abs(as_number(found) - 1.0) > 1e-6:
            print(f"Not yet: the slope of eˣ at 0 is 1, central finds {as_number(found):.6f} with h = 0.001.")
            if abs(as_number(found) - 2.0) < 1e-3:
                print("From a − h to a + h is a way of 2h.")
            elif abs(as_number(found)) < 1e-5:
                print("Python divides by 2 and then multiplies by h, unless 2 * h stands in parentheses.")
            elif any(abs(as_number(found) - one_sided(math.exp, 0.0, h)) < 1e-9 for h in (1e-3, -1e-3)):
                print("That is close, but it looks to one side only.")
        elif not abs(as_number(of_cube) - 12.0) < 1e-5:
            print(f"Not yet: right for eˣ at 0, but the slope of x³ at 2 is 12; central finds {of_cube!r}.")
        else:
            off, of_one_sided = abs(as_number(found) - 1.0), abs(one_sided(math.exp, 0.0, 1e-3) - 1.0)
            print(f"Right: its error for eˣ at 0 is {off:.0e}; to one side it is {of_one_sided:.0e}.")


def exercise_3(inner_slope: Any, outer_slope: Any) -> None:
    w = ts.Value(0.5, "w")
    z = 2 * w + 1
    z.sigmoid().backward()
    answers = (outer_slope, inner_slope)
    of_outer, of_inner = map(as_number, answers)
    if any(answer is ... for answer in answers):
        print("Not answered yet: put your two numbers in place of the dots.")
    elif math.isnan(of_outer) or math.isnan(of_inner):
        print(f"Not yet: both are numbers, not {answers}.")
    elif abs(of_inner - 2) > 1e-3:
        print(f"Not yet: the inner function is 2w + 1; nudge w by 0.01 and it moves by 0.02. You have {inner_slope}.")
    elif 2e-4 < abs(of_outer - z.grad) < 0.01:
        print(f"Not yet: {outer_slope} is close. Take a smaller nudge, or more digits.")
    elif abs(of_outer - z.grad) > 1e-3:
        print(f"Not yet: the outer slope is taken at z = 2·0.5 + 1 = 2, not at w. You have {outer_slope}.")
    else:
        print(f"Right: {of_outer:.4f} · {of_inner:g} = {of_outer * of_inner:.4f}; backward() gives {w.grad:.4f}.")

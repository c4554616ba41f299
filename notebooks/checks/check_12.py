"""The checks of the exercises in notebook 12."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_scalar.notebooks.checks.answers import as_number


def exercise_1(largest_alpha: Any) -> None:
    found = as_number(largest_alpha)
    if largest_alpha is ...:
        print("Not answered yet: put your number in place of the dots.")
    elif math.isnan(found):
        print(f"Not yet: the answer is a number, not {largest_alpha!r}.")
    elif math.isclose(found, 2 / 9, rel_tol=1e-3):
        print("Right: the curvature at 0 is 9, and 2 divided by it is 0.222.")
    elif math.isclose(found, 2 / 3, rel_tol=1e-3):
        print("Not yet: each of the two derivatives brings a 3 out of 3w.")
    else:
        print(f"Not yet: with α = {largest_alpha} a step multiplies a small distance by {1 - 9 * found:g}.")
        print("At the limit it jumps from w to −w and back.")


def exercise_2(border: Any) -> None:
    found = as_number(border)
    if border is ...:
        print("Not answered yet: put your number in place of the dots.")
    elif math.isnan(found):
        print(f"Not yet: the answer is a number, not {border!r}.")
    elif abs(found + math.log(2.0)) < 0.006:
        print("Right: there σ(z) is ⅓. Below it the cost is a hilltop.")
    elif abs(found - math.log(2.0)) < 0.006:
        print("Not yet: that is the border for y = 0. With y = 1, on which side is the node very wrong?")
    else:
        s = 1 / (1 + math.exp(-max(-700.0, min(700.0, found))))
        sign = "positive" if 3 * s > 1 else "negative"
        print(f"Not yet: at z = {border} K is {sign}, and so it is a little to either side.")
        print("Which way does it get smaller?")


def exercise_3(after_one_step: Any) -> None:
    found = as_number(after_one_step)
    if after_one_step is ...:
        print("Not answered yet: put your number in place of the dots.")
    elif math.isnan(found):
        print(f"Not yet: the answer is a number, not {after_one_step!r}.")
    elif math.isclose(found, -1.25, abs_tol=1e-9):
        print("Right: to the left, up to the hilltop and past it.")
    elif math.isclose(found, 0.25, abs_tol=1e-9):
        print("Not yet: that is the step downhill. What is the sign of the curvature at −0.5?")
    else:
        print("Not yet: the step is minus the slope, −2.25, divided by the curvature there.")
        print(f"You end at {after_one_step}.")

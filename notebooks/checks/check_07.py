"""The checks of the exercises in notebook 07."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_scalar.notebooks.checks.answers import as_number


def exercise_1(tanh_slope: Any) -> None:
    try:
        answers = [tanh_slope(z) for z in (0.0, 0.5, -2.0)]
    except Exception as error:
        print(f"Not yet: calling tanh_slope raises {type(error).__name__}: {error}.")
    else:
        found = [as_number(answer) for answer in answers]
        wanted = [1 - math.tanh(z) ** 2 for z in (0.0, 0.5, -2.0)]
        if all(answer is None or answer is ... for answer in answers):
            print("Not answered yet: let tanh_slope return the slope at z.")
        elif any(map(math.isnan, found)):
            print(f"Not yet: a slope is a number, not {answers[0]!r}.")
        elif np.allclose(found, wanted, rtol=0, atol=1e-9):
            print(f"Right: at 0.5 it is {found[1]:.6f}; at 0 it is 1, four times the sigmoid's.")
        elif math.isclose(found[0], 0.5):
            print("Not yet: at 0 you have 0.5. There are two factors 2: one outside of σ, one inside.")
        elif math.isclose(found[0], 1.0):
            print(f"Not yet: at 0 it fits, at 0.5 you have {found[1]:.6f}.")
            print("At which number is the slope of σ to be taken?")
        else:
            print(f"Not yet: at 0 tanh climbs at 45 degrees: the slope is 1. You have {found[0]:g}.")


def exercise_2(chain: Any, weight: Any) -> None:
    found = as_number(weight)
    if weight is ...:
        print("Not answered yet: put your number in place of the dots.")
    elif not math.isfinite(found):
        print(f"Not yet: the answer is a finite number, not {weight!r}.")
    elif math.isclose(found, 4.0, rel_tol=1e-9):
        balanced, its_weights = chain("sigmoid", 50, 4.0, bias=-2.0, x=0.5)
        balanced.backward()
        first, last = its_weights[0].grad, its_weights[-1].grad
        print(f"Right: 4 · ¼ = 1. Of 50 weights the last gets {last:.3f}, the first {first:.3f}.")
    else:
        print(f"Not yet: σ′(0) = ¼, so with w = {found:g} each layer multiplies by {found / 4:g}.")


def exercise_3(standardise: Any) -> None:
    try:
        found = standardise([10.0, 20.0, 60.0])
        numbers = None if found is None or found is ... else np.array(found, dtype=float)
    except Exception as error:
        print(f"Not yet: standardise([10.0, 20.0, 60.0]) raises {type(error).__name__}: {error}.")
    else:
        if numbers is None:
            print("Not answered yet: let standardise return the list of standardised numbers.")
        elif numbers.shape != (3,):
            print(f"Not yet: of three numbers it makes {found!r}; three are wanted.")
        elif abs(numbers.mean()) > 1e-9:
            print(f"Not yet: the mean of your numbers is {numbers.mean():.3f}; wanted is 0.")
        elif not abs(numbers.std() - 1) < 1e-9:
            print(f"Not yet: the mean is 0, but the standard deviation {numbers.std():.3f}, not 1.")
        elif not numbers[0] < numbers[1] < numbers[2]:
            print(f"Not yet: mean and deviation fit, but the order is changed: {np.round(numbers, 3)}.")
        else:
            print(f"Right: [10, 20, 60] becomes {[round(float(x), 3) for x in numbers]}.")

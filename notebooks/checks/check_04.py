"""The checks of the exercises in notebook 04."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import tinygrad_scalar as ts
from tinygrad_scalar.notebooks.checks.answers import as_number


def exercise_1(best_for_mae: Any, best_for_mse: Any) -> None:
    answers = (best_for_mse, best_for_mae)
    mse, mae = map(as_number, answers)
    if any(answer is ... for answer in answers):
        print("Not answered yet: put your two numbers in place of the dots.")
    elif math.isnan(mse) or math.isnan(mae):
        print(f"Not yet: both are numbers, not {answers}.")
    elif not math.isclose(mse, 4.0, abs_tol=1e-6):
        pulls = [float(f"{2 * (y - mse):.6g}") for y in (1, 2, 9)]
        print(f"Not yet: at {best_for_mse} the squared errors pull with {pulls}.")
        print("They should cancel.")
    elif not math.isclose(mae, 2.0, abs_tol=1e-6):
        less = sum(y < mae for y in (1, 2, 9))
        more = sum(y > mae for y in (1, 2, 9))
        print(f"Not yet: MSE is right. But for MAE, at {best_for_mae},")
        print(f"{less} would vote for less and {more} for more.")
    else:
        print("Right: the mean for MSE, 12/3 = 4, and the median for MAE, 2.")
        print("Make the 9 a 900: which of them moves?")


def exercise_2(gradient: Any) -> None:
    xs_given, ys_given = [1.0, 2.0, -1.0, 4.0], [0.0, 3.0, 1.0, 2.0]
    try:
        answer = gradient(1.5, list(xs_given), list(ys_given))
    except Exception as error:
        print(f"Not yet: gradient raises {type(error).__name__}: {error}.")
    else:
        w = ts.Value(1.5)
        ts.cost(ts.squared_error, [w * x for x in xs_given], ys_given).backward()
        found = as_number(answer)
        if answer is None or answer is ...:
            print("Not answered yet: let gradient return the slope.")
        elif math.isnan(found):
            print(f"Not yet: one weight, so the gradient is one number, not {answer!r}.")
        elif math.isclose(found, w.grad, rel_tol=1e-5):
            print(f"Right: {found} for w = 1.5 and four examples, as backward() finds.")
        elif math.isclose(found, w.grad * 4, rel_tol=1e-9):
            print(f"Not yet: {found} is 4 times too large, for 4 examples.")
            print("Give every example twice, and see.")
        elif math.isclose(found, w.grad / 4, rel_tol=1e-9):
            print(f"Not yet: {found} is a quarter of the right one, for 4 examples.")
            print("How often do you divide?")
        else:
            print(f"Not yet: you find {found}, a nudge of w says something else.")
            print("The chain has three factors: of the mean, of the square, and of w·x.")


def exercise_3(slopes: Any) -> None:
    try:
        given = None if slopes is ... else [float(slope) for slope in slopes]
    except Exception:
        given = []
    if given is None:
        print("Not answered yet: put a list of three numbers in place of the dots.")
    elif len(given) != 3:
        print(f"Not yet: the answer is a list of three numbers, not {slopes!r}.")
    elif np.allclose(given, [0.25, 0.25, -0.5], atol=1e-6):
        print("Right: a − y. What class 2 gains, classes 0 and 1 lose in equal parts.")
    elif np.allclose(given, [-0.25, -0.25, 0.5], atol=1e-6):
        print(f"Not yet: {given} is where the logits should go.")
        print("The slope says how C moves when a logit is raised.")
    elif not math.isclose(sum(given), 0.0, abs_tol=1e-6):
        print(f"Not yet: your slopes add up to {sum(given):g}.")
        print("Raise all three logits alike, and C stays. What does that say of their sum?")
    else:
        print(f"Not yet: you have {given}.")
        print("Raising the right logit lowers C, raising another raises it.")

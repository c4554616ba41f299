"""The checks of the exercises in notebook 09."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import tinygrad_scalar as ts
from tinygrad_scalar.notebooks.checks.answers import as_number


def exercise_1(slope: Any) -> None:
    if slope is ...:
        print("Not answered yet: put your number in place of the dots.")
    elif math.isnan(as_number(slope)):
        print(f"Not yet: the answer is a number, not {slope!r}.")
    elif abs(as_number(slope)) < 1e-9:
        print("Right: 0. Near the goal a nudge of the guess changes next to nothing; hence the plunge.")
    else:
        print(f"Not yet: you have {slope}. One round has the slope (1 − a/x0²)/2. What is a/x0² here?")


def exercise_2(culprit: Any, readings: Any) -> None:
    if culprit is ...:
        print("Not answered yet: give the label, as in culprit = 'q0'.")
    elif culprit is readings[3] or (isinstance(culprit, str) and culprit.strip() == "q3"):
        print("Right: q3 = 2.5 makes q² − 5q + 6.25 zero, and log 0 is −∞.")
    elif not isinstance(culprit, str):
        print(f"Not yet: a label is wanted, such as 'q0', not {culprit!r}.")
    elif culprit not in {"q0", "q1", "q2", "q4"}:
        print(f"Not yet: {culprit!r} is not the label of a leaf; the leaves are q0 to q4.")
    else:
        print(f"Not yet: {culprit} has a harmless gradient. Whose gradient is no number?")
        print("ts.sensitivity puts such a one first.")


def exercise_3(length: Any) -> None:
    def check_length() -> str:
        try:
            for at in [(3.0, 4.0), (0.0, -2.0), (0.0, 0.0)]:
                x, y = ts.Value(at[0], "x"), ts.Value(at[1], "y")
                found, true = length(x, y), np.hypot(*at)
                if found is None or found is ...:
                    return "Not answered yet: let length return the distance."
                if not isinstance(found, ts.Value):
                    return f"Not yet: length{at} has to be a Value, not {found!r}."
                found.backward()
                if true and not abs(found.data - true) < 1e-6 * true:
                    return f"Not yet: length{at} is {found.data:.8f}, it should be {true}."
                if true and not np.allclose([x.grad, y.grad], np.array(at) / true, atol=1e-5):
                    return f"Not yet: at {at} a nudge denies the gradients {x.grad:.4f}, {y.grad:.4f}."
                if not true and not abs(found.data) < 1e-2:
                    return f"Not yet: length(0, 0) is {found.data:.4f}, too far from 0."
                if not np.isfinite([x.grad, y.grad]).all():
                    return f"Not yet: at (0, 0) the gradients are {x.grad}, {y.grad}. Mind the root."
        except Exception as error:
            return f"Not yet: it raises {type(error).__name__}: {error}."
        return f"Right: at (0, 0) it gives {found.data:.0e} with gradients {x.grad:g} and {y.grad:g}."

    print(check_length())

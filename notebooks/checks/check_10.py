"""The checks of the exercises in notebook 10."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import tinygrad_scalar as ts
from tinygrad_scalar.notebooks.checks.answers import as_number


def exercise_1(loss_of_ignorance: Any) -> None:
    found = as_number(loss_of_ignorance)
    if loss_of_ignorance is ...:
        print("Not answered yet: put your number in place of the dots, and run both cells again.")
    elif math.isnan(found):
        print(f"Not yet: the loss is a number, not {loss_of_ignorance!r}.")
    elif abs(found - ts.cross_entropy([ts.Value(0.0)] * 10, 3).data) < 0.006:
        print("Right: ten equal logits give each digit 1/10, and −log(1/10) = log 10.")
    else:
        print(f"Not yet: you have {loss_of_ignorance}.")
        print("What probability does the right digit get? And what does cross-entropy make of that?")


def exercise_2(confusion: Any, trust: Any) -> None:
    example = np.array([[8, 2, 0], [1, 6, 3], [1, 0, 9]])  # three digits, counts made up
    try:
        shares = [trust(example.copy(), digit) for digit in range(3)]
    except Exception as error:
        print(f"Not yet: trust(example, 0) raises {type(error).__name__}: {error}.")
    else:
        found = [as_number(share) for share in shares]
        if any(share is None or share is ... for share in shares):
            print("Not answered yet: let trust return the share.")
        elif any(map(math.isnan, found)):
            print(f"Not yet: the share is one number, not {shares[0]!r}.")
        elif np.allclose(found, [0.8, 0.75, 0.75]):
            print(f"Right: of what the network calls an 8, {as_number(trust(confusion, 8)):.0%} are.")
        elif np.allclose(found, [0.8, 0.6, 0.9]):
            print("Not yet: that is the share of the pictures of a digit that are found, the recall.")
            print("Said to be an 8: is that a row or a column?")
        else:
            print(f"Not yet: for {example.tolist()} and 1 you have {found[1]:.3f}.")
            print("Six were rightly said to be a 1. How many were said to be a 1 at all?")


def exercise_3(largest_rise: Any) -> None:
    try:
        rise = largest_rise(np.array([2.0, -3.0, 0.5]), 0.1)
        second = largest_rise(np.array([-1.0, 1.0, -1.0, 0.0]), 2.0)
    except Exception as error:
        print(f"Not yet: largest_rise(slopes, 0.1) raises {type(error).__name__}: {error}.")
    else:
        found = as_number(rise)
        if rise is None or rise is ...:
            print("Not answered yet: let largest_rise return a number.")
        elif math.isnan(found):
            print(f"Not yet: the rise is one number, not {rise!r}.")
        elif abs(found - 0.55) < 1e-9 and abs(as_number(second) - 6.0) < 1e-9:
            print("Right: each pixel goes in the direction of its slope, so each brings h·|slope|.")
        else:
            print(f"Not yet: with the slopes 2, −3, 0.5 and h = 0.1 you have {found:.4f}.")
            print("What is the most that the second pixel alone can bring, and how must it move?")

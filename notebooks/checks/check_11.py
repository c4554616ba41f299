"""The checks of the exercises in notebook 11."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_scalar.notebooks.checks.answers import as_number


def exercise_1(ignorant: Any) -> None:
    found = as_number(ignorant)
    if ignorant is ...:
        print("Not answered yet: put your number in place of the dots, and run both cells again.")
    elif math.isnan(found):
        print(f"Not yet: the loss is a number, not {ignorant!r}.")
    elif abs(found - math.log(17)) < 0.01:
        print(f"Right: −log(1/17) = log 17 = {found:.2f}. A model should do better.")
    elif found < 0:
        print(f"Not yet: you have {found:.3g}. A log of a chance is negative; the loss is minus it.")
    else:
        print(f"Not yet: you have {found:.3g}. What is −log of the chance of what comes?")


def exercise_2(attend: Any, handed_over: Any) -> None:
    found = as_number(handed_over)
    if handed_over is ...:
        print("Not answered yet: put your number in place of the dots.")
    elif math.isnan(found):
        print(f"Not yet: one number, please, not {handed_over!r}.")
    elif abs(found - attend([0.0], [[5.0], [-1.0], [2.0]], [[3], [6], [30]])[1][0]) < 1e-6:
        print("Right: all scores are 0, so softmax gives each a third: the mean.")
    elif found == 0:
        print("Not yet: you have 0. The scores are 0, but what does softmax make of them?")
    else:
        print(f"Not yet: {found:.4g}? Weights sum to 1; what are they, if all scores are equal?")


def exercise_3(character_rows: Any, parameters: Any, prepare: Any, rows: Any, word_loss: Any) -> None:
    for value in parameters:
        value.grad = 0.0
    word_loss(*prepare("tallat")).backward()
    touched = sum(any(value.grad != 0 for value in row) for row in character_rows)
    found = as_number(rows)
    if rows is ...:
        print("Not answered yet: put your number in place of the dots.")
    elif math.isnan(found):
        print(f"Not yet: a number of rows, not {rows!r}.")
    elif found == touched:
        print(f"Right: {touched}, those of . t a l, the dot at the beginning included.")
    elif found == 7:
        print("Not yet: you have 7, one for each position. Do two equal characters have two rows?")
    else:
        print(f"Not yet: you have {rows}. Which rows does the model look up while it reads?")

"""The checks of the exercises in notebook 05."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import tinygrad_scalar as ts
from tinygrad_scalar.notebooks.checks.answers import as_number


def exercise_1(border: Any) -> None:
    found = as_number(border)
    if border is ...:
        print("Not answered yet: put your number in place of the dots.")
    elif math.isnan(found):
        print(f"Not yet: the answer is a number, not {border!r}.")
    elif math.isclose(found, 0.2, rel_tol=1e-6):
        print("Right: five times as steep, so the step may be a fifth as long.")
    else:
        print(f"Not yet: with α = {border} a step multiplies w by {1 - 10 * found:g}.")
        print("At the border the ball jumps from w to −w and back, forever.")


def exercise_2(bowl: Any, curve: Any, descend: Any, minimise: Any) -> None:
    knob, wanted = ts.Value(-1.0, "w"), descend(curve, -1.0, 0.1, 3)
    knob.grad = 7.0  # left over from elsewhere
    try:
        answer = minimise(curve, knob, 0.1, 3)
    except ts.StaleGraphError as error:
        print(f"Not yet: the graph is stale. {error}")
    except Exception as error:
        print(f"Not yet: minimise raises {type(error).__name__}: {error}.")
    else:
        other = ts.Value(1.0, "w")
        with contextlib.suppress(Exception):
            minimise(bowl, other, 0.3, 2)
        if math.isclose(knob.data, wanted[3], rel_tol=1e-9) and not math.isclose(other.data, 0.16):
            print("Not yet: right for this curve, but w² from 1, with α = 0.3, should be at 0.16 after 2 steps.")
            print(f"Yours is at {other.data:.3f}. Are the cost, α and the number of steps those that it is given?")
        elif math.isclose(knob.data, wanted[3], rel_tol=1e-9):
            print(f"Right: from −1 to {wanted[1]:.3f}, {wanted[2]:.3f}, {wanted[3]:.3f}.")
        elif knob.data == -1.0 and answer is None:
            print("Not answered yet: let minimise change w.data.")
        else:
            print(f"Not yet: 3 steps from −1 with α = 0.1 should end at {wanted[3]:.3f}.")
            print(f"Yours end at {knob.data:.3f}.")
            print("Which slope does each step use, and with which sign?")


def exercise_3(steps: Any) -> None:
    found = as_number(steps)
    if steps is ...:
        print("Not answered yet: put your number in place of the dots.")
    elif math.isnan(found):
        print(f"Not yet: the answer is a number, not {steps!r}.")
    elif found == 160:
        print("Right: 31 full batches and one of 8 examples make 32 steps, five times.")
    elif found == 32:
        print("Not yet: 32 is one epoch.")
    elif found == 155:
        print("Not yet: 31 · 32 is 992. What about the 8 examples that are left?")
    else:
        print(f"Not yet: you have {steps}.")
        print("How many batches does it take until each example had its turn?")

"""The checks of the exercises in notebook 08."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_scalar.notebooks.checks.answers import as_number


def exercise_1(velocity: Any) -> None:
    found = as_number(velocity)
    if velocity is ...:
        print("Not answered yet: put your number in place of the dots.")
    elif not math.isfinite(found):
        print(f"Not yet: the answer is a finite number, not {velocity!r}.")
    elif math.isclose(found, 20.0, abs_tol=0.01):
        print("Right: 0.9 · 20 + 2 is 20 again. A steady slope is taken ten times as fast.")
    else:
        after = 0.9 * found + 2
        print(f"Not yet: a velocity of {found:g} would be {after:g} after the next step.")
        print("Where it settles, it is the same after a step as before.")


def exercise_2(adagrad: Any) -> None:
    try:
        first = adagrad(1.0, 3.0, 0.0)
        if first is None or first is ...:
            found = None
        else:
            theta, s = (float(number) for number in first)
            found = [theta, s, *(float(number) for number in adagrad(theta, -4.0, s))]
    except Exception as error:
        print(f"Not yet: two steps with g = 3 and g = −4 end in {type(error).__name__}: {error}.")
        print("adagrad(theta, g, s) takes three numbers and returns two: the new theta, the new s.")
    else:
        if found is None:
            print("Not answered yet: let adagrad return the new theta and the new s.")
        elif np.allclose(found, [0.9, 9.0, 0.98, 25.0], rtol=0, atol=1e-6):
            print("Right: from 1 to 0.9, and back by less, to 0.98, though g was larger: s remembers.")
        elif not math.isclose(found[1], 9.0):
            print(f"Not yet: after one step with g = 3 from s = 0, s is 9; yours is {found[1]:g}.")
        elif not math.isclose(found[0], 0.9, abs_tol=1e-6):
            print(f"Not yet: s fits, but from 1 with g = 3 you come to {found[0]:g}.")
            print("Look at the sign, at the root, and at which s it is the root of.")
        elif math.isclose(found[3], 25.0):
            print(f"Not yet: the first step fits; then with g = −4 you go from 0.9 to {found[2]:g}.")
            print("Against the gradient is upwards now.")
        else:
            print(f"Not yet: the first step fits; after the second, s is {found[3]:g}, should be 25.")


def exercise_3(of_large: Any, of_small: Any) -> None:
    found = [as_number(of_large), as_number(of_small)]
    if of_large is ... or of_small is ...:
        print("Not answered yet: put your two numbers in place of the dots.")
    elif any(map(math.isnan, found)):
        print(f"Not yet: both are numbers, not {of_large!r} and {of_small!r}.")
    elif np.allclose(np.abs(found), 0.01, rtol=1e-3) and found[0] * found[1] > 0:
        print("Right: both by α. The size of a gradient is divided away, only its sign is left.")
    elif np.allclose(np.abs(found), [5, 5e-6]):
        print("Not yet: 5 and 0.000005 are gradient descent's. Put t = 1 into Adam's three formulas.")
    elif math.isclose(found[0], found[1]):
        print(f"Not yet: equal they are, but not {found[0]:g}. After step 1, what is m̂, and what ŝ?")
    else:
        print(f"Not yet: you have {found[0]:g} and {found[1]:g}.")
        print("Put t = 1, and write m̂/√ŝ with nothing but g.")

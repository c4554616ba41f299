"""The checks of the exercises in notebook 02."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_scalar.notebooks.checks.answers import as_number


def exercise_1(for_a: Any, for_b: Any, for_w: Any) -> None:
    answers = {"w": for_w, "b": for_b, "a(L-1)": for_a}
    numbers = {name: as_number(answer) for name, answer in answers.items()}
    right = {"w": -0.0625, "b": -0.25, "a(L-1)": 2.0}
    if any(answer is ... for answer in answers.values()):
        print("Not answered yet: put your three numbers in place of the dots.")
    elif any(map(math.isnan, numbers.values())):
        print(f"Not yet: all three are numbers, not {for_w!r}, {for_b!r}, {for_a!r}.")
    else:
        wrong = [name for name in right if not abs(numbers[name] - right[name]) < 1e-6]
        if not wrong:
            print("Right: all three. They share σ′(0) · 2(0.5 − 1) = −0.25.")
        else:
            given = ", ".join(f"∂C/∂{name} is not {answers[name]}" for name in wrong)
            print(f"Not yet: {given}.")
            if set(wrong) == set(right):
                print("Start with z, it is a round number; then σ(z), σ′(z) and 2(a − y).")
            else:
                print("The rest is right. First factor: what multiplies it in z?")


def exercise_2(one_layer_back: Any, sigmoid: Any) -> None:
    try:
        found = one_layer_back(2.0, 3.0, 0.5), one_layer_back(-1.0, -0.4, 0.0)
    except Exception as error:
        print(f"Not yet: one_layer_back raises {type(error).__name__}: {error}.")
    else:
        slope = sigmoid(0.5) * (1 - sigmoid(0.5))
        first, second = map(as_number, found)
        if found[0] is None or found[0] is ...:
            print("Not answered yet: let one_layer_back return the gradient.")
        elif math.isnan(first) or math.isnan(second):
            print(f"Not yet: a gradient is a number; two calls gave {found}.")
        elif abs(first - 6 * slope) < 1e-3 and abs(second - 0.1) < 1e-3:
            print("Right: this one line, repeated, reaches the first layer of any chain.")
        elif abs(first - 6 * slope) < 1e-3:
            print(f"Not yet: for upstream −1, w −0.4 and z 0 you have {second:.4f}. Mind the signs.")
        else:
            print(f"Not yet: for upstream 2, w 3 and z 0.5 you have {first:.4f}.")
            if abs(first - 6) < 1e-6:
                print("On the way back from a(l) the sigmoid comes first. Its slope?")
            elif abs(first - 2 * slope) < 1e-6:
                print("This is the gradient of z(l). One arrow further left is a(l−1).")
            else:
                print("Three factors: of a(l−1) in z(l), of σ at z(l), and upstream.")


def exercise_3(backward: Any, forward: Any, zero: Any) -> None:
    names = ["w(1)", "b(1)", "w(2)", "b(2)"]
    gradient = backward([0.6, 0.0], forward([0.6, 0.0], [0.1, -0.3], 0.8), y=1.0)
    right = [name for name, each in zip(names, gradient) if each == 0]
    if zero is ...:
        print("Not answered yet: put a list of names in place of the dots.")
    elif not isinstance(zero, (list, tuple, set)) or not all(isinstance(each, str) and each in names for each in zero):
        print(f"Not yet: the answer is a list of some of {names}, not {zero!r}.")
    elif sorted(set(zero)) == sorted(right):
        print("Right: ∇C =", [round(each, 4) + 0.0 for each in gradient])
    elif "w(2)" in zero:
        print(f"Not yet: you have {zero}. If a weight of 0 is turned up, does C move?")
    elif "b(2)" in zero:
        print(f"Not yet: you have {zero}. b(2) moves z(2) by itself. Does that pass w(2)?")
    else:
        print(f"Not yet: you have {zero}. What stands on the arrow from a(1) to z(2)?")

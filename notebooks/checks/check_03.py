"""The checks of the exercises in notebook 03."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_scalar.notebooks.checks.answers import as_number


def exercise_1(w_10: Any) -> None:
    weight = as_number(w_10)
    if w_10 is ...:
        print("Not answered yet: put your number in place of the dots.")
    elif math.isnan(weight):
        print(f"Not yet: a weight is a number, not {w_10!r}.")
    elif abs(weight - 3.0) < 1e-6:
        print("Right: 2 · (−0.3) + 3 · 0.2 = 0.")
    else:
        total = 2 * -0.3 + weight * 0.2
        print(f"Not yet: with w_10 = {w_10} the two paths add up to {total:.4f}.")
        print("The second path has to bring as much as the first, the other way.")


def exercise_2(gradient_at: Any, rounded: Any) -> None:
    question = [[1.0, -2.0, 0.5], [3.0, 0.2, -1.0]], [0.5, 0.2], [-1.0, 2.0]
    try:
        answers = [gradient_at(k, *question) for k in range(3)]
    except IndexError:
        print("Not yet: an index is out of range. w[j] is a list of the weights to j.")
    except Exception as error:
        print(f"Not yet: gradient_at raises {type(error).__name__}: {error}.")
    else:
        weights = question[0]
        at = [-0.25, 0.32]
        right = [sum(w_j[k] * at_j for w_j, at_j in zip(weights, at)) for k in range(3)]
        plain = [sum(w_j[k] * up for w_j, up in zip(weights, [-1, 2])) for k in range(3)]
        found = [as_number(answer) for answer in answers]
        if answers[0] is None or answers[0] is ...:
            print("Not answered yet: let gradient_at return the gradient.")
        elif any(map(math.isnan, found)):
            print(f"Not yet: one activation, one number; three calls gave {answers}.")
        elif all(abs(mine - each) < 1e-6 for mine, each in zip(found, right)):
            print("Right: one product for each path, added up:", rounded(right))
        else:
            print(f"Not yet: for k = 0, 1, 2 in an example you have {rounded(found)}.")
            if all(abs(mine - each) < 1e-6 for mine, each in zip(found, plain)):
                print("On the way back each path passes a sigmoid first.")
            elif abs(found[0] + 0.25) < 1e-6:
                print("That is the path through neuron 0 alone. Which others are there?")
            else:
                print("For each j: the weight from k to j, the slope of σ, upstream[j].")


def exercise_3(
    a0: Any, a1: Any, a2: Any, in_one_list: Any, layer_back: Any, w1: Any, w2: Any, y: Any, zeros: Any
) -> None:
    wind_is_right = [2 * (a2[0] - y[0]), 0.0]
    w2_back, b2_back, a1_back = layer_back(w2, a1, a2, wind_is_right)
    w1_back, b1_back, _ = layer_back(w1, a0, a1, a1_back)
    count = in_one_list([*w1_back, b1_back, *w2_back, b2_back]).count(0.0)
    given = as_number(zeros)
    if zeros is ...:
        print("Not answered yet: put your number in place of the dots.")
    elif math.isnan(given):
        print(f"Not yet: the answer is a number, not {zeros!r}.")
    elif given == count:
        print("Right: the three weights to output 1, and its bias.")
    elif given == count - 1:
        print(f"Not yet: you have {zeros}. Did you count the bias?")
    elif given > count:
        print(f"Not yet: you have {zeros}. Layer 1 still hears from output 0.")
    else:
        print(f"Not yet: you have {zeros}. What can reach C only through output 1?")

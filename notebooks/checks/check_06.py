"""The checks of the exercises in notebook 06."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_scalar as ts


def exercise_1(shape_of_A1: Any, shape_of_W2: Any, shape_of_b2: Any) -> None:
    hints = {
        "W2": ((3, 4), "a row for each neuron of layer 2, a column for each activation it looks at"),
        "b2": ((3, 1), "one bias for each neuron, the same for every example: one column"),
        "A1": ((4, 100), "a row for each neuron of layer 1, a column for each example"),
    }
    answers = {"W2": shape_of_W2, "b2": shape_of_b2, "A1": shape_of_A1}

    def is_shape(answer: object, right: tuple[int, int]) -> bool:
        return isinstance(answer, (tuple, list)) and str([*map(str, answer)]) == str([*map(str, right)])

    if any(answer is ... for answer in answers.values()):
        print("Not answered yet: put a pair like (2, 3) in place of each of the dots.")
    else:
        mistakes = [name for name in answers if not is_shape(answers[name], hints[name][0])]
        if not mistakes:
            print("Right: (3, 4) · (4, 100) is (3, 100); the (3, 1) is added to each column.")
        else:
            name = mistakes[0]
            print(f"Not yet: you have {answers[name]!r} for {name}.")
            print(f"A shape is a pair, (rows, columns). {name} has {hints[name][1]}.")


def exercise_2(layer_backward: Any, m: Any) -> None:
    def check_layer_backward() -> str:
        rng = np.random.default_rng(3)
        W_, A_, S_, D_ = (rng.normal(size=shape) for shape in [(2, 5), (5, 3), (2, 3), (2, 3)])
        d = D_ * S_
        wanted = {"dW": d @ A_.T / 3, "db": d.sum(1, keepdims=True) / 3, "dA_before": W_.T @ d}
        try:
            found = layer_backward(W_.copy(), A_.copy(), S_.copy(), D_.copy())
            if found is None or found is ... or any(part is ... for part in found):
                return "Not answered yet: compute the three, and return them."
            dW_, db_, dA_ = (np.asarray(part, float) for part in found)
        except Exception as error:
            return f"Not yet: with a W of 2×5 and 3 examples it raises {type(error).__name__}: {error}."
        found = {"dW": dW_, "db": db_, "dA_before": dA_}
        for name, right in wanted.items():
            if found[name].shape != right.shape:
                return f"Not yet: {name} has the shape {found[name].shape}, it has to be {right.shape}."
            if not np.allclose(found[name], right):
                if np.allclose(found[name], right * 3) or np.allclose(found[name] * 3, right):
                    return f"Not yet: {name} is off by the factor m. Only dW and db are means."
                if np.allclose(found[name] * m, right * 3):
                    return f"Not yet: {name} is divided by {m}, the m from further up. Here there are 3 examples."
                return f"Not yet: the shape of {name} is right, its numbers are not. Begin with δ."
        return "Right: three matrices, 2×5, 2×1 and 5×3, and every number in them."

    print(check_layer_backward())


def exercise_3(bucket_loss: Any) -> None:
    def check_bucket() -> str:
        keep = ts.Value(0.5, "r")
        try:
            one = bucket_loss(keep, [1.0, 2.0, 4.0], 5.0)
        except Exception as error:
            return f"Not yet: for the rain 1, 2, 4 it raises {type(error).__name__}: {error}."
        if one is None or one is ...:
            return "Not answered yet: let bucket_loss return the loss."
        if not isinstance(one, ts.Value):
            return f"Not yet: the loss has to be a Value that r leads to; it is {one!r}."
        if abs(one.data - 0.0625) > 1e-9:
            return (f"Not yet: with r = 0.5 and the rain 1, 2, 4 the levels are 1, 2.5, 5.25. "
                    f"For y = 5 the loss is 0.0625; yours is {one.data:.6g}.")  # fmt: skip
        rains = np.random.default_rng(1).random((40, 6))
        levels = rains @ 0.7 ** np.arange(5, -1, -1)
        try:
            bucket = ts.vectorize(lambda x, y: bucket_loss(keep, x, y), [keep])
            for _ in range(200):
                bucket.parameters -= 0.05 * bucket(rains, levels)[1]
        except Exception as error:
            return f"Not yet: it cannot be vectorised. {type(error).__name__}: {error}"
        if abs(bucket.parameters[0] - 0.7) > 1e-3:
            return f"Not yet: this bucket keeps 0.7 each hour, yours ends at {bucket.parameters[0]:.3f}."
        return f"Right: from 40 days of rain it finds that r is {bucket.parameters[0]:.3f}."

    print(check_bucket())

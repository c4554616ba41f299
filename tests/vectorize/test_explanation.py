"""`run.explain()`: which scalars became which array."""

import numpy as np

import tinygrad_scalar as ts
from tinygrad_scalar import Value

X = np.array([0.0, 1.0, 2.0])


def test_explain_says_which_scalars_became_which_array():
    net = ts.MLP(64, [16, 10], "tanh", seed=0)
    run = ts.vectorize(lambda x, y: ts.squared_error(net(x), y), net.parameters())
    run(np.ones((3, 64)), np.ones((3, 10)))
    lines = [line.strip() for line in run.explain().splitlines()]
    assert "1,024 products → Z1 (16×m) = W1 (16×64) @ A0 (64×m) + b1 (16×1)" in lines
    assert "1,024 parameters → W1 (16×64) = parameters[0:1024], w(1)[0,0] … w(1)[15,63]" in lines
    assert "10 values → A2 (10×m) = tanh(Z2)" in lines
    assert "10 differences → difference1 (10×m) = A2 − YT" in lines
    assert "1 value → total1 (1×m) = sum of all of square1" in lines


def test_captured_values_are_constants_and_explain_says_so():
    w, c = Value(2.0), Value(3.0, "captured")
    run = ts.vectorize(lambda x: w * x * c, [w])
    assert run(X)[0] == 2.0 * 3.0 * 1.0
    assert "constants, because they are not among the parameters: captured" in run.explain()

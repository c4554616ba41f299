"""A user's script for the type checkers: they have to see the types of the package however it was installed."""

from typing_extensions import assert_type

import tinygrad_scalar as ts
from tinygrad_scalar.viz.drawing import Drawing, draw

x = ts.Value(1.0, "x")
C = (ts.sigmoid(2 * x) - 1) ** 2
C.backward()
assert_type(x.grad, float)
assert_type(ts.draw(C), Drawing)
assert_type(ts.where(ts.greater(x, 0), x, 1.0), ts.Value)
assert_type(ts.where(True, 2.0, x), ts.Value)
assert_type(ts.where(True, 2.0, 1), float)
assert_type(ts.lookup([[x, x], [x, C]], 1), list[ts.Value])
draw(C).save("C.svg")

net = ts.MLP(2, [3, 1], activation="tanh", seed=0)
assert_type(net([0.5, 1.0]), ts.Value | list[ts.Value])


def cost(x: list[ts.Value], y: ts.Value) -> ts.Value:
    a = net(x)
    assert isinstance(a, ts.Value)
    return ts.squared_error(a, y)


run = ts.vectorize(cost, net.parameters())
assert_type(run.source, str)
history = ts.fit(net, [[0.0, 1.0]], [[1.0]], loss="squared_error", epochs=2)
assert_type(history, ts.History)

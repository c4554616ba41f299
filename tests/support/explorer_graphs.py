"""Graphs for the tests of the explorer: functions without arguments that make a root with its names."""

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine.graph import topological_order

HOSTILE = [
    "<script>alert(1)</script>", "\"quotes\" & 'more'", "]]>", "\\N \\G", "‮right to left", "two\nlines", "</script>",
    "<img src=x onerror=alert(1)>", "{0} $& `x`", "<!--",
]  # fmt: skip


def labelled(value, label):
    value.label = label
    return value


def neuron():
    w, a, b, y = Value(0.6, "w"), Value(1.5, "a(0)"), Value(0.1, "b"), Value(1.0, "y")
    z = labelled(w * a + b, "z")
    return labelled((labelled(z.sigmoid(), "a(1)") - y) ** 2, "C")


def two_paths():
    """x is used twice, u three times, twice by one product."""
    x, w = Value(0.8, "x"), Value(1.5, "w")
    u = labelled(w * x, "u")
    p, q = labelled(u.tanh(), "p"), labelled(u * u * 0.5, "q")
    return labelled(p * q - x, "C")


def network():
    return labelled(ts.squared_error(ts.MLP(3, [4, 2], "sigmoid", seed=0)([0.5, -1.0, 0.25]), [1, 0]), "C")


def cost():
    """Three examples, which share the weights."""
    net = ts.MLP(2, [3, 1], "tanh", seed=1)
    outputs = [net(x) for x in ([0.5, -1.0], [1.5, 0.5], [-0.3, 0.2])]
    return labelled(ts.cost("squared_error", outputs, [[1.0], [0.0], [1.0]]), "C")


def lists():
    x = [Value(0.3 * i - 0.5, f"x[{i}]") for i in range(7)]
    return labelled(ts.logsumexp(x) + ts.norm(x) * ts.max(x) - ts.dot(x[:3], x[3:6]) + ts.mean(x[2:5]) / ts.sum(x), "L")


def decided():
    """Conditions, kinks and operands that only decide."""
    x, y = Value(0.0, "x"), Value(-2.0, "y")
    chosen = ts.where(ts.greater(x, y), abs(x) * 3.0, y.exp())
    return labelled(chosen + ts.maximum(x, 0.0) - y.floor() * y.relu() + ts.clip(y, -1.0, 1.0), "D")


def unnamed():
    x, y = Value(2.0), Value(-0.75)
    return (x * y + 1.0).sin() / (x**3 - y.exp()) + (x - y) * (x + y) ** 0.5


def not_finite():
    """nan and infinities, as numbers, as slopes and as the constants of operations."""
    x, y = Value(0.0, "x"), Value(float("inf"), "y")
    return labelled(x.log() * x + y**2 - x.sqrt() + (y - y) + (x + 0.5) ** float("inf"), "N")


def hostile():
    total = Value(1.0, HOSTILE[0])
    for label in HOSTILE[1:]:
        total = labelled((total * Value(0.9, label)).tanh(), f"of {label}")
    return total


GRAPHS = {
    build.__name__: build for build in (neuron, two_paths, network, cost, lists, decided, not_finite, unnamed, hostile)
}  # fmt: skip


def fresh_gradients(root):
    """All gradients in topological order, after zero_grad() and backward()."""
    root.zero_grad()
    root.backward()
    return [node.grad for node in topological_order(root)]

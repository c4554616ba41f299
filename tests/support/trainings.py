"""Examples, a network and trainings that the tests of `fit` share."""

import tinygrad_scalar as ts
from tinygrad_scalar import MLP, GradientDescent

X = [[0.5, -1.0], [1.5, 0.25], [-0.75, 2.0], [0.0, 1.0], [-1.25, -0.5], [2.0, 1.0], [0.25, 0.75]]
Y = [[0.25, 1.0], [0.5, 0.0], [1.0, 0.75], [0.0, 0.25], [0.5, 0.5], [0.125, 1.0], [1.0, 0.0]]
CLASSES = [0, 2, 1, 1, 0, 2, 1]
SIGNS = [1, -1, -1, 1, 1, -1, 1]
TASKS = {  # loss: activation of the output, number of outputs, targets
    "squared_error": ("sigmoid", 2, Y),
    "absolute_error": ("sigmoid", 2, Y),
    "binary_cross_entropy": ("sigmoid", 2, Y),
    "cross_entropy": ("linear", 3, CLASSES),
    "hinge": ("linear", 1, SIGNS),
}


def data(net):
    return [parameter.data for parameter in net.parameters()]


def network():
    return MLP(2, [3, 2], "tanh", "sigmoid", seed=0)


def fit(net, *examples, **options):
    return ts.fit(net, *examples, **{"progress": False, **options})


def outcome(net, history):
    return [p.data.hex() for p in net.parameters()], repr(vars(history))


def training(epochs=12, make=network, optimizer="adam", **options):
    net = make()
    if not isinstance(optimizer, str):
        optimizer = optimizer(net.parameters())
    return outcome(net, fit(net, X, Y, epochs=epochs, optimizer=optimizer, **options))


def by_hand(net, batches, loss, optimizer):
    """003's last section in four lines; returns the cost of every batch before its step."""
    costs = []
    for batch_X, batch_Y in batches:
        C = ts.cost(loss, [net(x) for x in batch_X], batch_Y)
        optimizer.zero_grad()
        C.backward()
        optimizer.step()
        costs.append(C.data)
    return costs


def batches_seen(m, batch_size, seed=0, epochs=1):
    """The indices of the examples of every step."""
    seen = [[]]

    class Watched(GradientDescent):
        def step(self):
            super().step()
            seen.append([])

    def loss(a, y):
        seen[-1].append(y)
        return (a - y) ** 2

    net = MLP(1, [1], seed=0)
    optimizer = Watched(net.parameters(), 1e-3)
    fit(net, range(m), range(m), loss=loss, optimizer=optimizer, epochs=epochs, batch_size=batch_size, seed=seed)
    assert seen.pop() == []
    return seen


def with_row(rows, i, row):
    return [*rows[:i], row, *rows[i + 1 :]]

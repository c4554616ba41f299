"""`fit` says when no step moved a cost that could be lower, and only then."""

import warnings

import pytest
from support.trainings import fit

from tinygrad_scalar import MLP, GradientDescent, Value

X, Y = [[0.0], [1.0], [2.0], [3.0]], [1.0, 3.0, 5.0, 8.0]


class Line:
    """a = f(w·x + b)"""

    def __init__(self, w, b, f=lambda z: z):
        self.w, self.b, self.f = Value(w), Value(b), f

    def parameters(self):
        return [self.w, self.b]

    def __call__(self, x):
        return self.f(self.w * x[0] + self.b)


def descend(net, X, Y, rate=0.1, epochs=50, **options):
    return fit(net, X, Y, optimizer=GradientDescent(net.parameters(), rate), epochs=epochs, **options)


STUCK = {
    "saturated sigmoid": lambda **o: descend(Line(0.0, 800.0, Value.sigmoid), X, [0.0] * 4, **o),
    "nearly saturated tanh": lambda **o: descend(Line(0.0, 18.0, Value.tanh), X, [0.0] * 4, **o),
    "dead relus": lambda **o: descend(Line(-1.0, -5.0, Value.relu), X, Y, **o),
    "clipped probability": lambda **o: fit(
        Line(0.0, -1.0, Value.relu), X, [1.0] * 4, loss="binary_cross_entropy", epochs=50, **o
    ),
    "steps lost in rounding": lambda **o: descend(Line(0.5, 1.0), X, Y, 1e-30, **o),
}


@pytest.mark.parametrize("vectorized", [True, False])
@pytest.mark.parametrize("train", STUCK.values(), ids=STUCK)
def test_a_cost_that_never_moved_and_could_be_lower_is_said_once(train, vectorized):
    with pytest.warns(UserWarning, match=r"the cost has not moved from .* for 50 epochs: the .*diagnose") as caught:
        train(vectorized=vectorized)
    assert len(caught) == 1


def again(net, epochs):
    descend(net, X, Y, epochs=epochs)
    descend(net, X, Y, epochs=50)


GOOD = {
    "converged": lambda: descend(Line(0.5, 1.0), X, Y, epochs=2000),
    "converged before it began": lambda: again(Line(0.5, 1.0), 2000),
    "perfect from the start": lambda: descend(Line(2.0, 1.0), X, [1.0, 3.0, 5.0, 7.0]),
    "perfect to rounding": lambda: descend(Line(0.3, 0.1), X, [0.1, 0.4, 0.7, 1.0]),
    "perfect probabilities": lambda: fit(
        Line(0.0, 0.0, Value.sigmoid), X, [0.5] * 4, loss="binary_cross_entropy", epochs=50
    ),
    "dead and right": lambda: descend(Line(-1.0, -5.0, Value.relu), X, [0.0] * 4),
    "slow": lambda: descend(Line(0.5, 1.0), X, Y, 1e-12),
    "few epochs": lambda: descend(Line(-1.0, -5.0, Value.relu), X, Y, epochs=5),
    "learning rate 0": lambda: _at_rate_0(Line(0.5, 1.0)),
    "a network": lambda: fit(MLP(1, [3, 1], "tanh", seed=0), X, Y, epochs=50),
}


def _at_rate_0(net):
    class Still(GradientDescent):
        learning_rate = 0.0

        def __init__(self, parameters):
            self.parameters = list(parameters)

        def stepped(self, theta, gradient):
            return theta

    fit(net, X, Y, optimizer=Still(net.parameters()), epochs=50)


@pytest.mark.parametrize("train", GOOD.values(), ids=GOOD)
def test_a_training_that_moved_or_had_nothing_to_gain_says_nothing(train):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train()


def test_the_look_at_a_standstill_leaves_the_gradients_of_the_last_step():
    net = Line(0.0, 18.0, Value.tanh)
    with pytest.warns(UserWarning, match="not moved"):
        descend(net, X, [0.0] * 4)
    last = [p.grad for p in net.parameters()]
    descend(net, X, [0.0] * 4, epochs=1)
    assert last == [p.grad for p in net.parameters()]

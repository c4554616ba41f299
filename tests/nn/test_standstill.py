"""`fit` says when no step moved a cost that could be lower, or the gradients died on the way, and only then."""

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


# --- died on the way -------------------------------------------------------------------------------------------------

PLANE = [[0.3 * i - 2.0, (i * i % 7) * 0.5 - 1.0] for i in range(16)]
PRODUCT = [x * y for x, y in PLANE]


def of_plane(activation, output, rate, targets=PRODUCT, epochs=300, seed=1, bias=None, **options):
    net = MLP(2, [8, 1], activation, output, seed=seed)
    for neuron in net.layers[0].neurons if bias is not None else ():
        neuron.b.data = bias
    return fit(net, PLANE, targets, optimizer=GradientDescent(net.parameters(), rate), epochs=epochs, **options)


STOOD, ENDED = r"has not moved from .* in the last \d+ of \d+ epochs: ", r"has come to a dead end, at a cost of .*: "
ALL, SOME = (
    "the gradient of every parameter is 0 for every",
    r"the gradients of \d+ of 33 parameters are lost .* same output",
)
NEARLY = "the gradients are nearly 0"
DIED = {
    "all relus, the output too": (lambda **o: of_plane("relu", "relu", 0.5, **o), STOOD + ALL),
    "in batches": (lambda **o: of_plane("relu", "relu", 0.5, batch_size=5, **o), STOOD + ALL),
    "one relu": (lambda **o: descend(Line(1.0, 1.0, Value.relu), [[3.0], [4.0]], [1.0, 1.0], 0.5, **o), STOOD + ALL),
    "saturated below": (lambda **o: descend(Line(1.0, 1.0, Value.sigmoid), X, [-500.0] * 4, 1.0, **o), STOOD + NEARLY),
    "saturated above": (lambda **o: descend(Line(1.0, 1.0, Value.sigmoid), X, [500.0] * 4, 1.0, **o), STOOD + NEARLY),
    "hidden relus, and the bias converged": (
        lambda **o: of_plane("relu", "linear", 0.1, bias=-50.0, epochs=1000, **o), STOOD + SOME
    ),
    "hidden relus, and the bias still moves": (
        lambda **o: of_plane("relu", "linear", 1e-3, bias=-50.0, **o), ENDED + SOME
    ),
    "hidden relus, and the bias jitters": (
        lambda **o: of_plane("relu", "linear", 0.1, bias=-50.0, batch_size=3, **o), ENDED + SOME
    ),
    "hidden sigmoids": (lambda **o: of_plane("sigmoid", "linear", 1e-3, bias=50.0, **o), ENDED + SOME),
}  # fmt: skip


@pytest.mark.parametrize("vectorized", [True, False])
@pytest.mark.parametrize(("train", "told"), DIED.values(), ids=DIED)
def test_a_training_that_died_on_the_way_is_said_once(train, told, vectorized):
    with pytest.warns(UserWarning, match=told) as caught:
        train(vectorized=vectorized)
    assert len(caught) == 1


ALIVE = {
    "converged with noise": lambda: of_plane(
        "tanh", "linear", 0.05, epochs=30_000, targets=[0.5 * x for x, _ in PLANE]
    ),
    "converged to the best line, bit for bit": lambda: descend(Line(0.1, 0.1), X, Y, 0.1, epochs=5000),
    "converged to the best line by small steps": lambda: descend(Line(2.299, 0.801), X, Y, 1e-4, epochs=5000),
    "a perfect line": lambda: descend(Line(0.1, 0.1), X, [1.0, 3.0, 5.0, 7.0], 0.1, epochs=5000),
    "cost 0 at last": lambda: descend(Line(0.1, 0.1, Value.relu), X, [2.0 * x for (x,) in X], 0.2, epochs=3000),
    "hinge of 0": lambda: descend(Line(0.1, 0.1), X, [-1.0, -1.0, 1.0, 1.0], 0.1, epochs=2000, loss="hinge"),
    "dead relus that are right": lambda: descend(Line(0.1, 1.0, Value.relu), X, [-0.0] * 4, 0.4, epochs=100),
    "a plateau, then progress": lambda: descend(Line(0.0, -17.0, Value.tanh), X, [1.0] * 4, 1e13, epochs=60),
    "some dead relus": lambda: of_plane("relu", "linear", 0.05, epochs=3000),
    "an input that is always 0": lambda: fit(MLP(2, [3, 1], "tanh", "linear", seed=0), [[0.0, x] for (x,) in X], Y),
    "one input for all": lambda: fit(MLP(1, [3, 1], "relu", "linear", seed=0), [[0.0]] * 4, Y, epochs=2000),
    "one target for all": lambda: of_plane("relu", "linear", 0.1, bias=-50.0, targets=[3.0] * 16),
    "one example": lambda: fit(MLP(1, [3, 1], "relu", "linear", seed=0), [[1.0]], [2.0], epochs=2000),
    "separable classes": lambda: fit(
        MLP(1, [1], "sigmoid", seed=0), X, [0.0, 0.0, 1.0, 1.0], loss="binary_cross_entropy", epochs=5000
    ),
}


@pytest.mark.parametrize("train", ALIVE.values(), ids=ALIVE)
def test_a_training_that_lives_or_has_converged_says_nothing(train):
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

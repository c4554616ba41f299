"""The two ways to take a step give the same network, and leave nothing behind."""

import array
import gc
import tracemalloc

import numpy as np
import pytest
from support.trainings import CLASSES, X, Y, data, fit, network

import tinygrad_scalar as ts
from tinygrad_scalar import MLP, AnomalyError, GradientDescent, Value
from tinygrad_scalar.nn.kept_program import KEPT

# --- scalar by scalar or vectorized ----------------------------------------------------------------------------------

PROBLEMS = {
    "squared_error": ("tanh", "linear", Y[:4]),
    "absolute_error": ("softplus", "linear", Y[:4]),
    "binary_cross_entropy": ("relu", "sigmoid", [[0.0], [1.0], [1.0], [0.0]]),
    "cross_entropy": ("leaky_relu", "linear", [0, 2, 1, 0]),
    "hinge": ("sigmoid", "tanh", [[-1.0], [1.0], [1.0], [-1.0]]),
    "binary_cross_entropy_with_logits": ("gelu", "linear", [[0.0], [1.0], [1.0], [0.0]]),
    "huber": ("mish", "linear", Y[:4]),
    "kl_divergence": ("silu", "sigmoid", [[0.0], [1.0], [0.5], [0.25]]),
}


@pytest.mark.parametrize("optimizer", ["gradient_descent", "sgd", "rmsprop", "adam", "adamw"])
@pytest.mark.parametrize("loss", PROBLEMS)
def test_both_ways_of_training_give_the_same_network_and_history(loss, optimizer):
    activation, output, targets = PROBLEMS[loss]
    inputs = [[0.0, 1.0], [1.0, 0.5], [-1.0, 2.0], [0.25, -0.5]]
    widths = [5, 3] if loss == "cross_entropy" else [5, len(np.atleast_2d(targets)[0])]
    nets = [MLP(2, widths, activation, output, seed=1) for _ in range(2)]
    histories = [
        fit(
            net, inputs, targets, loss=loss, optimizer=optimizer, epochs=10, batch_size=3,
            validation=(inputs, targets), vectorized=vectorized,
        )
        for net, vectorized in zip(nets, (True, False))
    ]  # fmt: skip
    assert data(nets[0]) == pytest.approx(data(nets[1]), rel=1e-10, abs=1e-12)
    assert [p.grad for p in nets[0].parameters()] == pytest.approx([p.grad for p in nets[1].parameters()], abs=1e-10)
    assert histories[0].cost == pytest.approx(histories[1].cost, rel=1e-10)
    assert histories[0].validation_cost == pytest.approx(histories[1].validation_cost, rel=1e-10)


def test_more_examples_than_a_piece_are_their_mean():
    rng = np.random.default_rng(0)
    inputs, targets = rng.normal(size=(2500, 2)), rng.normal(size=(2500, 1))
    nets = [MLP(2, [3, 1], "tanh", seed=0) for _ in range(2)]
    costs = [
        fit(net, inputs, targets, epochs=2, batch_size=n, vectorized=vectorized).cost
        for net, n, vectorized in zip(nets, (None, None), (True, False))
    ]
    assert costs[0] == pytest.approx(costs[1], rel=1e-12)
    assert data(nets[0]) == pytest.approx(data(nets[1]), rel=1e-9)


def test_a_loss_that_branches_trains_scalar_by_scalar_with_a_warning_that_says_where():
    def loss(a, y):
        return (a - y) ** 2 if a.data > 0 else abs(a - y)

    nets = [MLP(1, [1], "linear", seed=0) for _ in range(2)]
    with pytest.warns(
        UserWarning, match=r"scalar by scalar.*test_trainers\.py:.*Pass vectorized=False to silence this warning"
    ):
        fit(nets[0], [1.0, 2.0], [1.0, -1.0], loss=loss, epochs=3)
    fit(nets[1], [1.0, 2.0], [1.0, -1.0], loss=loss, epochs=3, vectorized=False)
    assert data(nets[0]) == data(nets[1])


@pytest.mark.parametrize("vectorized", [True, False])
def test_parameters_left_out_of_the_optimizer_do_not_gather_gradients(vectorized):
    net = ts.MLP(1, [1], "linear", seed=0)
    w, b = net.parameters()
    ts.fit(net, [1.0], [3.0], optimizer=ts.GradientDescent([w], 1e-9), epochs=5, vectorized=vectorized, progress=False)
    (net(1.0) - 3.0).backward()
    assert b.grad == 1.0  # of this pass alone


# --- what is left behind ---------------------------------------------------------------------------------------------


def _diverge():
    net = MLP(2, [3, 2], "linear", seed=0)
    try:
        fit(net, X, Y, optimizer=GradientDescent(net.parameters(), 1e6), epochs=1000)
    except AnomalyError:
        return
    pytest.fail("the training did not diverge")


TRAININGS = {
    "full batch": lambda: fit(network(), X, Y, epochs=3),
    "mini-batches": lambda: fit(network(), X, Y, epochs=3, batch_size=2, validation=(X, Y)),
    "classes": lambda: fit(MLP(2, [3, 3], "relu", "linear"), X, CLASSES, loss="cross_entropy", epochs=3),
    "with a progress bar": lambda: fit(network(), X, Y, epochs=3, progress=True),
    "diverging": _diverge,
}


@pytest.mark.parametrize("training", TRAININGS)
def test_after_training_the_garbage_collector_finds_nothing_of_ours(training):
    TRAININGS[training]()
    gc.collect()
    try:
        gc.set_debug(gc.DEBUG_SAVEALL)
        TRAININGS[training]()
        gc.collect()
        left = [thing for thing in gc.garbage if type(thing).__module__.startswith("tinygrad_scalar")]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    assert left == []


def _living_values():
    return {thing for thing in gc.get_objects() if issubclass(type(thing), Value)}  # isinstance may wake lazy ones


@pytest.mark.parametrize("options", [{}, {"validation": (X[:2], Y[:2])}, {"metrics": ["rmse"]}], ids=str)
def test_after_training_no_values_are_left_but_the_networks_parameters_and_its_last_example(options):
    gc.collect()
    before = _living_values()
    net = network()

    def left():
        last = {node for a in net.a[-1] for node in ts.topological_order(a)}
        return _living_values() - before - last - set(net.parameters())

    gc.disable()
    try:
        history = fit(net, X, Y, epochs=3, batch_size=2, **options)
        assert not any(value.op for value in left())  # the program that the network keeps has arguments, but no graph
        net.predict(X)
        assert not any(value.op for value in left())
        vars(net).pop(KEPT)
        assert left() == set()
    finally:
        gc.enable()
    assert all(type(cost) is float for cost in history.cost + history.validation_cost)


def test_memory_is_flat_over_2000_steps_with_the_garbage_collector_off():
    memory = array.array("q", bytes(8 * 2000))  # of fixed size, so that noting a number takes no memory
    steps = iter(range(2000))

    class Watched(ts.Adam):
        def step(self):
            super().step()
            memory[next(steps)] = tracemalloc.get_traced_memory()[0]

    net = network()
    inputs, targets = np.resize(X, (100, 2)), np.resize(Y, (100, 2))
    optimizer = Watched(net.parameters())
    gc.disable()
    tracemalloc.start()
    try:
        fit(net, inputs, targets, optimizer=optimizer, epochs=20, batch_size=1)
    finally:
        tracemalloc.stop()
        gc.enable()
    assert next(steps, None) is None
    assert abs(max(memory[1000:]) - max(memory[200:1000])) < 2000  # bytes; one example's graph is some 10,000


class Remembering(ts.nn.Optimizer):
    """Keeps what it is given, and writes to it: θ ← θ − α g + ½ (θ − θ before) − 0.01 Σ g."""

    def __init__(self, parameters):
        super().__init__(parameters, 0.1)
        self.seen = []

    def stepped(self, theta, g):
        before = self.seen[-1][0] if self.seen else theta
        self.seen.append((theta, g))
        return theta - 0.1 * g + 0.5 * (theta - before) - 0.01 * sum(gradient for _, gradient in self.seen)


class InPlace(ts.nn.Optimizer):
    def stepped(self, theta, g):
        theta -= self.learning_rate * g
        return theta


@pytest.mark.parametrize("make", [Remembering, lambda p: InPlace(p, 0.1)])
def test_an_optimizer_may_keep_and_write_to_the_arrays_that_it_is_given(make):
    nets = [network(), network()]
    costs = [
        fit(net, X, Y, optimizer=make(net.parameters()), epochs=10, vectorized=vectorized).cost
        for net, vectorized in zip(nets, [True, False])
    ]
    assert costs[0] == pytest.approx(costs[1], rel=1e-12)
    assert data(nets[0]) == pytest.approx(data(nets[1]), rel=1e-12)

"""`fit`: the loop of 003's last section, its history and its progress bar."""

import sys

import pytest
from support.trainings import TASKS, X, Y, by_hand, data, fit, network

import tinygrad_scalar as ts
from tinygrad_scalar import MLP, GradientDescent, Layer, Neuron, Value
from tinygrad_scalar.nn.optim import OPTIMIZERS

# --- the loop --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("loss", TASKS)
def test_full_batch_training_is_the_loop_written_by_hand(loss, optimizer):
    output_activation, n_outputs, targets = TASKS[loss]
    net, other = (MLP(2, [3, n_outputs], "tanh", output_activation, seed=0) for _ in range(2))
    history = fit(net, X, targets, loss=loss, optimizer=OPTIMIZERS[optimizer](net.parameters(), 0.05), epochs=20)
    costs = by_hand(other, [(X, targets)] * 20, loss, OPTIMIZERS[optimizer](other.parameters(), 0.05))
    assert data(net) == pytest.approx(data(other), rel=1e-12, abs=1e-13)
    assert history.cost == pytest.approx(costs, rel=1e-12)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_given_by_name_is_used_as_it_comes(name):
    net, other = network(), network()
    fit(net, X, Y, optimizer=name, epochs=3)
    fit(other, X, Y, optimizer=OPTIMIZERS[name](other.parameters()), epochs=3)
    assert data(net) == data(other) != data(network())


@pytest.mark.parametrize("loss", TASKS)
def test_a_loss_can_be_given_by_name_or_as_the_function(loss):
    output_activation, n_outputs, targets = TASKS[loss]
    net, other = (MLP(2, [3, n_outputs], "tanh", output_activation, seed=0) for _ in range(2))
    assert (
        fit(net, X, targets, loss=loss, epochs=3).cost == fit(other, X, targets, loss=getattr(ts, loss), epochs=3).cost
    )
    assert data(net) == data(other)


def test_any_function_of_output_and_target_can_be_the_loss():
    net, other = network(), network()
    fit(net, X, Y, loss=lambda a, y: (a[0] - y[0]) ** 4, epochs=3)
    by_hand(other, [(X, Y)] * 3, lambda a, y: (a[0] - y[0]) ** 4, ts.Adam(other.parameters()))
    assert data(net) == pytest.approx(data(other), rel=1e-12)


def test_gradients_left_from_before_do_not_count():
    net, other = network(), network()
    for parameter in net.parameters():
        parameter.grad = 1e6
    fit(net, X, Y, epochs=2)
    fit(other, X, Y, epochs=2)
    assert data(net) == data(other)


def test_training_goes_on_where_the_same_optimizer_left_off():
    net, other = network(), network()
    adam, other_adam = ts.Adam(net.parameters(), 0.1), ts.Adam(other.parameters(), 0.1)
    costs = fit(net, X, Y, optimizer=adam, epochs=3).cost + fit(net, X, Y, optimizer=adam, epochs=4).cost
    assert costs == fit(other, X, Y, optimizer=other_adam, epochs=7).cost
    assert data(net) == data(other)


def test_an_optimizer_over_some_of_the_parameters_trains_those_alone():
    net = network()
    before = [layer_parameters.data for layer_parameters in net.layers[0].parameters()]
    last = net.layers[1].parameters()
    fit(net, X, Y, optimizer=GradientDescent(last, 0.5), epochs=5)
    assert [parameter.data for parameter in net.layers[0].parameters()] == before
    assert all(parameter.data != start for parameter, start in zip(last, data(network())[-len(last) :]))


class _Line:
    """y = slope·x through the origin: not one of our networks."""

    def __init__(self):
        self.slope = Value(0.0)

    def __call__(self, x):
        return self.slope * x

    def parameters(self):
        return [self.slope]


@pytest.mark.parametrize(
    ("make", "inputs"),
    [
        (_Line, [1.0, 2.0]),
        (lambda: Neuron(1, "linear", seed=0), [1.0, 2.0]),
        (lambda: Layer(1, 1, "linear", seed=0), [1.0, 2.0]),
        (lambda: MLP(1, [1], "linear", seed=0), [[1.0], [2.0]]),
    ],
    ids=["function with parameters", "Neuron", "Layer", "MLP"],
)
def test_whatever_has_parameters_and_can_be_called_learns(make, inputs):
    net = make()
    history = fit(net, inputs, [3.0, 6.0], optimizer=GradientDescent(net.parameters(), 0.1), epochs=300)
    assert history.cost[-1] < 1e-4 < history.cost[0]
    assert net.parameters()[0].data == pytest.approx(3.0, abs=0.05)


BLOBS = [(cx + 0.2 * i, cy - 0.15 * i) for cx, cy in ((0, 0), (2, 0), (0, 2)) for i in (-2, -1, 0, 1, 2)]
XOR = [[0, 0], [0, 1], [1, 0], [1, 1]]
LEARNABLE = [
    ("squared_error", [2, 4, 1], "sigmoid", XOR, [0, 1, 1, 0], None),
    ("absolute_error", [2, 4, 1], "linear", XOR, [0, 1, 1, 2], None),
    ("binary_cross_entropy", [2, 4, 1], "sigmoid", XOR, [0, 1, 1, 0], 2),
    ("cross_entropy", [2, 4, 3], "linear", BLOBS, [0] * 5 + [1] * 5 + [2] * 5, 4),
    ("hinge", [2, 4, 1], "linear", XOR, [-1, 1, 1, -1], 3),
]


@pytest.mark.parametrize(("loss", "sizes", "output_activation", "inputs", "targets", "batch_size"), LEARNABLE)
def test_a_network_learns_what_can_be_learnt(loss, sizes, output_activation, inputs, targets, batch_size):
    net = MLP(sizes[0], sizes[1:], "tanh", output_activation, seed=1)
    optimizer = ts.Adam(net.parameters(), 0.05)
    history = fit(net, inputs, targets, loss=loss, optimizer=optimizer, epochs=200, batch_size=batch_size)
    assert history.cost[-1] < 0.1 * history.cost[0]


# --- history ---------------------------------------------------------------------------------------------------------


def test_the_history_has_one_cost_for_each_epoch():
    history = fit(network(), X, Y, epochs=5, batch_size=2)
    assert len(history.cost) == 5
    assert history.validation_cost == []


def test_the_first_cost_is_that_of_the_untrained_network():
    net = network()
    untrained = ts.cost("squared_error", [net(x) for x in X], Y).data
    assert fit(net, X, Y, epochs=3).cost[0] == pytest.approx(untrained, rel=1e-14)


def test_the_validation_cost_is_that_of_the_held_out_examples_after_each_epoch():
    net, other = network(), network()
    optimizer, other_optimizer = ts.Adam(net.parameters(), 0.1), ts.Adam(other.parameters(), 0.1)
    history = fit(net, X[:5], Y[:5], optimizer=optimizer, validation=(X[5:], Y[5:]), epochs=4)
    costs = []
    for _ in range(4):
        by_hand(other, [(X[:5], Y[:5])], "squared_error", other_optimizer)
        costs.append(ts.cost("squared_error", [other(x) for x in X[5:]], Y[5:]).data)
    assert history.validation_cost == pytest.approx(costs, rel=1e-12)


def test_validation_examples_are_not_trained_on():
    net, other = network(), network()
    with_validation = fit(net, X[:5], Y[:5], validation=(X[5:], Y[5:]), epochs=4, batch_size=2)
    without = fit(other, X[:5], Y[:5], epochs=4, batch_size=2)
    assert data(net) == data(other)
    assert with_validation.cost == without.cost


def test_losses_whose_sum_is_beyond_the_largest_float_still_have_a_mean():
    net = MLP(1, [1], "linear", seed=0)
    history = fit(net, [0.0, 0.0], [1.2e154, 1.2e154], epochs=1)
    assert history.cost == pytest.approx([1.44e308])


def test_repr_of_a_history_says_how_many_epochs_and_how_the_cost_went():
    assert repr(ts.History([2.0, 1.0, 0.25])) == "History(3 epochs, cost 2 → 0.25)"
    assert repr(ts.History()) == "History(no epochs)"


# --- progress --------------------------------------------------------------------------------------------------------


def test_progress_is_a_bar_with_the_costs_on_stderr(capsys):
    ts.fit(network(), X, Y, epochs=3, validation=(X, Y), progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    for words in ("training", "100%", "3/3", "cost=", "validation="):
        assert words in err


def test_without_progress_nothing_is_written(capsys):
    ts.fit(network(), X, Y, epochs=3, progress=False)
    assert capsys.readouterr() == ("", "")


def test_by_default_only_a_terminal_sees_the_bar(capsys, monkeypatch):
    ts.fit(network(), X, Y, epochs=3)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    ts.fit(network(), X, Y, epochs=3, metrics=["rmse"])
    err = capsys.readouterr().err
    assert "rmse=" in err
    assert "examples/s" in err

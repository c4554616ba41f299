"""`fit`: the loop of 003's last section, its batches, history and errors, and that it leaves nothing behind."""

import array
import gc
import math
import random
import tracemalloc

import numpy as np
import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import MLP, AnomalyError, GradientDescent, Layer, Neuron, Value
from tinygrad_scalar.nn.optim import OPTIMIZERS

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


def _data(net):
    return [parameter.data for parameter in net.parameters()]


def _net():
    return MLP(2, [3, 2], "tanh", "sigmoid", seed=0)


def _fit(net, *examples, **options):
    return ts.fit(net, *examples, **{"progress": False, **options})


# --- the loop --------------------------------------------------------------------------------------------------------


def _by_hand(net, batches, loss, optimizer):
    """003's last section in four lines; the cost of every batch before its step."""
    costs = []
    for batch_X, batch_Y in batches:
        C = ts.cost(loss, [net(x) for x in batch_X], batch_Y)
        optimizer.zero_grad()
        C.backward()
        optimizer.step()
        costs.append(C.data)
    return costs


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("loss", TASKS)
def test_full_batch_training_is_the_loop_written_by_hand(loss, optimizer):
    output_activation, n_outputs, targets = TASKS[loss]
    net, other = (MLP(2, [3, n_outputs], "tanh", output_activation, seed=0) for _ in range(2))
    history = _fit(net, X, targets, loss=loss, optimizer=OPTIMIZERS[optimizer](net.parameters(), 0.05), epochs=20)
    costs = _by_hand(other, [(X, targets)] * 20, loss, OPTIMIZERS[optimizer](other.parameters(), 0.05))
    assert _data(net) == pytest.approx(_data(other), rel=1e-12, abs=1e-13)
    assert history.cost == pytest.approx(costs, rel=1e-12)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_given_by_name_is_used_as_it_comes(name):
    net, other = _net(), _net()
    _fit(net, X, Y, optimizer=name, epochs=3)
    _fit(other, X, Y, optimizer=OPTIMIZERS[name](other.parameters()), epochs=3)
    assert _data(net) == _data(other) != _data(_net())


@pytest.mark.parametrize("loss", TASKS)
def test_a_loss_can_be_given_by_name_or_as_the_function(loss):
    output_activation, n_outputs, targets = TASKS[loss]
    net, other = (MLP(2, [3, n_outputs], "tanh", output_activation, seed=0) for _ in range(2))
    assert (
        _fit(net, X, targets, loss=loss, epochs=3).cost
        == _fit(other, X, targets, loss=getattr(ts, loss), epochs=3).cost
    )
    assert _data(net) == _data(other)


def test_any_function_of_output_and_target_can_be_the_loss():
    net, other = _net(), _net()
    _fit(net, X, Y, loss=lambda a, y: (a[0] - y[0]) ** 4, epochs=3)
    _by_hand(other, [(X, Y)] * 3, lambda a, y: (a[0] - y[0]) ** 4, ts.Adam(other.parameters()))
    assert _data(net) == pytest.approx(_data(other), rel=1e-12)


def test_gradients_left_from_before_do_not_count():
    net, other = _net(), _net()
    for parameter in net.parameters():
        parameter.grad = 1e6
    _fit(net, X, Y, epochs=2)
    _fit(other, X, Y, epochs=2)
    assert _data(net) == _data(other)


def test_training_goes_on_where_the_same_optimizer_left_off():
    net, other = _net(), _net()
    adam, other_adam = ts.Adam(net.parameters(), 0.1), ts.Adam(other.parameters(), 0.1)
    costs = _fit(net, X, Y, optimizer=adam, epochs=3).cost + _fit(net, X, Y, optimizer=adam, epochs=4).cost
    assert costs == _fit(other, X, Y, optimizer=other_adam, epochs=7).cost
    assert _data(net) == _data(other)


def test_an_optimizer_over_some_of_the_parameters_trains_those_alone():
    net = _net()
    before = [layer_parameters.data for layer_parameters in net.layers[0].parameters()]
    last = net.layers[1].parameters()
    _fit(net, X, Y, optimizer=GradientDescent(last, 0.5), epochs=5)
    assert [parameter.data for parameter in net.layers[0].parameters()] == before
    assert all(parameter.data != start for parameter, start in zip(last, _data(_net())[-len(last) :]))


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
    history = _fit(net, inputs, [3.0, 6.0], optimizer=GradientDescent(net.parameters(), 0.1), epochs=300)
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
    history = _fit(net, inputs, targets, loss=loss, optimizer=optimizer, epochs=200, batch_size=batch_size)
    assert history.cost[-1] < 0.1 * history.cost[0]


# --- batches ---------------------------------------------------------------------------------------------------------


def _batches_seen(m, batch_size, seed=0, epochs=1):
    """The examples of every step, each told by its number."""
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
    _fit(net, range(m), range(m), loss=loss, optimizer=optimizer, epochs=epochs, batch_size=batch_size, seed=seed)
    assert seen.pop() == []
    return seen


@pytest.mark.parametrize(
    ("m", "batch_size", "sizes"),
    [(7, 3, [3, 3, 1]), (6, 3, [3, 3]), (7, 1, [1] * 7), (7, 7, [7]), (7, 100, [7]), (7, None, [7]), (1, None, [1])],
)
def test_an_epoch_has_every_example_once_in_batches_of_which_the_last_may_be_smaller(m, batch_size, sizes):
    seen = _batches_seen(m, batch_size, epochs=3)
    assert [len(batch) for batch in seen] == sizes * 3
    for epoch in range(3):
        batches = seen[epoch * len(sizes) : (epoch + 1) * len(sizes)]
        assert sorted(y for batch in batches for y in batch) == list(range(m))


def test_every_epoch_has_an_order_of_its_own():
    seen = _batches_seen(20, 5, epochs=3)
    orders = [[y for batch in seen[epoch * 4 : epoch * 4 + 4] for y in batch] for epoch in range(3)]
    assert orders[0] != orders[1] != orders[2] != orders[0] != list(range(20))


def test_a_seed_repeats_the_batches_and_another_gives_others():
    assert _batches_seen(20, 5, seed=3) == _batches_seen(20, 5, seed=3)
    assert _batches_seen(20, 5, seed=3) != _batches_seen(20, 5, seed=4)


def test_without_a_seed_no_two_trainings_have_the_same_batches():
    assert _batches_seen(20, 5, seed=None) != _batches_seen(20, 5, seed=None)


def test_mini_batch_training_is_the_loop_written_by_hand_over_the_same_batches():
    numbers = _batches_seen(len(X), 3, seed=5, epochs=10)
    batches = [([X[i] for i in batch], [Y[i] for i in batch]) for batch in numbers]
    net, other = _net(), _net()
    optimizer, by_hand = ts.Adam(net.parameters(), 0.1), ts.Adam(other.parameters(), 0.1)
    history = _fit(net, X, Y, optimizer=optimizer, epochs=10, batch_size=3, seed=5)
    costs = _by_hand(other, batches, "squared_error", by_hand)
    assert _data(net) == pytest.approx(_data(other), rel=1e-12, abs=1e-13)
    sizes = [len(batch) for batch in numbers]
    means = [np.average(costs[e : e + 3], weights=sizes[e : e + 3]) for e in range(0, 30, 3)]
    assert history.cost == pytest.approx(means, rel=1e-12)


def test_training_leaves_the_global_generators_and_its_examples_alone():
    inputs, targets = np.array(X), np.array(Y)
    before = random.getstate(), np.random.get_state()[1].tolist()
    _fit(_net(), inputs, targets, epochs=2, batch_size=2)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before
    assert (inputs.tolist(), targets.tolist()) == (X, Y)


# --- history ---------------------------------------------------------------------------------------------------------


def test_the_history_has_one_cost_for_each_epoch():
    history = _fit(_net(), X, Y, epochs=5, batch_size=2)
    assert len(history.cost) == 5
    assert history.validation_cost == []


def test_the_first_cost_is_that_of_the_untrained_network():
    net = _net()
    untrained = ts.cost("squared_error", [net(x) for x in X], Y).data
    assert _fit(net, X, Y, epochs=3).cost[0] == pytest.approx(untrained, rel=1e-14)


def test_the_validation_cost_is_that_of_the_held_out_examples_after_each_epoch():
    net, other = _net(), _net()
    optimizer, by_hand = ts.Adam(net.parameters(), 0.1), ts.Adam(other.parameters(), 0.1)
    history = _fit(net, X[:5], Y[:5], optimizer=optimizer, validation=(X[5:], Y[5:]), epochs=4)
    costs = []
    for _ in range(4):
        _by_hand(other, [(X[:5], Y[:5])], "squared_error", by_hand)
        costs.append(ts.cost("squared_error", [other(x) for x in X[5:]], Y[5:]).data)
    assert history.validation_cost == pytest.approx(costs, rel=1e-12)


def test_validation_examples_are_not_trained_on():
    net, other = _net(), _net()
    with_validation = _fit(net, X[:5], Y[:5], validation=(X[5:], Y[5:]), epochs=4, batch_size=2)
    without = _fit(other, X[:5], Y[:5], epochs=4, batch_size=2)
    assert _data(net) == _data(other)
    assert with_validation.cost == without.cost


def test_losses_whose_sum_is_beyond_the_largest_float_still_have_a_mean():
    net = MLP(1, [1], "linear", seed=0)
    history = _fit(net, [0.0, 0.0], [1.2e154, 1.2e154], epochs=1)
    assert history.cost == pytest.approx([1.44e308])


def test_repr_of_a_history_says_how_many_epochs_and_how_the_cost_went():
    assert repr(ts.History([2.0, 1.0, 0.25])) == "History(3 epochs, cost 2 → 0.25)"
    assert repr(ts.History()) == "History(no epochs)"


# --- what it takes ---------------------------------------------------------------------------------------------------

KINDS = {
    "lists": list,
    "tuples": lambda rows: tuple(tuple(row) for row in rows),
    "array": np.array,
    "array of float32": lambda rows: np.array(rows, dtype=np.float32),
    "array by columns": lambda rows: np.asfortranarray(rows),
    "part of an array": lambda rows: np.repeat(np.array(rows), 2, axis=1)[:, ::2],
    "list of arrays": lambda rows: [np.array(row) for row in rows],
}


@pytest.mark.parametrize("kind", KINDS)
def test_examples_can_be_lists_tuples_and_arrays(kind):
    net, other = _net(), _net()
    _fit(net, KINDS[kind](X), KINDS[kind](Y), epochs=3, batch_size=2)
    _fit(other, X, Y, epochs=3, batch_size=2)
    assert _data(net) == _data(other)


COLUMNS = {
    "list": [0, 1, 1, 0],
    "floats": [0.0, 1.0, 1.0, 0.0],
    "bools": [False, True, True, False],
    "range of an array": np.array([0, 1, 1, 0]),
    "array of bools": np.array([False, True, True, False]),
    "column": [[0], [1], [1], [0]],
    "column of an array": np.array([[0], [1], [1], [0]], dtype=np.uint8),
}


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "binary_cross_entropy"])
@pytest.mark.parametrize("kind", COLUMNS)
def test_one_number_for_each_example_can_stand_in_a_row_or_in_a_column(kind, loss):
    net, other = MLP(1, [2, 1], seed=0), MLP(1, [2, 1], seed=0)
    _fit(net, COLUMNS[kind], COLUMNS[kind], loss=loss, epochs=3)
    _fit(other, COLUMNS["column"], COLUMNS["list"], loss=loss, epochs=3)
    assert _data(net) == _data(other)


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.uint16])
def test_integer_classes_can_be_an_array(dtype):
    net, other = (MLP(2, [3], "linear", seed=0) for _ in range(2))
    _fit(net, X, np.array(CLASSES, dtype=dtype), loss="cross_entropy", epochs=3)
    _fit(other, X, CLASSES, loss="cross_entropy", epochs=3)
    assert _data(net) == _data(other)


def test_counts_can_be_numpy_integers():
    assert len(_fit(_net(), X, Y, epochs=np.int64(3), batch_size=np.int32(2)).cost) == 3


# --- what it refuses, before anything has changed --------------------------------------------------------------------


def _with(rows, i, row):
    return [*rows[:i], row, *rows[i + 1 :]]


BAD = [
    ({"Y": Y[:-1]}, ValueError, "X has 7 examples but Y has 6"),
    ({"X": X[:2]}, ValueError, "X has 2 examples but Y has 7"),
    ({"X": [], "Y": []}, ValueError, "X must have the shape .* got \\(0,\\)"),
    ({"X": 1.0}, ValueError, "X must have the shape .* got \\(\\)"),
    ({"X": [[[1.0, 2.0]]] * 7}, ValueError, "X must have the shape .* got \\(7, 1, 2\\)"),
    ({"X": _with(X, 3, [1.0])}, ValueError, "the rows of X must all have the same length"),
    ({"Y": _with(Y, 3, [1.0])}, ValueError, "the rows of Y must all have the same length"),
    ({"X": _with(X, 1, [math.nan, 1.0])}, ValueError, "X must hold finite numbers, got nan at X\\[1, 0\\]"),
    ({"X": _with(X, 2, [1.0, -math.inf])}, ValueError, "X must hold finite numbers, got -inf at X\\[2, 1\\]"),
    ({"X": np.array(_with(X, 6, [1.0, math.inf]))}, ValueError, "X must hold finite numbers, got inf at X\\[6, 1\\]"),
    ({"Y": _with(Y, 4, [1.0, math.nan])}, ValueError, "Y must hold finite numbers, got nan at Y\\[4, 1\\]"),
    ({"Y": _with(SIGNS, 5, math.nan)}, ValueError, "Y must hold finite numbers, got nan at Y\\[5\\]"),
    ({"X": _with(X, 1, ["tall", "small"])}, TypeError, "X must hold numbers, got "),
    ({"X": "examples"}, TypeError, "X must hold numbers, got 'examples'"),
    ({"Y": ["cat"] * 7}, TypeError, "Y must hold numbers, got "),
    ({"X": _with(X, 1, [None, 1.0])}, TypeError, "X must hold numbers, got "),
    ({"X": _with(X, 1, [1j, 1.0])}, TypeError, "X must hold numbers, got "),
    ({"X": [[Value(1.0), Value(2.0)]] * 7}, TypeError, "X must hold numbers, got "),
    ({"X": None}, TypeError, "X must hold numbers, got None"),
    ({"X": [[1.0, 2.0, 3.0]] * 7}, ValueError, "2 inputs, got 3"),
    ({"X": [1.0] * 7}, ValueError, "2 inputs, got 1"),
    ({"Y": SIGNS}, ValueError, "one target per output, got 1 for 2"),
    ({"loss": "squared"}, ValueError, "loss must be one of squared_error.* got 'squared'"),
    ({"loss": None}, ValueError, "loss must be one of squared_error.* got None"),
    ({"loss": ["hinge"]}, (TypeError, ValueError), "loss must be one of squared_error.* got \\['hinge'\\]"),
    ({"loss": lambda a, y: a[0].data - y[0]}, TypeError, "a loss must return one Value, got "),
    ({"optimizer": "adamant"}, ValueError, "optimizer must be one of gradient_descent, sgd, .* got 'adamant'"),
    ({"optimizer": None}, TypeError, "or an optimizer over net.parameters\\(\\); got None"),
    ({"optimizer": ts.Adam}, TypeError, "or an optimizer over net.parameters\\(\\); got "),
    ({"optimizer": ts.Adam(_net().parameters())}, ValueError, "none of this network's parameters"),
    *[({"epochs": n}, ValueError, "epochs must be a positive integer, got ") for n in (0, -1, True, 2.0, "3", None)],
    *[({"batch_size": n}, ValueError, "batch_size must be a positive integer, got ") for n in (0, -1, True, 2.0, "3")],
]  # fmt: skip
BAD_VALIDATION = [
    ((X[:2], Y[:3]), ValueError, "validation X has 2 examples but validation Y has 3"),
    (
        (_with(X, 1, [1.0, math.nan]), Y),
        ValueError,
        "validation X must hold finite numbers, got nan at validation X\\[1, 1\\]",
    ),
    ((_with(X, 1, [1.0]), Y), ValueError, "the rows of validation X must all have the same length"),
    ((X, ["cat"] * 7), TypeError, "validation Y must hold numbers"),
    (([], []), ValueError, "validation X must have the shape"),
    (([[1.0]], Y[:1]), ValueError, "2 inputs, got 1"),
    ((X, SIGNS), ValueError, "one target per output, got 1 for 2"),
    ((X,), (TypeError, ValueError), "validation"),
    ((X, Y, Y), (TypeError, ValueError), "validation"),
    (0.2, (TypeError, ValueError), "validation"),
]
REFUSED_TARGETS = [
    ("binary_cross_entropy", [0.5, 1.5], "targets must be from 0 to 1, got 1.5"),
    ("cross_entropy", 3, "the class must be from 0 to 2 for 3 logits, got 3"),
    ("hinge", 0, "targets must be −1 or \\+1, got 0"),
]


def _require_refusal(net, error, words, **options):
    before = _data(net)
    with pytest.raises(error, match=words) as caught:
        _fit(net, options.pop("X", X), options.pop("Y", Y), **{"epochs": 2, **options})
    assert "\n" not in str(caught.value)
    assert _data(net) == before


@pytest.mark.parametrize(("options", "error", "words"), BAD, ids=range(len(BAD)))
def test_bad_input_is_one_line_and_changes_no_parameter(options, error, words):
    _require_refusal(_net(), error, words, **options)


@pytest.mark.parametrize(("validation", "error", "words"), BAD_VALIDATION, ids=range(len(BAD_VALIDATION)))
def test_bad_validation_examples_are_one_line_and_change_no_parameter(validation, error, words):
    _require_refusal(_net(), error, words, validation=validation)


@pytest.mark.parametrize("among", ["examples", "validation"])
@pytest.mark.parametrize(("loss", "target", "words"), REFUSED_TARGETS, ids=[row[0] for row in REFUSED_TARGETS])
def test_a_target_that_the_loss_cannot_take_changes_no_parameter_even_if_its_turn_comes_last(
    loss, target, words, among
):
    output_activation, n_outputs, good = TASKS[loss]
    last = _batches_seen(len(X), 1, seed=0)[-1][0]
    bad = _with(good, last, target)
    options = {"Y": bad} if among == "examples" else {"Y": good, "validation": (X, bad)}
    net = MLP(2, [3, n_outputs], "tanh", output_activation, seed=0)
    _require_refusal(net, ValueError, words, loss=loss, batch_size=1, seed=0, **options)


# --- divergence ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [None, 1])
@pytest.mark.parametrize("learning_rate", [10.0, 1e6, 1e150, 1e308])
def test_a_training_that_diverges_is_an_anomaly_and_leaves_finite_parameters(learning_rate, batch_size):
    net = MLP(2, [3, 2], "linear", seed=0)
    optimizer = GradientDescent(net.parameters(), learning_rate)
    with pytest.raises(AnomalyError, match=r"in epoch \d+ of the training .* became (inf|-inf|nan).*learning rate"):
        _fit(net, X, 100.0 * np.array(Y), optimizer=optimizer, epochs=10_000, batch_size=batch_size)
    assert all(math.isfinite(number) for number in _data(net))


def test_a_step_to_infinity_is_an_anomaly_and_taken_back_even_if_it_is_the_last():
    net = MLP(1, [1], "linear", seed=0)
    before = _data(net)
    with pytest.raises(AnomalyError, match="in epoch 1 "):
        _fit(net, [1.0], [-100.0], optimizer=GradientDescent(net.parameters(), 1e308), epochs=1)
    assert _data(net) == before


def test_a_loss_that_is_not_finite_is_an_anomaly_that_names_its_example_and_no_step_is_taken():
    net = MLP(1, [1], "linear", seed=0)
    before = _data(net)
    with pytest.raises(AnomalyError, match=r"in epoch 1 .* loss of the example x = 7.0 .* became inf"):
        _fit(net, [1.0, 7.0], [1.0, 1e200], epochs=2)
    assert _data(net) == before


def test_a_gradient_that_is_not_finite_is_an_anomaly_that_names_its_parameter_and_no_step_is_taken():
    net = MLP(1, [1], "linear", seed=0)
    before = _data(net)
    with pytest.raises(AnomalyError, match=r"in epoch 1 .* gradient of '?w\(1\)\[0,0\]'? became inf"):
        _fit(net, [1.0], [2.0], loss=lambda a, y: (a - before[0]).sqrt(), epochs=2)  # d√x/dx = ∞ at 0
    assert _data(net) == before


def test_an_anomaly_takes_back_no_step_of_the_batches_before():
    net, other = (MLP(1, [1], "linear", seed=0) for _ in range(2))
    order = [batch[0] for batch in _batches_seen(3, 1, seed=0)]
    targets = [1.0, 1.0, 1.0]
    targets[order[2]] = 1e200
    with pytest.raises(AnomalyError):
        _fit(net, [0.0, 1.0, 2.0], targets, epochs=1, batch_size=1, seed=0)
    _by_hand(other, [([float(i)], [1.0]) for i in order[:2]], "squared_error", ts.Adam(other.parameters()))
    assert _data(net) == pytest.approx(_data(other), rel=1e-12)


# --- what is left behind ---------------------------------------------------------------------------------------------


def _diverge():
    net = MLP(2, [3, 2], "linear", seed=0)
    try:
        _fit(net, X, Y, optimizer=GradientDescent(net.parameters(), 1e6), epochs=1000)
    except AnomalyError:
        return
    pytest.fail("the training did not diverge")


TRAININGS = {
    "full batch": lambda: _fit(_net(), X, Y, epochs=3),
    "mini-batches": lambda: _fit(_net(), X, Y, epochs=3, batch_size=2, validation=(X, Y)),
    "classes": lambda: _fit(MLP(2, [3, 3], "relu", "linear"), X, CLASSES, loss="cross_entropy", epochs=3),
    "with a progress bar": lambda: _fit(_net(), X, Y, epochs=3, progress=True),
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
    return {thing for thing in gc.get_objects() if isinstance(thing, Value)}


@pytest.mark.parametrize("validation", [None, (X[:2], Y[:2])], ids=["", "validation"])
def test_after_training_no_values_are_left_but_the_networks_parameters_and_its_last_example(validation):
    gc.collect()
    before = _living_values()
    net = _net()
    gc.disable()
    try:
        history = _fit(net, X, Y, epochs=3, batch_size=2, validation=validation)
        new = _living_values() - before
    finally:
        gc.enable()
    cached = {node for a in net.a[-1] for node in ts.topological_order(a)}
    assert new <= cached | set(net.parameters())
    assert all(type(cost) is float for cost in history.cost + history.validation_cost)


def test_memory_is_flat_over_2000_steps_with_the_garbage_collector_off():
    memory = array.array("q", bytes(8 * 2000))  # of fixed size: it takes no memory itself
    steps = iter(range(2000))

    class Watched(ts.Adam):
        def step(self):
            super().step()
            memory[next(steps)] = tracemalloc.get_traced_memory()[0]

    net = _net()
    inputs, targets = np.resize(X, (100, 2)), np.resize(Y, (100, 2))
    optimizer = Watched(net.parameters())
    gc.disable()
    tracemalloc.start()
    try:
        _fit(net, inputs, targets, optimizer=optimizer, epochs=20, batch_size=1)
    finally:
        tracemalloc.stop()
        gc.enable()
    assert next(steps, None) is None
    assert abs(max(memory[1000:]) - max(memory[200:1000])) < 2000  # bytes; one example's graph is some 10,000


# --- progress --------------------------------------------------------------------------------------------------------


def test_progress_is_a_bar_with_the_costs_on_stderr(capsys):
    ts.fit(_net(), X, Y, epochs=3, validation=(X, Y))
    out, err = capsys.readouterr()
    assert out == ""
    for words in ("training", "100%", "3/3", "cost=", "validation="):
        assert words in err


def test_without_progress_nothing_is_written(capsys):
    ts.fit(_net(), X, Y, epochs=3, progress=False)
    assert capsys.readouterr() == ("", "")


class Cut:
    """A network that loses its gradient on the way."""

    def __init__(self, lose):
        self.w, self.lose = Value(1.0, "w"), lose

    def __call__(self, x):
        return self.lose(self.w * x)

    def parameters(self):
        return [self.w]


@pytest.mark.parametrize(
    ("lose", "error", "words"),
    [
        (lambda a: Value(a.data), ValueError, "does not depend on any of the optimizer's parameters"),
        (lambda a: a.data, TypeError, "a network must return a Value or a list of Values"),
    ],
)
def test_a_network_that_loses_its_gradient_is_refused(lose, error, words):
    with pytest.raises(error, match=words):
        ts.fit(Cut(lose), [1.0, 2.0], [1.0, 2.0], progress=False)


@pytest.mark.parametrize("net", [lambda x: Value(x), 3, Value(1.0)])
def test_what_has_no_parameters_is_refused(net):
    with pytest.raises(TypeError, match=r"have parameters\(\)"):
        ts.fit(net, [1.0], [1.0], progress=False)


@pytest.mark.parametrize("vectorized", [True, False])
def test_parameters_left_out_of_the_optimizer_do_not_gather_gradients(vectorized):
    net = ts.MLP(1, [1], "linear", seed=0)
    w, b = net.parameters()
    ts.fit(net, [1.0], [3.0], optimizer=ts.GradientDescent([w], 1e-9), epochs=5, vectorized=vectorized, progress=False)
    (net(1.0) - 3.0).backward()
    assert b.grad == 1.0  # of this pass alone


# --- scalar by scalar or vectorized ----------------------------------------------------------------------------------

PROBLEMS = {
    "squared_error": ("tanh", "linear", Y[:4]),
    "absolute_error": ("softplus", "linear", Y[:4]),
    "binary_cross_entropy": ("relu", "sigmoid", [[0.0], [1.0], [1.0], [0.0]]),
    "cross_entropy": ("leaky_relu", "linear", [0, 2, 1, 0]),
    "hinge": ("sigmoid", "tanh", [[-1.0], [1.0], [1.0], [-1.0]]),
}


@pytest.mark.parametrize("optimizer", ["gradient_descent", "sgd", "rmsprop", "adam", "adamw"])
@pytest.mark.parametrize("loss", PROBLEMS)
def test_both_ways_of_training_give_the_same_network_and_history(loss, optimizer):
    activation, output, targets = PROBLEMS[loss]
    inputs = [[0.0, 1.0], [1.0, 0.5], [-1.0, 2.0], [0.25, -0.5]]
    widths = [5, 3] if loss == "cross_entropy" else [5, len(np.atleast_2d(targets)[0])]
    nets = [MLP(2, widths, activation, output, seed=1) for _ in range(2)]
    histories = [
        _fit(
            net, inputs, targets, loss=loss, optimizer=optimizer, epochs=10, batch_size=3,
            validation=(inputs, targets), vectorized=vectorized,
        )
        for net, vectorized in zip(nets, (True, False))
    ]  # fmt: skip
    assert _data(nets[0]) == pytest.approx(_data(nets[1]), rel=1e-10, abs=1e-12)
    assert [p.grad for p in nets[0].parameters()] == pytest.approx([p.grad for p in nets[1].parameters()], abs=1e-10)
    assert histories[0].cost == pytest.approx(histories[1].cost, rel=1e-10)
    assert histories[0].validation_cost == pytest.approx(histories[1].validation_cost, rel=1e-10)


def test_more_examples_than_a_piece_are_their_mean():
    rng = np.random.default_rng(0)
    inputs, targets = rng.normal(size=(2500, 2)), rng.normal(size=(2500, 1))
    nets = [MLP(2, [3, 1], "tanh", seed=0) for _ in range(2)]
    costs = [
        _fit(net, inputs, targets, epochs=2, batch_size=n, vectorized=vectorized).cost
        for net, n, vectorized in zip(nets, (None, None), (True, False))
    ]
    assert costs[0] == pytest.approx(costs[1], rel=1e-12)
    assert _data(nets[0]) == pytest.approx(_data(nets[1]), rel=1e-9)


def test_a_loss_that_branches_trains_scalar_by_scalar_with_a_warning_that_says_where():
    def loss(a, y):
        return (a - y) ** 2 if a.data > 0 else abs(a - y)

    nets = [MLP(1, [1], "linear", seed=0) for _ in range(2)]
    with pytest.warns(
        UserWarning, match=r"scalar by scalar.*test_training\.py:.*Pass vectorized=False to silence this warning"
    ):
        _fit(nets[0], [1.0, 2.0], [1.0, -1.0], loss=loss, epochs=3)
    _fit(nets[1], [1.0, 2.0], [1.0, -1.0], loss=loss, epochs=3, vectorized=False)
    assert _data(nets[0]) == _data(nets[1])

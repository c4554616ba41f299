"""`fit`'s errors: bad input before anything has changed, and a training that diverges."""

import math

import numpy as np
import pytest
from support.trainings import SIGNS, TASKS, X, Y, batches_seen, by_hand, data, fit, network, with_row

import tinygrad_scalar as ts
from tinygrad_scalar import MLP, AnomalyError, GradientDescent, Value
from tinygrad_scalar.nn.losses import LOSSES, Loss

# --- what it refuses, before anything has changed --------------------------------------------------------------------


BAD = [
    ({"Y": Y[:-1]}, ValueError, "X has 7 examples but Y has 6"),
    ({"X": X[:2]}, ValueError, "X has 2 examples but Y has 7"),
    ({"X": [], "Y": []}, ValueError, "X must be a non-empty array .* got shape \\(0,\\)"),
    ({"X": 1.0}, ValueError, "X must be a non-empty array .* got shape \\(\\)"),
    ({"X": [[[1.0, 2.0]]] * 7}, ValueError, "X must be a non-empty array .* got shape \\(7, 1, 2\\)"),
    ({"X": with_row(X, 3, [1.0])}, ValueError, "the rows of X must all have the same length"),
    ({"Y": with_row(Y, 3, [1.0])}, ValueError, "the rows of Y must all have the same length"),
    ({"X": with_row(X, 1, [math.nan, 1.0])}, ValueError, "X must hold finite numbers, got nan at X\\[1, 0\\]"),
    ({"X": with_row(X, 2, [1.0, -math.inf])}, ValueError, "X must hold finite numbers, got -inf at X\\[2, 1\\]"),
    ({"X": np.array(with_row(X, 6, [1.0, math.inf]))}, ValueError, "X must hold .*, got inf at X\\[6, 1\\]"),
    ({"Y": with_row(Y, 4, [1.0, math.nan])}, ValueError, "Y must hold finite numbers, got nan at Y\\[4, 1\\]"),
    ({"Y": with_row(SIGNS, 5, math.nan)}, ValueError, "Y must hold finite numbers, got nan at Y\\[5\\]"),
    ({"X": with_row(X, 1, ["tall", "small"])}, TypeError, "X must hold numbers, got "),
    ({"X": "examples"}, TypeError, "X must hold numbers, got 'examples'"),
    ({"Y": ["cat"] * 7}, TypeError, "Y must hold numbers, got "),
    ({"X": with_row(X, 1, [None, 1.0])}, TypeError, "X must hold numbers, got "),
    ({"X": with_row(X, 1, [1j, 1.0])}, TypeError, "X must hold numbers, got "),
    ({"X": [[Value(1.0), Value(2.0)]] * 7}, TypeError, "X must hold numbers, got "),
    ({"X": None}, TypeError, "X must hold numbers, got None"),
    ({"X": [[1.0, 2.0, 3.0]] * 7}, ValueError, "2 inputs, got 3"),
    ({"X": [1.0] * 7}, ValueError, "2 inputs, got 1"),
    ({"Y": SIGNS}, ValueError, "one target per output; got 2 and 1"),
    ({"loss": "squared"}, ValueError, "loss must be one of squared_error.* got 'squared'"),
    ({"loss": None}, ValueError, "loss must be one of squared_error.* got None"),
    ({"loss": ["hinge"]}, (TypeError, ValueError), "loss must be one of squared_error.* got \\['hinge'\\]"),
    ({"loss": lambda a, y: a[0].data - y[0]}, TypeError, "a loss must return one Value, got "),
    ({"optimizer": "adamant"}, ValueError, "optimizer must be one of gradient_descent, sgd, .* got 'adamant'"),
    ({"optimizer": None}, TypeError, "or an optimizer over net.parameters\\(\\); got None"),
    ({"optimizer": ts.Adam}, TypeError, "or an optimizer over net.parameters\\(\\); got "),
    ({"optimizer": ts.Adam(network().parameters())}, ValueError, "none of this network's parameters"),
    *[({"epochs": n}, ValueError, "epochs must be a positive integer, got ") for n in (0, -1, True, 2.0, "3", None)],
    *[({"batch_size": n}, ValueError, "batch_size must be a positive integer, got ") for n in (0, -1, True, 2.0, "3")],
]  # fmt: skip
BAD_VALIDATION = [
    ((X[:2], Y[:3]), ValueError, "validation X has 2 examples but validation Y has 3"),
    (
        (with_row(X, 1, [1.0, math.nan]), Y),
        ValueError,
        "validation X must hold finite numbers, got nan at validation X\\[1, 1\\]",
    ),
    ((with_row(X, 1, [1.0]), Y), ValueError, "the rows of validation X must all have the same length"),
    ((X, ["cat"] * 7), TypeError, "validation Y must hold numbers"),
    (([], []), ValueError, "validation X must be a non-empty array"),
    (([[1.0]], Y[:1]), ValueError, "2 inputs, got 1"),
    ((X, SIGNS), ValueError, "one target per output; got 2 and 1"),
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
    before = data(net)
    with pytest.raises(error, match=words) as caught:
        fit(net, options.pop("X", X), options.pop("Y", Y), **{"epochs": 2, **options})
    assert "\n" not in str(caught.value)
    assert data(net) == before


@pytest.mark.parametrize(("options", "error", "words"), BAD, ids=range(len(BAD)))
def test_bad_input_is_one_line_and_changes_no_parameter(options, error, words):
    _require_refusal(network(), error, words, **options)


@pytest.mark.parametrize(("validation", "error", "words"), BAD_VALIDATION, ids=range(len(BAD_VALIDATION)))
def test_bad_validation_examples_are_one_line_and_change_no_parameter(validation, error, words):
    _require_refusal(network(), error, words, validation=validation)


@pytest.mark.parametrize("among", ["examples", "validation"])
@pytest.mark.parametrize(("loss", "target", "words"), REFUSED_TARGETS, ids=[row[0] for row in REFUSED_TARGETS])
def test_a_target_that_the_loss_cannot_take_changes_no_parameter_even_if_its_turn_comes_last(
    loss, target, words, among
):
    output_activation, n_outputs, good = TASKS[loss]
    last = batches_seen(len(X), 1, seed=0)[-1][0]
    bad = with_row(good, last, target)
    options = {"Y": bad} if among == "examples" else {"Y": good, "validation": (X, bad)}
    net = MLP(2, [3, n_outputs], "tanh", output_activation, seed=0)
    _require_refusal(net, ValueError, words, loss=loss, batch_size=1, seed=0, **options)


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


# --- divergence ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [None, 1])
@pytest.mark.parametrize("learning_rate", [10.0, 1e6, 1e150, 1e308])
def test_a_training_that_diverges_is_an_anomaly_and_leaves_finite_parameters(learning_rate, batch_size):
    net = MLP(2, [3, 2], "linear", seed=0)
    optimizer = GradientDescent(net.parameters(), learning_rate)
    with pytest.raises(AnomalyError, match=r"became (inf|-inf|nan) in epoch \d+.*learning rate"):
        fit(net, X, 100.0 * np.array(Y), optimizer=optimizer, epochs=10_000, batch_size=batch_size)
    assert all(math.isfinite(number) for number in data(net))


def test_a_step_to_infinity_is_an_anomaly_and_taken_back_even_if_it_is_the_last():
    net = MLP(1, [1], "linear", seed=0)
    before = data(net)
    with pytest.raises(AnomalyError, match="in epoch 1:"):
        fit(net, [1.0], [-100.0], optimizer=GradientDescent(net.parameters(), 1e308), epochs=1)
    assert data(net) == before


def test_a_loss_that_is_not_finite_is_an_anomaly_that_names_its_example_and_no_step_is_taken():
    net = MLP(1, [1], "linear", seed=0)
    before = data(net)
    with pytest.raises(AnomalyError, match=r"loss of the example x = 7.0 .* became inf in epoch 1:"):
        fit(net, [1.0, 7.0], [1.0, 1e200], epochs=2)
    assert data(net) == before


def test_a_gradient_that_is_not_finite_is_an_anomaly_that_names_its_parameter_and_no_step_is_taken():
    net = MLP(1, [1], "linear", seed=0)
    before = data(net)
    with pytest.raises(AnomalyError, match=r"gradient of '?w\(1\)\[0,0\]'? became inf in epoch 1:"):
        fit(net, [1.0], [2.0], loss=lambda a, y: (a - before[0]).sqrt(), epochs=2)  # d√x/dx = ∞ at 0
    assert data(net) == before


def test_an_anomaly_takes_back_no_step_of_the_batches_before():
    net, other = (MLP(1, [1], "linear", seed=0) for _ in range(2))
    order = [batch[0] for batch in batches_seen(3, 1, seed=0)]
    targets = [1.0, 1.0, 1.0]
    targets[order[2]] = 1e200
    with pytest.raises(AnomalyError):
        fit(net, [0.0, 1.0, 2.0], targets, epochs=1, batch_size=1, seed=0)
    by_hand(other, [([float(i)], [1.0]) for i in order[:2]], "squared_error", ts.Adam(other.parameters()))
    assert data(net) == pytest.approx(data(other), rel=1e-12)


@pytest.mark.parametrize("targets", [[0, 1, 1, 0] * 250, [[0.0, 1.0], [1.0, 0.0]] * 500], ids=["classes", "rows"])
def test_equal_targets_are_checked_once_and_none_is_left_out(targets, monkeypatch):
    checked = []

    def counted(a, y):
        checked.append(y)
        if y in (7, [7.0, 7.0]):
            raise ValueError("not 7")
        return a[0] + a[1]

    monkeypatch.setitem(LOSSES, "counted", Loss(counted, "linear", None))
    net = MLP(1, [2], seed=0)
    ts.fit(net, [0.5] * 1000, targets, loss="counted", epochs=1, progress=False, vectorized=False)
    assert len(checked) < 1020  # 1000 of them to train
    for place in (0, 500, 999):
        wrong = [*targets]
        wrong[place] = 7 if isinstance(targets[0], int) else [7.0, 7.0]
        checked.clear()
        with pytest.raises(ValueError, match="not 7"):
            ts.fit(net, [0.5] * 1000, wrong, loss="counted", epochs=1, progress=False, vectorized=False)
        assert len(checked) <= 3  # before the training

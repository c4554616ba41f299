"""The options of `fit`: early stopping, schedules, penalties, example weights, interruption."""

import copy
import math
import pickle

import numpy as np
import pytest
from support.trainings import CLASSES, SIGNS, X, Y, by_hand, data, fit, network

import tinygrad_scalar as ts
from tinygrad_scalar.nn import EarlyStopping, cosine_decay, step_decay, warm_up
from tinygrad_scalar.nn.kept_program import KEPT

both_ways = pytest.mark.parametrize("vectorized", [True, False])


def descent(net, rate=0.1):
    return ts.GradientDescent(net.parameters(), rate)


# --- callbacks -------------------------------------------------------------------------------------------------------


@both_ways
def test_a_callback_sees_each_epoch_and_the_parameters_after_it(vectorized):
    net, other, seen = network(), network(), []
    history = fit(
        net, X, Y, optimizer=descent(net), epochs=4, validation=(X, Y), metrics=["rmse"], vectorized=vectorized,
        callbacks=lambda epoch: seen.append((epoch, epoch.parameters)),
    )  # fmt: skip
    other_descent = descent(other)
    for (epoch, parameters), i in zip(seen, range(4)):
        by_hand(other, [(X, Y)], "squared_error", other_descent)
        assert parameters == pytest.approx(data(other), rel=1e-12)
        assert (epoch.number, epoch.epochs) == (i + 1, 4)
        assert (epoch.cost, epoch.validation_cost) == (history.cost[i], history.validation_cost[i])
        assert epoch.metrics == {"rmse": history.metrics["rmse"][i]}
    assert len(seen) == 4
    assert history.stopped == ""


@both_ways
def test_a_callback_that_returns_true_stops_after_all_have_been_called(vectorized):
    seen = []
    callbacks = [lambda epoch: epoch.number == 3, lambda epoch: seen.append(epoch.number)]
    history = fit(network(), X, Y, epochs=10, callbacks=callbacks, vectorized=vectorized)
    assert len(history.cost) == 3
    assert seen == [1, 2, 3]
    assert history.stopped == "early"
    assert "stopped early" in repr(history)


def test_only_true_itself_stops():
    assert len(fit(network(), X, Y, epochs=3, callbacks=[lambda epoch: epoch.cost, lambda epoch: "x"]).cost) == 3


@pytest.mark.parametrize("callbacks", [3, [3], "print"])
def test_what_cannot_be_called_is_no_callback(callbacks):
    net = network()
    with pytest.raises(TypeError, match="callbacks must be functions of an Epoch, got"):
        fit(net, X, Y, callbacks=callbacks)
    assert data(net) == data(network())


# --- early stopping --------------------------------------------------------------------------------------------------


def rising_validation(net, **options):
    """Training on targets that the validation examples contradict: their cost rises from the second epoch on."""
    held_out = (X, [[1.0 - y for y in row] for row in Y])
    return fit(net, X, Y, optimizer=descent(net, 0.5), epochs=50, validation=held_out, **options)


@both_ways
def test_training_stops_when_the_validation_cost_no_longer_falls_and_goes_back_to_the_best_epoch(vectorized):
    net, after = network(), []
    history = rising_validation(
        net, early_stopping=5, callbacks=lambda epoch: after.append(epoch.parameters), vectorized=vectorized
    )
    best = int(np.argmin(history.validation_cost))
    assert history.stopped == "early"
    assert len(history.cost) == best + 1 + 5
    assert history.best_epoch == best + 1
    assert data(net) == after[best].tolist()


def test_without_restore_the_last_parameters_stay():
    net, after = network(), []
    history = rising_validation(
        net, early_stopping=EarlyStopping(5, restore=False), callbacks=lambda epoch: after.append(epoch.parameters)
    )
    assert history.best_epoch is None
    assert data(net) == after[-1].tolist()


def test_a_fall_below_min_delta_does_not_count():
    history = fit(network(), X, Y, epochs=100, early_stopping=EarlyStopping(3, min_delta=10.0))
    assert len(history.cost) == 4


def test_a_training_that_ends_by_itself_goes_back_too():
    net, after = network(), []
    history = rising_validation(net, early_stopping=1000, callbacks=lambda epoch: after.append(epoch.parameters))
    assert history.stopped == ""
    assert data(net) == after[history.best_epoch - 1].tolist()


@pytest.mark.parametrize(
    ("rule", "error"),
    [("soon", TypeError), (True, TypeError), (0, ValueError), (-1, ValueError), (2.5, (TypeError, ValueError))],
)
def test_a_patience_that_is_no_number_of_epochs_is_refused(rule, error):
    with pytest.raises(error, match="early_stopping"):
        fit(network(), X, Y, early_stopping=rule)


# --- schedules -------------------------------------------------------------------------------------------------------


@both_ways
@pytest.mark.parametrize(
    "schedule", [step_decay(2, 0.5), cosine_decay, warm_up(2.0), lambda t, epochs: 1.0 / (1.0 + t)]
)
def test_each_step_has_the_scheduled_learning_rate(schedule, vectorized):
    net, other = network(), network()
    optimizer, other_optimizer = descent(net), descent(other)
    fit(net, X, Y, optimizer=optimizer, epochs=5, schedule=schedule, vectorized=vectorized)
    for epoch in range(5):
        other_optimizer.learning_rate = 0.1 * schedule(epoch, 5)
        by_hand(other, [(X, Y)], "squared_error", other_optimizer)
    assert data(net) == pytest.approx(data(other), rel=1e-11)
    assert optimizer.learning_rate == 0.1


def test_within_an_epoch_the_fraction_counts():
    asked = []
    fit(network(), X, Y, epochs=2, batch_size=2, schedule=lambda t, epochs: asked.append((t, epochs)) or 1.0)
    assert asked == [(epoch + 2 * step / len(X), 2) for epoch in range(2) for step in range(4)]


@pytest.mark.parametrize("name", ["constant", "step", "cosine", "warm_up"])
def test_schedules_have_names(name):
    fit(network(), X, Y, epochs=2, schedule=name)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("fast", "one of constant, step, cosine, warm_up"),
        (lambda t, e: -1.0, "≥ 0, got −?-1"),
        (lambda t, e: "x", "'x'"),
    ],
)
def test_a_schedule_that_gives_no_rate_is_refused(schedule, message):
    net = network()
    with pytest.raises(ValueError, match=message):
        fit(net, X, Y, schedule=schedule)
    assert data(net) == data(network())


# --- penalties and clipping ------------------------------------------------------------------------------------------


@both_ways
def test_penalties_are_those_of_the_cost_with_them_in_it(vectorized):
    net, other = network(), network()
    fit(net, X, Y, optimizer=descent(net), epochs=3, l1=0.02, l2=0.05, vectorized=vectorized)
    other_descent = descent(other)
    weights = [p for p in other.parameters() if p.label.startswith("w")]
    for _ in range(3):
        C = ts.cost("squared_error", [other(x) for x in X], Y)
        C = C + 0.02 * sum(abs(w) for w in weights) + 0.05 * sum(w * w for w in weights)
        other_descent.zero_grad()
        C.backward()
        other_descent.step()
    assert data(net) == pytest.approx(data(other), rel=1e-11)


@both_ways
def test_a_clipped_gradient_keeps_its_direction(vectorized):
    net, start = network(), np.array(data(network()))
    fit(net, X, Y, optimizer=descent(net, 1.0), epochs=1, clip_norm=0.01, vectorized=vectorized)
    step = np.array(data(net)) - start
    free = network()
    fit(free, X, Y, optimizer=descent(free, 1.0), epochs=1)
    whole = np.array(data(free)) - start
    assert np.linalg.norm(step) == pytest.approx(0.01)
    assert step / 0.01 == pytest.approx(whole / np.linalg.norm(whole), rel=1e-9)


def test_a_short_gradient_is_not_changed():
    net, free = network(), network()
    fit(net, X, Y, epochs=3, clip_norm=1e6)
    fit(free, X, Y, epochs=3)
    assert data(net) == data(free)


@pytest.mark.parametrize("options", [{"l1": -1}, {"l2": math.nan}, {"clip_norm": 0}, {"l1": "a"}, {"clip_norm": -1.0}])
def test_wrong_penalties_are_refused(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} must be a"):
        fit(network(), X, Y, **options)


# --- weights of examples ---------------------------------------------------------------------------------------------


@both_ways
def test_an_example_of_weight_two_counts_as_if_it_were_there_twice(vectorized):
    net, other = network(), network()
    costs = fit(
        net, X, Y, optimizer=descent(net), epochs=3, sample_weight=[2, 1, 1, 0, 1, 1, 1], vectorized=vectorized
    ).cost
    rows = [0, 0, 1, 2, 4, 5, 6]
    costs_twice = fit(other, [X[i] for i in rows], [Y[i] for i in rows], optimizer=descent(other), epochs=3).cost
    assert data(net) == pytest.approx(data(other), rel=1e-11)
    assert costs == pytest.approx(costs_twice, rel=1e-12)


def test_class_weights_are_the_weights_of_their_examples():
    nets = [ts.MLP(2, [3], "linear", seed=0) for _ in range(3)]
    options = {"loss": "cross_entropy", "epochs": 3}
    fit(nets[0], X, CLASSES, class_weight={0: 1.0, 1: 2.0, 2: 3.0}, **options)
    fit(nets[1], X, CLASSES, sample_weight=[c + 1.0 for c in CLASSES], **options)
    assert data(nets[0]) == data(nets[1])
    counts = np.bincount(CLASSES)
    fit(nets[0], X, CLASSES, class_weight="balanced", **options)
    fit(nets[1], X, CLASSES, sample_weight=[1.0 / counts[c] for c in CLASSES], **options)
    assert data(nets[0]) == pytest.approx(data(nets[1]), rel=1e-12)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"sample_weight": [1.0]}, ValueError, r"shape \(7,\), got \(1,\)"),
        ({"sample_weight": [-1.0] * 7}, ValueError, "≥ 0, got -1"),
        ({"sample_weight": [0.0] * 7}, ValueError, "weight 0"),
        ({"sample_weight": [math.nan] * 7}, ValueError, "finite"),
        ({"class_weight": {1: 1.0}}, ValueError, "no weight for the class -1"),
        ({"class_weight": {1: "a", -1: 1.0}}, TypeError, "classes to numbers"),
        ({"class_weight": "even"}, TypeError, "balanced"),
    ],
)
def test_wrong_weights_are_refused(options, error, message):
    net = ts.MLP(2, [1], "linear", seed=0)
    before = data(net)
    with pytest.raises(error, match=message):
        fit(net, X, SIGNS, loss="hinge", **options)
    assert data(net) == before


# --- interruptions ---------------------------------------------------------------------------------------------------


@both_ways
def test_an_interrupted_training_leaves_the_history_and_the_parameters_of_its_last_step(vectorized):
    net, after = network(), []

    def interrupt(epoch):
        after.append(epoch.parameters)
        if epoch.number == 3:
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="interrupted after 3 of 10 epochs"):
        history = fit(net, X, Y, epochs=10, callbacks=interrupt, vectorized=vectorized)
    assert len(history.cost) == 3
    assert history.stopped == "interrupted"
    assert data(net) == after[-1].tolist()


# --- the program that is kept ----------------------------------------------------------------------------------------


def counted(calls):
    def loss(a, y):
        calls.append(1)
        return ts.squared_error(a, y)

    return loss


def test_a_second_training_does_not_derive_anew_and_gives_the_same_numbers():
    net, other = network(), network()
    adam, other_adam = ts.Adam(net.parameters()), ts.Adam(other.parameters())
    costs = [fit(net, X, Y, optimizer=adam, epochs=1).cost[0] for _ in range(5)]
    program = vars(net)[KEPT]
    assert costs == fit(other, X, Y, optimizer=other_adam, epochs=5).cost
    assert data(net) == data(other)
    fit(net, X, Y, optimizer=adam, epochs=1)
    assert vars(net)[KEPT] is program


def test_the_kept_program_follows_the_network():
    net = network()
    fit(net, X, Y, epochs=1)
    net.layers[0].neurons[0].w[0].data = 3.0
    other = copy.deepcopy(net)
    assert fit(net, X, Y, epochs=2).cost == fit(other, X, Y, epochs=2).cost
    assert data(net) == data(other)


@pytest.mark.parametrize("changed", ["layers", "neurons", "activation", "loss"])
def test_changed_parts_and_another_loss_have_another_program(changed):
    nets = [ts.MLP(2, [3, 2], "tanh", "sigmoid", seed=0) for _ in range(2)]
    loss = "squared_error"
    fit(nets[0], X, Y, epochs=1, optimizer=descent(nets[0], 0.0))  # which leaves the parameters as they are
    for net in nets:
        if changed == "layers":
            net.layers = [*net.layers[:1], ts.Layer(3, 2, "linear", seed=3, layer=2)]
        elif changed == "neurons":
            net.layers[0].neurons[1] = ts.Neuron(2, "relu", seed=4, layer=1, index=1)
        elif changed == "activation":
            net.layers[0].neurons[1].activation = "relu"
        else:
            loss = "absolute_error"
    assert fit(nets[0], X, Y, loss=loss, epochs=3).cost == fit(nets[1], X, Y, loss=loss, epochs=3).cost
    assert data(nets[0]) == data(nets[1])


def test_a_network_with_a_kept_program_is_copied_pickled_and_saved_as_ever(tmp_path):
    net = network()
    fit(net, X, Y, epochs=1)
    for twin in (copy.copy(net), copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert data(twin) == data(net)
        assert KEPT not in vars(twin)
    ts.save(net, tmp_path / "net.safetensors")
    assert data(ts.load(tmp_path / "net.safetensors")) == data(net)


@pytest.mark.parametrize("name", ["vectorized", "progress"])
def test_a_text_is_no_yes_or_no(name):
    net = ts.MLP(1, [1], "linear", seed=0)
    before = [p.data for p in net.parameters()]
    with pytest.raises(TypeError, match=f"{name} must be True or False, got 'no'"):
        ts.fit(net, [0.0, 1.0], [0.0, 1.0], **{"progress": False, name: "no"})
    assert [p.data for p in net.parameters()] == before


def test_early_stopping_holds_plain_numbers_and_a_flag():
    rule = ts.EarlyStopping(np.int64(3), np.float32(0.5), np.False_)
    assert (type(rule.patience), type(rule.min_delta), type(rule.restore)) == (int, float, bool)
    with pytest.raises(TypeError, match="restore must be True or False, got 'no'"):
        ts.EarlyStopping(restore="no")

"""`fit(checkpoint=, resume=)`: a resumed training ends bit for bit where an uninterrupted one does."""

import copy
import os
import random
import time

import numpy as np
import pytest
from support.trainings import TASKS, X, Y, data, fit, network

import tinygrad_scalar as ts
from tinygrad_scalar.nn import EarlyStopping, checkpoint, cosine_decay, step_decay, warm_up
from tinygrad_scalar.nn.optim import OPTIMIZERS

both_ways = pytest.mark.parametrize("vectorized", [True, False])


class Momentum(ts.nn.Optimizer):
    """A custom optimizer; its state is arrays, numbers and None, some of them made in the first step."""

    def __init__(self, parameters, rate=0.05):
        super().__init__(parameters, rate)
        self.velocity, self.last, self.counts, self.pair = None, 0.0, np.zeros(2, np.int64), (1, [2.5, None])

    def stepped(self, theta, g):
        self.velocity = g if self.velocity is None else 0.9 * self.velocity + g
        self.counts[0] += 1
        self.last = np.float64(abs(g).sum())
        self.longest = max(getattr(self, "longest", 0.0), float(self.last))
        return theta - self.learning_rate / (1.0 + 0.01 * int(self.counts[0])) * self.velocity


@pytest.fixture
def file(tmp_path):
    return tmp_path / "run.safetensors"


def outcome(net, history):
    return [p.data.hex() for p in net.parameters()], repr(vars(history))


def training(epochs=12, make=network, optimizer="adam", **options):
    net = make()
    if not isinstance(optimizer, str):
        optimizer = optimizer(net.parameters())
    return outcome(net, fit(net, X, Y, epochs=epochs, optimizer=optimizer, **options))


class Killed(BaseException):
    pass


def kill_at(epoch):
    def callback(now):
        if now.number == epoch:
            raise Killed

    return callback


def killed_and_resumed(file, *epochs, **options):
    """The outcome of a training that ended in each of these epochs, before its checkpoint, and went on."""
    for epoch in epochs:
        with pytest.raises(Killed):
            training(checkpoint=file, resume=True, **{**options, "callbacks": kill_at(epoch)})
    return training(checkpoint=file, resume=True, **options)


@pytest.fixture(autouse=True)
def every_epoch(monkeypatch):
    monkeypatch.setattr(checkpoint, "SHARE", np.inf)


# --- to the bit ------------------------------------------------------------------------------------------------------

OPTIONS = {
    "batches": {"batch_size": 3},
    "another seed": {"batch_size": 2, "seed": 7},
    "validation": {"validation": (X[:3], Y[:3]), "metrics": ["rmse", "mae"], "batch_size": 3},
    "penalties": {"l1": 0.01, "l2": 0.02, "clip_norm": 0.1, "batch_size": 3},
    "weights": {"sample_weight": [1, 2, 3, 4, 5, 6, 7], "batch_size": 3},
    "steps": {"schedule": step_decay(3, 0.5), "batch_size": 3},
    "cosine": {"schedule": "cosine"},
    "warm-up": {"schedule": warm_up(4, "cosine"), "batch_size": 3},
    "early stopping": {"early_stopping": EarlyStopping(2, 10.0)},
    "early stopping of the cost, without restoring": {"early_stopping": EarlyStopping(2, 10.0, restore=False)},
    "early stopping that does not stop": {"early_stopping": 12, "validation": (X[:2], Y[:2]), "batch_size": 3},
    "another loss": {"loss": "absolute_error"},
    "a custom loss": {"loss": lambda a, y: (a[0] - y[0]) ** 2 + a[1] ** 2},
}


@pytest.mark.parametrize("vectorized", [True, pytest.param(False, marks=pytest.mark.thorough)])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_a_resumed_training_ends_in_the_bits_of_the_uninterrupted_one(options, vectorized, file):
    expected = training(**options, vectorized=vectorized)
    stops_early = "'early'" in expected[1]
    assert (
        killed_and_resumed(file, *((2, 3) if stops_early else (2, 3, 9)), **options, vectorized=vectorized) == expected
    )


@both_ways
@pytest.mark.parametrize("optimizer", [*OPTIMIZERS, lambda p: ts.SGD(p, 0.1, momentum=0.9, nesterov=True), Momentum])
def test_every_optimizer_goes_on_with_what_it_remembers(optimizer, vectorized, file):
    options = {"optimizer": optimizer, "vectorized": vectorized, "batch_size": 3}
    assert killed_and_resumed(file, 3, 5, 11, **options) == training(**options)


class OwnStep(ts.SGD):
    """An optimizer that `fit` must step by its step()."""

    def step(self):
        super().step()
        self.taken = getattr(self, "taken", 0) + 1


def test_an_optimizer_with_a_step_of_its_own_goes_on_too(file):
    options = {"optimizer": lambda p: OwnStep(p, 0.1, momentum=0.5), "batch_size": 3}
    assert killed_and_resumed(file, 4, **options) == training(**options)


@both_ways
def test_parameters_that_are_not_the_optimizers_come_from_the_file(vectorized, file):
    def last_layer(net, rate=0.1):
        return ts.SGD(net.layers[1].parameters(), rate, momentum=0.5)

    nets = [ts.MLP(2, [3, 2], "tanh", "sigmoid", seed=seed) for seed in (1, 1, 2)]
    options = {"batch_size": 3, "vectorized": vectorized}
    expected = outcome(nets[0], fit(nets[0], X, Y, epochs=8, optimizer=last_layer(nets[0]), **options))
    fit(nets[1], X, Y, epochs=3, optimizer=last_layer(nets[1]), checkpoint=file, **options)
    # a network of another seed: every number that matters is in the file
    history = fit(nets[2], X, Y, epochs=8, optimizer=last_layer(nets[2]), checkpoint=file, resume=True, **options)
    assert outcome(nets[2], history) == expected


@both_ways
def test_a_checkpoint_changes_nothing_in_the_training_that_writes_it(vectorized, file):
    options = {"batch_size": 3, "vectorized": vectorized}
    assert training(checkpoint=file, **options) == training(**options)


def test_a_generator_of_ones_own_goes_on_from_its_state(file):
    options = [{"batch_size": 3, "seed": random.Random(5)} for _ in range(3)]
    expected = training(**options[0])
    training(epochs=5, checkpoint=file, **options[1])
    options[2]["seed"].random()
    assert training(checkpoint=file, resume=True, **options[2]) == expected
    assert options[2]["seed"].random() == options[0]["seed"].random()


def test_the_network_and_optimizer_of_an_interrupted_training_can_go_on_themselves(file):
    expected, net = training(batch_size=3), network()
    adam, stops = ts.Adam(net.parameters()), [4]

    def interrupt(epoch):
        if [epoch.number] == stops:
            stops.clear()
            raise KeyboardInterrupt

    again = {"optimizer": adam, "epochs": 12, "batch_size": 3, "checkpoint": file, "resume": True}
    with pytest.warns(UserWarning, match="interrupted after 4"):
        fit(net, X, Y, callbacks=interrupt, **again)
    assert outcome(net, fit(net, X, Y, callbacks=interrupt, **again)) == expected


def test_more_epochs_go_on_as_if_there_had_been_so_many_from_the_beginning(file):
    training(epochs=5, checkpoint=file, batch_size=3)
    assert training(epochs=12, checkpoint=file, resume=True, batch_size=3) == training(epochs=12, batch_size=3)


@pytest.mark.parametrize("options", [{}, {"early_stopping": EarlyStopping(2, 10.0)}, {"schedule": "cosine"}])
def test_a_training_that_has_ended_stays_as_it_is(options, file):
    expected = training(checkpoint=file, **options)
    before, calls = file.read_bytes(), []
    assert training(checkpoint=file, resume=True, callbacks=calls.append, **options) == expected
    assert file.read_bytes() == before
    assert calls == []


@pytest.mark.parametrize("loss", TASKS)
def test_every_loss_goes_on(loss, file):
    activation, k, targets = TASKS[loss]

    def run(epochs, **options):
        net = ts.MLP(2, [3, k], "tanh", activation, seed=0)
        return outcome(net, fit(net, X, targets, loss=loss, epochs=epochs, batch_size=4, **options))

    run(3, checkpoint=file)
    assert run(7, checkpoint=file, resume=True) == run(7)


def test_resume_begins_where_there_is_no_file(file):
    assert training(checkpoint=file, resume=True) == training()
    assert file.exists()


def test_callbacks_see_the_epochs_that_are_left_with_the_whole_history(file):
    seen = []
    training(epochs=3, checkpoint=file)
    training(epochs=5, checkpoint=file, resume=True, callbacks=lambda e: seen.append((e.number, len(e.history.cost))))
    assert seen == [(4, 4), (5, 5)]


def test_a_network_that_draws_at_random_is_trained_with_a_warning(file):
    draw = random.Random(0)

    def noisy(make):
        net = make()
        return type(
            "Noisy",
            (),
            {"parameters": net.parameters, "__call__": lambda self, x: net([a + draw.gauss(0, 0.1) for a in x])},
        )()

    for epochs in (2, 4):
        with pytest.warns(UserWarning, match="draws random numbers of its own"):
            history = fit(noisy(network), X, Y, epochs=epochs, vectorized=False, checkpoint=file, resume=True)
    assert len(history.cost) == 4


# --- how often -------------------------------------------------------------------------------------------------------


def test_writing_takes_no_more_than_its_share_of_the_time_and_the_last_epoch_is_written(file, monkeypatch):
    monkeypatch.setattr(checkpoint, "SHARE", 0.25)
    now, writes, write = [0.0], [], checkpoint.write_atomically
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def slow(path, content):
        write(path, content)
        now[0] += 1.0
        writes.append(len(seen))

    monkeypatch.setattr(checkpoint, "write_atomically", slow)
    seen = []

    def second(epoch):
        seen.append(epoch.number)
        now[0] += 1.0

    training(epochs=18, checkpoint=file, callbacks=second)
    assert writes == [1, 5, 9, 13, 17, 18]


# --- another training ------------------------------------------------------------------------------------------------


def other_activation():
    return ts.MLP(2, [3, 2], "relu", "sigmoid", seed=0)


class Wrapped:
    """A custom network whose attributes do not tell what it computes."""

    def __init__(self, f):
        self.net, self.f = network(), f

    def parameters(self):
        return self.net.parameters()

    def __call__(self, x):
        return self.f(self.net(x))


BASE = {"batch_size": 3, "validation": (X[:3], Y[:3]), "schedule": step_decay(5)}
OTHERS = {
    "network": ({"make": other_activation}, r"network: .MLP\(2, \[3, 2\], 'relu'"),
    "a size": ({"make": lambda: ts.MLP(2, [4, 2], "tanh", "sigmoid")}, r"network: .*\[4, 2\].* here, .*\[3, 2\]"),
    "optimizer": ({"optimizer": "adamw"}, "optimizer: 'AdamW' here, 'Adam' in the file"),
    "learning rate": ({"optimizer": lambda p: ts.Adam(p, 0.5)}, "learning rate of the schedule: 0.5 here, 0.001"),
    "betas": ({"optimizer": lambda p: ts.Adam(p, betas=(0.5, 0.9))}, "the optimizer's betas: .*0.5"),
    "loss": ({"loss": "absolute_error"}, "loss: 'absolute_error' here, 'squared_error' in the file"),
    "batch_size": ({"batch_size": 4}, "batch_size: 4 here, 3 in the file"),
    "no batches": ({"batch_size": None}, "batch_size: None here, 3"),
    "seed": ({"seed": 1}, "seed: 1 here, 0 in the file"),
    "vectorized": ({"vectorized": False}, "vectorized: False here, True"),
    "metrics": ({"metrics": ["rmse"]}, r"metrics: \['rmse'\] here, \[\] in the file"),
    "no validation": ({"validation": None}, r"validation X: None here, 'float64 of shape \(3, 2\)'"),
    "validation": ({"validation": (X[1:4], Y[:3])}, "numbers of validation X"),
    "schedule": ({"schedule": cosine_decay}, "schedule: 'cosine_decay' here"),
    "the schedule's numbers": ({"schedule": step_decay(4)}, r"factors of the schedule \(checksum\)"),
    "no schedule": ({"schedule": None}, "schedule: None here"),
    "its epochs": ({"epochs": 20}, "epochs of the schedule: 20 here, 8 in the file"),
    "fewer epochs": ({"epochs": 3}, "epochs of the schedule: 3 here|has 8 epochs"),
    "early stopping": ({"early_stopping": 3}, "patience of early stopping: 3 here, None"),
    "l1": ({"l1": 0.1}, r"l1: 0.1 here, 0.0 in the file"),
    "clip_norm": ({"clip_norm": 1}, "clip_norm: 1.0 here, inf in the file"),
    "weights": ({"class_weight": None, "sample_weight": [1] * 6 + [2]}, "weights of the examples: 'float64"),
}


@pytest.mark.parametrize(("changes", "message"), OTHERS.values(), ids=OTHERS)
def test_the_file_of_another_training_is_refused_with_what_differs(changes, message, file):
    training(epochs=8, checkpoint=file, **BASE)
    before = file.read_bytes()
    net = changes.get("make", network)()
    numbers = data(net)
    with pytest.raises(ValueError, match=f"cannot go on from the checkpoint .*run.safetensors: .*{message}") as caught:
        training(**{"epochs": 8, **BASE, **changes, "make": lambda: net}, checkpoint=file, resume=True)
    assert "\n" not in str(caught.value)
    assert (data(net), file.read_bytes()) == (numbers, before)


def with_number(rows, number):
    changed = copy.deepcopy(rows)
    changed[6][1] = number
    return changed


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (X[:6], Y[:6], r"X: 'float64 of shape \(6, 2\)' here, 'float64 of shape \(7, 2\)' in the file"),
        (with_number(X, 0.7500000001), Y, r"numbers of X \(checksum\)"),
        (X, with_number(Y, 0.5), r"numbers of Y \(checksum\)"),
        (np.float32(X), Y, r"X: 'float32 of shape"),
    ],
)
def test_other_data_are_refused(x, y, message, file):
    training(epochs=2, checkpoint=file)
    with pytest.raises(ValueError, match=message):
        fit(network(), x, y, epochs=4, checkpoint=file, resume=True)


def test_functions_of_one_name_are_told_apart_by_what_they_compute(file):
    def run(f, loss, **options):
        fit(Wrapped(f), X, Y, loss=loss, epochs=2, checkpoint=file, **options)

    run(lambda a: a, lambda a, y: (a[0] - y[0]) ** 2)
    run(lambda a: a, lambda a, y: (a[0] - y[0]) ** 2, resume=True)
    for f, loss in [
        (lambda a: a, lambda a, y: abs(a[0] - y[0])),
        (lambda a: [1.5 * a[0], a[1]], lambda a, y: (a[0] - y[0]) ** 2),
    ]:
        with pytest.raises(ValueError, match=r"the loss of the first example: \S+ here, \S+ in the file"):
            run(f, loss, resume=True)


# --- before anything has begun ---------------------------------------------------------------------------------------


class Slotted(ts.SGD):
    __slots__ = ("hidden",)


def with_state(part):
    def make(parameters):
        optimizer = ts.SGD(parameters)
        optimizer.own = part
        return optimizer

    return make


SHARED = np.zeros(3)
STATES = {
    "a function": (with_state(lambda: 1.0), "its own is .*function"),
    "a Value": (with_state(ts.Value(1.0)), "its own is "),
    "a dict": (with_state({"a": 1}), "its own is "),
    "an array of float32": (with_state(np.zeros(3, np.float32)), "its own is "),
    "a complex number": (with_state(1j), "its own is "),
    "arrays in a list": (with_state([np.zeros(3)]), "its own is "),
    "an integer of many digits": (with_state(10**5000), "its own is too long"),
    "slots": (Slotted, "it has __slots__"),
}


@pytest.mark.parametrize(("make", "message"), STATES.values(), ids=STATES)
def test_an_optimizer_whose_state_no_file_can_hold_is_refused_before_training(make, message, file):
    net = network()
    before = data(net)
    with pytest.raises(TypeError, match=f"a checkpoint cannot hold the state of S.*{message}"):
        fit(net, X, Y, optimizer=make(net.parameters()), checkpoint=file)
    assert data(net) == before
    assert not file.exists()


def test_arrays_that_share_their_memory_are_refused(file):
    net = network()
    sgd = ts.SGD(net.parameters())
    sgd.first = np.zeros(3)
    sgd.second = sgd.first[:2]
    with pytest.raises(TypeError, match="share their memory"):
        fit(net, X, Y, optimizer=sgd, checkpoint=file)


WRONG = {
    "an existing file": ({}, FileExistsError, "resume=True goes on from it"),
    "no path": ({"checkpoint": None, "resume": True}, ValueError, "give its path"),
    "an empty path": ({"checkpoint": ""}, ValueError, "path is empty"),
    "a folder": ({"checkpoint": "."}, OSError, "is a folder"),
    "a missing folder": ({"checkpoint": "/nowhere/run.safetensors"}, OSError, "no folder"),
    "a device": ({"checkpoint": os.devnull}, ValueError, "pipe or a device"),
    "a strange generator": (
        {"checkpoint": "new", "seed": random.SystemRandom()},
        TypeError,
        "state of a random.Random",
    ),
}


@pytest.mark.parametrize(("options", "error", "message"), WRONG.values(), ids=WRONG)
def test_wrong_use_is_an_error_before_training(options, error, message, file, monkeypatch):
    monkeypatch.chdir(file.parent)
    file.write_bytes(b"something")
    net = network()
    before = data(net)
    with pytest.raises(error, match=message):
        fit(net, X, Y, **{"checkpoint": file, **options})
    assert data(net) == before
    assert file.read_bytes() == b"something"
    assert os.listdir(file.parent) == [file.name]

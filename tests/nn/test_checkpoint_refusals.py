"""`fit(checkpoint=, resume=)` refuses a file of another training, optimizer state it cannot save, and bad paths."""

import copy
import os
import random

import numpy as np
import pytest
from support.trainings import X, Y, data, fit, network, training

import tinygrad_scalar as ts
from tinygrad_scalar.nn import checkpoint, cosine_decay, step_decay


@pytest.fixture
def file(tmp_path):
    return tmp_path / "run.safetensors"


@pytest.fixture(autouse=True)
def every_epoch(monkeypatch):
    monkeypatch.setattr(checkpoint, "SHARE", np.inf)


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

"""`fit(checkpoint=, resume=)`: a resumed training ends bit for bit where an uninterrupted one does."""

import random
import time

import numpy as np
import pytest
from support.trainings import TASKS, X, Y, fit, network, outcome, training

import tinygrad_scalar as ts
from tinygrad_scalar.nn import EarlyStopping, checkpoint, step_decay, warm_up
from tinygrad_scalar.nn.optim import OPTIMIZERS

both_ways = pytest.mark.parametrize("vectorized", [True, pytest.param(False, marks=pytest.mark.thorough)])


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


@both_ways
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

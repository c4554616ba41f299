"""Callbacks, metrics and Ctrl-C see the network as trained so far, vectorized or not."""

import numpy as np
import pytest

import tinygrad_scalar as ts
from tinygrad_scalar.nn import training
from tinygrad_scalar.nn.trainers import ScalarTrainer

X = np.random.default_rng(0).normal(size=(20, 2))
Y = X[:, 0] * X[:, 1]


def network():
    return ts.MLP(2, [4, 1], "tanh", "linear", seed=1)


def trained(vectorized, **options):
    net = network()
    history = ts.fit(net, X, Y, **{"epochs": 4, **options}, vectorized=vectorized, progress=False)
    return net, history


def outputs_of(net):
    return [net(x).data for x in X.tolist()]


@pytest.mark.parametrize("vectorized", [True, False])
def test_a_callback_finds_the_numbers_of_its_epoch_in_the_network(vectorized):
    def look(epoch):
        assert [p.data for p in epoch.net.parameters()] == epoch.parameters.tolist()
        assert any(p.grad for p in epoch.net.parameters())
        seen.append(epoch.net.predict(X))
        np.testing.assert_allclose(seen[-1], outputs_of(epoch.net), rtol=1e-12)

    seen = []
    trained(vectorized, callbacks=look)
    assert len(seen) == 4
    assert not np.allclose(seen[0], seen[-1])


def test_numbers_that_a_callback_sets_are_trained_on_in_both_ways():
    def nudge(epoch):
        if epoch.number == 2:
            epoch.net.layers[0].neurons[0].w[0].data = 5.0

    one, other = (trained(vectorized, callbacks=nudge) for vectorized in (True, False))
    np.testing.assert_allclose(one[1].cost, other[1].cost, rtol=1e-9)
    np.testing.assert_allclose(*([p.data for p in net.parameters()] for net, _ in (one, other)), rtol=1e-9)


@pytest.mark.parametrize("answer", [1, 1.0, np.ones(3), ts.Value(1.0), None, False], ids=repr)
def test_only_true_ends_a_training(answer):
    assert len(trained(True, callbacks=lambda epoch: answer)[1].cost) == 4
    assert len(trained(True, callbacks=lambda epoch: np.True_)[1].cost) == 1


def test_predictions_after_early_stopping_with_metrics_are_those_of_the_best_epoch():
    net = network()
    descent = ts.SGD(net.parameters(), 0.8)  # too fast: the first epoch is the best
    found = []
    ts.fit(
        net, X, Y, epochs=30, optimizer=descent, metrics=["rmse"], early_stopping=3, progress=False,
        callbacks=lambda epoch: found.append(epoch.parameters.tolist()),
    )  # fmt: skip
    assert [p.data for p in net.parameters()] in found[:-1]
    np.testing.assert_allclose(net.predict(X), outputs_of(net), rtol=1e-12)


@pytest.mark.parametrize("vectorized", [True, False])
def test_after_an_interruption_all_columns_of_the_history_are_of_the_same_epochs(vectorized):
    def interrupted(outputs, targets):
        calls.append(0)
        if len(calls) == 4:  # the first call, before the training, tries it
            raise KeyboardInterrupt
        return 1.0

    calls = []
    with pytest.warns(UserWarning, match="interrupted after 2 of 4 epochs"):
        net, history = trained(vectorized, metrics=["rmse", interrupted], validation=(X, Y))
    assert {len(column) for column in history.columns.values()} == {2}
    np.testing.assert_allclose(net.predict(X), outputs_of(net), rtol=1e-12)


@pytest.mark.parametrize("vectorized", [True, False])
def test_an_interruption_at_the_very_end_loses_nothing(vectorized, monkeypatch):
    def interrupted(trainer):
        calls.append(0)
        if len(calls) == 1:
            raise KeyboardInterrupt
        close(trainer)

    calls, close = [], ScalarTrainer.close
    expected = [p.data for p in trained(vectorized)[0].parameters()]
    monkeypatch.setattr(ScalarTrainer, "close", interrupted)
    net, history = trained(vectorized)
    assert (len(history.cost), history.stopped) == (4, "interrupted")
    assert [p.data for p in net.parameters()] == expected


@pytest.mark.parametrize(
    ("metrics", "k", "targets", "message"),
    [
        (["rmse"], 3, [0, 1, 2] * 4, r"3 outputs an example and Y has the shape \(12,\)"),
        (["r2"], 1, [1.0] * 12, "all targets of an output are equal"),
        ([lambda a, y: 0.0, lambda a, y: 1.0], 1, list(range(12)), "one column '<lambda>'"),
    ],
)
def test_metrics_that_cannot_be_measured_are_refused_before_a_step(metrics, k, targets, message):
    net = ts.MLP(2, [k], "linear", seed=0)
    before = [p.data for p in net.parameters()]
    with pytest.raises(ValueError, match=message):
        ts.fit(net, X[:12], targets, loss="cross_entropy" if k > 1 else "squared_error", metrics=metrics)
    assert [p.data for p in net.parameters()] == before


def test_a_metric_cannot_replace_the_cost():
    def cost(outputs, targets):
        return 0.0

    with pytest.raises(ValueError, match="one column 'cost'"):
        trained(True, metrics=[cost])


def test_an_interruption_after_the_last_epoch_leaves_the_history(monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "warn_of_standstill", interrupted)
    history = trained(True)[1]
    assert (len(history.cost), history.stopped) == (4, "interrupted")

"""Metrics of `fit`: of the validation examples after each epoch, and refused before a step if they are none."""

import math

import numpy as np
import pytest
from support.trainings import CLASSES, SIGNS, X, Y, data, fit, network

import tinygrad_scalar as ts

both_ways = pytest.mark.parametrize("vectorized", [True, False])


def descent(net, rate=0.1):
    return ts.GradientDescent(net.parameters(), rate)


@both_ways
def test_metrics_are_of_the_validation_examples_after_the_epoch(vectorized):
    net = network()
    history = fit(
        net, X, Y, epochs=2, validation=(X[:3], Y[:3]), vectorized=vectorized,
        metrics=["rmse", "mae", "r2", lambda outputs, targets: outputs.shape == targets.shape == (3, 2)],
    )  # fmt: skip
    outputs = np.array([[a.data for a in net(x)] for x in X[:3]])
    targets = np.array(Y[:3])
    assert history.metrics["rmse"][-1] == pytest.approx(math.sqrt(((outputs - targets) ** 2).mean()))
    assert history.metrics["mae"][-1] == pytest.approx(abs(outputs - targets).mean())
    r2 = 1 - ((outputs - targets) ** 2).sum(axis=0) / ((targets - targets.mean(axis=0)) ** 2).sum(axis=0)
    assert history.metrics["r2"][-1] == pytest.approx(r2.mean())
    assert history.metrics["<lambda>"] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("loss", "output", "k", "targets", "right"),
    [
        ("cross_entropy", "linear", 3, CLASSES, lambda a, y: np.argmax(a) == y),
        ("binary_cross_entropy", "sigmoid", 1, [s > 0 for s in SIGNS], lambda a, y: (a[0] > 0.5) == y),
        ("binary_cross_entropy_with_logits", "linear", 1, [s > 0 for s in SIGNS], lambda a, y: (a[0] > 0.0) == y),
        ("hinge", "linear", 1, SIGNS, lambda a, y: (a[0] > 0.0) == (y > 0)),
        ("squared_error", "sigmoid", 2, np.eye(2)[[0, 1, 1, 0, 0, 1, 1]], lambda a, y: np.argmax(a) == np.argmax(y)),
    ],
)
def test_accuracy_is_the_share_of_right_answers(loss, output, k, targets, right):
    net = ts.MLP(2, [4, k], "tanh", output, seed=2)
    history = fit(net, X, np.asarray(targets), loss=loss, epochs=3, metrics=["accuracy"])
    outputs = [[a.data for a in (net(x) if k > 1 else [net(x)])] for x in X]
    assert history.metrics["accuracy"][-1] == np.mean([right(a, y) for a, y in zip(outputs, targets)])


@pytest.mark.parametrize(
    ("metrics", "error", "message"),
    [
        ("accuracy", TypeError, r'such as \["accuracy"\]'),
        (["precision"], ValueError, "one of accuracy, rmse, mae, r2"),
        ([lambda a, y: "good"], TypeError, "must return a number"),
    ],
)
def test_wrong_metrics_are_refused_before_a_step(metrics, error, message):
    net = network()
    before = data(net)
    with pytest.raises(error, match=message):
        fit(net, X, Y, metrics=metrics)
    assert data(net) == before


def test_a_metric_that_cannot_judge_a_few_examples_can_judge_all():
    def of_all(outputs, targets):
        if len(targets) < 11:
            raise ValueError("too few")
        return 0.5

    assert fit(network(), X * 2, Y * 2, epochs=1, metrics=[of_all]).metrics == {"of_all": [0.5]}


def test_accuracy_needs_a_loss_that_says_what_an_output_means():
    with pytest.raises(ValueError, match="needs one of our losses"):
        fit(network(), X, Y, loss=lambda a, y: (a[0] - y[0]) ** 2, metrics=["accuracy"])

"""Errors in the middle of a training name the batch, its epoch and the row; a validation cost of nan is one."""

import math

import numpy as np
import pytest
from support.trainings import CLASSES, X, Y, data, fit, network

import tinygrad_scalar as ts
from tinygrad_scalar import MLP, AnomalyError, Value

each_way = pytest.mark.parametrize("vectorized", [True, False])


def classifier():
    return MLP(2, [3], "linear", seed=0)


WRONG = {
    "class": (
        ("cross_entropy", classifier, CLASSES[:3], [0, 7, 1]),
        r"the class must be from 0 to 2 for 3 logits, got 7 \(row 1 of",
    ),
    "float class": (("cross_entropy", classifier, CLASSES[:3], [0.0, 1.0, 2.0]), r"\.astype\(int\) \(row 0 of"),
    "probability": (
        ("binary_cross_entropy", network, Y[:3], [[0, 1], [0, 1], [0, 2]]),
        r"targets must be from 0 to 1, got 2.0 \(row 2 of",
    ),
    "sign": (("hinge", network, [[1, -1]] * 3, [[1, -1], [0, 1], [2, 2]]), r"must be −1 or \+1, got 0.0 \(row 1 of"),
}


@each_way
@pytest.mark.parametrize("kind", ["", "validation "])
@pytest.mark.parametrize("case", WRONG)
def test_a_target_that_the_loss_refuses_is_named_with_row_batch_and_epoch(case, kind, vectorized):
    (loss, make, right, wrong), message = WRONG[case]

    def later(epoch):
        yield X[:3], right
        yield X[:3], wrong if epoch == 2 else right

    net = make()
    given = (X[:3], right) if kind else (later,)
    options = {"validation": later} if kind else {}
    with pytest.raises((ValueError, TypeError), match=f"{message} {kind}batch 1, counted from 0, in epoch 2\\)"):
        fit(net, *given, loss=loss, epochs=3, vectorized=vectorized, **options)


@pytest.mark.parametrize("case", WRONG)
def test_a_target_that_the_loss_refuses_is_named_before_the_training(case):
    (loss, make, right, wrong), message = WRONG[case]
    for given, options in (((X[:3], wrong), {}), ((X[:3], right), {"validation": (X[:3], wrong)})):
        net = make()
        before = data(net)
        kind = "validation " * bool(options)
        with pytest.raises((ValueError, TypeError), match=f"{message} {kind}X and Y, counted from 0\\)"):
            fit(net, *given, loss=loss, epochs=2, **options)
        assert data(net) == before


@each_way
def test_a_loss_that_is_not_finite_is_named_with_row_batch_and_epoch(vectorized):
    def later(epoch):
        yield X[:3], Y[:3]
        yield X[:3], [Y[0], [1e200, 0.0] if epoch == 2 else Y[0], Y[0]]

    with pytest.raises(AnomalyError, match=r"\(row 1 of batch 1, counted from 0\) became inf in epoch 2"):
        fit(network(), later, epochs=3, vectorized=vectorized)


def test_a_first_batch_of_another_shape_is_refused_in_a_later_epoch():
    with pytest.raises(ValueError, match=r"X of batch 0 in epoch 2 has the shape \(3, 1\) and that of batch 0"):
        fit(network(), lambda epoch: [([x[: 3 - epoch] for x in X[:3]], Y[:3])], epochs=3)


def test_an_error_of_a_loss_of_the_users_own_is_left_alone():
    class OutOfPaperError(ValueError):
        pass

    calls = []

    def loss(a, y):
        calls.append(1)
        if len(calls) > 20:
            raise OutOfPaperError("no more") from KeyError("paper")
        return ts.squared_error(a, y)

    with pytest.raises(OutOfPaperError, match=r"^no more$") as raised:
        fit(network(), X, Y, loss=loss, epochs=10, vectorized=False)
    assert isinstance(raised.value.__cause__, KeyError)


# --- what is written into an array while fit runs --------------------------------------------------------------------


def writing(array, number, epoch):
    def write(now):
        if now.number == epoch:
            array[2] = number

    return write


def on_disk(tmp_path, numbers):
    array = np.memmap(tmp_path / "numbers", "f8", "w+", shape=np.shape(numbers))
    array[:] = numbers
    return array


@each_way
@pytest.mark.parametrize("name", ["X", "Y"])
def test_nan_written_into_validation_examples_ends_the_training(name, vectorized, tmp_path):
    arrays = {"X": np.array(X), "Y": np.array(Y)}
    arrays[name] = on_disk(tmp_path, arrays[name])
    net = network()
    message = rf"validation {name} must hold finite numbers, and did .* in epoch 3 .* \(row 2 of validation X and Y"
    with pytest.raises(AnomalyError, match=message):
        fit(
            net, X, Y, epochs=5, validation=tuple(arrays.values()), vectorized=vectorized,
            callbacks=writing(arrays[name], np.nan, 2),
        )  # fmt: skip
    other = network()
    fit(other, X, Y, epochs=3)
    assert data(net) == pytest.approx(data(other), rel=1e-12)


@each_way
def test_nan_written_into_the_examples_is_said_to_be_theirs(vectorized):
    rows = np.array(X)
    with pytest.raises(AnomalyError, match=r"^X must hold finite numbers, .* in epoch 3 .*\(row 2 of X and Y"):
        fit(network(), rows, Y, epochs=5, callbacks=writing(rows, np.nan, 2), vectorized=vectorized)


@each_way
def test_a_validation_loss_that_is_nan_is_named(vectorized):
    def loss(a, y):  # of finite numbers
        return ts.squared_error(a, y) + 0 * (Value(y[0]) if isinstance(y[0], float) else y[0]).sqrt()

    with pytest.raises(AnomalyError, match=r"validation example x = .* \(row 1 of validation X and Y.*became nan"):
        fit(network(), X, Y, loss=loss, epochs=2, validation=(X[:2], [Y[0], [-1.0, 0.5]]), vectorized=vectorized)


def test_a_validation_cost_that_is_infinite_is_recorded():
    history = fit(network(), X, Y, epochs=2, validation=(X[:1], [[1e200, 0.0]]))
    assert history.validation_cost == [math.inf, math.inf]

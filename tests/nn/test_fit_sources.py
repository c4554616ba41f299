"""How `fit` reads what gives it examples: pairs and lists of batches, and functions that take the epoch."""

from functools import partial

import numpy as np
import pytest
from support.trainings import X, Y, data, fit, network

from tinygrad_scalar import MLP

# --- pairs and batches of validation ---------------------------------------------------------------------------------


def test_a_list_of_tuples_is_batches_and_a_tuple_is_a_pair():
    pair, whole = network(), network()
    first, second = (X[:3], Y[:3]), (X[3:], Y[3:])
    expected = fit(whole, X, Y, epochs=2, validation=(X, Y)).validation_cost
    for batches in ([first, second], [(np.array(x), np.array(y)) for x, y in (first, second)]):
        assert fit(network(), X, Y, epochs=2, validation=batches).validation_cost == pytest.approx(expected, rel=1e-14)
    assert fit(network(), X, Y, epochs=2, validation=[first]).validation_cost != expected
    assert fit(pair, X, Y, epochs=2, validation=[X, Y]).validation_cost == expected
    two = fit(network(), X, Y, epochs=2, validation=(X[:2], Y[:2])).validation_cost
    assert fit(network(), X, Y, epochs=2, validation=[X[:2], Y[:2]]).validation_cost == two


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        (
            ((X[:3], Y[:3]), (X[3:], Y[3:])),
            r"its X is itself a pair of arrays: for several batches give a list of tuples",
        ),
        (
            [[X[:3], Y[:3]], [X[3:], Y[3:]]],
            r"its X is itself a pair of arrays: for several batches give a list of tuples",
        ),
        ([tuple(X[:2]), tuple(Y[:2])], r"does not have the 2 axes of X: to give X and Y of all examples, give a tuple"),
        ([X], r"must be a pair \(X, Y\), or a list of tuples"),
    ],
)
def test_what_could_be_a_pair_or_batches_is_refused(validation, message):
    net = network()
    before = data(net)
    with pytest.raises(ValueError, match=message):
        fit(net, X, Y, epochs=1, validation=validation)
    assert data(net) == before


def test_rows_of_one_number_are_not_taken_for_batches():
    net = MLP(1, [1], "linear", seed=0)
    rows, targets = ([1.0], [2.0]), ([3.0], [4.0])
    with pytest.raises(ValueError, match="give a tuple"):
        fit(net, [[1.0], [2.0], [3.0]], [1.0, 2.0, 3.0], epochs=1, validation=[rows, targets])
    fit(net, [[1.0], [2.0], [3.0]], [1.0, 2.0, 3.0], epochs=1, validation=(rows, targets))


# --- functions that take the epoch -----------------------------------------------------------------------------------


def shuffled(epoch):
    order = np.random.default_rng(epoch).permutation(len(X))
    for start in range(0, len(X), 3):
        few = order[start : start + 3]
        yield np.array(X)[few], np.array(Y)[few]


class Shuffled:
    def __call__(self, *, epoch=0, size=3):
        return shuffled(epoch)


@pytest.mark.parametrize("make", [lambda: shuffled, Shuffled, lambda: lambda epoch: list(shuffled(epoch))])
def test_a_shuffled_training_that_goes_on_is_one_that_was_not_interrupted(make, tmp_path):
    options = {"validation": make(), "metrics": ["rmse"]}
    expected = network()
    history = fit(expected, make(), epochs=5, **options)
    for epochs in (2, 3, 5):
        net = network()
        found = fit(net, make(), epochs=epochs, checkpoint=tmp_path / "run", resume=True, **options)
    assert (data(net), found.columns) == (data(expected), history.columns)


def test_a_function_gets_the_number_of_each_epoch_from_one():
    numbers = []

    def batches(epoch):
        numbers.append(epoch)
        yield X, Y

    fit(network(), batches, epochs=3)
    assert numbers == [1, 2, 3]
    numbers.clear()
    fit(network(), X, Y, epochs=2, validation=batches)
    assert numbers == [1, 2]
    numbers.clear()
    fit(network(), batches, epochs=2, metrics=["rmse"])  # which are measured after the steps
    assert numbers == [1, 1, 2, 2]


def test_an_epoch_that_was_given_stays():
    net, other = network(), network()
    fit(net, partial(shuffled, epoch=7), epochs=3)
    fit(other, lambda: shuffled(7), epochs=3)
    assert data(net) == data(other)


def test_an_iterable_that_can_be_called_is_iterated():
    class Both:
        def __iter__(self):
            return iter([(X, Y)])

        def __call__(self, epoch):
            raise AssertionError

    fit(network(), Both(), epochs=2)

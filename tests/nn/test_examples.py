"""The examples that `fit` takes, and their batches."""

import random
import tracemalloc

import numpy as np
import pytest
from support.trainings import CLASSES, X, Y, batches_seen, by_hand, data, fit, network

import tinygrad_scalar as ts
from tinygrad_scalar import MLP
from tinygrad_scalar.nn.examples import shuffled_order

# --- their order ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("m", [1, 2, 5, 6, 21, 22, 1000])
def test_the_order_is_that_of_a_sample_of_all(m):
    generator, other = random.Random(3), random.Random(3)
    assert list(shuffled_order(m, generator)) == other.sample(range(m), m)
    assert generator.getstate() == other.getstate()


def test_the_order_takes_few_bytes_an_example():
    m = 50_000
    tracemalloc.start()
    shuffled_order(m, random.Random(0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * m  # a list of integers takes 40 m


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
    net, other = network(), network()
    fit(net, KINDS[kind](X), KINDS[kind](Y), epochs=3, batch_size=2)
    fit(other, X, Y, epochs=3, batch_size=2)
    assert data(net) == data(other)


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
    fit(net, COLUMNS[kind], COLUMNS[kind], loss=loss, epochs=3)
    fit(other, COLUMNS["column"], COLUMNS["list"], loss=loss, epochs=3)
    assert data(net) == data(other)


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.uint16])
def test_integer_classes_can_be_an_array(dtype):
    net, other = (MLP(2, [3], "linear", seed=0) for _ in range(2))
    fit(net, X, np.array(CLASSES, dtype=dtype), loss="cross_entropy", epochs=3)
    fit(other, X, CLASSES, loss="cross_entropy", epochs=3)
    assert data(net) == data(other)


def test_counts_can_be_numpy_integers():
    assert len(fit(network(), X, Y, epochs=np.int64(3), batch_size=np.int32(2)).cost) == 3


# --- batches ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("m", "batch_size", "sizes"),
    [(7, 3, [3, 3, 1]), (6, 3, [3, 3]), (7, 1, [1] * 7), (7, 7, [7]), (7, 100, [7]), (7, None, [7]), (1, None, [1])],
)
def test_an_epoch_has_every_example_once_in_batches_of_which_the_last_may_be_smaller(m, batch_size, sizes):
    seen = batches_seen(m, batch_size, epochs=3)
    assert [len(batch) for batch in seen] == sizes * 3
    for epoch in range(3):
        batches = seen[epoch * len(sizes) : (epoch + 1) * len(sizes)]
        assert sorted(y for batch in batches for y in batch) == list(range(m))


def test_every_epoch_has_an_order_of_its_own():
    seen = batches_seen(20, 5, epochs=3)
    orders = [[y for batch in seen[epoch * 4 : epoch * 4 + 4] for y in batch] for epoch in range(3)]
    assert orders[0] != orders[1] != orders[2] != orders[0] != list(range(20))


def test_a_seed_repeats_the_batches_and_another_gives_others():
    assert batches_seen(20, 5, seed=3) == batches_seen(20, 5, seed=3)
    assert batches_seen(20, 5, seed=3) != batches_seen(20, 5, seed=4)


def test_without_a_seed_no_two_trainings_have_the_same_batches():
    assert batches_seen(20, 5, seed=None) != batches_seen(20, 5, seed=None)


def test_mini_batch_training_is_the_loop_written_by_hand_over_the_same_batches():
    numbers = batches_seen(len(X), 3, seed=5, epochs=10)
    batches = [([X[i] for i in batch], [Y[i] for i in batch]) for batch in numbers]
    net, other = network(), network()
    optimizer, other_optimizer = ts.Adam(net.parameters(), 0.1), ts.Adam(other.parameters(), 0.1)
    history = fit(net, X, Y, optimizer=optimizer, epochs=10, batch_size=3, seed=5)
    costs = by_hand(other, batches, "squared_error", other_optimizer)
    assert data(net) == pytest.approx(data(other), rel=1e-12, abs=1e-13)
    sizes = [len(batch) for batch in numbers]
    means = [np.average(costs[e : e + 3], weights=sizes[e : e + 3]) for e in range(0, 30, 3)]
    assert history.cost == pytest.approx(means, rel=1e-12)


def test_training_leaves_the_global_generators_and_its_examples_alone():
    inputs, targets = np.array(X), np.array(Y)
    before = random.getstate(), np.random.get_state()[1].tolist()
    fit(network(), inputs, targets, epochs=2, batch_size=2)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before
    assert (inputs.tolist(), targets.tolist()) == (X, Y)

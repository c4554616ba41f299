"""Dropout: with the same masks the array program has the engine's gradient, in batches too; how `fit` has it."""

import random

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from support.trainings import data

import tinygrad_scalar as ts
from tinygrad_scalar import MLP, Adam, Value

N, HIDDEN, OUT = 3, 8, 2


def masked_cost(net, loss=ts.squared_error):
    def cost(x, y, mask):
        return loss(net.layers[1]([a * kept for a, kept in zip(net.layers[0](x), mask)]), y)

    return cost


def examples(m, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(m, N)), rng.normal(size=(m, OUT)), rng


def of_engine(cost, parameters, *arrays):
    """The mean cost and its gradient, one example after the other."""
    for parameter in parameters:
        parameter.grad = 0.0
    costs = [cost(*rows) for rows in zip(*(array.tolist() for array in arrays))]
    for C in costs:
        C.backward(1.0 / len(costs))
    return sum(C.data for C in costs) / len(costs), [parameter.grad for parameter in parameters]


def assert_equal(found, expected):
    assert found[0] == pytest.approx(expected[0], rel=1e-11, abs=1e-13)
    assert found[1].tolist() == pytest.approx(expected[1], rel=1e-9, abs=1e-12)


MASKS = {
    "for each example": lambda rng, m: (rng.random((m, HIDDEN)) < 0.5) / 0.5,
    "one for all": lambda rng, m: np.broadcast_to((rng.random(HIDDEN) < 0.5) / 0.5, (m, HIDDEN)),
    "of booleans": lambda rng, m: rng.random((m, HIDDEN)) < 0.8,
    "of integers": lambda rng, m: rng.integers(0, 2, (m, HIDDEN)),
    "all dropped": lambda rng, m: np.zeros((m, HIDDEN)),
    "none dropped": lambda rng, m: np.ones((m, HIDDEN)),
}


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("m", [1, 2, 100])
@pytest.mark.parametrize("masks", MASKS)
def test_with_the_same_mask_the_array_program_has_the_engines_gradient(masks, m, activation):
    net = MLP(N, [HIDDEN, OUT], activation, "linear", seed=1)
    cost, parameters = masked_cost(net), net.parameters()
    run = ts.vectorize(cost, parameters)
    for seed in range(2):  # the second call has other masks
        X, Y, rng = examples(m, seed)
        mask = MASKS[masks](rng, m)
        assert_equal(run(X, Y, mask), of_engine(cost, parameters, X, Y, mask))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from([0.0, 1.25, 5.0]), min_size=HIDDEN, max_size=HIDDEN), min_size=1, max_size=9),
    st.integers(0, 99),
)
def test_whatever_the_masks_of_a_call_the_next_ones_are_followed(masks, seed):
    net = MLP(N, [HIDDEN, OUT], "relu", "linear", seed=seed)
    cost, parameters = masked_cost(net), net.parameters()
    run = ts.vectorize(cost, parameters)
    X, Y, _ = examples(len(masks), seed)
    for mask in (np.array(masks), np.array(masks)[:, ::-1].copy()):
        assert_equal(run(X, Y, mask), of_engine(cost, parameters, X, Y, mask))


@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_training_in_batches_with_new_masks_is_the_engines_training(batch_size):
    nets = [MLP(N, [HIDDEN, OUT], "tanh", "linear", seed=2) for _ in range(2)]
    X, Y, rng = examples(100)
    run, adam = ts.vectorize(masked_cost(nets[0]), nets[0].parameters()), Adam(nets[0].parameters(), 0.01)
    engines = Adam(nets[1].parameters(), 0.01)
    for _ in range(3):
        order = rng.permutation(len(X))
        for batch in (order[i : i + batch_size] for i in range(0, len(X), batch_size)):
            mask = MASKS["for each example"](rng, len(batch))
            _, gradient = run(X[batch], Y[batch], mask)
            run.parameters[:] = adam.stepped(run.parameters, gradient)
            of_engine(masked_cost(nets[1]), nets[1].parameters(), X[batch], Y[batch], mask)
            engines.step()
    run.write_back()
    assert data(nets[0]) == pytest.approx(data(nets[1]), rel=1e-8, abs=1e-10)


class WithItsMask:
    """A network whose examples bring their masks: the last numbers of x."""

    def __init__(self):
        self.net = MLP(N, [HIDDEN, OUT], "tanh", "linear", seed=3)

    def parameters(self):
        return self.net.parameters()

    def __call__(self, x):
        return self.net.layers[1]([a * kept for a, kept in zip(self.net.layers[0](x[:N]), x[N:])])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("m", "batch_size"), [(1, None), (100, None), (100, 7)])
def test_both_ways_of_fit_train_alike_where_each_example_brings_its_mask(m, batch_size):
    nets = [WithItsMask(), WithItsMask()]
    X, Y, rng = examples(m)
    masked = np.hstack([X, MASKS["for each example"](rng, m)])
    for net, vectorized in zip(nets, (True, False)):
        ts.fit(net, masked, Y, epochs=10, batch_size=batch_size, progress=False, vectorized=vectorized)
    assert data(nets[0]) == pytest.approx(data(nets[1]), rel=1e-8, abs=1e-10)


class Drawing:
    """A network that draws its mask in each call."""

    def __init__(self):
        self.net, self.random, self.masks = MLP(1, [4, 1], "tanh", "linear", seed=4), random.Random(0), []

    def parameters(self):
        return self.net.parameters()

    def __call__(self, x):
        self.masks.append([(self.random.random() < 0.5) / 0.5 for _ in range(4)])
        return self.net.layers[1]([a * kept for a, kept in zip(self.net.layers[0](x), self.masks[-1])])


X, Y = [[0.1 * i] for i in range(12)], [0.2 * i for i in range(12)]


@pytest.mark.filterwarnings("error")
def test_a_network_that_draws_is_trained_by_the_engine_and_draws_for_each_example_of_each_epoch():
    net = Drawing()
    ts.fit(net, X, Y, epochs=5, progress=False, vectorized=False)
    drawn = net.masks[-5 * len(X) :]
    assert len(set(map(tuple, drawn))) > 10
    replayed = MLP(1, [4, 1], "tanh", "linear", seed=4)
    adam, cost = Adam(replayed.parameters()), masked_cost(replayed)
    for epoch in range(5):
        masks = np.array(drawn[epoch * len(X) : (epoch + 1) * len(X)])
        of_engine(cost, replayed.parameters(), np.array(X), np.array(Y), masks)
        adam.step()
    assert data(net) == pytest.approx(data(replayed), rel=1e-12)


def test_a_network_that_draws_is_never_trained_with_a_frozen_mask_and_the_warning_says_where_to_look():
    net = Drawing()
    with pytest.warns(
        UserWarning, match=r"scalar by scalar.* Random\.random\(\) .* dropout mask, .* ts\.fit\. Pass"
    ) as seen:
        ts.fit(net, X, Y, epochs=5, progress=False)
    assert len(seen) == 1
    assert len(set(map(tuple, net.masks[-5 * len(X) :]))) > 10
    assert "Dropout:" in ts.fit.__doc__


def test_what_vectorize_says_of_a_draw_leads_to_dropout_as_an_argument():
    w = Value(1.0)
    with pytest.raises(ts.TraceError, match=r"such as a dropout mask, as an argument: see ts\.fit"):
        ts.vectorize(lambda x: w * x * (random.random() < 0.5), [w])([1.0, 2.0])

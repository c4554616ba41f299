"""The programs that `fit` and `predict` keep with a network: after any change, they give what the engine gives."""

import copy
import pickle
from dataclasses import dataclass, field

import numpy as np
import pytest

import tinygrad_scalar as ts

X = np.random.default_rng(0).normal(size=(12, 2))
Y = X[:, 0] * X[:, 1]


class Scaled(ts.MLP):
    """A network with attributes of many kinds, some with the names that an MLP gives its last call."""

    def __init__(self):
        super().__init__(2, [4, 1], "tanh", "linear", seed=1)
        self.a, self.z, self.numbers, self.array = 0.5, [1.0], [1.0, 2.0], np.ones(2)

    def __call__(self, x):
        hidden = [ts.maximum(v, v * self.a) for v in self.layers[0](x)]
        return self.layers[1](hidden) * self.z[0] * self.numbers[1] * float(self.array[0])


class Doubled(Scaled):
    def __call__(self, x):
        return super().__call__(x) * 2.0


def set_a(net):
    net.a = -1.0


def set_z(net):
    net.z = [3.0]


def set_a_number_in_a_list(net):
    net.numbers[1] = 5.0


def set_a_number_in_an_array(net):
    net.array[0] = 5.0


def set_the_class(net):
    net.__class__ = Doubled


def trained(change, vectorized, evaluate=lambda i: "squared_error"):
    """Costs and predictions of a second training, after a change."""
    net = Scaled()
    for i in range(2):
        history = ts.fit(net, X, Y, loss=evaluate(i), epochs=2, vectorized=vectorized, progress=False)
        net.predict(X)
        if i == 0:
            change(net)
    return [*history.cost, *net.predict(X)], [*history.cost, *(net(x).data for x in X.tolist())]


@pytest.mark.parametrize(
    "change", [set_a, set_z, set_a_number_in_a_list, set_a_number_in_an_array, set_the_class], ids=lambda f: f.__name__
)
def test_a_network_is_trained_and_predicts_as_it_is_now(change):
    found, by_engine = trained(change, True)
    np.testing.assert_allclose(found, by_engine, rtol=1e-12)
    np.testing.assert_allclose(found, trained(change, False)[0], rtol=1e-9)


@dataclass
class Equal:
    """Losses that are equal although they compute different numbers."""

    weight: float = field(compare=False)

    def __call__(self, a, y):
        return self.weight * (a - y) ** 2


@dataclass
class WithArray:
    """Losses that cannot be compared: an array has no truth value."""

    weights: np.ndarray

    def __call__(self, a, y):
        return float(self.weights[0]) * (a - y) ** 2


WEIGHTS = [1.0]


def reads_a_list(a, y):
    return WEIGHTS[0] * (a - y) ** 2


@pytest.mark.parametrize("make", [lambda i: Equal(1.0 + i), lambda i: WithArray(np.array([1.0 + i, 0.0]))])
def test_another_loss_has_another_program(make):
    def unchanged(net):
        pass

    np.testing.assert_allclose(trained(unchanged, True, make)[0], trained(unchanged, False, make)[0], rtol=1e-9)


def test_numbers_in_a_list_that_the_loss_reads_are_read_at_the_beginning_of_each_fit():
    def change(net):
        WEIGHTS[0] = 7.0

    costs = []
    for vectorized in (True, False):
        WEIGHTS[0] = 1.0
        costs.append(trained(change, vectorized, lambda i: reads_a_list)[0])
    np.testing.assert_allclose(*costs, rtol=1e-9)


def test_a_function_with_new_code_is_traced_anew():  # IPython's autoreload gives functions that there are new code
    def loss(a, y):
        return (a - y) ** 2

    def other(a, y):
        return 5.0 * (a - y) ** 2

    net = Scaled()
    before = ts.fit(net, X, Y, loss=loss, epochs=1, optimizer=ts.SGD(net.parameters(), 0.0), progress=False).cost
    loss.__code__ = other.__code__
    after = ts.fit(net, X, Y, loss=loss, epochs=1, optimizer=ts.SGD(net.parameters(), 0.0), progress=False).cost
    assert after == pytest.approx([5.0 * before[0]])


class Slotted(ts.MLP):
    __slots__ = ("gain",)

    def __init__(self):
        super().__init__(2, [4, 1], "tanh", "linear", seed=1)
        self.gain = 2.0

    def __call__(self, x):
        return super().__call__(x) * self.gain


def test_a_network_with_slots_is_trained_and_predicts():
    net = Slotted()
    for net.gain in (2.0, 5.0):
        ts.fit(net, X, Y, epochs=2, progress=False)
        np.testing.assert_allclose(net.predict(X), [net(x).data for x in X.tolist()], rtol=1e-12)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_keep_attributes_of_any_name(copied):
    net = Scaled()
    ts.fit(net, X, Y, epochs=1, progress=False)
    other = copied(net)
    assert (other.a, other.z) == (0.5, [1.0])
    np.testing.assert_array_equal(other.predict(X), net.predict(X))

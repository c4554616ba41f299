"""Neurons, layers and networks: what cannot be built, their initial parameters, their copies and their repr."""

import copy
import pickle
import random

import numpy as np
import pytest

from tinygrad_scalar import MLP, Layer, Neuron
from tinygrad_scalar.nn.activations import ACTIVATIONS


def _data(values):
    return [value.data for value in values]


# --- what cannot be built --------------------------------------------------------------------------------------------

WRONG_NETWORKS = [
    (lambda: MLP(0, [1]), "n_inputs must be a positive integer, got 0"),
    (lambda: MLP(-1, [1]), "n_inputs must be a positive integer, got -1"),
    (lambda: MLP(2.0, [1]), "n_inputs must be a positive integer, got 2.0"),
    (lambda: MLP(True, [1]), "n_inputs must be a positive integer, got True"),
    (lambda: MLP("2", [1]), "n_inputs must be a positive integer, got '2'"),
    (lambda: MLP(None, [1]), "n_inputs must be a positive integer, got None"),
    (lambda: MLP([2], [1]), "n_inputs must be a positive integer, got "),
    (lambda: MLP(2, []), "layer_sizes must be a non-empty list such as .* got "),
    (lambda: MLP(2, 3), "layer_sizes must be a non-empty list such as .* got 3"),
    (lambda: MLP(2, "31"), "layer_sizes must be a non-empty list such as .* got '31'"),
    (lambda: MLP(2, None), "layer_sizes must be a non-empty list such as .* got None"),
    (lambda: MLP(2, [3, 0]), "number of neurons must be a positive integer, got 0"),
    (lambda: MLP(2, [3, -1]), "number of neurons must be a positive integer, got -1"),
    (lambda: MLP(2, [1.5]), "number of neurons must be a positive integer, got 1.5"),
    (lambda: MLP(2, [True]), "number of neurons must be a positive integer, got True"),
    (lambda: MLP(2, ["3"]), "number of neurons must be a positive integer, got '3'"),
    (lambda: MLP(2, [[3]]), "number of neurons must be a positive integer, got "),
    (lambda: Layer(0, 1), "n_inputs must be a positive integer, got 0"),
    (lambda: Layer(1, 0), "number of neurons must be a positive integer, got 0"),
    (lambda: Neuron(0), "n_inputs must be a positive integer, got 0"),
    (lambda: MLP(2, [1], "sigmoidal"), "activation must be one of linear, sigmoid, .*, got 'sigmoidal'"),
    (lambda: MLP(2, [1], "Sigmoid"), "activation must be .* got 'Sigmoid'"),
    (lambda: MLP(2, [1], None), "activation must be .* got None"),
    (lambda: MLP(2, [3, 1], ["relu", "linear"]), "activation "),
    (lambda: MLP(2, [1], output_activation="softmax"), "activation must be .* got 'softmax'"),
    (lambda: Layer(1, 1, ""), "activation must be .* got ''"),
    (lambda: Neuron(1, "step"), "activation must be .* got 'step'"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "words"), WRONG_NETWORKS, ids=range(len(WRONG_NETWORKS)))
def test_a_network_that_cannot_be_is_one_line_that_says_what_was_given(make, words):
    with pytest.raises(ValueError, match=words) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_sizes_can_be_a_tuple_and_numpy_integers():
    net = MLP(np.int64(2), (np.int32(3), 1))
    assert (net.n_inputs, net.layer_sizes) == (2, [3, 1])


# --- initial parameters ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda seed: MLP(2, [3, 1], seed=seed), lambda seed: Layer(2, 3, seed=seed),
                                  lambda seed: Neuron(2, seed=seed)], ids=["MLP", "Layer", "Neuron"])  # fmt: skip
def test_a_seed_repeats_the_initial_parameters_and_another_gives_others(make):
    first, again, other = (_data(make(seed).parameters()) for seed in (3, 3, 4))
    assert first == again
    assert set(first) & set(other) == {0.0}  # the biases


def test_without_a_seed_no_two_networks_are_alike():
    assert _data(MLP(2, [3]).parameters()) != _data(MLP(2, [3]).parameters())


def test_no_two_initial_weights_of_a_network_are_alike():
    weights = [w for w in _data(MLP(4, [4, 4, 4], seed=0).parameters()) if w]
    assert len(set(weights)) == len(weights) == 3 * 4 * 4


def test_a_generator_as_seed_goes_on_from_one_network_to_the_next():
    generator = random.Random(3)
    first, second = MLP(2, [3], seed=generator), MLP(2, [3], seed=generator)
    assert _data(first.parameters()) == _data(MLP(2, [3], seed=3).parameters())
    assert _data(first.parameters()) != _data(second.parameters())


def test_making_a_network_leaves_the_global_generators_alone():
    before = random.getstate(), np.random.get_state()[1].tolist()
    MLP(2, [3, 1], seed=1)
    MLP(2, [3, 1])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


RANGES = [  # r for 24 inputs and 72 outputs
    ("relu", 0.5), ("leaky_relu", 0.5),  # √(6/24), He et al. 2015
    ("linear", 0.25), ("sigmoid", 0.25), ("tanh", 0.25), ("softplus", 0.25),  # √(6/(24 + 72)), Glorot and Bengio 2010
]  # fmt: skip


@pytest.mark.parametrize(("activation", "r"), RANGES)
def test_initial_weights_fill_the_range_of_their_activation_evenly(activation, r):
    layer = Layer(24, 72, activation, seed=0)
    weights = np.array([w.data for neuron in layer.neurons for w in neuron.w])
    assert -r <= weights.min() < -0.99 * r
    assert 0.99 * r < weights.max() <= r
    quarters = np.histogram(weights, bins=4, range=(-r, r))[0] / len(weights)
    assert quarters == pytest.approx([0.25] * 4, abs=0.05)


def test_each_layer_of_a_network_has_the_range_of_its_own_size_and_activation():
    net = MLP(24, [72, 24], "relu", output_activation="tanh", seed=0)
    largest = [max(abs(w.data) for neuron in layer.neurons for w in neuron.w) for layer in net.layers]
    assert largest == pytest.approx([0.5, 0.25], rel=0.01)


def test_initial_biases_and_gradients_are_0():
    net = MLP(4, [8, 3], seed=0)
    assert {neuron.b.data for layer in net.layers for neuron in layer.neurons} == {0.0}
    assert {parameter.grad for parameter in net.parameters()} == {0.0}


# --- gradients to 0, copies ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make", [lambda: MLP(2, [3, 1]), lambda: Layer(2, 1), lambda: Neuron(2)], ids=["MLP", "Layer", "Neuron"]
)
def test_zero_grad_sets_every_parameters_gradient_to_0_and_changes_no_data(make):
    net = make()
    net([0.5, -1.0]).backward()
    data = _data(net.parameters())
    assert all(parameter.grad for parameter in net.parameters())
    net.zero_grad()
    assert [parameter.grad for parameter in net.parameters()] == [0.0] * len(data)
    assert _data(net.parameters()) == data


COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda thing: pickle.loads(pickle.dumps(thing))}


@pytest.fixture(params=COPIES)
def copied(request):
    return COPIES[request.param]


NETWORKS = {
    "Neuron": lambda activation: Neuron(2, activation, seed=0),
    "Layer": lambda activation: Layer(2, 3, activation, seed=0),
    "MLP": lambda activation: MLP(2, [3, 2], activation, seed=0),
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_copy_has_the_same_parameters_and_labels_and_gives_the_same_outputs(copied, name, activation):
    net = NETWORKS[name](activation)
    x = [0.5, -1.0]
    first = net(x)
    other = copied(net)
    assert [(p.label, p.data) for p in other.parameters()] == [(p.label, p.data) for p in net.parameters()]
    again = other(x)
    assert _data(again) == _data(first) if isinstance(first, list) else again.data == first.data


@pytest.mark.parametrize("name", NETWORKS)
def test_a_copys_parameters_are_its_own(copied, name):
    net = NETWORKS[name]("tanh")
    other = copied(net)
    before = _data(net.parameters())
    assert not set(other.parameters()) & set(net.parameters())
    for parameter in other.parameters():
        parameter.data, parameter.grad = 7.0, 7.0
    assert _data(net.parameters()) == before
    assert {parameter.grad for parameter in net.parameters()} == {0.0}
    assert _data(other.parameters()) == [7.0] * len(before)


def test_a_copy_is_of_the_network_and_not_of_its_last_example(copied):
    net = MLP(2, [3, 1])
    net([0.5, -1.0])
    other = copied(net)
    assert (other.z, other.a) == ([], [])
    assert len(net.z) == len(net.a) == 3


@pytest.mark.parametrize(
    ("net", "text"),
    [
        (Neuron(3, "relu"), "Neuron(3, 'relu')"),
        (Layer(3, 2, "tanh"), "Layer(3, 2, 'tanh')"),
        (MLP(4, [8, 3]), "MLP(4, [8, 3], 'sigmoid')"),
        (MLP(4, (8, 3), "tanh", "linear"), "MLP(4, [8, 3], 'tanh', output_activation='linear')"),
    ],
    ids=repr,
)
def test_repr_is_the_call_that_makes_such_a_network(net, text):
    assert repr(net) == text
    assert repr(eval(text)) == text

"""The notes' networks: their formula, their names, their gradients, their caches, and what they refuse.

The oracle is the notes' matrix form, Z = WA + b and A = g(Z) (003 Eq. 1), in NumPy, differentiated by HIPS autograd.
"""

import copy
import math
import pickle
import random
from itertools import pairwise

import autograd
import autograd.numpy as anp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_scalar as ts
from tinygrad_scalar import MLP, Layer, Neuron, Value

G = {
    "linear": lambda z: z,
    "sigmoid": lambda z: anp.exp(-anp.logaddexp(0.0, -z)),
    "tanh": anp.tanh,
    "relu": lambda z: anp.where(z > 0.0, z, 0.0),
    "leaky_relu": lambda z: anp.where(z > 0.0, z, 0.01 * z),
    "softplus": lambda z: anp.logaddexp(0.0, z),
}


def _feed_forward(parameters, sizes, activations, x):
    """z and a of every layer, the parameters being one vector: layer by layer, W by rows and then b."""
    z, a, at = [[]], [x], 0
    for (n_inputs, n_outputs), activation in zip(pairwise(sizes), activations):
        W = anp.reshape(parameters[at : at + n_outputs * n_inputs], (n_outputs, n_inputs))
        b = parameters[at + n_outputs * n_inputs : at + n_outputs * (n_inputs + 1)]
        at += n_outputs * (n_inputs + 1)
        z.append(anp.dot(W, a[-1]) + b)
        a.append(G[activation](z[-1]))
    return z, a


@st.composite
def _networks(draw):
    """A network with biases that are not 0, the sizes and activations it was asked for, and an example."""
    sizes = draw(st.lists(st.integers(1, 5), min_size=2, max_size=5))
    hidden, output = draw(st.sampled_from([*G])), draw(st.sampled_from([None, *G]))
    seed = draw(st.integers(0, 10**6))
    net = MLP(sizes[0], sizes[1:], hidden, output, seed=seed)
    bias = random.Random(seed)
    for layer in net.layers:
        for neuron in layer.neurons:
            neuron.b.data = bias.uniform(-1.0, 1.0)
    x = draw(st.lists(st.floats(-2, 2, allow_subnormal=False), min_size=sizes[0], max_size=sizes[0]))
    activations = [hidden] * (len(sizes) - 2) + [hidden if output is None else output]
    return net, sizes, activations, x


def _data(values):
    return [value.data for value in values]


# --- the formula and its gradients -----------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(_networks())
def test_z_is_the_weighted_sum_plus_bias_and_a_its_activation(network):
    net, sizes, activations, x = network
    net(x)
    z, a = _feed_forward(np.array(_data(net.parameters())), sizes, activations, np.array(x))
    assert len(net.z) == len(net.a) == len(sizes)
    for layer in range(len(sizes)):
        assert _data(net.z[layer]) == pytest.approx(list(z[layer]), rel=1e-12, abs=1e-12)
        assert _data(net.a[layer]) == pytest.approx(list(a[layer]), rel=1e-12, abs=1e-12)


@settings(max_examples=200, deadline=None)
@given(_networks())
def test_gradients_with_respect_to_every_parameter_and_input_are_autograds(network):
    net, sizes, activations, x = network
    inputs = [Value(x_k) for x_k in x]
    net(inputs)
    targets = [a.data + 1.0 + 0.5 * j for j, a in enumerate(net.a[-1])]  # far enough that a − y has all its digits
    ts.squared_error(net.a[-1], targets).backward()

    def cost(parameters, x):
        return anp.sum((_feed_forward(parameters, sizes, activations, x)[1][-1] - np.array(targets)) ** 2)

    theirs = np.concatenate(autograd.grad(cost, (0, 1))(np.array(_data(net.parameters())), np.array(x)))
    ours = np.array([leaf.grad for leaf in [*net.parameters(), *inputs]])
    assert abs(ours - theirs).max() <= 1e-12 * abs(theirs).max()


def test_the_one_node_network_has_the_gradients_of_the_notes_chain_rule():
    net = MLP(1, [1], seed=0)
    w, b = net.parameters()
    w.data, b.data = 0.6, 0.1
    a0, y = Value(1.5), 1.0
    ((net(a0) - y) ** 2).backward()
    sigma = 1.0 / (1.0 + math.exp(-(0.6 * 1.5 + 0.1)))
    upstream = sigma * (1.0 - sigma) * 2.0 * (sigma - y)  # ∂a/∂z · ∂C/∂a (000 Eq. 5 and 4)
    expected = (1.5 * upstream, upstream, 0.6 * upstream)  # 000 Eq. 3, 7 and 8
    assert (w.grad, b.grad, a0.grad) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("activation", G)
def test_a_neuron_alone_computes_its_formula(activation):
    neuron = Neuron(2, activation)
    neuron.w[0].data, neuron.w[1].data, neuron.b.data = 0.5, -1.5, 0.25
    for x in ([2.0, 0.5], [-2.0, 0.5]):
        z = 0.5 * x[0] - 1.5 * x[1] + 0.25
        assert neuron(x).data == pytest.approx(float(G[activation](z)), rel=1e-14)


@pytest.mark.parametrize("activation", G)
def test_a_layer_gives_its_neurons_activations_in_their_order(activation):
    layer = Layer(2, 3, activation, seed=0)
    x = [0.5, -1.0]
    assert _data(layer(x)) == [neuron(x).data for neuron in layer.neurons]


def test_a_layer_of_one_neuron_gives_the_value_itself():
    layer = Layer(2, 1, seed=0)
    a = layer([0.5, -1.0])
    assert isinstance(a, Value)
    assert a.data == layer.neurons[0]([0.5, -1.0]).data


def test_without_an_output_activation_the_last_layer_has_that_of_the_others():
    x = [0.5, -1.0]
    assert _data(MLP(2, [3, 2], "tanh", seed=0)(x)) == _data(MLP(2, [3, 2], "tanh", "tanh", seed=0)(x))


def test_the_output_activation_is_that_of_the_last_layer_alone():
    net = MLP(1, [1, 1, 1], "tanh", output_activation="sigmoid", seed=0)
    net(0.5)
    assert [net.a[layer][0].op for layer in (1, 2, 3)] == ["tanh", "tanh", "sigmoid"]


def test_a_linear_output_is_its_pre_activation():
    net = MLP(2, [3, 2], "tanh", output_activation="linear", seed=0)
    outputs = net([0.5, -1.0])
    assert all(a is z for a, z in zip(outputs, net.z[2]))
    assert all(a is not z for a, z in zip(net.a[1], net.z[1]))


# --- names -----------------------------------------------------------------------------------------------------------

NAMES = [
    (lambda net: net.layers[0].neurons[0].w[0], "w(1)[0,0]"),
    (lambda net: net.layers[0].neurons[2].w[1], "w(1)[2,1]"),
    (lambda net: net.layers[0].neurons[10].w[11], "w(1)[10,11]"),
    (lambda net: net.layers[0].neurons[2].b, "b(1)[2]"),
    (lambda net: net.layers[1].neurons[1].w[10], "w(2)[1,10]"),
    (lambda net: net.layers[1].neurons[0].b, "b(2)[0]"),
    (lambda net: net.a[0][0], "a(0)[0]"),
    (lambda net: net.a[0][11], "a(0)[11]"),
    (lambda net: net.z[1][10], "z(1)[10]"),
    (lambda net: net.a[1][10], "a(1)[10]"),
    (lambda net: net.z[2][1], "z(2)[1]"),
    (lambda net: net.a[2][1], "a(2)[1]"),
]


@pytest.mark.parametrize(("place", "label"), NAMES, ids=[label for _, label in NAMES])
def test_everything_is_labelled_as_the_notes_write_it_from_0(place, label):
    net = MLP(12, [11, 2], seed=0)
    net([0.1 * k for k in range(12)])
    assert place(net).label == label


def test_parameters_come_layer_by_layer_and_weights_before_biases():
    assert [parameter.label for parameter in MLP(2, [2, 1]).parameters()] == [
        "w(1)[0,0]", "w(1)[0,1]", "w(1)[1,0]", "w(1)[1,1]", "b(1)[0]", "b(1)[1]", "w(2)[0,0]", "w(2)[0,1]", "b(2)[0]",
    ]  # fmt: skip


def test_parameters_are_the_networks_own_values_each_once():
    net = MLP(3, [4, 2])
    neurons = [neuron for layer in net.layers for neuron in layer.neurons]
    own = {value for neuron in neurons for value in [*neuron.w, neuron.b]}
    assert set(net.parameters()) == own
    assert len(net.parameters()) == len(own) == 3 * 4 + 4 + 4 * 2 + 2


def test_a_neuron_and_a_layer_alone_are_of_layer_1():
    assert [parameter.label for parameter in Neuron(2).parameters()] == ["w(1)[0,0]", "w(1)[0,1]", "b(1)[0]"]
    assert [parameter.label for parameter in Layer(1, 2).parameters()] == [
        "w(1)[0,0]",
        "w(1)[1,0]",
        "b(1)[0]",
        "b(1)[1]",
    ]


def test_a_linear_output_keeps_the_name_of_its_pre_activation():
    net = MLP(1, [1], "linear")
    assert net(2.0).label == "z(1)[0]"


def test_values_given_as_inputs_stay_what_they_are():
    net, x = MLP(2, [1]), [Value(0.5, "height"), Value(1.0)]
    net(x)
    assert all(a is given for a, given in zip(net.a[0], x))
    assert [a.label for a in net.a[0]] == ["height", ""]


# --- caches ----------------------------------------------------------------------------------------------------------


def test_before_any_call_the_caches_are_empty():
    net = MLP(2, [3, 1])
    assert (net.z, net.a) == ([], [])


def test_layer_0_of_the_caches_has_the_inputs_and_no_pre_activations():
    net = MLP(2, [3, 1])
    net([0.5, -1.0])
    assert net.z[0] == []
    assert _data(net.a[0]) == [0.5, -1.0]


def test_the_caches_hold_every_layer_of_the_last_call():
    net = MLP(2, [3, 2])
    net([9.0, 9.0])
    net([0.5, -1.0])
    assert [len(z) for z in net.z] == [0, 3, 2]
    assert [len(a) for a in net.a] == [2, 3, 2]
    assert _data(net.a[0]) == [0.5, -1.0]


def test_several_outputs_are_the_last_layer_of_the_cache():
    net = MLP(2, [3, 2])
    assert net([0.5, -1.0]) is net.a[-1]


def test_one_output_is_the_one_value_of_the_last_layer_of_the_cache():
    net = MLP(2, [3, 1])
    assert net([0.5, -1.0]) is net.a[-1][0]


def test_cached_values_get_their_gradients():
    net = MLP(1, [1, 1], seed=0)
    ((net(1.5) - 1.0) ** 2).backward()
    a = net.a[2][0]
    assert a.grad == 2.0 * (a.data - 1.0)  # 000 Eq. 4
    assert net.a[1][0].grad == pytest.approx(net.layers[1].neurons[0].w[0].data * net.z[2][0].grad, rel=1e-15)


def test_a_call_that_fails_leaves_the_caches_of_the_one_before():
    net = MLP(2, [1])
    net([0.5, -1.0])
    before = net.z, net.a
    with pytest.raises(ValueError, match="2 inputs"):
        net([1.0])
    assert (net.z, net.a) == before


# --- what a call takes -----------------------------------------------------------------------------------------------

KINDS = {
    "list": lambda: [1.0, -2.0],
    "tuple": lambda: (1.0, -2.0),
    "integers": lambda: [1, -2],
    "range": lambda: range(1, -5, -3),
    "row of an array": lambda: np.array([[5.0, 5.0], [1.0, -2.0]])[1],
    "row of float32": lambda: np.array([1.0, -2.0], dtype=np.float32),
    "row of integers": lambda: np.array([1, -2]),
    "array of Values": lambda: np.array([Value(1.0), Value(-2.0)]),
    "generator": lambda: (x for x in (1.0, -2.0)),
    "Values": lambda: [Value(1.0), Value(-2.0)],
    "a Value and a number": lambda: [Value(1.0), -2.0],
}


@pytest.mark.parametrize("make", [lambda: MLP(2, [3, 2], seed=0), lambda: Layer(2, 2, seed=0)], ids=["MLP", "Layer"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_example_can_be_any_iterable_of_numbers_or_values(make, kind):
    net = make()
    assert _data(net(KINDS[kind]())) == _data(net([1.0, -2.0]))


@pytest.mark.parametrize(
    "make", [lambda: MLP(1, [1]), lambda: Layer(1, 1), lambda: Neuron(1)], ids=["MLP", "Layer", "Neuron"]
)
@pytest.mark.parametrize("x", [2, 2.0, np.float64(2.0), np.int32(2), Value(2.0)], ids=lambda x: type(x).__name__)
def test_where_there_is_one_input_it_can_be_given_bare(make, x):
    net = make()
    assert net(x).data == net([2.0]).data


WRONG_EXAMPLES = [
    (2, [1.0], ValueError, "2 inputs, got 1"),
    (2, [1.0, 2.0, 3.0], ValueError, "2 inputs, got 3"),
    (2, [], ValueError, "2 inputs, got 0"),
    (2, 1.0, ValueError, "2 inputs, got 1"),
    (2, Value(1.0), ValueError, "2 inputs, got 1"),
    (2, np.zeros((1, 2)), ValueError, "2 inputs, got 1"),
    (2, np.zeros((2, 2)), TypeError, "ndarray"),
    (1, [1.0, 2.0], ValueError, "1 inputs, got 2"),
    (2, "ab", TypeError, "'a'"),
    (2, [1.0, "2"], TypeError, "'2'"),
    (2, [1.0, None], TypeError, "None"),
    (1, None, TypeError, "None"),
    (1, [[1.0]], TypeError, "list"),
]


@pytest.mark.parametrize("make", [lambda n: MLP(n, [2]), lambda n: Layer(n, 2), Neuron], ids=["MLP", "Layer", "Neuron"])
@pytest.mark.parametrize(
    ("n_inputs", "x", "error", "words"), WRONG_EXAMPLES, ids=[repr(row[1]) for row in WRONG_EXAMPLES]
)
def test_an_example_that_does_not_fit_is_one_line_that_shows_it(make, n_inputs, x, error, words):
    with pytest.raises(error, match=words) as caught:
        make(n_inputs)(x)
    assert "\n" not in str(caught.value)


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
    (lambda: MLP(2, [1], ts.tanh), "activation "),
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


@pytest.mark.parametrize("activation", G)
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


# --- the gradient vector ---------------------------------------------------------------------------------------------


def test_the_gradient_vector_has_the_order_of_001():
    net = ts.MLP(2, [2, 1], seed=0)
    ts.squared_error(net([0.5, -1.0]), 1.0).backward()
    gradient = net.gradient()
    assert gradient.names == (
        "w(1)[0,0]", "w(1)[0,1]", "w(1)[1,0]", "w(1)[1,1]", "b(1)[0]", "b(1)[1]", "w(2)[0,0]", "w(2)[0,1]", "b(2)[0]",
    )  # fmt: skip
    assert np.asarray(gradient).tolist() == [p.grad for p in net.parameters()] == gradient.array.tolist()
    assert dict(gradient)["b(2)[0]"] == gradient["b(2)[0]"] == net.layers[1].neurons[0].b.grad
    assert len(gradient) == 9
    assert gradient.latex.startswith(r"\nabla C = \begin{bmatrix} \frac{\partial C}{\partial w^{(1)}_{00}} \\ ")


def test_the_gradient_vectors_latex_has_rows_of_one_height_and_tiny_numbers_as_powers_of_ten():
    neuron = ts.Neuron(1, "linear", seed=0)
    weight, bias = neuron.parameters()
    weight.label, bias.label = "my_weight", "b"
    weight.grad, bias.grad = -2.5e-7, 3.0
    assert neuron.gradient().latex == (
        r"\nabla C = \begin{bmatrix} \frac{\partial C}{\partial \mathrm{my\_weight}} \\ \frac{\partial C}{\partial b}"
        r" \end{bmatrix} = \begin{bmatrix} -2.5 \cdot 10^{-7}"
        r" \vphantom{\frac{\partial C}{\partial \mathrm{my\_weight}}} \\ 3 \vphantom{\frac{\partial C}{\partial b}}"
        r" \end{bmatrix}"
    )


def test_the_gradient_vector_is_of_the_moment_and_prints_a_line_for_each_number():
    net = ts.MLP(2, [2, 1], seed=0)
    ts.squared_error(net([0.5, -1.0]), 1.0).backward()
    gradient = net.gradient()
    printed = str(gradient)
    net.zero_grad()
    assert str(gradient) == printed
    assert printed.startswith("∇C = [ ∂C/∂w⁽¹⁾₀₀ = ")
    assert printed.count("\n") == 8
    assert str(ts.MLP(30, [3], seed=0).gradient()).count("\n") == 20


def test_an_unknown_name_in_the_gradient_vector_is_an_error():
    with pytest.raises(KeyError, match="no parameter is called 'w'"):
        ts.MLP(2, [1]).gradient()["w"]

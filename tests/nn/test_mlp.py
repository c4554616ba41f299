"""The notes' networks: their formula, gradients, names and caches, and the examples that they take.

The oracle is the notes' matrix form, Z = WA + b and A = g(Z) (003 Eq. 1), in NumPy, differentiated by HIPS autograd.
"""

import math
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
    """z and a of every layer; the parameters are one vector: layer by layer, W by rows and then b."""
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
    """A network with biases other than 0, its sizes and activations, and an example."""
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


@settings(max_examples=2 * settings.default.max_examples)
@given(_networks())
def test_z_is_the_weighted_sum_plus_bias_and_a_its_activation(network):
    net, sizes, activations, x = network
    net(x)
    z, a = _feed_forward(np.array(_data(net.parameters())), sizes, activations, np.array(x))
    assert len(net.z) == len(net.a) == len(sizes)
    for layer in range(len(sizes)):
        assert _data(net.z[layer]) == pytest.approx(list(z[layer]), rel=1e-12, abs=1e-12)
        assert _data(net.a[layer]) == pytest.approx(list(a[layer]), rel=1e-12, abs=1e-12)


@settings(max_examples=2 * settings.default.max_examples)
@given(_networks())
def test_gradients_with_respect_to_every_parameter_and_input_are_autograds(network):
    net, sizes, activations, x = network
    inputs = [Value(x_k) for x_k in x]
    net(inputs)
    targets = [a.data + 1.0 + 0.5 * j for j, a in enumerate(net.a[-1])]  # so far off that a − y loses no digits
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


def test_vectorize_leaves_the_caches_as_they_were():
    net = MLP(2, [3, 2])
    net([0.5, -1.0])
    before = net.z, net.a

    def cost(x):
        return sum(net(x)) + sum(z * a for z, a in zip(net.z[1], net.a[1]))

    X = [[1.0, 2.0], [0.5, -1.0], [0.1, 0.2]]
    value, _ = ts.vectorize(cost, net.parameters())(X)
    assert net.z is before[0]
    assert net.a is before[1]
    assert value == pytest.approx(sum(cost(x).data for x in X) / 3, rel=1e-12)


def test_a_call_lets_go_of_the_graph_of_the_one_before():
    seen = []
    net = MLP(2, [3, 2], lambda z: seen.append((net.z, net.a)) or z)
    net([9.0, 9.0])
    net([0.5, -1.0])
    assert seen == [([], [])] * 10


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
    (1, [1.0, 2.0], ValueError, "1 input, got 2"),
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


# several examples at once, for a network of 2 inputs or of 1
MANY = {
    "an array of rows": (2, np.zeros((5, 2)), "2 inputs, got 5 rows"),
    "as many rows as inputs": (2, np.zeros((2, 2)), "2 inputs, got 2 rows"),
    "one row": (2, np.zeros((1, 2)), "2 inputs, got 1 row:"),
    "lists of numbers": (2, [[1, 2], [3, 4], [5, 6]], "2 inputs, got 3 rows"),
    "lists of Values": (2, [[Value(1.0), Value(2.0)]] * 2, "2 inputs, got 2 rows"),
    "a column": (1, np.zeros((4, 1)), "1 input, got 4 rows"),
    "numbers for one input": (1, [0.5, 1.0, 1.5], "1 input, got 3:"),
    "arrays of arrays": (2, np.zeros((2, 2, 2)), "2 inputs, got 2 rows"),
}


@pytest.mark.parametrize("part", [lambda net: net, lambda net: net.layers[0], lambda net: net.layers[0].neurons[0]])
@pytest.mark.parametrize(("n_inputs", "x", "words"), MANY.values(), ids=MANY)
def test_several_examples_at_once_are_an_error_that_says_what_takes_them(n_inputs, x, words, part):
    called = part(MLP(n_inputs, [2, 1], seed=0))
    with pytest.raises((TypeError, ValueError), match=words) as caught:
        called(x)
    assert "\n" not in str(caught.value)
    assert "this takes one example: for many use net.predict(X), ts.vectorize or ts.fit" in str(caught.value)

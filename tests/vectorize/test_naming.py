"""The names of arrays: the notes' letters for layers, words of operations for the rest."""

import numpy as np
import pytest
from support.array_program import assembled

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.vectorize.naming import _word_of, equation_of, is_of_layer, name_arrays
from tinygrad_scalar.vectorize.reverse import differentiate


def named(cost, params, *arrays):
    program = assembled(cost, params, [np.asarray(array) for array in arrays])
    differentiate(program)
    name_arrays(program)
    return program


def test_a_network_has_the_letters_of_the_notes():
    net = ts.MLP(3, [4, 2], "tanh", seed=0)
    program = named(lambda x, y: ts.squared_error(net(x), y), net.parameters(), np.ones((5, 3)), np.ones((5, 2)))
    forward = [s.out.name for s in program.forward]
    assert forward[:10] == ["W1", "Z1", "b1", "Z1", "A1", "W2", "Z2", "b2", "Z2", "A2"]
    assert [argument.name for argument in program.arguments] == ["A0", "YT"]
    backward = {s.out.name for s in program.backward}
    assert {"dA2", "delta2", "dW2", "db2", "dA1", "delta1", "dW1", "db1", "slope1", "slope2"} <= backward


def test_the_equations_of_a_layer_have_their_numbers():
    net = ts.MLP(3, [4, 2], "tanh", seed=0)
    program = named(lambda x, y: ts.squared_error(net(x), y), net.parameters(), np.ones((5, 3)), np.ones((5, 2)))
    numbers = {}
    for statement in (*program.forward, *program.backward):
        if number := equation_of(statement):
            numbers.setdefault(number, []).append(statement.out.name)
    assert numbers == {
        "003 Eq. 1a": ["Z1", "Z2"],
        "Eq. 1b": ["A1", "A2"],
        "Eq. 11a": ["delta2", "delta1"],
        "Eq. 11b": ["dW2", "dW1"],
        "Eq. 11c": ["db2", "db1"],
        "Eq. 11d": ["dA1"],
    }


def test_every_array_has_a_name_and_numbers_tell_those_of_one_word_apart():
    w = [Value(0.5), Value(0.25)]
    program = named(lambda x: (w[0] * x).sin() * (w[1] * x).exp() + (w[0] / x) ** 2, w, np.ones(3))
    names = [s.out.name for s in (*program.forward, *program.backward)]
    assert all(names)
    assert {"sin_1", "exp_1", "quotient1", "square1"} <= set(names)


def test_a_power_of_a_pre_activation_is_no_activation():
    net = ts.MLP(3, [2], "linear", seed=0)
    program = named(lambda x: sum(z**2 for z in net(x)), net.parameters(), np.ones((5, 3)))
    assert "square1" in [s.out.name for s in program.forward]
    assert "A1" not in [s.out.name for s in program.forward]


@pytest.mark.parametrize(
    ("op", "word"),
    [
        ("+", "sum"), ("*", "product"), ("minus fixed", "shifted"), ("**2", "square"), ("**0.5", "power"),
        ("**-1", "power"), ("tanh", "tanh_"), ("log1p", "log1p_"), ("leaky_relu(0.1)", "leaky_relu_"),
        ("1 at infinity", "total"), ("greater_equal", "is_at_least"),
    ],
)  # fmt: skip
def test_the_word_for_a_result_is_its_operations_or_the_operations_name(op, word):
    assert _word_of(op) == word


@pytest.mark.parametrize(
    ("name", "found"), [("W1", True), ("delta1", False), ("A12", True), ("dW1", False), ("W", False), ("sum1", False)]
)
def test_names_of_a_layer_are_a_letter_and_a_number(name, found):
    assert is_of_layer(name) is found


def test_of_two_functions_of_a_layers_z_neither_is_its_activation():
    w = [ts.Value(0.5), ts.Value(0.25)]

    def cost(x):
        z = w[0] * x[0] + w[1] * x[1]
        return z.exp() * z.sin()

    run = ts.vectorize(cost, w)
    run([[1.0, 2.0]])
    assert "Z1" in run.source
    assert "A1" not in run.source

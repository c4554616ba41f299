"""The gradient vector of 001, with a name for each number."""

import numpy as np
import pytest

import tinygrad_scalar as ts


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


def test_a_gradient_of_zeros_says_that_backward_may_be_missing():
    net = ts.MLP(2, [1], seed=0)
    C = ts.squared_error(net([0.5, -1.0]), 1.0)
    words = "backward() has not been called, or not since zero_grad()"
    assert words in str(net.gradient())
    assert words in net.gradient()._repr_latex_()
    C.backward()
    assert words not in str(net.gradient())
    assert words not in net.gradient()._repr_latex_()
    net.zero_grad()
    assert words in str(net.gradient())


@pytest.mark.parametrize("parameters", [[], (), iter([]), [1], [ts.Value(1.0), None], None, 3, "w", ts.Value(1.0)])
def test_a_gradient_is_of_values(parameters):
    with pytest.raises(TypeError, match=r"needs a non-empty list of Values such as net.parameters\(\), got "):
        ts.Gradient(parameters)

"""`vectorize` runs primitives by their rows: values, gradients and recorded derivatives equal the engine's."""

import pickle

import numpy as np
import pytest
from programs import by_the_engine
from support.own_operations import (
    angle,
    bent,
    blend,
    branching,
    constant,
    halted,
    of_floats,
    product,
    straight,
    swish,
    unchanged,
    warm,
    weighted,
)

import tinygrad_scalar as ts
from tinygrad_scalar import Value

EACH = pytest.mark.parametrize(
    "function",
    [swish, angle, blend, product, bent, weighted, of_floats, branching],
    ids=lambda function: function.__name__,
)
near = {"rtol": 1e-12, "atol": 1e-14}


def example(function):
    """A cost of one example, its parameters, and numbers for twelve examples."""
    rng = np.random.default_rng(1)
    n = len(function.operands)
    weights = [Value(x, f"w[{k}]") for k, x in enumerate(rng.uniform(0.2, 0.9, n))]

    def output(x):
        return function(*[w * x_k for w, x_k in zip(weights, x)])

    return output, weights, rng.uniform(-0.9, 0.9, (12, n))


@EACH
@pytest.mark.parametrize("m", [1, 12])
def test_value_and_gradient_are_the_engines(function, m):
    output, weights, X = example(function)
    run = ts.vectorize(lambda x: output(x) ** 2, weights)
    expected, by_engine, _ = by_the_engine(lambda x: output(x) ** 2, weights, [X[:m]])
    for _ in range(2):
        value, gradient = run(X[:m])
        np.testing.assert_allclose(value, expected, **near)
        np.testing.assert_allclose(gradient, by_engine, **near)
    assert function.__name__ in run.source and str(run.equations)


@EACH
def test_each_example_and_jacobians_are_the_engines(function):
    output, weights, X = example(function)
    values, gradients = ts.vectorize(output, weights, reduce=None)(X)
    outputs, jacobian = ts.vectorize(lambda x: [output(x), weights[0] * output(x)], weights)(X)
    found = [by_the_engine(output, weights, [X[i : i + 1]])[:2] for i in range(len(X))]
    np.testing.assert_allclose(values, [value for value, _ in found], **near)
    np.testing.assert_allclose(gradients, [gradient for _, gradient in found], **near)
    np.testing.assert_allclose(outputs[0], np.mean(values), **near)
    np.testing.assert_allclose(jacobian[0], np.mean(gradients, axis=0), **near)


@pytest.mark.parametrize("function", [swish, angle, bent], ids=lambda function: function.__name__)
def test_recorded_derivatives_are_vectorized(function):
    output, weights, X = example(function)

    def steepness(x):
        slopes = ts.gradient(output(x), weights)
        return ts.sum([slope * slope for slope in slopes])

    value, gradient = ts.vectorize(steepness, weights)(X)
    expected, by_engine, _ = by_the_engine(steepness, weights, [X])
    np.testing.assert_allclose(value, expected, **near)
    np.testing.assert_allclose(gradient, by_engine, **near)


def test_the_scalar_machine_says_what_it_lacks():
    if not ts.accelerated:
        pytest.skip("the scalar machine is compiled")
    output, weights, X = example(of_floats)
    expected = r'way="scalar" runs no Python: use "auto" or "arrays". of_floats is called .*it was made a float'
    for reduce in ("mean", None):
        with pytest.raises(ValueError, match=expected):
            ts.vectorize(output, weights, way="scalar", reduce=reduce)(X)


def test_a_new_definition_is_traced_again():
    cell = {"ts": ts, "__name__": "__main__"}
    exec("@ts.primitive(derivative=lambda x: 2.0)\ndef changing(x):\n    return 2.0 * x", cell)
    w = Value(1.0)
    cell["w"] = w
    exec("def cost(x):\n    return w * changing(x)", cell)
    run = ts.vectorize(cell["cost"], [w])
    X = np.array([1.0, 2.0])
    assert run(X)[0] == 3.0
    exec("@ts.primitive(derivative=lambda x: 3.0)\ndef changing(x):\n    return 3.0 * x", cell)
    assert run(X)[0] == 4.5


@pytest.mark.peers
def test_what_is_made_of_functions_of_values_is_exported():
    torch = pytest.importorskip("torch")
    output, weights, X = example(swish)
    run = ts.vectorize(lambda x: output(x) ** 2, weights)
    value, gradient = run(X)
    parameters = torch.tensor(run.parameters, requires_grad=True)
    exported = run.to_torch()(parameters, torch.tensor(X))
    exported.backward()
    np.testing.assert_allclose(exported.item(), value, rtol=1e-12)
    np.testing.assert_allclose(parameters.grad.numpy(), gradient, rtol=1e-12)


@pytest.mark.peers
@pytest.mark.parametrize("function", [constant, unchanged, straight, halted, warm], ids=lambda f: f.__name__)
def test_what_reads_no_operand_or_has_another_derivative_is_exported(function):
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    output, weights, X = example(function)
    run = ts.vectorize(lambda x: output(x) ** 2 + weights[0] * x[0], weights)
    value, gradient = run(X)
    found = jax.value_and_grad(run.to_jax())(jax.numpy.array(run.parameters), jax.numpy.array(X))
    np.testing.assert_allclose(found[0], value, rtol=1e-12)
    np.testing.assert_allclose(found[1], gradient, rtol=1e-12)


@pytest.mark.peers
def test_what_is_made_of_numbers_is_not_exported():
    torch = pytest.importorskip("torch")
    output, weights, X = example(angle)
    run = ts.vectorize(output, weights)
    run(X)
    with pytest.raises(NotImplementedError, match=r"^angle cannot be replaced .* made a float"):
        run.to_torch()(torch.tensor(run.parameters), torch.tensor(X))


NET = ts.MLP(2, [3, 1], swish, output_activation="linear", seed=0)


def cost(x):
    return NET(x) ** 2


def test_a_run_is_pickled():
    X = np.random.default_rng(0).uniform(-1.0, 1.0, (5, 2))
    run = ts.vectorize(cost, NET.parameters())
    value, gradient = run(X)
    again = pickle.loads(pickle.dumps(run))(X)
    assert again[0] == value and (again[1] == gradient).all()

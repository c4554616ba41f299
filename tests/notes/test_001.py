"""Note 001, from the derivative as a limit to the gradient vector: the engine's numbers are those of the formulas."""

import math
from itertools import pairwise

import numpy as np
import pytest

import tinygrad_scalar as ts

from .equations import equation
from .numpy_network import Network, close, slope

# --- derivatives -----------------------------------------------------------------------------------------------------

# a function of the engine, the same in plain floats, and a place
FUNCTIONS = {
    "square": (lambda v: v * v, lambda x: x * x, 3.0),
    "exp": (ts.exp, math.exp, 0.5),
    "sin": (ts.sin, math.sin, 1.0),
    "sigmoid": (ts.sigmoid, lambda x: 1 / (1 + math.exp(-x)), -0.7),
    "reciprocal": (lambda v: 1 / v, lambda x: 1 / x, 2.5),
    "cost of a node": (
        lambda v: ((v * 0.8 + 0.1).sigmoid() - 1) ** 2,
        lambda x: (1 / (1 + math.exp(-(x * 0.8 + 0.1))) - 1) ** 2,
        0.6,
    ),
}
EACH_FUNCTION = pytest.mark.parametrize("name", FUNCTIONS)
EACH_PAIR = pytest.mark.parametrize(("outer", "inner"), [(outer, inner) for outer in FUNCTIONS for inner in FUNCTIONS])


def quotient(f, x, h=1e-4):
    """f′(x) to about h⁴: two central differences, extrapolated (Richardson)."""
    near, far = ((f(x + d) - f(x - d)) / (2 * d) for d in (h, 2 * h))
    return (4 * near - far) / 3


@equation("001 limit")
@EACH_FUNCTION
def test_001_limit_of_the_difference_quotient_is_the_gradient(name):
    f_value, f, x = FUNCTIONS[name]
    a = ts.Value(x)
    f_value(a).backward()
    errors = [abs((f(x + h) - f(x)) / h - a.grad) for h in (1e-1, 1e-2, 1e-3, 1e-4)]
    assert errors[-1] < 1e-3
    assert all(after < before / 5 for before, after in pairwise(errors))  # in proportion to h


@equation("001 chain rule F")
@EACH_PAIR
def test_001_chain_rule_of_F(outer, inner):
    f_value, f, _ = FUNCTIONS[outer]
    g_value, g, at = FUNCTIONS[inner]
    x = ts.Value(at)
    F = f_value(g_value(x))
    F.backward()
    assert F.data == pytest.approx(f(g(at)), rel=1e-13)
    assert x.grad == pytest.approx(quotient(f, g(at)) * quotient(g, at), rel=1e-7, abs=1e-9)


@equation("001 partial derivative")
def test_001_partial_derivative_is_what_a_nudge_of_one_variable_changes(chain):
    L = chain.L
    for i in range(chain.m):
        chain.loss_of(i).backward()
        _, A = chain.forward()
        w, b, a, y = chain.W[L].item(), chain.b[L].item(), A[L - 1][0, i], chain.Y[0, i]

        def f(w, b, y=y, a=a):
            return (chain.g(L, w * a + b) - y) ** 2

        assert chain.w(L).grad == pytest.approx(quotient(lambda x, b=b: f(x, b), w), rel=1e-7, abs=1e-9)
        assert chain.bias(L).grad == pytest.approx(quotient(lambda x, w=w: f(w, x), b), rel=1e-7, abs=1e-9)


@equation("001 chain rule y")
@EACH_PAIR
def test_001_chain_rule_of_y(outer, inner):
    f_value, f, _ = FUNCTIONS[outer]
    g_value, g, at = FUNCTIONS[inner]
    t = ts.Value(at)
    x = g_value(t)
    f_value(x).backward()
    dy_dx = x.grad
    assert dy_dx == pytest.approx(quotient(f, g(at)), rel=1e-7, abs=1e-9)
    assert t.grad == pytest.approx(dy_dx * quotient(g, at), rel=1e-7, abs=1e-9)


# --- one node per layer ----------------------------------------------------------------------------------------------


def last_layers(chain):
    """For each example: the engine's ∂C/∂w, ∂C/∂b and ∂C/∂a(L−1), and the numbers a(L−1), σ′(z), a(L) and y."""
    Z, A = chain.forward()
    L = chain.L
    for i in range(chain.m):
        chain.loss_of(i).backward()
        gradients = chain.w(L).grad, chain.bias(L).grad, chain.net.a[L - 1][0].grad
        yield gradients, (A[L - 1][0, i], chain.g_prime(L, Z[L][0, i]), A[L][0, i], chain.Y[0, i])


@equation("001 dC/dw")
def test_001_dC_dw_is_the_long_product(chain):
    for (by_w, _, _), (a_before, sigma_prime, a, y) in last_layers(chain):
        assert by_w == close(a_before * sigma_prime * 2 * (a - y))


@equation("001 dC/db")
def test_001_dC_db_is_the_long_product(chain):
    for (_, by_b, _), (_, sigma_prime, a, y) in last_layers(chain):
        assert by_b == close(1 * sigma_prime * 2 * (a - y))


@equation("001 dC/da")
def test_001_dC_da_is_the_long_product_with_dz_da_as_first_factor(chain):
    w, b = chain.W[-1].item(), chain.b[-1].item()
    for (_, _, by_a), (a_before, sigma_prime, a, y) in last_layers(chain):
        dz_da = slope(lambda a: w * a + b, a_before)
        assert by_a == close(dz_da * sigma_prime * 2 * (a - y))
        assert by_a == close(w * sigma_prime * 2 * (a - y))


@equation("001 cost")
def test_001_cost_of_a_sample_is_the_squared_error(chain):
    _, A = chain.forward()
    for i in range(chain.m):
        assert chain.loss_of(i).data == close((A[-1][0, i] - chain.Y[0, i]) ** 2)


@equation("001 cost arguments")
def test_001_cost_is_a_function_of_all_weights_and_biases(network):
    """With other weights and biases and forward(), the graph has the cost of a network with those numbers."""
    C = network.loss_of(0)
    other = Network([len(A) for A in network.forward()[1]], 1, seed=99)
    network.W, network.b = other.W, other.b
    network.write()
    C.forward()
    assert C.data == close(network.losses()[0])
    arguments = {leaf for leaf in ts.leaves(C) if leaf.label.startswith(("w", "b"))}
    assert arguments == set(network.net.parameters())


@equation("001 activation")
def test_001_activation_of_the_weighted_input(chain):
    _, A = chain.forward()
    for i in range(chain.m):
        chain.loss_of(i)
        for layer in range(1, chain.L + 1):
            z = chain.W[layer].item() * A[layer - 1][0, i] + chain.b[layer].item()
            assert chain.net.a[layer][0].data == close(chain.g(layer, z))


@equation("001 average")
def test_001_average_of_the_examples_gradients_is_that_of_the_cost(network):
    """∂Cₖ/∂w from the graph of each example, ∂C/∂w of the mean from a nudge in NumPy."""
    each = []
    for k in range(network.m):
        network.loss_of(k).backward()
        each.append(network.w(network.L).grad)
    assert sum(each) / network.m == close(network.slope_of_cost(network.W, network.L, (0, 0)))


@equation("001 previous layer")
@pytest.mark.parametrize("seed", range(20))
def test_001_previous_layer(seed):
    chain = Network([1] * (3 + seed % 4), 2, ["sigmoid", "tanh", "softplus"][seed % 3], seed=seed)
    L = chain.L
    Z, A = chain.forward()
    for i in range(chain.m):
        chain.loss_of(i).backward()
        dz_dw = A[L - 2][0, i]
        da_dz = [slope(lambda z, layer=layer: chain.g(layer, z), Z[layer][0, i]) for layer in (L - 1, L)]
        dz_da = chain.W[L].item()
        dC_da = 2 * (A[L][0, i] - chain.Y[0, i])
        assert chain.w(L - 1).grad == close(dz_dw * da_dz[0] * dz_da * da_dz[1] * dC_da)


@equation("001 all layers")
def test_001_all_layers_have_a_product_one_z_and_a_longer_for_each_layer_between(chain):
    Z, A = chain.forward()
    for i in range(chain.m):
        chain.loss_of(i).backward()
        for layer in range(1, chain.L + 1):
            product = A[layer - 1][0, i] * chain.g_prime(layer, Z[layer][0, i])
            for later in range(layer + 1, chain.L + 1):
                product *= chain.W[later].item() * chain.g_prime(later, Z[later][0, i])
            assert chain.w(layer).grad == close(product * 2 * (A[-1][0, i] - chain.Y[0, i]))


@equation("001 gradient vector")
def test_001_gradient_vector_goes_layer_by_layer_weights_before_biases(network):
    dW, db = network.gradients_by_nudging()
    vector = np.concatenate([part.ravel() for pair in zip(dW[1:], db[1:]) for part in pair])
    network.cost().backward()
    gradient = network.net.gradient()
    assert gradient.array == close(vector)
    first, last = f"w(1)[0,{network.W[1].shape[1] - 1}]", f"b({network.L})[{len(network.b[-1]) - 1}]"
    assert gradient[first] == close(dW[1][0, -1])
    assert gradient[last] == close(db[-1][-1, 0])


@equation("001 gradient descent")
def test_001_gradient_descent_subtracts_the_gradient_vector_times_the_learning_rate(network):
    parameters = network.net.parameters()
    before = np.array([p.data for p in parameters])
    dW, db = network.gradients_by_nudging()
    vector = np.concatenate([part.ravel() for pair in zip(dW[1:], db[1:]) for part in pair])
    network.cost().backward()
    ts.GradientDescent(parameters, 0.25).step()
    assert [p.data for p in parameters] == close(before - 0.25 * vector)


# --- several nodes per layer -----------------------------------------------------------------------------------------


@equation("001 multi-node w")
def test_001_multi_node_w_jk_carries_a_k_to_a_j(network):
    """∂zⱼ/∂aₖ = wⱼₖ for each j and k."""
    network.loss_of(0)
    for layer in range(1, network.L + 1):
        for j, z in enumerate(network.net.z[layer]):
            for a in network.net.a[layer - 1]:
                a.grad = 0.0
            z.backward()
            assert [a.grad for a in network.net.a[layer - 1]] == close(network.W[layer][j])


def deltas(network, i):
    """The last layer's ∂C₀/∂aⱼ and ∂aⱼ/∂zⱼ of example i in plain numbers."""
    Z, A = network.forward()
    return network.dloss(A[-1])[:, i], network.g_prime(network.L, Z[-1])[:, i]


@equation("001 multi-node dC/dw")
def test_001_multi_node_dC_dw(network):
    L = network.L
    _, A = network.forward()
    for i in range(network.m):
        network.loss_of(i).backward()
        dC_da, da_dz = deltas(network, i)
        for j, k in np.ndindex(network.W[L].shape):
            assert network.w(L, j, k).grad == close(A[L - 1][k, i] * da_dz[j] * dC_da[j])


@equation("001 multi-node dC/da")
def test_001_multi_node_dC_da(network):
    L = network.L
    for i in range(network.m):
        network.loss_of(i).backward()
        dC_da, da_dz = deltas(network, i)
        for k, a in enumerate(network.net.a[L - 1]):
            assert a.grad == close(sum(network.W[L][j, k] * da_dz[j] * dC_da[j] for j in range(len(da_dz))))


@equation("001 multi-node cost")
def test_001_multi_node_cost_is_the_squared_length_of_the_difference_of_two_vectors(network):
    network.loss = "squared_error"
    _, A = network.forward()
    for i in range(network.m):
        assert network.loss_of(i).data == close(np.linalg.norm(A[-1][:, i] - network.Y[:, i]) ** 2)


@equation("001 multi-node users")
def test_001_multi_node_users_of_an_activation_are_the_nodes_of_the_next_layer(network):
    C = network.loss_of(0)
    nodes = ts.topological_order(C)
    for layer in range(1, network.L + 1):
        for a in network.net.a[layer - 1]:
            if a.op or layer == 1:
                products = [node for node in nodes if node.op == "*" and a in node.operands]
                assert len(products) == network.W[layer].shape[0]


@equation("001 multi-node a")
def test_001_multi_node_a_is_sigma_of_the_sum(network):
    _, A = network.forward()
    for i in range(network.m):
        network.loss_of(i)
        for layer in range(1, network.L + 1):
            for j, a in enumerate(network.net.a[layer]):
                z = sum(w * a_k for w, a_k in zip(network.W[layer][j], A[layer - 1][:, i])) + network.b[layer][j, 0]
                assert a.data == close(network.g(layer, z))

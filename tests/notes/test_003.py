"""Note 003, the vectorized equations, with the m examples as columns: in NumPy they give the scalar engine's gradients.

ℒ is the sum of the examples' losses and C = ℒ/m their mean. δ and dA are derivatives of C in Eq. 4, as is printed, but
of ℒ from Eq. 10 on; dw and db are always those of C.
"""

import numpy as np
import pytest

import tinygrad_scalar as ts

from .equations import equation
from .numpy_network import ACTIVATIONS, LOSSES, Network, close, slope


def layers_of(network):
    return range(1, network.L + 1)


# --- feed forward and cost -------------------------------------------------------------------------------------------


@equation("003 Eq. 1a")
def test_003_eq_1a_weighted_input(network):
    found, (_, A) = network.by_the_engine(), network.forward()
    for layer in layers_of(network):
        assert found.Z[layer] == close(network.W[layer] @ A[layer - 1] + network.b[layer])


@equation("003 Eq. 1b")
def test_003_eq_1b_activation(network):
    found, (Z, _) = network.by_the_engine(), network.forward()
    for layer in layers_of(network):
        assert found.A[layer] == close(network.g(layer, Z[layer]))


def costs_of(network, loss):
    """The cost by the engine and by `vectorize`; the outputs and the targets of the examples, one after the other."""
    network.loss = loss
    run = ts.vectorize(lambda x, y: getattr(ts, loss)(network.net(x), y), network.net.parameters())
    _, A = network.forward()
    return network.cost().data, run.value(network.X.T, network.Y.T), A[-1].T, network.Y.T


@equation("003 Eq. 2a")
def test_003_eq_2a_mean_squared_error(network):
    by_engine, by_vectorize, outputs, targets = costs_of(network, "squared_error")
    C = sum(np.linalg.norm(y - a) ** 2 for a, y in zip(outputs, targets)) / network.m
    assert (by_engine, by_vectorize) == (close(C), close(C))


@equation("003 Eq. 2b")
def test_003_eq_2b_mean_absolute_error(network):
    by_engine, by_vectorize, outputs, targets = costs_of(network, "absolute_error")
    C = sum(np.linalg.norm(y - a, ord=1) for a, y in zip(outputs, targets)) / network.m
    assert (by_engine, by_vectorize) == (close(C), close(C))


@equation("003 Eq. 2c")
@pytest.mark.parametrize("seed", range(12))
def test_003_eq_2c_cross_entropy_of_one_output(seed):
    sizes = [1 + seed % 7, *[3] * (seed % 5), 1]
    network = Network(sizes, 1 + seed % 6, list(ACTIVATIONS)[seed % 6], "sigmoid", seed=seed)
    by_engine, by_vectorize, outputs, targets = costs_of(network, "binary_cross_entropy")
    terms = [y * np.log(a) + (1 - y) * np.log(1 - a) for (a,), (y,) in zip(outputs, targets)]
    C = -sum(terms) / network.m
    assert (by_engine, by_vectorize) == (close(C), close(C))


@equation("003 loss and cost")
def test_003_cost_is_the_average_of_the_losses(network):
    losses = [network.loss_of(i).data for i in range(network.m)]
    assert losses == close(network.losses())
    outputs = [network.net(list(x)) for x in network.X.T]
    assert ts.cost(network.loss, outputs, network.Y.T.tolist()).data == close(network.losses().sum() / network.m)


# --- gradient descent ------------------------------------------------------------------------------------------------


@equation("003 Eq. 3a", "003 Eq. 3b")
@pytest.mark.parametrize("alpha", [0.5, 1e-3])
def test_003_eq_3_gradient_descent_of_every_weight_and_bias(network, alpha):
    dW, db = network.gradients_by_nudging()
    network.cost().backward()
    ts.GradientDescent(network.net.parameters(), alpha).step()
    for layer in layers_of(network):
        stepped = network.W[layer] - alpha * dW[layer]
        n, n_before = stepped.shape
        assert [[network.w(layer, j, k).data for k in range(n_before)] for j in range(n)] == close(stepped)
        assert [[network.bias(layer, j).data] for j in range(n)] == close(network.b[layer] - alpha * db[layer])


# --- the output layer: Eq. 4 and its local derivatives ---------------------------------------------------------------


def jacobian(roots, leaves):
    """∂root/∂leaf by the engine, (len(roots), len(leaves))."""
    rows = []
    for root in roots:
        for leaf in leaves:
            leaf.grad = 0.0
        root.backward()
        rows.append([leaf.grad for leaf in leaves])
    return np.array(rows)


def nodes_of_examples(network, layer):
    """The engine's nodes for each example: z and a of `layer`, and a of the layer before."""
    nodes = []
    for i in range(network.m):
        network.loss_of(i)
        nodes.append((network.net.z[layer], network.net.a[layer], network.net.a[layer - 1]))
    return nodes


@equation("003 Eq. 4a")
def test_003_eq_4a_delta(network):
    found = network.by_the_engine()
    Z, A = network.forward()
    dA_dZ = slope(lambda Z: network.g(network.L, Z), Z[-1])
    assert found.dZ[-1] / network.m == close(network.dloss(A[-1]) / network.m * dA_dZ)


def delta_of_the_mean(network):  # δ as Eq. 4 has it, ∂C/∂Z of the last layer
    return network.dZ_by_nudging(network.L) / network.m


@equation("003 Eq. 4b")
def test_003_eq_4b_weights(network):
    found, delta, A_before = network.by_the_engine(), delta_of_the_mean(network), network.forward()[1][-2]
    for j, (w, b) in enumerate(zip(network.W[-1], network.b[-1])):
        nudges = np.eye(len(w))
        dz_dw = np.array([slope(lambda t, n=n, w=w, b=b: (w + n * t) @ A_before + b, 0.0) for n in nudges]).T
        assert found.dW[-1][j] == close(delta[j] @ dz_dw)


@equation("003 Eq. 4c")
def test_003_eq_4c_bias(network):
    found, delta, A_before = network.by_the_engine(), delta_of_the_mean(network), network.forward()[1][-2]
    for j, (w, b) in enumerate(zip(network.W[-1], network.b[-1])):
        dz_db = slope(lambda b, w=w: w @ A_before + b, b)[:, None]
        assert found.db[-1][j] == close(delta[j] @ dz_db)


@equation("003 Eq. 4d")
def test_003_eq_4d_the_layer_before(network):
    found, delta, A_before = network.by_the_engine(), delta_of_the_mean(network), network.forward()[1][-2]
    for i, a in enumerate(A_before.T):
        nudges = np.eye(len(a))
        dz_da = np.array([slope(lambda t, n=n, a=a: network.W[-1] @ (a + n * t), 0.0) for n in nudges]).T
        assert found.dA[-2][:, i] / network.m == close(dz_da.T @ delta[:, i])


@equation("003 Eq. 5a")
@pytest.mark.parametrize("L", range(1, 6))
@pytest.mark.parametrize("loss", LOSSES)
def test_003_eq_5a_cost_of_the_nested_activations(L, loss):
    r = np.random.default_rng(L)
    sizes = [int(n) for n in r.integers(1, 8, size=L + 1)]
    network = Network(sizes, 4, "tanh", "sigmoid", loss, seed=L, biases=False)
    A = network.X
    for layer in layers_of(network):
        A = network.g(layer, network.W[layer] @ A)
    assert network.by_the_engine().A[-1] == close(A)
    assert network.cost().data == close(LOSSES[loss](A, network.Y).mean())


@equation("003 Eq. 5b")
def test_003_eq_5b_gradient_by_the_input(network):
    run = ts.vectorize(
        lambda x, y: getattr(ts, network.loss)(network.net(x), y), network.net.parameters(), wrt_inputs=True
    )
    _, _, (dX, _) = run(network.X.T, network.Y.T)
    found = network.by_the_engine()
    Z, A = network.forward()
    gradient = network.dloss(A[-1]) / network.m
    for layer in reversed(layers_of(network)):
        gradient = network.W[layer].T @ (network.g_prime(layer, Z[layer]) * gradient)
    assert np.transpose(dX) == close(gradient)
    assert found.dA[0] / network.m == close(gradient)
    for i in range(network.m):  # and for one example, as a chain of matrix products
        column = network.dloss(A[-1])[:, i]
        for layer in reversed(layers_of(network)):
            column = network.W[layer].T @ np.diag(network.g_prime(layer, Z[layer])[:, i]) @ column
        assert found.dA[0][:, i] == close(column)


@equation("003 Eq. 6")
def test_003_eq_6_dZ_dw(network):
    _, A = network.forward()
    for layer in layers_of(network):
        nodes = nodes_of_examples(network, layer)
        for j, neuron in enumerate(network.net.layers[layer - 1].neurons):
            assert jacobian([z[j] for z, _, _ in nodes], neuron.w) == close(A[layer - 1].T)


@equation("003 Eq. 7")
def test_003_eq_7_dZ_db_is_a_column_of_m_ones(network):
    for layer in layers_of(network):
        nodes = nodes_of_examples(network, layer)
        for j in range(len(network.W[layer])):
            dz_db = jacobian([z[j] for z, _, _ in nodes], [network.bias(layer, j)])
            assert dz_db.tolist() == np.ones((network.m, 1)).tolist()


@equation("003 Eq. 8")
def test_003_eq_8_dZ_dA(network):
    for layer in layers_of(network):
        for z, _, a_before in nodes_of_examples(network, layer):
            assert jacobian(z, a_before) == close(network.W[layer])


@equation("003 Eq. 9")
def test_003_eq_9_activation_derivative_is_element_wise(network):
    Z, _ = network.forward()
    for layer in layers_of(network):
        g_prime = slope(lambda Z, layer=layer: network.g(layer, Z), Z[layer])
        for i, (z, a, _) in enumerate(nodes_of_examples(network, layer)):
            assert jacobian(a, z) == close(np.diag(g_prime[:, i]))
        assert network.g_prime(layer, Z[layer]) == close(g_prime)


# --- the output layer: Eq. 10 ----------------------------------------------------------------------------------------


@equation("003 Eq. 10a")
def test_003_eq_10a_delta(network):
    Z, A = network.forward()
    assert network.by_the_engine().dZ[-1] == close(network.dloss(A[-1]) * network.g_prime(network.L, Z[-1]))


def output_delta(network):
    Z, A = network.forward()
    return network.dloss(A[-1]) * network.g_prime(network.L, Z[-1]), A[-2]


@equation("003 Eq. 10b")
def test_003_eq_10b_weights(network):
    delta, A_before = output_delta(network)
    assert network.by_the_engine().dW[-1] == close(delta @ A_before.T / network.m)


@equation("003 Eq. 10c")
def test_003_eq_10c_bias_is_the_mean_over_the_columns(network):
    delta, _ = output_delta(network)
    assert network.by_the_engine().db[-1] == close(np.sum(delta, axis=1, keepdims=True) / network.m)


@equation("003 Eq. 10d")
def test_003_eq_10d_the_layer_before(network):
    delta, _ = output_delta(network)
    assert network.by_the_engine().dA[-2] == close(network.W[-1].T @ delta)


# --- any layer: Eq. 11 from δ and dA measured by nudges, and Eq. 12 as one program -----------------------------------


@equation("003 range of l")
def test_003_range_of_l_is_every_layer_from_1_to_L(network):
    """Eq. 11 for those layers gives the gradient of every parameter."""
    _, dw, db, _ = backpropagated(network)
    given = np.concatenate([part[layer].ravel() for layer in layers_of(network) for part in (dw, db)])
    network.cost().backward()
    assert network.net.gradient().array == close(given)


@equation("003 Eq. 11a")
def test_003_eq_11a_delta_of_every_layer(network):
    found = network.by_the_engine()
    Z, _ = network.forward()
    for layer in layers_of(network):
        assert found.dZ[layer] == close(network.dA_by_nudging(layer) * network.g_prime(layer, Z[layer]))


@equation("003 Eq. 11b")
def test_003_eq_11b_weights_of_every_layer(network):
    found = network.by_the_engine()
    _, A = network.forward()
    for layer in layers_of(network):
        assert found.dW[layer] == close(network.dZ_by_nudging(layer) @ A[layer - 1].T / network.m)


@equation("003 Eq. 11c")
def test_003_eq_11c_bias_of_every_layer(network):
    found = network.by_the_engine()
    for layer in layers_of(network):
        assert found.db[layer] == close(np.sum(network.dZ_by_nudging(layer), axis=1, keepdims=True) / network.m)


@equation("003 Eq. 11d")
def test_003_eq_11d_every_layer_before(network):
    found = network.by_the_engine()
    for layer in layers_of(network):
        assert found.dA[layer - 1] == close(network.W[layer].T @ network.dZ_by_nudging(layer))


def backpropagated(network):
    """Eq. 12 from the output to the input: δ, dw, db and dA of each layer, in NumPy alone."""
    Z, A = network.forward()
    delta, dw, db, dA = ([None] * (network.L + 1) for _ in range(4))
    dA[network.L] = network.dloss(A[-1])
    for layer in reversed(layers_of(network)):
        delta[layer] = dA[layer] * network.g_prime(layer, Z[layer])
        dw[layer] = delta[layer] @ A[layer - 1].T / network.m
        db[layer] = np.sum(delta[layer], axis=1, keepdims=True) / network.m
        dA[layer - 1] = network.W[layer].T @ delta[layer]
    return delta, dw, db, dA


@equation("003 Eq. 12a")
def test_003_eq_12a_delta(network):
    delta, _, _, _ = backpropagated(network)
    found = network.by_the_engine()
    for layer in layers_of(network):
        assert found.dZ[layer] == close(delta[layer])


@equation("003 Eq. 12b")
def test_003_eq_12b_dw(network):
    _, dw, _, _ = backpropagated(network)
    found = network.by_the_engine()
    for layer in layers_of(network):
        assert found.dW[layer] == close(dw[layer])


@equation("003 Eq. 12c")
def test_003_eq_12c_db(network):
    _, _, db, _ = backpropagated(network)
    found = network.by_the_engine()
    for layer in layers_of(network):
        assert found.db[layer] == close(db[layer])


@equation("003 Eq. 12d")
def test_003_eq_12d_dA(network):
    _, _, _, dA = backpropagated(network)
    found = network.by_the_engine()
    for layer in layers_of(network):
        assert found.dA[layer - 1] == close(dA[layer - 1])


@equation("003 compact notation")
def test_003_compact_notation_has_the_shapes_of_what_it_differentiates_by(network):
    """dA differentiates the sum of losses, so each column depends on one example; dw and db differentiate C."""
    delta, dw, db, dA = backpropagated(network)
    Z, A = network.forward()
    for layer in layers_of(network):
        pairs = [(dw, network.W), (db, network.b), (dA, A), (delta, Z)]
        assert [d[layer].shape for d, _ in pairs] == [array[layer].shape for _, array in pairs]
    for i in range(network.m):
        network.loss_of(i).backward()
        for layer in layers_of(network):
            assert [a.grad for a in network.net.a[layer]] == close(dA[layer][:, i])
    by_nudging = network.gradients_by_nudging()
    for layer in layers_of(network):
        assert (dw[layer], db[layer]) == (close(by_nudging[0][layer]), close(by_nudging[1][layer]))


@equation("003 Eq. 12a", "003 Eq. 12b", "003 Eq. 12c", "003 Eq. 12d")
def test_003_eq_12_is_the_gradient_of_vectorize(network):
    """vectorize has the examples as rows, 003 as columns."""
    run = ts.vectorize(lambda x, y: getattr(ts, network.loss)(network.net(x), y), network.net.parameters())
    value, gradient = run(network.X.T, network.Y.T)
    _, dw, db, _ = backpropagated(network)
    assert value == close(network.losses().mean())
    assert gradient == close(np.concatenate([p.ravel() for pair in zip(dw[1:], db[1:]) for p in pair]))


# --- procedures ------------------------------------------------------------------------------------------------------


@equation("003 cache")
def test_003_cache_of_the_forward_pass_is_all_that_the_backward_pass_reads(network):
    """δ, dw, db and dA from `net.z`, `net.a`, the weights and the derivative of the loss alone."""
    found = network.by_the_engine()
    nodes = [nodes_of_examples(network, layer) for layer in layers_of(network)]
    dA = network.dloss(found.A[-1])
    for layer in reversed(layers_of(network)):
        Z = np.array([[value.data for value in z] for z, _, _ in nodes[layer - 1]]).T
        A_before = np.array([[value.data for value in a] for _, _, a in nodes[layer - 1]]).T
        delta = dA * network.g_prime(layer, Z)
        dA = network.W[layer].T @ delta
        assert found.dW[layer] == close(delta @ A_before.T / network.m)
        assert found.db[layer] == close(delta.mean(axis=1, keepdims=True))


@equation("003 backward pass")
def test_003_backward_pass_hands_each_layer_the_derivative_from_the_layer_after_it(network):
    """Started at any layer from the dA handed down to it, the pass gives the same result."""
    found = network.by_the_engine()
    Z, A = network.forward()
    for start in layers_of(network):
        dA = network.dA_by_nudging(start)
        for layer in range(start, 0, -1):
            delta = dA * network.g_prime(layer, Z[layer])
            assert found.dW[layer] == close(delta @ A[layer - 1].T / network.m)
            dA = network.W[layer].T @ delta
        assert found.dA[0] == close(dA)

"""Note 000, backpropagation through one node per layer and through several: the engine's gradients are its formulas."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest

import tinygrad_scalar as ts

from .equations import equation
from .numpy_network import DERIVATIVES, Network, close, slope


class Last(NamedTuple):
    """The last layer of a chain in plain numbers, and its activation."""

    w: float
    b: float
    a_before: float
    z: float
    a: float
    y: float
    sigma: object
    sigma_prime: object


def last_layers(chain):
    """For each example: the engine's C₀, with its Values in the cache of `chain.net`, and the plain numbers."""
    Z, A = chain.forward()
    L = chain.L
    for i in range(chain.m):
        yield (
            chain.loss_of(i),
            Last(
                chain.W[L].item(), chain.b[L].item(), A[L - 1][0, i], Z[L][0, i], A[L][0, i], chain.Y[0, i],
                lambda z: chain.g(L, z), lambda z: chain.g_prime(L, z),
            ),
        )  # fmt: skip


def z_of(w, a_before, b):
    return w * a_before + b


def cost_of(a, y):
    return (a - y) ** 2


# --- one node per layer: the forward pass ----------------------------------------------------------------------------


@equation("000 goal")
def test_000_goal_steps_against_the_gradient_lower_C(chain):
    descent = ts.GradientDescent(chain.net.parameters(), 1e-3)
    costs = []
    for _ in range(5):
        C = chain.loss_of(0)
        C.backward()
        descent.step()
        costs.append(C.data)
    assert all(after < before for before, after in pairwise(costs))


@equation("000 activation")
def test_000_activation_of_layer_L_is_the_output_and_that_of_layer_L_minus_1_feeds_it(chain):
    output = chain.net(list(chain.X[:, 0]))
    assert chain.net.a[chain.L][0] is output
    assert (output.label, chain.net.a[chain.L - 1][0].label) == (f"a({chain.L})[0]", f"a({chain.L - 1})[0]")
    assert output.operands == (chain.net.z[chain.L][0],)


@equation("000 Eq. 1")
def test_000_eq_1_activation(chain):
    for _, node in last_layers(chain):
        assert chain.net.a[-1][0].data == close(node.sigma(node.w * node.a_before + node.b))


@equation("000 weight and bias")
def test_000_weight_belongs_to_a_connection_and_bias_to_the_node_in_layer_L(network):
    for nodes, W in zip(network.net.layers, network.W[1:]):
        n, n_before = W.shape
        assert len(nodes.parameters()) == n * n_before + n
        assert len({neuron.b for neuron in nodes.neurons}) == n


@equation("000 Eq. 2")
def test_000_eq_2_pre_activation(chain):
    for _, node in last_layers(chain):
        assert chain.net.z[-1][0].data == close(node.w * node.a_before + node.b)


@equation("000 cost")
def test_000_cost_is_the_squared_difference(chain):
    for C, node in last_layers(chain):
        assert C.data == close((node.a - node.y) ** 2)


@equation("000 example cost")
def test_000_example_cost_is_that_of_example_i_alone(chain):
    _, A = chain.forward()
    costs = [chain.loss_of(i).data for i in range(chain.m)]
    assert costs == close((A[-1][0] - chain.Y[0]) ** 2)


# --- one node per layer: the chain rule ------------------------------------------------------------------------------


@equation("000 wanted derivative")
def test_000_wanted_derivative_is_the_change_of_C_for_a_nudge_of_w(chain):
    for i in range(chain.m):
        chain.loss_of(i).backward()
        by_engine = chain.w(chain.L).grad
        h, costs = 1e-5, []
        for nudged in (chain.W[-1].item() + h, chain.W[-1].item() - h):
            a = chain.g(chain.L, nudged * chain.forward()[1][-2][0, i] + chain.b[-1].item())
            costs.append((a - chain.Y[0, i]) ** 2)
        assert by_engine == pytest.approx((costs[0] - costs[1]) / (2 * h), rel=1e-6, abs=1e-9)


@equation("000 Eq. 3")
def test_000_eq_3_dC_dw(chain):
    for C, node in last_layers(chain):
        C.backward()
        dz_dw = slope(lambda w, node=node: z_of(w, node.a_before, node.b), node.w)
        da_dz = slope(node.sigma, node.z)
        dC_da = slope(lambda a, node=node: cost_of(a, node.y), node.a)
        assert chain.w(chain.L).grad == close(dz_dw * da_dz * dC_da)


@equation("000 Eq. 4")
def test_000_eq_4_dC_da(chain):
    for C, node in last_layers(chain):
        C.backward()
        assert chain.net.a[-1][0].grad == close(2 * (node.a - node.y))


@equation("000 Eq. 5")
def test_000_eq_5_da_dz(chain):
    for _, node in last_layers(chain):
        chain.net.a[-1][0].backward()
        assert chain.net.z[-1][0].grad == close(node.sigma_prime(node.z))


@equation("000 Eq. 5")
@pytest.mark.parametrize("z", [-30.0, -2.0, -0.1, 0.0, 0.7, 3.0, 30.0])
def test_000_eq_5_sigma_prime_of_the_sigmoid(z):
    pre_activation = ts.Value(z)
    pre_activation.sigmoid().backward()
    assert pre_activation.grad == pytest.approx(DERIVATIVES["sigmoid"](np.float64(-abs(z))), rel=1e-12)


@equation("000 Eq. 6")
def test_000_eq_6_dz_dw(chain):
    for _, node in last_layers(chain):
        chain.net.z[-1][0].backward()
        assert chain.w(chain.L).grad == close(node.a_before)


@equation("000 Eq. 7")
def test_000_eq_7_dC_db(chain):
    for C, node in last_layers(chain):
        C.backward()
        dz_db = slope(lambda b, node=node: z_of(node.w, node.a_before, b), node.b)
        da_dz = slope(node.sigma, node.z)
        dC_da = slope(lambda a, node=node: cost_of(a, node.y), node.a)
        assert chain.bias(chain.L).grad == close(dz_db * da_dz * dC_da)


@equation("000 dz/db")
def test_000_dz_db_is_1(chain):
    for _ in last_layers(chain):
        chain.net.z[-1][0].backward()
        assert chain.bias(chain.L).grad == 1.0


@equation("000 Eq. 8")
def test_000_eq_8_dC_da_before(chain):
    for C, node in last_layers(chain):
        C.backward()
        dz_da = slope(lambda a_before, node=node: z_of(node.w, a_before, node.b), node.a_before)
        da_dz = slope(node.sigma, node.z)
        dC_da = slope(lambda a, node=node: cost_of(a, node.y), node.a)
        assert chain.net.a[-2][0].grad == close(dz_da * da_dz * dC_da)


@equation("000 dz/da")
def test_000_dz_da_is_w(chain):
    for _, node in last_layers(chain):
        chain.net.z[-1][0].backward()
        assert chain.net.a[-2][0].grad == close(node.w)


@equation("000 iteration")
def test_000_iteration_of_eq_8_gives_every_layers_gradients(chain):
    Z, A = chain.forward()
    for i in range(chain.m):
        chain.loss_of(i).backward()
        dC_da = 2 * (A[-1][0, i] - chain.Y[0, i])  # Eq. 4, for the last layer only
        for layer in reversed(range(1, chain.L + 1)):
            delta = chain.g_prime(layer, Z[layer][0, i]) * dC_da
            assert chain.w(layer).grad == close(A[layer - 1][0, i] * delta)
            assert chain.bias(layer).grad == close(delta)
            dC_da = chain.W[layer].item() * delta  # Eq. 8 in place of Eq. 4
            assert chain.net.a[layer - 1][0].grad == close(dC_da)


# --- several nodes per layer -----------------------------------------------------------------------------------------


@equation("000 multi-node indices")
def test_000_multi_node_indices_count_the_nodes_of_a_layer_from_0(network):
    network.loss_of(0)
    _, A = network.forward()
    for values, column in zip(network.net.a, A):
        assert [value.data for value in values] == close(column[:, 0])


@equation("000 multi-node cost")
def test_000_multi_node_cost_sums_over_the_output_nodes(network):
    network.loss = "squared_error"
    _, A = network.forward()
    for i in range(network.m):
        n_L = len(A[-1])
        assert network.loss_of(i).data == close(sum((A[-1][j, i] - network.Y[j, i]) ** 2 for j in range(n_L)))


@equation("000 multi-node w")
def test_000_multi_node_w_jk_leads_from_neuron_k_to_neuron_j(network):
    network.loss_of(0)
    for layer in range(1, network.L + 1):
        for j, k in np.ndindex(network.W[layer].shape):
            w = network.w(layer, j, k)
            products = [edge for edge in edges_of(network.net.z[layer][j]) if w in edge]
            assert w.label == f"w({layer})[{j},{k}]"
            assert products == [{w, network.net.a[layer - 1][k]}]


def edges_of(z):
    """The operands of each product in the sum z."""
    nodes = [z]
    for node in nodes:
        if node.op == "+":
            nodes.extend(node.operands)
    return [set(node.operands) for node in nodes if node.op == "*"]


@equation("000 multi-node z")
def test_000_multi_node_z_sums_over_all_neurons_of_the_layer_before(network):
    _, A = network.forward()
    for i in range(network.m):
        network.loss_of(i)
        for layer in range(1, network.L + 1):
            n, n_before = network.W[layer].shape
            for j in range(n):
                total = (
                    sum(network.W[layer][j, k] * A[layer - 1][k, i] for k in range(n_before)) + network.b[layer][j, 0]
                )
                assert network.net.z[layer][j].data == close(total)


@equation("000 multi-node z of three")
@pytest.mark.parametrize("n", [1, 2, 4, 7])
def test_000_multi_node_z_of_three_inputs(n):
    network = Network([3, n], 2, seed=n)
    for i in range(2):
        network.loss_of(i)
        a = network.X[:, i]
        for j, (w, b) in enumerate(zip(network.W[1], network.b[1][:, 0])):
            assert network.net.z[1][j].data == close(w[0] * a[0] + w[1] * a[1] + w[2] * a[2] + b)


@equation("000 multi-node a")
def test_000_multi_node_a_is_the_activation_of_its_own_z(network):
    Z, _ = network.forward()
    for i in range(network.m):
        network.loss_of(i)
        for layer in range(1, network.L + 1):
            assert [a.data for a in network.net.a[layer]] == close(network.g(layer, Z[layer][:, i]))


@equation("000 multi-node dC/dw")
def test_000_multi_node_dC_dw(network):
    L = network.L
    Z, A = network.forward()
    for i in range(network.m):
        network.loss_of(i).backward()
        a_before, dC_da = A[L - 1][:, i], network.dloss(A[L])[:, i]
        for j, k in np.ndindex(network.W[L].shape):
            dz_dw = slope(lambda w, j=j, k=k, a=a_before: np.delete(network.W[L][j], k) @ np.delete(a, k) + w * a[k],
                          network.W[L][j, k])  # fmt: skip
            da_dz = slope(lambda z: network.g(L, z), Z[L][j, i])
            assert network.w(L, j, k).grad == close(dz_dw * da_dz * dC_da[j])


@equation("000 multi-node dC/da")
def test_000_multi_node_dC_da_sums_over_the_nodes_of_layer_L(network):
    Z, A = network.forward()
    for i in range(network.m):
        network.loss_of(i).backward()
        dC_da = network.dloss(A[-1])[:, i]
        for layer in reversed(range(1, network.L + 1)):
            n, n_before = network.W[layer].shape
            da_dz = [slope(lambda z, layer=layer: network.g(layer, z), Z[layer][j, i]) for j in range(n)]
            dC_da = [sum(network.W[layer][j, k] * da_dz[j] * dC_da[j] for j in range(n)) for k in range(n_before)]
            assert [a.grad for a in network.net.a[layer - 1]] == close(dC_da)

"""Note 002, the pipeline of one node per layer and one training iteration; and its TODO, several output neurons."""

from itertools import pairwise

import numpy as np
import pytest

import tinygrad_scalar as ts

from .equations import equation
from .numpy_network import Network, close, slope


def last_layers(chain):
    """For each example: its index, the engine's C₀ and the numbers a(L−1), z(L) and a(L)."""
    Z, A = chain.forward()
    for i in range(chain.m):
        yield i, chain.loss_of(i), A[-2][0, i], Z[-1][0, i], A[-1][0, i]


# --- governing equations ---------------------------------------------------------------------------------------------


@equation("002 sensitivity")
def test_002_sensitivity_of_the_cost_to_a_weight_and_a_bias_predicts_a_small_change(network):
    """To first order, C changes by the sum of ∂C/∂θ · Δθ; halving Δθ quarters what remains."""
    r = np.random.default_rng(0)
    steps = [r.normal(size=array.shape) * 1e-3 for array in network.W[1:] + network.b[1:]]
    network.cost().backward()
    layers = range(1, network.L + 1)
    by_w = [
        [[network.w(layer, j, k).grad for k in range(W.shape[1])] for j in range(len(W))]
        for layer, W in weights(network)
    ]
    by_b = [[[network.bias(layer, j).grad] for j in range(len(network.b[layer]))] for layer in layers]
    predicted = sum((np.array(g) * step).sum() for g, step in zip(by_w + by_b, steps))
    before, arrays = network.losses().mean(), network.W[1:] + network.b[1:]
    remainders = []
    for fraction in (1.0, 0.5):
        for array, step in zip(arrays, steps):
            array += fraction * step
        remainders.append(abs(network.losses().mean() - before - fraction * predicted))
        for array, step in zip(arrays, steps):
            array -= fraction * step
    assert remainders[1] <= 0.3 * remainders[0] + 1e-12


def weights(network):
    return [(layer, network.W[layer]) for layer in range(1, network.L + 1)]


@equation("002 cost")
def test_002_cost_compares_the_forward_pass_with_the_desired_output(chain):
    for i, C, _, _, a in last_layers(chain):
        assert C.data == close((a - chain.Y[0, i]) ** 2)


@equation("002 activation")
def test_002_activation_of_the_raw_neuron_computation(chain):
    for _, _, _, z, _ in last_layers(chain):
        assert chain.net.a[-1][0].data == close(chain.g(chain.L, z))


@equation("002 pre-activation")
def test_002_pre_activation_is_the_weighted_output_of_the_previous_neuron_and_a_bias(chain):
    for _, _, a_before, _, _ in last_layers(chain):
        assert chain.net.z[-1][0].data == close(chain.W[-1].item() * a_before + chain.b[-1].item())


# --- derivatives -----------------------------------------------------------------------------------------------------


@equation("002 wanted derivatives")
def test_002_wanted_derivatives_are_those_of_the_cost_with_respect_to_each_weight(network):
    dW, _ = network.gradients_by_nudging()
    network.cost().backward()
    for layer, W in weights(network):
        assert [[network.w(layer, j, k).grad for k in range(W.shape[1])] for j in range(len(W))] == close(dW[layer])


@equation("002 bias")
def test_002_bias_has_the_product_without_its_first_factor(chain):
    for i, C, _, z, a in last_layers(chain):
        C.backward()
        da_dz = slope(lambda z: chain.g(chain.L, z), z)
        assert chain.bias(chain.L).grad == close(da_dz * 2 * (a - chain.Y[0, i]))


@equation("002 dC/dw")
def test_002_dC_dw_is_a_product_of_three_derivatives(chain):
    b = chain.b[-1].item()
    for i, C, a_before, z, a in last_layers(chain):
        C.backward()
        dz_dw = slope(lambda w, a_before=a_before: w * a_before + b, chain.W[-1].item())
        da_dz = slope(lambda z: chain.g(chain.L, z), z)
        dC_da = slope(lambda a, i=i: (a - chain.Y[0, i]) ** 2, a)
        assert chain.w(chain.L).grad == close(dz_dw * da_dz * dC_da)


@equation("002 three factors")
def test_002_three_factors_are_those_of_the_engines_explanation(chain):
    for i, C, a_before, z, a in last_layers(chain):
        factors = [factor.value for factor in ts.explain(C, chain.w(chain.L)).factors]
        assert factors == close([a_before, chain.g_prime(chain.L, z), 2 * (a - chain.Y[0, i])])


@equation("002 average")
def test_002_average_over_the_training_samples_for_each_single_weight(network):
    each = np.zeros(len(network.net.parameters()))
    for i in range(network.m):
        network.loss_of(i).backward()
        each += network.net.gradient().array
    dW, db = network.gradients_by_nudging()
    by_nudging = np.concatenate([part.ravel() for pair in zip(dW[1:], db[1:]) for part in pair])
    assert each / network.m == close(by_nudging)


@equation("002 training iteration")
def test_002_training_iteration_passes_forward_compares_propagates_back_and_tunes(chain):
    """Ten iterations in plain numbers and by the engine: the same parameters, and a lower cost every time."""
    net, descent = chain.net, ts.GradientDescent(chain.net.parameters(), 0.01)
    costs = []
    for _ in range(10):
        C = chain.cost()
        C.backward()
        descent.step()
        Z, A = chain.forward()
        costs.append(((A[-1] - chain.Y) ** 2).mean())
        assert C.data == close(costs[-1])
        dA = 2 * (A[-1] - chain.Y)
        for layer in reversed(range(1, chain.L + 1)):
            delta = dA * chain.g_prime(layer, Z[layer])
            dA = chain.W[layer].item() * delta
            chain.W[layer] -= 0.01 * (A[layer - 1] * delta).mean()
            chain.b[layer] -= 0.01 * delta.mean()
    tuned = [number.item() for pair in zip(chain.W[1:], chain.b[1:]) for number in pair]
    assert [p.data for p in net.parameters()] == close(tuned)
    assert all(after < before for before, after in pairwise(costs))


# --- what 002 leaves open --------------------------------------------------------------------------------------------


@equation("002 several outputs")
@pytest.mark.parametrize("n_outputs", range(2, 8))
@pytest.mark.parametrize("depth", range(1, 6))
def test_002_several_outputs_add_up_in_every_node_that_they_share(depth, n_outputs):
    network = Network([3] + [4] * (depth - 1) + [n_outputs], 2, "tanh", seed=10 * depth + n_outputs)
    for i in range(network.m):
        C = network.loss_of(i)
        C.backward()
        a = [network.X[:, i]]
        z = [None]
        for layer, W in weights(network):
            z.append([sum(w * a_k for w, a_k in zip(W[j], a[-1])) + network.b[layer][j, 0] for j in range(len(W))])
            a.append([np.tanh(z_j) for z_j in z[-1]])
        assert C.data == close(sum((a_j - y_j) ** 2 for a_j, y_j in zip(a[-1], network.Y[:, i])))
        dC_da = [2 * (a_j - y_j) for a_j, y_j in zip(a[-1], network.Y[:, i])]
        for layer, W in reversed(weights(network)):
            delta = [d * (1 - np.tanh(z_j) ** 2) for d, z_j in zip(dC_da, z[layer])]
            for j, k in np.ndindex(W.shape):
                assert network.w(layer, j, k).grad == close(a[layer - 1][k] * delta[j])
            assert [network.bias(layer, j).grad for j in range(len(W))] == close(delta)
            dC_da = [sum(W[j, k] * delta[j] for j in range(len(W))) for k in range(W.shape[1])]
            assert [value.grad for value in network.net.a[layer - 1]] == close(dC_da)

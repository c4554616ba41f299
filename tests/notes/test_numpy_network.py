"""The NumPy side of the comparisons: its derivatives are those of its functions, its numbers those of the MLP."""

import math

import numpy as np
import pytest

from .numpy_network import ACTIVATIONS, DERIVATIVES, LOSS_DERIVATIVES, LOSSES, Network, close, slope

Z = np.array([[-3.0, -0.5, 0.25], [0.75, 1.5, 4.0]])


def test_a_slope_by_an_imaginary_nudge_is_the_derivative_to_the_last_digits():
    assert slope(np.exp, 0.5) == pytest.approx(math.exp(0.5), rel=1e-15)
    assert slope(lambda x: x**3, Z) == pytest.approx(3.0 * Z**2, rel=1e-15)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_derivative_of_an_activation_is_its_slope(name):
    assert DERIVATIVES[name](Z) == close(slope(ACTIVATIONS[name], Z))


@pytest.mark.parametrize("name", LOSSES)
def test_the_derivative_of_a_loss_is_its_slope_in_each_row(name):
    A, Y = Z / 10.0 + 0.5, np.array([[0.25, 0.5, 1.0], [0.0, 0.75, 0.125]])
    for j in range(2):

        def loss(a_j, j=j):
            return LOSSES[name](np.array([a_j if row == j else A[row] for row in range(2)]), Y)

        assert LOSS_DERIVATIVES[name](A, Y)[j] == close(slope(loss, A[j]))


def test_the_values_have_the_numbers_of_the_arrays():
    network = Network([3, 4, 2], 5)
    for layer, nodes in enumerate(network.net.layers, start=1):
        assert [[w.data for w in neuron.w] for neuron in nodes.neurons] == network.W[layer].tolist()
        assert [[neuron.b.data] for neuron in nodes.neurons] == network.b[layer].tolist()

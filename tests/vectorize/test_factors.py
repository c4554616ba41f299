"""Which gradients are products of factors: δaᵀ of a weight matrix, but not Wᵀδ of the bias below two linear layers."""

import numpy as np
import pytest
from programs import Draw

import tinygrad_scalar as ts
from tinygrad_scalar.engine import compute_gradients


@pytest.mark.parametrize("way", ["auto", "arrays"])
@pytest.mark.parametrize(("n", "hidden", "last"), [(4, 3, 6), (4, 6, 4), (5, 6, 2)])
def test_two_layers_without_an_activation_have_gradients_of_each_example(n, hidden, last, way):
    first, second = (ts.MLP(*sizes, output_activation="linear", seed=0) for sizes in [(n, [hidden]), (hidden, [last])])
    params, X = [*first.parameters(), *second.parameters()], Draw(0).normal(8, n)

    def function(x):
        return ts.logsumexp(second(first(x)))

    _, jacobian = ts.vectorize(function, params, reduce=None, way=way)(X)
    for x, row in zip(X.tolist(), jacobian):
        gradient = np.empty(len(params))
        compute_gradients(function([ts.Value(number) for number in x]), params, gradient)
        np.testing.assert_allclose(row, gradient, rtol=1e-11, atol=1e-14)

"""Derivatives of each example by array programs with any number of arguments and of parameters that are not alike."""

import math

import numpy as np
import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.vectorize.scalar_program import executor

pytestmark = pytest.mark.skipif(executor() is None, reason="the native executor belongs to the compiled Value")


@pytest.mark.parametrize("n", [64, 65, pytest.param(200, marks=pytest.mark.thorough)])
@pytest.mark.parametrize("reduce", ["mean", None])
def test_any_number_of_arguments_has_derivatives_in_an_array_program(n, reduce):
    def cost(*x):
        total = x[0] * 0.0
        for k, number in enumerate(x):
            total = ts.tanh(total * (1.0 + 0.001 * k) + number * w[k])
        return total

    w = [Value(math.sin(k)) for k in range(n)]
    arguments = [np.full(3, math.cos(k)) for k in range(n)]
    options = {"reduce": reduce, "wrt_inputs": True}
    by_scalars = ts.vectorize(cost, w, way="scalar", **options)(*arguments)
    by_arrays = ts.vectorize(cost, w, way="arrays", **options)(*arguments)
    for ours, theirs in zip(by_arrays, by_scalars):
        np.testing.assert_allclose(np.array(ours), np.array(theirs), rtol=1e-9, atol=1e-300)


def test_any_number_of_parameters_that_are_not_alike_has_derivatives_of_each_example():
    w = [Value(math.sin(k)) for k in range(121)]

    def cost(x):
        total = x
        for k, p in enumerate(w):
            total = ts.tanh(total * p) + (p * 0.5 if k % 3 else p / 3.0)
        return total

    x = np.array([0.5, -1.0])
    for ours, theirs in zip(*(ts.vectorize(cost, w, way=way, reduce=None)(x) for way in ("arrays", "scalar"))):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-300)

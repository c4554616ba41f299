"""The largest number that a log-sum-exp subtracts and adds again has no part in its gradient."""

import math

import numpy as np
import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.vectorize.program import Shares
from tinygrad_scalar.vectorize.scalar_program import executor

WAYS = ["arrays", "scalar"] if executor() else ["arrays"]


def lse(x):
    largest = ts.max(x)
    return largest + ts.log(ts.sum(ts.exp(x_i - largest) for x_i in x))


def back_first(x):
    largest = ts.max(x)
    return ts.log(ts.sum(ts.exp(x_i - largest) for x_i in x)) + largest


# each a cost of k numbers, and whether the largest is free of the gradient
COSTS = {
    "one": (lse, True),
    "added last": (back_first, True),
    "several": (lambda x: lse(x[: len(x) // 2]) + 2.0 * lse(x[len(x) // 2 :]), None),
    "scaled": (lambda x: lse(x) * x[0], None),
    "the sum is read too": (lambda x: shifted(x, lambda m, e, s: m + ts.log(s) + 3.0 * s), False),
    "a number is read too": (lambda x: shifted(x, lambda m, e, s: m + ts.log(s) + e[1]), False),
    "twice the logarithm": (lambda x: shifted(x, lambda m, e, s: m + 2.0 * ts.log(s)), False),
    "of the smallest": (lambda x: shifted(x, lambda m, e, s: m + ts.log(s), ts.min), False),
    "another is added": (lambda x: shifted(x, lambda m, e, s: x[2] + ts.log(s)), False),
}


def shifted(x, cost, fold=ts.max):
    m = fold(x)
    e = [ts.exp(x_i - m) for x_i in x]
    return cost(m, e, ts.sum(e))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", COSTS)
def test_gradients_are_those_of_the_engine(name, way):
    cost, _ = COSTS[name]
    X = np.random.default_rng(0).normal(size=(40, 6))
    run = ts.vectorize(lambda x: cost(list(x)), [], wrt_inputs=True, way=way, reduce=None)
    for array in (X, 3.0 * X, np.round(X)):
        values, _, (gradient,) = run(array)
        for row, value, numbers in zip(array, values, gradient):
            x = [Value(number) for number in row.tolist()]
            expected = cost(x)
            expected.backward()
            assert value == pytest.approx(expected.data, rel=1e-12, abs=1e-14)
            np.testing.assert_allclose(numbers, [x_i.grad for x_i in x], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", [name for name, (_, free) in COSTS.items() if free is not None])
def test_the_backward_pass_reads_the_largest_only_where_its_slope_is_not_0(name):
    cost, free = COSTS[name]
    params = [Value(number) for number in np.random.default_rng(0).normal(size=9).tolist()]
    run = ts.vectorize(lambda: cost(params), params, check=False)
    run()
    program = run._prepared([])[0].arrays._program
    assert free != any(isinstance(statement, Shares) for statement in program.backward)


@pytest.mark.parametrize("n", [3, 20_000])
def test_the_gradient_of_the_largest_of_many_numbers_is_exact(n):
    x = np.random.default_rng(0).random(n)
    params = [Value(number) for number in x.tolist()]
    _, gradient = ts.vectorize(lambda: lse(params), params, way="arrays")()
    e = np.exp(x - x.max())
    np.testing.assert_allclose(gradient, e / math.fsum(e), rtol=1e-15)


@pytest.mark.parametrize("special", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("place", ["x", "scale"])
@pytest.mark.parametrize("way", WAYS)
def test_what_is_nan_in_the_engine_is_nan(special, place, way):
    numbers = [0.5, -1.0, 2.0, 0.25]
    numbers[0 if place == "scale" else 2] = special

    def cost(scale, *x):
        return scale * lse(x)

    params = [Value(number) for number in numbers]
    with np.errstate(all="ignore"):
        value, gradient = ts.vectorize(lambda: cost(*params), params, way=way)()
    expected = cost(*params)
    expected.backward()
    np.testing.assert_equal(value, expected.data)
    np.testing.assert_equal(gradient, [p.grad for p in params])

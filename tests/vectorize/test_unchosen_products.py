"""Sums of products or squares that only a lookup reaches: what an example does not choose has no part in its gradient.

The engine sees the chosen entry alone. The programs compute them all: 0, the upstream gradient of any other, times an
infinite or unknown number must still be 0.
"""

import math

import numpy as np
import pytest
from hypothesis import example, given, strategies as st
from programs import by_every_way
from support.array_program import assembled

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.vectorize.program import Distances, DistancesGradient, Product
from tinygrad_scalar.vectorize.reverse import differentiate

FUNCTIONS = {
    "x": lambda x: x,
    "sqrt": ts.sqrt,
    "exp": ts.exp,
    "1/x": lambda x: 1.0 / x,
    "log": ts.log,
}


def dense(w, x):
    """The rows of a matrix times the columns of another one."""
    return [sum(w[3 * i + t] * x[t + 3 * j] for t in range(3)) for i in range(3) for j in range(2)]


def triangular(w, x):
    return [sum(w[3 * i + t] * x[t + 3 * j] for t in range(i + 1)) for i in range(3) for j in range(2)]


def batched(w, x):
    """Two matrices times a vector each."""
    return [sum(w[4 * b + 2 * i + t] * x[2 * b + t] for t in range(2)) for b in range(2) for i in range(2)]


def of_each_example(w, x):
    return [w[0] * sum(x[2 * i + t] * x[2 * j + t] for t in range(2)) for i in range(3) for j in range(i)]


def squares(w, x):
    return [sum((w[3 * i + t] - x[t]) ** 2 for t in range(3)) for i in range(3)]


def squares_as_products(w, x):
    return [sum((w[3 * i + t] - x[t]) * (w[3 * i + t] - x[t]) for t in range(3)) for i in range(3)]


SHAPES = [dense, triangular, batched, of_each_example, squares, squares_as_products]
NUMBERS = st.sampled_from([1.0, 2.0, 0.5, 0.0, -1.0, -0.0, math.inf, -math.inf, math.nan])
PARAMETERS = st.lists(NUMBERS, min_size=9, max_size=9)
EXAMPLES = st.lists(st.tuples(st.lists(NUMBERS, min_size=6, max_size=6), st.integers(0, 5)), min_size=1, max_size=4)


def assert_every_way_is_the_engines(cost, params, *arrays):
    run = ts.vectorize(cost, params, check=False)
    for p in params:
        p.grad = 0.0
    examples = list(zip(*(array.tolist() for array in arrays)))
    values = []
    for x, *i in examples:
        result = cost([Value(number) for number in x], *i)
        result.backward(1.0 / len(examples))
        values.append(result.data)
    with np.errstate(all="ignore"):
        ways = list(by_every_way(run, arrays))
        mean = np.mean(values)
    for value, gradient in ways:
        np.testing.assert_allclose(value, mean, rtol=1e-12)
        np.testing.assert_allclose(gradient, [p.grad for p in params], rtol=1e-12, atol=1e-12)


@given(
    st.sampled_from(SHAPES), st.sampled_from(sorted(FUNCTIONS)), st.sampled_from(sorted(FUNCTIONS)), PARAMETERS,
    EXAMPLES, st.booleans(),
)  # fmt: skip
@example(dense, "x", "x", [1.0] * 9, [([1.0] * 6, 0), ([1.0, math.inf, 1.0, 1.0, 1.0, 1.0], 1)], False)
@example(dense, "sqrt", "x", [0.0] + [1.0] * 8, [([1.0] * 6, 1)], False)  # infinitely steep where it is not chosen
@example(dense, "x", "sqrt", [1.0] * 9, [([1.0, 1.0, 1.0, 0.0, 1.0, 1.0], 0)], False)
@example(triangular, "sqrt", "sqrt", [1.0] * 9, [([0.0, 1.0, 0.0, 1.0, 1.0, 0.0], 0)], False)
@example(batched, "x", "x", [math.inf] * 4 + [1.0] * 5, [([1.0, 0.0, 1.0, 1.0, 1.0, 1.0], 2)], True)
def test_an_entry_that_was_not_chosen_has_no_part_in_the_gradient(entries, of_w, of_x, numbers, examples, conditional):
    params, shift = [Value(number) for number in numbers], Value(1.0)
    if len(examples) > 1:  # the programs add up what comes from all examples before the slope of f(w)
        of_w = "x"

    def cost(x, i):
        left, right = [FUNCTIONS[of_w](w) for w in params], [FUNCTIONS[of_x](shift * x_j) for x_j in x]
        chosen = ts.lookup(entries(left, right), i)
        return ts.cond(ts.greater(x[5], 0.0), lambda: chosen, lambda: 2.0 * chosen) if conditional else chosen

    X, indices = np.array([x for x, _ in examples]), np.array([i % len(entries(numbers, numbers)) for _, i in examples])
    assert_every_way_is_the_engines(cost, [*params, shift], X, indices)


@given(
    st.sampled_from([squares, squares_as_products]), st.sampled_from([ts.min, ts.max, ts.sum]), PARAMETERS, EXAMPLES,
    st.integers(0, 8), st.sampled_from([4.5e307, 9.5e307, -1.7e308]),
)  # fmt: skip
@example(squares, ts.min, [1.0] * 9, [([1.0] * 6, 0)], 0, 9.5e307)  # 2·x is infinite, and times 0 nan
@example(squares_as_products, ts.min, [1.0] * 9, [([1.0] * 6, 0)], 0, 9.5e307)  # x is finite
@example(squares, ts.min, [1.0] * 9, [([-1e308] + [1.0] * 5, 0)], 0, 1e308)
def test_distances_of_a_huge_number_have_the_gradient_of_the_engine(squared, fold, numbers, examples, place, huge):
    params = [Value(huge if k == place else number) for k, number in enumerate(numbers)]
    cost = lambda x: fold(squared(params, x))  # noqa: E731
    # of one example: the gradients of several can overflow while they are added up, in another order than the engine's
    assert_every_way_is_the_engines(cost, params, np.array([x for x, _ in examples[:1]]))


def test_a_table_of_outputs_is_still_a_matrix_product():
    params = [Value(float(k)) for k in range(9)]
    program = assembled(lambda x, i: ts.lookup(dense(params, x), i), params, [np.ones((1, 6)), np.array([1])])
    differentiate(program)
    assert [s.form for s in (*program.forward, *program.backward) if isinstance(s, Product)] == ["LR", "RT"]


@pytest.mark.parametrize("squared", [squares, squares_as_products])
def test_distances_are_still_one_statement(squared):
    params = [Value(float(k)) for k in range(9)]
    program = assembled(lambda x: ts.min(squared(params, x)), params, [np.ones((1, 6))])
    differentiate(program)
    kinds = [type(s) for s in (*program.forward, *program.backward)]
    assert kinds.count(Distances) == kinds.count(DistancesGradient) == 1

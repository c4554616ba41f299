"""Functions with ts.cond to vectorize, with their parameters and examples: some sides are nan where not taken."""

import numpy as np

import tinygrad_scalar as ts
from tinygrad_scalar import Value

rng = np.random.default_rng(0)
X = np.array([-2.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 2.0, 30.0])


def leaves(*numbers):
    return [Value(number, f"w{i}") for i, number in enumerate(numbers)]


CASES = {}


def case(make):
    CASES[make.__name__] = make()
    return make


@case
def a_logarithm_on_one_side():
    w = leaves(0.5, -1.0)
    return lambda x: ts.cond(ts.greater(x, 0), lambda: w[0] * ts.log(x), lambda: w[1] * x * x), w, [X]


@case
def a_slope_that_is_infinite_on_the_other_side():
    w = leaves(0.5)
    return lambda x: ts.cond(ts.greater(x, 0), lambda: w[0] / x + x.sqrt(), lambda: w[0] * x), w, [X]


@case
def nested():
    w = leaves(0.5, -1.0, 0.25)

    def function(x):
        low = lambda: ts.cond(ts.less(x, -1), lambda: w[1] / (x + 1), lambda: ts.sqrt(x + 1) * w[2])  # noqa: E731
        return ts.cond(ts.less(x, 0), low, lambda: ts.cond(ts.greater(x, 1), lambda: ts.log(x - 1), lambda: w[0] * x))

    return function, w, [X]


@case
def in_a_loop():
    w = leaves(0.5, 1.5)

    def function(x):
        total = w[0] * x
        for k in range(4):
            total = ts.cond(ts.greater(total, k), lambda t=total: ts.sqrt(t - w[0]), lambda t=total: t * w[1] + x)
        return total

    return function, w, [np.linspace(0.0, 3.0, 23)]


@case
def lists_on_both_sides():
    w = leaves(0.5, 1.5)

    def function(x):
        u, (v, number) = ts.cond(
            ts.greater(x, 0), lambda: [w[0] * x, (ts.log(x), 2.0)], lambda: [w[1], (x * w[0], w[0])]
        )
        return u * v + number

    return function, w, [X]


@case
def networks_on_both_sides():
    one, other = ts.MLP(2, [3, 1], "tanh", seed=0), ts.MLP(2, [3, 1], "relu", seed=1)

    def function(x):
        logs = lambda: [ts.log(v) for v in x]  # noqa: E731
        return ts.cond(ts.greater(x[0], 0.5), lambda: one(logs()), lambda: other(x))

    x = rng.uniform(0.1, 1.0, size=(17, 2))
    x[x[:, 0] < 0.5, 1] *= -1
    return function, [*one.parameters(), *other.parameters()], [x]


@case
def a_pole_of_a_parameter_that_no_example_gets_to():
    w = leaves(0.0, 2.0)
    return lambda x: ts.cond(ts.greater(x, 99), lambda: ts.log(w[0]) * x, lambda: w[1] * x + w[0]), w, [X]


@case
def a_product_with_a_pole_that_few_examples_get_to():
    w = leaves(0.0, 2.0, 1.0)

    def function(x, y):
        weights = [1 / w[0], ts.log(w[1]), w[2]]
        return ts.cond(ts.greater(y, 99), lambda: sum(a * b for a, b in zip(weights, x)), lambda: w[1] * x[0])

    return function, w, [rng.normal(size=(9, 3)), np.zeros(9)]


@case
def a_condition_on_a_parameter():
    w = leaves(-1.0, 2.0)
    return lambda x: ts.cond(ts.greater(w[0], 0), lambda: ts.log(w[0]) * x, lambda: w[0] * w[1] * x), w, [X]


@case
def any_number_but_0_holds():
    w = leaves(0.5)
    arrays = [np.array([0.0, -0.0, 0.5, -2.0, np.nan, np.inf]), X[1:7] - 3]
    return lambda c, x: ts.cond(c, lambda: w[0] * x, lambda: w[0] / x), w, arrays


@case
def the_same_value_on_both_sides():
    w = leaves(0.5)
    return lambda x: ts.cond(ts.greater(x, 0), lambda: w[0], lambda: w[0]) * x, w, [X]


@case
def values_instead_of_functions():
    w = leaves(0.5)
    return lambda x: ts.cond(ts.greater(x, 0), ts.log(x) * w[0], 0.0), w, [X]


@case
def a_lookup_within_the_table():
    w = leaves(0.5, 1.5, -2.0)
    return (
        lambda i, x: ts.cond(ts.less(i, 3), lambda: ts.lookup(w, i) * x, lambda: x),
        w,
        [np.array([0, 2, 7, 1, -1, 2]) % 8, rng.normal(size=6)],
    )


@case
def lookups_inside_and_outside_of_a_branch():
    w = leaves(0.5, 1.5, -2.0)
    computed = lambda x: [w[0] * x, ts.log(w[1]) * x, 3.0]  # noqa: E731

    def function(i, j, x):
        inside = lambda: ts.lookup(computed(x), j) + ts.lookup(w, j)  # noqa: E731
        return ts.cond(ts.less(j, 3), inside, lambda: x * w[2]) * ts.lookup(w, i) + ts.lookup(computed(x), i)

    return function, w, [np.array([0, 2, 1, 1]), np.array([9, 1, 2, 0]), rng.normal(size=4)]


@case
def a_maximum_and_a_minimum():
    w = leaves(0.5, 1.5)

    def function(x, y):
        terms = [ts.log(v) * w[0] for v in x]
        return ts.cond(ts.greater(y, 0), lambda: ts.maximum(ts.maximum(*terms[:2]), terms[2]), lambda: x[0] * w[1])

    return function, w, [rng.uniform(-1, 1, size=(12, 3)) * np.array([1, 1, 1]), rng.normal(size=12)]

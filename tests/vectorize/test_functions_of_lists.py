"""Functions of a list within vectorize: folds, products and log-sum-exps, as what they stand for gives."""

import numpy as np
import pytest
from programs import assert_equal_to_the_engine

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine import read_graph

FUNCTIONS = {
    "sum": ts.sum,
    "mean": ts.mean,
    "dot": lambda x: ts.dot(x, x[::-1]),
    "norm": ts.norm,
    "max": ts.max,
    "min": ts.min,
    "logsumexp": ts.logsumexp,
    "softmax": lambda x: ts.dot(ts.softmax(x), x),
    "log_softmax": lambda x: ts.sum(ts.log_softmax(x)) * ts.log_softmax(x)[0],
}
RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("n", [1, 2, 3, 17])
def test_every_way_gives_the_engines_value_and_gradient(name, n):
    params = [Value(x) for x in RANDOM.normal(size=n)]
    tied = [Value(1.0 + i % 2) for i in range(n)]
    for values in (params, tied):
        assert_equal_to_the_engine(
            lambda x: FUNCTIONS[name]([p * p * x + p for p in values]).sin(),  # noqa: B023
            values,
            [np.array([0.5, 2.0, 1.0, -0.25])],
        )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_of_parameters_alone_and_one_from_before_the_call_are_followed(name):
    params = [Value(0.5), Value(-1.0), Value(2.0)]
    before = FUNCTIONS[name]([2.0 * p for p in params])
    assert_equal_to_the_engine(lambda x: before * x + FUNCTIONS[name](params), params, [np.array([0.5, 2.0])])


WAYS = ["arrays", pytest.param("scalar", marks=pytest.mark.skipif(not ts.accelerated, reason="no compiled executor"))]
LISTS = {
    "alike": lambda x: x,
    "of many kinds": lambda x: [x[0] + 0.0, x[1] * 1.0, ts.maximum(x[2], x[3]), *x[4:]],
    "of lists": lambda x: [ts.logsumexp(x[:3]), x[3], ts.logsumexp(x[3:])],
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("reduce", ["sum", None])
@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("offset", [0.0, 700.0, -1e6, 1e9, 1e17, 1e308])
def test_a_log_sum_exp_of_large_numbers_has_the_digits_of_the_engine(offset, kind, reduce, way):
    X = offset + np.random.default_rng(0).normal(size=(3, 6))
    run = ts.vectorize(lambda x: ts.logsumexp(LISTS[kind](x)), [], wrt_inputs=True, reduce=reduce, way=way, check=False)
    _, _, (gradients,) = run(X)
    for numbers, value, gradient in zip(X, run.values(X), gradients):
        x = [Value(number) for number in numbers]
        root = ts.logsumexp(LISTS[kind](x))
        root.backward()
        assert value == pytest.approx(root.data, rel=1e-15)
        if kind != "of lists":  # there the engine's outer node sees sums that are rounded
            assert gradient == pytest.approx([v.grad for v in x], rel=1e-14)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("reduce", ["sum", None])
@pytest.mark.parametrize("function", [ts.logsumexp, lambda x: ts.log_softmax(x)[0]], ids=["logsumexp", "log_softmax"])
def test_an_infinite_gradient_of_a_log_sum_exp_is_not_passed_to_the_largest(function, reduce, way):
    numbers = [0.5, 0.0, 1.0, np.inf]
    run = ts.vectorize(lambda x: function(x[:3]) * x[3], [], wrt_inputs=True, reduce=reduce, way=way, check=False)
    x = [Value(number) for number in numbers]
    (function(x[:3]) * x[3]).backward()
    _, _, ([gradient],) = run([numbers])
    np.testing.assert_allclose(gradient[1:], [v.grad for v in x][1:])


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_a_norm_neither_overflows_nor_underflows(scale):
    params = [Value(3.0 * scale), Value(4.0 * scale)]
    value, gradient = ts.vectorize(lambda x: ts.norm(params) * x, params)(np.ones(3))
    assert value == pytest.approx(5.0 * scale, rel=1e-15)
    assert gradient == pytest.approx([0.6, 0.8], rel=1e-14)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("reduce", ["sum", None])
@pytest.mark.parametrize("numbers", [[1e-309], [-5e-324], [2e-308], [3e-310, -4e-310], [1e-320, 0.0]], ids=str)
def test_the_gradient_of_a_norm_of_subnormal_numbers_is_the_engines(numbers, reduce, way):
    run = ts.vectorize(ts.norm, [], wrt_inputs=True, reduce=reduce, way=way, check=False)
    x = [Value(number) for number in numbers]
    ts.norm(x).backward()
    np.testing.assert_allclose(run([numbers])[2][0].ravel(), [v.grad for v in x], rtol=1e-14)


@pytest.mark.parametrize("numbers", [[0.0, 0.0], [np.inf, 1.0], [np.nan, 1.0]], ids=str)
def test_a_norm_has_the_engines_edges(numbers):
    params = [Value(x) for x in numbers]
    root = ts.norm(params)
    root.backward()
    value, gradient = ts.vectorize(lambda x: ts.norm(params) + 0.0 * x, params, check=False)(np.ones(1))
    np.testing.assert_array_equal([value, *gradient], [root.data, *(p.grad for p in params)])


def layers(total, dot):
    rng = np.random.default_rng(1)
    W = [[[Value(x) for x in row] for row in rng.normal(size=shape)] for shape in ((5, 4), (3, 5))]

    def cost(x, y):
        for weights in W:
            x = [dot(w, x).sigmoid() for w in weights]
        return total([(a - b) ** 2 for a, b in zip(x, y)])

    return cost, [w for weights in W for row in weights for w in row]


def test_layers_of_dot_are_the_matrix_products_of_chains():
    X, Y = RANDOM.normal(size=(6, 4)), RANDOM.normal(size=(6, 3))
    with_nodes, with_chains = (
        ts.vectorize(*layers(total, dot))
        for total, dot in ((ts.sum, ts.dot), (sum, lambda w, x: sum(a * b for a, b in zip(w, x))))
    )
    assert with_nodes(X, Y)[0] == with_chains(X, Y)[0]
    assert with_nodes.source == with_chains.source
    assert str(with_nodes.equations) == str(with_chains.equations)
    assert "matmul(" in with_nodes.source


def test_a_sum_of_one_is_its_operand():
    x = Value(3.0)
    tape = read_graph([ts.sum([ts.max([x])])], [x])
    assert (tape.codes.tolist(), tape.found.tolist()) == ([-1], [0])


@pytest.mark.parametrize("apart", [10.0, 20.0, 30.0, 300.0])
def test_the_logarithm_of_a_probability_near_1_is_not_taken_for_another_function(apart):
    """log Σ exp(xᵢ − M) is then nearly log 1, and the sum rounds."""
    params = [Value(1.0) for _ in range(4)]
    X = np.array([[0.0, apart, -0.5, -1.7]] * 20)
    run = ts.vectorize(lambda x: ts.log_softmax([p * number for p, number in zip(params, x)])[1], params)
    value, gradient = run(X)
    assert value == pytest.approx(ts.log_softmax(X[0])[1], rel=1e-12, abs=1e-15)
    assert gradient == pytest.approx([0.0] * 4, abs=apart * np.exp(-apart) * 4 + 1e-12)


@pytest.mark.parametrize("scale", [1.0, 30.0, 200.0])
def test_a_softmax_of_a_program_is_off_by_the_distance_to_the_largest_number(scale):
    """It is exp(x − max)/Σ in plain float64: x − max rounds, and exp makes |x − max| ulp of that."""
    X, one = np.random.default_rng(0).normal(scale=scale, size=(200, 6)), Value(1.0)
    run = ts.vectorize(lambda x: ts.softmax([one * number for number in x])[0], [one], reduce=None)
    for x, found in zip(X.tolist(), run(X)[0]):
        exact = ts.softmax(x)[0]
        assert abs(found - exact) <= (max(x) - x[0] + 6.0) * np.spacing(exact)


@pytest.mark.parametrize("reduce", [None, "sum"])
def test_a_log_sum_exp_of_which_a_part_depends_on_parameters_alone(reduce):
    w = [Value(0.5), Value(-1.5)]

    def cost(x):
        return ts.logsumexp([w[0] * w[0], ts.exp(w[1]), x * w[0]]) + ts.logsumexp([w[1] * 2.0, w[0], w[0] * w[1]]) * x

    assert_equal_to_the_engine(cost, w, [np.array([0.5, -2.0, 3.0])])
    X = np.array([0.5, -2.0, 3.0])
    runs = [ts.vectorize(cost, w, reduce=reduce, way=way, wrt_inputs=True)(X) for way in ("auto", "arrays")]
    np.testing.assert_allclose(runs[0][1], runs[1][1], rtol=1e-13)


INF = np.inf
SPECIAL = [
    [0.0, 0.0, 0.0], [1.0, 3.0, 3.0], [INF, 0.0, 1.0], [INF, INF, 1.0], [-INF, 0.0, 1.0], [0.0, 1.0, -INF],
    [-INF, -INF, -INF], [-INF, INF, 0.0], [1e17, 1e17, -1e17], [-1e17, -1e17, -1e17 + 64.0], [1e308, -1e308, 1e308],
    [-40.0, 0.0, -40.0], [1e-320, -1e-320, 0.0],
]  # fmt: skip


@pytest.mark.skipif(not ts.accelerated, reason="no compiled executor")
@pytest.mark.parametrize("reduce", ["sum", None])
@pytest.mark.parametrize("m", [1, 3, 20])
@pytest.mark.parametrize("numbers", SPECIAL, ids=str)
def test_ties_and_infinities_of_a_log_sum_exp_in_a_scalar_program_are_the_engines(numbers, m, reduce):
    run = ts.vectorize(ts.logsumexp, [], wrt_inputs=True, reduce=reduce, way="scalar", check=False)
    x = [Value(number) for number in numbers]
    root = ts.logsumexp(x)
    root.backward()
    X = np.tile(numbers, (m, 1))
    _, _, (gradients,) = run(X)
    np.testing.assert_allclose(run.values(X), [root.data] * m, rtol=1e-15)
    np.testing.assert_allclose(gradients.reshape(m, 3), [[v.grad for v in x]] * m, rtol=1e-14)


@pytest.mark.skipif(not ts.accelerated, reason="no compiled executor")
@pytest.mark.parametrize("n", [3, 4, 17])
def test_a_log_sum_exp_takes_two_steps_of_a_scalar_program_for_each_number_but_the_first(n):
    run = ts.vectorize(ts.logsumexp, [], wrt_inputs=True, way="scalar")
    run(np.zeros((1, n)))
    assert len(run._last.scalars.program.steps) == 2 * (n - 1)


@pytest.mark.skipif(not ts.accelerated, reason="no compiled executor")
def test_log_sum_exps_that_share_their_first_numbers_keep_the_digits_in_a_scalar_program():
    def cost(x):
        return ts.logsumexp(x[:3]) - 2.0 * ts.logsumexp([x[0], x[1], x[3]]) + ts.logsumexp(x)

    X = 1e9 + RANDOM.normal(size=(5, 5))
    run = ts.vectorize(cost, [], wrt_inputs=True, reduce="sum", way="scalar", check=False)
    for gradient, numbers in zip(run(X)[2][0], X):
        x = [Value(number) for number in numbers]
        cost(x).backward()
        np.testing.assert_allclose(gradient, [v.grad for v in x], rtol=1e-12, atol=1e-14)

"""What a function differentiates with ts.gradient becomes products of matrices too; copies leave no trace."""

import numpy as np
import pytest

import tinygrad_scalar as ts
from tinygrad_scalar.engine import record


def net_of(between):
    """A network of one hidden layer, and `between` at each place where a number is used."""
    w = [[ts.Value(0.1 * (i - k), f"w{i}{k}") for k in range(3)] for i in range(4)]
    u = [ts.Value(0.3 * i - 0.5, f"u{i}") for i in range(4)]

    def cost(x, y):
        hidden = [sum((between(w_k) * between(x_k) for w_k, x_k in zip(row, x)), 0.0).tanh() for row in w]
        return between(sum((between(u_i) * between(a) for u_i, a in zip(u, hidden)), 0.0) - y) ** 2

    return cost, [*w[0], *w[1], *w[2], *w[3], *u]


def test_copies_leave_no_trace_in_the_program():
    plain, params = net_of(lambda x: x)
    copying, others = net_of(lambda x: record("copy", record("copy", x)))
    arrays = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20.0)
    runs = ts.vectorize(plain, params), ts.vectorize(copying, others)
    results = [run(*arrays) for run in runs]
    assert runs[0].source == runs[1].source
    assert results[0][0] == results[1][0]
    assert results[0][1].tolist() == results[1][1].tolist()


def test_an_output_can_be_a_copy_of_a_parameter_or_of_another_output():
    w = ts.Value(2.0, "w")
    run = ts.vectorize(lambda x: [record("copy", w), x * w, record("copy", x * w)], [w])
    assert run.values(np.array([1.0, 3.0])).tolist() == [[2.0, 2.0, 2.0], [2.0, 6.0, 6.0]]


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu", "softplus"])
def test_a_recorded_gradient_is_made_of_products_of_matrices(activation):
    net = ts.MLP(3, [16, 16, 1], activation, "linear", seed=0)

    def cost(x, y):
        loss = (net(x) - y) ** 2
        return loss + sum(slope**2 for slope in ts.gradient(loss, [*x, *net.parameters()]))

    run = ts.vectorize(cost, net.parameters())
    run(np.random.default_rng(0).normal(size=(50, 3)), np.arange(50.0))
    assert run.source.count("matmul(") >= 12
    assert "by_its_row" not in run.source


def test_each_examples_product_goes_into_a_matrix_with_a_column_more():
    n, count = 3, 6  # the second layer's weights stand beside its biases, a row of both for each neuron
    points = np.random.default_rng(0).normal(size=(count, n)).tolist()

    def layer(theta, inputs):
        rows = [theta[i : i + n + 1] for i in range(0, n * (n + 1), n + 1)]
        return [sum((w * x for w, x in zip(row, inputs)), row[n]).tanh() for row in rows]

    def slopes(theta):
        cost = sum(sum(layer(theta[n * (n + 1) :], layer(theta, point))) ** 2 for point in points)
        return ts.gradient(cost, theta)

    theta = np.random.default_rng(1).normal(size=(2, 2 * n * (n + 1)))
    values, _, [second] = ts.vectorize(slopes, [], wrt_inputs=True, reduce=None, way="arrays")(theta)
    for gradient, hessian, numbers in zip(values, second, theta.tolist()):
        found = slopes(leaves := [ts.Value(number) for number in numbers])
        assert gradient == pytest.approx([slope.data for slope in found], rel=1e-12, abs=1e-12)
        for row, slope in zip(hessian, found):
            assert row == pytest.approx([each.data for each in ts.gradient(slope, leaves)], rel=1e-11, abs=1e-11)

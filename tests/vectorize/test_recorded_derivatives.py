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

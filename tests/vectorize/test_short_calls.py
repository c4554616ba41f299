"""Calls of little work, which C answers: their bits are those of any other call."""

import numpy as np
import pytest

import tinygrad_scalar as ts

EXAMPLES = (1, 3, 4, 50, 2_000)
pytestmark = pytest.mark.skipif(not ts.accelerated, reason="the compiled executor was not built")


def network(way="auto"):
    net = ts.MLP(2, [8, 8, 1], "tanh", seed=0)
    return ts.vectorize(lambda x: ts.squared_error(net(x), 0.5), net.parameters(), way=way)


def by_row(way="auto"):
    table, v = [[ts.Value(0.1 * i - 0.3 * j) for j in range(3)] for i in range(7)], [ts.Value(0.5) for _ in range(3)]
    leaves = [*(value for row in table for value in row), *v]
    return ts.vectorize(lambda i, y: (sum(a * b for a, b in zip(ts.lookup(table, i), v)) - y) ** 2, leaves, way=way)


@pytest.mark.parametrize("way", ["auto", "arrays", "scalar"])
@pytest.mark.parametrize("make", [network, by_row], ids=["floats", "integers"])
def test_a_call_without_python_gives_the_bits_of_any_other(make, way):
    random = np.random.default_rng(0)
    for m in EXAMPLES:
        run = make(way)
        x = random.normal(size=(m, 2))
        given_ = (random.integers(0, 7, m), x[:, 0].copy()) if make is by_row else (x,)
        slowly = run(*given_)
        run(*given_)
        quickly = run._quick(given_)
        assert quickly is not None and quickly[0] == slowly[0] == run.value(*given_)
        assert quickly[1].tolist() == slowly[1].tolist()
        run.parameters *= 1.5
        again = run._quick(given_)
        assert again[0] == run.value(*given_) != slowly[0]


@pytest.mark.parametrize("way", ["auto", "arrays", "scalar"])
def test_a_call_without_python_gives_the_arguments_gradients_too(way):
    table, w = [ts.Value(0.1 * i) for i in range(7)], [ts.Value(0.4), ts.Value(-0.2)]
    cost = lambda i, x, y: ts.tanh(ts.lookup(table, i) * x[0][1] + w[0] * x[1][0] * x[0][0]) * (y - w[1])  # noqa: E731
    random = np.random.default_rng(0)
    for m in EXAMPLES:
        run = ts.vectorize(cost, [*table, *w], way=way, wrt_inputs=True)
        given_ = random.integers(0, 7, m), random.normal(size=(m, 2, 2)), random.normal(size=m)
        value, gradient, inputs = run(*given_)
        run(*given_)
        quickly = run._quick(given_)
        assert quickly[0] == value and quickly[1].tolist() == gradient.tolist()
        assert quickly[2][0] is inputs[0] is None
        for d, same, array in zip(quickly[2][1:], inputs[1:], given_[1:]):
            assert d.shape == array.shape and d.tolist() == same.tolist()


@pytest.mark.parametrize("wrt_inputs", [False, True])
@pytest.mark.parametrize("reduce", [None, "mean"])
@pytest.mark.parametrize("is_list", [False, True], ids=["one number", "a list"])
def test_calls_for_each_example_without_python_give_the_bits_of_any_other(is_list, reduce, wrt_inputs):
    w = [ts.Value(0.3), ts.Value(9.0), ts.Value(-0.4)]  # one that nothing reads
    tables = [[ts.Value(0.1 * i), ts.Value(0.3 - 0.2 * i)] for i in range(7)]

    def function(i, x, y):
        first = ts.maximum(w[0] * x[0][1], ts.tanh(x[1][0] * y)) + i * w[2]
        row = ts.lookup(tables, i)
        others = [ts.minimum(first, w[2] * y), ts.where(ts.greater(y, row[0]), x[1][1], y), row[0] * row[1] ** 2]
        return [first, *others] if is_list else first * row[1]

    random = np.random.default_rng(0)
    run = ts.vectorize(
        function, [*w, *(leaf for row in tables for leaf in row)], reduce=reduce, wrt_inputs=wrt_inputs, way="scalar"
    )
    for m in (1, 3, 5, 16, 80):
        given_ = random.integers(0, 7, m), random.normal(size=(m, 2, 2)), random.normal(size=m)
        slowly = run(*given_)
        run.parameters *= 1.01
        run._quick_values = None, None
        slowly, values = run._last.run(run.parameters, [a.reshape(m, -1) for a in given_], True), run.values(*given_)
        assert run._quick_values[1](given_).tolist() == values.tolist()
        quickly = run._quick(given_)
        if quickly is None:
            assert m > 1 and reduce == "mean" and is_list  # the sums of what is looked up
            continue
        if not is_list and reduce == "mean":
            continue  # as above
        assert np.shape(quickly[0]) == np.shape(slowly[0]) and quickly[0].tolist() == slowly[0].tolist()
        assert quickly[1].shape == slowly[1].shape and quickly[1].tolist() == slowly[1].tolist()
        assert len(quickly) == 2 + wrt_inputs
        for ours, same in zip(quickly[2] if wrt_inputs else [], slowly[2]):
            assert (ours is None and same is None) or (ours.shape == same.shape and ours.tolist() == same.tolist())


def test_only_arrays_of_the_expected_kinds_are_taken_without_python():
    run = by_row()
    i, y = np.arange(5), np.ones(5)
    value, _ = run(i, y)
    assert run._quick((i, y))[0] == value
    for others in (
        (i.astype(float), y),
        (i.astype(np.int32), y),
        (i, y.astype(np.float32)),
        (i[:4], y),
        (i.tolist(), y),
    ):
        assert run._quick(others) is None
    assert run(i.astype(np.int32), y)[0] == value
    with pytest.raises(ValueError, match="lookup expected"):
        run(i + 3, y)
    assert run(np.repeat(i, 2)[::2], y)[0] == value


@pytest.mark.parametrize("reduce", ["mean", "sum", None])
def test_the_first_call_of_a_list_gives_the_bits_of_the_next(reduce):
    """Of zeros their signs, of parameters that are read and looked up several times the sequence of their sums."""
    w = [ts.Value(number) for number in (-0.0, 0.1, 0.7, 1e-3)]

    def outputs(x, i):
        rows = ts.lookup([[w[1], w[2]], [w[2], w[1]], [w[2], w[3]]], i)
        return [w[0] * x, sum((ts.exp(row * 3.3) for row in rows), w[2] * x + w[1] / 3.0) * ts.sin(rows[0] + w[2])]

    for row in range(3):
        x, i = np.array([0.37]), np.array([row])
        run = ts.vectorize(outputs, w, reduce=reduce, way="scalar")
        calls = [run(x, i) for _ in range(4)]
        assert np.signbit(calls[0][0]).ravel().tolist()[0]
        assert len({(values.tobytes(), jacobian.tobytes()) for values, jacobian in calls}) == 1

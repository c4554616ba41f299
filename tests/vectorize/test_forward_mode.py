"""Few leaves and many outputs: the scalar program sweeps forwards, with the derivatives of the sweep backwards."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine import compute_gradients, ops, record
from tinygrad_scalar.vectorize.each_example import EachByScalars
from tinygrad_scalar.vectorize.scalar_program import executor
from tinygrad_scalar.vectorize.trace import example_arguments

pytestmark = pytest.mark.skipif(executor() is None, reason="the native executor belongs to the compiled Value")

NAMES = [*ops.OPERATIONS, "**3", "**2", "**-1", "**0.5", "**0", "leaky_relu(0.1)"]
POINTS = np.array([-2.5, 0.0, 0.3, 1.0])


def engine(function, params, arrays):
    rows = []
    for i in range(len(arrays[0])):
        outputs = function(*example_arguments(arrays, i))
        rows.append([np.empty(len(params)) for _ in outputs])
        for C, row in zip(outputs, rows[-1]):
            compute_gradients(C, params, row)
    return np.array(rows)


def sweeps_forwards(run):
    return isinstance(run._last.way, EachByScalars) and run._last.way.forwards


def many(u):
    """Outputs that share what is below u."""
    for _ in range(8):
        u = u + u * 0.01
    return [u * 1.0, *(u + u * k for k in range(30))]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.thorough
def test_every_operation_has_the_engines_derivatives(name):
    n = ops.operation(name).arity
    for x in [[x, y, 0.5 * y][:n] for x in POINTS for y in (POINTS[1::2] if n > 1 else [0.0])]:
        params = [Value(float(number)) for number in x]

        def function(scale, params=params):
            u = record(name, *[p * scale for p in params])
            return many(ts.tanh(u + u * 0.5) + u)

        arrays = [np.linspace(0.5, 1.5, 5)]
        with np.errstate(all="ignore"):
            run = ts.vectorize(function, params, reduce=None)
            _, jacobian = run(*arrays)
            assert sweeps_forwards(run) or (jacobian == 0).all()
            np.testing.assert_allclose(jacobian, engine(function, params, arrays), rtol=1e-11, atol=1e-300)


@pytest.mark.parametrize("m", [1, 3, 4, 16, 17, 40])
@pytest.mark.parametrize("reduce", [None, "mean", "sum"])
def test_any_number_of_examples_and_any_reduction(m, reduce):
    w = [Value(0.5), Value(-1.5)]

    def function(x, i):
        u = ts.sin(w[0] * x) * ts.maximum(w[1], x) + ts.lookup([w[0], x * w[1], ts.exp(x)], i)
        for _ in range(6):
            u = ts.cond(ts.greater(u, 0), lambda u=u: ts.log(u) * w[0], lambda u=u: u * u)
        return many(u)

    arrays = [np.random.default_rng(m).normal(size=m), np.arange(m) % 3]
    run = ts.vectorize(function, w, reduce=reduce, wrt_inputs=True)
    _, jacobian, [dX, di] = run(*arrays)
    assert sweeps_forwards(run) and di is None
    expected = engine(function, w, arrays)
    over = {"mean": m, "sum": 1, None: 1}[reduce]
    np.testing.assert_allclose(jacobian, expected.sum(axis=0) / over if reduce else expected, rtol=1e-11, atol=1e-13)
    by_x = ts.vectorize(lambda x, i: function(x, i)[3], [], reduce=None, wrt_inputs=True)(*arrays)[2][0]
    np.testing.assert_allclose(dX[:, 3], by_x / over, rtol=1e-11, atol=1e-13)


def test_what_is_not_finite_is_that_of_the_way_back():
    w = [Value(0.0), Value(2.0)]
    function = lambda x: many(ts.sqrt(w[0] * x) * w[1] + ts.log(w[0]) * 0.0)  # noqa: E731
    arrays = [np.array([0.0, 1.0, 2.0, -1.0, 5.0])]
    with np.errstate(all="ignore"):
        run = ts.vectorize(function, w, reduce=None)
        _, jacobian = run(*arrays)
        assert sweeps_forwards(run)
        np.testing.assert_array_equal(jacobian, engine(function, w, arrays))


@pytest.mark.parametrize("m", [1, 3, 40])
def test_of_very_many_outputs_the_way_back_is_found_where_it_is_needed(m):
    """It is kept for no output, as the ways of all together are long; a square root's slope at 0 is infinite."""
    w = [Value(0.25), Value(0.5)]

    def function(x):
        outputs = [x, w[0], ts.sqrt(x * w[0])]
        for k in range(60):
            outputs.append(ts.sin(outputs[-1] * w[k % 2]) + outputs[k // 2])
        return [*outputs, Value(2.0), ts.relu(ts.sqrt(w[1] * x) - 1.0)]

    arrays = [np.arange(m, dtype=float) % 3.0]
    with np.errstate(all="ignore"):
        run = ts.vectorize(function, w, reduce=None)
        _, jacobian = run(*arrays)
        np.testing.assert_allclose(jacobian, engine(function, w, arrays), rtol=1e-11, atol=1e-13)
        assert sweeps_forwards(run)
        assert run._last.scalars.executor.deferred
        assert not np.isfinite(jacobian[0]).all()
        run(arrays[0] + 1.0)
        np.testing.assert_array_equal(run(*arrays)[1], jacobian)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_random_graphs(seed):
    draw = np.random.default_rng(seed)
    w = [Value(float(number)) for number in draw.normal(size=2)]
    plan = draw.integers(0, 100, size=(30, 3)).tolist()

    def function(x):
        nodes = [*w, x]
        for kind, a, b in plan:
            u, v = nodes[a % len(nodes)], nodes[b % len(nodes)]
            makers = (
                lambda u, v: u * v,
                lambda u, v: u - v,
                lambda u, v: ts.sin(u) + v,
                ts.minimum,
                lambda u, v: ts.tanh(u),
            )
            nodes.append(ts.tanh(makers[kind % 5](u, v)))
        return nodes[3:]

    arrays = [draw.normal(size=6)]
    _, jacobian = ts.vectorize(function, w, reduce=None)(*arrays)
    expected = engine(function, w, arrays)
    np.testing.assert_allclose(jacobian, expected, rtol=1e-9, atol=1e-12)


def test_few_outputs_of_many_leaves_go_backwards():
    w = [Value(0.1 * i) for i in range(10)]
    run = ts.vectorize(lambda x: [sum(a * x for a in w), w[0] * w[1]], w, reduce=None)
    run([1.0])
    assert not sweeps_forwards(run)


PIECEWISE = {
    "relu": lambda u: ts.relu(-ts.sqrt(u)),
    "relu of a logarithm": lambda u: ts.relu(ts.log(u)),
    "maximum": lambda u: ts.maximum(5.0, ts.sqrt(u)),
    "minimum": lambda u: ts.minimum(-5.0, ts.sqrt(u)),
    "where": lambda u: ts.where(ts.greater(u, 9.0), ts.sqrt(u), u),
    "relu of nan": lambda u: ts.relu(ts.tanh(u)),
}


@given(
    st.sampled_from(sorted(PIECEWISE)),
    st.lists(st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e200, np.inf, -np.inf, np.nan]), min_size=1, max_size=20),
    st.sampled_from([0.0, 2.0, -np.inf, np.nan]),
)
@settings(deadline=None)
def test_an_infinite_slope_below_what_is_not_chosen_is_nan_as_on_the_way_back(name, numbers, parameter):
    w = Value(1.0)

    def function(x):
        a = PIECEWISE[name](x * w)
        return [a, a + 1.0, a * 2.0, a]

    run = ts.vectorize(function, [w], reduce=None, way="scalar", check=False)
    X = np.array(numbers)
    run(X)
    w.data = parameter
    assert sweeps_forwards(run)
    np.testing.assert_allclose(run(X)[1], engine(function, [w], [X]), rtol=1e-12)


def irregular(n, leaves, branch):
    """A function whose list of n numbers has no pattern; `branch` also lets each example take its own side."""
    random = np.random.default_rng(n)
    params = [Value(number) for number in random.uniform(-1.0, 1.0, leaves)]
    plan = list(zip(random.integers(0, 3, n).tolist(), random.random(n).tolist()))

    def function(x):
        nodes = [*params, x]
        if branch:
            nodes.append(ts.cond(ts.greater(x, 0.2), lambda: x * params[0], lambda: params[1] * params[1]))
        for kind, place in plan:
            a, b = nodes[-1], nodes[int(place * len(nodes))]
            nodes.append(a + b if kind == 0 else a * b if kind == 1 else ts.tanh(a))
        return nodes[-60:]

    return function, params


@pytest.mark.parametrize("branch", [False, True])
@pytest.mark.parametrize("leaves", [5, 80])
def test_long_ways_to_many_outputs_give_the_derivatives_of_short_ones(leaves, branch):
    """These are kept as bits, a way to one output is not."""
    function, params = irregular(6_000, leaves, branch)
    x = np.linspace(-1.0, 1.0, 5)
    run = ts.vectorize(function, params, reduce=None)
    values, jacobian = run(x)
    assert sweeps_forwards(run) == (leaves < 60)
    for j in (0, 31, 59):
        one = ts.vectorize(lambda x, j=j: function(x)[j], params, reduce=None, way="scalar")
        value, gradient = one(x)
        np.testing.assert_array_equal(values[:, j], value)
        np.testing.assert_allclose(jacobian[:, j], gradient, rtol=1e-11, atol=1e-300)
    np.testing.assert_allclose(run(x[:1])[1], jacobian[:1], rtol=1e-11, atol=1e-300)  # one example alone

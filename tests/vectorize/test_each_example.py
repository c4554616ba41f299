"""Values and derivatives of each example, sums, and functions of several outputs with their Jacobian."""

import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from support.each_example import engine

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.vectorize.outputs import outputs_of
from tinygrad_scalar.vectorize.trace import example_arguments


def close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


def leaves(*numbers):
    return [Value(number, f"w{i}") for i, number in enumerate(numbers)]


rng = np.random.default_rng(0)
CASES = {}


def case(make):
    CASES[make.__name__] = make()
    return make


@case
def a_cost():
    w = leaves(0.3, -0.7, 1.1)
    return (
        lambda x, y: (w[0] * x[0] + ts.tanh(w[1] * x[1]) + w[2] - y) ** 2,
        w,
        [rng.normal(size=(21, 2)), rng.normal(size=21)],
    )


@case
def a_network():
    net = ts.MLP(3, [5, 2], "tanh", seed=0)
    return lambda x: net(x), net.parameters(), [rng.normal(size=(19, 3))]


@case
def nested_lists_with_constants():
    w = leaves(0.3, -0.7)
    return lambda x: ([w[0] * x, 2.0], [x, 3]), w, [rng.normal(size=7)]


@case
def an_array_of_values():
    w = leaves(0.3, -0.7)
    return lambda x: np.array([[w[0], w[1]], [w[1], 0.0]]) @ np.array(x), w, [rng.normal(size=(17, 2))]


@case
def outputs_that_are_leaves_or_the_same():
    w = leaves(0.3, -0.7)

    def function(x):
        u = w[0] * x[1]
        return [u, w[1], x[0], u, 4.0]

    return function, w, [rng.normal(size=(5, 2))]


@case
def bundle_adjustment():
    cameras = [leaves(*rng.normal(size=3)) for _ in range(4)]
    points = [leaves(*rng.normal(size=2)) for _ in range(6)]

    def function(camera, point, seen):
        c, p = ts.lookup(cameras, camera), ts.lookup(points, point)
        return [ts.sin(c[0]) * p[0] + c[1] - seen[0], c[2] * p[1] * p[0] - seen[1]]

    params = [value for row in (*cameras, *points) for value in row]
    return function, params, [rng.integers(0, 4, 23), rng.integers(0, 6, 23), rng.normal(size=(23, 2))]


@case
def two_lookups_of_one_parameter():
    w = leaves(0.3, -0.7, 1.1)
    return (
        lambda i, j: [ts.lookup(w, i) * ts.lookup(w, j) * w[0]],
        w,
        [np.array([0, 1, 2, 2, 1]), np.array([0, 1, 0, 2, 2])],
    )


@case
def lookups_of_computed_and_mixed_tables():
    w = leaves(0.3, 0.7, 1.1)

    def function(i, x):
        return [
            ts.lookup([ts.exp(w[0]), w[1] * x, x], i),
            ts.lookup([w[0], 2.0, w[2]], i) * x,
            ts.lookup([1.0, 2.0, 3.0], i),
        ]

    return function, w, [np.array([0, 1, 2, 1, 0, 2]), rng.normal(size=6)]


@case
def no_arguments():
    w = leaves(0.3, 0.7)
    return lambda: [w[0] * w[1], ts.sin(w[0]), w[1] ** 3], w, []


@case
def no_parameters():
    return lambda x, y: [x[0] * y, x[1] / y], [], [rng.normal(size=(9, 2)), rng.normal(size=9)]


@case
def more_arguments_than_a_scalar_program_takes_by_themselves():
    w = leaves(0.3)
    return lambda *x: [w[0] * sum(x), x[0] * x[-1]], w, [rng.normal(size=5) for _ in range(20)]


def shapes_of(function, arrays):
    shape = outputs_of(function(*example_arguments(arrays, 0))).shape or ()
    return shape, (len(arrays[0]) if arrays else 1)


@pytest.mark.parametrize("name", CASES)
def test_each_examples_values_and_derivatives_are_the_engines(name):
    function, params, arrays = CASES[name]
    shape, m = shapes_of(function, arrays)
    values, jacobians, inputs = engine(function, params, arrays)
    run = ts.vectorize(function, params, reduce=None, wrt_inputs=True)
    for part in (slice(None), slice(0, 2)):  # several, and few
        few = [array[part] for array in arrays]
        got = run(*few)
        m = len(few[0]) if few else 1
        assert got[0].shape == (m, *shape) and got[1].shape == (m, *shape, len(params))
        close(got[0].reshape(m, -1), values[part])
        close(got[1].reshape(jacobians[part].shape), jacobians[part])
        assert len(got[2]) == len(arrays)
        for array, ours, theirs in zip(few, got[2], inputs):
            if array.dtype.kind != "f":
                assert ours is None
                continue
            assert ours.shape == (m, *shape, *array.shape[1:])
            close(ours.reshape(theirs[part].shape), theirs[part])
        close(run.values(*few), got[0])


@pytest.mark.parametrize("reduce", ["mean", "sum"])
@pytest.mark.parametrize("name", CASES)
def test_the_mean_and_the_sum_are_those_of_each_example(name, reduce):
    function, params, arrays = CASES[name]
    each, run = (ts.vectorize(function, params, reduce=how, wrt_inputs=True) for how in (None, reduce))
    values, jacobians, inputs = each(*arrays)
    over = len(values) if reduce == "mean" else 1
    got = run(*arrays)
    close(got[0], values.sum(axis=0) / over)
    close(got[1], jacobians.sum(axis=0) / over)
    for ours, theirs in zip(got[2], inputs):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            close(ours, theirs / over)
    close(run.values(*arrays), values)
    close(run.value(*arrays), got[0])
    assert np.ndim(got[0]) > 0 or type(got[0]) is float


@pytest.mark.parametrize("reduce", [None, "mean", "sum"])
@pytest.mark.parametrize("name", CASES)
def test_a_sparse_jacobian_is_the_dense_one(name, reduce):
    pytest.importorskip("scipy")
    function, params, arrays = CASES[name]
    if name == "a_cost" and reduce:
        with pytest.raises(TypeError, match=r"the gradient of the .* is a vector"):
            ts.vectorize(function, params, reduce=reduce, jacobian="sparse")(*arrays)
        return
    dense, sparse = (
        ts.vectorize(function, params, reduce=reduce, wrt_inputs=True, jacobian=kind) for kind in ("dense", "sparse")
    )
    (values, jacobian, inputs), (same_values, matrix, matrices) = dense(*arrays), sparse(*arrays)
    close(same_values, values)
    assert matrix.format == "csr" and matrix.shape == (values.size, len(params))
    close(matrix.toarray(), jacobian.reshape(values.size, len(params)))
    for array, ours, theirs in zip(arrays, matrices, inputs):
        assert (ours is None) == (theirs is None)
        if ours is None:
            continue
        assert ours.format == "csr" and ours.shape == (values.size, array.size)
        m, k = len(array), outputs_of(function(*example_arguments(arrays, 0))).values
        blocks = theirs.reshape(m, len(k), -1)
        whole = np.zeros((m, len(k), m, blocks.shape[-1]))
        whole[np.arange(m), :, np.arange(m)] = blocks
        whole = whole.sum(axis=0) if reduce else whole
        close(ours.toarray(), whole.reshape(values.size, array.size))


def test_a_sparse_jacobian_stores_only_what_an_output_reads():
    pytest.importorskip("scipy")
    function, params, arrays = CASES["bundle_adjustment"]
    matrix = ts.vectorize(function, params, reduce=None, jacobian="sparse")(*arrays)[1]
    assert matrix.nnz == len(arrays[0]) * (3 + 3)  # sin(c₀)·p₀ + c₁ and c₂·p₁·p₀


@pytest.mark.parametrize("name", CASES)
def test_a_pickled_run_gives_the_same_to_the_bit(name):
    function, params, arrays = CASES[name]
    run = ts.vectorize(function, params, reduce=None, wrt_inputs=True)
    before = run(*arrays)
    loaded = pickle.loads(pickle.dumps(run))
    after = loaded(*arrays)
    for ours, theirs in zip([*before[:2], *before[2]], [*after[:2], *after[2]]):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", CASES)
def test_source_equations_and_explanation_are_there(name):
    function, params, arrays = CASES[name]
    run = ts.vectorize(function, params, reduce=None, wrt_inputs=True)
    run(*arrays)
    assert "scalars of one example" in run.explain()
    assert r"\sum_{i=1}" not in run.equations  # of each example, not over the examples
    compile(run.source, "source", "exec")


@pytest.mark.parametrize("name", CASES)
def test_float32_is_float32_throughout(name):
    function, params, arrays = CASES[name]
    single = [array.astype(np.float32) if array.dtype.kind == "f" else array for array in arrays]
    values, jacobian, inputs = ts.vectorize(function, params, reduce=None, dtype="float32", wrt_inputs=True)(*single)
    exact = ts.vectorize(function, params, reduce=None, wrt_inputs=True)(*single)
    for ours, theirs in zip([values, jacobian, *inputs], [*exact[:2], *exact[2]]):
        if ours is not None:
            assert ours.dtype == np.float32
            np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("reduce", ["mean", "sum", None])
def test_training_in_place_and_set_values_are_followed(reduce):
    w, b = leaves(0.5, -1.0)
    run = ts.vectorize(lambda x: [w * x, b * x * x], [w, b], reduce=reduce)
    X = np.array([1.0, 2.0])
    run(X)
    run.parameters[:] = 2.0, 3.0
    close(run.values(X), [[2.0, 3.0], [4.0, 12.0]])
    run.write_back()
    w.data = 7.0
    close(run.values(X), [[7.0, 3.0], [14.0, 12.0]])


def test_a_constant_that_is_set_traces_anew():
    w, c = leaves(0.5, 2.0)
    run = ts.vectorize(lambda x: [w * x, c * x], [w], reduce=None)
    close(run([3.0])[0], [[1.5, 6.0]])
    c.data = 5.0
    close(run([3.0])[0], [[1.5, 15.0]])


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.integers(1, 6), st.integers(0, 10**6))
def test_rows_of_the_jacobian_are_the_gradients_of_the_outputs(m, k, seed):
    draw = np.random.default_rng(seed)
    w = leaves(*draw.normal(size=4))
    picks = draw.integers(0, 4, size=(k, 3))

    def outputs(x):
        return [ts.sin(w[a] * x[0]) * w[b] + ts.maximum(w[c], x[1]) for a, b, c in picks.tolist()]

    X = draw.normal(size=(m, 2))
    values, jacobian = ts.vectorize(outputs, w, reduce=None)(X)
    for j in range(k):
        value, gradient = ts.vectorize(lambda x, j=j: outputs(x)[j], w, reduce=None)(X)
        np.testing.assert_allclose(values[:, j], value, rtol=1e-14)
        close(jacobian[:, j], gradient)


def test_the_sum_has_the_gradient_of_a_sum_where_no_example_matters():
    w = leaves(2.0)
    run = ts.vectorize(lambda x: w[0] * w[0], w, reduce="sum")
    assert run([1.0, 2.0, 3.0])[0] == 12.0
    assert run([1.0, 2.0, 3.0])[1].tolist() == [12.0]
    assert r"m\, " in run.equations


def test_the_equations_of_a_sum_divide_by_no_m():
    w = leaves(2.0)
    mean, total = (ts.vectorize(lambda x: w[0] * x, w, reduce=reduce) for reduce in ("mean", "sum"))
    for run in (mean, total):
        run([1.0, 2.0])
    assert r"\frac{1}{m}" in mean.equations
    assert r"\frac{1}{m}" not in total.equations and r"\sum_{i=1}^{m}" in total.equations
    assert "/ m" in mean.source
    assert "/ m" not in total.source


def test_a_missing_row_of_a_table_is_the_error_of_lookup():
    w = leaves(0.5, 1.5)
    run = ts.vectorize(lambda i: [ts.lookup(w, i) ** 2], w, reduce=None)
    run([0, 1])
    with pytest.raises(ValueError, match="lookup expected a row from 0 to 1, got 2"):
        run([0, 2])


def test_guards_are_kept():
    w = leaves(1.0)
    run = ts.vectorize(lambda a, y: [ts.hinge(w[0] * a, y)], w, reduce=None)
    run([0.5, 1.0], [-1, 1])
    with pytest.raises(ValueError, match=r"hinge targets must be −1 or \+1, got 0\.0"):
        run([0.5, 1.0], [-1, 0])
    with pytest.raises(ValueError, match=r"hinge targets must be −1 or \+1, got 0\.0"):
        run.values([0.5, 1.0], [-1, 0])


@pytest.mark.parametrize("reduce", ["sum", None])
def test_detect_anomaly_finds_the_operation(reduce):
    w = leaves(1.0)
    run = ts.vectorize(lambda x: [w[0] * x, ts.log(w[0] * x)], w, reduce=reduce)
    with ts.detect_anomaly():
        run([1.0, 2.0])
        with pytest.raises(ts.AnomalyError, match="log"):
            run([1.0, 0.0])
        with pytest.raises(ts.AnomalyError, match="log"):
            run.values([1.0, 0.0])


def test_no_parameters_with_a_cost_give_the_gradients_of_the_arguments():
    X = rng.normal(size=(6, 2))
    value, gradient, [dX] = ts.vectorize(lambda x: x[0] * x[1], [], wrt_inputs=True)(X)
    assert value == pytest.approx((X[:, 0] * X[:, 1]).mean())
    assert gradient.shape == (0,)
    close(dX, X[:, ::-1] / 6)


def test_a_function_without_arguments_is_one_example():
    w = leaves(0.5, 3.0)
    run = ts.vectorize(lambda: w[0] * w[1], w)
    value, gradient = run()
    assert value == 1.5 and gradient.tolist() == [3.0, 0.5]
    assert run.value() == 1.5 and run.values().tolist() == [1.5]
    run.parameters[0] = 2.0
    assert run()[0] == 6.0
    both = ts.vectorize(lambda: w[0] * w[1], w, wrt_inputs=True)
    assert both()[2] == []
    assert "product" in both.explain() and "multiply" in both.source
    with pytest.raises(TypeError):
        run([1.0])


@pytest.mark.skipif(not ts.accelerated, reason="the array program has a row for each output")
def test_many_outputs_that_read_little_need_little_memory():
    pytest.importorskip("scipy")
    w = [Value(0.001 * i - 1.0) for i in range(2000)]
    run = ts.vectorize(lambda: [ts.sin(w[i] * w[i - 7]) for i in range(2000)], w, jacobian="sparse")
    tracemalloc.start()
    values, jacobian = run()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    data, before = np.array([v.data for v in w]), np.roll([v.data for v in w], 7)
    assert jacobian.shape == (2000, 2000) and jacobian.nnz == 4000
    assert peak < 2000 * 2000 * 8 / 2  # half of a dense one
    close(values, np.sin(data * before))
    close(jacobian.sum(axis=1), np.cos(data * before) * (data + before))

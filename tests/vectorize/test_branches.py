"""ts.cond: each example takes its own side, and nothing leaks from the other one."""

import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from programs import assert_equal_to_the_engine
from support.branch_cases import CASES, X, leaves

import tinygrad_scalar as ts
from tinygrad_scalar import TraceError, Value
from tinygrad_scalar.engine import compute_gradients
from tinygrad_scalar.vectorize.trace import example_arguments, flat


def engine(function, params, arrays):
    """The costs (m,), the gradients (m, n) and those of all floats among the arguments (m, …) by the engine."""
    costs, gradients, inputs = [], [], []
    for i in range(len(arrays[0])):
        arguments = example_arguments(arrays, i)
        C = function(*arguments)
        theirs = [v for a, array in zip(arguments, arrays) if array.dtype.kind == "f" for v in flat(a)]
        for rows, of in ((gradients, params), (inputs, theirs)):
            rows.append(np.empty(len(of)))
            compute_gradients(C, of, rows[-1])
        costs.append(C.data)
    return np.array(costs), np.array(gradients), np.array(inputs)


def ways(run, arrays):
    """The results by the scalar program and by the array program."""
    program = run._last
    program.write_arrays()
    rows = [array.reshape(len(array), -1) for array in arrays]
    return list(program.by_every_way(run.parameters, rows))


def equal(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", CASES)
def test_each_example_takes_the_side_that_python_takes(name):
    function, params, arrays = CASES[name]
    with np.errstate(all="ignore"):
        costs, gradients, inputs = engine(function, params, arrays)
        run = ts.vectorize(function, params, reduce=None, wrt_inputs=True)
        for part in (slice(None), slice(0, 2), slice(2, 3)):
            few = [array[part] for array in arrays]
            value, gradient, of_inputs = run(*few)
            equal(value, costs[part])
            equal(gradient, gradients[part])
            floats = [d.reshape(len(d), -1) for d in of_inputs if d is not None]
            equal(np.concatenate(floats, axis=1), inputs[part])
            equal(run.values(*few), costs[part])


@pytest.mark.parametrize("name", CASES)
def test_no_way_of_running_lets_anything_through(name):
    function, params, arrays = CASES[name]
    with np.errstate(all="ignore"):
        costs, gradients, _ = engine(function, params, arrays)
        run = ts.vectorize(function, params)
        run(*arrays)
        for value, gradient in ways(run, arrays):
            equal(value, costs.mean())
            equal(gradient, gradients.mean(axis=0))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_branches_of_random_functions_are_pythons_if(seed):
    draw = np.random.default_rng(seed)
    w = leaves(*draw.normal(size=3))
    plan = draw.integers(0, 6, size=40).tolist()

    def function(x, plan=plan, w=w):
        steps = iter(plan * 10)

        def term(depth):
            kind, a, b = next(steps), next(steps), next(steps)
            u, v = (x[a % 2], w[b % 3]) if a % 3 else (w[a % 3], x[b % 2])
            if depth == 0:
                return u * v
            first = term(depth - 1)
            if kind == 0:
                return ts.log(first) + u
            if kind == 1:
                return ts.sqrt(first * v)
            if kind == 2:
                return u / (first - v)
            second = term(depth - 1)
            return ts.cond(ts.greater(first, 0), lambda: ts.log(first) * v + second, lambda: ts.sqrt(-first) / u)

        return term(3)

    arrays = [draw.normal(size=(9, 2))]
    with np.errstate(all="ignore"):
        costs, gradients, _ = engine(function, w, arrays)
        run = ts.vectorize(function, w, reduce=None)
        value, gradient = run(*arrays)
        np.testing.assert_allclose(value, costs, rtol=1e-9)
        sizes = np.abs(gradients).max(axis=1, keepdims=True, initial=1.0)
        np.testing.assert_allclose(gradient / sizes, gradients / sizes, rtol=1e-9, atol=1e-12)


def test_the_engine_records_only_the_side_that_is_taken():
    x = Value(-3.0, "x")
    called = []
    y = ts.cond(ts.greater(x, 0), lambda: called.append("then"), lambda: x * x)
    assert called == [] and y.op == "*"
    assert ts.cond(0.0, "then", "otherwise") == "otherwise"
    assert ts.cond(math.nan, 1, 2) == ts.cond(True, 1, 2) == 1
    assert isinstance(ts.cond(x, 1.0, 2.0), Value)


@pytest.mark.parametrize("condition", ["x", None, [1.0]])
def test_a_condition_must_be_a_number(condition):
    with pytest.raises(TypeError, match="cond expected a Value or a number as the condition, got"):
        ts.cond(condition, 1, 2)


w = Value(0.5, "w")


@pytest.mark.parametrize(
    ("then", "otherwise"),
    [
        (lambda: w, lambda: [w]),
        (lambda: [w, w], lambda: [w]),
        (lambda: {"a": w}, lambda: {"b": w}),
        (w, None),
        ("a", w),
    ],
)
def test_sides_of_different_structure_are_an_error(then, otherwise):
    with pytest.raises(TraceError, match=r"both sides of ts\.cond must return the same"):
        ts.vectorize(lambda x: ts.cond(ts.greater(x, 0), then, otherwise), [w])([1.0])


def test_dicts_and_arrays_can_be_sides():
    def function(x):
        found = ts.cond(ts.greater(x, 0), lambda: {"a": np.array([w, x])}, lambda: {"a": np.array([x, 2 * w])})
        return found["a"][0] + 3 * found["a"][1]

    value, gradient = ts.vectorize(function, [w], reduce=None)([1.0, -1.0])
    assert value.tolist() == [3.5, 2.0] and gradient.tolist() == [[1.0], [6.0]]


@pytest.mark.parametrize("branch", [lambda x: w * x if x > 0 else x, lambda x: w * x if x else x])
def test_a_python_branch_on_a_traced_number_names_the_ways_out(branch):
    with pytest.raises(TraceError, match=r"ts\.where\(.*ts\.cond\("):
        ts.vectorize(branch, [w])([1.0])


def test_a_guard_counts_only_where_it_is_reached():
    function = lambda a, y: ts.cond(ts.greater(y, -2), lambda: ts.hinge(w * a, y), lambda: w * a)  # noqa: E731
    run = ts.vectorize(function, [w])
    run([0.5, 1.0], [-1.0, -7.0])
    with pytest.raises(ValueError, match=r"hinge targets must be −1 or \+1, got 0\.0"):
        run([0.5, 1.0], [-1.0, 0.0])


def test_a_row_counts_only_where_it_is_looked_up():
    params = leaves(0.5, 1.5, -2.0)
    run = ts.vectorize(lambda i, x: ts.cond(ts.less(x, 3), lambda: ts.lookup(params, i) * x, lambda: x), params)
    run(np.array([0, 9]), np.array([1.0, 5.0]))
    for program in (run, pickle.loads(pickle.dumps(run))):
        with pytest.raises(ValueError, match="lookup expected a row from 0 to 2, got 9"):
            program(np.array([0, 9]), np.array([5.0, 1.0]))


def test_nothing_is_reported_by_detect_anomaly_unless_an_example_gets_there():
    function, params, arrays = CASES["a_logarithm_on_one_side"]
    run = ts.vectorize(function, params)
    with ts.detect_anomaly():
        run(*arrays)
    run = ts.vectorize(lambda x: ts.cond(ts.greater_equal(x, 0), lambda: w * ts.log(x), lambda: w * x), [w])
    with ts.detect_anomaly(), pytest.raises(ts.AnomalyError, match="log"):
        run(X)


def test_a_jacobian_of_branches():
    function = lambda x: ts.cond(ts.greater(x, 0), lambda: [w * x, ts.log(x)], lambda: [x, w / (x - 3)])  # noqa: E731
    values, jacobian, [dX] = ts.vectorize(function, [w], reduce=None, wrt_inputs=True)([1.0, -1.0])
    equal(values, [[0.5, 0.0], [-1.0, -0.125]])
    equal(jacobian[..., 0], [[1.0, 0.0], [0.0, -0.25]])
    equal(dX, [[0.5, 1.0], [1.0, -0.5 / 16]])


def test_float32_takes_the_same_sides():
    function, params, arrays = CASES["nested"]
    arrays = [arrays[0].astype(np.float32)]
    with np.errstate(all="ignore"):
        single = ts.vectorize(function, params, dtype="float32", reduce=None)(*arrays)
        double = ts.vectorize(function, params, reduce=None)(*arrays)
    np.testing.assert_allclose(single[0], double[0], rtol=1e-5)
    np.testing.assert_allclose(single[1], double[1], rtol=1e-5)


def test_a_side_that_changes_what_is_outside_is_refused():
    w, x = leaves(1.5), np.array([1.0, -2.0, 3.0, 4.0, -5.0, 6.0])  # the examples of the check take the same side

    def variable(x):
        s = w[0] * x

        def then():
            nonlocal s
            s = s * 2
            return s

        return ts.cond(ts.greater(x, 0), then, lambda: s)

    for reduce in ("mean", None):
        with pytest.raises(TraceError, match=r"a side of ts.cond must not change"):
            ts.vectorize(variable, w, reduce=reduce)(x)


def layers(x, weights, one_sided):
    """Products that both sides of a condition use, or that one does not."""
    for rows in weights:
        z = [sum(w * a for w, a in zip(row, x)) for row in rows]
        x = [ts.cond(ts.greater(a, 0.0), lambda a=a: a, lambda a=a: 0.5 if one_sided else 0.1 * a) for a in z]
    return sum(a * a for a in x)


@pytest.mark.parametrize("one_sided", [False, True])
def test_products_are_of_matrices_where_both_sides_of_a_condition_use_them(one_sided):
    numbers = np.random.default_rng(0).normal(size=(2, 4, 4))
    weights = [[[Value(w) for w in row] for row in rows] for rows in numbers]
    params = [w for rows in weights for row in rows for w in row]
    X = np.random.default_rng(1).normal(size=(7, 4))
    assert_equal_to_the_engine(lambda x: layers(x, weights, one_sided), params, [X])
    run = ts.vectorize(lambda x: layers(x, weights, one_sided), params, way="arrays")
    run(X)
    assert ("matmul" in run.source) is not one_sided


def test_nothing_leaks_from_products_that_one_side_uses_twice_and_the_other_not_at_all():
    w = [Value(0.5), Value(-1.5), Value(2.0)]

    def cost(x):
        z = [a * ts.log(b) for a, b in zip(w, x)]  # nan where x is negative
        both = ts.cond(ts.greater(x[0], 0.0), lambda: sum(z) * z[0], lambda: x[1] * w[1])
        return both + ts.cond(ts.greater(x[0], 0.0), lambda: ts.tanh(sum(z)), lambda: w[2] * x[2])

    X = np.array([[1.0, 2.0, 3.0], [-1.0, -2.0, 0.5], [0.5, 0.25, 4.0], [-1.0, 0.0, -0.0]])
    assert_equal_to_the_engine(cost, w, [X])

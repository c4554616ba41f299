"""Within detect_anomaly() a vectorized function raises what the engine raises without vectorize."""

import pickle

import numpy as np
import pytest
from hypothesis import given, strategies as st

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine import anomaly
from tinygrad_scalar.engine.errors import AnomalyError
from tinygrad_scalar.engine.graph import pass_order
from tinygrad_scalar.vectorize.trace import example_arguments

STEPS = {
    "log": lambda x, y: ts.log(x),
    "sqrt": lambda x, y: ts.sqrt(x),
    "exp": lambda x, y: ts.exp(x * 100.0),
    "sinh": lambda x, y: ts.sinh(y * 1e3),
    "/": lambda x, y: x / y,
    "**": lambda x, y: x**y,
    "**-2": lambda x, y: y**-2,
    "asin": lambda x, y: ts.asin(x),
    "huge": lambda x, y: x * 1e200 * y,
    "hidden in where": lambda x, y: ts.where(ts.greater(x, 1.0), ts.log(x - 1.0), y),
    "hidden in tanh": lambda x, y: ts.tanh(1.0 / x),
    "-": lambda x, y: x - y,
    "tanh": lambda x, y: ts.tanh(x),
    "sigmoid": lambda x, y: ts.sigmoid(x * y),
}
NUMBER = st.sampled_from([0.0, 1.0, -1.0, 0.5, 2.0, 8.0, 1e-200, -30.0])
PLACE = st.integers(0, 9)
PROGRAM = st.lists(st.tuples(st.sampled_from(sorted(STEPS)), PLACE, PLACE), min_size=1, max_size=4)


def message_of(call):
    """The message of a call's AnomalyError, without the line; "" if there is none."""
    with ts.detect_anomaly():
        try:
            call()
        except AnomalyError as error:
            return str(error).partition(", at ")[0]
    return ""


def by_the_engine(cost, params, X, *, backwards):
    """Compute each example's cost, and its gradients with respect to the parameters; their numbers do not matter."""
    for i in range(len(X)):
        C = cost(*example_arguments([X], i))
        if backwards:
            wanted = {C}
            for node in ts.topological_order(C):
                if node in params or not wanted.isdisjoint(node.operands):
                    wanted.add(node)
            anomaly.require_finite_gradients(C, pass_order(C), 1.0 / len(X), wanted)


@given(PROGRAM, st.lists(NUMBER, min_size=2, max_size=2), st.lists(NUMBER, min_size=1, max_size=5), st.integers(1, 3))
def test_a_step_raises_what_the_engine_raises(program, numbers, x, wide):
    w = [Value(number, f"w{k}") for k, number in enumerate(numbers)]
    X = np.array(x)

    def cost(x):
        outputs = []
        for k in range(wide):  # several alike make an array program
            values = [w[0] * x, w[1] * x + float(k), *w]
            for name, i, j in program:
                values.append(STEPS[name](values[i % len(values)], values[j % len(values)]))
            outputs.extend(values[4:])  # all: an operation whose result is not used is in no program
        return sum(outputs)

    for check in (True, False):
        for backwards in (True, False):
            run = ts.vectorize(cost, w, check=check)
            for _ in range(2):
                ours = message_of(lambda run=run, b=backwards: run(X) if b else run.value(X))
                theirs = message_of(lambda b=backwards: by_the_engine(cost, w, X, backwards=b))
                if theirs or "the mean" not in ours:  # the mean of finite costs can be too large as well
                    assert bool(ours) == bool(theirs), (ours, theirs)
                    if not check or len(X) == 1:  # the check of the first call can meet another example's first
                        assert ours == theirs


w = Value(2.0, "w")


def logarithm(x):
    return (w * x).log() * 3.0  # the culprit


@pytest.mark.parametrize("m", [3, 40, 3000])
def test_a_function_that_was_traced_outside_raises_inside_and_names_the_line(m):
    X = np.linspace(1.0, 2.0, m)
    run = ts.vectorize(logarithm, [w])
    expected = run(X)
    with ts.detect_anomaly():
        assert run(X)[0] == expected[0]
        X[m // 2] = 0.0
        with pytest.raises(AnomalyError, match=r"^log\(x₀\) = -inf, where x₀ = 0\.0, at .*# the culprit"):
            run(X)
        with pytest.raises(AnomalyError, match="the culprit"):
            run.value(X)
    assert run(X)[0] == -np.inf


def test_parameters_that_are_not_the_values_are_those_that_count():
    run = ts.vectorize(logarithm, [w])
    run([1.0])
    run.parameters[:] = -1.0
    with ts.detect_anomaly(), pytest.raises(AnomalyError, match=r"log\(x₀\) = nan, where x₀ = -3\.0, at .*the culprit"):
        run([3.0])
    assert w.data == 2.0


def test_a_gradient_that_is_not_finite_raises_though_the_cost_is():
    v = Value(0.0, "v")
    run = ts.vectorize(lambda x: ts.sqrt(v * x) + 1.0, [v])
    with ts.detect_anomaly():
        assert run.value([1.0, 2.0]) == 1.0
        with pytest.raises(AnomalyError, match=r"backward through √\(x₀\) = 0\.0"):
            run([1.0, 2.0])


def test_gradients_that_nobody_asked_for_do_not_count():
    def cost(x):
        return w * ts.sqrt(x)

    with ts.detect_anomaly():
        assert ts.vectorize(cost, [w])([0.0, 4.0])[0] == 2.0
        with pytest.raises(AnomalyError, match=r"backward through √\(x\)"):
            ts.vectorize(cost, [w], wrt_inputs=True)([0.0, 4.0])


def test_a_sum_over_examples_that_overflows_is_an_anomaly_too():
    run = ts.vectorize(lambda x: w * x, [w])
    with ts.detect_anomaly(), pytest.raises(AnomalyError, match="the mean cost of 4 examples became inf, although"):
        run(np.full(4, 8e307))


def test_numbers_that_are_too_large_for_float32_are_an_anomaly_too():
    run = ts.vectorize(lambda x: w * x * x, [w], dtype="float32")
    with ts.detect_anomaly(), pytest.raises(AnomalyError, match="beyond the range of float32"):
        run(np.array([1e30, 1.0]))


def test_a_pickled_run_without_its_function_raises_too():
    run = ts.vectorize(logarithm, [w])
    run([1.0])
    loaded = pickle.loads(pickle.dumps(run))
    with ts.detect_anomaly():
        assert loaded([1.0])[0] == run([1.0])[0]
        with pytest.raises(AnomalyError, match="the mean cost of 1 example became -inf: call vectorize anew"):
            loaded([0.0])


def test_saturated_sigmoids_are_no_anomaly():
    run = ts.vectorize(lambda x: sum(ts.sigmoid(w * x) * ts.tanh(x * k) for k in range(9)), [w])
    with ts.detect_anomaly():
        assert np.isfinite(run(np.array([-1e4, 1e4, 0.0]))[1]).all()


# --- fit --------------------------------------------------------------------------------------------------------------

X, Y = np.random.default_rng(0).normal(size=(100, 2)), np.linspace(0.1, 1.0, 100)


def trained(vectorized, loss, Y, epochs=3):
    net = ts.MLP(2, [3, 1], "tanh", "linear", seed=0)
    ts.fit(net, X, Y, loss=loss, epochs=epochs, progress=False, vectorized=vectorized, batch_size=10)
    return [p.data for p in net.parameters()]


def test_fit_within_the_block_is_vectorized_and_trains_the_same(recwarn):
    outside = trained(True, "squared_error", Y)
    with ts.detect_anomaly():
        within = trained(True, "squared_error", Y)
    np.testing.assert_allclose(within, outside, rtol=1e-12)  # arrays are watched in NumPy, which rounds differently
    assert recwarn.list == []


def inverse_square(a, y):
    return (a * 0.0 + y) ** -2 + a * a


@pytest.mark.parametrize("vectorized", [True, False])
def test_fit_within_the_block_names_the_operation_and_the_line_of_the_loss(vectorized):
    numbers = Y.copy()
    numbers[70] = 0.0
    words = r"^\(x₀\)⁻² = inf, where x₀ = 0\.0, at .*test_anomalies.*return \(a \* 0\.0 \+ y\) \*\* -2"
    with ts.detect_anomaly(), pytest.raises(AnomalyError, match=words):
        trained(vectorized, inverse_square, numbers)

"""Functions are refused for what they do, never for how they round; and rounding.py in C does the same as in Python."""

import functools
import random

import numpy as np
import pytest
from hypothesis import given, strategies as st
from support.calls import calls_within

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine import compute_gradients, read_graph
from tinygrad_scalar.engine.errors import TraceError
from tinygrad_scalar.vectorize import first_call, group, rounding


@pytest.mark.parametrize("z", [20.0, 354.0, 356.0, -360.0, 372.0, 400.0, 1000.0])
def test_the_slope_of_tanh_is_the_engines_however_small(z):
    w = Value(z, "w")
    _, (gradient,) = ts.vectorize(lambda a: (w * a).tanh(), [w])(np.array([1.0]))
    (w * 1.0).tanh().backward()
    assert gradient == pytest.approx(w.grad, rel=1e-9, abs=1e-322)


def mean(values):
    return sum(values) / len(values)


def variance(x):
    return mean([v * v for v in x]) - mean(x) ** 2


def covariance(x, y):
    return mean([a * b for a, b in zip(x, y)]) - mean(x) * mean(y)


def squared_distance(x, y):
    return sum(v**2 for v in x) - 2.0 * sum(a * b for a, b in zip(x, y)) + sum(v**2 for v in y)


def third_moment(x):
    return mean([v**3 for v in x]) - 3.0 * mean(x) * variance(x) - mean(x) ** 3


CANCELLING = {
    "variance": variance,
    "standard deviation": lambda x: ts.sqrt(variance(x)),
    "correlation": lambda x: covariance(x, x[::-1]) / ts.sqrt(variance(x) * variance(x[::-1])),
    "squared distance": lambda x: squared_distance(x, x[::-1]),
    "distance to a near point": lambda x: ts.sqrt(squared_distance(x, [v * (1.0 + 1e-9) for v in x])),
    "third moment": third_moment,
    "kink at a cancelled sum": lambda x: ts.relu(variance(x)) + abs(third_moment(x)),
    "choice by a cancelled sum": lambda x: ts.where(ts.greater(variance(x), 0.0), x[0], x[-1] * 3.0),
    "polynomial at its root": lambda x: sum(c * (x[0] / x[-1]) ** k for k, c in enumerate([1, -6, 15, -20, 15, -6, 1])),
    "difference of exponentials": lambda x: mean([ts.exp(v / x[0]) - ts.exp(v * (1.0 + 1e-12) / x[0]) for v in x]),
    "log of a sum of exponentials": lambda x: ts.log(sum(ts.exp(v / x[0] * 30.0) for v in x)) - 30.0,
    "fourth power of a noise": lambda x: ((x[0] - mean(x)) / ts.sqrt(variance(x) + 1e-12)) ** 4,
    "chaos": lambda x: functools.reduce(lambda a, _: 3.9 * a * (1.0 - a), range(80), x[0] / (x[0] + x[-1] * 1.7)),
    "sine of many turns": lambda x: sum(ts.sin(v * 1000.0) for v in x),
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", CANCELLING)
@pytest.mark.parametrize("scale", [1e-100, 1e-8, 1.0, 1e4, 1e8, 1e50])
@pytest.mark.parametrize("spread", [0.0, 1e-8, 1e-3, 1.0])
def test_a_function_is_never_refused_for_its_rounding_errors(name, scale, spread):
    numbers = np.random.default_rng(7)
    w = Value(1.1, "w")
    for n in (1, 2, 7, 30):
        X = scale * (1.0 + spread * numbers.uniform(-0.5, 0.5, (3, n)))
        ts.vectorize(lambda x: CANCELLING[name]([w * v for v in x]), [w])(X)


TERM = st.tuples(
    st.sampled_from(["*", "**2", "**3", "/", "exp", "tanh", "sqrt"]),
    st.floats(-1.0, 1.0),
    st.integers(0, 3),
    st.integers(0, 3),
)


def _terms(spec, scale, x):
    for operation, c, i, j in spec:
        if operation == "*":
            yield x[i] * x[j] * c
        elif operation == "/":
            yield x[i] / (x[j] + scale) * c
        elif operation.startswith("**"):
            yield x[i] ** int(operation[2]) * c
        elif operation == "sqrt":
            yield ts.sqrt(x[i]) * c
        else:
            yield getattr(ts, operation)(x[i] / scale) * (c * scale)


def _cancelling(spec, seed, scale, x):
    """A sum that comes to almost nothing: each term is added, and later subtracted, in the middle of all others."""
    once = [*_terms(spec, scale, x)]
    again = [-(term * (1.0 + 1e-13)) for term in _terms(spec, scale, x)]
    terms = [*once, *again, x[0] * 1e-3]
    random.Random(seed).shuffle(terms)
    return sum(terms)


SCALE = st.sampled_from([1e-30, 1e-6, 1.0, 1e4, 1e8, 1e30])


@given(st.lists(TERM, min_size=1, max_size=8), st.integers(0, 999), SCALE)
def test_sums_that_cancel_are_never_refused(spec, seed, scale):
    w = [Value(p) for p in (1.0, 0.7, 1.3)]
    X = scale * np.random.default_rng(seed).uniform(0.5, 2.0, (3, 4))

    def cost(x):
        inner = _cancelling(spec, seed, scale, [w[k % 3] * v for k, v in enumerate(x)])
        return inner * w[0] + inner**2 / scale

    ts.vectorize(cost, w)(X)


def checked(cost, params, X):
    """The comparison with the engine alone: repeat.py would refuse these functions sooner."""
    run = ts.vectorize(cost, params, check=False)
    run(X)
    first_call.require_agreement(run._last, cost, params, [X])


@given(st.lists(TERM, min_size=1, max_size=8), st.integers(0, 999), SCALE, st.sampled_from([1.0, 1e-3, 1e-6]))
def test_a_function_that_differs_by_more_than_rounding_is_refused_at_every_scale(spec, seed, scale, difference):
    w = [Value(p) for p in (1.0, 0.7, 1.3)]
    X = scale * np.random.default_rng(seed).uniform(0.5, 2.0, (3, 4))
    calls = []

    def cost(x):
        calls.append(x)
        x = [w[k % 3] * v for k, v in enumerate(x)]
        size = sum(abs(term) for term in _terms(spec, scale, x)) + x[0]
        return sum(_terms(spec, scale, x)) + size * (difference * len(calls))

    with pytest.raises(TraceError, match="the function itself gives"):
        checked(cost, w, X)


@pytest.mark.parametrize("scale", [1e-100, 1e-12, 1.0, 1e12, 1e100])
def test_a_wrong_gradient_is_refused_even_if_the_cost_is_right(scale):
    w, v = Value(1.5, "w"), Value(1.5, "v")
    calls = []

    def cost(x):
        calls.append(x)
        return x * (w if len(calls) == 1 else v)

    with pytest.raises(TraceError, match=r"gradient .* with respect to w"):
        checked(cost, [w, v], scale * np.arange(1.0, 4.0))


def test_random_terms_are_refused_beside_others_that_cancel():
    w = Value(1.0, "w")
    numbers = iter(range(100))
    X = 1e4 + np.random.default_rng(0).normal(size=(5, 20))
    with pytest.raises(TraceError, match="the function itself gives"):
        checked(lambda x: variance([w * v for v in x]) + 0.1 * next(numbers), [w], X)


# --- the same in C ----------------------------------------------------------------------------------------------------

needs_c = pytest.mark.skipif(group.native() is None, reason="the loops in C were not built")
OPERANDS = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "partial sums": lambda x, y: x - (y - x - 3.0 * y) + (x + y),
    "a partial sum used twice": lambda x, y: (x - y) * 2.0 + (x - y - x),
    "*": lambda x, y: x * y,
    "square": lambda x, y: x**2,
    "neg": lambda x, y: -x,
    "abs": lambda x, y: abs(x),
    "relu": lambda x, y: ts.relu(x),
    "leaky relu": lambda x, y: ts.leaky_relu(x, 0.5),
    "maximum": ts.maximum,
    "minimum": ts.minimum,
    "where": lambda x, y: ts.where(ts.greater(x, y), x, 3.0 * y),
    "where not": lambda x, y: ts.where(ts.greater_equal(x * y, y), y, -x),
    "power 0": lambda x, y: x**0 * y,
}
ELEMENTARY = [
    "exp",
    "expm1",
    "log",
    "log1p",
    "sqrt",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "tanh",
]
ELEMENTARY += ["asinh", "atanh", "sigmoid", "softplus", "erf"]
SMOOTH = {
    "/": lambda x, y: x / y,
    "**": lambda x, y: x**y,
    "cube": lambda x, y: x**3,
    "logaddexp": ts.logaddexp,
    "binary cross-entropy": lambda x, y: ts.binary_cross_entropy(ts.sigmoid(x), y),
    **{name: lambda x, y, name=name: getattr(ts, name)(x / 4.0) * y for name in ELEMENTARY},
    "acosh": lambda x, y: ts.acosh(1.0 + x) * y,
}


def both_again(C, leaves, monkeypatch, noise):
    """The numbers of one computation in C and in Python, without noise or with that of the module."""
    if not noise:
        for name in ("NOISE", "SLOPE_NOISE", "LOST", "TINY", "EPSILON"):
            monkeypatch.setattr(rounding, name, 0.0)
    tape = read_graph([C], leaves)
    found = tape.found.tolist()
    in_c = rounding.rounded(tape, found)
    assert type(in_c) is group.native().Rounded
    return in_c, rounding.Rounded(tape, found)


@needs_c
@given(
    st.lists(st.tuples(st.sampled_from(sorted(OPERANDS)), st.integers(0, 9), st.integers(0, 9)), max_size=25), st.data()
)
def test_without_noise_the_numbers_in_c_are_the_engines_bit_for_bit(steps, data):
    """Small integers, so that no sum rounds in any order."""
    leaves = [Value(float(data.draw(st.integers(-3, 3)))) for _ in range(4)]
    nodes = [*leaves]
    for name, i, j in steps:
        node = OPERANDS[name](nodes[-1 - i % len(nodes)], nodes[-1 - j % len(nodes)])
        nodes.append(node if abs(node.data) < 1000.0 else ts.minimum(node, 3.0))
    C = sum(nodes)
    numbers = np.empty(4)
    compute_gradients(C, leaves, numbers)
    if not np.abs(numbers).max() < 2.0**40:
        return
    with pytest.MonkeyPatch.context() as monkeypatch:
        for machine in both_again(C, leaves, monkeypatch, noise=False):
            for _ in range(3):
                assert machine.again().tolist() == [C.data, *numbers]


@needs_c
@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("x", [0.75, 2.5])
def test_without_noise_each_operation_in_c_is_the_engines(name, x, monkeypatch):
    leaves = [Value(x), Value(0.625), Value(9.0)]
    C = SMOOTH[name](*leaves[:2])
    numbers = np.empty(3)
    compute_gradients(C, leaves, numbers)
    for machine in both_again(C, leaves, monkeypatch, noise=False):
        np.testing.assert_allclose(machine.again(), [C.data, *numbers], rtol=1e-14, atol=0.0)


@needs_c
@pytest.mark.parametrize("name", sorted(set(CANCELLING) - {"chaos"}))
@pytest.mark.parametrize("spread", [1e-6, 1.0])
def test_the_range_of_rounding_is_as_wide_in_c_as_in_python(name, spread, monkeypatch):
    w = [Value(1.0 + spread * k / 7.0) for k in range(7)]
    C = CANCELLING[name](w)
    ranges = []
    for machine in both_again(C, w, monkeypatch, noise=True):
        found = rounding.Range(machine.again())
        for _ in range(200):
            found.add(machine.again())
        ranges.append(found)
    (low, high), (low_in_python, high_in_python) = ((found.low, found.high) for found in ranges)
    size = np.maximum(np.abs(low), np.abs(high)) * 2.0**-50
    with np.errstate(invalid="ignore"):
        width, expected = high - low + size, high_in_python - low_in_python + size
    known = np.isfinite(width) & np.isfinite(expected)
    assert ((width <= 4.0 * expected) & (expected <= 4.0 * width))[known].all(), (width, expected)


@needs_c
def test_the_check_calls_no_more_than_the_function_itself_does():
    w = [Value(1.0 + 1e-9 * k) for k in range(2000)]
    X = np.ones(2)
    run = ts.vectorize(lambda x: variance([p * x for p in w]), w, check=False)
    run(X)
    doubted = []
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(first_call, "rounded", lambda *graph: doubted.append(graph) or rounding.rounded(*graph))
        checked = calls_within(lambda: first_call.require_agreement(run._last, run._cost, w, [X]))
    assert doubted
    assert checked < 2 * calls_within(lambda: run._cost(Value(1.0))) + 2000

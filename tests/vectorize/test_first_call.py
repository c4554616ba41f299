"""The check of the first call: functions are refused for what they do, never for how they round, and nothing of the
check is ever seen from outside."""

import functools
import gc
import random
import sys
import threading
import weakref

import numpy as np
import pytest
from hypothesis import given, strategies as st

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine.errors import TraceError
from tinygrad_scalar.vectorize.compiled import Compiled
from tinygrad_scalar.vectorize.first_call import require_agreement

# --- rounding ---------------------------------------------------------------------------------------------------------


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
    for n in (1, 2, 5, 40):
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
    require_agreement(run._last, cost, params, [X])


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


@pytest.mark.parametrize("m", [1, 2, 3, 10])
def test_a_first_call_runs_the_function_twice_and_compares_two_examples(m, monkeypatch):
    w, run_on, compared = Value(0.5, "w"), [], []
    by_every_way = Compiled.by_every_way

    def noted(program, parameters, rows):
        compared.append(float(rows[0][0, 0]))
        return by_every_way(program, parameters, rows)

    def cost(x):
        run_on.append([x._data])  # a new number in a list would be a reason for more runs
        return ts.tanh(w * x)

    monkeypatch.setattr(Compiled, "by_every_way", noted)
    ts.vectorize(cost, [w])(np.arange(1.0, 1.0 + m))
    assert len(run_on) == 2
    numbers = [number for (number,) in run_on]
    assert sorted(numbers) == sorted(compared if m > 1 else 2 * compared)
    assert len(set(numbers)) == min(m, 2)


# --- what others see of it --------------------------------------------------------------------------------------------


def _cost_and_values():
    net = ts.MLP(2, [3, 1], "tanh", seed=0)
    captured = Value(3.0)
    shared = captured * 2.0  # a computed value that the function does not make anew
    watched = [*net.parameters(), captured, shared]
    for k, value in enumerate(watched):
        value.grad = 10.0 + k
    return (lambda x: (net(x) * shared - captured) ** 2), net.parameters(), watched


def test_no_other_thread_ever_sees_a_gradient_changed_by_a_first_call():
    cost, parameters, watched = _cost_and_values()
    before = [value.grad for value in watched]
    X = np.random.default_rng(0).normal(size=(4, 2))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    wrong, done = [], threading.Event()

    def watch():
        while not done.is_set():
            seen = [value.grad for value in watched]
            if seen != before:
                wrong.append(seen)

    def first_calls():
        for _ in range(10):
            ts.vectorize(cost, parameters)(X)

    threads = [threading.Thread(target=first_calls) for _ in range(4)]
    watcher = threading.Thread(target=watch)
    try:
        for thread in (watcher, *threads):
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        done.set()
        watcher.join()
        sys.setswitchinterval(interval)
    assert wrong == []
    assert [value.grad for value in watched] == before


@pytest.fixture
def without_callbacks_of_the_collector():
    """Hypothesis has one, in which an interruption would be lost."""
    kept = gc.callbacks[:]
    gc.callbacks.clear()
    yield
    gc.callbacks[:] = kept


def _is_finalizer(frame):
    while frame is not None and frame.f_code is not weakref.finalize.__call__.__code__:
        frame = frame.f_back
    return frame is not None


@pytest.mark.usefixtures("without_callbacks_of_the_collector")
def test_an_interruption_at_any_line_leaves_everything_as_it_was(thorough):
    cost, parameters, watched = _cost_and_values()
    before = [(value.data, value.grad) for value in watched]
    X = np.random.default_rng(0).normal(size=(4, 2))

    def interrupted_after(n):
        lines = [0]

        def trace(frame, event, argument):
            if event == "call" and _is_finalizer(frame):  # Python ignores what is raised there
                return None
            if event == "line":
                lines[0] += 1
                if lines[0] == n:
                    raise KeyboardInterrupt
            return trace

        sys.settrace(trace)
        try:
            ts.vectorize(cost, parameters)(X)
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(None)
        return False

    n = 1
    while interrupted_after(n):
        assert [(value.data, value.grad) for value in watched] == before, n
        assert parameters[0] > -100.0, n  # is no longer traced
        n += 1 + n // (20 if thorough else 6)
    assert n > 100
    assert ts.vectorize(cost, parameters)(X)[0] == pytest.approx(np.mean([cost(list(x)).data for x in X]))

"""A step can be called by anything that interrupts it, and nothing waits for ever: signal handlers, trace functions,
finalizers, threads and forked children."""

import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import types

import numpy as np
import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine import tracing

NUMBERS = np.random.default_rng(0)


def array_step(m=40):
    net = ts.MLP(4, [5, 1], "tanh", seed=0)
    run = ts.vectorize(lambda x: net(x) ** 2, net.parameters())
    return run, net.parameters(), NUMBERS.normal(size=(m, 4))


def scalar_step(m=40):
    v, w = Value(0.5), Value(-1.5)
    run = ts.vectorize(lambda x: ((v * x + w).tanh() * (w * x).exp() - v / (x * x + 1.0)) ** 2, [v, w])
    return run, [v, w], NUMBERS.normal(size=m)


STEPS = {"array program": array_step, "scalar program": scalar_step}


def equal(one, other):
    return one[0] == other[0] and (one[1] == other[1]).all()


def at_every_line_of_the_package(call, interruption):
    """Run `call` again and again, each time with `interruption` before another line of the package."""
    n = 1
    while interrupted_before(n, call, interruption):
        n += 1 + n // 20
    return n


def interrupted_before(n, call, interruption):
    """Run `call` with `interruption` before the n-th line of the package; False if there are fewer lines."""
    count = [0]

    def trace(frame, event, argument):
        if not frame.f_code.co_filename.startswith((os.path.dirname(ts.__file__), "<vectorized")):
            return None
        if event == "line":
            count[0] += 1
            if count[0] == n:
                sys.settrace(None)
                interruption()
        return trace

    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(None)
    return count[0] >= n


@pytest.mark.parametrize("kind", STEPS)
def test_a_step_can_be_called_by_what_interrupts_it(kind):
    run, _, X = STEPS[kind]()
    expected, value, few = run(X), run.value(X), run(X[:2])
    results = []

    def interruption():
        results.append(equal(run(X), expected) and run.value(X) == value and equal(run(X[:2]), few))

    def call():
        Value(0.0).data = 1.0  # so that it looks whether its own Values were set
        results.append(equal(run(X), expected) and run.value(X) == value)

    assert at_every_line_of_the_package(call, interruption) > 20
    assert all(results)


@pytest.mark.parametrize("kind", STEPS)
def test_a_step_is_right_for_one_version_of_the_values_even_if_they_are_set_in_its_middle(kind):
    run, parameters, X = STEPS[kind]()
    before = np.array([p.data for p in parameters])
    versions = []
    for shift in (0.0, 1.0, 2.0):
        for p, number in zip(parameters, before + shift):
            p.data = number
        versions.append(run(X))

    def set_to(version):
        for p, number in zip(parameters, before + version):
            p.data = number

    def interruption():
        set_to(2.0)
        assert equal(run(X), versions[2])

    def call():
        now = run(X)
        assert any(equal(now, version) for version in versions)

    n, interrupted = 1, True
    while interrupted:
        set_to(0.0)
        assert equal(run(X), versions[0])
        set_to(1.0)
        interrupted = interrupted_before(n, call, interruption)
        assert equal(run(X), versions[2 if interrupted else 1])
        n += 1
    assert n > 20


@pytest.mark.thorough
def test_a_first_call_can_be_interrupted_by_other_first_calls():
    other, _, X = array_step()
    expected = other(X)

    def interruption():
        run, _, _ = array_step()
        try:
            assert equal(run(X), expected)
        except ts.TraceError as error:  # in the middle of the function itself it would be a part of the trace
            assert "placeholder" in str(error)

    assert at_every_line_of_the_package(lambda: array_step()[0](X), interruption) > 100


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers")
@pytest.mark.parametrize("kind", STEPS)
def test_a_signal_handler_can_call_the_step_that_it_interrupts(kind, thorough):
    run, _, X = STEPS[kind](20_000)
    expected = run(X)
    results, wanted = [], 50 if thorough else 20

    def handler(number, frame):
        signal.setitimer(signal.ITIMER_REAL, 0)
        results.append(equal(run(X), expected) and run.value(X) == expected[0])
        if len(results) < wanted:  # else it could go off where no handler stands any more, and end the process
            signal.setitimer(signal.ITIMER_REAL, 1e-4)

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 1e-4)
        while len(results) < wanted:
            assert equal(run(X), expected)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert all(results)


def test_a_finalizer_can_call_a_step():
    run, _, X = array_step()
    expected = run(X)
    results = []

    class Last:
        def __init__(self):
            self.itself = self

        def __del__(self):
            results.append(equal(run(X), expected))

    before = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for _ in range(100):
            Last()
            Value(0.0).data = 1.0
            assert equal(run(X), expected)
    finally:
        gc.set_threshold(*before)
    gc.collect()
    assert results == [True] * 100


def test_threads_can_call_a_step_at_the_same_time():
    run, _, X = array_step()
    expected = run(X)
    results = []

    def call():
        results.extend(equal(run(X), expected) for _ in range(50))

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 200


FORKS = """
import os, sys, threading
import numpy as np
import tinygrad_scalar as ts

sys.setswitchinterval(1e-5)
net = ts.MLP(4, [30, 1], "tanh", seed=0)
cost = lambda x: net(x) ** 2
X = np.random.default_rng(0).normal(size=(2000, 4))
run = ts.vectorize(cost, net.parameters())
expected = run(X)[0]
stop = threading.Event()

def work():
    while not stop.is_set():
        {work}

threads = [threading.Thread(target=work, daemon=True) for _ in range(2)]
for thread in threads:
    thread.start()
for _ in range(10):
    child = os.fork()
    if child == 0:
        net.parameters()[0].data = net.parameters()[0].data  # so that the step looks at its Values
        fine = run(X)[0] == expected and ts.vectorize(cost, net.parameters())(X)[0] == expected
        ts.fit(net, X[:4], X[:4, 0], epochs=2, progress=False)
        os._exit(0 if fine and net.parameters()[0] > -10.0 else 1)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
"""


@pytest.mark.thorough
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize(
    "work",
    [
        "ts.Value(0.0).data = 1.0; run(X)",
        "ts.vectorize(cost, net.parameters())(X[:2])",
        "ts.fit(ts.MLP(4, [1], seed=0), X, X[:, 0], epochs=2, progress=False)",
    ],
    ids=["a step", "a first call", "fit"],
)
def test_a_child_forked_during_another_threads_call_can_call_too(work):
    program = [sys.executable, "-W", "ignore", "-c", FORKS.replace("{work}", work)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_a_function_that_calls_its_own_step_is_refused_with_one_error():
    w = Value(2.0, "w")
    run = ts.vectorize(lambda x: w * x * run.value([1.0]), [w])
    with pytest.raises(ts.TraceError, match="w is a placeholder"):
        run([1.0, 2.0])
    assert w.data == 2.0


def test_no_call_traces_anew_for_ever():
    w, state = Value(2.0), types.SimpleNamespace(seen=0.0)

    def cost(x):
        with contextlib.suppress(ts.TraceError):  # only the check can read it
            state.seen += abs(x.data)
        return w * x + 0.0 * state.seen

    assert ts.vectorize(cost, [w])([1.0, 2.0])[0] == 3.0


def test_a_traced_function_cannot_run_a_program_of_its_own_parameters_and_the_error_says_so():
    run, parameters, X = array_step()
    with pytest.raises(ts.TraceError, match="a vectorized function was run on it"):
        ts.vectorize(lambda x: run(X)[0] * parameters[0], parameters)(X)


def test_no_trace_outlives_an_interruption_at_any_of_its_lines():
    code = tracing.followed_by.__wrapped__.__code__

    def interrupted_at(n):
        count = 0

        def trace(frame, event, argument):
            nonlocal count
            if frame.f_code is not code:
                return None
            count += event == "line"
            if count == n and event == "line":
                raise KeyboardInterrupt
            return trace

        sys.settrace(trace)
        try:
            with tracing.followed_by(object()):
                pass
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(None)
        return False

    n = 1
    while interrupted_at(n):
        assert not tracing.active, n
        n += 1
    assert n > 5

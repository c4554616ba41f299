"""The check of the first call: it compares two examples, and nothing of it is ever seen from outside."""

import _weakrefset
import gc
import sys
import threading
import weakref

import numpy as np
import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine.errors import TraceError
from tinygrad_scalar.vectorize import first_call
from tinygrad_scalar.vectorize.compiled import Compiled
from tinygrad_scalar.vectorize.each_example import EachExample


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


def _refused_outputs(spoil, monkeypatch, k=40):
    """The outputs of which the check sees that a program gives another value or derivative."""
    w, found = Value(0.5), []
    by_every_way = EachExample.by_every_way

    def cost(x):
        powers = [x]
        for _ in range(k):
            powers.append(ts.tanh(w * powers[-1]) + 0.1)
        return powers[1:]

    for j in range(k):

        def spoilt(program, parameters, rows, j=j):
            for values, parts in by_every_way(program, parameters, rows):
                spoil(values, parts, j)
                yield values, parts

        with monkeypatch.context() as patch:
            patch.setattr(EachExample, "by_every_way", spoilt)
            try:
                ts.vectorize(cost, [w])(np.array([0.3, 0.4]))
            except TraceError:
                found.append(j)
    return found


def _spoil_value(values, parts, j):
    values[j] += 1.0


def _spoil_derivative(values, parts, j):
    parts[0][j, 0] += 1.0


@pytest.mark.parametrize("spoil", [_spoil_value, _spoil_derivative])
def test_every_output_and_its_derivatives_are_compared(spoil, monkeypatch):
    assert _refused_outputs(spoil, monkeypatch) == [*range(40)]


def test_of_outputs_that_take_long_all_values_and_the_derivatives_of_some_are_compared(monkeypatch):
    monkeypatch.setattr(first_call, "MOST_PASSED", 0)
    assert _refused_outputs(_spoil_value, monkeypatch) == [*range(40)]
    some = _refused_outputs(_spoil_derivative, monkeypatch)
    assert len(some) == first_call.FEW_OUTPUTS
    assert some[-1] == 39
    assert max(np.diff([-1, *some])) < 20


@pytest.mark.parametrize("spoil", [_spoil_value, _spoil_derivative])
def test_values_of_each_example_are_compared_with_what_the_trace_gave(spoil, monkeypatch):
    w, by_every_way, compared = Value(0.5), EachExample.by_every_way, []

    def noted(program, parameters, rows):
        compared.append(float(rows[0][0, 0]))
        return by_every_way(program, parameters, rows)

    def spoilt(program, parameters, rows):
        for values, parts in by_every_way(program, parameters, rows):
            spoil(values, parts, 0)
            yield values, parts

    run = ts.vectorize(lambda x: ts.tanh(w * x), [w], reduce=None)
    with monkeypatch.context() as patch:
        patch.setattr(EachExample, "by_every_way", noted)
        patch.setattr(first_call, "called", None)  # the function does not run again
        run(np.array([1.0, 2.0, 3.0]))
    assert sorted(compared) == [2.0, 3.0]
    monkeypatch.setattr(EachExample, "by_every_way", spoilt)
    with pytest.raises(TraceError, match="but the function itself gives"):
        ts.vectorize(lambda x: ts.tanh(w * x), [w], reduce=None)(np.array([1.0, 2.0, 3.0]))


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
    """Whether it runs because something died: a finalizer, or what takes it out of a weak set or dictionary."""
    while frame is not None and frame.f_code.co_filename not in (weakref.__file__, _weakrefset.__file__):
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

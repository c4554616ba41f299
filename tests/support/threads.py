"""Calls on several threads: how many, the bits of their results, and interruptions by a signal."""

import contextlib
import gc
import importlib
import signal
import threading

import numpy as np
import pytest

THREADS = [1, 2, 3]


def native_threads():
    return importlib.import_module("tinygrad_scalar.vectorize._threads")


@contextlib.contextmanager
def using(n):
    native_threads().use_threads(n)
    try:
        yield
    finally:
        native_threads().use_threads(None)


def bits(result):
    value, gradient, inputs = result
    return np.asarray(value).tobytes(), gradient.tobytes(), [array.tobytes() for array in inputs]


class Interruption(Exception):  # noqa: N818  (as KeyboardInterrupt, which would end pytest)
    pass


@contextlib.contextmanager
def interrupted_after(seconds):
    def handler(number, frame):
        raise Interruption

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


timers = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers")


# --- laws of any executor's `run(rows)` -------------------------------------------------------------------------------


def require_right_after_interruptions(run, rows, n):
    with using(n):
        expected = bits(run(rows))
        for seconds in (1e-5, 1e-4, 5e-4, 1e-3, 5e-3):
            with pytest.raises(Interruption), interrupted_after(seconds):
                while True:
                    assert bits(run(rows)) == expected
            assert bits(run(rows)) == expected


def require_right_within_a_signal_handler(run, rows):
    """The handler calls what it interrupts."""
    with using(3):
        expected = bits(run(rows))
        require_right_while_handled(run, rows, lambda: bits(run(rows)) == expected)


def require_right_while_handled(run, rows, is_right, seconds=1e-4):
    """Each call has the same bits, and so has what a signal handler does in its middle."""
    seen, expected = [], bits(run(rows))
    before = signal.signal(signal.SIGALRM, lambda number, frame: seen.append(is_right()))
    try:
        while len(seen) < 10:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            assert bits(run(rows)) == expected
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
    assert all(seen)


def require_right_within_a_finalizer(run, rows, others, times):
    """A finalizer calls what it interrupts, for these rows and for others."""
    expected, of_others, seen = bits(run(rows)), bits(run(others)), []

    class Last:
        def __init__(self):
            self.itself = self

        def __del__(self):
            seen.append(bits(run(others)) == of_others and bits(run(rows)) == expected)

    before = gc.get_threshold()
    gc.set_threshold(1)
    try:
        with using(2):
            for _ in range(times):
                Last()
                assert bits(run(rows)) == expected
    finally:
        gc.set_threshold(*before)
    gc.collect()
    assert seen == [True] * times


def require_right_side_by_side(calls, times):
    """Each of the (run, rows) in a Python thread of its own."""
    expected, wrong = [bits(run(rows)) for run, rows in calls], []

    def work(k):
        run, rows = calls[k]
        for _ in range(times):
            if bits(run(rows)) != expected[k]:
                wrong.append(k)

    with using(3):
        workers = [threading.Thread(target=work, args=(k,)) for k in range(len(calls))]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert not wrong

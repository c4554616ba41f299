"""Calls on several threads: how many, the bits of their results, and interruptions by a signal."""

import contextlib
import importlib
import signal

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

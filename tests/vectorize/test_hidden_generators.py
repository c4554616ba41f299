"""A draw from a NumPy generator is seen however the function finds it: by a computed name, in a cache, by a proxy."""

import functools
import operator
import sys
import threading
import types
import weakref
from contextvars import ContextVar

import numpy as np
import pytest
from support.processes import alone

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine.errors import TraceError

X = np.array([0.5, 1.0, 2.0])
w = Value(0.5, "w")
hidden = np.random.default_rng(0)
name = "generator"


class Thing:
    pass


class Proxy:
    def __init__(self):
        object.__setattr__(self, "inner", {"generator": np.random.default_rng(0)})

    def __getattr__(self, name):
        return object.__getattribute__(self, "inner")[name]


class Slotted:
    __slots__ = ("generator",)


class Meta(type):
    @property
    def generator(cls):
        return cls._generator


class OfAClass(metaclass=Meta):
    _generator = np.random.default_rng(0)


@functools.cache
def cached():
    return np.random.default_rng(0)


def drawing():
    generator = np.random.default_rng(0)
    while True:
        yield generator.random()


thing, other, slotted, proxy, local = Thing(), Thing(), Slotted(), Proxy(), threading.local()
thing.generator, slotted.generator, local.generator = (np.random.default_rng(0) for _ in range(3))
other.state = np.random.RandomState(0)
thing.parts = [{"of it": [Thing()]}]
thing.parts[0]["of it"][0].generator = np.random.default_rng(0)
context = ContextVar("context")
context.set(np.random.default_rng(0))
reference = weakref.ref(thing)
module = types.ModuleType("module_with_a_generator")
module.generator = np.random.default_rng(0)
sys.modules[module.__name__] = module
functions = {"draw": lambda: hidden.random()}
stream = drawing()


WAYS = {
    "vars": lambda: vars(thing)["generator"].random(),
    "__dict__": lambda: thing.__dict__["generator"].random(),
    "getattr": lambda: getattr(thing, name).random(),
    "getattr of a slot": lambda: getattr(slotted, name).random(),
    "globals": lambda: globals()["hidden"].random(),
    "eval": lambda: eval("hidden.random()"),
    "in containers": lambda: thing.parts[0]["of it"][0].generator.random(),
    "in a cache": lambda: cached().random(),
    "of a thread": lambda: local.generator.random(),
    "of a context": lambda: context.get().random(),
    "weak reference": lambda: reference().generator.random(),
    "proxy": lambda: proxy.generator.random(),
    "property of a class": lambda: OfAClass.generator.random(),
    "attrgetter": lambda: operator.attrgetter(name)(thing).random(),
    "methodcaller": lambda: operator.methodcaller("random")(vars(thing)["generator"]),
    "sys.modules": lambda: sys.modules["module_with_a_generator"].generator.random(),
    "__import__": lambda: __import__("module_with_a_generator").generator.random(),
    "in a function of a dict": lambda: functions["draw"](),
    "in a generator function": lambda: next(stream),
    "RandomState": lambda: vars(other)["state"].rand(),
    "bits": lambda: vars(thing)["generator"].bit_generator.random_raw() / 2**64,
}


# In processes of their own, because the collector does not tell of the objects that conftest.py froze, and takes long
# to go through all the others there.


def _refusals(times):
    """The message about a function that draws, several times for each way to draw."""
    refusals = {}
    for way, draw in WAYS.items():
        for _ in range(times):
            try:
                ts.vectorize(lambda x, draw=draw: w * x * (0.0 if draw() < 1e-3 else 1.0), [w])(X)
            except TraceError as error:
                refusals.setdefault(way, []).append(str(error))
    return refusals


@pytest.fixture(scope="module")
def times(thorough):
    return 5 if thorough else 2


@pytest.fixture(scope="module")
def refusals(times):
    return alone(_refusals, times)


@pytest.mark.parametrize("way", WAYS)
def test_a_draw_is_seen_however_the_generator_is_found(refusals, way, times):
    assert len(refusals[way]) == times
    for words in refusals[way]:
        assert "the function drew from a numpy.random." in words


def _while_another_thread_draws():
    stop, generator = threading.Event(), np.random.default_rng(0)

    def draw():
        while not stop.is_set():
            generator.random(100)

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        for _ in range(5):
            ts.vectorize(lambda x: getattr(w, "__mul__")(x), [w])(X)  # noqa: B009
    finally:
        stop.set()
        thread.join()


def test_what_another_thread_draws_is_not_the_functions():
    alone(_while_another_thread_draws)


def test_a_generator_that_is_seeded_in_the_function_is_no_harm():
    def cost(x):
        generator = getattr(np.random, "default_rng")(0)  # noqa: B009
        return w * x * generator.random()

    ts.vectorize(cost, [w])(X)

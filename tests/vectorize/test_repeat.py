"""A function that draws, counts or reads a clock is refused, always: the program would hold one result for ever."""

import datetime
import itertools
import math
import os
import random
import secrets
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import random as drawn

import numpy as np
import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine.errors import TraceError

X = np.array([0.5, 1.0, 2.0])
w = Value(0.5, "w")
POOL = ThreadPoolExecutor(1)
POOL.submit(int).result()


@pytest.fixture
def times(thorough):
    """How often to try what must not depend on luck."""
    return 20 if thorough else 4


class Net:
    """Its draws are rare: each takes the path that the check would have to meet by luck once in a thousand runs."""

    def __init__(self):
        self.numpy, self.python = np.random.default_rng(), random.Random()
        self.bound = self.numpy.random
        self.many = {"of them": [np.random.RandomState()]}


net = Net()


def in_a_thread(x):
    found = []
    thread = threading.Thread(target=lambda: found.append(random.random()))
    thread.start()
    thread.join()
    return w * x * rarely(found[0])


def rarely(number):
    return 0.0 if number < 1e-3 else 1.0


DRAWS = {
    "random": lambda x: w * x * rarely(random.random()),
    "by its name": lambda x: w * x * rarely(drawn()),
    "gauss": lambda x: w * x * rarely(abs(random.gauss(0, 1))),
    "choice": lambda x: w * x * random.choice([1.0] * 999 + [0.0]),
    "without effect": lambda x: random.shuffle([1, 2]) or w * x,
    "seeded from the system": lambda x: random.seed() or w * x * rarely(random.random()),
    "Random": lambda x: w * x * rarely(random.Random().random()),
    "of an attribute": lambda x: w * x * rarely(net.python.random()),
    "SystemRandom": lambda x: w * x * rarely(random.SystemRandom().random()),
    "secrets": lambda x: w * x * float(secrets.randbelow(1000) > 0),
    "urandom": lambda x: w * x * float(os.urandom(2) != b"00"),
    "uuid4": lambda x: w * x * float(uuid.uuid4().int % 1000 > 0),
    "numpy": lambda x: w * x * rarely(np.random.rand()),
    "numpy's pairs": lambda x: w * x * rarely(abs(np.random.normal())),
    "numpy seeded anew": lambda x: np.random.seed() or w * x * rarely(np.random.rand()),
    "generator": lambda x: w * x * rarely(net.numpy.random()),
    "bound method": lambda x: w * x * rarely(net.bound()),
    "in containers": lambda x: w * x * rarely(net.many["of them"][0].rand()),
    "made inside": lambda x: w * x * rarely(np.random.default_rng().random()),
    "default": lambda x, generator=np.random.default_rng(): w * x * rarely(generator.random()),  # noqa: B008
    "in a thread": in_a_thread,
    "time": lambda x: w * x * rarely(time.time() % 1.0),
    "counter of time": lambda x: w * x * rarely(time.perf_counter() % 1.0),
    "now": lambda x: w * x * float(datetime.datetime.now().microsecond % 1000 > 0),
    "read": lambda x: w * x * len(Path(__file__).read_text(encoding="utf-8")),
}


@pytest.mark.parametrize("name", DRAWS)
def test_a_function_that_draws_is_refused_however_rarely_it_matters(name, times):
    for _ in range(times):
        with pytest.raises(TraceError, match=r"the function (called|drew from) .* Pass random numbers"):
            ts.vectorize(DRAWS[name], [w])(X)


def counter():
    count = 0

    def cost(x):
        nonlocal count
        count += 1
        return w * x if count % 20 else w * x * x

    return cost


class Counter:
    def __init__(self):
        self.calls = 0

    def __call__(self, x):
        self.calls += 1
        return w * x * float(self.calls % 20 > 0)


def iterator():
    numbers = itertools.cycle([1.0] * 20 + [2.0])
    return lambda x: w * x * next(numbers)


def emptied():
    numbers = [1.0] * 100 + [2.0] * 20
    return lambda x: w * x * numbers.pop()


def in_an_array():
    calls = np.zeros(1)

    def cost(x):
        calls[0] += 1
        return w * x * float(calls[0] % 20 > 0)

    return cost


def in_a_row_of_a_table():
    table = [[1.0, 2.0], (3.0,), [0]]

    def cost(x):
        table[-1][0] += 1
        return w * x * float(table[-1][0] % 20 > 0)

    return cost


def in_a_dict_in_a_dict():
    settings = {"a": 1.0, "b": {"calls": 0, "c": {}}}

    def cost(x):
        settings["b"]["calls"] += 1
        return w * x * float(settings["b"]["calls"] % 20 > 0)

    return cost


def by_another_thread():
    return lambda x: w * x * float(POOL.submit(lambda: random.random()).result() > 0.2)


def in_order_of_addresses():
    def cost(x):
        first, second, third, *_ = {Value(float(k)) for k in range(1000)}  # one alone can be the same by chance
        return w * x * (first + 1e3 * second + 1e6 * third)

    return cost


def in_order_of_addresses_in_a_large_graph():
    def cost(x):
        total = w * x
        for _ in range(200):
            total = sum([v * x for _ in range(80) for v in {w * float(k) for k in range(3)}], total)
        return total

    return cost


def by_address():
    return lambda x: w * x * (id(x * 2.0) // 16 % 5)


@pytest.mark.parametrize(
    "make",
    [
        counter,
        Counter,
        iterator,
        emptied,
        in_an_array,
        in_a_row_of_a_table,
        in_a_dict_in_a_dict,
        by_another_thread,
        in_order_of_addresses,
        in_order_of_addresses_in_a_large_graph,
        by_address,
    ],
)
def test_a_function_that_changes_from_call_to_call_is_refused(make, times):
    for _ in range(times):
        with pytest.raises(TraceError):
            ts.vectorize(make(), [w])(X)


def test_the_error_names_the_line_and_what_was_drawn():
    with pytest.raises(TraceError, match=r"test_repeat\.py:\d+: .*: the function called Random\.random\(\) while"):
        ts.vectorize(DRAWS["random"], [w])(X)


def seeded(x):
    random.seed(0)
    return w * x * random.random()


def seeded_numpy(x):
    np.random.seed(0)
    return w * x * np.random.normal()


calls = []
nans = itertools.cycle([math.nan, -math.nan])  # Python itself varies the sign of nan + 1
STEADY = {
    "its own seed": lambda x: w * x * random.Random(0).random(),
    "its own seed in numpy": lambda x: w * x * np.random.default_rng(0).normal(),
    "seeded": seeded,
    "seeded numpy": seeded_numpy,
    "a log of its calls": lambda x: calls.append(1.0) or w * x,
    "nan": lambda x: w * x + next(nans),
    "sleep": lambda x: time.sleep(0) or w * x,
    "print": lambda x: print(end="") or w * x,
    "a generator that it does not use": lambda x: w * x if net.numpy is not None else x,
}


@pytest.mark.parametrize("name", STEADY)
def test_a_function_that_is_the_same_each_time_is_taken(name, times):
    for _ in range(times):
        ts.vectorize(STEADY[name], [w])(X)


@pytest.mark.thorough
def test_what_other_threads_draw_meanwhile_is_no_matter(times):
    stop = threading.Event()

    def draw():
        while not stop.wait(1e-4):  # many times in each run, and without keeping the interpreter to itself
            random.random()
            np.random.rand()
            time.time()

    threads = [threading.Thread(target=draw) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(times):
            ts.vectorize(lambda x: sum((w * x for _ in range(500)), Value(0.0)), [w])(X)
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("probability", [0.2, 0.01])
def test_fit_trains_a_network_with_randomness_scalar_by_scalar_and_says_why(probability):
    for seed in range(10):
        inner = ts.MLP(1, [2, 1], seed=seed)

        class Skipping:
            parameters = inner.parameters

            def __call__(self, x, inner=inner):
                return inner(x) if random.random() > probability else inner.parameters()[0] * x

        with pytest.warns(UserWarning, match=r"scalar by scalar.*called Random\.random\(\)"):
            ts.fit(Skipping(), [0.0, 1.0], [0.0, 1.0], epochs=1, progress=False)

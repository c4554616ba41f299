"""A function is watched unless all that it reaches is known to compute and nothing else; it then runs once, if it also
cannot tell addresses and changes nothing that it reads.
"""

import contextlib
import functools
import importlib
import itertools
import math
import operator
import random
import time
import types

import numpy as np
import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine.errors import TraceError
from tinygrad_scalar.vectorize import repeat
from tinygrad_scalar.vectorize.can_draw import can_draw, repeats
from tinygrad_scalar.vectorize.compiled import Compiled
from tinygrad_scalar.vectorize.reach import Reach

w, W, TABLE, ARRAY = Value(0.5, "w"), [Value(1.0), Value(2.0)], [[1.0, 2.0], [3.0]], np.ones((2, 2))


class Plain:
    scale = 2.0

    def __init__(self):
        self.weights, self.order = W, (1, 0)

    def __call__(self, x):
        return self.total(x) * self.half

    def total(self, x):
        return sum(p * x for p in self.weights)

    @property
    def half(self):
        return self.scale / 2.0

    @staticmethod
    def twice(x):
        return 2.0 * x


plain = Plain()
push = [].append


def choose(x, operations=(operator.add, operator.mul, lambda p, _: ts.tanh(p))):
    nodes = [w, x]
    for kind in range(3):
        nodes.append(operations[kind](nodes[-1], nodes[len(nodes) // 2]))
    return max(nodes, key=lambda node: 1.0) if len(nodes) < 2 else nodes[-1]


COMPUTING = {
    "arithmetic": lambda x: w * x - 2.0 / x,
    "our functions": lambda x: ts.where(ts.greater(x, 0.0), ts.exp(x), ts.max([x, w])),
    "its methods": lambda x: x.tanh() + ts.lookup(W, 1).exp(),
    "functions in a list": choose,
    "reduce": lambda x: functools.reduce(ts.maximum, [p * x for p in W]),
    "itertools and math": lambda x: sum(math.sin(1.0) * a * b for a, b in itertools.pairwise([x, *W])),
    "tables and arrays": lambda x: w * x * TABLE[1][0] * float(ARRAY[0, 1]) * ARRAY.shape[0],
    "a method": plain.total,
    "an object": plain,
    "a static method": lambda x: plain.twice(x),
    "a partial": functools.partial(operator.mul, w),
    "a bound method of a list": lambda x: push(1.0) or w * x,
    "an error": lambda x: w * x if W else ValueError(f"{W!r}"),
}


class Noisy(Value):
    def __mul__(self, other):
        return self + other * random.random()


class Stamped:
    @property
    def seen(self):
        return 1.0

    @seen.setter
    def seen(self, _):
        random.random()

    def __repr__(self):
        return str(random.random())

    def __getattr__(self, name):
        return random.random()

    def __call__(self, x):
        return w * x * time.time()


class Timed:
    def __init__(self):
        self.now = time.time()


class Holder:
    draw = random.random

    def __init__(self):
        self.inside = {"of a dict": [(random.random,)]}


class Described:
    class Drawn:
        def __get__(self, *_):
            return random.random()

    number = Drawn()


class Deleted:
    def __del__(self):
        draws.append(1.0)


noisy, stamped, holder, described, deleted = Noisy(1.0), Stamped(), Holder(), Described(), [Deleted()]
draws = [random.random]
drawn_by = random.Random().random


def other_builtins():
    names = {"__builtins__": {"sum": lambda x: sum(x) * random.random()}, "w": w}
    return eval("lambda x: w * sum([x])", names)


def sets(x):
    stamped.seen = 1.0
    return w * x


def imports(x):
    import secrets

    return w * x * secrets.randbelow(10)


def frames(x):
    return w * x * (1.0 for _ in "a").gi_frame.f_globals["draws"][0]()


module = types.ModuleType("module")
module.__getattr__ = lambda name: random.random()
fields = np.array([(random.random, 1.0)], [("draw", object), ("number", float)])

DRAWING = {
    "a module's attributes that are computed": lambda x: w * x * module.data,
    "a field of an array": lambda x: w * x * fields[0][0](),
    "a function": lambda x: w * x * random.random(),
    "an alias": lambda x: w * x * drawn_by(),
    "in a list": lambda x: w * x * draws[0](),
    "by another function": lambda x: w * x * next(f() for f in draws),
    "by attrgetter": lambda x: w * x * operator.attrgetter("random")(random)(),
    "in a class": lambda x: w * x * holder.draw(),
    "in a dict in an object": lambda x: w * x * holder.inside["of a dict"][0][0](),
    "a default": lambda x, f=random.random: w * x * f(),
    "a partial": functools.partial(lambda f, x: w * x * f(), random.random),
    "a closure": (lambda f: lambda x: w * x * f())(random.random),
    "a subclass of Value": lambda x: noisy * x,
    "a setter": sets,
    "a representation": lambda x: w * x * len(f"{stamped!r}"),
    "attributes that are computed": lambda x: w * x * stamped.anything,
    "an object": stamped,
    "a new object": lambda x: w * x * Timed().now,
    "a descriptor": lambda x: w * x * described.number,
    "a destructor": lambda x: w * x * float(deleted.append(deleted.pop()) is None),
    "a format": lambda x: w * x * float(str.format("{.number}", described)),
    "other builtins": other_builtins(),
    "an import": imports,
    "a frame": frames,
    "a dunder": lambda x: w * x * plain.__class__.__init__.__globals__["draws"][0](),
    "a cached function": functools.lru_cache(lambda x: w * x),
    "a module made anew": types.SimpleNamespace(cost=lambda x: w * x * draws[0]()).cost,
    "a computed name": lambda x: w * x * getattr(random, "ran" + "dom")(),
    "a module by its name": lambda x: w * x * importlib.import_module("random").random(),
    "an iterator": lambda x, numbers=iter(W): w * x * next(numbers),  # noqa: B008
    "addresses": lambda x: w * x * (id(x) % 7),
    "a file": lambda x: w * x * len(open("nowhere").read()),  # noqa: SIM115
    "NumPy": lambda x: w * x * np.random.rand(),
    "a generator": lambda x, generator=np.random.default_rng(): w * x * generator.random(),  # noqa: B008
}


@pytest.mark.parametrize("name", COMPUTING)
def test_what_only_computes_is_not_watched(name):
    assert not can_draw(Reach(COMPUTING[name]))


@pytest.mark.parametrize("name", DRAWING)
def test_whatever_may_draw_is_watched(name):
    assert can_draw(Reach(DRAWING[name]))


class Named:
    def __init__(self):
        self._time, self.ctypes = 1.0, 2.0


named, counts, numbers, settings, seen = Named(), [], [1.0], {"scale": 2.0}, {1.0}


def counting(x, calls=[0]):  # noqa: B006
    calls[0] += 1
    return w * x * calls[0]


def remembering(x):
    settings[len(settings)] = 1.0
    return w * x * len(settings)


def in_turn(x):
    numbers.append(numbers.pop(0) + 1.0)
    return w * x * numbers[0]


def of_a_global(x):
    global number_of_calls
    number_of_calls += 1
    return w * x * number_of_calls


def of_a_closure():
    calls = 0

    def cost(x):
        nonlocal calls
        calls += 1
        return w * x * calls

    return cost


number_of_calls = 0
BY_ADDRESS = {
    "a set": lambda x: sorted({w * x, w + x}, key=lambda _: 0.0)[0],
    "a set comprehension": lambda x: sum(y for y in {p * x for p in W}),
    "set": lambda x: sum(set(map(x.__mul__, W))),
    "frozenset": lambda x: sum(frozenset(map(w.__mul__, [x]))),
    "keys": lambda x: sum({p * x: p for p in W}.keys() | W),
    "union": lambda x: w * sum(seen.union([x])),
    "a text": lambda x: w * x * len(f"{[lambda: 0]}"),
    "str": lambda x: w * x * len(str(lambda: 0)),
    "a percent sign": lambda x: w * x * len("%r" % (lambda: 0)),
    "the time of a Value": lambda x: w * x * (named._time + (w * x)._time),
    "the memory of an array": lambda x: w * x * (named.ctypes + ARRAY.copy().ctypes.data),
}
CHANGING = {
    "a default": counting, "a dict": remembering, "a list": in_turn, "a global": of_a_global,
    "a closure": of_a_closure(), "a bound method": COMPUTING["a bound method of a list"],
}  # fmt: skip


def runs_of_a_first_call(cost, monkeypatch):
    runs, traced = [], repeat.trace
    monkeypatch.setattr(repeat, "trace", lambda *given, **options: runs.append(1) or traced(*given, **options))
    with contextlib.suppress(TraceError):
        ts.vectorize(cost, [w])(np.array([0.5, 2.0, 3.0]))
    return len(runs)


@pytest.mark.parametrize("name", sorted(COMPUTING.keys() - {"an error", "a bound method of a list"}))
def test_what_only_computes_runs_once_in_a_first_call(name, monkeypatch):
    assert repeats(Reach(COMPUTING[name]))
    assert runs_of_a_first_call(COMPUTING[name], monkeypatch) == 1


@pytest.mark.parametrize("name", CHANGING)
def test_what_changes_something_that_it_reads_runs_more_than_once(name, monkeypatch):
    assert repeats(Reach(CHANGING[name]))
    assert runs_of_a_first_call(CHANGING[name], monkeypatch) > 1


@pytest.mark.parametrize("name", sorted(CHANGING.keys() - {"a bound method"}))
def test_a_number_that_a_plain_function_changes_for_its_next_run_is_not_frozen(name):
    with pytest.raises(TraceError, match="not the same each time"):
        ts.vectorize(CHANGING[name], [w])(np.array([0.5, 2.0, 3.0]))


@pytest.mark.parametrize("name", BY_ADDRESS)
def test_what_can_tell_an_address_or_a_time_runs_more_than_once(name):
    assert not repeats(Reach(BY_ADDRESS[name]))


def test_a_run_that_is_enough_is_compared_on_two_examples(monkeypatch):
    compared, by_every_way = [], Compiled.by_every_way

    def noted(program, parameters, rows):
        compared.append(float(rows[0][0, 0]))
        return by_every_way(program, parameters, rows)

    monkeypatch.setattr(Compiled, "by_every_way", noted)
    cost = COMPUTING["arithmetic"]
    ts.vectorize(cost, [w])(np.array([0.5, 2.0, 3.0]))
    assert sorted(compared) == [2.0, 3.0]


def test_the_second_example_leaves_a_captured_result_that_is_out_of_date_as_it_is():
    v = Value(2.0)
    shared, twice = v * 3.0, lambda x: w * x * shared
    v.data = 5.0
    with contextlib.suppress(ValueError):  # no matter what becomes of it
        ts.vectorize(twice, [w])(np.array([0.5, 2.0]))
    assert shared.data == 6.0

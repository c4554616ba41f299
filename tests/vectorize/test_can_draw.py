"""A function is watched unless all that it reaches is known to compute and nothing else."""

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
from tinygrad_scalar.vectorize.can_draw import can_draw
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

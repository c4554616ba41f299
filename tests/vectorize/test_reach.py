"""What a function can read is followed through whatever objects stand in between, and none of the users' code runs."""

import sys
import types
import weakref

import numpy as np
import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine.errors import TraceError

X = np.linspace(-1.0, 1.0, 5)


class Settings(dict):
    def __getattr__(self, name):
        return self[name]  # KeyError for a name that is not there


class Refusing:
    def __getattribute__(self, name):
        if name == "k":
            return 2.0
        raise RuntimeError(name)


class Endless:
    def __init__(self):
        object.__setattr__(self, "asked", [])

    def __getattr__(self, name):
        self.asked.append(name)
        return Endless()


class WithoutIteration(list):
    def __iter__(self):
        raise RuntimeError("iterated")


class Plain:
    k = 2.0


SETTINGS, REFUSING, ENDLESS, LIST = Settings(k=2.0), Refusing(), Endless(), WithoutIteration([2.0])
GONE = weakref.proxy(Plain())
OBJECTS = {
    "attributes that are keys": lambda: SETTINGS.k,
    "no attribute but one": lambda: REFUSING.k,
    "every attribute": lambda: 2.0 if ENDLESS else 0.0,
    "no iteration": lambda: LIST[0],
    "a proxy of what is gone": lambda: 2.0 if X is not None else GONE.k,
}


@pytest.mark.parametrize("name", OBJECTS)
def test_no_code_of_the_users_objects_runs_to_see_what_a_function_can_read(name):
    w, number = Value(0.5), OBJECTS[name]
    ENDLESS.asked.clear()  # pytest asks too
    value, gradient = ts.vectorize(lambda x: (w * x * number()) ** 2, [w])(X)
    assert value == pytest.approx(0.5)
    assert gradient == pytest.approx([2.0])
    assert ENDLESS.asked == []


class Drawing:
    """Draws in what syntax calls without a name."""

    def __init__(self):
        self.generator = np.random.default_rng(0)

    def draw(self, *_):
        return bool(self.generator.random() > 0.001)

    __getitem__ = __contains__ = __bool__ = __mul__ = __enter__ = __call__ = __lt__ = __get__ = draw

    def __exit__(self, *_):
        pass

    def __len__(self):
        return int(self.draw())

    def __iter__(self):
        yield self.draw()


class Described:
    k = Drawing()


DRAWING, DESCRIBED = Drawing(), Described()


def within():
    with DRAWING as k:
        return k


def counting():
    counting.calls += 1
    return counting.calls % 20


def imported():
    import module_that_draws

    return module_that_draws.generator.random() > 0.001


def imported_from():
    from module_that_draws import generator

    return generator.random() > 0.001


counting.calls = 0
SYNTAX = {
    "index": lambda: DRAWING[3],
    "in": lambda: 3 in DRAWING,
    "truth": lambda: bool(DRAWING),
    "operator": lambda: DRAWING * 3,
    "comparison": lambda: DRAWING < 3,
    "length": lambda: len(DRAWING),
    "iteration": lambda: next(iter(DRAWING)),
    "call": lambda: DRAWING(),
    "with": within,
    "descriptor": lambda: DESCRIBED.k,
    "attribute of a function": counting,
    "import": imported,
    "import from": imported_from,
}


@pytest.mark.parametrize("name", SYNTAX)
def test_a_draw_is_seen_wherever_syntax_leads_to_it(name, monkeypatch):
    module = types.ModuleType("module_that_draws")
    module.generator = np.random.default_rng(0)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    w, chosen = Value(0.5), SYNTAX[name]
    with pytest.raises(TraceError, match=r"numpy\.random\.Generator|not the same each time"):
        ts.vectorize(lambda x: w * x if chosen() else w, [w])(X)

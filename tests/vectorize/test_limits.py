"""The limits that docs/vectorize.md lists: when one of them falls, its test fails and the page has to change."""

import gc
import os
import queue
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import Value

w, b = Value(0.5, "w"), Value(0.1, "b")


class Answering:
    """An object that finds its attributes by itself."""

    def __init__(self):
        self.held = {"k": 1.0}

    def __getattr__(self, name):
        return self.__dict__["held"][name]


def by_a_computed_name():
    held, name = SimpleNamespace(k=1.0), "k"
    return lambda: getattr(held, str(name)), lambda: setattr(held, "k", 2.0)


def by_vars():
    held = SimpleNamespace(k=1.0)
    return lambda: vars(held)["k"], lambda: setattr(held, "k", 2.0)


def by_getattr_of_ones_own():
    held = Answering()
    return lambda: held.k, lambda: held.held.update(k=2.0)


def in_a_large_list():
    held = [1.0] * 129
    return lambda: held[0], lambda: held.__setitem__(0, 2.0)


def how_many_there_are():
    held = [1.0] * 129
    return lambda: len(held), lambda: held.append(2.0)


def in_a_large_array():
    held = np.ones(129)
    return lambda: float(held[0]), lambda: held.__setitem__(0, 2.0)


def in_the_environment():
    os.environ["TINYGRAD_SCALAR_TEST"] = "1"
    return lambda: float(os.environ["TINYGRAD_SCALAR_TEST"]), lambda: os.environ.update(TINYGRAD_SCALAR_TEST="2")


def behind_a_weak_reference():
    held = Answering()
    reference = weakref.ref(held)
    return lambda: reference().held["k"], lambda: held.held.update(k=2.0)


FIXED = [by_a_computed_name, by_vars, by_getattr_of_ones_own, in_a_large_list, how_many_there_are, in_a_large_array]
FIXED += [in_the_environment, behind_a_weak_reference]


@pytest.mark.parametrize("make", FIXED)
def test_what_the_page_calls_fixed_is_fixed(make, monkeypatch):
    monkeypatch.setenv("TINYGRAD_SCALAR_TEST", "1")
    read, change = make()
    run = ts.vectorize(lambda x: w * x * read(), [w])
    before = run([1.0])[0]
    change()
    assert run([1.0])[0] == before
    gc.collect()
    assert ts.vectorize(lambda x: w * x * read(), [w])([1.0])[0] != before


def test_an_iterator_that_gives_the_same_is_taken_to_give_it_for_ever():
    numbers = iter([1.0] * 200 + [2.0] * 200)
    run = ts.vectorize(lambda x: w * x * next(numbers), [w])
    assert run([1.0])[0] == 0.5
    for _ in numbers:
        pass
    assert run([1.0])[0] == 0.5


def test_membership_asks_for_the_object_with_vectorize_and_without():
    def function(x):
        return w * x * (2.0 if x in {1.0, 2.0} else 1.0)

    assert ts.vectorize(function, [w])([1.0])[0] == function(Value(1.0)).data == 0.5


def test_changes_in_an_object_of_c_code_are_seen_only_in_the_examples_of_the_check():
    def function(x):
        found = queue.SimpleQueue()
        s = ts.cond(ts.less(x, 0.0), lambda: found.put(1) or w * x, lambda: b * x)
        return s * (1.0 + found.qsize())

    with pytest.raises(ts.TraceError, match="but the function itself gives"):
        ts.vectorize(function, [w, b])([1.0, -2.0])


@pytest.mark.parametrize(
    "function",
    [
        lambda i: {0: w}.get(i, b),
        lambda i: w if i in {0} else b,
        lambda i: [w, b][len({i, 0}) - 1],
        lambda i: {0: w, 1: b}[i],
    ],
)
def test_an_integer_argument_is_not_looked_for_among_integers(function):
    """It is in no dict and no set, whichever integers there are: each example would get what the others get."""
    with pytest.raises(ts.TraceError, match=r"looked for in a dict, a set or a cache(.|\n)*ts.lookup\(table, i\)"):
        ts.vectorize(lambda i: function(i) * 2.0, [w, b])([5, 6, 0])

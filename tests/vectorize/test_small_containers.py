"""Small lists, arrays and other containers that a function reads can be changed between calls, their numbers too."""

import array
from collections import ChainMap, OrderedDict, UserDict, UserList, deque

import numpy as np
import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import Value

w = Value(0.5, "w")
X = [1.0, -2.0]


def set_to(key, number):
    return lambda held: held.__setitem__(key, number)


CHANGES = {
    "a number in a list": ([1.0, 2.0], lambda held: held[0], set_to(0, 3.0)),
    "a list's numbers at once": ([1.0, 2.0], lambda held: held[0], set_to(slice(None), [3.0, 4.0])),
    "a number more": ([1.0], sum, lambda held: held.append(2.0)),
    "a number less": ([1.0, 2.0], len, lambda held: held.pop()),
    "a number's sign": ([0.0], lambda held: ts.atan2(Value(held[0]), -1.0), set_to(0, -0.0)),
    "a number in a row": ([[1.0], [2.0, 3.0]], lambda held: held[1][0], lambda held: set_to(0, 5.0)(held[1])),
    "a row's length": ([[1.0], [2.0, 3.0]], lambda held: len(held[1]), lambda held: held[1].append(1.0)),
    "a number in a list in a dict": ({"k": [1.0]}, lambda held: held["k"][0], lambda held: set_to(0, 2.0)(held["k"])),
    "a number in a deque": (deque([1.0]), lambda held: held[0], set_to(0, 2.0)),
    "a number in an array": (np.ones(3), lambda held: float(held[1]), set_to(1, 2.0)),
    "an array in place": (np.ones((2, 2)), lambda held: float(held[1, 0]), lambda held: np.multiply(held, 3, out=held)),
    "an array's shape": (np.ones(4), lambda held: held.ndim, lambda held: setattr(held, "shape", (2, 2))),
    "a Value in an array": (np.array([w, Value(2.0)], object), lambda held: held[1], set_to(1, Value(4.0))),
    "bytes": (bytearray(2), lambda held: 1 + held[0], set_to(0, 4)),
    "a number in Python's array": (array.array("d", [1.0]), lambda held: held[0], set_to(0, 2.0)),
    "a UserDict": (UserDict(k=1.0), lambda held: held["k"], set_to("k", 2.0)),
    "a UserList": (UserList([1.0]), lambda held: held[0], set_to(0, 2.0)),
    "a ChainMap": (ChainMap({}, {"k": 1.0}), lambda held: held["k"], set_to("k", 2.0)),
    "the order of an OrderedDict": (
        OrderedDict(a=1.0, b=2.0), lambda held: next(iter(held.values())), lambda held: held.move_to_end("a"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("made", "read", "change"), CHANGES.values(), ids=CHANGES)
def test_what_a_small_container_holds_counts_in_the_next_call(made, read, change):
    held = made.copy() if isinstance(made, np.ndarray) else made
    runs = []

    def cost(x):
        runs.append(x)
        return w * x * read(held)

    run = ts.vectorize(cost, [w], reduce=None)
    for _ in range(2):
        np.testing.assert_array_equal(run(X)[0], [cost(Value(x)).data for x in X])
    before, count = run(X)[0], len(runs)
    run(X)
    assert len(runs) == count  # nothing is traced while nothing changes
    change(held)
    after = run(X)[0]
    np.testing.assert_array_equal(after, [cost(Value(x)).data for x in X])
    assert (after != before).any()


def test_the_numbers_of_a_large_list_or_array_are_fixed():
    """As the docstring of `vectorize` says: each call would have to look at all of them."""
    many, array = [1.0] * 200, np.ones(200)
    run = ts.vectorize(lambda x: w * x * many[0] * float(array[0]), [w])
    before = run(X)[0]
    many[0] = array[0] = 3.0
    assert run(X)[0] == before
    assert not run.numbers_held()

"""A side of ts.cond that changes something outside is refused if the change is ever read, however rare the side."""

import functools
import random

import numpy as np
import pytest
from support import changing_objects  # noqa: F401 - adds to READ
from support.changing_sides import RARE, READ, UNREAD, w

import tinygrad_scalar as ts
from tinygrad_scalar import TraceError, Value
from tinygrad_scalar.vectorize import branches, independent_sides
from tinygrad_scalar.vectorize.effects import Surroundings


@pytest.mark.parametrize("reduce", ["mean", None])
@pytest.mark.parametrize("name", READ)
def test_a_side_that_changes_what_is_read_outside_is_refused(name, reduce):
    with pytest.raises(TraceError, match=r"a side of ts.cond must not change anything outside(.|\n)*`then` changed"):
        ts.vectorize(READ[name], [w], reduce=reduce)(RARE)
    with pytest.raises(TraceError, match=r"a side of ts.cond must not change anything outside"):
        ts.vectorize(READ[name], [w], reduce=reduce)([-1.0])  # which all take that side


@pytest.mark.parametrize("name", UNREAD)
def test_a_side_may_change_what_nobody_reads(name):
    X = np.array([-3.0, 1.0, 2.0, -1.0])
    costs = [UNREAD[name](Value(x)).data for x in X]
    value, _ = ts.vectorize(UNREAD[name], [w], reduce=None)(X)
    np.testing.assert_allclose(value, costs, rtol=1e-12)


@pytest.mark.parametrize("name", [*READ, *UNREAD])
def test_large_graphs_are_compared_by_a_fingerprint_with_the_same_result(name, monkeypatch):
    monkeypatch.setattr(independent_sides, "LARGE", 0)
    if name in READ:
        with pytest.raises(TraceError, match=r"a side of ts.cond must not change anything outside"):
            ts.vectorize(READ[name], [w])(RARE)
    else:
        test_a_side_may_change_what_nobody_reads(name)


def test_parameters_are_told_apart_where_their_numbers_are_equal():
    """Biases start at 0."""
    first, second = Value(0.0), Value(0.0)

    def turned(x):
        pair = [first, second]
        ts.cond(ts.less(x, 0), lambda: pair.reverse() or x, 0.0)
        return pair[0] * x + pair[1]

    def looked_up(x, k):
        rows = [first, second]
        ts.cond(ts.less(x, 0), lambda: rows.reverse() or x, 0.0)
        return ts.cond(ts.less(x, 5), lambda: ts.lookup(rows, k) * x, lambda: ts.lookup([second, first], k))

    with pytest.raises(TraceError, match=r"`then` changed the list pair"):
        ts.vectorize(turned, [first, second])([-1.0])
    with pytest.raises(TraceError, match=r"`then` changed the list rows"):
        ts.vectorize(looked_up, [first, second])([-1.0, -2.0], [0, 1])


def test_lookups_and_their_guards_are_the_same_in_either_order_of_the_sides():
    rows = [Value(0.5), Value(-1.0), Value(0.5)]

    def function(x, k, j):
        def of(i):
            return lambda: ts.lookup(rows, i) * x

        both = ts.cond(ts.less(x, 1), of(k), lambda: ts.cond(ts.less(x, 2), of(j), of(k)))
        return ts.cond(ts.less(x, 3), lambda: both * ts.lookup(rows, j), of(j))

    X, K, J = np.array([0.5, 1.5, 2.5, 3.5]), np.array([0, 1, 2, 1]), np.array([2, 0, 1, 1])
    value, _ = ts.vectorize(function, rows, reduce=None)(X, K, J)
    of_x = [rows[k].data if x < 1 or x >= 2 else rows[j].data for x, k, j in zip(X, K, J)]
    costs = [a * x * rows[j].data if x < 3 else rows[j].data * x for a, x, j in zip(of_x, X, J)]
    np.testing.assert_allclose(value, costs, rtol=1e-12)


def test_the_error_names_what_was_changed_and_where():
    with pytest.raises(TraceError, match=r"changing_sides.py:\d+: .*ts.cond\(.*: `then` changed the list found"):
        ts.vectorize(READ["an_appended_value"], [w])(RARE)
    with pytest.raises(TraceError, match=r"`then` changed factor"):
        ts.vectorize(READ["a_nonlocal_variable"], [w])(RARE)


def test_a_side_cannot_set_a_value_that_was_made_outside_of_it():
    def function(x):
        kept = Value(2.0, "kept")

        def rare():
            own = Value(1.0)
            own.data = 4.0
            kept.data = own.data
            return x * own

        return w * ts.cond(ts.less(x, 0), rare, 0.0) * kept

    with pytest.raises(TraceError, match=r"test_effects.py:\d+: kept.data = own.data: kept was set while vectorize"):
        ts.vectorize(function, [w])([-1.0])


def test_a_draw_in_a_side_is_refused_however_rare_the_side():
    with pytest.raises(TraceError, match=r"the function called Random\.random\(\)"):
        ts.vectorize(lambda x: ts.cond(ts.less(x, 0), lambda: w * random.random(), lambda: w * x), [w])(RARE)


@pytest.mark.parametrize(
    ("raises", "error"),
    [(lambda: 1 / 0, "ZeroDivisionError: division by zero"), (lambda: [w][1], "IndexError: list index out of range")],
)
def test_an_error_in_a_side_names_the_side_and_what_to_do(raises, error):
    with pytest.raises(TraceError, match=rf"test_effects.py:\d+: .*the side `then` of ts.cond raised {error}\. .* use"):
        ts.vectorize(lambda x: ts.cond(ts.less(x, 0), raises, lambda: w * x), [w])(RARE)
    with pytest.raises(TraceError, match=r"the side `otherwise` of ts.cond raised"):
        ts.vectorize(lambda x: ts.cond(ts.less(0, x), lambda: w * x, lambda: w * raises()), [w])(RARE)


def test_an_error_in_the_side_that_an_example_takes_is_its_own():
    with pytest.raises(ZeroDivisionError):
        ts.vectorize(lambda x: ts.cond(ts.less(0, x), lambda: w / 1 * (1 / 0), lambda: w * x), [w])(RARE)


def test_the_sides_of_a_loop_are_looked_through_once(monkeypatch):
    made = []
    monkeypatch.setattr(branches, "Surroundings", lambda side: made.append(side) or Surroundings(side))

    def step(s, pair):
        return ts.cond(ts.less(s, pair[0]), lambda: s * w, lambda s=s: s + pair[1])

    ts.vectorize(lambda x: functools.reduce(step, [[Value(0.1 * k), w] for k in range(50)], x), [w])(RARE)
    assert len(made) == 2


def test_what_many_sides_share_is_looked_at_only_so_often(monkeypatch):
    made = []
    monkeypatch.setattr(branches, "Surroundings", lambda side: made.append(Surroundings(side)) or made[-1])
    monkeypatch.setattr(branches, "MOST_ELEMENTS", 1_000_000)
    weights = [Value(0.1) for _ in range(20_000)]

    def function(x):
        return sum(ts.cond(ts.less(x, k), lambda k=k: weights[k] * x, lambda: x) for k in range(300))

    value, _ = ts.vectorize(function, weights)(RARE[:8])
    np.testing.assert_allclose(value, np.mean([function(Value(x)).data for x in RARE[:8]]), rtol=1e-12)
    assert 1 < len(made) <= 2 + 2 * branches.MOST_ELEMENTS // len(weights)


def test_the_last_of_many_sides_is_looked_at_too():
    weights = [Value(0.1) for _ in range(300)]

    def function(x):
        found = [x]
        for k in range(4000):
            ts.cond(ts.less(x, 0), lambda k=k: (found.append(w) if k == 3999 else None) or weights[0], 0.0)
        return w * found[-1]

    with pytest.raises(TraceError, match=r"`then` changed the list found"):
        ts.vectorize(function, [w])([-1.0])

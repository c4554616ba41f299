"""`group`: what is made within a block belongs to it, and stays there whatever happens to it afterwards."""

import copy
import pickle
import threading

import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import Value, detect_anomaly
from tinygrad_scalar.engine import group_of, record, weighted_sum
from tinygrad_scalar.engine.errors import AnomalyError
from tinygrad_scalar.engine.graph import topological_order


def name_of(value):
    group = group_of(value)
    return group and group.name


MADE = {
    "+": lambda x: x + 1,
    "*": lambda x: x * x,
    "-": lambda x: 1 - x,
    "unary": lambda x: x.tanh(),
    "power": lambda x: x**2,
    "piecewise": lambda x: ts.maximum(x, 0),
    "relu": lambda x: ts.relu(x),
    "where": lambda x: ts.where(ts.greater(x, 0), x, 1.0),
    "a list": lambda x: ts.sum([x, x, x]),
    "a pair": lambda x: ts.dot([x], [x]),
    "record": lambda x: record("hypot", x, 1.0),
    "weighted sum": lambda x: weighted_sum([x], [x], x),
    "a gradient": lambda x: ts.gradient(x.tanh() * x, [x])[0],
    "a gradient through where": lambda x: ts.gradient(ts.maximum(x, x * 2) * x, [x])[0],
}


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_every_new_value_belongs_to_the_group_and_no_leaf_does(make):
    x = Value(0.5, "x")
    outside = make(x)
    with ts.group("g"):
        inside = make(x)
    after = make(x)
    assert {name_of(node) for node in topological_order(inside) if node.op} == {"g"}
    assert {name_of(node) for root in (outside, after, x) for node in topological_order(root)} == {None}


def test_groups_nest():
    x = Value(1.0)
    with ts.group("outer"):
        before = x + 1
        with ts.group("inner"):
            inside = before * 2
        after = inside + 1
    assert [name_of(node) for node in (before, inside, after)] == ["outer", "inner", "outer"]
    assert group_of(inside).outer is group_of(before) is group_of(after)
    assert group_of(before).outer is None


def test_each_run_through_a_block_is_a_group_of_its_own():
    @ts.group("square")
    def square(x):
        return x * x

    y, z = square(Value(1.0)), square(Value(2.0))
    assert (name_of(y), name_of(z)) == ("square", "square")
    assert group_of(y) is not group_of(z)


def test_an_exception_ends_the_block():
    x = Value(1.0)
    with pytest.raises(ZeroDivisionError), ts.group("g"):
        1 / 0  # noqa: B018
    assert group_of(x + 1) is None


def test_a_label_given_later_keeps_the_group_and_is_a_plain_str():
    with ts.group("g"):
        y = Value(1.0) + 1
    for label in ("y", "z", ""):
        y.label = label
        assert (y.label, type(y.label), name_of(y)) == (label, str, "g")
    other = Value(1.0)
    y.label = other.label = "t"
    other.label = y.label
    assert group_of(other) is None


def test_recomputing_neither_joins_nor_leaves_a_group():
    x = Value(1.0)
    y = x * 2
    with ts.group("g"):
        z = y + 1
    x.data = 5.0
    with ts.group("other"):
        z.forward()
        z.backward()
    assert (z.data, group_of(y), name_of(z)) == (11.0, None, "g")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_keeps_the_groups_and_which_values_share_one(protocol):
    x = Value(1.0)
    with ts.group("outer"), ts.group("g"):
        y = x + 1
        z = y * 2
    z.label = "z"
    copied = pickle.loads(pickle.dumps(z, protocol))
    assert (copied.label, name_of(copied), group_of(copied).outer.name) == ("z", "g", "outer")
    assert group_of(copied) is group_of(copied.operands[0])
    assert group_of(copied.operands[0].operands[0]) is None


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_is_in_the_same_group(copied):
    with ts.group("g"):
        y = Value(1.0) + 1
    assert group_of(copied(y)) is group_of(y)


def test_another_threads_values_do_not_belong():
    made = {}
    with ts.group("mine"):

        def work():
            made["plain"] = Value(1.0) + 1
            with ts.group("theirs"):
                made["grouped"] = Value(1.0) + 1

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        mine = Value(1.0) + 1
    assert name_of(mine) == "mine"
    assert name_of(made["grouped"]) == "theirs"
    assert name_of(made["plain"]) is None


def test_anomalies_are_detected_within_a_group_and_groups_kept_within_detect_anomaly():
    x = Value(0.0, "x")
    with ts.group("g"), detect_anomaly():
        y = x + 1
        with pytest.raises(AnomalyError, match="log"):
            x.log()
    with detect_anomaly(), ts.group("h"):
        z = x + 1
    assert (name_of(y), name_of(z), group_of(x + 1)) == ("g", "h", None)
    with ts.group("after"):
        assert name_of(x.log()) == "after"


def test_a_vectorized_function_can_have_groups():
    def cost(x, y):
        with ts.group("square"):
            return (w * x - y) ** 2

    w = Value(2.0, "w")
    run = ts.vectorize(cost, [w])
    assert run([1.0, 2.0], [1.0, 1.0])[0] == 5.0


@pytest.mark.parametrize(("name", "error"), [(3, TypeError), (None, TypeError), ("", ValueError), (" ", ValueError)])
def test_a_group_needs_a_name(name, error):
    with pytest.raises(error, match="group's name"), ts.group(name):
        pass
    assert group_of(Value(1.0) + 1) is None

"""Operands, labels and attributes live as long as the nodes that hold them and no longer."""

import contextlib
import copy
import gc
import pickle
import sys
from typing import ClassVar

import pytest
from support.lifetime_steps import Dies, Label, Parameter, row

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine import bulk, record


@pytest.fixture(autouse=True)
def _sum():
    with row(n=4):
        yield


# --- what is held ----------------------------------------------------------------------------------------------------

# a root above two leaves, and its derivatives with respect to them at 2 and 3
GRAPHS = {
    "+": (lambda x, y: x + y, 1.0, 1.0),
    "*": (lambda x, y: (x * y) * 1.0, 3.0, 2.0),
    "-": (lambda x, y: 5.0 - (x - y), -1.0, 1.0),
    "**2": (lambda x, y: x**2 + y**3, 4.0, 27.0),
    "leaky_relu": (lambda x, y: (-x).leaky_relu(0.375) - y.leaky_relu(0.25), -0.375, -1.0),
    "where": (lambda x, y: ts.where(y - x, x * y, x + y), 3.0, 2.0),
    "a row in Python": (lambda x, y: record("test row", x, y * y, x + 1.0, 7.0), 2.0, 6.0),
    "twice the same": (lambda x, y: (x + x) * (y + y), 12.0, 8.0),
    "weighted sum": (lambda x, y: bulk.weighted_sum([x, y], [y, x], x), 7.0, 4.0),
    "deepcopy": (lambda x, y: copy.deepcopy(x * y), 3.0, 2.0),
    "pickle": (lambda x, y: pickle.loads(pickle.dumps(ts.where(x, x * y, x))), 3.0, 2.0),
}


@pytest.fixture(params=GRAPHS)
def graph(request):
    """A function that builds a root, a root that is the only reference into its graph, and the derivatives."""
    build, dx, dy = GRAPHS[request.param]
    root = build(Value(2.0, "x"), Value(3.0, "y"))
    gc.collect()
    return build, root, dx, dy


def test_a_graph_whose_operands_nobody_else_holds_is_whole(graph):
    build, root, dx, dy = graph
    crowd = [Value(99.0) * 99.0 for _ in range(1000)]  # would reuse the memory of whatever was freed too early
    root.backward()
    x, y = (next(leaf for leaf in ts.leaves(root) if leaf.label == label) for label in "xy")
    assert (x.data, y.data, x.grad, y.grad) == (2.0, 3.0, dx, dy)
    x.data = 2.5
    root.forward()
    assert [(n.op, n.data, n.local_grads) for n in ts.topological_order(root)] == [
        (n.op, n.data, n.local_grads) for n in ts.topological_order(build(Value(2.5), Value(3.0)))
    ]
    assert {node.data for node in crowd} == {9801.0}


def test_an_operand_outlives_the_graph_above_it():
    def build():
        x, y = Value(2.0), Value(3.0)
        inner = x * y
        return inner, (inner + x).exp()

    inner, root = build()
    root.backward()
    del root
    gc.collect()
    crowd = [Value(99.0) * 99.0 for _ in range(1000)]
    assert [operand.data for operand in inner.operands] == [2.0, 3.0]
    inner.backward()
    assert inner.grad == 1.0
    assert len(crowd) == 1000


def test_graphs_that_share_leaves_do_not_lose_them_when_one_is_dropped():
    x, y = Value(2.0, "x"), Value(3.0, "y")
    kept, dropped = x * y, [ts.where(x, x + y, y * x) ** 2 for _ in range(100)]
    del x, y
    del dropped
    gc.collect()
    x, y = kept.operands
    kept.backward()
    assert [(v.label, v.data, v.grad) for v in (x, y)] == [("x", 2.0, 3.0), ("y", 3.0, 2.0)]


def test_a_graph_frees_its_leaves_when_the_last_node_above_them_goes():
    Dies.died = 0
    roots = [ts.where(Dies(1.0), Dies(2.0) * Dies(3.0), Dies(4.0)) for _ in range(10)]
    kept = roots[0].operands[1]
    assert Dies.died == 0
    del roots
    assert Dies.died == 40 - 2
    del kept
    assert Dies.died == 40


def test_a_label_lives_as_long_as_its_node_has_it():
    labels = ["of the leaf".upper(), "of the node".upper()]
    alone = [sys.getrefcount(label) for label in labels]
    leaf, node = Value(1.0, labels[0]), -Value(1.0)
    node.label = labels[1]
    assert [sys.getrefcount(label) for label in labels] == [count + 1 for count in alone]
    leaf.label = "another"
    assert [sys.getrefcount(label) for label in labels] == [alone[0], alone[1] + 1]
    del node
    assert [sys.getrefcount(label) for label in labels] == alone


def test_a_label_is_a_plain_str_whatever_str_it_was_given():
    x = Value(1.0, Label("x"))
    assert (type(x.label), x.label) == (str, "x")
    x.label = Label("")
    assert (type(x.label), x.label) == (str, "")


# --- subclasses ------------------------------------------------------------------------------------------------------


class Small(Value):
    """A leaf without a __dict__."""

    __slots__ = ()


@pytest.mark.parametrize("kind", [Parameter, Small, Dies])
def test_an_instance_of_a_subclass_is_a_leaf_like_any_other(kind):
    x, y = kind(2.0, "x"), kind(3.0)
    root = ts.where(x, x * y, y) + x.exp() - x.exp()
    del y
    for _ in range(2):
        root.backward()
    assert (x.grad, x.label) == (6.0, "x")
    x.data = 5.0
    assert root.forward().data == 15.0
    root.zero_grad()
    assert x.grad == 0.0
    assert type(root) is Value
    assert type(x) is kind


def test_a_subclass_keeps_its_attributes_as_long_as_a_graph_holds_it():
    p = Parameter(2.0)
    p.name = Label("name")
    Label.died = 0
    root = p * p
    del p
    gc.collect()
    assert (Label.died, root.operands[0].name) == (0, "name")
    del root
    gc.collect()
    assert Label.died == 1


def test_graphs_in_the_attributes_of_leaves_of_graphs_are_freed_at_any_depth():
    Dies.died = 0
    graph = None
    for _ in range(30_000):
        leaf = Dies(1.0)
        leaf.below = graph
        graph = -leaf
    del leaf
    del graph
    assert Dies.died == 30_000


class Phoenix(Value):
    """A leaf that comes back to life once."""

    nest: ClassVar = []

    def __del__(self):
        if not self.nest:
            self.nest.append(self)


def test_a_leaf_that_comes_back_to_life_is_whole():
    Phoenix.nest.clear()
    root = ts.where(Phoenix(1.0, "first"), Value(2.0) * Value(3.0), Value(4.0))
    del root
    (leaf,) = Phoenix.nest
    again = leaf * 5.0
    again.backward()
    assert (leaf.data, leaf.grad, leaf.label, again.data) == (1.0, 5.0, "first", 5.0)
    del again
    assert sys.getrefcount(leaf) == 3  # the nest's, ours and the call's
    del leaf
    Phoenix.nest.pop()
    gc.collect()


class Busy(Value):
    """A leaf that, when it dies, differentiates a graph of its own and graphs of others."""

    others: ClassVar = []
    seen: ClassVar = []

    def __del__(self):
        x = Value(3.0)
        root = (x * x + self) * 1.0
        root.backward()
        self.seen.append((x.grad, self.grad))
        for other in self.others:
            other.forward().backward()


def test_a_leaf_can_differentiate_graphs_while_one_is_being_freed():
    Busy.seen.clear()
    x = Value(2.0)
    kept = (x * x).exp().log()
    Busy.others.append(kept)
    dropped = sum((Busy(1.0) * x + (x * x) * (x + 1.0) for _ in range(50)), Value(0.0))
    del dropped
    assert Busy.seen == [(6.0, 1.0)] * 50
    assert x.grad == pytest.approx(50 * 4.0, rel=1e-12)
    Busy.others.clear()


# --- initializing a node again ---------------------------------------------------------------------------------------


def _contents(root):
    return [(n.op, n.data, n.grad, n.label, n.local_grads, n.operands) for n in ts.topological_order(root)]


@pytest.mark.parametrize("arguments", [(5.0,), (5.0, "leaf"), (object(),), (5.0, 1)])
def test_a_computed_node_cannot_be_initialized_again(arguments):
    x, y = Value(2.0, "x"), Value(3.0)
    below = x * y
    root = ts.where(below, below + x, y)
    root.backward()
    before = _contents(root)
    for node in (root, below):
        with pytest.raises((AttributeError, TypeError)):
            node.__init__(*arguments)
    assert _contents(root) == before
    root.backward()
    assert (x.grad, y.grad) == (8.0, 4.0)


def test_a_leaf_can_be_initialized_again():
    label = "of the leaf".upper()
    alone = sys.getrefcount(label)
    x = Parameter(2.0, label)
    x.grad, x.name = 3.0, "name"
    x.__init__(5.0, "y")
    assert (x.data, x.grad, x.label, x.name, sys.getrefcount(label)) == (5.0, 0.0, "y", "name", alone)
    (x * x).backward()
    assert x.grad == 10.0


def test_using_a_value_that_was_never_initialized_is_no_crash():
    uses = [
        repr, bool, hash, abs, copy.copy, copy.deepcopy, pickle.dumps, ts.topological_order, ts.leaves,
        lambda v: v + 1.0, lambda v: v * v, lambda v: v**2, lambda v: v**v, lambda v: v > 2.0, lambda v: v.exp(),
        lambda v: ts.where(v, v, v), lambda v: v.backward(), lambda v: v.forward(), lambda v: v.zero_grad(),
        lambda v: (v.data, v.grad, v.label, v.op, v.operands, v.local_grads), lambda v: setattr(v, "label", "v"),
        lambda v: setattr(v, "data", 3.0),
    ]  # fmt: skip
    for use in uses:
        v = Value.__new__(Value)
        with contextlib.suppress(AttributeError, TypeError):  # the slots of a plain one are empty
            use(v)
        v.__init__(2.0, "x")
        assert (v.data, v.grad, v.label, (v * 3.0).data) == (2.0, 0.0, "x", 6.0)


@pytest.mark.parametrize("attribute", ["data", "grad", "label", "op", "operands", "local_grads"])
@pytest.mark.parametrize("make", [Value, Parameter, lambda number: Value(number) * 1.0], ids=["leaf", "sub", "node"])
def test_what_a_node_holds_cannot_be_deleted(make, attribute):
    v = make(2.0)
    with pytest.raises(AttributeError):
        delattr(v, attribute)
    assert (v.data, v.grad, v.label) == (2.0, 0.0, "")
    assert (v * v).data == 4.0

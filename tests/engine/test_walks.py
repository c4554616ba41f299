"""Passes over graphs that share nodes, passes inside passes, and graphs with many paths: each pass acts as if alone."""

import functools
import operator
import random
from types import SimpleNamespace

import pytest
from hypothesis import given, settings, strategies as st
from support.lifetime_steps import row

import tinygrad_scalar as ts
from tinygrad_scalar import StaleGraphError, Value
from tinygrad_scalar.engine import marks_below, record
from tinygrad_scalar.engine.graph import topological_order

# --- random programs of passes over several roots, against the definitions -------------------------------------------

# how Values make a node, its number, its local gradients; it has as many operands as the functions have parameters
KINDS = {
    "+": (lambda x, y: x + y, lambda x, y: x + y, lambda x, y: (1, 1)),
    "-": (lambda x, y: x - y, lambda x, y: x - y, lambda x, y: (1, -1)),
    "neg": (lambda x: -x, lambda x: -x, lambda x: (-1,)),
    "·leaf": (lambda x, y: x * y, lambda x, y: x * y, lambda x, y: (y, x)),
    "where": (ts.where, lambda c, x, y: x if c else y, lambda c, x, y: (0, 1, 0) if c else (0, 0, 1)),
    "row": (lambda *x: record("test row", *x), lambda x, y, z: x + y + z, lambda x, y, z: (1, 1, 1)),
}
PASSES = ["backward", "forward", "zero_grad", "order"]
LEAVES = 3
MOST_NODES = LEAVES + 10  # up to here integers are exact


class Model:
    """The content of every node by the definitions; nodes are numbered as they are made, and nothing is cached."""

    def __init__(self):
        self.nodes = []
        self.now = 0

    def make(self, kind, operands, data=0):
        node = SimpleNamespace(kind=kind, operands=operands, data=data, local_grads=(), grad=0, time=self.now)
        self.nodes.append(node)
        if kind:
            self.compute(node)

    def compute(self, node):
        _, number, local_grads = KINDS[node.kind]
        numbers = [self.nodes[i].data for i in node.operands]
        node.data, node.local_grads = number(*numbers), local_grads(*numbers)

    def set(self, i, data):
        self.now += 1
        self.nodes[i].data, self.nodes[i].time = data, self.now

    def below(self, root):
        """The numbers of the nodes in the graph under `root`, operands first."""
        found = {root}
        for i in range(root, -1, -1):
            if i in found:
                found.update(self.nodes[i].operands)
        return sorted(found)

    def is_stale(self, i):
        return any(self.nodes[j].time > self.nodes[i].time for j in self.nodes[i].operands)

    def backward(self, root):
        graph = self.below(root)
        if any(map(self.is_stale, graph)):
            raise StaleGraphError
        for i in graph:
            if self.nodes[i].kind:
                self.nodes[i].grad = 0
        self.nodes[root].grad += 1
        for i in reversed(graph):
            for j, local_grad in zip(self.nodes[i].operands, self.nodes[i].local_grads):
                self.nodes[j].grad += local_grad * self.nodes[i].grad

    def forward(self, root):
        now = self.now + 1
        for i in self.below(root):
            if self.is_stale(i):
                self.compute(self.nodes[i])
                self.now = self.nodes[i].time = now

    def zero_grad(self, root):
        for i in self.below(root):
            self.nodes[i].grad = 0


def _same(values, model):
    return [(v.data, v.grad, v.operands) for v in values] == [
        (node.data, node.grad, tuple(values[i] for i in node.operands)) for node in model.nodes
    ]


def _step(values, model, name, kind, places, number):
    """Take one step with the Values and with the model; passes begin at one of the last four nodes."""
    i, j, k = (place % len(values) for place in places)
    if name in PASSES:
        i = len(values) - 1 - places[0] % 4 % len(values)
    if name == "make" and len(values) < MOST_NODES:
        make, compute, _ = KINDS[kind]
        operands = (i, j % LEAVES) if kind == "·leaf" else (i, j, k)[: compute.__code__.co_argcount]
        values.append(make(*(values[operand] for operand in operands)))
        model.make(kind, operands)
    elif name == "set" and not values[i].op:
        values[i].data = number
        model.set(i, number)
    elif name == "drop" and len(values) > LEAVES:
        values.pop()
        model.nodes.pop()
    elif name == "order":
        order = ts.topological_order(values[i])
        assert sorted(map(values.index, order)) == model.below(i)
    elif name == "backward":
        try:
            model.backward(i)
        except StaleGraphError:
            with pytest.raises(StaleGraphError):
                values[i].backward()
        else:
            values[i].backward()
    elif name in PASSES:
        getattr(values[i], name)()
        getattr(model, name)(i)


# the passes several times, so that they are frequent and close together
NAMES = ["make"] * 4 + ["backward"] * 4 + ["forward"] * 2 + ["set"] * 2 + ["zero_grad", "order", "drop"]
PLACE = st.integers(0, MOST_NODES - 1)
STEP = st.tuples(
    st.sampled_from(NAMES), st.sampled_from(list(KINDS)), st.tuples(PLACE, PLACE, PLACE), st.integers(-2, 2)
)


@settings(max_examples=4 * settings.default.max_examples)
@given(st.lists(STEP, min_size=10, max_size=50))
def test_any_order_of_passes_over_overlapping_graphs_leaves_what_the_definitions_say(program):
    model, values = Model(), []
    with row(lambda x, y, z: x + y + z, lambda v, x, y, z: (1.0, 1.0, 1.0), n=3):
        for number in range(LEAVES):
            model.make("", (), number)
            values.append(Value(number))
        for step in program:
            _step(values, model, *step)
            assert _same(values, model), step


@pytest.mark.parametrize("between", [*PASSES, "backward elsewhere", "stale elsewhere", "grown", "dropped"])
@pytest.mark.parametrize("first", PASSES)
def test_backward_again_adds_the_same_whatever_came_between(first, between):
    def walk(name, root):
        ts.topological_order(root) if name == "order" else getattr(root, name)()

    x, y, elsewhere = Value(2.0), Value(3.0), Value(5.0)
    shared = x * y
    root, other = ts.where(x, shared + x, y) * 2.0, shared * elsewhere - x
    walk(first, root)
    if between == "backward elsewhere":
        other.backward()
    elif between == "stale elsewhere":
        elsewhere.data = 7.0
        with pytest.raises(StaleGraphError):
            other.backward()
    elif between == "grown":
        (root * elsewhere).backward()
    elif between == "dropped":
        del other
        [Value(1.0) * 1.0 for _ in range(100)]
    else:
        walk(between, root)
    x.grad = y.grad = 0.0
    for times in (1, 2):
        root.backward()
        assert (x.grad, y.grad, root.grad, shared.grad) == (8.0 * times, 4.0 * times, 1.0, 2.0)


# --- passes inside passes --------------------------------------------------------------------------------------------


def _differentiate_another(_):
    z = Value(3.0)
    node = z
    for _ in range(200):  # more than the graph outside has
        node = node + z
    node.backward()
    z.data = 4.0
    node.forward()
    assert (node.data, z.grad) == (4.0 * 201, 201.0)


def _forward(root):
    root.forward()


def _backward(root):
    with pytest.raises(StaleGraphError):  # forward() has not recomputed it yet
        root.backward()


def _zero_grad(root):
    root.zero_grad()


def _order(root):
    assert ts.topological_order(root)[-1] is root


def _backward_from_within(root):
    root.operands[1].backward(0.0)


WITHIN = [_differentiate_another, _forward, _backward, _zero_grad, _order, _backward_from_within]


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("within", WITHIN)
@pytest.mark.parametrize("where", ["forward", "local_grads"])
def test_an_operation_can_itself_walk_graphs_while_forward_computes_it(within, where, times):
    left = 0

    def interrupt():
        nonlocal left
        if left > 0:
            left -= 1
            within(root)

    def forward(x):
        if where == "forward":
            interrupt()
        return x

    def local_grads(v, x):
        if where == "local_grads":
            interrupt()
        return (1.0,)

    x, one = Value(2.0), Value(1.0)
    with row(forward, local_grads):
        node = x
        for _ in range(20):
            node = record("test row", node) + x
        root = node * one.relu()
        root.backward()  # so that the engine keeps a walk of this graph
        left, x.data = times, 3.0
        root.forward()
        assert (left, root.data) == (0, 63.0)
        x.grad = one.grad = 0.0
        root.backward()
        assert (x.grad, one.grad, root.grad) == (21.0, 63.0, 1.0)


def test_an_operation_can_build_and_differentiate_graphs_while_an_operator_computes_it():
    def forward(x):
        z = Value(x)
        (z * z).backward()
        return z.grad

    with row(forward, lambda v, x: (2.0,)):
        x = Value(5.0)
        root = record("test row", record("test row", x) + x)
        root.backward()
    assert (root.data, x.grad) == (30.0, 6.0)


def test_a_leaf_set_during_forward_makes_the_graph_stale():
    x, late = Value(2.0), Value(1.0)
    sets = False

    def forward(x):
        if sets:
            late.data = 7.0
        return x

    with row(forward, lambda v, x: (1.0,)):
        root = record("test row", x) + late.relu()  # the right operand is computed first
        sets, x.data = True, 3.0
        root.forward()
        sets = False
        assert root.data == 4.0
        with pytest.raises(StaleGraphError):
            root.backward()
        assert root.forward().data == 10.0
        root.backward()
    assert (x.grad, late.grad) == (1.0, 1.0)


@pytest.mark.parametrize("changes", [1, 2, 10])
def test_leaves_set_and_graphs_built_during_forward_are_as_fresh_as_elsewhere(changes):
    x, other = Value(2.0), Value(1.0)
    built = []

    def forward(x):
        for i in range(changes if built else 0):
            other.data = float(i)
        built.append(other * 3.0)
        return x

    with row(forward, lambda v, x: (1.0,)):
        root = -record("test row", x)
        x.data = 3.0
        root.forward()
    after = other * 5.0
    x.data = 4.0
    after.backward()  # only an unrelated leaf was set, so this is not stale
    built[-1].backward()
    assert other.grad == 8.0
    other.data = 100.0
    for node in (after, built[-1]):
        with pytest.raises(StaleGraphError):
            node.backward()


# --- many paths ------------------------------------------------------------------------------------------------------


def test_hundreds_of_outputs_of_hundreds_of_inputs_are_walked_node_by_node(thorough):
    n = 1000 if thorough else 300
    inputs = [Value(float(i)) for i in range(n)]
    with row(n=n):
        hidden = [-x for x in inputs]
        outputs = [record("test row", *hidden) for _ in range(n)]
        root = record("test row", *outputs)
        assert len(ts.topological_order(root)) == 3 * n + 1
        root.backward()
        assert {x.grad for x in inputs} == {-n}
        assert {h.grad for h in hidden} == {n}
        inputs[0].data = 1.0
        assert root.forward().data == -n * (sum(range(n)) + 1.0)


def test_each_node_is_visited_once_where_paths_double_at_every_node():
    x = Value(1.0)
    node = x
    for _ in range(1000):
        node = node + node  # 2¹⁰⁰⁰ paths in the end
    node.backward()
    assert (node.data, x.grad) == (2.0**1000, 2.0**1000)
    x.data = 0.5
    assert node.forward().data == 2.0**999
    assert len(ts.topological_order(node)) == 1001
    node.zero_grad()
    assert x.grad == 0.0


@pytest.mark.parametrize("seed", range(20))
def test_marks_below_are_those_of_all_that_a_value_was_computed_from(seed):
    """Or those of one node that has the decisive mark."""
    choose = random.Random(seed)
    leaves = [Value(choose.random()) for _ in range(8)]
    marks = dict(zip(leaves, (2, 1, 1)))
    every, nodes = dict(marks), list(leaves)
    for _ in range(60):
        operands = choose.choices(nodes, k=choose.choice((1, 2, 2, 5)))
        node = sum(operands) if len(operands) > 1 else operands[0].tanh()
        for new in sorted(set(topological_order(node)) - every.keys(), key=topological_order(node).index):
            every[new] = functools.reduce(operator.or_, (every.get(operand, 0) for operand in new.operands), 0)
        nodes.append(node)
    for node in choose.sample(nodes, 30):
        found = marks_below(node, marks, 2)
        assert found & 2 if every[node] & 2 else found == every[node]

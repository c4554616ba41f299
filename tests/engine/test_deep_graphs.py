"""Chains of up to a million operations, and a leaf that all of them use: there is no recursion anywhere."""

import copy
import inspect
import pickle
import subprocess
import sys

import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.inspection.names import leaves, names, topological_order


def chain(rounds):
    """x, one and a root that is x·(rounds + 1) after four operations a round."""
    x, one = Value(0.5, "x"), Value(1.0, "one")
    node = x
    for _ in range(rounds):
        negative = -((node + x) * one)
        node = -negative
    return x, one, node


def where_chain(rounds):
    """x, the branch never taken and a root that is x·(rounds + 1), each node an operand of the next three times."""
    x, other = Value(0.5, "x"), Value(7.0, "other")
    node = x
    for _ in range(rounds):
        node = ts.where(node, node + x, other + node)
    return x, other, node


def fan_out(rounds):
    """x, nothing and a root that is rounds·x² + x, with x twice an operand of half the nodes."""
    x, total = Value(0.5, "x"), Value(0.0)
    for _ in range(rounds):
        total = total + x * x
    return x, Value(0.0), total + x


# build, rounds, operations, the root's number from x's, its derivative
GRAPHS = {
    "chain": (chain, 250_000, lambda n: 4 * n, lambda x, n: (n + 1) * x, lambda x, n: n + 1),
    "where": (where_chain, 50_000, lambda n: 3 * n, lambda x, n: (n + 1) * x, lambda x, n: n + 1),
    "fan-out": (fan_out, 100_000, lambda n: 2 * n + 1, lambda x, n: n * x * x + x, lambda x, n: 2 * n * x + 1),
}


@pytest.fixture(scope="module")
def share(thorough):
    """The divisor of all numbers of rounds: less depth shows the same as long as nothing goes wrong."""
    return 1 if thorough else 5 if ts.accelerated else 25  # Python's stack is used up sooner than C's


@pytest.fixture(scope="module", params=GRAPHS)
def graph(request, share):
    build, rounds, operations, number, derivative = GRAPHS[request.param]
    rounds //= share
    x, other, root = build(rounds)
    return x, other, root, operations(rounds), lambda x: number(x, rounds), lambda x: derivative(x, rounds)


def _assert_differentiable(x, root, number, derivative):
    """Set another x, go forwards and backwards, compare with the closed form."""
    x.data = 0.25 if x.data == 0.5 else 0.5
    root.zero_grad()
    assert root.forward().data == number(x.data)
    root.backward()
    assert (x.grad, root.grad) == (derivative(x.data), 1.0)


def test_building_computes_the_number(graph):
    x, _, root, _, number, _ = graph
    assert root.data == number(x.data)


def test_forward_and_backward_reach_the_bottom(graph):
    x, _, root, _, number, derivative = graph
    _assert_differentiable(x, root, number, derivative)


def test_every_factor_of_the_chain_gets_its_gradient(share):
    rounds = 250_000 // share
    x, one, root = chain(rounds)
    root.backward()
    assert one.grad == sum((i + 2) * x.data for i in range(rounds))


def test_the_graph_can_be_read(graph):
    x, other, root, operations, _, _ = graph
    order = topological_order(root)
    assert sum(node.op != "" for node in order) == operations
    assert len(set(order)) == len(order)
    assert order[-1] is root
    assert x in leaves(root)
    assert names(root, {"cost": root, "other": other})[root] == "cost"


def test_zero_grad_reaches_the_bottom(graph):
    x, _, root, *_ = graph
    root.backward()
    root.zero_grad()
    assert (x.grad, root.grad) == (0.0, 0.0)


def test_a_leaf_at_the_bottom_makes_the_root_stale(graph):
    x, _, root, *_ = graph
    x.data = x.data
    with pytest.raises(ts.engine.errors.StaleGraphError, match="x was set"):
        root.backward()
    root.forward()


def test_a_shallow_copy_is_the_root_alone(graph):
    _, _, root, *_ = graph
    twin = copy.copy(root)
    assert (twin.data, twin.operands) == (root.data, root.operands)


@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda graph: pickle.loads(pickle.dumps(graph))],
    ids=["deepcopy", "pickle"],
)
@pytest.mark.thorough
def test_a_copy_is_whole_and_independent(graph, copied):
    x, _, root, operations, number, derivative = graph
    before = x.data
    twin_x, twin = copied((x, root))
    assert sum(node.op != "" for node in topological_order(twin)) == operations
    _assert_differentiable(twin_x, twin, number, derivative)
    assert (x.data, root.data) == (before, number(before))


def test_anomalies_are_looked_for_at_any_depth(share):
    rounds = 100_000 // share
    x, _, root = chain(rounds)
    with ts.detect_anomaly():
        root.backward()
        x.data = 2.0
        root.forward()
    assert x.grad == rounds + 1


@pytest.mark.parametrize(
    ("build", "rounds", "copied"),
    [
        (chain, 250_000, "root"),
        (where_chain, 300_000, "root"),
        (fan_out, 100_000, "root"),
        (chain, 50_000, "copy.deepcopy(root)"),
        (chain, 50_000, "pickle.loads(pickle.dumps(root))"),
        (where_chain, 50_000, "copy.deepcopy(root)"),
        (where_chain, 50_000, "pickle.loads(pickle.dumps(root))"),
    ],
)
@pytest.mark.thorough
def test_a_graph_and_its_copy_are_freed_without_a_crash(build, rounds, copied, share):
    script = f"""
import copy, pickle
import tinygrad_scalar as ts
from tinygrad_scalar import Value

{inspect.getsource(build)}

*_, root = {build.__name__}({rounds // share})
root.backward()
twin = {copied}
del root, _
del twin
print("freed")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "freed\n", "")

"""Copies and pickles of graphs: the same numbers, what was shared still shared, nothing shared with the original."""

import copy
import io
import multiprocessing
import pickle

import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine.errors import StaleGraphError
from tinygrad_scalar.inspection.names import topological_order


def _dumps_in_python(thing, protocol):
    file = io.BytesIO()
    pickle._Pickler(file, protocol).dump(thing)
    return file.getvalue()


PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
COPIES = {
    "deepcopy": copy.deepcopy,
    **{f"pickle {p}": lambda thing, p=p: pickle.loads(pickle.dumps(thing, p)) for p in PROTOCOLS},
    **{f"pickle in Python {p}": lambda thing, p=p: pickle.loads(_dumps_in_python(thing, p)) for p in PROTOCOLS},
    "unpickle in Python": lambda thing: pickle._loads(pickle.dumps(thing)),
}


@pytest.fixture(params=COPIES)
def copied(request):
    return COPIES[request.param]


def _graph():
    w, a = Value(0.6, "w"), Value(1.5, "a")
    z = w * a + 0.1
    z.label = "z"
    cost = ts.where(z, (z.sigmoid() - w) ** 2, z) / (z + 3.0)
    cost.backward()
    return w, z, cost


def _told(root):
    """Everything visible of a graph, nodes by their place in the topological order."""
    order = topological_order(root)
    place = {node: i for i, node in enumerate(order)}
    return [
        (node.op, node.label, node.data, node.grad, node.local_grads, [place[operand] for operand in node.operands])
        for node in order
    ]


def test_a_copy_has_the_same_numbers_labels_and_gradients(copied):
    *_, cost = _graph()
    assert _told(copied(cost)) == _told(cost)


def test_nodes_shared_between_the_parts_of_a_copied_tuple_stay_shared(copied):
    w, z, cost = copied(_graph())
    below = topological_order(cost)
    assert any(node is w for node in below)
    assert any(node is z for node in below)
    assert [node.label for node in below if node.label] == ["w", "a", "z"]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_order_of_the_parts_does_not_matter(copied, order):
    graph = _graph()
    parts = copied([graph[i] for i in order])
    w, z, cost = (parts[order.index(i)] for i in range(3))
    assert {w, z} < set(topological_order(cost))
    assert w in topological_order(z)


def test_a_node_held_twice_is_one_node_afterwards(copied):
    _, z, _ = _graph()
    first, second = copied([z, {"again": z}])
    assert first is second["again"]


def test_a_copy_is_independent_of_the_original(copied):
    w, _, cost = _graph()
    twin_w, _, twin = copied((w, _, cost))
    assert not set(topological_order(cost)) & set(topological_order(twin))
    before = _told(cost)
    twin_w.data = 2.0
    twin.forward().backward()
    twin.zero_grad()
    assert _told(cost) == before
    cost.backward()


def test_a_copy_goes_on_computing_as_the_original_does(copied):
    w, _, cost = _graph()
    twin_w, twin = copied((w, cost))
    for leaf, root in ((w, cost), (twin_w, twin)):
        leaf.data = -0.7
        root.zero_grad()
        root.forward().backward()
    assert _told(twin) == _told(cost)


def test_a_stale_graph_is_stale_in_the_copy_too(copied):
    w, _, cost = _graph()
    w.data = 3.0
    twin = copied(cost)
    with pytest.raises(StaleGraphError, match="w was set"):
        twin.backward()
    twin.forward().backward()


def test_a_graph_mended_by_forward_is_fresh_in_the_copy(copied):
    w, _, cost = _graph()
    w.data = 3.0
    cost.forward()
    copied(cost).backward()


def test_a_leaf_set_in_the_copy_makes_the_copy_stale_and_a_leaf_set_in_the_original_does_not(copied):
    w, _, cost = _graph()
    twin_w, twin = copied((w, cost))
    w.data = 3.0
    twin.backward()
    twin_w.data = 4.0
    with pytest.raises(StaleGraphError):
        twin.backward()


def test_a_node_between_a_copied_and_a_new_one_counts_as_computed_now(copied):
    x = Value(1.0, "x")
    square = x * x
    for _ in range(5):
        x.data += 1.0
        square.forward()
    twin = copied(square)
    grown = twin * Value(2.0) + x
    grown.backward()
    twin.operands[0].data = 10.0
    with pytest.raises(StaleGraphError):
        grown.backward()
    assert grown.forward().data == 206.0


def test_copying_a_leaf_gives_a_leaf_of_its_own(copied):
    x = Value(1.0, "x")
    x.grad = 2.0
    for twin in (copied(x), copy.copy(x)):
        assert (twin.data, twin.grad, twin.label, twin.op) == (1.0, 2.0, "x", "")
        twin.data = 5.0
    assert x.data == 1.0


def test_a_shallow_copy_is_a_node_of_its_own_on_the_same_operands():
    _, z, _ = _graph()
    twin = copy.copy(z)
    assert twin is not z
    assert twin.operands == z.operands
    assert (twin.op, twin.label, twin.data, twin.grad, twin.local_grads) == (
        z.op, z.label, z.data, z.grad, z.local_grads,
    )  # fmt: skip


def test_a_shallow_copy_of_a_stale_node_is_stale():
    w, z, _ = _graph()
    w.data = 3.0
    with pytest.raises(StaleGraphError):
        copy.copy(z).backward()


def _chain(n):
    x = Value(1.0, "x")
    node = x
    for _ in range(n):
        node = node + x
    return node


class _FullDisk(io.RawIOBase):
    def write(self, _):
        raise OSError("no space left on device")


# Failures during pickling, and when they come: after the graph, or half-way through the list of its nodes.
def _unpicklable_after(pickler):
    pickler(io.BytesIO()).dump([_graph(), _chain(2000), lambda: None])


def _full_disk(pickler):
    pickler(_FullDisk()).dump(_chain(20_000))


class _Unpicklable(Value):
    def __reduce_ex__(self, protocol):
        raise pickle.PicklingError


def _chain_with_an_unpicklable_middle():
    node = _chain(1000) + _Unpicklable(1.0)
    for _ in range(1000):
        node = node + 1.0
    return node


def _unpicklable_middle(pickler):
    pickler(io.BytesIO()).dump(_chain_with_an_unpicklable_middle())


@pytest.mark.parametrize("fail", [_unpicklable_after, _full_disk, _unpicklable_middle])
@pytest.mark.parametrize("pickler", [pickle.Pickler, pickle._Pickler])
def test_a_pickling_that_failed_does_not_disturb_the_next(pickler, fail):
    errors = (OSError, pickle.PicklingError, AttributeError)
    with pytest.raises(errors):
        fail(pickler)
    assert pickle.loads(pickle.dumps(_chain(5_000))).data == 5_001.0


def test_a_pickler_that_failed_and_is_kept_does_not_disturb_another():
    root = _chain_with_an_unpicklable_middle()
    failed = pickle.Pickler(io.BytesIO())
    with pytest.raises(pickle.PicklingError):
        failed.dump(root)
    assert pickle.loads(pickle.dumps(_chain(5_000))).data == 5_001.0


def test_one_pickler_keeps_what_is_shared_over_several_dumps():
    file = io.BytesIO()
    pickler = pickle.Pickler(file)
    w, z, cost = _graph()
    for part in (z, cost, w):
        pickler.dump(part)
    file.seek(0)
    unpickler = pickle.Unpickler(file)
    z, cost, w = (unpickler.load() for _ in range(3))
    assert {w, z} < set(topological_order(cost))


@pytest.fixture(scope="module")
def elsewhere():
    """Runs a function in another process, in which no leaf has ever been set."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        yield pool.apply


def _differentiate(root):
    root.backward()
    return root


def test_a_graph_can_be_sent_to_another_process_and_back(elsewhere):
    _, _, cost = _graph()
    back = elsewhere(_differentiate, (cost,))
    cost.backward()
    assert _told(back) == _told(cost)


def _set_and_differentiate(leaf, root):
    leaf.data = 5.0
    try:
        root.backward()
    except StaleGraphError:
        return root.forward().data
    return "not stale"


def test_a_leaf_set_in_another_process_makes_the_graph_stale_there(elsewhere):
    x = Value(1.0)
    root = x * x
    for _ in range(10):
        x.data += 1.0
        root.forward()
    assert elsewhere(_set_and_differentiate, (x, root)) == 25.0

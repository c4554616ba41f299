"""The passes over a graph: what backward(), forward() and staleness promise, and that they keep no memory."""

import copy
import gc
import math
import pickle
import tracemalloc

import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine import ops, record
from tinygrad_scalar.engine.errors import AnomalyError, StaleGraphError
from tinygrad_scalar.inspection.names import topological_order

# --- backward --------------------------------------------------------------------------------------------------------


def test_backward_is_the_chain_rule_through_every_node():
    w, a, b, y = Value(0.6, "w"), Value(1.0, "a"), Value(0.1, "b"), Value(0.0, "y")
    z = w * a + b
    activation = z.sigmoid()
    error = activation - y
    cost = error**2
    cost.backward()
    slope = activation.data * (1 - activation.data)
    assert cost.grad == 1.0
    assert error.grad == activation.grad == 2 * activation.data
    assert z.grad == b.grad == pytest.approx(slope * 2 * activation.data, rel=1e-15)
    assert w.grad == pytest.approx(a.data * z.grad, rel=1e-15)
    assert a.grad == pytest.approx(w.data * z.grad, rel=1e-15)
    assert y.grad == -error.grad


@pytest.mark.parametrize(
    ("use", "derivative"),
    [
        (lambda x: x + x, 2.0),
        (lambda x: x * x, 6.0),
        (lambda x: x - x, 0.0),
        (lambda x: x / x, 0.0),
        (lambda x: x**x, 27 * (1 + math.log(3))),
        (lambda x: ts.where(x, x, x), 1.0),
        (lambda x: ts.maximum(x, x), 1.0),
        (lambda x: (x * x) * (x * x), 108.0),
    ],
)
def test_a_value_used_with_itself_gets_the_sum_over_its_uses(use, derivative):
    x = Value(3.0)
    use(x).backward()
    assert x.grad == pytest.approx(derivative, rel=1e-15)


def test_where_paths_join_the_contributions_add_up():
    x = Value(2.0)
    shared = x * 3.0
    (shared * shared + shared.exp() - x).backward()
    assert shared.grad == 2 * 6.0 + math.exp(6.0)
    assert x.grad == 3.0 * shared.grad - 1.0


def _one_of_each_kind():
    x, y = Value(0.3), Value(-1.2)
    shared = x * y
    return x, y, shared, ts.where(shared, shared.tanh(), y) / (shared - 2.0)


def test_backward_twice_doubles_leaf_gradients_and_nothing_else():
    *_, root = _one_of_each_kind()
    nodes = topological_order(root)
    root.backward()
    once = [node.grad for node in nodes]
    root.backward()
    assert any(once)
    assert [node.grad for node in nodes] == [grad if node.op else 2 * grad for node, grad in zip(nodes, once)]


def test_gradients_are_linear_in_the_upstream_gradient():
    *_, root = _one_of_each_kind()
    nodes = topological_order(root)
    root.backward()
    once = [node.grad for node in nodes]
    root.zero_grad()
    root.backward(grad=-4.0)
    assert [node.grad for node in nodes] == [-4.0 * grad for grad in once]


def test_leaf_gradients_of_two_roots_add_up_and_shared_nodes_hold_the_last_pass():
    x = Value(2.0)
    shared = x * x
    first, second = shared * 3.0, shared * 5.0
    first.backward()
    second.backward()
    assert (x.grad, shared.grad, first.grad, second.grad) == (4.0 * 8.0, 5.0, 1.0, 1.0)


def test_backward_adds_to_a_gradient_that_was_set_on_a_leaf_and_replaces_one_set_on_a_node():
    x = Value(3.0)
    double = x * 2.0
    x.grad = double.grad = 100.0
    (double + 1.0).backward()
    assert (x.grad, double.grad) == (102.0, 1.0)


def test_backward_on_a_leaf_adds_to_its_own_gradient():
    x = Value(3.0)
    x.backward()
    x.backward(2.0)
    assert x.grad == 3.0


def test_backward_from_an_inner_node_leaves_what_is_above_it_alone():
    x = Value(3.0)
    inner = x * x
    outer = inner + 1.0
    outer.grad = 7.0
    inner.backward()
    assert (outer.grad, inner.grad, x.grad) == (7.0, 1.0, 6.0)


def test_zero_grad_clears_every_node_below_and_none_above():
    *_, root = _one_of_each_kind()
    above = root + 1.0
    above.backward()
    root.zero_grad()
    assert [node.grad for node in topological_order(root)] == [0.0] * len(topological_order(root))
    assert above.grad == 1.0


# --- forward and staleness -------------------------------------------------------------------------------------------


def _network(x, y):
    shared = x * y + x
    chosen = ts.where(ts.greater(shared, 0.0), shared.sigmoid(), shared**3)
    return (chosen - 2.0 / (y + 5.0)) * chosen.leaky_relu(0.1) + ts.maximum(x, y) ** shared.exp()


@pytest.mark.parametrize(("x", "y"), [(0.5, 1.5), (2.0, -1.7), (1.0, 1.0), (0.25, -4.0)])
def test_forward_after_setting_leaves_equals_building_anew_bit_for_bit(x, y):
    old = Value(0.7), Value(-0.2)
    new = Value(x), Value(y)
    root, anew = _network(*old), _network(*new)
    old[0].data, old[1].data = x, y
    assert root.forward() is root
    for kept, fresh in zip(topological_order(root), topological_order(anew)):
        assert (kept.op, kept.data, kept.local_grads) == (fresh.op, fresh.data, fresh.local_grads)
    root.backward()
    anew.backward()
    assert [leaf.grad for leaf in old] == [leaf.grad for leaf in new]


def test_forward_on_a_leaf_changes_nothing():
    x = Value(3.0)
    assert x.forward() is x
    assert x.data == 3.0


def test_forward_keeps_gradients_and_labels():
    x = Value(3.0)
    y = x * x
    y.label = "y"
    y.backward()
    x.data = 4.0
    y.forward()
    assert (y.data, y.label, y.grad, x.grad) == (16.0, "y", 1.0, 6.0)


def test_a_forward_that_was_interrupted_leaves_the_graph_stale(monkeypatch):
    def double(x):
        if interrupted:
            raise KeyboardInterrupt
        return 2.0 * x

    row = ops.Operation("double", "2×", "2·{0}", "2*x", double, lambda v, x: (2.0,))
    monkeypatch.setitem(ops.OPERATIONS, "double", row)
    interrupted, x = False, Value(1.0, "x")
    root = record("double", x.exp()) + x
    x.data, interrupted = 5.0, True
    with pytest.raises(KeyboardInterrupt):
        root.forward()
    with pytest.raises(StaleGraphError):
        root.backward()
    interrupted = False
    assert root.forward().data == 2.0 * math.exp(5.0) + 5.0


def test_forward_mends_a_graph_grown_after_the_change_upon_nodes_from_before_it():
    x = Value(1.0)
    before = x * 10.0
    x.data = 2.0
    grown = before + x
    assert grown.forward().data == 22.0
    grown.backward()
    assert x.grad == 11.0


def _gradients(*nodes):
    return [(node.data, node.grad, node.local_grads) for node in nodes]


def _assert_stale(root, leaf_label):
    nodes = topological_order(root)
    before = _gradients(*nodes)
    with pytest.raises(StaleGraphError, match=rf"{leaf_label} was set to .*forward\(\)"):
        root.backward()
    assert _gradients(*nodes) == before


def test_a_leaf_set_after_its_graph_was_built_makes_backward_raise_and_name_it():
    x, w = Value(1.0, "x"), Value(2.0, "w")
    root = (x * w).tanh() + x
    root.backward()
    w.data = 3.0
    _assert_stale(root, "w")
    root.forward().backward()


def test_a_graph_grown_after_the_change_upon_nodes_from_before_it_is_stale():
    x, w = Value(1.0, "x"), Value(2.0, "w")
    before = x * w
    w.data = 3.0
    _assert_stale((before + w).exp() * x, "w")


@pytest.mark.parametrize("position", [0, 1, 2])
def test_each_operand_of_where_can_make_it_stale(position):
    leaves = Value(1.0, "a"), Value(2.0, "b"), Value(3.0, "c")
    root = ts.where(*leaves)
    leaves[position].data = 5.0
    _assert_stale(root, "abc"[position])


def test_forward_of_an_inner_node_leaves_the_outer_one_stale():
    x = Value(1.0, "x")
    inner = x * 2.0
    outer = inner + 1.0
    x.data = 5.0
    inner.forward()
    _assert_stale(outer, "x")
    inner.backward()
    assert outer.forward().data == 11.0
    outer.backward()


def test_forward_of_a_fresh_inner_node_leaves_the_outer_one_fresh():
    x = Value(3.0)
    inner = x * x
    outer = inner + 1.0
    inner.forward()
    outer.backward()
    assert x.grad == 6.0


def test_one_root_being_mended_does_not_hide_that_another_is_stale():
    x = Value(1.0, "x")
    first, second = x * 2.0, x * 3.0
    x.data = 5.0
    first.forward()
    _assert_stale(second, "x")
    _assert_stale(first + second, "x")


def test_a_leaf_set_twice_is_stale_until_forward_comes_after_the_second():
    x = Value(1.0, "x")
    root = x * x
    x.data = 2.0
    root.forward()
    x.data = 3.0
    _assert_stale(root, "x")
    assert root.forward().data == 9.0


def test_a_leaf_elsewhere_makes_no_graph_stale():
    x, elsewhere = Value(1.0), Value(2.0)
    root = x * x
    other = elsewhere * 3.0
    elsewhere.data = 5.0
    root.backward()
    assert x.grad == 2.0
    other.forward()
    root.backward()
    assert x.grad == 4.0


def test_setting_gradients_and_labels_makes_no_graph_stale():
    x = Value(3.0)
    root = x * x
    x.grad, x.label = 0.0, "x"
    root.backward()
    assert x.grad == 6.0


def test_a_failed_change_of_data_makes_no_graph_stale():
    x = Value(3.0)
    root = x * x
    for nonsense, error in [("4", TypeError), (10**400, ValueError)]:
        with pytest.raises(error):
            x.data = nonsense
    root.backward()
    assert x.grad == 6.0


def test_a_stale_graph_is_a_value_error():
    assert issubclass(StaleGraphError, ValueError)


# --- memory ----------------------------------------------------------------------------------------------------------


def _train():
    weights = [Value(0.1 * i) for i in range(8)]
    for _ in range(3):
        cost = sum((w * (i + 1.0)).tanh() ** 2 for i, w in enumerate(weights)) / len(weights)
        cost.zero_grad()
        cost.backward()
        for w in weights:
            w.data -= 0.1 * w.grad
    cost.forward()


def _fail_stale():
    x = Value(1.0)
    root = ts.where(x, x * x, x)
    x.data = 2.0
    with pytest.raises(StaleGraphError):
        root.backward()


def _fail_anomaly():
    with pytest.raises(AnomalyError), ts.detect_anomaly():
        (Value(0.0) * 2.0).log()


def _copy():
    root = ts.where(Value(1.0), Value(2.0).exp(), Value(3.0))
    pickle.loads(pickle.dumps([root, copy.copy(root), copy.deepcopy(root)]))


@pytest.mark.parametrize("work", [_train, _fail_stale, _fail_anomaly, _copy])
def test_no_reference_cycles_are_left_for_the_garbage_collector(work):
    work()
    gc.collect()
    try:
        gc.set_debug(gc.DEBUG_SAVEALL)
        work()
        gc.collect()
        left = [thing for thing in gc.garbage if isinstance(thing, Value)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    assert left == []


def test_memory_is_flat_over_many_steps_with_the_garbage_collector_off(thorough):
    def steps(n):
        for _ in range(n):
            cost = sum(((w * w).sigmoid() - 0.5) ** 2 for w in weights)
            cost.backward()
            for w in weights:
                w.data -= 0.01 * w.grad
                w.grad = 0.0

    weights = [Value(0.1 * i) for i in range(5)]
    gc.disable()
    tracemalloc.start()
    try:
        steps(50)
        before, _ = tracemalloc.get_traced_memory()
        steps(2000 if thorough else 400)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert after - before < 2000  # bytes; one step's graph is some 10,000


@pytest.mark.parametrize("into", [int, round, float, lambda v: round(v, 2), math.exp])
def test_turning_a_value_into_a_bare_number_is_refused_with_the_way_out(into):
    with pytest.raises(TypeError, match=r"lose its gradient.*v\.data"):
        into(Value(1.5))

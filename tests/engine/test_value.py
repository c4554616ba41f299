"""`Value` by itself: what it takes, what its operators make, what backward(), forward() and staleness promise."""

import copy
import decimal
import fractions
import gc
import math
import operator
import pickle
import tracemalloc

import numpy as np
import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine import ops, record
from tinygrad_scalar.engine.errors import AnomalyError, StaleGraphError
from tinygrad_scalar.inspection.names import topological_order

# --- making and setting ----------------------------------------------------------------------------------------------

NUMBERS = [3, 3.0, True, np.float64(3), np.float32(3), np.float16(3), np.int64(-3), np.uint8(3), np.bool_(True)]
NOT_NUMBERS = [
    "3", None, 3j, np.complex128(3), [1], (1.0,), np.array([1.0]), np.array(1.0), {}, object(), b"3",
    decimal.Decimal(3), fractions.Fraction(3), Value(3.0), np.timedelta64(3, "s"), np.datetime64(3, "s"),
]  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS, ids=lambda n: type(n).__name__)
def test_data_is_kept_as_a_plain_float(number):
    assert type(Value(number).data) is float
    assert Value(number).data == float(number)


@pytest.mark.parametrize("thing", NOT_NUMBERS, ids=lambda t: type(t).__name__)
def test_what_is_not_a_number_is_a_type_error_that_shows_it(thing):
    v = Value(1.0)
    v.grad = 2.0
    for refuse in (Value, lambda t: setattr(v, "data", t), lambda t: setattr(v, "grad", t), v.backward):
        with pytest.raises(TypeError, match=r"number|NumPy scalar") as caught:
            refuse(thing)
        assert f"({type(thing).__name__})" in str(caught.value)
    assert (v.data, v.grad) == (1.0, 2.0)


def test_an_int_beyond_float64_is_a_value_error():
    v = Value(1.0)
    for refuse in (Value, lambda n: setattr(v, "data", n), lambda n: v + n, lambda n: n * v, lambda n: v**n):
        with pytest.raises(ValueError, match="float64"):
            refuse(10**400)
    assert v.data == 1.0


@pytest.mark.skipif(np.finfo(np.longdouble).max == np.finfo(float).max, reason="longdouble is float64 here")
def test_a_longdouble_beyond_float64_is_a_value_error_and_an_infinite_one_is_infinite():
    with pytest.raises(ValueError, match="float64"):
        Value(np.longdouble("1e4000"))
    assert Value(np.longdouble("inf")).data == math.inf


@pytest.mark.parametrize("label", [None, 3, b"x", ["x"]])
def test_a_label_is_a_str(label):
    with pytest.raises(TypeError, match="label"):
        Value(1.0, label)


def test_a_leaf_has_no_operation_and_no_operands():
    x = Value(2.0, label="x")
    assert (x.op, x.operands, x.local_grads, x.grad, x.label) == ("", (), (), 0.0, "x")
    assert (x._op, x._prev) == ("", set())


def test_a_node_tells_its_operation_its_operands_and_its_local_gradients():
    x, y = Value(2.0), Value(3.0)
    node = x / y
    assert (node.op, node.operands, node.local_grads) == ("/", (x, y), (1 / 3, -2 / 9))
    assert (node._op, node._prev) == ("/", {x, y})


@pytest.mark.parametrize("attribute", ["op", "operands", "local_grads"])
def test_how_a_node_was_made_cannot_be_overwritten(attribute):
    with pytest.raises(AttributeError):
        setattr(Value(1.0) + 1, attribute, ())


def test_the_data_of_an_interior_node_cannot_be_set():
    total = Value(1.0) + 2.0
    with pytest.raises(AttributeError, match=r"leaves.*forward\(\)"):
        total.data = 5.0
    assert total.data == 3.0


@pytest.mark.parametrize("number", NUMBERS, ids=lambda n: type(n).__name__)
def test_a_leaf_takes_new_data_and_any_node_a_new_gradient(number):
    x = Value(1.0)
    y = -x
    x.data = x.grad = y.grad = number
    assert (x.data, x.grad, y.grad) == (float(number),) * 3
    assert type(x.data) is type(y.grad) is float


def test_repr_shows_data_gradient_and_label():
    assert repr(Value(2)) == "Value(data=2.0, grad=0.0)"
    assert repr(Value(0.1, "w(1)[0,2]")) == "Value(data=0.1, grad=0.0, label='w(1)[0,2]')"


def test_format_with_a_spec_formats_the_number():
    v = Value(2 / 3)
    assert f"{v:.3f}|{v:>8.2f}|{v:e}" == "0.667|    0.67|6.666667e-01"
    assert f"{v}" == repr(v) == str(v)


# --- operators -------------------------------------------------------------------------------------------------------

# made, operation, operands' data, data, local gradients; v is 3
NODES = [
    (lambda v: v + 2, "+", (3.0, 2.0), 5.0, (1.0, 1.0)),
    (lambda v: 2 + v, "+", (2.0, 3.0), 5.0, (1.0, 1.0)),
    (lambda v: v - 2, "-", (3.0, 2.0), 1.0, (1.0, -1.0)),
    (lambda v: 2 - v, "-", (2.0, 3.0), -1.0, (1.0, -1.0)),
    (lambda v: v * 2, "*", (3.0, 2.0), 6.0, (2.0, 3.0)),
    (lambda v: 2 * v, "*", (2.0, 3.0), 6.0, (3.0, 2.0)),
    (lambda v: v / 2, "/", (3.0, 2.0), 1.5, (0.5, -0.75)),
    (lambda v: 2 / v, "/", (2.0, 3.0), 2 / 3, (1 / 3, -2 / 9)),
    (lambda v: v**2, "**2", (3.0,), 9.0, (6.0,)),
    (lambda v: v**-1, "**-1", (3.0,), 1 / 3, (-1 / 9,)),
    (lambda v: v**0.5, "**0.5", (3.0,), 3**0.5, (0.5 / 3**0.5,)),
    (lambda v: 2**v, "**", (2.0, 3.0), 8.0, (12.0, 8 * math.log(2))),
    (lambda v: v ** Value(2), "**", (3.0, 2.0), 9.0, (6.0, 9 * math.log(3))),
    (lambda v: pow(v, Value(2)), "**", (3.0, 2.0), 9.0, (6.0, 9 * math.log(3))),
    (lambda v: Value(2) - v, "-", (2.0, 3.0), -1.0, (1.0, -1.0)),
    (lambda v: -v, "neg", (3.0,), -3.0, (-1.0,)),
    (lambda v: abs(-v), "abs", (-3.0,), 3.0, (-1.0,)),
    (lambda v: v.leaky_relu(), "leaky_relu(0.01)", (3.0,), 3.0, (1.0,)),
    (lambda v: (-v).leaky_relu(0.5), "leaky_relu(0.5)", (-3.0,), -1.5, (0.5,)),
    (lambda v: (-v).leaky_relu(slope=2), "leaky_relu(2)", (-3.0,), -6.0, (2.0,)),
]


@pytest.mark.parametrize(("make", "op", "operands", "data", "local_grads"), NODES)
def test_an_operator_makes_one_node_with_constants_on_either_side(make, op, operands, data, local_grads):
    node = make(Value(3.0))
    assert node.op == op
    assert tuple(operand.data for operand in node.operands) == operands
    assert node.data == pytest.approx(data, rel=1e-15)
    assert node.local_grads == pytest.approx(local_grads, rel=1e-15)


_NUMPYS = [
    "exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tan", "asin", "acos", "atan",
    "sinh", "cosh", "tanh", "asinh", "acosh", "atanh",
]  # fmt: skip


@pytest.mark.parametrize("name", [*_NUMPYS, "sigmoid", "relu", "softplus", "erf"])
def test_a_method_applies_its_row_of_the_table(name):
    x = Value(1.5 if name == "acosh" else 0.4)
    node, row = getattr(x, name)(), ops.operation(name)
    assert (node.op, node.operands) == (name, (x,))
    assert (node.data, node.local_grads) == (row.forward(x.data), row.local_grads(node.data, x.data))


def test_plus_sign_makes_nothing():
    v = Value(1.0)
    assert +v is v


SCALARS = [np.float64(2), np.float32(0.5), np.int64(3), np.int32(7), np.uint8(2), np.bool_(True)]
OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]


@pytest.mark.parametrize("scalar", SCALARS, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("operation", OPERATORS)
def test_a_numpy_scalar_on_either_side_counts_as_its_float(scalar, operation):
    v = Value(1.5)
    for node, plain in [
        (operation(scalar, v), operation(float(scalar), v)),
        (operation(v, scalar), operation(v, float(scalar))),
    ]:
        assert type(node) is Value
        assert (node.op, node.data, node.local_grads) == (plain.op, plain.data, plain.local_grads)
        assert v in node.operands
        assert {type(number) for number in (node.data, *node.local_grads)} == {float}


@pytest.mark.parametrize("operation", [*OPERATORS, operator.lt, operator.ge])
@pytest.mark.parametrize("thing", ["x", None, 1j, [1.0]], ids=repr)
def test_operators_refuse_what_is_not_a_number(operation, thing):
    for left, right in [(Value(1.0), thing), (thing, Value(1.0))]:
        with pytest.raises(TypeError):
            operation(left, right)


def test_leaky_relu_refuses_a_slope_that_is_not_a_number():
    for slope in (Value(0.1), "0.1", None):
        with pytest.raises(TypeError, match="slope"):
            Value(-1.0).leaky_relu(slope)


# --- in NumPy's object arrays ----------------------------------------------------------------------------------------


def _array(*numbers):
    return np.array([Value(number) for number in numbers])


def test_a_matrix_of_values_times_a_vector_of_values_has_the_gradients_of_each():
    w = np.array([[Value(1.0), Value(2.0)], [Value(3.0), Value(4.0)]])
    x = _array(5.0, 6.0)
    z = w @ x
    assert [node.data for node in z] == [17.0, 39.0]
    z.sum().backward()
    assert [[node.grad for node in row] for row in w] == [[5.0, 6.0], [5.0, 6.0]]
    assert [node.grad for node in x] == [4.0, 6.0]


@pytest.mark.parametrize("name", _NUMPYS)
def test_numpys_functions_work_on_arrays_of_values(name):
    function = getattr(np, name.replace("a", "arc", 1) if name[1:] in _NUMPYS else name)
    number = 1.5 if name == "acosh" else 0.4
    (node,) = function(_array(number))
    assert node.op == name
    assert node.data == pytest.approx(function(number), rel=1e-15)


@pytest.mark.parametrize(
    ("combine", "data"),
    [
        (lambda a, v: a * v, [3.0, 6.0]),
        (lambda a, v: v * a, [3.0, 6.0]),
        (lambda a, v: a - v, [-2.0, -1.0]),
        (lambda a, v: v - a, [2.0, 1.0]),
        (lambda a, v: a / v, [1 / 3, 2 / 3]),
        (lambda a, v: v / a, [3.0, 1.5]),
        (lambda a, v: v**a, [3.0, 9.0]),
        (lambda a, v: a**v, [1.0, 8.0]),
    ],
)
@pytest.mark.parametrize("dtype", [float, int, object])
def test_an_array_and_a_value_combine_element_by_element(combine, data, dtype):
    v = Value(3.0)
    result = combine(np.array([1, 2], dtype=dtype), v)
    assert result.shape == (2,)
    assert [type(node) for node in result] == [Value, Value]
    assert [node.data for node in result] == pytest.approx(data)
    assert all(v in node.operands for node in result)


def test_an_array_of_floats_is_not_made_from_values():
    with pytest.raises(TypeError, match=r"v\.data|\.data"):
        np.array([Value(1.0)], dtype=float)


# --- reading the number ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("comparison", [operator.lt, operator.le, operator.gt, operator.ge])
@pytest.mark.parametrize(("x", "y"), [(1.0, 2.0), (2.0, 1.0), (2.0, 2.0), (math.nan, 1.0)])
def test_order_compares_data_with_values_and_numbers_on_either_side(comparison, x, y):
    expected = comparison(x, y)
    for left, right in [
        (Value(x), Value(y)), (Value(x), y), (x, Value(y)), (Value(x), np.float64(y)), (np.float64(x), Value(y)),
    ]:  # fmt: skip
        assert bool(comparison(left, right)) is expected


def test_sorting_and_the_largest_go_by_data():
    values = [Value(2.0), Value(-1.0), Value(0.5)]
    assert [v.data for v in sorted(values)] == [-1.0, 0.5, 2.0]
    assert max(values) is values[0]


def test_equality_and_hash_are_identity():
    x, y = Value(1.0), Value(1.0)
    assert x == x
    assert x != y
    assert x != 1.0
    assert {x: "x", y: "y"}[x] == "x"
    assert y not in [x]


@pytest.mark.parametrize(("number", "truth"), [(0.0, False), (-0.0, False), (1e-300, True), (math.nan, True)])
def test_truth_is_that_of_the_number(number, truth):
    assert bool(Value(number)) is truth


# fmt: off
FLOATED = [
    (lambda v: float(v), r"v\.data"),
    (lambda v: math.exp(v), r"v\.exp\(\).*v\.data"),
    (lambda v: math.log(v), r"v\.log\(\)"),
    (lambda v: math.tanh(v), r"v\.tanh\(\)"),
    (lambda v: 1 + math.sqrt(v + v), r"v\.sqrt\(\)"),
    (lambda v: math.pow(v, 2), r"v\.data"),
    (lambda v: complex(v), r"v\.data"),
    (lambda v: f"{v.data:.1f} %f" % v, r"v\.data"),
]
# fmt: on


@pytest.mark.parametrize(("lose", "instead"), FLOATED)
def test_losing_the_gradient_to_a_float_is_an_error_that_names_the_method_to_use(lose, instead):
    with pytest.raises(TypeError, match=instead):
        lose(Value(0.5, "v"))


def test_the_method_named_is_that_of_the_call_that_was_given_the_value():
    with pytest.raises(TypeError, match=r"v\.exp\(\)"):
        math.sqrt(2.0) * math.exp(Value(0.5))


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
def test_forward_after_setting_leaves_equals_building_anew_to_the_bit(x, y):
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


def test_memory_is_flat_over_many_steps_with_the_garbage_collector_off():
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
        steps(2000)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert after - before < 2000  # bytes; one step's graph is some 10,000


@pytest.mark.parametrize("into", [int, round, float, lambda v: round(v, 2), math.floor])
def test_turning_a_value_into_a_bare_number_is_refused_with_the_way_out(into):
    with pytest.raises(TypeError, match=r"lose its gradient.*v\.data"):
        into(Value(1.5))

"""`Value` by itself: what it takes, what its operators make, how its number is read."""

import decimal
import fractions
import math
import operator

import numpy as np
import pytest

from tinygrad_scalar import Value
from tinygrad_scalar.engine import ops

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

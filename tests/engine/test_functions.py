"""functions.py: a Value gives a Value, a number gives a float, anything else gives a TypeError."""

import functools
import math
import operator

import numpy as np
import pytest
from hypothesis import given, strategies as st
from support.operands import ORDINARY

import tinygrad_scalar as ts
from tinygrad_scalar import Value, functions
from tinygrad_scalar.engine import ops

# name, operands within the domain, result; operations without a line follow with the result of their row
RESULTS = [
    ("abs", (-2.5,), 2.5),
    ("exp", (1.0,), math.e),
    ("expm1", (1e-10,), math.expm1(1e-10)),
    ("log", (10.0,), math.log(10.0)),
    ("log1p", (1e-10,), math.log1p(1e-10)),
    ("sqrt", (2.0,), math.sqrt(2.0)),
    ("sin", (1.0,), math.sin(1.0)),
    ("cos", (1.0,), math.cos(1.0)),
    ("tan", (1.0,), math.tan(1.0)),
    ("asin", (0.5,), math.pi / 6),
    ("acos", (0.5,), math.pi / 3),
    ("atan", (1.0,), math.pi / 4),
    ("sinh", (1.0,), math.sinh(1.0)),
    ("cosh", (1.0,), math.cosh(1.0)),
    ("tanh", (1.0,), math.tanh(1.0)),
    ("asinh", (1.0,), math.asinh(1.0)),
    ("acosh", (2.0,), math.acosh(2.0)),
    ("atanh", (0.5,), math.atanh(0.5)),
    ("sigmoid", (math.log(3.0),), 0.75),
    ("relu", (-2.0,), 0.0),
    ("relu", (2.0,), 2.0),
    ("softplus", (0.0,), math.log(2.0)),
    ("erf", (0.5,), math.erf(0.5)),
    ("maximum", (2.0, 3.0), 3.0),
    ("minimum", (2.0, 3.0), 2.0),
    ("logaddexp", (0.0, 0.0), math.log(2.0)),
    ("greater", (3.0, 2.0), 1.0),
    ("greater", (2.0, 2.0), 0.0),
    ("greater_equal", (2.0, 2.0), 1.0),
    ("greater_equal", (1.0, 2.0), 0.0),
    ("less", (2.0, 3.0), 1.0),
    ("less", (2.0, 2.0), 0.0),
    ("less_equal", (2.0, 2.0), 1.0),
    ("less_equal", (3.0, 2.0), 0.0),
    ("leaky_relu", (-2.0,), -0.02),
    ("leaky_relu", (-2.0, 0.5), -1.0),
    ("where", (1.0, 2.0, 3.0), 2.0),
    ("where", (0.0, 2.0, 3.0), 3.0),
]
for name, row in ops.OPERATIONS.items():
    if name in functions.__all__ and name not in [name for name, *_ in RESULTS]:
        operands = ORDINARY[name][0] if row.arity > 1 else (ORDINARY[name][0],)
        RESULTS.append((name, operands, row.forward(*operands)))
NAMES = sorted({name for name, *_ in RESULTS})


def _operands(name, numbers):
    """The places a Value can take: all but leaky_relu's slope."""
    return numbers[:1] if name == "leaky_relu" else numbers


def _values(name, numbers):
    operands = _operands(name, numbers)
    return (*map(Value, operands), *numbers[len(operands) :])


def test_every_public_function_has_a_result_and_is_at_the_top_level():
    assert sorted(functions.__all__) == sorted([*NAMES, "clip", "cond", "lookup"])
    assert all(getattr(ts, name) is getattr(functions, name) for name in functions.__all__)


@pytest.mark.parametrize(("name", "numbers", "result"), RESULTS)
def test_numbers_in_give_a_float_out(name, numbers, result):
    for kind in (float, np.float64):
        out = getattr(ts, name)(*map(kind, numbers))
        assert type(out) is float
        assert out == pytest.approx(result, rel=1e-15)


@pytest.mark.parametrize(("name", "numbers", "result"), RESULTS)
def test_a_value_in_any_place_gives_a_value_out_with_the_same_number(name, numbers, result):
    function = getattr(ts, name)
    for position in range(len(_operands(name, numbers))):
        value = Value(numbers[position])
        out = function(*numbers[:position], value, *numbers[position + 1 :])
        assert type(out) is Value
        assert value in out.operands
        assert out.data == function(*numbers) == pytest.approx(result, rel=1e-15)


@pytest.mark.parametrize(("name", "numbers", "result"), RESULTS)
def test_the_node_has_the_local_gradients_of_its_row(name, numbers, result):
    out = getattr(ts, name)(*_values(name, numbers))
    row = ops.operation(out.op)
    assert out.local_grads == row.local_grads(out.data, *(operand.data for operand in out.operands))


@pytest.mark.parametrize(("name", "numbers"), {name: numbers for name, numbers, _ in RESULTS}.items())
@pytest.mark.parametrize("wrong", ["1.0", None, 1j, [1.0], np.array([1.0, 2.0])], ids=lambda w: type(w).__name__)
def test_anything_else_in_any_place_is_a_type_error_that_names_the_function_and_shows_it(name, numbers, wrong):
    for position in range(len(_operands(name, numbers))):
        for others in (numbers, _values(name, numbers)):
            with pytest.raises(TypeError, match=name) as caught:
                getattr(ts, name)(*others[:position], wrong, *others[position + 1 :])
            assert f"({type(wrong).__name__})" in str(caught.value)


@pytest.mark.parametrize("slope", [Value(0.1), "0.1", "a", None], ids=repr)
@pytest.mark.parametrize("x", [-1.0, Value(-1.0)], ids=["number", "Value"])
def test_the_slope_of_leaky_relu_is_a_plain_number(x, slope):
    with pytest.raises(TypeError, match="slope"):
        ts.leaky_relu(x, slope)


@pytest.mark.parametrize("name", NAMES)
def test_every_function_says_what_it_is(name):
    function = getattr(ts, name)
    assert function.__doc__
    assert function.__name__ == name


@pytest.mark.parametrize(("number", "chosen"), [(2.0, 0), (-2.0, 1)])
def test_where_gives_the_gradient_to_the_one_chosen_and_decides_anew_at_forward(number, chosen):
    v, branches = Value(-number), (Value(10.0), Value(20.0))
    root = ts.where(ts.greater(v, 0.0), *branches)
    v.data = number
    assert root.forward().data == branches[chosen].data
    root.backward()
    assert [branch.grad for branch in branches] == [float(chosen == 0), float(chosen == 1)]
    assert v.grad == 0.0


@pytest.mark.parametrize(("condition", "chosen"), [(True, 1.0), (False, 2.0), (np.bool_(False), 2.0), (-3, 1.0)])
def test_where_takes_any_number_as_its_condition(condition, chosen):
    assert ts.where(condition, 1.0, 2.0) == chosen
    assert ts.where(condition, Value(1.0), 2.0).data == chosen


# --- lookup ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("i", [1, np.int64(1), np.uint8(1), True, Value(1.0)], ids=lambda i: type(i).__name__)
def test_lookup_gives_the_row_itself(i):
    table = [[Value(1.0), Value(2.0)], [Value(3.0), Value(4.0)]]
    assert ts.lookup(table, i) is table[1]
    assert ts.lookup([5.0, 6.0], i) == 6.0


@pytest.mark.parametrize(
    ("table", "i", "error", "words"),
    [
        ([1.0, 2.0], 2, ValueError, "lookup expected a row from 0 to 1, got 2"),
        ([1.0, 2.0], -1, ValueError, "lookup expected a row from 0 to 1, got -1"),
        ([1.0, 2.0], 0.0, TypeError, "an integer as the row index, got 0.0"),
        ([1.0, 2.0], Value(0.5), TypeError, "an integer as the row index, got Value"),
        ([1.0, 2.0], "0", TypeError, "an integer as the row index, got '0'"),
        ([], 0, TypeError, "a non-empty list of rows, got \\[\\]"),
        (3.0, 0, TypeError, "a non-empty list of rows, got 3.0"),
    ],
)
def test_what_lookup_cannot_take_is_one_line_that_shows_it(table, i, error, words):
    with pytest.raises(error, match=words) as caught:
        ts.lookup(table, i)
    assert "\n" not in str(caught.value)


# --- of a list -------------------------------------------------------------------------------------------------------

NUMBERS = st.lists(st.sampled_from([0.0, 1.0, -2.0, 3.5, math.inf]), min_size=1, max_size=6)
OF_LISTS = {"sum": operator.add, "max": ts.maximum, "min": ts.minimum}


@pytest.mark.parametrize("name", OF_LISTS)
@given(numbers=NUMBERS)
def test_a_function_of_a_list_is_the_chain_of_the_function_of_two(name, numbers):
    function = getattr(ts, name)
    assert function(numbers) == functools.reduce(OF_LISTS[name], numbers)
    grads = []
    for fold in (function, functools.partial(functools.reduce, OF_LISTS[name])):
        values = [Value(number) for number in numbers]
        (1.0 * fold(iter(values))).backward()
        grads.append([value.grad for value in values])
    if name == "sum" or len(set(numbers)) == len(numbers):  # a chain shares ties in another way
        assert grads[0] == grads[1]


def test_the_functions_of_a_list_take_a_value_among_numbers_and_a_generator():
    assert ts.sum(x for x in (1.0, Value(2.0), 3)).data == 6.0
    assert ts.max([1.0, Value(2.0), 3]).data == 3.0
    assert ts.sum([]) == 0.0


@pytest.mark.parametrize("name", OF_LISTS)
@pytest.mark.parametrize("wrong", [Value(1.0), 1.0, ["a"], [[1.0]], None, np.array(1.0)], ids=repr)
def test_a_function_of_a_list_refuses_anything_else(name, wrong):
    with pytest.raises(TypeError, match=f"^{name} expected a list of Values or numbers, got "):
        getattr(ts, name)(wrong)


@pytest.mark.parametrize("name", ["max", "min"])
def test_an_empty_list_has_no_largest(name):
    with pytest.raises(ValueError, match=f"^{name} expected at least one Value or number, got an empty list$"):
        getattr(ts, name)([])


@pytest.mark.parametrize(
    "side", [1, np.int64(1), [1.0, (2, [Value(3.0)])], {"a": 1}, np.array([[1, 2], [3, 4]])], ids=repr
)
def test_the_side_that_cond_takes_has_values_for_its_numbers(side):
    def numbers(nested):
        if isinstance(nested, (dict, list, tuple, np.ndarray)):
            parts = nested.values() if isinstance(nested, dict) else nested
            return [number for part in parts for number in numbers(part)]
        return [nested]

    taken = ts.cond(Value(1.0), lambda: side, 0.0)
    assert type(taken) is (Value if isinstance(side, (int, np.integer)) else type(side))
    assert all(isinstance(number, Value) for number in numbers(taken))
    assert [v.data for v in numbers(taken)] == [v.data if isinstance(v, Value) else float(v) for v in numbers(side)]


@pytest.mark.parametrize("side", [None, "s", 1j, (x for x in [1.0]), [None]], ids=lambda side: type(side).__name__)
def test_a_side_of_cond_without_numbers_is_refused(side):
    with pytest.raises(TypeError, match=r"a side of cond must return a Value, a number, or lists of them, got"):
        ts.cond(Value(0.0), 1.0, lambda: side)

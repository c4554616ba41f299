"""jacobian, hessian, jvp, vjp and hvp: their numbers, their structure, and that they agree with each other."""

from math import inf, nan

import autograd
import autograd.numpy as anp
import numpy as np
import pytest
from hypothesis import given, strategies as st

import tinygrad_scalar as ts
from tinygrad_scalar import Value


def field(sin, exp, x):
    """From 3 numbers to 4."""
    return [sin(x[0] * x[1]), x[2] * exp(x[0]), x[1] / (2.0 + x[2] ** 2), x[0] ** 3 + x[0] * x[1] * x[2]]


def ours(x):
    return field(ts.sin, ts.exp, x)


def theirs(x):
    return anp.array(field(anp.sin, anp.exp, x))


def potential(x):
    return ts.sum([y * y for y in ours(x)])


POINTS = st.lists(st.floats(-1.5, 1.5), min_size=3, max_size=3)
CLOSE = {"rtol": 1e-12, "atol": 1e-12}


@given(POINTS)
@pytest.mark.parametrize("outputs", [1, 2, 3, 4])  # reverse mode for the first two, forward mode for the others
def test_a_jacobian_is_that_of_autograd(outputs, x):
    expected = autograd.jacobian(lambda x: theirs(x)[:outputs])(np.array(x))
    found = ts.jacobian(lambda x: ours(x)[:outputs])
    np.testing.assert_allclose(found(x), expected, **CLOSE)
    np.testing.assert_allclose(found(np.array(x)), expected, **CLOSE)
    by_values = found([Value(x_j) for x_j in x])
    np.testing.assert_allclose([[entry.data for entry in row] for row in by_values], expected, **CLOSE)


@given(POINTS)
def test_a_hessian_is_that_of_autograd(x):
    expected = autograd.hessian(lambda x: anp.sum(theirs(x) ** 2))(np.array(x))
    np.testing.assert_allclose(ts.hessian(potential)(x), expected, rtol=1e-11, atol=1e-11)
    by_values = ts.hessian(potential)([Value(x_j) for x_j in x])
    np.testing.assert_allclose([[h.data for h in row] for row in by_values], expected, rtol=1e-11, atol=1e-11)


@given(POINTS, POINTS, st.lists(st.floats(-1.5, 1.5), min_size=4, max_size=4))
def test_products_are_those_with_the_matrix(x, v, u):
    J, H = np.array(ts.jacobian(ours)(x)), np.array(ts.hessian(potential)(x))
    for kind in (float, Value):
        numbers = np.vectorize(lambda number: getattr(number, "data", number), otypes=[float])
        given, along, weights = ([kind(number) for number in numbers_] for numbers_ in (x, v, u))
        value, moved = ts.jvp(ours, (given,), (along,))
        also, pullback = ts.vjp(ours, given)
        assert type(moved[0]) is type(pullback(weights)[0][0]) is kind
        np.testing.assert_allclose(numbers(value), theirs(np.array(x)), **CLOSE)
        np.testing.assert_allclose(numbers(also), theirs(np.array(x)), **CLOSE)
        np.testing.assert_allclose(numbers(moved), J @ v, rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(numbers(pullback(weights)[0]), u @ J, rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(numbers(ts.hvp(potential, given, along)), H @ v, rtol=1e-10, atol=1e-10)


# --- structure -------------------------------------------------------------------------------------------------------


def test_a_jacobian_has_the_structure_of_the_argument_in_place_of_each_output():
    found = ts.jacobian(lambda p: {"y": (p["a"] * p["b"][0], [p["b"][1]])})({"a": 2.0, "b": [3.0, 4.0]})
    assert found == {"y": ({"a": 3.0, "b": [2.0, 0.0]}, [{"a": 0.0, "b": [0.0, 1.0]}])}


def test_of_several_arguments_it_is_a_tuple():
    assert ts.jacobian(lambda a, b: [a * b, a], argnums=(0, 1))(2.0, 3.0) == [(3.0, 2.0), (1.0, 0.0)]
    assert ts.hessian(lambda a, b: a * a * b, argnums=(1, 0))(2.0, 3.0) == ((0.0, 4.0), (4.0, 6.0))


SHAPES = [((), ()), ((), (3,)), ((2,), ()), ((2, 2), (3,)), ((2,), (3, 2)), ((0,), (3,)), ((2,), (0,))]


@pytest.mark.parametrize(("outputs", "inputs"), SHAPES, ids=str)
def test_of_arrays_it_has_the_shapes_of_both(outputs, inputs):
    A = np.random.default_rng(0).normal(size=(*outputs, *inputs))

    def f(x):
        y = np.empty(outputs, object)
        for i in np.ndindex(*outputs):
            y[i] = ts.sum([A[(*i, *j)] * x[j] ** 2 for j in np.ndindex(*inputs)]) + Value(0.0)
        return y

    J = ts.jacobian(f)(np.ones(inputs))
    np.testing.assert_array_equal(J, 2 * A)
    assert J.dtype == float
    H = ts.hessian(f)(np.ones(inputs))
    assert H.shape == (*outputs, *inputs, *inputs)
    assert H.sum() == pytest.approx(2 * A.sum())
    by_values = ts.jacobian(f)(np.vectorize(Value, otypes=[object])(np.ones(inputs)))
    assert by_values.dtype == object
    assert by_values.shape == J.shape


def test_a_float_beside_an_array():
    J = ts.jacobian(lambda p: [p["x"] * p["s"], p["s"] * p["s"]])({"x": np.array([1.0, 2.0]), "s": 3.0})
    assert [sorted(part) for part in J] == [["s", "x"], ["s", "x"]]
    assert J[0]["x"].tolist() == [[3.0, 0.0], [0.0, 3.0]]
    assert J[0]["s"].tolist() == [1.0, 2.0]
    assert J[1]["x"].tolist() == [0.0, 0.0]
    assert J[1]["s"] == 6.0


def test_types_are_kept():
    x = np.array([1.0, 2.0], np.float32)
    assert ts.jacobian(lambda x: x * x)(x).dtype == np.float32
    assert ts.hessian(lambda x: (x * x).sum())(x).dtype == np.float32
    assert type(ts.jacobian(lambda x: [x, x])(np.float32(1.0))[0]) is np.float32


def test_a_constant_among_the_outputs_has_the_derivative_0():
    assert ts.jacobian(lambda x: [x, 3.0, 1])(2.0) == [1.0, 0.0, 0.0]
    assert ts.jvp(lambda x: [x, 3.0], (2.0,), (1.0,)) == ([2.0, 3.0], [1.0, 0.0])
    assert ts.vjp(lambda x: [x, 3.0], 2.0)[1]([5.0, 7.0]) == (5.0,)
    assert [entry.data for entry in ts.jacobian(lambda x: [x, 3.0])(Value(2.0))] == [1.0, 0.0]


def test_an_input_can_be_an_output():
    assert ts.jacobian(lambda x: x)([1.0, 2.0]) == [[1.0, 0.0], [0.0, 1.0]]
    assert ts.hessian(lambda x: x)(2.0) == 0.0
    assert ts.grad(lambda x: x)(2.0) == 1.0


def test_several_outputs_have_a_hessian_each():
    assert ts.hessian(lambda x: [x[0] * x[1], x[0] ** 3])([2.0, 5.0]) == [
        [[0.0, 1.0], [1.0, 0.0]],
        [[12.0, 0.0], [0.0, 0.0]],
    ]


def test_what_is_returned_beside_the_value():
    f = lambda x: ([x * x, x], "aux")  # noqa: E731
    assert ts.jacobian(f, has_aux=True)(3.0) == ([6.0, 1.0], "aux")
    assert ts.hessian(lambda x: (x * x, [x]), has_aux=True)(3.0) == (2.0, [3.0])
    assert ts.jvp(f, (3.0,), (1.0,), has_aux=True) == ([9.0, 3.0], [6.0, 1.0], "aux")
    value, pullback, aux = ts.vjp(f, 3.0, has_aux=True)
    assert (value, pullback([1.0, 1.0]), aux) == ([9.0, 3.0], (7.0,), "aux")
    assert ts.hvp(lambda x: (x * x, "aux"), 3.0, 1.0, has_aux=True) == (2.0, "aux")


def test_directions_can_be_integers_and_have_their_keys_in_any_order():
    assert ts.jvp(lambda p: p["a"] * p["b"], ({"a": 2.0, "b": 3.0},), ({"b": 10, "a": 1},)) == (6.0, 23.0)
    assert ts.jvp(lambda x: (x * x).sum(), (np.array([1.0, 2.0]),), (np.array([1, 0]),)) == (5.0, 2.0)


def test_values_from_outside_keep_their_gradients():
    w = Value(3.0)
    ((entry,),) = ts.jacobian(lambda x: [w * x[0] ** 2])([2.0])
    second = ts.hessian(lambda x: w * x**3)(2.0)
    _, moved = ts.jvp(lambda x: w * x, (2.0,), (5.0,))
    _, pullback = ts.vjp(lambda x: w * x, 2.0)
    for found, number, slope in (
        (entry, 12.0, 4.0),
        (second, 36.0, 12.0),
        (moved, 15.0, 5.0),
        (pullback(7.0)[0], 21.0, 7.0),
    ):
        w.grad = 0.0
        found.backward()
        assert (found.data, w.grad) == (number, slope)
    _, moved = ts.jvp(lambda x: x * x, (2.0,), (w,))
    assert moved.data == 12.0
    assert ts.vjp(lambda x: x * x, 2.0)[1](w)[0].data == 12.0


# --- edges -----------------------------------------------------------------------------------------------------------


def test_an_infinite_slope_counts_only_on_a_path():
    def f(x):  # √x has an infinite slope at 0
        return [ts.sqrt(x[0]), x[1], ts.where(ts.greater(x[0], 0.0), ts.sqrt(x[0]), 2.0 * x[1])]

    assert ts.jacobian(f)([0.0, 1.0]) == [[inf, 0.0], [0.0, 1.0], [0.0, 2.0]]  # in forward mode
    backwards = ts.jacobian(f)([0.0, 1.0, 5.0, 6.0])  # where 0·∞ comes from what is not chosen, as in backward()
    np.testing.assert_array_equal(backwards, [[inf, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [nan, 2.0, 0.0, 0.0]])
    assert ts.jacobian(f, sparse=True)([0.0, 1.0, 5.0, 6.0]).toarray()[:2].tolist() == [[inf, 0, 0, 0], [0, 1, 0, 0]]


def test_relu_passes_0_even_where_the_slope_above_is_infinite():
    assert ts.jacobian(lambda x: [ts.sqrt(ts.relu(x)), x])(-1.0) == [0.0, 1.0]
    assert ts.jvp(lambda x: ts.sqrt(ts.relu(x)), (-1.0,), (1.0,))[1] == 0.0


@pytest.mark.parametrize("derive", [ts.grad, ts.jacobian, ts.hessian])
def test_graphs_can_be_longer_than_the_stack(derive, thorough):
    def chain(x):
        y = x
        for _ in range(100_000 if thorough else 20_000):
            y = y * 1.0 + 0.0
        return y * y

    assert derive(chain)(3.0) == (2.0 if derive is ts.hessian else 6.0)

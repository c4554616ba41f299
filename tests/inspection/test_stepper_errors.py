"""What a stepper refuses, and gradients beyond float64."""

import math

import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import StaleGraphError, Value


@pytest.fixture
def stepper():
    w, a = Value(0.6, "w(1)"), Value(0.8, "a(0)")
    return ts.step((w * a).sigmoid(), names={})


def test_a_leaf_or_something_else_cannot_be_stepped_through():
    with pytest.raises(ValueError, match=r"step expected a computed Value, but .* is a leaf"):
        ts.step(Value(1.0))
    with pytest.raises(TypeError, match=r"step expected the Value at the root of a graph, got 3\.0"):
        ts.step(3.0)


@pytest.mark.parametrize(
    ("target", "error", "words"),
    [
        ("w(2)", ValueError, r"no value of this graph is called 'w\(2\)'; did you mean w\(1\)"),
        ("nothing like it", ValueError, "known names: "),
        (Value(1.0), ValueError, "is not in the graph"),
        (1.0, TypeError, "expected a Value of this graph or its name, got 1.0"),
    ],
)
def test_an_unknown_value_is_an_error_that_lists_near_names(target, error, words, stepper):
    stepper.next(2)
    with pytest.raises(error, match=words):
        stepper.to(target)
    assert stepper.position == 2


def test_a_name_of_two_values_is_an_error():
    s = ts.step(Value(1.0, "x") * Value(2.0, "x"))
    with pytest.raises(ValueError, match="2 values are called 'x'"):
        s.to("x")


@pytest.mark.parametrize("n", [-1, 1.5, True, None, "two"])
def test_a_number_of_steps_is_a_whole_number(n, stepper):
    for move in (stepper.next, stepper.back):
        with pytest.raises(ValueError, match="number of steps must be an integer ≥ 0"):
            move(n)


def test_a_leaf_that_is_set_meanwhile_makes_the_graph_stale():
    x = Value(3.0, "x")
    y = x * x
    with pytest.raises(StaleGraphError):
        x.data = 4.0
        ts.step(y)
    s = ts.step(y.forward())
    s.next(2)
    x.data = 5.0
    with pytest.raises(StaleGraphError):
        s.next()
    assert s.position == 2


def test_gradients_beyond_float64_are_stepped_through():
    x = Value(0.0, "x")
    s = ts.step(x.log() * x)
    s.next(s.total)
    assert math.isinf(x.grad) or math.isnan(x.grad)

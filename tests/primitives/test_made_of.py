"""Primitives of functions of Values run at array speed, as what they are made of, with the derivative given."""

import math
import sys

import numpy as np
import pytest
from programs import by_the_engine
from support import own_operations
from support.own_operations import (
    by_math,
    clipped,
    constant,
    gated,
    gravity,
    half_by_math,
    halted,
    listed,
    nested,
    straight,
    unchanged,
    warm,
    warm_slope,
)

import tinygrad_scalar as ts
from tinygrad_scalar import Value

near = {"rtol": 1e-11, "atol": 1e-13}


MADE_OF_VALUES = [gated, straight, clipped, nested, halted, unchanged, constant, listed, gravity]
EACH = pytest.mark.parametrize("function", MADE_OF_VALUES, ids=lambda function: function.__name__)
WAYS = ["auto", "arrays", *(["scalar"] if ts.accelerated else [])]


def setting(function, m=12):
    rng = np.random.default_rng(1)
    n = len(function.operands)
    weights = [Value(x, f"w[{k}]") for k, x in enumerate(rng.uniform(0.2, 0.9, n))]

    def cost(x):
        many = [function(*[w * x_k + c for w, x_k in zip(weights, x)]) for c in (1.0, 2.0, -1.5, 0.5, 0.3)]
        return ts.mean([a * a for a in many]) + 0.1 * weights[0] * function(*many[:n])

    return cost, weights, rng.uniform(-0.9, 0.9, (m, n))


@EACH
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("m", [1, 3, 12, 40])
def test_value_and_gradient_are_the_engines_in_every_way(function, way, m):
    cost, weights, X = setting(function, m)
    value, gradient, _ = by_the_engine(cost, weights, [X])
    found = ts.vectorize(cost, weights, way=way)(X)
    np.testing.assert_allclose(found[0], value, **near)
    np.testing.assert_allclose(found[1], gradient, **near)
    values, gradients = ts.vectorize(cost, weights, way=way, reduce=None)(X)
    np.testing.assert_allclose([np.mean(values), *np.mean(gradients, axis=0)], [value, *gradient], **near)
    _, jacobian = ts.vectorize(lambda x: [cost(x), function(*x)], weights, way=way)(X)
    np.testing.assert_allclose(jacobian[0], gradient, **near)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("function", [gated, straight, clipped, half_by_math], ids=lambda f: f.__name__)
def test_a_gradient_and_a_hessian_recorded_within_are_the_engines(function, way):
    if way == "scalar" and function is half_by_math:
        pytest.skip("it runs Python")
    w, b = Value(0.7, "w"), Value(0.2, "b")

    def curvature(x):
        slope, _ = ts.gradient(function(w * x + b) ** 2, [w, b])
        return ts.sum(ts.gradient(slope, [w, b])) + slope

    X = np.linspace(-0.8, 0.9, 11)
    value, gradient, _ = by_the_engine(curvature, [w, b], [X])
    found = ts.vectorize(curvature, [w, b], way=way)(X)
    np.testing.assert_allclose([found[0], *found[1]], [value, *gradient], **near)


@pytest.mark.parametrize("way", WAYS)
def test_a_primitive_within_a_branch_is_the_engines(way):
    w = Value(0.7, "w")

    def cost(x):
        return ts.cond(ts.greater(x, 0.0), lambda: gated(w * x), lambda: straight(w * x) * gravity(w, x, w + 1.0))

    X = np.linspace(-2.0, 2.0, 9)
    value, gradient, _ = by_the_engine(cost, [w], [X])
    found = ts.vectorize(cost, [w], way=way)(X)
    np.testing.assert_allclose([found[0], *found[1]], [value, *gradient], **near)


@pytest.mark.parametrize("way", WAYS)
def test_the_number_of_examples_is_not_the_number_of_calls(way):
    w = Value(0.3, "w")
    functions = [gated.function, clipped.function, gravity.function]
    codes = {function.__code__ for function in functions} | {gated.derivative.__code__, gravity.derivative.__code__}
    calls = []

    def count(frame, event, argument):
        if event == "call" and frame.f_code in codes:
            calls.append(frame.f_code)

    run = ts.vectorize(lambda x: gravity(gated(w * x), clipped(x), w), [w], way=way)
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        run(np.linspace(-1.0, 1.0, 1000))
        assert 0 < len(calls) < 300
        calls.clear()
        run(np.linspace(-1.0, 1.0, 1000))
        assert not calls
    finally:
        sys.setprofile(before)


def test_texts_name_the_primitive_and_the_source_needs_no_table():
    net = ts.MLP(2, [3, 1], gated, output_activation="linear", seed=0)
    run = ts.vectorize(lambda x: net(x) ** 2, net.parameters())
    run(np.random.default_rng(0).uniform(-1.0, 1.0, (5, 2)))
    assert r"g^{[1]} = \mathrm{gated}" in run.equations
    assert "A1 (3×m) = gated(Z1)" in run.explain()
    assert (
        "by_its_row" not in run.source and "# Eq. 1b: gated" in run.source and "called in Python" not in run.explain()
    )
    w = Value(0.5, "w")
    run = ts.vectorize(lambda x: straight(w * x), [w])
    run(np.array([1.0, 2.0]))
    assert run.equations.each[-1].latex == r"dw = \frac{1}{m} \sum_{i=1}^{m} {X}^{(i)}"


def test_explain_says_what_is_called_for_each_number_and_why():
    w = Value(0.5, "w")
    run = ts.vectorize(lambda x: half_by_math(w * x), [w])
    run(np.array([1.0, 2.0]))
    assert "\nhalf_by_math is called in Python for each number, because it looks at" in run.explain()
    assert "derivative of half_by_math" not in run.explain()
    run = ts.vectorize(lambda x: by_math(w * x), [w])
    run(np.array([1.0, 2.0]))
    assert "\nthe derivative of by_math is called in Python for each number, because it looks at" in run.explain()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("function", [warm, warm_slope], ids=lambda function: function.__name__)
def test_a_variable_that_a_primitive_reads_is_read_again(monkeypatch, function, way):
    w = Value(0.3, "w")
    run, X = ts.vectorize(lambda x: function(w * x) ** 2, [w], way=way), np.array([1.0, -2.0, 0.5])
    before = run(X)
    monkeypatch.setattr(own_operations, "temperature", 5.0)
    value, gradient, _ = by_the_engine(lambda x: function(w * x) ** 2, [w], [X])
    after = run(X)
    np.testing.assert_allclose([after[0], *after[1]], [value, *gradient], **near)
    assert not np.allclose(after[1], before[1])


def test_a_function_that_tells_floats_from_values_is_called_with_floats():
    @ts.primitive(derivative=lambda x: 2.0 * x, check=False)
    def two_faced(x):
        return x * x if isinstance(x, float) else x * x + 1.0

    w = Value(0.5, "w")
    run = ts.vectorize(lambda x: two_faced(w * x), [w])
    assert run(np.array([2.0]))[0] == 1.0
    assert "it gives something else for Values than for numbers: " in run.explain()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("x", [0.0, -0.0, math.inf, -math.inf, math.nan, 1e300])
def test_edges_are_the_engines(way, x):
    @ts.primitive(derivative=(None, lambda a, b: b), check=False)
    def second(a, b):
        return ts.where(ts.greater(a, 0.0), b, -b)

    w = Value(1.0, "w")

    def cost(x):
        return second(x, w * x) * clipped(w * x) + straight(w * x)

    run = ts.vectorize(cost, [w], way=way)
    run(np.array([0.5, -0.5, 0.25]))
    for m in (1, 5):
        value, gradient, _ = by_the_engine(cost, [w], [np.full(m, x)])
        found = run(np.full(m, x))
        np.testing.assert_allclose([found[0], *found[1]], [value, *gradient], rtol=1e-12)


@pytest.mark.parametrize("x", [0.0, -0.0, -2.0, 1e200, -800.0])
@pytest.mark.parametrize("way", WAYS)
def test_where_floats_raise_it_is_what_values_give_in_every_way(way, x):
    @ts.primitive(derivative=(lambda a, b: -b / a**2 + 0.5 * a**-0.5, lambda a, b: 1.0 / a + ts.exp(-b)))
    def steep(a, b):
        return b / a + a**0.5 - ts.exp(-b)

    def made_of(a, b):
        return b / a + a**0.5 - ts.exp(-b)

    w = Value(1.0, "w")
    for place in range(3):
        X = np.array([[1.0, 2.0]] * 3)
        X[place, 0] = x
        value, gradient, _ = by_the_engine(lambda x: made_of(w * x[0], x[1] + 0.0 * w), [w], [X])
        found = ts.vectorize(lambda x: steep(w * x[0], x[1] + 0.0 * w), [w], way=way)(X)
        np.testing.assert_allclose([found[0], *found[1]], [value, *gradient], rtol=1e-12)
    assert math.isnan(steep(-2.0, 1.0)) and steep(0.0, 1.0) == math.inf


def test_what_is_not_made_for_values_still_raises():
    @ts.primitive(derivative=lambda x: -1.0 / x**2)
    def inverse(x):
        return 1.0 / float(x) if float(x) > -5.0 else 1.0 / math.fsum([float(x)])

    assert inverse(0.5) == 2.0
    with pytest.raises(OverflowError, match="math range error"):
        ts.primitive(derivative=lambda x: math.exp(x), name="by_floats")(lambda x: math.exp(x))(1000.0)

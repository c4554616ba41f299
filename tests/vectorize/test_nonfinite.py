"""Infinities, nan and zeros are the same in the engine, the array program and the scalar program."""

import itertools
import math
import random
import warnings
from math import inf, nan

import numpy as np
import pytest
from hypothesis import example, given, strategies as st
from programs import by_every_way
from support import decided
from support.operands import ROWS

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine import record
from tinygrad_scalar.engine.graph import topological_order
from tinygrad_scalar.vectorize.compiled import compiled

SPECIAL = [nan, inf, -inf, 0.0, -0.0, 5e-324, -1e308, 1e308, 0.5, -2.0, 1.0, 40.0]
EDGES = [  # where exp, cosh or a square overflows, or is no longer a normal number, or 0
    *(sign * size for size in (5e-324, 1e-308, 1e-155, 20.0, 355.0, 708.0, 710.0, 745.0, 750.0) for sign in (1, -1)),
    *(sign * size for size in (1e154, 1.5e154, 1e300, 1e308) for sign in (1, -1)),
]
INDEPENDENT = [  # others: tests/nn/test_binary_cross_entropy.py, and a softmax, whose total is at least 1, below
    name for name, row in ROWS.items() if not row.companions and name != "share"
]
ROOTS = {  # these have infinite gradients
    "itself": lambda v: v,
    "sqrt": ts.sqrt,
    "log": ts.log,
    "reciprocal": lambda v: 1.0 / v,
    "power": lambda v: v**0.5,
}
USUAL = ("itself", "sqrt")  # the others are only tried with --thorough


@pytest.fixture
def most(thorough):
    """How many points to try."""
    return 250 if thorough else 60


def points(arity, most, special=SPECIAL):
    """Numbers for each of so many arguments: every combination, or a sample of them."""
    every = len(special) ** arity
    if every <= most:
        return list(itertools.product(special, repeat=arity))
    numbers = random.Random(arity)
    return [tuple(numbers.choice(special) for _ in range(arity)) for _ in range(most)]


def by_the_engine(cost, point):
    leaves = [Value(number) for number in point]
    C = cost(*leaves)
    C.backward()
    return C.data, [leaf.grad for leaf in leaves]


def assert_same(numbers, expected, what, lost=1e-320):
    """The same up to rounding; `lost` is what a product of numbers below 1e-308 can lose."""
    numbers, expected = np.asarray(numbers), np.asarray(expected)
    with np.errstate(invalid="ignore"):
        near = np.abs(numbers - expected) <= 1e-9 * np.abs(expected) + lost
    same = (np.isnan(numbers) & np.isnan(expected)) | (numbers == expected) | (near & np.isfinite(expected))
    wrong = np.argwhere(~same)
    assert same.all(), f"{what}: {numbers[tuple(wrong[0])]} is {expected[tuple(wrong[0])]} by the engine, {wrong[0]}"


def ways(cost, n):
    """How each way runs a cost of n arguments of one number: array program, NumPy source, scalar program."""
    w = Value(1.0)
    made = compiled(lambda *x: cost(*(a[0] for a in x)), [w], [np.ones((1, 1))] * n, (((1,), False),) * n, True)
    arrays = made.write_arrays()
    runs = {"array program": arrays.run, "NumPy source": arrays.run_source}
    return runs if made.scalars is None else {**runs, "scalar program": made.scalars.run}


def assert_same_size(numbers, expected, what, lost=1e-320):
    """The same, but for the sign of infinities: a sum of two −0 can be 0 in an array program."""
    numbers, expected = (np.where(np.isinf(x), inf, x) for x in (numbers, expected))
    assert_same(numbers, expected, what, lost)


def rounded_away(cost, point):
    """How much of each gradient can be left where its terms cancel: 0 if it has no terms, or infinite ones."""
    leaves = [Value(number) for number in point]
    order = topological_order(cost(*leaves))
    sizes = dict.fromkeys([*order, *leaves], 0.0)  # the sum of the sizes of the terms
    sizes[order[-1]] = 1.0
    for node in reversed(order):
        for operand, slope in zip(node.operands, node.local_grads):
            sizes[operand] += sizes[node] * abs(slope) if sizes[node] else 0.0
    return [1e-14 * sizes[leaf] if math.isfinite(sizes[leaf]) else 0.0 for leaf in leaves]


def assert_every_way_is_the_engines(cost, given, assert_same=assert_same, lost=lambda cost, point: [0.0] * len(point)):
    """For arguments of one number each: values and gradients of all points at once, and of some alone.

    `lost` gives what can be left of the gradients at a point besides what `assert_same` allows.
    """
    theta, columns = np.ones(1), [np.array(column)[:, None] for column in zip(*given)]
    expected = [by_the_engine(cost, point) for point in given]
    left = 1e-320 + np.array([lost(cost, point) for point in given])
    for name, run in ways(cost, len(given[0])).items():
        _, _, gradients = run(theta, columns, True, [])
        engines = np.array([gradient for _, gradient in expected]) / len(given)  # of the mean
        assert_same(np.hstack(gradients), engines, f"{name}, all at once", left / len(given))
        for i in range(0, len(given), max(1, len(given) // 30)):
            value, _, gradients = run(theta, [column[i : i + 1] for column in columns], True, [])
            numbers, engines = [value, *np.ravel(gradients)], [expected[i][0], *expected[i][1]]
            assert_same(numbers, engines, f"{name} at {given[i]}", np.array([1e-320, *left[i]]))


@pytest.mark.parametrize("name", INDEPENDENT)
@pytest.mark.parametrize(
    "root", [root if root in USUAL else pytest.param(root, marks=pytest.mark.thorough) for root in ROOTS]
)
def test_every_row_below_every_root_agrees_at_special_values(root, name, most):
    def cost(u, *x):
        return u * ROOTS[root](record(name, *x))

    assert_every_way_is_the_engines(cost, points(1 + ROWS[name].arity, most))


@pytest.mark.parametrize("root", ROOTS)
def test_a_softmax_below_every_root_agrees_at_special_values(root, most):
    def cost(u, *x):
        return u * ROOTS[root](ts.softmax(x)[1])

    assert_every_way_is_the_engines(cost, points(4, most))


@pytest.mark.parametrize("name", INDEPENDENT)
def test_every_row_agrees_where_its_parts_overflow_or_underflow(name, thorough):
    arity = ROWS[name].arity

    def cost(*x):
        return record(name, *x)

    given = points(arity, 400 if thorough else 80, EDGES)
    for kind, run in ways(cost, arity).items():
        for point in given:
            value, gradient = by_the_engine(cost, point)
            found, _, gradients = run(np.ones(1), [np.array([[number]]) for number in point], True, [])
            assert_same([found, *np.ravel(gradients)], [value, *gradient], f"{kind} at {point}", lost=0.0)


@pytest.mark.parametrize(
    "outer", ["relu", "leaky_relu(0)", "abs", "maximum", "minimum", "where", "logaddexp", "erf", "/"]
)
@pytest.mark.parametrize("inner", ["*", "/", "log", "sqrt", "**", "tanh", "relu", "maximum", "logaddexp", "**0"])
def test_chains_agree_at_special_values(inner, outer, most):
    def cost(u, *x):
        inside = record(inner, *x[: ROWS[inner].arity])
        others = x[ROWS[inner].arity :]
        condition = others[: outer == "where"]
        return u * record(outer, *condition, inside, *others[len(condition) :])

    assert_every_way_is_the_engines(cost, points(ROWS[inner].arity + ROWS[outer].arity, most))


@pytest.mark.parametrize("fold", [ts.logaddexp, ts.maximum, ts.minimum])
@pytest.mark.parametrize("terms", [3, 5])
def test_folds_agree_at_special_values(fold, terms, most):
    def cost(u, *x):
        total = x[0]
        for term in x[1:]:
            total = fold(total, term)
        return u * total

    assert_every_way_is_the_engines(cost, points(1 + terms, most))

    def of_one_array(u, x):
        return cost(u[0], *x)

    given = points(terms, most)
    run = ts.vectorize(of_one_array, [Value(1.0)], wrt_inputs=True, check=False)
    for point in given:
        _, _, (_, gradient) = run(np.ones((1, 1)), np.array([point]))
        assert_same(gradient[0], by_the_engine(cost, (1.0, *point))[1][1:], point)


@pytest.mark.parametrize("z", [-745.0, -710.0, 709.5, 710.0, 745.0, 750.0])
def test_vectorize_takes_a_saturated_sigmoid(z):
    w = Value(z, "w")
    value, gradient = ts.vectorize(lambda x: ts.sigmoid(w * x), [w])(np.ones(3))
    assert_same([value, *gradient], [ts.sigmoid(w).data, math.exp(-abs(z))], z, lost=1e-323)


@given(decided.programs, st.lists(decided.points, min_size=1, max_size=6))
@example([("sqrt", (0, 0, 0))] * 4 + [("**-1", (16, 0, 0)), ("sqrt", (0, 0, 0)), ("*", (1, 4, 0))], [[0.0, 0.0, 0.5]])
def test_how_a_condition_was_computed_has_no_part_in_the_gradient(program, given):
    assert_every_way_is_the_engines(lambda *x: decided.run(program, x), given, assert_same_size, rounded_away)


@given(decided.programs, st.lists(st.tuples(decided.points, st.integers(0, 2)), min_size=1, max_size=6), st.booleans())
@example([("log", (0, 0, 0))], [([1.0, 0.0, 1.0], 0), ([0.0, 2.0, 1.0], 1)], True)
def test_an_entry_that_a_lookup_did_not_choose_has_no_part_in_the_gradient(program, given, weighted):
    """The engine sees the chosen entry alone; the programs compute them all, however steep."""
    w = Value(1.0)

    def cost(x, i):
        # w alone would be one node for all examples, whose upstream gradients the programs add up before its slope
        entries = [decided.run(program, [x_k, w * x_k, x_k]) for x_k in x]
        return ts.lookup([w * entry for entry in entries] if weighted else entries, i)

    X, indices = np.array([x for x, _ in given]), np.array([i for _, i in given])
    run = ts.vectorize(cost, [w], check=False)
    w.grad = 0.0
    for x, i in given:
        cost(list(map(Value, x)), i).backward(1.0 / len(given))
    with np.errstate(all="ignore"):
        ways = list(by_every_way(run, [X, indices]))
    for value, gradient in ways:
        assert_same_size(gradient, [w.grad], "gradient", lost=1e-14)  # a sum whose terms, about 1, can cancel
        assert_same_size([value], [np.mean([cost(list(map(Value, x)), i).data for x, i in given])], "value", lost=1e-14)


CASES = {
    "sqrt of where": lambda w, v, x: ts.sqrt(ts.where(1.0, 0.0 * w, v) * x),
    "sqrt of relu": lambda w, v, x: ts.sqrt(ts.relu(w - 2.0)) + v * x,
    "log of a clip": lambda w, v, x: ts.log(ts.minimum(ts.maximum(w * x, 0.0), v * 0.0)),
    "dropout by where": lambda w, v, x: ts.sqrt(ts.where(x, w, 0.0)) + v,
    "a root decides": lambda w, v, x: ts.where(ts.greater(ts.sqrt(w - 1.0), x), w, v * x),
    "a root decides over there": lambda w, v, x: ts.where(ts.sqrt(w - 1.0), v, x) + ts.sqrt(v) * x,
    "a root decides, of the same form": lambda w, v, x: ts.where(ts.sqrt(w - 1.0), v, x) + ts.sqrt(v - 1.0) * x,
    "x⁰": lambda w, v, x: ts.log(w - 1.0) ** 0 * v * x,
    "a masked softmax": lambda w, v, x: ts.logaddexp(ts.logaddexp(v * -inf, w * -inf), w * x),
}


@pytest.mark.parametrize("name", CASES)
def test_vectorize_does_not_take_an_infinite_gradient_for_randomness(name):
    w, v = Value(1.0, "w"), Value(3.0, "v")
    run = ts.vectorize(lambda x: CASES[name](w, v, x), [w, v])
    for X in (np.array([1.0]), np.array([1.0, 2.0, 0.0, -1.0, 3.0])):
        _, gradient = run(X)
        w.grad = v.grad = 0.0
        for x in X.tolist():
            CASES[name](w, v, Value(x)).backward(1.0 / len(X))
        np.testing.assert_allclose(gradient, [w.grad, v.grad], rtol=1e-12)


@pytest.mark.parametrize("way", ["auto", "arrays"])
@pytest.mark.parametrize("reduce", ["mean", None])
def test_numbers_beyond_float32_become_infinite_without_a_warning(way, reduce):
    w = Value(1e39, "w")
    run = ts.vectorize(lambda x: w * ts.exp(x), [w], dtype="float32", way=way, reduce=reduce)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for numbers in ([1.0, 2.0], [1e39, 1.0], [1e300, -1e300]):
            run(np.array(numbers))
            run.values(np.array(numbers))
            assert run.parameters.tolist() == [np.inf]
        run.parameters = [1e40]
        w.data = 2e39
        run.write_back()
    assert w.data == np.inf


def test_adding_0_to_minus_0_gives_0():
    u, v = Value(0.0), Value(-1.0)
    run = ts.vectorize(lambda x: ts.atan2(u * x + 0.0, v), [u, v])
    for value, _ in by_every_way(run, [np.array([-30.0, -2.0, -1.0])]):
        assert value == math.pi

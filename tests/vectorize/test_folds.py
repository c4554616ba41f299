"""A chain of maximum or minimum, or ts.max of a list, is one statement, with the engine's gradient, ties included."""

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st
from programs import by_every_way
from support.array_program import assembled

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.vectorize.program import Fold

NUMBERS = st.sampled_from([0.0, 1.0, -1.0, 2.0, 0.25, math.inf, -math.inf, math.nan])
FOLDS = st.sampled_from([ts.maximum, ts.minimum, ts.max, ts.min])


def folded(fold, start, terms):
    if fold in (ts.max, ts.min):
        return fold([start, *terms])
    for term in terms:
        start = fold(start, term)
    return start


@given(
    FOLDS,
    st.integers(2, 9),
    st.integers(1, 3),
    st.lists(NUMBERS, min_size=27, max_size=27),
    st.lists(NUMBERS, min_size=1, max_size=5),
    st.sampled_from([None, 0.0, -math.inf, 1.0]),
    st.booleans(),
)
def test_a_fold_has_the_engines_gradient_where_terms_tie(fold, n, rows, numbers, X, start, mixed):
    params = list(map(Value, numbers))[: n * rows]

    def cost(x):
        total = 0.0
        for r in range(rows):
            terms = [p + x if mixed and k % 2 else p * x for k, p in enumerate(params[r * n : r * n + n])]
            total = total + (folded(fold, *([terms[0], terms[1:]] if start is None else [start, terms]))) * params[0]
        return total

    run = ts.vectorize(cost, params, check=False)
    for x in X:
        cost(Value(x)).backward(1.0 / len(X))
    expected = [p.grad for p in params]
    for _, gradient in by_every_way(run, [np.array(X)]):
        np.testing.assert_allclose(gradient, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("number", [2.0, 2.0**33, 1e300, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("fold", [ts.max, ts.min, ts.maximum, ts.minimum])
def test_a_constant_of_any_size_shares_in_ties(fold, place, number):
    w = [Value(1.0), Value(0.0)]

    def cost(x):
        first, *terms = [*(terms := [w[0] * x, w[1] + x])[:place], number, *terms[place:]]
        return folded(fold, first, terms)

    cost(Value(number)).backward()
    expected = [p.grad for p in w]
    for _, gradient in by_every_way(ts.vectorize(cost, w), [np.array([number, number])]):
        np.testing.assert_allclose(gradient, expected, rtol=1e-12)


OF_BOTH = {
    "parameters first": lambda fold, w, x: fold([w[0], w[1], x]),
    "the argument first": lambda fold, w, x: fold([x, w[0], w[1]]),
    "computed of parameters": lambda fold, w, x: fold([w[0] * w[2], w[1] / w[2], 2.0, x, x * w[2]]),
    "one among others": lambda fold, w, x: fold([w[0], w[1], w[0] * w[2], x]) * fold([w[0], w[1], 2.0]) + w[1] * x,
}


@pytest.mark.parametrize("reduce", [None, "mean"])
@pytest.mark.parametrize("way", ["arrays", "scalar", "auto"] if ts.accelerated else ["arrays"])
@pytest.mark.parametrize("fold", [ts.max, ts.min])
@pytest.mark.parametrize("kind", OF_BOTH)
def test_parameters_share_in_the_ties_of_a_list_with_each_example(kind, fold, way, reduce):
    """Also where what depends on parameters alone is computed once for all examples."""
    w = [Value(2.0), Value(2.0), Value(1.0)]
    X = np.array([2.0, 1.0, 3.0, 2.0])
    rows = []
    for x in X:
        for p in w:
            p.grad = 0.0
        OF_BOTH[kind](fold, w, Value(x)).backward()
        rows.append([p.grad for p in w])
    for outputs in ("one", "two") if reduce is None else ("one",):

        def function(x, outputs=outputs):
            C = OF_BOTH[kind](fold, w, x)
            return C if outputs == "one" else [C, x * w[2]]

        gradient = ts.vectorize(function, w, reduce=reduce, way=way)(X)[1]
        found = gradient if outputs == "one" else gradient[:, 0]
        np.testing.assert_allclose(found, rows if reduce is None else np.mean(rows, axis=0), rtol=1e-12)


def test_lists_within_lists_and_chains_share_by_themselves():
    """Each list shares equally among its own ties, whatever it is a part of."""
    w = [Value(1.0) for _ in range(7)]

    def cost(x):
        a, b, c, d, e, f, g = (p * x for p in w)
        return ts.max([ts.max([a, b, c]), d, ts.maximum(ts.min([e, f, g]), a)])

    for _, gradient in by_every_way(ts.vectorize(cost, w), [np.ones(20)]):
        assert gradient == pytest.approx([1 / 9 + 1 / 6, 1 / 9, 1 / 9, 1 / 3, 1 / 18, 1 / 18, 1 / 18], rel=1e-15)


def test_the_equations_say_how_a_tie_is_shared():
    params = [Value(float(k)) for k in range(4)]
    of_list = ts.vectorize(lambda x: ts.max([p * x for p in params]), params)
    of_chain = ts.vectorize(lambda x: folded(ts.maximum, params[0] * x, [p * x for p in params[1:]]), params)
    for run in (of_list, of_chain):
        run(np.ones(9))
    assert r"\text{, each takes } \frac{1}{k}" in of_list.equations
    assert r"the last one takes" in of_chain.equations


def test_a_fold_of_thousands_is_one_statement():
    params = [Value(float(i * 37 % 1009)) for i in range(5000)]
    run = ts.vectorize(lambda x: folded(ts.maximum, params[0] * x, [p * x for p in params[1:]]), params)
    value, gradient = run(np.ones(50))
    ties = np.flatnonzero([p.data == value for p in params])
    assert gradient[ties].tolist() == [0.5 ** (len(ties) - max(i, 1)) for i in range(len(ties))]
    assert np.count_nonzero(gradient) == len(ties)
    assert r"\max_j" in run.equations
    assert len(run.equations.each) < 10


def test_the_largest_of_a_logaddexp_stays_a_constant():
    params = [Value(0.5), Value(0.25), Value(-1.0)]
    run = ts.vectorize(lambda x: folded(ts.logaddexp, params[0] * x, [p * x for p in params[1:]]), params)
    _, gradient = run(np.ones(3))
    assert gradient == pytest.approx(np.exp([0.5, 0.25, -1.0]) / np.exp([0.5, 0.25, -1.0]).sum(), rel=1e-12)


def test_functions_of_a_list_are_one_fold_each():
    params = [Value(0.5), Value(0.25), Value(-1.0), Value(2.0)]

    def log_sum_exp(x):
        terms = [p * x for p in params]
        largest = ts.max(terms)
        return largest + ts.log(ts.sum(ts.exp(term - largest) for term in terms))

    program = assembled(log_sum_exp, params, [np.ones(3)])
    assert [s.op for s in program.forward if isinstance(s, Fold)] == ["maximum", "+"]
    assert len(program.forward) == 9


def test_the_error_for_the_builtin_max_names_the_function_of_a_list():
    with pytest.raises(ts.TraceError, match=r"it was compared: .* from a list with ts\.max or ts\.min"):
        ts.vectorize(lambda x: max([x, x * x]), [Value(1.0)])(np.ones(2))


@pytest.mark.skipif(not ts.accelerated, reason="no compiled executor")
def test_logaddexp_should_take_about_as_long_as_what_it_is_made_of():
    def expected(function):
        w = Value(0.5)
        run = ts.vectorize(lambda x: function(w * x, w), [w], way="arrays")
        run(np.ones(3))
        return run._last.arrays.expected(10_000)

    made = expected(lambda a, b: ts.maximum(a, b) + ts.log1p(ts.exp(-ts.abs(a - b))))
    assert made / 2 < expected(ts.logaddexp) < 2 * made

"""Derivatives of each example by array programs, in one part or with what depends on parameters alone split off."""

import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from programs import Draw
from support.each_example import close, engine, require_engines
from support.vectorize_cases import CASES

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.vectorize import each_by_parts
from tinygrad_scalar.vectorize.each_by_parts import InOnePart, InTwoParts, add_matrices, matrices
from tinygrad_scalar.vectorize.each_by_products import EachByProducts, add_products
from tinygrad_scalar.vectorize.outputs import outputs_of
from tinygrad_scalar.vectorize.scalar_program import executor
from tinygrad_scalar.vectorize.trace import flat

REDUCTIONS = [None, "mean", "sum"]


def several(function):
    """A function with a list of outputs, some of which read little."""
    return lambda *arguments: [C := function(*arguments), 2.0, C * C + 1.0, ts.sin(C)]


@pytest.mark.parametrize("outputs", [pytest.param("one", marks=pytest.mark.thorough), "several"])
@pytest.mark.parametrize("name", CASES)
def test_functions_of_every_kind_have_the_engines_derivatives(name, outputs):
    function, params, arrays = CASES[name](Draw(0))
    function = function if outputs == "one" else several(function)
    for reduce in REDUCTIONS if outputs == "several" else [None]:
        for way in ("arrays", "auto"):
            require_engines(function, params, arrays, reduce, way=way)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.integers(1, 7), min_size=2, max_size=4),
    st.sampled_from([1, 2, 3, 17, 40]),
    st.sampled_from(REDUCTIONS),
    st.sampled_from(["tanh", "relu", "sigmoid"]),
    st.integers(0, 10**6),
)
def test_networks_of_every_size_have_the_engines_jacobian(sizes, m, reduce, activation, seed):
    net = ts.MLP(sizes[0], sizes[1:], activation, seed=seed)
    X = np.random.default_rng(seed).normal(size=(m, sizes[0]))
    run = require_engines(lambda x: outputs_of(net(x)).values, net.parameters(), [X], reduce, way="arrays")
    assert isinstance(run._last.quicker.way, EachByProducts)


def numpy_instead(run):
    """Let the array program run as NumPy source."""
    quicker = run._last.quicker
    way = (quicker.rest if isinstance(quicker, InTwoParts) else quicker).way
    way.way._native, way.way.kind = None, "NumPy"
    return run


@pytest.mark.parametrize("reduce", REDUCTIONS)
@pytest.mark.parametrize("name", ["convolution", "causal_attention_with_two_heads", "cross_entropy_of_classes"])
def test_the_numpy_source_gives_the_same(name, reduce):
    function, params, arrays = CASES[name](Draw(1))
    run = ts.vectorize(several(function), params, reduce=reduce, wrt_inputs=True, way="arrays")
    before = run(*arrays)
    after = numpy_instead(run)(*arrays)
    for ours, theirs in zip([*after[:2], *after[2]], [*before[:2], *before[2]]):
        if theirs is not None:
            close(ours, theirs)
    run.parameters[:] *= 0.5  # its buffers are kept from call to call
    anew = ts.vectorize(several(function), params, reduce=reduce, wrt_inputs=True, way="arrays")
    anew.parameters[:] = run.parameters
    close(run(*arrays)[1], anew(*arrays)[1])


def test_more_examples_than_run_at_a_time_are_the_same():
    net = ts.MLP(2, [3, 2], "tanh", seed=0)
    X = np.random.default_rng(0).normal(size=(5000, 2))
    by_arrays, by_scalars = (ts.vectorize(lambda x: net(x), net.parameters(), reduce=None, way=way)
                             for way in ("arrays", "auto"))  # fmt: skip
    close(by_arrays(X)[1], np.concatenate([by_scalars(X[:2500])[1], by_scalars(X[2500:])[1]]))


@pytest.mark.parametrize("m", [1, 2, 5, 33])
def test_add_products_puts_and_adds_in_any_columns(m):
    random = np.random.default_rng(m)
    left, right = random.normal(size=(m, 3)), random.normal(size=(m, 4))
    for columns in (np.arange(12).reshape(3, 4), random.permutation(15)[:12].reshape(3, 4), np.arange(3)[:, None]):
        right_of = right[:, : columns.shape[1]].copy()
        expected = np.ones((m, 15))
        for e in range(m):
            expected[e, columns] += np.outer(left[e], right_of[e])
        ours = [add_products] + ([executor().add_products] if executor() else [])
        for function in ours:
            out = np.ones((m, 15))
            function([(left, right_of, columns, False, None)], out)
            np.testing.assert_allclose(out, expected, rtol=1e-15)
            function([(left, right_of, columns, True, None)], out)
            np.testing.assert_allclose(out[:, columns.ravel()], expected[:, columns.ravel()] - 1.0, rtol=1e-12)


# --- what depends on parameters alone --------------------------------------------------------------------------------


def leaves(d, *shape):
    return [[Value(number) for number in row] for row in d.normal(*shape).tolist()]


def layer(W, x):
    return [ts.tanh(sum(w * a for w, a in zip(row, x))) for row in W]


def weight_normalisation(d):
    V, g = leaves(d, 5, 4), leaves(d, 1, 5)[0]

    def function(x):
        W = []
        for v, size in zip(V, g):
            length = ts.sqrt(sum(a * a for a in v))
            W.append([size * a / length for a in v])
        return layer(W, x)

    return function, [*flat(V), *g], 4


def positive_weights(d):
    V = leaves(d, 6, 3)
    return lambda x: layer([[ts.softplus(v) for v in row] for row in V], x), [*flat(V)], 3


def a_penalty_of_all_weights(d):
    V = leaves(d, 3, 4)
    return lambda x: sum(a * a for a in layer(V, x)) + 0.1 * sum(v * v for row in V for v in row), [*flat(V)], 4


def rotations(d):
    angles = leaves(d, 1, 3)[0]

    def function(p):
        for i, angle in enumerate(angles):
            c, s, (j, k) = ts.cos(angle), ts.sin(angle), [(1, 2), (0, 2), (0, 1)][i]
            p = list(p)
            p[j], p[k] = c * p[j] - s * p[k], s * p[j] + c * p[k]
        return p

    return function, angles, 3


def chained_matrices(d):
    angles = leaves(d, 1, 4)[0]

    def times(A, B):
        return [[sum(a * b for a, b in zip(row, column)) for column in zip(*B)] for row in A]

    def function(p):
        M = [[1.0, 0.0], [0.0, 1.0]]
        for angle in angles:
            M = times(M, [[ts.cos(angle), -ts.sin(angle)], [ts.sin(angle), ts.cos(angle)]])
            p = [a + 0.1 * sum(m * b for m, b in zip(row, p)) for a, row in zip(p, M)]
        return p

    return function, angles, 2


def outputs_of_parameters_alone(d):
    a, b, c = leaves(d, 1, 3)[0]
    return lambda x: [ts.exp(a) * x[0], ts.sin(a * b), b, 3.0, ts.sin(a * b) * x[1] + c], [a, b, c], 2


SPLIT = [
    weight_normalisation,
    positive_weights,
    a_penalty_of_all_weights,
    chained_matrices,
    rotations,
    outputs_of_parameters_alone,
]


@pytest.mark.parametrize("m", [1, 3, 40])
@pytest.mark.parametrize("reduce", REDUCTIONS)
@pytest.mark.parametrize("make", SPLIT)
def test_what_depends_on_parameters_alone_is_split_off(make, reduce, m):
    d = Draw(2)
    function, params, size = make(d)
    as_list = lambda x: outputs_of(function(x)).values  # noqa: E731
    for way in ("arrays", "auto", *(["scalar"] if executor() else [])):
        run = require_engines(as_list, params, [d.normal(m, size)], reduce, way=way)
        assert isinstance(run._last.quicker, InTwoParts)


@pytest.mark.parametrize("rows", ["one", "three"])
def test_lookups_among_computed_numbers_are_lookups_in_the_frontier(rows):
    d = Draw(3)
    w = leaves(d, 1, 5)[0]

    def function(i, x):
        table = [ts.exp(a) * w[0] for a in w]
        found = ts.lookup(table, i) * x
        return found if rows == "one" else [found, ts.lookup(w, i) + x, w[1]]

    arrays = [np.array([0, 4, 2, 2, 1, 3, 0]), d.normal(7)]
    for reduce in REDUCTIONS if rows == "three" else [None]:
        for way in ("arrays", "auto"):
            require_engines(function, w, arrays, reduce, way=way)


def test_a_low_rank_product_is_not_multiplied_out():
    d = Draw(4)
    U, V = leaves(d, 12, 2), leaves(d, 2, 12)

    def function(x):
        W = [[sum(a * b for a, b in zip(row, column)) for column in zip(*V)] for row in U]
        return sum(layer(W, x))

    run = require_engines(function, [*flat(U), *flat(V)], [d.normal(20, 12)], None)
    assert not isinstance(run._last.quicker, InTwoParts)  # 144 numbers of 48 parameters, from 432 operations


@pytest.mark.parametrize("density", [0.0, 0.05, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("seed", range(8))
def test_the_small_matrices_are_the_whole_one(density, seed, monkeypatch):
    random = np.random.default_rng(seed)
    f, n = random.integers(1, 15, 2).tolist()
    whole = random.normal(size=(f, n)) * (random.random((f, n)) < density)
    row, column = np.nonzero(whole)
    of_rest, before = random.normal(size=(7, f)), random.normal(size=(7, n))
    for add in [add_matrices] + ([executor().add_matrices] if executor() else []):
        monkeypatch.setattr(each_by_parts, "ADD_MATRICES", add)
        both = np.concatenate([before, of_rest], axis=1)
        for some in matrices(np.bincount(row, minlength=f).tolist(), column.tolist()):
            some.add(whole[row, column], both, n)
        np.testing.assert_allclose(both[:, :n], before + of_rest @ whole, rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(both[:, n:], of_rest)


# --- numbers that are not finite, guards, pickles --------------------------------------------------------------------


@pytest.mark.parametrize("reduce", REDUCTIONS)
@pytest.mark.parametrize("way", ["arrays", "auto"])
@pytest.mark.parametrize("number", [0.0, -0.0, np.inf, -np.inf, np.nan, 1e200])
def test_what_is_not_finite_is_the_engines(number, way, reduce):
    V = [[Value(0.5 + i + j) for j in range(3)] for i in range(4)]

    def function(x):
        a = [sum(ts.sqrt(v) * b for v, b in zip(row, x)) for row in V]
        return [ts.sqrt(a[0]), ts.maximum(a[1], a[2]), a[3] * a[3], 1.0 / x[0], ts.relu(x[1]) * V[0][0]]

    params = [*flat(V)]
    X = np.random.default_rng(0).normal(size=(20, 3)) ** 2
    run = ts.vectorize(function, params, reduce=reduce, way=way)
    run(X)
    for at in [(0, 0), (7, 1)]:
        Z = X.copy()
        Z[at] = number
        with np.errstate(all="ignore"):
            values, jacobian, _ = engine(function, params, [Z])
            if reduce:
                over = 20 if reduce == "mean" else 1
                values, jacobian = values.sum(axis=0) / over, jacobian.sum(axis=0) / over
            got = run(Z)
        np.testing.assert_allclose(got[0], values, rtol=1e-12)
        np.testing.assert_allclose(got[1], jacobian, rtol=1e-12, atol=1e-300)


def test_parameters_that_are_infinitely_steep_are_the_engines():
    w = [Value(0.0), Value(2.0)]

    def function(x):
        return [ts.sqrt(w[0]) * x, ts.sqrt(w[1]) * x, w[1] * x]

    X = np.array([0.0, 1.0, -2.0])
    with np.errstate(all="ignore"):
        values, jacobian = ts.vectorize(function, w, reduce=None, way="arrays")(X)
        theirs = engine(function, w, [X])
    np.testing.assert_array_equal(jacobian, theirs[1])
    close(values, theirs[0])


@pytest.mark.parametrize("way", ["arrays", "auto"])
def test_ties_are_the_engines(way):
    w = [Value(1.0), Value(1.0), Value(-1.0)]

    def function(x):
        u = [a * b for a, b in zip(w, x)]
        return [ts.max(u), ts.min(u), ts.relu(u[0]), ts.maximum(u[0], u[1]), abs(u[2])]

    X = np.array([[1.0, 1.0, -1.0], [0.0, -0.0, 0.0], [2.0, 1.0, 3.0]] * 9)
    for reduce in REDUCTIONS:
        require_engines(function, w, [X], reduce, way=way)


@pytest.mark.parametrize("way", ["arrays", "auto"])
def test_nothing_leaks_from_the_side_that_an_example_does_not_take(way):
    w = [Value(0.5), Value(2.0)]
    function = lambda x: [ts.cond(ts.greater(x, 0.0), lambda: ts.log(x * w[0]), lambda: x * w[1]), w[0] * x]  # noqa: E731
    X = np.array([1.0, -2.0, 0.5, -0.1, 0.0] * 40)
    for reduce in REDUCTIONS:
        run = require_engines(function, w, [X], reduce, way=way)
        assert run._last.quicker is not None


def test_sums_of_products_that_differ_between_examples_have_gradients_of_each():
    p = [Value(0.3), Value(0.1)]

    def price(S, K):
        u, r = ts.exp(p[0] * 0.5), ts.exp(p[1] * 0.25)
        q = (r - 1.0 / u) / (u - 1.0 / u)
        values = [ts.maximum(K - S * u ** (8 - 2 * i), 0.0) for i in range(9)]
        while len(values) > 1:
            values = [(q * a + (1.0 - q) * b) / r for a, b in itertools.pairwise(values)]
        return values[0]

    random = np.random.default_rng(0)
    run = require_engines(price, p, [random.uniform(0.5, 1.5, 40), random.uniform(0.5, 1.5, 40)], None)
    assert run._last._products() is not None


def test_distances_from_parameters_have_gradients_of_each_example():
    random = np.random.default_rng(0)
    c = [[Value(v) for v in row] for row in random.normal(size=(12, 5)).tolist()]
    leaves = [v for row in c for v in row]
    X = random.normal(size=(60, 5))

    def function(x):
        squares = [sum((a - b) ** 2 for a, b in zip(x, row)) for row in c]
        return ts.logsumexp([-s for s in squares])

    run = require_engines(function, leaves, [X], None)
    assert run._last.quicker is not None


@pytest.mark.parametrize("way", ["arrays", "auto"])
def test_no_examples_are_an_error_as_ever(way):
    net = ts.MLP(2, [3, 2], "tanh", seed=0)
    run = ts.vectorize(lambda x: net(x), net.parameters(), reduce=None, way=way)
    with pytest.raises(ValueError, match="example"):
        run(np.empty((0, 2)))


def test_guards_speak_for_each_way():
    w = [Value(1.0), Value(0.5)]
    run = ts.vectorize(lambda a, y: [ts.hinge(ts.exp(w[0]) * a, y), w[1]], w, reduce=None, way="arrays")
    run([0.5, 1.0], [-1, 1])
    with pytest.raises(ValueError, match=r"hinge targets must be −1 or \+1, got 0\.0"):
        run([0.5, 1.0], [-1, 0])


@pytest.mark.parametrize("make", [weight_normalisation, positive_weights])
def test_a_pickle_gives_the_same_to_the_bit(make):
    d = Draw(5)
    function, params, size = make(d)
    X = d.normal(30, size)
    run = ts.vectorize(function, params, reduce=None, wrt_inputs=True, way="arrays")
    before = run(X)
    loaded = pickle.loads(pickle.dumps(run))
    after = loaded(X)
    for ours, theirs in zip([*before[:2], *before[2]], [*after[:2], *after[2]]):
        np.testing.assert_array_equal(ours, theirs)
    assert loaded.source == run.source and loaded.explain() == run.explain()


def test_the_same_call_gives_the_same_bits():
    d = Draw(6)
    function, params, size = weight_normalisation(d)
    X = d.normal(30, size)
    first, second = (ts.vectorize(function, params, reduce=None)(X) for _ in range(2))
    np.testing.assert_array_equal(first[1], second[1])


@pytest.mark.skipif(executor() is None, reason="there is no choice without the executor")
def test_explain_says_which_way_runs():
    net = ts.MLP(20, [16, 4], "tanh", seed=0)
    run = ts.vectorize(lambda x: net(x), net.parameters(), reduce=None)
    X = np.random.default_rng(0).normal(size=(500, 20))
    run(X)
    assert isinstance(run._last.quicker, InOnePart)
    assert "500 examples: the array program runs" in run.explain() and "the scalar program" in run.explain()
    assert "is 1 for the output that is wanted" in run.source

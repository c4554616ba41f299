"""Squared distances between many centroids and an example are one statement, with the digits of the engine."""

import math

import numpy as np
import pytest
from hypothesis import example, given, strategies as st
from programs import Draw, assert_equal_to_the_engine, by_every_way
from support.array_program import assembled
from support.structures import STRUCTURES
from support.vectorize_cases import flat

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.vectorize.program import Distances, DistancesGradient, Fold, Gather, Scatter, Shares
from tinygrad_scalar.vectorize.reverse import differentiate

SQUARES = {
    "(c - x)**2": lambda c, x: (c - x) ** 2,
    "(x - c)**2": lambda c, x: (x - c) ** 2,
    "(c - x)(c - x)": lambda c, x: (c - x) * (c - x),
}
FUNCTIONS = {
    "itself": lambda z: 1.0 * z,
    "exp(-z)": lambda z: ts.exp(-z),
    "sqrt(z)": ts.sqrt,
    "1/z": lambda z: 1.0 / z,
}


@pytest.mark.parametrize("name", ["nearest_centroid", "nearest_centroid_by_a_product"])
def test_the_nearest_centroid_is_seven_statements(name):
    program = assembled(*STRUCTURES[name](Draw()))
    differentiate(program)
    assert [type(s) for s in program.forward] == [Gather, Distances, Gather, Fold]
    assert [type(s) for s in program.backward] == [Shares, DistancesGradient, Scatter]


def test_radial_basis_functions_have_one_statement_for_their_distances():
    program = assembled(*STRUCTURES["radial_basis_functions"](Draw()))
    (distances,) = [s for s in program.forward if isinstance(s, Distances)]
    assert distances.sizes == (5, 3, 1)


@given(
    st.integers(1, 12),
    st.integers(1, 4),
    st.integers(1, 3),
    st.sampled_from(sorted(SQUARES)),
    st.sampled_from(sorted(FUNCTIONS)),
    st.booleans(),
    st.sampled_from([0.0, 1e4]),
    st.integers(0, 2**32),
)
@example(3, 2, 1, "(c - x)**2", "1/z", False, 1e4, 0)  # expanded, |c|² − 2cx + |x|² would lose half the digits
def test_distances_have_the_engines_digits_wherever_the_origin_is(p, k, q, square, function, computed, offset, seed):
    d = Draw(seed)
    params, shift = [[Value(offset + c.data) for c in row] for row in d.values(p, k)], Value(0.0)

    def cost(X):
        points = [[x + shift for x in point] for point in X] if computed else X
        total = 0.0
        for centroid in params:
            for x in points:
                squares = [SQUARES[square](c, x_j) for c, x_j in zip(centroid, x)]
                total = total + FUNCTIONS[function](sum(squares))
        return total

    assert_equal_to_the_engine(cost, [*flat(params), shift], [offset + d.normal(5, q, k)], check=False)


NUMBERS = st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0, math.inf, -math.inf, math.nan])


@given(
    st.lists(NUMBERS, min_size=6, max_size=6),
    st.lists(NUMBERS, min_size=4, max_size=4),
    st.sampled_from([ts.minimum, ts.maximum]),
)
@example([0.0, 0.0, 2.0, 0.0, 0.0, 0.0], [1.0, 0.0, 1.0, 1.0], ts.minimum)  # ties
@example([math.inf, 0.0, 1.0, 1.0, 0.0, 2.0], [1.0, 0.0, 1.0, 1.0], ts.minimum)  # an infinity that is not chosen
def test_ties_and_infinities_are_the_engines(centroids, numbers, fold):
    params = [Value(number) for number in centroids]

    def cost(x):
        distances = [sum((c - x_j) ** 2 for c, x_j in zip(params[i : i + 2], x)) for i in (0, 2, 4)]
        return fold(fold(distances[0], distances[1]), distances[2])

    X = np.reshape(numbers, (2, 2))
    run = ts.vectorize(cost, params, check=False)
    for x in X:
        cost([Value(number) for number in x]).backward(0.5)
    expected = [p.grad for p in params]
    for _, gradient in by_every_way(run, [X]):
        np.testing.assert_allclose(gradient, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("rows", "columns", "m"),
    [pytest.param(40, 30, 40, id="rows"), pytest.param(3, 2, 9000, id="examples", marks=pytest.mark.thorough)],
)
def test_distances_of_more_than_fits_into_the_cache_are_the_engines(rows, columns, m):
    d = Draw()
    params = d.values(rows, columns)
    cost = lambda x: sum(ts.exp(-0.01 * sum((c - x_j) ** 2 for c, x_j in zip(row, x))) for row in params)  # noqa: E731
    assert_equal_to_the_engine(cost, flat(params), [d.normal(m, columns)], check=False)


@pytest.mark.parametrize("m", [1, 7, 8, 15, 16, 17, 24, 33, 47, 64, 71, 130])
@pytest.mark.parametrize("p", [1, 2, 5])
def test_any_number_of_examples_side_by_side_has_the_engines_distances(p, m):
    d = Draw(m)
    params = d.values(p, 3)
    cost = lambda x: ts.min([ts.sum((c - x_j) ** 2 for c, x_j in zip(row, x)) for row in params])  # noqa: E731
    assert_equal_to_the_engine(cost, flat(params), [d.normal(m, 3)], check=False)


def test_a_distance_that_a_lookup_did_not_choose_has_no_part_though_it_is_infinite():
    params = [Value(0.5 * k) for k in range(6)]

    def cost(x, i):
        return ts.lookup([sum((c - x_j) ** 2 for c, x_j in zip(params[k : k + 2], x)) for k in (0, 2, 4)], i)

    X, rows = np.array([[1.0, 2.0], [3.0, math.inf]]), np.array([0, 1])
    run = ts.vectorize(cost, params, check=False)
    for x, row in zip(X, rows.tolist()):
        cost([Value(number) for number in x], row).backward(0.5)
    for _, gradient in by_every_way(run, [X, rows]):
        np.testing.assert_allclose(gradient, [p.grad for p in params], rtol=1e-12)


def test_a_difference_that_is_computed_twice_is_one_row():
    params = [Value(1.0), Value(2.0)]
    program = assembled(lambda x: sum(ts.exp(p - x) * ts.cos(p - x) for p in params), params, [np.ones(2)])
    assert [s.out.rows for s in program.forward if getattr(s, "op", "") == "-"] == [2]


def test_distances_are_shown_in_words_and_as_a_sum_of_squares():
    cost, params, arrays = STRUCTURES["nearest_centroid"](Draw())
    run = ts.vectorize(cost, params)
    run(*arrays)
    assert "squared distances between the rows of rows1 (4×3) and the columns of XT (3×m)" in run.explain()
    assert r"\sum_t \left(" in run.equations and r"_{it}" in run.equations

"""Sparse Jacobians and Hessians: the same numbers as the dense ones, in few passes."""

import sys
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, strategies as st

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.transforms import sparse as module
from tinygrad_scalar.transforms.call import Call


class Counted:
    """Counts the passes over the graph."""

    def __init__(self, linear, count):
        self.linear, self.count = linear, count

    def __getattr__(self, name):
        return getattr(self.linear, name)

    def push(self, directions):
        self.count["push"] += 1
        return self.linear.push(directions)

    def pull(self, weights):
        self.count["pull"] += 1
        return self.linear.pull(weights)


@pytest.fixture
def passes(monkeypatch):
    count = {"push": 0, "pull": 0}
    original = Call.linear_of
    monkeypatch.setattr(Call, "linear_of", lambda self, outputs: Counted(original(self, outputs), count))
    return count


def tridiagonal(x):
    return ts.sum([(a - b) ** 2 * a + ts.sin(b) for a, b in pairwise(x)])


def arrow(x):
    return ts.sum([(x[0] * x_i) ** 2 for x_i in x])


def banded(x):
    return ts.sum([x[i] * x[i + 1] * x[i + 2] + x[i] ** 4 for i in range(len(x) - 2)])


def on_a_grid(x, side=6):
    at = lambda i, j: x[i * side + j]  # noqa: E731
    across = [(at(i, j) - at(i, j + 1)) ** 4 for i in range(side) for j in range(side - 1)]
    down = [(at(i, j) - at(i + 1, j)) ** 4 for i in range(side - 1) for j in range(side)]
    return ts.sum(across + down)


HESSIANS = {
    "tridiagonal": (tridiagonal, 3),
    "arrow": (arrow, 2),
    "banded": (banded, 5),
    "on a grid": (on_a_grid, 8),
    "diagonal": (lambda x: ts.sum([x_i**3 for x_i in x]), 1),
    "linear": (lambda x: ts.sum([2.0 * x_i for x_i in x]), 0),
    "blocks": (lambda x: ts.sum([x[i] * x[i + 1] * x[i + 2] for i in range(0, 36, 3)]), 3),
    "two dense rows": (lambda x: ts.sum([x[0] * x_i**2 + x_i**2 * x[20] for x_i in x]), 3),
}


@pytest.mark.parametrize(("f", "most"), HESSIANS.values(), ids=HESSIANS)
def test_a_sparse_hessian_is_the_dense_one_in_few_passes(f, most, passes):
    x = np.random.default_rng(0).normal(size=36)
    dense = ts.hessian(f)(x)
    passes.update(push=0, pull=0)
    found = ts.hessian(f, sparse=True)(x)
    assert scipy.sparse.issparse(found)
    np.testing.assert_allclose(found.toarray(), dense, rtol=1e-14)
    assert passes["push"] + passes["pull"] <= most
    assert found.nnz == np.count_nonzero(dense)


JACOBIANS = {
    "differences": (lambda x: x[1:] - x[:-1], 2),
    "a dense row": (lambda x: [*(x * x), x.sum()], 2),
    "a dense column": (lambda x: x * x[0], 2),
    "a dense row and a dense column": (lambda x: [*(x * x[0]), (x**3).sum()], 3),
    "one output": (lambda x: [(x**2).sum()], 1),
    "one input": (lambda x: [x[0] * k for k in range(20)], 1),
    "pairs": (lambda x: [x[i] * x[i + 10] for i in range(10)], 2),
    "nothing": (lambda x: [Value(1.0), 2.0], 0),
    "the same output twice": (lambda x: [x[0], x[0], x[1] * x[0]], 2),
}


@pytest.mark.parametrize(("f", "most"), JACOBIANS.values(), ids=JACOBIANS)
def test_a_sparse_jacobian_is_the_dense_one_in_few_passes(f, most, passes):
    x = np.random.default_rng(1).normal(size=20)
    dense = np.array(ts.jacobian(f)(x))
    passes.update(push=0, pull=0)
    found = ts.jacobian(f, sparse=True)(x)
    np.testing.assert_allclose(found.toarray(), dense, rtol=1e-14)
    assert found.shape == dense.shape
    assert passes["push"] + passes["pull"] <= most


PATTERNS = st.integers(1, 12).flatmap(
    lambda n: st.lists(st.lists(st.integers(0, n - 1), max_size=n), min_size=1, max_size=12).map(lambda rows: (n, rows))
)


@given(PATTERNS)
def test_any_pattern(pattern):
    n, rows = pattern
    x = [0.5 + j for j in range(n)]
    f = lambda x: [ts.sum([x[j] ** 2 * (i + 1) for j in row]) for i, row in enumerate(rows)]  # noqa: E731
    if any(rows):
        found = ts.jacobian(f, sparse=True)(x)
        assert found.toarray().tolist() == ts.jacobian(f)(x)
        assert found.nnz == sum(len(set(row)) for row in rows)


@pytest.mark.parametrize("most_in_a_small_set", [0, 3, 100])
def test_patterns_of_many_inputs_are_those_of_few(monkeypatch, most_in_a_small_set):
    n = 24
    f = lambda x: [ts.sum(x[i : i + k]) * x[-i - 1] for k in range(1, 12) for i in range(0, n - k, 5)]  # noqa: E731
    x = [0.5 + j for j in range(n)]
    as_bits = ts.jacobian(f, sparse=True)(x)
    monkeypatch.setattr(module, "MOST_INPUTS_AS_BITS", 0)
    monkeypatch.setattr(module, "MOST_IN_A_SMALL_SET", most_in_a_small_set)
    as_sets = ts.jacobian(f, sparse=True)(x)
    for name in ("indptr", "indices", "data"):
        assert getattr(as_sets, name).tolist() == getattr(as_bits, name).tolist()


@given(PATTERNS)
def test_no_row_has_two_columns_of_one_colour(pattern):
    n, rows = pattern
    rows = [sorted(set(row)) for row in rows]
    colours = module.coloured(rows, n)
    for row in rows:
        assert len({colours[j] for j in row}) == len(row)
    assert [colour >= 0 for colour in colours] == [any(j in row for row in rows) for j in range(n)]


def test_the_pattern_does_not_depend_on_the_numbers():
    f = lambda x: [ts.relu(x[0]) * x[1], ts.maximum(x[0], x[1]), x[0] * 0.0]  # noqa: E731
    for x in ([1.0, 2.0], [-1.0, 0.0], [0.0, 0.0]):
        assert ts.jacobian(f, sparse=True)(x).nnz == 5


def test_a_condition_that_decides_is_not_in_the_pattern():
    f = lambda x: [ts.where(ts.greater(x[0], 0.0), x[1] * x[1], -x[1])]  # noqa: E731
    for first in (1.0, -1.0):
        found = ts.jacobian(f, sparse=True)([first, 3.0])
        assert found.indices.tolist() == [1]
        assert found.toarray().tolist() == ts.jacobian(f)([first, 3.0])


def test_rows_and_columns_stand_in_the_order_of_the_numbers():
    f = lambda p, q: {"u": [p["a"] * q[1, 0]], "v": p["b"][0] * q[0, 1]}  # noqa: E731
    found = ts.jacobian(f, argnums=(0, 1), sparse=True)({"a": 2.0, "b": [3.0]}, np.array([[1.0, 5.0], [7.0, 1.0]]))
    assert found.toarray().tolist() == [[7.0, 0.0, 0.0, 0.0, 2.0, 0.0], [0.0, 5.0, 0.0, 3.0, 0.0, 0.0]]
    matrix, aux = ts.hessian(lambda x: (x * x, "aux"), sparse=True, has_aux=True)(3.0)
    assert (matrix.toarray().tolist(), aux) == ([[2.0]], "aux")


def test_a_tridiagonal_hessian_of_ten_thousand_variables_takes_three_passes(passes, thorough):
    n = 10_000 if thorough else 2_000
    H = ts.hessian(tridiagonal, sparse=True)(np.linspace(0.0, 1.0, n))
    assert H.shape == (n, n)
    assert H.nnz == 3 * n - 2
    assert passes["push"] + passes["pull"] == 3
    assert abs(H - H.T).max() < 1e-14


def test_newtons_method_with_a_sparse_hessian():
    x = np.full(50, 0.7)
    f = lambda x: ts.sum([(1.0 - a) ** 2 + 2.0 * (b - a * a) ** 2 for a, b in pairwise(x)])  # noqa: E731
    for _ in range(12):
        x = x - scipy.sparse.linalg.spsolve(ts.hessian(f, sparse=True)(x).tocsc(), ts.grad(f)(x))
    np.testing.assert_allclose(x, 1.0, rtol=1e-12)


def test_without_scipy_sparse_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    with pytest.raises(ImportError, match=r"jacobian with sparse=True needs SciPy: pip install scipy"):
        ts.jacobian(lambda x: x, sparse=True)([1.0])


def test_values_whose_gradients_a_matrix_of_floats_would_lose_are_refused():
    w = Value(2.0)
    with pytest.raises(TypeError, match=r"hessian with sparse=True returns a matrix of floats.*\.data"):
        ts.hessian(lambda x: x[0] ** 2, sparse=True)([w])
    with pytest.raises(TypeError, match=r"depends on Values from outside of the function"):
        ts.jacobian(lambda x: [w * x[0]], sparse=True)([1.0])
    assert ts.hessian(lambda x: w + x[0] ** 2, sparse=True)([1.0]).toarray().tolist() == [[2.0]]

"""Derivatives that go on from the frontier to the parameters without being written down."""

import numpy as np
import pytest

from tinygrad_scalar.vectorize.each_by_parts import matrices
from tinygrad_scalar.vectorize.each_by_products import add_products
from tinygrad_scalar.vectorize.executor import executor
from tinygrad_scalar.vectorize.through import MOST_COLUMNS, Through, ways_through

IN_EACH_WAY = [add_products] + ([executor().add_products] if executor() else [])


def some_parts(random, n, f):
    """The columns of parts: parameters, numbers of the frontier or both."""
    shapes = [(3, 2), (1, 4), (5, 1), (2, 2)]
    wheres = [range(n, n + f), range(n), range(n + f), range(n, n + f)]
    columns = [random.permutation(where)[: p * q].reshape(-1, q) for (p, q), where in zip(shapes, wheres)]
    return [its for its in columns if its.size]


@pytest.mark.parametrize("rows", [1, 15, 16, 100])
@pytest.mark.parametrize("density", [0.0, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_what_goes_through_the_frontier_is_its_derivatives_times_its_jacobian(seed, density, rows):
    random = np.random.default_rng(seed)
    n, f = 11, 9
    whole = random.normal(size=(f, n)) * (random.random((f, n)) < density)
    row, column = np.nonzero(whole)
    parts = some_parts(random, n, f)
    ways = ways_through(parts, n, matrices(np.bincount(row, minlength=f).tolist(), column.tolist()), row.size)
    assert any(isinstance(way, Through) for way in ways)
    numbers = np.concatenate([whole[row, column], [0.0, 1.0]])
    both, given = np.zeros((rows, n + f)), []
    for columns, way in zip(parts, ways):
        p, q = columns.shape
        left, right = random.normal(size=(rows, p)), random.normal(size=(1 if p == 5 else rows, q))
        both[:, columns] += left[:, :, None] * right[:, None]
        straight = way if isinstance(way, bool) else False
        given.append((left, right, columns, straight, None if isinstance(way, bool) else way.with_numbers(numbers)))
    expected = both[:, :n] + both[:, n:] @ whole
    for add in IN_EACH_WAY:
        out = np.zeros((rows, n))
        assert add(given, out)
        np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-12)


def test_large_matrices_are_left_to_blas():
    f, n = 3, MOST_COLUMNS + 1
    whole = matrices([n] * f, list(range(n)) * f)
    assert ways_through([np.arange(n, n + f)[:, None]], n, whole, f * n) is None


@pytest.mark.skipif(executor() is None, reason="the native executor belongs to the compiled Value")
def test_indices_that_are_out_of_bounds_are_refused():
    left, right = np.ones((4, 2)), np.ones((4, 1))
    way = ways_through([np.array([[1], [2]])], 1, matrices([1, 1], [0, 0]), 2)[0]
    i, j, matrix, bounds, columns, first = way.with_numbers(np.array([2.0, 3.0, 0.0, 1.0]))
    add = executor().add_products
    for wrong in (
        (i + 1, j, matrix, bounds, columns, first),
        (i, j - 1, matrix, bounds, columns, first),
        (i, j, matrix, bounds + 1, columns, first),
        (i, j, matrix, bounds, columns + 1, first),
    ):
        with pytest.raises(IndexError):
            add([(left, right, None, False, wrong)], np.zeros((4, 1)))
    with pytest.raises(IndexError):
        add([(left, right, np.array([[0], [2]]), False, None)], np.zeros((4, 2)))
    for wrong in (np.ones((3, 2)), np.ones((5, 2))):
        with pytest.raises(ValueError, match="rows of both factors"):
            add([(wrong, right, np.array([[0], [1]]), False, None)], np.zeros((4, 2)))

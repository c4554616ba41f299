"""A lookup's error says which argument of which example asked for which row, and which rows there are."""

import pickle

import numpy as np
import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine.errors import TraceError

W = [Value(0.5), Value(1.5), Value(-2.0)]
X, ROWS, PAIRS = np.ones(5), np.array([0, 1, 2, 1, 0]), np.array([[0, 1], [2, 0], [1, 1], [0, 2], [2, 2]])
ONE = (lambda x, i: ts.lookup(W, i) * x), ROWS, "argument 1"
OF_A_PAIR = (lambda x, i: ts.lookup(W, i[0]) * ts.lookup(W[:3], i[1]) * x), PAIRS, r"argument 1\[1\]"
IN_A_BRANCH = (lambda x, i: ts.cond(ts.greater(x, 0.0), lambda: ts.lookup(W, i) * x, lambda: x)), ROWS, "argument 1"


def with_one_wrong(rows, row):
    wrong = rows.copy()
    wrong[3, ...] = wrong[3] * [0, 1] + [0, row - wrong[3, 1]] if rows.ndim == 2 else row
    return wrong


@pytest.mark.parametrize("row", [3, -1, 10**9])
@pytest.mark.parametrize("options", [{}, {"way": "arrays"}, {"reduce": None}, {"reduce": "sum"}, {"check": False}])
@pytest.mark.parametrize(("cost", "rows", "name"), [ONE, OF_A_PAIR, IN_A_BRANCH])
@pytest.mark.parametrize("first", [True, False])
def test_a_missing_row_is_said_to_be_whose_it_is(cost, rows, name, options, row, first):
    run = ts.vectorize(cost, W, **options)
    if not first:
        run(X, rows)
    error = f"^lookup expected a row from 0 to 2, got {row} from {name} in example 3$"
    for call in (run, run, run.values):
        with pytest.raises(ValueError, match=error):
            call(X, with_one_wrong(rows, row))


@pytest.mark.parametrize("reduce", ["mean", None])
def test_a_pickle_says_so_too(reduce):
    run = ts.vectorize(ONE[0], W, reduce=reduce)
    run(X, ROWS)
    with pytest.raises(ValueError, match="got 7 from argument 1 in example 3"):
        pickle.loads(pickle.dumps(run))(X, with_one_wrong(ROWS, 7))


def test_the_smallest_of_several_tables_counts():
    run = ts.vectorize(lambda x, i: ts.lookup(W, i) * ts.lookup(W[:2], i) * x, W)
    with pytest.raises(ValueError, match="lookup expected a row from 0 to 1, got 2 from argument 1 in example 2"):
        run(X, ROWS)


def test_an_error_that_is_not_about_rows_stays_as_it_is():
    def cost(x, i):
        ts.binary_cross_entropy(x, ts.lookup(W, i).sigmoid())
        return ts.lookup(W, i) * x

    with pytest.raises(ValueError) as raised:
        ts.vectorize(cost, W)(np.full(5, 2.0), ROWS)
    assert "lookup" not in str(raised.value)


@pytest.mark.parametrize(("rows", "name"), [(ROWS * 1.0, "argument 1 of"), (PAIRS * 1.0, r"argument 1\[0\] of")])
def test_an_index_that_is_no_integer_is_said_to_be_which_argument(rows, name):
    with pytest.raises(TraceError, match=f"passed as an array of integers, got {name} an array of float64: pass X.ast"):
        ts.vectorize(lambda x, i: ts.lookup(W, i[0] if isinstance(i, list) else i) * x, W)(X, rows)


def test_an_index_that_is_computed_is_said_to_be_so():
    with pytest.raises(TraceError, match="passed as an array of integers, got a computed value"):
        ts.vectorize(lambda x, i: ts.lookup(W, i * 1.0) * x, W)(X, ROWS)

"""Which statements compute the groups: matrix products, gathers, folds and lookups (step 4)."""

import numpy as np
import pytest
from programs import Draw
from support.array_program import assembled, run
from support.structures import STRUCTURES
from support.vectorize_cases import CASES, dot, flat

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.vectorize import sums
from tinygrad_scalar.vectorize.products import _grid
from tinygrad_scalar.vectorize.program import Elementwise, Fold, Gather, Lookup, Product, Scatter
from tinygrad_scalar.vectorize.trace import example_arguments


def values(*shape):
    numbers = iter(0.1 * np.arange(1, 1 + np.prod(shape)))
    w = np.array([Value(float(number)) for number in numbers], object).reshape(shape)
    return w.tolist()


def statements(program, kind):
    return [statement for statement in program.forward if isinstance(statement, kind)]


@pytest.mark.parametrize("name", CASES)
def test_the_program_computes_the_cost_of_every_example(name):
    cost, params, arrays = CASES[name](Draw())
    program = assembled(cost, params, arrays)
    found = run(program, [p.data for p in params], arrays)[program.cost][0]
    m = len(arrays[0])
    expected = [cost(*example_arguments(arrays, i)).data for i in range(m)]
    np.testing.assert_allclose(np.broadcast_to(found, (m,)), expected, rtol=1e-12, atol=1e-12)


def test_a_dense_layer_is_one_product_with_its_weights_as_they_are():
    w = values(2, 3)
    program = assembled(lambda x: sum(dot(row, x).tanh() for row in w), flat(w), [np.ones((4, 3))])
    (product,) = statements(program, Product)
    assert (product.form, product.left.shape, product.right) == ("LR", (2, 3), program.arguments[0])
    weights = statements(program, Gather)[0]
    assert (weights.out, weights.index.tolist()) == (product.left, [[0, 1, 2], [3, 4, 5]])


def test_parameters_in_any_order_are_gathered_into_the_matrix():
    w = values(2, 3)
    order = [4, 0, 3, 5, 1, 2]
    params = [flat(w)[i] for i in order]
    program = assembled(lambda x: sum(dot(row, x).tanh() for row in w), params, [np.ones((4, 3))])
    (product,) = statements(program, Product)
    gather = next(s for s in program.forward if s.out is product.left)
    assert [order[i] for i in gather.index.ravel()] == [0, 1, 2, 3, 4, 5]


def test_shared_weights_are_a_product_with_a_column_for_each_use():
    w = values(3)
    program = assembled(lambda x: sum(dot(w, x[t : t + 3]).tanh() for t in range(4)), w, [np.ones((2, 6))])
    (product,) = statements(program, Product)
    windows = next(s for s in program.forward if s.out is product.right)
    assert product.left.shape == (1, 3)
    assert windows.index.T.tolist() == [[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5]]


def test_sums_of_products_that_form_no_grid_are_gathered_multiplied_and_folded():
    w = values(3)
    cost = lambda x: dot(w[:2], x[:2]).tanh() + dot(w[1:], x[1:]).tanh() + dot(w[:2], x[1:]).tanh()  # noqa: E731
    program = assembled(cost, w, [np.ones((2, 3))])
    assert not statements(program, Product)
    (times,) = [s for s in statements(program, Elementwise) if s.op == "*"]
    assert times.out.rows == 6
    assert statements(program, Fold)[0].source.shape == (3, 2)


def test_products_of_a_matrix_product_are_not_computed_one_by_one():
    net = ts.MLP(5, [4], "tanh", seed=0)
    program = assembled(lambda x: sum(net(x)), net.parameters(), [np.ones((2, 5))])
    assert [s.op for s in statements(program, Elementwise)] == ["+", "tanh"]


def test_a_group_of_equal_operands_is_one_row():
    w = values(3)
    program = assembled(lambda x: sum((w_k * x).tanh() for w_k in w), w, [np.ones(2)])
    (times,) = [s for s in statements(program, Elementwise) if s.op == "*"]
    assert {operand.rows for operand in times.operands} == {3, 1}


def test_constants_of_a_sum_are_added_up():
    w = values(1)
    program = assembled(lambda x: 1.0 + w[0] * x + 2.0 - 0.5, w, [np.ones(2)])
    (plus,) = [s for s in statements(program, Elementwise) if s.op == "+"]
    assert plus.operands[1].values.tolist() == [2.5]


def test_sums_of_different_lengths_are_joined():
    w = values(70)
    cost = lambda x: sum((dot(w[: i + 1], w[: i + 1]) * x).tanh() for i in range(70))  # noqa: E731
    program = assembled(cost, w, [np.ones(2)])
    assert len(program.forward) < 400
    found = run(program, [p.data for p in w], [np.array([0.1])])[program.cost][0, 0]
    assert found == pytest.approx(cost(Value(0.1)).data, rel=1e-13)
    assert statements(program, Scatter)


def test_a_lookup_reads_a_table_of_parameters():
    w = values(3, 2)
    cost = lambda i: sum(ts.lookup(w, i))  # noqa: E731
    program = assembled(cost, flat(w), [np.array([0, 2])])
    (lookup,) = statements(program, Lookup)
    assert lookup.source is program.parameters
    assert lookup.tables[lookup.which].tolist() == [[0, 2, 4], [1, 3, 5]]


def test_logaddexp_of_many_is_shifted_by_its_largest_term():
    w = values(3)

    def cost(x):
        return ts.logaddexp(ts.logaddexp(w[0] * x, w[1] * x), w[2] * x)

    program = assembled(cost, w, [np.ones(1)])
    assert [s.op for s in statements(program, Fold)] == ["maximum", "+"]
    numbers = run(program, [p.data for p in w], [np.array([1e4])])
    assert numbers[program.cost][0, 0] == cost(Value(1e4)).data


@pytest.mark.parametrize(
    ("left", "right", "grid"),
    [
        ([[0, 1], [0, 1], [2, 3], [2, 3]], [[4, 5], [6, 7], [4, 5], [6, 7]], (2, 2, None)),
        ([[0, 1], [2, 3]], [[4, 5], [4, 5]], (2, 1, None)),
        ([[0, 1], [2, 3], [0, 1], [2, 3]], [[4, 5], [4, 5], [6, 7], [6, 7]], (2, 2, [0, 2, 1, 3])),
        ([[0, 1], [2, 3]], [[4, 5], [6, 7]], None),  # two of the four pairs
        ([[0, 1], [0, 1], [2, 3], [0, 1]], [[4, 5], [6, 7], [4, 5], [6, 7]], None),  # one pair twice
    ],
)
def test_a_grid_has_every_pair_of_rows_once(left, right, grid):
    found = _grid(np.array(left), np.array(right))
    if grid is None:
        assert found is None
    else:
        p, q, places = grid
        assert (found.left.shape[1], found.right.shape[2], found.places.tolist()) == (p, q, places or [*range(p * q)])


def gathers_of_examples(program):
    """The gathers of rows that differ between examples and are not just consecutive rows of another array."""
    gathers = [s for s in statements(program, Gather) if s.out.batched]
    return [s for s in gathers if (s.index.ravel() != s.index.ravel()[0] + np.arange(s.index.size)).any()]


def test_sums_of_many_lengths_are_one_scatter():
    w = values(12)
    neighbours = [range(i % 5 + 1) for i in range(12)]
    cost = lambda x: sum((x[i] * sum(w[i] * x[j] ** 3 for j in those)).tanh() for i, those in enumerate(neighbours))  # noqa: E731
    program = assembled(cost, w, [np.ones((2, 12))])
    (scatter,) = statements(program, Scatter)
    ((_, owners),) = scatter.parts
    assert sorted(np.bincount(owners)) == sorted(map(len, neighbours))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "attention_with_two_heads",
            6,
        ),  # X, the queries, keys and contents, the largest and sums of a row, the shares, …
        ("convolution", 1),  # the windows
        ("grouped_convolution", 1),
        ("mixture_of_gaussians", 2),  # X for each component, and its differences
    ],
)
def test_rows_are_stored_in_the_order_of_what_they_are_computed_from(name, expected):
    assert len(gathers_of_examples(assembled(*STRUCTURES[name](Draw())))) == expected


def test_looking_for_the_order_of_rows_takes_time_in_proportion_to_their_operands(monkeypatch):
    looks, is_run = [], sums._is_run
    monkeypatch.setattr(sums, "_is_run", lambda places: looks.append(places) or is_run(places))
    random = np.random.default_rng(0)
    rows = [random.permutation(20) for _ in range(100)]
    sums.better_order(rows, fixed=True)
    assert len(looks) < 12 * len(rows)

    same = [np.argsort(np.argsort(rows[0]))] * 100
    looks.clear()
    np.testing.assert_array_equal(sums.better_order(same, fixed=True), np.argsort(same[0]))
    assert len(looks) < 4 * len(same)

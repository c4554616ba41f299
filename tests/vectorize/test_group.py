"""Which scalars become the rows of one array: sums, colours and order (steps 1 to 3)."""

import functools

import numpy as np
import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.vectorize.chains import FOLDED
from tinygrad_scalar.vectorize.group import Grouping, group
from tinygrad_scalar.vectorize.trace import trace


def grouping_of(cost, params, *arrays, ragged=False):
    grouping = Grouping(trace(cost, params, [np.asarray(array) for array in arrays]), len(arrays), ragged=ragged)
    grouping.order()
    return grouping


def values(*numbers):
    return [Value(float(number), f"w[{i}]") for i, number in enumerate(numbers)]


def folds_of(grouping):
    """For each fold its operation and its terms, as (sign, the number of the leaf)."""
    found = []
    for node in np.flatnonzero(grouping.sums.fold >= 0):
        _, terms, signs = grouping.terms_of(np.array([node]))
        numbers = [(int(sign), float(grouping.trace.data[term])) for sign, term in zip(signs, terms)]
        found.append((FOLDED[grouping.sums.fold[node]], numbers))
    return found


W = values(1, 2, 3, 4)


@pytest.mark.parametrize(
    ("cost", "folds"),
    [
        (lambda x: W[0] + W[1] + W[2] + W[3], [("+", [(1, 1.0), (1, 2.0), (1, 3.0), (1, 4.0)])]),
        (lambda x: (W[0] + W[1]) + (W[2] + W[3]), [("+", [(1, 1.0), (1, 2.0), (1, 3.0), (1, 4.0)])]),
        (lambda x: W[0] - (W[1] - W[2]), [("+", [(1, 1.0), (-1, 2.0), (1, 3.0)])]),
        (lambda x: W[0] - (W[1] - (W[2] - W[3])), [("+", [(1, 1.0), (-1, 2.0), (1, 3.0), (-1, 4.0)])]),
        (lambda x: sum(W[:3]), [("+", [(1, 1.0), (1, 2.0), (1, 3.0)])]),  # without the 0 that sum() starts with
        (lambda x: W[0] - W[1], []),
        (
            lambda x: ts.maximum(ts.maximum(W[0], W[1]), W[2]),
            [("maximum", [(1, 1.0), (1, 2.0), (1, 3.0)])],
        ),
    ],
)
def test_a_chain_of_additions_is_one_sum_with_the_signs_of_its_terms(cost, folds):
    found = folds_of(grouping_of(cost, W, np.ones(1)))
    assert [(op, sorted(terms, key=lambda term: term[1])) for op, terms in found] == folds


def test_a_partial_sum_that_is_used_elsewhere_stays_a_sum_of_its_own():
    def cost(x):
        partial = W[0] + W[1]
        return (partial + W[2]) * partial

    assert [op for op, _ in folds_of(grouping_of(cost, W, np.ones(1)))] == ["+", "+"]


def test_a_maximum_of_maxima_is_folded_from_the_left_only():
    found = folds_of(grouping_of(lambda x: ts.maximum(W[0], ts.maximum(W[1], W[2])), W, np.ones(1)))
    assert len(found) == 2  # in (a, (b, c)) a tie shares the gradient unlike in ((a, b), c)


def test_a_sum_with_a_large_constant_keeps_its_order():
    found = folds_of(grouping_of(lambda x: W[0] + 6755399441055744.0 - 6755399441055744.0, W, np.ones(1)))
    assert found == []


def test_nodes_of_one_operation_on_operands_of_one_colour_are_one_group():
    grouping = grouping_of(lambda x: sum((w * u).tanh() for w, u in zip(W, x)), W, np.ones((1, 4)))
    assert [key[0] for key in grouping.keys] == ["constant", "parameter", "argument", "*", "tanh", "+"]
    assert [nodes.size for nodes in grouping.nodes[3:]] == [4, 4, 1]
    assert grouping.batched == [False, False, True, True, True, True]


def test_a_product_has_the_colour_of_its_operands_in_either_order():
    grouping = grouping_of(lambda x: W[0] * x[0] + x[1] * W[1], W[:2], np.ones((1, 2)))
    assert [key[0] for key in grouping.keys[3:]] == ["*", "+"]
    products = grouping.nodes[3]
    parameters, arguments = grouping.operands_of(products, 0), grouping.operands_of(products, 1)
    assert (grouping.trace.parameter[parameters] >= 0).all()
    assert (grouping.trace.argument[arguments] >= 0).all()


def test_a_quotient_does_not():
    grouping = grouping_of(lambda x: W[0] / x[0] + x[1] / W[1], W[:2], np.ones((1, 2)))
    assert [key[0] for key in grouping.keys[3:]] == ["/", "/", "+"]


def test_sums_of_different_lengths_have_one_colour_only_if_ragged():
    def cost(x):
        return sum(W[:2]).tanh() + sum(W[:3]).tanh() + sum(W).tanh()

    counts = {
        ragged: len([key for key in grouping_of(cost, W, np.ones(1), ragged=ragged).keys if key[0] == "tanh"])
        for ragged in (False, True)
    }
    assert counts == {False: 3, True: 1}


def test_what_constants_alone_make_is_a_constant():
    c = Value(3.0)
    grouping = grouping_of(lambda x: W[0] * ((c * 2.0).tanh() + 1.0), W[:1], np.ones(1))
    assert [key[0] for key in grouping.keys[3:]] == ["*"]


def test_rows_are_in_the_order_of_their_first_use_from_the_cost_down():
    def cost(x):
        z = [w * x for w in W]
        return z[2].tanh() + z[0].tanh() + z[3].tanh() + z[1].tanh()

    grouping = grouping_of(cost, W, np.ones(1))
    products = grouping.nodes[3]
    assert grouping.trace.parameter[grouping.operands_of(products, 0)].tolist() == [2, 0, 3, 1]
    assert grouping.place[products].tolist() == [0, 1, 2, 3]


def test_the_products_of_a_layer_are_a_grid_of_weights_row_by_row():
    net = ts.MLP(3, [2], "tanh", seed=0)
    grouping = grouping_of(lambda x: net(x)[0] + net.a[1][1], net.parameters(), np.ones((1, 3)))
    products = grouping.nodes[3]
    assert grouping.trace.parameter[grouping.operands_of(products, 0)].tolist() == [0, 1, 2, 3, 4, 5]
    assert grouping.trace.place[grouping.operands_of(products, 1)].tolist() == [0, 1, 2, 0, 1, 2]


def test_equal_constants_share_a_row_but_0_and_minus_0_do_not():
    grouping = grouping_of(
        lambda x: (W[0] * 2.0).tanh() + (W[1] * 2.0).tanh() / (W[2] * -0.0 + 0.0 * W[3]), W, np.ones(1)
    )
    assert sorted(map(str, grouping.constants.tolist())) == ["-0.0", "0.0", "2.0"]


def test_a_deep_program_is_irregular_and_none_is_called_so_that_is_not():
    def steps(n, step):
        return group_of(lambda x: functools.reduce(lambda z, _: step(z, x), range(n), x), if_regular=True)

    def group_of(cost, **options):
        return group(trace(cost, W, [np.ones(1)]), 1, **options)

    assert steps(1200, lambda z, x: ts.tanh(z) * W[0] + x).irregular
    assert not steps(200, lambda z, x: ts.tanh(z) * W[0] + x).irregular
    assert not steps(1200, lambda z, x: z + W[0] * x).irregular  # one sum
    of_constants = functools.reduce(lambda z, _: ts.tanh(z) + 1.0, range(1200), Value(1.0))
    assert not group_of(lambda x: of_constants * x, if_regular=True).irregular
    assert not group_of(
        lambda x: functools.reduce(ts.maximum, [ts.sin(x * k) for k in range(1500)]), if_regular=True
    ).irregular


def test_sums_with_terms_of_very_many_colours_are_irregular():
    def program(terms):
        powers = [functools.reduce(lambda p, _: ts.tanh(p) * 0.5, range(k), W[0]) for k in range(terms)]
        return lambda x: sum(ts.sin(sum(powers[k:]) + x) for k in range(terms))

    def is_irregular(terms):
        return group(trace(program(terms), W, [np.ones(1)]), 1).irregular

    assert is_irregular(60)  # 1,830 terms of 60 colours
    assert not is_irregular(30)


def test_a_program_in_which_hardly_anything_repeats_is_irregular():
    w = Value(0.5)

    def chain(x):
        for i in range(1500):
            w_x = x * w if i % 2 else x / w
            x = w_x.tanh() if i % 3 else w_x.sin()
        return x

    assert group(trace(chain, [w], [np.ones(1)]), 1).irregular
    net = ts.MLP(20, [20, 1], seed=0)
    assert not group(trace(net, net.parameters(), [np.ones((1, 20))]), 1).irregular

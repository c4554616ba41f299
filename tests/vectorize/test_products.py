"""Products of blocks, triangles and each example's own matrices are few statements, and equal to the engine."""

import math

import numpy as np
import pytest
from hypothesis import example, given, strategies as st
from programs import Draw, assert_equal_to_the_engine, by_every_way
from support.array_program import assembled, run as by_definition
from support.structures import STRUCTURES
from support.vectorize_cases import dot, flat

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.vectorize.program import Elementwise, Product
from tinygrad_scalar.vectorize.reverse import differentiate


def products(make, **sizes):
    program = assembled(*make(Draw(), **sizes))
    return [statement for statement in program.forward if isinstance(statement, Product)]


@pytest.mark.parametrize("name", STRUCTURES)
def test_every_structure_has_the_engines_value_and_gradient(name):
    assert_equal_to_the_engine(*STRUCTURES[name](Draw()))


@pytest.mark.parametrize("name", STRUCTURES)
def test_the_statements_by_their_definitions_give_the_same(name):
    cost, params, arrays = STRUCTURES[name](Draw())
    program = assembled(cost, params, arrays)
    differentiate(program)
    numbers = by_definition(program, [p.data for p in params], arrays)
    value, gradient = ts.vectorize(cost, params)(*arrays)
    assert numbers[program.cost].mean() == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(numbers[program.gradient][:, 0] / len(arrays[0]), gradient, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mixture_of_gaussians", [(3, (3, 4, 1))]),  # the triangles of all components at once
        ("attention_with_two_heads", [(1, (24, 8, 5)), (2, (5, 4, 5)), (2, (4, 5, 5)), (1, (8, 8, 5))]),
        ("convolution", [(1, (2, 9, 16))]),
        ("convolution_with_stride_2", [(1, (2, 9, 9))]),
        ("dilated_convolution", [(1, (2, 9, 16))]),
        ("convolution_of_several_channels", [(1, (2, 27, 9))]),
        ("grouped_convolution", [(2, (2, 18, 9))]),
        ("depthwise_convolution", [(3, (1, 9, 9))]),
        ("pooled_convolution", [(1, (2, 9, 16))]),
        ("lower_triangle_times_vector", [(1, (6, 6, 1))]),
        ("upper_triangle_times_matrix", [(1, (5, 5, 3))]),
    ],
)
def test_a_structure_has_few_products(name, expected):
    found = sorted((s.blocks, s.sizes) for s in products(STRUCTURES[name]))
    assert found == sorted(expected)


@pytest.mark.parametrize("name", ["mixture_of_gaussians", "lower_triangle_times_vector", "attention_with_two_heads"])
def test_larger_sizes_need_no_more_statements(name):
    small, large = (assembled(*STRUCTURES[name](Draw(), n=n)) for n in (6, 12))
    for program in (small, large):
        differentiate(program)
    assert len(small.forward) == len(large.forward) < 40
    assert len(small.backward) == len(large.backward) < 45


@given(
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 4),
    st.sampled_from(["full", "lower", "upper", "random"]),
    st.sampled_from(["parameters", "computed", "of each example"]),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_products_of_any_blocks_are_the_engines(blocks, p, k, q, pattern, left, minus, seed):
    d = Draw(seed)
    L, v = d.values(blocks, p, k), d.values(p)
    there = {
        "full": np.ones((p, k), bool),
        "lower": np.tri(p, k, dtype=bool),
        "upper": ~np.tri(p, k, -1, dtype=bool),
        "random": d.r.random((p, k)) < 0.6,
    }[pattern]

    def cost(X, Y):
        total = 0.0
        for b in range(blocks):
            for i in range(p):
                for j in range(q):
                    z = v[i]
                    for t in range(k):
                        factor = {"parameters": L[b][i][t], "computed": ts.exp(L[b][i][t])}.get(left, Y[b][i][t])
                        if there[i, t]:
                            z = z - factor * X[b][t][j] if minus else z + factor * X[b][t][j]
                    total = total + ts.tanh(z)
        return total

    arrays = [d.normal(3, blocks, k, q), d.normal(3, blocks, p, k)]
    assert_equal_to_the_engine(cost, flat([L, v]), arrays, check=False)


SPECIAL = st.sampled_from([0.0, -0.0, 1.0, -2.0, math.inf, -math.inf, math.nan])


@given(
    st.lists(SPECIAL, min_size=8, max_size=8),
    st.lists(SPECIAL, min_size=10, max_size=10),
    st.sampled_from([lambda z: z * z, lambda z: 1.0 / z, ts.tanh]),
)
@example([1.0] * 3 + [math.inf] + [1.0] * 4, [1.0] * 10, lambda z: z * z)  # adds nothing to the rows above its own
@example([1.0] * 8, [0.0] * 10, lambda z: 1.0 / z)  # an infinite gradient
def test_what_a_triangle_lacks_adds_nothing_even_to_infinities(x, numbers, function):
    params = [Value(number) for number in numbers]

    def cost(x):
        return sum(function(dot(params[i * (i + 1) // 2 :], x[: i + 1])) for i in range(4))

    arrays = [np.reshape(x, (2, 4))]
    run = ts.vectorize(cost, params, check=False)
    assert [s.there.tolist() for s in statements(cost, params, arrays)] == [np.tri(4, dtype=bool).tolist()]
    for example_ in arrays[0]:
        C = cost([Value(number) for number in example_])
        C.backward(0.5)
    expected = [p.grad for p in params]
    for _, gradient in by_every_way(run, arrays):
        np.testing.assert_array_equal(np.isnan(gradient), np.isnan(expected))
        np.testing.assert_allclose(gradient, expected, rtol=1e-12)


def statements(cost, params, arrays):
    return [statement for statement in assembled(cost, params, arrays).forward if isinstance(statement, Product)]


def test_products_that_a_matrix_product_contains_are_not_computed_again():
    program = assembled(*STRUCTURES["mixture_of_gaussians"](Draw()))
    computed = [s.out.rows for s in program.forward if isinstance(s, Elementwise) and s.op == "*"]
    assert sum(computed) == 3 + 3 + 9 + 3  # the first z's, their squares, the other squares, -0.5·sum


@pytest.mark.parametrize("largest", [40.0, 1e100, math.inf])
def test_shares_too_small_for_normal_numbers_are_the_engines(largest):
    cost, params, _ = STRUCTURES["mixture_of_gaussians"](Draw())
    X = np.linspace(0.0, 40.0, 200)[:, None] * np.array([1.0, -0.5, 0.25, 2.0])
    X[-1, 0] = largest
    run = ts.vectorize(cost, params, check=False)
    for x in X:
        cost([Value(number) for number in x.tolist()]).backward(1.0 / len(X))
    expected = np.array([p.grad for p in params])
    for _, ours in by_every_way(run, [X]):
        np.testing.assert_allclose(ours, expected, rtol=1e-11, atol=1e-320)


def test_blocks_are_shown_with_their_number():
    cost, params, arrays = STRUCTURES["grouped_convolution"](Draw())
    run = ts.vectorize(cost, params)
    run(*arrays)
    text = run.explain()
    assert "(2×2×18) @ " in text and ", for each of 2 blocks" in text
    assert "648 products" in text

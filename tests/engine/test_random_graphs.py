"""Random programs: gradients are HIPS autograd's, forward() equals building anew, differentiation is linear."""

import autograd
import autograd.numpy as anp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from programs import LEAVES, NUMBER, PROGRAM, STEPS, numbers_of, path_sums, result_of
from support.libraries import autograd_functions

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.inspection.names import topological_order

AUTOGRAD = autograd_functions()


@settings(max_examples=3 * settings.default.max_examples)
@given(PROGRAM, LEAVES)
def test_gradients_of_random_programs_are_autograds(program, numbers):
    leaves = [Value(number) for number in numbers]
    root = result_of(program, ts, leaves)
    root.backward()
    theirs = autograd.grad(lambda xs: result_of(program, AUTOGRAD, xs))(anp.array(numbers))
    sizes = path_sums(root)
    assert root.data == pytest.approx(result_of(program, AUTOGRAD, numbers), rel=1e-12, abs=1e-12)
    for leaf, grad in zip(leaves, theirs):
        assert abs(leaf.grad - grad) <= 1e-12 * sizes.get(leaf, 0.0)


@given(PROGRAM, LEAVES, st.data())
def test_forward_of_a_random_program_is_building_it_anew_bit_for_bit_and_idempotent(program, numbers, data):
    leaves = [Value(number) for number in numbers]
    root = result_of(program, ts, leaves)
    others = data.draw(st.lists(NUMBER, min_size=len(numbers), max_size=len(numbers)))
    for leaf, other in zip(leaves, others):
        leaf.data = other
    anew = result_of(program, ts, [Value(other) for other in others])
    for _ in range(2):
        root.forward()
        assert [(n.op, n.data, n.local_grads) for n in topological_order(root)] == [
            (n.op, n.data, n.local_grads) for n in topological_order(anew)
        ]


@given(PROGRAM, LEAVES, st.integers(0, 50))
def test_the_gradient_of_a_sum_is_the_sum_of_the_gradients(program, numbers, place):
    def gradients(choose):
        leaves = [Value(number) for number in numbers]
        made = numbers_of(program, ts, leaves)
        root = choose(made[place % len(made)], made[-1])
        root.backward()
        sizes = path_sums(root)
        return np.array([leaf.grad for leaf in leaves]), np.array([sizes.get(leaf, 0.0) for leaf in leaves])

    of_sum, sizes = gradients(lambda first, last: first + last)
    of_first, _ = gradients(lambda first, last: first)
    of_last, _ = gradients(lambda first, last: last)
    assert (abs(of_sum - (of_first + of_last)) <= 1e-13 * sizes).all()


@given(PROGRAM, LEAVES)
def test_a_second_backward_doubles_the_leaves_of_a_random_program_and_nothing_else(program, numbers):
    root = -result_of(program, ts, [Value(number) for number in numbers])
    root.backward()
    once = {node: node.grad for node in topological_order(root)}
    root.backward()
    sizes = path_sums(root)
    for node, grad in once.items():
        assert node.grad == grad if node.op else abs(node.grad - 2 * grad) <= 1e-14 * sizes[node]


@pytest.mark.parametrize("step", STEPS, ids=range(len(STEPS)))
def test_every_step_stays_within_the_range_it_starts_from(step):
    grid = np.linspace(-2.0, 2.0, 21)
    for x in grid:
        for y in grid:
            assert -2.0 <= step(ts, Value(x), Value(y), float(y)).data <= 2.0

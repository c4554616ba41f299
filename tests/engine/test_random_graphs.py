"""Random programs: gradients are HIPS autograd's, forward() is building anew, differentiation is linear.

A program is a list of steps; each step makes a number from two earlier ones (one number may be used many times, and
with itself) and a constant. Every step maps [−2, 2] into itself and is smooth there, so that any program of any length
stays clear of poles, kinks and overflow.
"""

from types import SimpleNamespace

import autograd
import autograd.numpy as anp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.inspection.names import topological_order

# autograd's functions by our names
AUTOGRAD = SimpleNamespace(
    abs=anp.abs, exp=anp.exp, expm1=anp.expm1, log=anp.log, log1p=anp.log1p, sqrt=anp.sqrt,
    sin=anp.sin, cos=anp.cos, tan=anp.tan, asin=anp.arcsin, acos=anp.arccos, atan=anp.arctan,
    sinh=anp.sinh, cosh=anp.cosh, tanh=anp.tanh, asinh=anp.arcsinh, acosh=anp.arccosh, atanh=anp.arctanh,
    maximum=anp.maximum, minimum=anp.minimum, logaddexp=anp.logaddexp, where=anp.where,
    sigmoid=lambda x: 1.0 / (1.0 + anp.exp(-x)),
    softplus=lambda x: anp.logaddexp(0.0, x),
    relu=lambda x: anp.maximum(x, 0.0),
    leaky_relu=lambda x, slope: anp.where(x > 0, x, slope * x),
)  # fmt: skip


# f: the library; x, y: earlier numbers; c: a constant; all from [−2, 2]
STEPS = [
    lambda f, x, y, c: (x + y) * 0.5,
    lambda f, x, y, c: (x + c) / 2,
    lambda f, x, y, c: (c + x) / 2.0,
    lambda f, x, y, c: 0.5 * (x - y),
    lambda f, x, y, c: (x - c) / 2,
    lambda f, x, y, c: (c - x) / 2,
    lambda f, x, y, c: (x * y) / 2,
    lambda f, x, y, c: 0.5 * (x * c),
    lambda f, x, y, c: 0.5 * (c * x),
    lambda f, x, y, c: x / (y + 3.0),
    lambda f, x, y, c: x / (c + 3),
    lambda f, x, y, c: c / (3 - x),
    lambda f, x, y, c: -x,
    lambda f, x, y, c: x**2 / 2,
    lambda f, x, y, c: x**3 * 0.25,
    lambda f, x, y, c: (x + 3) ** -1,
    lambda f, x, y, c: (x + 3) ** -2,
    lambda f, x, y, c: (x + 2.5) ** 0.5 - 1.0,
    lambda f, x, y, c: (x + 3.0) ** (y / 4) / 1.2,
    lambda f, x, y, c: (c + 3.0) ** (x / 4) / 1.2,
    lambda f, x, y, c: (x + 3.0) ** (c / 4) / 1.2,
    lambda f, x, y, c: abs(x + 3) - 3,
    lambda f, x, y, c: f.abs(x - 3.0) - 3.0,
    lambda f, x, y, c: f.exp(x / 3),
    lambda f, x, y, c: f.expm1(x * 0.5),
    lambda f, x, y, c: f.log(x + 3.0),
    lambda f, x, y, c: f.log1p(x + 2.5),
    lambda f, x, y, c: f.sqrt(x + 2.5) - 0.5,
    lambda f, x, y, c: f.sin(x),
    lambda f, x, y, c: f.cos(x),
    lambda f, x, y, c: f.tan(x * 0.5),
    lambda f, x, y, c: f.asin(x * 0.4),
    lambda f, x, y, c: f.acos(x * 0.2),
    lambda f, x, y, c: f.atan(x),
    lambda f, x, y, c: f.sinh(x * 0.7),
    lambda f, x, y, c: f.cosh(x * 0.6),
    lambda f, x, y, c: f.tanh(x),
    lambda f, x, y, c: f.asinh(x),
    lambda f, x, y, c: f.acosh(x + 3.5) - 1.0,
    lambda f, x, y, c: f.atanh(x * 0.4),
    lambda f, x, y, c: f.sigmoid(x * 3.0),
    lambda f, x, y, c: f.softplus(x) - 0.2,
    lambda f, x, y, c: f.relu(x + 2.5) * 0.4,
    lambda f, x, y, c: f.relu(x - 2.5) + y,
    lambda f, x, y, c: f.leaky_relu(x - 2.5, 0.1) + 0.5,
    lambda f, x, y, c: f.maximum(x, y - 4.5),
    lambda f, x, y, c: f.minimum(x - 4.5, y) + 4.5,
    lambda f, x, y, c: f.logaddexp(x, y) / 2,
    lambda f, x, y, c: f.where(x + 2.5, y, x),
]
NUMBER = st.floats(-2, 2, allow_subnormal=False)
PLACE = st.integers(0, 50)
PROGRAM = st.lists(st.tuples(st.sampled_from(STEPS), PLACE, PLACE, NUMBER), min_size=1, max_size=25)
LEAVES = st.lists(NUMBER, min_size=1, max_size=4)


def _run(program, library, leaves):
    """Every number that the program makes; the last three are in its result, so that most of it counts."""
    numbers = list(leaves)
    for step, i, j, constant in program:
        numbers.append(step(library, numbers[-1 - i % len(numbers)], numbers[-1 - j % len(numbers)], constant))
    return numbers


def _result(program, library, leaves):
    return sum(_run(program, library, leaves)[-3:])


def _path_sums(root):
    """Σ over paths |∏ local gradients|, the size of the terms that add up to each node's gradient.

    Where terms cancel the sum has fewer digits than they have, in any library: it is compared relative to them.
    """
    sums = {root: 1.0}
    for node in reversed(topological_order(root)):
        for operand, local_grad in zip(node.operands, node.local_grads):
            sums[operand] = sums.get(operand, 0.0) + abs(local_grad) * sums[node]
    return sums


@settings(max_examples=300, deadline=None)
@given(PROGRAM, LEAVES)
def test_gradients_of_random_programs_are_autograds(program, numbers):
    leaves = [Value(number) for number in numbers]
    root = _result(program, ts, leaves)
    root.backward()
    theirs = autograd.grad(lambda xs: _result(program, AUTOGRAD, xs))(anp.array(numbers))
    sizes = _path_sums(root)
    assert root.data == pytest.approx(_result(program, AUTOGRAD, numbers), rel=1e-12, abs=1e-12)
    for leaf, grad in zip(leaves, theirs):
        assert abs(leaf.grad - grad) <= 1e-12 * sizes.get(leaf, 0.0)


@settings(deadline=None)
@given(PROGRAM, LEAVES, st.data())
def test_forward_of_a_random_program_is_building_it_anew_to_the_bit_and_idempotent(program, numbers, data):
    leaves = [Value(number) for number in numbers]
    root = _result(program, ts, leaves)
    others = data.draw(st.lists(NUMBER, min_size=len(numbers), max_size=len(numbers)))
    for leaf, other in zip(leaves, others):
        leaf.data = other
    anew = _result(program, ts, [Value(other) for other in others])
    for _ in range(2):
        root.forward()
        assert [(n.op, n.data, n.local_grads) for n in topological_order(root)] == [
            (n.op, n.data, n.local_grads) for n in topological_order(anew)
        ]


@settings(deadline=None)
@given(PROGRAM, LEAVES, st.integers(0, 50))
def test_the_gradient_of_a_sum_is_the_sum_of_the_gradients(program, numbers, place):
    def gradients(choose):
        leaves = [Value(number) for number in numbers]
        made = _run(program, ts, leaves)
        root = choose(made[place % len(made)], made[-1])
        root.backward()
        sizes = _path_sums(root)
        return np.array([leaf.grad for leaf in leaves]), np.array([sizes.get(leaf, 0.0) for leaf in leaves])

    of_sum, sizes = gradients(lambda first, last: first + last)
    of_first, _ = gradients(lambda first, last: first)
    of_last, _ = gradients(lambda first, last: last)
    assert (abs(of_sum - (of_first + of_last)) <= 1e-13 * sizes).all()


@settings(deadline=None)
@given(PROGRAM, LEAVES)
def test_a_second_backward_doubles_the_leaves_of_a_random_program_and_nothing_else(program, numbers):
    root = -_result(program, ts, [Value(number) for number in numbers])
    root.backward()
    once = {node: node.grad for node in topological_order(root)}
    root.backward()
    sizes = _path_sums(root)
    for node, grad in once.items():
        assert node.grad == grad if node.op else abs(node.grad - 2 * grad) <= 1e-14 * sizes[node]


@pytest.mark.parametrize("step", STEPS, ids=range(len(STEPS)))
def test_every_step_stays_within_the_range_it_starts_from(step):
    grid = np.linspace(-2.0, 2.0, 21)
    for x in grid:
        for y in grid:
            assert -2.0 <= step(ts, Value(x), Value(y), float(y)).data <= 2.0

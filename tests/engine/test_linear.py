"""Linear: the local gradients between inputs and outputs, and passes over them."""

import random
from math import inf, isnan

import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine import Linear, tick


def program(seed, n=5, size=40):
    """Inputs, and outputs that a random program computes from them."""
    draw = random.Random(seed)
    inputs = [Value(draw.uniform(0.2, 2.0)) for _ in range(n)]
    nodes = [*inputs, Value(1.5)]
    for _ in range(size):
        x, y, z = (draw.choice(nodes) for _ in range(3))
        operations = [
            lambda x, y, z: x * y, lambda x, y, z: x + 0.5 * y, lambda x, y, z: x - y, lambda x, y, z: ts.sin(x),
            lambda x, y, z: ts.tanh(z), lambda x, y, z: ts.maximum(x, y),
            lambda x, y, z: ts.where(ts.greater(x, y), y * 1.0, z),
        ]  # fmt: skip
        nodes.append(draw.choice(operations)(x, y, z))
    return inputs, [draw.choice(nodes) for _ in range(4)]


@pytest.mark.parametrize("seed", range(20))
def test_pulls_are_the_gradients_of_backward_and_pushes_go_along_the_same_numbers(seed):
    start = tick()
    inputs, outputs = program(seed)
    linear = Linear(outputs, inputs, start)
    rows = []
    for i, output in enumerate(outputs):
        for x in inputs:
            x.grad = 0.0
        output.backward()
        rows.append([x.grad for x in inputs])
        pulled = linear.pull([1.0 if k == i else None for k in range(len(outputs))])
        assert pulled == pytest.approx(rows[-1], rel=1e-14, abs=1e-300)
    for j in range(len(inputs)):
        pushed = linear.push([1.0 if k == j else None for k in range(len(inputs))])
        assert pushed == pytest.approx([row[j] for row in rows], rel=1e-13, abs=1e-300)
    along = [0.5, -1.0, 2.0, 0.0, 3.0]
    expected = [sum(slope * v for slope, v in zip(row, along)) for row in rows]
    assert linear.push(along) == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert linear.closed


def test_it_is_closed_unless_an_older_value_is_below():
    w = Value(2.0)
    older = w * w
    start = tick()
    x = Value(3.0)
    assert Linear([x * 2.0, Value(1.0), x, 5.0], [x], start).closed
    assert not Linear([x * w], [x], start).closed
    assert not Linear([x * 2.0, x + older], [x], start).closed
    assert not Linear([w], [x], start).closed
    assert Linear([], [], start).closed
    assert Linear([x + older], [x], start).push([5.0]) == [5.0]


def test_what_is_older_is_not_walked():
    w = Value(1.0)
    y = w
    for _ in range(200_000):
        y = y + w
    start = tick()
    x = Value(3.0)
    for _ in range(2000):  # which would be 400 million nodes
        assert Linear([x * y], [x], start).pull([1.0]) == [200_001.0]


def test_numbers_and_independent_outputs_have_no_place():
    start = tick()
    x, y = Value(3.0), Value(4.0)
    z = x * y
    linear = Linear([2.0, y * y, x, z, x, z], [x], start)
    assert linear.outputs == [-1, -1, 0, 1, 0, 1]
    assert linear.push([10.0]) == [0.0, 0.0, 10.0, 40.0, 10.0, 40.0]
    assert linear.pull([None, 1.0, 1.0, 1.0, 1.0, 1.0]) == [10.0]
    assert linear.n_inputs == 1


def test_used_operands_are_those_that_could_matter_but_not_what_only_decides():
    start = tick()
    x, y = Value(-1.0), Value(2.0)
    assert Linear([ts.relu(x) * y], [x, y], start).used() == [[0], [2, 1]]
    assert Linear([ts.where(ts.greater(x, 0.0), y, 3.0)], [x, y], start).used() == [[1]]


def test_what_a_piecewise_operation_does_not_use_gets_0_whatever_the_slope_above():
    start = tick()
    x = Value(-1.0)
    linear = Linear([ts.sqrt(ts.relu(x)), ts.sqrt(0.0 * x)], [x], start)
    assert linear.push([1.0])[0] == 0.0
    assert isnan(linear.push([1.0])[1])  # ∞·0
    assert linear.pull([1.0, None]) == [0.0]
    zero = Value(0.0)
    assert Linear([ts.sqrt(zero)], [zero], start).push([1.0]) == [inf]


def test_a_leaf_set_since_makes_it_an_error():
    start = tick()
    x, c = Value(3.0), Value(1.0)
    y = (x * c).sin() * 2.0
    c.data = 2.0
    with pytest.raises(ts.StaleGraphError, match=r"2\.0"):
        Linear([y], [x], start)
    y.forward()
    assert Linear([y], [x], start).closed


def test_wrong_arguments_are_refused():
    with pytest.raises(TypeError):
        Linear([Value(1.0)], [3.0], 0)
    linear = Linear([Value(1.0)], [Value(1.0)], 0)
    with pytest.raises(ValueError, match="expected 1 number"):
        linear.push([1.0, 2.0])
    with pytest.raises(ValueError, match="expected 1 number"):
        linear.pull([])


def test_graphs_can_be_deep():
    start = tick()
    x = Value(1.0)
    y = x
    for _ in range(100_000):
        y = y + x
    linear = Linear([y], [x], start)
    assert linear.push([1.0]) == linear.pull([1.0]) == [100_001.0]


def test_an_infinite_slope_below_what_is_not_chosen_is_what_backward_has():
    def f(x):
        return ts.where(ts.greater(x, 0.0), ts.log(x), x * x)

    x = Value(0.0)
    f(x).backward()
    assert isnan(x.grad) and isnan(ts.grad(f)(0.0)) and isnan(ts.gradient(f(x), x).data)
    assert ts.jvp(f, (0.0,), (1.0,)) == (0.0, 0.0)  # forwards, nothing comes from there, as in JAX

"""The rows that a native program's arrays share."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.vectorize import cost_model
from tinygrad_scalar.vectorize.block_memory import _Room, _share
from tinygrad_scalar.vectorize.block_program import native_blocks

needs_the_executor = pytest.mark.skipif(native_blocks() is None, reason="the executor is not built")


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 10), st.integers(0, 5)), max_size=30))
def test_what_is_in_use_at_the_same_time_has_memory_of_its_own(uses):
    rooms = [_Room(rows, "block", first, first + length) for first, length, rows in uses]
    total = _share(rooms)
    for time in range(31):
        rows = [row for r in rooms if r.first <= time <= r.last for row in range(r.offset, r.offset + r.rows)]
        assert len(set(rows)) == len(rows) and max(rows, default=-1) < total


def tree(numbers):
    while len(numbers) > 1:
        numbers = [ts.tanh(a * b) for a, b in zip(numbers[::2], numbers[1::2])]
    return numbers[0]


@needs_the_executor
@pytest.mark.parametrize(("cost", "most"), [(tree, 3 * 1024), (ts.max, 1024)])  # as many as the forward pass takes
def test_gradients_take_the_rows_of_numbers_that_are_read_no_more(cost, most):
    params = [Value(0.01 * k) for k in range(1024)]
    run = ts.vectorize(lambda x: cost([p * x for p in params]), params)
    run(np.linspace(0.0, 1.0, 16))
    assert run._last.write_arrays().blocks.block_rows < most + 8


@needs_the_executor
@pytest.mark.parametrize("m", [1, 36])
@pytest.mark.parametrize("tied", [[3], [3, 4], [0, 10, 49], list(range(50))])
@pytest.mark.parametrize("fold", [ts.max, ts.min])
def test_the_shares_of_each_example_are_those_of_the_engine(fold, tied, m):
    x = np.random.default_rng(0).uniform(-1.0, 1.0, (m, 50))
    x[0, tied] = x[-1, tied[:2]] = 2.0 if fold is ts.max else -2.0
    w = Value(2.0)
    run = ts.vectorize(lambda x: fold([w * x_k for x_k in x]), [w], reduce="sum", wrt_inputs=True)
    run(x)
    _, _, (found,) = run._last.write_arrays().run(run.parameters, [x], True, [])
    for row, expected in zip(found.tolist(), x.tolist()):
        numbers = list(map(Value, expected))
        fold(numbers).backward()
        assert row == [2.0 * number.grad for number in numbers]


@needs_the_executor
@pytest.mark.parametrize("m", [1, 8, 9, 20, 100])
@pytest.mark.parametrize("cost", [tree, ts.max, ts.min, ts.logsumexp, lambda numbers: ts.sum(numbers) - numbers[0]])
def test_a_program_of_many_rows_gives_the_same_with_a_few_examples_at_once(cost, m, monkeypatch):
    monkeypatch.setattr(cost_model, "MANY_ROWS", 0)
    params = [Value(0.3 * k % 1.0) for k in range(64)]
    run = ts.vectorize(lambda x: cost([p * x for p in params]), params)
    rows = [np.linspace(-1.0, 1.0, m)]
    run(*rows)
    way = run._last.write_arrays()
    assert way.native.per_block == 8
    value, gradient, _ = way.run(run.parameters, rows, True, [])
    expected, expected_gradient, _ = way.run_source(run.parameters, rows, True, [])
    np.testing.assert_allclose(value, expected, rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-12, atol=1e-14)

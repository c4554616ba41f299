"""Values and derivatives of each example run on several threads: the same bits on any number of them."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from programs import Draw
from support.threads import (
    THREADS,
    bits,
    require_right_after_interruptions,
    require_right_side_by_side,
    require_right_while_handled,
    require_right_within_a_finalizer,
    require_right_within_a_signal_handler,
    timers,
    using,
)
from support.vectorize_cases import CASES

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.vectorize.scalar_program import executor

native = executor()
pytestmark = pytest.mark.skipif(native is None, reason="the native executor belongs to the compiled Value")
REDUCTIONS = [None, "sum"]


def of_each(function, params, arrays, reduce, way, m):
    """A run of values and Jacobians as (values, Jacobian, list of those of the arguments), and its arguments."""
    step = ts.vectorize(function, params, reduce=reduce, way=way, wrt_inputs=True)
    rows = tuple(np.resize(array, (m, *array.shape[1:])) for array in arrays)
    step(*(array[:3] for array in rows))

    def run(rows):
        values, jacobian, inputs = step(*rows)
        return values, jacobian, [array for array in inputs if array is not None]

    return run, rows, step


def many_outputs(reduce=None, way="scalar", m=4000, forwards=False):
    """Sweeps backwards from three outputs of seven parameters; with `forwards` tangents of four leaves."""
    v = [Value(0.5 + 0.25 * k) for k in range(2 if forwards else 7)]

    def function(x):
        a = [(w * x[0] + x[1]).tanh() * (w * x[1]).sin() + v[0] / (x[0] * x[0] + 1.0) for w in v]
        if not forwards:
            return [a[0] * a[1], sum(a), a[-1]]
        for _ in range(10):
            a = [(a[0] - a[1]).sin(), a[0] * a[1] + x[0]]
        return [a[0] * (k + 1.0) + ts.exp(a[1] * 0.1 * k) for k in range(20)]

    return of_each(function, v, [Draw().normal(9, 2)], reduce, way, m)


@pytest.mark.parametrize("reduce", REDUCTIONS)
@pytest.mark.parametrize("way", ["scalar", "arrays"])
@pytest.mark.parametrize("name", CASES)
def test_threads_make_no_difference_to_any_bit_of_derivatives(name, way, reduce):
    function, params, arrays = CASES[name](Draw())
    run, rows, _ = of_each(function, params, arrays, reduce, way, 1200)
    results = []
    for n in THREADS:
        with using(n):
            results += [bits(run(rows)) for _ in range(2)]
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("reduce", REDUCTIONS)
@pytest.mark.parametrize("forwards", [False, True])
def test_threads_make_no_difference_to_any_bit_of_sweeps_in_either_direction(forwards, reduce):
    run, rows, step = many_outputs(reduce, forwards=forwards)
    executor_of_rows = step._last.scalars.executor
    assert step._last.scalars.forwards == forwards
    assert executor_of_rows.chunks(len(rows[0])) > 3
    results = []
    for n in THREADS:
        with using(n):
            results.append(bits(run(rows)))
    assert all(result == results[0] for result in results)
    few = [run(tuple(array[start : start + 10] for array in rows)) for start in range(0, len(rows[0]), 10)]
    values, jacobian, (inputs,) = run(rows)
    join = np.concatenate if reduce is None else sum
    for whole, parts in zip((values, jacobian), zip(*few)):
        np.testing.assert_allclose(whole, join(parts), rtol=1e-12)
    np.testing.assert_array_equal(inputs, np.concatenate([part[2][0] for part in few]))


def test_threads_make_no_difference_to_any_bit_of_products():
    random = np.random.default_rng(0)
    left, right, more = (random.normal(size=(5000, p)) for p in (20, 30, 40))
    parts = [
        (left, right, random.permutation(700)[:600].reshape(20, 30), True, None),
        (more, np.ones((1, 1)), random.permutation(700)[:40, None], False, None),
    ]
    results = []
    for n in THREADS:
        with using(n):
            out = np.zeros((5000, 700))
            assert native.add_products(parts, out)
            results.append(out)
            left[-1, 3] = np.inf
            assert not native.add_products(parts, np.zeros((5000, 700)))
            left[-1, 3] = 1.0
    assert all((result == results[1]).all() for result in results[1:])
    expected = np.zeros((5000, 700))
    expected[:, parts[0][2]] = left[:, :, None] * right[:, None]
    expected[:, parts[1][2]] += more[:, :, None]
    np.testing.assert_array_equal(results[-1], expected)


@pytest.mark.parametrize("way", ["scalar", "products"])
def test_other_threads_compute_derivatives_too(way):
    if way == "scalar":
        run, rows, _ = many_outputs()
        call = lambda: run(rows)  # noqa: E731
    else:
        left, out = np.ones((4000, 40)), np.zeros((4000, 1600))
        call = lambda: native.add_products([(left, left, np.arange(1600).reshape(40, 40), True, None)], out)  # noqa: E731
    with using(2):
        before = time.process_time() - time.thread_time()
        while time.process_time() - time.thread_time() < before + 1e-3:
            call()


@pytest.mark.parametrize("n", THREADS)
def test_a_missing_row_of_derivatives_is_an_error_wherever_it_stands(n):
    table = [Value(float(k)) for k in range(3)]
    i = np.arange(20_000) % 3
    function = lambda i: ts.lookup([w.exp() for w in table], i).tanh()  # noqa: E731
    run, (rows,), step = of_each(function, table, [i], None, "scalar", len(i))
    assert step._last.scalars.executor.chunks(20_000) > 1
    with using(n):
        expected = bits(run((rows,)))
        for place in (0, len(rows) // 2, len(rows) - 1):
            wrong = rows.copy()
            wrong[place] = 3
            with pytest.raises(ValueError, match="3"):
                run((wrong,))
        assert bits(run((rows,))) == expected


@timers
@pytest.mark.parametrize("n", THREADS)
def test_interrupted_derivatives_end_and_the_next_call_is_right(n):
    require_right_after_interruptions(*many_outputs()[:2], n)


@timers
@pytest.mark.parametrize("forwards", [False, True])
def test_a_signal_handler_can_take_the_derivatives_that_it_interrupts_on_several_threads(forwards):
    require_right_within_a_signal_handler(*many_outputs(forwards=forwards)[:2])


def test_python_threads_can_take_derivatives_by_one_step_at_the_same_time():
    run, rows, _ = many_outputs()
    few = tuple(array[:50].copy() for array in rows)
    one = tuple(array[:1].copy() for array in rows)
    require_right_side_by_side([(run, rows), (run, few), (run, rows), (run, one)], 30)


@pytest.mark.parametrize("forwards", [False, True])
def test_a_finalizer_can_take_the_derivatives_that_it_interrupts(forwards):
    run, rows, _ = many_outputs(m=3000, forwards=forwards)
    require_right_within_a_finalizer(run, rows, tuple(array[:2].copy() for array in rows), 20)


@timers
def test_a_thread_that_comes_while_a_signal_handler_runs_has_memory_of_its_own():
    """The handler waits, in the middle of a call, for another thread that calls the same executor."""
    run, rows, _ = many_outputs(m=100_000)
    one = tuple(array[:1].copy() for array in rows)  # in memory for one example instead of a block
    of_one = bits(run(one))

    def is_right_in_another_thread():
        with ThreadPoolExecutor(1) as others:
            return others.submit(lambda: bits(run(one)) == of_one).result()

    require_right_while_handled(run, rows, is_right_in_another_thread, 1e-3)


def test_arrays_of_other_sizes_are_refused_before_anything_is_written():
    _, rows, step = many_outputs(m=10)
    rows_of = step._last.scalars.executor
    theta, X = step.parameters, rows[0].reshape(10, -1).astype(float)
    right = {"values": np.zeros((10, 3)), "each": np.zeros((10, 21)), "total": None, "inputs": np.zeros((10, 6))}
    rows_of.run_rows(theta, X, *right.values())
    for wrong in (
        {"values": np.zeros((9, 3))},
        {"values": np.zeros((10, 2))},
        {"each": np.zeros((9, 21))},
        {"each": np.zeros((10, 20))},
        {"inputs": np.zeros((10, 5))},
    ):
        given = {name: None if array is None else np.zeros_like(array) for name, array in (right | wrong).items()}
        with pytest.raises(ValueError, match="expected"):
            rows_of.run_rows(theta, X, *given.values())
        assert not any(array.any() for array in given.values() if array is not None)

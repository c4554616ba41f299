"""Scalar programs over many examples run on several threads: chunks of examples, with the same bits on any number."""

import time

import numpy as np
import pytest
from programs import Draw
from support.structures import STRUCTURES
from support.threads import (
    THREADS,
    bits,
    require_right_after_interruptions,
    require_right_side_by_side,
    require_right_within_a_signal_handler,
    timers,
    using,
)
from support.vectorize_cases import CASES

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.vectorize.scalar_program import executor, scalar_program
from tinygrad_scalar.vectorize.trace import trace

native = executor()
pytestmark = pytest.mark.skipif(native is None, reason="the native executor belongs to the compiled Value")


def ready(cost, params, arrays, chunks=4):
    """A run of the machine and so many examples that they form at least that many chunks."""
    traced = trace(cost, params, arrays)
    sizes = [int(np.prod(array.shape[1:])) for array in arrays]
    program = scalar_program(traced, len(params), sizes, native.CODES)
    machine = native.Machine(*program)
    m = 1000
    while machine.chunks(m) < chunks and m < 100_000:  # a program without steps has no work
        m += m // 2 + 1
    rows = tuple(np.resize(array, (m, *array.shape[1:])).astype(float).reshape(m, -1) for array in arrays)
    theta = np.array([p.data for p in params])

    def run(rows, backwards=True):
        gradient = np.empty(theta.size) if backwards else np.empty(0)
        inputs = tuple(map(np.empty_like, rows)) if backwards else ()
        watched = np.empty((len(rows[0]), len(program[-1])))
        value = machine.run(theta, rows, gradient if backwards else None, inputs or None, watched)
        return value, gradient, inputs

    return run, rows


def irregular(chunks=4):
    v = [Value(0.5), Value(-1.5), Value(0.25)]
    return ready(
        lambda x: ((v[0] * x + v[1]).tanh() * (v[1] * x).sin() - v[2] / (x * x + 1.0)) ** 2,
        v, [Draw().normal(9)], chunks,
    )  # fmt: skip


@pytest.mark.parametrize("name", [*CASES, *STRUCTURES])
def test_threads_make_no_difference_to_any_bit_of_a_scalar_program(name):
    run, rows = ready(*{**CASES, **STRUCTURES}[name](Draw()))
    for backwards in (True, False):
        results = []
        for n in THREADS:
            with using(n):
                results += [bits(run(rows, backwards)) for _ in range(2)]
        assert all(result == results[0] for result in results)


@pytest.mark.parametrize("name", [*CASES, *STRUCTURES])
def test_the_sums_of_chunks_are_those_of_the_examples(name):
    run, rows = ready(*{**CASES, **STRUCTURES}[name](Draw()))
    m = len(rows[0])
    value = gradient = 0.0
    parts = []
    for start in range(0, m, 100):
        its_value, its_gradient, inputs = run(tuple(np.ascontiguousarray(array[start : start + 100]) for array in rows))
        share = len(inputs[0]) / m
        value, gradient = value + share * its_value, gradient + share * its_gradient
        parts.append([share * array for array in inputs])
    with using(3):
        result, slopes, inputs = run(rows)
    np.testing.assert_allclose(result, value, rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(slopes, gradient, rtol=1e-11, atol=1e-13 * max(1.0, np.abs(gradient).max()))
    for array, its in zip(inputs, zip(*parts)):
        np.testing.assert_allclose(array, np.concatenate(its), rtol=1e-12)


def test_other_threads_compute_scalar_programs_too():
    run, rows = irregular(chunks=16)
    with using(2):
        before = time.process_time() - time.thread_time()
        while time.process_time() - time.thread_time() < before + 1e-3:
            run(rows)


@pytest.mark.parametrize("n", THREADS)
def test_a_scalar_programs_missing_row_is_an_error_wherever_it_stands(n):
    table = [Value(float(k)) for k in range(3)]
    run, (rows,) = ready(lambda i: ts.lookup(table, i).exp().tanh(), table, [np.arange(900) % 3])
    with using(n):
        expected = bits(run((rows,)))
        for place in (0, len(rows) // 2, len(rows) - 1):
            wrong = rows.copy()
            wrong[place] = 3.0
            with pytest.raises(ValueError, match="expected a row from 0 to 2, got 3"):
                run((wrong,))
        wrong[0] = 7.0
        with pytest.raises(ValueError, match="got 7"):
            run((wrong,))
        assert bits(run((rows,))) == expected


@timers
@pytest.mark.parametrize("n", THREADS)
def test_an_interrupted_scalar_program_ends_and_the_next_call_is_right(n):
    require_right_after_interruptions(*irregular(chunks=16), n)


@timers
def test_a_signal_handler_can_run_the_scalar_program_that_it_interrupts_on_several_threads():
    require_right_within_a_signal_handler(*irregular(chunks=16))


def test_python_threads_can_run_one_scalar_program_at_the_same_time():
    run, rows = irregular()
    few = tuple(array[:50].copy() for array in rows)
    require_right_side_by_side([(run, rows), (run, few)] * 2, 30)

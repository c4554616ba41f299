"""Derivatives of each example where some or all of a function depends on parameters alone, and of very many outputs."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine import compute_gradients
from tinygrad_scalar.vectorize.scalar_program import executor

OF_PARAMETERS_ALONE = {
    "itself": lambda p: p[0],
    "abs": lambda p: ts.abs(p[0]),
    "a tie": lambda p: ts.max([p[0], p[0], p[1]]),
    "log-sum-exp": lambda p: ts.log(ts.sum(ts.exp(w) for w in p)),
    "one": lambda p: p[1] * p[1],
}


@pytest.mark.parametrize("way", ["auto", "arrays"])
@pytest.mark.parametrize("reduce", [None, "mean"])
@pytest.mark.parametrize("n_arguments", [1, 2, 3])
@pytest.mark.parametrize("name", OF_PARAMETERS_ALONE)
def test_a_function_of_parameters_alone_has_the_same_derivatives_for_each_example(name, n_arguments, reduce, way):
    params = [Value(0.5), Value(-1.5), Value(2.0)]
    of_params = OF_PARAMETERS_ALONE[name]
    run = ts.vectorize(lambda *x: [of_params(params)], params, reduce=reduce, way=way)
    values, jacobian = run(*[[1.0, 2.0]] * n_arguments)
    C, expected = of_params(params), np.empty(3)
    compute_gradients(C, params, expected)
    np.testing.assert_allclose(values, np.full_like(values, C.data), rtol=1e-14)
    np.testing.assert_allclose(jacobian, np.broadcast_to(expected, jacobian.shape), rtol=1e-14)


@given(st.lists(st.booleans(), min_size=4, max_size=4), st.integers(0, 3), st.integers(1, 3))
@settings(deadline=None, max_examples=20)
def test_the_source_is_the_whole_program_of_each_example(squared, unused, k):
    params = [Value(number) for number in (0.5, -0.7, 2.0, 0.25)]

    def function(x):
        theta = [ts.exp(w) * w if is_squared else w for w, is_squared in zip(params, squared)]
        del theta[unused]
        outputs = [x * theta[0] + theta[1], ts.tanh(theta[2] * x), x * x * theta[1]]
        return outputs[:k]

    X = np.array([0.5, 1.0, -2.0])
    run = ts.vectorize(function, params, reduce=None, way="arrays")
    values, _ = run(X)
    names = {}
    exec(run.source, names)
    used = np.unique([i for i in range(4) if any(function_reads(function, params[i]))])
    arguments = [X[:, None]]
    for j in range(k):
        chosen = [*arguments, np.tile(np.eye(k)[j], (3, 1))] if k > 1 else arguments
        forward, _ = names["prepare"](3, run.parameters[used].copy())
        np.testing.assert_allclose(np.ravel(forward(*chosen)), values[:, j], rtol=1e-14)
    if used.size < 4 and used[-1] >= used.size:
        assert (
            f"# Parameters holds {used.size} of the function's parameters: {', '.join(map(str, used))}." in run.source
        )


def function_reads(function, parameter):
    for output in function(Value(0.3)):
        found = np.empty(1)
        compute_gradients(output, [parameter], found)
        yield found[0] != 0.0


@pytest.mark.skipif(executor() is None, reason="without it each example stands in arrays once for each output")
@pytest.mark.parametrize("reduce", [None, pytest.param("mean", marks=pytest.mark.thorough)])
def test_memory_does_not_grow_with_the_square_of_the_outputs(reduce):
    params, k = [Value(0.1 * i) for i in range(4)], 3_000
    run = ts.vectorize(lambda x: [params[i % 4] * x + float(i) for i in range(k)], params, reduce=reduce)
    tracemalloc.start()
    values, jacobian = run([2.0])
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 8 * k * k / 2
    np.testing.assert_array_equal(values.ravel(), [0.1 * (i % 4) * 2.0 + i for i in range(k)])
    np.testing.assert_array_equal(jacobian.reshape(k, 4), 2.0 * np.eye(4)[np.arange(k) % 4])


@pytest.mark.skipif(executor() is None, reason="no compiled executor")
def test_the_scalar_program_in_two_parts_is_chosen_where_it_should_take_least():
    """Points turned by a quaternion: the matrix is made of parameters alone, and little is left for each example."""
    params = [Value(number) for number in (0.9, 0.1, -0.3, 0.2)]

    def turned(points):
        length = ts.norm(params)
        w, x, y, z = [number / length for number in params]
        rows = [
            [1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - z * w), 2.0 * (x * z + y * w)],
            [2.0 * (x * y + z * w), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - x * w)],
            [2.0 * (x * z - y * w), 2.0 * (y * z + x * w), 1.0 - 2.0 * (x * x + y * y)],
        ]
        return [sum(a * b for a, b in zip(row, point)) for point in points for row in rows]

    run = ts.vectorize(turned, params)
    by_scalars = ts.vectorize(turned, params, way="scalar")
    for m in (2, 100, 1_000):
        points = np.random.default_rng(m).normal(size=(m, 5, 3))
        found, expected = run(points), by_scalars(points)
        program = run._last
        ways = [program.scalars, program.quicker, program.in_parts]
        assert (
            run.explain()
            .splitlines()[-1]
            .split(": ")[1]
            .startswith(f"the {min(ways, key=lambda way: way.expected(m)).name} runs")
        )
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-13)
        np.testing.assert_allclose(found[1], expected[1], rtol=1e-12, atol=1e-15)
    assert program._quicker_for(1_000) is program.in_parts is not None

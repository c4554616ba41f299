"""Random programs of all smooth operations: values, gradients and Hessian-vector products, in both modes, are exact."""

import math

import numpy as np
import pytest
from programs import STEPS, result_of
from support.libraries import MPMATH, autograd_functions, by_differences, jax_functions

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine import tangents


def drawn(seed):
    """A program of 1 to 200 steps that share what they compute, the numbers it starts from, and a direction."""
    random = np.random.default_rng(seed)
    program = []
    for _ in range(round(math.exp(random.uniform(0.0, math.log(200.0))))):
        step = STEPS[random.integers(len(STEPS))]
        program.append((step, *random.integers(0, 51, 2).tolist(), random.uniform(-2, 2)))
    point, direction = random.uniform(-2, 2, (2, random.integers(1, 5))).tolist()
    return program, point, direction


def ours(program, point, direction):
    """Value, gradient, and the Hessian times `direction`: forward over reverse, and reverse over reverse."""
    leaves = [Value(number) for number in point]
    root = result_of(program, ts, leaves)
    slopes = ts.gradient(root, leaves)
    forward = [getattr(along, "data", along) for along in tangents(slopes, leaves, direction)]
    backward = ts.gradient(sum(slope * v for slope, v in zip(slopes, direction)), leaves)
    return [root.data, *[slope.data for slope in slopes], *forward, *[along.data for along in backward]]


def exactly(program, point, direction):
    value, gradient, product = by_differences(lambda x: result_of(program, MPMATH, x), point, direction)
    return [value, *gradient, *product, *product]


def error(number, right):
    """Relative to what is right; subnormal numbers are as good as 0."""
    return float(abs(number - right) / max(abs(right), 1e-300))


def wrong(numbers, theirs, exact):
    """The numbers that are wrong by 1e-11, where another library has the exact one to 12 digits."""
    return [(n, x) for n, t, x in zip(numbers, theirs, exact) if error(t, x) <= 1e-12 and error(n, x) >= 1e-11]


@pytest.mark.filterwarnings("ignore:Output seems independent of input")
@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.thorough) for part in (1, 2))])
def test_values_gradients_and_products_are_those_of_autograd_and_mpmath(part, thorough):
    import autograd

    library = autograd_functions()
    compared = total = 0
    for seed in range(100 * part, 100 * (part + 1)):
        program, point, direction = drawn(seed)
        point, direction = np.array(point), np.array(direction)

        def function(xs):
            return result_of(program, library, xs)  # noqa: B023

        gradient = autograd.grad(function)
        product = autograd.grad(lambda xs: gradient(xs) @ direction)(point)  # noqa: B023
        theirs = [function(point), *gradient(point), *product, *product]
        numbers = ours(*drawn(seed))
        if thorough or seed % 5 == 0 or any(error(n, t) > 1e-12 for n, t in zip(numbers, theirs)):
            exact = exactly(*drawn(seed))
            assert wrong(numbers, theirs, exact) == [], seed
            compared += sum(error(t, x) <= 1e-12 for t, x in zip(theirs, exact))
            total += len(exact)
    assert compared > 0.6 * total  # elsewhere terms cancel, in any library


@pytest.mark.peers
@pytest.mark.parametrize("part", range(8))
def test_values_gradients_and_products_are_jaxs(part):
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    jax.config.update("jax_enable_x64", True)
    library = jax_functions()
    for seed in range(250 * part, 250 * (part + 1)):
        program, point, direction = drawn(seed)

        def function(xs):
            return result_of(program, library, xs)  # noqa: B023

        (value, gradient), (_, product) = jax.jvp(jax.value_and_grad(function), (point,), (direction,))
        theirs = [float(number) for number in (value, *gradient, *product, *product)]
        numbers = ours(program, point, direction)
        if any(error(number, other) >= 1e-11 for number, other in zip(numbers, theirs)):
            assert wrong(numbers, theirs, exactly(program, point, direction)) == [], seed

"""The recorded derivative of squared distances, Σ dᵢ·2(cᵢₜ − xₜ), is one statement with the engine's digits."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from programs import Draw, assert_equal_to_the_engine
from support.array_program import assembled, run as by_definition
from support.vectorize_cases import flat

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.vectorize.program import DistancesGradient
from tinygrad_scalar.vectorize.reverse import differentiate

DISTANCES = {
    "c - x": lambda c, x: ts.sum([(c_t - x_t) ** 2 for c_t, x_t in zip(c, x)]),
    "x - c": lambda c, x: ts.sum([(x_t - c_t) ** 2 for c_t, x_t in zip(c, x)]),
}
OF_DISTANCES = {
    "nearest": ts.min,
    "farthest": ts.max,
    "a mean that prefers near ones": lambda z: -ts.logsumexp([-z_i for z_i in z]),
    "kernels": lambda z: ts.sum([ts.exp(-0.1 * z_i) for z_i in z]),
}


def recorded(centroids, distance, of_distances, by="centroids"):
    """∂/∂c·1, or ∂/∂x·1, of a function of the distances, as a function of x that records it."""

    def slope(x):
        x = [Value(0.0) + x_t for x_t in x] if by == "x" else x
        value = OF_DISTANCES[of_distances]([DISTANCES[distance](c, x) for c in centroids])
        slopes = ts.gradient(value, flat(centroids) if by == "centroids" else list(x))
        return ts.sum([slope_t**3 for slope_t in slopes] if by == "x" else slopes)

    return slope


def pulls(program):
    return [s for s in program.forward if isinstance(s, DistancesGradient)]


@pytest.mark.parametrize("by", ["centroids", "x"])
@pytest.mark.parametrize("of_distances", OF_DISTANCES)
@pytest.mark.parametrize("distance", DISTANCES)
def test_it_is_one_statement_as_large_as_the_example(distance, of_distances, by):
    d = Draw(3)
    centroids = d.values(5, 3)
    program = assembled(recorded(centroids, distance, of_distances, by), flat(centroids), [d.normal(4, 3)])
    (pull,) = pulls(program)
    assert pull.out.shape == (3,)
    if of_distances in ("nearest", "farthest"):  # weights without a derivative: no array of all differences
        differentiate(program)
        assert max(s.out.rows for s in program.forward if s.out.batched) == 5


@given(
    st.integers(2, 7),
    st.integers(1, 4),
    st.sampled_from(sorted(DISTANCES)),
    st.sampled_from(sorted(OF_DISTANCES)),
    st.sampled_from(["centroids", "x"]),
    st.sampled_from([0.0, 1e4]),
    st.integers(0, 2**32),
)
def test_derivatives_of_derivatives_have_the_engines_digits(p, k, distance, of_distances, by, offset, seed):
    d = Draw(seed)
    centroids = [[Value(offset + c.data) for c in row] for row in d.values(p, k)]
    slope = recorded(centroids, distance, of_distances, by)
    assert_equal_to_the_engine(slope, flat(centroids), [offset + d.normal(6, k)], check=False)


def test_ties_share_in_it_equally():
    centroids = [
        [Value(1.0), Value(0.0)],
        [Value(-1.0), Value(0.0)],
        [Value(0.0), Value(1.0)],
        [Value(3.0), Value(0.0)],
    ]
    run = ts.vectorize(recorded(centroids, "c - x", "nearest"), flat(centroids))
    value, diagonal = run(np.zeros((20, 2)))
    assert value == pytest.approx(2 / 3, rel=1e-15)
    assert diagonal == pytest.approx([2 / 3] * 6 + [0.0, 0.0], rel=1e-15)


@pytest.mark.parametrize("wrt_inputs", [False, True])
def test_all_gradients_are_those_of_the_definition(wrt_inputs):
    d = Draw(1)
    centroids = d.values(4, 3)
    X = d.normal(5, 3)
    program = assembled(recorded(centroids, "c - x", "kernels"), flat(centroids), [X])
    differentiate(program, wrt_inputs=wrt_inputs)
    numbers = by_definition(program, [c.data for c in flat(centroids)], [X])
    run = ts.vectorize(recorded(centroids, "c - x", "kernels"), flat(centroids), wrt_inputs=True, reduce="sum")
    _, gradient, (by_x,) = run(X)
    np.testing.assert_allclose(numbers[program.gradient][:, 0], gradient, rtol=1e-11)
    if wrt_inputs:
        np.testing.assert_allclose(numbers[program.input_gradients[0]].T, by_x, rtol=1e-11)


@pytest.mark.parametrize("reduce", ["mean", None])
def test_each_example_has_its_own_derivatives(reduce):
    d = Draw(2)
    centroids = d.values(4, 2)
    X = d.normal(6, 2)
    slope = recorded(centroids, "c - x", "a mean that prefers near ones")
    run = ts.vectorize(slope, flat(centroids), reduce=reduce)
    one_by_one = [ts.vectorize(slope, flat(centroids), way="arrays")(x[None]) for x in X]
    values, gradients = run(X)
    expected = [np.array([part[i] for part in one_by_one]) for i in (0, 1)]
    if reduce == "mean":
        expected = [part.mean(0) for part in expected]
    np.testing.assert_allclose(values, expected[0], rtol=1e-12)
    np.testing.assert_allclose(gradients, expected[1], rtol=1e-11, atol=1e-13)

"""The problems of benchmarks/gradbench at a small size: values and derivatives equal their oracles'."""

import importlib
import itertools
from pathlib import Path

import numpy as np
import pytest

import tinygrad_scalar as ts

NESTED = ["saddle", "particle"]  # a gradient of gradients
PROBLEMS = ["hello", "det", "gmm", "ba", "ht", "lstm", "kmeans", "lse", "llsq", "ode", "saddle", "particle"]
TOLERANCE = 1e-10


@pytest.fixture
def problem(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1]))
    return lambda name: importlib.import_module(f"benchmarks.gradbench.{name}")


def require_oracle(problem, results, data):
    expected = problem.oracle(*data)
    assert len(results) == len(expected)
    for result, right in zip(results, expected):
        right = np.asarray(right, float)
        np.testing.assert_allclose(np.asarray(result, float), right, rtol=0, atol=TOLERANCE * np.abs(right).max())


def test_every_problem_is_tested(problem):
    assert tuple(PROBLEMS) == importlib.import_module("benchmarks.gradbench").PROBLEMS


@pytest.mark.parametrize("name", PROBLEMS)
def test_values_and_derivatives_are_the_oracle_s(problem, name, thorough):
    if name in NESTED and not thorough:
        pytest.skip("takes thousands of derivatives of derivatives; run with --thorough")
    module = problem(name)
    data = module.inputs(*module.TRIAL)
    step, graph = module.vectorized(*data)
    for _ in range(1 if name in NESTED else 2):
        require_oracle(module, step(), data)
    assert graph().op


def test_bundle_adjustment_s_sparse_jacobian_is_made_of_its_observations_blocks(problem):
    """The Jacobian of all errors by all cameras, points and weights, in one nest: 15 entries in a row at most."""
    pytest.importorskip("scipy", reason="SciPy is not installed")
    ba = problem("ba")
    n, m, p = ba.TRIAL
    rows, pictures = ba.inputs(n, m, p)
    camera_of, point_of = np.arange(p) % n, np.arange(p) % m

    def all_errors(whole):
        cameras, points, weights = whole["cameras"], whole["points"], whole["weights"]
        observed = zip(camera_of, point_of, weights, pictures)
        return [ba.errors(ts, [*cameras[c], *points[x], w], picture) for c, x, w, picture in observed]

    whole = {"cameras": rows[:n, :11], "points": rows[:m, 11:14].tolist(), "weights": rows[:, 14]}
    found = ts.jacobian(all_errors, sparse=True)(whole)
    blocks = ba.vectorized(rows, pictures)[0]()[1]
    expected = np.zeros((p, 3, n * 11 + m * 3 + p))
    for i in range(p):
        columns = [*range(11 * camera_of[i], 11 * camera_of[i] + 11)]
        columns += [n * 11 + 3 * point_of[i] + k for k in range(3)] + [n * 11 + m * 3 + i]
        expected[i][:, columns] = blocks[i]
    assert found.shape == (3 * p, n * 11 + m * 3 + p)
    assert found.nnz == p * (15 + 15 - 2 + 1)  # x and y, each without the other's x₀ or y₀, and 1 − w²
    np.testing.assert_allclose(found.toarray(), expected.reshape(found.shape), rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize("modes", list(itertools.product(("reverse", "forward"), repeat=2)), ids="-".join)
def test_a_gradient_goes_through_the_gradients_of_a_whole_path(problem, modes):
    particle, descent = problem("particle"), problem("descent")
    outer, inner = modes
    w, h = np.array([0.15]), 1e-6
    cost = particle.cost(inner)
    value, gradient = descent.with_gradient(outer)(cost)(w)
    assert value == pytest.approx(cost(w), rel=1e-12)
    assert gradient == pytest.approx([(cost(w + h) - cost(w - h)) / (2 * h)], rel=1e-6)
    assert gradient == pytest.approx(descent.with_gradient("reverse")(particle.cost("reverse"))(w)[1], rel=1e-11)


@pytest.mark.peers
@pytest.mark.parametrize("name", PROBLEMS)
def test_jax_computes_the_same(problem, name):
    pytest.importorskip("jax", reason="JAX is not installed").config.update("jax_enable_x64", True)
    module = problem(name)
    data = module.inputs(*module.TRIAL)
    require_oracle(module, module.jax(*data)(), data)


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # PyTorch's own use of it
@pytest.mark.parametrize("name", sorted(set(PROBLEMS) - set(NESTED)))  # they take 10 s and more
def test_pytorch_computes_the_same(problem, name):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    module = problem(name)
    data = module.inputs(*module.TRIAL)
    require_oracle(module, module.torch(*data)(), data)

"""The problems of benchmarks/gradbench at a small size: values and derivatives equal their oracles'."""

import importlib
from pathlib import Path

import numpy as np
import pytest

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
def test_values_and_derivatives_are_the_oracle_s(problem, name):
    module = problem(name)
    data = module.inputs(*module.TRIAL)
    step, graph = module.vectorized(*data)
    require_oracle(module, step(), data)
    require_oracle(module, step(), data)
    assert graph().op


@pytest.mark.peers
@pytest.mark.parametrize("name", PROBLEMS)
def test_jax_computes_the_same(problem, name):
    pytest.importorskip("jax", reason="JAX is not installed").config.update("jax_enable_x64", True)
    module = problem(name)
    data = module.inputs(*module.TRIAL)
    require_oracle(module, module.jax(*data)(), data)


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # PyTorch's own use of it
@pytest.mark.parametrize("name", sorted(set(PROBLEMS) - {"particle"}))  # it takes 20 s
def test_pytorch_computes_the_same(problem, name):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    module = problem(name)
    data = module.inputs(*module.TRIAL)
    require_oracle(module, module.torch(*data)(), data)

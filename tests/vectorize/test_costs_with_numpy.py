"""Costs with NumPy on arrays of Values: the array program has the numbers of the engine; choices are refused."""

import numpy as np
import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import TraceError, Value

COSTS = {
    "std": lambda w, x: np.std(w * x),
    "var": lambda w, x: np.var(w * x, ddof=1),
    "norm": lambda w, x: np.linalg.norm(np.outer(w, x), axis=1).sum(),
    "cov": lambda w, x: np.cov(np.array([w, w * x]), aweights=np.ones(3))[0, 1],
    "degrees": lambda w, x: np.sin(np.degrees(w * x)).sum(),
    "vdot": lambda w, x: np.vdot(w, x) ** 2,
    "tensordot": lambda w, x: np.tensordot(w, x, axes=1) * np.trace(np.outer(w, x)),
    "cumprod": lambda w, x: np.cumprod(w * x)[-1],
}


@pytest.mark.parametrize("name", COSTS)
def test_a_cost_with_numpys_functions_is_vectorized_as_it_is_computed(name):
    w = np.array([Value(0.3), Value(-0.8), Value(0.5)])
    X = np.random.default_rng(0).normal(size=(7, 3))
    value, gradient = ts.vectorize(lambda x: COSTS[name](w, np.array(x)), list(w))(X)
    mean = sum(COSTS[name](w, np.array([Value(number) for number in x])) for x in X) / 7
    mean.backward()
    assert value == pytest.approx(mean.data, rel=1e-13)
    assert gradient == pytest.approx([v.grad for v in w], rel=1e-12)


@pytest.mark.parametrize("choose", [np.maximum.reduce, np.sort, np.sign, lambda x: np.clip(x, -0.1, 0.1)])
def test_what_numpy_decides_by_comparing_is_refused_in_words(choose):
    w = np.array([Value(0.3), Value(-0.8), Value(0.5)])
    with pytest.raises(TraceError, match="placeholder for every example"):
        ts.vectorize(lambda x: np.sum(choose(w * np.array(x))), list(w))(np.ones((4, 3)))

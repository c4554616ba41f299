"""Sums of derivatives of outputs that have little in common: an array program for each output."""

import pickle

import numpy as np
import pytest
from programs import by_the_engine

import tinygrad_scalar as ts
from tinygrad_scalar.vectorize import each_by_outputs as outputs
from tinygrad_scalar.vectorize.each_by_parts import InTwoParts
from tinygrad_scalar.vectorize.each_by_products import EachByProducts

RANDOM = np.random.default_rng(0)
W = RANDOM.normal(size=(6, 3))
X, ROW = RANDOM.normal(size=(40, 3)), RANDOM.integers(6, size=40)


@pytest.fixture(autouse=True)
def of_any_size(monkeypatch):
    monkeypatch.setattr(outputs, "LEAST_NODES", 0)


def table():
    return [[ts.Value(number) for number in row] for row in W.tolist()]


def nearest(w, x, row):
    """The squared distance to the nearest row, and the sum of its gradient."""
    least = ts.min([sum((w_k - x_k) ** 2 for w_k, x_k in zip(w_j, x)) for w_j in w])
    return [least, ts.sum(ts.gradient(least, [number for w_j in w for number in w_j]))]


def apart(w, x, row):
    chosen = ts.lookup(w, row)
    return [ts.dot(chosen, x), ts.tanh(ts.dot(w[0], x)) * ts.exp(w[1][0])]


def without_parameters(w, x, row):
    return [ts.dot(w[2], x) ** 2, ts.sin(x[0]) * x[1]]


def without_arguments(w, x, row):
    return [ts.dot(w[2], x) ** 2, ts.sin(w[1][0]) * w[1][1]]


def of_leaves(w, x, row):
    return [w[3][1], x[0], ts.dot(w[2], x)]


def alike(w, x, row):
    a = ts.tanh(ts.dot(w[0], x) + ts.dot(w[1], x) + ts.dot(w[2], x))
    return [a * 2.0, a + 1.0]


@pytest.mark.parametrize("wrt_inputs", [False, True], ids=["parameters", "inputs too"])
@pytest.mark.parametrize("reduce", ["mean", "sum"])
@pytest.mark.parametrize("make", [nearest, apart, without_parameters, without_arguments, of_leaves, alike])
def test_every_output_has_the_engines_value_and_gradients(make, reduce, wrt_inputs):
    w = table()
    params = [number for row in w for number in row]
    run = ts.vectorize(lambda x, row: make(w, x, row), params, reduce=reduce, wrt_inputs=wrt_inputs, way="arrays")
    values, jacobian, *inputs = run(X, ROW)
    quicker = run._last.quicker
    way = (quicker.rest if isinstance(quicker, InTwoParts) else quicker).way
    assert isinstance(way, EachByProducts if make is alike else outputs.EachByOutputs)
    over = len(X) if reduce == "sum" else 1
    for j in range(len(values)):
        cost = lambda x, row: make(w, x, row)[j]  # noqa: B023, E731
        value, gradient, _ = by_the_engine(cost, params, [X, ROW])
        np.testing.assert_allclose(values[j], over * value, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(jacobian[j], over * gradient, rtol=1e-12, atol=1e-12)
        if inputs:
            of_inputs = ts.vectorize(cost, params, reduce=reduce, wrt_inputs=True)(X, ROW)[2][0]
            np.testing.assert_allclose(inputs[0][0][:, j], of_inputs, rtol=1e-12, atol=1e-12)


def test_a_pickle_has_the_programs_and_the_whole_source():
    w = table()
    run = ts.vectorize(lambda x, row: nearest(w, x, row), [n for row in w for n in row], reduce="sum", way="arrays")
    results = run(X, ROW)
    again = pickle.loads(pickle.dumps(run))
    for mine, theirs in zip(again(X, ROW), results):
        np.testing.assert_array_equal(mine, theirs)
    assert again.source == run.source
    assert "minimum.reduce" in run.source


def test_numbers_that_are_not_finite_are_the_engines():
    w = table()
    cases = X.copy()
    cases[3, 1] = np.inf
    params = [number for row in w for number in row]
    with np.errstate(all="ignore"):
        found, theirs = (
            ts.vectorize(lambda x, row: nearest(w, x, row), params, reduce="sum", way=way)(cases, ROW)
            for way in ("auto", "arrays")
        )
    assert not np.isfinite(theirs[1]).all()
    for mine, other in zip(found, theirs):
        np.testing.assert_allclose(mine, other, rtol=1e-12)

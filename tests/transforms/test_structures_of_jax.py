"""The transformations return the same structures and shapes as JAX, for nested arguments too."""

import numpy as np
import pytest

import tinygrad_scalar as ts

pytestmark = pytest.mark.peers

POINT = {"w": np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), "b": [0.5, (1.5,)]}
DIRECTION = {"w": np.ones((2, 3)), "b": [1.0, (2.0,)]}


def field(p, q):
    w = p["w"]
    return {"y": [w[0, 0] * q * w[1], p["b"][0] ** 2 * q], "z": (p["b"][1][0] * w.sum() * q * q,)}


def potential(p, q):
    out = field(p, q)
    return out["z"][0] ** 2 + out["y"][1] * (out["y"][0] * out["y"][0]).sum()


def assert_same(ours, theirs):
    if isinstance(theirs, dict):
        assert set(ours) == set(theirs)
        for key, part in theirs.items():
            assert_same(ours[key], part)
    elif isinstance(theirs, (list, tuple)):
        assert type(ours) is type(theirs)
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs):
            assert_same(a, b)
    else:
        assert np.shape(ours) == np.shape(theirs)
        np.testing.assert_allclose(np.array(ours, float), np.array(theirs), rtol=1e-12, atol=1e-12)


@pytest.fixture
def jax():
    jax = pytest.importorskip("jax")
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield jax
    jax.config.update("jax_enable_x64", before)


@pytest.mark.parametrize("argnums", [0, (1, 0)], ids=str)
@pytest.mark.parametrize("name", ["grad", "value_and_grad", "jacobian", "hessian"])
def test_of_functions(jax, name, argnums):
    ours, theirs = getattr(ts, name), getattr(jax, name)
    assert_same(ours(potential, argnums)(POINT, 2.0), theirs(potential, argnums)(POINT, 2.0))
    if name in ("jacobian", "hessian"):
        assert_same(ours(field, argnums)(POINT, 2.0), theirs(field, argnums)(POINT, 2.0))


def test_of_products(jax):
    assert_same(ts.jvp(field, (POINT, 2.0), (DIRECTION, 1.0)), jax.jvp(field, (POINT, 2.0), (DIRECTION, 1.0)))
    value, pullback = ts.vjp(field, POINT, 2.0)
    expected, pull = jax.vjp(field, POINT, 2.0)
    assert_same(value, expected)
    assert_same(pullback(value), pull(expected))


def test_of_derivatives_of_derivatives(jax):
    assert_same(ts.jacobian(ts.grad(potential))(POINT, 2.0), jax.jacobian(jax.grad(potential))(POINT, 2.0))
    along = lambda p: jax.jvp(jax.grad(lambda p: potential(p, 2.0)), (p,), (DIRECTION,))[1]["b"][0]  # noqa: E731
    ours = ts.grad(lambda p: ts.hvp(lambda p: potential(p, 2.0), p, DIRECTION)["b"][0])
    assert_same(ours(POINT), jax.grad(along)(POINT))

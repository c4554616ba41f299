"""run.to_jax() and run.to_torch() give run's numbers and gradients, to any order, in JAX and in PyTorch."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from programs import LEAVES, PROGRAM, Draw, by_the_engine, result_of
from support.branch_cases import CASES as BRANCHES
from support.operands import EDGES, ORDINARY, ROWS
from support.vectorize_cases import CASES

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine import record

pytestmark = pytest.mark.peers


class Jax:
    def __init__(self):
        self.jax = pytest.importorskip("jax", reason="JAX is not installed")
        self.jax.config.update("jax_enable_x64", True)

    def exported(self, run):
        return run.to_jax()

    def values(self, f, parameters, *arrays):
        return np.asarray(self.jax.jit(f)(parameters, *arrays))

    def eagerly(self, f, parameters, *arrays):
        return f(parameters, *arrays)

    def of_each(self, f, parameters, *arrays):
        one = self.jax.grad(lambda parameters, *numbers: f(parameters, *(x[None] for x in numbers))[0])
        return np.asarray(self.jax.vmap(one, (None, *(0 for _ in arrays)))(parameters, *arrays))

    def hessian(self, f, parameters, *arrays):
        return np.asarray(self.jax.jit(self.jax.hessian(f))(parameters, *arrays))

    def of_one_example(self, f, parameters):
        """The gradient as a function of arrays of one example."""
        gradient = self.jax.jit(self.jax.grad(f))
        return lambda *arrays: np.asarray(gradient(parameters, *arrays))

    def jacobian(self, f, parameters, *arrays):
        return np.asarray(self.jax.jacobian(f)(parameters, *arrays))

    def values_and_slopes(self, f, X):
        """The values of all examples, and the gradient of their sum in each."""
        slopes = self.jax.jit(self.jax.grad(lambda X: f(np.empty(0), X).sum()))(X)
        return np.asarray(f(np.empty(0), X)), np.asarray(slopes)

    def value_and_gradient(self, f, parameters, *arrays):
        value, gradient = self.jax.jit(self.jax.value_and_grad(f))(parameters, *arrays)
        return float(value), np.asarray(gradient)


class Torch:
    def __init__(self):
        self.torch = pytest.importorskip("torch", reason="PyTorch is not installed")

    def exported(self, run):
        return run.to_torch()

    def values(self, f, parameters, *arrays):
        return f(self.torch.tensor(parameters), *map(self.torch.as_tensor, arrays)).numpy()

    def eagerly(self, f, parameters, *arrays):
        return f(self.torch.tensor(parameters), *map(self.torch.as_tensor, arrays))

    def of_each(self, f, parameters, *arrays):
        one = self.torch.func.grad(lambda parameters, *numbers: f(parameters, *(x[None] for x in numbers))[0])
        each = self.torch.func.vmap(one, (None, *(0 for _ in arrays)))
        return each(self.torch.tensor(parameters), *map(self.torch.as_tensor, arrays)).numpy()

    def hessian(self, f, parameters, *arrays):
        arrays = list(map(self.torch.as_tensor, arrays))
        hessian = self.torch.autograd.functional.hessian
        return hessian(lambda p: f(p, *arrays), self.torch.tensor(parameters)).numpy()

    def of_one_example(self, f, parameters):
        return lambda *arrays: self.value_and_gradient(f, parameters, *arrays)[1]

    def jacobian(self, f, parameters, *arrays):
        jacobian = self.torch.func.jacrev(f)
        return jacobian(self.torch.tensor(parameters), *map(self.torch.as_tensor, arrays)).numpy()

    def values_and_slopes(self, f, X):
        X = self.torch.tensor(X, requires_grad=True)
        values = f(self.torch.empty(0), X)
        if not values.requires_grad:  # of greater, for example
            return values.numpy(), np.zeros(X.shape)
        (slopes,) = self.torch.autograd.grad(values.sum(), X, allow_unused=True, materialize_grads=True)
        return values.detach().numpy(), slopes.numpy()

    def value_and_gradient(self, f, parameters, *arrays):
        parameters = self.torch.tensor(parameters, requires_grad=True)
        value = f(parameters, *map(self.torch.as_tensor, arrays))
        if not value.requires_grad:  # it does not depend on parameters
            return value.item(), np.zeros(len(parameters))
        (gradient,) = self.torch.autograd.grad(value, parameters, allow_unused=True, materialize_grads=True)
        return value.item(), gradient.numpy()


@pytest.fixture(params=[Jax, Torch], ids=["jax", "torch"], scope="module")
def peer(request):
    return request.param()


SLOW = "an_ode_by_runge_kutta"  # 5 s of compiling; test_exported.py has it


@pytest.mark.parametrize("name", sorted({*CASES} - {SLOW}))
def test_value_and_gradient_are_the_engines(peer, name):
    cost, params, arrays = CASES[name](Draw())
    run = ts.vectorize(cost, params)
    run(*arrays)
    value, gradient = peer.value_and_gradient(peer.exported(run), run.parameters, *arrays)
    expected, by_engine, sizes = by_the_engine(cost, params, arrays)
    assert value == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert (np.abs(gradient - by_engine) <= 1e-12 * np.maximum(sizes, np.abs(by_engine)) + 1e-320).all()


# of a = σ(z) alone, by ts.binary_cross_entropy
@pytest.mark.parametrize("name", sorted({*ROWS} - {"binary cross-entropy"}))
def test_each_operation_has_the_engines_values_and_slopes_also_at_edges(peer, name):
    row = ROWS[name]
    points = [point if isinstance(point, tuple) else (point,) for point in ORDINARY[name]]
    points += [operands for op, operands, _, _ in EDGES if op == name]
    run = ts.vectorize(lambda x: record(name, *x), [], wrt_inputs=True, reduce=None, check=False)
    X = np.array(points)
    run(X)
    values, slopes = peer.values_and_slopes(peer.exported(run), X)
    data = [row.forward(*operands) for operands in points]
    np.testing.assert_allclose(values, data, rtol=1e-12, err_msg=name)
    expected = [row.local_grads(v, *operands) for v, operands in zip(data, points)]
    np.testing.assert_allclose(slopes, expected, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("name", BRANCHES)
def test_nothing_leaks_from_the_side_that_an_example_does_not_take(peer, name):
    function, params, arrays = BRANCHES[name]
    run = ts.vectorize(function, params, reduce=None)
    values, gradients = run(*arrays)
    f = peer.exported(run)
    np.testing.assert_allclose(peer.values(f, run.parameters, *arrays), values, rtol=1e-12, atol=1e-300)
    run = ts.vectorize(function, params)
    run(*arrays)
    by_one = peer.of_one_example(peer.exported(run), run.parameters)
    each = [by_one(*(array[i : i + 1] for array in arrays)) for i in range(len(values))]
    np.testing.assert_allclose(each, gradients, rtol=1e-12, atol=1e-12 * np.nanmax(np.abs(gradients)))


def several(d):
    w, b = d.values(3), d.values()
    return lambda x, y: [[w[0] * x + b, (w[1] * y).tanh(), 2.0], [w[2] * w[0], x, b / y]], [*w, b]


@pytest.mark.parametrize("reduce", ["mean", "sum", None])
@pytest.mark.parametrize("case", ["one", "several"])
def test_every_reduction_and_several_outputs(peer, case, reduce):
    d = Draw(1)
    cost, params = several(d)
    if case == "one":
        one = cost

        def cost(x, y):
            return one(x, y)[0][1] * x

    arrays = [d.normal(5), d.normal(5)]
    run = ts.vectorize(cost, params, reduce=reduce)
    values, jacobian = run(*arrays)
    f = peer.exported(run)
    for ours, theirs in (
        (values, peer.values(f, run.parameters, *arrays)),
        (jacobian, peer.jacobian(f, run.parameters, *arrays)),
    ):
        assert theirs.shape == np.shape(ours)
        np.testing.assert_allclose(theirs, ours, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("reduce", ["mean", "sum", None])
def test_what_is_the_same_in_all_examples_and_functions_without_arguments(peer, reduce):
    w = [Value(0.5), Value(-2.0)]
    run = ts.vectorize(lambda x: w[0] * w[1], w, reduce=reduce)
    X = np.ones(3)
    value, jacobian = run(X)
    f = peer.exported(run)
    np.testing.assert_allclose(peer.values(f, run.parameters, X), value)
    np.testing.assert_allclose(peer.jacobian(f, run.parameters, X), jacobian)
    run = ts.vectorize(lambda: w[0] * w[1], w, reduce=reduce)
    value, jacobian = run()
    np.testing.assert_allclose(peer.values(peer.exported(run), run.parameters), value)


@settings(max_examples=5)
@given(PROGRAM, LEAVES)
def test_second_derivatives_are_those_that_the_engine_records(peer, program, numbers):
    params = [Value(number) for number in numbers]
    C = result_of(program, ts, params)
    C = C if isinstance(C, Value) and C.op else params[0] * 1.0
    slopes = [g if isinstance(g, Value) else Value(g) for g in ts.gradient(C, params)]
    rows = [ts.gradient(slope, params) if slope.op else [Value(0.0)] * len(params) for slope in slopes]
    expected = np.array([[getattr(h, "data", h) for h in row] for row in rows])
    run = ts.vectorize(lambda: result_of(program, ts, params) * 1.0, params)
    run()
    scale = 1.0 + np.abs(expected).max()
    np.testing.assert_allclose(
        peer.hessian(peer.exported(run), run.parameters), expected, rtol=1e-9, atol=1e-11 * scale
    )


def test_a_row_that_does_not_exist_is_an_error_or_nan(peer):
    table = [Value(float(k)) for k in range(3)]
    run = ts.vectorize(lambda x, i: ts.lookup(table, i) * x, table, reduce=None)
    run(np.ones(2), np.array([0, 2]))
    f = peer.exported(run)
    arrays = np.array([2.0, 3.0]), np.array([1, 3])
    with pytest.raises(ValueError, match="lookup expected a row from 0 to 2, got 3"):
        peer.eagerly(f, run.parameters, *arrays)
    if isinstance(peer, Jax):
        np.testing.assert_array_equal(peer.values(f, run.parameters, *arrays), [2.0, np.nan])


def test_wrong_arguments_are_clear_errors(peer):
    w = [Value(1.0), Value(2.0)]
    run = ts.vectorize(lambda x, i: ts.lookup(w, i) * x[0], w)
    X, i = np.ones((3, 2)), np.array([0, 1, 0])
    run(X, i)
    f = peer.exported(run)
    for arguments, message in (
        ((X,), "2 arguments"),
        ((X[:, :1], i), r"\(m, 2\)"),
        ((X, i + 0.5), "integers"),
        ((X, i[:2]), "argument 0 has 3, but argument 1 has 2"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            peer.eagerly(f, run.parameters, *arguments)
    with pytest.raises(ValueError, match=r"shape \(2,\)"):
        peer.eagerly(f, np.ones(3), X, i)


def test_float32_programs_stay_float32(peer):
    w = Value(0.3)
    run = ts.vectorize(lambda x: (w * x).tanh(), [w], dtype="float32")
    X = np.linspace(0.5, 1, 5)
    value, _ = run(X)
    result = peer.eagerly(peer.exported(run), run.parameters, X)
    assert str(result.dtype).endswith("float32")
    assert float(result) == pytest.approx(value, rel=1e-6)


def test_jax_without_float64_is_refused():
    peer = Jax()
    w = Value(0.3)
    run = ts.vectorize(lambda x: w * x, [w])
    run(np.ones(2))
    f = run.to_jax()
    with peer.jax.enable_x64(False):
        for call in (run.to_jax, lambda: f(run.parameters, np.ones(2))):
            with pytest.raises(ValueError, match="jax_enable_x64"):
                call()


def test_vmap_gives_the_gradient_of_each_example(peer):
    cost, params, arrays = CASES["one_node_of_the_notes"](Draw())
    run = ts.vectorize(cost, params, reduce=None)
    _, gradients = run(*arrays)
    f = peer.exported(run)
    np.testing.assert_allclose(peer.of_each(f, run.parameters, *arrays), gradients, rtol=1e-12)


# README.md's three lines, on four devices
DATA_PARALLEL = """
import sys, jax, numpy as np, tinygrad_scalar as ts
jax.config.update("jax_enable_x64", True)
assert len(jax.devices()) == 4
net = ts.MLP(3, [8, 1], "tanh", "linear", seed=0)
run = ts.vectorize(lambda x, y: ts.squared_error(net(x), y), net.parameters())
r = np.random.default_rng(0)
X, Y = r.normal(size=(64, 3)), r.normal(size=(64, 1))
ours, parameters = run(X, Y), jax.numpy.asarray(run.parameters)
exec(sys.stdin.read())
X = jax.device_put(X, examples)
assert len(X.sharding.device_set) == 4 and X.addressable_shards[0].data.shape == (16, 3)
text = step.lower(parameters, X, jax.device_put(Y, examples)).compile().as_text()
assert "all-reduce" in text and "all-gather" not in text, text
np.testing.assert_allclose(value, ours[0], rtol=1e-12)
np.testing.assert_allclose(gradient, ours[1], rtol=1e-12)
"""


def test_data_parallel_training_on_four_devices():
    pytest.importorskip("jax", reason="JAX is not installed")
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    (lines,) = re.findall(r"^```py\n(.*?)^```$", readme, flags=re.MULTILINE | re.DOTALL)
    command = [sys.executable, "-c", DATA_PARALLEL]
    done = subprocess.run(command, env=environment, input=lines, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

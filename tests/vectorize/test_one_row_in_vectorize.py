"""A row in ops.py is enough for vectorize and fit; anything else keyed by an operation's name is a speed-up."""

import math

import numpy as np
import pytest
from programs import by_the_engine

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine import elementary, ops, record
from tinygrad_scalar.engine.ops import Operation
from tinygrad_scalar.vectorize import naming, numpy_calls, rules

ROWS = [
    Operation(
        "bearing", "bearing", "bearing({0}, {1})", "atan2(x, y)", math.atan2,
        lambda v, x, y: (y / (x * x + y * y), -x / (x * x + y * y)),
        ("{1}/({0}² + {1}²)", "−{0}/({0}² + {1}²)"),
    ),
    Operation("cube2", "cube", "cube2({0})", "x**3", lambda x: x * x * x, lambda v, x: (3.0 * x * x,)),
    Operation(
        "bilinear", "bilinear", "bilinear({0}, {1}, {2}, {3})", "", lambda x, y, z, u: x * y + z * u,
        lambda v, x, y, z, u: (y, x, u, z), ("{1}", "{0}", "{3}", "{2}"),
    ),
    Operation(
        "shift(2.5)", "shift", "shift({0}, 2.5)", "x + 2.5", lambda x: x + 2.5, lambda v, x: (1.0,), ("1",),
        family="shift", constant=2.5,
    ),
    Operation("10 % of", "%", "{0}‰%", "x/10", lambda x: 0.1 * x, lambda v, x: (0.1,)),
]  # fmt: skip


@pytest.fixture(autouse=True)
def rows(monkeypatch):
    for row in ROWS:
        monkeypatch.setitem(ops.OPERATIONS, row.name, row)


def case_of(name, m=5):
    """A cost with the operation in two places: of parameters times the example's numbers, and of parameters alone."""
    rng = np.random.default_rng(0)
    row = ops.operation(name)
    params = [Value(float(number), f"w[{i}]") for i, number in enumerate(rng.uniform(0.2, 0.9, row.arity))]

    def cost(x):
        shifted = [w * number for w, number in zip(params, x)]
        return record(name, *shifted) ** 2 + record(name, *params) * x[0]

    return cost, params, [rng.uniform(0.3, 0.9, (m, row.arity))]


def assert_equal_to_the_engine(cost, params, arrays, **options):
    run = ts.vectorize(cost, params, **options)
    value, gradient = run(*arrays)
    expected, by_engine, _ = by_the_engine(cost, params, arrays)
    exact = gradient.dtype == np.float64
    np.testing.assert_allclose(value, expected, rtol=1e-13 if exact else 1e-5)
    np.testing.assert_allclose(gradient, by_engine, rtol=1e-12 if exact else 1e-4, atol=1e-14 if exact else 1e-6)
    return run


@pytest.mark.parametrize("m", [1, 5])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_is_enough_for_value_and_gradient(row, dtype, m):
    run = assert_equal_to_the_engine(*case_of(row.name, m), dtype=dtype)
    assert f'by_its_row("{row.name}", None' in run.source
    assert f'by_its_row("{row.name}", 0' in run.source


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_source_computes_a_row_by_itself(row):
    cost, params, arrays = case_of(row.name)
    run = ts.vectorize(cost, params)
    value, gradient = run(*arrays)
    namespace = {}
    exec(run.source, namespace)
    forward, backward = namespace["prepare"](5, run.parameters)
    assert forward(*arrays) == pytest.approx(value, rel=1e-15)
    np.testing.assert_allclose(backward(*arrays), gradient, rtol=1e-15)


def test_equations_print_a_row_and_its_slopes_as_ops_has_them():
    cost, params, arrays = case_of("bearing")
    run = ts.vectorize(cost, params)
    run(*arrays)
    assert r"\mathrm{bearing}\left(" in run.equations
    assert r"^{2} + " in run.equations  # the y² + x² below ∂v/∂y
    assert r"\frac{\partial" not in run.equations


def test_a_slope_without_a_text_is_printed_as_a_derivative():
    w = Value(0.5, "w")
    run = ts.vectorize(lambda x: record("cube2", w) * x, [w])
    run(np.ones(3))
    assert r"\frac{\partial \mathrm{cube2}\left(\theta\right)}{\partial \theta}" in run.equations


def test_explain_prints_a_row_by_its_text():
    cost, params, arrays = case_of("bilinear")
    run = ts.vectorize(cost, params)
    run(*arrays)
    assert "bilinear_1 (1×m) = bilinear(" in run.explain()


def test_a_network_is_trained_with_a_row():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(20, 2)), rng.uniform(0.2, 0.8, size=(20, 1))

    def loss(a, y):
        return record("bearing", a - y[0], Value(1.0)) ** 2

    nets = [ts.MLP(2, [3, 1], "tanh", seed=0) for _ in range(2)]
    for net, vectorized in zip(nets, (True, False)):
        ts.fit(net, X, Y, loss=loss, epochs=2, batch_size=5, seed=0, vectorized=vectorized, progress=False)
    numbers, by_engine = ([p.data for p in net.parameters()] for net in nets)
    np.testing.assert_allclose(numbers, by_engine, rtol=1e-9)


def test_the_gradients_of_the_inputs_come_from_a_row_too():
    cost, params, arrays = case_of("bearing", 1)
    _, _, (dX,) = ts.vectorize(cost, params, wrt_inputs=True)(*arrays)
    x = [Value(float(number)) for number in arrays[0][0]]
    cost(x).backward()
    np.testing.assert_allclose(dX[0], [value.grad for value in x], rtol=1e-12)


def test_infinities_and_nan_of_a_row_are_kept(monkeypatch):
    row = Operation("pole", "pole", "pole({0})", "", lambda x: elementary.divide(1.0, x), lambda v, x: (-v * v,))
    monkeypatch.setitem(ops.OPERATIONS, "pole", row)
    w = Value(1.0, "w")
    run = ts.vectorize(lambda x: record("pole", w * x), [w], check=False)
    assert run.value(np.array([0.0])) == math.inf
    assert run.value(np.array([-0.0])) == -math.inf
    assert math.isnan(run.value(np.array([math.nan])))


def test_what_a_row_raises_is_raised(monkeypatch):
    row = Operation("strict", "strict", "strict({0})", "", math.log, lambda v, x: (1.0 / x,))
    monkeypatch.setitem(ops.OPERATIONS, "strict", row)
    w = Value(1.0, "w")
    run = ts.vectorize(lambda x: record("strict", w * x), [w])
    run(np.array([1.0]))
    with pytest.raises(ValueError, match=r"domain error|expected a positive"):
        run(np.array([-1.0]))


def test_an_operation_that_nobody_knows_is_named():
    with pytest.raises(ValueError, match="unknown operation 'unknown'"):
        rules.rule_of("unknown")


@pytest.mark.parametrize("name", [*ops.OPERATIONS, "**3", "**-1", "leaky_relu(0.1)"])
def test_every_list_of_operations_in_vectorize_is_optional(name, monkeypatch):
    row = ops.operation(name)
    for table in (rules.RULES, rules.FAMILIES, numpy_calls.CALLS, naming.WORDS):
        for key in (name, row.family):
            monkeypatch.delitem(table, key, raising=False)
    for i in range(row.arity):
        monkeypatch.delitem(numpy_calls.SLOPES, (row.family or name, i), raising=False)
    cost, params, arrays = case_of(name)
    if name == "acosh":
        for w in params:
            w.data += 5.0
    run = assert_equal_to_the_engine(cost, params, arrays)
    assert run.equations
    assert run.explain()

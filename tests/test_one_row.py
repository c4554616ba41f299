"""One row in engine/ops.py makes an operation: rows are added while the program runs, and all readers are tried."""

import copy
import math
import pickle
import subprocess
import sys

import numpy as np
import pytest
from programs import by_the_engine

import tinygrad_scalar as ts
from tinygrad_scalar import Value, functions
from tinygrad_scalar.cli.expression import parse
from tinygrad_scalar.engine import ops, read_graph, record
from tinygrad_scalar.engine.ops import Operation

ROWS = {
    "cube": Operation(
        "cube", "x³", "cube({0})", "x**3", lambda x: x * x * x, lambda v, x: (3.0 * x * x,), ("3·{0}²",),
        steepest=1.0,
    ),
    "bearing": Operation(
        "bearing", "∠", "bearing({0}, {1})", "atan2(x, y)", math.atan2,
        lambda v, x, y: (y / (x * x + y * y), -x / (x * x + y * y)),
        ("{1}/({0}² + {1}²)", "−{0}/({0}² + {1}²)"),
    ),
    "blend": Operation(
        "blend", "⇄", "blend({0}, {1}, {2})", "c*x + (1 - c)*y", lambda c, x, y: c * x + (1.0 - c) * y,
        lambda v, c, x, y: (x - y, c, 1.0 - c), ("{1} − {2}", "{0}", "1 − {0}"),
    ),
}  # fmt: skip
NUMBERS = {"x": 0.7, "y": 1.3, "z": -0.4}
PRINTED = {"cube": "cube(x)", "bearing": "bearing(x, y)", "blend": "blend(x, y, z)"}
LATEX = {name: rf"\mathrm{{{name}}}({', '.join('xyz'[: row.arity])})" for name, row in ROWS.items()}


@pytest.fixture(params=ROWS)
def row(request, monkeypatch):
    monkeypatch.setitem(ops.OPERATIONS, request.param, ROWS[request.param])
    return ROWS[request.param]


@pytest.fixture
def leaves(row):
    return [Value(NUMBERS[label], label) for label in "xyz"[: row.arity]]


@pytest.fixture
def root(row, leaves):
    C = record(row.name, *leaves) * 2.0
    C.label = "C"
    return C


def derivatives(row, numbers):
    """∂C/∂leaf of `root`."""
    return [2.0 * local_grad for local_grad in row.local_grads(row.forward(*numbers), *numbers)]


# --- the engine ------------------------------------------------------------------------------------------------------


def test_it_computes_and_differentiates(row, leaves, root):
    numbers = [leaf.data for leaf in leaves]
    root.backward()
    assert root.data == 2.0 * row.forward(*numbers)
    assert [leaf.grad for leaf in leaves] == derivatives(row, numbers)


def test_forward_recomputes_it(row, leaves, root):
    leaves[0].data = 0.25
    root.forward().backward()
    numbers = [leaf.data for leaf in leaves]
    assert root.data == 2.0 * row.forward(*numbers)
    assert [leaf.grad for leaf in leaves] == derivatives(row, numbers)


def test_it_is_copied_and_pickled(row, root):
    copies = [copy.deepcopy(root), pickle.loads(pickle.dumps(root))]
    root.backward()
    for again in copies:
        again.backward()
        assert [node.op for node in ts.topological_order(again)] == [node.op for node in ts.topological_order(root)]
        assert [leaf.grad for leaf in ts.leaves(again)] == [leaf.grad for leaf in ts.leaves(root)]


def test_nodes_of_one_operation_have_one_name_on_a_tape(row, root, leaves):
    again = pickle.loads(pickle.dumps(root))
    assert sorted(read_graph([root, record(row.name, *leaves), again]).names) == sorted([row.name, "*"])


def test_a_row_that_takes_its_place_is_the_one_that_counts(row, leaves, root, monkeypatch):
    monkeypatch.setitem(ops.OPERATIONS, row.name, row._replace(forward=lambda *numbers: 1.0))
    assert record(row.name, *leaves).data == 1.0
    assert record(row.name, *leaves).forward().data == 1.0


def test_too_few_operands_are_an_error(row):
    with pytest.raises(TypeError, match=row.name):
        record(row.name)


def test_an_anomaly_names_it(row, leaves):
    leaves[0].data = math.nan
    with ts.detect_anomaly(), pytest.raises(ts.AnomalyError, match="nan, where x = nan") as caught:
        record(row.name, *leaves)
    assert PRINTED[row.name] in str(caught.value)


def test_one_line_makes_a_function_of_values_and_numbers(row, leaves):
    if row.arity > 2:
        pytest.skip("functions of three operands are written out")
    function = (functions._unary if row.arity == 1 else functions._binary)(row.name)
    numbers = [leaf.data for leaf in leaves]
    assert function(*leaves).data == function(*numbers) == row.forward(*numbers)
    assert function(*leaves).op == function.__name__ == row.name
    assert row.expression in function.__doc__


@pytest.mark.thorough
def test_both_implementations_pass(thorough):
    """The tests above and below, with the other Value."""
    if not ts.accelerated:
        pytest.skip("this is the plain one")
    command = [sys.executable, "-m", "pytest", "-q", "--plain", "-p", "no:cacheprovider", __file__, "-k", "not both"]
    run = subprocess.run([*command, *["--thorough"] * thorough], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout


# --- seeing gradients ------------------------------------------------------------------------------------------------


def test_it_is_drawn_with_its_symbol(row, root):
    assert row.symbol in ts.draw(root).source


def test_it_is_stepped_through(row, leaves, root):
    steps = list(ts.step(root))
    assert PRINTED[row.name] in str(steps[0])
    assert LATEX[row.name] in steps[0].latex
    slopes = [slope.format(*"xyz") for slope in row.slopes]
    assert all(slope in str(steps[-1]) for slope in slopes)
    assert [leaf.grad for leaf in leaves] == derivatives(row, [leaf.data for leaf in leaves])


def test_it_is_explained(row, leaves, root):
    for leaf, derivative in zip(leaves, derivatives(row, [leaf.data for leaf in leaves])):
        explanation = ts.explain(root, leaf)
        assert explanation.value == pytest.approx(derivative, rel=1e-14)
        assert explanation.text.startswith(f"∂C/∂{leaf.label} = ")
        assert rf"\partial {leaf.label}" in explanation.latex


def test_difference_quotients_agree(leaves, root):
    check = ts.check_gradients(root)
    assert check.ok and all(row.verdict.startswith("agrees") for row in check.rows)
    assert ts.nudge(root, leaves[0]).verdict.startswith("agrees")


def test_its_graph_is_diagnosed(row, leaves, root):
    root.backward()
    assert ts.diagnose(root).ok
    leaves[0].data = math.nan
    assert PRINTED[row.name] in ts.diagnose(root.forward()).text


def test_leaves_are_ranked(row, leaves, root):
    ranked = {found.name: found.gradient for found in ts.sensitivity(root).rows}
    assert ranked == {
        leaf.label: derivative for leaf, derivative in zip(leaves, derivatives(row, [leaf.data for leaf in leaves]))
    }


# --- arrays, training, the command line ------------------------------------------------------------------------------


def example(row):
    """A cost of one example, its parameters, and numbers for ten examples."""
    rng = np.random.default_rng(0)
    weights = [Value(float(number), f"w[{k}]") for k, number in enumerate(rng.uniform(0.2, 0.9, row.arity))]

    def cost(x):
        return record(row.name, *[w * x_k for w, x_k in zip(weights, x)]) ** 2

    return cost, weights, rng.uniform(0.3, 0.9, (10, row.arity))


@pytest.mark.parametrize("m", [1, 10])  # as a scalar program, as arrays
def test_it_is_vectorized(row, m):
    cost, weights, X = example(row)
    run = ts.vectorize(cost, weights)
    value, gradient = run(X[:m])
    expected, by_engine, _ = by_the_engine(cost, weights, [X[:m]])
    np.testing.assert_allclose(value, expected, rtol=1e-13)
    np.testing.assert_allclose(gradient, by_engine, rtol=1e-12)


def test_its_array_program_can_be_read(row):
    cost, weights, X = example(row)
    run = ts.vectorize(cost, weights)
    run(X)
    assert row.name in run.source
    assert rf"\mathrm{{{row.name}}}" in str(run.equations)


def test_it_is_trained_through(row):
    def loss(a, y):
        return record(row.name, *[a - y[0], *[Value(0.5)] * (row.arity - 1)]) ** 2

    X, Y = [[0.1, 0.2], [0.3, 0.9], [0.7, 0.4]], [[0.3], [1.2], [1.1]]
    nets = [ts.MLP(2, [2, 1], seed=0) for _ in range(2)]
    histories = [
        ts.fit(net, X, Y, loss=loss, epochs=3, progress=False, vectorized=vectorized)
        for net, vectorized in zip(nets, (True, False))
    ]
    np.testing.assert_allclose(histories[0].cost, histories[1].cost, rtol=1e-12)


def test_the_command_line_takes_it(row):
    names = "xyz"[: row.arity]
    values = parse(f"C = 2*{row.name}({', '.join(names)})", {name: NUMBERS[name] for name in names})
    assert values["C"].data == 2.0 * row.forward(*[NUMBERS[name] for name in names])

"""Infinite and nan upstream gradients: off the path an operand gets 0; any other zero is a number (0·∞ = nan).

"Not on the path" is said by the row: a slope of 0 of a piecewise operation.
"""

import copy
import itertools
import pickle
from math import inf, isnan, nan

import numpy as np
import pytest
from hypothesis import example, given
from support.decided import points, programs, run
from support.operands import ROWS

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine import compute_gradients, ops, record
from tinygrad_scalar.engine.graph import swept
from tinygrad_scalar.inspection.named_graph import NamedGraph
from tinygrad_scalar.inspection.stepper import Stepper

NUMBERS = [nan, inf, -inf, 0.0, -0.0, 5e-324, -1e308, 0.5, -2.0]
UPSTREAM = [nan, inf, -inf, 0.0, 5e-324, -1e308, 3.0]


def same(x, y):
    return x == y or (isnan(x) and isnan(y))


@pytest.mark.parametrize("name", ROWS)
def test_each_operand_gets_0_off_the_path_and_else_local_gradient_times_upstream(name):
    row = ROWS[name]
    for upstream in UPSTREAM:
        for numbers in itertools.product(NUMBERS, repeat=row.arity):
            leaves = [Value(number) for number in numbers]
            node = record(name, *leaves)
            node.backward(upstream)
            for leaf, local_grad in zip(leaves, node.local_grads):
                off_path = row.piecewise and local_grad == 0.0
                assert same(leaf.grad, 0.0 if off_path else local_grad * upstream), (numbers, upstream)
            found = swept(node * upstream)
            scaled = [found[leaf] for leaf in leaves]
            assert all(map(same, scaled, [leaf.grad for leaf in leaves])), (numbers, upstream)


def test_piecewise_rows_are_those_whose_result_can_be_independent_of_an_operand():
    piecewise = {name for name, row in ROWS.items() if row.piecewise}
    expected = {"relu", "maximum", "minimum", "greater", "greater_equal", "where", "**0", "floor", "ceil", "sign"}
    expected.add("hardtanh")
    assert piecewise == expected | {name for name in ROWS if name.startswith("leaky_relu")}


CASES = {  # function of x = 1 and y = 3, ∂/∂x, ∂/∂y
    "sqrt(where(1, 0x, y))": (lambda x, y: ts.sqrt(ts.where(1.0, 0.0 * x, y)), nan, 0.0),
    "sqrt(relu(x - 2))": (lambda x, y: ts.sqrt(ts.relu(x - 2.0)) + y, 0.0, 1.0),
    "log(maximum(0x, -y))": (lambda x, y: ts.log(ts.maximum(0.0 * x, -y)), nan, 0.0),
    "1/minimum(0x, y)": (lambda x, y: 1.0 / ts.minimum(0.0 * x, y), nan, 0.0),
    "sqrt of a clip": (lambda x, y: ts.sqrt(ts.minimum(ts.maximum(x, 0.0), 0.0 * y)), 0.0, nan),
    "sqrt(leaky_relu(-x, 0))": (lambda x, y: ts.sqrt(ts.leaky_relu(-x, 0.0)) * y, 0.0, 0.0),
    "nan through relu": (lambda x, y: ts.relu(x - 2.0) * nan + y, 0.0, 1.0),
    "two paths": (lambda x, y: ts.sqrt(ts.relu(x - 2.0)) + x * y, 3.0, 1.0),
    "x decides, by a root": (lambda x, y: ts.where(ts.greater(ts.sqrt(x - 1.0), 0.0), x, -x) * y, -3.0, -1.0),
    "x decides, by a pole": (lambda x, y: ts.where(ts.greater_equal((x - 1.0) ** -1, 0.0), 3.0 * x, x) + y, 3.0, 1.0),
    "x is the condition": (lambda x, y: ts.where(ts.log(x - 1.0), x, y), 1.0, 0.0),
    "x⁰": (lambda x, y: ts.sqrt(x - 1.0) ** 0 * y, 0.0, 1.0),
    "x decides and is used": (lambda x, y: ts.where(ts.greater(s := ts.sqrt(x - 1.0), 0.0), y, s), inf, 0.0),
    "an unused branch": (lambda x, y: ts.where(1.0, y, ts.sqrt(x - 1.0)), nan, 1.0),
    "0x is a number": (lambda x, y: ts.sqrt(0.0 * x) + y, nan, 1.0),
}


@pytest.mark.parametrize("name", CASES)
def test_an_infinite_upstream_gradient_stays_on_the_path(name):
    function, dx, dy = CASES[name]
    x, y = Value(1.0, "x"), Value(3.0, "y")
    C = function(x, y)
    C.backward()
    assert same(x.grad, dx)
    assert same(y.grad, dy)
    found = swept(C)
    assert same(found[x], dx)
    assert same(found[y], dy)


@given(programs, points)
@example([("sqrt", (0, 0, 0)), ("where", (0, 1, 2))], [1.0, 2.0, 0.0])
@example([("**-1", (0, 0, 0)), ("greater", (0, 2, 0)), ("*", (0, 2, 0))], [1.0, 2.0, 0.0])
def test_how_a_condition_was_computed_has_no_part_in_the_gradient(program, point):
    leaves, others = ([Value(number, name) for number, name in zip(point, "xyz")] for _ in range(2))
    C, D = run(program, leaves), run(program, others, decided=True)
    C.backward()
    D.backward()
    expected = [leaf.grad for leaf in others]
    assert all(map(same, [leaf.grad for leaf in leaves], expected))
    found = NamedGraph(C, "test", {}).gradients
    assert all(map(same, [found.get(leaf, 0.0) for leaf in leaves], expected))
    for leaf in leaves:
        leaf.grad = 0.0
    list(Stepper(C, {}))
    assert all(map(same, [leaf.grad for leaf in leaves], expected))


@pytest.mark.parametrize("n", [1, 2, 3, 64, 65, 200])
def test_any_operand_of_any_number_can_be_detached(n, monkeypatch):
    text = "sum(" + ", ".join(f"{{{i}}}" for i in range(n)) + ")"
    slopes = (*(1.0,) * (n - 1), 0.0)
    row = ops.Operation(
        "but last", "Σ", text, "", lambda *x: sum(x[:-1]), lambda v, *x: slopes, piecewise=True, detached=(n - 1,)
    )
    monkeypatch.setitem(ops.OPERATIONS, row.name, row)
    leaves = [Value(0.0) for _ in range(n)]
    root = record(row.name, *map(ts.sqrt, leaves))
    root.backward()
    expected = [inf] * (n - 1) + [0.0]
    assert [leaf.grad for leaf in leaves] == expected
    found = np.empty(n)
    compute_gradients(root, leaves, found)
    assert found.tolist() == expected


def test_detect_anomaly_passes_over_what_only_decides():
    x = Value(0.0, "x")
    with ts.detect_anomaly():
        ts.where(ts.greater(ts.sqrt(x), 0.0), x, -x).backward()
    assert x.grad == -1.0


def test_detect_anomaly_reports_the_contribution_on_the_path_alone():
    x = Value(-1.0, "x")
    with pytest.raises(ts.AnomalyError, match=r"backward through √"), ts.detect_anomaly():
        ts.sqrt(ts.relu(x)).backward()


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda node: pickle.loads(pickle.dumps(node))])
def test_a_copy_keeps_what_is_off_the_path(duplicate):
    x, y = Value(0.0, "x"), Value(-3.0, "y")
    root, x, y = duplicate((ts.sqrt(ts.maximum(x, y)), x, y))
    root.backward()
    assert (x.grad, y.grad) == (inf, 0.0)

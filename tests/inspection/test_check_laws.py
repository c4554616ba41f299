"""check_gradients where slopes, costs and leaves are 0; where quotients cannot decide; and which leaves it takes."""

import contextlib

import pytest
from hypothesis import given, strategies as st

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine import ops, record
from tinygrad_scalar.inspection import check
from tinygrad_scalar.inspection.check import SAMPLE, check_gradients

SMOOTH = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 9), st.integers(0, 9)), max_size=8)
NUMBER = st.one_of(st.sampled_from([0.0, 1.0, -1.0]), st.floats(-2, 2, allow_subnormal=False))


STEPS = [
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: a * b,
    lambda a, b: a.sin(),
    lambda a, b: a.tanh(),
    lambda a, b: a.cos(),
    lambda a, b: a - a.data,
    lambda a, b: a.sigmoid(),
    lambda a, b: a.atan() ** 2,
]


def built(steps, x, y):
    """A smooth function of x and y, whose steps take earlier values by their places."""
    values = [x, y]
    for kind, i, j in steps:
        values.append(STEPS[kind](values[i % len(values)], values[j % len(values)]))
    return values[-1] + x.sin() * y


@contextlib.contextmanager
def slope_of_identity(factor):
    ops.OPERATIONS["test row"] = ops.Operation("test row", "r", "r({0})", "x", lambda x: x, lambda v, x: (factor,))
    try:
        yield
    finally:
        del ops.OPERATIONS["test row"]


@pytest.mark.parametrize("root", [lambda x, y: x * y, lambda x, y: abs(x**2) + x * y, lambda x, y: x.sin() * y + x**3])
@pytest.mark.parametrize("x", [0.0, -0.0, 5e-324, 1e-200, 1.0])
@pytest.mark.parametrize("y", [0.0, 1e-300, 1e5, 1e150, -1e300])
def test_a_right_gradient_at_any_scale_gets_a_verdict_and_is_not_called_wrong(root, x, y):
    check = check_gradients(root(Value(x, "x"), Value(y, "y")))
    assert check.ok, str(check)


@pytest.mark.parametrize("size", [1e8, 1e9, 1e10])
def test_a_smooth_function_has_no_kink_however_sharply_it_bends(size):
    x, y = Value(1e-9, "x"), Value(0.0, "y")
    bent = (x * 0.6).cosh()
    rows = check_gradients(((y + bent + (bent + y) * 0.5) * size).sin()).rows
    assert all(row.verdict.word in ("agrees", "inconclusive") for row in rows)
    assert all(row.ok for row in rows)


@pytest.mark.parametrize(
    "kinked", [lambda x: ts.maximum(x, -3.0 * x), abs, lambda x: (2.0 * x).relu(), lambda x: ts.minimum(x, 0.0)]
)
def test_a_kink_is_one_also_where_its_middle_slope_is_the_derivative(kinked):
    x = Value(0.0, "x")
    (row,) = check_gradients(kinked(x) + x**2, x).rows
    assert row.verdict.word == "kink"


SHAPES = {
    "as it is": lambda r: r,
    "where C is 0": lambda r: r - r.data,
    "where rounding hides much": lambda r: r + 1e6,
    "squared": lambda r: (r + 1.0) ** 2,
}


@given(SMOOTH, NUMBER, NUMBER, st.sampled_from(list(SHAPES)), st.sampled_from([1.001, 0.999, 0.0, -1.0]))
def test_a_right_gradient_is_never_called_wrong_and_a_wrong_one_always_is(steps, a, b, shape, factor):
    for wrong in (1.0, factor):
        with slope_of_identity(wrong):
            x, y = Value(a, "x"), Value(b, "y")
            root = SHAPES[shape](record("test row", built(steps, x, y)))
            check = check_gradients(root, x, y)
        if wrong == 1.0:
            root.backward()
            assert check.ok, str(check)
            right = [x.grad, y.grad]
        else:
            assert all(not row.ok for row, d in zip(check.rows, right) if abs(d) > 1e-9), str(check)


FLAT = {
    "x²": lambda x: x**2, "cos": lambda x: x.cos(), "x·x·3": lambda x: x * x * 3.0, "x⁰": lambda x: x**0,
    "cos − 1": lambda x: x.cos() - 1.0, "relu²": lambda x: x.relu() ** 2, "x|x|": lambda x: x * abs(x),
    "0·x": lambda x: 0 * x,
    "constant": lambda x: x * 0.0 + 1e200, "perfect fit": lambda x: (x * 3.0 - 0.0) ** 2,
}  # fmt: skip


@pytest.mark.parametrize("name", FLAT)
def test_where_the_slope_is_exactly_0_it_agrees(name):
    (row,) = check_gradients(FLAT[name](Value(0.0, "x"))).rows
    assert row.ok
    assert row.verdict.word in ("agrees", "both are 0")


def test_what_kinks_make_of_a_smooth_function_is_a_disagreement():
    y = Value(0.0, "y")
    (row,) = check_gradients(y.relu() - (-y).relu()).rows
    assert row.verdict.startswith("disagrees: off by 1, ")
    assert "the slope that relu has by convention at its kink" in row.verdict


def test_the_bare_numbers_of_a_formula_are_no_leaves_to_check():
    x, unlabelled = Value(2.0, "x"), Value(3.0)
    C = ts.maximum(2.0 * x + 1, 0.5) / 7 + unlabelled
    assert len(check_gradients(C, names={}).rows) == 2
    seven = C.operands[0].operands[1]
    assert len(check_gradients(C, seven, names={}).rows) == 1
    assert check_gradients(record("*", 2.0, 3.0), names={}).ok


@pytest.mark.thorough
def test_of_many_leaves_a_sample_is_checked_and_said_so():
    leaves = [Value(1.0 + i, f"x[{i}]") for i in range(SAMPLE + 1)]
    C = leaves[0]
    for leaf in leaves[1:]:
        C = C + leaf
    check = check_gradients(C)
    assert (len(check.rows), check.of) == (SAMPLE, SAMPLE + 1)
    assert "a sample: 1,000 of 1,001 leaves" in str(check)
    assert check_gradients(C).rows == check.rows
    everything = check_gradients(C, *leaves)
    assert (len(everything.rows), everything.of) == (SAMPLE + 1, SAMPLE + 1)
    assert "a sample" not in str(everything)


def test_leaves_nudged_together_are_judged_as_each_by_itself():
    net = ts.MLP(3, [4, 2], "tanh", seed=0)
    C = ts.squared_error(net([0.5, -1.0, 0.2]), [0.0, 1.0])
    together = check_gradients(C)
    alone = [check_gradients(C, leaf).rows[0] for leaf in ts.leaves(C) if leaf.label]
    assert list(together.rows) == alone


def test_a_bar_shows_that_a_single_leaf_of_a_large_graph_takes_long(monkeypatch, capsys):
    monkeypatch.setattr(check, "PATIENCE", 0.0)
    monkeypatch.setattr(check, "_is_watched", lambda: True)
    x = Value(0.5, "x")
    y = x
    for _ in range(100):
        y = y.sin()
    assert check_gradients(y).ok
    assert "checking:   0%" in capsys.readouterr().err

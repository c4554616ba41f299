"""check_gradients: every derivative beside its difference quotients."""

import contextlib
import math

import pytest
from hypothesis import assume, given, settings, strategies as st
from programs import LEAVES, PROGRAM, result_of

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine import ops, record
from tinygrad_scalar.inspection.check import LINES, MOST_LEAVES, check_gradients
from tinygrad_scalar.inspection.finite_differences import NudgedGraph
from tinygrad_scalar.inspection.names import leaves
from tinygrad_scalar.inspection.nudge import nudge

NUMBER = st.floats(-2, 2, allow_subnormal=False)


def _cost():
    """001's cost of one neuron."""
    w, a, b, y = Value(0.6, "w(1)[0,0]"), Value(1.5, "a(0)[0]"), Value(0.1, "b(1)[0]"), Value(1.0, "y")
    C = ((w * a + b).sigmoid() - y) ** 2
    C.label = "C"
    return C


def _network():
    return ts.squared_error(ts.MLP(2, [3, 2], "tanh", seed=0)([0.5, -1.0]), [0.0, 1.0])


@contextlib.contextmanager
def row(forward, local_grads=lambda v, x: (1.0,)):
    """Within `with row(...)` there is an operation "test row" of one operand that the package does not know."""
    ops.OPERATIONS["test row"] = ops.Operation("test row", "r", "r({0})", "x", forward, local_grads, ("1",))
    try:
        yield
    finally:
        del ops.OPERATIONS["test row"]


def _wrong(factor):
    """Within this block the "test row" is the identity, with the slope `factor`."""
    return row(lambda x: x, lambda v, x: (factor,))


# --- check_gradients: what is right ----------------------------------------------------------------------------------


def _ill_conditioned(kind, r, c):
    """A smooth function of r in which digits are lost, or one far from 1 in size."""
    return [
        lambda: r,
        lambda: (r + 1e8) - 1e8,
        lambda: (r * 8.0).exp() - (r * 8.0 + 1e-7).exp(),
        lambda: (r + c) ** 2 - r * r - r * c * 2.0 - c * c,
        lambda: r * 1e-9 + 1e3,
        lambda: (r * 1e9).sin(),
        lambda: 1e200 * r.exp(),
        lambda: (r + 1e6) * (r - 1e6),
        lambda: ((r + 1e8) - 1e8) ** 2,
        lambda: 1.0 / (r * r + 1e-6),
    ][kind]()


@settings(max_examples=10 * settings.default.max_examples)
@given(PROGRAM, LEAVES, st.integers(0, 9), NUMBER)
def test_no_derivative_of_a_smooth_function_disagrees_however_ill_conditioned(program, numbers, kind, c):
    root = _ill_conditioned(kind, result_of(program, ts, [Value(number) for number in numbers]), c)
    assume(root.operands)
    check = check_gradients(root)
    assert all(row.verdict.startswith(("agrees", "both are 0", "inconclusive")) for row in check.rows), str(check)
    assert check.ok


@pytest.mark.parametrize("root", [_cost, _network])
def test_a_network_agrees_in_all_its_leaves_to_many_digits(root):
    root = root()
    check = check_gradients(root)
    root.backward()
    assert check.ok and bool(check)
    assert [row.derivative for row in check.rows] == [leaf.grad for leaf in leaves(root) if leaf.label]
    assert all(row.verdict == "both are 0" or int(row.verdict.split()[2]) >= 8 for row in check.rows)
    assert check.max_error == max(row.error for row in check.rows) < 1e-9


@pytest.mark.parametrize("scale", [1e-100, 1e-12, 1e-3, 1e5, 1e100])
@pytest.mark.parametrize("function", [lambda x: x.log(), lambda x: x * x, lambda x: 1.0 / x, lambda x: x.sqrt()])
def test_leaves_of_any_size_agree(function, scale):
    x = Value(1.7 * scale, "x")
    assert check_gradients(function(x), x).rows[0].verdict.startswith("agrees to ")


# --- check_gradients: what is wrong ----------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [1.0001, 0.9999, 0.0, -1.0, 2.0, 1e10])
@pytest.mark.parametrize("make", [_cost, _network])
def test_a_slope_that_is_wrong_by_a_ten_thousandth_is_found(make, factor):
    with _wrong(factor):
        root = record("test row", make())
        check = check_gradients(root)
        assert not check
        assert {row.verdict.partition(":")[0] for row in check.rows} <= {"disagrees", "both are 0"}
        assert "do not agree" in str(check)
    with _wrong(1.0):
        assert check_gradients(record("test row", make()))


@given(st.floats(0.1, 2.0), st.floats(1e-4, 10.0), st.sampled_from([1.0, -1.0]))
def test_only_the_leaves_below_a_wrong_slope_are_blamed(a, relative, sign):
    x, y = Value(a, "x"), Value(0.5, "y")
    with _wrong(1.0 + sign * relative):
        below, beside = check_gradients(record("test row", x.sin() + x) * 2.0 + y.exp() * y, x, y).rows
    assert below.verdict.startswith("disagrees: off by ")
    assert not below.ok
    assert beside.ok


def test_a_wrong_slope_is_found_beside_large_numbers():
    x = Value(1.0, "x")
    with _wrong(1.0001):
        assert not check_gradients(record("test row", x.exp()) + 1e5, x)


def test_a_function_that_rounding_leaves_no_digit_of_is_undecided():
    x = Value(4.734942843718673, "x")
    (row,) = check_gradients(((((x + 1e8) - 1e8) * x).sinh()).sin() * 1e-6, x).rows  # a period is 1e-10 here
    assert row.verdict.startswith("undecided: off by ")
    assert row.ok
    assert math.isnan(row.error)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda x: x.sqrt(), "the derivative is inf"),
        (lambda x: x.log(), "itself is −inf"),
        (lambda x: x / x, "itself is nan"),
        (lambda x: x.sqrt() * 0.0, "the derivative is nan"),
    ],
)
def test_nan_and_inf_are_reported_as_such_and_not_ok(make, said):
    x = Value(0.0, "x")
    (row,) = check_gradients(make(x), x).rows
    assert row.verdict.startswith("not finite: ")
    assert said in row.verdict
    assert (row.ok, row.error) == (False, math.inf)


# --- check_gradients: kinks, jumps and edges -------------------------------------------------------------------------

KINKS = {
    "relu": (lambda x: x.relu(), "slope 0 on the left, 1 on the right"),
    "abs": (lambda x: abs(x) + x * 0.5, "slope −0.5 on the left, 1.5 on the right"),
    "maximum": (lambda x: ts.maximum(x, x * -3.0), "slope −3 on the left, 1 on the right"),
    "minimum": (lambda x: ts.minimum(x, Value(0.0)), "slope 1 on the left, 0 on the right"),
    "leaky_relu": (lambda x: x.leaky_relu(0.25), "slope 0.25 on the left, 1 on the right"),
}


@pytest.mark.parametrize("name", KINKS)
@pytest.mark.parametrize("at", [0.0, 1.0, -300.0])
def test_at_a_kink_a_derivative_between_the_two_slopes_is_right(name, at):
    make, slopes = KINKS[name]
    x = Value(at, "x")
    (row,) = check_gradients(make(x - at), x).rows
    assert row.verdict == f"kink: {slopes}; the derivative is between them"
    assert row.ok


@pytest.mark.parametrize(("slope", "ok"), [(0.0, True), (0.5, True), (1.0, True), (1.5, False), (-0.01, False)])
def test_at_a_kink_a_derivative_outside_the_two_slopes_is_wrong(slope, ok):
    x = Value(0.0, "x")
    with row(lambda x: max(x, 0.0), lambda v, x: (slope,)):
        (checked,) = check_gradients(record("test row", x)).rows
    assert checked.verdict.startswith("kink: ")
    assert checked.ok is ok


@pytest.mark.parametrize("distance", [1e-1, 1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize("side", [1.0, -1.0])
def test_near_a_kink_the_slope_on_its_own_side_is_right(distance, side):
    x = Value(side * distance, "x")
    (row,) = check_gradients(x.relu() + 1.0, x).rows
    assert row.ok
    assert row.difference == pytest.approx(float(side > 0), abs=1e-4)


@pytest.mark.parametrize("compare", [ts.greater, ts.greater_equal])
def test_at_a_jump_there_is_nothing_to_compare_with(compare):
    x = Value(2.0, "x")
    (row,) = check_gradients(compare(x, 2.0) * 3.0, x).rows
    assert row.verdict.startswith("jump: ")
    assert row.ok


def test_at_the_edge_of_its_domain_the_slope_inside_decides():
    x = Value(0.0, "x")
    (row,) = check_gradients(x**1.5 + x * 2.0, x).rows
    assert row.verdict.startswith("edge: agrees on the right")
    assert row.ok
    assert row.difference == pytest.approx(2.0, abs=1e-6)


@pytest.mark.parametrize("c", [1e3 / 7.0, 1e8 / 3.0, 1e12 / 7.0])
def test_the_error_of_a_limit_is_not_below_what_rounding_does_beside_the_point(c):
    x = Value(0.0, "x")  # where nothing is rounded
    of = NudgedGraph((x * c + 2.0 / 3.0) - x * c + x, "nudge", {})
    f = of.along(x)
    limit = f.limit(1, 1)
    assert limit.error >= (f.rounding(-limit.h) + f.rounding(limit.h)) / (2.0 * limit.h)


def test_values_without_a_label_are_called_by_the_callers_variables():
    w, a = Value(0.5), Value(2.0)
    z = w * a
    assert str(nudge(z, w)).startswith("∂z/∂w = lim h→0 (z(w + h) − z(w))/h = 2\n")
    assert [row.name for row in check_gradients(z).rows] == ["w", "a"]
    assert [row.name for row in check_gradients(z, "v", names={"v": w, "z": z}).rows] == ["v"]


def test_what_rounding_hides_is_said_to_be_hidden():
    x = Value(1.0, "x")
    (row,) = check_gradients(1e20 + x, x).rows
    assert row.verdict.startswith("inconclusive: rounding hides everything below ±")


# --- check_gradients: the report -------------------------------------------------------------------------------------


def test_the_leaves_can_be_chosen_by_value_or_name_and_each_has_one_row():
    C = _cost()
    y = leaves(C)[-1]
    assert [row.name for row in check_gradients(C, "w(1)[0,0]", y, "y").rows] == ["w⁽¹⁾₀₀", "y"]
    assert len(check_gradients(C).rows) == len(leaves(C))


@pytest.mark.parametrize("n", [1, LINES + 1, MOST_LEAVES, MOST_LEAVES + 1])
def test_of_many_leaves_the_worst_are_printed_and_the_rest_counted(n):
    root = Value(0.0)
    with _wrong(1.5):
        x = [Value(i / n + 1.0, f"x[{i}]") for i in range(n)]
        root = record("test row", x[0])
        for x_i in x[1:]:
            root = root + x_i * x_i
        lines = str(check_gradients(root, *x)).splitlines()
    table = [line for line in lines[1:] if line.startswith("x") and ":" not in line]
    cut = n > MOST_LEAVES
    assert len(table) == (LINES if cut else n)
    assert table[0].endswith("disagrees")
    assert (f"… the worst {LINES} of {n} leaves" in lines) is cut
    assert lines[-1] == f"1 of {n} do not agree"

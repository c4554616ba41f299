"""nudge and check_gradients: the derivative as a limit, and the engine's derivatives against difference quotients."""

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
from tinygrad_scalar.inspection.names import leaves, topological_order
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
    """Within it the "test row" is the identity, with the slope `factor`."""
    return row(lambda x: x, lambda v, x: (factor,))


# --- nudge: the numbers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leaf", ["w(1)[0,0]", "a(0)[0]", "b(1)[0]", "y"])
def test_the_quotients_go_to_the_derivative_of_backward_until_rounding_takes_over(leaf):
    C = _cost()
    found = nudge(C, leaf)
    C.backward()
    assert found.derivative == next(node.grad for node in leaves(C) if node.label == leaf)
    errors = [row.error for row in found.rows]
    best = errors.index(min(errors))
    assert errors[: best + 1] == sorted(errors[: best + 1], reverse=True)
    assert 1e-10 <= found.rows[best].h <= 1e-6
    assert errors[-1] > 1e3 * errors[best]
    assert found.verdict.startswith("agrees to ")


@given(NUMBER, st.floats(1e-12, 1.0))
def test_a_row_is_the_quotient_of_the_function_at_a_and_a_plus_h(a, h):
    def f(x):
        return x * x * x - x * 2.0

    x = Value(a, "x")
    found = nudge(f(x), x, h)
    assert found.h == h
    assert (h, f(a + h), (f(a + h) - f(a)) / h, abs(found.forward_difference - found.derivative)) in found.rows
    assert found.forward_difference == (f(a + h) - f(a)) / h
    assert found.error == abs(found.forward_difference - found.derivative)


@given(NUMBER)
def test_the_central_difference_is_the_quotient_at_its_best_step(a):
    x = Value(a, "x")
    found = nudge(x.exp(), x)
    low, high = a - found.best_h, a + found.best_h
    assert found.central_difference == (Value(high).exp().data - Value(low).exp().data) / (high - low)
    assert found.central_difference == pytest.approx(math.exp(a), rel=1e-8)


def test_the_rows_are_the_powers_of_ten_and_the_step_given_falling():
    x = Value(2.0, "x")
    powers = [float(f"1e-{k}") for k in range(1, 16)]
    assert [row.h for row in nudge(x * x, x).rows] == powers
    assert [row.h for row in nudge(x * x, x, 0.03).rows] == [0.1, 0.03, *powers[1:]]


@pytest.mark.parametrize("look", [lambda C: str(nudge(C, "y")), lambda C: str(check_gradients(C))])
def test_nothing_in_the_graph_changes(look):
    C = _cost()
    nodes = topological_order(C)
    for i, node in enumerate(nodes):
        node.grad = float(i)
    before = [(node.data, node.grad, node.local_grads, node.label) for node in nodes]
    look(C)
    assert [(node.data, node.grad, node.local_grads, node.label) for node in nodes] == before
    C.backward()  # and it is as fresh as it was


# --- nudge: how it prints --------------------------------------------------------------------------------------------


def test_a_nudge_prints_the_limit_in_the_notes_letters_and_where_rounding_takes_over():
    text = str(nudge(_cost(), "w(1)[0,0]"))
    assert text.startswith("∂C/∂w⁽¹⁾₀₀ = lim h→0 (C(w⁽¹⁾₀₀ + h) − C(w⁽¹⁾₀₀))/h = −0.1586")
    (smallest,) = [line for line in text.splitlines() if line.endswith("← smallest error")]
    assert f"Below h = {smallest.split()[0]} the error rises" in text
    assert "\ncentral difference: " in text
    assert text.splitlines()[-1] == "verdict: agrees to 10 digits"


@pytest.mark.parametrize(
    ("name", "root", "letter"), [("h", "C", "ε"), ("h", "ε", "δ"), ("w", "h", "ε"), ("w", "C", "h")]
)
def test_the_letter_of_the_nudge_is_nobody_elses(name, root, letter):
    w = Value(1.0, name)
    C = w**2
    C.label = root
    text = str(nudge(C, w))
    assert text.startswith(
        f"∂{root}/∂{name} = lim {letter}→0 ({root}({name} + {letter}) − {root}({name}))/{letter} = 2\n"
    )


def test_the_letter_of_the_nudge_is_not_that_of_another_value():
    h, w = Value(0.5, "h"), Value(0.9, "w")
    assert str(nudge((h * w).tanh(), w, names={})).startswith("∂f/∂w = lim ε→0 (f(w + ε) − f(w))/ε")


def test_digits_are_those_of_the_derivative_and_not_of_terms_that_cancel():
    x = Value(0.7, "x")
    (row,) = check_gradients(1e12 * x - 1e12 * x + ts.sin(x), x).rows
    assert row.verdict == "agrees within rounding"


def test_along_a_straight_line_no_nudge_is_the_best():
    k = Value(1.38, "k")
    text = str(nudge(k * 300.0 / 7.0, k))
    assert "From k to k + 0.1 the function is a straight line: each h gives its slope." in " ".join(text.split())
    assert "smallest error" not in text


def test_without_labels_it_is_f_of_a():
    x = Value(3.0)
    assert str(nudge(x * x, x, names={})).startswith("∂f/∂a = lim h→0 (f(a + h) − f(a))/h = 6\n")


def test_a_row_without_a_smaller_error_before_it_is_not_said_to_rise():
    x = Value(0.0, "x")
    assert "rises" not in str(nudge(x * 2.0, x))


@pytest.mark.parametrize("label", ["x" * 200, "two\nlines", "w(1)[0,2]", ""])
@pytest.mark.parametrize("data", [-1.234567e-300, 0.0, 1.0 / 3.0, -1.234567e150, math.nan, math.inf])
@pytest.mark.parametrize("h", [1e-6, 1.2345e-300, 1e300])
def test_what_prints_is_no_wider_than_80_columns(label, data, h):
    x = Value(data, label)
    root = x * x * -1.234567 + x.sigmoid()
    root.label = "a long name of the sum " * 5
    for text in (str(nudge(root, x, h)), str(check_gradients(root))):
        assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("look", [lambda root, x: nudge(root, x), lambda root, x: check_gradients(root, x)])
def test_jupyter_shows_a_table_whose_texts_are_escaped(look):
    x = Value(2.0, "<b>&")
    page = look(x * x, x)._repr_html_()
    assert "<table>" in page
    assert "&lt;b&gt;&amp;" in page
    assert "<b>" not in page


# --- check_gradients: what is right ----------------------------------------------------------------------------------


def _ill_conditioned(kind, r, c):
    """A smooth function of r in which digits are lost, or one far from the size of 1."""
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
    assert [row.derivative for row in check.rows] == [leaf.grad for leaf in leaves(root)]
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
    assert not row.ok


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda x: x.sqrt(), "the derivative is inf"),
        (lambda x: x.log(), "itself is −inf"),
        (lambda x: x / x, "itself is nan"),
        (lambda x: x.sqrt() * 0.0, "the derivative is nan"),
    ],
)
def test_nan_and_inf_are_told_as_such_and_not_ok(make, said):
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


# --- errors, and depth -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("look", [nudge, check_gradients])
@pytest.mark.parametrize(
    ("leaf", "error", "said"),
    [
        ("weigth", ValueError, "did you mean weight"),
        ("twin", ValueError, "2 values are called 'twin'"),
        ("product", ValueError, r"\w+ expected a leaf, but product was computed by '\*'"),
        (Value(1.0, "other"), ValueError, "is not in the graph"),
        (3.5, TypeError, r"got 3\.5"),
    ],
)
def test_what_is_no_leaf_of_the_graph_is_an_error_that_says_why(look, leaf, error, said):
    product = Value(2.0, "weight") * Value(3.0, "twin")
    product.label = "product"
    with pytest.raises(error, match=said):
        look(product + Value(1.0, "twin"), leaf)


@pytest.mark.parametrize("look", [lambda root: nudge(root, root), check_gradients])
def test_a_root_that_was_not_computed_is_an_error(look):
    with pytest.raises(ValueError, match="is a leaf"):
        look(Value(1.0, "x"))
    with pytest.raises(TypeError, match="expected the Value at the root"):
        look(3.5)


@pytest.mark.parametrize("h", [0.0, -1e-6, math.nan, math.inf, 0])
def test_a_nudge_that_is_not_positive_and_finite_is_an_error(h):
    with pytest.raises(ValueError, match="the nudge h must be a positive finite number"):
        nudge(_cost(), "y", h)


def test_a_nudge_that_is_no_number_is_a_type_error():
    with pytest.raises(TypeError, match="h must be an int"):
        nudge(_cost(), "y", "tiny")


@pytest.mark.parametrize("look", [lambda C: nudge(C, "y"), check_gradients])
def test_a_stale_graph_is_an_error(look):
    C = _cost()
    leaves(C)[0].data = 5.0
    with pytest.raises(ts.StaleGraphError, match=r"was set to 5\.0"):
        look(C)


def test_an_operation_of_the_users_own_that_raises_is_as_nan():
    def forward(x):
        if x < 0.0:
            raise ValueError("no")
        return x * x

    x = Value(0.0, "x")
    with row(forward, lambda v, x: (2.0 * x,)):
        root = record("test row", x)
        assert check_gradients(root).rows[0].verdict.startswith("edge: agrees on the right")
        nudge(root, x)


def test_any_depth(thorough):
    x = y = Value(0.5, "x")
    operations = 50_000 if thorough else 10_000
    for _ in range(operations):
        y = y + x
    assert check_gradients(y, x).ok
    assert nudge(y, x).derivative == operations + 1.0


def test_only_what_is_above_the_leaf_is_computed():
    calls = []
    with row(lambda x: calls.append(x) or x):
        x, y = Value(1.0, "x"), Value(2.0, "y")
        root = record("test row", x) + y.exp()
        calls.clear()
        check_gradients(root, y)
        nudge(root, y)
        assert not calls
        nudge(root, x)
        assert calls


@pytest.mark.parametrize("build", [lambda x: x.sin(), lambda x: (x - 1e16).tanh(), lambda x: x.cos() * 2.0])
def test_a_leaf_that_cannot_be_nudged_finely_is_inconclusive(build):
    check = check_gradients(build(Value(1e16, "x")), "x")
    assert check.rows[0].verdict == "inconclusive: around 1e+16 the numbers are 2 apart, too far for a nudge"
    assert math.isnan(check.rows[0].error)
    assert str(check).endswith("inconclusive for 1 of 1")


def test_a_jump_is_not_counted_as_agreeing():
    x = Value(0.0, "x")
    check = check_gradients(ts.where(ts.greater(x, 0.0), x, 5.0))
    assert "inconclusive for 2 of 3; the others agree" in str(check)


@pytest.mark.parametrize(
    "build", [lambda x: abs(x), lambda x: x.relu(), lambda x: ts.where(ts.greater(x, 0.0), x, 5.0)]
)
def test_where_there_is_no_limit_none_is_claimed(build):
    x = Value(0.0, "x")
    text = str(nudge(build(x), x))
    assert " by convention: (f(x + h) − f(x))/h has no limit as h → 0" in text
    assert "rises" not in text


def test_no_error_is_marked_as_the_smallest_where_all_are_alike():
    x = Value(0.0, "x")
    assert "smallest" not in str(nudge(x.relu(), x))  # each is 1
    assert "smallest" not in str(nudge(x.log(), x))  # each is nan


def test_leaves_in_a_list_are_an_error_that_says_how_to_give_them():
    x, y = Value(1.0, "x"), Value(2.0, "y")
    with pytest.raises(TypeError, match=r"separate arguments, such as check_gradients\(C, w, b\)"):
        check_gradients(x * y, [x, y])


def test_a_derivative_whose_terms_cancel_below_their_rounding_is_inconclusive():
    q, x0 = Value(3.9, "q"), Value(0.2, "x0")
    x = x0
    for _ in range(60):  # the logistic map, in chaos
        x = q * x * (1.0 - x)
    check = check_gradients(x, q, x0)
    assert all(row.verdict.startswith("inconclusive: the terms of the derivative cancel") for row in check.rows)


@pytest.mark.parametrize("r", [2.9, 3.33, 3.7])
def test_a_derivative_whose_terms_overflow_is_inconclusive(r):
    x = Value(0.3, "x")
    a = x
    for _ in range(1000):
        a = r * a * (1.0 - a)
    assert check_gradients(a, x).rows[0].verdict.startswith("inconclusive: the terms of the derivative overflow")

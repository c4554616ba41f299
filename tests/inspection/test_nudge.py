"""nudge: the derivative as a limit; the errors that nudge and check_gradients share."""

import contextlib
import math

import pytest
from hypothesis import given, strategies as st

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine import ops, record
from tinygrad_scalar.inspection.check import check_gradients
from tinygrad_scalar.inspection.names import leaves, topological_order
from tinygrad_scalar.inspection.nudge import nudge

NUMBER = st.floats(-2, 2, allow_subnormal=False)


def _cost():
    """001's cost of one neuron."""
    w, a, b, y = Value(0.6, "w(1)[0,0]"), Value(1.5, "a(0)[0]"), Value(0.1, "b(1)[0]"), Value(1.0, "y")
    C = ((w * a + b).sigmoid() - y) ** 2
    C.label = "C"
    return C


@contextlib.contextmanager
def row(forward, local_grads=lambda v, x: (1.0,)):
    """Within `with row(...)` there is an operation "test row" of one operand that the package does not know."""
    ops.OPERATIONS["test row"] = ops.Operation("test row", "r", "r({0})", "x", forward, local_grads, ("1",))
    try:
        yield
    finally:
        del ops.OPERATIONS["test row"]


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
    operations = 50_000 if thorough else 4_000
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
    assert check.rows[0].verdict == "inconclusive: floats around 1e+16 are 2 apart, too far for a nudge"
    assert math.isnan(check.rows[0].error)
    assert str(check).endswith("inconclusive for 1 of 1")


def test_a_jump_is_not_counted_as_agreeing():
    x = Value(0.0, "x")
    check = check_gradients(ts.where(ts.greater(x, Value(0.0)), x, Value(5.0)))
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


@pytest.mark.parametrize("r", [2.9, *(pytest.param(r, marks=pytest.mark.thorough) for r in (3.33, 3.7))])
def test_a_derivative_whose_terms_overflow_is_inconclusive(r):
    x = Value(0.3, "x")
    a = x
    for _ in range(1000):
        a = r * a * (1.0 - a)
    assert check_gradients(a, x).rows[0].verdict.startswith("inconclusive: the terms of the derivative overflow")

"""sensitivity: the leaves of a graph ranked by their gradient or their contribution, as a table and as CSV."""

import csv
import io
import math

import pytest
from hypothesis import given, strategies as st

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.inspection.named_graph import NamedGraph
from tinygrad_scalar.inspection.names import leaves, topological_order
from tinygrad_scalar.inspection.sensitivity import LINES, sensitivity

NUMBERS = st.lists(st.floats(-10, 10), min_size=1, max_size=8)


def _cost(seed=0):
    return ts.squared_error(ts.MLP(2, [3, 2], "tanh", seed=seed)([0.5, -1.0]), [0.0, 1.0])


def _polynomial(numbers):
    """Σᵢ xᵢ·x₀ + xᵢ, of named leaves."""
    x = [Value(number, f"x[{i}]") for i, number in enumerate(numbers)]
    root = x[0] * 1.0
    for x_i in x:
        root = root + x_i * x[0] + x_i
    return root


# --- the numbers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("root", [_cost, lambda: _polynomial([2.0, 0.1, -3.0]), lambda: (Value(2.0, "x") ** 3).exp()])
def test_the_gradients_are_those_of_backward_bit_for_bit(root):
    root = root()
    on_the_side = NamedGraph(root, "sensitivity", {}).gradients
    root.backward()
    assert {node: node.grad for node in topological_order(root)} == on_the_side


def test_no_gradient_and_no_data_is_touched():
    root = _cost()
    for i, node in enumerate(topological_order(root)):
        node.grad = float(i)
    before = [(node.data, node.grad) for node in topological_order(root)]
    sensitivity(root).by("contribution")
    assert [(node.data, node.grad) for node in topological_order(root)] == before


@given(NUMBERS)
def test_a_row_holds_the_leafs_data_gradient_and_their_product(numbers):
    root = _polynomial(numbers)
    rows = {row.name: row for row in sensitivity(root)}
    root.backward()
    for leaf in leaves(root):
        if leaf.label:
            assert rows[leaf.label] == (leaf.label, leaf.data, leaf.grad, leaf.data * leaf.grad)


@given(st.lists(st.floats(0.5, 2.0), min_size=2, max_size=8))
def test_in_a_product_every_factor_contributes_the_whole_product(numbers):
    root = Value(numbers[0], "x0")
    for i, number in enumerate(numbers[1:], 1):
        root = root * Value(number, f"x{i}")
    for row in sensitivity(root):
        assert row.contribution == pytest.approx(root.data)


@given(NUMBERS)
def test_each_order_falls_in_the_size_of_its_column_and_has_every_row(numbers):
    table = sensitivity(_polynomial(numbers))
    for column in ("gradient", "contribution"):
        ranked = table.by(column)
        sizes = [abs(getattr(row, column)) for row in ranked]
        assert sizes == sorted(sizes, reverse=True)
        assert set(ranked) == set(table)
        assert len(ranked) == len(table) == len(numbers)


def test_by_contribution_ranks_otherwise_than_by_gradient():
    w, x = Value(3.0, "w"), Value(4.0, "x")
    table = sensitivity(w * x + x)
    assert [row.name for row in table] == ["w", "x"]
    assert [row.name for row in table.by("contribution")] == ["x", "w"]
    assert [row.name for row in table.by("contribution").by("gradient").rows] == ["w", "x"]


def test_nan_comes_first_then_inf_and_both_are_marked():
    a, b, c = Value(0.0, "a"), Value(0.0, "b"), Value(1e9, "c")
    table = sensitivity(c * c + b.log() + a.sqrt() * 0.0)
    assert [row.name for row in table] == ["a", "b", "c"]
    assert math.isnan(table.rows[0].gradient)
    _, _, first, second, third = str(table).splitlines()
    assert first.endswith("← nan")
    assert second.endswith("← inf")
    assert third.endswith("▇" * 15)  # the largest that is finite


# --- which leaves, and what they are called --------------------------------------------------------------------------


def test_constants_without_a_name_are_left_out():
    w = Value(2.0)
    assert [row.name for row in sensitivity(w * 3.0 + 1.0)] == ["w"]


def test_where_nothing_has_a_name_there_are_the_leaves_that_somebody_made():
    ranked = sensitivity(Value(2.0) * Value(5.0) * 3.0, names={})
    assert [(row.name, row.gradient) for row in ranked] == [("a[1]", 15.0), ("a[2]", 6.0)]
    assert str(ranked).startswith("v₂ = 30: its 2 leaves (of 3) by")


def test_a_leaf_that_is_used_twice_has_one_row():
    x = Value(3.0)
    assert [(row.name, row.gradient) for row in sensitivity(x * x)] == [("x", 6.0)]


def test_names_can_be_given():
    a, b = Value(1.0), Value(2.0)
    assert [row.name for row in sensitivity(a * b, names={"left": a, "right": [b]})] == ["left", "right[0]"]


# --- how it prints ---------------------------------------------------------------------------------------------------


def test_a_network_prints_in_the_notes_letters():
    text = str(sensitivity(_cost()))
    assert "w⁽¹⁾₀₁" in text
    assert "w(1)" not in text


@pytest.mark.parametrize("n", [1, LINES, LINES + 1, 3 * LINES])
def test_the_table_has_a_line_for_each_leaf_but_no_more_than_fit(n):
    table = sensitivity(_polynomial([1.0] * n))
    lines = str(table).splitlines()
    assert len(lines) == 2 + min(n, LINES) + (n > LINES)
    assert (f"… and {n - LINES} more" == lines[-1]) == (n > LINES)
    assert table._repr_html_().count("<tr><td ") == min(n, LINES)


@pytest.mark.parametrize("label", ["x" * 200, "two\nlines", "w(1)[0,2]"])
@pytest.mark.parametrize("data", [-1.234567e-300, 0.0, math.nan, -math.inf])
def test_the_table_is_no_wider_than_80_columns(label, data):
    total = Value(data, label) * -1.234567e300 + Value(-1.5e-300, "other") * 1e-5
    total.label = "a long name of the sum " * 5
    lines = str(sensitivity(total)).splitlines()
    assert len(lines) == 4
    assert max(map(len, lines)) <= 80


def test_the_bars_are_in_proportion_to_the_column_that_is_sorted():
    a, b, c = Value(1.0, "a"), Value(0.0, "b"), Value(-3.0, "c")
    table = sensitivity(a * 3.0 + b * 1.5 + c)
    assert [line.count("▇") for line in str(table).splitlines()[2:]] == [15, 8, 5]
    assert [line.count("▇") for line in str(table.by("contribution")).splitlines()[2:]] == [15, 15, 0]


@pytest.mark.parametrize("size", [1.7e308, 1e-320])
def test_gradients_at_either_end_of_float64_have_bars(size):
    x, y = Value(1.0, "x"), Value(1.0, "y")
    assert str(ts.sensitivity(size * x + 0.5 * size * y)).count("▇") == 15 + 8


def test_what_is_not_0_has_a_bar_and_0_has_neither_bar_nor_sign():
    a, b, c = Value(1.0, "a"), Value(1.0, "b"), Value(-0.0, "c")
    _, _, first, second, third = str(sensitivity(a + b * 1e-9 + c * 0.0)).splitlines()
    assert first.endswith("▇")
    assert second.endswith("▏")
    assert third.split() == ["c", "0", "0", "0"]


def test_html_is_escaped():
    page = sensitivity(Value(2.0, "<b>&") * 3.0)._repr_html_()
    assert "&lt;b&gt;&amp;" in page
    assert "<b>" not in page


# --- CSV -------------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=40))
def test_csv_has_every_row_with_every_digit(numbers):
    table = sensitivity(_polynomial(numbers))
    head, *body = csv.reader(io.StringIO(table.to_csv()))
    assert head == ["name", "data", "gradient", "contribution"]
    assert [(name, *map(float, cells)) for name, *cells in body] == list(table.rows)


def test_csv_is_written_to_a_file(tmp_path):
    table = sensitivity(Value(2.0, "größe, in m") * 3.0)
    assert table.to_csv(tmp_path / "table.csv") is None
    assert (tmp_path / "table.csv").read_text("utf-8") == table.to_csv()
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_csv_into_no_folder_is_an_error_that_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        sensitivity(Value(2.0, "x") * 3.0).to_csv(tmp_path / "missing" / "table.csv")


# --- errors, and depth -----------------------------------------------------------------------------------------------


def test_what_is_no_value_is_a_type_error_that_shows_it():
    with pytest.raises(TypeError, match=r"sensitivity expected the Value .*, got 3\.5 \(float\)"):
        sensitivity(3.5)


def test_a_leaf_is_a_value_error():
    with pytest.raises(ValueError, match=r"is a leaf"):
        sensitivity(Value(1.0, "x"))


def test_a_stale_graph_is_an_error():
    x = Value(1.0, "x")
    root = x * 2.0
    x.data = 5.0
    with pytest.raises(ts.StaleGraphError, match=r"x was set to 5\.0"):
        sensitivity(root)


@pytest.mark.parametrize("column", ["size", None])
def test_another_column_is_an_error_that_names_the_columns(column):
    with pytest.raises(ValueError, match="the column must be gradient or contribution"):
        sensitivity(Value(2.0, "x") * 3.0).by(column)


def test_any_depth(thorough):
    x = y = Value(1.0, "x")
    operations = 100_000 if thorough else 8_000
    for _ in range(operations):
        y = y + x
    assert sensitivity(y).rows == (("x", 1.0, operations + 1.0, operations + 1.0),)


def test_only_the_leaves_that_are_asked_for_are_ranked_each_once():
    w, b, x = Value(2.0, "w"), Value(1.0, "b"), Value(5.0, "x")
    table = sensitivity(w * x + b, "b", w, b)
    assert [row.name for row in table] == ["w", "b"]
    assert "its 2 chosen leaves (of 3) by |gradient|" in str(table)


def test_what_is_asked_for_has_to_be_leaves_of_the_graph():
    w, x = Value(2.0, "w"), Value(5.0, "x")
    z = w * x
    z.label = "z"
    with pytest.raises(ValueError, match=r"sensitivity expected a leaf, but z was computed by '\*'"):
        sensitivity(z + 1.0, "z")
    with pytest.raises(ValueError, match="known names: w, x, z"):
        sensitivity(z, "W")
    with pytest.raises(TypeError, match=r"separate arguments, such as sensitivity\(C, w, b\)"):
        sensitivity(z, [w, x])

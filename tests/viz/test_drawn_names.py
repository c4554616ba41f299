"""Names in a drawing: labels of any text, else the caller's variables, in the notes' notation."""

import re

import pytest
from hypothesis import given, strategies as st
from support.pictures import SVG, TOOLTIP, groups, name_in, without_spaces

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine.graph import topological_order
from tinygrad_scalar.inspection import names as graph
from tinygrad_scalar.inspection.layout import fitted
from tinygrad_scalar.screen import printable
from tinygrad_scalar.viz.boxes import width_of
from tinygrad_scalar.viz.drawing import draw

of_the_module = Value(5.0)


def names_drawn(drawing):
    return [name_in(group) for title, group in groups(drawing).items() if title.startswith("v")]


def test_unlabelled_values_are_called_as_the_callers_variables():
    first, second = Value(1.0), Value(2.0)
    product = first * second
    drawing = draw(product)
    assert sorted(names_drawn(drawing)) == ["first", "product", "second"]


def test_a_module_variable_and_a_place_in_a_list_or_dict_are_names_too():
    xs, table = [Value(1.0), Value(2.0)], {"key": Value(3.0)}
    root = xs[0] * xs[1] * table["key"] * of_the_module
    drawing = draw(root)
    assert sorted(filter(None, names_drawn(drawing))) == ["of_the_module", "root", "table['key']", "xs₀", "xs₁"]


def test_a_label_wins_over_a_variable():
    variable = Value(1.0, "label")
    drawing = draw(variable * 2)
    assert sorted(names_drawn(drawing)) == ["", "", "label"]


def test_given_names_replace_the_callers_variables():
    hidden, other = Value(1.0), Value(2.0)
    drawing = draw(hidden * other, names={"given": hidden})
    assert sorted(names_drawn(drawing)) == ["", "a", "given"]
    assert "hidden" not in drawing.source
    assert "other" not in drawing.source


def test_variables_with_a_leading_underscore_do_not_show():
    _secret, __, seen = Value(1.0), Value(2.0), Value(3.0)
    _list = [Value(4.0)]
    drawing = draw(_secret * __ + seen * _list[0])
    assert sorted(filter(None, names_drawn(drawing))) == ["a₁", "a₂", "a₃", "seen"]
    assert "_secret" not in drawing.source
    assert "__" not in drawing.source
    assert "_list" not in drawing.source


def test_the_letter_of_a_leaf_without_a_name_says_nothing_about_its_kind():
    w = Value(1.0, "w")
    root = w * Value(2.0)
    for drawing in (draw(root, names={}), draw(ts.step(root, names={}))):
        assert sorted(names_drawn(drawing))[-2:] == ["a", "w"]
        assert "input" not in drawing.source


NOTATION = {"w(1)[0,2]": "w⁽¹⁾₀₂", "a(2)[11]": "a⁽²⁾₁₁", "x[3]": "x₃", "z(1)": "z⁽¹⁾", "learning rate": "learningrate"}


@pytest.mark.parametrize(("label", "shown"), NOTATION.items())
def test_labels_in_the_notes_form_are_written_as_the_notes_write_them(label, shown):
    assert name_in(groups(draw(Value(1.0, label)))["v0"]) == shown


# --- labels of any text ----------------------------------------------------------------------------------------------

NASTY = [
    "<b>bold</b>", "</table>", "<script>alert(1)</script>", "]]>", "<!-- x -->", "<", ">", "<<b>>", "<" * 500,
    "a & b", "&amp;", "&lt;&#65;", "&nosuch;", "&" * 41, '"quoted"', "'", 'a\\"b', "->", "node", "%s {0} {}",
    "\\", "\\\\", "\\N", "\\G\\l", "\\\\N", "\\E\\T\\H\\L", "back\\slash\\", "two\nlines", "a\r\nb", "tab\there",
    "\x00", "\x07bell", "\x1b[31m", "\x7f", "\x85", "\ud800", "\udfff", "\ufffe", "\uffff", "\U0010ffff",
    "🙂", "\u202eright to left", "e\u0301", "\u2028", "\u200b", "\xa0", "   ", "", "w" * 10_000,
    "w(1)[0,2]", "w(1)[0,2]\n", "٣[٣]",
]  # fmt: skip


def as_shown(label):
    """A label as the picture shows it, without white space: 40 columns from its ends, the unprintable escaped."""
    symbol = graph.symbol(label)
    return without_spaces(fitted(printable(symbol.unicode if symbol else label), 40))


def assert_labels_are_shown(labels):
    values = [Value(float(i), label) for i, label in enumerate(labels)]
    root = sum(values[1:], values[0])
    drawing = draw(root, names={})
    drawn = groups(drawing)
    for i, node in enumerate(topological_order(root)):
        if node.op or node.label:
            assert name_in(drawn[f"v{i}"]) == as_shown(node.label), node.label


@pytest.mark.parametrize("label", NASTY, ids=lambda label: ascii(label[:12]))
def test_a_label_with_signs_of_html_dot_or_the_terminal_is_shown_as_text(label):
    assert_labels_are_shown([label])


@given(st.lists(st.text(), min_size=1, max_size=8))
def test_any_labels_give_well_formed_svg_that_shows_them(labels):
    assert_labels_are_shown(labels)


def test_a_long_label_is_shortened_and_stands_whole_in_the_tooltip():
    label = "a rather long label that goes on and on and on"
    box = groups(draw(Value(1.0, label)))["v0"]
    assert name_in(box) == "aratherlonglabelthatg…andonandon"
    assert next(box.iter(f"{SVG}a")).get(TOOLTIP).startswith(f"leaf {label}: ")


# --- where they stand ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["w(1)[0,2]", "a(0)[12]", "name", "z(2)", "∂C"])
def test_a_name_stands_in_the_middle_of_its_box(name):
    x = Value(0.5, "x")
    y = x.exp()
    y.label = name
    (box,) = [group for title, group in groups(draw(y * 2.0, names={})).items() if title == "v1"]
    (text,) = [t for t in box.iter(f"{SVG}text") if t.get("font-weight") == "bold"]
    places = [float(x) for path in box.iter(f"{SVG}path") for x, _ in re.findall(r"([-\d.]+),([-\d.]+)", path.get("d"))]
    middle = (min(places) + max(places)) / 2
    assert float(text.get("x")) + 11 * width_of(text.text) / 2 == pytest.approx(middle, abs=3)


def test_numbers_end_below_each_other_whatever_their_sign():
    x = Value(0.25, "x")
    x.grad = -1.282
    box = groups(draw(x, names={}))["v0"]
    data, grad = (t for t in box.iter(f"{SVG}text") if re.search(r"\d", t.text))
    ends = [float(t.get("x")) + 11 * width_of(t.text) for t in (data, grad)]
    assert ends[0] == pytest.approx(ends[1], abs=1)

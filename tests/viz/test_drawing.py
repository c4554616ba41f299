"""`draw`: every value with its name, kind, data and gradient; well-formed whatever the labels; readable on any page."""

import os
import re
from itertools import combinations
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_scalar as ts
from tinygrad_scalar import Value, functions
from tinygrad_scalar.engine import ops
from tinygrad_scalar.engine.errors import StaleGraphError
from tinygrad_scalar.inspection import names as graph
from tinygrad_scalar.inspection.names import topological_order
from tinygrad_scalar.viz.drawing import DIRECTIONS, LOOKS, Drawing, draw, kinds

SVG = "{http://www.w3.org/2000/svg}"
TOOLTIP = "{http://www.w3.org/1999/xlink}title"


def groups(drawing, of="node"):
    """The SVG's groups by title: v0, v1, … are values in topological order, o2, … the operations that make them."""
    root = ElementTree.fromstring(drawing.svg)
    return {g.findtext(f"{SVG}title"): g for g in root.iter(f"{SVG}g") if g.get("class") == of}


def texts(group, **attributes):
    """The pieces of text in a group that have these SVG attributes, without white space."""
    found = group.iter(f"{SVG}text")
    wanted = [t for t in found if all(t.get(name.replace("_", "-")) == text for name, text in attributes.items())]
    return [text for t in wanted if (text := without_spaces(t.text or ""))]


def without_spaces(text):
    return "".join(text.split())


def name_in(group):
    return "".join(texts(group, font_weight="bold"))


def word_in(group):
    return "".join(texts(group, font_style="italic"))


def edges(drawing):
    """The edges of the DOT source, in its order."""
    return re.findall(r"^\t(\w+) -> (\w+)", drawing.source, flags=re.MULTILINE)


# --- the graph -------------------------------------------------------------------------------------------------------


def one_node():
    w, a, b, y = Value(0.6, "w"), Value(0.8, "a"), Value(0.1, "b"), Value(0.0, "y")
    return ((w * a + b).sigmoid() - y) ** 2


def square():
    x = Value(3.0)
    return x * x


def shared():
    x, y = Value(2.0), Value(-3.0)
    total = x + y
    return (total * x - y / total) ** total


def network():
    return ts.squared_error(ts.MLP(2, [2, 2], "tanh", seed=0)([0.5, -1.0]), [0, 1])


GRAPHS = {
    "a leaf": lambda: Value(1.0),
    "one node": one_node,
    "a value with itself": square,
    "shared": shared,
    "three operands": lambda: ts.where(ts.greater(Value(1.0), 2.0), Value(3.0), Value(4.0)),
    "network": network,
}


@pytest.mark.parametrize("build", GRAPHS.values(), ids=GRAPHS)
def test_every_value_is_a_box_and_every_operation_a_node_between_its_operands_and_its_result(build):
    root = build()
    drawing = draw(root, names={})
    nodes = topological_order(root)
    number = {node: i for i, node in enumerate(nodes)}
    computed = [node for node in nodes if node.op]
    assert sorted(groups(drawing)) == sorted(
        [f"v{i}" for i in number.values()] + [f"o{number[node]}" for node in computed]
    )
    for node in computed:
        operation, result = f"o{number[node]}", f"v{number[node]}"
        assert [edge for edge in edges(drawing) if edge[0] == operation] == [(operation, result)]
        into = [tail for tail, head in edges(drawing) if head == operation]
        assert into == [f"v{number[operand]}" for operand in node.operands]
    assert len(groups(drawing, "edge")) == len(set(edges(drawing)))


def test_a_value_times_itself_has_two_edges():
    assert edges(draw(square(), names={})) == [("o1", "v1"), ("v0", "o1"), ("v0", "o1")]


NUMBERS = [0.0, -0.0, 1.0, -2.5, 1 / 3, 123456789.0, 1e300, -5e-324, float("inf"), float("-inf"), float("nan")]


@pytest.mark.parametrize("data", NUMBERS)
def test_each_box_shows_data_and_gradient_shortened_and_its_tooltip_in_full(data):
    x = Value(data, "x")
    x.grad = -data
    box = groups(draw(x))["v0"]
    assert texts(box)[-4:] == ["data", f"{data:.4g}", "grad", f"{-data:.4g}"]
    assert [a.get(TOOLTIP) for a in box.iter(f"{SVG}a")] == [f"leaf x: data = {data!r}, grad = {-data!r}"]


def test_the_gradients_drawn_are_those_of_the_last_backward_pass():
    x = Value(3.0, "x")
    y = x * x
    before = texts(groups(draw(y))["v0"])
    y.backward()
    assert (before[-1], texts(groups(draw(y))["v0"])[-1]) == ("0", "6")


def test_every_operation_of_the_table_is_drawn_with_its_sign():
    x, y, c = Value(0.5), Value(0.25), Value(1.0)
    results = [getattr(functions, name)(x) for name in functions.UNARY]
    results += [getattr(functions, name)(x, y) for name in functions.BINARY]
    results += [x + y, x - y, x * y, x / y, x**y, -x, x**2, x**-0.5, ts.where(c, x, y), ts.leaky_relu(x)]
    assert {result.op for result in results} >= set(ops.OPERATIONS)
    root = sum(results)
    drawn = groups(draw(root, names={}))
    for i, node in enumerate(topological_order(root)):
        if node.op:
            assert texts(drawn[f"o{i}"]) == [without_spaces(ops.operation(node.op).symbol)]


def test_the_tooltip_of_an_operation_writes_it_out():
    w, a = Value(0.5, "w"), Value(2.0, "a")
    (anchor,) = groups(draw(w * a + 0.25))["o2"].iter(f"{SVG}a")
    assert anchor.get(TOOLTIP) == "w·a"


def test_drawing_changes_nothing_and_repeats_itself():
    root = one_node()
    root.backward()
    before = [(node.data, node.grad, node.label) for node in topological_order(root)]
    drawing = draw(root)
    assert drawing.svg == drawing.svg == draw(root).svg
    assert [(node.data, node.grad, node.label) for node in topological_order(root)] == before


def test_jupyter_shows_the_svg():
    drawing = draw(square())
    assert drawing._repr_svg_() == drawing.svg
    assert repr(drawing).startswith("<Drawing of 2 values")


def test_in_jupyter_a_wide_picture_is_as_wide_as_the_page():
    chain = Value(1.0, "x")
    for _ in range(30):
        chain = chain.tanh()
    drawing = draw(chain)
    shown, whole = (ElementTree.fromstring(svg) for svg in (drawing._repr_svg_(), drawing.svg))
    scale = 640.0 / float(whole.get("width")[:-2])
    assert scale < 0.5
    assert shown.get("width") == "640pt"
    assert float(shown.get("height")[:-2]) == round(scale * float(whole.get("height")[:-2]))
    assert shown.get("viewBox") == whole.get("viewBox")


# --- names -----------------------------------------------------------------------------------------------------------

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
    assert sorted(names_drawn(drawing)) == ["", "", "given"]
    assert "hidden" not in drawing.source
    assert "other" not in drawing.source


def test_variables_with_a_leading_underscore_do_not_show():
    _secret, __, seen = Value(1.0), Value(2.0), Value(3.0)
    _list = [Value(4.0)]
    drawing = draw(_secret * __ + seen * _list[0])
    assert sorted(filter(None, names_drawn(drawing))) == ["seen"]
    assert "_secret" not in drawing.source
    assert "__" not in drawing.source
    assert "_list" not in drawing.source


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
    """What the picture shows of a label, without white space: shortened to 40 characters, the unprintable replaced."""
    symbol = graph.symbol(label)
    text = re.sub("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", "\ufffd", symbol.unicode if symbol else label)
    return without_spaces(text if len(text) <= 40 else f"{text[:39]}…") if label.strip() else ""


def assert_labels_are_shown(labels):
    values = [Value(float(i), label) for i, label in enumerate(labels)]
    root = sum(values[1:], values[0])
    drawing = draw(root, names={})
    drawn = groups(drawing)
    for i, node in enumerate(topological_order(root)):
        assert name_in(drawn[f"v{i}"]) == as_shown(node.label), node.label


@pytest.mark.parametrize("label", NASTY, ids=lambda label: ascii(label[:12]))
def test_a_label_with_signs_of_html_dot_or_the_terminal_is_shown_as_text(label):
    assert_labels_are_shown([label])


@settings(deadline=None)
@given(st.lists(st.text(), min_size=1, max_size=8))
def test_any_labels_give_well_formed_svg_that_shows_them(labels):
    assert_labels_are_shown(labels)


def test_a_long_label_is_shortened_and_stands_whole_in_the_tooltip():
    label = "a rather long label that goes on and on and on"
    box = groups(draw(Value(1.0, label)))["v0"]
    assert name_in(box) == without_spaces(label[:39]) + "…"
    assert next(box.iter(f"{SVG}a")).get(TOOLTIP).startswith(f"leaf {label}: ")


# --- kinds -----------------------------------------------------------------------------------------------------------

# name of a leaf, its kind where the graph has a weight
ROLES = [
    ("w", "parameter"), ("W", "parameter"), ("w1", "parameter"), ("w[0]", "parameter"), ("w(1)[0,2]", "parameter"),
    ("b", "parameter"), ("b2", "parameter"), ("b(1)[0]", "parameter"), ("a", "input"), ("a(0)[1]", "input"),
    ("x", "input"), ("X", "input"), ("x[3]", "input"), ("x2", "input"), ("y", "input"), ("y[0]", "input"),
    ("c", "leaf"), ("wide", "leaf"), ("beta", "leaf"), ("alpha", "leaf"), ("learning rate", "leaf"), ("<w>", "leaf"),
    ("", "constant"),
]  # fmt: skip


def kind_of(leaf, root):
    return kinds(topological_order(root), graph.names(root, {}))[leaf]


@pytest.mark.parametrize(("name", "kind"), ROLES)
def test_where_there_are_weights_the_notes_letters_tell_parameters_from_inputs(name, kind):
    leaf = Value(1.0, name)
    assert kind_of(leaf, leaf * Value(2.0, "w(1)[0,0]")) == kind


@pytest.mark.parametrize("name", [name for name, _ in ROLES if name and not name.lower().startswith("w")])
def test_without_weights_every_named_leaf_is_a_plain_leaf(name):
    leaf = Value(1.0, name)
    assert kind_of(leaf, leaf * Value(2.0, "c")) == "leaf"


def test_the_root_is_the_output_and_what_is_between_is_a_value():
    x = Value(1.0, "x")
    inner = x * 2
    root = inner + 1
    assert [kind_of(node, root) for node in (x, inner, root)] == ["leaf", "value", "output"]


def test_a_leaf_by_itself_is_a_leaf_not_an_output():
    x = Value(1.0, "x")
    assert kind_of(x, x) == "leaf"


@pytest.mark.parametrize(("one", "other"), list(combinations(LOOKS, 2)))
def test_kinds_differ_in_their_box_not_only_in_colour(one, other):
    assert LOOKS[one].box != LOOKS[other].box


def every_kind():
    """A graph in which every kind occurs, and the kind of each of its values."""
    w, x, c = Value(0.5, "w"), Value(2.0, "x"), Value(3.0, "c")
    root = (w * x + c) * 2.0
    found = kinds(topological_order(root), graph.names(root, {}))
    assert set(found.values()) == set(LOOKS)
    return draw(root, names={}), {kind: f"v{i}" for i, kind in enumerate(found.values())}


# kind: the word in its box; how many outlines; whether dashed, rounded; how thick
DRAWN = {
    "constant": ("", 1, True, False, None),
    "leaf": ("leaf", 1, False, False, None),
    "input": ("input", 3, False, False, None),  # a note's folded corner is two more lines
    "parameter": ("parameter", 2, False, False, None),
    "value": ("", 1, False, True, None),
    "output": ("output", 1, False, True, "3"),
}


@pytest.mark.parametrize("kind", LOOKS)
def test_each_kind_is_drawn_with_its_own_word_and_outline(kind):
    drawing, box_of = every_kind()
    box = groups(drawing)[box_of[kind]]
    outlines = [shape for tag in ("polygon", "polyline", "path") for shape in box.iter(SVG + tag)]
    assert DRAWN[kind] == (
        word_in(box),
        len(outlines),
        any(shape.get("stroke-dasharray") for shape in outlines),
        outlines[0].tag == f"{SVG}path",
        outlines[0].get("stroke-width"),
    )


def test_an_operation_does_not_look_like_a_value():
    drawing, _ = every_kind()
    drawn = groups(drawing)
    fills = {title[0]: set() for title in drawn}
    for title, group in drawn.items():
        fills[title[0]].add(outline(group).get("fill"))
    assert len(fills["o"]) == 1
    assert not fills["o"] & fills["v"]
    assert all("data" not in texts(group) for title, group in drawn.items() if title.startswith("o"))


# --- readable on a white page and on a dark one ----------------------------------------------------------------------

PAGES = {"white": "#ffffff", "dark": "#111111", "Jupyter's dark": "#1e1e1e", "GitHub's dark": "#0d1117"}


def outline(group):
    return next(shape for shape in group.iter() if shape.tag in (f"{SVG}polygon", f"{SVG}path"))


def luminance(colour):
    """Relative luminance of #rrggbb (WCAG 2.2)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    """The contrast ratio of two colours, 1 to 21 (WCAG 2.2)."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_black_on_white_has_the_contrast_that_wcag_gives_it():
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=1e-3)


def test_the_page_shines_through_between_the_boxes():
    drawing, _ = every_kind()
    picture = ElementTree.fromstring(drawing.svg).find(f"{SVG}g")
    behind = [shape.get("fill") for shape in picture if shape.tag in (f"{SVG}polygon", f"{SVG}rect", f"{SVG}path")]
    assert all(fill in ("none", "transparent") for fill in behind)


def test_every_text_stands_on_a_filled_box_with_a_contrast_of_4_5():
    drawing, _ = every_kind()
    for group in groups(drawing).values():
        fill = outline(group).get("fill")
        for text in group.iter(f"{SVG}text"):
            assert contrast(text.get("fill"), fill) >= 4.5, (text.text, fill)


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_boxes_and_edges_stand_out_from_the_page(page):
    drawing, _ = every_kind()
    for group in groups(drawing).values():  # by its fill, or else by its line
        shape = outline(group)
        assert max(contrast(shape.get("fill"), page), contrast(shape.get("stroke"), page)) >= 3.0
    for group in groups(drawing, "edge").values():
        assert all(contrast(path.get("stroke"), page) >= 3.0 for path in group.iter(f"{SVG}path"))


# --- direction -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_root_lies_where_the_direction_points(direction):
    x = Value(1.0, "x")
    drawn = groups(draw(x.exp(), direction=direction))
    (x0, y0), (x1, y1) = (
        [float(drawn[title].find(f".//{SVG}text").get(axis)) for axis in "xy"] for title in ("v0", "v1")
    )
    ahead = {"LR": x1 - x0, "RL": x0 - x1, "TB": y1 - y0, "BT": y0 - y1}[direction]
    assert ahead > 20


@pytest.mark.parametrize("direction", ["lr", "up", "", None, ["LR"]])
def test_another_direction_is_refused_with_the_four_there_are(direction):
    with pytest.raises(ValueError, match="LR, TB, RL, BT"):
        draw(Value(1.0), direction=direction)


# --- files -----------------------------------------------------------------------------------------------------------


def test_the_suffix_says_what_is_saved(tmp_path):
    drawing = draw(one_node())
    for suffix in (".svg", ".png", ".dot", ".html", ".SVG"):
        drawing.save(tmp_path / f"graph{suffix}")
    drawing.save(str(tmp_path / "text.svg"))
    assert (tmp_path / "graph.svg").read_text("utf-8") == drawing.svg
    assert (tmp_path / "graph.SVG").read_text("utf-8") == drawing.svg
    assert (tmp_path / "text.svg").read_text("utf-8") == drawing.svg
    assert (tmp_path / "graph.dot").read_text("utf-8") == drawing.source
    assert (tmp_path / "graph.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    page = (tmp_path / "graph.html").read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert '<meta charset="utf-8">' in page
    inside = ElementTree.fromstring(page[page.index("<svg") : page.index("</svg>") + len("</svg>")])
    assert [t.text for t in inside.iter(f"{SVG}text")] == [
        t.text for t in ElementTree.fromstring(drawing.svg).iter(f"{SVG}text")
    ]


def test_the_png_is_a_picture_of_the_size_of_the_svg_at_144_dots_per_inch():
    drawing = draw(one_node())
    width = int.from_bytes(drawing.png[16:20], "big")
    in_points = float(re.match(r"[\d.]+", ElementTree.fromstring(drawing.svg).get("width")).group())
    assert width == pytest.approx(2 * in_points, abs=4)


REFUSED = {
    "graph.gif": (ValueError, ".svg, .png, .dot, .html"),
    "graph": (ValueError, ".svg, .png, .dot, .html"),
    "svg": (ValueError, ".svg, .png, .dot, .html"),
    "nowhere/graph.svg": (FileNotFoundError, "nowhere"),
    "folder.svg": (IsADirectoryError, "folder"),
    "folder.png": (IsADirectoryError, "folder"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_path_that_cannot_be_written_is_an_error_and_nothing_is_written(name, tmp_path):
    for folder in ("folder.svg", "folder.png"):
        (tmp_path / folder).mkdir()
    before = sorted(tmp_path.rglob("*"))
    error, words = REFUSED[name]
    with pytest.raises(error, match=re.escape(words)):
        draw(one_node()).save(tmp_path / name)
    assert sorted(tmp_path.rglob("*")) == before


# --- what cannot be drawn --------------------------------------------------------------------------------------------


def test_a_stale_graph_is_refused_until_it_is_recomputed():
    x = Value(2.0, "x")
    y = x * x
    x.data = 3.0
    with pytest.raises(StaleGraphError, match="x"):
        draw(y)
    y.forward()
    assert "9" in texts(groups(draw(y))["v1"])


@pytest.mark.parametrize("thing", [3.0, None, "x", [Value(1.0)]], ids=lambda thing: type(thing).__name__)
def test_only_a_value_can_be_drawn(thing):
    with pytest.raises(TypeError, match=type(thing).__name__):
        draw(thing)


def chain(operations):
    x = Value(1.0, "x")
    node = x
    for _ in range(operations):
        node = node + x
    return node


def test_a_graph_too_large_to_read_is_refused_as_a_picture_and_kept_as_dot(tmp_path):
    drawing = draw(chain(20_000), names={})
    for refused in (lambda: drawing.svg, lambda: drawing.png, lambda: drawing.save(tmp_path / "chain.svg")):
        with pytest.raises(ValueError, match=r"20,001 values.*3,000.*\.dot"):
            refused()
    drawing.save(tmp_path / "chain.dot")
    assert [path.name for path in tmp_path.iterdir()] == ["chain.dot"]
    assert len(re.findall(r"^\tv\d+ \[label", (tmp_path / "chain.dot").read_text("utf-8"), re.MULTILINE)) == 20_001
    assert len(edges(drawing)) == 60_000


# --- finding Graphviz ------------------------------------------------------------------------------------------------


def program(folder, name, script):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


posix = pytest.mark.skipif(os.name != "posix", reason="the stand-ins for Graphviz are shell scripts")


def test_no_graphviz_on_the_path_is_needed(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert name_in(groups(draw(Value(1.0, "x")))["v0"]) == "x"


@posix
def test_a_systems_dot_is_preferred(tmp_path, monkeypatch):
    program(tmp_path, "dot", 'echo "<svg>$*</svg>"')
    monkeypatch.setenv("PATH", str(tmp_path))
    assert draw(Value(1.0)).svg == "<svg>-Tsvg</svg>\n"


@posix
def test_the_source_goes_to_dot_as_utf_8(tmp_path, monkeypatch):
    program(tmp_path, "dot", "exec /bin/cat")
    monkeypatch.setenv("PATH", str(tmp_path))
    drawing = draw(Value(1.0, "∂🙂"))
    assert drawing.svg == drawing.source


# what a broken dot does, and what the error says
BROKEN = {
    "it fails": ("echo 'no such layout' >&2; exit 1", "could not draw the graph: no such layout"),
    "it says nothing": ("exit 0", "could not draw the graph"),
    "it writes half": ("echo '<svg>'; exit 1", "could not draw the graph"),
}


@posix
@pytest.mark.parametrize("how", BROKEN)
def test_a_graphviz_that_fails_is_an_error_and_the_old_file_stays(how, tmp_path, monkeypatch):
    script, words = BROKEN[how]
    (tmp_path / "bin").mkdir()
    program(tmp_path / "bin", "dot", script)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "graph.svg").write_text("old")
    with pytest.raises(RuntimeError, match=words):
        draw(Value(1.0)).save(tmp_path / "graph.svg")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "graph.svg"]
    assert (tmp_path / "graph.svg").read_text() == "old"


def test_without_any_graphviz_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name, path=None: None)
    drawing = draw(Value(1.0))
    with pytest.raises(RuntimeError, match="pip install graphviz-pure"):
        drawing.save(tmp_path / "graph.svg")
    assert list(tmp_path.iterdir()) == []
    assert drawing.source.startswith("digraph")


def test_draw_returns_a_drawing():
    assert isinstance(ts.draw(Value(1.0)), Drawing)

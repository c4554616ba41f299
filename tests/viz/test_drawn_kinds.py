"""Kinds of values in a drawing: distinguished by word and outline, readable on any page."""

from itertools import combinations
from xml.etree import ElementTree

import pytest
from support.pictures import SVG, groups, texts, word_in

from tinygrad_scalar import Value
from tinygrad_scalar.engine.graph import topological_order
from tinygrad_scalar.inspection import names as graph
from tinygrad_scalar.inspection.kinds import kinds
from tinygrad_scalar.viz.boxes import LOOKS
from tinygrad_scalar.viz.drawing import draw

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

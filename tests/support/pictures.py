"""Reading a drawing in tests: its boxes and edges, and the texts in them."""

import re
from xml.etree import ElementTree

from tinygrad_scalar import Value

SVG = "{http://www.w3.org/2000/svg}"
TOOLTIP = "{http://www.w3.org/1999/xlink}title"


def groups(drawing, kind="node"):
    """The SVG's groups by title: v0, v1, … are values in topological order, o2, … the operations that make them."""
    root = ElementTree.fromstring(drawing.svg)
    return {g.findtext(f"{SVG}title"): g for g in root.iter(f"{SVG}g") if g.get("class") == kind}


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


def one_node():
    w, a, b, y = Value(0.6, "w"), Value(0.8, "a"), Value(0.1, "b"), Value(0.0, "y")
    return ((w * a + b).sigmoid() - y) ** 2

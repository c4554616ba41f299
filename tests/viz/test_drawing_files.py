"""A drawing as a file, by whichever Graphviz is found."""

import os
import re
from xml.etree import ElementTree

import pytest
from support.pictures import SVG, groups, name_in, one_node

from tinygrad_scalar import Value
from tinygrad_scalar.viz import drawing
from tinygrad_scalar.viz.drawing import draw


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


# the script of a broken dot, and words of the error
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


def test_a_graph_too_large_for_a_picture_is_refused_before_any_of_it_is_written(monkeypatch):
    root = sum((Value(1.0) for _ in range(drawing.LARGEST)), Value(0.0))
    written = []
    monkeypatch.setattr(drawing, "dot_of", lambda *arguments: written.append(arguments))
    with pytest.raises(ValueError, match="too many for a readable picture"):
        drawing.draw(root, fold=None).svg  # noqa: B018
    assert written == []

"""The explorer in notebooks, without a browser: what its widget passes on, and what is shown where there is none."""

import base64
import html
import math
import re
import struct
import sys

import pytest

import tinygrad_scalar as ts


@pytest.fixture
def explorer():
    w, x = ts.Value(0.5, "w"), ts.Value(2.0, "x")
    return ts.explore((w * x).tanh())


@pytest.fixture
def shown(explorer):
    """What a notebook shows: the page's side of the widget."""
    pytest.importorskip("anywidget")
    return explorer._made_widget()


def as_column(*numbers):
    return base64.b64encode(struct.pack(f"<{len(numbers)}d", *numbers)).decode()


def test_the_page_and_python_share_the_position(explorer, shown):
    assert shown.position == explorer.total == 5
    shown.set_state({"position": 2})  # as the page does
    assert explorer.position == 2
    explorer.position = 4
    assert shown.position == 4


def test_an_edit_gives_new_values_and_calls_the_listeners(explorer, shown):
    heard = []
    explorer.on_edit(lambda name, number: heard.append((name, number, explorer.values)))
    shown.set_state({"edits": {"0": "3"}, "numbers": as_column(3.0, 2.0, 6.0, math.tanh(6.0))})
    shown.set_state({"edits": {"0": "3", "1": "-Infinity"}, "numbers": as_column(3.0, -math.inf, -math.inf, -1.0)})
    assert heard == [("w", 3.0, {"w": 3.0, "x": 2.0}), ("x", -math.inf, {"w": 3.0, "x": -math.inf})]


def test_an_explorer_that_is_shown_twice_has_one_widget(explorer, shown):
    bundles = [explorer._repr_mimebundle_() for _ in range(2)]
    [first, second] = [data["application/vnd.jupyter.widget-view+json"]["model_id"] for data, *_ in bundles]
    assert first == second


def test_without_anywidget_the_page_stands_in_a_frame(explorer, monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    from tinygrad_scalar.viz import widget

    widget._widget_class.cache_clear()
    assert explorer._repr_mimebundle_() is None
    frame = explorer._repr_html_()
    [page] = re.findall(r'<iframe [^>]*srcdoc="([^"]*)"', frame)
    assert html.unescape(page) == explorer.html
    assert "allow-same-origin" not in frame

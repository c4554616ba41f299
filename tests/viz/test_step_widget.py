"""A stepper's widget without a browser: what a message of its buttons does, and what it then shows."""

import sys

import pytest

import tinygrad_scalar as ts
from tinygrad_scalar.viz import step_widget

pytest.importorskip("anywidget")


@pytest.fixture
def stepper():
    w, x = ts.Value(0.5, "w"), ts.Value(2.0, "x")
    return ts.step((w * x).tanh(), names={})


@pytest.fixture
def press(stepper):
    """Press a button of the widget; returns the widget."""
    shown = step_widget.step_widget(stepper)

    def pressed(verb, words=""):
        shown._handle_custom_msg({"verb": verb, "words": words}, [])
        return shown

    return pressed


def test_it_shows_the_stepper_after_each_move(stepper, press):
    for verb, words, position in [
        ("next", "", 1),
        ("next", "value", 5),
        ("back", "", 4),
        ("to", "2", 2),
        ("reset", "", 0),
    ]:
        shown = press(verb, words)
        assert (stepper.position, shown.text, shown.message) == (position, str(stepper), "")
        assert shown.picture == svg(ts.draw(stepper))


def test_a_move_that_cannot_be_is_a_message_and_the_next_clears_it(stepper, press):
    assert "no value of this graph is called 'nowhere'" in press("to", "nowhere").message
    assert "no layers were found" in press("next", "layer").message
    assert stepper.position == 0
    assert press("next").message == ""


def test_a_graph_that_was_changed_is_a_message(stepper, press):
    stepper.nodes[0].data = 3.0
    assert "stale" in press("next").message or "was set" in press("next").message


def test_without_graphviz_the_text_is_shown_alone(press, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda *arguments, **options: None)
    shown = press("next")
    assert shown.picture == "" and "Graphviz" in shown.message
    assert "step 1 of 5" in shown.text


def test_marimo_is_given_the_widget_and_without_anywidget_the_picture(stepper, monkeypatch):
    from tinygrad_scalar import ipython

    monkeypatch.setattr(type(stepper), "_display_", None, raising=False)
    ipython.show_in_marimo()
    assert type(stepper._display_()).__name__ == "StepWidget"
    step_widget._widget_class.cache_clear()
    monkeypatch.setitem(sys.modules, "anywidget", None)
    assert "svg" in stepper._display_().svg


def svg(drawing):
    text = drawing._repr_svg_()
    return text[text.index("<svg") :]

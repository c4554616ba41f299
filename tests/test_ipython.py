"""In IPython: %step and %explain with the session's names; steppers have colour in a terminal, a picture in Jupyter."""

import sys

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

import tinygrad_scalar as ts
from tinygrad_scalar import ipython
from tinygrad_scalar.viz import step_widget

NETWORK = """
from tinygrad_scalar import Value
w, a, b, y = Value(0.6), Value(0.8), Value(0.1), Value(0.0)
z = w * a + b
C = (z.sigmoid() - y) ** 2
"""


@pytest.fixture
def shell():
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance(history_load_length=0)
    shell.history_manager.enabled = False
    shell.run_line_magic("load_ext", "tinygrad_scalar")
    shell.run_cell(NETWORK).raise_error()
    yield shell
    shell.history_manager.end_session()
    InteractiveShell.clear_instance()


def said(shell, line):
    """The output of a cell."""
    with capture_output() as captured:
        shell.run_cell(line)
    return captured.stdout + captured.stderr


@pytest.mark.parametrize(
    ("lines", "position"),
    [
        (["%step C"], 0),
        (["%step C", "%step"], 1),
        (["%step C", "%step 3", "%step"], 4),
        (["%step C", "%step 3", "%step back"], 2),
        (["%step C", "%step 5", "%step back 3"], 2),
        (["%step C", "%step to z"], 2),
        (["%step C", "%step to 7"], 7),
        (["%step C", "%step next 4"], 4),
        (["%step C", "%step 4", "%step next value"], 5),
        (["%step C", "%step 7", "%step reset"], 0),
        (["%step C", "%step 7", "%step (z + 1) * 2"], 0),
        (["%step C", "%step 7", "%step C"], 0),
        (["kept = %step C", "kept.next(3)", "%step kept", "%step"], 4),
    ],
)
def test_step_moves_the_stepper_and_gives_it(shell, lines, position):
    for line in lines[:-1]:
        shell.run_cell(line)
    assert shell.run_cell(lines[-1]).result.position == position


def test_step_says_where_it_is_in_the_names_of_the_session(shell):
    assert "next: w·a" in said(shell, "%step C")
    assert "z = w·a + b" in said(shell, "%step to z")


def test_watched_values_are_printed_with_every_step(shell):
    said(shell, "%step C")
    assert "b: data 0.1" in said(shell, "%step watch b w")
    assert "w: data 0.6" in said(shell, "%step")
    said(shell, "%step watch")
    assert "w: data" not in said(shell, "%step")


def test_explain_gives_the_chain_rule(shell):
    result = shell.run_cell("%explain C w").result
    assert isinstance(result, ts.Explanation)
    assert result.text.startswith("∂C/∂w = ∂z/∂w · ∂C/∂z")
    assert shell.run_cell("%explain (z + 1) * 2 w").result.value == 2 * 0.8


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("%step", "nothing to step through yet; start with %step C"),
        ("%step back", "nothing to step through yet; start with %step C"),
        ("%step w", "step expected a computed Value, but Value(data=0.6, grad=0.0) is a leaf"),
        ("%step nowhere", "name 'nowhere' is not defined"),
        ("%step C +", "invalid syntax"),
        ("%explain C", "expected a Value and a name in its graph, such as %explain C w"),
        ("%explain C v", "no value of this graph is called 'v'"),
        ("%explain 3 w", "explain expected the Value at the root of a graph, got 3"),
    ],
)
def test_a_users_error_is_one_line(shell, line, message):
    text = said(shell, line)
    assert text.startswith("UsageError: ")
    assert message in text
    assert "Traceback" not in text


@pytest.mark.parametrize(
    "line",
    [
        "%step back x",
        "%step back 1 2",
        "%step to v",
        "%step watch v",
        "%step to",
        "%step to 12",
        "%step next layer",
        "%step next z",
    ],
)
def test_a_move_that_is_refused_moves_nothing(shell, line):
    stepper = shell.run_cell("%step C").result
    said(shell, "%step 3")
    assert said(shell, line).startswith("UsageError: ")
    assert stepper.position == 3


# --- what a stepper looks like ---------------------------------------------------------------------------------------


def test_jupyter_shows_a_stepper_as_equations_and_a_picture_with_the_step_marked(shell, monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    step_widget._widget_class.cache_clear()
    shell.kernel = object()  # what tells a notebook's shell from a terminal's
    ipython.show_pictures()
    with capture_output() as captured:
        shell.run_cell("%step C")
        shell.run_cell("%step 9")
    equations, picture = (output.data for output in captured.outputs[-2:])
    assert equations["text/markdown"].startswith("**backward 3 of 5 (step 9 of 11)**\n\n$$\\begin{aligned}")
    assert r"\sigma'" in equations["text/markdown"]
    assert "`next: back through z = w·a + b`" in equations["text/markdown"]
    assert equations["text/plain"] == str(shell.run_cell("%step 0").result)
    assert picture["image/svg+xml"].count("#c2255c") > 2


def test_jupyter_shows_a_stepper_as_a_widget_where_anywidget_is(shell):
    pytest.importorskip("anywidget")
    shell.kernel = object()
    ipython.show_pictures()
    with capture_output() as captured:
        shell.run_cell("%step C")
    [shown] = captured.outputs
    assert "application/vnd.jupyter.widget-view+json" in shown.data
    assert shown.data["text/markdown"].startswith("**C: 5 values to compute")  # for readers without widgets
    assert shown.data["text/plain"].startswith("C: 5 values to compute")


def test_a_terminal_shows_it_as_it_prints_with_colour_only_where_that_is_wanted(shell, monkeypatch):
    stepper = shell.run_cell("%step C").result
    shell.run_cell("%step 9")
    shown = shell.display_formatter.formatters["text/plain"]
    assert shown(stepper) == str(stepper)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in shown(stepper)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in shown(stepper)

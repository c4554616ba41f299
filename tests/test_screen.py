"""Text for terminals: every result prints in every encoding, and no name reaches the terminal as a command to it."""

import io
import itertools
import re
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given, strategies as st

import tinygrad_scalar as ts
from tinygrad_scalar.engine.number import SUBSCRIPTS, SUPERSCRIPTS
from tinygrad_scalar.inspection.layout import aligned, fitted
from tinygrad_scalar.screen import ASCII_SIGNS, for_stdout, printable, width

ENCODINGS = ["ascii", "latin-1", "cp1252", "cp437", "cp850", "koi8-r", "shift_jis", "utf-8"]
NASTY = [
    "a\x1b[31mb",
    "\x9b2J",
    "bell\x07",
    "line\nbreak",
    "\u202eright to left",
    "\x7f",
    "\u2028",
    "nul\x00",
    "\ud800",
]


def graph(*labels):
    """A small cost with these labels of w and z, and a gradient of either sign."""
    w, a, y = ts.Value(-4.0, (labels or ["w(1)[0,1]"])[0]), ts.Value(1.0, "a(0)"), ts.Value(0.0, "y")
    z = w * a
    z.label = (*labels, "z(1)[0]")[-1]
    C = (z.sigmoid() - y) ** 2 / 3 - w * y
    C.label = "C"
    return C, w


def results(C, w):
    """Everything that prints."""
    stepper = ts.step(C)
    everything = [ts.explain(C, w), ts.nudge(C, w), ts.check_gradients(C), ts.sensitivity(C), ts.diagnose(C), stepper]
    everything += list(stepper)
    network = ts.MLP(2, [2], seed=0)
    ts.squared_error(network([1.0, 2.0]), [0.0, 5.0]).backward()
    history = ts.fit(network, [[1.0, 2.0]], [[0.0, 5.0]], epochs=2, progress=False)
    return [*everything, network.gradient(), history]


class Terminal(io.StringIO):
    encoding = "utf-8"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_result_prints_in_a_terminal_of_any_encoding_and_no_minus_is_lost(encoding, monkeypatch):
    C, w = graph()
    terminal = Terminal()
    terminal.encoding = encoding
    for result, shown in itertools.product(results(C, w), (str, repr)):
        in_unicode = shown(result)
        monkeypatch.setattr(sys, "stdout", terminal)
        text = shown(result)
        monkeypatch.undo()
        text.encode(encoding)
        assert "?" not in text
        assert "\\" not in text
        assert text.replace("−", "-").count("-") >= in_unicode.replace("−", "-").count("-")


@pytest.mark.parametrize(
    "encoding", ["ascii", *(pytest.param(other, marks=pytest.mark.thorough) for other in ("cp1252", "cp437"))]
)
def test_a_python_program_prints_an_explanation_in_its_encoding(encoding):
    program = (
        "import tinygrad_scalar as ts; w = ts.Value(-4.0, 'w(1)[0,1]'); C = (w - 1).sigmoid() * -4; C.label = 'C'\n"
        "print(ts.explain(C, w)); print(ts.check_gradients(C)); s = ts.step(C); s.next(3); print(s); print(f'{s}')"
    )
    environment = {"PYTHONIOENCODING": encoding, "PATH": ""}
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, env=environment, check=False)
    assert run.returncode == 0, run.stderr
    text = run.stdout.decode(encoding)
    assert "dC/dw^(" in text
    assert "-" in text


def test_the_text_of_an_explanation_does_not_depend_on_the_terminal(monkeypatch):
    C, w = graph()
    before = ts.explain(C, w).text
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert ts.explain(C, w).text == before
    assert "∂" in before


@pytest.mark.parametrize("stream", [None, io.StringIO(), object()])
def test_without_an_encoding_text_stays_as_it_is(stream, monkeypatch):
    monkeypatch.setattr(sys, "stdout", stream)
    assert for_stdout("−4·σ") == "−4·σ"


def test_powers_and_indices_cannot_be_mistaken_for_digits():
    """x² must not become x2."""
    signs = [chr(sign) for sign in (*SUPERSCRIPTS.values(), *SUBSCRIPTS.values())]
    for sign in signs:
        text = f"x{sign}".encode("ascii", ASCII_SIGNS).decode()
        assert re.fullmatch(r"x[\^_].", text)
    assert "w⁽¹⁾₀₁ − x⁻²".encode("ascii", ASCII_SIGNS) == b"w^(1)_01 - x^-2"


@given(st.text())
def test_what_is_printable_has_nothing_that_moves_the_cursor(text):
    shown = printable(text)
    assert not any(unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp", "Cf") for sign in shown)
    assert text.isprintable() == (shown == text)


@pytest.mark.parametrize("label", NASTY)
def test_a_label_is_shown_escaped_in_every_result_and_error(label):
    C, w = graph(label, "z" + label)
    texts = [str(result) for result in results(C, w)]
    for wrong in ("no such value", "z" + label + "?"):
        with pytest.raises(ValueError) as caught:
            ts.explain(C, wrong)
        texts.append(str(caught.value))
    w.data = 1.0
    with pytest.raises(ts.StaleGraphError) as caught:
        C.backward()
    texts.append(str(caught.value))
    for text in texts:
        assert all(line.isprintable() for line in text.split("\n")), text
    assert any(printable(label).strip() in text for text in texts)


def test_names_that_print_alike_are_told_apart():
    a, b = ts.Value(1.0, "x\n"), ts.Value(2.0, r"x\n")
    C = a * b
    text = str(ts.sensitivity(C)) + str(ts.explain(C, a))
    assert "⟨0⟩" in text or "⟨1⟩" in text


@given(st.lists(st.lists(st.text(max_size=30), min_size=3, max_size=3), min_size=1, max_size=5))
def test_a_tables_columns_stand_below_each_other_whatever_the_names(cells):
    lines = aligned([[*row, "|"] for row in cells])
    assert len({width(line) for line in lines}) == 1


@given(st.text(), st.integers(4, 40))
def test_a_fitted_text_is_no_wider_than_asked(text, columns):
    assert width(fitted(text, columns)) <= columns

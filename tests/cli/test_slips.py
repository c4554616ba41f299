"""Slips in text expressions: an error suggests a text that can be read; pasted signs are read as what they mean."""

import re

import pytest
from hypothesis import given, strategies as st
from support.commands import main

from tinygrad_scalar.cli.expression import ExpressionError, parse

NUMBERS = {"w": 2.0, "x": 1.0, "w0": 3.0}

# what a student writes, and what is meant
SLIPS = {
    "w^2": "w**2", "2w": "2*w", "w²": "w**2", "w⁻¹": "w**-1", "sin x": "sin(x)", "sin x + 1": "sin(x) + 1",
    "sin(x)^2": "sin(x)**2", "sin²(x)": "sin(x)**2", "sin^2 x": "sin(x)**2", "sin 2x": "sin(2*x)", "Ln(x)": "ln(x)",
    "arctan(x)": "atan(x)", "Sin(x)": "sin(x)", "max([x, w])": "max(x, w)", "σ(w)": "sigmoid(w)", "|x|": "abs(x)",
    "√x": "sqrt(x)", "√(x)": "sqrt(x)", "x*(w + 1": "x*(w + 1)", "x*(w + 1))": "x*(w + 1)", "2(x + 1)": "2*(x + 1)",
    "(x + 1)(w + 1)": "(x + 1)*(w + 1)", "w(x + 1)": "w*(x + 1)", "wx": "w*x", "w0x": "w0*x", "w x": "w*x",
    "sinx": "sin(x)", "where(x > 0 w, 0)": "where(x > 0, w, 0)", "maximum(x w)": "maximum(x, w)", "1,5*x": "1.5*x",
    "[x + 1]*2": "(x + 1)*2", "2^x^2 - 3w": "2**x**2 - 3*w", "pi(x + 1)": "pi*(x + 1)", "2pix": "2*pi*x",
    "2pi*x": "2*pi*x", "log x^2": "log(x**2)", "√x²": "sqrt(x**2)", "sin 2x^2": "sin(2*x**2)",
    "2(3w)": "2*(3*w)", "1/2 x": "1/2*x", "e^{x}": "e**(x)",
    "ln x": "ln(x)", "arcsin x": "asin(x)", "arctan2(w, x)": "atan2(w, x)", "sgn(x)": "sign(x)",
    "Sin 2x": "sin(2*x)", "np.exp(x)": "exp(x)", "math.pi*x": "pi*x",
    "torch.nn.functional.relu(x)": "relu(x)", "x.tanh()": "tanh(x)", "(w*x + 1).sigmoid()": "sigmoid(w*x + 1)",
    "2πx": "2*π*x", "½x²": "0.5*x**2", "x^½": "x**0.5",
}  # fmt: skip


def used(text):
    return {name: number for name, number in NUMBERS.items() if re.search(rf"\b{name}\b", text)}


@pytest.mark.parametrize(("slip", "meant"), SLIPS.items())
def test_a_slip_suggests_what_is_meant(slip, meant):
    with pytest.raises(ExpressionError) as caught:
        parse(slip, used(meant))
    assert str(caught.value).endswith(f"did you mean '{meant}'?")
    parse(meant, used(meant))


def test_a_text_is_not_suggested_in_place_of_itself():
    with pytest.raises(ExpressionError) as caught:
        parse("5*x", {"x": 1.0, "w": 2.0})
    assert "did you mean" not in str(caught.value)


# what means something else than any text that could be suggested, or two things
NO_SLIPS = ["gamma(w)", "lgamma(w)", "rint(w)", "square(w)", "fmod(w, x)", "w[0]", "1/2w", "x^2w", "w=1, x=2"]


@pytest.mark.parametrize("text", NO_SLIPS)
def test_nothing_is_suggested_that_means_something_else(text):
    with pytest.raises(ExpressionError) as caught:
        parse(text, used(text))
    assert "ou mean" not in str(caught.value)


@pytest.mark.parametrize("text", ["w+1", "-w", "w  ** 2", "z = w; z*x", "sin(w)", "(w)", "2*w\n"])
def test_a_text_that_can_be_read_is_not_suggested_where_a_number_is_not_used(text):
    with pytest.raises(ExpressionError, match=r"got a number for q, which .* does not use$"):
        parse(text, {**used(text), "q": 1.0})


PASTED = {
    "w − 1": 1.0, "w·x": 2.0, "w × x": 2.0, "w ÷ x": 2.0, "w\xa0+ x": 3.0, "where(w ≥ x, 5, 6)": 5.0,
    "w₀ + 1": 4.0,
}  # fmt: skip


@pytest.mark.parametrize(("text", "value"), PASTED.items())
def test_signs_pasted_from_a_page_are_read_as_what_they_mean(text, value):
    assert parse(text, used(text.replace("₀", "0")))[""].data == value


def test_a_power_is_no_name():
    with pytest.raises(ExpressionError, match="'w²' is not a name"):
        parse("w", {"w²": 1.0})


@given(st.text(alphabet="wx0123 +-*/^²()|,.=√σsin", max_size=30))
def test_every_suggestion_can_be_read(text):
    try:
        parse(text, NUMBERS)
    except ValueError as error:
        message = str(error)
        assert message.splitlines() == [message]
        if "did you mean '" in message:
            meant = message.rpartition("did you mean '")[2].removesuffix("'?")
            try:
                parse(meant, NUMBERS)
            except ValueError as again:
                assert "got a number for" in str(again)


HOSTILE = {
    "open": lambda n: "(" * n,
    "nested": lambda n: "(" * n + "x" + ")" * n,
    "a long name": lambda n: "q" * n,
    "a long call": lambda n: "q" * n + "(x)",
    "digits": lambda n: "9" * n,
    "null bytes": lambda n: "x\0" * n,
    "powers": lambda n: "9**9**9",
    "semicolons": lambda n: ";" * n,
    "minus": lambda n: "-" * n + "x",
    "arguments": lambda n: "sin(" + "x," * n + "x)",
    "a string": lambda n: "'" + "a" * n,
    "bars": lambda n: "|" * n,
    "raised": lambda n: "x" + "²" * n,
    "commas": lambda n: "1," * n,
    "functions": lambda n: "sin " * n,
    "a sum": lambda n: "x+" * n + "y z",
    "brackets": lambda n: "[{" * n,
    "signs": lambda n: "√" * n,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_text_is_one_short_line(text, thorough):
    try:
        parse(text(200_000 if thorough else 20_000), {})
    except ExpressionError as error:
        lines = len(str(error).splitlines())
        assert lines == 1
        length = len(str(error))  # not in the assertion, which would print it
        assert length < 600


# --- the edges of domains --------------------------------------------------------------------------------------------

EDGES = {
    "log(w)": (0, "log(0) is −inf"), "log(w)*2": (-1, "log((−1)) is nan"), "sqrt(w)": (0, "the slope of √(0) is inf"),
    "1/w": (0, "1/0 is inf"), "exp(w)": (1000, "exp(1000) is inf"), "asin(w)": (2, "asin(2) is nan"),
    "w**0.5": (-1, "is nan"), "log1p(w)": (-1, "is −inf"), "w*1e308": (1e10, "is inf"), "acosh(w)": (0, "is nan"),
}  # fmt: skip


@pytest.mark.parametrize("command", [["draw"], ["explain", "--wrt", "w"], ["step", "--all"]])
@pytest.mark.parametrize(("text", "at"), EDGES.items())
def test_what_is_not_finite_is_explained_by_its_operation_and_number(text, at, command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    number, words = at
    assert main(command[0], text, f"w={number}", *command[1:]) == 0
    shown = capsys.readouterr().err
    assert shown.startswith("tinygrad-scalar: not finite: ")
    assert re.sub("[()]", "", words) in re.sub("[()]", "", shown)
    assert main(command[0], "w*2", "w=1", *command[1:]) == 0
    assert capsys.readouterr().err == ""

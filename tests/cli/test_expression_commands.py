"""draw, explain and check: their output, files and exit codes."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from support.commands import COST, SVG, contents, main

from tinygrad_scalar import Value


def test_draw_prints_every_name_with_its_number_and_gradient(desk, capsys):
    assert main("draw", *COST, "-o", "cost.svg") == 0
    out, err = capsys.readouterr()
    w, a, b, y = Value(0.6), Value(0.8), Value(0.1), Value(0.0)
    z = w * a + b
    C = (z.sigmoid() - y) ** 2
    C.backward()
    names = {"w": w, "a": a, "b": b, "y": y, "z": z, "C": C}
    assert out.splitlines() == [
        *(f"{name} = {value.data:.6g}, grad {value.grad:.6g}" for name, value in names.items()),
        "cost.svg shows the graph",
    ]
    assert err == ""


def test_draw_writes_the_picture_that_the_suffix_names(desk):
    for name in ("graph.svg", "graph.png", "graph.dot", "graph.html"):
        assert main("draw", *COST, "-o", name) == 0
    ElementTree.parse("graph.svg")
    assert Path("graph.png").read_bytes().startswith(b"\x89PNG")
    assert Path("graph.dot").read_text("utf-8").startswith("digraph")
    assert Path("graph.html").read_text("utf-8").startswith("<!doctype html>")


def test_draw_names_in_the_picture_are_those_of_the_text(desk):
    assert main("draw", "total = first*second; total + 1", "first=2", "second=3") == 0
    texts = {
        text.text for text in ElementTree.parse("graph.svg").iter(f"{SVG}text") if text.get("font-weight") == "bold"
    }
    assert texts == {"first", "second", "total"}


def test_draw_takes_a_direction(desk):
    for direction in ("LR", "TB"):
        assert main("draw", *COST, "--direction", direction, "-o", f"{direction}.dot") == 0
        assert f"rankdir={direction}" in Path(f"{direction}.dot").read_text("utf-8")


def test_draw_calls_what_has_no_name_the_result(desk, capsys):
    assert main("draw", "x*x", "x=-3") == 0
    assert capsys.readouterr().out.splitlines() == [
        "x = -3, grad -6",
        "result = 9, grad 1",
        "graph.svg shows the graph",
    ]


@pytest.mark.parametrize("arguments", [["-x*2", "x=1"], ["--", "-x*2", "x=1"], ["-o", "g.svg", "-x*2", "x=1"]], ids=str)
def test_draw_takes_an_expression_that_begins_with_a_minus(arguments, desk, capsys):
    assert main("draw", *arguments) == 0
    assert "result = -2, grad 1" in capsys.readouterr().out


# --- explain and check ----------------------------------------------------------------------------------------------


def test_explain_prints_the_chain_rule(capsys):
    assert main("explain", *COST[:1], "--wrt", "w", *COST[1:]) == 0
    assert capsys.readouterr().out == (
        "∂C/∂w = ∂z/∂w · ∂C/∂z\n      = a · 2(σ(z) − y)·σ′(z)\n      = 0.8 · 0.295019 = 0.236015\n"
    )


def test_an_expression_without_a_name_is_the_result(capsys):
    assert main("explain", "-x*x", "--wrt", "x", "x=3") == 0
    assert capsys.readouterr().out == "∂result/∂x = −2·x = −6\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["explain", "x*y", "--wrt", "z", "x=1", "y=2"],
            "no value of this graph is called 'z'; known names: result, x, y",
        ),
        (["explain", "x*y", "x=1", "y=2"], "required: --wrt"),
        (["explain", "x", "--wrt", "x", "x=1"], "is a leaf"),
        (["step", "x", "x=1"], "is a leaf"),
        (["step", "x*y", "--fast", "x=1", "y=2"], "unrecognized arguments: --fast"),
        (["step", "x*y", "x=1"], "y has no number"),
        (["draw", "x*y", "x=1", "-o", "g.svg", "y2"], "unrecognized arguments: y2"),
    ],
)
def test_what_step_and_explain_cannot_take_is_one_line(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(*arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert contents(tmp_path) == {}


def test_check_prints_every_gradient_beside_a_nudge(capsys):
    assert main("check", *COST) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed[1:-1]] == ["w", "a", "b", "y"]
    assert all("agrees to" in line for line in printed[1:-1])
    assert printed[-1].startswith("all 4 derivatives agree")


def test_check_fails_as_a_test_does_where_a_gradient_is_wrong(capsys):
    assert main("check", "log(x)", "x=-1") == 1
    assert "1 of 1 do not agree" in capsys.readouterr().out

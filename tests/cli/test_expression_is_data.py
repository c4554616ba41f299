"""`parse` reads a text and runs nothing of it: no name is called, nothing is imported; an error quotes it once."""

import builtins

import pytest

from tinygrad_scalar.cli.expression import ExpressionError, parse


class Called(BaseException):
    """A built-in function was called; no `except Exception` on the way can hide it."""


@pytest.mark.parametrize("name", ["open", "eval", "exec", "print", "input", "breakpoint", "exit"])
@pytest.mark.parametrize(
    "text", ["{0}('1')", "exp({0}('1'))", "z = {0}; z('1')", "x**{0}('1')", "f'{{{0}(1)}}'", "{0}"]
)
def test_nothing_that_is_named_is_called(name, text, monkeypatch):
    def fail(*arguments, **keywords):
        raise Called(name)

    with monkeypatch.context() as patched, pytest.raises(ExpressionError):
        patched.setattr(builtins, name, fail)
        parse(text.format(name), {"x": 1} if "x*" in text else {})


def test_nothing_is_imported(monkeypatch):
    imported = []
    original = builtins.__import__

    def note(name, *arguments, **keywords):
        imported.append(name)
        return original(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", note)
    for text in ("__import__('antigravity')", "import antigravity", "exp(__import__('antigravity'))"):
        with pytest.raises(ExpressionError):
            parse(text, {})
    monkeypatch.undo()
    assert "antigravity" not in imported


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x - y", "column 5: y has no number; give y=…"),
        ("z = x\ny*z", "line 2, column 1: y has no number; give y=…"),
        ("z = x\nz + * 2", "cannot read 'z + * 2' in line 2, column 5: invalid syntax"),
        ("x*exp", "column 3: exp is a function; give it arguments in parentheses"),
        ("x*'y'", "\"'y'\" (column 3): not a number"),
    ],
)
def test_an_error_quotes_what_it_is_about_once_and_says_where(text, message):
    with pytest.raises(ExpressionError) as caught:
        parse(text, {"x": 1.0})
    assert str(caught.value) == message

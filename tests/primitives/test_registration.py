"""The functions and derivatives that `ts.primitive` refuses, and those that it must accept."""

import importlib
import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

import tinygrad_scalar as ts
from tinygrad_scalar.engine.ops import OPERATIONS


def square(x):
    return x * x


def slope(x):
    return 2.0 * x


def plus(x, y):
    return x + y


W = ts.Value(2.0, "w")
REFUSED = {
    "no derivative": (square, {}, TypeError, r"^primitive needs the derivative: @ts\.primitive\(derivative=lambda"),
    "a number": (square, {"derivative": 2.0}, TypeError, r"must be a function, or a tuple.*got 2\.0 \(float\)$"),
    "too few derivatives": (
        plus, {"derivative": (slope,)}, ValueError,
        r"^plus takes 2 operands \(x, y\), but got 1 derivative: give one for each, or None",
    ),
    "too many derivatives": (square, {"derivative": (slope, slope)}, ValueError, r"1 operand \(x\), but got 2"),
    "too few operands": (plus, {"derivative": slope}, TypeError, r"2 operands \(x, y\), got slope\(x\)$"),
    "too few slopes": (plus, {"derivative": lambda x, y: (1.0,)}, TypeError, r"return 2 numbers.*\(x, y\), got 1$"),
    "one slope of two": (plus, {"derivative": lambda x, y: 1.0}, TypeError, r"return 2 numbers.*got 1\.0 \(float\)$"),
    "a slope that is no number": (square, {"derivative": lambda x: None}, TypeError, r"return a number, got None"),
    "a slope that is a Value": (square, {"derivative": lambda x: x * W}, TypeError, r"return a number, got .*Value"),
    "no number": (lambda x: None, {"derivative": slope, "name": "f"}, TypeError, r"^f must return a number, got None"),
    "a Value": (
        lambda x: x * W, {"derivative": slope, "name": "f"}, TypeError, r"got .*that it reads must be one of its operan"
    ),
    "a lambda": (lambda x: x * x, {"derivative": slope}, ValueError, r"must be an identifier.*give it one with name="),
    "no identifier": (square, {"derivative": slope, "name": "x²!"}, ValueError, r"must be an identifier.*'x²!'"),
    "a keyword": (square, {"derivative": slope, "name": "lambda"}, ValueError, r"must be an identifier"),
    "a name that is taken": (square, {"derivative": slope, "name": "exp"}, ValueError, r"^exp is an operation of tiny"),
    "another": (square, {"derivative": slope, "name": "cond"}, ValueError, r"^cond is an operation of tiny"),
    "no function": (2.0, {"derivative": slope}, TypeError, r"^primitive expected a function.*got 2\.0"),
    "no operands": (lambda: 1.0, {"derivative": slope, "name": "f"}, TypeError, r"at least one operand"),
    "any number of operands": (lambda *x: 1.0, {"derivative": slope, "name": "f"}, TypeError, r"fixed number .*\*x$"),
    "a keyword that must be given": (
        lambda x, *, k: x, {"derivative": slope, "name": "f"}, TypeError, r"by position, but f must be given k=:"
    ),
    "a symbol that is no text": (square, {"derivative": slope, "symbol": 2}, TypeError, r"^symbol must be a str"),
    "a text without an operand": (square, {"derivative": slope, "text": "x²"}, ValueError, r"^text must .*\{x\}"),
    "a text with other braces": (square, {"derivative": slope, "text": "{x}{0}"}, ValueError, r"^text must name each"),
    "a text with one brace": (square, {"derivative": slope, "text": "{x"}, ValueError, r"^text must name each"),
    "an expression of another function": (
        square, {"derivative": slope, "expression": "x**3"}, ValueError, r"^the expression x \*\* 3 is not square: at 0"
    ),
    "an expression of other operands": (
        square, {"derivative": slope, "expression": "w**2"}, ValueError, r"can name the operands \(x\).*'w'"
    ),
    "no expression": (square, {"derivative": slope, "expression": "x^"}, ValueError, r"^expression must be in SymPy's"),
    "an expression that calls an operand": (
        square, {"derivative": slope, "expression": "x(2)"}, ValueError, r"^expression must be in SymPy's.*x\(2\)"
    ),
    "an expression that is no number": (
        square, {"derivative": slope, "expression": "x > 0"}, ValueError, r"^the expression x > 0 is not square"
    ),
    "check that is no bool": (square, {"derivative": slope, "check": 0}, TypeError, r"^check must be True or False"),
    "a derivative that is off": (
        square, {"derivative": lambda x: x}, ValueError,
        r"^the derivative of square disagrees with the nudge: at x = 0\.37 it is 0\.37, .* 0\.74\. C.*check=False",
    ),
    "one of two that is off": (
        plus, {"derivative": (lambda x, y: 1.0, lambda x, y: -1.0)}, ValueError, r"of plus with respect to y disagrees"
    ),
    "none where there is one": (plus, {"derivative": (lambda x, y: 1.0, None)}, ValueError, r"respect to y disagrees"),
    "a straight-through estimator": (round, {"derivative": lambda x: 1.0}, ValueError, r"round disagrees.*=False$"),
    "nowhere finite": (
        lambda x: math.inf, {"derivative": slope, "name": "f"}, ValueError, r"^f cannot be .* it is finite at none"
    ),
    "a derivative nowhere finite": (
        square, {"derivative": lambda x: math.nan}, ValueError, r"^square cannot be .*its derivative is finite at"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("function", "options", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_wrong_use_is_one_clear_line(function, options, error, message):
    before = dict(OPERATIONS)
    with pytest.raises(error, match=message) as caught:
        ts.primitive(**options)(function)
    assert "\n" not in str(caught.value)
    assert before == OPERATIONS


def test_the_same_errors_come_without_parentheses():
    with pytest.raises(TypeError, match=r"^primitive needs the derivative"):
        ts.primitive(square)
    assert ts.primitive(square, derivative=slope, name="squared_directly")(3.0) == 9.0


def test_check_false_registers_what_the_nudge_refutes():
    rounded = ts.primitive(derivative=lambda x: 1.0, name="rounded_anyway", check=False)(round)
    found = str(ts.check_gradients(rounded(ts.Value(2.7, "x"))))
    assert "the derivative that rounded_anyway was given is not its own" in " ".join(found.split())
    x = ts.Value(2.7)
    (3.0 * rounded(x)).backward()
    assert (rounded(x).data, x.grad) == (3.0, 3.0)


# Kinks, jumps, edges, poles, narrow domains, sharp peaks, fast oscillation and rounding.
RIGHT = {
    "abs": (abs, lambda x: 1.0 if x > 0.0 else -1.0),
    "clip": (lambda x: min(max(x, -1.0), 1.0), lambda x: 1.0 if -1.0 < x < 1.0 else 0.0),
    "steps": (math.floor, lambda x: 0.0),
    "fraction": (lambda x: x % 1.0, lambda x: 1.0),
    "square root": (math.sqrt, lambda x: 0.5 / math.sqrt(x)),
    "complex elsewhere": (lambda x: x**0.5, lambda x: 0.5 * x**-0.5),
    "logit": (lambda x: math.log(x / (1.0 - x)), lambda x: 1.0 / (x * (1.0 - x))),
    "acosh": (math.acosh, lambda x: 1.0 / math.sqrt(x * x - 1.0)),
    "far out": (lambda x: math.sqrt(x - 2000.0), lambda x: 0.5 / math.sqrt(x - 2000.0)),
    "pole": (lambda x: 1.0 / x, lambda x: -1.0 / (x * x)),
    "tangent": (math.tan, lambda x: 1.0 + math.tan(x) ** 2),
    "bump": (lambda x: math.exp(-50.0 * x * x), lambda x: -100.0 * x * math.exp(-50.0 * x * x)),
    "fast": (lambda x: math.sin(1e4 * x), lambda x: 1e4 * math.cos(1e4 * x)),
    "overflow": (math.exp, math.exp),
    "huge": (lambda x: 1e200 * x, lambda x: 1e200),
    "tiny": (lambda x: 1e-200 * x, lambda x: 1e-200),
    "constant": (lambda x: 7.0, lambda x: 0.0),
    "cancelling": (lambda x: (1e6 + x) - 1e6, lambda x: 1.0),
    "float32": (lambda x: np.tanh(np.float32(x)), lambda x: 1.0 - np.tanh(np.float32(x)) ** 2),
    "array without axes": (lambda x: np.where(x > 0.0, x, 0.1 * x), lambda x: np.where(x > 0.0, 1.0, 0.1)),
    "int": (lambda x: 2 if x > 0.0 else 1, lambda x: 0),
    "derivative raises elsewhere": (lambda x: max(x, 0.0) ** 1.5, lambda x: 1.5 * math.sqrt(x)),
    "two operands": (lambda x, y: x**y, lambda x, y: (y * x ** (y - 1.0), math.log(x) * x**y)),
    "a narrow domain of two": (
        lambda x, y: math.sqrt(x - y - 10.0),
        lambda x, y: (0.5 / math.sqrt(x - y - 10.0), -0.5 / math.sqrt(x - y - 10.0)),
    ),
    "larger of two": (lambda x, y: max(x, y), lambda x, y: (1.0 * (x > y), 1.0 * (y > x))),
    "comparison": (lambda x, y: 1.0 if x > y else 0.0, (None, None)),
}
SMOOTH = [
    "square root",
    "logit",
    "acosh",
    "pole",
    "tangent",
    "bump",
    "overflow",
    "huge",
    "tiny",
    "two operands",
]


@pytest.mark.parametrize(("function", "derivative"), RIGHT.values(), ids=RIGHT)
def test_right_derivatives_are_no_false_alarms(function, derivative):
    with np.errstate(all="ignore"):
        ts.primitive(derivative=derivative, name="right")(function)


@pytest.mark.parametrize(("function", "derivative"), [RIGHT[name] for name in SMOOTH], ids=SMOOTH)
@given(factor=st.sampled_from([-1.0, 0.0, 0.5, 0.98, 1.02, 2.0]))
def test_a_wrong_factor_is_refused(function, derivative, factor):
    def wrong(*x):
        return np.multiply(factor, derivative(*x))[()] if isinstance(derivative(*x), tuple) else factor * derivative(*x)

    with (
        np.errstate(all="ignore"),
        pytest.raises(ValueError, match=r"^the derivative of wrong( with respect to x)? disagrees"),
    ):
        ts.primitive(derivative=wrong, name="wrong")(function)


def test_a_wrong_factor_is_seen_through_the_rounding_of_float32():
    function, derivative = RIGHT["float32"]
    with pytest.raises(ValueError, match=r"^the derivative of wrong disagrees"):
        ts.primitive(derivative=lambda x: 1.02 * derivative(x), name="wrong")(function)


def test_names_of_steps_of_programs_are_not_taken_for_rows():
    """An operation called gather must not be computed as the gather of vectorize."""
    modules = {
        name: importlib.import_module(f"tinygrad_scalar.vectorize.{name}") for name in ("numpy_calls", "program")
    }
    names = {*modules["numpy_calls"].CALLS, *modules["program"].ONLY_OF_ARRAYS}
    if ts.accelerated:
        names |= {*importlib.import_module("tinygrad_scalar.vectorize._tape").CODES}
        names |= {*importlib.import_module("tinygrad_scalar.vectorize._blocks").OPERATIONS}
    names = {name for name in names if isinstance(name, str) and name.isidentifier()} - OPERATIONS.keys()
    for name in sorted(names - {"leaky_relu"}):
        ts.primitive(derivative=slope, name=name)(square)
        assert name not in OPERATIONS

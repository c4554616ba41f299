"""`parse`: value and gradients are those of the same Python on Values; all else is refused, unevaluated."""

import math
import re
import warnings

import pytest
from hypothesis import given, settings, strategies as st
from programs import BINARY, UNARY

import tinygrad_scalar as ts
from tinygrad_scalar import Value, functions
from tinygrad_scalar.cli.expression import ExpressionError, parse
from tinygrad_scalar.engine import ops
from tinygrad_scalar.engine.graph import topological_order

# --- what the text means ---------------------------------------------------------------------------------------------

NAMES = ["a", "b", "w_1", "σ"]
# A constant stands between braces: bare in the text, a Value in what Python evaluates. Exponents stay plain numbers.
CONSTANTS = ["{0.}", "{1}", "{2.5}", "{.5}", "{3.}", "{1e-3}", "{1_0}", "{0x1F}"]
EXPONENTS = ["2", "3", "0.5", "-1", "-2", "+2", "0", "(2)"]
COMPARISONS = {">": "greater", ">=": "greater_equal", "<": "less", "<=": "less_equal"}


def compounds(parts):
    unary = st.sampled_from([*UNARY, "leaky_relu"])
    binary = st.sampled_from(BINARY)
    return st.one_of(
        st.tuples(parts, st.sampled_from(["+", " - ", "*", " / "]), parts).map("".join),  # precedence is Python's
        st.tuples(parts, st.sampled_from(["+", "-", " *", "/ "]), parts).map(lambda p: f"({''.join(p)})"),
        st.tuples(st.sampled_from(["-", "+", "- -"]), parts).map(lambda p: f"({p[0]}{p[1]})"),
        st.tuples(parts, st.sampled_from(EXPONENTS)).map(lambda p: f"({p[0]})**{p[1]}"),
        st.tuples(parts, parts, st.sampled_from(NAMES)).map(lambda p: f"({p[0]}) ** ({p[1]} + {p[2]})"),
        st.tuples(unary, parts).map(lambda p: f"{p[0]}({p[1]})"),
        st.tuples(binary, parts, parts).map(lambda p: f"{p[0]}({p[1]}, {p[2]})"),
        st.tuples(parts, st.sampled_from(list(COMPARISONS)), parts, parts, parts).map(
            lambda p: f"where(«({p[0]}), {p[1]}, ({p[2]})», {p[3]}, {p[4]})"
        ),
    )


EXPRESSIONS = st.recursive(st.sampled_from(NAMES + CONSTANTS), compounds, max_leaves=12)
POINTS = st.fixed_dictionaries(dict.fromkeys(NAMES, st.floats(-3.0, 3.0)))


def as_text(template):
    """The template in the language: bare constants, comparisons as operators."""
    for mark, sign in (("{", ""), ("}", ""), ("«(", "("), (")»", ")")):
        template = template.replace(mark, sign)
    for sign in COMPARISONS:
        template = template.replace(f"), {sign}, (", f") {sign} (")
    return template


def as_python(template):
    """The template for eval: constants are Values, comparisons functions of their own."""
    template = template.replace("{", "Value(").replace("}", ")")
    for sign in COMPARISONS:
        template = template.replace(f"), {sign}, (", f"), '{sign}', (")
    return template.replace("«(", "compare((").replace(")»", "))")


def compare(x, sign, y):
    return getattr(functions, COMPARISONS[sign])(x, y)


@settings(max_examples=3 * settings.default.max_examples)
@given(EXPRESSIONS, POINTS)
def test_value_and_gradients_are_those_of_the_same_python_expression(template, numbers):
    leaves = {name: Value(number, name) for name, number in numbers.items()}
    known = {name: getattr(functions, name) for name in functions.__all__}
    expected = eval(as_python(template), {**known, **leaves, "Value": Value, "compare": compare})
    expected.backward()

    text = as_text(template)
    used = {node.label for node in topological_order(expected)} & set(numbers)
    values = parse(text, {name: numbers[name] for name in used})
    root = values[""]
    root.backward()
    assert repr(root.data) == repr(expected.data), text
    for name in used:
        assert repr(values[name].grad) == repr(leaves[name].grad), (text, name)


# text, its value at x = 2, y = 3: the signs and their precedence
ARITHMETIC = [
    ("x + y*x", 8.0), ("(x + y)*x", 10.0), ("x - y - x", -3.0), ("x/y/x", 1 / 3), ("-x**2", -4.0), ("(-x)**2", 4.0),
    ("x**y**0.5", 2.0 ** 3.0**0.5), ("x**-1", 0.5), ("2**x", 4.0), ("x**y", 8.0), ("--x", 2.0),
    ("+x", 2.0), ("-+-x", 2.0), ("- 2*x", -4.0), ("1e3*x", 2000.0), ("1_000*x", 2000.0),
    ("0x10*x", 32.0), (".5*x", 1.0), ("x/0", float("inf")), ("x/-0", float("inf")), ("x/-0.0", float("-inf")),
    ("log(x - x)", float("-inf")), ("maximum(x, y)", 3.0), ("where(x > y, x, y)", 3.0), ("where(x <= y, x, y)", 2.0),
    ("where(x - 2, 1, 5)", 5.0), ("leaky_relu(-x)", -0.02), ("abs(-x)", 2.0), ("exp(x,)", float(ts.exp(2.0))),
    ("(x)", 2.0), ("((x))", 2.0),
    ("2*pi", 2 * math.pi), ("π", math.pi), ("e**x", math.e**2), ("tau/2", math.pi), ("ln(e)", 1.0),
    ("max(x, 1, y)", 3.0), ("min(x, y, 1)", 1.0), ("sum(x, y, 1)", 6.0), ("max(x)", 2.0), ("max(1, 2)", 2.0),
    ("x > 0", 1.0), ("x < 0", 0.0), ("1 < x < 3", 1.0), ("1 < x < 2", 0.0), ("1 < x <= 2 < y", 1.0),
    ("where(0 < x < 3, x, 0)", 2.0), ("where((x > 0)*(y < 0), 1, 5)", 5.0),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), ARITHMETIC)
def test_the_signs_mean_what_they_mean_in_python(text, value):
    used = set(re.findall(r"\b[xy]\b", text))
    assert parse(text, {name: {"x": 2.0, "y": 3.0}[name] for name in used})[""].data == value


@pytest.mark.parametrize("name", [*UNARY, *BINARY, "leaky_relu", "where"])
def test_every_function_of_the_package_can_be_written(name):
    count = {"where": 3}.get(name, 2 if name in BINARY else 1)
    arguments = ["0.5", "0.25", "0.75"][:count]
    assert parse(f"{name}({', '.join(arguments)})", {})[""].data == pytest.approx(
        getattr(functions, name)(*map(float, arguments)), nan_ok=True
    )


def test_a_plain_exponent_makes_one_node_of_one_operand():
    assert parse("x**-2", {"x": 3})[""].op == "**-2"


# --- statements and names --------------------------------------------------------------------------------------------

# text, numbers, the names in their order, the root's number
STATEMENTS = {
    "one": ("z = w*a", {"w": 2, "a": 3}, ["w", "a", "z"], 6.0),
    "two": ("z = w*a; C = z**2", {"w": 2, "a": 3}, ["w", "a", "z", "C"], 36.0),
    "an expression alone": ("w*a", {"w": 2, "a": 3}, ["w", "a", ""], 6.0),
    "an expression last": ("z = w*a; z + 1", {"w": 2, "a": 3}, ["w", "a", "z", ""], 7.0),
    "lines": ("z = w*a\nC = z**2", {"w": 2, "a": 3}, ["w", "a", "z", "C"], 36.0),
    "blank lines": ("\n\nz = w*a\n\n\nC = z**2\n\n", {"w": 2, "a": 3}, ["w", "a", "z", "C"], 36.0),
    "windows line ends": ("z = w*a\r\nC = z**2\r\n", {"w": 2, "a": 3}, ["w", "a", "z", "C"], 36.0),
    "indented as in a docstring": ("\n    z = w*a\n    C = z**2\n", {"w": 2, "a": 3}, ["w", "a", "z", "C"], 36.0),
    "indented at will": ("z = w*a\n   C = z**2", {"w": 2, "a": 3}, ["w", "a", "z", "C"], 36.0),
    "spaces around": ("   z=w * a ;C = z ** 2   ", {"w": 2, "a": 3}, ["w", "a", "z", "C"], 36.0),
    "a last semicolon": ("z = w*a;", {"w": 2, "a": 3}, ["w", "a", "z"], 6.0),
    "a line goes on in parentheses": ("z = (w +\n  a)\nC = z*z", {"w": 2, "a": 3}, ["w", "a", "z", "C"], 25.0),
    "a comment": ("z = w*a  # the sum; not\nz*2", {"w": 2, "a": 3}, ["w", "a", "z", ""], 12.0),
    "no numbers": ("c = 2; c*c", {}, ["c", ""], 4.0),
    "a constant": ("2.5", {}, [""], 2.5),
    "a name for a name": ("z = w; q = z", {"w": 2}, ["w", "z", "q"], 2.0),
    "names that Python knows": ("print = x; id = print; id*2", {"x": 2}, ["x", "print", "id", ""], 4.0),
    "a name of a function": ("exp = x; exp(exp)", {"x": 0}, ["x", "exp", ""], 1.0),
    "Greek": ("σ = α*β", {"α": 2, "β": 3}, ["α", "β", "σ"], 6.0),
    "a number that is not needed for the root": ("z = w*a; C = w + 1", {"w": 2, "a": 3}, ["w", "a", "z", "C"], 3.0),
}


@pytest.mark.parametrize(("text", "numbers", "names", "value"), STATEMENTS.values(), ids=STATEMENTS)
def test_statements_give_named_values_in_their_order_and_the_last_is_the_root(text, numbers, names, value):
    values = parse(text, numbers)
    assert list(values) == names
    assert values[names[-1]].data == value


@pytest.mark.parametrize(("text", "numbers", "names", "value"), STATEMENTS.values(), ids=STATEMENTS)
def test_names_become_labels(text, numbers, names, value):
    values = parse(text, numbers)
    assert {name: values[name].label for name in names if name} == {name: name for name in names if name}
    assert {name: values[name].data for name in numbers} == numbers


def test_one_value_is_used_wherever_its_name_stands():
    values = parse("z = x*x; z + x", {"x": 3})
    values[""].backward()
    assert values["x"].grad == 7.0
    assert len(topological_order(values[""])) == 3


def test_a_second_name_for_a_value_is_a_node_of_its_own_with_the_same_gradient():
    values = parse("z = w; C = z*z", {"w": 3})
    values["C"].backward()
    assert values["z"] is not values["w"]
    assert values["w"].grad == values["z"].grad == 6.0


@pytest.mark.parametrize("name", ["µ", "ﬁ", "wⱼ", "ℂ"])  # Python reads µ (U+00B5) as μ (U+03BC), ﬁ as fi, …
def test_a_name_that_python_normalises_finds_its_number(name):
    assert list(parse(f"{name}*2", {name: 3}).values())[-1].data == 6.0


# --- what is refused -------------------------------------------------------------------------------------------------

# text, numbers, words that the error has
REFUSED = {
    # nothing but arithmetic
    "a call of what is built in": ("__import__('os')", {}, "__import__"),
    "a call on a call": ("__import__('os').system('true')", {}, "system"),
    "open": ("open('/etc/passwd')", {}, "no such function"),
    "eval": ("eval('1')", {}, "no such function"),
    "an attribute": ("x.y", {"x": 1}, "not arithmetic"),
    "a dunder attribute": ("x.__class__", {"x": 1}, "not arithmetic"),
    "a method": ("x.exp()", {"x": 1}, "no such function"),
    "a module's function": ("math.exp(x)", {"x": 1}, "no such function"),
    "a lambda": ("lambda: x", {"x": 1}, "not arithmetic"),
    "a called lambda": ("(lambda: x)()", {"x": 1}, "no such function"),
    "a list comprehension": ("[x for i in y]", {"x": 1, "y": 1}, "not arithmetic"),
    "a generator": ("sqrt(x for i in y)", {"x": 1, "y": 1}, "not arithmetic"),
    "a dict": ("{x: 1}", {"x": 1}, "not arithmetic"),
    "a tuple": ("x, x", {"x": 1}, "not arithmetic"),
    "a walrus": ("(z := x)", {"x": 1}, "not arithmetic"),
    "an f-string": ("f'{x}'", {"x": 1}, "not arithmetic"),
    "an f-string that calls": ("f'{open(x)}'", {"x": 1}, "not arithmetic"),
    "a string": ("'x'", {}, "not a number"),
    "a string as argument": ("exp('x')", {}, "not a number"),
    "bytes": ("b'x'", {}, "not a number"),
    "True": ("True", {}, "not a number"),
    "None": ("None", {}, "not a number"),
    "an ellipsis": ("...", {}, "not a number"),
    "a complex number": ("1j", {}, "not a number"),
    "a complex exponent": ("x**1j", {"x": 1}, "not a number"),
    "True as exponent": ("x**True", {"x": 1}, "not a number"),
    "a subscript": ("x[0]", {"x": 1}, "not arithmetic"),
    "a subscript's call": ("x[0](1)", {"x": 1}, "no such function"),
    "floor division": ("x//2", {"x": 1}, "not arithmetic"),
    "a remainder": ("x % 2", {"x": 1}, "not arithmetic"),
    "a matrix product": ("x @ 2", {"x": 1}, "as in 2*w"),
    "a caret": ("x^2", {"x": 1}, "as in w**2; did you mean 'x**2'?"),
    "bits": ("~x", {"x": 1}, "not arithmetic"),
    "not": ("not x", {"x": 1}, "x <= 0 for not x > 0"),
    "and": ("x and 1", {"x": 1}, "multiply conditions"),
    "if": ("x if x else 2", {"x": 1}, "where(condition, x, y)"),
    "equality": ("x == 1", {"x": 1}, "abs(x - y) < 1e-9"),
    "is": ("x is x", {"x": 1}, "not arithmetic"),
    "a chain with an equality": ("1 < x == 2", {"x": 1}, "abs(x - y) < 1e-9"),
    "inequality": ("where(x != 1, 1, 2)", {"x": 1}, "abs(x - y) >= 1e-9"),
    "or": ("x < 0 or x > 1", {"x": 1}, "maximum(x < 0, x > 1)"),
    "await": ("await x", {"x": 1}, "not arithmetic"),
    "yield": ("z = yield", {}, "not arithmetic"),
    # functions
    "an unknown function": ("sigmod(x)", {"x": 1}, "did you mean sigmoid?"),
    "max of a list": ("max([x, 1])", {"x": 1}, "did you mean 'max(x, 1)'?"),
    "sum of nothing": ("sum()", {}, "sum takes at least 1 argument, got 0"),
    "pi called": ("pi(x)", {"x": 1}, "did you mean 'pi*(x)'?"),
    "a function far from any": ("quux(x)", {"x": 1}, "the functions are exp, expm1"),
    "an operation that only functions are made of": ("cosine(x, x)", {"x": 1}, "no such function"),
    "a function by another name": ("sgn(x)", {"x": 1}, "(column 1): no such function; did you mean 'sign(x)'?"),
    "a product without its sign": ("3(x + 1)", {"x": 1}, "(column 1): no such function; did you mean '3*(x + 1)'?"),
    "a number called": ("2(x)", {"x": 1}, "no such function"),
    "a keyword argument": ("exp(x=1)", {}, "by position"),
    "keyword arguments": ("exp(**x)", {"x": 1}, "by position"),
    "a starred argument": ("exp(*x)", {"x": 1}, "by position"),
    "no argument": ("exp()", {}, "exp takes 1 argument, got 0"),
    "an argument too many": ("exp(x, x)", {"x": 1}, "exp takes 1 argument, got 2"),
    "an argument too few": ("where(x > 0, x)", {"x": 1}, "where takes 3 arguments, got 2"),
    "a function without its argument": ("exp + x", {"x": 1}, "parentheses"),
    # statements
    "two names": ("a = b = 1", {}, "one name"),
    "a tuple of names": ("a, b = 1", {}, "one name"),
    "a starred name": ("*a, = x", {"x": 1}, "one name"),
    "an attribute assigned": ("x.y = 1", {"x": 1}, "one name"),
    "an item assigned": ("x[0] = 1", {"x": 1}, "one name"),
    "an augmented assignment": ("x += 1", {"x": 1}, "name = expression"),
    "an annotation": ("z: int = 1", {}, "name = expression"),
    "an import": ("import os", {}, "name = expression"),
    "a function definition": ("def f(): pass", {}, "name = expression"),
    "a loop": ("while 1: pass", {}, "name = expression"),
    "del": ("del x", {"x": 1}, "name = expression"),
    "return": ("return x", {"x": 1}, "name = expression"),
    "an expression before the last": ("x + 1; z = x", {"x": 1}, "last"),
    "reassigning a number": ("w = 2", {"w": 1}, "w already has a value"),
    "reassigning a name": ("z = 1; z = 2", {}, "z already has a value"),
    "assigning to e after its use": ("z = e*2; e = 3", {}, "e stood for 2.71828 before this"),
    # names and numbers
    "a name without a number": ("x - y", {"x": 1}, "y has no number; give y="),
    "a name before it is assigned": ("z = q; q = 1", {}, "q has no number"),
    "a name by itself": ("z = z + 1", {}, "z has no number"),
    "a number without a use": ("x", {"x": 1, "unused": 2}, "got a number for unused, which"),
    "a number for a name with a space": ("y", {"x y": 1}, "'x y'"),
    "a number without a name": ("y", {"": 1}, "''"),
    "a number too large": (f"x*1{'0' * 400}", {"x": 1}, "float64"),
    "a negative number too large": (f"-1{'0' * 400}", {}, "float64"),
    "an exponent too large": (f"x**1{'0' * 400}", {"x": 1}, "float64"),
    "a number of 5,000 digits": ("1" * 5000, {}, ""),
    # not Python
    "empty": ("", {}, "empty"),
    "white space": (" \n\t ", {}, "empty"),
    "a comment alone": ("# nothing", {}, "empty"),
    "an operand missing": ("x +", {"x": 1}, "cannot read"),
    "an operator missing": ("x y", {"x": 1, "y": 1}, "cannot read"),
    "2x": ("2x", {"x": 1}, "'2x' at column 1: a product needs its *, as in 2*w; did you mean '2*x'?"),
    "1/2x": ("1/2x", {"x": 1}, "a product needs its *, as in 2*w"),  # (1/2)x or 1/(2x)?
    "a parenthesis missing": ("(x", {"x": 1}, "cannot read"),
    "a parenthesis too many": ("x)", {"x": 1}, "cannot read"),
    "a string left open": ("x = 'a", {}, "cannot read"),
    "an empty statement": ("x;;x", {"x": 1}, "cannot read"),
    "a leading zero": ("0777", {}, "cannot read"),
    "a keyword as name": ("lambda = 1", {}, "cannot read"),
    "an assignment to a number": ("1 = x", {"x": 1}, "cannot read"),
    "a null byte": ("x\x00", {"x": 1}, "cannot read"),
    "a lone surrogate": ("\ud800", {}, "cannot read"),
    "an unprintable sign": ("x \u200b+ 1", {"x": 1}, "cannot read"),
    "a smart quote": ("‘x’", {}, "cannot read"),
    "a bad escape": ("'\\d'", {}, ""),
    "a number that runs into a word": ("1if x else 2", {"x": 1}, ""),
    "a call of a number": ("1(2)", {}, "no such function"),
    "an error after an old Mac's line end": ("y = x\rfoo(x)", {"x": 1}, "no such function"),
    "an error on a later line": ("y = x\n\n\nfoo(y)", {"x": 1}, "foo(y)"),
    "parentheses too deep": (f"{'(' * 1000}x{')' * 1000}", {"x": 1}, "nested"),
    "calls too deep": (f"{'exp(' * 1000}x{')' * 1000}", {"x": 1}, "nested"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "numbers", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_arithmetic_is_an_error_of_one_clear_line(text, numbers, words):
    with warnings.catch_warnings(record=True) as warned, pytest.raises(ValueError) as caught:
        warnings.simplefilter("always")
        parse(text, numbers)
    message = str(caught.value)
    assert isinstance(caught.value, ExpressionError) or "float64" in message  # a number that no Value takes
    assert words in message
    assert message.splitlines() == [message]
    assert 10 < len(message) < 400
    assert [str(warning.message) for warning in warned] == []


# text that fails at a place, and the column that the error names
PLACES = [("x + foo(1)", 5), ("x; foo(1)", 1), ("z = x*y.q", 7), ("α + foo(1)", 5), ("é*σ*foo(1)", 5)]


@pytest.mark.parametrize(("text", "column"), PLACES)
def test_the_error_counts_the_column_in_characters_from_1(text, column):
    with pytest.raises(ExpressionError, match=rf"\(column {column}\)"):
        parse(text, dict.fromkeys("xyαéσ", 1.0))


@pytest.mark.parametrize("text", ["+".join(["x"] * 100_000), "-" * 100_000 + "x", "x**" * 100_000 + "x"])
def test_a_text_of_100_000_terms_is_read_or_refused_in_one_line(text):
    try:
        values = parse(text, {"x": 1})
    except ExpressionError as error:
        assert "too long" in str(error)
        assert "\n" not in str(error)
    else:
        assert values[""].data in (100_000.0, 1.0)


def test_a_thousand_terms_are_read():
    assert parse("+".join(["x"] * 1000), {"x": 1})[""].data == 1000.0


def test_a_row_of_the_table_of_operations_is_a_function_of_the_text(monkeypatch):
    row = ops.Operation(
        "hypot", "hypot", "hypot({0}, {1})", "sqrt(x**2 + y**2)", math.hypot, lambda v, x, y: (x / v, y / v)
    )
    monkeypatch.setitem(ops.OPERATIONS, "hypot", row)
    values = parse("hypot(x, y)", {"x": 3, "y": 4})
    values[""].backward()
    assert [value.data for value in values.values()] == [3.0, 4.0, 5.0]
    assert [values[name].grad for name in "xy"] == [0.6, 0.8]
    with pytest.raises(ExpressionError, match="hypot takes 2 arguments, got 1"):
        parse("hypot(x)", {"x": 3})
    with pytest.raises(ExpressionError, match="did you mean hypot"):
        parse("hypott(x, x)", {"x": 3})


@pytest.mark.parametrize("name", sorted({*functions.__all__} - {"lookup"}))
def test_every_public_function_is_one_of_the_text(name):
    arity = {"where": 3, "cond": 3, "clip": 3, **dict.fromkeys(BINARY, 2)}.get(name, 1)
    numbers = {"x": 1.5, "y": 2.0, "z": 4.0}
    used = dict(list(numbers.items())[:arity])
    assert repr(parse(f"{name}({', '.join(used)})", used)[""].data) == repr(float(getattr(ts, name)(*used.values())))

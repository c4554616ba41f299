"""Names, numbers and LaTeX: one way to write each, for every reader."""

import math

import pytest
from hypothesis import given, strategies as st

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.inspection import latex
from tinygrad_scalar.inspection.names import distinct, names
from tinygrad_scalar.inspection.notation import Notation, is_at_a_kink, number, unicode_of, written
from tinygrad_scalar.inspection.symbolic import constant, constant_slope, expression, latex_text, slope, unicode_text


def notation_of(root, **variables):
    nodes = ts.topological_order(root)
    return Notation(nodes, distinct(names(root, variables)))


# --- numbers ---------------------------------------------------------------------------------------------------------


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_written_number_reads_back_to_six_digits(x):
    assert float(written(x).replace("−", "-")) == float(f"{x:.6g}")
    assert number(x).text == written(x)


def test_minus_zero_keeps_its_sign_in_both_scripts():
    assert (written(-0.0), number(-0.0).latex) == ("−0", "-0")


@pytest.mark.parametrize(
    ("x", "text", "in_latex"),
    [
        (-0.25, "−0.25", "-0.25"), (1.5e-7, "1.5e−07", r"1.5 \cdot 10^{-7}"), (math.inf, "inf", r"\infty"),
        (-math.inf, "−inf", r"-\infty"), (math.nan, "nan", r"\mathrm{nan}"),
    ],
)  # fmt: skip
def test_a_number_in_both_scripts(x, text, in_latex):
    assert number(x)[:2] == (text, in_latex)


# --- names -----------------------------------------------------------------------------------------------------------


def test_a_name_in_the_form_of_the_notes_prints_as_they_write_it():
    assert unicode_of("w(1)[0,2]") == "w⁽¹⁾₀₂"
    assert unicode_of("my value") == "my value"
    assert latex.name("50 %_x") == r"\mathrm{50\ \%\_x}"


def test_names_that_print_alike_are_kept_apart():
    x, y = Value(1.0, "x[0]"), Value(2.0, "x₀")
    notation = notation_of(x * y)
    assert [notation.name(x), notation.name(y)] == ["x₀⟨0⟩", "x₀⟨1⟩"]
    assert notation.named(x).latex == r"{x_{0}}^{\langle 0 \rangle}"


def test_a_value_without_a_name_is_written_out_if_short_and_numbered_if_not():
    w, a = Value(2.0, "w"), Value(3.0, "a")
    product, long = w * a, (w * a).exp() + (w * a).exp()
    assert notation_of(product).name(product) == "w·a"
    assert notation_of(long).name(long) == "v₅"


def test_another_letter_numbers_the_values_where_a_name_looks_like_that():
    v = Value(2.0, "v₁")
    root = v.exp().exp()
    assert notation_of(root).name(root) == "u₂"


def test_a_label_that_reads_like_a_formula_has_parentheses_as_an_operand_alone():
    d = Value(2.0, "a − y")
    root = d * 3.0
    notation = notation_of(root)
    assert (notation.name(d), notation.operand(d).text, notation.made(root).text) == ("a − y", "(a − y)", "(a − y)·3")
    assert notation.derivative(root, d).text == "∂((a − y)·3)/∂(a − y)"


def test_the_slope_at_a_kink_is_the_number_that_the_text_does_not_tell():
    x, y = Value(2.0, "x"), Value(2.0, "y")
    root = ts.maximum(x, y)
    assert is_at_a_kink(root)
    assert notation_of(root).slope(root, 0).text == "0.5"
    root = ts.maximum(x, Value(1.0, "z"))
    assert notation_of(root).slope(root, 0).text == "[x > z]"


# --- LaTeX -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{0}/{1}", r"\frac{a}{b}"), ("({0})⁻²", "(a)^{-2}"), ("√({0})", r"\sqrt{a}"), ("2/√π", r"2/\sqrt{\pi}"),
        ("{1}·{0}^({1} − 1)", r"b \cdot a^{b - 1}"), ("asin({0})", r"\arcsin(a)"), ("atan({0})", r"\arctan(a)"),
        ("asinh({0})", r"\operatorname{arsinh}(a)"), ("tanh({0})", r"\tanh(a)"), ("relu({0})", r"\mathrm{relu}(a)"),
        ("σ′({0})", r"\sigma'(a)"), ("[{0} ≥ 0]", r"[a \geq 0]"), ("leaky_relu({0})", r"\mathrm{leaky\_relu}(a)"),
        ("{0}·{3}", r"a \cdot d"),
    ],
)  # fmt: skip
def test_a_text_of_the_table_in_latex(text, expected):
    assert latex.filled(text, ["a", "b", "c", "d"]) == expected


# --- SymPy -----------------------------------------------------------------------------------------------------------


def test_a_large_power_of_a_number_is_not_worked_out():
    import sympy

    x = sympy.Symbol("x")
    assert unicode_text(expression("**1000", [constant(2.0) * x])) == "(2·x)^1000"


def test_an_activation_that_sympy_lacks_keeps_its_name_and_its_derivative_has_a_prime():
    import sympy

    z = sympy.Symbol("z")
    activations = ("sigmoid", "relu", "softplus")
    assert [unicode_text(expression(op, [z])) for op in activations] == ["σ(z)", "relu(z)", "softplus(z)"]
    assert [unicode_text(slope(op, 0, [z])) for op in activations] == ["σ′(z)", "relu′(z)", "σ(z)"]
    assert latex_text(slope("relu", 0, [z]), {}) == r"\mathrm{relu}'\left(z\right)"


@pytest.mark.parametrize(
    ("op", "i", "expected"), [("+", 1, 1), ("-", 1, -1), ("neg", 0, -1), ("greater", 0, 0), ("*", 0, None)]
)
def test_a_slope_that_is_the_same_everywhere_is_its_number(op, i, expected):
    assert constant_slope(op, i) == expected


def test_inverse_functions_print_alike_in_step_and_explain():
    x = Value(0.5, "x")
    root = x.asin().log()
    stepper = ts.step(root, names={})
    stepper.next()
    assert r"\arcsin" in stepper.current.latex and r"\arcsin" in ts.explain(root, x, names={}).latex


def test_conditions_come_last_in_a_product_whatever_the_order_of_the_graph():
    x, y = Value(-2.0, "x"), Value(1.0, "y")
    text = ts.explain(ts.minimum(abs(x), y), x, names={}).text
    assert "sign(x)·[|x| < y]" in text

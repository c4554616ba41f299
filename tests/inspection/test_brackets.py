"""Formulas in both scripts: parentheses where a person would write them, and nowhere else."""

import re

import pytest

from tinygrad_scalar.engine.ops import OPERATIONS, operation
from tinygrad_scalar.inspection.brackets import (
    PRODUCT,
    SINGLE,
    SUM,
    bracketed_once,
    condition,
    filled,
    formula,
    single,
    with_brackets,
)  # fmt: skip

NAME, SUMMED, MULTIPLIED = formula("w", "w"), formula("a − y", "a - y"), formula("w·a", r"w \cdot a")


@pytest.mark.parametrize(
    ("text", "binds"),
    [
        ("w", SINGLE), ("w⁽¹⁾₀₂", SINGLE), ("1.5", SINGLE), ("1e−07", SINGLE), ("max(a − y, 1)", SINGLE),
        ("|a − y|", SINGLE), ("(x > y)", SINGLE), ("[x > 0]", SINGLE), ("w·a", PRODUCT), ("w/a", PRODUCT),
        ("x²", PRODUCT), ("my value", PRODUCT), ("(a)·(b)", PRODUCT), ("a − y", SUM), ("−a", SUM), ("−1.5", SUM),
        ("|a| − y", SUM), ("x > y", SUM),
    ],
)  # fmt: skip
def test_a_formula_binds_as_its_outermost_operation(text, binds):
    assert formula(text, "").binds == binds


def test_a_formula_is_bracketed_in_both_scripts_or_in_neither():
    for operand in (NAME, SUMMED, MULTIPLIED):
        for at_least in (SUM, PRODUCT, SINGLE):
            inside = operand.bracketed(at_least)
            has_brackets = operand.binds < at_least
            assert inside.text.startswith("(") == inside.latex.startswith(r"\left(") == has_brackets
            assert inside.binds >= at_least


def test_brackets_are_never_added_twice():
    assert SUMMED.bracketed(SINGLE).bracketed(SINGLE) == SUMMED.bracketed(SINGLE)
    assert single(single("a − y")) == single("a − y")
    assert bracketed_once("exp((a b))·(a b)", ["(a b)"]) == "exp(a b)·(a b)"


@pytest.mark.parametrize(
    ("template", "operands", "expected"),
    [
        ("{0} + {1}", [MULTIPLIED, SUMMED], "w·a + (a − y)"),
        ("{0}·{1}", [SUMMED, MULTIPLIED], "(a − y)·w·a"),
        ("{0}/{1}", [MULTIPLIED, MULTIPLIED], "w·a/(w·a)"),
        ("({0})²", [NAME], "w²"),
        ("({0})²", [MULTIPLIED], "(w·a)²"),
        ("−{0}", [SUMMED], "−(a − y)"),
        ("max({0}, {1})", [SUMMED, formula("−1", "-1")], "max(a − y, −1)"),
        ("|{0}|", [SUMMED], "|a − y|"),
        ("[{0} > {1}]", [SUMMED, MULTIPLIED], "[a − y > w·a]"),
        ("√({0})", [SUMMED], "√(a − y)"),
        ("1 − tanh²({0})", [SUMMED], "1 − tanh²(a − y)"),
        ("{0}^{1}·log({0})", [SUMMED, NAME], "(a − y)^w·log(a − y)"),
        ("exp({0})", [formula("(p q)", "")], "exp(p q)"),
    ],
)
def test_an_operand_has_parentheses_where_its_place_binds_more_tightly(template, operands, expected):
    assert filled(template, operands).text == expected


@pytest.mark.parametrize("op", [*OPERATIONS, "**2", "**0.5", "leaky_relu(0.1)"])
def test_every_text_of_the_table_is_balanced_and_never_bracketed_twice(op):
    row = operation(op)
    names = [formula(letter, letter) for letter in "abc"]
    for text in (row.text, *row.slopes):
        assert with_brackets(text, [SINGLE] * 3).count("{") == text.count("{")
        for operands in (names, [SUMMED] * 3, [MULTIPLIED] * 3):
            for script in filled(text, operands)[:2]:
                assert script.count("(") == script.count(")") and script.count("{") == script.count("}")
                assert not re.search(r"\(\([^()]*\)\)", script)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[(x > 0) ≠ 0]", "[x > 0]"), ("[(x > 0) = 0]", "[x ≤ 0]"), ("[(x ≥ y) = 0]", "[x < y]"),
        ("[c ≠ 0]", "[c ≠ 0]"), ("where((x > 0), x, y)", "where(x > 0, x, y)"),
        (r"\mathrm{where}((x > 0), x, y)", r"\mathrm{where}(x > 0, x, y)"),
        (r"[(x \geq 0) \neq 0]", r"[x \geq 0]"), ("max((x > 0), y)", "max((x > 0), y)"),
    ],
)  # fmt: skip
def test_a_comparison_is_itself_a_condition(text, expected):
    assert condition(text) == expected

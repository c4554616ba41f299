"""Names that a text need not define: constants, and functions of any number of arguments."""

import math

import pytest

from tinygrad_scalar.cli.expression import parse

# text, numbers, the number of C
OWN_NAMES = [
    ("C = 2*e", {"e": 3}, 6.0), ("C = pi", {"pi": 3}, 3.0), ("e = 2; C = e*e", {}, 4.0),
    ("π = 3; C = π*pi", {}, 3 * math.pi),
    ("max = 4; C = max(max, 1)", {}, 4.0), ("C = ln*ln(1)", {"ln": 3}, 0.0),
]  # fmt: skip


@pytest.mark.parametrize(("text", "numbers", "number"), OWN_NAMES, ids=[text for text, _, _ in OWN_NAMES])
def test_a_name_of_ones_own_comes_before_a_constant(text, numbers, number):
    assert parse(text, numbers)["C"].data == number


def test_a_constant_is_a_part_of_the_formula_and_no_leaf_with_a_name():
    values = parse("C = pi*x", {"x": 2})
    assert list(values) == ["x", "C"]
    assert [leaf.label for leaf in values["C"].operands] == ["", "x"]


@pytest.mark.parametrize(("text", "gradients"), [
    ("max(x, y, z)", [0.0, 0.0, 1.0]), ("min(x, y, z)", [1.0, 0.0, 0.0]), ("sum(x, y*z)", [1.0, 3.0, 2.0]),
    ("mean(x, y, z, 2)", [0.25, 0.25, 0.25]), ("norm(x, 2*y, 2*z)*53**0.5", [1.0, 8.0, 12.0]),
    ("where(x < y < z, x, y)", [1.0, 0.0, 0.0]), ("ln(x)*y*z", [6.0, 0.0, 0.0]),
])  # fmt: skip
def test_functions_of_several_numbers_have_their_gradients(text, gradients):
    values = parse(text, {"x": 1, "y": 2, "z": 3})
    values[""].backward()
    assert [values[name].grad for name in "xyz"] == gradients

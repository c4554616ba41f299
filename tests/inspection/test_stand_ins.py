"""Names that nobody gave: those of leaves and of values in between are the same for every reader, and explained."""

import re

import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.inspection.definitions import MOST

LEAVES_OF = {  # labels of some leaves → the names of the two that have none
    (): ["a₁", "a₂"],
    ("w", "y"): ["a₁", "a₂"],
    ("a",): ["x₁", "x₂"],
    ("a(0)[1]",): ["x₁", "x₂"],
    ("a[3]", "x₁"): ["p₁", "p₂"],
    ("age", "a_1", "x"): ["p₁", "p₂"],
    tuple("abcdefghijklmnopqrstuvwxyz"): ["θ₁", "θ₂"],
}


def of_two_leaves(labels):
    first, second = Value(2.0), Value(3.0)
    root = ts.tanh(first * second * 0.05 + 2.0) * 2.0
    for i, label in enumerate(labels):
        root = root + Value(0.1 * i, label) * second
    return root, first, second


@pytest.mark.parametrize("labels", LEAVES_OF, ids=" ".join)
def test_a_leaf_without_a_name_has_one_name_for_all_readers(labels):
    root, *leaves = of_two_leaves(labels)
    for leaf, name in zip(leaves, LEAVES_OF[labels], strict=True):
        assert f"/∂{name} = " in re.sub(r" +", " ", str(ts.explain(root, leaf, names={})).splitlines()[0])
        assert str(ts.nudge(root, leaf, names={})).startswith(f"∂f/∂{name} = lim ")
        assert str(ts.sensitivity(root, leaf, names={})).splitlines()[2].startswith(f"{name} ")
        assert [row.name for row in ts.check_gradients(root, leaf, names={}).rows] == [name]
        assert name in [row.name for row in ts.check_gradients(root, names={}).rows]
        assert ts.explain(root, name, names={}).value == ts.explain(root, leaf, names={}).value
        drawn = ts.draw(root, names={}, fold=None).source
        assert f"<b>{name}</b>" in drawn.replace("<B>", "<b>").replace("</B>", "</b>")
    first_step = str(ts.step(root, names={}).next())
    assert first_step.startswith("·".join(LEAVES_OF[labels]))


def test_one_leaf_without_a_name_is_called_a():
    x = Value(2.0, "x")
    assert str(ts.explain(Value(3.0) * x, x, names={})) == "∂a·x/∂x = a = 3\nwhere a = 3".replace("∂a·x", "∂(a·x)")


def test_a_number_of_a_formula_is_a_number_until_one_asks_about_it():
    x = Value(2.0, "x")
    root = 3.0 * x + 3.0
    product, added = root.operands
    factor = next(leaf for leaf in product.operands if leaf is not x)
    assert str(ts.explain(root, x, names={})).splitlines()[0].endswith(" = 3")
    for number, name in ((factor, "c₁"), (added, "c₂")):
        assert f"/∂{name} = " in str(ts.explain(root, number, names={}))
        assert f"(f({name} + " in str(ts.nudge(root, number, names={}))
        assert [row.name for row in ts.check_gradients(root, number, names={}).rows] == [name]
    assert [row.name for row in ts.sensitivity(root, added, names={})] == ["c[2]"]


def chain(length, label="u"):
    u = Value(0.3, label)
    value = u
    for _ in range(length):
        value = ts.tanh(value * 1.1)
    return value, u


DIGITS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
DEFINED = re.compile(r"^(?:where|     ) (\w[₀-₉]*) = ", re.MULTILINE)


@pytest.mark.parametrize("length", [3, 10, MOST, 40, 400])
def test_every_value_that_explain_names_is_defined_once_in_order_or_counted(length):
    root, u = chain(length)
    explanation = ts.explain(root, u, names={})
    used = {int(i.translate(DIGITS)) for i in re.findall("v([₀-₉]+)", str(explanation))}
    defined = [int(i[1:].translate(DIGITS)) for i in DEFINED.findall(str(explanation))]
    assert defined == sorted(set(defined))
    assert len(defined) <= MOST
    left_out = re.search(r"and ([\d,]+) more: v", str(explanation))
    counted = int(left_out[1].replace(",", "")) if left_out else 0
    if length <= 40:
        assert len(defined) + counted == len(used)
    assert bool(counted) == (len(used) > MOST)
    assert explanation.latex.count(r"\text{where }") == 1
    assert len(re.findall(r"v_\{\d+\} &= \\tanh", explanation._repr_latex_())) == len(defined)
    assert (r"\text{ more: }" in explanation.latex or "more: }" in explanation.latex) == bool(counted)


def test_the_definitions_name_what_the_definitions_need():
    def graph():
        x, y, held = Value(0.3, "x"), Value(0.5, "y"), Value(2.0)
        value = x
        for _ in range(6):
            value = ts.sin(value * held + y)
        return value, x

    lines = str(ts.explain(*graph(), names={})).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("where"))
    assert lines[start : start + 2] == ["where a = 2", "      v₃ = sin(a·x + y) = 0.891207"]
    assert lines[start + 2].startswith("      v₆ = sin(a·v₃ + y) = ")


def test_a_label_that_looks_like_a_stand_in_defines_nothing():
    x = Value(1.0, "my v₁ x")
    lines = str(ts.explain(ts.tanh(ts.exp(x * Value(3.0))) * 2.0, x, names={})).splitlines()
    assert [line for line in lines if " = (my v₁ x)·a = " in line] == []
    assert any(line.startswith("where a = 3") for line in lines)


def test_where_every_value_has_a_name_nothing_is_defined():
    w, a = Value(0.5, "w"), Value(2.0, "a")
    C = ts.tanh(w * a)
    C.label = "C"
    explanation = ts.explain(C, w, names={})
    assert "where" not in str(explanation)
    assert "where" not in explanation.latex

"""How the operations of a list print and draw: one node, with an ellipsis for what is too much."""

import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import Value

a, b, c, d = (Value(0.25 + 0.5 * i, name) for i, name in enumerate("abcd"))
PRINTED = [
    (ts.sum([a, b, c]), "a + b + c", "1"),
    (ts.mean([a, b]), "(a + b)/2", "1/2"),
    (ts.dot([a, b], [c, d]), "a·c + b·d", "c"),
    (ts.norm([a, b]), "√(a² + b²)", "a/√(a² + b²)"),
    (ts.max([a, b, c]), "max(a, b, c)", "[a = max(a, b, c)]"),
    (ts.min([a, b]), "min(a, b)", "[a = min(a, b)]"),
    (ts.logsumexp([a, b]), "log(exp(a) + exp(b))", "exp(a)/(exp(a) + exp(b))"),
]
IDS = [node.op for node, *_ in PRINTED]
many = [Value(0.5 + i, f"x[{i}]") for i in range(200)]
OF_MANY = [
    (ts.sum(many), "x₀ + x₁ + … + x₁₉₉"),
    (ts.dot(many[:100], many[100:]), "x₀·x₁₀₀ + x₁·x₁₀₁ + … + x₉₉·x₁₉₉"),
    (ts.max(many), "max(x₀, x₁, …, x₁₉₉)"),
    (ts.norm(many), "√(x₀² + x₁² + … + x₁₉₉²)"),
]


@pytest.mark.parametrize("node, text, slope", PRINTED, ids=IDS)
def test_a_node_and_its_slope_print_as_a_person_writes_them(node, text, slope):
    C = node * 1.0
    steps = "\n".join(map(str, ts.step(C)))
    assert f"= {text}\n" in steps
    assert f"  = {slope} · ∂C/∂node\n" in steps
    factor = ts.explain(node, "a").text
    assert f"= {slope}" in factor
    assert ts.explain(node, "a").value == node.local_grads[0]
    assert ts.explain(node, "a").latex


@pytest.mark.parametrize("node, text", OF_MANY, ids=[node.op for node, _ in OF_MANY])
def test_many_operands_are_cut_short(node, text):
    C = node * 2.0
    assert f"= {text}\n" in str(next(iter(ts.step(C))))
    assert r"\dots" in ts.step(C).next().latex or "…" in ts.step(C).next().latex
    assert ts.explain(C, many[1]).value == 2.0 * node.local_grads[1]


def test_a_sum_is_drawn_as_one_sign():
    source = ts.draw(ts.sum([a, b, c, d])).source
    assert source.count("Σ") == 1
    assert source.count("->") == 5


@pytest.mark.parametrize("node, text, slope", PRINTED, ids=IDS)
def test_derivatives_agree_with_nudges(node, text, slope):
    report = ts.check_gradients(node * node)
    assert report.ok
    assert ts.diagnose(node * node)
    assert ts.sensitivity(node * node)


def test_a_step_counts_an_operand_that_stands_in_it_twice():
    x = Value(2.0, "x")
    C = ts.sum([x, x]) * 1.0
    assert "so far: 1 of 2 contributions" in "\n".join(map(str, ts.step(C)))


def test_a_tie_is_a_kink_with_a_number():
    x, y = Value(1.0, "x"), Value(1.0, "y")
    m = ts.max([x, y, 0.0])
    assert "0.5 · ∂C/∂m" in "\n".join(map(str, ts.step(m * 1.0))) or "0.5" in str(ts.explain(m, x))


@pytest.mark.parametrize("node, text, slope", PRINTED, ids=IDS)
def test_they_are_expressions_of_sympy(node, text, slope):
    expression = ts.to_sympy(node)
    numbers = {value.label: value.data for value in (a, b, c, d)}
    found = expression.subs({symbol: numbers[symbol.name] for symbol in expression.free_symbols})
    assert float(found) == pytest.approx(node.data, rel=1e-14)

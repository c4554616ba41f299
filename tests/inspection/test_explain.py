"""explain: the printed equations and their symbols."""

import math
import time

import pytest
from support.chains import chain, gradient, named, network

import tinygrad_scalar as ts
from tinygrad_scalar import StaleGraphError, Value

# --- the printed equations -------------------------------------------------------------------------------------------

ONE_NODE = {
    # 000 Eq. 3 with 4, 5 and 6
    "w(1)": "∂C/∂w⁽¹⁾ = ∂z⁽¹⁾/∂w⁽¹⁾ · ∂a⁽¹⁾/∂z⁽¹⁾ · ∂C/∂a⁽¹⁾\n         = a⁽⁰⁾ · σ′(z⁽¹⁾) · 2(a⁽¹⁾ − y)\n",
    # 000 Eq. 7
    "b(1)": "∂C/∂b⁽¹⁾ = ∂z⁽¹⁾/∂b⁽¹⁾ · ∂a⁽¹⁾/∂z⁽¹⁾ · ∂C/∂a⁽¹⁾\n         = 1 · σ′(z⁽¹⁾) · 2(a⁽¹⁾ − y)\n",
    # 000 Eq. 8; 001 prints ∂z/∂b as its first factor, whose value is 1 and not the w that follows
    "a(0)": "∂C/∂a⁽⁰⁾ = ∂z⁽¹⁾/∂a⁽⁰⁾ · ∂a⁽¹⁾/∂z⁽¹⁾ · ∂C/∂a⁽¹⁾\n         = w⁽¹⁾ · σ′(z⁽¹⁾) · 2(a⁽¹⁾ − y)\n",
    # 000 Eq. 4
    "a(1)": "∂C/∂a⁽¹⁾ = 2(a⁽¹⁾ − y) = 1.24492",
}


@pytest.mark.parametrize("name", ONE_NODE)
def test_one_node_is_explained_as_in_000(name):
    C = chain(1)
    assert str(ts.explain(C, name)).startswith(ONE_NODE[name])


def test_one_node_in_latex_is_000_eq_3():
    assert ts.explain(chain(1), "w(1)").latex.splitlines()[1:3] == [
        r"\frac{\partial C}{\partial w^{(1)}} &= \frac{\partial z^{(1)}}{\partial w^{(1)}} "
        r"\frac{\partial a^{(1)}}{\partial z^{(1)}} \frac{\partial C}{\partial a^{(1)}} \\",
        r"&= a^{(0)} \cdot \sigma'\left(z^{(1)}\right) \cdot 2\left(a^{(1)} - y\right) \\",
    ]


def test_the_numbers_are_in_the_same_order():
    C = chain(1)
    z, a = named(C, "z(1)").data, named(C, "a(1)").data
    factors = ts.explain(C, "w(1)").factors
    assert [factor.value for factor in factors] == pytest.approx([0.8, ts.sigmoid(z) * ts.sigmoid(-z), 2.0 * a])
    assert [(factor.of.label, factor.by.label) for factor in factors] == [
        ("z(1)", "w(1)"), ("a(1)", "z(1)"), ("C", "a(1)"),
    ]  # fmt: skip


def test_deep_chains_are_the_long_products_of_001():
    text = str(ts.explain(chain(3), "w(1)"))
    joined = " ".join(line.strip() for line in text.splitlines())
    assert joined.startswith(
        "∂C/∂w⁽¹⁾ = ∂z⁽¹⁾/∂w⁽¹⁾ · ∂a⁽¹⁾/∂z⁽¹⁾ · ∂z⁽²⁾/∂a⁽¹⁾ · ∂a⁽²⁾/∂z⁽²⁾ · ∂z⁽³⁾/∂a⁽²⁾ · ∂a⁽³⁾/∂z⁽³⁾ · ∂C/∂a⁽³⁾ "
        "= a⁽⁰⁾ · σ′(z⁽¹⁾) · w⁽²⁾ · σ′(z⁽²⁾) · w⁽³⁾ · σ′(z⁽³⁾) · 2(a⁽³⁾ − y) = 0.8 · "
    )
    assert max(map(len, text.splitlines())) <= 80


def test_a_weight_among_many_nodes_is_the_multi_node_equation_of_000():
    text = str(ts.explain(network(2, 3, 2), "w(2)[1,2]"))
    assert text.startswith(
        "∂C/∂w⁽²⁾₁₂ = ∂z⁽²⁾₁/∂w⁽²⁾₁₂ · ∂a⁽²⁾₁/∂z⁽²⁾₁ · ∂C/∂a⁽²⁾₁\n           = a⁽¹⁾₂ · σ′(z⁽²⁾₁) · 2(a⁽²⁾₁ − y₁)\n"
    )


def test_an_activation_among_many_nodes_is_the_sum_over_j_of_000():
    explanation = ts.explain(network(2, 3, 2), "a(1)[0]")
    assert str(explanation).startswith(
        "∂C/∂a⁽¹⁾₀ = Σⱼ ∂z⁽²⁾ⱼ/∂a⁽¹⁾₀ · ∂a⁽²⁾ⱼ/∂z⁽²⁾ⱼ · ∂C/∂a⁽²⁾ⱼ\n"
        "          = w⁽²⁾₀₀ · σ′(z⁽²⁾₀) · 2(a⁽²⁾₀ − y₀)\n"
        "          + w⁽²⁾₁₀ · σ′(z⁽²⁾₁) · 2(a⁽²⁾₁ − y₁)\n"
    )
    assert explanation.latex.splitlines()[1] == (
        r"\frac{\partial C}{\partial a^{(1)}_{0}} &= \sum_j \frac{\partial z^{(2)}_{j}}{\partial a^{(1)}_{0}} "
        r"\frac{\partial a^{(2)}_{j}}{\partial z^{(2)}_{j}} \frac{\partial C}{\partial a^{(2)}_{j}} \\"
    )
    assert explanation.factors == ()
    assert len(explanation.equations[0].products) == 2


def test_deep_networks_are_factored_layer_by_layer():
    explanation = ts.explain(network(2, 5, 5, 5, 2), "w(1)[0,0]")
    assert [equation.by.label for equation in explanation.equations[:3]] == ["w(1)[0,0]", "a(1)[0]", "a(2)[0]"]
    assert len(explanation.equations) == 1 + 1 + 3 + 3
    assert [[value.label for value in values] for values in explanation.likewise] == [
        ["a(2)[3]", "a(2)[4]"], ["a(3)[3]", "a(3)[4]"],
    ]  # fmt: skip
    assert str(explanation).splitlines()[-2:] == ["likewise ∂C/∂a⁽²⁾₃, ∂C/∂a⁽²⁾₄", "likewise ∂C/∂a⁽³⁾₃, ∂C/∂a⁽³⁾₄"]


@pytest.mark.parametrize("loss", [ts.cross_entropy, ts.hinge, ts.absolute_error, ts.binary_cross_entropy])
def test_every_loss_is_explained(loss):
    output = "sigmoid" if loss is ts.binary_cross_entropy else "linear"
    net = ts.MLP(3, [4, 3], "tanh", output, seed=0)
    target = 1 if loss is ts.cross_entropy else [1.0, -1.0, 1.0] if loss is ts.hinge else [1.0, 0.0, 1.0]
    C = loss(net([0.1, 0.2, 0.3]), target)
    for parameter in net.parameters():
        assert ts.explain(C, parameter).value == pytest.approx(gradient(C, parameter), rel=1e-12)


def test_a_large_network_answers_within_seconds(thorough):
    n = 784 if thorough else 196
    net = ts.MLP(n, [128, 10], seed=0)
    C = ts.squared_error(net([0.001 * k for k in range(n)]), [0.0] * 10)
    start = time.perf_counter()
    text = str(ts.explain(C, "w(1)[5,7]"))
    assert text.count("\n") < 15
    assert time.perf_counter() - start < 30  # about 0.6 s; this is against enumerating paths


# --- what it refuses -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrt", "error", "words"),
    [
        ("w(2)", ValueError, r"no value of this graph is called 'w\(2\)'; did you mean w\(1\)"),
        (Value(1.0), ValueError, "is not in the graph"),
        (7, TypeError, "expected a Value of this graph or its name, got 7"),
    ],
)
def test_what_is_not_in_the_graph_is_an_error(wrt, error, words):
    with pytest.raises(error, match=words):
        ts.explain(chain(1), wrt)


def test_a_leaf_a_number_and_a_stale_graph_are_errors():
    with pytest.raises(ValueError, match="is a leaf"):
        ts.explain(Value(1.0, "x"), "x")
    with pytest.raises(TypeError, match="got 2"):
        ts.explain(2, "x")
    C = chain(1)
    named(C, "w(1)").data = 2.0
    with pytest.raises(StaleGraphError):
        ts.explain(C, "w(1)")


def test_values_beyond_float64_are_reported():
    x = Value(0.0, "x")
    assert math.isinf(ts.explain(x.log(), x).value)
    assert "inf" in str(ts.explain(x.log(), x))


# --- how symbols are written -----------------------------------------------------------------------------------------

x, y = Value(4.0, "x"), Value(2.0, "y")
tie, zero = Value(4.0, "t"), Value(0.0, "z")


@pytest.mark.parametrize(
    ("value", "wrt", "text"),
    [
        (x**0.5, x, "0.5/x^0.5"),
        (x**1.5, x, "1.5·x^0.5"),
        (x ** (1 / 3), x, "0.333333/x^0.666667"),
        (0.5 * (x - 1.0) ** 2, x, "x − 1"),
        ((x - 0.5) ** 2, x, "2·x − 1"),
        (x.sqrt() * y, y, "√(x)"),
        (abs(x * y) * y, y, "x·y·sign(x·y) + |x·y|"),
        (ts.where(ts.greater(x, 0.0), x * y, x - y), x, "y·[x > 0] + [x ≤ 0]"),
        (ts.where(ts.greater_equal(x, y), x * y, x - y), x, "y·[x ≥ y] + [x < y]"),
        (
            ts.exp(ts.where(ts.greater(x, y), x * y, x + 1.0)),
            x,
            "(y·[x > y] + [x ≤ y])·exp(where(x > y, x·y, x + 1))",
        ),
        (abs((zero * 0.0).sigmoid() + 3.0) * x, x, "|σ(0) + 3|"),
        (ts.maximum(x, tie), x, "0.5"),
        (ts.maximum(x, x), x, "1"),
        (abs(zero), zero, "1"),
        (x**y, x, "x^(y − 1)·y"),
    ],
)
def test_a_derivative_is_written_as_a_person_would(value, wrt, text):
    explanation = ts.explain(value, wrt, names={})
    if text not in ("1", "0.5"):
        assert explanation.factors[0].text == text
    assert str(explanation).split(" = ")[1] == text
    assert explanation.value == gradient(value, wrt)


def test_examples_of_one_network_are_kept_apart():
    net = ts.MLP(1, [1], "sigmoid", seed=0)
    C = sum(net([x]) for x in (1.0, 3.0))
    text = str(ts.explain(C, "w(1)[0,0]", names={"C": C}))
    assert "a⁽⁰⁾₀⟨0⟩ · σ′(z⁽¹⁾₀⟨0⟩)" in text
    assert "a⁽⁰⁾₀⟨1⟩ · σ′(z⁽¹⁾₀⟨1⟩)" in text


def test_attributes_of_an_object_from_here_are_names():
    class Neuron:
        def __init__(self):
            self.w, self.b = [Value(0.5), Value(2.0)], Value(0.1)

    n = Neuron()
    z = n.w[0] * 3.0 + n.w[1] * 4.0 + n.b
    assert [row.name for row in ts.sensitivity(z)] == ["n.w[1]", "n.w[0]", "n.b"]
    assert str(ts.explain(z, "n.w[1]")).startswith("∂z/∂n.w[1] = ")


def test_latex_says_nothing_twice():
    a, b = Value(2.0, "a"), Value(3.0, "b")
    assert ts.explain(a * b, a, names={}).latex.splitlines()[1:-1] == [
        r"\frac{\partial (a \cdot b)}{\partial a} &= b = 3"
    ]


def test_the_direct_part_of_a_derivative_is_not_called_like_the_whole():
    k, r = Value(1000.0, "k"), Value(0.03, "r")
    interest = k * r
    interest.label = "i"
    total = k + interest
    total.label = "t"
    assert str(ts.explain(total, k)) == (
        "∂t/∂k = ∂i/∂k · ∂t/∂i + ∂t/∂k (direct)\n      = r · 1 + 1\n      = 0.03 · 1 + 1 = 1.03"
    )
    assert r"\left.\frac{\partial t}{\partial k}\right|_{\mathrm{direct}}" in ts.explain(total, k).latex
    assert "direct" not in str(ts.explain(total, r))
    assert "direct" not in str(ts.explain(network(2, 3, 2), "a(1)[0]"))


def test_what_is_shared_without_a_name_is_not_written_out_again_and_again():
    def flight(n_steps):
        v, k = Value(20.0, "v"), Value(0.02, "k")
        vx, vy, x = v * 0.7, v * 0.7, 0.0
        for n in range(1, n_steps + 1):
            s = (vx**2 + vy**2).sqrt()
            vx, vy = vx - 0.1 * k * s * vx, vy - 0.1 * (9.81 + k * s * vy)
            x = x + 0.1 * vx
            x.label, vx.label = f"x{n}", f"vx{n}"
        return x, v

    distance, v = flight(25)
    explanation = ts.explain(distance, v)
    assert len(explanation.text) < 20_000
    assert math.isclose(explanation.value, gradient(distance, v), rel_tol=1e-12)

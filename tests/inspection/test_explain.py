"""Explanations of gradients: the notes' equations symbol by symbol, and the engine's numbers."""

import math
import time

import pytest
from hypothesis import given, settings, strategies as st
from programs import LEAVES, PROGRAM, numbers_of

import tinygrad_scalar as ts
from tinygrad_scalar import StaleGraphError, Value, topological_order
from tinygrad_scalar.inspection.explain import TOO_LONG
from tinygrad_scalar.inspection.paths import MOST_FACTORS


def chain(L):
    """The notes' network with one node in each of L layers (000, 001) and its cost."""
    a = Value(0.8, "a(0)")
    y = Value(0.0, "y")
    for layer in range(1, L + 1):
        w, b = Value(0.6 - 0.1 * layer, f"w({layer})"), Value(0.1 * layer, f"b({layer})")
        z = w * a + b
        a = z.sigmoid()
        z.label, a.label = f"z({layer})", f"a({layer})"
    C = (a - y) ** 2
    C.label = "C"
    return C


def network(*sizes):
    """A network of the notes with several nodes a layer, and C = Σⱼ(aⱼ − yⱼ)²."""
    net = ts.MLP(sizes[0], list(sizes[1:]), "sigmoid", seed=1)
    a = net([0.3 * (k + 1) for k in range(sizes[0])])
    a = a if isinstance(a, list) else [a]
    C = sum((a_j - Value(0.5 * j, f"y[{j}]")) ** 2 for j, a_j in enumerate(a))
    C.label = "C"
    return C


def named(root, name):
    return next(node for node in topological_order(root) if node.label == name)


def gradient(root, wrt):
    root.zero_grad()
    root.backward()
    return wrt.grad


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


def test_a_large_network_answers_within_seconds():
    net = ts.MLP(784, [128, 10], seed=0)
    C = ts.squared_error(net([0.001 * k for k in range(784)]), [0.0] * 10)
    start = time.perf_counter()
    text = str(ts.explain(C, "w(1)[5,7]"))
    assert text.count("\n") < 15
    assert time.perf_counter() - start < 30  # about 0.6 s; this is against enumerating paths


# --- the numbers -----------------------------------------------------------------------------------------------------


@settings(max_examples=10 * settings.default.max_examples)
@given(PROGRAM, LEAVES, st.lists(st.booleans(), min_size=1, max_size=8), st.integers(0, 99))
def test_the_value_is_the_gradient_and_so_are_the_symbols(program, numbers, labelled, which):
    leaves = [Value(number, f"x[{i}]") for i, number in enumerate(numbers)]
    C = sum(numbers_of(program, ts, leaves)[-3:])
    C.label = "C"
    interior = [node for node in topological_order(C)[:-1] if node.op]
    for i, node in enumerate(interior):
        if labelled[i % len(labelled)]:
            node.label = f"v[{i}]"
    nodes = topological_order(C)
    inside = [node for node in nodes if node.label and node is not C]
    if not inside:
        return
    wrt = inside[which % len(inside)]
    explanation = ts.explain(C, wrt, names={})
    expected = gradient(C, wrt)
    size = path_size(C, wrt)
    assert abs(explanation.value - expected) <= 1e-12 * size
    unicode = {ts.inspection.names.symbol(node.label).unicode: node.data for node in nodes if node.label}
    for equation in explanation.equations:
        assert abs(equation.value - gradient(C, equation.by)) <= 1e-12 * path_size(C, equation.by)
        for product in equation.products:
            for factor in product:
                symbols = getattr(factor.expression, "free_symbols", set())
                if all(symbol.name in unicode for symbol in symbols):
                    value = evaluated(factor.expression, {symbol: unicode[symbol.name] for symbol in symbols})
                    assert value == pytest.approx(factor.value, rel=1e-4, abs=1e-4)


def evaluated(expression, numbers):
    import sympy

    expression = sympy.sympify(expression)
    for name, slope in (("σ", lambda x: 1 / (1 + sympy.exp(-x))), ("relu", lambda x: sympy.Max(x, 0))):
        expression = expression.replace(lambda e, n=name: e.func.__name__ == n, lambda e, s=slope: s(e.args[0]))
    primes = {
        "σ′": lambda x: sympy.exp(-x) / (1 + sympy.exp(-x)) ** 2,
        "relu′": lambda x: sympy.Heaviside(x, 0),
        "softplus": lambda x: sympy.log(1 + sympy.exp(x)),
    }
    for name, slope in primes.items():
        expression = expression.replace(lambda e, n=name: e.func.__name__ == n, lambda e, s=slope: s(e.args[0]))
    return float(expression.subs(numbers))


def path_size(root, wrt):
    """Σ over paths |∏ local gradients|: what the rounding of a gradient is relative to."""
    size = dict.fromkeys(topological_order(root), 0.0)
    size[root] = 1.0
    for node in reversed(topological_order(root)):
        for operand, local_grad in zip(node.operands, node.local_grads):
            size[operand] += abs(local_grad) * size[node]
    return size[wrt]


def test_explaining_reads_and_changes_no_gradient():
    C = network(2, 3, 2)
    for i, node in enumerate(topological_order(C)):
        node.grad = float(i)
    ts.explain(C, "w(1)[0,0]")
    assert [node.grad for node in topological_order(C)] == [float(i) for i in range(len(topological_order(C)))]


def test_a_value_used_twice_in_one_operation():
    x = Value(3.0, "x")
    y = x * x
    assert str(ts.explain(y, x, names={"y": y})) == "∂y/∂x = 2·x = 6"


@pytest.mark.parametrize(
    ("build", "text", "latex"),
    [
        (lambda x, y: 2.0 * x.leaky_relu(0.1), "2([x ≥ 0] + 0.1·[x < 0])", r"[x \geq 0]"),
        (lambda x, y: ts.maximum(x, y) * y, "y·[x > y]", r"[x > y]"),
        (lambda x, y: abs(x - y) * 3.0, "3·sign(x − y)", r"3 \cdot \mathrm{sign}(x - y)"),
    ],
)
def test_a_slope_at_a_kink_is_one_factor_in_text_and_in_latex(build, text, latex):
    x, y = Value(3.0, "x"), Value(2.0, "y")
    z = build(x, y)
    explanation = ts.explain(z, x, names={"z": z})
    assert explanation.factors[0].text == text
    assert latex in explanation.latex


def test_a_long_chain_is_explained_without_recursion():
    w = Value(1.0, "w")
    z = Value(1.0, "x")
    for _ in range(3000):
        z = z + w
    z.label = "z"
    assert str(ts.explain(z, w)).startswith("∂z/∂w = 3000\n(too long to print")


def test_what_is_too_long_to_be_written_out_stays_a_derivative():
    w, x = Value(1.0 + 1e-6, "w"), Value(1.0, "x")
    z = x
    for _ in range(20_000):
        z = z * w + x
    z.label = "z"
    explanation = ts.explain(z, w, names={})
    assert explanation.value == pytest.approx(gradient(z, w), rel=1e-12)
    first, *note = str(explanation).splitlines()
    assert first == f"∂z/∂w = {explanation.value:.6g}"
    assert " ".join(map(str.strip, note)) == TOO_LONG


def test_of_a_long_recurrence_the_equations_stay_short():
    r, a = Value(3.3, "r"), Value(0.3, "x(0)")
    for i in range(500):
        a = a * r * (1.0 - a)
        a.label = f"x({i + 1})"
    explanation = ts.explain(a, r)
    assert explanation.value == pytest.approx(gradient(a, r), rel=1e-12)
    assert all(
        len(product) <= MOST_FACTORS for equation in explanation.equations for product in equation.products[1:-1]
    )
    assert len(explanation.equations) < 15
    assert len(str(explanation)) < 20_000


def test_of_a_long_product_the_first_and_the_last_factors_are_written():
    a = x0 = Value(0.3, "x(0)")
    for i in range(300):
        a = a * 3.3 * (1.0 - a)
        a.label = f"x({i + 1})"
    explanation = ts.explain(a, x0)
    assert len(explanation.factors) == 300
    assert explanation.value == pytest.approx(gradient(a, x0), rel=1e-12)
    assert " · … · " in str(explanation)
    assert len(str(explanation)) < 3000
    assert r" \cdot … \cdot " in explanation.latex


@pytest.mark.parametrize(
    ("build", "number"),
    [
        (lambda x: x * ts.sin(Value(123456789.123)), "0.999843"),
        (lambda x: x * (Value(1.0001) - 1.0), "0.0001"),
        (lambda x: x * ts.expm1(Value(1e-9)), "1e−09"),
        (lambda x: x * ts.maximum(ts.sigmoid(Value(0.0)), 0.2), "0.5"),
        (lambda x: x * Value(1e308) * 10.0 / 10.0, "1e+308"),
    ],
)
def test_what_is_made_of_numbers_is_the_number_that_the_engine_has(build, number):
    x = Value(0.5, "x")
    assert str(ts.explain(build(x), x, names={})).split(" = ")[1:] == [number]


@pytest.mark.parametrize(
    ("build", "formula"),
    [
        (lambda x: (2.0 * x) ** -1e9, "−1e+09/(x·(2·x)^1e+09)"),
        (lambda x: ts.exp(-299792458.0 * ts.log(2.0 * x)), "−2.99792e+08·exp(−2.99792e+08·log(2·x))/x"),
        (lambda x: (2.0 * x) ** 50, "5.6295e+16·x⁴⁹"),
        (lambda x: x ** Value(1e10), "1e+10·x^(1e+10 − 1)"),
        (lambda x: (x**3) ** (1 / 3), "x²/(x³)^0.666667"),
        (lambda x: ts.logaddexp(x, 1.0), "exp(x)/(exp(x) + exp(1))"),
        (lambda x: (x * -300.0) ** 2, "2·300²·x"),
    ],
)
def test_large_numbers_are_not_calculated_with(build, formula):
    x = Value(0.5, "x")
    assert ts.explain(build(x), x, names={}).factors[0].text == formula


@pytest.mark.parametrize("build", [lambda x: Value(0.0) ** x, lambda x: Value(-2.0) ** x])
def test_what_is_no_real_formula_stays_a_derivative(build):
    x = Value(2.0, "x")
    root = build(x)
    assert ts.explain(root, x, names={"y": root}).factors[0].text == "∂y/∂x"


def test_the_condition_of_a_where_within_a_condition_is_its_own():
    x, w = Value(2.5, "x"), Value(-1.2, "w")
    z = ts.where(ts.greater(x, 3.0), 3.0 * x, x - 3.0)
    explanation = ts.explain(ts.where(ts.greater(z, w), w * z, z - w), w, names={})
    chosen = "where(x > 3, 3·x, x − 3)"
    assert explanation.factors[0].text == f"{chosen}·[{chosen} > w] − [{chosen} ≤ w]"
    assert r" \leq w]" in explanation.latex


@pytest.mark.parametrize(
    ("names", "printed"),
    [
        (("x[0]", "x₀"), "x₀⟨1⟩"),
        ((" x", "x"), "x⟨1⟩"),
        (("the_weight_of_layer_1_of_head_0", "the_weight_of_layer_2_of_head_0"), "the_weight_of_l…f_head_0⟨1⟩"),
    ],
)
def test_names_that_look_alike_are_told_apart(names, printed):
    a, b = (Value(number, name) for number, name in zip((2.0, 3.0), names))
    explanation = ts.explain(a * b, a, names={})
    assert str(explanation).endswith(f" = {printed} = 3")
    assert r"^{\langle 1 \rangle}" in explanation.latex


@pytest.mark.parametrize(
    ("power", "data"), [(lambda: Value(10.0) ** Value(1e6), math.inf), (lambda: 10 ** Value(300.0), 1e300)]
)
def test_a_power_of_numbers_is_not_worked_out_digit_by_digit(power, data):
    x = Value(1.0, "x")
    explanation = ts.explain(x * power(), x, names={})
    assert explanation.value == data
    assert len(str(explanation)) < 30


def test_a_number_that_its_formula_does_not_give_is_told_without_it():
    x = Value(0.0, "x")
    assert str(ts.explain(0.0 * x.log(), x, names={})).startswith("∂v₂/∂x = nan")


def test_a_label_that_reads_as_a_formula_is_one_operand():
    u, x = Value(2.0, "a+b"), Value(3.0, "x")
    C = u * x
    q = C * C * u
    explanation = ts.explain(q, x, names={"q": q, "C": C})
    assert str(explanation).startswith("∂q/∂x = ∂C/∂x · ∂q/∂C\n      = (a+b) · 2·(a+b)·C\n")
    assert r"\left(\mathrm{a+b}\right) \cdot" in explanation.latex


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


def test_values_beyond_float64_are_told():
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


def test_examples_of_one_network_are_told_apart():
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

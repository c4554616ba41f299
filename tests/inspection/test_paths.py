"""explain: the numbers along the paths, and which values have an equation."""

import functools
import math

import pytest
from hypothesis import given, settings, strategies as st
from programs import LEAVES, PROGRAM, numbers_of
from support.chains import gradient, network

import tinygrad_scalar as ts
from tinygrad_scalar import Value, topological_order
from tinygrad_scalar.inspection.paths import MOST_FACTORS


def bare(number):
    """A number of a formula, such as the 2 of 2 * x: a Value that is made would get a name."""
    return (Value(0.0) + number).operands[1]


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


@functools.cache
def forms():
    """The functions that SymPy has not, and their slopes, as expressions in t."""
    import sympy

    t = sympy.Symbol("t", real=True)
    elu = sympy.Piecewise((t, t > 0), (sympy.exp(t) - 1, True))
    functions = {
        "σ": 1 / (1 + sympy.exp(-t)),
        "relu": sympy.Max(t, 0),
        "softplus": sympy.log(1 + sympy.exp(t)),
        "gelu": t * (1 + sympy.erf(t / sympy.sqrt(2))) / 2,
        "silu": t / (1 + sympy.exp(-t)),
        "mish": t * sympy.tanh(sympy.log(1 + sympy.exp(t))),
        "softsign": t / (1 + sympy.Abs(t)),
        "elu": elu,
        "selu": 1.0507009873554805 * elu.subs(sympy.exp(t) - 1, 1.6732632423543772 * (sympy.exp(t) - 1)),
        "hardtanh": sympy.Max(sympy.Min(t, 1), -1),
    }
    slopes = {f"{name}′": form.diff(t) for name, form in functions.items()}
    return t, {**functions, **slopes, "relu′": sympy.Heaviside(t, 0)}


def evaluated(expression, numbers):
    import sympy

    t, functions = forms()
    expression = sympy.sympify(expression).replace(
        lambda e: e.func.__name__ in functions, lambda e: functions[e.func.__name__].subs(t, e.args[0])
    )
    return float(expression.subs(numbers))


def path_size(root, wrt):
    """Σ over paths |∏ local gradients|: the scale of a gradient's rounding error."""
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
    assert str(ts.explain(z, w)) == "∂z/∂w = 3000"


def test_a_long_graph_without_names_is_explained_over_the_names_of_step(thorough):
    w, x = Value(1.0 + 1e-6, "w"), Value(1.0, "x")
    z = x
    for _ in range(20_000 if thorough else 2_000):
        z = z * w + x
    z.label = "z"
    explanation = ts.explain(z, w, names={})
    assert explanation.value == pytest.approx(gradient(z, w), rel=1e-12)
    lines = str(explanation).splitlines()
    assert lines[0] == "∂z/∂w = ∂v₃/∂w · ∂v₆/∂v₃ · ∂z/∂v₆"
    assert len(lines) < 100


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
        (lambda x: x * ts.sin(bare(123456789.123)), "0.999843"),
        (lambda x: x * (bare(1.0001) - 1.0), "0.0001"),
        (lambda x: x * ts.expm1(bare(1e-9)), "1e−09"),
        (lambda x: x * ts.maximum(ts.sigmoid(bare(0.0)), 0.2), "0.5"),
        (lambda x: x * bare(1e308) * 10.0 / 10.0, "1e+308"),
    ],
)
def test_what_is_made_of_numbers_is_the_number_that_the_engine_has(build, number):
    x = Value(0.5, "x")
    assert str(ts.explain(build(x), x, names={})).splitlines()[0].split(" = ")[1:] == [number]


@pytest.mark.parametrize(
    ("build", "formula"),
    [
        (lambda x: (2.0 * x) ** -1e9, "−1e+09/(x·(2·x)^1e+09)"),
        (lambda x: ts.exp(-299792458.0 * ts.log(2.0 * x)), "−2.99792e+08·exp(−2.99792e+08·log(2·x))/x"),
        (lambda x: (2.0 * x) ** 50, "5.6295e+16·x⁴⁹"),
        (lambda x: x ** bare(1e10), "1e+10·x^(1e+10 − 1)"),
        (lambda x: (x**3) ** (1 / 3), "x²/(x³)^0.666667"),
        (lambda x: ts.logaddexp(x, 1.0), "exp(x)/(exp(x) + exp(1))"),
        (lambda x: (x * -300.0) ** 2, "2·300²·x"),
    ],
)
def test_large_numbers_are_not_calculated_with(build, formula):
    x = Value(0.5, "x")
    assert ts.explain(build(x), x, names={}).factors[0].text == formula


@pytest.mark.parametrize("build", [lambda x: bare(0.0) ** x, lambda x: bare(-2.0) ** x])
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
def test_names_that_look_alike_are_kept_apart(names, printed):
    a, b = (Value(number, name) for number, name in zip((2.0, 3.0), names))
    explanation = ts.explain(a * b, a, names={})
    assert str(explanation).splitlines()[0].endswith(f" = {printed} = 3")
    assert r"^{\langle 1 \rangle}" in explanation.latex


@pytest.mark.parametrize(
    ("power", "data"), [(lambda: bare(10.0) ** bare(1e6), math.inf), (lambda: 10 ** bare(300.0), 1e300)]
)
def test_a_power_of_numbers_is_not_worked_out_digit_by_digit(power, data):
    x = Value(1.0, "x")
    explanation = ts.explain(x * power(), x, names={})
    assert explanation.value == data
    assert len(str(explanation).splitlines()[0]) < 30


def test_a_number_that_its_formula_does_not_give_is_reported_without_it():
    x = Value(0.0, "x")
    assert str(ts.explain(0.0 * x.log(), x, names={})).startswith("∂v₂/∂x = nan")


def test_a_label_that_reads_as_a_formula_is_one_operand():
    u, x = Value(2.0, "a+b"), Value(3.0, "x")
    C = u * x
    q = C * C * u
    explanation = ts.explain(q, x, names={"q": q, "C": C})
    assert str(explanation).startswith("∂q/∂x = ∂C/∂x · ∂q/∂C\n      = (a+b) · 2·(a+b)·C\n")
    assert r"\left(\mathrm{a+b}\right) \cdot" in explanation.latex

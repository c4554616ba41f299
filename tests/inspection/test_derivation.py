"""explain: the symbols between two names, where constants are nan or infinite and where values have no name."""

import copy
import itertools
import math
import pickle
import random

import pytest
from support.chains import gradient

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine import record
from tinygrad_scalar.engine.ops import OPERATIONS, operation
from tinygrad_scalar.inspection.explain import NO_FORMULA
from tinygrad_scalar.inspection.notation import written

CONSTANTS = [math.nan, math.inf, -math.inf, 0.0, -0.0, -2.0, 1e308, 5e-324]
ROWS = [*OPERATIONS, "**2", "**-1", "**0.5", "**1e300", "leaky_relu(0.1)"]
OF_SYMPY = ("zoo", "AccumBounds", "Piecewise", "Derivative", "Heaviside", "oo", "I*", "·I", "ComplexInfinity")


def applied(name, operands):
    """The operation of a row of the table as Values, also where its operator returns a bool."""
    signs = {"+": "__add__", "-": "__sub__", "*": "__mul__", "/": "__truediv__", "**": "__pow__", "neg": "__neg__"}
    if name in signs:
        return getattr(operands[0], signs[name])(*operands[1:])
    row = operation(name)
    if row.constant is not None:
        return operands[0] ** row.constant if row.family == "**n" else operands[0].leaky_relu(row.constant)
    return record(name, *operands)


def leaves_no_word_of_sympy(C, x):
    explanation = ts.explain(C, x, names={"C": C})
    text, latex = str(explanation), explanation._repr_latex_()
    assert repr(explanation) == text
    assert not [word for word in OF_SYMPY if word in f"{text}{latex}".replace("floor", "")]
    expected = gradient(C, x)
    assert explanation.value == expected or math.isnan(expected)
    equation = text.partition("\nwhere ")[0]  # what follows says what v₁ is
    assert equation.replace(f"\n{NO_FORMULA}", "").split(" = ")[-1].split("\n")[0] == written(expected)
    stepper = ts.step(C, names={"C": C})
    for step in stepper:
        assert not [word for word in OF_SYMPY if word in f"{step}{step._repr_latex_()}".replace("floor", "")]
    stepper.reset()


@pytest.mark.thorough
@pytest.mark.parametrize("name", ROWS)
def test_no_constant_part_makes_sympy_fail_and_the_number_is_the_engine_s(name):
    arity = operation(name).arity
    for constant, of_x, place in itertools.product(CONSTANTS, (-0.7, math.nan), range(arity)):
        x = Value(of_x, "x")
        operands = [Value(constant) for _ in range(arity)]
        operands[place] = x
        y = applied(name, operands)
        for C in (y + 0.0, ts.maximum(y, constant) * x * ts.sigmoid(x * 0.0)):
            leaves_no_word_of_sympy(C, x)


def test_only_the_piece_without_a_real_formula_stays_a_derivative():
    x = Value(1.0, "x")
    C = ts.maximum(math.nan, x) * x
    assert str(ts.explain(C, x, names={"C": C})) == "∂C/∂x = max(nan, x) + x·∂max(nan, x)/∂x = nan"
    C = ts.where(ts.maximum(ts.sigmoid(x * 0.0), 0.6), x * x, ts.log(x * 0.0)) / x
    assert "∂C/∂x" in str(ts.explain(C, x, names={"C": C}))


def test_a_derivative_without_any_formula_says_why():
    x = Value(1.0, "x")
    C = ts.maximum(math.nan, x)
    first, *note = str(ts.explain(C, x, names={"C": C})).splitlines()
    assert first == "∂C/∂x = 0"
    assert " ".join(map(str.strip, note)) == NO_FORMULA


@pytest.mark.parametrize(
    "build", [lambda x: x / x, lambda x: x**3 / x, lambda x: x * 0.0 / (x * 0.0), lambda x: (x * 0.0) * ts.log(x)]
)
def test_no_formula_gives_another_number_than_the_engine(build):
    x = Value(0.0, "x")
    C = build(x)
    assert str(ts.explain(C, x, names={"C": C})) == "∂C/∂x = nan"


# --- graphs without names ---------------------------------------------------------------------------------------------


def chain(n, link):
    u = t = Value(0.5, "u")
    for _ in range(n):
        t = link(t)
    return t, u


def tangle(n):
    rng, x = random.Random(n), Value(0.5, "x")
    values = [x, Value(0.3, "y")]
    for _ in range(n):
        a, b = rng.choice(values[-8:]), rng.choice(values[-8:])
        values.append(rng.choice([a * b, a + b, ts.tanh(a), ts.sigmoid(a - b), ts.sin(a) * b]))
    return sum(values[-8:]), x


def layers(n, width=4):
    rng, x = random.Random(0), Value(0.5, "x")
    a = [x, Value(1.0)]
    for _ in range(n):
        a = [ts.tanh(sum((rng.uniform(-1, 1) * v for v in a), Value(0.1))) for _ in range(width)]
    return sum(a), x


def wide(n):
    x = Value(0.5, "x")
    return sum(ts.tanh(x * (0.01 * i)) ** 2 for i in range(n)), x


GRAPHS = {
    "tanh(1.1·u) 10 times": chain(10, lambda t: ts.tanh(t * 1.1)),
    "tanh(1.1·u) 30 times": chain(30, lambda t: ts.tanh(t * 1.1)),
    "relu": chain(30, lambda t: ts.relu(t * 1.1)),
    "(t − 0.3)²": chain(30, lambda t: (t - 0.3) ** 2),
    "t·t + t": chain(30, lambda t: t * t + t),
    "the hundredth power of the hundredth power": chain(6, lambda t: (100.0 * t) ** 100),
    "where": chain(30, lambda t: ts.where(ts.greater(t, 0.1), ts.exp(t - 1.0), 0.5 * t)),
    "newton": chain(30, lambda t: (t + 2.0 / t) * 0.5),
    "tangle of 50": tangle(50),
    "tangle of 500": tangle(500),
    "3 layers": layers(3),
    "30 layers": layers(30),
    "a sum of 20": wide(20),
    "a sum of 500": wide(500),
    "3000 additions": chain(3000, lambda t: t + 1.0),
}


@pytest.mark.parametrize("graph", GRAPHS)
def test_what_has_no_names_is_explained_over_the_names_of_step(graph):
    C, x = GRAPHS[graph]
    explanation = ts.explain(C, x, names={})
    text = str(explanation)
    assert NO_FORMULA[:12] not in text
    assert explanation.value == pytest.approx(gradient(C, x), rel=1e-9, nan_ok=True)
    assert len(text.splitlines()) < 145
    assert len(explanation.equations) < 15


def test_the_names_in_between_are_those_of_step():
    C, u = GRAPHS["tanh(1.1·u) 10 times"]
    first, *_ = str(ts.explain(C, u, names={})).splitlines()
    assert first.startswith("∂v₂₀/∂u = ∂v₂/∂u · ∂v₄/∂v₂ · ∂v₆/∂v₄ · ")
    assert "v₄ = tanh(v₃)" in "\n".join(map(str, ts.step(C, names={})))


# --- copies -----------------------------------------------------------------------------------------------------------

COPIES = {f"protocol {n}": lambda x, n=n: pickle.loads(pickle.dumps(x, n)) for n in range(2, 6)}
COPIES |= {"copy": copy.copy, "deepcopy": copy.deepcopy}


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("is_printed", [False, True])
def test_every_result_can_be_copied_printed_or_not(how, is_printed):
    x, y = Value(0.5, "x"), Value(0.3, "y")
    C = ts.where(ts.greater(x, y), ts.maximum(x * y, y) * ts.relu(x), ts.sigmoid(x) * abs(y)) ** 2
    C = ts.where(C >= 0.0, C, -C) * ts.softplus(x)
    stepper = ts.step(C)
    explanation = ts.explain(C, x)
    results = [explanation, explanation.equations[0].products[0][0], stepper, stepper.next(), ts.nudge(C, x)]
    results += [ts.check_gradients(C), ts.sensitivity(C), ts.diagnose(C)]
    for result in results:
        if is_printed:
            for show in ("__repr__", "__str__", "_repr_latex_", "_repr_html_"):
                getattr(result, show, str)()
        for copied in (COPIES[how](result), COPIES[how](COPIES[how](result))):
            if hasattr(result, "formula"):
                assert (copied.formula, copied.value) == (result.formula, result.value)
                assert str(copied.expression) == str(result.expression)
            else:
                assert str(copied) == str(result)


def test_a_second_derivative_of_the_sigmoid_is_written_with_its_slope():
    w, a = Value(0.5, "w"), Value(1.2, "a")
    slope = ts.gradient((w * a).sigmoid(), w)
    slope.label = "slope"
    assert ts.explain(slope, w).text == "∂slope/∂w = a²·(−σ′(a·w)·tanh(a·w/2)) = −0.0959727"

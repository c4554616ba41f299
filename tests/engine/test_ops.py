"""Every row of the table in ops.py: its derivative is SymPy's, its edges are JAX's, and nothing in it ever raises."""

import itertools
import math
from math import inf, nan

import mpmath
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_scalar.engine import ops
from tinygrad_scalar.engine.value import Value

POWERS = (2.0, 3.0, 1.0, -1.0, -2.0, -3.0, 0.5, -0.5, 1 / 3, 2.5, 0.0, 17.0)
SLOPES = (0.01, 0.2, -1.5, 0.0)
ROWS = {
    **ops.OPERATIONS,
    **{row.name: row for row in map(ops.constant_power, POWERS)},
    **{row.name: row for row in map(ops.leaky_relu, SLOPES)},
}

# Operands at which an operation is smooth. A new row of the table needs a line here, or this file fails to load.
_PAIRS = [(2.0, 3.0), (-0.7, 1.9), (1e-8, -5.5), (-123.456, -0.001), (3e5, 7e-3)]
_LINE = [-300.25, -7.5, -1.1, -0.3, -1e-10, 1e-10, 0.6, 1.0, 2.5, 42.0]
_ROOTS = [1e-10, 0.3, 0.999, 1.0001, 2.0, 17.3, 1e8]
_POLES = [-1e5, -3.7, -1.0, -0.2, 1e-6, 0.9, 1.0, 2.0, 1e5]
_UNIT = [-0.999, -0.5, -1e-10, 1e-10, 0.3, 0.7, 0.999]
_SIGMOIDAL = [-30.0, -20.0, -10.0, -2.0, -0.5, -1e-10, 0.0, 1e-10, 0.3, 1.0, 5.0, 20.0, 30.0, 300.0, -300.0]
ORDINARY = {
    "+": _PAIRS,
    "-": _PAIRS,
    "*": _PAIRS,
    "/": _PAIRS,
    "**": [
        (2.0, 3.0),
        (0.7, -1.3),
        (10.0, 0.5),
        (1e-3, 2.5),
        (1.5, 40.0),
        (3.0, -20.0),
        (1.0001, 300.0),
        (2.0, 0.0),
        (10.0, 0.1),
        (7.7, -15.4),
        (0.05, 1.9),
    ],
    "neg": _LINE,
    "abs": _LINE,
    "exp": [-700.0, -20.0, -1.0, -1e-10, 0.0, 1e-10, 0.5, 3.0, 100.0, 700.0],
    "expm1": [-30.0, -1.0, -1e-10, 0.0, 1e-10, 0.5, 3.0, 100.0, 700.0],
    "log": [1e-300, 1e-10, 0.5, 0.9999, 1.0, 1.0001, 2.0, 1e10, 1e300],
    "log1p": [-0.999, -0.5, -1e-10, 0.0, 1e-10, 0.5, 2.0, 1e10],
    "sqrt": [1e-300, 1e-10, 0.3, 1.0, 2.0, 1e10],
    "sin": [-100.0, -3.0, -0.5, -1e-10, 0.0, 1e-10, 0.8, 1.5, 3.0, 22.0, 1e5],
    "cos": [-100.0, -3.0, -0.5, -1e-10, 0.0, 1e-10, 0.8, 1.5, 3.0, 22.0, 1e5],
    "tan": [-100.0, -3.0, -0.5, -1e-10, 0.0, 1e-10, 0.8, 1.5, 3.0, 22.0],
    "asin": _UNIT,
    "acos": _UNIT,
    "atan": _LINE,
    "sinh": [-700.0, -20.0, -1.0, -1e-10, 0.0, 1e-10, 0.5, 3.0, 100.0],
    "cosh": [-700.0, -20.0, -1.0, -1e-10, 0.0, 1e-10, 0.5, 3.0, 100.0],
    "tanh": [-30.0, -10.0, -2.0, -0.5, -1e-10, 0.0, 1e-10, 0.3, 1.0, 10.0, 19.0, 30.0, 300.0],
    "asinh": _LINE,
    "acosh": [1.0001, 1.1, 1.5, 2.0, 10.0, 1e5, 1e10],
    "atanh": _UNIT,
    "sigmoid": _SIGMOIDAL,
    "relu": _LINE,
    "softplus": _SIGMOIDAL,
    "erf": [-5.0, -3.0, -1.0, -0.3, -1e-10, 0.0, 1e-10, 0.5, 2.0, 3.0, 4.7, 5.0, 10.0, 12.1, 20.0],
    "maximum": _PAIRS,
    "minimum": _PAIRS,
    "logaddexp": [(2.0, 3.0), (-0.7, 1.9), (-30.0, -29.0), (0.0, 0.0), (1.0, -40.0), (500.0, 800.0), (80.6, 2.9)],
    "greater": _PAIRS,
    "greater_equal": _PAIRS,
    "where": [(1.0, 2.0, 3.0), (0.0, 2.0, 3.0), (-0.5, -1e-8, 7.0), (-0.0, -1.5, -2.5)],
    **{ops.constant_power(n).name: _POLES if n.is_integer() else _ROOTS for n in POWERS},
    **{ops.leaky_relu(slope).name: _LINE for slope in SLOPES},
}
SYMBOLS = {1: sympy.symbols("x,", real=True), 2: sympy.symbols("x y", real=True), 3: sympy.symbols("c x y", real=True)}


def _operands(point):
    return point if isinstance(point, tuple) else (point,)


AT_ORDINARY_POINTS = [
    pytest.param(row, _operands(point), id=f"{name} at {point}")
    for name, row in ROWS.items()
    for point in ORDINARY[name]
]


def _parsed(row, symbols):
    expression = sympy.sympify(row.expression, locals={symbol.name: symbol for symbol in symbols})
    return expression.xreplace(
        {number: sympy.Rational(*float(number).as_integer_ratio()) for number in expression.atoms(sympy.Float)}
    )


def _exactly(expression, symbols, operands):
    """The expression at exactly these floats; 400 digits, so that no cancellation reaches the first 40."""
    with mpmath.workdps(400):
        function = sympy.lambdify(symbols, expression, [{"Heaviside": lambda x, _: mpmath.mpf(x > 0)}, "mpmath"])
        return +mpmath.mpf(function(*map(mpmath.mpf, operands)))


def _ulps(number, exact):
    with mpmath.workdps(400):
        return float(abs(mpmath.mpf(number) - exact) / math.ulp(float(exact)))


@pytest.mark.parametrize(("row", "operands"), AT_ORDINARY_POINTS)
def test_forward_is_the_expression_within_4_ulp(row, operands):
    symbols = SYMBOLS[len(operands)]
    assert _ulps(row.forward(*operands), _exactly(_parsed(row, symbols), symbols, operands)) <= 4


@pytest.mark.parametrize(("row", "operands"), AT_ORDINARY_POINTS)
def test_local_gradients_are_sympys_derivatives_within_4_ulp(row, operands):
    symbols = SYMBOLS[len(operands)]
    expression = _parsed(row, symbols)
    local_grads = row.local_grads(row.forward(*operands), *operands)
    assert len(local_grads) == len(symbols)
    for symbol, local_grad in zip(symbols, local_grads):
        assert _ulps(local_grad, _exactly(sympy.diff(expression, symbol), symbols, operands)) <= 4, f"∂/∂{symbol}"


# operation, operands, data, local gradients: kinks, poles, overflow, points outside the domain. JAX's answers, which
# test_peers.py asks JAX for.
EDGES = [
    ("abs", (0.0,), 0.0, (1.0,)),
    ("abs", (-0.0,), 0.0, (1.0,)),
    ("abs", (-inf,), inf, (-1.0,)),
    ("relu", (0.0,), 0.0, (0.0,)),
    ("relu", (-0.0,), 0.0, (0.0,)),
    ("relu", (inf,), inf, (1.0,)),
    ("relu", (-inf,), 0.0, (0.0,)),
    ("relu", (nan,), nan, (0.0,)),
    ("leaky_relu(0.01)", (0.0,), 0.0, (1.0,)),
    ("leaky_relu(0.01)", (-inf,), -inf, (0.01,)),
    ("leaky_relu(0.01)", (nan,), nan, (0.01,)),
    ("**0", (0.0,), 1.0, (0.0,)),
    ("**0", (-3.0,), 1.0, (0.0,)),
    ("**0", (inf,), 1.0, (0.0,)),
    ("**0", (nan,), 1.0, (0.0,)),
    ("**1", (0.0,), 0.0, (1.0,)),
    ("**2", (0.0,), 0.0, (0.0,)),
    ("**2", (1e200,), inf, (2e200,)),
    ("**3", (-1e200,), -inf, (inf,)),
    ("**0.5", (0.0,), 0.0, (inf,)),
    ("**-1", (0.0,), inf, (-inf,)),
    ("**-1", (-0.0,), -inf, (-inf,)),
    ("**-3", (-0.0,), -inf, (-inf,)),
    ("**-2", (-0.0,), inf, (inf,)),
    ("**-1", (inf,), 0.0, (0.0,)),
    (ops.constant_power(1 / 3).name, (-8.0,), nan, (nan,)),
    ("**", (0.0, 0.0), 1.0, (nan, 0.0)),
    ("**", (0.0, 2.0), 0.0, (0.0, 0.0)),
    ("**", (0.0, 1.0), 0.0, (1.0, 0.0)),
    ("**", (0.0, -1.0), inf, (-inf, nan)),
    ("**", (-8.0, 1 / 3), nan, (nan, nan)),
    ("**", (-2.0, 3.0), -8.0, (12.0, nan)),
    ("**", (1e200, 2.0), inf, (2e200, inf)),
    ("**", (1.0, inf), 1.0, (inf, 0.0)),
    ("**", (2.0, -inf), 0.0, (nan, 0.0)),
    ("log", (0.0,), -inf, (inf,)),
    ("log", (-2.0,), nan, (-0.5,)),
    ("log", (inf,), inf, (0.0,)),
    ("log1p", (-1.0,), -inf, (inf,)),
    ("log1p", (-2.0,), nan, (-1.0,)),
    ("sqrt", (0.0,), 0.0, (inf,)),
    ("sqrt", (-1.0,), nan, (nan,)),
    ("sqrt", (inf,), inf, (0.0,)),
    ("/", (1.0, 0.0), inf, (inf, -inf)),
    ("/", (1.0, -0.0), -inf, (-inf, -inf)),
    ("/", (-1.0, 0.0), -inf, (inf, inf)),
    ("/", (0.0, 0.0), nan, (inf, nan)),
    ("/", (nan, 0.0), nan, (inf, nan)),
    ("/", (inf, inf), nan, (0.0, nan)),
    ("exp", (1000.0,), inf, (inf,)),
    ("exp", (-1000.0,), 0.0, (0.0,)),
    ("exp", (-inf,), 0.0, (0.0,)),
    ("expm1", (1000.0,), inf, (inf,)),
    ("expm1", (-1000.0,), -1.0, (0.0,)),
    ("sinh", (-1000.0,), -inf, (inf,)),
    ("sinh", (1000.0,), inf, (inf,)),
    ("cosh", (-1000.0,), inf, (-inf,)),
    ("sin", (inf,), nan, (nan,)),
    ("cos", (-inf,), nan, (nan,)),
    ("tan", (inf,), nan, (nan,)),
    ("asin", (1.0,), math.pi / 2, (inf,)),
    ("asin", (2.0,), nan, (nan,)),
    ("acos", (-1.0,), math.pi, (-inf,)),
    ("acos", (-2.0,), nan, (nan,)),
    ("atan", (inf,), math.pi / 2, (0.0,)),
    ("acosh", (1.0,), 0.0, (inf,)),
    ("acosh", (0.5,), nan, (nan,)),
    ("asinh", (-inf,), -inf, (0.0,)),
    ("atanh", (1.0,), inf, (inf,)),
    ("atanh", (-1.0,), -inf, (inf,)),
    ("atanh", (2.0,), nan, (-1 / 3,)),
    ("tanh", (800.0,), 1.0, (0.0,)),
    ("tanh", (-800.0,), -1.0, (0.0,)),
    ("tanh", (inf,), 1.0, (0.0,)),
    ("tanh", (-inf,), -1.0, (0.0,)),
    ("sigmoid", (800.0,), 1.0, (0.0,)),
    ("sigmoid", (-800.0,), 0.0, (0.0,)),
    ("sigmoid", (inf,), 1.0, (0.0,)),
    ("sigmoid", (-inf,), 0.0, (0.0,)),
    ("softplus", (800.0,), 800.0, (1.0,)),
    ("softplus", (-800.0,), 0.0, (0.0,)),
    ("softplus", (inf,), inf, (1.0,)),
    ("softplus", (-inf,), 0.0, (0.0,)),
    ("softplus", (nan,), nan, (nan,)),
    ("erf", (inf,), 1.0, (0.0,)),
    ("erf", (-800.0,), -1.0, (0.0,)),
    ("maximum", (3.0, 3.0), 3.0, (0.5, 0.5)),
    ("maximum", (0.0, -0.0), 0.0, (0.5, 0.5)),
    ("maximum", (inf, inf), inf, (0.5, 0.5)),
    ("maximum", (nan, 1.0), nan, (0.0, 0.0)),
    ("maximum", (1.0, nan), nan, (0.0, 0.0)),
    ("minimum", (3.0, 3.0), 3.0, (0.5, 0.5)),
    ("minimum", (-inf, -inf), -inf, (0.5, 0.5)),
    ("minimum", (nan, 1.0), nan, (0.0, 0.0)),
    ("minimum", (1.0, nan), nan, (0.0, 0.0)),
    ("logaddexp", (-1000.0, -1000.0), -1000.0 + math.log(2.0), (0.5, 0.5)),
    ("logaddexp", (1000.0, 0.0), 1000.0, (1.0, 0.0)),
    ("logaddexp", (-inf, 3.0), 3.0, (0.0, 1.0)),
    ("greater", (1.0, 1.0), 0.0, (0.0, 0.0)),
    ("greater", (nan, 1.0), 0.0, (0.0, 0.0)),
    ("greater_equal", (1.0, 1.0), 1.0, (0.0, 0.0)),
    ("greater_equal", (nan, 1.0), 0.0, (0.0, 0.0)),
    ("where", (1.0, inf, nan), inf, (0.0, 1.0, 0.0)),
    ("where", (0.0, inf, nan), nan, (0.0, 0.0, 1.0)),
    ("where", (-0.0, 1.0, 2.0), 2.0, (0.0, 0.0, 1.0)),
    ("where", (nan, 1.0, 2.0), 1.0, (0.0, 1.0, 0.0)),
]


def _same(number, expected):
    return number == expected or (math.isnan(number) and math.isnan(expected))


@pytest.mark.parametrize(("name", "operands", "data", "local_grads"), EDGES)
def test_edges_follow_the_conventions_of_jax(name, operands, data, local_grads):
    row = ops.operation(name)
    assert _same(row.forward(*operands), data)
    slopes = row.local_grads(row.forward(*operands), *operands)
    assert len(slopes) == len(local_grads)
    assert all(map(_same, slopes, local_grads)), slopes


ANY_OPERANDS = st.lists(st.floats(), min_size=3, max_size=3)
AWKWARD = (0.0, -0.0, 1.0, -1.0, 5e-324, -1e308, 745.5, inf, -inf, nan)


def _assert_floats(row, operands):
    data = row.forward(*operands)
    assert type(data) is float
    local_grads = row.local_grads(data, *operands)
    assert isinstance(local_grads, tuple)
    assert [type(local_grad) for local_grad in local_grads] == [float] * len(operands)


@pytest.mark.parametrize("name", ROWS)
@settings(deadline=None)
@given(operands=ANY_OPERANDS)
def test_no_floats_make_an_operation_raise(name, operands):
    _assert_floats(ROWS[name], operands[: len(_operands(ORDINARY[name][0]))])


@pytest.mark.parametrize("name", ROWS)
def test_no_pair_of_extremes_makes_an_operation_raise(name):
    for operands in itertools.product(AWKWARD, repeat=len(_operands(ORDINARY[name][0]))):
        _assert_floats(ROWS[name], operands)


@settings(deadline=None)
@given(x=st.floats(), n=st.floats())
def test_no_constant_exponent_or_slope_makes_an_operation_raise(x, n):
    _assert_floats(ops.constant_power(n), [x])
    _assert_floats(ops.leaky_relu(n), [x])


@settings(deadline=None)
@given(x=st.floats(), y=st.floats())
def test_the_operators_written_out_in_value_agree_with_their_rows(x, y):
    for node in (Value(x) + Value(y), Value(x) * Value(y)):
        row = ops.operation(node.op)
        assert _same(node.data, row.forward(x, y))
        assert all(map(_same, node.local_grads, row.local_grads(node.data, x, y)))


@pytest.mark.parametrize("name", [*ROWS, "**1e+300", "**-1e-05", "**inf", "leaky_relu(1e-05)"])
def test_a_name_finds_its_row_again(name):
    assert ops.operation(name).name == name


@settings(deadline=None)
@given(x=st.floats(), n=st.floats())
def test_the_name_of_a_power_holds_its_exponent_to_the_last_bit(x, n):
    made = ops.constant_power(n)
    found = ops.operation(made.name)
    data = made.forward(x)
    assert _same(found.forward(x), data)
    assert _same(found.local_grads(data, x)[0], made.local_grads(data, x)[0])


@pytest.mark.parametrize("name", ["", "pow", "add", "Tanh", "__import__('os')", "**x", "leaky_relu", "leaky_relu(a)"])
def test_an_unknown_name_is_a_value_error(name):
    with pytest.raises(ValueError):
        ops.operation(name)


@pytest.mark.parametrize("name", ROWS)
def test_every_row_prints_each_of_its_operands_once(name):
    operands = "αβγ"[: len(_operands(ORDINARY[name][0]))]
    text = ROWS[name].text.format(*operands)
    assert [letter for letter in text if letter in "αβγ"] == list(operands)
    assert ROWS[name].symbol


@pytest.mark.parametrize(
    ("n", "text"), [(2.0, "(x)²"), (-1.0, "(x)⁻¹"), (10.0, "(x)¹⁰"), (0.5, "(x)^0.5"), (-0.5, "(x)^-0.5")]
)
def test_a_constant_power_prints_its_exponent(n, text):
    assert ops.constant_power(n).text.format("x") == text

"""Every row of the table in ops.py: its derivative is SymPy's, its edges are JAX's, and nothing in it ever raises."""

import itertools
import math
from math import inf, nan

import mpmath
import pytest
import sympy
from hypothesis import given, strategies as st
from support.operands import EDGES, ORDINARY, ROWS

from tinygrad_scalar.engine import Value, ops

SYMBOLS = {1: sympy.symbols("x,", real=True), 2: sympy.symbols("x y", real=True), 3: sympy.symbols("c x y", real=True)}


def _operands(point):
    return point if isinstance(point, tuple) else (point,)


def _function(text, symbols, by=None):
    """The function of mpmath numbers that a row's expression, or its derivative by a symbol, stands for."""
    expression = sympy.sympify(text, locals={symbol.name: symbol for symbol in symbols})
    expression = expression.xreplace(
        {number: sympy.Rational(*float(number).as_integer_ratio()) for number in expression.atoms(sympy.Float)}
    )
    if by is not None:
        expression = sympy.diff(expression, by)
        for jump in (sympy.Derivative, sympy.DiracDelta):  # of floor and sign
            expression = expression.replace(jump, lambda *_: sympy.Integer(0))
    return sympy.lambdify(symbols, expression, [{"Heaviside": lambda x, _: mpmath.mpf(x > 0)}, "mpmath"])


def _exactly(function, operands):
    """The function at exactly these floats; 400 digits, so that no cancellation reaches the first 40."""
    with mpmath.workdps(400):
        return +mpmath.mpf(function(*map(mpmath.mpf, operands)))


def _ulps(number, exact):
    with mpmath.workdps(400):
        return float(abs(mpmath.mpf(number) - exact) / math.ulp(float(exact)))


@pytest.mark.parametrize("name", ROWS)
def test_forward_is_the_expression_within_4_ulp(name):
    row, points = ROWS[name], list(map(_operands, ORDINARY[name]))
    exact = _function(row.expression, SYMBOLS[len(points[0])])
    for operands in points:
        assert _ulps(row.forward(*operands), _exactly(exact, operands)) <= 4, operands


@pytest.mark.parametrize("name", ROWS)
def test_local_gradients_are_sympys_derivatives_within_4_ulp(name):
    row, points = ROWS[name], list(map(_operands, ORDINARY[name]))
    symbols = SYMBOLS[len(points[0])]
    exact = [_function(row.expression, symbols, by=symbol) for symbol in symbols]
    for operands in points:
        local_grads = row.local_grads(row.forward(*operands), *operands)
        assert len(local_grads) == len(symbols)
        for symbol, derivative, local_grad in zip(symbols, exact, local_grads):
            assert _ulps(local_grad, _exactly(derivative, operands)) <= 4, f"∂/∂{symbol} at {operands}"


def _same(number, expected):
    return number == expected or (math.isnan(number) and math.isnan(expected))


def test_hypot_of_nan_is_nan_after_an_overflow_too():
    forward = ops.operation("hypot").forward
    assert [forward(1.7e308, 1.7e308), str(forward(1.0, math.nan))] == [math.inf, "nan"]  # CPython keeps errno


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
@given(operands=ANY_OPERANDS)
def test_no_floats_make_an_operation_raise(name, operands):
    _assert_floats(ROWS[name], operands[: len(_operands(ORDINARY[name][0]))])


@pytest.mark.parametrize("name", ROWS)
def test_no_pair_of_extremes_makes_an_operation_raise(name):
    for operands in itertools.product(AWKWARD, repeat=len(_operands(ORDINARY[name][0]))):
        _assert_floats(ROWS[name], operands)


@given(x=st.floats(), n=st.floats())
def test_no_constant_exponent_or_slope_makes_an_operation_raise(x, n):
    _assert_floats(ops.constant_power(n), [x])
    _assert_floats(ops.leaky_relu(n), [x])


@given(x=st.floats(), y=st.floats())
def test_the_operators_written_out_in_value_agree_with_their_rows(x, y):
    for node in (Value(x) + Value(y), Value(x) * Value(y)):
        row = ops.operation(node.op)
        assert _same(node.data, row.forward(x, y))
        assert all(map(_same, node.local_grads, row.local_grads(node.data, x, y)))


@pytest.mark.parametrize("name", [*ROWS, "**1e+300", "**-1e-05", "**inf", "leaky_relu(1e-05)"])
def test_a_name_finds_its_row_again(name):
    assert ops.operation(name).name == name


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
def test_every_row_prints_each_of_its_operands(name):
    operands = "αβγ"[: len(_operands(ORDINARY[name][0]))]
    row = ROWS[name]
    printed = [letter for letter in row.text.format(*operands) if letter in "αβγ"]
    if row.companions:  # this is a formula of the notes
        assert set(printed) == {letter for i, letter in enumerate(operands) if i not in row.companions}
    else:
        assert list(dict.fromkeys(printed)) == list(operands)
    assert ROWS[name].symbol


@pytest.mark.parametrize(
    ("n", "text"), [(2.0, "(x)²"), (-1.0, "(x)⁻¹"), (10.0, "(x)¹⁰"), (0.5, "(x)^0.5"), (-0.5, "(x)^-0.5")]
)
def test_a_constant_power_prints_its_exponent(n, text):
    assert ops.constant_power(n).text.format("x") == text

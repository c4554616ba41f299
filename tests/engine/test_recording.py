"""Derivatives that are Values: each row's vjps, backwards and forwards, at any order."""

import itertools
import math

import mpmath
import pytest
import sympy
from support.operands import ORDINARY, ROWS

import tinygrad_scalar as ts
from tinygrad_scalar import Value, gradient
from tinygrad_scalar.engine import record, tangents

SYMBOLS = sympy.symbols("c x y", real=True)


def symbols_of(row):
    return {1: SYMBOLS[1:2], 2: SYMBOLS[1:], 3: SYMBOLS}[row.arity]


def exactly(expression, symbols, point):
    """A SymPy expression at exactly these floats, in 400 digits."""
    function = sympy.lambdify(symbols, expression, [{"Heaviside": lambda x, _=0: mpmath.mpf(x > 0)}, "mpmath"])
    with mpmath.workdps(400):
        return +mpmath.mpf(function(*map(mpmath.mpf, point)))


def recorded(row, point, wrt):
    """The derivative by each operand of `wrt` in turn, as floats: by reverse mode, and by forward mode."""
    operands = [Value(number) for number in point]
    backwards = forwards = record(row.name, *operands)
    for i in wrt:
        backwards = gradient(backwards, operands[i])
        forwards = tangents([forwards], [operands[i]], [1.0])[0]
        forwards = Value(forwards) if isinstance(forwards, float) else forwards
    return backwards.data, forwards.data


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.thorough
def test_derivatives_up_to_the_third_are_sympys(name):
    row = ROWS[name]
    symbols = symbols_of(row)
    expression = sympy.sympify(row.expression, locals={symbol.name: symbol for symbol in symbols})
    orders = (1, 2, 3) if row.arity == 1 else (1, 2)
    for wrt in itertools.chain(*(itertools.combinations_with_replacement(range(row.arity), n) for n in orders)):
        derivative = expression
        for i in wrt:
            derivative = sympy.diff(derivative, symbols[i])
        for jump in (sympy.Derivative, sympy.DiracDelta):
            derivative = derivative.replace(jump, lambda *_: sympy.Integer(0))
        for given in ORDINARY[name]:
            point = given if isinstance(given, tuple) else (given,)
            exact = exactly(derivative, symbols, point)
            if abs(exact) > 1e308:
                continue
            for number in recorded(row, point, wrt):
                assert abs(number - exact) <= 1e-12 * abs(exact) + 1e-300, (point, wrt, number, float(exact))


def test_a_gradient_is_what_backward_finds_and_leaves_it_alone():
    x, y = Value(0.7), Value(-1.3)
    C = (x * y).sigmoid() * x.tanh() + y / (x + 2.0)
    found = gradient(C, [x, y])
    assert x.grad == y.grad == C.grad == 0.0
    C.backward()
    assert [slope.data for slope in found] == pytest.approx([x.grad, y.grad], rel=1e-14)


def test_gradients_can_be_recomputed_after_a_leaf_is_set():
    x = Value(-2.0)
    slope = gradient(x.relu() * x, x)
    assert slope.data == 0.0
    x.data = 3.0
    assert slope.forward().data == 6.0


def test_no_gradient_is_a_value_that_stands_elsewhere():
    x, y, z = Value(2.0, "x"), Value(3.0, "y"), Value(5.0, "z")
    found = gradient(x * y + z + z, [x, y, z])
    assert [slope.data for slope in found] == [3.0, 2.0, 2.0]
    assert not {x, y, z}.intersection(found) and len(set(found)) == 3


def test_of_a_computed_value():
    x = Value(0.5)
    z = x * x
    a = z.exp()
    assert gradient(a * z, [a, z, x])[0].data == z.data
    assert gradient(a * z, z).data == pytest.approx(a.data * (1 + z.data))


def test_a_stale_graph_is_refused():
    x = Value(2.0, "x")
    y = x * x
    x.data = 3.0
    with pytest.raises(ts.StaleGraphError, match="x was set"):
        gradient(y, x)


def test_infinite_slopes_below_what_is_not_chosen_do_not_leak():
    x = Value(0.0)
    C = ts.where(ts.greater(x, 0.0), x.sqrt(), 2.0 * x)
    C.backward()
    assert repr(gradient(C, x).data) == repr(x.grad)


def test_binary_cross_entropy_of_a_sure_and_wrong_sigmoid():
    z = Value(40.0)
    C = ts.binary_cross_entropy(z.sigmoid(), 0)
    slope = gradient(C, z)
    assert slope.data == 1.0
    assert gradient(slope, z).data == pytest.approx(math.exp(-40.0), rel=1e-12)


@pytest.mark.parametrize(
    "wrong, message",
    [
        (lambda x: gradient(2.0, x), "expected a Value to differentiate, got"),
        (lambda x: gradient(x, 2.0), "expected a Value or a list of Values to differentiate by, got"),
        (lambda x: gradient(x, [x, 1.0]), "only by Values, got"),
        (lambda x: gradient(abs, x), r"got <built-in function abs> .*: use grad\(f\)"),
        (lambda x: gradient([x, x], x), "list.*: use jacobian"),
        (lambda x: gradient(x, ts.MLP(1, [1])), r"MLP.*: give its .parameters\(\)"),
    ],
    ids=["no root", "no list", "a number in it", "a function", "several roots", "a network"],
)
def test_wrong_use(wrong, message):
    with pytest.raises(TypeError, match=message):
        wrong(Value(1.0))

"""SymPy both ways: to_sympy and from_sympy have the same values and derivatives as the graphs, and as SymPy."""

import math

import pytest
import sympy
from hypothesis import given
from programs import LEAVES, PROGRAM, result_of
from support.operands import ORDINARY, ROWS

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine import ops, record
from tinygrad_scalar.engine.ops import Operation

POINTS = [
    (name, point if isinstance(point, tuple) else (point,))
    for name in sorted(ROWS)
    for point in ORDINARY[name]
    if name != "binary cross-entropy" and all(abs(x) < 50.0 for x in (point if isinstance(point, tuple) else (point,)))
]  # the gradient of −y·log(a) − … goes to a or to the z of a = σ(z)


def numbers(expression, **values):
    return float(expression.xreplace({s: sympy.Float(values[s.name], 60) for s in expression.free_symbols}).evalf(30))


def gradients(C, leaves):
    for leaf in leaves:
        leaf.grad = 0.0
    C.backward()
    return [leaf.grad for leaf in leaves]


@pytest.mark.parametrize("name", dict.fromkeys(name for name, _ in POINTS))
def test_each_operation_has_its_value_and_slopes_in_sympy_and_back(name):
    for operands in (point for of, point in POINTS if of == name):
        leaves = [Value(x, f"x{i}") for i, x in enumerate(operands)]
        C = record(name, *leaves)
        E = ts.to_sympy(C)
        at = {leaf.label: leaf.data for leaf in leaves}
        assert numbers(E, **at) == pytest.approx(C.data, rel=1e-14, abs=1e-15)
        for leaf, slope in zip(leaves, C.local_grads):
            if not ROWS[name].detached:  # SymPy has no derivative of floor
                assert numbers(E.diff(leaf.label), **at) == pytest.approx(slope, rel=1e-13, abs=1e-300)
        back = ts.from_sympy(E, {leaf.label: leaf for leaf in leaves})
        assert back.data == pytest.approx(C.data, rel=1e-13, abs=1e-13 * max(map(abs, operands)))
        expected = C.local_grads
        found = gradients(back, leaves) if back.operands else [1.0]
        assert found == pytest.approx(list(expected), rel=1e-9, abs=1e-9)


@given(PROGRAM, LEAVES)
def test_random_programs_have_their_value_and_gradient_in_sympy_and_back(program, data):
    leaves = [Value(number, f"x{i}") for i, number in enumerate(data)]
    C = result_of(program, ts, leaves) * 1.0
    E = ts.to_sympy(C)
    back = ts.from_sympy(E, {leaf.label: leaf for leaf in leaves})
    expected = gradients(C, leaves)
    assert back.data == pytest.approx(C.data, rel=1e-10, abs=1e-10)
    assert gradients(back, leaves) == pytest.approx(expected, rel=1e-9, abs=1e-9 * (1 + max(map(abs, expected))))
    assert len(ts.topological_order(back)) <= 12 * len(ts.topological_order(C))


@pytest.mark.parametrize(
    "of", [lambda x: abs(abs(0.5 * (x - x)) - 3.0), lambda x: ts.softsign(ts.softsign(x - x) + 2.5)]
)
def test_conditions_whose_symbols_cancel_have_their_value_and_derivative(of):
    x = Value(0.7, "x")
    C = of(x)
    E = ts.to_sympy(C)
    assert numbers(E, x=0.7) == pytest.approx(C.data, rel=1e-15)
    assert numbers(E.diff("x"), x=0.7) == 0.0
    assert ts.from_sympy(E, {"x": x}).data == pytest.approx(C.data, rel=1e-15)


NESTED = {
    "abs": abs,
    "elu": ts.elu,
    "selu": ts.selu,
    "softsign": ts.softsign,
    "where": lambda x: ts.where(x > 0.2, 2.0 * x, x * x),
    "cbrt": ts.cbrt,
    "cbrt of softsign": lambda x: ts.cbrt(ts.softsign(x) + 1.0) - 1.0,
}


def nested(name, depth):
    x = Value(0.7, "x")
    C = x
    for _ in range(depth):
        C = NESTED[name](C * 1.1 - 0.1)
    return x, C


LONG = [pytest.param(depth, marks=pytest.mark.thorough) for depth in (2, 3, 4, 6)]


@pytest.mark.parametrize("depth", [1, 30, *LONG])
@pytest.mark.parametrize("name", NESTED)
def test_pieces_within_pieces_are_the_same_there_and_back(name, depth):
    x, C = nested(name, depth)
    back = ts.from_sympy(ts.to_sympy(C), {"x": x})
    assert back.data == pytest.approx(C.data, rel=1e-13)
    assert gradients(back, [x]) == pytest.approx(gradients(C, [x]), rel=1e-12)


@pytest.mark.parametrize("depth", [1, *LONG[:2]])
@pytest.mark.parametrize("name", list(NESTED)[:5])  # SymPy cannot compare roots in a condition with numbers
def test_pieces_within_pieces_can_be_differentiated(name, depth):
    x, C = nested(name, depth)
    expected = pytest.approx(gradients(C, [x])[0], rel=1e-12)
    assert numbers(ts.to_sympy(C).diff("x"), x=0.7) == expected
    assert numbers(ts.to_sympy(*ts.gradient(C, [x])), x=0.7) == expected


x, y, w = sympy.symbols("x y w")
real = sympy.Symbol("w", real=True)  # else SymPy has no derivative of Abs
AT = {"x": 0.7, "y": 1.3, "w": -0.4}
EXPRESSIONS = [
    (x - y) / (3 * y) - sympy.pi * x + sympy.sqrt(2) * w / 7,
    sympy.Rational(1, 3) * x ** sympy.Rational(5, 3) / sympy.sqrt(y) ** 3,
    2**x + sympy.E**y + x**y + x**-2,
    sympy.exp(x) - 1 + sympy.log(1 + x) + sympy.log(1 + sympy.exp(x)) + 1 / (1 + sympy.exp(-x)),
    1 / (1 + sympy.exp(w * x + y)) + sympy.log(sympy.exp(x) + sympy.exp(w)),
    sympy.Max(x, y, w) * sympy.Min(x, y, -w) + sympy.Abs(real) * sympy.sign(real),
    sympy.Piecewise((x * y, sympy.And(x > y, w < 0)), (y**2, sympy.Or(x >= y, sympy.Ne(w, 0))), (w, True)),
    sympy.Piecewise((x, sympy.Eq(x, y)), (sympy.Heaviside(w) + y, sympy.Not(x > y))),
    sum(f(x) for f in (sympy.sin, sympy.cos, sympy.tan, sympy.asin, sympy.acos, sympy.atan, sympy.erf, sympy.erfc)),
    sum(f(x) for f in (sympy.sinh, sympy.cosh, sympy.tanh, sympy.asinh, sympy.atanh, sympy.sec, sympy.csc)),
    sum(f(x) for f in (sympy.cot, sympy.sech, sympy.csch, sympy.coth, sympy.acot, sympy.sinc, sympy.asech)),
    sum(f(y) for f in (sympy.acosh, sympy.asec, sympy.acsc, sympy.acoth, sympy.acsch)),
    sympy.log(x, 10) * sympy.gamma(sympy.Rational(1, 3)) + sympy.EulerGamma,
    sympy.expand((x + y + w + 1) ** 6),
    sympy.diff(sympy.tanh(x * y) ** 3 / (1 + w**2), x, y),
]


@pytest.mark.parametrize("i", range(len(EXPRESSIONS)))
def test_an_expression_has_the_value_and_the_derivatives_that_sympy_has(i):
    E = EXPRESSIONS[i]
    leaves = [Value(number, name) for name, number in AT.items()]
    C = ts.from_sympy(E, {sympy.Symbol("x"): leaves[0], "y": leaves[1], "w": leaves[2]})
    assert C.data == pytest.approx(numbers(E, **AT), rel=1e-13)
    for leaf, slope in zip(leaves, gradients(C, leaves)):
        expected = sum(E.diff(symbol) for symbol in E.free_symbols if symbol.name == leaf.label)
        assert slope == pytest.approx(numbers(sympy.sympify(expected), **AT), rel=1e-12, abs=1e-14)


@pytest.mark.parametrize(
    ("number", "nearest"),
    [
        (sympy.pi, math.pi),
        (sympy.E, math.e),
        (sympy.sqrt(2), 2**0.5),
        (sympy.Rational(1, 3), 1 / 3),
        (sympy.Rational(10**30 + 1, 10**30), 1.0),
        (sympy.Float("0.1", 40), 0.1),
        (sympy.exp(sympy.pi) - sympy.pi, 19.999099979189477),
        (sympy.pi**2 / 6, 1.6449340668482264),
        (sympy.oo, math.inf),
    ],
    ids=str,
)
def test_numbers_are_rounded_once(number, nearest):
    assert ts.from_sympy(number, {}).data == nearest
    X = Value(1.0)
    assert ts.from_sympy(number * x, {x: X}).data == pytest.approx(nearest, rel=2.3e-16)


@pytest.mark.parametrize(
    ("expression", "ops"),
    [
        (x / 3, ["/"]),
        (-x, ["neg"]),
        (x - y, ["-"]),
        (-1 / x, ["/"]),
        (1 / (1 + sympy.exp(-x)), ["sigmoid"]),
        (sympy.log(1 + x), ["log1p"]),
        (sympy.exp(x) - 1, ["expm1"]),
        (sympy.sqrt(x), ["sqrt"]),
        (sympy.sin(x * y) + sympy.cos(x * y), ["*", "cos", "sin", "+"]),
    ],
    ids=str,
)
def test_the_graph_is_what_a_person_would_write(expression, ops):
    C = ts.from_sympy(expression, {"x": Value(0.3), "y": Value(0.4)})
    assert sorted(node.op for node in ts.topological_order(C) if node.op) == sorted(ops)


def test_equal_parts_are_one_node_and_a_deep_expression_is_no_problem():
    C = Value(0.5, "x")
    for _ in range(5_000):
        C = C * C + 0.1
    E = ts.to_sympy(C)  # written out, it would have 2 to the power of 5,000 terms
    back = ts.from_sympy(E, {"x": Value(0.5)})
    assert back.data == C.data
    assert len(ts.topological_order(back)) < 15_010


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (x + sympy.Integral(sympy.sin(y) / y, (y, 0, x)), r"Integral\(sin\(y\)/y, \(y, 0, x\)\)"),
        (2 * sympy.Sum(x**y, (y, 0, 3)), r"Sum\(x\*\*y, \(y, 0, 3\)\).*; its doit\(\) may"),
        (sympy.Function("f")(x) + 1, r"f\(x\)"),
        (sympy.Derivative(sympy.Function("f")(x), x), "Derivative"),
        (sympy.gamma(x), r"gamma\(x\)"),
        (sympy.I * x, "I: it is not a real number"),
        (sympy.sqrt(-2) + 0 * x, "not a real number"),
        (x + sympy.Symbol("q") + sympy.Symbol("a b"), "a value for a b, q; got w, x, y"),
    ],
    ids=str,
)
def test_what_has_no_operation_is_named(expression, message):
    with pytest.raises(ValueError, match=message):
        ts.from_sympy(expression, {x: Value(0.3), "y": 2.0, "w": Value(1.0)})


def test_the_complement_of_erf_keeps_its_digits_in_the_tail():
    for at in (-3.0, 0.5, 6.0, 20.0):
        C = ts.from_sympy(sympy.erfc(x), {x: Value(at)})
        assert C.data == pytest.approx(float(sympy.erfc(sympy.Rational(at)).evalf(30)), rel=1e-13)


@pytest.mark.parametrize(
    "expression", ["x + 1", [x], sympy.Matrix([x]), Value(1.0), None], ids=lambda e: type(e).__name__
)
def test_what_is_no_expression_is_a_type_error(expression):
    with pytest.raises(TypeError, match="from_sympy expected a SymPy expression"):
        ts.from_sympy(expression, {"x": Value(1.0)})


def test_values_must_be_values_by_symbol_or_name():
    for values, message in (
        ([1.0], "dict"),
        ({1: Value(1.0)}, "symbols or their names"),
        ({x: "a"}, "Value or a number"),
    ):
        with pytest.raises(TypeError, match=message):
            ts.from_sympy(x, values)


def test_names_of_symbols_are_labels_variables_or_else_numbers():
    a, b = Value(2.0, "label"), Value(3.0)
    assert str(ts.to_sympy(a * b * 5.0)) == "(b*label)*5"
    assert str(ts.to_sympy(a * b, names={"v": b})) == "label*v"
    assert str(ts.to_sympy(a * b, names={})) == "label*3"
    same = [Value(1.0, "x"), Value(2.0, "x")]
    assert {s.name for s in ts.to_sympy(same[0] + same[1]).free_symbols} == {"x⟨0⟩", "x⟨1⟩"}
    with pytest.raises(TypeError, match="expected a Value"):
        ts.to_sympy(2.0)


def test_an_operation_without_expression_is_an_undefined_function_and_comes_back(monkeypatch):
    row = Operation("mystery", "?", "mystery({0}, {1})", "", lambda x, y: x - y, lambda v, x, y: (1.0, -1.0))
    monkeypatch.setitem(ops.OPERATIONS, "mystery", row)
    a, b = Value(2.0, "a"), Value(3.0, "b")
    E = ts.to_sympy(record("mystery", a, b) * a)
    assert str(E) == "a*mystery(a, b)"
    assert ts.from_sympy(E, {"a": a, "b": b}).data == -2.0


EXPLAINED = {
    "one node": lambda w, x: (ts.sigmoid(w * x) - 0.3) ** 2,
    "sums": lambda w, x: ts.tanh(w * x) * ts.exp(w) + w / x,
    "kinks": lambda w, x: ts.relu(w * x) + ts.maximum(w, x) * ts.softplus(w),
    "no path": lambda w, x: x * x + 0.0 * ts.greater(w, 0.5),
    "large": lambda w, x: (w * 1e150) * (x * 1e-150) * 1e120,
}


@pytest.mark.parametrize("name", EXPLAINED)
def test_the_explanation_in_sympy_has_the_value_of_the_explanation(name):
    w, x = Value(0.6, "w"), Value(1.5, "x")
    z = w * 1.0
    z.label = "z"
    C = EXPLAINED[name](z, x)
    explanation = ts.explain(C, "w")
    E = explanation.sympy
    symbols = {symbol.name for symbol in E.free_symbols}
    assert symbols <= {"w", "x", "z"}, symbols
    assert numbers(E, w=0.6, x=1.5, z=0.6) == pytest.approx(explanation.value, rel=1e-9)


x_, y_ = sympy.symbols("x y", real=True)
PIECEWISE = [
    sympy.Mod(x_, y_),
    sympy.Mod(x_, 3) * y_,
    sympy.frac(x_) * y_,
    sympy.KroneckerDelta(x_, y_) + x_,
    sympy.UnevaluatedExpr(x_ + 1) * y_,
    sympy.Piecewise((x_, sympy.Xor(x_ > 0, y_ > 0)), (y_, True)),
    sympy.Piecewise((x_, sympy.Implies(x_ > 0, y_ > 0)), (y_, True)),
    sympy.Piecewise((x_, sympy.Equivalent(x_ > 0, y_ > 0)), (y_, True)),
]


@pytest.mark.parametrize("expression", PIECEWISE, ids=str)
@pytest.mark.parametrize(("x", "y"), [(0.7, 0.4), (-5.3, 0.4), (7.9, -0.3), (-2.25, -2.5), (0.3, 0.1)])
def test_remainders_and_logic_have_sympys_values(expression, x, y):
    found = ts.from_sympy(expression, {"x": Value(x), "y": Value(y)})
    assert found.data == pytest.approx(float(expression.subs({x_: x, y_: y}).doit()), rel=1e-12, abs=1e-15)


def test_a_remainder_has_the_slopes_of_its_piece():
    a, b = Value(7.9), Value(-0.3)
    ts.from_sympy(sympy.Mod(x_, y_), {x_: a, y_: b}).backward()
    assert (a.grad, b.grad) == (1.0, 27.0)


def test_entries_of_indexed_symbols_and_matrices_are_given_by_name():
    A, M, i = sympy.IndexedBase("A"), sympy.MatrixSymbol("M", 2, 2), sympy.Idx("i")
    a = Value(2.0)
    expression = A[0] * A[1, 2] + A[i] * M[0, 1] + A[0]
    C = ts.from_sympy(expression, {"A[0]": a, A[1, 2]: 3.0, "A[i]": 5.0, "M[0,1]": 7.0})
    C.backward()
    assert (C.data, a.grad) == (43.0, 4.0)
    with pytest.raises(ValueError, match=r"^from_sympy needs a value for A\[1\]; got A\[0\]$"):
        ts.from_sympy(A[0] + A[1], {"A[0]": 1.0})


@pytest.mark.parametrize(
    "expression", [sympy.Lambda(x_, x_), sympy.LambertW(x_), sympy.gamma(x_), sympy.arg(x_)], ids=str
)
def test_what_there_is_no_operation_for_is_one_clear_error(expression):
    with pytest.raises(ValueError, match=r"^from_sympy cannot express .*: there is no operation for "):
        ts.from_sympy(expression, {"x": 0.5})

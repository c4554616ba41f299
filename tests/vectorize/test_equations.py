"""`run.equations`: 003 symbol by symbol, and anything else that a program computes."""

import functools
import itertools
import re

import numpy as np
import pytest
from programs import Draw
from support.array_program import assembled
from support.vectorize_cases import CASES

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine import record
from tinygrad_scalar.engine.ops import OPERATIONS, operation
from tinygrad_scalar.vectorize.equations import _Writer
from tinygrad_scalar.vectorize.naming import name_arrays
from tinygrad_scalar.vectorize.program import Slope
from tinygrad_scalar.vectorize.rules import rule_of

X = np.array([0.0, 1.0, 2.0])


# 003 Eq. 1, 2a and 11 in the short notation of Eq. 12, corrected: db sums over the examples (the note's axis=0
# runs over the neurons), and dW is δAᵀ in both places (Eq. 12's second line has Aᵀδ, whose shapes do not fit).
FORWARD = r"""
Z^{[l]} = W^{[l]} A^{[k]} + b^{[l]}                                      | n_l \times m   | 1a
A^{[l]} = g^{[l]}\left(Z^{[l]}\right),\quad g^{[l]} = G_l               | n_l \times m   | 1b
"""


COST = r"""
C = \frac{1}{m} \sum_{i=1}^{m} \sum_j {\left(A^{[L]} - Y\right)}^{2}    | 1 \times 1     | 2
dA^{[L]} = 2\, \left(A^{[L]} - Y\right)                                 | n_L \times m   |
"""


BACKWARD = r"""
dA^{[l]} = W^{[n]T} \delta^{[n]}                                        | n_l \times m   | 11d
\delta^{[l]} = dA^{[l]} \odot g'^{[l]}\left(Z^{[l]}\right)              | n_l \times m   | 11a
dW^{[l]} = \frac{1}{m} \delta^{[l]} A^{[k]T}                            | n_l \times n_k | 11b
db^{[l]} = \frac{1}{m} \sum_{i=1}^{m} \delta^{[l](i)}                   | n_l \times 1   | 11c
"""


@pytest.mark.parametrize("sizes", [(3, 2), (2, 16, 16, 2), (5, 4, 3, 2, 2)])
def test_the_equations_of_a_network_are_003s_symbol_by_symbol(sizes):
    net = ts.MLP(sizes[0], list(sizes[1:]), "tanh", "sigmoid", seed=0)
    run = ts.vectorize(lambda x, y: ts.squared_error(net(x), y), net.parameters())
    run(np.ones((3, sizes[0])), np.ones((3, sizes[-1])))
    L = len(sizes) - 1

    def of_layer(text, layer):
        for name, number in (("l", layer), ("k", layer - 1), ("n", layer + 1), ("L", L)):
            text = text.replace(f"[{name}]", f"[{number}]")
            if 0 <= number <= L:
                text = text.replace(f"n_{name}", str(sizes[number]))
        return text.replace("G_l", r"\sigma" if layer == L else r"\tanh").strip().splitlines()

    expected = [row for layer in range(1, L + 1) for row in of_layer(FORWARD, layer)] + of_layer(COST, L)
    for layer in range(L, 0, -1):
        expected += of_layer(BACKWARD, layer)[layer == L :]
    assert list(run.equations.each) == [tuple(part.strip() for part in row.split("|")) for row in expected]


@pytest.mark.peers
@pytest.mark.parametrize("name", CASES)
def test_all_equations_can_be_set(name):
    mathtext = pytest.importorskip("matplotlib.mathtext", reason="matplotlib is not installed")
    cost, params, arrays = CASES[name](Draw())
    run = ts.vectorize(cost, params)
    run(*arrays)
    parser = mathtext.MathTextParser("path")
    for latex, shape, _ in run.equations.each:
        for text in filter(None, (latex, shape)):  # a remark has no shape
            parser.parse(f"${text}$")


def test_the_gradient_of_what_has_no_letter_of_the_notes_is_in_the_equations():
    w, b = Value(2.0, "w"), Value(1.0, "b")
    run = ts.vectorize(lambda x, y: (w * x + b - y) ** 2 + 0.1 * (w * w + b * b), [w, b])
    run(X, X)
    left = [equation.latex.partition(" = ")[0] for equation in run.equations.each]
    assert left[-3:] == [r"d\theta", "db", "dw"]
    assert run.equations.each[-2].latex.startswith(r"db = db + \frac{1}{m} ")  # beside the 2 · 0.1 θ of dθ
    assert run.equations.each[-1].latex.startswith(r"dw = dw + \frac{1}{m} ")


def equations_of(cost, params, *arrays, **options):
    run = ts.vectorize(cost, params, **options)
    run(*arrays)
    return [" ".join(equation[:2]) for equation in run.equations.each]


def test_the_equations_of_a_recurrence_say_where_each_part_comes_from():
    w = [[Value(0.1 * (i + j), f"w[{i},{j}]") for j in range(3)] for i in range(2)]
    b = [Value(0.1 * i, f"b[{i}]") for i in range(2)]

    def cost(x):
        s = [0.5, 0.5]
        for t in (0, 1):
            s = [(sum(v * u for v, u in zip(row, [*s, x[t]])) + c).tanh() for row, c in zip(w, b)]
        return s[0] + s[1]

    found = equations_of(cost, [*w[0], *w[1], *b], np.ones((4, 2)))
    assert r"Z^{[1]} = W^{[1]} \mathrm{tanh}_{1} + {\mathrm{product}_{2}}_{0:2} + b^{[1]} 2 \times m" in found
    of_b = r"\sum_{i=1}^{m} \delta^{[1](i)} + \sum_{i=1}^{m} {d\mathrm{sum}_{2}}^{(i)}"
    assert rf"db^{{[1]}} = \frac{{1}}{{m}} \left({of_b}\right) 2 \times 1" in found
    parts = r"\delta^{[1]}\ \mathrm{in\ rows}\ 0:2,\ d\mathrm{sum}_{2}\ \mathrm{in\ rows}\ 2:4"
    assert rf"d\mathrm{{product}}_{{2}} = {parts} 4 \times m" in found


def test_a_convolution_is_a_product_with_the_windows_side_by_side():
    w = [Value(0.1 * i, f"w[{i}]") for i in range(3)]
    found = equations_of(
        lambda x: sum(sum(v * x[t + i] for i, v in enumerate(w)).tanh() for t in range(6)), w, np.ones((4, 8))
    )
    assert found[0] == r"Z^{[1]} = W^{[1]} \left[{X}_{0:3}\ {X}_{1:4}\ {X}_{2:5}\ \cdots\right] 1 \times 6m"


def test_the_gradients_of_the_inputs_are_those_of_the_cost():
    net = ts.MLP(2, [3, 1], seed=0)
    found = equations_of(
        lambda x, y: ts.squared_error(net(x), [y]), net.parameters(), np.ones((3, 2)), X, wrt_inputs=True
    )
    assert found[-3:] == [
        r"dA^{[0]} = W^{[1]T} \delta^{[1]} 2 \times m",
        r"\frac{\partial C}{\partial A^{[0]}} = \frac{1}{m} dA^{[0]} 2 \times m",
        r"\frac{\partial C}{\partial Y} = \frac{1}{m} \left(-dA^{[2]}\right) 1 \times m",
    ]


UNARY = [name for name, row in OPERATIONS.items() if row.arity == 1]
BINARY = [name for name, row in OPERATIONS.items() if row.arity == 2 and name not in ("+", "*")]  # Σ, ⊙


def printed(cost, params, *arrays):
    """The cost of an example in LaTeX, without the backward pass that would give names to its parts."""
    program = assembled(cost, params, arrays)
    name_arrays(program)
    writer = _Writer(program, [p.label for p in params])
    return writer.right_side(writer.made_by[program.cost])


@pytest.mark.parametrize("name", [*UNARY, *BINARY, "where", "**3", "**-1.5", "leaky_relu(0.1)"])
def test_an_operation_is_printed_as_step_prints_it(name):
    operands = [Value(0.25 * i + 0.5, "uvw"[i]) for i in range(operation(name).arity)]
    root = record(name, *operands)
    root.label = "root"
    stepper = ts.step(root)
    stepper.next()
    by_step = stepper.current.latex.split(" = ")[1]
    by_run = printed(lambda x: record(name, *operands), [*operands, Value(1.0, "other")], X)
    assert re.sub(r"\\left|\\right|\{(?=\w\}\^)|(?<=\{\w)\}(?=\^)", "", by_run) == by_step


@pytest.mark.parametrize(
    ("cost", "latex"),
    [
        (lambda u, v, x: ((u + x) * v) ** 2, r"{\left(v \odot \left(u + X\right)\right)}^{2}"),
        (lambda u, v, x: (x * u) ** 3, r"{\left(u \odot X\right)}^{3}"),
        (lambda u, v, x: (x / u) ** 3, r"{\left(\frac{X}{u}\right)}^{3}"),
        (lambda u, v, x: (u + x) / (v * x), r"\frac{u + X}{v \odot X}"),
        (lambda u, v, x: (u - x).sqrt(), r"\sqrt{u - X}"),
        (lambda u, v, x: -(u - x), r"-\left(u - X\right)"),
        (lambda u, v, x: u - (v - x * 2.0), r"-v + 2\, X + u"),
        (lambda u, v, x: u + -x, r"u + \left(-X\right)"),
        (lambda u, v, x: abs(u - x), r"\left|u - X\right|"),
        (lambda u, v, x: ts.maximum(u - x, -1.0), r"\max\left(u - X, -1\right)"),
        (lambda u, v, x: (x - u).tanh() ** 2, r"{\tanh\left(X - u\right)}^{2}"),
        (lambda u, v, x: u ** (x + v), r"{u}^{X + v}"),
        (lambda u, v, x: u.exp() * x, r"\exp\left(u\right) \odot X"),
        (lambda u, v, x: x * 1e-7, r"1 \cdot 10^{-7}\, X"),
    ],
)
def test_an_operand_is_in_parentheses_where_it_would_be_misread(cost, latex):
    u, v = Value(0.5, "u"), Value(0.75, "v")
    assert printed(lambda x: cost(u, v, x), [u, v], X) == latex


@pytest.mark.parametrize("name", [*OPERATIONS, "**3", "leaky_relu(0.1)"])
def test_a_slope_reads_every_operand_that_its_text_names(name):
    row = operation(name)
    written = []

    def write(op, *operands):
        written.append(op)
        return op

    rule_of(name)(write, "d", "v", *range(row.arity))
    for slope in written:
        if isinstance(slope, Slope):
            named = {int(i) + 1 for i in re.findall(r"\{(\d)\}", operation(slope.op).slopes[slope.operand])}
            assert named <= set(slope.reads)


def negatives(z, w):
    return functools.reduce(lambda z, _: -z, range(600), z)


def sums_after_a_product(z, w):
    """Of 600 terms, no two of one kind."""
    term = w[0]
    for _ in range(600):
        term = ts.tanh(term)
        z = z + term
    return z


@pytest.mark.parametrize("chain", [negatives, sums_after_a_product])
def test_the_texts_of_a_long_chain_are_written_without_recursion_in_equations_that_can_be_read(chain):
    w = [Value(0.5 + 0.1 * k, f"w{k}") for k in range(4)]
    run = ts.vectorize(lambda x: chain(sum(p * number for p, number in zip(w, x)), w), w)
    run(np.ones((2, 4)))
    assert run.source and run.explain()
    assert max(len(equation.latex) for equation in run.equations.each) < 20_000


@pytest.mark.parametrize(("fold", "sign"), [(ts.sum, r"\sum"), (ts.max, r"\max")])
def test_a_fold_of_each_of_several_groups_says_which_rows_it_folds(fold, sign):
    params = [Value(float(k)) for k in range(9)]
    run = ts.vectorize(lambda x: ts.sum((x[k] - fold(params[3 * k : 3 * k + 3])) ** 2 for k in range(3)), params)
    run(np.ones((4, 3)))
    assert rf"{sign}_{{0 \leq j < 3}} {{\theta}}_{{3 i + j}}" in run.equations


@pytest.mark.parametrize("label", ["m", "C", "i", "X", "1", "2.5", "b"])
def test_a_label_that_stands_for_something_else_is_not_used(label):
    w, b = Value(0.5, label), Value(0.25, "b")
    run = ts.vectorize(lambda x: ts.tanh(w * x + b), [w, b])
    run(np.ones(3))
    assert r"{\theta}_{0} \odot X" in run.equations
    assert ("+ b" in run.equations) == (label != "b")  # which two parameters would share


@pytest.mark.parametrize(
    ("cost", "latex"),
    [
        (lambda u, v, x: x.exp() * (-2.0 * u * x), r"\exp\left(X\right) \odot \left(-2\, u \odot X\right)"),
        (lambda u, v, x: x + -3.0 * x, r"X + \left(-3\, X\right)"),
        (lambda u, v, x: (u + 1.0) / x - -3.0 * x.exp(), r"\frac{u + 1}{X} - \left(-3\, \exp\left(X\right)\right)"),
        (lambda u, v, x: x.exp() * -2.0, r"-2\, \exp\left(X\right)"),
        (lambda u, v, x: 1.0 / (-2.0 * x), r"\frac{1}{-2\, X}"),
        (lambda u, v, x: 3.0 * (4.0 * x), r"3 \cdot 4\, X"),
    ],
)
def test_what_begins_with_a_minus_is_in_parentheses_behind_a_sign(cost, latex):
    u, v = Value(0.5, "u"), Value(0.75, "v")
    assert printed(lambda x: cost(u, v, x), [u, v], X) == latex


def test_no_factor_of_a_recorded_derivative_begins_with_a_minus_behind_another_one():
    w, b = Value(0.5, "w"), Value(0.75, "b")
    functions = [ts.tanh, ts.sigmoid, ts.gelu, ts.cos, ts.log, ts.mish, ts.atan, ts.softplus, ts.erf]
    for function in functions:
        run = ts.vectorize(lambda x, f=function: ts.gradient(f(w * x + b) ** 2, [w])[0], [w, b])
        run(np.array([1.0, 2.0]))
        assert not re.search(r"(\\odot|\\,|\+|\\frac\{1\}\{m\}) -|\d\\, \d", run.equations), function


def test_equations_grow_no_faster_than_the_function():
    """Each step of a lattice reads windows of the one before."""

    def length(steps):
        def lattice(x):
            v = [ts.relu(x + w * i) for i in range(steps)]
            while len(v) > 1:
                v = [0.5 * (p + q) for p, q in itertools.pairwise(v)]
            return v[0]

        w = Value(0.25, "w")
        run = ts.vectorize(lattice, [w], reduce=None)
        run(X)
        return len(run.equations)

    assert length(32) < 3 * length(16)

"""`ts.primitive`: what it makes is computed, differentiated and read like an operation of the table."""

import copy
import math
import pickle
import subprocess
import sys

import mpmath
import numpy as np
import pytest
from hypothesis import given, strategies as st
from support.own_operations import angle, bent, blend, branching, of_floats, product, swish, weighted

import tinygrad_scalar as ts
from tinygrad_scalar import Value

COMPOSED = {
    swish: lambda x: x * x.sigmoid(),
    angle: lambda x, y: (x / y).atan(),  # where y > 0
    blend: lambda t, a, b: t * a + (1.0 - t) * b,
    product: lambda p, q, r, s: p * q * r * s,
    bent: lambda x: ts.where(ts.greater(x, 0.0), x, 0.25 * x),
}
NUMBERS = 0.7, 1.3, -0.4, 2.1
EACH = pytest.mark.parametrize("function", COMPOSED, ids=lambda function: function.__name__)
number = st.floats(0.125, 8.0)


def leaves_of(function, numbers=NUMBERS):
    return [Value(x, name) for x, name in zip(numbers, function.operands)]


def gradient_of(C, leaves):
    C.backward()
    return [leaf.grad for leaf in leaves]


# --- numbers and derivatives -----------------------------------------------------------------------------------------


@EACH
@given(numbers=st.lists(number, min_size=4, max_size=4))
def test_value_and_gradient_are_those_of_the_composition(function, numbers):
    ours, theirs = leaves_of(function, numbers), leaves_of(function, numbers)
    C, D = 3.0 * function(*ours), 3.0 * COMPOSED[function](*theirs)
    assert C.data == pytest.approx(D.data, rel=1e-14)
    assert gradient_of(C, ours) == pytest.approx(gradient_of(D, theirs), rel=1e-13)
    assert C.operands[1].op == function.op == function.__name__
    for leaf in (*ours, *theirs):
        leaf.data /= 2.0
        leaf.grad = 0.0
    assert C.forward().data == pytest.approx(D.forward().data, rel=1e-14)
    assert gradient_of(C, ours) == pytest.approx(gradient_of(D, theirs), rel=1e-13)


@EACH
def test_derivatives_of_second_and_third_order_are_those_of_the_composition(function):
    found = []
    for f in (function, COMPOSED[function]):
        leaves = leaves_of(function)
        first = ts.gradient(3.0 * f(*leaves) ** 2, leaves)
        second = [slope for row in first for slope in ts.gradient(row, leaves)]
        third = [slope for row in second for slope in ts.gradient(row, leaves)]
        found.append([value.data for value in (*first, *second, *third)])
        assert [leaf.grad for leaf in leaves] == [0.0] * len(leaves)
    assert found[0] == pytest.approx(found[1], rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("x", [-3.0, -0.5, 0.0, 0.25, 4.0])
def test_the_fourth_derivative_is_that_of_mpmath(x):
    leaf = Value(x)
    slope = swish(leaf)
    for _ in range(4):
        slope = ts.gradient(slope, leaf)
    with mpmath.workdps(50):
        exact = mpmath.diff(lambda t: t / (1 + mpmath.exp(-t)), x, 4)
    assert slope.data == pytest.approx(float(exact), rel=1e-11)


def test_a_recorded_derivative_is_decided_again_by_forward():
    x = Value(2.0)
    slope = ts.gradient(bent(x), x)
    assert slope.data == 1.0
    x.data = -2.0
    assert slope.forward().data == 0.25


@pytest.mark.parametrize(
    ("function", "why"), [(of_floats, r"made a float.*v\.exp\(\)"), (branching, r"compared.*ts\.where")]
)
def test_a_derivative_that_looks_at_numbers_is_not_recorded(function, why):
    x = Value(0.5, "x")
    y = function(x)
    assert gradient_of(y, [x]) == [function.derivative(0.5)]
    with pytest.raises(NotImplementedError, match=f"^the derivative of {function.__name__} cannot be recorded.*{why}"):
        ts.gradient(y, x)


def test_a_derivative_that_cannot_take_values_says_what_it_raised():
    @ts.primitive(derivative=lambda x: {0.0: 1.0}.get(x - x) * 2.0)
    def twice(x):
        return 2.0 * x

    x = Value(1.0)
    assert gradient_of(twice(x), [x]) == [2.0]
    with pytest.raises(NotImplementedError, match=r"twice.*numbers only: with Values it raised TypeError"):
        ts.gradient(twice(x), x)


@pytest.mark.parametrize("x", [3.0, 0.0])
def test_an_operand_without_a_derivative_gets_no_gradient(x):
    x, y = Value(x), Value(2.0)
    C = weighted(x, y) * 5.0
    assert gradient_of(C, [x, y]) == [20.0 * x.data, 0.0]
    assert [slope.data for slope in ts.gradient(C, [x, y])] == [20.0 * x.data, 0.0]
    assert ts.gradient(ts.gradient(C, x), x).data == (20.0 if x.data else 0.0)
    x.grad = 0.0
    D = C * Value(math.inf)
    D.backward()
    assert [slope.data for slope in ts.gradient(D, [x, y])] == [x.grad, y.grad] == [math.inf if x.data else 0.0, 0.0]


def test_infinite_upstream_gradients_are_multiplied_as_backward_does():
    for function in (swish, bent):
        x = Value(-800.0)
        C = function(x) * Value(math.inf)
        C.backward()
        assert ts.gradient(C, x).data == pytest.approx(x.grad, nan_ok=True)


# --- what it takes ---------------------------------------------------------------------------------------------------


def test_numbers_give_a_number():
    for x in (0.5, 1, np.float64(0.5), np.float32(2.0), True):
        assert type(swish(x)) is float
        assert swish(x) == swish(Value(x)).data
    assert type(angle(0.5, 2)) is float and angle(0.5, 2) == math.atan2(0.5, 2)
    assert angle(0.5, Value(2.0)).data == angle(Value(0.5), 2.0).data == math.atan2(0.5, 2)


def test_arrays_are_taken_element_by_element():
    numbers = np.array([[0.5, -1.0], [2.0, 0.0]])
    assert swish(numbers).dtype == np.float64
    assert swish(numbers).tolist() == [[swish(x) for x in row] for row in numbers.tolist()]
    values = np.array([Value(x) for x in (0.5, 2.0)])
    assert [v.data for v in swish(values)] == [swish(0.5), swish(2.0)]
    assert [[v.data for v in row] for row in angle(numbers, values)] == [
        [angle(x, y) for x, y in zip(row, (0.5, 2.0))] for row in numbers.tolist()
    ]
    assert type(swish(np.array(0.5))) is np.float64


@pytest.mark.parametrize("operands", [([0.5],), ("0.5",), (None,), (0.5j,), ([Value(0.5)],), (np.ma.ones(2),)], ids=str)
def test_anything_else_is_a_type_error(operands):
    with pytest.raises(TypeError, match=r"^swish expected a Value, a number or an array of them, got "):
        swish(*operands)


@pytest.mark.parametrize("operands", [(), (0.5, 0.5), (Value(0.5), 0.5)])
def test_too_few_or_too_many_operands_are_a_type_error(operands):
    with pytest.raises(TypeError, match=rf"^swish takes 1 operand \(x\), got {len(operands)}$"):
        swish(*operands)


@pytest.mark.parametrize("operands", [(), (Value(0.5),)])
def test_an_operand_by_name_is_a_type_error(operands):
    with pytest.raises(TypeError, match=r"^swish takes its operands by position, got x=: write swish\(x\)$"):
        swish(*operands, x=Value(0.5))


def test_parameters_with_a_default_are_no_operands():
    @ts.primitive(derivative=lambda x: 3.0)
    def scaled(x, k=3.0, *, shift=1.0):
        return k * x + shift

    assert scaled.operands == ("x",) and scaled(2.0) == 7.0
    with pytest.raises(TypeError, match="takes 1 operand"):
        scaled(2.0, 4.0)


def test_functions_in_c_are_taken_too():
    special = pytest.importorskip("scipy.special")
    lgamma = ts.primitive(derivative=special.digamma, name="lgamma")(math.lgamma)
    bessel = ts.primitive(derivative=lambda x: -special.j1(x), name="j0")(special.j0)
    x = Value(2.5)
    assert gradient_of(lgamma(x) + bessel(x), [x]) == [special.digamma(2.5) - special.j1(2.5)]


def test_it_is_documented_as_the_function_is():
    assert swish.__name__ == "swish" and swish.__doc__ == "x·σ(x)." and repr(swish) == "<primitive swish(x)>"


# --- readers ---------------------------------------------------------------------------------------------------------


@EACH
def test_readers_of_gradients_know_it(function):
    leaves = leaves_of(function)
    C = 2.0 * function(*leaves)
    C.label = "C"
    assert ts.check_gradients(C).ok and ts.nudge(C, leaves[0]).verdict.startswith("agrees")
    slopes = gradient_of(C, leaves)
    assert {row.name: row.gradient for row in ts.sensitivity(C).rows} == dict(zip(function.operands, slopes))
    assert ts.diagnose(C).ok
    for leaf, slope in zip(leaves, slopes):
        explanation = ts.explain(C, leaf)
        assert explanation.value == pytest.approx(slope, rel=1e-14)
        assert explanation.latex
        leaf.grad = 0.0
    for step in ts.step(C):
        assert str(step) and step.latex
    assert [leaf.grad for leaf in leaves] == slopes


def test_it_prints_as_it_was_told():
    x, y = Value(0.7, "x"), Value(1.3, "y")
    assert "∠" in ts.draw(angle(x, y)).source
    assert "∠(x, y)" in str(ts.step(angle(x, y)).next())
    C = 2.0 * swish(x)
    C.label = "C"
    assert ts.explain(C, x).text.startswith("∂C/∂x = 2·swish′(x) = ")
    C = blend(Value(0.25, "t"), x, y) * 2.0
    C.label = "C"
    assert ts.explain(C, "t").text.startswith("∂C/∂t = 2(x − y) = ")


def test_an_anomaly_names_it():
    with ts.detect_anomaly(), pytest.raises(ts.AnomalyError, match=r"swish\(x\) = nan, where x = nan"):
        swish(Value(math.nan, "x"))


def test_what_the_function_raises_comes_through_and_changes_nothing():
    @ts.primitive(derivative=lambda x: 1.0 / x)
    def logarithm(x):
        return math.log(x)

    x = Value(2.0)
    y = logarithm(x)
    x.data = -1.0
    with pytest.raises(ValueError, match=r"math domain|expected a"):
        y.forward()
    x.data = 4.0
    assert y.forward().data == math.log(4.0)


# --- copies, pickles, definitions ------------------------------------------------------------------------------------


@EACH
def test_graphs_are_copied_and_pickled(function):
    leaves = leaves_of(function)
    C = 2.0 * function(*leaves)
    slopes = gradient_of(C, leaves)
    for again in (copy.copy(C), copy.deepcopy(C), pickle.loads(pickle.dumps(C)), pickle.loads(pickle.dumps(C, 0))):
        ends = ts.leaves(again)[1:]
        for end in ends:
            end.grad = 0.0
        again.forward().backward()
        assert [node.op for node in ts.topological_order(again)] == [node.op for node in ts.topological_order(C)]
        if ends[0] is not leaves[0]:
            assert [end.grad for end in ends] == slopes
    assert pickle.loads(pickle.dumps(function)) is function is copy.deepcopy(function)


MODULE = """
import tinygrad_scalar as ts

@ts.primitive(derivative=lambda x: 3.0 * x * x)
def cube(x):
    return x * x * x

class Functions:
    @staticmethod
    @ts.primitive(derivative=lambda x: 2.0 * x)
    def square(x):
        return x * x
"""


def run(code, folder):
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_pickle_is_loaded_in_a_fresh_process(tmp_path):
    (tmp_path / "shop.py").write_text(MODULE)
    run(
        "import pickle, shop, tinygrad_scalar as ts\n"
        "x = ts.Value(2.0)\nC = shop.cube(shop.Functions.square(x)) * 2.0\n"
        "pickle.dump([C, C.operands[0]], open('graph', 'wb'))",
        tmp_path,
    )
    found = run(
        "import pickle\nC, inner = pickle.load(open('graph', 'rb'))\nimport sys, tinygrad_scalar as ts\n"
        "assert 'shop' in sys.modules and C.operands[0] is inner\n"
        "leaf = ts.leaves(C)[0]\nleaf.data = 1.0\nC.forward().backward()\nprint(C.data, leaf.grad, inner.op)",
        tmp_path,
    )
    assert found == "2.0 12.0 cube"


def test_a_local_primitive_is_not_pickled_but_its_graphs_are_copied():
    @ts.primitive(derivative=lambda x: 2.0)
    def double(x):
        return 2.0 * x

    C = double(Value(1.5))
    assert copy.deepcopy(C).forward().data == 3.0
    with pytest.raises(pickle.PicklingError, match=r"cannot pickle double.*at the top level of a module"):
        pickle.dumps(C)


def scaled_by(k):
    @ts.primitive(derivative=lambda x: k)
    def scaled(x):
        return k * x

    return scaled


def test_primitives_of_one_name_keep_apart():
    double, triple = scaled_by(2.0), scaled_by(3.0)
    x = Value(1.0)
    C = double(x) * triple(x)
    x.data = 2.0
    C.forward().backward()
    assert (C.data, x.grad) == (24.0, 24.0)
    again = copy.deepcopy(C)
    ts.leaves(again)[0].data = 1.0
    assert again.forward().data == 6.0
    run = ts.vectorize(lambda a: double(x) * triple(a), [x])
    assert run(np.array([1.0, 2.0]))[0] == 18.0


CELL = """
@ts.primitive(derivative=lambda x: 2.0 * x)
def squared(x):
    return x * x
"""


def test_a_cell_can_be_run_again():
    cell = {"ts": ts, "__name__": "__main__"}
    exec(compile(CELL, "cell", "exec"), cell)
    first = cell["squared"]
    exec(compile(CELL, "cell", "exec"), cell)
    assert cell["squared"] is first


def test_after_a_new_definition_graphs_of_the_old_one_keep_it():
    cell = {"ts": ts, "__name__": "__main__"}
    exec(CELL.replace("squared", "defined_anew"), cell)
    x = Value(3.0)
    old = cell["defined_anew"](x)
    exec("@ts.primitive(derivative=lambda x, y: (y, x))\ndef defined_anew(x, y):\n    return x * y", cell)
    new = cell["defined_anew"](x, x)
    x.data = 4.0
    assert gradient_of(old.forward() + new.forward(), [x]) == [16.0]
    assert (old.data, new.data) == (16.0, 16.0)
    assert [node.data for node in ts.topological_order(copy.deepcopy(old))] == [4.0, 16.0]
    for C in (old, new):
        assert ts.check_gradients(C).ok

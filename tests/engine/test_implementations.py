"""Compiled and plain Value share one specification: the same bits, structure, errors, documentation and pickles.

Each law does the same with both and compares everything visible. Numbers are compared as float.hex, which shows
every bit but those of a nan: IEEE 754 leaves its sign and payload open.
"""

import contextlib
import copy
import itertools
import math
import os
import pickle
import random
import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from programs import BINARY, UNARY
from support.observable import ARITY, EXPONENTS, METHODS, OPERATORS, SLOPES, graph, node, of_both, outcome, seen

from tinygrad_scalar.engine.ops import OPERATIONS

# --- random programs -------------------------------------------------------------------------------------------------


def _pickled(thing):
    return pickle.loads(pickle.dumps(thing))


def _set(attribute):
    return lambda ts, x, y, c: setattr(x, attribute, c)


# With the package ts, two earlier values x and y and a number c: steps that make (or fail to make) another value ...
MAKING = [
    *(lambda ts, x, y, c, name=name: ts.engine.record(name, *[x, y, c][: ARITY[name]]) for name in OPERATIONS),
    *(lambda ts, x, y, c, name=name: getattr(x, name)() for name in METHODS),
    *(lambda ts, x, y, c, name=name: getattr(ts, name)(x) for name in UNARY),
    *(lambda ts, x, y, c, name=name: getattr(ts, name)(x, c) for name in BINARY),
    *(lambda ts, x, y, c, apply=apply: apply(x, y) for apply in OPERATORS),
    *(lambda ts, x, y, c, apply=apply: apply(x, c) for apply in OPERATORS),
    *(lambda ts, x, y, c, apply=apply: apply(c, x) for apply in OPERATORS),
    *(lambda ts, x, y, c, n=n: x**n for n in EXPONENTS),
    *(lambda ts, x, y, c, slope=slope: x.leaky_relu(slope) for slope in SLOPES),
    lambda ts, x, y, c: x.leaky_relu(),
    lambda ts, x, y, c: x.leaky_relu(slope=c),
    lambda ts, x, y, c: -x,
    lambda ts, x, y, c: +x,
    lambda ts, x, y, c: abs(x),
    lambda ts, x, y, c: ts.where(x, y, c),
    lambda ts, x, y, c: ts.where(ts.greater(x, c), y, x),
    lambda ts, x, y, c: sum([x, y, c]),
    *(
        lambda ts, x, y, c, name=name: getattr(ts, name)([x, c, y, x][: 1 + len(repr(c)) % 4])
        for name in ("sum", "mean", "norm", "max", "min", "logsumexp")
    ),
    lambda ts, x, y, c: ts.dot([x, c, y], [y, x, 2.0]),
    lambda ts, x, y, c: ts.softmax([x, y, c])[2],
    lambda ts, x, y, c: ts.log_softmax((x, c))[0],
    lambda ts, x, y, c: ts.Value(c),
    lambda ts, x, y, c: ts.Value(data=c, label="made"),
    lambda ts, x, y, c: copy.copy(x),
    lambda ts, x, y, c: copy.deepcopy(x),
    lambda ts, x, y, c: copy.deepcopy([x, y])[1],
    lambda ts, x, y, c: _pickled(x),
    lambda ts, x, y, c: _pickled([x, y])[1],
    lambda ts, x, y, c: x.forward(),
    lambda ts, x, y, c: ts.gradient(x, y),
    lambda ts, x, y, c: ts.gradient(ts.gradient(x * y, x), y),
    lambda ts, x, y, c: ts.Value(0.0) + ts.engine.tangents([x, y], [y, x], [1.0, c])[0],
]
# ... and steps that change or read one.
CHANGING = [
    _set("data"),
    _set("grad"),
    _set("label"),
    lambda ts, x, y, c: setattr(x, "label", f"x{c}"),
    lambda ts, x, y, c: x.backward(),
    lambda ts, x, y, c: x.backward(c),
    lambda ts, x, y, c: x.backward(grad=c),
    lambda ts, x, y, c: x.zero_grad(),
    lambda ts, x, y, c: x.__init__(c, "anew") if not x.op else None,
]
READING = [
    lambda ts, x, y, c: [x < y, x <= y, x > y, x >= y, x < c, x <= c, c < x, c <= x],
    lambda ts, x, y, c: [x == y, x != y, x == c, x is y, bool(x), hash(x) == hash(y)],
    lambda ts, x, y, c: [repr(x), str(x), f"{x}", f"{x:.3e}", f"{x:>30}"],
    lambda ts, x, y, c: float(x),
    lambda ts, x, y, c: ts.leaves(x + y),
]
STEP = st.one_of(st.sampled_from(MAKING), st.sampled_from(CHANGING), st.sampled_from(READING))
FLOAT = st.floats().map(lambda x: x * 1.0)  # not a signalling nan, which no arithmetic makes
NUMBER = st.one_of(st.floats(-3, 3), FLOAT, st.integers(-4, 4), st.integers())
PLACE = st.integers(0, 30)
PROGRAM = st.lists(st.tuples(STEP, PLACE, PLACE, NUMBER), min_size=1, max_size=30)
MAKING_PROGRAM = st.lists(st.tuples(st.sampled_from(MAKING), PLACE, PLACE, NUMBER), min_size=5, max_size=40)
LEAVES = st.lists(NUMBER, min_size=1, max_size=4)


@pytest.mark.parametrize("name", ["compiled", "plain"])
def test_every_step_that_makes_a_value_makes_one(selected, name):
    with selected(name) as ts:
        for step in MAKING:
            assert isinstance(step(ts, ts.Value(0.5), ts.Value(0.25), 0.75), ts.Value)


def run(ts, program, leaves):
    """Everything visible after each step of a program, and every graph at the end."""
    values = [ts.Value(number, f"leaf {i}") for i, number in enumerate(leaves)]
    course = []

    def apply(step, i, j, number):
        made = step(ts, values[-1 - i % len(values)], values[-1 - j % len(values)], number)
        if isinstance(made, ts.Value):
            values.append(made)
        return made

    for step in program:
        course.append(outcome(apply, *step))
        course.append([node(value) for value in values])
    return course, [graph(value) for value in values], [values.index(value) for value in values]


@settings(max_examples=4 * settings.default.max_examples)
@given(PROGRAM, LEAVES)
def test_a_random_program_gives_the_same_bits_structure_and_errors(selected, program, leaves):
    compiled, plain = of_both(selected, run, program, leaves)
    assert compiled == plain


@settings(max_examples=2 * settings.default.max_examples)
@given(PROGRAM, LEAVES)
def test_a_random_program_has_the_same_anomalies(selected, program, leaves):
    def watched(ts):
        with ts.detect_anomaly():
            return run(ts, program, leaves)

    compiled, plain = of_both(selected, watched)
    assert compiled == plain


@settings(max_examples=2 * settings.default.max_examples)
@given(MAKING_PROGRAM, LEAVES, LEAVES)
def test_the_passes_over_a_random_graph_are_the_same(selected, program, leaves, others):
    def passes(ts):
        values = [ts.Value(number) for number in leaves]
        for step, i, j, number in program:
            with contextlib.suppress(ValueError):  # an int beyond float64
                values.append(step(ts, values[-1 - i % len(values)], values[-1 - j % len(values)], number))
        root = sum(values[-5:])
        for change in (
            lambda: None,
            lambda: setattr(values[0], "data", others[0]),
            values[-1].forward,
            root.forward,
            root.zero_grad,
            lambda: [setattr(leaf, "data", other) for leaf, other in zip(values[: len(leaves)], others)],
            lambda: (copy.deepcopy(root) * root).backward(),
            lambda: (root.forward() * root).backward(-2.5),
        ):
            yield outcome(change), outcome(root.backward), graph(root)

    compiled, plain = of_both(selected, lambda ts: list(passes(ts)))
    assert compiled == plain


@settings(max_examples=2 * settings.default.max_examples)
@given(MAKING_PROGRAM, LEAVES)
def test_gradients_beside_the_graph_are_those_of_backward_and_change_nothing(selected, program, leaves):
    def both_ways(ts):
        values = [ts.Value(number) for number in leaves]
        for step, i, j, number in program:
            with contextlib.suppress(ValueError):  # an int beyond float64
                values.append(step(ts, values[-1 - i % len(values)], values[-1 - j % len(values)], number))
        for root in (values[0], values[-1], sum(values[-5:])):
            wanted = [*values, root, ts.Value(1.0)]
            for k, value in enumerate(wanted):
                value.grad = k
            before = graph(root)
            beside, by_backward = np.empty((2, len(wanted)))
            n_operations = ts.engine.compute_gradients(root, wanted, beside)
            assert graph(root) == before
            ts.engine.clear_gradients(wanted)
            root.backward()
            ts.engine.read_gradients(wanted, by_backward)
            assert seen(beside.tolist()) == seen(by_backward.tolist())
            yield n_operations, seen(beside.tolist())

    compiled, plain = of_both(selected, lambda ts: list(both_ways(ts)))
    assert compiled == plain


@settings(max_examples=4 * settings.default.max_examples)
@given(MAKING_PROGRAM, LEAVES)
def test_derivatives_are_recorded_in_the_same_nodes_at_the_same_time(selected, program, leaves):
    def record(ts):
        values = [ts.Value(number) for number in leaves]
        for step, i, j, number in program:
            with contextlib.suppress(ValueError):  # an int beyond float64
                values.append(step(ts, values[-1 - i % len(values)], values[-1 - j % len(values)], number))
        root, others = sum(values[-5:]), [ts.Value(1.0), values[0], values[-1], values[0]]
        directions = [1.0, values[0] * 1.0, others[0], -0.5]
        for derivatives in (
            lambda: ts.engine.gradients(root, [*values, root, ts.Value(1.0)]),
            lambda: ts.engine.tangents([root, *values, root], others, directions),
        ):
            for _ in range(2):  # the second time, the walk knows what is up to date
                yield outcome(lambda: [(d, _times(ts, d)) for d in derivatives()])  # noqa: B023

    compiled, plain = of_both(selected, lambda ts: list(record(ts)))
    assert compiled == plain


def _times(ts, derivative):
    order = [] if isinstance(derivative, float) else ts.topological_order(derivative)
    return [node._time if node._time < 0 else ts.engine.now() - node._time for node in order]


# --- the table -------------------------------------------------------------------------------------------------------

MAGNITUDES = [
    0.0, 5e-324, 1e-310, 2.2250738585072014e-308, 1e-200, 1e-17, 1.1e-16, 1e-9, 1e-5, 0.25, 0.5, 1 - 2**-53, 1.0,
    1 + 2**-52, 1.5, 2.0, 2.5, 3.0, 17.0, 26.0, 36.7, 300.0, 709.78, 709.79, 745.1, 745.2, 1e5, 1e9, 2**52 + 0.5,
    2.0**53, 1e17, 1e100, 1.3e154, 1.4e154, 1e300, 1.7976931348623157e308, math.inf,
]  # fmt: skip
HARD = [*MAGNITUDES, *(-number for number in MAGNITUDES), math.nan]


def _points(name, arity, n):
    """Hard points in all combinations, and random ones: any floats, and ordinary ones of many magnitudes."""
    chance = random.Random(name)
    anything = [number * 1.0 for number in struct.unpack(f"{n}d", chance.randbytes(8 * n))]
    ordinary = [chance.uniform(-1.0, 1.0) * 10.0 ** chance.uniform(-8.0, 4.0) for _ in range(n)]
    yield from itertools.product(*[HARD[:: 7 if arity == 3 else 1]] * arity)
    for numbers in (anything, ordinary):
        for number in numbers:
            yield (number, *chance.choices(numbers, k=arity - 1))
            yield (number,) * arity


POWERS = [f"**{n!r}" for n in EXPONENTS] + [f"**{n}" for n in range(-9, 10)] + ["**1.7", "**-2.3", "**1e-300", "**700"]
NAMES = [*OPERATIONS, *dict.fromkeys(POWERS), *(f"leaky_relu({slope!r})" for slope in SLOPES)]


@pytest.mark.parametrize("name", NAMES)
def test_the_compiled_value_computes_every_row_of_the_table_bit_for_bit(implementations, name, thorough):
    compiled = implementations["compiled"]
    row = compiled.engine.ops.operation(name)
    different = []
    for numbers in _points(name, ARITY.get(name, 1), n=2000 if thorough else 200):
        made = compiled.engine.record(name, *numbers)
        data = row.forward(*numbers)
        expected = [data, *row.local_grads(data, *numbers)]
        if seen([made.data, *made.local_grads]) != seen(expected):
            different.append((numbers, [made.data, *made.local_grads], expected))
    assert not different, f"{len(different)} differ, as {different[:5]}"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.thorough
def test_two_derivatives_of_every_row_are_recorded_in_the_same_nodes(selected, name):
    points = random.Random(name).sample(list(_points(name, ARITY.get(name, 1), n=20)), 30)

    def record(ts):
        for numbers in points:
            values = [ts.Value(number) for number in numbers]
            slopes = ts.engine.gradients(ts.engine.record(name, *values) * 0.5, values)
            yield outcome(lambda: slopes)  # noqa: B023
            total = sum(slopes, ts.Value(0.0))
            yield outcome(lambda: [ts.engine.gradients(total, values), ts.engine.tangents([total], values, values)])  # noqa: B023

    compiled, plain = of_both(selected, lambda ts: list(record(ts)))
    assert compiled == plain


@pytest.mark.parametrize("by", ["z", "a", "both", "y", "far above"])
@pytest.mark.parametrize("negated", [False, True])
def test_derivatives_of_the_entropy_of_a_sigmoid_are_recorded_in_the_same_nodes(selected, by, negated):
    def record(ts):
        z, y = ts.Value(0.75), ts.Value(0.25)
        a = 1.0 - ts.sigmoid(z) if negated else ts.sigmoid(z)
        top = z
        if by == "far above":
            a = z.sigmoid()
            for _ in range(9):
                a = a * 1.0
        C = ts.engine.record("binary cross-entropy", a, -top if negated else top, y)
        wrt = {"z": [z], "a": [a], "both": [z, a], "y": [y, z], "far above": [z]}[by]
        slopes = ts.engine.gradients(C, wrt)
        return outcome(lambda: [slopes, ts.engine.gradients(slopes[0] * 1.0, wrt)])

    compiled, plain = of_both(selected, record)
    assert compiled == plain


@pytest.mark.parametrize("arity", [1, 2, 3, 4, 7])
def test_a_row_added_to_the_table_works_in_both(selected, monkeypatch, arity):
    def use(ts):
        text = " + ".join(f"{{{i}}}²" for i in range(arity))
        slopes = lambda v, *numbers: tuple(x / v for x in numbers)  # noqa: E731
        row = ts.engine.ops.Operation("norm", "‖x‖", f"√({text})", "", lambda *numbers: math.hypot(*numbers), slopes)
        monkeypatch.setitem(ts.engine.ops.OPERATIONS, "norm", row)
        leaves = [ts.Value(1.0 + i, f"x{i}") for i in range(arity)]
        root = ts.engine.record("norm", *leaves) * ts.engine.record("norm", *leaves[:-1], leaves[0])
        for change in (root.backward, lambda: setattr(leaves[-1], "data", -0.1), root.forward, root.backward):
            yield outcome(change), graph(root)
        for copied in (copy.copy, copy.deepcopy, _pickled):
            yield graph(copied(root))

    compiled, plain = of_both(selected, lambda ts: list(use(ts)))
    assert compiled == plain
    assert len(plain) == 7


@given(st.lists(FLOAT, min_size=1, max_size=9), st.data())
def test_what_is_done_to_many_values_at_once_is_the_same(selected, numbers, data):
    others = data.draw(st.lists(FLOAT, min_size=len(numbers), max_size=len(numbers)))

    def use(ts):
        w = [ts.Value(number, f"w{i}") for i, number in enumerate(numbers)]
        x = [ts.Value(number) * 2.0 for number in others]
        root = ts.engine.weighted_sum(w, x, w[0])
        yield graph(root), outcome(root.backward), graph(root)
        read = np.empty(len(w))
        for reading in (ts.engine.read_data, ts.engine.read_gradients):
            yield outcome(reading, w, read), seen(read.tolist())
        yield outcome(ts.engine.set_data, w, np.array(others)), graph(root), outcome(root.backward)
        yield outcome(root.forward), outcome(root.backward), graph(root)
        yield outcome(ts.engine.clear_gradients, w), graph(root)

    compiled, plain = of_both(selected, lambda ts: list(use(ts)))
    assert compiled == plain
    assert plain[0] != "AttributeError"


# --- which of the two is in use --------------------------------------------------------------------------------------


def _python(code, **environment):
    """The output of the code in a new Python process."""
    environment = {name: text for name, text in (os.environ | environment).items() if text is not None}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr


@pytest.mark.parametrize(
    ("setting", "accelerated"), [(None, True), ("", True), ("0", True), ("1", False), ("yes", False)]
)
def test_the_environment_variable_selects_the_plain_one(implementations, setting, accelerated):
    code = "import sys, tinygrad_scalar as ts; print(ts.accelerated, 'tinygrad_scalar.engine._value' in sys.modules)"
    assert _python(code, TINYGRAD_SCALAR_PURE=setting) == (f"{accelerated} {accelerated}", "")


def test_where_the_compiled_one_was_not_built_the_plain_one_is_used_silently():
    code = "import sys; sys.modules['tinygrad_scalar.engine._value'] = None\n"
    code += "import tinygrad_scalar as ts; print(ts.accelerated)"
    assert _python(code, TINYGRAD_SCALAR_PURE=None) == ("False", "")


def test_where_the_compiled_one_cannot_be_loaded_the_plain_one_is_used_with_a_warning():
    code = """if True:
        import sys

        class Broken:
            def find_spec(self, name, *_):
                if name == "tinygrad_scalar.engine._value":
                    raise ImportError("built for another machine")

        sys.meta_path.insert(0, Broken())
        import tinygrad_scalar as ts
        print(ts.accelerated)
    """
    printed, warned = _python(code, TINYGRAD_SCALAR_PURE=None)
    assert printed == "False"
    assert "Warning: cannot load the compiled Value (built for another machine); using the plain one" in warned

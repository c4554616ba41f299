"""The compiled and the plain Value are one specification: the same bits, structure, errors, documentation and pickles.

Each law does the same with both and compares what there is to be seen. Numbers are compared as float.hex, which shows
every bit but those of a nan: IEEE 754 leaves its sign and payload open.
"""

import contextlib
import copy
import inspect
import itertools
import math
import operator
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

from tinygrad_scalar.engine.ops import OPERATIONS

METHODS = [name for name in UNARY if name != "abs"]
OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]
COMPARISONS = [operator.lt, operator.le, operator.gt, operator.ge]
ARITY = {name: row.text.count("{") for name, row in OPERATIONS.items()}
EXPONENTS = [0, 1, 2, 3, -1, -2, 17, -17, 0.5, -0.5, 1 / 3, 2.5, 1e-5, -1e300, 1e16, 2**53 + 1, math.inf, math.nan]
SLOPES = [0.01, 0.2, 1, 0, -0.0, -1.5, 1e-300, math.inf, math.nan]


# --- what there is to be seen ----------------------------------------------------------------------------------------


def seen(thing):
    """Something as it can be compared between implementations; a Value by its whole graph."""
    if isinstance(thing, float):
        return float.hex(thing)
    if isinstance(thing, (list, tuple, np.ndarray)):
        return [seen(part) for part in thing]
    return graph(thing) if isinstance(thing, sys.modules["tinygrad_scalar"].Value) else thing


def node(value):
    return value.op, value.label, seen(value.data), seen(value.grad), seen(value.local_grads), type(value).__name__


def graph(root):
    order = sys.modules["tinygrad_scalar"].topological_order(root)
    place = {value: i for i, value in enumerate(order)}
    return [(*node(value), [place[operand] for operand in value.operands]) for value in order]


def outcome(function, *arguments):
    """What is to be seen of what a call returns, or of the error that it raises."""
    try:
        return seen(function(*arguments))
    except Exception as error:  # Python's own words name a class in C with its module
        return type(error).__name__, str(error).replace("tinygrad_scalar.Value", "Value")


def of_both(selected, function, *arguments):
    """The outcomes of a function of the package and `arguments`."""
    outcomes = []
    for name in ("compiled", "plain"):
        with selected(name) as package:
            outcomes.append(outcome(function, package, *arguments))
    return outcomes


# --- random programs -------------------------------------------------------------------------------------------------


def _pickled(thing):
    return pickle.loads(pickle.dumps(thing))


def _set(attribute):
    return lambda ts, x, y, c: setattr(x, attribute, c)


# Of the package ts, two earlier values x and y and a number c: what makes another value (or does not) from them ...
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
    lambda ts, x, y, c: ts.Value(c),
    lambda ts, x, y, c: ts.Value(data=c, label="made"),
    lambda ts, x, y, c: copy.copy(x),
    lambda ts, x, y, c: copy.deepcopy(x),
    lambda ts, x, y, c: copy.deepcopy([x, y])[1],
    lambda ts, x, y, c: _pickled(x),
    lambda ts, x, y, c: _pickled([x, y])[1],
    lambda ts, x, y, c: x.forward(),
]
# ... and what changes or reads one.
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
@pytest.mark.parametrize("step", MAKING)
def test_every_step_that_makes_a_value_makes_one(selected, name, step):
    with selected(name) as ts:
        assert isinstance(step(ts, ts.Value(0.5), ts.Value(0.25), 0.75), ts.Value)


def run(ts, program, leaves):
    """All that is to be seen after each step of a program, and every graph in the end."""
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


# --- the table -------------------------------------------------------------------------------------------------------

MAGNITUDES = [
    0.0, 5e-324, 1e-310, 2.2250738585072014e-308, 1e-200, 1e-17, 1.1e-16, 1e-9, 1e-5, 0.25, 0.5, 1 - 2**-53, 1.0,
    1 + 2**-52, 1.5, 2.0, 2.5, 3.0, 17.0, 26.0, 36.7, 300.0, 709.78, 709.79, 745.1, 745.2, 1e5, 1e9, 2**52 + 0.5,
    2.0**53, 1e17, 1e100, 1.3e154, 1.4e154, 1e300, 1.7976931348623157e308, math.inf,
]  # fmt: skip
HARD = [*MAGNITUDES, *(-number for number in MAGNITUDES), math.nan]


def _points(name, arity, n=2000):
    """Hard ones in all combinations, and random ones: any float, and ordinary ones of many magnitudes."""
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
def test_the_compiled_value_computes_every_row_of_the_table_to_the_bit(implementations, name):
    compiled = implementations["compiled"]
    row = compiled.engine.ops.operation(name)
    different = []
    for numbers in _points(name, ARITY.get(name, 1)):
        made = compiled.engine.record(name, *numbers)
        data = row.forward(*numbers)
        expected = [data, *row.local_grads(data, *numbers)]
        if seen([made.data, *made.local_grads]) != seen(expected):
            different.append((numbers, [made.data, *made.local_grads], expected))
    assert not different, f"{len(different)} differ, as {different[:5]}"


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


# --- the public face -------------------------------------------------------------------------------------------------


def _public(ts):
    return [name for name in dir(ts.Value) if not name.startswith("_")]


METHODS_OF_TWO = ["leaky_relu", "backward", "forward", "zero_grad", *METHODS]
TOLD = {
    "the public names": _public,
    "what micrograd's code reads": lambda ts: [hasattr(ts.Value, name) for name in ("_op", "_prev")],
    "names": lambda ts: (ts.Value.__module__, ts.Value.__qualname__, ts.Value.__name__, repr(ts.Value)),
    "names of functions": lambda ts: (ts.engine.record.__name__, ts.topological_order.__name__),
    "bases": lambda ts: ts.Value.__mro__[1:],
    "priority": lambda ts: ts.Value.__array_priority__,
    "docstring": lambda ts: inspect.getdoc(ts.Value),
    "docstrings": lambda ts: [inspect.getdoc(getattr(ts.Value, name)) for name in _public(ts)],
    "docstrings of functions": lambda ts: [
        inspect.getdoc(ts.engine.record),
        inspect.getdoc(ts.topological_order),
    ],
    "signature": lambda ts: _parameters(ts.Value),
    "signatures": lambda ts: [_parameters(getattr(ts.Value, name)) for name in METHODS_OF_TWO],
    "signatures of functions": lambda ts: [_parameters(ts.engine.record), _parameters(ts.topological_order)],
    "no other attributes": lambda ts: [hasattr(ts.Value(1.0), name) for name in ("__dict__", "__weakref__", "x")],
}


def _parameters(thing):
    """Names, defaults and kinds; without self, which a method in C takes by position only."""
    parameters = inspect.signature(thing).parameters.values()
    return [(p.name, p.default, str(p.kind)) for p in parameters if p.name != "self"]


@pytest.mark.parametrize("what", TOLD)
def test_both_tell_the_same_of_themselves(selected, what):
    compiled, plain = of_both(selected, TOLD[what])
    assert compiled == plain
    assert plain[0] != "ValueError"  # no signature


# --- calls that are refused ------------------------------------------------------------------------------------------

THINGS = ["x", None, 1j, [1.0], (), {}, np.complex128(1), 10**400, -(10**400), b"1", object]
ARRAYS = [np.array([1.0]), np.array(1.0)]


SETTABLE = ["data", "grad", "label"]


def _v(ts):
    return ts.Value(0.5, "v")


def _interior(ts):
    return _v(ts) * 3


def _assign(make, attribute, thing):
    return lambda ts: setattr(make(ts), attribute, thing)


# These are refused in words of ours, or in Python's for operands that an operator does not take.
REFUSED = [
    *(lambda ts, t=t: ts.Value(t) for t in THINGS + ARRAYS),
    *(lambda ts, t=t: ts.Value(t, None) for t in THINGS + ARRAYS),
    *(_assign(make, name, t) for make in (_v, _interior) for name in ("data", "grad") for t in THINGS + ARRAYS),
    *(_assign(make, "label", t) for make in (_v, _interior) for t in (None, 5, b"x", ["x"])),
    _assign(_interior, "data", 1),
    *(lambda ts, t=t, o=o: o(_v(ts), t) for o in OPERATORS for t in THINGS),
    *(lambda ts, t=t, o=o: o(t, _v(ts)) for o in OPERATORS for t in THINGS),
    *(lambda ts, t=t, o=o: o(_v(ts), t) for o in COMPARISONS for t in THINGS),
    *(lambda ts, t=t, o=o: o(t, _v(ts)) for o in COMPARISONS for t in THINGS),
    *(lambda ts, t=t: _v(ts).backward(t) for t in THINGS + ARRAYS),
    *(lambda ts, t=t: _interior(ts).backward(grad=t) for t in THINGS + ARRAYS),
    *(lambda ts, t=t: _v(ts).leaky_relu(t) for t in THINGS + ARRAYS),
    *(lambda ts, t=t: ts.engine.record("exp", t) for t in THINGS + ARRAYS),
    *(lambda ts, t=t: ts.engine.record("*", _v(ts), t) for t in THINGS + ARRAYS),
    *(lambda ts, t=t: ts.engine.record("where", t, _v(ts), 1.0) for t in THINGS + ARRAYS),
    *(lambda ts, t=t: ts.where(_v(ts), t, 1.0) for t in THINGS + ARRAYS),
    *(lambda ts, label=label: ts.Value(1, label=label) for label in (3, None, b"x", ["x"])),
    *(lambda ts, into=into: into(_v(ts)) for into in (float, int, complex, round, math.exp, math.log, math.floor)),
    *(lambda ts, into=into: into(_interior(ts)) for into in (float, int, complex, round, math.exp, math.tanh)),
    lambda ts: ts.Value(ts.Value(1.0)),
    lambda ts: _v(ts).leaky_relu(_v(ts)),
    lambda ts: _v(ts).backward(_v(ts)),
    lambda ts: round(_v(ts), 2),
    lambda ts: "%f" % _v(ts),  # noqa: UP031
    lambda ts: math.pow(_v(ts), 2),
    lambda ts: np.array([_v(ts)], dtype=float),
    lambda ts: [1, 2][_v(ts)],
    lambda ts: range(_v(ts)),
    lambda ts: len(_v(ts)),
    lambda ts: _v(ts)[0],
    lambda ts: _v(ts)(),
    lambda ts: list(_v(ts)),
    lambda ts: _v(ts) @ _v(ts),
    lambda ts: _v(ts) // 2,
    lambda ts: _v(ts) % 2,
    lambda ts: divmod(_v(ts), 2),
    lambda ts: ~_v(ts),
    lambda ts: pow(_v(ts), 2, 3),
    lambda ts: pow(2, _v(ts), 3),
    lambda ts: pow(2, 3, _v(ts)),
    lambda ts: pow(_v(ts), _v(ts), _v(ts)),
    lambda ts: operator.iadd("x", _v(ts)),
    lambda ts: sum([_v(ts), "x"]),
    lambda ts: f"{_v(ts):x}",
    lambda ts: format(_v(ts), 3),
    lambda ts: _v(ts).nothing,
    lambda ts: ts.engine.record("exponential", _v(ts)),
    lambda ts: ts.engine.record("**x", _v(ts)),
    lambda ts: ts.engine.record("leaky_relu(", _v(ts)),
    lambda ts: ts.engine.record("leaky_relu(x)", _v(ts)),
    *(lambda ts, n=n: ts.engine.record("+", *[_v(ts)] * n) for n in (0, 1, 3)),
    *(lambda ts, n=n: ts.engine.record("exp", *[_v(ts)] * n) for n in (0, 2, 3)),
    *(lambda ts, n=n: ts.engine.record("where", *[_v(ts)] * n) for n in (0, 1, 2, 4)),
    *(lambda ts, n=n: ts.engine.record("**2", *[_v(ts)] * n) for n in (0, 2, 3)),
    *(lambda ts, n=n: ts.engine.record("leaky_relu(0.1)", *[_v(ts)] * n) for n in (0, 2, 3)),
]
# These are refused by Python itself, which has other words for a class in C.
MISUSED = [
    lambda ts: ts.Value(),
    lambda ts: ts.Value(1, "x", 2),
    lambda ts: ts.Value(1, name="x"),
    lambda ts: _v(ts).exp(1),
    lambda ts: _v(ts).leaky_relu(0.1, 0.2),
    lambda ts: _v(ts).backward(1.0, 2.0),
    lambda ts: _v(ts).backward(upstream=2.0),
    lambda ts: ts.Value.exp(),
    lambda ts: ts.topological_order(),
    lambda ts: ts.engine.record(),
    *(lambda ts, name=name: delattr(_v(ts), name) for name in (*SETTABLE, "op", "operands", "nothing")),
    *(_assign(_v, name, 1) for name in ("op", "operands", "local_grads", "_prev", "nothing", "__dict__")),
]


@pytest.mark.parametrize("call", REFUSED)
def test_both_refuse_with_the_same_words(selected, call):
    compiled, plain = of_both(selected, call)
    assert compiled == plain
    assert plain[0].endswith("Error")


@pytest.mark.parametrize("call", MISUSED)
def test_both_refuse_misuse_with_the_same_type_of_error(selected, call):
    (compiled, _), (plain, _) = of_both(selected, call)
    assert compiled == plain
    assert plain.endswith("Error")


# --- pickles ---------------------------------------------------------------------------------------------------------


def _every_kind_of_node(ts):
    """A graph with shared nodes, labels, gradients, three operands, operations with a number, and a stale part."""
    w, a = ts.Value(0.6, "w"), ts.Value(1.5, "a")
    z = w * a + 0.1
    z.label = "z"
    root = ts.where(z, (z.sigmoid() - w) ** 2, z) / (z + 3.0) + (-z).leaky_relu(0.2) ** w
    root.backward(-2.0)
    stale = ts.Value(2.0, "s")
    return [w, z, root, stale, stale.exp(), setattr(stale, "data", 3.0), ts.Value(math.nan), ts.Value(-0.0) ** -1]


def _continued(ts, parts):
    """What becomes of it: its numbers, then staleness, recomputation and differentiation."""
    w, z, root, _, stale, *_ = parts
    yield seen(parts)
    yield [part.operands[0] is z for part in root.operands], w in ts.topological_order(z)
    yield outcome(stale.backward), outcome(root.backward)
    w.data = -1.25
    yield outcome(root.backward), outcome(root.forward), outcome(root.backward), seen(parts)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(("made_by", "loaded_by"), [("compiled", "plain"), ("plain", "compiled")])
def test_a_pickle_made_by_one_is_loaded_by_the_other(selected, made_by, loaded_by, protocol):
    with selected(made_by) as ts:
        data = pickle.dumps(_every_kind_of_node(ts), protocol)
        expected = list(_continued(ts, _every_kind_of_node(ts)))
    with selected(loaded_by) as ts:
        parts = pickle.loads(data)
        assert type(parts[0]) is ts.Value
        assert list(_continued(ts, parts)) == expected


def test_both_make_the_same_pickle(selected):
    compiled, plain = of_both(selected, lambda ts: pickle.dumps(_every_kind_of_node(ts), 5))
    assert len(compiled) == len(plain)  # the times of the last changes are those of each


# --- subclasses ------------------------------------------------------------------------------------------------------


def _subclass(ts):
    class Weight(ts.Value):
        def __init__(self, data, unit="kg"):
            super().__init__(data, label=f"weight in {unit}")
            self.unit = unit

        def doubled(self):
            return 2 * self

    return Weight


def _overriding(ts):
    class Loud(ts.Value):
        def __radd__(self, other):
            return "radd"

        def __mul__(self, other):
            return "mul"

        def __repr__(self):
            return "loud"

        def __float__(self):
            return 1.5

        def exp(self):
            return super().exp() + 1

    return Loud


def _slotted(ts):
    class Slotted(ts.Value):
        __slots__ = ("extra",)

    return Slotted


OF_SUBCLASSES = [
    lambda ts: _subclass(ts)(2.0),
    lambda ts: vars(_subclass(ts)(2.0, "g")),
    lambda ts: _subclass(ts)(2.0).doubled(),
    lambda ts: ts.Value(1.0) - _subclass(ts)(2.0),
    lambda ts: _subclass(ts)(2.0) - ts.Value(1.0),
    lambda ts: (_subclass(ts)(2.0) ** 2).backward(),
    lambda ts: (
        _subclass(ts)(2.0) < 3,
        _subclass(ts)(2.0) < ts.Value(1.0),
        sorted([_subclass(ts)(2.0), ts.Value(1.0)]),
    ),
    lambda ts: copy.copy(_subclass(ts)(2.0)),
    lambda ts: copy.deepcopy(_subclass(ts)(2.0) * 3.0),
    lambda ts: _pickled(_subclass(ts)(2.0) * 3.0),
    lambda ts: vars(copy.copy(_subclass(ts)(2.0))),
    lambda ts: _subclass(ts)("x"),
    lambda ts: ts.Value(1.0) + _overriding(ts)(2.0),
    lambda ts: 1.0 + _overriding(ts)(2.0),
    lambda ts: _overriding(ts)(2.0) + 1.0,
    lambda ts: _overriding(ts)(2.0) * ts.Value(1.0),
    lambda ts: ts.Value(1.0) * _overriding(ts)(2.0),
    lambda ts: 3.0 * _overriding(ts)(2.0),
    lambda ts: repr(_overriding(ts)(2.0)),
    lambda ts: str(_overriding(ts)(2.0)),
    lambda ts: f"{_overriding(ts)(2.0)}",
    lambda ts: float(_overriding(ts)(2.0)),
    lambda ts: int(_overriding(ts)(2.0)),
    lambda ts: _overriding(ts)(2.0).exp(),
    lambda ts: np.exp(np.array([_overriding(ts)(2.0)])),
    lambda ts: setattr(_overriding(ts)(2.0) + 1.0, "data", 1.0),
    lambda ts: _slotted(ts)(2.0).extra,
    lambda ts: setattr(_slotted(ts)(2.0), "other", 1),
    lambda ts: _slotted(ts)(2.0).__dict__,
    lambda ts: type("Both", (ts.Value, float), {}),
]


@pytest.mark.parametrize("call", OF_SUBCLASSES)
def test_subclasses_are_the_same(selected, call):
    compiled, plain = of_both(selected, call)
    assert compiled == plain


# --- NumPy -----------------------------------------------------------------------------------------------------------


def _array(ts, *numbers):
    return np.array([ts.Value(number) for number in numbers])


SCALARS = [
    np.float64(2),
    np.float32(0.1),
    np.float16(0.1),
    np.int64(-3),
    np.uint8(200),
    np.bool_(True),
    np.float64(-0.0),
]
WITH_NUMPY = [
    *(lambda ts, s=s, o=o: o(_v(ts), s) for s in SCALARS for o in (*OPERATORS, *COMPARISONS)),
    *(lambda ts, s=s, o=o: o(s, _v(ts)) for s in SCALARS for o in (*OPERATORS, *COMPARISONS)),
    *(lambda ts, s=s: (ts.Value(s), setattr(_v(ts), "data", s), _v(ts).backward(s)) for s in SCALARS),
    *(lambda ts, s=s: (_v(ts).leaky_relu(s), (-_v(ts)).leaky_relu(s).forward()) for s in SCALARS),
    *(lambda ts, o=o, d=d: o(np.array([1, 2], d), _v(ts)) for o in OPERATORS for d in (float, int, bool, object)),
    *(lambda ts, o=o, d=d: o(_v(ts), np.array([1, 2], d)) for o in OPERATORS for d in (float, int, bool, object)),
    *(lambda ts, o=o: o(_array(ts, 1.0, 2.0), _v(ts)) for o in (*OPERATORS, *COMPARISONS)),
    *(lambda ts, o=o: o(_v(ts), _array(ts, 1.0, 2.0)) for o in (*OPERATORS, *COMPARISONS)),
    *(lambda ts, o=o: o(_array(ts, 1.0, 2.0), np.array([0.5, -0.5])) for o in (*OPERATORS, *COMPARISONS)),
    *(lambda ts, o=o: o(np.array(2.0), _v(ts)) for o in OPERATORS),
    *(lambda ts, o=o: o(_v(ts), np.array(2.0)) for o in OPERATORS),
    *(
        lambda ts, f=f: f(_array(ts, 0.5, -0.25))
        for f in (np.exp, np.expm1, np.log, np.log1p, np.sqrt, np.sin, np.cos, np.tan, np.arcsin, np.arccos, np.arctan,
                  np.sinh, np.cosh, np.tanh, np.arcsinh, np.arccosh, np.arctanh, np.abs, np.negative, np.square,
                  np.sum, np.mean, np.prod, np.cumsum, np.max, np.min, np.sort, np.argmax, np.maximum.reduce, np.var,
                  np.std, np.sign, np.floor, np.isnan, np.reciprocal, np.positive)
    ),
    lambda ts: _array(ts, 1.0, 2.0, 3.0, 4.0).reshape(2, 2) @ _array(ts, 0.1, 0.2),
    lambda ts: np.tanh(np.array([[0.1, 0.2], [0.3, 0.4]]) @ _array(ts, 0.1, 0.2) + np.array([1.0, 2.0])).sum(),
    lambda ts: np.dot(_array(ts, 1.0, 2.0), _array(ts, 3.0, 4.0)).backward(),
    lambda ts: np.exp(_v(ts)),
    lambda ts: np.tanh(_v(ts)),
    lambda ts: np.maximum(_v(ts), 1.0),
    lambda ts: np.array(_v(ts)).dtype,
    lambda ts: np.array([_v(ts), 1.0]).dtype,
    lambda ts: np.asarray(_v(ts), dtype=float),
    lambda ts: np.where(np.array([True, False]), _array(ts, 1.0, 2.0), 0.5),
    lambda ts: [sorted(_array(ts, 2.0, -1.0, 0.5)), max(_array(ts, 2.0, 3.0)), min(_array(ts, 2.0, 3.0, -1.0))],
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("call", WITH_NUMPY)
def test_numpy_meets_the_same_value(selected, call):
    compiled, plain = of_both(selected, call)
    assert compiled == plain


# --- which of the two is in use --------------------------------------------------------------------------------------


def _python(code, **environment):
    """What a new Python process prints for the code."""
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
    assert "Warning: cannot load the compiled Value, using the plain one: built for another machine" in warned

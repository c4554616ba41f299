"""The compiled and the plain Value look alike: names, documentation, refusals, pickles, subclasses, NumPy."""

import copy
import inspect
import math
import operator
import pickle
import pickletools

import numpy as np
import pytest
from support.observable import COMPARISONS, METHODS, OPERATORS, of_both, outcome, outcomes, seen

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
def test_both_document_themselves_alike(selected, what):
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


# These are refused in our words, or in Python's for operands that an operator does not accept.
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
    *(lambda ts, t=t: _v(ts).hypot(t) for t in THINGS + ARRAYS),
    *(lambda ts, t=t: _v(ts).clip(0.0, t) for t in THINGS + ARRAYS),
    *(lambda ts, t=t: ts.engine.record("exp", t) for t in THINGS + ARRAYS),
    *(lambda ts, t=t: ts.engine.record("*", _v(ts), t) for t in THINGS + ARRAYS),
    *(lambda ts, t=t: ts.engine.record("where", t, _v(ts), 1.0) for t in THINGS + ARRAYS),
    *(lambda ts, t=t: ts.where(_v(ts), t, 1.0) for t in THINGS + ARRAYS),
    *(lambda ts, label=label: ts.Value(1, label=label) for label in (3, None, b"x", ["x"])),
    *(lambda ts, into=into: into(_v(ts)) for into in (float, int, complex, round, math.exp, math.log)),
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
    lambda ts: _v(ts).hypot(1.0, 2.0),
    lambda ts: _v(ts).clip(1.0),
    lambda ts: _v(ts).backward(1.0, 2.0),
    lambda ts: _v(ts).backward(upstream=2.0),
    lambda ts: ts.Value.exp(),
    lambda ts: ts.topological_order(),
    lambda ts: ts.engine.record(),
    *(lambda ts, name=name: delattr(_v(ts), name) for name in (*SETTABLE, "op", "operands", "nothing")),
    *(_assign(_v, name, 1) for name in ("op", "operands", "local_grads", "_prev", "nothing", "__dict__")),
]


def test_both_refuse_with_the_same_words(selected):
    compiled, plain = of_both(selected, outcomes(REFUSED))
    assert compiled == plain
    assert all(kind.endswith("Error") for kind, words in plain)


def test_both_refuse_misuse_with_the_same_type_of_error(selected):
    compiled, plain = ([kind for kind, words in refusals] for refusals in of_both(selected, outcomes(MISUSED)))
    assert compiled == plain
    assert all(kind.endswith("Error") for kind in plain)


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
    """A pickled graph in use: its numbers, then staleness, recomputation and differentiation."""
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
    def written(ts):
        steps = pickletools.genops(pickle.dumps(_every_kind_of_node(ts), 5))
        # the times of the last changes are those of each, and take one byte up to 255
        return [(step.name.rstrip("12"), None if type(arg) is int else arg) for step, arg, _ in steps]

    compiled, plain = of_both(selected, written)
    assert compiled == plain


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
    lambda ts: pickle.loads(pickle.dumps(_subclass(ts)(2.0) * 3.0)),
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


def test_subclasses_are_the_same(selected):
    compiled, plain = of_both(selected, outcomes(OF_SUBCLASSES))
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
def test_numpy_meets_the_same_value(selected):
    compiled, plain = of_both(selected, outcomes(WITH_NUMPY))
    assert compiled == plain

"""Steps for tests of lifetimes and memory to repeat: some succeed, others fail and must leave nothing behind."""

import contextlib
import copy
import pickle

import numpy as np

import tinygrad_scalar as ts
from tinygrad_scalar import Value, engine
from tinygrad_scalar.engine import bulk, ops, record
from tinygrad_scalar.engine.errors import AnomalyError

# --- an operation known to Python only, leaves, and counters of deaths ----------------------------------------------


@contextlib.contextmanager
def row(forward=lambda *x: sum(x), local_grads=lambda v, *x: (1.0,) * len(x), *, n=1):
    """Within `with row(...)`, "test row" is an operation of n operands that has no C twin; by default, their sum."""
    before = ops.OPERATIONS.get("test row")
    text = f"r({', '.join(f'{{{i}}}' for i in range(n))})"
    ops.OPERATIONS["test row"] = ops.Operation("test row", "r", text, "x", forward, local_grads)
    try:
        yield
    finally:
        if before is None:
            del ops.OPERATIONS["test row"]
        else:
            ops.OPERATIONS["test row"] = before


class Dies(Value):
    """A leaf that counts deaths."""

    died = 0

    def __del__(self):
        type(self).died += 1


class Label(str):
    """A label that counts deaths."""

    died = 0

    def __del__(self):
        type(self).died += 1


class Parameter(Value):
    """A leaf with a __dict__."""


# --- steps that succeed, each with a leaf x and the number of the repetition ------------------------------------------


def _backward(x, i):
    ((x * 2.0 + i) ** 2 / 3.0).tanh().backward()


def _forward(x, i):
    root = (x.sin() + 1.0).exp() - x
    x.data = 1.0 / (1.0 + i)
    root.forward()
    root.zero_grad()


def _labels(x, i):
    node = Value(1.0, f"leaf {i}") * x
    node.label = f"first {i}"
    node.label = f"second {i}"


def _where(x, i):
    ts.where(x, x * 2.0, ts.where(x - i, x, 1.0)).backward()


def _numbers_of_their_own(x, i):
    (x.leaky_relu(1e-6 * i) + x ** (i + 0.25) + x ** -float(i)).backward()


def _rows(x, i):
    with row(n=4):
        record("test row", x, x * 2.0, Value(float(i)), x + 1.0).backward()


def _copies(x, i):
    root = ts.where(x, x * i, x.exp())
    copy.copy(root)
    copy.deepcopy(root).backward()


def _pickles(x, i):
    pickle.loads(pickle.dumps(ts.where(x, x * i, x.exp()))).backward()


def _bulk(x, i):
    bulk.weighted_sum([x, x * 2.0], [Value(3.0), x], x).backward()
    bulk.clear_gradients([x])


def _init(x, i):
    leaf = Value(1.0, f"leaf {i}")
    leaf.__init__(2.0, f"leaf {-i}")
    (leaf * x).backward()


def _subclasses(x, i):
    p = Parameter(1.0, f"p {i}")
    p.name = f"name {i}"
    ts.where(p, p * x, Dies(2.0)).backward()


def _anomaly_watched(x, i):
    with ts.detect_anomaly():
        (x * x + 1.0).log().backward()
        x.data = 0.5


def _derivatives(x, i):
    p = Parameter(1.0)
    root = (x * p).sigmoid() * ts.where(x - i, x, p) + ts.maximum(x, 0.5) ** 3 / (2.0 + x) - p.relu()
    engine.gradients(root, [x, p, root.operands[0], x])
    engine.tangents([root, x], [p, x], [1.0, Value(0.5)])


def _derivatives_that_fail(x, i):
    with row(n=2):  # which has no vjps
        for derive in (lambda root: engine.gradients(root, [x]), lambda root: engine.tangents([root], [x], [1.0])):
            with contextlib.suppress(NotImplementedError):
                derive(record("test row", x * i, x.exp()) * x)


def _reading(x, i):
    node = ts.where(x, x * i, x)
    assert len(node.operands) == len(node.local_grads) == 3
    assert (node > 1e300, repr(node) == "", f"{node:.2f}" == "", hash(node) == 0, node._prev == 0) == (False,) * 5
    ts.topological_order(node)


STEPS = {
    step.__name__.strip("_").replace("_", " "): step
    for step in (
        _backward, _forward, _labels, _where, _numbers_of_their_own, _rows, _copies, _pickles, _bulk, _init,
        _subclasses, _anomaly_watched, _derivatives, _derivatives_that_fail, _reading,
    )
}  # fmt: skip


# --- steps that fail -------------------------------------------------------------------------------------------------


class _Refuses:
    def __float__(self):
        raise RuntimeError("no float")


class RefusingFloat(_Refuses, float):
    pass


class RefusingNumPy(_Refuses, np.float32):
    pass


NO_FLOAT, NO_NUMPY_FLOAT = RefusingFloat(1.0), RefusingNumPy(1.0)


def _raise(error):
    raise error


def apply(*operands, **parts):
    with row(**parts, n=len(operands)):
        record("test row", *operands)


def _forward(v, error):
    """forward() of a graph with an operation that worked while the graph was built, and now raises."""
    well = True
    with row(lambda x: x if well else _raise(error())):
        root = ts.where(v, record("test row", v * 1.0), v) + 1.0
        v.data = v.data
        well = False
        root.forward()


def _watched(compute):
    with ts.detect_anomaly():
        compute()


def _forward_to_infinity(v):
    root = ((v + 1.0).log() + v) * 2.0
    v.data = -1.0
    try:
        _watched(root.forward)
    finally:
        v.data = 2.0


# failing steps with a leaf v and a node w, and their errors
FAILURES = {
    "v + object()": (lambda v, w: v + object(), TypeError),
    "object() + v": (lambda v, w: object() + v, TypeError),
    "w - None": (lambda v, w: w - None, TypeError),
    "v * str": (lambda v, w: v * "x", TypeError),
    "bytes / w": (lambda v, w: b"x" / w, TypeError),
    "v ** object()": (lambda v, w: v ** object(), TypeError),
    "object() ** w": (lambda v, w: object() ** w, TypeError),
    "pow(v, w, 3)": (lambda v, w: pow(v, w, 3), TypeError),
    "pow(2, 3, v)": (lambda v, w: pow(2, 3, v), TypeError),
    "v < object()": (lambda v, w: v < object(), TypeError),
    "v + too large": (lambda v, w: v + 10**400, ValueError),
    "too large / w": (lambda v, w: 10**400 / w, ValueError),
    "w ** too large": (lambda v, w: w ** 10**400, ValueError),
    "v > too large": (lambda v, w: v > 10**400, ValueError),
    "v + float that raises": (lambda v, w: v + NO_FLOAT, TypeError),
    "float that raises * w": (lambda v, w: NO_FLOAT * w, TypeError),
    "v ** float that raises": (lambda v, w: v ** NO_FLOAT, TypeError),
    "v / NumPy scalar that raises": (lambda v, w: v / NO_NUMPY_FLOAT, TypeError),
    "w ** NumPy scalar that raises": (lambda v, w: w ** NO_NUMPY_FLOAT, TypeError),
    "leaky_relu(object())": (lambda v, w: w.leaky_relu(object()), TypeError),
    "leaky_relu(float that raises)": (lambda v, w: w.leaky_relu(NO_FLOAT), TypeError),
    "where(v, w, object())": (lambda v, w: ts.where(v, w, object()), TypeError),
    "where(v, w)": (lambda v, w: record("where", v, w), TypeError),
    "record('*', v)": (lambda v, w: record("*", v), TypeError),
    "record(no such row)": (lambda v, w: record("no such row", v, w), ValueError),
    "weighted sum": (lambda v, w: bulk.weighted_sum([v, w, v], [v, w, 1j], v), TypeError),
    "v.data = object()": (lambda v, w: setattr(v, "data", object()), TypeError),
    "w.data = 1": (lambda v, w: setattr(w, "data", 1.0), AttributeError),
    "w.label = 1": (lambda v, w: setattr(w, "label", 1), TypeError),
    "v.__init__(object())": (lambda v, w: v.__init__(object()), TypeError),
    "v.__init__(2, 1)": (lambda v, w: v.__init__(2.0, 1), TypeError),
    "w.__init__(1)": (lambda v, w: w.__init__(1.0), AttributeError),
    "w.backward(float that raises)": (lambda v, w: w.backward(NO_FLOAT), TypeError),
    "anomaly in a unary operator": (lambda v, w: _watched(lambda: (w - w).log()), AnomalyError),
    "anomaly in a binary operator": (lambda v, w: _watched(lambda: 1.0 / (v - v)), AnomalyError),
    "anomaly in where": (lambda v, w: _watched(lambda: ts.where(v, float("nan"), w)), AnomalyError),
    "anomaly in forward": (lambda v, w: _forward_to_infinity(v), AnomalyError),
    "anomaly in backward": (lambda v, w: _watched(((v - v).sqrt() * w).backward), AnomalyError),
    "forward raises": (lambda v, w: apply(v, w, v, forward=lambda *x: _raise(KeyError())), KeyError),
    "forward is interrupted": (
        lambda v, w: apply(v, forward=lambda x: _raise(KeyboardInterrupt())), KeyboardInterrupt,
    ),
    "local_grads raises": (lambda v, w: apply(v, w, local_grads=lambda v, *x: _raise(KeyError())), KeyError),
    "local_grads is interrupted": (
        lambda v, w: apply(v, w, w, local_grads=lambda v, *x: _raise(KeyboardInterrupt())), KeyboardInterrupt,
    ),
    "no operands": (lambda v, w: apply(local_grads=lambda v: _raise(TypeError)), TypeError),
    "no local gradients": (lambda v, w: apply(v, w, local_grads=lambda v, *x: ()), (ValueError, IndexError)),
    "local gradients are None": (lambda v, w: apply(v, w, v, local_grads=lambda v, *x: None), TypeError),
    "a row raises in forward()": (lambda v, w: _forward(v, KeyError), KeyError),
    "a row is interrupted in forward()": (lambda v, w: _forward(v, KeyboardInterrupt), KeyboardInterrupt),
}  # fmt: skip


def refused(failure, v, w):
    """Take a step that fails, and see it fail."""
    fail, error = FAILURES[failure]
    try:
        fail(v, w)
    except error:
        return
    raise AssertionError(f"{failure} did not raise {error}")

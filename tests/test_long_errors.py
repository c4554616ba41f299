"""However large what was given is, an error shows a part of it: each argument in turn is replaced by what is huge."""

import warnings

import numpy as np
import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import Value

MOST = 600  # characters of a message
LONG = "a" * 10_000


class Endless:
    def __repr__(self):
        return LONG


class Nameless:
    """Its name is as long as a name can be."""


Nameless.__name__ = LONG

HUGE = {
    "text": LONG,
    "bytes": LONG.encode(),
    "a list": [1.5] * 10_000,
    "a list of texts": [LONG] * 100,
    "a list of lists": [[LONG, 1.5]] * 1000,
    "a tuple": tuple(range(10_000)),
    "a dict": {f"{LONG}{k}": LONG for k in range(10)},
    "a set": frozenset(range(10_000)),
    "an integer": 10**4000,
    "an integer of too many digits for str": 10**5000,
    "a negative integer": -(10**400),
    "an array": np.arange(10_000) + 0.5,
    "a matrix": np.full((100, 100), 1.5),
    "an array of objects": np.array([LONG, None] * 1000, object),
    "an object": Endless(),
    "an object of a long class": Nameless(),
    "a Value with a long name": Value(1e200, LONG),
    "a complex array": np.ones((50, 50), complex),
    "a function": lambda *arguments, **options: LONG,
}


def names(*values):
    for value, name in zip(values, "wxyz"):
        value.label = name
    return values


def net():
    return ts.MLP(2, [2, 1], seed=0)


def computed():
    w, x = names(Value(2.0), Value(3.0))
    return w * x + w


def parameters():
    return [Value(1.0, "a"), Value(2.0, "b")]


X, Y = [[0.0, 1.0], [1.0, 0.0]], [0.0, 1.0]


def fit_classes(Y):
    ts.fit(ts.MLP(2, [2], output_activation="linear"), X, Y, loss="cross_entropy", epochs=1, progress=False)


def set_attribute(name):
    return lambda value: setattr(Value(1.0), name, value)


UNARY = ["abs", "acos", "acosh", "atanh", "exp", "log", "relu", "sigmoid", "softplus", "sqrt", "tanh"]
BINARY = ["greater", "greater_equal", "less", "less_equal", "logaddexp", "maximum", "minimum"]
CALLS = {  # functions, positional arguments that they take, and named ones
    **{name: (getattr(ts, name), lambda: (Value(0.5),), {}) for name in UNARY},
    **{name: (getattr(ts, name), lambda: (Value(0.5), Value(1.0)), {}) for name in BINARY},
    "leaky_relu": (ts.leaky_relu, lambda: (Value(0.5),), {"slope": 0.1}),
    "where": (ts.where, lambda: (Value(0.5), Value(1.0), Value(2.0)), {}),
    "lookup": (ts.lookup, lambda: ([1.0, 2.0], 1), {}),
    "Value": (Value, lambda: (1.0, "w"), {}),
    "data": (set_attribute("data"), lambda: (1.0,), {}),
    "grad": (set_attribute("grad"), lambda: (1.0,), {}),
    "label": (set_attribute("label"), lambda: ("w",), {}),
    "backward": (lambda grad: computed().backward(grad), lambda: (1.0,), {}),
    "absolute_error": (ts.absolute_error, lambda: (Value(0.5), 1.0), {}),
    "binary_cross_entropy": (ts.binary_cross_entropy, lambda: (Value(0.5), 1.0), {}),
    "squared_error": (ts.squared_error, lambda: ([Value(0.5), Value(0.5)], [1.0, 2.0]), {}),
    "hinge": (ts.hinge, lambda: (Value(0.5), 1), {}),
    "cross_entropy": (ts.cross_entropy, lambda: ([Value(0.5), Value(0.5)], 1), {}),
    "cost": (ts.cost, lambda: ("squared_error", [Value(0.5)], [1.0]), {}),
    "check_gradients": (ts.check_gradients, lambda: (computed(), "w"), {"names": {}}),
    "diagnose": (ts.diagnose, lambda: (computed(),), {"names": {}}),
    "draw": (ts.draw, lambda: (computed(),), {"direction": "LR", "names": {}}),
    "explain": (ts.explain, lambda: (computed(), "w"), {"names": {}}),
    "leaves": (ts.leaves, lambda: (computed(),), {}),
    "topological_order": (ts.topological_order, lambda: (computed(),), {}),
    "nudge": (ts.nudge, lambda: (computed(), "w"), {"h": 1e-6, "names": {}}),
    "sensitivity": (ts.sensitivity, lambda: (computed(), "w"), {"names": {}}),
    "step": (ts.step, lambda: (computed(),), {"names": {}}),
    "Neuron": (ts.Neuron, lambda: (2, "tanh"), {"seed": 0, "layer": 1, "index": 0, "n_outputs": 1}),
    "Layer": (ts.Layer, lambda: (2, 1, "tanh"), {"seed": 0, "layer": 1}),
    "MLP": (ts.MLP, lambda: (2, [2, 1], "tanh"), {"output_activation": "tanh", "seed": 0}),
    "net(x)": (lambda x: net()(x), lambda: ([1.0, 2.0],), {}),
    "Gradient": (ts.Gradient, lambda: (parameters(),), {}),
    "gradient[name]": (lambda name: ts.Gradient(parameters())[name], lambda: ("a",), {}),
    "GradientDescent": (ts.GradientDescent, lambda: (parameters(), 0.1), {}),
    "SGD": (ts.SGD, lambda: (parameters(), 0.1), {"momentum": 0.1, "nesterov": False, "weight_decay": 0.1}),
    "Adam": (ts.Adam, lambda: (parameters(), 0.1), {"betas": (0.9, 0.99), "epsilon": 1e-8}),
    "AdamW": (ts.AdamW, lambda: (parameters(), 0.1), {"weight_decay": 0.1}),
    "RMSProp": (ts.RMSProp, lambda: (parameters(), 0.1), {"rho": 0.9, "epsilon": 1e-8}),
    "fit": (
        ts.fit,
        lambda: (net(), X, Y),
        {
            "loss": "squared_error",
            "optimizer": "adam",
            "epochs": 1,
            "batch_size": 2,
            "validation": (X, Y),
            "seed": 0,
            "vectorized": False,
        },
    ),
    "fit classes": (fit_classes, lambda: ([0, 1],), {}),
    "vectorize": (
        ts.vectorize,
        lambda: (lambda x: x, parameters()),
        {"dtype": "float64", "wrt_inputs": False, "check": True},
    ),
    "step(X)": (
        lambda x, y: ts.vectorize(lambda x, y: net()(x) * y, parameters())(x, y),
        lambda: (np.ones((3, 2)), np.ones(3)),
        {},
    ),
    "save": (lambda net, metadata: ts.save(net, "", metadata), lambda: (net(), {}), {}),
    "save to": (lambda path: ts.save(net(), path), lambda: ("",), {}),
    "load": (ts.load, lambda: ("",), {}),
}  # fmt: skip


def messages(call, arguments):
    """The messages of a call: its error and its warnings."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            call(*arguments[0], **arguments[1])
        except (ValueError, TypeError, KeyError) as error:
            yield f"{type(error).__name__}: {error}"
        except OSError as error:
            yield f"{error.strerror}"  # Python adds the file's name
    for warning in warned:
        yield str(warning.message)


def assert_short(message, what):
    assert len(message) < MOST, f"{what}: {message[:2000]}"
    assert "limit" not in message, f"{what}: Python refused to print a long integer: {message}"


@pytest.mark.parametrize("name", CALLS)
def test_an_error_shows_a_part_of_what_is_huge(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call, positional, named = CALLS[name]
    for what, huge in HUGE.items():
        for k in range(len(positional())):
            given = [*positional()]
            given[k] = huge
            for message in messages(call, (given, named)):
                assert_short(message, f"argument {k}: {what}")
        for key in named:
            for message in messages(call, (positional(), {**named, key: huge})):
                assert_short(message, f"{key}: {what}")

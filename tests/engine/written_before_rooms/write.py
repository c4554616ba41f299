"""The program that wrote the files beside it, when all modules of the package lay in one folder (d9c07c9).

`python write.py compiled`, and with TINYGRAD_SCALAR_PURE=1 `python write.py plain`, write NAME.json: pickles in base64,
each with the numbers that the loaded object must have. The safetensors files are `ts.save` of `MLP(2, [2, 1], seed=0)`
and `tinygrad-scalar train table.csv --target kind --epochs 30 -o table.safetensors`.
"""

import base64
import json
import pickle
import sys
from pathlib import Path

import numpy as np

import tinygrad_scalar as ts

X, Y = [[0.5, -1.0], [2.0, 0.25]], [[1.0], [0.0]]


def graph():
    x, w = ts.Value(2.0, "x"), ts.Value(-3.0, "w")
    y = (x * w).tanh() + ts.where(ts.greater(x, 0), x.leaky_relu(0.1), w) - (x**3).exp() / w
    y.label = "y"
    y.backward()
    return y


def network():
    net = ts.MLP(2, [2, 1], seed=0)
    ts.squared_error(net(X[0]), Y[0]).backward()
    return net


def optimizer(kind):
    net = network()
    trained = kind(net.parameters(), 0.1)
    trained.step()
    return trained


def array_program(hidden, rows):
    net = ts.MLP(2, [hidden, 1], seed=0)
    program = ts.vectorize(lambda x, y: ts.squared_error(net(x), y), net.parameters())
    program(np.array(X * rows), np.array(Y * rows))
    return program


def objects():
    y = graph()
    x = ts.leaves(y)[0]
    stepper = ts.step(graph())
    stepper.next()
    net = network()
    yield "network", net
    yield "layer", net.layers[0]
    yield "neuron", net.layers[0].neurons[0]
    yield "gradient", net.gradient()
    yield "history", ts.fit(ts.MLP(2, [1], seed=0), X, Y, epochs=2, progress=False)
    for kind in (ts.GradientDescent, ts.SGD, ts.RMSProp, ts.Adam, ts.AdamW):
        yield kind.__name__, optimizer(kind)
    yield "program of few numbers", array_program(2, 1)
    yield "program of matrices", array_program(40, 50)
    yield "explanation", ts.explain(y, x)
    yield "stepper", stepper
    yield "nudge", ts.nudge(y, x)
    yield "check", ts.check_gradients(y)
    yield "sensitivity", ts.sensitivity(y)
    yield "diagnosis", ts.diagnose(y)
    yield "picture", ts.draw(ts.Value(1.0, "x") * 2.0)
    yield "errors", [ts.StaleGraphError("old"), ts.AnomalyError("nan"), ts.TraceError("looked")]
    names = set(ts.__all__) - {"accelerated"}
    yield "public names", {name: getattr(ts, name) for name in sorted(names)}


def numbers(thing):
    """Numbers that say what an object is, the same for every version."""
    if isinstance(thing, ts.Value):
        return [[node.data, node.grad, node.label, node.op] for node in ts.topological_order(thing)]
    if isinstance(thing, (ts.MLP, ts.Layer, ts.Neuron)):
        return [[parameter.data, parameter.grad] for parameter in thing.parameters()]
    if type(thing).__name__ == "Vectorized":
        cost, gradient = thing(np.array(X), np.array(Y))
        return [float(cost), gradient.tolist()]
    if isinstance(thing, ts.Gradient):
        return thing.array.tolist()
    if isinstance(thing, ts.History):
        return thing.cost
    if isinstance(thing, ts.Stepper):
        return [thing.position, thing.total]
    if isinstance(thing, ts.Nudge):
        return thing.derivative
    if isinstance(thing, (ts.GradientCheck, ts.Diagnosis)):
        return thing.ok
    return type(thing).__name__


if __name__ == "__main__":
    written = {}
    for protocol in range(6):
        written[f"graph, protocol {protocol}"] = pickle.dumps(graph(), protocol), numbers(graph())
    for name, thing in objects():
        written[name] = pickle.dumps(thing), numbers(thing)
    encoded = {name: [base64.b64encode(data).decode(), expected] for name, (data, expected) in written.items()}
    Path(__file__).with_name(f"{sys.argv[1]}.json").write_text(json.dumps(encoded, indent=0) + "\n", "utf-8")

"""The pictures beside this file, made anew: `python docs/pictures/make.py`.

Graphs by `ts.draw`, from one neuron to 300,000 values, networks by `ts.viz.network`, and the steps of one node, which
move (`moving.py`).
"""

import random
import sys
from pathlib import Path

import tinygrad_scalar as ts
from tinygrad_scalar import Value

sys.path.insert(0, str(Path(__file__).parent))  # where runpy finds no neighbours
from moving import Moving


def one_node():
    """The cost of the notes' one node, as in README.md's first block."""
    w, a0, b, y = Value(0.6, "w"), Value(0.8, "a(0)"), Value(0.1, "b"), Value(0.0, "y")
    z = w * a0 + b
    a = ts.sigmoid(z)
    C = (a - y) ** 2
    z.label, a.label, C.label = "z", "a", "C"
    return C


def one_node_still():
    C = one_node()
    C.backward()
    return ts.draw(C, names={})


def one_neuron():
    w, a, b, y = Value(0.6, "w"), Value(0.8, "a"), Value(0.1, "b"), Value(0.0, "y")
    z = w * a + b
    C = (z.sigmoid() - y) ** 2
    z.label, C.label = "z", "C"
    C.backward()
    return ts.draw(C, names={})


def cost(net, n_inputs, targets, loss=ts.squared_error):
    rng = random.Random(0)
    C = loss(net([rng.uniform(-1, 1) for _ in range(n_inputs)]), targets)
    C.label = "C"
    C.backward()
    return C


def small_network():
    return ts.draw(cost(ts.MLP(3, [4, 2], seed=0), 3, [0, 1]), names={})


def one_weight():
    net = ts.MLP(3, [4, 2], seed=0)
    return ts.draw(cost(net, 3, [0, 1]), names={}, wrt=net.layers[0].neurons[1].w[2], direction="TB")


def iris_cost():
    net = ts.MLP(4, [8, 3], "tanh", "linear", seed=0)
    return ts.draw(cost(net, 4, 0, ts.cross_entropy), names={})


def digits():
    net = ts.MLP(784, [128, 10], output_activation="linear", seed=0)
    return ts.draw(cost(net, 784, 3, ts.cross_entropy), names={})


def attention():
    rng = random.Random(0)
    tokens, size = 3, 2
    x = [[Value(rng.uniform(-1, 1), f"x[{t},{k}]") for k in range(size)] for t in range(tokens)]

    def projected(name, letter):
        weights = [[Value(rng.uniform(-1, 1), f"{letter}[{j},{k}]") for k in range(size)] for j in range(size)]
        with ts.group(name):
            return [[ts.dot(row, token) for row in weights] for token in x]

    with ts.group("attention"):
        queries, keys, values = projected("queries", "wq"), projected("keys", "wk"), projected("values", "wv")
        out = []
        for query in queries:
            with ts.group("scores"):
                scores = ts.softmax([ts.dot(query, key) / size**0.5 for key in keys])
            with ts.group("mix"):
                out += [ts.dot(scores, [value[j] for value in values]) for j in range(size)]
    C = ts.sum([a**2 for a in out])
    C.label = "C"
    C.backward()
    return ts.draw(C, names={})


def recurrent():
    rng = random.Random(1)

    def leaf(name):
        return Value(rng.uniform(-1, 1), name)

    w = [[leaf(f"w[{j},{k}]") for k in range(2)] for j in range(3)]
    u = [[leaf(f"u[{j},{k}]") for k in range(3)] for j in range(3)]
    b = [Value(0.0, f"b[{j}]") for j in range(3)]
    h = [Value(0.0, f"h(0)[{j}]") for j in range(3)]
    for t in range(1, 4):
        x = [leaf(f"x({t})[{k}]") for k in range(2)]
        with ts.group(f"step {t}"):
            h = [(ts.dot(w[j], x) + ts.dot(u[j], h) + b[j]).tanh() for j in range(3)]
    C = ts.sum([a**2 for a in h])
    C.label = "C"
    C.backward()
    return ts.draw(C, names={})


def long_chain():
    x = Value(0.5, "x")
    value = x
    for _ in range(100_000):
        value = (value * x).sin()
    value.backward()
    return ts.draw(value, names={})


def not_finite():
    x, w = Value(0.0, "x"), Value(2.0, "w")
    C = w * x.log() + x
    C.label = "C"
    C.backward()
    return ts.draw(C, names={})


def single_neurons():
    return ts.viz.network(ts.MLP(1, [1, 1, 1], seed=0))


def network(figure="neurons", **options):
    net = ts.MLP(3, [4, 2], seed=0)
    cost(net, 3, [0, 1])
    return ts.viz.network(net, figure, **options)


PICTURES = {
    "one-node": one_node_still,
    "one-node-steps": lambda: Moving(one_node(), "LR", joined=True, size=14),
    "one-node-steps-narrow": lambda: Moving(one_node(), "TB", joined=False, size=13),
    "one-neuron": one_neuron,
    "small-network": small_network,
    "one-weight": one_weight,
    "iris-cost": iris_cost,
    "digits": digits,
    "attention": attention,
    "recurrent": recurrent,
    "long-chain": long_chain,
    "not-finite": not_finite,
    "network-single-neurons": single_neurons,
    "network-weights": network,
    "network-gradients": lambda: network(by="gradients"),
    "network-forward": lambda: network("forward"),
    "network-output": lambda: network("output"),
    "network-backward": lambda: network("backward"),
    "network-training": lambda: network("training"),
}

if __name__ == "__main__":
    for name in sys.argv[1:] or PICTURES:
        PICTURES[name]().save(Path(__file__).with_name(f"{name}.svg"))
        print(f"{name}.svg")

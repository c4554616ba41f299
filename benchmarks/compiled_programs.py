"""The functions whose first call `compiling.py` measures: graphs of many shapes and sizes.

Each is a function of a size that returns the cost of one example, its parameters, arrays of examples and perhaps
options of `vectorize`.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator

import numpy as np
from gradbench import gmm

import tinygrad_scalar as ts


def network(*sizes):
    """The squared error of a tanh network: nearly all of it repeats."""
    random = np.random.default_rng(0)
    net = ts.MLP(sizes[0], list(sizes[1:]), "tanh", seed=0)
    arrays = random.normal(size=(128, sizes[0])), random.normal(size=(128, sizes[-1]))
    return lambda x, y: ts.squared_error(net(x), y), net.parameters(), arrays


def irregular(n):
    """n random operations: nothing repeats."""
    plan, params, arrays = irregular_plan(n)
    return lambda x: irregular_numbers([*params, *x], plan)[-1], params, arrays


def irregular_plan(n):
    random = np.random.default_rng(0)
    params = [ts.Value(number) for number in random.uniform(-1.0, 1.0, 10)]
    plan = list(zip(random.integers(0, 3, n).tolist(), random.random(n).tolist()))
    return plan, params, (random.uniform(-1.0, 1.0, size=(4, 10)),)


def irregular_numbers(nodes, plan):
    operations = [operator.add, operator.mul, lambda p, q: ts.tanh(p)]
    for kind, place in plan:
        nodes.append(operations[kind](nodes[-1], nodes[int(place * len(nodes))]))
    return nodes


def chain(n):
    """z = z w + x, n/2 times: as deep as a graph can be."""
    w = ts.Value(0.5)

    def cost(x):
        z = x
        for _ in range(n // 2):
            z = z * w + x
        return z

    return cost, [w], (np.random.default_rng(0).uniform(-1.0, 1.0, size=4),)


def parameters(n):
    """Σₖ w[k]·x with a list of n parameters that are not a network's."""
    w = [ts.Value(number) for number in np.random.default_rng(0).normal(size=n)]
    return lambda x: sum(w_k * x for w_k in w), w, (np.linspace(-1.0, 1.0, 4),)


def fold(n):
    """The largest of n/2 products."""
    w = [ts.Value(float(k * 37 % 1009)) for k in range(n // 2)]
    return lambda x: functools.reduce(ts.maximum, [p * x for p in w]), w, (np.array([0.5, 1.5]),)


def tree(n):
    """Products and their tanh in pairs, level by level."""
    w = [ts.Value(math.sin(k)) for k in range(1 << round(math.log2(n / 3)))]

    def cost(x):
        nodes = [p * x for p in w]
        while len(nodes) > 1:
            nodes = [ts.tanh(a * b) for a, b in zip(nodes[::2], nodes[1::2])]
        return nodes[0]

    return cost, w, (np.linspace(-1.0, 1.0, 2),)


def grid(n):
    """Each node of a square from those above it and to its left, as in dynamic programming."""
    side, w, v = int((n / 3) ** 0.5), ts.Value(0.3), ts.Value(0.4)

    def cost(x):
        row = [x] * side
        for _ in range(side):
            left = x
            for j in range(side):
                left = row[j] = w * left + v * row[j]
        return row[-1]

    return cost, [w, v], (np.linspace(-1.0, 1.0, 2),)


def recurrent(n):
    """h = tanh(w h + u x), n/4 times."""
    w, u = ts.Value(0.5), ts.Value(0.3)
    return lambda x: functools.reduce(lambda h, _: ts.tanh(w * h + u * x), range(n // 4), x), [w, u], (np.ones(1),)


def convolution(n):
    """The sum of the tanh of a 3×3 kernel's windows over an image."""
    side = int((n / 18) ** 0.5) + 2
    random = np.random.default_rng(0)
    w = [ts.Value(number) for number in random.normal(size=9)]

    def window(x, i, j):
        return sum(w[3 * a + b] * x[i + a][j + b] for a in range(3) for b in range(3))

    places = [(i, j) for i in range(side - 2) for j in range(side - 2)]
    return lambda x: sum(ts.tanh(window(x, i, j)) for i, j in places), w, (random.normal(size=(2, side, side)),)


def log_sum_exp(n):
    """The logarithm of the sum of n exponentials."""
    w = [ts.Value(math.sin(k)) for k in range(n)]
    return lambda x: ts.log(sum(ts.exp(p * x) for p in w)), w, (np.ones(1),)


def lstm(steps):
    """Two layers of 14 cells whose gates have a weight and a bias for each cell."""
    random = np.random.default_rng(0)
    cells, layers = range(14), range(2)
    w = [[[ts.Value(number) for number in row] for row in random.normal(size=(8, 14)) * 0.3] for _ in layers]
    text = random.random((steps, 14)).tolist()

    def cell(w, h, c, x):
        forget, ingate = ts.sigmoid(x * w[0] + w[1]), ts.sigmoid(h * w[2] + w[3])
        c = c * forget + ingate * ts.tanh(h * w[4] + w[5])
        return ts.sigmoid(x * w[6] + w[7]) * ts.tanh(c), c

    def cost(scale):
        h, c = [[0.1] * 14 for _ in layers], [[0.2] * 14 for _ in layers]
        total = 0.0
        for before, after in itertools.pairwise(text):
            x = [scale * number for number in before]
            for k in layers:
                made = [cell([row[i] for row in w[k]], h[k][i], c[k][i], x[i]) for i in cells]
                h[k], c[k] = x, _ = [list(column) for column in zip(*made)]
            normal = ts.log(sum(ts.exp(v) for v in x) + 2.0)
            total = total + sum(number * (v - normal) for number, v in zip(after, x))
        return -total

    return cost, [value for layer in w for row in layer for value in row], (np.ones(1),)


def determinant(size):
    """The determinant by minors."""
    entries = [ts.Value(number) for number in np.random.default_rng(0).normal(size=size * size)]

    def minor(row, columns):
        if len(columns) == 1:
            return entries[row * size + columns[0]]
        terms = [
            entries[row * size + c] * minor(row + 1, [*columns[:k], *columns[k + 1 :]]) for k, c in enumerate(columns)
        ]
        return sum(terms[0::2]) - sum(terms[1::2])

    return lambda x: x * minor(0, list(range(size))), entries, (np.ones(1),)


def elimination(size):
    """The determinant by Gaussian elimination."""
    w = ts.Value(0.3)

    def cost(x):
        a = [[w * number + (2.0 if i == j else 0.0) for j, number in enumerate(row)] for i, row in enumerate(x)]
        for k, i in itertools.combinations(range(size), 2):
            factor = a[i][k] / a[k][k]
            a[i] = [*a[i][: k + 1], *(p - factor * q for p, q in zip(a[i][k + 1 :], a[k][k + 1 :]))]
        return functools.reduce(operator.mul, (a[k][k] for k in range(size)))

    return cost, [w], (np.random.default_rng(0).normal(size=(2, size, size)) / size,)


def captured(n):
    """Little work, by a function that can read an array, a table and a dict of n numbers each."""
    random = np.random.default_rng(0)
    array, table = random.normal(size=n), random.normal(size=(n // 4, 4)).tolist()
    settings = {str(k): float(k) for k in range(n)}
    w = ts.Value(0.5)
    return lambda x: w * x * float(array[0]) + table[1][2] * settings["3"], [w], (np.linspace(-1.0, 1.0, 4),)


def network_in_lists(*sizes):
    """The same squared error of one hidden layer, in lists of the user's own."""
    random = np.random.default_rng(0)
    n, hidden = sizes
    rows = [[ts.Value(number) for number in row] for row in random.normal(size=(hidden, n)) * 0.05]
    last = [ts.Value(number) for number in random.normal(size=hidden)]

    def cost(x, y):
        layer = [ts.tanh(sum(w * a for w, a in zip(row, x))) for row in rows]
        return (sum(w * a for w, a in zip(last, layer)) - y) ** 2

    parameters = [*last, *(w for row in rows for w in row)]
    return cost, parameters, (random.normal(size=(64, n)), random.normal(size=64))


def mixture(d, k):
    """The Gaussian mixture of GradBench, 1,000 points."""
    x, *arrays = gmm.inputs(d, k, 1000)
    return *gmm.scalars(x, *arrays), (x,)


def matrix(random, rows, columns):
    return [[ts.Value(number) for number in row] for row in random.normal(size=(rows, columns)) * 0.3]


def attention(steps, width, heads):
    """Σ of the squares of what self-attention gives."""
    random = np.random.default_rng(0)
    w, size = [matrix(random, width, width) for _ in range(4)], width // heads

    def head(q, k, v):
        """For each position a mean of the values at all positions, weighted by a softmax."""
        shares = [ts.softmax([ts.dot(q_i, k_j) * size**-0.5 for k_j in k]) for q_i in q]
        return [[sum(a * b for a, b in zip(share, column)) for column in zip(*v)] for share in shares]

    def cost(x):
        q, k, v = ([[ts.dot(row, x_i) for row in rows] for x_i in x] for rows in w[:3])
        parts = [slice(start, start + size) for start in range(0, width, size)]
        heads = [head(*([row[part] for row in rows] for rows in (q, k, v))) for part in parts]
        joined = [list(itertools.chain(*rows)) for rows in zip(*heads)]
        return sum(ts.dot(row, a) ** 2 for a in joined for row in w[3])

    parameters = [value for rows in w for row in rows for value in row]
    return cost, parameters, (random.normal(size=(8, steps, width)),)


def gru(steps, width):
    """Σ of the squares of a gated recurrent unit's last state."""
    random = np.random.default_rng(0)
    gates = [(matrix(random, width, width), matrix(random, width, width)) for _ in range(3)]

    def gate(number, x, h, function):
        return [function(ts.dot(of_x, x) + ts.dot(of_h, h)) for of_x, of_h in zip(*gates[number])]

    def cost(x):
        h = [0.0] * width
        for x_t in x:
            update, reset = gate(0, x_t, h, ts.sigmoid), gate(1, x_t, h, ts.sigmoid)
            candidate = gate(2, x_t, [a * b for a, b in zip(reset, h)], ts.tanh)
            h = [(1.0 - z) * a + z * c for z, a, c in zip(update, h, candidate)]
        return sum(a * a for a in h)

    parameters = [value for both in gates for rows in both for row in rows for value in row]
    return cost, parameters, (random.normal(size=(8, steps, width)),)


def last_numbers(n, k):
    """The last k numbers of an irregular function of n operations, and their Jacobian."""
    plan, params, arrays = irregular_plan(n)
    return lambda x: irregular_numbers([*params, *x], plan)[-k:], params, arrays


def many_outputs(n, k):
    """The last k numbers of z = z w + v, n/2 times, with their derivatives for each example."""
    w, v = ts.Value(0.9), ts.Value(0.1)

    def cost(x):
        z = [x]
        for _ in range(n // 2):
            z.append(z[-1] * w + v)
        return z[-k:]

    return cost, [w, v], (np.linspace(-1.0, 1.0, 4),), {"reduce": None}


def embedding(words, width, length):
    """A network over the words of a text, which are looked up in a table."""
    random = np.random.default_rng(0)
    table, net = matrix(random, words, width), ts.MLP(width, [32, 1], "tanh", seed=0)
    parameters = [*(value for row in table for value in row), *net.parameters()]

    def cost(text):
        return sum(net(ts.lookup(table, word)) ** 2 for word in text)

    return cost, parameters, (random.integers(0, words, size=(16, length)),)


def lookups(n, rows):
    """The sum of n numbers that are looked up in a table, each times a constant."""
    random = np.random.default_rng(0)
    table = [ts.Value(number) for number in random.normal(size=rows)]
    texts = random.integers(0, rows, size=(4, n))
    return lambda text: sum(ts.lookup(table, word) * 0.5 for word in text), table, (texts,)


def conditions(n):
    """A loop in which each example takes its own side."""
    w = [ts.Value(0.3), ts.Value(0.6)]

    def cost(x):
        z = x
        for _ in range(n // 7):
            z = ts.cond(ts.greater(z, 0.3), lambda z=z: z * w[0] + x, lambda z=z: ts.tanh(z) + w[1])
        return z

    return cost, w, (np.linspace(-1.0, 1.0, 8),)


def penalty(n, hidden):
    """The square of a network and of its gradient with respect to the inputs: derivatives of derivatives."""
    net = ts.MLP(n, [hidden, hidden, 1], "tanh", seed=0)

    def cost(x):
        y = net(x)
        return y * y + sum(d * d for d in ts.gradient(y, x))

    return cost, net.parameters(), (np.random.default_rng(0).normal(size=(32, n)),)


def outputs(n, hidden, k):
    """The k outputs of a network and their Jacobian."""
    net = ts.MLP(n, [hidden, k], "tanh", seed=0)
    return net, net.parameters(), (np.random.default_rng(0).normal(size=(16, n)),)


def examples(make, *sizes):
    """With 16 examples."""
    cost, params, arrays = make(*sizes)
    return cost, params, [np.resize(array, (16, *array.shape[1:])) for array in arrays]


def each_example(make, *sizes):
    """The values and gradients of 16 examples, each by itself."""
    return *examples(make, *sizes), {"reduce": None}


def with_inputs(make, *sizes):
    """With the derivatives with respect to the arguments."""
    return *make(*sizes), {"wrt_inputs": True}


SMALL = [(network, sizes) for sizes in ((3, 1), (2, 16, 16, 1), (20, 64, 64, 1))]
SMALL += [(mixture, (32, 10)), (captured, (5_000,)), (parameters, (10_000,))]
SMALL += [(irregular, (20_000,)), (chain, (20_000,))]
LARGE = [(network, (784, 128, 10)), (network, (784, 640, 10)), (with_inputs, (network, 784, 128, 10))]
LARGE += [(network_in_lists, (784, 128)), (mixture, (64, 10)), (attention, (24, 16, 2)), (gru, (50, 16))]
LARGE += [(make, (n,)) for make in (irregular, chain) for n in (100_000, 1_000_000)]
LARGE += [(fold, (200_000,)), (fold, (1_000_000,)), (log_sum_exp, (1_280_000,))]
LARGE += [(make, (1_000_000,)) for make in (tree, grid, recurrent, convolution)]
LARGE += [(lstm, (1024,)), (determinant, (8,)), (determinant, (9,)), (elimination, (110,)), (conditions, (100_000,))]
LARGE += [(embedding, (5_000, 16, 64)), (lookups, (25_000, 10_000)), (penalty, (16, 64)), (outputs, (784, 128, 3))]
LARGE += [(each_example, (network, 784, 128, 1)), (each_example, (irregular, 100_000))]
LARGE += [(examples, (irregular, 100_000)), (last_numbers, (10_000, 100)), (last_numbers, (100_000, 100))]
LARGE += [(many_outputs, (12_000, 6_000))]

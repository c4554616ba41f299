"""The time `vectorize` takes to compile: the first call of what it returns (from trace to check).

Each case runs in its own process, after a first call of a tiny function, and prints the milliseconds of the first call
and of the function itself, which the first call runs twice; the microseconds for each node of one example's graph; and
the bytes for each node that the first call takes beyond a graph of the function.
`python benchmarks/compiling.py small` runs those of at most 30,000 nodes.
"""

from __future__ import annotations

import functools
import itertools
import math
import multiprocessing
import operator
import resource
import statistics
import sys
import time

import numpy as np

import tinygrad_scalar as ts
from tinygrad_scalar.engine.graph import topological_order

RUNS = 7  # of a small case; 3 of a large one


def network(*sizes):
    """The squared error of a tanh network: nearly all of it repeats."""
    random = np.random.default_rng(0)
    net = ts.MLP(sizes[0], list(sizes[1:]), "tanh", seed=0)
    arrays = random.normal(size=(128, sizes[0])), random.normal(size=(128, sizes[-1]))
    return lambda x, y: ts.squared_error(net(x), y), net.parameters(), arrays


def irregular(n):
    """n random operations: nothing repeats."""
    random = np.random.default_rng(0)
    params = [ts.Value(number) for number in random.uniform(-1.0, 1.0, 10)]
    plan = list(zip(random.integers(0, 3, n).tolist(), random.random(n).tolist()))
    operations = [operator.add, operator.mul, lambda p, q: ts.tanh(p)]

    def cost(x):
        nodes = [*params, *x]
        for kind, place in plan:
            nodes.append(operations[kind](nodes[-1], nodes[int(place * len(nodes))]))
        return nodes[-1]

    return cost, params, (random.uniform(-1.0, 1.0, size=(4, 10)),)


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


def captured(n):
    """Little work, by a function that can read an array, a table and a dict of n numbers each."""
    random = np.random.default_rng(0)
    array, table = random.normal(size=n), random.normal(size=(n // 4, 4)).tolist()
    settings = {str(k): float(k) for k in range(n)}
    w = ts.Value(0.5)
    return lambda x: w * x * float(array[0]) + table[1][2] * settings["3"], [w], (np.linspace(-1.0, 1.0, 4),)


SMALL = [(network, sizes) for sizes in ((3, 1), (2, 16, 16, 1), (20, 64, 64, 1))]
SMALL += [(captured, (5_000,)), (parameters, (10_000,)), (irregular, (20_000,)), (chain, (20_000,))]
LARGE = [(network, (784, 128, 10)), (network, (784, 640, 10))]
LARGE += [(make, (n,)) for make in (irregular, chain) for n in (100_000, 1_000_000)]
LARGE += [(fold, (200_000,)), (fold, (1_000_000,)), (log_sum_exp, (1_280_000,))]
LARGE += [(make, (1_000_000,)) for make in (tree, grid, recurrent, convolution)]
LARGE += [(lstm, (1024,)), (determinant, (8,)), (determinant, (9,))]


def peak():
    """The most memory that this process has had, in kilobytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def first_call(make, sizes, answer):
    cost, params, arrays = make(*sizes)
    tiny = ts.Value(1.0)
    ts.vectorize(lambda x: tiny * x, [tiny])(np.ones(1))  # imports what it needs
    arguments = [values_of(array[0]) for array in arrays]
    cost(*arguments)
    start = time.perf_counter()
    root = cost(*arguments)
    alone = time.perf_counter() - start
    nodes = len(topological_order(root))
    del root
    run = ts.vectorize(cost, params)
    before, start = peak(), time.perf_counter()
    run(*arrays)
    seconds, kilobytes = time.perf_counter() - start, peak() - before
    answer.send((seconds, alone, kilobytes, nodes))


def values_of(numbers):
    return [values_of(part) for part in numbers] if np.ndim(numbers) else ts.Value(numbers)


def main():
    for make, sizes in SMALL if sys.argv[1:] == ["small"] else SMALL + LARGE:
        results = []
        for _ in range(RUNS if (make, sizes) in SMALL else 3):
            answer, theirs = multiprocessing.Pipe()
            process = multiprocessing.Process(target=first_call, args=(make, sizes, theirs))
            process.start()
            theirs.close()  # so that recv() raises if the process fails
            results.append(answer.recv())
            process.join()
        seconds, alone, kilobytes, nodes = (statistics.median(column) for column in zip(*results))
        name = f"{make.__name__} {'-'.join(map(str, sizes))}"
        each, size = 1e6 * seconds / nodes, 1024 * kilobytes / nodes
        print(
            f"{name:22} {nodes:>9,} nodes {1e3 * seconds:8.1f} ms (function {1e3 * alone:6.1f} ms), "
            f"{each:7.2f} µs and {size:5.0f} bytes per node"
        )


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    main()

"""The time `vectorize` takes to compile: the first call of what it returns (from trace to check).

Each case runs in its own process, after a first call of a tiny function, and prints milliseconds, microseconds per node
of one example's graph, and added memory. `python benchmarks/compiling.py small` runs those of at most 30,000 nodes.
"""

from __future__ import annotations

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


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def first_call(make, sizes, answer):
    cost, params, arrays = make(*sizes)
    tiny = ts.Value(1.0)
    ts.vectorize(lambda x: tiny * x, [tiny])(np.ones(1))  # imports what it needs
    run = ts.vectorize(cost, params)
    before, start = peak(), time.perf_counter()
    run(*arrays)
    seconds, megabytes = time.perf_counter() - start, peak() - before
    examples = [array[0] for array in arrays]
    root = cost(*([ts.Value(number) for number in x] if np.ndim(x) else ts.Value(x) for x in examples))
    answer.send((seconds, megabytes, len(topological_order(root))))


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
        seconds, megabytes = (statistics.median(column) for column in list(zip(*results))[:2])
        nodes = results[0][2]
        name = f"{make.__name__} {'-'.join(map(str, sizes))}"
        each = 1e6 * seconds / nodes
        print(f"{name:22} {nodes:>9,} nodes {1e3 * seconds:8.1f} ms, {each:7.2f} µs per node, +{megabytes:4.0f} MB")


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    main()

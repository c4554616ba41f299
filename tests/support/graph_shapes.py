"""Functions whose graphs have many shapes: each of a number of operations gives a cost and its parameters."""

import functools
import itertools
import math
import random

import tinygrad_scalar as ts
from tinygrad_scalar import Value


def chain(n):
    w = Value(0.5)
    return lambda x: functools.reduce(lambda z, _: z * w + x, range(n // 2), x), [w]


def fold(n):
    w = [Value(float(k * 37 % 101)) for k in range(n // 2)]
    return lambda x: functools.reduce(ts.maximum, [p * x for p in w]), w


def tree(n):
    w = [Value(0.1 * k) for k in range(n // 3)]

    def cost(x):
        nodes = [p * x for p in w]
        while len(nodes) > 1:
            nodes = [ts.tanh(a * b) for a, b in zip(nodes[::2], nodes[1::2])]
        return nodes[0]

    return cost, w


def grid(n):
    w, v = Value(0.3), Value(0.4)
    side = int((n / 3) ** 0.5)

    def cost(x):
        row = [x] * side
        for _ in range(side):
            left = x
            for j in range(side):
                left = row[j] = w * left + v * row[j]
        return row[-1]

    return cost, [w, v]


def irregular(n):
    w = [Value(0.1 * k) for k in range(10)]
    numbers = random.Random(0)
    plan = [(numbers.randrange(3), numbers.random()) for _ in range(n)]

    def cost(x):
        nodes = [*w, x]
        for kind, place in plan:
            a, b = nodes[-1], nodes[int(place * len(nodes))]
            nodes.append(a + b if kind == 0 else a * b if kind == 1 else ts.tanh(a))
        return nodes[-1]

    return cost, w


def recurrent(n):
    w, u = Value(0.5, "w"), Value(0.3, "u")
    return lambda x: functools.reduce(lambda h, _: ts.tanh(w * h + u * x), range(n // 4), x), [w, u]


def log_sum_exp(n):
    w = [Value(0.01 * k) for k in range(n // 3)]
    return lambda x: ts.log(sum(ts.exp(p * x) for p in w)), w


def elimination(n):
    """The determinant by Gaussian elimination, in which sums have terms of ever more colours."""
    size = int((1.5 * n) ** (1 / 3))
    w = [Value(math.sin(k)) for k in range(size * size)]

    def cost(x):
        a = [[w[size * i + j] + (4.0 * x if i == j else 0.0) for j in range(size)] for i in range(size)]
        for k, i in itertools.combinations(range(size), 2):
            factor = a[i][k] / a[k][k]
            a[i] = [*a[i][: k + 1], *(p - factor * q for p, q in zip(a[i][k + 1 :], a[k][k + 1 :]))]
        return functools.reduce(lambda product, k: product * 0.1 * a[k][k], range(size), 1.0)

    return cost, w


SHAPES = [chain, fold, tree, grid, irregular, recurrent, log_sum_exp, elimination]


def stable_log_sum_exp(n):
    w = [Value(math.sin(k)) for k in range(n // 4)]

    def cost(x):
        largest = ts.max(w)
        return x * (largest + ts.log(ts.sum(ts.exp(p - largest) for p in w)))

    return cost, w


def triangle(n):
    """Sums of different lengths, above differences that are there twice."""
    side = int((2 * n / 3) ** 0.5)
    w = [[Value(math.sin(i + j)) for j in range(i + 1)] for i in range(side)]

    def cost(x):
        return sum(sum(p * (x - j) for j, p in enumerate(row)) ** 2 for row in w)

    return cost, [p for row in w for p in row]


def cancelling(n):
    """A variance of which rounding leaves few digits: the check has doubts."""
    w = [Value(1.0 + 1e-9 * k) for k in range(n // 3)]
    return lambda x: sum(p * p for p in w) / len(w) - (sum(w) / len(w)) ** 2 + x, w


def dense(n):
    """A network keeps what its last call computed: not the graph of the trace."""
    net = ts.MLP(1, [n // 300, 150, 1], "tanh", seed=0)
    return lambda x: net([x]) ** 2, net.parameters()


def conditional(n):
    """A loop in which each example takes its own side."""
    w = [Value(0.3), Value(0.6)]

    def step(z, _):
        return ts.cond(ts.greater(z, 0.3), lambda: z * w[0] + w[1], lambda: ts.tanh(z) + w[1])

    return lambda x: functools.reduce(step, range(n // 7), x), w


LARGE = [*SHAPES, triangle, stable_log_sum_exp, dense, conditional]

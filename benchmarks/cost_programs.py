"""Programs of many kinds to which `cost_model.py` fits its times; judged_programs.py has others to judge by.

Each is a function of a size that returns the cost of one example, its parameters and the shapes of its arguments; the
arguments are normal random numbers, integers below n for the shape ("int", n).
"""

from __future__ import annotations

import itertools
from functools import partial, reduce

import numpy as np
from cost_operations import ALL, ARITHMETIC, DIVISIONS, FUNCTIONS, OF_TWO, SLOW, branching, elementwise, irregular
from cost_values import flat, values

import tinygrad_scalar as ts


def dot(x, y):
    return sum(a * b for a, b in zip(x, y))


def affine(W, x, b):
    return [dot(row, x) + b_j for row, b_j in zip(W, b)]


def square_distance(x, y):
    return sum((a - b) ** 2 for a, b in zip(x, y))


def softmax(scores):
    largest = reduce(ts.maximum, scores)
    exponentials = [ts.exp(score - largest) for score in scores]
    total = sum(exponentials)
    return [e / total for e in exponentials]


def logsumexp(scores):
    largest = reduce(ts.maximum, scores)
    return largest + ts.log(sum(ts.exp(score - largest) for score in scores))


def network(sizes, activation):
    net = ts.MLP(sizes[0], list(sizes[1:]), activation, seed=0)
    nought = 0.0 if sizes[-1] == 1 else [0.0] * sizes[-1]
    return lambda x: ts.squared_error(net(x), nought), net.parameters(), [(sizes[0],)]


def largest(n):
    w = values(np.random.default_rng(n), n)
    return lambda x: reduce(ts.maximum, [w_i * x_i for w_i, x_i in zip(w, x)]), w, [(n,)]


def embedding(words, n):
    random = np.random.default_rng(n)
    table, v = values(random, words, n), values(random, n)
    return lambda i, y: (dot(ts.lookup(table, i), v) - y) ** 2, flat(table, v), [("int", words), ()]


def many_parameters(n):
    """Many parameters of which an example uses each once."""
    w = values(np.random.default_rng(n), n)
    return lambda x: sum(w_i * x for w_i in w), w, [()]


def sparse_sums(n, terms):
    random = np.random.default_rng(n)
    w = values(random, n)
    places = random.integers(0, n, (n, terms)).tolist()
    return lambda x: sum(ts.tanh(sum(w[i] * x[j] for i, j in itertools.pairwise(row))) for row in places), w, [(n,)]


def recurrent(steps, n):
    random = np.random.default_rng(n)
    W, U, b = values(random, n, n), values(random, n, 2), values(random, n)

    def cost(x):
        h = [0.0] * n
        for t in range(steps):
            h = [ts.tanh(a + c) for a, c in zip(affine(W, h, b), affine(U, x[2 * t : 2 * t + 2], [0.0] * n))]
        return sum(h)

    return cost, flat(W, U, b), [(2 * steps,)]


def example_products(n):
    """Products of numbers of the example with each other: no factor is the same for all."""
    w = values(np.random.default_rng(n), n, n)

    def cost(x, y):
        rows = [[a * w_ij for a, w_ij in zip(x, row)] for row in w]
        return sum(dot(row, y) * dot(row, x) for row in rows)

    return cost, flat(w), [(n,), (n,)]


def gram(n, d):
    """Products of an example's own matrix: of its n rows with each other, through a matrix of parameters."""
    W = values(np.random.default_rng(n), d, d)

    def cost(X):
        left = [affine(W, x, [0.0] * d) for x in X]
        return sum(ts.tanh(dot(a, b)) for a in left for b in X)

    return cost, flat(W), [(n, d)]


def distances(k, d):
    c = values(np.random.default_rng(k), k, d)
    return lambda x: sum(ts.sqrt(square_distance(c_j, x) + 0.1) for c_j in c), flat(c), [(d,)]


def pairs(n):
    """All products of two features."""
    w = values(np.random.default_rng(n), n * (n + 1) // 2)
    return lambda x: sum(w_ij * x[i] * x[j] for w_ij, (i, j) in zip(w, at_most(n))) ** 2, w, [(n,)]


def at_most(n):
    return [(i, j) for i in range(n) for j in range(i + 1)]


def products_of_sums(n, levels):
    """Sums over pairs of the level below, each times a parameter of its own."""
    random = np.random.default_rng(n)
    w = values(random, levels, n)
    places = random.integers(0, n, (levels, n, 4)).tolist()

    def cost(x):
        a = list(x)
        for row, of_row in zip(w, places):
            a = [(a[i] * a[j] + a[k] * a[m]) * w_i for w_i, (i, j, k, m) in zip(row, of_row)]
        return sum(a)

    return cost, flat(w), [(n,)]


def moving_average(steps):
    w, b = values(np.random.default_rng(steps), 2)

    def cost(x):
        mean, total = 0.0, 0.0
        for x_t in x:
            mean = mean + ts.sigmoid(w) * (x_t - mean)
            total = total + (x_t - b * mean) ** 2
        return total

    return cost, [w, b], [(steps,)]


def shortest_path(rows, columns):
    """The least sum of weights on a way through a grid."""
    w = values(np.random.default_rng(rows), rows, columns)

    def cost(x):
        above = [w[0][j] * x[j] for j in range(columns)]
        for row in w[1:]:
            above = [ts.minimum(above[j], above[j - 1]) + row[j] * x[j] for j in range(columns)]
        return sum(above)

    return cost, flat(w), [(columns,)]


def choice(d, k):
    W, b = values(np.random.default_rng(d), k, d), values(np.random.default_rng(k), k)

    def cost(x, y):
        return -sum(y_j * ts.log(p) for y_j, p in zip(y, softmax(affine(W, x, b))))

    return cost, flat(W, b), [(d,), (k,)]


def triangle(d):
    """The length of L x, with L a lower triangle whose diagonal is positive."""
    random = np.random.default_rng(d)
    low, q = [values(random, i) for i in range(d)], values(random, d)

    def cost(x):
        rows = [ts.exp(q_i) * x_i + dot(row, x) for q_i, row, x_i in zip(q, low, x)]
        return 0.5 * dot(rows, rows) - sum(q)

    return cost, flat(*low, q), [(d,)]


def filters(n, taps, k):
    """A signal of n numbers through k filters, each with a few weights that it uses everywhere."""
    w = values(np.random.default_rng(n), k, taps)

    def cost(x):
        windows = [x[i : i + taps] for i in range(n - taps + 1)]
        return sum(ts.softplus(dot(w_j, window)) for w_j in w for window in windows)

    return cost, flat(w), [(n,)]


def probits(d, k):
    """The log-likelihood of k yes-or-no answers with a normal link."""
    W = values(np.random.default_rng(d), k, d)
    return (
        lambda x, y: -sum(ts.log(0.5 + 0.499 * ts.erf(y_j * dot(row, x))) for row, y_j in zip(W, y)),
        flat(W),
        [(d,), (k,)],
    )


def gamma_regression(d):
    w, shape = values(np.random.default_rng(d), d), ts.Value(0.2)
    return lambda x, y: ts.exp(shape) * (dot(w, x) + (y**2 + 0.1) * ts.exp(-dot(w, x))), [*w, shape], [(d,), ()]


def gated(steps, n):
    """A recurrence in which each number goes on with itself alone."""
    w = values(np.random.default_rng(n), 5, n)

    def cost(x):
        h = [0.1] * n
        for x_t in x:
            z = [ts.sigmoid(a * x_t + b * h_j) for a, b, h_j in zip(w[0], w[1], h)]
            h = [z_j * h_j + (1.0 - z_j) * ts.tanh(c * x_t + e * h_j + g) for z_j, h_j, c, e, g in zip(z, h, *w[2:])]
        return sum(h_j**2 for h_j in h)

    return cost, flat(w), [(steps,)]


def predators(steps):
    """Lotka and Volterra's equations by Euler's method."""
    a, b, c, e = (ts.Value(number) for number in np.random.default_rng(steps).uniform(0.1, 0.5, 4))

    def cost(x):
        prey, hunters = ts.exp(0.1 * x[0]), ts.exp(0.1 * x[1])
        for _ in range(steps):
            met = 0.02 * prey * hunters
            prey, hunters = prey + 0.02 * a * prey - b * met, hunters - 0.02 * c * hunters + e * met
        return (prey - hunters) ** 2

    return cost, [a, b, c, e], [(2,)]


def continued_fraction(n):
    w = values(np.random.default_rng(n), n)
    return lambda x: reduce(lambda below, w_i: w_i * x / (1.0 + below**2), w, x), w, [()]


def next_word(words, n):
    """Which word follows two others, by the softmax of products with all of them."""
    random = np.random.default_rng(n)
    table, bias = values(random, words, n), values(random, words)

    def cost(i, j, k):
        context = [a + b for a, b in zip(ts.lookup(table, i), ts.lookup(table, j))]
        scores = affine(table, context, bias)
        return logsumexp(scores) - ts.lookup(scores, k)

    return cost, flat(table, bias), [("int", words)] * 3


def mixed(n, k):
    """k mixtures of n numbers with weights that are positive and have the sum 1."""
    W = values(np.random.default_rng(n), k, n)
    return lambda x, y: sum((dot(softmax(row), x) - y_j) ** 2 for row, y_j in zip(W, y)), flat(W), [(n,), (k,)]


def kinetic(n):
    """The energy of a chain of n points with a spring between neighbours, and walls."""
    k = values(np.random.default_rng(n), n)

    def cost(x):
        springs = sum(k_i * (b - a) ** 2 for k_i, (a, b) in zip(k, itertools.pairwise(x)))
        return springs + sum(ts.maximum(ts.abs(a) - 1.0, 0.0) ** 2 for a in x)

    return cost, k, [(n,)]


def pyramid(n, taps):
    """A signal that gets half as long with each level, through one filter."""
    w = values(np.random.default_rng(n), taps)

    def cost(x):
        total = 0.0
        while len(x) > taps:
            x = [dot(w, x[i : i + taps]) for i in range(0, len(x) - taps + 1, 2)]
            total = total + sum(ts.maximum(a, 0.0) for a in x)
        return total

    return cost, w, [(n,)]


def soft_path(rows, columns):
    """As `shortest_path`, but each step mixes both ways."""
    w = values(np.random.default_rng(rows), rows, columns)

    def cost(x):
        above = [w[0][j] * x[j] for j in range(columns)]
        for row in w[1:]:
            above = [logsumexp([above[j], above[j - 1]]) + row[j] * x[j] for j in range(columns)]
        return sum(above)

    return cost, flat(w), [(columns,)]


def of_lists(n, k, name):
    """A function of k lists of n numbers."""
    w, function = values(np.random.default_rng(n), k, n), getattr(ts, name)
    return lambda x: sum(function([w_i * x_i for w_i, x_i in zip(row, x)]) for row in w), flat(w), [(n,)]


FITTED = [
    *(partial(pairs, n) for n in (4, 30)),
    *(partial(products_of_sums, n, levels) for n, levels in ((4, 3), (40, 5), (150, 4))),
    *(partial(moving_average, steps) for steps in (8, 120)),
    *(partial(shortest_path, rows, columns) for rows, columns in ((4, 5), (15, 20))),
    *(partial(choice, d, k) for d, k in ((3, 3), (40, 12), (300, 8))),
    *(partial(gram, n, d) for n, d in ((3, 2), (8, 6), (20, 10))),
    *(partial(distances, k, d) for k, d in ((4, 3), (30, 12), (150, 20))),
    *(partial(network, sizes, "tanh") for sizes in ((2, 3, 1), (2, 16, 16, 1), (64, 32, 10), (200, 50, 5))),
    *(partial(network, sizes, "tanh") for sizes in ((8, 100, 1), (5, 1))),
    *(partial(network, sizes, "relu") for sizes in ((4, 8, 1), (10, 10, 10, 10, 2), (100, 100, 1))),
    *(partial(network, sizes, "sigmoid") for sizes in ((1, 20, 1), (30, 60, 3))),
    *(partial(irregular, n, 6, kinds) for n in (30, 300, 2_000) for kinds in (ARITHMETIC, FUNCTIONS, DIVISIONS, SLOW)),
    *(partial(irregular, n, 10, ALL) for n in (100, 1_000, 5_000)),
    *(partial(elementwise, n, function) for n in (4, 60, 600) for function in OF_TWO),
    *(partial(branching, n, width) for n, width in ((3, 2), (40, 3), (12, 20))),
    *(partial(largest, n) for n in (10, 300)),
    *(partial(of_lists, n, k, "max") for n, k in ((3, 2), (8, 8), (100, 3))),
    *(partial(of_lists, n, k, "logsumexp") for n, k in ((3, 2), (8, 8), (100, 3))),
    *(partial(embedding, words, n) for words, n in ((10, 4), (200, 8), (2_000, 16))),
    *(partial(many_parameters, n) for n in (20, 400, 5_000)),
    *(partial(sparse_sums, n, terms) for n, terms in ((10, 3), (100, 5), (600, 4))),
    *(partial(recurrent, steps, n) for steps, n in ((5, 3), (20, 8))),
    *(partial(example_products, n) for n in (4, 16, 40)),
    *(partial(triangle, d) for d in (3, 12, 60)),
    *(partial(filters, n, taps, k) for n, taps, k in ((12, 3, 2), (64, 5, 8), (300, 16, 4))),
    *(partial(probits, d, k) for d, k in ((3, 2), (30, 15))),
    *(partial(gamma_regression, d) for d in (4, 40, 800)),
    *(partial(gated, steps, n) for steps, n in ((4, 3), (25, 6), (60, 20))),
    *(partial(predators, steps) for steps in (10, 200)),
    *(partial(continued_fraction, n) for n in (6, 100)),
    *(partial(next_word, words, n) for words, n in ((8, 3), (100, 12))),
    *(partial(mixed, n, k) for n, k in ((4, 2), (40, 10))),
    *(partial(kinetic, n) for n in (8, 90)),
    *(partial(pyramid, n, taps) for n, taps in ((20, 3), (150, 5), (400, 4))),
    *(partial(soft_path, rows, columns) for rows, columns in ((6, 2), (12, 10))),
    *(partial(network, sizes, activation) for sizes, activation in (((6, 12, 2), "gelu"), ((20, 30, 30, 1), "silu"))),
    *(partial(network, sizes, "softplus") for sizes in ((2, 24, 1), (25, 60, 8))),
]

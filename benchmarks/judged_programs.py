"""Programs by which `cost_model.py judge` judges the choice of a way: others than those in cost_programs.py."""

from __future__ import annotations

import math
from functools import partial, reduce

import numpy as np
from cost_operations import ALL, irregular
from cost_programs import affine, dot, logsumexp, network, softmax, square_distance
from cost_values import flat, values

import tinygrad_scalar as ts


def mixture(d, k):
    random = np.random.default_rng(d)
    alpha, mu, q = values(random, k), values(random, k, d), values(random, k, d)
    low = values(random, k, d * (d - 1) // 2)

    def component(x, a, mu, q, low):
        c, squares = [x_i - m_i for x_i, m_i in zip(x, mu)], 0.0
        for i in range(d):
            squares = squares + (ts.exp(q[i]) * c[i] + sum(low[i * (i - 1) // 2 + j] * c[j] for j in range(i))) ** 2
        return a + sum(q) - 0.5 * squares

    cost = lambda x: logsumexp([component(x, *p) for p in zip(alpha, mu, q, low)])  # noqa: E731
    return cost, flat(alpha, mu, q, low), [(d,)]


def clusters(k, d):
    c = values(np.random.default_rng(k), k, d)
    return lambda x: reduce(ts.minimum, [square_distance(c_j, x) for c_j in c]), flat(c), [(d,)]


def polynomial(degree):
    c = values(np.random.default_rng(0), degree)
    return lambda t, s: (s - reduce(lambda total, c_j: total * (0.1 * t) + c_j, c)) ** 2, c, [(), ()]


def radial_basis(k, d):
    random = np.random.default_rng(k)
    c, w, b = values(random, k, d), values(random, k), values(random, k)
    cost = lambda x, y: (dot(w, [ts.exp(-square_distance(c_j, x) * b_j**2) for c_j, b_j in zip(c, b)]) - y) ** 2  # noqa: E731
    return cost, flat(c, w, b), [(d,), ()]


def classes(d, k):
    W, b = values(np.random.default_rng(d), k, d), values(np.random.default_rng(k), k)
    return lambda x: logsumexp(affine(W, x, b)) - dot(W[0], x), flat(W, b), [(d,)]


def hidden_markov(states, steps):
    random = np.random.default_rng(states)
    T, mu = values(random, states, states), values(random, states)

    def cost(x):
        alpha = [0.0] * states
        for t in range(steps):
            alpha = [
                logsumexp([a + row[j] for a, row in zip(alpha, T)]) - 0.5 * (x[t] - mu[j]) ** 2 for j in range(states)
            ]
        return -logsumexp(alpha)

    return cost, flat(T, mu), [(steps,)]


def kalman(steps):
    q, r, a = values(np.random.default_rng(0), 3)

    def cost(x):
        mean, variance, total = 0.0, 1.0, 0.0
        for t in range(steps):
            mean, variance = a * mean, a**2 * variance + ts.exp(q)
            s = variance + ts.exp(r)
            error = x[t] - mean
            total = total + ts.log(s) + error**2 / s
            gain = variance / s
            mean, variance = mean + gain * error, (1.0 - gain) * variance
        return total

    return cost, [q, r, a], [(steps,)]


def attention(positions, d):
    random = np.random.default_rng(d)
    Q, K, V = (values(random, d, d) for _ in range(3))

    def cost(X):
        q, k, v = ([affine(W, x, [0.0] * d) for x in X] for W in (Q, K, V))
        rows = [softmax([dot(a, b) / math.sqrt(d) for b in k]) for a in q]
        return sum(dot(row, column) ** 2 for row in rows for column in zip(*v))

    return cost, flat(Q, K, V), [(positions, d)]


def convolution(size, channels):
    random = np.random.default_rng(size)
    kernels = values(random, channels, 3, 3)

    def cost(image):
        return sum(
            ts.relu(sum(k[a][c] * image[i + a][j + c] for a in range(3) for c in range(3)))
            for k in kernels
            for i in range(size - 2)
            for j in range(size - 2)
        )

    return cost, flat(kernels), [(size, size)]


def charges(n):
    """The energy of n charges with n − 1 others."""
    q = values(np.random.default_rng(n), n)

    def cost(x):
        places = [x[3 * i : 3 * i + 3] for i in range(n)]
        return sum(
            q[i] * q[j] / ts.sqrt(square_distance(places[i], places[j]) + 0.01) for i in range(n) for j in range(i)
        )

    return cost, q, [(3 * n,)]


def pendulum(steps):
    length, friction = values(np.random.default_rng(0), 2)

    def cost(x):
        angle, speed = x[0], x[1]
        for _ in range(steps):
            speed = speed - 0.05 * (ts.sin(angle) * ts.exp(length) + friction * speed)
            angle = angle + 0.05 * speed
        return angle**2

    return cost, [length, friction], [(2,)]


def option(n):
    """The prices of n options by Black and Scholes."""
    sigma, rate = values(np.random.default_rng(0), 2)

    def cost(strikes, spot):
        total, s = 0.0, ts.exp(sigma)
        for k in strikes:
            d1 = (spot - k + (rate + 0.5 * s**2)) / s
            d2 = d1 - s
            total = total + ts.exp(spot) * (1 + ts.erf(d1)) - ts.exp(k - rate) * (1 + ts.erf(d2))
        return total

    return cost, [sigma, rate], [(n,), ()]


def factorization(users, items, k):
    random = np.random.default_rng(k)
    U, V = values(random, users, k), values(random, items, k)
    cost = lambda u, i, y: (dot(ts.lookup(U, u), ts.lookup(V, i)) - y) ** 2  # noqa: E731
    return cost, flat(U, V), [("int", users), ("int", items), ()]


def determinant(n):
    w = values(np.random.default_rng(n), n, n)

    def minors(rows, columns):
        if len(columns) == 1:
            return rows[0][columns[0]]
        rest = [minors(rows[1:], columns[:j] + columns[j + 1 :]) for j in range(len(columns))]
        return sum((-1) ** j * rows[0][c] * minor for j, (c, minor) in enumerate(zip(columns, rest)))

    return lambda x: minors([[a + x for a in row] for row in w], tuple(range(n))), flat(w), [()]


def lstm(steps, n):
    random = np.random.default_rng(n)
    w, b = values(random, 4, n), values(random, 4, n)

    def cost(x):
        h, c = [0.0] * n, [0.0] * n
        for t in range(steps):
            for j in range(n):
                f, i, o = (ts.sigmoid(w[k][j] * x[t] + b[k][j] * h[j]) for k in range(3))
                c[j] = f * c[j] + i * ts.tanh(w[3][j] * h[j] + b[3][j])
                h[j] = o * ts.tanh(c[j])
        return sum(h)

    return cost, flat(w, b), [(steps,)]


def counts(d):
    """A Poisson regression."""
    w, b = values(np.random.default_rng(d), d), ts.Value(0.0)

    def cost(x, y):
        rate = dot(w, x) * 0.1 + b
        return ts.exp(rate) - rate * y

    return cost, [*w, b], [(d,), ()]


def robust(d):
    """A regression with Student's t."""
    w, scale = values(np.random.default_rng(d), d), ts.Value(0.1)
    return lambda x, y: scale + 2.0 * ts.log1p((y - dot(w, x)) ** 2 * ts.exp(-2.0 * scale)), [*w, scale], [(d,), ()]


def soft_tree(depth, d):
    random = np.random.default_rng(depth)
    W, leaves = values(random, 2**depth - 1, d), values(random, 2**depth)

    def cost(x, y):
        def at(node, level):
            if level == depth:
                return leaves[node - 2**depth + 1]
            p = ts.sigmoid(dot(W[node], x))
            return p * at(2 * node + 1, level + 1) + (1.0 - p) * at(2 * node + 2, level + 1)

        return (at(0, 0) - y) ** 2

    return cost, flat(W, leaves), [(d,), ()]


def spins(n):
    """A ring of n spins with couplings, and fields that the example gives."""
    J = values(np.random.default_rng(n), n)

    def cost(x):
        s = [ts.tanh(x_i) for x_i in x]
        return -sum(J[i] * s[i - 1] * s[i] + 0.1 * s[i] ** 4 for i in range(n))

    return cost, J, [(n,)]


def bilinear(n, k):
    W = values(np.random.default_rng(n), n, k)
    return lambda x, y: sum(x_i * dot(row, y) for x_i, row in zip(x, W)) ** 2, flat(W), [(n,), (k,)]


def wavelets(n):
    """A cascade that halves a signal with a filter of 4."""
    h = values(np.random.default_rng(n), 4)

    def cost(x):
        total = 0.0
        while len(x) > 4:
            x = [sum(h[k] * x[(2 * i + k) % len(x)] for k in range(4)) for i in range(len(x) // 2)]
            total = total + sum(ts.abs(a) for a in x)
        return total

    return cost, h, [(n,)]


JUDGED = [
    *(partial(mixture, d, k) for d, k in ((2, 3), (8, 5), (24, 8))),
    *(partial(clusters, k, d) for k, d in ((3, 2), (20, 8), (100, 16))),
    *(partial(polynomial, degree) for degree in (4, 20, 128)),
    *(partial(radial_basis, k, d) for k, d in ((5, 2), (50, 10))),
    *(partial(classes, d, k) for d, k in ((4, 3), (50, 10), (400, 10))),
    *(partial(hidden_markov, states, steps) for states, steps in ((2, 10), (6, 30))),
    *(partial(kalman, steps) for steps in (5, 50, 500)),
    *(partial(attention, positions, d) for positions, d in ((4, 4), (12, 8))),
    *(partial(convolution, size, channels) for size, channels in ((6, 2), (16, 4))),
    *(partial(charges, n) for n in (3, 12, 30)),
    *(partial(pendulum, steps) for steps in (30, 1_000)),
    *(partial(option, n) for n in (1, 10, 100)),
    *(partial(factorization, users, items, k) for users, items, k in ((20, 30, 4), (1_000, 500, 8))),
    *(partial(determinant, n) for n in (3, 5, 6)),
    *(partial(lstm, steps, n) for steps, n in ((5, 4), (50, 10))),
    *(partial(counts, d) for d in (3, 30, 500)),
    *(partial(robust, d) for d in (2, 25, 300)),
    *(partial(soft_tree, depth, d) for depth, d in ((2, 5), (5, 10))),
    *(partial(spins, n) for n in (6, 50, 400)),
    *(partial(bilinear, n, k) for n, k in ((3, 3), (20, 20), (60, 40))),
    *(partial(wavelets, n) for n in (16, 64, 256)),
    *(partial(irregular, n, arguments, ALL[::2]) for n, arguments in ((50, 3), (400, 20), (3_000, 40))),
    *(partial(network, sizes, "softplus") for sizes in ((3, 5, 1), (12, 40, 20, 3))),
]

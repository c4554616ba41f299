"""Programs of single operations, for cost_programs.py: of each kind of KINDS in cost_model.py one at least."""

from __future__ import annotations

import numpy as np
from cost_values import values

import tinygrad_scalar as ts


def irregular(operations, arguments, kinds):
    """Random operations on recent numbers; half of them on any."""
    random = np.random.default_rng(operations)
    p = values(random, 8)
    plan = [(int(random.integers(len(kinds))), *random.random(2).tolist()) for _ in range(operations)]

    def cost(x):
        made = [*p, *x]
        for kind, i, j in plan:
            a, b = made[-1 - int(i * min(20, len(made)))], made[int(j * len(made))]
            made.append(kinds[kind](a, b))
        return sum(made[-10:]) * 0.1

    return cost, p, [(arguments,)]


ARITHMETIC = [lambda a, b: (a + b) * 0.5, lambda a, b: (a - b) * 0.5, lambda a, b: a * b * 0.5, ts.maximum]
FUNCTIONS = [lambda a, b: ts.tanh(a + b), lambda a, b: ts.exp(-(a**2)) * b, lambda a, b: ts.sigmoid(a - b) + a]
DIVISIONS = [lambda a, b: a / (b**2 + 1.0), lambda a, b: ts.sqrt(a**2 + 1.0) - b]
SLOW = [lambda a, b: ts.sin(a * b), lambda a, b: ts.atan(a) + b, lambda a, b: ts.erf(a) * b]
ALL = ARITHMETIC + FUNCTIONS + DIVISIONS + SLOW


OF_TWO = [
    lambda a, b: (a + b) * a,
    lambda a, b: ts.maximum(a, b),
    lambda a, b: ts.where(ts.greater(a, b), a * b, b),
    lambda a, b: a / (b**2 + 1.0),
    lambda a, b: ts.sqrt(a**2 + b**2),
    lambda a, b: ts.exp(a * b),
    lambda a, b: ts.tanh(a * b),
    lambda a, b: ts.log(a**2 + b**2),
    lambda a, b: ts.sin(a * b),
    lambda a, b: ts.atan(a * b),
    lambda a, b: ts.erf(a * b),
    lambda a, b: (a * b) ** 3,
    lambda a, b: (a * b) ** 5,
    lambda a, b: (a**2 + b**2) ** 1.7,
    lambda a, b: ts.gelu(a * b),
    lambda a, b: ts.softplus(a - b),
    lambda a, b: ts.exp2(a * b),
    lambda a, b: ts.asinh(a * b),
    lambda a, b: ts.tan(a * b * 0.1),
    lambda a, b: ts.hypot(a, b),
    lambda a, b: (a**2 + 0.5) ** b,
]


def number_of(kinds):
    """Which of the lists of operations, or of the functions of two numbers, this is."""
    return [ARITHMETIC, FUNCTIONS, DIVISIONS, SLOW, ALL, ALL[::2], *OF_TWO].index(kinds)


def elementwise(n, function):
    """One function of n numbers, each with a weight."""
    w = values(np.random.default_rng(n), n)
    return lambda x: sum(function(w_i, x_i) for w_i, x_i in zip(w, x)), w, [(n,)]


def branching(n, width):
    """Steps in which each example takes its own side."""
    w = values(np.random.default_rng(n), width, 2)

    def cost(x):
        for k in range(n):
            x = [
                ts.cond(ts.greater(a, 0.1), lambda: a * u - x[j - 1], lambda: ts.tanh(a) + v + 0.1 * k)  # noqa: B023
                for j, (a, (u, v)) in enumerate(zip(x, w))
            ]
        return sum(a * a for a in x)

    return cost, [leaf for row in w for leaf in row], [(width,)]

"""The cost of compiled derivatives: a gradient relative to its value, second derivatives relative to a gradient.

Three functions of a vector: Rosenbrock's in 100 variables, the cost of a 2-16-16-1 network over 20 examples as a
function of its 337 parameters, and 2,000 random operations on 20 numbers. With compiled=True: the value and gradient
beside the value, a Hessian times a vector beside the gradient, and the whole Hessian. The candidates run in turn, in
CPU time; medians of the ratios. What `ts.gradient` costs beside `backward()` is in engine.py.
"""

from __future__ import annotations

import random
import statistics
import time
from itertools import pairwise

import numpy as np

import tinygrad_scalar as ts

ROUNDS = 21
SIZES = (2, 16, 16, 1)
EXAMPLES = np.random.default_rng(0).normal(size=(20, 2)).tolist()


def rosenbrock(x):
    return ts.sum([100.0 * (x[i + 1] - x[i] ** 2) ** 2 + (1.0 - x[i]) ** 2 for i in range(len(x) - 1)])


def network(parameters):
    """The mean squared distance of the network's outputs from 0.5."""
    costs = []
    for a in EXAMPLES:
        start = 0
        for n_in, n_out in pairwise(SIZES):
            z = []
            for _ in range(n_out):
                z.append(sum((w * x for w, x in zip(parameters[start:], a)), parameters[start + n_in]))
                start += n_in + 1
            a = [ts.tanh(each) for each in z]
        costs.append((a[0] - 0.5) ** 2)
    return ts.sum(costs) / len(costs)


STEPS = [
    lambda x, y: x * y,
    lambda x, y: (x + y) * 0.5,
    lambda x, y: ts.tanh(x - y),
    lambda x, y: ts.sigmoid(x),
    lambda x, y: ts.sin(y),
    lambda x, y: x / (y * y + 1.0),
    lambda x, y: ts.exp(x) * 0.3,
]


def irregular(x, operations=2_000):
    generator = random.Random(0)
    made = list(x)
    for _ in range(operations):
        recent = made[-200:]
        made.append(generator.choice(STEPS)(generator.choice(recent), generator.choice(recent)))
    return ts.sum(made[-50:])


def in_turn(*candidates):
    """CPU seconds a call of each candidate, in each round."""
    numbers = []
    for candidate in candidates:
        candidate()  # compiles
        start = time.process_time()
        candidate()
        numbers.append(max(1, round(0.01 / max(1e-6, time.process_time() - start))))
    rounds = []
    for _ in range(ROUNDS):
        times = []
        for candidate, number in zip(candidates, numbers):
            start = time.process_time()
            for _ in range(number):
                candidate()
            times.append((time.process_time() - start) / number)
        rounds.append(times)
    return rounds


def print_costs(f, x):
    value = ts.vectorize(f, [], wrt_inputs=True)
    both, gradient, hessian = (
        transformation(f, compiled=True) for transformation in (ts.value_and_grad, ts.grad, ts.hessian)
    )
    v = np.cos(x)
    rows = x.reshape(1, -1)
    rounds = in_turn(
        lambda: value.value(rows),
        lambda: both(x),
        lambda: gradient(x),
        lambda: ts.hvp(f, x, v, compiled=True),
        lambda: hessian(x),
    )
    value_time, both_time, _, product_time, hessian_time = (1e6 * statistics.median(times) for times in zip(*rounds))
    of_values = statistics.median(times[1] / times[0] for times in rounds)
    product, whole = (statistics.median(times[i] / times[2] for times in rounds) for i in (3, 4))
    print(
        f"{f.__name__}, {x.size} variables: value {value_time:.1f} µs; value and gradient {both_time:.1f} µs, "
        f"{of_values:.2f} values (asked: at most 4); Hessian times a vector {product_time:.1f} µs, "
        f"{product:.2f} gradients (asked: at most 4); Hessian {hessian_time:.1f} µs, {whole:.1f} gradients "
        f"(asked: at most {x.size + 10})"
    )


if __name__ == "__main__":
    n_parameters = sum((n_in + 1) * n_out for n_in, n_out in pairwise(SIZES))
    draw = np.random.default_rng(1)
    for f, size in ((rosenbrock, 100), (network, n_parameters), (irregular, 20)):
        x = draw.uniform(-0.5, 0.5, size)
        print_costs(f, x)

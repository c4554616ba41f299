"""A function in which almost nothing repeats: 10,000 random operations on 10 parameters and 10 inputs.

Value and gradient with the native engine (run the function, then `backward()`), with `vectorize` (its scalar
program) and, where it is installed, with ddx-ad's compiled kernel; for one example and for 1,000, in turn; medians.
"""

from __future__ import annotations

import importlib.util
import random
import statistics
import time

import numpy as np

import tinygrad_scalar as ts

OPERATIONS, LEAVES = 10_000, 10


def plan():
    """The operation of each step, and its operands: a recent number and any earlier one."""
    generator = random.Random(0)
    made, steps, operations = 2 * LEAVES, [], 0
    while operations < OPERATIONS:
        kind = generator.randrange(8)
        operations += (2, 2, 2, 2, 2, 2, 3, 2)[kind]
        steps.append((kind, generator.randrange(max(0, made - 200), made), generator.randrange(made)))
        made += 1
    return steps


STEPS = plan()


def run(library, leaves):
    """The sum of the last numbers that the steps compute."""
    made = list(leaves)
    for kind, i, j in STEPS:
        a, b = made[i], made[j]
        if kind == 0:
            made.append((a + b) * 0.5)
        elif kind == 1:
            made.append((a - b) * 0.5)
        elif kind == 2:
            made.append(a * b * 0.5)
        elif kind == 3:
            made.append(library.tanh(a + b))
        elif kind == 4:
            made.append(library.sin(a * b))
        elif kind == 5:
            made.append(a / (b + 3.0))
        elif kind == 6:
            made.append(library.exp(a * 0.3) * 0.4)
        else:
            made.append(library.cos(a - b))
    total = made[-1]
    for number in made[-50:-1]:
        total = total + number
    return total


def engine(theta, X):
    parameters = [ts.Value(number) for number in theta]

    def step():
        for row in X:
            run(ts, [*parameters, *map(ts.Value, row.tolist())]).backward()
        for p in parameters:
            p.grad = 0.0

    return step


def vectorized(theta, X):
    parameters = [ts.Value(number) for number in theta]
    program = ts.vectorize(lambda x: run(ts, [*parameters, *x]), parameters)
    return lambda: program(X)


def ddx_ad(theta, X):
    import ddx

    @ddx.equation
    def function():
        names = [ddx.var(f"p{i}") for i in range(LEAVES)], [ddx.param(f"x{i}") for i in range(LEAVES)]
        return run(ddx, [*names[0], *names[1]])

    function.compile(points=len(X))
    numbers = {f"p{i}": np.full(len(X), theta[i]) for i in range(LEAVES)} | {f"x{i}": X[:, i] for i in range(LEAVES)}
    points = np.ascontiguousarray([numbers[name] for name in function.inputs])
    call = function.buffer(points if len(X) > 1 else points[:, 0])

    def step():
        call()
        return np.mean(call.value), np.reshape(call.jacobian, (LEAVES, -1)).mean(axis=1)

    return step


def main():
    random = np.random.default_rng(0)
    for m in (1, 1000):
        theta, X = random.uniform(-1, 1, LEAVES), random.uniform(-1, 1, (m, LEAVES))
        candidates = {"our engine": engine, "vectorize": vectorized, "ddx-ad": ddx_ad}
        if m > 1:
            del candidates["our engine"]
        if importlib.util.find_spec("ddx") is None:
            del candidates["ddx-ad"]
        steps = {name: make(theta, X) for name, make in candidates.items()}
        times = {name: [] for name in steps}
        for step in steps.values():
            step()
        for _ in range(30):
            for name, step in steps.items():
                start = time.perf_counter()
                step()
                times[name].append(time.perf_counter() - start)
        print(f"{OPERATIONS:,} operations, {m:,} examples")
        for name, seconds in times.items():
            median = statistics.median(seconds)
            ratio = median / statistics.median(times["vectorize"])
            print(f"  {name:12} {1e6 * median:10.1f} µs, {ratio:6.2f} times vectorize")


if __name__ == "__main__":
    main()

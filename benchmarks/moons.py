"""One training step of micrograd's two-moons demonstration with different Values; see README.md.

The network is micrograd 0.1.0's own nn.py, so that only the class differs. The graph of the first step is built once
before the clock starts.
"""

import argparse
import importlib
import random
import statistics
import subprocess
import sys
import time

CANDIDATES = {"micrograd": "micrograd.engine", "slotted class": "slotted", "ours": "tinygrad_scalar"}


def moons(generator, m=100, noise=0.1):
    """Two interleaved half circles: points and their classes −1 and +1."""
    from math import cos, pi, sin

    X, y = [], []
    for i in range(m // 2):
        t = pi * i / (m // 2 - 1)
        for x0, x1, label in ((cos(t), sin(t), -1), (1.0 - cos(t), 0.5 - sin(t), 1)):
            X.append([x0 + generator.gauss(0.0, noise), x1 + generator.gauss(0.0, noise)])
            y.append(label)
    return X, y


def step_times(module, steps):
    """Seconds of each of `steps` training steps: forward, backward and update."""
    import micrograd.engine

    Value = importlib.import_module(module).Value
    micrograd.engine.Value = Value
    from micrograd.nn import MLP

    random.seed(1337)
    X, y = moons(random.Random(1337))
    model = MLP(2, [16, 16, 1])

    def cost():
        scores = [model([Value(x) for x in row]) for row in X]
        losses = [(1 + -label * score).relu() for label, score in zip(y, scores)]
        return sum(losses) * (1.0 / len(losses)) + 1e-4 * sum(p * p for p in model.parameters())

    cost()
    times = []
    for k in range(steps):
        start = time.perf_counter()
        total = cost()
        model.zero_grad()
        total.backward()
        learning_rate = 1.0 - 0.9 * k / 100
        for p in model.parameters():
            p.data -= learning_rate * p.grad
        times.append(time.perf_counter() - start)
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=10, help="steps in a process")
    parser.add_argument("--rounds", type=int, default=5, help="processes for each candidate, in turn")
    parser.add_argument("--candidate", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.candidate:
        print(statistics.median(step_times(CANDIDATES[options.candidate], options.steps)))
        return
    medians = {name: [] for name in CANDIDATES}
    for _ in range(options.rounds):
        for name, times in medians.items():
            command = [sys.executable, __file__, "--candidate", name, "--steps", str(options.steps)]
            times.append(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    first = statistics.median(medians["micrograd"])
    for name, times in medians.items():
        median = statistics.median(times)
        print(f"{name:14} {1e3 * median:8.1f} ms a step, {first / median:5.1f} times micrograd's speed")


if __name__ == "__main__":
    main()

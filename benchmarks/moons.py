"""One training step of micrograd's two-moons demo with different Values; see README.md.

The network is micrograd 0.1.0's own nn.py, so that only the class differs; one candidate uses our network, loss and
optimizer. The graph of the first step is built once before the clock starts.
"""

import argparse
import gc
import importlib
import os
import random
import statistics
import subprocess
import sys
import time

import numpy as np

CANDIDATES = {  # name: (module, whether it needs the plain Value)
    "micrograd": ("micrograd.engine", False),
    "slotted class": ("slotted", False),
    "ours, plain": ("tinygrad_scalar", True),
    "ours": ("tinygrad_scalar", False),
    "ours, our nn": ("tinygrad_scalar.nn.mlp", False),
    "ours, vectorized": ("tinygrad_scalar.vectorize", False),
}


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


def micrograds_step(module):
    """A training step with micrograd's networks over the Value of `module`: forward, backward and update."""
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

    def step(learning_rate):
        total = cost()
        model.zero_grad()
        total.backward()
        for p in model.parameters():
            p.data -= learning_rate * p.grad

    cost()
    return step


def our_step():
    """The same with our network, loss and optimizer."""
    from tinygrad_scalar import MLP, GradientDescent, cost, hinge

    X, y = moons(random.Random(1337))
    net = MLP(2, [16, 16, 1], "relu", "linear", seed=1337)
    descent = GradientDescent(net.parameters())

    def step(learning_rate):
        total = cost(hinge, [net(x) for x in X], y) + 1e-4 * sum(p * p for p in net.parameters())
        descent.zero_grad()
        total.backward()
        descent.learning_rate = learning_rate
        descent.step()

    return step


def vectorized_step():
    """The same with the array program of one example's cost."""
    from tinygrad_scalar import MLP, hinge, vectorize

    X, y = moons(random.Random(1337))
    net = MLP(2, [16, 16, 1], "relu", "linear", seed=1337)
    program = vectorize(lambda x, y: hinge(net(x), y) + 1e-4 * sum(p * p for p in net.parameters()), net.parameters())
    examples = np.array(X), np.array(y, float)
    program(*examples)

    def step(learning_rate):
        _, gradient = program(*examples)
        program.parameters -= learning_rate * gradient

    return step


OURS = {"tinygrad_scalar.nn.mlp": our_step, "tinygrad_scalar.vectorize": vectorized_step}


def step_times(candidate, steps):
    """Seconds of processor time of each of `steps` training steps."""
    module, _ = CANDIDATES[candidate]
    step = OURS[module]() if module in OURS else micrograds_step(module)
    times = []
    for k in range(steps):
        start = time.process_time()
        step(1.0 - 0.9 * k / 100)
        times.append(time.process_time() - start)
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=10, help="steps per process")
    parser.add_argument("--rounds", type=int, default=5, help="processes per candidate, taking turns")
    parser.add_argument("--without-gc", action="store_true", help="switch the garbage collector off for all candidates")
    parser.add_argument("--candidate", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.without_gc:
        gc.disable()
    if options.candidate:
        print(statistics.median(step_times(options.candidate, options.steps)))
        return
    medians = {name: [] for name in CANDIDATES}
    for _ in range(options.rounds):
        for name, times in medians.items():
            command = [sys.executable, __file__, "--candidate", name, "--steps", str(options.steps)]
            environment = {**os.environ, "TINYGRAD_SCALAR_PURE": "1" if CANDIDATES[name][1] else ""}
            run = subprocess.run(
                command + ["--without-gc"] * options.without_gc,
                env=environment, check=True, capture_output=True, text=True,
            )  # fmt: skip
            times.append(float(run.stdout))
    times = {name: statistics.median(column) for name, column in medians.items()}
    for name, median in times.items():
        print(
            f"{name:16} {1e3 * median:8.2f} ms a step, {times['micrograd'] / median:7.1f} times micrograd's speed, "
            f"{times['slotted class'] / median:6.1f} times the slotted class's"
        )


if __name__ == "__main__":
    main()

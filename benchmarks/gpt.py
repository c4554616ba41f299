"""A small language model, one scalar at a time: 1 layer, 16 wide, 4 heads, 16 positions, 27 characters.

microgpt's architecture (RMS norms, causal attention, a relu feed-forward block four times as wide, no biases), written
once in plain Python for any kind of number. Timed per document, forward and backward: a slotted class that stores
local gradients, as microgpt does; our engine; and `vectorize` over a batch of 32.
"""

from __future__ import annotations

import random
import statistics
import time

import numpy as np
import slotted

import tinygrad_scalar as ts

WIDTH, HEADS, POSITIONS, CHARACTERS, BATCH = 16, 4, 16, 27, 32
SHAPES = {
    "wte": (CHARACTERS, WIDTH), "wpe": (POSITIONS, WIDTH), "wq": (WIDTH, WIDTH), "wk": (WIDTH, WIDTH),
    "wv": (WIDTH, WIDTH), "wo": (WIDTH, WIDTH), "up": (4 * WIDTH, WIDTH), "down": (WIDTH, 4 * WIDTH),
    "head": (CHARACTERS, WIDTH),
}  # fmt: skip


def parameters(Value):
    """The matrices by name, as lists of rows, the same numbers each time."""
    generator = random.Random(0)
    return {
        name: [[Value(generator.gauss(0.0, 0.08)) for _ in range(columns)] for _ in range(rows)]
        for name, (rows, columns) in SHAPES.items()
    }


def dot(x, y):
    return sum(a * b for a, b in zip(x, y))


def linear(W, x):
    return [dot(w, x) for w in W]


def normalised(x):
    scale = (dot(x, x) / len(x) + 1e-5) ** -0.5
    return [value * scale for value in x]


def softmax(x):
    e = [value.exp() for value in x]
    total = sum(e)
    return [value / total for value in e]


def loss(p, tokens, targets, row):
    """The mean of −log of the probability of each next character; `row` looks up a row of a table."""
    keys, values, total = [], [], 0.0
    for t, (token, target) in enumerate(zip(tokens, targets)):
        x = normalised([a + b for a, b in zip(row(p["wte"], token), p["wpe"][t])])
        h = normalised(x)
        query = linear(p["wq"], h)
        keys.append(linear(p["wk"], h))
        values.append(linear(p["wv"], h))
        attended = []
        for start in range(0, WIDTH, WIDTH // HEADS):
            part = slice(start, start + WIDTH // HEADS)
            scores = [dot(query[part], key[part]) / (WIDTH // HEADS) ** 0.5 for key in keys]
            weights = softmax(scores)
            attended += [dot(weights, [value[j] for value in values]) for j in range(part.start, part.stop)]
        x = [a + b for a, b in zip(linear(p["wo"], attended), x)]
        x = [a + b for a, b in zip(linear(p["down"], [h.relu() for h in linear(p["up"], normalised(x))]), x)]
        total = total - row(softmax(linear(p["head"], x)), target).log()
    return total / len(tokens)


def scalar_step(Value):
    p = parameters(Value)
    flat = [w for matrix in p.values() for row in matrix for w in row]
    generator = random.Random(1)

    def step():
        tokens = [generator.randrange(CHARACTERS) for _ in range(POSITIONS + 1)]
        loss(p, tokens[:-1], tokens[1:], lambda table, i: table[i]).backward()
        for w in flat:
            w.grad = 0.0

    return step, 1


def vectorized_step():
    p = parameters(ts.Value)
    flat = [w for matrix in p.values() for row in matrix for w in row]
    run = ts.vectorize(lambda tokens, targets: loss(p, tokens, targets, ts.lookup), flat)
    tokens = np.random.default_rng(0).integers(0, CHARACTERS, (BATCH, POSITIONS + 1))
    return lambda: run(tokens[:, :-1], tokens[:, 1:]), BATCH


def main():
    candidates = {
        "slotted class": scalar_step(slotted.Value),
        "our engine": scalar_step(ts.Value),
        "vectorize": vectorized_step(),
    }
    times = {name: [] for name in candidates}
    for step, _ in candidates.values():
        step()
    for _ in range(7):
        for name, (step, documents) in candidates.items():
            start = time.perf_counter()
            for _ in range(1 if documents == 1 else 5):
                step()
            times[name].append((time.perf_counter() - start) / documents / (1 if documents == 1 else 5))
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    for name, seconds in medians.items():
        print(f"{name:14} {1e3 * seconds:9.3f} ms each, {medians['slotted class'] / seconds:7.1f} times as fast")


if __name__ == "__main__":
    main()

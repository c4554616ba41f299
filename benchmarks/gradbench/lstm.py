"""The loss of ADBench's long short-term memory: layers of 14 cells, a cell for each bit of a character.

From the bits x of a character: f = σ(w₁x + b₁), i = σ(w₂h + b₂), o = σ(w₃x + b₃), c ← cf + i tanh(w₄h + b₄) and
h ← o tanh c in each layer, whose h is the next one's x; the weights are diagonal. The prediction of the next character
is y = wh + b. The loss is −Σ yⱼ over its bits that are 1, each less log(2 + Σ exp yⱼ), a mean over all bits.
"""

from __future__ import annotations

import itertools

import numpy as np

import tinygrad_scalar as ts
from benchmarks.gradbench.oracle import complex_step

SIZES, TRIAL = [(2, 1_024), (2, 4_096)], (2, 6)
BITS = 14


def inputs(layers, characters):
    """Weights and biases of each layer's gates; those of input and output; the states' c and h; the text's bits."""
    random = np.random.default_rng(0)
    text = random.integers(0, 128, characters)[:, None] >> np.arange(BITS) & 1
    states = random.random((layers, 2, BITS))
    return random.random((layers, 2, 4, BITS)), random.random((3, BITS)), states, text.astype(float)


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def vectorized(gates, ends, states, text):
    G = [[[[ts.Value(a) for a in row] for row in part] for part in layer] for layer in gates.tolist()]
    E = [[ts.Value(a) for a in row] for row in ends.tolist()]

    def cost(text):
        h, c = (states[:, i].tolist() for i in range(2))
        total = 0.0
        for bits, following in itertools.pairwise(text):
            x = [w * bit for w, bit in zip(E[0], bits)]
            for layer, (w, b) in enumerate(G):
                for j in range(BITS):
                    forget = ts.sigmoid(x[j] * w[0][j] + b[0][j])
                    take = ts.sigmoid(h[layer][j] * w[1][j] + b[1][j])
                    out = ts.sigmoid(x[j] * w[2][j] + b[2][j])
                    change = ts.tanh(h[layer][j] * w[3][j] + b[3][j])
                    c[layer][j] = c[layer][j] * forget + take * change
                    h[layer][j] = out * ts.tanh(c[layer][j])
                x = h[layer]
            y = [x_j * w_j + b_j for x_j, w_j, b_j in zip(x, E[1], E[2])]
            of_all = ts.log(sum(ts.exp(y_j) for y_j in y) + 2.0)
            total = total + sum(bit * (y_j - of_all) for bit, y_j in zip(following, y))
        return -total / ((len(text) - 1) * BITS)

    run = ts.vectorize(cost, [a for layer in G for part in layer for row in part for a in row] + E[0] + E[1] + E[2])
    example = text[None]

    def step():
        value, gradient = run(example)
        return value, gradient[: gates.size], gradient[gates.size :]

    return step, lambda: cost([[ts.Value(bit) for bit in bits] for bits in text.tolist()])


def predicted(library, sigmoid, gates, ends, h, c, bits):
    """The next h, c and y over arrays; h and c are lists with an array for each layer."""
    x, new_h, new_c = bits * ends[0], [], []
    for (w, b), h_old, c_old in zip(gates, h, c):
        forget, take = sigmoid(x * w[0] + b[0]), sigmoid(h_old * w[1] + b[1])
        out, change = sigmoid(x * w[2] + b[2]), library.tanh(h_old * w[3] + b[3])
        new_c.append(c_old * forget + take * change)
        x = out * library.tanh(new_c[-1])
        new_h.append(x)
    return new_h, new_c, x * ends[1] + ends[2]


def torch(gates, ends, states, text):
    import torch

    gates, ends = (torch.tensor(array, requires_grad=True) for array in (gates, ends))
    states, text = torch.tensor(states), torch.tensor(text)

    def step():
        h, c, total = list(states[:, 0]), list(states[:, 1]), 0.0
        for bits, following in itertools.pairwise(text):
            h, c, y = predicted(torch, torch.sigmoid, gates, ends, h, c, bits)
            total = total + (following * (y - torch.log(torch.exp(y).sum() + 2.0))).sum()
        loss = -total / ((len(text) - 1) * BITS)
        return loss.detach(), *(g.reshape(-1) for g in torch.autograd.grad(loss, [gates, ends]))

    return step


def jax(gates, ends, states, text):
    import jax
    from jax import numpy as jnp

    def cost(parameters, states, text):
        def one(carry, both):
            h, c, y = predicted(jnp, jax.nn.sigmoid, *parameters, *carry, both[0])
            return (h, c), (both[1] * (y - jnp.log(jnp.exp(y).sum() + 2.0))).sum()

        _, terms = jax.lax.scan(one, (list(states[:, 0]), list(states[:, 1])), (text[:-1], text[1:]))
        return -terms.sum() / ((len(text) - 1) * BITS)

    run = jax.jit(jax.value_and_grad(cost))
    parameters, states, text = (jnp.asarray(gates), jnp.asarray(ends)), jnp.asarray(states), jnp.asarray(text)

    def step():
        value, gradient = jax.block_until_ready(run(parameters, states, text))
        return value, *(part.ravel() for part in gradient)

    return step


def oracle(gates, ends, states, text):
    def loss(flat):  # (…, number of parameters)
        G = np.moveaxis(flat[:, : gates.size].reshape(-1, *gates.shape), 0, -2)  # (layer, w or b, gate, …, cell)
        E = np.moveaxis(flat[:, gates.size :].reshape(-1, *ends.shape), 0, -2)
        h, c, total = list(states[:, 0]), list(states[:, 1]), 0.0
        for bits, following in itertools.pairwise(text):
            h, c, y = predicted(np, sigmoid, G, E, h, c, bits)
            total = total + (following * (y - np.log(np.exp(y).sum(-1, keepdims=True) + 2.0))).sum(-1)
        return -total / ((len(text) - 1) * BITS)

    value, gradient = complex_step(loss, np.concatenate([gates.ravel(), ends.ravel()]))
    return value, gradient[: gates.size], gradient[gates.size :]

"""A convolution, attention and a recurrent network, which `vectorize.py` times beside the fully connected networks.

Each has its parameters and examples, `example_cost`, the cost of one example in plain Values, and `cost`, the mean over
all examples for the arrays of JAX and PyTorch, as one writes it there.
"""

from __future__ import annotations

import math

import numpy as np

import tinygrad_scalar as ts


def values(array):
    """Values in nested lists of the array's shape."""
    return [values(part) for part in array] if np.ndim(array) else ts.Value(float(array))


def flat(nested):
    return [leaf for part in nested for leaf in flat(part)] if isinstance(nested, list) else [nested]


def affine(W, x, b):
    return [sum(w * x_k for w, x_k in zip(row, x)) + b_j for row, b_j in zip(W, b)]


def squared_error(a, y):
    return sum((a_j - y_j) ** 2 for a_j, y_j in zip(a, y))


class Convolution:
    """3×3 over 28×28 with 8 channels, tanh, the mean of each channel, and 10 sums of those with weights."""

    def __init__(self, m):
        random = np.random.default_rng(0)
        self.parameters = [random.normal(0.0, 0.3, shape) for shape in ((8, 3, 3), (8,), (10, 8), (10,))]
        self.examples = [random.normal(size=(m, 28, 28)), random.uniform(size=(m, 10))]

    @staticmethod
    def example_cost(parameters, image, y):
        kernels, biases, W, b = parameters
        means = []
        for kernel, bias in zip(kernels, biases):
            total = 0.0
            for i in range(26):
                for j in range(26):
                    z = bias + sum(kernel[a][c] * image[i + a][j + c] for a in range(3) for c in range(3))
                    total = total + ts.tanh(z)
            means.append(total / 26**2)
        return squared_error(affine(W, means, b), y)

    @staticmethod
    def cost(f, parameters, X, Y):
        kernels, biases, W, b = parameters
        channels = f.tanh(f.conv2d(X[:, None], kernels[:, None]) + biases[:, None, None])
        return ((channels.mean((2, 3)) @ W.T + b - Y) ** 2).sum() / len(Y)


class Attention:
    """Two heads of 8 over 16 positions of 16 numbers: softmax(QKᵀ/√8)V, and a matrix after it."""

    def __init__(self, m):
        random = np.random.default_rng(0)
        self.parameters = [random.normal(0.0, 0.3, (16, 16)) for _ in range(4)]  # for Q, K, V and after
        self.examples = [random.normal(size=(m, 16, 16)) for _ in range(2)]

    @staticmethod
    def example_cost(parameters, X, Y):
        nothing = [0.0] * 16
        Q, K, V = ([affine(W, x, nothing) for x in X] for W in parameters[:3])
        total = 0.0
        for q, y in zip(Q, Y):
            row = []
            for head in (slice(0, 8), slice(8, 16)):
                scores = [sum(a * b for a, b in zip(q[head], k[head])) / math.sqrt(8) for k in K]
                exponentials = [ts.exp(score) for score in scores]
                share = 1.0 / sum(exponentials)
                weights = [e * share for e in exponentials]
                row += [sum(w * v for w, v in zip(weights, column)) for column in zip(*(v[head] for v in V))]
            total = total + squared_error(affine(parameters[3], row, nothing), y)
        return total

    @staticmethod
    def cost(f, parameters, X, Y):
        Q, K, V = ((X @ W.T).reshape(len(X), 16, 2, 8) for W in parameters[:3])
        weights = f.softmax(f.einsum("mphi,mqhi->mhpq", Q, K) / math.sqrt(8))
        rows = f.einsum("mhpq,mqhi->mphi", weights, V).reshape(X.shape)
        return ((rows @ parameters[3].T - Y) ** 2).sum() / len(Y)


class GRU:
    """50 steps of a gated recurrent unit of 16 numbers over 8 inputs each, and a sum of its last state with weights."""

    def __init__(self, m):
        random = np.random.default_rng(0)
        shapes = [shape for _ in range(3) for shape in ((16, 8), (16, 16), (16,))]
        self.parameters = [random.normal(0.0, 0.3, shape) for shape in (*shapes, (16,))]
        self.examples = [random.normal(size=(m, 50, 8)), random.uniform(size=m)]

    @staticmethod
    def example_cost(parameters, X, y):
        *gates, v = parameters
        h = [0.0] * 16
        for x in X:

            def gate(i, h, x=x):
                W, U, b = gates[3 * i : 3 * i + 3]
                return affine(U, h, affine(W, x, b))

            z = [ts.sigmoid(a) for a in gate(0, h)]
            r = [ts.sigmoid(a) for a in gate(1, h)]
            new = [ts.tanh(a) for a in gate(2, [r_j * h_j for r_j, h_j in zip(r, h)])]
            h = [h_j + z_j * (n_j - h_j) for h_j, z_j, n_j in zip(h, z, new)]
        return (sum(v_j * h_j for v_j, h_j in zip(v, h)) - y) ** 2

    @staticmethod
    def cost(f, parameters, X, y):
        *gates, v = parameters

        def one(h, x):
            def gate(i, h):
                W, U, b = gates[3 * i : 3 * i + 3]
                return x @ W.T + h @ U.T + b

            z, r = f.sigmoid(gate(0, h)), f.sigmoid(gate(1, h))
            return h + z * (f.tanh(gate(2, r * h)) - h)

        h = f.scan(one, 0.0 * X[:, 0, :1] + 0.0 * v, X.swapaxes(0, 1))
        return ((h @ v - y) ** 2).sum() / len(y)


def vectorized(model):
    parameters = [values(array) for array in model.parameters]
    run = ts.vectorize(lambda *example: model.example_cost(parameters, *example), flat(parameters))
    return lambda: run(*model.examples)


def jax(model):
    import jax
    from jax import lax, nn, numpy as jnp

    jax.config.update("jax_enable_x64", True)

    class Functions:
        tanh, einsum, sigmoid, softmax = jnp.tanh, jnp.einsum, nn.sigmoid, nn.softmax

        @staticmethod
        def conv2d(x, kernel):
            return lax.conv(x, kernel, (1, 1), "VALID")

        @staticmethod
        def scan(one, first, xs):
            return lax.scan(lambda h, x: (one(h, x), None), first, xs)[0]

    compiled = jax.jit(jax.value_and_grad(lambda parameters, *examples: model.cost(Functions, parameters, *examples)))
    parameters, *examples = [jnp.asarray(p) for p in model.parameters], *map(jnp.asarray, model.examples)
    return lambda: jax.block_until_ready(compiled(parameters, *examples))


def torch(model):
    import torch

    class Functions:
        tanh, einsum, sigmoid, conv2d = torch.tanh, torch.einsum, torch.sigmoid, torch.nn.functional.conv2d

        @staticmethod
        def softmax(x):
            return torch.softmax(x, -1)

        @staticmethod
        def scan(one, h, xs):
            for x in xs:
                h = one(h, x)
            return h

    parameters = [torch.tensor(p, requires_grad=True) for p in model.parameters]
    examples = [torch.tensor(array) for array in model.examples]

    def step():
        cost = model.cost(Functions, parameters, *examples)
        return cost.detach(), torch.autograd.grad(cost, parameters)

    return step


CANDIDATES = {"vectorize": (vectorized, "numpy"), "jax": (jax, "jax"), "torch": (torch, "torch")}

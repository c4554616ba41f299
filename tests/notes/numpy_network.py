"""A network twice: as `ts.MLP`, which the engine differentiates, and as NumPy arrays with examples as columns (003).

The arrays never see a Value: the notes' equations are evaluated from them alone. A factor such as ∂z/∂w that an
equation names without a formula is measured by `slope`, a nudge along the imaginary axis.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest

import tinygrad_scalar as ts


def close(numbers):
    """Equal to these numbers up to rounding."""
    return pytest.approx(numbers, rel=1e-11, abs=1e-12)


# --- activations and losses, also of complex numbers -----------------------------------------------------------------


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


ACTIVATIONS = {
    "linear": lambda z: z,
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "relu": lambda z: np.where(z.real > 0.0, z, 0.0),
    "leaky_relu": lambda z: np.where(z.real > 0.0, z, 0.01 * z),
    "softplus": lambda z: np.log1p(np.exp(z)),
}

DERIVATIVES = {
    "linear": np.ones_like,
    "sigmoid": lambda z: sigmoid(z) * (1.0 - sigmoid(z)),
    "tanh": lambda z: 1.0 - np.tanh(z) ** 2,
    "relu": lambda z: np.where(z > 0.0, 1.0, 0.0),
    "leaky_relu": lambda z: np.where(z > 0.0, 1.0, 0.01),
    "softplus": sigmoid,
}

# the loss of each column: (n, m) -> (m,)
LOSSES = {
    "squared_error": lambda A, Y: ((A - Y) ** 2).sum(axis=0),
    "absolute_error": lambda A, Y: np.where((A - Y).real > 0.0, A - Y, Y - A).sum(axis=0),
    "binary_cross_entropy": lambda A, Y: -(Y * np.log(A) + (1.0 - Y) * np.log(1.0 - A)).sum(axis=0),
}

# ∂loss/∂A: (n, m) -> (n, m)
LOSS_DERIVATIVES = {
    "squared_error": lambda A, Y: 2.0 * (A - Y),
    "absolute_error": lambda A, Y: np.sign(A - Y),
    "binary_cross_entropy": lambda A, Y: (1.0 - Y) / (1.0 - A) - Y / A,
}


def slope(f, x):
    """df/dx by a nudge of x along the imaginary axis, where no digits cancel (Squire and Trapp 1998)."""
    h = 1e-30
    return np.imag(f(np.asarray(x) + 1j * h)) / h


# --- networks --------------------------------------------------------------------------------------------------------


class ByTheEngine(NamedTuple):
    """The engine's numbers for all examples. C is the mean of the losses, ℒ their sum; lists count layers from 0."""

    C: float
    Z: list  # (n_l, m); None for layer 0
    A: list
    dW: list  # ∂C/∂W, (n_l, n_{l−1}); None for layer 0
    db: list  # ∂C/∂b, (n_l, 1)
    dZ: list  # ∂ℒ/∂Z
    dA: list  # ∂ℒ/∂A


class Network:
    """`net` with random weights, and its numbers: W[l] (n_l, n_{l−1}), b[l] (n_l, 1), X (n_0, m), Y (n_L, m)."""

    def __init__(self, sizes, m, activation="sigmoid", output=None, loss="squared_error", seed=0, biases=True):
        r = np.random.default_rng(seed)
        self.L, self.m, self.loss = len(sizes) - 1, m, loss
        self.activation = [None] + [activation] * (self.L - 1) + [output or activation]
        self.W = [None] + [r.normal(size=(n, before)) for before, n in pairwise(sizes)]
        self.b = [None] + [r.normal(size=(n, 1)) * biases for n in sizes[1:]]
        self.X, self.Y = r.normal(size=(sizes[0], m)), r.uniform(0.1, 0.9, size=(sizes[-1], m))
        self.net = ts.MLP(sizes[0], sizes[1:], activation, output)
        self.write()

    def write(self):
        """Put the numbers of W and b into the Values."""
        for layer, W, b in zip(self.net.layers, self.W[1:], self.b[1:]):
            for neuron, w_j, b_j in zip(layer.neurons, W, b[:, 0]):
                neuron.b.data = b_j
                for w, w_jk in zip(neuron.w, w_j):
                    w.data = w_jk

    def w(self, layer, j=0, k=0):
        """The Value of the weight from neuron k of the layer before to neuron j of `layer`."""
        return self.net.layers[layer - 1].neurons[j].w[k]

    def bias(self, layer, j=0):
        return self.net.layers[layer - 1].neurons[j].b

    # in NumPy

    def g(self, layer, Z):
        return ACTIVATIONS[self.activation[layer]](Z)

    def g_prime(self, layer, Z):
        return DERIVATIVES[self.activation[layer]](Z)

    def forward(self):
        """The pre-activations Z[l] and the activations A[l] of all examples, (n_l, m)."""
        Z, A = [None], [self.X]
        for layer in range(1, self.L + 1):
            Z.append(self.W[layer] @ A[-1] + self.b[layer])
            A.append(self.g(layer, Z[-1]))
        return Z, A

    def losses(self):
        """The loss of each example, (m,)."""
        return LOSSES[self.loss](self.forward()[1][-1], self.Y)

    def slope_of_cost(self, arrays, layer, place):
        """∂C/∂θ for one number θ of `arrays` (W or b) and the mean C of the losses: a nudge, no chain rule."""
        kept = arrays[layer]

        def C(number):
            arrays[layer] = kept.astype(complex)
            arrays[layer][place] = number
            return self.losses().mean()

        derivative = slope(C, kept[place])
        arrays[layer] = kept
        return derivative

    def gradients_by_nudging(self):
        """∂C/∂W and ∂C/∂b, layer by layer; None for layer 0."""
        return [
            [None]
            + [
                np.array(
                    [self.slope_of_cost(arrays, layer, place) for place in np.ndindex(arrays[layer].shape)]
                ).reshape(arrays[layer].shape)
                for layer in range(1, self.L + 1)
            ]
            for arrays in (self.W, self.b)
        ]

    def dA_by_nudging(self, layer):
        """∂ℒ/∂A[layer], (n, m), by a nudge of each number, which changes only its own column's loss."""
        return self._nudged_rows(self.forward()[1][layer], lambda A: self._losses_after(layer, A))

    def dZ_by_nudging(self, layer):
        """∂ℒ/∂Z[layer], (n, m), likewise."""
        return self._nudged_rows(self.forward()[0][layer], lambda Z: self._losses_after(layer, self.g(layer, Z)))

    def _losses_after(self, layer, A):
        for later in range(layer + 1, self.L + 1):
            A = self.g(later, self.W[later] @ A + self.b[later])
        return LOSSES[self.loss](A, self.Y)

    @staticmethod
    def _nudged_rows(array, losses):
        rows = np.eye(len(array))[:, :, None]  # all columns of a row at once: no loss depends on another column
        return np.array([slope(lambda t, row=row: losses(array + row * t), 0.0) for row in rows])

    def dloss(self, A):
        """∂ℒ/∂A of the last layer, (n_L, m): each example's loss depends on its own column only."""
        return LOSS_DERIVATIVES[self.loss](A, self.Y)

    # by the engine

    def loss_of(self, i):
        """The loss of example i as a Value; `net.z` and `net.a` are then the Values of that example."""
        self.net.zero_grad()
        return getattr(ts, self.loss)(self.net(list(self.X[:, i])), list(self.Y[:, i]))

    def cost(self):
        """The mean of the losses as a Value."""
        return sum(self._graphs()[0]) / self.m

    def _graphs(self):
        graphs = [(self.loss_of(i), self.net.z, self.net.a) for i in range(self.m)]
        return tuple(zip(*graphs))

    def by_the_engine(self):
        losses, z, a = self._graphs()
        C = sum(losses) / self.m
        C.backward()
        dW = [None] + [np.array([[w.grad for w in n.w] for n in layer.neurons]) for layer in self.net.layers]
        db = [None] + [np.array([[n.b.grad] for n in layer.neurons]) for layer in self.net.layers]
        self.net.zero_grad()
        for examples in a:
            for a_k in examples[0]:
                a_k.grad = 0.0  # inputs are leaves, whose gradients accumulate
        sum(losses).backward()
        layers = range(self.L + 1)
        return ByTheEngine(
            C.data,
            [_columns(z, layer, "data") if layer else None for layer in layers],
            [_columns(a, layer, "data") for layer in layers],
            dW,
            db,
            [_columns(z, layer, "grad") if layer else None for layer in layers],
            [_columns(a, layer, "grad") for layer in layers],
        )


def _columns(examples, layer, what):
    return np.array([[getattr(value, what) for value in example[layer]] for example in examples]).T


SMOOTH = ["sigmoid", "tanh", "softplus"]


def random_chain(seed):
    """One node in each of 1 to 5 layers, 1 to 5 examples."""
    r = np.random.default_rng(seed)
    return Network([1] * (2 + seed % 5), 1 + seed % 4, SMOOTH[seed % 3], seed=int(r.integers(1000)))


def random_network(seed, smallest=1):
    """1 to 7 nodes in each of 1 to 5 layers, 1 to 6 examples, any activation, any loss of 003 Eq. 2."""
    r = np.random.default_rng(seed)
    sizes = [int(n) for n in r.integers(smallest, 8, size=2 + seed % 5)]
    activation, loss = list(ACTIVATIONS)[seed % 6], list(LOSSES)[seed % 3]
    output = "sigmoid" if loss == "binary_cross_entropy" else None
    return Network(sizes, int(r.integers(smallest, 7)), activation, output, loss, seed)

"""notebooks/errata.md: each printed formula gives a wrong number or shapes that do not fit; each correction holds."""

from functools import reduce
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest

from .numpy_network import LOSSES, Network, slope
from .table import errata

# --- networks --------------------------------------------------------------------------------------------------------


def example(sizes, m, output="sigmoid", loss="squared_error", biases=True):
    """A network whose numbers errata.md gives, so that its evidence can be checked by hand."""
    network = Network(sizes, m, "sigmoid", output, loss)
    for layer in range(1, network.L + 1):
        W, b = network.W[layer], network.b[layer]
        for j, k in np.ndindex(W.shape):
            W[j, k] = ((2 * j + 3 * k + layer) % 7 - 3) / 4
        for j in range(len(b)):
            b[j, 0] = (j + 1) / 4 * biases
    for k, i in np.ndindex(network.X.shape):
        network.X[k, i] = ((k + 2 * i) % 5 - 2) / 2
    for j, i in np.ndindex(network.Y.shape):
        network.Y[j, i] = ((i + j) % 3) / 2
    network.write()
    return network


def drawn(seed, sizes=None, m=None, **options):
    """A network of 2 to 5 layers with 2 to 7 nodes each, and 2 to 6 examples."""
    r = np.random.default_rng(seed)
    sizes = sizes or [int(n) for n in r.integers(2, 8, size=3 + seed % 4)]
    return Network(sizes, m or int(r.integers(2, 7)), ["sigmoid", "tanh", "softplus"][seed % 3], seed=seed, **options)


SEEDS = range(8)

# case -> how to make its network; "example" has the numbers of errata.md, in "square" every shape fits by accident
NETWORKS = {
    "example": lambda: example([3, 4, 2], 5),
    "square": lambda: Network([3, 3, 3], 3, "tanh"),
    **{f"random {seed}": lambda seed=seed: drawn(seed) for seed in SEEDS},
}
OBLONG = {
    "example": NETWORKS["example"],
    **{f"{n} to {n_L}": lambda n=n, n_L=n_L: drawn(n, [2, n, n_L]) for n, n_L in [(2, 3), (5, 2), (7, 6), (1, 4)]},
}
ONE_EXAMPLE = {
    "example": lambda: example([3, 4, 2], 1),
    **{f"random {seed}": lambda seed=seed: drawn(seed, m=1) for seed in SEEDS},
}
CHAINS = {
    "example": lambda: example([1, 1, 1], 5),
    **{f"random {seed}": lambda seed=seed: drawn(seed, [1] * (2 + seed % 5)) for seed in SEEDS},
}
ONE_OUTPUT = {
    "example": lambda: example([3, 4, 1], 5, loss="binary_cross_entropy"),
    **{
        f"random {seed}": lambda seed=seed: drawn(seed, [3, 5, 1], output="sigmoid", loss="binary_cross_entropy")
        for seed in SEEDS
    },
}
ABSOLUTE = {
    "example": lambda: example([3, 4, 2], 5, loss="absolute_error"),
    **{f"random {seed}": lambda seed=seed: drawn(seed, loss="absolute_error") for seed in SEEDS},
}
WITHOUT_BIASES = {
    "example": lambda: example([3, 4, 2], 5, biases=False),
    **{f"random {seed}": lambda seed=seed: drawn(seed, biases=False) for seed in SEEDS},
}


class Pieces:
    """The quantities in the last layer's equations, in NumPy, and in `engine` the expected results."""

    def __init__(self, network):
        self.network, self.engine = network, network.by_the_engine()
        self.L, self.m, self.W, self.b, self.Y = network.L, network.m, network.W, network.b, network.Y
        self.Z, self.A = network.forward()
        self.g_prime = [None] + [network.g_prime(layer, self.Z[layer]) for layer in range(1, self.L + 1)]
        self.dA = network.dloss(self.A[-1])
        self.delta = self.dA * self.g_prime[-1]  # ∂ℒ/∂Z

    def z(self, n):
        """z of the first example as a sum over n weights."""
        w, a = self.W[-1], self.A[-2][:, 0]
        return [sum(w[j, k] * a[k] for k in range(n)) + self.b[-1][j, 0] for j in range(len(w))]

    def slope_of_z(self, by):
        """∂z/∂b or ∂z/∂a of a chain's last layer, for each example."""
        w, b, a = self.W[-1].item(), self.b[-1].item(), self.A[-2]
        return slope(lambda b: w * a + b, b) if by == "b" else slope(lambda a: w * a + b, a)

    def jacobian_of_z(self):
        """∂z₀/∂w₀ₖ by the engine, for each example."""
        rows = []
        for i in range(self.m):
            self.network.loss_of(i)
            self.network.net.z[-1][0].backward()
            rows.append([w.grad for w in self.network.net.layers[-1].neurons[0].w])
        return rows

    def gradient(self, layers):
        """Eq. 11b and 11c of `layers`, in order."""
        parts = [np.empty(0)]
        for layer in layers:
            delta = self.network.dZ_by_nudging(layer)
            parts += [delta @ self.A[layer - 1].T / self.m, delta.mean(axis=1, keepdims=True)]
        return np.concatenate([part.ravel() for part in parts])

    def gradient_by_the_engine(self):
        self.network.cost().backward()
        return self.network.net.gradient().array


def product(*factors):
    """Their matrix product, from left to right."""
    for left, right in pairwise(factors):
        if left.shape[-1] != right.shape[0]:
            raise ValueError(f"{left.shape} · {right.shape} does not fit")
    return reduce(np.matmul, factors)


def nested(p):
    gradient = p.dA / p.m
    for layer in range(p.L, 0, -1):
        gradient = p.W[layer].T @ (p.g_prime[layer] * gradient)
    return gradient


# --- the table -------------------------------------------------------------------------------------------------------


class Erratum(NamedTuple):
    """The numbers of the engine, of the corrected form, and of each reading of the printed form."""

    networks: dict
    engine: object
    corrected: object
    printed: list


TABLE = {
    "E1": Erratum(OBLONG, lambda p: p.engine.Z[-1][:, 0], lambda p: p.z(len(p.A[-2])), [lambda p: p.z(len(p.A[-1]))]),
    "E2": Erratum(
        CHAINS,
        lambda p: p.engine.dA[-2],
        lambda p: p.slope_of_z("a") * p.g_prime[-1] * 2 * (p.A[-1] - p.Y),
        [lambda p: p.slope_of_z("b") * p.g_prime[-1] * 2 * (p.A[-1] - p.Y)],
    ),
    "E3": Erratum(
        NETWORKS,
        lambda p: p.engine.A[-1],
        lambda p: p.network.g(p.L, p.W[-1] @ p.A[-2] + p.b[-1]),
        [lambda p: p.W[-1] @ p.A[-2] + p.b[-1]],
    ),
    "E4": Erratum(
        ONE_EXAMPLE,
        lambda p: p.engine.dW[-1],
        lambda p: p.network.gradients_by_nudging()[0][-1],
        [lambda p: 1 / p.network.gradients_by_nudging()[0][-1]],
    ),
    "E5": Erratum(
        NETWORKS,
        lambda p: p.engine.C,
        lambda p: sum(np.linalg.norm(p.Y[:, i] - p.A[-1][:, i]) ** 2 for i in range(p.m)) / p.m,
        [lambda p: sum(np.linalg.norm(p.Y - p.A[-1]) ** 2 for i in range(p.m)) / p.m],
    ),
    "E6": Erratum(
        ABSOLUTE,
        lambda p: p.engine.C,
        lambda p: sum(abs(p.Y[:, i] - p.A[-1][:, i]).sum() for i in range(p.m)) / p.m,
        [lambda p: sum(abs(p.Y - p.A[-1]).sum() for i in range(p.m)) / p.m],
    ),
    "E7": Erratum(
        ONE_OUTPUT,
        lambda p: p.engine.C,
        lambda p: -sum(y * np.log(a) + (1 - y) * np.log(1 - a) for y, a in zip(p.Y[0], p.A[-1][0])) / p.m,
        [
            lambda p: (
                -sum(p.Y[i, i] * np.log(a) + (1 - p.Y[0, i]) * np.log(1 - a) for i, a in enumerate(p.A[-1][0])) / p.m
            )
        ],
    ),
    "E8": Erratum(
        NETWORKS,
        lambda p: p.engine.dZ[-1] / p.m,
        lambda p: p.dA / p.m * p.g_prime[-1],
        [lambda p: product(p.dA / p.m, p.g_prime[-1])],
    ),
    "E11": Erratum(
        NETWORKS,
        lambda p: p.engine.dA[-2] / p.m,
        lambda p: p.W[-1].T @ p.delta / p.m,
        [lambda p: product(p.A[-2], p.delta / p.m), lambda p: product(p.W[-1], p.delta / p.m)],
    ),
    "E12": Erratum(
        WITHOUT_BIASES,
        lambda p: p.engine.C,
        lambda p: LOSSES["squared_error"](p.A[-1], p.Y).mean(),
        [lambda p: p.A[-1]],
    ),
    "E13": Erratum(
        NETWORKS,
        lambda p: p.engine.dA[0] / p.m,
        nested,
        [lambda p: product(*(f for W, g in zip(p.W[1:], p.g_prime[1:]) for f in (W.T, g)), p.dA / p.m)],
    ),
    "E14": Erratum(NETWORKS, lambda p: p.jacobian_of_z(), lambda p: p.A[-2].T, [lambda p: p.A[-2]]),
    "E15": Erratum(
        NETWORKS,
        lambda p: p.engine.dW[-1],
        lambda p: (p.dA * p.g_prime[-1]) @ p.A[-2].T / p.m,
        [lambda p: (p.dA / p.m * p.g_prime[-1]) @ p.A[-2].T / p.m],
    ),
    "E16": Erratum(
        NETWORKS,
        lambda p: p.engine.db[-1],
        lambda p: np.sum(p.delta, axis=1, keepdims=True) / p.m,
        [lambda p: np.sum(p.delta, axis=0, keepdims=True) / p.m],
    ),
    "E17": Erratum(
        NETWORKS,
        lambda p: p.engine.dW[-1],
        lambda p: p.delta @ p.A[-2].T / p.m,
        [lambda p: product(p.A[-2].T, p.delta) / p.m],
    ),
    "E18": Erratum(
        NETWORKS,
        lambda p: p.gradient_by_the_engine(),
        lambda p: p.gradient(range(1, p.L + 1)),
        [lambda p: p.gradient(range(2, p.L))],
    ),
}
CASES = [(number, case) for number, erratum in TABLE.items() for case in erratum.networks]


def outcome(form, pieces):
    """The form's array, or the error that it raised."""
    try:
        return np.asarray(form(pieces))
    except (ValueError, IndexError) as error:
        return error


def holds(result, engine):
    if isinstance(result, Exception) or result.shape != engine.shape:
        return False
    return bool(np.allclose(result, engine, rtol=1e-10, atol=1e-12))


# --- the tests -------------------------------------------------------------------------------------------------------


def test_every_erratum_is_in_the_table():
    assert [*errata()] == [*TABLE]


@pytest.mark.parametrize(("number", "case"), CASES, ids=[f"{number}-{case}" for number, case in CASES])
def test_what_is_printed_fails_and_what_is_corrected_holds(number, case):
    erratum = TABLE[number]
    pieces = Pieces(erratum.networks[case]())
    engine = outcome(erratum.engine, pieces)
    assert holds(outcome(erratum.corrected, pieces), engine)
    for printed in erratum.printed:
        assert not holds(outcome(printed, pieces), engine)


def shown(result, engine):
    """The error, or the shape if it is wrong, or the first number."""
    if isinstance(result, Exception):
        return str(result)
    return f"{result.flat[0]:.4f}" if result.shape == engine.shape else f"shape {result.shape}"


@pytest.mark.parametrize("number", TABLE)
def test_the_evidence_is_what_comes_out_for_the_example(number):
    erratum = TABLE[number]
    pieces = Pieces(erratum.networks["example"]())
    engine = outcome(erratum.engine, pieces)
    printed = [shown(outcome(form, pieces), engine) for form in erratum.printed]
    right = f"shape {engine.shape}" if printed[0].startswith("shape") else shown(engine, engine)
    line = f"Evidence: printed `{'`, `'.join(printed)}`; corrected and by the engine `{right}`."
    assert line in errata()[number][1]
    assert right not in printed

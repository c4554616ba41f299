"""The optimizers that 002 and 003 name without their rules, in plain floats, and the whole training sequence.

The gradients on the plain side are 003 Eq. 12's, computed in NumPy from the plain parameters: the two sides share
only the initial parameters.
"""

import math
import random
from itertools import pairwise

import numpy as np
import pytest

import tinygrad_scalar as ts

from .equations import equation
from .numpy_network import Network, close

SIZES = {"one node": [1, 1], "three to two": [3, 2], "deep": [2, 4, 3, 3, 2, 1], "wide": [5, 7, 6]}
EACH_NETWORK = pytest.mark.parametrize("name", SIZES)
STEPS = 25


def a_network(name):
    return Network(SIZES[name], 6, "tanh", "sigmoid", seed=len(name))


class PlainNetwork:
    """The numbers of a network as a flat list θ in the order of 001's gradient vector, and 003 Eq. 1, 2a and 12."""

    def __init__(self, network):
        self.network = network
        self.theta = self._flat(network.W, network.b)

    @staticmethod
    def _flat(weights, biases):
        return [float(number) for pair in zip(weights[1:], biases[1:]) for part in pair for number in part.ravel()]

    def cost_and_gradient(self, examples=slice(None)):
        network, numbers = self.network, iter(self.theta)
        for layer in range(1, network.L + 1):
            for part in (network.W[layer], network.b[layer]):
                part.flat = [next(numbers) for _ in range(part.size)]
        Z, A = network.forward()  # Eq. 1
        Z, A, Y = [z if z is None else z[:, examples] for z in Z], [a[:, examples] for a in A], network.Y[:, examples]
        m = Y.shape[1]
        C = ((A[-1] - Y) ** 2).sum() / m  # Eq. 2a
        dA, dw, db = 2.0 * (A[-1] - Y), [None] * (network.L + 1), [None] * (network.L + 1)
        for layer in range(network.L, 0, -1):  # Eq. 12
            delta = dA * network.g_prime(layer, Z[layer])
            dw[layer], db[layer] = delta @ A[layer - 1].T / m, delta.sum(axis=1, keepdims=True) / m
            dA = network.W[layer].T @ delta
        return C, self._flat(dw, db)


# --- optimizers: one number θ, its gradient g, the state s, and the step t, counted from 1 ---------------------------


def momentum(theta, g, s, t, alpha=0.05, mu=0.9):
    s["v"] = mu * s.get("v", 0.0) + g
    return theta - alpha * s["v"]


def nesterov(theta, g, s, t, alpha=0.05, mu=0.9):
    s["v"] = mu * s.get("v", 0.0) + g
    return theta - alpha * (g + mu * s["v"])


def rmsprop(theta, g, s, t, alpha=0.05, rho=0.99, epsilon=1e-8):
    s["s"] = rho * s.get("s", 0.0) + (1 - rho) * g**2
    return theta - alpha * g / (math.sqrt(s["s"]) + epsilon)


def adam(theta, g, s, t, alpha=0.05, beta1=0.9, beta2=0.999, epsilon=1e-8):
    s["m"] = beta1 * s.get("m", 0.0) + (1 - beta1) * g
    s["s"] = beta2 * s.get("s", 0.0) + (1 - beta2) * g**2
    mean, square = s["m"] / (1 - beta1**t), s["s"] / (1 - beta2**t)
    return theta - alpha * mean / (math.sqrt(square) + epsilon)


def adamw(theta, g, s, t, alpha=0.05, decay=0.01):
    return adam((1 - alpha * decay) * theta, g, s, t, alpha)


OPTIMIZERS = {
    "002 momentum": (momentum, lambda p: ts.SGD(p, 0.05, momentum=0.9)),
    "002 Nesterov momentum": (nesterov, lambda p: ts.SGD(p, 0.05, momentum=0.9, nesterov=True)),
    "002 RMSProp": (rmsprop, lambda p: ts.RMSProp(p, 0.05)),
    "002 AdamW": (adamw, lambda p: ts.AdamW(p, 0.05)),
    "003 Adam": (adam, lambda p: ts.Adam(p, 0.05)),
}


@equation(*OPTIMIZERS)
@EACH_NETWORK
@pytest.mark.parametrize("rule", OPTIMIZERS)
def test_optimizer_equals_its_rule_in_plain_floats_step_by_step(rule, name):
    stepped, make = OPTIMIZERS[rule]
    network, plain = a_network(name), PlainNetwork(a_network(name))
    optimizer = make(network.net.parameters())
    kept = [{} for _ in plain.theta]
    for t in range(1, STEPS + 1):
        network.cost().backward()
        optimizer.step()
        _, gradient = plain.cost_and_gradient()
        plain.theta = [stepped(theta, g, s, t) for theta, g, s in zip(plain.theta, gradient, kept)]
        assert [p.data for p in network.net.parameters()] == pytest.approx(plain.theta, rel=1e-8, abs=1e-9)


@equation("003 stochastic gradient descent")
@EACH_NETWORK
@pytest.mark.parametrize("batch_size", [1, 2, 4])
def test_003_stochastic_gradient_descent_steps_after_every_batch(batch_size, name):
    """Every epoch draws new batches, each example in one of them; the last can be smaller."""
    network, plain = a_network(name), PlainNetwork(a_network(name))
    sgd = ts.SGD(network.net.parameters(), 0.3)
    ts.fit(
        network.net, network.X.T, network.Y.T, optimizer=sgd, epochs=4, batch_size=batch_size, seed=7, progress=False
    )
    order = random.Random(7)
    for _ in range(4):
        shuffled = order.sample(range(network.m), network.m)
        for start in range(0, network.m, batch_size):
            _, gradient = plain.cost_and_gradient(shuffled[start : start + batch_size])
            plain.theta = [theta - 0.3 * g for theta, g in zip(plain.theta, gradient)]
    assert [p.data for p in network.net.parameters()] == close(plain.theta)


# --- 003's last section ----------------------------------------------------------------------------------------------


def plain_training(plain, alpha, iterations):
    """Feed forward, cost, backpropagation and gradient descent, repeated; the cost before each step."""
    costs = []
    for _ in range(iterations):
        C, gradient = plain.cost_and_gradient()
        costs.append(C)
        plain.theta = [theta - alpha * g for theta, g in zip(plain.theta, gradient)]  # Eq. 3
    return costs


@equation("003 training sequence")
@EACH_NETWORK
@pytest.mark.parametrize("vectorized", [True, False], ids=["vectorized", "scalar"])
def test_003_training_sequence_is_fit(vectorized, name):
    network, plain = a_network(name), PlainNetwork(a_network(name))
    descent = ts.GradientDescent(network.net.parameters(), 0.1)
    history = ts.fit(
        network.net, network.X.T, network.Y.T, optimizer=descent, epochs=STEPS, progress=False, vectorized=vectorized
    )
    assert history.cost == close(plain_training(plain, 0.1, STEPS))
    assert [p.data for p in network.net.parameters()] == close(plain.theta)
    assert all(after < before for before, after in pairwise(history.cost))


@equation("003 training sequence")
@EACH_NETWORK
def test_003_training_sequence_is_the_vectorized_program_step_by_step(name):
    network, plain = a_network(name), PlainNetwork(a_network(name))
    run = ts.vectorize(lambda x, y: ts.squared_error(network.net(x), y), network.net.parameters())
    for _ in range(STEPS):
        value, gradient = run(network.X.T, network.Y.T)
        assert (value, gradient) == tuple(map(close, plain.cost_and_gradient()))
        run.parameters -= 0.1 * gradient
        plain.theta = [theta - 0.1 * g for theta, g in zip(plain.theta, plain.cost_and_gradient()[1])]
        assert run.parameters == close(np.array(plain.theta))

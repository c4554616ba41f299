"""Value and full gradient of networks over m examples: `vectorize` beside hand-written NumPy and other libraries.

Each candidate computes the mean of Σⱼ(aⱼ − yⱼ)² and its gradient with respect to every weight and bias, in float64, for
the same tanh networks and examples. Each runs in its own process, in turn; medians, and ratios to the first of the same
round: the hand-written NumPy, or `vectorize` for the networks of layers.py. Peers that are not installed are left out:
pip install ddx-ad casadi jax torch. `python benchmarks/vectorize.py gru 1-200-1` runs these two.

With --one-core all of them share one core, and CPU time is measured. On a shared machine that is steadier: a second
thread can wait milliseconds for its core.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import statistics
import sys
import time
from functools import partial

import layers
import numpy as np

import tinygrad_scalar as ts

NETWORKS = [((2, 3, 1), 4), ((2, 16, 16, 1), 100), ((64, 32, 10), 256), ((784, 128, 10), 128)]
NETWORKS += [((1, 200, 1), 1_000), ((30, 10, 10, 10, 10, 2), 500), ((2, 64, 64, 64, 1), 10_000)]
LAYERS = [(layers.Convolution, 16), (layers.Attention, 32), (layers.GRU, 32)]
ROUNDS = 20
PAUSE = 0.15  # seconds before each turn: the previous candidate's threads still spin and would take a core
SLICE = 3e-3  # seconds that a candidate runs before the next has its turn


def problem(sizes, m):
    """The weights and biases of a network, and m examples."""
    random = np.random.default_rng(0)
    net = ts.MLP(sizes[0], list(sizes[1:]), "tanh", seed=0)
    W = [np.array([[w.data for w in neuron.w] for neuron in layer.neurons]) for layer in net.layers]
    b = [random.normal(0.0, 0.1, len(layer.neurons)) for layer in net.layers]
    for layer, biases in zip(net.layers, b):
        for neuron, bias in zip(layer.neurons, biases):
            neuron.b.data = bias
    return net, W, b, random.normal(size=(m, sizes[0])), random.uniform(size=(m, sizes[-1]))


def vectorized(net, W, b, X, Y):
    step = ts.vectorize(lambda x, y: ts.squared_error(net(x), y), net.parameters())
    return lambda: step(X, Y)


def hand_written(net, W, b, X, Y):
    """NumPy as a person who reuses buffers would write it: examples are columns, out= everywhere."""
    m, layers = len(X), len(W)
    b = [bias[:, None] for bias in b]
    A = [X.T, *(np.empty((len(w), m)) for w in W)]
    d = [None, *(np.empty((len(w), m)) for w in W)]
    t = [None, *(np.empty((len(w), m)) for w in W)]
    parts = np.cumsum([0, *(n for w, bias in zip(W, b) for n in (w.size, bias.size))])
    gradient = np.empty(parts[-1])
    dW = [gradient[parts[2 * i] : parts[2 * i + 1]].reshape(w.shape) for i, w in enumerate(W)]
    db = [gradient[parts[2 * i + 1] : parts[2 * i + 2]].reshape(-1, 1) for i in range(layers)]

    def step():
        for i in range(layers):
            np.matmul(W[i], A[i], out=A[i + 1])
            np.add(A[i + 1], b[i], out=A[i + 1])
            np.tanh(A[i + 1], out=A[i + 1])
        np.subtract(A[layers], Y.T, out=d[layers])
        value = np.vdot(d[layers], d[layers]) / m
        np.multiply(d[layers], 2.0 / m, out=d[layers])
        for i in range(layers, 0, -1):
            np.multiply(A[i], A[i], out=t[i])
            np.subtract(1.0, t[i], out=t[i])
            np.multiply(d[i], t[i], out=d[i])
            np.matmul(d[i], A[i - 1].T, out=dW[i - 1])
            np.add.reduce(d[i], axis=1, keepdims=True, out=db[i - 1])
            if i > 1:
                np.matmul(W[i - 1].T, d[i], out=d[i - 1])
        return value, gradient.copy()

    return step


def ddx_ad(net, W, b, X, Y):
    import ddx

    if X.shape[1] > 100:
        return None  # it compiles every scalar, which takes hours

    @ddx.equation
    def loss():
        a = [ddx.param(f"x{k}") for k in range(X.shape[1])]
        for i, (w, bias) in enumerate(zip(W, b)):
            z = [ddx.var(f"b_{i}_{j}") for j in range(len(bias))]
            for j in range(len(w)):
                for k, a_k in enumerate(a):
                    z[j] = z[j] + ddx.var(f"w_{i}_{j}_{k}") * a_k
            a = [ddx.tanh(z_j) for z_j in z]
        total = 0.0
        for j, a_j in enumerate(a):
            total = total + (a_j - ddx.param(f"y{j}")) ** 2
        return total

    numbers = {f"x{k}": X[:, k] for k in range(X.shape[1])} | {f"y{j}": Y[:, j] for j in range(Y.shape[1])}
    for i, (w, bias) in enumerate(zip(W, b)):
        numbers |= {f"w_{i}_{j}_{k}": np.full(len(X), w[j, k]) for j in range(w.shape[0]) for k in range(w.shape[1])}
        numbers |= {f"b_{i}_{j}": np.full(len(X), bias[j]) for j in range(len(bias))}
    loss.compile(points=len(X))
    call = loss.buffer(np.ascontiguousarray([numbers[name] for name in loss.inputs]))

    def step():
        call()
        return call.value.mean(), call.jacobian.mean(axis=-1)

    return step


def casadi(net, W, b, X, Y):
    import casadi as ca

    symbols = [ca.MX.sym(f"p{i}", *np.atleast_2d(p).shape[:: 1 if p.ndim == 2 else -1]) for i, p in enumerate([*W, *b])]
    x, y = ca.MX.sym("x", X.shape[1], len(X)), ca.MX.sym("y", Y.shape[1], len(Y))
    a = x
    for w, bias in zip(symbols[: len(W)], symbols[len(W) :]):
        a = ca.tanh(ca.mtimes(w, a) + ca.repmat(bias, 1, len(X)))
    cost = ca.sumsqr(a - y) / len(X)
    function = ca.Function("step", [*symbols, x, y], [cost, *(ca.gradient(cost, p) for p in symbols)])
    given = [*W, *b, X.T, Y.T]
    buffer, call = function.buffer()
    arguments = [np.asfortranarray(p).reshape(-1, order="F") for p in given]
    results = [np.zeros(1), *(np.zeros(p.size) for p in [*W, *b])]
    for i, argument in enumerate(arguments):
        buffer.set_arg(i, memoryview(argument))
    for i, result in enumerate(results):
        buffer.set_res(i, memoryview(result))

    def step(keep=(buffer, arguments)):
        call()
        return results[0], results[1:]

    return step


def jax(net, W, b, X, Y):
    import jax

    jax.config.update("jax_enable_x64", True)

    def cost(parameters, x, y):
        for w, bias in parameters:
            x = jax.numpy.tanh(x @ w.T + bias)
        return ((x - y) ** 2).sum() / len(y)

    compiled = jax.jit(jax.value_and_grad(cost))
    parameters = [(jax.numpy.asarray(w), jax.numpy.asarray(bias)) for w, bias in zip(W, b)]
    x, y = jax.numpy.asarray(X), jax.numpy.asarray(Y)
    return lambda: jax.block_until_ready(compiled(parameters, x, y))


def torch(net, W, b, X, Y):
    import torch

    parameters = [(torch.tensor(w, requires_grad=True), torch.tensor(v, requires_grad=True)) for w, v in zip(W, b)]
    x, y = torch.tensor(X), torch.tensor(Y)

    def step():
        a = x
        for w, bias in parameters:
            w.grad = bias.grad = None
            a = torch.tanh(torch.nn.functional.linear(a, w, bias))
        cost = ((a - y) ** 2).sum() / len(y)
        cost.backward()
        return cost

    return step


CANDIDATES = {"NumPy by hand": (hand_written, "numpy"), "vectorize": (vectorized, "numpy"), "ddx-ad": (ddx_ad, "ddx")}
CANDIDATES |= {name: (globals()[name], name) for name in ("casadi", "jax", "torch")}


def timed(step):
    """Seconds per call, measured over about SLICE seconds; of CPU time if there is one core, which others may want."""
    clock = time.process_time if len(os.sched_getaffinity(0)) == 1 else time.perf_counter
    step()
    start = clock()
    step()
    once = clock() - start
    n = max(1, int(SLICE / once))
    start = clock()
    for _ in range(n):
        step()
    return (clock() - start) / n


def candidate(make, arguments, module, turn):
    """The loop of one process: one turn per message, until the message is False."""
    step = make(*arguments()) if importlib.util.find_spec(module) else None
    turn.send(step is not None)
    while turn.recv():
        turn.send(timed(step))


def cases():
    """The name of each, its candidates, and what makes their arguments."""
    for sizes, m in NETWORKS:
        yield "-".join(map(str, sizes)), m, CANDIDATES, partial(problem, sizes, m)
    for model, m in LAYERS:
        yield model.__name__.lower(), m, layers.CANDIDATES, partial(layers_problem, model, m)


def layers_problem(model, m):
    return (model(m),)


def main(chosen):
    for case, m, candidates, arguments in cases():
        if chosen and case not in chosen:
            continue
        turns, processes = {}, []
        for name, (make, module) in candidates.items():
            turn, theirs = multiprocessing.Pipe()
            processes.append(multiprocessing.Process(target=candidate, args=(make, arguments, module, theirs)))
            processes[-1].start()
            if turn.recv():
                turns[name] = turn
            else:
                turn.send(False)
        times = {name: [] for name in turns}
        for _ in range(ROUNDS):
            for name, turn in turns.items():
                time.sleep(PAUSE)
                turn.send(True)
                times[name].append(turn.recv())
        for turn in turns.values():
            turn.send(False)
        for process in processes:
            process.join()
        print(f"{case}, {m:,} examples", flush=True)
        first = next(iter(times))
        for name, seconds in times.items():
            ratio = statistics.median(theirs / ours for theirs, ours in zip(seconds, times[first]))
            print(f"  {name:14} {1e6 * statistics.median(seconds):9.1f} µs, {ratio:6.2f} times {first}", flush=True)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if "--one-core" in arguments:
        os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])
        arguments.remove("--one-core")
    multiprocessing.set_start_method("spawn")
    main(arguments)

"""How many bytes a first call takes at its peak."""

import math
import os

import numpy as np
import pytest
from support import graph_shapes
from support.graph_shapes import LARGE, SHAPES, cancelling, elimination, fold, tree
from support.processes import alone, peak, resident_memory

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.vectorize.scalar_program import executor

OTHERS = [make for make in SHAPES if make not in (fold, tree)]
needs_the_executor = pytest.mark.skipif(executor() is None, reason="the native executor belongs to the compiled Value")


def _bytes_of_a_first_call(shape, n, m=1):
    cost, w = getattr(graph_shapes, shape)(n)
    ts.vectorize(lambda x: w[0] * x, w[:1])(np.array([0.5]))  # imports what it needs
    run = ts.vectorize(cost, w)
    before = peak()
    run(np.linspace(0.5, 1.0, m))
    return (peak() - before) / n


@needs_the_executor
@resident_memory
@pytest.mark.parametrize("make", [cancelling, *(pytest.param(make, marks=pytest.mark.thorough) for make in LARGE)])
def test_a_first_call_takes_at_most_250_bytes_an_operation(make):  # a node has 96, that of a maximum 144
    assert alone(_bytes_of_a_first_call, make.__name__, 300_000) < 250


def _bytes_with_one_thread(shape, n, m):
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])  # each thread has numbers of its own
    return _bytes_of_a_first_call(shape, n, m)


@needs_the_executor
@resident_memory
@pytest.mark.parametrize("m", [16, pytest.param(64, marks=pytest.mark.thorough)])
@pytest.mark.parametrize("make", [fold, tree, *(pytest.param(make, marks=pytest.mark.thorough) for make in OTHERS)])
def test_a_first_call_of_many_examples_takes_at_most_250_bytes_an_operation(make, m):
    assert alone(_bytes_with_one_thread, make.__name__, 300_000 if make in (fold, tree) else 1_000_000, m) < 250


def _bytes_of_values_and_a_jacobian(shape, n):
    cost, w = getattr(graph_shapes, shape)(n)
    ts.vectorize(lambda x: [w[0] * x], w[:1])(np.array([0.5]))
    run = ts.vectorize(lambda x: [cost(x), x * w[0]], w)
    before = peak()
    run(np.array([0.5]))
    return (peak() - before) / (n + len(w))


@needs_the_executor
@resident_memory
@pytest.mark.parametrize(
    "make", [pytest.param(make, marks=pytest.mark.thorough) for make in SHAPES if make is not elimination]
)
def test_several_outputs_take_at_most_300_bytes_a_node(make):  # without doubts, which elimination raises
    assert alone(_bytes_of_values_and_a_jacobian, make.__name__, 300_000) < 300


def _bytes_of_many_outputs(n, k):
    """Of a first call that gives k numbers with their derivatives, of which each takes nearly all of n operations."""
    w = [Value(math.sin(i)) for i in range(10)]

    def cost(x):
        nodes = [*w, x]
        for i in range(n):
            nodes.append(nodes[-1] * nodes[i * 7919 % len(nodes)] + 0.5 if i % 2 else ts.tanh(nodes[-1]))
        return nodes[-k:]

    ts.vectorize(lambda x: [w[0] * x, x], w[:1])(np.array([0.5]))
    run = ts.vectorize(cost, w)
    before = peak()
    run(np.array([0.5]))
    return (peak() - before) / (1.5 * n)


@needs_the_executor
@resident_memory
def test_memory_does_not_grow_with_outputs_times_operations():
    assert alone(_bytes_of_many_outputs, 40_000, 200) < 600


def _bytes_of_lookups(n):
    """Of a first call that looks up a hundred of n words of four numbers each."""
    table = [[Value(0.01 * k + j) for j in range(4)] for k in range(n)]
    w = [value for row in table for value in row]
    run = ts.vectorize(lambda i: sum(ts.dot(ts.lookup(table, k), w[:4]) for k in i) ** 2, w)
    ts.vectorize(lambda i: ts.lookup(table[:2], i)[0] ** 2, w)(np.array([0]))
    before = peak()
    run(np.arange(300).reshape(3, 100))
    return (peak() - before) / len(w)


@needs_the_executor
@resident_memory
@pytest.mark.thorough
def test_lookups_share_their_table():
    assert alone(_bytes_of_lookups, 10_000) < 250

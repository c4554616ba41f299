"""Memory comes back: the garbage collector has nothing to do, and steps leave nothing behind.

Each measurement runs in a process of its own, and is its resident memory or, where PYTHONMALLOC=pymalloc makes
Python's own allocator serve the compiled Value too, the exact number of blocks in use.
"""

import gc
import operator
import os
import random
import re
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import pytest
from support.lifetime_steps import FAILURES, STEPS, refused
from support.processes import alone, peak, resident, resident_memory

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine import turn_memory, turn_memory_back

HERE = Path(__file__).parent
SLAB = 1 << 21  # bytes, as in _memory.pxi
compiled_only = pytest.mark.skipif(not ts.accelerated, reason="a law of the compiled Value")


# --- the garbage collector -------------------------------------------------------------------------------------------


@compiled_only
def test_the_garbage_collector_does_not_know_of_nodes():
    x = Value(1.0)
    for node in (x, x * 2.0, ts.where(x, x, x), x**2.5):
        assert not gc.is_tracked(node)


def _collections(operations):
    """The number of starts and ends of garbage collections in ten steps with graphs of this size."""
    runs = []
    x = Value(0.5)
    gc.collect()
    gc.callbacks.append(lambda phase, info: runs.append(phase))
    try:
        for _ in range(10):
            node = x
            for _ in range(operations):
                node = (node + x) * 0.5
            node.backward()
            x.data = 0.25
            node.forward()
            x.data, x.grad = 0.5, 0.0
    finally:
        gc.callbacks.pop()
    return len(runs)


@compiled_only
def test_larger_graphs_are_no_more_work_for_the_garbage_collector():
    assert _collections(20_000) <= _collections(200) + 2  # one run can be due anyway: a start and an end


# --- steps leave nothing behind --------------------------------------------------------------------------------------


def _growth_of_blocks():
    """The number of memory blocks that many repetitions of each step and failure leave behind, by name.

    The least of two turns: caches fill up now and then, a leak grows in every turn.
    """
    x = Value(0.5)
    works = {name: (1024, lambda i, step=step: step(x, i)) for name, step in STEPS.items()}  # 1024 rows are cached
    for failure in FAILURES:
        v = Value(2.0)
        works[failure] = (300, lambda i, failure=failure, v=v, w=v * 3.0: refused(failure, v, w))
    growth = {}
    for name, (times, work) in works.items():
        blocks = []
        for turn in range(4):
            for i in range(times):
                work(turn * times + i)
            gc.collect()
            blocks.append(sys.getallocatedblocks())
        growth[name] = min(after - before for before, after in pairwise(blocks[1:]))
    return growth


@pytest.fixture(scope="module")
def growth_of_blocks():
    return alone(_growth_of_blocks, PYTHONMALLOC="pymalloc")


@pytest.mark.thorough
@pytest.mark.parametrize("name", [*STEPS, *FAILURES])
def test_a_step_or_a_failure_leaves_no_memory_behind(growth_of_blocks, name):
    assert growth_of_blocks[name] < 100  # in 1024 steps or 300 failures; caches that fill up gradually take some


def _growth_of_resident_memory(name, times):
    x = Value(0.5)
    for i in range(times // 10):
        STEPS[name](x, i)
    gc.collect()
    before = resident()
    for i in range(times):
        STEPS[name](x, i)
    gc.collect()
    return resident() - before


# steps with the compiled Value when thorough; a tenth otherwise
TIMES = {
    "backward": 1_000_000, "forward": 200_000, "labels": 200_000, "where": 200_000, "numbers of their own": 100_000,
    "copies": 20_000, "pickles": 20_000,
}  # fmt: skip


@pytest.mark.thorough
@resident_memory
@pytest.mark.parametrize("name", TIMES)
def test_resident_memory_is_flat_over_many_small_graphs(name, thorough):
    times = TIMES[name] if ts.accelerated and thorough else TIMES[name] // 10
    assert alone(_growth_of_resident_memory, name, times) < 500_000  # bytes; a node is about 100


def _growth_over_large_graphs(graphs, operations):
    x = Value(0.5)
    sizes = []
    for i in range(graphs):
        node = x
        for _ in range(operations // 4):
            node = ts.where(x, node * 0.5, node) + x
        node.label = f"graph {i}"
        node.backward()
        del node
        sizes.append(resident())
    return sizes[-1] - sizes[2]


@resident_memory
def test_resident_memory_is_flat_over_large_graphs(thorough):
    graphs = 30 if ts.accelerated and thorough else 6
    operations = 100_000 if ts.accelerated or thorough else 40_000
    assert alone(_growth_over_large_graphs, graphs, operations) < 50 * operations  # bytes; one graph has twice as many


def _memory_after_random_frees(graphs):
    """Resident memory before, with and after many small graphs that are freed in random order and checked meanwhile."""
    numbers = random.Random(1)
    order = list(range(graphs + graphs // 3))
    first, more = order[:graphs], order[graphs:]
    freed_now, freed_later = (numbers.sample(part, graphs // 2) for part in (first[::2], first[1::2]))
    w, b = Value(3.0, "w"), Value(1.0, "b")
    (w * b).backward()
    held = {}
    before = resident()

    def build(i):
        held[i] = w * Value(float(i)) + b

    def check(i):
        product, bias = held[i].operands
        assert bias is b
        assert product.operands[0] is w
        assert (product.operands[1].data, product.data, held[i].data) == (i, 3.0 * i, 3.0 * i + 1.0)
        w.grad = 0.0
        held[i].backward()
        assert (w.grad, product.grad) == (i, 1.0)

    for i in first:
        build(i)
    full = resident()
    for turn, i in enumerate(freed_now):
        del held[i]
        if turn % 2 == 0 and more:
            build(more.pop())  # in the holes
        if turn % 100 == 0:
            check(numbers.choice(freed_later))
    rest = numbers.sample(list(held), len(held))
    for turn, i in enumerate(rest):
        if turn % 100 == 0:
            check(i)
        del held[i]
    held.clear()
    del rest
    gc.collect()
    return before, full, resident()


@pytest.mark.thorough
@resident_memory
def test_memory_comes_back_after_graphs_were_freed_in_random_order():
    graphs = 1_000_000 if ts.accelerated else 50_000
    before, full, after = alone(_memory_after_random_frees, graphs)
    assert full - before > graphs * 3 * 90
    assert after - before < (full - before) / 4  # some empty slabs are kept


# --- deep and large --------------------------------------------------------------------------------------------------


def _deep_chain(operations):
    """Build, differentiate, recompute and free a chain on a small stack; returns bytes per operation and numbers."""
    results = []

    def work():
        before = resident()
        x = Value(0.5)
        node = x
        for _ in range(operations // 2):
            node = -(node + x)
        node.backward()
        x.data = 0.25
        node.forward()
        results.append((peak() - before) / operations)
        results.append((node.data, x.grad))
        node.zero_grad()
        del node
        results.append((resident() - before) / operations)

    threading.stack_size(64 * 1024)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return results


@resident_memory
@compiled_only
@pytest.mark.parametrize("operations", [2_500_000, pytest.param(10_000_000, marks=pytest.mark.thorough)])
def test_a_chain_of_operations_takes_two_hundred_bytes_each_and_no_stack(operations):
    at_most, numbers, left = alone(_deep_chain, operations)
    assert numbers == [0.25, 1.0]
    assert at_most < 200
    assert left < 20


# --- under another allocator -----------------------------------------------------------------------------------------


@compiled_only
@pytest.mark.thorough
def test_the_engines_tests_pass_under_pythons_debugging_allocator():
    """It overwrites freed memory and guards the edges of every block; without the slabs, it sees each node."""
    files = ["value", "pickling", "anomaly", "lifetimes", "failures", "walks"]
    done = subprocess.run(
        [
            *(sys.executable, "-X", "dev", "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("-k", "not any_order"),
            *(str(HERE / f"test_{file}.py") for file in files),
        ],
        env={**os.environ, "PYTHONMALLOC": "debug"}, cwd=HERE.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(re.search(r"(\d+) passed", done.stdout).group(1)) > 500


def _chain(operations):
    nodes = [Value(0.5)]
    for _ in range(operations):
        nodes.append(nodes[-1] * nodes[0])
    return nodes


@compiled_only
@pytest.mark.skipif("PYTHONMALLOC" in os.environ, reason="another allocator decides where nodes lie")
@pytest.mark.parametrize("scattered", [False, True])
def test_a_large_graph_that_is_made_again_lies_in_the_same_memory_but_elsewhere(scattered):
    held = _chain(500_000)[:: 1000 if scattered else 500_000]  # when it scatters, no slab is ever empty
    dropped = _chain(200_000)
    first = list(map(id, dropped))
    turn_memory(dropped)
    try:
        again = list(map(id, _chain(200_000)))
    finally:
        turn_memory_back()
    assert sum(map(operator.eq, first, again)) < 200  # where the two orders cross, once in a slab
    assert len({*first} & {*again}) > 100_000 or scattered
    del held
    assert len(_chain(1_000_000)) == 1_000_001

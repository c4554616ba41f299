"""Memory comes back: the garbage collector has nothing to do, steps leave nothing behind, running out is an error.

What is measured here is measured in processes of its own: the resident memory of the process, or, where
PYTHONMALLOC=pymalloc makes Python's own allocator serve the compiled Value too, the exact number of its blocks in use.
"""

import contextlib
import copy
import gc
import json
import os
import pickle
import random
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import test_lifetimes

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine import bulk
from tinygrad_scalar.engine.value import record

HERE = Path(__file__).parent
STATM = Path("/proc/self/statm")
compiled_only = pytest.mark.skipif(not ts.accelerated, reason="a law of the compiled Value")
resident_memory = pytest.mark.skipif(
    not STATM.exists() or "asan" in os.environ.get("LD_PRELOAD", ""),
    reason="reads Linux's account of a process, which a sanitizer distorts",
)


def alone(function, *arguments, **environment):
    """What a function of this file returns in a process of its own."""
    script = f"""
import json, sys
sys.path.append({str(HERE)!r})
import test_memory
print(json.dumps(test_memory.{function.__name__}(*json.loads(sys.argv[1]))))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps(arguments)],
        env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# --- the garbage collector -------------------------------------------------------------------------------------------


@compiled_only
def test_the_garbage_collector_does_not_know_of_nodes():
    x = Value(1.0)
    for node in (x, x * 2.0, ts.where(x, x, x), x**2.5):
        assert not gc.is_tracked(node)


def _collections(operations):
    """How often the garbage collector runs in ten steps with graphs of this size."""
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
    assert _collections(20_000) <= _collections(200) + 2  # a run, begun and ended, that was due anyway


# --- steps leave nothing behind --------------------------------------------------------------------------------------


def _backward(x, i):
    ((x * 2.0 + i) ** 2 / 3.0).tanh().backward()


def _forward(x, i):
    root = (x.sin() + 1.0).exp() - x
    x.data = 1.0 / (1.0 + i)
    root.forward()
    root.zero_grad()


def _labels(x, i):
    node = Value(1.0, f"leaf {i}") * x
    node.label = f"first {i}"
    node.label = f"second {i}"


def _where(x, i):
    ts.where(x, x * 2.0, ts.where(x - i, x, 1.0)).backward()


def _numbers_of_their_own(x, i):
    (x.leaky_relu(1e-6 * i) + x ** (i + 0.25) + x ** -float(i)).backward()


def _rows(x, i):
    with test_lifetimes.row(n=4):
        record("test row", x, x * 2.0, Value(float(i)), x + 1.0).backward()


def _copies(x, i):
    root = ts.where(x, x * i, x.exp())
    copy.copy(root)
    copy.deepcopy(root).backward()


def _pickles(x, i):
    pickle.loads(pickle.dumps(ts.where(x, x * i, x.exp()))).backward()


def _bulk(x, i):
    bulk.weighted_sum([x, x * 2.0], [Value(3.0), x], x).backward()
    bulk.clear_gradients([x])


def _init(x, i):
    leaf = Value(1.0, f"leaf {i}")
    leaf.__init__(2.0, f"leaf {-i}")
    (leaf * x).backward()


def _subclasses(x, i):
    p = test_lifetimes.Parameter(1.0, f"p {i}")
    p.name = f"name {i}"
    ts.where(p, p * x, test_lifetimes.Dies(2.0)).backward()


def _anomaly_watched(x, i):
    with ts.detect_anomaly():
        (x * x + 1.0).log().backward()
        x.data = 0.5


def _reading(x, i):
    node = ts.where(x, x * i, x)
    assert len(node.operands) == len(node.local_grads) == 3
    assert (node > 1e300, repr(node) == "", f"{node:.2f}" == "", hash(node) == 0, node._prev == 0) == (False,) * 5
    ts.topological_order(node)


STEPS = {
    step.__name__.strip("_").replace("_", " "): step
    for step in (
        _backward, _forward, _labels, _where, _numbers_of_their_own, _rows, _copies, _pickles, _bulk, _init,
        _subclasses, _anomaly_watched, _reading,
    )
}  # fmt: skip


def resident():
    """Bytes of memory that this process occupies."""
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak():
    """The most that this process ever occupied."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def _growth_of_blocks():
    """How many blocks of memory steps and failures leave behind: two numbers of repetitions, blocks for each name."""
    x = Value(0.5)
    works = {name: (1024, lambda i, step=step: step(x, i)) for name, step in STEPS.items()}  # as many as rows are kept
    for failure in test_lifetimes.FAILURES:
        v = Value(2.0)
        works[failure] = (300, lambda i, failure=failure, v=v, w=v * 3.0: test_lifetimes.refused(failure, v, w))
    growth = {}
    for name, (times, work) in works.items():
        blocks = []
        for turn in range(3):
            for i in range(times):
                work(turn * times + i)
            gc.collect()
            blocks.append(sys.getallocatedblocks())
        growth[name] = blocks[2] - blocks[1]
    return growth


@pytest.fixture(scope="module")
def growth_of_blocks():
    return alone(_growth_of_blocks, PYTHONMALLOC="pymalloc")


@pytest.mark.parametrize("name", [*STEPS, *test_lifetimes.FAILURES])
def test_a_step_or_a_failure_leaves_no_memory_behind(growth_of_blocks, name):
    assert growth_of_blocks[name] < 100  # in 1024 steps or 300 failures; caches that fill by and by take some


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


# steps with the compiled Value; a tenth with the plain one
TIMES = {
    "backward": 1_000_000, "forward": 200_000, "labels": 200_000, "where": 200_000, "numbers of their own": 100_000,
    "copies": 20_000, "pickles": 20_000,
}  # fmt: skip


@resident_memory
@pytest.mark.parametrize("name", TIMES)
def test_resident_memory_is_flat_over_many_small_graphs(name):
    times = TIMES[name] if ts.accelerated else TIMES[name] // 10
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
def test_resident_memory_is_flat_over_large_graphs():
    graphs = 30 if ts.accelerated else 6
    assert alone(_growth_over_large_graphs, graphs, 100_000) < 5_000_000  # bytes; one graph has 10,000,000


def _memory_after_random_frees(graphs):
    """Resident memory before, with and after many small graphs that are freed in random order, checked on the way."""
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


@resident_memory
def test_memory_comes_back_after_graphs_were_freed_in_random_order():
    graphs = 1_000_000 if ts.accelerated else 50_000
    before, full, after = alone(_memory_after_random_frees, graphs)
    assert full - before > graphs * 3 * 90
    assert after - before < (full - before) / 4  # some empty slabs are kept


# --- running out of memory -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def failing_allocations():
    """Skips where allocations cannot be made to fail, or where what fails then is Python's own code."""
    pytest.importorskip("_testcapi", reason="this Python cannot make allocations fail")
    if not ts.accelerated:
        pytest.skip("the plain Value is as safe as the interpreter is")


@contextlib.contextmanager
def _failing(nth):
    """Within this block the nth allocation from now fails, and only that one."""
    import _testcapi

    _testcapi.set_nomemory(nth, nth + 1)
    try:
        yield
    finally:
        _testcapi.remove_mem_hooks()


# without those that append to lists in Python, which may itself crash then (python/cpython#151818)
SAFE_STEPS = ["backward", "forward", "labels", "where", "numbers of their own", "rows", "init"]


def _one_allocation_of_a_step_fails():
    """Take each step again and again, each time with a later allocation failing; failures, references left."""
    results = {}
    for name in SAFE_STEPS:
        x = Value(0.5)
        for i in range(3):
            STEPS[name](x, i)
        gc.collect()
        references = sys.getrefcount(x)
        failures = 0
        for nth in range(200):
            try:
                with _failing(nth):
                    STEPS[name](x, 3)
            except MemoryError:
                failures += 1
            x.data, x.grad = 0.5, 0.0
            (x * x * 3.0).backward()
            assert x.grad == 3.0
        gc.collect()
        results[name] = failures, sys.getrefcount(x) - references
    return results


@pytest.fixture(scope="module", params=["slabs", "pymalloc"])
def steps_without_memory(failing_allocations, request):
    return alone(_one_allocation_of_a_step_fails, **({} if request.param == "slabs" else {"PYTHONMALLOC": "pymalloc"}))


@pytest.mark.parametrize("name", SAFE_STEPS)
def test_a_step_without_memory_is_a_memory_error_and_leaves_nothing_behind(steps_without_memory, name):
    failures, references = steps_without_memory[name]
    assert failures > 0
    assert references == 0


def _one_allocation_of_a_walk_fails(name, operations):
    """Make a pass again and again, each time with a later allocation failing, until none does; how often that was."""
    x = Value(1.0)
    root = x
    for _ in range(operations):
        root = x + root  # in this order a walk's stack grows by two with each
    walk = getattr(root, name)
    for failures in range(200):
        x.grad, before = 7.0, root.data
        if name == "forward":
            x.data += 1.0
        try:
            with _failing(failures):
                walk()
        except MemoryError:
            assert (x.grad, root.data) == (7.0, before)
            elsewhere = x * 2.0
            elsewhere.backward()  # so that nothing is left of the last walk
        else:
            break
    root.forward()
    x.grad = 0.0
    root.backward()
    assert (x.grad, root.data) == (operations + 1, x.data * (operations + 1))
    return failures


@pytest.mark.parametrize("operations", [5_000, 600_000])
@pytest.mark.parametrize("name", ["backward", "forward", "zero_grad"])
def test_a_pass_without_memory_is_a_memory_error_and_changes_nothing(failing_allocations, name, operations):
    assert alone(_one_allocation_of_a_walk_fails, name, operations) > 5


def _use_memory_up(bytes_more):
    """How many graphs of 1000 operations there is memory for; those that were made are right afterwards."""
    import resource

    x = Value(1.0)
    (x * x).backward()

    def build():
        node = x
        for _ in range(1000):
            node = node + x
        return node

    limit = int(STATM.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE") + bytes_more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    graphs = []
    with contextlib.suppress(MemoryError):
        while True:
            graphs.append(build())
    made = len(graphs)
    del graphs[made // 2 :]
    for graph in (*graphs, build()):
        x.grad = 0.0
        graph.backward()
        assert (graph.data, x.grad) == (1001.0, 1001.0)
    return made


@resident_memory
def test_when_memory_is_used_up_what_was_built_is_right_and_what_is_freed_can_be_used():
    assert alone(_use_memory_up, 100_000_000) > 100


# --- deep and large --------------------------------------------------------------------------------------------------


def _deep_chain(operations):
    """A chain that is built, differentiated, recomputed and freed on a small stack; bytes for each operation."""
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
def test_a_chain_of_ten_million_operations_takes_two_hundred_bytes_each_and_no_stack():
    at_most, numbers, left = alone(_deep_chain, 10_000_000)
    assert numbers == [0.25, 1.0]
    assert at_most < 200
    assert left < 20


# --- under another allocator -----------------------------------------------------------------------------------------


@compiled_only
def test_the_engines_tests_pass_under_pythons_debugging_allocator():
    """Which fills what is freed and guards the edges of every block; without the slabs, so that it sees each node."""
    files = ["value", "pickling", "anomaly", "lifetimes", "walks"]
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

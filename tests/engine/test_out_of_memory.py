"""When memory runs out, the operation raises a MemoryError, and everything that was there before is unchanged."""

import contextlib
import gc
import os
import sys

import pytest
from support.lifetime_steps import STEPS
from support.processes import STATM, alone, resident_memory

import tinygrad_scalar as ts
from tinygrad_scalar import Value


@pytest.fixture(scope="module")
def failing_allocations():
    """Skip where allocations cannot be made to fail, or where Python's own code would be what fails."""
    pytest.importorskip("_testcapi", reason="this Python cannot make allocations fail")
    if not ts.accelerated:
        pytest.skip("the plain Value is as safe as the interpreter is")


@contextlib.contextmanager
def _failing(nth):
    """Within this block, only the nth allocation from now fails."""
    import _testcapi

    _testcapi.set_nomemory(nth, nth + 1)
    try:
        yield
    finally:
        _testcapi.remove_mem_hooks()


# without those that append to lists in Python, which can itself crash then (python/cpython#151818)
SAFE_STEPS = ["backward", "forward", "labels", "where", "numbers of their own", "rows", "init", "derivatives"]


def _one_allocation_of_a_step_fails():
    """Repeat each step, each time with a later allocation failing; counts failures and references left."""
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
    """Repeat a pass, each time with a later allocation failing, until none does; counts the failures."""
    x = Value(1.0)
    root = x
    for _ in range(operations):
        root = x + root  # in this order each node makes a walk's stack grow by two
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


@pytest.mark.parametrize("operations", [5_000, pytest.param(600_000, marks=pytest.mark.thorough)])
@pytest.mark.parametrize("name", ["backward", "forward", "zero_grad"])
def test_a_pass_without_memory_is_a_memory_error_and_changes_nothing(failing_allocations, name, operations):
    assert alone(_one_allocation_of_a_walk_fails, name, operations) > 5


def _use_memory_up(bytes_more):
    """Build graphs of 1000 operations until memory is used up, then check and count them."""
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
    graphs, spare = [], bytearray(1 << 20)
    with contextlib.suppress(MemoryError):
        while True:
            graphs.append(build())
    made = len(graphs)
    del spare  # as a slice needs memory to be deleted
    del graphs[made // 2 :]
    for graph in (*graphs, build()):
        x.grad = 0.0
        graph.backward()
        assert (graph.data, x.grad) == (1001.0, 1001.0)
    return made


@resident_memory
def test_when_memory_is_used_up_what_was_built_is_right_and_what_is_freed_can_be_used(thorough):
    assert alone(_use_memory_up, 100_000_000 if thorough else 50_000_000) > 50

"""Threads that build and differentiate graphs at the same time."""

import contextlib
import queue
import random
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import Value

THREADS = 8
ROUNDS = 2000 if ts.accelerated else 200


@pytest.fixture(autouse=True)
def _switch_often():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def at_once(work):
    """The results of work(0), work(1), … in threads that begin together."""
    barrier = threading.Barrier(THREADS)

    def begin(thread):
        barrier.wait()
        return work(thread)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(begin, range(THREADS)))


def _loss(w, x):
    hidden = [(w[0] * x + w[1]).tanh(), (w[1] * x - w[2]).sigmoid(), ts.where(w[2], w[0] * w[1], x)]
    return (sum(h * w[3] for h in hidden) - 0.5) ** 2


def _train(parameters, seed):
    """The weights after some steps with data of its own, from initial weights that other threads read too."""
    numbers = random.Random(seed)
    w = [Value(parameter.data) for parameter in parameters]
    for _ in range(ROUNDS):
        loss = _loss(w, numbers.uniform(-1.0, 1.0))
        loss.backward()
        for weight in w:
            weight.data -= 0.1 * weight.grad
            weight.grad = 0.0
        loss.forward()
    return [weight.data for weight in w]


PARAMETERS = [0.3, -0.2, 0.7, 0.1]


def test_threads_with_graphs_of_their_own_compute_what_one_thread_computes():
    parameters = [Value(number) for number in PARAMETERS]
    alone = [_train(parameters, seed) for seed in range(THREADS)]
    assert at_once(lambda thread: _train(parameters, thread)) == alone
    assert [parameter.data for parameter in parameters] == PARAMETERS


def test_threads_that_set_leaves_and_recompute_graphs_of_their_own_make_no_other_stale():
    def work(thread):
        x, late = Value(1.0), Value(1.0)
        root = x
        for _ in range(30):
            root = root + x * 1.0
        for i in range(ROUNDS):
            late.data = float(i)
            assert (late * 2.0 + root).data == 2.0 * i + root.data
            x.data = float(thread + i)
            root.forward()
            built = late * 3.0
            root.backward()
            built.backward()
            assert root.data == 31.0 * (thread + i)
            late.data = -1.0
            with pytest.raises(ts.StaleGraphError):
                built.backward()
        return x.grad, late.grad

    assert at_once(work) == [(31.0 * ROUNDS, 3.0 * ROUNDS)] * THREADS


def _differentiate_shared(leaves, guard):
    """Run passes of all threads over graphs above the same leaves; returns how much each leaf's gradient must grow."""

    def work(thread):
        for i in range(ROUNDS):
            own = Value(float(i))
            loss = leaves[0] * 2.0 + leaves[1] * leaves[2] + ts.where(leaves[0], leaves[1], own) * own
            with guard:
                loss.backward()
            assert loss.data == 14.0 + 3.0 * i
            assert own.grad == 3.0

    at_once(work)
    passes = THREADS * ROUNDS
    return [2.0 * passes, 4.0 * passes + THREADS * sum(range(ROUNDS)), 3.0 * passes]


@pytest.mark.parametrize("guarded", [True, False], ids=["with a lock", "without"])
def test_gradients_of_leaves_that_threads_share_add_up(guarded):
    leaves = [Value(1.0), Value(3.0), Value(4.0)]
    expected = _differentiate_shared(leaves, threading.Lock() if guarded else contextlib.nullcontext())
    assert [leaf.data for leaf in leaves] == [1.0, 3.0, 4.0]
    if guarded or ts.accelerated:  # other threads can interrupt only a pass of the plain Value
        assert [leaf.grad for leaf in leaves] == expected


def test_graphs_can_be_freed_by_another_thread_than_the_one_that_built_them():
    shared = Value(2.0)
    graphs = queue.SimpleQueue()

    def work(thread):
        for i in range(ROUNDS):
            if thread % 2:
                node = graphs.get(timeout=60)
                assert [operand.data for operand in node.operands] == [2.0, float(node.label)]
            else:
                node = shared * Value(float(i))
                node.label = str(i)
                graphs.put(node)

    before = sys.getrefcount(shared)
    at_once(work)
    assert graphs.empty()
    assert sys.getrefcount(shared) == before


def test_threads_can_walk_graphs_that_share_nodes_one_after_the_other():
    x = Value(2.0)
    shared = (x * x).exp().log()
    guard = threading.Lock()

    def work(thread):
        root = shared * float(thread)
        for _ in range(ROUNDS):
            with guard:
                root.backward()
                assert shared.grad == float(thread)

    at_once(work)
    assert x.grad == pytest.approx(4.0 * sum(range(THREADS)) * ROUNDS, rel=1e-12)

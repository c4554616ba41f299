"""Large calls run on several threads: with the same bits, interrupted as before, in forked children, side by side."""

import contextlib
import ctypes
import os
import platform
import subprocess
import sys
import time

import numpy as np
import pytest
from programs import Draw
from support.structures import STRUCTURES
from support.threads import (
    THREADS,
    Interruption,
    bits,
    interrupted_after,
    native_threads,
    require_right_after_interruptions,
    require_right_side_by_side,
    require_right_within_a_signal_handler,
    timers,
    using,
)
from support.vectorize_cases import CASES

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.vectorize.block_program import native_blocks

pytestmark = pytest.mark.skipif(native_blocks() is None, reason="the executor is not built")


def array_way(cost, params, arrays, **options):
    run = ts.vectorize(cost, params, check=False, **options)
    run(*arrays)
    program, rows = run._prepared(arrays)
    way, guards = program.write_arrays(), program.guards
    return way, lambda arrays, backwards=True: way.run(run.parameters, arrays, backwards, guards), rows


def enough(way, rows, chunks):
    """So many examples that their blocks form at least so many chunks, the last one smaller than the others."""
    m = 1000
    while way.native.chunks(m) < chunks:
        m += m // 2 + 1
    return [np.resize(array, (m, *array.shape[1:])) for array in rows]


def network(sizes=(3, 40, 40, 2), chunks=5, **options):
    net, d = ts.MLP(sizes[0], list(sizes[1:]), "tanh", seed=0), Draw()
    arrays = [d.normal(9, sizes[0]), d.normal(9, sizes[-1])]
    way, run, rows = array_way(lambda x, y: ts.squared_error(net(x), y), net.parameters(), arrays, **options)
    return run, enough(way, rows, chunks)


@pytest.mark.parametrize("name", [*CASES, *STRUCTURES])
def test_threads_make_no_difference_to_any_bit(name):
    cost, params, arrays = {**CASES, **STRUCTURES}[name](Draw())
    try:
        way, run, rows = array_way(cost, params, arrays, wrt_inputs=True)
    except ts.TraceError:
        way, run, rows = array_way(cost, params, arrays)
    rows = enough(way, rows, 3)
    for backwards in (True, False):
        results = []
        for n in THREADS:
            with using(n):
                results += [bits(run(rows, backwards)) for _ in range(2)]
        assert all(result == results[0] for result in results)


@pytest.mark.parametrize("reduce", ["mean", "sum"])
@pytest.mark.parametrize("sizes", [(3, 40, 40, 2), (1, 200, 1), (120, 90, 1), (300, 200, 4)], ids=str)
def test_sums_of_many_chunks_are_those_of_the_numpy_source(sizes, reduce):
    net, d = ts.MLP(sizes[0], list(sizes[1:]), "tanh", seed=0), Draw()
    arrays = [d.normal(9, sizes[0]), d.normal(9, sizes[-1])]
    options = {"wrt_inputs": True, "reduce": reduce}
    way, run, rows = array_way(lambda x, y: ts.squared_error(net(x), y), net.parameters(), arrays, **options)
    rows = enough(way, rows, 4)
    expected, slopes, by_inputs = way.run_source(np.array([p.data for p in net.parameters()]), rows, True, [])
    for n in THREADS:
        with using(n):
            value, gradient, inputs = run(rows)
        assert value == pytest.approx(expected, rel=1e-12)
        for ours, theirs in zip([gradient, *inputs], [slopes, *by_inputs]):
            np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-12 * np.abs(theirs).max())


def test_other_threads_compute_too():
    run, rows = network(chunks=16)
    with using(2):
        before = time.process_time() - time.thread_time()
        while time.process_time() - time.thread_time() < before + 1e-3:
            run(rows)


def test_a_small_call_is_one_chunk():
    net = ts.MLP(4, [16, 1], "tanh", seed=0)
    way, _, _ = array_way(lambda x: net(x) ** 2, net.parameters(), [np.ones((3, 4))])
    assert way.native.chunks(1) == way.native.chunks(100) == 1 < way.native.chunks(100_000)


def test_a_table_much_larger_than_the_work_is_not_summed_in_chunks():
    table = [[Value(float(i + k)) for k in range(2)] for i in range(5000)]
    params = [value for row in table for value in row]
    way, _, _ = array_way(lambda i: ts.lookup(table, i)[0] ** 2, params, [np.arange(5000)])
    assert way.native.chunks(5000) == 1


def test_a_call_has_no_more_threads_than_the_process_has_cores():
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("no affinities")
    cores = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(cores)})
        assert native_threads().available(100) == 1
    finally:
        os.sched_setaffinity(0, cores)
    assert 1 <= native_threads().available(100) <= len(cores)


@pytest.mark.parametrize("variable", ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"])
@pytest.mark.thorough
def test_a_call_has_no_more_threads_than_blas(variable):
    if variable == "OPENBLAS_NUM_THREADS" and not native_threads().knows_blas():
        pytest.skip("NumPy's BLAS is another one")
    code = "from tinygrad_scalar.vectorize import _threads; print(_threads.available(100))"
    clean = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    for given, expected in (("1", "1"), ("0", None), ("", None)):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code], env={**clean, variable: given}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert expected in (None, done.stdout.strip())


def test_blas_has_its_threads_again_after_every_call():
    if not native_threads().knows_blas():
        pytest.skip("NumPy's BLAS is another one")
    run, rows = network((300, 200, 1), chunks=3)
    before = native_threads().blas_threads_now()
    with using(2):
        run(rows)
        assert native_threads().blas_threads_now() == before
        with contextlib.suppress(Interruption), interrupted_after(1e-4):
            for _ in range(100):
                run(rows)
        assert native_threads().blas_threads_now() == before


@pytest.mark.parametrize(("sizes", "m", "expected"), [((64, 32, 10), 256, False), ((784, 640, 10), 256, True)])
def test_blas_uses_threads_of_its_own_for_large_products_alone(sizes, m, expected):
    net = ts.MLP(sizes[0], list(sizes[1:]), "tanh", seed=0)
    X, Y = np.ones((m, sizes[0])), np.ones((m, sizes[-1]))
    way, _, _ = array_way(lambda x, y: ts.squared_error(net(x), y), net.parameters(), [X, Y])
    assert way.native.lets_blas_use_threads(m) == expected
    assert not way.native.lets_blas_use_threads(1)


@pytest.mark.parametrize("n", THREADS)
def test_a_missing_row_is_an_error_wherever_it_stands(n):
    table = [Value(float(k)) for k in range(3)]
    way, run, (rows,) = array_way(lambda i: ts.lookup(table, i).exp().tanh(), table, [np.arange(900) % 3])
    (rows,) = enough(way, [rows], 3)
    with using(n):
        expected = bits(run([rows]))
        for bad in (3.0, -1.0):
            for place in (0, len(rows) // 2, len(rows) - 1):
                wrong = rows.copy()
                wrong[place] = bad
                with pytest.raises(ValueError, match=f"expected rows from 0 to 2, got {bad:.0f}"):
                    run([wrong])
        wrong[0] = 7.0  # the first is named, whatever the order in which they are met
        with pytest.raises(ValueError, match="got 7"):
            run([wrong])
        assert bits(run([rows])) == expected


# --- interruptions ----------------------------------------------------------------------------------------------------


@timers
@pytest.mark.parametrize("n", THREADS)
def test_an_interrupted_call_ends_and_the_next_one_is_right(n):
    require_right_after_interruptions(*network(chunks=16), n)


@timers
def test_a_signal_handler_can_run_what_it_interrupts_on_several_threads():
    require_right_within_a_signal_handler(*network(chunks=16))


def test_python_threads_can_make_large_calls_at_the_same_time():
    require_right_side_by_side([network(), network((1, 200, 1))] * 2, 20)


# --- rounding ---------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the modes' numbers are those of x86-64")
@pytest.mark.skipif(os.name == "nt", reason="no C library by that name")
@pytest.mark.parametrize("mode", [0x400, 0x800, 0xC00], ids=["down", "up", "to zero"])
def test_all_threads_round_as_the_caller_does(mode):
    library = ctypes.CDLL(None)
    run, rows = network()
    nearest = bits(run(rows))
    results = []
    for n in (1, 3, 3, 3):
        library.fesetround(mode)
        try:
            with using(n):
                results.append(run(rows))
        finally:
            library.fesetround(0)
    results = [bits(result) for result in results]
    assert all(result == results[0] for result in results)
    assert results[0] != nearest
    with using(3):
        assert bits(run(rows)) == nearest


# --- processes --------------------------------------------------------------------------------------------------------

PROGRAM = """
import os, signal, sys, threading
import numpy as np
import tinygrad_scalar as ts
from tinygrad_scalar.vectorize import _threads

_threads.use_threads(3)
net = ts.MLP(3, [40, 40, 1], "tanh", seed=0)
run = ts.vectorize(lambda x: net(x) ** 2, net.parameters(), way="WAY")
X = np.random.default_rng(0).normal(size=(5000, 3))
value, gradient = run(X)

def same():
    again = run(X)
    return again[0] == value and again[1].tobytes() == gradient.tobytes()

assert same()
"""

FORKED = """
def child():
    fine = same() and same()
    child = os.fork()  # and its child
    if child == 0:
        os._exit(0 if same() else 1)
    os._exit(0 if fine and os.waitpid(child, 0)[1] == 0 else 1)

def forks():
    for _ in range(5):
        pid = os.fork()
        if pid == 0:
            child()
        assert os.waitpid(pid, 0)[1] == 0
    assert same()

forks()
stop = threading.Event()

def work():
    while not stop.is_set():
        assert same()

workers = [threading.Thread(target=work, daemon=True) for _ in range(2)]
for worker in workers:
    worker.start()
forks()
stop.set()
for worker in workers:
    worker.join()
"""

FORKED_IN_A_HANDLER = """
X = np.concatenate([X] * 4)
value, gradient = run(X)
parent, children = os.getpid(), []

def handler(number, frame):
    children.append(os.fork())

signal.signal(signal.SIGALRM, handler)
while len(children) < 5:
    signal.setitimer(signal.ITIMER_REAL, 1e-3)
    fine = same()
    if os.getpid() != parent:
        os._exit(0 if fine and same() else 1)
    assert fine
assert all(os.waitpid(child, 0)[1] == 0 for child in children)
"""

ENDS_IN_A_CALL = """
def work():
    while True:
        run(X)

for _ in range(2):
    threading.Thread(target=work, daemon=True).start()
for _ in range(20):
    run(X)
"""

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")


@pytest.mark.thorough
@pytest.mark.parametrize(
    "code",
    [
        pytest.param(FORKED, id="forked", marks=forks),
        pytest.param(FORKED_IN_A_HANDLER, id="forked in a signal handler", marks=[forks, timers]),
        pytest.param(ENDS_IN_A_CALL, id="ends while a thread is calling"),
    ],
)
@pytest.mark.parametrize("way", ["arrays", "scalar"])
def test_a_process_is_fine_when(code, way):
    program = [sys.executable, "-W", "ignore", "-c", PROGRAM.replace("WAY", way) + code]
    for _ in range(5):
        done = subprocess.run(program, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr

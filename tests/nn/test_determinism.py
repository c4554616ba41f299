"""The same seed gives the same bits whatever the number of BLAS's threads, as docs/distributed.md says."""

import os
import subprocess
import sys

import pytest

from tinygrad_scalar.vectorize.block_program import native_blocks

pytestmark = pytest.mark.skipif(native_blocks() is None, reason="the executor is not built")

TRAINING = """
import hashlib
import sys
import numpy as np
import tinygrad_scalar as ts

def bits(n, layers, m, batch_size, arrays=lambda X: X):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(m, n)), rng.normal(size=(m, layers[-1]))
    net = ts.MLP(n, layers, "tanh", "linear", seed=0)
    history = ts.fit(net, arrays(X), Y, epochs=2, batch_size=batch_size, progress=False)
    return hashlib.sha1(np.array([p.data for p in net.parameters()] + history.cost).tobytes()).hexdigest()
"""
CASES = """
print(bits(4, [8, 3], 150, 16))
print(bits(64, [32, 10], 1797, 64))
print(bits(50, [64, 64, 1], 5000, None))
print(bits(301, [77, 3], 1500, 777))
print(bits(1, [100, 1], 4000, None))
print(bits(784, [33], 1000, 300))
"""
LARGE = """
import dask.array as da
print(bits(1694, [320, 10], 100, 50, lambda X: da.from_array(X, chunks=(60, -1))))
"""


def results(cases):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", TRAINING + cases],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": str(n), "OMP_NUM_THREADS": str(n)},
        )
        for n in (1, 2)
    ]
    return [process.communicate()[0].split("\n") for process in processes]


@pytest.mark.thorough
def test_trainings_have_the_same_bits_with_one_thread_and_with_two():
    one, two = results(CASES)
    assert len(one) == CASES.count("bits(") + 1
    assert one == two


@pytest.mark.peers
def test_partitions_have_the_same_bits_with_one_thread_and_with_two_also_where_products_are_large():
    pytest.importorskip("dask.array")
    one, two = results(LARGE)
    assert one[0] and one == two

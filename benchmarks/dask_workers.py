"""Seconds of an epoch of `fit` on one and on two of Dask's workers, each a process with one thread, in turn.

    python benchmarks/dask_workers.py [ROUNDS]

The problem is compute-bound: 65,536 examples, a network 100-500-500-10, one step over all of them. The bits must be the
same. Needs two free cores: the load is printed.
"""

from __future__ import annotations

import itertools
import os
import statistics
import sys
import time

import dask.array as da
import numpy as np
from distributed import Client, LocalCluster

import tinygrad_scalar as ts

M, SIZES, CHUNK, EPOCHS = 65_536, (100, 500, 500, 10), 4096, 4


def seconds_of_an_epoch(client: Client, X: da.Array, Y: np.ndarray) -> tuple[float, list[float]]:
    ends: list[float] = []
    net = ts.MLP(SIZES[0], list(SIZES[1:]), "tanh", "linear", seed=0)
    callbacks = [lambda epoch: ends.append(time.perf_counter())]
    ts.fit(net, X, Y, epochs=EPOCHS, client=client, callbacks=callbacks, progress=False)
    steps = [after - before for before, after in itertools.pairwise(ends)]
    return statistics.median(steps), [p.data for p in net.parameters()]


def cluster(workers: int) -> LocalCluster:
    return LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    rng = np.random.default_rng(0)
    X = da.from_array(rng.normal(size=(M, SIZES[0])), chunks=(CHUNK, -1))
    Y = rng.normal(size=(M, SIZES[-1]))
    ratios = []
    with cluster(1) as one, cluster(2) as two, Client(one) as alone, Client(two) as both:
        for _ in range(rounds):
            (slow, expected), (fast, found) = (seconds_of_an_epoch(client, X, Y) for client in (alone, both))
            assert found == expected, "other bits"
            ratios.append(slow / fast)
            load = os.getloadavg()[0]
            print(
                f"1 worker {slow:.3f} s, 2 workers {fast:.3f} s: {slow / fast:.2f} times (load {load:.1f})", flush=True
            )
    print(f"median {statistics.median(ratios):.2f} times; the same bits")


if __name__ == "__main__":
    main()

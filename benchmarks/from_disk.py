"""A million examples of 50 numbers: training from a file beside training from memory.

    python benchmarks/from_disk.py [examples]

One epoch of batches of 64 of a 50-32-1 network, each run in a process of its own, the kinds in turn. CPU time of fit
itself, medians, and the ratio to arrays in memory. Memory is that of the process at its peak: `own` is RssAnon, sampled
every 10 ms; `peak` is ru_maxrss, which counts the mapped pages of the file too, though the system can take them back.
"""

import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np

import tinygrad_scalar as ts

N, SIZE, RUNS = 50, 64, 5
KINDS = {  # which array of memory has its batches
    "array": "float64 in memory, shuffled",
    "memmap": "float64 on disk, shuffled",
    "array f4": "float32 in memory, shuffled",
    "memmap f4": "float32 on disk, shuffled",
    "array loop": "float64 in memory, batches in order",
    "generator": "float64 on disk, batches in order",
}


def write(folder, m):
    rng = np.random.default_rng(0)
    weights = rng.normal(size=N) / N**0.5
    with open(f"{folder}/x.f8", "wb") as x, open(f"{folder}/x.f4", "wb") as x4, open(f"{folder}/y.f8", "wb") as y:
        for start in range(0, m, 10_000):
            X = rng.normal(size=(min(10_000, m - start), N))
            x.write(X.tobytes())
            x4.write(X.astype("f4").tobytes())
            y.write(np.tanh(X @ weights).tobytes())


def examples(kind, folder, m):
    """The X and Y that `fit` is called with."""
    dtype = "f4" if kind.endswith("f4") else "f8"
    X, Y = np.memmap(f"{folder}/x.{dtype}", dtype, "r", shape=(m, N)), np.memmap(f"{folder}/y.f8", "f8", "r", shape=m)
    if kind.startswith("array"):
        X, Y = np.array(X), np.array(Y)
    if kind in ("generator", "array loop"):
        return (lambda: ((X[i : i + SIZE], Y[i : i + SIZE]) for i in range(0, m, SIZE)),), {}
    return (X, Y), {"batch_size": SIZE}


def own_memory():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("RssAnon"))


def run(kind, folder, m):
    """Prints what the other process measures, as JSON."""
    peak, done = [own_memory()], threading.Event()

    def watch():
        while not done.wait(0.01):
            peak.append(own_memory())

    given, options = examples(kind, folder, m)
    net = ts.MLP(N, [32, 1], "tanh", "linear", seed=0)
    few = [array[:SIZE] for array in given] if len(given) == 2 else [list(itertools.islice(given[0](), 1))]
    ts.fit(net, *few, epochs=1, progress=False)  # which derives the program, whatever the number of examples
    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.process_time()
    history = ts.fit(net, *given, epochs=1, progress=False, **options)
    seconds = time.process_time() - start
    done.set()
    watcher.join()
    maximum = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "own": max(peak), "peak": maximum, "cost": history.cost[0]}))


def main(m=1_000_000):
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        write(folder, m)
        found = {kind: [] for kind in KINDS}
        for _ in range(RUNS):
            for kind, runs in found.items():
                command = [sys.executable, __file__, "--run", kind, folder, str(m)]
                runs.append(json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout))
    print(f"{'':38} {'µs/row':>7} {'ratio':>6} {'own MB':>7} {'peak MB':>8}")
    memory = None
    for kind, runs in found.items():
        seconds = statistics.median(one["seconds"] for one in runs)
        memory = seconds if kind.startswith("array") else memory
        largest = [max(one[name] for one in runs) for name in ("own", "peak")]
        print(f"{KINDS[kind]:38} {1e6 * seconds / m:7.2f} {seconds / memory:6.2f} {largest[0]:7.0f} {largest[1]:8.0f}")
    costs = [runs[0]["cost"] for runs in found.values()]
    print("the same costs, bit for bit:", [a == b for a, b in zip(costs[::2], costs[1::2])])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        run(*sys.argv[2:4], int(sys.argv[4]))
    else:
        main(*map(int, sys.argv[1:]))

"""A file larger than memory, none of it in the system's cache: what rows in random order cost, and in blocks.

    python benchmarks/from_cold_disk.py [gigabytes]

Batches of 64 of a 50-32-1 network, each way in a process of its own, on a file of float64 that is written once. Before
the first step its pages are dropped; then steps are taken for SECONDS, and wall time is told, because a process that
waits for a disk takes none of the processor's. `read` is what the process had the disk read for each row of 400 bytes,
`own` its memory (RssAnon) at the peak. `check` is the pass over the file by which `fit` begins, in gigabytes a second.
"""

import json
import mmap
import os
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np
from from_disk import SIZE, N, own_memory

import tinygrad_scalar as ts

SECONDS, BLOCK = 15.0, 16_384
KINDS = {
    "array": "in memory, random order",
    "warm": "memory map, random order, as the check left it",
    "shuffled": "memory map, random order, cold",
    "advised": "the same with madvise(MADV_RANDOM), cold",
    "blocks": f"blocks of {BLOCK:,} rows in random order, each shuffled, cold",
    "order": "blocks in their order, cold",
}


def write(folder, m):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(100_000, N))  # again and again: drawing them all would take longer than writing them
    with open(f"{folder}/x.f8", "wb") as x:
        for start in range(0, m, len(rows)):
            x.write(rows[: m - start].tobytes())
        os.fsync(x.fileno())
    rng.normal(size=m).tofile(f"{folder}/y.f8")


def drop(X, path):
    """Take the file's pages out of this process and out of the system's cache."""
    X._mmap.madvise(mmap.MADV_DONTNEED)
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def bytes_read():
    with open("/proc/self/io") as counts:
        return next(int(line.split()[1]) for line in counts if line.startswith("read_bytes"))


def run(kind, folder, m):
    """Prints what the other process measures, as JSON."""
    path = f"{folder}/x.f8"
    X, Y = np.memmap(path, "f8", "r", shape=(m, N)), np.fromfile(f"{folder}/y.f8")
    if kind == "array":
        X, Y = np.array(X[:1_000_000]), Y[:1_000_000]

    def blocks(epoch):
        rng = np.random.default_rng(epoch)
        starts = range(0, m, BLOCK)
        for i in rng.permutation(len(starts)) if kind == "blocks" else range(len(starts)):
            rows, targets = (np.array(array[starts[i] : starts[i] + BLOCK]) for array in (X, Y))
            order = rng.permutation(len(rows)) if kind == "blocks" else range(len(rows))
            for begin in range(0, len(rows), SIZE):
                few = order[begin : begin + SIZE]
                yield rows[few], targets[few]

    net = ts.MLP(N, [32, 1], "tanh", "linear", seed=0)
    ts.fit(net, X[:SIZE], Y[:SIZE], epochs=1, progress=False)  # which derives the program
    times, own, read = [], [], []

    def watch(t, epochs):
        """A schedule is called before every step."""
        if not times:
            if kind not in ("array", "warm"):
                drop(X, path)
            if kind == "advised":
                X._mmap.madvise(mmap.MADV_RANDOM)
        if len(times) % 100 == 0:
            own.append(own_memory())
        if not times:
            read.append(bytes_read())
        times.append(time.perf_counter())
        if times[-1] - times[0] > SECONDS:
            raise KeyboardInterrupt
        return 1.0

    given = (blocks,) if kind in ("blocks", "order") else (X, Y)
    options = {} if kind in ("blocks", "order") else {"batch_size": SIZE}
    begin = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ts.fit(net, *given, epochs=1, progress=False, schedule=watch, **options)
    rows = SIZE * (len(times) - 1)
    seconds = times[-1] - times[0]
    found = {"row": seconds / rows, "rows": rows, "read": (bytes_read() - read[0]) / rows, "own": max(own)}
    print(json.dumps({**found, "before": times[0] - begin}))


def main(gigabytes=30.0):
    m = int(gigabytes * 1e9 / (8 * N))
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        write(folder, m)
        print(f"{m:,} rows\n{'':60} {'µs/row':>8} {'read B/row':>10} {'own MB':>7} {'rows':>10} {'before, s':>9}")
        for kind, title in KINDS.items():
            command = [sys.executable, __file__, "--run", kind, folder, str(m)]
            one = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
            numbers = f"{1e6 * one['row']:8.2f} {one['read']:10.0f} {one['own']:7.0f} {one['rows']:10,}"
            print(f"{title:60} {numbers} {one['before']:9.1f}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        run(*sys.argv[2:4], int(sys.argv[4]))
    else:
        main(*map(float, sys.argv[1:]))

"""A file larger than memory, none of it in the system's cache: what rows in random order cost, and in blocks.

    python benchmarks/from_cold_disk.py [gigabytes]

Batches of 64 of a 50-32-1 network over a file of float64 that is written once. In each phase steps are taken for
SECONDS, after the file's pages were dropped if it is cold, and wall time is told, because a process that waits for a
disk takes no time of the processor's. `read` is what the disk gave for each row of 400 bytes, `own` the memory of the
process (RssAnon). `check` is the time of the pass over all rows by which `fit` begins.
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
WARM, COLD, ADVISED = "as the check left it", "cold", "cold, with madvise(MADV_RANDOM)"
KINDS = {
    "in memory, random order": [WARM],
    "memory map, random order": [WARM, COLD, ADVISED],
    "blocks of 16,384 rows in random order, each shuffled": [COLD],
    "blocks in their order": [COLD],
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
    if kind.startswith("in memory"):
        X, Y = np.array(X[:1_000_000]), Y[:1_000_000]

    def blocks(epoch):
        rng = np.random.default_rng(epoch)
        shuffled, starts = "shuffled" in kind, range(0, m, BLOCK)
        for i in rng.permutation(len(starts)) if shuffled else range(len(starts)):
            rows, targets = (np.array(array[starts[i] : starts[i] + BLOCK]) for array in (X, Y))
            order = rng.permutation(len(rows)) if shuffled else np.arange(len(rows))
            for begin in range(0, len(rows), SIZE):
                few = order[begin : begin + SIZE]
                yield rows[few], targets[few]

    net = ts.MLP(N, [32, 1], "tanh", "linear", seed=0)
    ts.fit(net, X[:SIZE], Y[:SIZE], epochs=1, progress=False)  # which derives the program
    phases = iter(KINDS[kind])
    found = []

    def begin_phase():
        phase = next(phases, None)
        if phase is None:
            raise KeyboardInterrupt  # fit ends
        if phase != WARM:
            drop(X, path)
        if phase == ADVISED:
            X._mmap.madvise(mmap.MADV_RANDOM)
        found.append({"phase": phase, "start": time.perf_counter(), "steps": -1, "read": -bytes_read(), "own": 0.0})

    def watch(t, epochs):
        """A schedule is called before every step."""
        if not found:
            begin_phase()
        now = found[-1]
        now["steps"] += 1
        if now["steps"] % 100 == 0:
            now["own"] = max(now["own"], own_memory())
        seconds = time.perf_counter() - now["start"]
        if seconds > SECONDS:
            now.update(seconds=seconds, read=now["read"] + bytes_read())
            begin_phase()
        return 1.0

    given, options = ((blocks,), {}) if kind.startswith("blocks") else ((X, Y), {"batch_size": SIZE})
    begin = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ts.fit(net, *given, epochs=1_000, progress=False, schedule=watch, **options)
    print(json.dumps({"before": found[0]["start"] - begin, "phases": found}))


def main(gigabytes=25.0):
    m = int(gigabytes * 1e9 / (8 * N))
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        begin = time.perf_counter()
        write(folder, m)
        print(f"{m:,} rows, written in {time.perf_counter() - begin:.0f} s", flush=True)
        print(f"{'':86} {'µs/row':>8} {'read B/row':>10} {'own MB':>7} {'rows':>10} {'check, s':>8}")
        for kind in KINDS:
            command = [sys.executable, __file__, "--run", kind, folder, str(m)]
            one = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
            for found in one["phases"]:
                rows = SIZE * found["steps"]
                numbers = f"{1e6 * found['seconds'] / rows:8.2f} {found['read'] / rows:10.0f} {found['own']:7.0f}"
                print(f"{kind + ', ' + found['phase']:86} {numbers} {rows:10,} {one['before']:8.1f}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        run(*sys.argv[2:4], int(sys.argv[4]))
    else:
        main(*map(float, sys.argv[1:]))

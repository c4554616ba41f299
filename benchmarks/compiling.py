"""The time and memory `vectorize` takes to compile: the first call of what it returns (from trace to first run).

Each case runs in processes of its own, after first calls of tiny functions, and prints the milliseconds of the first
call and of the function itself, and the microseconds for each operation of the trace. In another process, in which no
graph was made before, it prints the bytes for each operation by which the first call's peak is above the memory before
it: the function's own graph is in them, its parameters are not; results and the numbers of the first run are. Where
little repeats, 9 examples or more take 16 numbers for each result that is still read, on the way back at the latest.
`python benchmarks/compiling.py small` runs the first.
"""

from __future__ import annotations

import math
import multiprocessing
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from compiled_programs import LARGE, SMALL

import tinygrad_scalar as ts
from tinygrad_scalar.vectorize.trace import trace

RUNS = 7  # of a small case; 3 of a large one


def ready(make, sizes):
    """The function with all that its first call needs, after first calls of tiny ones, which import what there is."""
    cost, params, arrays, *options = make(*sizes)
    options = options[0] if options else {}
    tiny = ts.MLP(2, [3, 1], "tanh", seed=0)
    ts.vectorize(tiny, tiny.parameters(), **options)(np.ones((5, 2)))
    return ts.vectorize(cost, params, **options), cost, params, arrays


def time_of_first_call(make, sizes, answer):
    run, cost, _, arrays = ready(make, sizes)
    arguments = [values_of(array[0]) for array in arrays]
    alone = math.nan
    if all(array.dtype.kind == "f" for array in arrays):  # else it looks rows up, which takes no Value
        cost(*arguments)
        start = time.perf_counter()
        returned = cost(*arguments)
        alone = time.perf_counter() - start
        del returned
    start = time.perf_counter()
    run(*arrays)
    answer.send((time.perf_counter() - start, alone))


def memory_of_first_call(make, sizes, answer):
    run, cost, params, arrays = ready(make, sizes)
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is that of now
    before = peak()
    run(*arrays)
    most = peak()
    codes = trace(cost, params, arrays).tape.codes
    answer.send((most - before, int((codes >= 0).sum())))


def peak():
    """The most bytes that this process has had, as Linux counts them."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return 1024 * int(line.split()[1])


def values_of(numbers):
    return [values_of(part) for part in numbers] if np.ndim(numbers) else ts.Value(numbers)


def medians(measure, make, sizes, runs):
    """The medians of what a measurement gives in processes of its own."""
    results = []
    for _ in range(runs):
        answer, theirs = multiprocessing.Pipe()
        process = multiprocessing.Process(target=measure, args=(make, sizes, theirs))
        process.start()
        theirs.close()  # so that recv() raises if the process fails
        results.append(answer.recv())
        process.join()
    return [statistics.median(column) for column in zip(*results)]


def main():
    for make, sizes in SMALL if sys.argv[1:] == ["small"] else SMALL + LARGE:
        runs = RUNS if (make, sizes) in SMALL else 3
        seconds, alone = medians(time_of_first_call, make, sizes, runs)
        size, operations = medians(memory_of_first_call, make, sizes, runs)
        parts = [getattr(part, "__name__", str(part)) for part in (make, *sizes)]
        print(
            f"{' '.join(parts):32} {operations:>9,} operations {1e3 * seconds:8.1f} ms (function {1e3 * alone:6.1f}"
            f" ms), {1e6 * seconds / operations:7.2f} µs and {size / operations:5.0f} bytes each"
        )


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    main()

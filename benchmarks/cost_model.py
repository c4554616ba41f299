"""The times of `tinygrad_scalar/vectorize/cost_model.py`, measured here: fitted to programs, judged by others.

`python benchmarks/cost_model.py` measures the programs of cost_programs.py for 1 to 10,000 examples in each way, fits
the times (none negative, for the least relative errors) and writes them to times.py beside it. With `judge` it measures
the 60 others of judged_programs.py instead, and prints how much slower what is chosen is than the other way, and than
the eager engine. CPU time of one thread, in turn, the least of several runs; needs SciPy. -v prints all.
"""

from __future__ import annotations

import math
import os
import statistics
import sys
import time
from functools import partial
from pathlib import Path

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")  # before NumPy is imported

import cost_programs
import judged_programs
import numpy as np

import tinygrad_scalar as ts
from tinygrad_scalar.vectorize import cost_model

TIMES = Path(__file__).parents[1] / "tinygrad_scalar" / "vectorize" / "times.py"
HEAD = '''"""The times in ns of what cost_model.py counts, measured on {date}:
{machine}, one thread.

Written by `python benchmarks/cost_model.py`.
"""

NS: dict[str, dict[str, float]] = {{
'''
VECTORS = {"avx512f": "AVX-512", "avx2": "AVX2"}
EXAMPLES = (1, 3, 16, 100, 1_000, 10_000)
MOST = 0.1  # seconds that a run may be expected to take
ROUNDS, SLICE = 4, 1.5e-3


def arguments(shapes, m):
    random = np.random.default_rng(0)
    return [
        random.integers(0, shape[1], m) if shape[:1] == ("int",) else random.normal(size=(m, *shape))
        for shape in shapes
    ]


def ways_of(cost, parameters, shapes):
    """The compiled program of a function, and its ways."""
    run = ts.vectorize(cost, parameters, check=False)
    run(*arguments(shapes, 2))
    program = run._last
    return run.parameters, program, [program.write_arrays(), *([program.scalars] if program.scalars else [])]


def timed(run, n):
    start = time.process_time()
    for _ in range(n):
        run()
    return (time.process_time() - start) / n


def measured(runs):
    """Seconds that each takes, the least of ROUNDS turns."""
    numbers, best = [], [math.inf] * len(runs)
    for run in runs:
        timed(run, 1)
        numbers.append(max(1, min(10_000, int(SLICE / max(1e-7, timed(run, 1))))))
    for _ in range(ROUNDS):
        for i, (run, n) in enumerate(zip(runs, numbers)):
            best[i] = min(best[i], timed(run, n))
    return best


def samples(makers):
    """For each program, number of examples and way: the names of program and way, m, counts and seconds."""
    for make in makers:
        cost, parameters, shapes = make()
        given = [str(argument) for argument in make.args if not isinstance(argument, list) and not callable(argument)]
        name = f"{make.func.__name__}({', '.join(given)})"
        theta, program, ways = ways_of(cost, parameters, shapes)
        last = 0.0
        for m in EXAMPLES:
            if last * 10 > MOST:
                break
            rows = [array.reshape(m, -1) for array in arguments(shapes, m)]
            runs = [(way.kind, way, way.run) for way in ways]
            runs += [("NumPy", way, way.run_source) for way in ways if way.kind == "blocks"]
            times = measured([partial(run, theta, rows, True, program.guards) for _, _, run in runs])
            last = max(times)
            found = [(kind, way, seconds) for (kind, way, _), seconds in zip(runs, times)]
            yield name, program, m, found, (cost, parameters, shapes)


def fitted(of_way):
    """ns of each feature, from pairs of features and seconds: none negative, least squares of relative errors.

    A relative error is to the geometric mean of estimate and measurement, so that it counts alike in both directions.
    """
    from scipy.optimize import nnls

    names = sorted({name for found, _ in of_way for name in found})
    A = np.array([[found.get(name, 0.0) for name in names] for found, _ in of_way])
    ns = np.array([1e9 * seconds for _, seconds in of_way])
    scale = ns
    for _ in range(30):
        times, _ = nnls(A / scale[:, None], ns / scale)
        scale = np.sqrt(np.maximum(A @ times, 0.05 * ns) * ns)
    errors = np.exp(np.abs(np.log(A @ times / ns)))
    return dict(zip(names, times.tolist())), np.quantile(errors, [0.5, 0.9, 1.0])


def fit(verbose):
    of_ways = {}
    for name, _, m, found, _ in samples(cost_programs.FITTED):
        for kind, made, seconds in found:
            of_ways.setdefault(kind, []).append((cost_model.features(kind, made.expected.counts, m), seconds, name, m))
    lines = []
    for way, all_of in sorted(of_ways.items()):
        times, (median, most, worst) = fitted([(features, seconds) for features, seconds, _, _ in all_of])
        lines += [f'    "{way}": {{']
        lines += [f'        "{what}": {float(f"{ns:.3g}")},' for what, ns in times.items() if ns > 0]
        lines += ["    },"]
        print(f"{way}: off by a factor of {median:.2f} in the median, {most:.2f} in nine of ten, {worst:.2f} at most")
        for features, seconds, name, m in all_of if verbose else ():
            off = sum(times[f] * n for f, n in features.items()) / (1e9 * seconds)
            if not 1 / 1.5 < off < 1.5:
                print(f"  {off:.2f} {name} m = {m}, {1e6 * seconds:.1f} µs")
    TIMES.write_text(HEAD.format(date=time.strftime("%-d %B %Y"), machine=machine()) + "\n".join([*lines, "}"]) + "\n")
    print(f"written to {TIMES}")


def machine():
    """The kind of processor."""
    with open("/proc/cpuinfo") as file:
        found = {name.strip(): text for name, _, text in (line.partition(": ") for line in file.read().splitlines())}
    vectors = next((name for flag, name in VECTORS.items() if flag in found.get("flags", "")), "no AVX")
    return f"{found.get('model name', 'unknown processor')}, {vectors}"


def by_the_engine(cost, parameters, shapes):
    """Seconds of the eager engine for one example."""
    example = [cost_programs.array_values(array[0]) for array in arguments(shapes, 1)]
    seconds = measured([lambda: cost(*example).backward()])[0]
    for p in parameters:
        p.grad = 0.0
    return seconds


def by_call(cost, parameters, shapes):
    """Seconds of a call for one example, as a user makes it."""
    run, example = ts.vectorize(cost, parameters, check=False), arguments(shapes, 1)
    return measured([lambda: run(*example)])[0]


def judge(verbose):
    ratios, kinds, slower = [], set(), []
    for name, program, m, found, of_one in samples(judged_programs.JUDGED):
        found = [(kind, way, seconds) for kind, way, seconds in found if kind == way.kind]
        kinds.add(name)
        chosen = program._way(m)
        own = next(seconds for _, way, seconds in found if way is chosen)
        others = [seconds for _, way, seconds in found if way is not chosen]
        ratios += [(own / min(others), name, m)] if others else []
        if verbose or (others and own > 1.3 * min(others)):
            each = [f"{way} {1e6 * s:.1f} (expected {made.expected(m) / 1e3:.1f})" for way, made, s in found]
            print(f"{name:28} m = {m:6}: {', '.join(each)} µs; {chosen.kind}", flush=True)
        if m == 1:
            slower += [(by_call(*of_one) / by_the_engine(*of_one), name)]
    worst = max(ratios)
    median, many = statistics.median(r[0] for r in ratios), sum(r[0] > 1.3 for r in ratios)
    print(f"{len(kinds)} programs, {len(ratios)} choices: the chosen way takes {median:.2f} times the other")
    print(f"more than 1.3 times: {many}; at most {worst[0]:.2f} ({worst[1]}, m = {worst[2]})")
    print(f"than the eager engine, m = 1: at most {max(slower)[0]:.2f} ({max(slower)[1]})")


if __name__ == "__main__":
    os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])
    (judge if "judge" in sys.argv else fit)("-v" in sys.argv)

"""The times of `tinygrad_scalar/vectorize/cost_model.py`, measured here: fitted to programs, judged by others.

`python benchmarks/cost_model.py` measures the programs of cost_programs.py for 1 to 100,000 examples in each way, fits
the times (none negative, for the least relative errors) and writes them to times.py; so it does with the ways to the
derivatives of each example, for 1 to 10,000, of these programs and those of each_programs.py. With `judge` it measures
the 60 others of judged_programs.py instead, and prints how much slower what is chosen is than the other way, and than
the eager engine. -v prints more. Needs SciPy.

A time is the CPU time of one thread for a call as a user makes it: the ways take turns, and the least of their slices
counts, which is the least disturbed. All programs are measured in PASSES passes, minutes apart. What was measured is
kept beside this script, in measured-*.json, so that a run that was stopped goes on where it was; delete these files to
measure anew.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import sys
import time
from functools import partial
from pathlib import Path

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")  # before NumPy is imported

import cost_operations
import cost_programs
import cost_values
import each_programs
import judged_programs
import numpy as np

import tinygrad_scalar as ts
from tinygrad_scalar.vectorize.times import NS

HERE = Path(__file__).parent
TIMES = HERE.parent / "tinygrad_scalar" / "vectorize" / "times.py"
HEAD = '''"""The times in ns of what cost_model.py counts, measured on {date}:
{machine}, one thread.

Written by `python benchmarks/cost_model.py`.
"""

NS: dict[str, dict[str, float]] = {{
'''
VECTORS = {"avx512f": "AVX-512", "avx2": "AVX2"}
EXAMPLES = (1, 2, 4, 16, 40, 100, 300, 1_000, 10_000, 100_000)
EACH_EXAMPLES = (1, 4, 16, 100, 1_000, 10_000)
EACH_OPTIONS = (
    ("", each_programs.FITTED, {"reduce": None}),
    ("-inputs", each_programs.FITTED, {"reduce": None, "wrt_inputs": True}),
    ("-sum", each_programs.OF_LISTS, {"reduce": "sum"}),
)
JUDGED_EXAMPLES = (1, 3, 16, 100, 1_000, 10_000)
MOST = 0.04  # seconds that a call may be expected to take
BY_NUMPY = (1, 16, 300, 10_000)
PASSES, ROUNDS, FEWEST_ROUNDS, SLICE = 3, 5, 2, 1e-3
TOGETHER = 3.0  # ways whose times differ by less have more weight: there the choice is in question


def arguments(shapes, m):
    random = np.random.default_rng(0)
    return [
        random.integers(0, shape[1], m) if shape[:1] == ("int",) else random.normal(size=(m, *shape))
        for shape in shapes
    ]


def timed(run, n):
    start = time.process_time()
    for _ in range(n):
        run()
    return (time.process_time() - start) / n


def measured(runs):
    """Seconds that each takes."""
    numbers, best = [], []
    for run in runs:
        timed(run, 1)
        best.append(timed(run, 2))
        numbers.append(max(1, min(2_000, int(SLICE / max(1e-7, best[-1])))))
    rounds = ROUNDS if max(best) < SLICE * ROUNDS else FEWEST_ROUNDS
    for _ in range(rounds):
        for i, (run, n) in enumerate(zip(runs, numbers)):
            best[i] = min(best[i], timed(run, n))
    return best


def name_of(make):
    given = [str(argument) for argument in make.args if not isinstance(argument, list) and not callable(argument)]
    number = "".join(
        f" {cost_operations.number_of(part)}" for part in make.args if isinstance(part, list) or callable(part)
    )
    return f"{make.func.__name__}({', '.join(given)}){number}"


class Program:
    """A program compiled in each way, and as it is chosen."""

    def __init__(self, make):
        self.cost, self.parameters, self.shapes = make()
        self.runs = {way: self.vectorized(way) for way in ("arrays", "scalar")}
        self.ways = {run._last._way(2).kind: run._last._way(2) for run in self.runs.values()}

    def vectorized(self, way):
        run = ts.vectorize(self.cost, self.parameters, check=False, way=way)
        run(*arguments(self.shapes, 2))
        return run

    def calls(self, m):
        """For each way, a call for m examples."""
        given = arguments(self.shapes, m)
        found = {run._last._way(2).kind: partial(run, *given) for run in self.runs.values()}
        arrays = self.runs["arrays"]
        if "blocks" in found and m in BY_NUMPY:
            rows = [array.reshape(m, -1) for array in given]
            found["NumPy"] = partial(arrays._last.arrays.run_source, arrays.parameters, rows, True, arrays._last.guards)
        return found

    def by_engine(self):
        """Seconds of the eager engine for one example, forwards and backwards."""
        example = [cost_values.array_values(array[0]) for array in arguments(self.shapes, 1)]
        [seconds] = measured([lambda: self.cost(*example).backward()])
        for p in self.parameters:
            p.grad = 0.0
        return seconds


class EachProgram:
    """The same for the values and derivatives of each example: the ways that the whole call can take."""

    def __init__(self, make, *, options):
        self.cost, self.parameters, self.shapes = make()
        self.ways, self.runs, self.options = {}, {}, options
        by_scalars, by_arrays = self.vectorized(), self.vectorized()
        each, other = by_scalars._last, by_arrays._last
        if kind := kind_of_each(other.quicker):
            self.ways[kind], self.runs[kind] = getattr(other.quicker, "way", other.quicker), by_arrays
            other.scalars = None
        if each.scalars is not None:
            self.ways["each by scalars"], self.runs["each by scalars"] = each.scalars.expected, by_scalars
            each.quicker = each.in_parts = None
            each.is_irregular = False

    def vectorized(self):
        run = ts.vectorize(self.cost, self.parameters, check=False, **self.options)
        run(*arguments(self.shapes, 2))
        run._forget()
        run._last._quickest.clear()
        return run

    def calls(self, m):
        given = arguments(self.shapes, m)
        return {kind: partial(run, *given) for kind, run in self.runs.items()}


def kind_of_each(found):
    """The kind of times of a way as `EachExample.quicker` has it, if it has some of its own."""
    if found is None or hasattr(found, "matrices"):
        return None if found is None else "each in two parts"
    return "each by products" if hasattr(found.way, "features") and hasattr(found.way, "parts") else None


def measurements(makers, file, examples, more=None, of=Program):
    """For each program: its name, how to make it, for each number of examples the seconds of each way, and `more`."""
    kept = json.loads(file.read_text()) if file.exists() else {}
    for number in range(1, PASSES + 1):
        for make in makers:
            before = kept.get(name_of(make), {"passes": 0, "times": {}})
            if before["passes"] >= number:
                continue
            program = of(make)
            found = {"passes": number, "times": {}, **(least(before, more(program)) if more else {})}
            for m, following in zip(examples, [*examples[1:], math.inf]):
                calls = program.calls(m)
                times = dict(zip(calls, measured(list(calls.values()))))
                found["times"][str(m)] = least(before["times"].get(str(m), {}), times)
                if max(times.values(), default=0.0) * following / m > MOST:
                    break
            kept[name_of(make)] = found
            half_written = file.with_suffix(".new")
            half_written.write_text(json.dumps(kept))
            half_written.replace(file)
        print(f"pass {number} of {PASSES}: {time.process_time():.0f} s of CPU time", flush=True)
    for make in makers:
        found = kept[name_of(make)]
        yield name_of(make), make, {int(m): times for m, times in found["times"].items()}, found


def least(before, now):
    return {what: min(seconds, before.get(what, seconds)) for what, seconds in now.items()}


def fitted(of_way):
    """ns of each feature, from (features, seconds, weight): none negative, least squares of relative errors.

    A relative error is to the geometric mean of estimate and measurement, so that it counts alike in both directions;
    large ones count less than their square.
    """
    from scipy.optimize import nnls

    names = sorted({name for found, *_ in of_way for name, number in found.items() if number})
    A = np.array([[found.get(name, 0.0) for name in names] for found, *_ in of_way])
    ns = np.array([1e9 * seconds for _, seconds, *_ in of_way])
    weight = np.array([w for *_, w in of_way])
    scale, robust = ns, np.ones(len(ns))
    for _ in range(40):
        w = weight * robust / scale
        times, _ = nnls(A * w[:, None], ns * w, maxiter=100 * len(names))
        estimate = np.maximum(A @ times, 0.05 * ns)
        scale = np.sqrt(estimate * ns)
        robust = 1.0 / np.sqrt(np.maximum(1.0, np.abs(np.log(estimate / ns)) / 0.15))
    errors = np.exp(np.abs(np.log(A @ times / ns)))
    return dict(zip(names, times.tolist())), np.quantile(errors, [0.5, 0.9, 1.0])


def weight_of(kind, times):
    """A way's weight in the fit where the ways take these times."""
    others = [seconds for other, seconds in times.items() if other != kind and "NumPy" not in (kind, other)]
    ratio = max((min(times[kind] / other, other / times[kind]) for other in others), default=0.3)
    return 1.0 if ratio * TOGETHER > 1.0 else 0.5


def fit(verbose):
    lines, of_ways = [], {}
    for name, make, times, _ in measurements(cost_programs.FITTED, HERE / "measured-fit.json", EXAMPLES):
        ways = Program(make).ways
        ways["NumPy"] = None
        counts = {kind: way.expected.counts for kind, way in ways.items() if way}
        counts["NumPy"] = ways["blocks" if "blocks" in ways else "NumPy"].counts
        integers = sum(shape[:1] == ("int",) for shape in make()[2])
        for m, seconds in times.items():
            for kind, of_kind in seconds.items():
                found = counts[kind].features(m)
                if kind != "NumPy":  # the same in each way, and counted in neither
                    found |= {"integer arguments": integers}
                of_ways.setdefault(kind, []).append((found, of_kind, name, m, weight_of(kind, seconds)))
    for kind in sorted(of_ways):
        lines += lines_of(kind, of_ways[kind], verbose)
    measured_each, programs = [], {}
    for what, makers, options in EACH_OPTIONS:
        file, of = HERE / f"measured-each{what}.json", partial(EachProgram, options=options)
        for name, *rest in measurements(makers, file, EACH_EXAMPLES, of=of):
            measured_each.append((name + what, *rest))
            programs[name + what] = of(rest[0]).ways
    for kind in ("each by products", "each by scalars", "each in two parts"):  # counts with the times of those before
        of_way = [
            (programs[name][kind].features(m), seconds[kind], name, m, 1.0)
            for name, _, times, _ in measured_each
            for m, seconds in times.items()
            if kind in seconds
        ]
        lines += lines_of(kind, of_way, verbose)
    TIMES.write_text(HEAD.format(date=time.strftime("%-d %B %Y"), machine=machine()) + "\n".join([*lines, "}"]) + "\n")
    print(f"written to {TIMES}")


def lines_of(kind, of_way, verbose):
    """The lines of times.py with the times of a way; what is counted from now on counts with them."""
    times, (median, most, worst) = fitted([(found, seconds, weight) for found, seconds, _, _, weight in of_way])
    print(f"{kind}: off by a factor of {median:.2f} in the median, {most:.2f} in nine of ten, {worst:.2f} at most")
    for found, seconds, name, m, _ in of_way if verbose else ():
        off = sum(times[f] * n for f, n in found.items() if n) / (1e9 * seconds)
        if not 1 / 1.4 < off < 1.4:
            print(f"  {off:.2f} {name} m = {m}, {1e6 * seconds:.1f} µs")
    kept = {what: float(f"{ns:.3g}") for what, ns in times.items() if ns > 0 and what != "integer arguments"}
    NS[kind].clear()
    NS[kind].update(kept)
    return [f'    "{kind}": {{', *(f'        "{what}": {ns},' for what, ns in kept.items()), "    },"]


def machine():
    """The kind of processor."""
    with open("/proc/cpuinfo") as file:
        found = {name.strip(): text for name, _, text in (line.partition(": ") for line in file.read().splitlines())}
    vectors = next((name for flag, name in VECTORS.items() if flag in found.get("flags", "")), "no AVX")
    return f"{found.get('model name', 'unknown processor')}, {vectors}"


def beside_engine(program):
    """Seconds of a call for one example as it is chosen, and of the engine."""
    auto = program.vectorized("auto")
    call, engine = measured([partial(auto, *arguments(program.shapes, 1))])[0], program.by_engine()
    return {"call": call, "engine": engine}


def judge(verbose):
    ratios, names, slower = [], set(), []
    for name, make, times, of_one in measurements(
        judged_programs.JUDGED, HERE / "measured-judge.json", JUDGED_EXAMPLES, beside_engine
    ):
        names.add(name)
        slower.append((of_one["call"] / of_one["engine"], name))
        program = Program(make)
        auto = program.vectorized("auto")
        for m, seconds in times.items():
            if auto._last.lacks_arrays(m):
                auto(*arguments(program.shapes, m))
            chosen = auto._last._way(m)
            own = seconds[chosen.kind]
            others = [s for kind, s in seconds.items() if kind not in (chosen.kind, "NumPy")]
            ratios += [(own / min(others), name, m)] if others else []
            if verbose or (others and own > 1.3 * min(others)):
                each = [
                    f"{kind} {1e6 * s:.1f} (expected {program.ways[kind].expected(m) / 1e3:.1f})"
                    for kind, s in seconds.items()
                    if kind in program.ways
                ]
                print(f"{name:28} m = {m:6}: {', '.join(each)} µs; {chosen.kind}", flush=True)
    ratios.sort()
    many = [f"{sum(r > limit for r, *_ in ratios)} by more than {limit}" for limit in (1.1, 1.3, 1.5)]
    median = statistics.median(r for r, *_ in ratios)
    print(f"{len(names)} programs, {len(ratios)} choices; the chosen way takes {median:.2f} times the other")
    print(f"slower: {', '.join(many)}; at most {ratios[-1][0]:.2f} ({ratios[-1][1]}, m = {ratios[-1][2]})")
    slower.sort()
    print(f"beside the eager engine, m = 1: {sum(r > 1.0 for r, _ in slower)} slower; the worst {slower[-3:]}")


if __name__ == "__main__":
    os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])
    (judge if "judge" in sys.argv else fit)("-v" in sys.argv)

"""One line of the table: the candidates in processes of their own, their results compared, then timed in turn."""

from __future__ import annotations

import importlib
import importlib.util
import math
import multiprocessing
import os
import resource
import statistics
import time

import numpy as np

from benchmarks.gradbench.oracle import error

CANDIDATES = {"vectorized": "numpy", "torch": "torch", "jax": "jax"}
ROUNDS, SLICE = 15, 0.05  # turns of each candidate, and seconds of a turn
BUDGET = 3.0  # seconds after which a candidate has no more turns
MOST_SECONDS, MOST_BYTES = 300, 6 << 30
TOLERANCE = 1e-10


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def tried(name, problem, arguments):
    """The step, its first results, seconds, and bytes for each operation of ours (0 for peers)."""
    before, start = peak(), time.process_time()
    made = getattr(problem, name)(*arguments)
    step, graph = made if name == "vectorized" else (made, None)
    results = step()
    seconds, added = time.process_time() - start, peak() - before
    if graph is None:
        return step, results, seconds, 0, 0.0
    from tinygrad_scalar.engine import read_graph

    operations = int((read_graph([graph()]).codes >= 0).sum())
    return step, results, seconds, operations, added / operations


def candidate(name, problem, size, turn):
    """The loop of one process: the first call, then a turn for each message until it is False."""
    os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])
    if name == "vectorized":
        resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    if name == "jax":
        import jax

        jax.config.update("jax_enable_x64", True)
    if name == "torch":
        import torch

        torch.set_num_threads(1)
    problem = importlib.import_module(f"benchmarks.gradbench.{problem}")
    try:
        tried(name, problem, problem.inputs(*problem.TRIAL))
        step, results, *first = tried(name, problem, problem.inputs(*size))
    except Exception as failure:
        turn.send(type(failure).__name__)
        return
    turn.send(([np.asarray(part) for part in results], *first))
    n = 1
    while turn.recv():
        seconds = timed(step, n)
        while seconds < SLICE:  # of the first turn
            n *= 2
            seconds = timed(step, n)
        turn.send(seconds / n)


def timed(step, n):
    start = time.process_time()
    for _ in range(n):
        step()
    return time.process_time() - start


def started(problem, size):
    """For each candidate its pipe and what it said of its first call, or why there is none."""
    turns, first = {}, {}
    for name, module in CANDIDATES.items():
        if importlib.util.find_spec(module) is None:
            continue
        turn, theirs = multiprocessing.Pipe()
        multiprocessing.Process(target=candidate, args=(name, problem, size, theirs), daemon=True).start()
        theirs.close()
        try:
            first[name] = turn.recv()
        except EOFError:
            first[name] = "died"
        if not isinstance(first[name], str):
            turns[name] = turn
    return turns, first


def raced(turns):
    times, spent = {name: [] for name in turns}, dict.fromkeys(turns, 0.0)
    for _ in range(ROUNDS):
        for name, turn in turns.items():
            if spent[name] < BUDGET:
                turn.send(True)
                try:
                    times[name].append(turn.recv())
                except EOFError:  # after MOST_SECONDS
                    spent[name] = math.inf
                else:
                    spent[name] += max(SLICE, times[name][-1])
    for name, turn in turns.items():
        if spent[name] < math.inf:
            turn.send(False)
    return {name: 1e3 * statistics.median(seconds) for name, seconds in times.items() if seconds}


def row(problem, size):
    """A line of the table."""
    module = importlib.import_module(f"benchmarks.gradbench.{problem}")
    turns, first = started(problem, size)
    expected = module.oracle(*module.inputs(*size))
    errors = {name: error(first[name][0], expected) for name in turns}
    wrong = [f"{name} is wrong by {e:.1e}" for name, e in errors.items() if not e < TOLERANCE]
    steps = raced(turns)
    ours = steps.get("vectorized")
    cells = [f"{problem:9}{', '.join(map(str, size)):>18}"]
    said = first["vectorized"]
    cells.append(f"{said[2]:>11,}" if "vectorized" in turns else f"{'':>11}")
    for name in CANDIDATES:
        why = first.get(name, "–") if name not in turns else "died"
        cells.append(f"{steps[name]:10.3f}" if name in steps else f"{why[:10]:>10}")
    for name in ("torch", "jax"):
        cells.append(f"{ours / steps[name]:7.2f}" if ours and name in steps else f"{'–':>7}")
    for name in CANDIDATES:
        cells.append(f"{first[name][1]:7.2f}" if name in turns else f"{'–':>7}")
    cells.append(f"{said[3]:9.0f}" if "vectorized" in turns else f"{'–':>9}")
    cells.append(f"{max(errors.values(), default=float('nan')):9.1e}")
    return " ".join(cells) + "".join(f"  {text}" for text in wrong)

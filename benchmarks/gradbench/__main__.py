"""`python -m benchmarks.gradbench [problem …] [--size N]`: our step, PyTorch's and JAX's on the problems of GradBench.

First, values and derivatives are compared with the oracle's; the largest error is in the table. Each candidate runs in
its own process with one thread on one core, in turn; milliseconds of CPU time, medians. The first call is from the data
to the first result, after imports. Memory is what the first call of ours adds at its peak, for each operation of one
example's graph. --size takes the Nth size only, counted from 0; "trial" the quick test's. Peers that are not installed
are left out: pip install jax torch.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import os

from benchmarks.gradbench import PROBLEMS
from benchmarks.gradbench.race import row


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("problems", nargs="*", metavar="problem", help=", ".join(PROBLEMS))
    parser.add_argument("--size", help='"trial" or a number from 0')
    given = parser.parse_args()
    unknown = set(given.problems) - set(PROBLEMS)
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; the problems are {', '.join(PROBLEMS)}")
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    print(f"{'':40}{'step in ms':>32} {'ours over':>15} {'first call in s':>23} {'bytes an':>9} {'largest':>9}")
    names = f"{'ours':>10} {'PyTorch':>10} {'JAX':>10} {'PyTorch':>7} {'JAX':>7} {'ours':>7} {'PyTorch':>7} {'JAX':>7}"
    print(f"{'problem':9}{'size':>18} {'operations':>11} {names} {'operation':>9} {'error':>9}", flush=True)
    for problem in given.problems or PROBLEMS:
        module = importlib.import_module(f"benchmarks.gradbench.{problem}")
        sizes = [module.TRIAL] if given.size == "trial" else module.SIZES
        for size in sizes if given.size in (None, "trial") else sizes[int(given.size) :][:1]:
            print(row(problem, size), flush=True)


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    main()

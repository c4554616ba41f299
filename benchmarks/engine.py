"""The compiled engine beside plain floats: an operator, a pass, and chains of up to ten million nodes; see README.md.

Each ratio compares two timings taken alternately in one process; medians over the rounds.
"""

import gc
import random
import resource
import statistics
import subprocess
import sys
import time

from tinygrad_scalar import MLP, Value, accelerated, gradient, topological_order
from tinygrad_scalar.engine import read_graph
from tinygrad_scalar.engine.graph import is_bare_number

ROUNDS = 15


def accumulate(act, w, x):
    for wi, xi in zip(w, x):
        act = act + wi * xi
    return act


def seconds(work, *arguments, repeats=1):
    start = time.perf_counter()
    for _ in range(repeats):
        work(*arguments)
    return (time.perf_counter() - start) / repeats


def operands(n):
    generator = random.Random(0)
    return [generator.random() for _ in range(n)], [generator.random() for _ in range(n)]


def print_operators():
    """`act = act + wi*xi`: two operations per iteration."""
    for n in (1_000, 100_000, 500_000):
        w, x = operands(n)
        value_w, value_x = [Value(number) for number in w], [Value(number) for number in x]
        repeats = max(1, 100_000 // n)
        floats, values = [], []
        for _ in range(ROUNDS):
            floats.append(seconds(accumulate, 0.0, w, x, repeats=repeats))
            values.append(seconds(accumulate, Value(0.0), value_w, value_x, repeats=repeats))
        float_time, value_time = (1e9 * statistics.median(times) / (2 * n) for times in (floats, values))
        print(
            f"act = act + wi*xi, {2 * n:9,} operations: float {float_time:5.1f} ns, Value {value_time:5.1f} ns, "
            f"ratio {value_time / float_time:.2f} (asked: at most 3)"
        )


def scalar_product(n):
    w, x = operands(n // 4)  # each pair has two leaves and two operations
    return accumulate(Value(0.0), [Value(number) for number in w], [Value(number) for number in x])


def chain(n):
    x, w = Value(1.0), Value(0.9999999)
    for _ in range(n):
        x = x * w
    return x


def network(n):
    net = MLP(2, [16, 16, 1], "relu", "linear", seed=0)
    examples = n // 644  # 644 nodes each
    total = Value(0.0)
    for i in range(examples):
        total = total + net([i / examples, 0.5])
    return total


def print_passes(n=1_000_000):
    """backward() over about n nodes: the first pass over a graph, and one more over the same graph."""
    w, x = operands(1_000)
    for build in (scalar_product, chain, network):
        nodes = len(topological_order(build(n)))
        floats, first, again = [], [], []
        for _ in range(ROUNDS):
            floats.append(seconds(accumulate, 0.0, w, x, repeats=50) / 2_000)
            root = build(n)
            first.append(seconds(root.backward) / nodes)
            again.append(seconds(root.backward) / nodes)
            del root
        unit = statistics.median(floats)
        print(
            f"backward(), {build.__name__.replace('_', ' ')} of {nodes:,} nodes: float operation {1e9 * unit:.1f} ns; "
            f"a node {1e9 * statistics.median(first):.1f} ns, ratio {statistics.median(first) / unit:.2f} "
            f"(asked: at most 1.2); again {statistics.median(again) / unit:.2f}"
        )


def print_gradients(n=65_000):
    """ts.gradient with respect to all leaves: the time of each node that it makes, beside that of one in backward()."""
    for build in (chain, network):
        backward, made, whole = [], [], []
        for _ in range(ROUNDS):
            root = build(n)
            before = topological_order(root)
            wrt = [leaf for leaf in before if not leaf.op and not is_bare_number(leaf)]
            nodes = sum(bool(node.op) for node in before)
            del before
            backward.append(seconds(root.backward) / nodes)
            start = time.perf_counter()
            found = gradient(root, wrt)
            whole.append(time.perf_counter() - start)
            made.append(whole[-1] / max(1, nodes_made(found, root)))
            del root, found, wrt
        print(
            f"ts.gradient, {build.__name__.replace('_', ' ')} of {nodes:,} operations: a node "
            f"{1e9 * statistics.median(made):.1f} ns, ratio to one of backward() "
            f"{statistics.median(x / y for x, y in zip(made, backward)):.2f} (asked: at most 3); the whole call "
            f"{statistics.median(x / y / nodes for x, y in zip(whole, backward)):.1f} times backward()"
        )


def nodes_made(found, root):
    """How many operations lie below the gradients and not below the root."""
    codes = read_graph([root]).codes
    return int((read_graph([root, *found]).codes >= 0).sum() - (codes >= 0).sum())


def chain_times(n):
    """Seconds per node to build, differentiate, recompute and free a chain of n, and bytes per node at the peak."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    root = chain(n)
    build = time.perf_counter() - start
    backward = seconds(root.backward)
    w = root.operands[1]
    w.data = 1.0
    forward = seconds(root.forward)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    del root
    free = time.perf_counter() - start
    kilobyte = 1 if sys.platform == "darwin" else 1024
    return [*(t / n for t in (build, backward, forward, free)), (peak - before) * kilobyte / n]


def print_chains():
    sizes = (100_000, 1_000_000, 10_000_000)
    medians = []
    for n in sizes:
        command = [sys.executable, __file__, str(n)]  # in its own process
        runs = [subprocess.run(command, capture_output=True, check=True, text=True).stdout.split() for _ in range(5)]
        medians.append([statistics.median(map(float, column)) for column in zip(*runs)])
        *times, size = medians[-1]
        print(
            f"chain of {n:10,}: "
            + ", ".join(f"{name} {1e9 * t:.0f}" for name, t in zip(("build", "backward", "forward", "free"), times))
            + f" ns a node; {size:.0f} bytes a node (asked: at most 200)"
        )
    print(
        "from 10⁵ to 10⁷ the time a node grows by "
        + ", ".join(f"{last / first:.2f}" for first, last in zip(medians[0][:4], medians[-1][:4]))
        + " (asked: under 3)"
    )


def print_collections():
    """How often the garbage collector runs in 20 steps over graphs of 1 and of 100 examples."""
    net = MLP(2, [16, 16, 1], "relu", "linear", seed=0)
    counts = []
    for examples in (1, 100):
        before = sum(generation["collections"] for generation in gc.get_stats())
        for _ in range(20):
            total = Value(0.0)
            for i in range(examples):
                total = total + net([i / examples, 0.5])
            total.backward()
        counts.append(sum(generation["collections"] for generation in gc.get_stats()) - before)
    print(f"collections in 20 steps: {counts[0]} with 1 example, {counts[1]} with 100")


def main():
    if len(sys.argv) > 1:
        print(*chain_times(int(sys.argv[1])))
        return
    print(f"compiled Value: {accelerated}")
    print_chains()  # first, because a process inherits the peak of its parent's memory
    print_operators()
    print_passes()
    print_gradients()
    print_collections()


if __name__ == "__main__":
    main()

"""Memory of `fit` and `vectorize`: little beside X, few buffers, and nothing once a step is gone."""

import gc
import linecache
import tracemalloc

import numpy as np

import tinygrad_scalar as ts


def step_of(n, **options):
    net = ts.MLP(n, [8, 1], seed=0)
    return ts.vectorize(lambda x: net(x), net.parameters(), **options)


def sources():
    return {name for name in linecache.cache if name.startswith("<")}  # others are files that somebody read


def test_a_step_that_is_gone_leaves_no_source_behind():
    gc.collect()  # steps of other tests, whose names could be given anew
    before = sources()
    in_numpy = {"way": "arrays", "dtype": "float32"}
    kept = step_of(3, **in_numpy)
    kept(np.ones((500, 3)))
    source = sources() - before
    assert len(source) == 1
    for _ in range(5):
        step_of(3, **in_numpy)(np.ones((500, 3)))
    gc.collect()
    assert sources() - before == source


def test_fit_takes_little_memory_beside_its_examples():
    X, y = np.random.default_rng(0).normal(size=(20_000, 50)), np.zeros(20_000)
    net = ts.MLP(50, [1], seed=0)
    ts.fit(net, X[:10], y[:10], epochs=1, progress=False)
    tracemalloc.start()
    ts.fit(net, X, y, epochs=1, progress=False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * X.nbytes


def test_buffers_of_many_sizes_take_a_small_multiple_of_the_largest():
    step = step_of(3)
    step(np.ones((10, 3)))
    examples = np.ones((20_050, 3))
    tracemalloc.start()
    step(examples)
    one = tracemalloc.get_traced_memory()[0]
    for m in range(20_000, 20_050):
        step(examples[:m])
    many = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert many < 2.5 * one


def test_a_step_keeps_the_programs_of_a_bounded_number_of_shapes():
    w = ts.Value(0.5)
    step = ts.vectorize(lambda x: sum((w * x_k for x_k in x), ts.Value(0.0)), [w])
    for n in range(2, 42):
        assert step(np.ones((3, n)))[0] == 0.5 * n
    assert len(step._programs) <= 16
    assert step(np.ones((3, 2)))[0] == 1.0

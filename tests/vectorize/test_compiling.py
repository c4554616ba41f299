"""A first call does no more than it is asked for, and its work grows in proportion to the operations."""

import inspect
import itertools
import math
import pickle
import re
import sys

import numpy as np
import pytest
from support.calls import calls_within
from support.graph_shapes import SHAPES, chain, fold, grid, irregular, recurrent, tree

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine import marks_below
from tinygrad_scalar.vectorize import unwritten
from tinygrad_scalar.vectorize.numpy_source import NumpySource
from tinygrad_scalar.vectorize.scalar_program import executor
from tinygrad_scalar.vectorize.scalar_way import ScalarWay
from tinygrad_scalar.vectorize.trace import Recorder

needs_the_executor = pytest.mark.skipif(executor() is None, reason="the native executor belongs to the compiled Value")


@pytest.mark.parametrize("make", SHAPES)
def test_reading_nothing_writes_nothing(make, monkeypatch):
    def read(*arguments):
        raise AssertionError("a text was written in the first call")

    with monkeypatch.context() as patch:
        patch.setattr(NumpySource, "text", property(read))
        patch.setattr(unwritten, "equations", read)
        patch.setattr(unwritten, "explanation", read)
        run = ts.vectorize(*make(300))
        run(np.array([0.5, 1.5]))
    assert "def prepare(" in run.source
    assert "scalars of one example become" in run.explain()
    assert run.equations.each


@needs_the_executor
def test_a_pickle_has_the_source_that_was_read():
    run = ts.vectorize(*chain(2400))
    run(np.array([0.5]))
    program = run._last
    with pytest.raises(ValueError, match="a pickle holds the program that ran"):
        print(pickle.loads(pickle.dumps(program)).source)
    source = run.source
    assert program.arrays is None
    assert pickle.loads(pickle.dumps(program)).source == source


@needs_the_executor
@pytest.mark.parametrize(
    "make", [chain, *(pytest.param(make, marks=pytest.mark.thorough) for make in (grid, irregular)), recurrent]
)
def test_where_little_repeats_no_array_program_is_written(make):
    run = ts.vectorize(*make(1600 if make is not grid else 4000))
    value, gradient = run(np.array([0.5]))
    assert run._last.arrays is None
    assert "def prepare(" in run.source
    for ours, theirs in zip(
        run._last.write_arrays().run(run.parameters, [np.array([[0.5]])], True, []), (value, gradient)
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)


@needs_the_executor
@pytest.mark.parametrize("make", SHAPES)
def test_the_work_of_a_first_call_is_linear_and_small_beside_the_function(make):
    work = []
    for n in (8_000, 32_000):
        cost, w = make(n)
        run = ts.vectorize(cost, w)
        x = Value(0.5)
        of_function = calls_within(lambda cost=cost, x=x: cost(x))
        work.append(calls_within(lambda run=run: run(np.array([0.5]))) - of_function)
    assert work[1] < 5 * work[0]
    assert work[1] < 32_000


@needs_the_executor
def test_a_program_keeps_the_numbers_of_constants_alone():
    w, captured = Value(0.5), Value(1.5)
    run = ts.vectorize(lambda x: ts.exp(w * x + captured * 2.0) * x, [w])
    run(np.array([0.5, 1.5]))
    assert set(run._last.traced.data.tolist()) == {0.0, 1.5, 2.0, 3.0}


def assert_is_the_engines(cost, w, way, rows):
    value, gradient = ts.vectorize(cost, w, way=way)(rows)
    for p in w:
        p.grad = 0.0
    C = sum(cost(row) for row in rows.tolist()) / len(rows)
    C.backward()
    assert value == pytest.approx(C.data, rel=1e-13)
    assert gradient == pytest.approx([p.grad for p in w], rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("way", ["arrays", pytest.param("scalar", marks=needs_the_executor)])
def test_what_looks_up_the_same_table_several_times_is_the_engines(way):
    w = [Value(math.sin(k)) for k in range(30)]
    tables = [w[::3], w[5:25:2], [w[k] for k in (7, 3, 3, 20, 11, 0, 29, 8, 1, 2)]]

    def cost(i):
        found = [ts.lookup(table, k) for k in i for table in (*tables, tables[0])]
        return sum((a * (k + 1) + b) ** 2 for k, (a, b) in enumerate(itertools.pairwise(found)))

    rows = np.random.default_rng(0).integers(0, 10, (7, 5))
    assert_is_the_engines(cost, w, way, rows)


@pytest.mark.parametrize("way", ["arrays", pytest.param("scalar", marks=needs_the_executor)])
def test_tables_of_what_was_looked_up_are_the_engines(way):
    w, constants = [Value(math.sin(k)) for k in range(6)], [0.5, -1.0, 2.0, 0.25, 3.0, -0.5]

    def cost(i):
        rows, total = w, 0.0
        for k, later in itertools.pairwise(i):
            found = ts.lookup(rows, k) * ts.lookup(constants, k)
            rows = [ts.tanh(found + a) for a in w]
            total = total + ts.lookup(rows, k) * ts.lookup(rows, later) * ts.lookup(constants, later) + ts.lookup(w, k)
        return total * ts.lookup(rows, i[0])

    chosen = np.random.default_rng(0).integers(0, 6, (7, 5))
    assert_is_the_engines(cost, w, way, chosen)


@needs_the_executor
def test_a_loop_of_a_hundred_thousand_steps_compiles():
    cost, w = recurrent(400_000)
    run = ts.vectorize(cost, w)
    value, gradient = run(np.array([0.7]))
    C = cost(Value(0.7))
    C.backward()
    assert value == pytest.approx(C.data, rel=1e-12)
    assert gradient == pytest.approx([p.grad for p in w], rel=1e-12)
    assert "300,003 arrays, too many to list" in run.explain()
    assert "300,003 arrays, too many to list" in run.equations
    assert re.fullmatch("# .* 300,003 arrays, too many to list: .*\n", run.source)


@needs_the_executor
def test_a_source_that_nobody_reads_is_left_out_where_each_example_has_derivatives_of_its_own_too():
    cost, w = recurrent(20_000)
    for options in ({"reduce": None}, {}):
        run = ts.vectorize(cost if options else lambda x: [cost(x), x], w, **options)
        run(np.array([0.7]))
        assert re.fullmatch("# .* arrays, too many to list: .*\n", run.source)
        assert "too many to list" in run.explain()


@pytest.mark.parametrize("make", [chain, fold, tree, recurrent])
def test_texts_of_deep_programs_need_no_deep_stack(make):
    run = ts.vectorize(*make(800))
    run(np.array([0.5]))
    depth = len(inspect.stack())
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(depth + 300)
    try:
        assert run.source and run.explain() and run.equations.each
    finally:
        sys.setrecursionlimit(limit)


@needs_the_executor
def test_what_was_read_does_not_change_what_runs():
    cost, w = recurrent(3000)
    unread, read = ts.vectorize(cost, w), ts.vectorize(cost, w)
    X = np.linspace(-1.0, 1.0, 3)
    unread(X[:1]), read(X[:1])
    assert read.source
    assert unread(X)[0] == read(X)[0]
    assert type(read._last._way(3)) is type(unread._last._way(3)) is ScalarWay


def test_a_condition_is_not_searched_again_for_what_it_was_computed_from(monkeypatch):
    w, asked = [Value(0.5), Value(0.25)], []

    def function(x):
        s = x
        for _ in range(300):
            s = ts.cond(ts.greater(s, 0.3), lambda s=s: s * w[0], lambda s=s: s + w[1])
        return s

    def counted(value, marks, decisive):
        before = len(marks)
        found = marks_below(value, marks, decisive)
        asked.append(len(marks) - before)
        return found

    monkeypatch.setattr(sys.modules[Recorder.__module__], "marks_below", counted)
    ts.vectorize(function, w)([0.5, -0.5])
    assert len(asked) >= 300 and max(asked) < 20

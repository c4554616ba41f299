"""Which way runs: by what each should take, alike in every run; or as `way=` says."""

import math
import pickle

import numpy as np
import pytest
from hypothesis import given, strategies as st
from programs import by_the_engine

import tinygrad_scalar as ts
from tinygrad_scalar.engine import ops, record
from tinygrad_scalar.engine.ops import Operation
from tinygrad_scalar.vectorize import compiled, vectorized
from tinygrad_scalar.vectorize.array_way import ArrayWay
from tinygrad_scalar.vectorize.cost_model import FEW, Counts, Estimate, features
from tinygrad_scalar.vectorize.scalar_way import ScalarWay
from tinygrad_scalar.vectorize.times import NS

WAYS = {"arrays": ArrayWay, "scalar": ScalarWay}
EXAMPLES = (1, 3, 4, 50, 2_000)
needs_executor = pytest.mark.skipif(not ts.accelerated, reason="the compiled executor was not built")


def network(way="auto", sizes=(2, 8, 8, 1)):
    net = ts.MLP(sizes[0], list(sizes[1:]), "tanh", seed=0)
    return ts.vectorize(lambda x: ts.squared_error(net(x), 0.5), net.parameters(), way=way), net


def irregular(way="auto"):
    w = [ts.Value(0.1 * k - 0.5) for k in range(12)]

    def cost(x):
        z = x
        for k in range(40):
            z = (z * w[k * k % 12], ts.tanh(z + w[k % 5]), z - w[k % 7], ts.exp(-(z**2)) + z)[k % 4]
        return z

    return ts.vectorize(cost, w, way=way), cost, w


def ways_that_run(run, m, n, monkeypatch):
    ran = []
    with monkeypatch.context() as patch:
        for name, way in WAYS.items():
            original = way.run
            patch.setattr(
                way, "run", lambda self, *args, name=name, original=original: ran.append(name) or original(self, *args)
            )
        run.value(*[np.full((m, n), 0.25) if n else np.full(m, 0.25)])
    return ran


@pytest.mark.parametrize("way", ["arrays", pytest.param("scalar", marks=needs_executor)])
def test_way_says_which_program_runs_for_any_number_of_examples(way, monkeypatch):
    run = network(way)[0]
    run(np.full((2, 2), 0.25))
    assert [ways_that_run(run, m, 2, monkeypatch) for m in EXAMPLES] == [[way]] * len(EXAMPLES)


@pytest.mark.parametrize("way", ["arrays", pytest.param("scalar", marks=needs_executor)])
@pytest.mark.parametrize("reduce", ["mean", "sum", None])
def test_each_way_equals_the_engine(way, reduce):
    net = network()[1]
    X = np.random.default_rng(0).normal(size=(5, 2))

    def cost(x):
        return ts.squared_error(net(x), 0.5)

    value, gradient = ts.vectorize(cost, net.parameters(), way=way, reduce=reduce)(X)
    theirs, their_gradient, _ = by_the_engine(cost, net.parameters(), [X])
    over = {"mean": 1.0, "sum": 5.0, None: 1.0}[reduce]
    np.testing.assert_allclose(np.mean(value), over * theirs, rtol=1e-12)
    np.testing.assert_allclose(gradient if reduce else gradient.mean(0), over * their_gradient, rtol=1e-11, atol=1e-15)


def test_a_function_in_which_nothing_repeats_can_run_as_an_array_program():
    run, cost, w = irregular("arrays")
    X = np.linspace(-1.0, 1.0, 7)
    value, gradient = run(X)
    theirs, their_gradient, _ = by_the_engine(cost, w, [X])
    np.testing.assert_allclose(value, theirs, rtol=1e-12)
    np.testing.assert_allclose(gradient, their_gradient, rtol=1e-12, atol=1e-15)
    assert "7 examples: the array program runs" in run.explain()


@pytest.mark.parametrize("way", ["array", "", None, 1, ["scalar"]])
def test_another_way_is_refused(way):
    w = ts.Value(1.0)
    with pytest.raises(ValueError, match=r'way must be "auto", "arrays" or "scalar", got'):
        ts.vectorize(lambda x: w * x, [w], way=way)


def test_the_scalar_way_needs_the_executor(monkeypatch):
    monkeypatch.setattr(vectorized, "executor", lambda: None)
    w = ts.Value(1.0)
    with pytest.raises(ValueError, match=r'way="scalar" needs the compiled executor.*reinstall'):
        ts.vectorize(lambda x: w * x, [w], way="scalar")


@needs_executor
@pytest.mark.parametrize("reduce", ["mean", None])
def test_the_scalar_way_names_operations_that_the_executor_lacks(reduce, monkeypatch):
    cube = Operation("cube2", "cube", "cube2({0})", "x**3", lambda x: x * x * x, lambda v, x: (3.0 * x * x,))
    monkeypatch.setitem(ops.OPERATIONS, "cube2", cube)
    w = ts.Value(1.0)
    run = ts.vectorize(lambda x: ts.exp(record("cube2", w * x)), [w], way="scalar", reduce=reduce)
    with pytest.raises(ValueError, match='lacks cube2: use "auto" or "arrays"'):
        run([1.0])


def test_explain_says_which_way_ran_the_last_call_and_what_each_should_take(monkeypatch):
    run = network()[0]
    for m in EXAMPLES:
        run(np.full((m, 2), 0.25))
        run.value(np.full((m, 2), 0.25))
        line = run.explain().splitlines()[-1]
        [ran] = ways_that_run(run, m, 2, monkeypatch)
        name = WAYS[ran].name
        assert line.startswith(f"{m:,} example{'s' if m > 1 else ''}: the {name} runs, and should take about")
        assert all(way.name in line for way in WAYS.values()) or not ts.accelerated


@needs_executor
def test_what_was_read_and_run_before_changes_no_choice(monkeypatch):
    def chosen(make, order, read):
        run = make()[0]
        n = 2 if make is network else 0
        run(np.full((2, 2), 0.25) if n else [0.25, 0.5])
        if read:
            assert run.source and run.explain() and run.equations
        found = {m: ways_that_run(run, m, n, monkeypatch) for m in order}
        return [found[m] for m in EXAMPLES]

    for make in (network, irregular):
        first = chosen(make, EXAMPLES, read=False)
        assert chosen(make, EXAMPLES[::-1], read=True) == first
    assert chosen(network, EXAMPLES, read=False) != [["scalar"]] * len(EXAMPLES)


@pytest.mark.parametrize("sizes", [(1, 2, 1), (2, 3, 1), (3, 4, 1), (4, 6, 1), (2, 16, 16, 1)], ids=str)
def test_the_first_call_for_m_examples_and_the_next_give_the_same_bits(sizes):
    run = network(sizes=sizes)[0]
    x = np.random.default_rng(0).normal(size=(300, sizes[0]))
    for m in [*range(1, 70), 100, 257, 300]:
        (value, gradient), (again, gradient_again) = run(x[:m]), run(x[:m])
        assert (value, gradient.tolist()) == (again, gradient_again.tolist()), m


def test_a_pickle_keeps_the_way():
    run = network("arrays")[0]
    X = np.full((3, 2), 0.25)
    value, _ = run(X)
    again = pickle.loads(pickle.dumps(run))
    assert again(X)[0] == value
    assert "3 examples: the array program runs" in again.explain()


KINDS = sorted({what for times in NS.values() for what in times if " " not in what})
NUMBERS = st.dictionaries(st.sampled_from(KINDS), st.integers(1, 9))


@given(NUMBERS, NUMBERS, st.integers(0, 10_000), st.integers(1, 5_000), st.sampled_from(sorted(NS)))
def test_more_examples_and_more_work_should_never_take_less_time(fixed, each, size, m, way):
    counts = Counts(fixed, each, size, 100)
    expected = Estimate(way, counts)
    more = Estimate(way, Counts(fixed, {what: 2 * number for what, number in each.items()}, size, 100))
    assert 0 <= expected(m) <= more(m) < math.inf
    if m >= FEW:  # the scalar program runs fewer one after the other, at their own times
        assert expected(m) <= expected(m + 1) <= expected(2 * m)
    found = sum(NS[way].get(what, 0.0) * number for what, number in features(way, counts, m).items())
    assert math.isclose(expected(m), found, rel_tol=1e-9)


def test_calls_with_ever_new_numbers_of_examples_do_not_make_a_step_grow(monkeypatch):
    kept = []

    class Watched(compiled.Compiled):
        def __init__(self, *args):
            super().__init__(*args)
            kept.append(self)

    monkeypatch.setattr(compiled, "MOST_CHOICES", 5)
    monkeypatch.setattr(compiled, "Compiled", Watched)
    w = ts.Value(2.0)
    step = ts.vectorize(lambda x: w * x, [w])
    for m in range(1, 60):
        assert step.value(np.ones(m)) == 2.0
    assert kept and all(len(program._chosen) <= 5 for program in kept)

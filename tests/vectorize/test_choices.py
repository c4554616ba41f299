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
from tinygrad_scalar.vectorize.block_costs import BlockCounts, Form, Part
from tinygrad_scalar.vectorize.cost_model import ALONE, FEW, OF_STEPS, ArrayCounts, Estimate, ScalarCounts
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
FORMS = st.builds(
    Form,
    st.sampled_from(["LR", "TR", "RT", "LR by rows", "RT by left", "distances", "pull left"]),
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 3),
    st.booleans(),
    st.booleans(),
)
PARTS = st.builds(
    Part,
    st.integers(0, 9),
    st.dictionaries(st.integers(2, 500), st.integers(1, 9), max_size=3),
    st.integers(0, 50),
    NUMBERS,
    NUMBERS,
    st.dictionaries(FORMS, st.integers(1, 3), max_size=3),
    st.integers(0, 50),
)


@given(NUMBERS, NUMBERS, NUMBERS, st.integers(0, 10_000), st.integers(1, 5_000))
def test_more_examples_and_more_work_should_never_take_less_time(fixed, each, alone, size, m):
    for way, counts, more in (
        ("NumPy", ArrayCounts(fixed, each, size), ArrayCounts(fixed, twice(each), size)),
        (
            "scalar",
            ScalarCounts(fixed, alone, each, each, size),
            ScalarCounts(fixed, twice(alone), twice(each), twice(each), size),
        ),
    ):
        expected = Estimate(way, counts)
        assert 0 <= expected(m) <= Estimate(way, more)(m) < math.inf
        if m >= FEW:  # the scalar program runs fewer one after the other, at their own times
            assert expected(m) <= expected(m + 1) <= expected(2 * m)


def twice(numbers):
    return {what: 2 * number for what, number in numbers.items()}


@given(PARTS, PARTS, st.integers(0, 5_000), st.integers(24, 264), st.integers(1, 3_000))
def test_an_array_program_with_more_instructions_should_take_more_time(once, block, rows, per_block, m):
    expected = Estimate("blocks", BlockCounts(once, block, 10, 0, rows, per_block))
    more = Estimate("blocks", BlockCounts(once, block._replace(numbers=twice(block.numbers)), 10, 0, rows, per_block))
    assert 0 <= expected(m) <= more(m) < math.inf
    whole, half = expected(2 * per_block), expected(per_block)  # as many examples in each block
    assert half <= whole <= 2 * half * (1 + 1e-9)


@needs_executor
def test_every_step_of_a_scalar_program_is_counted_once():
    run, _, _ = irregular("scalar")
    run([0.25])
    program = run._last.scalars
    counts = program.expected.counts
    lanes = sum(number for what, number in counts.lane.items() if what in OF_STEPS - {"terms of a block"})
    terms = counts.lane["terms of a block"]  # an addition, and a product unless it is of a number as it is
    steps = len(program.program.steps)
    assert lanes + terms <= steps <= lanes + 2 * terms
    alone = sum(number for what, number in counts.alone.items() if what.startswith(ALONE))
    assert alone <= steps <= lanes + 2 * terms


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_array_program_is_estimated_as_what_runs_it(dtype):
    w = [ts.Value(0.5), ts.Value(-0.5)]
    run = ts.vectorize(lambda x: ts.tanh(w[0] * x) + w[1] * x, w, way="arrays", dtype=dtype)
    run(np.ones(3))
    blocks = run._last.arrays.native is not None
    assert run._last.arrays.expected.kind == ("blocks" if blocks else "NumPy")
    assert not (blocks and dtype == "float32")


def many_steps(calls=None):
    w = [ts.Value(0.1 * k - 0.5) for k in range(12)]
    random = np.random.default_rng(0)
    plan = random.integers(0, 12, (1_200, 2)).tolist()

    def cost(x):
        if calls is not None:
            calls.append(x)
        z = x
        for k, (i, j) in enumerate(plan):
            z = (z * w[i] + w[j], ts.tanh(z + w[j]), (z - w[i]) * 0.5, ts.exp(-(z**2)) + z * w[i])[(i + j + k) % 4]
        return z

    return ts.vectorize(cost, w), cost, w


@needs_executor
def test_a_network_beside_what_does_not_repeat_stays_matrix_products(monkeypatch):
    net, w = ts.MLP(120, [80, 8], "tanh", seed=0), [ts.Value(0.1 * k) for k in range(12)]

    def cost(x):
        nodes = [*net(x), *w]
        for k in range(1_100):
            other = nodes[7919 * k % len(nodes)]
            nodes.append(nodes[-1] * other + 0.5 if k % 2 else ts.sin(nodes[-1] - other))
        return nodes[-1]

    run = ts.vectorize(cost, [*net.parameters(), *w])
    X = np.random.default_rng(0).normal(size=(100, 120))
    value, gradient = run(X)
    assert ways_that_run(run, 100, 120, monkeypatch)[-1] == "arrays"
    copy = pickle.loads(pickle.dumps(run))
    assert ways_that_run(copy, 100, 120, monkeypatch)[-1] == "arrays"
    scalar = ts.vectorize(cost, [*net.parameters(), *w], way="scalar")(X)
    np.testing.assert_allclose(value, scalar[0], rtol=1e-12)
    np.testing.assert_allclose(gradient, scalar[1], rtol=1e-9, atol=1e-13)


def branching(way="auto"):
    w = [ts.Value(0.3), ts.Value(0.6)]

    def cost(x):
        z = x
        for _ in range(30):
            z = ts.cond(ts.greater(z, 0.3), lambda z=z: z * w[0] + x, lambda z=z: ts.tanh(z) + w[1])
        return z

    return ts.vectorize(cost, w, way=way)


@needs_executor
def test_a_function_that_branches_runs_the_way_that_should_take_less(monkeypatch):
    run, ran = branching(), set()
    for m in EXAMPLES:
        run(np.full(m, 0.25))
        program = run._current()
        expected = {name: getattr(program, place).expected(m) for name, place in zip(WAYS, ("arrays", "scalars"))}
        assert ways_that_run(run, m, 0, monkeypatch) == [min(expected, key=expected.get)]
        ran.add(min(expected, key=expected.get))
    assert ran == {*WAYS}


@needs_executor
@pytest.mark.thorough
def test_a_function_in_which_nothing_repeats_runs_as_an_array_program_for_many_examples_alone(monkeypatch):
    def chosen(order, read):
        run = many_steps()[0]
        run([0.25, 0.5])
        if read:
            assert run.source
        found = {m: ways_that_run(run, m, 0, monkeypatch)[-1] for m in order}  # the check of an array program runs both
        return [found[m] for m in EXAMPLES]

    first = chosen(EXAMPLES, read=False)
    assert first[0] == "scalar" and first[-1] == "arrays"
    assert chosen(EXAMPLES[::-1], read=True) == first


@needs_executor
def test_its_array_program_is_compared_with_the_engine_before_it_first_runs(monkeypatch):
    calls = []
    run, cost, w = many_steps(calls)
    run([0.25, 0.5])
    written = []
    monkeypatch.setattr(
        vectorized, "require_agreement", lambda program, *args: written.append(program.arrays is not None)
    )
    X = np.linspace(-1.0, 1.0, 3_000)
    value, gradient = run(X)
    assert written == [True]
    scalar = ts.vectorize(cost, w, way="scalar")(X)
    np.testing.assert_allclose(value, scalar[0], rtol=1e-12)
    np.testing.assert_allclose(gradient, scalar[1], rtol=1e-9, atol=1e-15)
    before = len(calls)
    assert run(X)[0] == value and len(calls) == before


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


def deep(way="auto"):
    """Two outputs in which each of 600 steps is made for 8 numbers: many kinds of nodes, with 8 of each."""
    w = [ts.Value(0.05 * k - 0.2) for k in range(8)]

    def cost(x):
        z = w
        for _ in range(600):
            z = [z_k * x + w_k for z_k, w_k in zip(z, w)]
        return [ts.sum(z), ts.dot(z, z)]

    return ts.vectorize(cost, w, reduce="sum", way=way)


@needs_executor
def test_outputs_of_many_kinds_of_nodes_run_as_an_array_program_where_that_is_worth_its_writing():
    run, X = deep(), np.random.default_rng(0).uniform(0.2, 0.9, size=5_000)
    found, ran, programs = {}, [], []
    for m in (5, X.size, 5, X.size):
        found[m] = run(X[:m])
        ran.append(run._last.chosen(m).partition(" runs")[0])
        programs.append(run._last)
    assert ran == ["5 examples: the scalar program", "5,000 examples: the array program"] * 2
    assert programs[1] is programs[2] is programs[3]  # traced anew once
    for m, (values, jacobian) in found.items():
        theirs, their_jacobian = deep("scalar")(X[:m])
        np.testing.assert_allclose(values, theirs, rtol=1e-11, atol=1e-11 * m)
        np.testing.assert_allclose(jacobian, their_jacobian, rtol=1e-11, atol=1e-11 * m)

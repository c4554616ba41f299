"""Results that nothing reads any more give up their places to later ones, and every number stays what it was."""

import random

import numpy as np
import pytest
from hypothesis import given, strategies as st
from support.scalar_machines import machine_of, native, require_the_engines, run

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine import record
from tinygrad_scalar.vectorize.scalar_program import scalar_program
from tinygrad_scalar.vectorize.trace import trace

pytestmark = pytest.mark.skipif(native is None, reason="the native executor belongs to the compiled Value")

ONE = ["exp", "log", "sqrt", "tanh", "sigmoid", "relu", "neg", "abs", "sin", "tan", "softplus", "log1p", "**2", "**3"]
TWO = ["+", "+", "-", "*", "/", "maximum", "minimum", "logaddexp", "hypot"]
OTHERS = ["choose", "lookup", "greater", "less", "less"]
SIZES = [1, 3, 4, 7, 16, 21]


@st.composite
def narrow(draw):
    """Long programs in which most results are read soon after, and some much later or never."""
    seed, m = draw(st.integers(0, 10**6)), draw(st.sampled_from(SIZES))
    width, steps, last = draw(st.integers(1, 6)), draw(st.integers(5, 60)), draw(st.integers(1, 3))
    names = draw(st.lists(st.sampled_from([*ONE, *TWO, *OTHERS]), min_size=1, max_size=6))
    params = [Value(random.Random(seed + k).uniform(0.1, 0.9)) for k in range(3)]
    rng = np.random.default_rng(seed)
    arrays = [rng.uniform(0.1, 0.9, (m, 3)), rng.integers(0, 3, m)]

    def cost(x, i):
        choose = random.Random(seed)
        made = [*params, *x]
        for _ in range(steps):
            level = []
            for _ in range(choose.randint(1, width)):
                name = choose.choice(names)
                a, b, c = (choose.choice(made if choose.random() < 0.1 else made[-2 * width :]) for _ in range(3))
                if name == "choose":
                    made_of = ts.cond(ts.greater(a, b), lambda b=b: b * 0.5, lambda c=c: ts.exp(c))
                elif name == "lookup":
                    made_of = ts.lookup([a, b, c], i)
                elif name == "less":
                    made_of = 1.5 - a  # which stays between 0.1 and 1.4, as all do
                else:
                    made_of = record(name, *((a,) if name in ONE else (a, b)))
                level.append(made_of if name == "less" else 0.1 + ts.sigmoid(made_of))
            made += level
        return sum((a * (k + 1.0) for k, a in enumerate(made[-last:])), params[0] * 0.1)

    return cost, params, arrays


@given(narrow())
def test_any_program_is_the_engines(program):
    cost, params, arrays = program
    machine = require_the_engines(cost, params, arrays)
    value, gradient, inputs = run(machine, params, arrays)
    for m in (1, 5, 16):  # other memory, in which other numbers stood
        run(machine, params, [np.resize(array, (m, *array.shape[1:])) for array in arrays])
        again = run(machine, params, arrays)
        assert again[0] == value
        assert again[1].tobytes() == gradient.tobytes()
        assert all(a.tobytes() == b.tobytes() for a, b in zip(again[2], inputs))


def places_of_results(cost, m=2):
    machine = require_the_engines(cost, [Value(0.5)], [np.linspace(0.1, 0.9, m)])
    return machine.n_places - machine.n_uniform - machine.n_inputs


@pytest.mark.parametrize("m", [1, 16])
def test_what_is_not_read_again_takes_no_more_places_in_longer_programs(m):
    def sums_and_tanh(n):
        def cost(x):
            z = x
            for k in range(n):
                z = ts.tanh(z - x) if k % 2 else z - 0.1
            return z

        return cost

    assert places_of_results(sums_and_tanh(400), m=m) == places_of_results(sums_and_tanh(20), m=m) <= 4


def test_levels_make_room_for_levels_as_wide():
    def layers(n):
        def cost(x):
            h = [x - 0.01 * k for k in range(40)]
            for _ in range(n):
                h = [ts.sin(0.7 - a) for a in h]
            return sum(h)

        return cost

    assert places_of_results(layers(30)) == places_of_results(layers(5)) <= 4 * 40


def test_levels_make_room_for_narrower_ones():
    def pyramid(x):
        h = [x - 0.01 * k for k in range(64)]
        while len(h) > 8:  # the first three are read by the next three, so that no result is left out
            h = [ts.sin(a - b) for a, b in zip(h[3:], [*h[:3], *[0.7] * len(h)])]
        return sum(h)

    assert places_of_results(pyramid) <= 4 * 64


@pytest.mark.parametrize("name", ["*", "/", "maximum", "exp", "sqrt", "tan", "abs", "relu", "**2"])
def test_what_the_way_back_reads_stays(name):
    """Of a chain of n operations that need a number of each for their gradients, n numbers stay."""

    def cost(x):
        z = x
        for k in range(60):
            z = record(name, *((z,) if name in ONE else (z, x))) - 0.001 * k if k % 2 else ts.sigmoid(z)
        return z

    assert places_of_results(cost) >= 30


@pytest.mark.parametrize("choose", [ts.where, lambda c, a, b: ts.cond(c, lambda: a, lambda: b)], ids=["where", "cond"])
def test_what_conditions_compared_stays(choose):
    def cost(x):
        z = x
        for k in range(7):
            condition = ts.greater(z, 0.1) if k % 2 else ts.greater(0.1, z)
            z = ts.tanh(choose(condition, 1.5 - z, z - 0.3))
        return z

    require_the_engines(cost, [Value(0.5)], [np.linspace(-1.0, 1.0, 21)])


def test_what_lookups_choose_among_has_places_of_its_own():
    """The way back marks what was chosen; a mark of what stood there before would let an infinite slope through."""

    def cost(x, i):
        z = x
        for _ in range(12):
            z = ts.tanh(z - 0.1)
            z = z - ts.lookup([ts.sqrt(z - z), 0.3 - z, z], i)
        return z

    w, arrays = [Value(0.3)], [np.linspace(0.1, 0.9, 40), np.arange(40) % 2 + 1]
    machine = require_the_engines(cost, w, arrays)
    first, again = run(machine, w, arrays), run(machine, w, arrays)
    assert np.isfinite(first[2][0]).all()
    assert again[2][0].tobytes() == first[2][0].tobytes()


def test_any_number_can_be_watched_or_be_the_cost():
    def numbers(x):
        made = [x - 0.3]
        for k in range(10):
            made.append(ts.tanh(made[-1]) if k % 2 else 0.7 - made[-1])
        return made

    X = np.linspace(-1.0, 1.0, 20)
    program = scalar_program(trace(lambda x: numbers(x)[-1], [], [X]), 0, [1], native.CODES)
    slots, theta, rows = [int(step[1]) for step in program.steps], np.empty(0), (X.reshape(-1, 1),)
    expected = np.array([[number.data for number in numbers(Value(x))] for x in X])
    for k, slot in enumerate(slots):
        machine = native.Machine(*program._replace(cost=slot, watched=slots[k:]))
        watched = np.empty((len(X), len(slots) - k))
        value = machine.run(theta, rows, np.empty(0), None, watched)
        np.testing.assert_allclose(value, expected[:, k].mean(), rtol=1e-13, atol=1e-15)
        np.testing.assert_allclose(watched, expected[:, k:], rtol=1e-13)
        machine = native.Machine(*program._replace(cost=slot))
        assert machine.run(theta, rows, np.empty(0)) == value


@pytest.mark.parametrize("m", [1, 2, 16])
@pytest.mark.parametrize("bad", [0, 5, 11])
def test_a_number_that_is_not_finite_is_noticed_before_another_takes_its_place(bad, m):
    def cost(x):
        z, kept = x, x
        for k in range(12):
            z = ts.minimum(ts.log(z - 2.0 if k == bad else z + 2.0), kept)
            z = ts.tanh(ts.where(ts.greater(z, -10.0), z, 0.1) - 0.2)
        return z

    w, arrays, alarms = [Value(1.0)], [np.full(m, 0.5)], []
    value, _, _ = run(machine_of(cost, w, arrays), w, arrays, alarms=alarms)
    assert np.isfinite(value)
    assert alarms == [True]
    run(machine_of(lambda x: ts.log(cost(x) + 9.0), w, arrays), w, [np.full(m, 0.5)], alarms=(alarms := []))
    assert alarms == [True]

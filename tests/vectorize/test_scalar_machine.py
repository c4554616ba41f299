"""The machine of scalar programs: steps that run as rows of one order compute what the engine computes one by one."""

import math
import random

import numpy as np
import pytest
from hypothesis import given, strategies as st
from support.processes import alone, peak, resident_memory
from support.scalar_machines import machine_of, native, require_the_engines, run

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine import record
from tinygrad_scalar.vectorize.scalar_program import scalar_program
from tinygrad_scalar.vectorize.trace import trace

pytestmark = pytest.mark.skipif(native is None, reason="the native executor belongs to the compiled Value")

ONE = ["exp", "log", "sqrt", "tanh", "sigmoid", "relu", "neg", "abs", "sin", "cos", "tan", "softplus", "expm1", "log1p"]
ONE += ["sinh", "cosh", "atan", "erf", "**2", "**3", "leaky_relu(0.1)"]
TWO = ["+", "-", "*", "/", "maximum", "minimum", "logaddexp", "**", "greater", "greater_equal"]
SIZES = [1, 3, 4, 16, 21]  # one by one, one block, blocks of which the last is not full


@pytest.mark.parametrize("m", SIZES)
@pytest.mark.parametrize("name", [*ONE, *TWO, "where", "binary cross-entropy"])
def test_rows_of_any_operation_are_the_engines(name, m):
    """Operands are parameters, inputs and results, side by side or one for all rows."""
    n, rng = 11, np.random.default_rng(0)
    params = [Value(float(x)) for x in rng.uniform(0.1, 0.9, n)]
    X = rng.uniform(0.1, 0.9, (m, n))

    def cost(x):
        middle = [w * a for w, a in zip(params, x)]
        operands = [
            (middle, x, params),
            (params, middle, x),
            (x, params[::-1], middle),
            (middle, [params[0]] * n, [x[0]] * n),
        ]
        operands += [([x[1]] * n, middle, middle[::-1]), (middle, middle, middle)]
        arity = 1 if name in ONE else 3 if name in ("where", "binary cross-entropy") else 2
        results = [record(name, *its[:arity]) for lists in operands for its in zip(*lists)]
        return sum(r * (k + 1) for k, r in enumerate(results)) + params[0]

    machine = require_the_engines(cost, params, [X])
    assert max(rows for _, rows, _ in machine.describe()) >= n or name == "*"


@st.composite
def programs(draw):
    """Loops over lists, as people write them: element-wise, sums, products of matrices and vectors, chains, lookups."""
    n, seed, m = draw(st.integers(1, 9)), draw(st.integers(0, 10**6)), draw(st.sampled_from(SIZES))
    moves = draw(st.lists(st.sampled_from("ewmsrcaltdi"), min_size=1, max_size=9))
    params = [Value(round(random.Random(seed + k).uniform(-1, 1), 3)) for k in range(n * n + 2 * n)]
    rng = np.random.default_rng(seed)
    arrays = [rng.uniform(-1, 1, (m, n)), rng.integers(0, n, m)]

    def cost(x, i):
        choose, h, kept = random.Random(seed), list(x), list(x)
        for move in moves:
            w = params[choose.randrange(n) :]
            if move == "e":
                h = [record(choose.choice(["tanh", "sigmoid", "sin", "relu", "exp", "abs"]), ts.tanh(a)) for a in h]
            elif move == "w":
                h = [a * w[k] + b for k, (a, b) in enumerate(zip(h, kept))]
            elif move == "m":
                h = [sum((w[j * n + k] * a for k, a in enumerate(h)), w[j]) for j in range(n)]
            elif move == "t":
                h = [sum(a * params[k * n + j] for k, a in enumerate(h)) for j in range(n)]
            elif move == "s":
                total = sum(h)
                h = [a - total * 0.1 for a in h]
            elif move == "r":
                h = h[::-1]
            elif move == "c":
                h = [a * 0.5 + (k + 1) * 0.25 for k, a in enumerate(h)]
            elif move == "a":
                h = [ts.maximum(a, b) * ts.minimum(b, 0.25) for a, b in zip(h, kept)]
            elif move == "l":
                row = ts.lookup([params[k * n : k * n + n] for k in range(n)], i)
                h = [a + b for a, b in zip(h, row)]
            elif move == "i":
                h = [a + ts.lookup(h, i) * 0.5 for a in h]
            else:
                h, kept = [a / (b * b + 1.0) for a, b in zip(h, kept)], h
        return sum(a * a * (k + 1.0) for k, a in enumerate(h)) + h[0]

    return cost, params, arrays


@given(programs())
def test_any_program_is_the_engines(program):
    cost, params, arrays = program
    machine = require_the_engines(cost, params, arrays)
    value, gradient, _ = run(machine, params, arrays)
    again = run(machine_of(cost, params, arrays), params, arrays)
    assert again[0] == value
    assert again[1].tobytes() == gradient.tobytes()
    assert run(machine, params, arrays, with_inputs=False)[1].tobytes() == gradient.tobytes()
    few = run(machine, params, [array[:1] for array in arrays])  # other memory
    assert run(machine, params, arrays)[1].tobytes() == gradient.tobytes()
    assert run(machine, params, [array[:1] for array in arrays])[1].tobytes() == few[1].tobytes()


@given(programs())
def test_few_examples_are_the_same_bits_in_few_lanes_as_in_many(program):
    cost, params, arrays = program
    wide = machine_of(cost, params, arrays)
    run(wide, params, [np.resize(array, (16, *array.shape[1:])) for array in arrays])
    for m in range(4, 10):
        few = [np.resize(array, (m, *array.shape[1:])) for array in arrays]
        for with_inputs in (True, False):
            narrow = machine_of(cost, params, arrays)
            value, gradient, inputs = run(wide, params, few, with_inputs)
            its_value, its_gradient, its_inputs = run(narrow, params, few, with_inputs)
            assert its_value == value
            assert its_gradient.tobytes() == gradient.tobytes()
            assert not with_inputs or all(a.tobytes() == b.tobytes() for a, b in zip(its_inputs, inputs))


@resident_memory
@pytest.mark.thorough
def test_a_block_of_few_examples_takes_the_memory_of_so_many():
    taken = [alone(_bytes_of_a_run, m) for m in (4, 8, 16)]
    assert 1.9 * taken[0] < taken[1] < taken[2] / 1.9


def _bytes_of_a_run(m):
    w = [Value(math.sin(k)) for k in range(100_000)]
    machine = machine_of(lambda x: sum(ts.sin(p * x) for p in w), w, [np.zeros(m)])
    run(machine, w, [np.zeros(1)])
    before = peak()
    run(machine, w, [np.zeros(m)])
    return peak() - before


@pytest.mark.parametrize("m", [1, 5])
@pytest.mark.parametrize("n", [16, 17, 300])
def test_any_number_of_arguments_runs(n, m):
    rng = np.random.default_rng(0)
    w = [Value(float(x)) for x in rng.normal(size=n)]
    arrays = [rng.normal(size=m) for _ in range(n)]

    def cost(*xs):
        return sum(ts.tanh(p * x) for p, x in zip(w, xs))

    machine = require_the_engines(cost, w, arrays)
    theta, rows = np.array([p.data for p in w]), tuple(arrays)
    value, gradient = native.Quick(machine, theta, ((),) * n, m).answer(rows)
    assert (value, gradient.tobytes()) == tuple(
        x if isinstance(x, float) else x.tobytes() for x in run(machine, w, arrays)[:2]
    )


@st.composite
def graphs(draw):
    """Wide levels of steps whose operands are anywhere: parameters, inputs, constants and earlier results."""
    seed, m = draw(st.integers(0, 10**6)), draw(st.sampled_from(SIZES))
    n, levels, width = draw(st.integers(1, 9)), draw(st.integers(1, 4)), draw(st.integers(4, 40))
    names = draw(st.lists(st.sampled_from([*ONE, *TWO, "where", "chain", "chain"]), min_size=1, max_size=4))
    params = [Value(random.Random(seed + k).uniform(0.1, 0.9)) for k in range(n)]
    X = np.random.default_rng(seed).uniform(0.1, 0.9, (m, n))

    def cost(x):
        choose = random.Random(seed)
        made = [*params, *x, Value(0.25), Value(0.75)]
        for _ in range(levels):
            level = []
            for _ in range(width):
                name = choose.choice(names)
                a, b, c = (choose.choice(made) for _ in range(3))
                if name == "chain":
                    terms = [choose.choice(made) * choose.choice(made) for _ in range(choose.choice([1, 2, 3]))]
                    level.append(ts.sigmoid(sum(terms, choose.choice([a, 0.0]))))
                else:
                    operands = (a,) if name in ONE else (a, b) if name in TWO else (ts.greater(a, 0.5), b, c)
                    level.append(ts.sigmoid(record(name, *operands)))
            made += level
        return sum(a * (k + 1.0) for k, a in enumerate(made))

    return cost, params, [X]


@given(graphs())
def test_steps_with_operands_anywhere_are_rows_that_compute_what_the_engine_does(graph):
    cost, params, arrays = graph
    machine = require_the_engines(cost, params, arrays)
    value, gradient, _ = run(machine, params, arrays)
    again = run(machine, params, arrays)
    assert (again[0], again[1].tobytes()) == (value, gradient.tobytes())


def test_steps_with_operands_anywhere_take_an_order_for_each_level_and_operation():
    choose, w = random.Random(0), [Value(0.1 * k) for k in range(20)]
    pairs = [[(choose.randrange(200), choose.randrange(200)) for _ in range(200)] for _ in range(5)]

    def cost(x):
        level = [w[k % 20] + x * w[k // 20] for k in range(200)]
        for its in pairs:
            level = [ts.sin(level[i] * level[k]) for i, k in its]
        return sum(level)

    assert len(require_the_engines(cost, w, [np.ones(1)]).describe()) <= 12


def recurrent(n, steps, seed=None):
    """A cell whose units each read their own state, and the loss of all of them. With a seed a step's units, and their
    gates, are recorded in any sequence."""
    W = [Value(0.1 * (k % 7) - 0.3) for k in range(8 * n)]
    choose = None if seed is None else random.Random(seed)

    def shuffled(numbers):
        return numbers if choose is None else choose.sample(numbers, len(numbers))

    def cost(x):
        h, c, total = [Value(0.0)] * n, [Value(0.1)] * n, Value(0.0)
        for t in range(steps):
            gates = {}
            for j in shuffled(range(n)):
                for g in shuffled(range(4)):
                    gates[g, j] = h[j] * W[g * n + j] + x[t] * W[(4 + g) * n + j]
            for j in shuffled(range(n)):
                f, i, o = (ts.sigmoid(gates[g, j]) for g in range(3))
                c[j] = c[j] * f + i * ts.tanh(gates[3, j])
                h[j] = o * ts.tanh(c[j])
            total = total + ts.log(sum(ts.exp(a) for a in h) + 1.0) - h[t % n]
        return total / steps

    return cost, W


@given(st.integers(2, 16), st.integers(0, 10**6))
def test_the_sequence_in_which_steps_were_recorded_does_not_matter(n, seed):
    arrays = [np.random.default_rng(0).normal(size=(1, 12))]
    in_sequence, shuffled = (require_the_engines(*recurrent(n, 12, s), arrays).describe() for s in (None, seed))
    assert len(shuffled) <= 1.25 * len(in_sequence) + 8


def test_a_long_recurrence_takes_the_same_orders_for_each_step():
    arrays = [np.random.default_rng(0).normal(size=(1, 400))]
    few, many = (len(machine_of(*recurrent(14, steps), [arrays[0][:, :steps]]).describe()) for steps in (100, 400))
    assert many <= 4 * few + 8


def test_what_a_recurrence_reads_and_what_is_computed_from_it_are_rows_of_all_its_steps():
    w, X = [Value(0.1 * k) for k in range(6)], np.random.default_rng(0).normal(size=(1, 60, 2))

    def cost(xs):
        h, total = [Value(0.0)] * 2, 0.0
        for x in xs:
            h = [ts.tanh(a * b + ts.sigmoid(c * d)) for a, b, c, d in zip(h, w[:2], x, w[2:4])]
            total = total + ts.log(ts.exp(h[0] * w[4]) + ts.exp(h[1] * w[5]))
        return total

    orders = require_the_engines(cost, w, [X]).describe()
    rows = {
        name: [rows for code, rows, _ in orders if code == native.CODES[name]] for name in ("sigmoid", "exp", "log")
    }
    assert rows == {"sigmoid": [120], "exp": [120], "log": [60]}


@pytest.mark.parametrize("m", [1, 6])
def test_the_units_of_a_recurrent_cell_run_side_by_side(m):
    cost, W = recurrent(14, 30)
    arrays = [np.random.default_rng(0).normal(size=(m, 30))]
    machine = require_the_engines(cost, W, arrays)
    orders = machine.describe()
    steps = sum(rows * max(terms, 1) for _, rows, terms in orders)
    assert len(orders) < steps / 8


def test_a_network_takes_an_order_for_each_part_of_a_layer():
    net = ts.MLP(6, [20, 20, 1], "tanh", seed=0)
    machine = machine_of(net, net.parameters(), [np.ones((1, 6))])
    assert len(machine.describe()) <= 9


def test_a_table_of_parameters_is_read_and_written_in_the_chosen_rows_alone():
    rows, width, m = 50, 4, 40
    rng = np.random.default_rng(0)
    table = [[Value(float(x)) for x in row] for row in rng.normal(size=(rows, width))]
    params = [w for row in table for w in row]

    def cost(i):
        row = ts.lookup(table, i)
        return sum(a * b for a, b in zip(row, table[3])) ** 2  # one row is read directly too

    index = rng.integers(0, 10, m)
    machine = require_the_engines(cost, params, [index])
    theta = np.array([p.data for p in params])
    theta[4 * 20 :] = np.nan  # rows that nobody chooses
    gradient = np.full(len(params), np.nan)
    assert np.isfinite(machine.run(theta, (index[:, None].astype(float),), gradient))
    assert (gradient[4 * 20 :] == 0).all()


def test_a_deep_program_and_a_wide_one_compile_in_linear_time():
    """10⁵ steps of each; as quadratic work these would take minutes."""
    w, x = Value(0.999), np.ones(1)

    def deep(a):
        for _ in range(50_000):
            a = ts.maximum(a * w, 0.001)
        return a

    def wide(a):
        return sum(ts.tanh(w * (0.001 * k)) * a for k in range(30_000))

    for cost in (deep, wide):
        value, gradient, _ = run(machine_of(cost, [w], [x]), [w], [x])
        assert np.isfinite([value, *gradient]).all()


@given(st.integers(0, 10**6))
def test_lookups_that_share_a_table_run_as_those_with_tables_of_their_own(seed):
    draw = np.random.default_rng(seed)
    plan = draw.integers(0, 1000, (12, 4)).tolist()
    w = [Value(float(number)) for number in draw.normal(size=6)]

    def cost(x, i):
        nodes, tables = [*w, *x], [w[:3], [0.5, -1.0, 2.0], w[2:5]]
        for kind, a, b, c in plan:
            u, v = nodes[-1 - a % len(nodes)], nodes[b % len(nodes)]
            if kind % 4 == 0:
                tables.append([u, v, nodes[c % len(nodes)]])
            elif kind % 4 == 1:
                nodes.append(ts.tanh(u * v) + u)
            else:
                nodes.append(ts.lookup(tables[c % len(tables)], i[a % 3]) * u)
        return sum(nodes[6:]) + nodes[-1] * nodes[-2]

    arrays = [draw.normal(size=(20, 2)), draw.integers(0, 3, (20, 3))]
    traced, found = trace(cost, w, arrays), []
    for own in (False, True):
        program = scalar_program(traced, len(w), [2, 3], native.CODES)
        for step in program.steps if own else ():
            if step[0] == native.CODES["lookup"]:
                table = program.tables[step[3] : step[3] + step[4]]
                step[3] = len(program.tables)
                program.tables.extend(table)
        machine = native.Machine(*program)
        for m in (1, 20):
            value, gradient, inputs = run(machine, w, [array[:m] for array in arrays])
            found.append((value, gradient.tolist(), inputs[0].tolist(), machine.describe()))
    assert repr(found[:2]) == repr(found[2:])

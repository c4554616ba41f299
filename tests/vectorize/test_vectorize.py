"""`vectorize` equals the engine: on the notes' networks and on anything else that a scalar function can compute.

The engine's mean cost and gradient over the examples are the oracle.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from programs import LEAVES, NUMBER, PROGRAM, Draw, assert_equal_to_the_engine, by_every_way, numbers_of, path_sums
from support.vectorize_cases import CASES, linear

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.vectorize.trace import example_arguments, flat


@pytest.mark.parametrize("name", CASES)
def test_the_array_program_equals_the_engine(name):
    assert_equal_to_the_engine(*CASES[name](Draw()))


@pytest.mark.parametrize("name", CASES)
def test_one_example_is_as_good_as_many(name):
    cost, params, arrays = CASES[name](Draw(1))
    assert_equal_to_the_engine(cost, params, [array[:1] for array in arrays])


@pytest.mark.parametrize("name", CASES)
def test_float32_is_float64_to_its_own_digits(name):
    cost, params, arrays = CASES[name](Draw())
    value, gradient = ts.vectorize(cost, params)(*arrays)
    value32, gradient32 = ts.vectorize(cost, params, dtype="float32")(*arrays)
    assert gradient32.dtype == np.float32
    assert value32 == pytest.approx(value, rel=1e-4, abs=1e-4)
    assert np.abs(gradient32 - gradient).max() <= 1e-4 * max(1.0, np.abs(gradient).max())


@pytest.mark.parametrize("name", CASES)
def test_gradients_with_respect_to_inputs_equal_the_engine(name):
    cost, params, arrays = CASES[name](Draw())
    m = len(arrays[0])
    _, _, inputs = ts.vectorize(cost, params, wrt_inputs=True)(*arrays)
    assert len(inputs) == len(arrays)
    for i in range(m):
        arguments = example_arguments(arrays, i)
        C = cost(*arguments)
        C.backward(1.0 / m)
        sizes = path_sums(C)
        for argument, array, gradient in zip(arguments, arrays, inputs):
            if array.dtype.kind == "f":
                assert gradient.shape == array.shape
                leaves = flat(argument)
                theirs, size = np.array([(leaf.grad, sizes.get(leaf, 0.0)) for leaf in leaves]).T
                assert (np.abs(gradient[i].ravel() - theirs) <= 1e-12 * size).all()
            else:
                assert gradient is None


ACTIVATIONS = ["sigmoid", "tanh", "relu", "leaky_relu", "softplus", "linear"]


LAYER = st.tuples(
    st.integers(1, 7), st.sampled_from(ACTIVATIONS), st.sampled_from(["plain", "skip", "shared", "gated"])
)


@settings(max_examples=3 * settings.default.max_examples)
@given(st.integers(1, 5), st.lists(LAYER, min_size=1, max_size=5), st.integers(0, 4), st.integers(0, 99), st.booleans())
def test_random_architectures_equal_the_engine(n_inputs, layers, loss, seed, decayed):
    d = Draw(seed)
    n, plan, params = n_inputs, [], []
    for width, activation, kind in layers:
        if kind == "shared" and plan and plan[-1][0] == (n, n):
            plan.append((*plan[-1][:3], activation, kind))  # the weights of the layer before
            continue
        width = n if kind in ("skip", "gated") else width
        W, b = d.values(width, n), d.values(width)
        params += flat([W, b])
        plan.append(((width, n), W, b, activation, kind))
        n = width

    def cost(x, y):
        a = x if isinstance(x, list) else [x]
        for _, W, b, activation, kind in plan:
            z = linear(W, a, b)
            g = [z_j if activation == "linear" else getattr(z_j, activation)() for z_j in z]
            if kind == "skip":
                g = [g_j + a_j for g_j, a_j in zip(g, a)]
            if kind == "gated":
                g = [g_j * a_j for g_j, a_j in zip(g, a)]
            a = g
        targets = y if isinstance(y, list) else [y]
        if loss == 0:
            C = ts.squared_error(a, targets)
        elif loss == 1:
            C = ts.absolute_error(a, targets)
        elif loss == 2:
            C = ts.hinge(a, [2.0 * ts.greater(t, 0.0) - 1.0 for t in targets])
        elif loss == 3:
            C = ts.binary_cross_entropy([a_j.sigmoid() for a_j in a], [ts.sigmoid(t) for t in targets])
        else:
            C = ts.cross_entropy([*a, 0.0], 0) * targets[0]
        return C + 0.01 * sum(p * p for p in params) if decayed else C

    assert_equal_to_the_engine(cost, params, [d.normal(3, n_inputs), d.normal(3, n)])


@settings(max_examples=10 * settings.default.max_examples)
@given(PROGRAM, LEAVES, st.lists(st.lists(NUMBER, min_size=2, max_size=2), min_size=1, max_size=3))
def test_random_programs_equal_the_engine(program, numbers, examples):
    params = [Value(number) for number in numbers]
    assert_equal_to_the_engine(lambda x: sum(numbers_of(program, ts, [*params, *x])[-3:]), params, [np.array(examples)])


def test_a_long_irregular_program_equals_the_engine(thorough):
    rng = np.random.default_rng(0)
    params = [Value(float(number)) for number in rng.uniform(-1, 1, 5)]
    steps = [
        lambda a, b: a * b * 0.5,
        lambda a, b: ts.tanh(a + b),
        lambda a, b: ts.sin(a - b),
        lambda a, b: a / (b * b + 3),
    ]
    n = 2000 if thorough else 700
    plan = rng.integers(0, 4, n).tolist(), rng.integers(1, 60, (n, 2)).tolist()

    def cost(x):
        made = [*params, *x]
        for kind, (i, j) in zip(*plan):
            a, b = made[-1 - i % len(made)], made[-1 - j % len(made)]
            made.append(steps[kind](a, b))
        return sum(made[-20:])

    assert_equal_to_the_engine(cost, params, [rng.normal(size=(3, 4))])


EDGES = {
    "log of a tiny sigmoid": lambda w, x: (w * x).sigmoid().log(),
    "power with an infinite exponent": lambda w, x: (w * x) ** math.inf,
    "power with nan": lambda w, x: (w * x) ** math.nan,
    "leaky_relu with an infinite slope": lambda w, x: (w * x).leaky_relu(math.inf),
    "leaky_relu with slope 0": lambda w, x: (w * x).leaky_relu(0.0),
    "zeros of both signs": lambda w, x: (w * x / Value(-0.0)).atan() + (w * x / Value(0.0)).atan() * 2,
    "logaddexp of infinities": lambda w, x: ts.logaddexp(ts.logaddexp(w * x, x), x * 2.0),
}


@pytest.mark.parametrize("name", EDGES)
def test_values_at_the_edges_are_the_engines(name):
    for x in (-math.inf, -2450.0, -2400.0, -1.0, 0.0, 2.0, 2400.0, math.inf):
        w = Value(0.3)
        run = ts.vectorize(lambda x, w=w: EDGES[name](w, x), [w], check=False)
        run([x])
        for value, _ in by_every_way(run, [np.array([x])]):
            assert value == pytest.approx(EDGES[name](w, Value(x)).data, rel=1e-12, nan_ok=True)

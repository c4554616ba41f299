"""`vectorize` equals the engine: on the notes' networks and on whatever else a scalar function can compute.

A case is a function of one example, its parameters and arrays of examples. The engine's mean cost and gradient over
those examples are the oracle.
"""

import math
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from programs import LEAVES, NUMBER, PROGRAM, by_the_engine, numbers_of, path_sums

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine import tracing
from tinygrad_scalar.engine.errors import TraceError
from tinygrad_scalar.vectorize.trace import example_arguments

# --- the engine as the oracle -----------------------------------------------------------------------------------------


def assert_equal_to_the_engine(cost, params, arrays, **options):
    step = ts.vectorize(cost, params, **options)
    value, gradient = step(*arrays)
    assert step.value(*arrays) == value
    expected, by_engine, sizes = by_the_engine(cost, params, arrays)
    for ours, our_gradient in [(value, gradient), *by_every_way(step, arrays)]:
        assert ours == pytest.approx(expected, rel=1e-12, abs=1e-12)
        assert our_gradient.shape == (len(params),)
        subnormal = 1e-320  # whose rounding is not relative
        assert (np.abs(our_gradient - by_engine) <= 1e-12 * np.maximum(sizes, np.abs(by_engine)) + subnormal).all()


def by_every_way(step, arrays):
    """What the array program gives and what the scalar program does, whichever the call would choose."""
    program, rows = step._prepared(arrays)
    program.write_arrays()
    ways = list(program.by_every_way(step.parameters, rows))
    assert len(ways) == (2 if ts.accelerated else 1)
    return ways


def flat(nested):
    return [nested] if isinstance(nested, Value) else [value for part in nested for value in flat(part)]


class Draw:
    """Parameters and examples from one generator."""

    def __init__(self, seed=0):
        self.r = np.random.default_rng(seed)

    def values(self, *shape):
        if not shape:
            return Value(float(self.r.normal() * 0.5))
        return [self.values(*shape[1:]) for _ in range(shape[0])]

    def normal(self, *shape):
        return self.r.normal(size=shape)

    def classes(self, n, *shape):
        return self.r.integers(0, n, size=shape)


def dot(x, y):
    return sum(a * b for a, b in zip(x, y))


def linear(W, x, b=None):
    return [dot(w, x) if b is None else dot(w, x) + b[j] for j, w in enumerate(W)]


def softmax(x):
    largest = x[0]
    for value in x[1:]:
        largest = ts.maximum(largest, value)
    e = [(value - largest).exp() for value in x]
    total = sum(e)
    return [value / total for value in e]


# --- cases -----------------------------------------------------------------------------------------------------------

CASES = {}


def case(make):
    CASES[make.__name__] = make
    return make


@case
def one_node_of_the_notes(d):
    w, b = d.values(2)
    return lambda x, y: (ts.sigmoid(w * x + b) - y) ** 2, [w, b], [d.normal(5), d.normal(5)]


@case
def cross_entropy_of_classes(d):
    net = ts.MLP(4, [8, 3], "tanh", "linear", seed=0)
    return lambda x, y: ts.cross_entropy(net(x), y), net.parameters(), [d.normal(6, 4), d.classes(3, 6)]


@case
def binary_cross_entropy(d):
    net = ts.MLP(3, [5, 2], "relu", "sigmoid", seed=0)
    return lambda x, y: ts.binary_cross_entropy(net(x), y), net.parameters(), [d.normal(6, 3), d.classes(2, 6, 2)]


@case
def hinge_and_weight_decay(d):
    net = ts.MLP(2, [16, 16, 1], "relu", "linear", seed=0)
    params = net.parameters()

    def cost(x, y):
        return ts.hinge(net(x), y) + 1e-2 * sum(p * p for p in params)

    return cost, params, [d.normal(6, 2), d.classes(2, 6) * 2.0 - 1.0]


@case
def parameters_alone(d):
    params = d.values(5)
    return lambda x: sum(p * p for p in params), params, [d.normal(3, 2)]


@case
def examples_alone(d):
    return lambda x: x * x, d.values(2), [d.normal(3)]


@case
def neurons_whose_bias_stands_beside_their_weights(d):
    neurons = [ts.Neuron(3, "tanh", seed=j) for j in range(4)]
    params = [p for neuron in neurons for p in neuron.parameters()]
    return (
        lambda x, y: sum((n(x) - y_j) ** 2 for n, y_j in zip(neurons, y)),
        params,
        [d.normal(5, 3), d.normal(5, 4)],
    )


@case
def residual_connections(d):
    W1, W2 = d.values(2, 6, 6)

    def cost(x, y):
        h = [a + b.relu() for a, b in zip(x, linear(W1, x))]
        h = [a + b.relu() for a, b in zip(h, linear(W2, h))]
        return ts.squared_error(h, y)

    return cost, flat([W1, W2]), [d.normal(5, 6), d.normal(5, 6)]


@case
def convolution(d):
    K, b, W, c = d.values(3, 2, 3, 3), d.values(3), d.values(4, 27), d.values(4)

    def cost(x, y):
        h = []
        for kernel, bias in zip(K, b):
            for i in range(3):
                for j in range(3):
                    z = bias
                    for channel, k in zip(x, kernel):
                        for di in range(3):
                            for dj in range(3):
                                z = z + k[di][dj] * channel[i + di][j + dj]
                    h.append(z.relu())
        return ts.cross_entropy(linear(W, h, c), y)

    return cost, flat([K, b, W, c]), [d.normal(5, 2, 5, 5), d.classes(4, 5)]


@case
def convolutions_with_padding_and_pooling(d):
    K, b, K2, W = d.values(2, 3, 3), d.values(2), d.values(2, 2, 2, 2), d.values(3, 8)

    def padded(image, i, j):
        return image[i][j] if 0 <= i < 6 and 0 <= j < 6 else None

    def cost(x, y):
        pooled = []
        for kernel, bias in zip(K, b):
            z = [[bias] * 6 for _ in range(6)]
            for i in range(6):
                for j in range(6):
                    for di in range(3):
                        for dj in range(3):
                            pixel = padded(x, i + di - 1, j + dj - 1)
                            if pixel is not None:
                                z[i][j] = z[i][j] + kernel[di][dj] * pixel
            a = [[v.tanh() for v in row] for row in z]
            pooled.append(
                [
                    [
                        ts.maximum(
                            ts.maximum(a[2 * i][2 * j], a[2 * i + 1][2 * j]),
                            ts.maximum(a[2 * i][2 * j + 1], a[2 * i + 1][2 * j + 1]),
                        )
                        for j in range(3)
                    ]
                    for i in range(3)
                ]
            )
        h = [
            sum(
                kernel[c][di][dj] * pooled[c][i + di][j + dj] for c in range(2) for di in range(2) for dj in range(2)
            ).relu()
            for kernel in K2
            for i in range(2)
            for j in range(2)
        ]
        return ts.cross_entropy(linear(W, h), y)

    return cost, flat([K, b, K2, W]), [d.normal(4, 6, 6), d.classes(3, 4)]


@case
def unrolled_lstm(d):
    n, width, steps = 3, 4, 5
    Wx, Wh, b, Wo = d.values(4, width, n), d.values(4, width, width), d.values(4, width), d.values(2, width)

    def cost(x, y):
        h, c = [0.0] * width, [0.0] * width
        for x_t in x[:steps]:
            z = [[dot(Wx[k][j], x_t) + dot(Wh[k][j], h) + b[k][j] for j in range(width)] for k in range(4)]
            i, f, o = ([v.sigmoid() for v in gate] for gate in z[:3])
            g = [v.tanh() for v in z[3]]
            c = [f_j * c_j + i_j * g_j for f_j, c_j, i_j, g_j in zip(f, c, i, g)]
            h = [o_j * c_j.tanh() for o_j, c_j in zip(o, c)]
        return ts.squared_error(linear(Wo, h), y)

    return cost, flat([Wx, Wh, b, Wo]), [d.normal(4, steps, n), d.normal(4, 2)]


@case
def a_recurrent_network_from_a_constant_state(d):
    W, U = d.values(4, 2), d.values(4, 4)
    start = [Value(0.0), Value(0.5), Value(-0.25), Value(1.0)]

    def cost(x, y):
        h = start
        for x_t in x:
            h = [(dot(w, x_t) + dot(u, h)).tanh() for w, u in zip(W, U)]
        return ts.squared_error(h, y)

    return cost, flat([W, U]), [d.normal(4, 3, 2), d.normal(4, 4)]


@case
def causal_attention_with_two_heads(d):
    width, heads, T, V = 8, 2, 5, 7
    E, U, position = d.values(V, width), d.values(V, width), d.values(T, width)
    Wq, Wk, Wv, Wo = d.values(4, width, width)
    of_head = [slice(h * width // heads, (h + 1) * width // heads) for h in range(heads)]

    def cost(tokens, targets):
        x = [[a + b for a, b in zip(ts.lookup(E, token), position[t])] for t, token in enumerate(tokens)]
        q, k, v = ([linear(W, x_t) for x_t in x] for W in (Wq, Wk, Wv))
        loss = 0.0
        for t, target in enumerate(targets):
            attended = []
            for part in of_head:
                scores = [dot(q[t][part], k[s][part]) / math.sqrt(width / heads) for s in range(t + 1)]
                weights = softmax(scores)
                attended += [dot(weights, [v[s][part][j] for s in range(t + 1)]) for j in range(width // heads)]
            out = [a + b for a, b in zip(linear(Wo, attended), x[t])]
            loss = loss + ts.cross_entropy(linear(U, out), target)
        return loss / T

    return cost, flat([E, U, position, Wq, Wk, Wv, Wo]), [d.classes(V, 4, T), d.classes(V, 4, T)]


@case
def likelihood_of_a_gaussian_mixture(d):
    mean, log_scale, weight = d.values(3, 2), d.values(3, 2), d.values(3)

    def cost(x):
        total = weight[0]
        for a in weight[1:]:
            total = ts.logaddexp(total, a)
        terms = []
        for mu, s, a in zip(mean, log_scale, weight):
            term = a - total
            for x_d, mu_d, s_d in zip(x, mu, s):
                term = term - 0.5 * ((x_d - mu_d) / s_d.exp()) ** 2 - s_d - 0.5 * math.log(2 * math.pi)
            terms.append(term)
        likelihood = terms[0]
        for term in terms[1:]:
            likelihood = ts.logaddexp(likelihood, term)
        return -likelihood

    return cost, flat([mean, log_scale, weight]), [d.normal(9, 2)]


@case
def an_ode_by_runge_kutta(d):
    a, b, c, e = params = d.values(4)

    def slope(s):
        return [a * s[0] - b * s[0] * s[1], c * s[0] * s[1] - e * s[1]]

    def cost(start, y):
        s, h = list(start), 0.05
        for _ in range(10):
            k1 = slope(s)
            k2 = slope([u + h / 2 * k for u, k in zip(s, k1)])
            k3 = slope([u + h / 2 * k for u, k in zip(s, k2)])
            k4 = slope([u + h * k for u, k in zip(s, k3)])
            s = [u + h / 6 * (p + 2 * q + 2 * r + t) for u, p, q, r, t in zip(s, k1, k2, k3, k4)]
        return ts.squared_error(s, y)

    return cost, params, [1.0 + 0.2 * d.normal(5, 2), d.normal(5, 2)]


@case
def lookups_in_tables_of_different_things(d):
    w = d.values(6)

    def cost(x, i, j):
        mixed = [w[0], w[1] * x, 3.0, ts.exp(w[2])]
        nested = [[[w[3]], [w[4] * w[5]]], [[x], [w[0] * w[1]]]]
        chosen = ts.lookup(nested, j)
        return ts.lookup(mixed, i) * chosen[0][0] + chosen[1][0] + i * w[5] + ts.lookup([0.5, 1.5], j)

    return cost, w, [d.normal(9), d.classes(4, 9), d.classes(2, 9)]


@case
def choices_between_traced_numbers(d):
    w = d.values(4)

    def cost(x):
        big = ts.maximum(ts.maximum(w[0] * x[0], w[1] * x[1]), w[2])
        small = ts.minimum(ts.minimum(big, w[3] * x[1]), 0.5)
        return ts.where(ts.greater(x[0], w[0]), big * big, small) + ts.where(ts.less_equal(x[1], 0), x[0] * w[1], 1.0)

    return cost, w, [d.normal(12, 2)]


@case
def ties_of_a_maximum_of_many(d):
    w = [Value(0.5) for _ in range(4)]
    return lambda x: ts.maximum(ts.maximum(ts.maximum(w[0] * x, w[1] * x), w[2] * x), w[3] * x), w, [d.normal(5)]


@case
def a_cost_that_is_an_input_itself(d):
    return lambda x, y: x[1], d.values(2), [d.normal(5, 4), d.normal(5)]


@case
def tables_whose_rows_are_of_every_kind(d):
    w = d.values(8)

    def cost(i, j):
        of_arrays = np.array(w, object).reshape(4, 2)
        of_dicts = [{"a": w[0], "b": w[1]}, {"b": w[2], "a": w[3]}]
        changing = list(w[:4])
        before = ts.lookup(changing, i)
        changing[0] = changing[0] * 5
        row, named = ts.lookup(of_arrays, i) * 3, ts.lookup(of_dicts, j)
        return row[0] * row[1] + named["a"] * named["b"] ** 2 + before + ts.lookup(changing, i)

    return cost, w, [d.classes(4, 9), d.classes(2, 9)]


@case
def gradients_that_are_the_same_in_every_example(d):
    w = d.values(5)

    def cost(x):
        s = x[1] + w[1]
        t = w[2] * (0.5 * s + 0.25 * x[0])
        return s + 0.5 * (s + s) + t + dot(w[3:], [x[0], t])

    return cost, w, [d.normal(4, 2)]


@case
def sums_whose_order_counts(d):
    w, large = d.values(1), 6755399441055744.0
    return lambda x: ((w[0] * x + large) - large) + w[0] * x, w, [10.0 * d.normal(5)]


@case
def every_operation(d):
    w = d.values(6)

    def of(u, v):
        return (
            ts.erf(u) + ts.atan(u) + ts.asinh(u) + ts.log1p(u * u) + ts.expm1(u) + ts.sqrt(u + 3) + ts.sinh(u)
            + ts.cosh(u) + ts.tan(u * 0.3) + ts.asin(u * 0.1) + ts.acos(u * 0.1) + ts.acosh(u + 4) + ts.atanh(u * 0.1)
            + ts.leaky_relu(u) + ts.leaky_relu(u, 1.5) + (u + 5) ** (v * 0.1) + (u + 5) ** -1.5 + u**3 + 2.0**u + u**0
            + ts.minimum(u, v) + ts.maximum(u, v * 1.0) + ts.logaddexp(u, v) + ts.log(u + 5) - ts.softplus(u)
            - u.sigmoid() - abs(u) - u.relu() - u / (v + 5) + -u.tanh() + 1 / (u + 5) ** -1 + (u + 5) ** 0.5
        )  # fmt: skip

    def cost(x):
        a = [ts.sin(w_k * x) for w_k in w]
        b = [ts.exp(u * 0.3) / (2 + ts.cos(u)) for u in a]
        return sum(of(u, v) for u, v in zip(a, b))

    return cost, w, [d.normal(5)]


@case
def saturated_activations(d):
    w = d.values(3)
    return (
        lambda x: sum(ts.tanh(20 * w_k * x) + ts.sigmoid(90 * w_k * x) + ts.softplus(50 * w_k * x) for w_k in w),
        w,
        [d.normal(6)],
    )


@case
def parameters_used_in_many_places(d):
    w = d.values(3)
    return (
        lambda x: (w[0] + w[0] * w[1] * x[0] + w[2]) * (w[0] - x[1]) + w[1] - (w[2] - x[0] - w[0] - 2.0),
        w,
        [d.normal(5, 2)],
    )


@case
def partial_sums_that_are_used_again(d):
    w = d.values(5)

    def cost(x):
        running, total = 0.0, 0.0
        for w_k in w:
            running = running + w_k * x
            total = total + running * running
        return total

    return cost, w, [d.normal(4)]


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


@pytest.mark.parametrize("name", CASES)
def test_the_source_is_all_there_is_to_it(name):
    cost, params, arrays = CASES[name](Draw())
    step = ts.vectorize(cost, params)
    value, gradient = step(*arrays)
    pasted = {}
    exec(step.source, pasted)
    with np.errstate(all="ignore"):
        forward, backward = pasted["prepare"](len(arrays[0]), step.parameters)
        columns = [array.reshape(len(array), -1) for array in arrays]
        results = forward(*columns)
        assert (results if np.isscalar(results) else results[0]) == pytest.approx(value, rel=1e-13)
        np.testing.assert_allclose(backward(*columns), gradient, rtol=1e-11, atol=1e-13 * abs(gradient).max())
    again = ts.vectorize(cost, params)
    again(*arrays)
    assert again.source == step.source


def test_the_source_of_a_network_is_the_equations_of_the_notes_in_under_60_lines():
    net = ts.MLP(2, [16, 16, 1], "tanh", seed=0)
    step = ts.vectorize(lambda x, y: ts.squared_error(net(x), y), net.parameters())
    step(np.ones((3, 2)), np.ones((3, 1)))
    lines = step.source.splitlines()
    assert len(lines) < 60
    code = [line.strip().partition("  #")[0] for line in lines]
    for layer in (1, 2, 3):
        before = "A0" if layer == 1 else f"A{layer - 1}"
        assert f"add(matmul(W{layer}, {before}, out=Z{layer}), b{layer}, out=Z{layer})" in code  # 003 Eq. 1a
        assert f"tanh(Z{layer}, out=A{layer})" in code  # 1b
        assert (
            f"multiply(dA{layer}, slope_of_tanh(A{layer}, Z{layer}, out=slope{layer}), out=delta{layer})" in code
        )  # 11a
        assert f"matmul(delta{layer}, {'X' if layer == 1 else before + '.T'}, out=dW{layer})" in code  # 11b
        assert f"add.reduce(delta{layer}, axis=1, keepdims=True, out=db{layer})" in code  # 11c
    for layer in (2, 3):
        assert f"matmul(W{layer}.T, delta{layer}, out=dA{layer - 1})" in code  # 11d


# 003 Eq. 1, 2a and 11 in the short notation of Eq. 12, corrected: db sums over the examples (the note's axis=0
# runs over the neurons), and dW is δAᵀ in both places (Eq. 12's second line has Aᵀδ, whose shapes do not fit).
FORWARD = r"""
Z^{[l]} = W^{[l]} A^{[k]} + b^{[l]}                                      | n_l \times m   | 1a
A^{[l]} = g^{[l]}\left(Z^{[l]}\right),\quad g^{[l]} = G_l               | n_l \times m   | 1b
"""
COST = r"""
C = \frac{1}{m} \sum_{i=1}^{m} \sum_j {\left(A^{[L]} - Y\right)}^{2}    | 1 \times 1     | 2
dA^{[L]} = 2\, \left(A^{[L]} - Y\right)                                 | n_L \times m   |
"""
BACKWARD = r"""
dA^{[l]} = W^{[n]T} \delta^{[n]}                                        | n_l \times m   | 11d
\delta^{[l]} = dA^{[l]} \odot g'^{[l]}\left(Z^{[l]}\right)              | n_l \times m   | 11a
dW^{[l]} = \frac{1}{m} \delta^{[l]} A^{[k]T}                            | n_l \times n_k | 11b
db^{[l]} = \frac{1}{m} \sum_{i=1}^{m} \delta^{[l](i)}                   | n_l \times 1   | 11c
"""


@pytest.mark.parametrize("sizes", [(3, 2), (2, 16, 16, 2), (5, 4, 3, 2, 2)])
def test_the_equations_of_a_network_are_003s_symbol_by_symbol(sizes):
    net = ts.MLP(sizes[0], list(sizes[1:]), "tanh", "sigmoid", seed=0)
    step = ts.vectorize(lambda x, y: ts.squared_error(net(x), y), net.parameters())
    step(np.ones((3, sizes[0])), np.ones((3, sizes[-1])))
    L = len(sizes) - 1

    def of_layer(text, layer):
        for name, number in (("l", layer), ("k", layer - 1), ("n", layer + 1), ("L", L)):
            text = text.replace(f"[{name}]", f"[{number}]")
            if 0 <= number <= L:
                text = text.replace(f"n_{name}", str(sizes[number]))
        return text.replace("G_l", r"\sigma" if layer == L else r"\tanh").strip().splitlines()

    expected = [row for layer in range(1, L + 1) for row in of_layer(FORWARD, layer)] + of_layer(COST, L)
    for layer in range(L, 0, -1):
        expected += of_layer(BACKWARD, layer)[layer == L :]
    assert list(step.equations.each) == [tuple(part.strip() for part in row.split("|")) for row in expected]


@pytest.mark.peers
@pytest.mark.parametrize("name", CASES)
def test_all_equations_can_be_set(name):
    mathtext = pytest.importorskip("matplotlib.mathtext", reason="matplotlib is not installed")
    cost, params, arrays = CASES[name](Draw())
    step = ts.vectorize(cost, params)
    step(*arrays)
    parser = mathtext.MathTextParser("path")
    for latex, shape, _ in step.equations.each:
        parser.parse(f"${latex}$")
        parser.parse(f"${shape}$")


@pytest.mark.peers
@pytest.mark.parametrize("name", CASES)
def test_all_sources_are_clean_and_formatted(name):
    ruff = pytest.importorskip("ruff", reason="ruff is not installed").find_ruff_bin()
    cost, params, arrays = CASES[name](Draw())
    step = ts.vectorize(cost, params)
    step(*arrays)
    for command in (["check", "--select", "E,F,W,I,UP,B,SIM,PIE,RET,NPY"], ["format", "--check"]):
        options = ["--isolated", "--line-length", "120", "--stdin-filename", "step.py", "-"]
        done = subprocess.run([ruff, *command, *options], input=step.source, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_explain_says_which_scalars_became_which_array():
    net = ts.MLP(64, [16, 10], "tanh", seed=0)
    step = ts.vectorize(lambda x, y: ts.squared_error(net(x), y), net.parameters())
    step(np.ones((3, 64)), np.ones((3, 10)))
    lines = [line.strip() for line in step.explain().splitlines()]
    assert "1,024 products → Z1 (16×m) = W1 (16×64) @ A0 (64×m) + b1 (16×1)" in lines
    assert "1,024 parameters → W1 (16×64) = parameters[0:1024], w(1)[0,0] … w(1)[15,63]" in lines
    assert "10 values → A2 (10×m) = tanh(Z2)" in lines
    assert "10 differences → difference1 (10×m) = A2 − YT" in lines
    assert "1 value → total1 (1×m) = sum of all of square1" in lines


# --- random architectures and programs --------------------------------------------------------------------------------

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


def test_a_long_irregular_program_equals_the_engine():
    rng = np.random.default_rng(0)
    params = [Value(float(number)) for number in rng.uniform(-1, 1, 5)]
    steps = [
        lambda a, b: a * b * 0.5,
        lambda a, b: ts.tanh(a + b),
        lambda a, b: ts.sin(a - b),
        lambda a, b: a / (b * b + 3),
    ]
    plan = rng.integers(0, 4, 2000).tolist(), rng.integers(1, 60, (2000, 2)).tolist()

    def cost(x):
        made = [*params, *x]
        for kind, (i, j) in zip(*plan):
            a, b = made[-1 - i % len(made)], made[-1 - j % len(made)]
            made.append(steps[kind](a, b))
        return sum(made[-20:])

    assert_equal_to_the_engine(cost, params, [rng.normal(size=(3, 4))])


# --- the callable ----------------------------------------------------------------------------------------------------


def line(label_w="w", label_b="b"):
    w, b = Value(0.5, label_w), Value(-0.25, label_b)
    return lambda x, y: (w * x + b - y) ** 2, [w, b]


X, Y = np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0])


def test_any_number_of_examples_runs_without_tracing_again():
    calls = []
    cost, params = line()
    step = ts.vectorize(lambda x, y: calls.append(1) or cost(x, y), params)
    step(X, Y)
    traced = len(calls)
    for m in (1, 2, 3, 17, 3):
        value, gradient = step(np.resize(X, m), np.resize(Y, m))
        expected, by_engine, _ = by_the_engine(cost, params, [np.resize(X, m), np.resize(Y, m)])
        assert value == pytest.approx(expected, rel=1e-14)
        assert gradient == pytest.approx(by_engine, rel=1e-14)
    assert len(calls) == traced


def test_other_shapes_are_traced_once_each():
    calls = []
    w = Value(0.5)
    step = ts.vectorize(lambda x: calls.append(1) or sum((w * v for v in x), Value(0.0)) ** 2, [w])
    for n in (2, 3, 2, 3):
        value, _ = step(np.ones((4, n)))
        assert value == pytest.approx((0.5 * n) ** 2)
    assert len(calls) == 2 * 3  # each traced once and checked on two examples


def test_lists_and_integers_are_as_good_as_arrays():
    cost, params = line()
    a = ts.vectorize(cost, params)([0, 1, 2], [1, 3, 5])
    b = ts.vectorize(cost, params)(X, Y)
    assert a[0] == b[0]
    assert (a[1] == b[1]).all()


def test_small_integers_do_not_overflow():
    w = Value(1.0)
    value, _ = ts.vectorize(lambda x: w * x * x, [w])(np.array([100, 120], np.int8))
    assert value == (100.0**2 + 120.0**2) / 2


def test_the_program_works_on_its_parameters_and_write_back_puts_them_into_the_values():
    cost, params = line()
    step = ts.vectorize(cost, params)
    step(X, Y)
    step.parameters[:] = [2.0, 1.0]
    assert step.value(X, Y) == 0.0
    assert [p.data for p in params] == [0.5, -0.25]
    step.write_back()
    assert [p.data for p in params] == [2.0, 1.0]


def test_a_replaced_parameters_array_is_the_one_that_counts():
    cost, params = line()
    step = ts.vectorize(cost, params)
    step(X, Y)
    step.parameters = np.array([2.0, 1.0])
    assert step(X, Y)[0] == 0.0


def test_each_call_returns_a_gradient_of_its_own():
    cost, params = line()
    step = ts.vectorize(cost, params)
    first = step(X, Y)[1]
    kept = first.copy()
    step.parameters[:] = 0.0
    step(X, Y)
    assert (first == kept).all()


def test_calling_changes_no_value_and_no_gradient():
    captured = Value(3.0)
    w = Value(2.0)
    w.grad, captured.grad = 5.0, 7.0
    ts.vectorize(lambda x: w * x * captured, [w])(X)
    assert (w.data, w.grad, captured.data, captured.grad) == (2.0, 5.0, 3.0, 7.0)


def test_captured_values_are_constants_and_explain_says_so():
    w, c = Value(2.0), Value(3.0, "captured")
    step = ts.vectorize(lambda x: w * x * c, [w])
    assert step(X)[0] == 2.0 * 3.0 * 1.0
    assert "constants, because they are not among the parameters: captured" in step.explain()


def test_a_pickled_step_runs_in_another_process(tmp_path):
    net = ts.MLP(2, [3, 1], "tanh", "sigmoid", seed=0)
    step = ts.vectorize(lambda x, y: ts.binary_cross_entropy(net(x), y), net.parameters())
    examples = np.array([[0.5, -1.0], [2.0, 0.25]]), np.array([0.0, 1.0])
    value, gradient = step(*examples)
    (tmp_path / "step").write_bytes(pickle.dumps((step, examples)))
    program = (
        f"import pickle\nstep, examples = pickle.load(open({str(tmp_path / 'step')!r}, 'rb'))\n"
        "value, gradient = step(*examples)\nprint(value.hex(), gradient.tobytes().hex())"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == [value.hex(), gradient.tobytes().hex()]


def test_a_pickled_step_has_no_function_and_says_so():
    cost, params = line()
    step = ts.vectorize(cost, params)
    step(X, Y)
    loaded = pickle.loads(pickle.dumps(step))
    with pytest.raises(ValueError, match="without its function"):
        loaded(np.ones((2, 2)), Y[:2])
    with pytest.raises(ValueError, match="no Values"):
        loaded.write_back()


def test_threads_may_trace_at_the_same_time_as_others_read_their_values():
    stop = threading.Event()
    w = Value(0.5)
    wrong = []

    def read():
        while not stop.is_set():
            try:
                assert w.data == 0.5
            except Exception as error:
                wrong.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(20):
            ts.vectorize(lambda x: sum(w * x for _ in range(50)), [w])(X)
    finally:
        stop.set()
        reader.join()
    assert wrong == []


def test_threads_may_trace_at_the_same_time():
    interval = sys.getswitchinterval()
    wrong = []

    def trace_many():
        try:
            for _ in range(30):
                table = [Value(float(k)) for k in range(4)]
                step = ts.vectorize(
                    lambda i, table=table: sum(ts.lookup(table, i) for _ in range(20)), table, check=False
                )
                assert step([0, 1, 3])[0] == pytest.approx(20 * 4 / 3)
        except BaseException as error:
            wrong.append(error)

    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=trace_many) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []
    assert tracing.active is None


# --- never silently wrong --------------------------------------------------------------------------------------------

w = Value(0.5, "w")
LOOKS = {
    "data": (lambda x: w * x.data, ".data was read"),
    "parameter": (lambda x: w.data * x, ".data was read"),
    "computed": (lambda x: Value((w * x).data) * w, ".data was read"),
    "less": (lambda x: w if x < 0.5 else x, "it was compared"),
    "other_side": (lambda x: w if x >= 0.5 else x, "it was compared"),
    "max": (lambda x: max(w, x), "it was compared"),
    "sorted": (lambda x: sorted([x, w])[0], "it was compared"),
    "bool": (lambda x: w if x else x, "a branch was taken"),
    "and": (lambda x: w * x and w, "a branch was taken"),
    "equal": (lambda x: w if x == 1 else x, "== asks"),
    "unequal": (lambda x: w if x != 1 else x, "== asks"),
    "float": (lambda x: w * float(x), "made a plain number"),
    "int": (lambda x: w * int(x), "made a plain number"),
    "math": (lambda x: w * math.exp(x), "made a plain number"),
    "round": (lambda x: w * round(x), "it was rounded"),
    "index": (lambda x: [w, w][x] * 1.0, "it was used as an index"),
    "range": (lambda x: sum(w for _ in range(x)), "it was used as an index"),
    "grad": (lambda x: w * x * w.grad, "its gradient was asked for"),
    "backward": (lambda x: (w * x).backward() or w, "its gradient was asked for"),
    "local_grads": (lambda x: w * (x * x).local_grads[0], "its gradient was asked for"),
    "set": (lambda x: setattr(w, "data", 2.0) or w * x, "was set"),
    "lookup": (lambda x: ts.lookup([w, w * 2], x), "array of integers"),
}


@pytest.mark.parametrize("name", LOOKS)
def test_looking_at_a_traced_number_is_an_error_that_names_the_line_and_the_way_out(name):
    cost, words = LOOKS[name]
    with pytest.raises(TraceError, match=words) as caught:
        ts.vectorize(cost, [w])(X)
    message = str(caught.value)
    assert "test_vectorize.py:" in message
    assert "\n" not in message
    assert w.data == 0.5


def test_after_an_error_values_may_be_read_again():
    with pytest.raises(TraceError):
        ts.vectorize(lambda x: w * x.data, [w])(X)
    assert (w * 2.0).data == 1.0
    assert w < 1.0


def test_reading_what_does_not_depend_on_the_example_is_allowed():
    captured = Value(3.0)
    value, _ = ts.vectorize(lambda x: w * x * (2.0 if captured > 1 else 1.0) * captured.data, [w])(X)
    assert value == pytest.approx(0.5 * 2.0 * 3.0)


def test_a_function_that_does_not_repeat_itself_is_refused():
    numbers = iter(range(100))
    with pytest.raises(TraceError, match=r"gives the cost .* for example 2, where the function itself"):
        ts.vectorize(lambda x: w * x + next(numbers), [w])(X)
    ts.vectorize(lambda x: w * x + next(numbers), [w], check=False)(X)


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
        step = ts.vectorize(lambda x, w=w: EDGES[name](w, x), [w], check=False)
        step([x])
        for value, _ in by_every_way(step, [np.array([x])]):
            assert value == pytest.approx(EDGES[name](w, Value(x)).data, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize("table", [[[w], [w, w]], [[w, w], [w]], [[w], w], [{"a": w}, {"b": w}], [{"a": w}, [w]]])
def test_rows_that_differ_in_shape_are_refused(table):
    with pytest.raises(TraceError, match="all its rows"):
        ts.vectorize(lambda i: ts.lookup(table, i)[0] * 1.0, [w])([0, 1])


def test_integers_beyond_int64_are_refused():
    with pytest.raises(ValueError, match="beyond 9223372036854775807"):
        ts.vectorize(lambda x: w * x, [w])(np.array([2**63 + 5, 3], np.uint64))


def test_a_row_that_is_not_there_is_refused():
    table = [Value(1.0), Value(2.0)]
    step = ts.vectorize(lambda i: ts.lookup(table, i) ** 2, table)
    assert step([0, 1])[0] == 2.5
    for bad in ([0, 2], [-1, 0]):
        with pytest.raises(ValueError, match="table of 2 rows, 0 to 1"):
            step(bad)


def test_what_a_loss_refuses_is_refused_in_every_example():
    step = ts.vectorize(lambda a, y: ts.binary_cross_entropy(w * a, y), [w])
    step([0.5, 1.0], [0, 1])
    with pytest.raises(ValueError, match=r"outputs must be from 0 to 1, got 1\.5; make the last layer with output"):
        step([0.5, 3.0], [0, 1])
    with pytest.raises(ValueError, match=r"targets must be from 0 to 1, got 2\.0"):
        step([0.5, 1.0], [0, 2])
    step = ts.vectorize(lambda a, y: ts.hinge(w * a, y), [w])
    step([0.5, 1.0], [-1, 1])
    with pytest.raises(ValueError, match=r"hinge targets must be −1 or \+1, got 0\.0"):
        step([0.5, 1.0], [-1, 0])


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((3.0, [w]), TypeError, "a function of one example, not 3.0"),
        ((lambda x: x, w), TypeError, "a list of Values"),
        ((lambda x: x, [1.0]), TypeError, "a Value that is a leaf, not 1.0"),
        ((lambda x: x, [w * 2]), TypeError, "a Value that is a leaf"),
        ((lambda x: x, []), ValueError, "one Value or more"),
        ((lambda x: x, [w, w]), ValueError, "each of them once"),
    ],
)
def test_what_vectorize_cannot_take_is_one_line_that_shows_it(arguments, error, words):
    with pytest.raises(error, match=words):
        ts.vectorize(*arguments)


def test_an_unknown_dtype_is_an_error():
    with pytest.raises(ValueError, match="float64, float32, not 'int8'"):
        ts.vectorize(lambda x: w * x, [w], dtype="int8")


@pytest.mark.parametrize(
    ("arrays", "error", "words"),
    [
        ((), TypeError, "an array of examples for each argument"),
        (([1.0, 2.0], [1.0]), ValueError, "argument 0 has 2 examples, but argument 1 has 1"),
        ((1.0, 2.0), ValueError, "the first axis counts the examples"),
        (([], []), ValueError, "the first axis counts the examples"),
        ((["a"], ["b"]), TypeError, "an array of numbers"),
        (([[1.0], [1.0, 2.0]], [1.0, 2.0]), ValueError, "do not all have the same shape"),
    ],
)
def test_what_a_step_cannot_take_is_one_line_that_shows_it(arrays, error, words):
    cost, params = line()
    with pytest.raises(error, match=words):
        ts.vectorize(cost, params)(*arrays)


def test_a_function_that_returns_no_value_is_an_error():
    with pytest.raises(TypeError, match="must return one Value, the cost of an example, got"):
        ts.vectorize(lambda x: [w * x], [w])(X)


def test_reading_the_program_before_there_is_one_is_an_error():
    cost, params = line()
    with pytest.raises(ValueError, match="before the first call"):
        _ = ts.vectorize(cost, params).source


# --- the Values may change beside the step ----------------------------------------------------------------------------


def test_a_value_that_is_set_counts_from_the_next_call_on():
    w = Value(2.0, "w")
    step = ts.vectorize(lambda x: w * x, [w])
    assert step([1.0])[0] == 2.0
    w.data = 5.0
    assert step([1.0])[0] == step.value([1.0]) == 5.0
    w.data = 6.0
    assert step.parameters.tolist() == [6.0]
    w.data = 7.0
    step.write_back()
    assert w.data == 7.0


def test_an_optimizer_of_values_and_a_step_go_together():
    w = Value(1.0)
    step = ts.vectorize(lambda x, y: (w * x - y) ** 2, [w])
    descent = ts.GradientDescent([w], 0.1)
    for _ in range(50):
        _, gradient = step([1.0, 2.0], [3.0, 6.0])
        w.grad = float(gradient[0])
        descent.step()
    assert w.data == pytest.approx(3.0)


def test_a_number_that_was_changed_on_both_sides_is_an_error_with_two_ways_out():
    def torn():
        w = Value(2.0, "w")
        step = ts.vectorize(lambda x: w * x, [w])
        step([1.0])
        step.parameters[0], w.data = 3.0, 4.0
        with pytest.raises(ValueError, match=r"w was set to 4\.0 and step\.parameters\[0\] to 3\.0: call"):
            step([1.0])
        return w, step

    w, step = torn()
    step.write_back()
    assert step([1.0])[0] == w.data == 3.0
    w, step = torn()
    step.parameters = [w.data]
    assert step([1.0])[0] == w.data == 4.0


def test_only_one_side_need_change_for_each_parameter():
    w, b = Value(2.0, "w"), Value(1.0, "b")
    step = ts.vectorize(lambda x: w * x + b, [w, b], dtype="float32")
    step([1.0])
    step.parameters[0], b.data = 3.0, 10.0
    assert step([1.0])[0] == 13.0


def test_a_captured_value_that_is_set_is_traced_anew():
    w, k = Value(2.0), Value(3.0)
    calls = []

    def cost(x):
        calls.append(x)
        return w * x * (k * 2.0)

    step = ts.vectorize(cost, [w], check=False)
    assert step([1.0])[0] == 12.0
    Value(5.0).data = 6.0  # of no interest
    assert step([1.0])[0] == 12.0
    assert len(calls) == 1
    k.data = 10.0
    assert step([1.0])[0] == 40.0
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("array", "error", "words"),
    [
        (np.ma.masked_array([1.0, 2.0], [False, True]), TypeError, "masked"),
        (np.array([1.0, 2.0], object), TypeError, "astype"),
        (np.zeros((3, 0)), ValueError, "no numbers for an example"),
    ],
)
def test_arrays_whose_numbers_would_be_guessed_are_refused(array, error, words):
    w = Value(2.0)
    with pytest.raises(error, match=words):
        ts.vectorize(lambda x: w * x, [w])(array)


@pytest.mark.parametrize("check", [True, False])
def test_arrays_that_are_not_aligned_are_read_all_the_same(check):
    records = np.zeros(3, [("f", "i1"), ("x", "<f8")])
    records["x"] = [1.0, 2.0, 3.0]
    w = Value(2.0)
    step = ts.vectorize(lambda x: w * x, [w], check=check)
    for _ in range(2):
        assert step(records["x"])[0] == step.value(records["x"]) == 4.0


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exceptions have no notes")
def test_an_error_in_the_function_says_what_it_was_called_with():
    w = Value(2.0)
    with pytest.raises(TypeError) as caught:
        ts.vectorize(lambda x, y: (w * x[0][0] - y) ** 2, [w])(np.ones((4, 2, 3)), np.ones((4, 1)))
    assert caught.value.__notes__ == [
        "vectorize called the function with a list of 2 lists of 3 Values, a list of 1 Value"
    ]


def test_the_gradient_of_what_has_no_letter_of_the_notes_is_in_the_equations():
    w, b = Value(2.0, "w"), Value(1.0, "b")
    step = ts.vectorize(lambda x, y: (w * x + b - y) ** 2 + 0.1 * (w * w + b * b), [w, b])
    step(X, X)
    left = [equation.latex.partition(" = ")[0] for equation in step.equations.each]
    assert left[-3:] == [r"d\theta", "db", "dw"]
    assert step.equations.each[-2].latex.startswith(r"db = db + \frac{1}{m} ")  # beside the 2 · 0.1 θ of dθ
    assert step.equations.each[-1].latex.startswith(r"dw = dw + \frac{1}{m} ")


def equations_of(cost, params, *arrays, **options):
    step = ts.vectorize(cost, params, **options)
    step(*arrays)
    return [" ".join(equation[:2]) for equation in step.equations.each]


def test_the_equations_of_a_recurrence_say_where_each_part_comes_from():
    w = [[Value(0.1 * (i + j), f"w[{i},{j}]") for j in range(3)] for i in range(2)]
    b = [Value(0.1 * i, f"b[{i}]") for i in range(2)]

    def cost(x):
        s = [0.5, 0.5]
        for t in (0, 1):
            s = [(sum(v * u for v, u in zip(row, [*s, x[t]])) + c).tanh() for row, c in zip(w, b)]
        return s[0] + s[1]

    found = equations_of(cost, [*w[0], *w[1], *b], np.ones((4, 2)))
    assert r"Z^{[1]} = W^{[1]} \mathrm{tanh}_{1} + {\mathrm{product}_{2}}_{0:2} + b^{[1]} 2 \times m" in found
    of_b = r"\sum_{i=1}^{m} \delta^{[1](i)} + \sum_{i=1}^{m} {d\mathrm{sum}_{2}}^{(i)}"
    assert rf"db^{{[1]}} = \frac{{1}}{{m}} \left({of_b}\right) 2 \times 1" in found
    parts = r"\delta^{[1]}\ \mathrm{in\ rows}\ 0:2,\ d\mathrm{sum}_{2}\ \mathrm{in\ rows}\ 2:4"
    assert rf"d\mathrm{{product}}_{{2}} = {parts} 4 \times m" in found


def test_a_convolution_is_a_product_with_the_windows_side_by_side():
    w = [Value(0.1 * i, f"w[{i}]") for i in range(3)]
    found = equations_of(
        lambda x: sum(sum(v * x[t + i] for i, v in enumerate(w)).tanh() for t in range(6)), w, np.ones((4, 8))
    )
    assert found[0] == r"Z^{[1]} = W^{[1]} \left[{X}_{0:3}\ {X}_{1:4}\ {X}_{2:5}\ \cdots\right] 1 \times 6m"


def test_the_gradients_of_the_inputs_are_those_of_the_cost():
    net = ts.MLP(2, [3, 1], seed=0)
    found = equations_of(
        lambda x, y: ts.squared_error(net(x), [y]), net.parameters(), np.ones((3, 2)), X, wrt_inputs=True
    )
    assert found[-3:] == [
        r"dA^{[0]} = W^{[1]T} \delta^{[1]} 2 \times m",
        r"\frac{\partial C}{\partial A^{[0]}} = \frac{1}{m} dA^{[0]} 2 \times m",
        r"\frac{\partial C}{\partial Y} = \frac{1}{m} \left(-dA^{[2]}\right) 1 \times m",
    ]


def test_write_back_keeps_what_another_value_was_set_to():
    w, b = Value(2.0, "w"), Value(1.0, "b")
    step = ts.vectorize(lambda x: w * x + b, [w, b])
    step.parameters[0], b.data = 3.0, 10.0
    step.write_back()
    assert (w.data, b.data, step.parameters.tolist()) == (3.0, 10.0, [3.0, 10.0])

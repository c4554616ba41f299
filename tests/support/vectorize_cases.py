"""Functions of one example to vectorize, on which several test files run: networks, physics, statistics, lookups.

A case makes a function, its parameters and arrays of examples from a random generator.
"""

import math

import numpy as np

import tinygrad_scalar as ts
from support import derivative_cases
from tinygrad_scalar import Value


def flat(nested):
    return [nested] if isinstance(nested, Value) else [value for part in nested for value in flat(part)]


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


CASES = {**derivative_cases.CASES}


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
    width, heads, T, V = 4, 2, 4, 5
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
        for _ in range(3):
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

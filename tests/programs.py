"""Generators and oracles that several test files share: random programs, and numbers to compare with.

A program is a list of steps; each step makes a number from two earlier ones (one number may be used many times, and
with itself) and a constant. Every step maps [−2, 2] into itself and is smooth there, so that any program of any length
stays clear of poles, kinks and overflow.
"""

import inspect

import numpy as np
import pytest
from hypothesis import strategies as st

import tinygrad_scalar as ts
from tinygrad_scalar import Value, functions, topological_order
from tinygrad_scalar.vectorize.trace import example_arguments

# f: the library; x, y: earlier numbers; c: a constant; all from [−2, 2]
STEPS = [
    lambda f, x, y, c: (x + y) * 0.5,
    lambda f, x, y, c: (x + c) / 2,
    lambda f, x, y, c: (c + x) / 2.0,
    lambda f, x, y, c: 0.5 * (x - y),
    lambda f, x, y, c: (x - c) / 2,
    lambda f, x, y, c: (c - x) / 2,
    lambda f, x, y, c: (x * y) / 2,
    lambda f, x, y, c: 0.5 * (x * c),
    lambda f, x, y, c: 0.5 * (c * x),
    lambda f, x, y, c: x / (y + 3.0),
    lambda f, x, y, c: x / (c + 3),
    lambda f, x, y, c: c / (3 - x),
    lambda f, x, y, c: -x,
    lambda f, x, y, c: x**2 / 2,
    lambda f, x, y, c: x**3 * 0.25,
    lambda f, x, y, c: (x + 3) ** -1,
    lambda f, x, y, c: (x + 3) ** -2,
    lambda f, x, y, c: (x + 2.5) ** 0.5 - 1.0,
    lambda f, x, y, c: (x + 3.0) ** (y / 4) / 1.2,
    lambda f, x, y, c: (c + 3.0) ** (x / 4) / 1.2,
    lambda f, x, y, c: (x + 3.0) ** (c / 4) / 1.2,
    lambda f, x, y, c: abs(x + 3) - 3,
    lambda f, x, y, c: f.abs(x - 3.0) - 3.0,
    lambda f, x, y, c: f.exp(x / 3),
    lambda f, x, y, c: f.expm1(x * 0.5),
    lambda f, x, y, c: f.log(x + 3.0),
    lambda f, x, y, c: f.log1p(x + 2.5),
    lambda f, x, y, c: f.sqrt(x + 2.5) - 0.5,
    lambda f, x, y, c: f.sin(x),
    lambda f, x, y, c: f.cos(x),
    lambda f, x, y, c: f.tan(x * 0.5),
    lambda f, x, y, c: f.asin(x * 0.4),
    lambda f, x, y, c: f.acos(x * 0.2),
    lambda f, x, y, c: f.atan(x),
    lambda f, x, y, c: f.sinh(x * 0.7),
    lambda f, x, y, c: f.cosh(x * 0.6),
    lambda f, x, y, c: f.tanh(x),
    lambda f, x, y, c: f.asinh(x),
    lambda f, x, y, c: f.acosh(x + 3.5) - 1.0,
    lambda f, x, y, c: f.atanh(x * 0.4),
    lambda f, x, y, c: f.sigmoid(x * 3.0),
    lambda f, x, y, c: f.softplus(x) - 0.2,
    lambda f, x, y, c: f.relu(x + 2.5) * 0.4,
    lambda f, x, y, c: f.relu(x - 2.5) + y,
    lambda f, x, y, c: f.leaky_relu(x - 2.5, 0.1) + 0.5,
    lambda f, x, y, c: f.maximum(x, y - 4.5),
    lambda f, x, y, c: f.minimum(x - 4.5, y) + 4.5,
    lambda f, x, y, c: f.logaddexp(x, y) / 2,
    lambda f, x, y, c: f.where(x + 2.5, y, x),
    lambda f, x, y, c: f.log2(x + 3.0) - 0.5,
    lambda f, x, y, c: f.log10(x + 3.0),
    lambda f, x, y, c: f.exp2(x) / 2,
    lambda f, x, y, c: f.cbrt(x + 3.0),
    lambda f, x, y, c: f.atan2(x, y + 3.0),
    lambda f, x, y, c: f.hypot(x, y + 3.0) / 3,
    lambda f, x, y, c: f.xlogy(x, y + 3.0) / 2,
    lambda f, x, y, c: f.gelu(x),
    lambda f, x, y, c: f.silu(x),
    lambda f, x, y, c: f.mish(x),
    lambda f, x, y, c: f.softsign(x + 2.5),
    lambda f, x, y, c: f.softsign(x - 2.5) + 0.5,
    lambda f, x, y, c: f.elu(x - 2.5) + 1.0,
    lambda f, x, y, c: f.elu(x + 2.5) - 2.5,
    lambda f, x, y, c: f.selu(x - 2.5) + 1.0,
    lambda f, x, y, c: f.selu(x + 2.5) * 0.4,
    lambda f, x, y, c: f.hardtanh(x * 0.4),
    lambda f, x, y, c: f.mean([x, y, c]),
    lambda f, x, y, c: f.dot([x, y], [y, c]) / 4,
    lambda f, x, y, c: f.norm([x, y, 1.0]) / 2,
    lambda f, x, y, c: f.logsumexp([x, y, c]) / 2,
    lambda f, x, y, c: f.softmax([x, c, y])[0],
]
NUMBER = st.floats(-2, 2, allow_subnormal=False)
PLACE = st.integers(0, 50)
PROGRAM = st.lists(st.tuples(st.sampled_from(STEPS), PLACE, PLACE, NUMBER), min_size=1, max_size=25)
LEAVES = st.lists(NUMBER, min_size=1, max_size=4)

# the public functions of one and of two numbers
_PARAMETERS = {
    name: len(inspect.signature(getattr(functions, name)).parameters)
    for name in functions.__all__
    if name not in ("leaky_relu", "lookup")
}
UNARY = [name for name, count in _PARAMETERS.items() if count == 1]
BINARY = [name for name, count in _PARAMETERS.items() if count == 2]


def numbers_of(program, library, leaves):
    """All the numbers that the program makes with the functions of `library`, beginning with the leaves."""
    numbers = list(leaves)
    for step, i, j, constant in program:
        numbers.append(step(library, numbers[-1 - i % len(numbers)], numbers[-1 - j % len(numbers)], constant))
    return numbers


def result_of(program, library, leaves):
    """The sum of the last three numbers, so that most of the program counts."""
    return sum(numbers_of(program, library, leaves)[-3:])


def path_sums(root):
    """Σ over paths |∏ local gradients|, the size of the terms that add up to each node's gradient.

    Where terms cancel, the sum has fewer correct digits than they have, in any library; compare relative to this.
    """
    sums = {root: 1.0}
    for node in reversed(topological_order(root)):
        for operand, local_grad in zip(node.operands, node.local_grads):
            sums[operand] = sums.get(operand, 0.0) + abs(local_grad) * sums[node]
    return sums


def by_the_engine(cost, params, arrays):
    """The mean cost over the examples, its gradient and, for each parameter, the size of the terms of its gradient."""
    m = len(arrays[0])
    total, gradient, sizes = 0.0, np.zeros(len(params)), np.zeros(len(params))
    for i in range(m):
        for p in params:
            p.grad = 0.0
        C = cost(*example_arguments(arrays, i))
        C.backward(1.0 / m)
        total += C.data / m
        size = path_sums(C)
        gradient += [p.grad for p in params]
        sizes += [size.get(p, 0.0) / m for p in params]
    return total, gradient, sizes


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


def by_every_way(run, arrays):
    """The results of the array program, the scalar program and the NumPy source, whichever the call would choose."""
    program, rows = run._prepared(arrays)
    source = program.write_arrays().run_source(run.parameters, rows, True, program.guards)
    ways = list(program.by_every_way(run.parameters, rows))
    assert len(ways) == (2 if ts.accelerated else 1)
    return [*ways, source[:2]]


def assert_equal_to_the_engine(cost, params, arrays, **options):
    run = ts.vectorize(cost, params, **options)
    value, gradient = run(*arrays)
    assert run.value(*arrays) == value
    expected, by_engine, sizes = by_the_engine(cost, params, arrays)
    for ours, our_gradient in [(value, gradient), *by_every_way(run, arrays)]:
        assert ours == pytest.approx(expected, rel=1e-12, abs=1e-12)
        assert our_gradient.shape == (len(params),)
        subnormal = 1e-320  # whose rounding is not relative
        assert (np.abs(our_gradient - by_engine) <= 1e-12 * np.maximum(sizes, np.abs(by_engine)) + subnormal).all()

"""Derivatives that are the same in every example come from every example: nothing but sums and factors."""

import random

import numpy as np
import pytest
from hypothesis import given, strategies as st

import tinygrad_scalar as ts
from tinygrad_scalar import Value

CASES = {
    "parameters and arguments summed": lambda w, x: (w[0] + x) / 2.0 + (w[1] + w[2] + x + x + x) / 40.0,
    "a parameter in both": lambda w, x: (w[0] + x) / 2.0 + (sum(w) + x + x) / 40.0,
    "parameters alone too": lambda w, x: sum([(w[0] + x) / 2.0, (sum(w) + 3.0 * x) / 4.0, w[0], w[2]]),
    "largest": lambda w, x: ts.max([w[0] - x, w[1] - 9.0, w[1] + w[2]]) + (w[0] + w[1] + w[2] + x) / 3.0,
    "condition": lambda w, x: ts.where(ts.greater(x, 0.5), w[0] + w[1] + x, w[2] + x + x) / 2.0 + (sum(w) - x) / 3.0,
}


def require_the_engines(cost, w, X, way):
    """Of means and sums, and of each example."""
    by_engine = []
    for x in X:
        for p in w:
            p.grad = 0.0
        cost(w, Value(float(x))).backward()
        by_engine.append([p.grad for p in w])
    expected = np.array(by_engine)
    for reduce, gradient in (("mean", expected.mean(0)), ("sum", expected.sum(0)), (None, expected)):
        run = ts.vectorize(lambda x: cost(w, x), w, reduce=reduce, way=way)
        np.testing.assert_allclose(run(X)[1], gradient, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("m", [1, 2, 9, 300])
@pytest.mark.parametrize("name", CASES)
def test_what_is_the_same_in_every_example_counts_in_each(name, m):
    require_the_engines(CASES[name], [Value(0.3), Value(0.5), Value(0.9)], np.linspace(0.1, 0.9, m), "arrays")


@st.composite
def linear(draw):
    """Levels of sums, means and multiples of parameters, arguments and what is before them."""
    seed, width, levels = draw(st.integers(0, 10**6)), draw(st.integers(1, 6)), draw(st.integers(1, 5))
    kinds = draw(st.lists(st.sampled_from(["sum", "mean", "multiple", "minus"]), min_size=1, max_size=3))
    w = [Value(0.3 + 0.1 * k) for k in range(draw(st.integers(1, 5)))]

    def cost(w, x):
        choose, made = random.Random(seed), [*w, x]
        for _ in range(levels):
            kind, level = choose.choice(kinds), []
            for _ in range(width):
                of = choose.choices([*w, x, *made[-2 * width :]], k=choose.randint(2, 5))
                factor = round(choose.uniform(0.5, 2.0), 2)
                total = of[0] - of[1] if kind == "minus" else of[0] * factor if kind == "multiple" else sum(of)
                level.append(total / len(of) if kind == "mean" else total)
            made += level
        return sum(made[-width:])

    return cost, w


@given(linear(), st.sampled_from([1, 5, 24]))
def test_any_linear_program_is_the_engines(program, m):
    cost, w = program
    for way in ("arrays", "auto"):
        require_the_engines(cost, w, np.linspace(0.1, 0.9, m), way)

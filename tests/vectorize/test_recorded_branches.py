"""A gradient recorded through ts.cond is that of the side each example takes; nothing leaks from the other one."""

import numpy as np
import pytest

import tinygrad_scalar as ts

EXAMPLES = np.array([0.0, -1.5, 2.0, -0.0, 0.5])
# functions of a number and a parameter, whose other side is infinitely steep or nan somewhere in EXAMPLES
FUNCTIONS = {
    "log at 0": lambda x, w: ts.cond(ts.greater(x, 0.0), lambda: w * ts.log(x), lambda: w * x * x),
    "steep in a parameter": lambda x, w: ts.cond(ts.greater(x, 0.0), lambda: ts.log(x * w), lambda: w**3),
    "parameter on one side": lambda x, w: ts.cond(ts.greater(x, 0.0), lambda: w / x, lambda: x * 2.0) * x,
    "both sides steep": lambda x, w: ts.cond(ts.greater_equal(x, 0.0), lambda: ts.exp(w * x), lambda: ts.log(-x) * w),
    "shared from before": lambda x, w: (
        lambda root: ts.cond(ts.greater(x, 0.0), lambda: root * w, lambda: x * w) + ts.cond(
            ts.greater(x, 0.0), lambda: root + w, lambda: x**3
        )
    )(ts.sqrt(x)),
    "one inside the other": lambda x, w: ts.cond(
        ts.greater(x, 0.0),
        lambda: ts.cond(ts.greater(x, 1.0), lambda: ts.log(x - 1.0) * w, lambda: ts.log(x) * w * w),
        lambda: ts.sin(w * x),
    ),
    "the same on both sides": lambda x, w: ts.cond(
        ts.greater(x, 0.0), lambda: (x * w).exp() + ts.sqrt(x), lambda: (x * w).exp() * 2.0
    ),
    "lists": lambda x, w: (
        lambda pair: pair[0] * pair[1]
    )(ts.cond(ts.greater(x, 0.0), lambda: [ts.log(x), w], lambda: [x + w, x * x])),
}  # fmt: skip
DERIVATIVES = {
    "by the input": lambda f, x, w: ts.gradient(f(x, w), x),
    "by the parameter": lambda f, x, w: ts.gradient(f(x, w), w),
    "twice by the input": lambda f, x, w: ts.grad(ts.grad(f))(x, w),
    "by the input, then the parameter": lambda f, x, w: ts.gradient(ts.gradient(f(x, w), x), w),
    "three times": lambda f, x, w: ts.gradient(ts.gradient(ts.gradient(f(x, w), x), w), x),
    "forwards": lambda f, x, w: ts.jvp(lambda x: f(x, w), (x,), (1.0,))[1],
    "forwards over backwards": lambda f, x, w: ts.jvp(lambda x: ts.gradient(f(x, w), w), (x,), (1.0,))[1],
}


@pytest.mark.parametrize("derivative", DERIVATIVES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_derivative_through_a_condition_is_that_of_the_side_taken(name, derivative):
    w = ts.Value(0.75, "w")

    def cost(x):
        return DERIVATIVES[derivative](FUNCTIONS[name], x, w)

    run = ts.vectorize(cost, [w])
    values = [cost(ts.Value(number)).data for number in EXAMPLES]
    slopes = [_gradient_of(cost, w, number) for number in EXAMPLES]
    assert np.isfinite(values).all()
    assert np.isfinite(slopes).all()
    np.testing.assert_allclose(run.values(EXAMPLES), values, rtol=1e-12)
    np.testing.assert_allclose(run(EXAMPLES)[1], [np.mean(slopes)], rtol=1e-11, atol=1e-15)


def _gradient_of(cost, w, number):
    w.grad = 0.0
    cost(ts.Value(number)).backward()
    return w.grad

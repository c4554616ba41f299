"""Derivatives inside derivatives: each sees only its own variable, in all four nestings of forward and reverse."""

import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import Value


def forward(f, x):
    return ts.jvp(f, (x,), (1.0,))[1]


def reverse(f, x):
    return ts.grad(f)(x)


def pulled(f, x):
    _, pullback = ts.vjp(f, x)
    return pullback(1.0)[0]


MODES = {"forward": forward, "reverse": reverse, "pullback": pulled, "jacobian": lambda f, x: ts.jacobian(f)(x)}
NESTINGS = [pytest.param(a, b, id=f"{m} over {n}") for m, a in MODES.items() for n, b in MODES.items()]

# each: a function of (outer D, inner D, x), x, and its value
CASES = {
    "d/dx x·d/dy (x + y) = 1": (lambda D, d, x: D(lambda x: x * d(lambda y: x + y, 1.0), x), 2.0, 1.0),
    "at y = x": (lambda D, d, x: D(lambda x: x * d(lambda y: x + y, x), x), 2.0, 1.0),
    "d/dx x·d/dy xy": (lambda D, d, x: D(lambda x: x * d(lambda y: x * y, 1.0), x), 3.0, 6.0),
    "d/dx x·d/dy xy² at y = x": (lambda D, d, x: D(lambda x: x * d(lambda y: x * y**2, x), x), 2.0, 24.0),
    "the inner ignores its own": (lambda D, d, x: D(lambda x: d(lambda y: x * x + 0 * y, 5.0) + x, x), 2.0, 1.0),
    "the inner's value is not its slope": (lambda D, d, x: D(lambda x: d(lambda y: x * x * y, 7.0), x), 3.0, 6.0),
    "one variable, twice": (lambda D, d, x: D(lambda x: d(lambda x: x**3, x), x), 2.0, 12.0),
    "the same name inside": (lambda D, d, x: D(lambda x: x * d(lambda x: x * x, x), x), 3.0, 12.0),
    "at a computed point": (lambda D, d, x: D(lambda x: d(lambda y: y**3, x * x), x), 2.0, 6 * 4.0 * 4.0),
    "beside the outer": (lambda D, d, x: D(lambda x: d(lambda y: ts.sin(x * y), 0.0) * x, x), 3.0, 6.0),
    "two inner ones": (
        lambda D, d, x: D(lambda x: d(lambda y: x * y * y, x) * d(lambda z: x + z * x, 2.0), x), 2.0, 24.0
    ),  # 2x²·x
    "within a condition": (
        lambda D, d, x: D(lambda x: ts.where(ts.greater(d(lambda y: x * y, 1.0), 0), x * x, -x), x), 2.0, 4.0
    ),
    "of a maximum": (lambda D, d, x: D(lambda x: d(lambda y: ts.maximum(x * y, y * y), 1.0), x), 3.0, 1.0),
}  # fmt: skip


@pytest.mark.parametrize(("outer", "inner"), NESTINGS)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("kind", [float, Value])
def test_a_derivative_sees_only_its_own_variable(case, outer, inner, kind):
    nested, x, expected = case
    found = nested(outer, inner, kind(x))
    assert isinstance(found, kind)
    assert getattr(found, "data", found) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("first", MODES.values(), ids=MODES)
def test_three_levels(first):
    # ∂³(x y² z³)/∂x∂y∂z = 6yz², each by a mode of its own
    def found(second, third):
        return first(lambda x: second(lambda y: third(lambda z: x * y**2 * z**3, 3.0), 2.0), 5.0)

    for second in (forward, reverse):
        for third in (forward, reverse):
            assert found(second, third) == pytest.approx(2 * 2 * 3 * 9, rel=1e-15)


def test_a_function_from_inside_can_be_used_outside():
    # the inner derivative returns a function that still refers to its variable
    def f(x):
        _, pullback = ts.vjp(lambda y: x * y * y, 3.0)
        return pullback(x)[0]  # 2·x·3·x

    assert ts.grad(f)(5.0) == 60.0


def test_directions_can_depend_on_the_outer_variable():
    assert ts.grad(lambda x: ts.jvp(lambda y: y * y, (3.0,), (x,))[1])(5.0) == 6.0
    assert ts.grad(lambda x: ts.hvp(lambda y: y**3, 3.0, x))(5.0) == 18.0
    assert ts.grad(lambda x: ts.hvp(lambda y: y**3 * x, x, 1.0))(5.0) == 60.0  # 6x·x


@pytest.mark.parametrize("inner", MODES.values(), ids=MODES)
@pytest.mark.parametrize("order", range(1, 7))
def test_derivatives_of_any_order(inner, order):
    f = lambda x: ts.exp(2.0 * x)  # noqa: E731
    for _ in range(order):
        f = lambda x, f=f: inner(f, x)  # noqa: E731
    assert f(0.25) == pytest.approx(2.0**order * 2.718281828459045**0.5, rel=1e-13)


def test_particle_and_saddle_need_no_workaround():
    def descend(f, x, rate, steps):
        for _ in range(steps):
            x = [x_i - rate * slope for x_i, slope in zip(x, ts.grad(f)(x))]
        return x

    def after_best_response(x):  # min over y of y² − 2·x·y stands at y = x: there the function is x² + (x − 1)²
        (y,) = descend(lambda y: y[0] ** 2 - 2.0 * x[0] * y[0], [0.0], 0.4, 15)
        return y**2 + (y - 1.0) ** 2

    assert descend(after_best_response, [3.0], 0.2, 15) == pytest.approx([0.5], rel=1e-9)


def test_training_through_a_derivative_inside():
    """A network of the slope of its output: the gradient of (∂u/∂x)² by a weight, against a nudge."""
    net = ts.MLP(1, [3, 1], activation="tanh", seed=0)

    def cost():
        return (ts.grad(lambda x: net([x]))(0.3) - 1.0) ** 2

    C = cost()
    C.backward()
    for w in net.parameters():
        if w.label.startswith("w"):
            h, at = 1e-6, w.data
            w.data = at + h
            above = cost().data
            w.data = at - h
            below = cost().data
            w.data = at
            assert w.grad == pytest.approx((above - below) / (2 * h), rel=1e-6, abs=1e-8)

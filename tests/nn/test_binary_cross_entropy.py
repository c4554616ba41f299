"""Binary cross-entropy after a sigmoid: its cost and its slope σ(z) − y to the last digits, however saturated."""

import mpmath
import numpy as np
import pytest
from hypothesis import example, given, strategies as st
from programs import by_every_way

import tinygrad_scalar as ts
from tinygrad_scalar import MLP, Value

EPSILON = 2.0**-52
Z = st.floats(-2000, 2000)
TARGETS = st.one_of(st.sampled_from([0, 1, 0.0, 1.0, 0.5]), st.floats(0, 1))
PROBABILITIES = {"σ(z)": lambda z: z.sigmoid(), "1 − σ(−z)": lambda z: 1 - (-z).sigmoid()}
BY_HAND = {
    "1/(1 + e⁻ᶻ)": lambda z: 1 / (1 + (-z).exp()),
    "(e⁻ᶻ + 1)⁻¹": lambda z: ((-z).exp() + 1) ** -1,
    "1 − 1/(1 + eᶻ)": lambda z: 1.0 - 1.0 / (1.0 + ts.exp(z)),
}
SURE = [(z, y) for z in (40.0, -40.0, 360.0, -720.0, 800.0, -800.0, 36.9, 1e300) for y in (0, 1, 0.25)]


def exact(z, y):
    """The loss, its slope in z, and the size of the terms that make that slope, to sixty digits."""
    with mpmath.workdps(60):
        z, y = mpmath.mpf(max(-1e5, min(1e5, z))), mpmath.mpf(y)
        on, off = 1 / (1 + mpmath.exp(-z)), 1 / (1 + mpmath.exp(z))
        loss = y * mpmath.log1p(mpmath.exp(-z)) + (1 - y) * mpmath.log1p(mpmath.exp(z))
        return loss, (1 - y) * on - y * off, max((1 - y) * on, y * off)


def require_exact(loss, slope, z, y):
    expected, expected_slope, terms = exact(z, y)
    if abs(z) <= 1e5:
        assert abs(loss - expected) <= 4 * EPSILON * expected + 1e-320
    assert abs(slope - expected_slope) <= 4 * EPSILON * terms + 1e-320


@pytest.mark.parametrize("probability", PROBABILITIES.values(), ids=PROBABILITIES)
@given(Z, TARGETS)
@example(0.0, 0)
@example(0.0, 1)
@example(355.0, 1)
@example(-720.0, 0)
@example(1e300, 0)
@example(-1e300, 1)
def test_the_slope_of_binary_cross_entropy_in_z_is_sigma_minus_y_to_the_last_digits(probability, number, y):
    z = Value(number)
    loss = ts.binary_cross_entropy(probability(z), y)
    loss.backward()
    require_exact(loss.data, z.grad, number, y)


@pytest.mark.parametrize("probability", BY_HAND.values(), ids=BY_HAND)
@given(st.floats(-700, 700), TARGETS)
def test_a_sigmoid_written_by_hand_has_the_slope_sigma_minus_y_too(probability, number, y):
    z = Value(number)
    loss = ts.binary_cross_entropy(probability(z), y)
    loss.backward()
    expected, slope, terms = exact(number, y)
    assert abs(loss.data - expected) <= 4 * EPSILON * expected + 1e-320
    assert abs(z.grad - slope) <= 1e-14 * terms + 1e-320


@pytest.mark.parametrize("probability", PROBABILITIES.values(), ids=PROBABILITIES)
@pytest.mark.parametrize(("number", "y"), SURE)
def test_both_programs_give_the_slope_sigma_minus_y_too(probability, number, y):
    z = Value(number)
    run = ts.vectorize(lambda y: ts.binary_cross_entropy(probability(z), y), [z])
    for loss, gradient in by_every_way(run, [np.array([float(y)])]):
        require_exact(loss, gradient[0], number, y)


@pytest.mark.parametrize("one", [Value(1.0), Value(1.0, "w")])
def test_one_minus_sigmoid_is_recognised_where_one_is_a_plain_number_alone(one):
    z = Value(0.5)
    run = ts.vectorize(lambda y: ts.binary_cross_entropy(one - z.sigmoid(), y), [one, z])
    run(np.array([1.0, 0.0]))
    one.data = 0.75
    ts.cost("binary_cross_entropy", [one - z.sigmoid()] * 2, [1.0, 0.0]).backward()
    _, gradient = run(np.array([1.0, 0.0]))
    assert gradient == pytest.approx([one.grad, z.grad], rel=1e-12)


def test_an_argument_that_a_sigmoid_is_taken_from_is_not_read():
    w = Value(-2.0)
    run = ts.vectorize(lambda x, y: ts.binary_cross_entropy(x - w.sigmoid(), y), [w])
    value, _ = run(np.array([1.0, 0.5]), np.array([1.0, 0.0]))
    expected = ts.cost("binary_cross_entropy", [x - w.sigmoid() for x in (1.0, 0.5)], [1.0, 0.0])
    assert value == pytest.approx(expected.data, rel=1e-15)


@given(st.lists(st.tuples(Z, TARGETS), min_size=1, max_size=5))
def test_each_output_and_each_example_of_a_mean_has_the_slope_sigma_minus_y(pairs):
    outputs, targets = [Value(z) for z, _ in pairs], [y for _, y in pairs]
    probabilities = [z.sigmoid() for z in outputs]
    ts.cost(ts.binary_cross_entropy, [probabilities, probabilities], [targets, targets]).backward()
    for z, y in zip(outputs, targets):
        _, slope, terms = exact(z.data, y)
        assert abs(z.grad - slope) <= 8 * EPSILON * terms + 1e-320


@given(Z, st.floats(0, 1))
def test_the_slope_of_binary_cross_entropy_in_its_target_is_minus_z(number, target):
    y = Value(target)
    ts.binary_cross_entropy(Value(number).sigmoid(), y).backward()
    assert y.grad == pytest.approx(-number, rel=1e-14, abs=1e-15)


def test_the_loss_of_a_sigmoid_follows_its_z_in_forward():
    z = Value(40.0)
    loss = ts.binary_cross_entropy(z.sigmoid(), 0)
    z.data = -2.0
    loss.forward()
    assert loss.data == ts.softplus(-2.0)


@pytest.mark.parametrize("probability", PROBABILITIES.values(), ids=PROBABILITIES)
@given(st.floats(-354, 354), TARGETS)
def test_the_slope_in_the_probability_has_all_its_digits_too(probability, number, y):
    z = Value(number)
    a = probability(z)
    ts.binary_cross_entropy(a, y).backward()
    with mpmath.workdps(400):
        on, off = 1 + mpmath.exp(-mpmath.mpf(number)), 1 + mpmath.exp(mpmath.mpf(number))  # 1/a and 1/(1 − a)
        terms = (1 - mpmath.mpf(y)) * off, mpmath.mpf(y) * on
        assert abs(a.grad - (terms[0] - terms[1])) <= 4 * EPSILON * max(terms)


@pytest.mark.parametrize(("z", "y", "loss"), [(np.inf, 1, 0.0), (-np.inf, 0, 0.0), (np.inf, 0, np.inf)])
def test_an_infinite_z_on_the_right_side_costs_nothing(z, y, loss):
    z = Value(z)
    run = ts.vectorize(lambda y: ts.binary_cross_entropy(z.sigmoid(), y), [z], check=False)
    C = ts.binary_cross_entropy(z.sigmoid(), y)
    C.backward()
    assert (C.data, z.grad) == (loss, z.sigmoid().data - y)
    for value, gradient in by_every_way(run, [np.array([float(y)])]):
        assert (value, *gradient) == (C.data, z.grad)


@pytest.mark.parametrize("number", [0.3, -20.0, 40.0, 300.0, 400.0])
def test_readers_show_the_notes_chain_from_the_loss_to_z(number):
    """dC/dz = ∂C/∂a · σ′(z): the second way from z to the loss is left out while nothing goes through it."""
    z = Value(number, "z")
    a = z.sigmoid()
    a.label = "a"
    C = ts.binary_cross_entropy(a, 0)
    C.label = "C"
    direct = abs(number) > 354.0
    assert ("(direct)" in str(ts.explain(C, z))) == direct
    steps = [step for step in ts.step(C) if step.phase == "backward"]
    assert [len(step.contributions) for step in steps] == [0, 2 + direct, 1]
    assert all(step.contributions[-1].complete for step in steps[1:])
    assert z.grad == pytest.approx(a.data, rel=1e-15)
    check = ts.check_gradients(C, z)
    assert [row.verdict.word for row in check.rows] == ["agrees"]
    assert ts.draw(C).source.count(f"v{0} ->") == 1 + direct


@pytest.mark.parametrize("probability", [*PROBABILITIES.values(), *BY_HAND.values()], ids=[*PROBABILITIES, *BY_HAND])
@pytest.mark.parametrize("number", [40.0, -40.0, 300.0, -300.0])
def test_a_check_does_not_count_the_rounding_of_what_z_keeps(probability, number):
    w = Value(number, "w")
    check = ts.check_gradients(ts.binary_cross_entropy([probability(w * x) for x in (1.0, 0.9)], [0.1, 0.1]))
    assert [row.verdict.word for row in check.rows] == ["agrees"]


@pytest.mark.parametrize("vectorized", [True, False])
@pytest.mark.parametrize(("bias", "y"), [(40.0, 0), (-40.0, 1), (800.0, 0), (-800.0, 1)])
def test_fit_gets_a_sigmoid_off_its_wrong_end(bias, y, vectorized):
    net = MLP(1, [1], seed=0)
    net.layers[0].neurons[0].b.data = bias
    history = ts.fit(
        net, [0.5, 1.0], [y, y], loss="binary_cross_entropy", epochs=50, progress=False, vectorized=vectorized
    )
    assert all(after < before for before, after in zip(history.cost, history.cost[1:]))

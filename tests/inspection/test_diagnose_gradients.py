"""diagnose: gradients that vanish, explode or were not cleared."""

import math

import pytest
from hypothesis import assume, given, strategies as st

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine.ops import OPERATIONS
from tinygrad_scalar.functions import relu, sigmoid
from tinygrad_scalar.inspection.diagnose import CAUSES, EXPLODING, SATURATED, VANISHING, diagnose

inf, nan = math.inf, math.nan
STEEPEST = {name: row.steepest for name, row in OPERATIONS.items() if row.steepest is not None}
ACTIVATIONS = {name: getattr(ts, name) for name in STEEPEST}


def _cost(net, x=(0.5, -1.0), y=(0.0, 1.0)):
    return ts.squared_error(net(list(x)), list(y))


def _net(activation="tanh", scale=1.0, layers=(3, 2)):
    net = ts.MLP(2, list(layers), activation, seed=0)
    for parameter in net.parameters():
        parameter.data *= scale
    return net


def _names(rows):
    return [row.name for row in rows]


# --- vanishing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "z"), [("sigmoid", 40.0), ("tanh", -20.0), ("relu", -1.0), ("softplus", -40.0), ("erf", 6.0)]
)
def test_a_gradient_vanishes_through_a_flat_activation(name, z):
    w = Value(z)
    y = ACTIVATIONS[name](w)
    d = diagnose(y + 1.0)
    assert not d.ok
    assert _names(d.vanishing) == ["w"]
    (flat,) = d.saturated
    assert (flat.name, flat.slope, flat.blocks) == ("y", y.local_grads[0], True)
    assert f"through 1 flat activation: {flat.equation} with slope" in d.text


def test_every_activation_of_the_table_has_its_steepest_slope():
    for name, steepest in STEEPEST.items():
        center, step = 0.0, 1 / 8
        for _ in range(3):  # ever closer to the steepest place
            places = [center + i * step for i in range(-400, 401)]
            slopes = [ACTIVATIONS[name](Value(z)).local_grads[0] for z in places]
            center, step = places[slopes.index(max(slopes))], step / 100
        assert max(slopes) == pytest.approx(steepest)


@given(st.sampled_from(sorted(STEEPEST)), st.floats(-50, 50))
def test_an_activation_is_flat_below_a_part_of_its_steepest_slope(name, z):
    y = ACTIVATIONS[name](Value(z, "z"))
    slope = y.local_grads[0]
    d = diagnose(y)
    assert len(d.saturated) == (abs(slope) <= SATURATED * STEEPEST[name])
    assert len(d.vanishing) == (abs(slope) <= VANISHING)


@pytest.mark.parametrize(("z", "flat"), [(6.8, 0), (8.2, 0), (8.4, 1)])  # σ′ = 1.1e-3, 2.7e-4, 2.2e-4
def test_a_sigmoid_is_flat_at_a_thousandth_of_a_quarter(z, flat):
    assert len(diagnose(sigmoid(Value(z, "z"))).saturated) == flat


@pytest.mark.parametrize(
    ("small", "large", "vanishing"),
    [(1e-7, 1.0, ["w"]), (1e-5, 1.0, []), (1e-7, 1e-3, []), (1e-10, 1e-3, ["w"]), (1e-3, 1e4, [])],
)
def test_a_gradient_vanishes_beside_the_others_or_beside_1(small, large, vanishing):
    v, w = Value(1.0), Value(1.0)
    assert _names(diagnose(v * large + w * small).vanishing) == vanishing


def test_a_flat_activation_is_no_harm_as_long_as_nothing_vanishes_through_it():
    w = Value(-1.0)
    d = diagnose(relu(w) + relu(-w))
    assert d.ok
    assert [flat.blocks for flat in d.saturated] == [False]
    assert "There is 1 flat activation, through which nothing vanishes." in d.text


def test_only_the_flat_activations_above_what_vanishes_are_blamed():
    v, w = Value(30.0), Value(-1.0)
    y = sigmoid(v) + relu(w) + relu(-w)
    d = diagnose(y)
    assert _names(d.vanishing) == ["v"]
    assert [flat.equation for flat in d.saturated if flat.blocks] == ["σ(v)"]


def test_a_dead_relu_is_called_dead_and_counted_by_layer():
    net = ts.MLP(2, [3, 1], "relu", "linear", seed=0)
    dead = net.layers[0].neurons[1]
    for neuron in net.layers[0].neurons:
        neuron.b.data = 9.0
    dead.b.data = -9.0
    C = ts.cost(ts.squared_error, [net([x, 1.0]) for x in (0.1, 0.2, 0.3)], [0.0, 0.0, 0.0])
    d = diagnose(C)
    assert sorted(_names(d.vanishing)) == ["b(1)[1]", "w(1)[1,0]", "w(1)[1,1]"]
    assert "3 of 9 in layer 1" in d.text
    assert "3 flat activations (3 in layer 1): a⁽¹⁾₁ = relu(z⁽¹⁾₁) with slope 0 (dead) (3 times)." in d.text


def test_a_relu_that_is_flat_for_some_examples_is_not_dead():
    net = ts.MLP(1, [2, 1], "relu", "linear", seed=0)
    for neuron, (w, bias) in zip(net.layers[0].neurons, [(1.0, 0.0), (-1.0, -9.0)]):
        neuron.w[0].data, neuron.b.data = w, bias
    d = diagnose(ts.cost(ts.squared_error, [net(x) for x in (-1.0, 2.0)], [5.0, 5.0]))
    assert {(flat.name, flat.dead) for flat in d.saturated} == {("a(1)[0]", False), ("a(1)[1]", True)}
    assert {"w(1)[1,0]", "b(1)[1]"} <= set(_names(d.vanishing))
    assert "w(1)[0,0]" not in _names(d.vanishing)
    assert "slope 0 (dead)" in d.text


def test_deep_sigmoids_vanish_although_none_is_flat():
    d = diagnose(_cost(_net("sigmoid", layers=[2] * 16)))
    assert {"w(1)[0,0]", "w(1)[1,1]"} <= set(_names(d.vanishing))
    assert "w(16)[0,0]" not in _names(d.vanishing)
    assert "small factors, not flat activations" in d.text


def test_the_smallest_of_the_vanishing_come_first():
    sizes = [abs(row.gradient) for row in diagnose(_cost(_net("tanh", 40.0))).vanishing]
    assert len(sizes) > 1
    assert sizes == sorted(sizes)


# --- exploding -------------------------------------------------------------------------------------------------------


@given(st.floats(1.0, 1e12))
def test_a_gradient_explodes_from_its_threshold_on(slope):
    w = Value(1.0, "w")
    d = diagnose(w * slope)
    assert bool(d.exploding) == (slope >= EXPLODING)
    assert d.ok == (slope < EXPLODING)


def test_quantities_in_units_of_their_own_neither_vanish_nor_explode():
    N, k, T, V = Value(6e23, "N"), Value(1.38e-23, "k"), Value(300.0, "T"), Value(1e-3, "V")
    assert diagnose(N * k * T / V).ok
    m, e, ε0, ħ = Value(9.11e-31, "m"), Value(1.6e-19, "e"), Value(8.85e-12, "ε0"), Value(1.05e-34, "ħ")
    assert diagnose(-m * e**4 / (2.0 * (4.0 * math.pi * ε0) ** 2 * ħ**2)).ok  # of hydrogen


def test_large_weights_in_many_layers_explode():
    d = diagnose(_cost(_net("linear", 20.0, layers=[3] * 9 + [2])))
    assert len(d.exploding) == len(d.leaves)
    sizes = [abs(row.gradient) for row in d.exploding]
    assert sizes == sorted(sizes, reverse=True)
    assert "gradients explode (in 11 layers from 0 to 10)" in d.text


# --- forgotten -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("upstream", [1.0, 3.0, -0.1])
@pytest.mark.parametrize("times", [2, 3, 10])
def test_backward_called_k_times_is_reported(times, upstream):
    net = _net()
    C = _cost(net)
    for _ in range(times):
        C.backward(upstream)
    d = diagnose(C)
    assert {(row.cause, row.times) for row in d.forgotten} == {("times", times)}
    assert len(d.forgotten) == len(d.leaves)
    assert f"backward() was called {times} times without zero_grad()" in d.text


def _two_passes(net):
    _cost(net).backward()
    C = _cost(net, x=(0.7, 0.1))
    C.backward()
    return C


def _only_the_older(net):
    _cost(net).backward()
    return _cost(net, x=(0.7, 0.1))


def _zeroed_between(net):
    _cost(net).backward()
    net.zero_grad()
    return _cost(net, x=(0.7, 0.1))


@pytest.mark.parametrize(
    ("run", "causes"), [(_two_passes, {"sum"}), (_only_the_older, {"other"}), (_zeroed_between, set())]
)
@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_an_older_gradient_is_distinguished_from_a_sum_with_it(run, causes, activation):
    net = _net(activation)
    C = run(net)
    d = diagnose(C)
    assert {row.cause for row in d.forgotten} == causes
    assert set(_names(d.forgotten)) == ({parameter.label for parameter in net.parameters()} if causes else set())
    assert d.ok == (not causes)
    for cause in causes:
        assert CAUSES[cause] in d.text


@given(st.floats(-100, 100), st.floats(-100, 100))
def test_a_leaf_that_was_added_to_is_the_one_that_is_found(older, x):
    w, v = Value(x, "w"), Value(2.0, "v")
    C = w * w + v * w
    C.backward()
    gradient = v.grad
    v.grad += older
    assume(abs(older) > 1e-3 and abs(x) > 1e-3 and v.grad != 0.0)  # 0 is taken for one that was cleared
    (row,) = diagnose(C).forgotten
    assert row[:3] == ("v", v.grad, gradient)
    assert row.cause in ("sum", "times")  # by chance the sum may be a multiple


def test_a_leaf_with_a_nan_left_from_before_is_found():
    w = Value(2.0)
    C = w * w
    w.grad = nan
    C.backward()
    assert [row.cause for row in diagnose(C).forgotten] == ["sum"]


def test_backward_from_above_with_one_upstream_gradient_is_well():
    w = Value(2.0)
    C = w * w
    (C * 0.3).backward()
    assert diagnose(C).ok

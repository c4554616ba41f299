"""diagnose: which number, which gradient and which .grad is wrong, and through what; or that nothing is."""

import math

import pytest
from hypothesis import assume, given, strategies as st

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine.ops import OPERATIONS
from tinygrad_scalar.functions import erf, relu, sigmoid, softplus, tanh
from tinygrad_scalar.inspection.diagnose import CAUSES, EXPLODING, SATURATED, VANISHING, diagnose
from tinygrad_scalar.inspection.names import topological_order

inf, nan = math.inf, math.nan
STEEPEST = {name: row.steepest for name, row in OPERATIONS.items() if row.steepest is not None}
ACTIVATIONS = {"sigmoid": sigmoid, "tanh": tanh, "relu": relu, "softplus": softplus, "erf": erf}


def _cost(net, x=(0.5, -1.0), y=(0.0, 1.0)):
    return ts.squared_error(net(list(x)), list(y))


def _net(activation="tanh", scale=1.0, layers=(3, 2)):
    net = ts.MLP(2, list(layers), activation, seed=0)
    for parameter in net.parameters():
        parameter.data *= scale
    return net


def _names(rows):
    return [row.name for row in rows]


# --- all is well -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "softplus", "linear"])
@pytest.mark.parametrize("times", [0, 1])
def test_a_new_network_is_well_and_its_numbers_are_told(activation, times):
    C = _cost(_net(activation))
    for _ in range(times):
        C.backward()
    d = diagnose(C)
    assert d.ok
    assert (d.first_bad, d.bad_gradient, d.vanishing, d.exploding, d.forgotten) == (None, None, (), (), ())
    assert d.text.startswith(f"All is well with C = {C.data:.6g}")
    assert "its 19 named leaves (of 21)" in d.text
    assert d.backward_called == bool(times)
    assert ("has not been called yet" in d.text) == (not times)


def test_the_smallest_and_the_largest_gradient_are_told():
    u, v, w = Value(1.0), Value(1.0), Value(1.0)
    assert (
        "the gradients of its 3 named leaves (of 5) are from 0.5 (w) to 3 (v) in size"
        in diagnose(u - 3.0 * v + w * 0.5).text
    )
    assert "the gradient of its one named leaf (of 2) is 2 (u)." in diagnose(u * 2.0).text


def test_nothing_is_touched():
    C = _cost(_net("relu", 50.0))
    for i, node in enumerate(topological_order(C)):
        node.grad = float(i)
    before = [(node.data, node.grad) for node in topological_order(C)]
    diagnose(C)
    assert [(node.data, node.grad) for node in topological_order(C)] == before


def test_a_minimum_is_well_and_its_zeros_are_told():
    x, y = Value(3.0), Value(3.0)
    d = diagnose((x - y) ** 2)
    assert d.ok
    assert "the gradients of its 2 leaves are all 0 in size" in d.text


def test_near_a_minimum_all_gradients_are_small_and_none_vanishes():
    net = _net()
    a = net([0.5, -1.0])
    assert diagnose(ts.squared_error(a, [a[0].data + 1e-9, a[1].data + 1e-9])).vanishing == ()


def test_a_weight_whose_input_is_0_has_no_vanishing_gradient():
    d = diagnose(_cost(_net(), x=(0.0, 1.0)))
    assert d.ok
    assert "3 of them are 0" in d.text


def test_a_path_that_where_did_not_choose_is_well():
    x, y = Value(2.0), Value(3.0)
    assert diagnose(ts.where(ts.greater(x, 0), x, y)).ok


# --- the first nan or inf --------------------------------------------------------------------------------------------

a, b, big, minus = Value(0.0, "a"), Value(0.0, "b"), Value(800.0, "big"), Value(-4.0, "w(1)[0,2]")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: a.log(), "log(a) = −inf because a = 0."),
        (lambda: a / b, "a/b = nan because a = 0, b = 0."),
        (lambda: a / a, "a/a = nan because a = 0."),
        (lambda: 1.0 / a, "1/a = inf because a = 0."),
        (lambda: big.exp() - big.exp(), "exp(big) = inf because big = 800; above it"),
        (lambda: minus.sqrt() * 2.0, "√(w⁽¹⁾₀₂) = nan because w⁽¹⁾₀₂ = −4; above it"),
        (lambda: (big * big).exp(), "exp(big·big) = inf because big·big = 640000."),
        (lambda: a.log() * a.log(), "log(a) = −inf because a = 0; above it"),
    ],
)
def test_the_first_bad_number_is_told_with_its_operation_and_operands(make, told):
    d = diagnose(make(), {})
    assert not d.ok
    assert told in d.text
    assert not math.isfinite(d.first_bad.data)


@pytest.mark.parametrize("data", [nan, inf, -inf])
def test_a_leaf_that_is_bad_to_begin_with_is_told(data):
    x, y = Value(1.0), Value(data)
    z = x * y
    d = diagnose(z)
    assert (d.first_bad.name, d.first_bad.op) == ("y", "")
    assert f"the leaf y = {str(data).replace('-', '−')} was so from the start; above it z = " in d.text


@given(st.integers(0, 30), st.integers(1, 30))
def test_the_first_bad_node_is_computed_from_finite_numbers(before, after):
    x = y = Value(0.5, "x")
    for _ in range(before):
        y = y * 0.9
    y = (y - y).log()
    y.label = "culprit"
    for _ in range(after):
        y = y + x
    assert diagnose(y).first_bad.name == "culprit"


def test_a_bad_number_that_does_not_reach_the_root_is_told_too():
    x = Value(0.0)
    y = ts.where(ts.greater(x, 0), x.log(), 5.0)
    assert "log(x) = −inf because x = 0; above it y = 5." in diagnose(y).text


# --- the first bad gradient ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "whose", "factors"),
    [
        (lambda x: x.sqrt(), "x", (inf, 1.0, inf)),
        (lambda x: x.sqrt() * 0.0, "x", (inf, 0.0, nan)),
        (lambda x: ts.where(ts.greater(x, 0), x.log(), x), "x", (inf, 0.0, nan)),
        (lambda x: (x * 1e200) * 1e200, "x", (1e200, 1e200, inf)),
    ],
)
def test_the_first_bad_gradient_is_told_with_its_factors(make, whose, factors):
    x = Value(0.0)
    bad = diagnose(make(x), {"x": x}).bad_gradient
    local_grad, upstream, gradient = factors
    assert bad.name == whose
    assert (bad.local_grad, bad.upstream) == (local_grad, upstream)
    assert repr(bad.gradient) == repr(gradient)


def test_the_gradient_can_be_bad_where_every_number_is_finite():
    x = Value(0.0)
    y = x.sqrt()
    d = diagnose(y)
    assert d.first_bad is None
    assert (
        "the gradient of x becomes inf through y = √(x): local gradient inf × upstream gradient 1 = inf; "
        "nan or inf reaches 1 of 1 leaves."
    ) in d.text


def test_of_many_bad_gradients_it_is_the_first_in_the_backward_pass():
    x = Value(0.0)
    u = x * 2.0
    d = diagnose(u.sqrt() * 3.0)
    assert not math.isfinite(d.leaves[0].gradient)
    assert d.bad_gradient.name == "u"


def test_the_gradient_of_a_constant_is_nobodys_concern():
    x = Value(nan)
    assert diagnose(x * 2.0).bad_gradient is None


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


def test_every_activation_of_the_table_is_tested_and_has_its_steepest_slope_at_0_or_above():
    assert set(STEEPEST) == set(ACTIVATIONS)
    for name, steepest in STEEPEST.items():
        slopes = [ACTIVATIONS[name](Value(z / 8)).local_grads[0] for z in range(-400, 401)]
        assert max(slopes) == pytest.approx(steepest)


@given(st.sampled_from(sorted(STEEPEST)), st.floats(-50, 50))
def test_an_activation_is_flat_below_a_part_of_its_steepest_slope(name, z):
    y = ACTIVATIONS[name](Value(z, "z"))
    slope = y.local_grads[0]
    d = diagnose(y)
    assert len(d.saturated) == (slope <= SATURATED * STEEPEST[name])
    assert len(d.vanishing) == (slope <= VANISHING)


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
    assert "small factors, no flat activation" in d.text


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
def test_backward_called_k_times_is_told(times, upstream):
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
def test_an_older_gradient_is_told_from_a_sum_with_it(run, causes, activation):
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


# --- the paragraph ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make", [lambda: _cost(_net()), lambda: _cost(_net("relu", 90.0)), lambda: a.log() * Value(1.0, "_*" * 99)]
)
def test_it_is_one_paragraph_of_80_columns(make):
    d = diagnose(make())
    lines = str(d).splitlines()
    assert max(map(len, lines)) <= 80
    assert "\n" not in d.text
    assert "".join(str(d).split()) == "".join(d.text.split())
    assert repr(d) == str(d)


def test_markdown_shows_names_as_they_are():
    w_1 = Value(nan)
    assert r"the leaf w\_1 = nan" in diagnose(w_1 * 2.0)._repr_markdown_()


def test_names_can_be_given():
    x = Value(0.0)
    assert "log(given) = −inf because given = 0" in diagnose(x.log(), {"given": x}).text


# --- errors, and depth -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [None, 3.5, [Value(1.0)]])
def test_what_is_no_value_is_a_type_error_that_shows_it(wrong):
    with pytest.raises(TypeError, match=r"diagnose expected the Value .*, got .*\(\w+\)"):
        diagnose(wrong)


def test_a_leaf_is_a_value_error():
    with pytest.raises(ValueError, match=r"is a leaf"):
        diagnose(Value(1.0, "x"))


def test_a_stale_graph_is_an_error():
    x = Value(1.0, "x")
    root = x * 2.0
    x.data = 5.0
    with pytest.raises(ts.StaleGraphError, match=r"x was set to 5\.0"):
        diagnose(root)


def test_any_depth(thorough):
    x = y = Value(1.0, "x")
    for _ in range(100_000 if thorough else 20_000):
        y = (y + x) * 0.5
    assert diagnose(y).ok


def test_leaves_without_a_name_are_looked_at_for_a_forgotten_zero_grad():
    weight = [Value(0.5)]
    for _ in range(3):
        x = Value(2.0, "x")
        C = (weight[0] * x).tanh()
        C.backward()
    d = diagnose(C, names={})
    assert [(row.name, row.cause, row.times) for row in d.forgotten] == [("0.5", "times", 3)]


def test_gradients_from_before_a_step_are_called_older_and_no_sum():
    w, x = Value(0.6, "w"), Value(2.0, "x")
    C = (w * x - 1.0) ** 2
    C.backward()
    w.data -= 0.1 * w.grad
    C.forward()
    d = diagnose(C)
    assert {row.cause for row in d.forgotten} == {"other"}
    assert "an older gradient, or another graph's" in d.text


def test_ten_layers_of_sigmoids_vanish():
    net = ts.MLP(2, [4] * 10 + [1], activation="sigmoid", seed=1)
    d = diagnose((net([1.0, 2.0]) - 1.0) ** 2)
    assert {"w(1)[0,0]", "w(2)[0,0]"} <= {row.name for row in d.vanishing}

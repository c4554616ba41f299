"""diagnose: the first number or gradient that is nan or inf, the paragraph, errors and depth."""

import math

import pytest
from hypothesis import given, strategies as st

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.inspection.diagnose import diagnose
from tinygrad_scalar.inspection.names import topological_order

inf, nan = math.inf, math.nan


def _cost(net, x=(0.5, -1.0), y=(0.0, 1.0)):
    return ts.squared_error(net(list(x)), list(y))


def _net(activation="tanh", scale=1.0, layers=(3, 2)):
    net = ts.MLP(2, list(layers), activation, seed=0)
    for parameter in net.parameters():
        parameter.data *= scale
    return net


# --- all is well -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "softplus", "linear"])
@pytest.mark.parametrize("times", [0, 1])
def test_a_new_network_is_well_and_its_numbers_are_reported(activation, times):
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


def test_the_smallest_and_the_largest_gradient_are_reported():
    u, v, w = Value(1.0), Value(1.0), Value(1.0)
    assert (
        "the gradients of its 3 named leaves (of 5) range from 0.5 (w) to 3 (v) in size"
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


def test_a_minimum_is_well_and_its_zeros_are_reported():
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
def test_the_first_bad_number_is_reported_with_its_operation_and_operands(make, told):
    d = diagnose(make(), {})
    assert not d.ok
    assert told in d.text
    assert not math.isfinite(d.first_bad.data)


@pytest.mark.parametrize("data", [nan, inf, -inf])
def test_a_leaf_that_is_bad_to_begin_with_is_reported(data):
    x, y = Value(1.0), Value(data)
    z = x * y
    d = diagnose(z)
    assert (d.first_bad.name, d.first_bad.op) == ("y", "")
    assert f"the leaf y = {str(data).replace('-', '−')}, from the start; above it z = " in d.text


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


def test_a_bad_number_that_does_not_reach_the_root_is_reported_too():
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
def test_the_first_bad_gradient_is_reported_with_its_factors(make, whose, factors):
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
    for _ in range(100_000 if thorough else 8_000):
        y = (y + x) * 0.5
    assert diagnose(y).ok


def test_leaves_without_a_name_are_looked_at_for_a_forgotten_zero_grad():
    weight = [Value(0.5)]
    for _ in range(3):
        x = Value(2.0, "x")
        C = (weight[0] * x).tanh()
        C.backward()
    d = diagnose(C, names={})
    assert [(row.name, row.cause, row.times) for row in d.forgotten] == [("a", "times", 3)]


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

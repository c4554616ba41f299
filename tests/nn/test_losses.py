"""Losses of one example and the cost, their mean: NumPy's numbers, HIPS autograd's gradients, and what they refuse."""

import math

import autograd
import autograd.numpy as anp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_scalar as ts
from tinygrad_scalar import Value

# 003 Eq. 2 for one example, cross-entropy and hinge in NumPy; the derivatives at kinks are JAX's
FORMULAS = {
    "squared_error": lambda a, y: anp.sum((a - y) ** 2),
    "absolute_error": lambda a, y: anp.sum(anp.where(a - y >= 0.0, a - y, y - a)),
    "binary_cross_entropy": lambda a, y: -anp.sum(y * anp.log(a) + (1.0 - y) * anp.log(1.0 - a)),
    "cross_entropy": lambda logits, index: anp.log(anp.sum(anp.exp(logits - logits[index]))),
    "hinge": lambda a, y: anp.sum(anp.where(1.0 - y * a > 0.0, 1.0 - y * a, 0.0)),
    "binary_cross_entropy_with_logits": lambda a, y: anp.sum(anp.logaddexp(0.0 * a, a) - y * a),
    "huber": lambda a, y: anp.sum(anp.where(anp.abs(a - y) > 1.0, anp.abs(a - y) - 0.5, 0.5 * (a - y) ** 2)),
    "kl_divergence": lambda a, y: anp.sum(y * anp.log(y / a)),
}
LOSSES = {name: getattr(ts, name) for name in FORMULAS}
PAIRED = [name for name in FORMULAS if name != "cross_entropy"]  # an output and a target for each neuron


def _floats(low, high):
    return st.floats(low, high, allow_subnormal=False)


PAIRS = {
    "squared_error": st.tuples(_floats(-5, 5), _floats(-5, 5)),
    "absolute_error": st.tuples(_floats(-5, 5), _floats(-5, 5)),
    "binary_cross_entropy": st.tuples(_floats(0.01, 0.99), _floats(0, 1)),
    "hinge": st.tuples(_floats(-3, 3), st.sampled_from([-1, 1])),
    "binary_cross_entropy_with_logits": st.tuples(_floats(-30, 30), _floats(0, 1)),
    "huber": st.tuples(_floats(-5, 5), _floats(-5, 5)),
    "kl_divergence": st.tuples(_floats(0.01, 1.0), _floats(0.01, 1.0)),
}


@st.composite
def _examples(draw):
    """The name of a loss, outputs and targets."""
    name = draw(st.sampled_from([*FORMULAS]))
    if name == "cross_entropy":
        logits = draw(st.lists(_floats(-20, 20), min_size=2, max_size=6))
        return name, logits, draw(st.integers(0, len(logits) - 1))
    a, y = zip(*draw(st.lists(PAIRS[name], min_size=1, max_size=5)))
    return name, list(a), list(y)


# --- numbers and gradients -------------------------------------------------------------------------------------------


@settings(max_examples=3 * settings.default.max_examples)
@given(_examples())
def test_a_loss_is_its_formula(example):
    name, a, y = example
    formula = FORMULAS[name](np.array(a), np.array(y))
    assert LOSSES[name]([Value(a_j) for a_j in a], y).data == pytest.approx(formula, rel=1e-12, abs=1e-13)


@settings(max_examples=3 * settings.default.max_examples)
@given(_examples())
def test_the_gradient_with_respect_to_the_outputs_is_autograds(example):
    name, a, y = example
    outputs = [Value(a_j) for a_j in a]
    LOSSES[name](outputs, y).backward()
    theirs = autograd.grad(FORMULAS[name])(np.array(a), np.array(y))
    assert [output.grad for output in outputs] == pytest.approx(list(theirs), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("name", ["squared_error", "absolute_error", "binary_cross_entropy"])
def test_targets_can_be_values_and_get_gradients_too(name):
    a, y = [0.25, 0.5, 0.875], [0.5, 0.125, 0.75]
    targets = [Value(y_j) for y_j in y]
    LOSSES[name](a, targets).backward()
    theirs = autograd.grad(FORMULAS[name], 1)(np.array(a), np.array(y))
    assert [target.grad for target in targets] == pytest.approx(list(theirs), rel=1e-12)


BY_HAND = [
    ("squared_error", [1.0, 2.0], [0.0, 4.0], 5.0),
    ("absolute_error", [1.0, 2.0], [0.0, 4.0], 3.0),
    ("binary_cross_entropy", [0.5, 0.25], [1, 0], math.log(2) - math.log(0.75)),
    ("cross_entropy", [0.0, math.log(3.0)], 0, math.log(4)),
    ("hinge", [0.25, 0.25, 2.0, -2.0], [1, -1, 1, 1], 0.75 + 1.25 + 0.0 + 3.0),
]


@pytest.mark.parametrize(("name", "a", "y", "number"), BY_HAND, ids=[row[0] for row in BY_HAND])
def test_a_loss_worked_out_by_hand(name, a, y, number):
    assert LOSSES[name]([Value(a_j) for a_j in a], y).data == pytest.approx(number, rel=1e-15)


KINDS = {
    "bare": lambda number: number,
    "tuple": lambda number: (number,),
    "array": lambda number: np.array([number]),
    "generator": lambda number: (n for n in [number]),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PAIRED)
def test_one_output_and_its_target_can_be_bare_or_in_any_iterable(name, kind):
    wrap = KINDS[kind]
    listed, given = Value(0.25), Value(0.25)
    in_lists, other = LOSSES[name]([listed], [1]), LOSSES[name](wrap(given), wrap(1))
    in_lists.backward()
    other.backward()
    assert (other.data, given.grad) == (in_lists.data, listed.grad)
    assert given.grad != 0.0


def test_the_logits_of_cross_entropy_can_be_any_iterable():
    logits = [0.5, -1.0, 2.0]
    values = [Value(logit) for logit in logits]
    kinds = [values, tuple(values), np.array(values), iter(values), logits, np.array(logits)]
    assert {ts.cross_entropy(kind, 1).data for kind in kinds} == {ts.cross_entropy(values, 1).data}


@pytest.mark.parametrize("index", [1, np.int64(1), np.uint8(1)], ids=lambda index: type(index).__name__)
def test_the_class_of_cross_entropy_is_any_whole_number(index):
    assert ts.cross_entropy([Value(0.0), Value(math.log(3.0))], index).data == pytest.approx(math.log(4 / 3))


@pytest.mark.parametrize("name", PAIRED)
def test_a_loss_of_plain_numbers_is_a_value_too(name):
    assert isinstance(LOSSES[name](0.25, 1), Value)
    assert LOSSES[name](0.25, 1).data == LOSSES[name](Value(0.25), 1).data


# --- where numbers run out -------------------------------------------------------------------------------------------

SATURATED = [
    (0.0, 1, 1022 * math.log(2)),  # −log of the smallest normal number
    (1.0, 0, 54 * math.log(2)),  # −log of half the distance from 1 to the largest number below it
    (0.0, 0, 0.0),
    (1.0, 1, 0.0),
    (0.0, 0.5, 511 * math.log(2)),
    (1.0, 0.5, 27 * math.log(2)),
    (5e-324, 1, 1022 * math.log(2)),
]


@pytest.mark.parametrize(("a", "y", "number"), SATURATED)
def test_binary_cross_entropy_of_a_saturated_output_is_finite_and_so_is_its_gradient(a, y, number):
    output = Value(a)
    loss = ts.binary_cross_entropy(output, y)
    loss.backward()
    assert loss.data == pytest.approx(number, rel=1e-12, abs=1e-15)
    assert math.isfinite(output.grad)


@pytest.mark.parametrize(("a", "y"), [(1e-12, 1), (1e-12, 0), (1e-3, 0.5), (0.999, 0)])
def test_binary_cross_entropy_near_the_ends_is_still_its_formula(a, y):
    output = Value(a)
    loss = ts.binary_cross_entropy(output, y)
    loss.backward()
    assert loss.data == pytest.approx(-(y * math.log(a) + (1 - y) * math.log1p(-a)), rel=1e-3 if y == 0 else 1e-12)
    assert output.grad == pytest.approx((a - y) / (a * (1.0 - a)), rel=1e-3 if y == 0 else 1e-12)


LOGITS = st.lists(_floats(-1000, 1000), min_size=2, max_size=10)
CORNERS = [[1000.0, -1000.0], [-1000.0, 1000.0], [1000.0, 1000.0], [-1000.0] * 5, [1000.0, 0.0, -1000.0, 1000.0]]


def _log_softmax(logits):
    shifted = np.array(logits) - max(logits)
    return shifted - np.log(np.exp(shifted).sum())


def _require_log_softmax(logits):
    for index in range(len(logits)):
        values = [Value(logit) for logit in logits]
        loss = ts.cross_entropy(values, index)
        loss.backward()
        expected = np.exp(_log_softmax(logits)) - (np.arange(len(logits)) == index)
        assert loss.data == pytest.approx(-_log_softmax(logits)[index], rel=1e-12, abs=1e-12)
        assert [value.grad for value in values] == pytest.approx(list(expected), rel=1e-12, abs=1e-12)


@given(LOGITS)
def test_cross_entropy_is_minus_log_softmax_and_its_gradient_softmax_minus_one_hot(logits):
    _require_log_softmax(logits)


@pytest.mark.parametrize("logits", CORNERS, ids=str)
def test_cross_entropy_of_the_largest_logits_does_not_overflow(logits):
    _require_log_softmax(logits)


def test_adding_a_number_to_every_logit_changes_no_cross_entropy():
    logits = [0.5, -1.0, 2.0]
    losses = [ts.cross_entropy([Value(logit + c) for logit in logits], 2).data for c in (-512.0, 0.0, 512.0)]
    assert losses == pytest.approx([losses[1]] * 3, abs=1e-12)


@pytest.mark.parametrize("target", [float, Value])
def test_an_outcome_that_is_impossible_and_was_thought_so_adds_nothing_to_kl_divergence_nor_its_gradient(target):
    a = [Value(0.0), Value(0.5), Value(0.5)]
    C = ts.kl_divergence(a, [target(0.0), target(0.75), target(0.25)])
    C.backward()
    assert C.data == pytest.approx(0.75 * math.log(1.5) - 0.25 * math.log(2.0), rel=1e-14)
    assert [x.grad for x in a] == [0.0, -1.5, -0.5]
    assert [0.0 if g is None else g.data for g in ts.gradient(C, a)] == [0.0, -1.5, -0.5]


def test_hinge_beyond_the_margin_is_0_and_so_is_its_gradient():
    output = Value(1.5)
    loss = ts.hinge(output, 1)
    loss.backward()
    assert (loss.data, output.grad) == (0.0, 0.0)


# --- what they refuse ------------------------------------------------------------------------------------------------

BAD = [
    *[(name, [0.5, 0.5], [1], ValueError, "one target per output; got 2 and 1") for name in PAIRED],
    *[(name, 0.5, [1, 1], ValueError, "one target per output; got 1 and 2") for name in PAIRED],
    *[(name, [0.5, 0.5], 1, ValueError, "one target per output; got 2 and 1") for name in PAIRED],
    *[(name, [], [], ValueError, "one target per output; got 0 and 0") for name in PAIRED],
    *[(name, "a", [1], TypeError, "'a'") for name in PAIRED],
    *[(name, None, 1, TypeError, "None") for name in PAIRED],
    ("binary_cross_entropy", 1.0000001, 1, ValueError, "outputs must be from 0 to 1, got 1.0000001; .*sigmoid"),
    ("binary_cross_entropy", -1e-300, 0, ValueError, "outputs must be from 0 to 1, got -1e-300"),
    ("binary_cross_entropy", [0.5, math.inf], [0, 0], ValueError, "outputs must be from 0 to 1, got inf"),
    ("binary_cross_entropy", 0.5, 2, ValueError, "targets must be from 0 to 1, got 2"),
    ("binary_cross_entropy", [0.5, 0.5], [1, -1], ValueError, "targets must be from 0 to 1, got -1"),
    ("hinge", 0.5, 0, ValueError, "targets must be −1 or \\+1, got 0"),
    ("hinge", [0.5, 0.5], [1, 2], ValueError, "targets must be −1 or \\+1, got 2"),
    ("hinge", 0.5, math.nan, ValueError, "targets must be −1 or \\+1, got nan"),
    ("cross_entropy", [0.5, 0.5], 2, ValueError, "the class must be from 0 to 1 for 2 logits, got 2"),
    ("cross_entropy", [0.5, 0.5], -1, ValueError, "the class must be from 0 to 1 for 2 logits, got -1"),
    ("cross_entropy", [0.5, 0.5], 1.0, TypeError, "class as an integer, got 1.0"),
    ("cross_entropy", [0.5, 0.5], 1.0, TypeError, r"an array of whole numbers with \.astype\(int\)$"),
    ("cross_entropy", [0.5, 0.5], 0.5, TypeError, "got 0.5 .float.; classes are whole numbers, counted from 0: for"),
    ("cross_entropy", [0.5, 0.5], [1.5], TypeError, "classes are whole numbers, counted from 0: for targets between"),
    ("cross_entropy", [0.5, 0.5], np.float32(0.5), TypeError, "classes are whole numbers"),
    ("cross_entropy", [0.5, 0.5], math.nan, TypeError, "classes are whole numbers"),
    ("cross_entropy", [0.5, 0.5], "1", TypeError, "class as an integer, got '1'"),
    ("cross_entropy", [0.5, 0.5], [0, 1], TypeError, "class as an integer, got "),
    ("cross_entropy", [0.5, 0.5], None, TypeError, "class as an integer, got None"),
    ("cross_entropy", [0.5, 0.5], Value(0.5), TypeError, "class as an integer, got "),
    ("cross_entropy", [0.5, 0.5], Value(2.0), ValueError, "the class must be from 0 to 1 for 2 logits, got 2"),
    ("cross_entropy", [0.5], 0, ValueError, "at least two logits, got 1; for one output use binary_cross_entropy"),
    ("cross_entropy", 0.5, 0, ValueError, "at least two logits"),
    ("cross_entropy", [], 0, ValueError, "at least two logits"),
    ("cross_entropy", "ab", 0, TypeError, "'a'"),
]


@pytest.mark.parametrize("bare", [False, True], ids=["Values", "numbers"])
@pytest.mark.parametrize(("name", "a", "y", "error", "words"), BAD)
def test_what_a_loss_cannot_take_is_one_line_that_shows_it(name, a, y, error, words, bare):
    if not bare:
        a = [Value(n) for n in a] if isinstance(a, list) else Value(a) if isinstance(a, float) else a
    with pytest.raises(error, match=words) as caught:
        LOSSES[name](a, y)
    assert "\n" not in str(caught.value)


# --- cost ------------------------------------------------------------------------------------------------------------

BATCHES = {
    "squared_error": ([[0.5, 1.0], [2.0, -1.0], [0.0, 0.25]], [[1, 0], [0, 0], [-1, 2]]),
    "absolute_error": ([[0.5, 1.0], [2.0, -1.0], [0.0, 0.25]], [[1, 0], [0, 0], [-1, 2]]),
    "binary_cross_entropy": ([[0.5], [0.25], [0.125]], [[1], [0], [1]]),
    "cross_entropy": ([[0.5, 1.0, 0.0], [2.0, -1.0, 3.0]], [2, 0]),
    "hinge": ([[0.5], [0.25], [-2.0]], [[1], [-1], [1]]),
    "binary_cross_entropy_with_logits": ([[0.5], [40.0], [-800.0]], [[1], [0], [1]]),
    "huber": ([[0.5, 1.0], [2.0, -1.0], [0.0, 0.25]], [[1, 0], [0, 0], [-1, 2]]),
    "kl_divergence": ([[0.5, 0.5], [0.25, 0.75], [0.5, 0.5]], [[0.9, 0.1], [0.25, 0.75], [0.1, 0.9]]),
}


def _values(rows):
    return [[Value(number) for number in row] for row in rows]


@pytest.mark.parametrize("name", BATCHES)
def test_the_cost_is_the_mean_loss_of_the_examples(name):
    outputs, targets = BATCHES[name]
    losses = [FORMULAS[name](np.array(a), np.array(y)) for a, y in zip(outputs, targets)]
    assert ts.cost(name, _values(outputs), targets).data == pytest.approx(np.mean(losses), rel=1e-14)


@pytest.mark.parametrize("name", BATCHES)
def test_the_gradient_of_the_cost_is_the_mean_gradient_of_the_examples(name):
    outputs, targets = BATCHES[name]
    together, apart = _values(outputs), _values(outputs)
    ts.cost(name, together, targets).backward()
    for a, y in zip(apart, targets):
        LOSSES[name](a, y).backward()
    means = [value.grad / len(outputs) for row in apart for value in row]
    assert [value.grad for row in together for value in row] == pytest.approx(means, rel=1e-14)


@pytest.mark.parametrize("name", BATCHES)
def test_a_loss_can_be_given_by_name_or_as_the_function(name):
    outputs, targets = BATCHES[name]
    by_name, by_function = ts.cost(name, _values(outputs), targets), ts.cost(LOSSES[name], _values(outputs), targets)
    assert by_name.data == by_function.data


def test_the_cost_of_any_function_of_output_and_target_is_its_mean():
    assert ts.cost(lambda a, y: (a - y) ** 4, [Value(1.0), Value(2.0)], [0, 0]).data == 8.5


def test_outputs_and_targets_of_a_cost_can_be_arrays_and_bare_values():
    outputs = [Value(1.0), Value(3.0)]
    assert ts.cost("squared_error", outputs, np.array([0.0, 1.0])).data == 2.5
    assert ts.cost("squared_error", np.array(outputs), (0, 1)).data == 2.5


def test_the_cost_of_one_example_is_its_loss():
    assert ts.cost("squared_error", [Value(3.0)], [0]).data == 9.0


BAD_COSTS = [
    ("squared_error", [1.0, 2.0], [0], ValueError, "one target per output; got 2 and 1"),
    ("squared_error", [1.0], [0, 1], ValueError, "one target per output; got 1 and 2"),
    ("squared_error", [], [], ValueError, "one target per output; got 0 and 0"),
    (
        "mean_squared_error",
        [1.0],
        [0],
        ValueError,
        "must be one of squared_error, .*, hinge, .* got 'mean_squared_error'",
    ),
    ("", [1.0], [0], ValueError, "loss must be one of .* got ''"),
    (None, [1.0], [0], ValueError, "loss must be one of .* got None"),
    (["hinge"], [1.0], [1], (TypeError, ValueError), "loss must be one of .* got .*hinge"),
    ("squared_error", 1.0, 0, (TypeError, ValueError), "cost needs"),
]


@pytest.mark.parametrize(("loss", "outputs", "targets", "error", "words"), BAD_COSTS)
def test_what_a_cost_cannot_take_is_one_line_that_shows_it(loss, outputs, targets, error, words):
    outputs = [Value(a) for a in outputs] if isinstance(outputs, list) else Value(outputs)
    with pytest.raises(error, match=words) as caught:
        ts.cost(loss, outputs, targets)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_cross_entropy_warns_of_outputs_that_are_no_logits(activation):
    logits = [getattr(Value(z), activation)() for z in (0.3, -2.0)]
    with pytest.warns(UserWarning, match=f"got {activation} outputs.*output_activation='linear'"):
        ts.cross_entropy(logits, 0)


@pytest.mark.parametrize("Y", [np.eye(3), np.eye(3, dtype=int), np.eye(3, dtype=bool), np.array([[0], [2], [1]])])
def test_what_the_error_for_a_wrong_class_recommends_is_taken(Y):
    net = ts.MLP(2, [3], "tanh", "linear", seed=0)
    X = np.ones((3, 2))
    ways = {
        3: (r"np\.argmax\(Y, axis=-1\)", np.argmax(Y, axis=-1)),
        1: (r"Y\[:, 0\]\.astype\(int\)", Y[:, 0].astype(int)),
    }
    words, taken = ways[Y.shape[1]]
    with pytest.raises(TypeError, match=words):
        ts.fit(net, X, Y, loss="cross_entropy", epochs=1, progress=False)
    with pytest.raises(TypeError, match=words):
        ts.cross_entropy(net(X[0]), Y[0])
    with pytest.raises(TypeError, match=words):
        ts.cross_entropy(net(X[0]), Y[0].tolist())
    ts.fit(net, X, taken, loss="cross_entropy", epochs=1, progress=False)
    ts.cross_entropy(net(X[0]), taken[0])


@pytest.mark.parametrize(
    "error, slope", [(1.0, 1.0), (-1.0, -1.0), (0.5, 0.5), (3.0, 1.0), (math.nan, math.nan), (math.inf, 1.0)]
)
def test_huber_pulls_by_the_error_up_to_delta_and_of_nan_by_nan(error, slope):
    a = Value(error)
    ts.huber([a], [0.0]).backward()
    assert a.grad == pytest.approx(slope, nan_ok=True)

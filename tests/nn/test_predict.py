"""`predict` and `predict_proba`: what the network gives example by example, at once."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import example, given, strategies as st
from support.trainings import X, data

import tinygrad_scalar as ts
from tinygrad_scalar.nn import Module
from tinygrad_scalar.nn.kept_program import KEPT
from tinygrad_scalar.nn.probabilities import probabilities

NETWORKS = {
    "MLP of three outputs": lambda: ts.MLP(2, [4, 3], "tanh", "linear", seed=0),
    "MLP of one output": lambda: ts.MLP(2, [4, 1], "relu", "sigmoid", seed=1),
    "Layer": lambda: ts.Layer(2, 3, "tanh", seed=0),
    "Neuron": lambda: ts.Neuron(2, "gelu", seed=0),
}
networks = pytest.mark.parametrize("net", [make() for make in NETWORKS.values()], ids=NETWORKS)


def one_by_one(net, rows=X):
    outputs = [net(x) for x in rows]
    return np.array([[a.data for a in out] if isinstance(out, list) else out.data for out in outputs])


@networks
def test_the_outputs_are_those_of_each_example_by_itself(net):
    outputs = net.predict(X)
    assert outputs.shape == one_by_one(net).shape
    assert outputs == pytest.approx(one_by_one(net), rel=1e-12)


@networks
def test_predictions_follow_the_parameters(net):
    net.predict(X)
    for parameter in net.parameters():
        parameter.data += 0.25
    assert net.predict(X) == pytest.approx(one_by_one(net), rel=1e-12)


def test_one_input_can_be_a_bare_number():
    net = ts.MLP(1, [2, 1], "tanh", seed=0)
    assert net.predict([0.5, 1.0]).tolist() == net.predict([[0.5], [1.0]]).tolist()


def test_many_examples_are_taken_in_pieces():
    net, rows = NETWORKS["MLP of three outputs"](), np.random.default_rng(0).normal(size=(3000, 2))
    assert net.predict(rows)[[0, 1023, 1024, 2999]] == pytest.approx(
        one_by_one(net, rows[[0, 1023, 1024, 2999]].tolist())
    )


def test_the_network_keeps_its_last_call_and_its_gradients():
    net = NETWORKS["MLP of one output"]()
    net(X[0]).backward()
    z, grads = net.z, [p.grad for p in net.parameters()]
    net.predict(X)
    assert net.z is z
    assert [p.grad for p in net.parameters()] == grads


def test_predicting_does_not_derive_anew_before_or_after_training():
    net = NETWORKS["MLP of three outputs"]()
    net.predict(X)
    program = vars(net)[KEPT].outputs
    net.predict(X)
    assert vars(net)[KEPT].outputs is program
    ts.fit(net, X, [0, 1, 2, 0, 1, 2, 0], loss="cross_entropy", epochs=2, progress=False)
    assert net.predict(X) == pytest.approx(one_by_one(net), rel=1e-12)


def test_a_network_that_looks_at_numbers_is_asked_example_by_example():
    class Steps(Module):
        def __init__(self):
            self.w = ts.Value(2.0)

        def __call__(self, x):
            return self.w * 3.0 if float(x[0]) > 0 else self.w

        def parameters(self):
            return [self.w]

    assert Steps().predict(X).tolist() == [6.0 if x[0] > 0 else 2.0 for x in X]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[1.0, 2.0, 3.0]], "must have 2 inputs, got 3"),
        ([], "X must be a non-empty array"),
        ([[1.0, math.nan]], "finite"),
        (np.zeros((2, 2, 2)), "shape"),
    ],
)
def test_rows_that_do_not_fit_are_refused(rows, message):
    net = NETWORKS["MLP of one output"]()
    before = data(net)
    with pytest.raises(ValueError, match=message):
        net.predict(rows)
    assert data(net) == before


def test_a_batch_for_the_network_itself_names_predict():
    with pytest.raises(ValueError, match=r"for many use net\.predict\(X\)"):
        NETWORKS["MLP of one output"]()(X)


# --- probabilities ---------------------------------------------------------------------------------------------------


def test_several_logits_are_softmax_and_one_output_has_two_columns():
    net = NETWORKS["MLP of three outputs"]()
    by_hand = np.array([[p.data for p in ts.softmax(net(x))] for x in X])
    assert net.predict_proba(X) == pytest.approx(by_hand, rel=1e-12)
    net = NETWORKS["MLP of one output"]()
    assert net.predict_proba(X)[:, 1].tolist() == net.predict(X).tolist()
    assert net.predict_proba(X).sum(axis=1) == pytest.approx(1.0)
    logit = ts.MLP(2, [4, 1], "relu", "linear", seed=1)
    assert logit.predict_proba(X)[:, 1] == pytest.approx([ts.sigmoid(logit(x)).data for x in X], rel=1e-14)


@given(st.floats(-700, 700))
def test_both_columns_of_a_logit_keep_their_digits(z):
    zero, one = probabilities(np.array([[z]]), "linear")[0]
    with mpmath.workdps(50):
        assert one == pytest.approx(float(1 / (1 + mpmath.exp(-mpmath.mpf(z)))), rel=1e-15)
        assert zero == pytest.approx(float(1 / (1 + mpmath.exp(mpmath.mpf(z)))), rel=1e-15)


@given(st.lists(st.floats(-1e308, 1e308), min_size=2, max_size=5))
@example([1e308, -1e308])
def test_logits_of_any_size_are_probabilities(logits):
    row = probabilities(np.array([logits]), "linear")[0]
    assert row.sum() == pytest.approx(1.0)
    assert row.argmax() == np.argmax(logits) or row.max() == row[np.argmax(logits)]


@pytest.mark.parametrize(("k", "activation"), [(2, "sigmoid"), (1, "tanh"), (1, "relu"), (3, "tanh")])
def test_outputs_that_are_no_probabilities_are_refused(k, activation):
    with pytest.raises(ValueError, match=rf"outputs of {activation} are"):
        ts.MLP(2, [k], activation, seed=0).predict_proba(X)

"""detect_anomaly(): the operation that makes the first nan or infinity raises and says where it was written."""

import math

import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine.errors import AnomalyError

_HERE = r"test_anomaly\.py:\d+: "

# fmt: off
ANOMALIES = [
    (lambda: Value(0.0, "a").log(), r"log\(a\) = -inf, where a = 0\.0"),
    (lambda: Value(-1.0, "a").sqrt(), r"√\(a\) = nan, where a = -1\.0"),
    (lambda: Value(1.0, "a") / Value(0.0, "b"), r"a/b = inf, where a = 1\.0, b = 0\.0"),
    (lambda: Value(1e200, "a") ** 2, r"\(a\)² = inf, where a = 1e\+200"),
    (lambda: Value(1e308, "a") + Value(1e308, "b"), r"a \+ b = inf, where a = 1e\+308, b = 1e\+308"),
    (lambda: Value(1e200, "a") * 1e200, r"a·1e\+200 = inf, where a = 1e\+200"),
    (lambda: Value(0.0) / Value(0.0), r"0\.0/0\.0 = nan"),
    (lambda: (Value(500.0) * 2.0).exp(), r"exp\(x₀\) = inf, where x₀ = 1000\.0"),
    (lambda: ts.where(1.0, Value(math.nan, "a"), 2.0), r"where\(1\.0, a, 2\.0\) = nan, where a = nan"),
    (lambda: Value(math.inf, "a") - Value(math.inf, "a"), r"a − a = nan, where a = inf"),
]
# fmt: on


@pytest.mark.parametrize(("compute", "told"), ANOMALIES)
def test_the_error_names_the_operation_its_operands_and_the_users_line(compute, told):
    with ts.detect_anomaly(), pytest.raises(AnomalyError, match=rf"^{told}, at .*{_HERE}\(lambda: "):
        compute()


@pytest.mark.parametrize("compute", [compute for compute, _ in ANOMALIES])
def test_outside_of_the_block_nothing_is_raised(compute):
    with ts.detect_anomaly():
        pass
    assert not math.isfinite(compute().data)


def test_finite_results_pass():
    with ts.detect_anomaly():
        x = Value(2.0)
        root = ts.where(x, x.log() / x, -x) ** 2 + 1e308
        root.backward()
        x.data = 3.0
        root.forward().backward()
    assert math.isfinite(x.grad)


def test_making_a_leaf_is_no_operation():
    with ts.detect_anomaly():
        assert Value(math.inf).data == math.inf


def test_an_inner_block_leaves_the_outer_one_watching():
    with ts.detect_anomaly():
        with pytest.raises(AnomalyError), ts.detect_anomaly():
            Value(0.0).log()
        with ts.detect_anomaly():
            pass
        with pytest.raises(AnomalyError):
            Value(0.0).log()
    assert Value(0.0).log().data == -math.inf


def test_an_error_in_the_block_ends_the_watch():
    with pytest.raises(KeyError), ts.detect_anomaly():
        raise KeyError
    assert Value(0.0).log().data == -math.inf


def _root_of_zero():
    x = Value(0.0, "x")
    above = x.sqrt() * 3.0 + 1.0
    x.grad, above.grad = 5.0, 7.0
    return x, above


def test_backward_raises_at_the_first_gradient_that_is_not_finite_before_any_grad_has_changed():
    x, root = _root_of_zero()
    inner = root.operands[0]
    inner.grad = 9.0
    told = r"backward through √\(x\) = 0\.0, where x = 0\.0: local gradient inf × upstream gradient 3\.0 = inf"
    with ts.detect_anomaly(), pytest.raises(AnomalyError, match=told):
        root.backward()
    assert (x.grad, inner.grad, root.grad) == (5.0, 9.0, 7.0)


def test_the_first_gradient_that_is_not_finite_points_at_the_line_that_made_its_node():
    with ts.detect_anomaly():
        x = Value(0.0, "x")
        root = x.sqrt()  # the culprit
        root = root + 1.0
        with pytest.raises(AnomalyError, match=rf"at .*{_HERE}root = x\.sqrt\(\)  # the culprit$"):
            root.backward()


def test_a_sum_of_finite_contributions_that_overflows_is_an_anomaly():
    x = Value(0.0, "x")
    root = x * 1e308 + x * 1e308
    with ts.detect_anomaly(), pytest.raises(AnomalyError, match=r"backward through x·1e\+308 = 0\.0, where x = 0\.0"):
        root.backward()
    assert x.grad == 0.0


def test_an_upstream_gradient_that_is_not_finite_is_an_anomaly():
    x = Value(2.0)
    root = x * x
    with ts.detect_anomaly(), pytest.raises(AnomalyError):
        root.backward(math.inf)
    assert x.grad == 0.0


def test_outside_of_the_block_backward_lets_infinity_through():
    x, root = _root_of_zero()
    root.backward()
    assert (x.grad, root.grad) == (math.inf, 1.0)


def test_forward_raises_too():
    x = Value(1.0, "x")
    root = x.log() + 1.0
    x.data = 0.0
    with ts.detect_anomaly(), pytest.raises(AnomalyError, match=rf"log\(x\) = -inf, where x = 0\.0, at .*{_HERE}"):
        root.forward()


def test_a_forward_that_an_anomaly_ended_is_finished_by_the_next():
    x = Value(1.0, "x")
    root = (x * 0.0).exp() + x.log() * 2.0
    x.data = 0.0
    with ts.detect_anomaly(), pytest.raises(AnomalyError):
        root.forward()
    assert root.forward().data == -math.inf
    x.data = 1.0
    assert root.forward().data == 1.0


def test_an_anomaly_is_a_floating_point_error():
    assert issubclass(AnomalyError, FloatingPointError)

"""An operation that fails half-way holds no references afterwards and leaves its operands as they were."""

import gc
import sys

import pytest
from support.lifetime_steps import FAILURES, apply, refused

import tinygrad_scalar as ts
from tinygrad_scalar import Value


@pytest.mark.parametrize("failure", FAILURES)
def test_what_fails_refers_to_nothing_afterwards(failure):
    v = Value(2.0, "v")
    w = v * 3.0
    refused(failure, v, w)
    gc.collect()
    before = sys.getrefcount(v), sys.getrefcount(w)
    for _ in range(10):
        refused(failure, v, w)
    gc.collect()
    assert (sys.getrefcount(v), sys.getrefcount(w)) == before


@pytest.mark.parametrize("failure", FAILURES)
def test_what_fails_leaves_its_operands_as_they_were(failure):
    v = Value(2.0, "v")
    w = v * 3.0
    refused(failure, v, w)
    w.zero_grad()
    w.forward().backward()
    assert [(n.op, n.data, n.grad, n.label) for n in ts.topological_order(w)] == [
        ("", 2.0, 3.0, "v"), ("", 3.0, 2.0, ""), ("*", 6.0, 1.0, ""),
    ]  # fmt: skip


def test_a_wrong_number_of_local_gradients_is_refused():
    if not ts.accelerated:
        pytest.skip("the plain Value trusts the table")
    v = Value(2.0)
    for wrong in [(), (1.0,), (1.0, 1.0), (1.0,) * 4]:
        with pytest.raises(ValueError, match="local gradients"):
            apply(v, v, v, local_grads=lambda v, *x, wrong=wrong: wrong)

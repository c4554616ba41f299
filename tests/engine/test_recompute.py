"""`recompute`: forward() of a graph that the caller owns, which changes no older node."""

import math

import pytest

from tinygrad_scalar import Value
from tinygrad_scalar.engine import recompute, tick


def test_recompute_does_what_forward_does():
    x = Value(2.0)
    root = (x * x).exp() + x
    x.data = 0.5
    assert recompute(root, 0)
    assert root.data == math.exp(0.25) + 0.5


@pytest.mark.parametrize("depth", [1, 3])
def test_recompute_changes_nothing_if_it_would_change_an_older_node(depth):
    v, x = Value(2.0), Value(3.0)
    older = v * 1.0
    for _ in range(depth):
        older = older + 1.0
    since = tick()
    root = older * x
    v.data, x.data = 7.0, 5.0
    before = older.data, root.data
    assert not recompute(root, since)
    assert (older.data, root.data) == before
    older.forward()
    assert recompute(root, since)
    assert root.data == (7.0 + depth) * 5.0

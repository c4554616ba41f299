"""Which nodes a recorded derivative walks: not those that cannot depend on `wrt`, and never past what is stale."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from support.observable import seen

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine import gradients, recording, tangents, tick

PLACE = st.integers(0, 30)
NUMBER = st.floats(-2.0, 2.0)
STEPS = {
    "leaf": lambda x, y, c: Value(c),
    "set": lambda x, y, c: None if x.op else setattr(x, "data", c),
    "made again": lambda x, y, c: None if x.op else x.__init__(c),
    "set in bulk": lambda x, y, c: None if x.op else ts.engine.set_data([x], np.array([c])),
    "+": lambda x, y, c: x + y,
    "*": lambda x, y, c: x * y,
    "sin": lambda x, y, c: x.sin(),
    "where": lambda x, y, c: ts.where(x, y, x * c),
    "number": lambda x, y, c: x * c,
    "forward": lambda x, y, c: x.forward(),
    "backward": lambda x, y, c: _if_fresh(lambda: x.backward()),
    "copy": lambda x, y, c: copy.copy(x),
    "deepcopy": lambda x, y, c: copy.deepcopy(x),
    "derivative": lambda x, y, c: _if_fresh(lambda: ts.gradient(x, y)),
    "tangent": lambda x, y, c: _if_fresh(lambda: tangents([x], [y], [c])[0] + Value(0.0)),
    "tick": lambda x, y, c: tick() and None,
}


def _if_fresh(compute):
    try:
        return compute()
    except ts.StaleGraphError:
        return None


def _course(program, everything):
    """Every derivative taken while the program runs; with `everything`, each walk has to visit the whole graph."""
    values, found, unrelated = [Value(0.5), Value(1.5)], [], Value(0.0)
    for name, i, j, number in program:
        x, y = values[-1 - i % len(values)], values[-1 - j % len(values)]
        if everything:
            unrelated.data = 0.0
        made = STEPS[name](x, y, number)
        if isinstance(made, Value):
            values.append(made)
        if everything:
            unrelated.data = 0.0
        for derive in (lambda: gradients(x, [y, values[0]]), lambda: tangents([x, y], [y], [1.0])):  # noqa: B023
            try:
                found.append(seen(derive()))
            except ts.StaleGraphError as error:
                found.append(str(error))
    return found


@settings(max_examples=20 * settings.default.max_examples)
@given(st.lists(st.tuples(st.sampled_from(sorted(STEPS)), PLACE, PLACE, NUMBER), min_size=5, max_size=25))
def test_a_walk_that_leaves_out_what_it_knows_finds_what_the_whole_walk_finds(program):
    assert _course(program, everything=False) == _course(program, everything=True)


@pytest.mark.parametrize("change", ["set", "made again", "set in bulk", "forward"])
def test_a_stale_graph_below_what_is_known_is_refused(change):
    a = Value(2.0, "a")
    old = a * a
    for _ in range(3):
        x = Value(1.0)
        ts.gradient(old * x, x)  # from the second time on, `old` is known to be up to date
    root = old * x
    if change == "forward":
        a.data = 3.0
        root.forward()
        a.data = 4.0
        old.forward()
    else:
        STEPS[change](a, a, 3.0)
    with pytest.raises(ts.StaleGraphError):
        ts.gradient(root, x)
    assert ts.gradient(root.forward(), x).data == a.data**2


def test_what_is_computed_from_a_stale_node_is_refused_though_it_is_newer_than_the_change():
    a, x = Value(2.0, "a"), Value(1.0)
    old = a * a
    ts.gradient(old, a)
    a.data = 3.0
    root = (old + 1.0) * Value(1.0, "x")
    with pytest.raises(ts.StaleGraphError, match="a was set"):
        ts.gradient(root, root.operands[1])
    with pytest.raises(ts.StaleGraphError, match="a was set"):
        ts.gradient(old + x, x)


def test_derivatives_inside_a_long_computation_do_not_walk_all_that_came_before(monkeypatch):
    """x ← x + ∂/∂y (y − x)²/2n, n times; walking all that came before would take the plain Value n²/2 steps."""
    n, walked = 100_000 if ts.accelerated else 1_000, []
    whole = recording.pass_order
    monkeypatch.setattr(recording, "pass_order", lambda *given: walked.append(whole(*given)) or walked[-1])
    position = start = Value(1.0)
    for _ in range(n):
        y = Value(3.0)
        position = position + ts.gradient((y - position) ** 2 * (0.5 / n), y)
    assert sum(map(len, walked)) < 12 * n  # none of them the compiled Value's, which would take an hour instead
    assert ts.gradient(position, start).data == pytest.approx((1.0 - 1.0 / n) ** n, rel=1e-9)


def test_nor_do_derivatives_by_its_computed_values():
    """v ← v − ∂/∂x x²/2 · h, x ← x + v·h: each walk begins where the last one ended."""
    n, h = 100_000 if ts.accelerated else 1_000, 1e-3
    start = x = Value(1.0)
    v = Value(0.0)
    for _ in range(n):
        v = v - ts.gradient(x * x * 0.5, x) * h
        x = x + v * h
    assert ts.gradient(x, start).data == pytest.approx(x.data, rel=1e-9)  # x(t) = x(0)·cos t, nearly

"""Stepping through a backward pass: it is backward(), it can be undone bit for bit, and it says what it does."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from programs import LEAVES, PROGRAM, numbers_of, result_of

import tinygrad_scalar as ts
from tinygrad_scalar import Value, topological_order
from tinygrad_scalar.engine import activations, elementary, ops
from tinygrad_scalar.inspection.step import Step


def one_node():
    """The notes' one-node network (000 Eq. 1 and 2)."""
    w, b, a0, y = Value(0.6, "w(1)"), Value(0.1, "b(1)"), Value(0.8, "a(0)"), Value(0.0, "y")
    z = w * a0 + b
    a = z.sigmoid()
    C = (a - y) ** 2
    z.label, a.label, C.label = "z(1)", "a(1)", "C"
    return C


def bits(nodes):
    return [np.float64(node.grad).view(np.int64) for node in nodes]


def built(program, numbers):
    leaves = [Value(number, f"x{i}") for i, number in enumerate(numbers)]
    root = sum(numbers_of(program, ts, leaves)[-3:])
    for i, leaf in enumerate(leaves):
        leaf.grad = 0.25 * i
    return root


# --- the end is backward(), the beginning is what was ----------------------------------------------------------------


@settings(max_examples=3 * settings.default.max_examples)
@given(PROGRAM, LEAVES)
def test_stepping_to_the_end_is_backward_bit_for_bit(program, numbers):
    stepped, passed = built(program, numbers), built(program, numbers)
    s = ts.step(stepped)
    s.next(s.total)
    passed.backward()
    assert bits(topological_order(stepped)) == bits(topological_order(passed))
    s.reset()
    fresh = built(program, numbers)
    assert bits(topological_order(stepped)) == bits(topological_order(fresh))


class Moves(RuleBasedStateMachine):
    """However a stepper got to a place, its state is that of a fresh one that went straight there."""

    @initialize(program=PROGRAM, numbers=LEAVES)
    def begin(self, program, numbers):
        self.make = lambda: built(program, numbers)
        self.stepper = ts.step(self.make(), names={})

    @rule(n=st.integers(0, 5))
    def next(self, n):
        self.stepper.next(n)

    @rule(n=st.integers(0, 5))
    def back(self, n):
        self.stepper.back(n)

    @rule()
    def reset(self):
        self.stepper.reset()

    @rule(i=st.integers(0, 100))
    def to(self, i):
        nodes = topological_order(self.stepper.root)
        before = self.stepper.position
        try:
            self.stepper.to(nodes[i % len(nodes)])
        except ValueError:
            assert self.stepper.position == before

    @precondition(lambda self: self.stepper.position < self.stepper.total)
    @rule()
    def iterate(self):
        assert next(iter(self.stepper)).position == self.stepper.position

    @invariant()
    def is_where_a_fresh_one_would_be(self):
        fresh = ts.step(self.make(), names={})
        fresh.next(self.stepper.position)
        assert fresh.position == self.stepper.position
        assert bits(topological_order(fresh.root)) == bits(topological_order(self.stepper.root))
        assert str(fresh) == str(self.stepper)


Moves.TestCase.settings = settings(stateful_step_count=12)
TestMoves = Moves.TestCase


def test_a_long_chain_is_stepped_through(thorough):
    w = Value(1.0 + 1e-6, "w")
    z = Value(1.0, "x")
    for _ in range(50_000 if thorough else 10_000):
        z = z * w
    s = ts.step(z, names={})
    s.next(s.total)
    stepped = w.grad
    s.reset()
    assert w.grad == 0.0
    z.backward()
    assert w.grad == stepped


# --- what it says ----------------------------------------------------------------------------------------------------

SCREENS = {
    0: """\
C: 5 values to compute, then the chain rule backwards
next: w⁽¹⁾·a⁽⁰⁾""",
    3: """\
forward 3 of 5 (step 3 of 11)
  a⁽¹⁾ = σ(z⁽¹⁾)
       = σ(0.58) = 0.641067
next: a⁽¹⁾ − y""",
    9: """\
backward 3 of 5 (step 9 of 11)
  a⁽¹⁾ = σ(z⁽¹⁾)
  ∂C/∂z⁽¹⁾ += ∂a⁽¹⁾/∂z⁽¹⁾ · ∂C/∂a⁽¹⁾
            = σ′(z⁽¹⁾) · ∂C/∂a⁽¹⁾
            = 0.2301 · 1.28213 = 0.295019
              z⁽¹⁾.grad: 0 + 0.295019 = 0.295019, complete
next: back through z⁽¹⁾ = w⁽¹⁾·a⁽⁰⁾ + b⁽¹⁾""",
}


@pytest.mark.parametrize("position", SCREENS)
def test_it_prints_where_it_is_as_the_notes_write_it(position):
    s = ts.step(one_node())
    s.next(position)
    assert str(s) == repr(s) == SCREENS[position]


def test_every_line_fits_80_columns_and_the_last_says_that_it_is_done():
    s = ts.step(one_node())
    for _ in s:
        assert max(map(len, str(s).splitlines())) <= 80
    assert str(s).endswith("done: every gradient is complete, as after backward()")


def test_sums_that_are_not_complete_say_so():
    x = Value(3.0, "x")
    y = x * x + x
    s = ts.step(y, names={"y": y})
    states = {}
    for step in s:
        states |= {(step.position, c.done): (c.grad_after, c.complete) for c in step.contributions if c.operand is x}
    assert list(states.values()) == [(1.0, False), (4.0, False), (7.0, True)]
    s.back(1)
    assert "x.grad: 0 + 1 = 1, so far: 1 of 3 contributions" in str(s)


def test_a_part_of_a_derivative_is_not_written_as_the_whole():
    x = Value(3.0, "x")
    square = x * x
    assert [line for line in str(_last(square)).splitlines() if "+=" in line] == [
        "  ∂y/∂x += ∂y/∂x (operand 1) · ∂y/∂y",
        "  ∂y/∂x += ∂y/∂x (operand 2) · ∂y/∂y",
    ]
    twice = x * (5.0 * x)  # past 5·x, and through it
    assert "∂y/∂x += ∂y/∂x (direct) · ∂y/∂y" in str(_last(twice))
    s = ts.step(twice, names={"y": twice})
    s.next(s.total)
    assert "(direct)" not in str(s)  # of 5·x


def _last(root):
    """The stepper at the first step back through `root`, which is called y."""
    s = ts.step(root, names={"y": root})
    s.to(root)
    s.to(root)
    s.next()
    return s


def test_a_contribution_is_local_gradient_times_upstream():
    for step in ts.step(one_node()):
        for c in step.contributions:
            assert c.amount == c.local_grad * c.upstream
            assert c.grad_after == c.grad_before + c.amount


def test_names_come_from_the_callers_variables():
    w, x = Value(2.0), Value(3.0)
    f = w * x
    s = ts.step(f)
    assert str(s).startswith("f: 1 value to")
    assert s.to("w").node is f


def test_the_letter_of_what_has_no_name_is_nobody_elses():
    v = [Value(float(i), f"v[{i}]") for i in range(5)]
    root = v[2] * 3.0 + v[4].exp()
    assert {ts.step(root, names={}).notation.name(node) for node in topological_order(root)} >= {"v₂", "v₄", "u₃"}


def test_a_value_is_found_by_its_name_as_it_is_printed():
    s = ts.step(one_node())
    assert s.to("z⁽¹⁾").node.label == "z(1)"
    x = Value(2.0, "x")
    s = ts.step(x.exp() * 3.0, names={})
    assert s.to("exp(x)").node.op == "exp"
    assert s.to("v₂").node is s.root
    with pytest.raises(ValueError, match="no value of this graph is called 'v₄'"):
        s.to("v₄")
    s = ts.step(x * 3.0 + x * 3.0, names={})
    with pytest.raises(ValueError, match=r"2 values print as 'x·3': pass the Value itself, or label one of them"):
        s.to("x·3")


def test_the_progress_of_a_value_of_another_graph_is_an_error():
    with pytest.raises(ValueError, match="is not in the graph"):
        ts.step(one_node()).progress(Value(1.0))


def test_to_goes_on_to_what_has_to_do_with_a_value():
    C = one_node()
    s = ts.step(C)
    assert s.to("z(1)").phase == "forward"
    assert s.position == 2
    assert s.to("z(1)").phase == "backward"
    assert [c.operand.label for c in s.current.contributions] == ["z(1)"]
    assert s.to("w(1)") is not None
    assert s.position == s.total
    with pytest.raises(ValueError, match=r"no remaining step involves w⁽¹⁾; reset\(\) starts over"):
        s.to("w(1)")
    assert s.position == s.total


def test_watched_values_are_printed_with_every_step():
    s = ts.step(one_node())
    s.watch("w(1)", "C")
    s.next()
    assert "  w⁽¹⁾: data 0.6, grad 0\n  C: not computed yet" in str(s)
    s.next(10)
    assert "  w⁽¹⁾: data 0.6, grad 0.236015, complete\n  C: data 0.410967, grad 1, complete" in str(s)
    s.watch()
    assert "w⁽¹⁾: data" not in str(s)


def test_the_latex_of_a_step_is_its_equation():
    s = ts.step(one_node())
    s.next(9)
    assert s.current.latex == (
        "\\begin{aligned}\n"
        r"\frac{\partial C}{\partial z^{(1)}} &\mathrel{+}= \frac{\partial a^{(1)}}{\partial z^{(1)}} "
        r"\cdot \frac{\partial C}{\partial a^{(1)}} = \sigma'(z^{(1)}) "
        r"\cdot \frac{\partial C}{\partial a^{(1)}} = 0.2301 \cdot 1.28213 = 0.295019"
        "\n\\end{aligned}"
    )


READ = [
    ("2/√π", "2/sqrt(pi)"), ("tan²({0})", "tan({0})**2"), ("tanh²({0})", "tanh({0})**2"), ("σ′", "sigmoid_slope"),
    ("′", "_slope"), ("π", "pi"),
    ("σ", "sigmoid"), ("√", "sqrt"), ("{0}²", "{0}**2"), ("{1}²", "{1}**2"), ("{2}²", "{2}**2"), ("{0}⁻³", "{0}**-3"),
    (")²", ")**2"), (")³", ")**3"), ("·", "*"),
    ("−", "-"), ("^", "**"), ("≥", ">="), ("≠", "!="), (" = 0", " == 0"), ("[", "("), ("]", ")"),
]  # fmt: skip


@pytest.mark.parametrize("name", [*ops.OPERATIONS, "**2", "**-2", "**0.5", "**1", "**0", "leaky_relu(0.1)"])
def test_what_a_slope_prints_is_what_it_is(name):
    row = ops.operation(name)
    assert len(row.slopes) == row.arity
    x = [0.3, 0.7, 0.4][: row.arity] if name != "acosh" else [1.3]
    language = {**vars(math), **vars(elementary), **vars(activations)}
    language["sign"] = lambda z: math.copysign(1.0, z)
    for text, local_grad in zip(row.slopes, row.local_grads(row.forward(*x), *x)):
        for sign, python in READ:
            text = text.replace(sign, python)
        assert eval(text.format(*x), language) == pytest.approx(local_grad, rel=1e-14)


# --- gradients that were there before, or come between ---------------------------------------------------------------


def test_gradients_from_before_are_added_to_and_reported_at_the_end():
    q = Value(3.0, "q")
    f = q * q
    for end in ("as after backward()", "as after backward(), on top of what 1 of the leaves held before"):
        s = ts.step(f)
        assert ("1 leaf already holds a gradient" in " ".join(str(s).split())) == ("on top" in end)
        s.next(99)
        assert " ".join(str(s).split()).endswith(f"done: every gradient is complete, {end}")
    assert q.grad == 12.0


@pytest.mark.parametrize("disturb", [Value.zero_grad, Value.backward, lambda C: ts.step(C).next(99)])
def test_a_gradient_that_something_else_changed_is_an_error_that_changes_nothing(disturb):
    C = one_node()
    s = ts.step(C)
    s.next(8)
    disturb(C)
    before = [node.grad for node in s.nodes]
    with pytest.raises(ValueError, match=r"after the steps so far: .*; reset\(\) starts over"):
        s.next(9)
    assert s.position == 8
    assert [node.grad for node in s.nodes] == before
    s.reset()
    s.next(99)


@given(PROGRAM, LEAVES)
def test_what_prints_is_no_wider_than_80_columns(program, numbers):
    values = [Value(number, "a name of many letters, which is cut off" * (i % 2)) for i, number in enumerate(numbers)]
    root = result_of(program, ts, values)
    if root.operands:
        s = ts.step(root, names={"C": root})
        for _ in s:
            assert max(map(len, str(s).splitlines())) <= 80


def test_values_of_several_examples_are_kept_apart():
    net = ts.MLP(1, [1], "sigmoid", seed=0)
    C = sum(net([x]) for x in (1.0, 3.0))
    s = ts.step(C)
    assert "z⁽¹⁾₀⟨1⟩ = " in str(s.to("z(1)[0]⟨1⟩"))
    with pytest.raises(ValueError, match=r"2 values are called 'a\(0\)\[0\]': .* one of a\(0\)\[0\]⟨0⟩ to "):
        s.to("a(0)[0]")


def test_a_step_beyond_the_last_says_that_none_is_left():
    s = ts.step(one_node())
    last = s.next(99)
    words = "no step is left"
    for shown in (str, repr, Step._repr_latex_):
        assert words not in shown(last)
        assert words in shown(s.next())
        assert words in shown(s.next(3))
        assert words not in shown(s.next(0))
    assert s.next().latex == last.latex
    assert list(s) == []
    s.back()
    assert words not in str(s.next())

"""The picture of a stepper: what is not yet computed is hidden, the step is marked, boxes stay where they are."""

import re

import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.viz.marks import MARKED, READABLE


def one_node():
    w, a, b, y = Value(0.6, "w"), Value(0.8, "a"), Value(0.1, "b"), Value(0.0, "y")
    C = ((w * a + b).sigmoid() - y) ** 2
    C.label = "C"
    return C


def boxes(stepper):
    """The lines of the values in the DOT source: v0, v1, … in topological order."""
    source = ts.draw(stepper).source
    return {int(i): line for i, line in re.findall(r"^\tv(\d+) \[(.*)$", source, flags=re.MULTILINE)}


def test_data_is_hidden_until_it_is_computed():
    s = ts.step(one_node())
    for position in range(len(s.nodes)):
        hidden = [i for i, line in boxes(s).items() if ">·<" in line]
        assert hidden == [i for i, node in enumerate(s.nodes) if node.op][position:]
        s.next()


def test_the_value_of_the_step_is_marked_and_in_the_backward_phase_its_operands():
    s = ts.step(one_node())
    assert MARKED not in ts.draw(s).source
    for step in s:
        marked = {i: line for i, line in boxes(s).items() if f'color="{MARKED}"' in line}
        assert [s.nodes[i] for i, line in marked.items() if "penwidth=4" in line] == [step.node]
        operands = {c.operand for c in step.contributions}
        assert {s.nodes[i] for i, line in marked.items() if "penwidth=4" not in line} == operands


def test_the_edges_are_marked_the_way_that_the_step_goes():
    s = ts.step(one_node())
    n_operations = sum(bool(node.op) for node in s.nodes)
    for step in s:
        marked = [line for line in ts.draw(s).source.splitlines() if "->" in line and MARKED in line]
        passes = s.position <= n_operations or step.contributions
        assert len(marked) == (len(step.node.operands) + 1 if passes else 0)
        assert all(("dir=back" in line) == (step.phase == "backward") for line in marked)


def test_a_gradient_says_of_how_many_contributions_it_is_the_sum_so_far():
    x = Value(3.0, "x")
    s = ts.step((x * 2.0) * (x + 1.0))
    assert "grad 0/" not in "".join(boxes(s).values())
    told = []
    while s.position < s.total:
        s.next()
        told.append(re.search(r">(grad[ \d/]*)<", boxes(s)[0])[1])
    assert told == ["grad"] * 3 + ["grad 0/2"] * 2 + ["grad 1/2", "grad"]


def test_the_boxes_stay_where_they_are_from_step_to_step():
    s = ts.step(one_node())
    places = set()
    for _ in s:
        polygons = re.findall(
            r'class="node">\s*<title>v\d+</title>.*?<text[^>]* x="([-\d.]+)"', ts.draw(s).svg, re.DOTALL
        )
        places.add(tuple(polygons))
    assert len(places) == 1


@pytest.mark.parametrize("position", [0, 5, 150, 320, 400])
def test_of_a_large_graph_what_is_around_the_step_is_drawn(position):
    total = Value(0.0, "x0")
    for i in range(1, 101):
        total = total + Value(1.0, f"x{i}") * total
    s = ts.step(total)
    s.next(position)
    center = s.current.node if s.current else total
    drawn = {s.nodes[i] for i in boxes(s)}
    users = {node for node in s.nodes if center in node.operands}
    assert {center, *center.operands} | users <= drawn
    assert len(drawn) < READABLE < len(s.nodes)


@pytest.mark.parametrize("position", range(0, 400, 7))
def test_in_a_part_of_a_graph_every_box_has_an_arrow_and_every_operation_all_its_operands(position):
    total = Value(0.0, "x0")
    for i in range(1, 51):
        total = ts.sin(total * 1.5) + Value(1.0, f"x{i}") * total / (2.0 + total**2)
    s = ts.step(total)
    s.next(position)
    drawn = {s.nodes[i] for i in boxes(s)}
    assert len(drawn) < READABLE < len(s.nodes)
    source = ts.draw(s).source
    arrows = re.findall(r"(\w+) -> (\w+)", source)
    assert {f"v{i}" for i in boxes(s)} <= {end for arrow in arrows for end in arrow}
    for operation in re.findall(r"^\s*(o\d+) \[", source, re.MULTILINE):
        assert [to for _, to in arrows].count(operation) == len(s.nodes[int(operation[1:])].operands)


def test_the_names_are_the_steppers():
    w = Value(2.0)
    s = ts.step(w * 3.0, names={"weight": w})
    assert "weight" in ts.draw(s).source

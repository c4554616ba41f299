"""`draw`: every value is a box with its data and gradient, every operation a node before its result."""

import re
from xml.etree import ElementTree

import pytest
from programs import BINARY, UNARY
from support.pictures import SVG, TOOLTIP, edges, groups, one_node, texts, without_spaces

import tinygrad_scalar as ts
from tinygrad_scalar import Value, functions
from tinygrad_scalar.engine import ops, record
from tinygrad_scalar.engine.errors import StaleGraphError
from tinygrad_scalar.engine.graph import topological_order
from tinygrad_scalar.viz.drawing import DIRECTIONS, Drawing, draw


def square():
    x = Value(3.0)
    return x * x


def shared():
    x, y = Value(2.0), Value(-3.0)
    total = x + y
    return (total * x - y / total) ** total


def network():
    return ts.squared_error(ts.MLP(2, [2, 2], "tanh", seed=0)([0.5, -1.0]), [0, 1])


GRAPHS = {
    "a leaf": lambda: Value(1.0),
    "one node": one_node,
    "a value with itself": square,
    "shared": shared,
    "three operands": lambda: ts.where(ts.greater(Value(1.0), 2.0), Value(3.0), Value(4.0)),
    "network": network,
}


@pytest.mark.parametrize("build", GRAPHS.values(), ids=GRAPHS)
def test_every_value_is_a_box_and_every_operation_a_node_between_its_operands_and_its_result(build):
    root = build()
    drawing = draw(root, names={}, fold=None)
    nodes = topological_order(root)
    number = {node: i for i, node in enumerate(nodes)}
    computed = [node for node in nodes if node.op]
    assert sorted(groups(drawing)) == sorted(
        [f"v{i}" for i in number.values()] + [f"o{number[node]}" for node in computed]
    )
    for node in computed:
        operation, result = f"o{number[node]}", f"v{number[node]}"
        assert [edge for edge in edges(drawing) if edge[0] == operation] == [(operation, result)]
        into = [tail for tail, head in edges(drawing) if head == operation]
        assert into == [f"v{number[operand]}" for operand in node.operands]
    assert len(groups(drawing, "edge")) == len(set(edges(drawing)))


def test_a_value_times_itself_has_two_edges():
    assert edges(draw(square(), names={})) == [("o1", "v1"), ("v0", "o1"), ("v0", "o1")]


NUMBERS = [0.0, -0.0, 1.0, -2.5, 1 / 3, 123456789.0, 1e300, -5e-324, float("inf"), float("-inf"), float("nan")]


@pytest.mark.parametrize("data", NUMBERS)
def test_each_box_shows_data_and_gradient_shortened_and_its_tooltip_in_full(data):
    x = Value(data, "x")
    x.grad = -data
    box = groups(draw(x))["v0"]
    numbers = [f"{number:.4g}".replace("-", "−") for number in (data, -data)]
    assert texts(box)[-4:] == ["data", numbers[0], "grad", numbers[1]]
    assert [a.get(TOOLTIP) for a in box.iter(f"{SVG}a")] == [f"leaf x: data = {data!r}, grad = {-data!r}"]


def test_the_gradients_drawn_are_those_of_the_last_backward_pass():
    x = Value(3.0, "x")
    y = x * x
    before = texts(groups(draw(y))["v0"])
    y.backward()
    assert (before[-1], texts(groups(draw(y))["v0"])[-1]) == ("0", "6")


def test_every_operation_of_the_table_is_drawn_with_its_sign():
    x, y, c = Value(0.5), Value(0.25), Value(1.0)
    results = [getattr(functions, name)(x) for name in UNARY]
    results += [getattr(functions, name)(x, y) for name in BINARY]
    results += [x + y, x - y, x * y, x / y, x**y, -x, x**2, x**-0.5, ts.where(c, x, y), ts.leaky_relu(x)]
    for name in set(ops.OPERATIONS) - {result.op for result in results}:  # those without a function
        results.append(record(name, *[x, y, c][: ops.OPERATIONS[name].arity]))
    root = sum(results)
    drawn = groups(draw(root, names={}, fold=None))
    for i, node in enumerate(topological_order(root)):
        if node.op:
            assert texts(drawn[f"o{i}"]) == [without_spaces(ops.operation(node.op).symbol)]


def test_the_tooltip_of_an_operation_writes_it_out():
    w, a = Value(0.5, "w"), Value(2.0, "a")
    (anchor,) = groups(draw(w * a + 0.25))["o2"].iter(f"{SVG}a")
    assert anchor.get(TOOLTIP) == "w·a"


def test_drawing_changes_nothing_and_repeats_itself():
    root = one_node()
    root.backward()
    before = [(node.data, node.grad, node.label) for node in topological_order(root)]
    drawing = draw(root)
    assert drawing.svg == drawing.svg == draw(root).svg
    assert [(node.data, node.grad, node.label) for node in topological_order(root)] == before


def test_jupyter_shows_the_svg():
    drawing = draw(square())
    assert drawing._repr_svg_() == drawing.svg
    assert repr(drawing).startswith("<Drawing of 2 values")


def test_in_jupyter_a_wide_picture_is_as_wide_as_the_page():
    chain = Value(1.0, "x")
    for _ in range(30):
        chain = chain.tanh()
    drawing = draw(chain, fold=None)
    shown, whole = (ElementTree.fromstring(svg) for svg in (drawing._repr_svg_(), drawing.svg))
    scale = 640.0 / float(whole.get("width")[:-2])
    assert scale < 0.5
    assert shown.get("width") == "640pt"
    assert float(shown.get("height")[:-2]) == round(scale * float(whole.get("height")[:-2]))
    assert shown.get("viewBox") == whole.get("viewBox")


# --- direction -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_root_lies_where_the_direction_points(direction):
    x = Value(1.0, "x")
    drawn = groups(draw(x.exp(), direction=direction))
    (x0, y0), (x1, y1) = (
        [float(drawn[title].find(f".//{SVG}text").get(axis)) for axis in "xy"] for title in ("v0", "v1")
    )
    ahead = {"LR": x1 - x0, "RL": x0 - x1, "TB": y1 - y0, "BT": y0 - y1}[direction]
    assert ahead > 20


@pytest.mark.parametrize("direction", ["lr", "up", "", None, ["LR"]])
def test_another_direction_is_refused_with_the_four_there_are(direction):
    with pytest.raises(ValueError, match="LR, TB, RL, BT"):
        draw(Value(1.0), direction=direction)


# --- what cannot be drawn --------------------------------------------------------------------------------------------


def test_a_stale_graph_is_refused_until_it_is_recomputed():
    x = Value(2.0, "x")
    y = x * x
    x.data = 3.0
    with pytest.raises(StaleGraphError, match="x"):
        draw(y)
    y.forward()
    assert "9" in texts(groups(draw(y))["v1"])


@pytest.mark.parametrize("thing", [3.0, None, "x", [Value(1.0)]], ids=lambda thing: type(thing).__name__)
def test_only_a_value_can_be_drawn(thing):
    with pytest.raises(TypeError, match=type(thing).__name__):
        draw(thing)


def chain(operations):
    x = Value(1.0, "x")
    node = x
    for _ in range(operations):
        node = node + x
    return node


def test_a_graph_too_large_to_read_is_refused_as_a_picture_and_kept_as_dot(tmp_path):
    drawing = draw(chain(3_500), names={}, fold=None)
    for refused in (lambda: drawing.svg, lambda: drawing.png, lambda: drawing.save(tmp_path / "chain.svg")):
        with pytest.raises(ValueError, match=r"3,501 values.*3,000.*\.dot"):
            refused()
    drawing.save(tmp_path / "chain.dot")
    assert [path.name for path in tmp_path.iterdir()] == ["chain.dot"]
    assert len(re.findall(r"^\tv\d+ \[label", (tmp_path / "chain.dot").read_text("utf-8"), re.MULTILINE)) == 3_501
    assert len(edges(drawing)) == 10_500


def test_draw_returns_a_drawing():
    assert isinstance(ts.draw(Value(1.0)), Drawing)

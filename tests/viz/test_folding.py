"""Large graphs are folded, or drawn in part, so that the picture can be read; it says what it leaves out."""

import re
from xml.etree import ElementTree

import pytest
from support.pictures import SVG, TOOLTIP, edges, groups, one_node, texts

import tinygrad_scalar as ts
from tinygrad_scalar import Value, draw
from tinygrad_scalar.engine.graph import topological_order
from tinygrad_scalar.inspection.names import names_of
from tinygrad_scalar.inspection.structure import structure_of
from tinygrad_scalar.viz.folding import SMALL
from tinygrad_scalar.viz.view import LEVELS, View


def network(*sizes, activation="sigmoid"):
    net = ts.MLP(sizes[0], list(sizes[1:]), activation, seed=0)
    C = ts.squared_error(net([0.1 * k for k in range(sizes[0])]), [0.5] * sizes[-1] if sizes[-1] > 1 else 0.5)
    C.label = "C"
    C.backward()
    return C


def batch(m):
    net = ts.MLP(2, [3, 1], seed=0)
    return ts.cost(ts.squared_error, [net([0.1 * i, 1.0]) for i in range(m)], [0.0] * m)


def attention():
    x = [[Value(0.1 * (t - k), f"x[{t},{k}]") for k in range(2)] for t in range(3)]
    weights = {c: [[Value(0.3 * (j + k), f"w{c}[{j},{k}]") for k in range(2)] for j in range(2)] for c in "qkv"}
    with ts.group("attention"):
        made = {}
        for c, name in zip("qkv", ("queries", "keys", "values")):
            with ts.group(name):
                made[c] = [[ts.dot(row, token) for row in weights[c]] for token in x]
        out = []
        for q in made["q"]:
            with ts.group("token"):
                scores = ts.softmax([ts.dot(q, k) for k in made["k"]])
                out += [ts.dot(scores, [v[j] for v in made["v"]]) for j in range(2)]
    return ts.sum([value**2 for value in out])


def recurrent():
    w, u = Value(0.5, "w"), Value(0.3, "u")
    h = Value(0.0, "h")
    for t in range(12):
        h = (w * Value(0.1 * t, f"x[{t}]") + u * h).tanh()
    return h


def chain(n):
    x = Value(1.0, "x")
    node = x
    for _ in range(n):
        node = node.tanh() * x
    return node


def long_sum(n):
    values = [Value(0.1 * k) for k in range(n)]
    return sum(values[1:], values[0])


LARGE = {
    "3-4-2": lambda: network(3, 4, 2),
    "4-8-3": lambda: network(4, 8, 3, activation="tanh"),
    "20-30-10": lambda: network(20, 30, 10),
    "12 layers": lambda: network(3, *[4] * 12),
    "three examples": lambda: batch(3),
    "fifty examples": lambda: batch(50),
    "attention": attention,
    "recurrent": recurrent,
    "a chain": lambda: chain(40),
    "a long sum": lambda: long_sum(500),
    "a deep chain": lambda: chain(5_000),
}


def says(drawing):
    """The line about the picture, or ""."""
    root = ElementTree.fromstring(drawing.svg)
    (graph,) = (g for g in root.iter(f"{SVG}g") if g.get("class") == "graph")
    return " ".join(text.text for text in graph.findall(f"{SVG}g/{SVG}text") if text.text) or " ".join(
        text.text for text in graph.findall(f"{SVG}text")
    )


@pytest.mark.parametrize("build", LARGE.values(), ids=LARGE)
def test_text_has_10_pixels_on_a_page_of_900_and_the_picture_says_what_it_leaves_out(build):
    root = build()
    drawing = draw(root, names={})
    svg = ElementTree.fromstring(drawing.svg)
    scale = min(1.0, 900 / (float(svg.get("width")[:-2]) * 4 / 3))
    sizes = [float(text.get("font-size")) for text in svg.iter(f"{SVG}text")]
    assert min(sizes) * 4 / 3 * scale >= 10
    n = len(topological_order(root))
    assert f"{n:,} values" in says(drawing)
    assert re.search("folded|nearest", says(drawing))
    assert len(drawing.svg) < 300_000


@pytest.mark.parametrize("build", [one_node, lambda: network(2, 2)], ids=["one node", "2-2"])
def test_a_small_graph_is_drawn_whole(build):
    root = build()
    n = len(topological_order(root))
    assert n <= SMALL
    drawing = draw(root, names={})
    assert drawing.source == draw(root, names={}, fold=None).source
    assert says(drawing) == ""
    assert sum(title[0] == "v" for title in groups(drawing)) == n


# --- what is folded --------------------------------------------------------------------------------------------------


def view_of(root, level, **options):
    nodes = topological_order(root)
    return View(structure_of(nodes, names_of(nodes, {})), level, **options)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("build", LARGE.values(), ids=LARGE)
def test_every_value_is_in_one_box_and_the_arrows_are_those_of_the_graph(build, level):
    root = build()
    view = view_of(root, level)
    boxes = view.everything()
    drawn = [i for box in boxes for i in (box.part.members if box.part else [box.value])]
    assert sorted(drawn) == [*range(len(view.structure.nodes))]
    between = {
        (view.box(o).title, view.box(i).title)
        for i, operands in enumerate(view.structure.operands)
        for o in operands
        if view.box(o) is not view.box(i)
    }
    assert {(below.title, box.title) for box in boxes for below in view.below(box)} == between
    assert {(box.title, above.title) for box in boxes for above in view.above(box)} == between


def test_a_network_folded_to_neurons_has_a_frame_for_each_layer_and_a_box_for_each_neuron():
    drawing = draw(network(3, 4, 2), names={}, fold="neuron")
    frames = groups(drawing, "cluster")
    assert ["".join(texts(frame)) for frame in frames.values()] == ["layer2(2×4)", "layer1(4×3)"]
    neurons = {title: texts(group) for title, group in groups(drawing).items() if title[0] == "f"}
    assert sorted(text[0] for text in neurons.values()) == sorted(
        [f"a⁽¹⁾{j}" for j in "₀₁₂₃"] + [f"a⁽²⁾{j}" for j in "₀₁"]
    )
    assert {tuple(text[1:3]) for text in neurons.values()} == {("neuron", "σ(Σwₖaₖ+b)")}
    into = [tail for tail, head in edges(drawing) if head in neurons]
    assert len(into) == 3 * 4 + 4 * 2
    assert says(drawing) == "82 values; folded: neurons"


def test_a_network_folded_to_layers_shows_their_names_shapes_and_sizes():
    drawing = draw(network(3, 4, 2), names={}, fold="layer")
    layers = [texts(group) for title, group in groups(drawing).items() if title[0] == "f"]
    assert [text[:3] for text in layers] == [["layer1", "σ(W·a+b)", "W:4×3"], ["layer2", "σ(W·a+b)", "W:2×4"]]
    assert [text[-1] for text in layers] == ["44values", "28values"]
    assert says(drawing) == "82 values; folded: layers"


def test_a_layer_shows_the_range_of_its_numbers():
    C = network(3, 4, 2)
    drawing = draw(C, names={}, fold="layer")
    outputs = [node for node in topological_order(C) if node.label.startswith("a(1)")]
    (first,) = [texts(group) for title, group in groups(drawing).items() if "layer1" in texts(group)]
    for what, numbers in (("data", [n.data for n in outputs]), ("grad", [n.grad for n in outputs])):
        ends = [f"{number:.2g}".replace("-", "−") for number in (min(numbers), max(numbers))]
        assert first[first.index(what) + 1] == "…".join(ends)


def test_a_long_sum_is_one_operation_with_all_its_terms():
    x = [Value(float(k), f"x[{k}]") for k in range(5)]
    drawing = draw(sum(x[1:], x[0]), names={}, fold="sum")
    (operation,) = (title for title in groups(drawing) if title[0] == "o")
    assert texts(groups(drawing)[operation]) == ["Σ"]
    assert sum(head == operation for _, head in edges(drawing)) == 5


def test_a_sum_of_a_term_with_itself_has_an_arrow_for_each_time():
    x, y = Value(1.0, "x"), Value(2.0, "y")
    drawing = draw(x + x + y, names={}, fold="sum")
    assert sorted(tail for tail, head in edges(drawing) if head.startswith("o")) == ["v0", "v0", "v2"]


def test_many_inputs_are_one_box():
    drawing = draw(network(50, 4, 1), names={}, fold="layer")
    (inputs,) = [texts(group) for title, group in groups(drawing).items() if title[0] == "m"]
    assert (inputs[0], inputs[-1]) == ("a⁽⁰⁾₀…a⁽⁰⁾₄₉", "50inputs")


def test_groups_are_boxes_or_frames():
    folded = draw(attention(), names={}, fold="layer")
    (box,) = [texts(group) for title, group in groups(folded).items() if title[0] == "f"]
    assert box[:3] == ["attention", "group", "6in→6out"]
    framed = draw(attention(), names={}, fold=None)
    frames = ["".join(texts(frame)) for frame in groups(framed, "cluster").values()]
    assert sorted(frames) == ["attention", "keys", "queries", "token‹0›", "token‹1›", "token‹2›", "values"]


def test_the_least_folded_readable_picture_opens_the_outer_groups():
    drawing = draw(attention(), names={})
    assert ["".join(texts(frame)) for frame in groups(drawing, "cluster").values()] == ["attention"]
    folded = [texts(group)[0] for title, group in groups(drawing).items() if title[0] == "f"]
    assert {"queries", "keys", "values"} <= set(folded)


# --- a part of the graph ---------------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_of_a_large_graph_without_structure_what_is_nearest_to_the_root_is_drawn():
    root = chain(100_000)
    drawing = draw(root, names={})
    n = len(topological_order(root))
    drawn = [title for title in groups(drawing) if title[0] == "v"]
    assert f"v{n - 1}" in drawn
    assert f"v{n - 2}" in drawn
    assert len(drawn) < 20
    assert says(drawing) == f"{len(drawn)} of {n:,} values: those nearest to the root"


def test_a_depth_beyond_the_graph_is_all_of_it_at_once():
    C = network(3, 4, 2)
    assert draw(C, depth=10**15).source == draw(C, depth=1000).source


def test_around_and_depth_choose_what_is_near_a_value():
    x = Value(0.5, "x")
    values = [x]
    for k in range(1, 8):
        values.append(values[-1].tanh())
        values[-1].label = f"t{k}"
    drawing = draw(values[-1], around="t4", depth=2)
    assert sorted(title for title in groups(drawing) if title[0] == "v") == ["v2", "v3", "v4", "v5", "v6"]
    assert says(drawing) == "5 of 8 values: those nearest to t4"
    assert {tail for tail, head in edges(drawing) if head == "v2"} == {"c_v2"}  # it was computed from something
    assert ("v6", "u_v6") in edges(drawing)  # and something is computed from this
    from_root = draw(values[-1], depth=1)
    assert sorted(title for title in groups(from_root) if title[0] == "v") == ["v6", "v7"]


def test_wrt_shows_what_depends_on_a_value_and_the_leaves_beside_it():
    w, a, b, y = (Value(0.1 * k, name) for k, name in enumerate(["w", "a", "b", "y"]))
    left = (w * a).tanh()
    other = (y * 2.0).exp()
    C = left * other + b
    C.label = "C"
    drawing = draw(C, wrt="w", names={})
    nodes = topological_order(C)
    shown = {nodes[int(title[1:])] for title in groups(drawing) if title[0] == "v"}
    assert shown == {w, a, left.operands[0], left, C.operands[0], C, b}
    assert says(drawing) == "7 of 11 values: those between w and C"
    assert edges(draw(C, wrt=w, names={})) == edges(drawing)


def test_a_value_that_is_asked_for_is_not_folded():
    C = network(3, 4, 2)
    for asked in ({"around": "w(1)[2,1]"}, {"wrt": "w(1)[2,1]"}):
        for fold in ("auto", "sum", "neuron", "layer"):
            assert "w⁽¹⁾₂₁" in [texts(group)[0] for group in groups(draw(C, fold=fold, **asked)).values()]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"fold": "all"}, ValueError, '"auto", "sum", "neuron", "layer" or None'),
        ({"fold": 1}, ValueError, "fold must be"),
        ({"depth": 0}, ValueError, "depth must be a positive integer"),
        ({"around": "nothing"}, ValueError, "no value of this graph is called"),
        ({"wrt": Value(1.0, "elsewhere")}, ValueError, "elsewhere is not in the graph"),
        ({"around": 3}, TypeError, "a Value of this graph or its name"),
        ({"hide_constants": "yes"}, TypeError, "hide_constants must be True or False, got 'yes'"),
        ({"hide_constants": 1}, TypeError, "hide_constants must be True or False, got 1"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(options, error, words):
    with pytest.raises(error, match=re.escape(words)):
        draw(one_node(), **options)


@pytest.mark.parametrize("fold", ["auto", "sum", "neuron", "layer", None])
def test_around_beside_all_that_depends_on_wrt_is_refused(fold):
    h = Value(1.0, "h0")
    for k in range(1, 8):
        h = (h * Value(0.5, f"w{k}") + Value(0.1, f"x{k}")).tanh()
        h.label = f"h{k}"
    for depth in (None, 1, 30):
        with pytest.raises(ValueError, match=r"x1 \(around\) does not depend on h3 \(wrt\)"):
            draw(h, fold=fold, around="x1", wrt="h3", depth=depth, names={})
    for around in ("x4", "h3", "h5", "h7"):  # a leaf beside, the value itself, one above it, the root
        assert len(groups(draw(h, fold=fold, around=around, wrt="h3", names={}))) > 1


def test_a_steppers_picture_is_not_folded():
    with pytest.raises(TypeError, match="draw its root"):
        draw(ts.step(one_node()), fold=None)


# --- constants, numbers that are not finite, signs -------------------------------------------------------------------

HIDDEN = {
    "a − number": (lambda x: x - 1, "−1"),
    "number − a": (lambda x: 1 - x, "1−"),
    "product": (lambda x: 2.5 * x, "2.5×"),
    "quotient": (lambda x: 1 / x, "1÷"),
    "function": (lambda x: ts.maximum(x, -2), "max(·,−2)"),
}


@pytest.mark.parametrize(("build", "sign"), HIDDEN.values(), ids=HIDDEN)
def test_hidden_constants_stand_in_the_box_of_their_operation(build, sign):
    root = build(Value(0.5, "x"))
    drawing = draw(root, names={}, hide_constants=True)
    place = len(topological_order(root)) - 1
    assert texts(groups(drawing)[f"o{place}"]) == [sign]
    assert sum(title[0] == "v" for title in groups(drawing)) == 2


def test_only_numbers_in_a_formula_are_hidden():
    x, unnamed = Value(0.5, "x"), Value(2.0)
    drawing = draw(x * unnamed + 1, names={}, hide_constants=True)
    assert sum(title[0] == "v" for title in groups(drawing)) == 4


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_red_and_has_a_sign(number):
    x, y = Value(1.0, "x"), Value(number, "y")
    x.grad = number
    drawn = groups(draw(x * 2.0, names={}))
    red = [t.text for t in drawn["v0"].iter(f"{SVG}text") if t.get("fill") == "#b91c1c"]
    assert red == ["‼", f"{number:.4g}".replace("-", "−")]
    assert "‼" in texts(groups(draw(y))["v0"])
    assert not any("‼" in texts(group) for title, group in drawn.items() if title != "v0")


def test_a_folded_part_is_marked_if_one_of_its_numbers_is_not_finite():
    net = ts.MLP(3, [4, 2], seed=0)
    net.layers[0].neurons[1].b.data = float("inf")
    net.layers[0].neurons[2].b.data = float("nan")
    drawn = groups(draw(ts.squared_error(net([1.0, 2.0, 3.0]), [0, 1]), names={}, fold="layer"))
    (first,) = (texts(group) for group in drawn.values() if "layer1" in texts(group))
    assert first[0] == "‼"
    assert first[first.index("data") + 1] == "nan"


@pytest.mark.parametrize("fold", LEVELS)
def test_there_is_one_minus_sign(fold):
    C = network(3, 4, 2)
    assert not any("-" in text.text for text in ElementTree.fromstring(draw(C, fold=fold).svg).iter(f"{SVG}text"))


HOSTILE = [
    "<script>alert(1)</script>",
    'a "quoted" name',
    "]]>",
    "\\N \\G \\L",
    "a\u202eb",
    "two\nlines",
    "</table>&amp;",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_groups_layers_and_neurons_show_as_text(name):
    x = [Value(1.0, f"x{k}") for k in range(2)]
    with ts.group(name):
        inner = (x[0] * Value(0.5, f"w{name}[0]") + x[1] * Value(0.5, f"w{name}[1]")).tanh()
    inner.label = name
    root = inner * 2
    plain = "".join(name.replace("\n", "\\n").replace("\u202e", "\\u202e").split())
    for fold, kind in ((None, "cluster"), ("layer", "node"), ("neuron", "node")):
        drawing = draw(root, names={}, fold=fold)
        assert any(plain in "".join(texts(group)) for group in groups(drawing, kind).values()), fold
        assert not list(ElementTree.fromstring(drawing.svg).iter(f"{SVG}script"))
    drawing = draw(root, names={}, around=inner, depth=1)
    anchors = [a.get(TOOLTIP) for a in ElementTree.fromstring(drawing.svg).iter(f"{SVG}a")]
    assert any("".join(tooltip.split()).startswith(f"value{plain}") for tooltip in anchors if tooltip)


@pytest.mark.thorough
def test_a_png_has_at_most_16_million_pixels():
    png = draw(network(8, 12, 6), names={}, fold=None).png
    width, height = (int.from_bytes(png[k : k + 4], "big") for k in (16, 20))
    assert 10e6 < width * height < 16.5e6


@pytest.mark.thorough
def test_a_network_of_300_000_values_is_a_small_picture():
    net = ts.MLP(784, [128, 10], output_activation="linear", seed=0)
    drawing = draw(ts.cross_entropy(net([k / 784 for k in range(784)]), 3), names={})
    assert len(drawing.svg) < 300_000
    shown = ["".join(texts(group)) for group in groups(drawing).values()]
    assert any("W:128×784" in text for text in shown)
    assert any("784inputs" in text for text in shown)

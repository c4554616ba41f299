"""`viz.network`: a network as in the notes' figures; what its lines and texts say is so."""

import math
import re
from xml.etree import ElementTree

import pytest
from support.pictures import SVG

import tinygrad_scalar as ts
from tinygrad_scalar.inspection.notation import unicode_of
from tinygrad_scalar.viz.network_figures import FIGURES, MANY, THICKEST, THINNEST


def picture(net, *arguments, **options):
    return ElementTree.fromstring(ts.viz.network(net, *arguments, **options).svg)


def lines(svg):
    """For each weight by name whether its line is dashed, and how wide it is."""
    found = {}
    for path in svg.iter(f"{SVG}path"):
        title = path.findtext(f"{SVG}title")
        if title:
            style = path.get("style")
            width = float(re.search(r"stroke-width:([\d.]+)", style)[1])
            found[title.split(" = ")[0]] = "dasharray" in style, width
    return found


def words(svg):
    return ["".join(text.itertext()).replace("\u200b", "") for text in svg.iter(f"{SVG}text")]


def trained(*sizes):
    net = ts.MLP(sizes[0], list(sizes[1:]), seed=0)
    ts.squared_error(net([0.5 - k for k in range(sizes[0])]), [0.0] * sizes[-1]).backward()
    return net


@pytest.mark.parametrize("by", ["weights", "gradients"])
def test_a_line_is_as_wide_as_its_weight_or_gradient_is_large_and_dashed_if_it_is_negative(by):
    net = trained(3, 4, 2)
    drawn = lines(picture(net, by=by))
    amounts = {
        unicode_of(w.label): w.data if by == "weights" else w.grad
        for layer in net.layers
        for neuron in layer.neurons
        for w in neuron.w
    }
    largest = max(map(abs, amounts.values()))
    assert drawn.keys() == amounts.keys()
    for name, amount in amounts.items():
        dashed, width = drawn[name]
        assert dashed == (amount < 0)
        assert width == pytest.approx(THINNEST + (THICKEST - THINNEST) * abs(amount) / largest, abs=0.01)


def test_a_small_network_has_the_notes_names_and_the_numbers_of_the_last_call():
    net = trained(3, 4, 2)
    said = words(picture(net))
    assert {"a⁽⁰⁾₂", "a⁽¹⁾₃", "a⁽²⁾₁", "w⁽¹⁾₃₂", "w⁽²⁾₁₃", "C", "y", "3 inputs", "layer 1: sigmoid"} <= set(said)
    assert f"{net.a[2][1].data:.3g}" in said
    assert not any(re.fullmatch(r"[\d.−]+", word) for word in words(picture(ts.MLP(3, [4, 2], seed=0))))


def test_a_network_of_single_neurons_has_names_without_indices():
    said = words(picture(ts.MLP(1, [1, 1], seed=0)))
    assert {"a⁽⁰⁾", "w⁽¹⁾", "a⁽¹⁾", "w⁽²⁾", "a⁽²⁾", "1 input"} <= set(said)


@pytest.mark.parametrize(
    "build", [lambda: ts.Neuron(3, seed=0), lambda: ts.Layer(3, 2, seed=0)], ids=["Neuron", "Layer"]
)
def test_a_neuron_or_a_layer_alone_has_a_picture(build):
    part = build()
    assert len(lines(picture(part))) == sum("w" in p.label for p in part.parameters())


def test_a_layer_says_its_own_number():
    assert {"a⁽²⁾₀", "w⁽³⁾₁₀", "a⁽³⁾₁"} <= set(words(picture(ts.Layer(2, 2, seed=0, layer=3))))


def test_of_many_neurons_the_first_and_last_are_drawn_and_the_rest_counted():
    svg = picture(ts.MLP(784, [128, 10], seed=0))
    said = words(svg)
    assert {"⋮ 775 more", "⋮ 119 more", "a⁽⁰⁾₇₈₃", "a⁽¹⁾₁₂₇", "a⁽²⁾₉", "784 inputs"} <= {
        w.replace(",", "") for w in said
    }
    assert len(list(svg.iter(f"{SVG}circle"))) == (MANY - 1) * 2 + 10


def test_a_weight_that_is_not_finite_is_marked_in_words():
    net = ts.MLP(2, [2, 1], seed=0)
    net.layers[0].neurons[1].w[0].data = math.nan
    svg = picture(net)
    assert "⚠ 1 not finite" in words(svg)
    assert len(lines(svg)) == 6


@pytest.mark.parametrize("sizes", [(1, 1), (3, 4, 2), (2, *[3] * 9)], ids=str)
@pytest.mark.parametrize("figure", FIGURES)
def test_every_figure_of_every_network_is_svg_for_light_and_dark_pages(figure, sizes):
    plot = ts.viz.network(ts.MLP(sizes[0], list(sizes[1:]), seed=0), figure)
    svg = ElementTree.fromstring(plot.svg)
    assert "prefers-color-scheme: dark" in plot.svg
    width = float(svg.get("width"))
    for text in svg.iter(f"{SVG}text"):
        assert 0 <= float(text.get("x")) <= width


FIGURE_SAYS = {
    "forward": ["layer 1", "Z[1] = W[1]A[0] + b[1]", "A[1] = tanh(Z[1])", "W[1]: 4 × 3", "A[2] = Z[2]"],
    "output": ["Z[2] = W[2]A[1] + b[2]", "2 × m", "∂A[2]/∂Z[2]"],
    "backward": ["forward 2", "cache Z[1], A[0]", "backward 1", "dW[2], db[2]", "dA[2]"],
    "training": ["1 feed forward", "2 cost", "3 back propagation", "4 gradient descent", "caches Z, A", "dW, db"],
}


@pytest.mark.parametrize("figure", FIGURE_SAYS)
def test_the_blocks_of_003_have_their_names_shapes_and_caches(figure):
    said = words(picture(ts.MLP(3, [4, 2], "tanh", "linear", seed=0), figure))
    assert set(FIGURE_SAYS[figure]) <= set(said)


def test_the_cost_s_derivative_is_the_chain_of_three():
    assert "∂C/∂W[1] = ∂C/∂A[1] · ∂A[1]/∂Z[1] · ∂Z[1]/∂W[1]" in words(picture(ts.MLP(3, [2], seed=0), "output"))


@pytest.mark.parametrize(
    ("arguments", "options", "error", "text"),
    [
        (["net"], {}, TypeError, "a Neuron, a Layer or an MLP"),
        ([ts.MLP(1, [1]), "circles"], {}, ValueError, "neurons, forward, output, backward, training"),
        ([ts.MLP(1, [1])], {"by": "size"}, ValueError, '"weights" or "gradients"'),
        ([ts.MLP(1, [1])], {"by": "gradients"}, ValueError, "backward"),
    ],
)
def test_other_arguments_are_refused(arguments, options, error, text):
    with pytest.raises(error, match=text):
        ts.viz.network(*arguments, **options)

"""Charts of titles and numbers of any kind: everything stands inside the picture, and nothing on top of other text."""

import math
import re
import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import numpy as np
import pytest

import tinygrad_scalar as ts
from tinygrad_scalar.charts.text import WIDTH, fitted
from tinygrad_scalar.nn.history import History

HOSTILE = '<script>alert(1)</script> & "q" ]]> {x} LIGHT {title} \x00\x1b[31m \u202e ' + "a very long title " * 9
X, Y = np.random.default_rng(0).normal(size=(20, 2)), [0, 1] * 10


def classifier():
    return ts.MLP(2, [3, 1], "tanh", "sigmoid", seed=0)


def with_gradients(*sizes):
    net = ts.MLP(2, [2] * (len(sizes) - 1) + [1], seed=0)
    for layer, size in zip(net.layers, sizes):
        for parameter in layer.parameters():
            parameter.grad = size
    return net


PICTURES = {
    "curve": lambda title: History([1.0, 0.5], [1.1, 0.9]).plot(title=title),
    "boundary": lambda title: ts.plot_decision_boundary(classifier(), X, Y, title=title),
    "flow": lambda title: ts.plot_gradient_flow(with_gradients(1.0, 0.1), title=title),
    "weights": lambda title: ts.plot_weights({title: [1.0, 2.0]}, title=title),
}


def texts(plot):
    """(x at the left, x at the right, text, y) of each text, about; and the picture's left and right."""
    root = ElementTree.fromstring(plot.svg)
    left, _, width, _ = map(float, root.get("viewBox").split())
    found = []
    for text in root.iter("{http://www.w3.org/2000/svg}text"):
        size = WIDTH * (1.25 if text.get("class") == "title" else 1.0)
        x, long = float(text.get("x")), size * len(text.text) * 0.8
        start = x - {"end": long, "middle": long / 2}.get(text.get("text-anchor"), 0.0)
        found.append((start, start + long, text.text, float(text.get("y"))))
    return found, left, left + width


@pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)
def test_a_title_of_any_length_stays_in_the_picture_and_off_other_text(picture):
    found, left, right = texts(picture(HOSTILE))
    assert all(left <= start and end <= right for start, end, _, _ in found)
    on_top = sorted(part[:2] for part in found if part[3] == 24)
    assert all(end <= start for (_, end), (start, _) in pairwise(on_top))


@pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)
def test_a_title_is_text(picture):
    with pytest.raises(TypeError, match="title must be a text, got None"):
        picture(None)


@pytest.mark.parametrize(
    "plot",
    [
        lambda: History([1e9 + 1, 1e9 + 2]).plot(log=True),
        lambda: ts.plot_decision_boundary(classifier(), X * 1e-3 + 1e6, Y),
        lambda: ts.plot_gradient_flow(with_gradients(1.79e308, 1.79e308)),
        lambda: ts.plot_gradient_flow(with_gradients(5e-324, 5e-324)),
        lambda: ts.plot_weights({0: [1e16] * 5, 1: [1e16 + 2]}),
        lambda: ts.plot_weights({0: [5e-324, -5e-324]}),
    ],
)
def test_numbers_of_any_size_stay_in_the_picture(plot):
    found, left, right = texts(plot())
    assert all(left <= start and end <= right for start, end, _, _ in found)
    assert not re.search(r"\b(inf|nan)\b", plot().svg)
    lines = {y: sorted(part[:2] for part in found if part[3] == y) for _, _, _, y in found}
    assert all(end <= start for line in lines.values() for (_, end), (start, _) in pairwise(line))


def test_the_mean_of_the_smallest_gradients_is_no_zero():
    assert "5e−324" in ts.plot_gradient_flow(with_gradients(5e-324, 1.0)).svg.replace("4.94e", "5e")


@pytest.mark.parametrize(("boundary", "error"), [(math.nan, ValueError), ("0.5", TypeError)])
def test_a_boundary_is_a_finite_number(boundary, error):
    with pytest.raises(error, match="boundary must be"):
        ts.plot_decision_boundary(classifier(), X, Y, boundary=boundary)


def test_what_is_no_network_of_two_inputs_is_refused_in_words():
    with pytest.raises(TypeError, match="net must be callable"):
        ts.plot_decision_boundary(None, X, Y)
    with pytest.raises(ValueError, match=r"must have 4 inputs, got 2: \[0\.1257"):
        ts.plot_decision_boundary(ts.MLP(4, [1], seed=0), X, Y)


def test_wide_signs_take_two_places():
    assert (fitted("abcd", 4 * WIDTH), fitted("漢字漢字", 4 * WIDTH)) == ("abcd", "漢…")

"""`plot_decision_boundary`, `plot_gradient_flow`, `plot_weights`: what they show is so, and wrong input is refused."""

import math
import re
from xml.etree import ElementTree

import pytest

import tinygrad_scalar as ts
from tinygrad_scalar.viz.decision_boundary import CELLS, LEFT, SIZE, TOP

SVG = "{http://www.w3.org/2000/svg}"


def texts(plot):
    return [text.text for text in ElementTree.fromstring(plot.svg).iter(f"{SVG}text")]


def half_plane(activation="tanh"):
    """A network that answers by the sign of x₁ alone."""
    net = ts.MLP(2, [1], activation, seed=0)
    for parameter, number in zip(net.parameters(), (1.0, 0.0, 0.0)):
        parameter.data = number
    return net


# --- the decision boundary -------------------------------------------------------------------------------------------


def sides(plot):
    """For each class, the range of pixels across that its areas take."""
    found = {}
    for area in ElementTree.fromstring(plot.svg).iter(f"{SVG}path"):
        match = re.fullmatch(r"area(\d)", area.get("class"))
        if match:
            for left, width in re.findall(r"M(\S+) \S+?h(\S+?)v", area.get("d")):
                low, high = found.get(int(match[1]), (math.inf, -math.inf))
                found[int(match[1])] = min(low, float(left)), max(high, float(left) + float(width))
    return found


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_the_plane_changes_colour_at_the_boundary(activation):
    plot = ts.plot_decision_boundary(half_plane(activation), [[-1.0, 0.0], [1.0, 1.0]], [0, 1])
    middle = LEFT + SIZE / 2
    assert sides(plot) == {0: (LEFT, pytest.approx(middle)), 1: (pytest.approx(middle), LEFT + SIZE)}
    assert "0 of 2 wrong" in texts(plot)


def test_the_areas_fill_the_plane():
    net = ts.MLP(2, [6, 3], "tanh", "linear", seed=1)
    plot = ts.plot_decision_boundary(net, [[-1.0, 0.0], [1.0, 1.0], [0.0, 0.5]], [0, 1, 2])
    strips = re.findall(r"M\S+ (\S+?)h(\S+?)v(\S+?)h", plot.svg)
    assert sum(float(width) for _, width, _ in strips) == pytest.approx(CELLS * SIZE)
    assert min(float(top) for top, _, _ in strips) == TOP


def test_each_example_is_a_sign_and_those_answered_wrongly_are_ringed_and_counted():
    plot = ts.plot_decision_boundary(half_plane(), [[-1.0, 0.0], [1.0, 1.0], [2.0, 0.0]], [1, 1, -1])
    drawn = ElementTree.fromstring(plot.svg)
    signs = [path for path in drawn.iter(f"{SVG}path") if "point" in path.get("class")]
    rings = [ring for ring in drawn.iter(f"{SVG}circle") if ring.get("transform")]
    assert len(signs) == 3 + 2  # the examples, and a legend of two
    assert len(rings) == 2
    assert "2 of 3 wrong" in texts(plot)
    assert {"class −1", "class 1"} <= set(texts(plot))


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "linear"])
def test_classes_can_be_given_by_the_names_that_the_network_has(activation):
    net, X = half_plane(activation), [[-1.0, 0.0], [1.0, 1.0], [2.0, 0.0]]
    with pytest.raises(TypeError, match="must hold numbers"):
        ts.plot_decision_boundary(net, X, ["cat", "<dog>", "cat"])
    net.class_names = ["cat", "<dog>"]
    plot = ts.plot_decision_boundary(net, X, ["cat", "<dog>", "cat"])
    assert {"cat", "<dog>", "1 of 3 wrong"} <= set(texts(plot))
    with pytest.raises(ValueError, match="y has the label 'cow' in row 1"):
        ts.plot_decision_boundary(net, X, ["cat", "cow", "cat"])


def test_a_linear_output_needs_a_boundary():
    net, X = half_plane("linear"), [[-1.0, 0.0], [1.0, 1.0]]
    with pytest.raises(ValueError, match=r"boundary=0 .* logits, boundary=0\.5"):
        ts.plot_decision_boundary(net, X, [0, 1])
    assert "0 of 2 wrong" in texts(ts.plot_decision_boundary(net, X, [0, 1], boundary=0.5))
    assert "0 of 2 wrong" in texts(ts.plot_decision_boundary(net, X, [-1, 1]))


def test_a_network_that_vectorize_cannot_follow_is_asked_point_by_point():
    class Steps:
        def __call__(self, x):
            return ts.Value(1.0) if float(x[0]) > 0.0 else ts.Value(-1.0)

        def parameters(self):
            return [ts.Value(0.0)]

    assert "0 of 2 wrong" in texts(ts.plot_decision_boundary(Steps(), [[-1.0, 0.0], [1.0, 1.0]], [-1, 1]))


def test_gradients_and_parameters_stay_as_they_are():
    net = half_plane()
    net.parameters()[0].grad = 7.0
    ts.plot_decision_boundary(net, [[-1.0, 0.0], [1.0, 1.0]], [0, 1])
    assert [(p.data, p.grad) for p in net.parameters()] == [(1.0, 7.0), (0.0, 0.0), (0.0, 0.0)]


@pytest.mark.parametrize(
    ("X", "y", "error"),
    [
        ([[1.0], [2.0]], [0, 1], "shape \\(m, 2\\)"),
        ([1.0, 2.0], [0, 1], "shape \\(m, 2\\)"),
        ([[1.0, 2.0]], [0, 1], "X has 1 example but Y has 2"),
        ([[1.0, 2.0]], [[0, 1]], "shape \\(m,\\), one class"),
        ([[1.0, 2.0]], [3], "classes 0 and 1, or −1 and 1; got 3"),
        ([[1.0, math.nan]], [0], "finite"),
    ],
)
def test_examples_that_do_not_fit_are_refused(X, y, error):
    with pytest.raises(ValueError, match=error):
        ts.plot_decision_boundary(half_plane(), X, y)


def test_a_class_beyond_the_outputs_is_refused():
    with pytest.raises(ValueError, match="classes from 0 to 2; got 3"):
        ts.plot_decision_boundary(ts.MLP(2, [3], "linear"), [[0.0, 1.0], [1.0, 0.0]], [0, 3])


# --- the gradient flow -----------------------------------------------------------------------------------------------


def test_the_bars_shrink_with_the_gradients_and_the_numbers_are_their_means():
    net = ts.MLP(2, [4, 4, 1], seed=0)
    ((net([0.5, -1.0]) - 1.0) ** 2).backward()
    plot = ts.plot_gradient_flow(net)
    ends = [float(re.search(r"H([\d.]+)V", d)[1]) for d in re.findall(r'area0 bar" d="([^"]+)"', plot.svg)]
    assert ends == sorted(ends)
    for layer in net.layers:
        sizes = [abs(p.grad) for p in layer.parameters()]
        assert f"{sum(sizes) / len(sizes):.3g}".replace("-", "−") in texts(plot)


def test_a_layer_that_nothing_reaches_and_one_with_nan_say_so():
    net = ts.MLP(2, [2, 1], seed=0)
    net.layers[1].parameters()[0].grad = math.nan
    plot = ts.plot_gradient_flow(net)
    assert "⚠ all 0: nothing reaches this layer" in texts(plot)
    assert "⚠ 1 of 3 not finite" in texts(plot)


@pytest.mark.parametrize("grads", [[5e-324] * 3, [1e308] * 3, [1e-300, 1e300, 0.0], [math.inf, 0.0, 0.0]])
def test_gradients_of_any_size_are_drawn(grads):
    net = ts.MLP(2, [1], seed=0)
    for parameter, grad in zip(net.parameters(), grads):
        parameter.grad = grad
    ElementTree.fromstring(ts.plot_gradient_flow(net).svg)


def test_a_network_without_gradients_or_layers_is_refused():
    with pytest.raises(ValueError, match=r"call C\.backward\(\)"):
        ts.plot_gradient_flow(ts.MLP(2, [1]))
    with pytest.raises(TypeError, match="a network with layers"):
        ts.plot_gradient_flow(3)


# --- the weights -----------------------------------------------------------------------------------------------------


def test_a_moment_is_a_histogram_with_its_name():
    plot = ts.plot_weights({"start": [0.0, 1.0, 1.0], "<end>": ts.MLP(1, [3]).parameters()})
    assert plot.svg.count('class="ridge') == 2
    assert {"start", "<end>"} <= set(texts(plot))


def test_of_many_moments_twelve_are_drawn_and_the_picture_says_so():
    plot = ts.plot_weights({epoch: [float(epoch), 1.0] for epoch in range(100)})
    assert plot.svg.count('class="ridge') == 12
    assert {"0", "99", "12 of 100 are drawn"} <= set(texts(plot))


@pytest.mark.parametrize("numbers", [[0.0], [1e300, -1e300], [5e-324], [3.0, 3.0]])
def test_weights_of_any_size_are_drawn(numbers):
    ElementTree.fromstring(ts.plot_weights({0: numbers}).svg)


@pytest.mark.parametrize(
    ("moments", "kind", "error"),
    [
        ([], TypeError, "a dict such as"),
        ({}, TypeError, "a dict such as"),
        ({3: []}, ValueError, r"moments\[3\] must hold finite numbers up to 1e.300, got an empty list"),
        ({3: [math.inf]}, ValueError, r"moments\[3\] must hold finite numbers up to 1e.300, got inf"),
    ],
)
def test_moments_without_numbers_are_refused(moments, kind, error):
    with pytest.raises(kind, match=error):
        ts.plot_weights(moments)

"""`History.plot`: one point per epoch, round ticks inside the plot, well-formed whatever the costs and the title."""

import math
import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import example, given, strategies as st

from tinygrad_scalar import History
from tinygrad_scalar.charts.lines import BOTTOM, LEFT, RIGHT, TOP
from tinygrad_scalar.charts.plot import HEIGHT, WIDTH, Plot
from tinygrad_scalar.screen import printable

SVG = "{http://www.w3.org/2000/svg}"

HISTORIES = {
    "falling": [1.0, 0.5, 0.25, 0.125],
    "rising": [0.1, 10.0, 1000.0],
    "one epoch": [0.7],
    "two epochs": [0.7, 0.6],
    "constant": [3.0] * 5,
    "zero": [0.0] * 5,
    "one epoch of zero": [0.0],
    "down to zero": [1.0, 0.0],
    "huge": [1e308, 1.7e308, 1e-308],
    "tiny": [1e-300, 1e-305],
    "nothing but the smallest float": [5e-324, 5e-324],
    "subnormal": [1e-310, 1e-323],
    "many": [1 / epoch for epoch in range(1, 1001)],
    "negative": [-1.0, -2.5],
    "around zero": [0.5, -0.5],
    "long numbers": [0.1 + 0.2, 1 / 3, 2 / 3],
    "from 9.99 up": [9.99, 10.0, 10.01],
}
histories = pytest.mark.parametrize("costs", HISTORIES.values(), ids=HISTORIES)
COSTS = st.lists(st.floats(0.0, 1.7e308), min_size=1, max_size=50)


def parsed(costs, validation=(), title="Cost"):
    return ElementTree.fromstring(History(list(costs), list(validation)).plot(title=title).svg)


def points(curve):
    return [tuple(map(float, pair.split(","))) for pair in curve.get("points").split()]


def y_ticks(svg):
    """The numbers beside the vertical axis, and where they stand."""
    texts = [text for text in svg.iter(f"{SVG}text") if text.get("text-anchor") == "end"]
    return [float(text.text.replace("−", "-")) for text in texts], [float(text.get("y")) - 4 for text in texts]


def x_ticks(svg):
    texts = [text for text in svg.iter(f"{SVG}text") if text.get("text-anchor") == "middle" and text.text != "epoch"]
    return [float(text.text) for text in texts], [float(text.get("x")) for text in texts]


# --- the curves ------------------------------------------------------------------------------------------------------


def assert_each_epoch_is_a_point_at_its_height(costs):
    (curve,) = parsed(costs).iter(f"{SVG}polyline")
    drawn = points(curve)
    assert len(drawn) == len(costs)
    assert all(LEFT <= x <= WIDTH - RIGHT and TOP <= y <= HEIGHT - BOTTOM for x, y in drawn)
    assert [x for x, _ in drawn] == sorted(x for x, _ in drawn)
    by_cost = [y for _, (_, y) in sorted(zip(costs, drawn))]
    assert by_cost == sorted(by_cost, reverse=True)  # the picture's y runs down


@histories
def test_every_epoch_is_a_point_inside_the_plot_and_a_higher_cost_is_higher(costs):
    assert_each_epoch_is_a_point_at_its_height(costs)


@given(COSTS)
def test_any_costs_are_points_inside_the_plot_in_their_order(costs):
    assert_each_epoch_is_a_point_at_its_height(costs)


@histories
def test_a_point_stands_where_the_ticks_say(costs):
    svg = parsed(costs)
    drawn = points(next(svg.iter(f"{SVG}polyline")))
    numbers, heights = y_ticks(svg)
    if not any(costs):
        assert {y for _, y in drawn} == set(heights)
        return
    if len(numbers) == 1:  # too few floats there for round ticks
        return
    span = numbers[-1] - numbers[0]
    for (_, y), cost in zip(drawn, costs):
        share = cost / span - numbers[0] / span
        assert y == pytest.approx(heights[0] + share * (heights[-1] - heights[0]), abs=0.2)


def test_a_run_of_one_epoch_is_a_dot():
    svg = parsed([0.7])
    (dot,) = svg.iter(f"{SVG}circle")
    assert points(next(svg.iter(f"{SVG}polyline"))) == [(float(dot.get("cx")), float(dot.get("cy")))]
    assert list(parsed([0.7, 0.6]).iter(f"{SVG}circle")) == []


def test_training_and_validation_differ_by_more_than_colour_and_are_named():
    svg = parsed([3.0, 2.0, 1.0], [4.0, 2.5, 2.0])
    training, validation = svg.iter(f"{SVG}polyline")
    assert len(points(training)) == len(points(validation)) == 3
    assert not training.get("stroke-dasharray")
    assert validation.get("stroke-dasharray")
    assert {"training", "validation"} <= {text.text for text in svg.iter(f"{SVG}text")}


def test_without_validation_there_is_one_curve():
    svg = parsed([3.0, 2.0])
    assert len(list(svg.iter(f"{SVG}polyline"))) == 1
    assert "validation" not in {text.text for text in svg.iter(f"{SVG}text")}


def test_the_axis_reaches_to_the_highest_cost_of_either_curve():
    svg = parsed([1.0, 0.5], [1.0, 40.0])
    assert max(y_ticks(svg)[0]) == 40.0
    training, validation = (points(curve) for curve in svg.iter(f"{SVG}polyline"))
    assert validation[-1][1] == TOP
    assert training[-1][1] > HEIGHT - BOTTOM - 10


# --- the ticks -------------------------------------------------------------------------------------------------------


def is_round(step):
    """Whether a number is 1, 2 or 5 times a power of ten."""
    return f"{step:.3e}"[:5] in ("1.000", "2.000", "5.000")


def assert_ticks_are_few_round_and_inside(costs):
    numbers, heights = y_ticks(parsed(costs))
    low, high = min(0.0, *costs), max(costs)
    assert all(TOP - 0.1 <= height <= HEIGHT - BOTTOM + 0.1 for height in heights)
    if high - low < 1e-300:  # zero, or too few floats there for round ones
        return
    assert 4 <= len(numbers) <= 9
    assert numbers == sorted(set(numbers))
    assert all(low - 1e-9 * (high - low) <= number <= high + 1e-9 * (high - low) for number in numbers)
    steps = [after - before for before, after in pairwise(numbers)]
    assert all(is_round(step) for step in steps), numbers


@histories
def test_there_are_four_to_nine_ticks_one_two_or_five_apart_within_the_costs(costs):
    assert_ticks_are_few_round_and_inside(costs)


@given(COSTS)
@example([0.30000000000000004])
@example([1e-323])
def test_any_costs_have_four_to_nine_round_ticks(costs):
    assert_ticks_are_few_round_and_inside(costs)


def test_ticks_of_costs_far_from_zero_and_close_together_can_be_told_apart():
    numbers, _ = y_ticks(parsed([-1000.01, -1000.0]))
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("epochs", [*range(1, 41), 99, 100, 101, 1000, 12_345])
def test_the_epochs_ticks_are_whole_numbers_from_1_to_the_last(epochs):
    numbers, places = x_ticks(parsed([1.0] * epochs))
    assert 1 <= len(numbers) <= 10
    assert len(numbers) == len(set(numbers))
    assert all(number.is_integer() and 1 <= number <= epochs for number in numbers)
    assert all(LEFT <= place <= WIDTH - RIGHT for place in places)
    assert places == sorted(places)


# --- the page --------------------------------------------------------------------------------------------------------


@given(st.text())
@example("<script>\"&'</script>")
@example("]]>&lt;{content}{0}")
@example("\x00\x1b[31m")
@example("\ud800")
@example("\uffff")
def test_any_title_stands_in_the_picture_as_text(title):
    plot = History([1.0, 0.5]).plot(title=title)
    svg = ElementTree.fromstring(plot.svg.encode())
    whole, heading = printable(title), next(svg.iter(f"{SVG}text")).text or ""
    for shown in (svg.get("aria-label"), svg.findtext(f"{SVG}title")):
        assert (shown or "") == whole
    is_beginning = heading.endswith("…") and whole.startswith(heading[:-1])
    assert heading == whole or (len(whole) > 25 and is_beginning)  # longer ones do not fit into the picture


def test_the_picture_has_colours_for_a_light_and_for_a_dark_page():
    style = parsed([1.0, 0.5]).findtext(f"{SVG}style")
    light, dark = style.split("@media (prefers-color-scheme: dark)")
    for part in ("rect", "text", ".grid", ".curve0", ".curve1", ".dot0", ".dot1"):
        assert re.search(rf"{re.escape(part)} {{ (fill|stroke): #", light)
        assert re.search(rf"{re.escape(part)} {{ (fill|stroke): #", dark)


def test_jupyter_shows_the_svg():
    plot = History([1.0]).plot()
    assert plot._repr_svg_() == plot.svg


def test_saving_writes_the_svg(tmp_path):
    plot = History([1.0, 0.5]).plot(title="Cost of 2·x → ∂")
    plot.save(tmp_path / "cost.svg")
    plot.save(str(tmp_path / "COST.SVG"))
    assert (tmp_path / "cost.svg").read_text("utf-8") == plot.svg == (tmp_path / "COST.SVG").read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("cost.png", ValueError),
        ("cost", ValueError),
        ("nowhere/cost.svg", FileNotFoundError),
        ("folder.svg", IsADirectoryError),
    ],
)
def test_a_path_that_cannot_be_written_is_an_error_and_nothing_is_written(name, error, tmp_path):
    (tmp_path / "folder.svg").mkdir()
    with pytest.raises(error, match=re.escape(name)):
        Plot("<svg/>").save(tmp_path / name)
    assert [path.name for path in tmp_path.rglob("*")] == ["folder.svg"]


def test_a_history_without_epochs_is_refused():
    with pytest.raises(ValueError, match="no epochs"):
        History().plot()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_cost_that_is_not_finite_leaves_a_gap_and_is_counted(bad):
    """`fit` refuses a training cost that is not finite, but keeps such a validation cost."""
    svg = parsed([1.0, 0.5, 0.4, 0.3], [2.0, bad, 0.5, 0.4])
    assert [len(points(curve)) for curve in svg.iter(f"{SVG}polyline")] == [4, 1, 2]
    assert "validation, ⚠ 1 not shown" in {text.text for text in svg.iter(f"{SVG}text")}
    assert not re.search(r"\bnan|\binf", ElementTree.tostring(svg, "unicode"))


def test_a_history_whose_costs_are_all_nan_is_refused_and_jupyter_shows_its_text():
    history = History([math.nan, math.inf])
    with pytest.raises(ValueError, match="none of its costs is finite"):
        history.plot()
    assert history._repr_svg_() is None
    assert History()._repr_svg_() is None


# --- the logarithmic axis --------------------------------------------------------------------------------------------


def test_on_a_logarithmic_axis_equal_factors_are_equal_distances():
    svg = ElementTree.fromstring(History([1.0, 0.1, 0.01, 0.001]).plot(log=True).svg)
    heights = [y for _, y in points(next(svg.iter(f"{SVG}polyline")))]
    assert heights == pytest.approx([TOP + i * (HEIGHT - BOTTOM - TOP) / 3 for i in range(4)], abs=0.1)
    numbers, places = y_ticks(svg)
    assert dict(zip(numbers, places)) == pytest.approx(dict(zip([1.0, 0.1, 0.01, 0.001], heights)), abs=0.1)


@given(st.lists(st.floats(5e-324, 1.7e308), min_size=1, max_size=50))
@example([5e-324])
@example([1.1, 1.5])
@example([0.9, 1.1])
@example([1e-300, 1e300])
@example([1.6000000000000002e308])
def test_any_positive_costs_stand_inside_a_logarithmic_plot_with_one_to_nine_ticks(costs):
    svg = ElementTree.fromstring(History(costs).plot(log=True).svg)
    drawn = [y for curve in svg.iter(f"{SVG}polyline") for _, y in points(curve)]
    numbers, places = y_ticks(svg)
    assert all(TOP - 0.1 <= y <= HEIGHT - BOTTOM + 0.1 for y in [*drawn, *places])
    assert 1 <= len(numbers) <= 9
    assert numbers == sorted(set(numbers))


def test_a_cost_of_zero_is_a_gap_on_a_logarithmic_axis_and_costs_of_zero_alone_are_refused():
    svg = ElementTree.fromstring(History([1.0, 0.0]).plot(log=True).svg)
    assert [len(points(curve)) for curve in svg.iter(f"{SVG}polyline")] == [1]
    with pytest.raises(ValueError, match=r"needs a positive cost.*log=False"):
        History([0.0, -1.0]).plot(log=True)


def test_a_long_run_keeps_its_peaks_and_is_a_picture_of_bounded_size():
    costs = [1.0] * 100_000
    costs[77_777], costs[33_333] = 5.0, 0.25
    plot = History(costs).plot()
    (curve,) = ElementTree.fromstring(plot.svg).iter(f"{SVG}polyline")
    heights = {y for _, y in points(curve)}
    assert len(heights) == 3
    assert min(heights) == TOP
    assert len(plot.svg) < 50_000

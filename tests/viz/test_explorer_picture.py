"""The explorer's page in a browser: groups, names and numbers in the picture, and which part of it is on show."""

import math
from xml.etree import ElementTree

import pytest
from support.explorer_graphs import HOSTILE, cost, fresh_gradients, hostile, network, not_finite, two_paths
from support.explorer_pages import MARKS, SIZES, card, on_card, shown, unfolded

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine.graph import topological_order

pytestmark = MARKS


def test_groups_fold_and_unfold(opened):
    root = network()
    page = opened(root)
    neurons = page.locator(".ts-folded")
    assert neurons.count() == 6
    card(page, "neuron a⁽¹⁾₀").click()
    assert card(page, "neuron a⁽¹⁾₀").count() == 0
    assert card(page, "Σ z⁽¹⁾₀").count() == card(page, "w⁽¹⁾₀₀").count() == 1
    page.locator(".ts-frame", has_text="neuron a⁽¹⁾₀").locator("text").click()
    assert card(page, "neuron a⁽¹⁾₀").count() == 1
    page.get_by_role("button", name="Unfold", exact=True).click()
    assert neurons.count() == 0
    assert page.locator(".ts-card").count() == len(topological_order(root))
    page.get_by_role("button", name="Fold", exact=True).click()
    assert sorted(page.locator(".ts-folded .ts-name").all_text_contents()) == ["layer 1", "layer 2"]


def test_the_search_finds_a_value_inside_a_folded_group(opened):
    page = opened(network())
    page.get_by_label("Find a value by name").fill("w(1)[2,1]")
    names = page.locator(".ts-found [role=option]")
    assert names.all_text_contents() == ["w⁽¹⁾₂₁"]
    page.get_by_label("Find a value by name").press("Enter")
    assert page.locator(".ts-selected .ts-name").text_content().startswith("w⁽¹⁾₂₁")
    page.get_by_label("Find a value by name").fill("nobody")
    assert names.all_text_contents() == ["no value has this name"]


def test_a_large_graph_shows_the_neighbourhood_of_its_root(opened):
    x = Value(0.5, "x")
    for _ in range(3000):
        x = x * 0.999 + 0.001
    page = opened(x)
    assert 10 < page.locator(".ts-card").count() < 200
    before = page.locator(".ts-card").first.get_attribute("data-id")
    page.get_by_role("button", name="Fit").click()
    page.locator(".ts-more").first.click()
    assert page.locator(".ts-card").first.get_attribute("data-id") != before


def test_a_graph_goes_downwards_where_its_text_would_be_small_and_that_helps(opened):
    chain = Value(0.5, "x")
    for _ in range(7):
        chain = chain.sin()
    page = opened(chain)
    assert page.evaluate("explorer.direction") == "TB"
    assert page.evaluate("explorer.picture.view.scale") >= 0.8
    assert opened(two_paths()).evaluate("explorer.direction") == "LR"


@pytest.mark.parametrize("direction", ["LR", "TB"])
@pytest.mark.parametrize("sizes", [(3, 4, 2), (5, 2, 3), (2, 6, 6, 2)])
def test_inputs_and_neurons_stand_in_their_order_with_their_edges(opened, sizes, direction):
    net = ts.MLP(sizes[0], [*sizes[1:]], "sigmoid", seed=0)
    page = opened(ts.sum(net([0.5 - 0.75 * i for i in range(sizes[0])])))
    page.evaluate("(way) => { if (explorer.direction !== way) explorer.turn(); }", direction)
    across = "x" if direction == "TB" else "y"
    layers = [[f"a⁽⁰⁾{i}" for i in "₀₁₂₃₄"[: sizes[0]]]]
    layers += [[f"neuron a⁽{layer}⁾{i}" for i in "₀₁₂₃₄₅"[:size]] for layer, size in zip("¹²³", sizes[1:])]
    for names in layers:
        places = [card(page, name).bounding_box()[across] for name in names]
        assert places == sorted(places)
    # every edge begins and ends at the cards that it joins
    far = page.evaluate(
        """() => Math.max(...explorer.shown.edges.flatMap(({ from, to }, k) => {
          const path = explorer.picture.layout.paths[k], cards = explorer.picture.cards;
          return [[cards.get(from), path[0]], [cards.get(to), path.at(-1)]].flatMap(([card, [x, y]]) =>
            [Math.abs(x - card.x) - card.width / 2, Math.abs(y - card.y) - card.height / 2]);
        }))"""
    )
    assert far < 2


def test_the_name_of_the_group_that_a_step_is_inside_of_stands_in_one_line(opened):
    page = opened(network(), position=5)
    assert page.locator(".ts-where").text_content().endswith(" · inside neuron a⁽¹⁾₀")
    lines = page.evaluate(
        """() => Array.from({ length: 80 }, (_, k) => {
          const where = document.querySelector(".ts-where"), range = document.createRange();
          where.style.width = `${120 + 4 * k}px`;
          range.selectNodeContents(where.lastChild.lastChild ?? where.lastChild);
          range.setStart(range.startContainer, range.toString().indexOf("neuron"));
          return range.getClientRects().length;
        })"""
    )
    assert set(lines) == {1}


@pytest.mark.parametrize("size", SIZES)
def test_numbers_and_their_counts_of_contributions_do_not_run_into_one_another(opened, size):
    page = opened(cost(), size)
    for _ in range(2):
        page.keyboard.press("g")
        page.get_by_role("slider", name="step").fill(str(page.evaluate("explorer.total") * 3 // 4))
        gaps = page.evaluate(
            """() => [...document.querySelectorAll(".ts-card")].flatMap((card) => {
              const row = [...card.querySelectorAll(".ts-row")].at(-1), number = card.querySelector(".ts-grad");
              return number ? [number.getBoundingClientRect().left - row.getBoundingClientRect().right] : [];
            })"""
        )
        assert len(gaps) > 5
        assert min(gaps) > 0


def test_what_is_not_finite_is_marked_with_a_sign(opened):
    root = not_finite()
    page = opened(root)
    unfolded(page)
    gradients = fresh_gradients(root)
    for i, node in enumerate(topological_order(root)):
        for text, number in zip(shown(page, i), (node.data, gradients[i])):
            assert text == (on_card(number) if math.isfinite(number) else f"⚠ {on_card(number)}")
    assert page.locator(".ts-bad").count() > 5


def test_hostile_labels_show_as_text(opened):
    page = opened(hostile())
    texts = " ".join(page.locator(".ts-name").all_text_contents())
    assert "<script>" in texts
    assert "\\N \\G" in texts
    assert "]]>" in texts
    assert page.locator(".ts-explorer script, .ts-explorer img").count() == 0
    for i in range(len(HOSTILE)):
        page.evaluate("(i) => explorer.show(i)", i)
        page.get_by_role("slider", name="step").fill(str(i + len(HOSTILE) * 2))


def test_the_view_is_saved_as_svg(opened, tmp_path):
    page = opened(two_paths())
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the view as SVG").click()
    path = tmp_path / "saved.svg"
    download.value.save_as(path)
    svg = ElementTree.parse(path).getroot()
    texts = [text for element in svg.iter("{http://www.w3.org/2000/svg}text") for text in element.itertext()]
    assert {"x", "w", "u", "p", "q", "C"} <= set(texts)
    assert svg.get("width")


def test_of_a_large_picture_only_what_is_on_the_screen_is_laid_out(opened):
    chain = Value(0.5, "x")
    for _ in range(1998):
        chain = chain.sin()
    page = opened(chain, position=0)
    page.get_by_role("button", name="Show all 1,999.").click()
    page.locator('.ts-picture [tabindex="0"]').focus()
    drawn = "[...document.querySelectorAll('.ts-card, .ts-edge')].filter((part) => part.getClientRects().length).length"
    for position in (1, 2, 50, 1000, 3997):
        page.evaluate("(position) => { explorer.position = position; }", position)
        assert 10 < page.evaluate(drawn) < 60
        now, stage = page.locator(".ts-now").bounding_box(), page.locator(".ts-stage").bounding_box()
        for start, size in (("x", "width"), ("y", "height")):
            assert stage[start] <= now[start]
            assert now[start] + now[size] <= stage[start] + stage[size]
    # what moves is the sheet: a transform of the SVG would lay out all of its texts anew
    moved = "(part) => getComputedStyle(document.querySelector(part)).transform !== 'none'"
    assert [page.evaluate(moved, part) for part in (".ts-sheet", ".ts-picture")] == [True, False]
    # where the focus is, it stays
    assert page.evaluate("document.activeElement.dataset.id") == "v1998"

"""The explorer's page in a browser, used as a person does: opened from disk, played, edited, by mouse and by keys."""

import math
import os
import re
import shutil
import time

import pytest
from support.explorer_graphs import (
    HOSTILE,
    cost,
    fresh_gradients,
    hostile,
    labelled,
    network,
    neuron,
    not_finite,
    two_paths,
)

import tinygrad_scalar as ts
from tinygrad_scalar import Value, primitive
from tinygrad_scalar.engine.graph import topological_order
from tinygrad_scalar.viz.explore import explore

pytestmark = [
    pytest.mark.peers,
    # Playwright's loop ends after pytest has looked for what was left open
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
SIZES = {"wide": (1440, 900), "narrow": (390, 844)}


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
        try:
            browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        except sync_api.Error as error:
            pytest.skip(f"no browser: {str(error).splitlines()[0]}")
        yield browser
        browser.close()


@pytest.fixture
def opened(browser, tmp_path):
    """Opens the page of a root from disk; whatever the browser complains about fails the test."""
    complaints, contexts = [], []

    def open_page(root, size="wide", scheme="light", position=None):
        path = tmp_path / "page.html"
        explorer = explore(root, names={})
        explorer.position = explorer.total if position is None else position
        explorer.save(path)
        width, height = SIZES[size]
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: request.url.startswith(("file:", "blob:")) or complaints.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_selector(".ts-card")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def card(page, name):
    """The card of the value or folded group of that name."""
    return page.locator(f'.ts-card[aria-label^="{name}, "]')


def find(page, name):
    """Select a value by the search, wherever it is."""
    search = page.get_by_label("Find a value by name")
    search.fill(name)
    search.press("Enter")


def shown(page, i):
    """The number and the gradient on the card of node i."""
    cells = page.locator(f'[data-id="v{i}"] .ts-number')
    return cells.nth(0).text_content(), cells.nth(1).text_content()


def place(root, name):
    return next(i for i, node in enumerate(topological_order(root)) if node.label == name)


def on_card(number):
    return f"{number:.4g}".replace("-", "−")


def wait_until(page, condition, seconds=60):
    """Wait for a condition in JavaScript; the page's policy refuses Playwright's own way, which is eval."""
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(20)


def assert_all_shown(page, root):
    """Every card has Python's numbers."""
    gradients = fresh_gradients(root)
    for i, node in enumerate(topological_order(root)):
        assert shown(page, i) == (on_card(node.data), on_card(gradients[i])), node


def unfolded(page):
    button = page.get_by_role("button", name="Unfold", exact=True)
    if button.is_visible():
        button.click()


# --- the player -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("build", [neuron, two_paths, network, cost])
def test_played_to_the_end_every_gradient_is_pythons(opened, build):
    root = build()
    page = opened(root)
    unfolded(page)
    assert_all_shown(page, root)
    page.get_by_label("speed").select_option("16")
    page.get_by_role("button", name="To the beginning").click()
    assert shown(page, len(topological_order(root)) - 1) == ("·", "·")
    page.get_by_role("button", name="Play", exact=True).click()
    wait_until(page, "explorer.position === explorer.total && !explorer.playback.timer")
    assert_all_shown(page, root)


def test_a_step_lights_its_edges_with_the_amounts_and_counts_contributions(opened):
    root = two_paths()
    page = opened(root)
    page.get_by_role("slider", name="step").fill(str(6 + 4))  # forwards 6, ∂C/∂C = 1, back through C, p·q, q or p
    stepper = ts.step(root, names={})
    step = stepper.next(10)
    amounts = [f"{'+' if c.amount >= 0 else ''}{on_card(c.amount)}" for c in step.contributions]
    lit = [text for text in page.locator(".ts-amount").all_text_contents() if text]
    assert sorted(lit) == sorted(amounts)
    assert page.locator(".ts-lit").count() == len(amounts)
    assert "contribution" in page.locator(".ts-step").text_content()
    u = place(root, "u")
    page.get_by_role("button", name="Step", exact=True).click()
    progress = (stepper.next(), stepper.progress(topological_order(root)[u]))[1]
    label = page.locator(f'[data-id="v{u}"] .ts-row').last.text_content()
    assert label == ("grad" if progress.complete or not progress.done else f"grad {progress.done} of {progress.of}")


def test_stepping_back_undoes_a_step(opened):
    root = two_paths()
    page = opened(root)
    forward, back = (page.get_by_role("button", name=name, exact=True) for name in ("Step", "Step back"))
    page.get_by_role("button", name="To the beginning").click()
    seen = [page.locator(".ts-cards").text_content()]
    for _ in range(ts.step(root).total):
        forward.click()
        seen.append(page.locator(".ts-cards").text_content())
    for before in reversed(seen[:-1]):
        back.click()
        assert page.locator(".ts-cards").text_content() == before


def test_the_page_opens_where_python_left_it(opened):
    page = opened(neuron(), position=2)
    assert page.evaluate("explorer.position") == 2
    assert page.locator(".ts-where").text_content().startswith("forward 2 of 5")


def test_backwards_it_plays_to_the_beginning(opened):
    page = opened(neuron())
    page.get_by_label("speed").select_option("16")
    page.get_by_role("button", name="Play backwards").click()
    page.get_by_role("button", name="Play", exact=True).click()
    wait_until(page, "explorer.position === 0")


def test_the_steps_equations_are_mathml_with_the_numbers(opened):
    root = neuron()
    page = opened(root)
    page.get_by_role("slider", name="step").fill("3")
    assert page.locator(".ts-step math").first.text_content() == "a(1)"
    text = page.locator(".ts-step").text_content()
    assert "σ(z)" in text
    assert "0.731059" in text


# --- a value ----------------------------------------------------------------------------------------------------------


def test_a_value_shows_its_gradient_as_a_sum_and_what_explain_says(opened):
    root = two_paths()
    page = opened(root)
    card(page, "x").click()
    side = page.locator(".ts-value-panel")
    gradient = fresh_gradients(root)[place(root, "x")]
    assert f"grad{gradient:.6g}" in side.text_content().replace("−", "-")
    assert side.get_by_role("button", name=re.compile("^through")).count() == 2
    assert ts.explain(root, "x", names={}).text in side.locator("pre").text_content()
    side.get_by_role("button", name="through u").click()
    assert page.locator(".ts-selected .ts-name").text_content() == "u"


@pytest.mark.parametrize("build, name", [(neuron, "w"), (two_paths, "x"), (network, "a(0)[1]")])
def test_an_edited_leaf_gives_what_a_fresh_run_gives(opened, build, name):
    root = build()
    i = place(root, name)
    page = opened(root)
    unfolded(page)
    find(page, name)
    page.get_by_label("number of").fill("-0.75")
    page.get_by_label("number of").press("Enter")
    topological_order(root)[i].data = -0.75
    root.forward()
    assert_all_shown(page, root)
    page.get_by_label("slide").press("ArrowRight")
    assert float(shown(page, i)[0].replace("−", "-")) > -0.75
    page.get_by_role("button", name="reset").click()
    assert_all_shown(page, build())


def test_what_is_no_number_is_said(opened):
    page = opened(neuron())
    card(page, "w").click()
    page.get_by_label("number of w").fill("many")
    page.get_by_label("number of w").press("Enter")
    assert "expected a number" in page.get_by_role("alert").first.text_content()


def test_a_leaf_below_an_operation_of_ones_own_cannot_be_edited(opened):
    @primitive(derivative=lambda x: 3.0 * x**2)
    def cubed(x):
        return x**3

    root = labelled(cubed(Value(2.0, "x")) + Value(1.0, "y"), "C")
    page = opened(root)
    assert_all_shown(page, root)
    card(page, "x").click()
    assert "cubed is an operation of your own" in page.locator(".ts-value-panel").text_content()
    assert page.get_by_label("number of").count() == 0


# --- groups and names -------------------------------------------------------------------------------------------------


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


# --- quiz and check ---------------------------------------------------------------------------------------------------


def test_the_quiz_hides_gradients_says_what_is_wrong_and_what_is_right(opened):
    root = neuron()
    w = place(root, "w")
    gradient = fresh_gradients(root)[w]
    page = opened(root)
    page.get_by_role("button", name="Quiz").click()
    assert shown(page, w) == ("0.6", "?")
    card(page, "w").click()
    assert on_card(gradient)[:6] not in page.locator(".ts-side").text_content()
    answer = page.get_by_label("your answer")
    answer.fill(f"{-gradient:.5g}")
    answer.press("Enter")
    assert "the sign is not" in page.locator(".ts-feedback").text_content()
    answer.fill(f"{gradient / 2:.5g}")
    answer.press("Enter")
    assert "exponent 2 comes down as a factor" in page.locator(".ts-feedback").text_content()
    assert page.locator(".ts-amount", has_text="here").count() == 1
    answer.fill(f"{gradient:.3g}")
    answer.press("Enter")
    assert page.locator(".ts-feedback").text_content().startswith("Right: ∂C/∂w")
    assert shown(page, w) == ("0.6", on_card(gradient))
    assert "1 right of 3 answers" in page.locator(".ts-score").text_content()


def test_the_quiz_reveals_on_request_and_ends(opened):
    root = neuron()
    page = opened(root)
    page.get_by_role("button", name="Quiz").click()
    page.get_by_role("button", name="Next value").click()
    page.get_by_role("button", name="Reveal").click()
    assert page.locator(".ts-revealed").count() == 1
    page.get_by_role("button", name="Leave the quiz").click()
    assert_all_shown(page, root)


def test_the_check_sets_a_nudge_beside_every_gradient(opened):
    root = neuron()
    page = opened(root)
    page.get_by_role("button", name="Check").click()
    rows = page.locator(".ts-tool tbody tr")
    assert rows.count() == 4
    for row in rows.all():
        _, gradient, nudge, verdict = row.locator("th, td").all_text_contents()
        assert float(gradient.replace("−", "-")) == pytest.approx(float(nudge.replace("−", "-")), rel=1e-4)
        assert verdict == "✓ agrees"


# --- keys, screens, readers -------------------------------------------------------------------------------------------


def test_all_of_it_by_keys_alone(opened):
    root = network()
    page = opened(root)
    press = page.keyboard.press
    press("?")
    assert page.get_by_role("dialog").is_visible()
    press("Escape")
    press("Home")
    assert page.evaluate("explorer.position") == 0
    press("ArrowRight")
    press("n")
    assert page.evaluate("explorer.position") > 1
    press("b")
    press("End")
    press("/")
    page.keyboard.type("a(0)[1]")
    press("Enter")
    assert page.locator(".ts-selected .ts-name").text_content().startswith("a⁽⁰⁾₁")
    press("e")
    press("Control+a")
    page.keyboard.type("2.5")
    press("Enter")
    assert shown(page, place(root, "a(0)[1]"))[0] == "2.5"
    press("Escape")
    press("g")
    assert page.locator(".ts-folded").count() == 0
    press("g")
    page.locator('.ts-picture [tabindex="0"]').focus()
    press("ArrowLeft")
    press("Enter")
    before = page.evaluate("explorer.picture.view.scale")
    press("+")
    assert page.evaluate("explorer.picture.view.scale") > before
    press("0")
    press("c")
    assert page.locator(".ts-tool tbody tr").count() > 10
    press("Escape")
    press("q")
    assert page.get_by_role("heading", name="Quiz").is_visible()
    press("Escape")
    if page.locator(".ts-tool").is_visible():
        press("Escape")
    press(" ")
    wait_until(page, "explorer.playback.timer !== null")
    press("p")
    assert page.evaluate("explorer.playback.timer") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_readers_and_screens_find_nothing_serious(opened, size, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    page = opened(network(), size, scheme)
    states = {
        "opened": lambda: None,
        "step": lambda: page.get_by_role("slider", name="step").fill("60"),
        "value": lambda: find(page, "a(0)[1]"),
        "check": lambda: page.get_by_role("button", name="Check").click(),
        "quiz": lambda: page.get_by_role("button", name="Quiz").click(),
        "keys": lambda: page.get_by_role("button", name="Keys").click(),
    }
    for name, act in states.items():
        act()
        found = axe.run(page).response["violations"]
        serious = [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")]
        assert serious == [], name


@pytest.mark.parametrize("size", SIZES)
def test_nothing_reaches_beyond_the_screen(opened, size):
    page = opened(network(), size)
    find(page, "a(0)[1]")
    page.get_by_role("slider", name="step").fill("60")
    width, height = SIZES[size]
    assert page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]") == [
        width,
        height,
    ]
    for button in page.get_by_role("button").all():
        box = button.bounding_box()
        if box and not button.evaluate("(b) => b.closest('.ts-side, .ts-picture') !== null"):
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width


def test_light_and_dark_follow_the_system_and_the_button(opened):
    def ground(page):
        return page.evaluate("getComputedStyle(document.querySelector('.ts-stage')).backgroundColor")

    light, dark = ground(opened(neuron(), scheme="light")), opened(neuron(), scheme="dark")
    assert ground(dark) != light
    dark.get_by_role("button", name="Light or dark").click()
    assert ground(dark) == light


def test_the_view_is_saved_as_svg(opened, tmp_path):
    page = opened(two_paths())
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the view as SVG").click()
    path = tmp_path / "saved.svg"
    download.value.save_as(path)
    from xml.etree import ElementTree

    svg = ElementTree.parse(path).getroot()
    texts = [text for element in svg.iter("{http://www.w3.org/2000/svg}text") for text in element.itertext()]
    assert {"x", "w", "u", "p", "q", "C"} <= set(texts)
    assert svg.get("width")


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


def test_what_is_not_finite_is_marked_with_a_sign(opened):
    root = not_finite()
    page = opened(root)
    unfolded(page)
    gradients = fresh_gradients(root)
    for i, node in enumerate(topological_order(root)):
        for text, number in zip(shown(page, i), (node.data, gradients[i])):
            assert text == (on_card(number) if math.isfinite(number) else f"⚠ {on_card(number)}")
    assert page.locator(".ts-bad").count() > 5


def test_a_revealed_gradient_does_not_tell_the_hidden_one_above_it(opened):
    root = neuron()
    page = opened(root)
    page.get_by_role("button", name="Quiz").click()
    find(page, "w")
    page.get_by_role("button", name="Reveal").click()
    above = topological_order(root)[place(root, "a(1)")]
    fresh_gradients(root)
    assert f"{above.grad:.6g}".replace("-", "−") not in page.locator(".ts-value-panel section").first.text_content()


def test_the_focus_stays_in_the_picture_when_it_is_laid_out_anew(opened):
    page = opened(network())
    page.locator('.ts-picture [tabindex="0"]').focus()
    page.keyboard.press("d")
    assert page.evaluate("() => document.activeElement.closest('.ts-picture') !== null")
    find(page, "w(1)[0,0]")
    page.keyboard.press("f")
    assert card(page, "neuron a⁽¹⁾₀").count() == 1
    assert page.evaluate("() => document.activeElement.dataset.id").startswith("g")


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


def test_a_graph_goes_downwards_where_its_text_would_be_small_and_that_helps(opened):
    chain = Value(0.5, "x")
    for _ in range(7):
        chain = chain.sin()
    page = opened(chain)
    assert page.evaluate("explorer.direction") == "TB"
    assert page.evaluate("explorer.picture.view.scale") >= 0.8
    assert opened(two_paths()).evaluate("explorer.direction") == "LR"


def test_a_gradient_of_an_expression_is_named_in_brackets(opened):
    x, y = Value(3.0, "x"), Value(1.0, "y")
    page = opened(labelled((x - y) ** 2, "C"), position=4)
    assert "(x − y).grad: complete" in page.locator(".ts-side").text_content()


def test_long_equations_scroll_with_the_panel_which_keys_reach(opened):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    x = Value(2.0, "a name that is long enough for a line of its own")
    page = opened(labelled(x * x, "and the output has a name that is just as long as the other"))
    find(page, "a name that is long")
    assert page.evaluate(
        "(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth)(document.querySelector('.ts-side'))"
    )
    assert [v["id"] for v in axe.run(page).response["violations"] if v["impact"] in ("serious", "critical")] == []


def test_printed_are_the_picture_and_the_panel_alone_in_light_colours(opened):
    page = opened(neuron(), scheme="dark")
    page.emulate_media(media="print")
    assert page.locator(".ts-card").first.is_visible()
    assert page.locator(".ts-side").is_visible()
    assert not page.locator(".ts-player").is_visible()
    assert page.evaluate("getComputedStyle(document.querySelector('.ts-explorer')).colorScheme") == "light"

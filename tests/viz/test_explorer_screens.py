"""The explorer's page in a browser: by keys alone, for screen readers, on every screen, in light and dark, printed."""

import pytest
from support.explorer_graphs import labelled, network, neuron
from support.explorer_pages import MARKS, SIZES, card, find, place, shown, wait_until

from tinygrad_scalar import Value

pytestmark = MARKS


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


def test_the_focus_stays_in_the_picture_when_it_is_laid_out_anew(opened):
    page = opened(network())
    page.locator('.ts-picture [tabindex="0"]').focus()
    page.keyboard.press("d")
    assert page.evaluate("() => document.activeElement.closest('.ts-picture') !== null")
    find(page, "w(1)[0,0]")
    page.keyboard.press("f")
    assert card(page, "neuron a⁽¹⁾₀").count() == 1
    assert page.evaluate("() => document.activeElement.dataset.id").startswith("g")


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


def test_long_equations_scroll_with_the_panel_which_keys_reach(opened):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    x = Value(2.0, "a name that is long enough for a line of its own")
    page = opened(labelled(x * x, "and the output has a name that is just as long as the other"))
    find(page, "a name that is long")
    assert page.evaluate(
        "(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth)(document.querySelector('.ts-side'))"
    )
    assert [v["id"] for v in axe.run(page).response["violations"] if v["impact"] in ("serious", "critical")] == []


def test_light_and_dark_follow_the_system_and_the_button(opened):
    def ground(page):
        return page.evaluate("getComputedStyle(document.querySelector('.ts-stage')).backgroundColor")

    light, dark = ground(opened(neuron(), scheme="light")), opened(neuron(), scheme="dark")
    assert ground(dark) != light
    dark.get_by_role("button", name="Light or dark").click()
    assert ground(dark) == light


def test_printed_are_the_picture_and_the_panel_alone_in_light_colours(opened):
    page = opened(neuron(), scheme="dark")
    page.emulate_media(media="print")
    assert page.locator(".ts-card").first.is_visible()
    assert page.locator(".ts-side").is_visible()
    assert not page.locator(".ts-player").is_visible()
    assert page.evaluate("getComputedStyle(document.querySelector('.ts-explorer')).colorScheme") == "light"

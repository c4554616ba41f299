"""The explorer's page in headless Chromium, opened from disk, and what a person sees on it and finds."""

import os
import shutil
import time

import pytest

from support.explorer_graphs import fresh_gradients
from tinygrad_scalar.engine.graph import topological_order
from tinygrad_scalar.viz.explore import explore

MARKS = [
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

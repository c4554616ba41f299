"""The explorer's page in Chromium: how long a cost of 204,000 values takes to open, and a step with 2,000 on show,
all of them on the screen (a cost) or most of them beyond it, so that the picture follows the steps (a chain).

The step is measured as the time of the page's main thread: script, style, layout and painting. See README.md.
"""

import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

import tinygrad_scalar as ts
from tinygrad_scalar import Value

STEPS = 40
BUSY = ("ScriptDuration", "RecalcStyleDuration", "LayoutDuration", "TaskDuration")


def large_cost():
    """Of a network of 522 inputs, 128 and 10 neurons: about 204,000 values."""
    net = ts.MLP(522, [128, 10], "sigmoid", seed=0)
    return ts.squared_error(net([Value(0.001 * i, f"x[{i}]") for i in range(522)]), [1.0] + [0.0] * 9)


def cost_on_show():
    """About 2,000 values, none of them folded."""
    net = ts.MLP(8, [13, 11, 8, 4], "tanh", seed=1)
    losses = [ts.squared_error(net([0.1 * i + k for i in range(8)]), [1.0, 0.0, 0.0, 0.0]) for k in range(2)]
    return losses[0] + losses[1]


def chain():
    """1,999 values in a row, the longest picture there is."""
    value = Value(0.5, "x")
    for _ in range(1998):
        value = value.sin()
    return value


def opened(browser, explorer, folder):
    path = Path(folder, "page.html")
    explorer.save(path)
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    start = time.perf_counter()
    page.goto(path.as_uri())
    page.wait_for_selector(".ts-card")
    return page, time.perf_counter() - start


def busy(session):
    metrics = {row["name"]: row["value"] for row in session.send("Performance.getMetrics")["metrics"]}
    return [metrics[name] for name in BUSY]


def measured_steps(browser, root, folder, is_fitted):
    """Prints the medians over STEPS steps from the beginning, of the page's main thread."""
    explorer = ts.explore(root, names={})
    explorer.data["folded"] = []
    page, _ = opened(browser, explorer, folder)
    page.evaluate("() => { explorer.parts.most = 2500; explorer.draw(true); explorer.position = 0; }")
    if is_fitted:
        page.evaluate("() => explorer.picture.fit()")
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    steps = []
    for _ in range(STEPS):
        before = busy(session)
        page.evaluate(
            """() => new Promise((done) => setTimeout(() => {
              explorer.playback.step(1);
              requestAnimationFrame(() => setTimeout(done, 0));
            }))"""
        )
        steps.append([1e3 * (b - a) for a, b in zip(before, busy(session))])
    script, style, layout, whole = map(statistics.median, zip(*steps))
    cards = page.evaluate("() => explorer.picture.cards.size")
    place = "on the screen" if is_fitted else "followed step by step"
    print(f"a step at {cards:,} on show, {place}: {whole:.1f} ms of the main thread", end=", ")
    print(f"of which script {script:.1f}, style {style:.1f}, layout {layout:.1f}")
    page.close()


def main():
    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        explorer = ts.explore(large_cost(), names={})
        seconds = statistics.median(opened(browser, explorer, folder)[1] for _ in range(5))
        print(f"{explorer.data['n']:,} values open in {seconds:.2f} s")

        measured_steps(browser, cost_on_show(), folder, is_fitted=True)
        measured_steps(browser, chain(), folder, is_fitted=False)
        browser.close()


if __name__ == "__main__":
    main()

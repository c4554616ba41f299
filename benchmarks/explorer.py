"""The explorer's page in Chromium: how long a cost of 204,000 values takes to open, and a step with 2,000 on show.

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


def main():
    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        explorer = ts.explore(large_cost(), names={})
        seconds = statistics.median(opened(browser, explorer, folder)[1] for _ in range(5))
        print(f"{explorer.data['n']:,} values open in {seconds:.2f} s")

        explorer = ts.explore(cost_on_show(), names={})
        explorer.data["folded"] = []
        page, _ = opened(browser, explorer, folder)
        page.evaluate(
            "() => { explorer.parts.most = 2500; explorer.draw(true); explorer.picture.fit(); explorer.position = 0; }"
        )
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        before = busy(session)
        page.evaluate(
            """async (n) => {
              const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
              for (let i = 0; i < n; i += 1) { explorer.playback.step(1); await frame(); }
            }""",
            STEPS,
        )
        script, style, layout, whole = (1e3 * (b - a) / STEPS for a, b in zip(before, busy(session)))
        cards = page.evaluate("() => explorer.picture.cards.size")
        print(f"a step at {cards:,} on show: {whole:.1f} ms of the main thread", end=", ")
        print(f"of which script {script:.1f}, style {style:.1f}, layout {layout:.1f}")
        browser.close()


if __name__ == "__main__":
    main()

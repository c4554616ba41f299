"""JupyterLab and marimo as a user starts them, and Chromium to look at them with; skipped where they are missing."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager, suppress

import pytest

PATIENCE = 90  # seconds
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")


@contextmanager
def browser_page(**options):
    """A page of headless Chromium, and what went wrong in it."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with playwright.sync_playwright() as driver:
        program = next(filter(None, map(shutil.which, CHROMIUM)), driver.chromium.executable_path)
        if not os.path.exists(program):
            pytest.skip("Chromium is not installed")
        browser = driver.chromium.launch(executable_path=program, args=flags)
        page = browser.new_page(viewport={"width": 1280, "height": 1000}, **options)
        page.set_default_timeout(1000 * PATIENCE)
        errors = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        yield page, errors
        browser.close()


@contextmanager
def served(folder, *command):
    """The address of a server, given the command that starts it in `folder` on `{port}`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    of_its_own = dict.fromkeys(("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR", "XDG_CONFIG_HOME"), str(folder))
    log = folder / "server.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, *(part.format(port=port) for part in command)], cwd=folder, stdout=output, stderr=output,
            env={**os.environ, **of_its_own}, start_new_session=True,
        )  # fmt: skip
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_until_it_answers(address, server, log)
        yield address
    finally:
        server.terminate()
        with suppress(subprocess.TimeoutExpired):
            server.wait(20)
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)  # with its kernels, if any is left
        server.wait()


def _wait_until_it_answers(address, server, log):
    end = time.monotonic() + PATIENCE
    while True:
        try:
            urllib.request.urlopen(address, timeout=PATIENCE).close()
            return
        except OSError:
            assert server.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.2)

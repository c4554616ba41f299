"""The explorer and a stepper as widgets in a real JupyterLab and in marimo: moved there, read back in Python."""

import json

import pytest
from support.notebook_servers import browser_page, served

pytestmark = pytest.mark.peers
BEGINNING = """import tinygrad_scalar as ts
w, x = ts.Value(0.5, "w"), ts.Value(2.0, "x")
explorer = ts.explore((w * x).tanh())
edits = []
explorer.on_edit(lambda name, number: edits.append((name, number)))"""
READ = '''f"read {explorer.position} of {explorer.total}, w = {explorer.values['w']}, {edits}"'''


def edit(page, name, text):
    page.locator(".ts-explorer [data-id]", has_text=name).first.click()
    field = page.locator(".ts-explorer .ts-side input:not([type=range])").first
    field.fill(text)
    field.press("Enter")


STEPPED = "stepper = ts.step((w * x).tanh(), names={})"


def step_through(page):
    """Three steps by its buttons, one back, and to a name: the picture and the text follow in place."""
    stepper = page.locator(".ts-stepper")
    stepper.locator("svg").wait_for()
    for _ in range(3):
        stepper.get_by_label("Next", exact=True).click()
    stepper.locator("pre", has_text="step 3 of 5").wait_for()
    stepper.get_by_label("Back").click()
    stepper.locator("pre", has_text="step 2 of 5").wait_for()
    stepper.locator("svg", has_text="0.7616").wait_for()
    field = stepper.get_by_label("to a name or the number of a step")
    field.fill("nowhere")
    field.press("Enter")
    stepper.get_by_role("alert").get_by_text("no value of this graph is called 'nowhere'").wait_for()
    field.fill("w")
    field.press("Enter")
    stepper.locator("pre", has_text="step 5 of 5").wait_for()
    assert page.locator(".ts-stepper").count() == 1


def test_jupyterlab_moves_the_widgets_and_reads_them_back(tmp_path):
    pytest.importorskip("jupyterlab")
    pytest.importorskip("anywidget")
    stepper = [f"{STEPPED}\nstepper", "print(f'stepped to {stepper.position}, w.grad = {w.grad:.4f}')"]
    cells = [f"{BEGINNING}\nexplorer", f"print({READ})", "explorer.position = 1", f"print({READ})", *stepper]
    notebook = {
        "cells": [
            {"cell_type": "code", "id": f"c{i}", "source": cell, "metadata": {}, "outputs": [], "execution_count": None}
            for i, cell in enumerate(cells)
        ],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "nbformat": 4, "nbformat_minor": 5,
    }  # fmt: skip
    (tmp_path / "graph.ipynb").write_text(json.dumps(notebook))
    options = ["--no-browser", "--allow-root", "--port={port}", "--IdentityProvider.token="]
    with browser_page() as (page, errors), served(tmp_path, "-m", "jupyterlab", *options) as address:
        page.goto(f"{address}/lab/tree/graph.ipynb?reset")
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()

        def run(number):
            page.locator(".jp-Notebook .jp-Cell").nth(number).locator(".cm-content").click()
            page.keyboard.press("Shift+Enter")

        run(0)
        page.locator(".ts-explorer svg [data-id]").first.wait_for()
        step_back = page.get_by_label("Step back")
        step_back.click()
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("b")  # the widget's key for back, in JupyterLab outside of it a new cell
        assert page.locator(".jp-Notebook .jp-Cell").count() == len(cells)
        edit(page, "w", "3")
        run(1)
        page.get_by_text("read 2 of 5, w = 3.0, [('w', 3.0)]").wait_for()
        run(2)
        page.locator(".ts-explorer .ts-where", has_text="step 1 of 5").wait_for()
        step_back.click()
        run(3)
        page.get_by_text("read 0 of 5, w = 3.0, [('w', 3.0)]").wait_for()
        run(4)
        step_through(page)
        run(5)
        page.get_by_text("stepped to 5, w.grad = 0.8399").wait_for()
        assert errors == []


def test_marimo_moves_the_widgets_and_reads_them_back(tmp_path):
    pytest.importorskip("marimo")
    pytest.importorskip("anywidget")
    indented = BEGINNING.replace("\n", "\n    ")
    (tmp_path / "graph.py").write_text(f"""import marimo
app = marimo.App()

@app.cell
def _():
    {indented}
    explorer
    return edits, explorer, ts, w, x

@app.cell
def _(ts, w, x):
    {STEPPED}
    stepper
    return (stepper,)

@app.cell
def _():
    import marimo as mo
    button = mo.ui.button(label="read it back")
    button
    return button, mo

@app.cell
def _(button, edits, explorer, mo, stepper):
    button
    mo.md({READ} + f" stepped to {{stepper.position}}")
    return
""")
    command = ["-m", "marimo", "run", "--headless", "--no-token", "--port={port}", "graph.py"]
    with browser_page() as (page, errors), served(tmp_path, *command) as address:
        page.goto(address)
        page.locator(".ts-explorer svg [data-id]").first.wait_for()
        page.get_by_text("read 5 of 5, w = 0.5, []").wait_for()
        step_through(page)
        page.get_by_label("Step back").click()
        edit(page, "w", "-1e300")
        page.get_by_text("read it back").click()
        page.get_by_text("read 4 of 5, w = -1e+300, [('w', -1e+300)] stepped to 5").wait_for()
        assert errors == []

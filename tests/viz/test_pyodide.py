"""`draw` in Python in the browser: Pyodide in Node, where there are no subprocesses.

PYODIDE is the folder of Pyodide's package from npm (`npm install pyodide`).
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import graphviz
import mpmath
import pytest
import sympy

import tinygrad_scalar as ts

pytestmark = pytest.mark.peers
LABELS = ("w", '<b>&"quoted" \\N', "σ⁽¹⁾")
GRAPH = f"""
import tinygrad_scalar as ts
w, x, b = (ts.Value(number, label) for number, label in zip((0.5, 2.0, -1.0), {LABELS!r}))
y = (w * x + b).tanh()
y.backward()
"""
PROGRAM = """
const { loadPyodide } = await import(`${process.env.PYODIDE}/pyodide.mjs`);
const python = await loadPyodide();
const { folders, code } = JSON.parse(process.env.ASKED);
folders.forEach((folder, i) => python.mountNodeFS(`/mounted${i}`, folder));
python.runPython(`import sys; sys.path += ["/mounted" + str(i) for i in range(${folders.length})]
sys.dont_write_bytecode = True`);
console.log("answer:" + python.runPython(code));
"""


def in_pyodide(code):
    """What Pyodide prints for the value of the last expression, JSON."""
    node, pyodide = shutil.which("node"), os.environ.get("PYODIDE")
    if node is None or pyodide is None:
        pytest.skip("Node or Pyodide is not there: npm install pyodide, and PYODIDE=node_modules/pyodide")
    packages = [Path(module.__file__).parent.parent for module in (ts, graphviz, sympy, mpmath)]
    asked = {"folders": list(dict.fromkeys(map(str, packages))), "code": code}
    environment = {**os.environ, "PYODIDE": str(Path(pyodide).resolve()), "ASKED": json.dumps(asked)}
    run = subprocess.run(
        [node, "--input-type=module", "--eval", PROGRAM],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=environment,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return json.loads(run.stdout.rpartition("answer:")[2])


def test_draw_gives_the_picture_that_graphviz_gives_elsewhere():
    scope = {}
    exec(GRAPH, scope)
    here = ts.draw(scope["y"], names={}).svg
    there = in_pyodide(f"{GRAPH}\nimport json\njson.dumps(ts.draw(y, names={{}}).svg)")
    assert texts(there) == texts(here)
    assert there.count("<polygon") == here.count("<polygon") and there.count("<path") == here.count("<path")
    assert size(there) == pytest.approx(size(here), rel=0.1)


def test_a_png_is_refused_with_the_way_out():
    code = (
        "import json\ntry:\n    ts.draw(y).png\nexcept RuntimeError as error:\n    said = str(error)\njson.dumps(said)"
    )
    assert "take .svg" in in_pyodide(f"{GRAPH}\n{code}")


def texts(svg):
    return sorted(re.findall(r"<text[^>]*>([^<]*)</text>", svg))


def size(svg):
    return [float(number) for number in re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', svg).groups()]

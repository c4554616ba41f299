"""The explorer's page: one HTML file with its scripts, its style and the graph, that needs no network.

The scripts of viz/explorer/ are ES modules, which a page opened from disk cannot import: they are joined into one. The
Content-Security-Policy allows these scripts and this style by their hashes, WebAssembly, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tinygrad_scalar.screen import printable

FOLDER = Path(__file__).parent / "explorer"
# In the order in which one needs the other.
MODULES = (
    "elementary", "activations", "arithmetic", "elements", "formula", "graph", "player", "notation", "parts", "layout",
    "picture", "quiz", "check", "panel", "editor", "tools", "finder", "keys", "pointer", "save", "skeleton", "cards",
    "playback", "explore",
)  # fmt: skip
START = """
const data = JSON.parse(document.getElementById("graph").textContent);
window.explorer = mount(document.getElementById("explorer"), data, {
  operations: OPERATIONS, graphviz: () => window.Viz.instance(), keys: document, position: data.position,
});
"""
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body class="ts-page">
<main id="explorer"></main>
<script type="application/json" id="graph">{data}</script>
<script>{graphviz}</script>
<script type="module">{script}</script>
</body>
</html>
"""


@cache
def script() -> str:
    """The modules of the explorer as one script, in which `mount` and `OPERATIONS` are defined."""
    return "\n".join([*map(_module, MODULES), "const { mount } = explore_js, { OPERATIONS } = arithmetic_js;"])


def _module(name: str) -> str:
    """A module as a function that is called once, for scripts that cannot import: what it exports is in `name_js`."""
    text = _without_imports((FOLDER / f"{name}.js").read_text("utf-8"))
    exported = re.findall(r"^export (?:const|function|class) (\w+|\{[^}]*\})", text, flags=re.M)
    text = re.sub(r"^export |^ *//.*\n", "", text, flags=re.M)  # the page goes without lines of comment
    names = ", ".join(names.strip("{} ") for names in exported)
    return f"const {name}_js = (() => {{\n{text}return {{ {names} }};\n}})();"


def _without_imports(text: str) -> str:
    return re.sub(r'^import (\{[^}]*\}) from "\./(\w+)\.js";$', r"const \1 = \2_js;", text, flags=re.M)


@cache
def graphviz() -> str:
    """Graphviz in WebAssembly, as its authors distribute it: a script that makes `Viz`."""
    return (FOLDER / "viz-global.js").read_text("utf-8")


@cache
def style() -> str:
    return (FOLDER / "page.css").read_text("utf-8")


def widget_script() -> str:
    """The module of the notebook widget: the explorer, `graphviz` for it, and widget.js, which exports `render`."""
    # in a function with `exports`, so that no AMD loader of the notebook takes it for a module of its own
    layout = f"(() => {{ const exports = {{}}, module = {{}};\n{graphviz()}\nreturn exports.instance; }})()"
    widget = _without_imports((FOLDER / "widget.js").read_text("utf-8"))
    return "\n".join([script(), f"const graphviz = {layout};", widget])


def page(data: Mapping[str, Any]) -> str:
    """The page of a graph, given as explore_data.py makes it."""
    scripts = {"graphviz": f"\n{graphviz()}", "script": f"\n{script()}{START}"}
    allowed = " ".join(_hash(text) for text in scripts.values())
    policy = (
        f"default-src 'none'; script-src {allowed} 'wasm-unsafe-eval'; style-src {_hash(style())}; base-uri 'none'; "
        "form-action 'none'"
    )
    return PAGE.format(
        policy=html.escape(policy, quote=False),
        title=html.escape(printable(str(data["title"]))),
        style=style(),
        data=_for_html(json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))),
        **scripts,
    )


def _for_html(text: str) -> str:
    """JSON that ends no script element, whatever its strings hold."""
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

"""Layout where there are no subprocesses: Graphviz compiled to WebAssembly, in Python in the browser (Pyodide).

It is the one of the explorer's page. It is asynchronous only because it waits for its own compilation, but `draw` gives
its picture at once: without async and await, and with a compiler that returns its result, it is an ordinary function.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

from tinygrad_scalar.viz.explore_page import graphviz

AT_ONCE = """(() => {{
  const exports = {{}}, module = {{}}, document = undefined, location = {{ href: "" }};
  const compiler = globalThis.WebAssembly;
  const WebAssembly = {{
    RuntimeError: compiler.RuntimeError,
    instantiate: (code, imports) => ({{ instance: new compiler.Instance(new compiler.Module(code), imports) }}),
  }};
{graphviz}
  const viz = exports.instance();
  return (source, format) => JSON.stringify(viz.render(source, {{ format }}));
}})()"""


def rendered(source: str, format_: str) -> bytes:
    """The picture of a graph in Graphviz's language, as SVG; RuntimeError where it cannot be drawn.

    There is no PNG.
    """
    if format_ == "png":
        raise RuntimeError("Graphviz draws no PNG in the browser: take .svg, or save('graph.svg')")
    result = json.loads(_render()(source, format_))
    if result["status"] != "success":
        said = "; ".join(error["message"].strip() for error in result["errors"])
        raise RuntimeError(f"Graphviz could not draw the graph: {said}")
    return str(result["output"]).encode()


@cache
def _render() -> Any:
    from pyodide.code import run_js

    return run_js(AT_ONCE.format(graphviz=_at_once(graphviz())))


def _at_once(script: str) -> str:
    """The script without promises."""
    script = re.sub(r"\b(async|await)\b(?=[ (])", "", script)
    return re.sub(r"(\w+\(\))\.then\(\w+=>new (\w+)\(\w+\)\)", r"new \2(\1)", script)

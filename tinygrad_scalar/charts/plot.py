"""`Plot`: a finished chart, with the page around it and its colours."""

from __future__ import annotations

import os
from collections.abc import Iterable

from tinygrad_scalar.atomic_write import write_atomically
from tinygrad_scalar.charts.text import xml_text
from tinygrad_scalar.engine.errors import shown

WIDTH, HEIGHT = 640, 360  # of most charts, in pixels

# colours of curves, bars and classes: on a light page, on a dark one
COLOURS = [
    ("#0b63a5", "#5cb3f5"), ("#9a5b00", "#e0a44a"), ("#1a6b32", "#63c27f"), ("#a3195b", "#f08ab8"),
    ("#5b3fb0", "#b3a0f5"), ("#0f6f75", "#5cc8cf"), ("#6b5900", "#cdbb4a"), ("#525252", "#b5b5b5"),
]  # fmt: skip


class Plot:
    """An SVG picture: `.svg` is its text, `.save(path)` writes it. Jupyter displays it."""

    def __init__(self, svg: str) -> None:
        self.svg = svg

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture atomically to a file whose name ends in .svg."""
        if not str(path).lower().endswith(".svg"):
            raise ValueError(f"a plot's file must end in .svg, got {shown(str(path))}")
        write_atomically(path, self.svg.encode())

    def _repr_svg_(self) -> str:
        return self.svg


def plot_of(title: str, content: Iterable[str], width: int = WIDTH, height: int = HEIGHT, left: int = 0) -> Plot:
    """A Plot of SVG elements from x = −left on, whose classes `curve0`, `dot0`, `area0`, … have the colours.

    >>> plot_of("x < y", ['<circle class="dot0" r="3"/>']).svg.startswith("<svg")
    True
    """
    light = "\n  ".join(_colours(i, colour) for i, (colour, _) in enumerate(COLOURS))
    dark = "\n    ".join(_colours(i, colour) for i, (_, colour) in enumerate(COLOURS))
    page = _PAGE.replace("LIGHT", light).replace("DARK", dark)
    return Plot(
        page.format(title=xml_text(title), content="\n".join(content), width=width + left, height=height, x=-left)
    )


def _colours(i: int, colour: str) -> str:
    return (
        f".curve{i} {{{{ stroke: {colour}; stroke-width: 2 }}}} .dot{i} {{{{ fill: {colour} }}}} "
        f".area{i} {{{{ fill: {colour}; stroke: none }}}}"
    )


_PAGE = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="{x} 0 {width} {height}" width="{width}" height="{height}" \
role="img" aria-label="{title}" font-family="Helvetica, Arial, sans-serif" font-size="12">
<title>{title}</title>
<style>
  rect {{ fill: #ffffff }} text {{ fill: #3f3f46 }} .title {{ font-size: 15px; font-weight: bold }}
  .bad {{ fill: #b42318; font-weight: bold }} .point {{ stroke: #ffffff; stroke-width: 1 }}
  .ring {{ fill: none; stroke: #18181b; stroke-width: 1.5 }}
  .grid {{ stroke: #e4e4e7 }} polyline, path {{ fill: none; stroke-width: 1 }}
  LIGHT
  @media (prefers-color-scheme: dark) {{
    rect {{ fill: #18181b }} text {{ fill: #d4d4d8 }} .grid {{ stroke: #3f3f46 }}
    .bad {{ fill: #ff8a80 }} .point {{ stroke: #18181b }} .ring {{ stroke: #f4f4f5 }}
    DARK
  }}
</style>
<rect class="page" x="{x}" width="100%" height="100%"/>
{content}
</svg>
"""

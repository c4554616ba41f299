"""The explorer as a widget of Jupyter, VS Code, Colab and marimo, by way of anywidget (the extra `widgets`)."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from tinygrad_scalar.viz.explore_page import style, widget_script

HEIGHT = "640px"


def widget(
    data: Mapping[str, Any],
    position: int,
    moved: Callable[[int], object],
    edited: Callable[[int, float, list[float]], object],
) -> Any:
    """A widget that shows a graph, given as explore_data.py makes it; ImportError without anywidget.

    moved   is called with the position when the page changes it
    edited  is called with an edited leaf's place in the graph, its number, and the numbers of the whole graph

    Its traits: `position`; `edits`, the number of each edited leaf as text, because JSON has no infinities; `numbers`,
    those of the whole graph in base64.
    """

    def pass_on(change: Any) -> None:
        numbers = [number for (number,) in struct.iter_unpack("<d", base64.b64decode(change.owner.numbers))]
        for leaf, number in change.new.items():
            if change.old.get(leaf) != number:
                edited(int(leaf), float(number), numbers)

    made = _widget_class()(data=data, position=position)
    made.observe(lambda change: moved(change.new), "position")
    made.observe(pass_on, "edits")
    return made


@cache
def _widget_class() -> Any:
    import anywidget
    import traitlets

    class ExplorerWidget(anywidget.AnyWidget):  # type: ignore[misc]  # Any where it is not installed
        _esm = widget_script()
        _css = f"{style()}\n.ts-explorer {{ height: {HEIGHT} }}"
        data = traitlets.Dict().tag(sync=True)
        position = traitlets.Int().tag(sync=True)
        edits = traitlets.Dict().tag(sync=True)
        numbers = traitlets.Unicode().tag(sync=True)

    return ExplorerWidget

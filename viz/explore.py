"""`explore`: a graph to touch, in the browser or a notebook. It plays forwards and backwards, is edited, and asks."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from tinygrad_scalar.atomic_write import write_atomically
from tinygrad_scalar.engine import Value
from tinygrad_scalar.engine.errors import shown
from tinygrad_scalar.engine.number import required_integer
from tinygrad_scalar.inspection.named_graph import NamedGraph
from tinygrad_scalar.inspection.names import caller_variables
from tinygrad_scalar.viz.explore_data import explored
from tinygrad_scalar.viz.explore_page import page
from tinygrad_scalar.viz.widget import HEIGHT, widget


class Explorer:
    """The result of `explore`: `.html` is its page, `.save(path)` writes it; notebooks display it.

    total     the number of steps: forwards, the root's gradient, backwards
    position  where the player stands, from 0 to `total`, at the beginning `total`; can be set
    values    the number of each named leaf and value, by its name; edits in the notebook widget included
    on_edit   call a function with the name and the number of every leaf that is edited
    data      the graph as the page reads it

    Position and edits come from the widget that Jupyter, VS Code, Colab and marimo show where anywidget is installed
    (the extra `widgets`); without it they show the page in a frame. Edits change the page's own copy of the graph, not
    the Values.
    """

    def __init__(self, graph: NamedGraph) -> None:
        self.data = explored(graph)
        self._graph = graph
        self._numbers = [node.data for node in graph.nodes]
        self.total = 2 * sum(bool(node.op) for node in graph.nodes) + 1
        self._position = self.total
        self._listeners: list[Callable[[str, float], object]] = []
        self._widget: Any = None

    @property
    def html(self) -> str:
        """The page as text; it opens at `position`."""
        return page({**self.data, "position": self._position})

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page atomically, as a file that ends in .html.

        >>> import os, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     explore(Value(2.0) * Value(3.0)).save(os.path.join(folder, "product.html"))
        ...     os.listdir(folder)
        ['product.html']
        """
        if Path(path).suffix.lower() not in (".html", ".htm"):
            raise ValueError(f"an explorer's file must end in .html; got {shown(str(path))}")
        write_atomically(path, self.html.encode())

    @property
    def position(self) -> int:
        """Where the player stands; ValueError if set to what is not from 0 to `total`."""
        return self._position

    @position.setter
    def position(self, position: int) -> None:
        wanted = required_integer(position, "the position", least=0)
        if wanted > self.total:
            raise ValueError(f"the position must be from 0 to {self.total}, got {wanted}")
        self._position = wanted
        if self._widget is not None:
            self._widget.position = wanted

    @property
    def values(self) -> dict[str, float]:
        """The number of each value that has a name, by that name."""
        graph = self._graph
        return {graph.notation.plain(node): self._numbers[graph.index[node]] for node in graph.notation.called}

    def on_edit(self, listener: Callable[[str, float], object]) -> None:
        """Call `listener(name, number)` whenever a leaf is edited in the notebook widget."""
        self._listeners.append(listener)

    # --- in notebooks ------------------------------------------------------------------------------------------------

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The widget; without anywidget nothing, and Jupyter takes `_repr_html_`."""
        shown = self._made_widget()
        return None if shown is None else shown._repr_mimebundle_(**options)

    def _display_(self) -> object:
        """The same for marimo, which asks for an object."""
        import marimo

        shown = self._made_widget()
        return marimo.Html(self._repr_html_()) if shown is None else shown

    def _repr_html_(self) -> str:
        """The page in a frame."""
        frame = f'sandbox="allow-scripts allow-downloads" style="width: 100%; height: {HEIGHT}; border: 0"'
        return f'<iframe title="graph" srcdoc="{escape(self.html)}" {frame}></iframe>'

    def _made_widget(self) -> Any:
        """The one widget of all displays, so that they show the same; None without anywidget."""
        if self._widget is None:
            try:
                self._widget = widget(self.data, self._position, self._moved, self._edited)
            except ImportError:
                return None
        return self._widget

    # --- what the widget calls ---------------------------------------------------------------------------------------

    def _moved(self, position: int) -> None:
        self._position = position

    def _edited(self, leaf: int, number: float, numbers: list[float]) -> None:
        """The page set leaf number `leaf` of the graph to `number`; `numbers` are then all of the graph's."""
        self._numbers = numbers
        name = self._graph.notation.plain(self._graph.nodes[leaf])
        for listener in self._listeners:
            listener(name, number)

    def __repr__(self) -> str:
        return f"<Explorer of {self.data['n']:,} values; .save('graph.html') writes its page>"


def explore(root: Value, *, names: Mapping[str, object] | None = None) -> Explorer:
    """The computation graph of `root` as a page that one can touch.

    names  names for values without a label, such as {"w": w, "b": b}; None: the variables of the calling code

    The page plays the computation forwards and the chain rule backwards, shows for each value where its gradient comes
    from, lets every leaf be edited, checks gradients with a nudge, asks for them in a quiz, and folds layers, neurons
    and groups. It is one file that needs no network. No .grad is read or changed. TypeError or ValueError if `root` is
    not a computed Value, StaleGraphError if the graph is stale.

    >>> w, x = Value(0.5, "w"), Value(2.0, "x")
    >>> explorer = explore(w * x)
    >>> explorer
    <Explorer of 3 values; .save('graph.html') writes its page>
    >>> explorer.total, explorer.values
    (3, {'w': 0.5, 'x': 2.0})
    """
    return Explorer(NamedGraph(root, "explore", caller_variables() if names is None else names))

"""`Node`: all that a reader of graphs knows about a Value, the narrow waist between the engine and the rooms above.

Drawings, explanations, `vectorize` and the walks of `graph.py` read a graph through these attributes alone, so they
serve both implementations of Value. Modules below Value itself use `Node` in annotations.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

AnyNode = TypeVar("AnyNode", bound="Node")


class Node(Protocol):
    """A number and how it was computed."""

    @property
    def data(self) -> float:
        """The number."""
        ...

    @property
    def grad(self) -> float:
        """∂root/∂self after `root.backward()`."""
        ...

    @property
    def label(self) -> str:
        """Its name, or ""."""
        ...

    @property
    def op(self) -> str:
        """The operation that computed it, a name of the table in ops.py; "" for a leaf."""
        ...

    @property
    def operands(self) -> tuple[Any, ...]:
        """The nodes it was computed from, in the operation's order; () for a leaf."""
        ...

    @property
    def local_grads(self) -> tuple[float, ...]:
        """∂self/∂operand for each of `operands`."""
        ...

    @property
    def _time(self) -> int:
        """When it was computed or, for a leaf, set; −1 for a bare number in a formula.

        `graph.require_fresh`, `NamedGraph.variables` and `vectorize/trace.py` read it.
        """
        ...

"""The kinds of the values of a graph: constants, inputs, parameters, other leaves, values and the output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tinygrad_scalar.engine import Value
from tinygrad_scalar.inspection.names import symbol

_ROLES = {"w": "parameter", "b": "parameter", "a": "input", "x": "input", "y": "input"}


def kinds(nodes: Sequence[Value], called: Mapping[Value, str]) -> dict[Value, str]:
    """The kind of each of `nodes` (in topological order): constant, leaf, input, parameter, value or output.

    >>> from tinygrad_scalar.inspection.names import names_of, topological_order
    >>> w, x = Value(0.5, "w"), Value(2.0, "x")
    >>> nodes = topological_order(w * x + 1)
    >>> list(kinds(nodes, names_of(nodes, {})).values())
    ['parameter', 'input', 'value', 'constant', 'output']
    """
    letters = {node: letter_of(called[node]) if node in called else None for node in nodes if not node.op}
    of_letter = _ROLES if "w" in letters.values() else {}
    found = {}
    for node in nodes:
        if node.op:
            found[node] = "output" if node is nodes[-1] else "value"
        else:
            letter = letters[node]
            found[node] = "constant" if letter is None else of_letter.get(letter, "leaf")
    return found


def letter_of(name: str) -> str:
    """The notes' letter in a name: w for w(1)[0,2], w1, w[0] and W."""
    parts = symbol(name)
    return parts.letter.rstrip("0123456789_").lower() if parts else ""

"""The errors that this package raises by name, and how they point at the user's own source line."""

from __future__ import annotations

import linecache
import os
import re
import reprlib
import sys
from pathlib import Path
from typing import NamedTuple

from tinygrad_scalar.engine.node import Node

_PACKAGE = str(Path(__file__).parent.parent) + os.sep


class StaleGraphError(ValueError):
    """A leaf was set after the graph above it was computed, so that graph's numbers are old."""


class AnomalyError(FloatingPointError):
    """A nan or an infinity appeared where `detect_anomaly` (or training) watches for one."""


class TraceError(TypeError):
    """A function that `vectorize` traces looked at a traced number, which stands for every example at once."""


WAYS_OUT = {
    "data": "its .data was read: compute with the Value itself, or keep a constant of your own outside",
    "gradient": "its gradient was asked for: vectorize gives it, and the function only computes the cost",
    "order": "it was compared: choose with ts.where(ts.greater(x, y), a, b), ts.maximum or ts.minimum",
    "truth": "a branch was taken on it: choose with ts.where(condition, a, b)",
    "equality": "== asks whether it is the same Value: numbers are compared by ts.where(ts.greater_equal(x, y), a, b)",
    "float": "it was made a plain number: use the methods of Value, as v.exp() for math.exp(v)",
    "int": "it was made a plain number: an integer argument chooses a row by ts.lookup(table, i)",
    "index": "it was used as an index: an integer argument chooses a row by ts.lookup(table, i)",
    "round": "it was rounded, which has no gradient",
    "set": "its .data was set: what is traced only computes",
    "copy": "it was copied, and a copy is not the same parameter: use the Value itself",
}


def traced(node: Node, use: str) -> TraceError:
    """For looking at a number while it is traced; `use` is one of WAYS_OUT."""
    return TraceError(
        f"{user_line()}: {node.label or 'a computed value'} stands for every example at once here, but {WAYS_OUT[use]}"
    )


class SourceLine(NamedTuple):
    """A line of the user's program; `text` is "" where the source is not at hand (a plain REPL)."""

    filename: str
    number: int
    text: str

    def __str__(self) -> str:
        place = f"{self.filename}:{self.number}"
        return f"{place}: {self.text}" if self.text else place


def user_line() -> SourceLine:
    """The innermost line being executed that is not part of this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    filename, number = frame.f_code.co_filename, frame.f_lineno
    return SourceLine(filename, number, linecache.getline(filename, number, frame.f_globals).strip())


def computed(node: Node) -> AttributeError:
    """For setting the data of a node that was computed."""
    return AttributeError(
        f"the data of {node.label or repr(node)} was computed by {node.op!r} and cannot be set: "
        "set the leaves below it and call forward()"
    )


def loss_of_gradient(node: Node, into: str) -> TypeError:
    """For float(v) and its kin, or a function of the math module that calls it."""
    called = [name for name in re.findall(r"\bmath\.(\w+)\(", user_line().text) if hasattr(node, name)]
    methods = " or ".join(f"v.{name}()" for name in dict.fromkeys(called))
    return TypeError(
        f"{into} of {node.label or repr(node)} would silently lose its gradient: to go on computing use "
        f"{methods or 'a method of Value, as v.exp() for math.exp(v)'}; for the plain number v.data"
    )


def stale(leaf: Node, node: Node) -> StaleGraphError:
    """For a leaf whose change has not reached `node`."""
    return StaleGraphError(
        f"{leaf.label or repr(leaf)} was set to {leaf.data!r}, which has not reached "
        f"{node.label or repr(node)} (operation {node.op!r}): call forward(), or build the graph again"
    )


def shown(thing: object) -> str:
    """A thing as an error shows it: shortened, with its type."""
    return f"{reprlib.repr(thing)} ({type(thing).__name__})"

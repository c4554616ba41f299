"""The named errors of this package, and the messages that several places raise.

    ValueError
        StaleGraphError      a leaf was set, and the values computed from it are out of date
    FloatingPointError
        AnomalyError         a nan or an infinity where one is watched for
    TypeError
        TraceError           a traced function looked at a number

All other usage errors are plain ValueError, TypeError or AttributeError, raised before anything has changed.
"""

from __future__ import annotations

import linecache
import os
import re
import sys
from pathlib import Path
from typing import NamedTuple

from tinygrad_scalar.engine.node import Node
from tinygrad_scalar.screen import printable, shortened

PACKAGE = str(Path(__file__).parent.parent) + os.sep


class StaleGraphError(ValueError):
    """A leaf was set after the graph above it was computed, so that graph's numbers are out of date."""


class AnomalyError(FloatingPointError):
    """A nan or an infinity appeared where `detect_anomaly` (or training) watches for one."""


class TraceError(TypeError):
    """A function traced by `vectorize` looked at a number that is a placeholder for every example."""


# --- parts of a message ----------------------------------------------------------------------------------------------

LONGEST = 300  # characters of an object in an error
LONGEST_NAME = 100


def shown(thing: object) -> str:
    """An object as errors show it: shortened, on one line, with its type."""
    return f"{shortened(thing, LONGEST)} ({type(thing).__name__[:LONGEST_NAME]})"


def label_of(node: Node, otherwise: str = "") -> str:
    """The name of a node as errors show it; without a label `otherwise`, or its repr."""
    label = printable(str(node.label or ""))
    return (label if len(label) <= LONGEST_NAME else f"{label[: LONGEST_NAME - 1]}…") or otherwise or repr(node)


class SourceLine(NamedTuple):
    """A line of the user's program; `text` is "" if the source is not available (a plain REPL)."""

    filename: str
    number: int
    text: str

    def __str__(self) -> str:
        place = f"{self.filename}:{self.number}"
        return f"{place}: {self.text}" if self.text else place


def user_line() -> SourceLine:
    """The innermost line being executed that is not part of this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    filename, number = frame.f_code.co_filename, frame.f_lineno
    return SourceLine(filename, number, linecache.getline(filename, number, frame.f_globals).strip())


# --- messages --------------------------------------------------------------------------------------------------------

WAYS_OUT = {
    "data": "its .data was read: compute with the Value itself, or keep a constant outside the function",
    "run": "a vectorized function was run on it, by the traced function or by a signal handler: run it before or after",
    "gradient": "its gradient was asked for: vectorize computes gradients, the function only the cost",
    "text": "it was shown as text: print it outside the function, which runs once for all examples",
    "order": "it was compared: choose with ts.where(ts.greater(x, y), a, b), ts.maximum or ts.minimum, and from "
    "a list with ts.max or ts.min; or let each example take its own branch with ts.cond(ts.greater(x, y), then, "
    "otherwise)",
    "truth": "a branch was taken on it: choose with ts.where(condition, a, b), or let each example take its own branch "
    "with ts.cond(condition, then, otherwise)",
    "equality": "== tests identity: to compare numbers use ts.where(ts.greater_equal(x, y), a, b); to choose by an "
    "integer argument use ts.lookup(table, i)",
    "hash": "it was looked for in a dict, a set or a cache, which tell objects apart and not numbers: to choose by an "
    "integer argument use ts.lookup(table, i)",
    "float": "it was made a float: use the methods of Value, such as v.exp() for math.exp(v)",
    "int": "it was made an int: to index by an integer argument use ts.lookup(table, i)",
    "index": "it was used as an index: to index by an integer argument use ts.lookup(table, i)",
    "round": "it was rounded, which has no gradient: leave it unrounded, or round outside the function",
    "copy": "it was copied, and a copy is a new parameter: use the Value itself",
}


def traced(node: Node, use: str) -> TraceError:
    """The error for looking at a traced number; `use` is a key of WAYS_OUT."""
    name = label_of(node, "a computed value")
    return TraceError(
        f"{user_line()}: {name} is a placeholder for every example while vectorize traces, but {WAYS_OUT[use]}"
    )


def set_while_traced(node: Node) -> TraceError:
    """The error for setting a number in a traced function, which runs once for all examples and calls."""
    return TraceError(
        f"{user_line()}: {label_of(node, 'a Value')} was set while vectorize traces: the function must only compute; "
        "set it before the call"
    )


def wrong_operand(function: str, thing: object) -> TypeError:
    """The error for what is no operand of the function."""
    on_arrays = f"; on arrays, element by element: np.vectorize(ts.{function})" if getattr(thing, "shape", ()) else ""
    return TypeError(f"{function} expected a Value or a number, got {shown(thing)}{on_arrays}")


def computed(node: Node) -> AttributeError:
    """The error for setting the data of a computed node."""
    return AttributeError(
        f"the data of {label_of(node)} was computed by {node.op!r} and cannot be set: "
        "set the leaves below it and call forward()"
    )


def loss_of_gradient(node: Node, into: str) -> TypeError:
    """The error for float(v), int(v) and round(v), or a function of the math module that calls float(v)."""
    called = [name for name in re.findall(r"\bmath\.(\w+)\(", user_line().text) if hasattr(node, name)]
    methods = " or ".join(f"v.{name}()" for name in dict.fromkeys(called))
    return TypeError(
        f"{into}({label_of(node)}) would silently lose its gradient: to keep the gradient, use "
        f"{methods or 'a method of Value, such as v.exp() for math.exp(v)'}; for the plain number use v.data"
    )


def without_mask(node: Node) -> None:
    """Refuse the arithmetic of numpy.ma, which asks its operands for `_mask` and would lose gradients.

    For anybody else there is no such attribute.
    """
    if not sys._getframe(1).f_globals.get("__name__", "").startswith("numpy.ma"):
        raise AttributeError(f"{type(node).__name__!r} object has no attribute '_mask'")
    raise ValueError(  # NumPy hides a TypeError and goes on without the mask
        f"{label_of(node)} was used with a masked number or a masked array (numpy.ma), but a Value has no mask: fill "
        "what is masked, as in array.filled(0.0), or drop it, as in array.compressed(), and use the result"
    )


def stale(leaf: Node, node: Node) -> StaleGraphError:
    """The error for a leaf whose change has not reached `node`."""
    return StaleGraphError(
        f"{label_of(leaf)} was set to {leaf.data!r}, but {label_of(node)} (operation {node.op!r}) "
        "has not been recomputed since: call forward(), or rebuild the graph"
    )

"""The engine: `Value`, compiled or else in plain Python, and the functions that work on many Values at once.

The two implementations share one specification, as heapq and _heapq do in CPython (PEP 399): value.py says what and
why, `_value.pyx` does the same in C, and one test suite runs over both. TINYGRAD_SCALAR_PURE=1 in the environment, set
before the import, selects the plain one. Everything above the engine imports the chosen names from here.

The two differ in one respect: the garbage collector does not look into compiled Values, since graphs have no
cycles. An instance of a *subclass* of Value can hold a graph made from itself in an attribute; it looks into those
instances and into all that is computed from them.
"""

import importlib
import os
import warnings
from typing import TYPE_CHECKING

from tinygrad_scalar.engine import anomaly
from tinygrad_scalar.engine.graph_arrays import Tape

__all__ = [
    "Linear", "Tape", "Value", "_restore", "accelerated", "acyclic", "clear_gradients", "compute_gradients",
    "give_back_unused", "gradients", "group_of", "in_c", "marks_below", "now", "read_data", "read_gradients",
    "read_graph", "recompute", "record", "set_data", "tangents", "tick", "turn_memory", "turn_memory_back",
    "weighted_sum",
]  # fmt: skip

accelerated = False
if os.environ.get("TINYGRAD_SCALAR_PURE", "") in ("", "0"):
    try:
        importlib.import_module("tinygrad_scalar.engine._value")
        accelerated = True
    except ModuleNotFoundError as error:  # installed where there was no C compiler
        if error.name != "tinygrad_scalar.engine._value":
            raise
    except ImportError as error:  # built, but for another Python or machine
        warnings.warn(
            f"cannot load the compiled Value ({error}); using the plain one: reinstall tinygrad_scalar", stacklevel=2
        )

if TYPE_CHECKING or not accelerated:
    from tinygrad_scalar.engine.bulk import (
        acyclic,
        clear_gradients,
        compute_gradients,
        give_back_unused,
        group_of,
        in_c,
        marks_below,
        now,
        read_data,
        read_gradients,
        recompute,
        set_data,
        tick,
        turn_memory,
        turn_memory_back,
        weighted_sum,
    )
    from tinygrad_scalar.engine.graph_arrays import read_graph
    from tinygrad_scalar.engine.linear import Linear
    from tinygrad_scalar.engine.recording import gradients, tangents
    from tinygrad_scalar.engine.value import Value, _restore, record
else:
    from tinygrad_scalar.engine._value import (
        Linear,
        Value,
        _restore,
        acyclic,
        clear_gradients,
        compute_gradients,
        give_back_unused,
        gradients,
        group_of,
        in_c,
        marks_below,
        now,
        read_data,
        read_gradients,
        read_graph,
        recompute,
        record,
        set_data,
        tangents,
        tick,
        turn_memory,
        turn_memory_back,
        weighted_sum,
    )

_restore.__module__ = __name__  # where pickle finds the chosen implementation's


def _tick(blocks: int) -> None:
    tick()


anomaly.listeners.append(_tick)  # a vectorized function asks whether a block is open only if the time has changed

"""NumPy's errstate that a finalizer cannot break: `quiet(over="ignore")` is `np.errstate(over="ignore")`.

errstate sets a context variable. Up to Python 3.11 the garbage collector can run in the middle of that; a finalizer
that then sets one too, such as one that calls a step, leaves the interpreter with memory that was freed (a segmentation
fault), or the variable is lost (a LookupError). So the collector waits while the variable is set.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
COLLECTS_ANYWHERE = sys.version_info < (3, 12)  # later versions collect between two instructions of Python only


class Quiet:
    """As `np.errstate`, which it is from Python 3.12 on."""

    def __init__(self, **states: Any) -> None:
        import numpy

        self._state = numpy.errstate(**states)

    def __enter__(self) -> None:
        without_collector(self._state.__enter__)

    def __exit__(self, *exception: object) -> None:
        without_collector(self._state.__exit__, *exception)


def without_collector(call: Callable[..., T], *arguments: object) -> T:
    """The result of a call that sets a context variable."""
    collects = COLLECTS_ANYWHERE and gc.isenabled()
    try:
        if collects:
            gc.disable()
        return call(*arguments)
    finally:
        if collects:
            gc.enable()


def quiet(**states: Any) -> Any:
    """A context within which NumPy treats floating-point errors as `np.errstate` says.

    >>> import numpy as np
    >>> with quiet(over="ignore"):
    ...     float(np.float64(1e300) * np.float64(1e300))
    inf
    """
    if COLLECTS_ANYWHERE:
        return Quiet(**states)
    import numpy

    return numpy.errstate(**states)

"""The native executor, `_tape.pyx`, if it is there."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

from tinygrad_scalar.engine import accelerated


@cache
def executor() -> Any:
    """The native executor's module, or None if it was not built or the plain Value is in use."""
    if not accelerated:
        return None
    try:
        return importlib.import_module("tinygrad_scalar.vectorize._tape")
    except ImportError:
        return None

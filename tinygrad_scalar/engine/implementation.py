"""Which implementation of Value is in use: the compiled `_value` where it was built, or else the plain value.py.

As with heapq and _heapq in CPython (PEP 399) the two are one specification, and one test suite runs over both.
TINYGRAD_SCALAR_PURE=1 in the environment, set before the import, selects the plain one.

They differ in one thing: the garbage collector does not look into compiled Values, since a graph cannot be a cycle. A
*subclass* of Value can hold a graph made from itself in an attribute of its own, and such a cycle is never freed.
"""

import importlib
import os
import warnings

accelerated = False
if os.environ.get("TINYGRAD_SCALAR_PURE", "") in ("", "0"):
    try:
        importlib.import_module("tinygrad_scalar.engine._value")
        accelerated = True
    except ModuleNotFoundError as error:  # installed where there was no C compiler
        if error.name != "tinygrad_scalar.engine._value":
            raise
    except ImportError as error:  # built, but for another Python or machine
        warnings.warn(f"the compiled Value cannot be loaded, the plain one is used: {error}", stacklevel=2)

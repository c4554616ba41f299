"""BLAS on one thread: its products then have the same bits whatever the number of threads that it may use."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let NumPy's BLAS compute in the threads that call it, until the last of these blocks ends.

    Only for OpenBLAS, and with the compiled modules. Otherwise this does nothing: OMP_NUM_THREADS=1, set before Python
    starts, is for any BLAS.
    """
    try:
        threads = importlib.import_module("tinygrad_scalar.vectorize._threads")
    except ImportError:
        yield
        return
    held = threads.hold()
    try:
        yield
    finally:
        if held:
            threads.release()

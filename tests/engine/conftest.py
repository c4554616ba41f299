"""Both implementations in one process, for the tests that compare them."""

import contextlib
import importlib
import os
import sys

import pytest

import tinygrad_scalar


def _ours():
    return {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "tinygrad_scalar"}


@contextlib.contextmanager
def _put_in_place(modules, pure):
    """Within this block, imports, pickles and new processes mean these modules; afterwards those from before."""
    before, setting = _ours(), os.environ.get("TINYGRAD_SCALAR_PURE")
    for name in before:
        del sys.modules[name]
    sys.modules.update(modules)
    os.environ["TINYGRAD_SCALAR_PURE"] = pure
    try:
        yield importlib.import_module("tinygrad_scalar")
    finally:
        modules.update(_ours())
        for name in _ours():
            del sys.modules[name]
        sys.modules.update(before)
        del os.environ["TINYGRAD_SCALAR_PURE"]
        if setting is not None:
            os.environ["TINYGRAD_SCALAR_PURE"] = setting


@pytest.fixture(scope="session")
def _sets():
    """The modules of each implementation; the compiled one can be imported only once in a process."""
    if not tinygrad_scalar.accelerated:
        pytest.skip("the compiled Value is not in use here, so there is nothing to compare")
    return {"compiled": _ours(), "plain": {}}


@pytest.fixture(scope="session")
def selected(_sets):
    """Within `with selected("plain") as ts:`, the package, its imports and its pickles are of that implementation."""
    return lambda name: _put_in_place(_sets[name], "1" if name == "plain" else "0")


@pytest.fixture(scope="session")
def implementations(selected):
    """Both packages by the name of the implementation."""
    packages = {}
    for name in ("compiled", "plain"):
        with selected(name) as packages[name]:
            pass
    return packages

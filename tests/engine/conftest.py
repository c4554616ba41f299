"""Both implementations in one process, for the tests that compare them."""

import contextlib
import importlib
import sys

import pytest

import tinygrad_scalar


def _modules():
    return {name: module for name, module in sys.modules.items() if name.startswith("tinygrad_scalar")}


def _put(modules):
    for name in _modules():
        del sys.modules[name]
    sys.modules.update(modules)


@pytest.fixture(scope="session")
def selected():
    """Within `with selected("plain") as ts:`, imports, pickles and new processes use the plain implementation."""
    if not tinygrad_scalar.accelerated:
        pytest.skip("the compiled Value is not in use here, so there is nothing to compare")
    modules = {"compiled": _modules(), "plain": {}}  # the compiled one can be imported only once in a process

    @contextlib.contextmanager
    def select(name):
        before = _modules()
        _put(modules[name])
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TINYGRAD_SCALAR_PURE", "1" if name == "plain" else "0")
            try:
                yield importlib.import_module("tinygrad_scalar")
            finally:
                modules[name] = _modules()
                _put(before)

    return select


@pytest.fixture(scope="session")
def implementations(selected):
    """Both packages by the name of the implementation."""
    packages = {}
    for name in ("compiled", "plain"):
        with selected(name) as packages[name]:
            pass
    return packages

"""Every test runs once for each implementation of Value, and its name says for which: test_x[compiled], test_x[plain].

Each implementation has a set of modules of its own: the package, imported for it, and the tests, imported with it.
`select` puts one set into sys.modules, before a test module is imported and again before each of its tests, so that
tests run in any order; it also sets TINYGRAD_SCALAR_PURE, so that processes which a test starts are of the same kind.
Where TINYGRAD_SCALAR_PURE is set for pytest itself, only the plain one is tested; where the compiled one was not built,
each file's tests of it are one skip.
"""

import contextlib
import importlib
import os
import sys
from pathlib import Path

import pytest

IMPLEMENTATIONS = ["compiled", "plain"] if os.environ.get("TINYGRAD_SCALAR_PURE", "") in ("", "0") else ["plain"]
ONCE = {"test_implementations.py", "test_notebooks.py"}  # files of tests that take both implementations, or none
NOT_BUILT = "the compiled Value was not built"

_HERE = Path(__file__).parent
_OURS = {"tinygrad_scalar", "notes", *(path.stem for path in _HERE.glob("test_*.py"))}
_modules = {name: {} for name in IMPLEMENTATIONS}  # those of the sets that are not selected
_selected = None


def select(implementation):
    """Make `import tinygrad_scalar`, here and in processes started from here, mean this implementation."""
    global _selected
    if implementation != _selected:
        loaded = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in _OURS}
        for name in loaded:
            del sys.modules[name]
        if _selected is not None:
            _modules[_selected] = loaded
        sys.modules.update(_modules[implementation])
        _selected = implementation
    os.environ["TINYGRAD_SCALAR_PURE"] = "1" if implementation == "plain" else "0"


def _package(implementation):
    select(implementation)
    return importlib.import_module("tinygrad_scalar")


assert "tinygrad_scalar" not in sys.modules  # the compiled one can be imported once only, and would not be ours
PACKAGES = {name: _package(name) for name in IMPLEMENTATIONS}
BUILT = [name for name, package in PACKAGES.items() if package.accelerated == (name == "compiled")]


def pytest_report_header():
    missing = [f"{name} is missing: {NOT_BUILT}" for name in IMPLEMENTATIONS if name not in BUILT]
    header = [f"implementations of Value: {', '.join(BUILT + missing)}"]
    if "compiled" in BUILT:
        package = Path(PACKAGES["compiled"].__file__).parent
        built = max(path.stat().st_mtime for path in package.glob("_value.*") if path.suffix in (".so", ".pyd"))
        if any(path.stat().st_mtime > built for path in (*package.glob("_*.pyx"), *package.glob("_*.px[di]"))):
            header.append("WARNING: the compiled Value is older than its source; install again")
    return header


# --- collecting ------------------------------------------------------------------------------------------------------


class TestFile(pytest.Module):
    """A file of tests, imported for one implementation."""

    implementation = ""

    def collect(self):
        if self.implementation not in BUILT:
            pytest.skip(NOT_BUILT, allow_module_level=True)
        return super().collect()


def _of_each_implementation(module):
    for implementation in IMPLEMENTATIONS:
        copy = TestFile.from_parent(module.parent, path=module.path)
        copy.implementation = implementation
        yield copy


def _select_for(node):
    module = node.getparent(TestFile)
    if module is not None and module.implementation in BUILT:
        select(module.implementation)


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path):
    modules = yield
    return modules if file_path.name in ONCE else [copy for m in modules for copy in _of_each_implementation(m)]


@pytest.hookimpl(tryfirst=True)
def pytest_make_collect_report(collector):
    _select_for(collector)


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc):
    module = metafunc.definition.getparent(TestFile)
    if module is not None:
        metafunc.parametrize("implementation", [module.implementation], indirect=True)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item):
    _select_for(item)


# --- what tests are given --------------------------------------------------------------------------------------------


@pytest.fixture(scope="session", autouse=True)
def implementation(request):
    """The name of the implementation that the test is run for; None for a test that takes both."""
    return getattr(request, "param", None)


@pytest.fixture(scope="session")
def once():
    """Computes for both implementations what does not depend on them."""
    computed = {}

    def result(function):
        name = f"{function.__module__}.{function.__qualname__}"
        if name not in computed:
            computed[name] = function()
        return computed[name]

    return result


@pytest.fixture(scope="session")
def implementations():
    """Both packages by the name of the implementation."""
    if BUILT != ["compiled", "plain"]:
        pytest.skip(f"only {', '.join(BUILT)} is here to be compared")
    return PACKAGES


@pytest.fixture(scope="session")
def selected(implementations):
    """Within `with selected("plain"):`, imports and pickles mean that implementation."""

    @contextlib.contextmanager
    def selection(name):
        before = _selected
        select(name)
        try:
            yield implementations[name]
        finally:
            select(before)

    return selection

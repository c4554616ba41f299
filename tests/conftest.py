"""`python -m pytest` tests the Value that was built, `python -m pytest --plain` the one in plain Python.

A process has one implementation of Value, chosen by TINYGRAD_SCALAR_PURE before the package is first imported, and so
have the processes that tests start. `--plain` tests the rooms that depend on which of the two it is, unless others are
given. `--thorough` adds the tests marked `thorough` or `peers`, larger graphs and ten times as many random examples.
"""

import gc
import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# The hundreds of processes that tests start, and pytest's own, share what is compiled once.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

if "--plain" in sys.argv:  # here and not in pytest_configure, because another conftest.py may import the package
    os.environ["TINYGRAD_SCALAR_PURE"] = "1"

HERE = Path(__file__).parent
PLAIN_ROOMS = ["engine", "inspection", "primitives", "transforms"]  # .ci/run has the others

settings.register_profile("quick", max_examples=10, deadline=None)
settings.register_profile("thorough", max_examples=100, deadline=None)


def pytest_addoption(parser):
    parser.addoption("--plain", action="store_true", help="test the plain Value instead of the compiled one")
    parser.addoption("--thorough", action="store_true", help="also run what takes long")


def pytest_configure(config):
    plain, thorough = config.getoption("plain"), config.getoption("thorough")
    settings.load_profile("thorough" if thorough else "quick")
    if plain and config.args_source is config.ArgsSource.TESTPATHS:
        config.args = [str(HERE / room) for room in PLAIN_ROOMS]


def pytest_collection_modifyitems(config, items):
    if not config.getoption("thorough"):
        long = {item for item in items if item.get_closest_marker("thorough") or item.get_closest_marker("peers")}
        config.hook.pytest_deselected(items=list(long))
        items[:] = [item for item in items if item not in long]


@pytest.fixture(scope="session")
def thorough(request):
    """Whether to test with large graphs and many repetitions."""
    return request.config.getoption("thorough")


@pytest.fixture(scope="module", autouse=True)
def what_is_there_is_not_collected_again():
    """The hundreds of tests that call gc.collect() must not go through all tests, reports and SymPy each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def no_primitive_is_left():
    """Tests that go through the table of operations must not find what others have registered."""
    yield
    from tinygrad_scalar.engine.ops import OPERATIONS

    for name in [name for name, row in OPERATIONS.items() if row.primitive is not None]:
        del OPERATIONS[name]


def pytest_report_header(config):
    import tinygrad_scalar as ts

    header = [f"Value: {'compiled' if ts.accelerated else 'plain'}"]
    if ts.accelerated:
        folder = Path(ts.__file__).parent / "engine"
        built = max(path.stat().st_mtime for path in folder.glob("_value.*") if path.suffix in (".so", ".pyd"))
        if any(path.stat().st_mtime > built for path in folder.glob("_*.p[yx]*")):
            header.append("WARNING: the compiled Value is older than its source; install again")
    elif os.environ.get("TINYGRAD_SCALAR_PURE", "") in ("", "0"):
        header.append("WARNING: the compiled Value was not built; the tests that need it are skipped")
    return header

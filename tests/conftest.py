"""`python -m pytest` tests the Value that was built, `python -m pytest --plain` the one in plain Python.

One process has one implementation, chosen before the package is first imported; so have the processes that tests
start. Without `--thorough`, tests marked thorough are left out, and `--plain` runs only the rooms PLAIN_ROOMS.
"""

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PLAIN_ROOMS = {"engine", "inspection", "vectorize"}


def pytest_addoption(parser):
    parser.addoption("--plain", action="store_true", help="test the plain Value instead of the compiled one")
    parser.addoption("--thorough", action="store_true", help="also run what takes long")


def pytest_configure(config):
    if config.getoption("plain"):
        os.environ["TINYGRAD_SCALAR_PURE"] = "1"


def pytest_ignore_collect(collection_path, config):
    if config.getoption("plain") and not config.getoption("thorough") and collection_path.parent == HERE:
        return collection_path.name not in PLAIN_ROOMS | {"conftest.py"}
    return None


def pytest_collection_modifyitems(config, items):
    if not config.getoption("thorough"):
        for item in items:
            if item.get_closest_marker("thorough"):
                item.add_marker(pytest.mark.skip(reason="takes long: --thorough"))


def pytest_report_header(config):
    import tinygrad_scalar as ts

    folder = Path(ts.__file__).parent / "engine"
    header = [f"Value: {'compiled' if ts.accelerated else 'plain'}"]
    if ts.accelerated:
        built = max(path.stat().st_mtime for path in folder.glob("_value.*") if path.suffix in (".so", ".pyd"))
        if any(path.stat().st_mtime > built for path in folder.glob("_*.p[yx]*")):
            header.append("WARNING: the compiled Value is older than its source; install again")
    return header

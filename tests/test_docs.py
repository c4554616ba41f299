"""docs/architecture.md and CONTRIBUTING.md name what is there: every file, every room."""

import configparser
import re
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent
PACKAGE = TOP / "tinygrad_scalar"
PAGES = {name: (TOP / name).read_text("utf-8") for name in ("docs/architecture.md", "CONTRIBUTING.md")}

# A path with a folder is one of the repository; a bare name is that of a file in one of the rooms.
FILE = re.compile(r"[`(]((?:[\w.-]+/)*[\w.-]+\.(?:py|pyx|pxd|md|cfg|toml)|(?:[\w.-]+/)+\w*)[`)]")
NAMED = [(page, name) for page, text in PAGES.items() for name in dict.fromkeys(FILE.findall(text))]
FOLDERS = [TOP, PACKAGE, TOP / "docs", TOP / "viz", *(path.parent for path in PACKAGE.glob("*/__init__.py"))]
ROOMS = [
    "viz/",
    *(f"tinygrad_scalar/{path.name}" for path in PACKAGE.glob("[!_]*.py")),
    *(f"tinygrad_scalar/{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py") if path.parent.name != "viz"),
]


def test_the_pages_name_files():
    assert len(NAMED) > 40


@pytest.mark.parametrize(("page", "name"), NAMED)
def test_every_file_and_folder_that_is_named_is_there(page, name):
    assert any((folder / name).exists() for folder in FOLDERS)


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_is_on_the_map(room):
    assert f"\n| `{room}` |" in PAGES["docs/architecture.md"]


def test_every_extra_that_is_to_be_installed_exists():
    setup = configparser.ConfigParser()
    setup.read(TOP / "setup.cfg", "utf-8")
    (extras,) = re.findall(r'pip install -e "\.\[([\w,]+)\]"', PAGES["CONTRIBUTING.md"])
    assert set(extras.split(",")) <= set(setup["options.extras_require"])

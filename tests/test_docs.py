"""docs/architecture.md and CONTRIBUTING.md name what is there: every room and every file in it, no other."""

import configparser
import re
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent
PACKAGE = TOP / "tinygrad_scalar"
PAGES = {name: (TOP / name).read_text("utf-8") for name in ("docs/architecture.md", "CONTRIBUTING.md")}

# A path with a folder is one of the repository; a bare name is that of a file in one of the rooms.
FILE = re.compile(r"[`(]((?:[\w.-]+/)*[\w.-]+\.(?:py|pyx|pxd|pxi|h|md|ipynb|cfg|toml)|(?:[\w.-]+/)+\w*)[`)]")
NAMED = [(page, name) for page, text in PAGES.items() for name in dict.fromkeys(FILE.findall(text))]
ROOM_FOLDERS = [path.parent for path in PACKAGE.glob("*/__init__.py")]
FOLDERS = [TOP, PACKAGE, TOP / "docs", TOP / "notebooks", TOP / "viz", *ROOM_FOLDERS]
ROOMS = [
    "viz/",
    "notebooks/",
    *(f"tinygrad_scalar/{path.name}" for path in PACKAGE.glob("[!_]*.py")),
    *(f"tinygrad_scalar/{folder.name}/" for folder in ROOM_FOLDERS if folder.name != "viz"),
]
# A paragraph for each room of more than one file.
LISTED = dict(re.findall(r"^- `(\w+)/`: (.*(?:\n  .*)*)", PAGES["docs/architecture.md"], re.MULTILINE))


def test_the_pages_name_files():
    assert len(NAMED) > 40


def test_every_file_and_folder_that_is_named_is_there():
    assert [(page, name) for page, name in NAMED if not any((folder / name).exists() for folder in FOLDERS)] == []


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_is_on_the_map(room):
    assert f"\n| `{room}` |" in PAGES["docs/architecture.md"]


@pytest.mark.parametrize("room", LISTED)
def test_every_file_of_a_room_is_listed(room):
    folder = TOP / "viz" if room == "viz" else PACKAGE / room
    suffixes = (".py", ".pyx", ".pxd", ".pxi", ".h", ".js", ".css")
    files = {path.name for path in folder.rglob("*") if path.suffix in suffixes}
    assert set(re.findall(r"`([\w-]+\.\w+)`", LISTED[room])) == files - {"__init__.py"}


def test_rooms_of_several_files_have_a_list():
    assert set(LISTED) == {path.parent.name for path in PACKAGE.glob("*/[!_]*.py")} | {"viz"}


def test_every_extra_that_is_to_be_installed_exists():
    setup = configparser.ConfigParser()
    setup.read(TOP / "setup.cfg", "utf-8")
    (extras,) = re.findall(r'pip install -e "\.\[([\w,]+)\]"', PAGES["CONTRIBUTING.md"])
    assert set(extras.split(",")) <= set(setup["options.extras_require"])

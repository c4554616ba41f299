"""The pictures in docs/pictures: what the code draws today, and all of them readable."""

import re
import runpy
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support.pictures import SVG

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
PICTURES = runpy.run_path(str(FOLDER / "make.py"), run_name="make")["PICTURES"]
LARGE = {"digits", "long-chain"}  # graphs of some 200,000 values


def test_there_is_a_picture_for_each_that_the_script_makes():
    assert {path.stem for path in FOLDER.glob("*.svg")} == set(PICTURES)


def words(svg):
    """The texts of a picture, without numbers, whose last digits can differ from machine to machine."""
    found = [text.text or "" for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]
    return sorted(text for text in found if not re.search(r"\d\.\d|e[−+]", text))


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.thorough] * (n in LARGE)) for n in PICTURES])
def test_a_picture_is_what_the_code_draws(name):
    shown = (FOLDER / f"{name}.svg").read_text("utf-8")
    assert words(PICTURES[name]().svg) == words(shown)

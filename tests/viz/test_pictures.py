"""The pictures in docs/pictures: what the code draws today, and all readable; those that move show each step."""

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


# --- the moving ones -------------------------------------------------------------------------------------------------

MOVING = ["one-node-steps", "one-node-steps-narrow"]


def steps(name):
    """The groups of a moving picture that are shown one after the other, in the order in which they are shown."""
    found = [g for g in ElementTree.parse(FOLDER / f"{name}.svg").iter(f"{SVG}g") if "step" in g.get("class", "")]
    return sorted(found, key=lambda group: float(re.search(r"animation-delay: (-?[\d.]+)s", group.get("style"))[1]))


@pytest.mark.parametrize("name", MOVING)
def test_a_moving_picture_shows_what_the_stepper_says_at_every_step(name):
    stepper = PICTURES[name]().stepper
    stepper.reset()
    shown = [" ".join("".join(text.itertext()) for text in group.findall(f"{SVG}text")) for group in steps(name)]
    assert len(shown) == stepper.total + 1
    for position, text in enumerate(shown[1:], 1):
        step = stepper.to(position)
        lines = [line for line in str(step).splitlines() if ".grad: " not in line]
        assert re.sub(r"\s+", " ", text) == re.sub(r"\s+", " ", " ".join([step.where, *lines]))


@pytest.mark.parametrize("name", MOVING)
def test_only_the_last_step_is_seen_where_nothing_moves(name):
    text = (FOLDER / f"{name}.svg").read_text("utf-8")
    still, moving = text.split("@media (prefers-reduced-motion: no-preference)")
    assert "animation:" not in still
    assert ".step { visibility: hidden } .last { visibility: visible }" in still
    assert [group.get("class") for group in steps(name)] == ["step"] * 11 + ["step last"]
    assert moving.count("animation: step ") == 1


@pytest.mark.parametrize("name", MOVING)
def test_a_moving_picture_can_be_an_image_in_a_page(name):
    """Which runs no script and loads nothing; it is under 500 kB."""
    text = (FOLDER / f"{name}.svg").read_text("utf-8")
    assert len(text.encode()) < 500_000
    assert not re.search(r"<script|href|url\(|@import|foreignObject", text)


@pytest.mark.parametrize("name", MOVING)
def test_boxes_stay_where_they_are_from_step_to_step(name):
    """Marked or not, the outline of a rounded box begins at the same point."""

    def outlines(group):
        drawn = [path.get("d") for path in group.iter(f"{SVG}path") if path.get("fill") != "none"]
        return {path.split("C")[0] for path in drawn}

    in_all = outlines(ElementTree.parse(FOLDER / f"{name}.svg").getroot().find(f"{SVG}g"))
    first, *others = [outlines(group) | in_all for group in steps(name)]
    assert len(first) == 10  # five values and their operations
    assert all(other == first for other in others)

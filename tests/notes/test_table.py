"""Every equation has a test, and notebooks/equations.md and notebooks/errata.md say what the tests say."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tinygrad_scalar as ts

from .citations import cited
from .equations import EQUATIONS, equation
from .table import COMMAND, ERRATA, HERE, TABLE, collected, corrections, errata, shown_in, table

IDS = [e.id for e in EQUATIONS]


def numbered(note, numbers):
    return [f"{note} Eq. {number}" for number in numbers.split()]


# --- the list and the tests ------------------------------------------------------------------------------------------


def test_every_equation_has_a_test():
    assert [id for id in IDS if id not in collected()] == []


def test_every_id_is_there_once():
    assert sorted(set(IDS)) == sorted(IDS)


def test_every_numbered_equation_of_the_notes_is_listed_in_order():
    assert [id for id in IDS if " Eq. " in id] == [
        *numbered("000", "1 2 3 4 5 6 7 8"),
        *numbered("003", "1a 1b 2a 2b 2c 3a 3b 4a 4b 4c 4d 5a 5b 6 7 8 9"),
        *numbered("003", "10a 10b 10c 10d 11a 11b 11c 11d 12a 12b 12c 12d"),
    ]


def test_an_equation_that_is_not_listed_cannot_be_tested():
    with pytest.raises(ValueError, match=r"003 Eq\. 13"):
        equation("003 Eq. 13")


@pytest.mark.parametrize("name", IDS)
def test_a_formula_fits_into_a_cell_of_the_table(name):
    latex = next(e.latex for e in EQUATIONS if e.id == name)
    assert not re.search(r"[|$\n]|\\\\", latex)
    assert latex.count("{") == latex.count("}")
    assert latex.count(r"\left") - latex.count(r"\leftarrow") == latex.count(r"\right") - latex.count(r"\rightarrow")


@pytest.mark.parametrize("name", [id for id in IDS if " Eq. " in id])
def test_the_name_of_a_test_says_which_numbered_equation_it_tests(name):
    note, number = name.split(" Eq. ")
    tested = [test.partition("::")[2] for test in collected()[name]]
    assert any(re.match(rf"test_{note}_eq_({number}|{number.rstrip('abcd')})_", test) for test in tested)


# --- the table -------------------------------------------------------------------------------------------------------


def test_the_table_is_up_to_date():
    assert TABLE.read_text("utf-8") == table(), f"run {COMMAND} to update it"


def test_the_command_writes_the_table_in_a_clean_checkout(tmp_path):
    shutil.copytree(HERE, tmp_path / "tests" / "notes", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(TABLE.parent, tmp_path / "notebooks", ignore=shutil.ignore_patterns(TABLE.name, "pictures"))
    environment = {**os.environ, "PYTHONPATH": str(Path(ts.__file__).parent.parent)}
    program, *arguments = COMMAND.split()
    assert program == "python"
    subprocess.run([sys.executable, *arguments], cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "notebooks" / TABLE.name).read_text("utf-8") == table()


# --- notebooks -------------------------------------------------------------------------------------------------------

CITATIONS = [
    ("000 Eq. 3", "000 Eq. 3"),
    ("(000 Eq. 1).", "000 Eq. 1"),
    ("003 Eq. 11b, as a matrix", "003 Eq. 11b"),
    ("000 Eq. 3, 7 and 8", "000 Eq. 3; 000 Eq. 7; 000 Eq. 8"),
    ("000 Eq. 4, 5, and 6.", "000 Eq. 4; 000 Eq. 5; 000 Eq. 6"),
    ("003 Eq. 11a–11d", "003 Eq. 11a; 003 Eq. 11b; 003 Eq. 11c; 003 Eq. 11d"),
    ("003 Eq. 11a-c", "003 Eq. 11a; 003 Eq. 11b; 003 Eq. 11c"),
    ("003 Eq. 9 to 10a", "003 Eq. 9; 003 Eq. 10a"),
    ("003 Eq. 1 and 3", "003 Eq. 1a; 003 Eq. 1b; 003 Eq. 3a; 003 Eq. 3b"),
    ("003 Eq. 6–8", "003 Eq. 6; 003 Eq. 7; 003 Eq. 8"),
    ("000 Eq. 3 and 003 Eq. 4a", "000 Eq. 3; 003 Eq. 4a"),
    ("000 Eq. 3, 001 gradient vector", "000 Eq. 3; 001 gradient vector"),
    ("000 Eq. 1, 003\nEq. 12b", "000 Eq. 1; 003 Eq. 12b"),
    ("000 multi-node z, and", "000 multi-node z"),
    ("000 multi-node z of three inputs", "000 multi-node z of three"),
    ("000 multi-node zeta", ""),
    ("001 gradient\u00a0vector", "001 gradient vector"),
    ("000 Eq. 3 – a product", "000 Eq. 3"),
    ("000 Eq. 12", ""),
    ("000 Eq. 2.5", ""),
    ("003 Eq. 13", ""),
    ("1000 Eq. 3", ""),
    ("Eq. 3", ""),
]


@pytest.mark.parametrize(("text", "ids"), CITATIONS, ids=[text for text, _ in CITATIONS])
def test_a_text_cites_exactly_the_equations_that_it_names(text, ids):
    assert cited(text) == set(filter(None, ids.split("; ")))


@pytest.mark.parametrize("name", IDS)
def test_every_equation_can_be_cited_by_its_id(name):
    assert cited(f"By {name}, this is so.") == {name}


def test_a_notebook_shows_what_its_texts_cite_and_not_what_its_code_or_its_footer_names(tmp_path):
    cells = [
        {"cell_type": "markdown", "source": ["See 000 Eq. 3\n", "and 001 gradient\n", "vector."]},
        {"cell_type": "code", "source": ["# 000 Eq. 4"]},
        {"cell_type": "markdown", "source": ["## What to remember\n", "\n", "*Also in the notes:* 000 Eq. 5\n", "\n"]},
    ]
    (tmp_path / "one.ipynb").write_text(json.dumps({"cells": cells}), "utf-8")
    (tmp_path / "two.ipynb").write_text(json.dumps({"cells": cells[:1]}), "utf-8")
    both = [("one.ipynb", True), ("two.ipynb", True)]
    assert shown_in(tmp_path) == {"000 Eq. 3": both, "001 gradient vector": both, "000 Eq. 5": [("one.ipynb", False)]}


# --- errata ----------------------------------------------------------------------------------------------------------


def test_errata_are_numbered_in_their_order_and_a_withdrawn_number_is_not_given_again():
    withdrawn = re.findall(r"\bE\d+(?= and| said)", ERRATA.read_text("utf-8").split("\n## Withdrawn")[1])
    numbers = sorted([*errata(), *withdrawn], key=lambda number: int(number[1:]))
    assert numbers == [f"E{number}" for number in range(1, len(numbers) + 1)]
    assert [*errata()] == [number for number in numbers if number not in withdrawn]
    assert len(errata()) >= 6


@pytest.mark.parametrize("number", errata())
def test_an_erratum_gives_the_printed_formula_and_the_one_that_holds(number):
    heading, text = errata()[number]
    formulas = re.findall(r"\$\$(.*?)\$\$", text, re.DOTALL)
    ids = cited(heading)
    assert ids
    assert formulas[0] not in [e.latex for e in EQUATIONS]
    for e in EQUATIONS:
        if e.id in ids:
            assert e.latex in formulas[1:], e.id
            assert number in corrections()[e.id]


def test_errata_name_tests_that_exist():
    names = set(re.findall(r"`(test_\w+\.py)::(test_\w+)", ERRATA.read_text("utf-8")))
    assert names
    for file, name in names:
        assert re.search(rf"^def {name}\(", (HERE / file).read_text("utf-8"), re.MULTILINE), name

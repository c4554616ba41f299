"""`train` on tables of the kinds that people have: each trains, or is refused in one line that says what to do."""

import shutil
from pathlib import Path

import pytest
import support
from support.commands import contents, main

from tinygrad_scalar.cli.table_model import TableModel

TABLES = Path(support.__file__).parent / "tables"

# table, arguments after --target, words of the report
TRAINED = {
    "mixed types, empty cells": (
        "passengers.csv",
        ["Survived", "--ignore", "Name,Cabin", "--missing", "category", "--categorical", "Pclass"],
        "15 missing cells (14 in 'Age', 1 in 'Embarked'): --missing category",
        "columns of categories: Pclass (3), Sex (2), Embarked (4); of numbers: 3",
    ),
    "rows with empty cells dropped": (
        "penguins.csv",
        ["species", "--missing", "drop"],
        "--missing drop, 4 rows dropped",
        "species is one of 3 classes",
        "held-out accuracy: 100.0%",
    ),
    "empty cells as means": (
        "penguins.csv",
        ["species", "--missing", "mean"],
        "columns of categories: sex (2); of numbers: 3",
    ),
    "Latin-1, semicolons, decimal commas, thousands": (
        "wine-prices.csv",
        ["Preis in €"],
        "is read as Windows-1252 (Latin-1), semicolons between cells, decimal commas",
        "Preis in € is a number",
        "held-out R²: 0.9",
        "in the unit of Preis in €",
    ),
    "quoted newlines, yes and no": (
        "reviews.csv",
        ["recommends"],
        "recommends is one of 2 classes",
        r"remark,\nas written (3)",
    ),
    "UTF-16, tabs, a constant column, classes 0 and 1": (
        "sensors.tsv",
        ["alarm"],
        "is read as UTF-16, tabs between cells",
        "the same in all rows to train on, so without weight: firmware",
        "alarm is one of 2 classes (--loss squared_error treats it as a number)",
    ),
    "1,000 categories": (
        "cities.csv",
        ["rent", "--epochs", "5", "--layers", "2"],
        "columns of categories: city (981); of numbers: 1",
        "categories that the rows to train on do not have: 57 in 'city'",
    ),
    "thousands separators": ("houses.csv", ["price", "--decimal", "."], "held-out R²: 0.9"),
    "a byte order mark, sep=;": ("bank.csv", ["loan"], "loan is one of 2 classes", "decimal commas"),
}
REFUSED = {
    "empty cells": (
        "penguins.csv",
        ["species"],
        "penguins.csv, line 5: the value of column 'bill_depth_mm' is missing ('NA'); the table has 9 missing cells "
        "(3 in 'sex', 2 in 'bill_length_mm', 2 in 'bill_depth_mm', 2 in 'body_mass_g'): --missing drop leaves out "
        "4 rows",
    ),
    "names and cabins": (
        "passengers.csv",
        ["Survived", "--missing", "mean"],
        "80 in the 80 cells of 'Name' ('Bowen, Mr. A. 0', …), 17 in the 31 cells of 'Cabin' ('B4', …); leave them out: "
        "--ignore Name,Cabin",
    ),
    "duplicate headers": (
        "survey-duplicate-headers.csv",
        ["comment"],
        "line 1: two columns are named 'score'; rename one",
    ),
    "dates": ("sales-by-day.csv", ["Sales"], "'Date' ('01.01.2024', …); replace them by numbers (year, month, weekday"),
    "thousands or decimals": (
        "houses.csv",
        ["price"],
        "line 3: '1,963' in column 'size (sqft)' can be 1963 or 1.963; --decimal . or --decimal , says which",
    ),
    "a target that never repeats": (
        "clicks.csv",
        ["name"],
        "'name' is text that differs from row to row: 60 different values in 60 rows",
    ),
    "a number as a class": (
        "wine-prices.csv",
        ["Preis in €", "--loss", "cross_entropy"],
        "'Preis in €' holds 60 different numbers in 60 rows, too many to be classes: leave --loss out",
    ),
    "addresses": (
        "clicks.csv",
        ["clicks", "--ignore", "user", "--encoding", "utf-8-sig"],
        "60 in the 60 cells of 'name' ('user 0@example.org', …); leave them out: --ignore name",
    ),
}


@pytest.fixture
def tables(tmp_path, monkeypatch):
    shutil.copytree(TABLES, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("case", TRAINED.values(), ids=TRAINED)
def test_a_table_as_it_is_trains_and_predicts_itself(case, tables, capsys):
    name, (target, *options), *words = case
    assert main("train", name, "--target", target, *options) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for word in words:
        assert word in out
    model = TableModel.load("model.safetensors")
    assert model.target == target
    decimal = options[options.index("--decimal") :] if "--decimal" in options else []
    assert main("predict", "model.safetensors", name, "--unknown", "other", "-o", "out.csv", *decimal) == 0


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_a_table_that_cannot_be_trained_on_is_refused_in_one_line_that_says_what_to_do(case, tables, capsys):
    name, (target, *options), words = case
    before = contents(tables)
    assert main("train", name, "--target", target, *options) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1
    assert contents(tables) == before


def test_the_table_of_a_pipe_trains_as_that_of_a_file(tables, capsys, monkeypatch):
    arguments = ["--target", "Preis in €", "--epochs", "3"]
    assert main("train", "wine-prices.csv", *arguments, "-o", "file.safetensors") == 0
    with open("wine-prices.csv", encoding="cp1252") as stream:
        monkeypatch.setattr("sys.stdin", stream)
        assert main("train", "-", *arguments, "-o", "pipe.safetensors") == 0
    assert "standard input is read as Windows-1252" in capsys.readouterr().out
    assert Path("file.safetensors").read_bytes() == Path("pipe.safetensors").read_bytes()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.thorough
def test_neither_encoding_nor_delimiter_changes_the_model(encoding, delimiter, tables, capsys):
    text = Path("wine-prices.csv").read_text("cp1252")
    rows = [line.split(";") for line in text.splitlines()]
    same = "\n".join(delimiter.join(f'"{cell}"' if delimiter in cell else cell for cell in row) for row in rows)
    Path("same.csv").write_bytes(same.encode(encoding))
    for name in ("wine-prices", "same"):
        arguments = ["--target", "Anbaugebiet", "--epochs", "2", "-o", f"{name}.safetensors"]
        assert main("train", f"{name}.csv", *arguments) == 0
    assert Path("wine-prices.safetensors").read_bytes() == Path("same.safetensors").read_bytes()
    said = capsys.readouterr().out.split("same.csv is read as ")[1]
    assert said.startswith({"utf": "UTF-" + encoding[4:6].strip("-"), "cp1": "Windows-1252"}[encoding[:3]])

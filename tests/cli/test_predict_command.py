"""`tinygrad-scalar predict`: every row with its prediction, to standard output or a file."""

import csv
from pathlib import Path

import pytest
from support.commands import MODULE, contents, main, process, write_csv

from tinygrad_scalar.cli.table_model import TableModel
from tinygrad_scalar.datasets import read_csv


@pytest.mark.parametrize(("name", "target"), [("flowers", "species"), ("line", "y")])
def test_predict_writes_the_table_with_the_models_prediction_beside_every_row(name, target, desk, capsys):
    assert main("predict", f"{name}.safetensors", f"{name}.csv") == 0
    header, *rows = csv.reader(capsys.readouterr().out.splitlines())
    table = read_csv(f"{name}.csv")
    expected = TableModel.load(f"{name}.safetensors").predict(table)
    assert header == [*table.columns, f"predicted_{target}"]
    assert [row[:-1] for row in rows] == table.rows
    assert [type(expected[0])(row[-1]) for row in rows] == expected  # numbers bit for bit


def test_predict_writes_the_same_to_a_file(desk, capsys):
    assert main("predict", "flowers.safetensors", "flowers.csv") == 0
    printed = capsys.readouterr().out
    assert main("predict", "flowers.safetensors", "flowers.csv", "-o", "out.csv") == 0
    assert Path("out.csv").read_bytes() == printed.encode()
    assert capsys.readouterr().err == ""


def test_predict_needs_no_target_and_keeps_columns_it_does_not_know(desk, capsys):
    write_csv(desk / "new.csv", ["note", "x"], [['a "quoted", note', 3], ["σ", 4]])
    assert main("predict", "line.safetensors", "new.csv") == 0
    header, *rows = csv.reader(capsys.readouterr().out.splitlines())
    assert header == ["note", "x", "predicted_y"]
    assert [row[:2] for row in rows] == [['a "quoted", note', "3"], ["σ", "4"]]


def test_predictions_on_the_training_table_are_right_where_the_training_said_so(trained):
    folder, _ = trained
    run = process(MODULE, "predict", "iris.safetensors", "iris.csv", cwd=folder)
    rows = list(csv.DictReader(run.stdout.splitlines()))
    assert sum(row["species"] == row["predicted_species"] for row in rows) >= 0.9 * 150


@pytest.mark.parametrize("output", ["flowers.csv", "flowers.safetensors"])
def test_predict_writes_over_neither_of_its_inputs(output, desk, capsys):
    before = contents(desk)
    assert main("predict", "flowers.safetensors", "flowers.csv", "-o", output) == 2
    assert "is the input" in capsys.readouterr().err
    assert contents(desk) == before


def test_predict_refuses_a_table_that_has_its_column_already(desk, capsys):
    assert main("predict", "flowers.safetensors", "flowers.csv", "-o", "predicted.csv") == 0
    assert main("predict", "flowers.safetensors", "predicted.csv") == 2
    assert "already has a column 'predicted_species'" in capsys.readouterr().err

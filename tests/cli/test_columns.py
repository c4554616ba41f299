"""Columns as inputs: categories, missing cells and decimal signs, in training, in the file and in predictions."""

import csv
import math
import random
import re
import shlex

import numpy as np
import pytest
from hypothesis import given, strategies as st
from support.commands import contents, main, write_csv

from tinygrad_scalar.cli.columns import CategoryColumn, NumberColumn, Scale
from tinygrad_scalar.cli.decimals import plain_number, with_decimal_points
from tinygrad_scalar.cli.fitted_columns import column_names, column_of, option
from tinygrad_scalar.cli.missing_cells import require_complete, without_missing
from tinygrad_scalar.cli.table_model import TableModel, untrained_model
from tinygrad_scalar.datasets import Table, read_csv
from tinygrad_scalar.nn.saving import load_with, save


def table_of(**columns):
    rows = [[str(cell) for cell in row] for row in zip(*columns.values())]
    return Table("t.csv", list(columns), rows, [line + 2 for line in range(len(rows))])


COLOURS = table_of(colour=["red", "blue", "red", "", "green"], size=[1, 2, 3, "NA", 6], kind=list("ababa"))


# --- inputs ----------------------------------------------------------------------------------------------------------


def test_a_category_is_one_input_for_each_text_of_the_training_rows_the_most_frequent_first():
    column = column_of(COLOURS, "colour", [0, 1, 2], missing="mean")
    assert column == CategoryColumn("colour", ["red", "blue"])
    np.testing.assert_array_equal(
        column.inputs(COLOURS, "mean", "other"), [[1, 0], [0, 1], [1, 0], [1, 0], [0, 0]]
    )  # a missing one is the most frequent, an unknown one none


def test_missing_as_a_category_is_an_input_of_its_own():
    colour = column_of(COLOURS, "colour", range(5), missing="category")
    assert colour == CategoryColumn("colour", ["red", "blue", "green", ""])
    assert colour.inputs(COLOURS, "category", "error")[3].tolist() == [0, 0, 0, 1]
    size = column_of(COLOURS, "size", range(5), missing="category")
    assert size == NumberColumn("size", Scale(3.0, math.sqrt(3.5)), flagged=True)
    inputs = size.inputs(COLOURS, "category", "error")
    assert inputs[:, 1].tolist() == [0, 0, 0, 1, 0]
    assert inputs[3, 0] == 0.0  # the mean
    assert inputs[:, 0].sum() == pytest.approx(0.0)


def test_an_unknown_category_is_an_error_that_names_it_unless_other_is_chosen():
    model = untrained_model(COLOURS, [0, 1, 2], target="kind", layers=[2], missing="mean")
    strange = table_of(colour=["red", "pink", "pink"], size=[1, 2, 3])
    words = r"t.csv, line 3: 'pink' in column 'colour' is none of the 2 categories .* 1 other row.*; --unknown other"
    with pytest.raises(ValueError, match=words):
        model.predict(strange)
    assert len(model.predict(strange, unknown="other")) == 3
    assert model.matrix(strange, unknown="other")[1:, :2].tolist() == [[0, 0], [0, 0]]


def test_an_input_that_is_0_in_all_training_rows_never_counts(desk):
    write_csv(desk / "t.csv", ["fixed", "x", "y"], [[7, i, 2 * i] for i in range(20)])
    assert main("train", "t.csv", "--target", "y", "--epochs", "3", "--layers", "2") == 0
    model = TableModel.load("model.safetensors")
    near, far = table_of(fixed=[7], x=[3]), table_of(fixed=[1e6], x=[3])
    assert model.inputs(near) != model.inputs(far)
    assert model.predict(near) == model.predict(far)


def test_a_column_of_numbers_is_categories_if_it_is_said_to_be(desk, capsys):
    write_csv(desk / "t.csv", ["zone", "y"], [[(10, 20, 30)[i % 3], i % 3 * i] for i in range(30)])
    assert main("train", "t.csv", "--target", "y", "--categorical", "zone", "--epochs", "1") == 0
    assert set(TableModel.load("model.safetensors").columns[0].categories) == {"10", "20", "30"}


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), min_size=1), min_size=1))
def test_names_survive_the_option_that_an_error_recommends(names):
    stripped = [name.strip() or "x" for name in names]
    (argument,) = shlex.split(option(stripped))
    assert column_names(argument) == stripped


# --- missing cells ---------------------------------------------------------------------------------------------------


def test_missing_cells_are_counted_by_column_and_by_row():
    with pytest.raises(ValueError, match=r"line 5.*2 missing cells \(1 in 'colour', 1 in 'size'\).*leaves out 1 row,"):
        require_complete(COLOURS, COLOURS.columns, "kind")
    require_complete(COLOURS, ["kind"], "kind")
    assert without_missing(COLOURS, COLOURS.columns).lines == [2, 3, 4, 6]
    with pytest.raises(ValueError, match="so --missing drop leaves none"):
        without_missing(COLOURS.select([3]), COLOURS.columns)


HOLES = [["x", "colour"], ["1", "red"], ["", "blue"], ["3", "?"], ["4", "red"]]


def model_on_holes(desk, *options):
    rows = [[i, "red" if i % 3 else "blue", i] for i in range(24)] + [["", "red", 3], [5, "", 5]] * 3
    write_csv(desk / "holes.csv", ["x", "colour", "y"], rows)
    assert main("train", "holes.csv", "--target", "y", "--layers", "2", "--epochs", "2", *options) == 0
    write_csv(desk / "new.csv", *[HOLES[0]], HOLES[1:])


def predicted(capsys, *options):
    code = main("predict", "model.safetensors", "new.csv", *options)
    out, err = capsys.readouterr()
    return code, [row[-1] for row in csv.reader(out.splitlines())][1:], err


@pytest.mark.parametrize("way", ["mean", "category"])
def test_a_model_predicts_missing_cells_as_it_was_trained(way, desk, capsys):
    model_on_holes(desk, "--missing", way)
    capsys.readouterr()
    code, cells, err = predicted(capsys)
    assert (code, err) == (0, "")
    assert all(math.isfinite(float(cell)) for cell in cells)
    model = TableModel.load("model.safetensors")
    assert [float(cell) for cell in cells] == model.predict(read_csv("new.csv"))


def test_a_model_whose_rows_with_missing_cells_were_dropped_leaves_their_predictions_empty(desk, capsys):
    model_on_holes(desk, "--missing", "drop")
    capsys.readouterr()
    code, cells, err = predicted(capsys)
    assert code == 0
    assert [cell == "" for cell in cells] == [False, True, True, False]
    assert "2 missing cells (1 in 'x', 1 in 'colour'): 2 rows without a prediction" in err
    code, filled, err = predicted(capsys, "--missing", "mean")
    assert (code, err) == (0, "")
    assert [filled[0], filled[3]] == [cells[0], cells[3]]
    assert "" not in filled


def test_a_row_without_a_target_is_never_trained_on(desk, capsys):
    write_csv(desk / "t.csv", ["x", "y"], [[i, "" if i % 4 == 0 else i] for i in range(40)])
    assert main("train", "t.csv", "--target", "y", "--missing", "mean", "--epochs", "1") == 0
    out = capsys.readouterr().out
    assert "10 missing cells (10 in 'y'): --missing mean, 10 rows dropped" in out
    assert "22 rows to train on, 8 held out" in out


def test_numbers_with_something_beside_them_are_refused_with_a_word_about_that():
    table = table_of(weight=[f"{i} kg" for i in range(30)], y=range(30))
    with pytest.raises(ValueError, match=r"30 in the 30 cells of 'weight' .*take away what stands beside them"):
        untrained_model(table, range(30), target="y", layers=[2])


# --- decimal signs ---------------------------------------------------------------------------------------------------

# cell, as a number with a decimal point, with a decimal comma
CELLS = [
    ("1", "1", "1"), ("1.5", "1.5", None), ("1,5", None, "1.5"), ("1,234", "1234", "1.234"), ("1.234", "1.234", "1234"),
    ("1,234.5", "1234.5", None), ("1.234,5", None, "1234.5"), ("1,234,567", "1234567", None), ("-0,5", None, "-0.5"),
    ("0.123", "0.123", None), ("0,123", None, "0.123"), ("1 234", "1234", "1234"), ("1\u202f234,5", None, "1234.5"),
    ("2,5e-3", None, "2.5e-3"), ("1,,5", None, None), ("12,34.5", None, None), ("x", None, None), ("1_000", None, None),
    ("1.2.3", None, None), ("", None, None), ("1e999", None, None), ("1,0e999", None, None), (",5", None, ".5"),
]  # fmt: skip


@pytest.mark.parametrize(("cell", "point", "comma"), CELLS)
def test_a_number_is_read_with_either_decimal_sign(cell, point, comma):
    assert (plain_number(cell, "."), plain_number(cell, ",")) == (point, comma)


@given(st.lists(st.floats(-1e9, 1e9).map(lambda x: round(x, 2)), min_size=1), st.booleans())
def test_numbers_with_decimal_commas_are_those_with_points(numbers, grouped):
    form = ",.2f" if grouped else ".2f"
    swapped = [format(x, form).translate(str.maketrans(",.", ".,")) for x in numbers]
    table, point = with_decimal_points(table_of(x=swapped), ["x"])
    assert (table.numbers("x"), point) == (numbers, ",")
    table, point = with_decimal_points(table_of(x=[format(x, form) for x in numbers]), ["x"])
    assert (table.numbers("x"), point) == (numbers, ".")


def test_what_can_be_read_both_ways_is_read_as_the_other_columns_are():
    both = ["1,234", "5,678"]
    with pytest.raises(ValueError, match=r"'1,234' in column 'x' can be 1234 or 1\.234; --decimal"):
        with_decimal_points(table_of(x=both), ["x"])
    for sure, expected in (("2,5", [1.234, 5.678]), ("2.5", [1234.0, 5678.0])):
        table, _ = with_decimal_points(table_of(x=both, y=[sure, sure]), ["x", "y"])
        assert table.numbers("x") == expected
    table, _ = with_decimal_points(table_of(x=["1.234", "5.678"]), ["x"])
    assert table.numbers("x") == [1.234, 5.678]
    with pytest.raises(ValueError, match="can be 1234"):
        with_decimal_points(table_of(x=both, y=["2,5", "2,5"], z=["2.5", "2.5"]), ["x", "y", "z"])
    for point, expected in ((",", [1.234, 5.678]), (".", [1234.0, 5678.0])):
        assert with_decimal_points(table_of(x=both), ["x"], point)[0].numbers("x") == expected


def test_text_stays_as_it_is():
    table = table_of(name=["1,5 m", "a,b", "x"], size=["1,5", "2", "3,25"])
    assert with_decimal_points(table, ["name", "size"])[0].column("name") == ["1,5 m", "a,b", "x"]


def test_predictions_have_the_delimiter_and_the_decimal_sign_of_their_table(desk, capsys):
    (desk / "t.csv").write_text("\n".join(["x;y", *(f"{i},5;{2 * i},25" for i in range(20))]))
    assert main("train", "t.csv", "--target", "y", "--epochs", "2", "--layers", "2") == 0
    capsys.readouterr()
    assert main("predict", "model.safetensors", "t.csv") == 0
    out, err = capsys.readouterr()
    header, *rows = [line.split(";") for line in out.splitlines()]
    assert header == ["x", "y", "predicted_y"]
    assert rows[3][:2] == ["3,5", "6,25"]
    expected = TableModel.load("model.safetensors").predict(with_decimal_points(read_csv("t.csv"), ["x"])[0])
    assert [float(row[2].replace(",", ".")) for row in rows] == expected
    assert err == "tinygrad-scalar: t.csv is read as UTF-8, semicolons between cells, decimal commas\n"


# --- probabilities, early stopping, scores ---------------------------------------------------------------------------


def test_the_probabilities_of_the_classes_sum_to_1_and_the_predicted_class_has_the_largest(trained, capsys):
    folder, _ = trained
    assert main("predict", folder / "iris.safetensors", folder / "iris.csv", "--proba") == 0
    for row in csv.DictReader(capsys.readouterr().out.splitlines()):
        shares = {name: float(row[f"probability_{name}"]) for name in ("setosa", "versicolor", "virginica")}
        assert sum(shares.values()) == pytest.approx(1.0)
        assert max(shares, key=shares.get) == row["predicted_species"]


@pytest.mark.parametrize(
    ("target", "loss", "words"),
    [("species", "hinge", "train with --loss cross_entropy"), ("petal_width", "squared_error", "is a number")],
)
def test_what_has_no_probabilities_is_refused(target, loss, words, desk, capsys):
    assert main("train", "flowers.csv", "--target", target, "--loss", loss, "--epochs", "1") == 0
    assert main("predict", "model.safetensors", "flowers.csv", "--proba") == 2
    assert words in capsys.readouterr().err


def test_early_stopping_looks_at_rows_that_are_neither_trained_on_nor_scored(trained, desk, capsys):
    folder, _ = trained
    options = ["--epochs", "400", "--early-stopping", "5", "--layers", "6"]
    assert main("train", folder / "iris.csv", "--target", "species", *options) == 0
    out = capsys.readouterr().out
    parts = re.search(r"(\d+) rows to train on, (\d+) held out, (\d+) to stop early by", out).groups()
    assert sum(map(int, parts)) == 150
    assert int(parts[2]) == pytest.approx(0.25 * (150 - int(parts[1])), abs=1)
    assert "early stopping: the model is that of epoch " in out
    assert " in 400 epochs" not in out


def test_a_model_no_better_than_the_mean_or_the_most_frequent_class_is_said_to_be_so(desk, capsys):
    generator = random.Random(0)
    rows = [[generator.random(), generator.random(), "ab"[i % 7 == 0]] for i in range(80)]
    write_csv(desk / "noise.csv", ["x", "y", "kind"], rows)
    assert main("train", "noise.csv", "--target", "y", "--ignore", "kind", "--epochs", "500") == 0
    assert "WARNING: the model is no better on the held-out rows than their mean" in capsys.readouterr().out
    assert main("train", "noise.csv", "--target", "kind", "--epochs", "1", "--learning-rate", "0.2") == 0
    assert "WARNING: the model is no better than always answering 'a'" in capsys.readouterr().out


@pytest.mark.parametrize("rate", ["2", "10", "100"])
@pytest.mark.parametrize("activation", ["linear", "relu", "tanh"])
def test_a_training_that_ends_far_above_the_mean_saves_nothing(rate, activation, desk, capsys):
    options = ["--optimizer", "gradient_descent", "--activation", activation, "--learning-rate", rate, "--epochs", "4"]
    before = contents(desk)
    assert main("train", "flowers.csv", "--target", "petal_width", "--ignore", "species", *options) == 1
    assert "the training diverged, and nothing was saved" in capsys.readouterr().err
    assert contents(desk) == before


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_model_of_numbers_alone_is_saved_as_it_was_before_there_were_categories(desk):
    assert main("train", "line.csv", "--target", "y", "--epochs", "1", "-o", "m.safetensors") == 0
    _, metadata = load_with("m.safetensors")
    assert list(metadata["table"]) == ["loss", "target", "features", "scales", "classes", "target_scale"]


@pytest.mark.parametrize("missing", ["mean", "category", "drop"])
def test_a_loaded_model_has_the_columns_of_the_saved_one(missing, tmp_path):
    rows = range(5) if missing != "drop" else [0, 1, 2, 4]
    table = COLOURS if missing != "drop" else COLOURS.select(rows)
    model = untrained_model(table, range(len(rows)), target="kind", layers=[3], missing=missing)
    model.save(tmp_path / "m.safetensors")
    loaded = TableModel.load(tmp_path / "m.safetensors")
    assert (loaded.columns, loaded.missing) == (model.columns, missing)
    assert loaded.predict(table) == model.predict(table)


# what a file can hold in a model's description besides numbers, and what is wrong with it
WRONG = {
    "categories of no feature": {"categories": {"colours": ["red"]}},
    "categories that are no list": {"categories": {"colour": "red"}},
    "no categories": {"categories": {"colour": []}},
    "a category twice": {"categories": {"colour": ["red", "blue", "red"]}},
    "only the missing one": {"categories": {"colour": [""]}},
    "fewer than inputs": {"categories": {"colour": ["red"]}},
    "a flag for a category": {"flagged": ["colour"]},
    "a flag too many": {"flagged": ["size"]},
    "flags that are no list": {"flagged": "size"},
    "a way there is not": {"missing": "median"},
    "a way that is a list": {"missing": ["mean"]},
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_a_model_whose_columns_do_not_fit_is_refused(change, tmp_path):
    model = untrained_model(COLOURS, range(5), target="kind", layers=[2], missing="mean")
    path = tmp_path / "m.safetensors"
    model.save(path)
    net, metadata = load_with(path)
    save(net, path, {"table": {**metadata["table"], **change}})
    with pytest.raises(ValueError, match=r"m\.safetensors is not a model written by `train`: "):
        TableModel.load(path)

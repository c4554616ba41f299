"""The command line: draw, train, predict, demo. A user's error is one line on stderr, exit code 2, nothing written."""

import contextlib
import csv
import os
import random
import re
import shlex
import struct
import subprocess
import sys
import sysconfig
from pathlib import Path
from xml.etree import ElementTree

import pytest

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.cli import main as cli
from tinygrad_scalar.cli.table_model import TableModel, split, untrained_model
from tinygrad_scalar.datasets import iris, read_csv
from tinygrad_scalar.nn.losses import LOSSES
from tinygrad_scalar.nn.optim import OPTIMIZERS

SVG = "{http://www.w3.org/2000/svg}"
MODULE = [sys.executable, "-m", "tinygrad_scalar"]
SCRIPT = [str(Path(sysconfig.get_path("scripts")) / "tinygrad-scalar")]
COST = ["z = w*a + b; C = (sigmoid(z) - y)**2", "w=0.6", "a=0.8", "b=0.1", "y=0"]


def main(*arguments):
    """The exit code of a command run here."""
    try:
        return cli.main([str(argument) for argument in arguments])
    except SystemExit as end:
        return end.code


# a terminal in UTF-8; output is buffered, as it is where nobody asks for something else
ENVIRONMENT = {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}
ENVIRONMENT["PYTHONIOENCODING"] = "utf-8"


def process(command, *arguments, cwd, encoding="utf-8"):
    """A command run as a process of its own."""
    environment = {**ENVIRONMENT, "PYTHONIOENCODING": encoding}
    command = [*command, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, encoding=encoding, env=environment, check=False, cwd=cwd)


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write_csv(path, columns, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """The current folder, with small tables and a model for each way of training."""
    table = iris()
    write_csv(tmp_path / "flowers.csv", table.columns, table.rows[::5])
    write_csv(tmp_path / "line.csv", ["x", "y"], [[i, 2 * i + 1] for i in range(12)])
    write_csv(tmp_path / "hole.csv", ["id", "width", "kind"], [[1, 2, "a"], [2, 3, "b"], [3, "", "a"], [4, 5, "b"]])
    write_csv(tmp_path / "hole-in-target.csv", ["id", "kind"], [[1, "a"], [2, "?"], [3, "a"], [4, "b"]])
    write_csv(tmp_path / "ragged.csv", ["id", "width", "kind"], [[1, 2, "a"], [2, "b"], [3, 4, "a"]])
    write_csv(tmp_path / "constant-class.csv", ["id", "kind"], [[i, "a"] for i in range(8)])
    write_csv(tmp_path / "constant-number.csv", ["id", "y"], [[i, 5] for i in range(8)])
    write_csv(tmp_path / "one-column.csv", ["kind"], [["a"], ["b"], ["a"], ["b"]])
    write_csv(tmp_path / "header.csv", ["id", "kind"], [])
    (tmp_path / "picture.csv").write_bytes(b"\x89PNG\r\n\x1a\n\x00")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "folder.svg").mkdir()
    flowers = read_csv(tmp_path / "flowers.csv")
    untrained_model(flowers, range(30), target="species", layers=[3]).save(tmp_path / "flowers.safetensors")
    line = read_csv(tmp_path / "line.csv")
    untrained_model(line, range(12), target="y", layers=[3]).save(tmp_path / "line.safetensors")
    ts.save(ts.MLP(4, [3]), tmp_path / "network.safetensors")
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- draw ------------------------------------------------------------------------------------------------------------


def test_draw_prints_every_name_with_its_number_and_gradient(desk, capsys):
    assert main("draw", *COST, "-o", "cost.svg") == 0
    out, err = capsys.readouterr()
    w, a, b, y = Value(0.6), Value(0.8), Value(0.1), Value(0.0)
    z = w * a + b
    C = (z.sigmoid() - y) ** 2
    C.backward()
    names = {"w": w, "a": a, "b": b, "y": y, "z": z, "C": C}
    assert out.splitlines() == [
        *(f"{name} = {value.data:.6g}, grad {value.grad:.6g}" for name, value in names.items()),
        "cost.svg shows the graph",
    ]
    assert err == ""


def test_draw_writes_the_picture_that_the_suffix_names(desk):
    for name in ("graph.svg", "graph.png", "graph.dot", "graph.html"):
        assert main("draw", *COST, "-o", name) == 0
    ElementTree.parse("graph.svg")
    assert Path("graph.png").read_bytes().startswith(b"\x89PNG")
    assert Path("graph.dot").read_text("utf-8").startswith("digraph")
    assert Path("graph.html").read_text("utf-8").startswith("<!doctype html>")


def test_draw_names_in_the_picture_are_those_of_the_text(desk):
    assert main("draw", "total = first*second; total + 1", "first=2", "second=3") == 0
    texts = {
        text.text for text in ElementTree.parse("graph.svg").iter(f"{SVG}text") if text.get("font-weight") == "bold"
    }
    assert texts == {"first", "second", "total"}


def test_draw_takes_a_direction(desk):
    for direction in ("LR", "TB"):
        assert main("draw", *COST, "--direction", direction, "-o", f"{direction}.dot") == 0
        assert f"rankdir={direction}" in Path(f"{direction}.dot").read_text("utf-8")


def test_draw_calls_what_has_no_name_the_result(desk, capsys):
    assert main("draw", "x*x", "x=-3") == 0
    assert capsys.readouterr().out.splitlines() == [
        "x = -3, grad -6",
        "result = 9, grad 1",
        "graph.svg shows the graph",
    ]


@pytest.mark.parametrize("arguments", [["-x*2", "x=1"], ["--", "-x*2", "x=1"], ["-o", "g.svg", "-x*2", "x=1"]], ids=str)
def test_draw_takes_an_expression_that_begins_with_a_minus(arguments, desk, capsys):
    assert main("draw", *arguments) == 0
    assert "result = -2, grad 1" in capsys.readouterr().out


# --- train -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder and the output of a training on a copy of Iris, by the installed script."""
    folder = tmp_path_factory.mktemp("trained")
    table = iris()
    write_csv(folder / "iris.csv", table.columns, table.rows)
    arguments = [
        "train",
        "iris.csv",
        "--target",
        "species",
        "--layers",
        "6",
        "--epochs",
        "60",
        "-o",
        "iris.safetensors",
    ]
    run = process(SCRIPT, *arguments, cwd=folder)
    assert (run.returncode, run.stderr) == (0, "")
    return folder, run.stdout


def test_training_on_iris_prints_a_held_out_accuracy_of_90_percent_or_more(trained):
    _, out = trained
    percent, right, total = re.search(r"held-out accuracy: ([\d.]+)% \((\d+) of (\d+)\)", out).groups()
    assert float(percent) == pytest.approx(100 * int(right) / int(total), abs=0.05)
    assert int(right) / int(total) >= 0.9
    assert f"{150 - int(total)} rows to train on, {total} held out" in out


def test_the_confusion_matrix_counts_every_held_out_row_and_the_right_ones_on_its_diagonal(trained):
    _, out = trained
    species = ["setosa", "versicolor", "virginica"]
    matrix = [
        [int(count) for count in re.search(rf"^ *{name} +(\d+) +(\d+) +(\d+)", out, re.M).groups()] for name in species
    ]
    right, total = map(int, re.search(r"\((\d+) of (\d+)\)", out).groups())
    assert sum(map(sum, matrix)) == total
    assert sum(matrix[i][i] for i in range(3)) == right
    assert re.search(r"species +setosa +versicolor +virginica", out)


def test_training_writes_the_model_and_the_loss_curve_and_names_them(trained):
    folder, out = trained
    assert sorted(path.name for path in folder.iterdir()) == ["iris.csv", "iris.safetensors", "iris.safetensors.svg"]
    assert "iris.safetensors" in out.splitlines()[-1]
    assert "iris.safetensors.svg" in out.splitlines()[-1]
    (curve,) = ElementTree.parse(folder / "iris.safetensors.svg").iter(f"{SVG}polyline")
    assert len(curve.get("points").split()) == 60
    assert repr(TableModel.load(folder / "iris.safetensors").net) in out


def test_training_prints_how_the_cost_fell(trained):
    _, out = trained
    first, last = map(float, re.search(r"cost ([\d.e-]+) → ([\d.e-]+) in 60 epochs", out).groups())
    assert last < 0.3 * first


def test_training_on_a_numeric_target_prints_r_squared(tmp_path, capsys):
    generator = random.Random(0)
    rows = [[generator.uniform(-5, 5), generator.uniform(100, 200)] for _ in range(80)]
    rows = [[x1, x2, 3 * x1 - 0.1 * x2 + 50 + generator.gauss(0, 0.2)] for x1, x2 in rows]
    write_csv(tmp_path / "plane.csv", ["x1", "x2", "y"], rows)
    model = tmp_path / "plane.safetensors"
    assert main("train", tmp_path / "plane.csv", "--target", "y", "--layers", "4", "-o", model) == 0
    assert float(re.search(r"held-out R²: ([\d.]+)", capsys.readouterr().out)[1]) > 0.9
    assert model.exists()
    ElementTree.parse(tmp_path / "plane.safetensors.svg")


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_trains_with_every_optimizer(loss, optimizer, desk, capsys):
    options = ["--layers", "3", "--epochs", "2", "--loss", loss, "--optimizer", optimizer, "-o", "m.safetensors"]
    assert main("train", "flowers.csv", "--target", "species", *options) == 0
    out = capsys.readouterr().out
    assert f"loss {loss}" in out
    assert OPTIMIZERS[optimizer].__name__ in out
    assert TableModel.load("m.safetensors").loss == loss


def test_the_options_of_train_reach_the_network(desk, capsys):
    options = (
        "--layers 4,2 --activation relu --epochs 3 --batch-size 5 --ignore petal_length,petal_width --learning-rate 0.1"
    )
    assert main("train", "flowers.csv", "--target", "species", *options.split(), "--test-fraction", "0.4") == 0
    out = capsys.readouterr().out
    assert "MLP(2, [4, 2, 3], 'relu', output_activation='linear')" in out
    assert "18 rows to train on, 12 held out" in out
    assert "in 3 epochs" in out
    assert TableModel.load("model.safetensors").features == ["sepal_length", "sepal_width"]
    assert Path("model.safetensors.svg").exists()


def test_the_seed_is_that_of_the_weights_and_of_the_split(desk):
    options = ["--layers", "3", "--seed", "5", "--epochs", "1", "--learning-rate", "0"]
    assert main("train", "flowers.csv", "--target", "species", *options, "-o", "m.safetensors") == 0
    untouched = ts.MLP(4, [3, 3], "tanh", "linear", seed=5)
    trained = TableModel.load("m.safetensors")
    assert [p.data for p in trained.net.parameters()] == [p.data for p in untouched.parameters()]
    table = read_csv("flowers.csv")
    training_rows, _ = split(table, "species", 0.25, seed=5)
    assert trained.scales == untrained_model(table, training_rows, target="species", layers=[3]).scales


@pytest.mark.parametrize("more", [[], ["--batch-size", "7"]], ids=["all at once", "in batches"])
def test_the_seed_decides_everything(more, desk, capsys):
    arguments = ["train", "flowers.csv", "--target", "species", "--layers", "3", "--epochs", "3", *more]
    for name, seed in (("one", 5), ("two", 5), ("three", 6)):
        assert main(*arguments, "--seed", seed, "-o", f"{name}.safetensors") == 0
    models = [TableModel.load(f"{name}.safetensors") for name in ("one", "two", "three")]
    weights = [[parameter.data for parameter in model.net.parameters()] for model in models]
    assert weights[0] == weights[1] != weights[2]
    curves = [Path(f"{name}.safetensors.svg").read_bytes() for name in ("one", "two", "three")]
    assert curves[0] == curves[1] != curves[2]
    first, second, third = re.findall(r"cost .*", capsys.readouterr().out)
    assert first == second != third


def test_a_confusion_matrix_of_many_classes_shows_every_count(desk, capsys):
    names = [f"class_number_{i:02}" for i in range(30)]
    write_csv(desk / "many.csv", ["x", "kind"], [[i, names[i % 30]] for i in range(120)])
    assert main("train", "many.csv", "--target", "kind", "--layers", "2", "--epochs", "1") == 0
    out = capsys.readouterr().out
    rows = [line.split() for line in out.splitlines() if line.split()[:1] and line.split()[0] in names]
    assert [row[0] for row in rows] == names
    assert all(len(row) == 31 for row in rows)
    assert sum(int(count) for row in rows for count in row[1:]) == 30


def test_class_names_are_printed_as_they_are(desk, capsys):
    write_csv(desk / "markup.csv", ["x", "kind"], [[i, ["[red]hot[/red]", ":smile:"][i % 2]] for i in range(20)])
    assert main("train", "markup.csv", "--target", "kind", "--layers", "2", "--epochs", "1") == 0
    out = capsys.readouterr().out
    assert "[red]hot[/red]" in out
    assert ":smile:" in out


def test_an_interrupted_training_writes_nothing(desk, capsys, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    before = contents(desk)
    monkeypatch.setattr(cli, "train", interrupted)
    assert main("train", "flowers.csv", "--target", "species") == 130
    assert capsys.readouterr().err == "tinygrad-scalar: interrupted\n"
    assert contents(desk) == before


# --- predict ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "target"), [("flowers", "species"), ("line", "y")])
def test_predict_writes_the_table_with_the_models_prediction_beside_every_row(name, target, desk, capsys):
    assert main("predict", f"{name}.safetensors", f"{name}.csv") == 0
    header, *rows = csv.reader(capsys.readouterr().out.splitlines())
    table = read_csv(f"{name}.csv")
    expected = TableModel.load(f"{name}.safetensors").predict(table)
    assert header == [*table.columns, f"predicted_{target}"]
    assert [row[:-1] for row in rows] == table.rows
    assert [type(expected[0])(row[-1]) for row in rows] == expected  # numbers to the bit


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


# --- a user's error --------------------------------------------------------------------------------------------------

TRAIN = ["train", "flowers.csv", "--target", "species", "--epochs", "2", "--layers", "2"]
# the arguments, and words of the line
ERRORS = {
    "no command": ([], "COMMAND"),
    "an unknown command": (["fly"], "'fly'"),
    "an unknown option": (["demo", "--fast"], "--fast"),
    # draw
    "draw: no expression": (["draw"], "EXPR"),
    "draw: an unknown function": (["draw", "sigmod(x)", "x=1"], "did you mean sigmoid?"),
    "draw: an import": (["draw", "__import__('os')"], "__import__('os')"),
    "draw: not Python": (["draw", "x +", "x=1"], "cannot read 'x +'"),
    "draw: an empty expression": (["draw", ""], "empty"),
    "draw: two lines": (["draw", "x\ny +", "x=1"], "cannot read"),
    "draw: a missing number": (["draw", "w*x", "w=1"], "x has no number; give x="),
    "draw: an unused number": (["draw", "x", "x=1", "q=2"], "q is given a number"),
    "draw: no =": (["draw", "x", "x"], "'x' is not a finite number with a name"),
    "draw: no number": (["draw", "x", "x="], "'x='"),
    "draw: no name": (["draw", "x", "=1"], "''"),
    "draw: a word for a number": (["draw", "x", "x=one"], "'x=one'"),
    "draw: a decimal comma": (["draw", "x", "x=1,5"], "'x=1,5'"),
    "draw: nan": (["draw", "x", "x=nan"], "'x=nan'"),
    "draw: infinity": (["draw", "x", "x=inf"], "'x=inf'"),
    "draw: two numbers": (["draw", "x", "x=1", "x=2"], "x is given two numbers"),
    "draw: too many values": (["draw", "+".join(["x"] * 3100), "x=1"], ""),
    "draw: another kind of file": (["draw", "x", "x=1", "-o", "x.gif"], ".svg, .png, .dot, .html"),
    "draw: a missing folder": (["draw", "x", "x=1", "-o", "nowhere/x.svg"], "there is no folder"),
    "draw: a folder": (["draw", "x", "x=1", "-o", "folder.svg"], "folder.svg is a folder"),
    "draw: an unknown direction": (["draw", "x", "x=1", "--direction", "UP"], "'UP'"),
    # train: its options
    "train: no target": (["train", "flowers.csv"], "--target"),
    "train: an unknown column": (
        ["train", "flowers.csv", "--target", "colour"],
        "no column 'colour'; its columns are sepal_",
    ),
    "train: layers of letters": ([*TRAIN, "--layers", "8,x"], "'8,x' is not a list of layer sizes such as 8,8"),
    "train: a layer of 0": ([*TRAIN, "--layers", "8,0"], "'8,0'"),
    "train: a layer of -1": ([*TRAIN, "--layers=-1"], "'-1'"),
    "train: a layer of nothing": ([*TRAIN, "--layers", "8,,8"], "'8,,8'"),
    "train: no layers": ([*TRAIN, "--layers", ""], "''"),
    "train: 0 epochs": ([*TRAIN, "--epochs", "0"], "must be a positive integer, got '0'"),
    "train: -1 epochs": ([*TRAIN, "--epochs", "-1"], "must be a positive integer, got '-1'"),
    "train: half an epoch": ([*TRAIN, "--epochs", "0.5"], "'0.5'"),
    "train: batches of 0": ([*TRAIN, "--batch-size", "0"], "must be a positive integer, got '0'"),
    "train: nothing held out": ([*TRAIN, "--test-fraction", "0"], "above 0 and below 1, not 0.0"),
    "train: everything held out": ([*TRAIN, "--test-fraction", "1"], "above 0 and below 1, not 1.0"),
    "train: a fraction of nan": ([*TRAIN, "--test-fraction", "nan"], "above 0 and below 1, not nan"),
    "train: a fraction of -0.5": ([*TRAIN, "--test-fraction", "-0.5"], "above 0 and below 1, not -0.5"),
    "train: a fraction of too little": ([*TRAIN, "--test-fraction", "0.001"], "holds out none"),
    "train: a fraction of a word": ([*TRAIN, "--test-fraction", "half"], "'half'"),
    "train: a learning rate of -1": ([*TRAIN, "--learning-rate", "-1"], "learning_rate is a number"),
    "train: a learning rate of nan": ([*TRAIN, "--learning-rate", "nan"], "learning_rate is a number"),
    "train: a learning rate of inf": ([*TRAIN, "--learning-rate", "inf"], "learning_rate is a number"),
    "train: a learning rate far too large": (
        [*TRAIN, "--learning-rate", "1e300", "--loss", "hinge", "--activation", "linear", "--optimizer", "sgd"],
        "smaller learning rate",
    ),
    "train: an unknown loss": ([*TRAIN, "--loss", "cosine"], "'cosine'"),
    "train: an unknown optimizer": ([*TRAIN, "--optimizer", "newton"], "'newton'"),
    "train: an unknown activation": ([*TRAIN, "--activation", "step"], "'step'"),
    "train: an unknown column to ignore": ([*TRAIN, "--ignore", "colour"], "no column 'colour'"),
    "train: a seed of letters": ([*TRAIN, "--seed", "x"], "'x'"),
    # train: its files
    "train: a missing file": (["train", "nowhere.csv", "--target", "x"], "nowhere.csv: No such file"),
    "train: a folder": (["train", "folder.csv", "--target", "x"], "folder.csv: Is a directory"),
    "train: a picture": (["train", "picture.csv", "--target", "x"], "picture.csv is not text in UTF-8"),
    "train: a header only": (["train", "header.csv", "--target", "kind"], "no rows below a header"),
    "train: a hole": (
        ["train", "hole.csv", "--target", "kind"],
        "hole.csv, line 4: the value of column 'width' is missing",
    ),
    "train: a hole in the target": (
        ["train", "hole-in-target.csv", "--target", "kind"],
        "hole-in-target.csv, line 3: the value of column 'kind' is missing",
    ),
    "train: a ragged row": (["train", "ragged.csv", "--target", "kind"], "ragged.csv, line 3 has 2 cells"),
    "train: text among the numbers": (
        ["train", "flowers.csv", "--target", "petal_width"],
        "line 2: 'setosa' in column 'species'",
    ),
    "train: one class": (["train", "constant-class.csv", "--target", "kind"], "nothing to learn"),
    "train: a number that never changes": (["train", "constant-number.csv", "--target", "y"], "nothing to learn"),
    "train: nothing to predict from": (["train", "one-column.csv", "--target", "kind"], "no column besides the target"),
    "train: a missing folder": ([*TRAIN, "-o", "nowhere/m.safetensors"], "there is no folder"),
    "train: a folder for the model": ([*TRAIN, "-o", "folder.csv"], "folder.csv is a folder"),
    "train: a folder for the curve": ([*TRAIN, "-o", "folder"], "folder.svg is a folder"),
    "train: the table for the model": ([*TRAIN, "-o", "flowers.csv"], "the output flowers.csv is the input"),
    "train: the target ignored": ([*TRAIN, "--ignore", "species"], "is the target and cannot be ignored"),
    "train: no name for the model": ([*TRAIN, "-o", ""], "name of a file"),
    # predict
    "predict: no file": (["predict", "flowers.safetensors"], "FILE.csv"),
    "predict: a missing model": (
        ["predict", "nowhere.safetensors", "flowers.csv"],
        "nowhere.safetensors: No such file",
    ),
    "predict: a model that is none": (["predict", "flowers.csv", "flowers.csv"], "flowers.csv is not a network"),
    "predict: a network alone": (["predict", "network.safetensors", "flowers.csv"], "not a model of a table"),
    "predict: a folder for a model": (["predict", "folder.csv", "flowers.csv"], "folder.csv: Is a directory"),
    "predict: a missing file": (["predict", "flowers.safetensors", "nowhere.csv"], "nowhere.csv: No such file"),
    "predict: a missing column": (
        ["predict", "flowers.safetensors", "line.csv"],
        "line.csv has no column 'sepal_length'",
    ),
    "predict: a hole": (
        ["predict", "line.safetensors", "hole-in-x.csv"],
        "hole-in-x.csv, line 3: the value of column 'x'",
    ),
    "predict: a missing folder": (
        ["predict", "line.safetensors", "line.csv", "-o", "nowhere/o.csv"],
        "there is no folder",
    ),
    "predict: a folder for the output": (
        ["predict", "line.safetensors", "line.csv", "-o", "folder.csv"],
        "is a folder",
    ),
    "predict: no name for the output": (["predict", "line.safetensors", "line.csv", "-o", ""], "name of a file"),
    # demo
    "demo: a missing folder": (["demo", "-o", "nowhere"], "there is no folder"),
    "demo: a file for a folder": (["demo", "-o", "line.csv"], "there is no folder"),
    "demo: a seed of letters": (["demo", "--seed", "x"], "'x'"),
}


@pytest.mark.parametrize(("arguments", "words"), ERRORS.values(), ids=ERRORS)
def test_a_users_error_is_one_line_exit_code_2_and_nothing_written(arguments, words, desk, capsys):
    write_csv(desk / "hole-in-x.csv", ["x", "y"], [[1, 2], ["NA", 4]])
    before = contents(desk)
    assert main(*arguments) == 2
    err = capsys.readouterr().err
    assert err.endswith("\n")
    assert err.count("\n") == 1
    assert re.match(r"tinygrad-scalar: \S", err)
    assert words in err
    assert "Traceback" not in err
    assert not re.search(r"[A-Z]\w*Error: ", err)
    assert "Path(" not in err
    assert contents(desk) == before
    assert not list(desk.rglob("*.partial"))


# a few of them in a process of their own: no traceback at exit, no warning beside the line
OUTSIDE = ["no command", "draw: an import", "train: a hole", "predict: a model that is none", "demo: a missing folder"]


@pytest.mark.parametrize("error", OUTSIDE)
@pytest.mark.parametrize("command", [MODULE, SCRIPT], ids=["python -m", "script"])
def test_module_and_script_say_the_same_of_an_error(command, error, desk):
    arguments, words = ERRORS[error]
    run = process(command, *arguments, cwd=desk)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("tinygrad-scalar: ")
    assert run.stderr.count("\n") == 1
    assert words in run.stderr


def test_python_warns_of_nothing_in_an_expression_that_is_refused(desk):
    run = process(MODULE, "draw", "1if x else 2", "x=1", cwd=desk)
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["--help"], ["draw", "--help"], ["train", "--help"], ["predict", "-h"], ["demo", "-h"]]
)
def test_help_is_printed(arguments, capsys):
    assert main(*arguments) == 0
    assert "usage: tinygrad-scalar" in capsys.readouterr().out


def test_the_version_is_the_packages(capsys):
    assert main("--version") == 0
    assert capsys.readouterr().out.split() == ["tinygrad-scalar", ts.__version__]


@pytest.mark.parametrize("output", ["flowers.csv", "flowers.safetensors"])
def test_predict_writes_over_neither_of_its_inputs(output, desk, capsys):
    before = contents(desk)
    assert main("predict", "flowers.safetensors", "flowers.csv", "-o", output) == 2
    assert "is the input" in capsys.readouterr().err
    assert contents(desk) == before


def test_predict_refuses_a_table_that_has_its_column_already(desk, capsys):
    assert main("predict", "flowers.safetensors", "flowers.csv", "-o", "predicted.csv") == 0
    assert main("predict", "flowers.safetensors", "predicted.csv") == 2
    assert "has a column 'predicted_species' already" in capsys.readouterr().err


# --- terminals and pipes ---------------------------------------------------------------------------------------------


def test_output_survives_a_terminal_that_knows_only_ascii(tmp_path):
    write_csv(tmp_path / "σ.csv", ["ä", "y"], [[i, 2 * i] for i in range(12)])
    for arguments, code in (
        (["draw", "σ = α*2", "α=1"], 0),
        (["train", "σ.csv", "--target", "y", "--epochs", "2", "--layers", "2"], 0),
        (["draw", "σ", "α=1"], 2),
        (["demo"], 0),
    ):
        run = process(MODULE, *arguments, cwd=tmp_path, encoding="ascii")
        assert run.returncode == code, run.stderr
        assert "Traceback" not in run.stderr
        assert run.stdout or code


# commands that print more than a reader of one line takes, at once or at their end
OUTPUTS = {
    "predict": ["predict", "line.safetensors", "long.csv"],
    "train": TRAIN,
    "draw": ["draw", *COST],
    "draw at length": ["draw", "; ".join(f"x{i} = y + {i}" for i in range(300)) + "; x299*2", "y=1"],
    "help": ["train", "--help"],
}


@pytest.mark.skipif(os.name != "posix", reason="pipes as a POSIX shell makes them")
@pytest.mark.parametrize("lines", [0, 1])
@pytest.mark.parametrize("name", OUTPUTS)
def test_a_reader_that_stops_reading_is_no_error(name, lines, desk):
    write_csv(desk / "long.csv", ["x"], [[i] for i in range(20_000)])
    command = [*MODULE, *OUTPUTS[name]]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, cwd=desk, env=ENVIRONMENT) as run:
        for _ in range(lines):
            assert run.stdout.readline().strip()
        run.stdout.close()
        complaint = run.stderr.read()
    assert complaint == b""
    assert run.returncode >= 0  # it ended by itself


@pytest.mark.skipif(os.name != "posix", reason="pipes as a POSIX shell makes them")
def test_a_model_is_written_though_nobody_reads_the_report(desk):
    command = [*MODULE, "train", "flowers.csv", "--target", "species", "--epochs", "2", "-o", "unread.safetensors"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=desk, env=ENVIRONMENT) as run:
        run.stdout.close()
    assert run.returncode == 0
    assert TableModel.load(desk / "unread.safetensors").classes


@pytest.mark.skipif(not os.path.exists("/dev/stdout"), reason="no /dev/stdout")
def test_predictions_go_to_a_pipe_by_its_name(desk):
    run = process(MODULE, "predict", "flowers.safetensors", "flowers.csv", "-o", "/dev/stdout", cwd=desk)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("sepal_length,")


def stderr_of_a_terminal(command, folder):
    """What a command writes to a stderr that is a terminal."""
    pty, fcntl, termios = (pytest.importorskip(name) for name in ("pty", "fcntl", "termios"))
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))  # a new one has no width
    written = b""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs, cwd=folder, env=ENVIRONMENT) as run:
        os.close(theirs)
        with contextlib.suppress(OSError):  # Linux's way to say that the other end is closed
            while piece := os.read(ours, 4096):
                written += piece
    os.close(ours)
    assert run.returncode == 0
    return written.decode()


def test_a_terminal_sees_the_trainings_progress(desk):
    written = stderr_of_a_terminal([*MODULE, *TRAIN], desk)
    assert "training" in written
    assert re.search(r"100%.*2/2", written)
    assert "cost=" in written


def test_no_progress_is_written_where_stderr_is_no_terminal(desk):
    run = process(MODULE, *TRAIN, cwd=desk)
    assert (run.returncode, run.stderr) == (0, "")


# --- demo ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def demonstrated(tmp_path_factory):
    """The folder and the output of the demonstration, by the installed script."""
    folder = tmp_path_factory.mktemp("demonstrated")
    run = process(SCRIPT, "demo", cwd=folder)
    assert (run.returncode, run.stderr) == (0, "")
    return folder, run.stdout


def test_the_demonstration_shows_the_forward_values_of_one_node(demonstrated):
    _, out = demonstrated
    numbers = dict(re.findall(r"^  (\S+) +?= ([\d.]+)$", out, re.M))
    w, a, b = (float(numbers[name]) for name in ("w⁽¹⁾", "a⁽⁰⁾", "b⁽¹⁾"))
    z = w * a + b
    assert float(numbers["z⁽¹⁾"]) == pytest.approx(z, abs=1e-4)
    assert float(numbers["a⁽¹⁾"]) == pytest.approx(ts.sigmoid(z), abs=1e-4)
    assert float(numbers["C"]) == pytest.approx((ts.sigmoid(z) - float(numbers["y"])) ** 2, abs=1e-4)


# the derivative, its equation in 000, and its first factor
DERIVATIVES = {"w⁽¹⁾": (3, "a⁽⁰⁾"), "b⁽¹⁾": (7, "1"), "a⁽⁰⁾": (8, "w⁽¹⁾")}


@pytest.mark.parametrize("name", DERIVATIVES)
def test_the_demonstrations_chain_rule_products_multiply_out_to_the_gradient(name, demonstrated):
    _, out = demonstrated
    equation, first = DERIVATIVES[name]
    lines = out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.strip().startswith(f"∂C/∂{name} "))
    rule, symbols, numbers = (line.strip() for line in lines[start : start + 3])
    assert rule.endswith(f"(000 Eq. {equation})")
    assert [f"∂z⁽¹⁾/∂{name}", "∂a⁽¹⁾/∂z⁽¹⁾", "∂C/∂a⁽¹⁾"] == rule.split("=")[1].split("(000")[0].strip().split(" · ")
    assert symbols == f"= {first} · σ′(z⁽¹⁾) · 2(a⁽¹⁾ − y)"
    product, result = re.fullmatch(r"= (.*) = (.*)", numbers).groups()
    one, two, three = map(float, product.split(" · "))
    assert float(result) == pytest.approx(one * two * three, abs=2e-4)
    assert float(result) != 0.0
    leaf = {"w⁽¹⁾": Value(0.6), "b⁽¹⁾": Value(0.1), "a⁽⁰⁾": Value(0.8)}
    ((leaf["w⁽¹⁾"] * leaf["a⁽⁰⁾"] + leaf["b⁽¹⁾"]).sigmoid() ** 2).backward()
    assert float(result) == pytest.approx(leaf[name].grad, abs=5e-5)
    assert f"{name}: {result}" in next(line for line in lines if "backward()" in line)


def test_the_demonstrations_network_of_67_parameters_tells_irises_apart(demonstrated):
    _, out = demonstrated
    assert "MLP(4, [8, 3]" in out
    assert "67 parameters" in out
    right, total = map(int, re.search(r"held-out accuracy: [\d.]+% \((\d+) of (\d+)\)", out).groups())
    assert total == 50
    assert right / total >= 0.93


def test_the_demonstration_writes_three_pictures_and_names_them(demonstrated):
    folder, out = demonstrated
    names = ["iris-cost.svg", "loss.svg", "one-node.svg"]
    assert sorted(path.name for path in folder.iterdir()) == names
    for name in names:
        ElementTree.parse(folder / name)
        assert re.search(rf"^  {name}: \w", out.replace(f"{folder}{os.sep}", ""), re.M)


def test_the_demonstrations_pictures_show_what_it_says(demonstrated):
    folder, out = demonstrated
    texts = [text.text for text in ElementTree.parse(folder / "one-node.svg").iter(f"{SVG}text")]
    for name in ("w⁽¹⁾", "b⁽¹⁾", "a⁽⁰⁾", "z⁽¹⁾", "a⁽¹⁾", "C"):
        assert name in texts
    for number in re.search(r"every \.grad: (.*)", out)[1].split(", "):
        assert f"{float(number.split(': ')[1]):.4g}" in texts
    (curve,) = ElementTree.parse(folder / "loss.svg").iter(f"{SVG}polyline")
    assert len(curve.get("points").split()) == int(re.search(r"in (\d+) epochs", out)[1])
    cost = [text.text for text in ElementTree.parse(folder / "iris-cost.svg").iter(f"{SVG}text")]
    assert {"w⁽²⁾₀₇", "b⁽¹⁾₀", "a⁽⁰⁾₃", "C"} <= set(cost)
    assert cost.count("parameter") == 67


def test_the_next_thing_that_the_demonstration_names_works(demonstrated, tmp_path, monkeypatch):
    _, out = demonstrated
    program, *arguments = shlex.split(out.strip().splitlines()[-1])
    monkeypatch.chdir(tmp_path)
    assert program == "tinygrad-scalar"
    assert main(*arguments) == 0
    assert [path.suffix for path in tmp_path.iterdir()] == [".svg"]


# --- step and explain ------------------------------------------------------------------------------------------------


def test_explain_prints_the_chain_rule(capsys):
    assert main("explain", *COST[:1], "--wrt", "w", *COST[1:]) == 0
    assert capsys.readouterr().out == (
        "∂C/∂w = ∂z/∂w · ∂C/∂z\n      = a · 2(σ(z) − y)·σ′(z)\n      = 0.8 · 0.295019 = 0.236015\n"
    )


def test_an_expression_without_a_name_is_the_result(capsys):
    assert main("explain", "-x*x", "--wrt", "x", "x=3") == 0
    assert capsys.readouterr().out == "∂result/∂x = −2·x = −6\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["explain", "x*y", "--wrt", "z", "x=1", "y=2"],
            "no value of this graph is called 'z'; there are result, x, y",
        ),
        (["explain", "x*y", "x=1", "y=2"], "required: --wrt"),
        (["explain", "x", "--wrt", "x", "x=1"], "is a leaf"),
        (["step", "x", "x=1"], "is a leaf"),
        (["step", "x*y", "--fast", "x=1", "y=2"], "unrecognized arguments: --fast"),
        (["step", "x*y", "x=1"], "y has no number"),
        (["draw", "x*y", "x=1", "-o", "g.svg", "y2"], "unrecognized arguments: y2"),
    ],
)
def test_what_step_and_explain_cannot_take_is_one_line(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(*arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert contents(tmp_path) == {}


def test_check_prints_every_gradient_beside_a_nudge(capsys):
    assert main("check", *COST) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed[1:-1]] == ["w", "a", "b", "y"]
    assert all("agrees to" in line for line in printed[1:-1])
    assert printed[-1].startswith("all 4 derivatives agree")


def test_check_fails_as_a_test_does_where_a_gradient_is_wrong(capsys):
    assert main("check", "log(x)", "x=-1") == 1
    assert "1 of 1 do not agree" in capsys.readouterr().out

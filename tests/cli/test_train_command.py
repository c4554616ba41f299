"""`tinygrad-scalar train`: the report, the model and its loss curve, and what options and seed decide."""

import random
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support.commands import SVG, contents, main, write_csv

import tinygrad_scalar as ts
from tinygrad_scalar.cli import train
from tinygrad_scalar.cli.split import split
from tinygrad_scalar.cli.table_model import TableModel, untrained_model
from tinygrad_scalar.datasets import read_csv
from tinygrad_scalar.nn.losses import LOSSES
from tinygrad_scalar.nn.optim import OPTIMIZERS


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
    training, validation = ElementTree.parse(folder / "iris.safetensors.svg").iter(f"{SVG}polyline")
    assert len(training.get("points").split()) == len(validation.get("points").split()) == 60
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


def test_a_confusion_matrix_of_many_classes_counts_every_row_of_the_ten_most_frequent(desk, capsys):
    names = [f"class_number_{i:02}" for i in range(30)]
    write_csv(desk / "many.csv", ["x", "kind"], [[i, names[i % 30]] for i in range(120)])
    assert main("train", "many.csv", "--target", "kind", "--layers", "2", "--epochs", "1") == 0
    out = capsys.readouterr().out
    rows = [line.split() for line in out.splitlines() if line.split()[:1] and line.split()[0] in names]
    assert [row[0] for row in rows] == names[:10]
    assert all(len(row) == 12 for row in rows)
    assert sum(int(count) for row in rows for count in row[1:]) == 10
    assert "the 10 most frequent of 30 classes" in out


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
    monkeypatch.setattr(train, "fit", interrupted)
    assert main("train", "flowers.csv", "--target", "species") == 130
    assert capsys.readouterr().err == "tinygrad-scalar: interrupted\n"
    assert contents(desk) == before

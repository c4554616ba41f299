"""The commands' input: a folder of small tables and models, and a network trained on Iris."""

import shutil

import pytest
from support.commands import SCRIPT, process, write_csv

import tinygrad_scalar as ts
from tinygrad_scalar.cli.table_model import untrained_model
from tinygrad_scalar.datasets import iris, read_csv


@pytest.fixture(scope="session")
def tidy_desk(tmp_path_factory):
    """The folder that each `desk` is copied from."""
    folder = tmp_path_factory.mktemp("desk")
    table = iris()
    write_csv(folder / "flowers.csv", table.columns, table.rows[::5])
    write_csv(folder / "line.csv", ["x", "y"], [[i, 2 * i + 1] for i in range(12)])
    write_csv(folder / "hole.csv", ["id", "width", "kind"], [[1, 2, "a"], [2, 3, "b"], [3, "", "a"], [4, 5, "b"]])
    write_csv(folder / "hole-in-target.csv", ["id", "kind"], [[1, "a"], [2, "?"], [3, "a"], [4, "b"]])
    write_csv(folder / "ragged.csv", ["id", "width", "kind"], [[1, 2, "a"], [2, "b"], [3, 4, "a"]])
    write_csv(folder / "constant-class.csv", ["id", "kind"], [[i, "a"] for i in range(8)])
    write_csv(folder / "constant-number.csv", ["id", "y"], [[i, 5] for i in range(8)])
    write_csv(folder / "one-column.csv", ["kind"], [["a"], ["b"], ["a"], ["b"]])
    write_csv(folder / "header.csv", ["id", "kind"], [])
    (folder / "picture.csv").write_bytes(b"\x89PNG\r\n\x1a\n\x00")
    (folder / "folder.csv").mkdir()
    (folder / "folder.svg").mkdir()
    flowers = read_csv(folder / "flowers.csv")
    untrained_model(flowers, range(30), target="species", layers=[3]).save(folder / "flowers.safetensors")
    line = read_csv(folder / "line.csv")
    untrained_model(line, range(12), target="y", layers=[3]).save(folder / "line.safetensors")
    ts.save(ts.MLP(4, [3]), folder / "network.safetensors")
    return folder


@pytest.fixture
def desk(tidy_desk, tmp_path, monkeypatch):
    """The current folder, with small tables and a model for each way of training."""
    shutil.copytree(tidy_desk, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
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

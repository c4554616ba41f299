"""The commands' input: a folder of small tables and models, and a network trained on Iris."""

import pytest
from support.commands import SCRIPT, process, write_csv

import tinygrad_scalar as ts
from tinygrad_scalar.cli.table_model import untrained_model
from tinygrad_scalar.datasets import iris, read_csv


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

"""The models of train: damaged ones are refused by predict, and no number that is not finite is saved or predicted."""

import math
import random
from pathlib import Path

import pytest
from support.commands import contents, main, write_csv
from support.mutants import mutants

import tinygrad_scalar as ts
from tinygrad_scalar.cli.scores import r_squared
from tinygrad_scalar.cli.table_model import MOST_PARAMETERS, TableModel
from tinygrad_scalar.nn.saving import load_with, save

# what stands in a model's description instead of what belongs there
POOL = [
    None, True, 0, 1, -1, 10**400, 0.0, -0.0, -1.0, 5e-324, 1e308, math.nan, math.inf, "", "x", "3", "species",
    "sepal_length", "squared_error", "cross_entropy", [], [[]], ["x"], ["a", "a", "b"], ["a", "b", "c", "d"], [1, 2, 3],
    {}, {"mean": 0.0, "deviation": 1.0}, {"mean": 0.0, "deviation": 0.0}, {"mean": "0", "deviation": 1.0}, [{}] * 4,
]  # fmt: skip


def predicted_or_refused(capsys, model, table):
    """Whether predict prints finite predictions; else it ends with one line that names a file, and exit code 2."""
    code = main("predict", model, table)
    out, err = capsys.readouterr()
    assert code in (0, 2)
    if code == 0:
        assert err == ""
        predictions = [line.rsplit(",", 1)[1] for line in out.splitlines()[1:]]
        assert all(word not in ("nan", "inf", "-inf", "") for word in predictions)
        return True
    assert out == ""
    assert err.count("\n") == 1
    assert model in err or table in err
    return False


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["flowers", "line"])
def test_a_model_with_anything_else_in_its_description_is_refused_or_predicts_finite_numbers(name, desk, capsys):
    net, metadata = load_with(f"{name}.safetensors")
    accepted = []
    for mutant in mutants(metadata, POOL, "twice"):
        save(net, "mutant.safetensors", mutant)
        if predicted_or_refused(capsys, "mutant.safetensors", f"{name}.csv"):
            accepted.append(mutant["table"])
    assert accepted
    for table in accepted:  # names that are names, and scales that are numbers, can be others
        assert sorted(table) == sorted(metadata["table"])
        assert all(type(scale[part]) is float for scale in table["scales"] for part in ("mean", "deviation"))
        assert all(len(table[part] or []) == len(metadata["table"][part] or []) for part in ("features", "classes"))


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["flowers", "line"])
def test_a_model_with_a_weight_that_is_not_finite_is_refused(name, number, desk, capsys):
    net, metadata = load_with(f"{name}.safetensors")
    for i, parameter in enumerate(net.parameters()):
        before, parameter.data = parameter.data, number
        save(net, "broken.safetensors", metadata)
        parameter.data = before
        assert main("predict", "broken.safetensors", f"{name}.csv") == 2
        err = capsys.readouterr().err
        assert (
            f"broken.safetensors is not a model written by `train`: the parameter {parameter.label} is {number}" in err
        ), i


@pytest.mark.parametrize("name", ["flowers", "line"])
def test_a_model_whose_file_is_cut_off_or_changed_anywhere_never_ends_in_a_traceback(name, desk, capsys, thorough):
    content = Path(f"{name}.safetensors").read_bytes()
    generator = random.Random(0)
    for _ in range(300 if thorough else 60):
        changed = bytearray(content)
        for _ in range(generator.choice([1, 1, 8])):
            changed[generator.randrange(len(content))] = generator.randrange(256)
        changed = changed[: generator.choice([len(content), generator.randrange(len(content))])]
        Path("changed.safetensors").write_bytes(changed)
        predicted_or_refused(capsys, "changed.safetensors", f"{name}.csv")


@pytest.mark.parametrize("x", ["1e308", "-1e308"])
def test_a_row_too_far_out_to_be_standardised_is_named(x, desk, capsys):
    net, metadata = load_with("line.safetensors")
    metadata["table"]["scales"][0]["deviation"] = 0.5
    save(net, "narrow.safetensors", metadata)
    write_csv(desk / "far.csv", ["x"], [[1], [x], [3]])
    assert main("predict", "narrow.safetensors", "far.csv", "-o", "out.csv") == 2
    assert f"far.csv, line 3: {float(x)!r} in column 'x' is too far from the mean" in capsys.readouterr().err
    assert not Path("out.csv").exists()


@pytest.mark.parametrize(("name", "row"), [("flowers", [1e300, -1e300, 1e300, 0]), ("line", [1e300])])
def test_a_row_whose_output_is_not_finite_is_named(name, row, desk, capsys):
    net, metadata = load_with(f"{name}.safetensors")
    for parameter in net.parameters():
        parameter.data = 1e200 if len(row) == 1 else 1e300
    save(net, "large.safetensors", metadata)
    if len(row) == 1:  # the output itself is finite, but not in the target's unit
        metadata["table"]["target_scale"]["deviation"] = 1e300
        save(net, "large.safetensors", metadata)
    write_csv(desk / "rows.csv", metadata["table"]["features"], [row])
    assert main("predict", "large.safetensors", "rows.csv") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "rows.csv, line 2: the network's output for this row is not finite" in err


# --- training --------------------------------------------------------------------------------------------------------


def uniform(factor, row=None, number=0.0):
    """Rows of x1, x2 and y in [−factor, factor], except that a row's y is `number`."""
    generator = random.Random(1)
    rows = [[generator.uniform(-1, 1), generator.uniform(-1, 1), factor * generator.uniform(-1, 1)] for _ in range(24)]
    if row is not None:
        rows[row][2] = number
    return rows


TARGETS = {
    f"{factor:g} {row} {number:g}": uniform(factor, row, number)
    for factor in (1e-320, 1e-300, 1e-160, 1.0, 1e155, 1e300, 1.7e308)
    for row, number in ((None, 0.0), (0, 1e155), (1, 1e308), (2, -1e308), (5, 5e-324))
}


@pytest.mark.parametrize("rows", TARGETS.values(), ids=TARGETS)
@pytest.mark.parametrize("position", [pytest.param(0, marks=pytest.mark.thorough), 2], ids=["in x", "in y"])
def test_numbers_of_any_size_are_trained_on_and_predicted_or_refused_before_anything_is_written(
    position, rows, desk, capsys
):
    rows = [[row[2], row[1], row[0]] if position == 0 else row for row in rows]
    write_csv(desk / "t.csv", ["x1", "x2", "y"], rows)
    before = contents(desk)
    code = main("train", "t.csv", "--target", "y", "--layers", "2", "--epochs", "2", "-o", "t.safetensors")
    err = capsys.readouterr().err
    if code == 0:
        TableModel.load("t.safetensors")
        predicted_or_refused(capsys, "t.safetensors", "t.csv")
    else:
        assert code == 2
        assert err.count("\n") == 1
        assert contents(desk) == before


@pytest.mark.parametrize("optimizer", ["gradient_descent", "adam"])
@pytest.mark.parametrize("rate", ["1e100", "1e200", "1e308"])
@pytest.mark.parametrize("epochs", ["1", "3"])
def test_a_training_that_diverges_saves_nothing_or_a_model_that_predicts(rate, optimizer, epochs, desk, capsys):
    options = ["--optimizer", optimizer, "--learning-rate", rate, "--epochs", epochs, "--activation", "relu"]
    before = contents(desk)
    code = main("train", "flowers.csv", "--target", "species", "--layers", "2", *options, "-o", "t.safetensors")
    err = capsys.readouterr().err
    if code == 0:
        assert predicted_or_refused(capsys, "t.safetensors", "flowers.csv")
    else:
        assert code == 1
        assert "the training diverged, and nothing was saved" in err
        assert "detect_anomaly" not in err
        assert contents(desk) == before


def test_r_squared_neither_overflows_nor_underflows():
    for unit in (1e-300, 1e-160, 1.0, 1e155, 1e300):
        actual = [1.0 * unit, 2.0 * unit, 4.0 * unit]
        assert r_squared(actual, actual) == 1.0
        assert r_squared(actual, [2.0 * unit, 2.0 * unit, 3.0 * unit]) == pytest.approx(1 - 2 / (14 / 3))
    assert r_squared([1.0, 2.0], [1e300, 1.0]) == -math.inf


def test_a_score_that_is_undefined_is_said_to_be_so(desk, capsys):
    write_csv(desk / "t.csv", ["x", "y"], [[i, 1 if i else 2] for i in range(12)])
    for seed in range(3):
        assert main("train", "t.csv", "--target", "y", "--layers", "2", "--epochs", "1", "--seed", seed) == 0
        assert "nan" not in capsys.readouterr().out


# --- sizes -----------------------------------------------------------------------------------------------------------

SIZES = ["9" * 30, "9" * 90, f"8,{'9' * 30},8", "3000,3000", str(MOST_PARAMETERS)]


@pytest.mark.parametrize("layers", SIZES)
def test_a_network_too_large_to_train_is_refused_before_it_is_built(layers, desk, capsys, monkeypatch):
    monkeypatch.setattr("tinygrad_scalar.cli.table_model.MLP", lambda *sizes, **options: pytest.fail("built"))
    assert main("train", "flowers.csv", "--target", "species", "--layers", layers) == 2
    assert "would have more than 2,000,000 weights and biases" in capsys.readouterr().err


def test_one_column_is_one_column(desk, capsys):
    write_csv(desk / "t.csv", ["x", "y"], [[i, i] for i in range(8)])
    assert main("train", "t.csv", "--target", "y", "--layers", "9000000") == 2
    assert "a network of these layers, for 1 column and 1 output, would have" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--layers", "--epochs", "--batch-size"])
def test_a_number_of_thousands_of_digits_is_refused_in_words(option, desk, capsys):
    assert main("train", "flowers.csv", "--target", "species", option, "9" * 5000) == 2
    err = capsys.readouterr().err
    assert f"argument {option}: must be" in err
    assert len(err) < 300


def test_a_target_that_differs_from_row_to_row_is_refused_in_words(desk, capsys):
    write_csv(desk / "t.csv", ["x", "name"], [[i, f"name{i}"] for i in range(50)])
    assert main("train", "t.csv", "--target", "name") == 2
    assert "'name' is text that differs from row to row" in capsys.readouterr().err
    write_csv(desk / "t.csv", ["x", "price"], [[i, f"{i}.5" if i != 7 else "7,5"] for i in range(50)])
    assert main("train", "t.csv", "--target", "price") == 2
    assert "if it should hold numbers, correct line 9: '7,5'" in capsys.readouterr().err


def test_a_confusion_matrix_too_large_to_read_has_the_ten_most_frequent_classes(desk, capsys):
    names = [f"name{i % 101}" for i in range(404)] + ["often"] * 40
    write_csv(desk / "t.csv", ["x", "name"], [[i, name] for i, name in enumerate(names)])
    assert main("train", "t.csv", "--target", "name", "--epochs", "1", "--layers", "1") == 0
    out = capsys.readouterr().out
    matrix = out.split("the 10 most frequent of 102 classes\n")[1].splitlines()[:11]
    assert matrix[0].split()[0] == "name"
    assert matrix[0].split()[-1] == "(others)"
    assert sum(map(int, matrix[-1].split()[1:])) == 10 and matrix[-1].split()[0] == "often"
    assert max(map(len, out.splitlines())) < 200


def test_a_network_of_another_class_is_no_model_of_train(desk):
    _, metadata = load_with(desk / "line.safetensors")
    save(ts.Layer(1, 1), desk / "layer.safetensors", metadata)
    with pytest.raises(ValueError, match="holds only a network"):
        TableModel.load(desk / "layer.safetensors")

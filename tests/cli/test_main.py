"""The parser and the errors of every command: one line on stderr, exit code 2, nothing written."""

import ast
import re
from pathlib import Path

import pytest
from support.commands import MODULE, SCRIPT, TRAIN, contents, main, process, write_csv

import tinygrad_scalar as ts
from tinygrad_scalar.cli import main as cli
from tinygrad_scalar.cli.command import Command, labelled_root

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
    "draw: an unused number": (["draw", "x", "x=1", "q=2"], "got a number for q"),
    "draw: no =": (["draw", "x", "x"], "a name and a finite number, such as w=0.6, got 'x'"),
    "draw: no number": (["draw", "x", "x="], "'x='"),
    "draw: no name": (["draw", "x", "=1"], "''"),
    "draw: a word for a number": (["draw", "x", "x=one"], "'x=one'"),
    "draw: a decimal comma": (["draw", "x", "x=1,5"], "'x=1,5'"),
    "draw: nan": (["draw", "x", "x=nan"], "'x=nan'"),
    "draw: infinity": (["draw", "x", "x=inf"], "'x=inf'"),
    "draw: two numbers": (["draw", "x", "x=1", "x=2"], "x was given two numbers"),
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
    "train: layers of letters": ([*TRAIN, "--layers", "8,x"], "must be positive layer sizes such as 8,8; got '8,x'"),
    "train: a layer of 0": ([*TRAIN, "--layers", "8,0"], "'8,0'"),
    "train: a layer of -1": ([*TRAIN, "--layers=-1"], "'-1'"),
    "train: a layer of nothing": ([*TRAIN, "--layers", "8,,8"], "'8,,8'"),
    "train: no layers": ([*TRAIN, "--layers", ""], "''"),
    "train: 0 epochs": ([*TRAIN, "--epochs", "0"], "must be a positive integer, got '0'"),
    "train: -1 epochs": ([*TRAIN, "--epochs", "-1"], "must be a positive integer, got '-1'"),
    "train: half an epoch": ([*TRAIN, "--epochs", "0.5"], "'0.5'"),
    "train: batches of 0": ([*TRAIN, "--batch-size", "0"], "must be a positive integer, got '0'"),
    "train: nothing held out": ([*TRAIN, "--test-fraction", "0"], "must be above 0 and below 1, got 0.0"),
    "train: everything held out": ([*TRAIN, "--test-fraction", "1"], "must be above 0 and below 1, got 1.0"),
    "train: a fraction of nan": ([*TRAIN, "--test-fraction", "nan"], "must be above 0 and below 1, got nan"),
    "train: a fraction of -0.5": ([*TRAIN, "--test-fraction", "-0.5"], "must be above 0 and below 1, got -0.5"),
    "train: a fraction of too little": ([*TRAIN, "--test-fraction", "0.001"], "holds out none"),
    "train: a fraction of a word": ([*TRAIN, "--test-fraction", "half"], "'half'"),
    "train: a learning rate of -1": ([*TRAIN, "--learning-rate", "-1"], "learning_rate must be a finite number"),
    "train: a learning rate of nan": ([*TRAIN, "--learning-rate", "nan"], "learning_rate must be a finite number"),
    "train: a learning rate of inf": ([*TRAIN, "--learning-rate", "inf"], "learning_rate must be a finite number"),
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
    "train: a picture": (["train", "picture.csv", "--target", "x"], "picture.csv is not UTF-8 text"),
    "train: a header only": (["train", "header.csv", "--target", "kind"], "no rows below its header line"),
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
        ["train", "typo.csv", "--target", "kind"],
        "typo.csv, line 3: 'two' in column 'width' is not a finite number, but 3 of its 4 cells are",
    ),
    "train: one class": (["train", "constant-class.csv", "--target", "kind"], "nothing to learn"),
    "train: a number that never changes": (["train", "constant-number.csv", "--target", "y"], "nothing to learn"),
    "train: nothing to predict from": (["train", "one-column.csv", "--target", "kind"], "no column left to predict"),
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
    "predict: a network alone": (["predict", "network.safetensors", "flowers.csv"], "holds only a network"),
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
    "demo: an empty folder": (["demo", "-o", ""], "the path is empty; give the name of a folder"),
    "notebooks: an empty folder": (["notebooks", ""], "the path is empty; give the name of a folder"),
    "demo: a seed of letters": (["demo", "--seed", "x"], "'x'"),
}


@pytest.mark.parametrize(("arguments", "words"), ERRORS.values(), ids=ERRORS)
def test_an_error_is_one_line_and_nothing_written_and_the_exit_code_is_2_or_of_a_diverged_training_1(
    arguments, words, desk, capsys
):
    write_csv(desk / "typo.csv", ["width", "kind"], [[1, "a"], ["two", "b"], [3, "a"], [4, "b"]])
    write_csv(desk / "hole-in-x.csv", ["x", "y"], [[1, 2], ["NA", 4]])
    before = contents(desk)
    assert main(*arguments) == (1 if words == "smaller learning rate" else 2)
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


# a few of them, each in its own process: no traceback at exit, no warning beside the line
OUTSIDE = ["no command", "draw: an import", "train: a hole", "predict: a model that is none", "demo: a missing folder"]


@pytest.mark.parametrize("error", OUTSIDE)
@pytest.mark.parametrize(
    "command", [pytest.param(MODULE, marks=pytest.mark.thorough), SCRIPT], ids=["python -m", "script"]
)
def test_module_and_script_say_the_same_of_an_error(command, error, desk):
    arguments, words = ERRORS[error]
    run = process(command, *arguments, cwd=desk)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("tinygrad-scalar: ")
    assert run.stderr.count("\n") == 1
    assert words in run.stderr


LONG = "x" * 50_000


@pytest.mark.parametrize(
    "arguments",
    [
        [LONG], ["demo", LONG], ["demo", f"--{LONG}"], ["train", "a.csv", "--loss", LONG], ["draw", LONG, LONG],
        ["draw", "x", "--direction", LONG], ["check", "x", f"x={LONG}"], ["train", LONG, "--target", LONG],
        ["train", "a.csv", "--seed", LONG], ["demo", "-o", LONG], ["predict", LONG, LONG],
    ],
)  # fmt: skip
def test_an_error_shows_a_part_of_a_huge_argument(arguments, capsys):
    assert main(*arguments) == 2
    assert len(capsys.readouterr().err) < 1000


def test_python_warns_of_nothing_in_an_expression_that_is_refused(desk):
    run = process(MODULE, "draw", "1if x else 2", "x=1", cwd=desk)
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_its_help(name, capsys):
    assert main("--help") == 0
    assert cli.COMMANDS[name].help.split()[0] in capsys.readouterr().out
    assert main(name, "-h") == 0
    assert f"usage: tinygrad-scalar {name}" in capsys.readouterr().out


def test_one_entry_of_the_table_makes_a_subcommand(monkeypatch, capsys):
    def run(options):
        print(f"{options.greeting} {labelled_root(options).data}")
        return 7

    def add_arguments(parser):
        parser.add_argument("--greeting", default="hello")

    command = Command("greet", "say hello to a number", run, add_arguments, takes_expression=True)
    monkeypatch.setitem(cli.COMMANDS, command.name, command)
    assert main("greet", "-h*x", "h=1", "x=3") == 7
    assert capsys.readouterr().out == "hello -3.0\n"
    assert main("greet", "-x*2", "x=3", "--greeting", "hi") == 7
    assert capsys.readouterr().out == "hi -6.0\n"
    assert main("--help") == 0
    assert "say hello to a number" in capsys.readouterr().out
    assert main("greet") == 2
    assert "EXPR" in capsys.readouterr().err


def test_the_version_is_the_packages(capsys):
    assert main("--version") == 0
    assert capsys.readouterr().out.split() == ["tinygrad-scalar", ts.__version__]


# the commands whose errors the files of the command line with several of them can raise
RAISED_BY = {
    **{name: ["train"] for name in ("table_model", "fitted_columns", "missing_cells", "split", "training_report")},
    "columns": ["predict"],
    **{name: ["train", "predict"] for name in ("decimals", "table_file")},
}


def test_an_option_that_an_error_recommends_is_one_of_the_command():
    options = {
        name: {option for action in parser._actions for option in action.option_strings}
        for name, parser in cli._parser()._subparsers._group_actions[0].choices.items()
    }
    package = Path(cli.__file__).parent.parent
    for path in package.rglob("*.py"):
        texts = [node.value for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Constant)]
        found = {
            option for text in texts if isinstance(text, str) for option in re.findall(r"(?<!\S)\(?(--\w[\w-]*)", text)
        }
        commands = RAISED_BY.get(path.stem, [path.stem]) if path.parent.name == "cli" else []
        for command in commands:
            assert found <= options.get(command, set()) | {"--help", "--version"}, path
        assert commands or not found, path

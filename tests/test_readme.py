"""README.md is true: its code prints what it says and draws its picture, and its commands parse."""

import ast
import code
import contextlib
import io
import re
import shlex
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tinygrad_scalar.cli import main as cli
from tinygrad_scalar.nn import optim
from tinygrad_scalar.nn.activations import ACTIVATIONS
from tinygrad_scalar.nn.losses import LOSSES
from tinygrad_scalar.nn.optim import OPTIMIZERS

TOP = Path(__file__).parent.parent
README = (TOP / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
PYTHON = [text for language, text in BLOCKS if language == "python"]
SHELL = [text for language, text in BLOCKS if language == "sh"]
# names that later blocks take for granted
DATA = {"X": [[5.1, 3.5, 1.4, 0.2], [7.0, 3.2, 4.7, 1.4], [6.3, 3.3, 6.0, 2.5]] * 3, "Y": [0, 1, 2] * 3}


def execute(blocks):
    """The text that the blocks print, and the names that they define."""
    names, printed = {"__name__": "__main__"}, io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
        for block in blocks:
            names.update(DATA)
            exec(compile(block, "README.md", "exec"), names)
    return printed.getvalue(), names


# --- the code --------------------------------------------------------------------------------------------------------


def test_the_first_screen_is_five_lines_of_code():
    assert BLOCKS[0][0] == "python"
    assert len(PYTHON[0].splitlines()) == 5


def test_the_first_block_prints_exactly_what_the_next_block_shows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    printed, _ = execute(PYTHON[:1])
    assert BLOCKS[1] == ("", printed)
    assert printed.strip()


def test_the_still_picture_beside_the_first_block_is_what_it_draws(tmp_path, monkeypatch):
    # by an absolute link, because a package index shows README.md without its repository
    (name,) = re.findall(r"\[a still picture\]\(https://[^)]+/main/([^)]+\.svg)\)", README.split("## ")[0])
    monkeypatch.chdir(tmp_path)
    execute(PYTHON[:1])
    drawn, shown = (
        sorted(text.text or "" for text in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text"))
        for path in (tmp_path / "one-node.svg", TOP / name)
    )
    assert drawn == shown
    assert {"w", "a", "b", "y", "C"} <= set(drawn)


def test_the_first_screen_moves_except_where_animation_is_switched_off():
    (picture,) = re.findall(r"<picture>(.*?)</picture>", README.split("## ")[0], re.DOTALL)
    sources = dict(re.findall(r'<source media="\(([^"]+)\)" srcset="https://[^"]+/main/([^"]+)">', picture))
    (moving,) = re.findall(r'<img alt="[^"]+" src="https://[^"]+/main/([^"]+)">', picture)
    moves = [
        "animation:" in (TOP / name).read_text("utf-8")
        for name in (sources["prefers-reduced-motion: reduce"], sources["max-width: 600px"], moving)
    ]
    assert moves == [False, True, True]


@pytest.mark.parametrize("name", re.findall(r'https://[^)" ]+/main/([^)" ]+)', README))
def test_every_picture_is_in_the_repository(name):
    assert (TOP / name).is_file()


def test_every_block_of_python_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(PYTHON) >= 3
    execute(PYTHON)


def test_the_second_block_does_what_its_comments_say(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    second = next(block for block in PYTHON if "f.forward()" in block)
    ts = execute(PYTHON[:1])[1]["ts"]
    before, _, after = second.partition("x.data = 4.0")
    names = {"ts": ts}
    exec(before, names)
    x, f = names["x"], names["f"]
    assert x.grad == pytest.approx(2 * 3.0 - ts.exp(-3.0))
    x.data = 4.0
    with pytest.raises(ts.StaleGraphError):
        f.backward()
    exec(after.partition("\n")[2], names)
    assert f.data == pytest.approx(16.0 + ts.exp(-4.0))


def test_the_block_on_networks_does_what_its_comments_say(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, names = execute(PYTHON[:1] + [block for block in PYTHON if "MLP(" in block])
    outputs = names["net"]([5.1, 3.5, 1.4, 0.2])
    assert [type(output) for output in outputs] == [names["ts"].Value] * 3
    assert names["net"].z[1][0].label == "z(1)[0]"
    assert names["net"].a[1][0].label == "a(1)[0]"
    assert (tmp_path / "net.safetensors").exists()


def in_console(text, after):
    """The output of a REPL that reads the text line by line, with the names that the blocks `after` define."""
    names = execute(after)[1]
    console = code.InteractiveConsole(names, "<README>")
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
        for line in [*text.splitlines(), ""]:
            console.push(line)
    return shown.getvalue()


@pytest.mark.parametrize("i", range(len(PYTHON)))
def test_every_block_can_be_pasted_into_a_plain_repl(i, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = in_console(PYTHON[i], PYTHON[:i])
    assert "Traceback" not in shown
    assert "Error" not in shown


@pytest.mark.parametrize("block", PYTHON)
def test_no_line_but_the_last_is_shown_only_by_a_repl(block):
    """IPython shows the value of a cell's last line alone."""
    shown = [statement for statement in ast.parse(block).body[:-1] if isinstance(statement, ast.Expr)]
    calls = [ast.unparse(statement.value.func) for statement in shown if isinstance(statement.value, ast.Call)]
    assert len(calls) == len(shown) - ("net.z" in block)
    assert not [call for call in calls if call in ("ts.explain", "ts.nudge", "ts.check_gradients", "ts.sensitivity")]


# --- the commands ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mark", ["run", "test"])
def test_a_mark_is_followed_by_one_fenced_command(mark):
    """The commands that `.ci/run` executes in a fresh environment."""
    assert README.count(f"<!-- {mark} -->") == 1
    (command,) = re.findall(rf"^<!-- {mark} -->\n```sh\n([^\n]+)\n```$", README, re.MULTILINE)
    assert command.startswith("python -m pip install -e")


def commands():
    """The calls of tinygrad-scalar in the shell examples."""
    lines = [line for block in SHELL for line in block.replace("\\\n", " ").splitlines()]
    parts = [part.strip() for line in lines for part in line.split("&&")]
    return [part for part in parts if part.startswith("tinygrad-scalar")]


@pytest.mark.parametrize("command", commands())
def test_every_example_of_the_command_line_is_one_that_the_parser_takes(command):
    program, *arguments = shlex.split(command)
    assert program == "tinygrad-scalar"
    options = cli.parsed(arguments)
    assert callable(options.run)


def test_the_examples_show_every_command():
    shown = {shlex.split(command)[1] for command in commands()}
    assert shown == set(cli.COMMANDS)


def test_the_example_of_draw_draws(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (command,) = (command for command in commands() if command.startswith("tinygrad-scalar draw"))
    arguments = shlex.split(command)[1:]
    assert cli.main(arguments) == 0
    assert (tmp_path / arguments[arguments.index("-o") + 1]).exists()
    assert "C = " in capsys.readouterr().out


# --- the words -------------------------------------------------------------------------------------------------------

TABLE = dict(re.findall(r"^\| (activations|losses|optimizers) \| (.*) \|$", README, re.MULTILINE))


@pytest.mark.parametrize(
    ("row", "names"),
    [
        ("activations", list(ACTIVATIONS)),
        ("losses", list(LOSSES)),
        ("optimizers", [o.__name__ for o in OPTIMIZERS.values()]),
    ],
)
def test_the_table_of_networks_names_all_there_are(row, names):
    assert re.findall(r"`(\w+)`", TABLE[row]) == names
    assert all(hasattr(optim, name) for name in names) == (row == "optimizers")


@pytest.mark.parametrize(
    "path", [p for p in re.findall(r"[`(]([\w./-]+\.(?:py|md|svg)|\w+/)[`)]", README) if "/" in p or ".md" in p]
)
def test_every_file_that_is_named_is_there(path):
    assert (TOP / path).exists()

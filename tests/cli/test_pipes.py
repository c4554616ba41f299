"""Commands in pipes and in limited terminals: nothing is lost, and a reader that stops early is no error."""

import contextlib
import os
import re
import struct
import subprocess

import pytest
from support.commands import COST, ENVIRONMENT, MODULE, TRAIN, process, write_csv

from tinygrad_scalar.cli.table_model import TableModel


@pytest.mark.thorough
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


# commands that print more than a reader of one line reads, at once or at their end
OUTPUTS = {
    "predict": ["predict", "line.safetensors", "long.csv"],
    "train": TRAIN,
    "draw": ["draw", *COST],
    "draw at length": ["draw", "; ".join(f"x{i} = y + {i}" for i in range(300)) + "; x299*2", "y=1"],
    "help": ["train", "--help"],
}


@pytest.mark.skipif(os.name != "posix", reason="pipes as a POSIX shell makes them")
@pytest.mark.parametrize("lines", [pytest.param(0, marks=pytest.mark.thorough), 1])
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
    """A command's stderr, when that is a terminal."""
    pty, fcntl, termios = (pytest.importorskip(name) for name in ("pty", "fcntl", "termios"))
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))  # a new one has no width
    written = b""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs, cwd=folder, env=ENVIRONMENT) as run:
        os.close(theirs)
        with contextlib.suppress(OSError):  # Linux's way of saying that the other end is closed
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


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_an_error_that_cannot_be_shown_keeps_its_exit_code(tmp_path):
    with open("/dev/full", "w") as full:
        for arguments in (["check", "w +", "w=1"], ["draw"], []):
            run = subprocess.run([*MODULE, *arguments], stderr=full, cwd=tmp_path, env=ENVIRONMENT)
            assert run.returncode == 2  # 1 says that a gradient is wrong

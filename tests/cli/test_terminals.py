"""Commands in terminals of every kind: encodings, widths, closed streams, evil names, signals."""

import os
import select
import signal
import struct
import subprocess
import sys
import time

import pytest
from support.commands import COST, ENVIRONMENT, MODULE, TRAIN, process, write_csv

from tinygrad_scalar.cli.console import ENDING, ended_by_signals
from tinygrad_scalar.screen import ASCII_SIGNS, printable

EXPRESSION = ["z = w*a; C = (sigmoid(z) - y)**2", "w=-4", "a=1", "y=0"]
COMMANDS = {
    "draw": ["draw", *EXPRESSION],
    "step": ["step", *EXPRESSION, "--all"],
    "explain": ["explain", *EXPRESSION, "--wrt", "w"],
    "check": ["check", *EXPRESSION],
    "train": TRAIN,
    "demo": ["demo"],
    "help": ["train", "--help"],
    "an error": ["draw", "σ + 1"],
}


def words(text):
    """A text without its layout, which depends on how wide the signs are."""
    return "".join(text.split())


@pytest.mark.thorough
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "cp437"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_terminal_of_few_signs_sees_the_same_in_ascii(name, encoding, desk):
    plain, full = (process(MODULE, *COMMANDS[name], cwd=desk, encoding=e) for e in (encoding, "utf-8"))
    assert plain.returncode == full.returncode
    for shown, whole in ((plain.stdout, full.stdout), (plain.stderr, full.stderr)):
        assert words(shown) == words(whole.encode(encoding, ASCII_SIGNS).decode(encoding))


@pytest.mark.thorough
@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    "setting",
    [
        "COLUMNS=0",
        "COLUMNS=abc",
        "COLUMNS=1",
        "COLUMNS=20",
        "LINES=0",
        "COLUMNS=-1",
        "COLUMNS=²",
        f"COLUMNS={'9' * 5000}",
    ],
)
def test_the_output_is_complete_whatever_the_width(setting, name, desk):
    variable, _, width = setting.partition("=")
    runs = [
        subprocess.run([*MODULE, *COMMANDS[name]], capture_output=True, env=environment, check=False, cwd=desk)
        for environment in (ENVIRONMENT, {**ENVIRONMENT, variable: width})
    ]
    whole, shown = (words(run.stdout.decode() + run.stderr.decode()) for run in runs)
    assert shown == whole


# --- names -----------------------------------------------------------------------------------------------------------

EVIL = ["se\x1b[2Jt", "漢字\u202e", "v\nx\x9b"]


@pytest.mark.thorough
def test_names_from_a_table_are_shown_escaped(desk):
    target = "kind\x1b]0;title\x07"
    write_csv(desk / "evil.csv", ["a\x1b[31m", target], [[i, EVIL[i % 3]] for i in range(24)])
    model = "m\x1b[31m.safetensors"
    train = process(
        MODULE, "train", "evil.csv", "--target", target, "--layers", "2", "--epochs", "1", "-o", model, cwd=desk
    )
    unknown = process(MODULE, "train", "evil.csv", "--target", "a\x9b", cwd=desk)
    drawn = process(MODULE, "draw", "x", "x=1", "-o", "x\x1b[31m.svg", cwd=desk)
    for text in (train.stdout, unknown.stderr, drawn.stdout):
        assert all(line.isprintable() for line in text.splitlines())
    assert train.returncode == drawn.returncode == 0
    for name in (target, model, *EVIL):
        assert printable(name) in train.stdout
    matrix = train.stdout.split("columns: predicted\n")[1].splitlines()[:4]
    assert [line.split()[0] for line in matrix] == [printable(name) for name in (target, *sorted(EVIL))]
    table = process(MODULE, "predict", model, "evil.csv", cwd=desk)  # a pipe gets the data as they are
    assert "se\x1b[2Jt" in table.stdout
    assert "\x1b" not in in_terminal(["predict", model, "evil.csv"], desk)[0]


# --- streams that are closed -----------------------------------------------------------------------------------------


def in_shell(command, folder):
    line = " ".join(["exec", f"'{sys.executable}' -m tinygrad_scalar", command])
    return subprocess.run(
        ["sh", "-c", line], capture_output=True, text=True, env=ENVIRONMENT, check=False, cwd=folder, timeout=120
    )


@pytest.mark.skipif(os.name != "posix", reason="redirections of a POSIX shell")
@pytest.mark.parametrize(
    ("command", "code", "words_of_it"),
    [
        ("check x x=1 >&-", 2, "standard output is closed"),
        pytest.param("step 'x**2' x=1 >&- <&-", 2, "standard output is closed", marks=pytest.mark.thorough),
        ("train flowers.csv --target species --epochs 1 >&-", 2, "standard output is closed"),
        ("predict flowers.safetensors flowers.csv -o out.csv >&-", 0, ""),
        pytest.param(
            "predict flowers.safetensors flowers.csv >&-", 2, "standard output is closed", marks=pytest.mark.thorough
        ),
        pytest.param("draw x x=1 2>&-", 0, "", marks=pytest.mark.thorough),
        ("draw y x=1 2>&-", 2, ""),
        pytest.param("train flowers.csv --target species --epochs 1 2>&-", 0, "", marks=pytest.mark.thorough),
        ("step 'x**2' x=1 <&-", 0, ""),
        ("check x x=1 <&- >&- 2>&-", 2, ""),
        pytest.param("--help >&-", 0, "", marks=pytest.mark.thorough),
    ],
)
def test_a_closed_stream_is_no_traceback(command, code, words_of_it, desk):
    before = (desk / "flowers.csv").read_bytes()
    run = in_shell(command.replace("check x x=1", "check 'x**2' x=1"), desk)
    assert (run.returncode, "Traceback" in run.stderr) == (code, False)
    assert words_of_it in run.stderr
    assert len(run.stderr.splitlines()) == bool(words_of_it)
    assert (desk / "flowers.csv").read_bytes() == before
    if command.startswith("train"):
        assert (desk / "model.safetensors").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_is_one_line(desk):
    run = in_shell("check 'x**2' x=1 >/dev/full", desk)
    assert run.returncode == 2
    assert len(run.stderr.splitlines()) == 1


# --- a real terminal -------------------------------------------------------------------------------------------------


def heed_signals():
    """In a child, before it begins: what a shell has a background job ignore, a job in a terminal heeds."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def in_terminal(arguments, folder, actions=(), size=(24, 80), seen=b"", **variables):
    """Run a command in a terminal; returns its output, its exit code, and whether the terminal's modes are as before.

    Each action, keys or a signal, waits until the command is quiet after it has written something, or has written
    what is to be `seen`.
    """
    pty, fcntl, termios = (pytest.importorskip(name) for name in ("pty", "fcntl", "termios"))
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    modes = termios.tcgetattr(theirs)
    environment = {**ENVIRONMENT, "TERM": "xterm", **variables}
    written = b""

    def read(until_quiet=True):
        nonlocal written
        start, deadline = len(written), time.monotonic() + 60
        while time.monotonic() < deadline:
            ready, _, _ = select.select([ours], [], [], 0.3)
            if ready:
                written += os.read(ours, 65536)
                if until_quiet and seen and seen in written:
                    return
            elif (until_quiet and len(written) > start) or run.poll() is not None:
                return

    streams = dict.fromkeys(("stdin", "stdout", "stderr"), theirs)
    with subprocess.Popen(
        [*MODULE, *arguments], **streams, cwd=folder, env=environment, preexec_fn=heed_signals
    ) as run:
        for action in actions:
            if action != signal.SIGCONT:  # nothing is written by a stopped program
                read()
            if isinstance(action, int):
                os.kill(run.pid, action)
            else:
                os.write(ours, action.encode())
        read(until_quiet=False)
        try:
            code = run.wait(60)
        finally:
            run.kill()
    restored = termios.tcgetattr(theirs) == modes
    os.close(ours)
    os.close(theirs)
    return written.decode(), code, restored


STEP = ["step", *COST]
ENTER, LEAVE, HIDE, SHOW = "\x1b[?1049h", "\x1b[?1049l", "\x1b[?25l", "\x1b[?25h"
SIGNALS = [name for name in (*ENDING, "SIGINT") if hasattr(signal, name)]


@pytest.mark.thorough
@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("command", ["step", "train"])
def test_a_signal_gives_the_terminal_back(command, name, desk):
    number = getattr(signal, name)
    arguments = STEP if command == "step" else [*TRAIN, "--epochs", "1000000"]
    written, code, restored = in_terminal(arguments, desk, [number], seen=b"training" if command == "train" else b"")
    assert code == 128 + number
    assert restored
    assert "Traceback" not in written
    assert written.count(ENTER) == written.count(LEAVE) == (command == "step")
    assert written.rfind(SHOW) >= written.rfind(HIDE)
    assert not list(desk.glob("*model*"))


@pytest.mark.thorough
@pytest.mark.skipif(not hasattr(signal, "SIGTSTP"), reason="no job control")
@pytest.mark.parametrize("stop", ["SIGTSTP", "SIGSTOP"])
def test_a_stepper_that_was_stopped_goes_on(stop, desk):
    actions = [getattr(signal, stop), signal.SIGCONT, "n", "q"]
    written, code, restored = in_terminal(STEP, desk, actions)
    assert (code, restored) == (0, True)
    assert written.count(ENTER) == written.count(LEAVE) >= 2
    assert "forward 1 of" in written.rpartition(ENTER)[2]


@pytest.mark.thorough
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (10, 20), (0, 0)])
def test_a_terminal_of_any_size_can_be_left(size, desk):
    written, code, restored = in_terminal(STEP, desk, ["n", "n", "q"], size)
    assert (code, restored) == (0, True)
    assert "Traceback" not in written


@pytest.mark.parametrize("size", ["99999999", "²", "9" * 5000])
@pytest.mark.thorough
def test_a_screen_of_any_size_in_the_environment_is_filled_at_once(size, desk):
    written, code, _ = in_terminal(STEP, desk, ["n", "q"], COLUMNS=size, LINES=size)
    assert code == 0
    assert "forward 1 of" in written


@pytest.mark.thorough
def test_a_dumb_terminal_is_asked_for_lines(desk):
    written, code, _ = in_terminal(STEP, desk, ["n\n", "q\n"], TERM="dumb")
    assert code == 0
    assert "\x1b" not in written
    assert "forward 1 of" in written


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP")
def test_an_ignored_signal_stays_ignored():
    """As with nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_by_signals():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL

"""`tinygrad-scalar step` in a real terminal (a pseudo-terminal of 80×24), and with piped input."""

import codecs
import os
import re
import signal
import struct
import subprocess
import sys
import time

import pytest

pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")
import fcntl  # noqa: E402
import select  # noqa: E402
import termios  # noqa: E402

COMMAND = [sys.executable, "-m", "tinygrad_scalar", "step"]
COST = ["z = w*a + b; C = (sigmoid(z) - y)**2", "w=0.6", "a=0.8", "b=0.1", "y=0"]


class Terminal:
    """A program in a pseudo-terminal; `text` is its output since the last key, without control sequences."""

    def __init__(self, *command, rows=24, columns=80, **environment):
        self.ours, self.theirs = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.theirs)
        inherited = {name: text for name, text in os.environ.items() if name not in ("COLUMNS", "LINES")}
        variables = {**inherited, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", **environment}
        self.process = subprocess.Popen(
            command, stdin=self.theirs, stdout=self.theirs, stderr=self.theirs, env=variables, start_new_session=True,
            preexec_fn=self.take_terminal,
        )  # fmt: skip
        self.decoder = codecs.getincrementaldecoder("utf-8")()  # a read can end in the middle of a character
        self.raw = ""

    @staticmethod
    def take_terminal():
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored under nohup and in a script's background
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def resize(self, rows, columns):
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def until(self, words, seconds=20):
        """Read until the words are on the screen."""
        end = time.monotonic() + seconds
        while words not in self.text:
            assert time.monotonic() < end, f"no {words!r} in {self.text!r}"
            try:
                self.read(0.1)
            except OSError:  # the program has ended
                assert words in self.text, f"no {words!r} in {self.text!r}"
        return self.text

    def read(self, seconds):
        """Read the next output; False if none comes within this time."""
        came = bool(select.select([self.ours], [], [], seconds)[0])
        if came:
            self.raw += self.decoder.decode(os.read(self.ours, 65536))
        return came

    @property
    def text(self):
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.raw).replace("\r", "")

    def press(self, keys):
        self.raw = ""
        os.write(self.ours, keys.encode())

    def end(self):
        """The exit code; the terminal's settings must be those from before."""
        code = self.process.wait(timeout=20)
        while self.read(0.1):
            pass
        assert termios.tcgetattr(self.theirs) == self.before
        return code

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for handle in (self.ours, self.theirs):
            os.close(handle)


@pytest.fixture
def terminal():
    opened = []

    def start(*arguments, **options):
        opened.append(Terminal(*COMMAND, *arguments, **options))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def test_keys_move_and_the_screen_shows_the_equation(terminal):
    screen = terminal(*COST)
    screen.until("q quit")
    assert "C: 5 values to compute" in screen.text
    for key, words in [
        ("n", "w·a = 0.6·0.8 = 0.48"),
        ("n", "= 0.48 + 0.1 = 0.58"),
        (" ", "σ(z) = σ(0.58) = 0.641067"),
        ("b", "= 0.48 + 0.1 = 0.58"),
        ("\x1b[C", "σ(z) = σ(0.58) = 0.641067"),
    ]:
        screen.press(key)
        screen.until(words)
        screen.until("q quit")
    screen.press("x")
    screen.until("unknown key 'x'")
    screen.press("q")
    assert screen.end() == 0


def test_keys_that_come_fast_all_count(terminal):
    screen = terminal(*COST)
    screen.until("q quit")
    screen.press("nnnnbn")
    screen.until("forward 4 of 5")
    screen.press("nnnnnnnnnn")
    screen.until("done: every gradient is complete")
    screen.press("n")
    screen.until("no step is left; b goes back")
    screen.press("q")
    assert screen.end() == 0


def test_a_watched_value_stays_on_the_screen(terminal):
    screen = terminal(*COST)
    screen.until("q quit")
    screen.press("w")
    screen.until("watch:")
    screen.press("zz\r")
    screen.until("did you mean z?")
    screen.press("w")
    screen.until("watch:")
    screen.press("b\r")
    screen.until("b: data 0.1, grad 0")
    screen.press("q")
    assert screen.end() == 0


def test_a_narrow_screen_loses_no_text_and_a_low_one_keeps_the_keys(terminal):
    screen = terminal(*COST, rows=12, columns=40)
    screen.until("quit")
    screen.press("nnnnnnnn")
    screen.until("backward 2 of 5")
    while "quit" not in screen.text.split("backward 2 of 5")[1]:
        assert screen.read(20)
    assert "…" in screen.text.split("backward 2 of 5")[1]  # in place of lines that do not fit
    assert "σ(z).grad: 0 + 1.28213 = 1.28213" in " ".join(screen.text.split())
    screen.raw = ""
    screen.press("x")
    screen.until("quit")
    screen.press("\x04")  # Ctrl-D
    assert screen.end() == 0


def test_the_screen_shows_the_expression_the_values_so_far_and_the_step(terminal):
    screen = terminal(*COST, rows=30)
    screen.until("q quit")
    assert COST[0] in screen.text
    assert "σ(z)" not in screen.text
    screen.press("nnn")
    screen.until("forward 3 of 5")
    rows = [line.split() for line in screen.text.splitlines()]
    assert ["w", "0.6", "0"] in rows and ["σ(z)", "0.641067"] in rows
    screen.press("t9\r")
    screen.until("backward 3 of 5")
    rows = [line.split() for line in screen.text.splitlines()]
    assert ["z", "0.58", "0.295019", "complete"] in rows
    assert ["w", "0.6", "0", "0", "of", "1", "contributions"] in rows
    while "quit" not in screen.text.split("backward 3 of 5")[1]:
        assert screen.read(20)
    screen.press("x")
    screen.until("unknown key 'x'")
    while len(screen.text.splitlines()) < 30:  # the whole screen
        assert screen.read(20)


def test_longer_moves_have_keys_and_a_prompt(terminal):
    screen = terminal(*COST)
    screen.until("q quit")
    for keys, words in [
        ("v", "forward 2 of 5"),
        ("tC\r", "forward 5 of 5"),
        ("t2\r", "forward 2 of 5"),
        ("tq\x7fz\r", "backward 3 of 5"),
        ("l", "no layers were found"),
        ("t99\r", "numbered from 0 to 11, got 99"),
        ("tt\x1bn", "backward 4 of 5"),
        ("r", "5 values to compute"),
    ]:
        screen.press(keys)
        screen.until(words)
        screen.until("q quit")
    screen.press("q")
    assert screen.end() == 0


def test_the_keys_are_listed_until_another_is_pressed(terminal):
    screen = terminal(*COST)
    screen.until("q quit")
    screen.press("?")
    screen.until("through the next layer")
    screen.press("n")
    screen.until("w·a = 0.6·0.8 = 0.48")
    screen.press("q")
    assert screen.end() == 0


def test_a_table_or_a_step_that_does_not_fit_is_scrolled(terminal):
    sum_of_many = " + ".join(f"x{i}" for i in range(30))
    screen = terminal(f"s = {sum_of_many}", *(f"x{i}={i}" for i in range(30)))
    screen.until("q quit")
    screen.press("t29\r")
    screen.until("forward 29 of 29")
    screen.press("b")
    screen.until("forward 28 of 29")
    screen.until("q quit")
    assert "x0    " not in screen.text
    screen.press("\x1b[5~" * 6)
    screen.until("x0    ")
    low = terminal(*COST, rows=12, columns=40)
    low.until("quit")
    low.press("nnnnnnnn")
    low.until("backward 2 of 5")
    low.until("…")
    low.press("\x1b[B" * 9)
    low.until("next: back through")


def test_a_polite_kill_leaves_the_terminal_as_it_was(terminal):
    screen = terminal(*COST)
    screen.until("q quit")
    screen.process.send_signal(signal.SIGTERM)
    assert screen.end() == 128 + signal.SIGTERM
    assert screen.raw.rstrip().endswith("\x1b[?25h")  # the other screen is left, the cursor shown


def test_ctrl_c_leaves_the_terminal_as_it_was(terminal):
    screen = terminal(*COST)
    screen.until("q quit")
    screen.press("\x03")
    assert screen.end() == 130
    assert "\x1b[?1049l" in screen.raw  # back from the alternate screen
    assert "\x1b[?25h" in screen.raw  # with a cursor


def test_a_resize_draws_the_page_anew(terminal):
    screen = terminal(*COST)
    screen.until("q quit")
    screen.raw = ""
    screen.resize(40, 100)
    os.killpg(screen.process.pid, signal.SIGWINCH)
    screen.until("q quit")
    screen.press("n")
    screen.until("w·a = 0.6·0.8 = 0.48")
    screen.press("q")
    assert screen.end() == 0


@pytest.mark.thorough
def test_a_window_that_is_drawn_larger_and_smaller_all_the_time_does_no_harm(terminal):
    screen = terminal(*COST)
    screen.until("q quit")
    for i in range(300):
        screen.resize(24 + i % 9, 80 + i % 7)
        os.killpg(screen.process.pid, signal.SIGWINCH)
        if i % 10 == 0:
            os.write(screen.ours, b"nb")
        while screen.read(0):
            pass
    while screen.read(0.5):
        pass
    screen.press("n")
    screen.until("w·a = 0.6·0.8 = 0.48")
    screen.press("q")
    assert screen.end() == 0


def test_nothing_is_coloured_where_no_color_is_wanted(terminal):
    screen = terminal(*COST, NO_COLOR="1")
    screen.until("q quit")
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", screen.raw)
    screen.press("q")
    assert screen.end() == 0


def piped(lines, *arguments):
    return subprocess.run(
        [*COMMAND, *COST, *arguments], input=lines, capture_output=True, encoding="utf-8", check=False,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip


def test_piped_lines_are_keys():
    done = piped("n\n\nw b\nb\nx\nq\nn\n")
    assert (done.returncode, done.stderr) == (0, "")
    pages = done.stdout.split("\n\n")
    assert [page.split("\n")[0] for page in pages] == [
        "C: 5 values to compute, then the chain rule backwards", "forward 1 of 5 (step 1 of 11)",
        "forward 2 of 5 (step 2 of 11)", "forward 2 of 5 (step 2 of 11)", "forward 1 of 5 (step 1 of 11)",
        "unknown key 'x': n next · b back · v value · l layer · t to · w watch · ? keys · q quit",
    ]  # fmt: skip
    assert "  b: data 0.1, grad 0" in pages[3]
    assert "\x1b" not in done.stdout


def test_piped_lines_are_moves_in_words_too():
    done = piped("next 4\nto z\nb 2\nnext value\nto 11\n?\nto nowhere\nreset\n")
    pages = done.stdout.split("\n\n")
    assert [page.split("\n")[0].split(" (")[0] for page in pages[1:]] == [
        "forward 4 of 5", "backward 3 of 5", "backward 1 of 5", "backward 4 of 5", "backward 5 of 5",
        "n, →, space, Enter   the next step",
        "no value of this graph is called 'nowhere'; known names: C, a, b, w, y, z",
        "C: 5 values to compute, then the chain rule backwards",
    ]  # fmt: skip


def test_all_prints_every_step():
    done = piped("", "--all")
    assert done.stdout.count("(step ") == 11
    assert done.stdout.rstrip().endswith("done: every gradient is complete, as after backward()")
    assert max(map(len, done.stdout.splitlines())) <= 80

"""`tinygrad-scalar step`: an expression and its backward pass step by step, by keys in a terminal or by piped lines."""

from __future__ import annotations

import argparse
import codecs
import os
import re
import select
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from tinygrad_scalar.cli.command import Command, explain_not_finite, labelled_root
from tinygrad_scalar.cli.console import new_console
from tinygrad_scalar.cli.step_page import HELP, KEYS, Page
from tinygrad_scalar.inspection.moves import MOVES, move
from tinygrad_scalar.inspection.stepper import Stepper, step

if TYPE_CHECKING:
    from rich.console import Console, ScreenContext

KEY = re.compile(r"\x1b\[[0-9;]*[A-Za-z~]|\x1bO.|.", re.DOTALL)
QUIT = ("q", "\x04")  # also Ctrl-D
# Keys, which are also the words of piped lines, and the moves they stand for (moves.py).
MOVE_OF = {
    **dict.fromkeys(("n", " ", "\r", "\n", "\x1b[C", "\x1bOC"), ("next", "")),  # also space, Enter and the arrows
    **dict.fromkeys(("b", "\x7f", "\x1b[D", "\x1bOD"), ("back", "")),
    "v": ("next", "value"), "l": ("next", "layer"), "r": ("reset", ""),
}  # fmt: skip
PROMPT_OF = {"t": "to", "w": "watch"}
SCROLL_OF = {"\x1b[A": -1, "\x1bOA": -1, "\x1b[B": 1, "\x1bOB": 1, "\x1b[5~": -10, "\x1b[6~": 10}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help="print every step instead of waiting for keys")


def run(options: argparse.Namespace) -> None:
    """Step by keys in a terminal, by lines otherwise; or print all steps at once."""
    root = labelled_root(options)
    console, stepper = new_console(), step(root, names={})
    if options.all:
        transcript(console, stepper)
        explain_not_finite(root)
    elif sys.stdin.isatty() and console.is_terminal and not console.is_dumb_terminal:
        by_keys(console, stepper, options.expression)
    else:
        by_lines(console, stepper, sys.stdin)


def transcript(console: Console, stepper: Stepper) -> None:
    """Print every step."""
    console.print(stepper)
    for _ in stepper:
        console.print()
        console.print(stepper)


def by_lines(console: Console, stepper: Stepper, lines: Iterable[str]) -> None:
    """Treat each line as a key or a move in words such as `to z` (an empty line is n), and print the result."""
    console.print(stepper)
    for line in lines:
        key, _, words = line.strip().partition(" ")
        if key == "q":
            break
        verb, fixed = MOVE_OF.get(key or "n", (PROMPT_OF.get(key, key), ""))
        message = HELP if key == "?" else _moved(stepper, verb, f"{fixed} {words}".strip())
        console.print()
        console.print(message or stepper)


def by_keys(console: Console, stepper: Stepper, expression: str) -> None:
    """Show the steps on the alternate screen; whatever ends or stops the program, the terminal is restored."""
    page = Page(stepper, expression)
    with _signals() as signalled:
        while True:
            with _one_key_at_a_time(), console.screen() as screen:
                ended_by = _show_steps(console, page, screen, signalled)
            if ended_by == "quit":
                return
            if ended_by == "stop":
                _stop()


def _show_steps(console: Console, page: Page, screen: ScreenContext, signalled: int | None) -> str:
    """Follow the keys until one is "quit", or a signal says "stop" (Ctrl-Z) or "continue"."""
    screen.update(page.drawn(console))
    for key in _keys(signalled):
        if key in ("stop", "continue"):
            return key
        if page.prompt and key:
            _type(page, key)
        elif key in QUIT:
            break
        elif key:
            _press(page, key)
        screen.update(page.drawn(console))
    return "quit"


def _press(page: Page, key: str) -> None:
    if key in SCROLL_OF:
        page.scrolled += SCROLL_OF[key]
        return
    was_help, page.is_help, page.message, page.scrolled = page.is_help, False, "", 0
    if key == "?":
        page.is_help = not was_help
    elif key in PROMPT_OF:
        page.prompt, page.typed = PROMPT_OF[key], ""
    else:
        page.message = _moved(page.stepper, *MOVE_OF.get(key, (key, "")))


def _type(page: Page, key: str) -> None:
    """A key at the prompt."""
    if key in ("\r", "\n"):
        page.message, page.scrolled = _moved(page.stepper, page.prompt, page.typed.strip()), 0
        page.prompt = ""
    elif key == "\x1b":
        page.prompt = ""
    elif key in ("\x7f", "\x08"):
        page.typed = page.typed[:-1]
    elif key.isprintable():
        page.typed += key


def _moved(stepper: Stepper, verb: str, words: str) -> str:
    """Do a move; returns what there is to say about it."""
    if verb not in MOVES:
        return f"unknown key {verb!r}: {KEYS}"
    if verb == "next" and stepper.position == stepper.total:
        return "no step is left; b goes back"
    try:
        move(stepper, verb, words)
    except ValueError as error:
        return str(error)
    return ""


def _stop() -> None:
    """Stop until the shell continues the program; where there is no such shell, the system does not stop it."""
    handler = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTSTP)
    signal.signal(signal.SIGTSTP, handler)


@contextmanager
def _one_key_at_a_time() -> Iterator[None]:
    """Within this block, keys arrive as they are pressed, without echo."""
    try:
        import termios
        import tty
    except ImportError:  # Windows, where they do so anyway
        yield
        return
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal, termios.TCSANOW)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _keys(signalled: int | None) -> Iterator[str]:
    """The keys that are pressed, an arrow counting as one; and what `signalled` announces.

    That is "stop" for Ctrl-Z, "continue" when the program goes on, "" when the terminal's size changes.
    """
    if sys.platform == "win32":
        import msvcrt

        while (key := msvcrt.getwch()) != "\x03":
            yield key
        raise KeyboardInterrupt
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    keyboard = sys.stdin.fileno()
    sources = [keyboard] if signalled is None else [keyboard, signalled]
    while True:
        ready, _, _ = select.select(sources, [], [])
        if signalled is not None and signalled in ready:
            came = os.read(signalled, 1024)
            yield "stop" if signal.SIGTSTP in came else "continue" if signal.SIGCONT in came else ""
        if keyboard in ready:
            pressed = os.read(keyboard, 1024)
            if not pressed:
                return
            yield from KEY.findall(decoder.decode(pressed))


@contextmanager
def _signals() -> Iterator[int | None]:
    """Within this block a resize, Ctrl-Z and the program's continuation can be read from a pipe.

    Yields the pipe's file descriptor, None if there are no such signals. The reader acts rather than the signal's
    handler, which can run in the middle of a write.
    """
    if not hasattr(signal, "SIGWINCH") or threading.current_thread() is not threading.main_thread():
        yield None
        return
    with ExitStack() as stack:
        signalled, wake = os.pipe()
        stack.callback(os.close, signalled)
        stack.callback(os.close, wake)
        os.set_blocking(wake, False)
        stack.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(wake, warn_on_full_buffer=False))
        for number in (signal.SIGWINCH, signal.SIGTSTP, signal.SIGCONT):
            stack.callback(signal.signal, number, signal.signal(number, lambda *_: None))
        yield signalled


COMMAND = Command("step", "step through an expression and its backward pass", run, add_arguments, takes_expression=True)

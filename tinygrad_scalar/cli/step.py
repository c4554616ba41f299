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
from tinygrad_scalar.inspection.stepper import Stepper, step

if TYPE_CHECKING:
    from rich.console import Console, ScreenContext
    from rich.text import Text

KEYS = "n next · b back · w watch a value · q quit"
KEY = re.compile(r"\x1b\[[0-9;]*[A-Za-z~]|\x1bO.|.", re.DOTALL)
QUIT = ("q", "\x04")  # also Ctrl-D
NEXT, BACK = ("n", " ", "\r", "\n", "\x1b[C"), ("b", "\x7f", "\x1b[D")  # also Enter, space, backspace and the arrows


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
        by_keys(console, stepper)
    else:
        by_lines(console, stepper, sys.stdin)


def transcript(console: Console, stepper: Stepper) -> None:
    """Print every step."""
    console.print(stepper)
    for _ in stepper:
        console.print()
        console.print(stepper)


def by_lines(console: Console, stepper: Stepper, lines: Iterable[str]) -> None:
    """Treat each line as a key (n, b, q, or w and the name of a value; an empty line is n) and print the result."""
    console.print(stepper)
    for line in lines:
        key, _, name = line.strip().partition(" ")
        if key == "q":
            break
        message = _watch(stepper, name.strip()) if key == "w" else _move(stepper, key or "n")
        console.print()
        console.print(message or stepper)


def by_keys(console: Console, stepper: Stepper) -> None:
    """Show the steps on the alternate screen; whatever ends or stops the program, the terminal is restored."""
    with _signals() as signalled:
        while True:
            with _one_key_at_a_time(), console.screen() as screen:
                ended_by = _show_steps(console, stepper, screen, signalled)
            if ended_by == "quit":
                return
            if ended_by == "stop":
                _stop()


def _show_steps(console: Console, stepper: Stepper, screen: ScreenContext, signalled: int | None) -> str:
    """Follow the keys until one is "quit", or a signal says "stop" (Ctrl-Z) or "continue"."""
    message, typed = "", ""
    screen.update(_page(console, stepper, message, typed))
    for key in _keys(signalled):
        if key in ("stop", "continue"):
            return key
        if typed and key:
            typed, message = _typed(stepper, typed, key)
        elif key in QUIT:
            break
        elif key == "w":
            typed, message = "watch: ", ""
        elif key:
            message = _move(stepper, key)
        screen.update(_page(console, stepper, message, typed))
    return "quit"


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


def _move(stepper: Stepper, key: str) -> str:
    if key in NEXT:
        if stepper.position == stepper.total:
            return "no step is left; b goes back"
        stepper.next()
    elif key in BACK:
        stepper.back()
    else:
        return f"unknown key {key!r}: {KEYS}"
    return ""


def _watch(stepper: Stepper, name: str) -> str:
    try:
        stepper.watch(*([name] if name else []))
    except ValueError as error:
        return str(error)
    return ""


def _typed(stepper: Stepper, typed: str, key: str) -> tuple[str, str]:
    """The text of the prompt after another key, and a message."""
    if key in ("\r", "\n"):
        return "", _watch(stepper, typed.removeprefix("watch: ").strip())
    if key == "\x1b":
        return "", ""
    if key in ("\x7f", "\x08"):
        return (typed[:-1] if typed != "watch: " else typed), ""
    return (typed + key if key.isprintable() else typed), ""


def _page(console: Console, stepper: Stepper, message: str, typed: str) -> Text:
    """The stepper as far as it fits, and below it the prompt or the keys."""
    from rich.text import Text

    page = stepper.__rich__()
    page.append(f"\n\n{message}" if message else "\n")
    prompt = Text(f"{typed}▏") if typed else Text(KEYS, style="dim")
    above, below = (part.wrap(console, console.width, no_wrap=False, overflow="fold") for part in (page, prompt))
    room = max(console.height - len(below), 1)
    lines = above if len(above) <= room else [*above[: room - 1], Text("…")]
    return Text("\n").join([*lines, *below])


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

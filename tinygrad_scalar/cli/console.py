"""The standard streams of the commands: a rich console, closed streams, readers that have gone, and signals."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NoReturn

from tinygrad_scalar.screen import ASCII_SIGNS, printable

if TYPE_CHECKING:
    from rich.console import Console

WIDTH, HEIGHT = 80, 24  # of a terminal that says 0
ENDING = ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGXCPU")  # signals that end a program
DIGITS = 4  # of COLUMNS and LINES: a screen of 99,999,999 columns would be filled with blanks for ever


def stop_printing(name: str = "stdout") -> None:
    """Discard all further output: the reader, such as `head`, has closed the pipe, or the disk is full."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), getattr(sys, name).fileno())
    except io.UnsupportedOperation:  # not a file of the system
        setattr(sys, name, io.StringIO())


def new_console() -> Console:
    """Standard output, with styles in a terminal; lines are not wrapped, text is not read as markup."""
    from rich.console import Console

    class PlainConsole(Console):
        def on_broken_pipe(self) -> None:  # rich would end the program here, before the model is written
            stop_printing()

    settings = {
        name: text
        for name, text in os.environ.items()
        if name not in ("COLUMNS", "LINES") or (text.isdecimal() and len(text) <= DIGITS)
    }
    console = PlainConsole(highlight=False, soft_wrap=True, markup=False, emoji=False, _environ=settings)
    width, height = console.size
    if not (width and height):  # rich would print nothing
        console.size = (width or WIDTH, height or HEIGHT)
    return console


def warn(message: str) -> None:
    """A warning as one line on stderr."""
    print(f"tinygrad-scalar: warning: {printable(' '.join(message.split()))}", file=sys.stderr)


def open_streams() -> io.StringIO | None:
    """Make the standard streams usable; returns what stands in for standard output if that is closed.

    Signs that a stream's encoding lacks are written in ASCII. A closed stream's descriptor is taken, because the next
    file to be opened would get it, and with it what is meant for the stream.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, io.StringIO())
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ASCII_SIGNS)
    return sys.stdout if type(sys.stdout) is io.StringIO and sys.__stdout__ is None else None


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Within this block the signals in ENDING end the program as an exception does, so that all is tidied up.

    A terminal gets its cursor and its screen back, and a partly written file is removed. The exit code is the shell's,
    128 + the signal. A signal that is ignored stays ignored (nohup).
    """
    came: list[int] = []

    def end(number: int, _: object) -> NoReturn:
        for handled in signals:
            signal.signal(handled, signal.SIG_IGN)
        came.append(number)
        raise SystemExit(128 + number)

    signals = [
        number
        for name in ENDING
        if (number := getattr(signal, name, None)) and signal.getsignal(number) is signal.SIG_DFL
    ]
    if threading.current_thread() is not threading.main_thread():
        signals = []
    with ExitStack() as stack:
        for number in signals:
            stack.callback(signal.signal, number, signal.signal(number, end))
        try:
            yield
        except Exception:
            if came:  # a terminal that has gone can no longer be tidied up
                raise SystemExit(128 + came[0]) from None
            raise
